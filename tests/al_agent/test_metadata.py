"""Columns of facts: checked once, read from CSV, and joined by id into a round."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from al_agent import (
    ActiveLearningAgent,
    AtMost,
    ClassificationPredictions,
    Diversity,
    Embeddings,
    EnsemblePredictions,
    Metadata,
    PlatformLocal,
    SamplerConfig,
    ScorerClassification,
)

MakeLocal = Callable[[int], PlatformLocal]
MakeEmbeddings = Callable[[Iterable[str]], Embeddings]


def test_a_csv_file_gives_whole_numbers_numbers_and_strings(tmp_path: Path) -> None:
    path = tmp_path / "facts.csv"
    path.write_text("item_id,video,seconds,blur\n'é,1'.png,v1,10,0.5\nb.png,,20,1\n", encoding="utf-8-sig")
    with pytest.raises(ValueError, match="line 2 has 5 fields; the header has 4"):
        Metadata.load(path)
    path.write_text('item_id,video,seconds,blur\n"é,1.png",v1,10,0.5\nb.png,,20,1\n', encoding="utf-8-sig")
    metadata = Metadata.load(path)
    assert metadata.item_ids == ("é,1.png", "b.png")
    assert {name: column.tolist() for name, column in metadata.columns.items()} == {
        "video": ["v1", ""],
        "seconds": [10, 20],
        "blur": [0.5, 1.0],
    }


@pytest.mark.parametrize(
    ("ids", "columns", "message"),
    [
        (["a", "a"], {"x": [1, 2]}, "'a'"),
        (["a", "b"], {"x": [1]}, "column 'x' has 1 rows for 2 item ids"),
        (["a", "b"], {}, "expected at least one column"),
        (["a", "b"], {"x": [None, "y"]}, "column 'x' holds None beside strings"),
        (["a", "b"], {"x": np.zeros((2, 2, 2))}, r"column 'x' has shape \(2, 2, 2\)"),
        (["a", "b"], {"": [1, 2]}, "has the name ''"),
    ],
)
def test_wrong_metadata_is_refused_by_name(ids: list[str], columns: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Metadata(ids, columns)


@pytest.mark.parametrize(
    ("content", "message"), [("item_id\na\n", "no data"), ("item_id,x,x\na,1,2\n", "a column twice"), ("", "no data")]
)
def test_a_file_that_holds_no_columns_is_refused(tmp_path: Path, content: str, message: str) -> None:
    (tmp_path / "facts.csv").write_text(content, encoding="utf-8")
    with pytest.raises(ValueError, match=message):
        Metadata.load(tmp_path / "facts.csv")


def test_columns_are_joined_by_id_and_not_by_position(make_local: MakeLocal, line_embeddings: MakeEmbeddings) -> None:
    platform = make_local(6)
    ids = [item.id for item in platform.list_items()]
    videos = dict(zip(ids, ["v1", "v1", "v1", "v2", "v2", "v3"]))
    metadata = Metadata(ids[::-1], {"video": [videos[item_id] for item_id in reversed(ids)]})
    agent = ActiveLearningAgent(platform, embeddings=line_embeddings(ids), metadata=metadata)
    batch = agent.query(SamplerConfig(3, strategies=[Diversity(), AtMost(1, "video")]))
    assert sorted(videos[item_id] for item_id in batch) == ["v1", "v2", "v3"]


def test_missing_metadata_and_columns_are_named_before_anything_is_noted(
    make_local: MakeLocal, line_embeddings: MakeEmbeddings
) -> None:
    platform = make_local(4)
    ids = [item.id for item in platform.list_items()]
    config = SamplerConfig(2, strategies=[Diversity(), AtMost(1, "video")])
    cases = [
        (None, "read the column 'video'; pass metadata="),
        (Metadata(ids[1:], {"video": list("abc")}), "1 items have no metadata, the first is 'img_00.jpg'"),
        (Metadata(ids, {"site": list("abcd")}), "reads the column 'video', and the pool has 'site'"),
        (Metadata([*ids, "x"], {"video": list("abcde")}), "the first is 'x'"),
    ]
    for metadata, message in cases:
        agent = ActiveLearningAgent(platform, embeddings=line_embeddings(ids), metadata=metadata)
        with pytest.raises(ValueError, match=message):
            agent.query(config)
        assert agent.history == ()


def test_class_probabilities_are_joined_by_id(make_local: MakeLocal, line_embeddings: MakeEmbeddings) -> None:
    platform = make_local(5)
    ids = [item.id for item in platform.list_items()]
    agent = ActiveLearningAgent(platform, embeddings=line_embeddings(ids))
    certain, torn = [[1.0, 0.0], [1.0, 0.0]], [[1.0, 0.0], [0.0, 1.0]]
    committee = EnsemblePredictions(ids[::-1], [torn if item_id == ids[3] else certain for item_id in reversed(ids)])
    assert agent.query(SamplerConfig(1, method="BALD"), committee).item_ids == (ids[3],)
    assert len(agent.query(SamplerConfig(2, method="BADGE"), committee.mean())) == 2
    chunks = ScorerClassification(iter([ClassificationPredictions(ids, [[0.5, 0.5]] * 5)]))
    with pytest.raises(ValueError, match="was given chunks, which are not kept"):
        agent.query(SamplerConfig(2, method="BADGE"), chunks)


@pytest.mark.parametrize("shape", [(2, 3), (2, 1, 3), (2, 3, 1)])
def test_opinions_of_a_committee_have_three_axes(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"expected floats of shape \(n, t, c\)"):
        EnsemblePredictions(["a", "b"], np.full(shape, 1.0))
    with pytest.raises(ValueError, match="'b', member 1,"):
        EnsemblePredictions(["a", "b"], [[[0.5, 0.5]] * 2, [[0.5, 0.5], [0.9, 0.5]]])


def test_columns_of_several_are_joined_by_id_in_the_order_of_the_first() -> None:
    first = Metadata(["a", "b", "c"], {"site": ["north", "south", ""]})
    second = Metadata(["c", "a", "b"], {"cost": [3, 1, 2], "shares": [[0.3, 0.7], [0.1, 0.9], [0.2, 0.8]]})
    joined = Metadata.side_by_side([first, second])
    assert joined.item_ids == ("a", "b", "c")
    assert {name: column.tolist() for name, column in joined.columns.items()} == {
        "site": ["north", "south", ""],
        "cost": [1, 2, 3],
        "shares": [[0.1, 0.9], [0.2, 0.8], [0.3, 0.7]],
    }
    assert Metadata.side_by_side([first]).columns["site"].tolist() == ["north", "south", ""]


@pytest.mark.parametrize(
    ("ids", "column", "message"),
    [
        (["b", "a"], "site", "^one and two both have a column 'site'"),
        (["a", "x"], "cost", "^two has no item 'b', which one has"),
        (["a"], "cost", "^two has no item 'b', which one has"),
        (["a", "x", "b"], "cost", "^one has no item 'x', which two has"),
    ],
)
def test_parts_that_do_not_join_are_an_error_with_both_names(ids: list[str], column: str, message: str) -> None:
    first = Metadata(["a", "b"], {"site": ["north", "south"]})
    with pytest.raises(ValueError, match=message):
        Metadata.side_by_side([first, Metadata(ids, {column: range(len(ids))})], names=["one", "two"])
    with pytest.raises(ValueError, match="there are no parts"):
        Metadata.side_by_side([])
