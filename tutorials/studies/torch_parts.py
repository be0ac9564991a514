"""What the networks of all studies share: one thread, numbers from one seed, a fixed first layer, a training of n steps."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn
from torch.nn import functional

_N_PHOTOS, _N_PATCHES = 1000, 50_000  # that a first layer looks at; with more it is no other
_FLOOR = 0.01  # of a direction's variance, where pixels lie between -1 and 1 or a little beyond
_WARM_UP = 0.2  # share of the steps in which the learning rate rises


@contextmanager
def repeatable(seed: int) -> Iterator[torch.Generator]:
    """Torch on one thread, with all its random numbers from a seed; afterwards as it was before.

    One thread, because a study shares the processors among its runs, and because sums over several differ in the last bits.

    Args:
        seed: Of torch's own generator, which new weights are drawn from, and of the one that is given.

    Examples:
        >>> with repeatable(7):
        ...     first = torch.rand(1)
        >>> with repeatable(7):
        ...     torch.equal(first, torch.rand(1))
        True
    """
    n_threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            yield torch.Generator().manual_seed(seed)
    finally:
        torch.set_num_threads(n_threads)


def inputs_of(photos: npt.NDArray[Any] | torch.Tensor) -> torch.Tensor:
    """Photos `(b, 3, h, w)` of 0 to 255 as float32 from -2 to 2, about as far from their mean as from each other."""
    return torch.as_tensor(photos).float() / 63.75 - 2


def parts_of(rows: npt.NDArray[Any], n_at_once: int) -> Sequence[torch.Tensor]:
    """Rows in parts that fit into memory, for a trained network.

    Examples:
        >>> [part.tolist() for part in parts_of(np.arange(5), 2)]
        [[0, 1], [2, 3], [4]]
    """
    parts: Sequence[torch.Tensor] = torch.as_tensor(rows).split(n_at_once)  # type: ignore[no-untyped-call]
    return parts


class Whitening(nn.Module):
    """A fixed first layer of stride 2: patches of 4 x 4 pixels without what they have in common, and both signs of it.

    With the eigenvectors v and the eigenvalues l of the covariance of the patches, the channels are
    `relu(± v·x / sqrt(l + 0.01))`, of the directions of the largest l. Nothing is trained, so that a small network has
    good edges and colours from its first step on: with 2,000 photos of CIFAR-10 one got 54% right with such a layer, and
    47% with one that it had to learn.

    Args:
        photos: `(k, 3, h, w)` of 0 to 255, to learn the patches from; labels are not needed.
        n_directions: Half of the channels, 48 at most.

    References:
        A. Coates and A. Y. Ng, 2012, doi:10.1007/978-3-642-35289-8_30; as a layer of a network: K. Jordan, 94% on CIFAR-10
        in 3.29 seconds on a single GPU, 2024, arXiv:2404.00498.
    """

    filters: torch.Tensor

    def __init__(self, photos: npt.NDArray[Any], n_directions: int) -> None:
        super().__init__()
        patches = functional.unfold(inputs_of(photos[:_N_PHOTOS]), 4, stride=4).transpose(1, 2).reshape(-1, 48)
        patches = patches[:: math.ceil(len(patches) / _N_PATCHES)]
        patches = patches - patches.mean(dim=0)
        variances, directions = torch.linalg.eigh(patches.T @ patches / len(patches))
        scaled = directions / (variances.clamp(min=0) + _FLOOR).sqrt()
        filters = scaled[:, -n_directions:].T.reshape(-1, 3, 4, 4)
        self.register_buffer("filters", torch.cat([filters, -filters]))

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        """`(b, 3, h, w)` to `(b, 2 n_directions, h / 2, w / 2)`."""
        return functional.relu(functional.conv2d(inputs, self.filters, stride=2, padding=1))


def convolved(n_in: int, n_out: int, *, stride: int = 1, dilation: int = 1) -> nn.Sequential:
    """A 3 x 3 convolution, batch normalisation, and what is above 0 of it."""
    layer = nn.Conv2d(n_in, n_out, 3, stride, padding=dilation, dilation=dilation, bias=False)
    return nn.Sequential(layer, nn.BatchNorm2d(n_out), nn.ReLU())


def drawn(n_items: int, batch_size: int, n_steps: int, generator: torch.Generator) -> Iterator[torch.Tensor]:
    """Rows of `n_steps` batches: every item once in random order, then all again, for as long as it takes.

    Examples:
        >>> batches = list(drawn(3, 2, 3, torch.Generator().manual_seed(0)))
        >>> sorted(torch.cat(batches).tolist())
        [0, 0, 1, 1, 2, 2]
    """
    n_orders = math.ceil(n_steps * batch_size / n_items)
    rows = torch.cat([torch.randperm(n_items, generator=generator) for _ in range(n_orders)])
    for step in range(n_steps):
        yield rows[step * batch_size : (step + 1) * batch_size]


def fit(
    network: nn.Module,
    loss_of: Callable[[torch.Tensor], torch.Tensor],
    optimizer: torch.optim.Optimizer,
    *,
    n_items: int,
    batch_size: int,
    n_steps: int,
    generator: torch.Generator,
) -> None:
    """Train a network for a number of steps, whatever the number of labels; the learning rate rises and falls once.

    Args:
        network: It is left in evaluation mode.
        loss_of: `(b,)` rows of labeled items to the mean loss of the network on them.
        optimizer: With the highest learning rate.
        n_items: Labeled items.
        batch_size: b.
        n_steps: Steps, 10 or more.
        generator: Draws the batches.

    Raises:
        FloatingPointError: A loss is not finite.

    References:
        L. N. Smith and N. Topin, Super-convergence, 2018, arXiv:1708.07120 (the learning rate).
    """
    rate = optimizer.param_groups[0]["lr"]
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, rate, total_steps=n_steps, pct_start=_WARM_UP)
    network.train()
    for step, rows in enumerate(drawn(n_items, batch_size, n_steps, generator)):
        loss = loss_of(rows)
        if not math.isfinite(loss.item()):
            raise FloatingPointError(f"the loss is {loss.item()} in step {step} of {n_steps}; lower the learning rate")
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]  # torch has no types here
        optimizer.step()
        schedule.step()
    network.eval()


def trained_weights(network: nn.Module) -> list[nn.Parameter]:
    """What an optimizer takes."""
    return [weight for weight in network.parameters() if weight.requires_grad]


def as_doubles(values: torch.Tensor) -> npt.NDArray[np.float64]:
    """The numbers of a tensor for a scorer."""
    return values.detach().double().numpy()
