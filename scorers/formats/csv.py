"""A CSV file of class probabilities: a column of item ids, then one column for each class."""

from __future__ import annotations

import contextlib
import csv
import itertools
import math
import os
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ..predictions.classification import ClassificationPredictions
from .reading.items import found_items
from .reading.names import ItemNames

_LINES_PER_BLOCK = 4096


def classifications(
    path: str | os.PathLike[str],
    *,
    item_ids: Iterable[str] | None = None,
    is_complete: bool = True,
    is_logits: bool = False,
    delimiter: str = ",",
) -> ClassificationPredictions:
    """Predictions from a table with a header: the first column names the item, the others are its classes.

    Args:
        path: The file, in UTF-8. The names of the columns become the class names.
        item_ids: Item ids that the first column is matched to by file name; the result has their order. None takes the
            first column as it is.
        is_complete: Whether every item must be there; if not, those that are not are left out.
        is_logits: Whether the numbers are the values before the softmax.
        delimiter: What separates columns.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: No text, no header, a line of another length, a cell that is no number, rows that are no probabilities.
            The message names the file, the line and the column.

    Examples:
        >>> import pathlib, tempfile
        >>> path = pathlib.Path(tempfile.mkdtemp(), "predictions.csv")
        >>> _ = path.write_text("image,cat,dog\\na.jpg,0.25,0.75\\n")
        >>> predictions = classifications(path)
        >>> predictions.item_ids, predictions.class_names, predictions.probabilities.tolist()
        (('a.jpg',), ('cat', 'dog'), [[0.25, 0.75]])
    """
    where = repr(os.fspath(path))
    try:
        with Path(path).open(encoding="utf-8-sig", newline="") as file:
            names, values, header = _read(csv.reader(file, delimiter=delimiter, strict=True), where, delimiter)
    except (UnicodeDecodeError, csv.Error) as error:
        raise ValueError(f"{where} is no CSV text in UTF-8: {error}") from error
    if item_ids is not None:
        names, values = _in_order(ItemNames(item_ids), names, values, where, is_complete)
    class_names = header[1:] if len(header) > 2 else None
    if class_names is not None and len(set(class_names)) != len(class_names):
        doubled = next(name for name in class_names if class_names.count(name) > 1)
        raise ValueError(f"{where} has two columns {doubled!r}; expected each class once")
    make = ClassificationPredictions.from_logits if is_logits else ClassificationPredictions
    try:
        return make(names, values, class_names=class_names)
    except ValueError as error:
        raise ValueError(f"{where}: {error}") from error


def _read(lines: Iterable[list[str]], where: str, delimiter: str) -> tuple[list[str], npt.NDArray[np.float64], list[str]]:
    rows = iter(lines)
    header = next(rows, [])
    if len(header) < 2:
        hint = next((f"; is it separated by {other!r}?" for other in ";\t|" if header and other in header[0]), "")
        raise ValueError(
            f"{where} begins with {delimiter.join(header)!r}; expected a header with a column of items and one for each "
            f"class, separated by {delimiter!r}{hint}"
        )
    if all(map(_is_number, header[1:])) and not all(cell.strip().isdigit() for cell in header[1:]):  # classes 0, 1, 2
        raise ValueError(
            f"{where} has no header: its first line is {delimiter.join(header)!r}; expected a line of names before it, such "
            f"as {delimiter.join(('image', 'cat', 'dog'))!r}"
        )
    names: list[str] = []
    parts: list[npt.NDArray[np.float64]] = [np.empty((0, len(header) - 1))]
    start = 2
    while block := list(itertools.islice(rows, _LINES_PER_BLOCK)):
        filled = [row for row in block if row]
        try:
            parts.append(np.array([row[1:] for row in filled], dtype=np.float64).reshape(len(filled), len(header) - 1))
        except ValueError:
            _raise_bad_line(block, start, header, where)
        names += [row[0] for row in filled]
        start += len(block)
    return names, np.concatenate(parts), header


def _is_number(cell: str) -> bool:
    with contextlib.suppress(ValueError):
        return math.isfinite(float(cell))
    return False


def _raise_bad_line(block: list[list[str]], start: int, header: list[str], where: str) -> None:
    for line, row in enumerate(block, start):
        if row and len(row) != len(header):
            raise ValueError(f"{where}, line {line} has {len(row)} columns; the header has {len(header)}")
        for column, cell in zip(header[1:], row[1:]):
            try:
                float(cell)
            except ValueError:
                raise ValueError(
                    f"{where}, line {line} has {cell!r} in the column {column!r}; expected a number such as 0.25"
                ) from None


def _in_order(
    known: ItemNames, names: list[str], values: npt.NDArray[np.float64], where: str, is_complete: bool
) -> tuple[list[str], npt.NDArray[np.float64]]:
    row_of: dict[str, int] = {}
    for row, name in enumerate(names):
        item_id = known.find(name, where)
        if item_id in row_of:
            raise ValueError(f"{where} has {item_id!r} twice; expected each item once")
        row_of[item_id] = row
    ids = found_items(known.item_ids, row_of, where, is_complete=is_complete)
    return list(ids), values[[row_of[item_id] for item_id in ids]]
