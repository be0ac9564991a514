"""The tables of a study's page: its figures in words, with why a number is missing beside the place where it would be."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from ...config import SamplerConfig
from ...simulation.figures import Curves, Figure, gain_of_area, gains, labels_saved_at, mean_curve, performance_at
from .facts import StudyFacts

_ALPHA = 0.05
_NONE = "no number"
_MOST_ROWS = 20
_N_EVEN = 11
_COUNTED = {"classes": "classes seen in the end", "duplicates": "labels wasted on look-alikes"}
_SETTINGS = {
    "data": "data, by their digest",
    "amounts": "counted beside labels",
    "n_pool": "items in the pool",
    "n_test": "items held out",
    "trainer": "model",
    "n_start": "labels to begin with",
    "n_per_round": "labels in a round",
    "n_rounds": "rounds",
}


class Cell(NamedTuple):
    """A cell of a table: its text, the interval of its number, how it is meant, and a remark that is longer than a cell."""

    text: str
    interval: str = ""
    kind: str = ""
    remark: str = ""


class Table(NamedTuple):
    """A table: names of its columns, and rows that begin with the name of what they are about."""

    header: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]


def summary_table(facts: StudyFacts) -> Table:
    """Each method's final figure, what it saves in each unit, its gain and how sure that is, and what else was counted."""
    curves = facts.curves[0]
    limits = curves.shared_range()
    is_compared = facts.against in curves.methods and len(curves.methods) > 1
    header = ["method", facts.figure_name]
    if is_compared:
        header += [f"{'labels' if over is curves else over.unit} saved" for over in facts.curves]
        header += ["gain of area", "p"]
    header += [_COUNTED[name] for name in facts.counts]
    rows = []
    for method in curves.methods:
        cells = [Cell(method), _with_interval(_final(curves, method, limits), ".4f")]
        if is_compared and method == facts.against:
            cells += [Cell("", kind="reference")] * (len(facts.curves) + 2)
        elif is_compared:
            cells += [_saved(over, method, facts.against, curves) for over in facts.curves]
            gain = gain_of_area(curves, method, against=facts.against)
            cells += [_with_interval(gain.absolute, "+.4f"), Cell(_NONE if gain.p_t_test is None else _p(gain.p_t_test))]
        cells += [_counted(name, of_method[method]) for name, of_method in facts.counts.items()]
        rows.append(tuple(cells))
    return Table(tuple(header), tuple(rows))


def curve_table(curves: Curves) -> Table:
    """The mean of each method at the budgets that all runs cover, with its interval, as the plot shows them.

    Where there are many, as units other than images have, eleven that are evenly spread.
    """
    budgets = curves.shared_budgets()
    if len(budgets) > _MOST_ROWS:
        budgets = np.linspace(budgets[0], budgets[-1], _N_EVEN)
    rows = tuple(
        (
            Cell(f"{budget:,.0f}"),
            *(_with_interval(performance_at(curves, method, budget), ".4f") for method in curves.methods),
        )
        for budget in budgets.tolist()
    )
    return Table((curves.unit, *curves.methods), rows)


def duel_table(curves: Curves, against: str) -> Table:
    """At each budget after the start, what each method is ahead of the other by, and whether that may be chance.

    `ahead` and `behind` where the two-sided paired t-test over the seeds gives `p < 0.05` for this budget alone.
    """
    others = [method for method in curves.methods if method != against]
    if against not in curves.methods or not others:
        return Table((), ())
    columns = [gains(curves, method, against=against) for method in others]
    rows: dict[float, list[Cell]] = {}
    for column in columns:
        for gain in column[1:]:
            cell = _with_interval(gain.absolute, "+.4f")
            if gain.absolute.value is not None and gain.p_t_test is not None:
                is_sure = gain.p_t_test < _ALPHA
                kind = "open" if not is_sure else "ahead" if gain.absolute.value > 0 else "behind"
                cell = cell._replace(kind=kind)
            rows.setdefault(gain.budget or 0.0, []).append(cell)
    whole = {budget: cells for budget, cells in rows.items() if len(cells) == len(others)}
    return Table((curves.unit, *others), tuple((Cell(f"{budget:,.0f}"), *cells) for budget, cells in sorted(whole.items())))


def wins_in_words(duels: Table) -> list[str]:
    """Of each method, at how many budgets it is ahead and behind."""
    found = []
    for column, method in enumerate(duels.header[1:], start=1):
        kinds = [row[column].kind for row in duels.rows]
        counts = f"ahead at {kinds.count('ahead')} of {len(kinds)} budgets and behind at {kinds.count('behind')}"
        n_unknown = kinds.count("")
        found.append(f"{method} is {counts}{f'; at {n_unknown} it cannot be tested' if n_unknown else ''}")
    return found


def failure_table(facts: StudyFacts) -> Table:
    """Which runs failed and why, those of a method that failed alike together."""
    alike: dict[tuple[str, str], list[int]] = {}
    for (method, seed), why in facts.failures.items():
        alike.setdefault((method, why), []).append(seed)
    rows = tuple((Cell(method), Cell(_listed(seeds)), Cell(why)) for (method, why), seeds in alike.items())
    return Table(("method", "seeds", "why"), rows)


def setting_table(arguments: Mapping[str, object]) -> Table:
    """The arguments of a study, those of each method by what is set in it."""
    rows = []
    for name, value in arguments.items():
        if name == "methods" and isinstance(value, Mapping):
            rows.append((Cell("methods"), Cell(_listed([*value]))))
            set_apart = {method: _options(config) for method, config in value.items()}
            rows += [(Cell(f"of {method}"), Cell(text)) for method, text in set_apart.items() if text != f"method {method}"]
        elif name != "format":
            text = _listed(value) if isinstance(value, list | tuple) else str(value)
            rows.append((Cell(_SETTINGS.get(name, name)), Cell(text or "none")))
    return Table(("setting", "value"), tuple(rows))


def plotted(facts: StudyFacts) -> list[dict[str, object]]:
    """What the script draws: of each unit each method's mean and band, null where there is none."""
    found: list[dict[str, object]] = []
    for curves in facts.curves:
        lines = []
        for method in curves.methods:
            curve = mean_curve(curves, method)
            columns = {"x": curve.budgets, "y": curve.mean, "low": curve.low, "high": curve.high}
            lines.append({"name": method, **{name: [*map(_or_none, column.tolist())] for name, column in columns.items()}})
        found.append({"unit": curves.unit, "lines": lines})
    return found


def _final(curves: Curves, method: str, limits: tuple[float, float] | None) -> Figure:
    if limits is None:
        return Figure(None, note=f"no number of {curves.unit} is covered by every run")
    return performance_at(curves, method, limits[1])


def _saved(curves: Curves, method: str, against: str, first: Curves) -> Cell:
    """Saved on the way to what the other has in the end: with the images that all runs have, or with what its own took."""
    limits = curves.shared_range() if curves is first else curves.shared_range(against)
    if limits is None:
        return Cell(_NONE, remark=f"no number of {curves.unit} is covered by every run")
    return _with_interval(labels_saved_at(curves, method, limits[1], against=against).share, ".0%")


def _with_interval(figure: Figure, form: str) -> Cell:
    known = [None if end is None else format(end, form) for end in (figure.value, figure.low, figure.high)]
    value, low, high = known
    if low is not None and high is not None:
        interval = f"{low} to {high}"
    else:
        interval = f"{low} or more" if low is not None else f"{high} or less" if high is not None else ""
    return Cell(_NONE if value is None else value, interval, remark="" if figure.value is not None else figure.note)


def _counted(name: str, mean: float) -> Cell:
    if math.isnan(mean):
        return Cell(_NONE, remark="a run failed")
    return Cell(f"{mean:.0%}" if name == "duplicates" else f"{mean:.1f}")


def _options(config: object) -> str:
    """What the configuration of a method sets: its method, and what is not as by default."""
    if not isinstance(config, Mapping):
        return str(config)
    usual = {**SamplerConfig().to_dict(), "n_samples": None, "seed": None, "method": None}
    return ", ".join(f"{name} {_value(value)}" for name, value in config.items() if value != usual.get(name))


def _value(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _listed(values: Sequence[object]) -> str:
    return ", ".join(map(str, values))


def _p(p: float) -> str:
    return "<0.001" if p < 0.001 else f"{p:.3f}"


def _or_none(number: float) -> float | None:
    return number if math.isfinite(number) else None
