from __future__ import annotations

import math
import pickle
import threading
import tracemalloc
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scorers import (
    ClassificationPredictions,
    ScorerClassification,
    ScorerSemanticSegmentation,
    Scores,
    SegmentationPredictions,
    uncertainty,
)
from scorers.pixel_aggregation import aggregate_pixels

Array = npt.NDArray[Any]

THREE = ("uncertainty_least_confidence", "uncertainty_margin", "uncertainty_entropy")
EVERY_AGGREGATION = ("max", "top10_percent_mean", "region3_max")


def random_map(seed: int, *shape: int, dtype: str = "f8") -> Array:
    """`(..., c)` distributions, sharp and flat, with zeros among them."""
    rng = np.random.default_rng(seed)
    values = rng.dirichlet(np.full(shape[-1], 0.3), size=shape[:-1])
    values[rng.random(shape[:-1]) < 0.1] = np.eye(shape[-1])[0]
    return values.astype(dtype)


def ids_of(n_items: int) -> list[str]:
    return [f"{row}.png" for row in range(n_items)]


def score(maps: Any, *, aggregations: tuple[str, ...] = (), n_threads: int | None = None, **options: Any) -> Scores:
    predictions = SegmentationPredictions(ids_of(len(maps)), maps, **options)
    return ScorerSemanticSegmentation(predictions, aggregations=aggregations, n_threads=n_threads).scores()


def as_lists(scores: Scores) -> dict[str, list[float]]:
    return {name: values.tolist() for name, values in scores.columns.items()}


def by_pixel(values: Array) -> dict[str, Array]:
    """The three scores `(h, w)` of each pixel of a `(h, w, c)` map, by the functions for rows."""
    rows = uncertainty.uncertainties(values.reshape(-1, values.shape[-1]).astype(np.float64))
    return {name: column.reshape(values.shape[:2]) for name, column in rows.items()}


# --- values ----------------------------------------------------------------------------------------------------------


def test_scores_equal_the_golden_numbers_of_lightly(golden: Callable[[str], Any]) -> None:
    for case in golden("lightly_scores")["segmentation"]:
        scores = score(np.array(case["maps"]))
        assert set(scores.names) == set(case["scores"]) == set(THREE)
        for name, expected in case["scores"].items():
            assert scores.column(name) == pytest.approx(expected, rel=0, abs=1e-9)
        single = score(np.array(case["maps"], dtype=np.float32))
        for name, expected in case["scores"].items():
            assert single.column(name) == pytest.approx(expected, rel=0, abs=1e-6)


def test_the_default_is_the_margin() -> None:
    scores = score([[[[0.5, 0.5, 0.0], [0.6, 0.2, 0.2]]], [[[1.0, 0.0, 0.0]]]])
    assert scores.default == "uncertainty_margin"
    assert scores.column() == pytest.approx([0.8, 0.0])
    assert scores.item_ids == ("0.png", "1.png")


@settings(max_examples=40, deadline=None, derandomize=True, database=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    height=st.integers(1, 9),
    width=st.integers(1, 9),
    n_classes=st.integers(2, 9),
    dtype=st.sampled_from(["f2", "f4", "f8"]),
)
def test_scores_are_the_means_of_the_pixels_own_scores(
    seed: int, height: int, width: int, n_classes: int, dtype: str
) -> None:
    values = random_map(seed, height, width, n_classes, dtype=dtype)
    scores = score([values])
    for name, pixels in by_pixel(values).items():
        expected = math.fsum(pixels.ravel().tolist()) / pixels.size
        assert scores.column(name)[0] == pytest.approx(expected, abs=1e-12 if dtype == "f8" else 1e-6)


@pytest.mark.parametrize(("dtype", "error"), [("f8", 1e-12), ("f4", 1e-6), ("f2", 1e-6)])
@pytest.mark.parametrize("n_classes", [2, 19, 150])
def test_scores_of_maps_larger_than_a_block_are_as_right_as_those_of_small_ones(
    dtype: str, error: float, n_classes: int
) -> None:
    values = random_map(5, 93, 211, n_classes, dtype=dtype)
    scores = score([values])
    for name, pixels in by_pixel(values).items():
        assert scores.column(name)[0] == pytest.approx(math.fsum(pixels.ravel().tolist()) / pixels.size, rel=0, abs=error)


def test_a_map_of_one_pixel_scores_as_a_classification() -> None:
    rows = random_map(3, 20, 7)
    expected = ScorerClassification(ClassificationPredictions(ids_of(20), rows)).scores()
    scores = score(rows[:, None, None])
    for name in THREE:
        assert scores.column(name) == pytest.approx(expected.column(name), abs=1e-14)


@pytest.mark.parametrize("dtype", ["f2", "f4", "f8"])
def test_the_ends_of_every_score_are_zero_and_one(dtype: str) -> None:
    n_classes = 4
    certain = np.zeros((5, 6, n_classes), dtype=dtype)
    certain[..., 2] = 1
    even = np.full((5, 6, n_classes), 1 / n_classes, dtype=dtype)
    over = certain * np.array(1.003, dtype=dtype)  # within the tolerance of a sum
    scores = score([certain, even, over])
    for name in THREE:
        assert scores.column(name).tolist() == [0.0, 1.0, 0.0]


def test_one_column_is_the_positive_class_of_two() -> None:
    positive = np.random.default_rng(0).random((1, 40, 30, 1))
    for dtype in ("f4", "f8"):
        one = positive.astype(dtype)
        assert as_lists(score(one)) == as_lists(score(np.concatenate([one, 1 - one], axis=-1)))


def test_logits_score_as_their_softmax() -> None:
    logits = np.random.default_rng(0).normal(size=(2, 31, 17, 5)) * 4
    values = np.exp(logits) / np.exp(logits).sum(axis=-1, keepdims=True)
    expected = score(values)
    for dtype, error in (("f8", 1e-12), ("f4", 1e-6)):
        predictions = SegmentationPredictions.from_logits(ids_of(2), logits.astype(dtype))
        scores = ScorerSemanticSegmentation(predictions).scores()
        for name in THREE:
            assert scores.column(name) == pytest.approx(expected.column(name), abs=error)


# --- passes ----------------------------------------------------------------------------------------------------------


def disagreement_by_pixel(values: Array) -> dict[str, Array]:
    """`(h, w)` of a `(t, h, w, c)` map, pixel by pixel as the formulas are written."""
    n_passes, height, width, n_classes = values.shape
    bald, variation = np.empty((height, width)), np.empty((height, width))
    for row, column in np.ndindex(height, width):
        passes = values[:, row, column].tolist()
        mean = [math.fsum(p[k] for p in passes) / n_passes for k in range(n_classes)]
        inner = [-math.fsum(q * math.log2(q) for q in p if q > 0) for p in passes]
        outer = -math.fsum(q * math.log2(q) for q in mean if q > 0)
        bald[row, column] = (outer - math.fsum(inner) / n_passes) / math.log2(n_classes)
        votes = [p.index(max(p)) for p in passes]
        variation[row, column] = 1 - max(votes.count(k) for k in range(n_classes)) / n_passes
    return {"bald": bald, "variation_ratio": variation}


@settings(max_examples=25, deadline=None, derandomize=True, database=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    n_passes=st.integers(2, 5),
    n_classes=st.integers(2, 5),
    dtype=st.sampled_from(["f4", "f8"]),
)
def test_passes_are_scored_by_their_mean_and_their_disagreement(
    seed: int, n_passes: int, n_classes: int, dtype: str
) -> None:
    values = random_map(seed, n_passes, 4, 3, n_classes, dtype=dtype)
    scores = score([values], aggregations=("max",))
    expected = by_pixel(values.astype("f8").mean(axis=0)) | disagreement_by_pixel(values)
    assert set(scores.names) == {*expected, *(f"{name}_max" for name in expected)}
    error = 1e-12 if dtype == "f8" else 1e-6
    for name, pixels in expected.items():
        assert scores.column(name)[0] == pytest.approx(pixels.mean(), rel=0, abs=error)
        assert scores.column(f"{name}_max")[0] == pytest.approx(pixels.max(), rel=0, abs=error)


def test_sure_passes_that_contradict_one_another_score_one_and_unsure_ones_that_agree_score_zero() -> None:
    contradict = np.eye(2)[:, None, None, :]
    agree = np.full((2, 1, 1, 2), 0.5)
    scores = score([contradict, agree])
    assert scores.column("bald").tolist() == [1.0, 0.0]
    assert scores.column("variation_ratio").tolist() == [0.5, 0.0]  # the first of tied classes has the vote
    assert scores.column("uncertainty_entropy").tolist() == [1.0, 1.0]


def test_a_pass_that_ties_has_one_vote() -> None:
    passes = np.array([[0.5, 0.5], [0.0, 1.0]])[:, None, None, :]
    assert score([passes]).column("variation_ratio").tolist() == [0.5]
    passes = np.array([[0.4, 0.4, 0.2], [0.0, 1.0, 0.0], [0.2, 0.4, 0.4]])[:, None, None, :]
    assert score([passes]).column("variation_ratio") == pytest.approx([1 / 3])


def test_one_column_of_passes_is_the_positive_class_of_two() -> None:
    positive = np.random.default_rng(0).random((1, 3, 5, 4, 1))
    assert as_lists(score(positive)) == as_lists(score(np.concatenate([positive, 1 - positive], axis=-1)))


# --- aggregations ----------------------------------------------------------------------------------------------------


def slow_aggregate(pixels: Array, how: str) -> float:
    height, width = pixels.shape
    if how == "max":
        return float(np.nanmax(pixels))
    if how.startswith("top"):
        ordered = sorted(pixels[~np.isnan(pixels)].tolist(), reverse=True)
        n_highest = math.ceil(len(ordered) * int(how[3:-13]) / 100)
        return math.fsum(ordered[:n_highest]) / n_highest
    side = int(how[6:-4])
    windows = [
        pixels[top : top + side, left : left + side] for top in range(0, height, side) for left in range(0, width, side)
    ]
    return max(float(np.nanmean(window)) for window in windows if not np.isnan(window).all())


@pytest.mark.parametrize(
    "how",
    ["max", "top1_percent_mean", "top10_percent_mean", "top100_percent_mean", "region1_max", "region4_max", "region999_max"],
)
@pytest.mark.parametrize("is_masked", [False, True])
def test_aggregations_equal_a_slow_reference(how: str, is_masked: bool) -> None:
    values = random_map(1, 130, 51, 6)
    mask = np.ones((130, 51), dtype=bool)
    if is_masked:
        mask = np.random.default_rng(2).random((130, 51)) < 0.3
        mask[:40, :12] = False
    scores = score([values], aggregations=(how,), masks=[mask] if is_masked else None)
    for name, pixels in by_pixel(values).items():
        left = np.where(mask, pixels, np.nan)
        assert scores.column(name)[0] == pytest.approx(np.nanmean(left), abs=1e-12)
        assert scores.column(f"{name}_{how}")[0] == pytest.approx(slow_aggregate(left, how), abs=1e-12)


def test_the_mean_of_the_highest_counts_ties_once_each_and_has_at_least_one_pixel() -> None:
    pixels = np.array([[0.5, 0.5, 0.5], [0.5, 1.0, 0.0]])
    assert aggregate_pixels(pixels, "top50_percent_mean") == pytest.approx((1.0 + 0.5 + 0.5) / 3)
    assert aggregate_pixels(pixels, "top1_percent_mean") == 1.0
    assert aggregate_pixels(pixels[:1, :1], "top1_percent_mean") == 0.5


@pytest.mark.parametrize(("how", "expected"), [("max", 0.5), ("top50_percent_mean", 0.4), ("region2_max", 0.4)])
def test_what_a_mask_leaves_out_counts_in_no_aggregation(how: str, expected: float) -> None:
    pixels = np.array([[0.5, np.nan, 0.25, 9.0], [0.3, 9.0, 0.0, np.nan]])
    mask = np.array([[True, False, True, False], [True, False, True, False]])
    assert aggregate_pixels(pixels, how, mask=mask) == pytest.approx(expected)


def test_a_region_finds_the_confusing_spot_that_the_mean_hides() -> None:
    calm = np.broadcast_to([0.9, 0.1], (64, 64, 2))
    spot = np.zeros((64, 64, 2))
    spot[..., 0] = 1
    spot[8:16, 40:48] = 0.5
    scores = score([calm, spot], aggregations=("region8_max",))
    assert scores.column("uncertainty_margin") == pytest.approx([0.2, 1 / 64])
    assert scores.column("uncertainty_margin_region8_max") == pytest.approx([0.2, 1.0])


@pytest.mark.parametrize(
    "name", ["mean", "top0_percent_mean", "top101_percent_mean", "top10_mean", "region0_max", "region_max", "", "max ", 3]
)
def test_an_unknown_aggregation_is_refused_before_anything_is_read(name: Any) -> None:
    with pytest.raises(ValueError, match=r"unknown aggregation .*; expected 'max', 'top10_percent_mean'"):
        ScorerSemanticSegmentation([], aggregations=[name])


def test_one_aggregation_is_still_a_list() -> None:
    with pytest.raises(ValueError, match="aggregations is the string 'max'"):
        ScorerSemanticSegmentation([], aggregations="max")


# --- each item is scored alone ---------------------------------------------------------------------------------------


@settings(max_examples=25, deadline=None, derandomize=True, database=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    height=st.integers(1, 60),
    width=st.integers(1, 60),
    n_classes=st.sampled_from([1, 2, 3, 19, 40]),
    dtype=st.sampled_from(["f2", "f4", ">f4", "f8"]),
    is_masked=st.booleans(),
    with_passes=st.booleans(),
)
def test_the_layout_in_memory_changes_no_bit(
    seed: int, height: int, width: int, n_classes: int, dtype: str, is_masked: bool, with_passes: bool
) -> None:
    shape = (height, width, max(2, n_classes))
    values = random_map(seed, *((2, *shape) if with_passes else shape))[..., -n_classes:].astype(dtype)
    mask = np.random.default_rng(seed).random((height, width)) < 0.5
    mask[0, 0] = True
    options: dict[str, Any] = {"aggregations": EVERY_AGGREGATION, "masks": [mask] if is_masked else None}
    first = int(with_passes)
    layouts = {
        "as it is": (values, -1),
        "Fortran": (np.asfortranarray(values), -1),
        "torch": (np.ascontiguousarray(np.moveaxis(values, -1, first)), 0),
        "a view as torch": (np.moveaxis(values, -1, first), 0),
        "turned": (np.ascontiguousarray(values[..., ::-1, :])[..., ::-1, :], -1),
        "part of a larger one": (np.repeat(np.moveaxis(values, -1, first), 2, axis=-1)[..., ::2], 0),
        "rows of a larger one": (np.repeat(np.moveaxis(values, -1, first), 2, axis=-2)[..., ::2, :], 0),
    }
    results = {name: as_lists(score([given_map], class_axis=axis, **options)) for name, (given_map, axis) in layouts.items()}
    assert {name: result for name, result in results.items() if result != results["as it is"]} == {}


def test_chunks_threads_streams_and_files_change_no_bit(tmp_path: Path) -> None:
    maps = [random_map(row, 150 + 20 * row, 331, 7, dtype="f4") for row in range(5)]
    whole = score(maps, aggregations=EVERY_AGGREGATION)
    for row, values in enumerate(maps):
        np.save(tmp_path / f"{row}.npy", values)
    predictions = SegmentationPredictions(ids_of(5), maps)
    mapped = [np.load(tmp_path / f"{row}.npy", mmap_mode="r") for row in range(5)]
    others: dict[str, Any] = {
        "chunks": [predictions[:2], predictions[2:3], predictions[3:]],
        "stream": SegmentationPredictions.stream(zip(ids_of(5), maps)),
        "memory maps": SegmentationPredictions(ids_of(5), mapped),
        "files": SegmentationPredictions.stream((f"{row}.png", np.load(tmp_path / f"{row}.npy")) for row in range(5)),
    }
    for given_predictions in others.values():
        scores = ScorerSemanticSegmentation(given_predictions, aggregations=EVERY_AGGREGATION).scores()
        assert (scores.item_ids, as_lists(scores)) == (whole.item_ids, as_lists(whole))
    for n_threads in (1, 3, 8):
        assert as_lists(score(maps, aggregations=EVERY_AGGREGATION, n_threads=n_threads)) == as_lists(whole)
    scorer = ScorerSemanticSegmentation(predictions, aggregations=EVERY_AGGREGATION)
    alone = {
        name: list(values) for name, values in scorer.score_chunk(predictions).items()
    }  # as a user may, without threads
    assert alone == as_lists(whole)


def test_a_scorer_survives_pickling_before_and_after_it_has_scored() -> None:
    scorer = ScorerSemanticSegmentation(SegmentationPredictions(["a"], [random_map(0, 50, 60, 5)]))
    before = pickle.loads(pickle.dumps(scorer))
    expected = as_lists(scorer.scores())
    assert as_lists(before.scores()) == as_lists(pickle.loads(pickle.dumps(scorer)).scores()) == expected


def test_two_maps_in_turn_of_different_shapes_do_not_mix() -> None:
    large, small = random_map(0, 80, 90, 19), random_map(1, 3, 3, 19)
    together = score([large, small, large[:50], small])
    for row, values in enumerate([large, small, large[:50], small]):
        assert {name: [column[row]] for name, column in as_lists(together).items()} == as_lists(score([values]))


# --- reading ---------------------------------------------------------------------------------------------------------


def test_a_generator_is_read_once_in_the_callers_thread_and_its_maps_are_let_go() -> None:
    made: list[int] = []
    alive: list[int] = []

    class Map(np.ndarray[Any, Any]):
        """An array that says when it goes."""

        def __del__(self) -> None:
            if self.base is None:
                alive.remove(0)

    def pairs() -> Iterator[tuple[str, Array]]:
        for row in range(6):
            assert threading.current_thread() is threading.main_thread()
            made.append(row)
            alive.append(0)
            assert len(alive) <= 2  # the one to be made, and the one that was scored last
            values = Map((64, 300, 19), dtype=np.float32)
            values[:] = 1 / 19
            yield f"{row}.png", values
            del values

    scorer = ScorerSemanticSegmentation(SegmentationPredictions.stream(pairs()))
    assert made == []
    first = scorer.scores()
    assert made == [0, 1, 2, 3, 4, 5]
    assert scorer.scores() is first
    assert first.column().tolist() == [1.0] * 6
    assert alive == []


def test_a_generator_may_use_one_array_again_and_again() -> None:
    maps = [random_map(row, 80, 200, 9, dtype="f4") for row in range(5)]
    room = np.empty_like(maps[0])

    def pairs() -> Iterator[tuple[str, Array]]:
        for row, values in enumerate(maps):
            room[:] = values
            yield f"{row}.png", room

    scores = ScorerSemanticSegmentation(SegmentationPredictions.stream(pairs())).scores()
    assert as_lists(scores) == as_lists(score(maps))


def test_a_long_stream_needs_the_memory_of_a_few_maps() -> None:
    shape = (256, 512, 19)
    n_bytes = math.prod(shape) * 4
    values = random_map(0, 8, 512, 19, dtype="f4")

    def pairs() -> Iterator[tuple[str, Array]]:
        for row in range(12):
            yield f"{row}.png", np.tile(values, (32, 1, 1))

    scorer = ScorerSemanticSegmentation(SegmentationPredictions.stream(pairs()), n_threads=2)
    tracemalloc.start()
    scorer.scores()
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 2.1 * n_bytes + 6e6


def test_a_memory_map_needs_blocks_alone(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.tile(random_map(0, 8, 512, 19, dtype="f4"), (64, 1, 1)))
    predictions = SegmentationPredictions(["a"], [np.load(tmp_path / "a.npy", mmap_mode="r")])
    scorer = ScorerSemanticSegmentation(predictions, n_threads=2)
    tracemalloc.start()
    scorer.scores()
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 6e6 < (tmp_path / "a.npy").stat().st_size / 3


@pytest.mark.parametrize("n_threads", [1, 2])
@pytest.mark.parametrize("class_axis", [-1, 0])
def test_a_bad_pixel_is_named_by_item_row_and_column_and_nothing_is_scored(n_threads: int, class_axis: int) -> None:
    maps = [random_map(row, 400, 100, 5, dtype="f4") for row in range(3)]
    maps[1][321, 45, 2] = np.nan
    maps[1][399, 99, 2] = np.nan
    maps[2][0, 0, 0] = -1
    moved = [np.moveaxis(values, -1, class_axis) for values in maps]
    predictions = SegmentationPredictions(ids_of(3), moved, class_axis=class_axis)
    scorer = ScorerSemanticSegmentation(predictions, n_threads=n_threads)
    for _ in range(2):
        with pytest.raises(ValueError, match=r"probabilities of '1\.png' at row 321, column 45 is .*expected finite"):
            scorer.scores()


def test_a_bad_map_ends_a_stream_for_good() -> None:
    maps = [random_map(0, 60, 600, 9), random_map(1, 60, 600, 9) * 2, random_map(2, 60, 600, 9)]
    scorer = ScorerSemanticSegmentation(SegmentationPredictions.stream(zip(ids_of(3), maps)))
    with pytest.raises(ValueError, match=r"'1\.png' at row 0, column 0 sums to 2"):
        scorer.scores()
    with pytest.raises(ValueError, match="read before"):
        scorer.scores()


def test_an_error_of_the_generator_reaches_the_caller_as_it_is() -> None:
    def pairs() -> Iterator[tuple[str, Array]]:
        yield "a.png", random_map(0, 60, 600, 9)
        raise KeyError("weights.pt")

    with pytest.raises(KeyError, match=r"weights\.pt"):
        ScorerSemanticSegmentation(SegmentationPredictions.stream(pairs())).scores()


@pytest.mark.parametrize(
    ("given_value", "message"),
    [
        ([], "no predictions"),
        (np.zeros((1, 2, 2, 2)), "chunk 0 of the predictions is ndarray; .* takes SegmentationPredictions"),
        (None, "predictions is NoneType"),
        ([SegmentationPredictions(["a"], [random_map(0, 1, 1, 2)]), 5], "chunk 1 of the predictions is int"),
    ],
)
def test_anything_else_is_refused(given_value: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ScorerSemanticSegmentation(given_value).scores()


def test_chunks_with_and_without_passes_do_not_fit_together() -> None:
    chunks = [
        SegmentationPredictions(["a"], [random_map(0, 2, 2, 2)]),
        SegmentationPredictions(["b"], [random_map(0, 2, 2, 2, 2)]),
    ]
    with pytest.raises(ValueError, match=r"chunk 1 has the scores .*bald"):
        ScorerSemanticSegmentation(chunks).scores()


def test_chunks_differ_in_classes_as_little_as_maps_of_one_value_may() -> None:
    maps = [random_map(0, 2, 2, 3), random_map(1, 2, 2, 3), random_map(2, 2, 2, 7)]
    ids = ["a.jpg", "c.jpg", "b.jpg"]
    chunks = [SegmentationPredictions(ids[:2], maps[:2]), SegmentationPredictions(ids[2:], maps[2:])]
    message = r"the map of 'b\.jpg' has 7 classes, that of 'a\.jpg' 3; expected as many in each"
    with pytest.raises(ValueError, match=message):
        ScorerSemanticSegmentation(chunks).scores()
    with pytest.raises(ValueError, match=message):
        SegmentationPredictions(ids, maps)


def test_one_column_and_two_are_two_classes_in_chunks_as_in_one_value() -> None:
    two = random_map(0, 2, 2, 2).astype(np.float64)
    maps = [two, two[..., 1:]]
    whole = ScorerSemanticSegmentation(SegmentationPredictions(["a", "b"], maps)).scores()
    chunked = ScorerSemanticSegmentation(SegmentationPredictions.stream(zip(["a", "b"], maps))).scores()
    assert whole.column().tolist() == chunked.column().tolist()
    assert whole.column()[0] == pytest.approx(whole.column()[1], abs=1e-6)


@pytest.mark.parametrize("n_threads", [0, -1, 1.5, True, "2"])
def test_a_number_of_threads_that_is_none_is_refused(n_threads: Any) -> None:
    with pytest.raises(ValueError, match=r"n_threads is .*; expected a whole number of 1 or more"):
        ScorerSemanticSegmentation([], n_threads=n_threads)


# --- masks -----------------------------------------------------------------------------------------------------------


def test_pixels_left_out_by_the_mask_change_nothing() -> None:
    values = random_map(0, 30, 500, 5, dtype="f4")
    mask = np.zeros((30, 500), dtype=bool)
    mask[4:25, 10:440] = True
    cropped = score([values[4:25, 10:440]], aggregations=("max", "top7_percent_mean"))
    void = np.where(mask[..., None], values, np.nan)
    masked = score([void], aggregations=("max", "top7_percent_mean"), masks=[mask])
    for name in masked.names:
        assert masked.column(name) == pytest.approx(cropped.column(name), abs=1e-7)


def test_a_mask_that_leaves_out_every_pixel_gives_zero_and_is_counted() -> None:
    maps = [random_map(row, 3, 4, 5) for row in range(3)]
    masks = [np.ones((3, 4), dtype=bool), np.zeros((3, 4), dtype=bool), np.zeros((3, 4), dtype=bool)]
    with pytest.warns(UserWarning, match="2 of 3 items have masks that leave out all pixels; they get 0") as caught:
        scores = score(maps, masks=masks, aggregations=EVERY_AGGREGATION)
    assert caught[0].filename == __file__
    for name in scores.names:
        assert scores.column(name)[0] > 0
        assert scores.column(name)[1:].tolist() == [0.0, 0.0]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        score(maps[:1], masks=masks[:1])
