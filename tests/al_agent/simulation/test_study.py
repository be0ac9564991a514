"""Studies are fair, keep what failed, and go on where they were stopped."""

from __future__ import annotations

import csv
import json
import math
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from sklearn.linear_model import LogisticRegression

from al_agent import SamplerConfig
from al_agent.simulation.hidden import HiddenLabels
from al_agent.simulation.study import Measurement, Study, StudyResult
from al_agent.simulation.study.trainers import true_loss

N = 60
Vector = npt.NDArray[np.float64]


def line() -> HiddenLabels:
    features = np.arange(N, dtype=float)[:, None]
    labels = (features[:, 0] >= N / 2).astype(np.int64)
    return HiddenLabels(tuple(f"item_{n:02d}" for n in range(N)), features, labels, features + 0.5, labels)


class Share:
    """A model whose figure is the share of the pool it was trained on, and which is the surer the higher the feature."""

    def __init__(self, seen: Sequence[float]) -> None:
        self.seen = seen

    def predict_proba(self, x: Vector) -> Vector:
        certainty = 0.5 + x[:, :1] / (4 * N)
        return np.concatenate([certainty, 1 - certainty], axis=1)

    def score(self, x: Vector, y: npt.NDArray[np.int64]) -> float:
        return len(set(self.seen)) / N


class Notes:
    """A trainer that notes what it was given, and fails where it is told to."""

    def __init__(self, fail: Any = None) -> None:
        self.trained: list[tuple[tuple[float, ...], int]] = []
        self.fail = fail

    def __call__(self, features: Vector, labels: npt.NDArray[np.int64], seed: int) -> Share:
        assert (labels == (features[:, 0] >= N / 2)).all()  # the label of each item is its own
        self.trained.append((tuple(sorted(features[:, 0].tolist())), seed))
        if self.fail is not None:
            self.fail(len(self.trained))
        return Share(features[:, 0].tolist())


def small(trainer: Any, methods: Any = ("RANDOM", "UNCERTAINTY"), seeds: Sequence[int] = (0, 1), **others: Any) -> Study:
    return Study(line(), trainer, methods, n_start=6, n_per_round=5, n_rounds=3, seeds=seeds, trainer_name="small", **others)


def figures(result: StudyResult) -> list[tuple[str, int, int, int, float]]:
    return [(row.method, row.seed, row.round, row.n_labeled, row.figure) for row in result.rows]


def test_methods_share_start_and_training_seed_and_random_draws_distinct_items() -> None:
    notes = Notes()
    result = small(notes).run()
    assert [len(set(seen)) for seen, _ in notes.trained] == [6, 11, 16, 21] * 4  # distinct, without replacement
    random_0, uncertain_0, random_1, uncertain_1 = (notes.trained[4 * run : 4 * run + 4] for run in range(4))
    assert random_0[0] == uncertain_0[0]
    assert random_1[0] == uncertain_1[0]
    assert random_0[0] != random_1[0]
    assert [seed for _, seed in random_0] == [seed for _, seed in uncertain_0]
    assert len({seed for _, seed in random_0 + random_1}) == 8
    assert result.curves.run("RANDOM", 1).values.tolist() == [6 / N, 11 / N, 16 / N, 21 / N]
    assert (
        sorted(set(uncertain_0[1][0]) - set(uncertain_0[0][0]))
        == [x for x in range(N) if float(x) not in uncertain_0[0][0]][:5]
    )


def test_two_names_of_one_random_method_draw_independently_and_a_study_repeats_itself() -> None:
    methods = {"one": SamplerConfig(method="RANDOM"), "other": SamplerConfig(method="RANDOM")}
    notes, again = Notes(), Notes()
    small(notes, methods, seeds=[0]).run()
    small(again, methods, seeds=[0]).run()
    assert notes.trained[0] == notes.trained[4]
    assert notes.trained[1] != notes.trained[5]
    assert again.trained == notes.trained


def test_the_oracle_asks_for_what_the_model_is_most_wrong_about() -> None:
    notes = Notes()
    small(notes, ["ORACLE"], seeds=[0]).run()
    (start, _), (after, _) = notes.trained[:2]
    # the model says class 0 everywhere, and the surer the higher: the greatest loss is at the highest items, of class 1
    assert sorted(set(after) - set(start)) == [x for x in range(N) if float(x) not in start][-5:]


def test_a_class_that_the_model_does_not_know_has_the_greatest_loss() -> None:
    class Known(Share):
        classes_ = np.array([3, 7])

    losses = true_loss(Known([]), np.array([[0.25, 0.75]] * 3), np.array([7, 3, 5]))
    assert losses[:2].tolist() == [-math.log(0.75), -math.log(0.25)]
    assert losses[2] == -math.log(np.finfo(np.float64).tiny)


def test_a_trainer_that_raises_in_one_run_is_kept_with_its_reason_and_the_study_goes_on() -> None:
    def fail(n_trainings: int) -> None:
        if n_trainings == 3:  # the third of the first run
            raise RuntimeError("out of\nluck")

    result = small(Notes(fail)).run()
    assert result.failures == {("RANDOM", 0): "round 2, training: RuntimeError: out of luck"}
    values = result.curves.run("RANDOM", 0)
    assert values.budgets.tolist() == [6, 11, 16, 21]
    assert values.values[:2].tolist() == [6 / N, 11 / N]
    assert np.isnan(values.values[2:]).all()
    assert len(result.rows) == 16
    assert result.curves.diverged == (("RANDOM", 0, 16.0),)
    text = " ".join(result.summary().split())
    assert "note: RANDOM, seed 0 failed: round 2, training: RuntimeError: out of luck" in text
    assert "1 of 2 runs of RANDOM diverged" in text
    assert not math.isnan(result.curves.diverged_as(0.5).run("RANDOM", 0).values[3])


def test_a_figure_or_a_probability_that_is_nan_ends_a_run() -> None:
    class NanFigure(Share):
        def score(self, x: Vector, y: npt.NDArray[np.int64]) -> float:
            return math.nan

    class NanProbability(Share):
        def predict_proba(self, x: Vector) -> Vector:
            return np.full((len(x), 2), math.nan)

    wrong: dict[str, Any] = {"figure": NanFigure, "probability": NanProbability}
    failed = {
        name: small(lambda features, labels, seed, kind=kind: kind(features[:, 0].tolist()), seeds=[0]).run()
        for name, kind in wrong.items()
    }
    assert failed["figure"].failures[("RANDOM", 0)] == "round 0, testing: ValueError: the figure is nan"
    assert all(math.isnan(row.figure) for row in failed["figure"].rows)
    assert list(failed["probability"].failures) == [("UNCERTAINTY", 0)]  # RANDOM asks for none
    assert "round 0, scoring: ValueError: " in failed["probability"].failures[("UNCERTAINTY", 0)]
    assert failed["probability"].curves.run("UNCERTAINTY", 0).values[0] == 6 / N


def test_figures_do_not_depend_on_the_number_of_workers(tmp_path: Path) -> None:
    study = Study(line(), LogisticRegression(), ["RANDOM", "CORAL"], n_start=8, n_per_round=5, n_rounds=2, seeds=[0, 1])
    assert figures(study.run(tmp_path / "one")) == figures(study.run(tmp_path / "two", n_workers=2))
    assert figures(StudyResult.load(tmp_path / "one")) == figures(StudyResult.load(tmp_path / "two"))


def test_a_trainer_that_cannot_travel_is_said() -> None:
    with pytest.raises(ValueError, match=r"the trainer cannot be sent to other processes: .*n_workers=1"):
        small(lambda features, labels, seed: Share([])).run(n_workers=2)


def test_the_table_is_tidy_and_a_second_start_runs_only_what_is_missing(tmp_path: Path) -> None:
    first = small(Notes()).run(tmp_path)
    with (tmp_path / "study.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 16
    assert [rows[5][name] for name in ("method", "seed", "round", "n_labeled", "figure")] == [
        "RANDOM",
        "1",
        "1",
        "11",
        repr(11 / N),
    ]
    assert all(float(row["seconds_selecting"]) > 0 for row in rows if row["round"] != "3")
    kept = (tmp_path / "study.csv").read_text().splitlines(keepends=True)
    (tmp_path / "study.csv").write_text("".join(line for line in kept if not line.startswith("UNCERTAINTY,0,")))
    notes, done = Notes(), list[int]()
    second = small(notes).run(tmp_path, on_run=done.append)
    assert len(notes.trained) == 4
    assert done == [3, 1]
    assert figures(second) == figures(first)
    assert figures(StudyResult.load(tmp_path)) == figures(first)


def test_failed_runs_are_kept_over_a_restart(tmp_path: Path) -> None:
    def fail(n_trainings: int) -> None:
        if n_trainings == 1:
            raise ValueError('a "reason", with a comma')

    first = small(Notes(fail)).run(tmp_path)
    notes = Notes()
    second = small(notes).run(tmp_path)
    assert notes.trained == []
    assert second.failures == first.failures == {("RANDOM", 0): 'round 0, training: ValueError: a "reason", with a comma'}


def test_other_arguments_are_refused_naming_what_differs(tmp_path: Path) -> None:
    small(Notes()).run(tmp_path)
    before = (tmp_path / "study.csv").read_bytes()
    with pytest.raises(ValueError, match=r"other arguments: n_rounds was 3, now 2; give the same again, name another"):
        replace(small(Notes()), n_rounds=2).run(tmp_path)
    with pytest.raises(ValueError, match=r'other arguments: method of RANDOM was "RANDOM", now "CORESET"; give'):
        small(Notes(), {"RANDOM": SamplerConfig(method="CORESET")}).run(tmp_path)
    with pytest.raises(ValueError, match='trainer was "small", now "other"'):
        replace(small(Notes()), trainer_name="other").run(tmp_path)
    data = line()
    other = HiddenLabels(data.item_ids, data.features, 1 - data.labels, data.test_features, data.test_labels)
    with pytest.raises(ValueError, match="the data are others"):
        replace(small(Notes()), data=other).run(tmp_path)
    assert (tmp_path / "study.csv").read_bytes() == before
    assert json.loads((tmp_path / "study.json").read_text())["n_per_round"] == 5


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ("a,b\n1,2\n", r"line 1 is not of a study: its columns are a,b; expected method,seed"),
        (
            "method,seed,round,n_labeled,figure,seconds_training,seconds_scoring,seconds_selecting,error\nRANDOM,x\n",
            "line 2",
        ),
        (
            "method,seed,round,n_labeled,figure,seconds_training,seconds_scoring,seconds_selecting,error\n"
            "RANDOM,0,0,6,0.5,0,0,0,\n",
            r"the run of RANDOM with seed 0 has rounds \[0\]; expected each of 0 to 3 once",
        ),
        (
            "method,seed,round,n_labeled,figure,seconds_training,seconds_scoring,seconds_selecting,error\n"
            "CORAL,0,0,6,0.5,0,0,0,\n",
            "a run of 'CORAL' with seed 0, which is not in the study",
        ),
    ],
)
def test_a_table_that_is_not_ours_is_refused_and_left_alone(tmp_path: Path, table: str, message: str) -> None:
    small(Notes()).run(tmp_path)
    (tmp_path / "study.csv").write_text(table)
    with pytest.raises(ValueError, match=message):
        small(Notes()).run(tmp_path)
    assert (tmp_path / "study.csv").read_text() == table


def test_a_table_without_its_arguments_is_refused(tmp_path: Path) -> None:
    (tmp_path / "study.csv").write_text("mine\n")
    with pytest.raises(ValueError, match=r"has a study\.csv and no study\.json beside it"):
        small(Notes()).run(tmp_path)
    assert not (tmp_path / "study.json").exists()
    with pytest.raises(ValueError, match="holds no study"):
        StudyResult.load(tmp_path)


KILLED = """
import sys, time
sys.path[:0] = {path!r}
from sklearn.linear_model import LogisticRegression
from al_agent.simulation.digits import load_digits
from al_agent.simulation.study import Study

class Slow:
    def __call__(self, features, labels, seed):
        time.sleep({delay})
        return LogisticRegression(max_iter=1000).fit(features, labels)

if __name__ == "__main__":
    Study(
        load_digits(), Slow(), ["RANDOM", "CORAL"], n_start=20, n_per_round=10, n_rounds=1, seeds=[0, 1, 2],
        trainer_name="slow",
    ).run(sys.argv[1], n_workers=int(sys.argv[2]))
"""


def killed(delay: float) -> str:
    return KILLED.format(path=[path for path in sys.path if path] + [os.getcwd()], delay=delay)


@pytest.fixture(scope="module")
def left_alone(tmp_path_factory: pytest.TempPathFactory) -> StudyResult:
    """What the study finds that others are killed at."""
    folder = tmp_path_factory.mktemp("left-alone")
    (folder / "script.py").write_text(killed(delay=0))
    subprocess.run([sys.executable, "script.py", "study", "1"], cwd=folder, check=True)
    return StudyResult.load(folder / "study")


@pytest.mark.parametrize("n_workers", ["1", "2"])
def test_a_killed_study_goes_on_where_it_was(tmp_path: Path, n_workers: str, left_alone: StudyResult) -> None:
    table, script = tmp_path / "study" / "study.csv", tmp_path / "script.py"
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    script.write_text(killed(delay=0.3))
    words = [sys.executable, str(script), str(table.parent), n_workers]
    process = subprocess.Popen(words, env=environment)
    deadline = time.monotonic() + 120
    while not table.exists():
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    kept = table.read_text().splitlines()
    assert len(kept) - 1 in range(2, 11, 2)  # whole runs, and not all six
    script.write_text(killed(delay=0))
    subprocess.run(words, env=environment, check=True)
    after = table.read_text().splitlines()
    assert len(after) == 1 + 6 * 2
    assert set(kept) <= set(after)  # to the second that they took
    assert figures(StudyResult.load(table.parent)) == figures(left_alone)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"n_rounds": 11}, r"n_start 6 and 11 rounds of 5 ask for 61 labels, and the pool has 60 items"),
        ({"n_start": 0}, "n_start is 0; expected a whole number of at least 1"),
        ({"seeds": []}, r"seeds is \[\]; expected at least one"),
        ({"seeds": [1, 1]}, "each once"),
        ({"seeds": [-1]}, "a seed is -1"),
        ({"methods": ["RANDOM", "random"]}, "methods has RANDOM twice"),
        ({"methods": ["MAGIC"]}, "unknown sampling method 'MAGIC'"),
        ({"methods": "RANDOM"}, r"write \['RANDOM'\]"),
        ({"methods": []}, "methods is empty"),
        ({"methods": {"ORACLE": SamplerConfig(method="RANDOM")}}, "ORACLE is configured as RANDOM"),
        ({"trainer": LogisticRegression}, r"pass an estimator, LogisticRegression\(\)"),
        ({"trainer": 3}, "trainer is int; expected a function"),
    ],
)
def test_what_cannot_be_run_is_refused_before_anything_starts(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        replace(small(Notes()), **changes)


def table_of(curves: dict[str, list[list[float]]]) -> StudyResult:
    rows = [
        Measurement(method, seed, number, 10 * (number + 1), figure)
        for method, runs in curves.items()
        for seed, run in enumerate(runs)
        for number, figure in enumerate(run)
    ]
    return StudyResult(tuple(rows))


def runs(values: list[float], n_seeds: int = 5, noise: float = 0.001) -> list[list[float]]:
    return [[value + noise * seed * (-1) ** place for place, value in enumerate(values)] for seed in range(n_seeds)]


def test_the_summary_fits_80_columns_and_says_what_is_saved() -> None:
    result = table_of({"RANDOM": runs([0.4, 0.5, 0.6, 0.7]), "BATCH_UNCERTAINTY": runs([0.4, 0.6, 0.7, 0.8], noise=0.002)})
    text = result.summary()
    assert all(len(row) <= 80 for row in text.splitlines()), text
    row = next(row for row in text.splitlines() if row.startswith("BATCH_UNCERTAINTY"))
    assert row.split()[1:4] == ["0.7960", "±0.0039", "26%"]  # 0.698 is reached at 29.4 of 40 labels
    assert row.split()[-3:] == ["+0.0833", "±0.0000", "<0.001"]
    assert result.sentence().startswith(
        "Yes, on these data and with this model: BATCH_UNCERTAINTY is ahead of RANDOM by 0.0833 on average over the budgets "
        "(p <0.001, 5 seeds); labels saved on the way to RANDOM's final figure: 26%"
    )


def test_few_seeds_and_chance_are_said() -> None:
    few = table_of({"RANDOM": runs([0.4, 0.5], 2), "CORAL": runs([0.4, 0.6], 2)})
    assert few.sentence() == "Cannot be said: 2 seeds are too few; take 5 or more."
    assert "2 seeds are few" in few.summary()
    chance = table_of({"RANDOM": runs([0.4, 0.5]), "CORAL": [[0.4, value] for value in (0.4, 0.6, 0.5, 0.61, 0.41)]})
    assert "Not shown: CORAL is ahead of RANDOM" in chance.sentence()
    worse = table_of({"RANDOM": runs([0.4, 0.6]), "CORAL": runs([0.4, 0.5]), "ORACLE": runs([0.4, 0.9])})
    assert worse.sentence() == "No: no method is ahead of RANDOM on average over the budgets, in 5 seeds."
    assert table_of({"CORAL": runs([0.4, 0.5])}).sentence() == "Cannot be said: RANDOM is not in the study, which has CORAL."


def test_a_method_that_is_ahead_for_sure_is_named_before_one_that_is_farther_ahead_by_chance() -> None:
    sure = [[0.4, 0.5 + gain] for gain in (0.04, 0.041, 0.039, 0.04, 0.042)]
    wild = [[0.4, 0.5 + gain] for gain in (0.3, -0.1, 0.2, -0.05, 0.1)]
    said = table_of({"RANDOM": [[0.4, 0.5]] * 5, "UNCERTAINTY": sure, "CORAL": wild}).sentence()
    assert said.startswith("Yes, on these data and with this model: UNCERTAINTY is ahead of RANDOM by 0.0202")
    assert "corrected for 2 methods" in said


def test_the_best_of_several_has_its_p_value_corrected() -> None:
    good = [[0.4, 0.5 + gain] for gain in (0.01, 0.02, 0.03, 0.05, 0.01)]
    same = [[0.4, 0.5 + gain] for gain in (0.001, -0.001, 0.002, -0.002, 0.0)]
    base = [[0.4, 0.5]] * 5
    assert table_of({"RANDOM": base, "A": good}).sentence().startswith("Yes, ")
    many = table_of({"RANDOM": base, "A": good, "B": same, "C": same}).sentence()
    assert many.startswith("Not shown: A is ahead")
    assert "corrected for 3 methods" in many
