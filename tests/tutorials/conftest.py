"""What the notebooks read, laid out once."""

from __future__ import annotations

from pathlib import Path

import pytest
from notebooks import lay_out_sample_data


@pytest.fixture(scope="session")
def sample_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that a notebook's `AL_AGENT_DATA` names."""
    return lay_out_sample_data(tmp_path_factory.mktemp("sample_data"))
