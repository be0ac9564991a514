"""BATCH_UNCERTAINTY: random batches of a fixed size, the most uncertain batches first."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from .pool import Pool
from .random_order import shuffled_candidates
from .reasons import in_words, score_reasons
from .sampler import Picks, Sampler, checked_count


@dataclass(frozen=True)
class SamplerBatchUncertainty(Sampler):
    """Cut the shuffled candidates into batches, and take batches by falling value until there are enough items.

    The value of a batch is the sum or the mean of its items' scores. The two differ for the last batch of the cut alone,
    which may be smaller: its sum is then smaller too, its mean is not. Inside a batch the highest score comes first, and
    of the batch that completes the request only as many as needed are taken. The gain of a pick is its score. Time
    O(n log n).

    Mixing each batch at random keeps a batch from being all look-alikes, which the highest scores alone often are.

    Args:
        batch_size: Items in a batch, at least 1.
        aggregate: `sum` or `mean`.

    Raises:
        ValueError: An option is out of range.

    Examples:
        >>> pool = Pool(("a", "b", "c", "d"), scores=np.array([0.9, 0.0, 0.6, 0.5]))
        >>> SamplerBatchUncertainty(batch_size=2).select(pool, 2, seed=1).item_ids
        ('c', 'd')

    References:
        C.-A. Brust, C. Käding and J. Denzler, Active Learning for Deep Object Detection, 2019, arXiv:1809.09875.
    """

    method: ClassVar[str] = "BATCH_UNCERTAINTY"
    batch_size: int = 10
    aggregate: str = "sum"

    def __post_init__(self) -> None:
        checked_count(self.batch_size, "batch_size")
        if self.aggregate not in ("sum", "mean"):
            raise ValueError(f"aggregate is {self.aggregate!r}; expected 'sum' or 'mean'")

    @property
    def needs_scores(self) -> bool:
        """Always."""
        return True

    def pick(self, pool: Pool, n_samples: int, rng: np.random.Generator, on_pick: Callable[[int], object]) -> Picks:
        """Rank the batches."""
        assert pool.scores is not None
        shuffled = shuffled_candidates(pool, rng)
        batch_of = np.arange(len(shuffled)) // min(self.batch_size, len(shuffled))
        sizes = np.bincount(batch_of)
        sums = np.bincount(batch_of, weights=pool.scores[shuffled])
        values = sums if self.aggregate == "sum" else sums / sizes
        place = np.empty(len(sizes), dtype=np.int64)
        place[np.argsort(-values, kind="stable")] = np.arange(len(sizes))
        order = np.lexsort((shuffled, -pool.scores[shuffled], place[batch_of]))[:n_samples]
        rows = shuffled[order]
        on_pick(n_samples)
        reasons = [
            f"{reason}; in batch {place[batch] + 1} of {len(sizes)}, {self.aggregate} {in_words(values[batch])}"
            for reason, batch in zip(score_reasons(pool, rows), batch_of[order].tolist())
        ]
        return Picks(rows, pool.scores[rows], tuple(reasons))
