"""PROTOTYPES: the highest scores first, passing over what looks like an item already picked of the same class."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from .distances import Distances, Rows, lane_sum
from .pool import Pool
from .reasons import in_words, score_reasons
from .sampler import Picks, Sampler

_CANDIDATES_PER_BLOCK = 256  # how many are compared with the picks at a time; changes no pick
_PICKS_PER_BLOCK = 4096
_UNSURE = (
    1e-9  # products of unit vectors in float64 err by less; nearer to the limit the cosine is computed in a fixed order
)


@dataclass(frozen=True)
class SamplerPrototypes(Sampler):
    """Walk the candidates by falling score, and reject those too similar to a pick with which they share a class.

    Each picked item stands as a prototype for its classes: a candidate is rejected if the cosine of its vector and that of
    a pick of the same class is above `max_similarity`. If the walk ends before the batch is full, the rejected follow by
    falling score, and the note says how many. The gain of a pick is its score. Ties go to the lower row; a zero vector looks
    like nothing, not even another one. Labeled items play no part.

    This is the rejection inside a class of DivProto with one vector for each item: that of the image, or, for detection, the
    mean of its boxes' features, given as embeddings. The paper has one prototype for each class in an image and a quota for
    rare classes too; we have neither.

    Time O(s p d) for s candidates looked at, only as many as needed, and p picks; memory O(p d + n).

    Args:
        max_similarity: Cosine above which two items of a class are look-alikes, from -1 to 1; 1 rejects nothing. 0.7 is that
            of the paper for features of a detector; other embeddings have other cosines.
        classes: Name of the pool's column of classes: `(n,)` strings or whole numbers, or `(n, c)` shares of c classes, of
            which two items share one if both have a share above 0. Where the pool has no column `class` and no other
            name is given, all items are of one class.

    Raises:
        ValueError: An option is out of range; at `select`, for a column that is missing or holds no classes.

    Examples:
        >>> pool = Pool(
        ...     ("a", "twin of a", "b"), scores=[0.9, 0.8, 0.1], vectors=np.array([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
        ... )
        >>> SamplerPrototypes().select(pool, 2).item_ids
        ('a', 'b')

    References:
        J. Wu, J. Chen and D. Huang, 2022, arXiv:2204.07965.
    """

    method: ClassVar[str] = "PROTOTYPES"
    max_similarity: float = 0.7
    classes: str = "class"

    def __post_init__(self) -> None:
        value: object = self.max_similarity
        name: object = self.classes
        if isinstance(value, bool) or not isinstance(value, int | float | np.number) or not -1 <= float(value) <= 1:
            raise ValueError(f"max_similarity is {value!r}; expected a number from -1 to 1")
        if not isinstance(name, str) or not name:
            raise ValueError(f"classes is {name!r}; expected the name of a column of the pool")

    @property
    def needs_scores(self) -> bool:
        """Always."""
        return True

    @property
    def needs_vectors(self) -> bool:
        """Always."""
        return True

    def pick(self, pool: Pool, n_samples: int, rng: np.random.Generator, on_pick: Callable[[int], object]) -> Picks:
        """Walk the candidates."""
        assert pool.scores is not None
        assert pool.vectors is not None
        candidates = pool.candidates
        order = candidates[np.argsort(-pool.scores[candidates], kind="stable")]
        classes = self._classes(pool)
        picked = _Prototypes(n_samples, pool.vectors.shape[1], classes)
        rejected: list[int] = []
        for start in range(0, len(order), _CANDIDATES_PER_BLOCK):
            rows = order[start : start + _CANDIDATES_PER_BLOCK]
            before = len(picked.rows)
            rejected += picked.walk(rows, _units(pool.vectors[rows]), float(self.max_similarity), n_samples)
            if len(picked.rows) > before:
                on_pick(len(picked.rows) - before)
            if len(picked.rows) == n_samples:
                break
        n_distinct = len(picked.rows)
        rest = rejected[: n_samples - n_distinct]
        chosen = np.array([*picked.rows, *rest], dtype=np.int64)
        told = [
            "no item picked before it shares a class"
            if similarity == -np.inf
            else f"at most {in_words(similarity)} similar to the items of its class picked before it"
            for similarity in picked.similarities
        ]
        told += [
            f"though more than {in_words(float(self.max_similarity))} similar to an item of its class picked before it"
        ] * len(rest)
        note = ""
        if rest:
            on_pick(len(rest))
            note = (
                f"{n_distinct:,} of {n_samples:,} items are no look-alikes at max_similarity "
                f"{float(self.max_similarity):.6g}; the rest were rejected before, and follow by their scores"
            )
        reasons = tuple(f"{score}; {why}" for score, why in zip(score_reasons(pool, chosen), told))
        return Picks(chosen, pool.scores[chosen], reasons, note)

    def _classes(self, pool: Pool) -> npt.NDArray[Any] | None:
        """`(n,)` codes of classes, `(n, c)` booleans, or None where all are of one class."""
        column = pool.columns.get(self.classes)
        if column is None:
            if self.classes != type(self).classes:
                names = ", ".join(map(repr, pool.columns)) or "none"
                raise ValueError(f"classes is {self.classes!r}, and the pool has no such column; it has {names}")
            return None
        if column.ndim == 2:
            bad = np.flatnonzero(~(column[pool.candidates] >= 0).all(axis=1))
            if len(bad):
                row = int(pool.candidates[bad[0]])
                raise ValueError(
                    f"column {self.classes!r} of {pool.item_ids[row]!r} is {column[row].tolist()}; expected shares "
                    "of 0 or more"
                )
            return np.asarray(column > 0)
        if column.dtype.kind == "f":
            raise ValueError(f"column {self.classes!r} holds fractions; expected strings, whole numbers, or shares (n, c)")
        return np.unique(column, return_inverse=True)[1].reshape(-1)


class _Prototypes:
    """The items picked so far, with their unit vectors and classes, and how similar each was to those before it."""

    def __init__(self, n_most: int, n_dimensions: int, classes: npt.NDArray[Any] | None) -> None:
        self.rows: list[int] = []
        self.similarities: list[float] = []
        self._units = np.empty((n_most, n_dimensions))
        self._classes = classes

    def walk(self, rows: Rows, units: Distances, limit: float, n_most: int) -> list[int]:
        """Pick from `(b,)` rows with `(b, d)` unit vectors, in their order, up to `n_most` in all; return the rejected."""
        highest = np.full(len(rows), -np.inf)
        before = np.array(self.rows, dtype=np.int64)
        for start in range(0, len(before), _PICKS_PER_BLOCK):
            part = slice(start, min(start + _PICKS_PER_BLOCK, len(before)))
            highest = np.maximum(highest, self._similarities(rows, units, before[part], self._units[part]).max(axis=1))
        among = self._similarities(rows, units, rows, units)
        rejected: list[int] = []
        for place, row in enumerate(rows.tolist()):
            if len(self.rows) == n_most:
                break
            similarity = float(highest[place])
            if limit < 1 and abs(similarity - limit) <= _UNSURE:  # no cosine is above 1
                similarity = self._exact(row, units[place])
            if similarity > limit:
                rejected.append(row)
                continue
            self._units[len(self.rows)] = units[place]
            self.rows.append(row)
            self.similarities.append(similarity)
            np.maximum(highest, among[:, place], out=highest)
        return rejected

    def _similarities(self, rows: Rows, units: Distances, others: Rows, other_units: Distances) -> Distances:
        """Cosines `(b, p)`, minus infinity where no class is shared."""
        products: Distances = np.clip(units @ other_units.T, -1.0, 1.0)
        return np.where(self._share(rows, others), products, -np.inf)

    def _share(self, rows: Rows, others: Rows) -> npt.NDArray[np.bool_]:
        if self._classes is None:
            return np.ones((len(rows), len(others)), dtype=bool)
        here, there = self._classes[rows], self._classes[others]
        if here.ndim == 1:
            return np.asarray(here[:, None] == there)
        return np.asarray(here.astype(np.float32) @ there.astype(np.float32).T > 0)

    def _exact(self, row: int, unit: Distances) -> float:
        """The highest cosine to a pick that shares a class, added up in one fixed order."""
        picks = np.flatnonzero(self._share(np.array([row]), np.array(self.rows, dtype=np.int64))[0])
        highest = -np.inf
        for start in range(0, len(picks), _PICKS_PER_BLOCK):
            products = self._units[picks[start : start + _PICKS_PER_BLOCK]] * unit
            highest = max(highest, float(lane_sum(np.ascontiguousarray(products.T)).max()))
        return highest


def _units(vectors: npt.NDArray[np.floating[Any]]) -> Distances:
    """The rows divided by their lengths, in float64; zero stays zero."""
    rows = vectors.astype(np.float64)
    # a power of two changes no direction, and lets all be squared
    rows = np.ldexp(rows, -np.frexp(np.abs(rows).max(axis=1))[1][:, None])
    lengths = np.sqrt(lane_sum(np.square(rows.T, order="C")))
    result: Distances = rows / np.where(lengths > 0, lengths, 1.0)[:, None]
    return result
