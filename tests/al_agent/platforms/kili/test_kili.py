"""A Kili project through the connector: what is listed, what is sent, and what is said about it."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from http_double import Request
from kili_double import Fault, KiliDouble, graphql_error

from al_agent import (
    ActiveLearningAgent,
    AuthenticationFailed,
    NotFound,
    PlatformError,
    PushReport,
    Rejected,
    SamplerConfig,
    Scores,
    Unavailable,
)
from al_agent.platforms.base import Guess, Item, ItemState, LinksItems
from al_agent.platforms.connection import Connection
from al_agent.platforms.kili import PlatformKili
from al_agent.platforms.pace import shared_pace

KEY = "kili-test-key"
QUICK = Connection(first_wait_s=0.001, longest_wait_s=0.01, show_progress=False)
EXACT, MANY = "updatePropertiesInAssets", "setAssetsPriority"
JOBS = {
    "jobs": {
        "KIND": {"mlTask": "CLASSIFICATION", "content": {"categories": {"CAT": {"name": "Cat"}, "DOG": {"name": "Dog"}}}},
        "BOX": {
            "mlTask": "OBJECT_DETECTION",
            "tools": ["rectangle"],
            "content": {"categories": {"CAR": {"name": "Car"}}},
        },
    }
}


@pytest.fixture
def double() -> Iterator[KiliDouble]:
    with KiliDouble(json_interface=JOBS) as running:
        yield running


def connect(double: KiliDouble, **options: Any) -> PlatformKili:
    project_id = options.pop("project_id", double.project.project_id)
    return PlatformKili(project_id, **{"api_key": KEY, "base_url": double.url, "connection": QUICK, **options})


def names(n_assets: int) -> list[str]:
    return [f"img_{number:05d}.jpg" for number in range(n_assets)]


def shuffled(item_ids: list[str], seed: int = 0) -> list[str]:
    return random.Random(seed).sample(item_ids, len(item_ids))


def ranks_of(item_ids: list[str]) -> dict[str, int]:
    return {item_id: rank for rank, item_id in enumerate(item_ids)}


def queue(double: KiliDouble) -> list[str]:
    """External ids in the order in which annotators get them."""
    return [double.project.names[double.project.row(asset)] for asset in double.queue()]


def sent_ids(requests: list[Request]) -> list[list[str]]:
    """The ids of each mutation."""
    found = []
    for request in requests:
        variables = request.body["variables"]
        found.append(
            [one["id"] for one in variables["whereArray"]] if "whereArray" in variables else variables["where"]["idIn"]
        )
    return found


def test_every_asset_is_listed_once_in_order_of_creation_with_state_priority_and_media(double: KiliDouble) -> None:
    all_names = names(250)
    ids = double.add_assets(all_names)
    double.label(all_names[0])
    double.start(all_names[1])
    double.skip(all_names[2])
    double.label(all_names[3])
    double.send_back(all_names[3])
    double.project.partly_label(all_names[4])
    double.project.make_honeypot(all_names[5])
    double.label(all_names[6])
    double.label(all_names[6], "REVIEW")
    double.label(all_names[7], "PREDICTION")
    double.project.set_priority(8, 999_998)

    items = list(connect(double).list_items())
    assert [item.id for item in items] == all_names
    assert [item.remote_id for item in items] == ids
    special = (
        ItemState.LABELED,
        ItemState.LOCKED,
        ItemState.SKIPPED,
        ItemState.UNLABELED,
        ItemState.PARTLY,
        ItemState.LOCKED,
        ItemState.LABELED,
    )
    assert tuple(item.state for item in items) == special + (ItemState.UNLABELED,) * 243
    assert {item.id: item.priority for item in items if item.priority is not None} == {all_names[8]: 2}
    assert items[9].media == f"https://assets.example/clproject000/{all_names[9]}"


@pytest.mark.parametrize("workflow", ["V1", "V2", "V3"])
def test_labels_in_every_workflow_are_seen_and_what_waits_is_what_annotators_get(workflow: Any) -> None:
    with KiliDouble(workflow=workflow) as double:
        double.add_assets(names(6))
        double.label("img_00000.jpg")
        double.start("img_00001.jpg")
        double.project.partly_label("img_00002.jpg")
        double.label("img_00003.jpg")
        double.send_back("img_00003.jpg")
        states = {item.id: str(item.state) for item in connect(double).list_items()}
        assert list(states.values()) == ["labeled", "locked", "partly", "unlabeled", "unlabeled", "unlabeled"]
        assert {item_id for item_id, state in states.items() if state == "unlabeled"} == set(queue(double))


@pytest.mark.parametrize("workflow", ["V1", "V2", "V3"])
@pytest.mark.parametrize("n_picks", [1, 99, 100, 101, 230])
def test_annotators_get_exactly_the_pushed_order(workflow: Any, n_picks: int) -> None:
    with KiliDouble(workflow=workflow) as double:
        all_names = names(240)
        double.add_assets(all_names)
        picks = shuffled(all_names)[:n_picks]
        platform = connect(double)
        report = platform.push(ranks_of(picks))
        assert report == PushReport(updated=tuple(picks))
        assert queue(double)[:n_picks] == picks
        assert queue(double)[n_picks:] == [name for name in all_names if name not in picks]
        assert [item.priority for item in platform.list_items()] == [
            picks.index(name) if name in picks else None for name in all_names
        ]


def test_every_id_is_sent_once_and_at_most_100_at_a_time(double: KiliDouble) -> None:
    ids = double.add_assets(names(730))
    connect(double).push(ranks_of(names(730)))
    sent = sent_ids(double.asked(EXACT))
    assert sorted(map(len, sent)) == [30, *[100] * 7]
    assert sorted(asset_id for batch in sent for asset_id in batch) == ids
    assert double.asked(MANY) == []


def test_a_rank_keeps_its_number_whatever_else_is_pushed(double: KiliDouble) -> None:
    double.add_assets(names(3))
    platform = connect(double)
    platform.push({"img_00001.jpg": 41})
    platform.push({"img_00002.jpg": 7})
    assert [double.priority(name) for name in names(3)] == [0, 999_959, 999_993]


def test_only_differences_are_sent(double: KiliDouble) -> None:
    all_names = names(300)
    double.add_assets(all_names)
    platform = connect(double)
    platform.push(ranks_of(all_names[:250]))
    assert len(double.asked(EXACT)) == 3
    double.requests.clear()

    assert platform.push(ranks_of(all_names[:250])) == PushReport(unchanged=tuple(all_names[:250]))
    assert double.asked(EXACT) == []

    swapped = {**ranks_of(all_names[:250]), all_names[0]: 1, all_names[1]: 0}
    report = platform.push(swapped)
    assert (report.updated, len(report.unchanged)) == ((all_names[1], all_names[0]), 248)
    assert sent_ids(double.asked(EXACT)) == [[double.project.asset_id(1), double.project.asset_id(0)]]


def test_resets_are_sent_only_for_items_that_have_a_priority_and_wait(double: KiliDouble) -> None:
    all_names = names(8)
    double.add_assets(all_names)
    platform = connect(double)
    platform.push(ranks_of(all_names[:4]))
    double.label(all_names[3])
    double.requests.clear()

    resets = [*all_names[:6], "unknown.jpg"]
    report = platform.push({all_names[0]: 0, all_names[7]: 1}, resets)
    assert report.taken_back == (all_names[1], all_names[2])
    assert (report.updated, report.unchanged) == ((all_names[7],), (all_names[0],))
    assert sent_ids(double.asked(EXACT)) == [[double.project.asset_id(7)], [double.project.asset_id(n) for n in (1, 2)]]
    assert [double.priority(name) for name in all_names] == [10**6, 0, 0, 999_997, 0, 0, 0, 999_999]
    assert queue(double)[:2] == [all_names[0], all_names[7]]


def test_tiers_send_one_priority_to_many_and_keep_the_order_of_tiers(double: KiliDouble) -> None:
    all_names = names(400)
    double.add_assets(all_names)
    picks = shuffled(all_names)[:300]
    platform = connect(double, priorities="tiers")
    assert platform.push(ranks_of(picks)).updated == tuple(picks)
    assert double.asked(EXACT) == []
    assert sorted(map(len, sent_ids(double.asked(MANY)))) == [1, 2, 4, 8, 16, 28, 32, 45, 64, 100]
    served = queue(double)[:300]
    for tier in range(9):
        first, last = 2**tier - 1, min(2 ** (tier + 1) - 1, 300)
        assert served[first:last] == sorted(picks[first:last])  # the older one first, within a tier
    double.requests.clear()
    assert platform.push(ranks_of(picks)).unchanged == tuple(picks)
    assert double.asked(MANY) == []


@pytest.mark.parametrize(
    "message",
    [
        "[deprecated] priority cannot be updated this way, use setAssetsPriority",
        "Cannot query field 'updatePropertiesInAssets' on type 'Mutation'.",
        'Cannot query field "updatePropertiesInAssets" on type "Mutation".',
        'Unknown type "AssetData".',
    ],
)
def test_auto_falls_back_to_tiers_where_exact_priorities_are_refused_and_remembers(double: KiliDouble, message: str) -> None:
    double.add_assets(names(120))
    picks = shuffled(names(120))
    double.faults = [Fault(on=EXACT, status=200, body=graphql_error(message), times=None)]
    platform = connect(double)
    report = platform.push(ranks_of(picks))
    assert report == PushReport(updated=tuple(picks))
    assert queue(double)[0] == picks[0]
    assert set(queue(double)[1:3]) == set(picks[1:3])
    n_tries = len(double.asked(EXACT))
    assert platform.push(ranks_of(picks[1:]), [picks[0]]).taken_back == (picks[0],)
    assert len(double.asked(EXACT)) == n_tries


def test_tiers_fall_back_to_the_older_mutation_where_the_newer_is_missing(double: KiliDouble) -> None:
    double.add_assets(names(12))
    picks = shuffled(names(12))
    double.lacks_new_mutation = True
    assert connect(double, priorities="tiers").push(ranks_of(picks)) == PushReport(updated=tuple(picks))
    assert {double.priority(name) for name in picks[3:7]} == {999_997}
    assert queue(double)[:3] == [picks[0], *sorted(picks[1:3])]


@pytest.mark.parametrize("priorities", ["exact", "tiers", "auto"])
def test_a_server_that_takes_priorities_in_no_way_fails_every_item_and_says_why(double: KiliDouble, priorities: Any) -> None:
    double.add_assets(names(3))
    double.refuses_old_priorities = double.lacks_new_mutation = True
    report = connect(double, priorities=priorities).push(ranks_of(names(3)))
    assert list(report.failed) == names(3)
    assert "[deprecated] priority cannot be updated this way" in report.failed["img_00000.jpg"]
    assert not report.updated and not report.is_complete


def test_exact_does_not_fall_back(double: KiliDouble) -> None:
    double.add_assets(names(3))
    double.refuses_old_priorities = True
    report = connect(double, priorities="exact").push(ranks_of(names(3)))
    assert list(report.failed) == names(3)
    assert double.asked(MANY) == []


def test_declined_and_failed_are_told_apart_with_the_servers_reasons(double: KiliDouble) -> None:
    all_names = names(7)
    ids = double.add_assets(all_names)
    platform = connect(double, priorities="tiers")
    list(platform.list_items())
    double.start(all_names[3])  # after the listing
    double.failing = {ids[4]}
    double.skip(all_names[6])
    report = platform.push(ranks_of(all_names))
    assert report.declined == dict.fromkeys(
        (all_names[3], all_names[6]), "Kili declined it: its step is not waiting for work"
    )
    assert report.failed == {all_names[4]: "Kili failed on it: the write failed"}
    assert report.updated == (*all_names[:3], all_names[5])
    assert not report.is_complete


def test_items_that_cannot_be_ranked_are_declined_without_being_sent(double: KiliDouble) -> None:
    all_names = names(4)
    double.add_assets(all_names)
    double.label(all_names[0])
    double.skip(all_names[1])
    report = connect(double).push(ranks_of([*all_names, "never.jpg"]))
    assert report.declined == {
        all_names[0]: "already labeled",
        all_names[1]: "already skipped",
        "never.jpg": "not in the project",
    }
    assert report.updated == (all_names[2], all_names[3])
    assert sent_ids(double.asked(EXACT)) == [[double.project.asset_id(2), double.project.asset_id(3)]]


@pytest.mark.parametrize("priorities", ["exact", "tiers"])
def test_assets_deleted_after_the_listing_are_declined_and_the_others_are_done(double: KiliDouble, priorities: Any) -> None:
    all_names = names(150)
    double.add_assets(all_names)
    platform = connect(double, priorities=priorities)
    list(platform.list_items())
    gone = [all_names[3], all_names[120]]
    for name in gone:
        double.delete(name)
    report = platform.push(ranks_of(all_names))
    assert report.declined == dict.fromkeys(gone, "not in the project any more")
    assert report.updated == tuple(name for name in all_names if name not in gone)
    assert report.is_complete


def test_a_batch_refused_for_one_deleted_asset_is_sent_again_without_it(double: KiliDouble) -> None:
    all_names = names(30)
    ids = double.add_assets(all_names)
    platform = connect(double)
    list(platform.list_items())
    double.delete(all_names[7])

    def names_the_gone(request: Request) -> bool:
        return request.operation == EXACT and any(one["id"] == ids[7] for one in request.body["variables"]["whereArray"])

    double.faults = [Fault(on=names_the_gone, status=200, body=graphql_error("[assetNotFound] no such asset"), times=None)]
    report = platform.push(ranks_of(all_names))
    assert report.declined == {all_names[7]: "not in the project any more"}
    assert report.updated == tuple(name for name in all_names if name != all_names[7])
    assert queue(double) == [name for name in all_names if name != all_names[7]]


def test_the_exact_mutation_confirms_an_asset_that_somebody_has_begun_and_verify_finds_it(double: KiliDouble) -> None:
    all_names = names(3)
    double.add_assets(all_names)
    platform = connect(double)
    list(platform.list_items())
    double.start(all_names[1])
    report = platform.push(ranks_of(all_names), verify=True)
    assert report.updated == (all_names[0], all_names[2])
    assert report.failed == {all_names[1]: "the server has 0 where 999999 was sent"}


def test_verify_finds_a_server_that_confirms_what_it_does_not_do(double: KiliDouble) -> None:
    all_names = names(250)
    double.add_assets(all_names)
    platform = connect(double)
    platform.push(ranks_of(all_names[200:]))
    ids = double.project.asset_ids()

    def confirm(request: Request, answer: Any) -> Any:
        return {"data": {"data": [{"id": one["id"]} for one in request.body["variables"]["whereArray"]]}}

    double.faults = [Fault(on=EXACT, rewrite=confirm, applied=False, times=None)]
    assert platform.push(ranks_of(all_names[:3])).updated == tuple(all_names[:3])
    report = platform.push(ranks_of(all_names[:3]), all_names[200:], verify=True)
    assert report.failed[all_names[0]] == "the server has 0 where 1000000 was sent"
    assert report.failed[all_names[200]] == "the server has 1,000,000 where 0 was sent"
    assert list(report.failed) == [*all_names[:3], *all_names[200:]]
    assert not report.updated and not report.taken_back
    read = [
        set(one.body["variables"]["where"]["idIn"])
        for one in double.asked("assets")
        if "idIn" in one.body["variables"]["where"]
    ]
    assert sum(map(len, read)) == 53
    assert set().union(*read) == {*ids[:3], *ids[200:]}


def test_verify_is_content_with_an_honest_server_and_notices_what_was_deleted_since(double: KiliDouble) -> None:
    all_names = names(5)
    double.add_assets(all_names)
    platform = connect(double)
    platform.push(ranks_of(all_names[:2]))
    assert platform.push(ranks_of(all_names[:3]), verify=True) == PushReport(
        updated=(all_names[2],), unchanged=tuple(all_names[:2])
    )
    list(platform.list_items())
    double.delete(all_names[1])
    report = platform.push(ranks_of(all_names[:3]), verify=True)
    assert report.failed == {all_names[1]: "it is gone"}


def test_two_assets_of_one_name_are_an_error_that_names_both_and_the_way_out(double: KiliDouble) -> None:
    ids = double.add_assets(["a.jpg", "b.jpg", "a.jpg"])
    with pytest.raises(PlatformError, match=rf"'a.jpg' is the name of two items, {ids[0]} and {ids[2]}; .*ids=\"remote\""):
        list(connect(double).list_items())
    platform = connect(double, ids="remote")
    assert [(item.id, item.name) for item in platform.list_items()] == list(zip(ids, ["a.jpg", "b.jpg", "a.jpg"]))
    assert platform.push({ids[2]: 0, ids[0]: 1}).updated == (ids[2], ids[0])
    assert double.queue() == [ids[2], ids[0], ids[1]]


def test_names_in_any_script_are_kept_as_they_are(double: KiliDouble) -> None:
    strange = ["straße/ä b.jpg", "写真.png", "a\u0301.jpg", "á.jpg", "🦊.jpg", 'quote".jpg', "new\nline.jpg", " lead.jpg"]
    double.add_assets(strange)
    platform = connect(double)
    assert [item.id for item in platform.list_items()] == strange
    picks = shuffled(strange)
    assert platform.push(ranks_of(picks), verify=True).updated == tuple(picks)
    assert queue(double) == picks


def test_preannotations_are_stored_under_our_model_and_replaced_by_the_next(double: KiliDouble) -> None:
    all_names = names(150)
    double.add_assets(all_names)
    double.label(all_names[149])
    platform = connect(double)
    guesses = {name: [Guess("Cat", 0.75)] for name in all_names}
    guesses[all_names[1]] = [Guess("Car", 0.5, (0.1, 0.2, 0.3, 0.4)), Guess("Car", 0.25, (0.5, 0.5, 1.0, 1.0))]
    report = platform.push(ranks_of(all_names[:120]), preannotations=guesses)
    assert report == PushReport(updated=tuple(all_names[:120]))
    cat = {"KIND": {"categories": [{"name": "CAT", "confidence": 75}]}}
    assert double.predictions(all_names[0]) == [("al-agent", cat)]
    ((model, boxes),) = double.predictions(all_names[1])
    assert (model, len(boxes["BOX"]["annotations"])) == ("al-agent", 2)
    assert double.predictions(all_names[120]) == []  # it has no rank
    batches = [request.body["variables"]["data"]["labelsData"] for request in double.asked("appendManyLabels")]
    assert sorted(map(len, batches)) == [20, 100]

    platform.push({all_names[0]: 0}, preannotations={all_names[0]: [Guess("Dog", 1.0)]})
    assert double.predictions(all_names[0]) == [("al-agent", {"KIND": {"categories": [{"name": "DOG", "confidence": 100}]}})]


def test_other_models_predictions_stay(double: KiliDouble) -> None:
    double.add_assets(names(1))
    double.project.add_label(0, "PREDICTION", model_name="theirs", json_response='{"A": 1}')
    connect(double).push({"img_00000.jpg": 0}, preannotations={"img_00000.jpg": [Guess("Cat", 0.5)]})
    assert [model for model, _ in double.predictions("img_00000.jpg")] == ["theirs", "al-agent"]


def test_a_category_that_the_project_lacks_is_refused_before_anything_is_sent(double: KiliDouble) -> None:
    double.add_assets(names(3))
    guesses = {"img_00000.jpg": [Guess("Cat", 0.9)], "img_00002.jpg": [Guess("Zebra", 0.5)]}
    with pytest.raises(ValueError, match=r"'Zebra' for 'img_00002.jpg' .* 'Cat', 'Dog'"):
        connect(double).push(ranks_of(names(3)), preannotations=guesses)
    assert {request.operation for request in double.requests} == {"projects", "countAssets", "assets"}
    assert double.project.priorities.tolist() == [0, 0, 0]


def test_guesses_that_are_not_stored_are_reported_and_the_order_is_pushed_all_the_same(double: KiliDouble) -> None:
    double.add_assets(names(2))
    double.faults = [Fault(on="appendManyLabels", status=200, body=graphql_error("[wrongInput] no"), times=None)]
    guesses = {"img_00001.jpg": [Guess("Cat", 0.9)]}
    report = connect(double).push(ranks_of(names(2)), preannotations=guesses)
    assert report.failed == {"img_00001.jpg": "its guesses were not stored: Kili: [wrongInput] no"}
    assert report.updated == ("img_00000.jpg",)
    assert queue(double) == names(2)


def test_an_asset_deleted_before_its_guesses_come_does_not_cost_the_others_theirs(double: KiliDouble) -> None:
    double.add_assets(names(5))
    platform = connect(double)
    list(platform.list_items())
    double.delete("img_00002.jpg")
    guesses = {name: [Guess("Cat", 0.5)] for name in names(5)}
    report = platform.push(ranks_of(names(5)), preannotations=guesses)
    kept = [name for name in names(5) if name != "img_00002.jpg"]
    assert report == PushReport(updated=tuple(kept), declined={"img_00002.jpg": "not in the project any more"})
    assert [len(double.predictions(name)) for name in kept] == [1, 1, 1, 1]


@pytest.mark.parametrize("with_path", [True, False])
@pytest.mark.parametrize("slash", ["", "/"])
def test_the_address_may_have_the_path_of_the_endpoint_or_not(double: KiliDouble, with_path: bool, slash: str) -> None:
    double.add_assets(names(2))
    platform = connect(double, base_url=(double.url if with_path else double.origin) + slash)
    assert [item.id for item in platform.list_items()] == names(2)
    assert platform.key == f"kili:{double.origin.partition('//')[2]}/clproject000"


def test_key_and_address_come_from_the_environment(double: KiliDouble, monkeypatch: pytest.MonkeyPatch) -> None:
    double.add_assets(names(2))
    monkeypatch.setenv("KILI_API_KEY", KEY)
    monkeypatch.setenv("KILI_API_ENDPOINT", double.url)
    platform = PlatformKili("clproject000", connection=QUICK)
    assert len(list(platform.list_items())) == 2
    monkeypatch.delenv("KILI_API_ENDPOINT")
    assert PlatformKili("clproject000").key == "kili:cloud.kili-technology.com/clproject000"
    monkeypatch.delenv("KILI_API_KEY")
    with pytest.raises(AuthenticationFailed, match="set the environment variable KILI_API_KEY"):
        PlatformKili("clproject000")


def test_an_official_client_lends_its_key_and_address(double: KiliDouble) -> None:
    double.add_assets(names(2))
    client = SimpleNamespace(api_key=KEY, api_endpoint=double.url, verify=True)
    platform = PlatformKili("clproject000", client=client, connection=QUICK)
    assert platform.push({"img_00001.jpg": 0}).updated == ("img_00001.jpg",)


@pytest.mark.parametrize(
    ("client", "options", "message"),
    [
        (SimpleNamespace(), {}, "client is SimpleNamespace; expected an official Kili client"),
        (SimpleNamespace(api_key=3, api_endpoint="http://x"), {}, "expected an official Kili client"),
        (SimpleNamespace(api_key=KEY, api_endpoint="http://x"), {"api_key": KEY}, "give no api_key and base_url beside it"),
        (SimpleNamespace(api_key=KEY, api_endpoint="http://x"), {"base_url": "http://x"}, "give no api_key and base_url"),
        (SimpleNamespace(api_key=KEY, api_endpoint="http://x", verify=False), {}, "the client checks no certificates"),
    ],
)
def test_a_client_that_will_not_do_is_refused(client: Any, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        PlatformKili("clproject000", client=client, **options)


@pytest.mark.parametrize(
    ("project_id", "options", "message"),
    [
        ("", {}, "project_id is ''"),
        ("  ", {}, "project_id is '  '"),
        (7, {}, "project_id is 7; expected the id in the project's address"),
        (None, {}, "project_id is None"),
        ("p", {"priorities": "best"}, "priorities is 'best'; expected 'auto', 'exact' or 'tiers'"),
        ("p", {"ids": "path"}, "ids is 'path'; expected 'name' or 'remote'"),
        ("p", {"calls_per_minute": 0}, "calls_per_minute is 0; expected 1 or more, or None"),
        ("p", {"base_url": "ftp://x"}, "the server's address is 'ftp://x"),
        ("p", {"base_url": "https://ann:secret@x"}, "holds a user name or password"),
    ],
)
def test_arguments_that_make_no_sense_are_refused(project_id: Any, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message) as caught:
        PlatformKili(project_id, **{"api_key": KEY, **options})
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("ranks", "message"),
    [
        ({"img_00000.jpg": 1_000_000}, "the rank of 'img_00000.jpg' is 1000000; expected a whole number from 0 to 999,999"),
        ({"img_00000.jpg": -1}, "is -1"),
        ({"img_00000.jpg": 0.5}, "is 0.5"),
        ({"img_00000.jpg": True}, "is True"),
        ({"img_00000.jpg": float("nan")}, "is nan"),
        ({"img_00000.jpg": 3, "img_00001.jpg": 3}, "'img_00000.jpg' and 'img_00001.jpg' both have rank 3"),
    ],
)
def test_ranks_that_make_no_order_are_refused_before_anything_is_asked(
    double: KiliDouble, ranks: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        connect(double).push(ranks)
    assert double.requests == []


def test_a_rank_at_the_end_of_the_range_is_stored(double: KiliDouble) -> None:
    double.add_assets(names(2))
    connect(double).push({"img_00000.jpg": 999_999, "img_00001.jpg": 0})
    assert [double.priority(name) for name in names(2)] == [1, 1_000_000]


def test_every_request_goes_through_the_pace_of_500_a_minute_that_all_connectors_share(double: KiliDouble) -> None:
    double.add_assets(names(2))
    first, second = connect(double), connect(double)
    list(first.list_items())
    double.requests.clear()
    begun_s = time.monotonic()
    shared_pace(double.origin, 500).hold(0.25)
    list(first.list_items())
    shared_pace(double.origin, 500).hold(0.25)
    second.push({"img_00000.jpg": 0})
    assert double.requests[0].time_s - begun_s >= 0.25
    assert double.asked(EXACT)[0].time_s - begun_s >= 0.5


@pytest.mark.parametrize("n_parallel", [1, 3])
def test_one_kept_connection_serves_each_request_under_way(double: KiliDouble, n_parallel: int) -> None:
    all_names = names(1500)
    double.add_assets(all_names)
    double.delay_s = 0.002
    platform = connect(double, connection=Connection(n_parallel=n_parallel, show_progress=False))
    platform.push(ranks_of(all_names))
    assert len(double.requests) > 30
    assert double.n_connections <= n_parallel
    platform.close()
    assert platform.push(ranks_of(all_names)).unchanged == tuple(all_names)


def test_nothing_is_sent_before_it_is_asked_for(double: KiliDouble) -> None:
    platform = connect(double)
    assert platform.home is None
    assert double.requests == []


def test_the_key_is_sent_in_the_header_alone_and_never_shown(double: KiliDouble) -> None:
    double.add_assets(names(2))
    platform = connect(double)
    platform.push(ranks_of(names(2)), verify=True)
    assert {request.headers["authorization"] for request in double.requests} == {f"X-API-Key: {KEY}"}
    assert not any(KEY in request.text or KEY in request.path for request in double.requests)
    assert (
        KEY not in f"{platform!r} {platform} {platform.key} {vars(platform)} {platform._http!r} {platform._http.secrets!r}"
    )
    assert repr(platform) == "PlatformKili('clproject000')"


@pytest.mark.parametrize("form", ["plain", "graphql"])
def test_a_wrong_key_is_said_so_without_showing_it(double: KiliDouble, form: Any) -> None:
    double.unauthorized = form
    with pytest.raises(AuthenticationFailed, match="check KILI_API_KEY") as caught:
        list(connect(double, api_key="wrong-key-of-kili").list_items())
    assert "wrong-key-of-kili" not in str(caught.value)
    assert len(double.requests) == 1


def test_a_graphql_error_about_the_key_is_one_too_whatever_the_status(double: KiliDouble) -> None:
    double.faults = [Fault(status=200, body=graphql_error(f"[unauthorized] Invalid API key {KEY}", "UNAUTHENTICATED"))]
    with pytest.raises(AuthenticationFailed) as caught:
        list(connect(double).list_items())
    assert KEY not in str(caught.value)


def test_a_project_that_does_not_exist_is_not_found(double: KiliDouble) -> None:
    with pytest.raises(NotFound, match="Kili has no project 'clnever' that this key may see"):
        list(connect(double, project_id="clnever").list_items())


def test_another_projects_assets_are_not_touched(double: KiliDouble) -> None:
    other = double.add_project("clother")
    other.add_assets(names(3))
    double.add_assets(names(3))
    connect(double, project_id="clother").push({"img_00001.jpg": 0})
    assert double.project.priorities.tolist() == [0, 0, 0]
    assert other.priorities.tolist() == [0, 10**6, 0]


@pytest.mark.parametrize(
    ("body", "error"),
    [
        (graphql_error("something is wrong", None), Rejected),
        ({"errors": "no list"}, Rejected),
        ({"errors": [None]}, Rejected),
        ({"data": None}, Unavailable),
        ([], Unavailable),
        ({"hello": "world"}, Unavailable),
    ],
)
def test_strange_answers_are_errors_of_ours(double: KiliDouble, body: Any, error: type[PlatformError]) -> None:
    double.faults = [Fault(status=200, body=body, times=None)]
    with pytest.raises(error):
        list(connect(double).list_items())


def test_an_answer_that_gives_nothing_for_a_mutation_fails_the_items(double: KiliDouble) -> None:
    double.add_assets(names(2))
    double.faults = [Fault(on=EXACT, rewrite=lambda request, answer: {"data": {"data": []}}, times=None)]
    report = connect(double).push(ranks_of(names(2)))
    assert report.failed == dict.fromkeys(names(2), "the server did not confirm it")


def test_a_listing_while_annotators_work_and_assets_come_and_go_holds_every_asset_that_was_there_all_along() -> None:
    with KiliDouble() as double:
        all_names = names(450)
        double.add_assets(all_names)
        removed = all_names[10:14]
        left = list(removed)

        def work(request: Request) -> None:
            if request.operation == "assets" and left:
                double.delete(left.pop())
                double.add_assets([f"new_{len(left)}.jpg"])

        double.before_each = work
        found = [item.id for item in connect(double).list_items()]
        assert len(found) == len(set(found))
        assert set(all_names) - set(removed) <= set(found)


def test_a_whole_round_of_the_agent_arrives_and_the_next_takes_the_rest_back(double: KiliDouble, tmp_path: Any) -> None:
    all_names = names(60)
    double.add_assets(all_names)
    agent = ActiveLearningAgent(connect(double), journal=tmp_path / "rounds")
    values = [float(random.Random(number).random()) for number in range(60)]
    batch = agent.query(SamplerConfig(10, method="UNCERTAINTY"), Scores(tuple(all_names), {"s": values}), verify=True)
    best = sorted(all_names, key=lambda name: -values[all_names.index(name)])
    assert list(batch.item_ids) == best[:10] == queue(double)[:10]
    for name in best[:4]:
        double.label(name)
    second = agent.query(SamplerConfig(5, method="RANDOM", seed=1))
    assert queue(double)[:5] == list(second.item_ids)
    assert agent.last_round.pushes[-1].counts["taken_back"] == len(set(best[4:10]) - set(second.item_ids))
    assert list(agent.items(best[:4])) == [
        Item(
            name,
            double.project.asset_id(double.project.row(name)),
            name,
            ItemState.LABELED,
            rank,
            f"https://assets.example/clproject000/{name}",
        )
        for rank, name in enumerate(best[:4])
    ]


def test_a_link_names_the_asset_and_no_key(double: KiliDouble) -> None:
    double.add_assets(names(2))
    platform = connect(double)
    assert isinstance(platform, LinksItems)
    items = list(platform.list_items())
    server = double.url.partition("/api/")[0]
    assert [platform.link(item) for item in items] == [f"{server}/label/projects/label/{item.remote_id}" for item in items]
    n_requests = len(double.requests)
    odd = platform.link(items[0]._replace(remote_id='a/../b?c="<d>"'))
    assert odd == f"{server}/label/projects/label/a%2F..%2Fb%3Fc%3D%22%3Cd%3E%22"
    assert KEY not in odd and len(double.requests) == n_requests
