"""A worker of a cluster: a shard in a process of its own."""

from __future__ import annotations

import importlib.util
from contextlib import ExitStack
from importlib.metadata import PackageNotFoundError, version
from typing import NamedTuple, cast

import numpy as np

from samplers.centers.engine import LocalEngine
from samplers.centers.shard import Candidates, Frame, Numbers, Outlook, Task
from samplers.distances import Distances, Rows
from samplers.pool import Vectors

from .places import Place


class Found(NamedTuple):
    """What a worker answers: candidates by their place in its shard, with points only if the rows are on disk."""

    rows: Numbers
    squared: Distances
    nearest: Numbers
    points: Vectors | None


class Notes(NamedTuple):
    """What was found out about candidates, as for `Crew.note`."""

    rows: Rows
    squared: Distances
    nearest: Numbers
    seen: Numbers

    def part(self, first: int, stop: int) -> Notes:
        """That about the rows of a shard, counted from its first one."""
        start, end = np.searchsorted(self.rows, (first, stop))
        own = slice(start, end)
        return Notes(self.rows[own] - first, self.squared[own], self.nearest[own], self.seen[own])


class Worker:
    """A shard in a process of its own; rows are counted from its first one."""

    def __init__(self, n_threads: int) -> None:
        self.n_threads = n_threads
        self.limit: object = None
        if importlib.util.find_spec("threadpoolctl") is not None:
            from threadpoolctl import threadpool_limits  # noqa: PLC0415  # an extra

            self.limit = threadpool_limits(n_threads, user_api="blas")
        self.vectors: Vectors | None = None
        self.sends_points = False
        self.context = ExitStack()

    def about(self) -> str:
        """The version of al-agent here."""
        return version_here()

    def read(self, place: Place, rows: Rows, expected: Vectors) -> bool:
        """Map the shard's rows, if the file is here and these rows of it are what they are elsewhere."""
        try:
            vectors = place.open()
            if not np.array_equal(vectors[rows], expected):
                return False
        except (OSError, ValueError):
            return False
        self.vectors, self.sends_points = vectors, True
        return True

    def take(self, start: int, n_rows: int, rows: Vectors) -> None:
        """Keep some of the shard's rows."""
        if self.vectors is None:
            self.vectors = np.empty((n_rows, rows.shape[1]), dtype=rows.dtype)
        self.vectors[start : start + len(rows)] = rows

    def begin(self, task: Task, frame: Frame, kernels: str) -> None:
        """Make the shard of a task that has come without its vectors."""
        assert self.vectors is not None
        task = task._replace(vectors=self.vectors, is_on_disk=self.sends_points)
        self.crew, _ = self.context.enter_context(LocalEngine(kernels, self.n_threads).open(task, frame))

    def farthest(self, point: Distances, boost: Distances | None) -> tuple[float, int, float]:
        """As `Shard.farthest`."""
        return self.crew.farthest(point, boost)

    def step(
        self,
        points: Vectors,
        picked: Rows,
        notes: Notes | None,
        least: float | None,
        n_sampled: int,
        boost: Distances | None,
    ) -> tuple[Found | None, Outlook]:
        """As `Crew.step`, after `Crew.note`."""
        if notes is not None:
            self.crew.note(*notes)
        candidates, outlook = self.crew.step(points, picked, least, n_sampled, boost)
        outlook = outlook._replace(rows=cast(Rows, outlook.rows.astype(np.int32)))
        return None if candidates is None else self._found(candidates), outlook

    def first_open(self, limit: int) -> Found:
        """As `Shard.first_open`."""
        return self._found(self.crew.first_open(limit))

    def probe(self, n_sampled: int) -> Distances:
        """As `Shard.probe`."""
        return self.crew.probe(n_sampled)

    def _found(self, candidates: Candidates) -> Found:
        points = candidates.points if self.sends_points else None
        return Found(candidates.rows.astype(np.int32), candidates.squared, candidates.nearest, points)


def version_here() -> str:
    """The version of al-agent."""
    try:
        return version("al-agent")
    except PackageNotFoundError:
        return "from a folder"
