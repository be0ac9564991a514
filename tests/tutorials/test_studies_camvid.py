"""The study of frames with masks: its network learns, is measured without void, and duplicates are known as such."""

from __future__ import annotations

import doctest
import importlib
import io
import math
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from camvid import CLASSES, VOID
from camvid_study import StreetModel, StreetTrainer, load_camvid, outlines
from PIL import Image
from vectors import patch_vectors

TRAINER = StreetTrainer(n_steps=60)
SKY, ROAD, CAR = 0, 3, 8
Frames = npt.NDArray[np.uint8]


def streets(n_frames: int, seed: int) -> tuple[Frames, Frames]:
    """Noisy frames of 48 x 64 pixels with sky above a road, a car on it, and a margin that nobody labeled."""
    rng = np.random.default_rng(seed)
    masks = np.full((n_frames, 48, 64), SKY, dtype=np.uint8)
    for mask in masks:
        horizon, left = rng.integers(12, 28), rng.integers(0, 40)
        mask[horizon:] = ROAD
        mask[horizon + 4 : horizon + 16, left : left + 20] = CAR
        mask[:, :3] = VOID
    greys = np.zeros(VOID + 1)
    greys[[SKY, ROAD, CAR, VOID]] = 200, 60, 130, 90
    frames = np.repeat(greys[masks][:, None], 3, axis=1) + rng.normal(0, 20, (n_frames, 3, 48, 64))
    return np.clip(frames, 0, 255).astype(np.uint8), masks


@pytest.fixture(scope="module")
def model() -> StreetModel:
    return TRAINER(*streets(12, 0), 0)


class Guessing(torch.nn.Module):
    """Takes every pixel for the class that the brightness of its frame says."""

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        places = ((inputs + 2) * 63.75).round().long()[:, 0, ::4, ::4]
        return 9 * torch.nn.functional.one_hot(places, len(CLASSES)).permute(0, 3, 1, 2).float()


def guessing() -> StreetModel:
    return StreetModel(Guessing())  # type: ignore[arg-type]  # all that a model asks of its network


def test_streets_are_learned_and_more_labels_help(model: StreetModel) -> None:
    frames, masks = streets(40, 1)
    figure = model.score(frames, masks)
    assert figure > 0.8
    assert TRAINER(*streets(1, 2), 0).score(frames, masks) < figure - 0.05


def test_the_figure_is_of_all_frames_together_without_void() -> None:
    frames = np.zeros((40, 3, 8, 8), dtype=np.uint8)
    frames[20:] = ROAD
    masks = np.zeros((40, 8, 8), dtype=np.uint8)
    masks[20:] = ROAD
    assert guessing().score(frames, masks) == 1
    masks[30:] = SKY  # ten frames of sky are taken for road: 20 of 30 and 10 of 20
    assert guessing().score(frames, masks) == pytest.approx((20 / 30 + 10 / 20) / 2)
    masks[30:] = VOID
    assert guessing().score(frames, masks) == 1


def test_scores_are_of_the_ids_whatever_the_order(model: StreetModel) -> None:
    frames, _ = streets(40, 1)
    frames[5] = np.random.default_rng(0).integers(0, 255, frames[5].shape)  # of no street
    names = [f"{row}.jpg" for row in range(40)]
    scores = model.scorer(names, frames).scores()
    assert scores.item_ids == tuple(names)
    assert scores.column("uncertainty_margin").argmax() == 5
    order = np.random.default_rng(0).permutation(40)
    other = model.scorer([names[row] for row in order], frames[order]).scores()
    for column in ("uncertainty_margin", "uncertainty_entropy"):
        assert other.column(column) == pytest.approx(scores.column(column)[order], abs=1e-4)


def test_the_loss_of_a_frame_is_that_of_its_pixels_that_are_not_void(model: StreetModel) -> None:
    log_sum = math.log(math.exp(9) + len(CLASSES) - 1)
    frames, masks = np.zeros((3, 3, 8, 8), dtype=np.uint8), np.zeros((3, 8, 8), dtype=np.uint8)
    masks[1, :, :4], masks[1, :, 4:6] = ROAD, VOID  # 32 wrong pixels and 16 right ones
    masks[2] = VOID
    expected = [log_sum - 9, (32 * log_sum + 16 * (log_sum - 9)) / 48, 0]
    assert guessing().true_loss(frames, masks) == pytest.approx(expected, abs=1e-5)
    frames, masks = streets(40, 1)
    losses = model.true_loss(frames, masks)
    assert model.true_loss(frames[33:34], masks[33:34]) == pytest.approx(losses[33:34], rel=1e-4)


def test_trainings_repeat_by_the_seed(model: StreetModel) -> None:
    frames, masks = streets(4, 1)
    same, other = (TRAINER(*streets(12, 0), seed).true_loss(frames, masks) for seed in (0, 1))
    assert np.array_equal(same, model.true_loss(frames, masks))
    assert not np.allclose(other, same, rtol=1e-3)


def test_an_outline_is_as_long_as_the_borders_between_classes() -> None:
    masks = np.zeros((2, 6, 6), dtype=np.uint8)
    masks[1, 1:3, 1:4] = CAR
    masks[1, 5, :] = ROAD
    assert outlines(masks).tolist() == [0, 2 * 2 + 2 * 3 + 6]


def write_zip(path: Path) -> None:
    """Twenty frames of all kinds, of which the last of "train" is five times in "val" too; and two to test on."""
    rng = np.random.default_rng(0)
    lines = ["name,split,sequence,frame"]
    with zipfile.ZipFile(path, "w") as archive:
        for number in range(27):
            if number < 20 or number > 24:
                frame = rng.integers(0, 255, (3, 4, 3), dtype=np.uint8).repeat(32, axis=0).repeat(32, axis=1)
                mask = np.full((96, 128), number % len(CLASSES), dtype=np.uint8)
                mask[: 4 * number] = VOID
            split = "train" if number < 20 else "val" if number < 25 else "test"
            lines.append(f"{number},{split},one,{number}")
            for name, pixels in ((f"images/{number}.jpg", frame), (f"labels/{number}.png", mask)):
                content = io.BytesIO()
                Image.fromarray(pixels).save(content, "PNG")
                archive.writestr(name, content.getvalue())
        archive.writestr("frames.csv", "\n".join(lines))


def test_near_duplicates_of_the_validation_split_are_in_the_pool_and_in_one_group(tmp_path: Path) -> None:
    write_zip(tmp_path / "frames.zip")

    def vectors_of(names: Any, frames: Frames) -> Any:
        return patch_vectors(tmp_path / "embeddings.npz", names, frames)

    data = load_camvid(tmp_path / "frames.zip", vectors_of)
    assert data.item_ids == tuple(f"{number}.jpg" for number in range(25))
    assert data.groups is not None
    assert len(set(data.groups[19:].tolist())) == 1
    assert len(set(data.groups[:20].tolist())) == 20
    assert data.amounts["outline_pixels"].tolist() == [128 if 0 < number < 20 else 0 for number in range(20)] + [128] * 5
    assert data.labels[7, 28:].tolist() == np.full((68, 128), 7).tolist()
    assert len(data.test_labels) == 2


@pytest.mark.parametrize("name", ["torch_parts", "bccd_study", "camvid_study"])
def test_examples_of_the_modules_run(name: str) -> None:
    found = doctest.testmod(importlib.import_module(name), optionflags=doctest.NORMALIZE_WHITESPACE)
    assert found.attempted > 0
    assert found.failed == 0
