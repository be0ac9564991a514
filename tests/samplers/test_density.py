"""Density: exact distances to the nearest of other rows, and a guard that finds outliers, alone or in tight groups."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from samplers import Pool, SamplerCoreset, density
from samplers.density import nearest_distances, neighbour_distances, sparsest, typicality
from samplers.distances import squared_distances

Floats = npt.NDArray[np.floating[Any]]
Rows = npt.NDArray[np.int64]

many = settings(max_examples=50, deadline=None, derandomize=True, database=None)


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def naive_distances(vectors: Floats, rows: Rows, others: Rows, n_neighbours: int) -> Floats:
    """Sort all differences in float64, leave out the row itself, fill up with infinity."""
    exact = vectors.astype(np.float64)
    result = []
    for row in rows.tolist():
        found = sorted(np.sqrt(((exact[row] - exact[other]) ** 2).sum()) for other in others.tolist() if other != row)
        result.append([*found, *[np.inf] * n_neighbours][:n_neighbours])
    return np.array(result).reshape(len(rows), n_neighbours)


def drawn(seed: int, n: int, n_drawn: int) -> Rows:
    return rng(seed).choice(n, min(n, n_drawn), replace=False)


@many
@given(
    seed=st.integers(0, 10**6),
    n=st.integers(1, 60),
    d=st.integers(1, 70),
    k=st.integers(1, 8),
    kind=st.sampled_from(["normal", "grid", "far", "tiny", "half", "one far row"]),
)
def test_distances_are_those_of_sorting_all_differences(seed: int, n: int, d: int, k: int, kind: str) -> None:
    vectors: Floats = rng(seed).normal(size=(n, d)).astype(np.float32)
    if kind == "grid":
        vectors = rng(seed).integers(0, 2, size=(n, d)).astype(np.float32)
    elif kind == "far":
        vectors = vectors + np.float32(10_000)
    elif kind == "tiny":
        vectors = vectors.astype(np.float64) * 1e-140
    elif kind == "half":
        vectors = vectors.astype(np.float16)
    elif kind == "one far row":
        vectors[0] = 1e15
    rows, others = drawn(seed + 1, n, 30), drawn(seed + 2, n, 40)
    np.testing.assert_allclose(
        nearest_distances(vectors, rows, others, k), naive_distances(vectors, rows, others, k), rtol=1e-12, atol=0
    )


def counted(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """A list that grows by the number of pairs that are measured."""
    measured: list[int] = []

    def count(vectors: Floats, rows: Rows, others: Rows) -> Floats:
        measured.append(len(rows))
        return squared_distances(vectors, rows, others)

    monkeypatch.setattr(density, "squared_distances", count)
    return measured


def test_blocks_change_no_bit_and_the_matrix_product_rules_out_nearly_all(monkeypatch: pytest.MonkeyPatch) -> None:
    vectors = rng().normal(size=(3000, 16)).astype(np.float32)
    rows, others = np.arange(3000), np.arange(0, 3000, 3)
    measured = counted(monkeypatch)
    expected = nearest_distances(vectors, rows, others, 5)
    assert 6 * 3000 <= sum(measured) < 1.01 * 6 * 3000
    monkeypatch.setattr(density, "_PAIRS_PER_BLOCK", 5000)
    np.testing.assert_array_equal(nearest_distances(vectors, rows, others, 5), expected)
    np.testing.assert_allclose(expected[:40], naive_distances(vectors, rows[:40], others, 5), rtol=1e-12)


def test_a_thousand_copies_are_measured_once(monkeypatch: pytest.MonkeyPatch) -> None:
    vectors = np.repeat(np.array([[0.0], [-0.0], [3.0]]), 1000, axis=0)
    measured = counted(monkeypatch)
    found = nearest_distances(vectors, np.arange(3000), np.arange(3000), 4)
    assert not found.any()
    assert sum(measured) == 3000 * 2


def test_neighbour_distances_are_those_to_the_drawn_rows() -> None:
    vectors = rng().normal(size=(200, 3))
    exact = neighbour_distances(vectors, np.arange(200), rng(), n_neighbours=4)
    np.testing.assert_allclose(exact, naive_distances(vectors, np.arange(200), np.arange(200), 4)[:, 3], rtol=1e-12)
    sampled = neighbour_distances(vectors, np.arange(200), rng(), n_neighbours=4, n_landmarks=50)
    assert (sampled >= exact).all()
    assert np.corrcoef(sampled, exact)[0, 1] > 0.8
    order = rng(3).permutation(200)
    moved = neighbour_distances(vectors[order], np.arange(200), rng(), n_landmarks=50, order=np.argsort(order))
    expected = neighbour_distances(vectors, np.arange(200), rng(), n_landmarks=50)
    np.testing.assert_array_equal(moved, expected[order])


@pytest.mark.parametrize("n_landmarks", [1, 2, 1024])
def test_tiny_pools_have_finite_distances_and_typicality(n_landmarks: int) -> None:
    for vectors in (np.array([[2.0]]), np.array([[0.0], [3.0]]), np.ones((7, 2))):
        rows = np.arange(len(vectors))
        assert np.isfinite(neighbour_distances(vectors, rows, rng(), n_landmarks=n_landmarks)).all()
        values = typicality(vectors, rng(), n_landmarks=n_landmarks)
        assert ((values > 0) & (values <= 1)).all()
    assert neighbour_distances(np.array([[0.0], [3.0]]), np.arange(2), rng(), n_landmarks=2).tolist() == [3.0, 3.0]


def with_outliers(n: int, group: int, seed: int, distance: float) -> tuple[Floats, set[int]]:
    """100 clusters and 1% of rows far from all, in tight groups of `group` rows, at random places of the pool."""
    draw = rng(seed)
    n_out = n // 100
    middles = draw.normal(size=(100, 32))
    vectors = middles[draw.integers(100, size=n)] + 0.2 * draw.normal(size=(n, 32))
    rows = draw.choice(n, n_out, replace=False)
    ways = draw.normal(size=(-(-n_out // group), 32))
    ways *= distance / np.linalg.norm(ways, axis=1, keepdims=True)
    vectors[rows] = np.repeat(ways, group, axis=0)[:n_out] + 0.01 * draw.normal(size=(n_out, 32))
    return vectors.astype(np.float32), set(rows.tolist())


@pytest.mark.parametrize("group", [1, 2, 3])
@pytest.mark.parametrize("distance", [20.0, 60.0])
def test_the_guard_catches_one_percent_of_outliers_alone_or_in_tight_groups(group: int, distance: float) -> None:
    vectors, outliers = with_outliers(10_000, group, seed=group, distance=distance)
    found = sparsest(vectors, 0.01, rng())
    assert len(found) == 100
    assert len(outliers & set(found.tolist())) >= 99


def test_plain_k_center_picks_the_outliers_and_not_those_behind_the_guard() -> None:
    vectors, outliers = with_outliers(4000, 2, seed=5, distance=30.0)
    pool = Pool(tuple(map(str, range(4000))), vectors=vectors)
    plain = [int(name) for name in SamplerCoreset().select(pool, 12).item_ids]
    assert len(outliers & set(plain)) == 12
    left = np.setdiff1d(np.arange(4000), sparsest(vectors, 0.01, rng()))
    guarded = SamplerCoreset().select(Pool(tuple(map(str, left.tolist())), vectors=vectors[left]), 12)
    assert not outliers & {int(name) for name in guarded.item_ids}


def test_in_a_large_pool_a_rare_cluster_is_no_outlier() -> None:
    """40 of 20,000 rows have two landmarks among 1,024, too few for five neighbours, and enough among 16,384."""
    draw = rng(7)
    vectors = draw.normal(size=(20_000, 8))
    vectors[:40] = 30 + 0.1 * draw.normal(size=(40, 8))  # rare
    vectors[40:90] = 50 * draw.normal(size=(50, 8))  # outliers
    found = set(sparsest(vectors, 0.0025, rng()).tolist())
    assert not found & set(range(40))
    assert len(found & set(range(40, 90))) >= 49
    coarse = neighbour_distances(vectors, np.arange(20_000), rng())
    assert np.median(coarse[:40]) > 10  # what the landmarks alone would say


def test_shares_are_rounded_down_and_duplicates_are_never_sparse() -> None:
    vectors = np.arange(100.0)[:, None] ** 2
    for share, n in [(0.0, 0), (0.009, 0), (0.29, 29), (0.07, 7), (1.0, 100)]:
        assert len(sparsest(vectors, share, rng())) == n
    assert sparsest(vectors, 0.03, rng()).tolist() == [97, 98, 99]
    assert sparsest(np.ones((50, 2)), 0.5, rng()).tolist() == []
    assert sparsest(np.array([[0.0], [1.0], [2.0], [3.0]]), 0.5, rng(), n_neighbours=1).tolist() == [0, 1]  # ties: lower
    for share in (-0.1, 1.5, float("nan")):
        with pytest.raises(ValueError, match=r"share is .*; expected a number from 0 to 1"):
            sparsest(vectors, share, rng())


def test_typicality_is_the_mean_of_exponentials_of_the_nearest_distances() -> None:
    vectors = rng().normal(size=(80, 4))
    distances = naive_distances(vectors, np.arange(80), np.arange(80), 20)
    expected = np.exp(-distances / distances.mean()).mean(axis=1)
    np.testing.assert_allclose(typicality(vectors, rng()), expected, rtol=1e-12)
    np.testing.assert_allclose(typicality(vectors * 1000, rng()), expected, rtol=1e-9)  # without a unit
    assert typicality(np.ones((9, 2)), rng()).tolist() == [1.0] * 9
    dense = np.concatenate([vectors * 0.01, vectors[:20] + 9])
    values = typicality(dense, rng(), n_landmarks=60)
    assert values[:80].min() > values[80:].max()
