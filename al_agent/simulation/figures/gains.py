"""What one method reaches more than another with equal budgets, seed by seed."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from scorers.checks import check_length

from .curve import Seed, Vector, listed, shown
from .curves import Curves
from .few_seeds import (
    Figure,
    checked_seeds,
    mean_of_seeds,
    paired_differences,
    sign_flip_test,
    smallest_sign_flip,
    t_quantile,
    t_test,
)
from .levels import run_areas
from .missing import why_no_values


@dataclass(frozen=True)
class Gain:
    """How much more one method reaches than another, and whether chance could do it.

    Args:
        absolute: Mean difference over seeds, in the unit of the performance.
        relative: Ratio of the means, less 1.
        n_seeds: Pairs of runs.
        p_t_test: Two-sided paired t-test; None where there is no number or one seed.
        p_sign_flip: Two-sided exact sign-flip test; None where there is no number.
        smallest_p_sign_flip: What `p_sign_flip` cannot be below with so few seeds.
        budget: Where it was read; None for a gain over a range.
    """

    absolute: Figure
    relative: Figure
    n_seeds: int
    p_t_test: float | None = None
    p_sign_flip: float | None = None
    smallest_p_sign_flip: float = 1.0
    budget: float | None = None


def gain_at(curves: Curves, method: str, budget: float, *, against: str = "RANDOM", confidence: float = 0.95) -> Gain:
    """How much more a method reaches than another with the same budget.

    With the values a and b of both at the budget, each run on its straight lines and paired by seed: the absolute gain is
    `mean(a - b)` with the interval of Student's t, the relative one `r = mean(a) / mean(b) - 1`, whose interval is that of
    the ratio estimator, `r ± t std(a - (1 + r) b, ddof=1) / (sqrt(s) mean(b))`.

    No number, and why, where a run does not cover the budget or diverged.

    Args:
        curves: The study; both methods have runs of the same seeds.
        method: The one that is to be better.
        budget: In the unit of the study.
        against: The other one.
        confidence: Of the intervals.

    Raises:
        ValueError: No such method, or a seed that only one of them has.

    Examples:
        >>> from al_agent.simulation.figures.curves import Curves
        >>> methods, seeds = ["A"] * 3 + ["RANDOM"] * 3, [0, 1, 2] * 2
        >>> curves = Curves.from_columns(methods, seeds, [100] * 6, [0.55, 0.56, 0.57, 0.50, 0.50, 0.50])
        >>> gain = gain_at(curves, "A", 100)
        >>> print(gain.absolute)
        0.06 (0.03516 to 0.08484): 3 seeds: the sign-flip p-value is 0.25 or more, whatever the gain
        >>> round(gain.p_t_test, 4), gain.p_sign_flip, round(gain.relative.value, 4)
        (0.0091, 0.25, 0.12)

    References:
        The ratio estimator: W. Cochran, Sampling Techniques, 1977, chapter 6.
    """
    seeds = paired_seeds(curves, method, against)
    reason = why_no_values(curves, method, budget) or why_no_values(curves, against, budget)
    if reason:
        return Gain(Figure(None, note=reason), Figure(None, note=reason), len(seeds), budget=budget)
    a, b = (curves.select(methods=[name], seeds=seeds).at(name, [budget])[:, 0] for name in (method, against))
    return paired_gain(a, b, confidence=confidence, budget=budget)


def gains(curves: Curves, method: str, *, against: str = "RANDOM", confidence: float = 0.95) -> tuple[Gain, ...]:
    """`gain_at` each budget that a run of either was measured at, within the range that all runs of both cover."""
    return tuple(
        gain_at(curves, method, budget, against=against, confidence=confidence)
        for budget in curves.shared_budgets(method, against).tolist()
    )


def mean_relative_gain(curves: Curves, method: str, *, against: str = "RANDOM") -> Figure:
    """The mean over budgets of the relative gain of the mean curve: `mean over budgets of (mean(a) / mean(b) - 1)`.

    The figure that articles print. Every budget of `gains` counts alike, and so do the first ones, where little is known.

    Examples:
        >>> from al_agent.simulation.figures.curves import Curves
        >>> curves = Curves.from_columns(["A", "A", "RANDOM", "RANDOM"], [0] * 4, [1, 2, 1, 2], [0.55, 0.6, 0.5, 0.5])
        >>> print(mean_relative_gain(curves, "A"))
        0.15
    """
    relative = [gain.relative for gain in gains(curves, method, against=against)]
    missing = [figure for figure in relative if figure.value is None]
    if missing or not relative:
        return missing[0] if missing else Figure(None, note=f"{method} and {against} share no {curves.unit}")
    return Figure(float(np.mean([figure.value for figure in relative if figure.value is not None])))


def gain_of_area(
    curves: Curves,
    method: str,
    *,
    against: str = "RANDOM",
    start: float | None = None,
    end: float | None = None,
    confidence: float = 0.95,
) -> Gain:
    """How much more a method reaches than another over a range of budgets: `gain_at` of their areas by `area_under_curve`.

    Examples:
        >>> from al_agent.simulation.figures.curves import Curves
        >>> curves = Curves.from_columns(["A", "A", "RANDOM", "RANDOM"], [0] * 4, [0, 10] * 2, [0.5, 0.7, 0.4, 0.6])
        >>> round(gain_of_area(curves, "A").absolute.value, 4)
        0.1
    """
    seeds = paired_seeds(curves, method, against)
    pair = curves.select(methods=[method, against], seeds=seeds)
    limits = curves.shared_range()
    if limits is not None:  # the range of all methods, as of every area of the study
        start, end = limits[0] if start is None else start, limits[1] if end is None else end
    areas = [run_areas(pair, name, start=start, end=end) for name in (method, against)]
    missing = next((area for area in areas if isinstance(area, Figure)), None)
    if missing is not None:
        return Gain(missing, missing, len(seeds))
    a, b = (np.asarray(area) for area in areas)
    return paired_gain(a, b, confidence=confidence)


def paired_gain(a: npt.ArrayLike, b: npt.ArrayLike, *, confidence: float = 0.95, budget: float | None = None) -> Gain:
    """The gain of `(s,)` finite numbers a over b, one pair for each seed."""
    ours, theirs = checked_seeds(a, "a"), checked_seeds(b, "b")
    check_length(len(ours), len(theirs), "a", "numbers of b")
    n_seeds = len(ours)
    differences = paired_differences(ours, theirs)
    p_flip = sign_flip_test(differences)
    smallest = smallest_sign_flip(n_seeds)
    absolute = mean_of_seeds(differences, confidence=confidence)
    if n_seeds > 1 and smallest > 0.05:
        note = f"{n_seeds} seeds: the sign-flip p-value is {shown(smallest)} or more, whatever the gain"
        absolute = Figure(absolute.value, absolute.low, absolute.high, note)
    p_t = t_test(differences) if n_seeds > 1 else None
    return Gain(absolute, _relative(ours, theirs, confidence), n_seeds, p_t, p_flip, smallest, budget)


def _relative(a: Vector, b: Vector, confidence: float) -> Figure:
    mean = float(b.mean())
    if mean <= 0:
        return Figure(None, note=f"the other's mean is {shown(mean)}: nothing to be relative to")
    ratio = float(a.mean()) / mean
    if len(a) == 1:
        return Figure(ratio - 1, note="one seed: no interval")
    error = float((a - ratio * b).std(ddof=1)) / math.sqrt(len(a)) / mean
    reach = t_quantile(len(a), confidence) * error
    return Figure(ratio - 1, ratio - 1 - reach, ratio - 1 + reach)


def paired_seeds(curves: Curves, method: str, against: str) -> tuple[Seed, ...]:
    """The seeds that two methods share, which must be all of both.

    Raises:
        ValueError: A seed that only one of them has, or the two are one.
    """
    ours, theirs = curves.seeds(method), curves.seeds(against)
    if method == against:
        raise ValueError(f"{method} is compared with itself; name two methods")
    for name, other, missing in (
        (method, against, [seed for seed in theirs if seed not in ours]),
        (against, method, [seed for seed in ours if seed not in theirs]),
    ):
        if missing:
            raise ValueError(
                f"{name} has no run with seed {listed(missing)}, which {other} has; runs are compared in pairs, so run the "
                "missing ones, or choose the seeds of both with select"
            )
    return ours
