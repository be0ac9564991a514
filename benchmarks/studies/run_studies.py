"""Runs the studies on vectors, each in a folder of its own, and goes on where an earlier start was stopped.

python benchmarks/studies/run_studies.py --data PACKS --out FOLDER
python benchmarks/studies/run_studies.py --data PACKS --out FOLDER --only cifar_linear digits_cold
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from tqdm import tqdm
from vector_data import PROBABILITIES, VECTORS, NotHere
from vector_studies import PLANS, Plan

from al_agent.simulation.study import StudyResult

DATA = "AL_AGENT_STUDY_DATA"
WITH_MORE_SEEDS = ("RANDOM", "AUTO")
"""What every method is compared with, and what most depends on."""


def main() -> None:
    parser = argparse.ArgumentParser(description="Run the studies on vectors, or what is missing of them.")
    parser.add_argument(
        "--data",
        type=Path,
        default=os.environ.get(DATA),
        help=f"folder of {VECTORS} and {PROBABILITIES}, by default that of {DATA}; without one only digits can be run",
    )
    parser.add_argument("--out", type=Path, required=True, help="folder that gets one folder for each study")
    parser.add_argument("--only", nargs="+", default=[""], metavar="NAME", help=f"studies that begin so: {', '.join(PLANS)}")
    parser.add_argument("--seeds", type=int, default=5, help="runs of each method")
    parser.add_argument("--more-seeds", type=int, default=10, help=f"runs of {' and '.join(WITH_MORE_SEEDS)}")
    parser.add_argument("--workers", type=int, default=2, help="processes at once")
    options = parser.parse_args()
    for one in options.only:
        if not any(name.startswith(one) for name in PLANS):
            parser.error(f"no study begins with {one!r}; there are {', '.join(PLANS)}")
    seeds = (options.seeds, max(options.seeds, options.more_seeds))
    for name, plan in PLANS.items():
        if name.startswith(tuple(options.only)):
            run(name, plan, options.data, options.out / name, seeds, options.workers)


def run(name: str, plan: Plan, data: Path | None, home: Path, seeds: tuple[int, int], n_workers: int) -> None:
    """Run what is missing of one study, with progress bars and a last line.

    Args:
        name: Of the study.
        plan: How it is made.
        data: Folder of data packs, if any.
        home: Folder of the study.
        seeds: How many for each method, and how many for those of `WITH_MORE_SEEDS`.
        n_workers: Processes at once.
    """
    started = time.perf_counter()
    try:
        study = plan.study(Path("(no folder was named)") if data is None else Path(data), range(seeds[0]))
    except NotHere as problem:
        print(f"{name}: left out, {problem}", flush=True)
        return
    assert isinstance(study.methods, Mapping)  # since birth
    some = {method: config for method, config in study.methods.items() if method in WITH_MORE_SEEDS}
    for part in (study, replace(study, methods=some, seeds=range(seeds[1]))):
        with tqdm(total=len(part.methods) * len(part.seeds), desc=name, unit="run") as bar:
            part.run(home, n_workers=n_workers, on_run=bar.update)
    failures = StudyResult.load(home).failures
    print(f"{name}: done in {time.perf_counter() - started:.0f} s, {len(failures)} runs failed", flush=True)
    for (method, seed), why in failures.items():
        print(f"  {method}, seed {seed}: {why}", flush=True)


if __name__ == "__main__":
    main()
