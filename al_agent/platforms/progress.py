"""Progress bars of long listings and pushes."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

from .connection import Connection

_QUIET_FOR_S = 1.0  # what is done sooner needs no bar


@contextlib.contextmanager
def bar(connection: Connection, what: str, total: int | None) -> Iterator[Callable[[int], object]]:
    """A bar on standard error that shows after a second; gives the function that moves it on."""
    from tqdm import tqdm  # noqa: PLC0415  # most calls are over before it would be needed

    disable = None if connection.show_progress is None else not connection.show_progress
    with tqdm(total=total, desc=what, unit="", disable=disable, delay=_QUIET_FOR_S, leave=False) as shown:
        yield shown.update
