"""What tests all over the tree share: one real Label Studio server for a whole run."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from label_studio_server import LabelStudioServer, find_label_studio


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


@pytest.fixture(scope="session")
def label_studio_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LabelStudioServer]:
    """A running server; tests make projects of their own on it, and may kill it if they start it again."""
    if find_label_studio() is None:
        pytest.skip("Label Studio is not installed: make label-studio")
    with LabelStudioServer(document_root=tmp_path_factory.mktemp("files")) as server:
        yield server
