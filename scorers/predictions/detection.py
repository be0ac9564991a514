"""The boxes that a detector found in each item."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from ..checks import (
    FloatArray,
    as_floats,
    check_finite,
    check_length,
    check_probability_rows,
    checked_item_ids,
    set_fields,
    softmax,
)
from .parts import (
    IntArray,
    as_integers,
    check_has_columns,
    check_unit_interval,
    checked_names,
    checked_offsets,
    checked_slice,
    is_nothing,
    part_name,
)

_MOST_LABELS = 2**31  # so that an item's row and a label fit one 64-bit number


@dataclass(frozen=True, eq=False, init=False, repr=False)
class DetectionPredictions:
    """The boxes that a detector found in each item, as flat arrays.

    A detector that gives one score and one label for each box leaves `class_probabilities` out and is scored as a two-way
    choice, that label or not. Nothing is made up.

    Args:
        item_ids: n unique item ids.
        boxes: `(m, 4)` corners x0, y0, x1, y1 as fractions of the image's width and height, in `[0, 1]`.
        scores: `(m,)` confidence that the box holds an object of its label, in `[0, 1]`.
        labels: `(m,)` class indices, 0 or more.
        offsets: `(n + 1,)`, the boxes of item i are rows `offsets[i]:offsets[i + 1]`.
        class_probabilities: `(m, c)` class distribution of each box, rows summing to 1 within 0.004 and with the background
            class where the softmax had one; `(m, 1)` is the probability of the positive class of two.
        class_names: A name for each label.

    Raises:
        ValueError: Ids doubled, shapes that do not fit, numbers out of range. The message names the item.

    Examples:
        >>> predictions = DetectionPredictions(
        ...     item_ids=["a.jpg", "empty.jpg"],
        ...     boxes=[[0.1, 0.1, 0.4, 0.5], [0.2, 0.2, 0.9, 0.9]],
        ...     scores=[0.9, 0.4],
        ...     labels=[0, 2],
        ...     offsets=[0, 2, 2],
        ... )
        >>> len(predictions), predictions.n_boxes
        (2, 2)
    """

    item_ids: tuple[str, ...]
    boxes: FloatArray
    scores: FloatArray
    labels: IntArray
    offsets: IntArray
    class_probabilities: FloatArray | None = None
    class_names: tuple[str, ...] | None = None

    def __init__(
        self,
        item_ids: Iterable[str],
        boxes: npt.ArrayLike,
        scores: npt.ArrayLike,
        labels: npt.ArrayLike,
        offsets: npt.ArrayLike,
        class_probabilities: npt.ArrayLike | None = None,
        class_names: Iterable[str] | None = None,
    ) -> None:
        ids = checked_item_ids(item_ids)
        corners = _boxes_array(boxes)
        n_boxes = len(corners)
        rows = checked_offsets(offsets, len(ids), n_boxes)
        box_name = partial(part_name, ids, rows)
        _check_boxes(corners, box_name)
        confidences = as_floats(scores, "scores", "(m,)")
        check_length(len(confidences), n_boxes, "scores", "boxes")
        check_unit_interval(confidences, "the score", box_name)
        classes = as_integers(labels, "labels", "(m,)")
        check_length(len(classes), n_boxes, "labels", "boxes")
        names = checked_names(class_names)
        probabilities = None
        if class_probabilities is not None and (n_boxes or not is_nothing(class_probabilities)):
            probabilities = as_floats(class_probabilities, "class_probabilities", "(m, c)")
            check_length(len(probabilities), n_boxes, "class_probabilities", "boxes")
            check_has_columns(probabilities, "class_probabilities")
            if n_boxes:
                check_probability_rows(probabilities, "class_probabilities", box_name)
        _check_labels(classes, names, probabilities, box_name)
        set_fields(
            self,
            item_ids=ids,
            boxes=corners,
            scores=confidences,
            labels=classes,
            offsets=rows,
            class_probabilities=probabilities,
            class_names=names,
        )

    @classmethod
    def from_logits(
        cls,
        item_ids: Iterable[str],
        boxes: npt.ArrayLike,
        logits: npt.ArrayLike,
        offsets: npt.ArrayLike,
        *,
        background: int | None = None,
        class_names: Iterable[str] | None = None,
    ) -> DetectionPredictions:
        """Predictions from the class head's values before the softmax.

        The label is the class of the largest probability, background left aside, and the score is that probability.
        A head of independent sigmoids has no distribution over the classes: give its largest value as `scores`, its
        class as `labels`, and no class probabilities.

        Args:
            item_ids: n unique item ids.
            boxes: `(m, 4)` relative corners.
            logits: `(m, c)` finite floats, the background class included where the model has one.
            offsets: `(n + 1,)` row offsets.
            background: Column of the background class, -1 for the last; None where there is none.
            class_names: A name for each column, the background's too.

        Raises:
            ValueError: As for the class, and for logits that are not finite.

        Examples:
            >>> predictions = DetectionPredictions.from_logits(
            ...     ["a.jpg"], [[0.1, 0.1, 0.4, 0.5]], [[0.0, 0.0, 2.0]], [0, 1], background=-1
            ... )
            >>> predictions.labels.tolist(), predictions.scores.round(3).tolist()
            ([0], [0.107])
        """
        ids = checked_item_ids(item_ids)
        values = as_floats(logits, "logits", "(m, c)")
        n_classes = values.shape[1]
        if n_classes < 2:
            raise ValueError(f"logits has shape {values.shape}; expected at least two columns, one for each class")
        if background is not None and not -n_classes <= background < n_classes:
            raise ValueError(f"background is column {background} of {n_classes}; expected -1 for the last, or None")
        check_finite(values, "logits", partial(part_name, ids, checked_offsets(offsets, len(ids), len(values))))
        probabilities = softmax(values)
        objects = probabilities
        if background is not None:
            objects = probabilities.copy()
            objects[:, background] = -1
        labels = objects.argmax(axis=1)
        return cls(
            item_ids=ids,
            boxes=boxes,
            scores=np.take_along_axis(probabilities, labels[:, None], axis=1)[:, 0],
            labels=labels,
            offsets=offsets,
            class_probabilities=probabilities,
            class_names=class_names,
        )

    @classmethod
    def from_coco_results(
        cls,
        path: str | os.PathLike[str] | Iterable[Mapping[str, Any]],
        *,
        images: str | os.PathLike[str] | Mapping[str, Any] | Iterable[Mapping[str, Any]],
    ) -> DetectionPredictions:
        """Predictions from a COCO results file: a list of `{image_id, category_id, bbox, score}` in pixels.

        Boxes of masks are read where there is no `bbox`; see `scorers.formats.coco.detections`. Item ids are the images'
        file names, in the order of `images`; an image without results has no boxes. Boxes are clipped to their image. Labels
        are positions in the `categories` of `images`, or the category ids where there are none.

        Args:
            path: The results' JSON file, or the list itself.
            images: What names the images and gives their sizes: a COCO annotation file, its content, or a list of
                `{id, file_name, width, height}`.

        Raises:
            FileNotFoundError: There is no such file.
            ValueError: Not JSON, a field is missing, an image or category is unknown, a box lies outside its image, boxes
                that only fit as corners or fractions. The message names the file and the result by its number.

        Examples:
            >>> predictions = DetectionPredictions.from_coco_results(
            ...     [{"image_id": 7, "category_id": 3, "bbox": [10, 10, 20, 40], "score": 0.5}],
            ...     images=[{"id": 7, "file_name": "a.jpg", "width": 100, "height": 100}],
            ... )
            >>> predictions.item_ids, predictions.boxes.tolist(), predictions.labels.tolist()
            (('a.jpg',), [[0.1, 0.1, 0.3, 0.5]], [3])
        """
        from ..formats import coco  # noqa: PLC0415  # formats stand on predictions

        return coco.detections(path, images=images)

    def __repr__(self) -> str:
        given = "scores alone" if self.class_probabilities is None else f"{self.class_probabilities.shape[1]:,} classes"
        return f"DetectionPredictions({len(self):,} items, {self.n_boxes:,} boxes, {given})"

    @property
    def n_boxes(self) -> int:
        """Number of boxes m in all items."""
        return len(self.boxes)

    def __len__(self) -> int:
        return len(self.item_ids)

    def __getitem__(self, rows: slice) -> DetectionPredictions:
        items = checked_slice(rows, len(self))
        start, stop = items.start, items.stop
        boxes = slice(int(self.offsets[start]), int(self.offsets[stop]))
        probabilities = self.class_probabilities
        return replace(
            self,
            item_ids=self.item_ids[items],
            boxes=self.boxes[boxes],
            scores=self.scores[boxes],
            labels=self.labels[boxes],
            offsets=self.offsets[start : stop + 1] - self.offsets[start],
            class_probabilities=None if probabilities is None else probabilities[boxes],
        )


def _boxes_array(boxes: npt.ArrayLike) -> FloatArray:
    array = as_floats(np.empty((0, 4)) if is_nothing(boxes) else boxes, "boxes", "(m, 4)")
    if array.shape[1] != 4:
        raise ValueError(f"boxes has shape {array.shape}; expected (m, 4): x0, y0, x1, y1")
    return array


def _check_boxes(boxes: FloatArray, box_name: Callable[[int], str]) -> None:
    if not len(boxes):
        return
    good = ((boxes >= 0) & (boxes <= 1)).all(axis=1)
    if not good.all():
        row = int(np.flatnonzero(~good)[0])
        raise ValueError(
            f"{box_name(row)} is {boxes[row].tolist()}; expected corners x0, y0, x1, y1 as fractions of width and height "
            "in [0, 1]: divide pixels by the image's size, and clip"
        )
    ordered = (boxes[:, :2] <= boxes[:, 2:]).all(axis=1)
    if not ordered.all():
        row = int(np.flatnonzero(~ordered)[0])
        raise ValueError(
            f"{box_name(row)} is {boxes[row].tolist()}; expected x0 <= x1 and y0 <= y1: corners, not width and height"
        )


def _check_labels(
    labels: IntArray, names: tuple[str, ...] | None, probabilities: FloatArray | None, box_name: Callable[[int], str]
) -> None:
    n_classes, source = None, ""
    if names is not None:
        n_classes, source = len(names), "class_names"
    if probabilities is not None and probabilities.shape[1] > 1:
        n_columns = probabilities.shape[1]
        if n_classes is not None and n_classes > n_columns:
            raise ValueError(f"class_names has {n_classes} names for {n_columns} columns of class_probabilities")
        if n_classes is None:
            n_classes, source = n_columns, "class_probabilities"
    wrong = (labels < 0) | (labels >= (_MOST_LABELS if n_classes is None else n_classes))
    if wrong.any():
        row = int(np.flatnonzero(wrong)[0])
        span = f"0 or more, below {_MOST_LABELS}" if n_classes is None else f"0 to {n_classes - 1}, by {source}"
        raise ValueError(f"the label of {box_name(row)} is {labels[row]}; expected {span}")
