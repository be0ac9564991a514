"""The assets of one project of the Kili double, kept as parallel arrays so that a million of them stay small."""

from __future__ import annotations

import json
from array import array
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timezone
from typing import Any, Literal

STEP_STATUSES = ("TO_DO", "IN_PROGRESS", "PARTIALLY_DONE", "REWORK", "DONE", "SKIPPED")
TO_DO, IN_PROGRESS, PARTIALLY_DONE, REWORK, DONE, SKIPPED = range(6)
WAITING = (TO_DO, REWORK)
Workflow = Literal["V1", "V2", "V3"]
Getter = Callable[[int], Any]
CREATED_S = datetime(2026, 1, 1, tzinfo=timezone.utc).timestamp()


def now_s() -> float:
    return datetime.now(timezone.utc).timestamp()


def instant(time_s: float) -> str:
    """ISO 8601 with milliseconds and Z, as Kili writes instants."""
    return datetime.fromtimestamp(time_s, timezone.utc).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def seconds(text: str) -> float:
    return datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()


class KiliProject:
    """Assets in creation order; an asset is named by its id or by its external id, inside by its row."""

    def __init__(
        self,
        project_id: str = "clproject000",
        workflow: Workflow = "V2",
        steps: Sequence[str] = ("Label", "Review"),
        json_interface: Mapping[str, Any] | None = None,
        asset_prefix: str = "classet",
    ) -> None:
        self.project_id = project_id
        self.workflow = workflow
        self.steps = [{"id": f"{project_id}step{n}", "name": name} for n, name in enumerate(steps)]
        self.json_interface = dict(json_interface or {"jobs": {}})
        self.asset_prefix = asset_prefix
        self.clock = now_s
        self.version = 0  # counts changes, so that a filtered listing is computed once for its pages
        self.names: list[str] = []
        self.priorities = array("i")
        self.step_numbers = bytearray()
        self.statuses = bytearray()
        self.created_s = array("d")
        self.updated_s = array("d")
        self.labels: dict[int, list[dict[str, Any]]] = {}
        self.metadata: dict[int, Mapping[str, Any]] = {}
        self.honeypots: set[int] = set()
        self.step_groups: dict[int, str] = {}
        self.rows: Sequence[int] = range(0)
        self._deleted: set[int] = set()
        self._by_name: dict[str, list[int]] | None = None
        self._n_labels = 0
        self.getters: dict[str, Getter] = {
            "id": self.asset_id,
            "externalId": self.names.__getitem__,
            "priority": self.priorities.__getitem__,
            "content": lambda row: f"https://assets.example/{self.project_id}/{self.names[row]}",
            "jsonMetadata": lambda row: json.dumps(self.metadata.get(row, {})),
            "createdAt": lambda row: instant(self.created_s[row]),
            "updatedAt": lambda row: instant(self.updated_s[row]),
            "skipped": lambda row: self.statuses[row] == SKIPPED,
            "isHoneypot": self.honeypots.__contains__,
            "labels": lambda row: self.labels.get(row, []),
            "latestLabel": lambda row: next(reversed(self.labels.get(row, [])), None),
            "status": self.status_v1,
            "currentStep": lambda row: None if self.workflow == "V1" else self.current_step(row),
            "stepGroupName": lambda row: self.step_groups.get(row, "Group 1") if self.workflow == "V3" else None,
        }

    # What tests do to a project.

    def add_assets(self, names: Iterable[str], metadata: Mapping[str, Any] | None = None) -> list[str]:
        """Create assets with these external ids; returns their ids."""
        first = len(self.names)
        self.names.extend(names)
        n = len(self.names) - first
        self.priorities.extend([0] * n)
        self.step_numbers.extend(bytes(n))
        self.statuses.extend(bytes(n))
        times_s = array("d", (CREATED_S + row * 0.001 for row in range(first, first + n)))
        self.created_s.extend(times_s)
        self.updated_s.extend(times_s)
        new = range(first, first + n)
        self.rows = range(first + n) if isinstance(self.rows, range) else [*self.rows, *new]
        if metadata is not None:
            self.metadata.update(dict.fromkeys(new, metadata))
        self._by_name = None
        self.version += 1
        return [self.asset_id(row) for row in new]

    def label(self, asset: str, label_type: str = "DEFAULT", author: str = "ann@example.com") -> None:
        """Put a label on an asset: DEFAULT finishes the first step, REVIEW the last, other types move nothing."""
        row = self.row(asset)
        self.add_label(row, label_type, author=author)
        if label_type == "DEFAULT" and len(self.steps) > 1:
            self.move(row, TO_DO, step=1)
        elif label_type == "DEFAULT":
            self.move(row, DONE, step=0)
        elif label_type == "REVIEW":
            self.move(row, DONE, step=len(self.steps) - 1)

    def start(self, asset: str) -> None:
        """Somebody opens the asset."""
        self.move(self.row(asset), IN_PROGRESS)

    def skip(self, asset: str) -> None:
        self.move(self.row(asset), SKIPPED)

    def send_back(self, asset: str) -> None:
        """A reviewer returns the asset to its first step; its labels stay."""
        self.move(self.row(asset), REWORK, step=0)

    def partly_label(self, asset: str) -> None:
        """One of several annotators has labeled: consensus is incomplete."""
        self.add_label(self.row(asset), "DEFAULT")
        self.move(self.row(asset), PARTIALLY_DONE, step=0)

    def make_honeypot(self, asset: str) -> None:
        """Turn the asset into a quality control with a reference label."""
        self.honeypots.add(self.row(asset))
        self.add_label(self.row(asset), "REVIEW")

    def delete(self, asset: str) -> None:
        row = self.row(asset)
        self._deleted.add(row)
        self.rows = [other for other in self.rows if other != row]
        self.version += 1

    def queue(self) -> list[str]:
        """Ids in the order in which annotators get them: waiting in the first step, high priority first, then oldest."""
        waiting = [row for row in self.rows if self.step_numbers[row] == 0 and self.statuses[row] in WAITING]
        return [self.asset_id(row) for row in sorted(waiting, key=lambda row: -self.priorities[row])]

    def priority(self, asset: str) -> int:
        return self.priorities[self.row(asset)]

    def predictions(self, asset: str) -> list[tuple[str, Any]]:
        """Model names and parsed answers of the predictions on an asset, oldest first."""
        labels = self.labels.get(self.row(asset), [])
        return [(label["modelName"], json.loads(label["jsonResponse"])) for label in labels if label["isPrediction"]]

    def asset_ids(self) -> list[str]:
        return [self.asset_id(row) for row in self.rows]

    # Inside.

    def asset_id(self, row: int) -> str:
        return f"{self.asset_prefix}{row:05d}"

    def row(self, asset: str) -> int:
        """The row of an asset named by its id or external id."""
        row = self.row_of_id(asset)
        if row is not None:
            return row
        rows = [row for row in self.rows_of_name(asset) if row not in self._deleted]
        if not rows:
            raise KeyError(f"the double has no asset {asset!r}")
        return rows[0]

    def row_of_id(self, asset_id: str) -> int | None:
        """The row of an id, None when the project has no such asset (any more)."""
        digits = asset_id[len(self.asset_prefix) :]
        if not asset_id.startswith(self.asset_prefix) or not digits.isdigit():
            return None
        row = int(digits)
        return row if row < len(self.names) and row not in self._deleted and self.asset_id(row) == asset_id else None

    def rows_of_name(self, name: str) -> list[int]:
        if self._by_name is None:
            self._by_name = {}
            for row, other in enumerate(self.names):
                self._by_name.setdefault(other, []).append(row)
        return self._by_name.get(name, [])

    def move(self, row: int, status: int, step: int | None = None) -> None:
        self.statuses[row] = status
        if step is not None:
            self.step_numbers[row] = step
        self.touch(row)

    def touch(self, row: int) -> None:
        self.updated_s[row] = self.clock()
        self.version += 1

    def set_priority(self, row: int, priority: int) -> None:
        self.priorities[row] = priority
        self.touch(row)

    def add_label(
        self,
        row: int,
        label_type: str,
        author: str = "ann@example.com",
        model_name: str | None = None,
        json_response: str = "{}",
    ) -> dict[str, Any]:
        self._n_labels += 1
        label = {
            "id": f"cllabel{self._n_labels:05d}",
            "labelType": label_type,
            "createdAt": instant(self.clock()),
            "modelName": model_name,
            "author": {"id": "cluser000", "email": author},
            "jsonResponse": json_response,
            "jsonResponseUrl": None,
            "skipped": False,
            "isPrediction": label_type in {"PREDICTION", "INFERENCE"},
        }
        self.labels.setdefault(row, []).append(label)
        self.touch(row)
        return label

    def status_v1(self, row: int) -> str:
        """The status of workflow V1, derived from step and step status."""
        status = self.statuses[row]
        if self.step_numbers[row] == 0:
            return {TO_DO: "TODO", REWORK: "TODO", IN_PROGRESS: "ONGOING", PARTIALLY_DONE: "ONGOING"}.get(status, "LABELED")
        return "REVIEWED" if status == DONE else "TO_REVIEW"

    def current_step(self, row: int) -> Mapping[str, str]:
        return {**self.steps[self.step_numbers[row]], "status": STEP_STATUSES[self.statuses[row]]}

    def select(self, where: Mapping[str, Any]) -> Sequence[int]:
        """Rows that a filter lets through, in creation order; the very sequence of all rows when it holds no condition."""
        rows: Iterable[int] = self.rows
        if "id" in where:
            rows = [row for row in [self.row_of_id(where["id"])] if row is not None]
        elif "idIn" in where:
            rows = sorted({row for asset_id in where["idIn"] if (row := self.row_of_id(asset_id)) is not None})
        elif "externalIdStrictlyIn" in where:
            named = {row for name in where["externalIdStrictlyIn"] for row in self.rows_of_name(name)}
            rows = sorted(named - self._deleted)
        tests = [make(self, where[key]) for key, make in CONDITIONS.items() if where.get(key) not in (None, {})]
        if not tests:
            return rows if isinstance(rows, Sequence) else list(rows)
        return [row for row in rows if all(test(row) for test in tests)]


Condition = Callable[[int], bool]


def _within(limit: str, read: Sequence[float], sign: int) -> Condition:
    limit_s = seconds(limit)
    return lambda row: sign * (read[row] - limit_s) >= 0


def _has_label(project: KiliProject, where: Mapping[str, Any]) -> Condition:
    types, authors = where.get("typeIn"), where.get("labelerIn") or where.get("authorIn")

    def fits(label: Mapping[str, Any]) -> bool:
        return (types is None or label["labelType"] in types) and (authors is None or label["author"]["email"] in authors)

    return lambda row: any(fits(label) for label in project.labels.get(row, []))


def _at_step(project: KiliProject, pairs: Sequence[Mapping[str, str]]) -> Condition:
    wanted = {(pair["stepId"], pair["status"]) for pair in pairs}

    def test(row: int) -> bool:
        step = project.current_step(row)
        return (step["id"], step["status"]) in wanted

    return test


def _has_metadata(project: KiliProject, wanted: Mapping[str, Any]) -> Condition:
    return lambda row: all(project.metadata.get(row, {}).get(name) == value for name, value in wanted.items())


def _not_in(project: KiliProject, ids: Sequence[str]) -> Condition:
    rows = {project.row_of_id(asset_id) for asset_id in ids}
    return lambda row: row not in rows


CONDITIONS: dict[str, Callable[[KiliProject, Any], Condition]] = {
    "idNotIn": _not_in,
    "externalIdIn": lambda p, parts: lambda row: any(part in p.names[row] for part in parts),
    "statusIn": lambda p, names: lambda row: p.status_v1(row) in names,
    "stepIdIn": lambda p, ids: lambda row: p.current_step(row)["id"] in ids,
    "stepStatusIn": lambda p, names: lambda row: STEP_STATUSES[p.statuses[row]] in names,
    "stepIdAndStatusIn": _at_step,
    "skipped": lambda p, flag: lambda row: (p.statuses[row] == SKIPPED) == flag,
    "updatedAtGte": lambda p, limit: _within(limit, p.updated_s, 1),
    "updatedAtLte": lambda p, limit: _within(limit, p.updated_s, -1),
    "createdAtGte": lambda p, limit: _within(limit, p.created_s, 1),
    "createdAtLte": lambda p, limit: _within(limit, p.created_s, -1),
    "metadata": _has_metadata,
    "label": _has_label,
}
