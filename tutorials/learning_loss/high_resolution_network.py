"""High-resolution networks in every size: branches of several resolutions side by side, which exchange what they see."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import cast

import torch
from torch import nn
from torch.nn import functional

STRIDE = 4
"""Pixels of the input on each side of a pixel of the heat maps."""


class HighResolutionNetwork(nn.Module):
    """Images to one heat map for each joint at a quarter of their size, by branches of falling resolution.

    Two strided convolutions and a row of bottlenecks bring the image to a quarter of its size. Stage s = 0, 1, ... has
    `s + 2` branches, each at half the resolution of the one before; every module of a stage ends in an exchange, where each
    branch becomes the sum of all, brought to its size. Heat maps come from the finest branch. The defaults are HRNet-W32,
    28.5 million weights.

    Args:
        n_joints: Heat maps to give.
        widths: Channels of the branches, from the finest on, one more than there are stages.
        stem: Channels of the two strided convolutions; the bottlenecks give four times as many.
        n_bottlenecks: In the row before the stages.
        n_modules: Modules of each stage.
        n_blocks: Residual blocks of each branch in each module.

    Raises:
        ValueError: There is not one width more than stages, or no stage.

    Examples:
        >>> network = HighResolutionNetwork(14, widths=(8, 16), stem=8, n_bottlenecks=1, n_modules=(1,), n_blocks=1)
        >>> network(torch.zeros(2, 3, 64, 48)).shape
        torch.Size([2, 14, 16, 12])
        >>> network.taps
        ('stem.0', 'stem.1', 'bottlenecks', 'stages.0.0.outputs.0')

    References:
        K. Sun, B. Xiao, D. Liu and J. Wang, Deep High-Resolution Representation Learning for Human Pose Estimation, 2019,
        arXiv:1902.09212.
    """

    def __init__(
        self,
        n_joints: int,
        *,
        widths: Sequence[int] = (32, 64, 128, 256),
        stem: int = 64,
        n_bottlenecks: int = 4,
        n_modules: Sequence[int] = (1, 4, 3),
        n_blocks: int = 4,
    ) -> None:
        super().__init__()
        if not n_modules or len(widths) != len(n_modules) + 1:
            raise ValueError(
                f"widths has {len(widths)} channels and n_modules {len(n_modules)} stages; expected at least one stage and "
                "one width more than stages"
            )
        self.taps = tap_names(n_modules)
        self.stem = nn.Sequential(convolution(3, stem, stride=2), convolution(stem, stem, stride=2))
        self.bottlenecks = nn.Sequential(
            *(Residual(stem if place == 0 else 4 * stem, stem, 4 * stem) for place in range(n_bottlenecks))
        )
        self.transitions = nn.ModuleList()
        self.stages = nn.ModuleList()
        coming = [4 * stem]
        for stage, count in enumerate(n_modules):
            going = list(widths[: stage + 2])
            self.transitions.append(_transition(coming, going))
            last = stage == len(n_modules) - 1
            self.stages.append(
                nn.ModuleList(
                    Exchange(going, n_blocks, 1 if last and place == count - 1 else len(going)) for place in range(count)
                )
            )
            coming = going
        self.final = nn.Conv2d(widths[0], n_joints, 1)
        nn.init.normal_(self.final.weight, std=0.001)
        nn.init.zeros_(cast(torch.Tensor, self.final.bias))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Heat maps `(b, n_joints, h / 4, w / 4)` of images `(b, 3, h, w)`."""
        branches = [self.bottlenecks(self.stem(images))]
        for transition, stage in zip(self.transitions, self.stages):
            # a new branch comes of the coarsest one there is
            branches = [
                step(branches[min(place, len(branches) - 1)]) for place, step in enumerate(cast(nn.ModuleList, transition))
            ]
            for module in cast(nn.ModuleList, stage):
                branches = module(branches)
        return cast(torch.Tensor, self.final(branches[0]))


class Exchange(nn.Module):
    """Residual blocks in each branch, then each branch that goes on becomes the sum of all, brought to its size.

    Args:
        widths: Channels of the branches.
        n_blocks: Residual blocks in each.
        n_outputs: Branches that go on, the finest ones.
    """

    def __init__(self, widths: Sequence[int], n_blocks: int, n_outputs: int) -> None:
        super().__init__()
        self.branches = nn.ModuleList(
            nn.Sequential(*(Residual(width, width, width) for _ in range(n_blocks))) for width in widths
        )
        self.routes = nn.ModuleList(
            nn.ModuleList(_route(widths, source, target) for source in range(len(widths))) for target in range(n_outputs)
        )
        self.outputs = nn.ModuleList(nn.ReLU() for _ in range(n_outputs))

    def forward(self, inputs: Sequence[torch.Tensor]) -> list[torch.Tensor]:
        """Feature maps of the branches that go on, of those of all branches."""
        seen = [branch(features) for branch, features in zip(self.branches, inputs)]
        results = []
        for target, (routes, output) in enumerate(zip(self.routes, self.outputs)):
            total = seen[target]
            for source, route in enumerate(cast(nn.ModuleList, routes)):
                if source != target:
                    features = route(seen[source])
                    if source > target:
                        features = functional.interpolate(features, size=total.shape[-2:])
                    total = total + features
            results.append(output(total))
        return results


class Residual(nn.Module):
    """Two convolutions of 3x3, or a bottleneck where more channels leave than are inside, beside a short cut."""

    def __init__(self, n_in: int, n_inside: int, n_out: int) -> None:
        super().__init__()
        if n_out > n_inside:
            steps = [convolution(n_in, n_inside, size=1), convolution(n_inside, n_inside)]
            steps.append(convolution(n_inside, n_out, size=1, is_active=False))
        else:
            steps = [convolution(n_in, n_inside), convolution(n_inside, n_out, is_active=False)]
        self.body = nn.Sequential(*steps)
        self.shortcut = nn.Identity() if n_in == n_out else convolution(n_in, n_out, size=1, is_active=False)
        self.output = nn.ReLU()

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Features of the same size."""
        return cast(torch.Tensor, self.output(self.body(features) + self.shortcut(features)))


def tap_names(n_modules: Sequence[int]) -> tuple[str, ...]:
    """Layers to predict the loss from: the two of the stem, the bottlenecks, and every branch that leaves a stage.

    Examples:
        >>> tap_names((1, 4, 3))[3:]
        ('stages.0.0.outputs.0', 'stages.0.0.outputs.1', 'stages.1.3.outputs.0', 'stages.1.3.outputs.1',
         'stages.1.3.outputs.2', 'stages.2.2.outputs.0')
    """
    names = ["stem.0", "stem.1", "bottlenecks"]
    for stage, count in enumerate(n_modules):
        n_outputs = 1 if stage == len(n_modules) - 1 else stage + 2
        names += [f"stages.{stage}.{count - 1}.outputs.{branch}" for branch in range(n_outputs)]
    return tuple(names)


def convolution(n_in: int, n_out: int, *, size: int = 3, stride: int = 1, is_active: bool = True) -> nn.Sequential:
    """A convolution that keeps the size but for the stride, batch normalization, and a rectifier where it is active."""
    layer = nn.Conv2d(n_in, n_out, size, stride=stride, padding=size // 2, bias=False)
    nn.init.normal_(layer.weight, std=math.sqrt(2 / (n_out * size * size)))
    return nn.Sequential(layer, nn.BatchNorm2d(n_out), *([nn.ReLU()] if is_active else []))


def _transition(coming: Sequence[int], going: Sequence[int]) -> nn.ModuleList:
    """Steps from the branches of a stage to those of the next, the last of which is new and half as fine."""
    steps: list[nn.Module] = []
    for place, width in enumerate(going):
        if place >= len(coming):
            steps.append(convolution(coming[-1], width, stride=2))
        else:
            steps.append(nn.Identity() if coming[place] == width else convolution(coming[place], width))
    return nn.ModuleList(steps)


def _route(widths: Sequence[int], source: int, target: int) -> nn.Module:
    """From one branch to another: strided convolutions downwards, one of 1x1 before it is enlarged upwards."""
    if source == target:
        return nn.Identity()
    if source > target:
        return convolution(widths[source], widths[target], size=1, is_active=False)
    n_steps = target - source
    return nn.Sequential(
        *(convolution(widths[source], widths[source], stride=2) for _ in range(n_steps - 1)),
        convolution(widths[source], widths[target], stride=2, is_active=False),
    )
