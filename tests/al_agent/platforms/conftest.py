"""One Label Studio for all fault cases, and their table at the end."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest
from label_studio_server import LabelStudioServer, find_label_studio


@dataclass(frozen=True)
class Outcome:
    """A line of the table: what came of a fault, how many requests it hit, and how long the push took."""

    vendor: str
    fault: str
    what: str
    n_hits: int
    seconds: float


OUTCOMES = pytest.StashKey[list[Outcome]]()


@pytest.fixture(scope="session")
def behind_faults() -> Iterator[LabelStudioServer]:
    if find_label_studio() is None:
        pytest.skip("Label Studio is not installed: set LABEL_STUDIO_BIN")
    with LabelStudioServer() as running:
        yield running


@pytest.fixture
def note_outcome(request: pytest.FixtureRequest) -> Callable[[str, str, str, int, float], None]:
    """Adds a line to the table of fault cases."""

    def note(vendor: str, fault: str, what: str, n_hits: int, seconds: float) -> None:
        request.config.stash.setdefault(OUTCOMES, []).append(Outcome(vendor, fault, what, n_hits, seconds))

    return note


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Tell how many fault cases held, with `-v` which."""
    outcomes = config.stash.get(OUTCOMES, [])
    if not outcomes:
        return
    terminalreporter.write_line(f"fault cases: {len(outcomes)} passed")
    if config.get_verbosity() > 0:
        rows = sorted(outcomes, key=lambda one: (one.fault, one.vendor))
        wide = max(len(one.fault) for one in rows)
        for one in rows:
            terminalreporter.write_line(
                f"{one.vendor:13} {one.fault:{wide}} {one.n_hits:4} hit {one.seconds:6.2f} s  {one.what}"
            )
