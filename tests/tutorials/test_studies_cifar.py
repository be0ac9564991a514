"""The study of classified photos: its network learns, repeats itself, and says what a committee of passes would."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import torch
from cifar_study import PhotoModel, PhotoTrainer, load_cifar
from PIL import Image
from vectors import patch_vectors

from al_agent import Embeddings

TRAINER = PhotoTrainer(n_classes=3, n_least_steps=30, batch_size=16)
Photos = npt.NDArray[np.uint8]


def photos_of(classes: npt.NDArray[np.int64], seed: int) -> Photos:
    """Stripes that lie, stand, or are checks, over noise and at random places."""
    rng = np.random.default_rng(seed)
    photos = np.empty((len(classes), 3, 32, 32), dtype=np.uint8)
    for photo, answer in zip(photos, classes):
        down, across = np.indices((32, 32)) + rng.integers(0, 8, (2, 1, 1))
        lines = (down // 4 % 2, across // 4 % 2, (down // 4 + across // 4) % 2)[answer]
        photo[:] = np.clip(90 + 60 * lines + rng.normal(0, 25, (3, 32, 32)), 0, 255)
    return photos


@pytest.fixture(scope="module")
def classes() -> npt.NDArray[np.int64]:
    return np.arange(48) % 3


@pytest.fixture(scope="module")
def photos(classes: npt.NDArray[np.int64]) -> Photos:
    return photos_of(classes, 0)


@pytest.fixture(scope="module")
def model(photos: Photos, classes: npt.NDArray[np.int64]) -> PhotoModel:
    return TRAINER(photos, classes, 0)


def test_classes_that_are_easily_told_apart_are_learned(model: PhotoModel) -> None:
    classes = np.arange(60) % 3
    photos = photos_of(classes, 1)
    assert model.score(photos, classes) > 0.9
    right = np.mean(model.predict_proba(photos).argmax(axis=1) == classes)
    assert model.score(photos, classes) == right
    assert model.score(photos, (classes + 1) % 3) < 0.1


def test_more_labels_give_a_higher_figure() -> None:
    answers = np.arange(90) % 3
    tests = photos_of(answers, 2)
    few, many = np.arange(3), np.arange(60) % 3
    start = np.mean([TRAINER(photos_of(few, seed), few, seed).score(tests, answers) for seed in (3, 4)])
    end = np.mean([TRAINER(photos_of(many, seed), many, seed).score(tests, answers) for seed in (3, 4)])
    assert end > start + 0.1


def test_probabilities_are_of_each_photo_whatever_its_place(model: PhotoModel, photos: Photos) -> None:
    probabilities = model.predict_proba(photos)
    order = np.random.default_rng(0).permutation(len(photos))
    assert probabilities.sum(axis=1) == pytest.approx(np.ones(48), abs=1e-5)
    assert model.predict_proba(photos[order]) == pytest.approx(probabilities[order], abs=1e-5)
    assert model.predict_proba(photos[7:8]) == pytest.approx(probabilities[7:8], abs=1e-5)


def test_everything_random_is_of_the_seed_and_torch_is_left_as_it_was(
    photos: Photos, classes: npt.NDArray[np.int64], model: PhotoModel
) -> None:
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    n_threads = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        again, other = TRAINER(photos, classes, 0), TRAINER(photos, classes, 1)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(n_threads)
    assert torch.equal(torch.rand(1), expected)
    doubtful = photos[::3] // 2 + photos[1::3] // 2
    assert np.array_equal(model.predict_proba(doubtful), again.predict_proba(doubtful))
    assert np.abs(model.predict_proba(doubtful) - other.predict_proba(doubtful)).max() > 0.05


def test_passes_are_a_committee_that_leaves_out_the_same_features_of_all_photos(
    photos: Photos, classes: npt.NDArray[np.int64]
) -> None:
    model = PhotoTrainer(n_classes=3, n_least_steps=15, batch_size=16, n_passes=4)(photos, classes, 0)
    doubtful = photos[::3] // 2 + photos[1::3] // 2
    probabilities = model.predict_proba(doubtful)
    assert probabilities.shape == (16, 4, 3)
    assert probabilities.sum(axis=2) == pytest.approx(np.ones((16, 4)), abs=1e-5)
    assert np.abs(probabilities - probabilities.mean(axis=1, keepdims=True)).max(axis=(0, 2)).min() > 0.02
    assert model.predict_proba(doubtful[5:]) == pytest.approx(probabilities[5:], abs=1e-5)


def test_a_training_that_diverges_says_so(photos: Photos, classes: npt.NDArray[np.int64]) -> None:
    with pytest.raises(FloatingPointError, match=r"the loss is (nan|inf) in step \d+ of 30; lower the learning rate"):
        PhotoTrainer(n_classes=3, n_least_steps=30, batch_size=16, learning_rate=1e30)(photos, classes, 0)


def write_zip(path: Path) -> dict[str, tuple[Photos, int]]:
    """Twelve photos to choose from and four to test on, of two classes; what each file holds."""
    made = {}
    with zipfile.ZipFile(path, "w") as archive:
        for number in range(16):
            answer, part = number % 2, "train" if number < 12 else "test"
            photo = photos_of(np.array([answer]), number)[0]
            content = io.BytesIO()
            Image.fromarray(photo.transpose(1, 2, 0)).save(content, "PNG")
            archive.writestr(f"data/{part}/{'cow' if answer else 'cat'}/{number}.png", content.getvalue())
            made[f"{number}.png"] = photo, answer
    return made


def test_photos_answers_and_vectors_are_of_the_same_items(tmp_path: Path) -> None:
    made = write_zip(tmp_path / "photos.zip")
    file = tmp_path / "made" / "embeddings.npz"
    data = load_cifar(tmp_path / "photos.zip", lambda ids, photos: patch_vectors(file, ids, photos))
    assert sorted(data.item_ids) == sorted(f"{number}.png" for number in range(12))
    for item_id, photo, answer in zip(data.item_ids, data.features, data.labels):
        assert np.array_equal(photo, made[item_id][0])
        assert answer == made[item_id][1]
    assert data.test_labels.tolist().count(1) == 2
    kept = Embeddings.load(file)
    assert kept.item_ids == data.item_ids
    assert data.vectors is not None
    assert np.array_equal(data.vectors.vectors, kept.vectors)


def test_vectors_are_made_once_and_anew_for_other_items(tmp_path: Path) -> None:
    photos = photos_of(np.arange(12) % 3, 0)
    names = [f"{number}.png" for number in range(12)]
    file = tmp_path / "embeddings.npz"
    made = patch_vectors(file, names, photos)
    assert made.shape == (12, 6)
    Embeddings(names, 2 * made).save(file)
    assert np.array_equal(patch_vectors(file, names[::-1], photos[::-1]), 2 * made[::-1])  # those of the file
    assert len(patch_vectors(file, names[:8], photos[:8])) == 8
    assert Embeddings.load(file).item_ids == tuple(names[:8])
