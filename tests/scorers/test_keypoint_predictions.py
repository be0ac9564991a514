from __future__ import annotations

import itertools
import math
import pickle
import tracemalloc
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from scorers import KeypointPredictions
from scorers.heatmaps import Activation, heights_of, local_maxima, summary

Array = npt.NDArray[np.float64]
NAN, INF = math.nan, math.inf


def predict(**changes: Any) -> KeypointPredictions:
    """Three items with 2, 0 and 1 instances of 2 keypoints."""
    fields: dict[str, Any] = {
        "item_ids": ["a", "empty", "c"],
        "keypoints": [[[0.1, 0.2], [0.3, 0.4]], [[0.5, 0.6], [0.7, 0.8]], [[0.9, 1.0], [0.0, 0.1]]],
        "confidences": [[0.9, 0.8], [0.7, 0.6], [0.5, 0.4]],
        "offsets": [0, 2, 2, 3],
    }
    return KeypointPredictions(**{**fields, **changes})


# --- the value -------------------------------------------------------------------------------------------------------


def test_arrays_are_held_as_given_and_not_copied() -> None:
    confidences = np.array([[0.5, 0.25]], dtype=np.float32)
    keypoints = np.array([[[0.5, 0.25], [0.0, 1.0]]], dtype=np.float32)
    predictions = KeypointPredictions(["a"], keypoints, confidences, [0, 1])
    assert np.shares_memory(predictions.confidences, confidences)
    assert predictions.keypoints is not None
    assert np.shares_memory(predictions.keypoints, keypoints)
    assert predictions.confidences.dtype == np.float32
    assert predictions.is_predicted.tolist() == [[True, True]]
    with pytest.raises(ValueError, match="read-only"):
        predictions.confidences[0, 0] = 0


def test_what_stands_where_no_keypoint_is_predicted_is_ignored_and_held_as_zero() -> None:
    predictions = predict(
        keypoints=[[[0.1, 0.2], [NAN, INF]], [[0.5, 0.6], [640.0, 480.0]], [[0.9, 1.0], [-9, 0.1]]],
        confidences=[[0.9, NAN], [0.7, 7.5], [0.5, -1]],
        is_predicted=[[True, False]] * 3,
        heatmap_entropy=[[0.1, NAN], [0.2, 2.0], [0.3, -1]],
    )
    assert predictions.confidences.tolist() == [[0.9, 0.0], [0.7, 0.0], [0.5, 0.0]]
    assert predictions.keypoints is not None
    assert predictions.keypoints[:, 1].tolist() == [[0.0, 0.0]] * 3
    assert predictions.heatmap_entropy is not None
    assert predictions.heatmap_entropy.tolist() == [[0.1, 0.0], [0.2, 0.0], [0.3, 0.0]]


def test_keypoints_outside_the_image_stay_where_they_are() -> None:
    places = [[[-0.2, 0.5], [1.0, 1.4]], [[-1, 2], [0, 0]], [[0.5, 0.5], [0.5, 0.5]]]
    predictions = predict(keypoints=places)
    assert predictions.keypoints is not None
    assert predictions.keypoints.tolist() == places


def test_positions_may_be_left_out() -> None:
    predictions = predict(keypoints=None)
    assert predictions.keypoints is None
    assert predictions[0:1].keypoints is None


@pytest.mark.parametrize("nothing", [[], np.empty((0, 17)), np.empty(0)])
def test_a_folder_without_a_single_instance_is_accepted(nothing: Any) -> None:
    predictions = KeypointPredictions(["a", "b"], [], nothing, [0, 0, 0], is_predicted=[], heatmap_entropy=[])
    assert (len(predictions), predictions.n_instances) == (2, 0)
    assert predictions.heatmap_entropy is not None


def test_a_slice_keeps_everything_of_its_instances() -> None:
    whole = predict(
        is_predicted=[[True, True], [True, False], [False, True]],
        instance_scores=[0.9, 0.8, 0.7],
        keypoint_names=["nose", "tail"],
        peak_margin=[[0.1, 0.2], [0.3, 0.4], [0.5, 0.6]],
        keypoint_spread=[[1, 2], [3, 4], [5, 6]],
    )
    part = whole[1:]
    assert (part.item_ids, part.offsets.tolist(), part.keypoint_names) == (("empty", "c"), [0, 0, 1], ("nose", "tail"))
    assert (part.confidences.tolist(), part.is_predicted.tolist()) == ([[0.0, 0.4]], [[False, True]])
    assert part.keypoints is not None
    assert part.keypoints.tolist() == [[[0.0, 0.0], [0.0, 0.1]]]
    assert part.instance_scores is not None
    assert part.peak_margin is not None
    assert part.keypoint_spread is not None
    assert (part.instance_scores.tolist(), part.peak_margin.tolist()) == ([0.7], [[0.0, 0.6]])
    assert (part.keypoint_spread.tolist(), part.heatmap_entropy) == ([[0, 6]], None)
    with pytest.raises(ValueError, match="expected a slice"):
        whole[0]  # type: ignore[index]


def test_a_pickled_copy_is_the_same() -> None:
    copy = pickle.loads(pickle.dumps(predict(instance_scores=[0.9, 0.8, 0.7])))
    assert (copy.item_ids, copy.confidences.tolist()) == (("a", "empty", "c"), [[0.9, 0.8], [0.7, 0.6], [0.5, 0.4]])
    assert repr(copy) == "KeypointPredictions(3 items, 3 instances of 2 keypoints)"


GOOD = [[0.9, 0.8], [0.7, 0.6], [0.5, 0.4]]
PLACE = [0.5, 0.5]
BAD: dict[str, tuple[dict[str, Any], list[str]]] = {
    "logits": ({"confidences": [[0.9, 0.8], [0.7, 12.5], [0.5, 0.4]]}, ["keypoint 1 of instance 1 of 'a'", "12.5", "maps"]),
    "negative": ({"confidences": [[0.9, 0.8], [0.7, 0.6], [-0.1, 0.4]]}, ["keypoint 0 of instance 0 of 'c'", "-0.1"]),
    "NaN": ({"confidences": [[NAN, 0.8], [0.7, 0.6], [0.5, 0.4]]}, ["keypoint 0 of instance 0 of 'a'", "nan"]),
    "flat": ({"confidences": [0.5, 0.5, 0.5]}, ["confidences has shape (3,)", "(m, k)"]),
    "ragged": ({"confidences": [[0.5], [0.5, 0.5], [0.5]]}, ["rows of one length"]),
    "no keypoint": ({"confidences": np.empty((3, 0)), "keypoints": None}, ["(3, 0)", "at least one keypoint"]),
    "pixels": ({"keypoints": [[PLACE, PLACE], [PLACE, [320, 240]], [PLACE] * 2]}, ["instance 1 of 'a'", "320", "divide"]),
    "NaN position": ({"keypoints": [[PLACE] * 2, [PLACE] * 2, [[NAN, 0.5], PLACE]]}, ["instance 0 of 'c'", "nan"]),
    "with visibility": ({"keypoints": [[[0.5, 0.5, 2]] * 2] * 3}, ["keypoints has shape (3, 2, 3)", "(3, 2, 2)"]),
    "fewer positions": ({"keypoints": [[PLACE] * 2] * 2}, ["keypoints has shape (2, 2, 2)", "(3, 2, 2)"]),
    "offsets end early": ({"offsets": [0, 2, 2, 2]}, ["from 0 to the number of instances, 3"]),
    "offsets for other items": ({"offsets": [0, 3]}, ["offsets has 2 values for 3 item ids"]),
    "visibility": ({"is_predicted": [[2, 1], [0, 2], [1, 1]]}, ["type int64", "booleans", "visibility > 0"]),
    "mask of instances": ({"is_predicted": [True, False, True]}, ["shape (3,)", "(3, 2)"]),
    "score": ({"instance_scores": [0.5, 0.5, 1.5]}, ["the score of instance 0 of 'c' is 1.5"]),
    "scores": ({"instance_scores": [0.5, 0.5]}, ["instance_scores has 2 rows for 3 instances"]),
    "names": ({"keypoint_names": ["nose"]}, ["1 names for 2 keypoints"]),
    "one name": ({"keypoint_names": "nose"}, ["single string 'nose'"]),
    "entropy": (
        {"heatmap_entropy": [[1.5, 0], [0, 0], [0, 0]]},
        ["heatmap_entropy of keypoint 0 of instance 0 of 'a'", "1.5"],
    ),
    "spread": ({"keypoint_spread": [[0, 0], [0, -1], [0, 0]]}, ["keypoint_spread of keypoint 1", "-1", "0 or more"]),
    "infinite": ({"multiple_peak_entropy": [[0, 0], [0, INF], [0, 0]]}, ["multiple_peak_entropy of", "inf", "finite"]),
    "margins": ({"peak_margin": [0.5, 0.5, 0.5]}, ["peak_margin has shape (3,)", "(m, k)"]),
    "doubled": ({"item_ids": ["a", "b", "a"]}, ["'a'", "more than once"]),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_keypoints_are_refused_by_item(case: str) -> None:
    changes, parts = BAD[case]
    with pytest.raises(ValueError) as refusal:
        predict(**changes)
    assert [part for part in parts if part not in str(refusal.value)] == []


# --- heat maps: formulas ---------------------------------------------------------------------------------------------


def peaks_by_flooding(grid: list[list[float]]) -> set[tuple[int, int]]:
    """Flood each plateau; it is a peak where nothing beside it is higher and something is lower."""
    h, w = len(grid), len(grid[0])
    seen: set[tuple[int, int]] = set()
    peaks = set()
    for start in itertools.product(range(h), range(w)):
        if start in seen:
            continue
        plateau, beside, todo = {start}, [], [start]
        while todo:
            y, x = todo.pop()
            for other in itertools.product(range(max(0, y - 1), min(h, y + 2)), range(max(0, x - 1), min(w, x + 2))):
                if grid[other[0]][other[1]] != grid[start[0]][start[1]]:
                    beside.append(grid[other[0]][other[1]])
                elif other not in plateau:
                    plateau.add(other)
                    todo.append(other)
        seen |= plateau
        if beside and max(beside) < grid[start[0]][start[1]]:
            peaks.add(start)
    return peaks


@settings(max_examples=50, derandomize=True, database=None, deadline=None)
@given(
    maps=hnp.arrays(
        np.float64,
        st.tuples(st.integers(1, 3), st.integers(1, 7), st.integers(2, 7)),
        elements=st.integers(0, 3).map(lambda level: level / 4),
    )
)
def test_peaks_are_those_of_flooding_one_for_each_plateau(maps: Array) -> None:
    found = local_maxima(maps)
    for number, grid in enumerate(maps.tolist()):
        assert set(zip(*map(np.ndarray.tolist, np.nonzero(found[number])), strict=True)) == peaks_by_flooding(grid)


def test_a_wide_bent_plateau_is_one_peak_and_a_shoulder_none() -> None:
    comb = np.zeros((1, 5, 9))
    comb[0, :, ::4] = comb[0, 4, :] = 0.5
    assert np.argwhere(local_maxima(comb)[0]).tolist() == [[0, 0]]
    comb[0, 2, 8] = 0.75
    assert np.argwhere(local_maxima(comb)[0]).tolist() == [[2, 8]]  # the teeth hang together with what is beside it


def by_hand(grid: list[list[float]]) -> dict[str, float]:
    """The numbers of one map of heights, pixel by pixel."""
    h, w = len(grid), len(grid[0])
    cells = [(min(max(grid[y][x], 0.0), 1.0), (x + 0.5) / w, (y + 0.5) / h) for y in range(h) for x in range(w)]
    total = math.fsum(height for height, _, _ in cells)
    shares = [height / total if total else 1 / len(cells) for height, _, _ in cells]
    mean_x = math.fsum(share * x for share, (_, x, _) in zip(shares, cells, strict=True))
    mean_y = math.fsum(share * y for share, (_, _, y) in zip(shares, cells, strict=True))
    squares = math.fsum(s * ((x - mean_x) ** 2 + (y - mean_y) ** 2) for s, (_, x, y) in zip(shares, cells, strict=True))
    heights = sorted((cells[y * w + x][0] for y, x in peaks_by_flooding(grid) if grid[y][x] > 0), reverse=True)
    powers = [math.exp(height) for height in heights]
    return {
        "confidence": max(height for height, _, _ in cells),
        "entropy": -math.fsum(share * math.log(share) for share in shares if share > 0) / math.log(len(cells)),
        "spread": math.sqrt(squares) / math.sqrt(2),
        "peak_margin": 1 - (heights[0] - [*heights, 0.0][1]) / heights[0] if heights else 1.0,
        "multiple_peak_entropy": -math.fsum(p / sum(powers) * math.log(p / sum(powers)) for p in powers),
    }


@settings(max_examples=50, derandomize=True, database=None, deadline=None)
@given(
    maps=hnp.arrays(
        np.float64,
        st.tuples(st.integers(1, 3), st.integers(1, 6), st.integers(2, 6)),
        elements=st.floats(-0.4, 1.4) | st.sampled_from([0.0, 0.5, 1.0, 1.25]),
    )
)
def test_what_is_kept_of_a_heat_map_equals_a_plain_loop(maps: Array) -> None:
    found = summary(maps, "none")
    for number, grid in enumerate(maps.tolist()):
        expected = by_hand(grid)
        assert found.confidences[number] == expected["confidence"]
        assert found.entropy[number] == pytest.approx(expected["entropy"], abs=1e-9)
        assert found.spread[number] == pytest.approx(expected["spread"], abs=1e-9)
        assert found.peak_margin[number] == pytest.approx(expected["peak_margin"], abs=1e-12)
        assert found.multiple_peak_entropy[number] == pytest.approx(expected["multiple_peak_entropy"], abs=1e-12)


def bump(h: int, w: int, x: float, y: float, sigma: float) -> Array:
    ys, xs = np.mgrid[:h, :w] + 0.5
    return np.asarray(np.exp(-((xs - x) ** 2 + (ys - y) ** 2) / (2 * sigma**2)))


def test_a_gaussian_bump_has_the_place_entropy_and_spread_of_the_gaussian() -> None:
    h, w, sigma = 64, 48, 2.0
    found = summary(bump(h, w, 20.5, 33.5, sigma)[None], "none")
    assert found.positions.tolist() == [[20.5 / w, 33.5 / h]]
    assert found.confidences.tolist() == [1.0]
    assert found.entropy == pytest.approx([math.log(2 * math.pi * math.e * sigma**2) / math.log(h * w)], rel=1e-6)
    assert found.spread == pytest.approx([math.sqrt((sigma**2 / w**2 + sigma**2 / h**2) / 2)], rel=1e-6)
    assert (found.peak_margin.tolist(), found.multiple_peak_entropy.tolist()) == ([0.0], [0.0])


def test_a_second_bump_is_seen_and_saturated_heights_are_no_second_peak() -> None:
    twins = np.maximum(bump(32, 32, 8.5, 8.5, 2), 0.5 * bump(32, 32, 24.5, 24.5, 2))[None]
    assert summary(twins, "none").peak_margin == pytest.approx([0.5])
    high = 1.4 * bump(32, 32, 8.5, 8.5, 4)[None]  # a plateau of ones after clipping
    found = summary(high, "none")
    assert (found.confidences.tolist(), found.peak_margin.tolist(), found.positions.tolist()) == (
        [1.0],
        [0.0],
        [[8.5 / 32, 8.5 / 32]],
    )
    logits = 60 * bump(32, 32, 8.5, 8.5, 4)[None]  # whose logistic function is 1 around the peak
    assert summary(logits, "sigmoid").peak_margin == pytest.approx([0.0])


@pytest.mark.parametrize(("value", "activation"), [(0.0, "none"), (0.5, "none"), (-3.0, "softmax"), (9.0, "sigmoid")])
def test_a_flat_map_is_of_no_use_and_points_at_its_centre(value: float, activation: Activation) -> None:
    found = summary(np.full((1, 5, 4), value), activation)
    assert found.positions.tolist() == [[0.5, 0.5]]
    assert found.entropy == pytest.approx([1.0])
    assert (found.peak_margin.tolist(), found.multiple_peak_entropy.tolist()) == ([1.0], [0.0])
    assert found.spread == pytest.approx([math.sqrt(((1 - 1 / 16) / 12 + (1 - 1 / 25) / 12) / 2)])


def test_activations_are_the_softmax_of_a_map_and_the_logistic_function_of_a_pixel() -> None:
    logits = np.random.default_rng(0).normal(scale=5, size=(2, 4, 3))
    shares, pixels = heights_of(logits, "softmax"), heights_of(logits, "sigmoid")
    for number in range(2):
        powers = [math.exp(value) for value in logits[number].ravel().tolist()]
        assert shares[number].ravel() == pytest.approx([power / math.fsum(powers) for power in powers], rel=1e-12)
    assert pixels == pytest.approx(np.array([1 / (1 + math.exp(-v)) for v in logits.ravel().tolist()]).reshape(2, 4, 3))
    extreme = np.array([[[1e308, -1e308, 0.0]]])
    assert heights_of(extreme, "softmax").tolist() == [[[1, 0, 0]]]
    assert heights_of(extreme, "sigmoid").tolist() == [[[1, 0, 0.5]]]


# --- heat maps: predictions ------------------------------------------------------------------------------------------


def random_maps(seed: int, m: int, k: int, h: int = 8, w: int = 6) -> Array:
    return np.random.default_rng(seed).random((m, k, h, w))


def test_boxes_put_the_peaks_of_crops_back_into_the_image() -> None:
    maps = np.zeros((2, 1, 4, 5))
    maps[0, 0, 3, 0] = maps[1, 0, 0, 4] = 0.5
    boxes = [[0.2, 0.4, 0.7, 0.8], [-0.1, 0.0, 0.4, 1.2]]
    crops = KeypointPredictions.from_heatmaps(["a", "b"], maps, [0, 1, 2], boxes=boxes)
    assert crops.keypoints == pytest.approx(np.array([[[0.25, 0.75]], [[0.35, 0.15]]]))
    whole = KeypointPredictions.from_heatmaps(["a", "b"], maps, [0, 1, 2])
    assert whole.keypoints == pytest.approx(np.array([[[0.1, 0.875]], [[0.9, 0.125]]]))
    assert whole.confidences.tolist() == [[0.5], [0.5]]


@pytest.mark.parametrize("dtype", ["f2", "f4", "f8"])
def test_a_generator_of_maps_gives_the_numbers_of_the_array(dtype: str) -> None:
    maps = random_maps(0, 5, 3).astype(dtype)
    options: dict[str, Any] = {"instance_scores": [0.5] * 5, "keypoint_names": ["x", "y", "z"]}
    whole = KeypointPredictions.from_heatmaps(["a", "b"], maps, [0, 2, 5], **options)
    streamed = KeypointPredictions.from_heatmaps(["a", "b"], iter(maps.tolist()), [0, 2, 5], **options)
    alone = KeypointPredictions.from_heatmaps(["b"], maps[2:], [0, 3])
    for name in ("keypoints", "confidences", "heatmap_entropy", "peak_margin", "multiple_peak_entropy", "keypoint_spread"):
        assert getattr(streamed, name).tolist() == getattr(whole, name).tolist()
        assert getattr(alone, name).tolist() == getattr(whole, name)[2:].tolist()


def test_maps_are_read_one_instance_at_a_time() -> None:
    def maps() -> Iterator[npt.NDArray[np.float32]]:
        rng = np.random.default_rng(0)
        for _ in range(40):
            yield rng.random((17, 64, 48), dtype=np.float32)  # 0.2 MB each, 8 MB in all

    tracemalloc.start()
    try:
        KeypointPredictions.from_heatmaps(["a"], maps(), [0, 40])
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 6e6


def test_padded_keypoints_of_heat_maps_are_left_out() -> None:
    predictions = KeypointPredictions.from_heatmaps(["a"], random_maps(1, 1, 2), [0, 1], is_predicted=[[True, False]])
    assert predictions.heatmap_entropy is not None
    assert predictions.heatmap_entropy[0, 0] > 0
    assert (predictions.confidences[0, 1], predictions.heatmap_entropy[0, 1]) == (0, 0)


def test_no_instances_need_no_maps_and_keep_the_measures() -> None:
    predictions = KeypointPredictions.from_heatmaps(["a", "b"], [], [0, 0, 0], boxes=[])
    assert predictions.n_instances == 0
    assert predictions.multiple_peak_entropy is not None


BAD_MAPS: dict[str, tuple[dict[str, Any], list[str]]] = {
    "logits": ({"heatmaps": 9 * random_maps(0, 3, 2)}, ["heat maps of instance 0 of 'a'", "activation='softmax'"]),
    "negative": ({"heatmaps": [*random_maps(0, 2, 2), np.full((2, 8, 6), -0.6)]}, ["instance 0 of 'c'", "-0.6"]),
    "NaN": (
        {"heatmaps": [*random_maps(0, 2, 2), np.full((2, 8, 6), NAN)]},
        ["of 'c'", "keypoint 0 is not finite"],
    ),
    "one map": ({"heatmaps": random_maps(0, 1, 3)[0]}, ["heat maps of instance 0 of 'a' has shape (8, 6)", "(k, h, w)"]),
    "one pixel": ({"heatmaps": np.ones((3, 2, 1, 1))}, ["shape (2, 1, 1)", "at least 2 pixels"]),
    "no pixel": ({"heatmaps": np.ones((3, 2, 0, 4))}, ["shape (2, 0, 4)"]),
    "other k": (
        {"heatmaps": [*random_maps(0, 2, 2), *random_maps(0, 1, 4)]},
        ["of 'c' are 4", "the first are 2"],
    ),
    "too few": ({"heatmaps": random_maps(0, 2, 2)}, ["heatmaps has 2 instances, offsets has 3"]),
    "without end": ({"heatmaps": (each for each in itertools.cycle(random_maps(0, 1, 2)))}, ["more than the 3 instances"]),
    "unknown": ({"activation": "relu"}, ["activation is 'relu'", "none, softmax, sigmoid"]),
    "boxes": ({"boxes": [[0, 0, 1, 1]]}, ["boxes has shape (1, 4)", "(3, 4)"]),
    "sizes": ({"boxes": [[0, 0, 1, 1], [0.5, 0.5, 0.2, 0.2], [0, 0, 1, 1]]}, ["boxes[1]", "x0 < x1"]),
    "pixels": ({"boxes": [[0, 0, 1, 1], [10, 10, 90, 90], [0, 0, 1, 1]]}, ["instance 1 of 'a'", "divide pixels"]),
    "offsets": ({"offsets": [0, 2, 3]}, ["offsets has 3 values for 3 item ids"]),
    "fractions": ({"offsets": [0, 1.5, 2, 3]}, ["offsets holds fractions"]),
}


@pytest.mark.parametrize("case", BAD_MAPS)
def test_bad_heat_maps_are_refused_by_item(case: str) -> None:
    fields: dict[str, Any] = {"item_ids": ["a", "empty", "c"], "heatmaps": random_maps(0, 3, 2), "offsets": [0, 2, 2, 3]}
    changes, parts = BAD_MAPS[case]
    with pytest.raises(ValueError) as refusal:
        KeypointPredictions.from_heatmaps(**{**fields, **changes})
    assert [part for part in parts if part not in str(refusal.value)] == []


# --- passes ----------------------------------------------------------------------------------------------------------


def test_passes_give_means_and_the_spread_of_their_positions() -> None:
    rng = np.random.default_rng(0)
    places, sure = rng.random((5, 3, 4, 2)), rng.random((5, 3, 4))
    boxes = np.array([[0, 0, 0.5, 0.25], [0.5, 0.5, 1, 1], [0, 0, 1, 1]])
    plain = KeypointPredictions.from_passes(["a", "b"], places, sure, [0, 1, 3])
    boxed = KeypointPredictions.from_passes(["a", "b"], places, sure, [0, 1, 3], boxes=boxes)
    assert plain.confidences == pytest.approx(sure.mean(axis=0))
    assert plain.keypoints == pytest.approx(places.mean(axis=0))
    for row, column in itertools.product(range(3), range(4)):
        path = places[:, row, column]
        w, h = boxes[row, 2:] - boxes[row, :2]
        for predictions, unit in ((plain, np.ones(2)), (boxed, np.array([w, h]))):
            steps = [float(((place - path.mean(axis=0)) / unit) @ ((place - path.mean(axis=0)) / unit)) for place in path]
            assert predictions.keypoint_spread is not None
            assert predictions.keypoint_spread[row, column] == pytest.approx(math.sqrt(math.fsum(steps) / 5 / 2))


def test_spread_over_passes_is_in_the_unit_of_the_spread_of_a_heat_map() -> None:
    maps = np.zeros((1, 1, 10, 10))
    maps[0, 0, 2, 1] = maps[0, 0, 2, 7] = 0.5
    box = [[0.25, 0.25, 0.5, 0.75]]
    mapped = KeypointPredictions.from_heatmaps(["a"], maps, [0, 1], boxes=box)
    ends = [[[[0.25 + 0.25 * x, 0.25 + 0.5 * 0.25]]] for x in (0.15, 0.75)]
    passed = KeypointPredictions.from_passes(["a"], ends, [[[0.5]], [[0.5]]], [0, 1], boxes=box)
    assert mapped.keypoint_spread == pytest.approx(np.array([[0.3 / math.sqrt(2)]]))
    assert passed.keypoint_spread == pytest.approx(mapped.keypoint_spread)


def test_equal_passes_have_no_spread_at_all_and_their_order_does_not_matter() -> None:
    rng = np.random.default_rng(1)
    places, sure = rng.random((1, 4, 3, 2)), rng.random((1, 4, 3))
    same = KeypointPredictions.from_passes(["a"], places.repeat(7, 0), sure.repeat(7, 0), [0, 4])
    assert same.keypoint_spread is not None
    assert same.keypoint_spread.tolist() == np.zeros((4, 3)).tolist()
    places, sure = rng.random((6, 4, 3, 2)), rng.random((6, 4, 3))
    forth, back = (KeypointPredictions.from_passes(["a"], places[::s], sure[::s], [0, 4]) for s in (1, -1))
    assert forth.keypoint_spread == pytest.approx(back.keypoint_spread, rel=1e-12)


BAD_PASSES: dict[str, tuple[dict[str, Any], list[str]]] = {
    "one pass": ({"confidences": np.full((1, 1, 2), 0.5)}, ["(1, 1, 2)", "at least 2 passes"]),
    "no passes axis": ({"confidences": np.full((1, 2), 0.5)}, ["confidences has shape (1, 2)", "(t, m, k)"]),
    "other shape": ({"keypoints": np.full((3, 2, 1, 2), 0.5)}, ["keypoints has shape (3, 2, 1, 2)", "(3, 1, 2, 2)"]),
    "logit": ({"confidences": [[[0.5, 0.5]], [[0.5, 0.5]], [[0.5, 3.0]]]}, ["keypoint 1 of instance 0 of 'a' in pass 2"]),
    "pixel": ({"keypoints": [[[PLACE] * 2], [[PLACE, [9, 0]]], [[PLACE] * 2]]}, ["of 'a' in pass 1", "divide pixels"]),
    "boxes": ({"boxes": [[0, 0, 0, 1]]}, ["boxes[0]", "x0 < x1"]),
}


@pytest.mark.parametrize("case", BAD_PASSES)
def test_bad_passes_are_refused_by_item_and_pass(case: str) -> None:
    fields: dict[str, Any] = {
        "item_ids": ["a"],
        "keypoints": np.full((3, 1, 2, 2), 0.5),
        "confidences": np.full((3, 1, 2), 0.5),
        "offsets": [0, 1],
    }
    changes, parts = BAD_PASSES[case]
    with pytest.raises(ValueError) as refusal:
        KeypointPredictions.from_passes(**{**fields, **changes})
    assert [part for part in parts if part not in str(refusal.value)] == []
