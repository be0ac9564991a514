"""Rounds replayed against hidden labels: the accuracy that each method reaches for the labels it asked for."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from scorers import ClassificationPredictions, ScorerClassification

from ..agent import ActiveLearningAgent
from ..config import SamplerConfig
from ..embedding import Embeddings
from ..platforms.local import PlatformLocal
from .hidden import HiddenLabels


class Classifier(Protocol):
    """What a replay asks of a model: scikit-learn's classifiers fit.

    Attributes:
        classes_: `(c,)` the classes among the labels that it was fitted to.
    """

    classes_: npt.NDArray[np.int64]

    def fit(self, x: npt.NDArray[np.float64], y: npt.NDArray[np.int64]) -> Any:
        """Learn from `(n, d)` features and `(n,)` labels."""
        ...

    def predict_proba(self, x: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """`(n, c)` class probabilities."""
        ...

    def score(self, x: npt.NDArray[np.float64], y: npt.NDArray[np.int64]) -> float:
        """Accuracy in `[0, 1]`."""
        ...


@dataclass(frozen=True, eq=False)
class LearningCurves:
    """Test accuracy after each round.

    Args:
        methods: Names of the m methods.
        n_labeled: `(r + 1,)` labeled items before the first and after each of the r rounds.
        accuracy: `(m, s, r + 1)` accuracy in `[0, 1]` for each method, seed and round.
    """

    methods: tuple[str, ...]
    n_labeled: npt.NDArray[np.int64]
    accuracy: npt.NDArray[np.float64]

    def mean(self) -> npt.NDArray[np.float64]:
        """`(m, r + 1)` mean over the seeds."""
        return np.asarray(self.accuracy.mean(axis=1))

    def standard_error(self) -> npt.NDArray[np.float64]:
        """`(m, r + 1)` standard error of the mean over the s seeds: `std(ddof=1) / sqrt(s)`; 0 for a single seed."""
        n_seeds = self.accuracy.shape[1]
        if n_seeds < 2:
            return np.zeros(self.accuracy[:, 0].shape)
        return np.asarray(self.accuracy.std(axis=1, ddof=1) / np.sqrt(n_seeds))


def replay(
    data: HiddenLabels,
    make_classifier: Callable[[], Classifier],
    *,
    methods: Sequence[str],
    n_seeds: int,
    n_rounds: int,
    n_initial: int,
    n_per_round: int,
    on_round: Callable[[int], object] = lambda _: None,
) -> LearningCurves:
    """Run every method for every seed, each a local project with the very agent and push that production uses.

    All methods start from the same labeled items for a seed, drawn at random; the seeds of the queries are other numbers
    than those of the start. The model is trained anew each round, and measured on items that are never in the pool.

    Args:
        data: The pool, its truth, and the test set.
        make_classifier: Gives an untrained model.
        methods: Names of sampling methods.
        n_seeds: Independent runs of each method.
        n_rounds: Rounds in a run.
        n_initial: Items labeled to begin with.
        n_per_round: Items labeled in a round.
        on_round: Called with 1 after each round, for a progress bar.
    """
    accuracy = np.empty((len(methods), n_seeds, n_rounds + 1))
    for seed in range(n_seeds):
        start = np.random.default_rng([seed, 0]).choice(len(data.item_ids), n_initial, replace=False)
        for row, method in enumerate(methods):
            accuracy[row, seed] = _run(data, make_classifier, method, seed, start, n_rounds, n_per_round, on_round)
    n_labeled = n_initial + n_per_round * np.arange(n_rounds + 1)
    return LearningCurves(tuple(methods), n_labeled, accuracy)


def _run(
    data: HiddenLabels,
    make_classifier: Callable[[], Classifier],
    method: str,
    seed: int,
    start: npt.NDArray[np.int64],
    n_rounds: int,
    n_per_round: int,
    on_round: Callable[[int], object],
) -> list[float]:
    with tempfile.TemporaryDirectory(prefix="al-agent-") as folder:
        platform = PlatformLocal.create(Path(folder), images=data.item_ids)
        agent = ActiveLearningAgent(platform, embeddings=Embeddings(data.item_ids, data.features))
        data.reveal(platform, [data.item_ids[row] for row in start.tolist()])
        curve = []
        for number in range(n_rounds + 1):
            agent.refresh()
            model = train(make_classifier, platform, data)
            curve.append(float(model.score(data.test_features, data.test_labels)))
            if number < n_rounds:
                query_seed = int(np.random.SeedSequence([seed, 1, number]).generate_state(1)[0])
                config = SamplerConfig(n_samples=n_per_round, method=method, seed=query_seed)
                batch = agent.query(config, score(model, agent, data))
                data.reveal(platform, batch.item_ids)
                on_round(1)
        return curve


def train(make_classifier: Callable[[], Classifier], platform: PlatformLocal, data: HiddenLabels) -> Classifier:
    """A model trained on what the project has labels for."""
    labels = platform.labels()
    model = make_classifier()
    model.fit(data.features_of(tuple(labels)), np.array(list(labels.values())))
    return model


def score(model: Classifier, agent: ActiveLearningAgent, data: HiddenLabels) -> ScorerClassification:
    """Scores of the unlabeled items by a model."""
    ids = agent.unlabeled_set
    names = map(str, model.classes_.tolist())  # a class that has no label yet has no column
    return ScorerClassification(
        ClassificationPredictions(ids, model.predict_proba(data.features_of(ids)), class_names=names)
    )
