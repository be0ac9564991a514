"""Which model version of ours a batch goes to, and which predictions are missing in it.

A batch is the predictions of one model version, and a project shows the predictions of one version. A new batch is a new
version; the rest of a batch that was begun goes to the version that has its beginning. What was sent and is not there may
still come: a batch of which nothing is there gets a version that nobody has used, so no task gets two predictions in one.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any

from . import mapping

SAME = 1e-9
"""Scores nearer than this are one; far below the distance of two ranks."""


@dataclass(frozen=True)
class VersionPlan:
    """What is to be imported.

    Args:
        version: The model version of the batch.
        missing: Predictions that the version lacks, most urgent first.
        stored: Tasks whose prediction is there.
        surplus: Ids of predictions that stand there twice.
        held: Version of ours to the tasks that it has a prediction of.
    """

    version: str
    missing: tuple[dict[str, Any], ...]
    stored: frozenset[int]
    surplus: tuple[int, ...]
    held: Mapping[str, frozenset[int]]

    @property
    def stale(self) -> tuple[str, ...]:
        """Versions of ours other than the batch's."""
        return tuple(sorted(self.held.keys() - {self.version}))

    def taken_back(self, task_of: Mapping[str, int], shown: str) -> tuple[str, ...]:
        """Those of these items that a version of ours has, and not the version that the project shows."""
        gone = frozenset[int]().union(*self.held.values()) - self.held.get(shown, frozenset())
        return tuple(item_id for item_id, task in task_of.items() if task in gone)


def plan(
    scores: Mapping[int, float],
    results: Mapping[int, Sequence[Mapping[str, Any]]],
    predictions: Sequence[Mapping[str, Any]],
    open_tasks: Collection[int],
    shown_version: str | None,
) -> VersionPlan:
    """Compare a batch with the predictions that the project has.

    Args:
        scores: Task to score, most urgent first.
        results: Task to the regions that annotators are to be shown; a task without keeps what it shows now.
        predictions: All of the project's.
        open_tasks: Tasks that can still be labeled; predictions of others do no harm.
        shown_version: The user's own model version, whose regions stay visible; None where nobody knows it, which takes
            the newest regions of any version that is not ours.
    """
    ours: dict[str, dict[int, list[Mapping[str, Any]]]] = {}
    shown: dict[int, Sequence[Mapping[str, Any]]] = {}
    for row in sorted(predictions, key=lambda row: int(row["id"])):
        version, task = row.get("model_version"), int(row["task"])
        if mapping.is_ours(version):
            ours.setdefault(str(version), {}).setdefault(task, []).append(row)
        elif row.get("result") and (shown_version is None or version == shown_version):
            shown[task] = row["result"]
    latest = max(ours, default=None)
    there = ours.get(latest, {}) if latest is not None else {}
    for version in sorted(ours):
        shown.update({task: rows[0]["result"] for task, rows in ours[version].items() if rows[0].get("result")})

    def is_wanted(task: int, row: Mapping[str, Any]) -> bool:
        if task not in scores or abs(float(row.get("score") or 0) - scores[task]) > SAME:
            return False
        return task not in results or list(row.get("result") or ()) == list(results[task])

    fits = latest is not None and all(is_wanted(task, rows[0]) for task, rows in there.items() if task in open_tasks)
    if not fits:
        there = {}
    version = latest if fits and latest is not None else mapping.next_version(ours, datetime.now(timezone.utc))
    missing = [
        {"task": task, "score": score, "model_version": version, "result": list(results.get(task, shown.get(task, ())))}
        for task, score in scores.items()
        if task not in there
    ]
    return VersionPlan(
        version=version,
        missing=tuple(missing),
        stored=frozenset(task for task in scores if task in there),
        surplus=tuple(int(row["id"]) for rows in there.values() for row in rows[1:]),
        held={version: frozenset(tasks) for version, tasks in ours.items()},
    )
