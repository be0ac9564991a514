"""The study of photos with boxes: its detector learns, and is scored and measured by the right ids and boxes."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from bccd_study import CellModel, CellTrainer, load_bccd, padded
from PIL import Image
from single_shot import Outputs, image_losses

COLOURS = ((220, 60, 60), (60, 220, 60), (60, 60, 220))
TRAINER = CellTrainer(n_steps=50)
Array = npt.NDArray[Any]


def scenes(n_photos: int, seed: int) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.float32]]:
    """Grey photos of 64 x 96 pixels with one to three rectangles, whose colour is their class; and their boxes."""
    rng = np.random.default_rng(seed)
    photos = rng.integers(90, 130, (n_photos, 3, 64, 96), dtype=np.uint8)
    boxes = []
    for photo in photos:
        rows = []
        for column in rng.permutation(3)[: rng.integers(1, 4)]:
            x0, y0 = 32 * column + rng.integers(2, 10), rng.integers(2, 40)
            answer = rng.integers(3)
            photo[:, y0 : y0 + 18, x0 : x0 + 18] = np.array(COLOURS[answer])[:, None, None]
            rows.append([x0 / 96, y0 / 64, (x0 + 18) / 96, (y0 + 18) / 64, answer])
        boxes.append(np.array(rows, dtype=np.float32))
    return photos, padded(boxes)


@pytest.fixture(scope="module")
def model() -> CellModel:
    return TRAINER(*scenes(24, 0), 0)


class Knowing(torch.nn.Module):
    """Finds the boxes it was given, in whatever photos, and takes each for the class that it was given."""

    n_classes = 3

    def __init__(self, boxes: Array) -> None:
        super().__init__()
        corners, labels = torch.from_numpy(boxes[..., :4]), torch.from_numpy(boxes[..., 4])
        middle, size = (corners[..., :2] + corners[..., 2:]) / 2, corners[..., 2:] - corners[..., :2]
        is_box = ~labels.isnan()
        self.n_shown = 0
        self.priors = torch.cat([middle, size], dim=-1)[is_box]
        self.logits = torch.zeros(len(boxes), len(self.priors), 4)
        self.logits[..., 3] = 20  # background, but in the photo that the prior is a box of
        for place, (photo, row) in enumerate(is_box.nonzero().tolist()):
            self.logits[photo, place, [int(labels[photo, row]), 3]] = torch.tensor([20.0, 0.0])

    def forward(self, inputs: torch.Tensor) -> Outputs:
        logits = self.logits[self.n_shown : self.n_shown + len(inputs)]
        self.n_shown += len(inputs)
        return Outputs(torch.zeros(len(inputs), len(self.priors), 4), logits, self.priors)


def knowing(boxes: Array) -> CellModel:
    return CellModel(Knowing(boxes))  # type: ignore[arg-type]  # all that a model asks of its network


def test_the_figure_is_1_for_the_true_boxes_and_falls_with_every_mistake() -> None:
    photos, boxes = scenes(30, 3)
    assert knowing(boxes).score(photos, boxes) == pytest.approx(1)
    for mistake in (0, 1):
        wrong = boxes.copy()
        if mistake:
            wrong[..., 4] = (wrong[..., 4] + 1) % 3
        else:
            wrong[..., [0, 2]] += 0.6 * (wrong[..., [2]] - wrong[..., [0]])  # an IoU of a quarter
        assert knowing(wrong).score(photos, boxes) < 0.1
    unseen = boxes.copy()
    unseen[:15] = np.nan
    assert 0.3 < knowing(unseen).score(photos, boxes) < 0.7
    assert knowing(np.roll(boxes, 1, axis=0)).score(photos, boxes) < 0.2  # of the photo beside


def test_rectangles_are_learned_and_more_labels_help(model: CellModel) -> None:
    photos, boxes = scenes(30, 1)
    assert model.score(photos, boxes) > 0.9
    one, of_one = scenes(1, 1)
    seen = set(of_one[0, :, 4].tolist())
    assert len(seen) < 3
    assert 0 < TRAINER(one, of_one, 0).score(photos, boxes) < len(seen) / 3 + 0.05


def test_a_detector_that_finds_nothing_has_the_figure_0() -> None:
    photos, boxes = scenes(5, 1)
    assert knowing(np.full((5, 1, 5), np.nan, dtype=np.float32)).score(photos, boxes) == 0


def test_scores_are_of_the_ids_whatever_the_order(model: CellModel) -> None:
    photos, _ = scenes(30, 1)
    names = [f"{row}.jpg" for row in range(30)]
    scores = model.scorer(names, photos).scores()
    order = np.random.default_rng(0).permutation(30)
    other = model.scorer([names[row] for row in order], photos[order]).scores()
    assert scores.item_ids == tuple(names)
    for column in ("uncertainty_margin", "object_count", "one_vs_two_margin_sum"):
        assert other.column(column) == pytest.approx(scores.column(column)[order], abs=1e-4)
    assert np.ptp(scores.column("uncertainty_margin")) > 0.1


def test_a_photo_in_which_nothing_is_found_is_as_uncertain_as_can_be() -> None:
    photos, boxes = scenes(3, 1)
    boxes[1] = np.nan
    scores = knowing(boxes).scorer(["a", "b", "c"], photos).scores()
    assert scores.column("object_count").tolist() == [(~np.isnan(rows[:, 0])).sum() for rows in boxes]
    assert scores.column("uncertainty_margin") == pytest.approx([0, 1, 0], abs=1e-4)


def test_the_loss_of_a_photo_is_that_of_training_and_its_own(model: CellModel) -> None:
    photos, boxes = scenes(30, 1)
    losses = model.true_loss(photos, boxes)
    for row in (0, 29):
        with torch.no_grad():
            outputs = model.network(torch.from_numpy(photos[row : row + 1]).float() / 63.75 - 2)
            targets = torch.from_numpy(boxes[row : row + 1])
            alone = image_losses(outputs, targets[:, ~targets[0, :, 0].isnan()])
        assert losses[row] == pytest.approx(alone.item(), rel=1e-3)


def test_trainings_repeat_by_the_seed(model: CellModel) -> None:
    photos, _ = scenes(4, 1)
    names = list("abcd")
    same, other = (TRAINER(*scenes(24, 0), seed).scorer(names, photos).scores() for seed in (0, 1))
    expected = model.scorer(names, photos).scores().column("uncertainty_entropy")
    assert np.array_equal(same.column("uncertainty_entropy"), expected)
    assert not np.allclose(other.column("uncertainty_entropy"), expected, atol=1e-3)


def test_a_label_takes_its_boxes_and_five_seconds_for_each(tmp_path: Path) -> None:
    photos, boxes = scenes(6, 0)
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    with zipfile.ZipFile(tmp_path / "cells.zip", "w") as archive:
        for number, (photo, rows) in enumerate(zip(photos, boxes)):
            content = io.BytesIO()
            Image.fromarray(photo.transpose(1, 2, 0)).save(content, "PNG")
            archive.writestr(f"images/{number}.png", content.getvalue())
            split = "test" if number > 3 else "train"
            images.append({"id": number, "file_name": f"{number}.png", "width": 96, "height": 64, "split": split})
            for x0, y0, x1, y1, answer in rows[~np.isnan(rows[:, 0])].astype(float).tolist():
                bbox = [96 * x0, 64 * y0, 96 * (x1 - x0), 64 * (y1 - y0)]
                ids = {"id": len(annotations), "image_id": number, "category_id": int(answer)}
                annotations.append({**ids, "bbox": bbox})
        categories = [{"id": number, "name": str(number)} for number in range(3)]
        content_of_json = {"images": images, "annotations": annotations, "categories": categories}
        archive.writestr("annotations.json", json.dumps(content_of_json))
    data = load_bccd(tmp_path / "cells.zip", lambda ids, _: np.arange(float(len(ids)))[:, None])
    counts = (~np.isnan(boxes[..., 0])).sum(axis=1)
    assert data.item_ids == ("0.png", "1.png", "2.png", "3.png")
    assert data.amounts["boxes"].tolist() == counts[:4].tolist()
    assert data.amounts["seconds"].tolist() == (5 * counts[:4]).tolist()
    assert data.labels.shape == (4, counts[:4].max(), 5)
    for row in range(4):
        n_boxes = counts[row]
        assert data.labels[row, :n_boxes] == pytest.approx(boxes[row, :n_boxes], abs=1e-5)
        assert np.isnan(data.labels[row, n_boxes:]).all()
    assert len(data.test_labels) == 2
    assert data.features.shape == (4, 3, 96, 128)
    for photo, rows in zip(data.features, data.labels):
        for x0, y0, x1, y1, answer in rows[~np.isnan(rows[:, 0])].tolist():  # the strongest channel is the class
            assert photo[:, round(96 * (y0 + y1) / 2), round(128 * (x0 + x1) / 2)].argmax() == answer
