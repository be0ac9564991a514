"""What a round should pick: the method, how many, and by which rules."""

from __future__ import annotations

import dataclasses
import importlib
import math
import operator
from collections.abc import Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, field
from enum import Enum
from typing import Any

from samplers import (
    Budget,
    Engine,
    LocalEngine,
    Sampler,
    SamplerAuto,
    SamplerBadge,
    SamplerBald,
    SamplerBatchBald,
    SamplerBatchUncertainty,
    SamplerClusterMargin,
    SamplerCoral,
    SamplerCoreset,
    SamplerDiscriminative,
    SamplerJoint,
    SamplerMaxHerding,
    SamplerProbCover,
    SamplerPrototypes,
    SamplerRandom,
    SamplerTypiClust,
    SamplerTypiClustMargin,
    SamplerUHerding,
    SamplerUncertainty,
    Strategy,
)
from samplers.sampler import checked_count
from samplers.strategies import strategy

_DEFAULT_N_SAMPLES = 32


class SamplingMethod(str, Enum):
    """How the batch is picked; a plain string in any case is accepted wherever a member is.

    Examples:
        >>> SamplingMethod("coral") is SamplingMethod.CORAL, SamplingMethod("active_learning").value
        (True, 'UNCERTAINTY')
    """

    AUTO = "AUTO"
    """For those who do not want to choose: coverage of the embeddings, weighted by the score as labels grow in number; not
    for detection, where it was behind RANDOM in a study."""
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
    JOINT = "JOINT"
    """A product of objectives under constraints: `SamplerConfig(strategies=[...])`."""
    TYPICLUST = "TYPICLUST"
    """The most typical item of each cluster without a label: for a cold start."""
    TCM = "TCM"
    """TYPICLUST until enough is labeled, then the highest scores."""
    MAX_HERDING = "MAX_HERDING"
    """What the pool is least covered by, softly: for cold starts and later rounds."""
    UHERDING = "UHERDING"
    """MAX_HERDING weighted by the score."""
    PROBCOVER = "PROBCOVER"
    """What covers most of the pool within a radius: for a cold start."""
    CLUSTER_MARGIN = "CLUSTER_MARGIN"
    """The highest scores spread over clusters: for large batches."""
    BADGE = "BADGE"
    """k-means++ on the gradients that each item would give; needs class probabilities and last-layer features."""
    BALD = "BALD"
    """The highest mutual information of a committee; needs its class probabilities."""
    BATCH_BALD = "BATCH_BALD"
    """The batch with the highest joint mutual information of a committee."""
    PROTOTYPES = "PROTOTYPES"
    """The highest scores that do not look like one picked of their class: for detection."""
    DISCRIMINATIVE = "DISCRIMINATIVE"
    """What a network trained on the spot is most sure is unlike the labeled; needs embeddings, torch and a first label."""

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
        strategies: JOINT: objectives and constraints, such as `[Diversity(), Weight(), AtMost(3, "video")]`. With a `Budget`
            and no `n_samples`, as many as it pays for.
        min_distance: CORESET and CORAL: pick nothing nearer than this to a labeled or picked item, in the metric's unit,
            and stop when nothing else is left.
        metric: `euclidean` or `cosine`, for the methods that compare embeddings.
        ignore_sparsest: CORESET and CORAL: share of the pool that is left out because it is far from its neighbours; guards
            against outliers.
        score_strength: CORAL: exponent of the score; 0 is CORESET.
        distance_strength: CORAL: exponent of the distance; 0 is UNCERTAINTY.
        batch_size: BATCH_UNCERTAINTY: items in a random batch.
        batch_aggregate: BATCH_UNCERTAINTY: value of a batch, `sum` or `mean` of its scores.
        options: Further options of the method by name, such as `{"delta": 0.5}` for PROBCOVER.
        engine: Where CORESET, CORAL and JOINT run: `local`, `ray`, or an engine; it changes no pick, and a record of the
            round holds the name alone.
        device: A device of torch for the local engine, or for DISCRIMINATIVE, such as `cuda`.
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
    strategies: Sequence[Strategy | Mapping[str, Any]] = ()
    min_distance: float | None = None
    metric: str = "euclidean"
    ignore_sparsest: float = 0.0
    score_strength: float = 1.0
    distance_strength: float = 1.0
    batch_size: int = 10
    batch_aggregate: str = "sum"
    options: Mapping[str, Any] = field(default_factory=dict)
    engine: str | Engine = "local"
    device: str | None = None
    seed: int = 0
    name: str | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "method", SamplingMethod(self.method))
        if isinstance(self.strategies, str | Strategy | Mapping) or not isinstance(self.strategies, Sequence):
            raise ValueError(f"strategies is {self.strategies!r}; expected a list, such as [Diversity(), Weight()]")
        object.__setattr__(self, "strategies", tuple(strategy(one) for one in self.strategies))
        if self.strategies and self.method is SamplingMethod.CORESET:  # the default
            object.__setattr__(self, "method", SamplingMethod.JOINT)
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
        self._check_used()
        self.sampler()  # checks the method's own options

    def _checked_n_samples(self) -> int:
        try:
            return checked_count(self.n_samples, "n_samples")
        except ValueError as error:
            if isinstance(self.n_samples, float) and 0 < self.n_samples < 1:
                raise ValueError(f"{error}; for a fraction of the unlabeled set use proportion={self.n_samples}") from None
            raise

    def _check_used(self) -> None:
        """Raise if an option is given that the method does not use."""
        known = _options_of(_SAMPLERS[SamplingMethod(self.method)])
        for one in dataclasses.fields(self):
            name = _RENAMED.get(one.name, one.name)
            if one.name not in _OF_METHODS or name in known:
                continue
            default = one.default if one.default is not dataclasses.MISSING else {}
            if getattr(self, one.name) != default:
                users = [str(method) for method, cls in _SAMPLERS.items() if name in _options_of(cls)]
                raise ValueError(
                    f"{one.name} is given, and {self.method} does not use it; leave it out, or choose a method that does: "
                    f"{', '.join(users)}"
                )
        if not isinstance(self.options, Mapping):
            raise ValueError(f"options is {self.options!r}; expected options of the method by name")
        for name in self.options:
            if name not in known or name in _OF_METHODS or name in _RENAMED.values():
                further = [name for name in known if name not in _OF_METHODS and name not in _RENAMED.values()]
                raise ValueError(
                    f"{self.method} has no option {name!r} of its own; it has {', '.join(map(repr, further)) or 'none'}"
                )
        object.__setattr__(self, "options", dict(self.options))

    def sampler(self) -> Sampler:
        """The sampler that does what this says.

        Raises:
            ImportError: The engine needs a package that is not installed.
        """
        cls = _SAMPLERS[SamplingMethod(self.method)]
        known = _options_of(cls)
        given = {_RENAMED.get(name, name): getattr(self, name) for name in _OF_METHODS if name != "engine"}
        options = {name: value for name, value in given.items() if name in known}
        if not self.strategies:
            options.pop("strategies", None)
        if "engine" in known:
            del options["device"]  # it is the engine's
            options["engine"] = self._engine()
        return cls(**options, **self.options)

    def _engine(self) -> Engine:
        if not isinstance(self.engine, str):
            if self.device is not None:
                raise ValueError("device is given with an engine; give the engine its device")
            return self.engine
        if self.engine == "local":
            return LocalEngine(device=self.device)
        if self.engine == "ray" and self.device is None:
            engine: Engine = importlib.import_module("al_agent.engine.on_ray").RayEngine()
            return engine
        if self.engine == "ray":
            raise ValueError("device is given with engine='ray'; leave one out")
        raise ValueError(f"engine is {self.engine!r}; expected 'local', 'ray', or an engine such as LocalEngine()")

    def count(self, n_unlabeled: int) -> int:
        """How many items this asks for when `n_unlabeled` can be labeled."""
        if self.proportion is None:
            is_open_ended = self.n_samples == _DEFAULT_N_SAMPLES and any(isinstance(one, Budget) for one in self.strategies)
            return n_unlabeled if is_open_ended else self.n_samples
        return max(1, math.floor(self.proportion * n_unlabeled + 0.5))

    def to_dict(self) -> dict[str, Any]:
        """Plain values, as JSON takes them; `SamplerConfig(**values)` gives the configuration back."""
        values = {one.name: getattr(self, one.name) for one in dataclasses.fields(self)}
        return {
            **values,
            "method": str(self.method),
            "strategies": [one.to_dict() for one in self.strategies if isinstance(one, Strategy)],
            "options": dict(self.options),
            "engine": self.engine if isinstance(self.engine, str) else "local",  # it changes no pick
        }

    def __hash__(self) -> int:
        return hash((self.n_samples, self.method, self.score, self.seed, self.name))


_SAMPLERS: dict[SamplingMethod, type[Sampler]] = {
    SamplingMethod(cls.method): cls
    for cls in (
        SamplerAuto,
        *(SamplerRandom, SamplerUncertainty, SamplerBatchUncertainty, SamplerCoreset, SamplerCoral, SamplerJoint),
        *(SamplerTypiClust, SamplerTypiClustMargin, SamplerMaxHerding, SamplerUHerding, SamplerProbCover),
        *(SamplerClusterMargin, SamplerBadge, SamplerBald, SamplerBatchBald, SamplerPrototypes),
        SamplerDiscriminative,
    )
}
_RENAMED = {"batch_aggregate": "aggregate"}
_OF_METHODS = (
    *("strategies", "min_distance", "metric", "ignore_sparsest", "score_strength", "distance_strength"),
    *("batch_size", "batch_aggregate", "engine", "device"),
)


def _options_of(cls: type[Sampler]) -> tuple[str, ...]:
    names = [one.name for one in dataclasses.fields(cls)]  # type: ignore[arg-type]  # all of ours are dataclasses
    return (*names, "device") if "engine" in names else tuple(names)


def _is_readable(name: object) -> bool:
    return isinstance(name, str) and bool(name.strip()) and name.isprintable()
