"""Class distributions of several members of a committee, or of several stochastic passes of one network."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial

import numpy as np
import numpy.typing as npt

from ..checks import (
    FloatArray,
    as_floats,
    check_finite,
    check_length,
    check_probability_rows,
    checked_item_ids,
    read_only,
    row_blocks,
    set_fields,
    softmax,
)
from .classification import ClassificationPredictions
from .parts import checked_names, checked_slice


@dataclass(frozen=True, eq=False, init=False, repr=False)
class EnsemblePredictions:
    """For each item a class distribution of each of t members.

    Args:
        item_ids: n unique item ids, in the order of the rows.
        probabilities: `(n, t, c)` floats of any precision, t and c at least 2, each distribution summing to 1 within 0.004.
            Not copied.
        class_names: A name for each of the c columns; needed only where names are shown to people.

    Raises:
        ValueError: Ids doubled or missing, another shape, values that are not probabilities. The message names the item.

    Examples:
        >>> predictions = EnsemblePredictions(["a.png"], [[[0.9, 0.1], [0.5, 0.5]]])
        >>> predictions.mean().probabilities.tolist()
        [[0.7, 0.3]]
    """

    item_ids: tuple[str, ...]
    probabilities: FloatArray
    class_names: tuple[str, ...] | None

    def __init__(
        self, item_ids: Iterable[str], probabilities: npt.ArrayLike, *, class_names: Iterable[str] | None = None
    ) -> None:
        ids = checked_item_ids(item_ids)
        values = np.asarray(probabilities)
        if values.ndim != 3 or values.dtype.kind != "f" or min(values.shape[1:]) < 2:
            raise ValueError(
                f"probabilities has shape {values.shape}, type {values.dtype}; expected floats of shape (n, t, c), with at "
                "least 2 members t and 2 classes c"
            )
        check_length(len(values), len(ids), "probabilities", "item ids")
        n, t, c = values.shape
        for items in row_blocks(n, t * c):  # a block at a time, as the members may not lie edge to edge
            rows = values[items].reshape(-1, c)
            check_probability_rows(rows, "probabilities", partial(_member_name, ids, t, items.start * t))
        names = checked_names(class_names)
        if names is not None and len(names) != c:
            raise ValueError(f"class_names has {len(names)} names for {c} classes")
        set_fields(self, item_ids=ids, probabilities=read_only(values), class_names=names)

    @classmethod
    def from_members(
        cls,
        item_ids: Iterable[str],
        members: Iterable[npt.ArrayLike | ClassificationPredictions],
        *,
        class_names: Iterable[str] | None = None,
    ) -> EnsemblePredictions:
        """Predictions that come one member after the other: several models, or passes of one network with dropout.

        Memory O(n t c), twice the result while it is put together.

        Args:
            item_ids: n unique item ids.
            members: t predictions of all items, at least 2, as a list or from a generator: each either `(n, c)`
                probabilities with rows in the order of `item_ids`, or `ClassificationPredictions` of these items in any
                order. One column is the probability of the positive class of two, and becomes two.
            class_names: As for the class; by default those of the first `ClassificationPredictions` that has them.

        Raises:
            ValueError: As for the class; members that differ in shape, items or class names. The message names the member.

        Examples:
            >>> passes = ([[0.5 + step / 10, 0.5 - step / 10]] for step in range(3))
            >>> EnsemblePredictions.from_members(["a.png"], passes)
            EnsemblePredictions(1 items, 3 members, 2 classes)
        """
        ids = checked_item_ids(item_ids)
        if isinstance(members, ClassificationPredictions):
            raise ValueError("members is one ClassificationPredictions; expected several, such as [first, second]")
        names = checked_names(class_names)
        rows: list[FloatArray] = []
        for number, member in enumerate(members):
            if isinstance(member, ClassificationPredictions):
                names = _names_of(member, names, number)
                values: FloatArray = _in_order(member, ids, number)
            else:
                values = as_floats(member, f"member {number}", "(n, c)")
            check_length(len(values), len(ids), f"member {number}", "item ids")
            if values.shape[1] == 1:
                values = np.concatenate([1 - values, values], axis=1)
            if rows and values.shape != rows[0].shape:
                raise ValueError(f"member {number} has {values.shape[1]} classes, member 0 has {rows[0].shape[1]}")
            # a generator may write its next pass where this one stands
            rows.append(values if isinstance(members, list | tuple) else values.copy())
        if len(rows) < 2:
            raise ValueError(f"there are {len(rows)} members; expected at least 2")
        return cls(ids, np.stack(rows, axis=1), class_names=names)

    @classmethod
    def from_logits(
        cls, item_ids: Iterable[str], logits: npt.ArrayLike, *, class_names: Iterable[str] | None = None
    ) -> EnsemblePredictions:
        """Predictions from the values before the softmax of each member.

        Args:
            item_ids: n unique item ids.
            logits: `(n, t, c)` finite floats, t and c at least 2.
            class_names: As for the class.

        Raises:
            ValueError: As for the class, and for logits that are not finite.

        Examples:
            >>> EnsemblePredictions.from_logits(["a.png"], [[[0.0, 0.0], [800.0, 0.0]]]).probabilities.tolist()
            [[[0.5, 0.5], [1.0, 0.0]]]
        """
        ids = checked_item_ids(item_ids)
        values = as_floats(logits, "logits", "(n, t, c)")
        check_length(len(values), len(ids), "logits", "item ids")
        if min(values.shape[1:]) < 2:
            raise ValueError(f"logits has shape {values.shape}; expected (n, t, c), at least 2 members t and 2 classes c")
        flat = values.reshape(-1, values.shape[2])
        check_finite(flat, "logits", partial(_member_name, ids, values.shape[1], 0))
        return cls(ids, softmax(flat).reshape(values.shape), class_names=class_names)

    @classmethod
    def concatenate(cls, parts: Iterable[EnsemblePredictions]) -> EnsemblePredictions:
        """The items of several predictions one after the other, for methods that look at the whole pool.

        Memory O(n t c), twice the result while it is put together.

        Args:
            parts: Predictions of different items by as many members, of as many classes, as a list or from a generator.

        Raises:
            ValueError: No parts, an item that comes twice, other numbers of members or classes, or other class names.

        Examples:
            >>> parts = (EnsemblePredictions([name], [[[0.9, 0.1], [0.5, 0.5]]]) for name in ("a.png", "b.png"))
            >>> EnsemblePredictions.concatenate(parts)
            EnsemblePredictions(2 items, 2 members, 2 classes)
        """
        chunks = list(parts)
        if not chunks:
            raise ValueError("there are no predictions: the iterable was empty, or had been read before")
        first = chunks[0]
        for number, chunk in enumerate(chunks):
            if not isinstance(chunk, EnsemblePredictions):
                raise ValueError(f"part {number} is {type(chunk).__name__}; expected EnsemblePredictions")
            if chunk.probabilities.shape[1:] != first.probabilities.shape[1:] or chunk.class_names != first.class_names:
                raise ValueError(
                    f"part {number} is {chunk!r}; expected members, classes and class names as of part 0, {first!r}"
                )
        ids = tuple(item_id for chunk in chunks for item_id in chunk.item_ids)
        return cls(ids, np.concatenate([chunk.probabilities for chunk in chunks]), class_names=first.class_names)

    def __repr__(self) -> str:
        return f"EnsemblePredictions({len(self):,} items, {self.n_members:,} members, {self.n_classes:,} classes)"

    @property
    def n_members(self) -> int:
        """Number of members t."""
        return int(self.probabilities.shape[1])

    @property
    def n_classes(self) -> int:
        """Number of classes c."""
        return int(self.probabilities.shape[2])

    def mean(self) -> ClassificationPredictions:
        """The mean of the members, for the scores and methods that take one distribution for each item."""
        mean = self.probabilities.mean(axis=1, dtype=np.float64)
        return ClassificationPredictions(self.item_ids, mean, class_names=self.class_names)

    def __len__(self) -> int:
        return len(self.item_ids)

    def __getitem__(self, rows: slice) -> EnsemblePredictions:
        items = checked_slice(rows, len(self))
        return EnsemblePredictions(self.item_ids[items], self.probabilities[items], class_names=self.class_names)


def _member_name(item_ids: tuple[str, ...], n_members: int, first_row: int, row: int) -> str:
    return f"{item_ids[(first_row + row) // n_members]!r}, member {row % n_members},"


def _names_of(member: ClassificationPredictions, names: tuple[str, ...] | None, number: int) -> tuple[str, ...] | None:
    if names is not None and member.class_names is not None and member.class_names != names:
        raise ValueError(
            f"member {number} has the classes {', '.join(member.class_names)}; expected {', '.join(names)}, in this order"
        )
    return member.class_names if names is None else names


def _in_order(member: ClassificationPredictions, ids: tuple[str, ...], number: int) -> FloatArray:
    if member.item_ids == ids:
        return member.probabilities
    row_of = {item_id: row for row, item_id in enumerate(member.item_ids)}
    missing = [item_id for item_id in ids if item_id not in row_of]
    if missing:
        raise ValueError(f"member {number} lacks {len(missing):,} items, the first is {missing[0]!r}; predict all items")
    rows = [row_of[item_id] for item_id in ids]
    return member.probabilities[rows]
