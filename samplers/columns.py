"""Columns of a pool as strategies need them: numbers, groups, classes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from .distances import Distances, Rows
from .pool import Pool
from .strategies import SCORE

NO_GROUP = -1


def numbers_of(pool: Pool, name: str) -> Distances:
    """The `(n,)` numbers of a column, or the scores, which are called `score`; those of candidates are finite.

    Raises:
        ValueError: There is no such column of numbers, or a candidate's is not finite.
    """
    if name == SCORE:
        assert pool.scores is not None
        return pool.scores
    column = _column(pool, name)
    if column.ndim == 1 and column.dtype.kind in "UT":
        for item_id, text in zip(pool.item_ids, column.tolist()):
            if not _is_number(text):
                raise ValueError(f"{name!r} of {item_id!r} is {text!r}; expected a number for each item")
        column = column.astype(np.float64)
    if column.ndim != 1 or column.dtype.kind not in "iufb":
        raise ValueError(f"column {name!r} holds {column.dtype} of shape {column.shape}; expected one number for each item")
    values = column.astype(np.float64)
    candidates = pool.candidates
    bad = candidates[~np.isfinite(values[candidates])]
    if len(bad):
        first = pool.item_ids[int(bad[0])]
        raise ValueError(f"{len(bad):,} candidates have no finite {name!r}, the first is {first!r}; give each a number")
    return values


@dataclass(frozen=True)
class Groups:
    """What group each item is in.

    Args:
        names: The groups, sorted.
        codes: `(n,)` places in names; -1 for an item without a group, which has an empty name.
    """

    names: tuple[str, ...]
    codes: Rows


def groups_of(pool: Pool, name: str) -> Groups:
    """The groups of a column of strings or whole numbers.

    Raises:
        ValueError: There is no such column.
    """
    column = _column(pool, name)
    if column.ndim != 1 or column.dtype.kind == "f":
        raise ValueError(
            f"column {name!r} holds {column.dtype} of shape {column.shape}; expected a string or whole number for each item"
        )
    values, codes = np.unique(column, return_inverse=True)
    names = [str(value) for value in values.tolist()]
    codes = codes.astype(np.int64)
    if "" in names:
        at = names.index("")
        names.remove("")
        codes = np.where(codes == at, NO_GROUP, codes - (codes > at))
    return Groups(tuple(names), codes)


def shares_of(pool: Pool, name: str) -> tuple[tuple[str, ...], Distances]:
    """The classes of a column of shares or counts, and its `(n, c)` numbers.

    Raises:
        ValueError: A number is negative or not finite.
    """
    column = _column(pool, name).astype(np.float64)
    bad = np.flatnonzero(~(np.isfinite(column) & (column >= 0)).all(axis=1))
    if len(bad):
        raise ValueError(
            f"column {name!r} of {pool.item_ids[int(bad[0])]!r} holds a number that is negative or not finite; shares and "
            "counts are 0 or more"
        )
    return tuple(map(str, range(column.shape[1]))), column


def is_of_shares(pool: Pool, name: str) -> bool:
    """Whether a column has several numbers for each item."""
    return _column(pool, name).ndim == 2


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _column(pool: Pool, name: str) -> npt.NDArray[Any]:
    if name not in pool.columns:
        known = ", ".join(map(repr, pool.columns)) or "no columns"
        raise ValueError(f"a strategy reads the column {name!r}, and the pool has {known}; pass it as metadata")
    return pool.columns[name]
