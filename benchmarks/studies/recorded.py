"""Recorded studies read from their folders, whoever ran them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from al_agent.simulation.figures import Curves
from al_agent.simulation.figures.curve import Vector
from al_agent.simulation.study import ORACLE, StudyResult
from al_agent.simulation.study.folder import ARGUMENTS

AGAINST = "RANDOM"


@dataclass(frozen=True, eq=False)
class Recorded:
    """A study that was run.

    Args:
        name: Of its folder.
        result: Its rows.
    """

    name: str
    result: StudyResult

    @property
    def curves(self) -> Curves:
        """Of all finished runs; methods may differ in their seeds."""
        return self.result.curves

    @cached_property
    def budgets(self) -> Vector:
        """`(k,)` labels at the start and after each round."""
        return self.curves.shared_budgets()

    @property
    def methods(self) -> tuple[str, ...]:
        """RANDOM first, the control last."""
        ends = (AGAINST, ORACLE)
        middle = [method for method in self.curves.methods if method not in ends]
        return (AGAINST, *middle, *([ORACLE] if ORACLE in self.curves.methods else []))

    def of_shared_seeds(self, *methods: str, unit: str = "images") -> Curves:
        """The curves of some methods on the seeds that all of them have finished, over images or another unit."""
        first, *others = methods
        seeds = [seed for seed in self.curves.seeds(first) if all(seed in self.curves.seeds(other) for other in others)]
        return self.result.curves_over(unit).select(methods=methods, seeds=seeds)

    @cached_property
    def units(self) -> tuple[str, ...]:
        """What is counted beside labels."""
        return tuple(dict.fromkeys(unit for row in self.result.rows for unit in row.amounts))

    def amount_at(self, method: str, unit: str, budget: float) -> float:
        """The mean over seeds of what the labels of a method took by a budget; NaN where a run had ended."""
        rows = [row for row in self.result.rows if row.method == method and row.n_labeled == budget]
        return float(np.mean([row.amounts[unit] for row in rows]))


def find_studies(folder: Path) -> tuple[list[Recorded], list[str]]:
    """The studies below a folder, in the order of their paths, and of what cannot be told of the others why.

    Raises:
        ValueError: There is none.
    """
    homes = sorted(path.parent for path in folder.rglob(ARGUMENTS))
    if not homes:
        raise ValueError(f"'{folder}' holds no study: there is no {ARGUMENTS} in it or below it")
    studies, notes = [], []
    for home in homes:
        name = home.relative_to(folder).as_posix() if home != folder else home.name
        try:
            study = Recorded(name, StudyResult.load(home))
            problem = _why_not(study)
        except ValueError as error:
            problem = str(error)
        if problem:
            notes.append(f"{name} is left out: {problem}")
        else:
            studies.append(study)
    return studies, notes


def _why_not(study: Recorded) -> str:
    if AGAINST not in study.result.curves.methods:
        return f"no run of {AGAINST} is finished, with which others are compared"
    n_seeds = len(study.of_shared_seeds(*study.methods).seeds(AGAINST))
    return "" if n_seeds > 1 else f"{n_seeds} seeds are finished by all of its methods; expected 2 or more"


def thirds(budgets: Sequence[float] | Vector) -> tuple[float, float, float]:
    """The budgets a third and half of the rounds in, and the last.

    Examples:
        >>> thirds([10, 20, 30, 40, 50, 60, 70])
        (30.0, 40.0, 70.0)
    """
    n_rounds = len(budgets) - 1
    return float(budgets[round(n_rounds / 3)]), float(budgets[round(n_rounds / 2)]), float(budgets[-1])
