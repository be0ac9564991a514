"""A study's folder is held by one process, grows by methods and seeds, and its table is CSV or Parquet."""

from __future__ import annotations

import csv
import json
import math
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from al_agent.simulation.hidden import HiddenLabels
from al_agent.simulation.study import Measurement, Study, StudyResult
from al_agent.simulation.study.folder import StudyFolder
from al_agent.simulation.study.locks import InUse
from al_agent.simulation.study.rooms import remove_left_behind, room

Array = npt.NDArray[Any]
N = 30


class Half:
    def predict_proba(self, x: Array) -> Array:
        return np.full((len(x), 2), 0.5)

    def score(self, x: Array, y: Array) -> float:
        return 0.5


class Counts:
    """A trainer that counts its trainings."""

    def __init__(self) -> None:
        self.n = 0

    def __call__(self, features: Array, labels: Array, seed: int) -> Half:
        self.n += 1
        return Half()


def study(trainer: Any, methods: Any = ("RANDOM", "UNCERTAINTY"), seeds: Any = (0, 1), **others: Any) -> Study:
    x, y = np.arange(float(N))[:, None], np.arange(N) % 2
    data = HiddenLabels(tuple(f"{n:02d}" for n in range(N)), x, y, x, y, **others)
    return Study(data, trainer, methods, n_start=4, n_per_round=3, n_rounds=2, seeds=seeds, trainer_name="half")


def keys(result: StudyResult) -> list[tuple[str, int]]:
    return list(dict.fromkeys((row.method, row.seed) for row in result.rows))


def test_more_seeds_and_methods_run_only_what_is_missing_and_fewer_keep_the_others(tmp_path: Path) -> None:
    study(Counts()).run(tmp_path)
    before = StudyResult.load(tmp_path).rows
    more, done = Counts(), list[int]()
    result = study(more, ["RANDOM", "CORESET"], [0, 2]).run(tmp_path, on_run=done.append)
    assert more.n == 3 * 3  # RANDOM with seed 2, CORESET with both
    assert done == [1, 1, 1, 1]
    assert keys(result) == [("RANDOM", 0), ("RANDOM", 2), ("CORESET", 0), ("CORESET", 2)]
    arguments = json.loads((tmp_path / "study.json").read_text())
    assert (list(arguments["methods"]), arguments["seeds"]) == (["RANDOM", "UNCERTAINTY", "CORESET"], [0, 1, 2])
    whole = StudyResult.load(tmp_path)
    assert keys(whole) == [
        *(("RANDOM", seed) for seed in (0, 1, 2)),
        *(("UNCERTAINTY", seed) for seed in (0, 1)),
        *(("CORESET", seed) for seed in (0, 2)),
    ]
    assert set(before) <= set(whole.rows)
    assert "not all methods have runs of the seeds 1, 2, which are left out" in whole.summary().replace("\n", " ")
    again = Counts()
    every = study(again, ["RANDOM", "UNCERTAINTY", "CORESET"], [0, 1, 2]).run(tmp_path)
    assert again.n == 2 * 3
    fresh = study(Counts(), ["RANDOM", "UNCERTAINTY", "CORESET"], [0, 1, 2]).run()
    assert [(row.method, row.seed, row.round, row.amounts) for row in every.rows] == [
        (row.method, row.seed, row.round, row.amounts) for row in fresh.rows
    ]


def test_other_amounts_are_another_study(tmp_path: Path) -> None:
    study(Counts()).run(tmp_path)
    with pytest.raises(ValueError, match=r'amounts was \["classes"\], now \["boxes", "classes"\]'):
        study(Counts(), amounts={"boxes": np.ones(N)}).run(tmp_path)


def test_arguments_that_are_not_ours_are_refused(tmp_path: Path) -> None:
    study(Counts()).run(tmp_path)
    (tmp_path / "study.json").write_text(json.dumps({"format": "al-agent study 1", "methods": 3}))
    with pytest.raises(ValueError, match="is not of a study: methods is 3"):
        StudyResult.load(tmp_path)


def test_the_folder_is_held_by_one_run_and_free_after_it(tmp_path: Path) -> None:
    def busy(features: Array, labels: Array, seed: int) -> Half:
        with pytest.raises(InUse, match=r"another process runs the study in '.*'; wait until it has ended, or name another"):
            study(Counts()).run(tmp_path)
        return Half()

    before = study(busy).run(tmp_path)
    assert before.failures == {}
    assert study(Counts()).run(tmp_path).rows == before.rows
    errors: list[BaseException] = []

    def other() -> None:
        try:
            study(Counts()).run(tmp_path)
        except InUse as error:
            errors.append(error)

    with StudyFolder(tmp_path).held():
        thread = threading.Thread(target=other)
        thread.start()
        thread.join()
    assert len(errors) == 1


HOLDS = """
import sys, time
from pathlib import Path
sys.path[:0] = {path!r}
from al_agent.simulation.study.folder import StudyFolder
from al_agent.simulation.study.rooms import room

with StudyFolder(sys.argv[1]).held(), room() as folder:
    (folder / "project").mkdir()
    print(folder, flush=True)
    time.sleep(600)
"""


def holder(tmp_path: Path) -> tuple[subprocess.Popen[str], Path]:
    """A process that holds the study `tmp_path / "study"` and a room in `tmp_path`."""
    code = HOLDS.format(path=[path for path in sys.path if path] + [os.getcwd()])
    process = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path / "study")],
        env={**os.environ, "TMPDIR": str(tmp_path)},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    return process, Path(process.stdout.readline().strip())


def age(folder: Path) -> None:
    hour_ago = time.time() - 3600
    os.utime(folder, (hour_ago, hour_ago))


def test_a_killed_process_lets_go_of_its_study_and_the_next_one_removes_its_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", None)
    process, left = holder(tmp_path)
    try:
        with pytest.raises(InUse, match="another process runs the study"):
            study(Counts()).run(tmp_path / "study")
        age(left)
        remove_left_behind(tmp_path)
        assert (left / "project").is_dir()  # it is old, and in use
    finally:
        process.send_signal(signal.SIGKILL)
        process.communicate()
    assert (left / "project").is_dir()
    study(Counts()).run(tmp_path / "study")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["study"]


def test_what_others_left_is_not_removed(tmp_path: Path) -> None:
    mine, link, file = (tmp_path / f"al-agent-study-{name}" for name in ("mine", "link", "file"))
    other, young = tmp_path / "al-agent-other", tmp_path / "al-agent-study-young"
    for folder in (mine, other, young):
        folder.mkdir()
    link.symlink_to(other)
    file.write_text("")
    for path in (mine, other, file):
        age(path)
    remove_left_behind(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(path.name for path in (link, file, other, young))


def test_a_room_is_private_and_gone_after_the_block(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", None)
    with room() as folder:
        assert folder.parent == tmp_path
        assert [path.name for path in folder.iterdir()] == ["lock"]
        assert folder.stat().st_mode & 0o077 == 0
    with pytest.raises(RuntimeError), room() as other:
        raise RuntimeError
    assert not folder.exists()
    assert not other.exists()


ROWS = (
    Measurement("RANDOM", 0, 0, 10, 0.5, 1.25, 0.5, 0.125, "", {"boxes": 31.0, "seconds": 0.1 + 0.2}),
    Measurement("RANDOM", 0, 1, 20, math.nan, error='a "reason", with é', amounts={"boxes": math.nan, "seconds": math.nan}),
    Measurement("my, method", 7, 0, 10, 1e-300, amounts={"boxes": 0.0, "seconds": 12.0}),
    Measurement("bare", 7, 0, 10, 0.25),
)


@pytest.mark.parametrize("name", ["table.csv", "table.parquet", "TABLE.CSV"])
def test_a_table_is_read_back_as_it_was(tmp_path: Path, name: str) -> None:
    if name.endswith("parquet"):
        pytest.importorskip("pyarrow")
    StudyResult(ROWS).write(tmp_path / name)
    assert repr(StudyResult.read(tmp_path / name).rows) == repr(ROWS)  # NaN too


def test_both_kinds_of_a_real_study_are_equal_and_tidy(tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    result = study(Counts(), amounts={"boxes": np.arange(N)}, groups=np.arange(N) // 2).run()
    result.write(tmp_path / "r.csv")
    result.write(tmp_path / "r.parquet")
    assert StudyResult.read(tmp_path / "r.csv").rows == StudyResult.read(tmp_path / "r.parquet").rows == result.rows
    with (tmp_path / "r.csv").open(newline="") as file:
        header = next(csv.reader(file))
    table = parquet.read_table(tmp_path / "r.parquet")
    assert table.column_names == header
    assert header[-4:] == ["error", "boxes", "classes", "duplicates"]
    assert table.column("boxes").to_pylist() == [row.amounts["boxes"] for row in result.rows]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        (
            "t.csv",
            b"method,seed\nRANDOM,0\n",
            "line 1 is not of a study: its columns are method,seed; expected method,seed,round",
        ),
        ("t.csv", b"\xff\xfe\n", "line 0 is not of a study: 'utf-8' codec"),
        ("t.csv", None, "has no rows below its header"),
        ("t.parquet", b"not a table", "is not of a study: "),
        ("t.txt", b"", r"ends in '.txt'; expected .csv or .parquet"),
    ],
)
def test_a_file_that_is_not_ours_is_refused(tmp_path: Path, name: str, content: bytes | None, message: str) -> None:
    if name.endswith("parquet"):
        pytest.importorskip("pyarrow")
    if content is None:
        StudyResult(()).write(tmp_path / name)
    else:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(ValueError, match=message):
        StudyResult.read(tmp_path / name)


def test_columns_that_are_doubled_or_of_another_kind_are_refused(tmp_path: Path) -> None:
    pyarrow, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    path = tmp_path / "t.csv"
    StudyResult(ROWS).write(path)
    path.write_text(path.read_text().replace("boxes,seconds", "boxes,boxes"))
    with pytest.raises(ValueError, match=r"expected each once, with a name"):
        StudyResult.read(path)
    StudyResult(ROWS).write(tmp_path / "t.parquet")
    table = parquet.read_table(tmp_path / "t.parquet")
    wrong = table.set_column(4, "figure", pyarrow.array(["good"] * 4))
    parquet.write_table(wrong, tmp_path / "t.parquet")
    with pytest.raises(ValueError, match=r"row 0 is not of a study: could not convert string to float: 'good'"):
        StudyResult.read(tmp_path / "t.parquet")


def test_parquet_without_pyarrow_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(ImportError, match=re.escape("Parquet files need pyarrow: pip install 'al-agent[parquet]'")):
        StudyResult(ROWS).write(tmp_path / "t.parquet")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_locked_is_said(tmp_path: Path) -> None:
    shutil.copy(__file__, tmp_path / ".study.lock")
    with pytest.raises(OSError, match=r"\.study\.lock' cannot be locked: file is not a database"):
        study(Counts()).run(tmp_path)
