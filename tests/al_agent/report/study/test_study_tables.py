"""The tables of a study's page say what the figures say, and why where they say nothing."""

from __future__ import annotations

import math

import numpy as np
import pytest

from al_agent import SamplerConfig
from al_agent.report.study.facts import StudyFacts
from al_agent.report.study.tables import (
    Cell,
    curve_table,
    duel_table,
    failure_table,
    plotted,
    setting_table,
    summary_table,
    wins_in_words,
)
from al_agent.simulation.figures import Curve, Curves

BUDGETS = [20, 40, 60]


def curves_of(n_seeds: int = 5, **values: list[float]) -> Curves:
    """Runs whose seeds differ by a hundredth, and whose differences between methods scatter by a thousandth."""
    return Curves(
        {
            method: {
                seed: Curve(BUDGETS, [value + seed / 100 + (seed % 2) * step / 1000 for value in of_method])
                for seed in range(n_seeds)
            }
            for step, (method, of_method) in enumerate(values.items())
        }
    )


@pytest.fixture
def curves() -> Curves:
    """CORAL is ahead by 0.1 after 40 labels, and level with RANDOM after 60; CORESET is behind."""
    return curves_of(RANDOM=[0.5, 0.6, 0.7], CORAL=[0.5, 0.7, 0.7], CORESET=[0.5, 0.5, 0.6])


def test_the_summary_has_the_final_figure_what_is_saved_and_the_gain(curves: Curves) -> None:
    counts = {"classes": {"RANDOM": 9.8, "CORAL": 10.0, "CORESET": math.nan}}
    header, rows = summary_table(StudyFacts("Yes.", (curves,), counts=counts))
    assert header == ("method", "test accuracy", "labels saved", "gain of area", "p", "classes seen in the end")
    random, coral, coreset = rows
    assert [cell.text for cell in random] == ["RANDOM", "0.7200", "", "", "", "9.8"]
    assert random[1].interval == "0.7004 to 0.7396"
    assert [cell.text for cell in coral[1:5]] == ["0.7204", "33%", "+0.0504", "<0.001"]  # 40 labels in place of 60
    assert coral[2].interval == "34% or less"  # resamples that end above what CORAL reached are open below
    assert coreset[2].text.startswith("no number")
    assert coreset[2].remark.startswith("CORESET reaches 0.62")
    assert coreset[-1] == Cell("no number", remark="a run failed")


def test_what_is_saved_is_told_in_each_unit(curves: Curves) -> None:
    boxes = Curves(
        {
            method: {
                seed: Curve(10 * curves.run(method, seed).budgets, curves.run(method, seed).values) for seed in range(5)
            }
            for method in curves.methods
        },
        "boxes",
    )
    header, (_, coral, _) = summary_table(StudyFacts("Yes.", (curves, boxes)))
    assert header[2:4] == ("labels saved", "boxes saved")
    assert coral[2] == coral[3]
    drawn = plotted(StudyFacts("Yes.", (curves, boxes)))
    assert [one["unit"] for one in drawn] == ["images", "boxes"]


def test_the_curves_as_a_table_have_the_interval_of_each_mean(curves: Curves) -> None:
    header, rows = curve_table(curves)
    assert header == ("images", "RANDOM", "CORAL", "CORESET")
    assert [row[0].text for row in rows] == ["20", "40", "60"]
    assert rows[1][2] == Cell("0.7204", "0.7008 to 0.7400")


def test_many_budgets_are_told_at_eleven_that_are_even() -> None:
    run = Curve(np.arange(100.0), np.arange(100.0))
    rows = curve_table(Curves({"A": {0: run, 1: run}}, "boxes")).rows
    assert [row[0].text for row in rows] == ["0", "10", "20", "30", "40", "50", "59", "69", "79", "89", "99"]
    assert rows[5][1] == Cell("49.5000", "49.5000 to 49.5000")


def test_a_method_is_ahead_or_behind_where_the_test_over_seeds_says_so(curves: Curves) -> None:
    duels = duel_table(curves, "RANDOM")
    assert duels.header == ("images", "CORAL", "CORESET")
    assert [row[0].text for row in duels.rows] == ["40", "60"]  # the start is the same for all
    assert [[cell.kind for cell in row[1:]] for row in duels.rows] == [["ahead", "behind"], ["open", "behind"]]
    assert wins_in_words(duels) == [
        "CORAL is ahead at 1 of 2 budgets and behind at 0",
        "CORESET is ahead at 0 of 2 budgets and behind at 2",
    ]


def test_one_seed_is_no_test_and_without_the_other_method_there_is_no_duel() -> None:
    duels = duel_table(curves_of(n_seeds=1, RANDOM=[0.5, 0.6, 0.7], CORAL=[0.5, 0.7, 0.7]), "RANDOM")
    assert [row[1].text for row in duels.rows] == ["+0.1000", "+0.0000"]
    assert wins_in_words(duels) == ["CORAL is ahead at 0 of 2 budgets and behind at 0; at 2 it cannot be tested"]
    assert duel_table(curves_of(CORAL=[0.5, 0.7, 0.7]), "RANDOM").rows == ()


def test_a_run_that_diverged_leaves_a_gap_and_says_so(curves: Curves) -> None:
    runs = {method: dict(curves.runs[method]) for method in ("RANDOM", "CORAL")}
    runs["CORAL"][4] = Curve(BUDGETS, [0.5, math.nan, math.nan])
    lost = Curves(runs)
    coral = summary_table(StudyFacts("", (lost,))).rows[1]
    assert coral[1].text == "no number"
    assert "1 of 5 runs of CORAL diverged at 60 images" in coral[1].remark
    (images,) = plotted(StudyFacts("", (lost,)))
    lines = images["lines"]
    assert isinstance(lines, list)
    assert lines[1]["y"] == [pytest.approx(0.5124), None, None]
    assert lines[1]["low"][1:] == [None, None]


def test_runs_that_failed_alike_are_one_row() -> None:
    failures = {("A", 0): "round 1: no", ("A", 3): "round 1: no", ("B", 0): "<b>"}
    rows = failure_table(StudyFacts("", failures=failures)).rows
    assert [[cell.text for cell in row] for row in rows] == [["A", "0, 3", "round 1: no"], ["B", "0", "<b>"]]


def test_settings_name_what_differs_from_the_usual() -> None:
    config = {**SamplerConfig(method="CORAL", score_strength=2.0).to_dict(), "n_samples": None, "seed": None}
    usual = {**SamplerConfig(method="RANDOM").to_dict(), "n_samples": None, "seed": None}
    arguments = {
        "format": "1",
        "n_pool": 1300,
        "methods": {"RANDOM": usual, "strong": config},
        "seeds": [0, 1],
        "amounts": [],
    }
    assert [tuple(cell.text for cell in row) for row in setting_table(arguments).rows] == [
        ("items in the pool", "1300"),
        ("methods", "RANDOM, strong"),
        ("of strong", "method CORAL, score_strength 2.0"),
        ("seeds", "0, 1"),
        ("counted beside labels", "none"),
    ]
