from __future__ import annotations

import json
import math
import warnings
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scorers import KeypointPredictions, ScorerKeypointDetection, Scores

Array = npt.NDArray[np.float64]

MEASURES = ("heatmap_entropy", "peak_margin", "multiple_peak_entropy", "keypoint_spread")
ALWAYS = ("mean_uncertainty", "keypoint_margin", "max_keypoint_uncertainty", "instance_count", "keypoint_count")


@dataclass
class Image:
    """The instances of one image: for each, a confidence for each keypoint it has, None where it lacks one."""

    instances: list[list[float | None]] = field(default_factory=list)
    scores: list[float] = field(default_factory=list)


def predict(images: list[Image], n_keypoints: int, **more: Any) -> KeypointPredictions:
    rows = [row for image in images for row in image.instances]
    confidences = np.array([[math.nan if c is None else c for c in row] for row in rows], dtype=np.float64)
    return KeypointPredictions(
        [f"{row}.jpg" for row in range(len(images))],
        None,
        confidences.reshape(-1, n_keypoints),
        np.cumsum([0, *(len(image.instances) for image in images)]),
        is_predicted=np.isfinite(confidences.reshape(-1, n_keypoints)),
        **more,
    )


def as_lists(scores: Scores) -> dict[str, list[float]]:
    return {name: values.tolist() for name, values in scores.columns.items()}


# --- golden numbers --------------------------------------------------------------------------------------------------


def test_mean_uncertainty_equals_the_golden_numbers_of_lightly(golden: Callable[[str], Any]) -> None:
    (case,) = golden("lightly_scores")["keypoints"]
    instances = [[each["keypoints"] for each in image] for image in case["images"]]
    k = max(len(flat) // 3 for image in instances for flat in image)
    images = [
        Image([[*flat[2::3], *[None] * (k - len(flat) // 3)] for flat in image]) for image in instances
    ]  # instances of fewer keypoints, none included, are padded
    scores = ScorerKeypointDetection(predict(images, k), without_instances=0.0).scores()
    expected = case["scores"]["mean_uncertainty"]
    assert len(expected) == 12
    assert scores.column("mean_uncertainty") == pytest.approx(expected, rel=0, abs=1e-9)
    assert scores.default == "mean_uncertainty"
    counts = [sum(len(flat) // 3 for flat in image) for image in instances]
    assert scores.column("keypoint_count").tolist() == counts
    assert scores.column("instance_count").tolist() == [sum(map(bool, image)) for image in instances]


# --- a plain loop ----------------------------------------------------------------------------------------------------


def aggregated(values: list[float], how: str, empty: float) -> float:
    if not values:
        return empty
    if how == "sum":
        return math.fsum(values)
    if how == "max":
        return max(values)
    best = sorted(values, reverse=True)[: 2 if how == "top2_mean" else None]
    return math.fsum(best) / len(best)


def by_hand(image: Image, measures: dict[str, list[list[float]]], threshold: float, empty: float) -> dict[str, float]:
    per_instance: dict[str, list[float]] = {name: [] for name in ("keypoint_uncertainty", "keypoint_margin", *measures)}
    doubts: list[float] = []
    for number, row in enumerate(image.instances):
        there = [column for column, confidence in enumerate(row) if confidence is not None]
        if not there or image.scores[number] < threshold:
            continue
        confidences = [confidence for confidence in row if confidence is not None]
        doubts += [1 - confidence for confidence in confidences]
        per_instance["keypoint_uncertainty"].append(math.fsum(1 - c for c in confidences) / len(there))
        per_instance["keypoint_margin"].append(math.fsum(1 - abs(c - (1 - c)) for c in confidences) / len(there))
        for name, values in measures.items():
            per_instance[name].append(math.fsum(values[number][column] for column in there) / len(there))
    result = {name: aggregated(means, "mean", empty) for name, means in per_instance.items()}
    result["mean_uncertainty"] = result.pop("keypoint_uncertainty")
    result["max_keypoint_uncertainty"] = max(doubts, default=empty)
    result["instance_count"] = len(per_instance["keypoint_margin"])
    result["keypoint_count"] = len(doubts)
    for name, means in per_instance.items():
        for how in ("sum", "mean", "max", "top2_mean"):
            result[f"{name}_{how}"] = aggregated(means, how, empty)
    return result


confidence = st.floats(0, 1) | st.sampled_from([0.0, 0.5, 1.0])


@st.composite
def folders(draw: st.DrawFn) -> tuple[list[Image], int]:
    k = draw(st.integers(1, 4))
    instance = st.lists(confidence | st.none(), min_size=k, max_size=k)
    images = draw(st.lists(st.lists(instance, max_size=3), min_size=1, max_size=6))
    return [Image(each, [draw(confidence) for _ in each]) for each in images], k


def measures_of(seed: int, m: int, k: int) -> dict[str, Array]:
    rng = np.random.default_rng(seed)
    return {name: rng.random((m, k)) for name in MEASURES}


@settings(max_examples=50, derandomize=True, database=None, deadline=None)
@given(folder=folders(), seed=st.integers(0, 9), threshold=st.sampled_from([0.0, 0.5]), empty=st.sampled_from([0.0, 1.0]))
def test_scores_equal_a_plain_loop(folder: tuple[list[Image], int], seed: int, threshold: float, empty: float) -> None:
    images, k = folder
    m = sum(len(image.instances) for image in images)
    measures = measures_of(seed, m, k)
    predictions = predict(images, k, instance_scores=[score for image in images for score in image.scores], **measures)
    options: dict[str, Any] = {"without_instances": empty, "score_threshold": threshold}
    scores = ScorerKeypointDetection(predictions, aggregations=["sum", "mean", "max", "top2_mean"], **options).scores()
    start = 0
    for row, image in enumerate(images):
        stop = start + len(image.instances)
        mine = {name: values[start:stop].tolist() for name, values in measures.items()}
        expected = by_hand(image, mine, threshold, empty)
        assert set(scores.names) == set(expected)
        for name, value in expected.items():
            assert scores.column(name)[row] == pytest.approx(value, abs=1e-12), name
        start = stop


def test_the_formulas_on_two_people_of_two_keypoints() -> None:
    predictions = KeypointPredictions(
        ["a", "b"],
        None,
        [[0.9, 0.7], [0.4, 0.6], [1.0, 0.0]],
        [0, 2, 3],
        heatmap_entropy=[[0.2, 0.4], [0.6, 1.0], [0.0, 0.0]],
        keypoint_spread=[[0.25, 0.25], [0.0, 0.0], [1.5, 0.5]],
    )
    scores = ScorerKeypointDetection(predictions, aggregations=("max",)).scores()
    assert {name: values.round(12).tolist() for name, values in scores.columns.items()} == {
        "mean_uncertainty": [0.35, 0.5],
        "keypoint_margin": [0.6, 0.0],
        "heatmap_entropy": [0.55, 0.0],
        "keypoint_spread": [0.125, 1.0],
        "max_keypoint_uncertainty": [0.6, 1.0],
        "instance_count": [2, 1],
        "keypoint_count": [4, 2],
        "keypoint_uncertainty_max": [0.5, 0.5],
        "keypoint_margin_max": [0.8, 0.0],
        "heatmap_entropy_max": [0.8, 0.0],
        "keypoint_spread_max": [0.25, 1.0],
    }


# --- each image is scored alone --------------------------------------------------------------------------------------


@settings(max_examples=50, derandomize=True, database=None, deadline=None)
@given(folder=folders(), seed=st.integers(0, 9), data=st.data())
def test_chunks_change_no_bit_of_a_score(folder: tuple[list[Image], int], seed: int, data: st.DataObject) -> None:
    images, k = folder
    n = len(images)
    predictions = predict(images, k, **measures_of(seed, sum(len(image.instances) for image in images), k))
    options: dict[str, Any] = {"without_instances": 0.5, "aggregations": ["top2_mean"]}
    whole = as_lists(ScorerKeypointDetection(predictions, **options).scores())
    cuts = sorted(data.draw(st.sets(st.integers(1, n - 1), max_size=3))) if n > 1 else []
    chunks = [predictions[a:b] for a, b in zip([0, *cuts], [*cuts, n], strict=True)]
    assert as_lists(ScorerKeypointDetection(chunks, **options).scores()) == whole


@pytest.mark.parametrize("k", [1, 2, 17, 133])
@pytest.mark.parametrize("layout", ["C", "F"])
@pytest.mark.parametrize("dtype", ["f2", "f4", "f8"])
def test_company_layout_and_blocks_change_no_bit_of_a_score(k: int, layout: Any, dtype: str) -> None:
    rng = np.random.default_rng(k)
    m = 9_000 if k > 2 else 300
    confidences = rng.random((m, k)).astype(dtype)
    offsets = np.sort(np.concatenate([[0, 0], rng.integers(0, m, 500), [m]]))
    ids = [f"{row}.jpg" for row in range(len(offsets) - 1)]
    mask = rng.random((m, k)) < 0.9 if dtype != "f8" else None  # padding is filled in, which makes a copy of one layout
    predictions = KeypointPredictions(
        ids, None, np.asarray(confidences, order=layout), offsets, is_predicted=mask, peak_margin=confidences
    )
    whole = ScorerKeypointDetection(predictions, without_instances=0.0).scores()
    as_c = KeypointPredictions(
        ids, None, confidences.astype("f8"), offsets, is_predicted=mask, peak_margin=confidences.astype("f8")
    )
    assert as_lists(ScorerKeypointDetection(as_c, without_instances=0.0).scores()) == as_lists(whole)
    for row in (0, 1, 250, len(ids) - 1):
        alone = ScorerKeypointDetection(predictions[row : row + 1], without_instances=0.0).scores()
        assert as_lists(alone) == {name: [values[row]] for name, values in as_lists(whole).items()}


# --- images without instances, and which columns there are -----------------------------------------------------------


def test_images_without_instances_are_counted_in_a_warning_or_get_the_value_asked_for() -> None:
    predictions = predict([Image([[0.8, 0.6]]), Image([]), Image([[None, None]])], 2)
    with pytest.warns(UserWarning, match=r"2 of 3 items have no keypoints .* pass without_instances") as warned:
        scores = ScorerKeypointDetection(predictions).scores()
    assert warned[0].filename == __file__
    assert scores.column("mean_uncertainty") == pytest.approx([0.3, 0, 0])
    chosen = ScorerKeypointDetection(predictions, without_instances=1.0, aggregations=["sum"]).scores()
    for name in set(chosen.names) - {"instance_count", "keypoint_count"}:
        assert chosen.column(name)[1:].tolist() == [1, 1]
    assert chosen.column("instance_count").tolist() == [1, 0, 0]
    assert chosen.column("keypoint_count").tolist() == [2, 0, 0]


def test_nothing_is_warned_of_where_every_image_has_keypoints_and_the_warning_counts_all_chunks() -> None:
    full, empty = predict([Image([[0.8, 0.6]])], 2), predict([Image([])], 2)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        ScorerKeypointDetection(full).scores()
    chunks = [full, *(KeypointPredictions([f"none {row}"], None, empty.confidences, [0, 0]) for row in range(3))]
    with pytest.warns(UserWarning, match="3 of 4 items") as warned:
        ScorerKeypointDetection(chunks).scores()
    assert len(warned) == 1


def test_columns_from_heat_maps_are_there_in_chunks_without_instances_too() -> None:
    maps = np.random.default_rng(0).random((2, 3, 8, 6))
    chunks = [
        KeypointPredictions.from_heatmaps(["a", "b"], maps, [0, 1, 2]),
        KeypointPredictions.from_heatmaps(["c"], [], [0, 0]),
    ]
    scores = ScorerKeypointDetection(chunks, without_instances=0.0).scores()
    assert set(scores.names) == {*ALWAYS, *MEASURES}
    assert scores.column("peak_margin")[0] == pytest.approx(float(np.mean(chunks[0].peak_margin[0])))  # type: ignore[index]
    assert scores.column("peak_margin")[2] == 0


def test_a_chunk_that_lacks_a_measure_of_the_others_is_refused() -> None:
    chunks = [predict([Image([[0.5]])], 1, peak_margin=[[0.5]]), predict([Image([[0.5]])], 1)]
    with pytest.raises(ValueError, match=r"chunk 1 has the scores .* the first chunk has .*peak_margin"):
        ScorerKeypointDetection(chunks).scores()


def test_weak_instances_are_left_out_and_need_scores() -> None:
    images = [Image([[1.0, 1.0], [0.2, 0.2]], [0.9, 0.3])]
    predictions = predict(images, 2, instance_scores=[0.9, 0.3])
    scores = ScorerKeypointDetection(predictions, score_threshold=0.5).scores()
    assert (scores.column("mean_uncertainty").tolist(), scores.column("instance_count").tolist()) == ([0], [1])
    kept = ScorerKeypointDetection(predictions, score_threshold=0.3).scores()  # 0.3 itself stays
    assert kept.column("instance_count").tolist() == [2]
    with pytest.raises(ValueError, match="the predictions have no instance_scores"):
        ScorerKeypointDetection(predict(images, 2), score_threshold=0.5).scores()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"aggregations": "max"}, "aggregations is the string 'max'; expected a list"),
        ({"aggregations": ["median"]}, "unknown aggregation 'median'"),
        ({"without_instances": math.nan}, "without_instances is nan; expected a finite number"),
        ({"without_instances": True}, "without_instances is True"),
        ({"score_threshold": 1.5}, r"score_threshold is 1.5; expected a number in \[0, 1\]"),
        ({"score_threshold": "0.5"}, "score_threshold is '0.5'"),
    ],
)
def test_options_out_of_range_are_refused_at_once(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ScorerKeypointDetection(predict([Image([[0.5]])], 1), **options)


def test_real_annotated_people_padded_with_what_is_not_labelled_are_scored(shared_file: Callable[[str], Any]) -> None:
    """COCO's people have 0 to 17 labelled keypoints in pixels: divided, masked and offset, they go in as they are."""
    with zipfile.ZipFile(shared_file("data/det_coco_open.zip")) as pack:
        name = next(name for name in pack.namelist() if name.endswith("person_keypoints.json"))
        content = json.loads(pack.read(name))
    images = {image["id"]: image for image in content["images"]}
    by_image: dict[int, list[Any]] = {image_id: [] for image_id in images}
    for person in content["annotations"]:
        by_image[person["image_id"]].append(person["keypoints"])
    sizes = np.repeat(
        [[images[i]["width"], images[i]["height"]] for i in by_image], [len(people) for people in by_image.values()], axis=0
    )
    flat = np.array([keypoints for people in by_image.values() for keypoints in people], dtype=np.float64)
    points = flat.reshape(-1, 17, 3)
    is_labelled = points[..., 2] > 0
    predictions = KeypointPredictions(
        [images[image_id]["file_name"] for image_id in by_image],
        points[..., :2] / sizes[:, None],
        points[..., 2] / 4,  # 0.25 hidden, 0.5 visible: stands in for confidences
        np.cumsum([0, *(len(people) for people in by_image.values())]),
        is_predicted=is_labelled,
    )
    scores = ScorerKeypointDetection(predictions, without_instances=0.0).scores()
    assert scores.column("keypoint_count").sum() == is_labelled.sum() > 0
    assert scores.column("instance_count").sum() == is_labelled.any(axis=1).sum() < len(points)
    for row, people in enumerate(by_image.values()):
        seen = [[v for v in person[2::3] if v] for person in people]
        means = [math.fsum(1 - v / 4 for v in values) / len(values) for values in seen if values]
        expected = math.fsum(means) / len(means) if means else 0.0
        assert scores.column()[row] == pytest.approx(expected, abs=1e-12)
