"""The walk can be stopped and taken up again, counts its picks, and follows a rule of picks that change what is left."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from samplers import LocalEngine, Pool, SamplerCoral, SamplerCoreset, Selection, SelectionInterrupted
from samplers.centers.engine import run
from samplers.centers.local import frame_of
from samplers.centers.shard import Goal, Task
from samplers.centers.walk import SMALLEST, Interrupted, Steering, Walk
from samplers.distances import mean_of, squared_distances, unit, unit_rows

Floats = npt.NDArray[np.floating[Any]]
Float64s = npt.NDArray[np.float64]
Rows = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]

KERNELS = ["numpy", "numba", "torch"]
NO_ROWS: Rows = np.empty(0, dtype=np.int64)


@pytest.fixture(params=KERNELS)
def engine(request: pytest.FixtureRequest) -> LocalEngine:
    if request.param != "numpy":
        pytest.importorskip(request.param)
    return LocalEngine(request.param, n_threads=2)


@pytest.fixture
def short_epochs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Few picks between two looks at the pool, so that a walk can be stopped in many places."""
    monkeypatch.setattr(Steering, "n_picks", lambda self, n_candidates: 5)


def random_pool(seed: int, n: int = 400, d: int = 6, n_labeled: int = 0) -> Pool:
    rng = np.random.default_rng(seed)
    vectors = rng.normal(size=(n, d))
    if seed % 3 == 0:
        vectors = np.rint(vectors)  # ties and duplicates
    scores = np.round(rng.random(n), 1)  # some are 0
    is_labeled = np.zeros(n, dtype=bool)
    is_labeled[rng.permutation(n)[:n_labeled]] = True
    return Pool(tuple(map(str, range(n))), is_labeled, scores=scores, vectors=vectors)


# --- Interruption ---


class StopAt:
    """The keyboard, as soon as so many picks have been made."""

    def __init__(self, n_picks: int) -> None:
        self.n_left = n_picks
        self.n_made = 0

    def __call__(self, n: int) -> None:
        self.n_made += n
        self.n_left -= n
        if self.n_left <= 0:
            raise KeyboardInterrupt


@pytest.mark.usefixtures("short_epochs")
@pytest.mark.parametrize("n_labeled", [0, 1, 150])
@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.parametrize("method", [SamplerCoreset, SamplerCoral])
def test_a_batch_taken_up_again_is_the_batch_without_a_break(
    method: type[SamplerCoreset] | type[SamplerCoral], seed: int, n_labeled: int, engine: LocalEngine
) -> None:
    pool, sampler, rng = random_pool(seed, n_labeled=n_labeled), method(engine=engine), np.random.default_rng(seed)
    whole = sampler.select(pool, 120)
    before: Selection | None = None
    for stop in sorted(rng.choice(100, size=3, replace=False).tolist()):
        keyboard = StopAt(max(1, stop - (0 if before is None else len(before))))
        with pytest.raises(SelectionInterrupted) as caught:
            sampler.select(pool, 120, resume=before, on_pick=keyboard)
        n_before = 0 if before is None else len(before)
        before = caught.value.selection
        assert len(before) == n_before + keyboard.n_made < 120
        assert str(caught.value).endswith("picks; resume=error.selection goes on")
        assert before.item_ids == whole.item_ids[: len(before)]
        assert before.gains.tolist() == whole.gains[: len(before)].tolist()
        assert len(before.reasons) == len(before)
    after = sampler.select(pool, 120, resume=before)
    assert (after.item_ids, after.gains.tolist()) == (whole.item_ids, whole.gains.tolist())
    assert after.method == whole.method


@pytest.mark.usefixtures("short_epochs")
@pytest.mark.parametrize("options", [{"min_distance": 2.0}, {"ignore_sparsest": 0.1}, {"metric": "cosine"}])
def test_options_survive_a_break(options: dict[str, Any]) -> None:
    pool, sampler = random_pool(4), SamplerCoreset(**options)
    whole = sampler.select(pool, 390 if "min_distance" in options else 100)
    with pytest.raises(SelectionInterrupted) as caught:
        sampler.select(pool, 390 if "min_distance" in options else 100, on_pick=StopAt(17))
    n_before = len(caught.value.selection)
    after = sampler.select(pool, 390 if "min_distance" in options else 100, resume=caught.value.selection)
    assert 17 <= n_before < len(whole)
    assert (after.item_ids, after.gains.tolist()) == (whole.item_ids, whole.gains.tolist())


class Stops:
    """A part of the walk that the keyboard may stop at its j-th call of any kind."""

    def __init__(self, inner: Any, countdown: list[int]) -> None:
        self._inner = inner
        self._countdown = countdown

    def __call__(self, *args: Any) -> Any:
        return self._stopped(self._inner, *args)

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._inner, name)
        return (lambda *args: self._stopped(value, *args)) if callable(value) else value

    def _stopped(self, function: Callable[..., Any], *args: Any) -> Any:
        self._countdown[0] -= 1
        if self._countdown[0] == 0:
            raise KeyboardInterrupt
        return function(*args)


@pytest.mark.usefixtures("short_epochs")
def test_wherever_the_keyboard_stops_the_walk_it_holds_a_prefix(engine: LocalEngine) -> None:
    vectors = np.rint(np.random.default_rng(5).normal(size=(200, 3)) * 2)
    task = Task(vectors, np.ones(200, dtype=bool), None, Goal(), NO_ROWS, 190, False)
    whole = run(task, engine, lambda n: None)
    lengths = set()
    for call in range(1, 1000, 5):
        countdown = [call + 2]  # the first calls build the walk
        with engine.open(task, frame_of(vectors)) as (crew, inner):
            walk = Walk(
                Stops(crew, countdown), 190, start=NO_ROWS, goal=task.goal, inner=Stops(inner, countdown),
                steering=Steering(200, 3), on_pick=lambda n: None,
            )  # fmt: skip
            try:
                walked = walk.run(mean_of(vectors))
            except Interrupted as error:
                walked = error.walked
                assert str(error) == f"interrupted after {len(walked.rows)} picks"
        n = len(walked.rows)
        lengths.add(n)
        for found, expected in zip(walked, whole):
            assert found.tolist() == expected[:n].tolist()
        if countdown[0] > 0:
            break
    assert max(lengths) == 190  # the last was not stopped
    assert len(lengths) > 5


@pytest.mark.parametrize("n_samples", [1, 2, 37, 400])
@pytest.mark.parametrize("method", [SamplerCoreset, SamplerCoral])
def test_progress_adds_up_to_the_batch(
    method: type[SamplerCoreset] | type[SamplerCoral], n_samples: int, engine: LocalEngine
) -> None:
    steps: list[int] = []
    selection = method(engine=engine).select(random_pool(3), n_samples, on_pick=steps.append)
    assert sum(steps) == len(selection) == n_samples
    assert min(steps) >= 1


def test_progress_of_a_batch_that_stops_early_adds_up_to_what_there_is(engine: LocalEngine) -> None:
    steps: list[int] = []
    selection = SamplerCoreset(min_distance=2.5, engine=engine).select(random_pool(1), 390, on_pick=steps.append)
    assert 1 < sum(steps) == len(selection) < 390
    assert re.match(rf"stopped after {len(selection)} of 390", selection.note)


# --- A rule ---


class Groups:
    """Factors by group that fall with the first picks of a group and rise again, and at most so many picks a group.

    Args:
        group_of: `(n,)` group of each row.
        table: `(g, p)` factor of each group after 0, 1, ... picks of it; the last holds on.
        most: Picks of a group at most.
    """

    def __init__(self, group_of: Rows, table: Float64s, most: int) -> None:
        self.group_of = group_of
        self.table = table
        self.most = most
        self.counts = np.zeros(len(table), dtype=np.int64)
        self.added: list[int] = []
        self.rises: list[float] = []
        self.n_marks = 0
        self._marked = self._now()

    def _now(self) -> Float64s:
        factors: Float64s = self.table[np.arange(len(self.table)), np.minimum(self.counts, self.table.shape[1] - 1)]
        return factors

    def mark(self) -> None:
        self.n_marks += 1
        self._marked = self._now()

    def factors(self, rows: Rows) -> Float64s:
        return self._now()[self.group_of[rows]]

    def rise(self) -> float:
        now = self._now()
        with np.errstate(divide="ignore"):
            result = float(np.divide(now, self._marked, out=np.ones(len(now)), where=now > self._marked).max())
        self.rises.append(result)
        return result

    def may_pick(self, rows: Rows) -> Flags:
        result: Flags = self.counts[self.group_of[rows]] < self.most
        return result

    def add(self, row: int) -> None:
        self.added.append(row)
        self.counts[self.group_of[row]] += 1


def by_loop(task: Task, rule: Groups) -> tuple[list[int], list[float], list[int]]:
    """Every row looked at before every pick."""
    everything = np.arange(len(task.vectors))
    squared, nearest = np.full(len(everything), np.inf), np.full(len(everything), -1)
    is_open = task.is_open.copy()
    weights = np.ones(len(everything)) if task.weights is None else task.weights

    def meet(center: int) -> None:
        found = squared_distances(task.vectors, everything, np.full(len(everything), center))
        nearest[found < squared] = center
        np.minimum(squared, found, out=squared)

    for center in task.start:
        meet(center)
    origin = unit(mean_of(task.vectors)) if task.goal.is_cosine else mean_of(task.vectors)
    picks: list[int] = []
    picked_squared: list[float] = []
    picked_nearest: list[int] = []
    while len(picks) < task.n_picks:
        from_mean = not picks and not len(task.start)
        here = squared_distances(task.vectors, everything, origin) if from_mean else squared
        distances = here * 0.5 if task.goal.is_cosine else np.sqrt(here)
        worths = weights * (1.0 if task.goal.is_flat else distances) * rule.factors(everything)
        allowed = is_open & rule.may_pick(everything) & (from_mean | (distances >= task.goal.min_distance))
        if not allowed.any():
            break
        row = int(np.where(allowed, worths, -1.0).argmax())
        picks.append(row)
        picked_squared.append(float(here[row]))
        picked_nearest.append(int(nearest[row]))
        rule.add(row)
        is_open[row] = False
        meet(row)
    return picks, picked_squared, picked_nearest


def task_of(seed: int, n: int, d: int, n_picks: int) -> tuple[Task, Callable[[], Groups]]:
    rng = np.random.default_rng(seed)
    vectors: Floats = rng.normal(size=(n, d)) + (1e4 if seed % 4 == 1 else 0)
    if seed % 3 == 0:
        vectors = np.rint(vectors)
    start = np.sort(rng.permutation(n)[: n // 10]) if seed % 2 else NO_ROWS
    is_open = np.ones(n, dtype=bool)
    is_open[start] = False
    goal = Goal(is_cosine=seed % 5 == 4, min_distance=0.4 if seed % 7 == 6 else 0.0, is_flat=seed % 11 == 10)
    weights = None if seed % 4 == 0 else rng.integers(0, 5, size=n) / 4
    vectors = vectors.astype([np.float32, np.float64][seed % 2])
    if goal.is_cosine:
        vectors = unit_rows(vectors)
    task = Task(vectors, is_open, weights, goal, start, n_picks, False)
    group_of = rng.integers(0, 6, size=n)
    table = np.round(rng.uniform(0.05, 3, size=(6, 9)), 2)
    most = int(rng.integers(2, n // 3))
    return task, lambda: Groups(group_of, table, most)


@pytest.mark.parametrize("n_picks_per_epoch", [None, 1, 7])
@pytest.mark.parametrize("seed", range(24))
def test_a_rule_that_falls_and_rises_is_followed_to_the_letter(
    seed: int, n_picks_per_epoch: int | None, engine: LocalEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    if n_picks_per_epoch is not None:
        monkeypatch.setattr(Steering, "n_picks", lambda self, n_candidates: n_picks_per_epoch)
    task, build = task_of(seed, 120 + 13 * seed, 1 + seed % 9, 90)
    rule = build()
    steps: list[int] = []
    walked = run(task, engine, steps.append, rule)
    expected = by_loop(task, build())
    assert (walked.rows.tolist(), walked.squared.tolist(), walked.nearest.tolist()) == expected
    assert rule.added == walked.rows.tolist()
    assert sum(steps) == len(walked.rows)
    assert rule.counts.max() <= rule.most


def test_a_rule_on_more_rows_than_candidates_looked_at_together(engine: LocalEngine) -> None:
    task, build = task_of(8, 6000, 12, 400)
    rule = build()
    rule.most = 90
    walked = run(task, engine, lambda n: None, rule)
    other = build()
    other.most = 90
    assert (walked.rows.tolist(), walked.squared.tolist(), walked.nearest.tolist()) == by_loop(task, other)
    assert rule.n_marks > 3
    assert max(rule.rises) > 1  # and so rows that were no candidates had to be looked at


def test_at_most_so_many_a_group_ends_the_walk_when_all_are_full(engine: LocalEngine) -> None:
    task, build = task_of(0, 300, 4, 200)
    rule = build()
    rule.most = 7
    walked = run(task, engine, lambda n: None, rule)
    assert len(walked.rows) == 6 * 7
    assert rule.counts.tolist() == [7] * 6


def test_a_rise_is_why_rows_outside_are_looked_at_again() -> None:
    """With a rule that conceals its rise the picks differ, so that the tests above could fail."""
    task, build = task_of(8, 6000, 12, 400)
    rule = build()
    expected = run(task, LocalEngine("numpy"), lambda n: None, build()).rows.tolist()
    rule.rise = lambda: 1.0  # type: ignore[method-assign]
    assert run(task, LocalEngine("numpy"), lambda n: None, rule).rows.tolist() != expected


def test_a_rule_that_never_changes_is_a_weight(engine: LocalEngine) -> None:
    task, _ = task_of(8, 900, 6, 300)
    group_of = np.random.default_rng(0).integers(0, 4, size=900)
    factors = np.array([0.5, 1.0, 2.0, 0.0])  # powers of two, which round nothing
    assert task.weights is None
    ruled = run(task, engine, lambda n: None, Groups(group_of, factors[:, None], 900))
    weighted = run(task._replace(weights=factors[group_of]), engine, lambda n: None)
    assert [part.tolist() for part in ruled] == [part.tolist() for part in weighted]


# --- Steering ---


def test_steering_stays_in_its_bounds_whatever_it_is_told() -> None:
    rng = np.random.default_rng(0)
    for n_rows, n_dimensions in [(1, 1), (300, 1000), (10**6, 8), (10**7, 2048)]:
        steering = Steering(n_rows, n_dimensions)
        for _ in range(300):
            n_candidates = int(rng.integers(0, 10**6))
            times = 10.0 ** rng.uniform(-7, 2, size=2)
            steering.learn(times[0], times[1], n_candidates, int(rng.integers(0, 1000)), bool(rng.integers(0, 2)))
            assert 256 <= steering.target <= steering.most
            assert steering.n_picks(max(1, n_candidates)) >= 8
        assert SMALLEST > 0 == SMALLEST / 2
