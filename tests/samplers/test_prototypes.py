"""PROTOTYPES against a plain walk over the candidates."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from samplers.pool import Pool
from samplers.prototypes import SamplerPrototypes
from samplers.selection import Selection

Floats = npt.NDArray[np.floating[Any]]

many = settings(max_examples=50, deadline=None, derandomize=True, database=None)


def pool_of(
    vectors: npt.ArrayLike,
    scores: npt.ArrayLike,
    labeled: list[int] | None = None,
    columns: Mapping[str, npt.ArrayLike] | None = None,
) -> Pool:
    values = np.asarray(vectors, dtype=np.float64)
    is_labeled = np.zeros(len(values), dtype=bool)
    is_labeled[labeled or []] = True
    return Pool(tuple(map(str, range(len(values)))), is_labeled, scores=scores, vectors=values, columns=columns)


def rows_of(selection: Selection) -> list[int]:
    return [int(item_id) for item_id in selection.item_ids]


def cosine(a: list[float], b: list[float]) -> float:
    lengths = math.sqrt(math.fsum(x * x for x in a)) * math.sqrt(math.fsum(x * x for x in b))
    return math.fsum(x * y for x, y in zip(a, b)) / lengths if lengths else 0.0


def naive(pool: Pool, limit: float, share: Any) -> tuple[list[int], list[int]]:
    """All candidates as accepted or rejected, one after the other."""
    assert pool.scores is not None
    assert pool.vectors is not None
    scores, vectors = pool.scores, pool.vectors.tolist()
    accepted: list[int] = []
    rejected: list[int] = []
    for row in sorted(pool.candidates.tolist(), key=lambda r: (-scores[r], r)):
        is_like = any(share(row, other) and cosine(vectors[row], vectors[other]) > limit for other in accepted)
        (rejected if is_like else accepted).append(row)
    return accepted, rejected


@many
@given(
    seed=st.integers(0, 10**6),
    n=st.integers(1, 40),
    d=st.integers(1, 3),
    limit=st.sampled_from([-0.5, 0.1, 0.7, 0.95]),
    kind=st.sampled_from(["none", "names", "codes", "shares"]),
    data=st.data(),
)
def test_picks_are_those_of_a_plain_walk(seed: int, n: int, d: int, limit: float, kind: str, data: st.DataObject) -> None:
    rng = np.random.default_rng(seed)
    labeled = data.draw(st.lists(st.integers(0, n - 1), max_size=n - 1, unique=True))
    k = data.draw(st.integers(1, n - len(labeled)))
    scores = rng.integers(0, 10, n) / 10
    scores[labeled] = np.nan
    codes, shares = rng.integers(0, 3, n), (rng.random((n, 3)) < 0.4) * rng.random((n, 3))
    column: Mapping[str, npt.ArrayLike] = {
        "none": {}, "names": {"class": np.array(["cat", "dog", "cow"])[codes]}, "codes": {"class": codes},
        "shares": {"class": shares},
    }[kind]  # fmt: skip
    pool = pool_of(rng.normal(size=(n, d)), scores, labeled, column)

    def share(row: int, other: int) -> bool:
        if kind == "shares":
            return bool(((shares[row] > 0) & (shares[other] > 0)).any())
        return kind == "none" or bool(codes[row] == codes[other])

    accepted, rejected = naive(pool, limit, share)
    counts: list[int] = []
    selection = SamplerPrototypes(max_similarity=limit).select(pool, k, on_pick=counts.append)
    assert rows_of(selection) == [*accepted[:k], *rejected[: max(0, k - len(accepted))]]
    assert selection.gains.tolist() == [scores[row] for row in rows_of(selection)]
    assert bool(selection.note) == (k > len(accepted))
    assert sum(counts) == k


@pytest.mark.parametrize("k", [10, 330, 700])
def test_walks_beyond_a_block_are_those_of_a_plain_walk(k: int) -> None:
    rng = np.random.default_rng(1)
    n = 700
    pool = pool_of(rng.normal(size=(n, 3)), rng.random(n), columns={"class": rng.integers(0, 60, n)})
    codes = pool.columns["class"]
    accepted, rejected = naive(pool, 0.7, lambda row, other: codes[row] == codes[other])
    assert 300 < len(accepted) < 700
    assert rows_of(SamplerPrototypes().select(pool, k)) == [*accepted, *rejected][:k]


def test_a_batch_by_hand() -> None:
    vectors = [[1.0, 0.0], [1.0, 0.1], [0.0, 2.0], [1.0, 0.0], [0.6, 0.8]]
    pool = pool_of(vectors, [0.9, 0.8, 0.3, 0.7, 0.5], columns={"class": ["cat", "cat", "cat", "dog", "cat"]})
    selection = SamplerPrototypes().select(pool, 5)
    assert rows_of(selection) == [0, 3, 4, 1, 2]  # 2 has cosine 0.8 with 4
    assert selection.reasons == (
        "score 0.9, 80th percentile; no item picked before it shares a class",
        "score 0.7, 40th percentile; no item picked before it shares a class",
        "score 0.5, 20th percentile; at most 0.6 similar to the items of its class picked before it",
        "score 0.8, 60th percentile; though more than 0.7 similar to an item of its class picked before it",
        "score 0.3, 0th percentile; though more than 0.7 similar to an item of its class picked before it",
    )
    assert selection.note == (
        "3 of 5 items are no look-alikes at max_similarity 0.7; the rest were rejected before, and follow by their scores"
    )
    assert rows_of(SamplerPrototypes(max_similarity=0.85).select(pool, 3)) == [0, 3, 4]


def test_what_is_exactly_as_similar_as_allowed_is_no_look_alike() -> None:
    pool = pool_of([[1.0, 0.0], [3.0, 4.0], [1.0, 0.0]], [3, 2, 1])
    assert rows_of(SamplerPrototypes(max_similarity=0.6).select(pool, 2)) == [0, 1]
    assert rows_of(SamplerPrototypes(max_similarity=0.5999).select(pool, 2)) == [0, 1]
    assert SamplerPrototypes(max_similarity=0.6).select(pool, 2).note == ""
    assert SamplerPrototypes(max_similarity=0.5999).select(pool, 2).note != ""
    assert SamplerPrototypes(max_similarity=1).select(pool, 3).note == ""


@pytest.mark.parametrize("scale", [1e-90, 1.0, 1e90])
def test_lengths_of_vectors_do_not_matter(scale: float) -> None:
    rng = np.random.default_rng(2)
    vectors, scores = rng.normal(size=(80, 3)), rng.random(80)
    expected = SamplerPrototypes().select(pool_of(vectors, scores), 30)
    scaled = SamplerPrototypes().select(pool_of(vectors * rng.random((80, 1)) * scale, scores), 30)
    assert rows_of(scaled) == rows_of(expected)


def test_zero_vectors_look_like_nothing() -> None:
    pool = pool_of([[0.0, 0.0], [1.0, 0.0], [0.0, 0.0], [1.0, 0.0]], [4, 3, 2, 1])
    assert rows_of(SamplerPrototypes(max_similarity=0.0).select(pool, 4)) == [0, 1, 2, 3]
    assert SamplerPrototypes(max_similarity=0.0).select(pool, 3).note == ""


def test_all_equal_items_follow_by_score_and_then_by_row() -> None:
    selection = SamplerPrototypes().select(pool_of(np.ones((600, 4)), np.arange(600) // 300), 302)
    assert rows_of(selection) == [*range(300, 600), 0, 1]
    assert selection.note.startswith("1 of 302 items are no look-alikes")


def test_the_column_of_classes_may_have_another_name() -> None:
    pool = pool_of([[1.0], [1.0], [1.0]], [3, 2, 1], columns={"species": ["cat", "cat", "dog"]})
    assert rows_of(SamplerPrototypes().select(pool, 2)) == [0, 1]
    assert rows_of(SamplerPrototypes(classes="species").select(pool, 2)) == [0, 2]
    with pytest.raises(ValueError, match="classes is 'specie', and the pool has no such column; it has 'species'"):
        SamplerPrototypes(classes="specie").select(pool, 2)


@pytest.mark.parametrize(
    ("column", "message"),
    [
        ([0.5, 0.5, 1.0], "column 'class' holds fractions; expected strings, whole numbers, or shares"),
        ([[0.5, 0.5], [0.5, -0.1], [1.0, 0.0]], r"column 'class' of '1' is \[0.5, -0.1\]; expected shares of 0 or more"),
        ([[0.5, 0.5], [0.5, 0.5], [np.nan, 0.0]], r"column 'class' of '2' is \[nan, 0.0\]"),
    ],
)
def test_a_column_without_classes_is_refused(column: npt.ArrayLike, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        SamplerPrototypes().select(pool_of(np.ones((3, 2)), [1, 2, 3], columns={"class": column}), 1)


@pytest.mark.parametrize("value", [-1.1, 1.1, math.nan, "0.7", None, True])
def test_a_similarity_that_is_no_cosine_is_refused(value: Any) -> None:
    with pytest.raises(ValueError, match=r"max_similarity is .*; expected a number from -1 to 1"):
        SamplerPrototypes(max_similarity=value)


@pytest.mark.parametrize("value", [None, "", 3])
def test_a_name_of_classes_that_is_no_name_is_refused(value: Any) -> None:
    with pytest.raises(ValueError, match=r"classes is .*; expected the name of a column of the pool"):
        SamplerPrototypes(classes=value)
