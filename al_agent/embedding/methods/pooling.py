"""From what a network gives out to one vector for each image."""

from __future__ import annotations

from typing import Any, Literal, Protocol, TypeVar, get_args

Pool = Literal["mean", "first"]
"""What becomes of a sequence of tokens: their mean, or the first, where that one stands for the image (CLS)."""


class Values(Protocol):
    """What arrays of numpy and tensors of torch have in common."""

    @property
    def shape(self) -> Any:
        """The length of each axis."""
        ...

    def mean(self, axis: tuple[int, ...], /) -> Any:
        """The mean over these axes."""
        ...

    def __getitem__(self, key: Any, /) -> Any: ...


AnyValues = TypeVar("AnyValues", bound=Values)


def checked_pool(pool: str | None) -> None:
    """Raise unless `pool` is a way to pool, or None."""
    if pool is not None and pool not in get_args(Pool):
        raise ValueError(f"pool is {pool!r}; expected one of {', '.join(map(repr, get_args(Pool)))}, or None")


def pooled(values: AnyValues, pool: Pool | None, what: str, n_images: int) -> AnyValues:
    """Vectors `(b, d)` of what a network gives.

    Vectors `(b, d)` stay. Of feature maps `(b, c, h, w)` the mean over height and width is taken. Of token sequences
    `(b, t, d)` the mean over the tokens or the first token, as `pool` says: it is never guessed.

    Args:
        values: Floats of one of these shapes.
        pool: How tokens become a vector.
        what: What the message calls it.
        n_images: How many images went in.

    Raises:
        ValueError: Another shape, another number of images, or tokens and no `pool`.
    """
    shape = tuple(values.shape)
    if len(shape) not in (2, 3, 4):
        raise ValueError(
            f"{what} has shape {shape}; expected (b, d) vectors, (b, c, h, w) feature maps or (b, t, d) token sequences"
        )
    if shape[0] != n_images:
        raise ValueError(f"{what} has shape {shape} for {n_images} images; expected one row for each image")
    if 0 in shape:
        raise ValueError(f"{what} has shape {shape}, which is empty")
    if len(shape) == 4:
        return values.mean((2, 3))  # type: ignore[no-any-return]
    if len(shape) == 2:
        return values
    if pool is None:
        raise ValueError(
            f"{what} has shape {shape}, a sequence of tokens for each image; say pool='first' if the first token stands for "
            "the image, else pool='mean'"
        )
    return values[:, 0] if pool == "first" else values.mean((1,))  # type: ignore[no-any-return]
