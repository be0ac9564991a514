"""Studies run any task, committees too, and count what labels take beside images."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from al_agent import AtMost, DetectionPredictions, Diversity, SamplerConfig, ScorerObjectDetection, Scores
from al_agent.simulation.hidden import HiddenLabels
from al_agent.simulation.study import Measurement, Study, StudyResult
from al_agent.simulation.study.one_run import start_of

Array = npt.NDArray[Any]

N = 40
IDS = tuple(f"item_{n:02d}" for n in range(N))
X = np.arange(N, dtype=float)[:, None]
Y = (X[:, 0] >= N / 2).astype(np.int64)


class Base:
    """A model whose figure is the number of labels it was trained on."""

    def __init__(self, n_labels: int) -> None:
        self.n_labels = n_labels

    def score(self, x: Array, y: Array) -> float:
        return self.n_labels / N


def trained(kind: Any, seen: list[Array] | None = None) -> Any:
    def trainer(features: Array, labels: Array, seed: int) -> Any:
        if seen is not None:
            seen.append(features[:, 0] if features.ndim == 2 else features[:, 0, 0, 0])
        return kind(len(labels))

    return trainer


def study(data: HiddenLabels, trainer: Any, methods: Any, **others: Any) -> Study:
    return Study(data, trainer, methods, **{"n_start": 5, "n_per_round": 4, "n_rounds": 2, "seeds": [0], **others})


def classes(**others: Any) -> HiddenLabels:
    return HiddenLabels(IDS, X, Y, X + 0.5, Y, **others)


def start(seed: int = 0) -> set[int]:
    return set(start_of(seed, N, 5).tolist())


def picked(seen: list[Array]) -> list[int]:
    """What the first round picked."""
    return sorted(set(seen[1].astype(int).tolist()) - set(seen[0].astype(int).tolist()))


class Committee(Base):
    """Two members that agree the less, the higher the feature; their mean is a tie everywhere."""

    def predict_proba(self, x: Array) -> Array:
        apart = x[:, 0] / (2 * N)
        one = np.stack([0.5 + apart, 0.5 - apart], axis=1)
        return np.stack([one, one[:, ::-1]], axis=1)


class Single(Base):
    def predict_proba(self, x: Array) -> Array:
        return np.full((len(x), 2), 0.5)


@pytest.mark.parametrize("method", ["BALD", "UNCERTAINTY"])
def test_a_committee_is_asked_where_its_members_disagree(method: str) -> None:
    seen: list[Array] = []
    result = study(classes(), trained(Committee, seen), [method]).run()
    assert result.failures == {}
    assert picked(seen) == [row for row in range(N) if row not in start()][-4:]


def test_a_committee_runs_every_method_of_probabilities_and_its_oracle_reads_the_mean() -> None:
    result = study(classes(), trained(Committee), ["BATCH_BALD", "BADGE", "ORACLE", "PROTOTYPES", "CLUSTER_MARGIN"]).run()
    assert result.failures == {}
    assert result.curves.methods == ("BATCH_BALD", "BADGE", "ORACLE", "PROTOTYPES", "CLUSTER_MARGIN")


def test_one_model_where_a_committee_is_needed_is_a_run_that_failed_and_says_what_to_give() -> None:
    result = study(classes(), trained(Single), ["RANDOM", "BALD"]).run()
    assert list(result.failures) == [("BALD", 0)]
    assert result.failures["BALD", 0] == (
        "round 0, scoring: ValueError: BALD compares the members of a committee, and predict_proba gives (35, 2); let it "
        "give (n, t, c) of t members"
    )


def test_a_model_that_predicts_nothing_runs_random_and_is_named_where_a_method_ranks() -> None:
    result = study(classes(), trained(Base), ["RANDOM", "CORESET", "UNCERTAINTY", "ORACLE"]).run()
    assert list(result.failures) == [("UNCERTAINTY", 0), ("ORACLE", 0)]
    assert "Base has neither predict_proba(x) nor scorer(item_ids, x)" in result.failures["UNCERTAINTY", 0]
    assert "let Base have true_loss(x, y)" in result.failures["ORACLE", 0]


class Classes(Base):
    """It sees features below 8 as one class and the others as another, and is the less sure the lower they are."""

    def predict_proba(self, x: Array) -> Array:
        sure = 0.5 + (1 + x[:, 0]) / (4 * N)
        first = np.where(x[:, 0] < 8, 1 - sure, sure)
        return np.stack([first, 1 - first], axis=1)


def test_prototypes_pass_over_look_alikes_of_the_class_that_the_model_sees() -> None:
    alike = np.ones((N, 2))
    config = SamplerConfig(method="PROTOTYPES")
    seen: list[Array] = []
    study(classes(embeddings=alike), trained(Classes, seen), {"PROTOTYPES": config}, n_per_round=2).run()
    rest = [row for row in range(N) if row not in start()]
    assert picked(seen) == [0, 8]  # the least sure of each class, as all look alike
    assert rest[:2] == [0, 1]


def boxes() -> HiddenLabels:
    """Images of `row % 3` boxes, each of one pixel that holds the row."""
    images = np.zeros((N, 3, 2, 2), dtype=np.uint8)
    images[:] = np.arange(N)[:, None, None, None]
    labels = np.full((N, 2, 5), math.nan)
    for row in range(N):
        labels[row, : row % 3] = [0, 0, 1, 1, row]
    n_boxes = np.arange(N) % 3
    return HiddenLabels(
        *(IDS, images, labels, images[:4], labels[:4]),
        embeddings=X,
        amounts={"boxes": n_boxes, "seconds": 2.5 * n_boxes + 0.1},
    )


class Detector(Base):
    """One box of class 0 in each image, the less sure the higher the image's row."""

    def scorer(self, item_ids: Sequence[str], x: Array) -> ScorerObjectDetection:
        rows = x[:, 0, 0, 0].astype(float)
        assert list(item_ids) == [IDS[int(row)] for row in rows]
        n = len(rows)
        predictions = DetectionPredictions(
            item_ids, np.tile([0.0, 0.0, 1.0, 1.0], (n, 1)), 1 - rows / (2 * N), np.zeros(n, dtype=int), np.arange(n + 1)
        )
        return ScorerObjectDetection(predictions)

    def true_loss(self, x: Array, y: Array) -> Array:
        assert y.shape[1:] == (2, 5)
        return np.asarray(-x[:, 0, 0, 0].astype(float))


def test_a_detector_learns_from_its_boxes_and_is_scored_by_a_scorer_of_its_own() -> None:
    seen: list[Array] = []

    def trainer(features: Array, labels: Array, seed: int) -> Detector:
        seen.append(features[:, 0, 0, 0])
        for row, label in zip(seen[-1].tolist(), labels):
            assert label[: row % 3, 4].tolist() == [row] * (row % 3)  # the label of each item is its own
            assert np.isnan(label[row % 3 :]).all()
        return Detector(len(labels))

    methods = ["UNCERTAINTY", "ORACLE", "RANDOM", "CORAL", "PROTOTYPES"]
    result = study(boxes(), trainer, methods).run()
    assert result.failures == {}
    rest = [row for row in range(N) if row not in start()]
    assert picked(seen[:3]) == rest[-4:]
    assert picked(seen[3:6]) == rest[:4]


def test_scores_of_ones_own_are_taken_as_they_are() -> None:
    class Blur(Base):
        def scorer(self, item_ids: Sequence[str], x: Array) -> Scores:
            return Scores(item_ids, {"blur": x[:, 0]})

    seen: list[Array] = []
    study(classes(), trained(Blur, seen), ["UNCERTAINTY"]).run()
    assert picked(seen) == [row for row in range(N) if row not in start()][-4:]


def test_methods_that_compare_images_need_vectors_and_others_do_not() -> None:
    images = np.zeros((N, 3, 2, 2), dtype=np.uint8)
    data = HiddenLabels(IDS, images, Y, images, Y)
    with pytest.raises(
        ValueError, match=r"CORAL compares items by vectors, .* shape \(40, 3, 2, 2\); give HiddenLabels embed"
    ):
        study(data, trained(Single), ["RANDOM", "CORAL"])
    assert study(data, trained(Single), ["RANDOM", "UNCERTAINTY"]).run().failures == {}


def test_an_amount_that_would_be_a_column_twice_is_refused() -> None:
    with pytest.raises(ValueError, match="the unit 'figure', which is a column of every study"):
        study(classes(amounts={"figure": np.ones(N)}), trained(Single), ["RANDOM"])


def test_amounts_classes_and_duplicates_are_summed_over_the_labels() -> None:
    groups = np.arange(N) // 4  # ten groups of four look-alikes
    data = classes(amounts={"boxes": np.arange(N)}, groups=groups)
    seen: list[Array] = []
    result = study(data, trained(Single, seen), ["RANDOM"], seeds=[3]).run()
    for row, features in zip(result.rows, seen):
        items = features.astype(int)
        assert row.amounts == {
            "boxes": items.sum(),
            "classes": len({item >= N / 2 for item in items}),
            "duplicates": len(items) - len({item // 4 for item in items}),
        }
    assert result.units == ("boxes",)
    assert result.amounts("duplicates")["RANDOM"].tolist() == [[row.amounts["duplicates"] for row in result.rows]]
    assert result.curves_over("boxes").run("RANDOM", 3).budgets.tolist() == [row.amounts["boxes"] for row in result.rows]
    assert result.curves_over("boxes").unit == "boxes"
    assert result.curves_over("images") is result.curves
    with pytest.raises(ValueError, match="there is no unit 'masks'; there are images, boxes"):
        result.curves_over("masks")
    with pytest.raises(ValueError, match="does not count 'masks'; it counts boxes, classes, duplicates"):
        result.amounts("masks")


def test_a_strategy_may_read_the_groups() -> None:
    groups = np.array([f"video {n // 20}" for n in range(N)])
    config = SamplerConfig(method="JOINT", strategies=[Diversity(), AtMost(1, "group")])
    data = classes(groups=groups)
    seen: list[Array] = []
    result = study(data, trained(Single, seen), {"spread": config}, n_per_round=2, n_rounds=1).run()
    assert result.failures == {}
    assert sorted(row // 20 for row in picked(seen)) == [0, 1]


def test_the_tables_of_a_run_that_failed_say_that_its_further_amounts_are_not_known() -> None:
    def fails(features: Array, labels: Array, seed: int) -> Single:
        if len(labels) == 9:
            raise RuntimeError("no")
        return Single(len(labels))

    result = study(classes(amounts={"boxes": np.full(N, 2.0)}), fails, ["RANDOM"]).run()
    assert result.amounts("boxes")["RANDOM"][0, :2].tolist() == [10, 18]
    assert math.isnan(result.amounts("boxes")["RANDOM"][0, 2])
    curve = result.curves_over("boxes").run("RANDOM", 0)
    assert curve.budgets.tolist() == [10, 18, 26]  # as much for each label as in all runs
    assert curve.values[0] == 5 / N
    assert np.isnan(curve.values[1:]).all()
    assert result.summary().count("classes seen") == 1
    assert [line.split() for line in result.summary().splitlines() if line.startswith("RANDOM")][-1] == ["RANDOM", "-"]


def rows_of(
    method: str, figures: Sequence[float], boxes: Sequence[float], seed: int = 0, **others: float
) -> list[Measurement]:
    return [
        Measurement(method, seed, k, 10 * (k + 1), figure, amounts={"boxes": box, **others})
        for k, (figure, box) in enumerate(zip(figures, boxes))
    ]


def test_where_labels_took_nothing_the_later_figure_stands() -> None:
    result = StudyResult(tuple(rows_of("A", [0.1, 0.2, 0.3, 0.4], [0, 5, 5, 9])))
    curve = result.curves_over("boxes").run("A", 0)
    assert curve.budgets.tolist() == [0, 5, 9]
    assert curve.values.tolist() == [0.1, 0.3, 0.4]


def test_a_row_without_the_amount_is_named() -> None:
    rows = [*rows_of("A", [0.1], [3]), Measurement("A", 0, 1, 20, 0.2)]
    with pytest.raises(ValueError, match="the row of A, seed 0, round 1 has no amount of boxes"):
        StudyResult(tuple(rows)).curves_over("boxes")


def crowded() -> StudyResult:
    """CROWDED learns twice as fast as RANDOM by images, and as fast by boxes; SPARSE saves half of the boxes."""
    random, rows = [0.2, 0.4, 0.6, 0.8], []
    for seed in range(5):
        shift = 0.001 * seed
        counts = {"classes": 3.0 + (seed == 4), "duplicates": 10.0 if seed < 4 else 5.0}
        rows += rows_of("RANDOM", [value + shift for value in random], [100, 200, 300, 400], seed, **counts)
        rows += rows_of("CROWDED", [value + shift for value in (0.4, 0.8, 0.85, 0.9)], [200, 400, 600, 800], seed, **counts)
        rows += rows_of("SPARSE", [value + shift for value in random], [50, 100, 150, 200], seed, **counts)
    return StudyResult(tuple(rows))


def test_the_summary_puts_the_saving_in_each_unit_beside_that_in_images() -> None:
    text = crowded().summary()
    assert all(len(line) <= 80 for line in text.splitlines()), text
    lines = text.splitlines()
    at = next(place for place, line in enumerate(lines) if line.startswith("share saved"))
    assert lines[at].split() == ["share", "saved", "images", "boxes"]
    assert lines[at + 1].split() == ["CROWDED", "50%", "(50%", "to", "50%)", "0%", "(0%", "to", "0%)"]
    assert lines[at + 2].split() == ["SPARSE", "0%", "(0%", "to", "0%)", "50%", "(50%", "to", "50%)"]
    assert "Saved on the way to what RANDOM has after 40 images, 400 boxes" in text.replace("\n", " ")
    at = next(place for place, line in enumerate(lines) if line.startswith("in the end"))
    assert lines[at].split("  ")[-1] == "wasted on duplicates"
    assert lines[at + 1].split() == ["RANDOM", "3.2", "22%"]  # 9 of 40


def test_many_units_stand_in_several_blocks_of_80_columns() -> None:
    units = ("boxes", "seconds", "a unit with a name that is far too long for a table", "clicks", "euros")
    rows = []
    for method in ("RANDOM", "BATCH_UNCERTAINTY"):
        for seed in range(5):
            for k in range(3):
                spent = dict.fromkeys(units, (k + 1.0) * (1.3 if method == "RANDOM" else 1))
                rows.append(Measurement(method, seed, k, 10 * k + 10, 0.1 * k + 0.01 * seed * (k % 2), amounts=spent))
    text = StudyResult(tuple(rows)).summary()
    assert all(len(line) <= 80 for line in text.splitlines()), text
    assert sum(line.startswith("share saved") for line in text.splitlines()) == 3
    assert "euros" in text


def test_methods_are_compared_over_the_seeds_that_all_of_them_have() -> None:
    extra = rows_of("RANDOM", [0.2, 0.4, 0.6, 9.0], [100, 200, 300, 400], 7, classes=3.0, duplicates=0.0)
    whole = crowded()
    more = StudyResult((*whole.rows, *extra))
    assert more.sentence() == whole.sentence()
    text = more.summary()
    assert text.startswith(whole.summary())
    assert "note: not all methods have runs of the seeds 7, which are left out" in text.replace("\n", " ")
    apart = StudyResult((*rows_of("RANDOM", [0.1], [1], 0), *rows_of("CORAL", [0.1], [1], 1)))
    assert apart.sentence() == "Cannot be said: no seed was run with every method."
    assert apart.summary() == "Nothing can be compared: no seed was run with every method."
