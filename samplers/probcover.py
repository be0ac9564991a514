"""PROBCOVER: each pick is the candidate whose ball covers most of what no labeled or picked ball covers yet."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from .distances import Distances, Rows, blocks, check_metric, squared_distances, unit_scale, vectors_in
from .lazy_greedy import (
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
from .reasons import in_words
from .sampler import Picks, Sampler


@dataclass(frozen=True)
class SamplerProbCover(Sampler):
    """Each pick covers most items within `delta` of it that nothing labeled or picked covers; their number is its gain.

    An item is covered by a labeled or picked item at a distance of at most delta, the boundary included, in float64. What is
    to be covered are landmarks: all candidates where they are few, else a random sample of them, four for each labeled or
    picked item, at least 2,048 and at most 32,768. Equal gains go to the candidate nearest to the pool's mean, then to the
    lower row. When nothing is left that a pick could cover, the rest is drawn at random. A smaller batch need
    not be the beginning of a larger one, as both landmarks and delta follow the batch.

    The batch depends much on delta. The paper chooses the largest delta at which 95% of the balls hold a single class of a
    clustering; without one the default here takes the size of the batch instead of the purity of the balls.

    Time O(n u d) for u landmarks, in matrix products, memory O(n + u d) and for cosine the unit vectors.

    Args:
        delta: Radius of the balls, above 0; None: that of a ball which holds 1 of l + k parts of the landmarks, for l
            labeled items and k picks: for each landmark (for 1,024 random ones of many) the distance to the j-th nearest
            other one, j the number of landmarks / (l + k) rounded down, at least 1; and of these distances the middle
            one.
        metric: `euclidean`, or `cosine`: the Euclidean distance of the vectors divided by their lengths, none of which may
            be 0; then delta**2 is `2 (1 - cos)`.
        n_landmarks: Number of landmarks, at most 32,768; None: as above.

    Raises:
        ValueError: An option is out of range.

    Examples:
        >>> vectors = np.array([[0.0], [1.0], [2.0], [3.0], [9.0]])
        >>> pool = Pool(("a", "b", "c", "d", "e"), np.arange(5) == 0, vectors=vectors)
        >>> selection = SamplerProbCover(delta=1).select(pool, 2)
        >>> selection.item_ids, selection.gains.tolist(), selection.reasons[0]
        (('d', 'e'), [2.0, 1.0], 'covers 2 more of 4 items, those within 1')

    References:
        O. Yehuda, A. Dekel, G. Hacohen and D. Weinshall, Active Learning Through a Covering Lens, 2022, arXiv:2205.11320.
    """

    method: ClassVar[str] = "PROBCOVER"
    delta: float | None = None
    metric: str = "euclidean"
    n_landmarks: int | None = None

    def __post_init__(self) -> None:
        check_positive(self.delta, "delta")
        check_metric(self.metric)
        check_n_landmarks(self.n_landmarks)

    @property
    def needs_vectors(self) -> bool:
        """Always."""
        return True

    def pick(self, pool: Pool, n_samples: int, rng: np.random.Generator, on_pick: Callable[[int], object]) -> Picks:
        """Pick greedily by the number of landmarks covered."""
        vectors = vectors_in(pool, self.metric)
        n_items = len(pool.labeled) + n_samples
        landmarks = draw_landmarks(pool, pool.candidates, n_items, self.n_landmarks, rng)
        delta = covering_radius(vectors, landmarks, n_items, rng) if self.delta is None else float(self.delta)
        balls = BallShares(vectors, landmarks, delta)
        rows, gains = greedy_cover(
            balls,
            tie_order(pool, vectors),
            covered=covered_by(balls, pool.labeled, len(landmarks)),
            weights=np.ones(len(landmarks)),
            n_samples=n_samples,
            on_pick=on_pick,
        )
        kind = "items" if len(landmarks) == len(pool.candidates) else "sampled items"
        told = f"more of {len(landmarks):,} {kind}, those within {in_words(delta)}"
        reasons = [f"covers {int(gain):,} {told}" for gain in gains.tolist()]
        rest, more = random_rest(pool, rows, n_samples - len(rows), rng, on_pick)
        gains = np.concatenate((gains, np.zeros(len(rest))))
        return Picks(np.concatenate((rows, rest)), gains, tuple(reasons + more))


class BallShares:
    """1 where a row is within `delta` of a landmark, else 0.

    Matrix products decide all pairs but those within a proven bound on their error of delta; of these `squared_distances`
    decides.

    Args:
        vectors: `(n, d)` finite floats.
        landmarks: `(u,)` rows, at least one.
        delta: Above 0.

    Examples:
        >>> BallShares(np.array([[0.0], [1.0], [2.5]]), np.array([1]), 1.0)(np.array([0, 1, 2]))
        array([[1.],
               [1.],
               [0.]], dtype=float32)
    """

    def __init__(self, vectors: Vectors, landmarks: Rows, delta: float) -> None:
        n_dimensions = vectors.shape[1]
        self._vectors = vectors
        # One-hot rows and small grids have few different rows and many pairs at exactly delta: meet each row once.
        _, first, places = np.unique(vectors[landmarks], axis=0, return_index=True, return_inverse=True)
        self._places: Rows | None = places.ravel() if 2 * len(first) <= len(landmarks) else None
        landmarks = landmarks if self._places is None else landmarks[first]
        self._landmarks = landmarks
        self._delta = delta
        self._centre: Distances = np.median(vectors[landmarks].astype(np.float64), axis=0)
        widest = max(float(np.abs(vectors[part] - self._centre).max()) for part in blocks(*vectors.shape))
        self._scale = unit_scale(widest)
        points, norms = self._scaled(landmarks)
        # A product of d factors in floats of unit roundoff e errs by at most d e |x| |u|, rounding the factors and norms by
        # a few e more; |x| |u| is at most the mean of the squares. Four times that is allowed for. Float32 serves where this
        # is small against delta for ordinary rows.
        self._limit = min(delta * self._scale, 4.0 * n_dimensions) ** 2  # all are within 2 sqrt(d) of each other
        slack = 4 * (n_dimensions + 8) * 2.0**-24
        is_narrow = slack * 2 * float(np.median(norms)) > self._limit / 16
        self._type: type[np.floating[Any]] = np.float64 if is_narrow else np.float32
        self._slack = slack * 2.0**-29 if is_narrow else slack
        self._floor = n_dimensions * (1e-300 if is_narrow else 1e-40)  # products of denormal numbers
        self._norms = norms
        self._right: npt.NDArray[np.floating[Any]] = np.ascontiguousarray(-2 * points.T).astype(self._type)

    def __call__(self, rows: Rows) -> npt.NDArray[np.float32]:
        """`(b, u)` zeros and ones."""
        points, norms = self._scaled(rows)
        distances = points.astype(self._type) @ self._right
        distances += norms[:, None].astype(self._type)
        distances += self._norms.astype(self._type)
        distances -= self._type(self._limit)
        result: npt.NDArray[np.float32] = (distances <= 0).astype(np.float32)
        errors = (self._slack * norms + self._floor)[:, None].astype(self._type)
        errors = errors + (self._slack * (self._norms + self._limit)).astype(self._type)
        row, landmark = np.nonzero(np.abs(distances) <= errors)
        squared = squared_distances(self._vectors, rows[row], self._landmarks[landmark])
        result[row, landmark] = np.sqrt(squared) <= self._delta
        return result if self._places is None else result[:, self._places]

    def _scaled(self, rows: Rows) -> tuple[Distances, Distances]:
        points = (self._vectors[rows] - self._centre) * self._scale
        return points, np.einsum("ij,ij->i", points, points)
