"""The vendors' own clients as referees: they and our connectors make the same of the same server."""

from __future__ import annotations

import json
import os
import random
import subprocess
from pathlib import Path
from typing import Any

import pytest
from kili_double import KiliDouble
from kili_project import Workflow
from superannotate_double import SuperAnnotateDouble

from al_agent.platforms.base import Guess, ItemState
from al_agent.platforms.connection import Connection
from al_agent.platforms.kili import PlatformKili
from al_agent.platforms.superannotate import PlatformSuperAnnotate

HERE = Path(__file__).parent
ENVIRONMENTS = HERE.parents[1] / ".venv-referees"
TIMEOUT_S = 120.0
QUIET = Connection(show_progress=False)
JOBS = {"jobs": {"KIND": {"mlTask": "CLASSIFICATION", "content": {"categories": {"CAT": {"name": "Cat"}}}}}}

WAITING = {"V1": {"TODO"}, "V2": {"TO_DO", "REWORK"}, "V3": {"TO_DO", "REWORK"}}


def find_python(vendor: str) -> Path | None:
    """The interpreter that has a vendor's client: KILI_PYTHON or SUPERANNOTATE_PYTHON, else that of .venv-referees."""
    named = os.environ.get(f"{vendor.upper()}_PYTHON")
    python = Path(named) if named else ENVIRONMENTS / vendor / "bin" / "python"
    return python if python.is_file() else None


PYTHONS = {vendor: find_python(vendor) for vendor in ("kili", "superannotate")}  # before tests empty the environment


def ask(vendor: str, **command: Any) -> dict[str, Any]:
    """What the official client answers, in a process and an environment of its own."""
    python = PYTHONS[vendor]
    assert python is not None
    program: list[str | Path] = [python, "-I", HERE / f"{vendor}_client.py"]
    done = subprocess.run(program, input=json.dumps(command), capture_output=True, text=True, timeout=TIMEOUT_S, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    answer: dict[str, Any] = json.loads(done.stdout)
    assert "error" not in answer, answer["error"]
    return answer


needs_kili = pytest.mark.skipif(
    PYTHONS["kili"] is None, reason="no environment with the package kili: `make test-referees`, or set KILI_PYTHON"
)
needs_superannotate = pytest.mark.skipif(
    PYTHONS["superannotate"] is None,
    reason="no environment with the package superannotate: `make test-referees`, or set SUPERANNOTATE_PYTHON",
)


def names(n_items: int) -> list[str]:
    return [f"img_{number:05d}.jpg" for number in range(n_items)]


def shuffled(item_ids: list[str]) -> list[str]:
    return random.Random(0).sample(item_ids, len(item_ids))


def ask_kili(double: KiliDouble, action: str, **more: Any) -> dict[str, Any]:
    project_id = double.project.project_id
    return ask("kili", url=double.url, api_key=double.api_key, project_id=project_id, action=action, **more)


def connect_kili(double: KiliDouble, **options: Any) -> PlatformKili:
    key, project_id = double.api_key, double.project.project_id
    return PlatformKili(project_id, api_key=key, base_url=double.url, connection=QUIET, **options)


@needs_kili
@pytest.mark.parametrize("workflow", ["V1", "V2", "V3"])
def test_kilis_client_lists_what_our_connector_lists(workflow: Workflow) -> None:
    with KiliDouble(workflow=workflow) as double:
        all_names = names(230)
        double.add_assets(all_names)
        for name in all_names[:40]:
            double.label(name)
        double.send_back(all_names[0])
        double.start(all_names[50])
        double.skip(all_names[51])
        double.project.partly_label(all_names[52])
        double.project.make_honeypot(all_names[53])
        for row in range(100, 120):
            double.project.set_priority(row, 1_000_000 - row)
        theirs = ask_kili(double, "list")["items"]
        ours = list(connect_kili(double).list_items())

        assert [(item.remote_id, item.id, item.media) for item in ours] == [
            (asset["id"], asset["externalId"], asset["content"]) for asset in theirs
        ]
        assert [item.priority for item in ours] == [
            1_000_000 - asset["priority"] if asset["priority"] else None for asset in theirs
        ]
        for item, asset in zip(ours, theirs):
            status = asset["status"] if workflow == "V1" else asset["currentStep"]["status"]
            is_first = workflow == "V1" or asset["currentStep"]["name"] == "Label"
            waits = is_first and status in WAITING[workflow] and not asset["isHoneypot"] and not asset["skipped"]
            assert (item.state is ItemState.UNLABELED) == waits, asset
            assert (item.state is ItemState.SKIPPED) == asset["skipped"], asset
            if item.state is ItemState.LABELED:
                assert asset["labels"], asset


@needs_kili
@pytest.mark.parametrize("workflow", ["V1", "V2", "V3"])
@pytest.mark.parametrize("priorities", ["exact", "tiers"])
def test_what_our_connector_sets_kilis_client_reads_back(workflow: Workflow, priorities: Any) -> None:
    with KiliDouble(workflow=workflow) as double:
        all_names = names(130)
        ids = double.add_assets(all_names)
        picks = shuffled(all_names)[:120]
        connect_kili(double, priorities=priorities).push({name: rank for rank, name in enumerate(picks)}, verify=True)
        numbers = ask_kili(double, "read_priorities", asset_ids=ids)["priorities"]
        assert sorted(numbers) == sorted(ids)
        number_of = {name: numbers[asset_id] for name, asset_id in zip(all_names, ids)}
        assert {number_of[name] for name in all_names if name not in picks} == {0}
        if priorities == "exact":
            assert sorted(picks, key=lambda name: -number_of[name]) == picks
            assert [number_of[name] for name in picks] == list(range(1_000_000, 999_880, -1))
        else:
            assert [number_of[name] for name in picks] == sorted((number_of[name] for name in picks), reverse=True)
            assert len(set(number_of.values()) - {0}) == 7


@needs_kili
@pytest.mark.parametrize("workflow", ["V1", "V2", "V3"])
def test_what_kilis_client_sets_our_connector_lists_and_takes_for_done(workflow: Workflow) -> None:
    with KiliDouble(workflow=workflow) as double:
        all_names = names(130)
        ids = double.add_assets(all_names)
        numbers = [1_000_000 - rank for rank in range(120)]
        ask_kili(double, "set_exact", asset_ids=ids[:120], priorities=numbers)
        platform = connect_kili(double)
        assert [item.priority for item in platform.list_items()] == [*range(120), *[None] * 10]
        double.requests.clear()
        report = platform.push({name: rank for rank, name in enumerate(all_names[:120])})
        assert report.unchanged == tuple(all_names[:120])
        assert double.asked("updatePropertiesInAssets") == []


@needs_kili
def test_kilis_client_and_our_connector_are_told_the_same_of_an_asset_that_is_declined() -> None:
    with KiliDouble() as double:
        ids = double.add_assets(names(3))
        platform = connect_kili(double, priorities="tiers")
        list(platform.list_items())
        double.start(names(3)[1])
        theirs = ask_kili(double, "set_priority", asset_ids=ids, priority=1_000_000)["report"]
        assert [row["externalId"] for row in theirs["declined"]] == [names(3)[1]]
        assert [row["externalId"] for row in theirs["succeeded"]] == [names(3)[0], names(3)[2]]
        assert double.project.priorities.tolist() == [1_000_000, 0, 1_000_000]
        report = platform.push({name: rank for rank, name in enumerate(names(3))})
        assert list(report.declined) == [names(3)[1]]
        assert report.updated == (names(3)[0], names(3)[2])


@needs_kili
def test_a_prediction_of_kilis_client_and_one_of_ours_are_stored_alike() -> None:
    with KiliDouble(json_interface=JOBS) as double:
        ids = double.add_assets(names(2))
        connect_kili(double).push({names(1)[0]: 0}, preannotations={names(1)[0]: [Guess("Cat", 0.8)]})
        response = {"KIND": {"categories": [{"name": "CAT", "confidence": 80}]}}
        ask_kili(double, "create_predictions", asset_ids=ids[1:], json_responses=[response], model_name="al-agent")
        stored = [double.project.labels[row] for row in (0, 1)]
        same = ("labelType", "modelName", "jsonResponse", "isPrediction")
        assert [[label[name] for name in same] for label in stored[0]] == [
            [label[name] for name in same] for label in stored[1]
        ]


def ask_superannotate(double: SuperAnnotateDouble, action: str, project: Any = "proj", **more: Any) -> dict[str, Any]:
    return ask("superannotate", url=double.url, token=double.token, project=project, action=action, **more)


def connect_superannotate(double: SuperAnnotateDouble, *where: Any) -> PlatformSuperAnnotate:
    return PlatformSuperAnnotate(*(where or ("proj",)), api_key=double.token, base_url=double.url, connection=QUIET)


@needs_superannotate
def test_superannotates_client_lists_what_our_connector_lists() -> None:
    with SuperAnnotateDouble() as double:
        all_names = names(2100)
        double.add_items("root", all_names[:2000])
        double.add_items("root", all_names[2000:], url="https://bucket.example/x")
        for start, status in enumerate(("InProgress", "QualityCheck", "Returned", "Completed", "Skipped")):
            double.set_status("root", all_names[10 * start : 10 * start + 5], status)
        double.item("root", all_names[-1]).entropy_value = 999_993.0
        double.item("root", all_names[-2]).entropy_value = 0.5
        theirs = ask_superannotate(double, "list")["items"]
        ours = list(connect_superannotate(double).list_items())
        assert [(item.remote_id, item.name, item.media) for item in ours] == [
            (str(row["id"]), row["name"], row["url"]) for row in theirs
        ]
        assert [item.priority for item in ours[-3:]] == [None, 999_999, 7]
        assert [row["entropy_value"] for row in theirs[-3:]] == [None, 0.5, 999_993.0]
        waiting = {row["name"] for row in theirs if row["annotation_status"] == "NotStarted"}
        assert {item.name for item in ours if item.state is ItemState.UNLABELED} == waiting
        done = {row["name"] for row in theirs if row["annotation_status"] in ("QualityCheck", "Completed")}
        assert {item.name for item in ours if item.state is ItemState.LABELED} == done
        assert [len(waiting), len(done)] == [2075, 10]


@needs_superannotate
@pytest.mark.parametrize("folder", [None, "night"])
def test_what_our_connector_sets_superannotates_client_reads_back(folder: str | None) -> None:
    with SuperAnnotateDouble() as double:
        double.add_folder("night")
        all_names = names(230)
        double.add_items(folder or "root", all_names)
        picks = shuffled(all_names)[:220]
        connect_superannotate(double, "proj", folder).push({name: rank for rank, name in enumerate(picks)}, verify=True)
        rows = ask_superannotate(double, "list", folder=folder)["items"]
        scores = {row["name"]: row["entropy_value"] for row in rows}
        assert [scores[name] for name in picks] == [1_000_000 - rank for rank in range(220)]
        assert {scores[name] for name in all_names if name not in picks} == {None}


@needs_superannotate
def test_our_numbers_survive_what_superannotates_client_does_to_numbers() -> None:
    with SuperAnnotateDouble() as double:
        all_names = names(300)
        double.add_items("root", all_names)
        ranks = [*range(150), *random.Random(1).sample(range(150, 999_999), 149), 999_999]
        scores = [{"name": name, "priority": 1_000_000 - rank} for name, rank in zip(all_names, ranks)]
        answer = ask_superannotate(double, "upload_priority_scores", scores=scores)
        assert (answer["uploaded"], answer["skipped"]) == (all_names, [])
        platform = connect_superannotate(double)
        assert [item.priority for item in platform.list_items()] == ranks
        double.requests.clear()
        assert platform.push(dict(zip(all_names, ranks))).unchanged == tuple(
            sorted(all_names, key=dict(zip(all_names, ranks)).__getitem__)
        )
        assert double.asked("updateEntropy") == []


@needs_superannotate
def test_small_scores_do_not_survive_superannotates_client_which_is_why_ours_are_whole() -> None:
    given = [0.5, 9.99e-05, 1.2345678e-05, 3.3333333e-06, 123_456.789]
    with SuperAnnotateDouble() as double:
        double.add_items("root", names(5))
        scores = [{"name": name, "priority": score} for name, score in zip(names(5), given)]
        ask_superannotate(double, "upload_priority_scores", scores=scores)
        assert [double.item("root", name).entropy_value for name in names(5)] == [0.5, 9.99, 1.23456, 3.33333, 123_456.7]
        assert double.queue()[1] == names(5)[1]  # the second least interesting of all

        connect_superannotate(double).push({names(5)[rank]: 999_990 + rank for rank in range(5)})
        assert double.queue() == names(5)


@needs_superannotate
def test_superannotates_client_and_our_connector_find_the_same_names_missing() -> None:
    with SuperAnnotateDouble() as double:
        double.add_items("root", names(3))
        platform = connect_superannotate(double)
        list(platform.list_items())
        double.delete("root", names(3)[1:2])
        scores = [{"name": name, "priority": 5} for name in names(3)]
        answer = ask_superannotate(double, "upload_priority_scores", scores=scores)
        assert (answer["uploaded"], answer["skipped"]) == ([names(3)[0], names(3)[2]], [names(3)[1]])
        report = platform.push({name: rank for rank, name in enumerate(names(3))})
        assert (report.updated, list(report.declined)) == ((names(3)[0], names(3)[2]), [names(3)[1]])


@needs_superannotate
def test_a_status_that_superannotates_client_sets_is_the_one_that_our_connector_sees() -> None:
    with SuperAnnotateDouble() as double:
        double.set_statuses({"NotStarted": 11, "InProgress": 12, "Completed": 13, "QualityCheck": 14})
        double.add_items("root", names(3))
        ask_superannotate(double, "set_status", status="Completed", names=names(3)[1:2])
        assert [str(item.state) for item in connect_superannotate(double).list_items()] == [
            "unlabeled",
            "labeled",
            "unlabeled",
        ]
