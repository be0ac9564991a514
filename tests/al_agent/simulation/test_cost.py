"""The cost model gives the published figures, counts labels, and says what it cannot know."""

from __future__ import annotations

import ast
import contextlib
import csv
import dataclasses
import io
import math
import re
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from al_agent.simulation.cost import Answer, CostModel, Costs, Estimate, Way

ROOT = Path(__file__).resolve().parents[3]
PAGE = ROOT / "docs" / "does_it_pay.md"
RESULTS = ROOT.parent / "shared" / "data" / "al_results.zip"
RUNS = ("20200629144455", "20200630090523", "20200701095400")
RANDOM, ACTIVE = "random_sampling", "uncertainty_aldod_sampling"

VOC = Costs(
    price_per_label=0.05,
    label_kind="box",
    engineer_days=1,
    price_per_engineer_day=500,
    development_compute_cost=20,
    price_per_compute_hour=2,
    seconds_per_label=5,
    currency="EUR",
)
LARGE = Costs(price_per_label=0.07, label_kind="box", engineer_days=1, price_per_engineer_day=500, currency="EUR")


def compared(
    without: Estimate | float | None,
    active: Estimate | float | None,
    costs: Costs = VOC,
    *,
    n_pool: int | None = None,
    per_image: tuple[float, float] = (2, 2),
    hours: tuple[float, float] = (0, 0),
) -> CostModel:
    ways = [
        Way(n_images, labels_per_image=labels, training_hours_per_round=training)
        for n_images, labels, training in zip((without, active), per_image, hours)
    ]
    return CostModel(costs, without=ways[0], active=ways[1], n_pool=n_pool)


def value(estimate: Estimate | None) -> float:
    assert estimate is not None
    return estimate.value


def ends(estimate: Estimate | None) -> tuple[float, float]:
    assert estimate is not None
    return round(estimate.lowest, 6), round(estimate.highest, 6)


# the published cases


def test_the_small_published_case_does_not_pay_and_says_from_where_it_would() -> None:
    model = compared(3250, 2500, n_pool=5823)
    assert (value(model.images_saved), value(model.labels_saved)) == (750, 1500)
    assert (value(model.gross_saving), model.costs.fixed_cost, value(model.net_saving)) == (75, 520, -445)
    assert model.break_even_images == 5200
    assert model.break_even_images_exact == pytest.approx(5200)
    assert model.break_even_share_of_pool == pytest.approx(0.893, abs=5e-4)
    assert model.break_even_price_per_label == pytest.approx(520 / 1500)
    assert model.answer is Answer.NO
    assert model.sentence == (
        "No: it would save 750 images, worth 75 EUR, and costs 520 EUR: a loss of 445 EUR; it pays for itself from 5,200 "
        "images saved on, more than the 3,250 labeled without it, and the pool has 5,823."
    )


def test_the_large_published_case_pays() -> None:
    model = compared(25_000, 20_000, LARGE, per_image=(5, 5))
    assert [value(model.gross_saving), value(model.net_saving)] == pytest.approx([1750, 1250])
    assert model.break_even_images == 1429
    assert model.break_even_images_exact == pytest.approx(1428.571, abs=1e-3)
    assert model.answer is Answer.YES
    assert model.sentence == (
        "Yes: it would save 5,000 images, worth 1,750 EUR, and costs 500 EUR: a gain of 1,250 EUR; it pays for itself from "
        "1,429 images saved on."
    )


def rows(archive: zipfile.ZipFile, method: str, run: str, name: str) -> list[dict[str, str]]:
    text = archive.read(f"kili_voc_ssd/{method}/experiment-{run}/{name}.txt").decode()
    return list(csv.DictReader(io.StringIO(text)))


def published_way(archive: zipfile.ZipFile, method: str, *, until: int | None = None, is_drawn: bool = False) -> Way:
    """The mean of the three complete runs, whole or until a step; boxes as published, or each drawn one counted once."""
    found = [rows(archive, method, run, "csv") for run in RUNS]
    last = len(found[0]) - 1 if until is None else until
    spent = [
        float(np.mean([sum(float(row[column]) for row in run[: last + 1]) for run in found])) / 3600 / (last + 1)
        for column in ("train_time", "active_time")
    ]
    boxes = np.array([int(run[last]["bboxes"]) for run in found], dtype=float)
    if is_drawn:  # queried boxes, those after the initial ones, are in the files twice
        initial = int(found[0][0]["bboxes"])
        boxes = initial + (boxes - initial) / 2
    n_images = 1000 + 150 * last
    return Way(
        n_images,
        labels_per_image=boxes.mean() / n_images,
        n_rounds=last + 1,
        training_hours_per_round=spent[0],
        scoring_hours_per_round=spent[1],
    )


def first_step_at(archive: zipfile.ZipFile, method: str, figure: float) -> int:
    accuracy = np.mean([[float(row["mAP"]) for row in rows(archive, method, run, "csv")] for run in RUNS], axis=0)
    return int(np.flatnonzero(accuracy >= figure)[0])


def n_distinct(archive: zipfile.ZipFile, method: str, step: int) -> float:
    counts = []
    for run in RUNS:
        drawn = [ast.literal_eval(row["indices"]) for row in rows(archive, method, run, "queries")[: step + 1]]
        counts.append(len({index for indices in drawn for index in indices}))
    return float(np.mean(counts))


@pytest.fixture
def archive() -> Any:
    if not RESULTS.exists():
        pytest.skip(f"{RESULTS.name} is not there")
    with zipfile.ZipFile(RESULTS) as opened:
        yield opened


def test_the_published_files_give_the_published_times_and_boxes(archive: zipfile.ZipFile) -> None:
    model = CostModel(VOC, without=published_way(archive, RANDOM), active=published_way(archive, ACTIVE))
    assert model.without.compute_hours * 3600 == pytest.approx(18_741.31, abs=0.01)
    assert model.active.compute_hours * 3600 == pytest.approx(19_428.81, abs=0.01)
    assert model.relative_compute_hours == pytest.approx(0.03668, abs=5e-6)
    assert value(model.without.n_labels) == pytest.approx(26_771)
    assert value(model.active.n_labels) == pytest.approx(27_114.333, abs=1e-3)
    assert model.relative_seconds == pytest.approx(0.015755, abs=5e-7)


def test_the_boxes_truly_drawn_give_a_little_more_time(archive: zipfile.ZipFile) -> None:
    ways = [published_way(archive, method, is_drawn=True) for method in (RANDOM, ACTIVE)]
    model = CostModel(VOC, without=ways[0], active=ways[1])
    assert value(model.without.n_labels) == pytest.approx(14_700)
    assert value(model.active.n_labels) == pytest.approx(14_871.667, abs=1e-3)
    assert model.relative_seconds == pytest.approx(0.01676, abs=5e-6)


def test_the_compute_saved_on_the_way_to_a_map_of_a_half(archive: zipfile.ZipFile) -> None:
    steps = [first_step_at(archive, method, 0.5) for method in (RANDOM, ACTIVE)]
    assert steps == [15, 10]
    hours = [published_way(archive, method, until=step).compute_hours for method, step in zip((RANDOM, ACTIVE), steps)]
    n_images = [1000 + 150 * step for step in steps]
    model = compared(n_images[0], n_images[1], hours=(hours[0], hours[1]))
    assert model.compute_hours_saved * 3600 == pytest.approx(2383.65, abs=0.01)
    assert model.compute_saving == pytest.approx(1.324, abs=5e-4)
    assert value(model.net_saving) == pytest.approx(-445 + 1.324, abs=5e-4)


def test_counted_as_distinct_images_the_published_saving_nearly_goes(archive: zipfile.ZipFile) -> None:
    model = compared(n_distinct(archive, RANDOM, 15), n_distinct(archive, ACTIVE, 10))
    assert (value(model.without.images), value(model.active.images)) == (2557, 2500)
    assert value(model.net_saving) == pytest.approx(57 * 2 * 0.05 - 520)
    assert model.sentence.startswith("No: it would save 57 images, worth 5.70 EUR, and costs 520 EUR: a loss of 514.30 EUR;")


def test_the_page_prints_what_it_says() -> None:
    text = PAGE.read_text(encoding="utf-8")
    blocks = re.findall(r"^```python\n(.*?)^```\n(?:\n```text\n(.*?)^```)?", text, re.DOTALL | re.MULTILINE)
    names: dict[str, Any] = {}
    n_compared = 0
    for program, said in blocks:
        with contextlib.redirect_stdout(io.StringIO()) as printed:
            exec(program, names)
        assert " ".join(printed.getvalue().split()) == " ".join(said.split())
        n_compared += bool(said)
    assert n_compared >= 3


# the model


def test_labels_are_paid_for_and_not_images() -> None:
    crowded = compared(3000, 2500, per_image=(2, 2.4))
    assert (value(crowded.images_saved), value(crowded.labels_saved)) == (500, 0)
    assert value(crowded.net_saving) == -520
    assert crowded.break_even_images_exact == pytest.approx((520 / 0.05 - 3000 * (2 - 2.4)) / 2.4)
    worse = compared(3000, 2500, per_image=(2, 3))
    assert worse.sentence.startswith(
        "No: it would save 500 images but take 1,500 labels more, which cost 75 EUR, and costs 520 EUR: a loss of 595 EUR;"
    )


def test_the_same_cost_of_a_label_however_it_is_told() -> None:
    by_time = Costs(seconds_per_label=12, price_per_annotation_hour=15, review_share=0.25, price_per_review=0.04)
    by_piece = Costs(price_per_label=0.05, review_share=0.25, price_per_review=0.04)
    assert by_time.full_price_per_label == pytest.approx(0.06)
    assert by_piece.full_price_per_label == pytest.approx(0.06)
    assert value(compared(300, 200, by_time).label_saving) == pytest.approx(12)


def test_scoring_and_training_each_round_are_paid_for() -> None:
    costs = dataclasses.replace(LARGE, price_per_compute_hour=3)
    without = Way(25_000, labels_per_image=5, training_hours_per_round=40)
    active = Way(20_000, labels_per_image=5, n_rounds=10, training_hours_per_round=30, scoring_hours_per_round=4)
    model = CostModel(costs, without=without, active=active)
    assert (model.compute_hours_saved, model.compute_saving) == (40 - 340, -900)
    assert value(model.net_saving) == pytest.approx(1750 - 900 - 500)
    assert model.break_even_images == 4000
    assert "worth 1,750 EUR, and costs 500 EUR and 900 EUR more of compute: a gain of 350 EUR" in model.sentence


def test_compute_alone_can_pay_even_where_labels_are_free() -> None:
    free = dataclasses.replace(VOC, price_per_label=0)
    model = compared(3250, 2500, free, hours=(500, 100))
    assert (value(model.net_saving), model.break_even_images, model.break_even_price_per_label) == (280, 0, 0)
    assert model.sentence == (
        "Yes: it would save 750 images, worth 0 EUR, and 800 EUR of compute, and costs 520 EUR: a gain of 280 EUR; it pays "
        "for itself without an image saved."
    )


def test_the_interval_decides() -> None:
    sure = compared(25_000, Estimate(20_000, 19_000, 21_000), LARGE, per_image=(5, 5))
    assert (sure.answer, ends(sure.net_saving)) == (Answer.YES, (900, 1600))
    assert "save 5,000 images (4,000 to 6,000)" in sure.sentence
    assert "a gain of 1,250 EUR (900 to 1,600)" in sure.sentence

    unsure = compared(Estimate(25_000, 23_000, 27_000), Estimate(20_000, 19_000, 22_000), LARGE, per_image=(5, 5))
    assert (unsure.answer, ends(unsure.images_saved)) == (Answer.CANNOT_BE_SAID, (1000, 8000))
    assert unsure.sentence == (
        "Cannot be said: it would save 5,000 images (1,000 to 8,000), worth 1,750 EUR, and costs 500 EUR: anything from a "
        "loss of 150 EUR to a gain of 2,300 EUR; it pays for itself from 1,429 images saved on."
    )

    never = compared(3250, Estimate(2500, 2000, 3300), VOC)
    assert (never.answer, ends(never.net_saving)) == (Answer.NO, (-525, -395))
    assert "save 750 images (from 50 more to 1,250 fewer)" in never.sentence
    assert "a loss of 445 EUR (395 to 525)" in never.sentence


def test_an_open_end_is_no_yes() -> None:
    open_above = compared(25_000, Estimate(20_000, 18_000, math.inf), LARGE, per_image=(5, 5))
    assert (open_above.answer, ends(open_above.net_saving)) == (Answer.CANNOT_BE_SAID, (-math.inf, 1950))
    assert "save 5,000 images (from any number more to 7,000 fewer)" in open_above.sentence
    assert "anything from a loss of any size to a gain of 1,950 EUR" in open_above.sentence
    hopeless = compared(3250, Estimate(3500, 3300, math.inf))
    assert hopeless.answer is Answer.NO
    assert hopeless.sentence.startswith(
        "No: it would take 250 images more (50 or more), which cost 25 EUR, and costs 520 EUR: a loss of 545 EUR "
        "(525 or more);"
    )
    sure = compared(Estimate(25_000, 24_000, math.inf), 20_000, LARGE, per_image=(5, 5))
    assert sure.answer is Answer.YES
    assert "a gain of 1,250 EUR (900 or more)" in sure.sentence
    free = compared(3250, Estimate(2500, 2000, math.inf), dataclasses.replace(VOC, price_per_label=0))
    assert ends(free.net_saving) == (-520, -520)


def test_a_loss_is_said_to_be_one() -> None:
    model = compared(2500, Estimate(2800, 2600, 3000))
    assert (value(model.label_saving), value(model.net_saving)) == (-30, -550)
    assert model.break_even_price_per_label is None
    assert model.sentence.startswith(
        "No: it would take 300 images more (100 to 500), which cost 30 EUR, and costs 520 EUR: "
        "a loss of 550 EUR (530 to 570); "
    )


def test_free_labels_have_no_break_even_and_the_sentence_says_why() -> None:
    model = compared(3250, 2500, dataclasses.replace(VOC, price_per_label=0), n_pool=5823)
    why = "a label costs nothing, so no number of images saved pays for it"
    assert (model.break_even_images, model.break_even_labels, model.break_even_share_of_pool) == (None, None, None)
    assert model.why_no_break_even == why
    assert model.sentence.endswith(f"a loss of 520 EUR; {why}.")


def test_before_a_study_it_says_how_many_images_would_have_to_be_saved() -> None:
    model = compared(None, None)
    assert (model.answer, model.net_saving, model.break_even_images) == (Answer.CANNOT_BE_SAID, None, 5200)
    assert model.sentence == (
        "Cannot be said: how many images it takes without and with active learning is not known, and it costs 520 EUR; it "
        "pays for itself from 5,200 images saved on."
    )
    crowded = compared(None, 2500, per_image=(2, 2.4))
    assert (crowded.break_even_images, crowded.break_even_labels) == (None, 10_400)
    assert "how many images it takes without active learning is not known" in crowded.sentence
    assert "from 10,400 labels saved on" in crowded.sentence


def test_a_break_even_beyond_the_pool_is_said() -> None:
    model = compared(Estimate(500, 400, 700), 200, n_pool=600)
    assert model.break_even_share_of_pool == pytest.approx(5200 / 600)
    assert model.sentence.endswith("more than the 500 labeled without it, and the pool has only 600.")
    assert "The interval of the images needed goes beyond the pool." in model.notes


def test_exactly_no_gain_does_not_pay_and_rounding_does_not_decide() -> None:
    model = compared(6000, 800)
    assert value(model.net_saving) == pytest.approx(0, abs=1e-9)
    assert model.answer is Answer.NO
    assert "worth 520 EUR, and costs 520 EUR: no gain; it pays for itself from 5,200 images saved on" in model.sentence
    assert compared(6000, 799).answer is Answer.YES
    third = Costs(price_per_label=0.7, development_compute_cost=2.1)  # 2.1 / 0.7 is 3.0000000000000004
    assert compared(9, 5, third, per_image=(1, 1)).break_even_images == 3


@given(
    price=st.floats(0.001, 10),
    fixed=st.floats(0, 5000),
    per_image=st.tuples(st.floats(0.2, 20), st.floats(0.2, 20)),
    hours=st.tuples(st.floats(0, 100), st.floats(0, 100)),
)
def test_the_break_even_is_the_first_image_that_pays(
    price: float, fixed: float, per_image: tuple[float, float], hours: tuple[float, float]
) -> None:
    costs = Costs(price_per_label=price, development_compute_cost=fixed, price_per_compute_hour=2)
    n_images = 1_000_000
    least = compared(n_images, None, costs, per_image=per_image, hours=hours).break_even_images
    assert least is not None
    slack = 1e-6 + 2e-9 * n_images * price * sum(per_image)  # what rounding up passes over: a hundredth of an image's worth

    def net(n_saved: int) -> float:
        return value(compared(n_images, n_images - n_saved, costs, per_image=per_image, hours=hours).net_saving)

    if least <= n_images:
        assert net(least) >= -slack
    if 0 < least <= n_images:
        assert net(least - 1) < slack


def test_compute_saved_pays_for_crowded_images_too() -> None:
    model = compared(
        1000, None, dataclasses.replace(VOC, development_compute_cost=0, engineer_days=0), per_image=(2, 3), hours=(20, 0)
    )
    assert (model.break_even_labels, model.break_even_images) == (
        0,
        67,
    )  # 933 images have 2,799 labels: 799 more, worth 39.95


def test_notes_say_what_is_left_out() -> None:
    bare = compared(3250, 2500).notes
    assert [note.split(";")[0].split(",")[0] for note in bare] == [
        "The images needed have no interval",
        "Labels per image are taken to be the same both ways",
        "No compute is counted",
    ]
    full = compared(Estimate(3250, 3000, 3500), 2500, per_image=(2, 2.1), hours=(1, 1))
    assert full.notes == ()
    unpriced = compared(Estimate(3250, 3000, 3500), 2500, LARGE, per_image=(1, 1), hours=(1, 1))
    assert unpriced.notes == ("Compute has no price, and is left out of the money.",)


def test_amounts_have_no_currency_but_the_given_one() -> None:
    assert compared(3250, 2500, dataclasses.replace(VOC, currency="")).sentence.startswith(
        "No: it would save 750 images, worth 75, and costs 520: a loss of 445; "
    )


def test_time_needs_the_seconds_and_the_images() -> None:
    assert compared(100, 80, LARGE, hours=(1, 1)).relative_seconds is None
    assert compared(100, None, hours=(1, 1)).relative_seconds is None
    assert compared(0, 0).relative_seconds is None
    assert compared(100, 80).relative_compute_hours is None
    assert compared(100, 80).relative_seconds == pytest.approx(-0.2)


# bad input


@pytest.mark.parametrize("bad", [-1, math.nan, math.inf, "5", True, None, 1e16])
@pytest.mark.parametrize("name", ["engineer_days", "development_compute_cost", "review_share"])
def test_a_cost_that_is_no_amount_is_refused_by_name(name: str, bad: Any) -> None:
    with pytest.raises(ValueError, match=f"^{name} is "):
        Costs(**{"price_per_label": 1, name: bad})


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({}, "a label has no price; give price_per_label"),
        ({"price_per_label": -0.05}, "price_per_label is -0.05; expected a finite number of 0 or more"),
        ({"price_per_label": math.nan}, "price_per_label is nan"),
        ({"price_per_label": 1, "price_per_annotation_hour": 9, "seconds_per_label": 5}, "both pay for a label"),
        ({"price_per_annotation_hour": 9}, "price_per_annotation_hour is 9 and seconds_per_label is not given"),
        ({"price_per_label": 1, "engineer_days": 2}, "engineer_days is 2 and price_per_engineer_day is not given"),
        ({"price_per_label": 1, "review_share": 0.1}, "review_share is 0.1 and price_per_review is not given"),
        (
            {"price_per_label": 1, "review_share": 5, "price_per_review": 1},
            "review_share is 5; expected a share from 0 to 1",
        ),
        ({"price_per_label": 1, "label_kind": ""}, "label_kind is empty"),
        ({"price_per_label": 1, "currency": "E\nUR"}, "currency is 'E.nUR'; expected a printable text"),
    ],
)
def test_prices_that_do_not_fit_together_are_refused(given: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Costs(**given)


@pytest.mark.parametrize(
    ("numbers", "message"),
    [
        ((5, 8, 3), "the interval 8 to 3 is upside down"),
        ((5, 6, 8), "5 lies outside of its interval 6 to 8"),
        ((5, 4, None), "the interval of 5 has one end"),
        ((math.nan,), "value is nan; expected a finite number"),
        ((math.inf,), "value is inf; expected a finite number"),
        ((5, 4, math.nan), "high is nan; expected a number"),
        ((True,), "value is True"),
    ],
)
def test_intervals_that_are_none_are_refused(numbers: tuple[Any, ...], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Estimate(*numbers)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"n_images": -5}, "n_images is -5"),
        ({"n_images": math.nan}, "n_images is nan"),
        ({"n_images": Estimate(5, -1, 9)}, "n_images is -1"),
        ({"n_images": 5, "labels_per_image": 0}, "labels_per_image is 0; expected a number above 0"),
        ({"n_images": 5, "n_rounds": 0}, "n_rounds is 0; expected a whole number of at least 1"),
        ({"n_images": 5, "scoring_hours_per_round": -1}, "scoring_hours_per_round is -1"),
    ],
)
def test_a_way_that_cannot_be_is_refused(given: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Way(**given)


def test_more_images_than_the_pool_has_are_refused() -> None:
    with pytest.raises(ValueError, match="n_images of active is 700, and the pool has 600; count distinct images"):
        compared(500, 700, n_pool=600)
    with pytest.raises(ValueError, match="n_pool is 0"):
        compared(0, 0, n_pool=0)
