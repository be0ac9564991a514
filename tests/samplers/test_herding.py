"""MAX_HERDING and UHERDING are the naive greedy loop over the kernel, and no shortcut changes a pick."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from samplers import Pool, Selection, lazy_greedy
from samplers.herding import GaussianShares, SamplerMaxHerding, SamplerUHerding, smallest_distance
from samplers.lazy_greedy import FULL, covering_radius, draw_landmarks

Float64s = npt.NDArray[np.float64]
many = settings(max_examples=50, deadline=None, derandomize=True, database=None)


def pool_of(vectors: npt.ArrayLike, labeled: list[int], scores: npt.ArrayLike | None = None) -> Pool:
    """Items named by their rows, all names equally long: '0000', '0001', ..."""
    rows = np.asarray(vectors)
    is_labeled = np.zeros(len(rows), dtype=bool)
    is_labeled[labeled] = True
    values = None if scores is None else np.where(is_labeled, np.nan, scores)
    return Pool(tuple(f"{row:04}" for row in range(len(rows))), is_labeled, values, rows)


def rows_of(selection: Selection) -> list[int]:
    return [int(item_id) for item_id in selection.item_ids]


def random_pool(seed: int, n: int, d: int, n_labeled: int, offset: float = 0.0) -> Pool:
    rng = np.random.default_rng(seed)
    labeled = rng.choice(n, size=n_labeled, replace=False).tolist()
    return pool_of(rng.normal(size=(n, d)) + offset, labeled, rng.random(n))


def kernel_of(vectors: Float64s, radius: float) -> Float64s:
    """Every pair, by the formula."""
    squared = ((vectors[:, None] - vectors[None]) ** 2).sum(axis=2)
    kernel: Float64s = np.exp(-squared / radius**2)
    return kernel


def naive_gains(pool: Pool, rows: list[int], radius: float, weights: Float64s) -> Float64s:
    """For each pick, the gains of all rows before it; -1 for those that cannot be picked."""
    assert pool.vectors is not None
    kernel = kernel_of(pool.vectors.astype(np.float64), radius)
    covered = kernel[pool.labeled].max(axis=0, initial=0)
    is_open = ~pool.is_labeled
    weights = np.where(pool.is_labeled, 0.0, weights)
    result = []
    for row in rows:
        gains = np.array([(weights * np.maximum(kernel[x] - covered, 0)).sum() for x in range(len(pool))])
        result.append(np.where(is_open, gains / len(pool.candidates), -1.0))
        is_open[row] = False
        covered = np.maximum(covered, kernel[row])
    return np.array(result)


@many
@given(
    seed=st.integers(0, 10**6),
    n=st.integers(2, 30),
    d=st.integers(1, 5),
    radius=st.sampled_from([0.3, 1.0, 4.0]),
    is_weighted=st.booleans(),
    offset=st.sampled_from([0.0, 10_000.0]),
    data=st.data(),
)
def test_every_pick_has_the_largest_gain_of_the_naive_formula(
    seed: int, n: int, d: int, radius: float, is_weighted: bool, offset: float, data: st.DataObject
) -> None:
    pool = random_pool(seed, n, d, data.draw(st.integers(0, n - 1)), offset)
    n_samples = len(pool.candidates)
    sampler = SamplerUHerding(radius=radius) if is_weighted else SamplerMaxHerding(radius=radius)
    selection = sampler.select(pool, n_samples)
    assert pool.scores is not None
    naive = naive_gains(pool, rows_of(selection), radius, pool.scores if is_weighted else np.ones(n))
    np.testing.assert_allclose(selection.gains, naive.max(axis=1), atol=2e-4)
    picked = naive[np.arange(n_samples), rows_of(selection)]
    np.testing.assert_allclose(picked, naive.max(axis=1), atol=4e-4)
    assert sorted(rows_of(selection)) == pool.candidates.tolist()


def eager(pool: Pool, n_samples: int, radius: float, landmarks: npt.NDArray[np.int64]) -> list[int]:
    """The whole matrix of rounded kernel values, and every gain anew before every pick."""
    assert pool.vectors is not None
    shares = GaussianShares(pool.vectors, landmarks, radius)(np.arange(len(pool)))
    distance = ((pool.vectors - pool.vectors.mean(axis=0)) ** 2).sum(axis=1)
    covered = shares[pool.labeled].max(axis=0, initial=0)
    left = pool.candidates.tolist()
    picks: list[int] = []
    for _ in range(n_samples):
        gains = {row: float(np.maximum(shares[row] - covered, 0).sum()) for row in left}
        best = max(left, key=lambda row: (gains[row], -distance[row], -row))
        picks.append(best)
        left.remove(best)
        covered = np.maximum(covered, shares[best])
    return picks


@pytest.mark.parametrize("n_labeled", [0, 40])
@pytest.mark.parametrize(("pairs", "active"), [(1 << 22, 4096), (5000, 20), (0, 20)])
def test_laziness_returns_the_picks_of_the_eager_loop(
    n_labeled: int, pairs: int, active: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With pairs kept at once, after some picks, and never."""
    monkeypatch.setattr(lazy_greedy, "FEWEST_PAIRS", pairs)
    monkeypatch.setattr(lazy_greedy, "PAIRS_PER_CANDIDATE", 1)
    monkeypatch.setattr(lazy_greedy, "ACTIVE", active)
    monkeypatch.setattr(lazy_greedy, "PAIRS_PER_BLOCK", 1000)
    pool = random_pool(1, 500, 3, n_labeled)
    landmarks = draw_landmarks(pool, pool.candidates, 0, 150, np.random.default_rng(7))
    selection = SamplerMaxHerding(radius=0.5, n_landmarks=150).select(pool, 100, seed=7)
    assert rows_of(selection) == eager(pool, 100, 0.5, landmarks)
    assert selection.gains.min() > 0


def test_blocks_and_threads_change_no_share() -> None:
    """Sums of products that are exact do not depend on what else is in the block."""
    vectors = np.random.default_rng(0).normal(size=(700, 64)).astype(np.float32)
    shares = GaussianShares(vectors, np.arange(0, 700, 3), 10.0)
    whole = shares(np.arange(700))
    assert all((shares(np.array([row])) == whole[row]).all() for row in range(700))
    assert (shares(np.arange(0, 700, 7)) == whole[::7]).all()


@pytest.mark.parametrize("offset", [0.0, 10_000.0])
@pytest.mark.parametrize("spread", [1.0, 1e6])
def test_shares_are_the_kernel_also_far_from_the_origin_and_in_wide_pools(offset: float, spread: float) -> None:
    vectors = np.random.default_rng(3).normal(size=(60, 8)) + offset
    vectors[0] += spread
    shares = GaussianShares(vectors, np.arange(60), 3.0)(np.arange(60)) / FULL
    np.testing.assert_allclose(shares, kernel_of(vectors, 3.0), atol=3e-3)
    assert (np.diag(shares) == 1)[1:].all() and shares.max() <= 1


def test_a_pick_by_hand() -> None:
    vectors = np.array([[0.0], [10.0], [11.0], [12.0], [30.0]])
    selection = SamplerMaxHerding(radius=1).select(pool_of(vectors, [0]), 3)
    assert rows_of(selection)[:2] == [2, 4]  # 1 + 2 / e of four items; then 1, while 1 and 3 add 1 - 1 / e
    np.testing.assert_allclose(selection.gains, np.array([1 + 2 / np.e, 1, 1 - 1 / np.e]) / 4, rtol=1e-3)
    assert rows_of(selection)[2] == 3  # of 10 and 12, equally good, the one nearer to the mean, 12.6
    assert selection.reasons[1] == "adds 0.25 to the mean similarity of 4 items to what is labeled or picked"


def test_equal_gains_at_equal_distance_from_the_mean_go_to_the_lower_row() -> None:
    selection = SamplerMaxHerding(radius=1).select(pool_of(np.array([[3.0], [-3.0], [0.0]]), [2]), 2)
    assert rows_of(selection) == [0, 1]


def test_an_outlier_waits_for_the_dense_regions() -> None:
    rng = np.random.default_rng(5)
    vectors = np.concatenate([center + rng.normal(size=(50, 4)) for center in (0, 20, 40)] + [np.full((1, 4), 500.0)])
    picks = rows_of(SamplerMaxHerding(radius=3).select(pool_of(vectors, []), 4))
    assert sorted(row // 50 for row in picks[:3]) == [0, 1, 2]
    assert 150 not in picks


@pytest.mark.parametrize("sampler", [SamplerMaxHerding(), SamplerUHerding(), SamplerMaxHerding(metric="cosine")], ids=repr)
@pytest.mark.parametrize("labeled", [[], [1], list(range(1, 40))])
def test_equal_rows_are_each_picked_once_and_all_but_the_first_add_nothing(sampler: Any, labeled: list[int]) -> None:
    pool = pool_of(np.full((40, 3), 0.1, dtype=np.float16), labeled, np.full(40, 0.5))
    selection = sampler.select(pool, len(pool.candidates))
    assert sorted(rows_of(selection)) == pool.candidates.tolist()
    assert (selection.gains > 0).sum() == (0 if labeled else 1)
    assert selection.reasons[-1].endswith("drawn at random") == (len(pool) > len(labeled) + 1 or bool(labeled))


def test_duplicates_are_not_picked_while_others_add_something() -> None:
    vectors = np.repeat(np.random.default_rng(2).normal(size=(20, 3)), 5, axis=0)
    picks = rows_of(SamplerMaxHerding(radius=0.5).select(pool_of(vectors, []), 100))
    assert sorted(row // 5 for row in picks[:20]) == list(range(20))
    assert sorted(picks) == list(range(100))


# --- Weights ---


def test_equal_scores_are_max_herding_with_gains_scaled() -> None:
    pool = pool_of(np.random.default_rng(4).normal(size=(50, 3)), [0, 9], np.full(50, 0.25))
    plain, weighted = (cls(radius=1).select(pool, 48) for cls in (SamplerMaxHerding, SamplerUHerding))
    assert weighted.item_ids == plain.item_ids
    np.testing.assert_allclose(weighted.gains, plain.gains / 4, rtol=1e-12)


def test_a_tiny_radius_leaves_the_order_of_scores_and_a_score_of_0_comes_last() -> None:
    scores = [0.0, 0.5, 0.9, 0.0, 0.7]
    selection = SamplerUHerding(radius=1e-6).select(pool_of(np.arange(5.0)[:, None], [], scores), 5)
    assert rows_of(selection)[:3] == [2, 4, 1]
    np.testing.assert_allclose(selection.gains, np.array([0.9, 0.7, 0.5, 0, 0]) / 5, rtol=1e-5)
    zero = SamplerUHerding().select(pool_of(np.arange(5.0)[:, None], [], np.zeros(5)), 5)
    assert (sorted(rows_of(zero)), zero.gains.tolist()) == ([0, 1, 2, 3, 4], [0.0] * 5)


def test_a_negative_score_is_refused_with_the_item() -> None:
    with pytest.raises(
        ValueError, match=re.escape("score of '0002' is -0.5; UHERDING weighs by scores, which must be 0 or")
    ):
        SamplerUHerding().select(pool_of(np.arange(4.0)[:, None], [0], [-5.0, 0.2, -0.5, 0.1]), 1)


# --- Landmarks, radius, options ---


@pytest.mark.parametrize("cls", [SamplerMaxHerding, SamplerUHerding])
def test_permuting_items_permutes_the_batch_also_where_landmarks_are_drawn(cls: Any) -> None:
    pool = random_pool(6, 3000, 4, 30)
    assert pool.vectors is not None and pool.scores is not None
    order = np.random.default_rng(1).permutation(3000)
    moved = Pool([pool.item_ids[row] for row in order], pool.is_labeled[order], pool.scores[order], pool.vectors[order])
    assert cls().select(pool, 50).item_ids == cls().select(moved, 50).item_ids
    assert "2,048 sampled items" in cls().select(pool, 1).reasons[0]


def test_the_default_radius_is_the_middle_distance_to_the_right_neighbour() -> None:
    vectors = np.random.default_rng(8).normal(size=(61, 4)) + 1e4
    distances = np.sqrt(((vectors[:, None] - vectors[None]) ** 2).sum(axis=2))
    for n_balls, place in ((61, 1), (20, 3), (10, 6), (1, 60)):
        expected = np.sort(np.sort(distances, axis=1)[:, place])[30]
        found = covering_radius(vectors, np.arange(61), n_balls, np.random.default_rng(0))
        np.testing.assert_allclose(found, expected, rtol=1e-9)
    one = np.zeros((9, 2))
    assert covering_radius(one, np.arange(9), 3, np.random.default_rng(0)) == 1.0
    one[4, 1] = 7.0
    assert covering_radius(one, np.arange(9), 3, np.random.default_rng(0)) == 7.0


def test_uherdings_radius_is_the_smallest_positive_distance_of_labeled_items() -> None:
    vectors = np.array([[0.0], [5.0], [5.0], [8.0], [8.5], [40.0]])
    assert smallest_distance(vectors, np.array([0, 1, 2, 3]), np.random.default_rng(0)) == 3.0
    assert smallest_distance(vectors, np.array([1, 2]), np.random.default_rng(0)) == 0.0
    pool = pool_of(vectors, [0, 1, 2, 3], np.ones(6))
    told = [SamplerUHerding(radius=radius).select(pool, 2).gains.tolist() for radius in (None, 3.0)]
    assert told[0] == told[1]


@pytest.mark.parametrize("cls", [SamplerMaxHerding, SamplerUHerding])
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"radius": 0}, "radius is 0; expected a finite number above 0, or None"),
        ({"radius": float("nan")}, "radius is nan; expected a finite number above 0"),
        ({"metric": "l2"}, "metric is 'l2'; expected one of euclidean, cosine"),
        ({"n_landmarks": 0}, "n_landmarks is 0; expected a whole number of at least 1"),
        ({"n_landmarks": 40_000}, "n_landmarks is 40000; expected at most 32768"),
    ],
)
def test_options_out_of_range_are_refused(cls: Any, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        cls(**options)


def test_laziness_returns_the_same_weighted_batch_with_and_without_kept_pairs(monkeypatch: pytest.MonkeyPatch) -> None:
    pool = random_pool(9, 600, 3, 25)
    expected = SamplerUHerding(radius=0.7, n_landmarks=300).select(pool, 80)
    monkeypatch.setattr(lazy_greedy, "FEWEST_PAIRS", 0)
    monkeypatch.setattr(lazy_greedy, "PAIRS_PER_CANDIDATE", 0)
    monkeypatch.setattr(lazy_greedy, "ACTIVE", 15)
    dense = SamplerUHerding(radius=0.7, n_landmarks=300).select(pool, 80)
    assert (dense.item_ids, dense.gains.tolist()) == (expected.item_ids, expected.gains.tolist())
