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
    assert query[query.index("-n") + 1] == "23"
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


def test_the_number_to_query_for_is_what_can_still_be_picked(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ids = [f"img_{number:02d}.png" for number in range(30)]
    project = PlatformLocal.create(folder)
    project.annotate({"img_03.png": "cat", "img_20.png": "cat"})  # of the first group, and of none
    project.skip(["img_21.png"])
    text = run(capsys, "duplicates", folder)
    assert " -n 20 " in text  # 21 in no group less 2, and one of the second group
    query = shlex.split(text.split("at most one of each group:\n")[1].replace("\\\n", " "))[1:]
    assert main([*query, "--dry-run"]) == 0
    query[query.index("20")] = "21"
    assert main([*query, "--dry-run"]) == 1
    capsys.readouterr()

    project.annotate(dict.fromkeys([*ids[6:11], *ids[13:20], *ids[22:]], "cat"))
    found = run_json(capsys, "duplicates", folder)
    assert (found["n_groups"], found["n_pickable"]) == (2, 0)
    text = run(capsys, "duplicates", folder)
    assert text.endswith("nothing is left to pick: no image is open but in groups that have a label\n")
    assert "al-agent query" not in text


def test_at_most_a_hundred_are_proposed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ids = [f"{number:03d}.png" for number in range(120)]
    PlatformLocal.create(tmp_path, images=ids)
    vectors = np.random.default_rng(0).normal(size=(120, 3))
    vectors[1] = vectors[0]
    Embeddings(ids, vectors).save(tmp_path / "embeddings.npz")
    text = run(capsys, "duplicates", tmp_path)
    assert "\n1 of 120 images (0.8%) is redundant: 1 group of near-duplicates\n" in f"\n{text}"
    assert " -n 100 " in text


@pytest.mark.parametrize("is_project", [True, False])
def test_embeddings_of_other_images_are_refused_before_anything_is_written(
    is_project: bool, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    if is_project:
        PlatformLocal.create("project", images=folder)
    home = Path("project") if is_project else folder
    run(capsys, "duplicates", home, "--embeddings", folder / "embeddings.npz")
    before = (home / "groups.csv").read_bytes()
    Embeddings(["img_00.png", "x.png", "a.png"], [[0.0], [1.0], [2.0]]).save("other.npz")
    for words in ([], ["--output", str(home / "groups.csv")]):
        assert main(["duplicates", str(home), "--embeddings", "other.npz", *words]) == 1
        said = capsys.readouterr().err
        where = "in the project" if is_project else "images of 'my photos'"
        assert (
            f"2 of 3 items with an embedding are not {where}, the first is 'x.png'; its ids look like 'img_00.png'" in said
        )
        assert (home / "groups.csv").read_bytes() == before


def test_where_the_images_are_elsewhere_embeddings_are_taken_as_they_are(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    remote = Path("remote")
    remote.mkdir()
    (remote / "al_agent.toml").write_text('platform = "label-studio"\n', encoding="utf-8")
    text = run(capsys, "duplicates", remote, "--embeddings", folder / "embeddings.npz")
    assert "al-agent query remote -n 23" in text
    assert "al-agent init" not in text


def test_strategies_ask_for_the_metric_of_the_groups(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    at_most = {"kind": "at_most", "count": 1, "column": "group", "counts_labeled": True}
    for metric in ("euclidean", "cosine"):  # the second takes the place of the first
        run(capsys, "duplicates", folder, "--metric", metric)
        strategies = json.loads((folder / "groups.json").read_text())
        assert strategies == [{"kind": "diversity", "metric": metric}, at_most]


@pytest.mark.parametrize("content", [b"[]", b"\xff no JSON", b'[{"kind": "diversity", "metric": "manhattan"}]'])
def test_strategies_that_were_edited_are_neither_overwritten_nor_proposed(
    content: bytes, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run(capsys, "duplicates", folder)
    before = (folder / "groups.csv").read_bytes()
    (folder / "groups.json").write_bytes(content)
    assert main(["duplicates", str(folder), "--distance", "0"]) == 1
    assert "'my photos/groups.json' is there already, and was edited" in capsys.readouterr().err
    assert (folder / "groups.json").read_bytes() == content
    assert (folder / "groups.csv").read_bytes() == before
    assert "--strategies 'my photos/other.json'" in run(capsys, "duplicates", folder, "-o", folder / "other.csv")


def test_without_duplicates_it_says_so_and_draws_nothing(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = run(capsys, "duplicates", folder, "--distance", "0", "--sheet", "s.png")
    assert "no near-duplicates among 30 images\n(euclidean distance 0, as asked)" in text
    assert "nothing to draw in s.png" in text
    assert "all groups are in" not in text
    assert not Path("s.png").exists()


def test_where_nothing_stands_out_no_distance_is_said_to_come_from_the_data(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "a.png").touch()
    Embeddings(["a.png"], [[1.0]]).save(tmp_path / "embeddings.npz")
    text = run(capsys, "duplicates", tmp_path, "--outliers", "0")
    assert text == (
        "no near-duplicates stand out among 1 image\n(--distance groups those nearer than that anyway)\n\n"
        f"{tmp_path / 'groups.csv'} has no group\n"
    )
    for name in ("b.png", "c.png"):
        (tmp_path / name).touch()
    Embeddings(["a.png", "b.png", "c.png"], [[1.0], [1.0], [9.0]]).save(tmp_path / "embeddings.npz")
    text = run(capsys, "duplicates", tmp_path, "--outliers", "0")
    assert text.splitlines()[:2] == [
        "1 of 3 images (33.3%) is redundant: 1 group of near-duplicates",
        "(equal vectors; no others stand out, and --distance groups them anyway)",
    ]


def test_names_that_a_spreadsheet_would_run_are_warned_of_and_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    PlatformLocal.create("project", images=["=1+1.png", "b,\n.png"])
    Embeddings(["=1+1.png", "b,\n.png"], [[0.0], [0.0]]).save("e.npz")
    assert main(["duplicates", "project", "--embeddings", "e.npz", "-o", "g.csv"]) == 0
    said = capsys.readouterr().err
    assert "1, the first is '=1+1.png'; do not open 'g.csv' with a spreadsheet\n" in said
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
