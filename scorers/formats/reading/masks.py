"""The box around a mask."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt


def box_of_mask(mask: npt.NDArray[Any], what: str = "a mask") -> tuple[float, float, float, float] | None:
    """The corners of the smallest box around the pixels that are not 0, as fractions of the mask; None if all are 0.

    Args:
        mask: `(h, w)`.
        what: What the message calls it.

    Raises:
        ValueError: Another shape.

    Examples:
        >>> box_of_mask(np.array([[0, 0, 0, 0], [0, 1, 1, 0]]))
        (0.25, 0.5, 0.75, 1.0)
    """
    if mask.ndim != 2:
        raise ValueError(f"{what} has shape {mask.shape}; expected (h, w)")
    is_set = mask != 0
    columns, rows = np.flatnonzero(is_set.any(axis=0)), np.flatnonzero(is_set.any(axis=1))
    if not len(columns):
        return None
    (height, width), last_row, last_column = mask.shape, int(rows[-1]) + 1, int(columns[-1]) + 1
    return int(columns[0]) / width, int(rows[0]) / height, last_column / width, last_row / height
