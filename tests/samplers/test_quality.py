"""A batch is measured as a slow loop would, beside random batches measured in the same way."""

from __future__ import annotations

import copy
import json
import pickle
import re
from itertools import combinations
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from samplers import Pool, SamplerCoreset, SamplerRandom, SamplerUncertainty, Selection
from samplers.quality import Figure, Quality, _lower_to_earlier, quality_of

Floats = npt.NDArray[np.floating[Any]]
Rows = npt.NDArray[np.int64]

many = settings(max_examples=50, deadline=None, derandomize=True, database=None)


def pool_of(vectors: npt.ArrayLike | None, labeled: list[int], **more: Any) -> Pool:
    """Items named by their rows: '000', '001', ..."""
    n = len(np.asarray(next(iter(more["columns"].values())) if vectors is None else vectors))
    is_labeled = np.isin(np.arange(n), labeled)
    return Pool(
        [f"{row:03}" for row in range(n)], is_labeled, vectors=None if vectors is None else np.asarray(vectors), **more
    )


def naive_distance(left: Floats, right: Floats, metric: str) -> float:
    a, b = left.astype(np.float64), right.astype(np.float64)
    if metric == "cosine":
        return max(0.0, 1 - float(a @ b) / float(np.sqrt(a @ a) * np.sqrt(b @ b)))
    return float(np.sqrt(((a - b) ** 2).sum()))


def naive_cover(pool: Pool, rows: list[int], metric: str) -> dict[str, float]:
    assert pool.vectors is not None
    centers = [*pool.labeled.tolist(), *rows]
    nearest = [
        min(naive_distance(pool.vectors[row], pool.vectors[center], metric) for center in centers)
        for row in pool.candidates.tolist()
    ]
    return {
        "covering radius": max(nearest),
        "mean distance": sum(nearest) / len(nearest),
        "median distance": float(np.median(nearest)),
    }


def naive_nearest_before(pool: Pool, rows: list[int]) -> list[float]:
    assert pool.vectors is not None
    vectors, labeled = pool.vectors, pool.labeled.tolist()
    return [
        min((naive_distance(vectors[row], vectors[other], "euclidean") for other in labeled + rows[:place]), default=np.inf)
        for place, row in enumerate(rows)
    ]


@many
@given(
    seed=st.integers(0, 10**6),
    n=st.integers(2, 90),
    d=st.integers(1, 5),
    n_labeled=st.integers(0, 5),
    metric=st.sampled_from(["euclidean", "cosine"]),
    kind=st.sampled_from(["float16", "float32", "float64", "far"]),
)
def test_distances_are_those_of_a_slow_loop(seed: int, n: int, d: int, n_labeled: int, metric: str, kind: str) -> None:
    rng = np.random.default_rng(seed)
    vectors = rng.normal(size=(n, d)) + (10_000 if kind == "far" else 0)
    vectors = vectors.astype("float32" if kind == "far" else kind)
    pool = pool_of(vectors, list(range(min(n_labeled, n - 1))))
    rows = rng.permutation(pool.candidates)[: rng.integers(1, n + 1)]
    quality = quality_of(pool, rows, metric=metric, n_random=2)
    for name, expected in naive_cover(pool, rows.tolist(), metric).items():
        # unit vectors are stored as float32
        assert quality[name].value == pytest.approx(expected, rel=1e-12, abs=1e-12 if metric == "euclidean" else 3e-7)
        assert quality[name].unit == metric


@many
@given(
    seed=st.integers(0, 10**6), n=st.integers(2, 90), n_labeled=st.integers(0, 3), near=st.sampled_from([0.0, 1.0, 1.5, 9.0])
)
def test_near_duplicates_are_those_of_a_slow_loop(seed: int, n: int, n_labeled: int, near: float) -> None:
    rng = np.random.default_rng(seed)
    pool = pool_of(rng.integers(0, 9, size=(n, 2)).astype(np.float32), list(range(min(n_labeled, n - 2))))
    rows = rng.permutation(pool.candidates)[: max(2, int(rng.integers(n)))]
    distances = naive_nearest_before(pool, rows.tolist())
    expected = sum(distance == 0 or distance < near for distance in distances) / len(rows)
    assert quality_of(pool, rows, near_distance=near, n_random=2)["near-duplicate share"].value == pytest.approx(expected)


def test_a_sample_of_picks_is_measured_against_all_picks_before_them() -> None:
    rng = np.random.default_rng(0)
    points = rng.normal(size=(300, 2))
    places = np.sort(rng.choice(300, 40, replace=False))
    squared = np.full(40, 0.5)
    _lower_to_earlier(squared, points, places, 0, 300)
    expected = [min([0.5, *((points[:place] - points[place]) ** 2).sum(axis=1)]) for place in places]
    np.testing.assert_allclose(squared, expected, rtol=1e-12)


def test_random_batches_are_uniform_over_the_candidates_and_measured_alike() -> None:
    rng = np.random.default_rng(1)
    pool = pool_of(rng.normal(size=(9, 2)), [0, 3], scores=rng.normal(size=9))
    assert pool.scores is not None
    quality = quality_of(pool, pool.candidates[:3], n_random=2000, near_distance=1.0)
    batches = [list(rows) for rows in combinations(pool.candidates.tolist(), 3)]
    for name in ("covering radius", "mean distance", "median distance"):
        values = [naive_cover(pool, rows, "euclidean")[name] for rows in batches]
        assert abs(quality[name].random_mean - np.mean(values)) < 5 * np.std(values) / np.sqrt(2000)
    means = [pool.scores[rows].mean() for rows in batches]
    assert abs(quality["mean score"].random_mean - np.mean(means)) < 5 * np.std(means) / np.sqrt(2000)


def test_the_range_is_from_the_5th_to_the_95th_percentile() -> None:
    scores = np.append(np.arange(101.0), np.nan)
    pool = pool_of(np.zeros((102, 1)), [101], scores=scores, score_name="doubt")
    figure = quality_of(pool, np.array([98]), n_random=4000)["mean score"]
    assert (figure.unit, figure.value, figure.verdict) == ("doubt", 98.0, "better")
    assert figure.random_low == pytest.approx(5, abs=1.5)
    assert figure.random_high == pytest.approx(95, abs=1.5)


# --- What it is for ---


def test_coreset_of_a_pool_with_outliers_is_told_from_random() -> None:
    rng = np.random.default_rng(2)
    vectors = rng.normal(size=(5000, 16)) * 0.1 + rng.normal(size=(20, 16))[rng.integers(20, size=5000)]
    vectors[rng.choice(5000, 50, replace=False)] = rng.normal(size=(50, 16)) * 20
    pool = pool_of(vectors, [])
    coreset = SamplerCoreset().select(pool, 40).quality()
    assert coreset["outlier share"].value > 0.95
    assert coreset["outlier share"].random_mean == pytest.approx(0.01, abs=0.01)
    assert coreset["outlier share"].verdict == "worse"
    assert coreset["covering radius"].verdict == "better"
    at_random = SamplerRandom().select(pool, 1000, seed=5).quality()
    assert at_random["outlier share"].value == pytest.approx(0.01, abs=0.01)
    assert at_random["mean distance"].verdict == ""


def test_neighbouring_frames_are_near_duplicates_without_a_given_distance() -> None:
    rng = np.random.default_rng(3)
    videos = rng.normal(size=(100, 8))
    pool = pool_of(np.repeat(videos, 30, axis=0) + rng.normal(size=(3000, 8)) * 0.01, [])
    of_two_videos, of_all = np.arange(60), np.arange(0, 3000, 50)
    assert quality_of(pool, of_two_videos)["near-duplicate share"].value == 58 / 60
    figure = quality_of(pool, of_all)["near-duplicate share"]
    assert figure.value == 0
    assert 0.1 < figure.random_mean < 0.5
    assert "a quarter of what is usual in the random batches" in figure.note


def test_a_pool_of_duplicates_has_distance_0_no_outliers_and_only_near_duplicates() -> None:
    quality = quality_of(pool_of(np.ones((200, 3), dtype=np.float32), [0]), np.arange(1, 11))
    assert [quality[name].value for name in ("covering radius", "mean distance", "median distance")] == [0, 0, 0]
    assert quality["outlier share"].value == 0
    assert quality["near-duplicate share"].value == 1


def test_with_everything_picked_the_batch_is_like_every_other() -> None:
    rng = np.random.default_rng(4)
    pool = pool_of(rng.normal(size=(150, 3)), [], scores=rng.random(150), columns={"class": rng.integers(0, 5, 150)})
    quality = SamplerUncertainty().select(pool, 150).quality()
    for figure in quality:
        if figure.name != "near-duplicate share":  # which depends on the order
            assert figure.value == pytest.approx(figure.random_mean)
            assert figure.verdict == ""
    assert quality["covering radius"].value == 0


def test_one_item_in_all_has_what_can_be_measured_of_it() -> None:
    quality = quality_of(pool_of(np.ones((1, 1)), [], columns={"site": ["x"]}), np.array([0]))
    values = {figure.name: figure.value for figure in quality}
    covered = dict.fromkeys(["covering radius", "mean distance", "median distance"], 0.0)
    assert values == {**covered, "values of site": 1.0, "largest value of site": 1.0}
    assert quality.notes == (
        "A pool of 1 is too small for an outlier share.",
        "Nothing is labeled, and a single pick cannot be a near-duplicate.",
        "No scores in the pool: no mean score.",
    )


# --- Samples of large pools ---


def test_a_sample_finds_the_far_outlier_and_says_that_it_is_one() -> None:
    rng = np.random.default_rng(6)
    vectors = rng.normal(size=(2000, 4)).astype(np.float32)
    vectors[777] = 1000
    pool, rows = pool_of(vectors, [1]), np.arange(100, 200)
    whole, part = quality_of(pool, rows), quality_of(pool, rows, n_measured=300)
    assert part["covering radius"].value == whole["covering radius"].value > 1900
    # a uniform sample: without the far item the mean is within a few standard errors
    assert part["median distance"].value == pytest.approx(whole["median distance"].value, rel=0.1)
    assert "Distances are over a random 300 of the 1,999 candidates" in part["mean distance"].note
    assert whole["mean distance"].note == ""


def test_near_duplicates_are_counted_over_a_sample_of_a_large_batch() -> None:
    pool = pool_of(np.repeat(np.arange(200.0), 2)[:, None], [])
    figure = quality_of(pool, np.arange(400), n_measured=100, near_distance=0)["near-duplicate share"]
    assert figure.value == pytest.approx(0.5, abs=0.15)
    assert figure.note.endswith("They are counted over a random 100 of the picks.")
    assert quality_of(pool, np.arange(400), near_distance=0)["near-duplicate share"].value == 0.5


# --- Columns ---


def test_values_hit_and_the_largest_are_counted_among_the_candidates() -> None:
    columns = {"class": ["only labeled", "a", "a", "b", "c", "a"], "frame": np.arange(6), "size": np.arange(6.0)}
    pool = pool_of(None, [0], columns=columns)
    quality = quality_of(pool, np.array([1, 2, 3]))
    values = {figure.name: (figure.value, figure.unit) for figure in quality}
    assert values == {
        "values of class": (2.0, "of 3"),
        "largest value of class": (2 / 3, "share"),
        "values of frame": (3.0, "of 5"),
        "largest value of frame": (1 / 3, "share"),
    }
    assert "Column 'size' holds fractions, of which no values are counted." in quality.notes
    assert [figure.name for figure in quality_of(pool, np.array([1]), columns=["frame"])] == [
        "values of frame",
        "largest value of frame",
    ]


def test_the_shift_of_shares_is_half_the_sum_of_absolute_differences() -> None:
    counts = np.array([[9, 9, 9], [4, 0, 0], [0, 2, 0], [0, 2, 2], [0, 0, 0]])
    pool = pool_of(None, [0], columns={"boxes": counts})
    shares = np.abs(np.array([4 / 6, 2 / 6, 0]) - np.array([0.4, 0.4, 0.2])).sum() / 2
    assert quality_of(pool, np.array([1, 2]))["shift of boxes"].value == pytest.approx(shares)
    assert quality_of(pool, np.array([1, 2, 3, 4]))["shift of boxes"].value == 0
    assert quality_of(pool, np.array([4]))["shift of boxes"].value == 1
    assert quality_of(pool, np.array([1]))["shift of boxes"].is_better is None


@pytest.mark.parametrize(
    ("values", "note"),
    [
        ([[0.5, -0.1], [1, 0]], "Column 'p' holds numbers that are no shares, below 0 or not finite."),
        ([[0.5, np.nan], [1, 0]], "Column 'p' holds numbers that are no shares, below 0 or not finite."),
        ([[0, 0], [0, 0]], "Column 'p' has no shares to compare with: they add up to 0."),
    ],
)
def test_a_column_that_holds_no_shares_is_left_out_and_noted(values: list[list[float]], note: str) -> None:
    quality = quality_of(pool_of(None, [], columns={"p": values}), np.array([0]))
    assert (quality.figures, quality.notes[-1]) == ((), note)


# --- Order and randomness ---


def test_the_order_of_the_pool_changes_nothing_and_the_seed_something() -> None:
    rng = np.random.default_rng(7)
    n, order = 400, rng.permutation(400)
    ids = [f"item {row}" for row in range(n)]
    data: dict[str, Any] = {"vectors": rng.normal(size=(n, 6)).astype(np.float32), "scores": rng.random(n)}
    data |= {"is_labeled": rng.random(n) < 0.1}
    site = rng.integers(0, 9, n)
    pool = Pool(ids, columns={"site": site}, **data)
    shuffled = Pool([ids[row] for row in order], columns={"site": site[order]}, **{k: v[order] for k, v in data.items()})
    picked = SamplerRandom().select(pool, 30)
    options: dict[str, Any] = {"n_measured": 100, "n_random": 5}
    assert picked.quality(**options) == picked.quality(shuffled, **options)
    other = picked.quality(seed=1, n_random=5)
    assert other["mean score"].value == picked.quality()["mean score"].value
    assert other["mean score"].random_mean != picked.quality(n_random=5)["mean score"].random_mean


# --- The pool of a selection ---


def test_a_selection_knows_its_pool_and_does_not_carry_it_into_pickles_and_copies() -> None:
    pool = pool_of(np.random.default_rng(8).normal(size=(3000, 40)), [], scores=np.arange(3000))
    picked = SamplerUncertainty().select(pool, 2)
    assert picked.quality()["mean score"].value == 2998.5
    assert len(pickle.dumps(picked)) < 2000
    for again in (pickle.loads(pickle.dumps(picked)), copy.deepcopy(picked)):
        assert again.item_ids == picked.item_ids
        with pytest.raises(ValueError, match="does not know the pool it was picked from; pass it as pool"):
            again.quality()
        assert again.quality(pool) == picked.quality()


def test_a_batch_that_was_resumed_knows_the_whole_pool() -> None:
    pool = pool_of(np.random.default_rng(9).normal(size=(50, 3)), [0])
    sampler = SamplerCoreset()
    resumed = sampler.select(pool, 9, resume=sampler.select(pool, 4))
    assert resumed.quality() == sampler.select(pool, 9).quality()


def test_a_pool_that_the_batch_is_not_from_is_refused() -> None:
    batch = Selection(("000", "x"), np.zeros(2), ("", ""))
    with pytest.raises(ValueError, match="'x' of the batch is not in this pool; pass the pool as it was when"):
        batch.quality(pool_of(np.zeros((2, 1)), []))
    with pytest.raises(ValueError, match="'000' of the batch is labeled in this pool"):
        batch.quality(pool_of(np.zeros((2, 1)), [0]))
    with pytest.raises(ValueError, match="the batch is empty"):
        Selection((), np.zeros(0), ()).quality(pool_of(np.zeros((2, 1)), []))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n_random": 0}, "n_random is 0; expected a whole number of at least 1"),
        ({"n_measured": 1.5}, "n_measured is 1.5; expected a whole number of at least 1"),
        ({"seed": None}, "seed is None"),
        ({"metric": "l2"}, "metric is 'l2'; expected one of euclidean, cosine"),
        ({"near_distance": -1}, "near_distance is -1; expected a finite number of 0 or more"),
        ({"columns": "site"}, "columns is the single string 'site'; expected a sequence of names"),
        ({"columns": ["site"]}, "columns names 'site', and the pool has no such column; it has 'class'"),
        ({"metric": "cosine"}, "the embedding of '001' is zero and has no direction"),
    ],
)
def test_an_option_out_of_range_is_refused_by_name(options: dict[str, Any], message: str) -> None:
    picked = SamplerRandom().select(pool_of([[1.0], [0.0]], [], columns={"class": [1, 2]}), 1)
    with pytest.raises(ValueError, match=re.escape(message)):
        picked.quality(**options)


# --- The report ---


@pytest.mark.parametrize(
    ("value", "is_better", "verdict"),
    [
        (0.5, "lower", "better"),
        (0.5, "higher", "worse"),
        (3.5, "lower", "worse"),
        (3.5, "higher", "better"),
        (0.5, None, "lower"),
        (3.5, None, "higher"),
        (1.0, "lower", ""),
        (3.0, "higher", ""),
    ],
)
def test_only_what_lies_outside_the_random_range_is_better_or_worse(value: float, is_better: Any, verdict: str) -> None:
    assert Figure("f", "share", value, 2.0, 1.0, 3.0, is_better).verdict == verdict


def test_the_table_shows_every_figure_in_at_most_80_columns() -> None:
    figures = (
        Figure("covering radius", "euclidean", 4.2061, 4.1, 4.0, 4.2, "lower", "Over a sample. " * 10),
        Figure("mean distance", "a name " * 20, -1.5e100, 12345.6, 1e-9, 999_999_999.0),
        Figure("outlier share", "share", 0.966, 0.011, 0.006, 0.016, "lower"),
    )
    lines = str(Quality("CORESET", 1000, 20, figures, ("No scores.",))).splitlines()
    assert max(map(len, lines)) <= 80
    assert lines[0] == "1,000 items by CORESET, and 20 random batches"
    assert lines[2].split() == ["covering", "radius", "(euclidean)", "4.206", "4.1", "4", "4.2", "worse"]
    assert " ".join(lines).split().count("name") == 20
    assert next(line for line in lines if "outlier" in line).split()[2:] == ["96.6%", "1.1%", "0.6%", "1.6%", "worse"]
    assert lines[-1] == "No scores."


def test_the_report_is_plain_json() -> None:
    pool = pool_of(np.arange(4.0)[:, None], [0], columns={"site": ["x", "y", "y", "z"]})
    quality = SamplerRandom().select(pool, 2).quality()
    content = json.loads(json.dumps(quality.to_dict(), allow_nan=False))
    assert content == quality.to_dict()
    assert (
        Quality(**{**content, "figures": tuple(Figure(**f) for f in content["figures"]), "notes": quality.notes}) == quality
    )
    with pytest.raises(KeyError, match="no figure 'radius'; there are 'covering radius', "):
        quality["radius"]
