"""RANDOM: every candidate is as likely as any other."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from .pool import Pool
from .sampler import Picks, Sampler


@dataclass(frozen=True)
class SamplerRandom(Sampler):
    """Uniform random picks without replacement; the baseline that every other method has to beat.

    The draw runs over the candidates sorted by id, so the order of the pool does not matter. Gains are 0. Time O(n log n).

    Examples:
        >>> SamplerRandom().select(Pool(("a", "b", "c", "d")), 2, seed=1).item_ids
        ('a', 'b')
    """

    method: ClassVar[str] = "RANDOM"

    def pick(self, pool: Pool, n_samples: int, rng: np.random.Generator, on_pick: Callable[[int], object]) -> Picks:
        """Draw the batch."""
        rows = shuffled_candidates(pool, rng)[:n_samples]
        on_pick(n_samples)
        return Picks(rows, np.zeros(n_samples), ("drawn at random",) * n_samples)


def shuffled_candidates(pool: Pool, rng: np.random.Generator) -> npt.NDArray[np.int64]:
    """The candidates' rows in random order, the same for every order of the pool."""
    by_id = sorted(pool.candidates.tolist(), key=pool.item_ids.__getitem__)
    return rng.permutation(np.array(by_id, dtype=np.int64))
