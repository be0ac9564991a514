"""Ultralytics' `Results`: boxes, oriented boxes, class probabilities and poses, with path and size of their image."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from ..predictions.classification import ClassificationPredictions
from ..predictions.detection import DetectionPredictions
from ..predictions.keypoints import KeypointPredictions
from .arrays import as_array, field
from .detections import DetectionRows
from .items import matched_by_path, width_and_height
from .labels import names_in_order
from .poses import KeypointRows


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
    by_item = matched_by_path(results, item_ids, "path", "result")
    rows = DetectionRows("xyxy", class_names=_names(by_item))
    for item_id, result in by_item.items():
        what = f"the result of {item_id!r}"
        boxes = field(result, "boxes", what)
        if boxes is None:
            boxes = getattr(result, "obb", None)
        if boxes is None:
            raise ValueError(f"{what} has no boxes; is this a detection model's?")
        corners, scores, labels = (field(boxes, name, f"boxes of {item_id!r}") for name in ("xyxy", "conf", "cls"))
        classes = as_array(labels, f"cls of {item_id!r}")  # whole numbers as floats
        rows.add(item_id, corners, scores, classes, size=width_and_height(result.orig_shape, f"orig_shape of {item_id!r}"))
    return rows.predictions()


def classifications(results: Iterable[Any], *, item_ids: Iterable[str]) -> ClassificationPredictions:
    """Predictions from the `probs` of every image; arguments and errors as for `detections`.

    Examples:
        >>> from types import SimpleNamespace as Results
        >>> result = Results(path="a.jpg", names={0: "cat", 1: "dog"}, probs=Results(data=[0.25, 0.75]))
        >>> classifications([result], item_ids=["a.jpg"]).probabilities.tolist()
        [[0.25, 0.75]]
    """
    by_item = matched_by_path(results, item_ids, "path", "result")
    rows = []
    for item_id, result in by_item.items():
        probabilities = field(result, "probs", f"the result of {item_id!r}")
        if probabilities is None:
            raise ValueError(f"the result of {item_id!r} has no probs; is this a classification model's?")
        rows.append(as_array(field(probabilities, "data", f"probs of {item_id!r}"), f"probs of {item_id!r}"))
    return ClassificationPredictions(tuple(by_item), np.stack(rows), class_names=_names(by_item))


def keypoints(
    results: Iterable[Any], *, item_ids: Iterable[str], keypoint_names: Iterable[str] | None = None
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
    for item_id, result in matched_by_path(results, item_ids, "path", "result").items():
        what = f"the result of {item_id!r}"
        found, boxes = field(result, "keypoints", what), getattr(result, "boxes", None)
        if found is None:
            raise ValueError(f"{what} has no keypoints; is this a pose model's?")
        places, sure = (field(found, name, f"keypoints of {item_id!r}") for name in ("xy", "conf"))
        if sure is None and len(places):
            raise ValueError(f"keypoints of {item_id!r} have no confidences; the model needs a third keypoint dimension")
        size = width_and_height(field(result, "orig_shape", what), f"orig_shape of {item_id!r}")
        scores = None if boxes is None else field(boxes, "conf", what)
        rows.add(item_id, places, [] if sure is None else sure, size=size, instance_scores=scores)
    return rows.predictions()


def _names(by_item: dict[str, Any]) -> tuple[str, ...] | None:
    return names_in_order(getattr(next(iter(by_item.values())), "names", None))
