"""Learning loss on object detection: which photos would a single-shot detector be worst at?

A small SSD of four feature maps, trained from nothing on photos of 160 x 128 pixels, with the loss of each photo on its own,
and mean average precision by pycocotools. From the root of the repository, in a few minutes on two processor cores:

    pip install "al-agent[torch]" pycocotools
    python tutorials/learning_loss/detection.py --data bccd.zip

`--data` is a zip of `images/` and a COCO `annotations.json`; images of the split "test" are tested on, or a fifth of all,
drawn by a fixed seed. The photos of Shenggan/BCCD_Dataset (MIT licence) were used to write this.

`--published` takes SSD300 on VGG-16 and the schedule of the paper: 1,000 images at first and 1,000 more in each cycle, 300
epochs. Two things differ from it: the weights are random, where the paper starts from VGG-16 trained on ImageNet, and photos
are mirrored but neither cropped nor recoloured. Do not expect its figures.

References:
    D. Yoo and I. S. Kweon, Learning Loss for Active Learning, 2019, arXiv:1905.03677; W. Liu, D. Anguelov, D. Erhan,
    C. Szegedy, S. Reed, C.-Y. Fu and A. C. Berg, SSD, 2016, arXiv:1512.02325.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import io
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from coco_photos import CocoPhotos
from cycles import main
from networks_detection import SingleShotNetwork, small_network, ssd300
from single_shot import Found, Outputs, found_boxes, image_losses
from task import Batch, Recipe

from al_agent import DetectionPredictions, ScorerObjectDetection

SMALL = Recipe(
    n_start=40,
    n_per_cycle=20,
    candidate_factor=10,
    epochs=60,
    batch_size=10,
    optimizer="adam",
    learning_rate=2e-3,
    weight_decay=0.0,
    drop_from_epoch=48,
    detach_from_epoch=36,
    weight=1.0,
)
PUBLISHED = Recipe(
    n_start=1000,
    n_per_cycle=1000,
    candidate_factor=10,
    epochs=300,
    batch_size=32,
    optimizer="sgd",
    learning_rate=1e-3,
    weight_decay=5e-4,
    drop_from_epoch=240,
    detach_from_epoch=240,
    weight=1.0,
)
LEAST_SCORE = 0.3
"""Boxes with a lower score say nothing of an image's uncertainty: nearly every prior would be an uncertain box."""


class Detection:
    """Detection of the objects that a zip in COCO's format has boxes of.

    Args:
        photos: Pixels, boxes and splits.
        is_published: SSD300 and the paper's schedule, instead of the small network.
        n_pool: At most this many images in the pool, the first; None takes all.
        n_test: At most this many images to test on.

    Raises:
        ValueError: There is no image to choose from, or no test image with a box.
    """

    name: str = "detection"

    def __init__(
        self, photos: CocoPhotos, *, is_published: bool = False, n_pool: int | None = None, n_test: int | None = None
    ) -> None:
        self.recipe = PUBLISHED if is_published else SMALL
        self._is_published = is_published
        self.metric: str = "map50" if is_published else "map"  # blood cells are easily found, and less easily framed
        self._photos = photos
        is_test = set(photos.test_item_ids)
        self._pool = tuple(name for name in photos.item_ids if name not in is_test)[:n_pool]
        self._test = photos.test_item_ids[:n_test]
        if not self._pool or not any(len(photos.boxes[name]) for name in self._test):
            raise ValueError(
                f"{len(self._pool)} images to choose from and {len(self._test)} to test on; expected at least one to "
                "choose, and at least one to test on that has a box"
            )
        self.layers: Sequence[str] = tuple(f"stages.{number}" for number in range(6 if is_published else 4))

    @property
    def item_ids(self) -> tuple[str, ...]:
        """File names of the images that are not tested on."""
        return self._pool

    @property
    def test_item_ids(self) -> tuple[str, ...]:
        """File names of the images that are tested on."""
        return self._test

    def network(self) -> SingleShotNetwork:
        """A network with random weights."""
        n_classes = len(self._photos.class_names)
        return ssd300(n_classes) if self._is_published else small_network(n_classes, self._photos.size)

    def batches(self, item_ids: Sequence[str], *, is_training: bool, seed: int = 0) -> Iterable[Batch]:
        """Images with values from -1 to 1, and `(b, m, 5)` corners and label of their boxes, label -1 where there are fewer.

        For training, half of the images are mirrored, and half turned upside down, but not in the published configuration.
        """
        rng = np.random.default_rng(seed)
        order = rng.permutation(len(item_ids)) if is_training else np.arange(len(item_ids))
        for start in range(0, len(order), self.recipe.batch_size):
            ids = [item_ids[row] for row in order[start : start + self.recipe.batch_size]]
            inputs = np.stack([self._photos.pixels(item_id) for item_id in ids])
            n_rows = max(len(self._photos.boxes[item_id]) for item_id in ids)
            targets = np.full((len(ids), n_rows, 5), -1, dtype=np.float32)
            for row, item_id in enumerate(ids):
                boxes = self._photos.boxes[item_id]
                if is_training:
                    is_mirrored, is_upside_down = rng.random(2) < (0.5, 0.0 if self._is_published else 0.5)
                    inputs[row], boxes = flipped(inputs[row], boxes, is_mirrored=is_mirrored, is_upside_down=is_upside_down)
                targets[row, : len(boxes)] = boxes
            yield ids, torch.from_numpy(inputs).permute(0, 3, 1, 2).float() / 127.5 - 1, torch.from_numpy(targets)

    def losses(self, outputs: Outputs, targets: torch.Tensor) -> torch.Tensor:
        """The loss of each image, `(b,)`, over its own number of positive priors."""
        return image_losses(outputs, targets)

    def uncertainties(self, outputs: Outputs) -> torch.Tensor:
        """The largest entropy of a detected box, `(b,)`, from 0 to 1; 0 where nothing is detected."""
        found = found_boxes(outputs, min_score=LEAST_SCORE)
        predictions = DetectionPredictions(
            [str(row) for row in range(len(outputs.logits))],
            found.boxes,
            found.scores,
            found.labels,
            found.offsets,
            class_probabilities=found.probabilities,
        )
        scores = ScorerObjectDetection(predictions, without_boxes=0.0).scores()
        return torch.from_numpy(scores.column("uncertainty_entropy").astype(np.float32))

    def measure(self, network: torch.nn.Module, device: torch.device) -> Mapping[str, float]:
        """Mean average precision over IoU .5 to .95, `map`, and at IoU .5, `map50`, as COCO defines them."""
        was_training = network.training
        network.eval()
        results: list[dict[str, Any]] = []
        with torch.no_grad():
            for ids, inputs, _ in self.batches(self._test, is_training=False):
                results += self.results(ids, found_boxes(network(inputs.to(device))))
        network.train(was_training)
        return average_precisions(self._photos.coco, [self._photos.image_ids[name] for name in self._test], results)

    def results(self, item_ids: Sequence[str], found: Found) -> list[dict[str, Any]]:
        """Found boxes as rows of a COCO results file: `[x, y, width, height]` in pixels of the original photo."""
        rows = []
        for image, item_id in enumerate(item_ids):
            scale = np.tile(self._photos.image_sizes[item_id], 2)
            part = slice(found.offsets[image], found.offsets[image + 1])
            for (x0, y0, x1, y1), score, label in zip(found.boxes[part] * scale, found.scores[part], found.labels[part]):
                rows.append(
                    {
                        "image_id": self._photos.image_ids[item_id],
                        "category_id": self._photos.category_ids[label],
                        "bbox": [float(x0), float(y0), float(x1 - x0), float(y1 - y0)],
                        "score": float(score),
                    }
                )
        return rows

    def label(self, item_id: str) -> str:
        """How many objects of each class there are, such as "12 RBC, 1 WBC"."""
        counts = Counter(self._photos.boxes[item_id][:, 4].astype(int).tolist())
        return ", ".join(f"{counts[label]} {self._photos.class_names[label]}" for label in sorted(counts)) or "nothing"


def flipped(
    pixels: npt.NDArray[np.uint8], boxes: npt.NDArray[np.float32], *, is_mirrored: bool, is_upside_down: bool
) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.float32]]:
    """A photo `(h, w, 3)` mirrored or upside down, and its boxes `(m, 5)`, corners as fractions and label, with it."""
    boxes = boxes.copy()
    if is_mirrored:
        pixels, boxes[:, [0, 2]] = pixels[:, ::-1], 1 - boxes[:, [2, 0]]
    if is_upside_down:
        pixels, boxes[:, [1, 3]] = pixels[::-1], 1 - boxes[:, [3, 1]]
    return pixels, boxes


def average_precisions(
    coco: Mapping[str, Any], image_ids: Sequence[Any], results: Sequence[Mapping[str, Any]]
) -> dict[str, float]:
    """COCO's mean average precision of results on some images, over IoU .5 to .95 and at .5.

    Args:
        coco: The content of an annotation file.
        image_ids: The images that count.
        results: Rows of a results file.

    References:
        T.-Y. Lin et al., Microsoft COCO, 2014, arXiv:1405.0312; the computation is that of pycocotools.
    """
    if not results:
        return {"map": 0.0, "map50": 0.0}
    try:
        pycoco, evaluation = (importlib.import_module(f"pycocotools.{name}") for name in ("coco", "cocoeval"))
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError("mean average precision needs pycocotools: pip install pycocotools") from error
    truths = [
        {"iscrowd": 0, "area": row["bbox"][2] * row["bbox"][3], **row, "id": number}
        for number, row in enumerate(coco["annotations"], start=1)
    ]
    with contextlib.redirect_stdout(io.StringIO()):  # it prints its progress
        truth = pycoco.COCO()
        truth.dataset = {**coco, "annotations": truths}
        truth.createIndex()
        scored = evaluation.COCOeval(truth, truth.loadRes([dict(row) for row in results]), "bbox")
        scored.params.imgIds = list(image_ids)
        scored.evaluate()
        scored.accumulate()
        scored.summarize()
    return {"map": float(scored.stats[0]), "map50": float(scored.stats[1])}


def make_task(given: argparse.Namespace) -> Detection:
    """The task that the command line asks for."""
    photos = CocoPhotos(given.data, (300, 300) if given.published else (128, 160))
    return Detection(photos, is_published=given.published, n_pool=given.n_pool, n_test=given.n_test)


if __name__ == "__main__":
    main(make_task, __doc__ or "", "bccd.zip")
