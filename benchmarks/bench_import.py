"""How long `import al_agent` takes in a fresh process, beside `import numpy`."""

from __future__ import annotations

import subprocess
import sys

from measure import measure, print_table


def start_python(program: str) -> None:
    subprocess.run([sys.executable, "-c", program], check=True)


def main() -> None:
    rows = [
        measure(name, lambda program=program: start_python(program), n_runs=11)  # type: ignore[misc]
        for name, program in {
            "import al_agent": "import al_agent",
            "import numpy": "import numpy",
            "python alone": "pass",
        }.items()
    ]
    print_table("Import, whole process", rows)


if __name__ == "__main__":
    main()
