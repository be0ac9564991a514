"""Class distributions of several members of a committee, or of several stochastic passes of one network."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial

import numpy as np
import numpy.typing as npt

from ..checks import FloatArray, check_length, check_probability_rows, checked_item_ids, read_only, set_fields
from .classification import ClassificationPredictions


@dataclass(frozen=True, eq=False, init=False, repr=False)
class EnsemblePredictions:
    """For each item a class distribution of each of t members.

    Args:
        item_ids: n unique item ids, in the order of the rows.
        probabilities: `(n, t, c)` floats of any precision, t and c at least 2, each distribution summing to 1 within 0.004.
            Not copied.

    Raises:
        ValueError: Ids doubled or missing, another shape, values that are not probabilities. The message names the item.

    Examples:
        >>> predictions = EnsemblePredictions(["a.png"], [[[0.9, 0.1], [0.5, 0.5]]])
        >>> predictions.mean().probabilities.tolist()
        [[0.7, 0.3]]
    """

    item_ids: tuple[str, ...]
    probabilities: FloatArray

    def __init__(self, item_ids: Iterable[str], probabilities: npt.ArrayLike) -> None:
        ids = checked_item_ids(item_ids)
        values = np.asarray(probabilities)
        if values.ndim != 3 or values.dtype.kind != "f" or min(values.shape[1:]) < 2:
            raise ValueError(
                f"probabilities has shape {values.shape}, type {values.dtype}; expected floats of shape (n, t, c), with at "
                "least 2 members t and 2 classes c"
            )
        check_length(len(values), len(ids), "probabilities", "item ids")
        n_members = values.shape[1]
        check_probability_rows(values.reshape(-1, values.shape[2]), "probabilities", partial(_member_name, ids, n_members))
        set_fields(self, item_ids=ids, probabilities=read_only(values))

    def __repr__(self) -> str:
        n, n_members, n_classes = self.probabilities.shape
        return f"EnsemblePredictions({n:,} items, {n_members:,} members, {n_classes:,} classes)"

    def mean(self) -> ClassificationPredictions:
        """The mean of the members, for the scores and methods that take one distribution for each item."""
        return ClassificationPredictions(self.item_ids, self.probabilities.mean(axis=1, dtype=np.float64))

    def __len__(self) -> int:
        return len(self.item_ids)


def _member_name(item_ids: tuple[str, ...], n_members: int, row: int) -> str:
    return f"{item_ids[row // n_members]!r}, member {row % n_members},"
