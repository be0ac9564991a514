"""For every row, the distance to its nearest center: exact, whatever shortcut found it.

One function defines the distance of two rows: `squared_distances`, float64 differences, squared and summed in a fixed
order by elementwise operations only, so that block sizes, threads and processors never change a bit. Matrix products
are used to rule pairs out, with a proven bound on their error, and never to decide. Expanding `a² + b² - 2ab` and trusting
it, as is common, loses all digits for data far from the origin.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from .pool import Vectors

Rows = npt.NDArray[np.int64]
Distances = npt.NDArray[np.float64]

_CENTERS_PER_BLOCK = 256
_PAIRS_PER_BLOCK = 1 << 20
_VALUES_PER_BLOCK = 1 << 17  # 1 MiB of float64 stays in a core's own cache


def squared_distances(vectors: Vectors, rows: Rows, others: Rows | Vectors) -> Distances:
    """The squared Euclidean distance of rows pair by pair, in one arithmetic that is the same everywhere.

    Args:
        vectors: `(n, d)` finite floats.
        rows: `(p,)` rows.
        others: `(p,)` rows, or one point `(d,)` in floats.

    Returns:
        `(p,)` float64; differences whose squares float64 cannot hold, below about 1e-162, count as 0. Time O(p d), memory
        O(p).
    """
    n_dimensions = vectors.shape[1]
    result = np.empty(len(rows))
    step = max(1, _VALUES_PER_BLOCK // n_dimensions)
    for start in range(0, len(rows), step):
        part = slice(start, start + step)
        left = vectors[rows[part]].T
        right = others[:, None] if others.dtype.kind == "f" else vectors[others[part]].T
        squares = np.subtract(left, right, dtype=np.float64, order="C")
        squares *= squares
        width = n_dimensions
        while width > 1:  # a tree sum by halves
            half = (width + 1) // 2
            squares[: width - half] += squares[half:width]
            width = half
        result[part] = squares[0]
    return result


class NearestCenters:
    """Keeps, for each of n rows, the squared distance to the nearest center added so far, and which that is.

    Args:
        vectors: `(n, d)` finite floats. A centred float32 copy is kept beside them.

    Examples:
        >>> centers = NearestCenters(np.array([[0.0], [1.0], [5.0]]))
        >>> centers.add(np.array([0]))
        >>> centers.squared.tolist(), centers.nearest.tolist()
        ([0.0, 1.0, 25.0], [0, 0, 0])
    """

    def __init__(self, vectors: Vectors) -> None:
        n, n_dimensions = vectors.shape
        self.squared: Distances = np.full(n, np.inf)
        self.nearest: Rows = np.full(n, -1, dtype=np.int64)
        self._vectors = vectors
        self.mean: Distances = np.add.reduce(vectors, axis=0, dtype=np.float64) / n
        # The screen: float32 rows around the mean, scaled by a power of two so that nothing leaves the range of float32.
        # A product of two such rows, however it is summed, errs by at most d 2**-24 |x| |c|; rounding the rows and their
        # norms adds less than 8 more of these units. Four times that is allowed for.
        self._tolerance = 4 * (n_dimensions + 8) * 2.0**-24
        self._floor = n_dimensions * 1e-40  # products of denormal numbers
        largest = max(
            float(np.abs(vectors.max(axis=0) - self.mean).max()), float(np.abs(vectors.min(axis=0) - self.mean).max())
        )
        self._scale = 2.0 ** -np.clip(np.ceil(np.log2(largest)), -400, 400) if largest > 0 else 1.0
        self._screen = np.empty((n, n_dimensions), dtype=np.float32)
        self._norms = np.empty(n)
        step = max(1, _VALUES_PER_BLOCK // n_dimensions)
        for start in range(0, n, step):
            part = slice(start, start + step)
            self._screen[part] = (vectors[part] - self.mean) * self._scale
            rounded = self._screen[part].astype(np.float64)
            self._norms[part] = np.einsum("ij,ij->i", rounded, rounded)

    def add(self, centers: Rows) -> None:
        """Let every row meet these new centers; of equally near centers the one added first stays the nearest.

        Time O(n d) for each center, in matrix products of up to 256 centers. Memory O(n).
        """
        for first in range(0, len(centers), _CENTERS_PER_BLOCK):
            block = centers[first : first + _CENTERS_PER_BLOCK]
            step = max(1, _PAIRS_PER_BLOCK // len(block))
            for start in range(0, len(self.squared), step):
                self._meet(start, min(start + step, len(self.squared)), block)

    def _meet(self, start: int, stop: int, centers: Rows) -> None:
        bounds = self._lower_bounds(start, stop, centers)
        limits = self.squared[start:stop]
        if len(centers) > 1:  # one true distance for each row, of its likeliest center, rules most others out
            likeliest = centers[bounds.argmin(axis=1)]
            limits = np.minimum(limits, squared_distances(self._vectors, np.arange(start, stop), likeliest))
        row, column = np.nonzero(bounds <= limits[:, None])
        found = squared_distances(self._vectors, row + start, centers[column])
        if len(centers) > 1:  # of each row's pairs the nearest, the first of a tie
            order = np.lexsort((column, found, row))
            row, column, found = row[order], column[order], found[order]
            is_first = np.ones(len(row), dtype=bool)
            is_first[1:] = row[1:] != row[:-1]
            row, column, found = row[is_first], column[is_first], found[is_first]
        row = row + start
        nearer = found < self.squared[row]
        self.squared[row[nearer]] = found[nearer]
        self.nearest[row[nearer]] = centers[column[nearer]]

    def _lower_bounds(self, start: int, stop: int, centers: Rows) -> Distances:
        """`(stop - start, c)` numbers that no squared distance of the pair is below."""
        products = self._screen[start:stop] @ self._screen[centers].T
        bounds: Distances = np.multiply(products, -2.0, dtype=np.float64)
        bounds += (self._norms[start:stop] * (1 - self._tolerance))[:, None]
        bounds += self._norms[centers] * (1 - self._tolerance) - self._floor
        bounds /= self._scale**2
        return bounds
