"""Environments of peers, each made when it is first needed and kept in `.venv-peers`."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

FOLDER = Path(__file__).resolve().parents[2] / ".venv-peers"
REQUIREMENTS = Path(__file__).resolve().parent / "requirements"
_INSTALL_S = 1_800


class NotInstalled(Exception):
    """A peer could not be installed, with the last line of the reason."""


def python_of(environment: str, *, base: str = sys.executable) -> Path:
    """The interpreter of an environment that has exactly what its requirements file says, made if need be.

    Args:
        environment: The name of the requirements file, without its ending.
        base: The interpreter to make it with.

    Raises:
        NotInstalled: The packages cannot be installed here.
    """
    folder, requirements = FOLDER / environment, REQUIREMENTS / f"{environment}.txt"
    stamp = folder / ".done"
    wanted = f"{_run([base, '-V'], 60)}\n{requirements.read_text(encoding='utf-8')}"
    python = folder / "bin" / "python"
    if stamp.exists() and stamp.read_text(encoding="utf-8") == wanted:
        return python
    print(f"installing {environment}", file=sys.stderr, flush=True)
    shutil.rmtree(folder, ignore_errors=True)
    FOLDER.mkdir(exist_ok=True)
    (FOLDER / ".gitignore").write_text("*\n", encoding="utf-8")  # git and ruff leave the folder alone
    _run([base, "-m", "venv", str(folder)], 300)
    pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--requirement", str(requirements)]
    _run(pip, _INSTALL_S)
    stamp.write_text(wanted, encoding="utf-8")
    return python


def version_of(environment: str, package: str) -> str:
    """The version that an environment's requirements name; empty for ours, which need none."""
    if not environment:
        return ""
    lines = (REQUIREMENTS / f"{environment}.txt").read_text(encoding="utf-8").splitlines()
    return next(line.partition("==")[2] for line in lines if line.startswith(f"{package}=="))


def _run(command: list[str], limit_s: int) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=limit_s, check=False)
    except subprocess.TimeoutExpired:
        raise NotInstalled(f"not done after {limit_s:,} s") from None
    except OSError as error:
        raise NotInstalled(str(error)) from None
    if done.returncode:
        lines = (done.stderr or done.stdout).strip().splitlines()
        errors = [line for line in lines if line.startswith("ERROR")] or lines or [f"exit status {done.returncode}"]
        raise NotInstalled(errors[-1].strip())
    return done.stdout.strip()
