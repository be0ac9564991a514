"""What predictions of every kind say of an image, in the form that a page shows."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from al_agent.report.round.facts import Box
from al_agent.report.round.gathering.marks import Predictions, box_counts, classes_of, marks_of
from scorers import (
    ClassificationPredictions,
    DetectionPredictions,
    EnsemblePredictions,
    KeypointPredictions,
    SegmentationPredictions,
)

ANIMALS = ("cat", "dog", "cow")


def detections(**changes: Any) -> DetectionPredictions:
    """Three items: two boxes, none, three boxes of which two are equally sure."""
    given: dict[str, Any] = {
        "item_ids": ["two.jpg", "none.jpg", "three.jpg"],
        "boxes": [[0.1, 0.1, 0.4, 0.5], [0, 0, 1, 1], [0, 0, 0.5, 0.5], [0.5, 0, 1, 0.5], [0.2, 0.2, 0.2, 0.2]],
        "scores": [0.25, 0.75, 0.5, 0.9, 0.9],
        "labels": [0, 2, 0, 1, 2],
        "offsets": [0, 2, 2, 5],
        "class_names": ANIMALS,
    }
    return DetectionPredictions(**{**given, **changes})


def argmax_map(mask: npt.NDArray[np.int64], n_classes: int) -> npt.NDArray[np.float32]:
    return np.eye(n_classes, dtype=np.float32)[mask] * np.float32(0.8) + np.float32(0.2 / n_classes)


def test_marks_come_in_the_order_of_the_ids_and_without_those_that_have_no_prediction() -> None:
    predictions = ClassificationPredictions(
        ["a", "b", "c"], [[0.5, 0.25, 0.25], [0.0, 0.0, 1.0], [0.125, 0.75, 0.125]], class_names=ANIMALS
    )
    marks = marks_of(predictions, ["c", "unknown", "a"])
    assert [(item_id, one.label) for item_id, one in marks.items()] == [("c", "dog 0.75"), ("a", "cat 0.50")]


def test_one_column_is_the_positive_class_of_two() -> None:
    predictions = ClassificationPredictions(["a", "b"], [[0.75], [0.25]], class_names=["no", "yes"])
    assert [one.label for one in marks_of(predictions, ["a", "b"]).values()] == ["yes 0.75", "no 0.75"]
    names, codes = classes_of(predictions)
    assert (names, codes.tolist()) == (("no", "yes"), [1, 0])


def test_a_committee_is_shown_by_its_mean_and_not_by_its_votes() -> None:
    votes = [[0.55, 0.45, 0.0], [0.55, 0.45, 0.0], [0.0, 1.0, 0.0]]
    predictions = EnsemblePredictions(["a"], [votes], class_names=ANIMALS)
    assert marks_of(predictions, ["a"])["a"].label == "dog 0.63"
    names, codes = classes_of(predictions)
    assert (names, codes.tolist()) == (ANIMALS, [1])


def test_boxes_come_surest_first_with_their_names() -> None:
    marks = marks_of(detections(), ["two.jpg", "none.jpg"])
    assert marks["two.jpg"].boxes == (Box("cow", 0.75, (0, 0, 1, 1)), Box("cat", 0.25, (0.1, 0.1, 0.4, 0.5)))
    assert marks["none.jpg"].boxes == ()
    assert marks_of(detections(class_names=None), ["two.jpg"])["two.jpg"].boxes[0].label == "2"


def test_the_class_of_an_item_is_that_of_its_surest_box_and_of_ties_the_first() -> None:
    names, codes = classes_of(detections())
    assert (names, codes.tolist()) == (ANIMALS, [2, -1, 1])


def test_labels_without_names_are_named_by_their_numbers_however_large() -> None:
    names, codes = classes_of(detections(class_names=None, labels=[0, 2_000_000_000, 0, 7, 2]))
    assert [names[code] if code >= 0 else None for code in codes.tolist()] == ["2000000000", None, "7"]


def test_a_detector_that_found_nothing_at_all_has_no_classes() -> None:
    predictions = DetectionPredictions(["a", "b"], [], [], [], [0, 0, 0])
    names, codes = classes_of(predictions)
    assert (names, codes.tolist()) == ((), [-1, -1])
    assert box_counts(predictions, ["a"]) == {}


def test_boxes_are_counted_in_the_given_items_alone() -> None:
    assert box_counts(detections(), ["three.jpg", "unknown"]) == {"cat": 1, "dog": 1, "cow": 1}
    assert list(box_counts(detections(), ["three.jpg", "two.jpg"]).items())[-1] == ("dog", 1)
    assert box_counts(detections(class_names=["x", "y", "x"]), ["three.jpg"]) == {"x": 2, "y": 1}
    assert box_counts(detections(), []) == {}


def test_keypoints_keep_their_places_and_are_nan_where_not_predicted() -> None:
    predictions = KeypointPredictions(
        ["two.jpg", "none.jpg"],
        [[[0.2, 0.3], [1.5, -0.5]], [[0.7, 0.25], [0.9, 0.9]]],
        [[0.9, 0.8], [0.6, 0.1]],
        [0, 2, 2],
        is_predicted=[[True, True], [True, False]],
    )
    marks = marks_of(predictions, predictions.item_ids)
    expected = [[[0.2, 0.3], [1.5, -0.5]], [[0.7, 0.25], [np.nan, np.nan]]]
    np.testing.assert_array_equal(marks["two.jpg"].points, expected)
    points = marks["none.jpg"].points
    assert points is not None and points.shape == (0, 2, 2)
    names, codes = classes_of(predictions)
    assert (names, codes.tolist()) == ((), [-1, -1])


def test_keypoints_without_places_give_no_points() -> None:
    predictions = KeypointPredictions(["a"], None, [[0.9, 0.8]], [0, 1])
    assert marks_of(predictions, ["a"])["a"].points is None


def test_a_mask_is_the_likeliest_class_of_each_pixel() -> None:
    mask = np.random.default_rng(0).integers(0, 3, (40, 60))
    predictions = SegmentationPredictions(["a"], [argmax_map(mask, 3)], class_names=ANIMALS)
    marks = marks_of(predictions, ["a"])["a"]
    np.testing.assert_array_equal(marks.mask, mask)
    assert marks.mask_names == ANIMALS


def test_a_mask_is_minus_one_where_it_is_not_looked_at() -> None:
    mask = np.random.default_rng(1).integers(0, 3, (9, 7))
    seen = np.random.default_rng(2).random((9, 7)) < 0.5
    predictions = SegmentationPredictions(["a"], [argmax_map(mask, 3)], masks=[seen])
    marks = marks_of(predictions, ["a"])["a"]
    np.testing.assert_array_equal(marks.mask, np.where(seen, mask, -1))
    assert marks.mask_names == ("0", "1", "2")


def test_passes_are_averaged_pixel_by_pixel_and_logits_are_turned_into_probabilities_first() -> None:
    logits = np.zeros((2, 2, 1, 2))  # passes, classes, rows, columns
    logits[0, 0, 0, 0], logits[1, 1, 0, 0] = 9.0, 3.0
    logits[0, 0, 0, 1], logits[1, 1, 0, 1] = 0.5, 9.0
    predictions = SegmentationPredictions.from_logits(["a"], [logits], class_axis=0)
    np.testing.assert_array_equal(marks_of(predictions, ["a"])["a"].mask, [[0, 1]])


@pytest.mark.parametrize(
    ("shape", "reduced"),
    [
        ((256, 200), (256, 200)),
        ((600, 1000), (150, 250)),
        ((1000, 3), (250, 1)),
        ((1, 5000), (1, 250)),
        ((257, 256), (129, 128)),
        ((1, 1), (1, 1)),
    ],
)
def test_a_large_map_is_reduced_evenly(shape: tuple[int, int], reduced: tuple[int, int]) -> None:
    along = np.arange(max(shape)) * 4 // max(shape)  # four stripes across the longer side
    mask = np.broadcast_to(along[:, None] if shape[0] >= shape[1] else along, shape)
    marks = marks_of(SegmentationPredictions(["a"], [argmax_map(mask, 4)]), ["a"])["a"]
    assert marks.mask is not None and marks.mask.shape == reduced
    found = np.arange(max(reduced)) * 4 // max(reduced)
    is_off = marks.mask != (found[:, None] if shape[0] >= shape[1] else found)
    assert is_off.mean() <= 3 / max(reduced)  # a pixel at each of the three borders


def test_one_map_is_read_at_a_time() -> None:
    class Reader:
        """Maps that are made when asked for, as of a file on disk."""

        shape, dtype, asked = (5, 4, 6, 3), np.dtype(np.float32), [0]

        def __len__(self) -> int:
            return self.shape[0]

        def __getitem__(self, row: int) -> npt.NDArray[np.float32]:
            self.asked.append(row)
            return argmax_map(np.full((4, 6), row % 3), 3)

    maps = Reader()
    predictions = SegmentationPredictions([f"{row}.jpg" for row in range(5)], maps)
    marks = marks_of(predictions, ["4.jpg", "2.jpg"])
    assert maps.asked[1:] == [4, 2]
    assert [np.unique(one.mask).tolist() for one in marks.values() if one.mask is not None] == [[1], [2]]
    assert classes_of(predictions)[0] == () and maps.asked[1:] == [4, 2]


def test_classes_of_a_large_pool_are_those_of_each_row() -> None:
    probabilities = np.random.default_rng(0).dirichlet(np.ones(10), 200_000).astype(np.float32)
    predictions = ClassificationPredictions([str(row) for row in range(200_000)], probabilities)
    names, codes = classes_of(predictions)
    assert names == tuple("0123456789")
    np.testing.assert_array_equal(codes, probabilities.argmax(axis=1))


def test_what_are_no_predictions_is_named() -> None:
    wrong: Any = {"a": 1}
    calls: list[Any] = [classes_of, lambda given: marks_of(given, ["a"])]
    for call in calls:
        with pytest.raises(ValueError, match="predictions is dict; expected one of ClassificationPredictions, Detection"):
            call(wrong)


def test_a_map_that_holds_no_probabilities_is_named() -> None:
    predictions: Predictions = SegmentationPredictions(["bad.png"], [np.full((2, 2, 3), 5.0)])
    with pytest.raises(ValueError, match=r"'bad\.png' at row 0, column 0"):
        marks_of(predictions, ["bad.png"])
