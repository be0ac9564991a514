"""PROBCOVER is the naive greedy cover by balls, boundary included, and picks every row at most once."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from samplers import Pool, Selection, lazy_greedy
from samplers.distances import mean_of, squared_distances
from samplers.lazy_greedy import draw_landmarks
from samplers.probcover import BallShares, SamplerProbCover

many = settings(max_examples=50, deadline=None, derandomize=True, database=None)


def pool_of(vectors: npt.ArrayLike, labeled: list[int]) -> Pool:
    """Items named by their rows, all names equally long: '0000', '0001', ..."""
    rows = np.asarray(vectors)
    is_labeled = np.zeros(len(rows), dtype=bool)
    is_labeled[labeled] = True
    return Pool(tuple(f"{row:04}" for row in range(len(rows))), is_labeled, vectors=rows)


def rows_of(selection: Selection) -> list[int]:
    return [int(item_id) for item_id in selection.item_ids]


def naive(pool: Pool, n_samples: int, delta: float, landmarks: list[int]) -> tuple[list[int], list[float]]:
    """Sets of rows; stops when nothing new is covered. Only the distance is the library's."""
    assert pool.vectors is not None
    vectors, everything = pool.vectors, np.arange(len(pool))
    balls = [
        {
            u
            for u in landmarks
            if np.sqrt(squared_distances(vectors, everything[u : u + 1], everything[x : x + 1]))[0] <= delta
        }
        for x in range(len(pool))
    ]
    from_mean = squared_distances(vectors, everything, mean_of(vectors))
    covered: set[int] = set().union(*(balls[row] for row in pool.labeled))
    left = pool.candidates.tolist()
    picks: list[int] = []
    gains: list[float] = []
    while len(picks) < n_samples:
        best = max(left, key=lambda row: (len(balls[row] - covered), -from_mean[row], -row))
        if not balls[best] - covered:
            break
        picks.append(best)
        gains.append(float(len(balls[best] - covered)))
        covered |= balls[best]
        left.remove(best)
    return picks, gains


@many
@given(
    grid=st.lists(st.tuples(st.integers(-3, 3), st.integers(-2, 2)), min_size=2, max_size=25),
    delta=st.sampled_from([0.5, 1.0, 2**0.5, 2.0, 50.0]),
    offset=st.sampled_from([0.0, 10_000.0]),
    kind=st.sampled_from([np.float16, np.float32, np.float64]),
    data=st.data(),
)
def test_picks_on_a_grid_are_those_of_the_naive_cover_boundary_included(
    grid: list[tuple[int, int]], delta: float, offset: float, kind: Any, data: st.DataObject
) -> None:
    labeled = data.draw(st.lists(st.integers(0, len(grid) - 1), max_size=len(grid) - 1, unique=True).map(sorted))
    pool = pool_of((np.array(grid) + offset).astype(kind), labeled)
    n_samples = len(pool.candidates)
    picks, gains = naive(pool, n_samples, delta, pool.candidates.tolist())
    selection = SamplerProbCover(delta=delta).select(pool, n_samples)
    assert rows_of(selection)[: len(picks)] == picks
    assert selection.gains.tolist() == gains + [0.0] * (n_samples - len(picks))
    assert sorted(rows_of(selection)) == pool.candidates.tolist()


@pytest.mark.parametrize("n_labeled", [0, 30])
@pytest.mark.parametrize(("pairs", "active"), [(1 << 22, 4096), (1500, 20), (0, 20)])
def test_laziness_returns_the_picks_of_the_naive_cover(
    n_labeled: int, pairs: int, active: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With pairs kept at once, after some picks, and never."""
    monkeypatch.setattr(lazy_greedy, "FEWEST_PAIRS", pairs)
    monkeypatch.setattr(lazy_greedy, "PAIRS_PER_CANDIDATE", 1)
    monkeypatch.setattr(lazy_greedy, "ACTIVE", active)
    monkeypatch.setattr(lazy_greedy, "PAIRS_PER_BLOCK", 1000)
    pool = pool_of(np.random.default_rng(1).normal(size=(300, 3)).astype(np.float32), list(range(n_labeled)))
    landmarks = draw_landmarks(pool, pool.candidates, 0, 120, np.random.default_rng(7))
    picks, gains = naive(pool, 60, 0.6, landmarks.tolist())
    selection = SamplerProbCover(delta=0.6, n_landmarks=120).select(pool, 60, seed=7)
    assert len(picks) > 30
    assert rows_of(selection)[: len(picks)] == picks
    assert selection.gains[: len(picks)].tolist() == gains


@many
@given(
    seed=st.integers(0, 10**6),
    d=st.sampled_from([1, 3, 40]),
    offset=st.sampled_from([0.0, 10_000.0]),
    far=st.sampled_from([0.0, 1e3, 1e30]),
    data=st.data(),
)
def test_a_pair_at_exactly_delta_is_covered_and_one_an_ulp_beyond_is_not(
    seed: int, d: int, offset: float, far: float, data: st.DataObject
) -> None:
    vectors = np.random.default_rng(seed).normal(size=(12, d)) + offset
    vectors[11] += far
    rows = np.repeat(np.arange(12), 12)
    distances = np.sqrt(squared_distances(vectors, rows, np.tile(np.arange(12), 12))).reshape(12, 12)
    delta = float(data.draw(st.sampled_from(sorted(distances[distances > 0].tolist()))))
    for value in (delta, np.nextafter(delta, 0), np.nextafter(delta, np.inf)):
        shares = BallShares(vectors, np.arange(12), float(value))(np.arange(12))
        assert (shares == (distances <= value)).all()


@pytest.mark.parametrize("delta", [1e-200, 1e-9, 0.05, 1e60, 1e300])
def test_any_delta_is_served(delta: float) -> None:
    vectors = np.random.default_rng(0).normal(size=(30, 3)).astype(np.float32)
    vectors[7] = vectors[3]
    expected = np.sqrt(((vectors[:, None].astype(np.float64) - vectors[None]) ** 2).sum(axis=2)) <= delta
    assert (BallShares(vectors, np.arange(30), delta)(np.arange(30)) == expected).all()
    selection = SamplerProbCover(delta=delta).select(pool_of(vectors, []), 30)
    assert sorted(rows_of(selection)) == list(range(30))
    assert selection.gains.sum() == 30


def test_a_batch_by_hand() -> None:
    vectors = np.array([[0.0], [10.0], [11.0], [12.0], [13.5], [90.0]])
    selection = SamplerProbCover(delta=1).select(pool_of(vectors, [0]), 5)
    assert rows_of(selection)[:3] == [2, 4, 5]  # three items; then one each, the nearer to the mean first
    assert selection.gains.tolist() == [3.0, 1.0, 1.0, 0.0, 0.0]
    assert selection.reasons[0] == "covers 3 more of 5 items, those within 1"
    assert selection.reasons[4] == "adds nothing to what is covered; drawn at random"


@pytest.mark.parametrize("labeled", [[], [1], list(range(1, 40))])
@pytest.mark.parametrize("metric", ["euclidean", "cosine"])
def test_equal_rows_are_each_picked_once(labeled: list[int], metric: str) -> None:
    pool = pool_of(np.full((40, 1), 0.1, dtype=np.float16), labeled)
    selection = SamplerProbCover(metric=metric).select(pool, len(pool.candidates))
    assert sorted(rows_of(selection)) == pool.candidates.tolist()
    assert selection.gains[0] == (0.0 if labeled else 40.0)


def test_many_duplicates_give_a_batch_of_distinct_rows() -> None:
    vectors = np.repeat(np.random.default_rng(2).normal(size=(40, 3)), 50, axis=0)
    picks = rows_of(SamplerProbCover().select(pool_of(vectors, [0, 1]), 1000))
    assert len(set(picks)) == 1000


def test_the_unit_of_delta_under_cosine_is_the_chord() -> None:
    vectors = np.array([[2.0, 0.0], [0.0, 0.5], [-3.0, 0.0]])
    for delta, gains in ((1.4, [1.0, 1.0]), (1.5, [1.0, 0.0]), (2.0, [0.0, 0.0])):
        selection = SamplerProbCover(delta=delta, metric="cosine").select(pool_of(vectors, [0]), 2)
        assert selection.gains.tolist() == gains  # the second is at sqrt(2), the third at 2


def test_permuting_items_permutes_the_batch_also_where_landmarks_are_drawn() -> None:
    vectors = np.random.default_rng(6).normal(size=(3000, 4))
    pool, order = pool_of(vectors, list(range(20))), np.random.default_rng(1).permutation(3000)
    moved = Pool([pool.item_ids[row] for row in order], pool.is_labeled[order], vectors=vectors[order])
    first, second = (SamplerProbCover().select(each, 400) for each in (pool, moved))
    assert first.item_ids == second.item_ids
    assert first.gains.tolist() == second.gains.tolist()
    assert "of 2,048 sampled items" in first.reasons[0]


def test_the_default_delta_follows_the_batch() -> None:
    """One ball of two takes about half of the items, one of twenty a twentieth."""
    pool = pool_of(np.random.default_rng(3).random((400, 1)), [])
    for n_samples in (2, 20):
        gain = float(SamplerProbCover().select(pool, n_samples).gains[0])
        assert 0.8 * 400 / n_samples <= gain <= 1.6 * 400 / n_samples


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"delta": 0.0}, "delta is 0.0; expected a finite number above 0, or None"),
        ({"delta": "1"}, "delta is '1'; expected a finite number above 0, or None"),
        ({"metric": "l2"}, "metric is 'l2'; expected one of euclidean, cosine"),
        ({"n_landmarks": 1.5}, "n_landmarks is 1.5; expected a whole number of at least 1"),
    ],
)
def test_options_out_of_range_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        SamplerProbCover(**options)
