"""Our requests to Kili mean the same as those that its official client was recorded to send."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from graphql import FieldNode, OperationDefinitionNode, SelectionSetNode, parse, print_ast
from http_double import Request
from kili_double import PATH, KiliDouble
from kili_project import Workflow

from al_agent.platforms.base import Guess
from al_agent.platforms.kili import PlatformKili

RECORDINGS = Path(__file__).resolve().parents[5] / "shared" / "contracts" / "kili_requests.json"
pytestmark = pytest.mark.skipif(not RECORDINGS.exists(), reason="the recordings of shared/contracts are not here")

KEY = "kili-test-key"
DOCUMENTED = {"projects": {"jsonInterface"}, "assets": {"skipped", "isHoneypot"}}  # not in a recording
JOBS = {
    "jobs": {
        "JOB_0": {"mlTask": "CLASSIFICATION", "content": {"categories": {"CAT": {"name": "Cat"}}}},
    }
}


class Meaning(NamedTuple):
    """What a GraphQL document asks for, without names and order."""

    kind: str
    field: str
    arguments: Mapping[str, str]
    selected: frozenset[str]


def meaning(document: str) -> Meaning:
    """Operation type, root field, types of the variables behind its arguments, dotted names of what is selected."""
    (operation,) = parse(document).definitions
    assert isinstance(operation, OperationDefinitionNode)
    (root,) = operation.selection_set.selections
    assert isinstance(root, FieldNode)
    types = {f"${one.variable.name.value}": print_ast(one.type) for one in operation.variable_definitions or ()}
    arguments = {one.name.value: print_ast(one.value) for one in root.arguments or ()}
    return Meaning(
        operation.operation.value,
        root.name.value,
        {name: types.get(value, value) for name, value in arguments.items()},
        frozenset(dotted(root.selection_set)),
    )


def dotted(selections: SelectionSetNode | None, prefix: str = "") -> Iterator[str]:
    for part in selections.selections if selections is not None else ():
        assert isinstance(part, FieldNode)
        name = f"{prefix}{part.name.value}"
        yield name
        yield from dotted(part.selection_set, f"{name}.")


def values(document: str, variables: Mapping[str, Any]) -> dict[str, Any]:
    """The value of each argument of the root field; empty objects count as absent, `idIn` as a set."""
    (operation,) = parse(document).definitions
    assert isinstance(operation, OperationDefinitionNode)
    (root,) = operation.selection_set.selections
    assert isinstance(root, FieldNode)
    return {one.name.value: plain(variables[print_ast(one.value).removeprefix("$")]) for one in root.arguments or ()}


def plain(value: Any) -> Any:
    if isinstance(value, dict):
        members = {name: plain(member) for name, member in value.items()}
        return {
            name: sorted(member) if name == "idIn" else member
            for name, member in members.items()
            if member is not None and member != {}
        }
    return [plain(member) for member in value] if isinstance(value, list) else value


def recorded() -> list[dict[str, Any]]:
    steps: list[dict[str, Any]] = json.loads(RECORDINGS.read_text(encoding="utf-8"))["steps"]
    return steps


def recorded_bodies(step: str) -> list[dict[str, Any]]:
    (found,) = (one for one in recorded() if one["step"] == step)
    return [request["body"] for request in found["requests"]]


def known() -> list[Meaning]:
    """What every recorded request means, of those with variables."""
    bodies = [request["body"] for step in recorded() for request in step["requests"] if "body" in request]
    return [meaning(body["query"]) for body in bodies if "variables" in body]


def ours(n_assets: int, workflow: Workflow = "V1", **options: Any) -> tuple[list[Request], list[str]]:
    """The requests of a listing, and of a push of the first 150 with the last one best, and their ids."""
    with KiliDouble(workflow=workflow, json_interface=JOBS) as double:
        ids = double.add_assets(f"img_{number:05d}.jpg" for number in range(n_assets))
        platform = PlatformKili("clproject000", api_key=KEY, base_url=double.url, **options)
        list(platform.list_items())
        picks = [f"img_{number:05d}.jpg" for number in range(min(150, n_assets))]
        guesses = {name: [Guess("Cat", 0.8)] for name in picks[:2]}
        platform.push({name: rank for rank, name in enumerate(picks)}, verify=True, preannotations=guesses)
        return list(double.requests), ids


@pytest.mark.parametrize("workflow", ["V1", "V2", "V3"])
@pytest.mark.parametrize("priorities", ["exact", "tiers"])
def test_documents_ask_for_what_the_official_client_asks_for(workflow: Workflow, priorities: str) -> None:
    requests, _ = ours(250, workflow, priorities=priorities)
    found = [meaning(request.body["query"]) for request in requests]
    assert {one.field for one in found} == {
        "projects",
        "countAssets",
        "assets",
        "appendManyLabels",
        "updatePropertiesInAssets" if priorities == "exact" else "setAssetsPriority",
    }
    for one in found:
        same = [other for other in known() if other.field == one.field]
        assert {(other.kind, *sorted(other.arguments.items())) for other in same} == {
            (one.kind, *sorted(one.arguments.items()))
        }
        asked = frozenset().union(*(other.selected for other in same)) | DOCUMENTED.get(one.field, set())
        assert one.selected <= asked


@pytest.mark.parametrize("workflow", ["V1", "V2"])
def test_state_is_asked_for_in_the_words_of_the_projects_workflow(workflow: Workflow) -> None:
    requests, _ = ours(3, workflow)
    selected = [meaning(request.body["query"]).selected for request in requests if request.operation == "assets"]
    assert all(("status" in one) == (workflow == "V1") for one in selected)
    assert all(("currentStep.status" in one) == (workflow == "V2") for one in selected)


def test_a_request_goes_to_the_recorded_path_with_the_key_in_the_recorded_form() -> None:
    about = json.loads(RECORDINGS.read_text(encoding="utf-8"))
    headers = about["header_sets"]["graphql"]
    requests, _ = ours(3)
    assert about["endpoint_path"] == PATH
    for request in requests:
        assert (request.method, request.path, dict(request.query)) == ("POST", PATH, {})
        assert request.headers["authorization"] == headers["Authorization"].replace("<api key>", KEY)
        for name in ("Accept", "Content-Type"):
            assert request.headers[name.lower()] == headers[name]
        assert set(request.body) == {"query", "variables"}


def test_a_listing_has_the_variables_of_the_recorded_one() -> None:
    requests, _ = ours(250)
    recording = [values(body["query"], body["variables"]) for body in recorded_bodies("assets_list_250")]
    found = [
        (request.operation, values(request.body["query"], request.body["variables"]))
        for request in requests
        if "idIn" not in request.body["variables"].get("where", {})
    ]
    project, count, *pages = recording
    assert found[0] == ("projects", project)
    assert found[1] == ("countAssets", count)
    listed = [arguments for operation, arguments in found if operation == "assets"]
    assert [page["where"] for page in listed] == [pages[0]["where"]] * 3
    assert {page["first"] for page in listed} == {page["first"] for page in pages} == {100}
    assert sorted(page["skip"] for page in listed) == [0, 99, 198]  # pages overlap, so that a list that moves shows


def test_exact_priorities_have_the_variables_of_the_recorded_ones() -> None:
    requests, ids = ours(150, priorities="exact")
    first, second = (
        values(body["query"], body["variables"]) for body in recorded_bodies("update_properties_in_assets_priorities_150")
    )
    found = [
        values(request.body["query"], request.body["variables"])
        for request in requests
        if request.operation == "updatePropertiesInAssets"
    ]
    found.sort(key=lambda one: -len(one["where"]))
    assert [one["where"] for one in found] == [first["where"], second["where"]]
    for one, recording in zip(found, (first, second)):
        assert [set(row) for row in one["data"]] == [set(row) for row in recording["data"]]
        numbers = [row["priority"] for row in one["data"]]
        assert numbers == sorted(numbers, reverse=True) and len(set(numbers)) == len(numbers)
    assert sorted(row["id"] for one in found for row in one["where"]) == ids
    assert [row["priority"] for row in found[0]["data"]] == [999_850 + row["priority"] for row in first["data"]]


def test_one_priority_for_many_has_the_variables_of_the_recorded_one() -> None:
    requests, ids = ours(150, priorities="tiers")
    recording = [values(b["query"], b["variables"]) for b in recorded_bodies("set_assets_priority_150_ids")]
    found = [
        values(request.body["query"], request.body["variables"])
        for request in requests
        if request.operation == "setAssetsPriority"
    ]
    assert {tuple(sorted(one)) for one in found} == {tuple(sorted(one)) for one in recording}
    assert {tuple(one["where"]) for one in found} == {tuple(one["where"]) for one in recording} == {("idIn",)}
    assert max(len(one["where"]["idIn"]) for one in found) <= max(len(one["where"]["idIn"]) for one in recording) == 100
    assert sorted(asset for one in found for asset in one["where"]["idIn"]) == ids
    assert all(isinstance(one["priority"], int) for one in found)


def test_predictions_have_the_variables_of_the_recorded_ones() -> None:
    requests, ids = ours(150)
    (recording,) = (values(b["query"], b["variables"]) for b in recorded_bodies("create_predictions_2"))
    (found,) = (
        values(request.body["query"], request.body["variables"])
        for request in requests
        if request.operation == "appendManyLabels"
    )
    for row in recording["data"]["labelsData"]:
        row["modelName"] = "al-agent"
    for arguments in (found, recording):
        for row in arguments["data"]["labelsData"]:
            row["jsonResponse"] = json.loads(row["jsonResponse"])
    assert found == recording
    assert [row["assetID"] for row in found["data"]["labelsData"]] == ids[:2]
