"""Labels saved have the values known beforehand, and intervals that hold the truth as often as they say."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pytest

from al_agent.simulation.figures.curve import Curve, Seed
from al_agent.simulation.figures.curves import Curves
from al_agent.simulation.figures.savings import Saving, labels_saved, labels_saved_at, steps_saved

BUDGETS = np.arange(50.0, 1001.0, 50.0)


def saturating(scale: float) -> npt.NDArray[np.float64]:
    """`0.9 - 0.6 exp(-b / scale)`: it reaches a level with a budget in proportion to its scale."""
    return 0.9 - 0.6 * np.exp(-BUDGETS / scale)


def straight(slope: float, seed: int = 0, last: float = 100.0, shift: float = 0.0) -> dict[Seed, Curve]:
    budgets = np.linspace(0, last, 11)
    return {seed: Curve(budgets, 0.1 + shift + slope * budgets)}


def both(slope: float, against: float, shifts: tuple[float, ...] = (0.0,)) -> Curves:
    return Curves(
        {
            "A": {k: v for seed, shift in enumerate(shifts) for k, v in straight(slope, seed, shift=shift).items()},
            "RANDOM": {k: v for seed, shift in enumerate(shifts) for k, v in straight(against, seed, shift=shift).items()},
        }
    )


def test_a_method_that_learns_twice_as_fast_saves_half() -> None:
    saving = labels_saved(both(0.01, 0.005), "A", 0.5)
    assert (saving.budget, saving.budget_against) == pytest.approx((40, 80))
    assert saving.count.value == pytest.approx(40)
    assert saving.share.value == pytest.approx(0.5)
    at = labels_saved_at(both(0.01, 0.005), "A", 100)
    assert (at.level, at.budget, at.budget_against) == pytest.approx((0.6, 50, 100))
    assert (at.count.value, at.share.value) == pytest.approx((50, 0.5))


def test_a_method_that_learns_half_as_fast_costs_twice_as_much() -> None:
    saving = labels_saved(both(0.005, 0.01), "A", 0.5)
    assert (saving.count.value, saving.share.value) == pytest.approx((-40, -1))


def test_with_fewer_than_3_seeds_there_is_no_interval_and_it_says_so() -> None:
    for shifts in ((0.0,), (0.0, 0.01)):
        for saving in (
            labels_saved(both(0.01, 0.005, shifts), "A", 0.5),
            labels_saved_at(both(0.01, 0.005, shifts), "A", 90),
        ):
            assert saving.n_seeds == len(shifts)
            for figure in (saving.count, saving.share):
                assert figure.value is not None
                assert (figure.low, figure.high) == (None, None)
                assert figure.note == f"{len(shifts)} seed{'s' * (len(shifts) > 1)}: no interval, which takes 3"


def test_what_all_seeds_shift_alike_is_paired_away() -> None:
    saving = labels_saved_at(both(0.01, 0.005, (-0.03, 0.0, 0.01, 0.02)), "A", 80)
    assert [saving.count.value, saving.count.low, saving.count.high] == pytest.approx([40, 40, 40])
    assert [saving.share.value, saving.share.low, saving.share.high] == pytest.approx([0.5, 0.5, 0.5])


def test_a_level_that_one_of_them_never_reaches_has_no_number_and_says_which() -> None:
    saving = labels_saved(both(0.01, 0.005, (-0.01, 0.0, 0.01)), "A", 0.7)
    assert saving.count.value is saving.share.value is None
    assert saving.count.note.startswith("RANDOM reaches 0.6 at most (at 100 images), below 0.7")
    assert saving.budget == pytest.approx(60)
    assert saving.budget_against is None
    slow = labels_saved_at(both(0.005, 0.01, (-0.01, 0.0, 0.01)), "A", 100)
    assert slow.share.value is slow.share.low is slow.share.high is None
    assert slow.share.note.startswith("A reaches 0.6 at most (at 100 images), below 1.1")
    beyond = labels_saved_at(both(0.005, 0.01), "A", 101)
    assert beyond.level is None
    assert beyond.count.note.startswith("RANDOM was measured at 0 to 100 images in every run; 101 is outside")
    start = labels_saved(both(0.01, 0.005), "A", 0.05)
    assert start.count.note.startswith("A is at 0.1 with its first 0 images, not below 0.05")


def test_near_the_last_budget_an_end_is_open_and_the_other_still_says_how_much_at_most() -> None:
    rng = np.random.default_rng(1)
    runs: dict[str, dict[Seed, Curve]] = {
        name: {seed: Curve(BUDGETS, saturating(scale) + rng.normal(0, 0.004)) for seed in range(5)}
        for name, scale in (("A", 305.0), ("RANDOM", 300.0))
    }
    saving = labels_saved_at(Curves(runs), "A", 1000)
    assert saving.share.value is None
    assert saving.share.low is None
    assert saving.share.high is not None and 0 < saving.share.high < 0.4
    assert saving.share.note.startswith("A reaches ")
    other = labels_saved_at(Curves({"A": runs["RANDOM"], "RANDOM": runs["A"]}), "A", 1000)
    assert other.share.value is not None
    assert other.share.low is None
    assert "of the resamples there is no number within the budgets measured" in other.share.note


def test_methods_that_end_alike_with_the_whole_pool_save_what_rounding_does_not_decide() -> None:
    last = np.random.default_rng(0).uniform(0.7, 0.9, 9)  # the same model, trained on everything
    runs: dict[str, dict[Seed, Curve]] = {
        name: {seed: Curve([10, 50, 100], [0.1, middle, value]) for seed, value in enumerate(last)}
        for name, middle in (("A", 0.3), ("RANDOM", 0.2))
    }
    saving = labels_saved_at(Curves(runs), "A", 100)
    assert saving.count.value == pytest.approx(0)
    assert (saving.share.low, saving.share.high) == pytest.approx((0, 0))


def test_a_run_that_diverged_leaves_no_saving_until_it_is_said_what_it_counts_for() -> None:
    curves = both(0.01, 0.005, (-0.01, 0.0, 0.01))
    broken = curves.run("A", 1).values.copy()
    broken[2:] = np.nan
    curves = Curves({**curves.runs, "A": {**curves.runs["A"], 1: Curve(curves.run("A", 1).budgets, broken)}})
    saving = labels_saved(curves, "A", 0.5)
    assert saving.share.value is None
    assert saving.share.note.startswith("1 of 3 runs of A diverged at 20 images, before the level (seed 1)")
    assert labels_saved(curves.diverged_as(0.1), "A", 0.5).budget == pytest.approx(60)  # (2 (0.1 + 0.01 b) + 0.1) / 3


def test_runs_without_a_common_budget_save_nothing_that_could_be_said() -> None:
    apart: dict[Seed, Curve] = {0: Curve([1, 2], [0.1, 0.6]), 1: Curve([3, 4], [0.1, 0.6]), 2: Curve([5, 6], [0.1, 0.6])}
    curves = Curves({"A": apart, "RANDOM": apart})
    for saving in (labels_saved(curves, "A", 0.5), labels_saved_at(curves, "A", 3)):
        assert saving.share == saving.count
        assert (saving.share.value, saving.share.low, saving.share.high) == (None, None, None)
        assert saving.share.note.startswith("no range of images is covered by every run of")


def test_the_same_seed_gives_the_same_interval() -> None:
    rng = np.random.default_rng(3)
    curves = Curves(
        {
            name: {seed: Curve(BUDGETS, saturating(scale) + rng.normal(0, 0.01, 20)) for seed in range(5)}
            for name, scale in (("A", 200.0), ("RANDOM", 300.0))
        }
    )
    assert labels_saved(curves, "A", 0.7) == labels_saved(curves, "A", 0.7)
    assert labels_saved(curves, "A", 0.7) != labels_saved(curves, "A", 0.7, seed=1)
    assert labels_saved(curves, "A", 0.7).count.value == labels_saved(curves, "A", 0.7, seed=1).count.value


@pytest.mark.parametrize(
    ("measure", "truth"),
    [
        (lambda curves, seed: labels_saved(curves, "A", 0.7, n_resamples=400, seed=seed), 1 / 3),
        (lambda curves, seed: labels_saved_at(curves, "A", 800.0, n_resamples=400, seed=seed), 1 / 3),
    ],
    ids=["at a level", "at a budget"],
)
def test_an_interval_of_95_percent_over_5_seeds_holds_the_truth_in_90_to_99_percent_of_studies(
    measure: Callable[[Curves, int], Saving], truth: float
) -> None:
    """Runs scatter by a part that both methods share in a seed, a part of their own, and noise at each budget.

    The plain bootstrap holds it in 83 to 86%.
    """
    n_studies, n_held, n_numbers = 400, 0, 0
    for study in range(n_studies):
        rng = np.random.default_rng([7, study])
        shared = rng.normal(0, 0.01, 5)
        curves = Curves(
            {
                name: {
                    seed: Curve(BUDGETS, saturating(scale) + shared[seed] + rng.normal(0, 0.005) + rng.normal(0, 0.005, 20))
                    for seed in range(5)
                }
                for name, scale in (("A", 200.0), ("RANDOM", 300.0))
            }
        )
        share = measure(curves, study).share
        n_numbers += share.value is not None
        n_held += (
            (-math.inf if share.low is None else share.low) <= truth <= (math.inf if share.high is None else share.high)
        )
    assert n_numbers > 0.99 * n_studies
    assert 0.90 <= n_held / n_studies <= 0.99


def test_steps_saved_are_counted_level_by_level_in_whole_steps() -> None:
    curves = Curves(
        {
            "A": {0: Curve([0, 1, 2], [0.2, 0.7, 0.75])},
            "RANDOM": {0: Curve([0, 1, 2, 3, 4], [0.2, 0.3, 0.4, 0.6, 0.8])},
        }
    )
    saved = steps_saved(curves, "A", n_levels=4)
    assert saved.levels == pytest.approx([0.2, 0.4, 0.6, 0.8])
    assert saved.steps_against.tolist() == [0, 2, 3, 4]
    assert saved.steps[:3].tolist() == [0, 1, 1]
    assert np.isnan(saved.steps[3])
    assert saved.shares[:3].tolist() == pytest.approx([0.0, 0.5, 2 / 3])
    assert saved.mean(0.3, 0.7).value == pytest.approx((0.5 + 2 / 3) / 2)
    assert saved.mean().note == "1 of the 4 levels are never reached, or without a step"
    assert saved.mean(0.9).note == "no level lies in 0.9 to inf; the levels are 0.2 to 0.8"
    assert steps_saved(curves, "A", n_levels=4, first=1).shares[:3].tolist() == pytest.approx([0.0, 1 / 3, 0.5])


def test_steps_saved_refuse_a_diverged_run_and_a_single_level() -> None:
    curves = Curves({"A": {0: Curve([0, 1], [0.2, np.nan])}, "RANDOM": {0: Curve([0, 1], [0.2, 0.3])}})
    with pytest.raises(ValueError, match="a run of A diverged; say what it counts for"):
        steps_saved(curves, "A")
    with pytest.raises(ValueError, match="n_levels is 1"):
        steps_saved(curves, "A", n_levels=1)
