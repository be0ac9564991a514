from __future__ import annotations

import io
import math
import zipfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scorers import ClassificationPredictions, DetectionPredictions, Scorer, ScorerClassification, Scores

Array = npt.NDArray[np.float64]


def ids_of(n_items: int) -> tuple[str, ...]:
    return tuple(f"{row}.png" for row in range(n_items))


def predict(probabilities: Any, item_ids: tuple[str, ...] | None = None) -> ClassificationPredictions:
    array = np.asarray(probabilities, dtype=np.float64)
    return ClassificationPredictions(ids_of(len(array)) if item_ids is None else item_ids, array)


def random_rows(seed: int, n_items: int, n_classes: int) -> Array:
    return np.random.default_rng(seed).dirichlet(np.full(n_classes, 0.5), size=n_items)


def as_lists(scores: Scores) -> dict[str, list[float]]:
    return {name: values.tolist() for name, values in scores.columns.items()}


# --- values ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("case", ["c2", "c3", "c10", "single_column"])
def test_scores_equal_the_golden_numbers_of_lightly(golden: Callable[[str], Any], case: str) -> None:
    numbers = {each["name"]: each for each in golden("lightly_scores")["classification"]}[case]
    scores = ScorerClassification(predict(numbers["probabilities"])).scores()
    assert set(scores.names) == set(numbers["scores"])
    for name, expected in numbers["scores"].items():
        assert scores.column(name) == pytest.approx(expected, rel=0, abs=1e-9)


def test_the_default_is_the_margin() -> None:
    scores = ScorerClassification(predict([[0.5, 0.5, 0.0], [0.6, 0.2, 0.2], [1, 0, 0]])).scores()
    assert scores.default == "uncertainty_margin"
    assert scores.column() == pytest.approx([1, 0.6, 0])
    assert scores.item_ids == ids_of(3)


@pytest.mark.parametrize(
    ("name", "n_items", "n_classes"),
    [("cifar10_test", 10_000, 10), ("mnist_test", 10_000, 10), ("20news_test", 7_532, 20), ("imdb_test", 25_000, 2)],
)
def test_real_probabilities_are_accepted_and_their_scores_equal_a_plain_loop(
    shared_file: Callable[[str], Path], name: str, n_items: int, n_classes: int
) -> None:
    with zipfile.ZipFile(shared_file("data/probs_cleanlab.zip")) as pack:
        rows = np.load(io.BytesIO(pack.read(f"{name}.npz")))["probs"]
    assert rows.shape == (n_items, n_classes)
    assert np.abs(rows.sum(axis=1) - 1).max() > 0  # real rows do not sum to exactly one
    scores = ScorerClassification(predict(rows)).scores()

    entropies = [-math.fsum(p * math.log2(p) for p in row if p > 0) / math.log2(n_classes) for row in rows.tolist()]
    assert scores.column("uncertainty_entropy") == pytest.approx(np.clip(entropies, 0, 1), abs=1e-12)
    top = np.sort(rows, axis=1)[:, ::-1]
    assert scores.column("uncertainty_margin") == pytest.approx(np.clip(1 - (top[:, 0] - top[:, 1]), 0, 1), abs=1e-12)
    least = np.clip((1 - top[:, 0]) / (1 - 1 / n_classes), 0, 1)
    assert scores.column("uncertainty_least_confidence") == pytest.approx(least, abs=1e-12)

    half = ScorerClassification(ClassificationPredictions(ids_of(n_items), rows.astype(np.float16))).scores()
    assert half.column("uncertainty_margin") == pytest.approx(scores.column("uncertainty_margin"), abs=1e-3)


# --- each item is scored alone ---------------------------------------------------------------------------------------


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), n_items=st.integers(1, 30), n_classes=st.integers(1, 12), data=st.data())
def test_chunks_order_and_company_change_no_bit_of_a_score(
    seed: int, n_items: int, n_classes: int, data: st.DataObject
) -> None:
    rows = (
        random_rows(seed, n_items, n_classes + 1)[:, :n_classes] if n_classes == 1 else random_rows(seed, n_items, n_classes)
    )
    predictions = predict(rows)
    whole = as_lists(ScorerClassification(predictions).scores())

    cuts = sorted(data.draw(st.sets(st.integers(1, n_items - 1), max_size=4))) if n_items > 1 else []
    chunks = [predictions[a:b] for a, b in zip([0, *cuts], [*cuts, n_items], strict=True)]
    chunked = ScorerClassification(chunks).scores()
    assert (chunked.item_ids, as_lists(chunked)) == (predictions.item_ids, whole)

    order = data.draw(st.permutations(range(n_items)))
    shuffled = ScorerClassification(predict(rows[order], tuple(f"{row}.png" for row in order))).scores()
    back = [shuffled.item_ids.index(item_id) for item_id in predictions.item_ids]
    assert {name: values[back].tolist() for name, values in shuffled.columns.items()} == whole

    row = data.draw(st.integers(0, n_items - 1))
    alone = as_lists(ScorerClassification(predictions[row : row + 1]).scores())
    assert alone == {name: [values[row]] for name, values in whole.items()}


def test_chunks_larger_than_a_block_change_no_bit_of_a_score() -> None:
    predictions = predict(random_rows(0, 5_000, 100))
    whole = as_lists(ScorerClassification(predictions).scores())
    assert as_lists(ScorerClassification([predictions[:1], predictions[1:3_333], predictions[3_333:]]).scores()) == whole


# --- reading ---------------------------------------------------------------------------------------------------------


def test_a_generator_is_read_once_and_its_scores_are_kept() -> None:
    predictions = predict(random_rows(1, 9, 3))
    n_read = 0

    def chunks() -> Iterator[ClassificationPredictions]:
        nonlocal n_read
        for start in range(0, 9, 2):
            n_read += 1
            yield predictions[start : start + 2]

    scorer = ScorerClassification(chunks())
    assert n_read == 0  # nothing is read before it is asked for
    first = scorer.scores()
    assert scorer.scores() is first
    assert n_read == 5
    assert as_lists(first) == as_lists(ScorerClassification(predictions).scores())


@pytest.mark.parametrize("nothing", [[], iter(()), (chunk for chunk in list[ClassificationPredictions]())])
def test_no_predictions_at_all_is_an_error_that_thinks_of_a_spent_generator(nothing: Any) -> None:
    with pytest.raises(ValueError, match="no predictions: the iterable was empty, or had been read before"):
        ScorerClassification(nothing).scores()


NO_BOXES = DetectionPredictions(("z",), np.empty((0, 4)), np.empty(0), np.empty(0, dtype=np.int64), np.array([0, 0]))


@pytest.mark.parametrize(
    ("given_value", "parts"),
    [
        (NO_BOXES, ["predictions is DetectionPredictions", "ScorerClassification takes ClassificationPredictions"]),
        (None, ["predictions is NoneType", "takes ClassificationPredictions"]),
        ([predict([[1, 0]]), NO_BOXES], ["chunk 1", "is DetectionPredictions", "takes ClassificationPredictions"]),
        ([[0.5, 0.5]], ["chunk 0", "is list", "takes ClassificationPredictions"]),
        (np.eye(2), ["chunk 0", "is ndarray", "takes ClassificationPredictions"]),
    ],
)
def test_other_predictions_are_refused_by_chunk(given_value: Any, parts: list[str]) -> None:
    with pytest.raises(ValueError) as refusal:
        ScorerClassification(given_value).scores()
    assert [part for part in parts if part not in str(refusal.value)] == []


def test_an_item_in_two_chunks_is_named() -> None:
    chunks = [predict([[1, 0], [0, 1]], ("a", "b")), predict([[1, 0], [0, 1]], ("c", "b"))]
    with pytest.raises(ValueError, match="1 item ids stand more than once, the first is 'b'"):
        ScorerClassification(chunks).scores()


def test_a_second_try_after_a_bad_chunk_does_not_score_the_rest_alone() -> None:
    chunks: Any = iter([predict([[1, 0]], ("a",)), NO_BOXES, predict([[0.5, 0.5]], ("c",))])
    scorer = ScorerClassification(chunks)
    for _ in range(2):
        with pytest.raises(ValueError, match=r"chunk|read before"):
            scorer.scores()


# --- scorers of one's own --------------------------------------------------------------------------------------------


class ScorerRareClass(Scorer[ClassificationPredictions]):
    takes = ClassificationPredictions
    default = "rare"

    def score_chunk(self, predictions: ClassificationPredictions) -> Mapping[str, Array]:
        return {"rare": np.float64(2) * predictions.probabilities[:, -1], "index": np.ones(len(predictions))}


def test_a_scorer_of_ones_own_is_ten_lines() -> None:
    predictions = predict([[0.75, 0.25], [0.0, 1.0], [1.0, 0.0]])
    scores = ScorerRareClass(predictions[a : a + 1] for a in range(3)).scores()
    assert scores.item_ids == predictions.item_ids
    assert scores.column().tolist() == [0.5, 2.0, 0.0]
    assert scores.column("index").tolist() == [1, 1, 1]
    with pytest.raises(ValueError, match=r"chunk 0 .* is DetectionPredictions; ScorerRareClass takes Classification"):
        ScorerRareClass([NO_BOXES]).scores()  # type: ignore[list-item]


def test_the_numbers_of_a_scorer_of_ones_own_are_checked_by_item() -> None:
    class ScorerLog(Scorer[ClassificationPredictions]):
        takes = ClassificationPredictions

        def score_chunk(self, predictions: ClassificationPredictions) -> Mapping[str, Array]:
            return {"bad": np.where(predictions.probabilities[:, 0] == 0, np.nan, 1.0)}

    with pytest.raises(ValueError, match=r"score 'bad' of '1\.png' is \[nan\]; expected finite"):
        ScorerLog(predict([[1, 0], [0, 1]])).scores()


@pytest.mark.parametrize(
    "answers",
    [
        [{"s": np.zeros(1)}, {"s": np.zeros(3)}],  # the lengths add up, so that scores would slip to other items
        [{"s": np.zeros(2)}, {"t": np.zeros(2)}],
        [{"s": np.zeros(2), "t": np.zeros(2)}, {"s": np.zeros(2)}],
        [{"s": np.zeros(2)}, {"s": np.zeros(2), "t": np.zeros(2)}],  # one column would be lost
        [{}, {}],
    ],
    ids=["lengths that add up", "other names", "a name missing", "a name more", "nothing"],
)
def test_a_scorer_whose_chunks_do_not_fit_together_is_refused(answers: list[dict[str, Array]]) -> None:
    class ScorerMoody(Scorer[ClassificationPredictions]):
        takes = ClassificationPredictions

        def score_chunk(self, predictions: ClassificationPredictions) -> Mapping[str, Array]:
            return answers.pop(0)

    with pytest.raises(ValueError):
        ScorerMoody([predict(np.eye(2), ("a", "b")), predict(np.eye(2), ("c", "d"))]).scores()


def test_chunks_of_other_numbers_of_classes_are_refused() -> None:
    chunks = [ClassificationPredictions(["a"], [[0.5, 0.5]]), ClassificationPredictions(["b"], [[0.5, 0.25, 0.25]])]
    with pytest.raises(ValueError, match="chunk 1 has 3 classes, the first chunk 2"):
        ScorerClassification(chunks).scores()
    chunks[1] = ClassificationPredictions(["b"], [[0.5]])  # one column stands for two classes
    assert len(ScorerClassification(chunks).scores()) == 2
