"""How unsure a probability distribution is: one function for each formula.

Every function takes `(n, c)` probabilities and gives `(n,)` float64 values in `[0, 1]`: 0 where one class is certain, 1
where the two or all classes tie. `c = 1` is the probability `p` of the positive class of two and is read as `(p, 1 - p)`.
"""

from __future__ import annotations

from collections.abc import Callable

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
    return _in_blocks(probabilities, _least_confidence)[0]


def margin(probabilities: FloatArray) -> Vector:
    """One minus the gap between the two largest probabilities: `1 - (p1 - p2)`.

    Examples:
        >>> margin(np.array([[1.0, 0.0, 0.0], [0.5, 0.25, 0.25], [0.5, 0.5, 0.0]])).tolist()
        [0.0, 0.75, 1.0]

    References:
        T. Scheffer, C. Decomain and S. Wrobel, 2001, doi:10.1007/3-540-44816-0_31.
    """
    return _in_blocks(probabilities, _margin)[0]


def entropy(probabilities: FloatArray) -> Vector:
    """Shannon entropy over its maximum: `-sum(p log2 p) / log2 c`, with `0 log 0 = 0`.

    Examples:
        >>> entropy(np.array([[1.0, 0.0], [0.5, 0.5]])).tolist()
        [0.0, 1.0]

    References:
        C. E. Shannon, 1948, doi:10.1002/j.1538-7305.1948.tb01338.x.
    """
    return _in_blocks(probabilities, _entropy)[0]


def one_vs_two_margin(probabilities: FloatArray) -> Vector:
    """The squared margin uncertainty: `(1 - (p1 - p2)) ** 2`.

    Examples:
        >>> one_vs_two_margin(np.array([[0.5, 0.5, 0.0], [0.75, 0.25, 0.0]])).tolist()
        [1.0, 0.25]

    References:
        C.-A. Brust, C. Käding and J. Denzler, 2019, arXiv:1809.09875.
    """
    return margin(probabilities) ** 2


def uncertainties(probabilities: FloatArray) -> dict[str, Vector]:
    """Least confidence, margin and entropy under their names in `Scores`, in one pass.

    Examples:
        >>> {name: values.tolist() for name, values in uncertainties(np.array([[0.5, 0.5]])).items()}
        {'uncertainty_least_confidence': [1.0], 'uncertainty_margin': [1.0], 'uncertainty_entropy': [1.0]}
    """
    names = ("uncertainty_least_confidence", "uncertainty_margin", "uncertainty_entropy")
    return dict(zip(names, _in_blocks(probabilities, _least_confidence, _margin, _entropy)))


Formula = Callable[[Vector, Vector, Vector], Vector]
"""From a block `(b, c)` and each row's largest and second largest probability `(b,)` to `(b,)` values."""


def _in_blocks(probabilities: FloatArray, *formulas: Formula) -> list[Vector]:
    """Apply formulas to float64 copies of blocks of rows, so that memory stays O(n) and nothing depends on the cut."""
    results = [np.empty(len(probabilities), dtype=np.float64) for _ in formulas]
    for rows in row_blocks(*probabilities.shape):
        values = np.array(probabilities[rows], order="C")  # one layout, one order of summing
        if values.dtype.itemsize < 4:
            values = values.astype(np.float32)
        if values.shape[1] == 1:
            values = values.astype(np.float64)
            values = np.concatenate([values, 1 - values], axis=1)
        block = values.astype(np.float64)
        first, second = _two_largest(values)
        for result, formula in zip(results, formulas):
            np.clip(formula(block, first, second), 0.0, 1.0, out=result[rows])
    return results


def _two_largest(values: FloatArray) -> tuple[Vector, Vector]:
    """Each row's largest and second largest value, in float64; `values` is used up.

    Two argmax take a fraction of the time of a maximum or a partial sort, and half of that in float32.
    """
    rows = np.arange(len(values))
    best = values.argmax(axis=1)
    first = values[rows, best].astype(np.float64)
    values[rows, best] = -1.0
    return first, values[rows, values.argmax(axis=1)].astype(np.float64)


def _least_confidence(block: Vector, first: Vector, second: Vector) -> Vector:
    value: Vector = (1 - first) / (1 - 1 / block.shape[1])
    return value


def _margin(block: Vector, first: Vector, second: Vector) -> Vector:
    return 1 - (first - second)


def _entropy(block: Vector, first: Vector, second: Vector) -> Vector:
    logs = block + np.finfo(np.float64).tiny  # changes zeros alone, whose logarithm is then finite and times 0
    np.log2(logs, out=logs)
    value: Vector = (0.0 - np.einsum("ij,ij->i", block, logs)) / np.log2(block.shape[1])
    return value
