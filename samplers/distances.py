"""The distance of two rows, in one arithmetic that gives the same bits everywhere.

`squared_distances` is the definition. It takes differences in float64, squares them, adds them up in 64 fixed lanes
(coordinate j goes to lane j mod 64, in ascending order) and adds the lanes as a tree: 32 to 32, 16 to 16, down to one. Every
step is one rounded operation, none is fused, so that threads, block sizes, compilers and processors cannot change a bit.
Matrix products only rule pairs out, with a proven bound on their error, and never decide: expanding `a² + b² - 2ab` and
trusting it, as is common, loses all digits for data far from the origin.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from .pool import Pool, Vectors

Rows = npt.NDArray[np.int64]
Distances = npt.NDArray[np.float64]

METRICS = ("euclidean", "cosine")
LANES = 64
ROWS_PER_SUM = 4096  # the mean is a sum of sums over this many rows
_VALUES_PER_BLOCK = 1 << 17  # 1 MiB of float64 stays in a core's own cache


def blocks(n_rows: int, values_per_row: int, values_per_block: int = _VALUES_PER_BLOCK) -> Iterator[slice]:
    """Cut `n_rows` rows into slices of about `values_per_block` values, at least one row each."""
    step = max(1, values_per_block // max(1, values_per_row))
    for start in range(0, n_rows, step):
        yield slice(start, min(start + step, n_rows))


def squared_distances(vectors: Vectors, rows: Rows, others: Rows | Vectors) -> Distances:
    """The squared Euclidean distance of rows pair by pair.

    Args:
        vectors: `(n, d)` finite floats.
        rows: `(p,)` rows.
        others: `(p,)` rows, or points in floats: one `(d,)` for all, or one each `(p, d)`.

    Returns:
        `(p,)` float64; differences whose squares float64 cannot hold, below about 1e-162, count as 0. Time O(p d), memory
        O(p).
    """
    n_dimensions = vectors.shape[1]
    result = np.empty(len(rows))
    for part in blocks(len(rows), n_dimensions):
        left = vectors[rows[part]].T
        if others.dtype.kind != "f":
            right = vectors[others[part]].T
        else:
            right = others[:, None] if others.ndim == 1 else others[part].T
        squares = np.subtract(left, right, dtype=np.float64, order="C")
        squares *= squares
        result[part] = lane_sum(squares)
    return result


def rough_squares(vectors: Vectors, rows: Rows, asked: Rows, values_per_block: int) -> Iterator[tuple[slice, Distances]]:
    """Squared distances of some rows to all, by matrix products, to find who may be near: scaled, and less a constant each.

    What decides is measured by `squared_distances` afterwards.

    Args:
        vectors: `(n, d)` finite floats.
        rows: `(p,)` rows.
        asked: `(q,)` places among the rows.
        values_per_block: About so many distances are held at a time.

    Yields:
        A slice of `asked`, and for each of these `(p,)` numbers in the order of its distances to the rows.
    """
    points = vectors[rows].astype(np.float64)
    points -= np.median(points, axis=0)
    largest = float(np.abs(points).max())
    points /= largest if largest > 0 else 1.0
    norms = np.einsum("ij,ij->i", points, points)
    for part in blocks(len(asked), len(rows), values_per_block):
        yield part, norms - 2 * (points[asked[part]] @ points.T)


def lane_sum(squares: Distances) -> Distances:
    """The sum over the first axis of `(d, p)` squares in the fixed order; the squares are overwritten."""
    width = min(LANES, len(squares))
    for start in range(LANES, len(squares), LANES):
        more = squares[start : start + LANES]
        squares[: len(more)] += more
    half = LANES // 2
    while half:
        if half < width:
            squares[: width - half] += squares[half:width]
            width = half
        half //= 2
    result: Distances = squares[0]
    return result


def mean_of(vectors: Vectors) -> Distances:
    """The float64 mean `(d,)` of the rows, summed in the same order everywhere."""
    return total(row_sums(vectors)) / len(vectors)


def row_sums(vectors: Vectors) -> Distances:
    """`(ceil(n / ROWS_PER_SUM), d)` float64 sums of consecutive rows, each added up from the first row to the last."""
    starts = range(0, len(vectors), ROWS_PER_SUM)
    sums = np.empty((len(starts), vectors.shape[1]))
    for place, start in enumerate(starts):
        part = vectors[start : start + ROWS_PER_SUM].astype(np.float64, order="C")
        if part.shape[1] == 1:  # numpy adds up a single column in an order of its own
            sums[place] = np.add.accumulate(part)[-1]
        else:
            np.add.reduce(part, axis=0, out=sums[place])
    return sums


def total(sums: Distances) -> Distances:
    """The sum `(d,)` of consecutive sums, from the first to the last."""
    result: Distances = np.add.accumulate(sums)[-1]
    return result


def check_directions(pool: Pool) -> None:
    """Raise if a vector is zero, naming the item: it has no direction, and cosine distances need one."""
    assert pool.vectors is not None
    for part in blocks(len(pool), pool.vectors.shape[1]):
        is_zero = ~pool.vectors[part].any(axis=1)
        if is_zero.any():
            row = part.start + int(np.flatnonzero(is_zero)[0])
            raise ValueError(
                f"the embedding of {pool.item_ids[row]!r} is zero and has no direction; use metric='euclidean', or leave "
                "it out"
            )


def unit_rows(vectors: Vectors) -> Vectors:
    """The rows divided by their lengths, none of which is 0; in their own type, at least float32."""
    result = np.empty(vectors.shape, dtype=np.promote_types(vectors.dtype, np.float32))
    for part in blocks(*vectors.shape):
        rows = vectors[part].astype(np.float64)
        # a power of two changes no direction, and lets all be squared
        rows = np.ldexp(rows, -np.frexp(np.abs(rows).max(axis=1))[1][:, None])
        lengths = np.sqrt(lane_sum(np.ascontiguousarray((rows * rows).T)))
        result[part] = rows / lengths[:, None]
    return result


def unit_scale(largest: float) -> float:
    """A power of two that brings the largest coordinate to about 1, so that float32 holds the squares."""
    return float(2.0 ** -np.clip(np.ceil(np.log2(largest)), -400, 400)) if largest > 0 else 1.0


def nearest_of_each(row: Rows, column: Rows, squared: Distances) -> tuple[Rows, Rows, Distances]:
    """Of pairs the nearest of each row, of a tie the one with the lowest column; ascending by rows."""
    order = np.lexsort((column, squared, row))
    row, column, squared = row[order], column[order], squared[order]
    is_first = np.ones(len(row), dtype=bool)
    is_first[1:] = row[1:] != row[:-1]
    return row[is_first], column[is_first], squared[is_first]


def check_metric(metric: str) -> None:
    """Raise unless the metric is known."""
    if metric not in METRICS:
        raise ValueError(f"metric is {metric!r}; expected one of {', '.join(METRICS)}")


def vectors_in(pool: Pool, metric: str) -> Vectors:
    """The pool's vectors, whose Euclidean distances follow the metric: for cosine, divided by their lengths."""
    assert pool.vectors is not None
    if metric == "euclidean":
        return pool.vectors
    check_directions(pool)
    return unit_rows(pool.vectors)


class UnitRows:
    """The rows of an array divided by their lengths, computed when they are read; for arrays on disk."""

    def __init__(self, vectors: Vectors) -> None:
        self.vectors = vectors
        self.shape = vectors.shape
        self.dtype = np.promote_types(vectors.dtype, np.float32)

    def __getitem__(self, rows: Any) -> Vectors:
        return unit_rows(self.vectors[rows])

    def __len__(self) -> int:
        return len(self.vectors)


def unit(vector: Distances) -> Distances:
    """A point divided by its length, and 0 where that is 0."""
    length = math.sqrt(float(lane_sum((vector * vector)[:, None])[0]))
    return vector / length if length > 0 else vector
