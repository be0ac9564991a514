"""The distance of two rows is one number, and no shortcut of NearestCenters changes it."""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from samplers import nearest_centers
from samplers.nearest_centers import NearestCenters, squared_distances

Floats = npt.NDArray[np.floating[Any]]
Float64s = npt.NDArray[np.float64]
Rows = npt.NDArray[np.int64]

CENTERS_PER_BLOCK = nearest_centers._CENTERS_PER_BLOCK
PAIRS_PER_BLOCK = nearest_centers._PAIRS_PER_BLOCK
VALUES_PER_BLOCK = nearest_centers._VALUES_PER_BLOCK

many = settings(max_examples=150, deadline=None, derandomize=True, database=None)


def exact_squared(left: Floats, right: Floats) -> Fraction:
    """The true squared distance of two rows of floats, without any rounding."""
    pairs = zip(left.astype(np.float64).tolist(), right.astype(np.float64).tolist())
    return sum(((Fraction(a) - Fraction(b)) ** 2 for a, b in pairs), Fraction(0))


def all_rows(vectors: Floats) -> Rows:
    return np.arange(len(vectors))


def to_each(vectors: Floats, center: int) -> Float64s:
    """The squared distances of all rows to one of them, by the canonical arithmetic, pair by pair."""
    return squared_distances(vectors, all_rows(vectors), np.full(len(vectors), center))


def naive_nearest(vectors: Floats, centers: list[int]) -> tuple[Float64s, Rows]:
    """What NearestCenters promises: every row against every center, the first of equals kept."""
    squared = np.full(len(vectors), np.inf)
    nearest = np.full(len(vectors), -1)
    for center in centers:
        found = to_each(vectors, center)
        nearest[found < squared] = center
        squared = np.minimum(squared, found)
    return squared, nearest


def assert_same_as_naive(vectors: Floats, centers: list[int], *, in_groups_of: int | None = None) -> None:
    kept = NearestCenters(vectors)
    step = in_groups_of or max(1, len(centers))
    for start in range(0, len(centers), step):
        kept.add(np.array(centers[start : start + step], dtype=np.int64))
    squared, nearest = naive_nearest(vectors, centers)
    np.testing.assert_array_equal(kept.squared, squared)
    np.testing.assert_array_equal(kept.nearest, nearest)


# --- squared_distances ---


@pytest.mark.parametrize(
    ("left", "right", "expected"),
    [
        ([0.0], [0.0], 0.0),
        ([3.0], [-1.0], 16.0),
        ([0.0, 0.0], [3.0, 4.0], 25.0),
        ([1.0, 2.0, 3.0], [2.0, 4.0, 6.0], 14.0),
        ([1.0] * 7, [0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0], 56.0),
        ([0.0] * 513, [2.0] * 513, 2052.0),
        ([1e8, 1.0], [1e8, 4.0], 9.0),
        ([1e16], [1e16 + 2], 4.0),
    ],
)
def test_the_squared_distance_of_two_rows_by_hand(left: list[float], right: list[float], expected: float) -> None:
    vectors = np.array([left, right])
    assert squared_distances(vectors, np.array([0]), np.array([1])).tolist() == [expected]
    assert squared_distances(vectors, np.array([1]), np.array(left)).tolist() == [expected]


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.longdouble, ">f4", "<f2", ">f8"])
def test_differences_are_taken_in_float64_whatever_the_type(dtype: npt.DTypeLike) -> None:
    top = 60_000.0  # its double and its square are beyond float16
    vectors = np.array([[top, 1.0], [-top, 0.0]], dtype=dtype)
    expected = (2 * float(vectors[0, 0])) ** 2 + 1
    found = squared_distances(vectors, np.array([0, 1]), np.array([1, 0]))
    assert found.dtype == np.float64
    assert found.tolist() == [expected, expected]


@pytest.mark.parametrize("n_dimensions", [1, 2, 3, 8, 24, 63, 64, 65, 513, 1_000])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_squared_distances_are_within_a_few_roundings_of_the_truth(n_dimensions: int, dtype: npt.DTypeLike) -> None:
    rng = np.random.default_rng(n_dimensions)
    spread = 10.0 ** rng.integers(-6, 7, size=n_dimensions)
    vectors = (rng.normal(size=(12, n_dimensions)) * spread + 1e3).astype(dtype)
    left, right = np.triu_indices(12)
    found = squared_distances(vectors, left, right)
    for i, j, value in zip(left.tolist(), right.tolist(), found.tolist()):
        truth = float(exact_squared(vectors[i], vectors[j]))
        assert value == pytest.approx(truth, rel=4e-15, abs=0)
    direct = ((vectors[left].astype(np.float64) - vectors[right].astype(np.float64)) ** 2).sum(axis=1)
    np.testing.assert_allclose(found, direct, rtol=1e-12, atol=0)


def test_there_and_back_is_the_same_number() -> None:
    vectors = np.random.default_rng(1).normal(size=(60, 37)) * 10.0 ** np.random.default_rng(2).integers(-9, 9, size=37)
    there, back = (grid.ravel() for grid in np.meshgrid(all_rows(vectors), all_rows(vectors)))
    np.testing.assert_array_equal(squared_distances(vectors, there, back), squared_distances(vectors, back, there))


# Sizes on both sides of the block of squared_distances: rows a block = VALUES_PER_BLOCK // d, at least 1.
@pytest.mark.parametrize(
    ("n_pairs", "n_dimensions"),
    [
        (VALUES_PER_BLOCK + 3, 1),
        (2 * (VALUES_PER_BLOCK // 7) + 9, 7),
        (3 * (VALUES_PER_BLOCK // 513), 513),
        (5, VALUES_PER_BLOCK // 2 + 1),
        (5, VALUES_PER_BLOCK + 1),
    ],
)
def test_no_block_size_and_no_order_changes_a_bit(n_pairs: int, n_dimensions: int) -> None:
    assert n_pairs * n_dimensions > 2 * VALUES_PER_BLOCK or n_dimensions == 1
    rng = np.random.default_rng(n_dimensions)
    vectors = rng.normal(size=(min(n_pairs, 400), n_dimensions))
    left, right = rng.integers(0, len(vectors), size=(2, n_pairs))
    together = squared_distances(vectors, left, right)
    order = rng.permutation(n_pairs)
    np.testing.assert_array_equal(squared_distances(vectors, left[order], right[order]), together[order])
    for one in rng.integers(0, n_pairs, size=20).tolist():
        alone = squared_distances(vectors, left[one : one + 1], right[one : one + 1])
        assert alone.tolist() == together[one : one + 1].tolist()
        to_point = squared_distances(vectors, left[one : one + 1], vectors[right[one]])
        assert to_point.tolist() == alone.tolist()


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_a_point_is_as_far_as_a_row_that_equals_it(dtype: npt.DTypeLike) -> None:
    vectors = np.random.default_rng(3).normal(size=(500, 301)).astype(dtype)
    as_row = to_each(vectors, 7)
    np.testing.assert_array_equal(squared_distances(vectors, all_rows(vectors), vectors[7]), as_row)
    np.testing.assert_array_equal(squared_distances(vectors, all_rows(vectors), vectors[7].astype(np.float64)), as_row)


def _strided(vectors: Float64s) -> Float64s:
    wide = np.zeros((2 * len(vectors), 3 * vectors.shape[1]))
    wide[::2, ::3] = vectors
    return wide[::2, ::3]


LAYOUTS: dict[str, Callable[[Float64s], Floats]] = {
    "fortran": np.asfortranarray,
    "strided": _strided,
    "reversed twice": lambda vectors: vectors[::-1].copy()[::-1],
    "big-endian": lambda vectors: vectors.astype(">f8"),
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_layout_in_memory_does_not_matter(layout: str) -> None:
    vectors = np.random.default_rng(4).normal(size=(300, 65))
    other = LAYOUTS[layout](vectors)
    np.testing.assert_array_equal(to_each(other, 5), to_each(vectors, 5))
    first, second = NearestCenters(vectors), NearestCenters(other)
    for centers in (first, second):
        centers.add(np.array([3, 99, 200]))
    np.testing.assert_array_equal(first.squared, second.squared)
    np.testing.assert_array_equal(first.nearest, second.nearest)


def test_vectors_may_be_read_only_and_on_disk(tmp_path: Path) -> None:
    vectors = np.random.default_rng(5).normal(size=(50, 6)).astype(np.float32)
    np.save(tmp_path / "vectors.npy", vectors)
    mapped = np.load(tmp_path / "vectors.npy", mmap_mode="r")
    centers = NearestCenters(mapped)
    centers.add(np.array([1, 2]))
    np.testing.assert_array_equal(centers.squared, naive_nearest(vectors, [1, 2])[0])


def test_no_pairs_give_no_distances() -> None:
    nobody = np.array([], dtype=np.int64)
    assert squared_distances(np.ones((3, 2)), nobody, nobody).tolist() == []


# --- NearestCenters: data of all kinds, against every row meeting every center ---


def _clustered(rng: np.random.Generator, n: int, d: int) -> Float64s:
    return rng.normal(size=(20, d))[rng.integers(0, 20, size=n)] * 10 + rng.normal(size=(n, d)) * 0.01


def _outlier(rng: np.random.Generator, n: int, d: int) -> Float64s:
    vectors = rng.normal(size=(n, d))
    vectors[n // 2] += 1e12
    return vectors


def _sphere(rng: np.random.Generator, n: int, d: int) -> Float64s:
    vectors = rng.normal(size=(n, d))
    unit: Float64s = vectors / np.sqrt((vectors**2).sum(axis=1))[:, None]
    return unit


KINDS: dict[str, Callable[[np.random.Generator, int, int], Float64s]] = {
    "random": lambda rng, n, d: rng.normal(size=(n, d)),
    "clustered": _clustered,
    "grid with ties": lambda rng, n, d: rng.integers(-2, 3, size=(n, d)).astype(np.float64),
    "duplicates": lambda rng, n, d: rng.normal(size=(9, d))[rng.integers(0, 9, size=n)],
    "offset 1e4": lambda rng, n, d: rng.normal(size=(n, d)) + 1e4,
    "offset 1e6": lambda rng, n, d: rng.normal(size=(n, d)) + 1e6,
    "nearly equal": lambda rng, n, d: 1.0 + rng.normal(size=(n, d)) * 1e-7,
    "tiny": lambda rng, n, d: rng.normal(size=(n, d)) * 1e-30,
    "huge": lambda rng, n, d: rng.normal(size=(n, d)) * 1e30,
    "scales of all sizes": lambda rng, n, d: rng.normal(size=(n, d)) * 10.0 ** rng.integers(-30, 31, size=(n, 1)),
    "one outlier": _outlier,
    "all equal": lambda rng, n, d: np.full((n, d), 0.1),
    "unit sphere": _sphere,
    "one-hot": lambda rng, n, d: np.eye(d)[rng.integers(0, d, size=n)],
}


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("n_dimensions", [1, 3, 40])
@pytest.mark.parametrize("kind", KINDS)
def test_all_kinds_of_data_give_what_meeting_every_center_gives(kind: str, n_dimensions: int, dtype: npt.DTypeLike) -> None:
    rng = np.random.default_rng(6)
    vectors = KINDS[kind](rng, 260, n_dimensions).astype(dtype)
    centers = rng.choice(260, size=30, replace=False).tolist()
    for group in (1, 7, 30):
        assert_same_as_naive(vectors, centers, in_groups_of=group)


@pytest.mark.parametrize("kind", ["random", "grid with ties", "offset 1e6", "one outlier", "duplicates"])
@pytest.mark.parametrize(
    ("n_centers", "n_dimensions"),
    [(CENTERS_PER_BLOCK, 2), (2 * CENTERS_PER_BLOCK + 1, 16)],
)
def test_more_centers_and_more_rows_than_a_block_change_nothing(kind: str, n_centers: int, n_dimensions: int) -> None:
    n = 2 * (PAIRS_PER_BLOCK // CENTERS_PER_BLOCK) + 11  # three chunks of rows for a full block of centers
    assert n * 16 > VALUES_PER_BLOCK
    rng = np.random.default_rng(n_centers)
    vectors = KINDS[kind](rng, n, n_dimensions).astype(np.float32)
    assert_same_as_naive(vectors, rng.choice(n, size=n_centers, replace=False).tolist())


@pytest.mark.parametrize(("kind", "n_dimensions"), [("grid with ties", 1), ("random", 2)])
def test_more_rows_than_a_block_of_pairs_holds_change_nothing(kind: str, n_dimensions: int) -> None:
    n = PAIRS_PER_BLOCK + 5  # two chunks even for a single center
    vectors = KINDS[kind](np.random.default_rng(7), n, n_dimensions).astype(np.float32)
    assert_same_as_naive(vectors, [n - 1, 0, PAIRS_PER_BLOCK, PAIRS_PER_BLOCK - 1], in_groups_of=1)


def test_before_any_center_everything_is_infinitely_far_from_none() -> None:
    centers = NearestCenters(np.array([[1.0], [2.0]]))
    centers.add(np.array([], dtype=np.int64))
    assert centers.squared.tolist() == [math.inf, math.inf]
    assert centers.nearest.tolist() == [-1, -1]
    assert centers.mean.tolist() == [1.5]


@pytest.mark.parametrize("in_groups_of", [1, 2, 4])
def test_of_equally_near_centers_the_one_added_first_is_named(in_groups_of: int) -> None:
    vectors = np.array([[0.0], [2.0], [4.0], [1.0], [3.0], [2.0]])
    for order, expected in [
        ([0, 1, 2, 5], [0, 1, 2, 0, 1, 1]),
        ([5, 2, 1, 0], [0, 5, 2, 5, 5, 5]),
        ([2, 0, 1, 5], [0, 1, 2, 0, 2, 1]),
    ]:
        centers = NearestCenters(vectors)
        for start in range(0, 4, in_groups_of):
            centers.add(np.array(order[start : start + in_groups_of]))
        assert centers.nearest.tolist() == expected


def test_a_center_added_again_changes_nothing() -> None:
    vectors = np.random.default_rng(8).normal(size=(50, 4))
    centers = NearestCenters(vectors)
    centers.add(np.array([3, 8, 3]))
    before = centers.squared.copy(), centers.nearest.copy()
    centers.add(np.array([8]))
    np.testing.assert_array_equal(centers.squared, before[0])
    np.testing.assert_array_equal(centers.nearest, before[1])


def test_vectors_are_left_as_they_were() -> None:
    vectors = np.random.default_rng(9).normal(size=(300, 4)) + 100
    before = vectors.copy()
    NearestCenters(vectors).add(np.arange(300))
    np.testing.assert_array_equal(vectors, before)


@many
@given(
    vectors=st.one_of(
        hnp.arrays(np.float32, st.tuples(st.integers(1, 9), st.integers(1, 6)), elements=st.floats(-4, 4, width=16)),
        hnp.arrays(np.float64, st.tuples(st.integers(1, 9), st.integers(1, 6)), elements=st.integers(-3, 3).map(float)),
    ),
    data=st.data(),
)
def test_small_pools_with_many_ties_and_any_grouping(vectors: Floats, data: st.DataObject) -> None:
    centers = data.draw(st.lists(st.integers(0, len(vectors) - 1), max_size=12))
    assert_same_as_naive(vectors, centers, in_groups_of=data.draw(st.integers(1, 12)))


# --- The screen: lower bounds that rule pairs out ---


def assert_bounds_hold(vectors: Floats) -> None:
    bounds = NearestCenters(vectors)._lower_bounds(0, len(vectors), all_rows(vectors))
    for center in range(len(vectors)):
        assert (bounds[:, center] <= to_each(vectors, center)).all()


def _sized(smallest: float, largest: float) -> st.SearchStrategy[float]:
    """0, or a number of either sign with a magnitude in the range, of any exponent with equal chance."""
    exponents = st.floats(math.log10(smallest), math.log10(largest))
    return st.one_of(st.just(0.0), st.builds(lambda e, sign: sign * 10.0**e, exponents, st.sampled_from([-1.0, 1.0])))


@many
@given(hnp.arrays(np.float64, st.tuples(st.integers(1, 7), st.integers(1, 5)), elements=_sized(1e-99, 1e99)))
def test_no_bound_is_above_the_distance_whatever_the_scales(vectors: Float64s) -> None:
    assert_bounds_hold(vectors)


@many
@given(
    hnp.arrays(
        np.float32,
        st.tuples(st.integers(1, 7), st.integers(1, 5)),
        elements=st.floats(width=32, allow_nan=False, allow_infinity=False),
    )
)
def test_no_bound_is_above_the_distance_for_any_float32(vectors: Floats) -> None:
    assert_bounds_hold(vectors)


@many
@given(
    offset=_sized(1e-3, 1e12),
    spread=_sized(1e-12, 1e3),
    seed=st.integers(0, 10**6),
    n_dimensions=st.sampled_from([1, 2, 30, 700]),
    far=st.booleans(),
)
def test_no_bound_is_above_the_distance_of_near_rows_far_from_the_mean(
    offset: float, spread: float, seed: int, n_dimensions: int, far: bool
) -> None:
    rng = np.random.default_rng(seed)
    vectors = offset * rng.normal(size=n_dimensions) + spread * rng.normal(size=(12, n_dimensions))
    if far:  # two opposite clumps, so that the mean is far from both
        vectors[::2] *= -1
    assert_bounds_hold(vectors)
    assert_bounds_hold(vectors.astype(np.float32))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("n_dimensions", [1, 24, 513])
def test_no_bound_is_above_the_distance_for_all_kinds_of_data(kind: str, n_dimensions: int) -> None:
    vectors = KINDS[kind](np.random.default_rng(10), 150, n_dimensions)
    assert_bounds_hold(vectors)
    assert_bounds_hold(vectors.astype(np.float32))


@pytest.mark.parametrize("offset", [0.0, 1e6])
@pytest.mark.parametrize("scale", [1e-30, 1.0, 1e30])
def test_bounds_are_near_the_distance_or_they_would_rule_nothing_out(scale: float, offset: float) -> None:
    vectors = (np.random.default_rng(11).normal(size=(200, 64)) + offset) * scale
    bounds = NearestCenters(vectors)._lower_bounds(0, 200, all_rows(vectors))
    for center in range(200):
        truth = to_each(vectors, center)
        assert (bounds[:, center] >= truth - 1e-4 * truth.max()).all()


@pytest.mark.parametrize("scale", [1e-140, 1e-150, 1e-155, 1e-160, 1e-200, 1e-300, 1e-309, 1e-320])
def test_rows_nearer_to_each_other_than_float64_can_square_are_still_kept_right(scale: float) -> None:
    """Squares underflow to 0 on the way: then the naive definition says 0, and so must every shortcut, in silence."""
    vectors = np.random.default_rng(12).normal(size=(30, 4)) * scale
    assert_same_as_naive(vectors, [4, 2, 9], in_groups_of=1)
    assert_same_as_naive(vectors, [4, 2, 9])
