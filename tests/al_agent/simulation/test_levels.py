"""Figures of one method have the values known beforehand, or no number and the reason."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from al_agent.simulation.figures.crossings import first_crossings
from al_agent.simulation.figures.curve import Curve
from al_agent.simulation.figures.curves import Curves
from al_agent.simulation.figures.levels import (
    area_under_curve,
    budget_to_reach,
    budgets_to_reach,
    mean_curve,
    performance_at,
    steps_to_reach,
)

Vector = npt.NDArray[np.float64]


def study(*rows: list[float], budgets: list[float] | None = None, method: str = "A") -> Curves:
    return Curves(
        {method: {seed: Curve(budgets or range(10, 10 * len(row) + 10, 10), row) for seed, row in enumerate(rows)}}
    )


@st.composite
def runs(draw: st.DrawFn) -> Curve:
    n = draw(st.integers(2, 8))
    steps = draw(st.lists(st.floats(0.1, 100), min_size=n, max_size=n))
    values = draw(st.lists(st.floats(-1, 1, allow_subnormal=False), min_size=n, max_size=n))
    return Curve(np.cumsum(steps), values)


@given(runs(), st.floats(0, 1))
def test_a_curve_has_the_level_where_it_reaches_it_and_is_below_it_before(run: Curve, share: float) -> None:
    level = float(run.values.min() + share * np.ptp(run.values))
    budget = budget_to_reach(Curves({"A": {0: run}}), "A", level).value
    if budget is None:
        assert run.values[0] >= level - 1e-12 * abs(level)
        return
    assert run.at([budget])[0] == pytest.approx(level, abs=1e-9)
    assert (run.values[run.budgets < budget - 1e-9] < level).all()


@given(runs(), st.floats(-1.1, 1.1), st.floats(0.5, 20))
def test_what_is_reached_does_not_depend_on_the_unit_of_budgets(run: Curve, level: float, factor: float) -> None:
    budget = budget_to_reach(Curves({"A": {0: run}}), "A", level).value
    scaled = budget_to_reach(Curves({"A": {0: Curve(factor * run.budgets, run.values)}}), "A", level).value
    assert scaled == (None if budget is None else pytest.approx(factor * budget))


@given(runs(), st.floats(0, 1))
def test_values_between_two_budgets_lie_between_theirs(run: Curve, share: float) -> None:
    budget = float(run.budgets[0] + share * (run.budgets[-1] - run.budgets[0]))
    value = performance_at(Curves({"A": {0: run}}), "A", min(budget, float(run.budgets[-1]))).value
    after = min(int(np.searchsorted(run.budgets, budget)), len(run.budgets) - 1)
    ends = run.values[[max(after - 1, 0), after]]
    assert value is not None
    assert ends.min() - 1e-12 <= value <= ends.max() + 1e-12


@given(runs(), st.floats(0.05, 0.95))
def test_areas_of_two_parts_make_the_area_of_the_whole(run: Curve, share: float) -> None:
    curves = Curves({"A": {0: run}})
    start, end = float(run.budgets[0]), float(run.budgets[-1])
    middle = start + share * (end - start)
    whole, first, second = (
        area_under_curve(curves, "A", start=a, end=b).value for a, b in ((start, end), (start, middle), (middle, end))
    )
    assert whole is not None and first is not None and second is not None
    assert share * first + (1 - share) * second == pytest.approx(whole, abs=1e-9)
    assert run.values.min() - 1e-12 <= whole <= run.values.max() + 1e-12


def test_the_mean_curve_has_students_band() -> None:
    curve = mean_curve(study([0.4, 0.6], [0.4, 0.7], [0.4, 0.8]), "A")
    assert curve.budgets.tolist() == [10.0, 20.0]
    assert np.allclose(curve.mean, [0.4, 0.7])
    assert np.allclose(curve.high - curve.mean, [0, 4.302653 * 0.1 / math.sqrt(3)])
    assert (curve.n_seeds, curve.note, curve.n_diverged.tolist()) == (3, "", [0, 0])


def test_the_mean_curve_of_one_seed_has_no_band_and_says_so() -> None:
    curve = mean_curve(study([0.4, 0.6]), "A")
    assert curve.mean.tolist() == [0.4, 0.6]
    assert np.isnan(curve.low).all() and np.isnan(curve.high).all()
    assert curve.note == "one seed: no band"


def test_runs_with_budgets_of_their_own_are_averaged_at_every_corner_of_any() -> None:
    curves = Curves({"A": {0: Curve([0, 10, 20], [0.0, 1.0, 1.0]), 1: Curve([0, 5, 16], [0.0, 0.0, 0.0])}})
    curve = mean_curve(curves, "A")
    assert curve.budgets.tolist() == [0.0, 5.0, 10.0, 16.0]
    assert curve.mean.tolist() == [0.0, 0.25, 0.5, 0.5]
    assert curve.note == "ends at 16 images, where seed 1 does; other runs go on to 20"


def test_where_a_run_diverged_there_is_no_mean_and_no_figure_leaves_it_out() -> None:
    curves = study([0.4, 0.6, 0.8], [0.4, np.nan, 0.8], [0.4, 0.5, 0.7])
    curve = mean_curve(curves, "A")
    assert np.isnan(curve.mean).tolist() == [False, True, False]
    assert curve.n_diverged.tolist() == [0, 1, 0]
    assert performance_at(curves, "A", 10).value == pytest.approx(0.4)
    assert performance_at(curves, "A", 30).value == pytest.approx(2.3 / 3)
    for figure in (
        performance_at(curves, "A", 20),
        performance_at(curves, "A", 25),
        budget_to_reach(curves, "A", 0.7),
        area_under_curve(curves, "A"),
        steps_to_reach(curves, "A", 0.7),
    ):
        assert figure.value is None
        assert "1 of 3 runs of A diverged" in figure.note
        assert "(seed 1)" in figure.note
        assert "diverged_as" in figure.note
    assert performance_at(curves.diverged_as(0.1), "A", 20).value == pytest.approx(0.4)


def test_a_level_reached_before_a_run_diverged_is_a_number_without_interval() -> None:
    figure = budget_to_reach(study([0.4, 0.6, 0.8], [0.4, 0.6, np.nan], [0.4, 0.6, 0.7]), "A", 0.5)
    assert figure.value == pytest.approx(15)
    assert (figure.low, figure.high, figure.note) == (None, None, "no interval: a run diverged")


def test_nothing_is_extrapolated() -> None:
    for budget in (9, 21):
        figure = performance_at(study([0.4, 0.6]), "A", budget)
        assert figure.value is None
        assert figure.note.startswith("A was measured at 10 to 20 images in every run; ")
    with pytest.raises(ValueError, match="the budget is nan"):
        performance_at(study([0.4, 0.6]), "A", math.nan)


def test_a_level_that_is_never_reached_or_passed_before_the_start_has_no_budget() -> None:
    curves = study([0.4, 0.7, 0.6], [0.4, 0.7, 0.6], [0.4, 0.7, 0.6])
    never = budget_to_reach(curves, "A", 0.8)
    assert never.value is None
    assert never.note == "A reaches 0.7 at most (at 20 images), below 0.8, within the 10 to 30 images that every run covers"
    before = budget_to_reach(curves, "A", 0.4)
    assert before.value is None
    assert before.note.startswith("A is at 0.4 with its first 10 images, not below 0.4")
    with pytest.raises(ValueError, match="the level is nan"):
        budget_to_reach(curves, "A", math.nan)


def test_the_first_crossing_counts_also_where_the_curve_falls_below_again() -> None:
    assert budget_to_reach(study([0.4, 0.6, 0.4, 0.8]), "A", 0.5).value == pytest.approx(15)


def test_each_run_has_its_own_budget_or_its_own_reason() -> None:
    found = budgets_to_reach(study([0.4, 0.6], [0.4, 0.8], [0.7, 0.9], [0.4, np.nan]), "A", 0.6)
    assert [figure.value for figure in found.values()] == [pytest.approx(20), pytest.approx(15), None, None]
    assert found[0].note == found[1].note == ""
    assert found[2].note.startswith("A is at 0.7 with its first 10 images")
    assert found[3].note.startswith("1 of 1 runs of A diverged at 20 images")


def test_the_budget_of_runs_that_differ_by_a_shift_has_the_interval_of_their_shift() -> None:
    shifts = np.array([-4.0, -1.0, 0.0, 2.0, 3.0])
    budgets = np.arange(0.0, 101.0, 10.0)
    curves = Curves({"A": {seed: Curve(budgets, (budgets - shift) / 100) for seed, shift in enumerate(shifts)}})
    figure = budget_to_reach(curves, "A", 0.5, n_resamples=20_000)
    reach = 2.776445 * shifts.std(ddof=1) / math.sqrt(5)
    assert figure.value == pytest.approx(50)
    assert figure.low is not None and figure.high is not None
    assert figure.high - figure.low == pytest.approx(2 * reach, rel=0.05)
    assert figure == budget_to_reach(curves, "A", 0.5, n_resamples=20_000)
    assert figure != budget_to_reach(curves, "A", 0.5, n_resamples=20_000, seed=1)


def test_areas_are_mean_heights_over_the_range_that_all_methods_cover() -> None:
    curves = Curves({"A": {0: Curve([0, 10, 20], [0.0, 0.8, 0.8])}, "B": {0: Curve([10, 30], [0.5, 0.7])}})
    assert area_under_curve(curves, "A").value == pytest.approx(0.8)  # 10 to 20
    assert area_under_curve(curves, "B").value == pytest.approx(0.55)
    assert area_under_curve(curves, "A", start=0).value == pytest.approx(0.6)
    assert area_under_curve(curves, "B", start=0).note.startswith("B was measured at 10 to 30 images")
    assert area_under_curve(curves, "B", start=12, end=12).note == "the range 12 to 12 images has no length"


def test_runs_without_a_common_budget_have_no_mean_and_the_figures_say_so() -> None:
    curves = Curves({"A": {0: Curve([1, 2], [0.1, 0.2]), 1: Curve([3, 4], [0.1, 0.2])}})
    assert mean_curve(curves, "A").budgets.tolist() == []
    assert mean_curve(curves, "A").note == "no range of images is covered by every run: no curve"
    for figure in (performance_at(curves, "A", 2), budget_to_reach(curves, "A", 0.15), area_under_curve(curves, "A")):
        assert figure.value is None
        assert figure.note.startswith("no range of images is covered by every run")
    assert [figure.value for figure in budgets_to_reach(curves, "A", 0.15).values()] == pytest.approx([1.5, 3.5])


def test_steps_are_whole_whatever_was_spent_on_each() -> None:
    curves = Curves({"A": {0: Curve([1000, 1127, 1241], [0.2, 0.4, 0.8]), 1: Curve([1000, 1150, 1300], [0.2, 0.4, 0.6])}})
    assert steps_to_reach(curves, "A", 0.5).value == 2.0
    assert steps_to_reach(curves, "A", 0.4, first=1).value == 2.0
    assert steps_to_reach(curves, "A", 0.1).value == 0.0
    assert steps_to_reach(curves, "A", 0.9).note.startswith("A reaches 0.7 at most (at 2 steps), below 0.9")


@given(st.lists(runs(), min_size=1, max_size=4), st.floats(-1, 1))
def test_crossings_of_many_curves_are_those_of_each_by_a_plain_search(curves: list[Curve], level: float) -> None:
    n = min(len(run.budgets) for run in curves)
    budgets = curves[0].budgets[:n]
    values = np.stack([run.values[:n] for run in curves])
    found = first_crossings(budgets, values, np.full(len(curves), level))
    for row, crossing in zip(values, found):
        place = next((j for j in range(n) if row[j] >= level - 1e-12 * abs(level)), None)
        if place is None:
            assert crossing == math.inf
        elif place == 0:
            assert crossing == -math.inf
        else:
            assert budgets[place - 1] <= crossing <= budgets[place]
            assert np.interp(crossing, budgets, row) == pytest.approx(level, abs=1e-9)
