"""What is learned, and how long: the options of self-supervised learning, checked once."""

from __future__ import annotations

import dataclasses
import json
import math
from dataclasses import dataclass
from typing import get_args

from ..preparation import checked_batch_size, checked_fit, checked_size
from .backbone import Backbone
from .views import Views

LEAST_BATCH = 8


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """What decides about the weights, beside the images and the time.

    Raises:
        ValueError: An option out of its range.
    """

    size: tuple[int, int]
    fit_to_size: str
    backbone: str
    views: Views
    batch_size: int
    temperature: float
    learning_rate: float
    n_dimensions: int
    max_images: int
    seed: int

    def __post_init__(self) -> None:
        checked_size(self.size)
        checked_fit(self.fit_to_size)
        checked_batch_size(self.batch_size)
        if min(self.size) < 16:
            raise ValueError(f"size is {self.size}; expected at least 16 pixels each way")
        if self.backbone not in get_args(Backbone):
            raise ValueError(f"backbone is {self.backbone!r}; expected one of {', '.join(map(repr, get_args(Backbone)))}")
        if self.batch_size < LEAST_BATCH:
            raise ValueError(
                f"batch_size is {self.batch_size}; an image is told from the others of its batch: use {LEAST_BATCH} or more"
            )
        for name in ("temperature", "learning_rate"):
            value = getattr(self, name)
            if not (isinstance(value, int | float) and math.isfinite(value) and value > 0):
                raise ValueError(f"{name} is {value!r}; expected a number above 0")
        for name, least in (("n_dimensions", 1), ("max_images", 2), ("seed", 0)):
            value = getattr(self, name)
            if not isinstance(value, int) or isinstance(value, bool) or value < least:
                raise ValueError(f"{name} is {value!r}; expected a whole number of at least {least}")

    def as_text(self) -> str:
        """The options as JSON, always in the same words."""
        return json.dumps(dataclasses.asdict(self), sort_keys=True)

    @classmethod
    def from_text(cls, text: str) -> Recipe:
        """Read what `as_text` gave.

        Raises:
            ValueError: It is something else.
        """
        try:
            options = json.loads(text)
            height, width = options.pop("size")
            return cls(size=(height, width), views=Views(**options.pop("views")), **options)
        except (TypeError, KeyError, AttributeError) as error:
            raise ValueError(f"the options of the learning cannot be read: {error}") from error


@dataclass(frozen=True)
class Budget:
    """How long to learn: passes over the images, or minutes on the clock.

    Raises:
        ValueError: Both or none, or not above 0.
    """

    epochs: int | None = None
    minutes: float | None = None

    def __post_init__(self) -> None:
        if (self.epochs is None) == (self.minutes is None):
            raise ValueError("say how long to learn, as either epochs= or minutes=")
        if self.epochs is not None and (type(self.epochs) is not int or self.epochs < 1):
            raise ValueError(f"epochs is {self.epochs!r}; expected a whole number above 0")
        if self.minutes is not None and not (math.isfinite(self.minutes) and self.minutes > 0):
            raise ValueError(f"minutes is {self.minutes!r}; expected a number above 0")

    def share_done(self, n_epochs: float, elapsed_s: float) -> float:
        """How much of it is used up, from 0 to 1.

        Examples:
            >>> Budget(minutes=2).share_done(7, elapsed_s=30)
            0.25
        """
        if self.epochs is not None:
            return min(1.0, n_epochs / self.epochs)
        assert self.minutes is not None
        return min(1.0, elapsed_s / (60 * self.minutes))
