"""Complete lists from servers that give them in numbered pages while people work on them.

Pages overlap by one row, so a list that moves under the reader shows: the first row of a page is then not the last of the
one before. The list is read again until it holds still, or until a pass finds nothing new.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import TypeVar

from ..errors import Unavailable
from .parallel import in_parallel

T = TypeVar("T")

_MAX_PASSES = 10


def read_pages(
    fetch: Callable[[int, int], Sequence[T]],
    count: Callable[[], int],
    remote_id: Callable[[T], str],
    *,
    page_size: int,
    n_parallel: int,
    on_rows: Callable[[int], object] = lambda n_rows: None,
) -> Iterator[T]:
    """Every row once, in the server's order but for rows that only a later pass found, which come last.

    Args:
        fetch: Gives at most so many rows, from a position on.
        count: Gives the number of rows that the server has now.
        remote_id: What makes a row unique.
        page_size: Rows to ask for at once.
        n_parallel: Requests under way at once.
        on_rows: Called with the number of rows that came.

    Raises:
        Unavailable: The server does not give all the rows that it counts.
    """
    seen: set[str] = set()
    n_uncounted = 0
    for n_pass in range(_MAX_PASSES):
        total = count()
        is_steady, n_new, longest, last, ids = True, 0, 0, None, list[str]()
        starts = range(0, total + n_uncounted, max(1, page_size - 1))
        for rows in in_parallel(partial(fetch, page_size), starts, n_parallel):
            ids = [remote_id(row) for row in rows]
            if ids and last is not None and page_size > 1 and ids[0] != last:
                is_steady = False
            last = ids[-1] if ids else last
            longest = max(longest, len(ids))
            n_before = len(seen)
            for row_id, row in zip(ids, rows):
                if row_id not in seen:
                    seen.add(row_id)
                    yield row
            n_new += len(seen) - n_before
            on_rows(len(seen) - n_before)
        if len(ids) == page_size > 1:  # a full last page: there are more than were counted
            n_uncounted, is_steady, n_new = max(8 * page_size, 2 * len(seen)), False, n_new or 1
        if len(seen) >= total and (is_steady or (n_pass and not n_new)):
            return
        if 1 < longest < page_size and longest < total:
            page_size = longest  # the server gives fewer rows than it was asked for
    raise Unavailable(
        f"the server counts {total:,} items and gave {len(seen):,} in {_MAX_PASSES} passes: the project changes faster than "
        "it can be listed, or the server is at fault; try again later"
    )
