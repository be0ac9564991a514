"""The box around a mask."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt


def box_of_mask(mask: npt.NDArray[Any]) -> tuple[int, int, int, int] | None:
    """The corners x0, y0, x1, y1 in pixels of the smallest box around the pixels that are not 0; None if all are.

    Args:
        mask: `(h, w)`.

    Raises:
        ValueError: Another shape.

    Examples:
        >>> box_of_mask(np.array([[0, 0, 0], [0, 1, 1]]))
        (1, 1, 3, 2)
    """
    if mask.ndim != 2:
        raise ValueError(f"a mask has shape {mask.shape}; expected (h, w)")
    is_set = mask != 0
    columns, rows = np.flatnonzero(is_set.any(axis=0)), np.flatnonzero(is_set.any(axis=1))
    if not len(columns):
        return None
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1
