"""The project's own settings, kept on this machine while ours are in their place."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from scorers.files import written_whole

from ...errors import Unavailable
from ...home import home_folder


def _path(key: str) -> Path:
    return home_folder() / "label-studio" / f"{hashlib.sha256(key.encode()).hexdigest()[:16]}.json"


def save(key: str, settings: dict[str, str]) -> None:
    """Keep a project's settings.

    Raises:
        Unavailable: They cannot be written.
    """
    path = _path(key)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with written_whole(path) as file:
            file.write(json.dumps({"project": key, **settings}).encode())
    except OSError as error:
        raise Unavailable(
            f"the project's own settings cannot be kept in '{path}' ({error.strerror}); nothing was changed. "
            "Set AL_AGENT_HOME to a folder that can be written"
        ) from error


def saved(key: str) -> dict[str, str] | None:
    """A project's settings as they were kept; None if there are none."""
    try:
        found = json.loads(_path(key).read_bytes())
        return {name: str(found[name]) for name in ("sampling", "model_version")}
    except (OSError, ValueError, KeyError, TypeError):
        return None


def forget(key: str) -> None:
    """Drop what was kept."""
    _path(key).unlink(missing_ok=True)
