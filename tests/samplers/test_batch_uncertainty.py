"""BATCH_UNCERTAINTY ranks random batches by their sum or mean, against a version in plain Python."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from samplers import Pool, SamplerBatchUncertainty, SamplerUncertainty
from samplers.reasons import in_words

many = settings(max_examples=150, deadline=None, derandomize=True, database=None)


def pool_of(scores: list[float], labeled: list[int] | None = None) -> Pool:
    is_labeled = np.zeros(len(scores), dtype=bool)
    is_labeled[labeled or []] = True
    return Pool(tuple(f"item {row:03}" for row in range(len(scores))), is_labeled, np.array(scores))


def naive_batches(pool: Pool, n_samples: int, batch_size: int, aggregate: str, seed: int) -> tuple[list[int], list[str]]:
    """Cut, rank, flatten: lists and sorts alone. The draw is that of RANDOM: a permutation of the rows sorted by id."""
    assert pool.scores is not None
    score = dict(enumerate(pool.scores.tolist()))
    by_id = sorted(pool.candidates.tolist(), key=lambda row: pool.item_ids[row])
    shuffled = np.random.default_rng(seed).permutation(by_id).tolist()
    batches = [shuffled[start : start + batch_size] for start in range(0, len(shuffled), batch_size)]
    valued = [(sum(score[row] for row in batch) / (len(batch) if aggregate == "mean" else 1), batch) for batch in batches]
    valued.sort(key=lambda pair: -pair[0])
    picks: list[int] = []
    wheres: list[str] = []
    for place, (value, batch) in enumerate(valued):
        picks += sorted(batch, key=lambda row: (-score[row], row))
        wheres += [f"in batch {place + 1} of {len(batches)}, {aggregate} {in_words(value)}"] * len(batch)
    return picks[:n_samples], wheres[:n_samples]


@many
@given(
    # whole numbers over 64: their sums are exact, in any order, and ties of scores are frequent
    scores=st.lists(st.integers(-64, 64).map(lambda k: k / 64), min_size=1, max_size=40),
    batch_size=st.integers(1, 45),
    aggregate=st.sampled_from(["sum", "mean"]),
    seed=st.integers(0, 10**6),
    data=st.data(),
)
def test_the_batch_is_that_of_the_naive_version(
    scores: list[float], batch_size: int, aggregate: str, seed: int, data: st.DataObject
) -> None:
    labeled = data.draw(st.lists(st.integers(0, len(scores) - 1), max_size=len(scores) - 1, unique=True))
    pool = pool_of(scores, labeled)
    n_samples = data.draw(st.integers(1, len(pool.candidates)))
    picks, wheres = naive_batches(pool, n_samples, batch_size, aggregate, seed)
    selection = SamplerBatchUncertainty(batch_size=batch_size, aggregate=aggregate).select(pool, n_samples, seed=seed)
    assert selection.item_ids == tuple(pool.item_ids[row] for row in picks)
    assert selection.gains.tolist() == [scores[row] for row in picks]
    assert [reason.split("; ")[1] for reason in selection.reasons] == wheres
    assert (selection.method, selection.note) == ("BATCH_UNCERTAINTY", "")


@many
@given(
    scores=st.lists(st.floats(-1e9, 1e9), min_size=1, max_size=30),
    seed=st.integers(0, 10**6),
    aggregate=st.sampled_from(["sum", "mean"]),
)
def test_batches_of_one_are_uncertainty_up_to_ties(scores: list[float], seed: int, aggregate: str) -> None:
    pool = pool_of(scores)
    one = SamplerBatchUncertainty(batch_size=1, aggregate=aggregate).select(pool, len(scores), seed=seed)
    sorted_ones = SamplerUncertainty().select(pool, len(scores))
    assert one.gains.tolist() == sorted_ones.gains.tolist()
    if len(set(scores)) == len(scores):
        assert one.item_ids == sorted_ones.item_ids


@pytest.mark.parametrize("batch_size", [12, 13, 1_000, 2**40])
def test_a_batch_that_holds_the_pool_is_uncertainty(batch_size: int) -> None:
    pool = pool_of([0.5, 0.1, 0.5, 0.9, 0.3, 0.3, 0.0, 0.8, 0.7, 0.2, 0.5, 0.6])
    one = SamplerBatchUncertainty(batch_size=batch_size).select(pool, 9, seed=3)
    assert one.item_ids == SamplerUncertainty().select(pool, 9).item_ids
    assert all("; in batch 1 of 1, sum " in reason for reason in one.reasons)


def test_a_smaller_last_batch_counts_for_less_by_the_sum_and_alike_by_the_mean() -> None:
    """Five items in batches of 2: the item left alone has 0.5, less than 0.1 + 0.8 and more than their mean."""
    scores = [0.1, 0.1, 0.8, 0.1, 0.5]
    seeds_alone = [
        seed for seed in range(300) if np.random.default_rng(seed).permutation(5)[4] == 4 and _partner_of(2, seed) != 4
    ]
    assert len(seeds_alone) > 10
    for seed in seeds_alone:
        by_sum = SamplerBatchUncertainty(batch_size=2).select(pool_of(scores), 1, seed=seed)
        assert by_sum.reasons == ("score 0.8, 80th percentile; in batch 1 of 3, sum 0.9",)
        by_mean = SamplerBatchUncertainty(batch_size=2, aggregate="mean").select(pool_of(scores), 1, seed=seed)
        assert by_mean.reasons == ("score 0.5, 60th percentile; in batch 1 of 3, mean 0.5",)


def _partner_of(row: int, seed: int) -> int:
    order = np.random.default_rng(seed).permutation(5).tolist()
    place = order.index(row)
    return int(order[place ^ 1]) if place < 4 else row


def test_whole_batches_are_taken_and_only_the_last_is_cut() -> None:
    scores = np.random.default_rng(1).random(53).tolist()
    pool = pool_of(scores)
    whole = SamplerBatchUncertainty(batch_size=7).select(pool, 53, seed=5)
    places = [reason.split("in batch ")[1].split(" ")[0] for reason in whole.reasons]
    assert sorted(places, key=int) == places
    assert sorted(places.count(str(place)) for place in range(1, 9)) == [4] + [7] * 7
    for n_samples in range(1, 54):
        short = SamplerBatchUncertainty(batch_size=7).select(pool, n_samples, seed=5)
        assert short.item_ids == whole.item_ids[:n_samples]
        assert short.reasons == whole.reasons[:n_samples]


def test_batches_are_drawn_evenly() -> None:
    """Of 5 items with equal scores in batches of 2, each is in the first batch as often; chi-square, 4 degrees, p 1e-4."""
    counts = dict.fromkeys([f"item {row:03}" for row in range(5)], 0)
    for seed in range(2_000):
        for item_id in SamplerBatchUncertainty(batch_size=2).select(pool_of([1.0] * 5), 2, seed=seed).item_ids:
            counts[item_id] += 1
    assert sum((count - 800) ** 2 / 800 for count in counts.values()) < 23.5


@pytest.mark.parametrize("batch_size", [0, -1, 1.5, True, "3", None, math.nan])
def test_a_batch_size_that_is_no_count_is_refused(batch_size: Any) -> None:
    with pytest.raises(ValueError, match=r"batch_size is .*; expected a whole number of at least 1"):
        SamplerBatchUncertainty(batch_size=batch_size)


@pytest.mark.parametrize("aggregate", ["max", "SUM", "", None, 1, ["sum"]])
def test_an_unknown_aggregate_is_refused_with_the_known_ones(aggregate: Any) -> None:
    with pytest.raises(ValueError, match=r"aggregate is .*; expected 'sum' or 'mean'"):
        SamplerBatchUncertainty(aggregate=aggregate)


@pytest.mark.parametrize("batch_size", [2**63, 2**70])
def test_a_batch_size_beyond_int64_is_one_batch_too(batch_size: int) -> None:
    assert SamplerBatchUncertainty(batch_size=batch_size).select(pool_of([0.5, 0.9]), 1).item_ids == ("item 001",)
