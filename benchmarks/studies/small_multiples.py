"""The learning curves of many studies in one picture, a panel for each."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from recorded import AGAINST, Recorded

from al_agent.simulation.figures import mean_curve
from al_agent.simulation.study import ORACLE

# Okabe and Ito's colours, which stay apart for colour-blind readers, and markers for those who print in grey
_STYLES = (("#0072B2", "o"), ("#D55E00", "s"), ("#009E73", "^"), ("#CC79A7", "D"), ("#E69F00", "v"), ("#56B4E9", "P"))
_N_COLUMNS = 4
_PANEL = (3.6, 2.7)


def draw_small_multiples(path: Path, studies: Sequence[Recorded], methods: Sequence[str]) -> None:
    """Write a PNG: mean figure over labels, with the interval of RANDOM's mean and of the first other method's.

    All methods of a panel are drawn over the same seeds, and so begin at one point.

    Args:
        path: The file.
        studies: One panel each.
        methods: Which to draw, besides RANDOM in black and the control in dashes; those a study does not have are left out.
    """
    from matplotlib.figure import Figure  # noqa: PLC0415  # an extra, and a second to load

    styles = dict(zip([method for method in methods if method not in (AGAINST, ORACLE)], _STYLES))
    n_columns = min(_N_COLUMNS, len(studies))
    n_rows = -(-len(studies) // n_columns)
    figure = Figure(figsize=(_PANEL[0] * n_columns, _PANEL[1] * n_rows + 0.6), dpi=110, layout="constrained")
    panels = figure.subplots(n_rows, n_columns, squeeze=False).ravel()
    handles = {}
    for panel, study in zip(panels, studies):
        shared = study.of_shared_seeds(*study.methods)
        for method in (*reversed(styles), AGAINST, ORACLE):
            if method not in study.methods or (method == ORACLE and ORACLE not in methods):
                continue
            curve = mean_curve(shared, method)
            colour, marker = styles.get(method, ("#000000" if method == AGAINST else "#888888", ""))
            line = "--" if method == ORACLE else "-"
            if method in (AGAINST, next(iter(styles), AGAINST)):
                panel.fill_between(curve.budgets, 100 * curve.low, 100 * curve.high, color=colour, alpha=0.15, linewidth=0)
            (handles[method],) = panel.plot(
                curve.budgets,
                100 * curve.mean,
                line,
                color=colour,
                marker=marker,
                markersize=3.5,
                linewidth=1.3,
                label=method,
            )
        means = np.concatenate([mean_curve(shared, method).mean for method in (*styles, AGAINST) if method in study.methods])
        low, high = 100 * np.nanmin(means), 100 * np.nanmax(means)
        panel.set_ylim(
            low - 0.05 * (high - low) - 0.1, high + 0.08 * (high - low) + 0.1
        )  # wide bands and the control may leave
        panel.set_title(study.name, fontsize=10)
        panel.tick_params(labelsize=8)
        panel.grid(alpha=0.3)
    for panel in panels[len(studies) :]:
        panel.set_axis_off()
    figure.supxlabel("labels", fontsize=10)
    figure.supylabel("figure (%), mean over seeds", fontsize=10)
    order = [method for method in (AGAINST, *styles, ORACLE) if method in handles]
    figure.legend([handles[method] for method in order], order, loc="outside upper center", ncols=len(order), fontsize=10)
    figure.savefig(path)
