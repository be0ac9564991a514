"""MAX_HERDING and UHERDING: each pick is the candidate that makes the pool most similar to what is labeled or picked."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from .distances import Distances, Rows, blocks, check_metric, squared_distances, vectors_in
from .lazy_greedy import (
    FULL,
    LARGEST_WEIGHT,
    by_id,
    check_n_landmarks,
    check_positive,
    covered_by,
    covering_radius,
    draw_landmarks,
    greedy_cover,
    random_rest,
    tie_order,
)
from .pool import Pool, Vectors
from .reasons import in_words, score_reasons
from .sampler import Picks, Sampler

MOST_LABELED = 2048
"""UHERDING's radius comes from the distances of at most this many labeled items."""


@dataclass(frozen=True)
class SamplerMaxHerding(Sampler):
    """Each pick adds most to the mean similarity of the pool to what is labeled or picked.

    The gain of candidate x is the mean over the candidates u of `max(K(u, x) - max over labeled or picked l of K(u, l), 0)`
    with the Gaussian kernel `K(u, x) = exp(-|u - x|**2 / radius**2)`, without a factor 2, as in the paper. Candidates in
    dense regions come first, and outliers, which resemble nothing, last.

    The mean is taken over landmarks: all candidates where they are few, else a random sample of them, four for each labeled
    or picked item, at least 2,048 and at most 32,768. Kernel values are rounded to multiples of 2**-20 and, unless the pool
    is wider than about 16,000 radii, coordinates to a grid of at most radius / 256, so that gains are exact sums. Equal
    gains go to the candidate nearest to the pool's mean, then to the lower row. Candidates that add nothing come last,
    in random order. A smaller batch need not be the beginning of a larger one, as both landmarks and radius follow the
    batch.

    Time O(n u d) for u landmarks, in matrix products, memory O(n + u d) and for cosine the unit vectors.

    Args:
        radius: The kernel's, above 0; None: that of a ball which holds 1 of l + k parts of the landmarks, for l labeled
            items and k picks: for each landmark (for 1,024 random ones of many) the distance to the j-th nearest other
            one, j the number of landmarks / (l + k) rounded down, at least 1; and of these distances the middle one.
        metric: `euclidean`, or `cosine`: the Euclidean distance of the vectors divided by their lengths, none of which may
            be 0.
        n_landmarks: Number of landmarks, at most 32,768; None: as above.

    Raises:
        ValueError: An option is out of range.

    Examples:
        >>> vectors = np.array([[0.0], [1.0], [1.25], [1.5], [9.0]])
        >>> pool = Pool(("a", "b", "c", "d", "e"), np.arange(5) == 0, vectors=vectors)
        >>> selection = SamplerMaxHerding(radius=1).select(pool, 2)
        >>> selection.item_ids, selection.reasons[1]
        (('c', 'e'), 'adds 0.25 to the mean similarity of 4 items to what is labeled or picked')

    References:
        W. Bae, J. Noh and D. J. Sutherland, Generalized Coverage for More Robust Low-Budget Active Learning, 2024,
        arXiv:2407.12212.
    """

    method: ClassVar[str] = "MAX_HERDING"
    radius: float | None = None
    metric: str = "euclidean"
    n_landmarks: int | None = None

    def __post_init__(self) -> None:
        _check_options(self.radius, self.metric, self.n_landmarks)

    @property
    def needs_vectors(self) -> bool:
        """Always."""
        return True

    def pick(self, pool: Pool, n_samples: int, rng: np.random.Generator, on_pick: Callable[[int], object]) -> Picks:
        """Pick greedily by the similarity added."""
        vectors = vectors_in(pool, self.metric)
        n_items = len(pool.labeled) + n_samples
        landmarks = draw_landmarks(pool, pool.candidates, n_items, self.n_landmarks, rng)
        radius = covering_radius(vectors, landmarks, n_items, rng) if self.radius is None else float(self.radius)
        picks = _herd(pool, vectors, landmarks, np.ones(len(landmarks)), radius, n_samples, rng, on_pick)
        gains = picks.gains / (FULL * len(landmarks))
        kind = "items" if len(landmarks) == len(pool.candidates) else "sampled items"
        told = f"to the mean similarity of {len(landmarks):,} {kind} to what is labeled or picked"
        return Picks(picks.rows, gains, tuple(_reasons(gains, told, picks.reasons)))


@dataclass(frozen=True)
class SamplerUHerding(Sampler):
    """MAX_HERDING with every item weighted by its score: picks stand for many items that the model is unsure of.

    The gain of candidate x is the mean over the candidates u of `w(u) * max(K(u, x) - max over labeled or picked l of
    K(u, l), 0)` with the kernel of MAX_HERDING and w(u) the score of u, 0 or more. A labeled u would add nothing, since it
    is as similar to itself as can be, so that its score is not asked for. The radius shrinks while more is labeled: with few
    labels the batch is spread like MAX_HERDING's, with many it is that of UNCERTAINTY, each item standing for itself. The
    paper's weights are uncertainties of calibrated probabilities; calibrate before scoring.

    Landmarks, ties and what comes last are those of MAX_HERDING, with landmarks drawn from the candidates of positive score
    alone; scores are rounded to 2**-18 of the largest, a positive one never to 0.

    Time and memory as for MAX_HERDING.

    Args:
        radius: The kernel's, above 0; None: the smallest positive distance of two labeled items, as in the paper (of 2,048
            random ones where more are labeled), and while fewer than two different items are labeled MAX_HERDING's rule.
            Near duplicates among the labeled items make it tiny; give a number then.
        metric: `euclidean` or `cosine`, as for MAX_HERDING.
        n_landmarks: Number of landmarks, as for MAX_HERDING.

    Raises:
        ValueError: An option is out of range.

    Examples:
        >>> vectors = np.array([[0.0], [1.0], [1.25], [1.5], [9.0]])
        >>> scores = np.array([np.nan, 0.1, 0.1, 0.1, 0.4])
        >>> pool = Pool(("a", "b", "c", "d", "e"), np.arange(5) == 0, scores, vectors)
        >>> SamplerUHerding(radius=1).select(pool, 2).item_ids
        ('e', 'c')

    References:
        W. Bae, G. L. Oliveira and D. J. Sutherland, Uncertainty Herding: One Active Learning Method for All Label Budgets,
        2025, arXiv:2412.20644.
    """

    method: ClassVar[str] = "UHERDING"
    radius: float | None = None
    metric: str = "euclidean"
    n_landmarks: int | None = None

    def __post_init__(self) -> None:
        _check_options(self.radius, self.metric, self.n_landmarks)

    @property
    def needs_scores(self) -> bool:
        """Always."""
        return True

    @property
    def needs_vectors(self) -> bool:
        """Always."""
        return True

    def pick(self, pool: Pool, n_samples: int, rng: np.random.Generator, on_pick: Callable[[int], object]) -> Picks:
        """Pick greedily by the weighted similarity added."""
        assert pool.scores is not None
        scores, candidates = pool.scores, pool.candidates
        largest = float(scores[candidates].max())
        if scores[candidates].min() < 0:
            row = int(candidates[scores[candidates].argmin()])
            raise ValueError(
                f"{pool.score_name} of {pool.item_ids[row]!r} is {scores[row]:.6g}; UHERDING weighs by scores, which must "
                "be 0 or more: shift or rescale them, for example to [0, 1]"
            )
        vectors = vectors_in(pool, self.metric)
        n_items = len(pool.labeled) + n_samples
        worthy = candidates[scores[candidates] > 0]
        landmarks = draw_landmarks(pool, worthy, n_items, self.n_landmarks, rng)
        weights = np.maximum(1.0, np.rint(scores[landmarks] / largest * LARGEST_WEIGHT)) if len(landmarks) else np.empty(0)
        radius = self.radius
        if radius is None:
            radius = smallest_distance(vectors, by_id(pool, pool.labeled), rng) or covering_radius(
                vectors, landmarks, n_items, rng
            )
        picks = _herd(pool, vectors, landmarks, weights, float(radius), n_samples, rng, on_pick)
        share = len(worthy) / len(candidates)  # the others would add 0 to the mean
        gains = picks.gains / (FULL * LARGEST_WEIGHT * max(1, len(landmarks))) * share * largest
        kind = "items" if len(landmarks) == len(worthy) else "sampled items"
        told = f"to the similarity of {len(landmarks):,} {kind}, weighted by {pool.score_name}, to what is labeled or picked"
        scored = score_reasons(pool, picks.rows)
        added = _reasons(gains, told, picks.reasons)
        return Picks(picks.rows, gains, tuple(f"{score}; {reason}" for score, reason in zip(scored, added)))


def smallest_distance(vectors: Vectors, rows: Rows, rng: np.random.Generator) -> float:
    """The smallest positive distance of two of the rows, of `MOST_LABELED` random ones of many; 0 if there is none."""
    if len(rows) > MOST_LABELED:
        rows = rng.choice(rows, size=MOST_LABELED, replace=False, shuffle=False)
    smallest = np.inf
    for place in range(len(rows) - 1):
        squared = squared_distances(vectors, rows[place + 1 :], vectors[rows[place]].astype(np.float64))
        smallest = min(smallest, squared[squared > 0].min(initial=np.inf))
    return math.sqrt(smallest) if smallest < np.inf else 0.0


def _check_options(radius: float | None, metric: str, n_landmarks: int | None) -> None:
    check_positive(radius, "radius")
    check_metric(metric)
    check_n_landmarks(n_landmarks)


def _reasons(gains: Distances, told: str, rest: tuple[str, ...]) -> list[str]:
    added = [f"adds {in_words(gain)} {told}" for gain in gains[: len(gains) - len(rest)].tolist()]
    return [*added, *rest]


def _herd(
    pool: Pool,
    vectors: Vectors,
    landmarks: Rows,
    weights: Distances,
    radius: float,
    n_samples: int,
    rng: np.random.Generator,
    on_pick: Callable[[int], object],
) -> Picks:
    """Rows and gains in whole numbers, and the reasons of those last ones that add nothing."""
    rows, gains = np.empty(0, dtype=np.int64), np.empty(0)
    if len(landmarks):
        kernel = GaussianShares(vectors, landmarks, radius)
        rows, gains = greedy_cover(
            kernel,
            tie_order(pool, vectors),
            covered=covered_by(kernel, pool.labeled, len(landmarks)),
            weights=weights,
            n_samples=n_samples,
            on_pick=on_pick,
        )
    rest, reasons = random_rest(pool, rows, n_samples - len(rows), rng, on_pick)
    return Picks(np.concatenate((rows, rest)), np.concatenate((gains, np.zeros(len(rest)))), tuple(reasons))


class GaussianShares:
    """The kernel `exp(-|u - x|**2 / radius**2)` of rows x and landmarks u, in whole multiples of `1 / FULL`.

    Distances come from matrix products, which are exact: coordinates are whole multiples of a grid step, around the
    landmarks' median, with so few bits that no sum of products needs more than 53. Only where the pool is wider than about
    16,000 radii are they left unrounded, and the last bits of a distance to a far row can then depend on the machine.

    Args:
        vectors: `(n, d)` finite floats.
        landmarks: `(u,)` rows, at least one.
        radius: Above 0.

    Examples:
        >>> GaussianShares(np.array([[0.0], [1.0]]), np.array([0]), 1.0)(np.array([0, 1])) / FULL
        array([[1.        ],
               [0.36787987]])
    """

    def __init__(self, vectors: Vectors, landmarks: Rows, radius: float) -> None:
        n_dimensions = vectors.shape[1]
        self._vectors = vectors
        self._radius = radius
        self._centre: Distances = np.median(vectors[landmarks].astype(np.float64), axis=0)
        widest = max(float(np.abs(vectors[part] - self._centre).max()) for part in blocks(*vectors.shape))
        # |x|**2, |u|**2 and 2 xu of coordinates below 2**bits add up to at most 4 d 4**bits <= 2**53
        bits = math.floor((51 - math.log2(n_dimensions)) / 2)
        exponent = math.frexp(max(widest / radius, 1e-30))[1] if widest / radius < math.inf else 1024
        step_bits = min(16, bits - 1 - exponent)
        self._is_rounded = step_bits >= 8
        self._scale = 2.0 ** (step_bits if self._is_rounded else 0)
        points, norms = self._scaled(landmarks)
        self._right: Distances = np.empty((n_dimensions + 2, len(landmarks)))
        self._right[:-2] = 2 * points.T
        self._right[-2] = -1.0
        self._right[-1] = -norms
        self._right *= self._scale**-2  # a power of two

    def __call__(self, rows: Rows) -> npt.NDArray[np.float64]:
        """`(b, u)` whole numbers from 0 to `FULL`."""
        left = np.empty((len(rows), len(self._right)))
        left[:, :-2], left[:, -2] = self._scaled(rows)
        left[:, -1] = 1.0
        result: npt.NDArray[np.float64] = left @ self._right  # minus the squared distance in radii
        np.exp(result, out=result)
        result *= FULL
        np.rint(result, out=result)
        if not self._is_rounded:
            np.minimum(result, FULL, out=result)
        return result

    def _scaled(self, rows: Rows) -> tuple[Distances, npt.NDArray[Any]]:
        points = self._vectors[rows] - self._centre
        with np.errstate(over="ignore"):
            points /= self._radius
        points *= self._scale
        if self._is_rounded:
            np.rint(points, out=points)
        else:
            np.clip(points, -1e145, 1e145, out=points)  # squares must stay finite
        return points, np.einsum("ij,ij->i", points, points)
