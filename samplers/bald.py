"""BALD: the items on which the members of a committee disagree most, one by one or as a batch."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from .distances import Rows, blocks
from .pool import Pool, Vectors
from .reasons import in_words
from .sampler import Picks, Sampler, checked_count

Floats = npt.NDArray[np.float64]

_TIE = 1e-9  # nats; gains no further apart are ties, so that no rounding of a matrix product decides
_ITEMS_PER_BLOCK = 64
_VALUES_PER_BLOCK = 1 << 19
_ROW_SUM_TOLERANCE = 4e-3  # twice the worst rounding of bfloat16
_KNOWN_SHARE = 0.99


def mutual_information(probabilities: npt.NDArray[np.floating[Any]]) -> Floats:
    """How much an item's label would tell about which member is right: `H(mean_t p) - mean_t H(p)`, in nats.

    It is high where every member is sure and they disagree, and 0 where all say the same, be it unsure.

    Args:
        probabilities: `(n, t, c)` class probabilities of t members of a committee, or of t stochastic passes; `(n, t, 1)`
            holds the positive class of two.

    Returns:
        `(n,)` float64, from 0 to `log(min(t, c))`.

    Raises:
        ValueError: Another number of dimensions.

    Examples:
        >>> agree, disagree = [[0.5, 0.5], [0.5, 0.5]], [[1.0, 0.0], [0.0, 1.0]]
        >>> mutual_information(np.array([agree, disagree])).round(4).tolist()
        [0.0, 0.6931]

    References:
        N. Houlsby, F. Huszár, Z. Ghahramani and M. Lengyel, 2011, arXiv:1112.5745.
    """
    if probabilities.ndim != 3:
        raise ValueError(f"probabilities has shape {probabilities.shape}; expected (n, t, c): items, members, classes")
    result = np.empty(len(probabilities))
    for part in blocks(len(probabilities), int(np.prod(probabilities.shape[1:]))):
        values = _as_distributions(probabilities[part])
        result[part] = _entropies(values.mean(axis=1)) - _entropies(values).mean(axis=1)
    return np.maximum(result, 0.0)


@dataclass(frozen=True)
class SamplerBald(Sampler):
    """The items with the highest mutual information between their label and the model, ties to the lower row.

    The gain of a pick is its `mutual_information` in nats. Look-alikes come together, as each item is judged alone;
    BATCH_BALD judges them as a batch. Time O(n t c + n log n).

    Raises:
        ValueError: At `select`, for probabilities that are not of shape `(n, t, c)` with t of at least 2.

    Examples:
        >>> agree, disagree = [[0.5, 0.5], [0.5, 0.5]], [[1.0, 0.0], [0.0, 1.0]]
        >>> selection = SamplerBald().select(Pool(("a", "b"), probabilities=np.array([agree, disagree])), 1)
        >>> selection.item_ids, selection.reasons
        (('b',), ('its label would tell 0.693 nats about which of 2 members is right',))

    References:
        N. Houlsby, F. Huszár, Z. Ghahramani and M. Lengyel, 2011, arXiv:1112.5745; Y. Gal, R. Islam and Z. Ghahramani,
        2017, arXiv:1703.02910.
    """

    method: ClassVar[str] = "BALD"

    @property
    def needs_probabilities(self) -> bool:
        """Always: of at least two members for each item."""
        return True

    def pick(self, pool: Pool, n_samples: int, rng: np.random.Generator, on_pick: Callable[[int], object]) -> Picks:
        """Take the highest."""
        rows, gains = most_informative(pool, self.method, n_samples)
        on_pick(n_samples)
        assert pool.probabilities is not None
        n_members = pool.probabilities.shape[1]
        reasons = (
            f"its label would tell {in_words(gain)} nats about which of {n_members} members is right"
            for gain in gains.tolist()
        )
        return Picks(rows, gains, tuple(reasons))


@dataclass(frozen=True)
class SamplerBatchBald(Sampler):
    """Greedy on the mutual information between the labels of the whole batch and the model.

    Each pick is the item whose label would tell most about which of t members is right, once the labels of the items picked
    before are known; that is its gain, in nats. A look-alike of a pick tells little more and is passed over. The first pick
    is BALD's, and ties, gains within 1e-9, go to the higher BALD score and then to the lower row.

    While there are few enough of them, all joint labels of the batch are enumerated and gains are exact; beyond that joint
    labels are drawn from the members in equal shares, and gains are estimates. t members cannot be told apart by more than
    `log t` nats: a batch that has told nearly all of it says so in its note, and what follows is hardly better than BALD.
    Give more members rather than larger batches.

    An item's gain never rises as the batch grows, so only items whose last known gain is above the best are looked at
    again. For drawn labels that is true on average only, and a part of the estimate.

    Time O(k s m t c) at worst, for k picks, a shortlist of s and m joint labels, mostly far less; memory O(m t + n).

    Args:
        shortlist: Consider this many items of the highest BALD scores, and no fewer than are picked.
        max_configurations: Enumerate joint labels up to this many, c to the power of the picks made; beyond it, draw about
            this many.

    Raises:
        ValueError: An option is out of range; at `select`, as for BALD.

    Examples:
        >>> first, second = [[0.9, 0.1], [0.1, 0.9], [0.9, 0.1]], [[0.8, 0.2], [0.8, 0.2], [0.2, 0.8]]
        >>> pool = Pool(("a", "twin of a", "b"), probabilities=np.array([first, first, second]))
        >>> SamplerBatchBald().select(pool, 2).item_ids, SamplerBald().select(pool, 2).item_ids
        (('a', 'b'), ('a', 'twin of a'))

    References:
        A. Kirsch, J. van Amersfoort and Y. Gal, 2019, arXiv:1906.08158.
    """

    method: ClassVar[str] = "BATCH_BALD"
    shortlist: int = 1000
    max_configurations: int = 2000

    def __post_init__(self) -> None:
        checked_count(self.shortlist, "shortlist")
        checked_count(self.max_configurations, "max_configurations")

    @property
    def needs_probabilities(self) -> bool:
        """Always: of at least two members for each item."""
        return True

    def pick(self, pool: Pool, n_samples: int, rng: np.random.Generator, on_pick: Callable[[int], object]) -> Picks:
        """Pick greedily from the shortlist."""
        rows, scores = most_informative(pool, self.method, max(self.shortlist, n_samples))
        assert pool.probabilities is not None
        items = _as_distributions(pool.probabilities[rows])
        n_members = items.shape[1]
        labels = _JointLabels(n_members)
        own = _entropies(items)  # (s, t)
        bounds = scores.copy()
        is_open = np.ones(len(rows), dtype=bool)
        picked: list[int] = []
        gains: list[float] = []
        reasons: list[str] = []
        told, note = 0.0, ""
        for number in range(n_samples):
            best = _best(labels, items, own, bounds, is_open) if number else 0
            gain = max(0.0, float(bounds[best]))
            picked.append(best)
            gains.append(gain)
            is_open[best] = False
            how = "" if not labels.is_drawn else "about "
            after = "" if not number else f", the labels of the {number:,} picked before being known"
            reasons.append(
                f"its label would tell {how}{in_words(gain)} nats about which of {n_members} members is right{after}"
            )
            told += gain
            if not note and told >= _KNOWN_SHARE * math.log(n_members) and number + 1 < n_samples:
                note = (
                    f"{number + 1:,} labels tell {n_members} members apart almost surely; the picks after them are hardly "
                    "better than BALD's, and more members would make them so"
                )
            if number + 1 < n_samples:
                labels.extend(items, picked, self.max_configurations, rng)
            on_pick(1)
        return Picks(rows[picked], np.array(gains), tuple(reasons), note)


class _JointLabels:
    """Joint labels of the picks: how likely each is, and what it says of the members.

    `weights` is `(m,)` and sums to 1, `posteriors` is `(m, t)`, each row a distribution over the members.
    """

    def __init__(self, n_members: int) -> None:
        self.weights = np.ones(1)
        self.posteriors = np.full((1, n_members), 1 / n_members)
        self.is_drawn = False
        self._members = np.empty(0, dtype=np.int64)  # that each row's labels are drawn from

    def extend(self, items: Floats, picked: list[int], limit: int, rng: np.random.Generator) -> None:
        """Add the label of the last of the picked among `(s, t, c)` items."""
        _, n_members, n_classes = items.shape
        last = items[picked[-1]]
        if not self.is_drawn and len(self.weights) * n_classes > limit:
            self.is_drawn = True
            m = max(1, limit // n_members) * n_members
            self._members = np.arange(m) % n_members
            self.weights = np.full(m, 1 / m)
            self.posteriors = np.full((m, n_members), 1 / n_members)
            for place in picked:
                self._draw(items[place], rng)
        elif self.is_drawn:
            self._draw(last, rng)
        else:
            joint = self.weights[:, None, None] * self.posteriors[:, None, :] * last.T  # (m, c, t)
            joint = joint.reshape(-1, n_members)
            weights = joint.sum(axis=1)
            joint, weights = joint[weights > 0], weights[weights > 0]
            self.weights, self.posteriors = weights / weights.sum(), joint / weights[:, None]

    def _draw(self, pick: Floats, rng: np.random.Generator) -> None:
        """Draw a label for each row from its member, and learn of the members from it."""
        sums = np.add.accumulate(pick, axis=1)[self._members]
        label = (sums <= rng.random(len(sums))[:, None] * sums[:, -1:]).sum(axis=1)
        label = np.minimum(label, pick.shape[1] - 1)
        posteriors = self.posteriors * pick.T[label]
        sums = posteriors.sum(axis=1, keepdims=True)
        # a label of chance 0, which rounding can draw, or one whose chance is below the range of numbers, says nothing
        self.posteriors = np.where(sums > 0, posteriors / np.where(sums > 0, sums, 1.0), self.posteriors)

    def gains(self, items: Floats, own: Floats) -> Floats:
        """The mutual information `(b,)` of each item's label and the member, averaged over the joint labels.

        Args:
            items: `(b, t, c)` class probabilities.
            own: `(b, t)` their entropies.
        """
        b, n_members, n_classes = items.shape
        columns = np.ascontiguousarray(items.transpose(1, 0, 2)).reshape(n_members, b * n_classes)
        total = np.zeros(b * n_classes)
        for part in blocks(len(self.weights), b * n_classes, _VALUES_PER_BLOCK):
            chances = self.posteriors[part] @ columns
            chances *= -np.log(chances + np.finfo(np.float64).tiny)
            total += self.weights[part] @ chances
        result: Floats = total.reshape(b, n_classes).sum(axis=1) - own @ (self.weights @ self.posteriors)
        return result


def _best(labels: _JointLabels, items: Floats, own: Floats, bounds: Floats, is_open: npt.NDArray[np.bool_]) -> int:
    """The open item of the highest gain, ties to the first; `bounds` is brought up to date as far as that needs."""
    left = np.flatnonzero(is_open)
    if bounds[left].max() <= _TIE:
        return int(left[0])
    left = left[np.argsort(-bounds[left], kind="stable")]
    best = -np.inf
    n_known = 0
    while n_known < len(left) and bounds[left[n_known]] >= best - _TIE:
        block = left[n_known : n_known + _ITEMS_PER_BLOCK]
        bounds[block] = labels.gains(items[block], own[block])
        best = max(best, float(bounds[block].max()))
        n_known += len(block)
    known = np.sort(left[:n_known])
    return int(known[bounds[known] >= best - _TIE][0])


def most_informative(pool: Pool, method: str, n_wanted: int) -> tuple[Rows, Floats]:
    """Up to `n_wanted` candidates of the highest mutual information, highest first and ties to the lower row, and theirs."""
    probabilities = checked_probabilities(pool, method, n_axes=3)
    candidates = pool.candidates
    scores = np.empty(len(candidates))
    for part in blocks(len(candidates), int(np.prod(probabilities.shape[1:]))):
        scores[part] = mutual_information(probabilities[candidates[part]])
    order = np.argsort(-scores, kind="stable")[:n_wanted]
    return candidates[order], scores[order]


def checked_probabilities(pool: Pool, method: str, *, n_axes: int) -> Vectors:
    """The pool's probabilities, `(n, c)` for 2 axes, which for a committee is the mean of its members, or `(n, t, c)` for 3.

    Raises:
        ValueError: They have another shape, fewer than two members, or a candidate's are no
            distribution.
    """
    shapes = {2: "(n, c): one class distribution for each item", 3: "(n, t, c): of t members of a committee, at least 2"}
    probabilities = pool.probabilities
    assert probabilities is not None
    if n_axes == 2 and probabilities.ndim == 3:
        probabilities = probabilities.mean(axis=1, dtype=np.float64)
    if probabilities.ndim != n_axes or 0 in probabilities.shape[1:] or (n_axes == 3 and probabilities.shape[1] < 2):
        raise ValueError(f"probabilities has shape {probabilities.shape}; {method} expects {shapes[n_axes]}")
    candidates = pool.candidates
    for part in blocks(len(candidates), int(np.prod(probabilities.shape[1:]))):
        values = probabilities[candidates[part]]
        sums = values.sum(axis=-1, dtype=np.float64)
        is_good = (values >= 0).all(axis=-1) & (sums <= 1 + _ROW_SUM_TOLERANCE)
        if values.shape[-1] > 1:
            is_good &= sums >= 1 - _ROW_SUM_TOLERANCE
        if not is_good.all():
            place = np.flatnonzero(~is_good.reshape(len(values), -1).all(axis=1))[0]
            raise ValueError(
                f"the class probabilities of {pool.item_ids[int(candidates[part][place])]!r} are no distribution; expected "
                "numbers of 0 or more that sum to 1: if these are logits, take their softmax"
            )
    return probabilities


def _as_distributions(probabilities: Vectors) -> Floats:
    """`(n, t, c)` in float64, each row summing to 1; one column becomes the two of its choice."""
    values = probabilities.astype(np.float64)
    if values.shape[-1] == 1:
        values = np.concatenate([1 - values, values], axis=-1)
    values = np.maximum(values, 0.0)
    result: Floats = values / values.sum(axis=-1, keepdims=True)
    return result


def _entropies(distributions: Floats) -> Floats:
    """Shannon's entropy in nats over the last axis, with `0 log 0 = 0`."""
    result: Floats = -(distributions * np.log(distributions + np.finfo(np.float64).tiny)).sum(axis=-1)
    return result
