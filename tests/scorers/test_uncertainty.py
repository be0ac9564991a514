from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from scorers import uncertainty

Array = npt.NDArray[np.float64]
Formula = Callable[[Any], Array]

FORMULAS: dict[str, Formula] = {
    "least_confidence": uncertainty.least_confidence,
    "margin": uncertainty.margin,
    "entropy": uncertainty.entropy,
    "one_vs_two_margin": uncertainty.one_vs_two_margin,
}
each_formula = pytest.mark.parametrize("formula", FORMULAS.values(), ids=FORMULAS.keys())


def by_hand(name: str, row: list[float]) -> float:
    """The formulas once more, in plain Python with exact sums."""
    if len(row) == 1:
        row = [row[0], 1 - row[0]]
    first, second = sorted(row, reverse=True)[:2]
    if name == "least_confidence":
        return (1 - first) / (1 - 1 / len(row))
    if name == "entropy":
        return -math.fsum(p * math.log2(p) for p in row if p > 0) / math.log2(len(row))
    return (1 - (first - second)) ** (2 if name == "one_vs_two_margin" else 1)


@st.composite
def distributions(draw: st.DrawFn) -> Array:
    """Rows of whole weights over their sum: ties, zeros and one-hot rows are common."""
    shape = (draw(st.integers(1, 8)), draw(st.integers(1, 6)))
    weights = draw(hnp.arrays(np.int64, shape, elements=st.integers(0, 9) | st.integers(0, 10**6)))
    if shape[1] == 1:
        return weights / 10**6
    weights[weights.sum(axis=1) == 0, -1] = 1
    return np.asarray(weights / weights.sum(axis=1, keepdims=True), dtype=np.float64)


@pytest.mark.parametrize("name", FORMULAS)
@settings(max_examples=100, deadline=None)
@given(probabilities=distributions())
def test_a_formula_equals_its_definition_and_lies_between_0_and_1(name: str, probabilities: Array) -> None:
    values = FORMULAS[name](probabilities)
    assert values == pytest.approx([by_hand(name, row) for row in probabilities.tolist()], abs=1e-12)
    assert values.dtype == np.float64
    assert values.min() >= 0
    assert values.max() <= 1


@each_formula
@pytest.mark.parametrize("n_classes", [2, 3, 10, 1000])
def test_a_uniform_row_is_highest_and_a_one_hot_row_is_lowest(formula: Formula, n_classes: int) -> None:
    one_hot = np.eye(n_classes)[[0, n_classes - 1]]
    slanted = np.linspace(1, 2, n_classes)[None] / np.linspace(1, 2, n_classes).sum()
    values = formula(np.concatenate([one_hot, slanted, np.full((1, n_classes), 1 / n_classes)]))
    assert values[:2].tolist() == [0, 0]
    assert values[3] == pytest.approx(1, abs=1e-12)
    assert 0 < values[2] < values[3]


def test_a_tie_of_two_is_a_full_margin_but_not_a_full_entropy_or_least_confidence() -> None:
    tie = np.array([[0.5, 0.5, 0.0, 0.0]])
    assert uncertainty.margin(tie).tolist() == uncertainty.one_vs_two_margin(tie).tolist() == [1]
    assert uncertainty.entropy(tie).tolist() == [0.5]
    assert uncertainty.least_confidence(tie) == pytest.approx([2 / 3])


def test_the_published_sign_error_of_the_one_vs_two_margin_is_absent() -> None:
    # the circulating wrong version is (1 - p1 - p2)^2: 0 for the tie and .11 for the nearly uniform row
    values = uncertainty.one_vs_two_margin(np.array([[0.5, 0.5, 0.0], [0.34, 0.33, 0.33], [0.9, 0.05, 0.05]]))
    assert values == pytest.approx([1, 0.9801, 0.0225])


@each_formula
@settings(max_examples=60, deadline=None)
@given(probabilities=distributions(), share=st.floats(0, 1))
def test_mixing_a_row_with_the_uniform_one_never_lowers_its_uncertainty(
    formula: Formula, probabilities: Array, share: float
) -> None:
    uniform = 0.5 if probabilities.shape[1] == 1 else 1 / probabilities.shape[1]
    mixed = (1 - share) * probabilities + share * uniform
    assert (formula(mixed) >= formula(probabilities) - 1e-12).all()


@each_formula
@settings(max_examples=60, deadline=None)
@given(probabilities=distributions(), data=st.data())
def test_the_order_of_the_classes_does_not_matter(formula: Formula, probabilities: Array, data: st.DataObject) -> None:
    order = data.draw(st.permutations(range(probabilities.shape[1])))
    assert formula(probabilities[:, order]) == pytest.approx(formula(probabilities), abs=1e-12)


@each_formula
def test_one_column_is_read_as_the_positive_class_of_two(formula: Formula) -> None:
    positive = np.linspace(0, 1, 21)[:, None]
    assert formula(positive).tolist() == formula(np.concatenate([positive, 1 - positive], axis=1)).tolist()


@each_formula
@pytest.mark.parametrize("n_classes", [1, 2, 7, 100])
@pytest.mark.parametrize("layout", ["C", "F", "reversed", "every other column"])
def test_each_row_counts_alone_to_the_last_bit_in_every_layout(formula: Formula, n_classes: int, layout: str) -> None:
    # 70,000 rows of one column, or 3,000 of a hundred, are more than one of the blocks that are worked on at a time
    n_rows = {1: 140_000, 2: 70_000}.get(n_classes, 3_000)
    rows = np.random.default_rng(n_classes).dirichlet(np.full(max(2, n_classes), 0.3), size=n_rows)[:, :n_classes]
    if layout == "every other column":
        probabilities = np.repeat(rows, 2, axis=1)[:, ::2]
    elif layout == "reversed":
        probabilities = rows[::-1].copy()[::-1]
    else:
        probabilities = np.array(rows, order="F" if layout == "F" else "C")
    whole = formula(probabilities)
    picked = [0, 1, 1310, 1311, n_rows - 1]
    assert [formula(probabilities[row : row + 1]).item() for row in picked] == whole[picked].tolist()
    assert np.concatenate([formula(probabilities[:1234]), formula(probabilities[1234:])]).tolist() == whole.tolist()


@each_formula
@settings(max_examples=60, deadline=None)
@given(probabilities=distributions())
def test_one_value_in_three_precisions_gives_one_score(formula: Formula, probabilities: Array) -> None:
    half = probabilities.astype(np.float16)
    expected = formula(half.astype(np.float64)).tolist()
    assert formula(half).tolist() == formula(half.astype(np.float32)).tolist() == expected
    single = probabilities.astype(np.float32)
    assert formula(single).tolist() == formula(single.astype(np.float64)).tolist()


@each_formula
def test_rounding_the_probabilities_moves_a_score_by_little_more_than_the_rounding(formula: Formula) -> None:
    rows = np.random.default_rng(0).dirichlet(np.full(10, 0.5), size=500)
    exact = formula(rows)
    assert formula(rows.astype(np.float32)) == pytest.approx(exact, abs=1e-6)
    assert formula(rows.astype(np.float16)) == pytest.approx(exact, abs=2e-3)


@each_formula
def test_the_input_is_left_as_it_was(formula: Formula) -> None:
    rows = np.array([[0.5, 0.25, 0.25], [0.0, 0.0, 1.0]])
    rows.flags.writeable = False
    formula(rows)
    assert rows.tolist() == [[0.5, 0.25, 0.25], [0.0, 0.0, 1.0]]
