"""All studies together: each method against RANDOM and the others, and where AUTO did harm."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from against_random import ALPHA, Comparison, is_significant, p_value, points, row, saved
from recorded import Recorded

from al_agent.simulation.figures import Gain, win_table


def against_random_table(comparisons: Sequence[Comparison]) -> list[str]:
    """The Markdown of a row for each method, over all the studies that it is in."""
    header = ["method", "studies", "better at", "worse at", "area better in", "area worse in", "median gain of area"]
    header += ["median labels saved", "least to most", "not reached in"]
    lines = [row(header), row(["---"] * len(header))]
    methods = dict.fromkeys(one.method for one in comparisons)
    ranked = sorted(methods, key=lambda method: -_median_area([one for one in comparisons if one.method == method]))
    for method in ranked:
        ours = [one for one in comparisons if one.method == method]
        n_budgets = sum(len(one.gains) for one in ours)
        surely = [one.area.absolute.value or 0 for one in ours if is_significant(one.area)]
        cells = [method, f"{len(ours)}"]
        cells += [f"{sum(count) / n_budgets:.0%}" for count in zip(*((one.n_better, one.n_worse) for one in ours))]
        cells += [f"{sum(gain > 0 for gain in surely)}", f"{sum(gain < 0 for gain in surely)}"]
        lines.append(row([*cells, points(_median_area(ours), sign="+"), *shares_saved(ours)]))
    return lines


def shares_saved(comparisons: Sequence[Comparison]) -> tuple[str, str, str]:
    """The median share of labels saved, its range, and in how many studies RANDOM's end is never reached.

    A study in which it is not reached counts as less than any that is.
    """
    shares = [one.saving.share.value for one in comparisons]
    known = sorted(share for share in shares if share is not None)
    n_missing = len(shares) - len(known)
    ordered = [-math.inf] * n_missing + known
    middle = (ordered[(len(ordered) - 1) // 2] + ordered[len(ordered) // 2]) / 2
    median = "not reached" if middle == -math.inf else f"{middle:.0%}"
    spread = f"{known[0]:.0%} to {known[-1]:.0%}" if known else "-"
    return median, spread, f"{n_missing}"


def win_rows(studies: Sequence[Recorded]) -> list[str]:
    """The Markdown of the share of budgets at which the row's method is significantly better than the column's.

    The mean over the studies that have both, each counting alike.
    """
    methods = list(dict.fromkeys(method for study in studies for method in study.methods))
    wins, n_studies = (np.zeros((len(methods), len(methods))) for _ in range(2))
    for study in studies:
        table = win_table([study.of_shared_seeds(*study.methods)], alpha=ALPHA)
        places = np.ix_(*([[methods.index(method) for method in table.methods]] * 2))
        wins[places] += table.wins
        n_studies[places] += 1
    with np.errstate(invalid="ignore"):
        shares = wins / n_studies
    lines = [row(["", "method", *(f"{number}" for number in range(1, len(methods) + 1)), "mean of row", "mean of column"])]
    lines.append(row(["---"] * (len(methods) + 4)))
    np.fill_diagonal(shares, np.nan)
    for place, method in enumerate(methods):
        cells = ["" if math.isnan(share) else f"{100 * share:.0f}" for share in shares[place].tolist()]
        means = [f"{100 * np.nanmean(side):.0f}" if not np.isnan(side).all() else "" for side in _sides(shares, place)]
        lines.append(row([f"{place + 1}", method, *cells, *means]))
    return lines


def harm_of(method: str, comparisons: Sequence[Comparison]) -> list[str]:
    """The Markdown of where a method was worse than RANDOM: budget by budget in each study, and what that amounts to."""
    ours = [one for one in comparisons if one.method == method]
    if not ours:
        return [f"No study has {method}."]
    n_rounds = max(len(one.gains) for one in ours)
    lines = [row(["study", *(f"round {number}" for number in range(1, n_rounds + 1)), "labels saved"])]
    lines.append(row(["---"] * (n_rounds + 2)))
    for one in ours:
        cells = [_difference(gain) for gain in one.gains] + [""] * (n_rounds - len(one.gains))
        lines.append(row([one.study, *cells, saved(one.saving)]))
    every = [(gain, one.study) for one in ours for gain in one.gains if gain.absolute.value is not None]
    median, spread, n_missing = shares_saved(ours)
    worst, study = min(every, key=lambda pair: pair[0].absolute.value or 0)
    n_worse, n_better = sum(one.n_worse for one in ours), sum(one.n_better for one in ours)
    sure = [gain for gain, _ in every if (gain.absolute.value or 0) < 0 and (gain.p_t_test or 0) < ALPHA / len(every)]
    value, low, high = worst.absolute.value, worst.absolute.low, worst.absolute.high
    p = "-" if worst.p_t_test is None else p_value(worst.p_t_test)
    summary = (
        f"Of {len(every)} budgets in {len(ours)} studies, {method} is significantly worse than RANDOM at {n_worse} and "
        f"better at {n_better}; were they alike, chance would make about {ALPHA / 2 * len(every):.0f} of each. {len(sure)} "
        f"are worse at 5% over all budgets together (Bonferroni). The worst: {points(value, low, high, sign='+')} points, p "
        f"{p}, after {worst.budget:,.0f} labels of {study}. Labels saved in the median study: {median}; {spread} where "
        f"RANDOM's end is reached, which it is not in {n_missing}."
    )
    n_missing_budgets = sum(len(one.gains) for one in ours) - len(every)
    failed = f" {n_missing_budgets} budgets have no number, since runs failed." if n_missing_budgets else ""
    return [*lines, "", summary + failed]


def _difference(gain: Gain) -> str:
    """In points, with an exclamation mark where it is significantly worse and a star where it is significantly better."""
    absolute = gain.absolute
    mark = ("!" if (absolute.value or 0) < 0 else "*") if is_significant(gain) else ""
    return points(absolute.value, absolute.low, absolute.high, sign="+") + mark


def _median_area(comparisons: Sequence[Comparison]) -> float:
    values = [one.area.absolute.value for one in comparisons]
    return float(np.median([value for value in values if value is not None] or [math.nan]))


def _sides(shares: npt.NDArray[np.float64], place: int) -> tuple[npt.NDArray[np.float64], ...]:
    return shares[place], shares[:, place]
