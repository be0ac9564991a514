from __future__ import annotations

import math
import pickle
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from scorers import ClassificationPredictions, DetectionPredictions

NAN, INF = math.nan, math.inf
GOOD = [[0.9, 0.1], [0.5, 0.5], [0.2, 0.8]]


class DeviceTensor:
    """Refuses numpy as a tensor on a device, or one that wants gradients, does."""

    def __array__(self, *_: object, **__: object) -> npt.NDArray[Any]:
        raise RuntimeError("Can't call numpy() on Tensor that requires grad")


def classification(item_ids: Any, probabilities: Any) -> ClassificationPredictions:
    return ClassificationPredictions(item_ids, probabilities)


# --- classification: what is refused ---------------------------------------------------------------------------------

BAD_IDS = {
    "one string": ("abc", ["'abc'", "sequence of strings"]),
    "whole numbers": (["a", 1, "c"], ["item_ids[1]", "is 1 of type int", "str(...)"]),
    "an array of numbers": (np.arange(3), ["item_ids[0]", "str(...)"]),
    "bytes": ([b"a", b"b", b"c"], ["item_ids[0]", "bytes", "str(...)"]),
    "none among them": (["a", None, "c"], ["item_ids[1]", "NoneType", "str(...)"]),
    "lists": ([["a"], ["b"], ["c"]], ["item_ids[0]", "list"]),
    "doubled": (["a", "b", "a"], ["1 item ids", "'a'", "once"]),
    "tripled": (["a", "a", "a"], ["2 item ids", "'a'"]),
    "empty": ([], ["item_ids is empty", "at least one"]),
    "too many": (["a", "b", "c", "d"], ["probabilities", "3 rows for 4 item ids"]),
    "too few": (["a", "b"], ["probabilities", "3 rows for 2 item ids"]),
}


@pytest.mark.parametrize(("item_ids", "parts"), BAD_IDS.values(), ids=BAD_IDS.keys())
def test_bad_item_ids_are_refused_by_name(item_ids: Any, parts: list[str]) -> None:
    with pytest.raises(ValueError) as refusal:
        classification(item_ids, GOOD)
    assert [part for part in parts if part not in str(refusal.value)] == []
    if not parts[0].startswith("probabilities"):  # the detector's door asks the same
        with pytest.raises(ValueError) as other:
            detection(item_ids=item_ids)
        assert str(other.value) == str(refusal.value)


BAD_PROBABILITIES = {
    "NaN": ([[0.9, 0.1], [0.5, NAN], [1, 0]], ["probabilities of 'b'", "nan", "finite"]),
    "infinite": ([[0.9, 0.1], [1, 0], [INF, 0]], ["probabilities of 'c'", "inf", "finite"]),
    "minus infinite": ([[0.9, 0.1], [-INF, 0], [1, 0]], ["probabilities of 'b'", "-inf", "finite"]),
    "both infinities": ([[0.9, 0.1], [-INF, INF], [1, 0]], ["probabilities of 'b'", "finite"]),
    "float32 that overflows": (
        np.array([[1, 0], [3e38, 3e38], [1, 0]], dtype="f4"),
        ["probabilities of 'b'", "from_logits"],
    ),
    "negative": ([[0.9, 0.1], [1.25, -0.25], [1, 0]], ["probabilities of 'b' is [1.25, -0.25]", "[0, 1]", "from_logits"]),
    "logits": ([[2.5, -1.0], [0.3, 4.0], [7, 8]], ["probabilities of 'a' is [2.5, -1]", "logits", "from_logits"]),
    "positive logits": ([[2.5, 1.0], [0.3, 4.0], [7, 8]], ["probabilities of 'a' sums to 3.5", "from_logits"]),
    "sigmoids": ([[0.9, 0.1], [0.5, 0.75], [1, 0]], ["probabilities of 'b' sums to 1.25", "expected 1 within"]),
    "a class left out": ([[0.9, 0.1], [0.5, 0.5], [0.5, 0.25]], ["probabilities of 'c' sums to 0.75", "background"]),
    "all zero": ([[0.0, 0.0], [0.5, 0.5], [1, 0]], ["probabilities of 'a' sums to 0"]),
    "percent": ([[90, 10], [50, 50], [20, 80]], ["probabilities of 'a' sums to 100"]),
    "float64 that overflows": ([[1, 0], [1, 0], [1e308, 1e308]], ["probabilities of 'c'", "from_logits"]),
    "half precision NaN": (np.array([[1, 0], [1, 0], [NAN, 0]], dtype="f2"), ["probabilities of 'c'", "finite"]),
    "half precision that overflows": (np.full((3, 2), 6e4, dtype="f2"), ["probabilities of 'a'", "from_logits"]),
    "one column above 1": ([[0.5], [1.0], [1.5]], ["probabilities of 'c' is [1.5]", "[0, 1]", "from_logits"]),
    "one column below 0": ([[0.5], [-0.125], [1]], ["probabilities of 'b' is [-0.125]", "[0, 1]", "from_logits"]),
    "one column NaN": ([[0.5], [NAN], [1]], ["probabilities of 'b'", "finite"]),
    "one dimension": ([0.9, 0.5, 0.2], ["probabilities has shape (3,)", "(n, c)"]),
    "three dimensions": (np.ones((3, 1, 1)), ["probabilities has shape (3, 1, 1)", "(n, c)"]),
    "one number": (0.5, ["probabilities has shape ()", "(n, c)"]),
    "no columns": (np.ones((3, 0)), ["probabilities has shape (3, 0)", "at least one column"]),
    "no rows": (np.ones((0, 2)), ["probabilities", "0 rows for 3 item ids"]),
    "too many rows": (np.full((4, 2), 0.5), ["probabilities", "4 rows for 3 item ids"]),
    "ragged": ([[0.9, 0.1], [1.0], [0.2, 0.8]], ["probabilities", "(n, c)", "rows of one length"]),
    "text": ([["0.9", "0.1"]] * 3, ["probabilities holds values of type", "numbers", "(n, c)"]),
    "none": ([[None, 1.0]] * 3, ["probabilities holds values of type object", "numbers"]),
    "complex": (np.ones((3, 1), dtype=complex), ["probabilities holds values of type complex", "numbers"]),
    "a mapping": ({"a": [1.0]}, ["probabilities holds values of type object", "numbers"]),
    "a tensor on a device": (DeviceTensor(), ["probabilities", "requires grad", "tensor.detach().float().cpu().numpy()"]),
}


@pytest.mark.parametrize(("probabilities", "parts"), BAD_PROBABILITIES.values(), ids=BAD_PROBABILITIES.keys())
def test_bad_probabilities_are_refused_by_item_with_the_way_out(probabilities: Any, parts: list[str]) -> None:
    with pytest.raises(ValueError) as refusal:
        classification(["a", "b", "c"], probabilities)
    assert [part for part in parts if part not in str(refusal.value)] == []


def test_the_one_bad_row_among_many_is_named_in_whichever_block_it_lies() -> None:
    rows = np.full((70_000, 4), 0.25)
    ids = [f"img_{row}" for row in range(len(rows))]
    for bad in (0, 32_767, 32_768, 69_999):
        broken = rows.copy()
        broken[bad, 2] = 0.5
        with pytest.raises(ValueError, match=f"probabilities of 'img_{bad}' sums to 1.25"):
            classification(ids, broken)
        broken[bad, 2] = NAN
        with pytest.raises(ValueError, match=f"logits of 'img_{bad}' is"):
            ClassificationPredictions.from_logits(ids, broken)


@pytest.mark.parametrize("total", [0.9961, 1.0039])
def test_a_row_may_miss_one_by_four_thousandths(total: float) -> None:
    row = [total - 0.5, 0.5]
    assert classification(["a"], [row]).probabilities.tolist() == [row]


@pytest.mark.parametrize("row", [[0.4959, 0.5], [0.5041, 0.5], np.array([0.5 + 9 / 2048, 0.5], dtype="f2")], ids=str)
def test_a_row_may_not_miss_one_by_more_than_four_thousandths(row: Any) -> None:
    # the last row's sum is refused for what it is, 1.0044, not for what half precision makes of it, 1.0039
    with pytest.raises(ValueError, match=r"of 'a' sums to .* expected 1 within 0\.004"):
        classification(["a"], [row])


# --- classification: what is accepted --------------------------------------------------------------------------------


def as_bfloat16(values: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Float32 values with the low 16 bits rounded away: what bfloat16 holds."""
    return np.asarray((values.view(np.uint32) + np.uint32(0x8000)) & np.uint32(0xFFFF0000)).view(np.float32)


@settings(max_examples=80, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    n_classes=st.sampled_from([2, 3, 10, 100, 1000, 20_000]),
    spread=st.sampled_from([0.0, 0.1, 1.0, 5.0, 30.0]),
)
def test_softmax_rows_rounded_to_any_half_precision_are_accepted(seed: int, n_classes: int, spread: float) -> None:
    logits = np.random.default_rng(seed).normal(scale=spread, size=(3, n_classes))
    exact = ClassificationPredictions.from_logits(["a", "b", "c"], logits).probabilities.astype(np.float32)
    for rounded in (exact, exact.astype(np.float16), as_bfloat16(exact)):
        predictions = classification(["a", "b", "c"], rounded)
        assert predictions.probabilities.dtype == rounded.dtype
        assert predictions.probabilities.tolist() == rounded.tolist()


def test_probabilities_are_held_as_given_in_full_and_not_copied() -> None:
    rows = np.array(GOOD, dtype=np.float32)
    predictions = classification(("a", "b", "c"), rows)
    assert np.shares_memory(predictions.probabilities, rows)
    with pytest.raises(ValueError, match="read-only"):
        predictions.probabilities[0, 0] = 0
    rows[0, 0] = rows[0, 0]  # the caller's own array stays writable


@pytest.mark.parametrize(
    "item_ids",
    [
        ["a", "b"],
        ("a", "b"),
        np.array(["a", "b"]),
        {"a": 0, "b": 1},
        (name for name in "ab"),
        np.array(["a", "b"], dtype=object),
    ],
    ids=["list", "tuple", "array", "keys", "generator", "objects"],
)
def test_ids_may_be_any_sequence_of_strings(item_ids: Any) -> None:
    predictions = classification(item_ids, [[1, 0], [0, 1]])
    assert predictions.item_ids == ("a", "b")
    assert {type(item_id) for item_id in predictions.item_ids} == {str}
    assert predictions.probabilities.tolist() == [[1.0, 0.0], [0.0, 1.0]]


@pytest.mark.parametrize(("n_columns", "n_classes"), [(1, 2), (2, 2), (7, 7)])
def test_one_column_stands_for_two_classes(n_columns: int, n_classes: int) -> None:
    assert classification(["a"], np.eye(n_columns)[:1]).n_classes == n_classes


def test_a_slice_of_classification_predictions_keeps_ids_beside_rows() -> None:
    part = classification(["a", "b", "c"], GOOD)[1:]
    assert (part.item_ids, part.probabilities.tolist(), len(part)) == (("b", "c"), GOOD[1:], 2)


# --- logits ----------------------------------------------------------------------------------------------------------

logit_rows = hnp.arrays(
    np.float64,
    st.tuples(st.integers(1, 5), st.integers(1, 6)),
    elements=st.floats(-60, 60) | st.integers(-3, 3).map(float),
)


@settings(max_examples=100, deadline=None)
@given(logits=logit_rows, shift=st.floats(-1000, 1000))
def test_from_logits_is_the_softmax_and_one_column_the_logistic_function(
    logits: npt.NDArray[np.float64], shift: float
) -> None:
    ids = [str(row) for row in range(len(logits))]
    probabilities = ClassificationPredictions.from_logits(ids, logits).probabilities
    if logits.shape[1] == 1:
        expected = [[1 / (1 + math.exp(-row[0]))] for row in logits.tolist()]
    else:
        sums = [math.fsum(map(math.exp, row)) for row in logits.tolist()]
        expected = [[math.exp(logit) / total for logit in row] for row, total in zip(logits.tolist(), sums, strict=True)]
        moved = ClassificationPredictions.from_logits(ids, logits + shift).probabilities
        assert moved == pytest.approx(probabilities, abs=1e-12)
    assert probabilities == pytest.approx(np.array(expected), rel=1e-12)


@pytest.mark.parametrize(
    ("logits", "expected"),
    [
        ([[1000.0, 0.0], [-1000.0, -1000.0], [0.0, 745.0]], [[1, 0], [0.5, 0.5], [pytest.approx(0, abs=1e-300), 1]]),
        ([[1000.0], [-1000.0], [0.0]], [[1], [0], [0.5]]),
        ([[3, 3], [0, 0], [-1, -1]], [[0.5, 0.5]] * 3),  # whole numbers
        ([[1e308, -1e308], [-1e308, 1e308], [1e308, 1e308]], [[1, 0], [0, 1], [0.5, 0.5]]),
    ],
)
def test_extreme_logits_neither_overflow_nor_warn(logits: list[list[float]], expected: list[list[float]]) -> None:
    assert ClassificationPredictions.from_logits(["a", "b", "c"], logits).probabilities.tolist() == expected


@pytest.mark.parametrize(("given_type", "held"), [("f2", "f4"), ("f4", "f4"), ("f8", "f8"), ("i8", "f8")])
def test_softmax_is_held_in_the_precision_of_the_logits_but_not_in_half(given_type: str, held: str) -> None:
    logits = np.array([[8, 1, 1], [0, 2, 5]], dtype=given_type)
    probabilities = ClassificationPredictions.from_logits(["a", "b"], logits).probabilities
    assert probabilities.dtype == np.dtype(held)
    full = ClassificationPredictions.from_logits(["a", "b"], logits.astype(np.float64)).probabilities
    assert probabilities.tolist() == full.astype(held).tolist()


@pytest.mark.parametrize("layout", ["C", "F"])
def test_the_softmax_of_a_row_does_not_depend_on_the_others_to_the_last_bit(layout: Any) -> None:
    logits = np.asarray(np.random.default_rng(0).normal(size=(3_000, 100)), order=layout)
    ids = [str(row) for row in range(len(logits))]
    whole = ClassificationPredictions.from_logits(ids, logits).probabilities
    for row in (0, 1309, 1310, 2999):
        alone = ClassificationPredictions.from_logits(ids[:1], logits[row : row + 1]).probabilities
        assert alone[0].tolist() == whole[row].tolist()


@pytest.mark.parametrize(
    ("logits", "parts"),
    [
        ([[0.0, 1.0], [0.0, NAN]], ["logits of 'b'", "nan", "finite"]),
        ([[-INF, 1.0], [0.0, 1.0]], ["logits of 'a'", "-inf", "finite"]),
        ([[0.0, 1.0]], ["logits", "1 rows for 2 item ids"]),
        ([0.0, 1.0], ["logits has shape (2,)", "(n, c)"]),
        ([[], []], ["logits has shape (2, 0)", "at least one column"]),
        ([[0.0], [0.0, 1.0]], ["logits", "rows of one length"]),
        ([["0"], ["1"]], ["logits holds values of type", "numbers"]),
    ],
)
def test_bad_logits_are_refused_by_item(logits: Any, parts: list[str]) -> None:
    with pytest.raises(ValueError) as refusal:
        ClassificationPredictions.from_logits(["a", "b"], logits)
    assert [part for part in parts if part not in str(refusal.value)] == []


# --- detection -------------------------------------------------------------------------------------------------------

BOX = [0.1, 0.1, 0.4, 0.5]


def detection(**changes: Any) -> DetectionPredictions:
    """Three items with 2, 0 and 1 boxes."""
    fields: dict[str, Any] = {
        "item_ids": ["a", "empty", "c"],
        "boxes": [BOX, [0.2, 0.2, 0.9, 0.9], [0, 0, 1, 1]],
        "scores": [0.9, 0.4, 1.0],
        "labels": [0, 2, 1],
        "offsets": [0, 2, 2, 3],
    }
    return DetectionPredictions(**{**fields, **changes})


def second_box(value: list[float]) -> list[list[float]]:
    return [BOX, value, [0, 0, 1, 1]]


BAD_DETECTIONS: dict[str, tuple[dict[str, Any], list[str]]] = {
    "offsets start late": ({"offsets": [1, 2, 2, 3]}, ["offsets runs from 1 to 3", "from 0 to the number of boxes, 3"]),
    "offsets end early": ({"offsets": [0, 2, 2, 2]}, ["offsets runs from 0 to 2", "from 0 to the number of boxes, 3"]),
    "offsets end late": ({"offsets": [0, 2, 2, 4]}, ["offsets runs from 0 to 4", "number of boxes, 3"]),
    "offsets fall": ({"offsets": [0, 3, 2, 3]}, ["offsets falls from 3 to 2", "item 1", "rising"]),
    "offsets negative": ({"offsets": [0, -1, 2, 3]}, ["offsets falls from 0 to -1", "item 0"]),
    "offsets are counts": ({"offsets": [2, 0, 1]}, ["offsets has 3 values for 3 item ids", "one more"]),
    "offsets too long": ({"offsets": [0, 2, 2, 3, 3]}, ["offsets has 5 values for 3 item ids", "one more"]),
    "offsets empty": ({"offsets": []}, ["offsets has 0 values for 3 item ids"]),
    "offsets broken": ({"offsets": [0, 1.5, 2, 3]}, ["offsets holds fractions", "whole numbers"]),
    "offsets NaN": ({"offsets": [0, NAN, 2, 3]}, ["offsets", "whole numbers"]),
    "offsets in two dimensions": ({"offsets": [[0, 2, 2, 3]]}, ["offsets has shape (1, 4)", "(n + 1,)"]),
    "offsets true and false": ({"offsets": [False, True, True, True]}, ["offsets holds booleans", "whole numbers"]),
    "offsets text": ({"offsets": ["0", "2", "2", "3"]}, ["offsets holds values of type", "numbers"]),
    "pixels": ({"boxes": second_box([20, 20, 90, 90])}, ["box 1 of 'a'", "[20.0, 20.0, 90.0, 90.0]", "divide pixels"]),
    "a little outside": ({"boxes": second_box([-0.001, 0, 1, 1])}, ["box 1 of 'a'", "-0.001", "clip"]),
    "box NaN": ({"boxes": second_box([0, 0, NAN, 1])}, ["box 1 of 'a'", "nan", "[0, 1]"]),
    "box infinite": ({"boxes": second_box([0, 0, INF, 1])}, ["box 1 of 'a'", "inf", "[0, 1]"]),
    "last box": ({"boxes": [BOX, BOX, [0, 0, 1, 2]]}, ["box 0 of 'c'", "[0, 1]"]),
    "corners swapped across": (
        {"boxes": second_box([0.5, 0, 0.2, 1])},
        ["box 1 of 'a'", "x0 <= x1", "not width and height"],
    ),
    "corners swapped down": ({"boxes": second_box([0, 0.5, 1, 0.2])}, ["box 1 of 'a'", "y0 <= y1", "not width and height"]),
    "boxes of five": ({"boxes": [[*BOX, 0.9]] * 3}, ["boxes has shape (3, 5)", "(m, 4)"]),
    "boxes of nothing": ({"boxes": np.ones((3, 0))}, ["boxes has shape (3, 0)", "(m, 4)"]),
    "boxes flat": ({"boxes": BOX}, ["boxes has shape (4,)", "(m, 4)"]),
    "boxes ragged": ({"boxes": [BOX, BOX[:3], BOX]}, ["boxes", "(m, 4)", "rows of one length"]),
    "boxes by image": ({"boxes": [[BOX, BOX], [], [BOX]]}, ["boxes", "(m, 4)", "rows of one length"]),
    "boxes text": ({"boxes": [["0", "0", "1", "1"]] * 3}, ["boxes holds values of type", "numbers"]),
    "boxes on a device": ({"boxes": DeviceTensor()}, ["boxes", "tensor.detach().float().cpu().numpy()"]),
    "score above 1": ({"scores": [0.9, 1.5, 1]}, ["the score of box 1 of 'a' is 1.5", "[0, 1]"]),
    "score below 0": ({"scores": [0.9, 0.4, -0.5]}, ["the score of box 0 of 'c' is -0.5", "[0, 1]"]),
    "score NaN": ({"scores": [NAN, 0.4, 1]}, ["the score of box 0 of 'a' is nan", "[0, 1]"]),
    "scores too few": ({"scores": [0.9, 0.4]}, ["scores has 2 rows for 3 boxes"]),
    "scores of classes": ({"scores": [[0.9, 0.1]] * 3}, ["scores has shape (3, 2)", "(m,)"]),
    "scores text": ({"scores": ["0.9", "0.4", "1"]}, ["scores holds values of type", "numbers"]),
    "label negative": ({"labels": [0, 2, -1]}, ["the label of box 0 of 'c' is -1", "0 or more"]),
    "label beyond names": ({"class_names": ["x", "y"]}, ["the label of box 1 of 'a' is 2", "0 to 1", "class_names"]),
    "label beyond columns": (
        {"class_probabilities": [[0.5, 0.5]] * 3},
        ["the label of box 1 of 'a' is 2", "0 to 1", "class_probabilities"],
    ),
    "label beyond 31 bits": ({"labels": [0, 2**31, 1]}, ["the label of box 1 of 'a' is 2147483648", "below 2147483648"]),
    "label broken": ({"labels": [0, 1.5, 1]}, ["labels holds fractions", "whole numbers"]),
    "label NaN": ({"labels": [0, NAN, 1]}, ["labels", "whole numbers"]),
    "label beyond 64 bits": ({"labels": [0, 1e300, 1]}, ["label"]),
    "label of 64 bits without sign": ({"labels": np.array([0, 2**64 - 1, 1], dtype=np.uint64)}, ["label"]),
    "labels true and false": ({"labels": [True, False, True]}, ["labels holds booleans", "whole numbers"]),
    "labels are names": ({"labels": ["cat", "dog", "cat"]}, ["labels holds values of type", "numbers"]),
    "labels too many": ({"labels": [0, 0, 0, 0]}, ["labels has 4 rows for 3 boxes"]),
    "more names than columns": (
        {"class_probabilities": [[0.2, 0.3, 0.5]] * 3, "class_names": list("wxyz")},
        ["class_names has 4 names for 3 columns of class_probabilities"],
    ),
    "names are one string": ({"class_names": "cat"}, ["class_names", "'cat'"]),
    "distribution of half": (
        {"class_probabilities": [[0.5, 0.25, 0.25], [0.25, 0.25, 0], [1, 0, 0]]},
        ["class_probabilities of box 1 of 'a' sums to 0.5", "background"],
    ),
    "distribution of logits": (
        {"class_probabilities": [[0.5, 0.25, 0.25], [1, 0, 0], [3, -1, 1]]},
        ["class_probabilities of box 0 of 'c'", "from_logits"],
    ),
    "distribution NaN": ({"class_probabilities": [[NAN, 0, 1]] * 3}, ["class_probabilities of box 0 of 'a'", "finite"]),
    "distributions too few": ({"class_probabilities": [[0, 0, 1]]}, ["class_probabilities has 1 rows for 3 boxes"]),
    "distributions empty": ({"class_probabilities": []}, ["class_probabilities"]),
    "distributions of nothing": ({"class_probabilities": np.ones((3, 0))}, ["class_probabilities", "at least one column"]),
    "distributions flat": ({"class_probabilities": [0.9, 0.4, 1.0]}, ["class_probabilities has shape (3,)", "(m, c)"]),
}


@pytest.mark.parametrize(("changes", "parts"), BAD_DETECTIONS.values(), ids=BAD_DETECTIONS.keys())
def test_bad_detections_are_refused_by_box_and_item(changes: dict[str, Any], parts: list[str]) -> None:
    with pytest.raises(ValueError) as refusal:
        detection(**changes)
    assert [part for part in parts if part not in str(refusal.value)] == []


def test_detections_are_held_flat_with_labels_as_whole_numbers() -> None:
    predictions = detection(labels=[0.0, 2.0, 1.0], class_names=["x", "y", "z"], boxes=np.array([BOX] * 3, dtype="f4"))
    assert (len(predictions), predictions.n_boxes) == (3, 3)
    assert predictions.item_ids == ("a", "empty", "c")
    assert predictions.labels.dtype == np.int64
    assert predictions.labels.tolist() == [0, 2, 1]
    assert predictions.offsets.tolist() == [0, 2, 2, 3]
    assert predictions.boxes.dtype == np.float32
    assert predictions.class_names == ("x", "y", "z")
    assert predictions.class_probabilities is None


def test_boxes_without_area_and_on_the_edge_are_accepted() -> None:
    edge = [[0, 0, 0, 0], [1, 1, 1, 1], [0, 0.5, 1, 0.5]]
    assert detection(boxes=edge).boxes.tolist() == edge


def test_a_background_column_may_be_without_a_name() -> None:
    predictions = detection(class_probabilities=[[0.1, 0.2, 0.3, 0.4]] * 3, class_names=["x", "y", "z"])
    assert predictions.class_names == ("x", "y", "z")


@pytest.mark.parametrize("nothing", [[], np.empty((0, 4)), np.empty(0)], ids=["list", "(0, 4)", "(0,)"])
def test_a_pool_in_which_nothing_was_found_is_accepted(nothing: Any) -> None:
    predictions = DetectionPredictions(("a", "b"), nothing, np.empty(0), np.empty(0, dtype=np.int64), np.zeros(3, dtype=int))
    assert (len(predictions), predictions.n_boxes, predictions.boxes.shape) == (2, 0, (0, 4))


def test_lists_may_be_empty_in_every_field_at_once() -> None:
    predictions = detection(item_ids=["a"], boxes=[], scores=[], labels=[], offsets=[0, 0], class_probabilities=[])
    assert (len(predictions), predictions.n_boxes) == (1, 0)


@pytest.mark.parametrize(
    ("rows", "ids", "scores", "offsets"),
    [
        (slice(0, 1), ("a",), [0.9, 0.4], [0, 2]),
        (slice(1, 2), ("empty",), [], [0, 0]),
        (slice(1, None), ("empty", "c"), [1.0], [0, 0, 1]),
        (slice(-1, None), ("c",), [1.0], [0, 1]),
        (slice(None), ("a", "empty", "c"), [0.9, 0.4, 1.0], [0, 2, 2, 3]),
    ],
)
def test_a_slice_of_detections_takes_its_own_boxes(
    rows: slice, ids: tuple[str, ...], scores: list[float], offsets: list[int]
) -> None:
    part = detection(class_probabilities=[[0.9, 0.1, 0], [0.3, 0.3, 0.4], [0, 1, 0]], class_names=["x", "y", "z"])[rows]
    assert (part.item_ids, part.scores.tolist(), part.offsets.tolist()) == (ids, scores, offsets)
    assert part.class_names == ("x", "y", "z")
    assert part.class_probabilities is not None
    assert part.class_probabilities.max(axis=1, initial=0).tolist() == [{0.9: 0.9, 0.4: 0.4, 1.0: 1.0}[s] for s in scores]
    assert part.boxes.shape == (len(scores), 4)


@pytest.mark.parametrize("rows", [slice(2, 1), slice(3, None), slice(None, None, 2), slice(None, None, -1), 0])
def test_a_slice_of_detections_that_is_empty_or_has_a_step_is_refused(rows: slice) -> None:
    with pytest.raises(ValueError, match="of 3 items; expected a slice of one or more items in a row"):
        detection()[rows]


def softmax_by_hand(row: list[float]) -> list[float]:
    return [math.exp(logit) / math.fsum(map(math.exp, row)) for logit in row]


LOGITS = [[0.0, 1.0, 3.0], [2.0, 2.0, -1.0], [5.0, 0.0, 1.0]]


@pytest.mark.parametrize(
    ("background", "labels"),
    [(None, [2, 0, 0]), (-1, [1, 0, 0]), (2, [1, 0, 0]), (0, [2, 1, 2]), (-3, [2, 1, 2])],
)
def test_logits_give_the_best_class_that_is_not_background(background: int | None, labels: list[int]) -> None:
    predictions = DetectionPredictions.from_logits(
        ["a", "b"], [BOX] * 3, LOGITS, [0, 1, 3], background=background, class_names=["x", "y", "z"]
    )
    expected = [softmax_by_hand(row) for row in LOGITS]
    assert predictions.labels.tolist() == labels
    assert predictions.scores == pytest.approx([row[label] for row, label in zip(expected, labels, strict=True)], rel=1e-12)
    assert predictions.class_probabilities == pytest.approx(np.array(expected), rel=1e-12)
    assert predictions.class_names == ("x", "y", "z")


@pytest.mark.parametrize(
    ("changes", "parts"),
    [
        ({"logits": [[0.0], [1.0], [2.0]]}, ["logits has shape (3, 1)", "at least two columns"]),
        ({"logits": [[0.0, 1.0], [NAN, 1.0], [2.0, 3.0]]}, ["logits of box 0 of 'b'", "finite"]),
        ({"logits": [[0.0, 1.0]]}, ["offsets runs from 0 to 3", "number of boxes, 1"]),
        ({"boxes": [BOX]}, ["boxes", "3"]),
        ({"background": 3}, ["background is column 3 of 3", "-1 for the last"]),
        ({"background": -4}, ["background is column -4 of 3", "-1 for the last"]),
        ({"class_names": list("wxyz")}, ["class_names has 4 names for 3 columns"]),
    ],
)
def test_bad_logits_of_detections_are_refused(changes: dict[str, Any], parts: list[str]) -> None:
    fields: dict[str, Any] = {"item_ids": ["a", "b"], "boxes": [BOX] * 3, "logits": LOGITS, "offsets": [0, 1, 3]}
    with pytest.raises(ValueError) as refusal:
        DetectionPredictions.from_logits(**{**fields, **changes})
    assert [part for part in parts if part not in str(refusal.value)] == []


# --- both ------------------------------------------------------------------------------------------------------------


def test_predictions_survive_a_pickle() -> None:
    first = classification(["a", "b", "c"], np.array(GOOD, dtype="f4"))
    second = detection(class_probabilities=[[0.9, 0.1, 0], [0.3, 0.3, 0.4], [0, 1, 0]], class_names=["x", "y", "z"])
    for predictions in (first, second, second[1:], detection()):
        again = pickle.loads(pickle.dumps(predictions))
        assert type(again) is type(predictions)
        for field, value in vars(predictions).items():
            np.testing.assert_array_equal(getattr(again, field), value, strict=isinstance(value, np.ndarray))


def test_predictions_cannot_be_changed() -> None:
    for predictions in (classification(["a", "b", "c"], GOOD), detection()):
        with pytest.raises(AttributeError):
            predictions.item_ids = ("x", "y", "z")  # type: ignore[misc]
        for value in vars(predictions).values():
            assert not isinstance(value, np.ndarray) or not value.flags.writeable
