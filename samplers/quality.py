"""How good a batch is: figures of it, each beside the same figure of random batches."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from .clustering import rows_by_id
from .density import landmarks, sparsest
from .distances import Distances, Rows, check_metric, squared_distances
from .greedy import walked_vectors
from .nearest import nearest_points
from .pool import Pool, Vectors
from .reasons import in_words
from .sampler import check_number, check_vectors, checked_count

N_RANDOM = 20
N_MEASURED = 10_000
OUTLIERS = 0.01  # share of the pool
NEAR = 0.25  # of the distance that is typical in a random batch
_PICKS_AT_ONCE = 32  # so few are compared pair by pair; changes no bit
_WIDTH = 80

Better = Literal["lower", "higher"]


@dataclass(frozen=True)
class Figure:
    """One figure of a batch, and the same of random batches.

    Args:
        name: What is measured, such as `covering radius`.
        unit: `share` for a number from 0 to 1, `of 12` for a count, the metric for a distance, or the score's name.
        value: The figure of the batch.
        random_mean: The mean of the random batches.
        random_low: Their 5th percentile.
        random_high: Their 95th percentile.
        is_better: Whether `lower` or `higher` is better; None where that depends on what the batch is for.
        note: What should be known of the number, such as the sample that it is measured on; empty if nothing.
    """

    name: str
    unit: str
    value: float
    random_mean: float
    random_low: float
    random_high: float
    is_better: Better | None = None
    note: str = ""

    @property
    def verdict(self) -> str:
        """`better` or `worse` than 95% of the random batches, where nothing is better `lower` or `higher`; else empty."""
        if self.random_low <= self.value <= self.random_high:
            return ""
        side = "lower" if self.value < self.random_low else "higher"
        return side if self.is_better is None else "better" if side == self.is_better else "worse"


@dataclass(frozen=True)
class Quality:
    """What is known of a batch as a whole; printed, it is a table of at most 80 columns.

    Args:
        method: Name of the method that picked the batch.
        n_picks: Its items.
        n_random: Random batches that it is compared with.
        figures: The figures; `quality["outlier share"]` is one of them.
        notes: What could not be measured, and why.
    """

    method: str
    n_picks: int
    n_random: int
    figures: tuple[Figure, ...]
    notes: tuple[str, ...] = ()

    def __getitem__(self, name: str) -> Figure:
        for figure in self.figures:
            if figure.name == name:
                return figure
        names = ", ".join(repr(figure.name) for figure in self.figures) or "none"
        raise KeyError(f"no figure {name!r}; there are {names}")

    def __iter__(self) -> Iterator[Figure]:
        return iter(self.figures)

    def __str__(self) -> str:
        batches = "batch" if self.n_random == 1 else "batches"
        lines = [f"{self.n_picks:,} items by {self.method or 'unknown'}, and {self.n_random:,} random {batches}"]
        cells = [("", "batch", "random", "5%", "95%", "")]
        cells += [_cells(figure) for figure in self.figures]
        widths = [max(map(len, column)) for column in zip(*cells)]
        widths[0] = min(widths[0], _WIDTH - sum(widths[1:]) - len(widths) + 1)
        for label, *numbers, verdict in cells if self.figures else ():
            first, *more = textwrap.wrap(label, widths[0]) or [""]
            row = [first.ljust(widths[0]), *(number.rjust(width) for number, width in zip(numbers, widths[1:])), verdict]
            lines += [" ".join(row).rstrip(), *more]
        for note in dict.fromkeys([*(figure.note for figure in self.figures), *self.notes]):
            lines += textwrap.wrap(note, _WIDTH)
        return "\n".join(lines)

    def to_dict(self) -> dict[str, Any]:
        """The report in what JSON can hold."""
        return {
            "method": self.method,
            "n_picks": self.n_picks,
            "n_random": self.n_random,
            "figures": [asdict(figure) for figure in self.figures],
            "notes": list(self.notes),
        }


def quality_of(
    pool: Pool,
    rows: Rows,
    *,
    method: str = "",
    n_random: int = N_RANDOM,
    seed: int | np.random.Generator = 0,
    metric: str = "euclidean",
    columns: Sequence[str] | None = None,
    near_distance: float | None = None,
    n_measured: int = N_MEASURED,
) -> Quality:
    """Measure a batch of a pool and random batches of its candidates, by the same rules.

    - covering radius: the largest distance of a candidate, picked or not, to its nearest labeled or picked item; mean
      distance and median distance: of that distance over the candidates.
    - outlier share: of the picks, those in the sparsest 1% of the pool, see `sparsest`. The pool needs 100 items.
    - near-duplicate share: of the picks, those that equal a labeled or earlier-picked item, or are nearer to one than
      `near_distance`.
    - mean score, of the picks.
    - For each column of strings or whole numbers, the number of values that the batch has of those that the candidates have,
      and the share of the picks that have its most frequent value. For each of shares or counts `(n, c)`, the total
      variation distance of the picks' sum of shares from the candidates', `sum |p - q| / 2` with p and q brought to sum 1.

    Distances are exact. With more than `n_measured` candidates they are over a random sample of so many, the same for all
    batches, and the radius also over all candidates among the sparsest 1% of the pool, where it mostly is found; it is then
    the least that the radius can be. A batch of more has its near-duplicates counted over a random sample of its picks.

    Draws run over the items sorted by id: the order of the pool changes nothing but ties. Time for l labeled items, k picks
    and s measured ones O((s l + r k l + r s k) d + n d), memory O(n + (s + r k + l) d).

    Args:
        pool: The pool that the batch was picked from, as it was then.
        rows: `(k,)` rows of candidates in the order they were picked, at least one.
        method: Name of the method that picked them.
        n_random: r, the number of random batches, at least 1.
        seed: Draws the batches and the samples.
        metric: `euclidean`, or `cosine`: `1 - cos`, of vectors that must not be zero.
        columns: Names of the pool's columns to report on; None: all.
        near_distance: In the metric's unit; 0 counts only what is equal. None: a quarter of the median distance of a pick to
            its nearest labeled or earlier-picked item in the random batches. So it follows the batch: in ten thousand frames
            of a few videos, neighbours are near for a batch of 20 and not for one of 5,000.
        n_measured: s, at least 1.

    Raises:
        ValueError: An option is out of range, a column is missing, or a vector cannot be measured.

    Examples:
        >>> pool = Pool(("a", "b", "c", "d"), vectors=np.array([[0.0], [1.0], [2.0], [8.0]]))
        >>> quality = quality_of(pool, np.array([0, 3]))
        >>> quality["covering radius"].value, quality["mean distance"].value
        (2.0, 0.75)

    References:
        Covering radius: O. Sener and S. Savarese, 2018, arXiv:1708.00489. That the radius alone misleads, and random batches
        are the thing to beat: Y. Zhou et al., 2024, arXiv:2408.00426; C. Lüth et al., NeurIPS 2023.
    """
    n_random, n_measured = checked_count(n_random, "n_random"), checked_count(n_measured, "n_measured")
    check_metric(metric)
    if near_distance is not None:
        check_number(near_distance, "near_distance")
    if seed is None:
        raise ValueError("seed is None, which cannot be repeated; give a whole number")
    if len(rows) == 0:
        raise ValueError("the batch is empty, and there is nothing to measure")
    names = _checked_names(pool, columns)
    rng = np.random.default_rng(seed)
    by_id = rows_by_id(pool.item_ids)
    candidates = by_id[~pool.is_labeled[by_id]]
    batches = [rows, *(rng.choice(candidates, len(rows), replace=False) for _ in range(n_random))]

    figures: list[Figure] = []
    notes: list[str] = []
    if pool.vectors is None:
        notes.append("No embeddings in the pool: no distances, outliers or near-duplicates.")
    else:
        check_vectors(pool)
        ruler = _Ruler(pool, candidates, metric, n_measured, rng, by_id)
        for some, why in (ruler.cover(batches), ruler.outliers(batches), ruler.near(batches, near_distance)):
            figures += some
            notes += why
    if pool.scores is None:
        notes.append("No scores in the pool: no mean score.")
    else:
        means = [math.fsum(pool.scores[batch].tolist()) / len(batch) for batch in batches]  # in any order the same bits
        figures.append(_figure("mean score", pool.score_name, means, "higher"))
    for name in names:
        some, why = _column_figures(name, pool.columns[name], candidates, batches)
        figures += some
        notes += why
    return Quality(method, len(rows), n_random, tuple(figures), tuple(notes))


class _Ruler:
    """Measures batches by the distances of the pool's vectors; what all batches need is computed once."""

    def __init__(
        self, pool: Pool, candidates: Rows, metric: str, n_measured: int, rng: np.random.Generator, by_id: Rows
    ) -> None:
        self._vectors: Vectors = walked_vectors(pool, metric)
        self._metric = metric
        self._labeled = pool.labeled
        self._candidates = candidates
        self._n_measured = n_measured
        self._rng = rng
        self._is_sparse = np.zeros(len(pool), dtype=bool)
        self._is_sparse[sparsest(self._vectors, OUTLIERS, rng, order=by_id)] = True

    def cover(self, batches: list[Rows]) -> _Found:
        """How near the candidates are to what is labeled or picked."""
        sample = landmarks(len(self._candidates), self._n_measured, self._rng, self._candidates)
        is_left = np.zeros(len(self._is_sparse), dtype=bool)
        is_left[self._candidates] = True
        is_left[sample] = False
        more = np.flatnonzero(self._is_sparse & is_left)
        rows = np.concatenate([sample, more])
        points, to_labeled = self._vectors[rows], self._to_labeled(rows)
        note = ""
        if len(sample) < len(self._candidates):
            note = (
                f"Distances are over a random {len(sample):,} of the {len(self._candidates):,} candidates; the covering "
                f"radius is over the {len(more):,} others in the sparsest places too, and may still be larger."
            )
        radii, means, medians = [], [], []
        for batch in batches:
            _, to_picked = nearest_points(points, self._vectors[batch])
            distances = self._in_unit(np.minimum(to_labeled, to_picked))
            radii.append(float(distances.max()))
            means.append(float(distances[: len(sample)].mean()))
            medians.append(float(np.median(distances[: len(sample)])))
        found = (("covering radius", radii), ("mean distance", means), ("median distance", medians))
        return [_figure(name, self._metric, values, "lower", note) for name, values in found], []

    def outliers(self, batches: list[Rows]) -> _Found:
        """How many picks are outliers."""
        if int(len(self._is_sparse) * OUTLIERS) == 0:
            return [], [f"A pool of {len(self._is_sparse)} is too small for an outlier share."]
        shares = [float(self._is_sparse[batch].mean()) for batch in batches]
        return [_figure("outlier share", "share", shares, "lower")], []

    def near(self, batches: list[Rows], near_distance: float | None) -> _Found:
        """How many picks are near to an item that was there before."""
        n_picks = len(batches[0])
        places = [landmarks(n_picks, self._n_measured, self._rng) for _ in batches]
        looked_at = np.unique(np.concatenate([batch[place] for batch, place in zip(batches, places)]))
        to_labeled = np.empty(len(self._is_sparse))
        to_labeled[looked_at] = self._to_labeled(looked_at)
        distances = []
        for batch, place in zip(batches, places):
            squared = to_labeled[batch[place]]
            _lower_to_earlier(squared, self._vectors[batch], place, 0, n_picks)
            distances.append(self._in_unit(squared))
        at_random = np.concatenate(distances[1:])
        at_random = at_random[np.isfinite(at_random)]  # the first pick has nothing before it, if nothing is labeled
        if len(at_random) == 0:
            return [], ["Nothing is labeled, and a single pick cannot be a near-duplicate."]
        limit = NEAR * float(np.median(at_random)) if near_distance is None else float(near_distance)
        note = (
            f"A near-duplicate equals a labeled or earlier-picked item or is nearer to one than {in_words(limit)}"
            f"{', a quarter of what is usual in the random batches' if near_distance is None else ''}."
        )
        if len(places[0]) < n_picks:
            note += f" They are counted over a random {len(places[0]):,} of the picks."
        shares = [float(((found < limit) | (found == 0)).mean()) for found in distances]
        return [_figure("near-duplicate share", "share", shares, "lower", note)], []

    def _to_labeled(self, rows: Rows) -> Distances:
        """The squared distance of each row to its nearest labeled item, infinite if there is none."""
        if len(self._labeled) == 0:
            return np.full(len(rows), np.inf)
        return nearest_points(self._vectors[rows], self._vectors[self._labeled])[1]

    def _in_unit(self, squared: Distances) -> Distances:
        """Squared distances in the metric; of unit vectors the square is twice `1 - cos`."""
        return squared / 2 if self._metric == "cosine" else np.sqrt(squared)


_Found = tuple[list[Figure], list[str]]


def _lower_to_earlier(squared: Distances, points: Vectors, places: Rows, first: int, last: int) -> None:
    """Lower the squared distances of the points at ascending places to those from the points before them.

    Only points from `first` to before `last` are looked at. The later half meets the earlier half in matrix products, and
    each half then itself.
    """
    low, high = np.searchsorted(places, (first, last)).tolist()
    if low == high:
        return
    if last - first <= _PICKS_AT_ONCE:
        place, earlier = np.nonzero(places[low:high, None] > np.arange(first, last))
        found = squared_distances(points, places[low + place], first + earlier)
        np.minimum.at(squared, low + place, found)
        return
    middle = (first + last) // 2
    later = slice(int(np.searchsorted(places, middle)), high)
    if later.start < high:
        _, found = nearest_points(points[places[later]], points[first:middle])
        squared[later] = np.minimum(squared[later], found)
    _lower_to_earlier(squared, points, places, first, middle)
    _lower_to_earlier(squared, points, places, middle, last)


def _checked_names(pool: Pool, columns: Sequence[str] | None) -> list[str]:
    if columns is None:
        return list(pool.columns)
    if isinstance(columns, str):
        raise ValueError(f"columns is the single string {columns!r}; expected a sequence of names")
    for name in columns:
        if name not in pool.columns:
            names = ", ".join(map(repr, pool.columns)) or "none"
            raise ValueError(f"columns names {name!r}, and the pool has no such column; it has {names}")
    return list(dict.fromkeys(columns))


def _column_figures(name: str, values: npt.NDArray[Any], candidates: Rows, batches: list[Rows]) -> _Found:
    """Of classes or groups how many are hit and how evenly, of shares how far they are from the candidates'."""
    if values.ndim == 2:
        return _share_figures(name, values, candidates, batches)
    if values.dtype.kind == "f":
        return [], [f"Column {name!r} holds fractions, of which no values are counted."]
    codes = np.unique(values, return_inverse=True)[1].reshape(-1)
    counts = [np.bincount(codes[batch]) for batch in batches]
    n_present = len(np.unique(codes[candidates]))
    hit = [float(np.count_nonzero(count)) for count in counts]
    largest = [float(count.max() / len(batches[0])) for count in counts]
    return [
        _figure(f"values of {name}", f"of {n_present:,}", hit, "higher"),
        _figure(f"largest value of {name}", "share", largest, "lower"),
    ], []


def _share_figures(name: str, values: npt.NDArray[Any], candidates: Rows, batches: list[Rows]) -> _Found:
    shares = values[candidates].astype(np.float64)
    if not (np.isfinite(shares) & (shares >= 0)).all():
        return [], [f"Column {name!r} holds numbers that are no shares, below 0 or not finite."]
    totals: Distances = shares.sum(axis=0)
    if not 0 < totals.sum() < np.inf:
        return [], [f"Column {name!r} has no shares to compare with: they add up to {in_words(float(totals.sum()))}."]
    shifts = [_shift(values[np.sort(batch)].sum(axis=0, dtype=np.float64), totals) for batch in batches]
    return [_figure(f"shift of {name}", "share", shifts, None)], []


def _shift(some: Distances, all_: Distances) -> float:
    """Total variation distance of sums of shares; 1, the largest, where one of them is all 0."""
    if some.sum() == 0:
        return 1.0
    return float(np.abs(some / some.sum() - all_ / all_.sum()).sum() / 2)


def _figure(name: str, unit: str, values: list[float], is_better: Better | None, note: str = "") -> Figure:
    """The first value is the batch's, the others are the random ones."""
    value, *at_random = values
    low, high = np.percentile(at_random, (5, 95)).tolist()
    return Figure(name, unit, value, math.fsum(at_random) / len(at_random), low, high, is_better, note)


def _cells(figure: Figure) -> tuple[str, str, str, str, str, str]:
    """A row of the table."""
    is_share = figure.unit == "share"
    numbers = (figure.value, figure.random_mean, figure.random_low, figure.random_high)
    first, second, third, fourth = (f"{number:.1%}" if is_share else _shown(number) for number in numbers)
    return (figure.name if is_share else f"{figure.name} ({figure.unit})", first, second, third, fourth, figure.verdict)


def _shown(number: float) -> str:
    """Four digits, as batches often differ by little."""
    return f"{number:,.0f}" if 1000 <= abs(number) < 1e9 else f"{number:.4g}"
