"""Boxes as `(m, 4)` corners: intersection over union, and the non-maximum suppression that uses it."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from .checks import FloatArray

Offsets = npt.NDArray[np.int64]


def iou(boxes_a: FloatArray, boxes_b: FloatArray) -> npt.NDArray[np.float64]:
    """Intersection over union of boxes row by row; 0 where both are without area.

    Args:
        boxes_a: `(m, 4)` corners x0, y0, x1, y1.
        boxes_b: `(m, 4)` corners, in the same unit.

    Examples:
        >>> iou(np.array([[0.0, 0.0, 0.5, 0.5]]), np.array([[0.0, 0.0, 0.5, 1.0]])).tolist()
        [0.5]
    """
    a, b = np.asarray(boxes_a, dtype=np.float64), np.asarray(boxes_b, dtype=np.float64)
    sides = np.minimum(a[:, 2:], b[:, 2:]) - np.maximum(a[:, :2], b[:, :2])
    intersection = np.prod(np.maximum(sides, 0.0), axis=1)
    union = np.prod(a[:, 2:] - a[:, :2], axis=1) + np.prod(b[:, 2:] - b[:, :2], axis=1) - intersection
    result = np.zeros(len(a))
    np.divide(intersection, union, out=result, where=union > 0)
    return result


def kept_by_nms(
    boxes: FloatArray, scores: FloatArray, labels: npt.NDArray[Any], offsets: Offsets, *, iou_threshold: float
) -> npt.NDArray[np.bool_]:
    """Which boxes greedy non-maximum suppression keeps, for each image and class on its own.

    The box of the highest score is kept (the earlier one of a tie), boxes of the same image and class that overlap it by
    more than the threshold are dropped, and so on with the rest. All images advance together: time O(r m) where r is the
    largest number of boxes kept in one image and class.

    Args:
        boxes: `(m, 4)` corners.
        scores: `(m,)`.
        labels: `(m,)` classes.
        offsets: `(n + 1,)`, the boxes of image i are `offsets[i]:offsets[i + 1]`.
        iou_threshold: Overlap above which the weaker box is dropped, in `[0, 1]`.

    Returns:
        `(m,)` booleans.

    Examples:
        >>> boxes = np.array([[0, 0, 0.5, 0.5], [0, 0, 0.5, 0.45], [0, 0, 0.5, 0.45]])
        >>> kept_by_nms(boxes, np.array([0.9, 0.8, 0.7]), np.array([1, 1, 2]), np.array([0, 3]), iou_threshold=0.5)
        array([ True, False,  True])
    """
    image = np.repeat(np.arange(len(offsets) - 1), np.diff(offsets))
    left = np.lexsort((np.arange(len(scores)), -np.asarray(scores, dtype=np.float64), labels, image))
    kept = np.zeros(len(scores), dtype=bool)
    while len(left):
        is_first = np.ones(len(left), dtype=bool)
        is_first[1:] = (image[left[1:]] != image[left[:-1]]) | (labels[left[1:]] != labels[left[:-1]])
        best = left[is_first]
        kept[best] = True
        rivals = best[np.cumsum(is_first) - 1]
        left = left[~is_first & (iou(boxes[left], boxes[rivals]) <= iou_threshold)]
    return kept
