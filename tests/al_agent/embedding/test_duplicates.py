"""Near-duplicates and outliers: groups that hold what they promise, and a distance that chance does not explain."""

from __future__ import annotations

import csv
import io
import itertools
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from al_agent import ActiveLearningAgent, AtMost, Diversity, Embeddings, Metadata, PlatformLocal, SamplerConfig, Threshold
from al_agent.embedding.neighbours import close_pairs as module
from al_agent.embedding.neighbours.close_pairs import close_pairs
from al_agent.embedding.neighbours.duplicates import DuplicateGroups, near_duplicates
from al_agent.embedding.neighbours.outliers import outliers

SHARED = Path(__file__).resolve().parents[4] / "shared"
Array = npt.NDArray[np.floating[Any]]


def named(vectors: npt.ArrayLike) -> Embeddings:
    rows = np.asarray(vectors, dtype=np.float64)
    return Embeddings([f"{row:04d}" for row in range(len(rows))], rows)


def all_distances(vectors: Array) -> Array:
    rows = vectors.astype(np.float64)
    distances: Array = np.sqrt(((rows[:, None] - rows[None]) ** 2).sum(axis=2))
    return distances


@pytest.mark.parametrize("offset", [0.0, 1e6])
@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
@pytest.mark.parametrize("shape", [(1, 3), (2, 1), (300, 2), (300, 40)])
def test_pairs_are_those_of_all_distances(
    shape: tuple[int, int], dtype: str, offset: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_ROWS_PER_TILE", 64)
    monkeypatch.setattr(module, "_COLUMNS_PER_TILE", 96)
    rng = np.random.default_rng(0)
    vectors = (rng.integers(0, 9, shape) + (offset if dtype == "float64" else 0)).astype(dtype)
    for limit in (0.0, 4.0, 2.0 * shape[1], 1e9):
        found = close_pairs(vectors, limit)
        rows = vectors.astype(np.float64)
        squared = ((rows[:, None] - rows[None]) ** 2).sum(axis=2)
        left, right = np.nonzero(np.triu(squared <= limit, 1))
        assert found.left.tolist() == left.tolist()
        assert found.right.tolist() == right.tolist()
        assert found.squared.tolist() == squared[left, right].tolist()


def test_too_many_pairs_are_refused_before_memory_is_full(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_MOST_PAIRS", 10)
    with pytest.raises(ValueError, match="more than 10 pairs of items are that near; ask for a smaller distance"):
        near_duplicates(named(np.arange(20.0)[:, None]), distance=5)


@given(st.integers(1, 30), st.integers(1, 3), st.integers(0, 10**6), st.sampled_from([0.0, 1.0, 2.0, 50.0]))
@settings(derandomize=True, database=None, deadline=None, max_examples=50)
def test_what_stays_is_apart_and_what_goes_is_near_to_it(n: int, d: int, seed: int, distance: float) -> None:
    rng = np.random.default_rng(seed)
    embeddings = named(rng.integers(0, 6, (n, d)))
    groups = near_duplicates(embeddings, distance=distance)
    apart = all_distances(embeddings.vectors)
    row_of = {item_id: row for row, item_id in enumerate(embeddings.item_ids)}
    stays = [row_of[item_id] for item_id in embeddings.item_ids if item_id not in set(groups.redundant)]
    assert all(apart[a, b] > distance for a in stays for b in stays if a != b)
    for group, distances in zip(groups.groups, groups.distances):
        rows = [row_of[item_id] for item_id in group]
        assert apart[rows[0], rows].tolist() == pytest.approx(distances)
        assert max(distances) <= distance
        for row in rows[1:]:  # no other one that stays is nearer
            assert apart[row, stays].min() == apart[row, rows[0]]
    assert len(stays) + len(groups.redundant) == n
    shuffled = embeddings.subset(rng.permutation(embeddings.item_ids).tolist())
    assert near_duplicates(shuffled, distance=distance) == groups


def test_a_chain_does_not_become_one_group() -> None:
    groups = near_duplicates(named(np.arange(9.0)[:, None]), distance=1)
    assert groups.groups == (("0001", "0000", "0002"), ("0004", "0003", "0005"), ("0007", "0006", "0008"))


def test_equal_vectors_are_a_group_of_their_own_without_a_distance() -> None:
    vectors = [[0.0, -0.0], [3.0, 1.0], [-0.0, 0.0], [9.0, 9.0], [3.0, 1.0], [0.0, 0.0]]
    groups = near_duplicates(named(vectors))
    assert groups.groups == (("0000", "0002", "0005"), ("0001", "0004"))
    assert groups.distance == 0
    assert groups.distances == ((0, 0, 0), (0, 0))
    assert near_duplicates(named(np.ones((500, 3)))).groups == (tuple(f"{row:04d}" for row in range(500)),)
    assert len(near_duplicates(named([[1.0]]))) == 0


@pytest.mark.parametrize("metric", ["euclidean", "cosine"])
@pytest.mark.parametrize("d", [2, 5, 16, 128])
@pytest.mark.parametrize("n", [12, 100, 1000])
def test_noise_has_no_near_duplicates(n: int, d: int, metric: str) -> None:
    rng = np.random.default_rng(n * d)
    assert near_duplicates(named(rng.normal(size=(n, d))), metric=metric).groups == ()
    assert near_duplicates(named(rng.uniform(size=(n, d))), metric=metric).groups == ()


@pytest.mark.parametrize("share", [0.01, 0.5, 1.0])
@pytest.mark.parametrize("n_copies", [1, 4])
def test_planted_copies_are_found_exactly_however_many_there_are(share: float, n_copies: int) -> None:
    rng = np.random.default_rng(0)
    originals = rng.normal(size=(400, 16))
    n_copied = int(share * 400)
    copies = [originals[:n_copied] + rng.normal(size=(n_copied, 16)) * 0.02 for _ in range(n_copies)]
    groups = near_duplicates(named(np.concatenate([originals, *copies])))
    found = sorted(sorted(group) for group in groups.groups)
    assert found == [
        [f"{k:04d}" for k in [row, *range(400 + row, 400 + n_copies * n_copied, n_copied)]] for row in range(n_copied)
    ]


def test_the_distance_that_was_found_gives_the_same_groups_when_it_is_given() -> None:
    rng = np.random.default_rng(3)
    vectors = rng.normal(size=(200, 8))
    vectors[100:150] = vectors[:50] + rng.normal(size=(50, 8)) * 0.05
    for metric in ("euclidean", "cosine"):
        found = near_duplicates(named(vectors), metric=metric)
        assert len(found) == 50
        assert near_duplicates(named(vectors), distance=found.distance, metric=metric) == found


def test_cosine_distance_ignores_lengths_and_needs_directions() -> None:
    embeddings = named([[1.0, 0.0], [9.0, 0.9], [0.0, 1.0]])
    groups = near_duplicates(embeddings, distance=0.01, metric="cosine")
    assert groups.groups == (("0000", "0001"),)
    assert groups.distances[0][1] == pytest.approx(1 - 1 / np.sqrt(1.01))
    with pytest.raises(ValueError, match="'0001' is zero and has no direction"):
        near_duplicates(named([[1.0], [0.0]]), metric="cosine")


@pytest.mark.parametrize("distance", [-1.0, np.nan, np.inf, True])
def test_a_distance_that_is_none_is_refused(distance: float) -> None:
    with pytest.raises(ValueError, match="expected a finite number of 0 or more"):
        near_duplicates(named([[1.0]]), distance=distance)


def test_groups_are_checked_at_birth() -> None:
    with pytest.raises(ValueError, match="another shape"):
        DuplicateGroups((("a", "b"),), ((0.0,),), 1.0, "euclidean", 2)
    with pytest.raises(ValueError, match="a group has one item"):
        DuplicateGroups((("a",),), ((0.0,),), 1.0, "euclidean", 2)
    with pytest.raises(ValueError, match="'b'"):
        DuplicateGroups((("a", "b"), ("b", "c")), ((0.0, 0.1), (0.0, 0.1)), 1.0, "euclidean", 4)


def test_a_query_takes_one_of_each_group_or_leaves_out_what_is_redundant(tmp_path: Path) -> None:
    ids = [f"img_{number}.jpg" for number in range(6)]
    embeddings = Embeddings(ids, np.array([[0.0], [0.1], [0.2], [10.0], [10.1], [30.0]]))
    groups = near_duplicates(embeddings, distance=0.15)
    assert groups.groups == (("img_1.jpg", "img_0.jpg", "img_2.jpg"), ("img_3.jpg", "img_4.jpg"))
    platform = PlatformLocal.create(tmp_path, images=ids)
    agent = ActiveLearningAgent(platform, embeddings=embeddings, metadata=Metadata(ids, groups.columns(ids)))

    one_each = [Diversity(), AtMost(1, "group", counts_labeled=True)]
    batch = agent.query(SamplerConfig(3, strategies=one_each), push=False)
    assert batch.item_ids == ("img_5.jpg", "img_0.jpg", "img_4.jpg")

    not_redundant = [Diversity(), Threshold("is_representative", at_least=1)]
    batch = agent.query(SamplerConfig(3, strategies=not_redundant), push=False)
    assert sorted(batch.item_ids) == ["img_1.jpg", "img_3.jpg", "img_5.jpg"]

    platform.annotate({"img_2.jpg": "cat"})  # one of the first group is labeled: no other one is asked for
    batch = agent.query(SamplerConfig(2, strategies=one_each), push=False)
    assert batch.item_ids == ("img_5.jpg", "img_4.jpg")
    with pytest.raises(ValueError, match="leave a batch of 2 at most"):
        agent.query(SamplerConfig(3, strategies=one_each), push=False)


def test_frames_of_a_video_are_grouped_with_their_neighbours_and_do_not_chain() -> None:
    """Small pixels of CamVid: 101 frames at 15 Hz, the others at 1 Hz, some of a car that waits."""
    path = SHARED / "data" / "seg_camvid_240x180.zip"
    if not path.is_file():
        pytest.skip("shared/data/seg_camvid_240x180.zip is missing")
    with zipfile.ZipFile(path) as archive:
        frames = list(csv.DictReader(io.StringIO(archive.read("frames.csv").decode())))
        vectors = []
        for frame in frames:
            with Image.open(io.BytesIO(archive.read(f"images/{frame['name']}.jpg"))) as image:
                small = image.convert("RGB").resize((32, 24), Image.Resampling.BOX)
            vectors.append(np.asarray(small, dtype=np.float32).ravel() / 255)
    groups = near_duplicates(Embeddings([frame["name"] for frame in frames], np.array(vectors)))
    group_of = {item_id: number for number, group in enumerate(groups.groups) for item_id in group}
    sequence = {frame["name"]: frame["sequence"] for frame in frames}
    assert all(len({sequence[item_id] for item_id in group}) == 1 for group in groups.groups)
    video = [frame["name"] for frame in frames if frame["split"] == "val"]
    together = [group_of.get(a, a) == group_of.get(b, b) for a, b in itertools.pairwise(video)]
    assert 0.65 < np.mean(together) < 0.85  # 73 % when this was written
    assert len({group_of.get(name, name) for name in video}) > 15
    assert max(map(len, groups.groups)) < 40
    assert 0.15 < len(groups.redundant) / len(frames) < 0.3


def test_outliers_are_ranked_by_the_distance_to_the_kth_neighbour() -> None:
    rng = np.random.default_rng(0)
    embeddings = named(rng.integers(0, 20, (60, 5)))
    found = outliers(embeddings, n_neighbours=3)
    kth = np.sort(all_distances(embeddings.vectors), axis=1)[:, 3]
    order = np.argsort(-kth, kind="stable")
    assert found.item_ids == tuple(embeddings.item_ids[row] for row in order.tolist())
    assert found.distances == pytest.approx(kth[order])
    shuffled = embeddings.subset(rng.permutation(embeddings.item_ids).tolist())
    assert outliers(shuffled, n_neighbours=3).item_ids == found.item_ids


def test_a_group_of_strangers_no_larger_than_k_is_found() -> None:
    rng = np.random.default_rng(0)
    vectors = np.concatenate([rng.normal(size=(300, 8)), rng.normal(size=(10, 8)) * 0.01 + 20])
    assert sorted(outliers(named(vectors)).item_ids[:10]) == [f"{row:04d}" for row in range(300, 310)]


def test_outliers_of_few_items_and_by_cosine() -> None:
    assert outliers(named([[1.0]])).distances.tolist() == [0.0]
    found = outliers(named([[1.0, 0.0], [2.0, 0.0], [0.0, 3.0]]), n_neighbours=1, metric="cosine")
    assert found.item_ids == ("0002", "0000", "0001")
    assert found.distances == pytest.approx([1.0, 0.0, 0.0])
    with pytest.raises(ValueError, match="n_neighbours is 0"):
        outliers(named([[1.0]]), n_neighbours=0)


@pytest.mark.parametrize("metric", ["euclidean", "cosine"])
def test_a_distance_may_be_larger_than_can_be_squared(metric: str) -> None:
    embeddings = Embeddings(["a", "b", "c"], [[0.0, 1.0], [1.0, 0.0], [5.0, 5.0]])
    assert [sorted(group) for group in near_duplicates(embeddings, distance=1e200, metric=metric).groups] == [
        ["a", "b", "c"]
    ]


def test_an_array_without_ids_is_an_error_that_says_what_is_expected() -> None:
    vectors: Any = np.zeros((3, 2))
    with pytest.raises(ValueError, match=r"^embeddings is a ndarray; expected Embeddings\(item_ids, vectors\)"):
        near_duplicates(vectors)
    with pytest.raises(ValueError, match=r"^embeddings is a ndarray; expected Embeddings\(item_ids, vectors\)"):
        outliers(vectors)
