"""Hidden labels are of any task, fit together or are refused by name, and are split so that rare classes are measured."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from al_agent import Embeddings, PlatformLocal
from al_agent.simulation.hidden import HiddenLabels
from al_agent.simulation.study.labeled_vectors import hide_labels
from al_agent.simulation.study.split import can_be_stratified, held_out

N = 6
IDS = tuple(f"item_{n}" for n in range(N))


def data(**changes: Any) -> HiddenLabels:
    x, y = np.arange(2.0 * N).reshape(N, 2), np.array([0, 0, 1, 1, 2, 2])
    return HiddenLabels(
        **{"item_ids": IDS, "features": x, "labels": y, "test_features": x[:2], "test_labels": y[:2], **changes}
    )


def with_nan(values: Any, row: int) -> Any:
    changed = np.array(values, dtype=float)
    changed[row] = math.nan
    return changed


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"labels": np.zeros(5, dtype=int)}, "labels has 5 rows for 6 items; expected one row for each"),
        ({"features": np.zeros((5, 2))}, "features has 5 rows for 6 items"),
        ({"features": with_nan(np.zeros((N, 2)), 4)}, "features of 'item_4' is .nan, nan.; expected finite numbers"),
        ({"features": with_nan(np.zeros((N, 3, 2, 2)), 4)}, "features of 'item_4' is"),
        ({"features": np.zeros(N)}, r"features has shape \(6,\); expected \(n, d\) vectors, or \(n, ...\) images"),
        ({"features": np.array([["a", "b"]] * N)}, "features holds values of type <U1; expected one array of numbers"),
        ({"labels": with_nan(np.zeros(N), 3)}, "labels of 'item_3' is .nan."),
        ({"test_features": np.zeros((2, 3))}, r"test_features has rows of shape \(3,\), features of \(2,\)"),
        ({"test_features": np.zeros((3, 2))}, "test_features has 3 rows for 2 items"),
        ({"test_features": with_nan(np.zeros((2, 2)), 1)}, "test_features of 'row 1' is"),
        ({"test_labels": np.zeros(0, dtype=int), "test_features": np.zeros((0, 2))}, "test_labels is empty"),
        (
            {"test_labels": np.zeros((2, 4))},
            r"test_labels has shape \(2, 4\), .* and labels \(6,\).*both of one task",
        ),
        ({"test_labels": np.zeros(2)}, "type float64, and labels .* expected both of one task"),
        ({"embeddings": np.zeros((5, 2))}, "embeddings has 5 rows for 6 items"),
        ({"embeddings": with_nan(np.zeros((N, 2)), 2)}, "embeddings of 'item_2' is"),
        ({"embeddings": np.zeros(N)}, r"embeddings has shape \(6,\); expected \(n, d\)"),
        ({"amounts": {"boxes": [1, 2]}}, "the amount of boxes has 2 rows for 6 items"),
        (
            {"amounts": {"boxes": [1, 2, 0, -3, 1, 1]}},
            "the amount of boxes of 'item_3' is -3; expected numbers of 0",
        ),
        ({"amounts": {"seconds": with_nan(np.ones(N), 1)}}, "the amount of seconds of 'item_1' is"),
        ({"amounts": {"classes": np.ones(N)}}, "the unit 'classes', which a study counts itself"),
        ({"amounts": {"": np.ones(N)}}, "amounts has the unit ''; expected text such as 'boxes'"),
        ({"groups": [1, 2]}, "groups has 2 rows for 6 items"),
        ({"groups": np.ones(N)}, r"groups has shape \(6,\), type float64; expected \(n,\) whole numbers, or names"),
        ({"item_ids": ("a",) * N}, "'a'"),
    ],
)
def test_data_that_do_not_fit_together_are_refused_by_name(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        data(**changes)


def test_boxes_may_be_padded_with_nan_and_are_revealed_as_a_word(tmp_path: Path) -> None:
    boxes = np.full((N, 2, 5), math.nan)
    boxes[:, 0] = [0, 0, 1, 1, 7]
    hidden = data(labels=boxes, test_labels=boxes[:2])
    assert not hidden.is_of_classes
    platform = PlatformLocal.create(tmp_path, images=IDS)
    hidden.reveal(platform, ["item_4", "item_1"])
    assert platform.labels() == {"item_1": "row 1", "item_4": "row 4"}
    data().reveal(platform, ["item_4"])
    assert platform.labels()["item_4"] == 2


def test_items_are_compared_by_embeddings_or_else_by_features_that_are_vectors() -> None:
    embeddings = np.arange(3.0 * N).reshape(N, 3)
    by = data(embeddings=embeddings).vectors
    assert by is not None
    assert by.vectors.tolist() == embeddings.tolist()
    plain = data().vectors
    assert plain is not None
    assert plain.vectors.tolist() == data().features.tolist()
    images = np.zeros((N, 3, 2, 2), dtype=np.uint8)
    assert replace(data(), features=images, test_features=images[:2]).vectors is None


def labels_of(**sizes: int) -> list[str]:
    return [name for name, size in sizes.items() for _ in range(size)]


@pytest.mark.parametrize(
    ("sizes", "share", "expected"),
    [
        ({"a": 60, "b": 30, "c": 10}, 0.2, {"a": 12, "b": 6, "c": 2}),
        ({"a": 97, "rare": 3}, 0.1, {"a": 9, "rare": 1}),  # its share would be 0.3
        ({"a": 2, "b": 98}, 0.9, {"a": 1, "b": 89}),  # 1.8 would leave none
        ({"a": 5, "b": 5, "c": 5}, 0.3, {"a": 2, "b": 1, "c": 1}),  # 4 among three: ties to the first
        ({"a": 1, "b": 99}, 0.2, None),
        ({"a": 4, "b": 4, "c": 4}, 0.17, None),  # two held out, and three classes
    ],
)
def test_a_stratified_split_holds_out_of_each_class_its_share_and_leaves_some(
    sizes: dict[str, int], share: float, expected: dict[str, int] | None
) -> None:
    labels = labels_of(**sizes)
    assert can_be_stratified(labels, share) is (expected is not None)
    is_held_out = held_out(labels, share)
    assert is_held_out.sum() == round(share * len(labels))
    assert is_held_out.tolist() == held_out(labels, share).tolist()
    assert is_held_out.tolist() != held_out(labels, share, seed=1).tolist()
    if expected is None:
        with pytest.raises(
            ValueError, match=r"cannot be stratified: (class 'a' has a single item|one side has 2 items for 3)"
        ):
            held_out(labels, share, stratified=True)
    else:
        assert {name: int(is_held_out[[label == name for label in labels]].sum()) for name in sizes} == expected


def test_every_item_of_a_class_is_held_out_by_some_seed() -> None:
    labels = labels_of(a=20, b=4)
    times = np.sum([held_out(labels, 0.25, seed=seed) for seed in range(400)], axis=0)
    assert times[20:].min() > 60  # one of four each time
    assert times[20:].max() < 140


def test_labels_are_hidden_with_their_own_vectors_by_either_split() -> None:
    label_of = {f"{name}{number}": name for name in "ab" for number in range(5 if name == "a" else 35)}
    ids = sorted(label_of)
    vectors = np.arange(len(ids), dtype=float)[:, None]
    for stratified in (True, False):
        hidden = hide_labels(label_of, Embeddings(ids, vectors), test_share=0.2, stratified=stratified)
        rows = {item_id: row for row, item_id in enumerate(ids)}
        assert hidden.features[:, 0].tolist() == [rows[item_id] for item_id in hidden.item_ids]
        assert [("a", "b")[code] for code in hidden.labels] == [label_of[item_id] for item_id in hidden.item_ids]
        tests = [ids[int(row)] for row in hidden.test_features[:, 0]]
        assert sorted([*tests, *hidden.item_ids]) == ids
        assert [("a", "b")[code] for code in hidden.test_labels] == [label_of[item_id] for item_id in tests]
        if stratified:
            assert np.bincount(hidden.test_labels).tolist() == [1, 7]
