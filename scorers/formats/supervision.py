"""`supervision.Detections`: corners in pixels with confidences and class ids."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ..predictions.detection import DetectionPredictions
from .reading.arrays import field
from .reading.detections import DetectionRows
from .reading.items import ImageSizes, paired_with_sizes
from .reading.labels import ClassNames


def detections(
    item_ids: Iterable[str],
    outputs: Iterable[Any],
    *,
    image_sizes: ImageSizes,
    class_names: ClassNames | None = None,
) -> DetectionPredictions:
    """Predictions from `xyxy`, `confidence` and `class_id`.

    Args:
        item_ids: n unique item ids, in the order of the outputs.
        outputs: n `Detections`. A generator is read once.
        image_sizes: Width and height in pixels of the images; `Detections` does not carry them.
        class_names: A name for each class id.

    Raises:
        ValueError: Counts that differ, no confidences or class ids, boxes that do not fit their image, numbers out of range.

    Examples:
        >>> from types import SimpleNamespace as Detections
        >>> output = Detections(xyxy=[[10.0, 20.0, 60.0, 80.0]], confidence=[0.75], class_id=[1])
        >>> detections(["a.jpg"], [output], image_sizes=[(100, 100)]).boxes.tolist()
        [[0.1, 0.2, 0.6, 0.8]]
    """
    rows = DetectionRows("xyxy", class_names=class_names)
    for item_id, output, size in paired_with_sizes(item_ids, outputs, image_sizes, field_of_one="xyxy"):
        what = f"the detections of {item_id!r}"
        boxes, scores, labels = (field(output, name, what) for name in ("xyxy", "confidence", "class_id"))
        if len(boxes) and (scores is None or labels is None):
            missing = "confidence" if scores is None else "class_id"
            raise ValueError(f"{what} have no {missing}; without it nothing can be scored: keep it when converting")
        rows.add(item_id, boxes, [] if scores is None else scores, [] if labels is None else labels, size=size)
    return rows.predictions()
