"""What a file of embeddings holds: ids, rows, and where a row stands in the file."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from scorers.checks import row_blocks

ID_COLUMNS = ("item_id", "id", "filename", "filenames", "file_name")
"""What tables call the column of item ids; `item_id` wins, of the others there may be one."""

VECTOR_COLUMNS = ("vector", "vectors", "embedding", "embeddings")
"""What tables call the column of vectors; `vector` wins, of the others there may be one."""

_NUMBERED = re.compile(r"embedding_(\d+)", re.ASCII)
_NEARLY_NUMBERED = re.compile(r"\W*embed[a-z]*\W*_*\W*\d+\W*", re.IGNORECASE)


class StoredIds(Protocol):
    """Item ids in a file, read when they are needed."""

    def __len__(self) -> int: ...

    def read(self) -> tuple[str, ...]:
        """The ids, not checked yet."""
        ...


class Contents(NamedTuple):
    """The content of a file, not checked yet.

    Args:
        item_ids: An id for each row, read or still in a file.
        vectors: `(n, d)` numbers.
        description: How the vectors were made, if the file says it.
        where: The file in words, for messages.
        place: Gives the place of a row and a column in the file, in words; a column of None is the one of the ids.
    """

    item_ids: tuple[str, ...] | StoredIds
    vectors: npt.NDArray[Any]
    description: str | None
    where: str
    place: Callable[[int, int | None], str]


def place_in_arrays(row: int, column: int | None) -> str:
    """The place of a value in the arrays `item_ids` and `vectors`."""
    return f"item_ids[{row}]" if column is None else f"vectors[{row}, {column}]"


def place_of_fault(contents: Contents, item_ids: Sequence[object]) -> str:
    """Where the first id that comes a second time, is no string or has a NUL is, or the first number that is not finite."""
    rows: dict[object, int] = {}
    for row, item_id in enumerate(item_ids):
        if not isinstance(item_id, str) or "\0" in item_id:
            return f", {contents.place(row, None)}"
        first = rows.setdefault(item_id, row)
        if first != row:
            return f", {contents.place(first, None)} and {contents.place(row, None)}"
    vectors = contents.vectors
    if vectors.ndim == 2 and vectors.dtype.kind == "f" and len(vectors) == len(item_ids):
        for part in row_blocks(*vectors.shape):
            bad = np.argwhere(~np.isfinite(vectors[part]))
            if len(bad):
                return f", {contents.place(part.start + int(bad[0, 0]), int(bad[0, 1]))}"
    return ""


def column_of(names: Sequence[str], known: tuple[str, ...], what: str, where: str) -> str:
    """The column that holds `what`: the first known name if it is there, else the only other one.

    Raises:
        ValueError: There is none, or there are several.
    """
    found = [name for name in known if name in names]
    if not found:
        raise ValueError(
            f"{where} has no column of {what}; it has {_listed(names)}; expected {known[0]}, or {', '.join(known[1:])}"
        )
    if len(found) > 1 and found[0] != known[0]:
        raise ValueError(f"{where} has the columns {', '.join(found)}; rename the one that holds {what} to {known[0]!r}")
    return found[0]


def numbered_columns(names: Sequence[str], where: str) -> list[str]:
    """The columns `embedding_0` to `embedding_{d-1}` in the order of their numbers; none if there are none.

    Raises:
        ValueError: A number is left out, comes twice, or is not written plainly.
    """
    column_of_number: dict[int, str] = {}
    for name in names:
        match = _NUMBERED.fullmatch(name)
        if match is None:
            if _NEARLY_NUMBERED.fullmatch(name):
                raise ValueError(f"{where} has a column {name!r}; expected embedding_0, embedding_1, ...")
            continue
        number = int(match[1][:20])
        if number in column_of_number or match[1] != str(number):
            raise ValueError(f"{where} has a column {name!r}; expected embedding_0, embedding_1, ..., each once")
        column_of_number[number] = name
    for expected, number in enumerate(sorted(column_of_number)):
        if number != expected:
            raise ValueError(f"{where} has a column embedding_{number} and no embedding_{expected}; expected no gaps")
    return [column_of_number[number] for number in sorted(column_of_number)]


def check_columns_once(names: Collection[str], where: str) -> None:
    """Raise if a column name comes twice."""
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise ValueError(f"{where} has the column {name!r} twice; expected each once")
        seen.add(name)


def _listed(names: Sequence[str], n_shown: int = 12) -> str:
    more = f" and {len(names) - n_shown:,} more" if len(names) > n_shown else ""
    return (", ".join(map(repr, names[:n_shown])) or "none") + more
