"""`al-agent cost`: the answer first, the table that it rests on, and one object for programs."""

from __future__ import annotations

import json

import pytest

from al_agent.cli import main

VOC = [
    *("--images-without", "3250", "--images-with", "2500", "--pool", "5823", "--labels-per-image", "2"),
    *("--label-kind", "box", "--price-per-label", "0.05", "--engineer-days", "1", "--price-per-engineer-day", "500"),
    *("--development-compute-cost", "20"),
]


def run(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    status = main(["cost", *words])
    printed = capsys.readouterr()
    assert (status, printed.err) == (0, "")
    assert all(len(line) <= 80 for line in printed.out.splitlines()), printed.out
    return printed.out


def complaint(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    assert main(["cost", *words]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    return printed.err


def cells(text: str) -> dict[str, list[str]]:
    """The rows of the table by their names."""
    table = [line for line in text.split("\n\n")[1].splitlines() if not line.startswith(" ")]
    return {line[:17].strip(): line[17:].split() for line in table}


def test_the_answer_comes_first_and_the_table_adds_up(capsys: pytest.CaptureFixture[str]) -> None:
    text = run(capsys, *VOC, "--currency", "EUR")
    assert text.startswith("No: it would save 750 images, worth 75 EUR, and costs 520 EUR: a loss of 445\nEUR; ")
    assert cells(text) == {
        "images": ["3,250", "2,500", "750"],
        "labels (box)": ["6,500", "5,000", "1,500"],
        "paid for labels": ["325", "250", "75"],
        "paid for compute": ["0", "0", "0"],
        "paid to set it up": ["0", "520", "-520"],
        "paid in all": ["325", "770", "-445"],
    }
    assert "break-even: 5,200 images saved (89.3% of the pool); or 0.347 EUR for a label" in text
    assert "note: No compute is counted" in text


def test_intervals_have_a_column_and_time_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    words = [
        *("--images-without", "25000", "--images-with", "20000", "--images-with-interval", "19000", "23900"),
        *("--labels-per-image", "5", "--labels-per-image-with", "5.2", "--price-per-label", "0.07"),
        *("--rounds-with", "10", "--training-hours-without", "4", "--training-hours-with", "3", "--scoring-hours", "0.5"),
        *("--price-per-compute-hour", "2", "--seconds-per-label", "3.6"),
    ]
    text = run(capsys, *words)
    assert text.startswith("Cannot be said: it would save 5,000 images (1,100 to 6,000) and save 21,000")
    assert cells(text)["labels"] == ["125,000", "104,000", "21,000", "720", "to", "26,200"]
    assert cells(text)["paid for compute"] == ["8", "70", "-62"]
    assert "compute: 35.00 hours in place of 4.00 (+775.00%)" in text
    assert "compute and 3.6 seconds for each label: 139.00 hours in place of 129.00 (+7.75%)" in text


def test_one_object_for_programs(capsys: pytest.CaptureFixture[str]) -> None:
    found = json.loads(run_json(capsys, *VOC))
    assert found["answer"] == "no"
    assert found["images_saved"] == {"value": 750, "low": None, "high": None}
    assert (found["net_saving"]["value"], found["fixed_cost"], found["break_even_images"]) == (-445, 520, 5200)
    assert (found["why_no_break_even"], found["relative_seconds"]) == (None, None)
    free = json.loads(run_json(capsys, *VOC, "--price-per-label", "0", "--images-with-interval", "2400", "2600"))
    assert free["break_even_images"] is None
    assert free["why_no_break_even"].startswith("a label costs nothing")
    assert free["images_saved"] == {"value": 750, "low": 650, "high": 850}
    unlimited = json.loads(run_json(capsys, *VOC, "--images-with-interval", "2400", "inf"))
    assert unlimited["images_saved"] == {"value": 750, "low": None, "high": 850}
    assert unlimited["answer"] == "no"


def run_json(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    assert main(["cost", *words, "--json"]) == 0
    return capsys.readouterr().out


def test_before_a_study_prices_are_enough(capsys: pytest.CaptureFixture[str]) -> None:
    text = run(capsys, *VOC[4:])
    assert text.startswith("Cannot be said: how many images it takes without and with active learning is not")
    assert "from 5,200 images saved on" in text
    assert cells(text)["paid in all"] == ["?", "?", "?"]


def test_large_amounts_fit_eighty_columns(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--images-without", "90000000", "--images-with", "70000000", "--images-with-interval", "60000000", "95000000"]
    text = run(capsys, *words, "--price-per-label", "900.25", "--label-kind", "keypoint set", "--currency", "IDR")
    assert cells(text)["paid for labels"][:3] == ["81,022,500,000", "63,017,500,000", "18,005,000,000"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "a label has no price; give --price-per-label (0 where labels are free), or --price-per-annotation-hour"),
        ([*VOC, "--price-per-label", "-1"], "--price-per-label is -1.0; expected a finite number of 0 or more"),
        ([*VOC, "--images-with", "nan"], "--images-with is nan"),
        ([*VOC, "--images-without", "-3"], "--images-without is -3.0"),
        (
            [*VOC, "--images-with-interval", "2600", "2400"],
            "--images-with-interval: the interval 2,600 to 2,400 is upside down",
        ),
        (["--price-per-label", "1", "--images-with-interval", "1", "2"], "is given without --images-with; give both"),
        ([*VOC, "--rounds-with", "0"], "--rounds-with is 0"),
        ([*VOC, "--training-hours-without", "inf"], "--training-hours-without is inf"),
        ([*VOC, "--labels-per-image-with", "0"], "--labels-per-image-with is 0"),
        (
            [*VOC, "--pool", "3000"],
            "--images-without is 3,250, and the pool has 3,000; count distinct images, or leave it out",
        ),
        ([*VOC, "--pool", "0"], "--pool is 0"),
        ([*VOC, "--review-share", "0.5"], "--review-share is 0.5 and --price-per-review is not given"),
        ([*VOC, "--currency", "E\x1b[2J"], "--currency is 'E\\x1b[2J'"),
    ],
)
def test_wrong_use_names_the_option(words: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert message in " ".join(complaint(capsys, *words).split())
