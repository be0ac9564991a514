"""Checks at the door of every value: ids, shapes and numbers, with messages that name the item."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.floating[Any]]
"""Float16, float32 or float64, as the caller had it."""

ROW_SUM_TOLERANCE = 4e-3
"""How far a row of probabilities may sum from 1: twice the worst rounding of bfloat16 (2**-9), eight times float16's."""

_VALUES_PER_BLOCK = 1 << 17  # 1 MiB of float64: a block and its temporaries stay in a core's own cache


def row_blocks(n_rows: int, n_columns: int) -> Iterator[slice]:
    """Cut `n_rows` rows into slices small enough to be worked on inside the processor's cache."""
    step = max(1, _VALUES_PER_BLOCK // max(1, n_columns))
    for start in range(0, n_rows, step):
        yield slice(start, min(start + step, n_rows))


def set_fields(value: object, **fields: Any) -> None:
    """Give a frozen dataclass its checked fields, once, at birth."""
    for name, content in fields.items():
        object.__setattr__(value, name, content)


def read_only(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """A view of `array` that cannot be written through; nothing is copied."""
    view = array.view()
    view.flags.writeable = False
    return view


def checked_item_ids(item_ids: Iterable[str]) -> tuple[str, ...]:
    """The ids as a tuple of unique strings.

    Raises:
        ValueError: An id is no string, or stands twice, or there are none.
    """
    if isinstance(item_ids, str):
        raise ValueError(f"item_ids is the single string {item_ids!r}; expected a sequence of strings, one per item")
    if isinstance(item_ids, set | frozenset):
        raise ValueError("item_ids is a set, which has no order to match rows by; pass a list")
    if not isinstance(item_ids, Iterable):
        raise ValueError(f"item_ids is {item_ids!r}; expected a sequence of strings, one per item")
    ids = item_ids if isinstance(item_ids, tuple) else tuple(item_ids)
    if not ids:
        raise ValueError("item_ids is empty; expected at least one item")
    if set(map(type, ids)) != {str}:
        for row, item_id in enumerate(ids):
            if not isinstance(item_id, str):
                raise ValueError(
                    f"item_ids[{row}] is {item_id!r} of type {type(item_id).__name__}; ids are strings, so use str(...)"
                )
        ids = tuple(map(str, ids))
    if any("\0" in item_id for item_id in ids):
        raise ValueError(f"{next(i for i in ids if chr(0) in i)!r} is no item id: it holds a NUL character")
    if len(set(ids)) != len(ids):
        doubled = doubled_ids(ids)
        raise ValueError(f"{len(doubled)} item ids stand more than once, the first is {doubled[0]!r}; give each item once")
    return ids


def doubled_ids(item_ids: Iterable[str]) -> list[str]:
    """Every id that has stood before, as often as it comes again."""
    seen: set[str] = set()
    return [item_id for item_id in item_ids if item_id in seen or seen.add(item_id)]  # type: ignore[func-returns-value]


def as_numbers(values: npt.ArrayLike, name: str, shape: str) -> npt.NDArray[Any]:
    """`values` as an array of integers or floats with as many dimensions as `shape` names, read-only and not copied.

    Args:
        values: Anything numpy can read.
        name: What the message calls it.
        shape: The expected shape in words, such as `(n, c)`; its commas count the dimensions.

    Raises:
        ValueError: Not numbers, or the wrong number of dimensions.
    """
    try:
        array = np.asarray(values)
    except (TypeError, RuntimeError, ValueError) as error:
        raise ValueError(
            f"{name} cannot be read as an array of shape {shape}: {error}; "
            "pass a torch tensor as tensor.detach().float().cpu().numpy(), and rows of one length"
        ) from error
    if array.dtype.kind not in "biuf":
        raise ValueError(f"{name} holds values of type {array.dtype}; expected numbers of shape {shape}")
    n_dimensions = len([part for part in shape.strip("()").split(",") if part.strip()])
    if array.ndim != n_dimensions:
        raise ValueError(f"{name} has shape {array.shape}; expected {shape}")
    return read_only(array)


def as_floats(values: npt.ArrayLike, name: str, shape: str) -> FloatArray:
    """Like `as_numbers`, and floating point: whole numbers and long doubles become float64, other floats stay."""
    array = as_numbers(values, name, shape)
    if array.dtype.kind != "f" or array.dtype.itemsize > 8:
        array = read_only(array.astype(np.float64))
    return array


def check_length(n_rows: int, expected: int, name: str, of: str) -> None:
    """Raise if `name` has not one row for each of the `expected` ones."""
    if n_rows != expected:
        raise ValueError(f"{name} has {n_rows:,} rows for {expected:,} {of}; expected one row for each")


def check_finite(values: FloatArray, name: str, row_name: Callable[[int], str]) -> None:
    """Raise if a value is NaN or infinite, naming the first such row. Looks at blocks: memory O(1)."""
    n_columns = 1 if values.ndim == 1 else values.shape[1]
    for rows in row_blocks(len(values), n_columns):
        finite = np.isfinite(values[rows])
        if not finite.all():
            bad = np.flatnonzero(~finite.reshape(len(finite), -1).all(axis=1))
            first = rows.start + int(bad[0])
            raise ValueError(f"{name} of {row_name(first)} is {_shown(values[first])}; expected finite numbers")


def check_probability_rows(values: FloatArray, name: str, row_name: Callable[[int], str]) -> None:
    """Raise unless every row is a probability distribution, naming the first row that is not.

    One column is the probability of the positive class of two, and then only its range is checked. Looks at blocks:
    memory O(1).

    Args:
        values: `(n, c)`, finite, not negative, each row summing to 1 within `ROW_SUM_TOLERANCE`.
        name: What the message calls the array.
        row_name: Gives a row's name for the message.

    Raises:
        ValueError: A row is not finite, negative, or does not sum to one.
    """
    n_columns = values.shape[1]
    for rows in row_blocks(*values.shape):
        block = values[rows]
        with np.errstate(all="ignore"):  # NaN and infinity reach the sums, so two comparisons see every fault
            sums = block.sum(axis=1, dtype=np.float32 if block.dtype.itemsize < 4 else None)
            most_off = sums.max() - 1 if n_columns == 1 else np.abs(sums - 1).max()
        if not (block.min() >= 0 and most_off <= (0 if n_columns == 1 else ROW_SUM_TOLERANCE)):
            _raise_bad_row(block, rows.start, name, row_name)


def _raise_bad_row(block: FloatArray, start: int, name: str, row_name: Callable[[int], str]) -> None:
    n_columns = block.shape[1]
    for offset, row in enumerate(np.asarray(block, dtype=np.float64)):
        where = f"{name} of {row_name(start + offset)}"
        if not np.isfinite(row).all():
            raise ValueError(f"{where} is {_shown(row)}; expected finite numbers")
        if row.min() < 0 or (n_columns == 1 and row[0] > 1):
            raise ValueError(f"{where} is {_shown(row)}; probabilities lie in [0, 1]: if these are logits, use from_logits")
        with np.errstate(over="ignore"):
            total = row.sum()
        if n_columns > 1 and abs(total - 1) > ROW_SUM_TOLERANCE:
            raise ValueError(
                f"{where} sums to {total:.6g} ({_shown(row)}); expected 1 within {ROW_SUM_TOLERANCE}: for logits use "
                "from_logits, and keep every class, a background class too"
            )


def _shown(row: npt.NDArray[Any]) -> str:
    values = np.atleast_1d(row).tolist()
    text = ", ".join(f"{value:.6g}" for value in values[:4])
    return f"[{text}, ...]" if len(values) > 4 else f"[{text}]"


def softmax(logits: FloatArray) -> FloatArray:
    """Row-wise softmax of `(n, c)` logits in float64, returned in the input's type, at least float32.

    One column is a logit of the positive class of two and becomes its logistic function. Looks at blocks: memory is the
    result's.

    Examples:
        >>> softmax(np.array([[0.0, 0.0], [1000.0, 0.0]])).tolist()
        [[0.5, 0.5], [1.0, 0.0]]
    """
    result = np.empty(logits.shape, dtype=np.promote_types(logits.dtype, np.float32))
    for rows in row_blocks(*logits.shape):
        block = np.array(logits[rows], dtype=np.float64, order="C")  # one layout, one order of summing
        if block.shape[1] == 1:
            positive = np.exp(-np.abs(block))
            result[rows] = np.where(block >= 0, 1 / (1 + positive), positive / (1 + positive))
        else:
            with np.errstate(over="ignore", under="ignore"):  # a gap beyond the range of float64 is a probability of 0
                block -= block.max(axis=1, keepdims=True)
                np.exp(block, out=block)
            result[rows] = block / block.sum(axis=1, keepdims=True)
    return result
