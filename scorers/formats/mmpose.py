"""MMPose's `PoseDataSample`: keypoints with their scores, and the shape and path of their image."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ..predictions.keypoints import KeypointPredictions
from .arrays import field
from .items import matched_by_path, width_and_height
from .poses import Activation, KeypointRows


def keypoints(
    samples: Iterable[Any],
    *,
    item_ids: Iterable[str],
    activation: Activation = "none",
    keypoint_names: Iterable[str] | None = None,
) -> KeypointPredictions:
    """Predictions from `pred_instances`: `keypoints` and `keypoint_scores` in pixels of the original image (`ori_shape`).

    Args:
        samples: A `PoseDataSample` for each image, in any order; told apart by `img_path`. A generator is read once. Where a
            top-down model gave one sample a person, merge those of an image first (`merge_data_samples`).
        item_ids: n unique item ids, which the file names of `img_path` are matched to.
        activation: `sigmoid` where the model's scores are no confidences in [0, 1].
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
    for item_id, sample in matched_by_path(samples, item_ids, "img_path", "sample").items():
        what = f"the sample of {item_id!r}"
        instances = field(sample, "pred_instances", what)
        size = width_and_height(field(sample, "ori_shape", what), f"ori_shape of {item_id!r}")
        rows.add(item_id, field(instances, "keypoints", what), field(instances, "keypoint_scores", what), size=size)
    return rows.predictions()
