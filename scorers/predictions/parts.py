"""What several kinds of predictions check in the same way."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import numpy.typing as npt

from ..checks import FloatArray, as_numbers, read_only

IntArray = npt.NDArray[np.int64]


def checked_slice(rows: Any, n_items: int) -> slice:
    """The slice with its ends as numbers; an index, an empty slice and a step are refused."""
    start, stop, step = rows.indices(n_items) if isinstance(rows, slice) else (0, 0, 1)
    if step != 1 or start >= stop:
        raise ValueError(f"{rows} of {n_items:,} items; expected a slice of one or more items in a row, such as [0:10]")
    return slice(start, stop)


def checked_names(class_names: Iterable[str] | None) -> tuple[str, ...] | None:
    """The names as a tuple; one bare string is refused."""
    if isinstance(class_names, str):
        raise ValueError(f"class_names is the single string {class_names!r}; expected a sequence of names")
    return None if class_names is None else tuple(str(name) for name in class_names)


def item_name(ids: tuple[str, ...], row: int) -> str:
    """What messages call the item of a row."""
    return repr(ids[row])


def check_has_columns(values: FloatArray, name: str) -> None:
    """Raise if `(n, c)` values have no column."""
    if values.shape[1] == 0:
        raise ValueError(f"{name} has shape {values.shape}; expected at least one column")


def as_integers(values: npt.ArrayLike, name: str, shape: str) -> IntArray:
    """Like `as_numbers`, and whole: fractions, NaN, booleans and numbers beyond 64 bits are refused."""
    array = as_numbers(values, name, shape)
    if array.dtype.kind == "b":
        raise ValueError(f"{name} holds booleans; expected whole numbers of shape {shape}")
    if array.dtype.kind == "f" and not (array == np.floor(array)).all():  # NaN equals nothing
        raise ValueError(f"{name} holds fractions or NaN; expected whole numbers of shape {shape}")
    if array.size and not -(2**63) <= array.min() <= array.max() < 2**63:
        raise ValueError(f"{name} holds numbers beyond 64 bits; expected whole numbers of shape {shape}")
    return read_only(array.astype(np.int64))


def checked_offsets(offsets: npt.ArrayLike, n_items: int, n_parts: int, *, parts: str = "boxes") -> IntArray:
    """Where the parts of each item begin: `(n_items + 1,)` numbers that rise from 0 to `n_parts`."""
    array = as_integers(offsets, "offsets", "(n + 1,)")
    if len(array) != n_items + 1:
        raise ValueError(f"offsets has {len(array):,} values for {n_items:,} item ids; expected one more than items")
    if array[0] != 0 or array[-1] != n_parts:
        raise ValueError(f"offsets runs from {array[0]} to {array[-1]}; expected from 0 to the number of {parts}, {n_parts}")
    if (np.diff(array) < 0).any():
        row = int(np.flatnonzero(np.diff(array) < 0)[0])
        raise ValueError(f"offsets falls from {array[row]} to {array[row + 1]} at item {row}; expected rising numbers")
    return array


def check_unit_interval(values: FloatArray, name: str, row_name: Callable[[int], str]) -> None:
    """Raise unless all of the `(m,)` values lie in [0, 1], naming the first row that does not."""
    good = (values >= 0) & (values <= 1)
    if not good.all():
        row = int(np.flatnonzero(~good)[0])
        raise ValueError(f"{name} of {row_name(row)} is {values[row]}; expected a number in [0, 1]")


def is_nothing(rows: Any) -> bool:
    """Whether these are no rows at all, written without their columns: `[]`."""
    return isinstance(rows, list | tuple | np.ndarray) and len(rows) == 0 and np.ndim(rows) == 1


def part_name(ids: tuple[str, ...], offsets: IntArray, row: int, *, part: str = "box") -> str:
    """What messages call one of the parts of an item: `box 3 of 'a.jpg'`."""
    item = int(np.searchsorted(offsets, row, side="right")) - 1
    return f"{part} {row - int(offsets[item])} of {ids[item]!r}"
