"""Learning curves of a study: what every run of every method reached with each of its budgets."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from scorers.checks import as_floats, check_length, set_fields

from .curve import Curve, Seed, Vector, listed


class SeededRuns(Protocol):
    """What `replay` gives: methods, budgets and `(m, s, r + 1)` accuracies."""

    @property
    def methods(self) -> tuple[str, ...]:
        """Names of the m methods."""
        ...

    @property
    def n_labeled(self) -> npt.NDArray[np.int64]:
        """`(r + 1,)` labeled items."""
        ...

    @property
    def accuracy(self) -> Vector:
        """For each method, seed and round."""
        ...


@dataclass(frozen=True, eq=False)
class Curves:
    """The runs of a study, by method and seed.

    A run that diverged stays, with NaN from where it did. No figure leaves it out: a mean that it belongs to is missing, and
    the figure says why, until `diverged_as` says what such a run counts for.

    Args:
        runs: Method to seed to `Curve`. Budgets may differ between the runs.
        unit: What budgets count, in the plural: images, boxes, seconds, steps.

    Raises:
        ValueError: No method, no run, or a name that is no name.

    Examples:
        >>> curves = Curves({"RANDOM": {0: Curve([10, 20], [0.5, 0.7]), 1: Curve([10, 20], [0.4, np.nan])}})
        >>> curves.methods, curves.seeds("RANDOM"), curves.diverged
        (('RANDOM',), (0, 1), (('RANDOM', 1, 20.0),))
        >>> curves.diverged_as(0.1).run("RANDOM", 1).values.tolist()
        [0.4, 0.1]
    """

    runs: Mapping[str, Mapping[Seed, Curve]]
    unit: str = "images"

    def __post_init__(self) -> None:
        if not _is_name(self.unit):
            raise ValueError(f"unit is {self.unit!r}; expected what budgets count, such as 'images' or 'boxes'")
        if not self.runs:
            raise ValueError("runs is empty; expected at least one method")
        checked: dict[str, Mapping[Seed, Curve]] = {}
        for method, of_method in self.runs.items():
            if not _is_name(method):
                raise ValueError(f"{method!r} is no name of a method; expected text")
            if not of_method:
                raise ValueError(f"{method} has no runs; expected one for each seed, or no such method")
            for seed, curve in of_method.items():
                if not _is_seed(seed):
                    raise ValueError(f"a seed of {method} is {seed!r}; expected a whole number or text")
                if not isinstance(curve, Curve):
                    raise ValueError(f"the run of {method} with seed {seed} is a {type(curve).__name__}; expected a Curve")
            checked[method] = MappingProxyType(dict(of_method))
        set_fields(self, runs=MappingProxyType(checked))

    def __reduce__(self) -> tuple[Any, ...]:
        return Curves, ({method: dict(of_method) for method, of_method in self.runs.items()}, self.unit)

    @classmethod
    def from_columns(
        cls,
        methods: Iterable[str],
        seeds: Iterable[Seed],
        budgets: npt.ArrayLike,
        values: npt.ArrayLike,
        *,
        unit: str = "images",
    ) -> Curves:
        """From the columns of a tidy table, one row for each measurement, in any order.

        A study that counts images, boxes and seconds makes one value of each column of budgets.

        Args:
            methods: n names.
            seeds: n seeds.
            budgets: `(n,)`.
            values: `(n,)`.
            unit: What budgets count.

        Raises:
            ValueError: Columns of different lengths, or two rows of one run with one budget. The message names the run.

        Examples:
            >>> curves = Curves.from_columns(["A", "A", "B"], [0, 0, 0], [20, 10, 10], [0.7, 0.5, 0.4])
            >>> curves.run("A", 0).budgets.tolist(), curves.run("A", 0).values.tolist()
            ([10.0, 20.0], [0.5, 0.7])
        """
        names, numbers = list(methods), [_as_seed(seed) for seed in seeds]
        spent, reached = as_floats(budgets, "budgets", "(n,)"), as_floats(values, "values", "(n,)")
        for column, name in ((numbers, "seeds"), (spent, "budgets"), (reached, "values")):
            check_length(len(column), len(names), name, "methods")
        rows: dict[str, dict[Seed, list[int]]] = {}
        for row, (method, seed) in enumerate(zip(names, numbers)):
            rows.setdefault(method, {}).setdefault(seed, []).append(row)
        runs: dict[str, dict[Seed, Curve]] = {}
        for method, of_method in rows.items():
            for seed, of_run in of_method.items():
                order = np.array(of_run)[np.argsort(spent[of_run], kind="stable")]
                try:
                    curve = Curve(spent[order], reached[order])
                except ValueError as error:
                    raise ValueError(f"the run of {method} with seed {seed}: {error}") from error
                runs.setdefault(method, {})[seed] = curve
        return cls(runs, unit)

    @classmethod
    def from_learning_curves(cls, curves: SeededRuns, *, unit: str = "images") -> Curves:
        """From what `replay` gives, whose seeds are 0, 1, 2, ...

        Examples:
            >>> from al_agent.simulation.replay import LearningCurves
            >>> replayed = LearningCurves(("A",), np.array([10, 20]), np.array([[[0.5, 0.7], [0.4, 0.6]]]))
            >>> Curves.from_learning_curves(replayed).run("A", 1).values.tolist()
            [0.4, 0.6]
        """
        return cls(
            {
                method: {seed: Curve(curves.n_labeled, accuracy) for seed, accuracy in enumerate(of_method)}
                for method, of_method in zip(curves.methods, curves.accuracy)
            },
            unit,
        )

    @property
    def methods(self) -> tuple[str, ...]:
        """The names of the methods."""
        return tuple(self.runs)

    def seeds(self, method: str) -> tuple[Seed, ...]:
        """The seeds that a method was run with."""
        return tuple(self._of(method))

    def run(self, method: str, seed: Seed) -> Curve:
        """One run.

        Raises:
            ValueError: There is none.
        """
        of_method = self._of(method)
        if seed not in of_method:
            raise ValueError(f"{method} has no run with seed {seed!r}; its seeds are {listed(of_method)}")
        return of_method[seed]

    @property
    def diverged(self) -> tuple[tuple[str, Seed, float], ...]:
        """Of every run with NaN: its method, its seed, and the first budget without a number."""
        return tuple(
            (method, seed, float(curve.budgets[np.isnan(curve.values).argmax()]))
            for method, of_method in self.runs.items()
            for seed, curve in of_method.items()
            if np.isnan(curve.values).any()
        )

    def diverged_as(self, value: float) -> Curves:
        """The same with a value for NaN: what a model that failed is worth, such as the accuracy of guessing."""
        if not np.isfinite(value):
            raise ValueError(f"a diverged run cannot count as {value}; expected a number, such as the accuracy of guessing")
        return self._map(lambda curve: Curve(curve.budgets, np.where(np.isnan(curve.values), value, curve.values)))

    def by_steps(self, first: int = 0) -> Curves:
        """The same with budgets that count measurements, whatever was spent on each: first, first + 1, ...

        Examples:
            >>> Curves({"A": {0: Curve([1000, 1127], [0.2, 0.3])}}).by_steps().run("A", 0).budgets.tolist()
            [0.0, 1.0]
        """
        steps = self._map(lambda curve: Curve(first + np.arange(len(curve.budgets)), curve.values))
        return Curves(steps.runs, "steps")

    def select(self, *, methods: Sequence[str] | None = None, seeds: Sequence[Seed] | None = None) -> Curves:
        """Only some methods, or only some seeds of each, in the order asked for.

        Raises:
            ValueError: One of them is not there.
        """
        chosen = self.methods if methods is None else methods
        return Curves(
            {
                method: {seed: self.run(method, seed) for seed in (self.seeds(method) if seeds is None else seeds)}
                for method in chosen
            },
            self.unit,
        )

    def shared_range(self, *methods: str) -> tuple[float, float] | None:
        """The first and the last budget that every run of some methods, or of all, covers; None where there are none."""
        runs = [curve for method in methods or self.methods for curve in self._of(method).values()]
        start = max(float(curve.budgets[0]) for curve in runs)
        end = min(float(curve.budgets[-1]) for curve in runs)
        return (start, end) if start <= end else None

    def shared_budgets(self, *methods: str) -> Vector:
        """`(k,)` every budget that some run of the methods was measured at, within their shared range, ascending."""
        limits = self.shared_range(*methods)
        if limits is None:
            return np.empty(0)
        every = np.unique(
            np.concatenate([curve.budgets for method in methods or self.methods for curve in self._of(method).values()])
        )
        return every[(every >= limits[0]) & (every <= limits[1])]

    def at(self, method: str, budgets: npt.ArrayLike) -> Vector:
        """`(s, k)` values of a method's s runs at `(k,)` budgets, each on its own straight lines.

        Raises:
            ValueError: A budget outside of what a run was measured at. The message names the run.
        """
        rows = []
        for seed, curve in self._of(method).items():
            try:
                rows.append(curve.at(budgets))
            except ValueError as error:
                raise ValueError(f"the run of {method} with seed {seed}: {error}") from error
        return np.stack(rows)

    def means_and_errors(self) -> tuple[Vector, dict[str, tuple[Vector, Vector]]]:
        """What a picture shows: the shared budgets `(k,)`, and of each method `(k,)` means and `(k,)` standard errors.

        The error is `std(ddof=1) / sqrt(s)` over the s runs, 0 for a single one.
        """
        budgets = self.shared_budgets()
        found = {}
        for method in self.methods:
            values = self.at(method, budgets)
            error = values.std(axis=0, ddof=1) / np.sqrt(len(values)) if len(values) > 1 else np.zeros(len(budgets))
            found[method] = (values.mean(axis=0), error)
        return budgets, found

    def _of(self, method: str) -> Mapping[Seed, Curve]:
        if method not in self.runs:
            raise ValueError(f"there are no runs of {method!r}; the methods are {listed(self.runs)}")
        return self.runs[method]

    def _map(self, change: Callable[[Curve], Curve]) -> Curves:
        runs = {
            method: {seed: change(curve) for seed, curve in of_method.items()} for method, of_method in self.runs.items()
        }
        return Curves(runs, self.unit)


def _is_name(value: object) -> bool:
    return isinstance(value, str) and bool(value)


def _is_seed(value: object) -> bool:
    return isinstance(value, int | str) and not isinstance(value, bool)


def _as_seed(seed: Seed | np.generic) -> Seed:
    plain: Seed = seed.item() if isinstance(seed, np.generic) else seed
    return plain
