"""Embeddings: one vector for each item, keyed by id."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeVar, cast

import numpy as np
import numpy.typing as npt

from samplers.distances import unit_rows
from scorers.checks import (
    FloatArray,
    as_floats,
    check_finite,
    check_length,
    checked_item_ids,
    row_blocks,
    set_fields,
)

from .files import read, write
from .files.contents import Contents, place_of_fault

_T = TypeVar("_T")


@dataclass(frozen=True, eq=False, init=False, repr=False)
class Embeddings:
    """One vector for each item.

    Args:
        item_ids: n unique item ids, in the order of the rows.
        vectors: `(n, d)` finite floats: half, single or double precision, which they keep; whole numbers become double. Not
            copied. numpy has no bfloat16: convert to float32 or float16 before.
        description: How the vectors were made, in one line: the model and its version, say. Kept in `.npz` and `.parquet`
            files; no part of `digest`.

    Raises:
        ValueError: No items, ids doubled, another shape, NaN or infinity. The message names the item.

    Examples:
        >>> embeddings = Embeddings(["a.png", "b.png"], [[0.0, 1.0], [1.0, 0.0]])
        >>> embeddings.subset(["b.png"]).vectors.tolist()
        [[1.0, 0.0]]
    """

    description: str | None
    _contents: Contents | None
    _rows: FloatArray

    def __init__(self, item_ids: Iterable[str], vectors: npt.ArrayLike, *, description: str | None = None) -> None:
        ids = checked_item_ids(item_ids)
        rows = _checked_rows(vectors)
        check_length(len(rows), len(ids), "vectors", "item ids")
        check_finite(rows, "the embedding", lambda row: repr(ids[row]))
        _check_description(description)
        set_fields(self, description=description, _contents=None, _rows=rows, item_ids=ids, vectors=rows)

    @cached_property
    def item_ids(self) -> tuple[str, ...]:
        """The n item ids, in the order of the rows.

        Raises:
            ValueError: They are in a file, read now for the first time, and are doubled, no text or not as many as the rows.
        """
        assert self._contents is not None
        stored = self._contents.item_ids
        given = stored if isinstance(stored, tuple) else stored.read()
        return _named(self._contents, given, lambda: checked_item_ids(given))

    @cached_property
    def vectors(self) -> FloatArray:
        """`(n, d)` finite floats, read-only.

        Raises:
            ValueError: They are in a file, checked now for the first time, and hold NaN or infinity, or the ids are wrong.
        """
        ids, rows = self.item_ids, self._rows
        assert self._contents is not None
        _named(self._contents, ids, lambda: check_finite(rows, "the embedding", lambda row: repr(ids[row])))
        return rows

    @property
    def n_dimensions(self) -> int:
        """d, known without reading a vector."""
        return int(self._rows.shape[1])

    def __len__(self) -> int:
        return len(self._rows)

    def __repr__(self) -> str:
        made = "" if self.description is None else f", {self.description!r}"
        return f"Embeddings({len(self):,} items, {self.n_dimensions:,} dimensions, {self._rows.dtype}{made})"

    def __reduce__(self) -> tuple[Any, ...]:  # what lies in a file is read, as an open file cannot travel
        return _rebuilt, (self.item_ids, np.asarray(self.vectors), self.description)

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
        rows = self.vectors[[row_of[item_id] for item_id in wanted]]
        return Embeddings(wanted, rows, description=self.description)

    @staticmethod
    def concat(parts: Sequence[Embeddings]) -> Embeddings:
        """The items of all parts, one part after another, in the widest of their types; in memory.

        The description is kept if all parts have the same; if they have different ones, a warning says so, as vectors of
        different models cannot be compared.

        Raises:
            ValueError: No parts, other numbers of dimensions, or an item in two parts. The message names the parts.

        Examples:
            >>> july, august = Embeddings(["a"], [[1.0, 0.0]]), Embeddings(["b"], [[0.0, 1.0]])
            >>> Embeddings.concat([july, august]).item_ids
            ('a', 'b')
        """
        from .combined import concat  # noqa: PLC0415  # it stands on this module

        return concat(parts)

    @staticmethod
    def side_by_side(parts: Sequence[Embeddings]) -> Embeddings:
        """One longer vector for each item, made of the item's vectors in all parts; in memory.

        The parts have the same items, in any order; the result has the order of the first. A part whose vectors are longer
        weighs more in a distance: `normalise` each to give them the same weight.

        Raises:
            ValueError: No parts, or an item that is not in all of them. The message names it.

        Examples:
            >>> looks = Embeddings(["a", "b"], [[1.0], [2.0]])
            >>> place = Embeddings(["b", "a"], [[20.0], [10.0]])
            >>> Embeddings.side_by_side([looks, place]).vectors.tolist()
            [[1.0, 10.0], [2.0, 20.0]]
        """
        from .combined import side_by_side  # noqa: PLC0415  # it stands on this module

        return side_by_side(parts)

    def normalise(self) -> Embeddings:
        """Every vector divided by its Euclidean length, in its own type; in memory.

        Raises:
            ValueError: A vector is zero and has no direction. The message names the item.

        Examples:
            >>> Embeddings(["a.png"], [[3.0, 4.0]]).normalise().vectors.tolist()
            [[0.6, 0.8]]
        """
        vectors = self.vectors
        result = np.empty(vectors.shape, dtype=vectors.dtype)
        for part in row_blocks(*vectors.shape):
            block = vectors[part]
            is_zero = ~block.any(axis=1)
            if is_zero.any():
                item_id = self.item_ids[part.start + int(np.flatnonzero(is_zero)[0])]
                raise ValueError(f"the embedding of {item_id!r} is zero and has no direction; leave it out with subset")
            result[part] = unit_rows(block)
        return Embeddings(self.item_ids, result, description=_then(self.description, "unit length"))

    def reduce(self, n_dimensions: int, *, whiten: bool = False, seed: int = 0) -> Embeddings:
        """The coordinates of every vector along the directions in which all vary most (principal components), in float32.

        The description says how much of the variance they keep. Directions have a fixed sign, so the result is the same
        each time. Up to 2,048 dimensions exact, without a copy of vectors on disk: time O(n d² + d³), memory O(d² + n k);
        beyond, memory O(n d) in float64, and for more than 2,048 items by seeded random projection.

        Args:
            n_dimensions: k, at most the smaller of n and d.
            whiten: Give each new coordinate variance 1.
            seed: Of the random projection.

        Raises:
            ValueError: More dimensions than there are, or whitening where nothing varies.

        Examples:
            >>> line = Embeddings(["a", "b", "c"], [[0.0, 0.0], [3.0, 4.0], [6.0, 8.0]])
            >>> line.reduce(1).vectors.tolist()
            [[-5.0], [0.0], [5.0]]
        """
        n, d = len(self), self.n_dimensions
        if n_dimensions not in range(1, min(n, d) + 1):
            raise ValueError(
                f"n_dimensions is {n_dimensions!r}; expected a whole number from 1 to {min(n, d):,}, the smaller of {n:,} "
                f"items and {d:,} dimensions"
            )
        from .principal_components import principal_components  # noqa: PLC0415  # seldom needed

        rows, share = principal_components(self.vectors, int(n_dimensions), whiten=whiten, seed=seed)
        made = f"{n_dimensions:,} principal components of {d:,}, {share:.1%} of the variance{', whitened' if whiten else ''}"
        return Embeddings(self.item_ids, rows, description=_then(self.description, made))

    def project(self, method: str = "pca", *, seed: int = 0) -> Embeddings:
        """A map of the items: 2 dimensions in float64, near where the vectors are near.

        Args:
            method: How the map is made; `al_agent.embedding.projection` lists the ways.
            seed: Of the ways that are random.
        """
        from .projection import project  # noqa: PLC0415  # slow to load

        return project(self, cast(Any, method), seed=seed)  # it refuses what it does not know

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write a file by its ending, whole or not at all.

        `.npz`: arrays `item_ids` and `vectors`, and `description`. `.parquet` (needs the extra `parquet`): columns `item_id`
        and `vector`. `.npy`: the vectors alone, and beside `vectors.npy` the ids in `vectors.ids.txt`, in UTF-8, one on each
        line. `.csv`: `filenames, embedding_0, ..., embedding_{d-1}, labels` as Lightly reads it, all labels 0.

        Raises:
            ImportError: A Parquet file, and pyarrow is missing.
            ValueError: Another ending, or the format cannot hold an id: `.npy` no line break, `.parquet` and `.csv` no half
                of a surrogate pair.
        """
        write(path, self.item_ids, self.vectors, self.description)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Embeddings:
        """Read or open a file that `save` or another program wrote, by its ending.

        `.npz`: arrays `item_ids` (strings) and `vectors` `(n, d)`. `.parquet`, or a folder of shards `part-*.parquet`: ids
        in a column `item_id`, `id`, `filename`, `filenames` or `file_name`, and vectors in a column of lists named `vector`,
        `vectors`, `embedding` or `embeddings`, or in columns `embedding_0` to `embedding_{d-1}`; other columns are left out.
        `.csv`: the same without lists, as Lightly writes it, read in float32.

        Floats in an `.npy` file stay on disk, for pools beyond memory: they are mapped, and read where they are needed. Ids
        are only counted when it is opened; ids and vectors are checked when they are first asked for. If the ids are in
        the order of the project's items, vectors are never copied. Leave the files alone while they are open; `save` may
        replace them.

        Raises:
            FileNotFoundError: There is no such file, or no `.ids.txt` beside an `.npy` file.
            ImportError: A Parquet file, and pyarrow is missing.
            ValueError: It is no such file, or its content is no embeddings; the message names the file and the place.
        """
        contents = read(path)
        stored = contents.item_ids
        if isinstance(stored, tuple):
            return _named(contents, stored, lambda: cls(stored, contents.vectors, description=contents.description))
        rows = _named(contents, (), lambda: _checked_rows(contents.vectors))
        _named(contents, (), lambda: check_length(len(rows), len(stored), "vectors", "item ids"))
        opened = cls.__new__(cls)
        set_fields(opened, description=None, _contents=contents, _rows=rows)
        return opened


def _named(contents: Contents, item_ids: Sequence[str], check: Callable[[], _T]) -> _T:
    """What `check` gives; if it raises, with the file and the place in it."""
    try:
        return check()
    except ValueError as error:
        raise ValueError(f"{contents.where}{place_of_fault(contents, item_ids)}: {error}") from error


def _checked_rows(vectors: npt.ArrayLike) -> FloatArray:
    kind = getattr(vectors, "dtype", None)
    if isinstance(kind, np.dtype) and kind.kind == "V" and kind.names is None and kind.itemsize == 2:
        raise ValueError(
            f"vectors holds values of type {kind}, bfloat16 it seems, which numpy lacks; convert them before: "
            "tensor.float().numpy(), or array.astype(numpy.float32)"
        )
    rows = as_floats(vectors, "vectors", "(n, d)")
    if rows.shape[1] == 0:
        raise ValueError(f"vectors has shape {rows.shape}; expected at least one dimension")
    return rows


def _check_description(description: object) -> None:
    if description is not None and (
        not isinstance(description, str) or len(description.splitlines()) != 1 or "\0" in description
    ):
        raise ValueError(f"description is {description!r}; expected one line of text, or None")


def _then(description: str | None, step: str) -> str:
    return step if description is None else f"{description}; {step}"


def _rebuilt(item_ids: tuple[str, ...], vectors: FloatArray, description: str | None) -> Embeddings:
    return Embeddings(item_ids, vectors, description=description)
