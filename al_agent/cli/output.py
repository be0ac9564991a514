"""How the command speaks: text for people, one JSON object for programs, progress and complaints on standard error."""

from __future__ import annotations

import json
import shutil
import sys
import textwrap
from collections.abc import Mapping, Sequence
from typing import Any, NoReturn, TextIO

from tqdm import tqdm

WIDTH = 80


def show(result: Mapping[str, Any], text: str, *, as_json: bool) -> None:
    """Print a result: as one JSON object, or as text."""
    print(json.dumps(result) if as_json else text)


def print_failure(error: BaseException, *, as_json: bool) -> None:
    """Print what went wrong on standard error, and with `--json` as the one object on standard output too."""
    if as_json:
        print(json.dumps({"error": type(error).__name__, "message": str(error)}))
    print(f"error: {_on_its_lines(error)}", file=sys.stderr)


def print_wrong_use(error: Any, words: Sequence[str]) -> None:
    """Print what was wrong with the words of a command, and where help is.

    Args:
        error: A usage error of the command-line library.
        words: What was typed after `al-agent`.
    """
    if "--json" in words:
        print(json.dumps({"error": "WrongUse", "message": error.format_message()}))
    error.show()
    if error.ctx is None:  # raised by a verb, not by the parser
        print(f"Try 'al-agent {words[0]} --help' for help.", file=sys.stderr)


def print_warning(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,
    line: str | None = None,
) -> None:
    """Print a warning without the place in the code, which is not the user's."""
    print(f"warning: {_on_its_lines(message)}", file=sys.stderr)


def progress(total: int | None, what: str) -> tqdm[NoReturn]:
    """A progress bar on standard error with rate, and with time left where the total is known; silent without a terminal."""
    return tqdm(total=total, desc=what, unit="", ncols=min(WIDTH, shutil.get_terminal_size().columns), disable=None)


def table(header: Sequence[str], rows: Sequence[Sequence[str]], *, right: Sequence[int] = ()) -> str:
    """Rows under a header in columns; the last column is wrapped so that every line fits 80 characters.

    Args:
        header: Names of the columns.
        rows: The cells.
        right: Columns that are aligned to the right, as numbers are.
    """
    lines = [list(header), *(list(map(on_one_line, row)) for row in rows)]
    widths = [min(max(len(line[column]) for line in lines), WIDTH // 2) for column in range(len(header))]
    widths[-1] = max(WIDTH - sum(widths[:-1]) - 2 * (len(widths) - 1), 8)
    printed = []
    for line in lines:
        *cells, last = line
        cells = [_clipped(cell, width) for cell, width in zip(cells, widths)]
        cells = [c.rjust(w) if column in right else c.ljust(w) for column, (c, w) in enumerate(zip(cells, widths))]
        if len(widths) - 1 in right:
            last = last.rjust(max(len(other[-1]) for other in lines))
        first, *more = textwrap.wrap(last, widths[-1], drop_whitespace=False, break_on_hyphens=False) or [""]
        printed.append("  ".join([*cells, first]).rstrip())
        printed += [" " * (WIDTH - widths[-1]) + part.strip() for part in more]
    return "\n".join(printed)


def listed(introduction: str, names: Sequence[str]) -> str:
    """`introduction` and some names, wrapped to 80 characters between names."""
    text = f"{introduction} {', '.join(map(on_one_line, names))}"
    return textwrap.fill(text, WIDTH, subsequent_indent="   ", break_long_words=False, break_on_hyphens=False)


def on_one_line(cell: str) -> str:
    """Text without the characters that move a terminal's cursor."""
    return "".join(character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in cell)


def _on_its_lines(text: object) -> str:
    """A message, which may name files, with its line breaks and without other characters that a terminal obeys."""
    return "\n".join(map(on_one_line, str(text).split("\n")))


def _clipped(cell: str, width: int) -> str:
    return cell if len(cell) <= width else f"{cell[: width - 3]}..."
