"""Uncertainty scores for keypoint detection."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping

import numpy as np
import numpy.typing as npt

from .aggregation import Vector, aggregate, check_aggregation
from .checks import FloatArray, row_blocks
from .options import check_share, check_stand_in, checked_aggregations
from .predictions.keypoints import MEASURES, BoolArray, KeypointPredictions
from .scorer import Scorer
from .scores import Scores


class ScorerKeypointDetection(Scorer[KeypointPredictions]):
    """Scores of the keypoints of each image, first averaged over an instance, then over the image.

    With c the confidence in a keypoint, and every mean over the keypoints that an instance has:

    | score | formula |
    | --- | --- |
    | `mean_uncertainty` (default) | mean over instances of the mean of `1 - c` |
    | `keypoint_margin` | mean over instances of the mean of `1 - abs(2 c - 1)`: the keypoint is there, or not |
    | `max_keypoint_uncertainty` | max over all keypoints of the image of `1 - c` |
    | `heatmap_entropy` | mean over instances of the mean of the heat maps' normalised entropies |
    | `peak_margin` | the same of `1 - (h1 - h2) / h1`, the two highest peaks of the heat map |
    | `multiple_peak_entropy` | the same of the entropy, in nats, of the softmax over the heights of the peaks |
    | `keypoint_spread` | the same of the root mean square distance from the mean position |
    | `instance_count`, `keypoint_count` | number of instances with keypoints, and of all their keypoints |

    The four from heat maps and passes are there where the predictions carry them, see `KeypointPredictions.from_heatmaps`
    and `from_passes`. `mean_uncertainty` takes a keypoint that the model is sure not to see, c near 0, for uncertain; so
    does `max_keypoint_uncertainty`, which one hidden ankle raises to 1. `keypoint_margin` does not. With `aggregations`,
    every instance score (`keypoint_uncertainty`, the mean of `1 - c`, `keypoint_margin` and the four) also comes as
    `<instance score>_<aggregation>`.

    Args:
        predictions: `KeypointPredictions` of n images, or an iterable of them.
        aggregations: More aggregations of every instance score: `sum`, `mean`, `max`, or `top<k>_mean` such as `top3_mean`.
        without_instances: Value of every score but the counts of an image in which no instance with keypoints is left. None
            gives 0 and warns with a count: such an image is either truly empty or one where everybody was missed.
        score_threshold: Instances with a lower score are left out, in `[0, 1]`; above 0 the predictions need
            `instance_scores`.

    Raises:
        ValueError: An option is out of range.

    Examples:
        >>> from scorers import KeypointPredictions
        >>> predictions = KeypointPredictions(
        ...     ["two.jpg", "one.jpg"],
        ...     keypoints=None,
        ...     confidences=[[0.9, 0.7], [0.4, 0.6], [1.0, 0.0]],
        ...     offsets=[0, 2, 3],
        ... )
        >>> scores = ScorerKeypointDetection(predictions, aggregations=["max"]).scores()
        >>> scores.column("mean_uncertainty").round(2).tolist(), scores.column("keypoint_margin").round(2).tolist()
        ([0.35, 0.5], [0.6, 0.0])
        >>> scores.column("keypoint_uncertainty_max").round(2).tolist()
        [0.5, 0.5]

    References:
        The name and formula of `mean_uncertainty` follow the Lightly SDK 1.2 (2022).
        B. Liu and V. Ferrari, Active Learning for Human Pose Estimation, 2017, doi:10.1109/ICCV.2017.468.
    """

    takes = KeypointPredictions
    default = "mean_uncertainty"

    def __init__(
        self,
        predictions: KeypointPredictions | Iterable[KeypointPredictions],
        *,
        aggregations: Iterable[str] = (),
        without_instances: float | None = None,
        score_threshold: float = 0.0,
    ) -> None:
        super().__init__(predictions)
        self._aggregations = checked_aggregations(aggregations, check_aggregation)
        check_stand_in("without_instances", without_instances)
        check_share("score_threshold", score_threshold)
        self._without_instances = without_instances
        self._score_threshold = score_threshold

    def score_chunk(self, predictions: KeypointPredictions) -> Mapping[str, Vector]:
        """The scores of n images with m instances of k keypoints; time O(m k + m log m), memory O(m)."""
        empty = self._without_instances or 0.0
        mask, n_keypoints = predictions.is_predicted, predictions.is_predicted.sum(axis=1)
        kept = n_keypoints > 0
        if self._score_threshold > 0:
            if predictions.instance_scores is None:
                raise ValueError("score_threshold is above 0 and the predictions have no instance_scores; give them, or 0")
            kept &= predictions.instance_scores >= self._score_threshold
        offsets = np.concatenate([[0], np.cumsum(kept)])[predictions.offsets]

        uncertainty, margin, worst = _of_confidences(predictions.confidences, mask)
        instance_scores = {"keypoint_uncertainty": uncertainty, "keypoint_margin": margin}
        for name in MEASURES:
            values: FloatArray | None = getattr(predictions, name)
            if values is not None:
                instance_scores[name] = _mean_of(values, mask)
        instance_scores = {name: values[kept] for name, values in instance_scores.items()}

        columns = {name: aggregate(values, offsets, "mean", empty=empty) for name, values in instance_scores.items()}
        columns = {"mean_uncertainty": columns.pop("keypoint_uncertainty"), **columns}
        columns["max_keypoint_uncertainty"] = aggregate(worst[kept], offsets, "max", empty=empty)
        columns["instance_count"] = np.diff(offsets).astype(np.float64)
        columns["keypoint_count"] = aggregate(n_keypoints[kept].astype(np.float64), offsets, "sum")
        for name, values in instance_scores.items():
            for how in self._aggregations:
                columns[f"{name}_{how}"] = aggregate(values, offsets, how, empty=empty)
        return columns

    def finish(self, scores: Scores) -> None:
        """Warn of images without instances where no value was chosen for them."""
        n_empty = int((scores.column("instance_count") == 0).sum())
        if self._without_instances is None and n_empty:
            warnings.warn(
                f"{n_empty:,} of {len(scores):,} items have no keypoints and get uncertainty 0, so they come last; pass "
                "without_instances=... to choose their value (1.0 looks for missed instances)",
                stacklevel=5,
            )


def _of_confidences(confidences: FloatArray, mask: BoolArray) -> tuple[Vector, Vector, Vector]:
    """Mean of `1 - c`, mean of `1 - |2c - 1|` and the largest `1 - c` of each instance; 0 of one without keypoints."""
    results = (np.zeros(len(confidences)), np.zeros(len(confidences)), np.zeros(len(confidences)))
    for rows in row_blocks(*confidences.shape):
        doubts = np.subtract(1.0, confidences[rows], dtype=np.float64, order="C")
        doubts *= mask[rows]  # doubt of 0 where there is no keypoint
        margins = 2 * np.minimum(doubts, 1 - doubts)
        results[0][rows] = _masked_mean(doubts, mask[rows])
        results[1][rows] = _masked_mean(margins, mask[rows])
        results[2][rows] = doubts.max(axis=1, initial=0.0)
    return results


def _mean_of(values: FloatArray, mask: BoolArray) -> Vector:
    """Mean over the keypoints that each instance has, 0 of one without; values are 0 where there is none."""
    result = np.zeros(len(values))
    for rows in row_blocks(*values.shape):
        result[rows] = _masked_mean(np.array(values[rows], dtype=np.float64, order="C"), mask[rows])
    return result


def _masked_mean(values: npt.NDArray[np.float64], mask: BoolArray) -> Vector:
    """Rows of one layout are summed in one order, whatever stands beside them."""
    mean: Vector = values.sum(axis=1) / np.maximum(mask.sum(axis=1), 1)
    return mean
