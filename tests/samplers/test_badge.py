"""BADGE draws by squared distance between gradient embeddings, which it never builds."""

from __future__ import annotations

import dataclasses
import itertools
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from samplers.badge import Gradients, SamplerBadge
from samplers.pool import Pool
from samplers.selection import Selection

Floats = npt.NDArray[np.floating[Any]]
Float64s = npt.NDArray[np.float64]

many = settings(max_examples=40, deadline=None, derandomize=True, database=None)


def softmax(logits: Float64s) -> Float64s:
    values = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(values / values.sum(axis=1, keepdims=True))


def embeddings(vectors: Floats, probabilities: Floats) -> Float64s:
    """The `(n, c d)` gradients, one outer product at a time."""
    result = []
    for h, p in zip(vectors.astype(np.float64), probabilities.astype(np.float64)):
        a = p.copy()
        a[int(p.argmax())] -= 1
        result.append(np.outer(a, h).ravel())
    return np.array(result)


def pool_of(vectors: Floats, probabilities: Floats, labeled: list[int] | None = None) -> Pool:
    is_labeled = np.zeros(len(vectors), dtype=bool)
    is_labeled[labeled or []] = True
    ids = tuple(f"{row:05}" for row in range(len(vectors)))
    return Pool(ids, is_labeled, vectors=vectors, probabilities=probabilities)


def random_pool(seed: int, n: int, d: int = 6, c: int = 4, labeled: list[int] | None = None) -> Pool:
    rng = np.random.default_rng(seed)
    return pool_of(rng.normal(size=(n, d)).astype(np.float32), softmax(2 * rng.normal(size=(n, c))), labeled)


def rows_of(selection: Selection) -> list[int]:
    return [int(item_id) for item_id in selection.item_ids]


def arrays(pool: Pool) -> tuple[Floats, Floats]:
    assert pool.vectors is not None
    assert pool.probabilities is not None
    return pool.vectors, pool.probabilities


def naive_gains(pool: Pool, rows: list[int]) -> list[float]:
    """The length of the first gradient, then each distance to the nearest gradient before it."""
    g = embeddings(*arrays(pool))
    return [
        float(np.linalg.norm(g[row] - (g[rows[:place]] if place else 0), axis=-1).min()) for place, row in enumerate(rows)
    ]


# --- The distance ---


@many
@given(
    seed=st.integers(0, 10**6),
    d=st.integers(1, 70),
    c=st.integers(2, 5),
    offset=st.sampled_from([0.0, 10_000.0]),
    scale=st.sampled_from([1e-30, 1.0, 1e30]),
)
def test_distances_are_those_of_the_outer_products(seed: int, d: int, c: int, offset: float, scale: float) -> None:
    rng = np.random.default_rng(seed)
    vectors = (rng.normal(size=(12, d)) + offset) * scale
    probabilities = softmax(3 * rng.normal(size=(12, c)))
    vectors[3] = 0
    vectors[4], probabilities[4] = vectors[5], probabilities[5]
    vectors[6], probabilities[7] = -vectors[7], probabilities[6]
    gradients = Gradients(vectors, probabilities, np.arange(12))
    g = embeddings(vectors, probabilities)
    left, right = np.array(list(itertools.product(range(12), range(12)))).T
    expected = ((g[left] - g[right]) ** 2).sum(axis=1)
    np.testing.assert_allclose(gradients.squared(left, right), expected, rtol=1e-7, atol=1e-20 * expected.max())
    np.testing.assert_allclose(gradients.lengths, np.linalg.norm(g, axis=1), rtol=1e-12)


def test_equal_gradients_have_distance_0_exactly() -> None:
    rng = np.random.default_rng(1)
    vectors = np.repeat(rng.normal(size=(50, 33)) + 1e4, 2, axis=0)
    probabilities = np.repeat(softmax(rng.normal(size=(50, 7))), 2, axis=0)
    gradients = Gradients(vectors, probabilities, np.arange(100))
    assert gradients.squared(np.arange(0, 100, 2), np.arange(1, 100, 2)).tolist() == [0.0] * 50
    assert (gradients.squared(np.arange(0, 98, 2), np.arange(2, 100, 2)) > 0).all()


def test_near_gradients_keep_their_digits() -> None:
    """Expanding the square would leave nothing of a distance of 1e-9 at a length of 100."""
    probabilities = np.array([[0.5, 0.5], [0.5, 0.5]])
    vectors = np.array([[100.0, 0.0], [100.0, 1e-9]])
    gradients = Gradients(vectors, probabilities, np.arange(2))
    assert gradients.squared(np.array([0]), np.array([1]))[0] == pytest.approx(0.5 * 1e-18, rel=1e-12)


# --- The draw ---


def test_pairs_and_triples_are_drawn_with_the_chances_of_k_means_plus_plus() -> None:
    """Draws after the first pick meet distances out of date, so this is the law of the rejection too."""
    pool = random_pool(3, 6, d=2, c=3)
    g = embeddings(*arrays(pool))
    squared = ((g[:, None] - g[None]) ** 2).sum(axis=2)
    first = int(np.linalg.norm(g, axis=1).argmax())
    chances: dict[tuple[int, ...], float] = {}
    for second, third in itertools.permutations([row for row in range(6) if row != first], 2):
        one = squared[first]
        two = np.minimum(one, squared[second])
        chances[first, second, third] = float(one[second] / one.sum() * two[third] / two.sum())
    assert sum(chances.values()) == pytest.approx(1)
    n_draws = 3000
    rng = np.random.default_rng(0)
    counts = dict.fromkeys(chances, 0)
    for _ in range(n_draws):
        counts[tuple(rows_of(SamplerBadge().select(pool, 3, seed=rng)))] += 1
    expected = np.array(list(chances.values())) * n_draws
    chi_squared = float(((np.array(list(counts.values())) - expected) ** 2 / expected).sum())
    assert chi_squared < 43.8  # 19 degrees of freedom, exceeded by 1 draw in 1,000


@pytest.mark.parametrize("kind", ["plain", "clusters", "offset", "half"])
def test_gains_are_the_distances_to_the_picks_before(kind: str) -> None:
    """Over several updates of all distances, after 128 picks each and after many draws in vain."""
    rng = np.random.default_rng(4)
    n = 1500
    vectors, logits = rng.normal(size=(n, 8)), 2 * rng.normal(size=(n, 3))
    if kind == "clusters":
        of = rng.integers(0, 20, n)
        vectors, logits = vectors[of] + 1e-3 * rng.normal(size=(n, 8)), logits[of] + 1e-3 * rng.normal(size=(n, 3))
    if kind == "offset":
        vectors += 1e4
    pool = pool_of(vectors.astype(np.float16 if kind == "half" else np.float32), softmax(logits))
    selection = SamplerBadge().select(pool, 500, seed=2)
    np.testing.assert_allclose(selection.gains, naive_gains(pool, rows_of(selection)), rtol=1e-6)
    names = dict(zip(selection.item_ids, rows_of(selection)))
    g = embeddings(*arrays(pool))
    for item_id, gain, reason in zip(selection.item_ids[1:], selection.gains[1:], selection.reasons[1:]):
        nearest = reason.split("'")[1]
        assert np.linalg.norm(g[names[item_id]] - g[names[nearest]]) == pytest.approx(gain, rel=1e-6)


def test_far_gradients_are_drawn_before_near_ones_run_out() -> None:
    rng = np.random.default_rng(5)
    of = np.repeat(np.arange(10), 60)
    vectors = 10 * np.eye(10)[of] + 1e-4 * rng.normal(size=(600, 10))
    pool = pool_of(vectors, np.full((600, 2), 0.5))
    for seed in range(5):
        assert len(set(of[rows_of(SamplerBadge().select(pool, 10, seed=seed))])) == 10


def test_the_first_pick_is_the_longest_gradient_and_a_tie_goes_to_the_lower_row() -> None:
    vectors = np.array([[1.0], [3.0], [3.0], [9.0]])
    probabilities = np.array([[0.5, 0.5], [0.5, 0.5], [0.5, 0.5], [1.0, 0.0]])
    ids = ("d", "c", "b", "a")
    selection = SamplerBadge().select(Pool(ids, vectors=vectors, probabilities=probabilities), 1)
    assert selection.item_ids == ("c",)
    assert selection.gains[0] == pytest.approx(3 * np.sqrt(0.5))
    assert selection.reasons == ("the longest gradient, 2.12",)


def test_duplicates_follow_in_platform_order_once_all_differ_no_more() -> None:
    vectors = np.array([[1.0], [2.0], [1.0], [2.0], [1.0]])
    pool = Pool(tuple("edcba"), vectors=vectors, probabilities=np.full((5, 2), 0.5))
    selection = SamplerBadge().select(pool, 4)
    assert selection.gains[2:].tolist() == [0.0, 0.0]
    rows = [pool.item_ids.index(item_id) for item_id in selection.item_ids]
    assert rows[0] == 1
    assert rows[1] in {0, 2, 4}
    assert rows[2:] == sorted(set(range(5)) - set(rows[:2]))[:2]
    assert selection.note == "only 2 of 4 gradients differ; the rest is in platform order"


def test_items_the_model_is_sure_of_have_no_gradient_and_come_last() -> None:
    rng = np.random.default_rng(6)
    probabilities = np.repeat(np.array([[1.0, 0.0], [0.6, 0.4]]), 10, axis=0)
    selection = SamplerBadge().select(pool_of(rng.normal(size=(20, 3)), probabilities), 20)
    assert sum(row < 10 for row in rows_of(selection)[:11]) == 1  # the first of them is at a distance from all others
    assert selection.gains[11:].tolist() == [0.0] * 9


@many
@given(seed=st.integers(0, 10**6), n=st.integers(2, 25), data=st.data())
def test_batches_do_not_depend_on_the_order_of_the_pool_nor_on_labeled_items(seed: int, n: int, data: st.DataObject) -> None:
    labeled = data.draw(st.lists(st.integers(0, n - 1), max_size=n - 1, unique=True))
    pool = random_pool(seed, n, labeled=labeled)
    vectors, probabilities = arrays(pool)
    k = data.draw(st.integers(1, n - len(labeled)))
    batch = SamplerBadge().select(pool, k, seed=seed)
    assert set(rows_of(batch)) <= set(pool.candidates.tolist())
    assert SamplerBadge().select(pool, max(1, k - 1), seed=seed).item_ids == batch.item_ids[: max(1, k - 1)]
    order = np.random.default_rng(seed).permutation(n)
    ids = tuple(pool.item_ids[row] for row in order)
    moved = Pool(ids, pool.is_labeled[order], vectors=vectors[order], probabilities=probabilities[order])
    assert SamplerBadge().select(moved, k, seed=seed).item_ids == batch.item_ids
    other = vectors.copy(), probabilities.copy()
    other[0][labeled], other[1][labeled] = 77.0, np.nan
    changed = dataclasses.replace(pool, vectors=other[0], probabilities=other[1])
    assert SamplerBadge().select(changed, k, seed=seed).reasons == batch.reasons


def test_one_column_is_the_positive_class_of_two() -> None:
    rng = np.random.default_rng(7)
    vectors, positive = rng.normal(size=(30, 3)), rng.random((30, 1))
    two = SamplerBadge().select(pool_of(vectors, np.hstack([1 - positive, positive])), 9)
    assert SamplerBadge().select(pool_of(vectors, positive), 9).reasons == two.reasons


@pytest.mark.parametrize(
    ("probabilities", "message"),
    [
        (np.full((4, 0), 0.5), r"probabilities has shape \(4, 0\); BADGE expects \(n, c\)"),
        (None, "BADGE .*class probabilities, and the pool has none"),
        (np.array([[0.5, 0.5], [2.0, -1.0], [0.5, 0.5], [0.5, 0.5]]), "of '00001' are no distribution.*softmax"),
    ],
)
def test_what_is_no_class_distribution_is_refused(probabilities: Any, message: str) -> None:
    pool = Pool(tuple(f"{row:05}" for row in range(4)), vectors=np.eye(4), probabilities=probabilities)
    assert SamplerBadge().needs_probabilities
    with pytest.raises(ValueError, match=message):
        SamplerBadge().select(pool, 2)
