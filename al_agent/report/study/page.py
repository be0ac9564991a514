"""The page of a study: one HTML file that says whether it pays, and shows what the answer rests on."""

from __future__ import annotations

import numpy as np

from ..page.assembling import render
from .facts import StudyFacts
from .tables import (
    Table,
    curve_table,
    duel_table,
    failure_table,
    plotted,
    setting_table,
    summary_table,
    wins_in_words,
)

_FEWEST_SEEDS = 5
_MOST_CURVES, _N_BEST = 8, 5
_CONTROL = "ORACLE"


def study_page(facts: StudyFacts) -> str:
    """The page of a study as HTML, which needs no network and holds no more than numbers and names.

    Args:
        facts: What it shows. What is missing is said with its reason, and the rest is shown.

    Raises:
        ImportError: jinja2 or plotly is missing.
    """
    first = facts.curves[0] if facts.curves else None
    limits = None if first is None else first.shared_range()
    shown = facts.curves if limits is not None else ()
    duels = Table((), ()) if first is None else duel_table(first, facts.against)
    answer, rest = _split(facts.sentence)
    failed = failure_table(facts)
    return render(
        "study.html.j2",
        data={"study": {"units": plotted(facts) if shown else [], "figure": facts.figure_name, "against": facts.against}},
        scripts=("study.js",),
        has_plots=bool(shown),
        nav=_sections(has_summary=bool(shown), has_duels=bool(duels.rows)),
        answer=answer,
        rest=rest,
        methods=facts.methods,
        tiles=_tiles(facts, limits),
        notes=_notes(facts),
        figure_name=facts.figure_name,
        plots=[{"unit": curves.unit, "methods": curves.methods} for curves in shown],
        is_shown=_shown_first(facts) if shown else set(),
        curves=[curve_table(curves) for curves in shown],
        nothing=_nothing(facts),
        summary=summary_table(facts) if shown else None,
        limits=None if limits is None else [f"{end:,.0f}" for end in limits],
        is_compared=first is not None and facts.against in first.methods and len(first.methods) > 1,
        has_control=_CONTROL in facts.methods,
        has_duplicates="duplicates" in facts.counts,
        duels=duels if duels.rows else None,
        wins=wins_in_words(duels),
        against=facts.against,
        failed=failed,
        n_failed=len(facts.failures),
        n_runs=facts.n_runs,
        settings=setting_table(facts.arguments),
        command=facts.command,
        best=facts.best,
        cost_command=facts.cost_command,
        no_cost=_no_cost(facts),
    )


def _split(sentence: str) -> tuple[str, str]:
    """The answer, up to the first comma or colon, and what follows it."""
    for answer in ("Yes", "No", "Not shown", "Cannot be said"):
        for mark in (", ", ": "):
            if sentence.startswith(answer + mark):
                rest = sentence[len(answer + mark) :]
                return f"{answer}.", rest[:1].upper() + rest[1:]
    return "", sentence


def _shown_first(facts: StudyFacts) -> set[str]:
    """The methods whose curves are drawn at first: all, or of many the best in the end and the one compared with."""
    curves = facts.curves[0]
    if len(curves.methods) <= _MOST_CURVES:
        return set(curves.methods)
    budgets, found = curves.means_and_errors()
    ends = {method: float(np.nan_to_num(mean[-1], nan=-np.inf)) for method, (mean, _) in found.items() if len(budgets)}
    best = sorted(ends, key=lambda method: -ends[method])[:_N_BEST]
    return {*best, facts.against, facts.best}


def _sections(*, has_summary: bool, has_duels: bool) -> list[tuple[str, str]]:
    return [
        ("learning", "Learning curves"),
        *([("summary", "In the end")] if has_summary else []),
        *([("duels", "Budget by budget")] if has_duels else []),
        ("failed", "Failed runs"),
        ("again", "Exactly this study"),
    ]


def _tiles(facts: StudyFacts, limits: tuple[float, float] | None) -> list[tuple[str, str, str]]:
    """Name, value and what else is to be known of it."""
    tiles = [("runs", f"{facts.n_runs:,}", f"{len(facts.failures):,} failed" if facts.failures else "none failed")]
    if facts.curves:
        seeds = facts.curves[0].seeds(facts.curves[0].methods[0])
        named = ", ".join(map(str, seeds[:10])) + (", ..." if len(seeds) > 10 else "")
        tiles.insert(0, ("seeds", f"{len(seeds):,}", named))
    if limits is not None:
        unit = facts.curves[0].unit
        n_budgets = len(facts.curves[0].shared_budgets())
        ends = f"{limits[0]:,.0f}" if limits[0] == limits[1] else f"{limits[0]:,.0f} to {limits[1]:,.0f}"
        tiles.append((f"labeled {unit}", ends, f"measured at {n_budgets:,} budget{'s' if n_budgets > 1 else ''}"))
    for name, words in (("n_pool", "items in the pool"), ("n_test", "items held out")):
        value = facts.arguments.get(name)
        if isinstance(value, int):
            tiles.append((words, f"{value:,}", ""))
    return tiles


def _notes(facts: StudyFacts) -> list[str]:
    notes = list(facts.notes)
    if facts.curves:
        curves = facts.curves[0]
        n_seeds = min(len(curves.seeds(method)) for method in curves.methods)
        if n_seeds < _FEWEST_SEEDS:
            few = "1 seed is" if n_seeds == 1 else f"{n_seeds} seeds are"
            bands = "; with one there is no band around a curve" if n_seeds == 1 else ""
            notes.append(f"{few} few: take {_FEWEST_SEEDS} or more before you believe an interval{bands}")
        if facts.against and facts.against not in curves.methods:
            notes.append(f"{facts.against} is not in the study: there is nothing to compare with")
        if len(curves.shared_budgets()) == 1:
            notes.append("there is one budget: a curve, and what it saves, takes two or more")
    if facts.failures:
        notes.append(f"{len(facts.failures):,} of {facts.n_runs:,} runs failed, as told below")
    return [f"{note[:1].upper()}{note[1:]}." for note in notes]


def _nothing(facts: StudyFacts) -> str:
    if not facts.curves:
        return "There is no curve: nothing that can be compared was measured."
    return f"There is no curve: no number of {facts.curves[0].unit} is covered by every run."


def _no_cost(facts: StudyFacts) -> str:
    if not facts.best:
        return "Cannot be said: no method can be compared."
    return (
        f"Cannot be said: it is not known with an interval how many labels {facts.best} saves; that takes 3 seeds or more, "
        f"and that it reaches what {facts.against} has in the end."
    )
