"""nearest_points gives what a loop over all pairs gives, to the last tie and the last bit."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from samplers import nearest
from samplers.distances import squared_distances
from samplers.nearest import nearest_points

Floats = npt.NDArray[np.floating[Any]]
Float64s = npt.NDArray[np.float64]
Kind = Callable[[np.random.Generator, int, int], Float64s]


def one_outlier(rng: np.random.Generator, n: int, d: int) -> Float64s:
    vectors = rng.normal(size=(n, d))
    vectors[n // 2] *= 1e14
    return vectors


KINDS: dict[str, Kind] = {
    "random": lambda rng, n, d: rng.normal(size=(n, d)),
    "grid with ties": lambda rng, n, d: rng.integers(-1, 2, size=(n, d)).astype(np.float64),
    "duplicates": lambda rng, n, d: rng.normal(size=(7, d))[rng.integers(0, 7, size=n)],
    "all equal": lambda rng, n, d: np.full((n, d), 0.3),
    "offset 1e4": lambda rng, n, d: rng.normal(size=(n, d)) + 1e4,
    "offset 1e6": lambda rng, n, d: rng.normal(size=(n, d)) + 1e6,
    "one outlier": one_outlier,
    "tiny": lambda rng, n, d: rng.normal(size=(n, d)) * 1e-30,
    "too tiny for singles": lambda rng, n, d: rng.normal(size=(n, d)) * 1e-90,
    "huge": lambda rng, n, d: rng.normal(size=(n, d)) * 1e30,
}


def naive(vectors: Floats, points: Floats) -> tuple[list[int], list[float]]:
    """Every row against every point, the first of equals kept."""
    places, found = [], []
    for row in range(len(vectors)):
        squared = squared_distances(points, np.arange(len(points)), vectors[row])
        places.append(int(squared.argmin()))
        found.append(float(squared.min()))
    return places, found


def assert_naive(vectors: Floats, points: Floats) -> None:
    places, squared = nearest_points(vectors, points)
    assert (places.tolist(), squared.tolist()) == naive(vectors, points)
    assert (places.dtype.str[1:], squared.dtype.str[1:]) == ("i8", "f8")


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("d", [1, 2, 40, 70])
@pytest.mark.parametrize("kind", KINDS)
def test_nearest_points_are_those_of_the_loop(kind: str, d: int, dtype: npt.DTypeLike) -> None:
    rng = np.random.default_rng(d)
    vectors = KINDS[kind](rng, 150, d)
    with np.errstate(under="ignore"):
        rows = vectors.astype(dtype)
    assert_naive(rows[:90], rows[90:])
    assert_naive(rows, rows[::-3])  # points that are rows
    assert_naive(rows, rows[:1])  # one point
    assert_naive(rows[:1], rows)  # one row


@pytest.mark.parametrize("dtype", ["f2", ">f4", "longdouble"])
def test_other_float_types(dtype: str) -> None:
    vectors = (np.random.default_rng(1).normal(size=(120, 9)) * 50).astype(dtype)
    assert_naive(vectors[:80], vectors[80:])


def test_points_may_be_finer_than_the_rows() -> None:
    rng = np.random.default_rng(2)
    assert_naive(rng.normal(size=(60, 5)).astype(np.float32), rng.normal(size=(20, 5)))


def test_points_far_from_all_rows_and_near_each_other() -> None:
    rng = np.random.default_rng(3)
    assert_naive(rng.normal(size=(60, 5)), 1e5 + rng.normal(size=(30, 5)) * 1e-6)


@pytest.mark.parametrize(("points_per_block", "pairs_per_block"), [(1, 1), (1, 1 << 20), (7, 50), (512, 1), (16, 3000)])
@pytest.mark.parametrize("kind", ["random", "grid with ties", "duplicates", "offset 1e6", "one outlier"])
def test_block_sizes_change_nothing(
    kind: str, points_per_block: int, pairs_per_block: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    vectors = KINDS[kind](np.random.default_rng(4), 260, 12)
    expected = naive(vectors[:200], vectors[200:])
    monkeypatch.setattr(nearest, "_POINTS_PER_BLOCK", points_per_block)
    monkeypatch.setattr(nearest, "_PAIRS_PER_BLOCK", pairs_per_block)
    places, squared = nearest_points(vectors[:200], vectors[200:])
    assert (places.tolist(), squared.tolist()) == expected


def test_more_points_than_a_block_with_equals_in_different_blocks() -> None:
    assert nearest._POINTS_PER_BLOCK < 1300
    rng = np.random.default_rng(5)
    points = rng.normal(size=(1300, 6)).astype(np.float32)
    points[600], points[1299] = points[3], points[700]
    vectors = np.concatenate([points[[600, 3, 1299, 700]], rng.normal(size=(60, 6)).astype(np.float32)])
    assert_naive(vectors, points)
    assert nearest_points(vectors[:4], points)[0].tolist() == [3, 3, 700, 700]


def test_more_pairs_than_a_block() -> None:
    rng = np.random.default_rng(6)
    points = rng.integers(0, 40, size=(500, 2)).astype(np.float32)
    vectors = rng.integers(0, 40, size=(3 * nearest._PAIRS_PER_BLOCK // 1000, 2)).astype(np.float32)
    assert len(vectors) * len(points) > nearest._PAIRS_PER_BLOCK
    places, squared = nearest_points(vectors, points)
    all_pairs = ((vectors[:, None].astype(np.int64) - points[None].astype(np.int64)) ** 2).sum(axis=2)
    assert places.tolist() == all_pairs.argmin(axis=1).tolist()
    assert squared.tolist() == all_pairs.min(axis=1).tolist()
