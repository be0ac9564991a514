"""How unsure a probability distribution is: one function for each formula.

Every function takes `(n, c)` probabilities and gives `(n,)` float64 values in `[0, 1]`: 0 where one class is certain, 1
where the two or all classes tie. `c = 1` is the probability `p` of the positive class of two and is read as `(p, 1 - p)`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from .checks import FloatArray, row_blocks

Vector = npt.NDArray[np.float64]


def least_confidence(probabilities: FloatArray) -> Vector:
    """One minus the largest probability, rescaled: `(1 - p1) / (1 - 1/c)`.

    Examples:
        >>> least_confidence(np.array([[1.0, 0.0], [0.75, 0.25], [0.5, 0.5]])).tolist()
        [0.0, 0.5, 1.0]

    References:
        D. Lewis and W. Gale, 1994, arXiv:cmp-lg/9407020.
    """
    return _in_blocks(probabilities, _least_confidence)


def margin(probabilities: FloatArray) -> Vector:
    """One minus the gap between the two largest probabilities: `1 - (p1 - p2)`.

    Examples:
        >>> margin(np.array([[1.0, 0.0, 0.0], [0.5, 0.25, 0.25], [0.5, 0.5, 0.0]])).tolist()
        [0.0, 0.75, 1.0]

    References:
        T. Scheffer, C. Decomain and S. Wrobel, 2001, doi:10.1007/3-540-44816-0_31.
    """
    return _in_blocks(probabilities, _margin)


def entropy(probabilities: FloatArray) -> Vector:
    """Shannon entropy over its maximum: `-sum(p log2 p) / log2 c`, with `0 log 0 = 0`.

    Examples:
        >>> entropy(np.array([[1.0, 0.0], [0.5, 0.5]])).tolist()
        [0.0, 1.0]

    References:
        C. E. Shannon, 1948, doi:10.1002/j.1538-7305.1948.tb01338.x.
    """
    return _in_blocks(probabilities, _entropy)


def one_vs_two_margin(probabilities: FloatArray) -> Vector:
    """The squared margin uncertainty: `(1 - (p1 - p2)) ** 2`.

    Examples:
        >>> one_vs_two_margin(np.array([[0.5, 0.5, 0.0], [0.75, 0.25, 0.0]])).tolist()
        [1.0, 0.25]

    References:
        C.-A. Brust, C. Käding and J. Denzler, 2019, arXiv:1809.09875.
    """
    return margin(probabilities) ** 2


def _in_blocks(probabilities: FloatArray, formula: Callable[[Vector], Vector]) -> Vector:
    """Apply a formula to float64 copies of blocks of rows, so that memory stays O(n) and nothing depends on the cut."""
    result = np.empty(len(probabilities), dtype=np.float64)
    for rows in row_blocks(*probabilities.shape):
        block = np.array(probabilities[rows], dtype=np.float64)
        if block.shape[1] == 1:
            block = np.concatenate([block, 1 - block], axis=1)
        result[rows] = formula(block)
    return np.clip(result, 0.0, 1.0, out=result)


def _least_confidence(block: Vector) -> Vector:
    return _plain((1 - block.max(axis=1)) / (1 - 1 / block.shape[1]))


def _margin(block: Vector) -> Vector:
    rows = np.arange(len(block))
    best = block.argmax(axis=1)
    first = block[rows, best]
    block[rows, best] = -1.0
    return _plain(1 - (first - block.max(axis=1)))


def _entropy(block: Vector) -> Vector:
    logs = np.log2(np.maximum(block, np.finfo(np.float64).tiny))
    return _plain((0.0 - np.einsum("ij,ij->i", block, logs)) / np.log2(block.shape[1]))


def _plain(values: Any) -> Vector:
    return np.asarray(values, dtype=np.float64)
