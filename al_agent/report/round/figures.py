"""The figures of a round as the page's tables and bars show them."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from samplers.quality import Figure, Quality

from ..page.assembling import figure
from .facts import ClassCount, RoundFacts

N_BINS = 40
N_CLASSES = 20

_MEANINGS = {
    "covering radius": "The largest distance of any candidate to its nearest labeled or picked item",
    "mean distance": "The mean distance of a candidate to its nearest labeled or picked item",
    "median distance": "The median distance of a candidate to its nearest labeled or picked item",
    "outlier share": "Picks that lie in the sparsest 1% of the pool",
    "near-duplicate share": "Picks that look like a labeled or an earlier picked item",
    "mean score": "The mean score of the picks",
}
_BY_BEGINNING = {
    "values of ": "Different values that the batch has",
    "largest value of ": "The share of the picks that have the commonest value",
    "shift of ": "How far the batch's shares are from the candidates', from 0 to 1",
}
_VERDICTS = {
    "better": "better than 95% of random batches",
    "worse": "worse than 95% of random batches",
    "lower": "lower than in 95% of random batches",
    "higher": "higher than in 95% of random batches",
    "": "as in random batches",
}


class Bin(NamedTuple):
    """Scores from `low` up to `high`: how many items have them, in numbers and as a share of the fullest bin."""

    low: str
    high: str
    n_pool: int
    n_picked: int
    pool_share: float
    picked_share: float


class Histogram(NamedTuple):
    """Scores of the unlabeled items before the batch, and of the picks among them."""

    bins: tuple[Bin, ...]
    n_pool: int
    n_picked: int
    n_unscored: int
    most_pool: int
    most_picked: int
    low: str
    middle: str
    high: str
    median_pool: str
    median_picked: str


class Bar(NamedTuple):
    """A class before and after the batch; shares of all, and of the longest bar in per cent."""

    name: str
    before: int
    picked: int
    share_before: str
    share_after: str
    before_width: float
    picked_width: float
    is_rest: bool


class Compared(NamedTuple):
    """A figure of the batch beside random ones; places are per cent of its strip."""

    name: str
    meaning: str
    value: str
    random: str
    low: str
    high: str
    better: str
    verdict: str
    kind: str
    at_value: float
    at_mean: float
    at_low: float
    at_high: float


class Coverage(NamedTuple):
    """Distances to the nearest labeled item before the batch, after it, and after a random one."""

    unit: str
    rows: tuple[tuple[str, str, str, str], ...]


def histogram_of(facts: RoundFacts) -> Histogram | None:
    """Scores of all that could be picked, in 40 bins; None where no such item has a score."""
    if facts.scores is None:
        return None
    picks = frozenset(facts.round.selection.item_ids)
    is_pick = np.array([item_id in picks for item_id in facts.item_ids], dtype=bool)
    could = is_pick | (facts.states == "unlabeled")
    has_score = np.isfinite(facts.scores)
    pool, picked = facts.scores[could & has_score], facts.scores[is_pick & has_score]
    if not len(pool):
        return None
    edges = _edges(float(pool.min()), float(pool.max()))
    of_pool, of_picks = _counts(pool, edges), _counts(picked, edges)
    most_pool, most_picked = int(of_pool.max()), int(of_picks.max())
    bins = [
        Bin(figure(low), figure(high), n_pool, n_picked, n_pool / most_pool, n_picked / max(1, most_picked))
        for low, high, n_pool, n_picked in zip(edges.tolist(), edges[1:].tolist(), of_pool.tolist(), of_picks.tolist())
    ]
    return Histogram(
        bins=tuple(bins),
        n_pool=len(pool),
        n_picked=len(picked),
        n_unscored=int((could & ~has_score).sum()),
        most_pool=most_pool,
        most_picked=most_picked,
        low=figure(float(edges[0])),
        middle=figure(float(edges[len(edges) // 2])),
        high=figure(float(edges[-1])),
        median_pool=figure(float(np.median(pool))),
        median_picked=figure(float(np.median(picked))) if len(picked) else "",
    )


def _edges(low: float, high: float) -> npt.NDArray[np.float64]:
    """Of 40 bins; of one where all scores are equal, or differ too little for more."""
    shares = np.linspace(0.0, 1.0, N_BINS + 1)
    edges: npt.NDArray[np.float64] = low * (1 - shares) + high * shares  # no difference, which could be infinite
    return edges if (np.diff(edges) > 0).all() else np.array([low, high])


def _counts(values: npt.NDArray[np.float64], edges: npt.NDArray[np.float64]) -> npt.NDArray[np.int64]:
    places = np.clip(np.searchsorted(edges, values, side="right") - 1, 0, len(edges) - 2)
    return np.bincount(places, minlength=len(edges) - 1).astype(np.int64)


def balance_of(counts: tuple[ClassCount, ...]) -> tuple[Bar, ...]:
    """The 20 commonest classes after the batch, and the rest as one."""
    ranked = sorted(counts, key=lambda one: -(one.before + one.picked))
    shown, others = ranked[:N_CLASSES], ranked[N_CLASSES:]
    if others:
        name = f"{len(others):,} other classes" if len(others) > 1 else "1 other class"
        shown = [*shown, ClassCount(name, sum(one.before for one in others), sum(one.picked for one in others))]
    n_before, n_picked = sum(one.before for one in counts), sum(one.picked for one in counts)
    longest = max((one.before + one.picked for one in shown), default=0) or 1
    return tuple(
        Bar(
            name=one.name,
            before=one.before,
            picked=one.picked,
            share_before=_share(one.before, n_before),
            share_after=_share(one.before + one.picked, n_before + n_picked),
            before_width=100 * one.before / longest,
            picked_width=100 * one.picked / longest,
            is_rest=place >= N_CLASSES,
        )
        for place, one in enumerate(shown)
    )


def _share(part: int, whole: int) -> str:
    return f"{part / whole:.1%}" if whole else "none yet"


def quality_of(quality: Quality) -> tuple[Compared, ...]:
    """Each figure in words, and its place beside the random batches."""
    return tuple(_compared(one) for one in quality.figures)


def _compared(one: Figure) -> Compared:
    def told(number: float) -> str:
        return f"{number:.1%}" if one.unit == "share" else figure(number)

    ends = [number for number in (one.value, one.random_low, one.random_high, one.random_mean) if math.isfinite(number)]
    low, high = min(ends, default=0.0), max(ends, default=0.0)
    room = high / 2 - low / 2

    def place(number: float) -> float:
        share = (number / 2 - low / 2) / room if room > 0 and math.isfinite(number) else 0.5
        return round(4 + 92 * share, 2)

    return Compared(
        name=one.name,
        meaning=_meaning(one),
        value=told(one.value),
        random=told(one.random_mean),
        low=told(one.random_low),
        high=told(one.random_high),
        better=f"{one.is_better} is better" if one.is_better else "neither is better",
        verdict=_VERDICTS[one.verdict],
        kind={"better": "good", "worse": "bad"}.get(one.verdict, ""),
        at_value=place(one.value),
        at_mean=place(one.random_mean),
        at_low=place(one.random_low),
        at_high=place(one.random_high),
    )


def _meaning(one: Figure) -> str:
    found = next((text for beginning, text in _BY_BEGINNING.items() if one.name.startswith(beginning)), "")
    meaning = _MEANINGS.get(one.name, found)
    return meaning if one.unit == "share" or not meaning else f"{meaning} ({one.unit})"


def coverage_of(facts: RoundFacts) -> Coverage | None:
    """Coverage before and after; None where distances are not known, or not in one metric."""
    if facts.quality is None or facts.labeled_distances is None:
        return None
    before = facts.labeled_distances[np.isfinite(facts.labeled_distances)]
    after = {one.name: one for one in facts.quality.figures if one.unit == facts.distance_unit}
    measures = (("mean distance", np.mean), ("median distance", np.median), ("covering radius", np.max))
    rows = tuple(
        (name, figure(float(measure(before))), figure(after[name].value), figure(after[name].random_mean))
        for name, measure in measures
        if name in after and len(before)
    )
    return Coverage(facts.distance_unit, rows) if rows else None


def near_duplicates(quality: Quality) -> str:
    """How many look-alikes are among the picks, and in random batches; empty where that was not measured."""
    found = next((one for one in quality.figures if one.name == "near-duplicate share"), None)
    if found is None:
        return ""
    n_picks = quality.n_picks
    here, there = round(found.value * n_picks), found.random_mean * n_picks
    start = f"{here:,} of {n_picks:,} picks {'looks' if here == 1 else 'look'} like a labeled or an earlier picked item"
    avoided = there - here
    if here == 0 and round(there, 1) == 0:
        return "No pick looks like a labeled or an earlier picked item, and hardly one in a random batch does."
    at_random = f"in a random batch {figure(round(there, 1))} would"
    if avoided >= 0.5:
        return f"{start}; {at_random}: {figure(round(avoided, 1))} labels are not spent on near-duplicates."
    return f"{start}; {at_random}."
