"""Replays the stopping advice on the runs of recorded studies, and prints how early or late it stops.

    python benchmarks/studies/stopping.py FOLDER

What a label costs is told in points: the price of a study is what the next label is worth, by the power law of RANDOM's mean
curve, a third, half and two thirds of the way from its first budget to its last. So whoever labels at random and knows the
law stops there. The best stop in hindsight is that of the method's mean over the seeds, and a run is judged where it lies
inside of the curve: at its ends no rule can be early, or late.
"""

from __future__ import annotations

import argparse
import functools
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from against_random import row
from recorded import AGAINST, Recorded, find_studies
from tqdm import tqdm

from al_agent.simulation.figures import Curve, mean_curve
from al_agent.simulation.stopping import Decision, Extrapolation, Replayed, extrapolate, judge, next_batch
from al_agent.simulation.stopping.judging import Rule

METHODS = (AGAINST, "AUTO", "UNCERTAINTY")
WAYS = (1 / 3, 1 / 2, 2 / 3)
"""How far along RANDOM's budgets the next label is worth just its price."""

_CONFIDENCE, _N_RESAMPLES = 0.8, 200  # those of `stop_by_worth`
_FIRST_ROUND = 3  # the first with the four points that a power law needs
_HEADER = (
    "runs inside",
    "within 10%",
    "within 25%",
    "within a round",
    "before half",
    "never stopped",
    "labels late",
    "regret",
    "regret, 90%",
)
_NOTE = """\
Runs inside: those whose best stop in hindsight lies inside of the curve, of all. Within a round: one round off at most. \
Where a round is more than 10% of the labels, within 10% means at the very best. Labels late: median of the stop over the \
best stop, less 1. Regret: what the stop loses of the best worth minus cost, the median and the 90th percentile."""


@dataclass(frozen=True, eq=False)
class Priced:
    """The replayed runs of a study at one price.

    Args:
        study: Its name.
        way: How far along the budgets the price is paid.
        points_per_100: What 100 labels cost, in points.
        runs: Those whose best stop lies inside of the curve.
        n_runs: All that could be judged.
        step: Labels of a round.
    """

    study: str
    way: float
    points_per_100: float
    runs: tuple[Replayed, ...]
    n_runs: int
    step: float


def main() -> None:
    parser = argparse.ArgumentParser(description="Replay the stopping advice on recorded studies, and print Markdown.")
    parser.add_argument("folder", type=Path, help="holds studies, at any depth")
    parser.add_argument("--methods", nargs="+", default=METHODS, help="whose runs are replayed")
    options = parser.parse_args()
    try:
        studies, notes = find_studies(options.folder)
    except ValueError as problem:
        sys.exit(str(problem))
    print(_NOTE)
    for title, is_bold in (("over the whole interval of 80%, the default", False), ("by the expected gain alone", True)):
        with tqdm(studies, desc=title) as bar:
            priced = [one for study in bar for one in replayed(study, options.methods, is_bold=is_bold)]
        print("\n".join(["", f"### Stop when the next batch does not pay {title}", "", *table(priced)]))
    print("\n".join(["", *(f"- {note}" for note in notes)]))


def replayed(study: Recorded, methods: Sequence[str] = METHODS, *, is_bold: bool) -> list[Priced]:
    """Every run of some methods, at each price; nothing where RANDOM's curve is no power law."""
    methods = [method for method in study.methods if method in (AGAINST, *methods)]
    curves = study.curves.select(methods=methods)
    means = {method: mean_curve(curves, method) for method in methods}
    truth = {method: Curve(mean.budgets, mean.mean) for method, mean in means.items()}
    law = extrapolate(truth[AGAINST].budgets, truth[AGAINST].values).law
    found: list[Priced] = []
    first, last = float(study.budgets[0]), float(study.budgets[-1])
    for way in WAYS if law is not None else ():
        assert law is not None
        price = 100 * law.b * law.c * (first + way * (last - first)) ** (-law.c - 1)  # the slope in points
        rule = rule_by_worth(price, is_bold=is_bold)
        judged = judge(curves, rule, value_per_point=1, cost_per_label=price, truth=truth, first_round=_FIRST_ROUND).runs
        inside = tuple(run for run in judged if first < run.best_at < last)
        found.append(Priced(study.name, way, 100 * price, inside, len(judged), float(study.budgets[1] - first)))
    return found


def rule_by_worth(cost_per_label: float, *, is_bold: bool) -> Rule:
    """`stop_by_worth` where a point is worth 1, which continues each curve once for all prices."""

    def rule(curve: Curve, n_more: float) -> Decision:
        found = _continued(tuple(curve.budgets.tolist()), tuple(curve.values.tolist()))
        advice = next_batch(found, n_more, value_per_point=1, cost_per_label=cost_per_label)
        return Decision.STOP if is_bold and advice.is_worth_it is False else advice.decision

    return rule


@functools.cache
def _continued(budgets: tuple[float, ...], values: tuple[float, ...]) -> Extrapolation:
    return extrapolate(budgets, values, confidence=_CONFIDENCE, n_resamples=_N_RESAMPLES)


def table(priced: Sequence[Priced]) -> list[str]:
    """A row for each study and price, for all runs together at each price, and for all of them."""
    header = ["study", "price is worth paying until", "100 labels cost", *_HEADER]
    lines = [row(header), row(["---"] * len(header))]
    for one in priced:
        lines.append(row([one.study, _way(one.way), f"{one.points_per_100:.2g} points", *_cells([one])]))
    for way in WAYS:
        lines.append(row(["**all**", _way(way), "", *_cells([one for one in priced if one.way == way])]))
    return [*lines, row(["**all**", "any", "", *_cells(priced)])]


def _way(way: float) -> str:
    return f"{way:.0%} of the way"


def _cells(priced: Sequence[Priced]) -> list[str]:
    runs = [run for one in priced for run in one.runs]
    count = f"{len(runs)} of {sum(one.n_runs for one in priced)}"
    if not runs:
        return [count, *[""] * (len(_HEADER) - 1)]
    regrets = [run.regret / run.best_net for run in runs if run.best_net > 0]
    shares = (
        sum(run.is_within(0.1) for run in runs),
        sum(run.is_within(0.25) for run in runs),
        sum(abs(run.late) <= 1.01 * one.step for one in priced for run in one.runs),
        sum(run.stopped_at < 0.5 * run.best_at for run in runs),
        sum(not run.has_stopped for run in runs),
    )
    late = float(np.median([run.late / run.best_at for run in runs]))
    quantiles = [f"{one:.1%}" for one in np.quantile(regrets, [0.5, 0.9]).tolist()]
    return [count, *(f"{share / len(runs):.0%}" for share in shares), f"{late:+.0%}", *quantiles]


if __name__ == "__main__":
    main()
