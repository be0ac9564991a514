"""AUTO picks what the sampler picks that its table names, and knows scores that look like chance."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from samplers import Pool, SamplerAuto, SamplerMaxHerding, SamplerRandom, SamplerUHerding, SamplerUncertainty, Selection
from samplers.auto import FEWEST_TESTED, MOST_ASKED, MOST_COMPARED, shared_by_neighbours
from samplers.lazy_greedy import by_id, covering_radius

Float64s = npt.NDArray[np.float64]
Rows = npt.NDArray[np.int64]
CHANCE = re.compile(
    r"height looks like chance: neighbours in the embeddings share it no more than random orders of it "
    r"\(Moran's I (-?\d\.\d{3}), expected above (\d\.\d{3})\), so that every second pick is drawn at random, the others "
    r"spread over the embeddings; check that predictions are in the order of their item ids"
)


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def pool_of(n: int, n_labeled: int = 0, seed: int = 0, d: int = 3) -> Pool:
    """Vectors at random, and scores that are a hill over them; ids are not in the order of the rows."""
    vectors = rng(seed).normal(size=(n, d))
    is_labeled = np.zeros(n, dtype=bool)
    is_labeled[rng(seed + 1).choice(n, n_labeled, replace=False)] = True
    scores = np.where(is_labeled, np.nan, np.exp(-(vectors[:, 0] ** 2)))
    ids = tuple(f"img_{name}.jpg" for name in rng(seed + 2).permutation(n).tolist())
    return Pool(ids, is_labeled, scores, vectors, "height")


def shuffled(pool: Pool, seed: int = 0) -> Pool:
    """Predictions in another order than the items."""
    assert pool.scores is not None
    scores = pool.scores.copy()
    scores[pool.candidates] = rng(seed).permutation(scores[pool.candidates])
    return replace(pool, scores=scores)


def weighted(pool: Pool, n_samples: int) -> Selection:
    """UHERDING with the radius that MAX_HERDING takes, where all that is worth covering is a landmark."""
    assert pool.vectors is not None and pool.scores is not None
    worthy = by_id(pool, pool.candidates[pool.scores[pool.candidates] > 0])
    radius = covering_radius(pool.vectors, worthy, len(pool.labeled) + n_samples, rng())
    return SamplerUHerding(radius=radius).select(pool, n_samples)


def told(selection: Selection) -> tuple[tuple[str, ...], list[float], tuple[str, ...], str]:
    return selection.item_ids, selection.gains.tolist(), selection.reasons, selection.note


def after(why: str, selection: Selection) -> tuple[tuple[str, ...], list[float], tuple[str, ...], str]:
    """What a selection says, each reason after another."""
    return selection.item_ids, selection.gains.tolist(), tuple(f"{why}; {one}" for one in selection.reasons), selection.note


# --- The table ---


@pytest.mark.parametrize("n_labeled", [0, 50])
def test_scores_that_neighbours_share_weigh_the_items(n_labeled: int) -> None:
    pool = pool_of(400, n_labeled)
    selection = SamplerAuto().select(pool, 30)
    assert told(selection) == after("neighbours share height", weighted(pool, 30))
    assert selection.method == "AUTO"
    assert re.match(r"neighbours share height; height \S+, \d+.. percentile; adds 0\.\d+ to the sim", selection.reasons[0])
    assert selection.item_ids != SamplerMaxHerding().select(pool, 30).item_ids


def test_scores_of_few_candidates_are_believed_even_those_that_look_like_chance() -> None:
    pool = shuffled(pool_of(FEWEST_TESTED + 20, 21))
    assert len(pool.candidates) == 99
    assert told(SamplerAuto().select(pool, 12)) == after("fewer than 100 candidates", weighted(pool, 12))
    one_more = shuffled(pool_of(FEWEST_TESTED + 20, 20))
    assert CHANCE.fullmatch(SamplerAuto().select(one_more, 12).note)


def test_what_random_orders_reach_divides_scores_that_tell_something_from_chance() -> None:
    """Scores with more and more noise: the decision is that of the two figures in the note."""
    pool = pool_of(120)
    assert pool.vectors is not None and pool.scores is not None
    rows, decisions, margins = by_id(pool, pool.candidates), [], []
    for share in np.linspace(0, 1, 21):
        scores = (1 - share) * pool.scores + share * rng(9).random(120)
        shared, by_chance = shared_by_neighbours(pool.vectors, rows, scores, rng())
        decisions.append(CHANCE.fullmatch(SamplerAuto().select(replace(pool, scores=scores), 3).note) is None)
        margins.append(shared - by_chance)
    assert decisions == [margin > 0 for margin in margins]
    assert min(abs(margin) for margin in margins) < 0.05 and {*decisions} == {False, True}


def test_the_radius_is_that_of_the_items_that_weigh_something() -> None:
    pool = pool_of(400)
    assert pool.scores is not None
    mostly_0 = replace(pool, scores=np.maximum(pool.scores - 0.9, 0))
    assert told(SamplerAuto().select(mostly_0, 15)) == after("neighbours share height", weighted(mostly_0, 15))


@pytest.mark.parametrize("n_labeled", [0, 50])
def test_without_scores_the_embeddings_are_covered(n_labeled: int) -> None:
    pool = replace(pool_of(400, n_labeled), scores=None)
    assert told(SamplerAuto().select(pool, 30)) == after("no scores", SamplerMaxHerding().select(pool, 30))


@pytest.mark.parametrize("value", [0.0, 0.7, -3.0])
@pytest.mark.parametrize("n", [40, 400])
def test_scores_that_are_all_alike_are_no_scores(n: int, value: float) -> None:
    pool = pool_of(n, 10)
    alike = replace(pool, scores=np.where(pool.is_labeled, 9.0, value))
    expected = after("height is the same for all", SamplerMaxHerding().select(pool, 20))
    assert told(SamplerAuto().select(alike, 20)) == expected


@pytest.mark.parametrize("n_samples", [1, 2, 30, 31, 350])
def test_scores_that_look_like_chance_leave_coverage_and_chance_in_turn(n_samples: int) -> None:
    pool = shuffled(pool_of(400, 50))
    selection = SamplerAuto().select(pool, n_samples)
    n_chosen = (n_samples + 1) // 2
    assert_in_turn(pool, selection, "height looks like chance", SamplerMaxHerding().select(pool, n_chosen))
    found = CHANCE.fullmatch(selection.note)
    assert found and float(found[1]) <= float(found[2])


@pytest.mark.parametrize("n_samples", [1, 2, 30, 31, 350])
def test_scores_alone_leave_the_highest_and_chance_in_turn(n_samples: int) -> None:
    pool = replace(pool_of(400, 50), vectors=None)
    selection = SamplerAuto().select(pool, n_samples)
    n_chosen = (n_samples + 1) // 2
    assert_in_turn(pool, selection, "no embeddings", SamplerUncertainty().select(pool, n_chosen))
    assert selection.note == (
        "every second pick is drawn at random: without embeddings nobody can tell whether the highest scores are "
        "look-alikes; pass embeddings"
    )


def assert_in_turn(pool: Pool, selection: Selection, why: str, chosen: Selection) -> None:
    """Every second pick is of a sampler, in its order; those between are drawn at random from all the others."""
    odd = slice(0, None, 2)
    assert (selection.item_ids[odd], selection.gains[odd].tolist(), selection.reasons[odd]) == after(why, chosen)[:3]
    drawn = selection.item_ids[1::2]
    assert len({*drawn, *chosen.item_ids}) == len(selection)
    assert set(drawn) <= {pool.item_ids[row] for row in pool.candidates.tolist()}
    assert selection.gains[1::2].tolist() == [0.0] * len(drawn)
    assert selection.reasons[1::2] == (f"{why}; drawn at random",) * len(drawn)


def test_with_nothing_the_batch_is_drawn_at_random() -> None:
    pool = replace(pool_of(400, 50), scores=None, vectors=None)
    note = "drawn at random, since there are neither embeddings nor scores; pass either, best both"
    assert told(SamplerAuto().select(pool, 30, seed=5)) == (*told(SamplerRandom().select(pool, 30, seed=5))[:3], note)


def test_random_picks_between_others_are_any_of_the_rest_equally_often() -> None:
    pool = replace(pool_of(12), vectors=None)
    highest = set(SamplerUncertainty().select(pool, 2).item_ids)
    counts: Counter[str] = Counter()
    for seed in range(1000):
        counts.update(SamplerAuto().select(pool, 4, seed=seed).item_ids[1::2])
    assert set(counts) == set(pool.item_ids) - highest
    assert all(abs(count - 200) < 5 * np.sqrt(160) for count in counts.values())


# --- What scores and vectors may be ---


def test_scores_below_0_are_counted_from_the_lowest() -> None:
    pool = pool_of(400, 50)
    assert pool.scores is not None
    lowest = float(np.nanmin(pool.scores))
    below = replace(pool, scores=(pool.scores - 7) * 3)
    lifted = replace(pool, scores=(pool.scores - lowest) * 3, score_name="height above the lowest")
    selection, expected = SamplerAuto().select(below, 30), weighted(lifted, 30)
    assert selection.item_ids == expected.item_ids
    np.testing.assert_allclose(selection.gains, expected.gains, rtol=1e-12)
    assert selection.reasons == after("neighbours share height", expected)[2]
    assert selection.reasons[0].startswith("neighbours share height; height above the lowest 3, 98th percentile; adds 0.0")


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, -1e300, 5.0])
def test_scores_of_labeled_items_change_nothing(value: float) -> None:
    for lift in (0.0, -7.0):
        pool = pool_of(300, 100)
        assert pool.scores is not None
        scores = pool.scores + lift
        pool = replace(pool, scores=scores)
        other = replace(pool, scores=np.where(pool.is_labeled, value, scores))
        assert told(SamplerAuto().select(other, 20)) == told(SamplerAuto().select(pool, 20))


def test_scores_of_0_almost_everywhere_are_covered_first_and_the_rest_is_drawn_at_random() -> None:
    pool = pool_of(60)
    scores = np.zeros(60)
    scores[:4] = 0.5
    selection = SamplerAuto().select(replace(pool, scores=scores), 20)
    assert (selection.gains > 0).sum() == 4
    assert set(selection.item_ids[:4]) == set(pool.item_ids[:4])
    assert selection.reasons[-1].endswith("drawn at random")


@pytest.mark.parametrize("with_vectors", [False, True])
@pytest.mark.parametrize("with_scores", [False, True])
@pytest.mark.parametrize("n", [1, 2, 3])
def test_a_pool_of_a_few_can_be_picked_whole(n: int, with_scores: bool, with_vectors: bool) -> None:
    for n_labeled in (0, 5):
        pool = pool_of(n + n_labeled, n_labeled)
        pool = replace(pool, scores=pool.scores if with_scores else None, vectors=pool.vectors if with_vectors else None)
        for n_samples in range(1, n + 1):
            picked = SamplerAuto().select(pool, n_samples).item_ids
            assert len(set(picked)) == n_samples
            assert set(picked) <= {pool.item_ids[row] for row in pool.candidates.tolist()}


def test_all_candidates_can_be_picked() -> None:
    for pool in (pool_of(300, 20), shuffled(pool_of(300, 20))):
        picked = SamplerAuto().select(pool, 280).item_ids
        assert sorted(picked) == sorted(pool.item_ids[row] for row in pool.candidates.tolist())


@pytest.mark.parametrize("scale", [2.0**-1040, 2.0**-400, 2.0**-30, 2.0**30, 2.0**300])
def test_huge_and_tiny_coordinates_are_compared_as_others_are(scale: float) -> None:
    """Where squares leave the range of float64 on the lower side, distances are ties and only the test still tells."""
    for pool in (pool_of(200, 20), shuffled(pool_of(200, 20))):
        assert pool.vectors is not None and pool.scores is not None
        scaled = replace(pool, vectors=pool.vectors * scale)
        first, second = (SamplerAuto().select(each, 15) for each in (pool, scaled))
        assert bool(first.note) == bool(second.note)
        if scale > 2.0**-500:
            assert told(second) == told(first)


def test_vectors_in_half_and_single_precision_serve_too() -> None:
    pool = pool_of(200, 20)
    assert pool.vectors is not None
    for kind in (np.float16, np.float32):
        narrow = replace(pool, vectors=pool.vectors.astype(kind))
        assert told(SamplerAuto().select(narrow, 15)) == after("neighbours share height", weighted(narrow, 15))


def test_cosine_compares_directions() -> None:
    pool = pool_of(200, 20)
    assert pool.vectors is not None
    lengths = np.sqrt((pool.vectors**2).sum(axis=1, keepdims=True))
    stretched = replace(pool, vectors=pool.vectors * 2.0 ** rng(3).integers(-4, 5, size=(200, 1)))
    unit = replace(pool, vectors=pool.vectors / lengths)
    expected = weighted(unit, 15)
    selection = SamplerAuto(metric="cosine").select(stretched, 15)
    assert selection.item_ids == expected.item_ids
    np.testing.assert_allclose(selection.gains, expected.gains, rtol=1e-5)


@pytest.mark.parametrize("is_scored", [False, True])
@pytest.mark.parametrize("row", [0, 7])
def test_a_vector_that_cannot_be_compared_is_named(row: int, is_scored: bool) -> None:
    pool = pool_of(30, 5)
    assert pool.vectors is not None
    pool = replace(pool, scores=pool.scores if is_scored else None)
    for bad, metric, message in (
        (np.nan, "euclidean", "holds NaN, infinity"),
        (np.inf, "euclidean", "holds NaN, infinity"),
        (0.0, "cosine", "is zero and has no direction"),
    ):
        vectors = pool.vectors.copy() if pool.vectors is not None else np.empty(0)
        vectors[row] = bad
        with pytest.raises(ValueError, match=re.escape(f"the embedding of {pool.item_ids[row]!r} {message}")):
            SamplerAuto(metric=metric).select(replace(pool, vectors=vectors), 3)
    with pytest.raises(ValueError, match="metric is 'manhattan'; expected one of euclidean, cosine"):
        SamplerAuto(metric="manhattan")


# --- Same pool, same batch ---


@pytest.mark.parametrize(("n", "are_shared"), [(250, False), (250, True), (MOST_COMPARED + 500, True)])
def test_permuting_the_pool_permutes_the_batch(n: int, are_shared: bool) -> None:
    pool = pool_of(n, 30) if are_shared else shuffled(pool_of(n, 30))
    assert pool.scores is not None and pool.vectors is not None
    order = rng(4).permutation(n)
    ids = [pool.item_ids[row] for row in order.tolist()]
    moved = Pool(ids, pool.is_labeled[order], pool.scores[order], pool.vectors[order], "height")
    first, second = (SamplerAuto().select(each, 20, seed=3) for each in (pool, moved))
    assert told(first) == told(second)
    assert bool(first.note) is not are_shared


@pytest.mark.parametrize("are_shared", [False, True])
def test_threads_of_matrix_products_change_nothing(are_shared: bool) -> None:
    threadpoolctl = pytest.importorskip("threadpoolctl")
    pool = pool_of(2 * MOST_ASKED, 30, d=65) if are_shared else shuffled(pool_of(2 * MOST_ASKED, 30, d=65))
    assert pool.vectors is not None
    pool = replace(pool, vectors=(100 + pool.vectors).astype(np.float32))
    batches = []
    for n_threads in (1, 2):
        with threadpoolctl.threadpool_limits(n_threads, user_api="blas"):
            batches.append(told(SamplerAuto().select(pool, 40, seed=6)))
    assert batches[0] == batches[1]


def test_another_seed_draws_other_random_picks_and_finds_the_same_of_the_scores() -> None:
    pool = shuffled(pool_of(400))
    first, second = (SamplerAuto().select(pool, 30, seed=seed) for seed in (1, 2))
    assert first.note == second.note
    assert first.item_ids[::2] == second.item_ids[::2]
    assert first.item_ids[1::2] != second.item_ids[1::2]


def test_resuming_goes_on_as_if_the_first_picks_were_labeled() -> None:
    pool = pool_of(400, 50)
    before = SamplerAuto().select(pool, 10)
    whole = SamplerAuto().select(pool, 25, resume=before)
    assert whole.item_ids[:10] == before.item_ids
    is_labeled = pool.is_labeled | np.isin(pool.item_ids, before.item_ids)
    assert whole.item_ids[10:] == SamplerAuto().select(replace(pool, is_labeled=is_labeled), 15).item_ids


# --- What neighbours share ---


def digits() -> tuple[Float64s, Float64s, npt.NDArray[np.bool_]]:
    """Images of digits, how unsure a classifier is that knows 100 of them, and which these are."""
    data = pytest.importorskip("sklearn.datasets").load_digits()
    vectors: Float64s = data.data
    is_labeled = np.zeros(len(vectors), dtype=bool)
    is_labeled[rng().choice(len(vectors), 100, replace=False)] = True
    centers = np.array([vectors[is_labeled & (data.target == digit)].mean(axis=0) for digit in range(10)])
    distances = np.sort(np.sqrt(((vectors[:, None] - centers) ** 2).sum(axis=2)), axis=1)
    return vectors, distances[:, 0] / distances[:, 1], is_labeled


@pytest.mark.parametrize("n", [200, 1797])
def test_predictions_in_another_order_than_the_images_are_found_out(n: int) -> None:
    vectors, unsure, is_labeled = digits()
    vectors, unsure, is_labeled = vectors[:n], unsure[:n], is_labeled[:n]
    ids = tuple(f"{row:04}.png" for row in range(n))
    good = Pool(ids, is_labeled, unsure, vectors, "height")
    assert SamplerAuto().select(good, 20).note == ""
    for seed in range(2):
        assert CHANCE.fullmatch(SamplerAuto().select(shuffled(good, seed), 20).note)
    by_name = np.argsort([str(row) for row in range(n)])  # 0, 1, 10, 100, ...: another program's order of the files
    assert CHANCE.fullmatch(SamplerAuto().select(replace(good, scores=unsure[by_name]), 20).note)


def moran(vectors: Float64s, n_neighbours: int) -> Callable[[Float64s], float]:
    """The textbook's, of any scores: n / sum of weights, times the weighted sum of products over the sum of squares."""
    n = len(vectors)
    distances = ((vectors[:, None] - vectors[None]) ** 2).sum(axis=2)
    np.fill_diagonal(distances, np.inf)
    weights = np.zeros((n, n))
    for row in range(n):
        weights[row, np.argsort(distances[row])[:n_neighbours]] = 1

    def of(scores: Float64s) -> float:
        in_order = np.sort(scores)
        ranks = np.array([np.mean(np.flatnonzero(in_order == score)) for score in scores])
        deviations = ranks - ranks.mean()
        value: float = n / weights.sum() * (deviations @ weights @ deviations) / (deviations @ deviations)
        return value

    return of


@pytest.mark.parametrize(("n", "n_neighbours"), [(120, 5), (7, 5), (6, 5), (4, 3), (2, 1)])
@pytest.mark.parametrize("offset", [0.0, 1e9])
def test_what_neighbours_share_is_morans_i_of_ranks(offset: float, n: int, n_neighbours: int) -> None:
    vectors = rng(1).normal(size=(n, 4)) + offset
    scores = np.rint(3 * (vectors[:, 0] - offset) + rng(2).normal(size=n))  # with ties
    shared, by_chance = shared_by_neighbours(vectors, np.arange(n), scores, rng())
    expected, orders = moran(vectors, n_neighbours), rng(0)
    np.testing.assert_allclose(shared, expected(scores), atol=1e-12)
    most = max(expected(orders.permutation(scores)) for _ in range(299))
    np.testing.assert_allclose(by_chance, most, atol=1e-12)


def test_ranks_are_compared_so_that_no_outlier_among_the_scores_decides() -> None:
    pool = pool_of(300)
    assert pool.vectors is not None and pool.scores is not None
    expected = shared_by_neighbours(pool.vectors, np.arange(300), pool.scores, rng())
    assert shared_by_neighbours(pool.vectors, np.arange(300), np.exp(300 * pool.scores), rng()) == expected


def test_of_many_rows_random_ones_are_looked_at_and_tell_the_same() -> None:
    pool = pool_of(MOST_COMPARED + 500)
    assert pool.vectors is not None and pool.scores is not None
    rows = np.arange(len(pool))
    found = [shared_by_neighbours(pool.vectors, rows, pool.scores, rng(seed)) for seed in (1, 2)]
    assert found[0] != found[1]
    assert all(shared > 0.9 and by_chance < 0.08 for shared, by_chance in found)


@pytest.mark.parametrize(
    ("n", "n_copies", "d"), [(5, 1, 128), (30, 1, 2), (100, 1, 2), (100, 1, 32), (200, 1, 8), (100, 5, 8), (200, 20, 2)]
)
def test_unrelated_scores_pass_once_in_300_times(n: int, n_copies: int, d: int) -> None:
    """Whatever the number of items, dimensions and duplicates; where the true order is one of 299, never."""
    vectors = np.repeat(rng(d).normal(size=(n // n_copies, d)), n_copies, axis=0)
    n_passed = 0
    for seed in range(200):
        shared, by_chance = shared_by_neighbours(vectors, np.arange(n), rng(seed).random(n), rng())
        n_passed += shared > by_chance
    assert n_passed <= 5  # more of 200 have a probability of 1 in 10,000


def test_scores_that_duplicates_share_tell_something() -> None:
    """As they do of a model, whatever else they are."""
    vectors, scores = np.repeat(rng().normal(size=(40, 8)), 5, axis=0), np.repeat(rng(1).random(40), 5)
    shared, by_chance = shared_by_neighbours(vectors, np.arange(200), scores, rng())
    assert shared > 0.6 > by_chance
    alone, by_chance = shared_by_neighbours(vectors, np.arange(200), rng(2).random(200), rng())
    assert alone <= by_chance


def test_scores_that_neighbours_have_opposite_look_like_chance() -> None:
    """Neighbours that share less than any two items do: two labels a place, one high and one low."""
    places = np.repeat(np.arange(100.0), 2)[:, None]
    pool = Pool(tuple(f"{row:03}" for row in range(200)), None, np.tile([0.1, 0.9], 100), places, "height")
    found = CHANCE.fullmatch(SamplerAuto().select(pool, 3).note)
    assert found and float(found[1]) < 0


def test_what_a_method_takes_is_not_what_it_needs() -> None:
    sampler: Any = SamplerAuto()
    assert (sampler.takes_scores, sampler.takes_vectors, sampler.needs_scores, sampler.needs_vectors) == (1, 1, 0, 0)
