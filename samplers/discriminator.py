"""A small network that learns to tell two sets of rows apart, with the same result for any number of threads."""

from __future__ import annotations

import contextlib
import itertools
import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch

from .distances import Distances, blocks

Floats32 = npt.NDArray[np.float32]
Flags = npt.NDArray[np.bool_]

N_HIDDEN_LAYERS = 3  # the authors', as are the next three
WIDTH = 256
NARROW_WIDTH = 20
NARROW_BELOW = 30  # dimensions
_VALUES_PER_BLOCK = 1 << 20


class Recipe(NamedTuple):
    """How a discriminator is trained."""

    stop_accuracy: float
    max_epochs: int
    minibatch_size: int
    learning_rate: float


class Training(NamedTuple):
    """What a training came to: the balanced accuracy after its last epoch, and how many there were."""

    accuracy: float
    n_epochs: int


class Discriminator:
    """Layers of 256 ReLUs, three of them, or of 20 for fewer than 30 dimensions; then one number for each of two sets.

    There is no dropout and no weight decay. Weights are drawn uniformly from ±sqrt(6 / inputs), and biases are 0 (He et
    al., 2015, arXiv:1502.01852). They come from `rng`, so that torch's own randomness is neither read nor changed.

    Args:
        n_dimensions: Length of a row.
        rng: Draws the weights.
        device: Where to compute.
    """

    def __init__(self, n_dimensions: int, rng: np.random.Generator, device: torch.device) -> None:
        width = NARROW_WIDTH if n_dimensions < NARROW_BELOW else WIDTH
        sizes = [n_dimensions, *[width] * N_HIDDEN_LAYERS, 2]
        self.weights: list[torch.Tensor] = []
        self.biases: list[torch.Tensor] = []
        for n_in, n_out in itertools.pairwise(sizes):
            most = math.sqrt(6 / n_in)
            weight = rng.uniform(-most, most, size=(n_out, n_in)).astype(np.float32)
            self.weights.append(torch.from_numpy(weight).to(device).requires_grad_())
            self.biases.append(torch.from_numpy(np.zeros(n_out, np.float32)).to(device).requires_grad_())

    def parameters(self) -> list[torch.Tensor]:
        """All weights and biases."""
        return [*self.weights, *self.biases]

    def __call__(self, rows: torch.Tensor) -> torch.Tensor:
        """`(b, 2)` logits of `(b, d)` rows: of the labeled, and of the unlabeled set."""
        return _through(rows, self.weights, self.biases)

    def log_odds(self, rows: Floats32) -> Distances:
        """`(n,)` log odds that a row is unlabeled, in float64 by the processor, so that equal rows get equal values."""
        weights, biases = ([one.detach().cpu().double() for one in each] for each in (self.weights, self.biases))
        result = np.empty(len(rows))
        with torch.no_grad():
            for part in blocks(len(rows), max(WIDTH, rows.shape[1]), _VALUES_PER_BLOCK):
                logits = _through(torch.from_numpy(rows[part]).double(), weights, biases).numpy()
                result[part] = logits[:, 1] - logits[:, 0]
        # What remains of rounding is far below the digits that float32 keeps.
        return result.astype(np.float32).astype(np.float64)


def trained(
    rows: Floats32, is_unlabeled: Flags, recipe: Recipe, rng: np.random.Generator, device: torch.device
) -> tuple[Discriminator, Training]:
    """A new discriminator, trained by Adam as `train` says."""
    discriminator = Discriminator(rows.shape[1], rng, device)
    optimizer = torch.optim.Adam(discriminator.parameters(), lr=recipe.learning_rate)
    return discriminator, train(discriminator, optimizer, rows, is_unlabeled, recipe, rng)


def train(
    discriminator: Discriminator,
    optimizer: torch.optim.Optimizer,
    rows: Floats32,
    is_unlabeled: Flags,
    recipe: Recipe,
    rng: np.random.Generator,
) -> Training:
    """Lower the cross-entropy with balanced class weights, until the balanced accuracy reaches `recipe.stop_accuracy`.

    A row of a class with m of n rows has weight n / (2 m). After each epoch all rows are classified, and the balanced
    accuracy is the mean of the shares of the labeled and of the unlabeled rows that were classified right: 0.5 for a network
    that knows nothing, whatever the sizes of the two sets. Time O(epochs n (d w + w²)) for layers of width w.

    Args:
        discriminator: What to train.
        optimizer: Of its parameters.
        rows: `(n, d)` rows in writable float32.
        is_unlabeled: `(n,)` the set that each belongs to; both have rows.
        recipe: When to stop, and the size of a step.
        rng: Shuffles the rows in each epoch.
    """
    device = discriminator.weights[0].device
    inputs = torch.from_numpy(rows).to(device)
    targets = torch.from_numpy(is_unlabeled.astype(np.int64)).to(device)
    counts = np.bincount(is_unlabeled, minlength=2)
    weights = torch.from_numpy((len(rows) / (2 * counts)).astype(np.float32)).to(device)
    n_steps = math.ceil(len(rows) / recipe.minibatch_size)
    accuracy, n_epochs = 0.0, 0
    while n_epochs < recipe.max_epochs and accuracy < recipe.stop_accuracy:
        for chosen in np.array_split(rng.permutation(len(rows)), n_steps):
            places = torch.from_numpy(chosen).to(device)
            wanted = targets[places]
            losses = torch.nn.functional.cross_entropy(discriminator(inputs[places]), wanted, reduction="none")
            optimizer.zero_grad()
            (losses * weights[wanted]).mean().backward()  # type: ignore[no-untyped-call]
            optimizer.step()
        n_epochs += 1
        accuracy = balanced_accuracy(discriminator, inputs, is_unlabeled)
    return Training(accuracy, n_epochs)


def balanced_accuracy(discriminator: Discriminator, inputs: torch.Tensor, is_unlabeled: Flags) -> float:
    """The mean of the shares of both sets that are classified right; a row with equal logits counts as labeled."""
    found = np.empty(len(is_unlabeled), dtype=bool)
    with torch.no_grad():
        for part in blocks(len(found), max(WIDTH, inputs.shape[1]), _VALUES_PER_BLOCK):
            logits = discriminator(inputs[part])
            found[part] = (logits[:, 1] > logits[:, 0]).cpu().numpy()
    return float(found[is_unlabeled].mean() + (~found[~is_unlabeled]).mean()) / 2


@contextlib.contextmanager
def alone(device: str | None) -> Iterator[torch.device]:
    """The device of this name, with torch on one thread and in plain float32 with gradients, whatever the caller has set.

    Raises:
        ValueError: Torch has no such device here.
    """
    name = "cpu" if device is None else device
    try:
        there = torch.device(name)
        torch.empty(1, device=there).cpu()
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        said = str(error).splitlines()[0]
        raise ValueError(f"device is {name!r}, and torch says: {said}; leave it out, or use 'cpu'") from error
    n_threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with torch.inference_mode(False), torch.enable_grad(), torch.autocast(there.type, enabled=False):
            yield there
    finally:
        torch.set_num_threads(n_threads)


def _through(rows: torch.Tensor, weights: Sequence[torch.Tensor], biases: Sequence[torch.Tensor]) -> torch.Tensor:
    for weight, bias in zip(weights[:-1], biases[:-1]):
        rows = torch.relu(torch.nn.functional.linear(rows, weight, bias))
    return torch.nn.functional.linear(rows, weights[-1], biases[-1])
