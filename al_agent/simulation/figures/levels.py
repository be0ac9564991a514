"""Figures of one method's learning curves: mean, performance at a budget, budget to reach a level, area, steps."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from .crossings import checked_level, first_crossings, is_reached
from .curve import Seed, Vector, listed, shown, span
from .curves import Curves
from .few_seeds import Figure, checked_share, mean_of_seeds, resampled_figure, resampled_weights, t_quantile
from .missing import diverged_runs, no_interval, why_no_values, why_not_reached


@dataclass(frozen=True, eq=False)
class MeanCurve:
    """The mean over the seeds at each budget that all runs of a method cover, with a confidence band.

    Args:
        budgets: `(k,)` ascending.
        mean: `(k,)`; NaN where a run diverged.
        low: `(k,)` lower end of the band; NaN where there is none.
        high: `(k,)` upper end, likewise.
        n_seeds: Runs in the mean.
        n_diverged: `(k,)` runs without a number there.
        note: Why there is no band, or where a run stopped early; empty where there is nothing to say.
    """

    budgets: Vector
    mean: Vector
    low: Vector
    high: Vector
    n_seeds: int
    n_diverged: npt.NDArray[np.int64]
    note: str = ""


def mean_curve(curves: Curves, method: str, *, confidence: float = 0.95) -> MeanCurve:
    """The mean curve of a method, and at each budget the interval of that mean by Student's t.

    `mean ± t std(ddof=1) / sqrt(s)`, budget by budget: the band holds the true mean at a budget with the confidence asked
    for, not the whole curve at once. Runs measured at different budgets are read on their straight lines, so the mean of s
    broken lines is a broken line with every corner of theirs.

    Examples:
        >>> from al_agent.simulation.figures.curves import Curves
        >>> curves = Curves.from_columns(["A"] * 4, [0, 0, 1, 1], [10, 20, 10, 20], [0.4, 0.6, 0.4, 0.7])
        >>> curve = mean_curve(curves, "A")
        >>> curve.mean.round(4).tolist(), curve.low.round(4).tolist()
        ([0.4, 0.65], [0.4, 0.0147])
    """
    checked_share(confidence, "confidence")
    budgets = curves.shared_budgets(method)
    values = curves.at(method, budgets)
    n_seeds = len(values)
    mean = np.asarray(values.mean(axis=0))
    reach = np.full(len(budgets), np.nan)
    if n_seeds > 1:
        reach = t_quantile(n_seeds, confidence) * values.std(axis=0, ddof=1) / math.sqrt(n_seeds)
    is_single = [] if n_seeds > 1 else ["one seed: no band"]
    note = "; ".join([*is_single, *_cut_short(curves, method)])
    return MeanCurve(budgets, mean, mean - reach, mean + reach, n_seeds, np.isnan(values).sum(axis=0), note)


def performance_at(curves: Curves, method: str, budget: float, *, confidence: float = 0.95) -> Figure:
    """What a method reaches with a budget: the mean over seeds, each on its straight lines, with Student's interval.

    No number, and why, at a budget that a run does not cover, since nothing is extrapolated, or where one diverged.

    Examples:
        >>> from al_agent.simulation.figures.curves import Curves
        >>> curves = Curves.from_columns(["A"] * 4, [0, 0, 1, 1], [10, 20, 10, 20], [0.4, 0.6, 0.4, 0.7])
        >>> performance_at(curves, "A", 15).value
        0.525
        >>> print(performance_at(curves, "A", 25))
        no number: A was measured at 10 to 20 images in every run; 25 is outside, and nothing is extrapolated
    """
    reason = why_no_values(curves, method, budget)
    return Figure(None, note=reason) if reason else mean_of_seeds(curves.at(method, [budget])[:, 0], confidence=confidence)


def budget_to_reach(
    curves: Curves, method: str, level: float, *, confidence: float = 0.95, n_resamples: int = 2000, seed: int = 0
) -> Figure:
    """The budget with which a method's mean curve first reaches a level, on straight lines between budgets.

    No number, and why, where the mean never reaches it, is there already with its first budget, or a run diverged before. On
    a flat part chance lifts a noisy curve to the level early: levels on steep parts are the ones to compare at.

    Args:
        curves: The study.
        method: One of its methods.
        level: Performance to reach.
        confidence: Of the interval, by the stretched bootstrap over seeds of `resampled_weights`; with fewer than 3 seeds
            there is none.
        n_resamples: Of the bootstrap.
        seed: Of its draws.

    Returns:
        A figure in the unit of the budgets. An end of its interval is None where the level is beyond the budgets measured.

    Examples:
        >>> from al_agent.simulation.figures.curves import Curves
        >>> curves = Curves.from_columns(["A"] * 4, [0, 0, 1, 1], [10, 20, 10, 20], [0.4, 0.6, 0.4, 0.7])
        >>> print(budget_to_reach(curves, "A", 0.5))
        14: 2 seeds: no interval, which takes 3
        >>> print(budget_to_reach(curves, "A", 0.8))
        no number: A reaches 0.65 at most (at 20 images), below 0.8, within the 10 to 20 images that every run covers
    """
    budgets = curves.shared_budgets(method)
    values = curves.at(method, budgets)
    reason = why_not_reached(curves, method, checked_level(level))
    value = None if reason else float(first_crossings(budgets, values.mean(axis=0)[None], np.array([level]))[0])
    missing = no_interval(values)
    if missing:
        return Figure(value, note=reason or missing)
    weights = resampled_weights(len(values), confidence=confidence, n_resamples=n_resamples, seed=seed)
    crossings = first_crossings(budgets, weights @ values, np.full(n_resamples, level))
    return resampled_figure(value, crossings, confidence=confidence, note=reason)


def budgets_to_reach(curves: Curves, method: str, level: float) -> dict[Seed, Figure]:
    """The budget with which each run by itself first reaches a level, by seed; no number, and why, for those that do not.

    Examples:
        >>> from al_agent.simulation.figures.curves import Curves
        >>> curves = Curves.from_columns(["A"] * 4, [0, 0, 1, 1], [10, 20, 10, 20], [0.4, 0.6, 0.4, 0.8])
        >>> [(seed, figure.value) for seed, figure in budgets_to_reach(curves, "A", 0.7).items()]
        [(0, None), (1, 17.5)]
    """
    found = {}
    for seed in curves.seeds(method):
        alone = Curves({method: {seed: curves.run(method, seed)}}, curves.unit)
        figure = budget_to_reach(alone, method, level)
        found[seed] = Figure(figure.value, note=why_not_reached(alone, method, level))
    return found


def area_under_curve(
    curves: Curves, method: str, *, start: float | None = None, end: float | None = None, confidence: float = 0.95
) -> Figure:
    """The mean performance over a range of budgets: the area under the curve, divided by the range.

    `A = (1 / (end - start)) * integral of the curve from start to end`, exact for straight lines (the trapezoid rule at
    every corner, and at both ends), for each run; then the mean over seeds with the interval of Student's t. The range is
    one for all methods, so that their areas compare.

    Args:
        curves: The study.
        method: One of its methods.
        start: First budget; by default the first that every run of every method covers.
        end: Last budget; by default the last that they all cover.
        confidence: Of the interval.

    Returns:
        A figure in the unit of the performance.

    Examples:
        >>> from al_agent.simulation.figures.curves import Curves
        >>> curves = Curves.from_columns(["A"] * 3, [0, 0, 0], [0, 10, 20], [0.0, 0.8, 0.8])
        >>> area_under_curve(curves, "A").value, area_under_curve(curves, "A", start=5).value
        (0.6, 0.733...)
    """
    areas = run_areas(curves, method, start=start, end=end)
    return areas if isinstance(areas, Figure) else mean_of_seeds(areas, confidence=confidence)


def run_areas(curves: Curves, method: str, *, start: float | None = None, end: float | None = None) -> Vector | Figure:
    """`(s,)` areas under the runs of a method, as by `area_under_curve`, or the figure without number that says why not."""
    limits = curves.shared_range()
    if limits is None:
        return Figure(None, note=f"no range of {curves.unit} is covered by every run of every method")
    first, last = limits[0] if start is None else start, limits[1] if end is None else end
    if not last > first:
        return Figure(None, note=f"the range {span(first, last, curves.unit)} has no length")
    reasons = [why_no_values(curves, method, budget) for budget in (first, last)]
    if any(reasons):
        return Figure(None, note=next(filter(None, reasons)))
    corners = curves.shared_budgets(method)
    x = np.concatenate([[first], corners[(corners > first) & (corners < last)], [last]])
    y = curves.at(method, x)
    lost = [seed for seed, row in zip(curves.seeds(method), y) if np.isnan(row).any()]
    if lost:
        return Figure(None, note=diverged_runs(curves, method, lost, f"from {span(first, last, curves.unit)}"))
    return np.asarray(((y[:, 1:] + y[:, :-1]) / 2 * np.diff(x)).sum(axis=1) / (last - first))


def steps_to_reach(curves: Curves, method: str, level: float, *, first: int = 0) -> Figure:
    """How many steps a method takes until its mean is at a level or above when measured: whole steps, nothing interpolated.

    The mean is over the seeds, step by step, whatever each run had spent by then.

    Args:
        curves: The study.
        method: One of its methods.
        level: Performance to reach.
        first: The number of the first measurement: 0 where it is that of the start, before any query.

    Examples:
        >>> from al_agent.simulation.figures.curves import Curves
        >>> curves = Curves.from_columns(["A"] * 3, [0, 0, 0], [1000, 1150, 1300], [0.4, 0.6, 0.8])
        >>> steps_to_reach(curves, "A", 0.5).value
        1.0
    """
    steps = curves.select(methods=[method]).by_steps(first)
    budgets = steps.shared_budgets(method)
    values = steps.at(method, budgets).mean(axis=0)
    reason = why_not_reached(steps, method, checked_level(level), may_begin_there=True)
    return Figure(None, note=reason) if reason else Figure(float(budgets[is_reached(values, level).argmax()]))


def _cut_short(curves: Curves, method: str) -> list[str]:
    limits = curves.shared_range(method)
    if limits is None:
        return [f"no range of {curves.unit} is covered by every run: no curve"]
    early = [seed for seed in curves.seeds(method) if curves.run(method, seed).budgets[-1] <= limits[1]]
    last = max(float(curves.run(method, seed).budgets[-1]) for seed in curves.seeds(method))
    if last == limits[1]:
        return []
    return [f"ends at {shown(limits[1])} {curves.unit}, where seed {listed(early)} does; other runs go on to {shown(last)}"]
