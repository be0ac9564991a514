"""For every row its nearest point among many, exactly, by matrix products with a proven bound on their error."""

from __future__ import annotations

import numpy as np

from .distances import Distances, Rows, blocks, nearest_of_each, squared_distances, unit_scale
from .pool import Vectors

_POINTS_PER_BLOCK = 512
_PAIRS_PER_BLOCK = 1 << 20


def nearest_points(vectors: Vectors, points: Vectors) -> tuple[Rows, Distances]:
    """The nearest point of every row, ties to the first point, and its squared distance.

    Args:
        vectors: `(n, d)` finite floats.
        points: `(p, d)` finite floats, at least one.

    Returns:
        `(n,)` indices of points and `(n,)` squared distances, as `squared_distances` defines them: the same on every machine
        and for every block size. Time O(n p d) in matrix products, memory O(n + p d).

    Examples:
        >>> nearest_points(np.array([[0.0], [4.0]]), np.array([[1.0], [3.0], [5.0]]))
        (array([0, 1]), array([1., 1.]))
    """
    n, n_dimensions = vectors.shape
    nearest: Rows = np.zeros(n, dtype=np.int64)
    squared: Distances = np.full(n, np.inf)
    middle = points.mean(axis=0, dtype=np.float64)
    for first in range(0, len(points), _POINTS_PER_BLOCK):
        block = points[first : first + _POINTS_PER_BLOCK]
        centred = block - middle
        lengths = np.einsum("ij,ij->i", centred, centred)
        for part in blocks(n, max(len(block), n_dimensions), _PAIRS_PER_BLOCK):
            rows = vectors[part] - middle
            norms = np.einsum("ij,ij->i", rows, rows)
            # A float32 product errs by at most d 2**-24 |x| |c|, rounding its factors by 2 * 2**-24 |x| |c|; |x| |c| is at
            # most the mean of the squares. Four times that is allowed for.
            largest = max(float(np.abs(rows).max()), float(np.abs(centred).max()))
            scale = unit_scale(largest)
            products = (rows * scale).astype(np.float32) @ (centred * scale).astype(np.float32).T
            distances = norms[:, None] + lengths - (2 / scale**2) * products.astype(np.float64)
            slack = 4 * (n_dimensions + 8) * 2.0**-24
            errors = slack * (norms[:, None] + lengths) + n_dimensions * 1e-40 / scale**2
            best = distances + errors
            limits = np.minimum(best.min(axis=1), squared[part])
            row, column = np.nonzero(distances - errors <= limits[:, None])
            found = squared_distances(vectors, row + part.start, block[column])
            row, column, found = nearest_of_each(row + part.start, column, found)
            nearer = found < squared[row]
            squared[row[nearer]] = found[nearer]
            nearest[row[nearer]] = column[nearer] + first
    return nearest, squared
