"""One thread for matrix products while several threads of our own make them."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator


class _OneThread:
    """Counts who is inside, so that the limit is set by the first and lifted by the last."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._n_inside = 0
        self._limit = contextlib.ExitStack()

    def enter(self) -> None:
        from threadpoolctl import threadpool_limits  # scikit-learn needs it too  # noqa: PLC0415

        with self._lock:
            if not self._n_inside:
                self._limit.enter_context(threadpool_limits(1, user_api="blas"))
            self._n_inside += 1

    def leave(self) -> None:
        with self._lock:
            self._n_inside -= 1
            if not self._n_inside:
                self._limit.close()


_one_thread = _OneThread()


@contextlib.contextmanager
def one_blas_thread() -> Iterator[None]:
    """While any thread is inside, matrix products take one thread each; when the last one leaves, as many as before.

    Many small products made by several threads at once are faster so, most of all on a busy machine, where the threads of
    a product wait for each other; and their last bits do not depend on the number of processors.
    """
    _one_thread.enter()
    try:
        yield
    finally:
        _one_thread.leave()
