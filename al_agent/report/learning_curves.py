"""Learning curves as a picture: a figure over the number of labels, one line for each method."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

Vector = npt.NDArray[np.float64]

# Okabe and Ito's colours, which stay apart for colour-blind readers, and markers for those who print in grey
_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#555555", "#CC79A7", "#E69F00")
_MARKERS = ("o", "s", "^", "x", "D", "v", "P", "*", "<", ">", "h")  # 11 and 6: every pair comes once in 66 methods


def draw_learning_curves(
    path: Path,
    title: str,
    n_labeled: npt.NDArray[np.integer[Any]] | Vector,
    curves: Mapping[str, tuple[Vector, Vector]],
    *,
    figure: str = "test accuracy",
) -> None:
    """Write a PNG of learning curves.

    Args:
        path: The file.
        title: The line at the top.
        n_labeled: `(r,)` numbers of labeled items.
        curves: Method to `(r,)` mean figure and `(r,)` standard error, both in `[0, 1]`.
        figure: What was measured.

    Raises:
        ImportError: matplotlib is not installed; `pip install "al-agent[plot]"` does it.
    """
    try:
        from matplotlib.figure import Figure  # noqa: PLC0415  # an extra, and a second to load
    except ImportError as problem:
        raise ImportError('the plot needs matplotlib: pip install "al-agent[plot]"') from problem
    sheet = Figure(figsize=(8, 5), dpi=120, layout="constrained")
    axes = sheet.add_subplot()
    for number, (method, (mean, error)) in enumerate(curves.items()):
        colour, marker = _COLOURS[number % len(_COLOURS)], _MARKERS[number % len(_MARKERS)]
        axes.fill_between(n_labeled, 100 * (mean - error), 100 * (mean + error), color=colour, alpha=0.15, linewidth=0)
        axes.plot(n_labeled, 100 * mean, color=colour, marker=marker, markersize=4, label=method)
    axes.set(title=title, xlabel="labeled images", ylabel=f"{figure} (%), mean and standard error")
    axes.grid(alpha=0.3)
    axes.legend()
    sheet.savefig(path)
