"""Runs one way in this process, measured, and writes what it found as JSON; started as `python -m peers.child JOB`."""

from __future__ import annotations

import gc
import json
import resource
import signal
import sys
import time
from pathlib import Path

import numpy as np
from peers.ways import WAYS

N_WARM_UP, K_WARM_UP = 256, 4
ENOUGH_S = 10.0  # a way that took this long is not run again


def main() -> None:
    job = json.loads(sys.argv[1])
    work = WAYS[job["what"]].prepare()
    vectors, scores = np.load(job["vectors"]), np.load(job["scores"])
    k = int(job["k"])
    for _ in work(vectors[:N_WARM_UP].copy(), scores[:N_WARM_UP], min(K_WARM_UP, k)):
        pass  # compiles, starts threads and loads what is loaded late

    gc.collect()
    held, held_address_space = _forget_peak(), _status("VmSize")
    if held_address_space:
        limit = held_address_space + int(job["memory_bytes"])
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    signal.signal(signal.SIGALRM, signal.SIG_DFL)  # kills, also where compiled code would not let Python answer
    signal.setitimer(signal.ITIMER_REAL, float(job["limit_s"]))
    walls: list[float] = []
    cpus: list[float] = []
    picks: list[int] = []
    peak = 0
    while len(walls) < int(job["n_runs"]) and sum(walls) < ENOUGH_S:
        wall, cpu = time.perf_counter(), _cpu_s()
        picks = [int(row) for row in work(vectors, scores, k)]
        cpus.append(_cpu_s() - cpu)
        walls.append(time.perf_counter() - wall)
        signal.setitimer(signal.ITIMER_REAL, 0)  # the first run tells whether it is within the limit
        peak = peak or _peak() - held
    found = {"walls": walls, "cpus": cpus, "peak_bytes": peak, "picks": picks}
    Path(job["result"]).write_text(json.dumps(found), encoding="utf-8")


def _cpu_s() -> float:
    """Processor seconds of this process, all threads, and of the processes it has ended."""
    used = (resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN))
    return sum(one.ru_utime + one.ru_stime for one in used)


def _forget_peak() -> int:
    """Bytes held now; the peak counts from here on. Where the peak cannot be forgotten: the peak so far."""
    try:
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    except OSError:
        return _peak()
    return _status("VmRSS")


def _peak() -> int:
    """The most bytes held in memory at once."""
    largest = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return _status("VmHWM") or largest * (1 if sys.platform == "darwin" else 1024)


def _status(name: str) -> int:
    """A line of Linux's account of this process, in bytes; 0 where there is none."""
    path = Path("/proc/self/status")
    lines = path.read_text(encoding="ascii").splitlines() if path.exists() else []
    return next((1024 * int(line.split()[1]) for line in lines if line.startswith(f"{name}:")), 0)


if __name__ == "__main__":
    main()
