"""A pool is checked once at its door, and so is a selection."""

from __future__ import annotations

import dataclasses
import math
import re
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from samplers import Pool, SamplerCoreset, SamplerUncertainty, Selection

IDS = ("a", "b", "c")


# --- Pool ---


def test_with_nothing_labeled_every_row_is_a_candidate() -> None:
    pool = Pool(IDS)
    assert len(pool) == 3
    assert (pool.is_labeled.dtype, pool.is_labeled.tolist()) == (np.dtype(bool), [False] * 3)
    assert (pool.labeled.tolist(), pool.candidates.tolist()) == ([], [0, 1, 2])
    assert (pool.scores, pool.vectors, pool.score_name) == (None, None, "score")


@settings(deadline=None, derandomize=True, database=None)
@given(st.lists(st.booleans(), max_size=20))
def test_labeled_and_candidates_part_the_rows_in_ascending_order(is_labeled: list[bool]) -> None:
    pool = Pool(tuple(map(str, range(len(is_labeled)))), np.array(is_labeled, dtype=bool))
    assert pool.labeled.tolist() == [row for row, labeled in enumerate(is_labeled) if labeled]
    assert pool.candidates.tolist() == [row for row, labeled in enumerate(is_labeled) if not labeled]
    assert pool.labeled.dtype == pool.candidates.dtype == np.int64


def test_lists_become_arrays_and_ids_become_a_tuple() -> None:
    inputs: dict[str, Any] = {
        "item_ids": list(IDS),
        "is_labeled": [True, False, False],
        "scores": [3, 2, 1],
        "vectors": [[0.5]] * 3,
    }
    pool = Pool(**inputs)
    assert pool.item_ids == IDS
    assert pool.scores is not None
    assert pool.vectors is not None
    assert (pool.scores.dtype, pool.scores.tolist()) == (np.dtype(np.float64), [3.0, 2.0, 1.0])
    assert (pool.vectors.dtype, pool.vectors.tolist()) == (np.dtype(np.float64), [[0.5]] * 3)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_vectors_keep_their_type_and_are_not_copied(dtype: npt.DTypeLike) -> None:
    vectors = np.ones((3, 2), dtype=dtype)
    assert Pool(IDS, vectors=vectors).vectors is vectors


def test_an_empty_pool_is_a_pool() -> None:
    pool = Pool((), np.array([], dtype=bool), np.array([]), np.empty((0, 4)))
    assert (len(pool), pool.candidates.tolist()) == (0, [])


def test_a_pool_cannot_be_changed() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        Pool(IDS).score_name = "other"  # type: ignore[misc]


def test_a_labeled_item_needs_no_finite_score() -> None:
    for score in (math.nan, math.inf, -math.inf):
        pool = Pool(IDS, np.array([False, True, False]), np.array([0.25, score, 0.5]))
        assert SamplerUncertainty().select(pool, 2).item_ids == ("c", "a")


POOLS: list[tuple[dict[str, Any], str]] = [
    ({"item_ids": ("a", "b", "a", "a", "b")}, "item_ids has 3 doubled ids; give each item once"),
    ({"is_labeled": [0, 1, 0]}, "is_labeled has shape (3,), type int64; expected (3,) booleans"),
    ({"is_labeled": [True, False]}, "is_labeled has shape (2,), type bool; expected (3,) booleans"),
    ({"is_labeled": [[True], [False], [True]]}, "is_labeled has shape (3, 1), type bool; expected (3,) booleans"),
    ({"is_labeled": True}, "is_labeled has shape (), type bool; expected (3,) booleans"),
    ({"scores": [0.5, 1.0]}, "scores has shape (2,), type float64; expected (3,) numbers"),
    ({"scores": [[0.5], [1.0], [0.0]]}, "scores has shape (3, 1), type float64; expected (3,) numbers"),
    ({"scores": 0.5}, "scores has shape (), type float64; expected (3,) numbers"),
    ({"scores": [0.5, math.nan, math.inf]}, "2 candidates have no finite score, the first is 'b'"),
    ({"scores": [0.5, 0.5, -math.inf]}, "1 candidates have no finite score, the first is 'c'"),
    (
        {"scores": [math.nan, math.nan, 0], "is_labeled": [True, False, False]},
        "1 candidates have no finite score, the first is 'b'",
    ),
    ({"scores": [None, 0.5, 1.0]}, "scores has shape (3,), type object; expected (3,) numbers"),
    ({"scores": ["high", "low", "low"]}, "scores has shape (3,), type <U4; expected (3,) numbers"),
    ({"vectors": np.ones((3, 2), dtype=int)}, "vectors has shape (3, 2), type int64; expected (3, d) floats"),
    ({"vectors": np.ones((3, 2), dtype=np.uint8)}, "vectors has shape (3, 2), type uint8; expected (3, d) floats"),
    ({"vectors": np.ones((3, 2), dtype=bool)}, "vectors has shape (3, 2), type bool; expected (3, d) floats"),
    ({"vectors": np.ones((3, 2), dtype=complex)}, "vectors has shape (3, 2), type complex128; expected (3, d) floats"),
    ({"vectors": np.ones((3, 2), dtype=object)}, "vectors has shape (3, 2), type object; expected (3, d) floats"),
    ({"vectors": np.ones((3, 0))}, "vectors has shape (3, 0), type float64; expected (3, d) floats"),
    ({"vectors": np.ones((2, 4))}, "vectors has shape (2, 4), type float64; expected (3, d) floats"),
    ({"vectors": np.ones(3)}, "vectors has shape (3,), type float64; expected (3, d) floats"),
    ({"vectors": np.ones((3, 2, 2))}, "vectors has shape (3, 2, 2), type float64; expected (3, d) floats"),
]


@pytest.mark.parametrize(("changed", "message"), POOLS, ids=str)
def test_a_pool_that_does_not_fit_together_is_refused(changed: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        Pool(**({"item_ids": IDS} | changed))


def test_a_vector_that_is_not_finite_is_refused_before_anything_is_picked() -> None:
    """At the pool's door or at select's, and by name."""
    vectors = np.ones((3, 2))
    vectors[1, 1] = np.nan
    with pytest.raises(ValueError, match="the embedding of 'b' holds NaN"):
        SamplerCoreset().select(Pool(IDS, vectors=vectors), 1)


# --- Selection ---


def test_a_selection_holds_parallel_values() -> None:
    selection = Selection(["b", "a"], [0.5, 0.25], ["first", "second"], "M", "short")  # type: ignore[arg-type]
    assert len(selection) == 2
    assert selection.item_ids == ("b", "a")
    assert (selection.gains.dtype, selection.gains.tolist()) == (np.dtype(np.float64), [0.5, 0.25])
    assert selection.reasons == ("first", "second")
    assert (selection.method, selection.note) == ("M", "short")


def test_a_selection_may_be_empty_and_cannot_be_changed() -> None:
    selection = Selection((), np.array([]), ())
    assert (len(selection), selection.method, selection.note) == (0, "", "")
    with pytest.raises(dataclasses.FrozenInstanceError):
        selection.note = "other"  # type: ignore[misc]


@pytest.mark.parametrize(
    ("ids", "gains", "reasons", "message"),
    [
        (("a", "a", "a"), [1, 1, 1], ("x",) * 3, "item_ids has 2 doubled ids; a batch holds each item once"),
        (("a", "b"), [1], ("x", "x"), "2 item ids, gains (1,), 2 reasons; expected one of each"),
        (("a", "b"), [1, 1], ("x",), "2 item ids, gains (2,), 1 reasons; expected one of each"),
        (("a", "b"), [[1, 1]], ("x", "x"), "2 item ids, gains (1, 2), 2 reasons; expected one of each"),
        ((), [1], (), "0 item ids, gains (1,), 0 reasons; expected one of each"),
    ],
)
def test_a_selection_that_does_not_fit_together_is_refused(ids: Any, gains: Any, reasons: Any, message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        Selection(ids, gains, reasons)


@pytest.mark.parametrize(
    ("n_items", "method", "expected"),
    [
        (0, "RANDOM", "Selection(0 items by RANDOM, best first: )"),
        (1, "RANDOM", "Selection(1 items by RANDOM, best first: '0')"),
        (3, "", "Selection(3 items by unknown, best first: '0', '1', '2')"),
        (4, "CORAL", "Selection(4 items by CORAL, best first: '0', '1', '2', ...)"),
        (12_345, "CORAL", "Selection(12,345 items by CORAL, best first: '0', '1', '2', ...)"),
    ],
)
def test_a_selection_shows_its_size_method_and_best_items(n_items: int, method: str, expected: str) -> None:
    ids = tuple(map(str, range(n_items)))
    assert repr(Selection(ids, np.zeros(n_items), ("x",) * n_items, method)) == expected
