"""Power laws fitted to learning curves, without a random start."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from scorers.checks import row_blocks

from ..figures.curve import Vector

SLOWEST, FASTEST = 0.01, 2.0
"""The exponents tried; at 0.01 the law is a straight line over the logarithm of the budget."""

_N_COARSE = 64
_N_FINE = 17
_N_ZOOMS = 8  # each leaves an eighth of the interval: 1e-8 of the exponent


@dataclass(frozen=True)
class PowerLaw:
    """A learning curve `y(n) = a - b * n ** -c`.

    Args:
        a: What it reaches with all the labels in the world.
        b: What is missing to that at a budget of 1.
        c: How fast that shrinks.

    Examples:
        >>> PowerLaw(0.9, 2.0, 0.5).at([100, 400]).tolist()
        [0.7, 0.8]
    """

    a: float
    b: float
    c: float

    def at(self, budgets: npt.ArrayLike) -> Vector:
        """`(k,)` values at `(k,)` budgets above 0."""
        return np.asarray(self.a - self.b * np.asarray(budgets, dtype=np.float64) ** -self.c)


def fit(budgets: Vector, values: Vector, *, weights: Vector, upper: float) -> Vector:
    """The power laws nearest to curves: least `sum(weights * (values - y(budgets)) ** 2)`.

    For a given exponent, a and b are a straight line's, with its ends pushed back to `0 <= a <= upper` and `b >= 0`. The
    exponent is the best of 64 from 0.01 to 2 at equal ratios, and then of ever finer ones around it. Time and memory
    O(R k), memory in blocks.

    Args:
        budgets: `(k,)` above 0, ascending, two or more.
        values: `(R, k)` one curve a row, none above `upper`.
        weights: `(k,)` above 0.
        upper: The most that a can be.

    Returns:
        `(R, 3)` a, b and c. A curve that does not rise has b = 0.

    Examples:
        >>> n = np.array([50.0, 100, 200, 400, 800])
        >>> fit(n, (0.9 - 2 * n**-0.5)[None], weights=np.ones(5), upper=1.0).round(6).tolist()
        [[0.9, 2.0, 0.5]]
    """
    result = np.empty((len(values), 3))
    for rows in row_blocks(len(values), _N_COARSE * len(budgets)):
        result[rows] = _fit_block(budgets / budgets[0], values[rows], weights / weights.sum(), upper)
    with np.errstate(over="ignore"):
        result[:, 1] *= budgets[0] ** result[:, 2]
    return result


def _fit_block(scaled: Vector, values: Vector, weights: Vector, upper: float) -> Vector:
    low, high = np.full(len(values), np.log(SLOWEST)), np.full(len(values), np.log(FASTEST))
    each = np.arange(len(values))
    best = np.empty((len(values), 3))
    for zoom in range(1 + _N_ZOOMS):
        steps = np.linspace(0.0, 1.0, _N_FINE if zoom else _N_COARSE)
        exponents = low[:, None] + steps * (high - low)[:, None]
        powers = scaled ** -np.exp(exponents)[:, :, None]
        a, b = _line(powers, values[:, None, :], weights, upper)
        misfit = values[:, None, :] - a[:, :, None] + b[:, :, None] * powers
        chosen = (weights * misfit**2).sum(axis=2).argmin(axis=1)
        best = np.stack([a[each, chosen], b[each, chosen], np.exp(exponents[each, chosen])], axis=1)
        low = exponents[each, np.maximum(chosen - 1, 0)]
        high = exponents[each, np.minimum(chosen + 1, len(steps) - 1)]
    return best


def _line(powers: Vector, values: Vector, weights: Vector, upper: float) -> tuple[Vector, Vector]:
    """`(R, g)` a and b of the nearest `a - b * powers` with `0 <= a <= upper` and `b >= 0`."""
    mean_power, mean_value = powers @ weights, values @ weights
    centred = powers - mean_power[:, :, None]
    b = -(weights * centred * (values - mean_value[:, :, None])).sum(axis=2) / (weights * centred**2).sum(axis=2)
    a = mean_value + b * mean_power
    end = np.clip(a, 0.0, upper)
    b_at_end = (weights * powers * (end[:, :, None] - values)).sum(axis=2) / (weights * powers**2).sum(axis=2)
    b = np.where(b < 0, 0.0, np.where(a == end, b, np.maximum(b_at_end, 0.0)))
    flat = np.broadcast_to(np.clip(mean_value, 0.0, upper), b.shape)
    return np.where(b > 0, end, flat), b
