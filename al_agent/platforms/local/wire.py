"""The SQLite file of a local project: its tables, and the statements that read and write them."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from ...database import Database
from ...errors import NotFound, Unavailable

FILE_NAME = "al-agent-project.sqlite"

_SCHEMA = """\
CREATE TABLE project (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;

CREATE TABLE items (
    position INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    state TEXT NOT NULL DEFAULT 'unlabeled' CHECK (state IN ('unlabeled', 'labeled', 'skipped')),
    priority INTEGER CHECK (priority >= 0),
    label TEXT,
    CHECK ((state = 'labeled') = (label IS NOT NULL))
);

CREATE INDEX queue ON items (priority, position) WHERE state = 'unlabeled'
"""


class Row(NamedTuple):
    """One item as it is stored."""

    position: int
    id: str
    state: str
    priority: int | None


class Asked(NamedTuple):
    """An id that was asked about, beside what is stored of it; state None where there is no such item."""

    id: str
    rank: int | None
    state: str | None
    priority: int | None


def database(path: Path) -> Database:
    """The project file at `path`."""
    return Database(
        path,
        kind="project",
        application_id=0x414C5031,
        version=1,
        schema=_SCHEMA,
        damaged=NotFound,
        unavailable=Unavailable,
    )


def write_settings(connection: sqlite3.Connection, settings: dict[str, str]) -> None:
    """Store the project's settings."""
    connection.executemany("INSERT INTO project VALUES (?, ?)", settings.items())


def read_settings(connection: sqlite3.Connection) -> dict[str, str]:
    """The project's settings."""
    return dict(connection.execute("SELECT key, value FROM project"))


def insert_items(connection: sqlite3.Connection, ids: Iterable[str]) -> None:
    """Append unlabeled items."""
    connection.executemany("INSERT INTO items (id) VALUES (?)", ((item_id,) for item_id in ids))


def delete_items(connection: sqlite3.Connection, ids: Iterable[str]) -> None:
    """Remove items, labels and all."""
    connection.executemany("DELETE FROM items WHERE id = ?", ((item_id,) for item_id in ids))


def read_items(connection: sqlite3.Connection) -> Iterator[Row]:
    """All items in order."""
    return map(Row._make, connection.execute("SELECT position, id, state, priority FROM items ORDER BY position"))


class Order(NamedTuple):
    """The items of a project in order, and what tells whether they are still these.

    Positions are never given twice and no item changes its id, so that a project with as many items and the same last
    position has the same items.
    """

    n_items: int
    last: int | None
    ids: tuple[str, ...]
    place_of: dict[int, int]


def read_states(connection: sqlite3.Connection, known: Order | None) -> tuple[Order, list[str]]:
    """The items in order, `known` if they are still these, and the state of each."""
    now = connection.execute("SELECT count(*), max(position) FROM items").fetchone()
    if known is None or now != known[:2]:
        rows = connection.execute("SELECT position, id FROM items ORDER BY position").fetchall()
        places = {position: place for place, (position, _) in enumerate(rows)}
        known = Order(now[0], now[1], tuple(item_id for _, item_id in rows), places)
    states = ["unlabeled"] * known.n_items
    for position, state in connection.execute("SELECT position, state FROM items WHERE state <> 'unlabeled'"):
        states[known.place_of[position]] = state
    return known, states


def read_queue(connection: sqlite3.Connection, n_items: int) -> list[Row]:
    """The first items of the labeling queue: by rank, then those without a rank, in order."""
    columns = "SELECT position, id, state, priority FROM items WHERE state = 'unlabeled'"
    ranked = connection.execute(f"{columns} AND priority IS NOT NULL ORDER BY priority, position LIMIT ?", (n_items,))
    rows = [Row._make(row) for row in ranked]
    others = connection.execute(f"{columns} AND priority IS NULL ORDER BY position LIMIT ?", (n_items - len(rows),))
    return rows + [Row._make(row) for row in others]


def ask(connection: sqlite3.Connection, ids_and_ranks: Iterable[tuple[str, int | None]]) -> list[Asked]:
    """What is stored of each id, in the order of the ids."""
    connection.execute("CREATE TEMP TABLE IF NOT EXISTS asked (place INTEGER PRIMARY KEY, id TEXT, rank INTEGER)")
    connection.execute("DELETE FROM asked")
    connection.executemany("INSERT INTO asked (id, rank) VALUES (?, ?)", ids_and_ranks)
    rows = connection.execute(
        "SELECT asked.id, asked.rank, items.state, items.priority "
        "FROM asked LEFT JOIN items ON items.id = asked.id ORDER BY asked.place"
    )
    return [Asked._make(row) for row in rows]


def write_priorities(connection: sqlite3.Connection, ids_and_ranks: Iterable[tuple[str, int | None]]) -> None:
    """Set the rank of items; None removes it."""
    connection.executemany(
        "UPDATE items SET priority = ? WHERE id = ?", ((rank, item_id) for item_id, rank in ids_and_ranks)
    )


def write_states(connection: sqlite3.Connection, changes: Iterable[tuple[str, str, str | None]]) -> None:
    """Set state and label of items `(id, state, label)`; whoever leaves the queue loses its rank."""
    connection.executemany(
        "UPDATE items SET state = ?, label = ?, priority = NULL WHERE id = ?",
        ((state, label, item_id) for item_id, state, label in changes),
    )


def read_labels(connection: sqlite3.Connection) -> Iterator[tuple[str, str]]:
    """Id and label of the labeled items, in order."""
    return connection.execute("SELECT id, label FROM items WHERE state = 'labeled' ORDER BY position")
