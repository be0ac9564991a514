"""Dictionaries of boxes, labels, scores and keypoints, as torchvision's detection models give them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ..predictions.detection import DetectionPredictions
from ..predictions.keypoints import KeypointPredictions
from .reading.arrays import field
from .reading.detections import DetectionRows
from .reading.items import ImageSizes, paired_with_sizes
from .reading.labels import ClassNames
from .reading.poses import Activation, KeypointRows


def detections(
    item_ids: Iterable[str],
    outputs: Iterable[Mapping[str, Any]],
    *,
    image_sizes: ImageSizes,
    class_names: ClassNames | None = None,
) -> DetectionPredictions:
    """Predictions from `{"boxes", "labels", "scores"}`, boxes as corners in pixels; other fields are not read.

    What Faster R-CNN, RetinaNet, SSD, FCOS and Mask R-CNN of torchvision return in eval mode, and what
    `post_process_object_detection` of Hugging Face's processors gives for DETR and its kin.

    Args:
        item_ids: n unique item ids, in the order of the outputs.
        outputs: n dictionaries of tensors or arrays: `boxes (m, 4)`, `labels (m,)`, `scores (m,)`. A generator is read once.
        image_sizes: Width and height in pixels of the images that the model was given.
        class_names: A name for each label; torchvision's label 0 is the background.

    Raises:
        ValueError: Counts that differ, a missing field, boxes that do not fit their image, numbers out of range.

    Examples:
        >>> output = {"boxes": [[10.0, 20.0, 60.0, 80.0]], "labels": [1], "scores": [0.75]}
        >>> predictions = detections(["a.jpg"], [output], image_sizes=[(100, 100)])
        >>> predictions.boxes.tolist()
        [[0.1, 0.2, 0.6, 0.8]]
    """
    rows = DetectionRows("xyxy", class_names=class_names)
    for item_id, output, size in paired_with_sizes(item_ids, outputs, image_sizes):
        boxes, scores, labels = (field(output, name, f"the output of {item_id!r}") for name in ("boxes", "scores", "labels"))
        rows.add(item_id, boxes, scores, labels, size=size)
    return rows.predictions()


def keypoints(
    item_ids: Iterable[str],
    outputs: Iterable[Mapping[str, Any]],
    *,
    image_sizes: ImageSizes,
    activation: Activation = "sigmoid",
    keypoint_names: ClassNames | None = None,
) -> KeypointPredictions:
    """Predictions from `{"keypoints", "keypoints_scores"}`, and the instances' `scores`, of Keypoint R-CNN.

    Args:
        item_ids: n unique item ids, in the order of the outputs.
        outputs: n dictionaries of tensors or arrays: `keypoints (m, k, 3)` in pixels, `keypoints_scores (m, k)`, `scores
            (m,)`. A generator is read once.
        image_sizes: Width and height in pixels of the images that the model was given.
        activation: Keypoint R-CNN's scores are heights of its heat maps before any activation, so the logistic function is
            the default; `none` or `clip` where they are confidences already.
        keypoint_names: A name for each keypoint.

    Raises:
        ValueError: Counts that differ, a missing field, keypoints far outside their image, numbers out of range.

    Examples:
        >>> output = {"keypoints": [[[20.0, 30.0, 1.0]]], "keypoints_scores": [[0.0]], "scores": [0.9]}
        >>> keypoints(["a.jpg"], [output], image_sizes=[(100, 100)]).confidences.tolist()
        [[0.5]]
    """
    rows = KeypointRows(activation=activation, keypoint_names=keypoint_names)
    for item_id, output, size in paired_with_sizes(item_ids, outputs, image_sizes):
        places, sure, scores = (
            field(output, name, f"the output of {item_id!r}") for name in ("keypoints", "keypoints_scores", "scores")
        )
        rows.add(item_id, places, sure, size=size, instance_scores=scores)
    return rows.predictions()
