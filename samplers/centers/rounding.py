"""Rows in float32 around a middle, and how far a product of two of them may be off.

A float32 product of two rows, however it is summed, errs by at most `d 2**-24 |x| |c|`; rounding the rows, their norms and
the sums adds less than 8 more of these units, and `|x| |c|` is at most half the sum of the squares. Four times that is
allowed for, so that a bound holds on every machine.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ..distances import Distances, blocks, unit_scale
from ..pool import Vectors

Floats32 = npt.NDArray[np.float32]

FLOOR = 1e-36
"""Room for products of denormal numbers."""


class Rounding:
    """A middle, a unit (a power of two, so that nothing leaves the range of float32), and the slack of products.

    Args:
        middle: `(d,)` a point near most rows.
        largest: No coordinate of any row, nor of the middle, is larger.
    """

    def __init__(self, middle: Distances, largest: float) -> None:
        with np.errstate(over="ignore"):
            narrow = middle.astype(np.float32)
        self.narrow = narrow if np.isfinite(narrow).all() and 1e-30 < largest < 1e30 else None
        self.middle = middle if self.narrow is None else narrow.astype(np.float64)
        self.scale = unit_scale(largest)
        self.slack = 4 * (len(middle) + 8) * 2.0**-24

    def around(self, points: Vectors) -> Floats32:
        """`(m, d)` points around the middle, in units of the scale."""
        if points.dtype.itemsize <= 4 and self.narrow is not None:
            around: Floats32 = np.subtract(points, self.narrow, dtype=np.float32)
            around *= np.float32(self.scale)
            return around
        return np.asarray((points - self.middle) * self.scale, dtype=np.float32)

    def least(self, half: Distances, highest: Distances) -> Distances:
        """Least squared distances, where `highest` is the product less the half squared norm shrunk by the slack."""
        result: Distances = (2.0 / self.scale**2) * np.maximum(half * (1 - self.slack) - highest - FLOOR, 0.0)
        return result

    def greatest(self, half: Distances, highest: Distances, half_other: Distances | float) -> Distances:
        """Greatest squared distances, as for `least`; `half_other` is the half squared norm of the other row."""
        room = 2 * self.slack * half_other + FLOOR
        result: Distances = (2.0 / self.scale**2) * np.maximum(half * (1 + self.slack) - highest + room, 0.0)
        return result


def half_norms(around: Floats32) -> Distances:
    """`(m,)` half squared norms of float32 rows."""
    wide = around.astype(np.float64)
    result: Distances = 0.5 * np.einsum("ij,ij->i", wide, wide)
    return result


def largest_coordinate(vectors: Vectors, middle: Distances) -> float:
    """The largest absolute coordinate of any row, or of the middle."""
    result = float(np.abs(middle).max())
    for part in blocks(len(vectors), vectors.shape[1], 1 << 18):
        rows = vectors[part]
        result = max(result, float(rows.max()), -float(rows.min()))
    return result
