"""The learning curve so far, and what it says of the next batch."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from ....simulation.stopping import Extrapolation, extrapolate, next_batch
from ..facts import Progress

_N_AHEAD = 25


def progress_of(
    curve: Sequence[tuple[float, float]],
    n_more: int,
    *,
    name: str = "accuracy",
    value_per_point: float | None = None,
    cost_per_label: float | None = None,
) -> Progress:
    """The curve, continued up to twice its labels with an interval of 95%, and what the next batch is expected to bring.

    Args:
        curve: Number of labels and the figure reached with them, by ascending labels: shares up to 1, or percentages, which
            are known by a figure above 1.
        n_more: Labels in the next batch.
        name: What the figure is.
        value_per_point: Money that a point more is worth; goes together with `cost_per_label`.
        cost_per_label: Money for a label.

    Raises:
        ValueError: No points, labels that do not ascend, a figure above 100, or one price without the other.

    Examples:
        >>> curve = [(n, 0.9 - 2.0 * n**-0.5) for n in (50, 100, 200, 400, 800)]
        >>> progress_of(curve, 100).sentences
        ('Labeling 100 more is expected to raise accuracy by 0.404 points.',)
    """
    if (value_per_point is None) != (cost_per_label is None):
        given, other = (
            ("value_per_point", "cost_per_label") if cost_per_label is None else ("cost_per_label", "value_per_point")
        )
        raise ValueError(f"{given} is given without {other}; give both, or none")
    rows = np.array([tuple(point) for point in curve], dtype=np.float64)
    if rows.ndim != 2 or rows.shape[1] != 2:
        raise ValueError(f"curve has shape {rows.shape}; expected (labels, figure) for one measurement or more")
    n_labeled, figures = rows.T
    known = figures[np.isfinite(figures)]
    found = extrapolate(n_labeled, figures, upper=100.0 if known.size and known.max() > 1 else 1.0)
    if value_per_point is not None and cost_per_label is not None:
        advice = next_batch(found, n_more, value_per_point=value_per_point, cost_per_label=cost_per_label)
        sentence = advice.sentence
    else:
        sentence = _expected(found, n_more, name)
    ahead = _ahead(found)
    expected = [found.at(float(budget)) for budget in ahead]
    band = [[math.nan if end is None else end for end in (one.low, one.value, one.high)] for one in expected]
    return Progress(n_labeled, figures, name, ahead, np.array(band, dtype=np.float64).reshape(-1, 3), (sentence,))


def _ahead(found: Extrapolation) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """Label counts from the last to twice as many; none where the curve cannot be continued."""
    if found.law is None:
        return np.empty(0)
    return np.linspace(found.last, 2 * found.last, _N_AHEAD)


def _expected(found: Extrapolation, n_more: int, name: str) -> str:
    gain = found.gain(n_more)
    if gain.value is None:
        return f"What the next batch is expected to gain cannot be said: {gain.note}."
    points = 100 / found.upper
    text = f"Labeling {n_more:,} more is expected to raise {name} by {gain.value * points:.3g} points"
    if gain.low is not None and gain.high is not None and f"{gain.low * points:.3g}" != f"{gain.high * points:.3g}":
        text += f" ({gain.low * points:.3g} to {gain.high * points:.3g})"
    return f"{text}."
