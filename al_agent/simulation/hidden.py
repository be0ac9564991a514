"""Data whose labels are known, and revealed one batch at a time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from ..platforms.local import PlatformLocal


@dataclass(frozen=True, eq=False)
class HiddenLabels:
    """A pool to label and a test set that is never in the pool.

    Args:
        item_ids: n ids of the pool's items.
        features: `(n, d)` what a model learns from; also the embeddings.
        labels: `(n,)` classes, the truth that annotators would find.
        test_features: `(t, d)`.
        test_labels: `(t,)`.
    """

    item_ids: tuple[str, ...]
    features: npt.NDArray[np.float64]
    labels: npt.NDArray[np.int64]
    test_features: npt.NDArray[np.float64]
    test_labels: npt.NDArray[np.int64]

    @cached_property
    def _row_of(self) -> dict[str, int]:
        return {item_id: row for row, item_id in enumerate(self.item_ids)}

    def features_of(self, item_ids: Sequence[str]) -> npt.NDArray[np.float64]:
        """`(k, d)` features of items, in their order."""
        return self.features[[self._row_of[item_id] for item_id in item_ids]]

    def reveal(self, platform: PlatformLocal, item_ids: Sequence[str]) -> None:
        """Label items with the truth, as an annotator would."""
        platform.annotate({item_id: int(self.labels[self._row_of[item_id]]) for item_id in item_ids})
