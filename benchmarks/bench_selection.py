"""Batches from large pools: our samplers beside every peer that can be installed, on the same vectors, with one thread.

Each way runs in a process of its own, peers in environments that this command makes and keeps in `.venv-peers` (about 4 GB,
and 4 more with a CUDA build of torch). Row 0 is labeled, so that greedy k-center means the same picks for everybody; the
vectors are in memory before the clock starts, and imports and compilation are not counted. Times are medians of the runs;
a way that takes 10 s is run once.

    python benchmarks/bench_selection.py --quick
    python benchmarks/bench_selection.py --sizes 100000x512x1000 --data sphere manifold --peers fpsample,alipy
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import platform
import re
import signal
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path

import numpy as np
from measure import machine
from peers.environments import NotInstalled, python_of, version_of
from peers.ways import NO_PACKAGE, WAYS, Way
from selection_data import KINDS, NotHere, Vectors, make, make_scores

FOLDER = Path(__file__).resolve().parent
START_S = 180  # for imports, compilation and the warm-up, beyond the limit
SIZES = ("10000x128x100", "100000x128x1000", "100000x512x1000")
QUICK_SIZES = ("2000x32x50", "4000x64x100")
ENVIRONMENTS = tuple(dict.fromkeys(way.environment for way in WAYS.values() if way.environment))
_THREADS = ("OMP", "OPENBLAS", "MKL", "BLIS", "NUMEXPR", "NUMBA", "RAYON")
_NO_MEMORY = re.compile(r"bad_alloc|MemoryError|memory allocation|(can't|cannot|unable to) allocate", re.IGNORECASE)

Size = tuple[int, int, int]
"""n rows, d dimensions, k picks."""


@dataclass(frozen=True)
class Limits:
    """What a way is given: seconds, bytes beyond the data, threads, and how often it is run."""

    seconds: float
    n_bytes: float
    n_threads: int
    n_runs: int


@dataclass(frozen=True)
class Outcome:
    """What became of one way: the picks and what they took, or why there are none."""

    way: Way
    failure: str = ""
    wall_s: float = np.nan
    cpu_s: float = np.nan
    peak_mb: float = np.nan
    picks: tuple[int, ...] = ()


def run(way: Way, python: Path, files: Path, k: int, limits: Limits) -> Outcome:
    """Run one way in a process of its own."""
    result = files / "result.json"
    result.unlink(missing_ok=True)
    job = {"what": way.what, "vectors": str(files / "vectors.npy"), "scores": str(files / "scores.npy"), "k": k}
    job |= {"result": str(result), "limit_s": limits.seconds, "memory_bytes": limits.n_bytes, "n_runs": limits.n_runs}
    surroundings = {**os.environ, **{f"{name}_NUM_THREADS": str(limits.n_threads) for name in _THREADS}}
    surroundings |= {"VECLIB_MAXIMUM_THREADS": str(limits.n_threads), "PYTHONWARNINGS": "ignore"}
    surroundings["PYTHONPATH"] = str(FOLDER) if way.environment else f"{FOLDER}{os.pathsep}{FOLDER.parent}"
    with subprocess.Popen(
        [str(python), "-m", "peers.child", json.dumps(job)],
        cwd=files,
        env=surroundings,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as child:
        try:
            _, said = child.communicate(timeout=limits.seconds + START_S)
        except subprocess.TimeoutExpired:
            said = ""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGKILL)  # the child, and what it may have started
    if child.returncode or not result.exists():
        return Outcome(way, _failure(child.returncode, said, limits))
    found = json.loads(result.read_text(encoding="utf-8"))
    wall_s, cpu_s = statistics.median(found["walls"]), statistics.median(found["cpus"])
    return Outcome(way, "", wall_s, cpu_s, found["peak_bytes"] / 1e6, tuple(found["picks"]))


def _failure(status: int, said: str, limits: Limits) -> str:
    if _NO_MEMORY.search(said):
        return f"over {limits.n_bytes / 1e9:g} GB"
    if status == -signal.SIGALRM or (status == -signal.SIGKILL and not said):
        return f"over {limits.seconds:g} s"
    lines = said.strip().splitlines() or [f"ended with status {status}"]
    return f"failed: {lines[-1][:100].replace('|', '/')}"


def cover(vectors: Vectors, picks: Sequence[int]) -> tuple[float, float]:
    """The largest and the mean distance of a row to the nearest center: row 0, which is labeled, or a pick.

    Centered float64 products find the nearest centers and the 64 rows that are farthest from theirs; the largest distance is
    then taken from the differences of those rows. Distances below a millionth of the largest count as 0. Time O(n k d),
    memory O(n) and a block.
    """
    mean = vectors.mean(axis=0, dtype=np.float64)
    rows = np.unique([0, *picks])
    centers = vectors[rows] - mean
    norms = np.einsum("ij,ij->i", centers, centers)
    squared = np.empty(len(vectors))
    step = max(1, (1 << 22) // max(len(rows), vectors.shape[1]))
    for start in range(0, len(vectors), step):
        part = vectors[start : start + step] - mean
        nearest = (norms - 2 * (part @ centers.T)).min(axis=1)
        squared[start : start + step] = nearest + np.einsum("ij,ij->i", part, part)
    squared[squared < 1e-12 * max(norms.max(), squared.max())] = 0  # what rounding leaves of a duplicate
    farthest = np.argsort(squared)[-64:]
    radius = max(float(((vectors[rows].astype(np.float64) - vectors[row]) ** 2).sum(axis=1).min()) for row in farthest)
    return float(np.sqrt(radius)), float(np.sqrt(squared).mean())


def agreement(outcome: Outcome, first: Outcome, k: int, n_threads: int) -> str:
    """How the picks compare with the first of their rule, if that is ours, and what else is odd about them."""
    picks, ours = outcome.picks, first.picks
    notes = []
    if outcome is not first and ours and not first.way.environment:
        differ = [place for place, (one, other) in enumerate(zip(picks, ours)) if one != other]
        n_same = differ[0] if differ else min(len(picks), len(ours))
        if picks == ours:
            notes.append("same picks")
        elif set(picks) == set(ours):
            notes.append(f"same set, the first {n_same:,} in order")
        else:
            notes.append(f"{len(set(picks) & set(ours)):,} picks in common, the first {n_same:,} in order")
    n_distinct = len(set(picks) - {0})
    if n_distinct != k:
        notes.append(f"{n_distinct:,} distinct")
    if outcome.cpu_s > 1.15 * n_threads * outcome.wall_s:
        notes.append(f"{outcome.cpu_s / outcome.wall_s:.1f} threads")
    return "; ".join(notes)


def print_outcomes(title: str, outcomes: Sequence[Outcome], vectors: Vectors, k: int, limits: Limits) -> None:
    """Print outcomes as Markdown; the ratio is to the first one's CPU seconds."""
    print(f"\n## {title}\n")
    print("| what | version | picks by | CPU s | times the first | wall s | peak MB | radius | mean distance | note |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |")
    firsts: dict[str, Outcome] = {}
    covers: dict[tuple[int, ...], tuple[float, float]] = {}
    for outcome in outcomes:
        way = outcome.way
        first = firsts.setdefault(way.rule, outcome)
        start = f"| {way.what} | {version_of(way.environment, way.package)} | {way.rule} |"
        if outcome.failure:
            print(f"{start} {outcome.failure} | | | | | | |", flush=True)
            continue
        if outcome.picks not in covers:
            covers[outcome.picks] = cover(vectors, outcome.picks)
        radius, mean = covers[outcome.picks]
        ratio = "" if outcomes[0].failure else f"{outcome.cpu_s / outcomes[0].cpu_s:.2g}"
        taken = f"{outcome.cpu_s:.3g} | {ratio} | {outcome.wall_s:.3g} | {outcome.peak_mb:.0f}"
        note = agreement(outcome, first, k, limits.n_threads)
        print(f"{start} {taken} | {radius:.6g} | {mean:.4g} | {note} |", flush=True)


def print_growth(kind: str, measured: dict[Size, list[Outcome]]) -> None:
    """Print CPU seconds and memory of every way, size by size."""
    titles = [f"{n:,} x {d}, k {k:,}" for n, d, k in measured]
    for what, field in (("CPU seconds", "cpu_s"), ("Peak MB beyond the data", "peak_mb")):
        print(f"\n## {what} by size, {kind}\n\n| what | {' | '.join(titles)} |\n| --- |{' --- |' * len(titles)}")
        for row in zip(*measured.values(), strict=True):
            cells = [one.failure or f"{getattr(one, field):.3g}" for one in row]
            print(f"| {row[0].way.what} | {' | '.join(cells)} |", flush=True)


def measure_size(
    kind: str, size: Size, pythons: dict[str, Path], limits: Limits, seed: int
) -> tuple[Size, list[Outcome], Vectors]:
    """Make one data set and run every way on it; the size is the real one, where the data has fewer rows."""
    vectors = make(kind, size[0], size[1], seed=seed)
    n, d = vectors.shape
    k = min(size[2], n - 1)
    outcomes = []
    with tempfile.TemporaryDirectory() as folder:
        files = Path(folder)
        np.save(files / "vectors.npy", vectors)
        np.save(files / "scores.npy", make_scores(n, seed=seed))
        for way in WAYS.values():
            if way.environment in pythons:
                outcomes.append(run(way, pythons[way.environment], files, k, limits))
                taken = outcomes[-1].failure or f"{outcomes[-1].cpu_s:.3g} s"
                print(f"{kind}, {n:,} x {d}, k {k:,}: {way.what}: {taken}", file=sys.stderr, flush=True)
    return (n, d, k), outcomes, vectors


def parse_size(text: str) -> Size:
    """`NxDxK` as three numbers."""
    parts = text.lower().split("x")
    if len(parts) != 3 or not all(part.isdecimal() and int(part) > 0 for part in parts) or int(parts[0]) < 2:
        raise argparse.ArgumentTypeError(f"size is {text!r}; expected rows x dimensions x picks, as 10000x128x100")
    return int(parts[0]), int(parts[1]), int(parts[2])


def parse_peers(text: str) -> tuple[str, ...]:
    """Names of environments, separated by commas."""
    names = tuple(name.strip() for name in text.split(","))
    unknown = [name for name in names if name not in ENVIRONMENTS]
    if unknown:
        raise argparse.ArgumentTypeError(f"there is no peer {unknown[0]!r}; expected some of {', '.join(ENVIRONMENTS)}")
    return names


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--peers", type=parse_peers, default=ENVIRONMENTS, help="only these, separated by commas")
    which.add_argument("--no-peers", dest="peers", action="store_const", const=(), help="ours and the loops by hand")
    parser.add_argument("--sizes", type=parse_size, nargs="+", help="rows x dimensions x picks, as 10000x128x100")
    parser.add_argument("--data", nargs="+", choices=KINDS, default=["clusters"], help="kinds of vectors")
    parser.add_argument("--quick", action="store_true", help="small sizes, one run each: whether everything works")
    parser.add_argument("--runs", type=int, default=3, help="runs of each way that takes less than 10 s")
    parser.add_argument("--limit-s", type=float, default=120, help="seconds a way may take")
    parser.add_argument("--memory-gb", type=float, default=8, help="10**9 bytes of address space a way may add to the data")
    parser.add_argument("--threads", type=int, default=1, help="threads a way may use")
    parser.add_argument("--seed", type=int, default=0, help="seed of the data")
    parser.add_argument("--python", default=sys.executable, help="the interpreter that makes the peers' environments")
    return parser.parse_args()


def main() -> None:
    options = parse_arguments()
    limits = Limits(options.limit_s, options.memory_gb * 1e9, options.threads, options.runs)
    if options.quick:
        limits = replace(limits, n_runs=1)
    sizes = options.sizes or [parse_size(text) for text in (QUICK_SIZES if options.quick else SIZES)]
    pythons = {"": Path(sys.executable)}
    left_out = dict(NO_PACKAGE)
    for name in options.peers:
        try:
            pythons[name] = python_of(name, base=options.python)
        except NotInstalled as reason:
            left_out[name] = f"not installed: {reason}"

    print(f"# Selection, {date.today().isoformat()}\n\n{machine()}, {processor()}, {os.cpu_count()} processors.")
    print(f"{limits.n_threads} thread each; at most {limits.seconds:g} s, and {limits.n_bytes / 1e9:g} GB beyond the data.")
    if options.peers:
        print("\nLeft out:\n\n" + "\n".join(f"- {name}: {reason}" for name, reason in left_out.items()), flush=True)
    for kind in options.data:
        measured: dict[Size, list[Outcome]] = {}
        for size in sizes:
            try:
                real, outcomes, vectors = measure_size(kind, size, pythons, limits, options.seed)
            except NotHere as reason:
                print(f"\n{kind}, {size[0]:,} x {size[1]}, is left out: {reason}.", flush=True)
                continue
            n, d, k = real
            print_outcomes(f"{k:,} picks from {n:,} x {d} float32, {kind}", outcomes, vectors, k, limits)
            measured[real] = outcomes
        if len(measured) > 1:
            print_growth(kind, measured)


def processor() -> str:
    """The model of the processor."""
    path = Path("/proc/cpuinfo")
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    return next((line.partition(": ")[2] for line in lines if line.startswith("model name")), platform.processor())


if __name__ == "__main__":
    main()
