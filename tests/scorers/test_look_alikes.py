"""Entropy of boxes with look-alikes counted once, against a plain loop over each image."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scorers import DetectionPredictions
from scorers.boxes import iou
from scorers.look_alikes import ScorerLookAlikeEntropy, difficulty_weighted_entropy, suppressed_entropy

Float64s = npt.NDArray[np.float64]

many = settings(max_examples=50, deadline=None, derandomize=True, database=None)


def random_predictions(
    seed: int, counts: list[int], *, n_classes: int = 3, has_classes: bool = True
) -> DetectionPredictions:
    rng = np.random.default_rng(seed)
    m = sum(counts)
    corners = np.sort(rng.integers(0, 9, size=(m, 2, 2)) / 8, axis=1).reshape(m, 4)
    probabilities = np.round(rng.dirichlet(np.ones(n_classes), m), 1)  # many ties
    probabilities[:, 0] += 1 - probabilities.sum(axis=1)
    return DetectionPredictions(
        [f"{row}.jpg" for row in range(len(counts))],
        corners if m else [],
        rng.integers(0, 11, m) / 10,
        rng.integers(0, n_classes, m),
        np.cumsum([0, *counts]),
        np.abs(probabilities) if has_classes and m else None,
    )


def box_entropies(predictions: DetectionPredictions) -> list[float]:
    rows = predictions.class_probabilities
    if rows is None:
        rows = np.stack([predictions.scores, 1 - predictions.scores], axis=1)
    return [-sum(p * math.log(p) for p in row if p > 0) / math.log(len(row)) for row in rows.tolist()]


def naive(predictions: DetectionPredictions, similarity: Any, threshold: float, weights: Any = None) -> list[float]:
    """Image by image: take the box of the highest entropy, drop what looks like it, and again."""
    entropies = [round(value, 12) for value in box_entropies(predictions)]
    labels, offsets = predictions.labels.tolist(), predictions.offsets.tolist()
    totals = []
    for start, stop in itertools.pairwise(offsets):
        left = list(range(start, stop))
        total = 0.0
        while left:
            best = max(left, key=lambda box: (entropies[box], -box))
            total += entropies[best] * (1 if weights is None else weights[labels[best]])
            left = [
                box for box in left if box != best and (labels[box] != labels[best] or similarity(box, best) <= threshold)
            ]
        totals.append(total)
    return totals


def cosine(features: Float64s, a: int, b: int) -> float:
    lengths = float(np.linalg.norm(features[a]) * np.linalg.norm(features[b]))
    return float(features[a] @ features[b]) / lengths if lengths else 0.0


counts_of_boxes = st.lists(st.integers(0, 9), min_size=1, max_size=5)


@many
@given(
    seed=st.integers(0, 10**6),
    counts=counts_of_boxes,
    threshold=st.sampled_from([0.0, 0.3, 0.5, 0.9]),
    has_classes=st.booleans(),
    is_weighted=st.booleans(),
)
def test_sums_are_those_of_a_loop_over_features(
    seed: int, counts: list[int], threshold: float, has_classes: bool, is_weighted: bool
) -> None:
    predictions = random_predictions(seed, counts, has_classes=has_classes)
    features = np.random.default_rng(seed + 1).normal(size=(sum(counts), 2))
    weights = [0.0, 1.0, 2.5] if is_weighted else None
    values = suppressed_entropy(predictions, features, threshold, weights)
    expected = naive(predictions, lambda a, b: cosine(features, a, b), threshold, weights)
    np.testing.assert_allclose(values, expected, atol=1e-9)
    assert values.dtype == np.float64


@many
@given(seed=st.integers(0, 10**6), counts=counts_of_boxes, threshold=st.sampled_from([0.0, 0.25, 0.5, 1.0]))
def test_without_features_boxes_are_compared_by_their_overlap(seed: int, counts: list[int], threshold: float) -> None:
    predictions = random_predictions(seed, counts, n_classes=2)

    def overlap(a: int, b: int) -> float:
        return float(iou(predictions.boxes[[a]], predictions.boxes[[b]])[0])

    np.testing.assert_allclose(
        suppressed_entropy(predictions, None, threshold), naive(predictions, overlap, threshold), atol=1e-9
    )


def apart(labels: list[int], scores: list[float], offsets: list[int]) -> DetectionPredictions:
    """Boxes side by side."""
    m = len(labels)
    boxes = [[i / m, 0, (i + 1) / m, 1] for i in range(m)]
    return DetectionPredictions([f"{i}.jpg" for i in range(len(offsets) - 1)], boxes, scores, labels, offsets)


def test_a_crowd_of_look_alikes_is_worth_its_most_uncertain_box() -> None:
    scores = [0.9, 0.5, 0.8, 0.7]
    half, other = 1.0, -(0.7 * math.log2(0.7) + 0.3 * math.log2(0.3))
    crowd = apart([0, 0, 0, 0], scores, [0, 4])
    assert suppressed_entropy(crowd, [[1.0, 0.1], [1.0, 0.0], [1.0, -0.1], [2.0, 0.0]]).tolist() == pytest.approx([half])
    assert suppressed_entropy(crowd, [[1, 0], [1, 0], [1, 0], [0, 1]]).tolist() == pytest.approx([half + other])
    assert suppressed_entropy(apart([0, 0, 0, 1], scores, [0, 4]), np.ones((4, 2))).tolist() == pytest.approx([half + other])
    assert suppressed_entropy(apart([0] * 4, scores, [0, 3, 3, 4]), np.ones((4, 2))).tolist() == pytest.approx(
        [half, 0, other]
    )


def test_suppression_is_not_passed_on_by_a_box_that_was_dropped() -> None:
    """The second is like the first, the third like the second alone: two count."""
    features = [[1.0, 0.0], [1.0, 1.0], [0.0, 1.0]]
    value = suppressed_entropy(apart([0, 0, 0], [0.5, 0.5, 0.5], [0, 3]), features)
    assert value.tolist() == [2.0]


@pytest.mark.parametrize("scale", [1e-200, 1.0, 1e200])
def test_the_length_of_features_does_not_matter_and_zero_looks_like_nothing(scale: float) -> None:
    features = np.array([[1.0, 0.5], [2.0, 1.0], [0.0, 0.0], [0.0, 0.0]]) * scale
    predictions = apart([0] * 4, [0.5] * 4, [0, 4])
    assert suppressed_entropy(predictions, features).tolist() == [3.0]
    assert suppressed_entropy(predictions, features, threshold=1.0).tolist() == [4.0]


def test_a_crowd_in_one_image_beyond_a_block_is_that_of_the_image_alone() -> None:
    counts = [1200, 0, 700, 3]
    predictions = random_predictions(3, counts)
    features = np.random.default_rng(4).normal(size=(1903, 128))
    whole = suppressed_entropy(predictions, features, 0.1)
    alone = [
        suppressed_entropy(predictions[i : i + 1], features[sum(counts[:i]) : sum(counts[: i + 1])], 0.1)[0]
        for i in range(4)
    ]
    assert whole.tolist() == alone
    assert whole[1] == 0.0
    assert naive(predictions[2:], lambda a, b: cosine(features[1200:], a, b), 0.1) == pytest.approx(whole[2:].tolist())


def test_difficult_classes_weigh_more() -> None:
    predictions = apart([0, 1, 1], [0.5, 0.5, 0.9], [0, 2, 2, 3])
    low = -(0.9 * math.log2(0.9) + 0.1 * math.log2(0.1))
    assert difficulty_weighted_entropy(predictions, [1.0, 1.5]).tolist() == pytest.approx([2.5, 0.0, 1.5 * low])


@many
@given(seed=st.integers(0, 10**6), counts=counts_of_boxes)
def test_at_threshold_1_nothing_is_dropped(seed: int, counts: list[int]) -> None:
    predictions = random_predictions(seed, counts)
    same = np.tile(np.random.default_rng(seed).normal(size=7), (sum(counts), 1))
    weights = [0.5, 1.0, 2.0]
    np.testing.assert_allclose(
        suppressed_entropy(predictions, same, 1.0, weights), difficulty_weighted_entropy(predictions, weights), rtol=1e-12
    )


# --- The scorer ---


def test_the_scorer_gives_the_function_under_its_name_whole_or_in_chunks() -> None:
    predictions = random_predictions(5, [4, 0, 6, 2, 5])
    features = np.random.default_rng(6).normal(size=(17, 3))
    expected = suppressed_entropy(predictions, features, 0.3, [1, 2, 3]).tolist()
    whole = ScorerLookAlikeEntropy(predictions, features=features, threshold=0.3, class_weights=[1, 2, 3]).scores()
    assert whole.default == "entropy_without_look_alikes"
    assert whole.column().tolist() == expected
    by_item = {"0.jpg": features[:4], "2.jpg": features[4:]}
    chunks = ScorerLookAlikeEntropy(
        iter([predictions[:2], predictions[2:]]),
        features=lambda chunk: by_item[chunk.item_ids[0]],
        threshold=0.3,
        class_weights=[1, 2, 3],
    )
    assert chunks.scores().column("entropy_without_look_alikes").tolist() == expected
    without = ScorerLookAlikeEntropy(predictions).scores().column().tolist()
    assert without == suppressed_entropy(predictions).tolist()


def test_an_array_of_features_for_chunks_is_refused() -> None:
    with pytest.raises(ValueError, match="features is an array, and predictions are chunks; give a function"):
        ScorerLookAlikeEntropy([random_predictions(1, [2])], features=np.ones((2, 2)))


@pytest.mark.parametrize("threshold", [-0.1, 1.1, math.nan, "0.5", None, True])
def test_a_threshold_out_of_range_is_refused(threshold: Any) -> None:
    with pytest.raises(ValueError, match=r"threshold is .*; expected a number in \[0, 1\]"):
        suppressed_entropy(random_predictions(1, [2]), threshold=threshold)
    with pytest.raises(ValueError, match=r"threshold is .*; expected a number in \[0, 1\]"):
        ScorerLookAlikeEntropy(random_predictions(1, [2]), threshold=threshold)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"features": np.ones((2, 4))}, "features has 2 rows for 3 boxes"),
        ({"features": np.ones(3)}, r"features has shape \(3,\); expected \(m, f\)"),
        ({"features": np.ones((3, 0))}, r"features has shape \(3, 0\); expected at least one column"),
        ({"features": [[1.0], [1.0], [np.nan]]}, "features of box 0 of '1.jpg' is"),
        ({"class_weights": [1.0, -2.0]}, r"class_weights\[1\] is -2.0; expected a finite number of 0 or more"),
        ({"class_weights": [1.0, np.inf]}, r"class_weights\[1\] is inf"),
        ({"class_weights": [1.0]}, "class_weights has 1 classes, and a box has label 1"),
    ],
)
def test_what_does_not_fit_the_boxes_is_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        suppressed_entropy(apart([0, 0, 1], [0.5, 0.5, 0.5], [0, 2, 3]), **options)
