"""Strategies are plain values, say what is wrong with them, mean what they say, and are told in the reasons."""

from __future__ import annotations

import json
from collections import Counter
from itertools import combinations
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import samplers
from samplers import (
    AtMost,
    Balance,
    Budget,
    Diversity,
    Exclude,
    Include,
    MinDistance,
    Pool,
    SamplerCoral,
    SamplerCoreset,
    SamplerJoint,
    SamplerUncertainty,
    Similarity,
    Strategy,
    Threshold,
    Typicality,
    Weight,
)
from samplers.strategies import strategy

many = settings(max_examples=40, deadline=None, derandomize=True, database=None)
seeds = st.integers(0, 10**6)


def smooth_pool(seed: int, n: int = 40, n_labeled: int = 4) -> Pool:
    """No two items alike."""
    rng = np.random.default_rng(seed)
    return Pool(
        tuple(f"i{row}" for row in range(n)),
        rng.permutation(n) < n_labeled,
        rng.random(n) + 0.01,
        rng.normal(size=(n, 3)),
        columns={
            "class": rng.choice(["cat", "dog", "owl"], n, p=[0.6, 0.3, 0.1]),
            "group": rng.integers(0, 8, n),
            "cost": rng.random(n),
            "age": rng.random(n) + 0.1,
        },
    )


def line(*scores: float, **columns: Any) -> Pool:
    """Items a, b, c, ... at 0, 1, 2, ...; nothing labeled."""
    n = len(scores)
    return Pool(tuple("abcdefghij"[:n]), scores=scores, vectors=np.arange(float(n))[:, None] + 1, columns=columns)


COMBINED: tuple[Strategy, ...] = (
    Diversity(strength=0.5),
    Weight(),
    Balance(strength=2.0),
    Typicality(strength=0.5),
    Similarity(("i3", "i7"), strength=-0.5),
    AtMost(4),
    Threshold("age", at_least=0.2),
)


@many
@given(seeds)
def test_permuting_items_permutes_the_batch_and_the_order_of_strategies_does_not_matter(seed: int) -> None:
    pool, rng = smooth_pool(seed), np.random.default_rng(seed)
    order = rng.permutation(len(pool))
    assert pool.scores is not None
    assert pool.vectors is not None
    turned = Pool(
        [pool.item_ids[row] for row in order.tolist()],
        pool.is_labeled[order],
        pool.scores[order],
        pool.vectors[order],
        columns={name: column[order] for name, column in pool.columns.items()},
    )
    shuffled = tuple(COMBINED[place] for place in rng.permutation(len(COMBINED)).tolist())
    selection = SamplerJoint(COMBINED).select(pool, 12)
    for other in (SamplerJoint(COMBINED).select(turned, 12), SamplerJoint(shuffled).select(pool, 12)):
        assert other.item_ids == selection.item_ids
        np.testing.assert_allclose(other.gains, selection.gains, rtol=1e-9)


def test_the_order_of_two_typicalities_does_not_matter_where_they_are_estimated_from_samples() -> None:
    pool = smooth_pool(0, 1500)
    both = (Typicality(), Typicality(metric="cosine"))
    assert SamplerJoint(both).select(pool, 10).item_ids == SamplerJoint(both[::-1]).select(pool, 10).item_ids


def test_the_order_of_objectives_does_not_decide_a_tie_by_rounding() -> None:
    pool = line(1, 1, p=[1.3, 0.4], q=[0.4, 1.5], r=[1.5, 1.3])
    weights = tuple(Weight(name) for name in "pqr")
    assert SamplerJoint(weights).select(pool, 2).item_ids == SamplerJoint(weights[::-1]).select(pool, 2).item_ids


@many
@given(seeds)
def test_an_objective_of_strength_0_is_as_if_it_were_not_there(seed: int) -> None:
    pool = smooth_pool(seed)
    absent: tuple[Strategy, ...] = (
        Weight("no such column", strength=0),
        Balance("no such column", strength=0),
        Typicality(strength=0),
        Similarity(("no such item",), strength=0),
        Diversity(strength=0, metric="cosine"),
    )
    for present in ((Weight(), AtMost(2)), (Balance(), Weight("age", strength=-1.0), MinDistance(0.2))):
        without, within = (SamplerJoint(some).select(pool, 9) for some in (present, (*absent, *present)))
        assert within.item_ids == without.item_ids
        assert within.gains.tolist() == without.gains.tolist()
        assert within.reasons == without.reasons
    no_vectors = Pool(pool.item_ids, scores=pool.scores)
    assert (
        SamplerJoint((*absent, Weight())).select(no_vectors, 3).item_ids
        == SamplerUncertainty().select(no_vectors, 3).item_ids
    )


@many
@given(seeds, st.sampled_from([0.5, 1.0, 2.0]), st.sampled_from([0.5, 1.0, 3.0]), st.sampled_from(["euclidean", "cosine"]))
def test_presets_are_what_they_are_said_to_be(seed: int, a: float, b: float, metric: str) -> None:
    pool = smooth_pool(seed, n_labeled=seed % 3)
    pairs = [
        (SamplerCoreset(metric=metric), (Diversity(metric=metric),)),
        (SamplerCoreset(min_distance=1.0), (Diversity(), MinDistance(1.0))),
        (SamplerCoral(a, b, metric), (Weight(strength=a), Diversity(strength=b, metric=metric))),
        (SamplerUncertainty(), (Weight(),)),
    ]
    for preset, strategies in pairs:
        expected, selection = preset.select(pool, 20), SamplerJoint(strategies).select(pool, 20)
        assert selection.item_ids == expected.item_ids
        np.testing.assert_allclose(selection.gains, expected.gains, rtol=1e-12)
        assert bool(selection.note) == bool(expected.note)


@many
@given(seeds, st.integers(1, 60), st.dictionaries(st.sampled_from("xyz"), st.integers(1, 9), min_size=1))
def test_balance_alone_reaches_its_target_with_no_class_more_than_one_item_above(
    seed: int, k: int, target: dict[str, int]
) -> None:
    classes = np.random.default_rng(seed).permutation([*"xyz"] * 60)
    pool = Pool([f"i{row}" for row in range(180)], columns={"class": classes})
    of = dict(zip(pool.item_ids, classes.tolist()))
    for shares in (target, dict.fromkeys(target, 1)):
        had = Counter(of[item_id] for item_id in SamplerJoint([Balance(target=shares)]).select(pool, k).item_ids)
        above = [had[name] - k * shares.get(name, 0) / sum(shares.values()) for name in "xyz"]
        assert max(above) < 1 + 1e-9
        assert min(above) > (-1 if shares != target else 1 - len(target)) - 1e-9


@many
@given(seeds, st.floats(1, 6), st.booleans())
def test_a_budget_is_never_exceeded_and_nothing_that_fits_is_left(seed: int, limit: float, is_diverse: bool) -> None:
    pool = smooth_pool(seed)
    cost = dict(zip(pool.item_ids, pool.columns["cost"].tolist()))
    selection = SamplerJoint([Diversity() if is_diverse else Weight(), Budget(limit)]).select(pool, 30)
    spent = sum(cost.pop(item_id) for item_id in selection.item_ids)
    assert spent <= limit + 1e-9
    if len(selection) < 30:
        assert "need more than" in selection.note
        left = set(cost) - {pool.item_ids[row] for row in pool.labeled.tolist()}
        assert all(spent + cost[item_id] > limit - 1e-9 for item_id in left)


BAD_OPTIONS: list[tuple[str, dict[str, Any], str]] = [
    ("diversity", {"strength": -1}, "strength"),
    ("diversity", {"strength": float("nan")}, "strength"),
    ("diversity", {"metric": "manhattan"}, "manhattan"),
    ("weight", {"strength": True}, "strength"),
    ("weight", {"column": ""}, "column"),
    ("similarity", {}, "needs 'to'"),
    ("similarity", {"to": "a"}, "'a'"),
    ("balance", {"target": "even"}, "even"),
    ("balance", {"target": {}}, "target"),
    ("balance", {"target": {"cat": -1}}, "cat"),
    ("balance", {"target": {"cat": 0}}, "at least one class"),
    ("min_distance", {"distance": -0.1}, "distance"),
    ("threshold", {"column": "age"}, "at_least and at_most"),
    ("threshold", {"at_least": 2, "at_most": 1}, "at_least 2 is above at_most 1"),
    ("at_most", {"count": 0}, "count"),
    ("include", {"item_ids": ["a", "b", "a"]}, "twice"),
    ("exclude", {"item_ids": [1]}, "strings"),
    ("budget", {"limit": -1}, "limit"),
    ("atmost", {"count": 3}, "AtMost"),
]


@pytest.mark.parametrize(("kind", "options", "said"), BAD_OPTIONS, ids=str)
def test_an_option_out_of_range_is_refused_by_name(kind: str, options: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        strategy({"kind": kind, **options})


def test_a_misspelled_option_is_named_without_the_ones_that_are_right() -> None:
    with pytest.raises(ValueError, match="colum") as caught:
        strategy({"kind": "at_most", "count": 3, "colum": "video"})
    assert str(caught.value) == "strategy 'at_most' has no option 'colum'; it has 'count', 'column', 'counts_labeled'"


@pytest.mark.parametrize("values", [{"kind": ["weight"]}, {}, "weight", None, 3])
def test_what_is_no_strategy_is_refused_with_the_list_of_them(values: object) -> None:
    with pytest.raises(ValueError, match="expected one of Diversity, Weight"):
        strategy(values)


@pytest.mark.parametrize(
    ("given_", "said"),
    [
        ([], "nothing to choose by"),
        ([Weight(strength=0), AtMost(1)], "nothing to choose by"),
        ([Diversity(), Diversity(strength=2)], "Diversity twice"),
        ([Weight(), MinDistance(1), MinDistance(2)], "MinDistance twice"),
        ([Diversity(), MinDistance(1, "cosine")], "different metrics"),
        (Diversity(), "expected a list"),
        ({"kind": "diversity"}, "expected a list"),
        (["diversity"], "expected one of"),
    ],
    ids=str,
)
def test_strategies_that_do_not_go_together_are_refused(given_: Any, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        SamplerJoint(given_)


LABELED = [True, False, False, False, False, False]
OF_SIX: dict[str, Any] = {
    "age": [1, 2, np.nan, 4, 5, 6],
    "debt": [1, 2, 3, -4, 5, 6],
    "video": [*"xxxyyz"],
    "site": [*"ppqppr"],
    "shares": [[1, 0]] * 5 + [[-1, 2]],
}
BAD_FOR_POOL: list[tuple[list[Strategy], int, str]] = [
    ([Weight("no")], 1, "column 'no'.*'age'.*metadata"),
    ([Weight(), AtMost(1, "no")], 1, "column 'no'"),
    ([Weight("age")], 1, "'age'.*'c'"),
    ([Weight(), Budget(9, "age")], 1, "'age'.*'c'"),
    ([Weight("debt")], 1, "debt of 'd' is -4.*shift or rescale"),
    ([Weight(), Budget(9, "debt")], 1, "'debt' of 'd' is -4"),
    ([Weight("video")], 1, "'video' of 'a' is 'x'; expected a number"),
    ([Balance("age")], 1, "'age'.*expected a string or whole number"),
    ([Balance("shares")], 1, "'shares' of 'f'"),
    ([Balance("video", {"w": 1})], 1, "'w'.*'x', 'y', 'z'"),
    ([Similarity(("no",))], 1, "Similarity names 'no'"),
    ([Weight(), Include(("no",))], 1, "Include names 'no'"),
    ([Weight(), Exclude(("no",))], 1, "Exclude names 'no'"),
    ([Weight(), Include(("a",))], 1, "Include names 'a', which is labeled"),
    ([Weight(), Include(("b",)), Exclude(("b",))], 1, "Include names 'b'.*Exclude"),
    ([Weight(), Include(("b",)), Threshold(at_least=0.3)], 1, "Include names 'b'.*threshold"),
    ([Weight(), Include(("d", "e")), AtMost(1, "video")], 3, "Include names 'e'.*AtMost"),
    ([Weight(), Include(("b",)), AtMost(1, "video", True)], 2, "Include names 'b'.*AtMost"),
    ([Weight(), Include(("d", "e")), MinDistance(1.5)], 3, "Include names 'e', which is 1 from 'd'"),
    ([Weight(), Include(("b",)), MinDistance(1.5)], 3, "Include names 'b', which is 1 from 'a'"),
    ([Weight(), Include(("b", "c", "d"))], 2, "Include names 3 items"),
    ([Weight(), Include(("b",)), Weight("huge", strength=2.0)], 2, "rescale"),
    ([Weight("zero", strength=-1.0)], 1, "zero of 'c' is 0.*above 0"),
]


@pytest.mark.parametrize(("strategies", "n_samples", "said"), BAD_FOR_POOL, ids=str)
def test_what_a_pool_cannot_give_is_refused_by_name_before_anything_is_picked(
    strategies: list[Strategy], n_samples: int, said: str
) -> None:
    columns = {**OF_SIX, "huge": np.full(6, 1e200), "zero": [1, 1, 0, 1, 1, 1]}
    scores, vectors = np.arange(6.0) / 5, np.arange(6.0)[:, None]
    pool, calls = Pool(tuple("abcdef"), np.array(LABELED), scores, vectors, columns=columns), list[int]()
    with pytest.raises(ValueError, match=said):
        SamplerJoint(strategies).select(pool, n_samples, on_pick=calls.append)
    assert calls == []


@pytest.mark.parametrize(
    "constraints",
    [
        (AtMost(1, "video"),),
        (AtMost(2, "video", True), Exclude(("f",))),
        (Threshold(at_least=0.5), AtMost(1, "video")),
        (AtMost(1, "video"), AtMost(1, "site")),
        (AtMost(2, "site"), AtMost(2, "video"), Include(("b",))),
    ],
    ids=str,
)
def test_constraints_that_leave_too_few_say_which_and_the_largest_batch(constraints: tuple[Strategy, ...]) -> None:
    scores = np.arange(6.0) / 5
    pool = Pool(tuple("abcdef"), np.array(LABELED), scores, columns={name: OF_SIX[name] for name in ("video", "site")})
    largest = max(k for k in range(6) for rows in combinations(range(1, 6), k) if _is_allowed(pool, constraints, rows))
    with pytest.raises(ValueError, match=f"leave a batch of {largest} at most") as caught:
        SamplerJoint([Weight(), *constraints]).select(pool, largest + 1)
    assert all(one.column in str(caught.value) for one in constraints if isinstance(one, AtMost))
    assert len(SamplerJoint([Weight(), *constraints]).select(pool, largest)) == largest


def _is_allowed(pool: Pool, constraints: tuple[Strategy, ...], rows: tuple[int, ...]) -> bool:
    for one in constraints:
        if isinstance(one, AtMost):
            groups = pool.columns[one.column].tolist()
            had = Counter(groups[row] for row in [*rows, *([0] if one.counts_labeled else [])])
            if any(had[groups[row]] > one.count for row in rows):
                return False
        excluded = one.item_ids if isinstance(one, Exclude) else ()
        least = one.at_least if isinstance(one, Threshold) else None
        if any(pool.item_ids[row] in excluded or row / 5 < (least or 0) for row in rows):
            return False
    return True


def test_several_caps_may_end_a_batch_early_and_are_named() -> None:
    """The item worth most is alone in meeting both caps."""
    pool = line(5, 4, 3, 2, 1, video=[*"xxxyz"], site=[*"pqrpp"])
    caps = [Weight(), AtMost(1, "video"), AtMost(1, "site")]
    selection = SamplerJoint(caps).select(pool, 3)
    assert selection.item_ids == (pool.item_ids[0],)
    assert selection.note.startswith("stopped after 1 of 3: of 4 items left, 2 are of a 'site'") or "video" in selection.note


EVERY: list[Strategy] = [
    *(*COMBINED, Diversity(metric="cosine"), Weight("age", strength=-1.5), Balance("site", {"b": 2, "a": 1}, False)),
    *(MinDistance(0.5), Threshold(at_least=0.25), Include(("b", "a")), Exclude(("c",)), Budget(12.5, "seconds")),
    *(AtMost(3, "video", True), Balance("objects", "pool", strength=0.25)),
]


@pytest.mark.parametrize("one", EVERY, ids=repr)
def test_a_strategy_survives_json_and_its_own_repr(one: Strategy) -> None:
    for again in (strategy(json.loads(json.dumps(one.to_dict()))), eval(repr(one), vars(samplers))):
        assert type(again) is type(one)
        assert again == one
        assert hash(again) == hash(one)
    assert strategy(one) is one
    assert [other for other in EVERY if other == one] == [one]
    sampler = SamplerJoint([Weight(), one.to_dict()]) if not isinstance(one, Diversity) else SamplerJoint([one.to_dict()])
    assert one in sampler.strategies
    assert eval(repr(sampler), vars(samplers)) == sampler
    assert hash(eval(repr(sampler), vars(samplers))) == hash(sampler)


def test_numbers_of_numpy_are_written_as_json_too() -> None:
    for one in (Diversity(strength=np.float64(0.5)), MinDistance(np.float32(0.5)), Budget(np.int64(2))):  # type: ignore[arg-type]
        assert strategy(json.loads(json.dumps(one.to_dict()))) == one


def test_equal_balances_have_one_hash_whatever_the_order_of_their_targets() -> None:
    one, other = Balance(target={"a": 1, "b": 2}), Balance(target={"b": 2, "a": 1})
    assert one == other
    assert hash(one) == hash(other)


def test_every_objective_is_told_and_the_one_that_lifted_most_is_named() -> None:
    """Items at 0, 1, 2, 10; the first is labeled and a cat. Medians: score 0.4, distance of the picks 8."""
    pool = Pool(
        tuple("abcd"),
        np.array([True, False, False, False]),
        [np.nan, 0.4, 0.8, 0.2],
        np.array([[0.0], [1.0], [2.0], [10.0]]),
        "entropy",
        columns={"class": ["cat", "cat", "", "dog"], "age": [1, 4, 2, 2]},
    )
    strategies = [Weight(), Balance(), Diversity(), Weight("age", strength=-1.0), Include(("c",))]
    selection = SamplerJoint(strategies).select(pool, 3)
    assert selection.item_ids == ("c", "d", "b")
    # dog: 0.5 / (0.5 / 2) = 2; then cat and dog have one each: 0.5 / (1.5 / 3) = 1
    np.testing.assert_allclose(selection.gains, [0.8 * 1 * 2 / 2, 0.2 * 2 * 8 / 2, 0.4 * 1 * 1 / 4])
    assert selection.reasons == (
        "included; 2 from the nearest labeled item, 'a'; age 2, 0th percentile; entropy 0.8, 66th percentile; no class; "
        "lifted most by entropy",
        "8 from the nearest picked item, 'c'; age 2, 0th percentile; entropy 0.2, 0th percentile; class 'dog' wanted 2 "
        "times its share; lifted most by diversity",
        "1 from the nearest labeled item, 'a'; age 4, 66th percentile; entropy 0.4, 33rd percentile; class 'cat' wanted 1 "
        "times its share; lifted most by entropy",
    )
    only = SamplerJoint([Weight(), AtMost(2, "class")]).select(pool, 1)
    assert only.reasons == ("entropy 0.8, 66th percentile",)
    first = SamplerJoint([Diversity(), Similarity(("j",))]).select(line(*range(10)), 2)
    assert first.reasons[0].startswith("4.5 from the pool's mean, nothing being labeled yet; similarity 1, 90th percentile")
