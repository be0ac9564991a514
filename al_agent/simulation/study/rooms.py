"""Folders for throwaway projects, in memory where there is room; those of killed processes are removed by the next."""

from __future__ import annotations

import contextlib
import os
import shutil
import stat
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from .locks import InUse, held

_PREFIX = "al-agent-study-"
_LOCK = "lock"
_YOUNG_S = 60.0  # a process locks its folder at once; until then it looks like one left behind
_ROOM_BYTES = 1 << 30  # a project of a million items takes a fifth of it


@contextlib.contextmanager
def room() -> Iterator[Path]:
    """A folder that only this user can enter, removed when the block ends, or when a study begins after a kill."""
    parent = _parent()
    remove_left_behind(parent)
    folder = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=parent))
    try:
        with held(folder / _LOCK, f"'{folder}' is held by another process"):
            yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def remove_left_behind(parent: Path) -> None:
    """Remove this user's rooms that no process holds: no process id is asked, as another process may have it by now."""
    for folder in parent.glob(f"{_PREFIX}*"):
        with contextlib.suppress(InUse, OSError):  # one that vanished meanwhile, or is no business of ours
            status = folder.lstat()
            is_ours = not hasattr(os, "getuid") or status.st_uid == os.getuid()
            if not stat.S_ISDIR(status.st_mode) or not is_ours or time.time() - status.st_mtime < _YOUNG_S:
                continue
            with held(folder / _LOCK, ""):
                pass
            shutil.rmtree(folder, ignore_errors=True)


def _parent() -> Path:
    """Where files are no files of a disk, so that transactions wait for none; else the folder for temporary files."""
    memory = Path("/dev/shm")
    if "TMPDIR" in os.environ or not os.access(memory, os.W_OK) or shutil.disk_usage(memory).free <= _ROOM_BYTES:
        return Path(tempfile.gettempdir())
    return memory
