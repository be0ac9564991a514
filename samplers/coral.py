"""CORAL: greedy k-center weighted by the score, for batches that are both uncertain and diverse."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from .centers.engine import Engine, LocalEngine, check_engine
from .distances import check_metric
from .greedy import greedy_centers
from .pool import Pool
from .reasons import score_reasons
from .sampler import Picks, Sampler, check_number, check_share
from .uncertainty import SamplerUncertainty

Vector = npt.NDArray[np.float64]


@dataclass(frozen=True)
class SamplerCoral(Sampler):
    """Each pick is the candidate with the largest `score ** score_strength * distance ** distance_strength`.

    The distance is that to the nearest labeled or picked item (to the pool's mean for the first pick with nothing
    labeled), as in CORESET; the product is the pick's gain. A score strength of 0 is CORESET, a distance strength of 0 is
    UNCERTAINTY. Scores are 0 or more; an item with score 0 has product 0 and comes last, with a duplicate of a labeled
    item, in platform order.

    Lightly named its hybrid of coreset and active learning CORAL and documented it as greedy on the product of diversity
    and score. What its server of 2021 computed beyond that is not public; this formula is ours in full.

    Time and memory as for CORESET.

    Args:
        score_strength: Exponent of the score, 0 or more.
        distance_strength: Exponent of the distance, 0 or more.
        metric: `euclidean` or `cosine`, as for CORESET.
        min_distance: Pick nothing nearer than this to a labeled or picked item, and stop when nothing else is left; None
            never stops.
        ignore_sparsest: As for CORESET.
        engine: Where the work is done; it changes no pick.

    Raises:
        ValueError: An option is out of range, or both strengths are 0.

    Examples:
        >>> pool = Pool(
        ...     ("a", "b", "c"), np.array([True, False, False]),
        ...     scores=np.array([np.nan, 0.9, 0.1]), vectors=np.array([[0.0], [1.0], [5.0]]),
        ... )
        >>> selection = SamplerCoral().select(pool, 1)
        >>> selection.item_ids, selection.reasons
        (('b',), ("score 0.9, 50th percentile; 1 from the nearest labeled item, 'a'",))

    References:
        Lightly documentation, selection strategy combination, 2022; T. Gonzalez, 1985, doi:10.1016/0304-3975(85)90224-5.
    """

    method: ClassVar[str] = "CORAL"
    score_strength: float = 1.0
    distance_strength: float = 1.0
    metric: str = "euclidean"
    min_distance: float | None = None
    ignore_sparsest: float = 0.0
    engine: Engine = field(default_factory=LocalEngine, repr=False)

    def __post_init__(self) -> None:
        check_metric(self.metric)
        if self.min_distance is not None:
            check_number(self.min_distance, "min_distance")
        check_share(self.ignore_sparsest, "ignore_sparsest")
        check_engine(self.engine)
        for name in ("score_strength", "distance_strength"):
            check_number(getattr(self, name), name)
        if self.score_strength == 0 == self.distance_strength:
            raise ValueError("score_strength and distance_strength are both 0, which leaves nothing to choose by")

    @property
    def needs_scores(self) -> bool:
        """Unless the score has strength 0."""
        return self.score_strength > 0

    @property
    def needs_vectors(self) -> bool:
        """Unless the distance has strength 0 and may be any."""
        return self.distance_strength > 0 or self.min_distance is not None or self.ignore_sparsest > 0

    def pick(self, pool: Pool, n_samples: int, rng: np.random.Generator, on_pick: Callable[[int], object]) -> Picks:
        """Pick greedily by the product."""
        if not self.needs_vectors:
            return SamplerUncertainty().pick(pool, n_samples, rng, on_pick)
        walk = greedy_centers(
            pool,
            n_samples,
            metric=self.metric,
            min_distance=self.min_distance,
            ignore_sparsest=self.ignore_sparsest,
            weights=self._weights(pool),
            is_flat=self.distance_strength == 0,
            engine=self.engine,
            rng=rng,
            on_pick=on_pick,
        )
        with np.errstate(all="ignore"):  # what leaves the range of float64 is found out below
            gains = _power(walk.distances, self.distance_strength)
        reasons = walk.reasons
        if self.needs_scores:
            assert pool.scores is not None
            with np.errstate(all="ignore"):
                gains = gains * _power(pool.scores[walk.rows], self.score_strength)
            scored = score_reasons(pool, walk.rows)
            reasons = tuple(f"{score}; {distance}" for score, distance in zip(scored, walk.reasons))
        is_lost = (gains == 0) & (walk.distances > 0)
        if self.needs_scores:
            assert pool.scores is not None
            is_lost &= pool.scores[walk.rows] > 0
        if is_lost.any() or not np.isfinite(gains).all() or not np.isfinite(walk.worths).all():
            raise ValueError(_OUT_OF_RANGE)
        return Picks(walk.rows, gains, reasons, walk.note, walk.is_interrupted)

    def _weights(self, pool: Pool) -> Vector | None:
        """Factors on the distance that order the items as the product does."""
        if not self.needs_scores:
            return None
        assert pool.scores is not None
        scores, candidates = pool.scores, pool.candidates
        if scores[candidates].min() < 0:
            row = int(candidates[scores[candidates].argmin()])
            raise ValueError(
                f"{pool.score_name} of {pool.item_ids[row]!r} is {scores[row]:.6g}; CORAL multiplies scores, which "
                "must be 0 or more: shift or rescale them, for example to [0, 1]"
            )
        weights = np.zeros(len(pool))
        weights[candidates] = _power(scores[candidates], self.score_strength / (self.distance_strength or 1.0))
        most = weights.max()
        if not np.isfinite(most) or (most == 0 and (scores[candidates] > 0).any()):
            raise ValueError(_OUT_OF_RANGE)
        return weights


_OUT_OF_RANGE = (
    "score ** score_strength * distance ** distance_strength leaves the range of float64; rescale the scores and embeddings "
    "to about 1, or lower the strengths"
)


def _power(values: Vector, exponent: float) -> Vector:
    """`values ** exponent`; strength 1 changes no bit, and strength 0 makes all alike."""
    if exponent == 1:
        return values
    with np.errstate(all="ignore"):
        return np.asarray(values**exponent, dtype=np.float64)
