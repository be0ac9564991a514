"""A file that one process holds, and lets go of when it ends, however it ends."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path

from ...errors import AgentError


class InUse(AgentError):
    """Another process, or another thread of this one, holds the file."""


@contextlib.contextmanager
def held(path: Path, otherwise: str) -> Iterator[None]:
    """Hold a file, which is made where there is none and stays.

    The lock is that of a SQLite file: the system's own, which it takes back from a process that was killed, on Windows too.

    Args:
        path: The file, in a folder that is there.
        otherwise: What to say where another process holds it.

    Raises:
        InUse: Another process holds it.
        OSError: It cannot be made or locked.
    """
    with contextlib.closing(sqlite3.connect(path, timeout=0, isolation_level=None)) as connection:
        try:
            connection.execute("PRAGMA journal_mode = MEMORY")  # no second file beside it
            connection.execute("BEGIN EXCLUSIVE")
        except sqlite3.Error as error:
            if "locked" in str(error):
                raise InUse(otherwise) from error
            raise OSError(f"'{path}' cannot be locked: {error}") from error
        yield
