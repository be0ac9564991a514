"""Where torch computes, and images as its tensors."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from ..embedder import Pixels


def torch_device(name: str | torch.device) -> torch.device:
    """The device of torch of this name, which can be computed on.

    Raises:
        ValueError: Torch has no such device here; the message says what it said.
    """
    try:
        device = torch.device(name)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError, TypeError, NotImplementedError) as error:
        said = str(error).splitlines()[0]
        raise ValueError(f"device is {str(name)!r}, and torch says: {said}; leave it out, or use 'cpu'") from error
    if device.type == "meta":
        raise ValueError("device is 'meta', which holds no numbers; use 'cpu'")
    return device


def as_tensor(pixels: Pixels, device: torch.device) -> torch.Tensor:
    """Pixels `(b, h, w, 3)` as a tensor `(b, 3, h, w)` of uint8 on the device."""
    writable = np.require(pixels, requirements=("C", "W"))  # torch warns of arrays that are not
    return torch.from_numpy(writable).to(device).permute(0, 3, 1, 2)


def standardized_tensor(images: torch.Tensor, mean: Sequence[float], std: Sequence[float]) -> torch.Tensor:
    """Images `(b, 3, h, w)` of uint8 as float32 `(images / 255 - mean) / std`, each image's values in a row."""
    scale = torch.tensor([1 / (255 * value) for value in std], device=images.device).view(3, 1, 1)
    shift = torch.tensor([m / s for m, s in zip(mean, std)], device=images.device).view(3, 1, 1)
    return (images.float() * scale - shift).contiguous()
