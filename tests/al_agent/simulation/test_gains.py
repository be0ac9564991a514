"""Gains are paired by seed, tested as scipy tests them, and never read where a run has no value."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import pytest
import scipy.stats  # type: ignore[import-untyped]

from al_agent.simulation.figures.curve import Curve, Seed
from al_agent.simulation.figures.curves import Curves
from al_agent.simulation.figures.gains import gain_at, gain_of_area, gains, mean_relative_gain, paired_gain

OURS = np.array([0.55, 0.58, 0.56, 0.60, 0.57, 0.61])
THEIRS = np.array([0.50, 0.52, 0.53, 0.51, 0.55, 0.52])


def study(
    ours: npt.ArrayLike, theirs: npt.ArrayLike, order: list[Seed] | None = None, budgets: npt.ArrayLike = (100,)
) -> Curves:
    """`(s, k)` values of two methods; the runs of the first are put down in another order of seeds."""
    first, second = np.atleast_2d(ours), np.atleast_2d(theirs)
    seeds = order or list(range(len(first)))
    return Curves(
        {
            "A": {seed: Curve(budgets, first[int(seed)]) for seed in seeds},
            "RANDOM": {seed: Curve(budgets, row) for seed, row in enumerate(second)},
        }
    )


def test_a_gain_is_the_mean_of_paired_differences_with_the_p_value_of_scipys_paired_test() -> None:
    gain = gain_at(study(OURS[:, None], THEIRS[:, None]), "A", 100)
    interval = scipy.stats.ttest_rel(OURS, THEIRS).confidence_interval(0.95)
    assert gain.absolute.value == pytest.approx((OURS - THEIRS).mean())
    assert (gain.absolute.low, gain.absolute.high) == pytest.approx((interval.low, interval.high))
    assert gain.p_t_test == pytest.approx(scipy.stats.ttest_rel(OURS, THEIRS).pvalue)
    assert gain.p_sign_flip == gain.smallest_p_sign_flip == 2 / 2**6
    assert (gain.n_seeds, gain.budget, gain.absolute.note) == (6, 100, "")


def test_the_relative_gain_is_that_of_the_means_with_the_interval_of_the_ratio_estimator() -> None:
    gain = gain_at(study(OURS[:, None], THEIRS[:, None]), "A", 100)
    ratio = OURS.mean() / THEIRS.mean()
    reach = scipy.stats.t.ppf(0.975, 5) * scipy.stats.sem(OURS - ratio * THEIRS) / THEIRS.mean()
    assert gain.relative.value == pytest.approx(ratio - 1)
    assert (gain.relative.low, gain.relative.high) == pytest.approx((ratio - 1 - reach, ratio - 1 + reach))


def test_runs_are_paired_by_seed_not_by_position() -> None:
    straight = gain_at(study(OURS[:, None], THEIRS[:, None]), "A", 100)
    shuffled = gain_at(study(OURS[:, None], THEIRS[:, None], order=[3, 1, 5, 0, 4, 2]), "A", 100)
    assert shuffled.p_t_test == pytest.approx(straight.p_t_test)
    assert shuffled.relative.low == pytest.approx(straight.relative.low)


def test_with_5_seeds_or_fewer_the_smallest_possible_p_value_is_told() -> None:
    gain = gain_at(study(OURS[:5, None], THEIRS[:5, None]), "A", 100)
    assert gain.smallest_p_sign_flip == gain.p_sign_flip == 0.0625
    assert gain.absolute.note == "5 seeds: the sign-flip p-value is 0.0625 or more, whatever the gain"
    alone = gain_at(study(OURS[:1, None], THEIRS[:1, None]), "A", 100)
    assert (alone.p_t_test, alone.p_sign_flip, alone.absolute.low) == (None, 1.0, None)
    assert alone.absolute.value == pytest.approx(0.05)
    assert alone.absolute.note == "one seed: no interval"


def test_between_budgets_each_run_is_read_on_its_straight_line() -> None:
    curves = Curves({"A": {0: Curve([10, 30], [0.4, 0.8])}, "RANDOM": {0: Curve([10, 20, 40], [0.4, 0.5, 0.7])}})
    assert gain_at(curves, "A", 25).absolute.value == pytest.approx(0.7 - 0.55)
    assert [gain.budget for gain in gains(curves, "A")] == [10, 20, 30]
    assert [gain.absolute.value for gain in gains(curves, "A")] == pytest.approx([0.0, 0.1, 0.2])
    assert gain_at(curves, "A", 35).absolute.note.startswith("A was measured at 10 to 30 images in every run; 35 is outside")


def test_a_diverged_run_leaves_no_gain_at_its_budget_and_all_of_it_at_others() -> None:
    ours = np.array([[0.5, 0.6, 0.7], [0.5, np.nan, 0.7]])
    found = gains(study(ours, np.full((2, 3), 0.5), budgets=(1, 2, 3)), "A")
    assert [gain.absolute.value for gain in found] == [0.0, None, pytest.approx(0.2)]
    assert found[1].p_t_test is found[1].p_sign_flip is found[1].relative.value is None
    assert "1 of 2 runs of A diverged at 2 images" in found[1].relative.note
    counted = gain_at(study(ours, np.full((2, 3), 0.5), budgets=(1, 2, 3)).diverged_as(0.1), "A", 2)
    assert counted.absolute.value == pytest.approx(-0.15)


def test_the_mean_relative_gain_counts_every_budget_alike() -> None:
    curves = study([[0.4, 0.6], [0.6, 0.9]], [[0.5, 0.5], [0.5, 0.5]], budgets=(1, 2))
    assert mean_relative_gain(curves, "A").value == pytest.approx((0.0 + 0.5) / 2)
    lost = study([[0.4, np.nan], [0.6, 0.9]], [[0.5, 0.5], [0.5, 0.5]], budgets=(1, 2))
    assert mean_relative_gain(lost, "A").value is None


def test_the_gain_of_area_is_the_difference_of_mean_heights_tested_over_seeds() -> None:
    ours = np.array([[0.4, 0.6, 0.8], [0.4, 0.7, 0.9], [0.5, 0.6, 0.7]])
    theirs = np.array([[0.4, 0.5, 0.6], [0.4, 0.6, 0.7], [0.4, 0.5, 0.7]])
    gain = gain_of_area(study(ours, theirs, order=[2, 0, 1], budgets=(0, 1, 2)), "A")
    areas = [(values[:, 0] + 2 * values[:, 1] + values[:, 2]) / 4 for values in (ours, theirs)]
    assert gain.absolute.value == pytest.approx((areas[0] - areas[1]).mean())
    assert gain.p_t_test == pytest.approx(scipy.stats.ttest_rel(*areas).pvalue)
    late = gain_of_area(study(ours, theirs, budgets=(0, 1, 2)), "A", start=1)
    assert late.absolute.value == pytest.approx((ours - theirs)[:, 1:].mean())
    ours[1, 1] = np.nan
    lost = gain_of_area(study(ours, theirs, budgets=(0, 1, 2)), "A")
    assert lost.absolute.note.startswith("1 of 3 runs of A diverged from 0 to 2 images (seed 1)")


def test_a_difference_by_rounding_alone_is_none() -> None:
    curves = Curves(
        {
            "A": {seed: Curve([0, 30], [0.1, 0.4]) for seed in range(3)},
            "RANDOM": {seed: Curve([0, 10, 20, 30], [0.1, 0.2, 0.30000000000000004, 0.4]) for seed in range(3)},
        }
    )
    for gain in gains(curves, "A"):
        assert (gain.absolute.value, gain.p_t_test, gain.p_sign_flip) == (0.0, 1.0, 1.0)


def test_methods_without_a_common_budget_have_no_gain_of_area() -> None:
    curves = Curves({"A": {0: Curve([1, 2], [0.1, 0.2])}, "RANDOM": {0: Curve([3, 4], [0.1, 0.2])}})
    assert gain_of_area(curves, "A").absolute.note == "no range of images is covered by every run of every method"
    assert gains(curves, "A") == ()
    assert mean_relative_gain(curves, "A").note == "A and RANDOM share no images"


def test_nothing_is_relative_to_0() -> None:
    gain = paired_gain([0.1, 0.2], [0.0, 0.0])
    assert gain.relative.value is None
    assert gain.relative.note == "the other's mean is 0: nothing to be relative to"
    assert gain.absolute.value == pytest.approx(0.15)


def test_methods_with_different_seeds_are_not_compared() -> None:
    curves = Curves({"A": {0: Curve([1], [0.1])}, "RANDOM": {0: Curve([1], [0.1]), 7: Curve([1], [0.1])}})
    with pytest.raises(ValueError, match="A has no run with seed 7, which RANDOM has; runs are compared in pairs"):
        gain_at(curves, "A", 1)
    with pytest.raises(ValueError, match="RANDOM is compared with itself"):
        gain_at(curves, "RANDOM", 1)
    with pytest.raises(ValueError, match="no runs of 'B'"):
        gain_at(curves, "B", 1)
    with pytest.raises(ValueError, match="the budget is inf"):
        gain_at(curves.select(seeds=[0]), "A", math.inf)
