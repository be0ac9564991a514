"""The platform that the documentation shows keeps every promise, as printed."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from al_agent.testing import PlatformContract

PAGE = Path(__file__).resolve().parents[2] / "docs" / "write_a_platform.md"


def _documented() -> type[PlatformContract]:
    blocks = re.findall(r"```(?:python|py)\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    names: dict[str, object] = {"pytest": pytest}
    for code in (next(b for b in blocks if "class PlatformSheet" in b), next(b for b in blocks if "class TestSheet" in b)):
        exec(code, names)
    suite = names["TestSheet"]
    assert isinstance(suite, type) and issubclass(suite, PlatformContract)
    return suite


TestSheet = _documented()
