"""A local project of 1,000,000 items: create, list, read the sets, push 100,000 priorities, take the next from the queue."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

from measure import Row, measure, print_table

from al_agent import ActiveLearningAgent, PlatformLocal

N_ITEMS, N_PRIORITIES = 1_000_000, 100_000


def main() -> None:
    names = [f"folder_{number % 100:02d}/img_{number:07d}.jpg" for number in range(N_ITEMS)]
    with tempfile.TemporaryDirectory() as folder:
        started = time.perf_counter()
        platform = PlatformLocal.create(Path(folder), images=names)
        created_s = time.perf_counter() - started
        platform.annotate(dict.fromkeys(names[: N_ITEMS // 10], "cat"))

        def list_again() -> None:
            ActiveLearningAgent(PlatformLocal(folder)).refresh()

        agent = ActiveLearningAgent(platform)
        sets = ("query_set", "labeled_set", "unlabeled_set")
        for name in sets:
            getattr(agent, name)
        rows = [
            measure(f"list {N_ITEMS:,} items", list_again, n_runs=3),
            *(measure(f"read {name} again", lambda name=name: getattr(agent, name), n_runs=5) for name in sets),  # type: ignore[misc]
            Row(f"create a project of {N_ITEMS:,}", created_s, float("nan"), float("nan"), "measured once"),
        ]
        forward = dict(zip(names[-N_PRIORITIES:], range(N_PRIORITIES)))
        backward = dict(zip(names[-N_PRIORITIES:], reversed(range(N_PRIORITIES))))

        def push_both() -> None:
            platform.push(forward)
            platform.push(backward)

        both = measure("", push_both, n_runs=3)
        rows.append(Row(f"push {N_PRIORITIES:,} priorities, all of them new", both.wall_s / 2, both.cpu_s / 2, both.peak_mb))
        rows.append(measure(f"push {N_PRIORITIES:,} priorities, all unchanged", lambda: platform.push(backward), n_runs=3))
        rows.append(measure("next 100 items of the queue", lambda: platform.next_items(100), n_runs=5))
        print_table(f"Local project, {N_ITEMS:,} items", rows)


if __name__ == "__main__":
    main()
