"""Several requests under way at once, in order and bounded."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")

_OF_THIS_THREAD = threading.local()


def in_parallel(function: Callable[[T], R], inputs: Iterable[T], n_parallel: int) -> Iterator[R]:
    """`map` with `n_parallel` calls under way; results come in the order of the inputs, which are drawn as needed.

    An exception of a call comes out in its turn. Then, as after an interrupt, calls that have not begun are left out, and
    those under way find `is_stopped`.
    """
    if n_parallel == 1:
        yield from map(function, inputs)
        return
    stop = threading.Event()
    pool = ThreadPoolExecutor(n_parallel, thread_name_prefix="al-agent")
    waiting: deque[Future[R]] = deque()
    try:
        for value in inputs:
            waiting.append(pool.submit(partial(_call, function, value, stop)))
            if len(waiting) > n_parallel:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        stop.set()
        pool.shutdown(wait=True, cancel_futures=True)


def is_stopped() -> bool:
    """Whether nobody waits for this thread's work any more."""
    stop: threading.Event | None = getattr(_OF_THIS_THREAD, "stop", None)
    return stop is not None and stop.is_set()


def pause(seconds: float) -> None:
    """Sleep, but not longer than somebody waits for this thread's work."""
    stop: threading.Event | None = getattr(_OF_THIS_THREAD, "stop", None)
    if stop is None:
        time.sleep(seconds)
    else:
        stop.wait(seconds)


def _call(function: Callable[[T], R], value: T, stop: threading.Event) -> R:
    _OF_THIS_THREAD.stop = stop
    return function(value)
