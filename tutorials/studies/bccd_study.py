"""A study of photos with boxes: a small single-shot detector of blood cells learns from nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import beside  # noqa: F401  # the next imports need it
import numpy as np
import numpy.typing as npt
import torch
from coco_photos import CocoPhotos
from detection import LEAST_SCORE, average_precisions, flipped
from networks_detection import SingleShotNetwork
from single_shot import Found, Outputs, found_boxes, image_losses
from torch import nn
from torch_parts import Whitening, as_doubles, convolved, fit, inputs_of, parts_of, repeatable, trained_weights
from vectors import VectorsOf

from al_agent import DetectionPredictions, ScorerObjectDetection
from al_agent.simulation.hidden import HiddenLabels

SIZE = (96, 128)
"""Height and width that photos are made; at these a platelet is 8 pixels wide, a red cell 21 and a white one 40."""

SECONDS_PER_BOX = 5.0
"""Of drawing: what Kili's published comparison of times counts, recipes/active-learning/object_detection.ipynb."""

_N_AT_ONCE = 24  # photos that the trained network is shown at a time
_N_CANDIDATES = 100  # boxes of a photo, as COCO counts them


def load_bccd(path: Path, vectors_of: VectorsOf, n_pool: int | None = None, n_test: int | None = None) -> HiddenLabels:
    """Photos and their boxes `(n, m, 5)`: corners as fractions and class, padded with rows of NaN.

    Of BCCD 292 photos to label, the published splits "train" and "val", and the 72 of "test". The amounts of a label are its
    boxes, and the seconds that drawing them takes.

    Args:
        path: A zip file as `CocoPhotos` of `tutorials/learning_loss/coco_photos.py` takes it, of any three classes.
        vectors_of: Gives what items are compared by.
        n_pool: Choose from the first ones only.
        n_test: Test on the first ones only.
    """
    photos = CocoPhotos(path, SIZE)
    test = photos.test_item_ids[:n_test]
    pool = tuple(name for name in photos.item_ids if name not in set(photos.test_item_ids))[:n_pool]
    pixels, test_pixels = (
        np.stack([photos.pixels(name) for name in names]).transpose(0, 3, 1, 2).copy() for names in (pool, test)
    )
    boxes, test_boxes = (padded([photos.boxes[name] for name in names]) for names in (pool, test))
    n_boxes = np.array([len(photos.boxes[name]) for name in pool], dtype=np.float64)
    amounts = {"boxes": n_boxes, "seconds": SECONDS_PER_BOX * n_boxes}
    return HiddenLabels(pool, pixels, boxes, test_pixels, test_boxes, embeddings=vectors_of(pool, pixels), amounts=amounts)


def padded(boxes: Sequence[npt.NDArray[np.float32]]) -> npt.NDArray[np.float32]:
    """n arrays `(m_i, 5)` as one `(n, m, 5)`, with rows of NaN below the shorter ones.

    Examples:
        >>> padded([np.zeros((2, 5)), np.ones((1, 5))])[1, :, 0].tolist()
        [1.0, nan]
    """
    rows = np.full((len(boxes), max(map(len, boxes)), 5), np.nan, dtype=np.float32)
    for row, of_photo in zip(rows, boxes):
        row[: len(of_photo)] = of_photo
    return rows


@dataclass(frozen=True)
class CellTrainer:
    """Trains a detector on `(k, 3, h, w)` photos and `(k, m, 5)` boxes, rows of NaN where a photo has fewer.

    Args:
        n_classes: Without the background.
        n_steps: Steps of training, whatever the number of photos.
        batch_size: Photos of a step.
        learning_rate: The highest.
    """

    n_classes: int = 3
    n_steps: int = 150
    batch_size: int = 4
    learning_rate: float = 0.02

    def __call__(self, features: npt.NDArray[Any], labels: npt.NDArray[Any], seed: int) -> CellModel:
        """Train a new network; half of the photos are mirrored, half turned upside down."""
        with repeatable(seed) as generator:
            network = cell_network(features, self.n_classes)

            def loss_of(rows: torch.Tensor) -> torch.Tensor:
                turns = (torch.rand(len(rows), 2, generator=generator) < 0.5).tolist()
                pairs = [
                    flipped(features[row].transpose(1, 2, 0), labels[row], is_mirrored=mirrored, is_upside_down=upside_down)
                    for row, (mirrored, upside_down) in zip(rows.tolist(), turns)
                ]
                photos, boxes = (np.stack(each) for each in zip(*pairs))
                outputs = network(inputs_of(photos.transpose(0, 3, 1, 2)))
                return image_losses(outputs, _targets(boxes)).mean()

            fit(
                network,
                loss_of,
                torch.optim.AdamW(trained_weights(network), self.learning_rate, weight_decay=1e-4),
                n_items=len(features),
                batch_size=self.batch_size,
                n_steps=self.n_steps,
                generator=generator,
            )
        return CellModel(network)


def cell_network(photos: npt.NDArray[Any], n_classes: int) -> SingleShotNetwork:
    """Three feature maps, of strides 4, 8 and 16, for objects of a sixteenth to a half of the photo: 0.1 million weights.

    Args:
        photos: `(k, 3, h, w)`, h and w multiples of 16; the first layer is learned from them.
        n_classes: Without the background.
    """
    stages = [
        nn.Sequential(Whitening(photos, 12), convolved(24, 24, stride=2)),
        nn.Sequential(convolved(24, 48, stride=2), convolved(48, 48)),
        nn.Sequential(convolved(48, 64, stride=2), convolved(64, 64)),
    ]
    width = photos.shape[3]
    return SingleShotNetwork(
        stages,
        (24, 48, 64),
        image_size=photos.shape[2:],
        sizes=[share * width for share in (0.0625, 0.156, 0.3, 0.39)],
        ratios=((), (), ()),
        n_classes=n_classes,
    )


class CellModel:
    """A trained detector, as a study asks it."""

    def __init__(self, network: SingleShotNetwork) -> None:
        self.network = network

    def score(self, x: npt.NDArray[Any], y: npt.NDArray[Any]) -> float:
        """Mean average precision at an IoU of 0.5, as COCO defines it; 0 where nothing is found.

        Args:
            x: `(t, 3, h, w)` photos.
            y: `(t, m, 5)` boxes.
        """
        found = found_boxes(self._outputs(x), min_score=0.05, n_most=_N_CANDIDATES)
        true_rows = [
            {"image_id": image, "category_id": int(row[4]), "bbox": _coco_box(row[:4])}
            for image, boxes in enumerate(y)
            for row in boxes[~np.isnan(boxes[:, 0])].astype(float)
        ]
        image_of_box = np.repeat(np.arange(len(x)), np.diff(found.offsets))
        found_rows = [
            {"image_id": int(image), "category_id": int(label), "bbox": _coco_box(box), "score": float(score)}
            for image, box, label, score in zip(image_of_box, found.boxes, found.labels, found.scores)
        ]
        coco = {
            "images": [{"id": image} for image in range(len(x))],
            "categories": [{"id": label} for label in range(self.network.n_classes)],
            "annotations": true_rows,
        }
        return average_precisions(coco, range(len(x)), found_rows)["map50"]

    def scorer(self, item_ids: Sequence[str], x: npt.NDArray[Any]) -> ScorerObjectDetection:
        """The boxes found with a score of 0.3 or more; a photo without one counts as one where all was missed."""
        found: Found = found_boxes(self._outputs(x), min_score=LEAST_SCORE, n_most=_N_CANDIDATES)
        predictions = DetectionPredictions(
            item_ids, found.boxes, found.scores, found.labels, found.offsets, class_probabilities=found.probabilities
        )
        return ScorerObjectDetection(predictions, without_boxes=1.0)

    def true_loss(self, x: npt.NDArray[Any], y: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
        """`(n,)` losses of training, for the control that knows them."""
        outputs = self._outputs(x)
        with repeatable(0), torch.no_grad():
            return as_doubles(image_losses(outputs, _targets(y)))

    def _outputs(self, x: npt.NDArray[Any]) -> Outputs:
        with repeatable(0), torch.no_grad():
            parts = [self.network(inputs_of(part)) for part in parts_of(x, _N_AT_ONCE)]
        offsets, logits, _ = zip(*parts)
        return Outputs(torch.cat(offsets), torch.cat(logits), self.network.priors)


def _targets(boxes: npt.NDArray[Any]) -> torch.Tensor:
    """Boxes as the loss takes them, -1 where a photo has fewer."""
    return torch.from_numpy(np.nan_to_num(boxes, nan=-1.0).astype(np.float32))


def _coco_box(corners: npt.NDArray[Any]) -> list[float]:
    """Corner, width and height; in fractions, since an IoU knows no unit."""
    x0, y0, x1, y1 = map(float, corners)
    return [x0, y0, x1 - x0, y1 - y0]
