"""The append-only record of rounds: what was asked, what was picked and why, what the platform answered."""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import numpy as np

from samplers import Selection

from .config import SamplerConfig
from .database import Database
from .errors import JournalError
from .home import home_folder
from .platforms.base import Guess, Platform, PushReport

FILE_NAME = "al-agent-rounds.sqlite"

_SCHEMA = """\
CREATE TABLE rounds (
    project TEXT NOT NULL,
    number INTEGER NOT NULL,
    created_at TEXT NOT NULL,
    content TEXT NOT NULL,
    PRIMARY KEY (project, number)
) WITHOUT ROWID;

CREATE TABLE picks (
    project TEXT NOT NULL,
    number INTEGER NOT NULL,
    place INTEGER NOT NULL,
    item_id TEXT NOT NULL,
    gain REAL NOT NULL,
    reason TEXT NOT NULL,
    PRIMARY KEY (project, number, place)
) WITHOUT ROWID;

CREATE TABLE attempts (
    id INTEGER PRIMARY KEY,
    project TEXT NOT NULL,
    number INTEGER NOT NULL,
    begun_at TEXT NOT NULL
);

CREATE TABLE pushes (
    id INTEGER PRIMARY KEY,
    project TEXT NOT NULL,
    number INTEGER NOT NULL,
    pushed_at TEXT NOT NULL,
    content TEXT NOT NULL
)
"""

_GUESSES = """\
CREATE TABLE guesses (
    project TEXT NOT NULL,
    number INTEGER NOT NULL,
    item_id TEXT NOT NULL,
    content TEXT NOT NULL,
    PRIMARY KEY (project, number, item_id)
) WITHOUT ROWID
"""


def _append_only(*tables: str) -> str:
    return ";\n\n".join(
        f"CREATE TRIGGER {table}_{event} BEFORE {event} ON {table} "
        "BEGIN SELECT RAISE(ABORT, 'the journal is append-only'); END"
        for table in tables
        for event in ("UPDATE", "DELETE")
    )


_VERSION_1 = f"{_SCHEMA};\n\n{_append_only('rounds', 'picks', 'attempts', 'pushes')}"
_TO_VERSION_2 = f"{_GUESSES};\n\n{_append_only('guesses')}"


@dataclass(frozen=True)
class Push:
    """One attempt to bring a round to the platform.

    Args:
        pushed_at: When it ended, UTC.
        counts: Number of items updated, unchanged, declined, failed, not sent, taken back.
        problems: Item id to reason, for those declined or failed.
        is_complete: Whether nothing was left to do.
    """

    pushed_at: datetime
    counts: dict[str, int]
    problems: dict[str, str]
    is_complete: bool


@dataclass(frozen=True, repr=False)
class Round:
    """One query: what was asked, on what, and what came of it.

    Args:
        number: 1 for the project's first.
        name: Readable name.
        created_at: When it was picked, UTC.
        config: What was asked.
        score: The score column used; None if none.
        scores_digest: SHA-256 of the scores used; None if none.
        embeddings_digest: SHA-256 of the embeddings used; None if none.
        counts: Number of items in each state when it was picked.
        notes: What should be known of the round.
        selection: The picks, best first, with gains and reasons.
        pushes: The attempts to bring it to the platform, oldest first.
    """

    number: int
    name: str
    created_at: datetime
    config: SamplerConfig
    score: str | None
    scores_digest: str | None
    embeddings_digest: str | None
    counts: dict[str, int]
    notes: tuple[str, ...]
    selection: Selection
    pushes: tuple[Push, ...] = ()

    def __repr__(self) -> str:
        state = "pushed" if self.is_pushed else "not pushed"
        return f"Round({self.number}, {self.name!r}, {self.created_at:%Y-%m-%d %H:%M} UTC, {self.selection!r}, {state})"

    @property
    def is_pushed(self) -> bool:
        """Whether the last push reached the platform and left nothing to do."""
        return bool(self.pushes) and self.pushes[-1].is_complete


class Journal:
    """The rounds of one project in a SQLite file, which other projects may share.

    The file is made when the first round is written. A round is in it whole or not at all, and nothing in it is changed
    afterwards. It holds no key and no image.

    Args:
        path: The file.
        project: The project's key.
    """

    def __init__(self, path: str | os.PathLike[str], *, project: str) -> None:
        self._project = project
        self._database = Database(
            _checked(path),
            kind="journal",
            application_id=0x414C4A31,
            version=2,
            schema=f"{_VERSION_1};\n\n{_TO_VERSION_2}",
            upgrades={1: _TO_VERSION_2},
            damaged=JournalError,
            unavailable=JournalError,
        )

    @property
    def path(self) -> Path:
        """The file."""
        return self._database.path

    def add_round(self, draft: Round, guesses: Mapping[str, Sequence[Guess]] | None = None) -> Round:
        """Write a round with the next number, and give it back with number and name.

        Args:
            draft: The round.
            guesses: What annotators are to be shown with its picks, kept for a push by another process.
        """
        if not self._database.is_there:
            self._database.create(lambda _: None)
        with self._database.writing() as connection:
            (last,) = connection.execute(
                "SELECT coalesce(max(number), 0) FROM rounds WHERE project = ?", (self._project,)
            ).fetchone()
            number: int = last + 1
            name = draft.name or f"round-{number}-{str(draft.config.method).lower()}"
            content = {
                "name": name,
                "config": draft.config.to_dict(),
                "score": draft.score,
                "scores_digest": draft.scores_digest,
                "embeddings_digest": draft.embeddings_digest,
                "counts": draft.counts,
                "notes": draft.notes,
                "method": draft.selection.method,
                "selection_note": draft.selection.note,
            }
            connection.execute(
                "INSERT INTO rounds VALUES (?, ?, ?, ?)",
                (self._project, number, draft.created_at.isoformat(), json.dumps(content)),
            )
            selection = draft.selection
            connection.executemany(
                "INSERT INTO picks VALUES (?, ?, ?, ?, ?, ?)",
                (
                    (self._project, number, place, *pick)
                    for place, pick in enumerate(zip(selection.item_ids, selection.gains.tolist(), selection.reasons))
                ),
            )
            connection.executemany(
                "INSERT INTO guesses VALUES (?, ?, ?, ?)",
                ((self._project, number, item_id, json.dumps(those)) for item_id, those in (guesses or {}).items()),
            )
        return replace(draft, number=number, name=name)

    def begin_push(self, number: int) -> bool:
        """Note that a round is about to be sent, so that its boosts are known even if nothing is heard of it again.

        Returns:
            Whether it is the project's last round; if not, another process has made a newer one, and nothing is noted.
        """
        with self._database.writing() as connection:
            (last,) = connection.execute("SELECT max(number) FROM rounds WHERE project = ?", (self._project,)).fetchone()
            if last == number:
                connection.execute(
                    "INSERT INTO attempts (project, number, begun_at) VALUES (?, ?, ?)",
                    (self._project, number, now().isoformat()),
                )
        return bool(last == number)

    def add_push(self, number: int, report: PushReport) -> Push:
        """Write what the platform answered to a push of this round."""
        at = now()
        content = {
            "counts": report.counts(),
            "problems": {**report.declined, **report.failed},
            "is_complete": report.is_complete,
        }
        with self._database.writing() as connection:
            connection.execute(
                "INSERT INTO pushes (project, number, pushed_at, content) VALUES (?, ?, ?, ?)",
                (self._project, number, at.isoformat(), json.dumps(content)),
            )
        return Push(at, report.counts(), {**report.declined, **report.failed}, report.is_complete)

    def rounds(self) -> tuple[Round, ...]:
        """All rounds of the project, oldest first."""
        return self._read(last_only=False)

    def last_round(self) -> Round | None:
        """The project's last round; None before the first."""
        return next(iter(self._read(last_only=True)), None)

    def boosted_before(self, number: int) -> tuple[str, ...]:
        """Every item of a round before this one that was sent to the platform, or begun to be; once each, sorted."""
        with self._database.reading() as connection:
            rows = connection.execute(
                "SELECT DISTINCT item_id FROM picks WHERE project = ? AND number < ? AND number IN "
                "(SELECT number FROM attempts WHERE project = ?) ORDER BY item_id",
                (self._project, number, self._project),
            )
            return tuple(item_id for (item_id,) in rows)

    def guesses(self, number: int) -> dict[str, tuple[Guess, ...]]:
        """What annotators are to be shown with the picks of a round."""
        with self._database.reading() as connection:
            if not connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'guesses'").fetchone():
                return {}  # written by an earlier version
            rows = connection.execute(
                "SELECT item_id, content FROM guesses WHERE project = ? AND number = ?", (self._project, number)
            )
            return {item_id: tuple(_guess(*one) for one in json.loads(content)) for item_id, content in rows}

    def _read(self, *, last_only: bool) -> tuple[Round, ...]:
        if not self._database.is_there:
            return ()
        with self._database.reading() as connection:
            found = connection.execute(
                "SELECT number, created_at, content FROM rounds WHERE project = ? ORDER BY number DESC LIMIT ?",
                (self._project, 1 if last_only else -1),
            ).fetchall()
            return tuple(
                _round(
                    number,
                    created_at,
                    json.loads(content),
                    picks=connection.execute(
                        "SELECT item_id, gain, reason FROM picks WHERE project = ? AND number = ? ORDER BY place",
                        (self._project, number),
                    ),
                    pushes=connection.execute(
                        "SELECT pushed_at, content FROM pushes WHERE project = ? AND number = ? ORDER BY id",
                        (self._project, number),
                    ),
                )
                for number, created_at, content in reversed(found)
            )


def _guess(label: str, score: float, box: list[float] | None) -> Guess:
    return Guess(label, score, None if box is None else (box[0], box[1], box[2], box[3]))


def _round(
    number: int,
    created_at: str,
    content: dict[str, Any],
    picks: Iterable[tuple[str, float, str]],
    pushes: Iterable[tuple[str, str]],
) -> Round:
    ids, gains, reasons = tuple(zip(*picks)) or ((), (), ())
    return Round(
        number=number,
        name=content["name"],
        created_at=datetime.fromisoformat(created_at),
        config=SamplerConfig(**content["config"]),
        score=content["score"],
        scores_digest=content["scores_digest"],
        embeddings_digest=content["embeddings_digest"],
        counts=content["counts"],
        notes=tuple(content["notes"]),
        selection=Selection(ids, np.array(gains), reasons, content["method"], content["selection_note"]),
        pushes=tuple(Push(datetime.fromisoformat(at), **json.loads(answer)) for at, answer in pushes),
    )


def _checked(path: str | os.PathLike[str]) -> Path:
    if not os.fspath(path):
        raise ValueError("journal is the empty path; give a file, or None for the default place")
    return Path(path).expanduser().absolute()


def now() -> datetime:
    """The time, UTC."""
    return datetime.now(timezone.utc)


def default_path(platform: Platform) -> Path:
    """Where a project's journal is kept unless told otherwise.

    In the project's own folder where it has one; else below the folder named by the environment variable `AL_AGENT_HOME`,
    or `~/.al-agent`, which a notebook and a cron job of the same user share.
    """
    if platform.home is not None:
        return platform.home / FILE_NAME
    readable = re.sub(r"[^A-Za-z0-9]+", "-", platform.key).strip("-")[:60]
    distinct = hashlib.sha256(platform.key.encode()).hexdigest()[:8]
    return home_folder() / "rounds" / f"{readable}-{distinct}.sqlite"
