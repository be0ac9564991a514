"""JOINT picks what a slow loop over candidates and objectives picks, within its constraints."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from samplers import (
    AtMost,
    Balance,
    Budget,
    Diversity,
    Exclude,
    Include,
    LocalEngine,
    MinDistance,
    Pool,
    SamplerJoint,
    Selection,
    SelectionInterrupted,
    Similarity,
    Strategy,
    Threshold,
    Typicality,
    Weight,
)
from samplers.density import typicality
from samplers.distances import squared_distances, unit, unit_rows

Float64s = npt.NDArray[np.float64]
many = settings(max_examples=50, deadline=None, derandomize=True, database=None)
seeds = st.integers(0, 10**6)
NUMPY = LocalEngine(kernels="numpy")


class Walked(NamedTuple):
    rows: list[int]
    gains: list[float]
    is_clear: bool
    """Whether no pick hung on the rounding of its product."""


def rows_of(selection: Selection) -> list[int]:
    return [int(item_id[1:]) for item_id in selection.item_ids]


def name_of(row: int) -> str:
    return f"i{row:04d}"


def points_in(pool: Pool, metric: str) -> Any:
    return pool.vectors if metric == "euclidean" else unit_rows(np.asarray(pool.vectors))


def distance_to(pool: Pool, metric: str, row_or_point: Any) -> Float64s:
    """`(n,)` distances to a row, or to a point."""
    points = points_in(pool, metric)
    other = points[row_or_point] if isinstance(row_or_point, int) else row_or_point
    squared = squared_distances(points, np.arange(len(pool)), other)
    return squared / 2 if metric == "cosine" else np.sqrt(squared)


def column_of(pool: Pool, name: str) -> Any:
    return pool.scores if name == "score" else pool.columns[name]


def static_values(pool: Pool, one: Strategy) -> Float64s:
    """Typicality by the full matrix, for pools that are their own sample."""
    if isinstance(one, Weight):
        return np.asarray(column_of(pool, one.column), dtype=np.float64)
    if isinstance(one, Similarity):
        distances = np.min([distance_to(pool, one.metric, int(name[1:])) for name in one.to], axis=0)
        return np.exp(-distances / distances.mean()) if distances.mean() > 0 else np.ones(len(pool))
    assert isinstance(one, Typicality)
    points = points_in(pool, one.metric)
    if len(pool) > 1000:
        drawn = np.random.default_rng(int(np.random.default_rng(0).integers(2**63)))
        return typicality(points, drawn, order=np.arange(len(pool)))
    matrix = np.sqrt([squared_distances(points, np.arange(len(pool)), point) for point in points])
    others = np.sort(matrix + np.diag(np.full(len(pool), np.inf)), axis=1)[:, : min(20, len(pool) - 1)]
    if others.size == 0 or others.mean() == 0:
        return np.ones(len(pool))
    return np.asarray(np.exp(-others / others.mean()).mean(axis=1))


def counts_by_class(pool: Pool, column: str) -> list[dict[str, float]]:
    """For each item how often it has each class."""
    values = pool.columns[column].tolist()
    if pool.columns[column].ndim == 1:
        return [{str(value): 1.0} if value != "" else {} for value in values]
    return [{str(place): float(count) for place, count in enumerate(row) if count > 0} for row in values]


def sums_of(rows: Iterable[dict[str, float]]) -> dict[str, float]:
    """How often items have each class, together."""
    sums: dict[str, float] = {}
    for counts in rows:
        for name, count in counts.items():
            sums[name] = sums.get(name, 0.0) + count
    return sums


def wanted_values(pool: Pool, one: Balance, by_item: list[dict[str, float]], picks: list[int]) -> Float64s:
    """Balance by its definition, in dictionaries."""
    in_all = sums_of(by_item)
    had = sums_of(by_item[row] for row in [*picks, *(pool.labeled.tolist() if one.counts_labeled else [])])
    if one.target == "uniform":
        shares = dict.fromkeys(in_all, 1.0)
    else:
        shares = in_all if isinstance(one.target, str) else dict(one.target)
    total = sum(shares.values())
    need = {}
    for name in in_all:
        target = shares.get(name, 0.0) / total
        so_far = (had.get(name, 0.0) + target) / (sum(had.values()) + 1)
        need[name] = target / so_far if target > 0 else 0.0
    result = []
    for counts in by_item:
        n_counted = sum(counts.values())
        result.append(sum(need[name] * count / n_counted for name, count in counts.items()) if counts else 1.0)
    return np.array(result)


def reference(pool: Pool, strategies: Sequence[Strategy], n_samples: int) -> Walked:
    """Every pick looks at every candidate and every strategy."""
    n = len(pool)
    objectives = [one for one in strategies if getattr(one, "strength", 0) != 0]
    values: dict[int, Float64s] = {
        place: static_values(pool, one)
        for place, one in enumerate(objectives)
        if isinstance(one, Weight | Similarity | Typicality)
    }
    classes = {place: counts_by_class(pool, one.column) for place, one in enumerate(objectives) if isinstance(one, Balance)}
    metric = next((one.metric for one in strategies if isinstance(one, Diversity | MinDistance)), None)
    nearest = np.full(n, np.inf)
    for row in pool.labeled.tolist() if metric else []:
        nearest = np.minimum(nearest, distance_to(pool, str(metric), row))
    has_center = len(pool.labeled) > 0
    if metric and not has_center:
        mean = np.add.reduce(points_in(pool, metric), axis=0, dtype=np.float64) / n
        nearest = distance_to(pool, metric, unit(mean) if metric == "cosine" else mean)
    first = [int(name[1:]) for one in strategies if isinstance(one, Include) for name in one.item_ids]
    picks: list[int] = []
    gains: list[float] = []
    is_clear = True
    while len(picks) < n_samples:
        factors = []
        for place, one in enumerate(objectives):
            if isinstance(one, Diversity):
                factors.append(nearest**one.strength)
            elif isinstance(one, Balance):
                factors.append(wanted_values(pool, one, classes[place], picks) ** one.strength)
            else:
                with np.errstate(invalid="ignore"):
                    factors.append(values[place] ** getattr(one, "strength", 0))
        allowed = ~pool.is_labeled & ~np.isin(np.arange(n), picks)
        for one in strategies:
            allowed &= allowed_by(pool, one, picks, nearest if has_center else np.full(n, np.inf))
        left = first[len(picks) : len(picks) + 1] or np.flatnonzero(allowed).tolist()
        if not left:
            break
        products = np.prod(factors, axis=0)[left]
        best = int(products.argmax())
        close = np.flatnonzero(products >= products[best] * (1 - 1e-9))
        alike = {
            (*(factor[left[at]] for factor in factors), str([kinds[left[at]] for kinds in classes.values()])) for at in close
        }
        is_clear &= products[best] == 0 or len(alike) == 1
        picks.append(left[best])
        gains.append(float(products[best]))
        if metric:
            distances = distance_to(pool, metric, picks[-1])
            nearest = np.minimum(nearest, distances) if has_center else distances
        has_center = True
    return Walked(picks, gains, is_clear)


def allowed_by(pool: Pool, one: Strategy, picks: list[int], nearest: Float64s) -> npt.NDArray[np.bool_]:
    """What a constraint allows after some picks."""
    n = len(pool)
    if isinstance(one, MinDistance):
        return nearest >= one.distance
    if isinstance(one, Exclude):
        return np.array([item_id not in one.item_ids for item_id in pool.item_ids])
    if isinstance(one, Threshold):
        values = column_of(pool, one.column)
        least, most = one.at_least, one.at_most
        is_in = (values >= (-np.inf if least is None else least)) & (values <= (np.inf if most is None else most))
        return np.asarray(is_in)
    if isinstance(one, Budget):
        spent = 0.0
        for row in picks:
            spent += float(pool.columns[one.column][row])
        return np.array([spent + float(cost) <= one.limit for cost in pool.columns[one.column]])
    if isinstance(one, AtMost):
        groups = pool.columns[one.column].tolist()
        taken = Counter(groups[row] for row in [*picks, *(pool.labeled.tolist() if one.counts_labeled else [])])
        return np.array([group == "" or taken[group] < one.count for group in groups])
    return np.ones(n, dtype=bool)


def random_pool(seed: int, n: int | None = None, *, is_smooth: bool = False) -> Pool:
    """Vectors and numbers with or without exact ties, classes with empty names, shares with empty rows."""
    rng = np.random.default_rng(seed)
    n = int(rng.integers(2, 61)) if n is None else n
    shape = (n, int(rng.integers(1, 5)))
    dtype = (np.float32, np.float64)[int(rng.integers(2))]
    is_smooth |= bool(rng.random() < 0.7)
    vectors = rng.normal(size=shape) if is_smooth else rng.integers(1, 6, size=shape).astype(np.float64)
    is_labeled = rng.random(n) < (0, 0.1, 0.5)[int(rng.integers(3))]
    is_labeled[int(rng.integers(n))] = False
    scores = rng.random(n) if is_smooth else rng.integers(0, 4, n) / 4
    age = rng.random(n) + 0.1
    cost = rng.integers(0, 4, n).astype(np.float64)
    for values in (scores, age, cost):
        values[is_labeled] = np.nan
    counts = rng.integers(0, 4, (n, 3)) * (rng.random((n, 1)) < 0.8)
    counts[int(rng.integers(n))] = 1
    columns = {
        "age": age,
        "cost": cost,
        "class": np.array(["cat", "dog", "owl", ""])[rng.choice(4, n, p=[0.6, 0.2, 0.1, 0.1])],
        "objects": counts if rng.random() < 0.5 else counts / 4,
        "video": rng.integers(0, max(2, n // 3), n),
        "site": np.array(["", "x", "y", "z"])[rng.integers(0, 4, n)],
        "tail": rng.geometric(0.2, n),
    }
    return Pool(tuple(map(name_of, range(n))), is_labeled, scores, vectors.astype(dtype), columns=columns)


def random_objectives(pool: Pool, rng: np.random.Generator) -> list[Strategy]:
    def strength(*more: float) -> float:
        return float(rng.choice([0.5, 1.0, 2.0, *more]))

    metric = ("euclidean", "cosine")[int(rng.integers(2))]
    present = sorted({str(name) for name in pool.columns["class"]} - {""})
    mapping = {name: float(rng.integers(0, 4)) for name in present}
    target: Any = ("uniform", "pool", mapping if sum(mapping.values()) else "pool")[int(rng.integers(3))]
    examples = rng.choice(pool.item_ids, min(len(pool), 2), replace=False).tolist()
    counted = bool(rng.integers(2))
    found: list[Strategy] = [
        Diversity(strength=strength(), metric=metric),
        Weight(strength=strength()),
        Weight("age", strength=strength(-1.0, -0.5)),
        Typicality(strength=strength(-1.0), metric=metric),
        Similarity(tuple(examples), strength=strength(-1.0), metric=("euclidean", "cosine")[int(rng.integers(2))]),
        Balance("class", target, counted, strength=strength()),
        Balance("objects", ("uniform", "pool", {"0": 1, "2": 3.0})[int(rng.integers(3))], counted, strength=strength()),
    ]
    kept = [one for one in found if rng.random() < 0.4]
    return kept or [found[int(rng.integers(len(found)))]]


def random_constraints(pool: Pool, rng: np.random.Generator, objectives: list[Strategy]) -> list[Strategy]:
    metric = next((one.metric for one in objectives if isinstance(one, Diversity)), "euclidean")
    counted = bool(rng.integers(2))
    found: list[Strategy] = [
        MinDistance(float(rng.choice([0.01, 0.3, 1.0]) * (0.1 if metric == "cosine" else 1)), metric),
        Threshold("age", at_least=0.3),
        Threshold(at_least=0.2, at_most=0.9),
        AtMost(int(rng.integers(1, 4)), "video", counted),
        AtMost(int(rng.integers(1, 8)), "site", bool(rng.integers(2))),
        Exclude(rng.choice(pool.item_ids, min(len(pool), 2), replace=False).tolist()),
        Budget(float(rng.integers(0, 12))),
    ]
    return [one for one in found if rng.random() < 0.25]


def problem(seed: int, *, is_smooth: bool = False) -> tuple[Pool, list[Strategy], int]:
    """A pool, strategies in any order, and a number of picks; what is included can be."""
    pool, rng = random_pool(seed, is_smooth=is_smooth), np.random.default_rng([seed, 1])
    objectives = random_objectives(pool, rng)
    strategies = [*objectives, *random_constraints(pool, rng, objectives)]
    n_samples = int(rng.integers(1, min(len(pool.candidates), 25) + 1))
    if rng.random() < 0.3:
        possible = reference(pool, strategies, n_samples).rows
        if possible:
            names = [name_of(row) for row in rng.permutation(possible)[:3].tolist()]
            strategies.append(Include(tuple(names)))
    return pool, [strategies[place] for place in rng.permutation(len(strategies)).tolist()], n_samples


def picked(pool: Pool, strategies: Sequence[Strategy], n_samples: int) -> Selection | None:
    """The batch, or nothing where the constraints leave less than asked for."""
    try:
        return SamplerJoint(strategies, engine=NUMPY).select(pool, n_samples)
    except ValueError as error:
        assert "leave a batch of" in str(error)
        return None


@pytest.mark.parametrize("first", range(0, 360, 60))
def test_picks_and_gains_are_those_of_the_slow_loop(first: int) -> None:
    n_compared = n_dynamic = n_short = 0
    for seed in range(first, first + 60):
        pool, strategies, n_samples = problem(seed)
        expected = reference(pool, strategies, n_samples)
        if not expected.is_clear or not expected.rows:
            continue
        selection = picked(pool, strategies, n_samples)
        if selection is None:
            assert len(expected.rows) < n_samples, (seed, strategies)
            continue
        assert rows_of(selection) == expected.rows, (seed, strategies)
        np.testing.assert_allclose(selection.gains, expected.gains, rtol=1e-9, err_msg=f"{seed} {strategies}")
        assert bool(selection.note) == (len(expected.rows) < n_samples)
        n_compared += 1
        n_dynamic += any(isinstance(one, Balance | AtMost | Budget) for one in strategies)
        n_short += len(expected.rows) < n_samples
    assert n_compared >= 30
    assert n_dynamic >= 15
    assert n_short >= 2


LARGE: list[list[Strategy]] = [
    [Diversity(), Weight(strength=0.5), Balance("class"), AtMost(2, "video")],
    [Balance("objects", {"0": 1, "2": 3}, strength=2.0), Weight("age", strength=-1.0), Diversity(strength=0.5)],
    [Diversity(metric="cosine", strength=2.0), Budget(150), MinDistance(1e-5, "cosine"), Typicality()],
    [Similarity((name_of(5), name_of(77))), Balance("class", "pool", False), AtMost(1, "video"), MinDistance(0.05)],
    [Diversity(), Balance("tail", strength=2.0)],
]


@cache
def large(place: int) -> tuple[Pool, Walked]:
    pool = random_pool(7 + place, 3000, is_smooth=True)
    return pool, reference(pool, LARGE[place], 300)


@pytest.mark.parametrize("kernels", ["numpy", "numba", "torch"])
@pytest.mark.parametrize("place", range(len(LARGE)))
def test_several_rounds_in_a_larger_pool_pick_what_the_slow_loop_picks(place: int, kernels: str) -> None:
    if kernels != "numpy":
        pytest.importorskip(kernels)
    pool, expected = large(place)
    calls: list[int] = []
    selection = SamplerJoint(LARGE[place], engine=LocalEngine(kernels=kernels)).select(pool, 300, on_pick=calls.append)
    assert expected.is_clear
    assert rows_of(selection) == expected.rows
    np.testing.assert_allclose(selection.gains, expected.gains, rtol=1e-9)
    assert sum(calls) == len(expected.rows)
    assert len(calls) > 2 or place < 4


@many
@given(seeds)
def test_no_constraint_is_ever_violated(seed: int) -> None:
    pool, strategies, n_samples = problem(seed)
    assume(reference(pool, strategies, n_samples).rows)
    selection = picked(pool, strategies, n_samples)
    rows = [] if selection is None else rows_of(selection)
    for place, row in enumerate(rows):
        for one in strategies:
            if isinstance(one, Include):
                assert tuple(map(name_of, rows[: len(one.item_ids)])) == one.item_ids
            nearest = np.full(len(pool), np.inf)
            if isinstance(one, MinDistance):
                centers = [*pool.labeled.tolist(), *rows[:place]]
                nearest = np.min([nearest, *(distance_to(pool, one.metric, center) for center in centers)], axis=0)
            assert allowed_by(pool, one, rows[:place], nearest)[row], (one, row)


def test_a_batch_that_can_hold_nothing_is_empty_and_says_why() -> None:
    pool = Pool(("i0000", "i0001"), vectors=np.eye(2), columns={"cost": [3.0, 4.0]})
    selection = SamplerJoint([Diversity(), Budget(1)]).select(pool, 1)
    assert len(selection) == 0
    assert selection.note.startswith("stopped after 0 of 1: of 2 items left, 2 need more")


def test_balance_where_no_item_has_a_class_leaves_it_to_the_others() -> None:
    pool = Pool(("i0000", "i0001"), scores=[1.0, 2.0], columns={"class": ["", ""]})
    assert rows_of(SamplerJoint([Balance(), Weight()]).select(pool, 2)) == [1, 0]


@pytest.mark.parametrize("kernels", ["numpy", "numba", "torch"])
@pytest.mark.parametrize("n_included", [0, 2])
def test_cosine_on_disk_picks_what_it_picks_in_memory(tmp_path: Path, n_included: int, kernels: str) -> None:
    if kernels != "numpy":
        pytest.importorskip(kernels)
    pool = random_pool(5, 30, is_smooth=True)
    assert pool.vectors is not None
    vectors = np.memmap(tmp_path / "vectors", pool.vectors.dtype, "w+", shape=pool.vectors.shape)
    vectors[:] = pool.vectors
    names = tuple(name_of(row) for row in pool.candidates[3 : 3 + n_included].tolist())
    strategies = [Diversity(metric="cosine"), *([Include(names)] if names else [])]
    on_disk = SamplerJoint(strategies, engine=LocalEngine(kernels)).select(replace(pool, vectors=vectors), 4)
    assert on_disk.item_ids == SamplerJoint(strategies, engine=NUMPY).select(pool, 4).item_ids


class Stopped(LocalEngine):
    """The keyboard interrupts it after picks were made among candidates and before they are noted."""

    @contextmanager
    def open(self, task: Any, frame: Any) -> Iterator[Any]:
        with super().open(task, frame) as (crew, inner):
            yield _Interrupting(crew), inner


class _Interrupting:
    def __init__(self, crew: Any) -> None:
        self._crew = crew

    def __getattr__(self, name: str) -> Any:
        return getattr(self._crew, name)

    def note(self, *_: object) -> None:
        raise KeyboardInterrupt


def test_an_interruption_keeps_what_was_picked_with_balance_too() -> None:
    pool = Pool(tuple(map(name_of, range(20))), vectors=np.arange(20.0)[:, None], columns={"class": [*"ab"] * 10})
    with pytest.raises(SelectionInterrupted) as caught:
        SamplerJoint([Diversity(), Balance()], engine=Stopped("numpy")).select(pool, 5)
    assert rows_of(caught.value.selection) == [0]


@pytest.mark.parametrize(
    "constraint", [Budget(4), AtMost(1, "video"), Include((name_of(3), name_of(1))), Balance("video", counts_labeled=False)]
)
def test_going_on_after_a_break_picks_what_would_have_been_picked_without_it(constraint: Strategy) -> None:
    columns: dict[str, Any] = {"cost": np.full(8, 2.0), "video": [*"aabbccdd"]}
    pool = Pool(tuple(map(name_of, range(8))), scores=np.arange(8.0, 0, -1), columns=columns)
    sampler = SamplerJoint([Weight(), constraint])
    whole = sampler.select(pool, 4)
    assert sampler.select(pool, 4, resume=sampler.select(pool, 2)).item_ids == whole.item_ids
