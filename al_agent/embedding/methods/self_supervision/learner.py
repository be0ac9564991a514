"""Self-supervised learning: a network, the steps that train it, and all that a stopped training needs to go on."""

from __future__ import annotations

import csv
import io
import os
from pathlib import Path
from typing import Any, NamedTuple, cast

import numpy as np
import torch
from torch import nn

from scorers.files import written_whole

from .backbone import Backbone, ResidualNetwork
from .contrast import contrast
from .recipe import Recipe

_FORMAT = "al-agent self-supervised learning 1"
_WEIGHT_DECAY = 1e-4
_N_HIDDEN, _N_OUT = 512, 128  # of the head, which is not used afterwards


class Epoch(NamedTuple):
    """What is noted of a pass over the images."""

    epoch: int
    loss: float
    seconds: float
    consistency: float
    """Share of views whose nearest of the batch is the other view of their image: needs no labels, 1 is perfect."""


class Learner:
    """A network in training; it starts from random weights of the recipe's seed.

    Args:
        recipe: What to train, and how.
        device: Where.
    """

    def __init__(self, recipe: Recipe, device: torch.device) -> None:
        self.recipe, self.device = recipe, device
        with self.seeded(0):
            self.network = ResidualNetwork.of(cast(Backbone, recipe.backbone), recipe.size)
            if recipe.n_dimensions > self.network.n_stage_features:
                most = self.network.n_stage_features
                raise ValueError(
                    f"n_dimensions is {recipe.n_dimensions}; the backbone {recipe.backbone!r} has {most} at most"
                )
            n = self.network.n_features
            self.head = nn.Sequential(
                nn.Linear(n, _N_HIDDEN), nn.BatchNorm1d(_N_HIDDEN), nn.ReLU(inplace=True), nn.Linear(_N_HIDDEN, _N_OUT)
            )
        self.network.to(device=device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.head.to(device)
        parameters = [*self.network.parameters(), *self.head.parameters()]
        self.optimizer = torch.optim.AdamW(
            [
                {"params": [values for values in parameters if values.ndim > 1], "weight_decay": _WEIGHT_DECAY},
                {"params": [values for values in parameters if values.ndim < 2], "weight_decay": 0.0},
            ],
            lr=recipe.learning_rate,
        )
        self.is_half = device.type in ("cpu", "cuda") and _has_bfloat16(device)
        self.history: list[Epoch] = []
        self.elapsed_s = 0.0
        self.is_finished = False
        self.mean = torch.empty(0)
        self.directions = torch.empty(0)

    def seeded(self, stream: int) -> Any:
        """A context with random numbers of its own, given by the recipe's seed and a number; torch's go on afterwards."""
        return _Seeded([self.recipe.seed, stream], self.device)

    def step(self, images: torch.Tensor, augmentation: Any, learning_rate: float) -> tuple[float, float]:
        """Learn from a batch `(b, 3, h, w)` of uint8; gives the loss and the consistency."""
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate
        self.network.train()
        values = images.to(self.device).float() / 255
        with torch.no_grad():
            views = ready(torch.cat([augmentation(values), augmentation(values)]))
        with torch.autocast(self.device.type, dtype=torch.bfloat16, enabled=self.is_half):
            vectors = self.head(self.network(views))
        first, second = vectors.float().chunk(2)
        loss, consistency = contrast(first, second, self.recipe.temperature)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        self.optimizer.step()
        return float(loss.detach()), float(consistency)

    def features(self, images: torch.Tensor) -> torch.Tensor:
        """Means of all stages `(b, f)` of images `(b, 3, h, w)` of uint8, of an image and its mirror image alike."""
        self.network.eval()
        images = ready(images.to(self.device).float() / 255)
        with torch.inference_mode():
            found = self.network.stages(images)
            if self.recipe.views.flip:
                found = (found + self.network.stages(images.flip(3))) / 2
        return found

    def finish(self, features: torch.Tensor) -> None:
        """Find the coordinates of the result: the principal components of `(n, f)` features, each of variance 1.

        Raises:
            ValueError: The features vary in fewer directions than asked for.
        """
        wanted = self.recipe.n_dimensions
        values = features.cpu().double()
        mean = values.mean(0)
        squares, directions = torch.linalg.eigh((values - mean).T @ (values - mean) / max(1, len(values) - 1))
        n_varying = int((squares > squares.max() * 1e-9).sum())
        if n_varying < wanted:
            raise ValueError(f"n_dimensions is {wanted}; the features of these images vary in {n_varying}: ask for fewer")
        squares, directions = squares.flip(0)[:wanted], directions.flip(1)[:, :wanted]
        signs = directions.gather(0, directions.abs().argmax(0, keepdim=True)).sign()
        self.mean = mean.float().to(self.device)
        self.directions = (directions * signs / squares.sqrt()).float().to(self.device)
        self.is_finished = True

    def save(self, path: Path, images: str) -> None:
        """Write everything to `path` and the learning curve to `.learning_curve.csv` beside it, each whole or not at all."""
        state = {
            "format": _FORMAT,
            "recipe": self.recipe.as_text(),
            "images": images,
            "network": self.network.state_dict(),
            "head": self.head.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "history": [list(epoch) for epoch in self.history],
            "elapsed_s": self.elapsed_s,
            "is_finished": self.is_finished,
            "mean": self.mean,
            "directions": self.directions,
        }
        with written_whole(path) as file:
            torch.save(state, file)
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(Epoch._fields)
        writer.writerows(
            (epoch, f"{loss:.6g}", f"{seconds:.2f}", f"{share:.4f}") for epoch, loss, seconds, share in self.history
        )
        with written_whole(path.with_suffix(".learning_curve.csv")) as file:
            file.write(text.getvalue().encode())

    @classmethod
    def load(cls, path: str | os.PathLike[str], device: torch.device) -> tuple[Learner, str]:
        """A learner as it was saved, and the digest of its images. Only tensors and plain values are read.

        Raises:
            FileNotFoundError: There is no such file.
            ValueError: It is no such file, or damaged.
        """
        where = repr(os.fspath(path))
        with Path(path).open("rb") as file:
            try:
                state = torch.load(file, map_location="cpu", weights_only=True)
            except Exception as error:  # damaged bytes can fail in any way
                raise ValueError(f"{where} is no checkpoint of self-supervised learning, or damaged") from error
        if not isinstance(state, dict) or state.get("format") != _FORMAT:
            raise ValueError(f"{where} is no checkpoint of self-supervised learning of this version")
        try:
            learner = cls(Recipe.from_text(state["recipe"]), device)
            learner.network.load_state_dict(state["network"])
            learner.head.load_state_dict(state["head"])
            learner.optimizer.load_state_dict(state["optimizer"])
            learner.history = [Epoch(*row) for row in state["history"]]
            learner.elapsed_s = float(state["elapsed_s"])
            learner.is_finished = bool(state["is_finished"])
            learner.mean, learner.directions = state["mean"].to(device), state["directions"].to(device)
            return learner, str(state["images"])
        except (KeyError, TypeError, ValueError, RuntimeError, AttributeError) as error:
            raise ValueError(f"{where} is no checkpoint of self-supervised learning: {error}") from error


class _Seeded:
    def __init__(self, entropy: list[int], device: torch.device) -> None:
        self._seed = int(np.random.SeedSequence(entropy).generate_state(1, np.uint64)[0] >> 1)
        self._fork = torch.random.fork_rng(devices=[device] if device.type == "cuda" else [])

    def __enter__(self) -> None:
        self._fork.__enter__()
        torch.manual_seed(self._seed)

    def __exit__(self, *error: Any) -> None:
        self._fork.__exit__(*error)


def ready(images: torch.Tensor) -> torch.Tensor:
    """Images `(b, 3, h, w)` in [0, 1] as the network takes them."""
    return ((images - 0.5) / 0.25).contiguous(memory_format=torch.channels_last)


def _has_bfloat16(device: torch.device) -> bool:
    """Whether the device computes in bfloat16, and is faster by it."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported())
    return bool(getattr(torch.cpu, "_is_avx512_bf16_supported", lambda: False)())
