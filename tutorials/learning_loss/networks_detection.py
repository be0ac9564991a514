"""Networks of one pass that give offsets and class logits for priors on several feature maps."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from single_shot import Outputs, prior_boxes
from torch import nn
from torch.nn import functional


class SingleShotNetwork(nn.Module):
    """Stages, one after another, and on the feature map of each a convolution for offsets and one for classes.

    Args:
        stages: Each gives one feature map; `stages.0`, `stages.1`, ... are the names to tap.
        channels: Channels of each map.
        image_size: Height and width of the input, in pixels.
        sizes: Sides of the priors in pixels, one more than there are maps.
        ratios: Of each map the ratios above 1 of its priors.
        n_classes: Classes without the background.
        normed: Whether the first map is scaled to length 20 at each place before its convolutions, as in SSD.

    References:
        W. Liu, D. Anguelov, D. Erhan, C. Szegedy, S. Reed, C.-Y. Fu and A. C. Berg, SSD, 2016, arXiv:1512.02325.
    """

    priors: torch.Tensor

    def __init__(
        self,
        stages: Sequence[nn.Module],
        channels: Sequence[int],
        *,
        image_size: tuple[int, int],
        sizes: Sequence[float],
        ratios: Sequence[Sequence[float]],
        n_classes: int,
        normed: bool = False,
    ) -> None:
        super().__init__()
        self.stages = nn.ModuleList(stages)
        self.n_classes = n_classes
        n_priors = [2 + 2 * len(wide) for wide in ratios]
        self.offset_heads = nn.ModuleList(nn.Conv2d(c, 4 * n, 3, padding=1) for c, n in zip(channels, n_priors))
        self.class_heads = nn.ModuleList(nn.Conv2d(c, (n_classes + 1) * n, 3, padding=1) for c, n in zip(channels, n_priors))
        for layer in self.modules():
            if isinstance(layer, nn.Conv2d):
                nn.init.xavier_uniform_(layer.weight)
                if layer.bias is not None:
                    nn.init.zeros_(layer.bias)
        self.scale = nn.Parameter(torch.full((channels[0], 1, 1), 20.0)) if normed else None
        self.eval()
        with torch.no_grad():
            maps = self.maps(torch.zeros(1, 3, *image_size))
        self.train()
        self.register_buffer(
            "priors",
            prior_boxes([(each.shape[2], each.shape[3]) for each in maps], image_size, sizes, ratios),
            persistent=False,
        )

    def maps(self, inputs: torch.Tensor) -> list[torch.Tensor]:
        """The feature map of each stage."""
        maps = []
        for stage in self.stages:
            inputs = stage(inputs)
            maps.append(inputs)
        return maps

    def forward(self, inputs: torch.Tensor) -> Outputs:
        """Of `(b, 3, h, w)` inputs of the size that the network was made for."""
        maps = self.maps(inputs)
        if self.scale is not None:
            maps[0] = self.scale * functional.normalize(maps[0], dim=1)
        offsets = [_by_prior(head(each), 4) for head, each in zip(self.offset_heads, maps)]
        logits = [_by_prior(head(each), self.n_classes + 1) for head, each in zip(self.class_heads, maps)]
        return Outputs(torch.cat(offsets, dim=1), torch.cat(logits, dim=1), self.priors)


def small_network(n_classes: int, image_size: tuple[int, int] = (128, 160)) -> SingleShotNetwork:
    """Four feature maps, of strides 4 to 32, for objects of 10 to 110 pixels; 0.8 million weights.

    Args:
        n_classes: Classes without the background.
        image_size: Height and width in pixels, multiples of 32.

    Examples:
        >>> outputs = small_network(3)(torch.zeros(2, 3, 128, 160))
        >>> [tuple(each.shape) for each in outputs]
        [(2, 6800, 4), (2, 6800, 4), (6800, 4)]
    """
    stages = [
        nn.Sequential(_convolved(3, 16, 2), _convolved(16, 32, 2), _convolved(32, 48)),
        nn.Sequential(_convolved(48, 96, 2), _convolved(96, 96)),
        nn.Sequential(_convolved(96, 128, 2), _convolved(128, 128)),
        nn.Sequential(_convolved(128, 128, 2), _convolved(128, 128)),
    ]
    return SingleShotNetwork(
        stages,
        (48, 96, 128, 128),
        image_size=image_size,
        sizes=(10, 20, 40, 80, 120),
        ratios=((2,), (2,), (2,), (2,)),
        n_classes=n_classes,
    )


def ssd300(n_classes: int) -> SingleShotNetwork:
    """SSD300 on VGG-16: six feature maps of 512, 1024, 512, 256, 256 and 256 channels, 8,732 priors.

    The weights are random. The paper starts from a VGG-16 trained on ImageNet; without it this network, which has no
    batch normalisation, learns slowly and ends lower.

    Args:
        n_classes: Classes without the background.

    References:
        W. Liu et al., 2016, arXiv:1512.02325.
    """
    first = nn.Sequential(
        *_vgg(3, 64, 64),
        _pool(),
        *_vgg(64, 128, 128),
        _pool(),
        *_vgg(128, 256, 256, 256),
        nn.MaxPool2d(2, 2, ceil_mode=True),
        *_vgg(256, 512, 512, 512),
    )
    second = nn.Sequential(
        _pool(),
        *_vgg(512, 512, 512, 512),
        nn.MaxPool2d(3, 1, padding=1),
        nn.Conv2d(512, 1024, 3, padding=6, dilation=6),
        nn.ReLU(),
        nn.Conv2d(1024, 1024, 1),
        nn.ReLU(),
    )
    extras = [
        _extra(1024, 256, 512, 2, 1),
        _extra(512, 128, 256, 2, 1),
        _extra(256, 128, 256, 1, 0),
        _extra(256, 128, 256, 1, 0),
    ]
    return SingleShotNetwork(
        [first, second, *extras],
        (512, 1024, 512, 256, 256, 256),
        image_size=(300, 300),
        sizes=(30, 60, 111, 162, 213, 264, 315),
        ratios=((2,), (2, 3), (2, 3), (2, 3), (2,), (2,)),
        n_classes=n_classes,
        normed=True,
    )


def _by_prior(values: torch.Tensor, n_values: int) -> torch.Tensor:
    """From `(b, k n, h, w)` to `(b, h w k, n)`."""
    return values.permute(0, 2, 3, 1).reshape(len(values), -1, n_values)


def _convolved(n_in: int, n_out: int, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(n_in, n_out, 3, stride, padding=1, bias=False), nn.BatchNorm2d(n_out), nn.ReLU())


def _vgg(*channels: int) -> list[nn.Module]:
    pairs = [(nn.Conv2d(n_in, n_out, 3, padding=1), nn.ReLU()) for n_in, n_out in pairwise(channels)]
    return [layer for pair in pairs for layer in pair]


def _pool() -> nn.MaxPool2d:
    return nn.MaxPool2d(2, 2)


def _extra(n_in: int, n_between: int, n_out: int, stride: int, padding: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(n_in, n_between, 1), nn.ReLU(), nn.Conv2d(n_between, n_out, 3, stride, padding=padding), nn.ReLU()
    )
