"""Tells in Markdown what recorded studies found, from their folders alone.

python benchmarks/studies/tell.py FOLDER > studies.md
python benchmarks/studies/tell.py FOLDER --picture studies.png
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from against_random import compare, study_table
from overall import against_random_table, harm_of, win_rows
from recorded import Recorded, find_studies
from small_multiples import draw_small_multiples

DRAWN = ("AUTO", "UNCERTAINTY", "CORAL", "TYPICLUST", "BADGE", "MAX_HERDING", "ORACLE")
_READING = """\
Figures are in points (hundredths), ± half the interval of 95% over the seeds by Student's t; comparisons with RANDOM are \
paired, over the seeds that both have. Labels saved: the share of labels that a method needs less than RANDOM for what \
RANDOM has in the end, all labels counted, with the interval of the bootstrap over seeds. Gain of area: mean difference to \
RANDOM over all budgets, p by the paired t-test, for each method alone. Better or worse at: budgets after the start at \
which the paired t-test says so at 5%, each alone; by chance alone it says each of the two at 2.5% of them."""


def main() -> None:
    parser = argparse.ArgumentParser(description="Print what recorded studies found, as Markdown.")
    parser.add_argument("folder", type=Path, help="holds studies, at any depth")
    parser.add_argument("--picture", type=Path, help="also write the curves of a few methods to this PNG file")
    parser.add_argument("--methods", nargs="+", default=DRAWN, help="those in the picture, besides RANDOM")
    parser.add_argument("--harm-of", default="AUTO", help="method to compare with RANDOM at each budget")
    options = parser.parse_args()
    try:
        studies, notes = find_studies(options.folder)
    except ValueError as problem:
        sys.exit(str(problem))
    for line in told(studies, notes, options.harm_of):
        print(line)
    if options.picture is not None and studies:
        draw_small_multiples(options.picture, studies, options.methods)


def told(studies: Sequence[Recorded], notes: Sequence[str], method: str) -> list[str]:
    """The lines of the report: all studies together, one method against RANDOM, and each study by itself."""
    of_study = {study.name: [compare(study, one) for one in study.methods[1:]] for study in studies}
    every = [one for comparisons in of_study.values() for one in comparisons]
    lines = [_READING, ""]
    if every:
        lines += ["### All studies together", "", *against_random_table(every), ""]
        lines += ["### Who is better than whom", "", "Percent of budgets at which the row's method is significantly better "]
        lines[-1] += "than the column's, the mean over the studies that have both."
        lines += ["", *win_rows(studies), ""]
        lines += [
            f"### {method} beside RANDOM",
            "",
            "Points above RANDOM; `!` significantly worse, `*` significantly better.",
        ]
        lines += ["", *harm_of(method, every), ""]
    for study in studies:
        lines += [f"### {study.name}", "", _sentence(study), "", *study_table(study, of_study[study.name]), ""]
        lines += [f"- {note}" for note in _failures(study)]
    return [*lines, *(f"- {note}" for note in notes)]


def _sentence(study: Recorded) -> str:
    start, step = study.budgets[0], study.budgets[1] - study.budgets[0]
    counts = {len(study.curves.seeds(method)) for method in study.methods}
    most = [method for method in study.methods if len(study.curves.seeds(method)) == max(counts)]
    seeds = f"{min(counts)} seeds" + (f" ({max(counts)} of {' and '.join(most)})" if len(counts) > 1 else "")
    return f"{seeds}, {start:,.0f} labels at the start, {len(study.budgets) - 1} rounds of {step:,.0f}."


def _failures(study: Recorded) -> list[str]:
    return [f"{method}, seed {seed} failed: {why}" for (method, seed), why in study.result.failures.items()]


if __name__ == "__main__":
    main()
