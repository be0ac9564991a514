"""Embeddings: one vector for each item, keyed by id."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from scorers.checks import as_floats, check_finite, check_length, checked_item_ids, set_fields
from scorers.files import load_arrays, save_arrays, written_whole


@dataclass(frozen=True, eq=False, init=False, repr=False)
class Embeddings:
    """One vector for each item.

    Args:
        item_ids: n unique item ids, in the order of the rows.
        vectors: `(n, d)` finite floats of any precision. Not copied.

    Raises:
        ValueError: No items, ids doubled, another shape, NaN or infinity. The message names the item.

    Examples:
        >>> embeddings = Embeddings(["a.png", "b.png"], [[0.0, 1.0], [1.0, 0.0]])
        >>> embeddings.subset(["b.png"]).vectors.tolist()
        [[1.0, 0.0]]
    """

    item_ids: tuple[str, ...]
    vectors: npt.NDArray[np.floating[Any]]

    def __init__(self, item_ids: Iterable[str], vectors: npt.ArrayLike) -> None:
        ids = checked_item_ids(item_ids)
        rows = as_floats(vectors, "vectors", "(n, d)")
        if rows.shape[1] == 0:
            raise ValueError(f"vectors has shape {rows.shape}; expected at least one dimension")
        check_length(len(rows), len(ids), "vectors", "item ids")
        check_finite(rows, "the embedding", lambda row: repr(ids[row]))
        set_fields(self, item_ids=ids, vectors=rows)

    def __repr__(self) -> str:
        return f"Embeddings({len(self):,} items, {self.vectors.shape[1]:,} dimensions, {self.vectors.dtype})"

    @cached_property
    def digest(self) -> str:
        """SHA-256 over ids, type and values: equal embeddings have equal digests."""
        sha = hashlib.sha256("\0".join(self.item_ids).encode("utf-8", "surrogatepass"))
        sha.update(f"\0\0{self.vectors.dtype.str}{self.vectors.shape}".encode())
        step = max(1, (1 << 22) // self.vectors.shape[1])
        for start in range(0, len(self), step):
            sha.update(np.ascontiguousarray(self.vectors[start : start + step]).data)
        return f"sha256:{sha.hexdigest()}"

    def subset(self, item_ids: Iterable[str]) -> Embeddings:
        """The embeddings of these items, in this order.

        Raises:
            ValueError: An item has no embedding. The message names it.
        """
        wanted = checked_item_ids(item_ids)
        row_of = {item_id: row for row, item_id in enumerate(self.item_ids)}
        missing = [item_id for item_id in wanted if item_id not in row_of]
        if missing:
            raise ValueError(f"{len(missing):,} items have no embedding, the first is {missing[0]!r}")
        return Embeddings(wanted, self.vectors[[row_of[item_id] for item_id in wanted]])

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write an `.npz` file with arrays `item_ids` and `vectors`, or an `.npy` file of the vectors and the ids beside it.

        Of `vectors.npy` the ids are in `vectors.ids.txt`, in UTF-8, one on each line. Each file is written whole or not at
        all.

        Raises:
            ValueError: An id has a line break, which `.ids.txt` cannot hold.
        """
        if Path(path).suffix != ".npy":
            save_arrays(path, item_ids=np.array(self.item_ids), vectors=self.vectors)
            return
        broken = [item_id for item_id in self.item_ids if len(item_id.splitlines()) != 1]
        if broken:
            raise ValueError(f"the id {broken[0]!r} does not fit on a line; save to a .npz file instead")
        with written_whole(path) as file:
            np.lib.format.write_array(file, np.asarray(self.vectors), allow_pickle=False)
        with written_whole(_ids_beside(path)) as file:
            file.writelines(f"{item_id}\n".encode("utf-8", "surrogatepass") for item_id in self.item_ids)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Embeddings:
        """Read an `.npz` file with arrays `item_ids` (strings) and `vectors` `(n, d)`, or open an `.npy` file of vectors.

        Vectors in an `.npy` file stay on disk, for pools beyond memory: they are mapped, and read where they are needed.
        If the ids are in the order of the project's items, they are never copied.

        Raises:
            FileNotFoundError: There is no such file, or no `.ids.txt` beside an `.npy` file.
            ValueError: It is no such file, or its content is no embeddings.
        """
        if Path(path).suffix == ".npy":
            vectors = _mapped(path)
            return cls(_read_ids(_ids_beside(path)), vectors)
        arrays = load_arrays(path, ("item_ids", "vectors"))
        return cls(tuple(arrays["item_ids"].tolist()), arrays["vectors"])

    def __len__(self) -> int:
        return len(self.item_ids)


def _ids_beside(path: str | os.PathLike[str]) -> Path:
    return Path(path).with_suffix(".ids.txt")


def _read_ids(path: Path) -> tuple[str, ...]:
    if not path.exists():
        raise FileNotFoundError(f"there is no '{path}' beside the vectors; write the item ids into it, one on each line")
    try:
        text = path.read_bytes().decode("utf-8", "surrogatepass")
    except UnicodeDecodeError as error:
        raise ValueError(f"'{path}' is no text in UTF-8: {error}") from error
    lines = text.removeprefix("\ufeff").rstrip("\r\n").split("\n")
    return tuple(line.removesuffix("\r") for line in lines)


def _mapped(path: str | os.PathLike[str]) -> npt.NDArray[Any]:
    try:
        return cast(npt.NDArray[Any], np.load(path, mmap_mode="r", allow_pickle=False))
    except FileNotFoundError:
        raise
    except Exception as error:  # damaged bytes can fail in any way
        raise ValueError(f"{os.fspath(path)!r} is not a .npy file of a plain array") from error
