"""BALD and BatchBALD against plain enumeration of all joint labels."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from samplers.bald import SamplerBald, SamplerBatchBald, mutual_information
from samplers.pool import Pool
from samplers.selection import Selection

Float64s = npt.NDArray[np.float64]

many = settings(max_examples=40, deadline=None, derandomize=True, database=None)

DISAGREE = [[0.9, 0.1], [0.1, 0.9], [0.9, 0.1]]
DISAGREE_OTHERWISE = [[0.85, 0.15], [0.85, 0.15], [0.15, 0.85]]
UNSURE = [[0.5, 0.5]] * 3


def random_members(seed: int, n: int, t: int, c: int) -> Float64s:
    return np.random.default_rng(seed).dirichlet(np.full(c, 0.5), size=(n, t))


def pool_of(probabilities: npt.ArrayLike, labeled: list[int] | None = None) -> Pool:
    values = np.asarray(probabilities)
    is_labeled = np.zeros(len(values), dtype=bool)
    is_labeled[labeled or []] = True
    return Pool(tuple(map(str, range(len(values)))), is_labeled, probabilities=values)


def rows_of(selection: Selection) -> list[int]:
    return [int(item_id) for item_id in selection.item_ids]


def entropy(chances: list[float]) -> float:
    return -sum(p * math.log(p) for p in chances if p > 0)


def joint_information(items: Float64s) -> float:
    """`H(y_1..y_b) - mean_t H(y_1..y_b | t)` by enumerating the labels."""
    b, t, c = items.shape
    joint, own = [], []
    for member in range(t):
        chances = [
            math.prod(float(items[i, member, y]) for i, y in enumerate(labels))
            for labels in itertools.product(range(c), repeat=b)
        ]
        joint.append(chances)
        own.append(entropy(chances))
    return float(entropy([sum(column) / t for column in zip(*joint)]) - sum(own) / t)


# --- The score ---


@many
@given(seed=st.integers(0, 10**6), t=st.integers(1, 5), c=st.integers(2, 5))
def test_mutual_information_is_that_of_the_definition(seed: int, t: int, c: int) -> None:
    items = random_members(seed, 6, t, c)
    values = mutual_information(items)
    np.testing.assert_allclose(values, [joint_information(item[None]) for item in items], atol=1e-12)
    assert (values >= 0).all()
    assert (values <= math.log(min(t, c)) + 1e-12).all()


def test_mutual_information_by_hand() -> None:
    values = mutual_information(np.array([UNSURE, [[1.0, 0.0], [0.0, 1.0], [0.0, 1.0]]]))
    assert values.tolist() == pytest.approx([0.0, entropy([1 / 3, 2 / 3])])


def test_many_items_are_scored_as_each_alone() -> None:
    items = random_members(1, 9000, 4, 5)  # beyond a block
    whole = mutual_information(items)
    assert whole[[0, 6553, 6554, 8999]].tolist() == [float(mutual_information(items[[r]])[0]) for r in (0, 6553, 6554, 8999)]


def test_one_column_is_the_positive_class_of_two() -> None:
    positive = np.random.default_rng(2).random((20, 3, 1))
    both = np.concatenate([1 - positive, positive], axis=2)
    assert mutual_information(positive).tolist() == pytest.approx(mutual_information(both).tolist())
    assert rows_of(SamplerBatchBald().select(pool_of(positive), 5)) == rows_of(SamplerBatchBald().select(pool_of(both), 5))


# --- BALD ---


def test_bald_takes_disagreement_and_not_mere_doubt() -> None:
    selection = SamplerBald().select(pool_of([UNSURE, DISAGREE_OTHERWISE, DISAGREE, DISAGREE]), 4)
    assert rows_of(selection) == [2, 3, 1, 0]
    assert selection.gains.tolist() == pytest.approx(
        [joint_information(np.array([x])) for x in (DISAGREE, DISAGREE, DISAGREE_OTHERWISE, UNSURE)]
    )
    assert selection.reasons[0] == "its label would tell 0.332 nats about which of 3 members is right"


def test_labeled_items_are_not_looked_at() -> None:
    items = np.array([UNSURE, DISAGREE, DISAGREE_OTHERWISE])
    items[1] = np.nan
    for sampler in (SamplerBald(), SamplerBatchBald()):
        assert rows_of(sampler.select(pool_of(items, [1]), 2)) == [2, 0]


# --- BatchBALD ---


@many
@given(seed=st.integers(0, 10**6), t=st.integers(2, 4), c=st.integers(2, 3))
def test_exact_picks_are_greedy_on_the_joint_information(seed: int, t: int, c: int) -> None:
    items = random_members(seed, 9, t, c)
    selection = SamplerBatchBald(max_configurations=c**4).select(pool_of(items), 4)
    rows = rows_of(selection)
    known = 0.0
    for place, row in enumerate(rows):
        after = {r: joint_information(items[[*rows[:place], r]]) for r in range(9) if r not in rows[:place]}
        assert after[row] >= max(after.values()) - 2e-9
        assert selection.gains[place] == pytest.approx(after[row] - known, abs=1e-9)
        known = after[row]


@many
@given(seed=st.integers(0, 10**6), n=st.integers(1, 30), shortlist=st.sampled_from([1, 5, 1000]))
def test_the_first_pick_is_that_of_bald(seed: int, n: int, shortlist: int) -> None:
    pool = pool_of(random_members(seed, n, 3, 4))
    first, batch = SamplerBald().select(pool, 1), SamplerBatchBald(shortlist=shortlist).select(pool, n)
    assert batch.item_ids[0] == first.item_ids[0]
    assert batch.gains[0] == first.gains[0]
    assert sorted(rows_of(batch)) == list(range(n))


@pytest.mark.parametrize("limit", [2, 2000])
def test_a_twin_waits_until_nothing_else_informs(limit: int) -> None:
    pool = pool_of([DISAGREE, DISAGREE, UNSURE, DISAGREE_OTHERWISE])
    assert rows_of(SamplerBald().select(pool, 2)) == [0, 1]
    assert rows_of(SamplerBatchBald(max_configurations=limit).select(pool, 4)) == [0, 3, 1, 2]


def test_more_twins_than_a_block_do_not_hide_another_item() -> None:
    pool = pool_of([*[DISAGREE] * 150, DISAGREE_OTHERWISE])
    assert rows_of(SamplerBatchBald().select(pool, 3)) == [0, 150, 1]


def test_drawn_labels_estimate_what_enumerated_ones_give() -> None:
    items = np.random.default_rng(3).dirichlet(np.full(3, 2.0), size=(40, 6))
    pool = pool_of(items)
    exact = SamplerBatchBald(max_configurations=3**6).select(pool, 7)
    drawn = SamplerBatchBald(max_configurations=3**6 - 1).select(pool, 7)  # 7 picks need the labels of 6
    assert drawn.item_ids[:6] == exact.item_ids[:6]
    assert drawn.gains[:6].tolist() == exact.gains[:6].tolist()
    assert drawn.gains[6] != exact.gains[6]
    assert "about" in drawn.reasons[6].replace("about which", "")
    assert "about" not in exact.reasons[6].replace("about which", "")
    gains = np.array([SamplerBatchBald(max_configurations=600).select(pool, 7, seed=seed).gains for seed in range(40)])
    errors = gains.mean(axis=0) - exact.gains
    assert abs(errors[6]) < 4 * gains[:, 6].std() / math.sqrt(40) + 1e-3
    assert 0 < gains[:, 6].std() < 0.1 * exact.gains[6]


def test_drawn_labels_pick_nearly_the_best_batch() -> None:
    items = np.random.default_rng(4).dirichlet(np.full(3, 1.0), size=(60, 5))
    exact = SamplerBatchBald(max_configurations=3**6).select(pool_of(items), 6)
    for seed in range(5):
        drawn = SamplerBatchBald(max_configurations=200).select(pool_of(items), 6, seed=seed)
        assert joint_information(items[rows_of(drawn)]) > 0.97 * exact.gains.sum()


def test_the_information_never_passes_that_of_the_members_and_the_note_says_when_it_is_used_up() -> None:
    rng = np.random.default_rng(5)
    sure = np.eye(2)[rng.integers(0, 2, size=(200, 4))]
    selection = SamplerBatchBald().select(pool_of(sure), 20)
    assert selection.gains.sum() == pytest.approx(math.log(4))
    assert selection.note.startswith("2 labels tell 4 members apart almost surely")
    assert SamplerBatchBald().select(pool_of(sure), 2).note == ""


def test_ties_at_0_go_to_the_higher_score_and_then_to_the_lower_row() -> None:
    sure = np.zeros((130, 2, 2))
    sure[:, :, 0] = 1.0
    sure[100:, 1] = [0.25, 0.75]
    sure[128, 1] = [0.0, 1.0]  # tells the two apart for good
    assert rows_of(SamplerBatchBald().select(pool_of(sure), 34)) == [128, *range(100, 128), 129, 0, 1, 2, 3]


def test_the_shortlist_bounds_what_is_looked_at_and_grows_with_the_batch() -> None:
    pool = pool_of([DISAGREE, DISAGREE, UNSURE, DISAGREE_OTHERWISE])
    assert rows_of(SamplerBatchBald(shortlist=2).select(pool, 2)) == [0, 1]
    assert rows_of(SamplerBatchBald(shortlist=2).select(pool, 3)) == [0, 3, 1]


@pytest.mark.parametrize("limit", [1, 3, 50])
def test_permuting_items_permutes_the_batch_and_seeds_repeat_it(limit: int) -> None:
    items = random_members(6, 150, 4, 3)
    order = np.random.default_rng(7).permutation(150)
    sampler = SamplerBatchBald(shortlist=100, max_configurations=limit)
    first = sampler.select(pool_of(items), 12, seed=3)
    again = sampler.select(pool_of(items), 12, seed=3)
    assert again.item_ids == first.item_ids
    assert again.gains.tolist() == first.gains.tolist()
    moved = sampler.select(pool_of(items[order]), 12, seed=3)
    assert [int(order[row]) for row in rows_of(moved)] == rows_of(first)
    assert sampler.select(pool_of(items), 5, seed=3).item_ids == first.item_ids[:5]


# --- Options and input ---


@pytest.mark.parametrize("name", ["shortlist", "max_configurations"])
@pytest.mark.parametrize("value", [0, -1, 1.5, True, "9"])
def test_an_option_that_is_no_count_is_refused(name: str, value: Any) -> None:
    with pytest.raises(ValueError, match=f"{name} is .*; expected a whole number of at least 1"):
        SamplerBatchBald(**{name: value})


@pytest.mark.parametrize("sampler", [SamplerBald(), SamplerBatchBald()], ids=repr)
def test_what_are_no_members_is_refused(sampler: SamplerBald | SamplerBatchBald) -> None:
    assert sampler.needs_probabilities
    with pytest.raises(ValueError, match=r"probabilities has shape \(4, 2\); .* expects \(n, t, c\)"):
        sampler.select(pool_of(np.full((4, 2), 0.5)), 1)
    with pytest.raises(ValueError, match=r"probabilities has shape \(4, 1, 2\); .* at least 2"):
        sampler.select(pool_of(np.full((4, 1, 2), 0.5)), 1)
    with pytest.raises(ValueError, match="class probabilities, and the pool has none"):
        sampler.select(Pool(("a", "b")), 1)
    with pytest.raises(ValueError, match="of '1' are no distribution"):
        sampler.select(pool_of([DISAGREE, [[0.5, 0.5], [1.5, -0.5], [0.5, 0.5]]]), 1)
    with pytest.raises(ValueError, match="expected \\(n, t, c\\)"):
        mutual_information(np.full((4, 2), 0.5))
