"""The tutorials that need no platform run from top to bottom, and all are kept as a reader should find them."""

from __future__ import annotations

import configparser
from pathlib import Path

import pytest
from nbclient.exceptions import CellExecutionError
from notebooks import NOTEBOOKS, TUTORIALS, pictures_of, read_notebook, run_notebook, text_of

ROOT = TUTORIALS.parent
by_name = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)


def text_of_readme() -> str:
    return (TUTORIALS / "README.md").read_text(encoding="utf-8")


def badge(path: Path) -> str:
    """What opens a notebook in Colab, at the repository's address in setup.cfg."""
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg", encoding="utf-8")
    repository = setup["metadata"]["url"].removeprefix("https://github.com/")
    target = f"https://colab.research.google.com/github/{repository}/blob/main/tutorials/{path.name}"
    return f"[![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)]({target})"


def test_there_are_eight_tutorials_numbered_without_a_gap() -> None:
    assert [path.name[:3] for path in NOTEBOOKS] == [f"0{number}_" for number in range(1, 9)]


@by_name
def test_a_notebook_is_kept_without_outputs(path: Path) -> None:
    notebook = read_notebook(path)
    assert (notebook.nbformat, notebook.nbformat_minor) == (4, 5)
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert [cell.id for cell in cells if cell.outputs or cell.execution_count is not None] == []


@by_name
def test_a_notebook_begins_with_its_badge_and_installs_what_it_needs(path: Path) -> None:
    first, second, *others = read_notebook(path).cells
    assert first.cell_type == "markdown"
    assert badge(path) in first.source
    assert second.cell_type == "code"
    assert 'importlib.util.find_spec("al_agent") is None' in second.source
    assert "%pip install --quiet" in second.source
    assert 8 <= len(others) <= 28


@by_name
def test_the_table_of_contents_has_each_notebook_with_its_badge(path: Path) -> None:
    assert f"]({path.name})" in text_of_readme()
    assert badge(path) in text_of_readme()


def test_a_cell_that_fails_is_shown_with_its_error(tmp_path: Path) -> None:
    (tmp_path / "bad.ipynb").write_text(
        '{"cells": [{"cell_type": "code", "execution_count": null, "id": "a", "metadata": {}, "outputs": [], "source": '
        '"import al_agent, warnings\\nwarnings.warn(\\"beware\\")"}], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}'
    )
    with pytest.raises(CellExecutionError, match=r'(?s)warnings\.warn\("beware"\).*UserWarning'):
        run_notebook(tmp_path / "bad.ipynb", tmp_path)


def test_01_a_first_batch_has_no_two_photos_of_a_group(sample_data: Path, tmp_path: Path) -> None:
    done = run_notebook(TUTORIALS / "01_first_batch.ipynb", tmp_path, {"AL_AGENT_DATA": str(sample_data)})
    text = text_of(done)
    assert "85 photos, the first is 2007_000027.jpg" in text
    assert "12 labeled, 73 to go" in text
    assert pictures_of(done) == 2
    assert (tmp_path / "first_batch.html").stat().st_size > 1_000_000


def test_02_detections_become_a_batch_of_photos_with_boxes(sample_data: Path, tmp_path: Path) -> None:
    done = run_notebook(TUTORIALS / "02_detection.ipynb", tmp_path, {"AL_AGENT_DATA": str(sample_data)})
    text = text_of(done)
    assert "85 items, 494 boxes" in text
    assert "15 photos labeled" in text
    assert "weighted_one_vs_two_margin_sum" in text
    assert pictures_of(done) == 2
    assert (tmp_path / "detection_round.html").stat().st_size > 1_000_000


def test_06_the_head_foresees_the_loss_better_than_guessing(tmp_path: Path) -> None:
    done = run_notebook(TUTORIALS / "06_learning_loss.ipynb", tmp_path)
    (share,) = [line for line in text_of(done).splitlines() if line.startswith("pairs in the right order:")]
    assert int(share.split("%")[0].split()[-1]) > 60
    assert pictures_of(done) == 1
    assert (tmp_path / "head.npz").exists()


def test_07_a_study_says_what_is_saved_and_what_that_is_worth(tmp_path: Path) -> None:
    text = text_of(done := run_notebook(TUTORIALS / "07_does_it_pay.ipynb", tmp_path))
    assert "Yes, on these data and with this model: CORAL is ahead of RANDOM" in text
    assert "No: it would save" in text
    assert "Yes: it would save" in text
    assert "100 more labels are expected to gain" in text
    assert pictures_of(done) == 1
    assert (tmp_path / "study.html").stat().st_size > 1_000_000
