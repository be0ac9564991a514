"""Curves are checked at birth, keep every run, and are read by budget, never by position."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from al_agent.simulation.figures.curve import Curve
from al_agent.simulation.figures.curves import Curves
from al_agent.simulation.replay import LearningCurves

ROWS = [("A", 0, 20, 0.7), ("B", "x", 5, 0.3), ("A", 0, 10, 0.5), ("A", 1, 10, 0.4), ("A", 1, 30, np.nan)]


def columns(rows: list[tuple[Any, ...]]) -> tuple[list[Any], ...]:
    return tuple(list(column) for column in zip(*rows))


def curves() -> Curves:
    methods, seeds, budgets, values = columns(ROWS)
    return Curves.from_columns(methods, seeds, budgets, values)


@given(st.permutations(ROWS))
def test_rows_of_a_table_are_joined_by_method_seed_and_budget_not_by_position(rows: list[tuple[Any, ...]]) -> None:
    methods, seeds, budgets, values = columns(rows)
    study = Curves.from_columns(methods, seeds, budgets, values, unit="boxes")
    assert study.unit == "boxes"
    assert set(study.methods) == {"A", "B"}
    assert set(study.seeds("A")) == {0, 1}
    assert study.run("A", 0).budgets.tolist() == [10.0, 20.0]
    assert study.run("A", 0).values.tolist() == [0.5, 0.7]
    assert study.run("B", "x").values.tolist() == [0.3]


@pytest.mark.parametrize(
    ("budgets", "values", "message"),
    [
        ([], [], "budgets is empty"),
        ([1, 2], [0.1], "values has 1 rows for 2 budgets"),
        ([1, 1], [0.1, 0.2], "budget 1 is followed by 1; expected budgets that increase"),
        ([2, 1], [0.1, 0.2], "budget 2 is followed by 1"),
        ([1, np.nan], [0.1, 0.2], "budget 1 is nan; expected finite"),
        ([-1, 2], [0.1, 0.2], "budget 0 is -1.0"),
        ([1, 2], [0.1, np.inf], "the value at budget 2 is infinite; expected a number, or NaN where the run diverged"),
        ([[1]], [0.1], "budgets has shape"),
    ],
)
def test_a_curve_that_is_none_is_refused(budgets: Any, values: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Curve(budgets, values)


@pytest.mark.parametrize(
    ("runs", "message"),
    [
        ({}, "runs is empty"),
        ({"A": {}}, "A has no runs"),
        ({"": {0: Curve([1], [1])}}, "is no name of a method"),
        ({"A": {1.5: Curve([1], [1])}}, "a seed of A is 1.5"),
        ({"A": {True: Curve([1], [1])}}, "a seed of A is True"),
        ({"A": {0: [1, 2]}}, "the run of A with seed 0 is a list; expected a Curve"),
    ],
)
def test_a_study_that_is_none_is_refused(runs: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Curves(runs)
    with pytest.raises(ValueError, match="unit is ''"):
        Curves({"A": {0: Curve([1], [1])}}, "")


def test_a_budget_measured_twice_in_a_run_is_refused_by_the_name_of_the_run() -> None:
    with pytest.raises(ValueError, match="the run of A with seed 7: budget 10 is followed by 10"):
        Curves.from_columns(["A", "A"], [7, 7], [10, 10], [0.1, 0.2])
    with pytest.raises(ValueError, match="seeds has 1 rows for 2 methods"):
        Curves.from_columns(["A", "A"], [7], [10, 10], [0.1, 0.2])


def test_curves_cannot_be_written_to_and_do_not_change_with_what_they_were_made_of() -> None:
    budgets = np.array([1.0, 2.0])
    curve = Curve(budgets, [0.1, 0.2])
    budgets[0] = 1.5
    assert curve.budgets.tolist() == [1.0, 2.0]
    with pytest.raises(ValueError, match="read-only"):
        curve.values[0] = 1.0


def test_a_run_that_diverged_is_kept_and_named_and_counts_as_told() -> None:
    study = curves()
    assert study.diverged == (("A", 1, 30.0),)
    assert study.seeds("A") == (0, 1)
    counted = study.diverged_as(0.1)
    assert counted.diverged == ()
    assert counted.run("A", 1).values.tolist() == [0.4, 0.1]
    assert counted.run("A", 0).values.tolist() == [0.5, 0.7]
    with pytest.raises(ValueError, match="cannot count as nan"):
        study.diverged_as(np.nan)


def test_values_between_budgets_lie_on_straight_lines_and_outside_there_are_none() -> None:
    curve = Curve([10, 20, 40], [0.5, 0.7, np.nan])
    assert curve.at([10, 15, 20]).tolist() == [0.5, 0.6, 0.7]
    assert np.isnan(curve.at([20.5, 40])).all()
    for outside in (9.999, 40.001, np.nan):
        with pytest.raises(ValueError, match="outside of what was measured, 10 to 40; nothing is extrapolated"):
            curve.at([15, outside])
    with pytest.raises(ValueError, match="the run of A with seed 0: budget 25 is outside"):
        curves().at("A", [25])


def test_the_shared_range_is_what_every_run_covers_and_its_budgets_are_those_of_any_run() -> None:
    study = curves()
    assert study.shared_range("A") == (10.0, 20.0)
    assert study.shared_budgets("A").tolist() == [10.0, 20.0]
    assert study.shared_range() is None
    assert study.shared_budgets().tolist() == []
    two = Curves({"A": {0: Curve([1, 3, 9], [0, 0, 0])}, "B": {0: Curve([2, 4, 8], [0, 0, 0])}})
    assert two.shared_budgets().tolist() == [2.0, 3.0, 4.0, 8.0]
    assert two.shared_budgets("A").tolist() == [1.0, 3.0, 9.0]


def test_steps_count_the_measurements_of_each_run() -> None:
    steps = curves().by_steps(first=1)
    assert steps.unit == "steps"
    assert [steps.run("A", seed).budgets.tolist() for seed in (0, 1)] == [[1.0, 2.0], [1.0, 2.0]]
    assert steps.run("A", 0).values.tolist() == [0.5, 0.7]


def test_a_choice_keeps_the_order_asked_for_and_refuses_what_is_not_there() -> None:
    chosen = curves().select(methods=["A"], seeds=[1, 0])
    assert chosen.methods == ("A",)
    assert chosen.seeds("A") == (1, 0)
    with pytest.raises(ValueError, match="A has no run with seed 5; its seeds are 0, 1"):
        curves().select(methods=["A"], seeds=[5])
    with pytest.raises(ValueError, match="no runs of 'C'; the methods are A, B"):
        curves().select(methods=["C"])


def test_a_replay_becomes_curves_with_seeds_from_0() -> None:
    accuracy = np.array([[[0.5, 0.6], [0.4, 0.7]], [[0.1, 0.2], [0.3, 0.4]]])
    study = Curves.from_learning_curves(LearningCurves(("A", "B"), np.array([10, 20]), accuracy))
    assert study.methods == ("A", "B")
    assert study.at("B", [10, 20]).tolist() == accuracy[1].tolist()
    assert study.run("A", 1).budgets.tolist() == [10.0, 20.0]


def test_seeds_of_numpy_are_plain_numbers_and_a_study_survives_pickling() -> None:
    study = Curves.from_columns(["A", "A"], np.array([3, 4]), [1, 1], [0.1, 0.2])
    copy = pickle.loads(pickle.dumps(study))
    assert copy.seeds("A") == (3, 4)
    assert type(copy.seeds("A")[0]) is int
    assert copy.run("A", 4).values.tolist() == [0.2]


def test_what_a_picture_shows_are_means_and_standard_errors() -> None:
    curves = Curves(
        {"A": {0: Curve([10, 20], [0.2, 0.4]), 1: Curve([10, 20], [0.4, 0.8])}, "B": {0: Curve([10, 20], [0.1, 0.3])}}
    )
    budgets, lines = curves.means_and_errors()
    assert budgets.tolist() == [10, 20]
    assert lines["A"][0].tolist() == pytest.approx([0.3, 0.6])
    assert lines["A"][1].tolist() == pytest.approx([0.1, 0.2])  # std(ddof=1) / sqrt(2) of two is half their difference
    assert (lines["B"][0].tolist(), lines["B"][1].tolist()) == ([0.1, 0.3], [0, 0])
