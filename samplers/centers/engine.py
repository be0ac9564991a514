"""Where a greedy walk runs: on this machine, by numpy, compiled or on a torch device. The picks are the same."""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from ..distances import mean_of, unit
from ..pool import Vectors
from .local import LocalCrew, frame_of
from .plain import PlainInner, PlainShard
from .shard import Frame, Shard, Task
from .walk import Crew, Inner, Rule, Steering, Walk, Walked

KERNELS = ("auto", "numpy", "numba", "torch")
_WORTH_COMPILING = 2e10
"""Coordinates that the naive loop would read in some seconds; below, loading the compiler costs more than it saves."""


class Engine(Protocol):
    """Opens the shards of a task."""

    def open(self, task: Task, frame: Frame) -> AbstractContextManager[tuple[Crew, Inner]]:
        """The shards, for as long as the context lasts, and what picks among candidates."""


@dataclass(frozen=True)
class LocalEngine:
    """This machine.

    Args:
        kernels: `numpy`; `numba`, the compiled kernels of the extra `fast`; `torch`, for a device; or `auto`, which takes
            the compiled ones if they are installed and the work is worth it.
        n_threads: Threads of the compiled kernels; None takes one for each processor.
        device: Device of torch, such as `cuda`; it implies `kernels="torch"`.

    Raises:
        ValueError: An option is out of range.
        ImportError: What was asked for is not installed.
    """

    kernels: str = "auto"
    n_threads: int | None = None
    device: str | None = None

    def __post_init__(self) -> None:
        if self.kernels not in KERNELS:
            raise ValueError(f"kernels is {self.kernels!r}; expected one of {', '.join(KERNELS)}")
        if self.device is not None and self.kernels not in ("auto", "torch"):
            raise ValueError(f"device is {self.device!r} and kernels {self.kernels!r}; only torch has devices")
        if self.n_threads is not None and self.n_threads < 1:
            raise ValueError(f"n_threads is {self.n_threads!r}; expected at least 1")

    @contextmanager
    def open(self, task: Task, frame: Frame) -> Iterator[tuple[Crew, Inner]]:
        """One shard."""
        kernels = self.kernels_for(task)
        inner: Inner = PlainInner(frame, task.goal)
        shard: Shard
        if kernels == "numba":
            from .compiled import CompiledInner, CompiledShard  # noqa: PLC0415  # numba is an extra

            inner = CompiledInner(frame, task.goal)
            shard = CompiledShard(task, frame, n_threads=self.n_threads or n_processors())
        elif kernels == "torch":
            from .on_torch import TorchShard  # noqa: PLC0415  # torch is an extra

            shard = TorchShard(task, frame, device=self.device or "cpu")
        else:
            shard = PlainShard(task, frame)
        yield LocalCrew(shard), inner

    def kernels_for(self, task: Task) -> str:
        """The kernels that a task gets."""
        if self.kernels == "auto" and self.device is not None:
            return "torch"
        is_native = task.vectors.dtype in (np.float16, np.float32, np.float64) and task.vectors.dtype.isnative
        if self.kernels == "numba" and not is_native:  # the compiler knows no others
            return "numpy"
        if self.kernels != "auto":
            return self.kernels
        work = task.vectors.shape[0] * task.vectors.shape[1] * (len(task.start) + task.n_picks)
        is_worth_it = is_native and ("numba" in sys.modules or work > _WORTH_COMPILING)
        return "numba" if is_worth_it and importlib.util.find_spec("numba") is not None else "numpy"


def n_processors() -> int:
    """Processors that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return max(1, len(os.sched_getaffinity(0)))
    return max(1, os.cpu_count() or 1)


def check_engine(engine: object) -> None:
    """Raise unless it is an engine."""
    if not callable(getattr(engine, "open", None)):
        raise ValueError(f"engine is {engine!r}; expected an engine, such as LocalEngine()")


def run(task: Task, engine: Engine, on_pick: Callable[[int], object], rule: Rule | None = None) -> Walked:
    """Do a task. If no row is a center at the beginning, the first pick is measured from the mean of the pool."""
    frame = frame_of(task.vectors)
    origin = None
    if not len(task.start):
        origin = mean_of(task.vectors)
        if task.goal.is_cosine:
            origin = unit(origin)
    with engine.open(task, frame) as (crew, inner):
        walk = Walk(
            crew,
            task.n_picks,
            start=task.start,
            goal=task.goal,
            inner=inner if rule is None else PlainInner(frame, task.goal, rule),
            steering=Steering(*task.vectors.shape),
            on_pick=on_pick,
            rule=rule,
        )
        return walk.run(origin)


def is_on_disk(vectors: Vectors) -> bool:
    """Whether an array is a view of a memory-mapped file."""
    array: object = vectors
    while array is not None:
        if isinstance(array, np.memmap):
            return True
        array = getattr(array, "base", None)
    return False
