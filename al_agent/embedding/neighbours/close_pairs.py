"""All pairs of rows that lie near each other, exactly, without a matrix of all distances."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from samplers.distances import Distances, Rows, blocks, mean_of, squared_distances, unit_scale

_ROWS_PER_TILE, _COLUMNS_PER_TILE = 1024, 4096
_MOST_PAIRS = 20_000_000  # 24 bytes each in the result, and several times that in what is made of them: some 3 GB


class ClosePairs(NamedTuple):
    """Pairs of rows, each once with `left < right`, ascending, and their squared Euclidean distances `(p,)`."""

    left: Rows
    right: Rows
    squared: Distances


def close_pairs(vectors: npt.NDArray[np.floating[Any]], squared_limit: float) -> ClosePairs:
    """Every pair of rows whose squared Euclidean distance is at most a limit.

    Rows are sorted along a direction in which they spread, so that most of the far pairs are never looked at; float32
    products rule out most others, with a bound on their error; what is left is measured by `squared_distances`.

    Args:
        vectors: `(n, d)` finite floats.
        squared_limit: Square of the largest distance, 0 or more.

    Returns:
        The pairs. The numbers do not depend on the order of the rows. Time O(n² d) in matrix products at worst, and less the
        smaller the limit; memory O(n d), 24 bytes for each pair, and twice that while they are sorted.

    Raises:
        ValueError: More than 20 million pairs are that near.

    Examples:
        >>> close_pairs(np.array([[0.0], [1.0], [3.0]]), 1.0)
        ClosePairs(left=array([0]), right=array([1]), squared=array([1.]))
    """
    n, n_dimensions = vectors.shape
    points, scale = _centred(vectors)
    norms = np.concatenate([_squares(points[part]) for part in blocks(n, n_dimensions)])
    # A float32 product errs by at most d 2**-24 |x| |c|, rounding its factors by 2 * 2**-24 |x| |c|, and |x| |c| is at most
    # the mean of the squares. Four times that is allowed for.
    slack = 4 * (n_dimensions + 8) * 2.0**-24
    tiny = (n_dimensions + 8) * 1e-37
    along = points @ _direction(points)
    order = np.argsort(along, kind="stable")
    along, points, norms = along[order].astype(np.float64), points[order], norms[order]
    limit = squared_limit * scale * scale
    reach = np.sqrt(limit) * (1 + 1e-6) + 4 * slack * np.sqrt(norms.max()) + tiny
    # |x|² + |c|² - 2 x·c <= limit is the same as x·c - |c|²/2 >= (|x|² - limit) / 2
    of_columns = _rounded_up((slack - 0.5) * norms)
    of_rows = _rounded_down((norms * (1 - 2 * slack) - limit * (1 + 1e-9)) / 2 - tiny)
    found: list[tuple[Rows, Rows, Distances]] = []
    n_found = 0
    for start in range(0, n, _ROWS_PER_TILE):
        stop = min(start + _ROWS_PER_TILE, n)
        last = int(np.searchsorted(along, along[stop - 1] + reach, side="right"))
        for first in range(start, last, _COLUMNS_PER_TILE):
            after = min(first + _COLUMNS_PER_TILE, last)
            products: npt.NDArray[np.float32] = points[start:stop] @ points[first:after].T
            products += of_columns[first:after]
            row, column = np.divmod(np.flatnonzero(products >= of_rows[start:stop, None]), after - first)
            row, column = row + start, column + first
            row, column = order[row[row < column]], order[column[row < column]]
            squared = squared_distances(vectors, np.minimum(row, column), np.maximum(row, column))
            is_near = squared <= squared_limit
            found.append((np.minimum(row, column)[is_near], np.maximum(row, column)[is_near], squared[is_near]))
            n_found += int(np.count_nonzero(is_near))
            if n_found > _MOST_PAIRS:
                raise ValueError(f"more than {_MOST_PAIRS:,} pairs of items are that near; ask for a smaller distance")
    left, right, squared = (np.concatenate(parts) for parts in zip(*found))
    by_row = np.lexsort((right, left))
    return ClosePairs(left[by_row], right[by_row], squared[by_row])


def _centred(vectors: npt.NDArray[np.floating[Any]]) -> tuple[npt.NDArray[np.float32], float]:
    """The rows around their mean in float32, times a power of two that brings the largest coordinate to about 1."""
    middle = mean_of(vectors)
    parts = list(blocks(*vectors.shape))
    largest = max(float(np.abs(vectors[part] - middle).max()) for part in parts)
    scale = unit_scale(largest)
    points = np.empty(vectors.shape, dtype=np.float32)
    for part in parts:
        points[part] = (vectors[part] - middle) * scale
    return points, scale


def _squares(points: npt.NDArray[np.float32]) -> Distances:
    rows = points.astype(np.float64)
    squares: Distances = np.einsum("ij,ij->i", rows, rows)
    return squares


def _direction(points: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """About the first principal direction of centred points, at most 1 long; any direction would do, this one saves most."""
    sample = points[:: max(1, len(points) // 4096)].astype(np.float64)
    direction = sample[np.einsum("ij,ij->i", sample, sample).argmax()]
    for _ in range(10):
        length = float(np.linalg.norm(direction))
        if not length > 0:
            break
        direction = sample.T @ (sample @ (direction / length))
    length = float(np.linalg.norm(direction))
    shortened: npt.NDArray[np.float32] = (direction / max(length, 1e-300) * (1 - 1e-6)).astype(np.float32)
    return shortened


def _rounded_up(values: Distances) -> npt.NDArray[np.float32]:
    return np.nextafter(values.astype(np.float32), np.float32(np.inf))


def _rounded_down(values: Distances) -> npt.NDArray[np.float32]:
    with np.errstate(over="ignore"):  # a limit may be beyond float32, so that nothing is ruled out
        return np.nextafter(values.astype(np.float32), np.float32(-np.inf))
