"""A push of 20,000 priorities that is killed in its middle is finished by another process."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest
from label_studio_server import LabelStudioServer

from al_agent import ActiveLearningAgent, PlatformLabelStudio

N_TASKS = 20_000

PROGRAM = """
import sys
from al_agent import ActiveLearningAgent, PlatformLabelStudio, SamplerConfig
url, project, journal = sys.argv[1:]
agent = ActiveLearningAgent(PlatformLabelStudio(url, project), journal=journal)
agent.query(SamplerConfig({n}, method="RANDOM", seed=5), push=False)
print("pushing", flush=True)
agent.push()
print("pushed", flush=True)
""".replace("{n}", str(N_TASKS))


def test_20_000_priorities_survive_a_kill_in_their_middle(
    label_studio_server: LabelStudioServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    admin = label_studio_server.admin
    project = admin.create_project("twenty thousand", "boxes")
    tasks = admin.import_tasks(project, [f"img_{number:05d}.jpg" for number in range(N_TASKS)])
    name_of = {task: f"img_{number:05d}.jpg" for number, task in enumerate(tasks)}
    monkeypatch.setenv("LABEL_STUDIO_API_KEY", label_studio_server.token)
    monkeypatch.setenv("AL_AGENT_HOME", str(tmp_path))
    journal = tmp_path / "rounds.sqlite"

    words = [sys.executable, "-c", PROGRAM, label_studio_server.url, str(project), str(journal)]
    process = subprocess.Popen(words, stdout=subprocess.PIPE, text=True, env=dict(os.environ))
    assert process.stdout is not None
    assert process.stdout.readline() == "pushing\n"
    time.sleep(9.0)  # the listing is over, and the server has begun to store
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    assert process.stdout.read() == ""
    process.stdout.close()

    agent = ActiveLearningAgent(
        PlatformLabelStudio(label_studio_server.url, project), journal=journal
    )  # as a new process would
    batch = agent.added_set
    assert len(batch) == N_TASKS
    report = agent.push()
    assert sorted([*report.updated, *report.unchanged]) == sorted(batch)
    assert report.is_complete
    assert agent.last_round.is_pushed

    active = admin.project(project)["model_version"]
    rows = [row for row in admin.list_predictions(project) if row["model_version"] == active]
    assert Counter(Counter(row["task"] for row in rows).values()) == {1: N_TASKS}
    assert [name_of[row["task"]] for row in sorted(rows, key=lambda row: float(row["score"]))] == list(batch)
    served = admin.next_task(project)
    assert served is not None
    assert name_of[served["id"]] == batch[0]
    admin.delete_project(project)
