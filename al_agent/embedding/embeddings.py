"""Embeddings: one vector for each item, keyed by id."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from scorers.checks import as_floats, check_finite, check_length, checked_item_ids, set_fields
from scorers.files import load_arrays, save_arrays


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
        """Write an `.npz` file with arrays `item_ids` and `vectors`, whole or not at all."""
        save_arrays(path, item_ids=np.array(self.item_ids), vectors=self.vectors)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Embeddings:
        """Read an `.npz` file with arrays `item_ids` (strings) and `vectors` `(n, d)`.

        Raises:
            FileNotFoundError: There is no such file.
            ValueError: It is no such file, or its content is no embeddings.
        """
        arrays = load_arrays(path, ("item_ids", "vectors"))
        return cls(tuple(arrays["item_ids"].tolist()), arrays["vectors"])

    def __len__(self) -> int:
        return len(self.item_ids)
