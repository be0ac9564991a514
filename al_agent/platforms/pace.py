"""When the next request may go out: within the vendor's rate limit, and not before the server wants it."""

from __future__ import annotations

import threading
import time
from collections import deque

_PACES: dict[tuple[str, int | None], Pace] = {}
_PACES_LOCK = threading.Lock()


class Pace:
    """Lets at most so many requests start in any 60 seconds, from all threads together.

    Args:
        calls_per_minute: The vendor's limit; None for no limit.
        window_s: Length of the window in seconds.
    """

    def __init__(self, calls_per_minute: int | None, *, window_s: float = 60.0) -> None:
        self._limit = calls_per_minute
        self._window_s = window_s
        self._started: deque[float] = deque()
        self._not_before = 0.0
        self._lock = threading.Lock()

    def wait(self) -> None:
        """Sleep until the next request may start, and count it."""
        while (pause_s := self._claim()) > 0:
            time.sleep(pause_s)

    def hold(self, seconds: float) -> None:
        """Start nothing for a while, because the server asked for it."""
        with self._lock:
            self._not_before = max(self._not_before, time.monotonic() + seconds)

    def _claim(self) -> float:
        """Seconds to wait before asking again; 0 where the request may start now."""
        with self._lock:
            now = time.monotonic()
            if now < self._not_before:
                return self._not_before - now
            if self._limit is None:
                return 0.0
            while self._started and self._started[0] <= now - self._window_s:
                self._started.popleft()
            if len(self._started) >= self._limit:
                return self._started[0] + self._window_s - now
            self._started.append(now)
            return 0.0


def shared_pace(origin: str, calls_per_minute: int | None) -> Pace:
    """The one pace of this process towards a server: a vendor counts calls, not connectors."""
    with _PACES_LOCK:
        return _PACES.setdefault((origin, calls_per_minute), Pace(calls_per_minute))
