"""The win table counts significant wins as the published penalty matrix does."""

from __future__ import annotations

import itertools

import numpy as np
import numpy.typing as npt
import pytest
import scipy.stats  # type: ignore[import-untyped]

from al_agent.simulation.figures.curve import Curve
from al_agent.simulation.figures.curves import Curves
from al_agent.simulation.figures.wins import win_table

BUDGETS = [10, 20, 30, 40, 50]


def study(values: dict[str, npt.NDArray[np.float64]]) -> Curves:
    return Curves({name: {seed: Curve(BUDGETS, row) for seed, row in enumerate(rows)} for name, rows in values.items()})


def drawn(seed: int, effects: dict[str, float]) -> dict[str, npt.NDArray[np.float64]]:
    rng = np.random.default_rng(seed)
    base = rng.normal(0.5, 0.02, (5, 1))
    return {name: base + effect + rng.normal(0, 0.01, (5, 5)) for name, effect in effects.items()}


def test_wins_are_those_of_scipys_paired_test_shared_over_the_budgets_after_the_start() -> None:
    effects = {"A": 0.02, "B": 0.012, "RANDOM": 0.0}
    studies = [drawn(seed, effects) for seed in range(6)]
    table = win_table([study(values) for values in studies])
    expected = np.zeros((3, 3))
    for values in studies:
        for (i, a), (j, b) in itertools.permutations(enumerate(values), 2):
            for k in range(1, 5):
                test = scipy.stats.ttest_rel(values[a][:, k], values[b][:, k])
                expected[i, j] += (test.pvalue < 0.05 and test.statistic > 0) / 4
    assert table.methods == ("A", "B", "RANDOM")
    assert table.n_studies == 6
    assert np.allclose(table.wins, expected)
    assert 1 < table.wins[0, 2] < 6
    assert table.lost == pytest.approx(dict(zip(effects, expected.sum(axis=0) / 3)))


def test_a_method_that_always_wins_has_one_point_for_each_study_and_an_equal_one_none() -> None:
    values = drawn(0, {"A": 1.0, "RANDOM": 0.0})
    assert win_table([study(values)] * 3).wins == pytest.approx(np.array([[0.0, 3.0], [0.0, 0.0]]))
    assert (win_table([study({"A": values["A"], "B": values["A"]})]).wins == 0).all()


def test_methods_and_seeds_are_matched_by_name() -> None:
    values = drawn(1, {"A": 0.02, "RANDOM": 0.0})
    swapped = study(dict(reversed(values.items()))).select(methods=["RANDOM", "A"], seeds=[4, 2, 0, 1, 3])
    mixed = Curves({"A": study(values).runs["A"], "RANDOM": swapped.runs["RANDOM"]})
    once = win_table([study(values)]).wins
    assert once[0, 1] > 0
    assert np.allclose(win_table([mixed, swapped]).wins, 2 * once)


def test_a_budget_at_which_a_run_diverged_is_not_compared_and_counted() -> None:
    values = drawn(2, {"A": 1.0, "RANDOM": 0.0})
    values["A"][3, 2] = np.nan
    table = win_table([study(values)])
    assert table.wins[0, 1] == pytest.approx(3 / 4)
    assert table.not_compared == pytest.approx(np.array([[0, 0.25], [0.25, 0]]))


def test_budgets_may_be_chosen_and_a_stricter_level_wins_less() -> None:
    values = drawn(3, {"A": 0.02, "RANDOM": 0.0})
    first = win_table([study(values)], budgets=[[10]]).wins[0, 1]
    assert first == (scipy.stats.ttest_rel(values["A"][:, 0], values["RANDOM"][:, 0]).pvalue < 0.05)
    assert win_table([study(values)], alpha=1e-9).wins.sum() == 0 < win_table([study(values)]).wins.sum()
    with pytest.raises(ValueError, match="study 0: the run of A with seed 0: budget 99 is outside"):
        win_table([study(values)], budgets=[[99]])
    with pytest.raises(ValueError, match="budgets has 2 rows for 1 studies"):
        win_table([study(values)], budgets=[[10], [20]])


def test_studies_that_cannot_be_compared_are_refused() -> None:
    values = drawn(4, {"A": 0.02, "RANDOM": 0.0})
    with pytest.raises(ValueError, match="studies is empty"):
        win_table([])
    with pytest.raises(ValueError, match="study 1 and study 0 differ in their methods, A, B"):
        win_table([study(values), study({"B": values["A"], "RANDOM": values["RANDOM"]})])
    with pytest.raises(ValueError, match="study 0 has one seed"):
        win_table([study(values).select(seeds=[0])])
    with pytest.raises(ValueError, match="A has no run with seed 4"):
        win_table(
            [Curves({"A": study(values).select(seeds=[0, 1, 2, 3]).runs["A"], "RANDOM": study(values).runs["RANDOM"]})]
        )
    with pytest.raises(ValueError, match="study 0 has no budget to compare at besides the start"):
        win_table([study(values)], budgets=[[]])
    with pytest.raises(ValueError, match="alpha is 5"):
        win_table([study(values)], alpha=5)
