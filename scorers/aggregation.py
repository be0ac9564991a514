"""From a value for each box to a value for each image: sum, mean, max, or the mean of the k largest."""

from __future__ import annotations

import re

import numpy as np
import numpy.typing as npt

Vector = npt.NDArray[np.float64]
Offsets = npt.NDArray[np.int64]

_TOP_K = re.compile(r"top([1-9][0-9]*)_mean")


def check_aggregation(name: str) -> None:
    """Raise if `name` is none of `sum`, `mean`, `max` and `top<k>_mean`."""
    if name not in {"sum", "mean", "max"} and not _TOP_K.fullmatch(name):
        raise ValueError(f"unknown aggregation {name!r}; expected 'sum', 'mean', 'max', or 'top3_mean' with any k")


def aggregate(values: Vector, offsets: Offsets, name: str, *, empty: float = 0.0) -> Vector:
    """Aggregate the values of each image's boxes.

    Args:
        values: `(m,)`, one for each box.
        offsets: `(n + 1,)`, the boxes of image i are `offsets[i]:offsets[i + 1]`.
        name: `sum`, `mean`, `max`, or `top<k>_mean`: the mean of the k largest, of all where there are fewer.
        empty: The value of an image without boxes.

    Returns:
        `(n,)` values. Each depends on its own image's boxes alone.

    Examples:
        >>> boxes, offsets = np.array([0.2, 0.6, 0.4]), np.array([0, 3, 3])
        >>> [aggregate(boxes, offsets, name).round(3).tolist() for name in ("sum", "mean", "max", "top2_mean")]
        [[1.2, 0.0], [0.4, 0.0], [0.6, 0.0], [0.5, 0.0]]
    """
    check_aggregation(name)
    counts = np.diff(offsets)
    filled = np.flatnonzero(counts)
    result = np.full(len(counts), empty, dtype=np.float64)
    if not len(filled):
        return result
    starts = offsets[filled]  # boxes of empty images do not exist, so the filled ones' boxes lie edge to edge
    if name == "max":
        result[filled] = np.maximum.reduceat(values, starts)
    elif name == "sum":
        result[filled] = np.add.reduceat(values, starts)
    elif name == "mean":
        result[filled] = np.add.reduceat(values, starts) / counts[filled]
    else:
        k = min(int(name.removeprefix("top").removesuffix("_mean")), len(values))
        image = np.repeat(np.arange(len(counts)), counts)
        largest_first = values[np.lexsort((-values, image))]
        place = np.arange(len(values)) - np.repeat(offsets[:-1], counts)
        result[filled] = np.add.reduceat(np.where(place < k, largest_first, 0.0), starts) / np.minimum(counts[filled], k)
    return result
