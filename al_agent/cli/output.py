"""How the command speaks: text for people, one JSON object for programs, progress and complaints on standard error."""

from __future__ import annotations

import json
import re
import shutil
import sys
from collections.abc import Mapping, MutableMapping, Sequence
from typing import Any, TextIO
from unicodedata import category, east_asian_width

from tqdm import tqdm

WIDTH = 80
_NARROWEST = 8
_CELLS = {"W": 2, "F": 2}


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
    tqdm.write(f"warning: {_on_its_lines(message)}", file=sys.stderr)  # above a progress bar, not into it


def columns() -> int:
    """How many cells of a line are used: 80, or those of a narrower terminal."""
    return min(WIDTH, shutil.get_terminal_size().columns)


def progress(total: int | None, what: str, unit: str) -> Bar:
    """A progress bar on standard error with rate, and with time left where the total is known; silent without a terminal.

    Args:
        total: How many there are to do; None where that is not known.
        what: What is being done to them.
        unit: What they are, such as `images`.
    """
    form = "{l_bar}{bar}| {told}" if total is not None else "{desc}: {told}"
    return Bar(total=total, desc=what, unit=unit, bar_format=form, ncols=columns(), disable=None)


class Bar(tqdm):  # type: ignore[type-arg]  # tqdm takes no types when it runs
    """A progress bar that tells count, rate and time in words."""

    @property
    def format_dict(self) -> MutableMapping[str, Any]:
        """What tqdm shows, and with it `told`: the count, the rate, and the time left or taken."""
        found = super().format_dict
        n_done, total, seconds = found["n"], found["total"], found["elapsed"]
        rate = found["rate"] or (n_done / seconds if seconds else 0.0)
        told = [f"{n_done:,}{'' if total is None else f'/{total:,}'} {self.unit}"]
        if n_done and rate:
            told.append(f"{rate:,.0f}/s" if rate >= 10 else f"{rate:.1f}/s" if rate >= 1 else f"{1 / rate:.1f} s each")
        if total is None or n_done >= total:
            told.append(f"in {self.format_interval(seconds)}")
        elif n_done and rate:
            told.append(f"{self.format_interval((total - n_done) / rate)} left")
        return {**found, "told": ", ".join(told)}


def table(header: Sequence[str], rows: Sequence[Sequence[str]], *, right: Sequence[int] = ()) -> str:
    """Rows under a header in columns; the last column is wrapped so that every line fits 80 cells.

    Args:
        header: Names of the columns.
        rows: The cells.
        right: Columns that are aligned to the right, as numbers are.
    """
    lines = [list(header), *(list(map(on_one_line, row)) for row in rows)]
    widths = [min(max(n_cells(line[column]) for line in lines), WIDTH // 2) for column in range(len(header))]
    room = WIDTH - 2 * (len(widths) - 1) - _NARROWEST
    while sum(widths[:-1]) > room:
        widths[max(range(len(widths) - 1), key=widths.__getitem__)] -= 1
    widths[-1] = room + _NARROWEST - sum(widths[:-1])
    last_width = min(max(n_cells(line[-1]) for line in lines), widths[-1])
    printed = []
    for line in lines:
        *cells, last = line
        cells = [
            _padded(clipped(cell, width), width, right=column in right)
            for column, (cell, width) in enumerate(zip(cells, widths))
        ]
        first, *more = _wrapped(last, widths[-1])
        if len(widths) - 1 in right:
            first = _padded(first, last_width, right=True)
        printed.append("  ".join([*cells, first]).rstrip())
        printed += [" " * (WIDTH - widths[-1]) + part for part in more]
    return "\n".join(printed)


def listed(introduction: str, names: Sequence[str]) -> str:
    """`introduction` and some names, wrapped to 80 cells between names."""
    text = f"{introduction} {', '.join(map(on_one_line, names))}"
    first, *more = _wrapped(text, WIDTH, indent=3, breaks_words=False)
    return "\n".join([first, *(f"   {line}" for line in more)])


def on_one_line(cell: str) -> str:
    """Text without the characters that move a terminal's cursor."""
    return "".join(character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in cell)


def _on_its_lines(text: object) -> str:
    """A message, which may name files, with its line breaks and without other characters that a terminal obeys."""
    return "\n".join(map(on_one_line, str(text).split("\n")))


def n_cells(text: str) -> int:
    """How many cells of a terminal's line a text takes: East Asian characters two, combining ones none.

    Examples:
        >>> n_cells("cat"), n_cells("\N{CJK UNIFIED IDEOGRAPH-732B}"), n_cells("e\N{COMBINING ACUTE ACCENT}")
        (3, 2, 1)
    """
    return sum(_CELLS.get(east_asian_width(one), 1) for one in text if category(one) not in ("Mn", "Me", "Cf"))


def clipped(cell: str, width: int) -> str:
    """A text of at most so many cells: its start and its end, where files differ, and dots between."""
    if n_cells(cell) <= width:
        return cell
    n_end = (width - 3) // 2
    end = _start(cell[::-1], n_end)[::-1]
    return f"{_start(cell, width - 3 - n_end)}...{end}"


def _start(text: str, width: int) -> str:
    """As many characters from the start as fit, at least one."""
    n_fitting = next((n - 1 for n in range(2, len(text) + 1) if n_cells(text[:n]) > width), len(text))
    return text[:n_fitting]


def _padded(cell: str, width: int, *, right: bool) -> str:
    space = " " * (width - n_cells(cell))
    return space + cell if right else cell + space


def _wrapped(text: str, width: int, *, indent: int = 0, breaks_words: bool = True) -> list[str]:
    """Lines of so many cells at most, those after the first of `indent` less; longer words are broken, or stick out."""
    lines = [""]
    for word in re.findall(r"\s*\S+", text):
        room = width - (indent if len(lines) > 1 else 0)
        if not lines[-1] or n_cells(lines[-1] + word) <= room:
            lines[-1] += word
        else:
            lines.append(word.lstrip())
        while breaks_words and n_cells(lines[-1]) > width:
            fits = _start(lines[-1], width)
            lines[-1:] = [fits, lines[-1][len(fits) :]]
    return lines
