"""Checks of the options that several scorers have."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import TypeGuard

import numpy as np


def is_number(value: object) -> TypeGuard[float]:
    """Whether this is a number, and no boolean."""
    return isinstance(value, int | float | np.number) and not isinstance(value, bool)


def checked_aggregations(aggregations: Iterable[str], check: Callable[[str], None]) -> tuple[str, ...]:
    """The names as a tuple, each checked; one bare string is refused."""
    if isinstance(aggregations, str):
        raise ValueError(f"aggregations is the string {aggregations!r}; expected a list of names")
    names = tuple(aggregations)
    for name in names:
        check(name)
    return names


def check_share(option: str, value: object) -> None:
    """Raise unless the option is a number in [0, 1]."""
    if not (is_number(value) and 0 <= value <= 1):
        raise ValueError(f"{option} is {value!r}; expected a number in [0, 1]")


def check_stand_in(option: str, value: object) -> None:
    """Raise unless the option, the value of what has nothing to score, is a finite number or None."""
    if value is not None and not (is_number(value) and math.isfinite(value)):
        raise ValueError(f"{option} is {value!r}; expected a finite number, or None for 0 with a warning")
