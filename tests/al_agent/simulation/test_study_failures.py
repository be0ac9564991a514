"""Runs that fail are told together, run again when asked, and arguments that cannot be are refused in words."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from al_agent.simulation.hidden import HiddenLabels
from al_agent.simulation.study import Measurement, Study, StudyResult

Array = npt.NDArray[Any]
N = 30


class Half:
    def predict_proba(self, x: Array) -> Array:
        return np.full((len(x), 2), 0.5)

    def score(self, x: Array, y: Array) -> float:
        return 0.5


class Sick:
    """A trainer that fails with as many labels as said, until it is mended."""

    def __init__(self, *n_labels: int) -> None:
        self.n_labels = n_labels
        self.n = 0

    def __call__(self, features: Array, labels: Array, seed: int) -> Half:
        self.n += 1
        if len(features) in self.n_labels:
            raise RuntimeError("no memory")
        return Half()


def data(name: str = "{:02d}") -> HiddenLabels:
    x, y = np.arange(float(N))[:, None], np.arange(N) % 2
    return HiddenLabels(tuple(map(name.format, range(N))), x, y, x, y)


def study(trainer: Any, methods: Any = ("RANDOM", "UNCERTAINTY"), seeds: Any = (0, 1)) -> Study:
    return Study(data(), trainer, methods, n_start=4, n_per_round=3, n_rounds=2, seeds=seeds, trainer_name="one")


def test_runs_that_failed_stay_so_until_they_are_asked_for_again(tmp_path: Path) -> None:
    sick = study(Sick(10)).run(tmp_path)
    assert set(sick.failures) == {(method, seed) for method in ("RANDOM", "UNCERTAINTY") for seed in (0, 1)}
    mended = Sick()
    assert study(mended).run(tmp_path).failures == sick.failures
    assert mended.n == 0
    one = study(mended, ["RANDOM"], [1]).run(tmp_path, retry_failed=True)
    assert (mended.n, one.failures) == (3, {})
    assert set(StudyResult.load(tmp_path).failures) == set(sick.failures) - {("RANDOM", 1)}
    assert study(mended).run(tmp_path, retry_failed=True).failures == {}
    assert mended.n == 3 * 4
    assert StudyResult.load(tmp_path).failures == {}


def test_what_was_to_be_run_again_and_was_not_reached_is_still_missing_after_a_stop(tmp_path: Path) -> None:
    study(Sick(10)).run(tmp_path)

    def stop(_: int) -> None:
        if len(StudyResult.load(tmp_path).rows) == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        study(Sick()).run(tmp_path, retry_failed=True, on_run=stop)
    again = Sick()
    assert study(again).run(tmp_path).failures == {}
    assert again.n == 3 * 3


def test_runs_that_failed_alike_are_one_note() -> None:
    text = " ".join(study(Sick(10), seeds=range(3)).run().summary().split())
    assert "note: RANDOM, seeds 0, 1, 2 failed: round 2, training: RuntimeError: no memory" in text
    assert "note: UNCERTAINTY, seeds 0, 1, 2 failed: round 2, training: RuntimeError: no memory" in text
    assert text.count("no memory") == 2


def test_a_trainer_that_never_works_is_said_to_be_so() -> None:
    result = study(lambda features, labels: Half()).run()
    assert result.sentence().startswith(
        "Cannot be said: every run failed at its start; RANDOM, seeds 0, 1 failed: round 0, training: TypeError: "
    )
    lines = result.summary().splitlines()
    assert lines[0] == "Nothing was measured: every run failed at its start."
    assert all(len(line) <= 80 for line in lines)
    assert " ".join(lines).count("takes 2 positional arguments but 3 were given") == 2
    assert result.best() is None


def test_nothing_is_said_of_a_comparison_that_is_not_made() -> None:
    rows = [Measurement(name, seed, k, 10 + k, 0.5) for name in ("A", "B") for seed in range(5) for k in (0, 1)]
    text = StudyResult(tuple(rows)).summary()
    assert "Gain of area:" not in text
    assert "note: RANDOM is not in the study: nothing to compare with" in text
    alone = StudyResult(tuple(row for row in rows if row.method == "A"))
    assert alone.sentence() == "Cannot be said: RANDOM is not in the study, which has A."
    assert "note: 1 seed is few" in StudyResult(tuple(row for row in rows if row.seed == 0)).summary()


def test_numbers_of_numpy_are_seeds_and_what_is_none_is_named() -> None:
    assert study(Sick(), seeds=np.arange(3)).seeds == (0, 1, 2)
    assert type(study(Sick(), seeds=np.arange(3)).seeds[2]) is int
    for seeds, message in (
        (5, r"5; expected several, such as range\(5\)"),
        ([True], "a seed is True"),
        ([], "at least one"),
    ):
        with pytest.raises(ValueError, match=message):
            study(Sick(), seeds=seeds)
    with pytest.raises(ValueError, match="a method is None; expected its name, such as 'RANDOM'"):
        study(Sick(), methods=[None])


def test_items_may_be_named_as_files_of_the_current_folder_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "cats").mkdir()
    (tmp_path / "cats" / "00.png").touch()
    monkeypatch.chdir(tmp_path)
    named = Study(data("cats/{:02d}.png"), Sick(), ["RANDOM"], n_start=4, n_per_round=3, n_rounds=2, seeds=[0])
    assert [row.n_labeled for row in named.run().rows] == [4, 7, 10]


@pytest.mark.parametrize("name", ["/data/{}.png", "./{}", "a//{}", "../{}", "{}/", "a/./{}"])
def test_an_id_that_no_project_can_have_is_refused_before_a_study(name: str) -> None:
    with pytest.raises(ValueError, match=r"the id '.*0.*' cannot name an item of a local project.*such as 'cats/1\.png'"):
        data(name)


@pytest.mark.parametrize("name", ["a..b/{}", ".{}", "a b/{}.", "...{}"])
def test_dots_in_names_are_names(name: str) -> None:
    assert data(name).item_ids[1] == name.format(1)


def test_a_file_in_the_place_of_the_folder_is_named(tmp_path: Path) -> None:
    (tmp_path / "notes").write_text("mine")
    for folder in (tmp_path / "notes", tmp_path / "notes" / "below"):
        with pytest.raises(NotADirectoryError, match=r"notes' is a file; expected a folder for the study"):
            study(Sick()).run(folder)


def test_a_table_that_was_cut_says_what_to_do_and_is_left_alone(tmp_path: Path) -> None:
    study(Sick()).run(tmp_path)
    cut = (tmp_path / "study.csv").read_bytes()[:-20]
    (tmp_path / "study.csv").write_bytes(cut)
    with pytest.raises(ValueError, match="expected 10; mend the table, or remove it, and every run is run again"):
        study(Sick()).run(tmp_path)
    assert (tmp_path / "study.csv").read_bytes() == cut


def test_names_of_classes_are_refused_with_the_way_to_number_them() -> None:
    x = np.zeros((2, 1))
    with pytest.raises(ValueError, match=r"labels holds values of type <U3; .* number classes by numpy\.unique"):
        HiddenLabels(("a", "b"), x, np.array(["cat", "dog"]), x, np.array([0, 1]))
