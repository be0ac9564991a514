"""Boxes in pixels or fractions, in any of three conventions, as corners relative to their image."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt

Convention = Literal["xyxy", "xywh", "cxcywh"]
"""Two corners; the upper left corner with width and height; the centre with width and height."""

Corners = npt.NDArray[np.float64]

_FAR_OUTSIDE = 0.1  # of the image's side: no detector leaves the image so far as a rule
_MOST_FRACTION = 2.0  # a fraction above it is no box that leaves its image a little, but pixels


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
    given = boxes.astype(np.float64)
    if not len(given):
        return given
    unit = np.ones((len(given), 2)) if sizes is None else sizes.astype(np.float64)
    wanted = f"expected {convention} in {'fractions of the image' if sizes is None else 'pixels'}"

    def refuse(is_bad: Any, why: str) -> None:
        if is_bad.any():
            row = int(np.flatnonzero(is_bad)[0])
            image = "" if sizes is None else f" in an image of {unit[row, 0]:g} x {unit[row, 1]:g} pixels"
            raise ValueError(f"{row_name(row)} is {_shown(boxes[row])}{image}; {why}")

    refuse(~np.isfinite(given).all(axis=1), f"{wanted}, all finite")
    if sizes is None:
        refuse((np.abs(given) > _MOST_FRACTION).any(axis=1), "expected fractions of the image: for pixels, give image sizes")
    elif np.abs(given).max() <= 1 and unit.min() > 2 * _MOST_FRACTION:
        raise ValueError(
            f"all boxes lie within one pixel, the first, {row_name(0)}, is {_shown(boxes[0])}; expected pixels: for "
            "fractions of the image, give no image sizes"
        )
    corners = _corners(given, convention)
    is_negative = (corners[:, 2:] < corners[:, :2]).any(axis=1)
    fits = _other_that_fits(given, unit, convention)
    hint = f": every box would fit its image as {fits}" if fits else ""
    refuse(is_negative, f"{wanted}, and this box has a negative size{hint}")
    far = (corners[:, :2] < -_FAR_OUTSIDE * unit).any(axis=1) | (corners[:, 2:] > (1 + _FAR_OUTSIDE) * unit).any(axis=1)
    if far.any() and fits:
        refuse(far, f"{wanted}, and {int(far.sum()):,} boxes leave their image far, while as {fits} every box fits: say so")
    is_outside = (corners[:, :2] > unit).any(axis=1) | (corners[:, 2:] < 0).any(axis=1)
    refuse(is_outside, f"{wanted} that touches the image")
    return np.clip(corners / np.tile(unit, 2), 0.0, 1.0)


def _corners(boxes: Corners, convention: Convention) -> Corners:
    first, second = boxes[:, :2], boxes[:, 2:]
    if convention == "xyxy":
        return boxes
    if convention == "xywh":
        return np.concatenate([first, first + second], axis=1)
    return np.concatenate([first - second / 2, first + second / 2], axis=1)


def _other_that_fits(boxes: Corners, sizes: Corners, convention: Convention) -> Convention | None:
    """Another convention by which every box has a size and lies in its image, to within a hundredth."""
    for other in get_args(Convention):
        corners = _corners(boxes, other)
        slack = 0.01 * sizes
        is_inside = (corners[:, :2] >= -slack) & (corners[:, 2:] <= sizes + slack) & (corners[:, 2:] >= corners[:, :2])
        if other != convention and is_inside.all():
            return other  # type: ignore[no-any-return]  # get_args tells no types
    return None


def _shown(box: npt.NDArray[Any]) -> str:
    return f"[{', '.join(f'{value:.6g}' for value in box.tolist())}]"
