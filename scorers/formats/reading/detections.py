"""Collects the boxes of one image after the other into `DetectionPredictions`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from ...predictions.detection import DetectionPredictions
from .arrays import as_array
from .items import checked_size
from .labels import ClassNames, label_indices, names_in_order
from .pixels import Convention, relative_corners


class DetectionRows:
    """The boxes of items in one convention, taken in item by item and turned into a value at the end.

    Everything is copied on its way in, so that a model may write its next output over the last.

    Args:
        convention: How the four numbers of a box are meant.
        class_names: Names of the classes by index; None: labels that are names get the sorted names that occur.
    """

    def __init__(self, convention: Convention, *, class_names: ClassNames | None = None) -> None:
        self._convention = convention
        self._class_names = names_in_order(class_names)
        self._item_ids: list[str] = []
        self._boxes: list[npt.NDArray[Any]] = []
        self._scores: list[npt.NDArray[Any]] = []
        self._labels: list[npt.NDArray[Any]] = []
        self._names: list[str] = []
        self._sizes: list[tuple[float, float] | None] = []
        self._probabilities: list[npt.NDArray[Any]] = []

    def add(
        self,
        item_id: str,
        boxes: Any,
        scores: Any,
        labels: Any,
        *,
        size: Sequence[Any] | None,
        class_probabilities: Any = None,
    ) -> None:
        """Take in the boxes of an item.

        Args:
            item_id: The item.
            boxes: `(m, 4)` in the convention; array, tensor or list.
            scores: `(m,)` in `[0, 1]`.
            labels: `(m,)` class indices, or m names.
            size: Width and height of the image in pixels where the boxes are in pixels, None where they are fractions.
            class_probabilities: `(m, c)`, or None for all items.

        Raises:
            ValueError: Counts that differ, or a size that is no size. The message names the item.
        """
        width_height = None if size is None else checked_size(size, item_id)
        corners = as_array(boxes, f"boxes of {item_id!r}").copy()
        if corners.size == 0:
            corners = corners.reshape(0, 4)
        if corners.ndim != 2 or corners.shape[1] != 4:
            raise ValueError(f"boxes of {item_id!r} have shape {corners.shape}; expected (m, 4): {self._convention}")
        confidences = as_array(scores, f"scores of {item_id!r}").reshape(-1).copy()
        names = labels.tolist() if isinstance(labels, np.ndarray) and labels.dtype.kind in "UO" else labels
        if isinstance(names, list | tuple) and names and all(isinstance(name, str) for name in names):
            indices = None
            n_labels = len(names)
        else:
            indices = as_array(labels, f"labels of {item_id!r}").reshape(-1).copy()
            if indices.dtype.kind == "b" or (indices.dtype.kind == "f" and not (indices == np.floor(indices)).all()):
                raise ValueError(f"labels of {item_id!r} are {indices.tolist()}; expected whole numbers, or names")
            n_labels = len(indices)
        for n, what in ((len(confidences), "scores"), (n_labels, "labels")):
            if n != len(corners):
                raise ValueError(f"{item_id!r} has {len(corners)} boxes and {n} {what}; expected one for each box")
        if class_probabilities is not None and len(corners):
            rows = as_array(class_probabilities, f"class probabilities of {item_id!r}").copy()
            n_columns = self._probabilities[0].shape[1] if self._probabilities else "c"
            if rows.ndim != 2 or len(rows) != len(corners) or n_columns not in ("c", rows.shape[1]):
                raise ValueError(
                    f"class probabilities of {item_id!r} have shape {rows.shape}; expected ({len(corners)}, {n_columns})"
                )
            self._probabilities.append(rows)
        if indices is None:
            self._names += names
        else:
            self._labels.append(indices)
        self._item_ids.append(item_id)
        self._boxes.append(corners)
        self._scores.append(confidences)
        self._sizes.append(width_height)

    def predictions(self) -> DetectionPredictions:
        """All that was taken in, checked.

        Raises:
            ValueError: Boxes that do not fit their images, numbers out of range, ids doubled. The message names the item.
        """
        counts = [len(boxes) for boxes in self._boxes]
        offsets = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
        is_relative = {size is None for size, n in zip(self._sizes, counts) if n}
        if len(is_relative) > 1:
            raise ValueError("some items have image sizes and others have none; give boxes in one unit")
        if self._names and any(len(part) for part in self._labels):
            raise ValueError("some labels are names and others are numbers; give one kind")
        boxes = np.concatenate([*self._boxes, np.empty((0, 4))])
        item_of_box = np.repeat(np.arange(len(counts)), counts)
        sizes = None
        if is_relative == {False}:
            sizes = np.array([size or (0.0, 0.0) for size in self._sizes])[item_of_box]

        def box_name(row: int) -> str:
            item = int(item_of_box[row])
            return f"box {row - int(offsets[item])} of {self._item_ids[item]!r}"

        names = self._class_names
        labels: npt.NDArray[Any] = np.concatenate([*self._labels, np.empty(0, dtype=np.int64)])
        if self._names:
            labels, names = label_indices(self._names, names, box_name)
        return DetectionPredictions(
            self._item_ids,
            relative_corners(boxes, sizes, self._convention, box_name),
            np.concatenate([*self._scores, np.empty(0)]),
            labels,
            offsets,
            np.concatenate(self._probabilities) if self._probabilities else None,
            names,
        )
