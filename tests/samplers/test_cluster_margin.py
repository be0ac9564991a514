"""CLUSTER_MARGIN keeps the highest scores and goes round the clusters, small ones first."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from samplers import Pool, SamplerUncertainty, Selection
from samplers.cluster_margin import SamplerClusterMargin
from samplers.clustering import cluster, rows_by_id

many = settings(max_examples=50, deadline=None, derandomize=True, database=None)


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def pool_of(vectors: npt.ArrayLike, scores: npt.ArrayLike, labeled: list[int] | None = None) -> Pool:
    values = np.asarray(vectors)
    is_labeled = np.zeros(len(values), dtype=bool)
    is_labeled[labeled or []] = True
    return Pool(tuple(f"{row:05d}" for row in range(len(values))), is_labeled, scores, values)


def rows_of(selection: Selection) -> list[int]:
    return [int(item_id) for item_id in selection.item_ids]


def naive(pool: Pool, n_samples: int, n_clusters: int, margin_factor: int, seed: int) -> list[int]:
    """Queues of plain lists, emptied in turn; only the clusters are the library's."""
    assert pool.vectors is not None
    assert pool.scores is not None
    scores = pool.scores.tolist()
    labels, _ = cluster(pool.vectors, n_clusters, rng(seed), order=rows_by_id(pool.item_ids))
    kept = sorted(pool.candidates.tolist(), key=lambda row: (-scores[row], row))[: margin_factor * n_samples]
    queues: dict[int, list[int]] = {}
    for row in kept:
        queues.setdefault(int(labels[row]), []).append(row)
    ordered = sorted(queues.values(), key=lambda rows: (len(rows), -scores[rows[0]], rows[0]))
    picks: list[int] = []
    while len(picks) < n_samples:
        for queue in ordered:
            if queue and len(picks) < n_samples:
                picks.append(queue.pop(0))
    return picks


@many
@given(
    seed=st.integers(0, 10**6),
    n=st.integers(1, 60),
    n_clusters=st.integers(1, 20),
    margin_factor=st.integers(1, 12),
    data=st.data(),
)
def test_picks_are_those_of_queues_emptied_in_turn(
    seed: int, n: int, n_clusters: int, margin_factor: int, data: st.DataObject
) -> None:
    vectors, scores = rng(seed).normal(size=(n, 2)), rng(seed + 1).random(n)
    if data.draw(st.booleans()):
        vectors, scores = vectors.round(), scores.round(1)  # duplicates and ties
    labeled = sorted(data.draw(st.sets(st.integers(0, n - 1), max_size=n - 1)))
    scores[labeled] = np.nan
    pool = pool_of(vectors, scores, labeled)
    n_samples = data.draw(st.integers(1, n - len(labeled)))
    sampler = SamplerClusterMargin(n_clusters=n_clusters, margin_factor=margin_factor)
    selection = sampler.select(pool, n_samples, seed=seed)
    assert rows_of(selection) == naive(pool, n_samples, n_clusters, margin_factor, seed)
    assert selection.gains.tolist() == scores[rows_of(selection)].tolist()


def test_a_batch_by_hand() -> None:
    vectors = [[0.0], [0.1], [0.2], [0.3], [50.0], [50.1], [90.0], [90.1]]
    scores = [0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.95, 0.1]
    # the six highest: 6 | 0 1 2 3 | 4; clusters of 1, 4 and 1: first 6 and 4, then 0, then 1 2 3
    sampler = SamplerClusterMargin(n_clusters=3, margin_factor=2)
    selection = sampler.select(pool_of(vectors, scores), 3)
    assert rows_of(selection) == [6, 4, 0]
    assert selection.reasons == (
        "score 0.95, 87th percentile; number 1 of 1 in its cluster among the 6 highest scores",
        "score 0.5, 25th percentile; number 1 of 1 in its cluster among the 6 highest scores",
        "score 0.9, 75th percentile; number 1 of 4 in its cluster among the 6 highest scores",
    )
    # the eight highest: 6 7 | 0 1 2 3 | 4 5
    assert rows_of(SamplerClusterMargin(n_clusters=3).select(pool_of(vectors, scores), 5)) == [6, 4, 0, 7, 5]


def test_with_a_factor_of_one_the_items_are_those_of_uncertainty() -> None:
    pool = pool_of(rng().normal(size=(80, 3)), rng(1).random(80))
    selection = SamplerClusterMargin(margin_factor=1).select(pool, 15)
    assert set(selection.item_ids) == set(SamplerUncertainty().select(pool, 15).item_ids)


def test_look_alikes_with_high_scores_do_not_fill_the_batch() -> None:
    vectors = np.concatenate([np.zeros((50, 2)), 10 + 5 * rng().normal(size=(50, 2))])
    scores = np.concatenate([np.linspace(0.9, 1, 50), np.linspace(0.5, 0.8, 50)])
    pool = pool_of(vectors, scores)
    assert all(row < 50 for row in rows_of(SamplerUncertainty().select(pool, 10)))
    assert sum(row < 50 for row in rows_of(SamplerClusterMargin().select(pool, 10))) <= 1


def test_by_default_there_is_a_cluster_for_ten_items() -> None:
    pool = pool_of(rng().normal(size=(95, 3)), rng(1).random(95))
    selection = SamplerClusterMargin().select(pool, 20)
    assert selection.item_ids == SamplerClusterMargin(n_clusters=10).select(pool, 20).item_ids
    assert selection.item_ids != SamplerClusterMargin(n_clusters=9).select(pool, 20).item_ids


def test_clusters_do_not_change_as_items_are_labeled() -> None:
    """What was number 1 of its cluster stays so while others are labeled."""
    vectors, scores = rng().normal(size=(60, 2)), rng(1).random(60)
    first = SamplerClusterMargin(n_clusters=6, margin_factor=60).select(pool_of(vectors, scores), 60)
    best = [row for row, reason in zip(rows_of(first), first.reasons) if "number 1 of" in reason]
    others = [row for row in range(60) if row not in best][::2]
    second = SamplerClusterMargin(n_clusters=6, margin_factor=60).select(pool_of(vectors, scores, others), 6)
    assert sorted(rows_of(second)) == sorted(best)


def test_cosine_clusters_directions() -> None:
    angles = np.repeat([0.0, 1.0, 2.0], 10) + 0.01 * rng().normal(size=30)
    vectors = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    lengths = rng(1).uniform(0.01, 100, size=(30, 1))
    scores = rng(2).random(30)
    stretched = SamplerClusterMargin(n_clusters=3, metric="cosine").select(pool_of(vectors * lengths, scores), 3)
    assert sorted(row // 10 for row in rows_of(stretched)) == [0, 1, 2]
    assert rows_of(stretched) == rows_of(SamplerClusterMargin(n_clusters=3).select(pool_of(vectors, scores), 3))
    with pytest.raises(ValueError, match="embedding of '00000' is zero and has no direction"):
        SamplerClusterMargin(metric="cosine").select(pool_of([[0.0], [1.0]], [0.1, 0.2]), 1)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n_clusters": 0}, "n_clusters is 0; expected a whole number of at least 1"),
        ({"n_clusters": 2.5}, "n_clusters is 2.5; expected a whole number of at least 1"),
        ({"margin_factor": 0}, "margin_factor is 0; expected a whole number of at least 1"),
        ({"metric": "manhattan"}, "metric is 'manhattan'; expected one of euclidean, cosine"),
    ],
)
def test_options_are_checked_and_named(options: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        SamplerClusterMargin(**options)  # type: ignore[arg-type]
