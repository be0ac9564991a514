"""The pool a sampler picks from: rows of items, labeled or not, with what is known of each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Vectors = npt.NDArray[np.floating[Any]]


@dataclass(frozen=True, eq=False)
class Pool:
    """Items in platform order: the labeled ones, and the candidates that can be picked.

    Args:
        item_ids: n unique item ids.
        is_labeled: `(n,)` booleans; the others are candidates. None: nothing is labeled.
        scores: `(n,)` finite numbers, higher means sooner; NaN is allowed for labeled items.
        vectors: `(n, d)` finite floats, the items' embeddings.
        score_name: What the scores are called in reasons.

    Raises:
        ValueError: Ids doubled, lengths that differ, a candidate without a finite score, or a vector that is not finite.

    Examples:
        >>> pool = Pool(("a", "b", "c"), is_labeled=np.array([True, False, False]))
        >>> pool.candidates.tolist()
        [1, 2]
    """

    item_ids: tuple[str, ...]
    is_labeled: npt.NDArray[np.bool_] | None = None
    scores: npt.NDArray[np.float64] | None = None
    vectors: Vectors | None = None
    score_name: str = "score"

    def __post_init__(self) -> None:
        ids = tuple(self.item_ids)
        n = len(ids)
        if len(set(ids)) != n:
            raise ValueError(f"item_ids has {n - len(set(ids))} doubled ids; give each item once")
        labeled = np.zeros(n, dtype=bool) if self.is_labeled is None else np.asarray(self.is_labeled)
        if labeled.shape != (n,) or labeled.dtype.kind != "b":
            raise ValueError(f"is_labeled has shape {labeled.shape}, type {labeled.dtype}; expected ({n},) booleans")
        object.__setattr__(self, "item_ids", ids)
        object.__setattr__(self, "is_labeled", labeled)
        if self.scores is not None:
            scores = np.asarray(self.scores, dtype=np.float64)
            if scores.shape != (n,):
                raise ValueError(f"scores has shape {scores.shape}; expected ({n},)")
            _check_finite(np.isfinite(scores) | labeled, ids, "score")
            object.__setattr__(self, "scores", scores)
        if self.vectors is not None:
            vectors = np.asarray(self.vectors)
            if vectors.ndim != 2 or len(vectors) != n or vectors.shape[1] == 0 or vectors.dtype.kind != "f":
                raise ValueError(f"vectors has shape {vectors.shape}, type {vectors.dtype}; expected ({n}, d) floats")
            object.__setattr__(self, "vectors", vectors)

    @property
    def labeled(self) -> npt.NDArray[np.int64]:
        """Rows of the labeled items, ascending."""
        assert self.is_labeled is not None  # since __post_init__
        return np.flatnonzero(self.is_labeled)

    @property
    def candidates(self) -> npt.NDArray[np.int64]:
        """Rows that can be picked, ascending."""
        assert self.is_labeled is not None
        return np.flatnonzero(~self.is_labeled)

    def __len__(self) -> int:
        return len(self.item_ids)


def _check_finite(good: npt.NDArray[np.bool_], ids: tuple[str, ...], what: str) -> None:
    if not good.all():
        bad = np.flatnonzero(~good)
        raise ValueError(f"{len(bad):,} candidates have no finite {what}, the first is {ids[int(bad[0])]!r}")
