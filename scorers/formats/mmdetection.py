"""MMDetection's `DetDataSample`: predicted instances with the shape and path of their image."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy.typing as npt

from ..predictions.detection import DetectionPredictions
from .reading.arrays import copied, field
from .reading.detections import DetectionRows
from .reading.items import matched_by_path, width_and_height
from .reading.labels import ClassNames


def detections(
    samples: Iterable[Any], *, item_ids: Iterable[str], class_names: ClassNames | None = None
) -> DetectionPredictions:
    """Predictions from `pred_instances`: `bboxes`, `scores` and `labels` in pixels of the original image (`ori_shape`).

    Args:
        samples: A `DetDataSample` for each image, in any order; told apart by `img_path`. A generator is read once.
        item_ids: n unique item ids, which the file names of `img_path` are matched to.
        class_names: A name for each label, such as `model.dataset_meta["classes"]`.

    Raises:
        ValueError: Samples of an unknown image, of none, or of one twice; a missing field; numbers out of range.

    Examples:
        >>> from types import SimpleNamespace as Sample
        >>> instances = Sample(bboxes=[[10.0, 20.0, 60.0, 80.0]], scores=[0.75], labels=[1])
        >>> sample = Sample(img_path="data/a.jpg", ori_shape=(100, 100), pred_instances=instances)
        >>> detections([sample], item_ids=["a.jpg"]).boxes.tolist()
        [[0.1, 0.2, 0.6, 0.8]]
    """
    rows = DetectionRows("xyxy", class_names=class_names)
    for item_id, (boxes, scores, labels, size) in matched_by_path(samples, item_ids, "img_path", "sample", _boxes).items():
        rows.add(item_id, boxes, scores, labels, size=size)
    return rows.predictions()


def _boxes(item_id: str, sample: Any) -> tuple[npt.NDArray[Any], npt.NDArray[Any], npt.NDArray[Any], tuple[float, float]]:
    instances, size = predicted(item_id, sample)
    boxes, scores, labels = (
        copied(instances, name, f"predictions of {item_id!r}") for name in ("bboxes", "scores", "labels")
    )
    return boxes, scores, labels, size


def predicted(item_id: str, sample: Any) -> tuple[Any, tuple[float, float]]:
    """The predicted instances of a sample of OpenMMLab, and the width and height of its image."""
    what = f"the sample of {item_id!r}"
    size = width_and_height(field(sample, "ori_shape", what), f"ori_shape of {item_id!r}")
    return field(sample, "pred_instances", what), size
