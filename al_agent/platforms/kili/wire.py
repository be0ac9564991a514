"""Kili's GraphQL operations: their documents, their limits, and the errors that come with status 200."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

from ...errors import AuthenticationFailed, NotFound, PlatformError, Rejected, Unavailable
from ..failures import shortened
from ..http import Http
from ..shapes import checked_object, checked_rows

ENDPOINT = "https://cloud.kili-technology.com/api/label/v2/graphql"
ENDPOINT_PATH = "/api/label/v2/graphql"
CALLS_PER_MINUTE = 500
PAGE_SIZE = 100
IDS_PER_CALL = 100
_LABELS_TIMEOUT_S = 120.0

_PROJECT = """\
query projects($where: ProjectWhere!, $first: PageSize!, $skip: Int!) {
  data: projects(where: $where, first: $first, skip: $skip) { workflowVersion steps { id name } }
}"""
_INTERFACE = """\
query projects($where: ProjectWhere!, $first: PageSize!, $skip: Int!) {
  data: projects(where: $where, first: $first, skip: $skip) { jsonInterface }
}"""
_COUNT = "query countAssets($where: AssetWhere!) { data: countAssets(where: $where) }"
_ASSETS = """\
query assets($where: AssetWhere!, $first: PageSize!, $skip: Int!) {
  data: assets(where: $where, skip: $skip, first: $first) { %s }
}"""
_FIELDS = "id externalId priority content skipped isHoneypot labels { labelType }"
_FIELDS_V1 = f"{_FIELDS} status"
_FIELDS_V2 = f"{_FIELDS} currentStep {{ name status }}"
_SET_EACH = """\
mutation ($whereArray: [AssetWhere!]!, $dataArray: [AssetData!]!) {
  data: updatePropertiesInAssets(where: $whereArray, data: $dataArray) { id }
}"""
_SET_MANY = """\
mutation ($where: AssetWhere!, $priority: Int!) {
  data: setAssetsPriority(where: $where, priority: $priority) {
    succeeded { assetId externalId } declined { assetId externalId } failed { assetId externalId details }
  }
}"""
_APPEND_LABELS = """\
mutation appendManyLabels($data: AppendManyLabelsData!, $where: AssetWhere!) {
  data: appendManyLabels(data: $data, where: $where) { id }
}"""


def asset_page(server: str, asset_id: str) -> str:
    """Address of an asset in the labeling interface.

    The form is that of addresses which users of Kili have published with their labels; the official client makes
    `/label/projects/<project id>/` for a whole project. Not verified.
    """
    return f"{server}/label/projects/label/{quote(asset_id, safe='')}"


class Wire:
    """The operations on one project.

    Args:
        http: Requests to the GraphQL endpoint.
        project_id: The project.
    """

    def __init__(self, http: Http, project_id: str) -> None:
        self._http = http
        self._project_id = project_id

    def project(self) -> dict[str, Any]:
        """`workflowVersion` and `steps` of the project."""
        return self._read_project(_PROJECT)

    def interface(self) -> dict[str, Any]:
        """The jobs that annotators are asked to do, as the project's `jsonInterface` says."""
        content = self._read_project(_INTERFACE)["jsonInterface"]
        found = json.loads(content) if isinstance(content, str) else content
        return found if isinstance(found, dict) else {}

    def count(self) -> int:
        """Number of assets."""
        found = self._ask(_COUNT, {"where": self._everything})
        if not isinstance(found, int):
            raise Unavailable(f"Kili gave no count of assets but a JSON {type(found).__name__}")
        return found

    def page(self, n_rows: int, start: int, *, has_steps: bool) -> list[dict[str, Any]]:
        """Assets from a position on, in order of creation."""
        return self._assets(self._everything, n_rows, start, has_steps=has_steps)

    def by_id(self, asset_ids: Sequence[str], *, has_steps: bool) -> list[dict[str, Any]]:
        """At most `IDS_PER_CALL` assets."""
        return self._assets({**self._everything, "idIn": list(asset_ids)}, len(asset_ids), 0, has_steps=has_steps)

    def set_each(self, numbers: Mapping[str, int]) -> set[str]:
        """Give at most `IDS_PER_CALL` assets a priority each; returns the ids that the server confirmed."""
        where = [{"id": asset_id} for asset_id in numbers]
        data = [{"priority": number} for number in numbers.values()]
        rows = self._ask(_SET_EACH, {"whereArray": where, "dataArray": data})
        return {str(row["id"]) for row in checked_rows(rows, ("id",), "changed assets", "Kili")}

    def set_many(self, asset_ids: Sequence[str], number: int) -> dict[str, list[dict[str, Any]]]:
        """Give at most `IDS_PER_CALL` assets one priority; returns those `succeeded`, `declined` and `failed`."""
        answer = self._ask(_SET_MANY, {"where": {"idIn": list(asset_ids)}, "priority": number})
        return checked_object(answer, "account of changed assets", "Kili")

    def append_predictions(self, responses: Mapping[str, dict[str, Any]], model_name: str) -> None:
        """Put predictions on at most `IDS_PER_CALL` assets, in place of earlier ones of this model name."""
        rows = [
            {"assetID": asset_id, "jsonResponse": json.dumps(response), "modelName": model_name}
            for asset_id, response in responses.items()
        ]
        data = {"labelType": "PREDICTION", "overwrite": True, "labelsData": rows}
        where = {"idIn": list(responses), "project": {"id": self._project_id}}
        self._ask(_APPEND_LABELS, {"data": data, "where": where}, read_timeout_s=_LABELS_TIMEOUT_S)

    @property
    def _everything(self) -> dict[str, Any]:
        return {"project": {"id": self._project_id}}

    def _read_project(self, document: str) -> dict[str, Any]:
        found = self._ask(document, {"where": {"id": self._project_id}, "first": 1, "skip": 0})
        if found == []:
            raise NotFound(f"Kili has no project {self._project_id!r} that this key may see")
        return checked_rows(found, (), "projects", "Kili")[0]

    def _assets(self, where: dict[str, Any], first: int, skip: int, *, has_steps: bool) -> list[dict[str, Any]]:
        document = _ASSETS % (_FIELDS_V2 if has_steps else _FIELDS_V1)
        rows = self._ask(document, {"where": where, "first": first, "skip": skip})
        return checked_rows(rows, ("id", "externalId"), "assets", "Kili")

    def _ask(self, document: str, variables: dict[str, Any], *, read_timeout_s: float | None = None) -> Any:
        """The `data` of an operation. All of ours may be repeated: they read, or set what is asked for."""
        body = {"query": document, "variables": variables}
        answer = self._http.send("POST", "", body=body, read_timeout_s=read_timeout_s)
        if not isinstance(answer, dict) or not (answer.get("errors") or isinstance(answer.get("data"), dict)):
            raise Unavailable("Kili's answer has neither data nor errors; is the address that of its GraphQL endpoint?")
        if answer.get("errors"):
            raise self._error(answer["errors"])
        return answer["data"].get("data")

    def _error(self, errors: Any) -> PlatformError:
        first = errors[0] if isinstance(errors, list) else errors
        said = first if isinstance(first, dict) else {"message": first}
        message = " ".join(str(said.get("message")).split())
        code = str((said.get("extensions") or {}).get("code", ""))
        text = shortened(self._http.secrets.mask(f"Kili: {message}"))
        if any(word in f"{code} {message}".lower() for word in ("unauthenticated", "unauthorized", "api key", "forbidden")):
            return AuthenticationFailed(f"{text}; check the key and its rights in this project")
        return Rejected(text)
