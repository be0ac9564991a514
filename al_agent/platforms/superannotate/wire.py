"""SuperAnnotate's REST routes on its three hosts, and whom a token speaks for."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from ...errors import AuthenticationFailed, NotFound
from ..connection import Connection
from ..http import Http
from ..secrecy import Secrets
from ..shapes import checked_object, checked_rows

APP_URL = "https://app.superannotate.com"
MAIN_URL = "https://api.superannotate.com"
ITEM_URL = "https://item.superannotate.com"
WORK_URL = "https://work-management-api.superannotate.com"
PAGE_SIZE = 2000
SCORES_PER_CALL = 100
NAMES_PER_CALL = 500

_LEGACY_TOKEN = re.compile(r"[A-Za-z0-9\-._@]+=(\d+)")


@dataclass(frozen=True)
class Folder:
    """One folder of the project; the root folder's name is `root`."""

    id: int
    name: str


class Wire:
    """The routes, for one token.

    Args:
        token: The legacy token or API key.
        team_id: The team, for a key that belongs to an organization; None takes it from the token.
        urls: Addresses of the main, item and work-management host.
        connection: Timeouts and patience.
    """

    def __init__(self, token: str, team_id: int | None, urls: tuple[str, str, str], connection: Connection) -> None:
        legacy = _LEGACY_TOKEN.fullmatch(token)
        self._team_id = int(legacy[1]) if legacy else None
        self._asked_team_id = team_id
        if legacy and team_id not in (None, self._team_id):
            raise AuthenticationFailed(f"the token belongs to team {self._team_id}, and team_id is {team_id}")
        credentials = {"Authorization": token, "authtype": "sdk" if legacy else "api_key"}
        secrets = Secrets(token)

        def http(url: str) -> Http:
            return Http(
                url,
                vendor="SuperAnnotate",
                headers=lambda: credentials,
                secrets=secrets,
                connection=connection,
                key_hint="check SA_TOKEN, and whether its owner may see this project and upload priority scores",
            )

        self.main, self._item, self._work = (http(url) for url in urls)

    def project(self, name_or_id: str | int) -> dict[str, Any]:
        """The project's metadata.

        Raises:
            NotFound: No project of this team has this name or id.
        """
        if isinstance(name_or_id, int):
            found = self._send(self.main, "GET", f"/api/v1/project/{name_or_id}", {"include_users": False})
            project = found.get("data", found) if isinstance(found, dict) else found
            return _object(project, "project")
        answer = self._send(self.main, "GET", "/api/v1/projects", {"name": name_or_id, "offset": 0})
        rows = answer.get("data") or [] if isinstance(answer, dict) else answer or []
        exact = [row for row in rows if row.get("name") == name_or_id]
        if not exact:
            raise NotFound(f"SuperAnnotate has no project {name_or_id!r} in team {self.team_id}")
        return _object(exact[0], "project")

    def folder(self, project_id: int, name_or_id: str | int) -> Folder:
        """A folder by its name, or by its id."""
        by_id = isinstance(name_or_id, int)
        route = "/folder/getFolderById" if by_id else "/folder/getFolderByName"
        params = {"project_id": project_id, "folder_id" if by_id else "name": name_or_id}
        found = self._send(self.main, "GET", route, params)
        row = _object(found.get("data", found) if isinstance(found, dict) else found, "folder")
        return Folder(int(row["id"]), str(row["name"]))

    def status_names(self, project_id: int, workflow_id: int) -> dict[int, str]:
        """What each status number means in the project's workflow."""
        path = f"/api/v1/workflows/{workflow_id}/workflowstatuses"
        answer = self._send(self._work, "GET", path, {"join": "status"}, context={"project_id": project_id})
        rows = _rows(_object(answer, "list of statuses"), ("value", "status"), "statuses")
        return {int(row["value"]): str(row["status"]["name"]) for row in rows}

    def search(
        self, project_id: int, folder_id: int, *, limit: int, offset: int, names: Sequence[str] | None = None
    ) -> dict[str, Any]:
        """Items of a folder: `data`, and how many there are in `total` or `count`."""
        wanted = {} if names is None else {"$and": [{"name": {"$in": list(names)}}]}
        join = [{"field": "metadata", "select": ["path"]}]
        answer = self._send(
            self._item,
            "POST",
            "/api/v1/items/search",
            body={"query": {"limit": limit, "offset": offset, "search": wanted, "join": join}},
            context={"project_id": project_id, "folder_id": folder_id},
        )
        page = _object(answer, "page of items")
        _rows(page, ("id", "name", "annotation_status"), "items")
        return page

    def set_scores(self, project_id: int, folder_id: int, scores: Mapping[str, int]) -> set[str]:
        """Give at most `SCORES_PER_CALL` items a priority score; returns the names that were stored."""
        answer = self._send(
            self.main,
            "POST",
            "/images/updateEntropy",
            {"project_id": project_id, "folder_id": folder_id},
            body={"image_entropies": [{"name": name, "entropy_value": score} for name, score in scores.items()]},
        )
        return {str(row["name"]) for row in _rows(_object(answer, "list of stored scores"), ("name",), "stored scores")}

    @property
    def team_id(self) -> int:
        """The team that the token acts in; asked for once."""
        if self._team_id is None:
            said = _object(self._work.send("POST", "/api/v1/users/me", body={}), "account")
            token = said.get("token") or {}
            team_id = (token.get("scope") or {}).get("team_id", self._asked_team_id)
            if team_id is None:
                raise AuthenticationFailed(
                    "the key belongs to an organization, which has many teams; set SA_TEAM_ID or pass team_id="
                )
            if self._asked_team_id not in (None, int(team_id)):
                raise AuthenticationFailed(f"the key belongs to team {team_id}, and team_id is {self._asked_team_id}")
            self._team_id = int(team_id)
        return self._team_id

    def close(self) -> None:
        """Close the kept connections."""
        for http in (self.main, self._item, self._work):
            http.close()

    def _send(
        self,
        http: Http,
        method: str,
        path: str,
        params: Mapping[str, Any] | None = None,
        *,
        body: Any = None,
        context: Mapping[str, int] | None = None,
    ) -> Any:
        """All of our requests may be repeated: they read, or set what is asked for."""
        entity = json.dumps({"team_id": self.team_id, **(context or {})}).encode()
        headers = {"x-sa-entity-context": base64.b64encode(entity).decode()}
        return http.send(method, path, params={"team_id": self.team_id, **(params or {})}, body=body, headers=headers)


def item_page(team_id: int, project_id: int, item_id: str) -> str:
    """Address of an item in the editor of SuperAnnotate's cloud.

    The form `/editor/<team>/<project>/<item>` is that of public scripts of its users, which do not tell in which folder
    their items are; github.com/Orchard-Robotics/superannotate-tools finds the editor of images below `/editor/` too. Not
    verified.
    """
    return f"{APP_URL}/editor/{team_id}/{project_id}/{quote(item_id, safe='')}"


def _object(answer: Any, what: str) -> dict[str, Any]:
    return checked_object(answer, what, "SuperAnnotate")


def _rows(answer: dict[str, Any], fields: tuple[str, ...], what: str) -> list[dict[str, Any]]:
    return checked_rows(answer.get("data") or [], fields, what, "SuperAnnotate")


def counter(answer: Mapping[str, Any]) -> int:
    """How many items there are, as a page says."""
    return max(int(answer.get("total") or 0), int(answer.get("count") or 0), len(answer.get("data") or ()))
