"""A study of video frames with a class for every pixel: a small dilated network learns from nothing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import beside  # noqa: F401  # the next imports need it
import numpy as np
import numpy.typing as npt
import torch
from camvid import CLASSES, VOID, Frames
from segmentation import confusion, mean_iou
from torch import nn
from torch.nn import functional
from torch_parts import Whitening, as_doubles, convolved, fit, inputs_of, parts_of, repeatable, trained_weights
from vectors import VectorsOf

from al_agent import Embeddings, ScorerSemanticSegmentation, SegmentationPredictions
from al_agent.embedding.neighbours.duplicates import near_duplicates
from al_agent.simulation.hidden import HiddenLabels

SIZE = (96, 128)
"""Height and width that frames are made."""

STRIDE = 4
"""Pixels of a frame, in each direction, that the network says one distribution of."""

_N_AT_ONCE = 32  # frames that the trained network is shown at a time


def load_camvid(path: Path, vectors_of: VectorsOf, n_pool: int | None = None, n_test: int | None = None) -> HiddenLabels:
    """Frames and masks `(n, h, w)` of places in `CLASSES`, or `VOID`.

    Of CamVid 468 frames to label, its splits "train" and "val", and the 233 of "test". The split "val" is a few seconds at
    15 frames a second, so that near-duplicates are in the pool: groups are those that `near_duplicates` finds. The amount
    of a label is its outline, the number of borders between pixels of different classes, which is what people draw.

    Args:
        path: A zip file as `Frames` of `tutorials/learning_loss/camvid.py` takes it.
        vectors_of: Gives what items are compared by.
        n_pool: Choose from so many only, evenly spaced.
        n_test: Test on so many only, evenly spaced.
    """
    frames = Frames(path, size=SIZE, n_pool=n_pool, n_test=n_test, pool_splits=("train", "val"))
    (images, masks), (test_images, test_masks) = (
        (torch.stack([frames.image(name) for name in names]).numpy(), torch.stack([frames.labels(name) for name in names]))
        for names in (frames.pool, frames.test)
    )
    vectors = vectors_of(frames.pool, images)
    return HiddenLabels(
        frames.pool,
        images,
        masks.numpy(),
        test_images,
        test_masks.numpy(),
        embeddings=vectors,
        amounts={"outline_pixels": outlines(masks.numpy())},
        groups=_groups(frames.pool, vectors),
    )


def outlines(masks: npt.NDArray[np.uint8]) -> npt.NDArray[np.float64]:
    """`(n,)` borders between neighbouring pixels of different classes, void among them.

    Examples:
        >>> outlines(np.array([[[0, 0], [0, 3]]])).tolist()
        [2.0]
    """
    down, across = masks[:, 1:] != masks[:, :-1], masks[:, :, 1:] != masks[:, :, :-1]
    return np.asarray(down.sum(axis=(1, 2)) + across.sum(axis=(1, 2)), dtype=np.float64)


def _groups(item_ids: Sequence[str], vectors: npt.NDArray[Any]) -> npt.NDArray[np.int64]:
    """`(n,)` numbers, the same for near-duplicates."""
    group_of = {item_id: number for number, item_id in enumerate(item_ids)}
    for group in near_duplicates(Embeddings(item_ids, vectors)).groups:
        group_of.update(dict.fromkeys(group, group_of[group[0]]))
    return np.array([group_of[item_id] for item_id in item_ids], dtype=np.int64)


@dataclass(frozen=True)
class StreetTrainer:
    """Trains `StreetNetwork` on `(k, 3, h, w)` frames and `(k, h, w)` masks.

    A class counts in the loss by one over the root of its share of the labeled pixels, since mean intersection over union
    asks as much for poles as for roads.

    Args:
        n_steps: Steps of training, whatever the number of frames.
        batch_size: Frames of a step.
        learning_rate: The highest.
    """

    n_steps: int = 200
    batch_size: int = 4
    learning_rate: float = 0.01

    def __call__(self, features: npt.NDArray[Any], labels: npt.NDArray[Any], seed: int) -> StreetModel:
        """Train a new network; every other frame is mirrored, and of each 4 x 4 pixels of a mask one is learned from."""
        masks = torch.from_numpy(labels).long()
        counts = torch.bincount(masks.flatten(), minlength=VOID + 1)[:VOID].float() + 1
        weights = counts.rsqrt() * counts.sum() / counts.sqrt().sum()  # 1 on average over the pixels
        with repeatable(seed) as generator:
            network = StreetNetwork(features)

            def loss_of(rows: torch.Tensor) -> torch.Tensor:
                inputs, targets = inputs_of(features[rows.numpy()]), masks[rows]
                is_mirrored = torch.rand(len(rows), 1, 1, generator=generator) < 0.5
                targets = torch.where(is_mirrored, targets.flip(2), targets)
                inputs = torch.where(is_mirrored[..., None], inputs.flip(3), inputs)
                down, across = torch.randint(STRIDE, (2,), generator=generator).tolist()
                seen = targets[:, down::STRIDE, across::STRIDE]
                return functional.cross_entropy(network(inputs), seen, weights, ignore_index=VOID)

            fit(
                network,
                loss_of,
                torch.optim.AdamW(trained_weights(network), self.learning_rate, weight_decay=1e-4),
                n_items=len(features),
                batch_size=self.batch_size,
                n_steps=self.n_steps,
                generator=generator,
            )
        return StreetModel(network)


class StreetNetwork(nn.Module):
    """Logits of the classes of every 4 x 4 pixels, `(b, 3, h, w)` to `(b, c, h / 4, w / 4)`: 0.1 million weights.

    It looks around by dilated convolutions at a stride of 8, and brings what it saw back to the maps of stride 4.

    Args:
        frames: `(k, 3, h, w)`, h and w multiples of 8; the first layer is learned from them.
    """

    def __init__(self, frames: npt.NDArray[Any]) -> None:
        super().__init__()
        self.near = nn.Sequential(Whitening(frames, 12), convolved(24, 32, stride=2))
        self.far = convolved(32, 48, stride=2)
        self.around = nn.ModuleList(convolved(48, 48, dilation=dilation) for dilation in (1, 2, 4))
        self.from_near, self.from_far = nn.Conv2d(32, 48, 1), nn.Conv2d(48, 48, 1, bias=False)
        self.classify = nn.Sequential(nn.BatchNorm2d(48), nn.ReLU(), nn.Conv2d(48, len(CLASSES), 1))

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        """Logits."""
        near = self.near(inputs)
        far = self.far(near)
        for layer in self.around:
            far = far + layer(far)
        larger = functional.interpolate(self.from_far(far), size=near.shape[2:], mode="bilinear", align_corners=False)
        logits: torch.Tensor = self.classify(self.from_near(near) + larger)
        return logits


class StreetModel:
    """A trained network, as a study asks it."""

    def __init__(self, network: StreetNetwork) -> None:
        self.network = network

    def score(self, x: npt.NDArray[Any], y: npt.NDArray[Any]) -> float:
        """Mean intersection over union of all frames together, at their size; void is left out.

        Args:
            x: `(t, 3, h, w)` frames.
            y: `(t, h, w)` masks.
        """
        counts = torch.zeros(len(CLASSES), len(CLASSES), dtype=torch.long)
        with repeatable(0), torch.no_grad():
            for logits, masks in self._with_masks(x, y):
                counts += confusion(logits.argmax(dim=1), masks, len(CLASSES))
        return mean_iou(counts)

    def scorer(self, item_ids: Sequence[str], x: npt.NDArray[Any]) -> ScorerSemanticSegmentation:
        """Of one distribution for each 4 x 4 pixels."""
        with repeatable(0), torch.no_grad():
            maps = torch.cat([self.network(inputs_of(part)).softmax(dim=1) for part in parts_of(x, _N_AT_ONCE)]).numpy()
        return ScorerSemanticSegmentation(SegmentationPredictions(item_ids, maps, class_axis=0), n_threads=1)

    def true_loss(self, x: npt.NDArray[Any], y: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
        """`(n,)` mean cross-entropies of the pixels that are not void, for the control that knows them."""
        losses = []
        with repeatable(0), torch.no_grad():
            for logits, masks in self._with_masks(x, y):
                entropies = functional.cross_entropy(logits, masks.long(), ignore_index=VOID, reduction="none")
                losses.append(entropies.sum(dim=(1, 2)) / (masks != VOID).sum(dim=(1, 2)).clamp(min=1))
        return as_doubles(torch.cat(losses))

    def _with_masks(self, x: npt.NDArray[Any], y: npt.NDArray[Any]) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        """Logits of the size of the masks, and these."""
        for frames, masks in zip(parts_of(x, _N_AT_ONCE), parts_of(y, _N_AT_ONCE)):
            logits = self.network(inputs_of(frames))
            larger = functional.interpolate(logits, size=masks.shape[1:], mode="bilinear", align_corners=False)
            yield larger, masks
