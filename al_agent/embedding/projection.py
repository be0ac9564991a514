"""Positions of items in a plane, for a picture of what is alike; not for picking, which takes the vectors themselves."""

from __future__ import annotations

import warnings
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from samplers.distances import Distances, blocks

from .embeddings import Embeddings

Method = Literal["pca", "tsne", "umap"]
METHODS: dict[str, str] = {"pca": "PCA", "tsne": "t-SNE", "umap": "UMAP"}

_PERPLEXITY = 30.0
_N_NEIGHBOURS = 15
_N_BEFORE = 50  # dimensions that the two slower methods are given, as van der Maaten and Hinton did
_FEWEST = 5  # with fewer items there are no neighbourhoods to keep
_VALUES_PER_BLOCK = 1 << 22  # 32 MiB of float64


def project(embeddings: Embeddings, method: Method = "pca", *, seed: int = 0) -> Embeddings:
    """Positions of the items in a plane, so that like items are near each other.

    `pca` is a shadow: a straight projection on the two directions in which the items differ most. Distances in it are never
    longer than real ones, and far items may fall together. `tsne` and `umap` keep neighbourhoods: what is together in the
    picture is alike, and how far apart groups lie, or how wide they are, means nothing.

    Both take the first 50 principal components and start from the first two. t-SNE is scikit-learn's, with perplexity 30, or
    a third of the items if that is less; it draws nothing at random. UMAP looks at 15 neighbours. Both run on one thread,
    because with more they do not repeat themselves. Fewer than 5 items are placed by `pca`, and for UMAP also items on a
    line.

    Args:
        embeddings: n items in d dimensions. Lengths matter; for cosine distances divide the vectors by theirs first.
        method: `pca`, `tsne`, or `umap`, which is an extra.
        seed: Of `umap`; the others draw nothing.

    Returns:
        The same ids in the same order, with `(n, 2)` float64; equal vectors of `pca` are at equal positions, and all are at
        (0, 0) if all vectors are equal. Items in another order get the same positions. Signs are such that the
        largest coefficient of each principal direction is positive. Time O(n d m + m³) with m the smaller of n and d, then
        O(n log n), memory O(n + d²) beside the vectors,
        or O(n d) in float64 if d > n; t-SNE of 2,000 items takes 8 s, of 10,000 a minute;
        of many more take `pca`, or a part of them.

    Raises:
        ValueError: Another method.
        ImportError: umap-learn is not installed; `pip install "al-agent[umap]"` does it.

    Examples:
        >>> project(Embeddings(["a", "b", "c"], [[0.0, 0.0], [3.0, 4.0], [6.0, 8.0]])).vectors.round(6).tolist()
        [[-5.0, 0.0], [0.0, 0.0], [5.0, 0.0]]

    References:
        L. van der Maaten and G. Hinton, Visualizing Data using t-SNE, 2008. L. McInnes, J. Healy and J. Melville, UMAP:
        Uniform Manifold Approximation and Projection for Dimension Reduction, 2018, arXiv:1802.03426.
    """
    if method not in METHODS:
        raise ValueError(f"method is {method!r}; expected one of {', '.join(METHODS)}")
    ids = embeddings.item_ids
    order = np.array(sorted(range(len(ids)), key=ids.__getitem__))  # sums, and what follows from them, go by id
    vectors = embeddings.vectors[order]
    components, scale = _principal(vectors, 2 if method == "pca" else _N_BEFORE)
    is_line = components.shape[1] < 2 or not components[:, 1].any()
    if method == "pca" or len(ids) < _FEWEST or (is_line and (method == "umap" or not components.any())):
        found = components[:, :2] / scale
    else:
        found = (_tsne if method == "tsne" else _umap)(components / components[:, 0].std(), seed)
    positions = np.zeros((len(ids), 2))
    positions[order, : found.shape[1]] = found
    return Embeddings(ids, positions)


def _principal(vectors: npt.NDArray[np.floating[Any]], n_components: int) -> tuple[Distances, float]:
    """The first principal components `(n, k)` of rows times a power of two, which is the second result; k at least 1."""
    n, d = vectors.shape
    parts = list(blocks(n, d, _VALUES_PER_BLOCK))
    largest = max(float(np.abs(vectors[part]).max()) for part in parts)
    scale = float(np.ldexp(1.0, -int(np.clip(np.frexp(largest)[1], -1000, 1000))))  # so that all can be squared
    middle = np.zeros(d)
    for part in parts:
        middle += (vectors[part].astype(np.float64) * scale).sum(axis=0) / n

    def centred(part: slice) -> Distances:
        return vectors[part].astype(np.float64) * scale - middle

    products = np.zeros((min(n, d), min(n, d)))
    for part in parts if d <= n else [slice(None)]:
        block = centred(part)
        products += block.T @ block if d <= n else block @ block.T
    values, found = np.linalg.eigh(products)
    values, found = values[::-1][:n_components], found[:, ::-1][:, :n_components]
    if d <= n:
        directions = found
        components = np.concatenate([centred(part) @ directions for part in parts])
    else:
        directions = centred(slice(None)).T @ found
        components = found * np.sqrt(np.maximum(0, values))
    decisive = np.abs(directions).argmax(axis=0)
    signs = np.where(directions[decisive, np.arange(len(values))] < 0, -1.0, 1.0)
    is_noise = values <= max(n, d) * np.finfo(np.float64).eps * values[0]
    return np.where(is_noise, 0.0, components * signs), scale


def _start(components: Distances, spread: float) -> npt.NDArray[np.float32]:
    """The first two components times a number; the first has standard deviation 1."""
    start = np.zeros((len(components), 2), dtype=np.float32)
    start[:, : min(2, components.shape[1])] = components[:, :2] * spread
    return start


def _tsne(components: Distances, seed: int) -> Distances:
    from sklearn.manifold import TSNE  # scikit-learn takes a second to load  # noqa: PLC0415
    from threadpoolctl import threadpool_limits  # scikit-learn needs it too  # noqa: PLC0415

    perplexity = min(_PERPLEXITY, (len(components) - 1) / 3)
    method = TSNE(init=_start(components, 1e-4), perplexity=perplexity, learning_rate="auto", random_state=seed)
    with threadpool_limits(1):  # threads add up in another order, and wait for each other 1,000 times
        return np.asarray(method.fit_transform(components.astype(np.float32)), dtype=np.float64)


def _umap(components: Distances, seed: int) -> Distances:
    with warnings.catch_warnings():  # of its own imports, and of what it changes for the sake of the seed
        warnings.simplefilter("ignore")
        try:
            from umap import UMAP  # an extra, and ten seconds to load  # noqa: PLC0415
        except ImportError as problem:
            raise ImportError('umap needs umap-learn: pip install "al-agent[umap]"') from problem
        n_neighbours = min(_N_NEIGHBOURS, len(components) - 1)
        method = UMAP(n_neighbors=n_neighbours, init=_start(components, 10.0), random_state=seed, n_jobs=1)
        return np.asarray(method.fit_transform(components.astype(np.float32)), dtype=np.float64)
