"""A project on a real Label Studio through the connector: what is listed, what is served, and what is left behind."""

from __future__ import annotations

import contextlib
import json
import random
import re
import signal
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from http_double import Fault, Request
from label_studio_proxy import LabelStudioProxy
from label_studio_server import LabelStudioAdmin, LabelStudioServer, box_result, choice_result, label_config
from PIL import Image

from al_agent import (
    ActiveLearningAgent,
    AuthenticationFailed,
    NotFound,
    PlatformError,
    PushReport,
    SamplerConfig,
    Unavailable,
)
from al_agent.platforms.base import ChecksGuesses, ChecksSettings, Guess, ItemState, ShowsQueue
from al_agent.platforms.connection import Connection
from al_agent.platforms.label_studio import PlatformLabelStudio
from al_agent.platforms.label_studio.mapping import is_ours

QUICK = Connection(first_wait_s=0.01, longest_wait_s=0.05, show_progress=False)
IMPORT, TASKS, PROJECT = "POST import/predictions", "GET tasks", "PATCH projects"
DELETE = "DELETE projects/model-versions"
OURS = "ours"


@dataclass
class Studio:
    """A new project with tasks `img_0.jpg`, ..., on a server behind a proxy that counts and fails."""

    server: LabelStudioServer
    proxy: LabelStudioProxy
    project_id: int
    task_of: dict[str, int] = field(default_factory=dict)

    @property
    def admin(self) -> LabelStudioAdmin:
        return self.server.admin

    @property
    def names(self) -> list[str]:
        return list(self.task_of)

    def connect(self, **options: Any) -> PlatformLabelStudio:
        given = {"url": self.proxy.origin, "project_id": self.project_id, "api_key": self.server.token, "connection": QUICK}
        return PlatformLabelStudio(**{**given, **options})

    def add(self, names: Sequence[str]) -> list[int]:
        tasks = self.admin.import_tasks(self.project_id, [f"https://images.example.com/a/{name}" for name in names])
        self.task_of.update(zip(names, tasks))
        return tasks

    def served(self, n_tasks: int, as_token: str | None = None) -> list[str]:
        """Names of the tasks that "Label All Tasks" gives, each labeled before the next."""
        name_of = {task: name for name, task in self.task_of.items()}
        found = []
        for _ in range(n_tasks):
            task = self.admin.next_task(self.project_id, as_token)
            assert task is not None
            self.admin.annotate(task["id"], [choice_result("cat")], as_token=as_token)
            found.append(name_of[task["id"]])
        return found

    @property
    def version(self) -> str:
        """The model version that the project shows."""
        return str(self.admin.project(self.project_id)["model_version"])

    def settings(self) -> tuple[str, str]:
        """The project's sampling and model version, which is `ours` where it is one of ours."""
        project = self.admin.project(self.project_id)
        return project["sampling"], OURS if is_ours(project["model_version"]) else project["model_version"]

    def versions(self) -> dict[str, int]:
        """Number of predictions of each model version; the latest of ours is `ours`, the one before `ours 1`, ..."""
        counts = Counter(row["model_version"] for row in self.admin.list_predictions(self.project_id))
        ours = sorted(filter(is_ours, counts), reverse=True)
        return {(f"{OURS} {ours.index(v)}".removesuffix(" 0") if v in ours else v): counts[v] for v in counts}

    def states(self, platform: PlatformLabelStudio) -> dict[str, str]:
        return {item.id: str(item.state) for item in platform.list_items()}


@pytest.fixture
def make(
    label_studio_server: LabelStudioServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[..., Studio]]:
    monkeypatch.setenv("AL_AGENT_HOME", str(tmp_path / "al-agent-home"))
    with contextlib.ExitStack() as stack:

        def make_one(n_tasks: int = 6, config: Any = "choices", **options: Any) -> Studio:
            proxy = stack.enter_context(LabelStudioProxy(label_studio_server.url))
            project_id = label_studio_server.admin.create_project("A project of tests", config, **options)
            studio = Studio(label_studio_server, proxy, project_id)
            if n_tasks:
                studio.add([f"img_{number}.jpg" for number in range(n_tasks)])
            return studio

        yield make_one


def ranks_of(names: Sequence[str]) -> dict[str, int]:
    return {name: rank for rank, name in enumerate(names)}


def shuffled(names: Sequence[str], seed: int = 0) -> list[str]:
    return random.Random(seed).sample(list(names), len(names))


# The list.


def test_states_are_seen(make: Callable[..., Studio]) -> None:
    studio = make(7, maximum_annotations=2)
    admin, task = studio.admin, list(studio.task_of.values())
    other = admin.invite(f"states-{studio.project_id}@example.com")
    for token in (None, other):
        admin.annotate(task[1], [choice_result("cat")], as_token=token)
    admin.annotate(task[2], [choice_result("cat")])
    admin.skip(task[3])
    admin.answer("POST", f"/api/tasks/{task[4]}/drafts", body={"result": [choice_result("cat")], "lead_time": 1})
    admin.annotate(task[5], [])
    for token in (None, other):
        admin.annotate(task[6], [], as_token=token)
    states = studio.states(studio.connect())
    assert list(states.values()) == ["unlabeled", "labeled", "partly", "skipped", "unlabeled", "partly", "labeled"]


def test_a_skip_that_counts_as_done_is_still_a_skip(make: Callable[..., Studio]) -> None:
    studio = make(2)
    studio.admin.set_project(studio.project_id, {"skip_queue": "IGNORE_SKIPPED"})
    studio.admin.skip(studio.task_of["img_0.jpg"])
    assert studio.admin.task(studio.task_of["img_0.jpg"])["is_labeled"] is True
    assert studio.states(studio.connect()) == {"img_0.jpg": "skipped", "img_1.jpg": "unlabeled"}


def test_items_have_name_number_state_and_media_and_come_in_order_of_the_numbers(make: Callable[..., Studio]) -> None:
    studio = make(12)
    items = list(studio.connect().list_items())
    assert [item.id for item in items] == studio.names
    assert [item.remote_id for item in items] == [str(task) for task in studio.task_of.values()]
    assert items[3][2:] == ("img_3.jpg", ItemState.UNLABELED, None, "https://images.example.com/a/img_3.jpg")


def test_a_project_without_tasks_is_an_empty_list(make: Callable[..., Studio]) -> None:
    platform = make(0).connect()
    assert list(platform.list_items()) == []
    assert platform.push({"x.jpg": 0}) == PushReport(declined={"x.jpg": "not in the project"})


@pytest.mark.parametrize("page_cap", [1, 2, 5, 6, 7])
def test_pages_of_any_size_give_every_task_once(make: Callable[..., Studio], page_cap: int) -> None:
    studio = make(6)
    studio.proxy.page_cap = page_cap
    assert [item.id for item in studio.connect().list_items()] == studio.names


def age(studio: Studio, seconds: float) -> None:
    """Let the project's tasks have been changed so long ago."""
    with contextlib.closing(sqlite3.connect(studio.server.folder / "data" / "label_studio.sqlite3", timeout=60)) as base:
        past = f"-{seconds} seconds"
        base.execute(
            "UPDATE task SET updated_at = strftime('%Y-%m-%d %H:%M:%f000', updated_at, ?) WHERE project_id = ?",
            (past, studio.project_id),
        )
        base.commit()


def test_the_second_listing_asks_only_for_tasks_that_changed(make: Callable[..., Studio]) -> None:
    studio = make(30)
    age(studio, 3600)
    platform = studio.connect()
    rows: list[int] = []

    def count(request: Request, answer: Any) -> Any:
        if "updated_at" in request.query["query"]:
            rows.extend(task["id"] for task in answer["tasks"])
        return answer

    studio.proxy.faults = [Fault(on=TASKS, rewrite=count, times=None)]
    assert set(studio.states(platform).values()) == {"unlabeled"}
    assert rows == []
    studio.admin.annotate(studio.task_of["img_4.jpg"])
    studio.admin.skip(studio.task_of["img_7.jpg"])
    states = studio.states(platform)
    assert {name for name, state in states.items() if state != "unlabeled"} == {"img_4.jpg", "img_7.jpg"}
    new = {studio.task_of["img_4.jpg"], studio.task_of["img_7.jpg"]}
    assert new <= set(rows) and set(rows) - new == set(studio.task_of.values()) - new  # within the overlap of a minute
    rows.clear()
    assert studio.states(platform) == states
    assert set(rows) == new


def test_the_second_listing_is_as_a_new_one_after_every_kind_of_change(make: Callable[..., Studio]) -> None:
    studio = make(8)
    admin, task = studio.admin, studio.task_of
    platform = studio.connect()
    annotation = 0

    def annotate() -> None:
        nonlocal annotation
        annotation = admin.annotate(task["img_1.jpg"])

    def replace_last() -> None:
        gone = task.pop(studio.names[-1])
        admin.delete_task(gone)
        assert studio.add(["replacement.jpg"]) == [gone]  # SQLite gives the number again

    def delete_and_add() -> None:
        admin.delete_task(task.pop("img_3.jpg"))
        studio.add(["another.jpg"])

    def delete(names: Sequence[str]) -> None:
        for name in names:
            admin.delete_task(task.pop(name))

    changes: list[Callable[[], object]] = [
        annotate,
        lambda: admin.delete_annotation(annotation),
        lambda: admin.skip(task["img_2.jpg"]),
        lambda: studio.add(["added.jpg"]),
        lambda: delete(["img_0.jpg"]),
        lambda: delete(studio.names[-1:]),
        replace_last,
        delete_and_add,
        lambda: admin.set_task(task["img_5.jpg"], {"data": {"image": "https://images.example.com/renamed.jpg"}}),
        lambda: delete(studio.names[:2]),
    ]
    assert [item.id for item in platform.list_items()] == studio.names
    for change in changes:
        change()
        assert list(platform.list_items()) == list(studio.connect().list_items())
    assert "renamed.jpg" in [item.id for item in platform.list_items()]


@pytest.mark.parametrize(
    "change",
    [
        {"maximum_annotations": 1},
        {"overlap_cohort_percentage": 20},
        {"skip_queue": "IGNORE_SKIPPED"},
        {"label_config": label_config("choices").replace("$image", "$other")},
    ],
)
def test_the_second_listing_is_as_a_new_one_after_a_change_of_the_projects_settings(
    make: Callable[..., Studio], change: dict[str, Any]
) -> None:
    """Label Studio marks tasks as done or open then, and leaves the moment of their last change as it was."""
    studio = make(0, maximum_annotations=2)
    data = [
        {"image": f"https://images.example.com/{n}.jpg", "other": f"https://images.example.com/b{n}.jpg"} for n in range(6)
    ]
    tasks = studio.admin.import_tasks(studio.project_id, data)
    other = studio.admin.invite(f"settings-{studio.project_id}@example.com")
    studio.admin.annotate(tasks[0], [choice_result("cat")])
    studio.admin.skip(tasks[0], as_token=other)
    studio.admin.annotate(tasks[1], [choice_result("cat")])
    age(studio, 3600)
    studio.admin.import_tasks(studio.project_id, [{"image": "new.jpg", "other": "b_new.jpg"}])
    platform = studio.connect()
    before = studio.states(platform)
    assert list(before.values()) == ["partly", "partly", *["unlabeled"] * 5]
    studio.admin.set_project(studio.project_id, change)
    after = studio.states(platform)
    assert after != before
    assert after == studio.states(studio.connect())


def test_the_second_listing_is_as_a_new_one_where_new_tasks_change_who_gets_several_annotations(
    make: Callable[..., Studio],
) -> None:
    studio = make(2, maximum_annotations=2)
    studio.admin.set_project(studio.project_id, {"overlap_cohort_percentage": 20})
    for task in studio.task_of.values():
        studio.admin.annotate(task, [choice_result("cat")])
    age(studio, 3600)
    studio.add(["img_2.jpg"])
    platform = studio.connect()
    before = studio.states(platform)
    studio.add([f"img_{number}.jpg" for number in range(3, 12)])
    after = studio.states(platform)
    assert list(before.values())[2:] == ["unlabeled"]
    assert {after[name] for name in before} != set(before.values())
    assert after == studio.states(studio.connect())


def test_moments_of_a_server_in_another_time_zone_are_understood(make: Callable[..., Studio]) -> None:
    studio = make(3)

    def two_hours_east(request: Request, answer: Any) -> Any:
        for row in answer["tasks"]:
            moment = datetime.fromisoformat(row["updated_at"].replace("Z", "+00:00"))
            row["updated_at"] = moment.astimezone(timezone(timedelta(hours=2))).isoformat()
        return answer

    studio.proxy.faults = [Fault(on=TASKS, rewrite=two_hours_east, times=None)]
    platform = studio.connect()
    assert set(studio.states(platform).values()) == {"unlabeled"}
    studio.admin.annotate(studio.task_of["img_1.jpg"])
    assert studio.states(platform) == {"img_0.jpg": "unlabeled", "img_1.jpg": "labeled", "img_2.jpg": "unlabeled"}


def test_a_listing_that_broke_off_does_not_hide_what_it_did_not_reach(make: Callable[..., Studio]) -> None:
    studio = make(6)
    platform = studio.connect()
    assert set(studio.states(platform).values()) == {"unlabeled"}
    studio.admin.annotate(studio.task_of["img_4.jpg"])
    studio.admin.annotate(studio.task_of["img_0.jpg"])
    studio.proxy.page_cap = 2

    def later(request: Request, answer: Any) -> Any:
        """The first page was changed an hour after the second."""
        answer["tasks"][0]["updated_at"] = answer["tasks"][0]["updated_at"].replace("20", "21", 1)
        return answer

    studio.proxy.faults = [Fault(on=TASKS, rewrite=later), Fault(on=TASKS, status=400, body={"detail": "no"})]
    with pytest.raises(PlatformError):
        list(platform.list_items())
    states = studio.states(platform)
    assert [name for name, state in states.items() if state == "labeled"] == ["img_0.jpg", "img_4.jpg"]


# The order.


def test_annotators_are_served_the_pushed_order_and_the_agent_reserves_nothing(make: Callable[..., Studio]) -> None:
    studio = make(9)
    order = shuffled(studio.names)[:5]
    platform = studio.connect()
    assert platform.push(ranks_of(order), verify=True) == PushReport(updated=tuple(order))
    assert {item.id: item.priority for item in platform.list_items() if item.priority is not None} == ranks_of(order)
    assert isinstance(platform, ShowsQueue)
    assert [item.id for item in platform.next_items(3)] == order[:3]
    assert [item.priority for item in platform.next_items(99)] == [0, 1, 2, 3, 4]
    assert platform.next_items(0) == []
    assert not any(request.path.endswith("/next") for request in studio.proxy.requests)
    assert studio.served(5) == order
    assert platform.next_items(3) == []
    assert {item.priority for item in platform.list_items()} == {None}


def test_two_annotators_share_the_order(make: Callable[..., Studio]) -> None:
    studio = make(8)
    order = shuffled(studio.names)
    studio.connect().push(ranks_of(order))
    other = studio.admin.invite(f"second-{studio.project_id}@example.com")
    first, second = studio.admin.next_task(studio.project_id), studio.admin.next_task(studio.project_id, other)
    assert first is not None and second is not None
    assert [first["id"], second["id"]] == [studio.task_of[name] for name in order[:2]]
    for task, token in ((second, other), (first, None)):
        studio.admin.annotate(task["id"], [choice_result("cat")], as_token=token)
    assert [name for turn in range(3) for name in studio.served(1, other if turn % 2 else None)] == order[2:5]


def test_a_rank_keeps_its_score_and_only_what_is_open_is_pushed(make: Callable[..., Studio]) -> None:
    studio = make(4)
    studio.admin.annotate(studio.task_of["img_0.jpg"])
    studio.admin.skip(studio.task_of["img_1.jpg"])
    report = studio.connect().push({"img_0.jpg": 0, "img_1.jpg": 1, "img_2.jpg": 999_999, "img_3.jpg": 7, "never.jpg": 8})
    assert report == PushReport(
        updated=("img_3.jpg", "img_2.jpg"),
        declined={"img_0.jpg": "already labeled", "img_1.jpg": "already skipped", "never.jpg": "not in the project"},
    )
    scores = {row["task"]: row["score"] for row in studio.admin.list_predictions(studio.project_id)}
    assert scores == {studio.task_of["img_3.jpg"]: 7e-06, studio.task_of["img_2.jpg"]: 0.999999}


def test_a_second_push_of_the_same_sends_nothing(make: Callable[..., Studio]) -> None:
    studio = make()
    platform = studio.connect()
    platform.push(ranks_of(studio.names))
    studio.proxy.requests.clear()
    assert platform.push(ranks_of(studio.names), verify=True) == PushReport(unchanged=tuple(studio.names))
    assert studio.connect().push(ranks_of(studio.names)) == PushReport(unchanged=tuple(studio.names))
    assert {request.method for request in studio.proxy.requests} == {"GET"}


def test_labeling_on_the_way_changes_nothing_about_the_rest(make: Callable[..., Studio]) -> None:
    studio = make()
    order = shuffled(studio.names)
    platform = studio.connect()
    platform.push(ranks_of(order))
    assert studio.served(2) == order[:2]
    studio.proxy.requests.clear()
    report = platform.push(ranks_of(order))
    assert (report.unchanged, list(report.declined)) == (tuple(order[2:]), order[:2])
    assert studio.proxy.asked(IMPORT) == []
    assert studio.served(4) == order[2:]


def test_a_new_round_replaces_the_old_one_and_leaves_other_peoples_versions(make: Callable[..., Studio]) -> None:
    studio = make(8)
    tasks = list(studio.task_of.values())
    theirs = [{"task": task, "result": [], "score": 0.5, "model_version": "theirs"} for task in tasks]
    lookalike = [{"task": task, "result": [], "score": 0.5, "model_version": "al-agent-7"} for task in tasks[:2]]
    studio.admin.import_predictions(studio.project_id, theirs + lookalike)
    studio.admin.set_project(studio.project_id, {"model_version": "theirs"})
    platform = studio.connect()
    first, second = shuffled(studio.names, 1)[:5], shuffled(studio.names, 2)[:4]
    platform.push(ranks_of(first))
    assert studio.versions() == {"theirs": 8, "al-agent-7": 2, OURS: 5}
    before = studio.version
    report = platform.push(ranks_of(second), [name for name in first if name not in second])
    assert report == PushReport(updated=tuple(second), taken_back=tuple(name for name in first if name not in second))
    assert studio.versions() == {"theirs": 8, "al-agent-7": 2, OURS: 4}
    assert studio.version > before
    assert studio.settings() == ("Uncertainty sampling", OURS)
    assert studio.served(4) == second


def test_a_round_with_nothing_to_rank_takes_the_old_one_back(make: Callable[..., Studio]) -> None:
    studio = make()
    platform = studio.connect()
    platform.push(ranks_of(studio.names[:2]))
    assert platform.push({}, studio.names) == PushReport(taken_back=("img_0.jpg", "img_1.jpg"))
    assert (studio.settings(), studio.versions()) == (("Sequential sampling", ""), {})
    assert platform.push({}, studio.names) == PushReport()


def test_whole_rounds_of_the_agent_are_served(make: Callable[..., Studio], tmp_path: Path) -> None:
    studio = make(20)
    agent = ActiveLearningAgent(studio.connect(), journal=tmp_path / "rounds")
    for seed in range(3):
        batch = agent.query(SamplerConfig(4, method="RANDOM", seed=seed), verify=True)
        assert studio.served(3) == list(batch.item_ids[:3])
    agent.refresh()
    assert len(agent.labeled_set) == 9
    assert len(studio.versions()) == 1


# Pre-annotations.


def test_guesses_of_classes_are_shown_with_the_served_task(make: Callable[..., Studio]) -> None:
    studio = make(4)
    order = ["img_2.jpg", "img_0.jpg"]
    guesses = {"img_2.jpg": [Guess("dog", 0.75)], "img_1.jpg": [Guess("cat", 0.5)]}
    platform = studio.connect()
    platform.check_guesses(guesses)
    assert platform.push(ranks_of(order), preannotations=guesses, verify=True).updated == tuple(order)
    task = studio.admin.next_task(studio.project_id)
    assert task is not None and task["id"] == studio.task_of["img_2.jpg"]
    (prediction,) = task["predictions"]
    assert prediction["model_version"] == studio.version
    (region,) = prediction["result"]
    assert {name: region[name] for name in ("from_name", "to_name", "type", "value", "score")} == {
        **choice_result("dog"),
        "score": 0.75,
    }
    assert studio.versions() == {OURS: 2}

    studio.proxy.requests.clear()
    assert platform.push(ranks_of(order), preannotations=guesses).unchanged == tuple(order)
    assert studio.proxy.asked(IMPORT) == []
    changed = {"img_2.jpg": [Guess("cat", 0.75)]}
    assert platform.push(ranks_of(order), preannotations=changed).updated == tuple(order)
    assert studio.versions() == {OURS: 2}


def test_guesses_of_boxes_are_shown_in_percent_of_the_image(make: Callable[..., Studio]) -> None:
    studio = make(3, "boxes")
    guesses = {"img_1.jpg": [Guess("cat", 0.5, (0.1, 0.2, 0.4, 0.8)), Guess("dog", 0.25, (0.0, 0.0, 1.0, 1.0))]}
    assert studio.connect().push({"img_1.jpg": 0}, preannotations=guesses).updated == ("img_1.jpg",)
    task = studio.admin.next_task(studio.project_id)
    assert task is not None
    cat, dog = task["predictions"][0]["result"]
    assert (cat["value"]["rectanglelabels"], dog["value"]["rectanglelabels"]) == (["cat"], ["dog"])
    assert [cat["value"][side] for side in ("x", "y", "width", "height")] == pytest.approx([10, 20, 30, 60])
    assert [dog["value"][side] for side in ("x", "y", "width", "height")] == pytest.approx([0, 0, 100, 100])
    assert (cat["type"], cat["from_name"], cat["to_name"]) == ("rectanglelabels", "label", "image")


@pytest.mark.parametrize(
    ("config", "guess", "message"),
    [
        ("choices", Guess("zebra", 0.5), "'zebra' for 'img_1.jpg' fits no Choices .*; its labels are 'cat', 'dog'"),
        (
            "choices",
            Guess("cat", 0.5, (0, 0, 1, 1)),
            "'cat' for 'img_1.jpg' fits no RectangleLabels .*; its labels are none",
        ),
        ("boxes", Guess("zebra", 0.5, (0, 0, 1, 1)), "fits no RectangleLabels .*; its labels are 'cat', 'dog'"),
        ("boxes", Guess("cat", 0.5), "fits no Choices .*; its labels are none"),
    ],
)
def test_a_guess_that_the_project_has_no_label_for_is_refused_before_anything_is_changed(
    make: Callable[..., Studio], config: str, guess: Guess, message: str
) -> None:
    studio = make(2, config)
    platform = studio.connect()
    assert isinstance(platform, ChecksGuesses)
    platform.check_guesses({"img_1.jpg": []})
    for use in (
        lambda: platform.push(ranks_of(studio.names), preannotations={"img_1.jpg": [guess]}),
        lambda: platform.check_guesses({"img_0.jpg": [], "img_1.jpg": [guess]}),
    ):
        with pytest.raises(ValueError, match=message):
            use()
    assert {request.method for request in studio.proxy.requests} == {"GET"}
    assert studio.versions() == {}


def test_the_users_own_pre_annotations_stay_visible_through_every_round(make: Callable[..., Studio]) -> None:
    studio = make(4, "boxes")
    result = [box_result("cat", (1, 2, 3, 4)), box_result("dog", (5, 6, 7, 8))]
    rows = [{"task": task, "result": result, "score": 0.9, "model_version": "detector"} for task in studio.task_of.values()]
    studio.admin.import_predictions(studio.project_id, rows)
    studio.admin.set_project(studio.project_id, {"model_version": "detector"})
    platform = studio.connect()
    for order in (["img_3.jpg", "img_1.jpg"], ["img_2.jpg", "img_3.jpg"]):
        platform.push(ranks_of(order), preannotations={"img_1.jpg": [Guess("dog", 1.0, (0, 0, 1, 1))]})
        task = studio.admin.next_task(studio.project_id)
        assert task is not None and task["id"] == studio.task_of[order[0]]
        (shown,) = task["predictions"]
        assert [region["value"] for region in shown["result"]] == [region["value"] for region in result]
        studio.admin.annotate(task["id"])
    assert studio.versions() == {"detector": 4, OURS: 1}


def test_on_a_second_machine_new_picks_show_the_newest_regions_of_anybody(
    make: Callable[..., Studio], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    studio = make(4, "boxes")
    old, new = [box_result("cat", (1, 2, 3, 4))], [box_result("dog", (5, 6, 7, 8))]
    first, *others = studio.task_of.values()
    for version, result, tasks in (("new", old, others[-1:]), ("old", old, others), ("new", new, others[:2])):
        rows = [{"task": task, "result": result, "score": 0.9, "model_version": version} for task in tasks]
        studio.admin.import_predictions(studio.project_id, rows)
    studio.admin.set_project(studio.project_id, {"model_version": "new"})
    studio.connect().push({"img_0.jpg": 0})
    monkeypatch.setenv("AL_AGENT_HOME", str(tmp_path / "another-machine"))
    studio.connect().push({"img_0.jpg": 0, "img_1.jpg": 1, "img_3.jpg": 2})
    version = studio.version
    shown = {
        row["task"]: [region["value"]["rectanglelabels"] for region in row["result"]]
        for row in studio.admin.list_predictions(studio.project_id)
        if row["model_version"] == version
    }
    assert shown == {first: [], others[0]: [["dog"]], others[2]: [["cat"]]}


# The project's own settings.


def test_restore_puts_the_settings_back_from_any_process(make: Callable[..., Studio]) -> None:
    studio = make(4, sampling="Uniform sampling")
    rows = [{"task": task, "result": [], "score": 0.9, "model_version": "detector"} for task in studio.task_of.values()]
    studio.admin.import_predictions(studio.project_id, rows)
    studio.admin.set_project(studio.project_id, {"model_version": "detector"})
    for order in (studio.names[:2], studio.names[2:]):
        studio.connect().push(ranks_of(order))
    assert studio.settings() == ("Uncertainty sampling", OURS)
    assert studio.connect().restore() == {"sampling": "Uniform sampling", "model_version": "detector"}
    assert (studio.settings(), studio.versions()) == (("Uniform sampling", "detector"), {"detector": 4})
    assert studio.connect().restore() == {"sampling": "Uniform sampling", "model_version": "detector"}
    assert {item.priority for item in studio.connect().list_items()} == {None}


def test_restore_gives_the_defaults_where_nothing_was_kept_or_the_own_version_is_gone(
    make: Callable[..., Studio], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    studio = make(4, sampling="Uniform sampling")
    rows = [{"task": task, "result": [], "score": 0.9, "model_version": "detector"} for task in studio.task_of.values()]
    studio.admin.import_predictions(studio.project_id, rows)
    studio.admin.set_project(studio.project_id, {"model_version": "detector"})
    platform = studio.connect()
    platform.push(ranks_of(studio.names))
    path = f"/api/projects/{studio.project_id}/model-versions"
    studio.admin.answer("DELETE", path, body={"model_version": "detector"})
    assert platform.restore() == {"sampling": "Uniform sampling", "model_version": ""}
    assert (studio.settings(), studio.versions()) == (("Uniform sampling", ""), {})

    platform.push(ranks_of(studio.names))
    monkeypatch.setenv("AL_AGENT_HOME", str(tmp_path / "another-machine"))
    assert platform.restore() == {"sampling": "Sequential sampling", "model_version": ""}
    assert studio.settings() == ("Sequential sampling", "")


def test_settings_that_cannot_be_kept_are_not_changed(make: Callable[..., Studio], tmp_path: Path) -> None:
    studio = make(2)
    (tmp_path / "al-agent-home").write_text("a file where a folder is to be")
    report = studio.connect().push(ranks_of(studio.names), verify=True)
    assert list(report.failed) == studio.names
    assert re.search("not served yet: .*own settings cannot be kept in .* Set AL_AGENT_HOME", report.failed["img_0.jpg"])
    assert studio.settings() == ("Sequential sampling", "")


def test_settings_stay_where_they_are_not_to_be_changed(make: Callable[..., Studio]) -> None:
    studio = make(5)
    platform = studio.connect(change_settings=False)
    order = shuffled(studio.names)[:3]
    assert platform.push(ranks_of(order), verify=True).updated == tuple(order)
    assert (studio.settings(), studio.versions()) == (("Sequential sampling", ""), {OURS: 3})
    assert platform.push(ranks_of(order)).unchanged == tuple(order)
    assert platform.push(ranks_of(order[1:]), order[:1]).taken_back == (order[0],)
    assert (studio.settings(), studio.versions()) == (("Sequential sampling", ""), {OURS: 2})
    assert studio.proxy.asked(PROJECT) == []


def show(studio: Studio, version: str) -> None:
    """Do what is up to the user where settings are not changed."""
    studio.admin.set_project(studio.project_id, {"sampling": "Uncertainty sampling", "model_version": version})


def newest(studio: Studio) -> str:
    """The latest model version of ours."""
    return max(filter(is_ours, (str(row["model_version"]) for row in studio.admin.list_predictions(studio.project_id))))


def test_what_the_user_still_serves_is_not_taken_back_where_settings_are_not_changed(make: Callable[..., Studio]) -> None:
    studio = make(5)
    platform = studio.connect(change_settings=False)
    order, second = studio.names[:3], studio.names[1:4]
    platform.push(ranks_of(order))
    show(studio, newest(studio))
    assert platform.push(ranks_of(second), order[:1]) == PushReport(updated=tuple(second))
    assert studio.versions() == {OURS: 3, "ours 1": 3}
    (problem,) = platform.problems()
    assert newest(studio) in problem  # to be set by hand
    assert studio.served(1) == order[:1]
    show(studio, newest(studio))
    assert platform.push(ranks_of(second), order[:1]) == PushReport(unchanged=tuple(second), taken_back=tuple(order[:1]))
    assert studio.versions() == {OURS: 3}
    assert studio.proxy.asked(PROJECT) == []


def test_a_round_with_nothing_to_rank_leaves_settings_alone_where_they_are_not_to_be_changed(
    make: Callable[..., Studio],
) -> None:
    studio = make(5)
    platform = studio.connect(change_settings=False)
    platform.push(ranks_of(studio.names[:2]))
    served = newest(studio)
    show(studio, served)
    assert platform.push({}, studio.names) == PushReport()
    platform.push(ranks_of(studio.names[1:4]))
    assert platform.push({}, studio.names) == PushReport(taken_back=tuple(studio.names[2:4]))
    assert (studio.settings(), studio.versions()) == (("Uncertainty sampling", OURS), {OURS: 2})
    assert studio.version == served
    show(studio, "")
    assert platform.push({}, studio.names) == PushReport(taken_back=tuple(studio.names[:2]))
    assert (studio.settings(), studio.versions()) == (("Uncertainty sampling", ""), {})
    assert studio.proxy.asked(PROJECT) == []


def test_a_refused_deletion_stops_neither_the_tab_nor_the_other_deletions(make: Callable[..., Studio]) -> None:
    studio = make(4)
    platform = studio.connect(tab="Next batch")
    versions = []
    studio.proxy.faults = [Fault(on=DELETE, status=400, body={"detail": "no"}, times=None)]
    for order in (studio.names[:1], studio.names[:2], studio.names[:3]):
        platform.push({name: rank + len(order) for name, rank in ranks_of(order).items()})
        versions.append(studio.version)
    assert studio.versions() == {OURS: 3, "ours 1": 2, "ours 2": 1}
    assert platform.problems() == ()  # what is left over does not come in the way of the order

    def is_oldest(request: Request) -> bool:
        return request.operation == DELETE and request.body["model_version"] == versions[0]

    studio.proxy.faults = [Fault(on=is_oldest, status=400, body={"detail": "no"}, times=None)]
    order = shuffled(studio.names)
    platform.push(ranks_of(order))
    assert studio.versions() == {OURS: 4, "ours 1": 1}
    (view,) = studio.admin.answer("GET", "/api/dm/views/", query={"project": studio.project_id})
    rows = studio.admin.answer("GET", "/api/tasks", query={"view": view["id"], "project": studio.project_id})["tasks"]
    assert [row["id"] for row in rows] == [studio.task_of[name] for name in order]
    studio.proxy.faults = []
    platform.push(ranks_of(order))
    assert (studio.versions(), platform.problems()) == ({OURS: 4}, ())


def test_a_tab_is_made_once_and_shows_the_batch_in_order(make: Callable[..., Studio]) -> None:
    studio = make(8)
    other = {"project": studio.project_id, "data": {"title": "Mine", "type": "list", "target": "tasks"}}
    studio.admin.answer("POST", "/api/dm/views/", body=other)
    for seed in (1, 2):
        order = shuffled(studio.names, seed)[:4]
        studio.connect(tab="Next batch").push(ranks_of(order))
        views = studio.admin.answer("GET", "/api/dm/views/", query={"project": studio.project_id})
        assert sorted(view["data"]["title"] for view in views) == ["Mine", "Next batch"]
        (tab,) = (view["id"] for view in views if view["data"]["title"] == "Next batch")
        rows = studio.admin.answer("GET", "/api/tasks", query={"view": tab, "project": studio.project_id})["tasks"]
        assert [row["id"] for row in rows] == [studio.task_of[name] for name in order]
        studio.admin.annotate(studio.task_of[order[0]])
        rows = studio.admin.answer("GET", "/api/tasks", query={"view": tab, "project": studio.project_id})["tasks"]
        assert [row["id"] for row in rows] == [studio.task_of[name] for name in order[1:]]
        studio.admin.delete_annotation(studio.admin.task(studio.task_of[order[0]])["annotations"][0]["id"])


@pytest.mark.parametrize(
    ("changes", "problems"),
    [
        ({}, []),
        ({"sampling": "Sequential sampling"}, ["the project's sampling is 'Sequential sampling'; set it to 'Uncertainty"]),
        ({"model_version": ""}, ["the project shows no model version of al-agent"]),
        ({"maximum_annotations": 2}, ["every task gets 2 annotations: tasks that others have begun come before"]),
        ({"maximum_annotations": 3, "show_overlap_first": True}, ["every task gets 3", "tasks with overlap come before"]),
        ({"show_collab_predictions": False}, ["shows no model version of al-agent", "does not show predictions"]),
    ],
)
def test_settings_that_break_the_order_are_told(
    make: Callable[..., Studio], changes: Mapping[str, Any], problems: list[str]
) -> None:
    studio = make(3)
    platform = studio.connect()
    platform.push(ranks_of(studio.names))
    studio.admin.set_project(studio.project_id, changes)
    found = platform.problems()
    assert isinstance(platform, ChecksSettings)
    assert len(found) == len(problems)
    for said, expected in zip(found, problems):
        assert expected in said


def test_an_order_that_somebody_switched_off_is_on_again_after_the_same_push(make: Callable[..., Studio]) -> None:
    studio = make(5)
    order = shuffled(studio.names)
    platform = studio.connect()
    platform.push(ranks_of(order))
    studio.admin.set_project(studio.project_id, {"show_collab_predictions": False})
    assert studio.settings()[1] == ""
    assert platform.push(ranks_of(order), verify=True) == PushReport(unchanged=tuple(order))
    assert studio.settings() == ("Uncertainty sampling", OURS)
    assert studio.served(5) == order


def test_verify_finds_settings_that_were_not_taken(make: Callable[..., Studio]) -> None:
    studio = make(2)
    studio.proxy.faults = [Fault(on=PROJECT, status=200, body={}, times=None)]
    report = studio.connect().push(ranks_of(studio.names), verify=True)
    assert report.failed == dict.fromkeys(studio.names, "the project shows the model version '' now")


# Names.


def test_ids_are_file_names_paths_numbers_or_fields(make: Callable[..., Studio]) -> None:
    studio = make(0)
    data: list[Mapping[str, Any]] = [
        {"image": "https://a.example/x/%C3%A4%20b.jpg?token=1", "code": "A-1"},
        {"image": "s3://bucket/deep/写真.png", "code": "A-2"},
        {"image": "/data/local-files/?d=imgs/sub/c%20d.jpg", "code": 17},
    ]
    tasks = studio.admin.import_tasks(studio.project_id, data)
    ids = {
        kind: [item.id for item in studio.connect(ids=kind).list_items()] for kind in ("name", "path", "remote", "data.code")
    }
    assert ids == {
        "name": ["ä b.jpg", "写真.png", "c d.jpg"],
        "path": ["x/ä b.jpg", "deep/写真.png", "imgs/sub/c d.jpg"],
        "remote": [str(task) for task in tasks],
        "data.code": ["A-1", "A-2", "17"],
    }
    for kind, (first, *_, last) in ids.items():
        platform = studio.connect(ids=kind)
        assert platform.push({last: 0, first: 1}).is_complete
        assert [item.id for item in platform.next_items(5)] == [last, first]
    items = list(studio.connect().list_items())
    assert items[1].media == "s3://bucket/deep/写真.png"
    assert items[2].media == f"{studio.proxy.origin}/data/local-files/?d=imgs/sub/c%20d.jpg"


def test_paths_are_those_of_the_keys_and_files(make: Callable[..., Studio]) -> None:
    path_of = {
        "s3://b/img#1.jpg": "img#1.jpg",
        "s3://b/img#2.jpg": "img#2.jpg",
        "s3://b/deep/img?1.jpg": "deep/img?1.jpg",
        "s3://b/deep/img?2.jpg": "deep/img?2.jpg",
        "gs://b/a%20b.jpg": "a%20b.jpg",
        "gs://b/a b.jpg": "a b.jpg",
        "azure-blob://b/c#d?e.jpg": "c#d?e.jpg",
        "https://a.example/x%2520y.jpg?token=1#2": "x%20y.jpg",
        "/data/local-files/?d=imgs/c%2520d.png": "imgs/c%20d.png",
        "/data/local-files?d=imgs/d.png": "imgs/d.png",
        "http://h/ls/data/local-files/?d=imgs/a.png": "imgs/a.png",
        "/data/upload/3/0123abcd-e%2520f.png": "e%20f.png",
        "/ls/data/upload/3/0123abcd-name.png": "name.png",
        "http://h/ls/data/upload/3/0123abcd-other.png": "other.png",
    }
    studio = make(0)
    studio.admin.import_tasks(studio.project_id, list(path_of))
    assert [item.id for item in studio.connect(ids="path").list_items()] == list(path_of.values())


def test_uploaded_and_local_files_have_the_names_that_they_had(make: Callable[..., Studio]) -> None:
    studio = make(0)
    root = studio.server.document_root
    assert root is not None
    folder = root / f"project {studio.project_id}" / "sub"
    folder.mkdir(parents=True)
    paths = [folder / "one.png", folder / "zwei ä.png"]
    for path in paths:
        Image.new("RGB", (8, 8)).save(path)
    uploaded = studio.admin.import_uploaded_files(studio.project_id, paths[:1])
    synced = studio.admin.import_local_files(studio.project_id, folder)
    items = list(studio.connect(ids="path").list_items())
    assert [int(item.remote_id) for item in items] == uploaded + synced
    local = sorted(str(path.relative_to(root)) for path in paths)
    assert [item.id for item in items] == ["one.png", *local]
    assert [item.id for item in studio.connect(ids="remote").list_items()] == [str(task) for task in uploaded + synced]


def test_two_tasks_of_one_name_are_an_error_that_names_both_and_the_ways_out(make: Callable[..., Studio]) -> None:
    studio = make(0)
    images = ["https://a.example/x/1.jpg", "https://a.example/y/1.jpg", "https://a.example/y/2.jpg"]
    tasks = studio.admin.import_tasks(studio.project_id, images)
    message = rf"'1.jpg' is the name of two items, {tasks[0]} and {tasks[1]}; .*ids=\"remote\".* or ids=\"path\""
    with pytest.raises(PlatformError, match=message):
        list(studio.connect().list_items())
    assert [item.id for item in studio.connect(ids="path").list_items()] == ["x/1.jpg", "y/1.jpg", "y/2.jpg"]
    report = studio.connect(ids="remote").push({str(tasks[1]): 0})
    assert report.updated == (str(tasks[1]),)


@pytest.mark.parametrize(
    ("ids", "data", "message"),
    [
        ("name", {"image": "data:image/png;base64,AAAA"}, r"has no file name in its data \(image\); use another id"),
        ("name", {"image": "s3://bucket/folder/"}, r"has no file name in its data \(image\); use another id"),
        ("data.code", {"image": "a.jpg", "other": 1}, "has no data.code: its data has the fields image, other"),
        ("data.code", {"image": "a.jpg", "code": ""}, "has no data.code"),
        ("data.code", {"image": "a.jpg", "code": [1]}, "has no data.code"),
    ],
)
def test_a_task_without_a_name_is_an_error_with_a_way_out(
    make: Callable[..., Studio], ids: str, data: dict[str, Any], message: str
) -> None:
    studio = make(0)
    (task,) = studio.admin.import_tasks(studio.project_id, [data])
    with pytest.raises(PlatformError, match=f"task {task} {message}"):
        list(studio.connect(ids=ids).list_items())


# Who asks.


def test_a_legacy_token_that_is_switched_off_is_told(make: Callable[..., Studio]) -> None:
    studio = make(1)
    studio.server.switch_tokens(legacy=False)
    try:
        with pytest.raises(AuthenticationFailed, match=r"legacy token .* has been disabled .*check LABEL_STUDIO"):
            list(studio.connect().list_items())
    finally:
        studio.server.switch_tokens()
    assert len(list(studio.connect().list_items())) == 1


def test_a_personal_token_is_exchanged_once_and_again_when_the_exchanged_one_expires(
    make: Callable[..., Studio],
) -> None:
    studio = make(4)
    personal = studio.admin.create_access_token()
    expired = studio.server.short_lived_token(personal, -10)
    exchange = "POST token/refresh"
    studio.proxy.faults = [Fault(on=exchange, rewrite=lambda request, answer: {"access": expired})]
    platform = studio.connect(api_key=personal)
    order = shuffled(studio.names)
    assert platform.push(ranks_of(order), verify=True).updated == tuple(order)
    assert len(studio.proxy.asked(exchange)) == 2
    access = {request.headers.get("authorization", "") for request in studio.proxy.requests} - {""}
    assert all(header.startswith("Bearer ") for header in access) and len(access) == 2
    shown = f"{platform!r} {vars(platform)} {platform.key} {platform._wire.http.secrets!r}"
    assert personal not in shown and expired not in shown
    assert all(personal not in str(dict(request.headers)) for request in studio.proxy.requests)


def test_a_revoked_personal_token_is_told(make: Callable[..., Studio]) -> None:
    studio = make(1)
    personal = studio.admin.create_access_token()
    studio.admin.revoke_access_token(personal)
    with pytest.raises(AuthenticationFailed, match=r"Token is blacklisted.*; check LABEL_STUDIO_API_KEY") as caught:
        list(studio.connect(api_key=personal).list_items())
    assert personal not in str(caught.value)


def test_a_token_of_nobody_is_told_without_showing_it(make: Callable[..., Studio]) -> None:
    with pytest.raises(AuthenticationFailed, match="Invalid token") as caught:
        list(make(1).connect(api_key="f" * 40).list_items())
    assert "f" * 40 not in str(caught.value)


def test_a_project_that_does_not_exist_is_not_found(make: Callable[..., Studio]) -> None:
    studio = make(1)
    for ask in (lambda p: list(p.list_items()), lambda p: p.push({"a": 0}), lambda p: p.restore(), lambda p: p.problems()):
        with pytest.raises(NotFound, match="is there a project 999999 that this key may see"):
            ask(studio.connect(project_id=999_999))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"url": None}, "there is no address: pass url="),
        ({"url": "localhost:8080"}, "the server's address is .*; expected one such as"),
        ({"project_id": None}, "project_id is None; expected the number in the project's address"),
        ({"project_id": "mine"}, "project_id is 'mine'"),
        ({"project_id": True}, "project_id is True"),
        ({"ids": "file"}, "ids is 'file'; expected 'name', 'path', 'remote' or 'data.FIELD'"),
        ({"tab": " "}, "tab is ' '; expected a title"),
    ],
)
def test_arguments_that_make_no_sense_are_refused(options: dict[str, Any], message: str) -> None:
    given = {"url": "https://labels.example.com", "project_id": 7, "api_key": "0123456789abcdef"}
    with pytest.raises(ValueError, match=message):
        PlatformLabelStudio(**{**given, **options})


def test_address_and_key_come_from_the_environment(make: Callable[..., Studio], monkeypatch: pytest.MonkeyPatch) -> None:
    studio = make(2)
    monkeypatch.setenv("LABEL_STUDIO_URL", studio.proxy.origin + "/")
    monkeypatch.setenv("LABEL_STUDIO_API_KEY", studio.server.token)
    platform = PlatformLabelStudio(project_id=str(studio.project_id))
    assert len(list(platform.list_items())) == 2
    assert platform.key == f"label-studio:{studio.proxy.origin.partition('//')[2]}/{studio.project_id}"
    assert platform.home is None
    monkeypatch.delenv("LABEL_STUDIO_API_KEY")
    with pytest.raises(AuthenticationFailed, match="set the environment variable LABEL_STUDIO_API_KEY"):
        PlatformLabelStudio(project_id=1)


def test_ranks_that_make_no_order_are_refused_before_anything_is_asked(make: Callable[..., Studio]) -> None:
    studio = make(2)
    for ranks in ({"a": -1}, {"a": 1_000_000}, {"a": 0.5}, {"a": True}, {"a": 1, "b": 1}):
        with pytest.raises(ValueError, match="rank"):
            studio.connect().push(ranks)  # type: ignore[arg-type]
    assert studio.proxy.requests == []


# What goes wrong on the way.


def test_tasks_deleted_after_the_listing_are_declined_and_the_others_are_done(make: Callable[..., Studio]) -> None:
    studio = make(8)
    platform = studio.connect()
    list(platform.list_items())
    gone = ["img_2.jpg", "img_5.jpg"]
    for name in gone:
        studio.admin.delete_task(studio.task_of[name])
    order = shuffled(studio.names)
    left = [name for name in order if name not in gone]
    report = platform.push(ranks_of(order), verify=True)
    assert (report.updated, report.failed) == (tuple(left), {})
    assert report.declined == dict.fromkeys([name for name in order if name in gone], "not in the project any more")
    assert studio.served(6) == left


def test_rows_that_the_server_drops_without_a_word_fail(make: Callable[..., Studio]) -> None:
    studio = make(5)
    studio.proxy.dropped = {studio.task_of["img_1.jpg"], studio.task_of["img_3.jpg"]}
    platform = studio.connect()
    report = platform.push(ranks_of(studio.names))
    assert report.updated == ("img_0.jpg", "img_2.jpg", "img_4.jpg")
    assert list(report.failed) == ["img_1.jpg", "img_3.jpg"]
    assert "Label Studio dropped it without a word" in report.failed["img_1.jpg"]
    assert studio.versions() == {OURS: 3}
    studio.proxy.dropped = set()
    assert platform.push(ranks_of(studio.names)).updated == ("img_1.jpg", "img_3.jpg")
    assert studio.served(5) == studio.names
    assert studio.versions() == {OURS: 5}


@pytest.mark.parametrize("then", ["reset", "cut"])
def test_an_import_whose_answer_is_lost_is_looked_up_and_not_doubled(make: Callable[..., Studio], then: Any) -> None:
    studio = make(6)
    studio.proxy.faults = [Fault(on=IMPORT, then=then)]
    assert studio.connect().push(ranks_of(studio.names)) == PushReport(updated=tuple(studio.names))
    assert len(studio.proxy.asked(IMPORT)) == 1
    assert studio.versions() == {OURS: 6}


def test_an_import_that_never_arrived_is_sent_again(make: Callable[..., Studio]) -> None:
    studio = make(6)
    studio.proxy.faults = [Fault(on=IMPORT, then="reset", applied=False)]
    assert studio.connect().push(ranks_of(studio.names)) == PushReport(updated=tuple(studio.names))
    assert len(studio.proxy.asked(IMPORT)) == 2
    assert studio.versions() == {OURS: 6}


def test_an_import_waits_as_long_as_the_server_asks(make: Callable[..., Studio]) -> None:
    studio = make(6)
    studio.proxy.faults = [Fault(on=IMPORT, status=503, headers={"Retry-After": "1"}, body={"detail": "later"})]
    assert studio.connect().push(ranks_of(studio.names)) == PushReport(updated=tuple(studio.names))
    first, second = studio.proxy.asked(IMPORT)
    assert second.time_s - first.time_s >= 1.0


@pytest.mark.parametrize(
    ("fault", "connection", "n_imports"),
    [
        (Fault(on=IMPORT, status=503, body={"detail": "later"}, times=9), QUICK, 10),
        (Fault(on=IMPORT, status=503, body={"detail": "later"}, times=None), QUICK, 10),
        (Fault(on=IMPORT, then="reset", applied=False, times=None), QUICK, 3),
        (
            Fault(on=IMPORT, status=503, headers={"Retry-After": "30"}, body={"detail": "later"}),
            replace(QUICK, give_up_after_s=20.0),
            1,
        ),
        (
            Fault(on=IMPORT, status=503, body={"detail": "later"}, delay_s=1.0, times=None),
            replace(QUICK, give_up_after_s=1.5),
            2,
        ),
    ],
)
def test_an_import_is_tried_within_the_patience_of_the_connection(
    make: Callable[..., Studio], fault: Fault, connection: Connection, n_imports: int
) -> None:
    studio = make(3)
    studio.proxy.faults = [replace(fault)]
    platform = studio.connect(connection=connection)
    if fault.times == 9:
        assert platform.push(ranks_of(studio.names)) == PushReport(updated=tuple(studio.names))
    else:
        with pytest.raises(Unavailable, match=r"in trouble \(503 later\)|the connection broke"):
            platform.push(ranks_of(studio.names))
    assert len(studio.proxy.asked(IMPORT)) == n_imports


def test_an_import_whose_answer_comes_after_all_patience_is_looked_up_too(make: Callable[..., Studio]) -> None:
    studio = make(6)
    studio.proxy.faults = [Fault(on=IMPORT, status=504, applied=True, delay_s=1.1)]
    platform = studio.connect(connection=replace(QUICK, give_up_after_s=1.0))
    assert platform.push(ranks_of(studio.names)) == PushReport(updated=tuple(studio.names))
    assert (len(studio.proxy.asked(IMPORT)), studio.versions()) == (1, {OURS: 6})


def test_an_import_is_not_repeated_unseen(make: Callable[..., Studio]) -> None:
    studio = make(6)
    lost = Fault(on=IMPORT, then="reset")
    blind = Fault(on="GET predictions", status=400, body={"detail": "no"})
    studio.proxy.faults = [lost, blind]
    with pytest.raises(Unavailable, match="the connection broke"):
        studio.connect().push(ranks_of(studio.names))
    assert (len(studio.proxy.asked(IMPORT)), studio.versions()) == (1, {OURS: 6})
    assert studio.connect().push(ranks_of(studio.names)) == PushReport(unchanged=tuple(studio.names))


def test_an_import_that_goes_on_after_its_client_gave_up_leaves_nothing_twice(make: Callable[..., Studio]) -> None:
    """As where a proxy closes the connection before the server has finished: nothing is there when it is looked up."""
    studio = make(6)
    held = list[Request]()

    def arrives_later(request: Request) -> None:
        if request.operation == IMPORT and not held:
            held.append(request)
        elif request.operation == IMPORT:  # the first one is done just before the second
            studio.admin.import_predictions(studio.project_id, held[0].body)

    studio.proxy.before_each = arrives_later
    studio.proxy.faults = [Fault(on=IMPORT, then="reset", applied=False)]
    report = studio.connect().push(ranks_of(studio.names), verify=True)
    assert report == PushReport(updated=tuple(studio.names))
    assert studio.versions() == {OURS: 6, "ours 1": 6}
    assert studio.version == max(row["model_version"] for row in studio.admin.list_predictions(studio.project_id))
    assert studio.connect().push(ranks_of(studio.names)) == PushReport(unchanged=tuple(studio.names))
    assert studio.versions() == {OURS: 6}
    assert studio.served(6) == studio.names


@pytest.mark.parametrize(
    ("failing", "versions", "why"),
    [
        (PROJECT, {OURS: 6, "ours 1": 5}, "its score is stored, and not served yet: Label Studio at"),
        (DELETE, {OURS: 6, "ours 1": 5}, None),
    ],
)
def test_a_push_that_was_ended_between_its_steps_is_finished_by_the_next(
    make: Callable[..., Studio], failing: str, versions: dict[str, int], why: str | None
) -> None:
    studio = make(6)
    order = shuffled(studio.names)
    platform = studio.connect()
    platform.push(ranks_of(order[:0:-1]))
    studio.proxy.faults = [Fault(on=failing, status=400, body={"detail": "no"}, times=None)]
    report = platform.push(ranks_of(order))
    assert studio.versions() == versions
    assert (list(report.failed), report.updated) == ((order, ()) if why else ([], tuple(order)))
    assert all(said.startswith(why or "-") for said in report.failed.values())
    studio.proxy.faults = []
    assert studio.connect().push(ranks_of(order), verify=True) == PushReport(unchanged=tuple(order))
    assert studio.versions() == {OURS: 6}
    assert studio.served(6) == order


PUSH = """
import sys
from al_agent.platforms.connection import Connection
from al_agent.platforms.label_studio import PlatformLabelStudio
platform = PlatformLabelStudio(sys.argv[1], sys.argv[2], connection=Connection(show_progress=False))
list(platform.list_items())
print("ready", flush=True)
platform.push({name: rank for rank, name in enumerate(sys.argv[3:])})
print("done", flush=True)
"""


def stored(studio: Studio) -> list[tuple[int, int]]:
    """Task and rank of the predictions of the version that the project shows, by rank."""
    version = studio.version
    rows = [row for row in studio.admin.list_predictions(studio.project_id) if row["model_version"] == version]
    return sorted(((row["task"], round(row["score"] * 1e6)) for row in rows), key=lambda row: row[1])


def test_our_process_killed_at_any_moment_leaves_every_prediction_once_after_the_next_push(
    make: Callable[..., Studio], monkeypatch: pytest.MonkeyPatch
) -> None:
    studio = make(300)
    monkeypatch.setenv("LABEL_STUDIO_API_KEY", studio.server.token)
    n_broken = 0
    for seed, after_s in enumerate((0.03, 0.1, 0.2, 0.35, 0.6)):
        order = shuffled(studio.names, seed)
        program = [sys.executable, "-c", PUSH, studio.proxy.origin, str(studio.project_id), *order]
        with subprocess.Popen(program, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
            time.sleep(after_s)
            process.send_signal(signal.SIGKILL)
            n_broken += process.stdout.read() == ""
        platform = studio.connect()
        assert platform.push(ranks_of(order), verify=True).is_complete
        assert stored(studio) == [(studio.task_of[name], rank) for rank, name in enumerate(order)]
        assert [item.id for item in platform.next_items(300)] == order
        assert studio.settings() == ("Uncertainty sampling", OURS)
    assert n_broken > 0
    studio.connect().restore()
    assert (studio.settings(), studio.versions()) == (("Sequential sampling", ""), {})


def test_a_server_that_is_killed_while_we_push_serves_the_whole_order_after_the_next_push(
    make: Callable[..., Studio],
) -> None:
    studio = make(300)
    for seed, after_s in enumerate((0.05, 0.3)):
        platform = studio.connect(url=studio.server.url)
        order = shuffled(studio.names, seed)
        list(platform.list_items())
        with ThreadPoolExecutor(1) as pool:
            push = pool.submit(platform.push, ranks_of(order))
            time.sleep(after_s)
            studio.server.kill()
            with contextlib.suppress(Unavailable):
                push.result()
        studio.server.start()
        assert platform.push(ranks_of(order), verify=True).is_complete
        assert stored(studio) == [(studio.task_of[name], rank) for rank, name in enumerate(order)]
        assert [item.id for item in platform.next_items(300)] == order


def test_queries_are_json_and_the_key_is_in_no_address(make: Callable[..., Studio]) -> None:
    studio = make(2)
    platform = studio.connect(tab="Next")
    platform.push(ranks_of(studio.names), verify=True)
    for request in studio.proxy.requests:
        assert request.headers["authorization"] == f"Token {studio.server.token}"
        assert studio.server.token not in f"{request.path} {dict(request.query)} {request.text}"
        if "query" in request.query:
            assert "filters" in json.loads(request.query["query"])
    assert studio.server.token not in f"{platform!r} {vars(platform)} {platform._wire.http!r}"
