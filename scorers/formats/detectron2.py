"""Detectron2's `Instances`, bare or in the dictionary that a predictor returns."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ..predictions.detection import DetectionPredictions
from .arrays import field
from .detections import DetectionRows
from .items import paired, width_and_height


def detections(
    item_ids: Iterable[str], outputs: Iterable[Any], *, class_names: Iterable[str] | None = None
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
    for item_id, output in paired(item_ids, outputs, "outputs"):
        what = f"the output of {item_id!r}"
        instances = field(output, "instances", what) if isinstance(output, Mapping) else output
        boxes = field(field(instances, "pred_boxes", what), "tensor", f"pred_boxes of {item_id!r}")
        scores, classes = field(instances, "scores", what), field(instances, "pred_classes", what)
        rows.add(item_id, boxes, scores, classes, size=width_and_height(field(instances, "image_size", what), "image_size"))
    return rows.predictions()
