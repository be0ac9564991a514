"""Every verb takes any platform, from options, the environment or a folder's al_agent.toml."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from kili_double import KiliDouble
from superannotate_double import SuperAnnotateDouble

from al_agent import PlatformLocal
from al_agent.cli import main
from al_agent.cli.project import Asked, resolve, write

NAMES = [f"img_{number:02d}.jpg" for number in range(20)]

SHEET = """
from pathlib import Path

from al_agent import Item, ItemState, PushReport


class PlatformSheet:
    home = None

    def __init__(self, file):
        self.file = file
        self.key = f"sheet:{file}"

    def list_items(self):
        return [Item(name, name, name, ItemState.UNLABELED) for name in Path(self.file).read_text().split()]

    def push(self, ranks, resets=()):
        return PushReport(updated=tuple(ranks))
"""


@pytest.fixture
def kili(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[KiliDouble]:
    with KiliDouble() as double:
        double.add_assets(NAMES)
        monkeypatch.setenv("KILI_API_KEY", double.api_key)
        monkeypatch.setenv("AL_AGENT_HOME", str(tmp_path / "home"))
        yield double


def run(capsys: pytest.CaptureFixture[str], *words: str) -> dict[str, Any]:
    """The JSON object that a command prints."""
    status = main([*words, "--json"])
    printed = capsys.readouterr()
    assert status == 0, printed.err
    result: dict[str, Any] = json.loads(printed.out)
    return result


def test_a_folder_is_tied_to_a_remote_project_and_all_verbs_take_it(
    kili: KiliDouble, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = str(tmp_path / "signs")
    made = run(capsys, "init", folder, "--platform", "kili", "--url", kili.url, "--project-id", "clproject000")
    assert made["n_items"] == 20
    assert kili.api_key not in (tmp_path / "signs" / "al_agent.toml").read_text()

    predictions = tmp_path / "p.npz"
    np.savez(predictions, item_ids=NAMES, probabilities=np.random.default_rng(0).dirichlet([1, 1], 20))
    assert run(capsys, "score", folder, "--probabilities", str(predictions))["n_items"] == 20
    picked = run(capsys, "query", folder, "-n", "3", "-m", "uncertainty", "--verify")
    ids = [pick["item_id"] for pick in picked["picks"]]
    assert picked["is_pushed"]
    assert kili.queue()[:3] == [asset_of(kili, item_id) for item_id in ids]

    kili.label(ids[0])
    told = run(capsys, "status", folder)
    assert told["sets"] == {"query": 20, "labeled": 1, "unlabeled": 19, "added": 3}
    assert told["next_items"] == ids[1:]
    assert told["rounds"][0]["n_labeled_since"] == 1
    assert told["problems"] == []
    assert run(capsys, "push", folder)["counts"] == {
        "updated": 0,
        "unchanged": 2,
        "declined": 1,
        "failed": 0,
        "not_sent": 0,
        "taken_back": 0,
    }
    assert run(capsys, "export", folder, str(tmp_path / "picks.txt"))["n_items"] == 2


def asset_of(kili: KiliDouble, name: str) -> str:
    return f"classet{NAMES.index(name):05d}"


def test_options_win_over_the_environment_and_that_over_the_file(
    kili: KiliDouble, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "al_agent.toml").write_text(f'platform = "kili"\nproject_id = "of-the-file"\nurl = "{kili.url}"\n')
    monkeypatch.chdir(tmp_path)
    assert main(["status"]) == 1
    assert "no project 'of-the-file'" in capsys.readouterr().err
    monkeypatch.setenv("AL_AGENT_PROJECT_ID", "of-the-environment")
    assert main(["status"]) == 1
    assert "no project 'of-the-environment'" in capsys.readouterr().err
    assert run(capsys, "status", "--project-id", "clproject000")["n_items"] == 20


def test_settings_of_the_connection_come_from_the_file(
    kili: KiliDouble, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = f'platform = "kili"\nproject_id = "clproject000"\nurl = "{kili.url}"\n[connection]\nn_parallel = 0\n'
    (tmp_path / "al_agent.toml").write_text(text)
    assert main(["status", str(tmp_path)]) == 1
    assert "n_parallel is 0; expected a positive number" in capsys.readouterr().err


def test_settings_keep_their_kind_and_reach_the_platform(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with SuperAnnotateDouble() as double:
        double.add_items("root", NAMES)
        double.rename_statuses({"NotStarted": "New"})
        monkeypatch.setenv("SA_TOKEN", double.token)
        words = ["--platform", "superannotate", "--project-id", "proj", "--url", double.url, "--set", "is_order_on=true"]
        folder = str(tmp_path / "project")
        run(capsys, "init", folder, *words, "--set", 'unlabeled=["New"]')
        told = run(capsys, "status", folder)
    assert told["counts"]["unlabeled"] == 20
    assert told["problems"] == []


def test_a_number_given_as_the_project_is_its_id_and_a_text_its_name(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with SuperAnnotateDouble() as double:
        double.add_items("root", NAMES)
        monkeypatch.setenv("SA_TOKEN", double.token)
        words = ["--platform", "superannotate", "--url", double.url]
        for project in ("501", "proj"):
            assert run(capsys, "status", str(tmp_path), *words, "--project-id", project)["n_items"] == 20


def test_settings_in_any_letters_are_read_as_they_were_written(
    kili: KiliDouble, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = {"project_id": "Straße 🚀 \x7f", "n": 3, "flag": True, "names": ["東", 'say "hi"']}
    write(tmp_path / "al_agent.toml", "kili", settings, {"n_parallel": 2})
    assert resolve(Asked(tmp_path)) == ("kili", settings, {"n_parallel": 2})


def test_the_environment_of_a_remote_project_leaves_local_ones_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    PlatformLocal.create(tmp_path, images=NAMES)
    monkeypatch.setenv("AL_AGENT_PROJECT_ID", "7")
    monkeypatch.setenv("AL_AGENT_URL", "https://labels.example.com")
    assert run(capsys, "status", str(tmp_path))["n_items"] == 20


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--platform", "magic"], "there is no platform 'magic'; installed are kili, label-studio, local, superannotate"),
        (["--platform", "kili"], "kili needs the setting 'project_id'"),
        (
            ["--platform", "kili", "--project-id", "x", "--set", "colour=red"],
            "kili has no setting 'colour'; it has project_id",
        ),
        (["--platform", "kili", "--project-id", "x", "--set", "api_key=y"], "keys come from the environment"),
        (["--platform", "kili", "--project-id", "x"], "set the environment variable KILI_API_KEY"),
    ],
)
def test_what_cannot_be_opened_says_what_is_missing(
    words: list[str], message: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert main(["status", str(tmp_path), *words]) == 1
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('project_id = "7"', 'names no platform; add a line such as platform = "label-studio"'),
        ('platform = "kili"\nproject_id = "7"\nconnection = 5', "the connection is 5; expected settings"),
        (
            'platform = "kili"\nproject_id = "7"\n[connection]\nspeed = 5',
            "the connection has no setting 'speed'; it has ca_file",
        ),
        ('platform = "kili"\nproject_id = "7"\n[connection]\nca_file = 5', "ca_file is 5; expected a file"),
        (
            'platform = "kili"\nproject_id = "7"\n[connection]\nshow_progress = "no"',
            "show_progress is 'no'; expected True or",
        ),
        ('platform = "label-studio"\nurl = "http://x.y"\nproject_id = 7\ntab = 2026', "tab is 2026; expected a title"),
        ('platform = "label-studio"\nurl = "http://x.y"\nproject_id = 7\nids = 5', "ids is 5; expected 'name'"),
        (
            'platform = "label-studio"\nurl = "http://x.y"\nproject_id = 7\nchange_settings = "no"',
            "change_settings is 'no'; expected True or False",
        ),
    ],
)
def test_a_setting_of_the_wrong_kind_is_named(
    text: str,
    message: str,
    kili: KiliDouble,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("LABEL_STUDIO_API_KEY", "0" * 40)
    (tmp_path / "al_agent.toml").write_text(text)
    assert main(["status", str(tmp_path)]) == 1
    assert message in capsys.readouterr().err


@pytest.mark.parametrize("word", ["no", "off", "False", "NO"])
def test_a_no_on_the_command_line_is_a_no(word: str) -> None:
    assert resolve(Asked(Path("nowhere"), "x", settings=[f"change_settings={word}"]))[1] == {"change_settings": False}


def test_a_folder_is_not_tied_to_another_project_by_mistake(
    kili: KiliDouble, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["init", str(tmp_path), "--platform", "kili", "--url", kili.url, "--project-id"]
    assert run(capsys, *words, "clproject000") == run(capsys, *words, "clproject000")
    assert main([*words, "other"]) == 1
    assert "is tied to project_id clproject000 already" in capsys.readouterr().err


def test_labels_of_a_project_on_a_platform_are_made_there(
    kili: KiliDouble, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "al_agent.toml").write_text('platform = "kili"\nproject_id = "7"\n')
    assert main(["annotate", str(tmp_path), "labels.csv"]) == 1
    assert "is tied to kili; labels are made there" in capsys.readouterr().err


def test_a_broken_settings_file_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "al_agent.toml").write_text("platform = kili")
    assert main(["status", str(tmp_path)]) == 1
    assert "al_agent.toml' is no TOML file" in capsys.readouterr().err


def test_a_platform_of_another_package_is_found_by_its_entry_point(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "package"
    (package / "sheet-1.0.dist-info").mkdir(parents=True)
    (package / "my_sheet.py").write_text(SHEET)
    (package / "sheet-1.0.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: sheet\nVersion: 1.0\n")
    entry = "[al_agent.platforms]\nsheet = my_sheet:PlatformSheet\n"
    (package / "sheet-1.0.dist-info" / "entry_points.txt").write_text(entry)
    monkeypatch.syspath_prepend(package)
    monkeypatch.setenv("AL_AGENT_HOME", str(tmp_path / "home"))
    (tmp_path / "sheet.txt").write_text("a.jpg b.jpg c.jpg")
    words = ["--platform", "sheet", "--set", f"file={tmp_path / 'sheet.txt'}"]
    picked = run(capsys, "query", str(tmp_path), *words, "-n", "2", "-m", "random")
    assert picked["is_pushed"]
    assert main(["query", str(tmp_path), *words, "-n", "2", "-m", "random", "--verify"]) == 1
    assert "PlatformSheet has no reading back" in capsys.readouterr().err
