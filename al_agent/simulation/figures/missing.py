"""Why a figure of learning curves has no number or no interval, in words."""

from __future__ import annotations

import math

import numpy as np

from .crossings import first_crossings
from .curve import Seed, Vector, listed, shown, span
from .curves import Curves
from .few_seeds import FEWEST_SEEDS_TO_RESAMPLE


def why_no_values(curves: Curves, method: str, budget: float) -> str:
    """Why some run of a method has no value at a budget; empty where all have one."""
    if not math.isfinite(budget):
        raise ValueError(f"the budget is {budget}; expected a finite number of {curves.unit}")
    limits = curves.shared_range(method)
    if limits is None:
        return f"no range of {curves.unit} is covered by every run of {method}"
    if not limits[0] <= budget <= limits[1]:
        return (
            f"{method} was measured at {span(*limits, curves.unit)} in every run; {shown(budget)} is outside, and nothing "
            "is extrapolated"
        )
    lost = [seed for seed, value in zip(curves.seeds(method), curves.at(method, [budget])[:, 0]) if np.isnan(value)]
    return diverged_runs(curves, method, lost, f"at {shown(budget)} {curves.unit} or next to it") if lost else ""


def why_not_reached(curves: Curves, method: str, level: float, *, may_begin_there: bool = False) -> str:
    """Why a method's mean curve has no budget that reaches a level; empty where it has."""
    limits = curves.shared_range(method)
    if limits is None:
        return f"no range of {curves.unit} is covered by every run of {method}"
    budgets = curves.shared_budgets(method)
    every = curves.at(method, budgets)
    values = every.mean(axis=0)
    crossing = float(first_crossings(budgets, values[None], np.array([level]))[0])
    if math.isnan(crossing):
        place = int(np.isnan(values).argmax())
        lost = [seed for seed, row in zip(curves.seeds(method), every) if np.isnan(row[place])]
        return diverged_runs(curves, method, lost, f"at {shown(float(budgets[place]))} {curves.unit}, before the level")
    if crossing == -math.inf and not may_begin_there:
        return (
            f"{method} is at {shown(float(values[0]))} with its first {shown(limits[0])} {curves.unit}, not below "
            f"{shown(level)}: how many fewer would do was not measured"
        )
    if crossing == math.inf:
        best = int(values.argmax())
        return (
            f"{method} reaches {shown(float(values[best]))} at most (at {shown(float(budgets[best]))} {curves.unit}), below "
            f"{shown(level)}, within the {span(*limits, curves.unit)} that every run covers"
        )
    return ""


def diverged_runs(curves: Curves, method: str, lost: list[Seed], where: str) -> str:
    """The words for runs that have no number somewhere."""
    return (
        f"{len(lost)} of {len(curves.seeds(method))} runs of {method} diverged {where} (seed {listed(lost)}); leaving them "
        "out would flatter it: say what they count for with diverged_as"
    )


def no_interval(*values: Vector) -> str:
    """Why `(s, k)` values of the runs of each method cannot be resampled; empty where they can."""
    n_seeds, n_budgets = values[0].shape
    if n_seeds < FEWEST_SEEDS_TO_RESAMPLE:
        return f"{n_seeds} seed{'s' if n_seeds > 1 else ''}: no interval, which takes {FEWEST_SEEDS_TO_RESAMPLE}"
    if not n_budgets:
        return "no interval"
    return "no interval: a run diverged" if any(np.isnan(of_method).any() for of_method in values) else ""
