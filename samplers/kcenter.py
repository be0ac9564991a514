"""CORESET: greedy k-center, each pick the candidate farthest from everything labeled or picked."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import numpy as np
import numpy.typing as npt

from .nearest_centers import NearestCenters, squared_distances
from .pool import Pool, Vectors
from .reasons import in_words
from .sampler import Picks, Sampler, check_number

METRICS = ("euclidean", "cosine")


@dataclass(frozen=True)
class SamplerCoreset(Sampler):
    """Greedy k-center from the labeled items on: the picks of the naive definition, exactly.

    Each pick is the candidate with the largest distance to its nearest labeled or picked item, ties to the lower row; that
    distance is its gain. With nothing labeled the first pick is the item farthest from the pool's mean. Duplicates of
    labeled or picked items have distance 0 and come last.

    Time O((l + k) n d) with small constants for l labeled items and k picks, memory O(n d): one float32 copy, and for
    cosine the unit vectors.

    Args:
        metric: `euclidean`, or `cosine`: `1 - cos`, of vectors that must not be zero; with nothing labeled, from the
            direction of the mean.
        min_distance: Pick nothing nearer than this to a labeled or picked item, in the metric's unit, and stop when
            nothing else is left; None never stops.

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

    def __post_init__(self) -> None:
        check_metric(self.metric, self.min_distance)

    @property
    def needs_vectors(self) -> bool:
        """Always."""
        return True

    def pick(self, pool: Pool, n_samples: int, rng: np.random.Generator, on_pick: Callable[[int], object]) -> Picks:
        """Pick greedily."""
        walk = greedy_centers(
            pool, n_samples, metric=self.metric, min_distance=self.min_distance, worth=None, on_pick=on_pick
        )
        return Picks(walk.rows, walk.distances, walk.reasons, walk.note)


def check_metric(metric: str, min_distance: float | None) -> None:
    """Raise if the metric is unknown or the stopping distance is no distance."""
    if metric not in METRICS:
        raise ValueError(f"metric is {metric!r}; expected one of {', '.join(METRICS)}")
    if min_distance is not None:
        check_number(min_distance, "min_distance")


class Walk(NamedTuple):
    """What a greedy walk picked: rows, the worth of each when picked, its distance then, and why."""

    rows: npt.NDArray[np.int64]
    worths: npt.NDArray[np.float64]
    distances: npt.NDArray[np.float64]
    reasons: tuple[str, ...]
    note: str


Worth = Callable[[npt.NDArray[np.float64]], npt.NDArray[np.float64]]
"""From the `(n,)` distances of all rows to what picking each would be worth."""


def greedy_centers(
    pool: Pool,
    n_samples: int,
    *,
    metric: str,
    min_distance: float | None,
    worth: Worth | None,
    on_pick: Callable[[int], object],
) -> Walk:
    """Pick, one at a time, the candidate worth most, where worth depends on the distance to the nearest center.

    Args:
        pool: A pool with vectors.
        n_samples: Number of picks, at most the candidates.
        metric: `euclidean` or `cosine`.
        min_distance: Pick nothing nearer than this to a center; stop when nothing else is left.
        worth: What a pick is worth, given all distances; None: the distance itself.
        on_pick: Called with 1 after each pick.
    """
    vectors = _unit_rows(pool) if metric == "cosine" else pool.vectors
    assert vectors is not None
    centers = NearestCenters(vectors)
    centers.add(pool.labeled)
    is_candidate = ~pool.is_labeled
    has_center = bool(pool.is_labeled.any())

    rows: list[int] = []
    worths: list[float] = []
    distances: list[float] = []
    reasons: list[str] = []
    note = ""
    while len(rows) < n_samples:
        squared = centers.squared if has_center else _squared_from_mean(vectors, centers.mean, metric)
        distance = squared / 2 if metric == "cosine" else np.sqrt(squared)
        is_open = is_candidate & (distance >= min_distance) if has_center and min_distance is not None else is_candidate
        if not is_open.any():
            farthest = distance[is_candidate].max()
            note = (
                f"stopped after {len(rows):,} of {n_samples:,}: the farthest item left is {farthest:.6g} from the nearest "
                f"labeled or picked one, below min_distance {min_distance:.6g}"
            )
            break
        value = np.where(is_open, distance if worth is None else worth(distance), -np.inf)
        row = int(value.argmax())
        if has_center:
            nearest = int(centers.nearest[row])
            kind = "labeled" if pool.is_labeled[nearest] else "picked"
            reasons.append(f"{in_words(distance[row])} from the nearest {kind} item, {pool.item_ids[nearest]!r}")
        else:
            reasons.append(f"{in_words(distance[row])} from the pool's mean, nothing being labeled yet")
        rows.append(row)
        worths.append(float(value[row]))
        distances.append(float(distance[row]))
        is_candidate[row] = False
        has_center = True
        centers.add(np.array([row]))
        on_pick(1)
    return Walk(np.array(rows, dtype=np.int64), np.array(worths), np.array(distances), tuple(reasons), note)


def _squared_from_mean(vectors: Vectors, mean: npt.NDArray[np.float64], metric: str) -> npt.NDArray[np.float64]:
    if metric == "cosine":
        length = math.sqrt(float(mean @ mean))
        mean = mean / length if length > 0 else mean
    return squared_distances(vectors, np.arange(len(vectors)), mean)


def _unit_rows(pool: Pool) -> Vectors:
    """The vectors divided by their lengths, in their own type, at least float32; zero vectors are refused by name."""
    assert pool.vectors is not None
    n, n_dimensions = pool.vectors.shape
    result = np.empty((n, n_dimensions), dtype=np.promote_types(pool.vectors.dtype, np.float32))
    step = max(1, (1 << 17) // n_dimensions)
    for start in range(0, n, step):
        rows = pool.vectors[start : start + step].astype(np.float64)
        largest = np.abs(rows).max(axis=1)
        if not largest.all():
            row = start + int(np.flatnonzero(largest == 0)[0])
            raise ValueError(
                f"the embedding of {pool.item_ids[row]!r} is zero and has no direction; use metric='euclidean', or leave "
                "it out"
            )
        rows = np.ldexp(rows, -np.frexp(largest)[1][:, None])  # a power of two changes no direction, and lets all be squared
        lengths = np.sqrt(squared_distances(rows, np.arange(len(rows)), np.zeros(n_dimensions)))
        result[start : start + step] = rows / lengths[:, None]
    return result
