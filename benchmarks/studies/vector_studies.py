"""The studies on vectors: which data, which head, which budgets, which methods."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from heads import Mlp
from vector_data import cifar_vectors, duplicates, imbalanced, real_probabilities

from al_agent import SamplerConfig, SamplingMethod
from al_agent.simulation.digits import load_digits
from al_agent.simulation.hidden import HiddenLabels
from al_agent.simulation.study import ORACLE, Study
from al_agent.simulation.study.labeled_vectors import LogisticTrainer, Scale
from samplers.strategies import Diversity, Typicality, Weight

_OF_COMMITTEES = (SamplingMethod.BALD, SamplingMethod.BATCH_BALD)
_OF_ONE_MODEL = (SamplingMethod.BADGE,)  # reads one distribution for each item, and its last layer's features
_SLOW = (SamplingMethod.DISCRIMINATIVE,)
_FEWEST_DIMENSIONS = 30  # with fewer its networks are trained for 500 epochs


@dataclass(frozen=True)
class Plan:
    """A study that can be made where its data are.

    Args:
        load: The folder of data packs to the data.
        n_classes: Labels of a cold start, and of each of its rounds.
        n_per_round: Labels of a round of the warm study, which starts with 20 per class.
        strength: C of the linear head; None takes the committee of networks.
        is_warm: Which of the two budgets.
        n_rounds: Rounds of each run.
    """

    load: Callable[[Path], HiddenLabels]
    n_classes: int
    n_per_round: int
    strength: float | None
    is_warm: bool
    n_rounds: int = 10

    def study(self, folder: Path, seeds: Sequence[int]) -> Study:
        """The study, its data read from a folder.

        Raises:
            NotHere: The folder does not have them.
        """
        data = self.load(folder)
        pool = data.features
        trainer = Mlp(pool, self.n_classes) if self.strength is None else LogisticTrainer(Scale.of(pool), self.strength)
        return Study(
            data,
            trainer,
            methods(is_committee=self.strength is None, is_slow=self.is_warm or pool.shape[1] < _FEWEST_DIMENSIONS),
            n_start=20 * self.n_classes if self.is_warm else self.n_classes,
            n_per_round=self.n_per_round if self.is_warm else self.n_classes,
            n_rounds=self.n_rounds,
            seeds=seeds,
            trainer_name=repr(trainer),
        )


def methods(*, is_committee: bool, is_slow: bool) -> dict[str, SamplerConfig]:
    """Every method that can run, with its defaults; the score is the margin, of a committee that of the members' mean.

    JOINT gets CORAL's two objectives, the score and the distance, and typicality as the third. Of one model there are no
    BALD and BATCH_BALD, of a committee there is no BADGE.

    Args:
        is_committee: Whether the head is one.
        is_slow: Without DISCRIMINATIVE, which takes minutes for a run of many labels, or of few dimensions.
    """
    found: dict[str, SamplerConfig] = {}
    for method in SamplingMethod:
        if method in (_OF_ONE_MODEL if is_committee else _OF_COMMITTEES) or (is_slow and method in _SLOW):
            continue
        objectives = [Weight(), Diversity(), Typicality()] if method is SamplingMethod.JOINT else []
        score = "uncertainty_margin" if is_committee else None  # its own default is what BALD ranks by
        found[str(method)] = SamplerConfig(method=method, strategies=objectives, score=score)
    found[ORACLE] = SamplerConfig(method=SamplingMethod.UNCERTAINTY)
    return found


def _digits(_: Path) -> HiddenLabels:
    return load_digits()


_KINDS: dict[str, tuple[Callable[[Path], HiddenLabels], int, int, float | None]] = {
    "digits": (_digits, 10, 50, 1.0),
    "cifar_linear": (cifar_vectors, 10, 100, 0.03),
    "cifar_mlp": (cifar_vectors, 10, 100, None),
    "imbalanced": (imbalanced, 10, 100, 0.03),
    "duplicates": (duplicates, 10, 100, 0.03),
    "20news": (partial(real_probabilities, name="20news"), 20, 100, 1.0),
    "mnist": (partial(real_probabilities, name="mnist"), 10, 50, 1.0),
    "imdb": (partial(real_probabilities, name="imdb"), 2, 20, 1.0),
}
"""Name to data, classes, labels of a warm round, and C: scikit-learn's default, which suits the small vectors, and for those
of 128 dimensions the best compromise from 20 to 1,500 random labels, of eight from 0.001 to 10."""

PLANS = {
    f"{name}_{'warm' if is_warm else 'cold'}": Plan(*kind, is_warm=is_warm)
    for name, kind in _KINDS.items()
    for is_warm in (False, True)
}
