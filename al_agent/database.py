"""A SQLite file that several processes use at once, survives a kill at any point, and fails in plain words."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import uuid
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from .errors import AgentError

_WAIT_FOR_OTHER_PROCESS_S = 60.0
_SIDECARS = ("-wal", "-shm")


class Database:
    """One file with one schema; every transaction opens its own connection, so threads and forks are no danger.

    Args:
        path: The file.
        kind: What it is, for messages: `project` or `journal`.
        application_id: Number that marks files of this kind (SQLite's `application_id`).
        version: Version of the schema (SQLite's `user_version`).
        schema: Statements that make an empty file one of this kind, an empty line between them.
        upgrades: Statements that make a file of an earlier version one of the next; done when it is first written to.
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
        upgrades: Mapping[int, str] | None = None,
    ) -> None:
        self.path = path.absolute()
        self._kind = kind
        self._application_id = application_id
        self._version = version
        self._schema = schema
        self._upgrades = upgrades or {}
        self._damaged = damaged
        self._unavailable = unavailable

    @property
    def is_there(self) -> bool:
        """Whether the file exists."""
        try:
            self.path.stat()
        except (FileNotFoundError, NotADirectoryError):
            return False
        except OSError as error:
            raise self._unavailable(f"{self._kind} '{self.path}' cannot be looked at: {error.strerror or error}") from error
        return True

    def create(self, fill: Callable[[sqlite3.Connection], object]) -> bool:
        """Make the file, with what `fill` writes, whole or not at all.

        Returns:
            Whether it was made; False where another process made one first, which stays as it is.
        """
        for suffix in _SIDECARS:
            leftover = Path(f"{self.path}{suffix}")
            if leftover.exists() and not self.is_there:
                raise self._unavailable(
                    f"'{leftover}' is left over from another {self._kind}, and would spoil a new one; move it away"
                )
        unfinished = self.path.with_name(f".{self.path.name}.{uuid.uuid4().hex}.part")
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with self._translating(), contextlib.closing(self._connect(unfinished, "mode=rwc")) as connection:
                self._prepare_for_writing(connection)
                connection.execute("BEGIN IMMEDIATE")
                _execute_all(connection, self._schema)
                connection.execute(f"PRAGMA application_id = {self._application_id}")
                connection.execute(f"PRAGMA user_version = {self._version}")
                fill(connection)
                connection.execute("COMMIT")
            return self._publish(unfinished)
        except OSError as error:
            raise self._unavailable(f"{self._kind} '{self.path}' cannot be made: {error.strerror or error}") from error
        finally:
            for suffix in ("", *_SIDECARS):
                with contextlib.suppress(OSError):
                    Path(f"{unfinished}{suffix}").unlink(missing_ok=True)

    def _publish(self, unfinished: Path) -> bool:
        try:
            os.link(unfinished, self.path)  # unlike a rename, never over a file that is there
        except FileExistsError:
            return False
        except OSError:  # a disk without hard links
            if self.is_there:
                return False
            unfinished.replace(self.path)
        return True

    @contextlib.contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """One consistent view of the file, whatever others write meanwhile."""
        with self._translating(), contextlib.closing(self._open_for_reading()) as connection:
            self._check_identity(connection)
            connection.execute("BEGIN")
            yield connection

    @contextlib.contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """All that the block writes, or nothing: closing the connection takes an open transaction back."""
        with self._translating(), contextlib.closing(self._connect(self.path, "mode=rw")) as connection:
            self._check_identity(connection)
            self._prepare_for_writing(connection)
            connection.execute("BEGIN IMMEDIATE")
            self._upgrade(connection)
            yield connection
            connection.execute("COMMIT")

    def _upgrade(self, connection: sqlite3.Connection) -> None:
        found: int = connection.execute("PRAGMA user_version").fetchone()[0]
        for version in range(found, self._version):
            _execute_all(connection, self._upgrades[version])
            connection.execute(f"PRAGMA user_version = {version + 1}")

    @staticmethod
    def _connect(path: Path, query: str) -> sqlite3.Connection:
        return sqlite3.connect(f"{path.as_uri()}?{query}", uri=True, timeout=_WAIT_FOR_OTHER_PROCESS_S, isolation_level=None)

    @staticmethod
    def _prepare_for_writing(connection: sqlite3.Connection) -> None:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")

    def _open_for_reading(self) -> sqlite3.Connection:
        if _is_writable(self.path):
            return self._connect(self.path, "mode=rw")
        # Without the right to write, the log's sidecar files can be read but not made. Where there is no log, the file
        # alone is complete.
        connection = self._connect(self.path, "mode=ro")
        try:
            connection.execute("SELECT count(*) FROM sqlite_master")
        except sqlite3.OperationalError:
            connection.close()
            if Path(f"{self.path}-wal").exists():
                raise
            return self._connect(self.path, "mode=ro&immutable=1")
        return connection

    def _check_identity(self, connection: sqlite3.Connection) -> None:
        application_id: int = connection.execute("PRAGMA application_id").fetchone()[0]
        version: int = connection.execute("PRAGMA user_version").fetchone()[0]
        if application_id != self._application_id:
            raise self._damaged(f"'{self.path}' is no al-agent {self._kind}, though its name says so; move it away")
        if version > self._version:
            raise self._damaged(
                f"'{self.path}' was written by a newer al-agent (format {version}, this one knows {self._version}); "
                "upgrade al-agent"
            )

    @contextlib.contextmanager
    def _translating(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.ProgrammingError, sqlite3.InterfaceError, sqlite3.IntegrityError):
            raise  # a mistake in the code above, not in the file
        except sqlite3.OperationalError as error:
            raise self._unavailable(f"{self._kind} '{self.path}': {self._explained(str(error))}") from error
        except sqlite3.DatabaseError as error:
            raise self._damaged(
                f"{self._kind} '{self.path}' is damaged ({error}); move it away together with the files that have its name "
                "and -wal or -shm, and put back a copy of all of them, or start anew"
            ) from error

    def _explained(self, text: str) -> str:
        if "locked" in text:
            return f"another process has been writing to it for {_WAIT_FOR_OTHER_PROCESS_S:.0f} s; try again"
        if "full" in text:
            return "it cannot be written: the disk is full. Nothing was changed; make room and try again"
        if "readonly" in text or ("unable to open" in text and self.path.exists() and not _is_writable(self.path)):
            return "it cannot be written: the file or its folder is read-only, or others are writing to it"
        if "unable to open" in text:
            return "it cannot be opened: the folder is missing, or the file may not be read"
        if "disk I/O" in text:
            return "the disk is full or fails. Nothing was changed; make room and try again"
        return f"{text}; nothing was changed"


def _execute_all(connection: sqlite3.Connection, statements: str) -> None:
    for statement in statements.split(";\n\n"):
        connection.execute(statement)


def _is_writable(path: Path) -> bool:
    """Whether a file and its folder may be written."""
    return os.access(path, os.W_OK) and os.access(path.parent, os.W_OK)
