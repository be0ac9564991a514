"""A dilated residual network: a class for every pixel, by stages that dilate where others halve their maps."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional

LEVELS = tuple(f"level{number}" for number in range(1, 9))
"""Names of the eight stages, the layers that a loss prediction taps."""


@dataclass(frozen=True)
class Shape:
    """How wide and deep a dilated residual network is, and where it halves its maps.

    The first two levels are plain convolutions, the next four residual blocks, the last two of these with dilations 2 and 4;
    the last two levels are plain convolutions with dilations 2 and 1, which take out the grid that dilation leaves.

    Args:
        channels: Of the eight levels.
        blocks: Residual blocks of levels 3 to 6.
        strides: Of levels 1 to 4; their product is the stride of the network.
        kernel: Of the very first convolution, an odd number of pixels.

    Raises:
        ValueError: The lengths are not 8, 4 and 4.

    Examples:
        >>> DRN_D_22.channels, math.prod(DRN_D_22.strides)
        ((16, 32, 64, 128, 256, 512, 512, 512), 8)
    """

    channels: tuple[int, ...]
    blocks: tuple[int, ...]
    strides: tuple[int, ...]
    kernel: int

    def __post_init__(self) -> None:
        lengths = len(self.channels), len(self.blocks), len(self.strides)
        if lengths != (8, 4, 4):
            raise ValueError(f"expected 8 channels, 4 blocks and 4 strides, got {lengths}")


DRN_D_22 = Shape((16, 32, 64, 128, 256, 512, 512, 512), blocks=(2, 2, 2, 2), strides=(1, 2, 2, 2), kernel=7)
"""The published network, F. Yu, V. Koltun and T. Funkhouser, 2017, arXiv:1705.09914; 16 million weights."""


class DilatedResidualNetwork(nn.Module):
    """Log-probabilities of the classes of every pixel, `(b, 3, h, w)` to `(b, c, h, w)`.

    Eight levels make maps at the network's stride, `classify` their logits, and `log_probabilities` brings these to the size
    of the image by bilinear interpolation. The published network interpolates by a fixed transposed convolution, which gives
    the same values but for a margin of one cell.

    Args:
        n_classes: c.
        shape: Width, depth and strides.

    Examples:
        >>> shape = Shape((4, 4, 4, 4, 4, 4, 4, 4), blocks=(1, 1, 1, 1), strides=(2, 2, 2, 1), kernel=3)
        >>> network = DilatedResidualNetwork(11, shape).eval()
        >>> outputs = network(torch.zeros(2, 3, 45, 60))
        >>> outputs.shape
        torch.Size([2, 11, 45, 60])
        >>> torch.allclose(outputs.exp().sum(1), torch.ones(2, 45, 60), atol=1e-5)
        True

    References:
        F. Yu, V. Koltun and T. Funkhouser, Dilated residual networks, CVPR 2017, arXiv:1705.09914: architecture D.
    """

    def __init__(self, n_classes: int, shape: Shape) -> None:
        super().__init__()
        wide, blocks, strides = shape.channels, shape.blocks, shape.strides
        stem = _convolution(3, wide[0], kernel=shape.kernel, stride=strides[0])
        # Architecture D has two convolutions in its first level; a stride above 1 stands in the first of them.
        self.level1 = nn.Sequential(stem, _convolution(wide[0], wide[0]))
        self.level2 = _convolution(wide[0], wide[1], stride=strides[1])
        self.level3 = _residual(wide[1], wide[2], blocks[0], stride=strides[2])
        self.level4 = _residual(wide[2], wide[3], blocks[1], stride=strides[3])
        self.level5 = _residual(wide[3], wide[4], blocks[2], dilation=2)
        self.level6 = _residual(wide[4], wide[5], blocks[3], dilation=4)
        self.level7 = _convolution(wide[5], wide[6], dilation=2)
        self.level8 = _convolution(wide[6], wide[7])
        self.classify = nn.Conv2d(wide[7], n_classes, 1)
        self.log_probabilities = _LogProbabilities()
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                fan_out = module.kernel_size[0] * module.kernel_size[1] * module.out_channels
                nn.init.normal_(module.weight, 0, math.sqrt(2 / fan_out))
        assert self.classify.bias is not None
        nn.init.zeros_(self.classify.bias)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """`(b, 3, h, w)` to `(b, c, h, w)`."""
        maps = images
        for name in LEVELS:
            maps = self.get_submodule(name)(maps)
        outputs: torch.Tensor = self.log_probabilities(self.classify(maps), images.shape[2:])
        return outputs


class _LogProbabilities(nn.Module):
    """A layer of its own, so that it can be tapped."""

    def forward(self, logits: torch.Tensor, size: Sequence[int]) -> torch.Tensor:
        larger = functional.interpolate(logits, size=tuple(size), mode="bilinear", align_corners=False)
        return larger.log_softmax(1)


class _Block(nn.Module):
    """Two convolutions beside a shortcut."""

    def __init__(self, n_in: int, n_out: int, stride: int, dilation: int) -> None:
        super().__init__()
        self.first = _convolution(n_in, n_out, stride=stride, dilation=dilation)
        self.second = _convolution(n_out, n_out, dilation=dilation, is_rectified=False)
        self.shortcut = nn.Sequential()
        if stride != 1 or n_in != n_out:
            self.shortcut = _convolution(n_in, n_out, kernel=1, stride=stride, is_rectified=False)

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        changed: torch.Tensor = self.second(self.first(maps)) + self.shortcut(maps)
        return changed.relu()


def _residual(n_in: int, n_out: int, n_blocks: int, *, stride: int = 1, dilation: int = 1) -> nn.Sequential:
    first = _Block(n_in, n_out, stride, dilation)
    return nn.Sequential(first, *(_Block(n_out, n_out, 1, dilation) for _ in range(n_blocks - 1)))


def _convolution(
    n_in: int, n_out: int, *, kernel: int = 3, stride: int = 1, dilation: int = 1, is_rectified: bool = True
) -> nn.Sequential:
    padding = kernel // 2 * dilation
    convolution = nn.Conv2d(n_in, n_out, kernel, stride, padding, dilation, bias=False)
    return nn.Sequential(convolution, nn.BatchNorm2d(n_out), *([nn.ReLU()] if is_rectified else []))
