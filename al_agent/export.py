"""A round's priorities as a file: CSV for an upload page, JSON for programs, text for people."""

from __future__ import annotations

import csv
import io
import json
import os
import warnings
from collections.abc import Sequence
from pathlib import Path

from scorers.files import written_whole

from .journal import Round

CSV_HEADER = ("name", "entropy_value")
"""Columns of SuperAnnotate's upload of priority scores as documented in 2021; its page shows today's template."""

_RUN_BY_SPREADSHEETS = ("=", "+", "-", "@", "\t", "\r")


def write_priorities(path: str | os.PathLike[str], current: Round, others: Sequence[str] = ()) -> int:
    """Write a round's picks, best first, and then other items, whole or not at all.

    The k picks get the values k to 1 and the others 0: higher means sooner, and whole numbers survive every reader.

    Args:
        path: The file; its ending `.csv`, `.json` or `.txt` chooses the format.
        current: The round.
        others: More items, to be written without rank.

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
    content = writers[ending](current, others)
    with written_whole(path) as file:
        file.write(content.encode("utf-8"))
    return len(current.selection) + len(others)


def _csv(current: Round, others: Sequence[str]) -> str:
    picks = current.selection.item_ids
    names = [*picks, *others]
    risky = sum(name.startswith(_RUN_BY_SPREADSHEETS) for name in names)
    if risky:
        warnings.warn(
            f"{risky:,} names begin with a character that makes a spreadsheet run the cell; they are written with a leading "
            "apostrophe. The JSON export has the exact names",
            stacklevel=4,
        )
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow(CSV_HEADER)
    for place, name in enumerate(names):
        safe_name = f"'{name}" if name.startswith(_RUN_BY_SPREADSHEETS) else name
        writer.writerow((safe_name, max(0, len(picks) - place)))
    return text.getvalue()


def _json(current: Round, others: Sequence[str]) -> str:
    selection = current.selection
    picks = zip(selection.item_ids, selection.gains.tolist(), selection.reasons)
    items = [
        {"item_id": item_id, "rank": rank, "priority": len(selection) - rank, "gain": gain, "reason": reason}
        for rank, (item_id, gain, reason) in enumerate(picks)
    ]
    items += [{"item_id": item_id, "rank": None, "priority": 0, "gain": None, "reason": None} for item_id in others]
    content = {
        "round": current.number,
        "name": current.name,
        "created_at": current.created_at.isoformat(),
        "config": current.config.to_dict(),
        "items": items,
    }
    return json.dumps(content, ensure_ascii=False, indent=1) + "\n"


def _text(current: Round, others: Sequence[str]) -> str:
    names = [*current.selection.item_ids, *others]
    broken = [name for name in names if "\n" in name or "\r" in name]
    if broken:
        raise ValueError(f"{broken[0]!r} has a line break, which a list of lines cannot hold; export to .csv or .json")
    return "".join(f"{name}\n" for name in names)
