"""A SQLite file that several processes use at once, survives a kill at any point, and fails in plain words."""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path

from .errors import AgentError

_WAIT_FOR_OTHER_PROCESS_S = 60.0


class Database:
    """One file with one schema; every transaction opens its own connection, so threads and forks are no danger.

    Args:
        path: The file.
        kind: What it is, for messages: `project` or `journal`.
        application_id: Number that marks files of this kind (SQLite's `application_id`).
        version: Version of the schema (SQLite's `user_version`).
        schema: Statements that make an empty file one of this kind.
        damaged: Error for a file that cannot be read as one of this kind.
        unavailable: Error for a file that cannot be opened or written now.
    """

    def __init__(
        self,
        path: Path,
        *,
        kind: str,
        application_id: int,
        version: int,
        schema: str,
        damaged: type[AgentError],
        unavailable: type[AgentError],
    ) -> None:
        self.path = path
        self._kind = kind
        self._application_id = application_id
        self._version = version
        self._schema = schema
        self._damaged = damaged
        self._unavailable = unavailable

    @property
    def is_there(self) -> bool:
        """Whether the file exists and is not empty."""
        try:
            return self.path.stat().st_size > 0
        except OSError:
            return False

    @contextlib.contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """One consistent view of the file, whatever others write meanwhile."""
        with self._connection(for_writing=False) as connection:
            connection.execute("BEGIN")
            yield connection
            connection.execute("ROLLBACK")

    @contextlib.contextmanager
    def writing(self, *, create: bool = False) -> Iterator[sqlite3.Connection]:
        """All that the block writes, or nothing; with `create`, an empty or missing file is made one of this kind."""
        with self._connection(for_writing=True, create=create) as connection:
            connection.execute("BEGIN IMMEDIATE")
            if create and self._identity(connection) == (0, 0):
                for statement in self._schema.split(";\n\n"):
                    connection.execute(statement)
                connection.execute(f"PRAGMA application_id = {self._application_id}")
                connection.execute(f"PRAGMA user_version = {self._version}")
            yield connection
            connection.execute("COMMIT")

    @contextlib.contextmanager
    def _connection(self, *, for_writing: bool, create: bool = False) -> Iterator[sqlite3.Connection]:
        try:
            connection = self._open(for_writing=for_writing, create=create)
            try:
                yield connection
            finally:  # an open transaction is rolled back
                connection.close()
        except sqlite3.Error as error:
            raise self._translated(error) from error

    def _open(self, *, for_writing: bool, create: bool) -> sqlite3.Connection:
        # The sidecar files of the write-ahead log cannot be made in a read-only folder; then the file stands alone.
        is_frozen = not for_writing and not _is_writable(self.path.parent)
        query = "mode=ro&immutable=1" if is_frozen else f"mode={'rwc' if create else 'rw'}"
        connection = sqlite3.connect(
            f"{self.path.absolute().as_uri()}?{query}",
            uri=True,
            timeout=_WAIT_FOR_OTHER_PROCESS_S,
            isolation_level=None,
        )
        try:
            if not is_frozen:
                connection.execute("PRAGMA journal_mode = WAL")
                connection.execute("PRAGMA synchronous = FULL")
            if not (create and self._identity(connection) == (0, 0)):
                self._check_identity(connection)
        except BaseException:
            connection.close()
            raise
        return connection

    def _identity(self, connection: sqlite3.Connection) -> tuple[int, int]:
        application_id: int = connection.execute("PRAGMA application_id").fetchone()[0]
        version: int = connection.execute("PRAGMA user_version").fetchone()[0]
        return application_id, version

    def _check_identity(self, connection: sqlite3.Connection) -> None:
        application_id, version = self._identity(connection)
        if application_id != self._application_id:
            raise self._damaged(f"'{self.path}' is a database, but no al-agent {self._kind}")
        if version > self._version:
            raise self._damaged(
                f"'{self.path}' was written by a newer al-agent (format {version}, this one knows {self._version}); "
                "upgrade al-agent"
            )

    def _translated(self, error: sqlite3.Error) -> AgentError:
        text = str(error)
        if isinstance(error, sqlite3.OperationalError) or "locked" in text:
            if "locked" in text:
                why = f"another process has been writing to it for {_WAIT_FOR_OTHER_PROCESS_S:.0f} s; try again"
            elif "readonly" in text or not _is_writable(self.path.parent):
                why = "it cannot be written: the folder is read-only"
            elif "full" in text:
                why = "it cannot be written: the disk is full. Nothing was changed; make room and try again"
            elif "unable to open" in text:
                why = "it cannot be opened: the folder is missing, or the file may not be read"
            else:
                why = f"{text}; nothing was changed"
            return self._unavailable(f"{self._kind} '{self.path}': {why}")
        if isinstance(error, sqlite3.DatabaseError) and not isinstance(error, sqlite3.IntegrityError):
            return self._damaged(
                f"{self._kind} '{self.path}' is damaged ({text}); put back a copy, or move it away and start anew"
            )
        return self._unavailable(f"{self._kind} '{self.path}': {text}; nothing was changed")


def _is_writable(folder: Path) -> bool:
    """Whether files can be made in an existing folder."""
    return not folder.is_dir() or os.access(folder, os.W_OK)
