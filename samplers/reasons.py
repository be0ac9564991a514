"""Numbers in the words of a reason."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from .pool import Pool


def in_words(number: float) -> str:
    """A number with three digits, as people read it: `0.0123`, `12300`."""
    if number != 0 and not 1e-4 <= abs(number) < 1e9:
        return f"{number:.3g}"
    return np.format_float_positional(number, precision=3, unique=False, fractional=False, trim="-")


def score_reasons(pool: Pool, rows: npt.NDArray[np.int64]) -> list[str]:
    """For each row its score and how it stands among the candidates: `score 0.97, 99th percentile`.

    An item is at the p-th percentile when p percent of the candidates, rounded down, have a lower score. Time O(n log n).
    """
    assert pool.scores is not None
    return percentile_reasons(pool.score_name, pool.scores[pool.candidates], pool.scores[rows])


def percentile_reasons(name: str, of_all: npt.NDArray[np.float64], values: npt.NDArray[np.float64]) -> list[str]:
    """As `score_reasons`, for any number: `values` and how they stand among `of_all`."""
    ranked = np.sort(of_all)
    percents = np.searchsorted(ranked, values, side="left") * 100 // max(1, len(ranked))
    return [
        f"{name} {in_words(value)}, {_ordinal(percent)} percentile"
        for value, percent in zip(values.tolist(), percents.tolist())
    ]


def _ordinal(number: int) -> str:
    ending = "th" if 10 <= number % 100 <= 20 else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{ending}"
