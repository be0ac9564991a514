"""What every sampler promises: a new one in `samplers.__all__` gets this suite by existing."""

from __future__ import annotations

import dataclasses
import inspect
import pickle
import re
from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import samplers
from samplers import (
    Picks,
    Pool,
    Sampler,
    SamplerAuto,
    SamplerBatchUncertainty,
    SamplerCoral,
    SamplerCoreset,
    SamplerDiscriminative,
    SamplerRandom,
    SamplerUncertainty,
    Selection,
    SelectionInterrupted,
)

many = settings(max_examples=30, deadline=None, derandomize=True, database=None)


def public_samplers() -> list[type[Sampler]]:
    values = (getattr(samplers, name) for name in samplers.__all__)
    return [
        value for value in values if inspect.isclass(value) and issubclass(value, Sampler) and not inspect.isabstract(value)
    ]


SAMPLERS: list[Sampler] = [
    *(cls() for cls in public_samplers() if cls is not SamplerDiscriminative),
    SamplerDiscriminative(n_sub_batches=3, max_epochs=3),  # what it promises here holds without training it for long
    SamplerBatchUncertainty(batch_size=3, aggregate="mean"),
    SamplerCoral(score_strength=0.5, distance_strength=2),
    SamplerCoral(metric="cosine"),
    SamplerCoral(score_strength=0),
    SamplerCoral(distance_strength=0),
    SamplerCoreset(metric="cosine"),
    SamplerAuto(metric="cosine"),
]
PREFIX_KEEPERS = [
    sampler
    for sampler in SAMPLERS
    if isinstance(sampler, SamplerCoreset | SamplerCoral | SamplerUncertainty | SamplerRandom | SamplerBatchUncertainty)
]

every_sampler = pytest.mark.parametrize("sampler", SAMPLERS, ids=repr)
every_class = pytest.mark.parametrize("cls", public_samplers())


def pool_without_ties(seed: int, n: int, n_labeled: int) -> Pool:
    """Scores and vectors at random, NaN scores on labeled rows, ids whose order is not that of the rows."""
    rng = np.random.default_rng(seed)
    is_labeled = np.zeros(n, dtype=bool)
    is_labeled[rng.choice(n, size=n_labeled, replace=False)] = True
    scores = np.where(is_labeled, np.nan, rng.random(n))
    ids = tuple(f"img_{name}.jpg" for name in rng.permutation(n).tolist())
    vectors = rng.normal(size=(n, 4)).astype(np.float32)
    return Pool(ids, is_labeled, scores, vectors, probabilities=rng.dirichlet([0.5] * 3, size=(n, 5)))


POOL = pool_without_ties(1, 60, 8)


def reordered(pool: Pool, order: list[int]) -> Pool:
    assert pool.scores is not None
    assert pool.vectors is not None
    ids = tuple(pool.item_ids[row] for row in order)
    assert pool.probabilities is not None
    return Pool(
        ids,
        pool.is_labeled[order],
        pool.scores[order],
        pool.vectors[order],
        pool.score_name,
        pool.probabilities[order],
    )


def least_labeled(sampler: Sampler) -> int:
    """How many labeled items a method needs."""
    return int(isinstance(sampler, SamplerDiscriminative))


def candidate_ids(pool: Pool) -> list[str]:
    return [pool.item_ids[row] for row in pool.candidates.tolist()]


def told(selection: Selection) -> tuple[tuple[str, ...], list[float], tuple[str, ...], str, str]:
    """All that a selection says."""
    return selection.item_ids, selection.gains.tolist(), selection.reasons, selection.method, selection.note


# --- The class ---


def test_every_sampler_of_the_package_is_public() -> None:
    def below(cls: type[Any]) -> set[type[Any]]:
        return {cls}.union(*(below(child) for child in cls.__subclasses__()))

    ours = {cls for cls in below(Sampler) if cls.__module__.startswith("samplers.") and not inspect.isabstract(cls)}
    assert ours == set(public_samplers())
    assert {SamplerBatchUncertainty, SamplerCoral, SamplerCoreset, SamplerRandom, SamplerUncertainty} <= ours


def test_public_names_are_sorted_and_exist() -> None:
    assert sorted(samplers.__all__) == samplers.__all__
    assert all(hasattr(samplers, name) for name in samplers.__all__)


def test_every_method_has_a_name_of_its_own() -> None:
    names = [cls.method for cls in public_samplers()]
    assert len(set(names)) == len(names)
    assert all(re.fullmatch(r"[A-Z]+(_[A-Z]+)*", name) for name in names)


@every_class
def test_a_sampler_is_a_documented_value(cls: type[Sampler]) -> None:
    assert cls.__name__.startswith("Sampler")
    assert ">>> " in (cls.__doc__ or "")
    first, second = cls(), cls()
    assert first == second
    assert hash(first) == hash(second)
    for name in inspect.signature(cls).parameters:
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(first, name, getattr(first, name))


@every_class
def test_options_are_checked_when_given_and_not_when_used(cls: type[Sampler]) -> None:
    for name in inspect.signature(cls).parameters:
        for nonsense in (float("nan"), -3, object()):
            options: dict[str, Any] = {name: nonsense}
            with pytest.raises(ValueError, match=name):
                cls(**options)


@every_sampler
def test_a_sampler_survives_pickling_and_its_repr(sampler: Sampler) -> None:
    copy = pickle.loads(pickle.dumps(sampler))
    assert copy == sampler
    assert eval(repr(sampler), vars(samplers)) == sampler
    assert told(copy.select(POOL, 9, seed=4)) == told(sampler.select(POOL, 9, seed=4))


# --- The batch ---


@every_sampler
@many
@given(seed=st.integers(0, 10**6), n=st.integers(1, 40), data=st.data())
def test_a_batch_is_as_long_as_asked_distinct_and_never_labeled(
    sampler: Sampler, seed: int, n: int, data: st.DataObject
) -> None:
    n += least_labeled(sampler)
    n_labeled = data.draw(st.integers(least_labeled(sampler), n - 1))
    pool = pool_without_ties(seed, n, n_labeled)
    n_samples = data.draw(st.integers(1, n - n_labeled))
    selection = sampler.select(pool, n_samples, seed=seed)
    assert len(selection) == len(set(selection.item_ids)) == n_samples
    assert set(selection.item_ids) <= set(candidate_ids(pool))
    assert selection.gains.shape == (n_samples,)
    assert np.isfinite(selection.gains).all()
    assert selection.method == sampler.method
    assert all(reason.strip() == reason != "" and "\n" not in reason for reason in selection.reasons)


@every_sampler
def test_the_whole_pool_can_be_picked_also_when_all_is_equal(sampler: Sampler) -> None:
    is_labeled = np.arange(30) % 10 == 3
    alike = np.full((30, 2, 4), 0.25)
    same = Pool(tuple(map(str, range(30))), is_labeled, np.full(30, 0.5), np.full((30, 3), 0.1), probabilities=alike)
    for pool in (POOL, same):
        selection = sampler.select(pool, len(pool.candidates))
        assert sorted(selection.item_ids) == sorted(candidate_ids(pool))


@every_sampler
@many
@given(seed=st.integers(0, 10**6), n=st.integers(4, 30), data=st.data())
def test_permuting_items_permutes_the_batch(sampler: Sampler, seed: int, n: int, data: st.DataObject) -> None:
    pool = pool_without_ties(seed, n, data.draw(st.integers(least_labeled(sampler), n - 3)))
    moved = reordered(pool, np.random.default_rng(seed + 1).permutation(n).tolist())
    n_samples = data.draw(st.integers(1, len(pool.candidates)))
    first, second = (sampler.select(each, n_samples, seed=seed) for each in (pool, moved))
    assert second.item_ids == first.item_ids
    np.testing.assert_allclose(second.gains, first.gains, rtol=1e-9, atol=1e-12)
    assert second.reasons == first.reasons


@every_sampler
@pytest.mark.parametrize("seed", [0, 1, 2**63, 12345678901234567890123])
def test_the_same_seed_gives_the_same_batch(sampler: Sampler, seed: int) -> None:
    first = told(sampler.select(POOL, 20, seed=seed))
    assert told(sampler.select(POOL, 20, seed=seed)) == first
    assert told(sampler.select(POOL, 20, seed=np.random.default_rng(seed))) == first
    assert told(sampler.select(reordered(POOL, list(range(60))), 20, seed=seed)) == first


@every_sampler
def test_no_global_randomness_is_read_or_written(sampler: Sampler) -> None:
    kept = np.random.get_state()
    try:
        batches, drawn = [], []
        for seed in (7, 8):
            np.random.seed(seed)
            expected = np.random.random()
            np.random.seed(seed)
            batches.append(told(sampler.select(POOL, 20)))
            drawn.append(np.random.random() == expected)
    finally:
        np.random.set_state(kept)
    assert batches[0] == batches[1]
    assert drawn == [True, True]


@pytest.mark.parametrize("sampler", PREFIX_KEEPERS, ids=repr)
@many
@given(seed=st.integers(0, 10**6), n=st.integers(2, 30), data=st.data())
def test_fewer_picks_are_a_prefix_of_more(sampler: Sampler, seed: int, n: int, data: st.DataObject) -> None:
    pool = pool_without_ties(seed, n, data.draw(st.integers(0, n - 2)))
    more = data.draw(st.integers(2, len(pool.candidates)))
    fewer = data.draw(st.integers(1, more - 1))
    long, short = sampler.select(pool, more, seed=seed), sampler.select(pool, fewer, seed=seed)
    assert short.item_ids == long.item_ids[:fewer]
    assert short.gains.tolist() == long.gains[:fewer].tolist()
    assert short.reasons == long.reasons[:fewer]


@every_sampler
def test_the_pool_is_left_as_it_was_and_may_be_read_only(sampler: Sampler) -> None:
    assert POOL.scores is not None
    assert POOL.vectors is not None
    assert POOL.probabilities is not None
    frozen = Pool(
        POOL.item_ids,
        POOL.is_labeled.copy(),
        POOL.scores.copy(),
        POOL.vectors.copy(),
        probabilities=POOL.probabilities.copy(),
    )
    before = [array.tobytes() for array in (POOL.is_labeled, POOL.scores, POOL.vectors, POOL.probabilities)]
    for array in (frozen.is_labeled, frozen.scores, frozen.vectors, frozen.probabilities):
        assert array is not None
        array.setflags(write=False)
    assert told(sampler.select(frozen, 20)) == told(sampler.select(POOL, 20))
    assert [array.tobytes() for array in (POOL.is_labeled, POOL.scores, POOL.vectors, POOL.probabilities)] == before


@every_sampler
def test_scores_of_labeled_items_change_nothing(sampler: Sampler) -> None:
    assert POOL.scores is not None
    expected = told(sampler.select(POOL, 20))
    for value in (-1.0, 0.0, 1e300, -np.inf):
        scores = np.where(POOL.is_labeled, value, POOL.scores)
        assert told(sampler.select(dataclasses.replace(POOL, scores=scores), 20)) == expected


@every_sampler
def test_what_a_sampler_does_not_take_changes_nothing(sampler: Sampler) -> None:
    bare = dataclasses.replace(
        POOL,
        scores=POOL.scores if sampler.takes_scores else None,
        vectors=POOL.vectors if sampler.takes_vectors else None,
    )
    assert told(sampler.select(bare, 20, seed=3)) == told(sampler.select(POOL, 20, seed=3))
    if not sampler.takes_vectors:  # nor is it looked at
        broken = dataclasses.replace(POOL, vectors=np.full((60, 2), np.nan))
        assert told(sampler.select(broken, 20, seed=3)) == told(sampler.select(POOL, 20, seed=3))


# --- The door ---


@every_sampler
@pytest.mark.parametrize("n_samples", [0, -1, 1.5, 2.0, True, np.True_, "3", None, np.nan, [2]], ids=repr)
def test_n_samples_that_is_no_count_is_refused(sampler: Sampler, n_samples: Any) -> None:
    with pytest.raises(ValueError, match=re.escape(f"n_samples is {n_samples!r}; expected a whole number of at least 1")):
        sampler.select(POOL, n_samples)


@every_sampler
def test_n_samples_may_be_a_numpy_integer(sampler: Sampler) -> None:
    for kind in (np.int64, np.uint8, np.int32):
        assert told(sampler.select(POOL, kind(7))) == told(sampler.select(POOL, 7))  # type: ignore[arg-type]


@every_sampler
@pytest.mark.parametrize(("wanted", "shown"), [(53, "53"), (1_000_000, "1,000,000")])
def test_asking_for_more_than_there_is_says_how_many_there_are(sampler: Sampler, wanted: int, shown: str) -> None:
    assert len(sampler.select(POOL, 52)) == 52
    with pytest.raises(
        ValueError, match=re.escape(f"n_samples is {shown}, and 52 items can be picked; ask for no more than that")
    ):
        sampler.select(POOL, wanted)


@every_sampler
@pytest.mark.parametrize("n", [0, 3])
def test_a_pool_without_candidates_has_no_batch(sampler: Sampler, n: int) -> None:
    pool = Pool(tuple(map(str, range(n))), np.ones(n, dtype=bool), np.ones(n), np.ones((n, 2)))
    with pytest.raises(ValueError, match="n_samples is 1, and 0 items can be picked"):
        sampler.select(pool, 1)


@every_sampler
def test_what_a_sampler_needs_is_asked_for(sampler: Sampler) -> None:
    if sampler.needs_scores:
        with pytest.raises(ValueError, match=f"{sampler.method} ranks by a score, and the pool has none; pass a scorer"):
            sampler.select(dataclasses.replace(POOL, scores=None), 5)
    if sampler.needs_vectors:
        with pytest.raises(
            ValueError, match=f"{sampler.method} compares embeddings, and the pool has none; pass embeddings"
        ):
            sampler.select(dataclasses.replace(POOL, vectors=None), 5)


@pytest.mark.parametrize("sampler", [sampler for sampler in SAMPLERS if sampler.takes_vectors], ids=repr)
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_vector_that_is_taken_and_is_no_point_is_named(sampler: Sampler, bad: float) -> None:
    for row in (int(POOL.labeled[0]), int(POOL.candidates[-1])):
        assert POOL.vectors is not None
        vectors = POOL.vectors.copy()
        vectors[row, 1] = bad
        with pytest.raises(ValueError, match=re.escape(f"the embedding of {POOL.item_ids[row]!r} holds NaN, infinity")):
            sampler.select(dataclasses.replace(POOL, vectors=vectors), 5)


@every_sampler
def test_what_a_sampler_needs_it_takes(sampler: Sampler) -> None:
    assert sampler.takes_scores >= sampler.needs_scores
    assert sampler.takes_vectors >= sampler.needs_vectors
    if not isinstance(sampler, SamplerAuto):
        assert (sampler.takes_scores, sampler.takes_vectors) == (sampler.needs_scores, sampler.needs_vectors)


def test_which_methods_need_what() -> None:
    needs = {repr(sampler): (sampler.needs_scores, sampler.needs_vectors) for sampler in SAMPLERS}
    assert needs[repr(SamplerAuto())] == needs[repr(SamplerRandom())] == (False, False)
    assert needs[repr(SamplerUncertainty())] == (True, False)
    assert needs[repr(SamplerBatchUncertainty())] == (True, False)
    assert needs[repr(SamplerCoreset())] == (False, True)
    assert needs[repr(SamplerCoral())] == (True, True)
    assert needs[repr(SamplerCoral(score_strength=0))] == (False, True)
    assert needs[repr(SamplerCoral(distance_strength=0))] == (True, False)


@every_sampler
@pytest.mark.parametrize("seed", [-1, "seed", 1.5], ids=repr)
def test_a_seed_that_is_none_is_refused(sampler: Sampler, seed: Any) -> None:
    with pytest.raises((ValueError, TypeError)):
        sampler.select(POOL, 5, seed=seed)


# --- Progress ---


@every_sampler
@pytest.mark.parametrize("n_samples", [1, 7, 52])
def test_on_pick_is_told_of_every_pick_once(sampler: Sampler, n_samples: int) -> None:
    counts: list[int] = []
    selection = sampler.select(POOL, n_samples, on_pick=counts.append)
    assert sum(counts) == n_samples
    assert all(type(count) is int and count > 0 for count in counts)
    assert told(selection) == told(sampler.select(POOL, n_samples))


def test_a_batch_that_stops_early_tells_only_of_the_picks_made() -> None:
    counts: list[int] = []
    pool = Pool(("a", "b", "c"), np.array([True, False, False]), vectors=np.array([[0.0], [5.0], [5.5]]))
    assert SamplerCoreset(min_distance=1).select(pool, 2, on_pick=counts.append).item_ids == ("c",)
    assert sum(counts) == 1


@every_sampler
@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit, RuntimeError])
def test_an_interrupt_comes_through_and_leaves_nothing_behind(sampler: Sampler, error: type[BaseException]) -> None:
    expected = told(sampler.select(POOL, 20))

    def interrupt(_: int) -> None:
        raise error("stop here")

    with pytest.raises(error, match=r"stop here|interrupted after") as stopped:
        sampler.select(POOL, 20, on_pick=interrupt)
    if isinstance(stopped.value, SelectionInterrupted):
        before = stopped.value.selection
        assert 0 < len(before) <= 20
        assert before.item_ids == expected[0][: len(before)]
        if len(before) < 20:
            resumed = sampler.select(POOL, 20, resume=before)
            assert resumed.item_ids == expected[0]
            assert resumed.gains.tolist() == expected[1]
    assert told(sampler.select(POOL, 20)) == expected


# --- A method of one's own ---


class SamplerLastFirst(Sampler):
    """Candidates from the end of the pool."""

    method: ClassVar[str] = "LAST_FIRST"

    def pick(self, pool: Pool, n_samples: int, rng: np.random.Generator, on_pick: Callable[[int], object]) -> Picks:
        rows = pool.candidates[::-1][:n_samples]
        on_pick(n_samples)
        return Picks(rows, np.arange(n_samples, 0, -1.0), ("at the end",) * n_samples)


class SamplerHighestNorm(SamplerLastFirst):
    """One that needs vectors and leaves a note."""

    method: ClassVar[str] = "HIGHEST_NORM"

    @property
    def needs_vectors(self) -> bool:
        return True

    def pick(self, pool: Pool, n_samples: int, rng: np.random.Generator, on_pick: Callable[[int], object]) -> Picks:
        assert pool.vectors is not None
        norms = np.abs(pool.vectors[pool.candidates]).max(axis=1).astype(np.float64)
        order = np.argsort(-norms, kind="stable")[:n_samples]
        return Picks(pool.candidates[order], norms[order], ("long",) * n_samples, "by the largest coordinate")


class SamplerTwice(SamplerLastFirst):
    """One that is wrong: every row is the first candidate."""

    def pick(self, pool: Pool, n_samples: int, rng: np.random.Generator, on_pick: Callable[[int], object]) -> Picks:
        return Picks(np.repeat(pool.candidates[:1], n_samples), np.zeros(n_samples), ("again",) * n_samples)


def test_a_method_of_ones_own_takes_a_few_lines() -> None:
    pool = Pool(("a", "b", "c", "d"), np.array([False, False, False, True]), vectors=np.array([[1.0], [-3.0], [2.0], [9.0]]))
    selection = SamplerLastFirst().select(pool, 2)
    assert told(selection) == (("c", "b"), [2.0, 1.0], ("at the end",) * 2, "LAST_FIRST", "")
    selection = SamplerHighestNorm().select(pool, 2)
    assert told(selection) == (("b", "c"), [3.0, 2.0], ("long",) * 2, "HIGHEST_NORM", "by the largest coordinate")


def test_the_base_checks_for_a_method_of_ones_own_too() -> None:
    bare = Pool(("a", "b", "c"))
    with pytest.raises(ValueError, match="n_samples is 4, and 3 items can be picked"):
        SamplerLastFirst().select(bare, 4)
    with pytest.raises(ValueError, match="HIGHEST_NORM compares embeddings, and the pool has none"):
        SamplerHighestNorm().select(bare, 1)
    with pytest.raises(ValueError, match="the embedding of 'b' holds NaN"):
        SamplerHighestNorm().select(dataclasses.replace(bare, vectors=np.array([[0.0], [np.nan], [1.0]])), 1)
    with pytest.raises(ValueError, match="picked a row twice, or one that is no candidate"):
        SamplerTwice().select(bare, 2)


def test_the_base_cannot_be_used_alone() -> None:
    with pytest.raises(TypeError, match="abstract"):
        Sampler()  # type: ignore[abstract]
