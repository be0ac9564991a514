"""What a task says of itself, so that one loop of cycles can train it, measure it and choose what to label next."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import torch

Batch = tuple[Sequence[str], torch.Tensor, Any]
"""Item ids, inputs `(b, 3, h, w)`, and the targets of these items as the task's `losses` takes them."""


@dataclass(frozen=True)
class Recipe:
    """How a task is trained, and how much of it is labeled in a cycle.

    Args:
        n_start: Images labeled at random to begin with.
        n_per_cycle: Images labeled in each later cycle.
        candidate_factor: The batch is chosen among this many times as many unlabeled images, drawn at random.
        epochs: Passes over the labeled images in each cycle.
        batch_size: Images in a training step.
        optimizer: Which one; SGD has momentum 0.9.
        learning_rate: At the start.
        weight_decay: Of the optimizer.
        drop_from_epoch: From this epoch on a tenth of the learning rate.
        detach_from_epoch: From this epoch on the loss prediction does not shape the network any more.
        weight: Of the ranking loss beside the task's loss (lambda).
        width: Of each tap in the loss prediction.
        grid: Cells on each side that a feature map is averaged to.
    """

    n_start: int
    n_per_cycle: int
    candidate_factor: int
    epochs: int
    batch_size: int
    optimizer: Literal["sgd", "adam", "rmsprop"]
    learning_rate: float
    weight_decay: float
    drop_from_epoch: int
    detach_from_epoch: int
    weight: float
    width: int = 128
    grid: int = 1


class Task(Protocol):
    """A pool of images, a test set, a network, its loss for each image, and its figures."""

    name: str
    recipe: Recipe
    layers: Sequence[str]
    """Names of the network's layers that the loss prediction taps."""
    metric: str
    """The main one of the figures that `measure` gives."""

    @property
    def item_ids(self) -> tuple[str, ...]:
        """The pool that batches are chosen from."""
        ...

    @property
    def test_item_ids(self) -> tuple[str, ...]:
        """Images that are never trained on."""
        ...

    def network(self) -> torch.nn.Module:
        """A new network, its weights drawn from torch's generator."""
        ...

    def batches(self, item_ids: Sequence[str], *, is_training: bool, seed: int = 0) -> Iterable[Batch]:
        """Images of pool or test set: shuffled and augmented by the seed for training, else in order as they are."""
        ...

    def losses(self, outputs: Any, targets: Any) -> torch.Tensor:
        """The loss of each image, `(b,)`, never a mean over images."""
        ...

    def uncertainties(self, outputs: Any) -> torch.Tensor:
        """The task's own uncertainty of each image, `(b,)`, such as the mean entropy; higher means sooner."""
        ...

    def measure(self, network: torch.nn.Module, device: torch.device) -> Mapping[str, float]:
        """Figures on the test set, such as accuracy or mean average precision; the network stays in the mode it was in."""
        ...

    def label(self, item_id: str) -> str:
        """What an annotator would answer, in words."""
        ...
