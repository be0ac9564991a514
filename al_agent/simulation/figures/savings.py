"""What one method needs less than another for equal performance: labels and steps saved."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from .crossings import checked_level, first_crossings, is_reached
from .curve import Vector, span
from .curves import Curves
from .few_seeds import Figure, resampled_figure, resampled_weights
from .gains import paired_seeds
from .missing import no_interval, why_no_values, why_not_reached

_Budgets = Callable[[Vector], tuple[Vector, Vector]]
"""`(R, s)` weights of the seeds to `(R,)` budgets of the method and of the other."""


@dataclass(frozen=True)
class Saving:
    """How much less budget one method needs than another for one performance.

    Args:
        count: Budget of the other method less that of this one, in the unit of the budgets.
        share: `1 - budget / budget of the other`: 0.25 is a quarter less; below 0 it needs more.
        level: The performance that both reach; None where it is not known.
        n_seeds: Pairs of runs.
        budget: What the method needs; None where it is not known.
        budget_against: What the other needs, likewise.
    """

    count: Figure
    share: Figure
    level: float | None
    n_seeds: int
    budget: float | None = None
    budget_against: float | None = None


def labels_saved(
    curves: Curves,
    method: str,
    level: float,
    *,
    against: str = "RANDOM",
    confidence: float = 0.95,
    n_resamples: int = 2000,
    seed: int = 0,
) -> Saving:
    """How many labels a method saves on the way to a performance.

    With the budgets B and B' with which the mean curves of the method and of the other first reach the level, on straight
    lines: the count is `B' - B`, the share `1 - B / B'`. All labels count, those of the start too. The intervals come of the
    paired bootstrap over seeds, stretched by `resampled_weights`; they are for 3 seeds or more. An end is open where
    resamples reach the level outside of the budgets measured.

    No number, and why, where one of them never reaches the level, or is there from the start.

    Args:
        curves: The study; both methods have runs of the same seeds.
        method: The one that is to save.
        level: The performance to compare at.
        against: The other one.
        confidence: Of the intervals.
        n_resamples: Of the bootstrap. Time O(n_resamples s k).
        seed: Of its draws.

    Raises:
        ValueError: No such method, or a seed that only one of them has.

    Examples:
        >>> from al_agent.simulation.figures.curves import Curves
        >>> runs = {"A": [0.4, 0.7, 0.8], "RANDOM": [0.4, 0.6, 0.7]}
        >>> rows = [(name, s, 100 * k, v + s / 100) for name in runs for s in (0, 1, 2) for k, v in enumerate(runs[name], 1)]
        >>> saving = labels_saved(Curves.from_columns(*zip(*rows)), "A", 0.64)
        >>> round(saving.budget), round(saving.budget_against), print(saving.count)
        53.33 (35.41 to 71.26)
        (177, 230, None)

    References:
        B. Efron, 1979, doi:10.1214/aos/1176344552; T. Hesterberg, 2015, arXiv:1411.5279.
    """
    pair = curves.select(methods=[method, against], seeds=paired_seeds(curves, method, against))
    reason = why_not_reached(pair, method, checked_level(level)) or why_not_reached(pair, against, level)
    spent, spent_against = pair.shared_budgets(method), pair.shared_budgets(against)
    values, values_against = pair.at(method, spent), pair.at(against, spent_against)

    def budgets(weights: Vector) -> tuple[Vector, Vector]:
        levels = np.full(len(weights), level)
        ours = first_crossings(spent, weights @ values, levels)
        return ours, first_crossings(spent_against, weights @ values_against, levels)

    missing = no_interval(values, values_against)
    return _saving(budgets, level, len(values), reason, missing, confidence=confidence, n_resamples=n_resamples, seed=seed)


def labels_saved_at(
    curves: Curves,
    method: str,
    budget: float,
    *,
    against: str = "RANDOM",
    confidence: float = 0.95,
    n_resamples: int = 2000,
    seed: int = 0,
) -> Saving:
    """How many labels a method saves for what another reaches with a budget, such as all that a project has.

    As `labels_saved`, at the level that the other's mean has at the budget, which each resample takes anew: `B'` is the
    budget, and the interval holds for a level that is itself known only from these seeds. Where the method ends below that
    level there is no number; the interval, if it is closed above, still says how much it saves at most.

    Args:
        curves: The study; both methods have runs of the same seeds.
        method: The one that is to save.
        budget: What the other one spends.
        against: The other one.
        confidence: Of the intervals.
        n_resamples: Of the bootstrap.
        seed: Of its draws.

    Examples:
        >>> from al_agent.simulation.figures.curves import Curves
        >>> runs = {"A": [0.4, 0.7, 0.8], "RANDOM": [0.4, 0.6, 0.7]}
        >>> rows = [(name, s, 100 * k, v + s / 100) for name in runs for s in (0, 1, 2) for k, v in enumerate(runs[name], 1)]
        >>> saving = labels_saved_at(Curves.from_columns(*zip(*rows)), "A", 300)
        >>> print(saving.count), print(saving.share)
        100 (100 to 100)
        0.3333 (0.3333 to 0.3333)
        (None, None)
    """
    pair = curves.select(methods=[method, against], seeds=paired_seeds(curves, method, against))
    n_seeds = len(pair.seeds(method))
    reason = why_no_values(pair, against, budget)
    if reason:
        return Saving(Figure(None, note=reason), Figure(None, note=reason), None, n_seeds)
    at_budget = pair.at(against, [budget])
    level = float(at_budget.mean())
    reason = why_not_reached(pair, method, level)
    spent = pair.shared_budgets(method)
    values = pair.at(method, spent)

    def budgets(weights: Vector) -> tuple[Vector, Vector]:
        return first_crossings(spent, weights @ values, weights @ at_budget[:, 0]), np.full(len(weights), float(budget))

    missing = no_interval(values)
    return _saving(budgets, level, n_seeds, reason, missing, confidence=confidence, n_resamples=n_resamples, seed=seed)


def _saving(
    budgets: _Budgets,
    level: float,
    n_seeds: int,
    reason: str,
    missing: str,
    *,
    confidence: float,
    n_resamples: int,
    seed: int,
) -> Saving:
    ours, theirs = budgets(np.full((1, n_seeds), 1 / n_seeds))
    values = [None if reason else float(saved[0]) for saved in _saved(ours, theirs)]
    if missing:
        figures = [Figure(value, note=reason or missing) for value in values]
    else:
        weights = resampled_weights(n_seeds, confidence=confidence, n_resamples=n_resamples, seed=seed)
        figures = [
            resampled_figure(value, estimates, confidence=confidence, note=reason)
            for value, estimates in zip(values, _saved(*budgets(weights)))
        ]
    needed = [float(found[0]) if math.isfinite(found[0]) else None for found in (ours, theirs)]
    return Saving(figures[0], figures[1], level, n_seeds, needed[0], needed[1])


def _saved(ours: Vector, theirs: Vector) -> tuple[Vector, Vector]:
    """`(R,)` counts and shares. Where one of the budgets is beyond those measured, so are both; where both are, NaN."""
    with np.errstate(invalid="ignore", divide="ignore"):
        count = theirs - ours
        share = 1 - ours / theirs
    return count, np.where(np.isfinite(count), share, count)


@dataclass(frozen=True, eq=False)
class StepsSaved:
    """The share of steps saved at each of many levels.

    Args:
        levels: `(l,)` performances, ascending.
        steps: `(l,)` steps until the method's mean is at the level or above; NaN where it never is.
        steps_against: `(l,)` those of the other.
        shares: `(l,)` `1 - steps / steps_against`; 0 where both are 0, NaN where there is none.
    """

    levels: Vector
    steps: Vector
    steps_against: Vector
    shares: Vector

    def mean(self, low: float = -math.inf, high: float = math.inf) -> Figure:
        """The mean share over the levels from low to below high; no number, and why, where a level in between has none."""
        is_in = (self.levels >= low) & (self.levels < high)
        shares = self.shares[is_in]
        n_missing = int(np.isnan(shares).sum())
        if not len(shares):
            return Figure(None, note=f"no level lies in {span(low, high)}; the levels are {span(*self.levels[[0, -1]])}")
        if n_missing:
            return Figure(None, note=f"{n_missing} of the {len(shares)} levels are never reached, or without a step")
        return Figure(float(shares.mean()))


def steps_saved(curves: Curves, method: str, *, against: str = "RANDOM", n_levels: int = 100, first: int = 0) -> StepsSaved:
    """The share of steps that a method saves, level by level, counted as articles do: in whole steps.

    At `n_levels` equally spaced levels from the least to the greatest mean of the other method, both ends included, the
    steps that each takes until its mean is there when measured, and `1 - steps / steps of the other`. It knows neither the
    labels of the start nor whether steps are of one size: `labels_saved` over the labels truly spent is the fair count.

    Args:
        curves: The study.
        method: The one that is to save.
        against: The other one.
        n_levels: How many levels.
        first: The number of the first measurement.

    Examples:
        >>> from al_agent.simulation.figures.curves import Curves
        >>> rows = [("A", 0, 0, 0.2), ("A", 0, 1, 0.8), ("RANDOM", 0, 0, 0.2), ("RANDOM", 0, 1, 0.4), ("RANDOM", 0, 2, 0.6)]
        >>> steps_saved(Curves.from_columns(*zip(*rows)), "A", n_levels=3).shares.tolist()
        [0.0, 0.0, 0.5]
    """
    if n_levels < 2:
        raise ValueError(f"n_levels is {n_levels}; expected 2 or more")
    steps = curves.select(methods=[method, against]).by_steps(first)
    means = {name: steps.at(name, steps.shared_budgets(name)).mean(axis=0) for name in (method, against)}
    for name, mean in means.items():
        if np.isnan(mean).any():
            raise ValueError(f"a run of {name} diverged; say what it counts for with diverged_as")
    levels = np.linspace(means[against].min(), means[against].max(), n_levels)
    ours, theirs = (
        np.where(is_there.any(axis=1), first + is_there.argmax(axis=1), np.nan)
        for is_there in (is_reached(mean, levels[:, None]) for mean in (means[method], means[against]))
    )
    with np.errstate(invalid="ignore", divide="ignore"):
        shares = 1 - ours / theirs
    shares = np.where(np.isfinite(shares), shares, np.nan)
    return StepsSaved(levels, ours, theirs, np.where((ours == 0) & (theirs == 0), 0.0, shares))
