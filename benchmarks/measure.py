"""Time and memory of a piece of work, and a table of several pieces side by side."""

from __future__ import annotations

import platform
import statistics
import time
import tracemalloc
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Row:
    """One measured piece of work.

    Args:
        what: What was done.
        wall_s: Median wall-clock seconds of the runs.
        cpu_s: Median processor seconds of this process, all threads together.
        peak_mb: Most memory allocated during the work beyond what was there before, in 10**6 bytes.
        note: Anything else worth knowing.
    """

    what: str
    wall_s: float
    cpu_s: float
    peak_mb: float
    note: str = ""


def measure(what: str, work: Callable[[], object], *, n_runs: int = 3, note: str = "") -> Row:
    """Run once to warm up, `n_runs` times for the median time, and once more, slowed down, for the memory."""
    work()
    walls, cpus = [], []
    for _ in range(n_runs):
        wall, cpu = time.perf_counter(), time.process_time()
        work()
        walls.append(time.perf_counter() - wall)
        cpus.append(time.process_time() - cpu)
    tracemalloc.start()
    before, _ = tracemalloc.get_traced_memory()
    work()
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return Row(what, statistics.median(walls), statistics.median(cpus), (peak - before) / 1e6, note)


def print_table(title: str, rows: Sequence[Row]) -> None:
    """Print rows as Markdown; the ratio is to the first row's time."""
    print(f"\n## {title}\n\n| what | wall s | times the first | CPU s | peak MB | note |")
    print("| --- | --- | --- | --- | --- | --- |")
    for row in rows:
        ratio = row.wall_s / rows[0].wall_s
        print(f"| {row.what} | {row.wall_s:.3g} | {ratio:.2g} | {row.cpu_s:.3g} | {row.peak_mb:.0f} | {row.note} |")


def machine() -> str:
    """What the measurements ran on."""
    return f"Python {platform.python_version()}, numpy {np.__version__}, {platform.machine()}, {platform.system()}"
