"""How well a prediction of losses puts images in the order of their losses."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

_SMALL = 32  # below this many values all pairs at once are faster than halves


def ranking_accuracy(predicted: npt.ArrayLike, losses: npt.ArrayLike) -> float:
    """Share of the pairs of images with different losses that the prediction puts in the right order.

    `(right + tied / 2) / pairs`, where a pair is tied if the predictions are equal: chance is 50 %. Only the order of the
    predictions counts, so an uncertainty can be asked as well. Time O(n log n).

    Args:
        predicted: `(n,)` what the images are ranked by, in any unit.
        losses: `(n,)` true losses.

    Returns:
        A share in `[0, 1]`; NaN where no two losses differ.

    Raises:
        ValueError: The lengths differ, or a value is NaN.

    Examples:
        >>> ranking_accuracy([1.0, 2.0, 3.0], losses=[0.1, 0.2, 0.9])
        1.0
        >>> ranking_accuracy([7.0, 7.0, 7.0, 7.0], losses=[0.1, 0.2, 0.9, 0.3])
        0.5
        >>> ranking_accuracy([2.0, 1.0, 3.0], losses=[0.1, 0.2, 0.2])  # two pairs differ, the second is right
        0.5

    References:
        M. Kendall, 1938, doi:10.1093/biomet/30.1-2.81; R. Somers, 1962, doi:10.2307/2090408: this is (D + 1) / 2.
    """
    by, true = np.asarray(predicted, dtype=np.float64), np.asarray(losses, dtype=np.float64)
    if by.ndim != 1 or by.shape != true.shape:
        raise ValueError(f"predicted is {by.shape} and losses is {true.shape}; expected (n,) twice")
    if np.isnan(by).any() or np.isnan(true).any():
        where = int(np.flatnonzero(np.isnan(by) | np.isnan(true))[0])
        raise ValueError(f"image {where} has the prediction {by[where]} and the loss {true[where]}; NaN has no order")
    n_pairs = len(by) * (len(by) - 1) // 2 - _n_tied(true)
    if not n_pairs:
        return float("nan")
    n_tied = _n_tied(by) - _n_tied(np.stack([by, true]))
    n_wrong = _n_falling(by[np.lexsort((by, true))])[0]
    return (n_pairs - n_wrong - n_tied / 2) / n_pairs


def _n_tied(values: npt.NDArray[np.float64]) -> int:
    """Pairs of equal values, or of equal columns."""
    counts = np.unique(values, axis=-1, return_counts=True)[1]
    return int((counts * (counts - 1) // 2).sum())


def _n_falling(values: npt.NDArray[np.float64]) -> tuple[int, npt.NDArray[np.float64]]:
    """Pairs of which the former is the larger one, counted while sorting by merging; and the sorted values."""
    if len(values) <= _SMALL:
        return int(np.triu(values[:, None] > values[None, :]).sum()), np.sort(values)
    n_first, first = _n_falling(values[: len(values) // 2])
    n_second, second = _n_falling(values[len(values) // 2 :])
    n_across = len(first) * len(second) - int(np.searchsorted(first, second, side="right").sum())
    return n_first + n_second + n_across, np.sort(np.concatenate([first, second]), kind="stable")
