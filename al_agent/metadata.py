"""Metadata: what is known of items beside their pixels, by column: a video, a site, a cost, class shares."""

from __future__ import annotations

import csv
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt

from scorers.checks import check_length, checked_item_ids, set_fields


@dataclass(frozen=True, eq=False, init=False, repr=False)
class Metadata:
    """Named facts of items, for the strategies that read columns.

    Args:
        item_ids: n unique item ids.
        columns: Name to `(n,)` strings or numbers, or `(n, c)` shares or counts of c classes. A string may be empty where
            nothing is known.

    Raises:
        ValueError: Ids doubled, or a column of another length or kind.

    Examples:
        >>> metadata = Metadata(["a.png", "b.png"], {"video": ["v1", "v2"], "seconds": [10, 30]})
        >>> metadata.columns["seconds"].tolist()
        [10, 30]
    """

    item_ids: tuple[str, ...]
    columns: Mapping[str, npt.NDArray[Any]]

    def __init__(self, item_ids: Iterable[str], columns: Mapping[str, npt.ArrayLike]) -> None:
        ids = checked_item_ids(item_ids)
        given: object = columns
        if not isinstance(given, Mapping) or not given:
            raise ValueError(f"columns is {columns!r}; expected at least one column by name")
        checked: dict[str, npt.NDArray[Any]] = {}
        for name, values in given.items():
            if not isinstance(name, str) or not name:
                raise ValueError(f"columns has the name {name!r}; expected strings")
            column = np.asarray(values)
            if column.dtype.kind == "O" and column.ndim == 1:
                strangers = [value for value in column.tolist() if not isinstance(value, str)]
                if strangers:
                    raise ValueError(f"column {name!r} holds {strangers[0]!r} beside strings; use one kind, '' for unknown")
                column = column.astype(np.str_)
            if column.ndim not in (1, 2) or column.dtype.kind not in ("iufbU" if column.ndim == 1 else "iuf"):
                raise ValueError(
                    f"column {name!r} has shape {column.shape}, type {column.dtype}; expected (n,) strings or numbers, or "
                    "(n, c) numbers"
                )
            check_length(len(column), len(ids), f"column {name!r}", "item ids")
            checked[name] = column
        set_fields(self, item_ids=ids, columns=MappingProxyType(checked))

    def __repr__(self) -> str:
        return f"Metadata({len(self):,} items, columns {', '.join(self.columns)})"

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Metadata:
        """Read a `.csv` file in UTF-8 with a header: the first column holds the item ids; a column of numbers is one.

        Raises:
            FileNotFoundError: There is no such file.
            ValueError: A row has another number of fields, or there is none; the message names the line.
        """
        where = repr(os.fspath(path))
        with Path(path).open(encoding="utf-8-sig", newline="") as file:
            try:
                rows = list(csv.reader(file, strict=True))
            except (csv.Error, UnicodeDecodeError) as error:
                raise ValueError(f"{where} is no CSV file in UTF-8: {error}") from error
        if len(rows) < 2 or len(rows[0]) < 2:
            raise ValueError(f"{where} has no data; expected a header with item_id and at least one column, then rows")
        header = rows[0]
        if len(set(header)) != len(header):
            raise ValueError(f"{where} names a column twice: {', '.join(header)}")
        for number, row in enumerate(rows[1:], start=2):
            if len(row) != len(header):
                raise ValueError(f"{where}, line {number} has {len(row)} fields; the header has {len(header)}")
        fields = list(zip(*rows[1:]))
        return cls(fields[0], {name: _numbers_or_strings(values) for name, values in zip(header[1:], fields[1:])})

    @staticmethod
    def side_by_side(parts: Sequence[Metadata], *, names: Sequence[str] | None = None) -> Metadata:
        """The columns of all parts, joined by item id.

        The parts have the same items, in any order; the result has the order of the first.

        Args:
            parts: One or more.
            names: What messages call the parts, such as their files; by default `part 0`, `part 1`, ...

        Raises:
            ValueError: No parts, an item that is not in all of them, or a column in two. The message names it and the parts.

        Examples:
            >>> sites = Metadata(["a", "b"], {"site": ["north", "south"]})
            >>> costs = Metadata(["b", "a"], {"cost": [20, 10]})
            >>> Metadata.side_by_side([sites, costs]).columns["cost"].tolist()
            [10, 20]
        """
        if not parts:
            raise ValueError("there are no parts; expected one Metadata or more")
        called = [f"part {number}" for number in range(len(parts))] if names is None else list(names)
        check_length(len(called), len(parts), "names", "parts")
        first = parts[0]
        columns: dict[str, npt.NDArray[Any]] = {}
        part_of: dict[str, str] = {}
        for part, name in zip(parts, called):
            row_of = {item_id: row for row, item_id in enumerate(part.item_ids)}
            missing = next((item_id for item_id in first.item_ids if item_id not in row_of), None)
            if missing is not None:
                raise ValueError(f"{name} has no item {missing!r}, which {called[0]} has; expected the same items in all")
            if len(part) > len(first):
                known = set(first.item_ids)
                missing = next(item_id for item_id in part.item_ids if item_id not in known)
                raise ValueError(f"{called[0]} has no item {missing!r}, which {name} has; expected the same items in all")
            rows = [row_of[item_id] for item_id in first.item_ids]
            for column, values in part.columns.items():
                if column in columns:
                    raise ValueError(f"{part_of[column]} and {name} both have a column {column!r}; rename it in one of them")
                columns[column], part_of[column] = values[rows], name
        return Metadata(first.item_ids, columns)

    def __len__(self) -> int:
        return len(self.item_ids)


def _numbers_or_strings(values: tuple[str, ...]) -> npt.NDArray[Any]:
    """Whole numbers, else numbers, else strings."""
    for kind in (int, float):
        try:
            return np.array([kind(value) for value in values])
        except (ValueError, OverflowError):
            continue
    return np.array(values, dtype=np.str_)
