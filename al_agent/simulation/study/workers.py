"""Runs shared among processes, each started anew, so that nothing depends on how many there are."""

from __future__ import annotations

import concurrent.futures
import functools
import multiprocessing
import multiprocessing.connection
import os
import pickle
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures.process import BrokenProcessPool
from typing import TypeVar, cast

from ...errors import AgentError

_Task = TypeVar("_Task")
_Result = TypeVar("_Result")


class WorkerLost(AgentError):
    """A process that ran a part of a study ended before it."""


def in_processes(
    work: Callable[[_Task], _Result], tasks: Sequence[_Task], n_workers: int, *, culprit: str
) -> Iterator[_Result]:
    """What `work` gives for each task, in the order in which they end.

    Args:
        work: Must be picklable; so what it holds, which goes to each process once.
        tasks: Picklable.
        n_workers: Processes; they end when this one does, however it ends.
        culprit: What most probably cannot be pickled, for the message.

    Raises:
        ValueError: `work` cannot be pickled.
        WorkerLost: A process was killed, or could not begin.
    """
    try:
        packed = pickle.dumps(work)
    except Exception as error:  # each object refuses in its own way
        raise ValueError(
            f"{culprit} cannot be sent to other processes: {error}; define it at the top level of a module, or take "
            "n_workers=1"
        ) from error
    context = multiprocessing.get_context("spawn")
    executor = concurrent.futures.ProcessPoolExecutor(n_workers, mp_context=context, initializer=_begin, initargs=(packed,))
    try:
        for future in concurrent.futures.as_completed([executor.submit(_call, task) for task in tasks]):
            yield cast(_Result, future.result())
    except BrokenProcessPool as error:
        raise WorkerLost(
            "a process of the study was killed (out of memory?) or could not begin (a script starts studies below "
            f"if __name__ == '__main__': and {culprit} is in a module that can be imported); finished runs are kept, so "
            "start again, with fewer workers"
        ) from error
    finally:
        executor.shutdown(wait=True, cancel_futures=True)


_packed: list[bytes] = []


def _begin(packed: bytes) -> None:
    _packed.append(packed)
    _end_with_parent()


@functools.lru_cache(maxsize=1)
def _unpacked() -> Callable[[object], object]:
    work: Callable[[object], object] = pickle.loads(_packed[0])  # what this very program packed
    _packed.clear()
    return work


def _call(task: object) -> object:
    return _unpacked()(task)


def _end_with_parent() -> None:
    """A process whose parent was killed would wait for work forever."""
    parent = multiprocessing.parent_process()
    assert parent is not None

    def watch() -> None:
        multiprocessing.connection.wait([parent.sentinel])
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
