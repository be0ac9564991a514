"""The figures of a published experiment come out of its result files, and beside them the fair comparison.

Kili's experiment of 2020 with uncertainty for detectors: VOC 2012, SSDLite, 1,000 images to begin with, 150 more each step.
"""

from __future__ import annotations

import ast
import csv
import io
import zipfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from al_agent.simulation.figures.curves import Curves
from al_agent.simulation.figures.gains import gain_at, gain_of_area, gains, mean_relative_gain
from al_agent.simulation.figures.levels import performance_at, steps_to_reach
from al_agent.simulation.figures.savings import labels_saved, labels_saved_at, steps_saved

DATA = Path(__file__).resolve().parents[4] / "shared" / "data" / "al_results.zip"
pytestmark = pytest.mark.skipif(not DATA.exists(), reason=f"{DATA.name} is not there")

RANDOM, ALDOD = "random_sampling", "uncertainty_aldod_sampling"
COMPLETE = ("20200629144455", "20200630090523", "20200701095400")


def read(name: str) -> list[dict[str, str]]:
    with zipfile.ZipFile(DATA) as archive, archive.open(f"kili_voc_ssd/{name}") as file:
        return list(csv.DictReader(io.TextIOWrapper(file, "utf-8")))


def flat_run() -> Curves:
    """The run that the article's accuracies are from, over the files' steps 1 to 30."""
    rows = [(method, 0, row) for method in (RANDOM, ALDOD) for row in read(f"{method}-20200621170027.txt")]
    return study(rows, [float(row["step"]) for *_, row in rows], "steps")


def three_runs(unit: str) -> Curves:
    """The three complete runs, over steps 0 to 30 or over distinct labeled images."""
    rows: list[tuple[str, str, dict[str, str]]] = []
    budgets: list[float] = []
    for method in (RANDOM, ALDOD):
        for experiment in COMPLETE:
            folder = f"{method}/experiment-{experiment}"
            measured = read(f"{folder}/csv.txt")
            rows += [(method, experiment, row) for row in measured]
            if unit == "steps":
                budgets += [float(row["step"]) for row in measured]
                continue
            labeled: set[int] = set()
            for measurement, query in zip(measured, read(f"{folder}/queries.txt")):
                assert measurement["step"] == query["step"]
                labeled.update(ast.literal_eval(query["indices"]))
                budgets.append(len(labeled))
    return study(rows, budgets, unit)


def study(rows: Sequence[tuple[str, int | str, dict[str, str]]], budgets: Sequence[float], unit: str) -> Curves:
    methods, seeds, measured = zip(*rows)
    return Curves.from_columns(methods, seeds, budgets, [float(row["mAP"]) for row in measured], unit=unit)


def test_the_accuracy_is_5_percent_higher_by_the_mean_over_steps_of_one_run() -> None:
    curves = flat_run()
    found = gains(curves, ALDOD, against=RANDOM)
    relative = [gain.relative.value for gain in found]
    assert len(relative) == 30
    assert mean_relative_gain(curves, ALDOD, against=RANDOM).value == pytest.approx(0.04938, abs=5e-6)
    assert np.median(np.array(relative, dtype=float)) == pytest.approx(0.04791, abs=5e-6)
    assert np.mean(np.array(relative[-10:], dtype=float)) == pytest.approx(0.05504, abs=5e-6)
    assert relative[-1] == pytest.approx(0.0553, abs=5e-6)
    differences = np.array([gain.absolute.value for gain in found], dtype=float)
    assert differences.mean() == pytest.approx(0.02219, abs=5e-6)  # 2.2 points of mAP
    assert found[-1].absolute.note == "one seed: no interval"


def test_20_to_30_percent_fewer_images_is_the_share_of_query_steps_at_high_levels_of_one_run() -> None:
    saved = steps_saved(flat_run(), ALDOD, against=RANDOM)  # the first query is counted as step 0
    bands = [(0.30, 0.40), (0.40, 0.45), (0.45, 0.50), (0.50, 1.0)]
    found = [saved.mean(low, high).value for low, high in bands]
    assert found == pytest.approx([0.073, 0.149, 0.226, 0.275], abs=5e-4)
    assert saved.mean().value == pytest.approx(0.195, abs=5e-4)
    # Counted from 1, as the files number the steps, it is less.
    honest = steps_saved(flat_run(), ALDOD, against=RANDOM, first=1)
    assert [honest.mean(low, high).value for low, high in bands[2:]] == pytest.approx([0.211, 0.264], abs=5e-4)


def test_10_steps_instead_of_15_reach_a_map_of_one_half() -> None:
    curves = three_runs("steps")
    assert steps_to_reach(curves, RANDOM, 0.5).value == 15
    assert steps_to_reach(curves, ALDOD, 0.5).value == 10
    alone = [curves.select(seeds=[experiment]) for experiment in COMPLETE]
    assert [steps_to_reach(run, RANDOM, 0.5).value for run in alone] == [15, 15, 18]
    assert [steps_to_reach(run, ALDOD, 0.5).value for run in alone] == [10, 9, 9]
    assert mean_relative_gain(curves, ALDOD, against=RANDOM).value == pytest.approx(0.04741, abs=5e-6)
    assert gain_at(curves, ALDOD, 30, against=RANDOM).relative.value == pytest.approx(0.05616, abs=5e-6)
    assert performance_at(curves, RANDOM, 20).value == pytest.approx(0.516, abs=5e-4)
    assert performance_at(curves, ALDOD, 20).value == pytest.approx(0.545, abs=5e-4)


def test_at_equal_numbers_of_distinct_images_most_of_the_gain_is_gone() -> None:
    curves = three_runs("distinct images")
    assert curves.shared_range(RANDOM) == (1000, 3606)  # random drew labeled images again: 3,606 where it counted 5,500
    assert curves.shared_range(ALDOD) == (1000, 5493)
    budgets = range(1400, 3601, 200)
    random = [performance_at(curves, RANDOM, budget).value for budget in budgets]
    aldod = [performance_at(curves, ALDOD, budget).value for budget in budgets]
    assert np.round(np.array(random, dtype=float), 3).tolist() == [
        0.390, 0.429, 0.455, 0.471, 0.485, 0.490, 0.502, 0.520, 0.520, 0.519, 0.523, 0.525,
    ]  # fmt: skip
    assert np.round(np.array(aldod, dtype=float), 3).tolist() == [
        0.376, 0.416, 0.443, 0.469, 0.487, 0.500, 0.505, 0.510, 0.524, 0.523, 0.528, 0.538,
    ]  # fmt: skip
    found = [gain_at(curves, ALDOD, budget, against=RANDOM) for budget in budgets]
    relative = 100 * np.array([gain.relative.value for gain in found], dtype=float)
    assert np.round(relative, 1).tolist() == [-3.6, -3.0, -2.6, -0.5, 0.3, 2.0, 0.6, -1.9, 0.7, 0.7, 0.8, 2.4]
    assert all(gain.smallest_p_sign_flip == 0.25 for gain in found)


def test_at_equal_performance_the_saving_in_distinct_images_is_small_and_its_interval_holds_none() -> None:
    curves = three_runs("distinct images")
    assert [curves.run(method, COMPLETE[0]).budgets[step] for method, step in ((RANDOM, 15), (ALDOD, 10))] == [2557, 2500]
    saving = labels_saved(curves, ALDOD, 0.5, against=RANDOM)
    assert (saving.budget_against, saving.budget) == pytest.approx((2528, 2419), abs=1)
    assert saving.share.value == pytest.approx(0.043, abs=5e-4)
    assert saving.share.low is not None and saving.share.high is not None
    assert saving.share.low == pytest.approx(-0.09, abs=0.03)
    assert saving.share.high == pytest.approx(0.18, abs=0.03)
    whole = labels_saved_at(curves, ALDOD, 3600, against=RANDOM)
    assert whole.share.value == pytest.approx(0.0745, abs=5e-4)
    assert whole.share.low is not None and whole.share.low < 0
    assert labels_saved(curves, ALDOD, 0.4, against=RANDOM).share.value == pytest.approx(-0.037, abs=5e-4)


def test_over_all_distinct_images_that_both_cover_neither_is_better() -> None:
    curves = three_runs("distinct images")
    gain = gain_of_area(curves, ALDOD, against=RANDOM)
    assert gain.absolute.value == pytest.approx(-0.0019, abs=5e-5)
    assert gain.absolute.low is not None and gain.absolute.high is not None
    assert gain.absolute.low < 0 < gain.absolute.high
    assert gain.p_t_test == pytest.approx(0.68, abs=5e-3)
    assert gain.p_sign_flip == 0.75
