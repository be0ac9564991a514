"""The result of a study in a table of 80 columns, and in one sentence."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Mapping, Sequence

from ..figures import Curves, Figure, Gain, Saving, gain_of_area, labels_saved_at, performance_at
from ..figures.curve import listed
from .amounts import CLASSES, DUPLICATES
from .trainers import ORACLE

_WIDTH = 80
_HEADER = ("method", "final figure", "labels saved", "gain of area", "p")
_WIDTHS = (17, 14, 20, 15, 6)
_FEWEST_SEEDS = 5
_ALPHA = 0.05
_MOST_FAILURES = 5


def summary(
    curves: Curves,
    failures: Mapping[tuple[str, int], str],
    against: str,
    *,
    over: Mapping[str, Curves] | None = None,
    counts: Mapping[str, Mapping[str, float]] | None = None,
    left_out: str = "",
) -> str:
    """The tables of a study, and below them what has to be known to read them.

    Args:
        curves: All runs to compare.
        failures: Method and seed to the reason.
        against: The method that the others are compared with.
        over: Unit to the same runs over what the labels took in it.
        counts: By what was counted, method to its mean in the end.
        left_out: What is not among the runs.
    """
    limits = curves.shared_range()
    if limits is None:
        return _wrapped(f"No number of {curves.unit} is covered by every run: nothing can be compared.")
    end = limits[1]
    n_seeds = min(len(curves.seeds(method)) for method in curves.methods)
    notes = [] if against in curves.methods else [f"{against} is not in the study: nothing to compare with"]
    notes += [left_out] if left_out else []
    rows: list[Sequence[str]] = [_HEADER]
    for method in curves.methods:
        final = performance_at(curves, method, end)
        cells = [method, _final(final), "", "", ""]
        if method != against and against in curves.methods:
            saving = labels_saved_at(curves, method, end, against=against)
            gain = gain_of_area(curves, method, against=against)
            cells[2:] = [_saved(saving), _gain(gain), "-" if gain.p_t_test is None else _p(gain.p_t_test)]
            if saving.share.value is None and final.value is not None:
                notes.append(f"labels saved by {method}: {_unknown(saving)}")
        if final.value is None:
            notes.append(f"{method}: {final.note}")
        rows.append(cells)
    lines = [f"After {end:,.0f} labels, {n_seeds} seed{'s' if n_seeds > 1 else ''}:", "", *map(_line, rows), ""]
    said = "± and in brackets: intervals of 95% over the seeds."
    if against in curves.methods and len(curves.methods) > 1:
        said += (
            f" Labels saved: on the way to what {against} has after {end:,.0f}. Gain of area: of the mean figure from "
            f"{limits[0]:,.0f} to {end:,.0f} labels over that of {against}, p by the paired t-test, for each method alone."
        )
    lines.append(_wrapped(said))
    if over and against in curves.methods and len(curves.methods) > 1:
        lines += _savings_by_unit({curves.unit: curves, **over}, against, notes)
    if counts:
        lines += _counts_in_the_end(curves.methods, counts)
    if n_seeds < _FEWEST_SEEDS:
        few = "1 seed is" if n_seeds == 1 else f"{n_seeds} seeds are"
        notes.append(f"{few} few: take {_FEWEST_SEEDS} or more before you believe an interval")
    notes += failures_in_words(failures)
    return "\n".join([*lines, *(_wrapped(f"note: {note}") for note in dict.fromkeys(notes))])


def failures_in_words(failures: Mapping[tuple[str, int], str]) -> list[str]:
    """Which runs failed and why, those of a method that failed alike together; the first few, and how many there are.

    Examples:
        >>> failures_in_words({("A", 0): "round 1: no", ("A", 3): "round 1: no", ("B", 0): "round 2: no"})
        ['A, seeds 0, 3 failed: round 1: no', 'B, seed 0 failed: round 2: no']
    """
    alike: dict[tuple[str, str], list[int]] = {}
    for (method, seed), why in failures.items():
        alike.setdefault((method, why), []).append(seed)
    found = [
        f"{method}, seed{'s' if len(seeds) > 1 else ''} {listed(seeds)} failed: {why}"
        for (method, why), seeds in list(alike.items())[:_MOST_FAILURES]
    ]
    return found if len(alike) <= _MOST_FAILURES else [*found, f"{len(failures)} runs failed in all"]


def nothing_measured(failures: Mapping[tuple[str, int], str]) -> str:
    """What is said in place of tables where no model was ever measured."""
    notes = [f"note: {note}" for note in failures_in_words(failures)]
    return "\n".join(map(_wrapped, ["Nothing was measured: every run failed at its start.", *notes]))


def _savings_by_unit(over: Mapping[str, Curves], against: str, notes: list[str]) -> list[str]:
    """What each method saves in each unit, images first, for what the other reaches with as much as every run of it took.

    Why a saving is not known is added to the notes, except in images, where it stands already.
    """
    first = next(iter(over.values()))
    others = [method for method in first.methods if method != against]
    columns = {"share saved": others}
    ends = []
    for unit, curves in over.items():
        limits = curves.shared_range(against)
        columns[unit] = ["-"] * len(others)
        if limits is None:
            notes.append(f"{unit} saved: no number of {unit} is covered by every run of {against}")
            continue
        savings = {method: labels_saved_at(curves, method, limits[1], against=against) for method in others}
        columns[unit] = [_saved(saving) for saving in savings.values()]
        ends.append(f"{limits[1]:,.0f} {unit}")
        if curves is not first:
            unknown = {method: _unknown(saving) for method, saving in savings.items() if saving.share.value is None}
            notes.extend(f"{unit} saved by {method}: {why}" for method, why in unknown.items())
    said = f"Saved on the way to what {against} has after {', '.join(ends)}: each unit for itself."
    return ["", *_blocks(columns), "", _wrapped(said)] if ends else []


def _counts_in_the_end(methods: Sequence[str], counts: Mapping[str, Mapping[str, float]]) -> list[str]:
    columns = {"in the end": list(methods)}
    if CLASSES in counts:
        columns["classes seen"] = [_mean(counts[CLASSES][method], ".1f") for method in methods]
    if DUPLICATES in counts:
        columns["wasted on duplicates"] = [_mean(counts[DUPLICATES][method], ".0%") for method in methods]
    return ["", *_blocks(columns)]


def _blocks(columns: Mapping[str, Sequence[str]]) -> list[str]:
    """A table of 80 columns; what does not fit stands in further ones below, each with the first column again."""
    titles = [_clipped(title, _WIDTH // 3) for title in columns]
    widths = [max(map(len, (title, *cells))) for title, cells in zip(titles, columns.values())]
    blocks: list[list[int]] = []
    for place in range(1, len(titles)):
        taken = sum(widths[other] + 2 for other in (blocks[-1] if blocks else ()))
        if not blocks or widths[0] + taken + 2 + widths[place] > _WIDTH:
            blocks.append([])
        blocks[-1].append(place)
    table = [titles, *zip(*columns.values())]
    lines = []
    for number, places in enumerate(blocks):
        lines += [""] if number else []
        for row in table:
            cells = (row[place].rjust(widths[place]) for place in places)
            lines.append("  ".join([row[0].ljust(widths[0]), *cells]).rstrip())
    return lines


def in_one_sentence(curves: Curves, against: str) -> str:
    """Who is farthest ahead of those that are ahead for sure, or else of all; corrected for how many were compared.

    The p-values of the m methods compared are multiplied by m (Bonferroni), since the best of several is ahead by chance
    more often than one alone. ORACLE is not among them: nobody can use it.
    """
    others = [method for method in curves.methods if method not in (against, ORACLE)]
    if against not in curves.methods:
        return f"Cannot be said: {against} is not in the study, which has {', '.join(curves.methods)}."
    if not others:
        return f"Cannot be said: no method was compared with {against}."
    gains = _gains(curves, against)
    known = _corrected(gains)
    n_seeds = gains[others[0]].n_seeds
    best = best_of(curves, against)
    if best is None or n_seeds < _FEWEST_SEEDS:
        few = f"{n_seeds} seed{'s are' if n_seeds > 1 else ' is'} too few; take {_FEWEST_SEEDS} or more"
        return f"Cannot be said: {few if known else gains[others[0]].absolute.note}."
    lost = [method for method in others if method not in known]
    but = f" Not compared, since runs failed: {', '.join(lost)}." if lost else ""
    ahead, p = known[best]
    many = f", corrected for {len(known)} methods" if len(known) > 1 else ""
    if ahead <= 0:
        return f"No: no method is ahead of {against} on average over the budgets, in {n_seeds} seeds.{but}"
    if p >= _ALPHA:
        return (
            f"Not shown: {best} is ahead of {against} by {ahead:.4f} on average over the budgets, which may be chance "
            f"(p {_p(p)}{many}, {n_seeds} seeds).{but}"
        )
    limits = curves.shared_range()
    assert limits is not None  # since there is an area
    saving = labels_saved_at(curves, best, limits[1], against=against)
    saved = f"labels saved on the way to {against}'s final figure: {_saved(saving)}"
    if saving.share.value is None:
        saved = f"how many labels that saves at {against}'s final figure is not known"
    return (
        f"Yes, on these data and with this model: {best} is ahead of {against} by {ahead:.4f} on average over the "
        f"budgets (p {_p(p)}{many}, {n_seeds} seeds); {saved}.{but}"
    )


def best_of(curves: Curves, against: str) -> str | None:
    """The method that `in_one_sentence` is about; None where none can be compared."""
    known = _corrected(_gains(curves, against))
    sure = [method for method, (gain, p) in known.items() if gain > 0 and p < _ALPHA]
    return max(sure or known, key=lambda method: known[method][0], default=None)


def _gains(curves: Curves, against: str) -> dict[str, Gain]:
    others = [method for method in curves.methods if method not in (against, ORACLE)]
    return {method: gain_of_area(curves, method, against=against) for method in others}


def _corrected(gains: Mapping[str, Gain]) -> dict[str, tuple[float, float]]:
    """Method to its gain, where it is known, and to its p-value, corrected."""
    known = {method: gain for method, gain in gains.items() if gain.absolute.value is not None}
    return {
        method: (gain.absolute.value or 0.0, min(1.0, (gain.p_t_test or 0.0) * len(known))) for method, gain in known.items()
    }


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


def _unknown(saving: Saving) -> str:
    """Why a saving has no number, and what is known of it all the same."""
    share = saving.share
    ends = ((share.low, "or more"), (share.high, "or less"))
    known = ", ".join(f"{end:.0%} {side}" for end, side in ends if end is not None)
    return f"no number{f' ({known})' if known else ''}: {share.note}"


def _gain(gain: Gain) -> str:
    if gain.absolute.value is None:
        return "-"
    reach = "" if gain.absolute.high is None else f" ±{gain.absolute.high - gain.absolute.value:.4f}"
    return f"{gain.absolute.value:+.4f}{reach}"


def _mean(number: float, form: str) -> str:
    return "-" if math.isnan(number) else format(number, form)


def _clipped(text: str, width: int) -> str:
    return text if len(text) <= width else f"{text[: width - 3]}..."


def _p(p: float) -> str:
    return "<0.001" if p < 0.001 else f"{p:.3f}"


def _line(cells: Sequence[str]) -> str:
    first, *others = map(_clipped, cells, _WIDTHS)
    return "  ".join([first.ljust(_WIDTHS[0]), *(cell.rjust(width) for cell, width in zip(others, _WIDTHS[1:]))]).rstrip()


def _wrapped(text: str) -> str:
    return textwrap.fill(text, _WIDTH, break_on_hyphens=False)
