"""A shard: rows of a pool, and for each a bound on what picking it is worth, brought up to date only when it matters."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from ..distances import Distances, Rows, squared_distances
from ..pool import Vectors

Numbers = npt.NDArray[np.int32]
Flags = npt.NDArray[np.bool_]

CLOSED = -1.0
"""The squared distance of a row that cannot be picked (any more)."""


class Goal(NamedTuple):
    """What the walk maximises: `weight * distance` to the nearest center.

    Args:
        is_cosine: The distance is half the squared Euclidean one, which is `1 - cos` of unit vectors; else it is the
            Euclidean one.
        min_distance: Nothing nearer than this to a center is picked.
        is_flat: Every distance that is allowed counts as 1.
    """

    is_cosine: bool = False
    min_distance: float = 0.0
    is_flat: bool = False

    def distances(self, squared: Distances) -> Distances:
        """Distances of squared ones."""
        return squared * 0.5 if self.is_cosine else np.sqrt(squared)

    def worths(self, squared: Distances, weights: Distances | None) -> Distances:
        """What rows are worth; -1 for those too near to be picked at all."""
        distances = self.distances(squared)
        counted = np.ones(len(distances)) if self.is_flat else distances
        with np.errstate(over="ignore", under="ignore"):  # whoever gave the weights looks at what came of them
            worths = counted if weights is None else weights * counted
        return np.where(distances >= self.min_distance, worths, -1.0) if self.min_distance > 0 else worths


class Frame(NamedTuple):
    """Where the screens stand: any values do, good ones rule out more.

    Args:
        middle: `(d,)` a point near most rows.
        axes: `(d, q)` float32, orthonormal to rounding.
    """

    middle: Distances
    axes: npt.NDArray[np.float32]


class Task(NamedTuple):
    """What a walk has to do.

    Args:
        vectors: `(n, d)` finite floats, unit vectors if the goal is cosine.
        is_open: `(n,)` which rows can be picked.
        weights: `(n,)` of 0 or more; None: all are 1.
        goal: What is maximised.
        start: Rows that are centers from the beginning.
        n_picks: Number of picks.
        is_on_disk: Whether rows are better not read again and again.
    """

    vectors: Vectors
    is_open: Flags
    weights: Distances | None
    goal: Goal
    start: Rows
    n_picks: int
    is_on_disk: bool


class Candidates(NamedTuple):
    """Rows that are up to date and worth enough.

    Args:
        rows: `(m,)` rows of the pool, ascending.
        squared: `(m,)` squared distance to the nearest center.
        nearest: `(m,)` number of the nearest center, the first of a tie.
        weights: `(m,)` weights.
        points: `(m, d)` their vectors.
    """

    rows: Rows
    squared: Distances
    nearest: Numbers
    weights: Distances
    points: Vectors


class Outlook(NamedTuple):
    """What may be left to pick.

    Args:
        rows: `(s,)` a sample of the rows of the pool, ascending.
        bounds: `(s,)` bounds on their worth, -1 for those that cannot be picked.
        most: The highest bound of all rows.
    """

    rows: Rows
    bounds: Distances
    most: float


class Shard(ABC):
    """Rows of a pool, and what the walk knows of them.

    Args:
        task: The rows, and what is maximised.
        frame: Where the screens stand.
    """

    def __init__(self, task: Task, frame: Frame) -> None:
        n, n_dimensions = task.vectors.shape
        n_centers = len(task.start) + task.n_picks
        self.vectors = task.vectors
        self.goal = task.goal
        self.weights = task.weights
        self.frame = frame
        self.squared: Distances = np.where(task.is_open, np.inf, CLOSED)
        self.nearest: Numbers = np.full(n, -1, dtype=np.int32)
        self.seen: Numbers = np.zeros(n, dtype=np.int32)
        self.centers: Vectors = np.empty((n_centers, n_dimensions), dtype=task.vectors.dtype)
        self.n_centers = 0

    def farthest(self, point: Distances, boost: Distances | None = None) -> tuple[float, int, float]:
        """Of the rows that can be picked the one worth most if the point were the only center: worth, row, squared distance.

        The worth is -1 if none can be picked.
        """
        goal = self.goal._replace(min_distance=0.0)
        rows = np.flatnonzero(self.squared != CLOSED)
        if not len(rows):
            return -1.0, -1, 0.0
        weights = np.ones(len(rows)) if self.weights is None else self.weights[rows]
        factors = np.ones(len(rows)) if boost is None else boost[rows]
        lower, upper = self.bounds_to(point, rows)
        may_win = goal.worths(upper, weights) * factors >= (goal.worths(lower, weights) * factors).max()
        rows = rows[may_win]
        squared = squared_distances(self.vectors, rows, point)
        worths = goal.worths(squared, weights[may_win]) * factors[may_win]
        best = int(worths.argmax())
        return float(worths[best]), int(rows[best]), float(squared[best])

    @abstractmethod
    def bounds_to(self, point: Distances, rows: Rows) -> tuple[Distances, Distances]:
        """Bounds from both sides on the squared distances of rows to a point."""

    def add(self, points: Vectors, picked: Rows) -> None:
        """Take in new centers, and close the rows that have been picked."""
        self.centers[self.n_centers : self.n_centers + len(points)] = points
        self.n_centers += len(points)
        self.squared[picked] = CLOSED

    def candidates(self, least: float, boost: Distances | None = None) -> Candidates:
        """All rows that can be picked and are worth at least this, up to date.

        Args:
            least: What a row must be worth, 0 or more.
            boost: `(n,)` further factors of 0 or more on the worth.
        """
        rows = np.flatnonzero(self._bounds(boost) >= least)
        stale = rows[self.seen[rows] < self.n_centers]
        if len(stale):
            self.refresh(stale, least, boost)
            rows = rows[self._worths(rows, boost) >= least]
        if len(rows) and self.settle(rows):
            rows = rows[self._worths(rows, boost) >= least]
        return self._candidates(rows)

    def first_open(self, limit: int) -> Candidates:
        """The first rows that can be picked, up to date, whatever they are worth."""
        while True:
            rows = np.flatnonzero(self.squared != CLOSED)[:limit]
            if len(rows):
                self.refresh(rows, -np.inf, None)
                self.settle(rows)
            is_near = self._worths(rows, None) < 0
            if not is_near.any():
                return self._candidates(rows)
            self.squared[rows[is_near]] = CLOSED

    def outlook(self, n_sampled: int, boost: Distances | None = None) -> Outlook:
        """Bounds on what is left."""
        bounds = self._bounds(boost)
        rows = np.arange(0, len(bounds), max(1, len(bounds) // max(1, n_sampled)))
        return Outlook(rows, bounds[rows], float(bounds.max(initial=-1.0)))

    def probe(self, n_sampled: int) -> Distances:
        """True worths of a sample of the rows that can be picked."""
        rows = np.flatnonzero(self.squared != CLOSED)
        rows = rows[:: max(1, len(rows) // max(1, n_sampled))][:n_sampled]
        if len(rows):
            self.refresh(rows, -np.inf, None)
        return self._worths(rows, None)

    def note(self, rows: Rows, squared: Distances, nearest: Numbers, seen: Numbers) -> None:
        """Take over what was found out about candidates elsewhere; rows of the pool, squared distances that are exact."""
        is_open = self.squared[rows] != CLOSED
        at = rows[is_open]
        self.squared[at], self.nearest[at], self.seen[at] = squared[is_open], nearest[is_open], seen[is_open]

    @abstractmethod
    def refresh(self, rows: Rows, least: float, boost: Distances | None) -> None:
        """Let rows meet the centers they have missed, or as many as show that they are worth less than `least`."""

    def settle(self, rows: Rows) -> bool:
        """Turn bounds of rows that have met all centers into distances; whether any was not one before."""
        return False

    def _candidates(self, rows: Rows) -> Candidates:
        weights = np.ones(len(rows)) if self.weights is None else self.weights[rows]
        points = np.ascontiguousarray(self.vectors[rows])
        return Candidates(rows, self.squared[rows], self.nearest[rows], weights, points)

    def _bounds(self, boost: Distances | None) -> Distances:
        with np.errstate(invalid="ignore"):
            worths = self.goal.worths(np.maximum(self.squared, 0.0), self.weights)
            if boost is not None:
                worths = worths * boost
            return np.where(self.squared == CLOSED, -1.0, np.where(np.isnan(worths), 0.0, worths))

    def _worths(self, rows: Rows, boost: Distances | None) -> Distances:
        worths = self.goal.worths(self.squared[rows], None if self.weights is None else self.weights[rows])
        return worths if boost is None else worths * boost[rows]
