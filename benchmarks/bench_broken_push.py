"""100,000 priorities to stand-ins for Kili and SuperAnnotate, a network that fails in the middle, and how it ends.

Every item of a project of 100,000 is picked. After 500 of 1,000 batches each further one is stored, and its connection reset
before the answer, as often as it is tried. Then the network is back, and an agent that knows the journal alone pushes.
"""

from __future__ import annotations

import sys
import tempfile
import time
import warnings
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests" / "helpers"))

from fault_sites import KiliSite, Site, SuperAnnotateSite
from http_double import Fault

from al_agent import ActiveLearningAgent, Connection, PushReport, SamplerConfig

N_ITEMS = 100_000
QUIET = Connection(show_progress=False, give_up_after_s=5, first_wait_s=0.05, longest_wait_s=1)


def push(site: Site, journal: Path) -> tuple[PushReport, float, int]:
    """Push the last round as a process that knows the journal alone: the report, seconds, requests with priorities."""
    site.double.requests.clear()
    agent = ActiveLearningAgent(site.platform(QUIET), journal=journal)
    begun = time.perf_counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of an end that is not reached
        report = agent.push()
    seconds = time.perf_counter() - begun
    return report, seconds, sum(1 for request in site.double.requests if site.pushes(request))


def main() -> None:
    print("\n## A push of 100,000 priorities that breaks in the middle\n")
    print("| stand-in for | push | seconds | requests | updated | unchanged | failed | not sent |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- |")
    for site in (KiliSite(N_ITEMS), SuperAnnotateSite(N_ITEMS)):
        with site, tempfile.TemporaryDirectory() as folder:
            journal = Path(folder) / "rounds.sqlite"
            agent = ActiveLearningAgent(site.platform(QUIET), journal=journal)
            batch = agent.query(SamplerConfig(N_ITEMS, method="RANDOM"), push=False)
            fault = Fault(on=site.pushes, skip=500, times=None, then="reset")
            for what in ("broken at half", "the network is back", "once more"):
                site.double.faults[:] = [fault] if what == "broken at half" else []
                report, seconds, n_requests = push(site, journal)
                counts = [len(report.updated), len(report.unchanged), len(report.failed), len(report.not_sent)]
                numbers = " | ".join(f"{number:,}" for number in (n_requests, *counts))
                print(f"| {site.vendor} | {what} | {seconds:.1f} | {numbers} |", flush=True)
            ranks, queue = site.state()
            assert report.is_complete
            assert tuple(queue) == batch.item_ids
            assert [ranks[item_id] for item_id in batch.item_ids] == list(range(N_ITEMS))


if __name__ == "__main__":
    main()
