"""A listing is complete: what was there all the time comes once, whatever people do meanwhile."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from al_agent import Unavailable
from al_agent.platforms.paging import read_pages


def read(
    fetch: Callable[[int, int], Sequence[str]], count: Callable[[], int], page_size: int, n_parallel: int = 1
) -> list[str]:
    return list(read_pages(fetch, count, str, page_size=page_size, n_parallel=n_parallel))


def rows_of(n_rows: int) -> list[str]:
    return [f"row{number:04d}" for number in range(n_rows)]


@given(n_rows=st.integers(0, 60), page_size=st.integers(1, 25), n_parallel=st.integers(1, 4))
def test_a_list_that_holds_still_comes_whole_and_in_order(n_rows: int, page_size: int, n_parallel: int) -> None:
    rows = rows_of(n_rows)
    assert read(lambda size, start: rows[start : start + size], lambda: len(rows), page_size, n_parallel) == rows


@given(
    n_rows=st.integers(1, 40),
    page_size=st.integers(2, 12),
    changes=st.lists(
        st.one_of(st.none(), st.tuples(st.sampled_from(["delete", "insert"]), st.integers(0, 60))), max_size=12
    ),
)
def test_what_was_there_all_the_time_comes_exactly_once(
    n_rows: int, page_size: int, changes: list[tuple[str, int] | None]
) -> None:
    rows, always, waiting = rows_of(n_rows), set(rows_of(n_rows)), iter(changes)

    def change() -> None:
        event = next(waiting, None)
        if event is None:
            return
        kind, place = event
        if kind == "insert":
            rows.insert(min(place, len(rows)), f"new{len(always)}-{place}-{len(rows)}")
        elif rows:
            always.discard(rows.pop(place % len(rows)))

    def fetch(size: int, start: int) -> list[str]:
        change()
        return rows[start : start + size]

    def count() -> int:
        change()
        return len(rows)

    found = read(fetch, count, page_size)
    assert len(found) == len(set(found))
    assert always <= set(found)


@pytest.mark.parametrize("cap", [2, 3, 7, 99])
def test_a_server_that_gives_fewer_rows_than_asked_for_is_read_whole(cap: int) -> None:
    rows = rows_of(100)
    assert sorted(read(lambda size, start: rows[start : start + min(size, cap)], lambda: 100, page_size=50)) == rows


@pytest.mark.parametrize("counted", [7, 1000])
def test_a_server_that_counts_more_than_it_gives_is_at_fault(counted: int) -> None:
    rows = rows_of(6)
    with pytest.raises(Unavailable, match=re.escape(f"the server counts {counted:,} items and gave 6 in 10 passes")):
        read(lambda size, start: rows[start : start + size], lambda: counted, page_size=5)


def test_a_count_that_was_too_high_only_once_is_asked_for_again() -> None:
    rows, counts = rows_of(6), iter([9, 6, 6])
    assert read(lambda size, start: rows[start : start + size], lambda: next(counts), page_size=5) == rows


def test_a_page_that_comes_twice_is_read_again() -> None:
    rows, n_calls = rows_of(30), [0]

    def fetch(size: int, start: int) -> list[str]:
        n_calls[0] += 1
        start = 0 if n_calls[0] == 2 else start
        return rows[start : start + size]

    assert sorted(read(fetch, lambda: 30, page_size=11)) == rows
    assert n_calls[0] > 3


def test_the_same_page_for_ever_is_refused() -> None:
    with pytest.raises(Unavailable, match="counts 30 items and gave 11"):
        read(lambda size, start: rows_of(11), lambda: 30, page_size=11)


def test_rows_are_counted_as_they_come() -> None:
    rows, seen = rows_of(25), list[int]()
    found = read_pages(
        lambda size, start: rows[start : start + size], lambda: 25, str, page_size=11, n_parallel=2, on_rows=seen.append
    )
    assert list(found) == rows
    assert sum(seen) == 25
