"""BADGE: k-means++ seeding on the gradients that each item's own predicted label would give."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from .bald import checked_probabilities
from .distances import Distances, Rows, blocks, lane_sum, nearest_of_each
from .pool import Pool, Vectors
from .reasons import in_words
from .sampler import Picks, Sampler

# The two constants say how long distances may be out of date. They change which batch a seed gives, never how likely it is.
_PICKS_PER_UPDATE = 128
_DRAWS_PER_UPDATE = 1024

_PAIRS_PER_BLOCK = 1 << 19  # 2 MiB of float32 products; changes no pick
_DRAWS_PER_SUM = 256  # the running sum over all items is kept as sums over this many


@dataclass(frozen=True)
class SamplerBadge(Sampler):
    """Each pick is drawn with a chance proportional to its squared distance to the nearest pick, between gradients.

    The gradient of an item is that of the cross-entropy loss at the last layer, if the predicted class were its label:
    `g = (p - onehot(argmax p)) * h^T` of shape `(c, d)`, with class probabilities p and last-layer features h, the pool's
    vectors. Uncertain items have long gradients, and like items have like ones, so a batch is uncertain and diverse with
    nothing to tune. The first pick is the longest gradient, ties to the lower row, as in the authors' code; distances are
    Euclidean. The gain is the distance to the nearest pick at that time, of the first pick the length of its gradient. Once
    every distance is 0 the rest follows in ascending row order.

    Labeled items play no part, as in the paper: where the model is sure of what it has learned, gradients are short.

    The law is that of k-means++ exactly, and no matrix product decides: an item is proposed by an earlier, larger distance,
    and accepted with the chance that its distance, then computed in float64, has in the meantime.

    Time O(n k (c + d)) in float32 matrix products, memory O(n (c + d)): gradients of shape `(n, c d)` are never built.

    Raises:
        ValueError: At `select`, for probabilities that are not of shape `(n, c)`, or no probabilities.

    Examples:
        >>> pool = Pool(
        ...     ("a", "twin of a", "b"),
        ...     vectors=np.array([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]]),
        ...     probabilities=np.array([[0.5, 0.5], [0.5, 0.5], [0.75, 0.25]]),
        ... )
        >>> selection = SamplerBadge().select(pool, 2)
        >>> selection.item_ids, selection.reasons[0]
        (('a', 'b'), 'the longest gradient, 0.707')

    References:
        J. Ash, C. Zhang, A. Krishnamurthy, J. Langford and A. Agarwal, 2020, arXiv:1906.03671; D. Arthur and
        S. Vassilvitskii, k-means++, 2007, https://dl.acm.org/doi/10.5555/1283383.1283494.
    """

    method: ClassVar[str] = "BADGE"

    @property
    def needs_vectors(self) -> bool:
        """Always: the features before the last layer."""
        return True

    @property
    def needs_probabilities(self) -> bool:
        """Always: one class distribution for each item."""
        return True

    def pick(self, pool: Pool, n_samples: int, rng: np.random.Generator, on_pick: Callable[[int], object]) -> Picks:
        """Draw one at a time."""
        assert pool.vectors is not None
        probabilities = checked_probabilities(pool, self.method, n_axes=2)
        # The draw runs over the candidates sorted by id, so that the order of the pool does not matter.
        rows = np.array(sorted(pool.candidates.tolist(), key=pool.item_ids.__getitem__), dtype=np.int64)
        gradients = Gradients(pool.vectors, probabilities, rows)
        first = int(np.lexsort((rows, -gradients.lengths))[0])
        seeding = _Seeding(gradients, first)

        picked, gains = [first], [float(gradients.lengths[first])]
        reasons = [f"the longest gradient, {in_words(gains[0])}"]
        on_pick(1)
        while len(picked) < n_samples:
            place = seeding.draw(rng)
            if place is None:
                break
            gains.append(math.sqrt(seeding.squared[place]))
            nearest = pool.item_ids[int(rows[picked[seeding.nearest[place]]])]
            reasons.append(f"its gradient is {in_words(gains[-1])} from that of the nearest picked item, {nearest!r}")
            picked.append(place)
            seeding.add(place)
            on_pick(1)
        note = ""
        n_rest = n_samples - len(picked)
        if n_rest:
            is_left = np.ones(len(rows), dtype=bool)
            is_left[picked] = False
            order = np.argsort(rows[is_left])[:n_rest]
            picked.extend(np.flatnonzero(is_left)[order].tolist())
            gains.extend([0.0] * n_rest)
            reasons.extend(["its gradient is that of a picked item; in platform order"] * n_rest)
            note = f"only {n_samples - n_rest:,} of {n_samples:,} gradients differ; the rest is in platform order"
            on_pick(n_rest)
        return Picks(rows[picked], np.array(gains), tuple(reasons), note)


class Gradients:
    """The gradients `(p - onehot(argmax p)) * h^T` of some rows, as their factors.

    An item is held as `a * u^T` with a unit vector `u = h / |h|` and `a = (p - onehot) |h|`. For two of them

        |a u^T - b v^T|^2 = (|a - b|^2 |u + v|^2 + |a + b|^2 |u - v|^2) / 4,

    a sum of terms of 0 or more: nothing cancels, and gradients that are equal have distance 0 exactly.

    Args:
        features: `(n, d)` finite floats h.
        probabilities: `(n, c)`, or `(n, 1)` of the positive class of two.
        rows: `(m,)` rows to hold; what follows counts places in these.
    """

    def __init__(self, features: Vectors, probabilities: Vectors, rows: Rows) -> None:
        self._features = features
        self._probabilities = probabilities
        self._rows = rows
        self.n_classes = max(2, probabilities.shape[1])
        self.n_values = self.n_classes + features.shape[1]
        m = len(rows)
        self._units = np.empty((m, features.shape[1]), dtype=np.float32)
        self._sides = np.empty((m, self.n_classes), dtype=np.float32)
        self.lengths: Distances = np.empty(m)
        for part in blocks(m, self.n_values):
            sides, units = self.factors(np.arange(part.start, part.stop))
            self.lengths[part] = np.sqrt(_squares(sides))
            self._units[part] = units
        self.longest = float(self.lengths.max())
        scale = self.longest or 1.0
        for part in blocks(m, self.n_values):  # in float32 no longer than 1
            self._sides[part] = self.factors(np.arange(part.start, part.stop))[0] / scale

    def factors(self, places: Rows) -> tuple[Distances, Distances]:
        """`(q, c)` values of a and `(q, d)` of u, in float64."""
        rows = self._rows[places]
        features = self._features[rows].astype(np.float64)
        # A power of two changes no direction, and lets all be squared; the unit vector of zero may be any.
        exponents = np.frexp(np.abs(features).max(axis=1))[1]
        features = np.ldexp(features, -exponents[:, None])
        norms = np.sqrt(_squares(features))
        is_zero = norms == 0
        features[is_zero, 0] = 1.0
        units = features / np.where(is_zero, 1.0, norms)[:, None]
        sides = self._probabilities[rows].astype(np.float64)
        if sides.shape[1] == 1:
            sides = np.concatenate([1 - sides, sides], axis=1)
        sides[np.arange(len(rows)), sides.argmax(axis=1)] -= 1.0
        return sides * np.ldexp(norms, exponents)[:, None], units

    def squared(self, places: Rows, others: Rows) -> Distances:
        """The squared distance pair by pair, of `(q,)` places and as many or one of others."""
        result = np.empty(max(len(places), len(others)))
        places, others = np.broadcast_to(places, len(result)), np.broadcast_to(others, len(result))
        for part in blocks(len(result), self.n_values):
            (a, u), (b, v) = self.factors(places[part]), self.factors(others[part])
            result[part] = (_squares(a - b) * _squares(u + v) + _squares(a + b) * _squares(u - v)) / 4
        return result

    def nearer(self, places: Rows, others: Rows, limits: Distances) -> tuple[Rows, Rows]:
        """Pairs that may be nearer than the limit of their place, by float32 products with a bound on their error.

        Args:
            places: `(q,)` places.
            others: `(o,)` places.
            limits: `(q,)` squared distances.

        Returns:
            Indices into places, ascending, and into others: of each place at least the nearest other, if it is nearer than
            the limit.
        """
        # A float32 product of unit vectors errs by at most d 2**-24, that of a and b by c 2**-24 |a| |b|, rounding the
        # factors by 2**-24 each; |a| |b| is at most the mean of the squares. Four times that is allowed for, and 1e-37 for
        # what is too small for float32.
        scale = self.longest or 1.0
        products = self._sides[places] @ self._sides[others].T
        products *= self._units[places] @ self._units[others].T
        products *= np.float32(-2)
        here, there = (self.lengths[places] / scale) ** 2, (self.lengths[others] / scale) ** 2
        slack = 4 * (self.n_values + 16) * 2.0**-24
        products += there.astype(np.float32)  # now the squared distance less that of the place
        error = slack * (here + there.max()) + 1e-37
        bound = np.minimum(limits / scale / scale - here, products.min(axis=1) + error) + error
        is_near = products <= bound.astype(np.float32)[:, None]
        row, column = np.nonzero(is_near)
        return row, column


class _Seeding:
    """The squared distance of every place to its nearest center, some out of date and too large."""

    def __init__(self, gradients: Gradients, first: int) -> None:
        n = len(gradients.lengths)
        self._gradients = gradients
        self._centers = [first]
        self._n_draws = 0
        self._n_missed = 0  # centers that only the places drawn since have met
        self.squared = gradients.squared(np.arange(n), np.array([first]))
        self.squared[first] = 0.0
        self.nearest = np.zeros(n, dtype=np.int64)
        self._sums = np.array([_last_sum(self.squared[part]) for part in blocks(n, 1, _DRAWS_PER_SUM)])

    def add(self, place: int) -> None:
        """Make a place a center."""
        self._centers.append(place)
        self._n_missed += 1
        self._set(place, 0.0)

    def draw(self, rng: np.random.Generator) -> int | None:
        """A place by its squared distance, which is then up to date; None when all are 0."""
        while True:
            if self._n_missed >= _PICKS_PER_UPDATE or (self._n_missed and self._n_draws >= _DRAWS_PER_UPDATE):
                self._update()
            place = self._propose(rng)
            if place is None:
                return None
            self._n_draws += 1
            old = float(self.squared[place])
            self._meet(place)
            if rng.random() * old < self.squared[place]:
                return place

    def _propose(self, rng: np.random.Generator) -> int | None:
        sums = np.add.accumulate(self._sums)
        total = float(sums[-1])
        if total <= 0:
            return None
        block = _chosen(sums, rng.random() * total)
        start = block * _DRAWS_PER_SUM
        values = np.add.accumulate(self.squared[start : start + _DRAWS_PER_SUM])
        return start + _chosen(values, rng.random() * float(values[-1]))

    def _meet(self, place: int) -> None:
        """Compare a place with the centers it may have missed."""
        if not self._n_missed or self.squared[place] == 0:
            return
        missed = np.array(self._centers[-self._n_missed :])
        found = self._gradients.squared(np.array([place]), missed)
        best = int(found.argmin())
        if found[best] < self.squared[place]:
            self.nearest[place] = len(self._centers) - self._n_missed + best
            self._set(place, float(found[best]))

    def _set(self, place: int, value: float) -> None:
        self.squared[place] = value
        block = place // _DRAWS_PER_SUM
        self._sums[block] = _last_sum(self.squared[block * _DRAWS_PER_SUM : (block + 1) * _DRAWS_PER_SUM])

    def _update(self) -> None:
        """Let every place meet the missed centers."""
        number = len(self._centers) - self._n_missed
        missed = np.array(self._centers[number:])
        open_places = np.flatnonzero(self.squared > 0)
        for part in blocks(len(open_places), max(len(missed), self._gradients.n_values), _PAIRS_PER_BLOCK):
            places = open_places[part]
            row, column = self._gradients.nearer(places, missed, self.squared[places])
            found = self._gradients.squared(places[row], missed[column])
            row, column, found = nearest_of_each(row, column, found)
            is_nearer = found < self.squared[places[row]]
            nearer = places[row[is_nearer]]
            self.squared[nearer] = found[is_nearer]
            self.nearest[nearer] = number + column[is_nearer]
        self._sums = np.array([_last_sum(self.squared[part]) for part in blocks(len(self.squared), 1, _DRAWS_PER_SUM)])
        self._n_missed = self._n_draws = 0


def _squares(values: npt.NDArray[np.float64]) -> Distances:
    """The squared length of each row, added up in one fixed order."""
    return lane_sum(np.square(values.T, order="C"))


def _last_sum(values: Distances) -> float:
    return float(np.add.accumulate(values)[-1])


def _chosen(sums: Distances, target: float) -> int:
    """The first index whose running sum is above the target, or, where rounding left none, the last that added anything."""
    index = int(np.searchsorted(sums, target, side="right"))
    return index if index < len(sums) else int(np.searchsorted(sums, sums[-1], side="left"))
