"""How often each method is significantly better than each other one, over budgets and studies."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from scorers.checks import check_length

from .curve import Vector
from .curves import Curves
from .few_seeds import checked_share, paired_differences, t_test
from .gains import paired_seeds


@dataclass(frozen=True, eq=False)
class WinTable:
    """Wins of the method of the row over that of the column, in studies.

    Args:
        methods: The m methods.
        wins: `(m, m)` how often the row's method is significantly better than the column's, from 0 to `n_studies`.
        not_compared: `(m, m)` what could not be compared, since a run diverged, in the same unit.
        n_studies: Studies counted.

    Examples:
        >>> table = WinTable(("A", "B"), np.array([[0.0, 1.5], [0.5, 0.0]]), np.zeros((2, 2)), 4)
        >>> table.lost
        {'A': 0.25, 'B': 0.75}
    """

    methods: tuple[str, ...]
    wins: Vector
    not_compared: Vector
    n_studies: int

    @property
    def lost(self) -> dict[str, float]:
        """Of each method the mean of its column, `sum_i P[i, j] / m`, in studies: the article's penalty, lower is better."""
        return dict(zip(self.methods, self.wins.mean(axis=0).tolist()))


def win_table(studies: Sequence[Curves], *, alpha: float = 0.05, budgets: Sequence[npt.ArrayLike] | None = None) -> WinTable:
    """The pairwise penalty matrix: how often a method is significantly better than another, every study counting alike.

    In a study with n budgets, method i beats j at a budget if the mean of its values there is higher and the two-sided
    paired t-test over the seeds gives `p < alpha`. Each such win adds `1 / n` to `P[i, j]`: a study gives 1 to a method that
    beats another at all its budgets. By chance alone `alpha / 2` of the budgets go to each side, so an entry of less than
    that share of the studies says nothing. Budgets of one study are not independent of each other.

    Args:
        studies: At least one, all of the same methods, each with 2 seeds or more, the same for all its methods.
        alpha: Level of the test.
        budgets: For each study those to compare at. By default every budget that a run was measured at, in the range that
            all runs cover, but for the first, which is the common start. The article takes the start plus 1, 2, 4, ...
            batches, so that the many late budgets, where all methods are alike, do not outweigh the early ones.

    Raises:
        ValueError: Different methods, a single seed, or a budget that a run does not cover.

    Examples:
        >>> rows = [("A", s, b, 0.5 + 0.1 * (b > 1) + s / 100) for s in (0, 1, 2) for b in (1, 2, 3)]
        >>> rows += [("RANDOM", s, b, 0.5 + s / 90) for s in (0, 1, 2) for b in (1, 2, 3)]
        >>> win_table([Curves.from_columns(*zip(*rows))]).wins.tolist()
        [[0.0, 1.0], [0.0, 0.0]]

    References:
        J. Ash, C. Zhang, A. Krishnamurthy, J. Langford and A. Agarwal, 2020, arXiv:1906.03671, section 4.
    """
    checked_share(alpha, "alpha")
    if not studies:
        raise ValueError("studies is empty; expected one or more")
    if budgets is not None:
        check_length(len(budgets), len(studies), "budgets", "studies")
    methods = studies[0].methods
    wins = np.zeros((len(methods), len(methods)))
    not_compared = np.zeros_like(wins)
    for number, study in enumerate(studies):
        if set(study.methods) != set(methods):
            odd = sorted(set(study.methods) ^ set(methods))
            raise ValueError(
                f"study {number} and study 0 differ in their methods, {', '.join(odd)}; expected the same in all"
            )
        at = study.shared_budgets()[1:] if budgets is None else np.asarray(budgets[number], dtype=np.float64)
        if not len(at):
            raise ValueError(f"study {number} has no budget to compare at besides the start, which all of its runs cover")
        values = _values(study, methods, at, number)
        for i in range(len(methods)):
            for j in range(i):
                for ours, theirs in zip(values[i].T, values[j].T):
                    difference = paired_differences(ours, theirs)
                    if np.isnan(difference).any():
                        not_compared[[i, j], [j, i]] += 1 / len(at)
                    elif t_test(difference) < alpha:
                        better, worse = (i, j) if difference.mean() > 0 else (j, i)
                        wins[better, worse] += 1 / len(at)
    return WinTable(methods, wins, not_compared, len(studies))


def _values(study: Curves, methods: Sequence[str], at: Vector, number: int) -> list[Vector]:
    """Of each method the `(s, n)` values of its runs, seeds in one order."""
    seeds = study.seeds(methods[0])
    for method in methods[1:]:
        paired_seeds(study, method, methods[0])
    if len(seeds) < 2:
        raise ValueError(f"study {number} has one seed; expected 2 or more to test whether a method is better")
    paired = study.select(methods=methods, seeds=seeds)
    try:
        return [paired.at(method, at) for method in methods]
    except ValueError as error:
        raise ValueError(f"study {number}: {error}") from error
