"""A shard refreshed by numpy's matrix products: bounds from both sides, made exact for the few rows that are candidates."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..distances import Distances, Rows, blocks, nearest_of_each, squared_distances
from ..pool import Vectors
from .codes import Codes
from .rounding import Floats32, Rounding, half_norms, largest_coordinate
from .shard import Candidates, Flags, Frame, Goal, Shard, Task
from .walk import Made, Rule

_CENTERS_PER_BLOCK = 256
_ROWS_PER_JOB = 1024


class PlainShard(Shard):
    """Rows whose `squared` is an upper bound until `settle` has made it a distance.

    Rows on disk are held in memory as 8-bit codes, `d` bytes each, and read for candidates alone.
    """

    def __init__(self, task: Task, frame: Frame) -> None:
        super().__init__(task, frame)
        n, n_dimensions = task.vectors.shape
        n_centers = len(self.centers)
        self.largest = largest_coordinate(task.vectors, frame.middle)
        self.rounding = Rounding(frame.middle, self.largest)
        self.half: Distances = np.empty(n)
        self.codes = Codes(n, n_dimensions) if task.is_on_disk else None
        self.lower: Distances = np.zeros(n)
        self.rival: Distances = np.full(n, np.inf)
        """`(n,)` least squared distance that a center other than the nearest one may have."""
        self.is_exact: Flags = np.zeros(n, dtype=bool)
        self.around: Floats32 = np.empty((n_centers, n_dimensions), dtype=np.float32)
        self.center_half: Distances = np.empty(n_centers)
        self._prepare()

    def _prepare(self) -> None:
        """Read the rows once."""
        for part in blocks(*self.vectors.shape):
            around = self.rounding.around(self.vectors[part])
            self.half[part] = half_norms(around)
            if self.codes is not None:
                self.codes.put(part, around)

    def bounds_to(self, point: Distances, rows: Rows) -> tuple[Distances, Distances]:
        """Bounds from both sides on the squared distances of rows to a point, by one product each."""
        around = self.rounding.around(point[None])
        half = half_norms(around)[0]
        products: Distances = np.empty(len(rows))
        for part in blocks(*self.vectors.shape):
            products[part] = self._products_with(self._hold(rows[part]), around[0])
        products -= half * (1 - self.rounding.slack)
        lost = self._lost(rows, half)
        return (
            self.rounding.least(self.half[rows], products + lost),
            self.rounding.greatest(self.half[rows], products - lost, half),
        )

    def add(self, points: Vectors, picked: Rows) -> None:
        """Take in new centers."""
        first = self.n_centers
        super().add(points, picked)
        self.around[first : self.n_centers] = self.rounding.around(points)
        self.center_half[first : self.n_centers] = half_norms(self.around[first : self.n_centers])

    def note(self, rows: Rows, squared: Distances, nearest: Any, seen: Any) -> None:
        """As every shard; what was found out is exact."""
        super().note(rows, squared, nearest, seen)
        self.lower[rows] = squared
        self.rival[rows] = np.inf
        self.is_exact[rows] = True

    def refresh(self, rows: Rows, least: float, boost: Distances | None) -> None:
        """Let rows meet the centers they have missed, in matrix products."""
        rows = rows[np.argsort(self.seen[rows], kind="stable")]
        block_of = self.seen[rows] // _CENTERS_PER_BLOCK
        start = 0
        while start < len(rows):
            stop = min(start + _ROWS_PER_JOB, int(np.searchsorted(block_of, block_of[start], side="right")))
            self._refresh_job(rows[start:stop], least, boost)
            start = stop

    def _refresh_job(self, rows: Rows, least: float, boost: Distances | None) -> None:
        held = self._hold(rows)
        first = int(self.seen[rows[0]])
        while first < self.n_centers and len(rows):
            stop = min((first // _CENTERS_PER_BLOCK + 1) * _CENTERS_PER_BLOCK, self.n_centers)
            best, highest, second = self._two_likeliest(held, first, stop)
            self._take_in(rows, first + best, highest, second, float(self.center_half[first:stop].max()))
            self.seen[rows] = stop
            stays = self._worths(rows, boost) >= least
            if not stays.all():
                rows, held = rows[stays], self._shrink(held, stays)
            first = stop

    def _hold(self, rows: Rows) -> Any:
        """Rows for products, in float32."""
        return self.rounding.around(self.vectors[rows]) if self.codes is None else self.codes.of(rows)

    def _shrink(self, held: Any, stays: Flags) -> Any:
        """Those of the held rows that stay."""
        return held[stays]

    def _products_with(self, held: Any, around: Floats32) -> Distances:
        """`(m,)` products of held rows with one point around the middle."""
        return np.asarray(held @ around, dtype=np.float64)

    def _lost(self, rows: Rows, most_half: float) -> Distances | float:
        """How much the products of held rows with a center may be off because rows are held in codes."""
        return 0.0 if self.codes is None else self.codes.lost[rows] * np.sqrt(2 * most_half)

    def _two_likeliest(self, held: Any, first: int, stop: int) -> tuple[Rows, Distances, Distances]:
        """Of some centers the one with the largest product less its shrunk half norm, that number, and the next."""
        products = held @ self.around[first:stop].T
        products -= (self.center_half[first:stop] * (1 - self.rounding.slack)).astype(np.float32)
        best = products.argmax(axis=1)
        places = np.arange(len(best))
        highest = products[places, best].astype(np.float64)
        products[places, best] = -np.inf
        return best, highest, products.max(axis=1).astype(np.float64)

    def _take_in(self, rows: Rows, best: Rows, highest: Distances, second: Distances, most_half: float) -> None:
        """Update the bounds of rows by the likeliest of some centers, and by the next."""
        half = self.half[rows]
        lost = self._lost(rows, most_half)
        lower = self.rounding.least(half, highest + lost)
        upper = self.rounding.greatest(half, highest - lost, self.center_half[best])
        before = self.squared[rows]
        is_nearer = upper < before
        at = rows[is_nearer]
        others = np.minimum(self.lower[at], self.rounding.least(half, second + lost)[is_nearer])
        self.rival[at] = np.minimum(self.rival[at], np.where(self.nearest[at] < 0, np.inf, others))
        first_time = self.nearest[at] < 0
        self.rival[at[first_time]] = self.rounding.least(half, second + lost)[is_nearer][first_time]
        self.squared[at], self.lower[at], self.nearest[at] = upper[is_nearer], lower[is_nearer], best[is_nearer]
        self.is_exact[at] = False
        is_unclear = ~is_nearer & (lower <= before)
        at = rows[is_unclear]
        self.rival[at] = np.minimum(self.rival[at], lower[is_unclear])
        self.is_exact[at] = False

    def settle(self, rows: Rows) -> bool:
        """Compute distances: of a row to its nearest center where no other can be as near, else to all that can be."""
        rows = rows[~self.is_exact[rows]]
        if not len(rows):
            return False
        found = self._to_nearest(rows)
        is_clear = self.rival[rows] > found
        unclear = np.flatnonzero(~is_clear)
        for start in range(0, len(unclear), _ROWS_PER_JOB):
            at = unclear[start : start + _ROWS_PER_JOB]
            found[at], self.nearest[rows[at]] = self._nearest_of_all(rows[at], found[at])
        self.squared[rows] = self.lower[rows] = found
        self.rival[rows] = np.inf
        self.is_exact[rows] = True
        return True

    def _to_nearest(self, rows: Rows) -> Distances:
        return squared_distances(self.vectors, rows, self.centers[self.nearest[rows]])

    def _nearest_of_all(self, rows: Rows, limit: Distances) -> tuple[Distances, Rows]:
        """Canonical distances to the nearest of all centers, the first of a tie; `limit` is the distance to one of them."""
        points = np.ascontiguousarray(self.vectors[rows])
        around, half = self.rounding.around(points), self.half[rows]
        found = np.full(len(rows), np.inf)
        nearest = np.zeros(len(rows), dtype=np.int64)
        for first in range(0, self.n_centers, _ROWS_PER_JOB):
            stop = min(first + _ROWS_PER_JOB, self.n_centers)
            products = around @ self.around[first:stop].T
            products -= (self.center_half[first:stop] * (1 - self.rounding.slack)).astype(np.float32)
            least = self.rounding.least(half[:, None], products.astype(np.float64))
            row, column = np.nonzero(least <= np.minimum(limit, found)[:, None])
            exact = squared_distances(points, row, self.centers[first + column])
            row, column, exact = nearest_of_each(row, column, exact)
            is_nearer = exact < found[row]
            found[row[is_nearer]] = exact[is_nearer]
            nearest[row[is_nearer]] = first + column[is_nearer]
        return found, nearest


class PlainInner:
    """Picks among candidates by numpy's products of one row with all."""

    def __init__(self, frame: Frame, goal: Goal, rule: Rule | None = None) -> None:
        self.frame = frame
        self.goal = goal
        self.rule = rule

    def __call__(self, candidates: Candidates, least: float, n_picks: int, n_centers: int) -> Made:
        """Pick greedily until the best is worth less than `least`, or than what a row elsewhere may have become worth."""
        points = candidates.points
        rounding = Rounding(self.frame.middle, largest_coordinate(points, self.frame.middle))
        squared, nearest = candidates.squared.copy(), candidates.nearest.copy()
        seen = np.full(len(points), n_centers, dtype=np.int32)
        least = max(least, 0.0)
        left = np.arange(len(points))  # places of the candidates that may still be worth enough
        around = rounding.around(points)
        half = half_norms(around)
        worths = self.goal.worths(squared, candidates.weights)
        places: list[int] = []
        picked_squared: list[float] = []
        picked_nearest: list[int] = []
        while len(places) < n_picks and len(left):
            values, limit = self._as_things_stand(worths, candidates.rows[left], least)
            best = int(values.argmax())
            if values[best] < 0 or values[best] < limit:
                break
            number, place = n_centers + len(places), int(left[best])
            places.append(place)
            picked_squared.append(float(squared[place]))
            picked_nearest.append(int(nearest[place]))
            worths[best] = -1.0
            if self.rule is not None:
                self.rule.add(int(candidates.rows[place]))
            products = (around @ around[best]).astype(np.float64) - half[best] * (1 - rounding.slack)
            near = np.flatnonzero((rounding.least(half, products) < squared[left]) & (worths >= 0))
            at = left[near]
            found = squared_distances(points, at, points[place])
            is_nearer = found < squared[at]
            near, at, found = near[is_nearer], at[is_nearer], found[is_nearer]
            squared[at], nearest[at] = found, number
            worths[near] = self.goal.worths(found, candidates.weights[at])
            seen[left] = number + 1
            stays = worths >= (least if self.rule is None else 0.0)
            if np.count_nonzero(stays) < 0.75 * len(stays):
                left, around, half, worths = left[stays], around[stays], half[stays], worths[stays]
        return Made(
            np.array(places, dtype=np.int64),
            np.array(picked_squared),
            np.array(picked_nearest, dtype=np.int32),
            squared,
            nearest,
            seen,
        )

    def _as_things_stand(self, worths: Distances, rows: Rows, least: float) -> tuple[Distances, float]:
        """What candidates are worth by the rule too, and what a row that is no candidate may be worth by now."""
        if self.rule is None:
            return worths, least
        rise = self.rule.rise()
        values = np.where((worths >= 0) & self.rule.may_pick(rows), worths * self.rule.factors(rows), -1.0)
        return values, least if rise == 1.0 else max(least * rise * (1 + 1e-9), 0.0)
