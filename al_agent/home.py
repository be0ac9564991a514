"""Where what belongs to no local project is kept on this machine."""

from __future__ import annotations

import os
from pathlib import Path


def home_folder() -> Path:
    """The folder named by the environment variable `AL_AGENT_HOME`, or `~/.al-agent`."""
    return Path(os.environ.get("AL_AGENT_HOME") or "~/.al-agent").expanduser()
