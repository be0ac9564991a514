"""Label Studio's REST routes, and its two kinds of tokens."""

from __future__ import annotations

import contextlib
import json
import re
import threading
from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import quote

from ...errors import NotFound, Unavailable
from ..connection import Connection
from ..http import Http
from ..secrecy import Secrets
from ..shapes import checked_object, checked_rows

PAGE_SIZE = 2000
ROWS_PER_IMPORT = 20_000  # every import recounts the whole project, so one big call is far cheaper than many
_IDS_PER_CALL = 500
_SLOW_S = 600.0  # imports, deletions and counts of 20,000 predictions take minutes on a small server
_FIELDS = "id,data,is_labeled,updated_at,total_annotations,cancelled_annotations"
_PERSONAL_TOKEN = re.compile(r"[\w-]+\.[\w-]+\.[\w-]+")


class Credentials:
    """The header that proves who asks: a legacy token as it is, a personal access token by way of short-lived ones.

    Args:
        key: The token.
        secrets: Where short-lived tokens are kept from view.
    """

    def __init__(self, key: str, secrets: Secrets) -> None:
        self._key = key
        self._secrets = secrets
        self._is_personal = _PERSONAL_TOKEN.fullmatch(key) is not None
        self._access = ""
        self._lock = threading.Lock()
        self.http: Http | None = None

    def headers(self) -> Mapping[str, str]:
        """The header for the next request."""
        if not self._is_personal:
            return {"Authorization": f"Token {self._key}"}
        with self._lock:
            if not self._access:
                self._refresh()
            return {"Authorization": f"Bearer {self._access}"}

    def renew(self, refused: Mapping[str, str]) -> bool:
        """After a refusal: whether there is another header now. Of several threads, the first asks for it."""
        if not self._is_personal:
            return False
        with self._lock:
            if refused.get("Authorization") == f"Bearer {self._access}":
                self._refresh()
        return True

    def _refresh(self) -> None:
        assert self.http is not None
        answer = self.http.send("POST", "/api/token/refresh/", body={"refresh": self._key}, is_signed=False)
        access = answer.get("access") if isinstance(answer, dict) else None
        if not isinstance(access, str) or not access:
            raise Unavailable("Label Studio gave no access token; is the address right?")
        self._secrets.add(access)
        self._access = access


class Wire:
    """The routes of one project.

    Args:
        url: Address of the server.
        key: Legacy token or personal access token.
        project_id: The project.
        connection: Timeouts and patience.
    """

    def __init__(self, url: str, key: str, project_id: int, connection: Connection) -> None:
        secrets = Secrets(key)
        credentials = Credentials(key, secrets)
        self.http = Http(
            url,
            vendor="Label Studio",
            headers=credentials.headers,
            renew=credentials.renew,
            secrets=secrets,
            connection=connection,
            key_hint="check LABEL_STUDIO_API_KEY; a legacy token works only where the organization has switched it on",
        )
        credentials.http = self.http
        self._project_id = project_id

    def project(self) -> dict[str, Any]:
        """The project's settings, label configuration and counters."""
        try:
            return _object(self.http.get(f"/api/projects/{self._project_id}/"), "project")
        except NotFound as error:
            error.add_hint(f"is there a project {self._project_id} that this key may see?")
            raise

    def change_project(self, settings: Mapping[str, Any]) -> None:
        """Set settings of the project: all of them, or none."""
        self.http.send("PATCH", f"/api/projects/{self._project_id}/", body=dict(settings))

    def tasks(self, filters: Sequence[Mapping[str, Any]] = ()) -> Iterator[dict[str, Any]]:
        """Tasks in order of their ids, by a cursor that tasks added or removed meanwhile do not move."""
        last = 0
        while True:
            after = {"filter": "filter:tasks:id", "operator": "greater", "type": "Number", "value": last}
            query = {"ordering": ["tasks:id"], "filters": {"conjunction": "and", "items": [after, *filters]}}
            rows = self._tasks(query, PAGE_SIZE)
            for row in rows:
                if int(row["id"]) <= last:
                    raise Unavailable(f"Label Studio gave task {row['id']} after task {last}: its pages are out of order")
                last = int(row["id"])
                yield row
            if not rows:
                return

    def tasks_by_id(self, task_ids: Sequence[int]) -> list[dict[str, Any]]:
        """Those of these tasks that exist."""
        found = []
        for start in range(0, len(task_ids), _IDS_PER_CALL):
            ids = list(task_ids[start : start + _IDS_PER_CALL])
            these = {"filter": "filter:tasks:id", "operator": "in_list", "type": "List", "value": ids}
            found += self._tasks({"filters": {"conjunction": "and", "items": [these]}}, len(ids))
        return found

    def queue(self, version: str, n_tasks: int) -> list[dict[str, Any]]:
        """Open tasks with a prediction of this version, the lowest score first, with `predictions_score`."""
        query = {"ordering": ["tasks:predictions_score"], "filters": open_in(version)}
        return [row for row in self._tasks(query, n_tasks) if row.get("predictions_score") is not None]

    def _tasks(self, query: Mapping[str, Any], page_size: int) -> list[dict[str, Any]]:
        params = {
            "project": self._project_id,
            "fields": "task_only",
            "include": f"{_FIELDS},predictions_score",
            "page": 1,
            "page_size": page_size,
            "query": json.dumps(query),
        }
        rows = _object(self.http.get("/api/tasks", params), "page of tasks").get("tasks")
        return checked_rows(rows, ("id", "updated_at"), "tasks", "Label Studio")

    def predictions(self) -> list[dict[str, Any]]:
        """Every prediction of the project, of all versions. The server does not page them."""
        rows = self.http.get("/api/predictions/", {"project": self._project_id}, read_timeout_s=_SLOW_S)
        return checked_rows(rows, ("id", "task"), "predictions", "Label Studio")

    def scores(self, version: str) -> dict[int, float]:
        """Task to score in a model version."""
        return {
            int(row["task"]): float(row["score"] or 0) for row in self.predictions() if row.get("model_version") == version
        }

    def versions(self) -> dict[str, int]:
        """Number of predictions of each model version."""
        counts = _object(self.http.get(f"/api/projects/{self._project_id}/model-versions", read_timeout_s=_SLOW_S), "list")
        return {str(version): int(count) for version, count in counts.items()}

    def import_predictions(self, rows: Sequence[Mapping[str, Any]]) -> int:
        """Add predictions, all or none; returns how many were made. Not repeated on its own: twice would be double."""
        path = f"/api/projects/{self._project_id}/import/predictions"
        answer = self.http.send("POST", path, body=list(rows), read_timeout_s=_SLOW_S, is_repeatable=False)
        return int(_object(answer, "count of predictions").get("created") or 0)

    def delete_version(self, version: str) -> None:
        """Remove the predictions of a model version."""
        path = f"/api/projects/{self._project_id}/model-versions"
        self.http.send("DELETE", path, body={"model_version": version}, read_timeout_s=_SLOW_S)

    def delete_prediction(self, prediction_id: int) -> None:
        """Remove one prediction, if it is there."""
        with contextlib.suppress(NotFound):
            self.http.send("DELETE", f"/api/predictions/{prediction_id}/")

    def show_tab(self, title: str, version: str) -> None:
        """Make or change the Data Manager tab of this title so that it shows the open tasks of a version in order."""
        data = {
            "title": title,
            "type": "list",
            "target": "tasks",
            "ordering": ["tasks:predictions_score"],
            "filters": open_in(version),
        }
        tabs = self.http.get("/api/dm/views/", {"project": self._project_id})
        ours = [tab for tab in tabs or () if (tab.get("data") or {}).get("title") == title]
        if ours:
            self.http.send("PATCH", f"/api/dm/views/{ours[0]['id']}/", body={"data": {**ours[0]["data"], **data}})
        else:
            self.http.send("POST", "/api/dm/views/", body={"project": self._project_id, "data": data}, is_repeatable=False)


def task_page(server: str, project_id: int, task_id: str) -> str:
    """Address of a task in the Data Manager, opened beside the list."""
    return f"{server}/projects/{project_id}/data?task={quote(task_id, safe='')}"


def changed_since(moment: str) -> dict[str, Any]:
    """Filter of tasks that were changed after a moment."""
    return {"filter": "filter:tasks:updated_at", "operator": "greater", "type": "Datetime", "value": moment}


def open_in(version: str) -> dict[str, Any]:
    """Filters of tasks that nobody has labeled or skipped and that have a prediction of this version."""

    def item(column: str, operator: str, kind: str, value: Any) -> dict[str, Any]:
        return {"filter": f"filter:tasks:{column}", "operator": operator, "type": kind, "value": value}

    return {
        "conjunction": "and",
        "items": [
            item("is_labeled", "equal", "Boolean", "false"),
            item("total_annotations", "equal", "Number", 0),
            item("cancelled_annotations", "equal", "Number", 0),
            item("predictions_model_versions", "contains", "List", [version]),
        ],
    }


def _object(answer: Any, what: str) -> dict[str, Any]:
    return checked_object(answer, what, "Label Studio")
