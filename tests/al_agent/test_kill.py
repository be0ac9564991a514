"""A process killed at any point leaves nothing lost and nothing half-written."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from al_agent import ActiveLearningAgent, PlatformLocal, SamplerConfig

N_ITEMS = 20_000

QUERY_FOREVER = """
import sys
import numpy as np
from al_agent import ActiveLearningAgent, PlatformLocal, SamplerConfig, Scores
agent = ActiveLearningAgent(PlatformLocal(sys.argv[1]))
ids = agent.query_set
print("ready", flush=True)
for seed in range(10_000):
    scores = Scores(ids, {"s": np.random.default_rng(seed).random(len(ids))})
    agent.query(SamplerConfig(5_000, method="UNCERTAINTY", seed=seed), scores)
"""

CREATE = """
import sys
from al_agent import PlatformLocal
print("ready", flush=True)
PlatformLocal.create(sys.argv[1], images=[f"img_{n}.jpg" for n in range(300_000)])
"""


def run_and_kill(program: str, folder: Path, after_s: float) -> None:
    with subprocess.Popen([sys.executable, "-c", program, str(folder)], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        time.sleep(after_s)
        process.send_signal(signal.SIGKILL)
        process.wait()


def test_a_query_killed_at_random_moments_leaves_whole_rounds_and_resumes(tmp_path: Path) -> None:
    platform = PlatformLocal.create(tmp_path, images=[f"img_{n}.jpg" for n in range(N_ITEMS)])
    agent = ActiveLearningAgent(platform)
    moments = random.Random(0)
    n_kills, longest_s = 0, 0.6
    while n_kills < 6 or not agent.history:  # on a slow machine the first rounds take longer
        run_and_kill(QUERY_FOREVER, tmp_path, after_s=moments.uniform(0.0, longest_s))
        n_kills, longest_s = n_kills + 1, longest_s * 1.1
        agent = ActiveLearningAgent(PlatformLocal(tmp_path))
        for one in agent.history:
            assert len(one.selection) == 5_000
        ranks = [item.priority for item in platform.list_items() if item.priority is not None]
        assert sorted(ranks) == list(range(len(ranks)))

    agent.push()
    assert tuple(item.id for item in platform.next_items(5_000)) == agent.added_set
    assert agent.history[-1].is_pushed
    batch = agent.query(SamplerConfig(10, method="RANDOM"))
    assert tuple(item.id for item in platform.next_items(10)) == batch.item_ids


@pytest.mark.parametrize("after_s", [0.05, 0.3])
def test_a_creation_that_is_killed_leaves_no_project_and_can_be_repeated(tmp_path: Path, after_s: float) -> None:
    run_and_kill(CREATE, tmp_path, after_s=after_s)
    if not (tmp_path / "al-agent-project.sqlite").exists():
        PlatformLocal.create(tmp_path, images=["a.png"])
        assert [item.id for item in PlatformLocal(tmp_path).list_items()] == ["a.png"]
    else:
        assert sum(1 for _ in PlatformLocal(tmp_path).list_items()) == 300_000


FIRST_ROUND = """
import sys
from al_agent import ActiveLearningAgent, PlatformLocal, SamplerConfig
agent = ActiveLearningAgent(PlatformLocal(sys.argv[1]))
agent.refresh()
print("ready", flush=True)
agent.query(SamplerConfig(5_000, method="RANDOM"))
"""


def test_a_first_round_killed_at_any_moment_leaves_a_journal_that_can_be_read(tmp_path: Path) -> None:
    for number in range(8):
        folder = tmp_path / str(number)
        PlatformLocal.create(folder, images=[f"img_{n}.jpg" for n in range(N_ITEMS)])
        run_and_kill(FIRST_ROUND, folder, after_s=number * 0.02)
        agent = ActiveLearningAgent(PlatformLocal(folder))
        assert [len(one.selection) for one in agent.history] in ([], [5_000])
        agent.query(SamplerConfig(3, method="RANDOM"))
        assert agent.history[-1].is_pushed
