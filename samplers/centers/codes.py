"""8-bit codes of rows: a quarter of float32's memory, with the length of what each row has lost."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ..distances import Distances
from .rounding import Floats32

_LEVELS = 127
_SMALLEST = 1e-30  # rows shorter than this are lost whole


class Codes:
    """Rows in 8 bits a coordinate, each in units of its own.

    Args:
        n: Number of rows.
        n_dimensions: Number of coordinates.
    """

    def __init__(self, n: int, n_dimensions: int) -> None:
        self.codes: npt.NDArray[np.int8] = np.empty((n, n_dimensions), dtype=np.int8)
        self.units: Floats32 = np.empty(n, dtype=np.float32)
        self.lost: Distances = np.empty(n)

    def put(self, part: slice, around: Floats32) -> None:
        """Code consecutive rows; `lost` is at least the length of the difference to what `of` gives back."""
        largest = np.abs(around).max(axis=1)
        units = np.where(largest > _SMALLEST, largest / np.float32(_LEVELS), np.float32(1))
        codes = np.rint(around / units[:, None])
        codes.clip(-_LEVELS, _LEVELS, out=codes)
        self.codes[part] = codes
        self.units[part] = units
        rest = around - codes * units[:, None]
        lengths = np.sqrt(np.einsum("ij,ij->i", rest, rest).astype(np.float64))
        self.lost[part] = lengths * 1.00001 + 1e-6 * largest

    def of(self, rows: npt.NDArray[np.int64]) -> Floats32:
        """`(m, d)` float32 rows, nearly what was put in."""
        around: Floats32 = self.codes[rows].astype(np.float32)
        around *= self.units[rows, None]
        return around
