"""Our requests to SuperAnnotate mean the same as those that its official client was recorded to send."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest
from http_double import Request
from superannotate_double import SuperAnnotateDouble

from al_agent.platforms.connection import Connection
from al_agent.platforms.superannotate import PlatformSuperAnnotate

RECORDINGS = Path(__file__).resolve().parents[5] / "shared" / "contracts" / "superannotate_requests.json"
pytestmark = pytest.mark.skipif(not RECORDINGS.exists(), reason="the recordings of shared/contracts are not here")

TOKEN = "test-owner=12345"
Meaning = dict[str, Any]


def recorded(step: str) -> list[Meaning]:
    """Method, host, path, query, context and body of a step's requests."""
    steps = json.loads(RECORDINGS.read_text(encoding="utf-8"))["steps"]
    (found,) = (one for one in steps if one["step"] == step)
    return [
        {
            "method": request["method"],
            "host": request["host"],
            "path": request["path"],
            "query": request["query"],
            "context": request["entity_context"],
            "body": request.get("body"),
        }
        for request in found["requests"]
    ]


def meaning(host: str, request: Request) -> Meaning:
    return {
        "method": request.method,
        "host": host,
        "path": request.path,
        "query": dict(request.query),
        "context": json.loads(base64.b64decode(request.headers["x-sa-entity-context"])),
        "body": request.body,
    }


def ours(
    where: tuple[Any, ...], n_items: int, n_picks: int, *, top: int = 0, verify: bool = False
) -> tuple[list[Meaning], list[Request]]:
    """The requests to the three hosts, each a double, of a listing and a push of the first items."""
    with SuperAnnotateDouble() as main, SuperAnnotateDouble() as item, SuperAnnotateDouble() as work:
        item.project.folders = work.project.folders = main.project.folders
        names = [f"img_{number:05d}.jpg" for number in range(n_items)]
        main.add_items("root", names)
        platform = PlatformSuperAnnotate(
            *where,
            api_key=TOKEN,
            base_url=main.url,
            item_url=item.url,
            work_management_url=work.url,
            connection=Connection(n_parallel=1, show_progress=False),
        )
        list(platform.list_items())
        platform.push({name: top + rank for rank, name in enumerate(names[:n_picks])}, verify=verify)
        named = [("main", main), ("item", item), ("work_management", work)]
        pairs = [(host, request) for host, double in named for request in double.requests]
        pairs.sort(key=lambda pair: pair[1].time_s)
        return [meaning(host, request) for host, request in pairs], [request for _, request in pairs]


def test_a_listing_asks_what_the_official_client_asks() -> None:
    found, _ = ours((501,), 4500, 0)
    project, folder, *pages, statuses = recorded("list_items_all_4500")
    assert found[0] == project
    assert found[2] == folder
    assert found[1] == statuses
    listed = found[3:]
    for page in listed:
        assert {**page, "body": None} == {**pages[0], "body": None}
        (query,) = page["body"].values()
        recording = pages[0]["body"]["query"]
        assert set(query) == set(recording)
        assert (query["limit"], query["search"]) == (recording["limit"], recording["search"])
        assert all(join in recording["join"] for join in query["join"])
    offsets = [page["body"]["query"]["offset"] for page in listed]
    assert offsets == [0, 1999, 3998]  # pages overlap, so that a list that moves shows


def test_a_project_by_its_name_is_asked_for_as_the_official_client_does() -> None:
    found, _ = ours(("proj",), 1, 0)
    recording = recorded("list_items_notstarted_by_name")
    assert found[0] == recording[0]
    assert found[2] == recording[1]


def test_scores_are_sent_as_the_official_client_sends_them() -> None:
    found, _ = ours(("proj",), 250, 250)
    recording = [one for one in recorded("upload_priority_scores_250_with_3_unknown") if one["method"] == "POST"]
    uploads = [one for one in found if one["path"] == "/images/updateEntropy"]
    assert [{**one, "body": None} for one in uploads] == [{**one, "body": None} for one in recording]
    for one, other in zip(uploads, recording):
        assert set(one["body"]) == set(other["body"])
        rows, recorded_rows = one["body"]["image_entropies"], other["body"]["image_entropies"]
        assert len(rows) in (100, 50)
        assert [set(row) for row in rows[:3]] == [set(row) for row in recorded_rows]
        assert [row["name"] for row in rows[:3]] == [row["name"] for row in recorded_rows]
    sent = [row for one in uploads for row in one["body"]["image_entropies"]]
    assert [row["name"] for row in sent] == [f"img_{number:05d}.jpg" for number in range(250)]
    assert [row["entropy_value"] for row in sent] == sorted((row["entropy_value"] for row in sent), reverse=True)


def test_a_score_is_the_same_request_where_the_number_is_the_same() -> None:
    found, _ = ours((501, 77), 1, 1, top=999_995)
    recording = recorded("upload_priority_scores_ids_tuple")
    assert found[-1] == recording[-1]
    assert found[0] == recording[0]
    assert found[2] == recording[1]


def test_scores_are_read_back_by_name_as_the_official_client_looks_names_up() -> None:
    found, _ = ours((501,), 3, 3, verify=True)
    recording = recorded("set_annotation_statuses")[2]
    assert found[-1] == recording


def test_headers_have_the_recorded_form() -> None:
    expected = json.loads(RECORDINGS.read_text(encoding="utf-8"))["headers_on_every_request"]
    _, requests = ours((501,), 3, 3, verify=True)
    assert expected["Authorization"] == "<token verbatim, no scheme word>"
    for request in requests:
        assert request.headers["authorization"] == TOKEN
        assert request.headers["authtype"] == expected["authtype"]
        assert request.headers.get("content-type", expected["Content-Type"]) == expected["Content-Type"]
        assert request.query["team_id"] == "12345"
