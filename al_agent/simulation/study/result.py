"""What a study found: its rows, its learning curves, the runs that failed."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from ...report.page.report import Report
from ..cost import Way
from ..figures import Curves, labels_saved_at
from ..figures.curve import listed
from .amounts import COUNTED, counts_in_the_end, rows_and_budgets
from .folder import StudyFolder
from .prices import cost_words, labels_in_an_image, ways_of
from .records import Measurement
from .summary import best_of, failures_in_words, in_one_sentence, nothing_measured, summary
from .tables import read_table, write_table

_IMAGES = "images"


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
        """The runs that are finished in the folder of a study, of all methods and seeds that it was ever asked for.

        Raises:
            ValueError: It is no such folder, or no run is finished.
        """
        runs = StudyFolder(folder).runs()
        if not runs:
            raise ValueError(f"'{folder}' holds a study of which no run is finished; start it again with the same arguments")
        return cls(tuple(row for rows in runs.values() for row in rows))

    @classmethod
    def read(cls, path: str | os.PathLike[str]) -> StudyResult:
        """What `write` wrote.

        Raises:
            FileNotFoundError: There is no such file.
            ImportError: It is a Parquet file, and pyarrow is missing.
            ValueError: It is no table of a study, or an empty one. The message names the line or the row.
        """
        rows = read_table(path)
        if not rows:
            raise ValueError(f"'{path}' has no rows below its header")
        return cls(rows)

    def write(self, path: str | os.PathLike[str]) -> None:
        """Write the rows as a tidy table, whole or not at all.

        Args:
            path: Ends in `.csv`, or in `.parquet`, which takes pyarrow. What was there is replaced.

        Raises:
            ImportError: It ends in `.parquet`, and pyarrow is missing.
            ValueError: Another ending.
        """
        write_table(path, self.rows)

    @cached_property
    def curves(self) -> Curves:
        """The learning curves, for all of `al_agent.simulation.figures`; a run that failed has NaN from there on."""
        return _curves(self.rows, [row.n_labeled for row in self.rows], _IMAGES)

    @property
    def units(self) -> tuple[str, ...]:
        """What `curves_over` can count beside images: the amounts of the data."""
        every = dict.fromkeys(unit for row in self.rows for unit in row.amounts)
        return tuple(unit for unit in every if unit not in COUNTED)

    def curves_over(self, unit: str) -> Curves:
        """The learning curves over what the labels took in another unit, so that figures answer in it.

        Runs have each their own budgets then. Where a round's labels took nothing, such as images without a box, the later
        figure stands. From where a run failed, its further labels count as much as a label did in all runs on average.

        Args:
            unit: One of `units`, or `images`.

        Raises:
            ValueError: No such unit, or a row without it.

        Examples:
            >>> values = [(10, 0.5, 31.0), (20, 0.7, 55.0)]
            >>> rows = [Measurement("A", 0, k, n, f, amounts={"boxes": b}) for k, (n, f, b) in enumerate(values)]
            >>> StudyResult(tuple(rows)).curves_over("boxes").run("A", 0).budgets.tolist()
            [31.0, 55.0]
        """
        if unit == _IMAGES:
            return self.curves
        if unit not in self.units:
            raise ValueError(f"there is no unit {unit!r}; there are {', '.join((_IMAGES, *self.units))}")
        rows, budgets = rows_and_budgets(self.rows, unit)
        return _curves(rows, budgets, unit)

    def amounts(self, unit: str) -> dict[str, npt.NDArray[np.float64]]:
        """What the labels took so far, by method, seed and round.

        Args:
            unit: One of `units`; or `classes`, the distinct classes among the labels; or `duplicates`, the labels in a group
                of look-alikes that had one already. Its share of `n_labeled` was wasted.

        Returns:
            Method to `(s, r + 1)` numbers: seeds in the order of `curves.seeds(method)`, and the start and r rounds. NaN
            where the run had ended before.

        Raises:
            ValueError: The study does not count that.

        Examples:
            >>> rows = [Measurement("A", 0, k, 10 * k, 0.5, amounts={"classes": k + 1.0}) for k in (0, 1)]
            >>> StudyResult(tuple(rows)).amounts("classes")["A"].tolist()
            [[1.0, 2.0]]
        """
        counted = dict.fromkeys(name for row in self.rows for name in row.amounts)
        if unit not in counted:
            raise ValueError(f"the study does not count {unit!r}; it counts {', '.join(counted) or 'images alone'}")
        n_rows = 1 + max(row.round for row in self.rows)
        found = {method: np.full((len(self.curves.seeds(method)), n_rows), math.nan) for method in self.curves.methods}
        place_of = {(method, seed): at for method in found for at, seed in enumerate(self.curves.seeds(method))}
        for row in self.rows:
            found[row.method][place_of[row.method, row.seed], row.round] = row.amounts.get(unit, math.nan)
        return found

    @property
    def failures(self) -> dict[tuple[str, int], str]:
        """Method and seed of each run that failed, and why."""
        found: dict[tuple[str, int], str] = {}
        for row in self.rows:
            if row.error:
                found.setdefault((row.method, row.seed), row.error)
        return found

    def summary(self, *, against: str = "RANDOM", diverged_as: float | None = None) -> str:
        """Tables that fit 80 columns: final figure, labels saved, gain of area, and what to know about them.

        Where the data say so, also the classes seen in the end, the share of labels wasted on duplicates, and what is saved
        in each unit. Methods are compared over the seeds that all of them have.

        Args:
            against: The method that the others are compared with.
            diverged_as: What a failed run's NaN count for, such as the accuracy of guessing; by default figures that such a
                run belongs to are missing.
        """
        shared, left_out = self._on_shared_seeds()
        if not shared.rows:
            return f"Nothing can be compared: {left_out}."
        if not shared._is_measured:
            return nothing_measured(self.failures)
        over = {unit: _counted(shared.curves_over(unit), diverged_as) for unit in self.units}
        return summary(
            _counted(shared.curves, diverged_as),
            self.failures,
            against,
            over=over,
            counts=counts_in_the_end(shared.rows),
            left_out=left_out,
        )

    def sentence(self, *, against: str = "RANDOM", diverged_as: float | None = None) -> str:
        """Whether a method is better than `against` on average over the budgets, and how sure that is."""
        shared, left_out = self._on_shared_seeds()
        if not shared.rows:
            return f"Cannot be said: {left_out}."
        if not shared._is_measured:
            return f"Cannot be said: every run failed at its start; {failures_in_words(self.failures)[0]}."
        return in_one_sentence(_counted(shared.curves, diverged_as), against)

    @property
    def _is_measured(self) -> bool:
        return any(math.isfinite(row.figure) for row in self.rows)

    def best(self, *, against: str = "RANDOM", diverged_as: float | None = None) -> str | None:
        """The method that `sentence` is about; None where none can be compared."""
        shared, _ = self._on_shared_seeds()
        if not shared.rows or against not in shared.curves.methods:
            return None
        return best_of(_counted(shared.curves, diverged_as), against)

    def ways(
        self, method: str, *, against: str = "RANDOM", label: str | None = None, diverged_as: float | None = None
    ) -> tuple[Way, Way]:
        """What it takes without active learning and with a method to reach what `against` has in the end, for a `CostModel`.

        Over the seeds that all methods have, as in the summary. Images that are not known are None.

        Args:
            method: The one that is to save images.
            against: The way without active learning.
            label: The unit of `units` that is paid for, such as boxes; by default an image is one label.
            diverged_as: What a failed run's NaN count for.

        Raises:
            ValueError: No such method, or no such unit.

        Examples:
            >>> figures = {"RANDOM": [0.5, 0.6, 0.7], "CORAL": [0.5, 0.7, 0.8]}
            >>> numbered = [(name, k, value) for name, values in figures.items() for k, value in enumerate(values)]
            >>> result = StudyResult(tuple(Measurement(name, 0, k, 100 + 50 * k, value) for name, k, value in numbered))
            >>> without, active = result.ways("CORAL")
            >>> without.images.value, round(active.images.value)
            (200.0, 150)
        """
        shared, _ = self._on_shared_seeds()
        curves = _counted(shared.curves, diverged_as)
        for name in (method, against):
            if name not in curves.methods:
                raise ValueError(f"{name} is not in the study, which has {', '.join(curves.methods)}")
        if label is not None and label not in self.units:
            raise ValueError(f"there is no unit {label!r} of labels; there are {', '.join(self.units) or 'none'}")
        limits = curves.shared_range()
        saving = None if limits is None else labels_saved_at(curves, method, limits[1], against=against)
        fewest = 0.0 if limits is None else limits[0]
        if label is None:
            return ways_of(saving, fewest)
        counts = [labels_in_an_image(shared.rows, name, label) for name in (against, method)]
        return ways_of(saving, fewest, counts)

    def report(
        self,
        path: str | os.PathLike[str] | None = None,
        *,
        against: str = "RANDOM",
        diverged_as: float | None = None,
        figure_name: str = "test accuracy",
        arguments: Mapping[str, object] | None = None,
        command: str = "",
    ) -> Report:
        """What the study found as one page to look at: a file of HTML that needs no network.

        The sentence, the learning curves with their bands, what is saved, who is ahead at which budget, and what failed.
        What cannot be said is told with its reason, and the rest is shown.

        Args:
            path: The file; what was there is replaced. None writes none, and the result shows the page in a notebook.
            against: The method that the others are compared with.
            diverged_as: What a failed run's NaN count for, as in `summary`.
            figure_name: What was measured.
            arguments: `Study.arguments`, to be shown; None where they are not known.
            command: What to type for the same study again; empty where it is not known.

        Returns:
            The page. In a notebook it shows itself.

        Raises:
            FileNotFoundError: There is no such folder.
            ImportError: jinja2 or plotly is missing; `pip install "al-agent[report]"` does it.

        Examples:
            >>> import tempfile
            >>> from pathlib import Path
            >>> page = Path(tempfile.mkdtemp(), "study.html")
            >>> StudyResult((Measurement("RANDOM", 0, 0, 10, 0.5),)).report(page).path == page
            True
            >>> "Does it pay?" in page.read_text(encoding="utf-8")
            True
        """
        from ...report.study.facts import StudyFacts  # noqa: PLC0415  # with the page
        from ...report.study.page import study_page  # noqa: PLC0415  # loads templates

        shared, left_out = self._on_shared_seeds()
        drawn = shared if shared.rows else self
        every = [drawn.curves_over(unit) for unit in (_IMAGES, *self.units)] if drawn._is_measured else []
        best = self.best(against=against, diverged_as=diverged_as) if every else None
        n_pool = None if arguments is None else arguments.get("n_pool")
        words: list[str] = []
        if best is not None:
            ways = self.ways(best, against=against, diverged_as=diverged_as)
            words = cost_words(ways, n_pool if isinstance(n_pool, int) else None)
        facts = StudyFacts(
            sentence=self.sentence(against=against, diverged_as=diverged_as),
            curves=tuple(_counted(curves, diverged_as) for curves in every),
            methods=self.curves.methods,
            against=against if shared.rows else "",
            best=best or "",
            figure_name=figure_name,
            n_runs=len({(row.method, row.seed) for row in self.rows}),
            failures=self.failures,
            counts=counts_in_the_end(drawn.rows),
            notes=(left_out,) if left_out else (),
            arguments=arguments or {},
            command=command,
            cost_command=" ".join(words),
        )
        return Report.written(path, study_page(facts), facts.notes)

    def _on_shared_seeds(self) -> tuple[StudyResult, str]:
        """The runs of the seeds that all methods have, and what is not among them."""
        seeds = {method: set(self.curves.seeds(method)) for method in self.curves.methods}
        shared = set.intersection(*seeds.values())
        others = sorted(set.union(*seeds.values()) - shared)
        if not others:
            return self, ""
        rest = StudyResult(tuple(row for row in self.rows if row.seed in shared))
        if not shared:
            return rest, "no seed was run with every method"
        return rest, f"not all methods have runs of the seeds {listed(others)}, which are left out"


def _curves(rows: Sequence[Measurement], budgets: Sequence[float], unit: str) -> Curves:
    methods, seeds = [row.method for row in rows], [row.seed for row in rows]
    return Curves.from_columns(methods, seeds, budgets, [row.figure for row in rows], unit=unit)


def _counted(curves: Curves, diverged_as: float | None) -> Curves:
    return curves if diverged_as is None else curves.diverged_as(diverged_as)
