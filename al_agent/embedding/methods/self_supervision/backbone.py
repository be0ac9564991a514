"""Residual networks for small images, to be trained from nothing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import nn

Backbone = Literal["small", "resnet18"]
"""`small` learns within minutes on two cores; `resnet18` has the width and depth of ResNet-18, for a GPU."""

_SHAPES: dict[Backbone, tuple[int, tuple[int, ...], int]] = {
    # width of the first stage, blocks of each stage, side of the first stage's maps
    "small": (48, (1, 1, 1), 16),
    "resnet18": (64, (2, 2, 2, 2), 32),
}


class ResidualNetwork(nn.Module):
    """Images `(b, 3, h, w)` to vectors `(b, d)`: a strided first layer, stages of residual blocks, the mean over space.

    `stages` gives the mean over space of every stage: early ones know textures and colours that the last has forgotten.

    Each stage has twice the channels and half the side of the one before. The first layer strides so that the first stage
    works on maps of about the same side whatever the images' size, and a step costs about the same.

    References:
        He, Zhang, Ren, Sun: Deep residual learning for image recognition, 2016, arXiv:1512.03385.
    """

    def __init__(self, width: int, n_blocks: Sequence[int], stride: int) -> None:
        super().__init__()
        kernel = 3 if stride == 1 else 2 * stride  # overlaps by half
        layers: list[nn.Module] = [
            nn.Conv2d(3, width, kernel, stride, padding=(kernel - stride + 1) // 2, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(inplace=True),
        ]
        stages: list[nn.Module] = []
        n_channels = width
        for stage, n in enumerate(n_blocks):
            for block in range(n):
                step = 2 if stage > 0 and block == 0 else 1
                layers.append(_Block(n_channels, width << stage, step))
                n_channels = width << stage
            stages.append(nn.Sequential(*layers))
            layers = []
        self.parts = nn.ModuleList(stages)
        self.n_features = n_channels
        self.n_stage_features = sum(width << stage for stage in range(len(n_blocks)))

    @classmethod
    def of(cls, backbone: Backbone, size: tuple[int, int]) -> ResidualNetwork:
        """The network of this name for images of this size."""
        width, n_blocks, side = _SHAPES[backbone]
        return cls(width, n_blocks, max(1, min(8, round(min(size) / side))))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Vectors `(b, n_features)` of images `(b, 3, h, w)`."""
        for part in self.parts:
            images = part(images)
        return images.mean((2, 3))

    def stages(self, images: torch.Tensor) -> torch.Tensor:
        """The means of all stages beside each other, `(b, f)` in float32."""
        means = []
        for part in self.parts:
            images = part(images)
            means.append(images.float().mean((2, 3)))
        return torch.cat(means, dim=1)


class _Block(nn.Module):
    """Two convolutions, and the way past them."""

    def __init__(self, n_in: int, n_out: int, stride: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(n_in, n_out, 3, stride, padding=1, bias=False)
        self.first_norm = nn.BatchNorm2d(n_out)
        self.second = nn.Conv2d(n_out, n_out, 3, padding=1, bias=False)
        self.second_norm = nn.BatchNorm2d(n_out)
        self.past: nn.Module = nn.Identity()
        if stride != 1 or n_in != n_out:
            self.past = nn.Sequential(nn.Conv2d(n_in, n_out, 1, stride, bias=False), nn.BatchNorm2d(n_out))

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        inner = torch.relu_(self.first_norm(self.first(maps)))
        return torch.relu_(self.second_norm(self.second(inner)) + self.past(maps))
