"""The tasks of a project, read whole once, and afterwards only as far as they changed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta, timezone
from typing import Any

from ...errors import Unavailable
from . import mapping, wire

_OVERLAP = timedelta(seconds=60)  # a change may become visible after a later one
# when one of these changes, Label Studio marks tasks as done or open without a new `updated_at`
_SETTINGS = ("maximum_annotations", "overlap_cohort_percentage", "show_overlap_first", "skip_queue")


class Tasks:
    """What is known of a project's tasks.

    Args:
        requests: The project's routes.
        to_task: Makes a task of a row.
    """

    def __init__(self, requests: wire.Wire, to_task: Callable[[Mapping[str, Any]], mapping.Task]) -> None:
        self._wire = requests
        self._to_task = to_task
        self._found: dict[int, mapping.Task] = {}
        self._newest: datetime | None = None
        self._settings: tuple[Any, ...] = ()

    def read(self, project: Mapping[str, Any], on_rows: Callable[[int], object]) -> dict[int, mapping.Task]:
        """Every task by its number, in order.

        Args:
            project: Its settings and its count of tasks.
            on_rows: Called with the number of tasks that came.

        Raises:
            Unavailable: The server does not give as many as it counts.
        """
        n_tasks = int(project.get("task_number") or 0)
        settings = (mapping.media_field(project), *(project.get(name) for name in _SETTINGS))
        # where only some tasks get several annotations, every new task may change which
        is_stable = settings == self._settings and project.get("overlap_cohort_percentage") in (None, 100)
        if self._newest is not None and self._found and is_stable:
            self._newest = self._take(self._found, self._newest, on_rows)
            if len(self._found) == n_tasks:
                return self._found
        found: dict[int, mapping.Task] = {}
        self._newest = None
        newest = self._take(found, None, on_rows)
        if len(found) < n_tasks:
            n_tasks = int(self._wire.project().get("task_number") or 0)  # some may have been removed meanwhile
        if len(found) < n_tasks:
            raise Unavailable(f"Label Studio counts {n_tasks:,} tasks and gave {len(found):,}; try again")
        self._found, self._newest, self._settings = found, newest, settings
        return found

    def _take(
        self, found: dict[int, mapping.Task], since: datetime | None, on_rows: Callable[[int], object]
    ) -> datetime | None:
        """Add tasks that were changed since; returns when the last change was, once all of them have come."""
        filters = []
        if since is not None:
            moment = (since - _OVERLAP).astimezone(timezone.utc)
            filters = [wire.changed_since(f"{moment:%Y-%m-%dT%H:%M:%S.%fZ}")]
        newest = since
        for row in self._wire.tasks(filters):
            found[int(row["id"])] = self._to_task(row)
            changed_at = datetime.fromisoformat(str(row["updated_at"]).replace("Z", "+00:00"))
            newest = changed_at if newest is None else max(newest, changed_at)
            on_rows(1)
        return newest
