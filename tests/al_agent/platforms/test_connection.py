"""A connection is checked when it is made."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path
from typing import Any

import pytest

from al_agent.platforms.connection import Connection

NUMBERS = (
    "connect_timeout_s",
    "read_timeout_s",
    "give_up_after_s",
    "first_wait_s",
    "longest_wait_s",
    "n_parallel",
)


def test_every_number_is_checked() -> None:
    found = {field.name for field in dataclasses.fields(Connection)}
    assert found - {"ca_file", "show_progress"} == set(NUMBERS)


@pytest.mark.parametrize("name", NUMBERS)
@pytest.mark.parametrize("value", [0, -1, float("nan"), float("inf"), True, None, "5"])
def test_what_is_no_positive_number_is_refused(name: str, value: Any) -> None:
    with pytest.raises(ValueError, match=re.escape(f"{name} is {value!r}; expected a positive number")):
        Connection(**{name: value})


def test_half_a_request_is_refused() -> None:
    with pytest.raises(ValueError, match=r"n_parallel is 1\.5; expected a whole number"):
        Connection(n_parallel=1.5)  # type: ignore[arg-type]


@pytest.mark.parametrize("switch", [True, False])
def test_certificates_cannot_be_switched_off(switch: Any) -> None:
    with pytest.raises(ValueError, match=f"ca_file is {switch}; expected a file. Certificates are always checked"):
        Connection(ca_file=switch)


def test_a_missing_authority_is_told_at_once(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"ca_file '.*authority\.pem' does not exist"):
        Connection(ca_file=tmp_path / "authority.pem")


def test_the_home_folder_may_be_written_short(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "authority.pem").touch()
    assert Connection(ca_file="~/authority.pem").ca_file == "~/authority.pem"
