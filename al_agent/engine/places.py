"""Where rows lie in a file, so that whoever can read it need not be sent them."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple, cast

import numpy as np

from samplers.distances import UnitRows
from samplers.pool import Vectors


class Place(NamedTuple):
    """Where consecutive rows lie in a file.

    Args:
        path: Absolute path.
        offset: Bytes before the first row.
        shape: `(n, d)`; rows follow each other.
        dtype: Of the numbers.
        is_unit: Whether rows are divided by their lengths when they are read.
    """

    path: str
    offset: int
    shape: tuple[int, int]
    dtype: np.dtype[Any]
    is_unit: bool

    def part(self, rows: slice) -> Place:
        """The place of some of the rows."""
        n_dimensions = self.shape[1]
        n_bytes = rows.start * n_dimensions * self.dtype.itemsize
        return self._replace(offset=self.offset + n_bytes, shape=(rows.stop - rows.start, n_dimensions))

    def open(self) -> Vectors:
        """The rows, mapped."""
        mapped: Vectors = np.memmap(self.path, self.dtype, "r", self.offset, self.shape)
        return cast(Vectors, UnitRows(mapped)) if self.is_unit else mapped


def place_of(vectors: Vectors) -> Place | None:
    """Where vectors lie on disk, if their rows follow each other in one file that holds all changes."""
    is_unit = isinstance(vectors, UnitRows)
    array: Any = vectors.vectors if isinstance(vectors, UnitRows) else vectors
    root: Any = None
    link = array
    while link is not None:
        root = link if isinstance(link, np.memmap) else root
        link = getattr(link, "base", None)
    if root is None or root.mode == "c" or root.filename is None or not array.flags.c_contiguous:
        return None
    if root.mode != "r":
        root.flush()
    offset = root.offset + array.ctypes.data - root.ctypes.data
    return Place(str(Path(root.filename).resolve()), offset, array.shape, array.dtype, is_unit)
