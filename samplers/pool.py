"""The pool a sampler picks from: rows of items, labeled or not, with what is known of each."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Vectors = npt.NDArray[np.floating[Any]]


@dataclass(frozen=True, eq=False, init=False, repr=False)
class Pool:
    """Items in platform order: the labeled ones, and the candidates that can be picked.

    Args:
        item_ids: n unique item ids.
        is_labeled: `(n,)` booleans; the others are candidates. None: nothing is labeled.
        scores: `(n,)` finite numbers, higher means sooner; NaN is allowed for labeled items.
        vectors: `(n, d)` floats, the items' embeddings; the methods that use them refuse NaN and infinity.
        score_name: What the scores are called in reasons.
        probabilities: `(n, c)` class probabilities, or `(n, t, c)` of t members of a committee or stochastic passes; NaN is
            allowed for labeled items.
        columns: More facts by name: `(n,)` numbers, `(n,)` strings such as a class, a group or a site, or `(n, c)` shares of
            c classes.

    Raises:
        ValueError: Ids doubled, lengths that differ, or a candidate without a finite score or probability.

    Examples:
        >>> pool = Pool(("a", "b", "c"), is_labeled=np.array([True, False, False]))
        >>> pool.candidates.tolist()
        [1, 2]
    """

    item_ids: tuple[str, ...]
    is_labeled: npt.NDArray[np.bool_]
    scores: npt.NDArray[np.float64] | None
    vectors: Vectors | None
    score_name: str
    probabilities: npt.NDArray[np.floating[Any]] | None
    columns: Mapping[str, npt.NDArray[Any]]

    def __init__(
        self,
        item_ids: Iterable[str],
        is_labeled: npt.NDArray[np.bool_] | None = None,
        scores: npt.ArrayLike | None = None,
        vectors: Vectors | None = None,
        score_name: str = "score",
        probabilities: npt.NDArray[np.floating[Any]] | None = None,
        columns: Mapping[str, npt.ArrayLike] | None = None,
    ) -> None:
        if isinstance(item_ids, str):
            raise ValueError(f"item_ids is the single string {item_ids!r}; expected a sequence of strings")
        ids = tuple(item_ids)
        n = len(ids)
        if len(set(ids)) != n:
            raise ValueError(f"item_ids has {n - len(set(ids))} doubled ids; give each item once")
        labeled = np.zeros(n, dtype=bool) if is_labeled is None else np.asarray(is_labeled)
        if labeled.shape != (n,) or labeled.dtype.kind != "b":
            raise ValueError(f"is_labeled has shape {labeled.shape}, type {labeled.dtype}; expected ({n},) booleans")
        values = None
        if scores is not None:
            given = np.asarray(scores)
            if given.shape != (n,) or given.dtype.kind not in "iuf":
                raise ValueError(f"scores has shape {given.shape}, type {given.dtype}; expected ({n},) numbers")
            values = given.astype(np.float64)
            _check_finite(np.isfinite(values) | labeled, ids, "score")
        if vectors is not None:
            vectors = np.asarray(vectors)
            if vectors.ndim != 2 or len(vectors) != n or vectors.shape[1] == 0 or vectors.dtype.kind != "f":
                raise ValueError(f"vectors has shape {vectors.shape}, type {vectors.dtype}; expected ({n}, d) floats, d > 0")
        if probabilities is not None:
            probabilities = np.asarray(probabilities)
            if probabilities.ndim not in (2, 3) or len(probabilities) != n or probabilities.dtype.kind != "f":
                raise ValueError(
                    f"probabilities has shape {probabilities.shape}, type {probabilities.dtype}; expected floats of shape "
                    f"({n}, c), or ({n}, t, c) of t members"
                )
            sums = probabilities.reshape(n, -1).sum(axis=1, dtype=np.float64)
            _check_finite(np.isfinite(sums) | labeled, ids, "class probabilities")
        for name, value in {
            "item_ids": ids,
            "is_labeled": labeled,
            "scores": values,
            "vectors": vectors,
            "score_name": score_name,
            "probabilities": probabilities,
            "columns": {name: _checked_column(name, column, n) for name, column in (columns or {}).items()},
        }.items():
            object.__setattr__(self, name, value)

    def __repr__(self) -> str:
        return f"Pool({len(self):,} items, {len(self.labeled):,} labeled)"

    @property
    def labeled(self) -> npt.NDArray[np.int64]:
        """Rows of the labeled items, ascending."""
        return np.flatnonzero(self.is_labeled)

    @property
    def candidates(self) -> npt.NDArray[np.int64]:
        """Rows that can be picked, ascending."""
        return np.flatnonzero(~self.is_labeled)

    def __len__(self) -> int:
        return len(self.item_ids)


def _checked_column(name: str, column: npt.ArrayLike, n: int) -> npt.NDArray[Any]:
    values = np.asarray(column)
    if values.ndim not in (1, 2) or len(values) != n or values.dtype.kind not in ("iufbUT" if values.ndim == 1 else "iuf"):
        raise ValueError(
            f"column {name!r} has shape {values.shape}, type {values.dtype}; expected ({n},) numbers or strings, or "
            f"({n}, c) numbers"
        )
    return values


def _check_finite(good: npt.NDArray[np.bool_], ids: tuple[str, ...], what: str) -> None:
    if not good.all():
        bad = np.flatnonzero(~good)
        raise ValueError(f"{len(bad):,} candidates have no finite {what}, the first is {ids[int(bad[0])]!r}")
