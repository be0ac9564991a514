"""Exact k-center by the workers of a Ray cluster beside one process: seconds, rounds and bytes; and rounds of large pools.

The cluster is started on this machine before the clock starts. A run with workers counts all it needs: their start, sending
the vectors, and the walk. `--workers` above the number of processors shows what the division costs, not what it gains.

    python benchmarks/bench_ray.py
    python benchmarks/bench_ray.py --sizes 100000x64x500 --data sphere --workers 2 4
"""

from __future__ import annotations

import argparse
import logging
import statistics
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import ray
from measure import machine
from selection_data import KINDS, make

from al_agent.engine import LocalEngine, RayEngine
from samplers.centers.engine import Engine, run
from samplers.centers.shard import Frame, Goal, Task
from samplers.centers.walk import Crew, Inner, Walked


@dataclass
class Clock:
    """An engine that notes when its crew was ready, and what went over the wire."""

    engine: Engine
    ready_s: list[float] = field(default_factory=list)
    walked_s: list[float] = field(default_factory=list)
    crew: Any = None

    @contextmanager
    def open(self, task: Task, frame: Frame) -> Iterator[tuple[Crew, Inner]]:
        began = time.perf_counter()
        with self.engine.open(task, frame) as (crew, inner):
            self.crew = crew
            self.ready_s.append(time.perf_counter() - began)
            began = time.perf_counter()
            yield crew, inner
            self.walked_s.append(time.perf_counter() - began)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", nargs="+", default=["1000000x128x1000"], help="n x d x k")
    parser.add_argument("--data", nargs="+", default=["manifold", "clusters", "sphere"], choices=list(KINDS))
    parser.add_argument("--workers", nargs="+", type=int, default=[2])
    parser.add_argument("--runs", type=int, default=3)
    arguments = parser.parse_args()
    n = max(arguments.workers)
    ray.init(address="local", num_cpus=n, include_dashboard=False, log_to_driver=False, logging_level=logging.ERROR)
    print(f"{machine()}, ray {ray.__version__}\n")
    print("| data | size | engine | total s | ready s | walk s | rounds | MB sent and received |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- |")
    for size in arguments.sizes:
        n, d, k = map(int, size.split("x"))
        for kind in arguments.data:
            compare(kind, n, d, k, arguments.workers, arguments.runs)
    ray.shutdown()


def compare(kind: str, n: int, d: int, k: int, workers: list[int], n_runs: int) -> None:
    """Print a row for each engine; their runs take turns."""
    is_open = np.ones(n, dtype=bool)
    is_open[0] = False
    task = Task(make(kind, n, d), is_open, None, Goal(), np.array([0]), k, False)
    engines: dict[str, Engine] = {f"one process, {t} threads": LocalEngine("numba", t) for t in (1, 2)}
    engines |= {f"{w} workers": RayEngine(w, kernels="numba") for w in workers}
    clocks = {name: Clock(engine) for name, engine in engines.items()}
    walks: dict[str, Walked] = {}
    run(task._replace(n_picks=8), LocalEngine("numba"), lambda _: None)  # compiles
    totals: dict[str, list[float]] = {name: [] for name in clocks}
    for _ in range(n_runs):
        for name, clock in clocks.items():
            began = time.perf_counter()
            walks[name] = run(task, clock, lambda _: None)
            totals[name].append(time.perf_counter() - began)
    first = next(iter(walks.values()))
    for name, clock in clocks.items():
        for ours, theirs in zip(walks[name], first):
            np.testing.assert_array_equal(ours, theirs)
        numbers = [statistics.median(seconds) for seconds in (totals[name], clock.ready_s, clock.walked_s)]
        wire = "- | -" if not hasattr(clock.crew, "n_rounds") else f"{clock.crew.n_rounds} | {clock.crew.n_bytes / 1e6:.0f}"
        print(f"| {kind} | {n:,} x {d}, k {k:,} | {name} | " + " | ".join(f"{s:.3g}" for s in numbers) + f" | {wire} |")


if __name__ == "__main__":
    main()
