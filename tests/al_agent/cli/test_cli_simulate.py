"""`al-agent simulate`: from labels and vectors to a table, a picture and one sentence."""

from __future__ import annotations

import csv
import html
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_digits

from al_agent import Embeddings
from al_agent.cli import main
from al_agent.simulation.study.folder import StudyFolder

SMALL = ("--seeds", "2", "--start", "15", "--per-round", "10", "--rounds", "2", "--methods", "uncertainty")


@pytest.fixture(scope="module")
def digits(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """200 digits: `labels.csv`, and `vectors.npz` with one item more, which has no label."""
    folder = tmp_path_factory.mktemp("digits")
    data = load_digits()
    ids = [f"digit_{row:03d}.png" for row in range(201)]
    Embeddings(ids, data.data[:201]).save(folder / "vectors.npz")
    rows = [f"{item},class {label}" for item, label in zip(ids[:200], data.target)]
    (folder / "labels.csv").write_text("\n".join(["item,label", *reversed(rows)]) + "\n", encoding="utf-8")
    return folder


def words(digits: Path, output: Path, *others: str) -> list[str]:
    files = [str(digits / "labels.csv"), "--embeddings", str(digits / "vectors.npz"), "--output", str(output)]
    return ["simulate", *files, *SMALL, *others]


def test_a_table_a_picture_and_one_sentence(digits: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(words(digits, tmp_path / "out")) == 0
    printed = capsys.readouterr()
    lines = printed.out.replace(str(tmp_path), "").splitlines()
    assert printed.err == ""
    assert all(len(line) <= 80 for line in lines), printed.out
    assert lines[0] == "Cannot be said: 2 seeds are too few; take 5 or more."
    assert [line.split()[0] for line in lines[4:7]] == ["method", "RANDOM", "UNCERTAINTY"]
    assert "160 items in the pool, 40 held out, of each class its share; 10 classes" in lines
    seen = lines.index("in the end   classes seen")
    assert [line.split()[0] for line in lines[seen + 1 : seen + 3]] == ["RANDOM", "UNCERTAINTY"]
    assert "1 vectors have no label and were left out" in lines
    with (tmp_path / "out" / "study.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["method"], row["seed"], row["n_labeled"]) for row in rows] == [
        (method, seed, n) for method in ("RANDOM", "UNCERTAINTY") for seed in "01" for n in ("15", "25", "35")
    ]
    assert all(0.2 < float(row["figure"]) <= 1 for row in rows)
    assert rows[0]["figure"] == rows[6]["figure"]  # a common start
    with Image.open(tmp_path / "out" / "learning_curves.png") as picture:
        assert picture.size == (960, 600)
    assert "All of it as a page: /out/study.html" in lines
    page = html.unescape((tmp_path / "out" / "study.html").read_text(encoding="utf-8"))
    given = f"al-agent simulate {digits / 'labels.csv'} --embeddings {digits / 'vectors.npz'} --test-share 0.2 --stratified"
    study = "--methods RANDOM --methods UNCERTAINTY --seeds 2 --start 15 --per-round 10 --rounds 2"
    assert f"{given} {study} --output {tmp_path / 'out'}" in page
    assert "logistic regression on standardized vectors" in page


def test_one_object_for_programs_and_a_study_that_is_there_is_not_run_again(
    digits: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    results = []
    for _ in range(2):
        assert main(words(digits, tmp_path, "--json")) == 0
        results.append(json.loads(capsys.readouterr().out))
        table = (tmp_path / "study.csv").read_bytes()
    assert results[0] == results[1]
    assert (tmp_path / "study.csv").read_bytes() == table  # with the seconds that the first took
    assert set(results[0]["methods"]) == {"RANDOM", "UNCERTAINTY"}
    found = results[0]["methods"]["UNCERTAINTY"]
    assert found["n_labeled"] == [15, 25, 35]
    random = results[0]["methods"]["RANDOM"]["mean_accuracy"]
    differences = np.array(found["mean_accuracy"]) - random
    assert found["gain"]["value"] == pytest.approx((differences[1] + differences[2] / 2) / 2)
    assert (results[0]["failures"], results[0]["n_pool"], results[0]["n_test"]) == ([], 160, 40)
    assert (results[0]["stratified"], results[0]["n_classes"]) == (True, 10)
    seen = found["mean_classes_seen"]
    assert seen[0] == results[0]["methods"]["RANDOM"]["mean_classes_seen"][0]
    assert 5 < seen[0] <= seen[1] <= seen[2] <= 10
    assert main(words(digits, tmp_path, "--per-round", "11")) == 1
    assert "--per-round was 10, now 11" in capsys.readouterr().err


def test_a_folder_of_classes_and_the_vectors_that_embed_makes_of_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = load_digits()
    photos = tmp_path / "photos"
    for row in range(60):
        target = photos / f"class_{data.target[row] % 2}" / f"{row:02d}.png"
        target.parent.mkdir(parents=True, exist_ok=True)
        dots = np.kron(data.images[row] * 15, np.ones((4, 4))).astype(np.uint8)
        Image.fromarray(dots).save(target)
    vectors = str(photos / "embeddings.npz")
    assert main(["embed", str(photos), "--json"]) == 0
    capsys.readouterr()
    study = ["--seeds", "1", "--start", "10", "--per-round", "10", "--rounds", "1", "--methods", "coral"]
    assert main(["simulate", str(photos), "--embeddings", vectors, "-o", str(tmp_path / "out"), *study, "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert (result["n_pool"], result["n_test"]) == (48, 12)
    assert result["methods"]["CORAL"]["n_labeled"] == [10, 20]
    (photos / "alone.png").write_bytes((photos / "class_0" / "00.png").read_bytes())
    assert main(["simulate", str(photos), "--embeddings", vectors, *study]) == 1
    assert "image 'alone.png' lies in" in capsys.readouterr().err


def test_a_method_is_added_to_a_study_that_is_there_and_the_others_stay(
    digits: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(words(digits, tmp_path)) == 0
    before = (tmp_path / "study.csv").read_text().splitlines()
    capsys.readouterr()
    assert main([*words(digits, tmp_path, "--json")[:-3], "--methods", "coreset", "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert list(result["methods"]) == ["RANDOM", "CORESET"]
    after = (tmp_path / "study.csv").read_text().splitlines()
    assert after[: len(before)] == before  # to the second that they took
    assert [line.split(",")[0] for line in after[len(before) :]] == ["CORESET"] * 6
    assert main([*words(digits, tmp_path)[:-2], "--methods", "coreset"]) == 0
    assert "Also in the folder, and shown where --methods names them: UNCERTAINTY" in capsys.readouterr().out


def test_a_study_that_another_process_runs_is_left_alone(
    digits: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with StudyFolder(tmp_path).held():
        assert main(words(digits, tmp_path)) == 1
    said = " ".join(capsys.readouterr().err.split())
    assert f"another process runs the study in '{tmp_path}'; wait until it has ended, or name another folder" in said
    assert not (tmp_path / "study.json").exists()


def test_a_plain_split_draws_from_all_and_one_by_class_that_cannot_be_is_refused(
    digits: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(words(digits, tmp_path / "out", "--not-stratified")) == 0
    assert "160 items in the pool, 40 held out, drawn from all; 10 classes" in capsys.readouterr().out
    assert main(words(digits, tmp_path / "out", "--stratified", "--test-share", "0.04")) == 1
    assert "the split cannot be stratified: one side has 8 items for 10 classes" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("others", "message"),
    [
        (["--rounds", "15"], "--start 15 and 15 rounds of 10 ask for 165 labels, and the pool has 160 items"),
        (
            ["--methods", "bald"],
            "BALD compares the members of a committee, and the logistic regression is one",
        ),
        (["--methods", "magic"], "unknown sampling method 'MAGIC'"),
        (["--test-share", "1"], "--test-share is 1.0; expected a share above 0 and below 1"),
        (["--seeds", "0"], "--seeds is 0; expected 1 or more"),
        (["--workers", "0"], "--workers is 0; expected 1 or more"),
    ],
)
def test_wrong_use_is_said_in_the_words_of_the_options(
    digits: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], others: list[str], message: str
) -> None:
    assert main(words(digits, tmp_path / "out", *others)) == 2
    assert message in " ".join(capsys.readouterr().err.replace("│", " ").split())
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ("a,b\n1,2\n", "has the columns a, b; expected item,label"),
        ("item,label\n", "has no rows below its header"),
        ("item,label\ndigit_000.png,\n", "line 2 of"),
        ("item,label\ndigit_000.png,a\ndigit_000.png,b\n", "labels 'digit_000.png' a second time"),
        ("item,label\ndigit_000.png,a\ndigit_001.png,a\n", "all 2 items are of the class 'a'"),
        ("item,label\ndigit_000.png,a\nnobody.png,b\n", "1 items have no embedding, the first is 'nobody.png'"),
    ],
)
def test_labels_that_cannot_be_used_are_refused(
    digits: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], table: str, message: str
) -> None:
    (tmp_path / "labels.csv").write_text(table, encoding="utf-8")
    files = [str(tmp_path / "labels.csv"), "--embeddings", str(digits / "vectors.npz"), "-o", str(tmp_path / "out")]
    assert main(["simulate", *files, *SMALL]) == 1
    assert message in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_start_of_one_class_guesses_that_class(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ids = [f"{row:02d}" for row in range(40)]
    Embeddings(ids, np.arange(80.0).reshape(40, 2)).save(tmp_path / "v.npz")
    rows = "".join(f"{item},{'rare' if int(item) >= 38 else 'common'}\n" for item in ids)
    (tmp_path / "l.csv").write_text(f"item,label\n{rows}", encoding="utf-8")
    files = [str(tmp_path / "l.csv"), "--embeddings", str(tmp_path / "v.npz"), "-o", str(tmp_path / "out")]
    study = ["--seeds", "2", "--start", "1", "--per-round", "1", "--rounds", "1", "--test-share", "0.5", "--json"]
    assert main(["simulate", *files, *study]) == 0
    result = json.loads(capsys.readouterr().out)
    assert result["failures"] == []
    assert result["methods"]["RANDOM"]["mean_accuracy"][0] == 0.95  # of 20 held out one is rare


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """A folder for each of three digits, with 20 images each."""
    data = load_digits()
    for digit in range(3):
        (tmp_path / "photos" / f"class {digit}").mkdir(parents=True)
        for row in np.flatnonzero(data.target == digit)[:20].tolist():
            dots = np.kron(data.images[row] * 15, np.ones((4, 4))).astype(np.uint8)
            Image.fromarray(dots).save(tmp_path / "photos" / f"class {digit}" / f"{row}.png")
    return tmp_path / "photos"


FEW = ("--seeds", "2", "--start", "6", "--per-round", "3", "--rounds", "2", "--methods", "auto")


def test_from_a_folder_of_images_alone_to_a_table(photos: Path, capsys: pytest.CaptureFixture[str]) -> None:
    output = photos / "results"  # among the images, whose picture is no image of a class at the next start
    said = []
    for _ in range(2):
        assert main(["simulate", str(photos), "--output", str(output), *FEW]) == 0
        said.append(capsys.readouterr().out)
        made = (output / "embeddings.npz").stat().st_mtime_ns
    assert said[0] == said[1]
    assert (output / "embeddings.npz").stat().st_mtime_ns == made
    assert "48 items in the pool, 12 held out, of each class its share; 3 classes" in said[0]
    assert "Vectors: patch features of the images" in said[0]
    assert not (output / "embeddings.npz.part").exists()
    assert len(Embeddings.load(output / "embeddings.npz")) == 60


def test_vectors_that_lie_in_the_folder_are_taken(photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["embed", str(photos), "--dimensions", "5"]) == 0
    assert main(["simulate", str(photos), "--output", str(tmp_path / "results"), *FEW]) == 0
    assert f"Vectors: {photos / 'embeddings.npz'}" in capsys.readouterr().out
    assert not (tmp_path / "results" / "embeddings.npz").exists()


def test_an_image_that_cannot_be_read_is_named_and_a_table_needs_vectors(
    photos: Path, digits: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (photos / "class 1" / "broken.png").write_bytes(b"no image")
    assert main(["simulate", str(photos), "--output", str(tmp_path / "results"), *FEW]) == 1
    error = " ".join(capsys.readouterr().err.split())
    assert "1 of 61 images cannot be read, the first is" in error
    assert "broken.png" in error
    assert main(["simulate", str(digits / "labels.csv"), "--output", str(tmp_path / "results"), *FEW]) == 2
    assert "name their vectors with --embeddings FILE" in " ".join(capsys.readouterr().err.split())


def test_what_is_wrong_is_said_before_images_are_embedded(photos: Path, capsys: pytest.CaptureFixture[str]) -> None:
    output = photos.parent / "results"
    for others, status, message in (
        (["--methods", "magic"], 2, "unknown sampling method 'MAGIC'"),
        (["--rounds", "99"], 2, "ask for 303 labels, and the pool has 48 items"),
        (["--test-share", "0.001"], 1, "--test-share 0.001 of 60 items leaves nothing on one side"),
    ):
        assert main(["simulate", str(photos), "--output", str(output), *FEW, *others]) == status
        assert message in " ".join(capsys.readouterr().err.split())
    (photos.parent / "file").touch()
    assert main(["simulate", str(photos), "--output", str(photos.parent / "file" / "below"), *FEW]) == 1
    assert "file' is a file; expected a folder for the study" in capsys.readouterr().err
    assert not output.exists()


def test_in_the_folder_of_the_images_the_dot_is_enough(
    photos: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(photos)
    assert main(["simulate", ".", *FEW]) == 0
    assert "48 items in the pool" in capsys.readouterr().out
    assert (photos / "al-agent-study" / "study.csv").exists()


def test_the_command_that_puts_a_price_on_it_is_one_that_works(
    digits: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    study = ["--seeds", "4", "--start", "15", "--per-round", "15", "--rounds", "5", "--methods", "coreset"]
    given = [str(digits / "labels.csv"), "--embeddings", str(digits / "vectors.npz"), "--output", str(tmp_path)]
    assert main(["simulate", *given, *study]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert all(len(line) <= 80 for line in lines if str(tmp_path) not in line)
    place = lines.index("What CORESET is worth at your prices:")
    command = " ".join("".join(lines[place + 1 :]).replace("\\", " ").split())
    assert main(["simulate", *given, *study, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)["methods"]["CORESET"]
    assert found["images_without"] == {"value": 90.0, "low": None, "high": None}
    assert found["images_with"]["value"] == pytest.approx(90 - found["labels_saved"]["value"])
    assert main([*command.replace("PRICE", "0.5").split()[1:], "--json"]) == 0
    costs = json.loads(capsys.readouterr().out)
    ends = {key: None if end is None else round(end) for key, end in found["images_with"].items()}
    assert (costs["images_without"]["value"], costs["images_with"]) == (90, ends)
    assert "--pool 160" in command
