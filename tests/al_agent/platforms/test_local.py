"""The embedded platform: folder, file, states, queue."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from al_agent import ActiveLearningAgent, ItemState, NotFound, PlatformError, PlatformLocal, Unavailable

STRANGE_NAMES = [
    "line\nbreak.png",
    'quote".png',
    "comma,semicolon;.png",
    "=1+1.png",
    "@cmd.png",
    "-dash.png",
    "ünïcödé-画像-🦊.png",
    "e\u0301.png",  # decomposed: another name than the composed one
    "\u00e9.png",
    " leading and trailing .png",
    "sub/folder/..dots../x.png",
    "'; DROP TABLE items; --.png",
    "%00.png",
]


def test_strange_names_survive_every_door(tmp_path: Path) -> None:
    platform = PlatformLocal.create(tmp_path, images=STRANGE_NAMES)
    platform.push({name: rank for rank, name in enumerate(reversed(STRANGE_NAMES))})
    assert [item.id for item in platform.list_items()] == STRANGE_NAMES
    assert [item.id for item in platform.next_items(99)] == STRANGE_NAMES[::-1]
    platform.annotate({name: {"text": name} for name in STRANGE_NAMES})
    assert PlatformLocal(tmp_path).labels() == {name: {"text": name} for name in STRANGE_NAMES}


def test_states_are_those_of_the_items_whatever_came_and_went(tmp_path: Path) -> None:
    platform = PlatformLocal.create(tmp_path, images=[f"img_{i}.png" for i in range(6)])
    other = PlatformLocal(tmp_path)

    def check() -> None:
        items = list(platform.list_items())
        ids, states = platform.list_states()
        assert ids == tuple(item.id for item in items)
        assert list(states) == [item.state for item in items]

    changes: list[Callable[[], None]] = [
        lambda: None,
        lambda: other.annotate({"img_3.png": 1, "img_0.png": 2}),
        lambda: other.skip(["img_5.png"]),
        lambda: other.remove_images(["img_0.png", "img_1.png"]),
        lambda: other.add_images(["img_0.png", "z.png"]),  # as many items as in the beginning
        lambda: other.reopen(["img_3.png"]),
        lambda: other.remove_images(["z.png"]),  # the last position is given again to nobody
        lambda: other.add_images(["a.png"]),
        lambda: other.annotate({"a.png": 1}),
    ]
    for change in changes:
        change()
        check()


def test_a_folder_is_searched_for_images_and_ids_are_relative_paths(tmp_path: Path) -> None:
    for name in ("b.JPG", "a.png", "sub/c.webp", "notes.txt", ".hidden.png", ".git/d.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    platform = PlatformLocal.create(tmp_path)
    items = list(platform.list_items())
    assert [item.id for item in items] == ["a.png", "b.JPG", "sub/c.webp"]
    assert items[2].media == str(tmp_path / "sub" / "c.webp")
    assert platform.missing_files() == []
    (tmp_path / "a.png").unlink()
    assert platform.missing_files() == ["a.png"]


@pytest.mark.parametrize("as_paths", [True, False])
def test_images_of_another_folder_are_found_there(tmp_path: Path, as_paths: bool) -> None:
    photos = tmp_path / "photos"
    (photos / "day 1").mkdir(parents=True)
    paths = [photos / "day 1" / "a.png", photos / "b.png"]
    for path in paths:
        path.write_bytes(b"")
    platform = PlatformLocal.create(tmp_path / "project", images=paths if as_paths else photos)
    assert sorted(item.id for item in platform.list_items()) == ["b.png", "day 1/a.png"]
    assert {item.media for item in platform.list_items()} == set(map(str, paths))
    assert not (photos / "al-agent-project.sqlite").exists()


def test_a_project_can_be_moved_and_stays_itself(tmp_path: Path) -> None:
    (tmp_path / "old").mkdir()
    (tmp_path / "old" / "a.png").write_bytes(b"")
    key = PlatformLocal.create(tmp_path / "old").key
    (tmp_path / "old").rename(tmp_path / "new")
    moved = PlatformLocal(tmp_path / "new")
    assert moved.key == key
    assert moved.missing_files() == []


WRONG_IMAGES: list[tuple[str, list[Any], str]] = [
    ("none", [], r"images is empty"),
    ("doubled", ["a.png", "b.png", "a.png"], r"image 'a.png' is given 2 times"),
    ("doubled by dot", ["a.png", "./a.png"], r"image 'a.png' is given 2 times"),
    ("outside", ["../a.png"], r"image '../a.png' is not below"),
    ("mixed", ["/x/a.png", "b.png"], r"image 'b.png' is relative and others are absolute"),
    ("nul", ["a\0.png"], r"is no file name"),
    ("empty", ["", "a.png"], r"is no file name"),
    ("bytes", ["b.png", b"a.png"], r"is bytes; give file names as text"),
    ("undecodable", ["a\udcff.png"], r"not valid unicode"),
]


@pytest.mark.parametrize(("images", "message"), [w[1:] for w in WRONG_IMAGES], ids=[w[0] for w in WRONG_IMAGES])
def test_wrong_images_are_refused_by_name_and_nothing_is_made(tmp_path: Path, images: list[Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        PlatformLocal.create(tmp_path / "project", images=images)
    assert not (tmp_path / "project").exists()


def test_names_that_are_relative_to_the_current_folder_are_pointed_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("a.png").write_bytes(b"")
    with pytest.raises(ValueError, match=r"found from the current folder, but names are relative to the project's folder"):
        PlatformLocal.create("project", images=["a.png"])


def test_a_folder_without_images_or_with_a_project_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no images found below"):
        PlatformLocal.create(tmp_path)
    with pytest.raises(ValueError, match="is no folder"):
        PlatformLocal.create(tmp_path, images=tmp_path / "missing")
    PlatformLocal.create(tmp_path, images=["a.png"])
    with pytest.raises(ValueError, match="is a project already; open it"):
        PlatformLocal.create(tmp_path, images=["b.png"])
    assert [item.id for item in PlatformLocal(tmp_path).list_items()] == ["a.png"]


def test_a_folder_that_is_no_project_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match=r"is no local project: it has no file al-agent-project.sqlite; make one with"):
        PlatformLocal(tmp_path)
    with pytest.raises(NotFound, match="is no local project"):
        PlatformLocal(tmp_path / "missing")


def test_the_queue_is_by_rank_and_then_in_order(make_local: Callable[[int], PlatformLocal]) -> None:
    platform = make_local(6)
    platform.push({"img_04.jpg": 1, "img_02.jpg": 0, "img_05.jpg": 1})
    platform.annotate({"img_02.jpg": 1})
    platform.skip(["img_00.jpg"])
    queue = [item.id for item in platform.next_items(10)]
    assert queue == ["img_04.jpg", "img_05.jpg", "img_01.jpg", "img_03.jpg"]
    assert [item.id for item in platform.next_items(1)] == queue[:1]
    assert platform.next_items(0) == []


def test_a_push_reports_what_became_of_every_item(make_local: Callable[[int], PlatformLocal]) -> None:
    platform = make_local(6)
    platform.push({"img_00.jpg": 0, "img_01.jpg": 1, "img_05.jpg": 2})
    platform.annotate({"img_02.jpg": 1})
    report = platform.push({"img_00.jpg": 0, "img_03.jpg": 1, "img_02.jpg": 2, "x": 3}, resets=["img_01.jpg", "img_04.jpg"])
    assert report.unchanged == ("img_00.jpg",)
    assert report.updated == ("img_03.jpg",)
    assert report.declined == {"img_02.jpg": "already labeled", "x": "not in the project"}
    assert report.taken_back == ("img_01.jpg",)
    assert report.is_complete
    assert str(report) == "1 updated, 1 unchanged, 2 declined, 1 taken back"
    assert {i.id: i.priority for i in platform.list_items() if i.priority is not None} == {
        "img_00.jpg": 0,
        "img_03.jpg": 1,
        "img_05.jpg": 2,
    }


def test_states_and_labels_follow_what_annotators_do(make_local: Callable[[int], PlatformLocal]) -> None:
    platform = make_local(3)
    platform.annotate({"img_00.jpg": "cat", "img_01.jpg": np.int64(3)})
    platform.annotate({"img_00.jpg": ["dog", {"box": np.array([0.5, 1.0])}]})
    platform.skip(["img_02.jpg"])
    assert platform.labels() == {"img_00.jpg": ["dog", {"box": [0.5, 1.0]}], "img_01.jpg": 3}
    assert [item.state for item in platform.list_items()] == [ItemState.LABELED, ItemState.LABELED, ItemState.SKIPPED]
    platform.reopen(["img_00.jpg", "img_02.jpg"])
    assert platform.labels() == {"img_01.jpg": 3}
    assert [item.id for item in platform.next_items(9)] == ["img_00.jpg", "img_02.jpg"]


def test_an_item_that_comes_back_to_the_queue_has_lost_its_old_rank(make_local: Callable[[int], PlatformLocal]) -> None:
    platform = make_local(2)
    platform.push({"img_01.jpg": 0})
    platform.annotate({"img_01.jpg": "cat"})
    platform.reopen(["img_01.jpg"])
    assert [item.id for item in platform.next_items(2)] == ["img_00.jpg", "img_01.jpg"]


WRONG_CALLS: list[tuple[str, Callable[[PlatformLocal], Any], str]] = [
    (
        "annotate unknown",
        lambda p: p.annotate({"img_00.jpg": 1, "x": 2}),
        r"1 items are not in the project, the first is 'x'",
    ),
    ("annotate None", lambda p: p.annotate({"img_00.jpg": None}), r"label of 'img_00.jpg' is None; use skip\(\)"),
    ("annotate NaN", lambda p: p.annotate({"img_00.jpg": float("nan")}), r"which JSON cannot hold"),
    ("annotate object", lambda p: p.annotate({"img_00.jpg": object()}), r"which JSON cannot hold"),
    ("skip unknown", lambda p: p.skip(["img_00.jpg", "x"]), r"the first is 'x'"),
    ("skip a string", lambda p: p.skip("img_00.jpg"), r"expected a list of items"),
    ("reopen unknown", lambda p: p.reopen(["x"]), r"the first is 'x'"),
    ("remove unknown", lambda p: p.remove_images(["img_00.jpg", "x"]), r"the first is 'x'"),
    ("add known", lambda p: p.add_images(["new.jpg", "img_00.jpg"]), r"in the project already, the first is 'img_00.jpg'"),
    ("negative rank", lambda p: p.push({"img_00.jpg": 0, "img_01.jpg": -1}), r"rank of 'img_01.jpg' is -1"),
    ("fractional rank", lambda p: p.push({"img_00.jpg": 0.5}), r"rank of 'img_00.jpg' is 0.5"),  # type: ignore[dict-item]
    ("negative count", lambda p: p.next_items(-1), r"n_items is -1"),
]


@pytest.mark.parametrize(("call", "message"), [w[1:] for w in WRONG_CALLS], ids=[w[0] for w in WRONG_CALLS])
def test_a_wrong_call_names_the_item_and_changes_nothing(
    call: Callable[[PlatformLocal], Any], message: str, make_local: Callable[[int], PlatformLocal]
) -> None:
    platform = make_local(2)
    before = list(platform.list_items())
    with pytest.raises(ValueError, match=message):
        call(platform)
    assert list(platform.list_items()) == before


@pytest.mark.parametrize("damage", ["garbage", "other database", "newer", "torn"])
def test_a_damaged_file_is_reported_as_such(damage: str, make_local: Callable[[int], PlatformLocal]) -> None:
    platform = make_local(500)
    file = platform.home / "al-agent-project.sqlite"
    if damage == "garbage":
        file.write_bytes(b"this is no database" * 100)
    elif damage == "torn":
        content = file.read_bytes()
        file.write_bytes(content[:100] + os.urandom(len(content) - 100))
    else:
        connection = sqlite3.connect(file)
        connection.execute("PRAGMA user_version = 9" if damage == "newer" else "PRAGMA application_id = 7")
        connection.close()
    expected = {"other database": "no al-agent project", "newer": "newer al-agent"}.get(damage, "is damaged")
    with pytest.raises(NotFound, match=expected):
        list(PlatformLocal(platform.home).list_items())


def test_a_full_disk_changes_nothing_and_is_named(tmp_path: Path) -> None:
    """The real limit on file sizes of a process stands in for a disk without room."""
    platform = PlatformLocal.create(tmp_path, images=[f"img_{n}.jpg" for n in range(1000)])
    before = list(platform.list_items())
    program = (
        "import resource, signal, sys\n"
        "from al_agent import PlatformLocal, Unavailable\n"
        "platform = PlatformLocal(sys.argv[1])\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (150_000, 150_000))\n"
        "try:\n"
        "    platform.annotate({f'img_{n}.jpg': 'x' * 1000 for n in range(1000)})\n"
        "except Unavailable as error:\n"
        "    print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", program, str(tmp_path)], capture_output=True, text=True, check=True)
    assert "al-agent-project.sqlite" in done.stdout
    assert "othing was changed" in done.stdout
    assert list(PlatformLocal(tmp_path).list_items()) == before


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="mounting a read-only disk needs root")
def test_a_read_only_disk_can_be_listed_and_refuses_changes_in_plain_words(tmp_path: Path) -> None:
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(tmp_path)], check=False)
    if mounted.returncode:
        pytest.skip("this machine does not let a test mount a disk")
    try:
        PlatformLocal.create(tmp_path, images=["a.png", "b.png"])
        subprocess.run(["mount", "-o", "remount,ro", str(tmp_path)], check=True)
        platform = PlatformLocal(tmp_path)
        assert ActiveLearningAgent(platform).unlabeled_set == ("a.png", "b.png")
        for change in (
            lambda: platform.annotate({"a.png": 1}),
            lambda: platform.push({"a.png": 0}),
        ):
            with pytest.raises(Unavailable, match="read-only"):
                change()
        with pytest.raises(PlatformError, match=r"(?i)read-only"):
            PlatformLocal.create(tmp_path / "new", images=["a.png"])
        assert list(PlatformLocal(tmp_path).labels()) == []
    finally:
        subprocess.run(["umount", str(tmp_path)], check=True)


def test_two_processes_label_at_once_and_no_label_is_lost(make_local: Callable[[int], PlatformLocal]) -> None:
    platform = make_local(60)
    program = (
        "import sys\n"
        "from al_agent import PlatformLocal\n"
        "platform = PlatformLocal(sys.argv[1])\n"
        "for n in range(int(sys.argv[2]), 60, 2):\n"
        "    platform.annotate({f'img_{n:02d}.jpg': n})\n"
    )
    workers = [subprocess.Popen([sys.executable, "-c", program, str(platform.home), str(start)]) for start in (0, 1)]
    assert [worker.wait() for worker in workers] == [0, 0]
    assert platform.labels() == {f"img_{n:02d}.jpg": n for n in range(60)}


CREATE_SLOWLY = """
import sys, threading
from al_agent import PlatformLocal
def images():
    for n in range(20_000):
        yield f"{sys.argv[2]}{n}.png"
try:
    PlatformLocal.create(sys.argv[1], images=images()).annotate({f"{sys.argv[2]}0.png": "kept"})
    print("made")
except ValueError as error:
    assert "is a project already" in str(error), error
"""


def test_of_two_who_create_at_once_one_wins_and_its_labels_stay(tmp_path: Path) -> None:
    command = [sys.executable, "-c", CREATE_SLOWLY, str(tmp_path)]
    workers = [subprocess.Popen([*command, name], stdout=subprocess.PIPE, text=True) for name in "AB"]
    said = [worker.communicate()[0] for worker in workers]
    assert sorted(said) == ["", "made\n"]
    winner = "AB"[said.index("made\n")]
    assert PlatformLocal(tmp_path).labels() == {f"{winner}0.png": "kept"}
    assert [path.name for path in tmp_path.iterdir()] == ["al-agent-project.sqlite"]


def test_the_log_of_a_deleted_project_is_not_mixed_into_a_new_one(tmp_path: Path) -> None:
    (tmp_path / "al-agent-project.sqlite-wal").write_bytes(b"old changes")
    with pytest.raises(Unavailable, match=r"al-agent-project.sqlite-wal' is left over .*; move it away"):
        PlatformLocal.create(tmp_path, images=["a.png"])
    (tmp_path / "al-agent-project.sqlite-wal").unlink()
    PlatformLocal.create(tmp_path, images=["a.png"])


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that other users may enter, unlike pytest's."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="becoming another user needs root")
def test_a_reader_who_may_not_write_sees_whole_changes_while_others_write(
    open_folder: Path,
) -> None:
    names = [f"img_{n}.png" for n in range(2_000)]
    platform = PlatformLocal.create(open_folder, images=names)
    program = (
        "import os, sys\n"
        "from al_agent import PlatformLocal, Unavailable\n"
        "list(PlatformLocal(sys.argv[1]).list_items())\n"  # imports what it needs, while it may read all of Python
        "os.setuid(65534)\n"
        "for _ in range(60):\n"
        "    try:\n"
        "        states = {item.state.value for item in PlatformLocal(sys.argv[1]).list_items()}\n"
        "        assert len(states) == 1, states\n"
        "    except Unavailable:\n"  # said plainly, and true: the log cannot be read now
        "        pass\n"
        "print('done')\n"
    )
    with subprocess.Popen([sys.executable, "-c", program, str(open_folder)], stdout=subprocess.PIPE, text=True) as reader:
        while reader.poll() is None:
            platform.annotate(dict.fromkeys(names, 1))
            platform.reopen(names)
        assert reader.stdout is not None
        assert reader.stdout.read() == "done\n"


@pytest.mark.parametrize("folder", ["a b", "100% [x]", "what?#1", "ünï/画像"])
def test_folders_with_odd_names_are_projects_too(tmp_path: Path, folder: str) -> None:
    PlatformLocal.create(tmp_path / folder, images=["a.png"]).annotate({"a.png": 1})
    assert PlatformLocal(tmp_path / folder).labels() == {"a.png": 1}


def test_one_file_has_one_name(tmp_path: Path) -> None:
    for other in ("a//b.png", "a/./b.png", "././a/b.png"):
        with pytest.raises(ValueError, match=r"image 'a/b.png' is given 2 times"):
            PlatformLocal.create(tmp_path, images=["a/b.png", other])


@pytest.mark.parametrize(
    "call",
    [
        lambda p: p.annotate({Path("img_00.jpg"): 1}),
        lambda p: p.annotate(["img_00.jpg"]),
        lambda p: p.annotate({"img_00.jpg": ""}),
        lambda p: p.annotate({"\udcff": 1}),
        lambda p: p.skip([Path("img_00.jpg")]),
        lambda p: p.push({Path("img_00.jpg"): 1}),
        lambda p: p.push({"img_00.jpg": 2**70}),
        lambda p: p.remove_images([["img_00.jpg"]]),
        lambda p: p.next_items(2.5),
    ],
)
def test_a_wrong_type_is_a_bad_argument_and_not_a_damaged_file(
    call: Callable[[Any], Any], make_local: Callable[[int], PlatformLocal]
) -> None:
    with pytest.raises((ValueError, TypeError, AttributeError)):
        call(make_local(2))


def test_numpy_counts_and_ranks_are_whole_numbers(make_local: Callable[[int], PlatformLocal]) -> None:
    platform = make_local(3)
    platform.push({"img_02.jpg": np.int64(0)})  # type: ignore[dict-item]
    assert [item.id for item in platform.next_items(np.int32(2))] == ["img_02.jpg", "img_00.jpg"]  # type: ignore[arg-type]


def test_skipping_an_item_does_not_lose_its_label(make_local: Callable[[int], PlatformLocal]) -> None:
    platform = make_local(2)
    platform.annotate({"img_00.jpg": "cat"})
    with pytest.raises(ValueError, match=r"'img_00.jpg' has a label, which skipping would lose"):
        platform.skip(["img_01.jpg", "img_00.jpg"])
    assert platform.labels() == {"img_00.jpg": "cat"}


def test_a_tampered_project_shows_no_file_outside_its_folder(make_local: Callable[[int], PlatformLocal]) -> None:
    platform = make_local(2)
    connection = sqlite3.connect(platform.home / "al-agent-project.sqlite")
    connection.execute("UPDATE items SET id = '../../etc/passwd' WHERE position = 1")
    connection.commit()
    connection.close()
    assert [item.media is None for item in platform.list_items()] == [True, False]
