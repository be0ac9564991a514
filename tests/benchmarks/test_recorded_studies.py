"""The recorded studies: their data and heads, one of them run small, and what is told of them counted by hand."""

from __future__ import annotations

import doctest
import io
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import against_random
import numpy as np
import numpy.typing as npt
import pytest
import recorded as recorded_studies
from against_random import compare, points, saved, study_table
from heads import Mlp, gradients
from overall import against_random_table, harm_of, win_rows
from PIL import Image
from recorded import Recorded, find_studies, thirds
from run_studies import run
from small_multiples import draw_small_multiples
from stopping import WAYS, replayed, rule_by_worth, table
from tell import told
from vector_data import PROBABILITIES, VECTORS, NotHere, duplicates, imbalanced, log_probabilities, real_probabilities
from vector_studies import PLANS, Plan, methods

from al_agent import SamplingMethod
from al_agent.simulation.figures import Curve
from al_agent.simulation.hidden import HiddenLabels
from al_agent.simulation.stopping import PowerLaw, stop_by_worth
from al_agent.simulation.study import Measurement, Study, StudyResult
from al_agent.simulation.study.labeled_vectors import LogisticTrainer, Scale

PACKS = Path(__file__).resolve().parents[2].parent / "shared" / "data"
with_vectors = pytest.mark.skipif(not (PACKS / VECTORS).exists(), reason=f"{VECTORS} is not there")
with_probabilities = pytest.mark.skipif(not (PACKS / PROBABILITIES).exists(), reason=f"{PROBABILITIES} is not there")

Vector = npt.NDArray[np.float64]


def recorded(curves: Mapping[str, Callable[[int, int], float]], n_seeds: int = 5, n_rounds: int = 6) -> Recorded:
    """A study of 10, 20, ... labels, whose figures are functions of seed and round."""
    rows = [
        Measurement(method, seed, number, 10 + 10 * number, figure(seed, number), amounts={"classes": 2.0})
        for method, figure in curves.items()
        for seed in range(n_seeds)
        for number in range(n_rounds + 1)
    ]
    return Recorded("made_up", StudyResult(tuple(rows)))


def noise(seed: int, number: int) -> float:
    return float(np.random.default_rng([seed, number]).normal(0, 0.001))


def random(seed: int, number: int) -> float:
    return 0.4 + 0.05 * number + noise(seed, number)


def ahead(seed: int, number: int) -> float:
    """Twice as fast."""
    return 0.4 + 0.1 * number + noise(seed + 100, number)


def behind(seed: int, number: int) -> float:
    """Below from the third round on."""
    return random(seed, number) - (0.03 + noise(seed + 200, number) if number > 2 else 0.0)


def test_the_slope_of_a_committee_is_that_of_finite_differences() -> None:
    rng = np.random.default_rng(0)
    shapes = [(2, 3, 5), (2, 1, 5), (2, 5, 4), (2, 1, 4)]
    parameters = [rng.normal(size=shape) for shape in shapes]
    x, y = rng.normal(size=(6, 3)), rng.integers(0, 4, 6)

    def loss() -> float:
        """The sum over members of their mean cross-entropy, one member at a time."""
        found = 0.0
        for first, first_bias, second, second_bias in zip(*parameters):
            logits = np.maximum(x @ first + first_bias, 0) @ second + second_bias
            found += float(np.mean(np.log(np.exp(logits).sum(axis=1)) - logits[np.arange(6), y]))
        return found

    slopes = gradients(parameters, x, np.eye(4)[y])  # type: ignore[arg-type]  # float64, for exact differences
    for values, slope in zip(parameters, slopes):
        for place in np.ndindex(values.shape):
            values[place] += 1e-6
            above = loss()
            values[place] -= 2e-6
            assert slope[place] == pytest.approx((above - loss()) / 2e-6, abs=1e-7)
            values[place] += 1e-6


def two_blobs(n: int, seed: int, n_dimensions: int = 4) -> tuple[Vector, npt.NDArray[np.int64]]:
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 2, n)
    return 2.0 * y[:, None] + rng.normal(size=(n, n_dimensions)), y


def test_a_committee_learns_gives_every_class_a_column_and_follows_its_seed() -> None:
    x, y = two_blobs(80, 0)
    test_x, test_y = two_blobs(400, 1)
    trainer = Mlp(x, n_classes=3)
    model = trainer(x, y, seed=1)
    found = model.predict_proba(test_x)
    assert found.shape == (400, 10, 3)
    np.testing.assert_allclose(found.sum(axis=2), 1, atol=1e-6)
    assert model.score(test_x, test_y) > 0.95
    assert model.score(test_x, test_y) == np.mean(found.mean(axis=1).argmax(axis=1) == test_y)
    assert found[:, :, 2].mean() < 0.05
    assert found.std(axis=1).max() > 0.05
    np.testing.assert_array_equal(trainer(x, y, seed=1).predict_proba(test_x), found)
    assert np.abs(trainer(x, y, seed=2).predict_proba(test_x) - found).max() > 0.05


def test_the_linear_head_says_the_only_class_that_it_was_shown() -> None:
    x, y = two_blobs(80, 0)
    model = LogisticTrainer(Scale.of(x))(x[:3], np.array([1, 1, 1]), seed=0)
    np.testing.assert_array_equal(model.predict_proba(x[:2]), [[1.0], [1.0]])
    assert model.classes_.tolist() == [1]
    assert model.score(x, y) == np.mean(y == 1)


def test_linear_weights_shrink_with_the_strength_of_labels() -> None:
    x, y = two_blobs(80, 0)
    trainers = (LogisticTrainer(Scale.of(x), strength) for strength in (1.0, 0.001))
    sure, unsure = (trainer(x, y, seed=0).predict_proba(x).max(axis=1).mean() for trainer in trainers)
    assert sure > 0.9
    assert unsure < 0.6


def test_probabilities_of_zero_and_sums_off_one_have_finite_logarithms_that_sum_to_one() -> None:
    found = log_probabilities([[1.0, 0.0, 0.0], [0.5, 0.3, 0.20002]])
    np.testing.assert_allclose(np.exp(found).sum(axis=1), 1, rtol=1e-12)
    assert found[0, 1] == pytest.approx(np.log(1e-6), abs=1e-5)
    assert np.exp(found[1, 0]) == pytest.approx(0.5 / 1.00002)


def test_real_probabilities_are_split_in_halves_with_their_labels(tmp_path: Path) -> None:
    labels = np.arange(9, dtype=np.uint8) % 3
    content = io.BytesIO()
    np.savez(content, probs=np.eye(3)[labels], labels=labels)
    with zipfile.ZipFile(tmp_path / PROBABILITIES, "w") as archive:
        archive.writestr("imdb_test.npz", content.getvalue())
    data = real_probabilities(tmp_path, "imdb")
    assert (len(data.item_ids), len(data.test_labels)) == (4, 5)
    np.testing.assert_array_equal(data.features.argmax(axis=1), data.labels)
    rows = [int(name.removeprefix("imdb_")) for name in data.item_ids]
    np.testing.assert_array_equal(labels[rows], data.labels)


def test_a_pack_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(NotHere, match=f"has no {PROBABILITIES}; name the folder that holds it with --data"):
        real_probabilities(tmp_path, "imdb")


@with_vectors
def test_three_classes_are_rare_in_the_pool_and_none_in_the_test_set() -> None:
    data = imbalanced(PACKS)
    counts = np.bincount(data.labels)
    assert counts.sum() == 10_000
    assert counts[[0, 3, 6]].tolist() == [100, 100, 100]
    assert set(counts.tolist()) == {100, 1385, 1386}
    assert np.bincount(data.test_labels).tolist() == [400] * 10


@with_vectors
def test_copies_are_five_near_each_original_and_of_its_class() -> None:
    data = duplicates(PACKS)
    assert data.groups is not None
    assert np.bincount(data.groups).tolist() == [5] * 2_000
    order = np.argsort(data.groups, kind="stable").reshape(2_000, 5)
    vectors, labels = data.features[order], data.labels[order]
    assert (labels == labels[:, :1]).all()
    moved = np.linalg.norm(vectors - vectors.mean(axis=1, keepdims=True), axis=2)
    strangers = np.linalg.norm(vectors[1:, 0] - vectors[:-1, 0], axis=1)
    # off the mean of five copies, whose own noise takes a fifth of the square away
    assert np.sqrt((moved**2).mean() / 0.8) == pytest.approx(0.01 * np.median(strangers), rel=0.02)


@with_probabilities
@pytest.mark.parametrize(("name", "n_pool", "n_test", "n_classes"), [("20news", 3766, 2500, 20), ("imdb", 5000, 2500, 2)])
def test_real_packs_are_read_whole(name: str, n_pool: int, n_test: int, n_classes: int) -> None:
    data = real_probabilities(PACKS, name)
    assert (len(data.item_ids), len(data.test_labels), data.features.shape[1]) == (n_pool, n_test, n_classes)
    assert np.mean(data.features.argmax(axis=1) == data.labels) > 0.88


def test_every_method_is_in_a_study_but_for_what_its_head_or_its_size_rules_out() -> None:
    every = {*map(str, SamplingMethod), "ORACLE"}
    assert every - set(methods(is_committee=False, is_slow=False)) == {"BALD", "BATCH_BALD"}
    assert every - set(methods(is_committee=True, is_slow=True)) == {"BADGE", "DISCRIMINATIVE"}
    assert "DISCRIMINATIVE" in PLANS["digits_cold"].study(Path(), [0]).methods
    assert "DISCRIMINATIVE" not in PLANS["digits_warm"].study(Path(), [0]).methods


def test_cold_studies_ask_for_one_to_eleven_labels_per_class_and_warm_ones_begin_with_twenty() -> None:
    assert len(PLANS) == 16
    for name in ("digits_cold", "digits_warm"):
        study = PLANS[name].study(Path(), [0])
        expected = (10, 10, 10) if name == "digits_cold" else (200, 50, 10)
        assert (study.n_start, study.n_per_round, study.n_rounds) == expected


def tiny(_: Path) -> HiddenLabels:
    x, y = two_blobs(60, 0, 32)  # with fewer than 30 dimensions DISCRIMINATIVE takes a minute
    test_x, test_y = two_blobs(50, 1, 32)
    return HiddenLabels(tuple(map(str, range(60))), x, y, test_x, test_y, groups=np.arange(60) // 3)


def test_a_study_of_every_method_runs_resumes_and_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    plan = Plan(tiny, n_classes=2, n_per_round=2, strength=1.0, is_warm=False, n_rounds=3)
    run("tiny", plan, None, tmp_path / "in" / "tiny", (2, 3), 1)
    assert "tiny: done in" in (said := capsys.readouterr().out)
    assert "0 runs failed" in said
    written = (tmp_path / "in" / "tiny" / "study.csv").read_bytes()
    run("tiny", plan, None, tmp_path / "in" / "tiny", (2, 3), 1)
    assert (tmp_path / "in" / "tiny" / "study.csv").read_bytes() == written

    (tmp_path / "in" / "broken").mkdir()
    (tmp_path / "in" / "broken" / "study.json").write_text("{}")
    studies, notes = find_studies(tmp_path)
    assert [study.name for study in studies] == ["in/tiny"]
    assert len(studies[0].curves.seeds("RANDOM")) == 3
    assert len(studies[0].curves.seeds("CORAL")) == 2
    assert len(notes) == 1
    assert notes[0].startswith("in/broken is left out: ")
    lines = told(studies, notes, "CORAL")
    assert "### in/tiny" in lines
    assert sum(line.startswith("| CORAL | ") for line in lines) == 2  # over all studies, and in its own
    header = next(line for line in lines if line.startswith("| method | at 4 | at 6 | at 8 | "))
    assert header.endswith("duplicates at 8 |")

    draw_small_multiples(tmp_path / "curves.png", studies, ["CORAL", "NOT_THERE", "ORACLE"])
    with Image.open(tmp_path / "curves.png") as picture:
        assert picture.format == "PNG"
        assert np.ptp(np.asarray(picture.convert("L"))) > 200


def test_a_study_without_its_pack_is_left_out_by_name(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run("mnist_cold", PLANS["mnist_cold"], tmp_path, tmp_path / "mnist_cold", (2, 2), 1)
    assert f"mnist_cold: left out, '{tmp_path}' has no {PROBABILITIES}" in capsys.readouterr().out
    assert not (tmp_path / "mnist_cold").exists()


def test_a_folder_without_a_study_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"holds no study: there is no study.json in it or below it"):
        find_studies(tmp_path)


def test_a_study_that_one_seed_has_finished_is_left_out_and_says_so(tmp_path: Path) -> None:
    Study(tiny(Path()), LogisticTrainer(Scale.of(tiny(Path()).features)), ["RANDOM"], 4, 4, 2, [0], trainer_name="one").run(
        tmp_path / "few"
    )
    assert find_studies(tmp_path) == (
        [],
        ["few is left out: 1 seeds are finished by all of its methods; expected 2 or more"],
    )


def test_a_method_is_counted_against_random_at_each_budget_after_the_start() -> None:
    study = recorded({"RANDOM": random, "AHEAD": ahead, "BEHIND": behind})
    fast, slow = compare(study, "AHEAD"), compare(study, "BEHIND")
    assert (fast.n_better, fast.n_worse, slow.n_better, slow.n_worse) == (6, 0, 0, 4)
    assert fast.saving.share.value == pytest.approx(1 - 40 / 70, abs=0.01)  # 0.7 after 3 rounds instead of 6
    assert slow.saving.share.value is None
    lines = study_table(study, [fast, slow])
    assert lines[0].startswith("| method | at 30 | at 40 | at 70 | labels saved | gain of area | p | worse at |")
    assert [line.split(" | ")[0] for line in lines[2:]] == ["| RANDOM", "| AHEAD", "| BEHIND"]
    assert lines[4].endswith("| 4 of 6 |")
    assert "| not reached" in lines[4]


def test_what_a_study_counts_beside_labels_is_saved_by_its_own_curves() -> None:
    study = recorded({"RANDOM": random, "AHEAD": ahead})
    boxes = {"RANDOM": 3.0, "AHEAD": 6.0}  # to each label
    rows = [replace(row, amounts={"boxes": boxes[row.method] * row.n_labeled}) for row in study.result.rows]
    study = Recorded("boxes", StudyResult(tuple(rows)))
    one = compare(study, "AHEAD")
    assert one.saving.share.value == pytest.approx(1 - 40 / 70, abs=0.01)
    assert one.savings["boxes"].share.value == pytest.approx(1 - 240 / 210, abs=0.02)
    lines = study_table(study, [one])
    assert lines[0].endswith("| worse at | boxes saved | boxes at 70 |")
    assert lines[2].endswith("| 210 |")
    assert lines[3].endswith("| 420 |")


def test_seeds_that_only_random_has_are_left_out_of_a_pair() -> None:
    study = recorded({"RANDOM": random, "AHEAD": ahead})
    fewer = [row for row in study.result.rows if row.method == "RANDOM" or row.seed < 3]
    compared = compare(Recorded("fewer", StudyResult(tuple(fewer))), "AHEAD")
    assert compared.area.n_seeds == 3
    assert compared.saving.n_seeds == 3


def test_harm_is_told_with_what_chance_would_do_and_the_worst_budget() -> None:
    study = recorded({"RANDOM": random, "AUTO": behind})
    lines = harm_of("AUTO", [compare(study, "AUTO")])
    assert lines[0] == "| study | round 1 | round 2 | round 3 | round 4 | round 5 | round 6 | labels saved |"
    cells = lines[2].split(" | ")
    assert cells[:3] == ["| made_up", "+0.0 ±0.0", "+0.0 ±0.0"]
    assert all(cell.startswith(("-3.0", "-2.9", "-3.1")) for cell in cells[3:7])
    assert all(cell.endswith("!") for cell in cells[3:7])
    assert lines[-1].startswith(
        "Of 6 budgets in 1 studies, AUTO is significantly worse than RANDOM at 4 and better at 0; were they alike, chance "
        "would make about 0 of each. 4 are worse at 5% over all budgets together (Bonferroni). The worst: -3."
    )
    assert lines[-1].endswith(
        "Labels saved in the median study: not reached; - where RANDOM's end is reached, which it is not in 1."
    )
    assert harm_of("CORAL", []) == ["No study has CORAL."]


def test_all_studies_are_told_by_medians_in_which_not_reached_is_the_least() -> None:
    studies = [
        replace(recorded({"RANDOM": random, "A": curve}), name=name)
        for name, curve in (("one", ahead), ("two", behind), ("three", ahead))
    ]
    lines = against_random_table([compare(study, "A") for study in studies])
    cells = [cell.strip() for cell in lines[2].strip("|").split("|")]
    assert cells[:6] == ["A", "3", "67%", "22%", "2", "1"]  # 12 and 4 of 18 budgets
    assert cells[7:] == ["43%", "43% to 43%", "1"]


def test_wins_are_shares_of_the_budgets_over_the_studies_that_have_both() -> None:
    first = recorded({"RANDOM": random, "A": ahead})
    second = recorded({"RANDOM": random, "A": behind, "B": ahead})
    lines = win_rows([first, second])
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]
    assert rows[0] == ["1", "RANDOM", "", "33", "0", "17", "75"]  # ahead of A at 4 of 6 budgets in one of two studies
    assert rows[1] == ["2", "A", "50", "", "0", "25", "67"]
    assert rows[2] == ["3", "B", "100", "100", "", "100", "0"]


@pytest.mark.parametrize(
    ("budgets", "expected"),
    [(range(10, 120, 10), (40.0, 60.0, 110.0)), ([5, 6], (5.0, 5.0, 6.0)), ([0, 1, 2, 3, 4, 5, 6], (2.0, 3.0, 6.0))],
)
def test_thirds_are_rounds_that_were_measured(budgets: list[float], expected: tuple[float, ...]) -> None:
    assert thirds(budgets) == expected


def test_their_examples_are_true() -> None:
    for module, n_examples in ((against_random, 4), (recorded_studies, 1)):
        assert doctest.testmod(module, optionflags=doctest.ELLIPSIS) == (0, n_examples)


def test_figures_are_told_in_points_with_half_their_interval() -> None:
    assert points(0.5, 0.4, 0.6) == "50.0 ±10.0"
    assert saved(compare(recorded({"RANDOM": random, "B": behind}), "B").saving) == "not reached"


@pytest.mark.parametrize("is_bold", [False, True])
def test_the_replayed_rule_decides_as_the_shipped_one(is_bold: bool) -> None:
    n = np.arange(10.0, 120.0, 10.0)
    decisions = set()
    for seed in range(4):
        curve = Curve(n, PowerLaw(0.8, 1.5, 0.5).at(n) + np.random.default_rng(seed).normal(0, 0.01, len(n)))
        for price in (0.01, 0.05, 0.1, 0.3):
            shipped = stop_by_worth(value_per_point=1, cost_per_label=price, is_bold=is_bold)
            for end in (4, 7, 11):
                so_far = Curve(n[:end], curve.values[:end])
                decision = rule_by_worth(price, is_bold=is_bold)(so_far, 10)
                assert decision is shipped(so_far, 10)
                decisions.add(decision)
    assert len(decisions) > 1


def test_advice_on_curves_without_noise_stops_where_randoms_next_label_is_worth_its_price() -> None:
    law = PowerLaw(0.9, 2.0, 0.5)
    study = recorded({"RANDOM": lambda seed, number: float(law.at([10 + 10 * number])[0])}, n_rounds=30)
    priced = replayed(study, is_bold=False)
    assert [one.way for one in priced] == list(WAYS)
    for one in priced:
        at = 10 + one.way * 300
        assert one.points_per_100 == pytest.approx(1e4 * 2.0 * 0.5 * at**-1.5, rel=1e-3)
        assert (len(one.runs), one.n_runs) == (5, 5)
        assert all(run.has_stopped and abs(run.best_at - at) <= 10 and run.late == 0 for run in one.runs)
    lines = table(priced)
    assert lines[-1] == "| **all** | any |  | 15 of 15 | 100% | 100% | 100% | 0% | 0% | +0% | 0.0% | 0.0% |"


def test_runs_whose_best_stop_is_an_end_are_counted_and_left_out() -> None:
    study = recorded({"RANDOM": lambda seed, number: 0.9 - 2.0 * (10 + 10 * number) ** -0.5, "LINE": random}, n_rounds=12)
    for one in replayed(study, ["RANDOM", "LINE"], is_bold=True):
        assert one.n_runs == 10
        assert {run.method for run in one.runs} == {"RANDOM"}
