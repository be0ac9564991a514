"""When the next request may go out: within the vendor's rate limit, and not before the server wants it."""

from __future__ import annotations

import threading
import time
from collections import deque

from .parallel import is_stopped, pause

_PACES: dict[tuple[str, bool], Pace] = {}
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

    def wait(self, patience_s: float = float("inf")) -> float:
        """Sleep until the next request may start, and count it.

        Args:
            patience_s: How long to wait where the server asked for a pause; the rate limit is waited for in any case.

        Returns:
            0, or the seconds that are left where that is longer than the patience, or nobody waits any more.
        """
        given_up_at = time.monotonic() + patience_s
        while True:
            held_s = self._not_before - time.monotonic()
            if held_s > 0 and time.monotonic() + held_s > given_up_at:
                return held_s
            wait_s = max(held_s, self._claim() if held_s <= 0 else 0.0)
            if wait_s <= 0:
                return 0.0
            if is_stopped():
                return wait_s
            pause(wait_s)

    def hold(self, seconds: float) -> None:
        """Start nothing for a while, because the server asked for it."""
        with self._lock:
            self._not_before = max(self._not_before, time.monotonic() + seconds)

    def limit(self, calls_per_minute: int | None) -> None:
        """Keep this limit too: of several, the strictest holds."""
        if calls_per_minute is not None:
            self._limit = calls_per_minute if self._limit is None else min(self._limit, calls_per_minute)

    def _claim(self) -> float:
        """Seconds to wait before asking again; 0 where the request is counted and may start now."""
        with self._lock:
            if self._limit is None:
                return 0.0
            now = time.monotonic()
            while self._started and self._started[0] <= now - self._window_s:
                self._started.popleft()
            if len(self._started) >= self._limit:
                return self._started[0] + self._window_s - now
            self._started.append(now)
            return 0.0


def shared_pace(origin: str, calls_per_minute: int | None) -> Pace:
    """The one pace of this process towards a server: a vendor counts calls, not connectors.

    Connectors that were told of no limit keep a pace of their own.
    """
    with _PACES_LOCK:
        pace = _PACES.setdefault((origin, calls_per_minute is None), Pace(None))
        pace.limit(calls_per_minute)
        return pace
