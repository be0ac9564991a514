"""The command line: what it prints, where, and how it exits."""

from __future__ import annotations

import importlib.metadata
import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import typer

from al_agent import Embeddings, PlatformLocal
from al_agent.cli import app, main
from al_agent.cli.embedders import chosen_method

SHARED = Path(__file__).resolve().parents[4] / "shared"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Ten images, predictions and embeddings of them."""
    folder = tmp_path / "project"
    ids = [f"img_{n}.png" for n in range(10)]
    PlatformLocal.create(folder, images=ids)
    probability = np.linspace(0.5, 1.0, 10)
    np.savez(tmp_path / "p.npz", item_ids=ids, probabilities=np.stack([probability, 1 - probability], axis=1))
    np.savez(tmp_path / "l.npz", item_ids=ids, logits=np.stack([np.arange(10.0), np.zeros(10)], axis=1))
    Embeddings(ids, np.arange(10.0)[:, None]).save(folder / "embeddings.npz")
    return folder


def run_json(capsys: pytest.CaptureFixture[str], *words: str | Path) -> dict[str, Any]:
    status = main([*map(str, words), "--json"])
    printed = capsys.readouterr()
    assert status == 0, printed.err
    result = json.loads(printed.out)
    assert isinstance(result, dict)
    return result


def test_a_round_from_the_shell(project: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    scored = run_json(capsys, "score", project, "--probabilities", tmp_path / "p.npz")
    assert (scored["n_items"], scored["default"]) == (10, "uncertainty_margin")
    assert scored["columns"]["uncertainty_margin"] == {"lowest": 0.0, "median": pytest.approx(0.5), "highest": 1.0}

    queried = run_json(capsys, "query", project, "-n", "3", "-m", "uncertainty")
    assert [pick["item_id"] for pick in queried["picks"]] == ["img_0.png", "img_1.png", "img_2.png"]
    assert (queried["is_pushed"], queried["push"]["updated"]) == (True, 3)

    (tmp_path / "labels.csv").write_text("name,label\nimg_0.png,cat\nimg_1.png,dog\n", encoding="utf-8")
    assert run_json(capsys, "annotate", project, tmp_path / "labels.csv")["n_labeled"] == 2
    status = run_json(capsys, "status", project)
    assert status["counts"] == {"unlabeled": 8, "labeled": 2, "partly": 0, "skipped": 0, "locked": 0}
    assert status["next_items"][:2] == ["img_2.png", "img_3.png"]
    assert status["rounds"][0]["n_labeled_since"] == 2

    assert run_json(capsys, "export", project, tmp_path / "picks.txt")["n_items"] == 1
    assert (tmp_path / "picks.txt").read_text(encoding="utf-8") == "img_2.png\n"


def test_a_dry_run_waits_for_push(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    queried = run_json(capsys, "query", project, "--proportion", "0.2", "--method", "coreset", "--dry-run")
    assert (len(queried["picks"]), queried["is_pushed"], queried["push"]) == (2, False, None)
    assert [item.priority for item in PlatformLocal(project).next_items(10)] == [None] * 10
    pushed = run_json(capsys, "push", project)
    assert (pushed["counts"]["updated"], pushed["is_pushed"]) == (2, True)
    assert run_json(capsys, "push", project)["counts"]["unchanged"] == 2


def test_logits_are_scored_too(project: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run_json(capsys, "score", project, "--logits", tmp_path / "l.npz", "-o", tmp_path / "s.npz")
    queried = run_json(capsys, "query", project, "-n", "1", "-m", "uncertainty", "--scores", tmp_path / "s.npz")
    assert queried["picks"][0] == {
        "item_id": "img_0.png",
        "gain": 1.0,
        "reason": "uncertainty_margin 1, 90th percentile",
    }


def test_text_for_people_fits_eighty_columns_and_is_quiet_when_piped(
    project: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for words in (
        ["score", project, "--probabilities", tmp_path / "p.npz"],
        ["query", project, "-n", "4", "-m", "coral"],
        ["status", project],
        ["push", project],
        ["export", project, tmp_path / "picks.csv"],
    ):
        assert main([str(word) for word in words]) == 0
        printed = capsys.readouterr()
        assert printed.err == ""
        for line in printed.out.splitlines():
            if str(tmp_path) not in line:
                assert len(line) <= 80, line


WRONG_USE = [
    (["query", "PROJECT", "-n", "0"], "n_samples is 0"),
    (["query", "PROJECT", "-n", "1.5"], "valid int"),
    (["query", "PROJECT", "-m", "magic"], "unknown sampling method 'magic'; expected one of AUTO, RANDOM"),
    (["query", "PROJECT", "-m", "uncertainty"], "UNCERTAINTY needs scores"),
    (["export"], "Missing argument"),
    (["score", "PROJECT"], "give one of --probabilities"),
    (["score", "PROJECT", "--coco-results", "x.json"], "go together"),
    (["frobnicate"], "No such command"),
    (["status", "PROJECT", "--colour"], "No such option"),
]


@pytest.mark.parametrize(("words", "message"), WRONG_USE, ids=[" ".join(words) for words, _ in WRONG_USE])
def test_wrong_use_exits_with_2_and_says_where_help_is(
    words: list[str], message: str, project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(project) if word == "PROJECT" else word for word in words]) == 2
    printed = capsys.readouterr()
    assert message in printed.err
    assert "--help" in printed.err
    assert printed.out == ""


def test_failures_exit_with_1_in_one_line_and_as_json(
    project: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for words, message in {
        ("status", str(tmp_path)): "no project is in",
        ("push", str(project)): "there was no round",
        ("export", str(project), str(tmp_path / "x.csv")): "there was no round",
        ("query", str(project), "-n", "11", "-m", "random"): "n_samples is 11, and 10 items can still be labeled",
        ("query", str(project), "-m", "random"): "10 items can still be labeled; ask for no more: -n 10",
        ("score", str(project), "--probabilities", str(tmp_path / "nowhere.npz")): "No such file",
        ("init", str(project), "--images", str(tmp_path)): (
            f"is a project already; PlatformLocal({str(project)!r}).add_images([...]) adds new images to it"
        ),
    }.items():
        assert main(words) == 1
        printed = capsys.readouterr()
        assert printed.out == ""
        assert printed.err.startswith("error: ")
        assert message in printed.err
        assert len(printed.err.splitlines()) == 1
        assert main([*words, "--json"]) == 1
        assert message in json.loads(capsys.readouterr().out)["message"]


def test_scores_of_other_items_are_refused_before_anything_is_written(
    project: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    np.savez(tmp_path / "other.npz", item_ids=["x.png"], probabilities=[[0.5, 0.5]])
    assert main(["score", str(project), "--probabilities", str(tmp_path / "other.npz")]) == 1
    assert "1 of 1 items with a score are not in the project, the first is 'x.png'" in capsys.readouterr().err
    assert not (project / "scores.npz").exists()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("file,label\na,b\n", "has the columns file, label; expected name,label"),
        ("name,label\nimg_0.png,\n", "line 2"),
        ("name,label\nimg_0.png,a\nimg_0.png,b\n", "labels 'img_0.png' a second time"),
        ("name,label\nimg_0.png,a\nx.png,b\n", "the first is 'x.png'; nothing was changed"),
        ("name,label\n", "has no rows"),
        ("", "has the columns none"),
    ],
)
def test_wrong_label_files_are_refused_whole(
    content: str, message: str, project: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "labels.csv").write_text(content, encoding="utf-8")
    assert main(["annotate", str(project), str(tmp_path / "labels.csv")]) == 1
    assert message in capsys.readouterr().err
    assert PlatformLocal(project).labels() == {}


def test_init_finds_the_images_of_another_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "a.png").write_bytes(b"")
    assert run_json(capsys, "init", tmp_path / "new", "--images", tmp_path / "photos")["n_items"] == 1
    assert [item.id for item in PlatformLocal(tmp_path / "new").list_items()] == ["a.png"]


def test_help_shows_every_verb_and_every_verb_an_example(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    verbs = [command.callback.__name__ for command in app.registered_commands if command.callback]
    overview = capsys.readouterr().out
    assert verbs == [
        *("demo", "init", "status", "annotate", "embed", "duplicates", "score", "query", "push", "export", "report"),
        *("cost", "simulate"),
    ]
    for verb in verbs:
        assert verb in overview
        assert main([verb, "--help"]) == 0
        assert f"al-agent {verb}" in capsys.readouterr().out.split("Example", 1)[1]


def test_the_version_is_the_packages(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"{importlib.metadata.version('al-agent')}\n"


def test_the_module_runs_as_a_program(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "al_agent.cli", "status", str(tmp_path)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert done.stderr.startswith("error: ")


@pytest.mark.parametrize(
    ("pack", "results", "images", "n_images"),
    [
        ("det_cartucho_map85.zip", "detections.json", "annotations.json", 85),
        (
            "preds_coco_val2014_fake100.zip",
            "instances_val2014_fakebbox100_results.json",
            "instances_val2014_100.json",
            100,
        ),
    ],
)
def test_a_round_from_real_detector_output_to_a_csv_from_the_shell_alone(
    pack: str, results: str, images: str, n_images: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    archive = SHARED / "data" / pack
    if not archive.exists():
        pytest.skip(f"needs {pack}")
    with zipfile.ZipFile(archive) as file:
        file.extractall(tmp_path)
    annotations = json.loads((tmp_path / images).read_text(encoding="utf-8"))
    project, output = tmp_path / "project", tmp_path / "picks.csv"
    if (tmp_path / "images").is_dir():
        run_json(capsys, "init", project, "--images", tmp_path / "images")
    else:
        PlatformLocal.create(project, images=[image["file_name"] for image in annotations["images"]])
    scored = run_json(
        capsys, "score", project, "--coco-results", tmp_path / results, "--coco-images", tmp_path / images,
        "--without-boxes", "0.5", "--aggregation", "sum",
    )  # fmt: skip
    assert scored["n_items"] == n_images
    queried = run_json(capsys, "query", project, "-n", "20", "-m", "uncertainty", "--score", "one_vs_two_margin_sum")
    assert run_json(capsys, "export", project, output)["n_items"] == 20
    lines = output.read_text(encoding="utf-8").splitlines()
    assert lines[0] == "name,entropy_value"
    assert lines[1:] == [f"{pick['item_id']},{20 - rank}" for rank, pick in enumerate(queried["picks"])]
    gains = [pick["gain"] for pick in queried["picks"]]
    assert gains == sorted(gains, reverse=True)
    assert gains[0] == scored["columns"]["one_vs_two_margin_sum"]["highest"]


def test_an_interrupt_is_not_a_success(tmp_path: Path) -> None:
    ids = [f"img_{n}.png" for n in range(20_000)]
    PlatformLocal.create(tmp_path, images=ids)
    Embeddings(ids, np.random.default_rng(0).normal(size=(len(ids), 64))).save(tmp_path / "embeddings.npz")
    program = (
        "import os, signal, sys, threading, time, traceback\n"
        "from al_agent.cli import main\n"
        "def interrupt():  # as soon as a sampler is at work\n"
        "    while 'kcenter.py' not in str(traceback.extract_stack(sys._current_frames()[main_thread])):\n"
        "        time.sleep(0.01)\n"
        "    os.kill(os.getpid(), signal.SIGINT)\n"
        "main_thread = threading.get_ident()\n"
        "threading.Thread(target=interrupt, daemon=True).start()\n"
        "sys.exit(main(['query', sys.argv[1], '-n', '19000', '-m', 'coreset', '--json']))\n"
    )
    done = subprocess.run([sys.executable, "-c", program, str(tmp_path)], capture_output=True, text=True, check=False)
    assert done.returncode == 130
    assert json.loads(done.stdout)["message"] == "interrupted; see al-agent status"
    assert "interrupted" in done.stderr
    assert not (tmp_path / "al-agent-rounds.sqlite").exists()


def test_a_terminal_without_unicode_undoes_no_round(tmp_path: Path) -> None:
    PlatformLocal.create(tmp_path, images=["画像.png", "ü.png"])
    for words, expected in ((["query", "-n", "2", "-m", "random", "--json"], "\\u753b"), (["status"], "\\u753b")):
        done = subprocess.run(
            [sys.executable, "-m", "al_agent.cli", words[0], str(tmp_path), *words[1:]],
            capture_output=True,
            env={**os.environ, "PYTHONIOENCODING": "ascii"},
            check=False,
        )
        assert done.returncode == 0, done.stderr
        assert expected in done.stdout.decode("ascii")


def test_warnings_go_to_standard_error_and_json_stays_alone(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["query", str(project), "-n", "5", "-m", "coreset", "--min-distance", "4", "--json"]) == 0
    printed = capsys.readouterr()
    assert "stopped after 3 of 5" in json.loads(printed.out)["notes"][0]
    assert printed.err.startswith("warning: stopped after 3 of 5")


def test_names_that_would_move_the_cursor_are_made_harmless(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    PlatformLocal.create(tmp_path, images=["\x1b[31mred\n.png"])
    assert main(["query", str(tmp_path), "-n", "1", "-m", "random"]) == 0
    assert main(["status", str(tmp_path)]) == 0
    assert "\x1b" not in capsys.readouterr().out
    assert main(["query", str(tmp_path), "-n", "1", "-m", "random", "--name", "\x1b[31m"]) == 2


def test_files_of_another_kind_are_named_with_the_way_out(
    project: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "p.json").write_text("[]", encoding="utf-8")
    (tmp_path / "latin.csv").write_bytes("name,label\nimg_0.png,é\n".encode("latin-1"))
    for words, message in (
        (["score", str(project), "--probabilities", str(tmp_path / "p.json")], "p.json' is not a .npz file of plain arrays"),
        (["annotate", str(project), str(tmp_path / "latin.csv")], "latin.csv' is not a CSV file in UTF-8"),
        (
            ["score", str(project), "--probabilities", str(tmp_path / "p.npz"), "-o", str(tmp_path / "no" / "s.npz")],
            "no folder",
        ),
    ):
        assert main(words) == 1
        assert message in capsys.readouterr().err
    assert main(["query", str(project), "-n", "32", "--proportion", "0.5"]) == 2


def test_strategies_metadata_and_vectors_on_disk_from_the_shell(
    project: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ids = [f"img_{n}.png" for n in range(10)]
    Embeddings(ids, np.arange(10.0)[:, None]).save(project / "embeddings.npy")
    rows = "".join(f"{item_id},v{n // 5},{n + 1}\n" for n, item_id in enumerate(ids))
    (project / "metadata.csv").write_text(f"item_id,video,cost\n{rows}", encoding="utf-8")
    wishes = tmp_path / "wishes.json"
    wishes.write_text('[{"kind": "diversity"}, {"kind": "at_most", "count": 1, "column": "video"}]', encoding="utf-8")
    result = run_json(capsys, "query", project, "-n", "2", "--strategies", wishes, "--dry-run")
    assert result["method"] == "JOINT"
    assert [pick["item_id"] for pick in result["picks"]] == ["img_0.png", "img_9.png"]
    wishes.write_text('[{"kind": "diversity"}, {"kind": "budget", "limit": 12}]', encoding="utf-8")
    paid = run_json(capsys, "query", project, "--strategies", wishes, "--dry-run")
    assert [pick["item_id"] for pick in paid["picks"]] == ["img_0.png", "img_9.png"]  # 1 and 10 of 12 spent
    covered = run_json(
        capsys,
        "query",
        project,
        "-n",
        "2",
        "-m",
        "probcover",
        "--option",
        "delta=1.5",
        "--embeddings",
        project / "embeddings.npy",
    )
    assert len(covered["picks"]) == 2


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["-m", "probcover", "--option", "delta"], "is not NAME=VALUE"),
        (["-m", "coreset", "--option", "delta=1"], "CORESET has no option 'delta'"),
        (["-m", "bald"], "reads class probabilities, which scores do not hold"),
        (["-m", "coreset", "--engine", "spark"], "engine is 'spark'"),
        (["--strategies", "missing.json"], "there is no file 'missing.json'"),
        (["-m", "coreset", "--ignore-sparsest", "2"], "ignore_sparsest is 2.0"),
    ],
)
def test_wrong_options_of_methods_are_wrong_use(
    project: Path, capsys: pytest.CaptureFixture[str], words: list[str], message: str
) -> None:
    assert main(["query", str(project), *words]) == 2
    assert message in " ".join(capsys.readouterr().err.replace("│", " ").split())


def test_metadata_of_several_files_is_joined_by_item(
    project: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ids = [f"img_{n}.png" for n in range(10)]
    a, b = tmp_path / "a.csv", tmp_path / "b.csv"
    a.write_text("id,video\n" + "".join(f"{item_id},v{n // 5}\n" for n, item_id in enumerate(ids)), encoding="utf-8")
    b.write_text("id,cost\n" + "".join(f"{ids[n]},{n + 1}\n" for n in reversed(range(10))), encoding="utf-8")
    wishes = tmp_path / "wishes.json"
    wishes.write_text(
        json.dumps(
            [
                {"kind": "diversity"},
                {"kind": "at_most", "count": 1, "column": "video"},
                {"kind": "threshold", "column": "cost", "at_least": 2, "at_most": 9},
            ]
        ),
        encoding="utf-8",
    )
    words = ["query", str(project), "-n", "2", "--strategies", str(wishes), "--dry-run", "--metadata", str(a)]
    result = run_json(capsys, *words, "--metadata", b)
    assert sorted(pick["item_id"] for pick in result["picks"]) == ["img_1.png", "img_8.png"]
    assert main([*words, "--metadata", str(a)]) == 1
    assert f"'{a}' and '{a}' both have a column 'video'" in capsys.readouterr().err
    b.write_text("id,cost\nimg_0.png,1\n", encoding="utf-8")
    assert main([*words, "--metadata", str(b)]) == 1
    assert f"'{b}' has no item 'img_1.png', which '{a}' has" in capsys.readouterr().err


def test_embeddings_are_looked_for_as_npy_npz_and_parquet(
    project: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("pyarrow")
    found = Embeddings.load(project / "embeddings.npz")
    words = ["query", str(project), "-n", "2", "-m", "coreset", "--dry-run"]
    picks = run_json(capsys, *words)["picks"]
    (project / "embeddings.npz").unlink()
    assert main(words) == 2
    said = capsys.readouterr().err.replace("│", " ").replace("\n", " ")
    assert "embeddings.npz, embeddings.parquet)" in " ".join(said.split())
    for file in (project / "embeddings.parquet", tmp_path / "e.csv"):
        found.save(file)
        given = [] if file.parent == project else ["--embeddings", str(file)]
        assert run_json(capsys, *words, *given)["picks"] == picks
        if not given:
            file.unlink()


def test_an_item_without_an_embedding_is_told_with_the_list_of_failures(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = Embeddings.load(project / "embeddings.npz")
    found.subset(found.item_ids[1:]).save(project / "embeddings.npz")
    words = ["query", str(project), "-n", "2", "-m", "coreset", "--dry-run"]
    assert main(words) == 1
    assert "failed.csv" not in capsys.readouterr().err
    failures = project / "embeddings.failed.csv"
    failures.write_text("item_id,reason\r\nimg_0.png,is not there\r\n", encoding="utf-8")
    assert main(words) == 1
    said = capsys.readouterr().err
    assert "no embedding, the first is 'img_0.png'" in said
    assert f"'{failures}' lists the images that could not be read" in said
    assert f"al-agent embed {project} --skip-failed" in said


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, "patches"),
        ({"seed": 1}, "patches"),
        ({"epochs": 3}, "self-supervised"),
        ({"minutes": 3.0, "seed": 1}, "self-supervised"),
        ({"checkpoint": "c.pt"}, "self-supervised"),
        ({"trained": "c.pt"}, "self-supervised"),
    ],
)
def test_an_option_of_one_method_alone_chooses_it(options: dict[str, Any], expected: str) -> None:
    assert chosen_method(None, options) == expected
    with pytest.raises(typer.BadParameter, match="is not for the method pretrained, but for"):
        chosen_method("pretrained", {"model": "x", "epochs": 3, **options})
    with pytest.raises(typer.BadParameter, match="--epochs is not for the method pretrained"):
        chosen_method(None, {"model": "x", "epochs": 3})
