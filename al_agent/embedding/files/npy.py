"""Embeddings in a `.npy` file that stays on disk, with the ids in a text file beside it."""

from __future__ import annotations

import mmap
import os
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from scorers.files import mapped_array, written_whole

from .contents import Contents

_BOM = "\ufeff"


class Lines:
    """The lines of a text file in UTF-8, counted now and read later.

    The file is held open: if another takes its place, the lines are still those that were counted.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It is empty.
    """

    def __init__(self, path: Path) -> None:
        self.where = f"'{path}'"
        if not path.exists():
            raise FileNotFoundError(f"there is no '{path}' beside the vectors; write the item ids into it, one on each line")
        with path.open("rb") as file:
            if not os.fstat(file.fileno()).st_size:
                raise ValueError(f"{self.where} is empty; write the item ids into it, one on each line")
            self._bytes = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        self._end = len(self._bytes)
        while self._end and self._bytes[self._end - 1] in b"\r\n":
            self._end -= 1
        step = 1 << 24
        self._n = 1 + sum(self._bytes[at : min(at + step, self._end)].count(b"\n") for at in range(0, self._end, step))

    def __len__(self) -> int:
        return self._n

    def read(self) -> tuple[str, ...]:
        """The lines without their ends.

        Raises:
            ValueError: They are no text in UTF-8, or are not as many as they were.
        """
        try:
            if self._bytes.size() != len(self._bytes):
                raise ValueError(f"{self.where} was written to after it was opened; load the embeddings again")
            text = self._bytes[: self._end].decode("utf-8", "surrogatepass")
        except UnicodeDecodeError as error:
            line = self._bytes[: error.start].count(b"\n") + 1
            raise ValueError(f"{self.where}, line {line} is no text in UTF-8: {error}") from error
        lines = text.removeprefix(_BOM).split("\n")
        if len(lines) != self._n:
            raise ValueError(f"{self.where} was written to after it was opened; load the embeddings again")
        return tuple(line.removesuffix("\r") for line in lines)


def read_npy(path: str | os.PathLike[str]) -> Contents:
    """The mapped vectors, and the ids in `.ids.txt` beside them; neither is read here, only counted."""
    vectors = mapped_array(path)
    ids_path = _ids_beside(path)

    def place(row: int, column: int | None) -> str:
        return f"'{ids_path.name}', line {row + 1}" if column is None else f"vectors[{row}, {column}]"

    return Contents(Lines(ids_path), vectors, None, f"'{os.fspath(path)}'", place)


def write_npy(
    path: str | os.PathLike[str], item_ids: tuple[str, ...], vectors: npt.NDArray[Any], description: str | None
) -> None:
    """Write the vectors, and the ids beside them; there is no room for the description.

    Both are written before either takes its place, and the old ids go first: new vectors are never beside old ids.
    """
    del description
    for item_id in item_ids:
        if item_id.splitlines() != [item_id]:
            raise ValueError(f"the id {item_id!r} does not fit on a line; save to a .npz file instead")
    ids_path = Path(os.path.realpath(_ids_beside(path)))
    with written_whole(ids_path) as ids_file:
        # a mark at the start is taken for one of UTF-8: an id that begins with one gets another before it
        ids_file.write(_BOM.encode() if item_ids[0].startswith(_BOM) else b"")
        ids_file.writelines(f"{item_id}\n".encode("utf-8", "surrogatepass") for item_id in item_ids)
        with written_whole(path) as file:
            np.lib.format.write_array(file, np.asarray(vectors), allow_pickle=False)
            for each in (file, ids_file):
                each.flush()
                os.fsync(each.fileno())
            ids_path.unlink(missing_ok=True)


def _ids_beside(path: str | os.PathLike[str]) -> Path:
    return Path(path).with_suffix(".ids.txt")
