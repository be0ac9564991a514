"""Which items are held out to measure on: drawn from all of them, or from each class by itself."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt


def held_out(
    labels: Sequence[str], test_share: float, *, seed: int = 0, stratified: bool | None = None
) -> npt.NDArray[np.bool_]:
    """`(n,)` whether an item is held out: `round(test_share n)` of them, at random.

    A stratified split draws from each class by itself, so that rare ones are on both sides. Of t items to hold out, a class
    of m of the n items gets `t m / n`, up or down to a whole number so that the sum is t, but at least 1 and at most m - 1.

    Args:
        labels: n classes.
        test_share: Share to hold out, in `(0, 1)`.
        seed: Of the draw.
        stratified: Whether it is; by default where `can_be_stratified`.

    Raises:
        ValueError: A share that leaves one side empty; or a stratified split that cannot be.

    Examples:
        >>> held_out(["a"] * 8 + ["b"] * 2, 0.2)[8:].sum().item()
        1
    """
    if not 0 < test_share < 1:
        raise ValueError(f"test_share is {test_share}; expected a share above 0 and below 1")
    n_items, n_test = len(labels), round(test_share * len(labels))
    if not 0 < n_test < n_items:
        raise ValueError(f"test_share {test_share} of {n_items:,} items leaves nothing on one side; expected another share")
    order = np.random.default_rng(seed).permutation(n_items)
    is_held_out = np.zeros(n_items, dtype=bool)
    why_not = _why_not_stratified(labels, n_test)
    if stratified and why_not:
        raise ValueError(f"the split cannot be stratified: {why_not}; take a plain one, or another share")
    if stratified is False or why_not:
        is_held_out[order[:n_test]] = True
        return is_held_out
    _, codes = np.unique(np.asarray(labels), return_inverse=True)
    for code, n_of_class in enumerate(_shares(np.bincount(codes), n_test).tolist()):
        is_held_out[order[codes[order] == code][:n_of_class]] = True
    return is_held_out


def can_be_stratified(labels: Sequence[str], test_share: float) -> bool:
    """Whether each class has an item for both sides, and both sides have room for one of each class."""
    return not _why_not_stratified(labels, round(test_share * len(labels)))


def _why_not_stratified(labels: Sequence[str], n_test: int) -> str:
    names, sizes = np.unique(np.asarray(labels), return_counts=True)
    if sizes.min() < 2:
        return f"class {str(names[sizes.argmin()])!r} has a single item"
    smaller = min(n_test, len(labels) - n_test)
    return f"one side has {smaller:,} items for {len(names):,} classes" if smaller < len(names) else ""


def _shares(sizes: npt.NDArray[np.int64], n_test: int) -> npt.NDArray[np.int64]:
    """How many of each class: the whole numbers within the bounds nearest to its part; ties to the first class."""
    wanted = n_test * sizes / sizes.sum()
    shares: npt.NDArray[np.int64] = np.clip(np.floor(wanted).astype(np.int64), 1, sizes - 1)
    while shares.sum() != n_test:
        step = 1 if shares.sum() < n_test else -1
        is_open = (shares < sizes - 1) if step > 0 else (shares > 1)
        shares[np.where(is_open, step * (wanted - shares), -np.inf).argmax()] += step
    return shares
