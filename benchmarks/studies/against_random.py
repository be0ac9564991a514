"""Each method of a study beside RANDOM: what it reaches, what it saves, where it is worse."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from recorded import AGAINST, Recorded, thirds

from al_agent.simulation.figures import Gain, Saving, gain_at, gain_of_area, labels_saved_at, performance_at
from al_agent.simulation.study import ORACLE

ALPHA = 0.05


@dataclass(frozen=True, eq=False)
class Comparison:
    """A method of a study beside RANDOM.

    Args:
        study: Name of the study.
        method: Name of the method.
        area: Gain of the mean figure over the budgets.
        gains: One at each budget after the start.
        saving: Labels saved on the way to what RANDOM has in the end.
        savings: The same in boxes, seconds, and what else the study counts.
    """

    study: str
    method: str
    area: Gain
    gains: tuple[Gain, ...]
    saving: Saving
    savings: Mapping[str, Saving]

    @property
    def n_worse(self) -> int:
        """Budgets at which it is significantly worse."""
        return sum(is_significant(gain) and (gain.absolute.value or 0) < 0 for gain in self.gains)

    @property
    def n_better(self) -> int:
        """Budgets at which it is significantly better."""
        return sum(is_significant(gain) and (gain.absolute.value or 0) > 0 for gain in self.gains)


def compare(study: Recorded, method: str) -> Comparison:
    """A method beside RANDOM, over the budgets after the common start, on the seeds that both have."""
    curves = study.of_shared_seeds(AGAINST, method)
    return Comparison(
        study.name,
        method,
        gain_of_area(curves, method, against=AGAINST),
        tuple(gain_at(curves, method, budget, against=AGAINST) for budget in study.budgets[1:].tolist()),
        labels_saved_at(curves, method, float(study.budgets[-1]), against=AGAINST),
        {unit: _saving_of(study, method, unit) for unit in study.result.units},
    )


def _saving_of(study: Recorded, method: str, unit: str) -> Saving:
    """On the way to the last budget of RANDOM that all of its runs cover."""
    curves = study.of_shared_seeds(AGAINST, method, unit=unit)
    return labels_saved_at(curves, method, float(curves.shared_budgets(AGAINST)[-1]), against=AGAINST)


def is_significant(gain: Gain) -> bool:
    """By the two-sided paired t-test at 5%, for this budget alone."""
    return gain.p_t_test is not None and gain.p_t_test < ALPHA


def study_table(study: Recorded, comparisons: Sequence[Comparison]) -> list[str]:
    """The Markdown of one study: a row for each method, the best area first, the control last."""
    budgets = thirds(study.budgets)
    units = study.result.units
    amounts = {f"{unit} at {budget:,.0f}": (unit, budget) for unit, budget in _amounts(study, budgets)}
    header = [
        "method",
        *(f"at {budget:,.0f}" for budget in budgets),
        "labels saved",
        "gain of area",
        "p",
        "worse at",
        *(f"{unit} saved" for unit in units),
        *amounts,
    ]
    lines = [row(header), row(["---"] * len(header))]
    of_method = {one.method: one for one in comparisons}
    middle = sorted(study.methods[1:], key=lambda method: (method == ORACLE, -(of_method[method].area.absolute.value or 0)))
    for method in (AGAINST, *middle):
        figures = [performance_at(study.curves, method, budget) for budget in budgets]
        cells = [method, *(points(figure.value, figure.low, figure.high) for figure in figures)]
        if method == AGAINST:
            cells += [""] * (4 + len(units))
        else:
            one = of_method[method]
            absolute = one.area.absolute
            cells += [saved(one.saving), points(absolute.value, absolute.low, absolute.high, sign="+")]
            cells += ["-" if one.area.p_t_test is None else p_value(one.area.p_t_test), f"{one.n_worse} of {len(one.gains)}"]
            cells += [saved(one.savings[unit]) for unit in units]
        lines.append(row([*cells, *(_number(study.amount_at(method, *amount)) for amount in amounts.values())]))
    return lines


def points(value: float | None, low: float | None = None, high: float | None = None, *, sign: str = "") -> str:
    """A figure in hundredths with half its interval; `-` where there is none.

    Examples:
        >>> points(0.512, 0.5, 0.524), points(0.01, sign="+"), points(None)
        ('51.2 ±1.2', '+1.0', '-')
    """
    if value is None:
        return "-"
    reach = "" if low is None or high is None else f" ±{50 * (high - low):.1f}"
    return f"{round(100 * value, 1) + 0.0:{sign}.1f}{reach}"  # + 0.0 makes 0 of -0


def saved(saving: Saving) -> str:
    """The share of labels saved with its interval; what is known where the level is not reached.

    Examples:
        >>> from al_agent.simulation.figures import Figure
        >>> saved(Saving(Figure(10), Figure(0.25, 0.2, None), 0.5, 5))
        '25% (20% to ?)'
        >>> saved(Saving(Figure(None), Figure(None, note="never"), 0.5, 5))
        'not reached'
    """
    share = saving.share
    low, high = ("?" if end is None else f"{end:.0%}" for end in (share.low, share.high))
    if share.value is not None:
        return f"{share.value:.0%} ({low} to {high})" if (low, high) != ("?", "?") else f"{share.value:.0%}"
    return "not reached" if share.high is None else f"not reached ({high} at most)"


def p_value(p: float) -> str:
    """Three decimals, or that it is less."""
    return "<0.001" if p < 0.001 else f"{p:.3f}"


def _amounts(study: Recorded, budgets: Sequence[float]) -> list[tuple[str, float]]:
    """What beside labels is worth a column: classes early on, where methods differ, and all else in the end."""
    found = []
    for unit in study.units:
        budget = budgets[0] if unit == "classes" else budgets[-1]
        if len({study.amount_at(method, unit, budget) for method in study.methods}) > 1:
            found.append((unit, budget))
    return found


def _number(amount: float) -> str:
    return f"{amount:,.0f}" if amount >= 100 else f"{amount:.1f}"


def row(cells: Sequence[str]) -> str:
    """A line of a Markdown table."""
    return f"| {' | '.join(cells)} |"
