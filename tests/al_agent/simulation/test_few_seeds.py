"""Intervals and tests over seeds agree with scipy's, and say when seeds are too few."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import scipy.stats  # type: ignore[import-untyped]
from hypothesis import given
from hypothesis import strategies as st

from al_agent.simulation.figures.few_seeds import (
    Figure,
    mean_of_seeds,
    resampled_figure,
    resampled_weights,
    sign_flip_test,
    smallest_sign_flip,
    t_test,
)

DIFFERENCES = st.lists(st.floats(-1, 1, allow_subnormal=False).map(lambda x: round(x, 6)), min_size=2, max_size=8)


@given(DIFFERENCES.filter(lambda numbers: np.ptp(numbers) > 1e-5), st.floats(0.5, 0.99))
def test_the_interval_and_the_t_test_are_those_of_scipy(numbers: list[float], confidence: float) -> None:
    figure = mean_of_seeds(numbers, confidence=confidence)
    expected = scipy.stats.t.interval(confidence, len(numbers) - 1, np.mean(numbers), scipy.stats.sem(numbers))
    assert (figure.low, figure.high) == pytest.approx(expected, rel=1e-6, abs=1e-9)
    assert figure.value == pytest.approx(np.mean(numbers))
    assert t_test(numbers) == pytest.approx(scipy.stats.ttest_1samp(numbers, 0).pvalue, rel=1e-6, abs=1e-12)


@given(DIFFERENCES)
def test_the_sign_flip_test_counts_every_way_to_set_the_signs(numbers: list[float]) -> None:
    sums = [
        abs(sum(sign * x for sign, x in zip(signs, numbers))) for signs in itertools.product((1, -1), repeat=len(numbers))
    ]
    expected = np.mean(np.array(sums) >= abs(sum(numbers)) - 1e-9 * max(map(abs, numbers), default=0))
    assert sign_flip_test(numbers) == pytest.approx(expected)
    assert sign_flip_test([-x for x in numbers]) == sign_flip_test(numbers)
    assert sign_flip_test(numbers) >= smallest_sign_flip(len(numbers))


def test_the_sign_flip_test_of_more_than_20_seeds_draws_its_flips_and_agrees_with_every_flip() -> None:
    numbers = np.random.default_rng(0).normal(0.35, 1, 20)
    exact = sign_flip_test(numbers)
    drawn = sign_flip_test(np.concatenate([numbers, [0.0]]))  # a difference of 0 changes no sum
    assert 0.2 < exact < 0.6
    assert drawn == pytest.approx(exact, abs=0.0062)  # 4 standard errors of 99,999 flips
    assert sign_flip_test(np.ones(21)) == pytest.approx(1e-5)
    assert smallest_sign_flip(21) == 1e-5


def test_a_gain_in_every_one_of_5_seeds_has_the_smallest_p_value_and_that_is_above_5_percent() -> None:
    assert sign_flip_test([0.1, 0.2, 0.3, 0.4, 0.5]) == smallest_sign_flip(5) == 0.0625


def test_differences_that_are_all_alike_are_certain_or_none() -> None:
    assert t_test([0.1, 0.1]) == 0.0
    assert t_test([0.0, 0.0]) == sign_flip_test([0.0, 0.0]) == 1.0


def test_one_seed_has_a_value_and_no_interval_and_nan_has_no_mean() -> None:
    assert mean_of_seeds([0.25]) == Figure(0.25, note="one seed: no interval")
    assert mean_of_seeds([0.25, np.nan, 0.5]) == Figure(None, note="1 of 3 seeds have no number")


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: mean_of_seeds([]), "values is empty"),
        (lambda: mean_of_seeds([1, 2], confidence=95), "confidence is 95; expected a share"),
        (lambda: t_test([1.0]), "differences of 1 seed; expected 2 or more"),
        (lambda: t_test([1.0, np.nan]), "difference 1 is nan"),
        (lambda: sign_flip_test([]), "differences is empty"),
        (lambda: resampled_weights(2, confidence=0.9, n_resamples=200, seed=0), "2 seeds cannot be resampled"),
        (lambda: resampled_weights(5, confidence=0.9, n_resamples=99, seed=0), "n_resamples is 99"),
        (lambda: resampled_weights(5, confidence=0.0, n_resamples=200, seed=0), "confidence is 0.0"),
    ],
)
def test_what_cannot_be_computed_is_refused(call: object, message: str) -> None:
    assert callable(call)
    with pytest.raises(ValueError, match=message):
        call()


@pytest.mark.parametrize("n_seeds", [3, 5, 10])
def test_the_stretched_bootstrap_of_a_mean_is_as_wide_as_students_interval(n_seeds: int) -> None:
    ratios = []
    for number in range(60):
        values = np.random.default_rng([n_seeds, number]).normal(size=n_seeds)
        weights = resampled_weights(n_seeds, confidence=0.95, n_resamples=1000, seed=number)
        assert np.allclose(weights.sum(axis=1), 1)
        resampled = resampled_figure(float(values.mean()), weights @ values, confidence=0.95)
        student = mean_of_seeds(values)
        assert (
            resampled.low is not None and resampled.high is not None and student.low is not None and student.high is not None
        )
        ratios.append((resampled.high - resampled.low) / (student.high - student.low))
    assert np.mean(ratios) == pytest.approx(1, abs=0.05)


def test_a_seed_repeats_its_resamples_and_another_one_draws_others() -> None:
    first, again, other = (resampled_weights(4, confidence=0.9, n_resamples=100, seed=seed) for seed in (1, 1, 2))
    assert (first == again).all()
    assert (first != other).any()


def test_an_end_that_falls_on_resamples_without_number_is_open() -> None:
    estimates = np.array([-np.inf, *np.arange(98.0), np.inf])
    assert resampled_figure(50.0, estimates, confidence=0.5).low == 23.0  # 99 * 0.25 = 24.75, place 24 counted from 0
    assert resampled_figure(50.0, estimates, confidence=0.5).high == 74.0
    wide = resampled_figure(50.0, estimates, confidence=0.99)
    assert (wide.low, wide.high) == (None, None)
    assert wide.note == "in 2.00% of the resamples there is no number within the budgets measured"
    unknown = resampled_figure(1.0, np.array([np.nan] * 30 + [1.0] * 70), confidence=0.5)
    assert (unknown.low, unknown.high) == (None, None)
    assert resampled_figure(None, estimates, confidence=0.5, note="why").note == "why"


def test_an_interval_holds_its_number_even_where_no_resample_does() -> None:
    figure = resampled_figure(5.0, np.linspace(0, 1, 100), confidence=0.9)
    assert figure.value == figure.high == 5.0


@pytest.mark.parametrize(
    ("figure", "text"),
    [
        (Figure(0.5), "0.5"),
        (Figure(0.5, 0.25, 0.75, "x"), "0.5 (0.25 to 0.75): x"),
        (Figure(0.5, low=0.25), "0.5 (0.25 or more)"),
        (Figure(None, high=0.25, note="x"), "no number (0.25 or less): x"),
    ],
)
def test_a_figure_reads_as_a_sentence(figure: Figure, text: str) -> None:
    assert str(figure) == text
