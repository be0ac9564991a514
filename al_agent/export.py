"""A round's priorities as a file: CSV for an upload page, JSON for programs, text for people."""

from __future__ import annotations

import csv
import io
import json
import os
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from scorers.checks import doubled_ids
from scorers.files import written_whole

from .journal import Round

CSV_HEADER = ("name", "entropy_value")
"""Columns of SuperAnnotate's upload of priority scores as documented in 2021; its page shows today's template."""

_RUN_BY_SPREADSHEETS = tuple("=+-@\t\r\n＝＋－＠")  # noqa: RUF001  # full-width ones too


def write_priorities(
    path: str | os.PathLike[str],
    current: Round,
    unlabeled: Sequence[str],
    *,
    whole_pool: bool = False,
    file_name: Callable[[str], str] = str,
) -> int:
    """Write a round's picks that can still be labeled, best first, and then other items, whole or not at all.

    The k picks get the values k to 1 and the others 0: higher means sooner, and whole numbers survive every reader.

    Args:
        path: The file; its ending `.csv`, `.json` or `.txt` chooses the format.
        current: The round.
        unlabeled: The items that can still be labeled.
        whole_pool: Write those that were not picked too.
        file_name: Gives the name of an item on the platform, which the CSV file has.

    Returns:
        Number of items written.

    Raises:
        ValueError: Another ending, or a name that the format cannot hold.
        OSError: The file cannot be written; what was there before stays.
    """
    writers = {".csv": _csv, ".json": _json, ".txt": _text}
    ending = Path(path).suffix.lower()
    if ending not in writers:
        raise ValueError(f"'{os.fspath(path)}' ends in {ending or 'nothing'}; expected one of {', '.join(writers)}")
    still_open, picked = set(unlabeled), set(current.selection.item_ids)
    picks = zip(current.selection.item_ids, current.selection.gains.tolist(), current.selection.reasons)
    items = [Exported(pick[0], file_name(pick[0]), *pick[1:]) for pick in picks if pick[0] in still_open]
    n_picks = len(items)
    if whole_pool:
        items += [Exported(item_id, file_name(item_id)) for item_id in unlabeled if item_id not in picked]
    content = writers[ending](current, items, n_picks)
    with written_whole(path) as file:
        file.write(content.encode("utf-8"))
    return len(items)


def as_cell(name: str) -> str:
    """A name as a cell of a table: one that a spreadsheet would run gets a leading apostrophe."""
    return f"'{name}" if name.startswith(_RUN_BY_SPREADSHEETS) else name


class Exported(NamedTuple):
    """One line of an export; an item that was not picked has neither gain nor reason."""

    item_id: str
    name: str
    gain: float | None = None
    reason: str | None = None


def _csv(current: Round, items: Sequence[Exported], n_picks: int) -> str:
    doubled = doubled_ids(item.name for item in items)
    if doubled:
        raise ValueError(
            f"{doubled[0]!r} is the name of several items, and upload pages go by name; write a file for each folder"
        )
    risky = sum(as_cell(item.name) != item.name for item in items)
    if risky:
        warnings.warn(
            f"{risky:,} names begin with a character that makes a spreadsheet run the cell; they are written with a leading "
            "apostrophe. The JSON export has the exact names",
            stacklevel=4,
        )
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow(CSV_HEADER)
    for place, item in enumerate(items):
        writer.writerow((as_cell(item.name), max(0, n_picks - place)))
    return text.getvalue()


def _json(current: Round, items: Sequence[Exported], n_picks: int) -> str:
    content = {
        "round": current.number,
        "name": current.name,
        "created_at": current.created_at.isoformat(),
        "config": current.config.to_dict(),
        "items": [
            {"rank": place if place < n_picks else None, "priority": max(0, n_picks - place), **item._asdict()}
            for place, item in enumerate(items)
        ],
    }
    return json.dumps(content, ensure_ascii=False, indent=1) + "\n"


def _text(current: Round, items: Sequence[Exported], n_picks: int) -> str:
    broken = [item.item_id for item in items if len(item.item_id.splitlines()) != 1]
    if broken:
        raise ValueError(f"{broken[0]!r} has a line break, which a list of lines cannot hold; export to .csv or .json")
    return "".join(f"{item.item_id}\n" for item in items)
