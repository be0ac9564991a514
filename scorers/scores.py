"""Scores: for each item, named numbers that say how much its label is worth; higher means sooner."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt

from .checks import as_floats, check_finite, check_length, checked_item_ids, read_only, set_fields
from .files import load_arrays, save_arrays

Vector = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False, init=False, repr=False)
class Scores:
    """Named scores of items, each item scored alone.

    Args:
        item_ids: n unique item ids.
        columns: Score name to `(n,)` finite numbers, higher means sooner; copied.
        default: The column to use where none is asked for; with a single column, that one.

    Raises:
        ValueError: Ids doubled, columns of another length, NaN or infinity, an unknown default. The message names the item.

    Examples:
        >>> scores = Scores(["a.png", "b.png"], {"blur": [0.2, 0.9], "size": [10.0, 30.0]})
        >>> mixed = scores.blend({"blur": 1.0, "size": 0.01})
        >>> mixed.column("blend").round(2).tolist()
        [0.3, 1.2]
    """

    item_ids: tuple[str, ...]
    columns: Mapping[str, Vector]
    default: str | None

    def __init__(self, item_ids: Iterable[str], columns: Mapping[str, npt.ArrayLike], default: str | None = None) -> None:
        ids = checked_item_ids(item_ids)
        _check_names(columns)
        checked: dict[str, Vector] = {}
        for name, values in columns.items():
            column = read_only(as_floats(values, f"score {name!r}", "(n,)").astype(np.float64) + 0.0)  # no minus zero
            check_length(len(column), len(ids), f"score {name!r}", "item ids")
            check_finite(column, f"score {name!r}", lambda row: repr(ids[row]))
            checked[name] = column
        if default is None and len(checked) == 1:
            default = next(iter(checked))
        if default is not None and default not in checked:
            raise ValueError(f"default is {default!r}; expected one of {', '.join(checked)}")
        set_fields(self, item_ids=ids, columns=MappingProxyType(checked), default=default)

    def __repr__(self) -> str:
        return f"Scores({len(self):,} items: {', '.join(self.names)}; default {self.default})"

    def __reduce__(self) -> tuple[type[Scores], tuple[tuple[str, ...], dict[str, Vector], str | None]]:
        return Scores, (self.item_ids, dict(self.columns), self.default)

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the columns."""
        return tuple(self.columns)

    def name_or_default(self, name: str | None) -> str:
        """The column that is meant by `name`, or by None.

        Raises:
            ValueError: There is no such column, or None is given and there is no default. The message lists the columns.
        """
        chosen = self.default if name is None else name
        if chosen is None:
            raise ValueError(f"which score? name one of {', '.join(self.names)}")
        if chosen not in self.columns:
            raise ValueError(f"there is no score {chosen!r}; these exist: {', '.join(self.names)}")
        return chosen

    def column(self, name: str | None = None) -> Vector:
        """The `(n,)` values of a named score, by default of the default one."""
        return self.columns[self.name_or_default(name)]

    def blend(self, weights: Mapping[str, float], *, name: str = "blend") -> Scores:
        """Add the weighted sum of some scores as a new column, which becomes the default.

        The columns are summed as they are, `sum(w * s)`: nothing is rescaled by the pool, so an item's blend does not
        depend on the other items. Mind the columns' units.

        Args:
            weights: Score name to finite weight.
            name: Name of the new column.

        Raises:
            ValueError: An unknown score, no weights, a weight that is not finite, or a name that is taken.
        """
        if not weights:
            raise ValueError(f"weights is empty; name one or more of {', '.join(self.names)}")
        if name in self.columns:
            raise ValueError(f"there is a score {name!r} already; choose another name for the blend")
        total = np.zeros(len(self))
        for column, weight in weights.items():
            if not _is_finite(weight):
                raise ValueError(f"the weight of {column!r} is {weight!r}; expected a finite number")
            total += weight * self.column(column)
        return Scores(self.item_ids, {**self.columns, name: total}, default=name)

    def merge(self, other: Scores) -> Scores:
        """Put the columns of another `Scores` of the same items beside these, joined by id; this default stays.

        Raises:
            ValueError: The items differ, or a column stands in both.
        """
        row_of = {item_id: row for row, item_id in enumerate(other.item_ids)}
        missing = [item_id for item_id in self.item_ids if item_id not in row_of]
        if missing or len(other) != len(self):
            example = missing[0] if missing else next(iter(set(row_of) - set(self.item_ids)))
            raise ValueError(f"the two Scores cover different items, {example!r} stands in one of them only")
        shared = set(self.columns) & set(other.columns)
        if shared:
            raise ValueError(f"score {min(shared)!r} stands in both")
        rows = [row_of[item_id] for item_id in self.item_ids]
        return replace(self, columns={**self.columns, **{name: values[rows] for name, values in other.columns.items()}})

    @cached_property
    def digest(self) -> str:
        """SHA-256 over ids, names and values: equal scores have equal digests."""
        sha = hashlib.sha256("\0".join(self.item_ids).encode("utf-8", "surrogatepass"))
        for name in sorted(self.columns):
            sha.update(f"\0\0{name}\0".encode("utf-8", "surrogatepass"))
            sha.update(np.ascontiguousarray(self.columns[name], dtype="<f8").data)
        return f"sha256:{sha.hexdigest()}"

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write an `.npz` file with arrays `item_ids`, `names`, `values` `(columns, n)` and `default`."""
        save_arrays(
            path,
            item_ids=np.array(self.item_ids),
            names=np.array(self.names),
            values=np.stack([self.columns[name] for name in self.names]),
            default=np.array(self.default or ""),
        )

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Scores:
        """Read what `save` wrote.

        Raises:
            FileNotFoundError: There is no such file.
            ValueError: It is no such file, or damaged.
        """
        arrays = load_arrays(path, ("item_ids", "names", "values", "default"))
        ids, names, values = arrays["item_ids"], arrays["names"], arrays["values"]
        if ids.ndim != 1 or names.ndim != 1 or values.shape != (len(names), len(ids)) or len(set(names)) != len(names):
            raise ValueError(
                f"{os.fspath(path)!r} holds item_ids {ids.shape}, names {names.shape}, values {values.shape}; "
                "expected (n,), (columns,) and (columns, n)"
            )
        try:
            return cls(tuple(ids.tolist()), dict(zip(names.tolist(), values)), str(arrays["default"]) or None)
        except ValueError as error:
            raise ValueError(f"{os.fspath(path)!r} holds no scores: {error}") from error

    def __len__(self) -> int:
        return len(self.item_ids)


def _check_names(columns: Any) -> None:
    if not isinstance(columns, Mapping):
        raise ValueError(f"columns is {type(columns).__name__}; expected a mapping of names to (n,) values")
    if not columns:
        raise ValueError("columns is empty; expected at least one named score")
    for name in columns:
        if not isinstance(name, str) or not name or "\0" in name:
            raise ValueError(f"{name!r} is no name of a score; expected text")


def _is_finite(weight: Any) -> bool:
    return isinstance(weight, int | float | np.number) and bool(np.isfinite(weight))
