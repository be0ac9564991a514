"""Where the reference numbers and the public data lie: the folder `shared` beside the checkout, where there is one."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

SHARED = Path(__file__).resolve().parents[3] / "shared"


@pytest.fixture(scope="session")
def shared_file() -> Callable[[str], Path]:
    """Path of a file under `shared`; skips the test where it is missing."""

    def find(name: str) -> Path:
        if not (SHARED / name).is_file():
            pytest.skip(f"shared/{name} is missing")
        return SHARED / name

    return find


@pytest.fixture(scope="session")
def golden(shared_file: Callable[[str], Path]) -> Callable[[str], Any]:
    """Content of `shared/golden/<name>.json`."""
    return lambda name: json.loads(shared_file(f"golden/{name}.json").read_text(encoding="utf-8"))
