"""Features of small square patches, learned from the images themselves with spherical k-means."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]

N_CELLS = 4
"""Cells along each side of the grid in which responses are averaged."""

# Coates and Ng (2012), for pixels from 0 to 255: added to a patch's variance, and to the variances before whitening.
_LEAST_VARIANCE = 10.0
_WHITENING_FLOOR = 0.1
_THRESHOLD = 0.25  # what a response must exceed, in units of a whitened patch along a centroid of length 1
_N_ROUNDS = 10


@dataclass(frozen=True)
class PatchGrid:
    """Where the patches of a square image lie.

    Args:
        side: Of the image, in pixels.
        patch: Side of a patch in pixels.
        stride: From patch to patch, in pixels. It divides `side - patch`, so that the patches of an image and of its
            mirror image lie on each other.
    """

    side: int
    patch: int
    stride: int

    def __post_init__(self) -> None:
        if self.patch < 1 or self.stride < 1 or self.patch > self.side or (self.side - self.patch) % self.stride:
            raise ValueError(
                f"patches of {self.patch} pixels each {self.stride} pixels do not fill a side of {self.side} pixels; "
                "expected a stride that divides side - patch"
            )
        if self.n_along < N_CELLS:
            raise ValueError(f"{self.n_along} patches along a side; expected {N_CELLS} or more, one for each cell")

    @property
    def n_along(self) -> int:
        """How many patches lie along each side."""
        return (self.side - self.patch) // self.stride + 1

    @property
    def cells(self) -> Floats:
        """`(N_CELLS, n_along)` weights that average over each cell; at their borders cells share a row of patches."""
        edges = np.arange(N_CELLS + 1) * self.n_along
        place = np.arange(self.n_along)
        first, end = edges[:-1] // N_CELLS, -(-edges[1:] // N_CELLS)
        is_in = (place >= first[:, None]) & (place < end[:, None])
        weights: Floats = (is_in / is_in.sum(axis=1, keepdims=True)).astype(np.float32)
        return weights

    def patches(self, image: Floats) -> Floats:
        """`(n_along ** 2, patch * patch * 3)` pixels of all patches of an image `(side, side, 3)`, not normalised."""
        windows = np.lib.stride_tricks.sliding_window_view(image, (self.patch, self.patch), axis=(0, 1))
        return windows[:: self.stride, :: self.stride].transpose(0, 1, 3, 4, 2).reshape(self.n_along**2, -1)


def normalised(patches: Floats) -> Floats:
    """Patches `(n, p)` without their brightness and contrast: less their mean, divided by `sqrt(variance + 10)`.

    Args:
        patches: Pixels from 0 to 255, overwritten.

    Examples:
        >>> normalised(np.array([[7, 7, 7, 7], [0, 0, 255, 255]], dtype=np.float32)).round(1).tolist()
        [[0.0, 0.0, 0.0, 0.0], [-1.0, -1.0, 1.0, 1.0]]
    """
    patches -= patches.mean(axis=1, keepdims=True)
    variances = np.einsum("ij,ij->i", patches, patches) / patches.shape[1]
    patches /= np.sqrt(variances + _LEAST_VARIANCE)[:, None]
    return patches


@dataclass(frozen=True, eq=False)
class PatchFilters:
    """Filters for the patches of a grid.

    A filter's response to a normalised patch x is `max(0, c · W (x - m) - 0.25)`, where W and m whiten the patches (ZCA) and
    c is a centroid of length 1. Responses are averaged in each cell of a grid, those of a filter and of its mirror image are
    added where an image and its mirror image would have them, and the square root is taken: an image and its mirror image
    have the same features.

    Args:
        grid: Where patches lie.
        weights: `(patch * patch * 3 + 1, k)`: of each filter for the pixels of a normalised patch and, in the last row, for
            a constant 1. The second half are the mirror images of the first.
    """

    grid: PatchGrid
    weights: Floats

    @property
    def n_features(self) -> int:
        """How many features an image has."""
        return N_CELLS * N_CELLS * int(self.weights.shape[1] // 2)

    @classmethod
    def learn(cls, grid: PatchGrid, patches: Floats, n_filters: int, rng: np.random.Generator) -> PatchFilters:
        """Filters from patches of the images to embed. Time O(n p k) for n patches of p values and k filters.

        Args:
            grid: Where patches will lie.
            patches: `(n, patch * patch * 3)` pixels, overwritten.
            n_filters: How many, even; half of them are mirror images of the others.
            rng: Gives the first centroids.

        References:
            Coates, Ng: Learning feature representations with k-means. Neural Networks: Tricks of the Trade, 2012.
            doi:10.1007/978-3-642-35289-8_30.
        """
        shape = (grid.patch, grid.patch, 3)
        patches = normalised(patches)
        mean = patches.mean(axis=0, dtype=np.float64)
        mean = (mean + _mirrored(mean, shape)) / 2  # of the patches and their mirror images
        centred = patches - mean.astype(np.float32)
        covariance = (centred.T @ centred).astype(np.float64) / len(patches)
        covariance = (covariance + _mirrored(_mirrored(covariance, shape).T, shape)) / 2
        variances, directions = np.linalg.eigh(covariance)
        scales = 1 / np.sqrt(np.maximum(variances, 0) + _WHITENING_FLOOR)
        whiten = (directions * scales) @ directions.T
        centroids = spherical_centroids(centred @ whiten.astype(np.float32), n_filters // 2, rng)
        weights = centroids.astype(np.float64) @ whiten
        constants = -(weights @ mean) - _THRESHOLD
        both = np.concatenate([weights, _mirrored(weights.T, shape).T])
        return cls(grid, np.vstack([both.T, np.tile(constants, 2)]).astype(np.float32))

    def features(self, image: Floats) -> Floats:
        """The features `(n_features,)` of an image `(side, side, 3)` of values from 0 to 255."""
        n, k = self.grid.n_along, self.weights.shape[1]
        inputs = np.ones((n * n, len(self.weights)), dtype=np.float32)
        inputs[:, :-1] = normalised(self.grid.patches(image))
        responses = inputs @ self.weights
        np.maximum(responses, 0, out=responses)
        cells = self.grid.cells
        pooled = cells @ (cells @ responses.reshape(n, n * k)).reshape(N_CELLS, n, k)
        together = pooled[:, :, : k // 2] + pooled[:, ::-1, k // 2 :]
        features: Floats = np.sqrt(together).ravel()
        return features


def spherical_centroids(vectors: Floats, k: int, rng: np.random.Generator) -> Floats:
    """`(k, p)` centroids of length 1 of vectors `(n, p)`, each vector being with the one of largest product.

    Ten rounds from directions at random: to each centroid its vectors are added, as often as their products say, and its
    length made 1 again. One without vectors stays.
    """
    centroids = rng.standard_normal((k, vectors.shape[1])).astype(np.float32)
    centroids /= np.linalg.norm(centroids, axis=1, keepdims=True)
    for _ in range(_N_ROUNDS):
        sums = centroids.copy()
        for start in range(0, len(vectors), 4096):
            block = vectors[start : start + 4096]
            products = block @ centroids.T
            nearest = products.argmax(axis=1)
            code = products[np.arange(len(block)), nearest]
            codes = np.zeros((k, len(block)), dtype=np.float32)
            codes[nearest, np.arange(len(block))] = code
            sums += codes @ block
        lengths = np.linalg.norm(sums, axis=1, keepdims=True)
        centroids = np.where(lengths > 0, sums / np.maximum(lengths, np.float32(1e-30)), centroids)
    return centroids


def _mirrored(rows: npt.NDArray[np.float64], shape: tuple[int, int, int]) -> npt.NDArray[np.float64]:
    """The rows of an array, each for a pixel of a patch, in the order of the patch's mirror image."""
    return rows.reshape(*shape, *rows.shape[1:])[:, ::-1].reshape(rows.shape)
