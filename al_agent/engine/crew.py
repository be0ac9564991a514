"""The shards of a pool in the workers of a Ray cluster: asked all at once, and replaced when they are lost."""

from __future__ import annotations

import itertools
import warnings
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from samplers.centers.shard import Candidates, Frame, Numbers, Outlook, Task
from samplers.distances import Distances, Rows
from samplers.pool import Vectors

from ..errors import ClusterError
from .places import place_of
from .worker import Found, Notes, Worker, version_here

_LATE_S = 10.0  # for more workers after the first, and for a free processor after a loss
_MOST_LOSSES = 3
_PIECE_BYTES = 1 << 24
_PIECES_EACH = 2  # on the way to a worker: few, so that the same shared memory is used again
_LARGE_BYTES = 1 << 16  # what is larger is stored once for all workers
_CHECKED_ROWS = 64


class Options(Protocol):
    """The options of `RayEngine`."""

    @property
    def n_workers(self) -> int | None:
        """Number of workers."""

    @property
    def threads_per_worker(self) -> int:
        """Processors of each."""

    @property
    def rows_per_worker(self) -> int:
        """Least rows that are worth a worker."""

    @property
    def kernels(self) -> str:
        """What the shards are refreshed with."""

    @property
    def start_s(self) -> float:
        """Seconds that workers may take to start."""


@dataclass
class Member:
    """A worker as the crew knows it: its rows of the pool, and how often it was lost."""

    actor: Any
    first: int = 0
    stop: int = 0
    n_losses: int = 0


class RayCrew:
    """The shards of a pool in the workers of a cluster.

    All that a worker knows can be made again: from the vectors, the centers so far and the rows picked so far. So a worker
    that is lost is replaced, and its shard begins anew; what candidates are worth does not depend on it.

    Args:
        ray: The module, connected.
        engine: Its options.
        task: The task.
        frame: Where the screens stand.
    """

    def __init__(self, ray: Any, engine: Options, task: Task, frame: Frame) -> None:
        self.ray = ray
        self.engine = engine
        self.task = task
        self.frame = frame
        self.place = place_of(task.vectors) if task.is_on_disk else None
        self.members: list[Member] = []
        self.n_rounds = 0
        self.n_bytes = 0
        self._points: list[Vectors] = []
        self._picked: list[Rows] = []
        self._notes: Notes | None = None

    @property
    def n_rows(self) -> int:
        """Rows of the pool."""
        return len(self.task.is_open)

    def begin(self) -> None:
        """Hire workers, and give each its rows."""
        self._hire_all()
        edges = [self.n_rows * i // len(self.members) for i in range(len(self.members) + 1)]
        for member, first, stop in zip(self.members, edges, edges[1:]):
            member.first, member.stop = first, stop
        self._load(self.members)
        self._all("begin", [self._orders(member) for member in self.members])

    def end(self) -> None:
        """Let the workers go."""
        for member in self.members:
            self.ray.kill(member.actor)

    def farthest(self, point: Distances, boost: Distances | None = None) -> tuple[float, int, float]:
        """As `Shard.farthest`, of all shards; ties go to the lower row."""
        best = (-1.0, -1, 0.0)
        replies = self._all("farthest", [(point, self._slice(boost, member)) for member in self.members])
        for member, (worth, row, squared) in zip(self.members, replies):
            if worth > best[0]:
                best = (worth, member.first + row, squared)
        return best

    def points(self, rows: Rows) -> Vectors:
        """`(m, d)` vectors of rows of the pool."""
        return np.ascontiguousarray(self.task.vectors[rows])

    def step(
        self, points: Vectors, picked: Rows, least: float | None, n_sampled: int, boost: Distances | None
    ) -> tuple[Candidates | None, Outlook]:
        """As `Crew.step`; all shards at once."""
        self._points.append(points)
        self._picked.append(picked)
        notes, self._notes = self._notes, None
        arguments, again = [], []
        sent = self._shared(points)
        for member in self.members:
            first, stop = member.first, member.stop
            n_own = -(-n_sampled * (stop - first) // self.n_rows)
            asked = (least, n_own, self._slice(boost, member))
            own = picked[(picked >= first) & (picked < stop)] - first
            arguments.append((sent, own, None if notes is None else notes.part(first, stop), *asked))
            again.append((points[:0], own[:0], None, *asked))
        replies = self._all("step", arguments, again)
        outlooks = [outlook for _, outlook in replies]
        outlook = Outlook(
            np.concatenate([member.first + o.rows.astype(np.int64) for member, o in zip(self.members, outlooks)]),
            np.concatenate([o.bounds for o in outlooks]),
            max(o.most for o in outlooks),
        )
        return None if least is None else self._merged([found for found, _ in replies], None), outlook

    def first_open(self, limit: int) -> Candidates:
        """The first rows of all shards that can be picked."""
        return self._merged(self._all("first_open", [(limit,)] * len(self.members)), limit)

    def probe(self, n_sampled: int) -> Distances:
        """As `Shard.probe`, of all shards."""
        return np.concatenate(self._all("probe", [(-(-n_sampled // len(self.members)),)] * len(self.members)))

    def note(self, rows: Rows, squared: Distances, nearest: Numbers, seen: Numbers) -> None:
        """Keep it until the next step."""
        self._notes = Notes(rows, squared, nearest, seen)

    def _merged(self, found: Sequence[Found], limit: int | None) -> Candidates:
        rows = np.concatenate([member.first + f.rows.astype(np.int64) for member, f in zip(self.members, found)])[:limit]
        squared, nearest = (np.concatenate(values)[:limit] for values in list(zip(*found))[1:3])
        weights = np.ones(len(rows)) if self.task.weights is None else self.task.weights[rows]
        points = np.empty((len(rows), self.task.vectors.shape[1]), dtype=self.task.vectors.dtype)
        start = 0
        for f in found:
            part = slice(start, min(start + len(f.rows), len(rows)))
            own = f.points
            points[part] = self.task.vectors[rows[part]] if own is None else own[: part.stop - part.start]
            start = part.stop
        return Candidates(rows, squared, nearest, weights, points)

    def _all(
        self, method: str, arguments: Sequence[tuple[Any, ...]], again: Sequence[tuple[Any, ...]] | None = None
    ) -> list[Any]:
        """Call all workers at once; `again` are the arguments for a worker that has just been told all that was."""
        self.n_rounds += 1
        self.n_bytes += n_bytes(arguments)
        waiting = [getattr(member.actor, method).remote(*given) for member, given in zip(self.members, arguments)]
        replies = []
        for member, answer, given in zip(self.members, waiting, again or arguments):
            reply = answer
            while True:
                try:
                    replies.append(self.ray.get(reply))
                    break
                except self._losses as error:
                    self._replace(member, error)
                    reply = getattr(member.actor, method).remote(*given)
        self.n_bytes += n_bytes(replies)
        return replies

    @property
    def _losses(self) -> tuple[type[Exception], ...]:
        errors = self.ray.exceptions
        return errors.RayActorError, errors.WorkerCrashedError, errors.NodeDiedError, errors.OutOfMemoryError

    def _replace(self, member: Member, error: Exception) -> None:
        """Give the shard of a lost worker to a new one."""
        while True:
            member.n_losses += 1
            self.ray.kill(member.actor)
            number = self.members.index(member) + 1
            lost = f"worker {number} of {len(self.members)}, with {member.stop - member.first:,} rows, was lost"
            cause = str(error).strip().splitlines() or [type(error).__name__]
            if member.n_losses > _MOST_LOSSES:
                raise ClusterError(
                    f"{lost} {member.n_losses} times, the last time because: {cause[0]}; if its machine has too little "
                    "memory, use more machines, or vectors on disk"
                ) from error
            warnings.warn(f"{lost} and is replaced; the picks stay the same: {cause[0]}", RuntimeWarning, stacklevel=2)
            try:
                member.actor = self._hire_again()
                self._load([member])
                self.ray.get(member.actor.begin.remote(*self._orders(member)))
                if self._points:
                    picked = np.concatenate(self._picked)
                    own = picked[(picked >= member.first) & (picked < member.stop)] - member.first
                    news = (np.concatenate(self._points), own, None, None, 0, None)
                    self.ray.get(member.actor.step.remote(*news))
                return
            except self._losses as another:
                error = another

    def _orders(self, member: Member) -> tuple[Task, Frame, str]:
        task, none = self.task, np.empty((0, self.task.vectors.shape[1]), dtype=self.task.vectors.dtype)
        part = task._replace(
            vectors=none,
            is_open=task.is_open[member.first : member.stop],
            weights=self._slice(task.weights, member),
            start=task.start[:0],
            n_picks=len(task.start) + task.n_picks,
        )
        return part, self.frame, self.engine.kernels

    def _slice(self, values: Distances | None, member: Member) -> Distances | None:
        return None if values is None else values[member.first : member.stop]

    def _shared(self, values: Vectors) -> Any:
        """Values for all workers; many are stored once."""
        return self.ray.put(values) if values.nbytes > _LARGE_BYTES else values

    def _hire(self, n_processors_needed: int) -> Any:
        return self.ray.remote(num_cpus=n_processors_needed)(Worker).remote(self.engine.threads_per_worker)

    def _hire_all(self) -> None:
        """Hire as many workers as were asked for, or as the cluster has room for."""
        engine, n_rows = self.engine, self.n_rows
        n_there = int(self.ray.cluster_resources().get("CPU", 0)) // engine.threads_per_worker
        n_useful = min(n_there, -(-n_rows // engine.rows_per_worker))
        n_wanted = max(1, min(n_rows, engine.n_workers if engine.n_workers is not None else n_useful))
        self.members = [Member(self._hire(engine.threads_per_worker)) for _ in range(n_wanted)]
        by_answer = {member.actor.about.remote(): member for member in self.members}
        first, rest = self.ray.wait(list(by_answer), timeout=engine.start_s)
        if rest:
            patience = engine.start_s if engine.n_workers is not None else _LATE_S
            more, rest = self.ray.wait(rest, num_returns=len(rest), timeout=patience)
            first += more
        if not first or (rest and engine.n_workers is not None):
            raise ClusterError(
                f"{len(first)} of {n_wanted} workers started within {engine.start_s:g} s; the cluster has "
                f"{self.ray.cluster_resources().get('CPU', 0):g} processors, and {engine.threads_per_worker} for each "
                "worker were asked for; ask for fewer workers, or wait until others are done"
            )
        for late in rest:
            self.ray.kill(by_answer.pop(late).actor)
        self.members = [by_answer[answer] for answer in by_answer]
        for answer in by_answer:
            self._check_version(answer)

    def _check_version(self, answer: Any) -> None:
        try:
            there = self.ray.get(answer)
        except Exception as error:
            reason = str(error).strip().splitlines() or [type(error).__name__]
            raise ClusterError(
                f"a worker of the cluster cannot start: {reason[-1].strip()}; every machine needs the same Python, "
                "numpy and al-agent as this one"
            ) from error
        if there != version_here():
            raise ClusterError(
                f"a worker of the cluster has al-agent {there}, and {version_here()} is here; install the same"
            )

    def _hire_again(self) -> Any:
        """A worker where a processor is free, or after a while anywhere: the machine of a lost one may be gone."""
        actor = self._hire(self.engine.threads_per_worker)
        done, _ = self.ray.wait([actor.about.remote()], timeout=_LATE_S)
        if not done:
            self.ray.kill(actor)
            actor = self._hire(0)
        return actor

    def _load(self, members: Sequence[Member]) -> None:
        """Let workers map their rows where they can, and send the others theirs, a few pieces at a time."""
        senders = [self._pieces(member) for member, has in zip(members, self._have_read(members)) if not has]
        waiting: list[Any] = []
        for answer in (answer for turn in itertools.zip_longest(*senders) for answer in turn if answer is not None):
            waiting.append(answer)
            if len(waiting) == _PIECES_EACH * len(senders):
                done, waiting = self.ray.wait(waiting)
                self._heed(done)
        self._heed(waiting)

    def _heed(self, answers: list[Any]) -> None:
        """Raise what went wrong, but for losses: they show when the worker is called next."""
        for answer in answers:
            with suppress(*self._losses):
                self.ray.get(answer)

    def _have_read(self, members: Sequence[Member]) -> list[bool]:
        """Which workers could map their rows."""
        if self.place is None:
            return [False] * len(members)
        answers = []
        for member in members:
            n = member.stop - member.first
            rows = np.unique(np.linspace(0, n - 1, _CHECKED_ROWS).astype(np.int64))
            expected = self.points(member.first + rows)
            answers.append(member.actor.read.remote(self.place.part(slice(member.first, member.stop)), rows, expected))
        have = []
        for answer in answers:
            try:
                have.append(bool(self.ray.get(answer)))
            except self._losses:
                have.append(True)  # found out later
        return have

    def _pieces(self, member: Member) -> Iterator[Any]:
        """Send a worker its rows; a receipt for each piece."""
        vectors, n_rows = self.task.vectors, member.stop - member.first
        step = max(1, _PIECE_BYTES // (vectors.shape[1] * vectors.dtype.itemsize))
        for start in range(0, n_rows, step):
            rows = np.ascontiguousarray(vectors[member.first + start : member.first + min(start + step, n_rows)])
            yield member.actor.take.remote(start, n_rows, rows)


def n_bytes(values: Any) -> int:
    """Bytes of the arrays in nested values."""
    if isinstance(values, np.ndarray):
        return values.nbytes
    return sum(map(n_bytes, values)) if isinstance(values, tuple | list) else 0
