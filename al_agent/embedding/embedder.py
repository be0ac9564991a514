"""What turns images into vectors, and what it may ask of the images."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, ClassVar, Literal, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

Pixels = npt.NDArray[np.uint8]
"""`(b, h, w, 3)`: RGB values from 0 to 255, as a person sees the image (turned upright, transparency on white)."""

Fit = Literal["stretch", "crop", "pad"]
"""How an image gets the asked size: stretched, its middle cut out after its shorter side fits, or padded with grey."""


class Batch(NamedTuple):
    """Images that could be read, and the rows that they are of; and why others could not."""

    rows: npt.NDArray[np.int64]
    pixels: Pixels
    failed: Mapping[int, str] = MappingProxyType({})
    """Row to reason, such as `is empty, 0 bytes long`."""


class Images(Protocol):
    """Images to embed, by row; one that cannot be read is left out of its batch and listed, never raised."""

    @property
    def item_ids(self) -> tuple[str, ...]:
        """The n unique item ids."""
        ...

    def __len__(self) -> int: ...

    def read(self, rows: Sequence[int], size: tuple[int, int], fit: Fit) -> Batch:
        """The images of these rows that can be read, in this order, each `size` (height, width) pixels."""
        ...


class Embedder(ABC):
    """Turns images into vectors; a subclass says which size it wants and computes."""

    size: tuple[int, int] = (224, 224)
    """Height and width in pixels of the images that `embed` takes."""

    fit_to_size: Fit = "stretch"
    """How images get that size; stretching loses nothing at the border."""

    batch_size: int = 64

    embeds_in_threads: ClassVar[bool] = False
    """Whether `embed` may run in several threads at once, and gains by it; else it runs in one, and reading in others."""

    def fit(self, images: Images) -> None:  # noqa: B027  # most embedders have learned already
        """Learn from the images what `embed` needs; called once, before it.

        Raises:
            ValueError: Too few of the images can be read.
        """

    @abstractmethod
    def embed(self, pixels: Pixels) -> npt.NDArray[np.floating[Any]]:
        """Vectors `(b, d)` of `(b, h, w, 3)` pixels, each of its own image alone."""

    @property
    @abstractmethod
    def description(self) -> str:
        """One line that tells this embedder from others: method, model, size; kept beside the vectors."""
