"""A number and the interval in which it lies."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Estimate:
    """A number and, where it is known, the interval in which it lies.

    A difference takes the widest interval, from `low - other.high` to `high - other.low`.

    Args:
        value: The number.
        low: Lower end of the interval, `-inf` where it is open; None where the interval is not known.
        high: Its upper end, `inf` where it is open, as where some runs of a study never got there.

    Raises:
        ValueError: The number is not finite, an end is no number, only one end is given, or `low <= value <= high` does
            not hold.

    Examples:
        >>> (Estimate(2500, 2300, 2800) - Estimate(1000)) * 2
        Estimate(value=3000.0, low=2600.0, high=3600.0)
    """

    value: float
    low: float | None = None
    high: float | None = None

    def __post_init__(self) -> None:
        for name in ("value", "low", "high"):
            number = getattr(self, name)
            if name != "value" and number is None:
                continue
            is_number = isinstance(number, int | float | np.number) and not isinstance(number, bool)
            if not is_number or math.isnan(number) or (name == "value" and math.isinf(number)):
                raise ValueError(f"{name} is {number!r}; expected a {'finite ' * (name == 'value')}number")
            object.__setattr__(self, name, float(number))
        if (self.low is None) != (self.high is None):
            raise ValueError(f"the interval of {self.value:,g} has one end; give both low and high, or neither")
        if self.lowest > self.highest:
            raise ValueError(f"the interval {self.lowest:,g} to {self.highest:,g} is upside down; give the lower end first")
        if not self.lowest <= self.value <= self.highest:
            raise ValueError(f"{self.value:,g} lies outside of its interval {self.lowest:,g} to {self.highest:,g}")

    @property
    def has_interval(self) -> bool:
        """Whether the interval is known."""
        return self.low is not None

    @property
    def lowest(self) -> float:
        """The lower end; the number itself where no interval is known."""
        return self.value if self.low is None else self.low

    @property
    def highest(self) -> float:
        """The upper end; the number itself where no interval is known."""
        return self.value if self.high is None else self.high

    def __add__(self, amount: float) -> Estimate:
        return self._with_ends(self.value + amount, self.lowest + amount, self.highest + amount)

    def __sub__(self, other: Estimate) -> Estimate:
        result = (self.value - other.value, self.lowest - other.highest, self.highest - other.lowest)
        return other._with_ends(*result) if other.has_interval else self._with_ends(*result)

    def __mul__(self, factor: float) -> Estimate:
        ends = sorted((self.lowest * factor, self.highest * factor)) if factor else (0.0, 0.0)  # 0 of what is open is 0
        return self._with_ends(self.value * factor, *ends)

    def _with_ends(self, value: float, low: float, high: float) -> Estimate:
        return Estimate(value, low, high) if self.has_interval else Estimate(value)
