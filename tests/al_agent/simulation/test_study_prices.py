"""From the images that a study counts to the money that they are worth."""

from __future__ import annotations

import math

import pytest

from al_agent.simulation.cost import Answer, CostModel, Costs
from al_agent.simulation.figures import Curves, labels_saved_at
from al_agent.simulation.study import Measurement, StudyResult

BUDGETS = (100, 200, 300)


def result_of(figures: dict[str, list[float]], boxes: dict[str, float] | None = None, n_seeds: int = 5) -> StudyResult:
    """Runs whose figures differ by 0.001 a seed; with `boxes` in each image."""
    rows = [
        Measurement(
            method,
            seed,
            number,
            budget,
            figures[method][number] + 0.001 * seed * (number > 0) * (-1) ** len(method),
            amounts={"boxes": boxes[method] * budget} if boxes else {},
        )
        for method in figures
        for seed in range(n_seeds)
        for number, budget in enumerate(BUDGETS)
    ]
    return StudyResult(tuple(rows))


def test_the_ways_are_the_images_of_the_figures_and_the_interval_is_that_of_the_saving() -> None:
    result = result_of({"RANDOM": [0.5, 0.6, 0.7], "CORAL": [0.5, 0.7, 0.8]})
    saving = labels_saved_at(result.curves, "CORAL", 300)
    without, active = result.ways("CORAL")
    assert without.images is not None
    assert active.images is not None
    assert (without.images.value, without.images.has_interval) == (300.0, False)
    assert active.images.value == saving.budget == pytest.approx(202, abs=3)
    assert saving.count.low is not None
    assert saving.count.high is not None
    assert (active.images.low, active.images.high) == (300 - saving.count.high, 300 - saving.count.low)
    model = CostModel(Costs(price_per_label=1.0), without=without, active=active)
    assert model.answer is Answer.YES
    assert result.best() == "CORAL"


def test_crowded_images_are_paid_for_by_their_boxes() -> None:
    result = result_of({"RANDOM": [0.5, 0.6, 0.7], "CORAL": [0.5, 0.7, 0.8]}, boxes={"RANDOM": 2.0, "CORAL": 3.5})
    without, active = result.ways("CORAL", label="boxes")
    assert (without.labels_per_image, active.labels_per_image) == (2.0, 3.5)
    assert [way.labels_per_image for way in result.ways("CORAL")] == [1.0, 1.0]
    with pytest.raises(ValueError, match="there is no unit 'seconds' of labels; there are boxes"):
        result.ways("CORAL", label="seconds")
    with pytest.raises(ValueError, match="BADGE is not in the study, which has RANDOM, CORAL"):
        result.ways("BADGE")


def test_images_of_a_method_that_never_gets_there_are_not_known() -> None:
    without, active = result_of({"RANDOM": [0.5, 0.6, 0.7], "CORAL": [0.5, 0.5, 0.6]}).ways("CORAL")
    assert (without.images, active.images) == (None, None)


def test_an_interval_that_is_open_goes_on_without_end() -> None:
    figures = {"RANDOM": [[0.5, 0.6, 0.7]] * 5, "CORAL": [[0.5, 0.6, end] for end in (0.66, 0.68, 0.71, 0.75, 0.76)]}
    cells = [(m, s, b, v) for m, runs in figures.items() for s, run in enumerate(runs) for b, v in zip(BUDGETS, run)]
    rows = [Measurement(m, s, b // 100 - 1, b, v) for m, s, b, v in cells]
    _, active = StudyResult(tuple(rows)).ways("CORAL")
    saving = labels_saved_at(Curves.from_columns(*zip(*cells)), "CORAL", 300)
    assert saving.count.low is None
    assert saving.count.high is not None
    assert active.images is not None
    assert (active.images.low, active.images.high) == (300 - saving.count.high, math.inf)


def test_two_seeds_give_a_number_and_no_interval() -> None:
    _, active = result_of({"RANDOM": [0.5, 0.6, 0.7], "CORAL": [0.5, 0.7, 0.8]}, n_seeds=2).ways("CORAL")
    assert active.images is not None
    assert not active.images.has_interval
