"""Boxes in pixels or fractions, in any of three conventions, as corners relative to their image."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt

from ...checks import row_blocks

Convention = Literal["xyxy", "xywh", "cxcywh"]
"""Two corners; the upper left corner with width and height; the centre with width and height."""

Corners = npt.NDArray[np.float64]

_FAR = 0.1  # of the image's side: no detector leaves the image by more as a rule
_FAR_BOXES = 3  # so few far boxes are a detector's freaks,
_FAR_SHARE = 0.02  # and so small a share of them too; by a wrong convention it is 0.04 to 0.7 on real data
_MUCH_BETTER = 10  # another convention has this many times fewer boxes that do not fit
_MOST_FRACTION = 2.0  # a fraction above it is no box that leaves its image a little, but pixels
_SWAPPED = "swapped"  # not a convention: width and height of the image the other way round
_COLUMNS = 32  # of a row and what is computed of it, for the size of blocks


def relative_corners(
    boxes: npt.NDArray[Any],
    sizes: npt.NDArray[Any] | None,
    convention: Convention,
    row_name: Callable[[int], str],
) -> Corners:
    """Corners x0, y0, x1, y1 as fractions of the image's width and height, clipped to the image.

    Args:
        boxes: `(m, 4)` boxes in the convention.
        sizes: `(m, 2)` width and height in pixels of the image of each box; None where boxes are fractions already.
        convention: How the four numbers are meant.
        row_name: Gives a box's name for messages.

    Returns:
        `(m, 4)` float64 in `[0, 1]`.

    Raises:
        ValueError: Numbers that are not finite, a box of negative size or wholly outside its image, pixels where fractions
            are due or fractions where pixels are, or boxes that only fit their images by another convention.

    Examples:
        >>> relative_corners(np.array([[10, 10, 20, 40]]), np.array([[100, 100]]), "xywh", lambda row: f"box {row}").tolist()
        [[0.1, 0.1, 0.3, 0.5]]
    """
    if boxes.ndim != 2 or boxes.shape[1] != 4:
        raise ValueError(f"boxes have shape {boxes.shape}; expected (m, 4): {convention}")
    wanted = f"expected {convention} in {'fractions of the image' if sizes is None else 'pixels'}"

    def refuse(is_bad: Any, start: int, why: str, hint: Callable[[], str] = str) -> None:
        if is_bad.any():
            row = start + int(np.flatnonzero(is_bad)[0])
            image = "" if sizes is None else f" in an image of {sizes[row, 0]:g} x {sizes[row, 1]:g} pixels"
            raise ValueError(f"{row_name(row)} is {_shown(boxes[row])}{image}; {why}{hint()}")

    def hint() -> str:
        return _better(boxes, sizes, convention)

    result = np.empty((len(boxes), 4))
    n_far, first_far, largest = 0, 0, 0.0
    for rows in row_blocks(len(boxes), _COLUMNS):
        given, unit = _block(boxes, sizes, rows)
        start = rows.start
        refuse(~np.isfinite(given).all(axis=1), start, f"{wanted}, all finite")
        largest = max(largest, float(np.abs(given).max()))
        if sizes is None:
            is_large = (np.abs(given) > _MOST_FRACTION).any(axis=1)
            refuse(is_large, start, f"{wanted}; divide pixels by the image's width and height")
        corners = _corners(given, convention)
        refuse((corners[:, 2:] < corners[:, :2]).any(axis=1), start, f"{wanted}, and this box has a negative size", hint)
        is_outside = (corners[:, :2] > unit).any(axis=1) | (corners[:, 2:] < 0).any(axis=1)
        refuse(is_outside, start, f"{wanted} that touches the image", hint)
        is_far = _is_far(corners, unit)
        if not n_far:
            first_far = start + int(is_far.argmax())
        n_far += int(is_far.sum())
        result[rows] = np.clip(corners / np.tile(unit, 2), 0.0, 1.0)
    if sizes is not None and len(boxes) and largest <= 1 + _FAR and sizes.min() > 2 * _MOST_FRACTION:
        raise ValueError(
            f"all boxes lie within one pixel, the first, {row_name(0)}, is {_shown(boxes[0])}; {wanted}: multiply fractions "
            "by the image's width and height"
        )
    if n_far >= max(_FAR_BOXES, _FAR_SHARE * len(boxes)):
        better = hint()
        is_first = np.arange(len(boxes)) == first_far
        refuse(is_first & bool(better), 0, f"{wanted}, and {n_far:,} of {len(boxes):,} boxes leave their image far{better}")
    return result


def _block(boxes: npt.NDArray[Any], sizes: npt.NDArray[Any] | None, rows: slice) -> tuple[Corners, Corners]:
    given = boxes[rows].astype(np.float64)
    return given, np.ones((len(given), 2)) if sizes is None else sizes[rows].astype(np.float64)


def _corners(boxes: Corners, convention: Convention) -> Corners:
    first, second = boxes[:, :2], boxes[:, 2:]
    if convention == "xyxy":
        return boxes
    with np.errstate(over="ignore"):  # infinity is as far outside as the largest number
        if convention == "xywh":
            return np.concatenate([first, first + second], axis=1)
        return np.concatenate([first - second / 2, first + second / 2], axis=1)


def _is_far(corners: Corners, unit: Corners) -> npt.NDArray[np.bool_]:
    """Whether a box leaves its image by more than boxes do."""
    is_far = (corners[:, :2] < -_FAR * unit) | (corners[:, 2:] > (1 + _FAR) * unit)
    return np.asarray(is_far.any(axis=1))


def _better(boxes: npt.NDArray[Any], sizes: npt.NDArray[Any] | None, convention: Convention) -> str:
    """Says which other convention, or order of the sizes, fits the boxes much better; nothing where there is none."""
    n_misfits = dict.fromkeys((*get_args(Convention), _SWAPPED), 0)
    for rows in row_blocks(len(boxes), _COLUMNS):
        given, unit = _block(boxes, sizes, rows)
        for name in n_misfits:
            corners = _corners(given, convention if name == _SWAPPED else name)
            is_far = _is_far(corners, unit[:, ::-1] if name == _SWAPPED else unit)
            n_misfits[name] += int((is_far | (corners[:, 2:] < corners[:, :2]).any(axis=1)).sum())
    best = min(n_misfits, key=lambda name: n_misfits[name])
    if not n_misfits[convention] or n_misfits[best] * _MUCH_BETTER > n_misfits[convention]:
        return ""
    fit = "every box fits" if not n_misfits[best] else f"all but {n_misfits[best]:,} boxes fit"
    if best == _SWAPPED:
        return f"; {fit} if sizes are (height, width): give (width, height)"
    return f"; {fit} if they are {best}"


def _shown(box: npt.NDArray[Any]) -> str:
    return f"[{', '.join(f'{value:.6g}' for value in box.tolist())}]"
