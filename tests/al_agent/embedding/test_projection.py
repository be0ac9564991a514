"""Positions in a plane: the same whatever the order of the items, and finite whatever the vectors."""

from __future__ import annotations

import warnings
from typing import Any, get_args

import numpy as np
import numpy.typing as npt
import pytest
from sklearn.decomposition import PCA

from al_agent import Embeddings
from al_agent.embedding.projection import Method, project

METHODS: tuple[Method, ...] = get_args(Method)


def named(vectors: npt.NDArray[np.floating[Any]]) -> Embeddings:
    return Embeddings([f"{row:04d}" for row in range(len(vectors))], vectors)


def skip_without(method: str) -> None:
    if method == "umap":
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            pytest.importorskip("umap")


@pytest.fixture(scope="module")
def clusters() -> Embeddings:
    """Three balls of 30 items, far from each other, in 20 dimensions."""
    rng = np.random.default_rng(0)
    return named(np.repeat(rng.normal(size=(3, 20)) * 10, 30, axis=0) + rng.normal(size=(90, 20)))


@pytest.mark.parametrize("shape", [(3, 2), (40, 7), (7, 40), (200, 200)])
def test_pca_is_that_of_scikit_learn_with_signs_of_its_own(shape: tuple[int, int]) -> None:
    vectors = np.random.default_rng(0).normal(size=shape) * np.arange(shape[1], 0, -1.0) ** 2 + 100
    reference = PCA(2, svd_solver="full").fit(vectors)
    expected = reference.transform(vectors)
    for axis, direction in enumerate(reference.components_):
        expected[:, axis] *= np.sign(direction[np.abs(direction).argmax()])
    assert project(named(vectors)).vectors == pytest.approx(expected, abs=1e-7 * np.abs(expected).max())


@pytest.mark.parametrize("method", METHODS)
def test_neighbours_stay_together_whatever_the_order_and_the_number_of_calls(method: Method, clusters: Embeddings) -> None:
    skip_without(method)
    positions = project(clusters, method)
    assert positions.item_ids == clusters.item_ids
    assert positions.vectors.shape == (90, 2)
    assert positions.vectors.dtype == np.float64
    balls = positions.vectors.reshape(3, 30, 2)
    width = np.linalg.norm(balls - balls.mean(axis=1, keepdims=True), axis=2).max()
    middles = balls.mean(axis=1)
    assert min(np.linalg.norm(middles[a] - middles[b]) for a, b in ((0, 1), (0, 2), (1, 2))) > 2 * width
    turned = project(clusters.subset(clusters.item_ids[::-1]), method)
    assert turned.subset(clusters.item_ids).vectors.tolist() == positions.vectors.tolist()


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("n", [1, 2, 3, 4])
def test_a_few_items_are_placed_as_pca_places_them(n: int, method: Method) -> None:
    embeddings = named(np.random.default_rng(n).normal(size=(n, 3)))
    positions = project(embeddings, method).vectors
    assert positions.tolist() == project(embeddings).vectors.tolist()
    between = np.linalg.norm(embeddings.vectors[0] - embeddings.vectors[-1])
    if n <= 3:  # a plane holds them all
        assert np.linalg.norm(positions[0] - positions[-1]) == pytest.approx(between)


@pytest.mark.parametrize("method", METHODS)
def test_a_handful_of_items_and_many_equal_ones_get_finite_positions(method: Method) -> None:
    skip_without(method)
    rng = np.random.default_rng(0)
    for vectors in (
        rng.normal(size=(5, 1)),
        np.repeat(rng.normal(size=(2, 4)), 10, axis=0),
        rng.normal(size=(30, 3)) * 1e150,
    ):
        positions = project(named(vectors), method).vectors
        assert np.isfinite(positions).all()
        assert positions.any()


@pytest.mark.parametrize("method", METHODS)
def test_equal_vectors_are_all_in_the_middle(method: Method) -> None:
    assert not project(named(np.full((40, 7), 3, dtype=np.float16)), method).vectors.any()


@pytest.mark.parametrize("size", [1e-300, 1e-30, 1e30, 1e300])
def test_pca_takes_numbers_of_any_size(size: float) -> None:
    vectors = np.random.default_rng(0).normal(size=(30, 4))
    assert project(named(vectors * size)).vectors / size == pytest.approx(project(named(vectors)).vectors)


def test_one_dimension_is_kept_as_it_is() -> None:
    assert project(named(np.array([[1.0], [3.0], [8.0]]))).vectors.tolist() == [[-3, 0], [-1, 0], [4, 0]]


def test_another_seed_moves_umap_and_nothing_else(clusters: Embeddings) -> None:
    skip_without("umap")
    for method, is_moved in (("pca", False), ("tsne", False), ("umap", True)):
        one, other = (project(clusters, method, seed=seed).vectors for seed in (0, 1))  # type: ignore[arg-type]
        assert np.array_equal(one, other) is not is_moved


def test_an_unknown_method_is_refused(clusters: Embeddings) -> None:
    with pytest.raises(ValueError, match="method is 'lda'; expected one of pca, tsne, umap"):
        project(clusters, "lda")  # type: ignore[arg-type]
