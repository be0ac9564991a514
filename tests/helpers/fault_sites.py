"""One project on each vendor's server behind faults: where listing and pushing pass, and what the server really has."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from types import TracebackType
from typing import Any, Literal
from urllib.parse import quote

from http_double import HttpDouble, Request
from kili_double import KiliDouble
from label_studio_proxy import LabelStudioProxy
from label_studio_server import LabelStudioServer
from superannotate_double import SuperAnnotateDouble

from al_agent.platforms.connection import Connection
from al_agent.platforms.kili import PlatformKili
from al_agent.platforms.label_studio import PlatformLabelStudio
from al_agent.platforms.superannotate import PlatformSuperAnnotate

TOP = 1_000_000
KILI_KEY = 'kili"secret/key+0815'
SUPERANNOTATE_KEY = "sa-secret-owner=12345"

Vendor = Literal["Kili", "SuperAnnotate", "Label Studio"]
AnyPlatform = PlatformKili | PlatformSuperAnnotate | PlatformLabelStudio


class Site:
    """A project of `n_items` images named `img_00000.jpg` and so on, as a context manager.

    Args:
        double: The server in front.
        n_items: How many.
    """

    vendor: Vendor

    def __init__(self, double: HttpDouble, n_items: int) -> None:
        self.double = double
        self.ids = [f"img_{number:05d}.jpg" for number in range(n_items)]
        self.front: str | None = None  # where connectors are pointed, if not at the double
        self.trusted: dict[str, Any] = {}  # of their connection
        self._cleanup = ExitStack()

    def __enter__(self) -> Site:
        self.double.__enter__()
        self.fill()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._cleanup.close()
        self.double.__exit__(kind, error, trace)

    def platform(self, connection: Connection, origin: str | None = None) -> AnyPlatform:
        """A connector of its own, closed at the end."""
        made = self.make(origin or self.front or self.double.origin, connection)
        self._cleanup.callback(made.close)
        return made

    def secrets(self) -> set[str]:
        """Everything that came to the server to prove who asks."""
        found = {self.key}
        for request in self.double.requests:
            found.add(request.headers.get("authorization", self.key).split(" ")[-1])
        return found

    @property
    def key(self) -> str:
        raise NotImplementedError

    def fill(self) -> None:
        """Create the items."""
        raise NotImplementedError

    def make(self, origin: str, connection: Connection) -> AnyPlatform:
        raise NotImplementedError

    def lists(self, request: Request) -> bool:
        """Whether a request asks for a page of the listing."""
        raise NotImplementedError

    def pushes(self, request: Request) -> bool:
        """Whether a request sends priorities."""
        raise NotImplementedError

    def state(self) -> tuple[dict[str, int | None], list[str]]:
        """The rank that the server gives each item that it has, and the open items in the server's order."""
        raise NotImplementedError

    def label(self, item_id: str) -> None:
        raise NotImplementedError

    def delete(self, item_id: str) -> None:
        raise NotImplementedError

    def drop(self, item_ids: Sequence[str]) -> None:
        """From now on, leave these out of what is written, without a word; nothing for none."""
        raise NotImplementedError


class KiliSite(Site):
    """A project in Kili's double."""

    vendor: Vendor = "Kili"
    double: KiliDouble

    def __init__(self, n_items: int) -> None:
        super().__init__(KiliDouble(api_key=KILI_KEY, steps=("Label",)), n_items)

    @property
    def key(self) -> str:
        return KILI_KEY

    def fill(self) -> None:
        self._ids = dict(zip(self.ids, self.double.add_assets(self.ids)))

    def make(self, origin: str, connection: Connection) -> AnyPlatform:
        return PlatformKili("clproject000", api_key=KILI_KEY, base_url=origin, calls_per_minute=None, connection=connection)

    def lists(self, request: Request) -> bool:
        return request.operation == "assets" and "idIn" not in request.body["variables"]["where"]

    def pushes(self, request: Request) -> bool:
        return request.operation == "updatePropertiesInAssets"

    def state(self) -> tuple[dict[str, int | None], list[str]]:
        project, names = self.double.project, {asset_id: name for name, asset_id in self._ids.items()}
        ranks = {project.names[row]: TOP - p if (p := project.priorities[row]) else None for row in project.rows}
        return ranks, [names[asset_id] for asset_id in self.double.queue()]

    def label(self, item_id: str) -> None:
        self.double.label(item_id)

    def delete(self, item_id: str) -> None:
        self.double.delete(item_id)

    def drop(self, item_ids: Sequence[str]) -> None:
        self.double.failing = {self._ids[item_id] for item_id in item_ids}


class _ForgetfulSuperAnnotate(SuperAnnotateDouble):
    """Leaves the scores of the items in `dropped` out."""

    def __init__(self) -> None:
        super().__init__(token=SUPERANNOTATE_KEY)
        self.dropped: set[str] = set()

    def answer(self, request: Request) -> Any:
        if self.dropped and request.operation == "updateEntropy":
            rows = request.body["image_entropies"]
            rows[:] = [row for row in rows if row["name"] not in self.dropped]
        return super().answer(request)


class SuperAnnotateSite(Site):
    """A project in SuperAnnotate's double."""

    vendor: Vendor = "SuperAnnotate"
    double: _ForgetfulSuperAnnotate

    def __init__(self, n_items: int) -> None:
        super().__init__(_ForgetfulSuperAnnotate(), n_items)

    @property
    def key(self) -> str:
        return SUPERANNOTATE_KEY

    def fill(self) -> None:
        self.double.add_items("root", self.ids)

    def make(self, origin: str, connection: Connection) -> AnyPlatform:
        return PlatformSuperAnnotate(
            "proj", api_key=SUPERANNOTATE_KEY, base_url=origin, is_order_on=True, connection=connection
        )

    def lists(self, request: Request) -> bool:
        return request.operation == "items/search" and not request.body["query"]["search"]

    def pushes(self, request: Request) -> bool:
        return request.operation == "updateEntropy"

    def state(self) -> tuple[dict[str, int | None], list[str]]:
        items = self.double.folder("root").items.values()
        ranks = {item.name: int(TOP - item.entropy_value) if item.entropy_value else None for item in items}
        return ranks, self.double.queue()

    def label(self, item_id: str) -> None:
        self.double.set_status("root", [item_id], "Completed")

    def delete(self, item_id: str) -> None:
        self.double.delete("root", [item_id])

    def drop(self, item_ids: Sequence[str]) -> None:
        self.double.dropped = set(item_ids)


class LabelStudioSite(Site):
    """A new project on a real Label Studio, behind a proxy.

    Args:
        server: The server, which other sites may use too.
        n_items: Number of tasks.
        key: A token; the administrator's legacy token by default.
    """

    vendor: Vendor = "Label Studio"
    double: LabelStudioProxy

    def __init__(self, server: LabelStudioServer, n_items: int, key: str | None = None) -> None:
        super().__init__(LabelStudioProxy(server.url), n_items)
        self.server = server
        self._key = key or server.token

    @property
    def key(self) -> str:
        return self._key

    def fill(self) -> None:
        admin = self.server.admin
        self.project_id = admin.create_project("Behind faults", "choices")
        tasks = (
            admin.import_tasks(self.project_id, [f"https://images.example.com/{one}" for one in self.ids])
            if self.ids
            else []
        )
        self.task_of = dict(zip(self.ids, tasks))

    def make(self, origin: str, connection: Connection) -> AnyPlatform:
        return PlatformLabelStudio(origin, self.project_id, api_key=self._key, connection=connection)

    def lists(self, request: Request) -> bool:
        return request.operation == "GET tasks" and "tasks:id" in request.query["query"]

    def pushes(self, request: Request) -> bool:
        return request.operation == "POST import/predictions"

    def state(self) -> tuple[dict[str, int | None], list[str]]:
        """The served tasks lead as the server itself sorts them; the others come at random, and here by number."""
        admin, names = self.server.admin, {task: name for name, task in self.task_of.items()}
        project = admin.project(self.project_id)
        version = project["model_version"] if project["sampling"] == "Uncertainty sampling" else "none"
        rows = [row for row in admin.list_predictions(self.project_id) if row["model_version"] == version]
        assert len(rows) == len({row["task"] for row in rows})
        serves = {"filter": "filter:tasks:predictions_model_versions", "operator": "contains", "type": "List"}
        filters = {"conjunction": "and", "items": [{**serves, "value": [version]}]}
        query = {"ordering": ["tasks:predictions_score"], "filters": filters}
        served = self._tasks(query) if rows else []
        tasks = self._tasks({"ordering": ["tasks:id"]})
        ranks: dict[str, int | None] = {names[task["id"]]: None for task in tasks}
        ranks |= {names[row["task"]]: round(TOP * row["score"]) for row in rows}
        head = [names[task["id"]] for task in served if not task["is_labeled"]]
        return ranks, head + [name for task in tasks if not task["is_labeled"] and (name := names[task["id"]]) not in head]

    def _tasks(self, query: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Numbers and labels alone, which are cheap."""
        fields = {"fields": "task_only", "include": "id,is_labeled", "page_size": 10_000}
        options = {"project": self.project_id, **fields, "query": json.dumps(query)}
        return list(self.server.admin.answer("GET", "/api/tasks", query=options)["tasks"])

    def label(self, item_id: str) -> None:
        self.server.admin.annotate(self.task_of[item_id])

    def delete(self, item_id: str) -> None:
        self.server.admin.delete_task(self.task_of[item_id])

    def drop(self, item_ids: Sequence[str]) -> None:
        self.double.dropped = {self.task_of[item_id] for item_id in item_ids}


def forms_of(key: str) -> set[str]:
    """How a key may look in an output."""
    return {key, quote(key, safe=""), key.replace('"', '\\"')}
