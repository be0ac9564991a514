"""A learning curve continued beyond its last budget, and how sure that is."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from samplers.sampler import check_number, checked_count
from scorers.checks import as_floats, check_length, read_only

from ..figures.curve import Curve, Vector, shown
from ..figures.few_seeds import (
    FEWEST_SEEDS_TO_RESAMPLE,
    Figure,
    checked_share,
    resampled_figure,
    resampled_weights,
    t_quantile,
)
from .power_law import PowerLaw, fit

FEWEST_POINTS = 4
"""Three points fit any power law, and leave nothing to say how well."""


@dataclass(frozen=True, eq=False)
class Extrapolation:
    """What `extrapolate` found.

    Args:
        law: The power law; None where there is none, and then `note` says why.
        last: The last budget measured.
        upper: The most that a value can be.
        unit: What budgets count, in the plural.
        confidence: Of the intervals.
        note: Why there is no law; empty where there is one.
        resamples: `(R, 3)` a, b and c of the laws that the resamples gave.
    """

    law: PowerLaw | None
    last: float
    upper: float = 1.0
    unit: str = "labels"
    confidence: float = 0.95
    note: str = ""
    resamples: Vector = field(default_factory=lambda: np.empty((0, 3)), repr=False)

    def at(self, budget: float) -> Figure:
        """The expected value at a budget above 0, in the unit of the values, with its interval.

        The interval is that of the curve; a single measurement scatters around the curve as well.
        """
        return self._figure(lambda n, law: law[0] - law[1] * n ** -law[2], checked_above_0(budget))

    def gain(self, n_more: float, *, start: float | None = None) -> Figure:
        """What `n_more` are expected to add to the value at `start`, the last budget where it is None; never below 0."""
        begin = checked_above_0(self.last if start is None else start)
        end = begin + checked_above_0(n_more, "n_more")
        return self._figure(lambda n, law: law[1] * (begin ** -law[2] - n ** -law[2]), end)

    def _figure(self, of: Callable[[float, Vector], Vector], budget: float) -> Figure:
        if self.law is None:
            return Figure(None, note=self.note)
        value = float(of(budget, np.array([self.law.a, self.law.b, self.law.c])))
        return resampled_figure(value, np.asarray(of(budget, self.resamples.T)), confidence=self.confidence)


def extrapolate(
    budgets: npt.ArrayLike,
    values: npt.ArrayLike,
    *,
    upper: float = 1.0,
    weights: npt.ArrayLike | None = None,
    unit: str = "labels",
    confidence: float = 0.95,
    n_resamples: int = 500,
    seed: int = 0,
) -> Extrapolation:
    """Fit `y(n) = a - b * n ** -c`, with `0 <= a <= upper`, `b >= 0` and `0 < c <= 2`, to a curve or to the mean of several.

    The nearest law in weighted squares, found without random starts. Of three seeds or more, the intervals come of the
    bootstrap over seeds that `figures` uses; of one or two, of a bootstrap of residuals, centred and stretched by
    `sqrt(k / (k - 3)) * t / z` with Student's t at k - 3 degrees of freedom, as the three numbers fitted take their share.

    Both trust the form of the law: they cannot know of a curve that bends later. One that starts slowly before it rises is
    no power law: leave its slow start out. In a single run the sets are nested, so that errors of neighbouring points are
    alike, which makes its intervals too narrow.

    Args:
        budgets: `(k,)` labels at each measurement, finite, ascending. A budget of 0 has no place on a power law and is left
            out.
        values: `(k,)` one run, or `(s, k)` one for each of s seeds; higher is better, `upper` at most.
        upper: The most that a value can be: 1 for accuracy, 100 for percentages.
        weights: `(k,)` above 0. None gives point j of k the weight `j / k`: what comes next is nearer to the late points.
        unit: What budgets count, in the plural.
        confidence: Of the intervals.
        n_resamples: Number of resamples, 100 or more.
        seed: Of the resamples.

    Returns:
        An extrapolation. Its `law` is None, and its `note` says why, with fewer than 4 points, with NaN, and where the curve
        does not rise, or not by more than its scatter.

    Raises:
        ValueError: Budgets that do not ascend, a value above `upper`, or an option that makes no sense.

    Examples:
        >>> n = np.array([50, 100, 200, 400, 800])
        >>> found = extrapolate(n, 0.9 - 2.0 * n**-0.5)
        >>> print(found.at(1600), "|", found.gain(100))
        0.85 (0.85 to 0.85) | 0.004044 (0.004044 to 0.004044)
        >>> print(extrapolate([10, 20, 30], [0.5, 0.6, 0.65]).at(40))
        no number: there are 3 measurements, and to continue a curve takes 4 or more

    References:
        C. Cortes, L. Jackel, S. Solla, V. Vapnik, J. Denker, Learning Curves: Asymptotic Values and Rate of Convergence,
        NIPS 6, 1994. R. Figueroa et al., Predicting sample size required for classification performance, 2012,
        doi:10.1186/1472-6947-12-8, of the weights too. Of where the form holds: J. Hestness et al., Deep Learning Scaling is
        Predictable, Empirically, 2017, arXiv:1712.00409.
    """
    limit = checked_above_0(upper, "upper")
    checked_share(confidence, "confidence")
    if checked_count(n_resamples, "n_resamples") < 100:
        raise ValueError(f"n_resamples is {n_resamples}; expected 100 or more for the ends of an interval")
    n, runs = _checked_runs(budgets, values, limit)
    given = np.arange(1, len(n) + 1) / len(n) if weights is None else weights
    share = as_floats(given, "weights", "(k,)").astype(np.float64)
    check_length(len(share), len(n), "weights", "budgets")
    if not (np.isfinite(share) & (share > 0)).all():
        raise ValueError(f"weights are {shown(float(share.min()))} at the least; expected finite numbers above 0")
    last, is_usable = float(n[-1]), n > 0
    n, runs, share = n[is_usable], runs[:, is_usable], share[is_usable]

    def none(why: str) -> Extrapolation:
        return Extrapolation(None, last, limit, unit, confidence, why)

    if len(n) < FEWEST_POINTS:
        there = f"there {'is 1 measurement' if len(n) == 1 else f'are {len(n)} measurements'}"
        counted = there if is_usable.all() else f"{there} above a budget of 0"
        return none(f"{counted}, and to continue a curve takes {FEWEST_POINTS} or more")
    if np.isnan(runs).any():
        row, point = np.argwhere(np.isnan(runs))[0].tolist()
        return none(f"the value at {shown(float(n[point]))} {unit}{f' of run {row}' if len(runs) > 1 else ''} is NaN")
    mean = runs.mean(axis=0)
    law = PowerLaw(*fit(n, mean[None], weights=share, upper=limit)[0].tolist())
    if law.b * n[0] ** -law.c <= 1e-12 * limit:
        return none(f"the curve does not rise from {shown(float(n[0]))} to {shown(last)} {unit}")
    curves = _resampled(n, runs, law, confidence, n_resamples, seed)
    laws = fit(n, np.minimum(curves, limit), weights=share, upper=limit)
    if (laws[:, 1] <= 0).mean() > (1 - confidence) / 2:
        return none(f"the curve does not rise by more than its scatter from {shown(float(n[0]))} to {shown(last)} {unit}")
    return Extrapolation(law, last, limit, unit, confidence, "", read_only(laws))


def _resampled(n: Vector, runs: Vector, law: PowerLaw, confidence: float, n_resamples: int, seed: int) -> Vector:
    """`(R, k)` curves that might as well have been measured."""
    if len(runs) >= FEWEST_SEEDS_TO_RESAMPLE:
        return resampled_weights(len(runs), confidence=confidence, n_resamples=n_resamples, seed=seed) @ runs
    from scipy.special import ndtri  # type: ignore[import-untyped]  # slow to load  # noqa: PLC0415

    fitted, n_free = law.at(n), len(n) - 3
    residuals = runs.mean(axis=0) - fitted
    reach = t_quantile(n_free + 1, confidence) / float(ndtri(0.5 + confidence / 2)) * math.sqrt(len(n) / n_free)
    draws = np.random.default_rng(seed).integers(len(n), size=(n_resamples, len(n)))
    return np.asarray(fitted + reach * (residuals - residuals.mean())[draws])


def _checked_runs(budgets: npt.ArrayLike, values: npt.ArrayLike, upper: float) -> tuple[Vector, Vector]:
    is_one = np.ndim(values) == 1
    table = as_floats(values, "values", "(k,)" if is_one else "(s, k)").astype(np.float64)
    runs = table[None] if is_one else table
    if not len(runs):
        raise ValueError("values has no rows; expected one for each seed")
    for run in runs:
        curve = Curve(budgets, run)
        is_above = curve.values > upper
        if is_above.any():
            raise ValueError(
                f"the value at budget {shown(float(curve.budgets[is_above][0]))} is {shown(float(run[is_above][0]))}, above "
                f"upper, which is {shown(upper)}; give upper=100 for percentages"
            )
    return curve.budgets, runs


def checked_above_0(number: float, name: str = "budget") -> float:
    """A finite number above 0, or ValueError."""
    check_number(number, name)
    if not number > 0:
        raise ValueError(f"{name} is {number}; expected a number above 0")
    return float(number)
