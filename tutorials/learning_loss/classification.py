"""Learning loss on classification: which photos would a residual network be most wrong about?

A small residual network for images of 32 pixels, trained from nothing on CIFAR-10. From the root of the repository, in a few
minutes on two processor cores:

    pip install "al-agent[torch]"
    python tutorials/learning_loss/classification.py --data cifar10.zip

`--data` is a zip of cyizhuo/CIFAR-10-dataset: 16,000 of its training photos are chosen from and 4,000 of its test photos are
tested on, or as many as `--n-pool` and `--n-test` say. No licence is stated for the photos, so that none is shown here.

`--published` takes ResNet-18 and the recipe of the paper on all photos: 1,000 at first and 1,000 more in each cycle, chosen
among 10,000, 200 epochs.

References:
    D. Yoo and I. S. Kweon, Learning Loss for Active Learning, 2019, arXiv:1905.03677; A. Krizhevsky, Learning Multiple
    Layers of Features from Tiny Images, 2009; K. He, X. Zhang, S. Ren and J. Sun, Deep Residual Learning for Image
    Recognition, 2016, arXiv:1512.03385.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from cifar import read_photos
from cycles import main
from task import Batch, Recipe
from torch import nn
from torch.nn import functional

PUBLISHED = Recipe(
    n_start=1000,
    n_per_cycle=1000,
    candidate_factor=10,
    epochs=200,
    batch_size=128,
    optimizer="sgd",
    learning_rate=0.1,
    weight_decay=5e-4,
    drop_from_epoch=160,
    detach_from_epoch=120,
    weight=1.0,
)
SMALL = Recipe(
    n_start=1000,
    n_per_cycle=1000,
    candidate_factor=10,
    epochs=30,
    batch_size=32,
    optimizer="sgd",
    learning_rate=0.05,
    weight_decay=5e-4,
    drop_from_epoch=24,
    detach_from_epoch=0,  # at 18 accuracy fell by 3 points, and losses were ranked no better: benchmarks/RESULTS.md
    weight=1.0,
)
_MEAN = (0.4914, 0.4822, 0.4465)  # of the 50,000 training photos, by channel
_DEVIATION = (0.2470, 0.2435, 0.2616)
_PADDING = 4


class BasicBlock(nn.Module):
    """Two 3 x 3 convolutions beside a shortcut, with batch normalisation."""

    def __init__(self, n_in: int, n_out: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(n_in, n_out, 3, stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(n_out)
        self.conv2 = nn.Conv2d(n_out, n_out, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(n_out)
        self.shortcut = nn.Sequential()
        if stride != 1 or n_in != n_out:
            self.shortcut = nn.Sequential(nn.Conv2d(n_in, n_out, 1, stride, bias=False), nn.BatchNorm2d(n_out))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Features `(b, n_in, h, w)` to `(b, n_out, h / stride, w / stride)`."""
        hidden = functional.relu(self.bn1(self.conv1(x)))
        return functional.relu(self.bn2(self.conv2(hidden)) + self.shortcut(x))


class ResNet(nn.Module):
    """A residual network that begins at full resolution, `(b, 3, 32, 32)` to logits `(b, c)`.

    The stages `layer1` to `layer4` halve the resolution from one to the next. The defaults are ResNet-18, which has
    11 million weights.

    Args:
        n_classes: Logits to give.
        widths: Channels of the four stages.
        n_blocks: Blocks of each stage.

    References:
        K. He, X. Zhang, S. Ren and J. Sun, 2016, arXiv:1512.03385; the 3 x 3 stem is that of K. Liu's pytorch-cifar.
    """

    def __init__(
        self, n_classes: int = 10, widths: tuple[int, int, int, int] = (64, 128, 256, 512), n_blocks: int = 2
    ) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, widths[0], 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(widths[0])
        self.layer1 = _stage(widths[0], widths[0], 1, n_blocks)
        self.layer2 = _stage(widths[0], widths[1], 2, n_blocks)
        self.layer3 = _stage(widths[1], widths[2], 2, n_blocks)
        self.layer4 = _stage(widths[2], widths[3], 2, n_blocks)
        self.linear = nn.Linear(widths[3], n_classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Images to logits."""
        hidden = functional.relu(self.bn1(self.conv1(x)))
        hidden = self.layer4(self.layer3(self.layer2(self.layer1(hidden))))
        logits: torch.Tensor = self.linear(hidden.mean(dim=(2, 3)))
        return logits


def _stage(n_in: int, n_out: int, stride: int, n_blocks: int) -> nn.Sequential:
    rest = [BasicBlock(n_out, n_out, 1) for _ in range(n_blocks - 1)]
    return nn.Sequential(BasicBlock(n_in, n_out, stride), *rest)


class Classification:
    """CIFAR-10: which of ten things is in the photo?

    Args:
        path: A zip file as `read_photos` takes it.
        is_published: Take ResNet-18, the published recipe, and all photos.
        n_pool: Photos to choose from; None takes 16,000 at most, or all.
        n_test: Photos to test on; None takes 4,000 at most, or all.
    """

    name = "classification"
    layers: Sequence[str] = ("layer1", "layer2", "layer3", "layer4")
    metric = "accuracy"

    def __init__(
        self, path: Path, *, is_published: bool = False, n_pool: int | None = None, n_test: int | None = None
    ) -> None:
        self.recipe = PUBLISHED if is_published else SMALL
        self._is_published = is_published
        if not is_published:
            n_pool, n_test = n_pool or 16_000, n_test or 4_000
        self.classes, pool, test = read_photos(path, n_pool, n_test)
        self._pool, self._test = pool.names, test.names
        self._photos = torch.from_numpy(np.concatenate([pool.pixels, test.pixels]))
        self._answers = torch.from_numpy(np.concatenate([pool.answers, test.answers]))
        self._row_of = {name: row for row, name in enumerate((*self._pool, *self._test))}

    @property
    def item_ids(self) -> tuple[str, ...]:
        """File names of the training photos."""
        return self._pool

    @property
    def test_item_ids(self) -> tuple[str, ...]:
        """File names of the test photos."""
        return self._test

    def network(self) -> ResNet:
        """ResNet-18, or one of a quarter of its width with one block in a stage."""
        return ResNet(len(self.classes)) if self._is_published else ResNet(len(self.classes), (16, 32, 64, 128), 1)

    def batches(self, item_ids: Sequence[str], *, is_training: bool, seed: int = 0) -> Iterator[Batch]:
        """Photos `(b, 3, 32, 32)` with zero mean and unit deviation, and their classes `(b,)`.

        In training they are shuffled, moved by up to 4 pixels, and every other one is mirrored.
        """
        generator = torch.Generator().manual_seed(seed)
        rows = torch.tensor([self._row_of[item_id] for item_id in item_ids])
        order = torch.randperm(len(rows), generator=generator) if is_training else torch.arange(len(rows))
        for start in range(0, len(order), self.recipe.batch_size):
            places = order[start : start + self.recipe.batch_size]
            photos = self._photos[rows[places]]
            if is_training:
                photos = augmented(photos, generator)
            inputs = (photos.permute(0, 3, 1, 2) / 255.0 - _by_channel(_MEAN)) / _by_channel(_DEVIATION)
            yield [item_ids[place] for place in places.tolist()], inputs, self._answers[rows[places]]

    def losses(self, outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """Cross-entropy of each photo."""
        return functional.cross_entropy(outputs, targets, reduction="none")

    def uncertainties(self, outputs: torch.Tensor) -> torch.Tensor:
        """Entropy of the class probabilities of each photo, in nats."""
        log_p = outputs.log_softmax(dim=1)
        return -(log_p.exp() * log_p).sum(dim=1)

    @torch.no_grad()
    def measure(self, network: nn.Module, device: torch.device) -> dict[str, float]:
        """Share of the test photos whose likeliest class is the right one."""
        was_training = network.training
        network.eval()
        n_right = 0
        for _, inputs, targets in self.batches(self._test, is_training=False):
            n_right += int((network(inputs.to(device)).argmax(dim=1).cpu() == targets).sum())
        network.train(was_training)
        return {"accuracy": n_right / len(self._test)}

    def label(self, item_id: str) -> str:
        """The name of the class."""
        return self.classes[int(self._answers[self._row_of[item_id]])]


def augmented(photos: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Photos `(b, h, w, 3)`, each moved by up to 4 pixels over a black border, and mirrored with even chances."""
    n_photos, height, width, _ = photos.shape
    padded = functional.pad(photos, (0, 0, _PADDING, _PADDING, _PADDING, _PADDING))
    offsets = torch.randint(2 * _PADDING + 1, (2, n_photos, 1), generator=generator)
    is_mirrored = torch.rand(n_photos, 1, generator=generator) < 0.5
    rows = offsets[0] + torch.arange(height)
    columns = offsets[1] + torch.where(is_mirrored, torch.arange(width).flip(0), torch.arange(width))
    return padded[torch.arange(n_photos)[:, None, None], rows[:, :, None], columns[:, None, :]]


def _by_channel(values: tuple[float, float, float]) -> torch.Tensor:
    return torch.tensor(values).view(3, 1, 1)


def make_task(given: argparse.Namespace) -> Classification:
    """The task that the command line asks for."""
    return Classification(given.data, is_published=given.published, n_pool=given.n_pool, n_test=given.n_test)


if __name__ == "__main__":
    main(make_task, __doc__ or "", "cifar10.zip")
