"""`al-agent query --method auto` takes the scores and embeddings that the project's folder has."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from al_agent import ActiveLearningAgent, Embeddings, PlatformLocal
from al_agent.cli import main

N = 150
IDS = tuple(f"img_{number:03}.png" for number in range(N))


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Images on a line, and predictions that are unsure in its middle."""
    PlatformLocal.create(tmp_path / "project", images=IDS)
    return tmp_path / "project"


def add_embeddings(project: Path) -> None:
    Embeddings(IDS, np.linspace(-1, 1, N)[:, None]).save(project / "embeddings.npz")


def add_scores(project: Path, order: tuple[str, ...] = IDS) -> None:
    probability = np.linspace(0.01, 0.99, N)
    file = project.parent / "p.npz"
    np.savez(file, item_ids=order, probabilities=np.stack([probability, 1 - probability], axis=1))
    assert main(["score", str(project), "--probabilities", str(file)]) == 0


def queried(project: Path, capsys: pytest.CaptureFixture[str], *words: str) -> tuple[dict[str, Any], str]:
    """What a query printed as JSON, and on standard error."""
    capsys.readouterr()
    assert main(["query", str(project), "-n", "8", "-m", "auto", *words, "--json"]) == 0
    printed = capsys.readouterr()
    result = json.loads(printed.out)
    assert isinstance(result, dict)
    return result, printed.err


def picks_of(project: Path, capsys: pytest.CaptureFixture[str], method: str, n_samples: int) -> list[str]:
    capsys.readouterr()
    assert main(["query", str(project), "-n", str(n_samples), "-m", method, "--json", "--dry-run"]) == 0
    return [pick["item_id"] for pick in json.loads(capsys.readouterr().out)["picks"]]


def items(result: dict[str, Any]) -> list[str]:
    return [pick["item_id"] for pick in result["picks"]]


def test_without_files_the_batch_is_drawn_at_random(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    result, said = queried(project, capsys)
    assert (result["method"], result["score"], result["is_pushed"]) == ("AUTO", None, True)
    note = "drawn at random, since there are neither embeddings nor scores; pass either, best both"
    assert result["notes"] == [note]
    assert said == f"warning: {note}\n"
    assert items(result) == picks_of(project, capsys, "random", 8)


def test_scores_alone_are_taken_where_they_are(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    add_scores(project)
    result, said = queried(project, capsys)
    assert result["score"] == "uncertainty_margin"
    assert said.startswith("warning: every second pick is drawn at random: without embeddings")
    assert items(result)[::2] == picks_of(project, capsys, "uncertainty", 4)
    assert result["picks"][1]["reason"] == "no embeddings; drawn at random"


def test_embeddings_alone_are_taken_where_they_are(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    add_embeddings(project)
    result, said = queried(project, capsys)
    assert (result["score"], result["notes"], said) == (None, [], "")
    assert items(result) == picks_of(project, capsys, "max_herding", 8)
    assert all(pick["reason"].startswith("no scores; adds ") for pick in result["picks"])


def test_both_are_taken_and_the_journal_holds_the_reasons(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    add_embeddings(project)
    add_scores(project)
    result, said = queried(project, capsys)
    assert (result["score"], result["notes"], said) == ("uncertainty_margin", [], "")
    assert all(pick["reason"].startswith("neighbours share uncertainty_margin; ") for pick in result["picks"])
    (noted,) = ActiveLearningAgent(PlatformLocal(project)).history
    assert list(noted.selection.reasons) == [pick["reason"] for pick in result["picks"]]
    assert noted.scores_digest and noted.embeddings_digest == Embeddings.load(project / "embeddings.npz").digest


def test_files_that_are_named_are_taken_from_anywhere(
    project: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    add_embeddings(project)
    add_scores(project)
    expected = items(queried(project, capsys)[0])
    for name in ("embeddings.npz", "scores.npz"):
        (project / name).rename(tmp_path / name)
    assert items(queried(project, capsys)[0]) != expected
    words = ["--scores", str(tmp_path / "scores.npz"), "--embeddings", str(tmp_path / "embeddings.npz")]
    assert items(queried(project, capsys, *words)[0]) == expected


def test_predictions_in_a_wrong_order_are_warned_of_and_noted(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    add_embeddings(project)
    order = np.random.default_rng(0).permutation(N)
    add_scores(project, tuple(IDS[place] for place in order))
    result, said = queried(project, capsys)
    assert said.startswith("warning: uncertainty_margin looks like chance: ")
    assert result["is_pushed"]
    (noted,) = ActiveLearningAgent(PlatformLocal(project)).history
    assert list(noted.notes) == result["notes"]
    assert "check that predictions are in the order of their item ids" in noted.notes[0]


def test_scores_that_are_older_than_the_images_have_to_be_made_anew(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    add_scores(project)
    PlatformLocal(project).add_images(["late.png"])
    capsys.readouterr()
    assert main(["query", str(project), "-m", "auto"]) == 1
    assert "1 items have no score, the first is 'late.png'; score the whole unlabeled_set" in capsys.readouterr().err
    assert ActiveLearningAgent(PlatformLocal(project)).history == ()


def test_a_score_that_is_asked_for_by_name_has_to_be_there(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["query", str(project), "-m", "auto", "--score", "uncertainty_entropy"]) == 2
    said = " ".join(capsys.readouterr().err.replace("│", " ").split())
    assert "AUTO needs scores: al-agent score (looked for" in said
    add_scores(project)
    assert queried(project, capsys, "--score", "uncertainty_entropy")[0]["score"] == "uncertainty_entropy"
