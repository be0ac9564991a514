"""Detectron2's `Instances`, bare or in the dictionary that a predictor returns."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ..predictions.detection import DetectionPredictions
from ..predictions.keypoints import KeypointPredictions
from .reading.arrays import as_array, field
from .reading.detections import DetectionRows
from .reading.items import paired, width_and_height
from .reading.labels import ClassNames
from .reading.poses import KeypointRows


def detections(
    item_ids: Iterable[str], outputs: Iterable[Any], *, class_names: ClassNames | None = None
) -> DetectionPredictions:
    """Predictions from `pred_boxes`, `scores` and `pred_classes`; masks come with boxes, and are not read.

    Args:
        item_ids: n unique item ids, in the order of the outputs.
        outputs: n `{"instances": Instances}` of a predictor, or `Instances`, whose `image_size` tells the unit. A generator
            is read once.
        class_names: A name for each class, such as `MetadataCatalog.get(...).thing_classes`.

    Raises:
        ValueError: Counts that differ, a missing field, boxes that do not fit their image, numbers out of range.

    Examples:
        >>> from types import SimpleNamespace as Instances
        >>> boxes = Instances(tensor=[[10.0, 20.0, 60.0, 80.0]])
        >>> output = {"instances": Instances(image_size=(100, 100), pred_boxes=boxes, scores=[0.75], pred_classes=[1])}
        >>> detections(["a.jpg"], [output]).boxes.tolist()
        [[0.1, 0.2, 0.6, 0.8]]
    """
    rows = DetectionRows("xyxy", class_names=class_names)
    for item_id, instances in paired(item_ids, outputs, field_of_one="image_size"):
        found, size, what = _instances(instances, item_id)
        boxes = field(field(found, "pred_boxes", what), "tensor", f"pred_boxes of {item_id!r}")
        rows.add(item_id, boxes, field(found, "scores", what), field(found, "pred_classes", what), size=size)
    return rows.predictions()


def keypoints(
    item_ids: Iterable[str], outputs: Iterable[Any], *, keypoint_names: ClassNames | None = None
) -> KeypointPredictions:
    """Predictions from `pred_keypoints (m, k, 3)`: x and y in pixels, and a score; arguments and errors as for `detections`.

    Detectron2 divides the peak of the enlarged heat map by the sum over the small one, so that a sharp peak's score exceeds
    1; it is cut off there.

    Examples:
        >>> from types import SimpleNamespace as Instances
        >>> output = Instances(image_size=(100, 100), scores=[0.9], pred_keypoints=[[[20.0, 30.0, 0.75]]])
        >>> keypoints(["a.jpg"], [output]).confidences.tolist()
        [[0.75]]
    """
    rows = KeypointRows(activation="clip", keypoint_names=keypoint_names)
    for item_id, instances in paired(item_ids, outputs, field_of_one="image_size"):
        found, size, what = _instances(instances, item_id)
        places = as_array(field(found, "pred_keypoints", what), f"pred_keypoints of {item_id!r}")
        if len(places) and (places.ndim != 3 or places.shape[2] != 3):
            raise ValueError(f"pred_keypoints of {item_id!r} have shape {places.shape}; expected (m, k, 3): x, y and score")
        sure = places[:, :, 2] if len(places) else places
        rows.add(item_id, places, sure, size=size, instance_scores=field(found, "scores", what))
    return rows.predictions()


def _instances(output: Any, item_id: str) -> tuple[Any, tuple[float, float], str]:
    """The instances of an output, width and height of their image, and what messages call them."""
    what = f"the output of {item_id!r}"
    found = field(output, "instances", what) if isinstance(output, Mapping) else output
    return found, width_and_height(field(found, "image_size", what), f"image_size of {item_id!r}"), what
