"""CORAL: greedy k-center weighted by the score, for batches that are both uncertain and diverse."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from .kcenter import check_metric, greedy_centers
from .pool import Pool
from .reasons import score_reasons
from .sampler import Picks, Sampler, check_number
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

    def __post_init__(self) -> None:
        check_metric(self.metric, self.min_distance)
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
        return self.distance_strength > 0 or self.min_distance is not None

    def pick(self, pool: Pool, n_samples: int, rng: np.random.Generator, on_pick: Callable[[int], object]) -> Picks:
        """Pick greedily by the product."""
        if not self.needs_vectors:
            return SamplerUncertainty().pick(pool, n_samples, rng, on_pick)
        walk = greedy_centers(
            pool,
            n_samples,
            metric=self.metric,
            min_distance=self.min_distance,
            worth=self._worth(pool),
            on_pick=on_pick,
        )
        reasons = walk.reasons
        if self.needs_scores:
            scored = score_reasons(pool, walk.rows)
            reasons = tuple(f"{score}; {distance}" for score, distance in zip(scored, walk.reasons))
        return Picks(walk.rows, walk.worths, reasons, walk.note)

    def _worth(self, pool: Pool) -> Callable[[Vector], Vector]:
        """What picking each row would be worth, given all distances."""
        weights = np.ones(len(pool))
        if self.needs_scores:
            weights[pool.labeled] = 0.0
            assert pool.scores is not None
            scores, candidates = pool.scores, pool.candidates
            if scores[candidates].min() < 0:
                row = int(candidates[scores[candidates].argmin()])
                raise ValueError(
                    f"{pool.score_name} of {pool.item_ids[row]!r} is {scores[row]:.6g}; CORAL multiplies scores, which "
                    "must be 0 or more: shift or rescale them, for example to [0, 1]"
                )
            weights[candidates] = _power(scores[candidates], self.score_strength)
            _check_in_range(weights, lambda: (scores > 0) & ~pool.is_labeled)

        def worth(distances: Vector) -> Vector:
            with np.errstate(all="ignore"):  # what leaves the range of float64 is found out below
                products: Vector = weights * _power(distances, self.distance_strength)
            _check_in_range(products, lambda: (weights > 0) & (distances > 0))
            return products

        return worth


def _power(values: Vector, exponent: float) -> Vector:
    """`values ** exponent`; strength 1 changes no bit, and strength 0 makes all alike."""
    if exponent == 1:
        return values
    with np.errstate(all="ignore"):
        return np.asarray(values**exponent, dtype=np.float64)


def _check_in_range(products: Vector, is_positive: Callable[[], npt.NDArray[np.bool_]]) -> None:
    """Raise if products are infinite, or if all that are positive were rounded to 0; that is asked only where all are 0."""
    best = products.max()
    if not np.isfinite(best) or (best == 0 and is_positive().any()):
        raise ValueError(
            "score ** score_strength * distance ** distance_strength leaves the range of float64; rescale the scores and "
            "embeddings to about 1, or lower the strengths"
        )
