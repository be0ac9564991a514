"""Uncertainty, objectness and frequency scores for object detection."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping

import numpy as np
import numpy.typing as npt

from . import uncertainty
from .aggregation import aggregate, check_aggregation
from .boxes import kept_by_nms
from .checks import as_floats
from .options import check_share, check_stand_in, checked_aggregations
from .predictions import DetectionPredictions
from .scorer import Scorer
from .scores import Scores

Vector = npt.NDArray[np.float64]


class ScorerObjectDetection(Scorer[DetectionPredictions]):
    """Scores of the boxes of each image, aggregated to the image.

    A box has a class distribution p, or, where the detector gave one score s and one label, the two-way choice
    `(s, 1 - s)`. With p1 and p2 its two largest probabilities, the scores of an image are:

    | score | formula |
    | --- | --- |
    | `uncertainty_least_confidence` | max over boxes of `(1 - p1) / (1 - 1/c)` |
    | `uncertainty_margin` (default) | max over boxes of `1 - (p1 - p2)` |
    | `uncertainty_entropy` | max over boxes of `-sum(p log2 p) / log2 c` |
    | `objectness_least_confidence` | 1 - mean over boxes of the score |
    | `object_frequency` | sum over the classes present of `1 + (n_boxes_of_class - 1) * frequency_penalty` |
    | `object_count` | number of boxes |
    | `one_vs_two_margin_sum`, `_mean`, `_max` | sum, mean, max over boxes of `v = (1 - (p1 - p2)) ** 2` |
    | `weighted_one_vs_two_margin_sum`, `_mean`, `_max` | the same of `v * w`, only with `class_counts` |

    The weight of a box is `w = (N + C) / (N_c + 1)`: N labeled boxes in all, N_c of the box's label, C classes.
    `object_frequency` and the sums have no upper end: they are absolute, comparable between rounds and independent of the
    other images. With `aggregations`, every box score (`uncertainty_least_confidence`, `uncertainty_margin`,
    `uncertainty_entropy`, `objectness_least_confidence`, `one_vs_two_margin`, `weighted_one_vs_two_margin`) also comes as
    `<box score>_<aggregation>`.

    Args:
        predictions: `DetectionPredictions` of n images, or an iterable of them.
        aggregations: More aggregations of every box score: `sum`, `mean`, `max`, or `top<k>_mean` such as `top3_mean`.
        without_boxes: Value of every score but `object_frequency` and `object_count`, sums included, of an image in which
            no box is left. None gives 0 and warns with a count: such an image is either truly empty or one where
            everything was missed.
        score_threshold: Boxes with a lower score are left out, in `[0, 1]`.
        nms_iou: Drop boxes that overlap a stronger box of the same class by more than this before scoring, in `[0, 1]`;
            None keeps all. It also removes repeats of one (box, class), which sums would count twice.
        frequency_penalty: What each further object of a class adds to `object_frequency`, in `[0, 1]`.
        class_counts: `(C,)` labeled boxes of each class so far, 0 or more, to weight rare classes up.

    Raises:
        ValueError: An option is out of range.

    Examples:
        >>> from scorers import DetectionPredictions
        >>> predictions = DetectionPredictions(
        ...     ["a.jpg", "b.jpg"],
        ...     boxes=[[0, 0, 0.5, 0.5], [0.5, 0.5, 1, 1], [0, 0, 1, 1]],
        ...     scores=[0.9, 0.6, 0.99],
        ...     labels=[0, 0, 1],
        ...     offsets=[0, 2, 3],
        ... )
        >>> scores = ScorerObjectDetection(predictions, aggregations=["mean"]).scores()
        >>> scores.column("uncertainty_margin").round(2).tolist(), scores.column("uncertainty_margin_mean").round(2).tolist()
        ([0.8, 0.02], [0.5, 0.02])

    References:
        The names and the six first formulas follow the Lightly SDK 1.2 (2021-2023), whose `object_frequency` is an affine
        map, over the batch, of the one here.
        C.-A. Brust, C. Käding and J. Denzler, Active Learning for Deep Object Detection, 2019, arXiv:1809.09875.
    """

    takes = DetectionPredictions
    default = "uncertainty_margin"

    def __init__(
        self,
        predictions: DetectionPredictions | Iterable[DetectionPredictions],
        *,
        aggregations: Iterable[str] = (),
        without_boxes: float | None = None,
        score_threshold: float = 0.0,
        nms_iou: float | None = None,
        frequency_penalty: float = 0.25,
        class_counts: npt.ArrayLike | None = None,
    ) -> None:
        super().__init__(predictions)
        self._aggregations = checked_aggregations(aggregations, check_aggregation)
        check_stand_in("without_boxes", without_boxes)
        check_share("score_threshold", score_threshold)
        check_share("frequency_penalty", frequency_penalty)
        if nms_iou is not None:
            check_share("nms_iou", nms_iou)
        self._without_boxes = without_boxes
        self._score_threshold = float(score_threshold)
        self._nms_iou = nms_iou
        self._frequency_penalty = frequency_penalty
        self._class_weights = None if class_counts is None else class_weights(class_counts)

    @property
    def score_threshold(self) -> float:
        """Boxes with a lower score are left out."""
        return self._score_threshold

    def score_chunk(self, predictions: DetectionPredictions) -> Mapping[str, Vector]:
        """The scores of n images with m boxes; time O(m c + m log m), memory O(m)."""
        boxes = _Boxes(predictions, self._score_threshold, self._nms_iou)
        empty = self._without_boxes or 0.0

        box_scores = uncertainty.uncertainties(boxes.probabilities)
        columns = {name: aggregate(values, boxes.offsets, "max", empty=empty) for name, values in box_scores.items()}
        box_scores["objectness_least_confidence"] = 1 - boxes.scores
        columns["objectness_least_confidence"] = aggregate(1 - boxes.scores, boxes.offsets, "mean", empty=empty)
        columns["object_frequency"] = self._object_frequency(boxes)
        columns["object_count"] = boxes.counts.astype(np.float64)

        box_scores["one_vs_two_margin"] = box_scores["uncertainty_margin"] ** 2
        published = ["one_vs_two_margin"]
        if self._class_weights is not None:
            box_scores["weighted_one_vs_two_margin"] = box_scores["one_vs_two_margin"] * self._weights_of(boxes.labels)
            published.append("weighted_one_vs_two_margin")
        wanted = [(name, how) for name in published for how in ("sum", "mean", "max")]
        wanted += [(name, how) for name in box_scores for how in self._aggregations]
        for name, how in wanted:
            columns[f"{name}_{how}"] = aggregate(box_scores[name], boxes.offsets, how, empty=empty)
        return columns

    def finish(self, scores: Scores) -> None:
        """Warn of images without boxes where no value was chosen for them."""
        n_empty = int((scores.column("object_count") == 0).sum())
        if self._without_boxes is None and n_empty:
            warnings.warn(
                f"{n_empty:,} of {len(scores):,} items have no boxes and get uncertainty 0, so they come last; pass "
                "without_boxes=... to choose their value (1.0 looks for missed objects)",
                stacklevel=5,
            )

    def _object_frequency(self, boxes: _Boxes) -> Vector:
        image = np.repeat(np.arange(len(boxes.counts)), boxes.counts)
        n_labels = int(boxes.labels.max()) + 1 if len(boxes.labels) else 1
        pairs = np.sort(image * n_labels + boxes.labels)  # np.unique hashes, and takes a hundred times as long
        is_new = np.ones(len(pairs), dtype=bool)
        is_new[1:] = pairs[1:] != pairs[:-1]
        n_classes = np.bincount(pairs[is_new] // n_labels, minlength=len(boxes.counts))
        return np.asarray(n_classes + (boxes.counts - n_classes) * self._frequency_penalty, dtype=np.float64)

    def _weights_of(self, labels: npt.NDArray[np.int64]) -> Vector:
        weights = self._class_weights
        assert weights is not None
        if len(labels) and labels.max() >= len(weights):
            raise ValueError(
                f"class_counts has {len(weights)} classes, and a box has label {labels.max()}; give a count for every class"
            )
        return np.asarray(weights[labels], dtype=np.float64)


class _Boxes:
    """The boxes that are left after threshold and suppression, with the distribution that each is scored by."""

    def __init__(self, predictions: DetectionPredictions, score_threshold: float, nms_iou: float | None) -> None:
        scores, labels, offsets = predictions.scores, predictions.labels, predictions.offsets
        probabilities = predictions.class_probabilities
        if probabilities is None:
            probabilities = scores[:, None]  # one column: that label, or not
        if score_threshold > 0 or nms_iou is not None:
            kept = scores >= score_threshold
            if nms_iou is not None:
                kept &= kept_by_nms(predictions.boxes, scores, labels, offsets, iou_threshold=nms_iou)
            scores, labels, probabilities = scores[kept], labels[kept], probabilities[kept]
            offsets = np.concatenate([[0], np.cumsum(kept)])[offsets]
        self.scores = np.asarray(scores, dtype=np.float64)
        self.labels, self.probabilities, self.offsets = labels, probabilities, offsets
        self.counts = np.diff(offsets)


def class_weights(class_counts: npt.ArrayLike) -> Vector:
    """Weights that count boxes of rare classes for more: `w_c = (N + C) / (N_c + 1)`.

    Args:
        class_counts: `(C,)` labeled boxes of each class, 0 or more; N is their sum.

    Raises:
        ValueError: Counts that are negative, not finite, or not in one dimension.

    Examples:
        >>> class_weights([98, 0]).round(2).tolist()
        [1.01, 100.0]

    References:
        C.-A. Brust, C. Käding and J. Denzler, 2019, arXiv:1809.09875.
    """
    counts = as_floats(class_counts, "class_counts", "(C,)").astype(np.float64)
    if not len(counts) or not np.isfinite(counts).all() or counts.min() < 0:
        raise ValueError("class_counts holds one finite count for each class, 0 or more")
    return np.asarray((counts.sum() + len(counts)) / (counts + 1), dtype=np.float64)
