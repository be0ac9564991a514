"""What a few seeds can say of a number: intervals, tests, and when they say nothing."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from scorers.checks import as_floats

from .curve import Vector, shown

MOST_SEEDS_BY_EVERY_FLIP = 20
"""With more seeds the sign-flip test draws its flips: 2**20 sums take 8 MiB."""

FEWEST_SEEDS_TO_RESAMPLE = 3
"""Two seeds have three resamples, two of which are one seed twice."""

_N_DRAWN_FLIPS = 99_999
_FLIPS_PER_BLOCK = 11_111


@dataclass(frozen=True)
class Figure:
    """A number, the ends of its confidence interval, and why any of them is missing.

    Args:
        value: The number; None where there is none, and then `note` says why.
        low: The lower end of the interval; None where there is no interval, or where it is open at this end.
        high: The upper end, likewise.
        note: What a reader has to know; empty where there is nothing.

    Examples:
        >>> print(Figure(0.226, 0.18, 0.27))
        0.226 (0.18 to 0.27)
        >>> print(Figure(None, note="the level is never reached"))
        no number: the level is never reached
    """

    value: float | None
    low: float | None = None
    high: float | None = None
    note: str = ""

    def __str__(self) -> str:
        text = "no number" if self.value is None else f"{self.value:.4g}"
        if self.low is not None and self.high is not None:
            text += f" ({self.low:.4g} to {self.high:.4g})"
        elif self.low is not None:
            text += f" ({self.low:.4g} or more)"
        elif self.high is not None:
            text += f" ({self.high:.4g} or less)"
        return f"{text}: {self.note}" if self.note else text


def t_quantile(n_seeds: int, confidence: float) -> float:
    """How many standard errors of a mean of n seeds the interval of Student's t reaches to each side.

    Examples:
        >>> round(t_quantile(5, 0.95), 3)
        2.776
    """
    from scipy.special import stdtrit  # type: ignore[import-untyped]  # slow to load  # noqa: PLC0415

    return float(stdtrit(n_seeds - 1, 0.5 + checked_share(confidence, "confidence") / 2))


def mean_of_seeds(values: npt.ArrayLike, *, confidence: float = 0.95) -> Figure:
    """The mean over seeds with its interval by Student's t: `mean ± t std(ddof=1) / sqrt(s)`.

    Args:
        values: `(s,)` one number for each seed. With NaN among them there is no mean.
        confidence: Share of such intervals that hold the true mean, if seeds scatter normally.

    Returns:
        A figure in the unit of the values. Of a single seed: its value, and no interval.

    Examples:
        >>> print(mean_of_seeds([0.50, 0.52, 0.54]))
        0.52 (0.4703 to 0.5697)
        >>> print(mean_of_seeds([0.5]))
        0.5: one seed: no interval

    References:
        Student, The Probable Error of a Mean, Biometrika 6(1), 1908, doi:10.1093/biomet/6.1.1.
    """
    numbers = checked_seeds(values, "values")
    n_missing = int(np.isnan(numbers).sum())
    if n_missing:
        return Figure(None, note=f"{n_missing} of {len(numbers)} seeds have no number")
    mean = float(numbers.mean())
    if len(numbers) == 1:
        return Figure(mean, note="one seed: no interval")
    reach = t_quantile(len(numbers), confidence) * float(numbers.std(ddof=1)) / math.sqrt(len(numbers))
    return Figure(mean, mean - reach, mean + reach)


def paired_differences(a: Vector, b: Vector) -> Vector:
    """`a - b`, and 0 where they differ by rounding alone: a test would take that for certain.

    Examples:
        >>> paired_differences(np.array([0.1 + 0.2, 0.5]), np.array([0.3, 0.25])).tolist()
        [0.0, 0.25]
    """
    found = a - b
    return np.where(np.abs(found) <= 1e-12 * np.maximum(np.abs(a), np.abs(b)), 0.0, found)


def t_test(differences: npt.ArrayLike) -> float:
    """The two-sided p-value of the paired t-test: how often chance alone gives a mean difference as far from 0.

    `t = mean / (std(ddof=1) / sqrt(s))` with s - 1 degrees of freedom. Differences that are all one number other than 0 give
    0, all 0 gives 1.

    Args:
        differences: `(s,)` one for each of two seeds or more.

    Raises:
        ValueError: Fewer than two seeds, or a difference that is not finite.

    Examples:
        >>> round(t_test([0.01, 0.02, 0.03]), 4)
        0.0742

    References:
        Student, The Probable Error of a Mean, Biometrika 6(1), 1908, doi:10.1093/biomet/6.1.1.
    """
    from scipy.special import stdtr  # noqa: PLC0415

    numbers = _checked_differences(differences, 2)
    if np.ptp(numbers) == 0:
        return 0.0 if numbers[0] else 1.0
    t = numbers.mean() / (numbers.std(ddof=1) / math.sqrt(len(numbers)))
    return float(2 * stdtr(len(numbers) - 1, -abs(t)))


def sign_flip_test(differences: npt.ArrayLike, *, seed: int = 0) -> float:
    """The two-sided p-value of the exact paired permutation test, which needs no normal scatter.

    If the two methods were one, every difference could as well have the other sign: the p-value is the share of the 2**s
    ways to set the signs whose sum is as far from 0 as the sum found. It is never below `smallest_sign_flip(s)`: with 5
    seeds never below 0.0625, however large the gain.

    Time and memory O(2**s) up to 20 seeds; with more, 99,999 random flips and the one found.

    Args:
        differences: `(s,)` one for each seed.
        seed: Of the random flips.

    Raises:
        ValueError: No seeds, or a difference that is not finite.

    Examples:
        >>> sign_flip_test([0.01, 0.02, 0.03]), sign_flip_test([0.01, 0.02, 0.03, -0.01])
        (0.25, 0.375)

    References:
        R. Fisher, The Design of Experiments, 1935, section 21.
    """
    numbers = _checked_differences(differences, 1)
    scale = float(np.abs(numbers).max())
    if scale == 0:
        return 1.0
    numbers = numbers / scale
    found = abs(float(numbers.sum())) - 1e-12 * len(numbers)  # sums that are equal but for rounding count as equal
    if len(numbers) <= MOST_SEEDS_BY_EVERY_FLIP:
        sums = numbers[:1]  # the other half of the signs mirrors this one
        for number in numbers[1:]:
            sums = np.concatenate([sums + number, sums - number])
        return float((np.abs(sums) >= found).mean())
    rng = np.random.default_rng(seed)
    n_as_far = 1
    for _ in range(_N_DRAWN_FLIPS // _FLIPS_PER_BLOCK):
        sums = rng.choice([-1.0, 1.0], (_FLIPS_PER_BLOCK, len(numbers))) @ numbers
        n_as_far += int((np.abs(sums) >= found).sum())
    return n_as_far / (_N_DRAWN_FLIPS + 1)


def smallest_sign_flip(n_seeds: int) -> float:
    """The smallest p-value that `sign_flip_test` can give: `2 / 2**s`, and never less than it draws.

    Examples:
        >>> smallest_sign_flip(3), smallest_sign_flip(5), smallest_sign_flip(6)
        (0.25, 0.0625, 0.03125)
    """
    return 2.0 ** (1 - n_seeds) if n_seeds <= MOST_SEEDS_BY_EVERY_FLIP else 1 / (_N_DRAWN_FLIPS + 1)


def resampled_weights(n_seeds: int, *, confidence: float, n_resamples: int, seed: int) -> Vector:
    """The bootstrap over seeds, stretched to reach as far as Student's interval.

    A resample draws s of the s seeds with replacement and gives each the weight W, its share of the draws. A mean over
    resampled seeds scatters by `std(ddof=0) / sqrt(s)` and normally, where a mean over few seeds is known only within
    `t std(ddof=1) / sqrt(s)`: of 5 seeds, plain bootstrap intervals of 95% hold the truth in about 83% of studies. So the
    weights returned are

        1 / s + (W - 1 / s) * (t / z) * sqrt(s / (s - 1)),

    with the quantiles t of Student (s - 1 degrees of freedom) and z of the normal distribution at the confidence asked for.
    They sum to 1 and some are below 0: they are for means, not for counts. What is computed from the weighted mean curves of
    two methods, with the same weights for both, is a paired bootstrap.

    Args:
        n_seeds: s, 3 or more.
        confidence: Of the interval that is to come of it.
        n_resamples: R.
        seed: Of the draws.

    Returns:
        `(R, s)` weights, each row summing to 1.

    Examples:
        >>> weights = resampled_weights(5, confidence=0.95, n_resamples=2000, seed=0)
        >>> weights.shape, bool(np.allclose(weights.sum(axis=1), 1))
        ((2000, 5), True)

    References:
        B. Efron, Bootstrap Methods: Another Look at the Jackknife, 1979, doi:10.1214/aos/1176344552; of its narrowness with
        few samples and this factor: T. Hesterberg, What Teachers Should Know About the Bootstrap, 2015, arXiv:1411.5279,
        which applies it to the quantiles; here it is applied to the weights, so that an interval can be wider than the
        seeds found.
    """
    from scipy.special import ndtri  # noqa: PLC0415

    if n_seeds < FEWEST_SEEDS_TO_RESAMPLE:
        raise ValueError(f"{n_seeds} seeds cannot be resampled; expected {FEWEST_SEEDS_TO_RESAMPLE} or more")
    if n_resamples < 100:
        raise ValueError(f"n_resamples is {n_resamples}; expected 100 or more for the ends of an interval")
    shares = np.random.default_rng(seed).multinomial(n_seeds, [1 / n_seeds] * n_seeds, n_resamples) / n_seeds
    reach = t_quantile(n_seeds, confidence) / float(ndtri(0.5 + confidence / 2)) * math.sqrt(n_seeds / (n_seeds - 1))
    return np.asarray(1 / n_seeds + reach * (shares - 1 / n_seeds))


def resampled_figure(value: float | None, estimates: Vector, *, confidence: float, note: str = "") -> Figure:
    """A number with the interval of its resamples: their middle share.

    Args:
        value: The number; None where there is none.
        estimates: `(R,)` of the resamples. Infinite ones lie beyond every number, and an end that falls on them is open; NaN
            could lie anywhere, and widens both ends.
        confidence: The middle share.
        note: Why there is no number.

    Examples:
        >>> print(resampled_figure(2.0, np.array([1.0, 2.0, 3.0, np.inf]), confidence=0.5))
        2 (1 or more): in 25.00% of the resamples there is no number within the budgets measured
    """
    tail = math.floor((1 - checked_share(confidence, "confidence")) / 2 * (len(estimates) - 1))
    is_nan = np.isnan(estimates)
    low = float(np.sort(np.where(is_nan, -np.inf, estimates))[tail])
    high = float(np.sort(np.where(is_nan, np.inf, estimates))[len(estimates) - 1 - tail])
    if value is not None:
        low, high = min(low, value), max(high, value)
    n_open = int((~np.isfinite(estimates)).sum())
    if n_open and not note:
        note = f"in {n_open / len(estimates):.2%} of the resamples there is no number within the budgets measured"
    return Figure(value, low if math.isfinite(low) else None, high if math.isfinite(high) else None, note)


def checked_share(value: float, name: str) -> float:
    """A number between 0 and 1, neither included, or ValueError."""
    if not 0 < value < 1:
        raise ValueError(f"{name} is {value}; expected a share between 0 and 1, such as 0.95")
    return value


def checked_seeds(values: npt.ArrayLike, name: str) -> Vector:
    """`(s,)` numbers of one seed or more, or ValueError."""
    numbers = as_floats(values, name, "(s,)").astype(np.float64)
    if not len(numbers):
        raise ValueError(f"{name} is empty; expected one number for each seed")
    return numbers


def _checked_differences(differences: npt.ArrayLike, fewest: int) -> Vector:
    numbers = checked_seeds(differences, "differences")
    if len(numbers) < fewest:
        raise ValueError(f"differences of {len(numbers)} seed; expected {fewest} or more to test")
    if not np.isfinite(numbers).all():
        row = int((~np.isfinite(numbers)).argmax())
        raise ValueError(f"difference {row} is {shown(float(numbers[row]))}; expected finite numbers")
    return numbers
