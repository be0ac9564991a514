"""Memory of listing and pushing as a project grows from 10,000 to 1,000,000 items, on a stand-in for SuperAnnotate."""

from __future__ import annotations

import sys
import time
import tracemalloc
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests" / "helpers"))

from superannotate_double import SuperAnnotateDouble

from al_agent import Connection, PlatformSuperAnnotate

N_PICKS = 1_000


def main() -> None:
    print("\n## Memory of the connector, SuperAnnotate's double\n")
    print("| items | listing s | peak MB while listing | kept MB | kept bytes an item | push of 1,000: s | more MB |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for n_items in (10_000, 100_000, 1_000_000):
        with SuperAnnotateDouble() as double:
            double.add_items("root", (f"img_{number:07d}.jpg" for number in range(n_items)))
            quiet = Connection(show_progress=False, read_timeout_s=300)
            platform = PlatformSuperAnnotate(501, api_key=double.token, base_url=double.url, connection=quiet)
            begun = time.perf_counter()
            n_listed = sum(1 for _ in platform.list_items())
            listed_s = time.perf_counter() - begun
            assert n_listed == n_items
            double.requests.clear()
            tracemalloc.start()
            for _ in platform.list_items():
                pass
            double.requests.clear()
            kept, peak = tracemalloc.get_traced_memory()
            tracemalloc.reset_peak()
            begun = time.perf_counter()
            report = platform.push({f"img_{number:07d}.jpg": number for number in range(N_PICKS)})
            pushed_s = time.perf_counter() - begun
            _, more = tracemalloc.get_traced_memory()
            tracemalloc.stop()
            assert len(report.updated) == N_PICKS
            print(
                f"| {n_items:,} | {listed_s:.2f} | {peak / 1e6:.0f} | {kept / 1e6:.0f} | {kept / n_items:.0f} "
                f"| {pushed_s:.2f} | {(more - kept) / 1e6:.1f} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
