"""Greedy cover of landmarks: each pick is the candidate that adds most to how well the landmarks are covered.

Every candidate x covers every landmark u by a share s(u, x), a whole number. With c(u) the largest share of what is labeled
or picked, a candidate's gain is

    sum over u of weight(u) * max(s(u, x) - c(u), 0).

Gains only fall while picks are made, so that a gain computed earlier is an upper bound, and a candidate is looked at again
only when its bound is the highest. Shares and weights are whole numbers and their sums stay below 2**53, so that every sum
is exact in any order, and neither laziness nor blocks nor threads can change a gain.

No matrix of all pairs is kept. Shares are computed in blocks, and as soon as few of them can still add anything, those few
are kept, at most about `PAIRS_PER_CANDIDATE` a candidate.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from .distances import Distances, Rows, blocks, mean_of, rough_squares, squared_distances
from .pool import Pool, Vectors
from .random_order import shuffled_candidates
from .sampler import checked_count

Shares = Callable[[Rows], npt.NDArray[np.floating[Any]]]
"""From `(b,)` rows of the pool to `(b, u)` shares, whole numbers from 0 to `FULL`, by which they cover the landmarks. The
array is new at every call."""

FULL = 2**20
"""The largest share."""
LARGEST_WEIGHT = 2**18
"""`FULL * LARGEST_WEIGHT * MOST_LANDMARKS` is 2**53, and below that float64 adds whole numbers without error."""
FEWEST_LANDMARKS = 2**11
MOST_LANDMARKS = 2**15
LANDMARKS_PER_ITEM = 4
"""2,000 landmarks are too few for 1,000 picks; four for each labeled or picked item are not."""
MOST_PROBES = 1024
PAIRS_PER_BLOCK = 1 << 18
PAIRS_PER_CANDIDATE = 128
FEWEST_PAIRS = 1 << 22
ACTIVE = 4096


def check_positive(value: object, name: str) -> None:
    """Raise unless `value` is None or a finite number above 0."""
    if value is None:
        return
    if isinstance(value, bool) or not isinstance(value, int | float | np.number) or not 0 < float(value) < math.inf:
        raise ValueError(f"{name} is {value!r}; expected a finite number above 0, or None")


def check_n_landmarks(value: object) -> None:
    """Raise unless `value` is None or a number of landmarks whose sums stay exact."""
    if value is not None and checked_count(value, "n_landmarks") > MOST_LANDMARKS:
        raise ValueError(f"n_landmarks is {value!r}; expected at most {MOST_LANDMARKS}, or None")


def by_id(pool: Pool, rows: Rows) -> Rows:
    """The rows sorted by item id, so that draws from them do not depend on the order of the pool."""
    return np.array(sorted(rows.tolist(), key=pool.item_ids.__getitem__), dtype=np.int64)


def draw_landmarks(pool: Pool, rows: Rows, n_items: int, n_landmarks: int | None, rng: np.random.Generator) -> Rows:
    """Some of the rows, by id: all where they are few, else a random sample that grows with the labeled and picked.

    Args:
        pool: The pool.
        rows: `(p,)` rows to draw from.
        n_items: How many are labeled or to be picked.
        n_landmarks: How many to draw; None: `LANDMARKS_PER_ITEM` for each of these items, between `FEWEST_LANDMARKS` and
            `MOST_LANDMARKS`.
        rng: Drawn from only where there are more rows than landmarks.
    """
    if n_landmarks is None:
        n_landmarks = min(MOST_LANDMARKS, max(FEWEST_LANDMARKS, LANDMARKS_PER_ITEM * n_items))
    rows = by_id(pool, rows)
    if len(rows) <= n_landmarks:
        return rows
    return rows[np.sort(rng.choice(len(rows), size=n_landmarks, replace=False, shuffle=False))]


def covering_radius(vectors: Vectors, landmarks: Rows, n_balls: int, rng: np.random.Generator) -> float:
    """The radius at which a ball around a typical landmark holds its share of the others, 1 of `n_balls`.

    For each landmark (for 1,024 random ones of many) take the distance to the j-th nearest other landmark, j the number of
    landmarks divided by `n_balls`, rounded down and at least 1; the radius is the middle one of these distances, the upper
    of two. Where that is 0 it is the smallest positive one, failing that the largest distance from the first landmark,
    failing that 1.

    Time O(p u d) for p probes and u landmarks, in matrix products; memory O(u d).
    """
    n = len(landmarks)
    if n < 2:
        return 1.0
    place = min(n - 1, max(1, n // n_balls))
    probes = np.arange(n)
    if n > MOST_PROBES:
        probes = np.sort(rng.choice(n, size=MOST_PROBES, replace=False, shuffle=False))
    neighbours = np.empty(len(probes), dtype=np.int64)
    for part, squared in rough_squares(vectors, landmarks, probes, PAIRS_PER_BLOCK):
        squared[np.arange(len(squared)), probes[part]] = -np.inf  # itself comes first
        neighbours[part] = np.argpartition(squared, place, axis=1)[:, place]
    found = np.sort(squared_distances(vectors, landmarks[probes], landmarks[neighbours]))
    middle = float(found[len(found) // 2])
    if middle == 0:
        positive = found[found > 0]
        far = squared_distances(vectors, landmarks, vectors[landmarks[0]].astype(np.float64)).max()
        middle = float(positive[0] if len(positive) else far if far > 0 else 1.0)
    return math.sqrt(middle)


def covered_by(shares: Shares, rows: Rows, n_landmarks: int) -> Distances:
    """`(u,)`: the largest share of any of the rows in each landmark, 0 without rows."""
    covered = np.zeros(n_landmarks)
    for part in blocks(len(rows), n_landmarks, PAIRS_PER_BLOCK):
        np.maximum(covered, shares(rows[part]).max(axis=0), out=covered)
    return covered


def tie_order(pool: Pool, vectors: Vectors) -> Rows:
    """The candidates from the one nearest to the pool's mean to the farthest, ties to the lower row."""
    candidates = pool.candidates
    return candidates[np.argsort(squared_distances(vectors, candidates, mean_of(vectors)), kind="stable")]


def greedy_cover(
    shares: Shares,
    order: Rows,
    *,
    covered: Distances,
    weights: Distances,
    n_samples: int,
    on_pick: Callable[[int], object],
) -> tuple[Rows, Distances]:
    """Pick greedily until enough is picked or no candidate adds anything.

    Args:
        shares: How much rows cover the landmarks.
        order: `(c,)` rows of the candidates; of equal gains the first in this order is picked.
        covered: `(u,)` shares already covered.
        weights: `(u,)` whole numbers from 1 to `LARGEST_WEIGHT`.
        n_samples: Number of picks, at most.
        on_pick: Called with 1 after each pick.

    Returns:
        The rows picked, at most `n_samples`, and the gain of each, a whole number.
    """
    cover = _Cover(shares, order, covered, weights)
    everything = np.arange(len(order))
    cover.keep_open_pairs()
    bounds = cover.gains(everything)
    fresh = np.zeros(len(order), dtype=np.int64)  # the number of picks when the bound was computed
    active = everything[:0]
    cut = np.inf
    rows: list[int] = []
    gains: list[float] = []
    while len(rows) < n_samples:
        n_looks = 64
        while True:
            values = bounds[active]
            # Bounds only fall: while the best active one is at or above the cut, none outside can beat it.
            if values.max(initial=0) < cut:
                positive = bounds[bounds > 0]
                if not len(positive):
                    return np.array(rows, dtype=np.int64), np.array(gains)
                cut = np.partition(positive, -ACTIVE)[-ACTIVE] if len(positive) > ACTIVE else positive.min()
                active = np.flatnonzero(bounds >= cut)
                continue
            best = int(values.argmax())
            is_stale = fresh[active] != len(rows)
            if not is_stale[best]:
                break
            floor = values[~is_stale].max(initial=0)
            wanted = np.flatnonzero(is_stale & (values >= floor))
            if len(wanted) > n_looks:
                wanted = np.sort(wanted[np.argsort(-values[wanted], kind="stable")[:n_looks]])
            looked = active[wanted]
            bounds[looked] = cover.gains(looked)
            fresh[looked] = len(rows)
            n_looks = min(2 * n_looks, ACTIVE)
        position = int(active[best])
        rows.append(int(order[position]))
        gains.append(float(bounds[position]))
        bounds[position] = -1.0
        cover.add(position)
        n_picks = len(rows)
        if (cover.is_dense or n_picks & (n_picks - 1) == 0) and cover.keep_open_pairs():
            left = np.flatnonzero(bounds > 0)
            bounds[left] = cover.gains(left)
            fresh[left] = n_picks
            cut = np.inf
        on_pick(1)
    return np.array(rows, dtype=np.int64), np.array(gains)


def random_rest(
    pool: Pool, rows: Rows, n_rest: int, rng: np.random.Generator, on_pick: Callable[[int], object]
) -> tuple[Rows, list[str]]:
    """What follows when no candidate adds anything: candidates drawn at random, as the farthest would mostly be outliers."""
    if not n_rest:
        return rows[:0], []
    is_taken = pool.is_labeled.copy()
    is_taken[rows] = True
    rest = shuffled_candidates(Pool(pool.item_ids, is_taken), rng)[:n_rest]
    on_pick(n_rest)
    return rest, ["adds nothing to what is covered; drawn at random"] * n_rest


class _Cover:
    """What is covered, and what each candidate would add to it."""

    def __init__(self, shares: Shares, order: Rows, covered: Distances, weights: Distances) -> None:
        self._shares = shares
        self._order = order
        self._covered = covered.astype(np.float64)
        self._weights = weights.astype(np.float64)
        # The open pairs, once they are few: candidate p has those from _starts[p] to _starts[p + 1].
        self._starts: Rows | None = None
        self._landmarks = np.empty(0, dtype=np.uint16)
        self._values = np.empty(0, dtype=np.float32)

    @property
    def is_dense(self) -> bool:
        """Whether open pairs are not kept yet."""
        return self._starts is None

    def gains(self, positions: Rows) -> Distances:
        """`(p,)` gains of candidates, whole numbers."""
        result = np.zeros(len(positions))
        if self._starts is None:
            for part in blocks(len(positions), len(self._covered), PAIRS_PER_BLOCK):
                block = self._shares(self._order[positions[part]])
                np.maximum(block, self._covered, out=block)
                result[part] = block @ self._weights
            result -= self._covered @ self._weights
            return result
        step = max(1, PAIRS_PER_BLOCK // PAIRS_PER_CANDIDATE)
        for start in range(0, len(positions), step):
            chosen = positions[start : start + step]
            counts = self._starts[chosen + 1] - self._starts[chosen]
            ends = np.cumsum(counts)
            pairs = np.arange(ends[-1]) + np.repeat(self._starts[chosen] - ends + counts, counts)
            landmarks = self._landmarks[pairs]
            more = self._values[pairs] - self._covered[landmarks]
            np.maximum(more, 0, out=more)
            more *= self._weights[landmarks]
            sums = np.concatenate(([0.0], np.cumsum(more)))  # whole numbers: exact
            result[start : start + step] = sums[ends] - sums[ends - counts]
        return result

    def add(self, position: int) -> None:
        """Count a candidate as picked."""
        if self._starts is None:
            row = self._shares(self._order[position : position + 1])[0]
            np.maximum(self._covered, row, out=self._covered)
            return
        pairs = slice(int(self._starts[position]), int(self._starts[position + 1]))
        landmarks = self._landmarks[pairs]
        self._covered[landmarks] = np.maximum(self._covered[landmarks], self._values[pairs])

    def keep_open_pairs(self) -> bool:
        """Keep the pairs that can still add something, if they are few enough; whether they were looked for just now."""
        n, n_landmarks = len(self._order), len(self._covered)
        if self._starts is not None:
            self._forget_closed_pairs(self._starts)
            return False
        sample = self._order[np.unique(np.linspace(0, n - 1, 256).astype(np.int64))]
        n_open = 0
        for part in blocks(len(sample), n_landmarks, PAIRS_PER_BLOCK):
            n_open += int(np.count_nonzero(self._shares(sample[part]) > self._covered))
        if n_open / len(sample) * n > max(FEWEST_PAIRS, PAIRS_PER_CANDIDATE * n):
            return False
        counts = np.zeros(n + 1, dtype=np.int64)
        landmarks: list[npt.NDArray[np.uint16]] = []
        values: list[npt.NDArray[np.float32]] = []
        for part in blocks(n, n_landmarks, PAIRS_PER_BLOCK):
            block = self._shares(self._order[part])
            is_open = block > self._covered
            counts[part.start + 1 : part.stop + 1] = np.count_nonzero(is_open, axis=1)
            places = np.flatnonzero(is_open)
            values.append(block.ravel()[places].astype(np.float32))
            landmarks.append((places % max(1, n_landmarks)).astype(np.uint16))
        self._starts = np.cumsum(counts)
        self._landmarks = np.concatenate(landmarks)
        self._values = np.concatenate(values)
        return True

    def _forget_closed_pairs(self, starts: Rows) -> None:
        is_open = self._values > self._covered[self._landmarks]
        before = np.concatenate(([0], np.cumsum(is_open)))
        self._starts = before[starts]
        self._landmarks = self._landmarks[is_open]
        self._values = self._values[is_open]
