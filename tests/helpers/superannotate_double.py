"""A SuperAnnotate service on loopback: the main, item and work-management hosts on one port, with projects in memory."""

from __future__ import annotations

import base64
import binascii
import itertools
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timezone
from decimal import ROUND_DOWN, Decimal
from typing import Any

from http_double import Answer, Fault, HttpDouble, Request

CLASSIC_STATUSES = {"NotStarted": 1, "InProgress": 2, "QualityCheck": 3, "Returned": 4, "Completed": 5, "Skipped": 6}
SCORES_LIMIT = 100
NAMES_LIMIT = 500
PAGE_LIMIT = 2000
MAX_ENTROPY = Decimal(1_000_000)

__all__ = ["CLASSIC_STATUSES", "Answer", "Fault", "Folder", "Item", "Project", "SuperAnnotateDouble", "stored_value"]


def now() -> str:
    """Whole seconds: the official client cannot read back an instant with a fraction other than `.000`."""
    return datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.000Z")


def stored_value(value: float) -> float:
    """What the service keeps of a priority score: clipped to 0..1,000,000 and cut to five decimals."""
    clipped = min(max(Decimal(repr(value)), Decimal(0)), MAX_ENTROPY)
    return float(clipped.quantize(Decimal("0.00001"), rounding=ROUND_DOWN))


class Refused(Exception):
    """A request that the service does not accept; the message goes out under `error`."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


@dataclass(slots=True)
class Item:
    """One item; `path` is the address of its file in an external storage."""

    id: int
    name: str
    annotation_status: int
    created_at: str
    updated_at: str
    entropy_value: float | None = None
    path: str | None = None

    def to_json(self, folder: Folder, is_joined: bool) -> dict[str, Any]:
        return {
            "id": self.id,
            "name": self.name,
            "folder_id": folder.id,
            "path": None if folder.is_root else folder.name,
            "annotation_status": self.annotation_status,
            "entropy_value": self.entropy_value,
            "approval_status": None,
            "assignments": [],
            "createdAt": self.created_at,
            "updatedAt": self.updated_at,
            **({"metadata": {"path": self.path}} if is_joined else {}),
        }


@dataclass(slots=True)
class Folder:
    """A folder with its items by name, in creation order."""

    id: int
    name: str
    project_id: int
    items: dict[str, Item] = field(default_factory=dict)

    @property
    def is_root(self) -> bool:
        return self.name == "root"

    def to_json(self, team_id: int) -> dict[str, Any]:
        return {
            "id": self.id,
            "name": self.name,
            "project_id": self.project_id,
            "team_id": team_id,
            "is_root": int(self.is_root),
            "status": 1,
            "folderUsers": [],
        }


@dataclass(slots=True)
class Project:
    """A project with its folders and the statuses of its workflow, by name."""

    id: int
    name: str
    workflow_id: int
    folders: dict[str, Folder] = field(default_factory=dict)
    statuses: dict[str, int] = field(default_factory=lambda: dict(CLASSIC_STATUSES))
    settings: dict[str, int] = field(default_factory=lambda: {"ShowEntropy": 1, "ItemAutoAssignOrder": 3})

    def to_json(self, team_id: int) -> dict[str, Any]:
        return {
            "id": self.id,
            "team_id": team_id,
            "name": self.name,
            "type": 1,
            "status": 1,
            "upload_state": 3,
            "entropy_status": 1,
            "workflow_id": self.workflow_id,
            "settings": [{"attribute": name, "value": value} for name, value in self.settings.items()],
        }


Route = tuple[str, str, Callable[["SuperAnnotateDouble", Request], Any]]


class SuperAnnotateDouble(HttpDouble):
    """One team with a project `project` (501, "proj") and its root folder (77); more by `add_project` and `add_folder`.

    Operations, for faults and `asked`: `project`, `projects`, `settings`, `getFolderByName`, `getFolderById`, `folders`,
    `folders/search`, `items/search`, `updateEntropy`, `updateAnnotationStatusBulk`, `workflowstatuses`, `ME`, `team`,
    `users/me`. A folder is named by its name, in the first project, or by itself.
    """

    def __init__(self, token: str = "test-owner=12345", team_id: int = 12345, scope: str = "team") -> None:
        super().__init__()
        self.token = token
        self.team_id = team_id
        self.scope = scope
        self._ids = itertools.count(1000)
        self.project = Project(501, "proj", 9)
        self.projects = {501: self.project}
        self.project.folders["root"] = Folder(77, "root", 501)

    @property
    def auth_type(self) -> str:
        return "sdk" if "=" in self.token else "api_key"

    # What tests do to the service.

    def add_project(self, name: str, statuses: Mapping[str, int] | None = None) -> Project:
        with self.lock:
            project = Project(next(self._ids), name, next(self._ids))
            project.statuses = dict(statuses or CLASSIC_STATUSES)
            self.projects[project.id] = project
            self.add_folder("root", project)
            return project

    def add_folder(self, name: str, project: Project | None = None) -> Folder:
        with self.lock:
            project = project or self.project
            folder = project.folders[name] = Folder(next(self._ids), name, project.id)
            return folder

    def folder(self, folder: str | Folder) -> Folder:
        return self.project.folders[folder] if isinstance(folder, str) else folder

    def item(self, folder: str | Folder, name: str) -> Item:
        return self.folder(folder).items[name]

    def add_items(self, folder: str | Folder, names: Iterable[str], url: str | None = None) -> None:
        """Create items that nobody has started; with `url`, their files lie in an external storage under it."""
        with self.lock:
            found = self.folder(folder)
            status = min(self.projects[found.project_id].statuses.values())
            created_at = now()
            for name in names:
                path = None if url is None else f"{url}/{name}"
                found.items[name] = Item(next(self._ids), name, status, created_at, created_at, path=path)

    def set_status(self, folder: str | Folder, names: Iterable[str], status: str) -> None:
        with self.lock:
            found = self.folder(folder)
            value = self.projects[found.project_id].statuses[status]
            for name in names:
                found.items[name].annotation_status = value
                found.items[name].updated_at = now()

    def delete(self, folder: str | Folder, names: Iterable[str]) -> None:
        with self.lock:
            for name in names:
                del self.folder(folder).items[name]

    def rename_statuses(self, names: Mapping[str, str], project: Project | None = None) -> None:
        """Give statuses other names; their numbers stay."""
        with self.lock:
            found = project or self.project
            found.statuses = {names.get(name, name): value for name, value in found.statuses.items()}

    def set_statuses(self, statuses: Mapping[str, int], project: Project | None = None) -> None:
        """Replace the workflow's statuses; the lowest number is the one that nobody has started."""
        with self.lock:
            (project or self.project).statuses = dict(statuses)

    def queue(self, folder: str | Folder = "root") -> list[str]:
        """Names of the unstarted items as annotators get them: high value first, then by name, those without value last."""
        with self.lock:
            found = self.folder(folder)
            status = min(self.projects[found.project_id].statuses.values())
            waiting = [item for item in found.items.values() if item.annotation_status == status]
            return [
                item.name
                for item in sorted(
                    waiting, key=lambda item: (item.entropy_value is None, -(item.entropy_value or 0.0), item.name)
                )
            ]

    # The service.

    def operation_of(self, method: str, path: str, body: Any) -> str:
        """The last part of the path that is no number, with the part before it where that says more."""
        parts = [part for part in path.split("/") if part and not part.isdigit()]
        if parts and parts[-1] in {"search", "me"}:
            return "/".join(parts[-2:])
        return parts[-1] if parts else ""

    def answer(self, request: Request) -> Answer:
        """Find the route, check who asks and for which team, and serve."""
        try:
            if request.headers.get("authorization") != self.token or request.headers.get("authtype") != self.auth_type:
                raise Refused(401, "Unauthorized")
            for method, path, serve in ROUTES:
                if request.method == method and _fits(path, request.path):
                    if serve is not SuperAnnotateDouble._users_me:
                        self._check_team(request)
                    return Answer(200, serve(self, request))
            raise Refused(404, f"Cannot {request.method} {request.path}")
        except Refused as refused:
            return Answer(refused.status, {"error": str(refused)})

    def _check_team(self, request: Request) -> None:
        if request.query.get("team_id") != str(self.team_id):
            raise Refused(400, "team_id is required in the query")
        if self._context(request).get("team_id") != self.team_id:
            raise Refused(400, "x-sa-entity-context names another team")

    def _context(self, request: Request) -> dict[str, Any]:
        try:
            context = json.loads(base64.b64decode(request.headers.get("x-sa-entity-context", ""), validate=True))
        except (binascii.Error, ValueError):
            raise Refused(400, "x-sa-entity-context is no base64 of JSON") from None
        if not isinstance(context, dict):
            raise Refused(400, "x-sa-entity-context is no object")
        return context

    def _project(self, project_id: Any) -> Project:
        found = self.projects.get(int(project_id)) if str(project_id).isdigit() else None
        if found is None:
            raise Refused(404, "Project not found")
        return found

    def _folder(self, project_id: Any, folder_id: Any) -> Folder:
        for folder in self._project(project_id).folders.values():
            if str(folder.id) == str(folder_id):
                return folder
        raise Refused(404, "Folder not found")

    def _me(self, request: Request) -> Any:
        return {"id": "owner@example.com", "email": "owner@example.com", "first_name": "Ann", "last_name": "Owner"}

    def _team(self, request: Request) -> Any:
        return {"id": self.team_id, "name": "team", "owner_id": "owner@example.com", "users": []}

    def _users_me(self, request: Request) -> Any:
        scope = {} if self.scope == "organization" else {"team_id": self.team_id}
        token = {"scope_type": self.scope, "scope": scope, "created_by": "owner@example.com"}
        return {"token": token, "user": None}

    def _get_project(self, request: Request) -> Any:
        return self._project(request.path.split("/")[4]).to_json(self.team_id)

    def _get_settings(self, request: Request) -> Any:
        return self._project(request.path.split("/")[2]).to_json(self.team_id)["settings"]

    def _list_projects(self, request: Request) -> Any:
        part = request.query.get("name", "").lower()
        found = [project for project in self.projects.values() if part in project.name.lower()]
        page = found[int(request.query.get("offset", 0)) :]
        return {"data": [project.to_json(self.team_id) for project in page], "count": len(found)}

    def _folder_by_name(self, request: Request) -> Any:
        folder = self._project(request.query.get("project_id")).folders.get(request.query.get("name", ""))
        if folder is None:
            raise Refused(404, "Folder not found")
        return folder.to_json(self.team_id)

    def _folder_by_id(self, request: Request) -> Any:
        return self._folder(request.query.get("project_id"), request.query.get("folder_id")).to_json(self.team_id)

    def _list_folders(self, request: Request) -> Any:
        folders = list(self._project(request.query.get("project_id")).folders.values())
        page = folders[int(request.query.get("offset", 0)) :]
        return {"data": [folder.to_json(self.team_id) for folder in page], "count": len(folders)}

    def _search_folders(self, request: Request) -> Any:
        folders = self._project(self._context(request).get("project_id")).folders.values()
        return _page(request, [folder.to_json(self.team_id) for folder in folders])

    def _search_items(self, request: Request) -> Any:
        context = self._context(request)
        project = self._project(context.get("project_id"))
        folders = list(project.folders.values())
        if context.get("folder_id") is not None:
            folders = [self._folder(project.id, context["folder_id"])]
        joins = _query(request).get("join", [])
        is_joined = any(isinstance(join, dict) and join.get("field") == "metadata" for join in joins)
        if len(folders) == 1:  # no pair for each item of a big folder, for each of its pages
            only = folders[0]
            return _page(request, list(only.items.values()), lambda item: item.to_json(only, is_joined))
        pairs = [(folder, item) for folder in folders for item in folder.items.values()]
        return _page(request, pairs, lambda pair: pair[1].to_json(pair[0], is_joined))

    def _update_entropy(self, request: Request) -> Any:
        folder = self._folder(request.query.get("project_id"), request.query.get("folder_id"))
        entries = _list_of(request, "image_entropies", SCORES_LIMIT)
        for entry in entries:
            value = entry.get("entropy_value") if isinstance(entry, dict) else None
            if not isinstance(value, int | float) or isinstance(value, bool) or not isinstance(entry.get("name"), str):
                raise Refused(400, "image_entropies must hold names and numbers")
        known = [entry for entry in entries if entry["name"] in folder.items]
        for entry in known:
            item = folder.items[entry["name"]]
            item.entropy_value = stored_value(entry["entropy_value"])
            item.updated_at = now()
        return {"data": [{"id": folder.items[e["name"]].id, "name": e["name"]} for e in known]}

    def _update_status(self, request: Request) -> Any:
        names = _list_of(request, "image_names", NAMES_LIMIT)
        folder = self._folder(request.query.get("project_id"), request.body.get("folder_id"))
        value = request.body.get("annotation_status")
        if value not in self._project(folder.project_id).statuses.values():
            raise Refused(400, "Invalid annotation status")
        for name in names:
            if name in folder.items:
                folder.items[name].annotation_status = value
                folder.items[name].updated_at = now()
        return {"status": "ok"}

    def _workflow_statuses(self, request: Request) -> Any:
        project = self._project(self._context(request).get("project_id"))
        if request.path.split("/")[4] != str(project.workflow_id):
            raise Refused(404, "Workflow not found")
        is_joined = request.query.get("join") == "status"
        data = [
            {
                "id": 100 + value,
                "workflow_id": project.workflow_id,
                "status_id": 200 + value,
                "value": value,
                **({"status": {"id": 200 + value, "name": name}} if is_joined else {}),
            }
            for name, value in project.statuses.items()
        ]
        return {"data": data, "count": len(data)}


ROUTES: tuple[Route, ...] = (
    ("GET", "/user/ME", SuperAnnotateDouble._me),
    ("GET", "/api/v1/team/*", SuperAnnotateDouble._team),
    ("POST", "/api/v1/users/me", SuperAnnotateDouble._users_me),
    ("GET", "/api/v1/project/*", SuperAnnotateDouble._get_project),
    ("GET", "/api/v1/projects", SuperAnnotateDouble._list_projects),
    ("GET", "/project/*/settings", SuperAnnotateDouble._get_settings),
    ("GET", "/folder/getFolderByName", SuperAnnotateDouble._folder_by_name),
    ("GET", "/folder/getFolderById", SuperAnnotateDouble._folder_by_id),
    ("GET", "/folders", SuperAnnotateDouble._list_folders),
    ("POST", "/api/v1/folders/search", SuperAnnotateDouble._search_folders),
    ("POST", "/api/v1/items/search", SuperAnnotateDouble._search_items),
    ("POST", "/images/updateEntropy", SuperAnnotateDouble._update_entropy),
    ("PUT", "/image/updateAnnotationStatusBulk", SuperAnnotateDouble._update_status),
    ("GET", "/api/v1/workflows/*/workflowstatuses", SuperAnnotateDouble._workflow_statuses),
)


def _fits(pattern: str, path: str) -> bool:
    wanted, given = pattern.split("/"), path.split("/")
    return len(wanted) == len(given) and all(part in {"*", other} for part, other in zip(wanted, given, strict=True))


def _list_of(request: Request, name: str, limit: int) -> list[Any]:
    entries = request.body.get(name) if isinstance(request.body, dict) else None
    if not isinstance(entries, list):
        raise Refused(400, f"{name} must be a list")
    if len(entries) > limit:
        raise Refused(400, f"{name} holds {len(entries)} entries, at most {limit} are allowed")
    return entries


def _query(request: Request) -> dict[str, Any]:
    query = request.body.get("query") if isinstance(request.body, dict) else None
    if not isinstance(query, dict):
        raise Refused(400, "query must be an object")
    return query


def _page(request: Request, found: list[Any], write: Callable[[Any], dict[str, Any]] = dict) -> dict[str, Any]:
    query = _query(request)
    limit, offset, search = query.get("limit"), query.get("offset", 0), query.get("search") or {}
    if not isinstance(limit, int) or not 0 < limit <= PAGE_LIMIT or not isinstance(offset, int):
        raise Refused(400, f"limit must be 1..{PAGE_LIMIT}, and offset an integer")
    if not search:
        page = [write(one) for one in found[offset : offset + limit]]
        return {"data": page, "count": len(page), "total": len(found)}
    matching = [written for one in found if _matches(search, written := write(one))]
    page = matching[offset : offset + limit]
    return {"data": page, "count": len(page), "total": len(matching)}


OPERATORS: dict[str, Callable[[Any, Any], bool]] = {
    "$eq": lambda value, wanted: bool(value == wanted),
    "$ne": lambda value, wanted: bool(value != wanted),
    "$gt": lambda value, wanted: value is not None and bool(value > wanted),
    "$gte": lambda value, wanted: value is not None and bool(value >= wanted),
    "$lt": lambda value, wanted: value is not None and bool(value < wanted),
    "$lte": lambda value, wanted: value is not None and bool(value <= wanted),
    "$in": lambda value, wanted: value in wanted,
    "$notin": lambda value, wanted: value not in wanted,
    "$cont": lambda value, wanted: wanted in str(value),
    "$starts": lambda value, wanted: str(value).startswith(wanted),
    "$ends": lambda value, wanted: str(value).endswith(wanted),
}


def _matches(search: Mapping[str, Any], written: Mapping[str, Any]) -> bool:
    for name, condition in search.items():
        if name in {"$and", "$or"}:
            combine = all if name == "$and" else any
            if not combine(_matches(part, written) for part in condition):
                return False
            continue
        if name not in written or not isinstance(condition, dict) or not condition.keys() <= OPERATORS.keys():
            raise Refused(400, f"cannot search {name} with {condition}")
        if not all(OPERATORS[operator](written[name], wanted) for operator, wanted in condition.items()):
            return False
    return True
