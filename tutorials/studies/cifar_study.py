"""A study of photos with a class each: a small convolutional network learns them from nothing."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import beside  # noqa: F401  # the next imports need it
import numpy as np
import numpy.typing as npt
import torch
from cifar import Photos, read_photos
from torch import nn
from torch.nn import functional
from torch_parts import Whitening, as_doubles, convolved, fit, inputs_of, parts_of, repeatable, trained_weights
from vectors import VectorsOf

from al_agent.simulation.hidden import HiddenLabels

_N_AT_ONCE = 250  # photos that the trained network is shown at a time
_DROPOUT = 0.25  # of the last features, where passes are wanted


def load_cifar(path: Path, vectors_of: VectorsOf, n_pool: int | None = None, n_test: int | None = None) -> HiddenLabels:
    """Photos of 32 x 32 pixels and their classes, 6,000 to label and 2,000 to test on.

    Args:
        path: A zip file as `read_photos` of `tutorials/learning_loss/cifar.py` takes it.
        vectors_of: Gives what items are compared by.
        n_pool: Another number to choose from, the first ones.
        n_test: Another number to test on.
    """
    _, pool, test = read_photos(path, n_pool or 6000, n_test or 2000)
    photos = _channels_first(pool)
    vectors = vectors_of(pool.names, photos)
    return HiddenLabels(pool.names, photos, pool.answers, _channels_first(test), test.answers, embeddings=vectors)


@dataclass(frozen=True)
class PhotoTrainer:
    """Trains `PhotoNetwork` on `(k, 3, h, w)` photos and `(k,)` classes.

    Args:
        n_classes: Probabilities to give.
        n_epochs: Times that every photo is seen.
        n_least_steps: Steps that are taken at least.
        batch_size: Photos of a step, where there are as many.
        learning_rate: The highest.
        n_passes: With 2 or more, predictions are those of so many networks that each lack a quarter of the last features,
            the same ones for all photos: a committee for BALD and BATCH_BALD. Y. Gal and Z. Ghahramani, 2016,
            arXiv:1506.02142.
    """

    n_classes: int = 10
    n_epochs: int = 8
    n_least_steps: int = 100
    batch_size: int = 64
    learning_rate: float = 0.2
    n_passes: int = 1

    def __call__(self, features: npt.NDArray[Any], labels: npt.NDArray[Any], seed: int) -> PhotoModel:
        """Train a new network; every other photo is mirrored."""
        classes = torch.from_numpy(labels)
        with repeatable(seed) as generator:
            network = PhotoNetwork(features, self.n_classes, _DROPOUT if self.n_passes > 1 else 0.0)

            def loss_of(rows: torch.Tensor) -> torch.Tensor:
                inputs = inputs_of(features[rows.numpy()])
                is_mirrored = torch.rand(len(rows), 1, 1, 1, generator=generator) < 0.5
                return functional.cross_entropy(network(torch.where(is_mirrored, inputs.flip(3), inputs)), classes[rows])

            fit(
                network,
                loss_of,
                torch.optim.SGD(
                    trained_weights(network), self.learning_rate, momentum=0.9, nesterov=True, weight_decay=5e-4
                ),
                n_items=len(features),
                batch_size=min(self.batch_size, len(features)),
                n_steps=max(self.n_least_steps, self.n_epochs * len(features) // self.batch_size),
                generator=generator,
            )
        return PhotoModel(network, self.n_passes, seed)


class PhotoNetwork(nn.Module):
    """Three convolutions on whitened patches, `(b, 3, h, w)` to logits `(b, c)`: 0.1 million weights.

    Args:
        photos: What the patches are learned from.
        n_classes: c.
        dropout: Share of the last features that is left out in training.
    """

    def __init__(self, photos: npt.NDArray[Any], n_classes: int, dropout: float) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            Whitening(photos, 16),
            convolved(32, 32),
            nn.MaxPool2d(2),
            convolved(32, 64),
            nn.MaxPool2d(2),
            convolved(64, 128),
        )
        self.dropout = nn.Dropout(dropout)
        self.classify = nn.Linear(128, n_classes)

    def features(self, inputs: torch.Tensor) -> torch.Tensor:
        """The last features `(b, 128)`."""
        maps: torch.Tensor = self.layers(inputs)
        return maps.mean(dim=(2, 3))

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        """Logits."""
        logits: torch.Tensor = self.classify(self.dropout(self.features(inputs)))
        return logits


class PhotoModel:
    """A trained network, as a study asks it.

    Args:
        network: Trained.
        n_passes: See `PhotoTrainer`.
        seed: Of what the passes leave out.
    """

    def __init__(self, network: PhotoNetwork, n_passes: int, seed: int) -> None:
        self.network, self._n_passes, self._seed = network, n_passes, seed

    def score(self, x: npt.NDArray[Any], y: npt.NDArray[Any]) -> float:
        """Share of the photos whose likeliest class is the right one."""
        with repeatable(self._seed), torch.no_grad():
            return float(np.mean(self.network.classify(self._features(x)).argmax(dim=1).numpy() == y))

    def predict_proba(self, x: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
        """`(n, c)` class probabilities; with passes `(n, t, c)`."""
        with repeatable(self._seed) as generator, torch.no_grad():
            features = self._features(x)
            if self._n_passes > 1:
                is_kept = torch.rand(self._n_passes, features.shape[1], generator=generator) >= _DROPOUT
                features = features[:, None] * is_kept / (1 - _DROPOUT)
            return as_doubles(self.network.classify(features).softmax(dim=-1))

    def _features(self, x: npt.NDArray[Any]) -> torch.Tensor:
        parts = [self.network.features(inputs_of(part)) for part in parts_of(x, _N_AT_ONCE)]
        return torch.cat(parts)


def _channels_first(photos: Photos) -> npt.NDArray[np.uint8]:
    return np.ascontiguousarray(photos.pixels.transpose(0, 3, 1, 2))
