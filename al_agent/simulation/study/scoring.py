"""What a model of a study says of items without a label: the scores that methods rank by, and the classes it sees."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from scorers import (
    ClassificationPredictions,
    DetectionPredictions,
    EnsemblePredictions,
    Scorer,
    ScorerClassification,
    ScorerEnsemble,
    Scores,
)

from ...config import SamplerConfig, SamplingMethod
from ..hidden import HiddenLabels
from .trainers import ORACLE, Model, has_loss, has_probabilities, has_scorer, true_loss

OF_COMMITTEES = (SamplingMethod.BALD, SamplingMethod.BATCH_BALD)


def scores_of(
    data: HiddenLabels, model: Model, rows: npt.NDArray[np.int64], method: str, config: SamplerConfig
) -> Scorer[Any] | Scores | None:
    """What the agent is given with the query of a round; None where the method reads no scores.

    Args:
        data: The pool.
        model: With `predict_proba`, or with `scorer`; where it has both, methods that read probabilities get those.
        rows: `(m,)` rows of the items without a label.
        method: Name of the method in the study.
        config: What it stands for.

    Raises:
        ValueError: The model has not what the method needs.
    """
    sampler = config.sampler()
    is_needed = sampler.needs_scores or sampler.needs_probabilities
    if not (is_needed or sampler.takes_scores):
        return None
    item_ids = [data.item_ids[row] for row in rows.tolist()]
    features = data.features[rows]
    if method == ORACLE:
        return Scores(item_ids, {"true_loss": _true_loss(data, model, rows, features)})
    if has_scorer(model) and not (sampler.needs_probabilities and has_probabilities(model)):
        return model.scorer(item_ids, features)
    if has_probabilities(model):
        return _scorer_of(item_ids, np.asarray(model.predict_proba(features)), config)
    if is_needed:
        raise ValueError(
            f"{config.method} ranks by what the model predicts, and {type(model).__name__} has neither predict_proba(x) nor "
            "scorer(item_ids, x)"
        )
    return None


def likeliest_classes(scores: Scorer[Any] | Scores | None) -> npt.NDArray[Any] | None:
    """The classes of each item as far as the model can tell: `(m,)` of classifiers, `(m, c)` counts of boxes of detectors.

    None for all others, and where the model gave chunks.
    """
    predictions = None
    if isinstance(scores, Scorer):
        with contextlib.suppress(ValueError):  # chunks are not kept
            predictions = scores.predictions
    if isinstance(predictions, EnsemblePredictions):
        predictions = predictions.mean()
    if isinstance(predictions, ClassificationPredictions):
        probabilities = predictions.probabilities
        return np.asarray(probabilities.argmax(axis=1) if probabilities.shape[1] > 1 else probabilities[:, 0] > 0.5)
    if isinstance(predictions, DetectionPredictions) and len(predictions.labels):
        item_of_box = np.repeat(np.arange(len(predictions)), np.diff(predictions.offsets))
        counts = np.zeros((len(predictions), int(predictions.labels.max()) + 1))
        np.add.at(counts, (item_of_box, predictions.labels), 1)
        return counts
    return None


def _scorer_of(item_ids: Sequence[str], probabilities: npt.NDArray[Any], config: SamplerConfig) -> Scorer[Any]:
    if probabilities.ndim == 3:
        return ScorerEnsemble(EnsemblePredictions(item_ids, probabilities))
    if config.method in OF_COMMITTEES:
        raise ValueError(
            f"{config.method} compares the members of a committee, and predict_proba gives {probabilities.shape}; let it "
            "give (n, t, c) of t members"
        )
    return ScorerClassification(ClassificationPredictions(item_ids, probabilities))


def _true_loss(
    data: HiddenLabels, model: Model, rows: npt.NDArray[np.int64], features: npt.NDArray[Any]
) -> npt.NDArray[np.float64]:
    if has_loss(model):
        return np.asarray(model.true_loss(features, data.labels[rows]), dtype=np.float64)
    if not data.is_of_classes or not has_probabilities(model):
        raise ValueError(
            f"{ORACLE} ranks by the loss, which is known for classes and a model with predict_proba(x); let "
            f"{type(model).__name__} have true_loss(x, y)"
        )
    probabilities = np.asarray(model.predict_proba(features))
    if probabilities.ndim == 3:
        probabilities = probabilities.mean(axis=1, dtype=np.float64)
    checked = ClassificationPredictions([data.item_ids[row] for row in rows.tolist()], probabilities)
    return true_loss(model, checked.probabilities, data.labels[rows])
