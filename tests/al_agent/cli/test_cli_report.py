"""`al-agent report`: the page of a round from the shell."""

from __future__ import annotations

import json
import shlex
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from al_agent import ActiveLearningAgent, Embeddings, PlatformLocal, SamplerConfig
from al_agent.cli import main
from al_agent.report.round.gathering.again import as_command

pytest.importorskip("jinja2")
pytest.importorskip("plotly")

IDS = tuple(f"img_{n}.png" for n in range(10))


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ten images with embeddings, two labels, scores and a round of three picks; predictions in p.npz beside them."""
    place = tmp_path_factory.mktemp("made")
    folder = place / "my project"
    folder.mkdir()
    for n, name in enumerate(IDS):
        Image.new("RGB", (16, 16), (20 * n, 100, 0)).save(folder / name)
    PlatformLocal.create(folder).annotate({"img_8.png": "cat", "img_9.png": "dog"})
    p = np.linspace(0.5, 1.0, 10)
    np.savez(place / "p.npz", item_ids=IDS, probabilities=np.stack([p, 1 - p], axis=1))
    Embeddings(IDS, np.random.default_rng(0).normal(size=(10, 4))).save(folder / "embeddings.npz")
    assert main(["score", str(folder), "--probabilities", str(place / "p.npz")]) == 0
    assert main(["query", str(folder), "-n", "3", "-m", "coral", "--seed", "4"]) == 0
    return place


@pytest.fixture
def project(made: Path, tmp_path: Path) -> Path:
    shutil.copytree(made, tmp_path, dirs_exist_ok=True)
    return tmp_path / "my project"


def run_json(capsys: pytest.CaptureFixture[str], *words: str | Path) -> dict[str, Any]:
    capsys.readouterr()
    status = main([*map(str, words), "--json"])
    printed = capsys.readouterr()
    assert status == 0, printed.err
    result = json.loads(printed.out)
    assert isinstance(result, dict)
    return result


def test_the_page_of_the_last_round_with_what_lies_in_the_project(
    project: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (project / "curve.csv").write_text("labels,mAP\n10,40\n20,50.5\n", encoding="utf-8")
    found = run_json(capsys, "report", project, "--probabilities", tmp_path / "p.npz")
    assert (found["round"], found["name"], found["missing"]) == (1, "round-1-coral", [])
    page = project / "round-1.html"
    assert (found["output"], found["n_bytes"]) == (str(page), page.stat().st_size)
    text = page.read_text(encoding="utf-8")
    for part in ("round-1-coral", "uncertainty_margin", "mAP", "my project", "--method CORAL --seed 4"):
        assert part in text


def test_words_say_where_the_page_is_and_what_it_cannot_show(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (project / "scores.npz").unlink()
    capsys.readouterr()
    assert main(["report", str(project), "--output", str(project / "a.html")]) == 0
    printed = capsys.readouterr()
    first, *rest = printed.out.splitlines()
    assert first.startswith(f"round-1-coral: 3 picks in {project / 'a.html'}, ")
    assert first.endswith(" MB")
    assert rest[0].startswith(" - No scores: give the scorer or its scores, or on the command line")
    assert all(len(line) <= 80 for line in rest)
    assert printed.err == ""


def test_an_earlier_round_other_labels_and_a_given_map(
    project: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["query", str(project), "-n", "1", "-m", "random"]) == 0
    (tmp_path / "labels.csv").write_text("item,label\nimg_8.png,zebra\n", encoding="utf-8")
    Embeddings(IDS, np.zeros((10, 2))).save(tmp_path / "map.npz")
    found = run_json(
        capsys,
        *("report", project, "--round", "1", "--labels", tmp_path / "labels.csv", "--map", tmp_path / "map.npz"),
        *("--thumbnails", "0"),
    )
    assert found["round"] == 1
    text = (project / "round-1.html").read_text(encoding="utf-8")
    assert "zebra" in text
    assert "as given" in text


def test_detections_are_read_as_for_score(project: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    images = [{"id": n, "file_name": name, "width": 16, "height": 16} for n, name in enumerate(IDS)]
    annotations = {"images": images, "categories": [{"id": 1, "name": "omnibus 7"}]}
    (tmp_path / "a.json").write_text(json.dumps(annotations), "utf-8")
    boxes = [{"image_id": n, "category_id": 1, "bbox": [1, 1, 8, 8], "score": 0.5 + n / 20} for n in range(10)]
    (tmp_path / "d.json").write_text(json.dumps(boxes), "utf-8")
    words: list[str | Path] = [
        "report",
        project,
        "--coco-results",
        tmp_path / "d.json",
        "--coco-images",
        tmp_path / "a.json",
    ]
    found = run_json(capsys, *words)
    assert any("are boxes that the model sees on labeled images" in sentence for sentence in found["missing"])
    assert "omnibus 7" in (project / "round-1.html").read_text(encoding="utf-8")
    run_json(capsys, *words, "--score-threshold", "1")
    assert "omnibus 7" not in (project / "round-1.html").read_text(encoding="utf-8")


def test_maps_of_pixels_are_read_one_by_one(project: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    maps = tmp_path / "maps"
    maps.mkdir()
    for name in IDS:
        np.save(maps / f"{name}.npy", np.full((4, 4, 2), 0.5, dtype=np.float32))
    found = run_json(capsys, "report", project, "--maps", maps)
    assert not any("not drawn" in sentence for sentence in found["missing"])
    for name in IDS:
        np.save(maps / f"{name}.npy", np.full((4, 4, 2), 3.0, dtype=np.float32))
    assert main(["report", str(project), "--maps", str(maps)]) == 1
    assert str(maps) in capsys.readouterr().err


WRONG = [
    (["--round", "7"], 1, "there is no round 7; the project has 1: al-agent status lists them"),
    (["--output", "page.txt"], 1, "ends in .txt; expected .html"),
    (["--curve", "CURVE"], 1, "is no curve"),
    (["--curve", "HEADER"], 1, "is no curve (it has no row below its header); expected a header such as"),
    (["--value-per-point", "3"], 1, "prices are given without curve"),
    (["--map-method", "mds"], 1, "map_method is 'mds'"),
    (["--images", "EMPTY"], 1, "no images found below"),
    (["--scores", "nowhere.npz"], 1, "there is no file 'nowhere.npz'"),
    (["--map", "nowhere.npz"], 1, "there is no file"),
    (["--coco-results", "d.json"], 2, "go together"),
    (["--score-threshold", "0.5"], 2, "give one of --probabilities"),
]


@pytest.mark.parametrize(("words", "status", "message"), WRONG, ids=[words[0] for words, *_ in WRONG])
def test_what_is_wrong_is_said_and_nothing_is_written(
    words: list[str], status: int, message: str, project: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "curve.csv").write_text("labels\n10\n", encoding="utf-8")
    (tmp_path / "header.csv").write_text("labels,mAP\n", encoding="utf-8")
    (tmp_path / "empty").mkdir()
    places = {name.upper(): str(tmp_path / f"{name}.csv") for name in ("curve", "header")}
    places["EMPTY"] = str(tmp_path / "empty")
    capsys.readouterr()
    assert main(["report", str(project), *(places.get(word, word) for word in words)]) == status
    assert message in capsys.readouterr().err
    assert not list(project.glob("*.html"))


def test_a_project_without_rounds_says_how_to_make_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    PlatformLocal.create(tmp_path, images=IDS)
    assert main(["report", str(tmp_path)]) == 1
    assert "there was no round in this project yet: al-agent query picks the first" in capsys.readouterr().err


CONFIGS = [
    SamplerConfig(3, method="CORAL", metric="cosine", score="uncertainty_entropy", seed=7, name="it's $HOME"),
    SamplerConfig(proportion=0.25, method="UNCERTAINTY"),
    SamplerConfig(2, strategies=[{"kind": "diversity", "strength": 2.0}]),
    SamplerConfig(2, method="PROBCOVER", options={"delta": 0.5}),
    SamplerConfig(4, method="AUTO"),
]


@pytest.mark.parametrize("config", CONFIGS, ids=[str(config.method) for config in CONFIGS])
def test_the_command_on_the_page_asks_for_the_same_batch(
    config: SamplerConfig, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(project)
    command = as_command(config, str(project), ["--dry-run"])
    assert command is not None
    *first, query = command.splitlines()
    for line in first:
        words = shlex.split(line)
        assert words[:2] == ["printf", "%s"]
        Path(words[-1]).write_text(words[2], encoding="utf-8")
    words = shlex.split(query)
    assert words[:2] == ["al-agent", "query"]
    assert main(words[1:]) == 0
    assert ActiveLearningAgent(PlatformLocal(project)).last_round.config.to_dict() == config.to_dict()


def test_a_method_that_reads_probabilities_has_no_command() -> None:
    assert as_command(SamplerConfig(method="BADGE"), "p") is None
