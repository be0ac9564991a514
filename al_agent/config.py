"""What a round should pick: the method, how many, and by which rules."""

from __future__ import annotations

import math
import operator
from dataclasses import KW_ONLY, asdict, dataclass
from enum import Enum
from typing import Any

from samplers import (
    Sampler,
    SamplerBatchUncertainty,
    SamplerCoral,
    SamplerCoreset,
    SamplerRandom,
    SamplerUncertainty,
)
from samplers.sampler import checked_count

_DEFAULT_N_SAMPLES = 32


class SamplingMethod(str, Enum):
    """How the batch is picked; a plain string in any case is accepted wherever a member is.

    Examples:
        >>> SamplingMethod("coral") is SamplingMethod.CORAL, SamplingMethod("active_learning").value
        (True, 'UNCERTAINTY')
    """

    RANDOM = "RANDOM"
    """Uniformly at random: the baseline."""
    UNCERTAINTY = "UNCERTAINTY"
    """The highest scores."""
    ACTIVE_LEARNING = "UNCERTAINTY"  # noqa: PIE796  # the name that Lightly gave it
    """Another name of UNCERTAINTY."""
    BATCH_UNCERTAINTY = "BATCH_UNCERTAINTY"
    """Random batches of a fixed size, those with the highest scores first."""
    CORESET = "CORESET"
    """Greedy k-center on embeddings: the most different from all that is labeled."""
    CORAL = "CORAL"
    """Greedy k-center weighted by the score: uncertain and different."""

    @classmethod
    def _missing_(cls, value: object) -> SamplingMethod | None:
        found = cls.__members__.get(value.upper()) if isinstance(value, str) else None
        if found is None:
            raise ValueError(f"unknown sampling method {value!r}; expected one of {', '.join(cls.__members__)}")
        return found

    def __str__(self) -> str:
        return self.value


@dataclass(frozen=True)
class SamplerConfig:
    """What a round should pick.

    Args:
        n_samples: Number of *new* items, at least 1.
        proportion: The same as a fraction of the unlabeled set, in `(0, 1]`, rounded to the nearest and at least 1. It
            takes the place of `n_samples`.
        method: A `SamplingMethod` or its name in any case.
        score: Name of the score for the methods that use one; None takes the scorer's default.
        min_distance: CORESET and CORAL: pick nothing nearer than this to a labeled or picked item, in the metric's unit,
            and stop when nothing else is left.
        metric: CORESET and CORAL: `euclidean` or `cosine`.
        score_strength: CORAL: exponent of the score; 0 is CORESET.
        distance_strength: CORAL: exponent of the distance; 0 is UNCERTAINTY.
        batch_size: BATCH_UNCERTAINTY: items in a random batch.
        batch_aggregate: BATCH_UNCERTAINTY: value of a batch, `sum` or `mean` of its scores.
        seed: Of all randomness; the same seed gives the same batch.
        name: Name of the round; None makes one of its number and method.

    Raises:
        ValueError: An option is out of range, or is none of the method's.

    Examples:
        >>> SamplerConfig(n_samples=100, method="coral").method
        <SamplingMethod.CORAL: 'CORAL'>
        >>> SamplerConfig(proportion=0.1).count(1_000)
        100
    """

    n_samples: int = _DEFAULT_N_SAMPLES
    _: KW_ONLY
    proportion: float | None = None
    method: SamplingMethod | str = SamplingMethod.CORESET
    score: str | None = None
    min_distance: float | None = None
    metric: str = "euclidean"
    score_strength: float = 1.0
    distance_strength: float = 1.0
    batch_size: int = 10
    batch_aggregate: str = "sum"
    seed: int = 0
    name: str | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "method", SamplingMethod(self.method))
        object.__setattr__(self, "n_samples", self._checked_n_samples())
        if self.proportion is not None:
            if self.n_samples != _DEFAULT_N_SAMPLES:
                raise ValueError("n_samples and proportion are both given; choose one")
            if isinstance(self.proportion, bool) or not 0 < self.proportion <= 1:
                raise ValueError(f"proportion is {self.proportion!r}; expected a fraction above 0 and up to 1")
        try:
            object.__setattr__(self, "seed", operator.index(self.seed))
        except TypeError:
            raise ValueError(f"seed is {self.seed!r}; expected a whole number") from None
        if self.seed < 0:
            raise ValueError(f"seed is {self.seed}; expected a whole number of 0 or more")
        if self.name is not None and not _is_readable(self.name):
            raise ValueError(f"name is {self.name!r}; give the round a readable name, or None")
        if self.min_distance is not None and self.method not in {SamplingMethod.CORESET, SamplingMethod.CORAL}:
            raise ValueError(f"min_distance is given, and {self.method} knows no distance; leave it out")
        if (self.score_strength, self.distance_strength) != (1, 1) and self.method is not SamplingMethod.CORAL:
            raise ValueError(f"strengths are given, and {self.method} has none; use method='CORAL', or leave them out")
        self.sampler()  # checks the method's own options

    def _checked_n_samples(self) -> int:
        try:
            return checked_count(self.n_samples, "n_samples")
        except ValueError as error:
            if isinstance(self.n_samples, float) and 0 < self.n_samples < 1:
                raise ValueError(f"{error}; for a fraction of the unlabeled set use proportion={self.n_samples}") from None
            raise

    def sampler(self) -> Sampler:
        """The sampler that does what this says."""
        if self.method is SamplingMethod.RANDOM:
            return SamplerRandom()
        if self.method is SamplingMethod.UNCERTAINTY:
            return SamplerUncertainty()
        if self.method is SamplingMethod.BATCH_UNCERTAINTY:
            return SamplerBatchUncertainty(batch_size=self.batch_size, aggregate=self.batch_aggregate)
        if self.method is SamplingMethod.CORESET:
            return SamplerCoreset(metric=self.metric, min_distance=self.min_distance)
        return SamplerCoral(
            score_strength=self.score_strength,
            distance_strength=self.distance_strength,
            metric=self.metric,
            min_distance=self.min_distance,
        )

    def count(self, n_unlabeled: int) -> int:
        """How many items this asks for when `n_unlabeled` can be labeled."""
        if self.proportion is None:
            return self.n_samples
        return max(1, math.floor(self.proportion * n_unlabeled + 0.5))

    def to_dict(self) -> dict[str, Any]:
        """Plain values, as JSON takes them; `SamplerConfig(**values)` gives the configuration back."""
        return {**asdict(self), "method": str(self.method)}


def _is_readable(name: object) -> bool:
    return isinstance(name, str) and bool(name.strip()) and name.isprintable()
