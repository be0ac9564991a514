"""Signs that more labels change little, which need no test set."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from samplers.sampler import checked_count
from scorers.checks import as_floats, as_numbers, check_finite, row_blocks

SETTLED_KAPPA = 0.99
SETTLED_ROUNDS = 3
_ROUNDING = 1e-12


@dataclass(frozen=True)
class Stability:
    """How alike the predictions of two rounds are.

    Args:
        n_items: Items that both rounds predicted.
        share_same: Share of them whose predicted class stayed, in `[0, 1]`.
        kappa: Cohen's kappa, at most 1: agreement beyond that of chance; NaN where both rounds predict one class alone.
    """

    n_items: int
    share_same: float
    kappa: float


def prediction_stability(previous: Mapping[str, Hashable], current: Mapping[str, Hashable]) -> Stability:
    """Compare the predicted classes of two rounds, on the items that both predicted.

    `kappa = (p - e) / (1 - e)`, with p the share of items that stayed, and e the share expected if the two rounds drew their
    classes independently, each as often as it predicted them.

    Args:
        previous: Item id to predicted class in the round before.
        current: The same in this round. Give a fixed set of a few thousand items: what is left of a pool from which the
            unsure ones were taken looks more stable than it is.

    Raises:
        ValueError: No item stands in both.

    Examples:
        >>> before = {"a.jpg": "cat", "b.jpg": "dog", "c.jpg": "cat", "d.jpg": "dog"}
        >>> prediction_stability(before, before | {"d.jpg": "cat"})
        Stability(n_items=4, share_same=0.75, kappa=0.5)

    References:
        J. Cohen, A Coefficient of Agreement for Nominal Scales, 1960, doi:10.1177/001316446002000104;
        M. Bloodgood and K. Vijay-Shanker, A Method for Stopping Active Learning Based on Stabilizing Predictions and the
        Need for User-Adjustable Stopping, CoNLL 2009, arXiv:1409.5165.
    """
    shared = [item_id for item_id in current if item_id in previous]
    if not shared:
        raise ValueError(
            f"none of the {len(current)} items of this round stands among the {len(previous)} of the round before; predict "
            "the same items every round"
        )
    n = len(shared)
    before, now = Counter(previous[one] for one in shared), Counter(current[one] for one in shared)
    n_same = sum(previous[one] == current[one] for one in shared)
    by_chance = sum(count * before[name] for name, count in now.items())  # of n * n
    kappa = (n * n_same - by_chance) / (n * n - by_chance) if by_chance < n * n else float("nan")
    return Stability(n, n_same / n, kappa)


def has_settled(kappas: Sequence[float], *, least: float = SETTLED_KAPPA, n_rounds: int = SETTLED_ROUNDS) -> bool:
    """Whether the mean kappa of the last rounds is at least 0.99: predictions have settled.

    Args:
        kappas: One for each pair of successive rounds so far, the latest last.
        least: The mean to reach. Lower stops earlier.
        n_rounds: How many of the last ones are averaged; with fewer, and with NaN among them, nothing has settled.

    Examples:
        >>> has_settled([0.7, 0.99, 0.985, 0.998]), has_settled([0.999, 0.999])
        (True, False)

    References:
        M. Bloodgood and K. Vijay-Shanker, 2009, arXiv:1409.5165, of both defaults.
    """
    last = list(kappas)[-checked_count(n_rounds, "n_rounds") :]
    return len(last) == n_rounds and float(np.mean(last)) >= least - _ROUNDING


@dataclass(frozen=True)
class Coverage:
    """How far items are from the nearest labeled one, on average, before and after a batch.

    Args:
        before: Mean distance before the batch.
        now: Mean distance after it.
    """

    before: float
    now: float

    @property
    def gain(self) -> float:
        """The decrease, 0 or more."""
        return self.before - self.now

    @property
    def relative_gain(self) -> float:
        """The decrease as a share of the distance before; 0 where nothing was left to cover."""
        return self.gain / self.before if self.before else 0.0


def coverage_gain(vectors: npt.ArrayLike, labeled: npt.ArrayLike, batch: npt.ArrayLike) -> Coverage:
    """By how much a batch brings the items nearer to what is labeled: mean over items of the distance to the nearest.

    Time O(n m d) for m labeled items, memory in blocks.

    Args:
        vectors: `(n, d)` one for each item, labeled or not; Euclidean distances.
        labeled: `(m,)` rows that were labeled before the batch, one or more.
        batch: `(k,)` rows of the batch.

    Raises:
        ValueError: No labeled rows, a row that does not exist, or a vector that is not finite.

    Examples:
        >>> found = coverage_gain([[0.0], [1.0], [4.0], [5.0]], labeled=[0], batch=[2])
        >>> found, found.gain
        (Coverage(before=2.5, now=0.5), 2.0)
    """
    points = as_floats(vectors, "vectors", "(n, d)")
    check_finite(points, "vectors", lambda row: f"row {row}")
    old, new = _checked_rows(labeled, "labeled", len(points)), _checked_rows(batch, "batch", len(points))
    if not len(old):
        raise ValueError("labeled is empty; expected the rows labeled before the batch, one or more")
    before = _nearest(points, points[old])
    now = np.minimum(before, _nearest(points, points[new])) if len(new) else before
    return Coverage(float(before.mean()), float(now.mean()))


def _nearest(points: npt.NDArray[np.floating], others: npt.NDArray[np.floating]) -> npt.NDArray[np.float64]:
    from scipy.spatial.distance import cdist  # type: ignore[import-untyped]  # slow to load  # noqa: PLC0415

    result = np.empty(len(points))
    for rows in row_blocks(len(points), len(others)):
        result[rows] = cdist(points[rows], others).min(axis=1)
    return result


def _checked_rows(rows: npt.ArrayLike, name: str, n_items: int) -> npt.NDArray[np.int64]:
    found = as_numbers(rows, name, "(k,)")
    if not len(found):
        return np.empty(0, dtype=np.int64)
    if found.dtype.kind not in "iu":
        raise ValueError(f"{name} holds values of type {found.dtype}; expected whole numbers of rows")
    is_bad = (found < 0) | (found >= n_items)
    if is_bad.any():
        raise ValueError(f"{name} has row {int(found[is_bad][0])}; expected rows from 0 to {n_items - 1}")
    return found.astype(np.int64)
