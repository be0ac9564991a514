"""Feature maps of any number of axes averaged to one vector for each image."""

from __future__ import annotations

import math

import torch


def pooled(features: torch.Tensor, *, grid: int = 1, channel_axis: int = 1) -> torch.Tensor:
    """Average features over all axes but the first, the images, and the channels.

    Each axis of length l is cut into `grid` cells, from `floor(i l / grid)` to `ceil((i + 1) l / grid)`, as adaptive average
    pooling does; vectors `(b, c)` stay as they are. Nothing of the features is kept for the gradient, so that later layers
    may write into them.

    Args:
        features: `(b, c)`, `(b, c, l)`, `(b, c, h, w)` or `(b, c, d, h, w)`; with `channel_axis=-1` `(b, t, c)` and so on.
        grid: Cells on each axis.
        channel_axis: Where the channels lie.

    Returns:
        `(b, c * grid ** s)` for s axes, in float32 where the features are of half precision.

    Raises:
        ValueError: Fewer than two axes, an axis of length 0, or a channel axis that the features do not have.

    Examples:
        >>> pooled(torch.tensor([[[[1.0, 3.0], [5.0, 7.0]]]])).tolist()
        [[4.0]]
        >>> pooled(torch.tensor([[[1.0, 2.0, 3.0, 4.0]]]), grid=2).tolist()
        [[1.5, 3.5]]
    """
    shape = tuple(features.shape)
    if len(shape) < 2 or not -len(shape) <= channel_axis < len(shape) or channel_axis % len(shape) == 0:
        raise ValueError(f"has shape {shape}; expected (b, c, ...), images first and channels on axis {channel_axis}")
    if 0 in shape:
        raise ValueError(f"has shape {shape}, which holds nothing")
    maps = features.movedim(channel_axis, 1)
    precision = torch.float32 if features.dtype in (torch.float16, torch.bfloat16) else features.dtype
    if maps.ndim == 2:
        return maps.to(precision, copy=True)  # else later layers that write in place would write into it
    if grid == 1:
        return maps.mean(dim=tuple(range(2, maps.ndim)), dtype=precision)
    maps = maps.to(precision)
    with torch.autocast(maps.device.type, enabled=False):
        for _ in range(2, maps.ndim):
            weights = _cell_weights(maps.shape[2], grid).to(maps)
            maps = torch.tensordot(maps, weights, dims=([2], [0]))  # the axis goes last, so the next one is 2 again
    return maps.flatten(1)


def _cell_weights(length: int, n_cells: int) -> torch.Tensor:
    """`(length, n_cells)` weights whose product with an axis is the mean of each cell."""
    weights = torch.zeros(length, n_cells)
    for cell in range(n_cells):
        start, end = math.floor(cell * length / n_cells), math.ceil((cell + 1) * length / n_cells)
        weights[start:end, cell] = 1 / (end - start)
    return weights
