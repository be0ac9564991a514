"""A sampler picks an ordered batch from a pool: the base checks, the method computes."""

from __future__ import annotations

import math
import operator
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import replace
from typing import Any, ClassVar, NamedTuple

import numpy as np
import numpy.typing as npt

from .distances import blocks
from .pool import Pool
from .selection import Selection


class Picks(NamedTuple):
    """Rows of a pool in the order they were picked.

    `note` says what is special about the batch, `is_interrupted` that the keyboard stopped the method before it was done.
    """

    rows: npt.NDArray[np.int64]
    gains: npt.NDArray[np.float64]
    reasons: tuple[str, ...]
    note: str = ""
    is_interrupted: bool = False


class SelectionInterrupted(KeyboardInterrupt):
    """The keyboard stopped a method that picks one item at a time; `selection` holds what it had picked.

    `sampler.select(..., resume=error.selection)` goes on from there.
    """

    def __init__(self, selection: Selection, n_samples: int) -> None:
        rest = "; resume=error.selection goes on" if len(selection) < n_samples else ", which are all; see error.selection"
        super().__init__(f"interrupted after {len(selection):,} of {n_samples:,} picks{rest}")
        self.selection = selection


class Sampler(ABC):
    """Base of all methods.

    A method of your own sets `method`, says whether it needs scores or vectors, and picks rows in `pick`.
    """

    method: ClassVar[str]
    """The method's name."""

    @property
    def needs_scores(self) -> bool:
        """Whether the pool must have scores."""
        return False

    @property
    def needs_vectors(self) -> bool:
        """Whether the pool must have vectors."""
        return False

    @property
    def takes_scores(self) -> bool:
        """Whether scores are used where the pool has them; a method may take what it does not need."""
        return self.needs_scores

    @property
    def takes_vectors(self) -> bool:
        """Whether vectors are used where the pool has them."""
        return self.needs_vectors

    @property
    def metric_used(self) -> str | None:
        """The metric that items are compared by, if any."""
        return getattr(self, "metric", None)

    @property
    def needs_probabilities(self) -> bool:
        """Whether the pool must have class probabilities."""
        return False

    def select(
        self,
        pool: Pool,
        n_samples: int,
        *,
        seed: int | np.random.Generator = 0,
        on_pick: Callable[[int], object] | None = None,
        resume: Selection | None = None,
    ) -> Selection:
        """Pick `n_samples` candidates of the pool, best first.

        Args:
            pool: What there is to pick from.
            n_samples: Number of picks, at least 1 and at most the number of candidates.
            seed: Randomness of the methods that have any; the same seed gives the same batch.
            on_pick: Called with the number of picks made since the last call, for a progress bar.
            resume: Picks made before, which come first and count; the others are chosen as if these were labeled. CORESET
                and CORAL then pick what they would have picked without a break.

        Raises:
            SelectionInterrupted: The keyboard stopped CORESET, CORAL or JOINT; it holds the picks so far.
            ValueError: More picks than candidates, or a pool without the scores or vectors that the method needs.
        """
        wanted = checked_count(n_samples, "n_samples")
        if resume is not None:
            return self._resumed(pool, wanted, resume, seed, on_pick)
        n_candidates = len(pool.candidates)
        if wanted > n_candidates:
            raise ValueError(f"n_samples is {wanted:,}, and {n_candidates:,} items can be picked; ask for no more than that")
        if self.needs_scores and pool.scores is None:
            raise ValueError(f"{self.method} ranks by a score, and the pool has none; pass a scorer")
        if self.needs_vectors and pool.vectors is None:
            raise ValueError(f"{self.method} compares embeddings, and the pool has none; pass embeddings")
        if self.takes_vectors and pool.vectors is not None:
            check_vectors(pool)
        if self.needs_probabilities and pool.probabilities is None:
            raise ValueError(
                f"{self.method} reads class probabilities, and the pool has none; pass a scorer of predictions that have "
                "them"
            )
        if seed is None:
            raise ValueError("seed is None, which cannot be repeated; give a whole number")
        picks = self.pick(pool, wanted, np.random.default_rng(seed), on_pick or _ignore)
        if not picks.is_interrupted:
            _check_picks(self.method, pool, wanted, picks)
        ids = pool.item_ids
        selection = Selection(
            item_ids=tuple(ids[row] for row in picks.rows.tolist()),
            gains=picks.gains,
            reasons=picks.reasons,
            method=self.method,
            note=picks.note,
        ).picked_from(pool, self.metric_used)
        if picks.is_interrupted:
            raise SelectionInterrupted(selection, wanted)
        return selection

    def _resumed(
        self,
        pool: Pool,
        n_samples: int,
        before: Selection,
        seed: int | np.random.Generator,
        on_pick: Callable[[int], object] | None,
    ) -> Selection:
        is_labeled = pool.is_labeled.copy()
        is_labeled[self._check_resumed(pool, n_samples, before)] = True
        try:
            rest = self.select(replace(pool, is_labeled=is_labeled), n_samples - len(before), seed=seed, on_pick=on_pick)
        except SelectionInterrupted as error:
            raise SelectionInterrupted(before.followed_by(error.selection).picked_from(pool), n_samples) from None
        return before.followed_by(rest).picked_from(pool)

    def _check_resumed(self, pool: Pool, n_samples: int, before: Selection) -> npt.NDArray[np.int64]:
        """The rows that were picked before, all of which must be candidates."""
        row_of = {item_id: row for row, item_id in enumerate(pool.item_ids)}
        for item_id in before.item_ids:
            if item_id not in row_of or pool.is_labeled[row_of[item_id]]:
                raise ValueError(f"{item_id!r} was picked before, and is no candidate of this pool; start anew")
        if n_samples <= len(before):
            raise ValueError(f"n_samples is {n_samples:,}, and {len(before):,} were picked before; ask for more than that")
        return np.array([row_of[item_id] for item_id in before.item_ids], dtype=np.int64)

    @abstractmethod
    def pick(self, pool: Pool, n_samples: int, rng: np.random.Generator, on_pick: Callable[[int], object]) -> Picks:
        """Pick rows of a pool that has passed the checks. Ties go to the lower row."""


def checked_count(value: Any, name: str) -> int:
    """`value` as a whole number of at least 1; booleans and fractions are refused."""
    try:
        count = 0 if isinstance(value, bool | np.bool_) else operator.index(value)
    except TypeError:
        count = 0
    if count < 1:
        raise ValueError(f"{name} is {value!r}; expected a whole number of at least 1")
    return count


def check_number(value: object, name: str) -> None:
    """Raise unless `value` is a finite number of 0 or more."""
    if isinstance(value, bool) or not isinstance(value, int | float | np.number) or not 0 <= float(value) < math.inf:
        raise ValueError(f"{name} is {value!r}; expected a finite number of 0 or more")


def check_share(value: object, name: str) -> None:
    """Raise unless `value` is a number from 0 to below 1."""
    if isinstance(value, bool) or not isinstance(value, int | float | np.number) or not 0 <= float(value) < 1:
        raise ValueError(f"{name} is {value!r}; expected a share from 0 to below 1")


def _check_picks(method: str, pool: Pool, n_samples: int, picks: Picks) -> None:
    """What a method of one's own may get wrong."""
    rows = np.asarray(picks.rows)
    if not (len(rows) == n_samples or (len(rows) < n_samples and picks.note)):
        raise ValueError(f"{method} picked {len(rows)} of {n_samples} and its note does not say why")
    if len(np.unique(rows)) != len(rows) or ((rows < 0) | (rows >= len(pool))).any() or pool.is_labeled[rows].any():
        raise ValueError(f"{method} picked a row twice, or one that is no candidate")


LARGEST_COORDINATE = 1e100
"""Squares of larger coordinates would leave the range of float64."""


def check_vectors(pool: Pool) -> None:
    """Raise if a coordinate is NaN, infinite, or too large to be squared, naming the item."""
    vectors = pool.vectors
    assert vectors is not None
    for part in blocks(len(vectors), vectors.shape[1], 1 << 18):
        rows = vectors[part]
        least, most = float(rows.min()), float(rows.max())  # NaN if there is one
        if least >= -LARGEST_COORDINATE and most <= LARGEST_COORDINATE and np.isfinite(most - least):
            continue
        good = np.isfinite(rows) & (np.abs(rows.astype(np.float64)) <= LARGEST_COORDINATE)
        row = part.start + int(np.flatnonzero(~good.all(axis=1))[0])
        raise ValueError(
            f"the embedding of {pool.item_ids[row]!r} holds NaN, infinity or a number beyond {LARGEST_COORDINATE:g}"
        )


def _ignore(_: int) -> None:
    return None
