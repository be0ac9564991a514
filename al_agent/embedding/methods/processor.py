"""What the settings of an image processor of transformers ask for, in terms of ours."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

from ..embedder import Fit
from .preparation import checked_channels


class Preparation(NamedTuple):
    """How images are made ready: read at `size`, their middle of size `crop` taken, then standardized."""

    size: tuple[int, int]
    fit_to_size: Fit
    crop: tuple[int, int]
    mean: tuple[float, float, float]
    std: tuple[float, float, float]


def preparation(settings: Mapping[str, Any]) -> Preparation:
    """Read the content of a `preprocessor_config.json`.

    A `size` of height and width stretches; one of `shortest_edge` cuts the middle out, a square of that side where the
    settings cut nothing, as vectors of one pool come from images of one size. With `crop_pct` the image is made larger by
    it first. How pixels are resampled is ours, and the same for every embedder.

    Raises:
        ValueError: The settings have no size, or numbers that make no sense.

    Examples:
        >>> preparation({"size": {"shortest_edge": 256}, "crop_size": 224}).size
        (256, 256)
    """
    if settings.get("do_rescale", True):
        factor, offset = float(settings.get("rescale_factor", 1 / 255)), bool(settings.get("rescale_offset", False))
    else:
        factor, offset = 1.0, False
    mean, std = (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)
    if settings.get("do_normalize", True) and settings.get("image_mean") is not None:
        mean = checked_channels(_three(settings["image_mean"]), "mean")
        std = checked_channels(_three(settings.get("image_std", std)), "std")
    # (pixels * factor - offset - mean) / std, written as (pixels / 255 - ours) / theirs
    scale = 255 * factor
    if not (math.isfinite(scale) and scale > 0):
        raise ValueError(f"rescale_factor is {settings.get('rescale_factor')!r}; expected a number above 0")
    ours = tuple((value + offset) / scale for value in mean)
    theirs = tuple(value / scale for value in std)

    size, is_shortest = _sides(settings.get("size"))
    if isinstance(settings.get("size"), int) and "crop_size" not in settings:
        is_shortest = False
    crop, _ = _sides(settings.get("crop_size")) if settings.get("do_center_crop", "crop_size" in settings) else (None, False)
    if size is None or not settings.get("do_resize", True):
        size, is_shortest = crop or size, True
    if size is None:
        raise ValueError(f"the settings of the image processor have no size: {dict(settings)!r}")
    if is_shortest and crop is None and settings.get("crop_pct") and min(size) < 384:  # ConvNeXt's rule
        crop, size = size, (int(size[0] / settings["crop_pct"]), int(size[1] / settings["crop_pct"]))
    if crop is not None and (crop[0] > size[0] or crop[1] > size[1]):
        size = (max(size[0], crop[0]), max(size[1], crop[1]))
    return Preparation(
        size,
        "crop" if is_shortest else "stretch",
        crop or size,
        checked_channels(ours, "mean"),
        checked_channels(theirs, "std"),
    )


def _three(values: Any) -> Any:
    return [values] * 3 if isinstance(values, int | float) else values


def _sides(size: Any) -> tuple[tuple[int, int] | None, bool]:
    """Height and width, and whether only the shorter side was asked for."""
    if size is None:
        return None, False
    if isinstance(size, Mapping):
        if size.get("height") and size.get("width"):
            return (int(size["height"]), int(size["width"])), False
        side = size.get("shortest_edge")
    else:  # as written before sizes had names: a square, or a shorter side if its middle is cut out
        side = size
    if isinstance(side, list | tuple) and len(side) == 2:
        return (int(side[0]), int(side[1])), False
    if not isinstance(side, int) or side < 1:
        raise ValueError(f"the image processor's size is {size!r}; expected height and width, or shortest_edge")
    return (side, side), True
