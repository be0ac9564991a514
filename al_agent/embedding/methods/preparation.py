"""What networks expect of images: their size, and the mean and spread of their channels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import get_args

import numpy as np
import numpy.typing as npt

from ..embedder import Fit, Pixels

IMAGENET_MEAN = (0.485, 0.456, 0.406)
"""Mean of red, green and blue of ImageNet, in [0, 1]: what torchvision's and most other networks were trained with."""

IMAGENET_STD = (0.229, 0.224, 0.225)
"""Standard deviation of red, green and blue of ImageNet, in [0, 1]."""


def checked_size(size: Sequence[int]) -> tuple[int, int]:
    """Height and width as two whole numbers above 0.

    Raises:
        ValueError: Anything else.
    """
    given: object = size
    if not isinstance(given, Sequence) or len(given) != 2 or not all(_is_whole(side) and side > 0 for side in given):
        raise ValueError(f"size is {size!r}; expected (height, width) in pixels, such as (224, 224)")
    return int(given[0]), int(given[1])


def checked_fit(fit_to_size: str) -> Fit:
    """The name of a way to fit an image to a size.

    Raises:
        ValueError: No such way.
    """
    for fit in get_args(Fit):
        if fit == fit_to_size:
            return fit  # type: ignore[no-any-return]
    raise ValueError(f"fit_to_size is {fit_to_size!r}; expected one of {', '.join(map(repr, get_args(Fit)))}")


def checked_batch_size(batch_size: int) -> int:
    """A whole number above 0.

    Raises:
        ValueError: Anything else.
    """
    if not _is_whole(batch_size) or batch_size < 1:
        raise ValueError(f"batch_size is {batch_size!r}; expected a whole number above 0")
    return int(batch_size)


def checked_channels(values: Sequence[float], name: str) -> tuple[float, float, float]:
    """A number each for red, green and blue; a `std` is above 0.

    Raises:
        ValueError: Not three finite numbers, or a spread of 0.
    """
    row = np.asarray(values, dtype=np.float64) if np.ndim(values) == 1 else np.empty(0)
    if row.shape != (3,) or not np.isfinite(row).all() or (name == "std" and row.min() <= 0):
        above = " above 0" if name == "std" else ""
        raise ValueError(
            f"{name} is {values!r}; expected three numbers{above}, of red, green and blue, for values in [0, 1]"
        )
    return float(row[0]), float(row[1]), float(row[2])


def standardized(pixels: Pixels, mean: Sequence[float], std: Sequence[float]) -> npt.NDArray[np.float32]:
    """Pixels `(b, h, w, 3)` as `(pixels / 255 - mean) / std`.

    Examples:
        >>> standardized(np.full((1, 1, 1, 3), 255, dtype=np.uint8), (0.5, 0.5, 0.5), (0.5, 0.25, 1.0)).tolist()
        [[[[1.0, 2.0, 0.5]]]]
    """
    scale = (1 / (255 * np.asarray(std))).astype(np.float32)
    shift = (np.asarray(mean) / np.asarray(std)).astype(np.float32)
    return np.asarray(pixels * scale - shift)


def middle(pixels: Pixels, size: tuple[int, int]) -> Pixels:
    """The middle of `(b, h, w, 3)` pixels, of this size at most.

    Examples:
        >>> middle(np.zeros((1, 256, 100, 3), dtype=np.uint8), (224, 224)).shape
        (1, 224, 100, 3)
    """
    top, left = (max(0, (side - wanted) // 2) for side, wanted in zip(pixels.shape[1:3], size))
    return pixels[:, top : top + size[0], left : left + size[1]]


def _is_whole(value: object) -> bool:
    return isinstance(value, int | np.integer) and not isinstance(value, bool)
