"""The result of a study in a table of 80 columns, and in one sentence."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence

from ..figures import Curves, Figure, Gain, Saving, gain_of_area, labels_saved_at, performance_at
from .trainers import ORACLE

_WIDTH = 80
_HEADER = ("method", "final figure", "labels saved", "gain of area", "p")
_WIDTHS = (17, 14, 20, 15, 6)
_FEWEST_SEEDS = 5
_ALPHA = 0.05
_MOST_FAILURES = 5


def summary(curves: Curves, failures: Mapping[tuple[str, int], str], against: str) -> str:
    """The table of a study, and below it what has to be known to read it.

    Args:
        curves: All runs.
        failures: Method and seed to the reason.
        against: The method that the others are compared with.
    """
    limits = curves.shared_range()
    if limits is None:
        return _wrapped(f"No number of {curves.unit} is covered by every run: nothing can be compared.")
    end = limits[1]
    n_seeds = min(len(curves.seeds(method)) for method in curves.methods)
    notes = [] if against in curves.methods else [f"{against} is not in the study: nothing to compare with"]
    rows: list[Sequence[str]] = [_HEADER]
    for method in curves.methods:
        final = performance_at(curves, method, end)
        cells = [method, _final(final), "", "", ""]
        if method != against and against in curves.methods:
            saving = labels_saved_at(curves, method, end, against=against)
            gain = gain_of_area(curves, method, against=against)
            cells[2:] = [_saved(saving), _gain(gain), "-" if gain.p_t_test is None else _p(gain.p_t_test)]
            if saving.share.value is None and final.value is not None:
                notes.append(f"labels saved by {method}: {saving.share}")
        if final.value is None:
            notes.append(f"{method}: {final.note}")
        rows.append(cells)
    lines = [f"After {end:,.0f} labels, {n_seeds} seed{'s' if n_seeds > 1 else ''}:", "", *map(_line, rows), ""]
    said = (
        f"± and in brackets: intervals of 95% over the seeds. Labels saved: on the way to what {against} has after "
        f"{end:,.0f}. Gain of area: of the mean figure from {limits[0]:,.0f} to {end:,.0f} labels over that of {against}, "
        "p by the paired t-test, for each method alone."
    )
    lines.append(_wrapped(said))
    if n_seeds < _FEWEST_SEEDS:
        notes.append(f"{n_seeds} seeds are few: take {_FEWEST_SEEDS} or more before you believe an interval")
    notes += [f"{method}, seed {seed} failed: {why}" for (method, seed), why in list(failures.items())[:_MOST_FAILURES]]
    if len(failures) > _MOST_FAILURES:
        notes.append(f"{len(failures)} runs failed in all")
    return "\n".join([*lines, *(_wrapped(f"note: {note}") for note in dict.fromkeys(notes))])


def in_one_sentence(curves: Curves, against: str) -> str:
    """Who is farthest ahead of those that are ahead for sure, or else of all; corrected for how many were compared.

    The p-values of the m methods compared are multiplied by m (Bonferroni), since the best of several is ahead by chance
    more often than one alone. ORACLE is not among them: nobody can use it.
    """
    others = [method for method in curves.methods if method not in (against, ORACLE)]
    if against not in curves.methods or not others:
        return f"Cannot be said: no method was compared with {against}."
    gains = {method: gain_of_area(curves, method, against=against) for method in others}
    known = {method: gain.absolute.value for method, gain in gains.items() if gain.absolute.value is not None}
    n_seeds = gains[others[0]].n_seeds
    if not known or n_seeds < _FEWEST_SEEDS:
        few = f"{n_seeds} seed{'s are' if n_seeds > 1 else ' is'} too few; take {_FEWEST_SEEDS} or more"
        return f"Cannot be said: {few if known else gains[others[0]].absolute.note}."
    lost = [method for method in others if method not in known]
    but = f" Not compared, since runs failed: {', '.join(lost)}." if lost else ""
    corrected = {method: min(1.0, (gains[method].p_t_test or 0.0) * len(known)) for method in known}
    sure = [method for method in known if known[method] > 0 and corrected[method] < _ALPHA]
    best = max(sure or known, key=lambda method: known[method])
    p = corrected[best]
    many = f", corrected for {len(known)} methods" if len(known) > 1 else ""
    if known[best] <= 0:
        return f"No: no method is ahead of {against} on average over the budgets, in {n_seeds} seeds.{but}"
    if p >= _ALPHA:
        return (
            f"Not shown: {best} is ahead of {against} by {known[best]:.4f} on average over the budgets, which may be chance "
            f"(p {_p(p)}{many}, {n_seeds} seeds).{but}"
        )
    limits = curves.shared_range()
    assert limits is not None  # since there is an area
    saving = labels_saved_at(curves, best, limits[1], against=against)
    saved = f"labels saved on the way to {against}'s final figure: {_saved(saving)}"
    if saving.share.value is None:
        saved = f"how many labels that saves at {against}'s final figure is not known"
    return (
        f"Yes, on these data and with this model: {best} is ahead of {against} by {known[best]:.4f} on average over the "
        f"budgets (p {_p(p)}{many}, {n_seeds} seeds); {saved}.{but}"
    )


def _final(figure: Figure) -> str:
    if figure.value is None:
        return "-"
    reach = "" if figure.high is None else f" ±{figure.high - figure.value:.4f}"
    return f"{figure.value:.4f}{reach}"


def _saved(saving: Saving) -> str:
    share = saving.share
    if share.value is None:
        return "-"
    if share.low is None and share.high is None:
        return f"{share.value:.0%}"
    low = "?" if share.low is None else f"{share.low:.0%}"
    high = "?" if share.high is None else f"{share.high:.0%}"
    return f"{share.value:.0%} ({low} to {high})"


def _gain(gain: Gain) -> str:
    if gain.absolute.value is None:
        return "-"
    reach = "" if gain.absolute.high is None else f" ±{gain.absolute.high - gain.absolute.value:.4f}"
    return f"{gain.absolute.value:+.4f}{reach}"


def _p(p: float) -> str:
    return "<0.001" if p < 0.001 else f"{p:.3f}"


def _line(cells: Sequence[str]) -> str:
    clipped = [cell if len(cell) <= width else f"{cell[: width - 3]}..." for cell, width in zip(cells, _WIDTHS)]
    first, *others = clipped
    return "  ".join([first.ljust(_WIDTHS[0]), *(cell.rjust(width) for cell, width in zip(others, _WIDTHS[1:]))]).rstrip()


def _wrapped(text: str) -> str:
    return textwrap.fill(text, _WIDTH, break_on_hyphens=False)
