"""Studies with networks as a command: what it prints and keeps, goes on with, and refuses; with real photos if there are."""

from __future__ import annotations

import io
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from run import KINDS, main

from al_agent import Embeddings
from al_agent.simulation.study import StudyResult

ROOT = Path(__file__).resolve().parents[2]
DATA = ROOT.parent / "shared" / "data"
BCCD = DATA / "det_bccd.zip"
METHOD = "UNCERTAINTY:uncertainty_entropy"
WORDS = ("--methods", "uncertainty:uncertainty_entropy", "--seeds", "1", "--start", "4", "--per-round", "4", "--rounds", "1")


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A zip of 30 bright and dark photos, 20 to choose from and 10 to test on."""
    path = tmp_path_factory.mktemp("photos") / "photos.zip"
    rng = np.random.default_rng(0)
    with zipfile.ZipFile(path, "w") as archive:
        for number in range(30):
            answer, part = number % 2, "train" if number < 20 else "test"
            content = io.BytesIO()
            Image.fromarray(rng.integers(90 * answer, 165 + 90 * answer, (32, 32, 3), dtype=np.uint8)).save(content, "PNG")
            archive.writestr(f"{part}/{'day' if answer else 'night'}/{number}.png", content.getvalue())
    return path


@pytest.fixture(scope="module")
def study(photos: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[list[str], Path, StudyResult]:
    """A command, its folder, and what it found."""
    folder = tmp_path_factory.mktemp("studies") / "study"
    words = ["cifar", "--data", str(photos), *WORDS, "--folder", str(folder)]
    return words, folder, main(words)


def test_a_study_is_kept_drawn_printed_and_not_run_again(
    study: tuple[list[str], Path, StudyResult], capsys: pytest.CaptureFixture[str]
) -> None:
    words, folder, result = study
    assert result.curves.methods == ("RANDOM", METHOD)
    assert result.curves.run(METHOD, 0).budgets.tolist() == [4, 8]
    assert result.curves.run(METHOD, 0).values.tolist() == [1, 1]
    assert len(Embeddings.load(folder / "embeddings.npz")) == 20
    with Image.open(folder / "learning_curves.png") as picture:
        assert picture.width > 500
    table = (folder / "study.csv").read_bytes()
    assert main(words).rows == result.rows  # with its seconds: nothing was run again
    assert (folder / "study.csv").read_bytes() == table
    printed = capsys.readouterr().out
    assert printed.startswith("20 items to label, 10 to test on; the figure is accuracy\n")
    assert "Cannot be said: 1 seed is too few" in printed
    assert re.search(r"^RANDOM +1\.0000$", printed, re.MULTILINE)


def test_another_study_in_the_same_folder_is_refused(
    study: tuple[list[str], Path, StudyResult], capsys: pytest.CaptureFixture[str]
) -> None:
    words, *_ = study
    with pytest.raises(SystemExit) as stopped:
        main([*words, "--per-round", "2"])
    assert stopped.value.code == 2
    assert "n_per_round was 4, now 2" in capsys.readouterr().err


def test_the_script_shares_runs_among_processes_that_reach_the_same_figures(
    study: tuple[list[str], Path, StudyResult], tmp_path: Path
) -> None:
    words, _, alone = study
    script = [sys.executable, "-W", "error", str(ROOT / "tutorials" / "studies" / "run.py")]
    run = subprocess.run(
        [*script, *words, "--workers", "2", "--folder", "two"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stderr
    shared = StudyResult.load(tmp_path / "two")
    assert [(row.method, row.figure) for row in shared.rows] == [(row.method, row.figure) for row in alone.rows]
    assert not shared.failures


def test_vectors_brought_along_and_committees_are_taken(photos: Path, tmp_path: Path) -> None:
    names = [f"{number}.png" for number in range(20)]
    Embeddings([*names, "another.png"], np.arange(42.0).reshape(21, 2)).save(tmp_path / "mine.npz")
    words = ["cifar", "--data", str(photos), *WORDS, "--folder", str(tmp_path / "study"), "--n-test", "4"]
    result = main([*words, "--embeddings", str(tmp_path / "mine.npz"), "--methods", "bald", "--passes", "3"])
    assert result.curves.methods == ("RANDOM", "BALD")
    assert not result.failures
    assert not (tmp_path / "study" / "embeddings.npz").exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["cifar", "--data", "none.zip"], "'none.zip' is not there"),
        (["bccd", "--data", "PHOTOS", "--passes", "3"], "--passes are of the classifier, in the study cifar; bccd has none"),
        (["bccd", "--data", "PHOTOS"], "photos.zip has no annotations.json"),
        (["cifar", "--data", "PHOTOS"], "ask for 2,000 labels, and the pool has 20 items"),
        (["cifar", "--data", "PHOTOS", "--seeds", "0"], "expected a whole number of 1 or more, got '0'"),
        (["cifar", "--data", "PHOTOS", "--methods", "GUESS"], "GUESS"),
    ],
)
def test_what_cannot_be_run_is_refused_before_anything_is_trained(
    photos: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    words: list[str],
    message: str,
) -> None:
    given = [str(photos) if word == "PHOTOS" else word for word in words]
    with pytest.raises(SystemExit) as stopped:
        main([*given, "--folder", str(tmp_path / "study")])
    assert stopped.value.code == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "study" / "study.csv").exists()


def test_budgets_fit_the_published_data() -> None:
    for name, n_pool in (("cifar", 6000), ("bccd", 292), ("camvid", 468)):
        for budget in KINDS[name].budgets.values():
            assert budget.start + budget.rounds * budget.per_round <= n_pool / 2


def test_the_example_of_the_readme_runs(capsys: pytest.CaptureFixture[str]) -> None:
    text = (ROOT / "tutorials" / "studies" / "README.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"^```python\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    exec(compile(block, "README.md", "exec"), {"__name__": "__main__"})
    printed = capsys.readouterr().out
    assert printed.startswith("After 50 labels, 5 seeds:")
    figures = [float(figure) for figure in re.findall(r"^[A-Z]+ +(0\.\d+) ", printed, re.MULTILINE)]
    assert len(figures) == 3
    assert min(figures) > 0.7


@pytest.mark.skipif(not BCCD.exists(), reason=f"{BCCD.name} is not there")
def test_a_detector_learns_from_real_photos(tmp_path: Path) -> None:
    words = ["--methods", "random", "--seeds", "1", "--start", "4", "--per-round", "16", "--rounds", "1"]
    result = main(["bccd", "--data", str(BCCD), *words, "--n-test", "30", "--folder", str(tmp_path / "study")])
    start, end = result.rows
    assert (start.n_labeled, end.n_labeled) == (4, 20)
    assert end.figure > start.figure + 0.1
    assert end.figure > 0.6
    assert end.amounts["seconds"] == 5 * end.amounts["boxes"]
    assert 150 < end.amounts["boxes"] < 400
