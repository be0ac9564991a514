"""UNCERTAINTY: the highest scores first."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from .pool import Pool
from .random_order import shuffled_candidates
from .reasons import score_reasons
from .sampler import Picks, Sampler, checked_count


@dataclass(frozen=True)
class SamplerUncertainty(Sampler):
    """Candidates by falling score; the gain of a pick is its score. Time O(n log n).

    The highest scores of a large pool are often alike. With `candidate_factor` the k picks are the highest of `factor * k`
    candidates drawn at random, as the learning loss was published.

    Args:
        candidate_factor: Pick among this many times as many candidates as are asked for, at least 1; None: among all.

    Raises:
        ValueError: The factor is no number of at least 1.

    Examples:
        >>> selection = SamplerUncertainty().select(Pool(("a", "b", "c"), scores=np.array([0.1, 0.9, 0.5])), 2)
        >>> selection.item_ids, selection.reasons[0]
        (('b', 'c'), 'score 0.9, 66th percentile')

    References:
        D. Lewis and W. Gale, 1994, arXiv:cmp-lg/9407020; for the random candidates D. Yoo and I. S. Kweon, 2019,
        arXiv:1905.03677.
    """

    method: ClassVar[str] = "UNCERTAINTY"
    candidate_factor: int | None = None

    def __post_init__(self) -> None:
        if self.candidate_factor is not None:
            object.__setattr__(self, "candidate_factor", checked_count(self.candidate_factor, "candidate_factor"))

    @property
    def needs_scores(self) -> bool:
        """Always."""
        return True

    def pick(self, pool: Pool, n_samples: int, rng: np.random.Generator, on_pick: Callable[[int], object]) -> Picks:
        """Sort by score."""
        assert pool.scores is not None
        candidates = pool.candidates
        if self.candidate_factor is not None:
            candidates = np.sort(shuffled_candidates(pool, rng)[: self.candidate_factor * n_samples])
        rows = highest_first(pool.scores, candidates)[:n_samples]
        on_pick(n_samples)
        return Picks(rows, pool.scores[rows], tuple(score_reasons(pool, rows)))


def highest_first(values: npt.NDArray[np.float64], rows: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """`rows`, which are ascending, by falling value; ties keep the lower row first."""
    return rows[np.argsort(-values[rows], kind="stable")]
