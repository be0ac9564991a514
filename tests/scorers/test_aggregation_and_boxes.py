from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scorers.aggregation import aggregate, check_aggregation
from scorers.boxes import iou, kept_by_nms

Array = npt.NDArray[np.float64]
Box = tuple[float, ...]

NAMES = ["sum", "mean", "max", "top1_mean", "top3_mean", "top1000_mean"]


def aggregate_by_hand(values: list[float], name: str, empty: float) -> float:
    if not values:
        return empty
    if name.startswith("top"):
        k = int(name[3:-5])
        values, name = sorted(values, reverse=True)[:k], "mean"
    return {"sum": math.fsum(values), "max": max(values), "mean": math.fsum(values) / len(values)}[name]


def flat(images: list[list[float]]) -> tuple[Array, npt.NDArray[np.int64]]:
    offsets = np.cumsum([0, *map(len, images)])
    return np.array([value for image in images for value in image], dtype=np.float64), offsets.astype(np.int64)


images_of_values = st.lists(st.lists(st.floats(-100, 100) | st.sampled_from([0.0, 0.5, 1.0]), max_size=12), max_size=8)


@settings(max_examples=200, deadline=None)
@given(images=images_of_values, name=st.sampled_from(NAMES), empty=st.sampled_from([0.0, 1.0, -7.5]))
def test_aggregate_equals_a_loop_over_the_images(images: list[list[float]], name: str, empty: float) -> None:
    expected = [aggregate_by_hand(image, name, empty) for image in images]
    assert aggregate(*flat(images), name, empty=empty) == pytest.approx(expected, abs=1e-9)


@settings(max_examples=100, deadline=None)
@given(images=images_of_values, name=st.sampled_from(NAMES))
def test_the_aggregate_of_an_image_does_not_depend_on_the_other_images(images: list[list[float]], name: str) -> None:
    alone = [aggregate(*flat([image]), name).item() for image in images]
    assert aggregate(*flat(images), name).tolist() == alone


def test_the_sum_of_many_boxes_is_the_same_beside_other_images_to_the_last_bit() -> None:
    # sums of more than eight and more than 128 numbers are taken apart by numpy
    images = [np.random.default_rng(n).random(n).tolist() for n in (3, 7, 8, 9, 127, 129, 1000, 0, 31)]
    for name in NAMES:
        alone = [aggregate(*flat([image]), name).item() for image in images]
        assert aggregate(*flat(images), name).tolist() == alone


@pytest.mark.parametrize(
    "name", ["", "median", "SUM", "top_mean", "top0_mean", "top-1_mean", "top1.5_mean", "top3_mean ", "top3_sum", "mean\n"]
)
def test_an_unknown_aggregation_is_refused_with_the_known_ones(name: str) -> None:
    with pytest.raises(ValueError, match="unknown aggregation") as refusal:
        check_aggregation(name)
    assert repr(name) in str(refusal.value)
    assert all(known in str(refusal.value) for known in ("sum", "mean", "max", "top3_mean"))
    with pytest.raises(ValueError, match="unknown aggregation"):
        aggregate(np.array([1.0]), np.array([0, 1]), name)


def test_any_k_of_top_k_is_taken() -> None:
    assert aggregate(np.array([1.0, 2.0, 6.0]), np.array([0, 3]), f"top{10**30}_mean").tolist() == [3]


def iou_by_hand(a: Box, b: Box) -> float:
    width = max(0.0, min(a[2], b[2]) - max(a[0], b[0]))
    height = max(0.0, min(a[3], b[3]) - max(a[1], b[1]))
    union = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - width * height
    return width * height / union if union > 0 else 0.0


def box_on_grid(corners: list[int]) -> Box:
    x0, x1 = sorted(corners[:2])
    y0, y1 = sorted(corners[2:])
    return (x0 / 8, y0 / 8, x1 / 8, y1 / 8)


# a coarse grid: equal boxes, touching boxes, boxes without area and exact overlaps of a half are common
boxes_on_grid = st.lists(st.integers(0, 8), min_size=4, max_size=4).map(box_on_grid)


@settings(max_examples=200, deadline=None)
@given(pairs=st.lists(st.tuples(boxes_on_grid, boxes_on_grid), min_size=1, max_size=20))
def test_iou_equals_its_definition_both_ways_round(pairs: list[tuple[Box, Box]]) -> None:
    a, b = np.array([pair[0] for pair in pairs]), np.array([pair[1] for pair in pairs])
    expected = [iou_by_hand(*pair) for pair in pairs]
    assert iou(a, b) == pytest.approx(expected, abs=1e-15)
    assert iou(b, a).tolist() == iou(a, b).tolist()
    assert iou(a, a).tolist() == [float(x1 > x0 and y1 > y0) for x0, y0, x1, y1 in a.tolist()]


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [
        ((0, 0, 0.5, 0.5), (0.5, 0, 1, 0.5), 0.0),  # they touch along an edge
        ((0, 0, 0.5, 0.5), (0.75, 0.75, 1, 1), 0.0),  # apart both ways: two negative sides are no area
        ((0, 0, 1, 1), (0.25, 0.25, 0.75, 0.75), 0.25),  # one inside the other
        ((0, 0, 0.5, 1), (0.25, 0, 0.75, 1), 1 / 3),
        ((0.5, 0.5, 0.5, 0.5), (0.5, 0.5, 0.5, 0.5), 0.0),  # no area: neither NaN nor a warning
    ],
)
def test_iou_of_known_boxes(a: Box, b: Box, expected: float) -> None:
    assert iou(np.array([a]), np.array([b])).tolist() == [pytest.approx(expected)]


def test_iou_of_half_precision_boxes_is_computed_in_full() -> None:
    corners = np.sort(np.random.default_rng(0).random((2, 100, 2, 2)), axis=2).reshape(2, 100, 4).astype(np.float16)
    expected = [iou_by_hand(tuple(a), tuple(b)) for a, b in zip(*corners.tolist(), strict=True)]
    assert iou(corners[0], corners[1]) == pytest.approx(expected, abs=1e-15)
    assert iou(corners[0], corners[0]).tolist() == [1] * 100


def nms_by_hand(boxes: list[Box], scores: list[float], labels: list[int], threshold: float) -> list[bool]:
    """One image: strongest first, the earlier of a tie; drop what overlaps a kept box of its class by more."""
    kept: list[int] = []
    for new in sorted(range(len(boxes)), key=lambda box: (-scores[box], box)):
        rivals = [old for old in kept if labels[old] == labels[new]]
        if all(iou_by_hand(boxes[new], boxes[old]) <= threshold for old in rivals):
            kept.append(new)
    return [box in kept for box in range(len(boxes))]


detections = st.lists(
    st.lists(st.tuples(boxes_on_grid, st.integers(0, 4).map(lambda s: s / 4), st.integers(0, 2)), max_size=10), max_size=5
)


@settings(max_examples=200, deadline=None)
@given(images=detections, threshold=st.sampled_from([0.0, 0.25, 1 / 3, 0.5, 0.7, 1.0]))
def test_nms_equals_a_greedy_loop_over_each_image(images: list[list[tuple[Box, float, int]]], threshold: float) -> None:
    expected = [
        kept
        for image in images
        for kept in nms_by_hand([b for b, _, _ in image], [s for _, s, _ in image], [c for _, _, c in image], threshold)
    ]
    boxes = np.array([box for image in images for box, _, _ in image]).reshape(-1, 4)
    scores = np.array([score for image in images for _, score, _ in image])
    labels = np.array([label for image in images for _, _, label in image], dtype=np.int64)
    offsets = np.cumsum([0, *map(len, images)])
    assert kept_by_nms(boxes, scores, labels, offsets, iou_threshold=threshold).tolist() == expected


def test_nms_lets_a_box_live_whose_only_rival_was_dropped() -> None:
    # b overlaps a, c overlaps b but not a: b goes, c stays
    boxes = np.array([[0, 0, 0.4, 1], [0.1, 0, 0.5, 1], [0.3, 0, 0.7, 1]])
    args = (np.array([0.9, 0.8, 0.7]), np.zeros(3, dtype=np.int64), np.array([0, 3]))
    assert kept_by_nms(boxes, *args, iou_threshold=0.3).tolist() == [True, False, True]


def test_nms_keeps_one_of_each_repeat_and_all_of_other_classes_and_images() -> None:
    boxes = np.tile([[0.1, 0.1, 0.6, 0.6]], (6, 1))
    labels, offsets = np.array([0, 0, 1, 0, 0, 1]), np.array([0, 3, 6])
    kept = kept_by_nms(boxes, np.full(6, 0.5), labels, offsets, iou_threshold=0.5)
    assert kept.tolist() == [True, False, True, True, False, True]


def test_an_overlap_equal_to_the_threshold_is_kept() -> None:
    boxes, scores = np.array([[0, 0, 0.5, 0.5], [0, 0, 0.5, 0.25]]), np.array([0.9, 0.8])
    labels, offsets = np.array([0, 0]), np.array([0, 2])
    assert kept_by_nms(boxes, scores, labels, offsets, iou_threshold=0.5).tolist() == [True, True]
    assert kept_by_nms(boxes, scores, labels, offsets, iou_threshold=0.49).tolist() == [True, False]
