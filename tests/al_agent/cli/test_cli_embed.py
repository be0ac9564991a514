"""`al-agent embed`: from a folder of images to a batch, and what it says about images that cannot be read."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from al_agent import Embeddings, PlatformLocal
from al_agent.cli import main

NETWORK = """
import torch

class Mean(torch.nn.Module):
    def forward(self, images):
        return images.mean((2, 3))

def build():
    return Mean()
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Twelve grainy grey images, each lighter than the one before."""
    images = tmp_path / "photos"
    images.mkdir()
    grain = np.random.default_rng(0).integers(0, 30, size=(12, 30, 40, 1), dtype=np.uint8)
    for number in range(12):
        Image.fromarray((grain[number] + np.uint8(number * 20)).repeat(3, axis=2)).save(images / f"{number:02d}.png")
    return images


@pytest.fixture
def network(tmp_path: Path) -> str:
    pytest.importorskip("torch")
    (tmp_path / "model.py").write_text(NETWORK, encoding="utf-8")
    return f"{tmp_path / 'model.py'}:build"


def run_json(capsys: pytest.CaptureFixture[str], *words: str | Path) -> dict[str, Any]:
    status = main([*map(str, words), "--json"])
    printed = capsys.readouterr()
    assert status == 0, printed.err
    result = json.loads(printed.out)
    assert isinstance(result, dict)
    return result


def run_text(capsys: pytest.CaptureFixture[str], status: int, *words: str | Path) -> str:
    assert main([*map(str, words)]) == status
    printed = capsys.readouterr()
    return printed.err if status else printed.out


def test_a_project_is_embedded_by_patches_and_queried(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run_json(capsys, "init", folder)
    embedded = run_json(capsys, "embed", folder)
    assert (embedded["method"], embedded["n_items"], embedded["failed"]) == ("patches", 12, {})
    assert embedded["description"].startswith("patches")
    assert embedded["embeddings"] == str(folder / "embeddings.npz")
    loaded = Embeddings.load(folder / "embeddings.npz")
    assert loaded.item_ids == tuple(f"{number:02d}.png" for number in range(12))
    assert loaded.description == embedded["description"]
    queried = run_json(capsys, "query", folder, "-n", "3", "-m", "coreset")
    assert len(queried["picks"]) == 3
    assert sorted(path.name for path in folder.iterdir() if path.suffix != ".png") == [
        "al-agent-project.sqlite",
        "al-agent-rounds.sqlite",
        "embeddings.npz",
    ]


def test_a_network_of_the_users_own_gives_the_vectors(
    folder: Path, network: str, capsys: pytest.CaptureFixture[str]
) -> None:
    words: list[str | Path] = [
        "embed",
        folder,
        "--network",
        network,
        "--size",
        "8x10",
        "--mean",
        "0",
        "--std",
        "1",
        "-o",
        folder / "v.npy",
    ]
    assert run_json(capsys, *words)["method"] == "network"
    vectors = Embeddings.load(folder / "v.npy").vectors
    np.testing.assert_allclose(vectors, (np.arange(12)[:, None].repeat(3, axis=1) * 20 + 14.5) / 255, atol=2 / 255)


def test_what_the_text_says_to_type_next_works(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = run_text(capsys, 0, "embed", folder).splitlines()
    assert lines[0].startswith("12 images embedded by patches in ")
    n_dimensions = Embeddings.load(folder / "embeddings.npz").n_dimensions
    assert lines[1] == f"12 vectors of {n_dimensions} dimensions in {folder / 'embeddings.npz'}"
    assert lines[-1] == f"next: al-agent init {folder}"
    run_text(capsys, 0, *lines[-1].removeprefix("next: al-agent ").split())
    (folder / "embeddings.npy").touch()  # would be what query takes
    lines = run_text(capsys, 0, "embed", folder).splitlines()
    assert lines[-1] == f"next: al-agent query {folder} --embeddings {folder / 'embeddings.npz'}"
    assert "12 items by AUTO" in run_text(capsys, 0, *lines[-1].removeprefix("next: al-agent ").split(), "-n", "12")


def test_the_next_command_names_vectors_that_query_would_not_find(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    PlatformLocal.create(folder)
    elsewhere = folder.parent / "e.npz"
    line = run_text(capsys, 0, "embed", folder, "-o", elsewhere).splitlines()[-1]
    assert line == f"next: al-agent query {folder} --embeddings {elsewhere}"
    pytest.importorskip("pyarrow")
    line = run_text(capsys, 0, "embed", folder, "-o", folder / "embeddings.parquet").splitlines()[-1]
    assert line == f"next: al-agent query {folder}"
    assert run_json(capsys, "duplicates", folder)["n_items"] == 12


def test_bad_images_are_listed_mended_and_passed_over(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for number in range(11):
        (folder / f"=bad {number:02d}.png").write_bytes(b"")
    PlatformLocal.create(folder)
    text = run_text(capsys, 0, "embed", folder)
    listed = folder / "embeddings.failed.csv"
    assert f"11 images could not be read, all in {listed}" in text
    assert "=bad 09.png  is empty, 0 bytes long\n... and 1 more\n" in text
    assert text.splitlines()[-1] == "query needs a vector for each item: --skip-failed has it pass these over."
    rows = list(csv.reader(listed.read_text(encoding="utf-8").splitlines()))
    assert rows[0] == ["item_id", "reason"]
    assert rows[11] == ["'=bad 10.png", "is empty, 0 bytes long"]
    assert "items have no embedding" in run_text(capsys, 1, "query", folder, "-n", "2")

    Image.new("RGB", (8, 8), "red").save(folder / "=bad 00.png")  # mended
    run = run_json(capsys, "embed", folder, "--skip-failed")
    assert (run["n_items"], len(run["failed"]), run["n_skipped"]) == (13, 10, 10)
    assert len(run_json(capsys, "query", folder, "-n", "13")["picks"]) == 13
    assert not (folder / "embeddings.npz.part").exists()
    for name in [*run["failed"]]:
        Image.new("RGB", (8, 8), "red").save(folder / name)
    assert run_json(capsys, "embed", folder)["failed_file"] is None
    assert not listed.exists()


def test_skipped_items_whose_files_were_mended_are_named(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bad = ["'a.png", "=b.png", "c.png", "d.png"]
    for name in bad:
        (folder / name).touch()
    project = PlatformLocal.create(folder)
    project.skip(["00.png"])  # by its annotator, who had a look
    assert run_json(capsys, "embed", folder, "--skip-failed")["skipped_with_vector"] == []
    for name in bad[1:3]:
        Image.new("RGB", (8, 8)).save(folder / name)
    copy = folder.parent / "copy.npz"
    assert run_json(capsys, "embed", folder, "-o", copy)["skipped_with_vector"] == []  # never failed there
    text = run_text(capsys, 0, "embed", folder)
    call = f"PlatformLocal({str(folder)!r}).reopen(['=b.png', 'c.png'])"
    assert f"\n2 skipped items have a vector now: {call}\n" in text
    project.reopen(["=b.png", "c.png"])
    project.skip(["=b.png", "c.png"])
    for name in bad:
        (folder / name).write_bytes(b"")
    run_json(capsys, "embed", folder)
    for name in bad:
        Image.new("RGB", (8, 8)).save(folder / name)
    text = run_text(capsys, 0, "embed", folder)
    assert """4 skipped items have a vector now: """ in text
    assert """.reopen(["'a.png", '=b.png', 'c.png', ...])\n""" in text
    for name in bad:
        (folder / name).write_bytes(b"")
    run_json(capsys, "embed", folder)
    for name in bad:
        Image.new("RGB", (8, 8)).save(folder / name)
    assert run_json(capsys, "embed", folder)["skipped_with_vector"] == bad


def test_images_that_are_no_items_are_warned_of(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    PlatformLocal.create(folder)
    words = ["embed", str(folder), "--map", str(folder / "map.png"), "--map-method", "pca", "--json"]
    for _ in range(2):  # the map is no image to label
        assert main(words) == 0
        printed = capsys.readouterr()
        assert printed.err == ""
        assert json.loads(printed.out)["n_not_items"] == 0
    (folder / "map.png").unlink()
    (folder / "new").mkdir()
    Image.new("RGB", (8, 8)).save(folder / "new" / "a.png")
    assert main(["embed", str(folder)]) == 0
    project = f"PlatformLocal({str(folder)!r})"
    warning = f"warning: 1 image in the folder is no item of the project; {project}.add_images(['new/a.png']) adds it\n"
    assert capsys.readouterr().err == warning
    PlatformLocal(folder).add_images(["new/a.png"])
    for name in "bcde":
        Image.new("RGB", (8, 8)).save(folder / f"{name}.png")
    assert main(["embed", str(folder), "--json"]) == 0
    printed = capsys.readouterr()
    assert "4 images in the folder are no items of the project; " in printed.err
    assert ".add_images(['b.png', 'c.png', 'd.png', ...]) adds them\n" in printed.err
    assert json.loads(printed.out)["n_not_items"] == 4


def test_images_outside_the_projects_folder_are_nobodys_business(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    project = folder.parent / "project"
    PlatformLocal.create(project, images=[folder / "00.png", folder / "01.png"])
    assert main(["embed", str(project), "--json"]) == 0
    printed = capsys.readouterr()
    assert printed.err == ""
    assert json.loads(printed.out)["n_not_items"] == 0


def test_one_of_each_is_said_in_the_singular(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Image.new("RGB", (8, 8)).save(tmp_path / "a.png")
    (tmp_path / "b.png").touch()
    text = run_text(capsys, 0, "embed", tmp_path)
    assert text.startswith("1 image embedded by patches in ")
    assert "\n1 vector of " in text
    assert "\n1 image could not be read, all in " in text
    PlatformLocal.create(tmp_path)
    assert "\n1 item of the project skipped for it\n" in run_text(capsys, 0, "embed", tmp_path, "--skip-failed")


def test_vectors_of_files_that_did_not_change_are_taken_over_while_some_fail(
    folder: Path, network: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "bad.png").touch()
    words: list[str | Path] = ["embed", folder, "--network", network, "--size", "8"]
    assert run_json(capsys, *words)["n_resumed"] == 0
    assert run_json(capsys, *words)["n_resumed"] == 12
    assert "12 vectors taken over from the run before\n" in run_text(capsys, 0, *words)
    Image.new("RGB", (8, 8)).save(folder / "bad.png")
    assert run_json(capsys, *words)["n_resumed"] == 12
    assert not (folder / "embeddings.npz.part").exists()


def test_where_nothing_can_be_read_it_fails_and_leaves_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("a.png", "b.png"):
        (tmp_path / name).touch()
    assert "'a.png'" in run_text(capsys, 1, "embed", tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.png", "b.png"]
    (tmp_path / "none").mkdir()
    assert "no images found below" in run_text(capsys, 1, "embed", tmp_path / "none")


def test_vectors_that_it_did_not_make_are_not_overwritten(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Embeddings(["00.png"], [[1.0]]).save(folder / "embeddings.npz")
    before = (folder / "embeddings.npz").read_bytes()
    assert "was not made by al-agent embed; name another --output, or this one" in run_text(capsys, 1, "embed", folder)
    assert (folder / "embeddings.npz").read_bytes() == before
    run_json(capsys, "embed", folder, "-o", folder / "embeddings.npz")
    run_json(capsys, "embed", folder)


def test_fewer_dimensions_and_a_map(folder: Path, network: str, capsys: pytest.CaptureFixture[str]) -> None:
    words: list[str | Path] = [
        "embed",
        folder,
        "--dimensions",
        "2",
        "--map",
        folder.parent / "map.png",
        "--map-method",
        "pca",
    ]
    assert run_json(capsys, *words)["n_dimensions"] == 2
    with Image.open(folder.parent / "map.png") as image:
        assert image.size == (1600, 1200)
    run = run_json(capsys, *words, "--network", network)
    assert run["n_dimensions"] == 2
    assert "2 principal components of 3" in run["description"]


def test_self_supervised_keeps_what_it_learns_until_it_is_done(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("kornia")
    words: list[str | Path] = [
        "embed",
        folder,
        "-m",
        "self-supervised",
        "--epochs",
        "1",
        "--size",
        "16",
        "--batch-size",
        "8",
        "--dimensions",
        "2",
    ]
    run = run_json(capsys, *words, "--checkpoint", folder.parent / "c.pt")
    assert (run["n_items"], run["n_dimensions"]) == (12, 2)
    assert (folder.parent / "c.pt").exists()
    again: list[str | Path] = [
        "embed",
        folder,
        "--trained",
        folder.parent / "c.pt",
        "-m",
        "self-supervised",
        "-o",
        folder.parent / "t.npz",
    ]
    assert run_json(capsys, *again)["n_items"] == 12
    run_json(capsys, *words)
    assert not (folder / "embeddings.npz.part").exists()


WRONG: list[tuple[list[str], str]] = [
    (["--method", "magic"], "the method 'magic' is none of patches, self-supervised, pretrained, network, onnx"),
    (["--layer", "x"], "--layer is not for the method patches, but for network"),
    (["-m", "patches", "--epochs", "3"], "--epochs is not for the method patches, but for self-supervised"),
    (["--model", "a/b", "--size", "32"], "--size is not for the method pretrained, but for patches, self-supervised"),
    (["--model", "a/b", "--onnx", "m.onnx"], "--model and --onnx are two ways to embed; give one"),
    (["--method", "onnx"], "the method onnx needs --onnx"),
    (["--size", "big"], "--size 'big' is no size in pixels; write 224, or 240x320"),
    (["--size", "32x64"], "--size of patches is one number: 32 or 64"),
    (["--onnx", "m.onnx", "--mean", "1,2"], "--mean '1,2' is no number, nor three with commas"),
    (["--dimensions", "0"], "--dimensions 0 is less than 1"),
    (["--map", "m.jpg"], "--map m.jpg does not end in .png"),
    (["--map-method", "pca"], "--map-method is for --map"),
    (["-o", "e.txt"], "--output e.txt does not end in .npz, .npy, .parquet or .csv"),
    (["--skip-failed"], "--skip-failed is for local projects"),
    (["-m", "self-supervised", "--trained", "x.pt", "--epochs", "3"], "so --epochs has nothing to do"),
]


@pytest.mark.parametrize(("words", "message"), WRONG, ids=[" ".join(words) for words, _ in WRONG])
def test_wrong_words_are_refused_by_name(
    folder: Path, words: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    if "--trained" in words:
        pytest.importorskip("kornia")
    said = " ".join(run_text(capsys, 2, "embed", folder, *words).replace("│", " ").split())
    assert message in said
    assert len(list(folder.iterdir())) == 12


def test_a_folder_tied_to_a_platform_says_what_to_embed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "al_agent.toml").write_text('platform = "label-studio"\n', encoding="utf-8")
    said = run_text(capsys, 1, "embed", tmp_path)
    assert f"al-agent embed IMAGES --output {tmp_path / 'embeddings.npz'}" in said


SLOW = NETWORK.replace("return images", "import time; time.sleep(0.5); return images")


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has other interrupts")
def test_after_an_interrupt_it_says_how_to_go_on(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("torch")
    (tmp_path / "slow.py").write_text(SLOW, encoding="utf-8")
    words: list[str] = [
        "embed",
        str(folder),
        "--network",
        f"{tmp_path / 'slow.py'}:build",
        "--size",
        "8",
        "--batch-size",
        "1",
    ]
    command = [sys.executable, "-m", "al_agent.cli", *map(str, words)]
    root = {"PYTHONPATH": str(Path(__file__).resolve().parents[3])}
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env={**os.environ, **root}) as process:
        deadline = time.monotonic() + 60
        while not list(folder.glob("embeddings.npz.part/part-*.npz")):
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        said = process.communicate()[1]
    assert process.returncode == 130
    assert said.splitlines()[-1] == "error: interrupted"
    assert f"what is done so far is kept in {folder / 'embeddings.npz.part'}: the same command goes on from there" in said
    (tmp_path / "slow.py").write_text(NETWORK, encoding="utf-8")
    assert run_json(capsys, *words)["n_resumed"] > 0


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has other interrupts")
def test_after_an_early_interrupt_it_says_that_nothing_was_kept(folder: Path, tmp_path: Path) -> None:
    pytest.importorskip("torch")
    program = (
        f"import pathlib, time\n\ndef build():\n    pathlib.Path({str(tmp_path / 'begun')!r}).touch()\n    time.sleep(60)\n"
    )
    (tmp_path / "waits.py").write_text(program, encoding="utf-8")
    command = [sys.executable, "-m", "al_agent.cli", "embed", str(folder), "--network", f"{tmp_path / 'waits.py'}:build"]
    root = {"PYTHONPATH": str(Path(__file__).resolve().parents[3])}
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env={**os.environ, **root}) as process:
        deadline = time.monotonic() + 60
        while not (tmp_path / "begun").exists():
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        said = process.communicate()[1]
    assert process.returncode == 130
    assert said.splitlines()[-2:] == ["nothing was kept: the same command begins anew", "error: interrupted"]
    assert not (folder / "embeddings.npz.part").exists()
