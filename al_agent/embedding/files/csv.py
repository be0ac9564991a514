"""Embeddings in a CSV file as Lightly writes and reads it: `filenames, embedding_0, ..., embedding_{d-1}, labels`."""

from __future__ import annotations

import csv
import os
import warnings
from array import array
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from scorers.files import written_whole

from .contents import ID_COLUMNS, Contents, check_columns_once, column_of, numbered_columns

_NOT_READ = ("labels", "masked", "selected", "al_score")
"""Columns of Lightly's and of its worker that say nothing about the vectors."""

_ROWS_PER_BLOCK = 1 << 12


def read_csv(path: str | os.PathLike[str]) -> Contents:
    """The ids and, in float32 as Lightly reads them, the vectors. Columns may be in any order.

    Columns that are not Lightly's are left out with a warning: files grow columns on their way through other tools, which
    take nothing from the vectors. A name that could be a misspelt dimension is an error.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: Another header, another number of fields, or something that is no number; the message names the line.
    """
    where = f"'{os.fspath(path)}'"
    with Path(path).open(encoding="utf-8-sig", newline="") as file:
        reader = csv.reader(file, strict=True)
        try:
            return _read(reader, where)
        except UnicodeDecodeError as error:
            raise ValueError(f"{where}, after line {reader.line_num} is no text in UTF-8: {error}") from error
        except csv.Error as error:
            raise ValueError(f"{where}, line {reader.line_num} is no line of a CSV file: {error}") from error


def write_csv(
    path: str | os.PathLike[str], item_ids: tuple[str, ...], vectors: npt.NDArray[Any], description: str | None
) -> None:
    """Write a file that Lightly reads, all `labels` 0; there is no room for the description.

    Numbers have as many digits as bring the same number back, in double precision too. Ids stay as they are, as another one
    would name another item: a spreadsheet may take one that begins with `=` for a formula.
    """
    del description
    most = csv.field_size_limit()
    for item_id in item_ids:
        if len(item_id) > most:
            raise ValueError(
                f"the id {item_id[:40]!r}... has more than {most:,} characters; save to a .parquet file instead"
            )
    with written_whole(path) as file:
        names = ",".join(f"embedding_{number}" for number in range(vectors.shape[1]))
        file.write(f"filenames,{names},labels\r\n".encode())
        digits = "%r" if vectors.dtype.itemsize > 4 else "%.9g"  # nine tell all numbers of single precision apart
        shape = ",".join([digits] * vectors.shape[1])
        for start in range(0, len(item_ids), _ROWS_PER_BLOCK):
            part = slice(start, start + _ROWS_PER_BLOCK)
            for item_id, row in zip(item_ids[part], vectors[part].tolist()):
                try:
                    file.write(f"{_quoted(item_id)},{shape % tuple(row)},0\r\n".encode())
                except UnicodeEncodeError:
                    raise ValueError(
                        f"{item_id!r} holds half a character, which CSV in UTF-8 cannot hold; save to a .npz file instead"
                    ) from None


def _quoted(text: str) -> str:
    return '"' + text.replace('"', '""') + '"' if any(mark in text for mark in ',"\r\n') else text


def _read(reader: Any, where: str) -> Contents:
    header: list[str] = next(reader, [])
    if not header:
        raise ValueError(f"{where} has no header; expected filenames, embedding_0, embedding_1, ..., labels")
    check_columns_once(header, where)
    id_place = header.index(column_of(header, ID_COLUMNS, "item ids", where))
    dimensions = numbered_columns(header, where)
    if not dimensions:
        raise ValueError(f"{where} has no column embedding_0; expected filenames, embedding_0, embedding_1, ..., labels")
    more = [name for name in header if name not in (*dimensions, *_NOT_READ, header[id_place])]
    if more:
        warnings.warn(f"{where} has columns that are not read: {', '.join(map(repr, more))}", stacklevel=5)
    places = [header.index(name) for name in dimensions]
    first, last = places[0], places[-1] + 1
    in_order = places == list(range(first, last))
    ids: list[str] = []
    lines: list[int] = []
    values = array("f")
    line = reader.line_num + 1
    for row in reader:
        if len(row) != len(header):
            raise ValueError(f"{where}, line {line} has {len(row)} fields; the header has {len(header)}")
        fields = row[first:last] if in_order else [row[place] for place in places]
        together = "".join(fields)
        try:
            if "_" in together or not together.isascii():  # 1_000 is a number in Python, and in no other program
                raise ValueError
            values.extend(map(float, fields))
        except ValueError:
            raise _not_a_number(where, line, fields, dimensions) from None
        ids.append(row[id_place])
        lines.append(line)
        line = reader.line_num + 1

    def place(row: int, column: int | None) -> str:
        return f"line {lines[row]}, column {header[id_place] if column is None else dimensions[column]}"

    vectors: npt.NDArray[Any] = np.frombuffer(values, dtype=np.float32).reshape(-1, len(dimensions))
    return Contents(tuple(ids), vectors, None, where, place)


def _not_a_number(where: str, line: int, fields: list[str], dimensions: list[str]) -> ValueError:
    for field, name in zip(fields, dimensions):
        try:
            is_number = field.isascii() and "_" not in field and float(field) is not None
        except ValueError:
            is_number = False
        if not is_number:
            return ValueError(f"{where}, line {line}, column {name} is {field!r}; expected a number")
    return ValueError(f"{where}, line {line} has numbers that cannot be read")
