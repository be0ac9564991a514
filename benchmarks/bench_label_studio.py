"""20,000 tasks on a real Label Studio: list them and push a score for each, beside a bare loop of requests.

The server is that of `make label-studio`; without it, nothing is measured. Every push has a project of its own: to import
20,000 tasks takes the server seconds, to delete as many predictions minutes.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import requests
from measure import Row, print_table

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests" / "helpers"))

from label_studio_server import LabelStudioServer, find_label_studio

from al_agent import Connection, PlatformLabelStudio

N_TASKS, PAGE_SIZE, N_RUNS = 20_000, 2_000, 2
_FIELDS = "id,data,is_labeled,updated_at,total_annotations,cancelled_annotations"


def main() -> None:
    if find_label_studio() is None:
        print("\n(Label Studio is not installed: make label-studio)")
        return
    with LabelStudioServer() as server, tempfile.TemporaryDirectory() as home:
        os.environ["AL_AGENT_HOME"] = home  # where a push keeps the project's own settings
        session = requests.Session()
        session.headers["Authorization"] = f"Token {server.token}"

        def new_project() -> tuple[int, list[int]]:
            project = server.admin.create_project("bench", "boxes")
            return project, server.admin.import_tasks(project, [f"img_{number:05d}.jpg" for number in range(N_TASKS)])

        def open_platform(project: int) -> PlatformLabelStudio:
            quiet = Connection(show_progress=False)
            return PlatformLabelStudio(server.url, project, api_key=server.token, connection=quiet)

        listed, _ = new_project()

        def ours_list() -> None:
            assert sum(1 for _ in open_platform(listed).list_items()) == N_TASKS

        def bare_list() -> None:
            n_listed = 0
            for page in range(1, N_TASKS // PAGE_SIZE + 1):
                params: dict[str, Any] = {"project": listed, "fields": "task_only", "include": _FIELDS}
                answer = session.get(f"{server.url}/api/tasks", params={**params, "page": page, "page_size": PAGE_SIZE})
                n_listed += len(answer.json()["tasks"])
            assert n_listed == N_TASKS

        rows = [
            Row("a bare loop of requests", _best(bare_list), float("nan"), float("nan")),
            Row("al-agent", _best(ours_list), float("nan"), float("nan"), "checked, with what is needed to push"),
        ]
        print_table(f"Label Studio: list {N_TASKS:,} tasks", rows)

        pushed: dict[str, list[float]] = {"bare": [], "ours": [], "resumed": []}
        for _ in range(N_RUNS):
            project, tasks = new_project()
            scores = [
                {"task": task, "result": [], "score": place / 1e6, "model_version": "bare"}
                for place, task in enumerate(tasks)
            ]
            begun = time.perf_counter()
            answer = session.post(
                f"{server.url}/api/projects/{project}/import/predictions",
                data=json.dumps(scores),
                headers={"Content-Type": "application/json"},
                timeout=600,
            )
            assert answer.json()["created"] == N_TASKS
            settings = {"sampling": "Uncertainty sampling", "model_version": "bare"}
            session.patch(f"{server.url}/api/projects/{project}/", json=settings, timeout=600).raise_for_status()
            pushed["bare"].append(time.perf_counter() - begun)

            project, _ = new_project()
            platform = open_platform(project)
            ranks = {item.id: rank for rank, item in enumerate(platform.list_items())}
            begun = time.perf_counter()
            assert len(platform.push(ranks).updated) == N_TASKS
            pushed["ours"].append(time.perf_counter() - begun)
            list(platform.list_items())
            begun = time.perf_counter()
            assert len(platform.push(ranks).unchanged) == N_TASKS
            pushed["resumed"].append(time.perf_counter() - begun)
        nan = float("nan")
        print_table(
            f"Label Studio: {N_TASKS:,} priorities in one pass",
            [
                Row("one bare request, and the settings", min(pushed["bare"]), nan, nan, "best of two"),
                Row("al-agent", min(pushed["ours"]), nan, nan, "best of two"),
                Row("al-agent, all there already", min(pushed["resumed"]), nan, nan, "best of two"),
            ],
        )


def _best(work: Callable[[], object]) -> float:
    seconds = []
    for _ in range(N_RUNS):
        begun = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - begun)
    return min(seconds)


if __name__ == "__main__":
    main()
