"""Data whose labels are known, and revealed one batch at a time."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from scorers.checks import as_numbers, check_finite, check_length, checked_item_ids, set_fields

from ..embedding import Embeddings
from ..platforms.local import PlatformLocal

_EMPTY_PART = re.compile(r"(^|/)\.{0,2}(/|$)")  # a part of a path that is empty, "." or ".."

RESERVED_UNITS = ("classes", "duplicates", "images", "labels", "steps")
"""Names that a study gives itself to what it counts."""


@dataclass(frozen=True, eq=False)
class HiddenLabels:
    """A pool to label and a test set that is never in the pool, for any task.

    Args:
        item_ids: n ids of the pool's items, which a local project takes as its names: relative, such as `cats/1.png`.
        features: `(n, ...)` what a model learns from: vectors `(n, d)`, or images such as `(n, 3, h, w)`.
        labels: The truth that annotators would find: `(n,)` whole numbers are classes; of other tasks `(n, ...)`, such as
            masks `(n, h, w)`, or boxes `(n, m, 5)` that are padded with rows of NaN.
        test_features: `(t, ...)`, rows of the same shape.
        test_labels: `(t, ...)`.
        embeddings: `(n, d)` what items are compared by; by default the features, if these are `(n, d)`.
        amounts: Unit to `(n,)` numbers of 0 or more, what it takes to label each item: its boxes, the seconds for it.
        groups: `(n,)` whole numbers or names of groups of look-alikes, such as the frames of a video. Of each group one
            label is worth having; the others are duplicates. Strategies may read them as the column `group`.

    Raises:
        ValueError: Lengths or shapes that do not fit together, a value that is not finite, an amount below 0, a unit
            whose name is taken, or an id that no local project can have. The message names the item.

    Examples:
        >>> masks = np.zeros((2, 4, 4), dtype=np.uint8)
        >>> images = np.zeros((2, 3, 4, 4), dtype=np.uint8)
        >>> data = HiddenLabels(("a", "b"), images, masks, images[:1], masks[:1], amounts={"seconds": [30, 90]})
        >>> data.is_of_classes, data.vectors, data.amounts["seconds"].tolist()
        (False, None, [30.0, 90.0])
    """

    item_ids: tuple[str, ...]
    features: npt.NDArray[Any]
    labels: npt.NDArray[Any]
    test_features: npt.NDArray[Any]
    test_labels: npt.NDArray[Any]
    embeddings: npt.NDArray[np.floating[Any]] | None = None
    amounts: Mapping[str, npt.NDArray[Any]] = field(default_factory=dict)
    groups: npt.NDArray[Any] | None = None

    def __post_init__(self) -> None:
        ids = checked_item_ids(self.item_ids)
        for item_id in ids:
            if _EMPTY_PART.search(item_id):
                raise ValueError(
                    f"the id {item_id!r} cannot name an item of a local project, where labels are revealed; expected paths "
                    "such as 'cats/1.png', relative and without a part that is empty, '.' or '..'"
                )
        tests = tuple(f"row {row}" for row in range(len(self.test_labels)))
        if not tests:
            raise ValueError("test_labels is empty; expected items to measure models on")
        set_fields(
            self,
            item_ids=ids,
            features=_checked_features(self.features, "features", ids),
            labels=_checked_labels(self.labels, "labels", ids),
            test_features=_checked_features(self.test_features, "test_features", tests),
            test_labels=_checked_labels(self.test_labels, "test_labels", tests),
            amounts={unit: _checked_amount(unit, values, ids) for unit, values in dict(self.amounts).items()},
            groups=None if self.groups is None else _checked_groups(self.groups, len(ids)),
        )
        if self.embeddings is not None:
            embeddings = as_numbers(self.embeddings, "embeddings", "(n, d)")
            check_length(len(embeddings), len(ids), "embeddings", "items")
            _check_finite(embeddings, "embeddings", ids)
        expected, found = self.features.shape[1:], self.test_features.shape[1:]
        if found != expected:
            raise ValueError(f"test_features has rows of shape {found}, features of {expected}; expected the same")
        if self.test_labels.ndim != self.labels.ndim or _is_whole(self.test_labels) != _is_whole(self.labels):
            raise ValueError(
                f"test_labels has shape {self.test_labels.shape}, type {self.test_labels.dtype}, and labels "
                f"{self.labels.shape}, {self.labels.dtype}; expected both of one task"
            )

    @property
    def is_of_classes(self) -> bool:
        """Whether labels are classes, one whole number for each item."""
        return self.labels.ndim == 1 and _is_whole(self.labels)

    @cached_property
    def vectors(self) -> Embeddings | None:
        """What items are compared by; None where features are no vectors, and no embeddings are given."""
        if self.embeddings is not None:
            return Embeddings(self.item_ids, self.embeddings)
        return Embeddings(self.item_ids, self.features) if self.features.ndim == 2 else None

    @cached_property
    def _row_of(self) -> dict[str, int]:
        return {item_id: row for row, item_id in enumerate(self.item_ids)}

    def rows_of(self, item_ids: Sequence[str]) -> npt.NDArray[np.int64]:
        """`(k,)` rows of items, in their order."""
        row_of = self._row_of
        return np.fromiter((row_of[item_id] for item_id in item_ids), dtype=np.int64, count=len(item_ids))

    def features_of(self, item_ids: Sequence[str]) -> npt.NDArray[Any]:
        """`(k, ...)` features of items, in their order."""
        return self.features[self.rows_of(item_ids)]

    def reveal(self, platform: PlatformLocal, item_ids: Sequence[str]) -> None:
        """Label items as an annotator would: with their class, or of other tasks with a word that stands for the label."""
        rows = self.rows_of(item_ids)
        labels = map(int, self.labels[rows]) if self.is_of_classes else (f"row {row}" for row in rows.tolist())
        platform.annotate(dict(zip(item_ids, labels)))


def _checked_features(values: Any, name: str, ids: Sequence[str]) -> npt.NDArray[Any]:
    features = _numbers(values, name)
    if features.ndim < 2:
        raise ValueError(f"{name} has shape {features.shape}; expected (n, d) vectors, or (n, ...) images")
    check_length(len(features), len(ids), name, "items")
    _check_finite(features, name, ids)
    return features


def _checked_labels(values: Any, name: str, ids: Sequence[str]) -> npt.NDArray[Any]:
    labels = _numbers(values, name)
    if labels.ndim < 1:
        raise ValueError(f"{name} is the single {labels}; expected one label for each item")
    check_length(len(labels), len(ids), name, "items")
    if labels.ndim == 1:  # of other tasks NaN pads
        _check_finite(labels, name, ids)
    return labels


def _checked_amount(unit: object, values: Any, ids: Sequence[str]) -> npt.NDArray[np.float64]:
    if not isinstance(unit, str) or not unit.isprintable() or not unit.strip():
        raise ValueError(f"amounts has the unit {unit!r}; expected text such as 'boxes'")
    if unit in RESERVED_UNITS:
        raise ValueError(f"amounts has the unit {unit!r}, which a study counts itself; choose another name")
    name = f"the amount of {unit}"
    amount = as_numbers(values, name, "(n,)").astype(np.float64)
    check_length(len(amount), len(ids), name, "items")
    _check_finite(amount, name, ids)
    if amount.min() < 0:
        row = int((amount < 0).argmax())
        raise ValueError(f"{name} of {ids[row]!r} is {amount[row]:g}; expected numbers of 0 or more")
    return amount


def _checked_groups(values: Any, n_items: int) -> npt.NDArray[Any]:
    groups = np.asarray(values)
    if groups.dtype.kind == "O" and all(isinstance(value, str) for value in groups.ravel().tolist()):
        groups = groups.astype(np.str_)
    if groups.ndim != 1 or groups.dtype.kind not in "iuU":
        raise ValueError(
            f"groups has shape {groups.shape}, type {groups.dtype}; expected (n,) whole numbers, or names, one for each item"
        )
    check_length(len(groups), n_items, "groups", "items")
    return groups


def _numbers(values: Any, name: str) -> npt.NDArray[Any]:
    array = np.asarray(values)
    if array.dtype.kind not in "biuf":
        numbered = "; number classes by numpy.unique(..., return_inverse=True)" if array.dtype.kind in "US" else ""
        raise ValueError(f"{name} holds values of type {array.dtype}; expected one array of numbers{numbered}")
    return array


def _is_whole(values: npt.NDArray[Any]) -> bool:
    return values.dtype.kind in "biu"


def _check_finite(values: npt.NDArray[Any], name: str, ids: Sequence[str]) -> None:
    if values.dtype.kind == "f":
        check_finite(values.reshape(len(values), -1), name, lambda row: repr(ids[row]))
