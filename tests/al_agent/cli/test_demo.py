"""The demo: a real round and an honest comparison."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from PIL import Image

from al_agent import ActiveLearningAgent, PlatformLocal
from al_agent.cli import main


def test_the_demo_runs_a_round_on_real_images_and_is_the_same_for_a_seed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    results = []
    for _ in range(2):  # the second run replaces the first
        assert main(["demo", str(tmp_path / "demo"), "--json"]) == 0
        results.append(json.loads(capsys.readouterr().out))
    first, second = results
    assert {**first, "elapsed_s": 0} == {**second, "elapsed_s": 0}

    agent = ActiveLearningAgent(PlatformLocal(tmp_path / "demo"))
    assert len(agent.query_set) == 1_300
    assert len(agent.labeled_set) == 70
    assert list(agent.added_set) == first["picks"]
    assert len(first["picks"]) == 50
    assert agent.platform.key.startswith("local:")
    assert len(list((tmp_path / "demo" / "test").glob("*.png"))) == 497
    assert first["accuracy_after"] > first["accuracy_before"] > 0.3
    assert first["n_labeled"] == list(range(20, 221, 20))
    assert set(first["mean_accuracy"]) == {"CORAL", "UNCERTAINTY", "CORESET", "RANDOM"}
    for curve in first["mean_accuracy"].values():
        assert len(curve) == 11
        assert curve[0] == first["mean_accuracy"]["RANDOM"][0]  # a common start
        assert curve[-1] > 0.88
    with Image.open(first["contact_sheet"]) as sheet:
        assert sheet.size == (1524, 1176)
    with Image.open(first["learning_curves"]) as plot:
        assert plot.size == (960, 600)
    page = Path(first["page"]).read_text(encoding="utf-8")
    assert all(item_id in page for item_id in first["picks"])
    balance = page[page.index('id="classes"') : page.index('id="quality"')]
    named = re.findall(r'<th scope="row"><bdi>(\d)</bdi>', balance)
    assert sorted(named) == list("013456789")  # no 2 is labeled before the batch, so that no model can see one


def test_the_demo_touches_no_folder_that_is_not_its_own(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "mine.txt").write_text("precious", encoding="utf-8")
    assert main(["demo", str(tmp_path)]) == 2
    assert "is no earlier demo; name another folder" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]
