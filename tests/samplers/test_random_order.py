"""RANDOM draws every candidate as often as any other, and the same ones for the same seed in any order of the pool."""

from __future__ import annotations

from collections import Counter
from itertools import permutations

import numpy as np

from samplers import Pool, SamplerRandom

N_SEEDS = 3_000


def test_every_ordered_pair_of_candidates_is_drawn_as_often() -> None:
    """Chi-square over the 12 ordered pairs of 4 candidates among 6 items: 11 degrees of freedom, p 1e-4 at 37.4."""
    pool = Pool(("f", "b", "c", "a", "e", "d"), np.array([False, True, False, False, True, False]))
    counts = Counter(SamplerRandom().select(pool, 2, seed=seed).item_ids for seed in range(N_SEEDS))
    expected = N_SEEDS / 12
    pairs = list(permutations("facd", 2))
    assert sum(counts[pair] for pair in pairs) == N_SEEDS
    assert sum((counts[pair] - expected) ** 2 / expected for pair in pairs) < 37.4


def test_every_item_of_a_larger_pool_is_picked_and_placed_as_often() -> None:
    """Two chi-squares over 20 items, 19 degrees of freedom, p 1e-4 at 50.8: being picked, and being first."""
    pool = Pool(tuple(f"{k:02}" for k in range(20)))
    picked: Counter[str] = Counter()
    first: Counter[str] = Counter()
    for seed in range(N_SEEDS):
        ids = SamplerRandom().select(pool, 5, seed=seed).item_ids
        picked.update(ids)
        first[ids[0]] += 1
    # without replacement each count varies by 15/19 of what independent draws would
    assert sum((picked[item] - N_SEEDS / 4) ** 2 / (N_SEEDS / 4) for item in pool.item_ids) * 19 / 15 < 50.8
    assert sum((first[item] - N_SEEDS / 20) ** 2 / (N_SEEDS / 20) for item in pool.item_ids) < 50.8


def test_different_seeds_draw_differently() -> None:
    pool = Pool(tuple(map(str, range(200))))
    batches = {SamplerRandom().select(pool, 20, seed=seed).item_ids for seed in range(100)}
    assert len(batches) == 100


def test_a_generator_goes_on_where_it_was() -> None:
    pool = Pool(tuple(map(str, range(200))))
    rng = np.random.default_rng(5)
    first, second = (SamplerRandom().select(pool, 20, seed=rng).item_ids for _ in range(2))
    assert first == SamplerRandom().select(pool, 20, seed=5).item_ids
    assert second != first


def test_the_draw_depends_on_the_candidates_alone() -> None:
    """Labeled items, scores, vectors and the order of the pool play no part."""
    bare = SamplerRandom().select(Pool(("a", "b", "c", "d", "e")), 5, seed=7).item_ids
    labeled = np.array([False, True, False, False, True, False, False])
    mixed = Pool(("e", "x", "c", "a", "y", "d", "b"), labeled, np.arange(7.0), np.ones((7, 2)))
    assert SamplerRandom().select(mixed, 5, seed=7).item_ids == bare


def test_gains_are_0_and_reasons_say_so() -> None:
    selection = SamplerRandom().select(Pool(("a", "b", "c")), 2)
    assert selection.gains.tolist() == [0.0, 0.0]
    assert selection.reasons == ("drawn at random", "drawn at random")
    assert (selection.method, selection.note) == ("RANDOM", "")
