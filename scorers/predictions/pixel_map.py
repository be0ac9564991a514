"""The class probabilities of one image's pixels, read block by block and checked on the way."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ..checks import ROW_SUM_TOLERANCE, FloatArray, check_finite, check_probability_rows

Mask = npt.NDArray[np.bool_]
Area = tuple[slice, slice]
"""Rows and columns of a rectangle of pixels."""

_VALUES_PER_BLOCK = 1 << 17
"""512 KiB of float32: a block and its temporaries stay in a core's own cache."""
_FEWEST_PIXELS = 64
_MOST_PIXELS = 1 << 14


@dataclass(frozen=True, eq=False)
class PixelMap:
    """One image's map as blocks of checked class probabilities; the only way to its numbers.

    Args:
        item_id: For messages.
        values: `(t, c, h, w)` view of t passes, t = 1 where there are none, of float16, float32 or float64; not checked, so
            read it through `block`.
        mask: `(h, w)`, the pixels to look at; None for all.
        is_logits: The values are those before the softmax.
        has_passes: Whether the map was given with its passes, for messages.
    """

    item_id: str
    values: FloatArray
    mask: Mask | None = None
    is_logits: bool = False
    has_passes: bool = False

    @property
    def size(self) -> tuple[int, int]:
        """Height and width in pixels."""
        return int(self.values.shape[2]), int(self.values.shape[3])

    @property
    def n_passes(self) -> int:
        """Number of stochastic passes t, 1 where there are none."""
        return int(self.values.shape[0])

    @property
    def n_classes(self) -> int:
        """Number of classes c; 2 where one column stands for both."""
        return max(2, int(self.values.shape[1]))

    @property
    def dtype(self) -> np.dtype[Any]:
        """What blocks are worked on in: float32, or float64 where the map is that."""
        return np.dtype(np.float64 if self.values.dtype.itemsize == 8 else np.float32)

    def areas(self) -> Iterator[Area]:
        """The blocks, from top to bottom; they depend on the map's shape alone."""
        height, width = self.size
        n_pixels = _VALUES_PER_BLOCK // (self.n_passes * self.n_classes)
        n_pixels = min(max(n_pixels, _FEWEST_PIXELS), _MOST_PIXELS)
        n_columns = min(width, n_pixels)
        n_rows = n_pixels // n_columns
        for top in range(0, height, n_rows):
            for left in range(0, width, n_columns):
                yield slice(top, min(top + n_rows, height)), slice(left, min(left + n_columns, width))

    def n_looked_at(self, area: Area) -> int:
        """Number of pixels of an area that are looked at."""
        if self.mask is not None:
            return int(np.count_nonzero(self.mask[area]))
        height, width = (part.stop - part.start for part in area)
        return int(height * width)

    def block(self, number: int, area: Area, scratch: FloatArray) -> FloatArray:
        """Checked probabilities of one pass, the same bits for every layout in memory.

        Args:
            number: Which pass.
            area: Which pixels; those that the mask leaves out are skipped.
            scratch: Room for c times the number of pixels, of this map's `dtype`; may be used for the result.

        Returns:
            `(c, b)`, with rows that are contiguous, not to be written to.

        Raises:
            ValueError: A pixel's values are no distribution; the message names item, row and column.
        """
        raw = self.values[number][:, area[0], area[1]]
        n_pixels = self.n_looked_at(area)
        block: FloatArray
        if self.mask is not None:
            raw = raw[:, self.mask[area]]
        elif not self.is_logits and raw.dtype == self.dtype and _has_contiguous_rows(raw):
            block = raw.reshape(len(raw), n_pixels)
            self._check(block, number, area)
            return block if len(raw) > 1 else _with_opposite(block, scratch)
        block = scratch[: len(raw) * n_pixels].reshape(len(raw), n_pixels)
        np.copyto(block.reshape(raw.shape), raw)
        self._check(block, number, area)
        if self.is_logits:
            _to_probabilities(block)
        return block if len(raw) > 1 else _with_opposite(block.copy(), scratch)

    def probabilities(self) -> FloatArray:
        """`(t, h, w, c)` checked probabilities of all pixels, NaN where the mask leaves them out."""
        result = np.full((self.n_passes, *self.size, self.n_classes), np.nan, dtype=self.dtype)
        scratch = np.empty(self.n_classes * _MOST_PIXELS, dtype=self.dtype)
        for area in self.areas():
            seen = np.ones(result[0][area].shape[:2], dtype=bool) if self.mask is None else self.mask[area]
            for number in range(self.n_passes):
                result[number][area][seen] = self.block(number, area, scratch).T
        return result

    def _check(self, block: FloatArray, number: int, area: Area) -> None:
        if block.size == 0:
            return
        with np.errstate(all="ignore"):  # NaN and infinity reach the extremes
            lowest = block.min()
            if self.is_logits:
                is_good = np.isfinite(lowest) and np.isfinite(block.max())
            elif len(block) == 1:
                is_good = lowest >= 0 and block.max() <= 1
            else:
                sums = np.add.reduce(block, axis=0)
                sums -= 1
                is_good = lowest >= 0 and max(sums.max(), -sums.min()) <= ROW_SUM_TOLERANCE
        if not is_good:
            self._raise_bad_pixel(block, number, area)

    def _raise_bad_pixel(self, block: FloatArray, number: int, area: Area) -> None:
        """Look again in float64, pixel by pixel."""
        seen = np.ones((area[0].stop - area[0].start, area[1].stop - area[1].start), dtype=bool)
        rows, columns = np.nonzero(seen if self.mask is None else self.mask[area])

        def name(pixel: int) -> str:
            place = f"{self.item_id!r} at row {rows[pixel] + area[0].start}, column {columns[pixel] + area[1].start}"
            return f"{place} of pass {number}" if self.has_passes else place

        values = block.T.astype(np.float64)
        if self.is_logits:
            check_finite(values, "logits", name)
            return
        try:
            check_probability_rows(values, "probabilities", name)
        except ValueError as error:
            hint = self._hint()
            if hint is None:
                raise
            raise ValueError(f"{error}{hint}") from None

    def _hint(self) -> str | None:
        """What is wrong, where the values are distributions along another axis."""
        plane = self.values[0, 0]  # one class: where rows of it sum to 1, they are distributions
        for axis, option in enumerate(("class_axis=0", "class_axis=-1")):
            with np.errstate(all="ignore"):
                sums = plane.sum(axis=axis, dtype=np.float64)
            if plane.shape[axis] > 1 and (np.abs(sums - 1) <= ROW_SUM_TOLERANCE).all():
                return f"; the values sum to 1 along another axis: perhaps {option} is meant"
        return None


def _has_contiguous_rows(raw: FloatArray) -> bool:
    """Whether `(c, rows, columns)` values can be seen as `(c, b)` with each row contiguous, and apart from the next."""
    _, n_rows, n_columns = raw.shape
    step = raw.itemsize
    is_contiguous = (n_columns == 1 or raw.strides[2] == step) and (n_rows == 1 or raw.strides[1] == n_columns * step)
    return is_contiguous and raw.strides[0] >= n_rows * n_columns * step and n_rows * n_columns > 1


def _with_opposite(positive: FloatArray, scratch: FloatArray) -> FloatArray:
    """The two columns that `(1, b)` probabilities of the positive class stand for."""
    pair = scratch[: 2 * positive.size].reshape(2, positive.size)
    pair[0] = positive[0]
    np.subtract(1, positive[0], out=pair[1])
    return pair


def _to_probabilities(block: FloatArray) -> None:
    """Softmax over the first axis, in place and in the block's own type; one row becomes its logistic function.

    In float32 a probability p = exp(-g) / s, for a gap g to the largest logit, is off by less than 1e-7 g exp(-g) from
    rounding the gap and by a few 1e-7 p from the rest: never by more than 1e-6.
    """
    if block.size == 0:
        return
    with np.errstate(over="ignore", under="ignore"):  # a gap beyond the type's range is a probability of 0
        if len(block) == 1:
            smaller = np.exp(-np.abs(block))
            block[:] = np.where(block >= 0, 1 / (1 + smaller), smaller / (1 + smaller))
        else:
            block -= np.maximum.reduce(block, axis=0)
            np.exp(block, out=block)
            block /= np.add.reduce(block, axis=0)
