"""COCO results: JSON lists of boxes, masks or keypoints in pixels, joined to file names by image id."""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from ...predictions.detection import DetectionPredictions
from ..reading.pixels import relative_corners
from .files import CocoImages, Images, Results, check_row, is_finite, read_images, result_pieces
from .items import items_of_images
from .keypoints import keypoints
from .masks import mask_boxes
from .results import ResultRows, in_file, row_names

__all__ = ["detections", "keypoints"]

Boxes = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]


def detections(
    results: Results, *, images: Images, item_ids: Iterable[str] | None = None, is_complete: bool = True
) -> DetectionPredictions:
    """Predictions from results `{image_id, category_id, bbox: [x, y, width, height], score}`, with or without masks.

    Where a result has no `bbox`, it is the box around its `segmentation`: a run-length code, compressed or not, or polygons.
    Results whose mask is empty show nothing, and are left out with a warning. The boxes of an image keep the order of the
    results, and are clipped to it. Files are read piece by piece: memory is that of the arrays.

    Args:
        results: Path of the JSON list, or the list.
        images: Path or content of a COCO annotation file, or a list of `{id, file_name, width, height}`. Labels are
            positions in its `categories`, or the category ids where there are none.
        item_ids: Item ids that file names are matched to; the result has their order. Images of no item are left out where
            they have no results. None takes the file names as they are, in the order of `images`.
        is_complete: Whether every item must be among the images; if not, those that are not are left out.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: Not JSON, a field is missing, an image or category is unknown, a score outside [0, 1], a box outside its
            image, boxes that only fit as corners or fractions. The message names the file and the result by its number.
            An image with results that is none of `item_ids`, or an item without an image.

    Examples:
        >>> predictions = detections(
        ...     [{"image_id": 7, "category_id": 3, "bbox": [10, 10, 20, 40], "score": 0.5}],
        ...     images=[{"id": 7, "file_name": "a.jpg", "width": 100, "height": 100}],
        ... )
        >>> predictions.item_ids, predictions.boxes.tolist(), predictions.labels.tolist()
        (('a.jpg',), [[0.1, 0.1, 0.3, 0.5]], [3])
    """
    known = read_images(images)
    rows, parts = ResultRows(known, "bbox"), [np.empty((0, 4))]
    with in_file(results):
        for piece in result_pieces(results):
            start = rows.n_rows
            parts.append(_boxes(piece, start, rows.take(piece), known))
        image, labels, scores = rows.columns()
        boxes = np.concatenate(parts)
        parts.clear()
        name = partial(row_names, known, image)
        is_score = (scores >= 0) & (scores <= 1)
        if not is_score.all():
            row = int(np.flatnonzero(~is_score)[0])
            raise ValueError(f"{name(row)} has the score {scores[row]:g}; expected a number in [0, 1]")
        is_empty = np.asarray(np.isnan(boxes).all(axis=1))
        if is_empty.any():
            row = int(np.flatnonzero(is_empty)[0])
            warnings.warn(
                f"{is_empty.sum():,} of {len(boxes):,} results have an empty mask, the first is {name(row)}; they are left "
                "out",
                stacklevel=2,
            )
            boxes[is_empty] = 0
        corners = relative_corners(boxes, known.sizes[image], "xywh", name)
        ids, positions = items_of_images(known, image[~is_empty], item_ids, is_complete)
    item = positions[image]
    order = np.argsort(item, kind="stable")
    order = order[~is_empty[order]]
    counts = np.bincount(item[order], minlength=len(ids))
    return DetectionPredictions(
        ids,
        corners[order],
        scores[order],
        labels[order],
        np.concatenate([[0], np.cumsum(counts)]),
        class_names=known.class_names,
    )


def _boxes(piece: list[Any], start: int, image: IntArray, known: CocoImages) -> Boxes:
    """`(p, 4)` x, y, width, height of results from number `start` on; NaN where the mask is empty."""
    try:
        boxes = np.array([row["bbox"] for row in piece])
    except (KeyError, ValueError):  # no box, or boxes that differ in length
        return _boxes_and_masks(piece, start, image, known)
    if boxes.shape != (len(piece), 4) or boxes.dtype.kind not in "iuf" or not np.isfinite(boxes).all():
        return _boxes_and_masks(piece, start, image, known)
    return boxes.astype(np.float64)


def _boxes_and_masks(piece: list[Any], start: int, image: IntArray, known: CocoImages) -> Boxes:
    boxes = np.full((len(piece), 4), np.nan)
    masked = []
    for number, row in enumerate(piece):
        bbox = row.get("bbox")
        if row.get("segmentation") is not None and (bbox is None or (isinstance(bbox, list | tuple) and not bbox)):
            if image[number] >= 0:
                masked.append(number)
            continue
        check_row(row, ("image_id", "category_id", "bbox", "score"), f"result {start + number}")
        values = bbox.tolist() if isinstance(bbox, np.ndarray) else bbox
        if not isinstance(values, list | tuple) or len(values) != 4 or not all(map(is_finite, values)):
            raise ValueError(f"result {start + number} has bbox {bbox!r}; expected [x, y, width, height] in pixels")
        boxes[number] = values
    segmentations = [piece[number]["segmentation"] for number in masked]
    boxes[masked] = mask_boxes(segmentations, known.sizes[image[masked]], lambda row: f"result {start + masked[row]}")
    return boxes
