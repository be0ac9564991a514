"""What a study trains: any callable, or an estimator of scikit-learn."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any, Protocol, TypeGuard

import numpy as np
import numpy.typing as npt

from scorers import Scorer, Scores

ORACLE = "ORACLE"
"""The method that ranks by the true loss of the current model, which nobody knows outside of a study: a control."""


class Model(Protocol):
    """What a trainer gives; for methods that rank also `HasProbabilities` or `HasScorer`."""

    def score(self, x: npt.NDArray[Any], y: npt.NDArray[Any]) -> float:
        """The figure of the study on the test set, higher is better: accuracy in `[0, 1]`, say."""
        ...


class HasProbabilities(Protocol):
    """A model that classifies.

    If it has `classes_`, as scikit-learn's do, they name the columns; else column j is class j.
    """

    def predict_proba(self, x: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """`(n, c)` class probabilities, or `(n, t, c)` of the t members of a committee."""
        ...


class HasScorer(Protocol):
    """A model of another task, or with scores of its own."""

    def scorer(self, item_ids: Sequence[str], x: npt.NDArray[Any]) -> Scorer[Any] | Scores:
        """A scorer of what it predicts for items, such as `ScorerObjectDetection(DetectionPredictions(item_ids, ...))`."""
        ...


class HasLoss(Protocol):
    """A model that knows its own loss, which ORACLE ranks by."""

    def true_loss(self, x: npt.NDArray[Any], y: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
        """`(n,)` losses."""
        ...


def has_probabilities(model: object) -> TypeGuard[HasProbabilities]:
    """Whether a model predicts class probabilities."""
    return callable(getattr(model, "predict_proba", None))


def has_scorer(model: object) -> TypeGuard[HasScorer]:
    """Whether a model brings a scorer."""
    return callable(getattr(model, "scorer", None))


def has_loss(model: object) -> TypeGuard[HasLoss]:
    """Whether a model knows its own loss."""
    return callable(getattr(model, "true_loss", None))


Trainer = Callable[[npt.NDArray[Any], npt.NDArray[Any], int], Model]
"""`(k, ...)` features, `(k, ...)` labels and a seed to a trained model; the seed is for all that is random in training."""


class EstimatorTrainer:
    """Trains a copy of an estimator of scikit-learn each time, with the seed as its `random_state` where it has one."""

    def __init__(self, estimator: Any) -> None:
        self.estimator = estimator

    def __call__(self, features: npt.NDArray[Any], labels: npt.NDArray[Any], seed: int) -> Model:
        """Fit a copy."""
        from sklearn.base import clone  # loads scikit-learn, which takes a second  # noqa: PLC0415

        model = clone(self.estimator)
        seeded = [name for name in model.get_params() if name == "random_state" or name.endswith("__random_state")]
        model.set_params(**dict.fromkeys(seeded, seed))
        fitted: Model = model.fit(features, labels)
        return fitted


def as_trainer(trainer: Any) -> Trainer:
    """A trainer of a callable, or of an estimator that is not fitted.

    Raises:
        ValueError: It is neither.
    """
    if isinstance(trainer, type) and hasattr(trainer, "fit"):
        raise ValueError(f"trainer is the class {trainer.__name__}; pass an estimator, {trainer.__name__}()")
    if hasattr(trainer, "fit") and hasattr(trainer, "get_params"):
        return EstimatorTrainer(trainer)
    if not callable(trainer):
        raise ValueError(
            f"trainer is {type(trainer).__name__}; expected a function of features, labels and a seed that gives a trained "
            "model, or an estimator of scikit-learn"
        )
    given: Trainer = trainer
    return given


def name_of_trainer(trainer: Any) -> str:
    """What tells one trainer from another in a record: its name and its parameters, not its code.

    Examples:
        >>> from sklearn.linear_model import LogisticRegression
        >>> name_of_trainer(LogisticRegression(C=10.0)).split(",")[0]
        'LogisticRegression(C=10.0'
    """
    if hasattr(trainer, "get_params"):
        given = ", ".join(f"{name}={value!r}" for name, value in sorted(trainer.get_params().items()))
        name = f"{type(trainer).__name__}({given})"
    else:
        name = getattr(trainer, "__qualname__", None) or repr(trainer)
    return " ".join(re.sub(r" at 0x[0-9a-fA-F]+", "", name).split())


def true_loss(model: object, probabilities: npt.NDArray[Any], labels: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    """`(n,)` cross-entropy `-log p` of the true class; of a class that the model does not know, that of the least float.

    Args:
        model: Its `classes_`, if any, name the columns.
        probabilities: `(n, c)` of the model.
        labels: `(n,)` the truth.
    """
    classes = np.asarray(getattr(model, "classes_", np.arange(probabilities.shape[1])))
    is_true = labels[:, None] == classes[None, :]
    return np.asarray(-np.log(np.maximum((probabilities * is_true).sum(axis=1), np.finfo(np.float64).tiny)))
