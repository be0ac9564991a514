"""One run of a study: what was reached with each of its budgets."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from scorers.checks import as_floats, check_length, read_only, set_fields

Vector = npt.NDArray[np.float64]

Seed = int | str
"""The name of a run: what the runs of several methods that began alike have in common."""


@dataclass(frozen=True, eq=False, init=False)
class Curve:
    """One run: the performance measured at each of its budgets.

    Args:
        budgets: `(r,)` what had been spent, finite, not negative, each more than the one before.
        values: `(r,)` what was reached, higher is better; NaN where the run diverged.

    Raises:
        ValueError: Budgets that do not increase, an infinite value, or none at all.

    Examples:
        >>> Curve([10, 20], [0.5, 0.7]).values.tolist()
        [0.5, 0.7]
    """

    budgets: Vector
    values: Vector

    def __init__(self, budgets: npt.ArrayLike, values: npt.ArrayLike) -> None:
        spent = as_floats(budgets, "budgets", "(r,)").astype(np.float64)
        reached = as_floats(values, "values", "(r,)").astype(np.float64)
        check_length(len(reached), len(spent), "values", "budgets")
        if not len(spent):
            raise ValueError("budgets is empty; expected what was spent at one measurement or more")
        is_bad = ~np.isfinite(spent) | (spent < 0)
        if is_bad.any():
            raise ValueError(f"budget {int(is_bad.argmax())} is {spent[is_bad][0]}; expected finite numbers of 0 or more")
        steps = np.diff(spent)
        if (steps <= 0).any():
            place = int((steps <= 0).argmax())
            raise ValueError(
                f"budget {shown(float(spent[place]))} is followed by {shown(float(spent[place + 1]))}; expected budgets "
                "that increase, with one value each"
            )
        if np.isinf(reached).any():
            budget = shown(float(spent[np.isinf(reached)][0]))
            raise ValueError(f"the value at budget {budget} is infinite; expected a number, or NaN where the run diverged")
        set_fields(self, budgets=read_only(spent), values=read_only(reached))

    def at(self, budgets: npt.ArrayLike) -> Vector:
        """The values at `(k,)` budgets, on straight lines between those measured; NaN beside a divergence.

        Raises:
            ValueError: A budget outside those measured: nothing is extrapolated.

        Examples:
            >>> Curve([10, 20], [0.5, 0.7]).at([10, 15]).tolist()
            [0.5, 0.6]
        """
        asked = as_floats(budgets, "budgets", "(k,)").astype(np.float64)
        is_outside = ~((asked >= self.budgets[0]) & (asked <= self.budgets[-1]))
        if is_outside.any():
            raise ValueError(
                f"budget {shown(float(asked[is_outside][0]))} is outside of what was measured, "
                f"{span(float(self.budgets[0]), float(self.budgets[-1]))}; nothing is extrapolated"
            )
        return np.interp(asked, self.budgets, self.values)


def shown(number: float) -> str:
    """A budget or a value as messages print it: `1200`, `0.502`."""
    return f"{number:.7g}"


def span(start: float, end: float, unit: str = "") -> str:
    """Two ends as messages print them: `10 to 400 images`."""
    return f"{shown(start)} to {shown(end)}" + (f" {unit}" if unit else "")


def listed(names: Iterable[Seed]) -> str:
    """The first names of some: `A, B, C, ...`."""
    every = [str(name) for name in names]
    return ", ".join(every[:8]) + (", ..." if len(every) > 8 else "")
