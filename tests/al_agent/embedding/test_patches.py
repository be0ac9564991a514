"""Patch embeddings: what was learned from the images, each image alone, and few, equal or broken images too."""

from __future__ import annotations

import io
import threading
import zipfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from al_agent.embedding.blas_threads import one_blas_thread
from al_agent.embedding.embedder import Batch, Fit, Pixels
from al_agent.embedding.methods.patch_features import N_CELLS, PatchFilters, PatchGrid, normalised, spherical_centroids
from al_agent.embedding.methods.patches import EmbedderPatches
from al_agent.embedding.run import embed_images

DATA = Path(__file__).resolve().parents[4] / "shared" / "data"
HOSTILE = settings(derandomize=True, database=None, deadline=None, max_examples=12)


class Pictures:
    """Images in memory, some of which cannot be read."""

    def __init__(self, pixels: Pixels, item_ids: Sequence[str] | None = None, broken: Sequence[int] = ()) -> None:
        self.pixels, self.broken = pixels, set(broken)
        self.item_ids = tuple(item_ids or [f"{row:05d}.png" for row in range(len(pixels))])

    def __len__(self) -> int:
        return len(self.pixels)

    def read(self, rows: Sequence[int], size: tuple[int, int], fit: Fit) -> Batch:
        assert (size, fit) == (self.pixels.shape[1:3], "stretch")
        good = np.array([row for row in rows if row not in self.broken], dtype=np.int64)
        return Batch(good, self.pixels[good], {row: "is empty, 0 bytes long" for row in rows if row in self.broken})


def scenes(n: int, *, side: int = 32, seed: int = 0) -> Pixels:
    """A bright disk on a gradient of some colour, with noise."""
    rng = np.random.default_rng(seed)
    down, right = np.mgrid[:side, :side] / side
    pixels = np.empty((n, side, side, 3))
    for image in pixels:
        image[:] = rng.uniform(0, 120, 3) + (rng.uniform(0, 60) * right + rng.uniform(0, 60) * down)[..., None]
        image[np.hypot(down - rng.uniform(), right - rng.uniform()) < rng.uniform(0.1, 0.4)] += 70
    return np.clip(pixels + rng.normal(0, 4, pixels.shape), 0, 255).astype(np.uint8)


@pytest.fixture(scope="module")
def learned() -> EmbedderPatches:
    embedder = EmbedderPatches(n_filters=32, n_dimensions=32)
    embedder.fit(Pictures(scenes(300)))
    return embedder


def test_a_vector_depends_on_its_image_alone_to_the_last_bit(learned: EmbedderPatches) -> None:
    pixels = scenes(70, seed=1)
    whole = learned.embed(pixels)
    assert whole.shape == (70, 32)
    assert whole.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(whole, axis=1), 1, atol=1e-6)
    assert np.array_equal(whole[::-1], learned.embed(pixels[::-1]))
    for step in (1, 3, 64):
        parts = [learned.embed(pixels[start : start + step]) for start in range(0, 70, step)]
        assert np.array_equal(np.concatenate(parts), whole)


def test_the_vectors_are_the_same_for_any_number_of_threads() -> None:
    pictures = Pictures(scenes(200))
    runs = [embed_images(pictures, EmbedderPatches(n_filters=16), n_workers=n) for n in (1, 2, 5)]
    assert len({run.embeddings.digest for run in runs}) == 1


def test_the_vectors_are_the_same_in_any_order_of_the_folder() -> None:
    pixels = scenes(60)
    ids = [f"{row:02d}.png" for row in range(60)]
    order = np.random.default_rng(3).permutation(60)
    one = embed_images(Pictures(pixels, ids), EmbedderPatches(n_filters=16)).embeddings
    other = embed_images(Pictures(pixels[order], [ids[row] for row in order]), EmbedderPatches(n_filters=16)).embeddings
    assert other.subset(ids).digest == one.digest


def test_another_seed_learns_other_filters() -> None:
    pictures = Pictures(scenes(40))
    digests = {embed_images(pictures, EmbedderPatches(n_filters=16, seed=seed)).embeddings.digest for seed in (0, 0, 1)}
    assert len(digests) == 2


def test_images_beyond_the_sample_do_not_change_what_is_learned(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("al_agent.embedding.methods.patches._N_SAMPLED", 50)
    rows_read: list[int] = []

    class Counted(Pictures):
        def read(self, rows: Sequence[int], size: tuple[int, int], fit: Fit) -> Batch:
            rows_read.extend(rows)
            return super().read(rows, size, fit)

    embedder = EmbedderPatches(n_filters=16)
    embedder.fit(Counted(scenes(400)))
    assert len(set(rows_read)) == len(rows_read) == 50
    assert embedder.embed(scenes(2)).shape == (2, 25)


@pytest.mark.parametrize("side", [32, 64])
def test_an_image_and_its_mirror_image_have_the_same_vector(side: int) -> None:
    embedder = EmbedderPatches(side=side, n_filters=16)
    embedder.fit(Pictures(scenes(60, side=side)))
    pixels = scenes(10, side=side, seed=5)
    vectors = embedder.embed(pixels)
    similar_to_mirrored = (vectors * embedder.embed(pixels[:, :, ::-1])).sum(axis=1)
    similar_to_upset = (vectors * embedder.embed(pixels[:, ::-1])).sum(axis=1)
    assert similar_to_mirrored.min() > 0.9999
    assert similar_to_upset.mean() < 0.9


def test_the_copy_of_an_image_with_noise_is_nearest_to_it(learned: EmbedderPatches) -> None:
    pixels = scenes(100, seed=7)
    noise = np.random.default_rng(0).integers(-3, 4, pixels.shape)
    noisy = np.clip(pixels.astype(np.int64) + noise, 0, 255).astype(np.uint8)
    similar = learned.embed(noisy) @ learned.embed(pixels).T
    assert (similar.argmax(axis=1) == np.arange(100)).mean() > 0.95


@pytest.mark.parametrize(("n", "d"), [(1, 1), (2, 1), (3, 1), (8, 4), (50, 25), (200, 32)])
def test_few_images_have_half_as_many_dimensions(n: int, d: int) -> None:
    vectors = embed_images(Pictures(scenes(n)), EmbedderPatches(n_filters=8, n_dimensions=32)).embeddings.vectors
    assert vectors.shape == (n, d)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-6)


@pytest.mark.parametrize("value", [0, 7, 255])
@pytest.mark.parametrize("n", [1, 2, 30])
def test_equal_images_all_have_the_vector_1(n: int, value: int) -> None:
    plain = np.full((n, 32, 32, 3), value, dtype=np.uint8)
    assert embed_images(Pictures(plain), EmbedderPatches(n_filters=8)).embeddings.vectors.tolist() == [[1.0]] * n
    same = np.repeat(scenes(1, seed=value), n, axis=0)
    assert embed_images(Pictures(same), EmbedderPatches(n_filters=8)).embeddings.vectors.tolist() == [[1.0]] * n


def test_black_white_and_coloured_plain_images_are_told_from_each_other(learned: EmbedderPatches) -> None:
    colours = np.array([[0, 0, 0], [255, 255, 255], [255, 0, 0], [0, 0, 255]], dtype=np.uint8)
    vectors = learned.embed(np.tile(colours[:, None, None], (1, 32, 32, 1)))
    assert np.isfinite(vectors).all()
    assert np.linalg.norm(vectors[:, None] - vectors, axis=2)[np.triu_indices(4, 1)].min() > 0.1


@HOSTILE
@given(st.integers(0, 2**32 - 1), st.sampled_from(["noise", "stripes", "one pixel"]), st.integers(1, 12))
def test_any_pixels_have_finite_vectors_of_length_1(seed: int, kind: str, n: int) -> None:
    rng = np.random.default_rng(seed)
    pixels = np.zeros((n, 32, 32, 3), dtype=np.uint8)
    if kind == "noise":
        pixels[:] = rng.integers(0, 256, pixels.shape)
    elif kind == "stripes":
        pixels[:, ::2] = rng.integers(0, 256, (n, 1, 1, 3))
    else:
        pixels[:, 5, 5] = 255
    vectors = embed_images(Pictures(pixels), EmbedderPatches(n_filters=4), n_workers=1).embeddings.vectors
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)


def test_images_that_cannot_be_read_are_left_out_of_learning() -> None:
    pictures = Pictures(scenes(40), broken=[0, 17])
    run = embed_images(pictures, EmbedderPatches(n_filters=8))
    assert list(run.failed) == ["00000.png", "00017.png"]
    only_good = Pictures(np.delete(pictures.pixels, [0, 17], axis=0), [i for i in pictures.item_ids if i not in run.failed])
    assert embed_images(only_good, EmbedderPatches(n_filters=8)).embeddings.digest == run.embeddings.digest
    with pytest.raises(ValueError, match=r"none of 3 images can be read; the first, '00000\.png', is empty"):
        EmbedderPatches().fit(Pictures(scenes(3), broken=[0, 1, 2]))


def test_wrong_arguments_and_pixels_are_refused(learned: EmbedderPatches) -> None:
    with pytest.raises(ValueError, match="side is 33; expected one of 32, 64"):
        EmbedderPatches(side=33)
    with pytest.raises(ValueError, match="n_filters is 7; expected an even number"):
        EmbedderPatches(n_filters=7)
    with pytest.raises(ValueError, match="n_dimensions is 0"):
        EmbedderPatches(n_dimensions=0)
    with pytest.raises(ValueError, match="seed is -1"):
        EmbedderPatches(seed=-1)
    with pytest.raises(ValueError, match=r"call fit\(images\) first"):
        EmbedderPatches().embed(scenes(1))
    with pytest.raises(ValueError, match=r"float64 of shape \(1, 32, 32, 3\); expected uint8"):
        learned.embed(scenes(1).astype(np.float64))
    with pytest.raises(ValueError, match=r"shape \(1, 64, 64, 3\); expected uint8 of shape \(b, 32, 32, 3\)"):
        learned.embed(scenes(1, side=64))
    assert learned.embed(np.empty((0, 32, 32, 3), dtype=np.uint8)).shape == (0, 32)


def test_features_are_those_of_the_formula_written_patch_by_patch() -> None:
    rng = np.random.default_rng(2)
    grid = PatchGrid(12, 4, 2)  # 5 patches along a side
    weights = rng.normal(size=(4 * 4 * 3 + 1, 6)).astype(np.float32)
    image = rng.integers(0, 256, (12, 12, 3)).astype(np.float32)
    responses = np.empty((5, 5, 6))
    for row in range(5):
        for column in range(5):
            patch = image[2 * row : 2 * row + 4, 2 * column : 2 * column + 4].astype(np.float64).ravel()
            patch = (patch - patch.mean()) / np.sqrt(patch.var() + 10)
            responses[row, column] = np.maximum(np.append(patch, 1) @ weights, 0)
    cells = [slice(0, 2), slice(1, 3), slice(2, 4), slice(3, 5)]
    expected = np.empty((N_CELLS, N_CELLS, 3))
    for i, rows in enumerate(cells):
        for j, columns in enumerate(cells):
            mirrored = cells[N_CELLS - 1 - j]
            here, there = responses[rows, columns, :3], responses[rows, mirrored, 3:]
            expected[i, j] = np.sqrt(here.mean(axis=(0, 1)) + there.mean(axis=(0, 1)))
    found = PatchFilters(grid, weights).features(image)
    np.testing.assert_allclose(found, expected.ravel(), rtol=1e-5, atol=1e-6)


def test_filters_whiten_and_their_mirror_images_respond_to_mirrored_patches() -> None:
    rng = np.random.default_rng(0)
    grid = PatchGrid(12, 4, 2)
    patches = np.cumsum(rng.normal(0, 20, (5_000, 4, 4, 3)), axis=2).astype(np.float32)
    filters = PatchFilters.learn(grid, patches.reshape(len(patches), -1).copy(), 40, rng)
    assert filters.weights.shape == (49, 40)
    inputs = normalised(patches.reshape(len(patches), -1).copy())
    mirrored = normalised(patches[:, :, ::-1].reshape(len(patches), -1).copy())
    one = inputs @ filters.weights[:-1]
    np.testing.assert_allclose(one[:, :20], mirrored @ filters.weights[:-1, 20:], atol=1e-4)
    # along a centroid of length 1, whitened patches vary by 1 but for the floor and what they leave out
    assert 0.3 < np.median(one.std(axis=0)) < 1.5


@pytest.mark.parametrize(("side", "patch", "stride"), [(32, 6, 3), (8, 9, 1), (8, 6, 1), (32, 6, 0)])
def test_patches_that_do_not_fill_an_image_are_refused(side: int, patch: int, stride: int) -> None:
    with pytest.raises(ValueError, match="expected"):
        PatchGrid(side, patch, stride)


def test_centroids_of_separate_bundles_are_their_directions() -> None:
    rng = np.random.default_rng(0)
    axes = np.eye(3, 5, dtype=np.float32)
    bundle = rng.integers(0, 3, 3000)
    vectors = axes[bundle] + rng.normal(0, 0.02, (3000, 5)).astype(np.float32)
    centroids = spherical_centroids(vectors, 12, rng)
    np.testing.assert_allclose(np.linalg.norm(centroids, axis=1), 1, atol=1e-5)
    assert (vectors @ centroids.T).max(axis=1).mean() > 0.98


def test_matrix_products_have_their_threads_back_when_the_last_thread_leaves() -> None:
    threadpoolctl = pytest.importorskip("threadpoolctl")

    def n_threads() -> set[int]:
        return {pool["num_threads"] for pool in threadpoolctl.threadpool_info() if pool["user_api"] == "blas"}

    with threadpoolctl.threadpool_limits(2, user_api="blas"):
        before = n_threads()
        first, second = one_blas_thread(), one_blas_thread()
        first.__enter__()
        thread = threading.Thread(target=second.__enter__)
        thread.start()
        thread.join()
        first.__exit__(None, None, None)
        assert n_threads() == {1}
        second.__exit__(None, None, None)
        assert n_threads() == before


def test_neighbours_of_real_photos_are_of_their_class_far_more_often_than_by_chance() -> None:
    path = DATA / "cifar10_2k.npz"
    if not path.is_file():
        pytest.skip("shared/data/cifar10_2k.npz is missing")
    data = np.load(path)
    embedder = EmbedderPatches(n_filters=100, n_dimensions=64)
    embedder.fit(Pictures(data["x_train"]))
    train, test = embedder.embed(data["x_train"]), embedder.embed(data["x_test"])
    accuracy = _knn_accuracy(train, data["y_train"], test, data["y_test"])
    flat = [data[name].reshape(len(data[name]), -1) / 255 for name in ("x_train", "x_test")]
    mean = flat[0].mean(axis=0)
    raw = _knn_accuracy(flat[0] - mean, data["y_train"], flat[1] - mean, data["y_test"])
    assert accuracy > 0.5
    assert accuracy > raw + 0.12


def test_frames_of_a_video_are_nearest_to_the_frames_before_or_after(tmp_path: Path) -> None:
    path = DATA / "seg_camvid_240x180.zip"
    if not path.is_file():
        pytest.skip("shared/data/seg_camvid_240x180.zip is missing")
    with zipfile.ZipFile(path) as archive:
        lines = io.TextIOWrapper(archive.open("frames.csv"), encoding="utf-8").read().split()
        frames = {name: int(frame) for name, split, _, frame in (line.split(",") for line in lines[1:]) if split == "val"}
        for name in frames:
            (tmp_path / f"{name}.jpg").write_bytes(archive.read(f"images/{name}.jpg"))
    found = embed_images(tmp_path, EmbedderPatches(n_filters=64)).embeddings
    similar = found.vectors @ found.vectors.T
    np.fill_diagonal(similar, -1)
    numbers = np.array([frames[item_id.removesuffix(".jpg")] for item_id in found.item_ids])
    assert len(numbers) == 101
    assert (np.abs(numbers[similar.argmax(axis=1)] - numbers) <= 4).mean() > 0.95


def _knn_accuracy(
    train: npt.NDArray[np.floating], of_train: Sequence[int], test: npt.NDArray[np.floating], of_test: Sequence[int]
) -> float:
    train, test = (rows / np.linalg.norm(rows, axis=1, keepdims=True) for rows in (train, test))
    nearest = np.argsort(-(test @ train.T), axis=1)[:, :20]
    votes = np.array([np.bincount(np.asarray(of_train)[row], minlength=10) for row in nearest])
    return float((votes.argmax(axis=1) == np.asarray(of_test)).mean())


def test_vectors_learned_from_other_images_are_told_apart_by_their_description() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (13, 32, 32, 3), dtype=np.uint8)

    def description(images: Pictures) -> str:
        embedder = EmbedderPatches(n_filters=8)
        embedder.fit(images)
        return embedder.description

    first = description(Pictures(pixels[:12]))
    assert first.startswith("patches of 32 px, 8 filters, 256 dimensions, seed 0, learned from 12 images ")
    assert description(Pictures(pixels[:12])) == first
    assert description(Pictures(pixels, broken=[12])) == first
    assert description(Pictures(pixels[1:])) != first
    assert description(Pictures(pixels)) != first
