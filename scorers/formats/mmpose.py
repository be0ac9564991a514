"""MMPose's `PoseDataSample`: keypoints with their scores, and the shape and path of their image."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy.typing as npt

from ..predictions.keypoints import KeypointPredictions
from .mmdetection import predicted
from .reading.arrays import copied
from .reading.items import matched_by_path
from .reading.labels import ClassNames
from .reading.poses import Activation, KeypointRows


def keypoints(
    samples: Iterable[Any],
    *,
    item_ids: Iterable[str],
    activation: Activation = "none",
    keypoint_names: ClassNames | None = None,
) -> KeypointPredictions:
    """Predictions from `pred_instances`: `keypoints` and `keypoint_scores` in pixels of the original image (`ori_shape`).

    Args:
        samples: A `PoseDataSample` for each image, in any order; told apart by `img_path`. A generator is read once. Where a
            top-down model gave one sample a person, merge those of an image first (`merge_data_samples`).
        item_ids: n unique item ids, which the file names of `img_path` are matched to.
        activation: `none` for confidences in [0, 1]; `clip` for heights of heat maps, which leave that range a little;
            `sigmoid` for logits.
        keypoint_names: A name for each keypoint.

    Raises:
        ValueError: Samples of an unknown image, of none, or of one twice; a missing field; numbers out of range.

    Examples:
        >>> from types import SimpleNamespace as Sample
        >>> instances = Sample(keypoints=[[[20.0, 30.0], [40.0, 50.0]]], keypoint_scores=[[0.75, 0.5]])
        >>> sample = Sample(img_path="data/a.jpg", ori_shape=(100, 100), pred_instances=instances)
        >>> keypoints([sample], item_ids=["a.jpg"]).confidences.tolist()
        [[0.75, 0.5]]
    """
    rows = KeypointRows(activation=activation, keypoint_names=keypoint_names)
    for item_id, (places, sure, size) in matched_by_path(samples, item_ids, "img_path", "sample", _poses).items():
        rows.add(item_id, places, sure, size=size)
    return rows.predictions()


def _poses(item_id: str, sample: Any) -> tuple[npt.NDArray[Any], npt.NDArray[Any], tuple[float, float]]:
    instances, size = predicted(item_id, sample)
    places, sure = (copied(instances, name, f"predictions of {item_id!r}") for name in ("keypoints", "keypoint_scores"))
    return places, sure, size
