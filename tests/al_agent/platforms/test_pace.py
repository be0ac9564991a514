"""The vendor's rate limit holds for all threads together, and a server's wish to wait for all of them."""

from __future__ import annotations

import threading
import time

from al_agent.platforms.pace import Pace, shared_pace

WINDOW_S = 0.2


def starts_of(pace: Pace, n_threads: int, n_each: int) -> list[float]:
    started: list[float] = []

    def work() -> None:
        for _ in range(n_each):
            pace.wait()
            started.append(time.monotonic())

    threads = [threading.Thread(target=work) for _ in range(n_threads)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sorted(started)


def test_no_window_holds_more_than_the_limit_whatever_the_threads() -> None:
    limit = 5
    started = starts_of(Pace(limit, window_s=WINDOW_S), n_threads=8, n_each=2)
    assert len(started) == 16
    gaps = [later - first for first, later in zip(started, started[limit:])]
    assert min(gaps) > 0.9 * WINDOW_S  # a thread may note its start a little late
    assert started[limit - 1] - started[0] < WINDOW_S
    assert started[-1] - started[0] > 2.9 * WINDOW_S


def test_without_a_limit_nobody_waits() -> None:
    started = starts_of(Pace(None), n_threads=4, n_each=50)
    assert started[-1] - started[0] < 1.0


def test_a_hold_stops_all_threads_and_a_shorter_one_does_not_shorten_it() -> None:
    pace, begun = Pace(None), time.monotonic()
    pace.hold(0.15)
    pace.hold(0.01)
    started = starts_of(pace, n_threads=4, n_each=1)
    assert min(started) - begun >= 0.15


def test_all_connectors_to_one_server_share_one_pace() -> None:
    one = shared_pace("https://one.example.com", 500)
    assert shared_pace("https://one.example.com", 500) is one
    assert shared_pace("https://other.example.com", 500) is not one
