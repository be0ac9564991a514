"""The entropy of an image's boxes, each kind of look-alike counted once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from .aggregation import aggregate
from .boxes import kept_by_nms
from .checks import FloatArray, as_floats, check_finite, check_length, row_blocks
from .predictions import DetectionPredictions
from .scorer import Scorer
from .uncertainty import entropy

Vector = npt.NDArray[np.float64]

Features = npt.ArrayLike | Callable[[DetectionPredictions], npt.ArrayLike]


def suppressed_entropy(
    predictions: DetectionPredictions,
    features: npt.ArrayLike | None = None,
    threshold: float = 0.5,
    class_weights: npt.ArrayLike | None = None,
) -> Vector:
    """The sum of box entropies of each image, after look-alikes inside the image have been suppressed (ENMS).

    The box of the highest entropy counts (the earlier one of a tie), boxes of the same image and class whose features have a
    cosine above the threshold with its own are dropped, and so on with the rest: twenty like cars are worth one.

    The entropy of a box is `-sum(p log2 p) / log2 c`, from 0 to 1, or, where the detector gave one score s and one label,
    that of `(s, 1 - s)`.

    Without features, boxes of one class whose intersection over union is above the threshold are taken for look-alikes. That
    is ours and weaker: it finds two boxes of one object, and no two like objects that lie apart. Class probabilities say
    nothing of looks: boxes of the same label nearly all have a cosine above 0.5.

    Args:
        predictions: Boxes of n images.
        features: `(m, f)` finite floats, one row for each box in the order of the predictions; a row of zeros looks like
            nothing.
        threshold: Similarity above which a box is dropped, in `[0, 1]`; 0.5 is that of the paper.
        class_weights: `(C,)` weights of 0 or more for the boxes of each label; None: all 1.

    Returns:
        `(n,)` values of 0 or more, 0 for images without boxes. Time O(r m f) where r is the largest number of boxes kept in
        one image and class, and no more than quadratic inside an image; memory O(m).

    Raises:
        ValueError: The threshold is out of range, or features or weights do not fit the boxes.

    Examples:
        >>> predictions = DetectionPredictions(
        ...     ["cars.jpg", "empty.jpg"], boxes=[[0, 0, 0.2, 0.2], [0.5, 0, 0.7, 0.2], [0.8, 0, 1, 0.2]],
        ...     scores=[0.5, 0.5, 0.5], labels=[0, 0, 0], offsets=[0, 3, 3],
        ... )
        >>> suppressed_entropy(predictions, features=[[1, 0], [1, 0.1], [0, 1]]).tolist()
        [2.0, 0.0]
        >>> suppressed_entropy(predictions).tolist()
        [3.0, 0.0]

    References:
        J. Wu, J. Chen and D. Huang, Entropy-based Active Learning for Object Detection with Progressive Diversity
        Constraint, 2022, arXiv:2204.07965.
    """
    check_threshold(threshold)
    values = _box_entropies(predictions)
    labels, offsets = predictions.labels, predictions.offsets
    # Weights are those of a class, and suppression stays inside a class, so they change no order.
    if features is None:
        kept = kept_by_nms(predictions.boxes, values, labels, offsets, iou_threshold=threshold)
    else:
        kept = _kept_by_features(_checked_features(features, predictions), values, labels, offsets, threshold)
    if class_weights is not None:
        values = values * _weights_of(labels, class_weights)
    return aggregate(np.where(kept, values, 0.0), offsets, "sum")


def difficulty_weighted_entropy(predictions: DetectionPredictions, class_weights: npt.ArrayLike) -> Vector:
    """The sum of box entropies of each image, every box weighted by how difficult its class is.

    This is the uncertainty of PPAL, whose weights come from the training: the worse a class is detected, the higher.
    Entropies are as for `suppressed_entropy`; nothing is suppressed.

    Args:
        predictions: Boxes of n images.
        class_weights: `(C,)` weights of 0 or more for the boxes of each label.

    Returns:
        `(n,)` values of 0 or more, 0 for images without boxes.

    Raises:
        ValueError: A weight is negative or not finite, or a label has none.

    Examples:
        >>> predictions = DetectionPredictions(
        ...     ["a.jpg"], boxes=[[0, 0, 0.2, 0.2], [0.5, 0, 0.7, 0.2]], scores=[0.5, 0.5], labels=[0, 1], offsets=[0, 2]
        ... )
        >>> difficulty_weighted_entropy(predictions, [1.0, 1.25]).tolist()
        [2.25]

    References:
        C. Yang, L. Huang and E. Crowley, Plug and Play Active Learning for Object Detection, 2022, arXiv:2211.11612.
    """
    values = _box_entropies(predictions) * _weights_of(predictions.labels, class_weights)
    return aggregate(values, predictions.offsets, "sum")


class ScorerLookAlikeEntropy(Scorer[DetectionPredictions]):
    """The score `entropy_without_look_alikes`: `suppressed_entropy` of each image.

    It has no upper end, and grows with the number of unlike objects.

    Args:
        predictions: `DetectionPredictions` of n images, or an iterable of them.
        features: `(m, f)` features of the boxes, or, for an iterable, a function from one of its predictions to their
            features. None compares boxes by their overlap.
        threshold: Similarity above which a box of the same class is dropped, in `[0, 1]`.
        class_weights: `(C,)` weights of 0 or more for the boxes of each label, such as PPAL's difficulties; None: all 1.

    Raises:
        ValueError: An option is out of range.

    Examples:
        >>> predictions = DetectionPredictions(
        ...     ["a.jpg"], boxes=[[0, 0, 0.2, 0.2], [0.5, 0, 0.7, 0.2]], scores=[0.5, 0.5], labels=[0, 0], offsets=[0, 2]
        ... )
        >>> scorer = ScorerLookAlikeEntropy(predictions, features=[[1.0, 0.0], [1.0, 0.1]])
        >>> scorer.scores().column("entropy_without_look_alikes").tolist()
        [1.0]

    References:
        J. Wu, J. Chen and D. Huang, 2022, arXiv:2204.07965.
    """

    takes = DetectionPredictions
    default = "entropy_without_look_alikes"

    def __init__(
        self,
        predictions: DetectionPredictions | Iterable[DetectionPredictions],
        *,
        features: Features | None = None,
        threshold: float = 0.5,
        class_weights: npt.ArrayLike | None = None,
    ) -> None:
        super().__init__(predictions)
        check_threshold(threshold)
        if features is not None and not callable(features) and not isinstance(predictions, DetectionPredictions):
            raise ValueError(
                "features is an array, and predictions are chunks; give a function from a chunk to its (m, f) features"
            )
        self._features = features
        self._threshold = threshold
        self._class_weights = None if class_weights is None else _checked_weights(class_weights)

    def score_chunk(self, predictions: DetectionPredictions) -> Mapping[str, Vector]:
        """The score of n images."""
        features = self._features(predictions) if callable(self._features) else self._features
        values = suppressed_entropy(predictions, features, self._threshold, self._class_weights)
        return {"entropy_without_look_alikes": values}


def check_threshold(threshold: Any) -> None:
    """Raise unless the threshold is a number in `[0, 1]`."""
    if isinstance(threshold, bool) or not isinstance(threshold, int | float | np.number) or not 0 <= float(threshold) <= 1:
        raise ValueError(f"threshold is {threshold!r}; expected a number in [0, 1]")


def _box_entropies(predictions: DetectionPredictions) -> Vector:
    probabilities = predictions.class_probabilities
    if probabilities is None:
        probabilities = predictions.scores[:, None]  # one column: that label, or not
    return entropy(probabilities)


def _checked_features(features: npt.ArrayLike, predictions: DetectionPredictions) -> FloatArray:
    if predictions.n_boxes == 0 and np.size(features) == 0:
        return np.empty((0, 1))
    values = as_floats(features, "features", "(m, f)")
    check_length(len(values), predictions.n_boxes, "features", "boxes")
    if values.shape[1] == 0:
        raise ValueError(f"features has shape {values.shape}; expected at least one column")
    offsets = predictions.offsets

    def box_name(row: int) -> str:
        item = int(np.searchsorted(offsets, row, side="right")) - 1
        return f"box {row - int(offsets[item])} of {predictions.item_ids[item]!r}"

    check_finite(values, "features", box_name)
    return values


def _checked_weights(class_weights: npt.ArrayLike) -> Vector:
    weights = as_floats(class_weights, "class_weights", "(C,)").astype(np.float64)
    good = (weights >= 0) & np.isfinite(weights)
    if not good.all():
        label = int(np.flatnonzero(~good)[0])
        raise ValueError(f"class_weights[{label}] is {weights[label]}; expected a finite number of 0 or more")
    return weights


def _weights_of(labels: npt.NDArray[np.int64], class_weights: npt.ArrayLike) -> Vector:
    weights = _checked_weights(class_weights)
    if len(labels) and labels.max() >= len(weights):
        raise ValueError(
            f"class_weights has {len(weights)} classes, and a box has label {labels.max()}; give a weight for every class"
        )
    return np.asarray(weights[labels], dtype=np.float64)


def _kept_by_features(
    features: FloatArray,
    values: Vector,
    labels: npt.NDArray[np.int64],
    offsets: npt.NDArray[np.int64],
    threshold: float,
) -> npt.NDArray[np.bool_]:
    """Which boxes are kept, `(m,)`; as `kept_by_nms`, with the cosine of features in place of the overlap."""
    image = np.repeat(np.arange(len(offsets) - 1), np.diff(offsets))
    left = np.lexsort((np.arange(len(values)), -values, labels, image))
    kept = np.zeros(len(values), dtype=bool)
    while len(left):
        is_first = np.ones(len(left), dtype=bool)
        is_first[1:] = (image[left[1:]] != image[left[:-1]]) | (labels[left[1:]] != labels[left[:-1]])
        best = left[is_first]
        kept[best] = True
        rivals, others = best[np.cumsum(is_first) - 1][~is_first], left[~is_first]
        is_far = np.empty(len(others), dtype=bool)
        for part in row_blocks(len(others), features.shape[1]):
            cosines = np.einsum("ij,ij->i", _units(features[others[part]]), _units(features[rivals[part]]))
            is_far[part] = np.minimum(cosines, 1.0) <= threshold  # rounding makes a cosine of 1 larger
        left = others[is_far]
    return kept


def _units(features: FloatArray) -> Vector:
    """The rows divided by their lengths; zero stays zero."""
    rows = np.array(features, dtype=np.float64, order="C")
    # a power of two changes no direction, and lets all be squared
    rows = np.ldexp(rows, -np.frexp(np.abs(rows).max(axis=1))[1][:, None])
    lengths = np.sqrt(np.einsum("ij,ij->i", rows, rows))
    result: Vector = rows / np.where(lengths > 0, lengths, 1.0)[:, None]
    return result
