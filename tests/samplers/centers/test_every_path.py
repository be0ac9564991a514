"""Every path through the greedy walk gives the picks of the naive loop: rows, gains to the last bit, nearest centers."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pytest

from samplers import LocalEngine, Pool, SamplerCoral, SamplerCoreset, Selection
from samplers.centers import plain, walk
from samplers.centers.engine import is_on_disk, run
from samplers.centers.local import frame_of
from samplers.centers.shard import Goal, Task
from samplers.centers.walk import Steering, Walk
from samplers.distances import mean_of, squared_distances, unit, unit_rows

Floats = npt.NDArray[np.floating[Any]]
Float64s = npt.NDArray[np.float64]
Rows = npt.NDArray[np.int64]
Answer = tuple[list[int], list[float], list[int]]

GOLDEN = Path(__file__).resolve().parents[4] / "shared" / "golden" / "kcenter.json"


class Way(NamedTuple):
    """A way to do the work, and whether the vectors lie in a file."""

    kernels: str
    n_threads: int | None
    is_on_disk: bool

    def engine(self) -> LocalEngine:
        if self.kernels != "numpy":
            pytest.importorskip(self.kernels)
        return LocalEngine(self.kernels, n_threads=self.n_threads)


PATHS = {
    "numpy": Way("numpy", None, False),
    "numba": Way("numba", 1, False),
    "numba on two threads": Way("numba", 2, False),
    "torch": Way("torch", None, False),
    "numpy on disk": Way("numpy", None, True),
    "numba on disk": Way("numba", 2, True),
}
every_path = pytest.mark.parametrize("path", PATHS.values(), ids=PATHS)


class Problem(NamedTuple):
    """A pool and what is asked of it."""

    vectors: Floats
    labeled: list[int]
    n_samples: int
    scores: Float64s | None = None
    metric: str = "euclidean"
    min_distance: float | None = None

    @property
    def goal(self) -> Goal:
        return Goal(self.metric == "cosine", self.min_distance or 0.0)

    def pool(self, folder: Path | None) -> Pool:
        vectors = self.vectors
        if folder is not None:
            np.save(folder / "vectors.npy", vectors)
            vectors = np.load(folder / "vectors.npy", mmap_mode="r")
            assert is_on_disk(vectors)
        is_labeled = np.zeros(len(vectors), dtype=bool)
        is_labeled[self.labeled] = True
        return Pool(tuple(map(str, range(len(vectors)))), is_labeled, scores=self.scores, vectors=vectors)

    def select(self, path: Way, folder: Path) -> Selection:
        sampler = (SamplerCoreset if self.scores is None else SamplerCoral)(
            metric=self.metric, min_distance=self.min_distance, engine=path.engine()
        )
        return sampler.select(self.pool(folder if path.is_on_disk else None), self.n_samples)


def answer_of(selection: Selection) -> Answer:
    """Rows, gains, and the nearest center named in each reason, -1 for the mean."""
    named = [re.search(r"from the nearest \w+ item, '(\d+)'$", reason) for reason in selection.reasons]
    return (
        [int(item_id) for item_id in selection.item_ids],
        selection.gains.tolist(),
        [-1 if match is None else int(match[1]) for match in named],
    )


def greedy(problem: Problem, distances_to: Callable[[int | None], Float64s]) -> Answer:
    """The definition: each pick the candidate with the largest score times distance, the lower row of a tie.

    `distances_to` gives the squared distances of all rows to a row, or for None to the mean.
    """
    n, goal = len(problem.vectors), problem.goal
    is_open = np.ones(n, dtype=bool)
    is_open[problem.labeled] = False
    scores = np.ones(n) if problem.scores is None else np.where(is_open, problem.scores, 0.0)
    squared, nearest = np.full(n, np.inf), np.full(n, -1)
    rows: list[int] = []
    gains: list[float] = []
    centers: list[int] = []

    def meet(center: int) -> None:
        found = distances_to(center)
        nearest[found < squared] = center
        np.minimum(squared, found, out=squared)

    for center in problem.labeled:
        meet(center)
    while len(rows) < problem.n_samples:
        is_first = not problem.labeled and not rows
        here = distances_to(None) if is_first else squared
        distances = 0.5 * here if goal.is_cosine else np.sqrt(here)
        can_be_picked = is_open & (is_first | (distances >= goal.min_distance))
        if not can_be_picked.any():
            break
        row = int(np.where(can_be_picked, scores * distances, -1.0).argmax())
        rows.append(row)
        gains.append(float(scores[row] * distances[row]))
        centers.append(int(nearest[row]))
        is_open[row] = False
        meet(row)
    return rows, gains, centers


def origin_of(vectors: Floats, metric: str) -> Float64s:
    return unit(mean_of(vectors)) if metric == "cosine" else mean_of(vectors)


def all_squared(vectors: Floats, others: Floats) -> Float64s:
    """`(n, m)` squared distances added up in 64 lanes, and the lanes as a tree."""
    width = -(-vectors.shape[1] // 64) * 64
    squares = np.zeros((len(vectors), len(others), width))
    squares[:, :, : vectors.shape[1]] = (vectors.astype(np.float64)[:, None] - others.astype(np.float64)[None]) ** 2
    lanes = squares[:, :, :64]
    for start in range(64, width, 64):
        lanes = lanes + squares[:, :, start : start + 64]
    while lanes.shape[2] > 1:
        half = lanes.shape[2] // 2
        lanes = lanes[:, :, :half] + lanes[:, :, half:]
    result: Float64s = lanes[:, :, 0]
    return result


# --- Golden numbers ---


@cache
def golden() -> dict[str, Any]:
    if not GOLDEN.exists():
        pytest.skip(f"{GOLDEN} is missing")
    content: dict[str, Any] = json.loads(GOLDEN.read_text(encoding="utf-8"))
    return content


@cache
def golden_input(name: str) -> Floats:
    if name == "tiny":
        return np.array(golden()["inputs"]["tiny"]["rows"])
    if name == "digits":
        digits: Floats = pytest.importorskip("sklearn.datasets").load_digits().data
        return digits
    assert name == "lcg2000"
    values, state = np.empty(2_000 * 24), 12345
    for place in range(len(values)):
        state = (state * 6364136223846793005 + 1442695040888963407) % 2**64
        values[place] = (state >> 11) / 2.0**53
    vectors, rows = values.reshape(2_000, 24), np.arange(2_000)
    vectors[rows, rows % 8] += 1.5
    vectors[rows, (5 * (rows % 8) + 3) % 24] += 0.75
    assert vectors[0, 0].astype(np.float32) == np.float32(golden()["inputs"]["lcg2000"]["row_0"][0])
    return vectors.astype(np.float32)


def replayed_radius(vectors: Floats, labeled: list[int], picks: list[int]) -> float:
    """Replay picks in float64: each is within 1e-5 of the best there was; the radius in the end."""
    x = vectors.astype(np.float64)
    squared = np.full(len(x), np.inf)
    is_left = np.ones(len(x), dtype=bool)
    for center in labeled:
        squared = np.minimum(squared, ((x - x[center]) ** 2).sum(axis=1))
        is_left[center] = False
    for place, row in enumerate(picks):
        here = ((x - x.mean(axis=0)) ** 2).sum(axis=1) if place == 0 and not labeled else squared
        best = np.sqrt(here[is_left].max())
        assert is_left[row]
        assert best - np.sqrt(here[row]) <= 1e-5 * best
        is_left[row] = False
        squared = np.minimum(squared, ((x - x[row]) ** 2).sum(axis=1))
    return float(np.sqrt(squared.max()))


@every_path
@pytest.mark.parametrize(
    "name",
    [
        *("digits_farthest", "digits_index0", "lcg2000_farthest", "lcg2000_index0", "lcg2000_preselected20"),
        *("tiny_farthest_all", "tiny_index0_all", "tiny_preselected4_all"),
    ],
)
def test_golden_runs(name: str, path: Way, tmp_path: Path) -> None:
    golden_run = next(run for run in golden()["runs"] if run["name"] == name)
    vectors, labeled, expected = golden_input(golden_run["input"]), golden_run["preselected"], golden_run["picks"]
    distances, n_before = golden_run["pick_distance"], 0
    if golden_run["first"] == "index_0":  # the same as having row 0 labeled
        labeled, expected, distances, n_before = [0], expected[1:], distances[1:], 1
    picks, gains, _ = answer_of(Problem(vectors, labeled, len(expected)).select(path, tmp_path))
    n_clear = golden_run["first_flagged_step"] - n_before
    assert picks[:n_clear] == expected[:n_clear]
    assert replayed_radius(vectors, labeled, picks) == pytest.approx(golden_run["radius"][-1], rel=1e-4)
    assert picks == expected  # more than the replay asks for: ties go to the lower row here too
    np.testing.assert_allclose(gains, distances, rtol=1e-9, atol=0)


# --- Small problems ---


@cache
def small_problem(seed: int, metric: str) -> Problem:
    rng = np.random.default_rng([seed, metric == "cosine"])
    n, d = int(rng.integers(2, 45)), int(rng.choice([1, 2, 3, 7, 40, 64, 65, 70, 130]))
    vectors = rng.normal(size=(n, d)) if seed % 3 else rng.integers(0, 3, size=(n, d)).astype(np.float64)
    if seed % 5 == 0:
        vectors += 10_000
    if seed % 7 == 0:
        vectors = vectors[rng.integers(0, max(1, n // 4), size=n)]
    if seed % 11 == 0:
        vectors[rng.integers(n)] *= 1e4 if seed % 4 == 2 else 1e9
    with np.errstate(over="ignore"):
        vectors = vectors.astype([np.float32, np.float64, np.float16, np.float32][seed % 4])
    vectors = np.nan_to_num(vectors, posinf=60_000, neginf=-60_000)
    if metric == "cosine":
        vectors[~vectors.any(axis=1)] = 1
    n_labeled = int(rng.integers(0, n)) if seed % 4 else 0
    labeled = np.sort(rng.permutation(n)[:n_labeled]).tolist()
    scores = None
    if seed % 2:
        scores = rng.integers(0, 4, size=n) / 4 if seed % 3 else rng.random(n)
        scores[labeled] = np.nan
    n_samples = int(rng.integers(1, n - n_labeled + 1))
    return Problem(vectors, labeled, n_samples, scores, metric, [0.0, 0.3, 1.0][seed % 18 // 6] if seed % 6 == 5 else None)


@cache
def small_answer(seed: int, metric: str) -> Answer:
    problem = small_problem(seed, metric)
    vectors = unit_rows(problem.vectors) if metric == "cosine" else problem.vectors
    between = all_squared(vectors, vectors)
    from_mean = all_squared(vectors, origin_of(vectors, metric)[None])[:, 0]
    return greedy(problem, lambda row: from_mean if row is None else between[:, row])


@every_path
@pytest.mark.parametrize(("metric", "n_problems"), [("euclidean", 700), ("cosine", 300)])
def test_a_thousand_small_problems(metric: str, n_problems: int, path: Way, tmp_path: Path) -> None:
    for seed in range(n_problems):
        found = answer_of(small_problem(seed, metric).select(path, tmp_path))
        assert found == small_answer(seed, metric), f"problem {seed}"


def test_the_small_problems_reach_what_they_are_there_for() -> None:
    problems = [small_problem(seed, "euclidean") for seed in range(700)]
    answers = [small_answer(seed, "euclidean") for seed in range(700)]
    assert sum(len(answer[0]) < problem.n_samples for problem, answer in zip(problems, answers)) > 10  # min_distance
    assert sum(0.0 in answer[1] for answer in answers) > 50  # what is left is worth nothing
    assert sum(not problem.labeled for problem in problems) > 100
    assert sum(len(set(answer[1])) < len(answer[1]) for answer in answers) > 50  # ties


@every_path
@pytest.mark.parametrize("dtype", [">f4", ">f8", "longdouble"])
def test_unusual_float_types(dtype: str, path: Way, tmp_path: Path) -> None:
    vectors = np.random.default_rng(1).normal(size=(90, 12)).astype(dtype)
    found = answer_of(Problem(vectors, [5], 60).select(path, tmp_path))
    assert found == answer_of(Problem(vectors.astype(np.float64), [5], 60).select(PATHS["numpy"], tmp_path))


@every_path
def test_coordinates_smaller_than_the_least_single_beside_others(path: Way, tmp_path: Path) -> None:
    vectors = np.zeros((30, 3))
    vectors[:5] = np.random.default_rng(2).normal(size=(5, 3))
    vectors[7], vectors[9] = [1e-44, 0, 0], [0, 2e-44, 1e-44]
    problem = Problem(vectors, [0], 29)
    between = all_squared(vectors, vectors)
    assert answer_of(problem.select(path, tmp_path)) == greedy(problem, lambda row: between[:, row or 0])


@every_path
@pytest.mark.parametrize("seed", range(3))
def test_rows_a_little_beside_the_axes_of_the_screen(seed: int, path: Way, tmp_path: Path) -> None:
    """Most rows lie in a space of 31 axes; labeled ones at right angles to it; candidates lean to one of them a little."""
    rng = np.random.default_rng(seed)
    vectors = np.zeros((2456, 64), dtype=np.float32)
    vectors[:1024, :31] = rng.normal(size=(1024, 31)) * 0.01
    vectors[1024:2048] = -vectors[:1024]
    inside, beside = rng.normal(size=(400, 31)), rng.normal(size=(8, 33))
    beside /= np.linalg.norm(beside, axis=1, keepdims=True)
    vectors[2048:2448, :31] = inside / np.linalg.norm(inside, axis=1, keepdims=True)
    vectors[2048:2448, 31:] = np.repeat(beside, 50, axis=0) * 2e-4
    vectors[2448:, 31:] = beside
    problem = Problem(vectors, list(range(2448, 2456)), 40)
    assert answer_of(problem.select(path, tmp_path)) == greedy(problem, to_all(vectors))


# --- Larger problems, which reach every switch inside ---


def to_all(vectors: Floats, metric: str = "euclidean") -> Callable[[int | None], Float64s]:
    """Squared distances of all rows to one, computed when asked for."""
    everything = np.arange(len(vectors))
    origin = origin_of(vectors, metric)
    return lambda row: squared_distances(vectors, everything, origin if row is None else vectors[row])


def clustered(rng: np.random.Generator, n: int, d: int) -> Float64s:
    return rng.normal(size=(50, d))[rng.integers(0, 50, size=n)] * 3 + rng.normal(size=(n, d)) * 0.3


def many_epochs() -> Problem:
    return Problem(np.random.default_rng(0).normal(size=(20_000, 3)).astype(np.float32), [], 1_000)


def many_labeled() -> Problem:
    rng = np.random.default_rng(1)
    return Problem(clustered(rng, 8_000, 40).astype(np.float32), np.sort(rng.permutation(8_000)[:700]).tolist(), 600)


def wide_with_an_offset() -> Problem:
    rng = np.random.default_rng(2)
    vectors = (clustered(rng, 6_000, 130) + 10_000).astype(np.float32)
    return Problem(vectors, np.sort(rng.permutation(6_000)[:300]).tolist(), 500)


def few_distinct_rows_and_scores_of_0() -> Problem:
    rng = np.random.default_rng(3)
    vectors = rng.normal(size=(500, 40))[rng.integers(0, 500, size=6_000)]
    scores = np.where(rng.random(6_000) < 0.5, 0.0, rng.random(6_000))
    return Problem(vectors, list(range(0, 900, 3)), 1_500, scores)


def grid_with_labeled_duplicates() -> Problem:
    rng = np.random.default_rng(4)
    vectors = rng.integers(0, 11, size=(6_000, 3)).astype(np.float32)
    vectors[:600] = vectors[rng.integers(0, 20, size=600)]
    return Problem(vectors, list(range(600)), 1_600)


def directions_of_halves() -> Problem:
    rng = np.random.default_rng(5)
    vectors = (clustered(rng, 6_000, 40) + 0.5).astype(np.float16)
    return Problem(vectors, list(range(130)), 500, rng.random(6_000), "cosine")


def until_all_is_near() -> Problem:
    rng = np.random.default_rng(6)
    return Problem(clustered(rng, 6_000, 3).astype(np.float32), [7], 2_000, None, "euclidean", 0.4)


def one_huge_outlier() -> Problem:
    vectors = np.random.default_rng(7).normal(size=(6_000, 40))
    vectors[4_000] += 1e12
    return Problem(vectors, list(range(0, 5_000, 20)), 500)


LARGE = [
    *(many_epochs, many_labeled, wide_with_an_offset, few_distinct_rows_and_scores_of_0, grid_with_labeled_duplicates),
    *(directions_of_halves, until_all_is_near, one_huge_outlier),
]


@cache
def large_answer(build: Callable[[], Problem]) -> Answer:
    problem = build()
    vectors = unit_rows(problem.vectors) if problem.metric == "cosine" else problem.vectors
    return greedy(problem, to_all(vectors, problem.metric))


@every_path
@pytest.mark.parametrize("build", LARGE)
def test_large_problems(build: Callable[[], Problem], path: Way, tmp_path: Path) -> None:
    assert answer_of(build().select(path, tmp_path)) == large_answer(build)


def test_the_large_problems_reach_what_they_are_there_for() -> None:
    assert len(large_answer(until_all_is_near)[0]) < 2_000
    assert large_answer(few_distinct_rows_and_scores_of_0)[1].count(0.0) > 500
    assert large_answer(grid_with_labeled_duplicates)[1][-1] == 0.0
    assert len(set(large_answer(grid_with_labeled_duplicates)[1])) < 60
    assert len(many_labeled().labeled) > max(walk._MANY, plain._CENTERS_PER_BLOCK)


# --- What may not change a pick ---


@cache
def medium(dtype: str) -> tuple[Task, Answer]:
    """Ties, twins, weights of 0, many labeled, and its answer."""
    rng = np.random.default_rng(8)
    vectors = clustered(rng, 2_500, 40).astype(dtype)
    vectors[:400] = np.rint(vectors[:400])
    vectors[1_000:1_400] = vectors[1_400:1_800]
    scores = rng.integers(0, 5, size=2_500) / 4
    problem = Problem(vectors, list(range(150, 2_450, 15)), 500, scores)
    answer = greedy(problem, to_all(vectors))
    is_open = np.ones(2_500, dtype=bool)
    is_open[problem.labeled] = False
    weights = np.where(is_open, scores, 0.0)
    return Task(vectors, is_open, weights, Goal(), np.array(problem.labeled), 500, False), answer


def assert_answered(engine: LocalEngine, dtype: str, *, on_disk: bool = False) -> None:
    task, answer = medium(dtype)
    assert task.weights is not None
    walked = run(task._replace(is_on_disk=on_disk), engine, lambda n: None)
    gains = task.weights[walked.rows] * np.sqrt(walked.squared)
    assert (walked.rows.tolist(), gains.tolist(), walked.nearest.tolist()) == answer


both_types = pytest.mark.parametrize("dtype", ["f4", "f8"])
both_places = pytest.mark.parametrize("on_disk", [False, True])


@both_places
@both_types
@pytest.mark.parametrize("n_threads", [1, 2, 3, 7])
def test_threads_change_no_pick(n_threads: int, dtype: str, on_disk: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    compiled = pytest.importorskip("numba") and pytest.importorskip("samplers.centers.compiled")
    monkeypatch.setattr(compiled, "_ROWS_PER_JOB", 50)  # so that there is a job for each
    assert_answered(LocalEngine("numba", n_threads=n_threads), dtype, on_disk=on_disk)


@both_types
@pytest.mark.parametrize("kernels", ["numpy", "numba", "torch"])
@pytest.mark.parametrize("n_blas_threads", [1, 2])
def test_threads_of_matrix_products_change_no_pick(n_blas_threads: int, kernels: str, dtype: str) -> None:
    threadpoolctl = pytest.importorskip("threadpoolctl")
    with threadpoolctl.threadpool_limits(n_blas_threads):
        assert_answered(Way(kernels, 2, False).engine(), dtype)


class Stubborn(Steering):
    """Looks at as many rows and makes as many picks as it was told, whatever that costs."""

    def __init__(self, target: int, most_picks: int) -> None:
        super().__init__(2_500, 40)
        self.target = target
        self._most_picks = most_picks

    def n_picks(self, n_candidates: int) -> int:
        return self._most_picks

    def learn(self, refresh_s: float, inner_s: float, n_candidates: int, n_picks: int, is_capped: bool) -> None:
        self.n_epochs += 1


@both_types
@pytest.mark.parametrize(("target", "most_picks"), [(1, 500), (256, 500), (256, 3), (2_500, 500), (10**9, 1), (2_500, 7)])
@pytest.mark.parametrize("kernels", ["numpy", "numba", "torch"])
def test_steering_changes_no_pick(kernels: str, target: int, most_picks: int, dtype: str) -> None:
    task, answer = medium(dtype)
    steering = Stubborn(target, most_picks)
    with Way(kernels, 2, False).engine().open(task, frame_of(task.vectors)) as (crew, inner):
        walked = Walk(
            crew, 500, start=task.start, goal=task.goal, inner=inner, steering=steering, on_pick=lambda n: None
        ).run(None)
    assert (walked.rows.tolist(), walked.nearest.tolist()) == (answer[0], answer[2])
    assert steering.n_epochs >= (20 if target == 1 else 1)


@both_places
@both_types
@pytest.mark.parametrize(
    "constants",
    [
        {"_ROWS_PER_JOB": 6},
        {"_ROWS_PER_JOB": 37},
        {"_CENTERS_PER_BLOCK": 1},
        {"_CENTERS_PER_BLOCK": 13},
        {"_N_SAMPLED": 20, "_MANY": 0},
        {"_MANY": 10**9, "_WIDE": 1},
        {"_ROWS_PER_JOB": 10**6, "_CENTERS_PER_BLOCK": 1000},
    ],
)
@pytest.mark.parametrize("kernels", ["numpy", "numba"])
def test_sizes_of_blocks_and_jobs_change_no_pick(
    kernels: str, constants: dict[str, int], dtype: str, on_disk: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = Way(kernels, 2, False).engine()
    modules = [plain, walk]
    if kernels == "numba":
        modules.append(pytest.importorskip("samplers.centers.compiled"))
    for name, value in constants.items():
        for module in modules:
            if hasattr(module, name):
                monkeypatch.setattr(module, name, value)
    assert_answered(engine, dtype, on_disk=on_disk)


@pytest.mark.parametrize("choice", ["low", "full", "in turns"])
def test_both_screens_of_the_compiled_kernels_give_the_same_picks(choice: str, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("numba")
    compiled = pytest.importorskip("samplers.centers.compiled")
    turns: list[bool] = []

    def chosen(self: object, is_wide: bool) -> bool:
        turns.append(choice == "full" or (choice == "in turns" and len(turns) % 2 == 0))
        return turns[-1]

    monkeypatch.setattr(compiled, "_ROWS_PER_JOB", 50)
    monkeypatch.setattr(compiled.CompiledShard, "_uses_full", chosen)
    assert_answered(LocalEngine("numba", n_threads=1), "f4")
    assert len(turns) > 10


@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_a_frame_that_is_far_off_changes_no_pick(dtype: str, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("numba")
    task, answer = medium(dtype)
    frame = frame_of(task.vectors, n_axes=3)._replace(middle=np.full(40, 50.0))
    with LocalEngine("numba", n_threads=1).open(task, frame) as (crew, inner):
        walked = Walk(
            crew, 500, start=task.start, goal=task.goal, inner=inner, steering=Steering(2_500, 40), on_pick=lambda n: None
        ).run(None)
    assert (walked.rows.tolist(), walked.nearest.tolist()) == (answer[0], answer[2])
