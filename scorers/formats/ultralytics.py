"""Ultralytics' `Results`: boxes, oriented boxes, class probabilities and poses, with path and size of their image."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt

from ..predictions.classification import ClassificationPredictions
from ..predictions.detection import DetectionPredictions
from ..predictions.keypoints import KeypointPredictions
from .reading.arrays import copied, field
from .reading.detections import DetectionRows
from .reading.items import matched_by_path, width_and_height
from .reading.labels import ClassNames, names_in_order
from .reading.poses import KeypointRows

_Size = tuple[float, float]
_Array = npt.NDArray[Any]


def detections(results: Iterable[Any], *, item_ids: Iterable[str]) -> DetectionPredictions:
    """Predictions from the `boxes` (or `obb`, oriented boxes, by the upright box around each) of every image.

    Args:
        results: A `Results` for each image, in any order; told apart by `path`. A generator (`stream=True`) is read once.
            Every image has one, also where nothing was found.
        item_ids: n unique item ids, which the file names of `path` are matched to.

    Raises:
        ValueError: Results of an unknown image, of none, or of one twice; no boxes in a result; numbers out of range.

    Examples:
        >>> from types import SimpleNamespace as Results
        >>> boxes = Results(xyxy=[[10.0, 20.0, 60.0, 80.0]], conf=[0.75], cls=[0.0])
        >>> result = Results(path="/data/a.jpg", orig_shape=(100, 100), names={0: "car"}, boxes=boxes)
        >>> detections([result], item_ids=["a.jpg"]).boxes.tolist()
        [[0.1, 0.2, 0.6, 0.8]]
    """
    found = matched_by_path(results, item_ids, "path", "result", _boxes)
    rows = DetectionRows("xyxy", class_names=next(iter(found.values()))[-1])
    for item_id, (corners, scores, labels, size, _) in found.items():
        rows.add(item_id, corners, scores, labels, size=size)
    return rows.predictions()


def classifications(results: Iterable[Any], *, item_ids: Iterable[str]) -> ClassificationPredictions:
    """Predictions from the `probs` of every image; arguments and errors as for `detections`.

    Examples:
        >>> from types import SimpleNamespace as Results
        >>> result = Results(path="a.jpg", names={0: "cat", 1: "dog"}, probs=Results(data=[0.25, 0.75]))
        >>> classifications([result], item_ids=["a.jpg"]).probabilities.tolist()
        [[0.25, 0.75]]
    """
    found = matched_by_path(results, item_ids, "path", "result", _probabilities)
    first, names = next(iter(found.values()))
    for item_id, (row, _) in found.items():
        if row.ndim != 1 or len(row) != len(first):
            raise ValueError(f"probs of {item_id!r} have shape {row.shape}; expected (c,), the same for all images")
    return ClassificationPredictions(tuple(found), np.stack([row for row, _ in found.values()]), class_names=names)


def keypoints(
    results: Iterable[Any], *, item_ids: Iterable[str], keypoint_names: ClassNames | None = None
) -> KeypointPredictions:
    """Predictions from the `keypoints` of every image, a pose model's; arguments and errors as for `detections`.

    Examples:
        >>> from types import SimpleNamespace as Results
        >>> poses = Results(xy=[[[20.0, 30.0], [40.0, 50.0]]], conf=[[0.75, 0.5]])
        >>> result = Results(path="a.jpg", orig_shape=(100, 100), keypoints=poses, boxes=Results(conf=[0.9]))
        >>> keypoints([result], item_ids=["a.jpg"]).confidences.tolist()
        [[0.75, 0.5]]
    """
    rows = KeypointRows(keypoint_names=keypoint_names)
    for item_id, (places, sure, scores, size) in matched_by_path(results, item_ids, "path", "result", _poses).items():
        rows.add(item_id, places, sure, size=size, instance_scores=scores)
    return rows.predictions()


def _boxes(item_id: str, result: Any) -> tuple[_Array, _Array, _Array, _Size, tuple[str, ...] | None]:
    what = f"the result of {item_id!r}"
    boxes = field(result, "boxes", what)
    if boxes is None:
        boxes = getattr(result, "obb", None)
    if boxes is None:
        raise ValueError(f"{what} has no boxes; is this a detection model's?")
    corners, scores, labels = (copied(boxes, name, f"boxes of {item_id!r}") for name in ("xyxy", "conf", "cls"))
    return corners, scores, labels, _size(item_id, result), names_in_order(getattr(result, "names", None))


def _probabilities(item_id: str, result: Any) -> tuple[_Array, tuple[str, ...] | None]:
    what = f"the result of {item_id!r}"
    probabilities = field(result, "probs", what)
    if probabilities is None:
        raise ValueError(f"{what} has no probs; is this a classification model's?")
    return copied(probabilities, "data", f"probs of {item_id!r}"), names_in_order(getattr(result, "names", None))


def _poses(item_id: str, result: Any) -> tuple[_Array, _Array, _Array | None, _Size]:
    what = f"the result of {item_id!r}"
    found, boxes = field(result, "keypoints", what), getattr(result, "boxes", None)
    if found is None:
        raise ValueError(f"{what} has no keypoints; is this a pose model's?")
    places = copied(found, "xy", f"keypoints of {item_id!r}")
    if field(found, "conf", f"keypoints of {item_id!r}") is None:
        if places.size:
            raise ValueError(f"keypoints of {item_id!r} have no confidences; the model needs a third keypoint dimension")
        sure = np.empty((0, 0))
    else:
        sure = copied(found, "conf", f"keypoints of {item_id!r}")
    return places, sure, None if boxes is None else copied(boxes, "conf", f"boxes of {item_id!r}"), _size(item_id, result)


def _size(item_id: str, result: Any) -> _Size:
    return width_and_height(field(result, "orig_shape", f"the result of {item_id!r}"), f"orig_shape of {item_id!r}")
