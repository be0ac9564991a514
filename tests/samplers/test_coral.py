"""CORAL is greedy on score ** a * distance ** b, and becomes CORESET or UNCERTAINTY where one exponent is 0."""

from __future__ import annotations

import math
import re
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from samplers import Pool, SamplerCoral, SamplerCoreset, SamplerUncertainty, Selection
from samplers.distances import squared_distances

Floats = npt.NDArray[np.floating[Any]]
Float64s = npt.NDArray[np.float64]

many = settings(max_examples=100, deadline=None, derandomize=True, database=None)
strengths = st.sampled_from([0.25, 0.5, 1.0, 1.7, 2.0, 3.0])


def pool_of(vectors: npt.ArrayLike | None, scores: npt.ArrayLike | None, labeled: list[int]) -> Pool:
    """Items named by their rows: '0', '1', ..."""
    n = len(np.asarray(scores if vectors is None else vectors))
    is_labeled = np.zeros(n, dtype=bool)
    is_labeled[labeled] = True
    return Pool(
        tuple(map(str, range(n))),
        is_labeled,
        scores=None if scores is None else np.asarray(scores, dtype=np.float64),
        vectors=None if vectors is None else np.asarray(vectors),
    )


def rows_of(selection: Selection) -> list[int]:
    return [int(item_id) for item_id in selection.item_ids]


def random_pool(seed: int, n: int, d: int, n_labeled: int) -> Pool:
    rng = np.random.default_rng(seed)
    scores = rng.random(n)
    scores[:n_labeled] = np.nan
    return pool_of(rng.normal(size=(n, d)), scores, list(range(n_labeled)))


def naive_products(
    pool: Pool, n_samples: int, score_strength: float, distance_strength: float
) -> tuple[list[int], Float64s]:
    """A loop over the candidates in plain Python numbers; only the squared distance is the library's."""
    vectors, scores = pool.vectors, pool.scores
    assert vectors is not None
    assert scores is not None
    centers = pool.labeled.tolist()
    left = pool.candidates.tolist()
    mean = np.add.reduce(vectors, axis=0, dtype=np.float64) / len(vectors)
    picks: list[int] = []
    gains: list[float] = []
    while len(picks) < n_samples:
        best, best_row = -1.0, -1
        for row in left:
            if centers:
                squared = float(squared_distances(vectors, np.full(len(centers), row), np.array(centers)).min())
            else:
                squared = float(squared_distances(vectors, np.array([row]), mean)[0])
            product = float(scores[row]) ** score_strength * math.sqrt(squared) ** distance_strength
            if product > best:
                best, best_row = product, row
        picks.append(best_row)
        gains.append(best)
        left.remove(best_row)
        centers.append(best_row)
    return picks, np.array(gains)


@many
@given(
    seed=st.integers(0, 10**6),
    n=st.integers(1, 18),
    d=st.integers(1, 4),
    n_labeled=st.integers(0, 4),
    score_strength=strengths,
    distance_strength=strengths,
)
def test_picks_and_gains_are_those_of_the_naive_product(
    seed: int, n: int, d: int, n_labeled: int, score_strength: float, distance_strength: float
) -> None:
    pool = random_pool(seed, n, d, min(n_labeled, n - 1))
    n_samples = len(pool.candidates)
    picks, gains = naive_products(pool, n_samples, score_strength, distance_strength)
    sampler = SamplerCoral(score_strength=score_strength, distance_strength=distance_strength)
    selection = sampler.select(pool, n_samples)
    np.testing.assert_allclose(selection.gains, gains, rtol=1e-12, atol=0)
    assert rows_of(selection) == picks


@many
@given(
    grid=st.lists(st.tuples(st.integers(-2, 2), st.integers(0, 3)), min_size=2, max_size=14),
    data=st.data(),
    distance_strength=st.sampled_from([1.0, 2.0]),
)
def test_exact_ties_of_products_go_to_the_lower_row(
    grid: list[tuple[int, int]], data: st.DataObject, distance_strength: float
) -> None:
    """On a line all distances and products are whole numbers, so ties are many and exact."""
    labeled = data.draw(st.lists(st.integers(0, len(grid) - 1), min_size=1, max_size=len(grid) - 1, unique=True).map(sorted))
    pool = pool_of(np.array([[float(x)] for x, _ in grid]), [float(score) for _, score in grid], labeled)
    centers = [grid[row][0] for row in labeled]
    left = [row for row in range(len(grid)) if row not in labeled]
    expected: list[int] = []
    gains: list[float] = []
    while left:
        products = {
            row: grid[row][1] * min(abs(grid[row][0] - c) for c in centers) ** int(distance_strength) for row in left
        }
        best = max(left, key=lambda row: (products[row], -row))
        expected.append(best)
        gains.append(float(products[best]))
        centers.append(grid[best][0])
        left.remove(best)
    selection = SamplerCoral(distance_strength=distance_strength).select(pool, len(expected))
    assert rows_of(selection) == expected
    assert selection.gains.tolist() == gains


def test_a_batch_by_hand() -> None:
    vectors = np.array([[0.0], [1.0], [5.0], [6.0], [6.0]])
    selection = SamplerCoral().select(pool_of(vectors, [np.nan, 0.9, 0.5, 0.25, 0.0], [0]), 4)
    # products: 0.9, 2.5, 1.5, 0; then 0.9, -, 0.25, 0; then -, -, 0.25, 0; then 0
    assert rows_of(selection) == [2, 1, 3, 4]
    assert selection.gains.tolist() == [2.5, 0.9, 0.25, 0.0]
    assert selection.reasons == (
        "score 0.5, 50th percentile; 5 from the nearest labeled item, '0'",
        "score 0.9, 75th percentile; 1 from the nearest labeled item, '0'",
        "score 0.25, 25th percentile; 1 from the nearest picked item, '2'",
        "score 0, 0th percentile; 0 from the nearest picked item, '3'",
    )
    assert (selection.method, selection.note) == ("CORAL", "")


def test_with_nothing_labeled_the_first_pick_weighs_the_distance_from_the_mean() -> None:
    vectors = np.array([[-4.0], [0.0], [1.0], [3.0]])
    selection = SamplerCoral().select(pool_of(vectors, [0.5, 0.0, 1.0, 0.75], []), 2)
    assert rows_of(selection) == [3, 0]  # 0.75 * 3 > 0.5 * 4 > 1 * 1; then 0.5 * 7 > 1 * 2
    assert selection.gains.tolist() == [2.25, 3.5]
    assert selection.reasons[0] == "score 0.75, 50th percentile; 3 from the pool's mean, nothing being labeled yet"


def test_items_worth_nothing_come_last_in_platform_order() -> None:
    """Score 0 and a duplicate of a labeled item are equal: both have product 0."""
    vectors = np.array([[9.0], [0.0], [0.0], [2.0], [5.0]])
    selection = SamplerCoral().select(pool_of(vectors, [0.0, np.nan, 0.9, 0.1, 0.0], [1]), 4)
    assert rows_of(selection) == [3, 0, 2, 4]
    assert selection.gains.tolist() == [0.2, 0.0, 0.0, 0.0]


def test_the_score_of_a_labeled_item_does_not_matter() -> None:
    vectors = np.random.default_rng(1).normal(size=(20, 3))
    scores = np.random.default_rng(2).random(20)
    batches = []
    for labeled_score in (np.nan, -1.0, 1e9, -np.inf):
        scores[[4, 7]] = labeled_score
        selection = SamplerCoral(score_strength=0.5).select(pool_of(vectors, scores, [4, 7]), 18)
        batches.append((selection.item_ids, selection.gains.tolist(), selection.reasons))
    assert batches[1:] == batches[:1] * 3


# --- The two edges of the family ---


@many
@given(
    seed=st.integers(0, 10**6),
    n=st.integers(1, 30),
    n_labeled=st.integers(0, 4),
    metric=st.sampled_from(["euclidean", "cosine"]),
    min_distance=st.sampled_from([None, 0.5, 1.5]),
)
def test_a_score_strength_of_0_is_coreset(
    seed: int, n: int, n_labeled: int, metric: str, min_distance: float | None
) -> None:
    pool = random_pool(seed, n, 3, min(n_labeled, n - 1))
    n_samples = len(pool.candidates)
    coreset = SamplerCoreset(metric=metric, min_distance=min_distance).select(pool, n_samples)
    coral = SamplerCoral(score_strength=0, metric=metric, min_distance=min_distance).select(pool, n_samples)
    assert (coral.item_ids, coral.gains.tolist(), coral.reasons) == (
        coreset.item_ids,
        coreset.gains.tolist(),
        coreset.reasons,
    )
    assert (coral.method, coral.note) == ("CORAL", coreset.note)
    without_scores = SamplerCoral(score_strength=0, metric=metric, min_distance=min_distance)
    assert not without_scores.needs_scores
    assert pool.vectors is not None
    bare = pool_of(pool.vectors, None, pool.labeled.tolist())
    assert without_scores.select(bare, n_samples).item_ids == coreset.item_ids


@pytest.mark.parametrize("distance_strength", [0.5, 2.0])
def test_without_scores_the_exponent_of_the_distance_changes_gains_alone(distance_strength: float) -> None:
    pool = random_pool(3, 40, 4, 2)
    coreset = SamplerCoreset().select(pool, 38)
    coral = SamplerCoral(score_strength=0, distance_strength=distance_strength).select(pool, 38)
    assert coral.item_ids == coreset.item_ids
    np.testing.assert_allclose(coral.gains, coreset.gains**distance_strength, rtol=1e-14)


@many
@given(scores=st.lists(st.integers(0, 5), min_size=1, max_size=20), score_strength=strengths)
def test_a_distance_strength_of_0_is_uncertainty_and_needs_no_vectors(scores: list[int], score_strength: float) -> None:
    pool = pool_of(None, np.array(scores) / 5, [])
    coral = SamplerCoral(distance_strength=0, score_strength=score_strength)
    assert not coral.needs_vectors
    uncertainty = SamplerUncertainty().select(pool, len(scores))
    selection = coral.select(pool, len(scores))
    assert (selection.item_ids, selection.gains.tolist(), selection.reasons) == (
        uncertainty.item_ids,
        uncertainty.gains.tolist(),
        uncertainty.reasons,
    )
    assert selection.method == "CORAL"


def test_equal_scores_are_coreset_with_gains_scaled() -> None:
    pool = random_pool(4, 50, 5, 3)
    assert pool.vectors is not None
    same = pool_of(pool.vectors, np.full(50, 0.25), [0, 1, 2])
    coreset = SamplerCoreset().select(pool, 47)
    coral = SamplerCoral().select(same, 47)
    assert coral.item_ids == coreset.item_ids
    assert coral.gains.tolist() == (coreset.gains / 4).tolist()


# --- Units ---


@many
@given(
    seed=st.integers(0, 10**6),
    score_exponent=st.integers(-40, 40),
    vector_exponent=st.integers(-40, 40),
    score_strength=st.sampled_from([1.0, 2.0]),
    distance_strength=st.sampled_from([1.0, 2.0]),
)
def test_scaling_scores_or_vectors_by_a_power_of_two_changes_no_pick(
    seed: int, score_exponent: int, vector_exponent: int, score_strength: float, distance_strength: float
) -> None:
    pool = random_pool(seed, 25, 3, 2)
    assert pool.vectors is not None
    assert pool.scores is not None
    scaled = pool_of(pool.vectors * 2.0**vector_exponent, pool.scores * 2.0**score_exponent, [0, 1])
    sampler = SamplerCoral(score_strength=score_strength, distance_strength=distance_strength)
    before, after = sampler.select(pool, 23), sampler.select(scaled, 23)
    assert after.item_ids == before.item_ids
    factor = 2.0 ** (score_exponent * score_strength + vector_exponent * distance_strength)
    assert after.gains.tolist() == (before.gains * factor).tolist()


def test_cosine_products_by_hand() -> None:
    vectors = np.array([[2.0, 0.0], [0.0, 0.5], [-3.0, 0.0], [1.0, 1.0]])
    selection = SamplerCoral(metric="cosine", distance_strength=2).select(pool_of(vectors, [0, 0.5, 0.1, 1.0], [0]), 3)
    # squared distances 1, 4, 0.0858 times scores: 0.5, 0.4, 0.0858; then to '1' too: -, 0.1, 0.0858; then 0.0858
    assert rows_of(selection) == [1, 2, 3]
    np.testing.assert_allclose(selection.gains, [0.5, 0.1, (1 - math.sqrt(0.5)) ** 2], rtol=1e-14)


def test_pools_beyond_every_block_size_give_the_naive_products() -> None:
    n_labeled = 256 + 30
    n = (1 << 20) // 256 + 500
    rng = np.random.default_rng(5)
    vectors, scores = (rng.normal(size=(n, 8)) + 1e3).astype(np.float32), rng.random(n)
    labeled = sorted(rng.choice(n, size=n_labeled, replace=False).tolist())
    squared = np.full(n, np.inf)
    for center in labeled:
        squared = np.minimum(squared, squared_distances(vectors, np.arange(n), np.full(n, center)))
    left = np.ones(n, dtype=bool)
    left[labeled] = False
    expected = []
    for _ in range(30):
        row = int(np.where(left, scores * np.sqrt(squared), -1).argmax())
        expected.append(row)
        left[row] = False
        squared = np.minimum(squared, squared_distances(vectors, np.arange(n), np.full(n, row)))
    assert rows_of(SamplerCoral().select(pool_of(vectors, scores, labeled), 30)) == expected


# --- min_distance ---


@pytest.mark.parametrize(("min_distance", "n_picks"), [(None, 3), (0, 3), (2, 2), (2.5, 1), (7, 1), (7.5, 0)])
def test_min_distance_stops_when_every_candidate_is_nearer(min_distance: float | None, n_picks: int) -> None:
    vectors = np.array([[0.0], [7.0], [2.0], [6.0]])
    selection = SamplerCoral(min_distance=min_distance).select(pool_of(vectors, [0, 1.0, 0.5, 0.01], [0]), 3)
    assert rows_of(selection) == [1, 2, 3][:n_picks]
    assert bool(selection.note) == (n_picks < 3)


def test_min_distance_counts_distances_and_not_products() -> None:
    vectors = np.array([[0.0], [7.0], [2.0]])
    selection = SamplerCoral(min_distance=2).select(pool_of(vectors, [0, 1e-6, 1e-6], [0]), 2)
    assert rows_of(selection) == [1, 2]


# --- Options and input ---


@pytest.mark.parametrize("name", ["score_strength", "distance_strength"])
@pytest.mark.parametrize("value", [-1.0, -1e-300, math.nan, math.inf, "1", None])
def test_a_strength_that_is_no_exponent_is_refused_by_name(name: str, value: Any) -> None:
    with pytest.raises(ValueError, match=f"{name} is .*; expected a finite number of 0 or more"):
        SamplerCoral(**{name: value})


def test_both_strengths_0_leave_nothing_to_choose_by() -> None:
    with pytest.raises(
        ValueError, match="score_strength and distance_strength are both 0, which leaves nothing to choose by"
    ):
        SamplerCoral(score_strength=0, distance_strength=0)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"metric": "l2"}, "metric is 'l2'; expected one of euclidean, cosine"),
        ({"min_distance": -1}, "min_distance is -1; expected a finite number of 0 or more"),
        ({"min_distance": math.nan}, "min_distance is nan; expected a finite number of 0 or more"),
    ],
)
def test_options_shared_with_coreset_are_checked_here_too(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        SamplerCoral(**options)


@pytest.mark.parametrize("distance_strength", [1, 2])
def test_a_negative_score_is_refused_with_the_item_and_the_score(distance_strength: float) -> None:
    pool = pool_of(np.arange(4.0)[:, None], [-5.0, 0.2, -0.5, -0.25], [0])
    with pytest.raises(
        ValueError, match=re.escape("score of '2' is -0.5; CORAL multiplies scores, which must be 0 or more")
    ):
        SamplerCoral(distance_strength=distance_strength).select(pool, 1)


def test_the_score_is_called_by_its_name_in_reasons_and_errors() -> None:
    vectors = np.arange(3.0)[:, None]
    is_labeled = np.array([True, False, False])
    pool = Pool(("a", "b", "c"), is_labeled, np.array([0, 0.5, 0.75]), vectors, score_name="uncertainty_margin")
    assert SamplerCoral().select(pool, 1).reasons == (
        "uncertainty_margin 0.75, 50th percentile; 2 from the nearest labeled item, 'a'",
    )
    pool = Pool(("a", "b", "c"), is_labeled, np.array([0, 0.5, -1]), vectors, score_name="uncertainty_margin")
    with pytest.raises(ValueError, match="uncertainty_margin of 'c' is -1; "):
        SamplerCoral().select(pool, 1)


def test_minus_0_is_no_negative_score() -> None:
    selection = SamplerCoral().select(pool_of(np.arange(3.0)[:, None], [0, -0.0, 0.0], [0]), 2)
    assert rows_of(selection) == [1, 2]


# --- Numbers at the end of the range: the largest product, or a refusal, but never another item ---


@pytest.mark.parametrize(
    ("distance_scale", "score_scale", "options"),
    [
        (1e40, 1.0, {"distance_strength": 10}),
        (1e99, 1.0, {"distance_strength": 4}),
        (1e-40, 1.0, {"distance_strength": 10}),
        (1e-90, 1.0, {"distance_strength": 4}),
        (1.0, 1e200, {"score_strength": 2}),
        (1.0, 1e-200, {"score_strength": 2}),
        (1e90, 1e250, {}),
        (1e-90, 1e-250, {}),
    ],
    ids=str,
)
def test_products_beyond_float64_are_ranked_right_or_refused(
    distance_scale: float, score_scale: float, options: dict[str, float]
) -> None:
    vectors = np.arange(6.0)[:, None]
    scores = np.array([0.5, 0.0, 0.3, 0.2, 0.1, 0.9])
    expected = SamplerCoral(**options).select(pool_of(vectors, scores, [0]), 3)  # type: ignore[arg-type]
    assert rows_of(expected)[0] == 5
    try:
        found = SamplerCoral(**options).select(  # type: ignore[arg-type]
            pool_of(vectors * distance_scale, scores * score_scale, [0]), 3
        )
    except ValueError as error:
        assert re.search("strength|score|distance|embedding", str(error))
    else:
        assert found.item_ids == expected.item_ids
        assert not np.isnan(found.gains).any()
