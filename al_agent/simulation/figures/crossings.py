"""Where curves first reach a level."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from scorers.checks import check_length

from .curve import Vector


def first_crossings(budgets: Vector, values: Vector, levels: Vector) -> Vector:
    """Where each of R curves first reaches its level, on straight lines.

    `b_j + (level - v_j) / (v_j+1 - v_j) * (b_j+1 - b_j)` for the first j with `v_j+1 >= level`. Values that miss the level
    by rounding alone are at the level: two methods that have labeled the whole pool end alike.

    Args:
        budgets: `(k,)` increasing, the same for all.
        values: `(R, k)`.
        levels: `(R,)`.

    Returns:
        `(R,)` budgets; minus infinity where the first value is at the level already, infinity where none is, NaN where a NaN
        comes first.

    Examples:
        >>> values = np.array([[0.25, 0.5, 1.0], [0.75, 0.5, 1.0], [0.0, 0.25, 0.5], [0.0, np.nan, 1.0]])
        >>> first_crossings(np.array([10.0, 20.0, 30.0]), values, np.full(4, 0.75)).tolist()
        [25.0, -inf, inf, nan]
    """
    check_length(values.shape[1], len(budgets), "each curve", "budgets")
    if not len(budgets):
        return np.full(len(values), np.nan)
    is_there = is_reached(values, levels[:, None])
    every, place = np.arange(len(values)), is_there.argmax(axis=1)
    before = np.maximum(place - 1, 0)
    low, high = values[every, before], values[every, place]
    with np.errstate(invalid="ignore", divide="ignore"):  # rows that do not cross between two budgets are set below
        way = np.clip((levels - low) / (high - low), 0, 1)
    result = budgets[before] + way * (budgets[place] - budgets[before])
    result[place == 0] = -np.inf
    result[~is_there.any(axis=1)] = np.inf
    first_nan = np.where(np.isnan(values).any(axis=1), np.isnan(values).argmax(axis=1), values.shape[1])
    result[first_nan < np.where(is_there.any(axis=1), place, values.shape[1])] = np.nan
    return np.asarray(result)


def is_reached(values: Vector, levels: Vector | float) -> npt.NDArray[np.bool_]:
    """Which values are at their level or above, but for rounding: `value >= level - 1e-12 |level|`."""
    return np.asarray(values >= levels - 1e-12 * np.abs(levels))


def checked_level(level: float) -> float:
    """A finite level, or ValueError."""
    if not math.isfinite(level):
        raise ValueError(f"the level is {level}; expected a finite performance to reach")
    return level
