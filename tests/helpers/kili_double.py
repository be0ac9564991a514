"""A Kili server on loopback: real GraphQL over projects in memory, with the refusals that the vendor is known for."""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Literal

from graphql import GraphQLError
from http_double import Answer, Fault, HttpDouble, Request
from kili_project import STEP_STATUSES, WAITING, KiliProject, Workflow
from kili_schema import document, execute

PATH = "/api/label/v2/graphql"
VERSION_PATH = "/api/label/v2/version"
PAGE_LIMIT = 100
BATCH_LIMIT = 100
CODE = "OPERATION_RESOLUTION_FAILURE"

__all__ = ["CODE", "STEP_STATUSES", "Answer", "Fault", "KiliDouble", "KiliProject", "graphql_error"]


def graphql_error(message: str, code: str | None = CODE) -> dict[str, Any]:
    """The body of a GraphQL answer that holds one error; without a code, an error without extensions."""
    error: dict[str, Any] = {"message": message}
    if code is not None:
        error["extensions"] = {"code": code}
    return {"data": None, "errors": [error]}


class AssetView(Mapping[str, Any]):
    """One asset as the resolver sees it; members are computed when they are asked for."""

    __slots__ = ("project", "row")

    def __init__(self, project: KiliProject, row: int) -> None:
        self.project = project
        self.row = row

    def __getitem__(self, name: str) -> Any:
        return self.project.getters[name](self.row)

    def __iter__(self) -> Iterator[str]:
        return iter(self.project.getters)

    def __len__(self) -> int:
        return len(self.project.getters)


class KiliDouble(HttpDouble):
    """One project (`project`) or more (`add_project`); the methods of the first are here too.

    Settable: `failing` (ids whose write throws), `lacks_new_mutation`, `refuses_old_priorities`, `old_applies_to_all`,
    `unauthorized` (the form of a 401), `has_extensions` (of errors), `validation_status`, `quote`, `server_version`.
    Operations, for faults and `asked`, are the root fields: `assets`, `setAssetsPriority`, ... and `version`.
    """

    def __init__(
        self,
        api_key: str = "kili-test-key",
        workflow: Workflow = "V2",
        steps: Sequence[str] = ("Label", "Review"),
        project_id: str = "clproject000",
        json_interface: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__()
        self.api_key = api_key
        self.project = KiliProject(project_id, workflow, steps, json_interface)
        self.projects = {project_id: self.project}
        self.failing: set[str] = set()
        self.lacks_new_mutation = False
        self.refuses_old_priorities = False
        self.old_applies_to_all = False
        self.unauthorized: Literal["plain", "graphql"] = "plain"
        self.has_extensions = True
        self.validation_status = 400
        self.quote = '"'
        self.server_version = "2.190.0"
        self._selected: tuple[Any, Sequence[int]] = (None, ())
        self._roots: dict[str, Callable[..., Any]] = {
            "viewer": lambda info: {"id": "cluser000", "email": "ann@example.com"},
            "apiKeys": lambda info, **args: [{"id": "clkey000", "expiryDate": "2099-01-01T00:00:00.000Z"}],
            "projects": self._projects,
            "countProjects": lambda info, where: len(self._projects(info, where, 1 << 30, 0)),
            "assets": self._assets,
            "countAssets": self._count_assets,
            "setAssetsPriority": self._set_assets_priority,
            "updatePropertiesInAssets": self._update_properties,
            "appendManyLabels": self._append_many_labels,
        }

    @property
    def url(self) -> str:
        """The GraphQL endpoint."""
        return self.origin + PATH

    def add_project(
        self, project_id: str, workflow: Workflow = "V2", steps: Sequence[str] = ("Label", "Review")
    ) -> KiliProject:
        """Another project, whose ids begin with its own prefix."""
        project = KiliProject(project_id, workflow, steps, asset_prefix=f"{project_id}asset")
        self.projects[project_id] = project
        return project

    def add_assets(self, names: Iterable[str], metadata: Mapping[str, Any] | None = None) -> list[str]:
        with self.lock:
            return self.project.add_assets(names, metadata)

    def label(self, asset: str, type: str = "DEFAULT", author: str = "ann@example.com") -> None:
        with self.lock:
            self.project.label(asset, type, author)

    def start(self, asset: str) -> None:
        with self.lock:
            self.project.start(asset)

    def skip(self, asset: str) -> None:
        with self.lock:
            self.project.skip(asset)

    def send_back(self, asset: str) -> None:
        with self.lock:
            self.project.send_back(asset)

    def delete(self, asset: str) -> None:
        with self.lock:
            self.project.delete(asset)

    def queue(self) -> list[str]:
        with self.lock:
            return self.project.queue()

    def priority(self, asset: str) -> int:
        return self.project.priority(asset)

    def predictions(self, asset: str) -> list[tuple[str, Any]]:
        return self.project.predictions(asset)

    def operation_of(self, method: str, path: str, body: Any) -> str:
        """The first root field of a document, else the last part of the path."""
        if isinstance(body, dict) and isinstance(body.get("query"), str):
            fields = document(body["query"], not self.lacks_new_mutation).fields
            return fields[0] if fields else ""
        return super().operation_of(method, path, body)

    def answer(self, request: Request) -> Answer:
        """Execute a document, or tell the version."""
        refusal = self._refusal(request)
        if refusal is not None:
            return refusal
        if request.path == VERSION_PATH:
            return Answer(200, {"version": self.server_version})
        found = document(request.body["query"], not self.lacks_new_mutation)
        if found.errors:
            return Answer(self.validation_status, self._errors(found.errors, "GRAPHQL_VALIDATION_FAILED"))
        data, errors = execute(found, self._roots, request.body.get("variables"), not self.lacks_new_mutation)
        for error in errors:
            if error.original_error is not None and not isinstance(error.original_error, GraphQLError):
                raise error.original_error
        if errors and errors[0].path is None:
            return Answer(self.validation_status, self._errors(errors, "BAD_USER_INPUT"))
        return Answer(200, self._errors(errors, CODE) if errors else {"data": data})

    def _refusal(self, request: Request) -> Answer | None:
        if request.headers.get("authorization") != f"X-API-Key: {self.api_key}":
            refusal = graphql_error("[unauthorized] Invalid API key", "UNAUTHENTICATED")
            return Answer(401, refusal if self.unauthorized == "graphql" else {"message": "Unauthorized"})
        if (request.method, request.path) not in {("GET", VERSION_PATH), ("POST", PATH)}:
            return Answer(404, "Cannot serve this")
        is_document = isinstance(request.body, dict) and isinstance(request.body.get("query"), str)
        if request.path == PATH and not is_document:
            return Answer(400, graphql_error("[wrongInput] the body is no JSON object with a query"))
        return None

    def _errors(self, errors: Sequence[GraphQLError], code: str) -> dict[str, Any]:
        messages = [error.message.replace("'", self.quote) if error.path is None else error.message for error in errors]
        extensions = {"extensions": {"code": code}} if self.has_extensions else {}
        return {"data": None, "errors": [{"message": message, **extensions} for message in messages]}

    def _projects(self, info: Any, where: Mapping[str, Any], first: int, skip: int) -> list[dict[str, Any]]:
        ids = [where["id"]] if "id" in where else where.get("idIn", list(self.projects))
        known = [self.projects[project_id] for project_id in ids if project_id in self.projects]
        return [
            {
                "id": project.project_id,
                "title": project.project_id,
                "inputType": "IMAGE",
                "workflowVersion": project.workflow,
                "steps": [{**step, "type": "DEFAULT" if n == 0 else "REVIEW"} for n, step in enumerate(project.steps)],
                "jsonInterface": json.dumps(project.json_interface),
                "numberOfAssets": len(project.rows),
            }
            for project in known[skip : skip + first]
        ]

    def _rows(self, where: Mapping[str, Any]) -> tuple[KiliProject, Sequence[int]]:
        named = (where.get("project") or {}).get("id")
        project = self.projects.get(named) if named is not None else self._project_of(where)
        if project is None:
            raise GraphQLError("[accessDenied] You cannot see this project, or it does not exist")
        known = (project.project_id, project.version, json.dumps(where, sort_keys=True))
        if self._selected[0] != known:
            self._selected = (known, project.select(where))
        return project, self._selected[1]

    def _project_of(self, where: Mapping[str, Any]) -> KiliProject:
        ids = where.get("idIn") or [where.get("id")]
        if ids[0] is None:
            raise GraphQLError("[wrongInput] A filter must name a project or assets")
        owners = [project for project in self.projects.values() if project.row_of_id(ids[0]) is not None]
        return owners[0] if owners else self.project

    def _assets(self, info: Any, where: Mapping[str, Any], first: int, skip: int) -> list[AssetView]:
        if first > PAGE_LIMIT:
            raise GraphQLError(f"[wrongInput] A page holds {PAGE_LIMIT} at most")
        project, rows = self._rows(where)
        return [AssetView(project, row) for row in rows[skip : skip + first]]

    def _count_assets(self, info: Any, where: Mapping[str, Any]) -> int:
        return len(self._rows(where)[1])

    def _set_assets_priority(self, info: Any, where: Mapping[str, Any], priority: int) -> dict[str, Any]:
        _check_batch(where.get("idIn", ()))
        project, rows = self._rows(where)
        report: dict[str, list[dict[str, Any]]] = {"succeeded": [], "declined": [], "failed": []}
        for row in rows:
            item = {"assetId": project.asset_id(row), "externalId": project.names[row]}
            if item["assetId"] in self.failing:
                report["failed"].append({**item, "details": "the write failed"})
            elif project.statuses[row] not in WAITING:
                report["declined"].append(item)
            else:
                project.set_priority(row, priority)
                report["succeeded"].append(item)
        return report

    def _update_properties(
        self, info: Any, where: Sequence[Mapping[str, Any]], data: Sequence[Mapping[str, Any]]
    ) -> list[AssetView]:
        _check_batch(where)
        if len(where) != len(data):
            raise GraphQLError("[wrongInput] where and data must have the same length")
        if self.refuses_old_priorities and any("priority" in values for values in data):
            raise GraphQLError("[deprecated] priority cannot be updated this way, use setAssetsPriority")
        changed = []
        for one, values in zip(where, data, strict=True):
            project = self._project_of(one)
            row = project.row_of_id(one["id"])
            if row is None or one["id"] in self.failing:
                continue
            if "priority" in values and (self.old_applies_to_all or project.statuses[row] in WAITING):
                project.set_priority(row, values["priority"])
            if "jsonMetadata" in values:
                project.metadata[row] = json.loads(values["jsonMetadata"])
                project.touch(row)
            changed.append(AssetView(project, row))
        return changed

    def _append_many_labels(self, info: Any, data: Mapping[str, Any], where: Mapping[str, Any]) -> list[dict[str, Any]]:
        entries = data["labelsData"]
        _check_batch(entries)
        project, rows = self._rows(where)
        targets = [project.row_of_id(entry["assetID"]) for entry in entries]
        if any(row is None or row not in rows for row in targets):
            raise GraphQLError("[assetNotFound] An asset does not exist or is not named by the filter")
        try:
            for entry in entries:
                json.loads(entry["jsonResponse"])
        except ValueError:
            raise GraphQLError("[wrongInput] jsonResponse is not JSON") from None
        added = []
        for row, entry in zip(targets, entries, strict=True):
            assert row is not None
            kind, model = data["labelType"], entry.get("modelName")
            if data.get("overwrite"):
                old = project.labels.get(row, [])
                project.labels[row] = [label for label in old if (label["labelType"], label["modelName"]) != (kind, model)]
            added.append(project.add_label(row, kind, model_name=model, json_response=entry["jsonResponse"]))
        return added


def _check_batch(entries: Sequence[Any]) -> None:
    if len(entries) > BATCH_LIMIT:
        raise GraphQLError(f"[wrongInput] {BATCH_LIMIT} entries per call at most, got {len(entries)}")


def main() -> None:
    """Serve until killed, for measurements from another process: prints the endpoint first."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--n-assets", type=int, default=10_000)
    parser.add_argument("--delay-s", type=float, default=0.0)
    parser.add_argument("--workflow", choices=("V1", "V2", "V3"), default="V2")
    given = parser.parse_args()
    with KiliDouble(workflow=given.workflow) as double:
        double.add_assets(f"img_{n:07d}.jpg" for n in range(given.n_assets))
        double.delay_s = given.delay_s
        print(
            json.dumps({"url": double.url, "api_key": double.api_key, "project_id": double.project.project_id}), flush=True
        )
        while True:
            time.sleep(3600)


if __name__ == "__main__":
    main()
