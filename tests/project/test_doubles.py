"""The doubles answer what official clients send, and fail the way tests ask them to."""

from __future__ import annotations

import base64
import gzip
import http.client
import json
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

import pytest
from graphql import parse, validate
from http_double import Fault, HttpDouble, Request
from kili_double import KiliDouble, graphql_error
from kili_schema import schema
from superannotate_double import SuperAnnotateDouble, stored_value

CONTRACTS = Path(__file__).resolve().parents[3] / "shared" / "contracts"
needs_recordings = pytest.mark.skipif(not CONTRACTS.exists(), reason="the recordings of shared/contracts are not here")

LIST = """query ($where: AssetWhere!, $first: PageSize!, $skip: Int!) {
  data: assets(where: $where, first: $first, skip: $skip) { id priority labels { labelType } currentStep { status } }
}"""
SET = """mutation ($where: AssetWhere!, $priority: Int!) {
  data: setAssetsPriority(where: $where, priority: $priority) {
    succeeded { assetId } declined { assetId } failed { assetId details }
  }
}"""
IN_PROJECT = {"project": {"id": "clproject000"}}


def recorded(name: str) -> list[dict[str, Any]]:
    path = CONTRACTS / name
    steps: list[dict[str, Any]] = json.loads(path.read_text(encoding="utf-8"))["steps"] if path.exists() else []
    return steps


def send(
    double: HttpDouble, method: str, target: str, body: bytes | None, headers: Mapping[str, str], timeout_s: float = 5.0
) -> tuple[int, Any]:
    """One request on its own connection; gives the status and the JSON value, or the text that was no JSON."""
    connection = http.client.HTTPConnection(urlsplit(double.origin).netloc, timeout=timeout_s)
    try:
        connection.request(method, target, body, dict(headers))
        answer = connection.getresponse()
        text = answer.read().decode()
    finally:
        connection.close()
    try:
        return answer.status, json.loads(text)
    except ValueError:
        return answer.status, text


def ask(double: KiliDouble, query: str, timeout_s: float = 5.0, **variables: Any) -> tuple[int, Any]:
    body = json.dumps({"query": query, "variables": variables}).encode()
    headers = {"Authorization": f"X-API-Key: {double.api_key}", "Content-Type": "application/json"}
    return send(double, "POST", urlsplit(double.url).path, body, headers, timeout_s)


def score(double: SuperAnnotateDouble, entries: list[dict[str, Any]], **changed: str) -> tuple[int, Any]:
    context = base64.b64encode(json.dumps({"team_id": double.team_id}).encode()).decode()
    headers = {"Authorization": double.token, "authtype": "sdk", "x-sa-entity-context": context, **changed}
    query = urlencode({"team_id": double.team_id, "project_id": 501, "folder_id": 77})
    return send(double, "POST", f"/images/updateEntropy?{query}", json.dumps({"image_entropies": entries}).encode(), headers)


@needs_recordings
def test_every_recorded_kili_document_is_valid_in_the_schema_of_the_double() -> None:
    documents = {
        request["body"]["query"]
        for step in recorded("kili_requests.json")
        for request in step["requests"]
        if "body" in request
    }
    assert len(documents) > 5
    assert {text: validate(schema(), parse(text)) for text in documents} == {text: [] for text in documents}


@needs_recordings
def test_recorded_kili_requests_get_what_the_client_returned() -> None:
    compared = 0
    with KiliDouble(steps=("Label",)) as double:
        double.old_applies_to_all = True  # as the double of the recording did
        ids = double.add_assets(f"img_{n:05d}.jpg" for n in range(250))
        for asset_id in ids[::5]:
            double.label(asset_id)
        for step in recorded("kili_requests.json"):
            requests = [request for request in step["requests"] if "body" in request]
            if any(not isinstance(request["reply"], dict) for request in requests):
                continue  # the recording's double failed on purpose
            answers = [ask(double, one["body"]["query"], **one["body"].get("variables", {}))[1] for one in requests]
            for request, answer in zip(requests, answers, strict=True):
                assert bool(request["reply"]["errors"]) == bool(answer.get("errors")), step["step"]
            returned = step["client_returned"]
            if isinstance(returned, int):
                assert answers[-1]["data"]["data"] == returned, step["step"]
            elif isinstance(returned, list):
                assert answers[-1]["data"]["data"][: len(returned)] == returned, step["step"]
            elif isinstance(returned, str) and returned.startswith("list of"):
                lists = [answer["data"]["data"] for answer in answers if isinstance(answer["data"]["data"], list)]
                assert sum(len(part) for part in lists if "id" in part[0]) == int(returned.split()[-1]), step["step"]
            elif isinstance(returned, dict) and "succeeded" in returned:
                assert answers[-1]["data"]["data"] == returned, step["step"]
            else:
                continue
            compared += 1
    assert compared == 10


@needs_recordings
def test_recorded_superannotate_requests_get_what_the_client_returned() -> None:
    compared = 0
    with SuperAnnotateDouble() as double:
        double.add_items("root", (f"img_{n:05d}.jpg" for n in range(4500)))
        double.set_status("root", (f"img_{n:05d}.jpg" for n in range(0, 4500, 5)), "Completed")
        for step in recorded("superannotate_requests.json"):
            found: list[dict[str, Any]] = []
            for request in step["requests"]:
                if "reply" in request or "NaN" in json.dumps(request.get("body")):
                    continue
                context = base64.b64encode(json.dumps(request["entity_context"]).encode()).decode()
                headers = {"Authorization": double.token, "authtype": "sdk", "x-sa-entity-context": context}
                body = json.dumps(request["body"]).encode() if "body" in request else None
                target = f"{request['path']}?{urlencode(request['query'])}"
                status, answer = send(double, request["method"], target, body, headers)
                assert status == 200, (step["step"], answer)
                if request["path"].endswith(("items/search", "updateEntropy")):
                    found += answer["data"]
            returned = step["client_returned"]
            if isinstance(returned, str) and returned.startswith("list len"):
                assert len(found) == int(returned.split()[-1]), step["step"]
                compared += 1
            elif isinstance(returned, list):
                names = [entry["name"] for entry in found]
                assert not found or names == returned[0], step["step"]
                compared += 1
        assert double.item("root", "img_00001.jpg").annotation_status == double.project.statuses["InProgress"]
    assert compared == 7


@pytest.mark.parametrize(
    ("fault", "seen", "is_applied"),
    [
        (
            Fault(status=429, headers={"Retry-After": "1"}, body={"message": "slow down"}),
            (429, {"message": "slow down"}),
            False,
        ),
        (Fault(status=502, body="<html>bad</html>", applied=True), (502, "<html>bad</html>"), True),
        (Fault(status=200, body="<html>log in</html>"), (200, "<html>log in</html>"), False),
        (Fault(status=307, headers={"Location": "http://127.0.0.1:9/"}), (307, None), False),
        (
            Fault(status=200, body=graphql_error("[deprecated] no", None)),
            (200, graphql_error("[deprecated] no", None)),
            False,
        ),
        (Fault(then="reset"), ConnectionResetError, True),
        (Fault(then="reset", applied=False), ConnectionResetError, False),
        (Fault(then="cut"), http.client.IncompleteRead, True),
        (Fault(then="hang"), socket.timeout, True),
        (Fault(then="drip", drip_s=0.001, rewrite=lambda request, answer: "slow"), (200, "slow"), True),
        (
            Fault(rewrite=lambda request, answer: {"key": request.headers["authorization"]}),
            (200, {"key": "X-API-Key: k"}),
            True,
        ),
    ],
)
def test_a_fault_is_seen_once_and_takes_effect_or_not(fault: Fault, seen: Any, is_applied: bool) -> None:
    fault.on = "setAssetsPriority"
    with KiliDouble("k") as double:
        (asset_id,) = double.add_assets(["a.jpg"])
        double.faults.append(fault)
        assert ask(double, LIST, where=IN_PROJECT, first=1, skip=0)[0] == 200
        if isinstance(seen, tuple):
            assert ask(double, SET, where={"idIn": [asset_id]}, priority=5) == seen
        else:
            with pytest.raises(seen):
                ask(double, SET, timeout_s=0.3, where={"idIn": [asset_id]}, priority=5)
        assert double.priority("a.jpg") == (5 if is_applied else 0)
        assert ask(double, SET, where={"idIn": [asset_id]}, priority=6)[0] == 200
        assert double.priority("a.jpg") == 6
        assert [request.operation for request in double.requests] == ["assets", "setAssetsPriority", "setAssetsPriority"]


def test_a_fault_can_wait_for_the_second_match() -> None:
    with KiliDouble() as double:
        double.faults.append(Fault(on="viewer", skip=1, times=2, status=503))
        assert [ask(double, "{ viewer { id } }")[0] for _ in range(4)] == [200, 503, 503, 200]


def test_more_requests_than_the_window_allows_are_refused() -> None:
    with KiliDouble() as double:
        double.limit_per_minute, double.limit_window_s = 3, 30.0
        assert [ask(double, "{ viewer { id } }")[0] for _ in range(4)] == [200, 200, 200, 429]
        double.limit_window_s = 0.0
        assert ask(double, "{ viewer { id } }")[0] == 200


def test_a_filtered_list_loses_an_asset_when_somebody_labels_between_pages() -> None:
    with KiliDouble() as double:
        ids = double.add_assets(f"{n}.jpg" for n in range(6))

        def work(request: Request) -> None:
            if request.body["variables"]["skip"] == 2:
                double.label(ids[0])

        double.before_each = work
        pages = [
            ask(double, LIST, where={**IN_PROJECT, "label": {}, "statusIn": ["TODO"]}, first=2, skip=skip)[1]["data"]["data"]
            for skip in (0, 2, 4)
        ]
    assert [asset["id"] for page in pages for asset in page] == [ids[0], ids[1], *ids[3:]]


def test_kili_serves_the_highest_priority_first_and_declines_what_does_not_wait() -> None:
    with KiliDouble() as double:
        a, b, c, d = double.add_assets(["a", "b", "c", "d"])
        double.start(a)
        double.failing = {b}
        report = ask(double, SET, where={"idIn": [a, b, c, "unknown"]}, priority=7)[1]["data"]["data"]
        assert report == {
            "succeeded": [{"assetId": c}],
            "declined": [{"assetId": a}],
            "failed": [{"assetId": b, "details": "the write failed"}],
        }
        assert double.queue() == [c, b, d]
        double.delete(c)
        double.send_back(a)
        assert double.queue() == [a, b, d]


def test_kili_refuses_wrong_keys_large_pages_large_numbers_and_a_missing_mutation() -> None:
    with KiliDouble() as double:
        (asset_id,) = double.add_assets(["a"])
        assert "at most" in ask(double, LIST, where=IN_PROJECT, first=101, skip=0)[1]["errors"][0]["message"]
        assert "32-bit" in ask(double, SET, where={"idIn": [asset_id]}, priority=1 << 31)[1]["errors"][0]["message"]
        double.lacks_new_mutation = True
        message = ask(double, SET, where={"idIn": [asset_id]}, priority=1)[1]["errors"][0]["message"]
        assert message == 'Cannot query field "setAssetsPriority" on type "Mutation".'
        headers = {"Authorization": "X-API-Key: wrong"}
        assert send(double, "GET", "/api/label/v2/version", None, headers) == (401, {"message": "Unauthorized"})


def test_the_fast_execution_of_a_document_gives_what_graphql_core_gives() -> None:
    with KiliDouble() as double:
        double.add_assets(["a", "b"])
        double.label("a")
        fast = ask(double, LIST, where=IN_PROJECT, first=2, skip=0)
        full = ask(double, LIST.replace("{ id", "{ ... on Asset { id } "), where=IN_PROJECT, first=2, skip=0)
        assert fast == full
        assert fast[1]["data"]["data"][0]["labels"] == [{"labelType": "DEFAULT"}]


def test_compressed_bodies_are_read_or_refused() -> None:
    body = gzip.compress(json.dumps({"query": "{ viewer { id } }"}).encode())
    with KiliDouble() as double:
        headers = {"Authorization": f"X-API-Key: {double.api_key}", "Content-Encoding": "gzip"}
        target = urlsplit(double.url).path
        assert send(double, "POST", target, body, headers) == (200, {"data": {"viewer": {"id": "cluser000"}}})
        double.refuses_gzip = True
        assert send(double, "POST", target, body, headers)[0] == 415


def test_superannotate_keeps_five_decimals_up_to_a_million() -> None:
    given = [1.123456789, 100_000_000, -3, 9.99e-05, 1e-07, 123456.789]
    assert [stored_value(value) for value in given] == [1.12345, 1_000_000, 0, 9e-05, 0, 123456.789]


def test_superannotate_skips_unknown_names_silently_and_serves_high_scores_first() -> None:
    with SuperAnnotateDouble() as double:
        double.add_items("root", ["a", "b", "c", "d"])
        double.set_status("root", ["d"], "Completed")
        entries = [{"name": name, "entropy_value": value} for name, value in [("b", 1), ("c", 2), ("x", 3), ("d", 4)]]
        status, answer = score(double, entries)
        assert (status, [entry["name"] for entry in answer["data"]]) == (200, ["b", "c", "d"])
        assert double.queue("root") == ["c", "b", "a"]


def test_superannotate_refuses_long_lists_and_wrong_headers() -> None:
    entries = [{"name": "a", "entropy_value": 1}]
    with SuperAnnotateDouble() as double:
        double.add_items("root", ["a"])
        assert score(double, entries * 101)[0] == 400
        assert score(double, entries, authtype="api_key") == (401, {"error": "Unauthorized"})
        assert score(double, entries, **{"x-sa-entity-context": ""})[0] == 400
        assert score(double, [{"name": "a", "entropy_value": float("nan")}])[0] == 400
        assert double.item("root", "a").entropy_value is None
        assert score(double, entries)[0] == 200
