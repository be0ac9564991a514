"""UNCERTAINTY is a stable sort by falling score, and says where each score stands."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from samplers import Pool, SamplerUncertainty

many = settings(max_examples=150, deadline=None, derandomize=True, database=None)
finite = st.floats(allow_nan=False, allow_infinity=False)


def pool_of(scores: list[float], labeled: list[int] | None = None, *, score_name: str = "score") -> Pool:
    is_labeled = np.zeros(len(scores), dtype=bool)
    is_labeled[labeled or []] = True
    return Pool(tuple(map(str, range(len(scores)))), is_labeled, np.array(scores), score_name=score_name)


@many
@given(scores=st.lists(st.one_of(finite, st.sampled_from([0.0, -0.0, 1.0])), min_size=1, max_size=30), data=st.data())
def test_the_batch_is_a_stable_sort_of_the_candidates(scores: list[float], data: st.DataObject) -> None:
    labeled = data.draw(st.lists(st.integers(0, len(scores) - 1), max_size=len(scores) - 1, unique=True))
    candidates = [row for row in range(len(scores)) if row not in labeled]
    n_samples = data.draw(st.integers(1, len(candidates)))
    expected = sorted(candidates, key=lambda row: -scores[row])[:n_samples]
    selection = SamplerUncertainty().select(pool_of(scores, labeled), n_samples)
    assert selection.item_ids == tuple(map(str, expected))
    assert selection.gains.tolist() == [scores[row] for row in expected]
    assert (selection.method, selection.note) == ("UNCERTAINTY", "")


def test_scores_may_be_negative_and_of_any_size() -> None:
    selection = SamplerUncertainty().select(pool_of([-1e308, 1e-320, -0.5, 1e308, 0.0]), 5)
    assert selection.item_ids == ("3", "1", "4", "2", "0")


@pytest.mark.parametrize(
    ("scores", "labeled", "expected"),
    [
        ([0.5], [], ["score 0.5, 0th percentile"]),
        ([0.1, 0.9, 0.5], [], ["score 0.9, 66th percentile", "score 0.5, 33rd percentile", "score 0.1, 0th percentile"]),
        ([0.5, 0.5, 0.25, 0.25], [], ["score 0.5, 50th percentile"] * 2 + ["score 0.25, 0th percentile"] * 2),
        # a labeled item's score, however high, moves nobody
        (
            [0.1, 0.9, 0.5, 7.0, math.nan],
            [3, 4],
            ["score 0.9, 66th percentile", "score 0.5, 33rd percentile", "score 0.1, 0th percentile"],
        ),
        (
            [-2.0, 12345.678, 1e-7],
            [],
            ["score 12300, 66th percentile", "score 1e-07, 33rd percentile", "score -2, 0th percentile"],
        ),
    ],
)
def test_percentiles_count_the_candidates_with_a_lower_score(
    scores: list[float], labeled: list[int], expected: list[str]
) -> None:
    selection = SamplerUncertainty().select(pool_of(scores, labeled), len(scores) - len(labeled))
    assert list(selection.reasons) == expected


def test_percentiles_are_ordinals_from_0th_to_99th() -> None:
    selection = SamplerUncertainty().select(pool_of([float(k) for k in range(100)], score_name="entropy"), 100)
    endings = {1: "st", 2: "nd", 3: "rd"}
    expected = []
    for percent in range(99, -1, -1):
        ending = "th" if percent in {11, 12, 13} else endings.get(percent % 10, "th")
        expected.append(f"entropy {percent}, {percent}{ending} percentile")
    assert list(selection.reasons) == expected


def test_the_best_of_many_is_at_the_99th_percentile_and_never_the_100th() -> None:
    selection = SamplerUncertainty().select(pool_of(np.linspace(0, 1, 12_345).tolist()), 1)
    assert selection.reasons == ("score 1, 99th percentile",)


def test_the_gains_are_a_copy_and_not_the_pools_scores() -> None:
    pool = pool_of([0.5, 0.25])
    selection = SamplerUncertainty().select(pool, 2)
    with pytest.raises(ValueError, match="read-only"):
        selection.gains[:] = 0
    assert pool.scores is not None
    assert pool.scores.tolist() == [0.5, 0.25]
