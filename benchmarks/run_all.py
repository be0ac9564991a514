"""Runs every benchmark in a process of its own, and prints Markdown; selection without its peers, no minutes of learning."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from measure import machine


def main() -> None:
    folder = Path(__file__).parent
    print(f"{machine()}, {os.cpu_count()} processors", flush=True)
    for script in sorted(folder.glob("bench_*.py")):
        if script.name == "bench_self_supervised.py":  # takes the minutes that it is told
            continue
        options = ["--no-peers"] if script.name == "bench_selection.py" else []
        subprocess.run([sys.executable, str(script), *options], check=True)


if __name__ == "__main__":
    main()
