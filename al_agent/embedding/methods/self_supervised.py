"""Embeddings by a network that learned from the images themselves, without a label and without a download."""

from __future__ import annotations

import hashlib
import math
import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch

from ..embedder import Embedder, Fit, Images, Pixels
from .network import weights_digest
from .preparation import checked_size
from .self_supervision.backbone import Backbone
from .self_supervision.learner import Epoch, Learner
from .self_supervision.recipe import LEAST_BATCH, Budget, Recipe
from .self_supervision.views import Views
from .torch_device import as_tensor, torch_device

_N_AT_A_TIME = 256
_VIEW_SHARE = 0.75  # of a side: views in training are smaller than the images, which costs half
_WARM_UP = 0.03  # share of the budget in which the learning rate rises


class Progress(NamedTuple):
    """Where a training is."""

    epoch: int
    step: int
    n_steps: int
    loss: float
    learning_rate: float
    share_done: float
    seconds_left: float


class EmbedderSelfSupervised(Embedder):
    """Vectors from a network that learns from your own images (extra `self-supervised`: torch and kornia).

    Two random views of each image, cropped, mirrored and recoloured, shall be nearer to each other than to views of other
    images (SimCLR). What comes out are the mean activations of all stages of the network, of an image and its mirror image,
    turned to their principal components, each of variance 1.

    Use it where published networks do not know your kind of image, or must not be used. It needs thousands of images; a few
    hundred are better served by a published network. The images are read once and kept in memory, 3 h w bytes each (12 KB
    at 64x64); beyond `max_images` a random choice is learned from, and all are embedded.

    On a CPU, `epochs` and a seed give the same vectors again, with the same number of threads and version of torch;
    `minutes` does not, as what fits into them varies.

    Args:
        checkpoint: A file that the training is kept in, after each epoch: the same call goes on where a stopped one was,
            and trains no more when it is done. More epochs or minutes train on. The learning curve is beside it, in
            `.learning_curve.csv`: epoch, loss, seconds, and the share of views nearest to the other view of their image.
            None keeps nothing.
        epochs: Passes over the images; or
        minutes: time to learn, on the clock.
        size: Height and width in pixels; 32 is enough for simple scenes, and time grows little with it.
        n_dimensions: Length of the vectors.
        backbone: `small`, for minutes on a CPU, or `resnet18`, for a GPU.
        views: How views differ; switch off there what carries meaning.
        batch_size: Images of a step, each told from the others; more are better, and slower.
        temperature: How much the nearest of the others count; smaller, the nearer.
        learning_rate: The largest; it rises at first and falls along a cosine to 0.
        fit_to_size: How images get that size.
        max_images: How many images to learn from at most.
        seed: Of everything random.
        device: Where to compute, such as `cpu` or `cuda`.
        progress: Called after each step.

    Raises:
        ValueError: A bad option, or no such device.

    Examples:
        >>> embedder = EmbedderSelfSupervised("network.pt", minutes=10, size=(64, 64))
        >>> embedder.description
        'self-supervised small, size (64, 64), untrained'

    References:
        Chen, Kornblith, Norouzi, Hinton: A simple framework for contrastive learning of visual representations, 2020,
        arXiv:2002.05709.
    """

    def __init__(
        self,
        checkpoint: str | os.PathLike[str] | None = None,
        *,
        epochs: int | None = None,
        minutes: float | None = None,
        size: Sequence[int] = (64, 64),
        n_dimensions: int = 128,
        backbone: Backbone = "small",
        views: Views | None = None,
        batch_size: int = 256,
        temperature: float = 0.2,
        learning_rate: float = 2e-3,
        fit_to_size: Fit = "stretch",
        max_images: int = 100_000,
        seed: int = 0,
        device: str | torch.device = "cpu",
        progress: Callable[[Progress], object] | None = None,
    ) -> None:
        self.budget: Budget | None = Budget(epochs, minutes)
        self.recipe = Recipe(
            size=checked_size(size),
            fit_to_size=fit_to_size,
            backbone=backbone,
            views=Views() if views is None else views,
            batch_size=batch_size,
            temperature=temperature,
            learning_rate=learning_rate,
            n_dimensions=n_dimensions,
            max_images=max_images,
            seed=seed,
        )
        self._take(None, None if checkpoint is None else Path(checkpoint), torch_device(device))
        self._progress = progress
        self.clock: Callable[[], float] = time.monotonic

    @classmethod
    def trained(cls, checkpoint: str | os.PathLike[str], *, device: str | torch.device = "cpu") -> EmbedderSelfSupervised:
        """The embedder of a finished training, for other images: it learns no more, so its vectors stay comparable.

        Raises:
            FileNotFoundError: There is no such file.
            ValueError: It is no checkpoint, or the training is not finished.
        """
        where = torch_device(device)
        learner, _ = Learner.load(checkpoint, where)
        if not learner.is_finished:
            raise ValueError(f"the training in '{os.fspath(checkpoint)}' is not finished; go on with it first")
        embedder = cls.__new__(cls)
        embedder.recipe, embedder.budget = learner.recipe, None
        embedder._take(learner, Path(checkpoint), where)
        return embedder

    def _take(self, learner: Learner | None, checkpoint: Path | None, device: torch.device) -> None:
        self.checkpoint, self.device, self._learner = checkpoint, device, learner
        self.size, self.batch_size = self.recipe.size, self.recipe.batch_size
        self.fit_to_size = self.recipe.fit_to_size  # type: ignore[assignment]

    @property
    def history(self) -> tuple[Epoch, ...]:
        """The learning curve."""
        return () if self._learner is None else tuple(self._learner.history)

    def fit(self, images: Images) -> None:
        """Learn from the images, or go on with it, for as long as is left.

        Raises:
            ImportError: kornia is not installed.
            FileNotFoundError: There is no folder for the checkpoint.
            ValueError: Fewer images than a batch can be read; the checkpoint is of other images or options; or the loss is
                no longer a number. The checkpoint is then that of the last good epoch.
        """
        if self.budget is None:
            return
        digest = hashlib.sha256("\0".join(images.item_ids).encode("utf-8", "surrogatepass")).hexdigest()
        learner = self._resumed(digest)
        if learner.is_finished and self._share_done(learner) >= 1:
            self._learner = learner
            return
        if self.checkpoint is not None and not self.checkpoint.parent.is_dir():
            raise FileNotFoundError(f"there is no folder '{self.checkpoint.parent}' for the checkpoint")
        height, width = (max(16, round(_VIEW_SHARE * side)) for side in self.size)
        augmentation = self.recipe.views.augmentation((height, width))
        pixels = self._read(images)
        learner.is_finished = False
        while self._share_done(learner) < 1:
            self._epoch(learner, pixels, augmentation)
            if self.checkpoint is not None:
                learner.save(self.checkpoint, digest)
        features = [
            learner.features(pixels[i : i + _N_AT_A_TIME].permute(0, 3, 1, 2)) for i in range(0, len(pixels), _N_AT_A_TIME)
        ]
        learner.finish(torch.cat(features))
        if self.checkpoint is not None:
            learner.save(self.checkpoint, digest)
        self._learner = learner

    def _resumed(self, digest: str) -> Learner:
        if self.checkpoint is None or not self.checkpoint.exists():
            return Learner(self.recipe, self.device)
        learner, of_images = Learner.load(self.checkpoint, self.device)
        what = f"'{self.checkpoint}' holds a training"
        if learner.recipe != self.recipe:
            theirs, ours = vars(learner.recipe), vars(self.recipe)
            name = next(name for name in ours if ours[name] != theirs[name])
            raise ValueError(f"{what} with {name} {theirs[name]!r}, not {ours[name]!r}; give another file, or remove it")
        if of_images != digest:
            raise ValueError(
                f"{what} on other images; give another file to learn from these, or use EmbedderSelfSupervised.trained to "
                "embed them with that network"
            )
        return learner

    def _share_done(self, learner: Learner, epochs_begun: float = 0.0) -> float:
        budget = self.budget or Budget(epochs=1)
        return budget.share_done(len(learner.history) + epochs_begun, learner.elapsed_s)

    def _read(self, images: Images) -> torch.Tensor:
        """The pixels to learn from, `(n, h, w, 3)`."""
        n = len(images)
        rows = np.arange(n)
        if n > self.recipe.max_images:
            rows = np.sort(np.random.default_rng(self.recipe.seed).choice(n, self.recipe.max_images, replace=False))
        pixels = np.empty((len(rows), *self.size, 3), dtype=np.uint8)
        n_read = 0
        for start in range(0, len(rows), _N_AT_A_TIME):
            batch = images.read(rows[start : start + _N_AT_A_TIME].tolist(), self.size, self.fit_to_size)
            pixels[n_read : n_read + len(batch.pixels)] = batch.pixels
            n_read += len(batch.pixels)
        self._check_number(n_read)
        return torch.from_numpy(pixels[:n_read])

    def _check_number(self, n_read: int) -> None:
        """Raise if there are too few images, with all that has to change and values that work."""
        n_dimensions = self.recipe.n_dimensions
        if n_read >= self.batch_size and n_read > n_dimensions:
            return
        wrong = []
        if n_read < self.batch_size:
            wrong.append(f"fewer than the batch_size of {self.batch_size}")
        if n_read <= n_dimensions:
            wrong.append(f"too few for n_dimensions of {n_dimensions}")
        advice = "use a pretrained network"
        if n_read >= LEAST_BATCH:
            batch_size = min(self.batch_size, 1 << n_read.bit_length() - 1)
            n_dimensions = min(n_dimensions, 1 << (n_read - 1).bit_length() - 1)
            advice += f", or batch_size={batch_size}, n_dimensions={n_dimensions} (--batch-size, --dimensions)"
        raise ValueError(f"{n_read} images can be read, {' and '.join(wrong)}; learning needs thousands: {advice}")

    def _epoch(self, learner: Learner, pixels: torch.Tensor, augmentation: Any) -> None:
        number = len(learner.history) + 1
        n_steps = len(pixels) // self.batch_size
        order = torch.from_numpy(np.random.default_rng([self.recipe.seed, number]).permutation(len(pixels)))
        began_s = elapsed_s = learner.elapsed_s
        clock_s = self.clock()
        losses, shares = [], []
        with learner.seeded(number):
            for step in range(n_steps):
                share_done = self._share_done(learner, step / n_steps)
                if share_done >= 1:
                    break
                rate = self.recipe.learning_rate * _rate(share_done)
                batch = pixels[order[step * self.batch_size : (step + 1) * self.batch_size]].permute(0, 3, 1, 2)
                loss, share = learner.step(batch, augmentation, rate)
                if not math.isfinite(loss):
                    kept = "" if self.checkpoint is None else f"; the checkpoint has the {number - 1} epochs before"
                    raise ValueError(f"the loss of epoch {number} is {loss}; use a learning_rate below {rate:.3g}{kept}")
                losses.append(loss)
                shares.append(share)
                learner.elapsed_s = elapsed_s + self.clock() - clock_s
                if self._progress is not None:
                    done = self._share_done(learner, (step + 1) / n_steps)
                    left_s = learner.elapsed_s / done * (1 - done)
                    self._progress(Progress(number, step + 1, n_steps, loss, rate, done, left_s))
        learner.history.append(Epoch(number, float(np.mean(losses)), learner.elapsed_s - began_s, float(np.mean(shares))))

    def embed(self, pixels: Pixels) -> npt.NDArray[np.floating[Any]]:
        """Vectors `(b, n_dimensions)` in float32 of `(b, h, w, 3)` pixels.

        Raises:
            ValueError: Nothing was learned yet.
        """
        if self._learner is None:
            raise ValueError("nothing was learned yet; call fit first")
        features = self._learner.features(as_tensor(pixels, self.device))
        return np.asarray(((features - self._learner.mean) @ self._learner.directions).cpu().numpy())

    @property
    def description(self) -> str:
        """The backbone, the size, and the digest of what was learned."""
        learned = "untrained"
        if self._learner is not None:
            learned = f"{len(self.history)} epochs, weights {weights_digest(self._learner.network)}"
        return f"self-supervised {self.recipe.backbone}, size {self.size}, {learned}"


def _rate(share_done: float) -> float:
    """The learning rate at this share of the budget, of the largest."""
    if share_done < _WARM_UP:
        return (share_done + 1e-3) / _WARM_UP
    return 0.5 * (1 + math.cos(math.pi * (share_done - _WARM_UP) / (1 - _WARM_UP)))
