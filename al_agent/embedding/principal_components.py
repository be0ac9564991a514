"""Principal components: the directions in which vectors vary most."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from samplers.distances import mean_of
from scorers.checks import row_blocks

MOST_EXACT = 2048
"""Dimensions up to which all directions are found and the best taken; a matrix of this size takes seconds."""

_VALUES_PER_BLOCK = 1 << 22  # 32 MiB of float64: large enough for matrix products


def principal_components(
    vectors: npt.NDArray[np.floating[Any]], n_dimensions: int, *, whiten: bool = False, seed: int = 0
) -> tuple[npt.NDArray[np.float32], float]:
    """Coordinates of the rows along the directions of most variance, and the share of the variance that they keep.

    The rows less their mean, `x`, go to `x @ w`, where the columns of `w` are the leading eigenvectors of `x.T @ x`. Of each
    direction the largest coordinate is positive. `n_dimensions` is at most the smaller of n and d.

    Up to `MOST_EXACT` dimensions this is exact to rounding and reads the rows in blocks, so that they may lie on disk: time
    O(n d² + d³), memory O(d² + n k). Beyond, the rows are copied to memory, and with that many rows too the directions are
    found by random projection (scikit-learn, seeded).

    Args:
        vectors: `(n, d)` finite floats.
        n_dimensions: k, how many directions to keep.
        whiten: Divide each coordinate by its standard deviation.
        seed: Of the random projection; without effect up to `MOST_EXACT` dimensions.

    Raises:
        ValueError: Whitening a direction without variance.

    References:
        Halko, Martinsson, Tropp: Finding structure with randomness, SIAM Review 53(2), 2011, arXiv:0909.4061.
    """
    n, d = vectors.shape
    scale = 1.0
    if vectors.dtype.itemsize > 4:  # squares of float64 may be beyond it
        largest_value = max(float(np.abs(vectors[rows]).max()) for rows in row_blocks(n, d))
        scale = float(2.0 ** -np.clip(np.frexp(largest_value)[1], -1000, 1000))
    mean = _mean(vectors, scale)
    if d <= MOST_EXACT:
        scatter = np.zeros((d, d))
        total = 0.0
        for rows in _blocks(n, d):
            centred = vectors[rows] * np.float64(scale) - mean
            scatter += centred.T @ centred
        squares, directions = np.linalg.eigh(scatter)
        squares, directions = np.maximum(squares[::-1], 0), directions[:, ::-1].T[:n_dimensions]
        total = float(squares.sum())
        squares = squares[:n_dimensions]
    else:
        directions, squares, total = _by_scikit_learn(vectors * np.float64(scale) - mean, n_dimensions, seed)
    largest = np.abs(directions).argmax(axis=1)
    directions = directions * np.sign(directions[np.arange(len(directions)), largest])[:, None]
    divisors = np.full(n_dimensions, scale)
    if whiten:
        varies = squares > squares.max() * np.finfo(np.float64).eps * max(n, d)
        if not varies.all():
            raise ValueError(
                f"only {int(varies.sum())} dimensions vary, so {n_dimensions} cannot be whitened; ask for fewer"
            )
        divisors = np.sqrt(squares / max(1, n - 1))
    result = np.empty((n, n_dimensions), dtype=np.float32)
    with np.errstate(over="ignore"):  # infinity is refused with the item's name
        for rows in _blocks(n, d):
            result[rows] = (vectors[rows] * np.float64(scale) - mean) @ directions.T / divisors
    return result, float(squares.sum()) / total if total > 0 else 1.0


def _mean(vectors: npt.NDArray[np.floating[Any]], scale: float) -> npt.NDArray[np.float64]:
    if scale == 1.0:
        return mean_of(vectors)
    sums = np.zeros(vectors.shape[1])
    for rows in _blocks(*vectors.shape):
        sums += (vectors[rows] * scale).sum(axis=0)
    mean: npt.NDArray[np.float64] = sums / len(vectors)
    return mean


def _blocks(n_rows: int, n_columns: int) -> list[slice]:
    step = max(1, _VALUES_PER_BLOCK // n_columns)
    return [slice(start, min(start + step, n_rows)) for start in range(0, n_rows, step)]


def _by_scikit_learn(
    centred: npt.NDArray[np.float64], n_dimensions: int, seed: int
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64], float]:
    from sklearn.decomposition import PCA  # noqa: PLC0415  # slow to load

    solver = "full" if len(centred) <= MOST_EXACT else "randomized"
    found = PCA(n_dimensions, svd_solver=solver, random_state=seed).fit(centred)
    return found.components_, found.singular_values_**2, float(np.einsum("ij,ij->", centred, centred))
