"""Random views of images: what a network has to see through."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch


@dataclass(frozen=True, kw_only=True)
class Views:
    """How two views of one image may differ; what differs between views is what the vectors learn to ignore.

    Switch off what carries meaning in your images: `colour` and `grey` where colours tell classes apart, `flip` for text.

    Args:
        smallest_crop: Share of the image's area that a view shows at least, above 0 and up to 1.
        flip: Whether views are mirrored, left to right.
        colour: How far brightness, contrast and saturation change; hue changes by a quarter of it. 0 to 1.
        grey: Probability of a view without colours.

    Raises:
        ValueError: A number outside of its range.
    """

    smallest_crop: float = 0.25
    flip: bool = True
    colour: float = 0.4
    grey: float = 0.2

    def __post_init__(self) -> None:
        for name, low in (("smallest_crop", 1e-3), ("colour", 0.0), ("grey", 0.0)):
            value = getattr(self, name)
            if not low <= value <= 1:
                raise ValueError(f"{name} is {value!r}; expected a number from {low:g} to 1")

    def augmentation(self, size: tuple[int, int]) -> Any:
        """A function of images `(b, 3, h, w)`, floats in [0, 1], to views of this size, by torch's random numbers.

        Raises:
            ImportError: kornia is not installed.
        """
        try:
            from kornia import augmentation  # noqa: PLC0415  # seconds to import
        except ImportError as problem:
            raise ImportError('learning from your images needs kornia: pip install "al-agent[self-supervised]"') from problem
        steps: list[torch.nn.Module] = [augmentation.RandomResizedCrop(size, scale=(self.smallest_crop, 1.0))]
        if self.flip:
            steps.append(augmentation.RandomHorizontalFlip(p=0.5))
        if self.colour:
            strengths = (self.colour, self.colour, self.colour, self.colour / 4)
            steps.append(augmentation.ColorJitter(*strengths, p=0.8))
        if self.grey:
            steps.append(augmentation.RandomGrayscale(p=self.grey))
        return torch.nn.Sequential(*steps)
