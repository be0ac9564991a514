"""What labels took beside their number: boxes, seconds, classes seen, duplicates."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from ..hidden import HiddenLabels
from .records import Measurement, by_run

CLASSES, DUPLICATES = COUNTED = ("classes", "duplicates")


def names_of_amounts(data: HiddenLabels) -> tuple[str, ...]:
    """What a study of these data counts, in the order of its columns."""
    of_classes = (CLASSES,) if data.is_of_classes else ()
    of_groups = () if data.groups is None else (DUPLICATES,)
    return (*data.amounts, *of_classes, *of_groups)


def amounts_of(data: HiddenLabels, rows: npt.NDArray[np.int64]) -> dict[str, float]:
    """What the labels of `(k,)` rows took.

    Examples:
        >>> x, y = np.zeros((4, 1)), np.array([0, 0, 0, 1])
        >>> boxes, groups = np.array([1, 2, 0, 5]), np.array([7, 7, 7, 8])
        >>> data = HiddenLabels(("a", "b", "c", "d"), x, y, x, y, amounts={"boxes": boxes}, groups=groups)
        >>> amounts_of(data, np.array([0, 1, 2]))
        {'boxes': 3.0, 'classes': 1.0, 'duplicates': 2.0}
    """
    found = {unit: math.fsum(amount[rows]) for unit, amount in data.amounts.items()}
    if data.is_of_classes:
        found[CLASSES] = float(len(np.unique(data.labels[rows])))
    if data.groups is not None:
        found[DUPLICATES] = float(len(rows) - len(np.unique(data.groups[rows])))
    return found


def rows_and_budgets(rows: Sequence[Measurement], unit: str) -> tuple[list[Measurement], list[float]]:
    """Rows with what had been spent in a unit, increasing in each run: of rows with as much spent, the last is left.

    What a run would have spent after it failed is what a label took in all runs on average.

    Raises:
        ValueError: A row has no such amount.
    """
    for row in rows:
        if unit not in row.amounts:
            raise ValueError(f"the row of {row.method}, seed {row.seed}, round {row.round} has no amount of {unit}")
    runs = by_run(rows)
    known = {key: [row for row in run if math.isfinite(row.amounts[unit])] for key, run in runs.items()}
    last = {key: of_run[-1] for key, of_run in known.items() if of_run}
    n_labeled = sum(row.n_labeled for row in last.values())
    mean = sum(row.amounts[unit] for row in last.values()) / n_labeled if n_labeled else 0.0
    kept: dict[tuple[str, int, float], Measurement] = {}
    for key, run in runs.items():
        n_before, before = (last[key].n_labeled, last[key].amounts[unit]) if key in last else (0, 0.0)
        for row in run:
            amount = row.amounts[unit]
            spent = amount if math.isfinite(amount) else before + mean * (row.n_labeled - n_before)
            kept[row.method, row.seed, spent] = row
    return list(kept.values()), [spent for *_, spent in kept]


def counts_in_the_end(rows: Sequence[Measurement]) -> dict[str, dict[str, float]]:
    """Method to its mean over the seeds after the last round: of `classes`, and of `duplicates` as a share of the labels.

    NaN for a method of which a run failed. What not all rows have is left out.
    """
    found: dict[str, dict[str, float]] = {}
    for name in COUNTED:
        if not all(name in row.amounts for row in rows):
            continue
        ends: dict[str, list[float]] = {}
        for (method, _), run in by_run(rows).items():
            ends.setdefault(method, []).append(run[-1].amounts[name] / (run[-1].n_labeled if name == DUPLICATES else 1))
        found[name] = {method: float(np.mean(values)) for method, values in ends.items()}
    return found
