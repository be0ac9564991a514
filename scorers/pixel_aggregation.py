"""From a value for each pixel to a value for the image: max, the mean of the highest, the worst region."""

from __future__ import annotations

import re

import numpy as np

from .checks import FloatArray
from .predictions.pixel_map import Mask

_TOP_PERCENT = re.compile(r"top([1-9][0-9]?|100)_percent_mean")
_REGION = re.compile(r"region([1-9][0-9]{0,5})_max")


def check_pixel_aggregation(name: object) -> None:
    """Raise if `name` is none of `max`, `top<p>_percent_mean` and `region<s>_max`."""
    if not isinstance(name, str) or not (name == "max" or _TOP_PERCENT.fullmatch(name) or _REGION.fullmatch(name)):
        raise ValueError(
            f"unknown aggregation {name!r}; expected 'max', 'top10_percent_mean' with any whole percentage from 1 to 100, "
            "or 'region32_max' with any side in pixels"
        )


def aggregate_pixels(values: FloatArray, name: str, *, mask: Mask | None = None) -> float:
    """Aggregate the values of an image's pixels.

    Args:
        values: `(h, w)`, one for each pixel.
        name: `max`; `top<p>_percent_mean`: the mean of the p percent highest, rounded up to whole pixels; or
            `region<s>_max`: the highest mean of a window of s x s pixels, where windows lie edge to edge from the upper left
            corner and those at the lower and right edge are cut off.
        mask: `(h, w)`, the pixels that count; a window's mean is that of those it has, and a window without is passed over.
            At least one pixel counts.

    Examples:
        >>> image = np.array([[0.9, 0.0, 0.4], [0.0, 0.1, 0.4]])
        >>> [round(aggregate_pixels(image, name), 3) for name in ("max", "top34_percent_mean", "region2_max")]
        [0.9, 0.567, 0.4]
    """
    check_pixel_aggregation(name)
    if name == "max":
        return float((values if mask is None else values[mask]).max())
    match = _TOP_PERCENT.fullmatch(name)
    if match:
        return _mean_of_highest(values.ravel() if mask is None else values[mask], int(match[1]))
    return _highest_window(values, int(name.removeprefix("region").removesuffix("_max")), mask)


def _mean_of_highest(values: FloatArray, percent: int) -> float:
    n_highest = -(-len(values) * percent // 100)
    limit = np.partition(values, len(values) - n_highest)[len(values) - n_highest]
    above = values[values > limit]  # in the order of the image: how a partition orders its parts changes no bit
    total = above.sum(dtype=np.float64) + float(limit) * (n_highest - len(above))
    return float(total) / n_highest


def _highest_window(values: FloatArray, side: int, mask: Mask | None) -> float:
    means = _window_sums(values if mask is None else np.where(mask, values, 0), side)
    counts = _window_sums(np.ones(values.shape) if mask is None else mask, side)
    filled = counts > 0
    return float((means[filled] / counts[filled]).max())


def _window_sums(values: FloatArray | Mask, side: int) -> FloatArray:
    height, width = values.shape
    rows = np.add.reduceat(values, np.arange(0, height, side), axis=0, dtype=np.float64)
    sums: FloatArray = np.add.reduceat(rows, np.arange(0, width, side), axis=1)
    return sums
