"""CORESET picks what the naive definition of greedy k-center picks, to the last tie."""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Callable
from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from samplers import Pool, SamplerCoreset, Selection
from samplers.distances import mean_of, squared_distances

Floats = npt.NDArray[np.floating[Any]]
Float64s = npt.NDArray[np.float64]

SHARED = Path(__file__).resolve().parents[3] / "shared"
GOLDEN = SHARED / "golden" / "kcenter.json"

many = settings(max_examples=100, deadline=None, derandomize=True, database=None)


def pool_of(vectors: npt.ArrayLike, labeled: list[int]) -> Pool:
    """Items named by their rows: '0', '1', ..."""
    rows = np.asarray(vectors)
    is_labeled = np.zeros(len(rows), dtype=bool)
    is_labeled[labeled] = True
    return Pool(tuple(map(str, range(len(rows)))), is_labeled, vectors=rows)


def rows_of(selection: Selection) -> list[int]:
    return [int(item_id) for item_id in selection.item_ids]


def canonical_greedy(vectors: Floats, labeled: list[int], n_samples: int) -> tuple[list[int], list[float]]:
    """The naive loop over the canonical distance: the definition that has to be met exactly."""
    rows = np.arange(len(vectors))
    squared = np.full(len(vectors), np.inf)
    for center in labeled:
        squared = np.minimum(squared, squared_distances(vectors, rows, np.full(len(rows), center)))
    if not labeled:
        mean = mean_of(vectors)
        squared = squared_distances(vectors, rows, mean)
    is_candidate = ~np.isin(rows, labeled)
    picks: list[int] = []
    gains: list[float] = []
    for _ in range(n_samples):
        distance = np.where(is_candidate, np.sqrt(squared), -np.inf)
        row = int(distance.argmax())
        found = squared_distances(vectors, rows, np.full(len(rows), row))
        squared = found if not picks and not labeled else np.minimum(squared, found)
        picks.append(row)
        gains.append(float(distance[row]))
        is_candidate[row] = False
    return picks, gains


def assert_greedy(
    vectors: Floats, labeled: list[int], picks: list[int], gains: Float64s, *, relative: float = 1e-12
) -> None:
    """Replay picks in plain float64 numpy, which shares no code with the library: each is a farthest candidate."""
    x = vectors.astype(np.float64)
    is_candidate = np.ones(len(x), dtype=bool)
    is_candidate[labeled] = False
    distance = np.full(len(x), np.inf)
    for center in labeled:
        distance = np.minimum(distance, np.sqrt(((x - x[center]) ** 2).sum(axis=1)))
    for position, row in enumerate(picks):
        is_first = position == 0 and not labeled
        here = np.sqrt(((x - x.mean(axis=0)) ** 2).sum(axis=1)) if is_first else distance
        best = here[is_candidate].max()
        assert is_candidate[row]
        slack = relative * max(best, float(np.abs(x).max()) * (1e-2 if is_first else 0.0))  # the mean itself is rounded
        assert best - here[row] <= slack
        assert abs(gains[position] - here[row]) <= slack
        is_candidate[row] = False
        distance = np.minimum(distance, np.sqrt(((x - x[row]) ** 2).sum(axis=1)))


def integer_greedy(grid: list[list[int]], labeled: list[int], n_samples: int) -> list[int]:
    """Greedy k-center of whole numbers in exact arithmetic, ties to the lower row."""
    n, d = len(grid), len(grid[0])

    def between(left: int, right: int) -> Fraction:
        return Fraction(sum((a - b) ** 2 for a, b in zip(grid[left], grid[right])))

    mean = [Fraction(sum(row[j] for row in grid), n) for j in range(d)]
    nearest = {
        row: min((between(row, center) for center in labeled), default=None) for row in range(n) if row not in labeled
    }
    picks: list[int] = []
    while len(picks) < n_samples:
        if not picks and not labeled:
            row = max(nearest, key=lambda row: (sum((x - m) ** 2 for x, m in zip(grid[row], mean)), -row))
        else:
            row = max(nearest, key=lambda row: (nearest[row], -row))
        picks.append(row)
        del nearest[row]
        for other, known in nearest.items():
            found = between(other, row)
            nearest[other] = found if known is None else min(known, found)
    return picks


def assert_named_is_nearest(vectors: Floats, labeled: list[int], selection: Selection) -> None:
    """Each reason names the nearest center, the one added first of several, and says whether it was labeled or picked."""
    centers = list(labeled)
    for row, reason, gain in zip(rows_of(selection), selection.reasons, selection.gains.tolist()):
        if centers:
            found = squared_distances(vectors, np.full(len(centers), row), np.array(centers))
            nearest = int(found.argmin())
            kind = "labeled" if nearest < len(labeled) else "picked"
            assert reason == f"{gain:.3g} from the nearest {kind} item, '{centers[nearest]}'"
        else:
            assert reason == f"{gain:.3g} from the pool's mean, nothing being labeled yet"
        centers.append(row)


# --- Golden numbers ---


@cache
def golden() -> dict[str, Any]:
    if not GOLDEN.exists():
        pytest.skip(f"{GOLDEN} is missing")
    content: dict[str, Any] = json.loads(GOLDEN.read_text(encoding="utf-8"))
    return content


def lcg2000() -> Floats:
    values = np.empty(2_000 * 24)
    state = 12345
    for place in range(len(values)):
        state = (state * 6364136223846793005 + 1442695040888963407) % 2**64
        values[place] = (state >> 11) / 2.0**53
    vectors = values.reshape(2_000, 24)
    for row in range(2_000):
        column = row % 8
        vectors[row, column] += 1.5
        vectors[row, (5 * column + 3) % 24] += 0.75
    return vectors.astype(np.float32)


def digits() -> Floats:
    datasets = pytest.importorskip("sklearn.datasets")
    vectors: Floats = datasets.load_digits().data
    return vectors


GOLDEN_INPUTS: dict[str, Callable[[], Floats]] = {
    "digits": digits,
    "lcg2000": lcg2000,
    "tiny": lambda: np.array(golden()["inputs"]["tiny"]["rows"]),
}
GOLDEN_RUNS = [
    *("digits_farthest", "digits_index0"),
    *("lcg2000_farthest", "lcg2000_index0", "lcg2000_preselected20"),
    *("tiny_farthest_all", "tiny_index0_all", "tiny_preselected4_all"),
]


@cache
def golden_input(name: str) -> Floats:
    vectors = GOLDEN_INPUTS[name]()
    expected = golden()["inputs"][name].get("sha256_c_order_bytes")
    if expected is not None:
        assert hashlib.sha256(np.ascontiguousarray(vectors).tobytes()).hexdigest() == expected
    return vectors


def test_every_golden_run_is_tested() -> None:
    assert [run["name"] for run in golden()["runs"]] == GOLDEN_RUNS


@pytest.mark.parametrize("name", GOLDEN_RUNS)
def test_golden_picks_distances_and_radius(name: str) -> None:
    run = next(run for run in golden()["runs"] if run["name"] == name)
    vectors = golden_input(run["input"])
    labeled, picks, distances, radii = run["preselected"], run["picks"], run["pick_distance"], run["radius"]
    if run["first"] == "index_0":  # a rule that is not ours: the same as having row 0 labeled
        assert picks[0] == 0
        labeled, picks, distances, radii = [0], picks[1:], distances[1:], radii[1:]

    selection = SamplerCoreset().select(pool_of(vectors, labeled), len(picks))

    assert rows_of(selection) == picks
    np.testing.assert_allclose(selection.gains, distances, rtol=1e-9, atol=0)
    x = vectors.astype(np.float64)
    covered = np.full(len(x), np.inf)
    for center in labeled:
        covered = np.minimum(covered, ((x - x[center]) ** 2).sum(axis=1))
    found = []
    for row in rows_of(selection):
        covered = np.minimum(covered, ((x - x[row]) ** 2).sum(axis=1))
        found.append(math.sqrt(covered.max()))
    np.testing.assert_allclose(found, radii, rtol=1e-9, atol=0)
    assert_greedy(vectors, labeled, rows_of(selection), selection.gains)


# --- Against slow references, on data of all kinds ---

Kind = Callable[[np.random.Generator, int, int], Float64s]


def _clustered(rng: np.random.Generator, n: int, d: int) -> Float64s:
    return rng.normal(size=(8, d))[rng.integers(0, 8, size=n)] * 10 + rng.normal(size=(n, d)) * 0.01


def _outlier(rng: np.random.Generator, n: int, d: int) -> Float64s:
    vectors = rng.normal(size=(n, d))
    vectors[n // 3] += 1e12
    return vectors


KINDS: dict[str, Kind] = {
    "random": lambda rng, n, d: rng.normal(size=(n, d)),
    "clustered": _clustered,
    "grid with ties": lambda rng, n, d: rng.integers(-2, 3, size=(n, d)).astype(np.float64),
    "duplicates": lambda rng, n, d: rng.normal(size=(9, d))[rng.integers(0, 9, size=n)],
    "offset 1e4": lambda rng, n, d: rng.normal(size=(n, d)) + 1e4,
    "offset 1e6": lambda rng, n, d: rng.normal(size=(n, d)) + 1e6,
    "nearly equal": lambda rng, n, d: 1.0 + rng.normal(size=(n, d)) * 1e-7,
    "tiny": lambda rng, n, d: rng.normal(size=(n, d)) * 1e-30,
    "huge": lambda rng, n, d: rng.normal(size=(n, d)) * 1e30,
    "one outlier": _outlier,
    "all equal": lambda rng, n, d: np.full((n, d), 0.1),
    "one-hot": lambda rng, n, d: np.eye(d)[rng.integers(0, d, size=n)],
}


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("n_dimensions", [1, 3, 513])
@pytest.mark.parametrize("kind", KINDS)
def test_picks_are_those_of_the_naive_loop_on_all_kinds_of_data(kind: str, n_dimensions: int, dtype: npt.DTypeLike) -> None:
    rng = np.random.default_rng(1)
    n = 90
    vectors = KINDS[kind](rng, n, n_dimensions).astype(dtype)
    for n_labeled in (0, 1, 25):
        labeled = sorted(rng.choice(n, size=n_labeled, replace=False).tolist())
        n_samples = n - n_labeled  # the whole pool, down to the last duplicate
        selection = SamplerCoreset().select(pool_of(vectors, labeled), n_samples)
        assert (rows_of(selection), selection.gains.tolist()) == canonical_greedy(vectors, labeled, n_samples)
        assert_greedy(vectors, labeled, rows_of(selection), selection.gains)
        assert_named_is_nearest(vectors, labeled, selection)


@pytest.mark.parametrize("dtype", [np.float16, np.longdouble, ">f4"])
def test_every_float_type_is_compared_in_float64(dtype: npt.DTypeLike) -> None:
    vectors = (np.random.default_rng(2).normal(size=(90, 12)) * 1e4).astype(dtype)
    selection = SamplerCoreset().select(pool_of(vectors, [5]), 89)
    as_doubles = SamplerCoreset().select(pool_of(vectors.astype(np.float64), [5]), 89)
    assert selection.item_ids == as_doubles.item_ids
    assert selection.gains.tolist() == as_doubles.gains.tolist()
    assert_greedy(vectors, [5], rows_of(selection), selection.gains)


@pytest.mark.parametrize("kind", ["random", "grid with ties", "offset 1e6", "one outlier"])
def test_pools_beyond_every_block_size_give_the_naive_picks(kind: str) -> None:
    n_labeled = 256 + 60
    n = 2 * ((1 << 20) // 256) + 11
    assert n * 16 > (1 << 17)
    rng = np.random.default_rng(3)
    vectors = KINDS[kind](rng, n, 16).astype(np.float32)
    vectors[n // 2] = vectors[n // 4]  # twins, met in different chunks
    labeled = sorted(rng.choice(n, size=n_labeled, replace=False).tolist())
    selection = SamplerCoreset().select(pool_of(vectors, labeled), 25)
    assert (rows_of(selection), selection.gains.tolist()) == canonical_greedy(vectors, labeled, 25)
    assert_named_is_nearest(vectors, labeled, selection)
    assert_greedy(vectors, labeled, rows_of(selection), selection.gains)


def test_a_pool_of_more_rows_than_one_block_of_pairs() -> None:
    n = (1 << 20) + 9
    vectors = np.random.default_rng(4).normal(size=(n, 1)).astype(np.float32)
    vectors[-1], vectors[-2] = 40, -30  # the picks lie in the last chunk
    selection = SamplerCoreset().select(pool_of(vectors, [0]), 3)
    assert (rows_of(selection), selection.gains.tolist()) == canonical_greedy(vectors, [0], 3)
    assert rows_of(selection)[:2] == [n - 1, n - 2]


@many
@given(
    grid=st.integers(1, 3).flatmap(
        lambda d: st.lists(st.lists(st.integers(-3, 3), min_size=d, max_size=d), min_size=2, max_size=14)
    ),
    data=st.data(),
)
def test_exact_ties_go_to_the_lower_row_as_in_whole_numbers(grid: list[list[int]], data: st.DataObject) -> None:
    n = len(grid)
    labeled = data.draw(st.lists(st.integers(0, n - 1), min_size=1, max_size=n - 1, unique=True).map(sorted))
    dtype = data.draw(st.sampled_from([np.float16, np.float32, np.float64]))
    offset = data.draw(st.sampled_from([0, 1_000]))  # whole numbers stay whole in float16
    selection = SamplerCoreset().select(pool_of(np.array(grid, dtype=dtype) + dtype(offset), labeled), n - len(labeled))
    assert rows_of(selection) == integer_greedy(grid, labeled, n - len(labeled))


@pytest.mark.parametrize(
    ("grid", "expected"),
    [
        ([[5]], [0]),
        ([[0], [1], [5], [6]], [0, 3, 1, 2]),
        ([[1, 1], [-1, 1], [1, -1], [-1, -1]], [0, 3, 1, 2]),
        ([[0, 0], [0, 0], [2, 0], [2, 0]], [0, 2, 1, 3]),
        ([[1], [0], [4], [3]], [1, 2, 0, 3]),
    ],
)
def test_with_nothing_labeled_the_first_pick_is_farthest_from_the_mean(grid: list[list[int]], expected: list[int]) -> None:
    selection = SamplerCoreset().select(pool_of(np.array(grid, dtype=np.float64), []), len(grid))
    assert rows_of(selection) == expected == integer_greedy(grid, [], len(grid))
    assert selection.reasons[0].endswith("from the pool's mean, nothing being labeled yet")


def test_labeled_duplicates_and_duplicates_of_labeled_items_come_last_in_platform_order() -> None:
    vectors = np.array([[1.0], [7.0], [1.0], [7.0], [4.0], [1.0], [4.0]])
    selection = SamplerCoreset().select(pool_of(vectors, [2, 5]), 5)
    assert rows_of(selection) == [1, 4, 0, 3, 6]
    assert selection.gains.tolist() == [6.0, 3.0, 0.0, 0.0, 0.0]
    assert selection.reasons == (
        "6 from the nearest labeled item, '2'",
        "3 from the nearest labeled item, '2'",
        "0 from the nearest labeled item, '2'",
        "0 from the nearest picked item, '1'",
        "0 from the nearest picked item, '4'",
    )


def test_equal_items_follow_in_platform_order() -> None:
    selection = SamplerCoreset().select(pool_of(np.full((6, 3), 0.1), [2]), 5)
    assert rows_of(selection) == [0, 1, 3, 4, 5]
    assert selection.gains.tolist() == [0.0] * 5


def test_the_only_item_is_picked_and_its_distance_from_the_mean_is_0() -> None:
    selection = SamplerCoreset().select(pool_of([[3.0, 4.0]], []), 1)
    assert (selection.item_ids, selection.gains.tolist()) == (("0",), [0.0])
    assert selection.reasons == ("0 from the pool's mean, nothing being labeled yet",)


@many
@given(
    seed=st.integers(0, 10**6),
    n=st.integers(2, 40),
    d=st.integers(1, 5),
    share=st.floats(0, 0.9),
    exponent=st.integers(-60, 60),
)
def test_after_the_first_gains_never_rise_and_scale_with_the_vectors(
    seed: int, n: int, d: int, share: float, exponent: int
) -> None:
    rng = np.random.default_rng(seed)
    vectors = rng.normal(size=(n, d))
    labeled = np.flatnonzero(rng.random(n) < share)[: n - 1].tolist()
    selection = SamplerCoreset().select(pool_of(vectors, labeled), n - len(labeled))
    steps = np.diff(selection.gains if labeled else selection.gains[1:])
    assert (steps <= 0).all()
    scaled = SamplerCoreset().select(pool_of(vectors * 2.0**exponent, labeled), n - len(labeled))
    assert scaled.item_ids == selection.item_ids
    assert scaled.gains.tolist() == (selection.gains * 2.0**exponent).tolist()


# --- min_distance ---


@pytest.mark.parametrize(
    ("min_distance", "expected", "gains", "is_short"),
    [
        (0, [4, 1, 2, 3, 5], [8.0, 4.0, 1.0, 1.0, 0.0], False),
        (0.5, [4, 1, 2, 3], [8.0, 4.0, 1.0, 1.0], True),
        (1, [4, 1, 2, 3], [8.0, 4.0, 1.0, 1.0], True),  # equal is kept
        (math.nextafter(1, 2), [4, 1], [8.0, 4.0], True),
        (4, [4, 1], [8.0, 4.0], True),
        (8, [4], [8.0], True),
        (8.5, [], [], True),
    ],
)
def test_min_distance_stops_when_the_farthest_is_nearer(
    min_distance: float, expected: list[int], gains: list[float], is_short: bool
) -> None:
    vectors = np.array([[0.0], [4.0], [3.0], [7.0], [8.0], [8.0]])
    selection = SamplerCoreset(min_distance=min_distance).select(pool_of(vectors, [0]), 5)
    assert rows_of(selection) == expected
    assert selection.gains.tolist() == gains
    assert len(selection.reasons) == len(selection) == len(expected)
    if not is_short:
        assert selection.note == ""
    else:
        assert selection.note == (
            f"stopped after {len(expected)} of 5: everything left is nearer than min_distance {min_distance:.3g} to a "
            "labeled or picked item"
        )


def test_the_first_pick_with_nothing_labeled_is_never_too_near() -> None:
    selection = SamplerCoreset(min_distance=100).select(pool_of([[0.0], [1.0], [3.0]], []), 3)
    assert rows_of(selection) == [2]
    assert selection.note.startswith("stopped after 1 of 3: everything left is nearer than min_distance 100")


def test_a_batch_that_is_full_before_the_stop_has_no_note() -> None:
    selection = SamplerCoreset(min_distance=4).select(pool_of([[0.0], [4.0], [4.5]], [0]), 1)
    assert (rows_of(selection), selection.note) == ([2], "")


@many
@given(
    seed=st.integers(0, 10**6),
    n=st.integers(3, 40),
    place=st.integers(0, 38),
    metric=st.sampled_from(["euclidean", "cosine"]),
)
def test_min_distance_keeps_a_prefix_whose_gains_reach_it(seed: int, n: int, place: int, metric: str) -> None:
    pool = pool_of(np.random.default_rng(seed).normal(size=(n, 3)), [0])
    whole = SamplerCoreset(metric=metric).select(pool, n - 1)
    limit = float(whole.gains[min(place, n - 2)])
    short = SamplerCoreset(metric=metric, min_distance=limit).select(pool, n - 1)
    assert len(short) == int((whole.gains >= limit).sum()) > 0
    assert short.item_ids == whole.item_ids[: len(short)]
    assert (short.note == "") == (len(short) == n - 1)


# --- cosine ---


def test_cosine_distances_by_hand() -> None:
    vectors = np.array([[2.0, 0.0], [0.0, 0.5], [-3.0, 0.0], [1.0, 1.0]])
    selection = SamplerCoreset(metric="cosine").select(pool_of(vectors, [0]), 3)
    assert rows_of(selection) == [2, 1, 3]
    np.testing.assert_allclose(selection.gains, [2.0, 1.0, 1 - math.sqrt(0.5)], rtol=1e-15)
    assert selection.reasons == (
        "2 from the nearest labeled item, '0'",
        "1 from the nearest labeled item, '0'",
        "0.293 from the nearest labeled item, '0'",
    )


def test_the_first_cosine_pick_is_farthest_from_the_direction_of_the_mean() -> None:
    vectors = np.array([[2.0, 0.0], [1.0, 0.0], [0.0, 3.0]])  # unit rows have the mean (2, 1) / 3
    selection = SamplerCoreset(metric="cosine").select(pool_of(vectors, []), 3)
    assert rows_of(selection) == [2, 0, 1]
    np.testing.assert_allclose(selection.gains, [1 - 1 / math.sqrt(5), 1.0, 0.0], rtol=1e-14)
    assert selection.reasons[0] == "0.553 from the pool's mean, nothing being labeled yet"


@pytest.mark.parametrize(("min_distance", "n_picks"), [(2, 1), (2.01, 0), (1, 2), (0.2, 3)])
def test_min_distance_is_in_the_unit_of_the_metric(min_distance: float, n_picks: int) -> None:
    vectors = np.array([[2.0, 0.0], [0.0, 4.0], [-8.0, 0.0], [1.0, 1.0]])
    selection = SamplerCoreset(metric="cosine", min_distance=min_distance).select(pool_of(vectors, [0]), 3)
    assert len(selection) == n_picks


@pytest.mark.parametrize(("dtype", "absolute"), [(np.float16, 1e-6), (np.float32, 1e-6), (np.float64, 1e-14)])
def test_cosine_gains_are_one_minus_the_cosine(dtype: npt.DTypeLike, absolute: float) -> None:
    vectors = (np.random.default_rng(5).normal(size=(60, 8)) + 0.5).astype(dtype)
    x = vectors.astype(np.float64)
    lengths = np.sqrt((x**2).sum(axis=1))
    distances = 1 - (x @ x.T) / np.outer(lengths, lengths)
    selection = SamplerCoreset(metric="cosine").select(pool_of(vectors, [3, 4]), 58)
    centers = [3, 4]
    for row, gain in zip(rows_of(selection), selection.gains.tolist()):
        left = np.setdiff1d(np.arange(60), centers)
        nearest = distances[left][:, centers].min(axis=1)
        assert gain == pytest.approx(distances[row, centers].min(), abs=absolute)
        assert gain == pytest.approx(nearest.max(), abs=absolute)
        centers.append(row)


@many
@given(seed=st.integers(0, 10**6), n=st.integers(3, 30), d=st.integers(2, 6), n_labeled=st.integers(0, 3))
def test_cosine_is_k_center_on_normalised_vectors_and_blind_to_lengths(seed: int, n: int, d: int, n_labeled: int) -> None:
    rng = np.random.default_rng(seed)
    vectors = rng.normal(size=(n, d))
    labeled = list(range(min(n_labeled, n - 1)))  # two items and nothing labeled are a tie, which rounding decides
    n_samples = n - len(labeled)
    unit = vectors / np.sqrt((vectors**2).sum(axis=1))[:, None]
    selection = SamplerCoreset(metric="cosine").select(pool_of(vectors, labeled), n_samples)
    euclidean = SamplerCoreset().select(pool_of(unit, labeled), n_samples)
    assert selection.item_ids == euclidean.item_ids
    later = slice(0 if labeled else 1, None)  # the first pick is compared with the mean, which is no unit vector
    np.testing.assert_allclose(selection.gains[later], euclidean.gains[later] ** 2 / 2, rtol=1e-9, atol=1e-15)
    stretched = vectors * 2.0 ** rng.integers(-40, 40, size=(n, 1))
    again = SamplerCoreset(metric="cosine").select(pool_of(stretched, labeled), n_samples)
    assert (again.item_ids, again.gains.tolist()) == (selection.item_ids, selection.gains.tolist())


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_directions_that_are_the_same_have_cosine_distance_0(dtype: npt.DTypeLike) -> None:
    vectors = np.array([[1, 2, 3], [4, 8, 12], [-0.5, -1, -1.5], [0.25, 0.5, 0.75]], dtype=dtype)
    selection = SamplerCoreset(metric="cosine").select(pool_of(vectors, [0]), 3)
    assert rows_of(selection) == [2, 1, 3]
    np.testing.assert_allclose(selection.gains, [2, 0, 0], rtol=1e-6)


@pytest.mark.parametrize(("labeled", "zero"), [([0], 2), ([2], 2), ([], 0)])
def test_a_zero_vector_has_no_direction_and_is_named(labeled: list[int], zero: int) -> None:
    vectors = np.random.default_rng(6).normal(size=(4, 3))
    vectors[zero] = 0
    with pytest.raises(
        ValueError, match=re.escape(f"the embedding of '{zero}' is zero and has no direction; use metric='euclidean'")
    ):
        SamplerCoreset(metric="cosine").select(pool_of(vectors, labeled), 2)
    assert len(SamplerCoreset().select(pool_of(vectors, labeled), 2)) == 2


def test_directions_of_vectors_too_short_to_be_squared_are_right_or_refused() -> None:
    vectors = np.random.default_rng(7).normal(size=(20, 4))
    expected = SamplerCoreset(metric="cosine").select(pool_of(vectors, [0]), 19)
    for exponent in (-400, -500, -530, -540, -600, -1000):
        try:
            found = SamplerCoreset(metric="cosine").select(pool_of(vectors * 2.0**exponent, [0]), 19)
        except ValueError as error:
            assert "the embedding of '" in str(error)
        else:
            assert (exponent, found.item_ids) == (exponent, expected.item_ids)
            np.testing.assert_allclose(found.gains, expected.gains, rtol=1e-9)


# --- Options and input ---


@pytest.mark.parametrize("metric", ["l2", "Cosine", "", None])
def test_an_unknown_metric_is_refused_with_the_known_ones(metric: Any) -> None:
    with pytest.raises(ValueError, match=re.escape(f"metric is {metric!r}; expected one of euclidean, cosine")):
        SamplerCoreset(metric=metric)


@pytest.mark.parametrize("min_distance", [-1.0, -1e-300, math.nan, math.inf, -math.inf, "1"])
def test_a_min_distance_that_is_no_distance_is_refused(min_distance: Any) -> None:
    with pytest.raises(ValueError, match=r"min_distance is .*; expected a finite number of 0 or more"):
        SamplerCoreset(min_distance=min_distance)


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf, 1e101, -1e101])
@pytest.mark.parametrize("row", [0, 3, 700])
def test_a_vector_that_cannot_be_compared_is_named_labeled_or_not(bad: float, row: int) -> None:
    vectors = np.ones((800, 1_500))  # more values than one step of the check looks at
    vectors[row, 1_499] = bad
    vectors[-1, 0] = math.nan  # the first is named, not the last
    with pytest.raises(ValueError, match=f"the embedding of '{row}' holds NaN, infinity or a number beyond 1e\\+100"):
        SamplerCoreset().select(pool_of(vectors, [0, 1]), 1)


@pytest.mark.parametrize(
    ("dtype", "largest"), [(np.float16, 65504.0), (np.float32, float(np.finfo(np.float32).max)), (np.float64, 1e100)]
)
def test_the_largest_coordinates_still_have_distances(dtype: npt.DTypeLike, largest: float) -> None:
    vectors = np.array([[largest, 0], [-largest, 0], [0, largest], [0, 0]], dtype=dtype)
    selection = SamplerCoreset().select(pool_of(vectors, [0]), 3)
    assert rows_of(selection) == [1, 2, 3]
    np.testing.assert_allclose(selection.gains / largest, [2, math.sqrt(2), 1], rtol=1e-15)


@pytest.mark.parametrize("scale", [1e-155, 1e-200, 1e-310])
def test_distances_too_small_to_be_squared_give_the_naive_picks_in_silence(scale: float) -> None:
    vectors = np.random.default_rng(8).normal(size=(12, 3)) * scale
    for labeled in ([], [4, 2]):
        selection = SamplerCoreset().select(pool_of(vectors, sorted(labeled)), 10)
        assert (rows_of(selection), selection.gains.tolist()) == canonical_greedy(vectors, sorted(labeled), 10)


def test_the_offset_that_broke_others_costs_nothing() -> None:
    """mundig's covering radius rose from 7.12 to 8.09 with an offset of 10,000; facts/lightly.md 4.1."""
    vectors = np.random.default_rng(9).normal(size=(2_000, 32))
    radii = []
    for offset in (0.0, 1e4):
        moved = vectors + offset
        picks = rows_of(SamplerCoreset().select(pool_of(moved, [0]), 100))
        centers = vectors[[0, *picks]]
        squared = ((vectors[:, None, :] - centers[None, :, :]) ** 2).sum(axis=2)
        radii.append(math.sqrt(squared.min(axis=1).max()))
    assert radii[1] == pytest.approx(radii[0], rel=1e-6)
