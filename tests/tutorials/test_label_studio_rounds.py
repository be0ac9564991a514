"""The Label Studio tutorial runs as printed, on the real server with real photos and two annotators."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from label_studio_server import LabelStudioServer

ROOT = Path(__file__).resolve().parents[2]
DATA = ROOT.parent / "shared" / "data" / "det_bccd.zip"


@pytest.mark.skipif(not DATA.exists(), reason=f"{DATA.name} is not there")
def test_two_rounds_with_two_annotators_are_served_in_the_pushed_order(
    label_studio_server: LabelStudioServer, tmp_path: Path
) -> None:
    annotators = [label_studio_server.admin.invite(f"{name}-of-the-tutorial@example.com") for name in ("ann", "bob")]
    environment = {
        **os.environ,
        "LABEL_STUDIO_API_KEY": label_studio_server.token,
        "ANNOTATOR_KEYS": ",".join(annotators),
        "AL_AGENT_HOME": str(tmp_path),
    }
    words = ["tutorials/label_studio_rounds.py", "--data", str(DATA), "--url", label_studio_server.url]
    run = subprocess.run([sys.executable, *words], cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    assert re.findall(r"(round-\d)-\w+: (\d+) of (\d+) photos were served", run.stdout) == [
        ("round-1", "20", "20"),
        ("round-2", "20", "20"),
        ("round-3", "20", "20"),
    ]
    assert "200 photos uploaded, 164 kept apart to test on, 2 annotators" in run.stdout
    assert "a model trained on 60 labels" in run.stdout
    assert "'sampling': 'Sequential sampling'" in run.stdout
    assert run.stderr == ""
