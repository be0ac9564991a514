"""Rounds of an agent on a platform with a server: guesses, read-backs and accounts that hold when things go wrong."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from http_double import Fault
from kili_double import KiliDouble
from superannotate_double import SuperAnnotateDouble

from al_agent import (
    ActiveLearningAgent,
    ClassificationPredictions,
    Connection,
    NoRoundYet,
    PlatformKili,
    PlatformSuperAnnotate,
    SamplerConfig,
)

NAMES = [f"img_{number:03d}.jpg" for number in range(250)]
FAST = Connection(first_wait_s=0.01, longest_wait_s=0.05, give_up_after_s=1, show_progress=False, n_parallel=1)


def interface(second_class: str) -> dict[str, Any]:
    categories = {"CAT": {"name": "cat"}, "DOG": {"name": second_class}}
    return {"jobs": {"KIND": {"mlTask": "CLASSIFICATION", "content": {"categories": categories, "input": "radio"}}}}


PICK_TWO = SamplerConfig(2, method="RANDOM")


@pytest.fixture
def kili() -> Iterator[KiliDouble]:
    with KiliDouble(json_interface=interface("dog")) as double:
        double.add_assets(NAMES)
        yield double


def agent_of(double: KiliDouble, folder: Path) -> ActiveLearningAgent:
    platform = PlatformKili("clproject000", api_key=double.api_key, base_url=double.url, connection=FAST)
    return ActiveLearningAgent(platform, journal=folder / "rounds.sqlite")


def guesses(*class_names: str) -> ClassificationPredictions:
    return ClassificationPredictions(NAMES, [[0.25, 0.75]] * len(NAMES), class_names=class_names)


def test_guesses_that_the_project_cannot_show_stop_a_query_before_anything_is_noted(
    kili: KiliDouble, tmp_path: Path
) -> None:
    agent = agent_of(kili, tmp_path)
    with pytest.raises(ValueError, match="the guess 'horse' for"):
        agent.query(PICK_TWO, preannotate=guesses("cat", "horse"))
    with pytest.raises(NoRoundYet):
        agent.push()
    assert kili.asked("updatePropertiesInAssets") == kili.asked("appendManyLabels") == []


def test_a_round_whose_guesses_do_not_fit_any_more_is_pushed_without_them(kili: KiliDouble, tmp_path: Path) -> None:
    batch = agent_of(kili, tmp_path).query(PICK_TWO, preannotate=guesses("cat", "dog"), push=False)
    kili.project.json_interface = interface("wolf")
    with pytest.warns(UserWarning, match="pushed without pre-annotations: the guess 'dog'"):
        report = agent_of(kili, tmp_path).push()
    assert report.updated == batch.item_ids
    assert kili.asked("appendManyLabels") == []


def test_guesses_are_kept_for_the_process_that_finishes_the_push(kili: KiliDouble, tmp_path: Path) -> None:
    batch = agent_of(kili, tmp_path).query(PICK_TWO, preannotate=guesses("cat", "dog"), push=False)
    agent_of(kili, tmp_path).push()
    for item_id in batch.item_ids:
        assert kili.predictions(item_id) == [("al-agent", {"KIND": {"categories": [{"name": "DOG", "confidence": 75}]}})]


def test_no_item_stands_under_two_headings_when_guesses_end_early(kili: KiliDouble, tmp_path: Path) -> None:
    agent = agent_of(kili, tmp_path)
    agent.query(SamplerConfig(250, method="RANDOM"), preannotate=guesses("cat", "dog"), push=False)
    kili.faults.append(Fault(on="appendManyLabels", skip=1, times=None, status=503))
    with pytest.warns(UserWarning, match="not on the platform yet"):
        report = agent.push()
    assert (len(report.failed), len(report.not_sent), report.updated, report.unchanged) == (100, 150, (), ())
    kili.faults.clear()
    assert len(agent_of(kili, tmp_path).push().updated) == 250


def test_items_whose_guesses_were_not_sent_are_not_called_unchanged(kili: KiliDouble, tmp_path: Path) -> None:
    agent = agent_of(kili, tmp_path)
    agent.query(SamplerConfig(250, method="RANDOM"), preannotate=guesses("cat", "dog"))
    kili.faults.append(Fault(on="appendManyLabels", skip=1, times=None, status=503))
    with pytest.warns(UserWarning, match="not on the platform yet"):
        report = agent.push()
    assert (len(report.unchanged), len(report.failed), len(report.not_sent)) == (100, 100, 50)
    assert not agent.last_round.is_pushed  # the last push counts


def test_a_failed_read_back_keeps_the_account(kili: KiliDouble, tmp_path: Path) -> None:
    agent = agent_of(kili, tmp_path)
    agent.query(PICK_TWO, push=False)
    only_by_id = Fault(on=lambda request: "idIn" in request.text, times=None, status=503)
    kili.faults.append(only_by_id)
    with pytest.warns(UserWarning, match="not on the platform yet"):
        report = agent.push(verify=True)
    assert {why.partition(":")[0] for why in report.failed.values()} == {"it is stored, and could not be read back"}
    kili.faults.clear()
    assert len(agent.push(verify=True).unchanged) == 2


def test_the_csv_for_an_upload_page_has_the_names_on_the_platform(tmp_path: Path) -> None:
    with SuperAnnotateDouble() as double:
        double.add_items("root", ["a.jpg", "b.jpg", "c.jpg"])
        double.add_folder("day2")
        double.add_items("day2", ["a.jpg"])

        def agent(folder: str | list[str], ids: str) -> ActiveLearningAgent:
            platform = PlatformSuperAnnotate(
                "proj",
                folder,
                api_key=double.token,
                base_url=double.url,
                ids="remote" if ids == "remote" else "name",
                is_order_on=True,
                connection=FAST,
            )
            return ActiveLearningAgent(platform, journal=tmp_path / f"{ids}-{len(folder)}.sqlite")

        one = agent("root", "remote")
        one.query(SamplerConfig(3, method="RANDOM"))
        one.export(tmp_path / "picks.csv")
        with (tmp_path / "picks.csv").open(newline="") as file:
            assert sorted(row["name"] for row in csv.DictReader(file)) == ["a.jpg", "b.jpg", "c.jpg"]
        two = agent(["root", "day2"], "name")
        two.query(SamplerConfig(4, method="RANDOM"))
        with pytest.raises(ValueError, match=r"'a\.jpg' is the name of several items"):
            two.export(tmp_path / "picks.csv")
