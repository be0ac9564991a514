"""Embeddings by a network of the user's own: any `torch.nn.Module`."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from scorers.networks.outputs import the_tensor
from scorers.networks.parts import evaluating, like, part_named

from ..embedder import Embedder, Fit, Pixels
from .pooling import Pool, checked_pool, pooled
from .preparation import IMAGENET_MEAN, IMAGENET_STD, checked_batch_size, checked_channels, checked_fit, checked_size
from .torch_device import as_tensor, standardized_tensor, torch_device


class EmbedderNetwork(Embedder):
    """Vectors from a network that you have: your own model's features are the ones that your next round is about.

    The network gets float tensors `(b, 3, h, w)`, `(pixels / 255 - mean) / std`, in the precision of its own parameters.
    **Size, mean and std must be the ones it was trained with**: nothing can check that, and wrong ones give poor vectors.
    Vectors `(b, d)` are taken as they are, feature maps `(b, c, h, w)` are averaged over space, token sequences
    `(b, t, d)` as `pool` says.

    The network runs in evaluation mode without gradients, so batch normalization and dropout leave each image alone;
    afterwards every part is in the mode that it was in, and no parameter or buffer has changed.

    Args:
        module: Takes a batch of images. It is used, not copied.
        size: Height and width in pixels.
        mean: Mean of red, green and blue that the network expects, for values in [0, 1].
        std: Standard deviation of red, green and blue.
        layer: Name of a part of the network whose output is taken instead of the whole network's, such as `layer4` or
            `encoder.blocks.11`; the names are those of `module.named_modules()`.
        output: Where that output is a dict or a tuple of several tensors: the key or the position of the one to take.
        pool: How a sequence of tokens becomes a vector: their `mean`, or the `first`, where that stands for the image.
        fit_to_size: How images get that size.
        device: Where to compute, such as `cuda`: the network is moved there. By default it stays where it is.
        batch_size: Images that go through the network at a time.

    Raises:
        ValueError: A bad option, no layer of that name, or no such device.

    Examples:
        >>> network = torch.nn.Sequential(torch.nn.Conv2d(3, 5, kernel_size=3), torch.nn.ReLU())
        >>> embedder = EmbedderNetwork(network, size=(8, 8))
        >>> embedder.embed(np.zeros((2, 8, 8, 3), dtype=np.uint8)).shape
        (2, 5)
    """

    def __init__(
        self,
        module: torch.nn.Module,
        *,
        size: Sequence[int] = (224, 224),
        mean: Sequence[float] = IMAGENET_MEAN,
        std: Sequence[float] = IMAGENET_STD,
        layer: str | None = None,
        output: str | int | None = None,
        pool: Pool | None = None,
        fit_to_size: Fit = "crop",
        device: str | torch.device | None = None,
        batch_size: int = 64,
    ) -> None:
        given: object = module
        if not isinstance(given, torch.nn.Module):
            raise ValueError(f"module is a {type(module).__name__}; expected a torch.nn.Module")
        self.size = checked_size(size)
        self.mean, self.std = checked_channels(mean, "mean"), checked_channels(std, "std")
        self.fit_to_size = checked_fit(fit_to_size)
        self.batch_size = checked_batch_size(batch_size)
        checked_pool(pool)
        self.pool = pool
        self.output = output
        self.layer = layer
        self._part = module if layer is None else part_named(module, layer)
        if device is not None:
            module.to(torch_device(device))
        self.module = module

    def embed(self, pixels: Pixels) -> npt.NDArray[np.floating[Any]]:
        """Vectors `(b, d)` in float32 of `(b, h, w, 3)` pixels.

        Raises:
            ValueError: The network gives no such values, or several.
        """
        to = like(self.module)
        images = standardized_tensor(as_tensor(pixels, to.device), self.mean, self.std).to(to.dtype)
        with evaluating(self.module), torch.inference_mode():
            given = self._run(images)
        what = "what the network gives" if self.layer is None else f"what layer {self.layer!r} gives"
        tensor = the_tensor(given, self.output, what)
        if not tensor.is_floating_point():
            raise ValueError(f"{what} is of type {tensor.dtype}; expected floats")
        return np.asarray(pooled(tensor.float(), self.pool, what, len(pixels)).cpu().numpy())

    def _run(self, images: torch.Tensor) -> object:
        if self.layer is None:
            return self.module(images)
        given: list[object] = []

        def keep(_module: torch.nn.Module, _inputs: object, output: object) -> None:
            # Later parts may write into it in place
            given.append(output.clone() if isinstance(output, torch.Tensor) else output)

        hook = self._part.register_forward_hook(keep)
        try:
            self.module(images)
        finally:
            hook.remove()
        if len(given) != 1:
            raise ValueError(f"layer {self.layer!r} ran {len(given)} times for a batch; expected once: name another layer")
        return given[0]

    @property
    def description(self) -> str:
        """The network's class, its weights' digest, and every option that changes a vector. Reads all weights."""
        options = f"size {self.size}, mean {self.mean}, std {self.std}, {self.fit_to_size}"
        for name, value in (("layer", self.layer), ("output", self.output), ("pool", self.pool)):
            if value is not None:
                options += f", {name} {value}"
        return f"network {type(self.module).__name__}, weights {weights_digest(self.module)}, {options}"


def weights_digest(module: torch.nn.Module) -> str:
    """The first 16 letters of the SHA-256 over the names, types, shapes and values of parameters and buffers."""
    sha = hashlib.sha256()
    for name, tensor in sorted({**dict(module.named_parameters()), **dict(module.named_buffers())}.items()):
        sha.update(f"\0{name}\0{tensor.dtype}{tuple(tensor.shape)}\0".encode())
        values = tensor.detach().cpu().contiguous().reshape(-1)
        sha.update(values.view(torch.uint8).numpy().data)
    return sha.hexdigest()[:16]
