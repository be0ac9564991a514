"""What tests all over the tree share: one real Label Studio server for a whole run."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator

import pytest
from label_studio_server import LabelStudioServer, find_label_studio

# Threads of numpy and torch that have nothing to do sleep, here and in processes that tests start: by default they spin,
# which took half of the processor from the other tests. Both are read when numpy and torch load, which is later.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("OPENBLAS_THREAD_TIMEOUT", "4")


@pytest.fixture(scope="session", autouse=True)
def _home_of_tests(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep journals and settings of remote projects out of the home of whoever runs the tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AL_AGENT_HOME", str(tmp_path_factory.mktemp("home")))
        for name in [
            name for name in os.environ if name.startswith(("KILI_", "SA_", "LABEL_STUDIO_URL", "LABEL_STUDIO_API"))
        ]:
            patch.delenv(name)
        yield


@pytest.fixture(scope="session", autouse=True)
def _programs_hear_interrupts() -> None:
    """Shells start what runs in the background deaf to interrupts, and the programs that tests start would be so too."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def label_studio_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LabelStudioServer]:
    """A running server; tests make projects of their own on it, and may kill it if they start it again."""
    if find_label_studio() is None:
        pytest.skip("Label Studio is not installed: make label-studio")
    with LabelStudioServer(document_root=tmp_path_factory.mktemp("files")) as server:
        yield server
