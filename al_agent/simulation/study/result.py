"""What a study found: its rows, its learning curves, the runs that failed."""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from ..figures import Curves
from .records import Measurement, check_runs, read_arguments, read_table
from .summary import in_one_sentence, summary


@dataclass(frozen=True, eq=False)
class StudyResult:
    """The measurements of a study, by method, seed and round.

    Args:
        rows: All of them.

    Examples:
        >>> start, end = Measurement("RANDOM", 0, 0, 10, 0.5), Measurement("RANDOM", 0, 1, 20, float("nan"), error="no")
        >>> result = StudyResult((start, end))
        >>> result.curves.run("RANDOM", 0).values.tolist(), result.failures
        ([0.5, nan], {('RANDOM', 0): 'no'})
    """

    rows: tuple[Measurement, ...]

    @classmethod
    def load(cls, folder: str | os.PathLike[str]) -> StudyResult:
        """The runs that are finished in the folder of a study.

        Raises:
            ValueError: It is no such folder, or no run is finished.
        """
        home = Path(folder)
        arguments = read_arguments(home)
        runs = read_table(home)
        check_runs(home, runs, list(arguments["methods"]), arguments["seeds"], arguments["n_rounds"])
        if not runs:
            raise ValueError(f"'{home}' holds a study of which no run is finished; start it again with the same arguments")
        return cls(tuple(row for rows in runs.values() for row in rows))

    @cached_property
    def curves(self) -> Curves:
        """The learning curves, for all of `al_agent.simulation.figures`; a run that failed has NaN from there on."""
        return Curves.from_columns(
            [row.method for row in self.rows],
            [row.seed for row in self.rows],
            [row.n_labeled for row in self.rows],
            [row.figure for row in self.rows],
        )

    @property
    def failures(self) -> dict[tuple[str, int], str]:
        """Method and seed of each run that failed, and why."""
        found: dict[tuple[str, int], str] = {}
        for row in self.rows:
            if row.error:
                found.setdefault((row.method, row.seed), row.error)
        return found

    def summary(self, *, against: str = "RANDOM", diverged_as: float | None = None) -> str:
        """A table that fits 80 columns: final figure, labels saved, gain of area, and what to know about them.

        Args:
            against: The method that the others are compared with.
            diverged_as: What a failed run's NaN count for, such as the accuracy of guessing; by default figures that such a
                run belongs to are missing.
        """
        return summary(self._counted(diverged_as), self.failures, against)

    def sentence(self, *, against: str = "RANDOM", diverged_as: float | None = None) -> str:
        """Whether a method is better than `against` on average over the budgets, and how sure that is."""
        return in_one_sentence(self._counted(diverged_as), against)

    def _counted(self, diverged_as: float | None) -> Curves:
        return self.curves if diverged_as is None else self.curves.diverged_as(diverged_as)
