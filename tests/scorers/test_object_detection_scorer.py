from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scorers import DetectionPredictions, ScorerObjectDetection, Scores
from scorers.object_detection import class_weights

Array = npt.NDArray[np.float64]

BOX_SCORES = ["uncertainty_least_confidence", "uncertainty_margin", "uncertainty_entropy", "objectness_least_confidence"]


@dataclass
class Image:
    """The boxes of one image as plain lists; any number of them make predictions."""

    boxes: list[list[float]] = field(default_factory=list)
    scores: list[float] = field(default_factory=list)
    labels: list[int] = field(default_factory=list)
    probabilities: list[list[float]] = field(default_factory=list)


def predict(images: list[Image], n_columns: int | None = None, ids: list[str] | None = None) -> DetectionPredictions:
    rows = [row for image in images for row in image.probabilities]
    return DetectionPredictions(
        tuple(ids or [f"{row}.jpg" for row in range(len(images))]),
        np.array([box for image in images for box in image.boxes]),
        np.array([score for image in images for score in image.scores], dtype=np.float64),
        np.array([label for image in images for label in image.labels], dtype=np.int64),
        np.cumsum([0, *(len(image.scores) for image in images)]),
        None if n_columns is None else np.array(rows, dtype=np.float64).reshape(-1, n_columns),
    )


def simple(*scores_by_image: list[float], label: int = 0) -> DetectionPredictions:
    """Images of boxes that lie apart, with one score each and the same label."""
    return predict(
        [Image([[i / 16, 0, (i + 1) / 16, 1] for i in range(len(s))], s, [label] * len(s)) for s in scores_by_image]
    )


def as_lists(scores: Scores) -> dict[str, list[float]]:
    return {name: values.tolist() for name, values in scores.columns.items()}


# --- golden numbers --------------------------------------------------------------------------------------------------


def golden_images(case: dict[str, Any]) -> list[Image]:
    return [
        Image(image["boxes"], scores, labels, image["class_probabilities"])
        for image, scores, labels in zip(case["images"], case["box_scores"], case["labels"], strict=True)
    ]


def lightly_cases(golden: Callable[[str], Any]) -> dict[str, dict[str, Any]]:
    cases = {case["name"]: case for case in golden("lightly_scores")["detection"]}
    return {name: {**case, "images": cases[case.get("images_from", name)]["images"]} for name, case in cases.items()}


@pytest.mark.parametrize(
    "name",
    [
        *("c1", "c2", "c5", "c5_penalty0_min0", "c5_penalty1_min0", "c5_penalty0.5_min0.5", "c5_penalty0_min1"),
        *("c5_given_scores", "all_empty", "equal_content", "published_example"),
    ],
)
def test_scores_equal_the_golden_numbers_of_lightly(golden: Callable[[str], Any], name: str) -> None:
    cases = lightly_cases(golden)
    assert len(cases) == 11
    case = cases[name]
    penalty, lowest = case["config"]["frequency_penalty"], case["config"]["min_score"]
    predictions = predict(golden_images(case), case["num_classes"])
    scores = ScorerObjectDetection(predictions, without_boxes=0.0, frequency_penalty=penalty).scores()
    for column in BOX_SCORES:
        assert scores.column(column) == pytest.approx(case["scores"][column], rel=0, abs=1e-9)

    # ours is absolute; theirs is mapped from the range of the batch to [min_score, 1], all equal to 1
    ours = scores.column("object_frequency")
    spread = float(ours.max() - ours.min())
    mapped = lowest + (1 - lowest) * (ours - ours.min()) / spread if spread else np.ones(len(ours))
    assert mapped == pytest.approx(case["scores"]["object_frequency"], rel=0, abs=1e-9)
    assert scores.column("object_count").tolist() == [len(labels) for labels in case["labels"]]


@pytest.mark.parametrize("name", ["c1", "c2", "c5"])
def test_one_vs_two_margins_equal_the_golden_numbers_of_brust(golden: Callable[[str], Any], name: str) -> None:
    case = lightly_cases(golden)[name]
    numbers = {each["name"]: each for each in golden("aldod_scores")["cases"]}[name]
    assert class_weights(numbers["class_counts"]) == pytest.approx(numbers["class_weights"], rel=1e-12)
    scores = ScorerObjectDetection(
        predict(golden_images(case), case["num_classes"]), without_boxes=0.0, class_counts=numbers["class_counts"]
    ).scores()
    for key, prefix in {"image": "", "image_weighted": "weighted_"}.items():
        for theirs, ours in {"sum": "sum", "avg": "mean", "max": "max"}.items():
            column = scores.column(f"{prefix}one_vs_two_margin_{ours}")
            assert column == pytest.approx(numbers[key][theirs], rel=0, abs=1e-9)


# --- a plain loop ----------------------------------------------------------------------------------------------------


def overlap(a: list[float], b: list[float]) -> float:
    sides = [min(a[i + 2], b[i + 2]) - max(a[i], b[i]) for i in (0, 1)]
    both = max(0.0, sides[0]) * max(0.0, sides[1])
    union = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - both
    return both / union if union > 0 else 0.0


def left_over(image: Image, threshold: float, nms_iou: float | None) -> list[int]:
    kept: list[int] = []
    for box in sorted(range(len(image.scores)), key=lambda i: (-image.scores[i], i)):
        rivals = [other for other in kept if image.labels[other] == image.labels[box]]
        if image.scores[box] >= threshold and (
            nms_iou is None or all(overlap(image.boxes[box], image.boxes[other]) <= nms_iou for other in rivals)
        ):
            kept.append(box)
    return sorted(kept)


def box_scores_by_hand(row: list[float], score: float, weight: float) -> dict[str, float]:
    row = [row[0], 1 - row[0]] if len(row) == 1 else row
    first, second = sorted(row, reverse=True)[:2]
    margin = 1 - (first - second)
    return {
        "uncertainty_least_confidence": (1 - first) / (1 - 1 / len(row)),
        "uncertainty_margin": margin,
        "uncertainty_entropy": -math.fsum(p * math.log2(p) for p in row if p > 0) / math.log2(len(row)),
        "objectness_least_confidence": 1 - score,
        "one_vs_two_margin": margin**2,
        "weighted_one_vs_two_margin": margin**2 * weight,
    }


def fold(values: list[float], how: str, empty: float) -> float:
    if not values:
        return empty
    if how.startswith("top"):
        values, how = sorted(values, reverse=True)[: int(how[3:-5])], "mean"
    return max(values) if how == "max" else math.fsum(values) / (len(values) if how == "mean" else 1)


def scores_by_hand(image: Image, options: dict[str, Any]) -> dict[str, float]:
    """Every column of one image, written once more without arrays."""
    kept = left_over(image, options["score_threshold"], options["nms_iou"])
    counts, empty = options["class_counts"], options["without_boxes"]
    labels = [image.labels[i] for i in kept]
    boxes = [
        box_scores_by_hand(
            image.probabilities[i] if image.probabilities else [image.scores[i]],
            image.scores[i],
            (sum(counts) + len(counts)) / (counts[image.labels[i]] + 1),
        )
        for i in kept
    ]
    wanted = {name: (name, "max") for name in BOX_SCORES[:3]}
    wanted["objectness_least_confidence"] = ("objectness_least_confidence", "mean")
    for name in [*BOX_SCORES, "one_vs_two_margin", "weighted_one_vs_two_margin"]:
        hows = list(options["aggregations"]) + (["sum", "mean", "max"] if name not in BOX_SCORES else [])
        wanted |= {f"{name}_{how}": (name, how) for how in hows}
    return {
        "object_count": float(len(kept)),
        "object_frequency": math.fsum(1 + (labels.count(c) - 1) * options["frequency_penalty"] for c in set(labels)),
        **{column: fold([box[name] for box in boxes], how, empty) for column, (name, how) in wanted.items()},
    }


N_LABELS = 3


@st.composite
def images_of(draw: st.DrawFn, n_columns: int | None) -> Image:
    """Boxes on a coarse grid and few scores, so that repeats, ties and certain boxes are common."""
    n_boxes = draw(st.integers(0, 6))
    ends = st.lists(st.integers(0, 4), min_size=2, max_size=2).map(sorted)
    corners = [(draw(ends), draw(ends)) for _ in range(n_boxes)]
    weights = [draw(st.lists(st.integers(0, 9), min_size=n_columns or 1, max_size=n_columns or 1)) for _ in range(n_boxes)]
    if n_columns == 1:
        rows = [[weight[0] / 9] for weight in weights]
    else:
        rows = [[w / sum(weight) for w in weight] if any(weight) else [1.0, *weight[1:]] for weight in weights]
    return Image(
        [[x[0] / 4, y[0] / 4, x[1] / 4, y[1] / 4] for x, y in corners],
        draw(st.lists(st.integers(0, 8).map(lambda s: s / 8), min_size=n_boxes, max_size=n_boxes)),
        draw(st.lists(st.integers(0, N_LABELS - 1), min_size=n_boxes, max_size=n_boxes)),
        [] if n_columns is None else rows,
    )


options_of_all_kinds = st.fixed_dictionaries(
    {
        "aggregations": st.lists(st.sampled_from(["sum", "mean", "max", "top1_mean", "top3_mean"]), unique=True),
        "without_boxes": st.sampled_from([0.0, 0.5, 1.0]),
        "score_threshold": st.sampled_from([0.0, 0.25, 0.5, 1.0]),
        "nms_iou": st.sampled_from([None, 0.0, 0.5, 1.0]),
        "frequency_penalty": st.sampled_from([0.0, 0.25, 1.0]),
        "class_counts": st.lists(st.integers(0, 50), min_size=N_LABELS, max_size=N_LABELS + 1),
    }
)
columns = st.sampled_from([None, 1, N_LABELS, N_LABELS + 1])


@settings(max_examples=150, deadline=None)
@given(n_columns=columns, options=options_of_all_kinds, data=st.data())
def test_every_score_equals_a_plain_loop_over_the_boxes(
    n_columns: int | None, options: dict[str, Any], data: st.DataObject
) -> None:
    images = data.draw(st.lists(images_of(n_columns), min_size=1, max_size=5))
    scores = ScorerObjectDetection(predict(images, n_columns), **options).scores()
    expected = [scores_by_hand(image, options) for image in images]
    assert set(scores.names) == set(expected[0])
    for name, values in scores.columns.items():
        assert values == pytest.approx([image[name] for image in expected], abs=1e-9)
    for name in [*BOX_SCORES, "one_vs_two_margin_mean", "one_vs_two_margin_max"]:
        assert 0 <= scores.column(name).min() <= scores.column(name).max() <= 1


@settings(max_examples=80, deadline=None)
@given(n_columns=columns, options=options_of_all_kinds, data=st.data())
def test_chunks_order_and_company_change_no_bit_of_a_score(
    n_columns: int | None, options: dict[str, Any], data: st.DataObject
) -> None:
    images = data.draw(st.lists(images_of(n_columns), min_size=1, max_size=6))
    predictions, n_items = predict(images, n_columns), len(images)
    whole = as_lists(ScorerObjectDetection(predictions, **options).scores())

    cuts = sorted(data.draw(st.sets(st.integers(1, n_items - 1), max_size=3))) if n_items > 1 else []
    chunks = [predictions[a:b] for a, b in zip([0, *cuts], [*cuts, n_items], strict=True)]
    chunked = ScorerObjectDetection(chunks, **options).scores()
    assert (chunked.item_ids, as_lists(chunked)) == (predictions.item_ids, whole)

    order = data.draw(st.permutations(range(n_items)))
    shuffled = ScorerObjectDetection(predict([images[row] for row in order], n_columns), **options).scores()
    assert as_lists(shuffled) == {name: [values[row] for row in order] for name, values in whole.items()}

    alone = [as_lists(ScorerObjectDetection(predict([image], n_columns), **options).scores()) for image in images]
    assert {name: [image[name][0] for image in alone] for name in whole} == whole


def test_images_of_many_boxes_and_classes_change_no_bit_in_chunks() -> None:
    rng = np.random.default_rng(0)
    counts = rng.integers(0, 200, size=40)
    n_boxes = int(counts.sum())
    corners = np.sort(rng.random((n_boxes, 2, 2)), axis=1).reshape(n_boxes, 4)
    rows = rng.dirichlet(np.full(91, 0.2), size=n_boxes)
    ids = tuple(f"{row}.jpg" for row in range(40))
    offsets = np.concatenate([[0], np.cumsum(counts)])
    predictions = DetectionPredictions(ids, corners, rows.max(axis=1), rows.argmax(axis=1), offsets, rows)
    options: Any = {"aggregations": ["sum", "top3_mean"], "nms_iou": 0.4, "class_counts": range(91), "without_boxes": 0}
    whole = as_lists(ScorerObjectDetection(predictions, **options).scores())
    chunked = ScorerObjectDetection((predictions[row : row + 7] for row in range(0, 40, 7)), **options).scores()
    assert as_lists(chunked) == whole
    assert min(whole["object_count"]) < 20 < max(whole["object_count"])


@settings(max_examples=30, deadline=None)
@given(data=st.data())
def test_one_value_in_three_precisions_gives_one_score(data: st.DataObject) -> None:
    image = data.draw(images_of(N_LABELS))
    exact = predict([image, Image()], N_LABELS)
    assert exact.class_probabilities is not None
    rounded = (exact.boxes.astype("f2"), exact.scores.astype("f2"), exact.class_probabilities.astype("f2"))
    found = []
    for precision in ("f2", "f4", "f8"):
        boxes, scores, rows = (array.astype(precision) for array in rounded)
        predictions = DetectionPredictions(exact.item_ids, boxes, scores, exact.labels, exact.offsets, rows)
        options: Any = {"without_boxes": 0.0, "nms_iou": 0.5, "score_threshold": 0.25}
        found.append(as_lists(ScorerObjectDetection(predictions, **options).scores()))
    assert found[0] == found[1] == found[2]


# --- direction -------------------------------------------------------------------------------------------------------


def test_an_ambiguous_box_ranks_its_image_above_certain_ones() -> None:
    box = [0.0, 0.0, 1.0, 1.0]
    rows = [[0.5, 0.5, 0.0], [0.9, 0.1, 0.0], [1.0, 0.0, 0.0]]
    scores = ScorerObjectDetection(predict([Image([box], [0.9], [0], [row]) for row in rows], 3)).scores()
    for name in ("uncertainty_margin", "uncertainty_entropy", "uncertainty_least_confidence", "one_vs_two_margin_sum"):
        assert scores.column(name)[0] > scores.column(name)[1] > scores.column(name)[2] == 0
    assert scores.column("uncertainty_margin")[0] == scores.column("one_vs_two_margin_max")[0] == 1
    assert scores.default == "uncertainty_margin"


def test_a_score_without_a_distribution_is_the_choice_of_that_label_or_not() -> None:
    scores = ScorerObjectDetection(simple([0.5], [0.9, 0.6], [1.0], [0.1], [0.0])).scores()
    assert scores.column("uncertainty_margin") == pytest.approx([1, 0.8, 0, 0.2, 0])
    assert scores.column("uncertainty_least_confidence") == pytest.approx([1, 0.8, 0, 0.2, 0])
    assert scores.column("uncertainty_entropy") == pytest.approx([1, 0.97095059445, 0, 0.46899559358, 0])
    assert scores.column("objectness_least_confidence") == pytest.approx([0.5, 0.25, 0, 0.9, 1])
    assert scores.column("object_count").tolist() == [1, 2, 1, 1, 1]


def test_the_label_of_a_box_without_a_distribution_does_not_touch_its_uncertainty() -> None:
    # the ancestor invented a distribution whose length depended on the largest label of the image
    by_label = [as_lists(ScorerObjectDetection(simple([0.1, 0.7], label=label)).scores()) for label in (0, 1, 3, 2**31 - 1)]
    assert all(scores == by_label[0] for scores in by_label)


# --- options ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("labels", "penalty", "expected"),
    [
        ([0, 0, 1], 0.25, 2.25),
        ([0, 0, 1], 0.0, 2.0),
        ([0, 0, 1], 1.0, 3.0),
        ([5], 0.25, 1.0),
        ([], 0.25, 0.0),
        ([7, 7, 7, 7], 0.5, 2.5),
        ([2**31 - 2, 2**31 - 2, 2**31 - 1], 0.25, 2.25),
        ([2**31 - 1, 0], 0.25, 2.0),
    ],
)
def test_object_frequency_counts_classes_and_discounts_repeats(labels: list[int], penalty: float, expected: float) -> None:
    n = len(labels)
    other = Image([[0, 0, 1, 1]], [0.5], [0])
    predictions = predict([other, Image([[0, 0, 1, 1]] * n, [0.5] * n, labels), other])
    scores = ScorerObjectDetection(predictions, frequency_penalty=penalty, without_boxes=0.0).scores()
    assert scores.column("object_frequency").tolist() == [1, expected, 1]


def test_repeats_of_a_box_are_summed_once_after_suppression() -> None:
    box, rows = [0.1, 0.1, 0.6, 0.6], [[0.75, 0.25]] * 3
    predictions = predict([Image([box] * 3, [0.75, 0.75, 0.5], [0, 0, 1], rows)], 2)
    assert ScorerObjectDetection(predictions).scores().column("one_vs_two_margin_sum").tolist() == [0.75]
    thinned = ScorerObjectDetection(predictions, nms_iou=0.5).scores()
    assert thinned.column("one_vs_two_margin_sum").tolist() == [0.5]
    assert thinned.column("object_count").tolist() == [2]


@pytest.mark.parametrize("precision", ["f2", "f4", "f8"])
def test_a_score_equal_to_the_threshold_stays_in_every_precision(precision: str) -> None:
    fields = (np.zeros((2, 4)), np.array([0.3, 0.29], dtype=precision), np.zeros(2, dtype=np.int64), np.array([0, 2]))
    scores = ScorerObjectDetection(DetectionPredictions(("a",), *fields), score_threshold=0.3).scores()
    assert scores.column("object_count").tolist() == [1]


def test_rare_classes_weigh_more_box_by_box() -> None:
    # a known wrong version gives the whole image the weight of its first box
    image = Image([[0, 0, 1, 1]] * 2, [0.5, 0.5], [0, 1], [[0.5, 0.5]] * 2)
    for first, second in ((0, 1), (1, 0)):
        image.labels = [first, second]
        scores = ScorerObjectDetection(predict([image], 2), class_counts=[97, 1]).scores()
        assert scores.column("weighted_one_vs_two_margin_sum") == pytest.approx([100 / 98 + 100 / 2])
        assert scores.column("weighted_one_vs_two_margin_max") == pytest.approx([50])


def test_a_label_without_a_count_is_an_error() -> None:
    with pytest.raises(ValueError, match="class_counts has 2 classes, and a box has label 2; give a count for every class"):
        ScorerObjectDetection(simple([0.5], label=2), class_counts=[1, 1]).scores()


@pytest.mark.parametrize(
    "counts", [[], [-1, 2], [math.nan, 1], [math.inf, 1], [[1, 2]], 3, ["cat", "dog"], [[1], [1, 2]], {"cat": 3}], ids=str
)
def test_bad_class_counts_are_refused_before_anything_is_read(counts: Any) -> None:
    with pytest.raises(ValueError, match="class_counts"):
        ScorerObjectDetection(iter(()), class_counts=counts)


@pytest.mark.parametrize(
    ("options", "parts"),
    [
        ({"score_threshold": -0.1}, ["score_threshold is -0.1", "[0, 1]"]),
        ({"score_threshold": math.nan}, ["score_threshold is nan", "[0, 1]"]),
        ({"score_threshold": 50}, ["score_threshold is 50", "[0, 1]"]),
        ({"nms_iou": 1.5}, ["nms_iou is 1.5", "[0, 1]"]),
        ({"frequency_penalty": -1}, ["frequency_penalty is -1", "[0, 1]"]),
        ({"without_boxes": math.nan}, ["without_boxes is nan", "finite"]),
        ({"without_boxes": math.inf}, ["without_boxes is inf", "finite"]),
        ({"aggregations": "mean"}, ["aggregations is the string 'mean'", "list of names"]),
        ({"aggregations": ["mean", "median"]}, ["unknown aggregation 'median'", "top3_mean"]),
    ],
)
def test_bad_options_are_refused_before_anything_is_read(options: dict[str, Any], parts: list[str]) -> None:
    with pytest.raises(ValueError) as refusal:
        ScorerObjectDetection(iter(()), **options)
    assert [part for part in parts if part not in str(refusal.value)] == []


# --- images without boxes --------------------------------------------------------------------------------------------


def test_images_without_boxes_are_counted_over_all_chunks_in_one_warning() -> None:
    def chunks() -> Iterator[DetectionPredictions]:
        for number, chunk in enumerate([simple([], [0.9]), simple([]), simple([0.2], [0.6], [])]):
            ids = tuple(f"{number}/{item_id}" for item_id in chunk.item_ids)
            yield DetectionPredictions(ids, chunk.boxes, chunk.scores, chunk.labels, chunk.offsets)

    scorer = ScorerObjectDetection(chunks(), score_threshold=0.5)
    with pytest.warns(UserWarning) as warned:
        scores = scorer.scores()
    assert [str(warning.message).split(";")[0] for warning in warned] == [
        "4 of 6 items have no boxes and get uncertainty 0, so they come last"
    ]
    assert "without_boxes=" in str(warned[0].message)
    assert warned[0].filename == __file__  # it points at the line that asked for the scores
    assert scores.column() == pytest.approx([0, 0.2, 0, 0, 0.8, 0])
    assert scorer.scores() is scores  # and does not warn again: warnings are errors here


def test_a_try_that_fails_warns_of_nothing() -> None:
    scorer = ScorerObjectDetection([simple([0.5], []), simple([0.5])])  # ids collide, which is found at the end
    for _ in range(2):
        with pytest.raises(ValueError, match="once"):  # warnings are errors here
            scorer.scores()


@pytest.mark.parametrize("value", [0, 0.0, 1.0, -2.5])
def test_a_chosen_value_for_images_without_boxes_is_used_and_nothing_is_warned_of(value: float) -> None:
    scores = ScorerObjectDetection(simple([], [0.75]), without_boxes=value, class_counts=[3], aggregations=["sum"]).scores()
    absolute = {"object_count": [0, 1], "object_frequency": [0, 1]}
    for name in scores.names:
        assert scores.column(name)[0] == (0 if name in absolute else value)
    assert {name: scores.column(name).tolist() for name in absolute} == absolute
    assert scores.column()[1] == 0.5


def test_nothing_is_warned_of_where_every_image_has_boxes() -> None:
    assert ScorerObjectDetection(simple([0.75], [1.0])).scores().column().tolist() == [0.5, 0]


def test_a_pool_in_which_nothing_was_found_is_scored() -> None:
    with pytest.warns(UserWarning, match="2 of 2 items have no boxes"):
        scores = ScorerObjectDetection(simple([], []), nms_iou=0.5, class_counts=[1], aggregations=["top2_mean"]).scores()
    assert {value for values in as_lists(scores).values() for value in values} == {0}
