"""Embeddings in a Parquet file, or in a folder of Parquet shards."""

from __future__ import annotations

import os
from bisect import bisect_right
from contextlib import ExitStack
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from scorers.files import written_whole

from .contents import ID_COLUMNS, VECTOR_COLUMNS, Contents, check_columns_once, column_of, numbered_columns

if TYPE_CHECKING:
    import pyarrow

SHARDS = "part-*.parquet"
_DESCRIPTION = b"al_agent.description"
_ROWS_PER_BATCH = 1 << 16


class _Columns(NamedTuple):
    """Which columns of a table are read; one of vectors, or one for each dimension."""

    ids: str
    vectors: list[str]
    is_numbered: bool


def read_parquet(path: str | os.PathLike[str]) -> Contents:
    """The content of a file, or of the shards `part-*.parquet` of a folder in the order of their names.

    Ids are in a column `item_id`, `id`, `filename`, `filenames` or `file_name`; vectors in one column `vector`, `vectors`,
    `embedding` or `embeddings` of lists of one length, or in the columns `embedding_0` to `embedding_{d-1}`. Other columns
    are not read. Integers are read as they are, to become floats.

    Raises:
        FileNotFoundError: There is no such file.
        ImportError: pyarrow is missing.
        ValueError: A file is damaged, has other columns, nothing in a cell, or vectors of several lengths.
    """
    pyarrow = import_pyarrow()
    folder = Path(path)
    where = f"'{os.fspath(path)}'"
    shards = [folder]
    if folder.is_dir():
        shards = sorted(folder.glob(SHARDS))
        if not shards:
            raise ValueError(f"{where} is a folder without {SHARDS}; expected a file, or a folder of such shards")
    with ExitStack() as files:
        tables = [_opened(pyarrow, files.enter_context(shard.open("rb")), f"'{shard}'") for shard in shards]
        rows = _Rows(sum(table.metadata.num_rows for table in tables))
        columns = [_columns_of(table.schema_arrow, f"'{shard}'") for shard, table in zip(shards, tables)]
        starts = []
        for shard, table, wanted in zip(shards, tables, columns):
            starts.append(len(rows.ids))
            rows.begin(f"'{shard}'")
            try:
                for batch in table.iter_batches(_ROWS_PER_BATCH, columns=[wanted.ids, *wanted.vectors]):
                    rows.add(batch, wanted)
            except _Fault as fault:
                raise ValueError(str(fault)) from None
            except Exception as error:  # damaged bytes can fail in any way
                raise ValueError(f"'{shard}' is damaged: {error}") from error
        said = {(table.schema_arrow.metadata or {}).get(_DESCRIPTION) for table in tables}

    def place(row: int, column: int | None) -> str:
        number = bisect_right(starts, row) - 1
        of = columns[number]
        of_vector = of.vectors[column or 0] if of.is_numbered else f"{of.vectors[0]}[{column}]"
        name = of.ids if column is None else of_vector
        shard = f"'{shards[number].name}', " if len(shards) > 1 else ""
        return f"{shard}row {row - starts[number]}, column {name}"

    description = said.pop() if len(said) == 1 else None
    text = None if description is None else description.decode("utf-8", "replace")
    return Contents(tuple(rows.ids), rows.vectors, text, where, place)


def write_parquet(
    path: str | os.PathLike[str], item_ids: tuple[str, ...], vectors: npt.NDArray[Any], description: str | None
) -> None:
    """Write a column `item_id` of strings, a column `vector` of lists of one length, and the description in the metadata."""
    pyarrow = import_pyarrow()
    for item_id in (*item_ids, description or ""):
        if not item_id.isascii() and _has_surrogate(item_id):
            raise ValueError(f"{item_id!r} holds half a character, which Parquet cannot hold; save to a .npz file instead")
    n_dimensions = vectors.shape[1]
    kind = pyarrow.from_numpy_dtype(vectors.dtype.newbyteorder("="))
    schema = pyarrow.schema(
        [
            pyarrow.field("item_id", pyarrow.string(), nullable=False),
            pyarrow.field(
                "vector", pyarrow.list_(pyarrow.field("element", kind, nullable=False), n_dimensions), nullable=False
            ),
        ],
        metadata=None if description is None else {_DESCRIPTION: description.encode()},
    )
    # neither compression nor a dictionary makes vectors smaller
    options: dict[str, Any] = {"compression": "NONE", "use_dictionary": False, "write_statistics": False}
    step = max(1, min(_ROWS_PER_BATCH, (1 << 26) // n_dimensions))
    with written_whole(path) as file, pyarrow.parquet.ParquetWriter(file, schema, **options) as writer:
        for start in range(0, len(item_ids), step):
            block = np.ascontiguousarray(vectors[start : start + step], dtype=vectors.dtype.newbyteorder("="))
            lists = pyarrow.FixedSizeListArray.from_arrays(
                pyarrow.array(block.reshape(-1)), type=schema.field("vector").type
            )
            ids = pyarrow.array(item_ids[start : start + step], pyarrow.string())
            writer.write_batch(pyarrow.record_batch([ids, lists], schema=schema))


class _Fault(Exception):
    """Something in the file that our message tells better than pyarrow's."""


class _Rows:
    """The ids and vectors of one file after another, gathered batch by batch into one array.

    Args:
        n_rows: How many rows the files say they have.
    """

    def __init__(self, n_rows: int) -> None:
        self.n_rows = n_rows
        self.ids: list[str] = []
        self.vectors: npt.NDArray[Any] = np.empty((0, 0))

    def begin(self, where: str) -> None:
        """Go on with the next file."""
        self.where = where
        self.start = len(self.ids)

    def add(self, batch: pyarrow.RecordBatch, columns: _Columns) -> None:
        """Take the rows of a batch, which are the next ones."""
        done = len(self.ids)
        if not len(batch):
            return
        for name in (columns.ids, *columns.vectors):
            column = batch.column(name)
            if column.null_count:
                raise self._fault(_first_null(column), f"column {name} is empty; expected a value")
        if columns.is_numbered:
            parts = [batch.column(name).to_numpy(zero_copy_only=False) for name in columns.vectors]
            values = np.stack(parts, axis=1)
        else:
            values = self._lists(batch.column(columns.vectors[0]), columns.vectors[0])
        if not done:
            self.vectors = np.empty((self.n_rows, values.shape[1]), values.dtype)
        if values.shape[1] != self.vectors.shape[1]:
            counts = f"{values.shape[1]} numbers, and {self.vectors.shape[1]} before"
            raise self._fault(0, f"column {columns.vectors[0]}: {counts}; expected as many in each")
        if values.dtype != self.vectors.dtype:
            types = f"{values.dtype}, and {self.vectors.dtype} before"
            raise self._fault(0, f"column {columns.vectors[0]}: {types}; expected one type")
        self.vectors[done : done + len(values)] = values
        self.ids += batch.column(columns.ids).cast("string").to_numpy(zero_copy_only=False).tolist()

    def _fault(self, row: int, what: str) -> _Fault:
        return _Fault(f"{self.where}, row {len(self.ids) - self.start + row}, {what}")

    def _lists(self, column: Any, name: str) -> npt.NDArray[Any]:
        column = getattr(column, "storage", column)  # of an extension type such as a tensor of fixed shape
        if hasattr(column.type, "list_size"):
            lengths = np.full(len(column), column.type.list_size)
        else:
            lengths = column.value_lengths().to_numpy(zero_copy_only=False)
        other = np.flatnonzero(lengths != lengths[0])
        if len(other):
            counts = f"{lengths[other[0]]} numbers, and {lengths[0]} before"
            raise self._fault(int(other[0]), f"column {name}: {counts}; expected as many in each")
        if lengths[0] == 0:
            raise self._fault(0, f"column {name} is an empty list; expected at least one number")
        values = column.flatten()
        if values.null_count:
            row, place = divmod(_first_null(values), int(lengths[0]))
            raise self._fault(row, f"column {name}[{place}] is empty; expected a number")
        numbers: npt.NDArray[Any] = values.to_numpy(zero_copy_only=True).reshape(len(column), -1)
        return numbers


def _opened(pyarrow: Any, file: IO[bytes], where: str) -> Any:
    try:
        return pyarrow.parquet.ParquetFile(file)
    except Exception as error:  # damaged bytes can fail in any way
        raise ValueError(f"{where} is not a Parquet file, or is cut short: {error}") from error


def _columns_of(schema: pyarrow.Schema, where: str) -> _Columns:
    types = import_pyarrow().types
    check_columns_once(schema.names, where)
    ids = column_of(schema.names, ID_COLUMNS, "item ids", where)
    kind = schema.field(ids).type
    kind = kind.value_type if types.is_dictionary(kind) else kind
    if not (types.is_string(kind) or types.is_large_string(kind) or types.is_string_view(kind)):
        raise ValueError(f"{where}, column {ids} holds {kind}; item ids are strings, so write them with str(...)")
    numbered = numbered_columns(schema.names, where)
    if not numbered:
        vectors = [column_of(schema.names, VECTOR_COLUMNS, "vectors, or embedding_0, embedding_1, ...", where)]
    elif set(VECTOR_COLUMNS) & set(schema.names):
        lists = ", ".join(name for name in VECTOR_COLUMNS if name in schema.names)
        raise ValueError(f"{where} has the columns {lists} and {numbered[0]}, ...; leave only one kind in it")
    else:
        vectors = numbered
    for name in vectors:
        kind = schema.field(name).type
        kind = getattr(kind, "storage_type", kind)
        if not numbered:
            if not (types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind)):
                raise ValueError(f"{where}, column {name} holds {kind}; expected lists of numbers")
            kind = kind.value_type
        if not (types.is_floating(kind) or types.is_integer(kind)):
            raise ValueError(f"{where}, column {name} holds {schema.field(name).type}; expected numbers")
    return _Columns(ids, vectors, bool(numbered))


def _first_null(column: Any) -> int:
    return int(np.flatnonzero(column.is_null().to_numpy(zero_copy_only=False))[0])


def _has_surrogate(text: str) -> bool:
    return any("\ud800" <= character <= "\udfff" for character in text)


def import_pyarrow() -> Any:
    """The package pyarrow with its Parquet.

    Raises:
        ImportError: It is missing; the message says how to get it.
    """
    try:
        import pyarrow  # noqa: PLC0415  # pyarrow is an extra
        import pyarrow.parquet  # noqa: PLC0415
    except ImportError as error:
        raise ImportError("Parquet files need pyarrow: pip install 'al-agent[parquet]'") from error
    return pyarrow
