"""10,000 assets on a stand-in for Kili with 50 ms of delay: listed, and a priority set on each, beside the official client.

The official client runs in an environment of its own, named by KILI_PYTHON or made by `make referees`; without
one, it is left out. A way runs in a process of its own, since both clients count their calls against a rate limit. Both keep
within 500 calls a minute.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from measure import Row, print_table

ROOT = Path(__file__).resolve().parents[1]
N_ASSETS, DELAY_S, N_RUNS = 10_000, 0.05, 3

_OURS = """
import json, sys, time
from al_agent import Connection, PlatformKili
server = json.loads(sys.argv[1])
quiet = Connection(show_progress=False, n_parallel=int(sys.argv[2]))
platform = PlatformKili(server["project_id"], api_key=server["api_key"], base_url=server["url"], connection=quiet)
begun = time.perf_counter()
items = list(platform.list_items())
listed = time.perf_counter()
report = platform.push({item.id: rank for rank, item in enumerate(items)})
print(json.dumps([listed - begun, time.perf_counter() - listed]))
assert len(items) == len(report.updated) == int(sys.argv[3]), report
"""

_OFFICIAL = """
import json, sys, time
from kili.client import Kili
server = json.loads(sys.argv[1])
kili = Kili(api_key=server["api_key"], api_endpoint=server["url"], disable_tqdm=True)
begun = time.perf_counter()
fields = ["id", "externalId", "priority", "content"]
assets = list(kili.assets(server["project_id"], fields=fields, disable_tqdm=True))
listed = time.perf_counter()
ids = [asset["id"] for asset in assets]
kili.update_properties_in_assets(asset_ids=ids, priorities=list(range(len(ids), 0, -1)))
print(json.dumps([listed - begun, time.perf_counter() - listed]))
assert len(assets) == int(sys.argv[3])
"""


def main() -> None:
    ways = {f"al-agent, {n} requests at once": (sys.executable, _OURS, n) for n in (8, 4, 1)}
    official = Path(os.environ.get("KILI_PYTHON", ROOT / ".venv-referees" / "kili" / "bin" / "python"))
    if official.exists():
        ways["official client kili 26.2.4"] = (str(official), _OFFICIAL, 1)
    listed: list[Row] = []
    pushed: list[Row] = []
    for what, (python, program, n_parallel) in ways.items():
        runs = [_run(python, program, n_parallel) for _ in range(N_RUNS)]
        for rows, place in ((listed, 0), (pushed, 1)):
            rows.append(Row(what, statistics.median(run[place] for run in runs), float("nan"), float("nan")))
    print_table(f"Kili's double, {1000 * DELAY_S:.0f} ms of delay: list {N_ASSETS:,} assets", listed)
    print_table(f"Kili's double, {1000 * DELAY_S:.0f} ms of delay: {N_ASSETS:,} distinct priorities", pushed)


def _run(python: str, program: str, n_parallel: int) -> list[float]:
    """Seconds to list and to push, against a server of its own."""
    words = [sys.executable, "tests/helpers/kili_double.py", "--n-assets", str(N_ASSETS), "--delay-s", str(DELAY_S)]
    environment = {**os.environ, "KILI_SDK_SKIP_CHECKS": "1", "HOME": tempfile.gettempdir()}
    with subprocess.Popen(words, cwd=ROOT, stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None
            address = server.stdout.readline()
            done = subprocess.run(
                [python, "-c", program, address, str(n_parallel), str(N_ASSETS)],
                capture_output=True,
                text=True,
                check=False,
                env=environment,
            )
        finally:
            server.terminate()
    if done.returncode:
        raise RuntimeError(done.stderr)
    seconds: list[float] = json.loads(done.stdout.splitlines()[-1])
    return seconds


if __name__ == "__main__":
    main()
