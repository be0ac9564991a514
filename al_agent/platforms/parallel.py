"""Several requests under way at once, in order and bounded."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")


def in_parallel(function: Callable[[T], R], inputs: Iterable[T], n_parallel: int) -> Iterator[R]:
    """`map` with `n_parallel` calls under way; results come in the order of the inputs, which are drawn as needed.

    An exception of a call comes out in its turn, and calls that have not begun are left out then.
    """
    if n_parallel == 1:
        yield from map(function, inputs)
        return
    pool = ThreadPoolExecutor(n_parallel, thread_name_prefix="al-agent")
    waiting: deque[Future[R]] = deque()
    try:
        for value in inputs:
            waiting.append(pool.submit(function, value))
            if len(waiting) > n_parallel:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
