"""`al-agent duplicates`: groups on the screen and in a file that `al-agent query` takes."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from al_agent import Embeddings, Metadata, PlatformLocal
from al_agent.cli import main


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """30 images, of which 5 are nearly like image 0 and 2 nearly like image 10, and their embeddings."""
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(30, 8))
    vectors[1:6] = vectors[0] + rng.normal(size=(5, 8)) * 0.01
    vectors[11:13] = vectors[10] + rng.normal(size=(2, 8)) * 0.01
    vectors[29] += 30
    photos = Path("my photos")
    photos.mkdir()
    ids = [f"img_{number:02d}.png" for number in range(30)]
    for number, item_id in enumerate(ids):
        Image.new("RGB", (16, 12), (8 * number, 0, 0)).save(photos / item_id)
    Embeddings(ids, vectors).save(photos / "embeddings.npz")
    return photos


def run(capsys: pytest.CaptureFixture[str], *words: str | Path) -> str:
    status = main([*map(str, words)])
    printed = capsys.readouterr()
    assert (status, printed.err) == (0, "")
    return printed.out


def run_json(capsys: pytest.CaptureFixture[str], *words: str | Path) -> dict[str, Any]:
    result = json.loads(run(capsys, *words, "--json"))
    assert isinstance(result, dict)
    return result


def test_groups_are_found_written_and_drawn(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = run_json(capsys, "duplicates", folder, "--sheet", "s.png", "--outliers", "1")
    assert [sorted(group) for group in found["groups"]] == [
        [f"img_{number:02d}.png" for number in range(6)],
        [f"img_{number:02d}.png" for number in range(10, 13)],
    ]
    assert (found["n_items"], found["n_groups"], found["n_redundant"]) == (30, 2, 7)
    assert [one["item_id"] for one in found["outliers"]] == ["img_29.png"]
    written = Metadata.load(found["output"])
    assert written.item_ids == tuple(f"img_{number:02d}.png" for number in range(30))
    assert written.columns["group"][[0, 9, 10]].tolist() == ["g1", "", "g2"]
    assert int(written.columns["is_representative"].sum()) == 23
    with Image.open("s.png") as sheet:
        assert sheet.size[0] > 120 + 6 * 128
    again = run_json(capsys, "duplicates", folder, "--distance", found["distance"], "--outliers", "0")
    assert again["groups"] == found["groups"]
    assert again["outliers"] == []


def test_the_text_fits_eighty_columns_and_its_next_command_runs(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = run(capsys, "duplicates", folder)
    assert "7 of 30 images (23.3%) are redundant: 2 groups of near-duplicates" in text
    assert all(len(line) <= 80 for line in text.splitlines()), text
    commands = text.split("at most one of each group:\n")[1].replace("\\\n", " ").splitlines()
    init, query = (shlex.split(command)[1:] for command in commands)
    assert main(init) == 0
    assert "al-agent init" not in run(capsys, "duplicates", folder)
    query[query.index("100")] = "23"
    assert main([*query, "--dry-run", "--json"]) == 0
    picked = {pick["item_id"] for pick in json.loads(capsys.readouterr().out.splitlines()[-1])["picks"]}
    assert len(picked & {f"img_{number:02d}.png" for number in range(6)}) == 1
    assert len(picked & {f"img_{number:02d}.png" for number in range(10, 13)}) == 1


def test_a_project_with_images_elsewhere_and_vectors_elsewhere(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    PlatformLocal.create("project", images=folder)
    text = run(capsys, "duplicates", "project", "--embeddings", folder / "embeddings.npz", "--sheet", "s.png")
    assert "--embeddings 'my photos/embeddings.npz'" in text
    with Image.open("s.png") as sheet:
        colours = {colour for _, colour in sheet.convert("RGB").getcolors(1 << 20) or []}
    assert (8 * 10, 0, 0) in colours


def test_strategies_that_were_edited_are_kept(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(capsys, "duplicates", folder)
    strategies = json.loads((folder / "groups.json").read_text())
    assert strategies[1] == {"kind": "at_most", "count": 1, "column": "group", "counts_labeled": True}
    (folder / "groups.json").write_text("[]")
    run(capsys, "duplicates", folder)
    assert (folder / "groups.json").read_text() == "[]"


def test_without_duplicates_it_says_so_and_draws_nothing(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = run(capsys, "duplicates", folder, "--distance", "0", "--sheet", "s.png")
    assert "no near-duplicates among 30 images\n(euclidean distance 0, as asked)" in text
    assert "nothing to draw in s.png" in text
    assert not Path("s.png").exists()


def test_names_that_a_spreadsheet_would_run_are_warned_of_and_kept(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Embeddings(["=1+1.png", "b,\n.png"], [[0.0], [0.0]]).save("e.npz")
    assert main(["duplicates", str(folder), "--embeddings", "e.npz", "-o", "g.csv"]) == 0
    assert "'=1+1.png'" in capsys.readouterr().err
    assert Metadata.load("g.csv").item_ids == ("=1+1.png", "b,\n.png")


WRONG_USE = [
    (["--distance", "-1"], "--distance -1.0 is no finite number"),
    (["--metric", "manhattan"], "neither euclidean nor cosine"),
    (["--sheet", "s.jpg"], "does not end in .png"),
    (["--output", "g.txt"], "does not end in .csv"),
    (["--outliers", "-1"], "--outliers"),
]


@pytest.mark.parametrize(("words", "message"), WRONG_USE, ids=[words[0] for words, _ in WRONG_USE])
def test_wrong_use_is_refused_before_anything_is_written(
    words: list[str], message: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["duplicates", str(folder), *words]) == 2
    assert message in capsys.readouterr().err
    assert not (folder / "groups.csv").exists()


def test_a_folder_without_embeddings_is_told_how_to_get_them(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["duplicates", str(tmp_path)]) == 2
    assert "al-agent embed makes it" in " ".join(capsys.readouterr().err.replace("│", " ").split())


def test_groups_take_the_place_of_older_groups_and_of_no_file_of_others(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run(capsys, "duplicates", folder)
    run(capsys, "duplicates", folder)
    (folder / "groups.csv").write_text("item,scene\nimg_00.png,street\n", encoding="utf-8")
    assert main(["duplicates", str(folder)]) == 1
    assert "was not made by al-agent duplicates; name another --output" in capsys.readouterr().err
    assert (folder / "groups.csv").read_text(encoding="utf-8").startswith("item,scene")
    run(capsys, "duplicates", folder, "--output", folder / "groups.csv")
    assert (folder / "groups.csv").read_text(encoding="utf-8").startswith("item,group")


def test_names_in_errors_do_not_move_the_cursor(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "\x1b[2Jbad.csv").write_bytes(b"")
    assert main(["duplicates", str(folder), "--embeddings", str(folder / "\x1b[2Jbad.csv")]) == 1
    printed = capsys.readouterr().err
    assert "\x1b" not in printed
    assert "\N{REPLACEMENT CHARACTER}[2Jbad.csv' has no header" in printed
