"""TYPICLUST picks the most typical item of each cluster with fewest labels; TCM does until scores can be trusted."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from samplers import Pool, SamplerUncertainty, Selection, typiclust
from samplers.clustering import cluster, rows_by_id
from samplers.density import nearest_distances
from samplers.typiclust import SamplerTypiClust, SamplerTypiClustMargin

Floats = npt.NDArray[np.floating[Any]]

many = settings(max_examples=50, deadline=None, derandomize=True, database=None)


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def pool_of(vectors: npt.ArrayLike, labeled: list[int] | None = None, scores: npt.ArrayLike | None = None) -> Pool:
    """Items named by their rows, with zeros in front so that the order by id is that of the rows."""
    values = np.asarray(vectors)
    is_labeled = np.zeros(len(values), dtype=bool)
    is_labeled[labeled or []] = True
    return Pool(tuple(f"{row:05d}" for row in range(len(values))), is_labeled, scores, values)


def rows_of(selection: Selection) -> list[int]:
    return [int(item_id) for item_id in selection.item_ids]


def naive(pool: Pool, n_samples: int, max_clusters: int, seed: int) -> list[int]:
    """One pick after the other: look for the cluster, then for the candidate; only the clusters are the library's."""
    assert pool.vectors is not None
    vectors = pool.vectors.astype(np.float64)
    n_clusters = min(int(pool.is_labeled.sum()) + n_samples, max_clusters)
    labels, centers = cluster(pool.vectors, n_clusters, rng(seed), order=rows_by_id(pool.item_ids))
    middle = vectors.mean(axis=0)
    taken = set(pool.labeled.tolist())
    picks: list[int] = []
    while len(picks) < n_samples:
        best_cluster: tuple[bool, int, int, int] | None = None
        for number in range(len(centers)):
            members = np.flatnonzero(labels == number).tolist()
            if set(members) <= taken:
                continue
            key = (len(members) < 5, len(taken & set(members)), -len(members), number)
            best_cluster = key if best_cluster is None else min(best_cluster, key)
        assert best_cluster is not None
        members = np.flatnonzero(labels == best_cluster[3]).tolist()
        keys = []
        for row in members:
            others = sorted(float(np.linalg.norm(vectors[row] - vectors[other])) for other in members if other != row)
            mean = round(float(np.mean(others[:20])), 9) if others else 0.0
            if row not in taken:
                keys.append((mean, round(float(np.linalg.norm(vectors[row] - middle)), 9), row))
        picks.append(min(keys)[2])
        taken.add(picks[-1])
    return picks


@many
@given(seed=st.integers(0, 10**6), n=st.integers(1, 70), max_clusters=st.sampled_from([1, 2, 5, 500]), data=st.data())
def test_picks_are_those_of_looking_for_the_cluster_and_then_the_item(
    seed: int, n: int, max_clusters: int, data: st.DataObject
) -> None:
    vectors = rng(seed).normal(size=(n, 3))
    if data.draw(st.booleans()):
        vectors = vectors.round()  # duplicates and ties
    labeled = sorted(data.draw(st.sets(st.integers(0, n - 1), max_size=n - 1)))
    pool = pool_of(vectors, labeled)
    n_samples = data.draw(st.integers(1, n - len(labeled)))
    selection = SamplerTypiClust(max_clusters=max_clusters).select(pool, n_samples, seed=seed)
    assert rows_of(selection) == naive(pool, n_samples, max_clusters, seed)
    assert np.isfinite(selection.gains).all()


def blobs(n_each: list[int], spread: float = 0.1) -> Floats:
    """Clusters far from each other, of the sizes asked for."""
    middles = 100.0 * np.eye(len(n_each))
    return np.concatenate([middle + spread * rng(3).normal(size=(n, len(n_each))) for middle, n in zip(middles, n_each)])


def test_the_largest_cluster_without_a_label_comes_first_and_each_is_hit_once() -> None:
    pool = pool_of(blobs([30, 10, 20, 40]), labeled=[75])
    selection = SamplerTypiClust().select(pool, 3)
    assert [row // 10 for row in rows_of(selection)] in ([[0, 4, 3], [1, 4, 3], [2, 4, 3], [0, 5, 3], [1, 5, 3], [2, 5, 3]])
    assert selection.reasons == tuple(f"most typical of a cluster of {n} without a label" for n in (30, 20, 10))


def test_with_fewer_clusters_than_picks_it_goes_round_and_says_so() -> None:
    pool = pool_of(blobs([30, 10]), labeled=[0, 1, 2, 35])
    selection = SamplerTypiClust(max_clusters=2).select(pool, 4)
    assert [row < 30 for row in rows_of(selection)] == [False, False, True, False]
    assert selection.reasons == (
        "most typical of a cluster of 10 with 1 labeled",
        "next most typical of a cluster of 10 with 1 labeled and 1 picked",
        "most typical of a cluster of 30 with 3 labeled",
        "next most typical of a cluster of 10 with 1 labeled and 2 picked",
    )


def test_clusters_of_fewer_than_five_come_last() -> None:
    pool = pool_of(blobs([12, 4, 1]))
    selection = SamplerTypiClust(max_clusters=3).select(pool, 17)
    assert [0 if row < 12 else 1 if row < 16 else 2 for row in rows_of(selection)] == [0] * 12 + [1, 2, 1, 1, 1]
    assert selection.reasons[13] == "alone in its cluster"
    assert selection.gains[13] == 0


def test_the_gain_is_typicality_and_finite_for_duplicates() -> None:
    selection = SamplerTypiClust(max_clusters=1).select(pool_of([[0.0], [1.0], [2.0], [3.0], [7.0]]), 5)
    assert rows_of(selection) == [2, 3, 1, 0, 4]  # rows 1 and 3 are equally typical, and 3 is nearer to the mean, 2.6
    means = np.array([9, 10, 10, 13, 22]) / 4
    np.testing.assert_allclose(selection.gains, 1 / (means + 1e-5))
    same = SamplerTypiClust().select(pool_of(np.full((9, 2), 0.3)), 9)
    assert rows_of(same) == list(range(9))
    np.testing.assert_allclose(same.gains, [1e5] * 9)


def test_only_twenty_neighbours_count() -> None:
    """Row 0 sits in a dense knot of 21; the other 30 are nearer to the middle of the cluster, and farther apart."""
    knot = np.append(0.0, np.tile([1.0, -1.0], 10) * np.linspace(0.01, 0.1, 20))[:, None] + 5
    pool = pool_of(np.concatenate([knot, np.linspace(-10, 0, 30)[:, None]]))
    assert rows_of(SamplerTypiClust(max_clusters=1).select(pool, 1)) == [0]


def test_a_huge_cluster_picks_what_all_pairs_would(monkeypatch: pytest.MonkeyPatch) -> None:
    vectors = rng(4).normal(size=(5000, 2))
    pool = pool_of(vectors)
    longest: list[int] = []
    whole = nearest_distances

    def watched(vectors: Floats, rows: npt.NDArray[np.int64], others: npt.NDArray[np.int64], k: int) -> Floats:
        longest.append(len(rows) * len(others))
        return whole(vectors, rows, others, k)

    monkeypatch.setattr(typiclust, "nearest_distances", watched)
    fast = SamplerTypiClust(max_clusters=1).select(pool, 5)
    assert max(longest) <= 5000 * 1024
    monkeypatch.setattr(typiclust, "N_LANDMARKS", 10_000)
    exact = SamplerTypiClust(max_clusters=1).select(pool, 5)
    assert max(longest) == 5000 * 5000
    np.testing.assert_allclose(fast.gains, exact.gains, rtol=0.25)
    typical = np.median(1 / whole(vectors, np.arange(0, 5000, 50), np.arange(5000), 20).mean(axis=1))
    assert fast.gains.min() > 1.5 * typical


def test_cosine_looks_at_directions_and_euclidean_at_lengths_too() -> None:
    vectors = blobs([30, 20]) * rng().uniform(0.1, 10, size=(50, 1))
    by_direction = SamplerTypiClust(metric="cosine").select(pool_of(vectors), 2)
    units = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    assert rows_of(by_direction) == rows_of(SamplerTypiClust().select(pool_of(units), 2))
    assert [row < 30 for row in rows_of(by_direction)] == [True, False]
    with pytest.raises(ValueError, match="embedding of '00001' is zero and has no direction"):
        SamplerTypiClust(metric="cosine").select(pool_of([[1.0], [0.0]]), 1)


@pytest.mark.parametrize("kind", ["offset", "half", "single"])
def test_an_offset_or_another_type_changes_no_pick(kind: str) -> None:
    vectors = rng(1).integers(0, 30, size=(120, 3)).astype(np.float64)
    expected = rows_of(SamplerTypiClust().select(pool_of(vectors, [3, 50]), 10))
    other: Floats = vectors + 10_000 if kind == "offset" else vectors.astype(np.float16 if kind == "half" else np.float32)
    assert rows_of(SamplerTypiClust().select(pool_of(other, [3, 50]), 10)) == expected


@pytest.mark.parametrize("n_labeled", [0, 3, 4, 5])
def test_tcm_is_typiclust_below_the_switch_and_uncertainty_from_it_on(n_labeled: int) -> None:
    scores = rng(2).random(40)
    scores[:n_labeled] = np.nan
    pool = pool_of(rng().normal(size=(40, 3)), list(range(n_labeled)), scores)
    selection = SamplerTypiClustMargin(switch_at=4, max_clusters=6).select(pool, 5, seed=9)
    other = SamplerTypiClust(max_clusters=6) if n_labeled < 4 else SamplerUncertainty()
    expected = other.select(pool, 5, seed=9)
    assert (selection.item_ids, selection.reasons) == (expected.item_ids, expected.reasons)
    assert selection.gains.tolist() == expected.gains.tolist()
    assert selection.method == "TCM"


def test_options_are_checked_and_named() -> None:
    with pytest.raises(ValueError, match="max_clusters is 0; expected a whole number of at least 1"):
        SamplerTypiClust(max_clusters=0)
    with pytest.raises(ValueError, match="metric is 'manhattan'; expected one of euclidean, cosine"):
        SamplerTypiClustMargin(metric="manhattan")
    with pytest.raises(ValueError, match=r"switch_at is 2\.5; expected a whole number of at least 1"):
        SamplerTypiClustMargin(switch_at=2.5)  # type: ignore[arg-type]
