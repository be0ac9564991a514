"""Files of embeddings, read and written by the ending of their name."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from scorers.files import load_arrays, save_arrays

from .contents import Contents, place_in_arrays
from .csv import read_csv, write_csv
from .npy import read_npy, write_npy
from .parquet import read_parquet, write_parquet

_MOST_PADDING_BYTES = 1 << 30

_READERS = {".csv": read_csv, ".npy": read_npy, ".parquet": read_parquet}
_WRITERS = {".csv": write_csv, ".npy": write_npy, ".parquet": write_parquet}


def read(path: str | os.PathLike[str]) -> Contents:
    """The content of a file, by its ending; a folder is one of Parquet shards.

    Raises:
        FileNotFoundError: There is no such file.
        ImportError: It is a Parquet file, and pyarrow is missing.
        ValueError: An unknown ending, or a file that cannot be read.
    """
    if Path(path).is_dir():
        return read_parquet(path)
    return _READERS.get(_ending(path), read_npz)(path)


def write(
    path: str | os.PathLike[str], item_ids: tuple[str, ...], vectors: npt.NDArray[Any], description: str | None
) -> None:
    """Write a file, whole or not at all, by its ending.

    Raises:
        ImportError: It is to be a Parquet file, and pyarrow is missing.
        ValueError: An unknown ending, or the format cannot hold an id.
    """
    _WRITERS.get(_ending(path), write_npz)(path, item_ids, vectors, description)


def _ending(path: str | os.PathLike[str]) -> str:
    ending = Path(path).suffix.lower()
    if ending not in (".npz", *_READERS):
        raise ValueError(
            f"'{os.fspath(path)}' ends in {ending or 'nothing'!r}; embeddings are kept in .npz, .npy, .parquet or .csv files"
        )
    return ending


def read_npz(path: str | os.PathLike[str]) -> Contents:
    """The arrays `item_ids` and `vectors`, and `description` if it is there."""
    where = f"'{os.fspath(path)}'"
    arrays = load_arrays(path, ("item_ids", "vectors"))
    ids, vectors = arrays["item_ids"], arrays["vectors"]
    if ids.ndim != 1:
        raise ValueError(f"{where}, item_ids has shape {ids.shape}; expected (n,) strings")
    with np.load(path, allow_pickle=False) as archive:
        has_description = "description" in archive.files
    said = load_arrays(path, ("description",))["description"] if has_description else None
    if said is not None and (said.ndim or said.dtype.kind != "U"):
        raise ValueError(f"{where}, description has shape {said.shape}, type {said.dtype}; expected one string")
    return Contents(tuple(ids.tolist()), vectors, str(said) if said is not None else None, where, place_in_arrays)


def write_npz(
    path: str | os.PathLike[str], item_ids: tuple[str, ...], vectors: npt.NDArray[Any], description: str | None
) -> None:
    """Write the arrays `item_ids`, `vectors` and, if there is one, `description`."""
    longest = max(item_ids, key=len)
    n_padding = 4 * (len(longest) * len(item_ids) - sum(map(len, item_ids)))  # numpy gives each string the same room
    if n_padding > _MOST_PADDING_BYTES:
        raise ValueError(
            f"'{os.fspath(path)}' would give each of {len(item_ids):,} ids room for the {len(longest):,} characters of "
            f"{longest[:40]!r}..., {n_padding / 1e9:.1f} GB in vain; save to a .npy or .parquet file instead"
        )
    said = {} if description is None else {"description": np.array(description)}
    save_arrays(path, item_ids=np.array(item_ids), vectors=vectors, **said)
