"""A tidy table of measurements in a file, CSV or Parquet: one row for each, one column for each thing known of it."""

from __future__ import annotations

import csv
import io
import math
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from scorers.files import written_whole

from ...embedding.files.parquet import import_pyarrow
from .records import COLUMNS, Measurement

_ENDINGS = (".csv", ".parquet")


def write_table(path: str | os.PathLike[str], rows: Iterable[Measurement]) -> None:
    """Write a table, whole or not at all; the ending of its name, `.csv` or `.parquet`, says how.

    Raises:
        ImportError: It is to be a Parquet file, and pyarrow is missing.
        ValueError: Another ending.
    """
    measured = list(rows)
    units = list(dict.fromkeys(unit for row in measured for unit in row.amounts))
    is_csv = _ending(path) == ".csv"
    content = _as_csv(measured, units) if is_csv else _as_parquet(measured, units)
    with written_whole(path) as file:
        file.write(content)


def read_table(path: str | os.PathLike[str]) -> tuple[Measurement, ...]:
    """The rows of a table, in its order.

    Raises:
        FileNotFoundError: There is no such file.
        ImportError: It is a Parquet file, and pyarrow is missing.
        ValueError: It is no table of a study. The message names the line or the row.
    """
    ending = _ending(path)
    content = io.BytesIO(Path(path).read_bytes())
    return _from_csv(content, f"'{path}'") if ending == ".csv" else _from_parquet(content, f"'{path}'")


def _ending(path: str | os.PathLike[str]) -> str:
    ending = Path(path).suffix.lower()
    if ending not in _ENDINGS:
        raise ValueError(f"'{path}' ends in {ending or 'nothing'!r}; expected {' or '.join(_ENDINGS)}")
    return ending


def _as_csv(rows: Sequence[Measurement], units: Sequence[str]) -> bytes:
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow((*COLUMNS, *units))
    for row in rows:
        amounts = (_short(row.amounts[unit]) if unit in row.amounts else "" for unit in units)
        writer.writerow((*(getattr(row, name) for name in COLUMNS), *amounts))
    return text.getvalue().encode("utf-8", "replace")


def _from_csv(content: io.BytesIO, where: str) -> tuple[Measurement, ...]:
    reader = csv.reader(io.TextIOWrapper(content, encoding="utf-8", newline=""), strict=True)
    rows = []
    try:
        header = next(reader, [])
        units = _units(header)
        for cells in reader:
            if len(cells) != len(header):
                raise ValueError(f"it has {len(cells)} cells; expected {len(header)}")
            rows.append(_to_row(cells, {unit: cell for unit, cell in zip(units, cells[len(COLUMNS) :]) if cell}))
    except (ValueError, csv.Error) as error:  # bytes that are no text are a ValueError
        raise ValueError(f"{where}, line {reader.line_num} is not of a study: {error}") from error
    return tuple(rows)


def _as_parquet(rows: Sequence[Measurement], units: Sequence[str]) -> bytes:
    pyarrow = import_pyarrow()
    kinds = {str: pyarrow.string(), int: pyarrow.int64(), float: pyarrow.float64()}
    columns = {}
    for name, kind in zip(COLUMNS, (str, int, int, int, float, float, float, float, str)):
        values = [getattr(row, name) for row in rows]
        if kind is str:
            values = [value.encode("utf-8", "replace").decode() for value in values]
        columns[name] = pyarrow.array(values, kinds[kind])
    for unit in units:
        columns[unit] = pyarrow.array([row.amounts.get(unit) for row in rows], pyarrow.float64())
    content = io.BytesIO()
    pyarrow.parquet.write_table(pyarrow.table(columns), content)
    return content.getvalue()


def _from_parquet(content: io.BytesIO, where: str) -> tuple[Measurement, ...]:
    pyarrow = import_pyarrow()
    try:
        table = pyarrow.parquet.read_table(content)
        units = _units(table.column_names)
        read = zip(*(table.column(number).to_pylist() for number in range(table.num_columns)))
    except Exception as error:  # damaged bytes can fail in any way
        raise ValueError(f"{where} is not of a study: {error}") from error
    rows = []
    for number, cells in enumerate(read):
        amounts = {unit: cell for unit, cell in zip(units, cells[len(COLUMNS) :]) if cell is not None}
        try:
            rows.append(_to_row(cells, amounts))
        except (TypeError, ValueError) as error:
            raise ValueError(f"{where}, row {number} is not of a study: {error}") from error
    return tuple(rows)


def _units(header: Sequence[str]) -> list[str]:
    """The names of the columns behind those that every table has."""
    found, units = tuple(header[: len(COLUMNS)]), list(header[len(COLUMNS) :])
    if found != COLUMNS:
        shown = ",".join(header)[:80]
        raise ValueError(f"its columns are {shown or 'none'}; expected {','.join(COLUMNS)}")
    if not all(units) or len(set(units)) != len(units) or set(units) & set(COLUMNS):
        raise ValueError(f"its columns are {','.join(header)[:200]}; expected each once, with a name")
    return units


def _to_row(cells: Sequence[Any], amounts: Mapping[str, Any]) -> Measurement:
    seed, number, n_labeled = map(int, cells[1:4])
    figure, training, scoring, selecting = map(float, cells[4:8])
    method, error = str(cells[0]), str(cells[8])
    counted = {unit: float(amount) for unit, amount in amounts.items()}
    return Measurement(method, seed, number, n_labeled, figure, training, scoring, selecting, error, counted)


def _short(number: float) -> float | int:
    """A whole number without the dot that says nothing."""
    return int(number) if math.isfinite(number) and number == int(number) else number
