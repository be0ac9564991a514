"""One class distribution for each item."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial

import numpy.typing as npt

from ..checks import (
    FloatArray,
    as_floats,
    check_finite,
    check_length,
    check_probability_rows,
    checked_item_ids,
    set_fields,
    softmax,
)
from .parts import check_has_columns, checked_names, checked_slice, item_name


@dataclass(frozen=True, eq=False, init=False, repr=False)
class ClassificationPredictions:
    """One class distribution for each item.

    Args:
        item_ids: n unique item ids, in the order of the rows.
        probabilities: `(n, c)` floats of any precision, each row summing to 1 within 0.004 (room for half precision), or
            `(n, 1)`: the probability of the positive class of two. Not copied.
        class_names: A name for each of the c columns, the negative class first where one column stands for two; needed
            only where names are shown to people.

    Raises:
        ValueError: Ids doubled or missing, another shape, values that are not probabilities. The message names the item.

    Examples:
        >>> predictions = ClassificationPredictions(["a.png", "b.png"], [[0.9, 0.1], [0.5, 0.5]])
        >>> len(predictions), predictions.n_classes
        (2, 2)
        >>> ClassificationPredictions(["a.png"], [[2.5, -1.0]])
        Traceback (most recent call last):
        ValueError: probabilities of 'a.png' is [2.5, -1]; probabilities lie in [0, 1]: if these are logits, use from_logits
    """

    item_ids: tuple[str, ...]
    probabilities: FloatArray
    class_names: tuple[str, ...] | None

    def __init__(
        self, item_ids: Iterable[str], probabilities: npt.ArrayLike, *, class_names: Iterable[str] | None = None
    ) -> None:
        ids = checked_item_ids(item_ids)
        values = as_floats(probabilities, "probabilities", "(n, c)")
        check_has_columns(values, "probabilities")
        check_length(len(values), len(ids), "probabilities", "item ids")
        check_probability_rows(values, "probabilities", partial(item_name, ids))
        names = checked_names(class_names)
        if names is not None and len(names) != max(2, values.shape[1]):
            raise ValueError(f"class_names has {len(names)} names for {max(2, values.shape[1])} classes")
        set_fields(self, item_ids=ids, probabilities=values, class_names=names)

    @classmethod
    def from_logits(
        cls, item_ids: Iterable[str], logits: npt.ArrayLike, *, class_names: Iterable[str] | None = None
    ) -> ClassificationPredictions:
        """Predictions from the values before the softmax.

        Args:
            item_ids: n unique item ids.
            logits: `(n, c)` finite floats, or `(n, 1)` logits of the positive class of two.
            class_names: As for the class.

        Raises:
            ValueError: As for the class, and for logits that are not finite.

        Examples:
            >>> ClassificationPredictions.from_logits(["a.png"], [[0.0, 0.0]]).probabilities.tolist()
            [[0.5, 0.5]]
        """
        ids = checked_item_ids(item_ids)
        values = as_floats(logits, "logits", "(n, c)")
        check_has_columns(values, "logits")
        check_length(len(values), len(ids), "logits", "item ids")
        check_finite(values, "logits", partial(item_name, ids))
        return cls(item_ids=ids, probabilities=softmax(values), class_names=class_names)

    def __repr__(self) -> str:
        return f"ClassificationPredictions({len(self):,} items, {self.n_classes:,} classes)"

    @property
    def n_classes(self) -> int:
        """Number of classes c; 2 where one column stands for both."""
        return max(2, int(self.probabilities.shape[1]))

    def __len__(self) -> int:
        return len(self.item_ids)

    def __getitem__(self, rows: slice) -> ClassificationPredictions:
        items = checked_slice(rows, len(self))
        return ClassificationPredictions(self.item_ids[items], self.probabilities[items], class_names=self.class_names)
