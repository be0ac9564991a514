"""Embeddings without a network: patch features learned from the user's own images, in seconds."""

from __future__ import annotations

import hashlib
from concurrent.futures import ThreadPoolExecutor
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from ..blas_threads import one_blas_thread
from ..embedder import Embedder, Fit, Images, Pixels
from ..run import checked_workers
from .patch_features import N_CELLS, Floats, PatchFilters, PatchGrid

_N_SAMPLED = 4096  # images to learn from; with 16,000 the vectors are no better
_N_PATCHES = 65_536
_N_READ = 256  # images read at once: enough to share among threads
_SAMPLES_PER_DIMENSION = 2  # with more dimensions than half the images, neighbours among 400 photos get worse
_WHITENING = 0.75  # 1 would give all directions the same weight, 0 leave them as they are
_COLOUR_WEIGHT = 2 / 255  # colours count little, but tell plain images from each other
_LEAST_LENGTH = 1e-6  # of a vector before it gets length 1: below, the image is like the mean
_LEAST_SPREAD = 1e-9  # of a direction's variance beside the squared length of the features: below, it is rounding

# Patches of 6 pixels as in the paper; of 7 on the larger copy, so that they lie symmetrically.
_GRIDS = {32: PatchGrid(32, 6, 1), 64: PatchGrid(64, 7, 3)}


class EmbedderPatches(Embedder):
    """Turns images into vectors of what their patches look like and where, learned from the images without labels.

    Images of 32 x 32 pixels are cut into overlapping patches; brightness and contrast are taken out; whitened patches are
    compared with k-means centroids; responses are averaged over a grid of 4 x 4 cells. Square roots of these, and the mean
    colours of the cells, go to the leading principal components, each divided by its standard deviation to the power of
    0.75, and to length 1. An image and its mirror image have the same vector but for rounding.

    The vector of an image depends on it alone and on what was learned, which are up to 4,096 of the images and the seed: not
    on the order of the files, on batches or on threads. All is the same to the last bit on the same machine and versions;
    elsewhere the last digits may differ.

    What was learned from other images gives vectors that cannot be compared: embed the images of a project in one run, and
    join no runs by `Embeddings.concat`, which warns of it. The description tells what was learned from.

    Few images have few dimensions: half the images learned from, and at least one. Without any difference among
    them, all vectors are `[1.0]`, and so is the one of a single image. An image exactly like the mean gets the vector
    `[1, 0, 0, ...]`.

    Args:
        side: Height and width in pixels of the images looked at: 32, or 64 for patches of both sizes, where fine texture
            matters. On street scenes 32 finds neighbours better.
        n_dimensions: d, the most dimensions of a vector.
        n_filters: Even number of centroids and their mirror images, for each size of image.
        seed: Of the images and patches sampled and of the first centroids.

    Raises:
        ValueError: Another `side`, `n_filters` odd or below 2, `n_dimensions` below 1, a negative seed.

    References:
        Coates, Ng, Lee: An analysis of single-layer networks in unsupervised feature learning. AISTATS 2011, PMLR 15.
        Coates, Ng: Learning feature representations with k-means. 2012, doi:10.1007/978-3-642-35289-8_30.

    Examples:
        >>> EmbedderPatches().description
        'patches of 32 px, 256 filters, 256 dimensions, seed 0'
    """

    fit_to_size: Fit = "stretch"
    embeds_in_threads: ClassVar[bool] = True

    def __init__(self, *, side: int = 32, n_dimensions: int = 256, n_filters: int = 256, seed: int = 0) -> None:
        if side not in _GRIDS:
            raise ValueError(f"side is {side}; expected one of {', '.join(map(str, _GRIDS))}")
        if n_filters < 2 or n_filters % 2:
            raise ValueError(f"n_filters is {n_filters}; expected an even number from 2: each filter has its mirror image")
        if n_dimensions < 1:
            raise ValueError(f"n_dimensions is {n_dimensions}; expected 1 or more")
        if seed < 0:
            raise ValueError(f"seed is {seed}; expected 0 or more")
        self.side, self.n_dimensions, self.n_filters, self.seed = side, n_dimensions, n_filters, seed
        self.size = (side, side)
        self._filters: tuple[PatchFilters, ...] = ()
        self._learned_from = ""
        self._mean: Floats = np.empty(0, dtype=np.float32)
        self._directions: Floats = np.empty((0, 0), dtype=np.float32)

    @property
    def description(self) -> str:
        """Method, size, seed, and the digest of the images learned from."""
        made = f"patches of {self.side} px, {self.n_filters} filters, {self.n_dimensions} dimensions, seed {self.seed}"
        return f"{made}{self._learned_from}"

    def fit(self, images: Images) -> None:
        """Learn filters and principal components from up to 4,096 images.

        Time and memory do not grow with more images than these: about 0.2 GB, twice that with `side=64`.

        Raises:
            ValueError: None of the sampled images can be read.
        """
        rng = np.random.default_rng(self.seed)
        sample = self._sample(images, rng)
        with one_blas_thread(), ThreadPoolExecutor(checked_workers(None)) as pool:
            self._filters = tuple(
                PatchFilters.learn(grid, _patches(sample, grid, rng), self.n_filters, rng)
                for side, grid in _GRIDS.items()
                if side <= self.side
            )
            features = np.stack(list(pool.map(self._features, sample)))
            self._mean = features.mean(axis=0, dtype=np.float64).astype(np.float32)
            self._directions = _whitening_directions(features, self._mean, self.n_dimensions, self.seed)
        digest = hashlib.sha256(sample.tobytes()).hexdigest()[:16]
        self._learned_from = f", learned from {len(sample):,} images {digest}"

    def embed(self, pixels: Pixels) -> npt.NDArray[np.float32]:
        """Vectors `(b, d)` of length 1 of `(b, side, side, 3)` pixels, each of its own image alone.

        Raises:
            ValueError: `fit` was not called, or the pixels have another shape or type.
        """
        if not self._filters:
            raise ValueError("this embedder has learned nothing yet; call fit(images) first")
        if pixels.dtype != np.uint8 or pixels.ndim != 4 or pixels.shape[1:] != (*self.size, 3):
            raise ValueError(
                f"pixels are {pixels.dtype} of shape {pixels.shape}; "
                f"expected uint8 of shape (b, {self.side}, {self.side}, 3)"
            )
        vectors = np.empty((len(pixels), self._directions.shape[1]), dtype=np.float32)
        with one_blas_thread():  # and one image at a time: products of another shape may differ in the last bits
            for row, image in enumerate(pixels):
                vectors[row] = (self._features(image) - self._mean) @ self._directions
        lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
        is_mean = lengths < _LEAST_LENGTH
        first = np.arange(vectors.shape[1]) == 0
        return np.where(is_mean, first, vectors / np.where(is_mean, 1, lengths)).astype(np.float32)

    def _sample(self, images: Images, rng: np.random.Generator) -> Pixels:
        """Images at random, whatever their order."""
        by_id = np.array(sorted(range(len(images)), key=images.item_ids.__getitem__), dtype=np.int64)
        if len(by_id) > _N_SAMPLED:
            by_id = by_id[np.sort(rng.choice(len(by_id), _N_SAMPLED, replace=False))]
        starts = range(0, len(by_id), _N_READ)
        batches = [images.read(by_id[start : start + _N_READ].tolist(), self.size, self.fit_to_size) for start in starts]
        sample = np.concatenate([batch.pixels for batch in batches]) if batches else np.empty((0,), dtype=np.uint8)
        if not len(sample):
            reasons = [f"; the first, {images.item_ids[row]!r}, {why}" for b in batches for row, why in b.failed.items()]
            raise ValueError(f"none of {len(by_id):,} images can be read{''.join(reasons[:1])}; expected some to learn from")
        return sample

    def _features(self, image: Pixels) -> Floats:
        """The features of an image before they are reduced."""
        parts = [filters.features(_reduced(image, filters.grid.side)) for filters in self._filters]
        colours = _reduced(image, N_CELLS)
        colours = (colours + colours[:, ::-1])[:, : N_CELLS // 2] * np.float32(_COLOUR_WEIGHT)
        return np.concatenate([*parts, colours.ravel()])


def _reduced(image: Pixels, side: int) -> Floats:
    """An image reduced to `side`, which divides its own; whole sums are exact, so that nothing depends on their order."""
    n = len(image) // side
    sums = image.reshape(side, n, side, n, 3).sum(axis=(1, 3), dtype=np.int64)
    means: Floats = (sums / (n * n)).astype(np.float32)
    return means


def _patches(sample: Pixels, grid: PatchGrid, rng: np.random.Generator) -> Floats:
    """Patches at random places of a copy of each image of the sample: as many of each."""
    n_each = min(-(-_N_PATCHES // len(sample)), grid.n_along**2)
    corners = rng.integers(0, grid.side - grid.patch + 1, size=(len(sample), n_each, 2))
    patches = np.empty((len(sample), n_each, grid.patch, grid.patch, 3), dtype=np.float32)
    for image, places, found in zip(sample, corners, patches):
        small = _reduced(image, grid.side)
        windows = np.lib.stride_tricks.sliding_window_view(small, (grid.patch, grid.patch), axis=(0, 1))
        found[:] = windows[places[:, 0], places[:, 1]].transpose(0, 2, 3, 1)
    return patches.reshape(len(sample) * n_each, -1)


def _whitening_directions(features: Floats, mean: Floats, n_dimensions: int, seed: int) -> Floats:
    """`(f, d)`: principal components, divided by a power of the standard deviation along them."""
    from sklearn.decomposition import PCA  # late: it takes a second  # noqa: PLC0415

    n = len(features)
    at_most = max(1, min(n_dimensions, n // _SAMPLES_PER_DIMENSION, features.shape[1]))
    least = _LEAST_SPREAD * float(mean @ mean)
    if n < 2 or float(features.var(axis=0, dtype=np.float64).sum()) <= least:
        return np.zeros((features.shape[1], 1), dtype=np.float32)
    found = PCA(at_most, svd_solver="randomized", iterated_power=4, random_state=seed).fit(features)
    variances = found.explained_variance_
    kept = max(1, int((variances > least).sum()))
    scales = variances[:kept] ** (-_WHITENING / 2)
    return np.ascontiguousarray((found.components_[:kept] * scales[:, None]).T, dtype=np.float32)
