"""A shard in memory, refreshed by compiled kernels, and the picks among candidates likewise."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import numpy as np

from ..distances import Distances, Rows, blocks
from ..pool import Vectors
from . import kernels
from .plain import PlainShard
from .rounding import Floats32, Rounding, largest_coordinate
from .shard import Candidates, Frame, Goal, Task
from .walk import Made

_CENTERS_PER_BLOCK = 128
_ROWS_PER_JOB = 4096
_WIDE = 48  # centers missed
_SMALLEST, _LARGEST = 1e-15, 1e15
"""Squares of lengths between these stay well inside the range of float32."""


class Low:
    """The screen in few dimensions: coordinates on some axes, and the length of what is left."""

    def __init__(self, frame: Frame, rounding: Rounding) -> None:
        self.rounding = rounding
        self.axes = frame.axes
        self.slack = 4 * rounding.slack  # coordinates on the axes are rounded before they are multiplied
        self.n_axes = frame.axes.shape[1]
        self.width = -(-(self.n_axes + 1) // 4) * 4

    def of(self, around: Floats32) -> tuple[Floats32, Distances]:
        """`(m, w)` screens and `(m,)` half squared norms of `(m, d)` float32 rows around the middle."""
        low: Floats32 = np.zeros((len(around), self.width), dtype=np.float32)
        low[:, : self.n_axes] = around @ self.axes
        rest = low[:, : self.n_axes] @ self.axes.T  # not from the norms: where little is left, their difference is noise
        half: Distances = np.empty(len(around))
        kernels.norms(around, rest, low[:, self.n_axes], half)
        return low, half


def room_of(vectors: Vectors, largest: float, slack: float) -> float:
    """The relative error of a squared distance in the vectors' own type; infinity where float32 might not hold it."""
    is_safe = vectors.dtype == np.float32 and (largest == 0 or _SMALLEST <= largest <= _LARGEST)
    return slack if is_safe else np.inf


class CompiledShard(PlainShard):
    """As `PlainShard`, sooner. `n_threads` work on rows side by side, which changes no result."""

    def __init__(self, task: Task, frame: Frame, *, n_threads: int = 1) -> None:
        self.n_threads = n_threads
        self.counts = np.zeros((n_threads, 2), dtype=np.int64)
        self.costs: dict[bool, dict[bool, float]] = {False: {}, True: {}}
        """Nanoseconds of a row and a center when few or many centers were missed, by low and by full products."""
        self._n_jobs = {False: 0, True: 0}  # since the dearer screen was tried
        super().__init__(task, frame)
        self._bounds_held = (self.squared, self.lower, self.rival, self.nearest, self.is_exact)

    def _prepare(self) -> None:
        self.offsets: Floats32 = np.empty((2, len(self.centers)), dtype=np.float32)
        """Half squared norms of the centers, shrunk for low and for full products."""
        self.low: Low | None = None
        self.room = room_of(self.vectors, self.largest, self.rounding.slack)
        if np.isinf(self.room):
            super()._prepare()
            return
        self.low = Low(self.frame, self.rounding)
        self.screens: Floats32 = np.zeros((len(self.half), self.low.width), dtype=np.float32)
        for part in blocks(*self.vectors.shape):
            around = self.rounding.around(self.vectors[part])
            self.screens[part], self.half[part] = self.low.of(around)
            if self.codes is not None:
                self.codes.put(part, around)
        self.low_centers: Floats32 = np.zeros((len(self.centers), self.low.width), dtype=np.float32)

    def add(self, points: Vectors, picked: Rows) -> None:
        """Take in new centers, and their screens."""
        first = self.n_centers
        super().add(points, picked)
        half = self.center_half[first : self.n_centers]
        self.offsets[1, first : self.n_centers] = half * (1 - self.rounding.slack)
        if self.low is not None:
            self.offsets[0, first : self.n_centers] = half * (1 - self.low.slack)
            self.low_centers[first : self.n_centers], _ = self.low.of(self.around[first : self.n_centers])

    def refresh(self, rows: Rows, least: float, boost: Distances | None) -> None:
        """Let rows meet the centers they have missed, in blocks, by the screen that is cheaper here."""
        rows = rows[np.argsort(self.seen[rows], kind="stable")]
        block_of = self.seen[rows] // _CENTERS_PER_BLOCK
        weights = np.empty(0)
        if self.weights is not None:
            weights = self.weights
        if boost is not None:  # the order of the factors may change the last bit: rows stay a little longer
            weights = boost if self.weights is None else weights * boost
            least *= 1 - 1e-12
        jobs: list[Rows] = []
        start = 0
        while start < len(rows):
            stop = min(start + _ROWS_PER_JOB, int(np.searchsorted(block_of, block_of[start], side="right")))
            jobs.append(rows[start:stop])
            start = stop

        def work(worker: int) -> None:
            for job in jobs[worker :: self.n_threads]:
                self._refresh_compiled(job.copy(), least, weights, self.counts[worker])

        if self.n_threads > 1 and len(jobs) > 1:
            with one_thread_products(), ThreadPoolExecutor(self.n_threads) as threads:
                list(threads.map(work, range(self.n_threads)))
        else:
            for worker in range(self.n_threads):
                work(worker)

    def _refresh_compiled(self, rows: Rows, least: float, weights: Distances, counts: Any) -> None:
        """Refresh rows that have met as many blocks, and note what it cost: by that the next job's screen is chosen."""
        met, n_pairs, began = int(self.seen[rows[0]]), int(counts[0]), time.thread_time_ns()
        is_wide = self.n_centers - met >= _WIDE
        is_full = self.low is None or self._uses_full(is_wide)
        goal = tuple(self.goal)
        slack = self.rounding.slack if self.low is None or is_full else self.low.slack
        rounding = (slack, self.rounding.scale, self.room)
        held = self._hold(rows) if is_full else self.screens[rows]
        others = self.around if is_full else self.low_centers
        closer: tuple[Any, Any] = (self.vectors, (np.empty(0, dtype=np.float32), np.empty(0)))
        if self.codes is not None:
            closer = (self.codes.codes, (self.codes.units, self.codes.lost))
        first, n_left = met, len(rows)
        while first < self.n_centers and n_left:
            stop = min((first // _CENTERS_PER_BLOCK + 1) * _CENTERS_PER_BLOCK, self.n_centers)
            products = held[:n_left] @ others[first:stop].T
            products -= self.offsets[int(is_full), first:stop]
            likeliest, half = products.argmax(axis=1), self.center_half[first:stop]
            if is_full:
                lost = np.ascontiguousarray(np.broadcast_to(self._lost(rows[:n_left], float(half.max())), n_left))
                n_left = kernels.take_in(
                    held, products, likeliest, self.half, lost, half, first, rows, n_left, least, self._bounds_held,
                    self.seen, weights, goal, rounding, counts,
                )  # fmt: skip
            else:
                n_left = kernels.look_closer(
                    *closer, held, products, likeliest, self.half, self.centers, self.around, first, rows, n_left, least,
                    self._bounds_held, self.seen, weights, goal, rounding, counts,
                )  # fmt: skip
            first = stop
        n_pairs = int(counts[0]) - n_pairs
        if n_pairs > 10_000:
            cost = (time.thread_time_ns() - began) / n_pairs
            costs = self.costs[is_wide]
            is_fresh = costs.get(is_full, np.inf) > 2 * cost  # it has become cheaper, or was measured while it was compiled
            costs[is_full] = cost if is_fresh else 0.5 * (cost + costs[is_full])

    def _uses_full(self, is_wide: bool) -> bool:
        """Whether the next job uses full products: the cheaper one, the other now and then. It changes no result."""
        costs = self.costs[is_wide]
        if len(costs) < 2:
            return False in costs
        is_full = costs[True] < costs[False]
        ratio = costs[not is_full] / max(costs[is_full], 1e-3)
        self._n_jobs[is_wide] += 1
        if self._n_jobs[is_wide] > 20 * min(ratio, 10.0):  # so trying costs a twentieth
            self._n_jobs[is_wide] = 0
            return not is_full
        return is_full

    def _hold(self, rows: Rows) -> Floats32:
        narrow = self.rounding.narrow
        if self.codes is not None or narrow is None or self.vectors.dtype != np.float32:
            held: Floats32 = super()._hold(rows)
            return held
        held = np.empty((len(rows), len(narrow)), dtype=np.float32)
        kernels.centred(self.vectors, rows, narrow, np.float32(self.rounding.scale), held)
        return held

    def _to_nearest(self, rows: Rows) -> Distances:
        given: object = self.vectors  # rows that are computed when they are read are no array
        if not isinstance(given, np.ndarray) or given.dtype.itemsize < 4:
            return super()._to_nearest(rows)
        found: Distances = np.empty(len(rows))
        kernels.distances_to(self.vectors, rows, self.centers, self.nearest[rows], found)
        return found


class CompiledInner:
    """Picks among candidates by a compiled kernel."""

    def __init__(self, frame: Frame, goal: Goal) -> None:
        self.frame = frame
        self.goal = goal
        self.counts = np.zeros(3, dtype=np.int64)

    def __call__(self, candidates: Candidates, least: float, n_picks: int, n_centers: int) -> Made:
        """Pick greedily until the best is worth less than `least`."""
        points = candidates.points
        if points.dtype.itemsize < 4:
            points = points.astype(np.float32)
        largest = largest_coordinate(points, self.frame.middle)
        rounding = Rounding(self.frame.middle, largest)
        screen = Low(self.frame, rounding)
        low, half = screen.of(rounding.around(points))
        limit = (half * (1 - screen.slack) - 0.5 * kernels.FLOOR).astype(np.float32)
        squared, nearest = candidates.squared.copy(), candidates.nearest.copy()
        seen = np.full(len(points), n_centers, dtype=np.int32)
        picks, picked_squared = np.empty(n_picks, dtype=np.int64), np.empty(n_picks)
        picked_nearest = np.empty(n_picks, dtype=np.int32)
        n_made = kernels.pick_within(
            points, candidates.rows, np.ascontiguousarray(low.T), limit, squared, nearest, seen, candidates.weights, least,
            n_centers, tuple(self.goal),
            (rounding.slack, rounding.scale, room_of(points, largest, rounding.slack)), picks, picked_squared,
            picked_nearest, self.counts,
        )  # fmt: skip
        return Made(picks[:n_made], picked_squared[:n_made], picked_nearest[:n_made], squared, nearest, seen)


@contextmanager
def one_thread_products() -> Iterator[None]:
    """Matrix products on one thread each, where that can be asked for: threads inside of threads are slow."""
    try:
        from threadpoolctl import threadpool_limits  # noqa: PLC0415  # an extra
    except ImportError:
        yield
        return
    with threadpool_limits(1, user_api="blas"):
        yield
