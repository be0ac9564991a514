"""CORESET: greedy k-center, each pick the candidate farthest from everything labeled or picked."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np

from .centers.engine import Engine, LocalEngine, check_engine
from .distances import check_metric
from .greedy import greedy_centers
from .pool import Pool
from .sampler import Picks, Sampler, check_number, check_share


@dataclass(frozen=True)
class SamplerCoreset(Sampler):
    """Greedy k-center from the labeled items on: the picks of the naive definition, exactly.

    Each pick is the candidate with the largest distance to its nearest labeled or picked item, ties to the lower row; that
    distance is its gain. With nothing labeled the first pick is the item farthest from the pool's mean. Duplicates of
    labeled or picked items have distance 0 and come last.

    Time O((l + k) n d) at worst for l labeled items and k picks, and much less on most data, where a row has to meet few of
    the centers. Memory O(n) beside the vectors; for cosine the unit vectors too, unless the vectors are on disk.

    Args:
        metric: `euclidean`, or `cosine`: `1 - cos`, of vectors that must not be zero; with nothing labeled, from the
            direction of the mean.
        min_distance: Pick nothing nearer than this to a labeled or picked item, in the metric's unit, and stop when
            nothing else is left; None never stops.
        ignore_sparsest: Share of the pool, in [0, 1), that is not picked because it lies farthest from its neighbours:
            far outliers are what k-center picks first.
        engine: Where the work is done; it changes no pick.

    Raises:
        ValueError: An option is out of range.

    Examples:
        >>> pool = Pool(("a", "b", "c"), np.array([True, False, False]), vectors=np.array([[0.0], [1.0], [5.0]]))
        >>> selection = SamplerCoreset().select(pool, 2)
        >>> selection.item_ids, selection.gains.tolist(), selection.reasons[0]
        (('c', 'b'), [5.0, 1.0], "5 from the nearest labeled item, 'a'")

    References:
        T. Gonzalez, 1985, doi:10.1016/0304-3975(85)90224-5; O. Sener and S. Savarese, 2018, arXiv:1708.00489.
    """

    method: ClassVar[str] = "CORESET"
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

    @property
    def needs_vectors(self) -> bool:
        """Always."""
        return True

    def pick(self, pool: Pool, n_samples: int, rng: np.random.Generator, on_pick: Callable[[int], object]) -> Picks:
        """Pick greedily."""
        walk = greedy_centers(
            pool,
            n_samples,
            metric=self.metric,
            min_distance=self.min_distance,
            ignore_sparsest=self.ignore_sparsest,
            weights=None,
            engine=self.engine,
            rng=rng,
            on_pick=on_pick,
        )
        return Picks(walk.rows, walk.distances, walk.reasons, walk.note, walk.is_interrupted)
