"""How the command speaks: text for people, one JSON object for programs, progress and complaints on standard error."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Mapping, Sequence
from typing import Any, NoReturn, TextIO

from tqdm import tqdm

WIDTH = 80


def show(result: Mapping[str, Any], text: str, *, as_json: bool) -> None:
    """Print a result: as one JSON object, or as text."""
    print(json.dumps(result, ensure_ascii=False) if as_json else text)


def print_failure(error: BaseException, message: str, *, as_json: bool) -> None:
    """Print what went wrong on standard error, and with `--json` as the one object on standard output too."""
    if as_json:
        print(json.dumps({"error": type(error).__name__, "message": message}, ensure_ascii=False))
    print(f"error: {message}", file=sys.stderr)


def print_warning(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,
    line: str | None = None,
) -> None:
    """Print a warning without the place in the code, which is not the user's."""
    print(f"warning: {message}", file=sys.stderr)


def progress(total: int, what: str) -> tqdm[NoReturn]:
    """A progress bar on standard error with rate and time left; silent when that is no terminal."""
    return tqdm(total=total, desc=what, unit="", ncols=min(WIDTH, shutil.get_terminal_size().columns), disable=None)


def table(header: Sequence[str], rows: Sequence[Sequence[str]], *, right: Sequence[int] = ()) -> str:
    """Rows under a header in columns; the last column is cut so that a line fits 80 characters.

    Args:
        header: Names of the columns.
        rows: The cells.
        right: Columns that are aligned to the right, as numbers are.
    """
    lines = [list(header), *(list(map(_on_one_line, row)) for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(header))]
    room = WIDTH - sum(widths[:-1]) - 2 * (len(widths) - 1)
    widths[-1] = min(widths[-1], max(room, 8))
    return "\n".join(
        "  ".join(
            _clipped(cell, width).rjust(width) if column in right else _clipped(cell, width).ljust(width)
            for column, (cell, width) in enumerate(zip(line, widths))
        ).rstrip()
        for line in lines
    )


def _on_one_line(cell: str) -> str:
    return "".join(character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in cell)


def _clipped(cell: str, width: int) -> str:
    return cell if len(cell) <= width else f"{cell[: width - 3]}..."
