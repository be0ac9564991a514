"""Lets the modules of `tutorials/learning_loss` be found: its readers, networks and metrics serve the studies too."""

from __future__ import annotations

import sys
from pathlib import Path

_FOLDER = str(Path(__file__).resolve().parents[1] / "learning_loss")

if _FOLDER not in sys.path:
    sys.path.append(_FOLDER)
