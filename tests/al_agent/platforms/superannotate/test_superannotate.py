"""A SuperAnnotate project through the connector: what is listed, what is sent, and what is said about it."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from http_double import Request
from superannotate_double import Fault, SuperAnnotateDouble, stored_value

from al_agent import (
    ActiveLearningAgent,
    AuthenticationFailed,
    NotFound,
    PlatformError,
    PushReport,
    SamplerConfig,
    Scores,
    Unavailable,
)
from al_agent.platforms.base import ChecksSettings, Item, ItemState, LinksItems
from al_agent.platforms.connection import Connection
from al_agent.platforms.superannotate import PlatformSuperAnnotate
from al_agent.platforms.superannotate.wire import item_page

TOKEN = "test-owner=12345"
API_KEY = "sa_0123456789abcdef0123456789abcdef"
QUICK = Connection(first_wait_s=0.001, longest_wait_s=0.01, show_progress=False)
SCORES = "updateEntropy"


@pytest.fixture
def double() -> Iterator[SuperAnnotateDouble]:
    with SuperAnnotateDouble() as running:
        yield running


def connect(double: SuperAnnotateDouble, *where: Any, **options: Any) -> PlatformSuperAnnotate:
    given = {"api_key": double.token, "base_url": double.url, "connection": QUICK, **options}
    return PlatformSuperAnnotate(*(where or ("proj",)), **given)


def names(n_items: int) -> list[str]:
    return [f"img_{number:05d}.jpg" for number in range(n_items)]


def shuffled(item_ids: list[str], seed: int = 0) -> list[str]:
    return random.Random(seed).sample(item_ids, len(item_ids))


def ranks_of(item_ids: list[str]) -> dict[str, int]:
    return {item_id: rank for rank, item_id in enumerate(item_ids)}


def sent_scores(double: SuperAnnotateDouble) -> list[tuple[str, dict[str, Any]]]:
    """Folder and scores of each upload."""
    return [
        (request.query["folder_id"], {one["name"]: one["entropy_value"] for one in request.body["image_entropies"]})
        for request in double.asked(SCORES)
    ]


def test_every_item_is_listed_once_with_state_priority_and_media(double: SuperAnnotateDouble) -> None:
    all_names = names(6)
    double.add_items("root", all_names, url="https://bucket.example/x")
    for name, status in zip(all_names[1:], ["InProgress", "QualityCheck", "Returned", "Completed", "Skipped"]):
        double.set_status("root", [name], status)
    double.item("root", all_names[0]).entropy_value = 999_993.0
    items = list(connect(double).list_items())
    assert items[0] == Item(
        all_names[0],
        str(double.item("root", all_names[0]).id),
        all_names[0],
        ItemState.UNLABELED,
        7,
        f"https://bucket.example/x/{all_names[0]}",
    )
    assert [str(item.state) for item in items] == ["unlabeled", "locked", "labeled", "locked", "labeled", "skipped"]
    assert [item.priority for item in items[1:]] == [None] * 5


@pytest.mark.parametrize("n_items", [0, 1, 1999, 2000, 2001, 4500])
def test_folders_of_any_size_are_listed_whole(double: SuperAnnotateDouble, n_items: int) -> None:
    double.add_items("root", names(n_items))
    assert [item.id for item in connect(double).list_items()] == names(n_items)
    limits = {request.body["query"]["limit"] for request in double.asked("items/search")}
    assert max(limits) <= 2000


@pytest.mark.parametrize("where", [("proj",), (501,), ("proj", "root"), (501, 77), ("proj", ["root"]), ("proj", [77])])
def test_project_and_folder_go_by_name_or_number(double: SuperAnnotateDouble, where: tuple[Any, ...]) -> None:
    double.add_items("root", ["a.jpg"])
    platform = connect(double, *where)
    assert [item.id for item in platform.list_items()] == ["a.jpg"]
    assert platform.push({"a.jpg": 0}).updated == ("a.jpg",)


def test_a_project_goes_by_its_whole_name(double: SuperAnnotateDouble) -> None:
    other = double.add_project("my proj 2")
    double.add_items(other.folders["root"], ["other.jpg"])
    double.add_items("root", ["mine.jpg"])
    assert [item.id for item in connect(double, "proj").list_items()] == ["mine.jpg"]
    assert [item.id for item in connect(double, "my proj 2").list_items()] == ["other.jpg"]
    with pytest.raises(NotFound, match="SuperAnnotate has no project 'pro' in team 12345"):
        list(connect(double, "pro").list_items())


@pytest.mark.parametrize("where", [("proj", "never"), (502,), ("proj", 99), (502, "root")])
def test_what_does_not_exist_is_not_found(double: SuperAnnotateDouble, where: tuple[Any, ...]) -> None:
    with pytest.raises(NotFound, match="not found"):
        list(connect(double, *where).list_items())


def test_statuses_go_by_the_projects_own_names_whatever_their_numbers(double: SuperAnnotateDouble) -> None:
    project = double.add_project("own", {"To do": 40, "Labeling": 41, "Check": 42, "Ready": 43, "Skipped": 44})
    root = project.folders["root"]
    double.add_items(root, names(5))
    for name, status in zip(names(5)[1:], ["Labeling", "Check", "Ready", "Skipped"]):
        double.set_status(root, [name], status)
    platform = connect(double, "own", unlabeled=["To do"], labeled=["Check", "Ready"])
    assert [str(item.state) for item in platform.list_items()] == ["unlabeled", "locked", "labeled", "labeled", "skipped"]
    assert platform.push(ranks_of(names(5))).updated == (names(1)[0],)


def test_renamed_statuses_are_an_error_that_says_what_to_write(double: SuperAnnotateDouble) -> None:
    double.add_items("root", names(2))
    double.rename_statuses({"NotStarted": "Waiting"})
    with pytest.raises(
        ValueError, match=r"no status 'NotStarted'; its statuses are 'Waiting', 'InProgress', .* with unlabeled="
    ):
        list(connect(double).list_items())
    assert double.asked("items/search") == []
    states = [item.state for item in connect(double, unlabeled=["Waiting"]).list_items()]
    assert states == [ItemState.UNLABELED] * 2


def test_several_folders_are_one_project_and_a_name_in_two_of_them_is_two_items(double: SuperAnnotateDouble) -> None:
    day, night = double.add_folder("day"), double.add_folder("night")
    double.add_items(day, names(130))
    double.add_items(night, names(90))
    platform = connect(double, "proj", ["day", "night"])
    ids = [f"{folder}/{name}" for folder, n in (("day", 130), ("night", 90)) for name in names(n)]
    assert [item.id for item in platform.list_items()] == ids
    picks = shuffled(ids)
    report = platform.push(ranks_of(picks), verify=True)
    assert (set(report.updated), report.is_complete) == (set(picks), True)
    merged = [f"{folder}/{name}" for folder in ("day", "night") for name in double.queue(folder)]
    assert [i for i in merged if i.startswith("day")] == [i for i in picks if i.startswith("day")]
    assert [i for i in merged if i.startswith("night")] == [i for i in picks if i.startswith("night")]
    assert double.item("night", names(1)[0]).entropy_value == 1_000_000 - picks.index("night/img_00000.jpg")
    uploads = sent_scores(double)
    assert sorted((folder, len(scores)) for folder, scores in uploads) == sorted(
        [(str(day.id), 100), (str(day.id), 30), (str(night.id), 90)]
    )
    assert platform.push(ranks_of(picks)).unchanged == tuple(picks)


def test_one_folder_leaves_the_names_as_they_are_and_the_others_alone(double: SuperAnnotateDouble) -> None:
    double.add_folder("night")
    double.add_items("root", ["a.jpg"])
    double.add_items("night", ["a.jpg", "b.jpg"])
    platform = connect(double, "proj", "night")
    assert [item.id for item in platform.list_items()] == ["a.jpg", "b.jpg"]
    platform.push({"a.jpg": 0})
    assert (double.item("root", "a.jpg").entropy_value, double.item("night", "a.jpg").entropy_value) == (None, 10**6)


@pytest.mark.parametrize("n_picks", [1, 100, 101, 230])
def test_annotators_get_exactly_the_pushed_order(double: SuperAnnotateDouble, n_picks: int) -> None:
    all_names = names(240)
    double.add_items("root", all_names)
    picks = shuffled(all_names)[:n_picks]
    platform = connect(double)
    assert platform.push(ranks_of(picks)) == PushReport(updated=tuple(picks))
    assert double.queue()[:n_picks] == picks
    assert double.queue()[n_picks:] == [name for name in all_names if name not in picks]
    ranks = {item.id: item.priority for item in platform.list_items() if item.priority is not None}
    assert ranks == ranks_of(picks)


def test_scores_are_sent_as_whole_numbers_100_at_a_time_every_name_once(double: SuperAnnotateDouble) -> None:
    double.add_items("root", names(530))
    connect(double).push(ranks_of(names(530)))
    uploads = [scores for _, scores in sent_scores(double)]
    assert sorted(map(len, uploads)) == [30, 100, 100, 100, 100, 100]
    assert sorted(name for scores in uploads for name in scores) == names(530)
    assert {type(score) for scores in uploads for score in scores.values()} == {int}
    assert {score for scores in uploads for score in scores.values()} == set(range(999_471, 1_000_001))


def test_an_order_of_50_000_survives_what_the_server_does_to_numbers(double: SuperAnnotateDouble) -> None:
    all_names = [f"{number:05d}" for number in range(50_000)]
    double.add_items("root", all_names)
    picks = shuffled(all_names)
    platform = connect(double)
    assert len(platform.push(ranks_of(picks)).updated) == 50_000
    assert double.queue() == picks
    values = [double.item("root", name).entropy_value for name in picks]
    assert values == [stored_value(1_000_000 - rank) for rank in range(50_000)]
    assert platform.push(ranks_of(picks)).unchanged == tuple(picks)


def test_only_differences_are_sent_and_resets_only_for_items_that_have_a_score_and_wait(
    double: SuperAnnotateDouble,
) -> None:
    all_names = names(8)
    double.add_items("root", all_names)
    platform = connect(double)
    platform.push(ranks_of(all_names[:4]))
    double.set_status("root", [all_names[3]], "Completed")
    double.requests.clear()
    assert platform.push(ranks_of(all_names[:3])).unchanged == tuple(all_names[:3])
    assert sent_scores(double) == []

    report = platform.push({all_names[0]: 0, all_names[7]: 1}, [*all_names, "unknown.jpg"])
    assert (report.updated, report.unchanged) == ((all_names[7],), (all_names[0],))
    assert report.taken_back == (all_names[1], all_names[2])
    assert sent_scores(double) == [("77", {all_names[7]: 999_999}), ("77", dict.fromkeys(all_names[1:3], 0))]
    assert double.queue()[:2] == [all_names[0], all_names[7]]
    assert double.item("root", all_names[3]).entropy_value == 999_997.0


def test_scores_that_people_set_are_listed_and_replaced(double: SuperAnnotateDouble) -> None:
    double.add_items("root", names(4))
    for name, value in zip(names(4), (0.5, 1e-05, 123_456.78, 0.0)):
        double.item("root", name).entropy_value = value
    platform = connect(double)
    assert [item.priority for item in platform.list_items()] == [999_999, 999_999, 876_543, None]
    report = platform.push({names(4)[3]: 0, names(4)[0]: 999_999}, names(4)[1:3], verify=True)
    assert report == PushReport(updated=(names(4)[3], names(4)[0]), taken_back=tuple(names(4)[1:3]))
    assert [double.item("root", name).entropy_value for name in names(4)] == [1.0, 0.0, 0.0, 1_000_000.0]


def test_names_that_the_server_drops_silently_are_found_by_comparing(double: SuperAnnotateDouble) -> None:
    all_names = names(150)
    double.add_items("root", all_names)
    dropped = {all_names[7], all_names[120]}

    def drop(request: Request, answer: Any) -> Any:
        return {"data": [row for row in answer["data"] if row["name"] not in dropped]}

    double.faults = [Fault(on=SCORES, rewrite=drop, times=None)]
    report = connect(double).push(ranks_of(all_names))
    assert report.failed == dict.fromkeys(sorted(dropped), "the server did not confirm it")
    assert report.updated == tuple(name for name in all_names if name not in dropped)
    assert not report.is_complete


def test_items_deleted_or_moved_after_the_listing_are_declined(double: SuperAnnotateDouble) -> None:
    all_names = names(150)
    double.add_items("root", all_names)
    platform = connect(double)
    list(platform.list_items())
    gone = [all_names[3], all_names[120]]
    double.delete("root", gone)
    double.add_items(double.add_folder("elsewhere"), [gone[0]])
    report = platform.push(ranks_of(all_names))
    assert report.declined == dict.fromkeys(gone, "not in the project any more")
    assert report.updated == tuple(name for name in all_names if name not in gone)
    assert double.item("elsewhere", gone[0]).entropy_value is None


def test_items_that_cannot_be_ranked_are_declined_without_being_sent(double: SuperAnnotateDouble) -> None:
    all_names = names(4)
    double.add_items("root", all_names)
    double.set_status("root", all_names[:1], "Completed")
    double.set_status("root", all_names[1:2], "Skipped")
    double.set_status("root", all_names[2:3], "InProgress")
    report = connect(double).push(ranks_of([*all_names, "never.jpg"]))
    assert report.declined == {
        all_names[0]: "already labeled",
        all_names[1]: "already skipped",
        all_names[2]: "already locked",
        "never.jpg": "not in the project",
    }
    assert sent_scores(double) == [("77", {all_names[3]: 999_997})]


def test_verify_finds_scores_that_are_not_as_they_were_sent(double: SuperAnnotateDouble) -> None:
    all_names = names(700)
    double.add_items("root", all_names)
    platform = connect(double)

    def lie(request: Request, answer: Any) -> Any:
        return {"data": [{"name": one["name"]} for one in request.body["image_entropies"]]}

    def is_last(request: Request) -> bool:
        return request.operation == SCORES and request.body["image_entropies"][0]["name"] == all_names[600]

    double.faults = [Fault(on=is_last, rewrite=lie, applied=False, times=None)]
    report = platform.push(ranks_of(all_names), verify=True)
    assert report.failed == {
        name: f"the server has 0.0 where {1_000_000 - rank} was sent" for rank, name in enumerate(all_names) if rank >= 600
    }
    assert report.updated == tuple(all_names[:600])
    asked = [
        condition["name"]["$in"]
        for request in double.asked("items/search")
        for condition in request.body["query"]["search"].get("$and", ())
    ]
    assert sorted(map(len, asked)) == [200, 500]


def test_two_items_of_one_id_are_an_error_with_a_way_out(double: SuperAnnotateDouble) -> None:
    double.add_folder("a")
    double.add_folder("a/b")
    double.add_items("a", ["b/c.jpg"])
    double.add_items("a/b", ["c.jpg"])
    with pytest.raises(PlatformError, match=r"'a/b/c.jpg' is the name of two items, .*ids=\"remote\""):
        list(connect(double, "proj", ["a", "a/b"]).list_items())
    platform = connect(double, "proj", ["a", "a/b"], ids="remote")
    ids = [item.id for item in platform.list_items()]
    assert ids == [str(double.item("a", "b/c.jpg").id), str(double.item("a/b", "c.jpg").id)]
    assert platform.push({ids[1]: 0}).updated == (ids[1],)
    assert double.item("a/b", "c.jpg").entropy_value == 10**6


def test_names_in_any_script_are_kept_as_they_are(double: SuperAnnotateDouble) -> None:
    strange = ["straße/ä b.jpg", "写真.png", "a\u0301.jpg", "á.jpg", "🦊.jpg", 'quote".jpg', " lead.jpg", "50%&+#?.jpg"]
    double.add_folder("Ö & 1%")
    double.add_items("Ö & 1%", strange)
    platform = connect(double, "proj", "Ö & 1%")
    picks = shuffled(strange)
    assert platform.push(ranks_of(picks), verify=True).updated == tuple(picks)
    assert double.queue("Ö & 1%") == picks


@pytest.mark.parametrize(("token", "kind"), [(TOKEN, "sdk"), (API_KEY, "api_key")])
def test_both_kinds_of_tokens_say_what_they_are(token: str, kind: str) -> None:
    with SuperAnnotateDouble(token=token) as double:
        double.add_items("root", ["a.jpg"])
        platform = connect(double)
        assert platform.push({"a.jpg": 0}).updated == ("a.jpg",)
        assert {request.headers["authtype"] for request in double.requests} == {kind}
        assert {request.headers["authorization"] for request in double.requests} == {token}
        assert len(double.asked("users/me")) == (0 if kind == "sdk" else 1)


def test_a_key_of_an_organization_needs_a_team(monkeypatch: pytest.MonkeyPatch) -> None:
    with SuperAnnotateDouble(token=API_KEY, scope="organization") as double:
        double.add_items("root", ["a.jpg"])
        with pytest.raises(AuthenticationFailed, match=r"belongs to an organization, .* set SA_TEAM_ID or pass team_id="):
            list(connect(double).list_items())
        assert [item.id for item in connect(double, team_id=12345).list_items()] == ["a.jpg"]
        assert [item.id for item in connect(double, team_id="12345").list_items()] == ["a.jpg"]
        monkeypatch.setenv("SA_TEAM_ID", "12345")
        assert [item.id for item in connect(double).list_items()] == ["a.jpg"]


def test_a_token_of_another_team_is_refused() -> None:
    with pytest.raises(AuthenticationFailed, match="the token belongs to team 12345, and team_id is 7"):
        PlatformSuperAnnotate("proj", api_key=TOKEN, team_id=7)
    with SuperAnnotateDouble(token=API_KEY) as double, pytest.raises(AuthenticationFailed, match=r"team 12345, .* is 7"):
        list(connect(double, team_id=7).list_items())


def test_token_and_address_come_from_the_environment(double: SuperAnnotateDouble, monkeypatch: pytest.MonkeyPatch) -> None:
    double.add_items("root", ["a.jpg"])
    monkeypatch.setenv("SA_TOKEN", TOKEN)
    monkeypatch.setenv("SA_URL", double.url)
    assert [item.id for item in PlatformSuperAnnotate("proj", connection=QUICK).list_items()] == ["a.jpg"]
    monkeypatch.delenv("SA_URL")
    assert PlatformSuperAnnotate("proj", "f").key == "superannotate:api.superannotate.com/proj/f"
    monkeypatch.delenv("SA_TOKEN")
    with pytest.raises(AuthenticationFailed, match="set the environment variable SA_TOKEN"):
        PlatformSuperAnnotate("proj")


def test_each_request_goes_to_its_own_host() -> None:
    with SuperAnnotateDouble() as main, SuperAnnotateDouble() as item, SuperAnnotateDouble() as work:
        main.project.folders = item.project.folders
        item.add_items("root", ["a.jpg"])
        urls = {"base_url": main.url, "item_url": item.url, "work_management_url": work.url}
        assert connect(main, **urls).push({"a.jpg": 0}, verify=True).updated == ("a.jpg",)
        assert {request.operation for request in main.requests} == {"projects", "getFolderByName", "updateEntropy"}
        assert {request.operation for request in item.requests} == {"items/search"}
        assert {request.operation for request in work.requests} == {"workflowstatuses"}


def test_that_the_order_is_on_is_asked_of_the_user_and_only_a_warning(double: SuperAnnotateDouble, tmp_path: Path) -> None:
    double.add_items("root", names(5))
    platform = connect(double)
    assert isinstance(platform, ChecksSettings)
    (problem,) = platform.problems()
    assert "Priority scores task assignment" in problem and "is_order_on=True" in problem
    assert connect(double, is_order_on=True).problems() == ()
    agent = ActiveLearningAgent(platform, journal=tmp_path / "rounds")
    with pytest.warns(UserWarning, match="pass is_order_on=True"):
        batch = agent.query(SamplerConfig(3, method="RANDOM"))
    assert double.queue()[:3] == list(batch.item_ids)


def test_a_whole_round_of_the_agent_arrives_and_the_next_takes_the_rest_back(
    double: SuperAnnotateDouble, tmp_path: Path
) -> None:
    all_names = names(60)
    double.add_items("root", all_names)
    agent = ActiveLearningAgent(connect(double, is_order_on=True), journal=tmp_path / "rounds")
    values = {name: random.Random(name).random() for name in all_names}
    scores = Scores(tuple(all_names), {"s": list(values.values())})
    best = sorted(all_names, key=lambda name: -values[name])
    assert list(agent.query(SamplerConfig(10, method="UNCERTAINTY"), scores, verify=True).item_ids) == best[:10]
    assert double.queue()[:10] == best[:10]
    double.set_status("root", best[:4], "Completed")
    second = agent.query(SamplerConfig(5, method="RANDOM", seed=1))
    assert double.queue()[:5] == list(second.item_ids)
    assert sum(bool(item.entropy_value) for item in double.folder("root").items.values()) == 5 + 4
    assert agent.labeled_set == tuple(sorted(best[:4]))


@pytest.mark.parametrize(
    ("where", "options", "message"),
    [
        (("",), {}, "project is ''; expected its name or number"),
        ((None,), {}, "project is None"),
        ((True,), {}, "project is True"),
        (("p",), {"ids": "path"}, "ids is 'path'"),
        (("p",), {"unlabeled": "NotStarted"}, r"unlabeled is the single 'NotStarted'; write \['NotStarted'\]"),
        (("p",), {"labeled": "Completed"}, "labeled is the single 'Completed'"),
        (("p", []), {}, r"folder is \[\]; expected each folder once"),
        (("p", ["a", "a"]), {}, "expected each folder once"),
        (("p",), {"team_id": "my team"}, "team_id is 'my team'; expected a number"),
        (("p",), {"base_url": "superannotate.com"}, "the server's address is 'superannotate.com'"),
    ],
)
def test_arguments_that_make_no_sense_are_refused(where: tuple[Any, ...], options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        PlatformSuperAnnotate(*where, **{"api_key": TOKEN, **options})


@pytest.mark.parametrize(
    "ranks",
    [{"a": 1_000_000}, {"a": -1}, {"a": 0.5}, {"a": True}, {"a": float("nan")}, {"a": float("inf")}, {"a": 3, "b": 3}],
)
def test_ranks_that_make_no_order_are_refused_before_anything_is_asked(
    double: SuperAnnotateDouble, ranks: dict[str, Any]
) -> None:
    with pytest.raises(ValueError, match="rank"):
        connect(double).push(ranks)
    assert double.requests == []


def test_preannotations_are_refused_by_the_agent_before_a_round_is_made(double: SuperAnnotateDouble, tmp_path: Path) -> None:
    from al_agent import ClassificationPredictions  # noqa: PLC0415

    double.add_items("root", ["a.jpg"])
    agent = ActiveLearningAgent(connect(double), journal=tmp_path / "rounds")
    predictions = ClassificationPredictions(("a.jpg",), [[0.5, 0.5]])
    with pytest.raises(ValueError, match="PlatformSuperAnnotate has no pre-annotations"):
        agent.query(SamplerConfig(1, method="RANDOM"), preannotate=predictions)
    assert agent.history == ()


def test_a_wrong_token_is_said_so_without_showing_it(double: SuperAnnotateDouble) -> None:
    with pytest.raises(AuthenticationFailed, match="check SA_TOKEN, and whether its owner may see this project") as caught:
        list(connect(double, api_key="somebody-elses=12345").list_items())
    assert "somebody-elses" not in str(caught.value)


def test_the_token_is_sent_in_the_header_alone_and_never_shown(double: SuperAnnotateDouble) -> None:
    double.add_items("root", ["a.jpg"])
    platform = connect(double)
    platform.push({"a.jpg": 0}, verify=True)
    assert not any(TOKEN in f"{request.text} {request.path} {dict(request.query)}" for request in double.requests)
    assert TOKEN not in f"{platform!r} {platform} {platform.key} {vars(platform)} {vars(platform._wire)}"
    assert repr(platform) == "PlatformSuperAnnotate('proj')"
    assert repr(connect(double, "proj", ["a", 7])) == "PlatformSuperAnnotate('proj', ['a', 7])"
    assert platform.home is None


def test_one_kept_connection_serves_each_request_under_way_to_a_host(double: SuperAnnotateDouble) -> None:
    double.add_items("root", names(1500))
    double.delay_s = 0.002
    platform = connect(double, connection=Connection(n_parallel=2, show_progress=False))
    platform.push(ranks_of(names(1500)), verify=True)
    assert len(double.requests) > 18
    assert double.n_connections <= 2 * 3  # main, item and work-management are three hosts
    platform.close()
    assert len(list(platform.list_items())) == 1500


def test_a_listing_while_items_come_and_go_holds_every_item_that_was_there_all_along(double: SuperAnnotateDouble) -> None:
    all_names = names(6500)
    double.add_items("root", all_names)
    removed = all_names[100:140]
    left = list(removed)

    def work(request: Request) -> None:
        if request.operation == "items/search" and left:
            double.delete("root", [left.pop() for _ in range(10)])
            double.add_items("root", [f"new_{len(left)}.jpg"])

    double.before_each = work
    found = [item.id for item in connect(double).list_items()]
    assert len(found) == len(set(found))
    assert set(all_names) - set(removed) <= set(found)


@pytest.mark.parametrize(
    ("operation", "body", "error"),
    [
        ("items/search", [], Unavailable),
        ("items/search", "hello", Unavailable),
        ("items/search", {"data": None, "total": 7}, Unavailable),
        ("workflowstatuses", [], Unavailable),
        ("getFolderByName", [], Unavailable),
        ("projects", {"data": []}, NotFound),
        ("projects", [], NotFound),
    ],
)
def test_strange_answers_are_errors_of_ours(
    double: SuperAnnotateDouble, operation: str, body: Any, error: type[PlatformError]
) -> None:
    double.faults = [Fault(on=operation, status=200, body=body, times=None)]
    with pytest.raises(error):
        list(connect(double).list_items())


def test_an_upload_that_the_server_refuses_fails_its_batch_and_the_others_are_done(double: SuperAnnotateDouble) -> None:
    double.add_items("root", names(250))

    def is_second(request: Request) -> bool:
        return request.operation == SCORES and request.body["image_entropies"][0]["name"] == names(250)[100]

    double.faults = [Fault(on=is_second, status=400, body={"error": "boom"}, times=None)]
    report = connect(double).push(ranks_of(names(250)))
    assert list(report.failed) == names(250)[100:200]
    assert "it refused (400 boom)" in report.failed[names(250)[100]]
    assert report.updated == (*names(250)[:100], *names(250)[200:])


def test_nobody_may_upload_is_an_error_where_nothing_was_done(double: SuperAnnotateDouble) -> None:
    double.add_items("root", names(3))
    double.faults = [Fault(on=SCORES, status=403, body={"error": "no"}, times=None)]
    with pytest.raises(AuthenticationFailed, match="may see this project and upload priority scores"):
        connect(double).push(ranks_of(names(3)))


def test_a_link_is_made_for_the_cloud_alone_and_after_a_listing(double: SuperAnnotateDouble) -> None:
    double.add_items("root", names(1))
    elsewhere = connect(double)
    assert isinstance(elsewhere, LinksItems)
    (item,) = elsewhere.list_items()
    assert elsewhere.link(item) is None  # where a server of one's own shows items is not known
    assert PlatformSuperAnnotate("proj", api_key=TOKEN).link(item) is None  # nor is the project's number yet


def test_a_link_has_the_numbers_of_team_project_and_item() -> None:
    address = item_page(12345, 501, 'a/b?c="<d>"')
    assert address == "https://app.superannotate.com/editor/12345/501/a%2Fb%3Fc%3D%22%3Cd%3E%22"
