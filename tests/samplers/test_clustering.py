"""K-means: every row with its nearest center, the same clusters for any order of items, no more than distinct rows."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from samplers import Pool, clustering
from samplers import nearest as nearest_module
from samplers.clustering import cluster, rows_by_id
from samplers.distances import vectors_in

Floats = npt.NDArray[np.floating[Any]]
Labels = npt.NDArray[np.int64]

many = settings(max_examples=50, deadline=None, derandomize=True, database=None)


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def naive_labels(vectors: Floats, centers: Floats) -> list[int]:
    return [int(np.argmin([((row.astype(np.float64) - center) ** 2).sum() for center in centers])) for row in vectors]


def groups(labels: Labels) -> set[frozenset[int]]:
    return {frozenset(np.flatnonzero(labels == label).tolist()) for label in set(labels.tolist())}


@many
@given(seed=st.integers(0, 10**6), n=st.integers(1, 60), d=st.integers(1, 5), n_clusters=st.integers(1, 70))
def test_every_row_is_with_its_nearest_center_and_no_cluster_is_empty(seed: int, n: int, d: int, n_clusters: int) -> None:
    vectors = rng(seed).normal(size=(n, d)).astype(np.float32)
    labels, centers = cluster(vectors, n_clusters, rng(seed))
    assert labels.tolist() == naive_labels(vectors, centers)
    assert sorted(set(labels.tolist())) == list(range(len(centers)))
    assert centers.dtype == np.float64
    assert len(centers) <= min(n, n_clusters)


@many
@given(
    grid=st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2)), min_size=1, max_size=40),
    n_clusters=st.integers(1, 50),
    offset=st.sampled_from([0.0, 10_000.0]),
)
def test_equal_rows_share_a_cluster_and_enough_clusters_give_each_distinct_row_its_own(
    grid: list[tuple[int, int]], n_clusters: int, offset: float
) -> None:
    vectors = np.array(grid, dtype=np.float64) + offset
    labels, centers = cluster(vectors, n_clusters, rng())
    label_of: dict[tuple[int, int], int] = {}
    assert all(label_of.setdefault(point, label) == label for point, label in zip(grid, labels.tolist()))
    n_distinct = len(set(grid))
    assert len(centers) <= min(n_clusters, n_distinct)
    if n_clusters >= n_distinct:
        assert sorted(map(tuple, (centers - offset).tolist())) == sorted(set(grid))


@many
@given(seed=st.integers(0, 10**6), n=st.integers(2, 50), n_clusters=st.integers(1, 8))
def test_the_order_of_the_items_changes_no_cluster(seed: int, n: int, n_clusters: int) -> None:
    vectors = rng(seed).normal(size=(n, 3))
    moved = rng(seed + 1).permutation(n)
    labels, centers = cluster(vectors, n_clusters, rng(seed))
    # row i of the moved vectors is row moved[i]: the same items are drawn from in the same order
    other, other_centers = cluster(vectors[moved], n_clusters, rng(seed), order=np.argsort(moved))
    assert other.tolist() == labels[moved].tolist()
    np.testing.assert_array_equal(other_centers, centers)


def blobs(n_blobs: int, n_each: int, d: int, spread: float, seed: int = 0) -> Floats:
    middles = rng(seed).normal(size=(n_blobs, d))
    return (np.repeat(middles, n_each, axis=0) + spread * rng(seed + 1).normal(size=(n_blobs * n_each, d))).astype(
        np.float32
    )


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_a_hundred_tight_clusters_are_all_found(seed: int) -> None:
    vectors = blobs(100, 120, 16, 0.02)
    labels, centers = cluster(vectors, 100, rng(seed))
    assert groups(labels) == {frozenset(range(start, start + 120)) for start in range(0, 12_000, 120)}
    expected = vectors.reshape(100, 120, 16).mean(axis=1, dtype=np.float64)
    np.testing.assert_allclose(centers[labels[::120]], expected, atol=0.02)  # means of the sample, not of all rows


def test_many_clusters_on_a_sample_are_nearly_as_tight_as_longer_iterations_on_all_rows(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    vectors = rng().normal(size=(15_000, 6)).astype(np.float32)

    def cost() -> float:
        labels, centers = cluster(vectors, 600, rng(1))
        assert len(centers) == 600  # more than are thinned out
        return float(((vectors - centers[labels]) ** 2).sum())

    fast = cost()
    monkeypatch.setattr(clustering, "SMALLEST_SAMPLE", 15_000)
    assert fast < 1.12 * cost()
    random_rows = vectors[rng(2).choice(15_000, 600, replace=False)]
    _, squared = nearest_module.nearest_points(vectors, random_rows)
    assert fast < 0.9 * squared.sum()


def test_block_sizes_change_no_bit(monkeypatch: pytest.MonkeyPatch) -> None:
    vectors = blobs(20, 30, 8, 0.4)
    labels, centers = cluster(vectors, 25, rng())
    monkeypatch.setattr(nearest_module, "_POINTS_PER_BLOCK", 7)
    monkeypatch.setattr(nearest_module, "_PAIRS_PER_BLOCK", 100)
    again, other_centers = cluster(vectors, 25, rng())
    assert again.tolist() == labels.tolist()
    np.testing.assert_array_equal(other_centers, centers)


def test_a_far_offset_and_half_precision_keep_the_clusters() -> None:
    vectors = rng().integers(0, 8, size=(300, 4)).astype(np.float64)
    labels, _ = cluster(vectors, 10, rng())
    for other in (vectors + 10_000, vectors.astype(np.float16), (vectors + 10_000).astype(np.float32), vectors * 2.0**40):
        assert cluster(other, 10, rng())[0].tolist() == labels.tolist()


def test_all_rows_equal_make_one_cluster() -> None:
    labels, centers = cluster(np.full((50, 3), 0.1), 20, rng())
    assert labels.tolist() == [0] * 50
    assert centers.tolist() == [[0.1, 0.1, 0.1]]


def test_one_cluster_has_the_mean_as_its_center() -> None:
    labels, centers = cluster(np.array([[1.0], [2.0], [6.0]]), 1, rng())
    assert labels.tolist() == [0, 0, 0]
    assert centers.tolist() == [[3.0]]


def test_rows_by_id_are_the_same_items_for_any_order() -> None:
    assert rows_by_id(("b", "c", "a")).tolist() == [2, 0, 1]


def test_cosine_divides_by_lengths_and_names_a_zero_vector() -> None:
    pool = Pool(("a", "b"), vectors=np.array([[3.0, 4.0], [0.0, -2.0]]))
    assert vectors_in(pool, "euclidean") is pool.vectors
    np.testing.assert_allclose(vectors_in(pool, "cosine"), [[0.6, 0.8], [0.0, -1.0]])
    with pytest.raises(ValueError, match="embedding of 'b' is zero and has no direction"):
        vectors_in(Pool(("a", "b"), vectors=np.array([[3.0], [0.0]])), "cosine")
