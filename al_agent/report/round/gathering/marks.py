"""What predictions say of an image, in the form that a page shows: marks, classes, counts of boxes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from scorers import (
    ClassificationPredictions,
    DetectionPredictions,
    EnsemblePredictions,
    KeypointPredictions,
    SegmentationPredictions,
)
from scorers.checks import row_blocks
from scorers.predictions.pixel_map import PixelMap

from ....guesses import boxes_in, class_name, likeliest
from ..facts import Box, Marks

Predictions = (
    ClassificationPredictions | DetectionPredictions | EnsemblePredictions | KeypointPredictions | SegmentationPredictions
)
"""Predictions that can be shown on images."""

Codes = npt.NDArray[np.int32]

_MASK_SIDE = 256  # a thumbnail shows no more, and a page holds many


def marks_of(predictions: Predictions, item_ids: Iterable[str]) -> dict[str, Marks]:
    """What a model sees on some items, in their order; an item without a prediction is left out.

    Of a committee, and of stochastic passes, it is the mean. A map of pixels is read one at a time and reduced to at most
    256 pixels on its longer side, by leaving pixels out; -1 stands where its mask says not to look.

    Args:
        predictions: Of a whole pool or of these items; numbers stand for classes without names.
        item_ids: Which items, such as the picks.

    Raises:
        ValueError: Predictions of another kind, or a map whose values are no probabilities.

    Examples:
        >>> predictions = ClassificationPredictions(["a.jpg"], [[0.25, 0.75]], class_names=["cat", "dog"])
        >>> marks_of(predictions, ["a.jpg", "b.jpg"])["a.jpg"].label
        'dog 0.75'
    """
    wanted = tuple(item_ids)
    _check_kind(predictions)
    row_of = _rows(predictions, wanted)
    return {item_id: _marks(predictions, row_of[item_id]) for item_id in wanted if item_id in row_of}


def classes_of(predictions: Predictions) -> tuple[tuple[str, ...], Codes]:
    """The class of each item: the likeliest one, or of a detector that of its surest box.

    Maps of pixels and keypoints have no class of the whole image: there are no names then, and all codes are -1. Time
    O(n c), memory O(n).

    Args:
        predictions: Of n items; numbers stand for classes without names.

    Returns:
        The names, and `(n,)` where each item's class stands among them; -1 for an item without boxes.

    Raises:
        ValueError: Predictions of another kind.

    Examples:
        >>> names, codes = classes_of(ClassificationPredictions(["a.jpg", "b.jpg"], [[0.25, 0.75], [0.9, 0.1]]))
        >>> names, codes.tolist()
        (('0', '1'), [1, 0])
    """
    _check_kind(predictions)
    if isinstance(predictions, ClassificationPredictions | EnsemblePredictions):
        names = predictions.class_names or tuple(map(str, range(predictions.n_classes)))
        return names, _likeliest_columns(predictions.probabilities)
    if isinstance(predictions, DetectionPredictions):
        return _surest_labels(predictions)
    return (), np.full(len(predictions), -1, dtype=np.int32)


def box_counts(predictions: DetectionPredictions, item_ids: Iterable[str]) -> dict[str, int]:
    """Number of boxes of each class in some items, commonest first; classes without a box are left out.

    Args:
        predictions: Boxes as a detector gave them, however unsure: leave out before what should not count.
        item_ids: Which items; those without a prediction have no boxes.

    Examples:
        >>> predictions = DetectionPredictions(["a.jpg"], [[0, 0, 1, 1]] * 3, [0.9, 0.8, 0.7], [4, 2, 4], [0, 3])
        >>> box_counts(predictions, ["a.jpg"])
        {'4': 2, '2': 1}
    """
    is_wanted = np.zeros(len(predictions), dtype=bool)
    is_wanted[list(_rows(predictions, tuple(item_ids)).values())] = True
    labels, counts = np.unique(predictions.labels[np.repeat(is_wanted, np.diff(predictions.offsets))], return_counts=True)
    found: Counter[str] = Counter()
    for label, count in zip(labels.tolist(), counts.tolist()):
        found[class_name(predictions.class_names, label)] += count
    return dict(found.most_common())


def _check_kind(predictions: object) -> None:
    if not isinstance(predictions, Predictions):
        kinds = ", ".join(kind.__name__ for kind in Predictions.__args__)
        raise ValueError(f"predictions is {type(predictions).__name__}; expected one of {kinds}")


def _rows(predictions: Predictions, wanted: tuple[str, ...]) -> dict[str, int]:
    """The rows of those items that are there; of a large pool, nothing is kept of the others."""
    ids = set(wanted)
    return {item_id: row for row, item_id in enumerate(predictions.item_ids) if item_id in ids}


def _marks(predictions: Predictions, row: int) -> Marks:
    if isinstance(predictions, ClassificationPredictions | EnsemblePredictions):
        values = predictions.probabilities[row].astype(np.float64)
        guess = likeliest(values if values.ndim == 1 else values.mean(axis=0), predictions.class_names)
        return Marks(label=f"{guess.label} {guess.score:.2f}")
    if isinstance(predictions, DetectionPredictions):
        boxes = (Box(guess.label, guess.score, guess.box) for guess in boxes_in(predictions, row) if guess.box is not None)
        return Marks(boxes=tuple(sorted(boxes, key=lambda box: -box.score)))
    if isinstance(predictions, KeypointPredictions):
        return Marks(points=_points(predictions, row))
    names = predictions.class_names or tuple(map(str, range(predictions.n_classes)))
    return Marks(mask=_likeliest_pixels(_reduced(predictions.pixel_map(row))), mask_names=names)


def _points(predictions: KeypointPredictions, row: int) -> npt.NDArray[np.float64] | None:
    if predictions.keypoints is None:
        return None
    instances = slice(int(predictions.offsets[row]), int(predictions.offsets[row + 1]))
    points = predictions.keypoints[instances].astype(np.float64)
    points[~predictions.is_predicted[instances]] = np.nan
    return points


def _reduced(pixels: PixelMap) -> PixelMap:
    """Every so many rows and columns, from the middle of each step."""
    step = -(-max(pixels.size) // _MASK_SIDE)
    rows, columns = (slice((min(step, side) - 1) // 2, None, step) for side in pixels.size)
    mask = None if pixels.mask is None else pixels.mask[rows, columns]
    return replace(pixels, values=pixels.values[:, :, rows, columns], mask=mask)


def _likeliest_pixels(pixels: PixelMap) -> npt.NDArray[np.integer[Any]]:
    """`(h, w)` likeliest class of each pixel by the mean over passes, -1 where it is not looked at."""
    found = np.full(pixels.size, -1, dtype=np.min_scalar_type(-pixels.n_classes))
    areas = list(pixels.areas())
    scratch = np.empty(pixels.n_classes * max(map(pixels.n_looked_at, areas)), dtype=pixels.dtype)
    for area in areas:
        total = np.zeros((pixels.n_classes, pixels.n_looked_at(area)))
        for number in range(pixels.n_passes):
            total += pixels.block(number, area, scratch)
        seen = slice(None) if pixels.mask is None else pixels.mask[area]
        winners = total.argmax(axis=0)
        found[area][seen] = winners.reshape(found[area].shape) if pixels.mask is None else winners
    return found


def _likeliest_columns(probabilities: npt.NDArray[np.floating[Any]]) -> Codes:
    """Of `(n, c)` or `(n, t, c)`, the column with the highest mean; 1 or 0 where one column stands for two classes."""
    n, c = len(probabilities), probabilities.shape[-1]
    codes = np.empty(n, dtype=np.int32)
    for rows in row_blocks(n, probabilities[0].size):
        block = probabilities[rows]
        if block.ndim == 3:
            block = block.sum(axis=1, dtype=np.float64)
        codes[rows] = block[:, 0] >= 0.5 if c == 1 else block.argmax(axis=1)
    return codes


def _surest_labels(predictions: DetectionPredictions) -> tuple[tuple[str, ...], Codes]:
    offsets, scores = predictions.offsets, predictions.scores
    codes = np.full(len(predictions), -1, dtype=np.int32)
    has_boxes = np.diff(offsets) > 0
    if has_boxes.any():
        starts = offsets[:-1][has_boxes]
        highest = np.maximum.reduceat(scores, starts)
        ties = np.flatnonzero(scores == np.repeat(highest, np.diff(offsets)[has_boxes]))
        codes[has_boxes] = predictions.labels[ties[np.searchsorted(ties, starts)]]  # the first of those that tie
    if predictions.class_names is not None:
        return predictions.class_names, codes
    labels, places = np.unique(codes[codes >= 0], return_inverse=True)
    codes[codes >= 0] = places
    return tuple(map(str, labels.tolist())), codes
