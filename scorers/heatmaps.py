"""What the heat maps of keypoints say: where, how sure, how spread out, and how many peaks.

The functions take the heights `(k, h, w)` of k maps, 0 or more, and give `(k,)` float64 values. A map is taken as it is: a
floor of noise counts as mass, so that numbers compare between the maps of one model only.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from .checks import as_floats

Floats = npt.NDArray[np.float64]

Activation = Literal["none", "softmax", "sigmoid"]
"""From a network's values to heights, see `heights_of`."""

_ACTIVATIONS = ("none", "softmax", "sigmoid")

_LOWEST, _HIGHEST = -0.5, 1.5  # a map trained towards peaks of height 1 may miss by some tenths; logits go far beyond
_NEIGHBOURS = tuple((dy, dx) for dy in (-1, 0, 1) for dx in (-1, 0, 1) if (dy, dx) != (0, 0))


class HeatmapSummary(NamedTuple):
    """What is kept of k heat maps."""

    positions: Floats
    """`(k, 2)` x and y of the peaks as fractions of the map's width and height, at the centre of their pixel."""
    confidences: Floats
    """`(k,)` heights of the peaks, in [0, 1]."""
    entropy: Floats
    """`(k,)` `normalised_entropy`."""
    peak_margin: Floats
    """`(k,)` `peak_margin`."""
    multiple_peak_entropy: Floats
    """`(k,)` `multiple_peak_entropy`."""
    spread: Floats
    """`(k,)` `mass_spread`."""


def summaries(
    heatmaps: Iterable[npt.ArrayLike], n_instances: int, activation: Activation, instance_name: Callable[[int], str]
) -> HeatmapSummary:
    """What is kept of the heat maps of m instances, each row that of one: `(m, k, 2)` positions, `(m, k)` of the rest.

    Args:
        heatmaps: `(k, h, w)` for one instance after the other; read one by one.
        n_instances: How many instances there must be.
        activation: As for `heights_of`.
        instance_name: What messages call an instance.

    Raises:
        ValueError: Another number of instances, maps that are not finite or differ in k, and as for `heights_of`.
    """
    if activation not in _ACTIVATIONS:
        raise ValueError(f"activation is {activation!r}; expected one of {', '.join(_ACTIVATIONS)}")
    kept: list[HeatmapSummary] = []
    for heatmap in heatmaps:
        if len(kept) == n_instances:
            raise ValueError(f"heatmaps has more than the {n_instances:,} instances of offsets; expected maps for each")
        name = f"heat maps of {instance_name(len(kept))}"
        values = as_floats(heatmap, name, "(k, h, w)").astype(np.float64)
        if 0 in values.shape or values[0].size < 2:
            raise ValueError(f"{name} has shape {values.shape}; expected (k, h, w), k maps of at least 2 pixels")
        if kept and len(values) != len(kept[0].confidences):
            raise ValueError(f"{name} are {len(values)}, the first are {len(kept[0].confidences)}; expected k for each")
        finite = np.isfinite(values).all(axis=(1, 2))
        if not finite.all():
            raise ValueError(f"{name}: that of keypoint {int(finite.argmin())} is not finite; expected finite numbers")
        try:
            kept.append(summary(values, activation))
        except ValueError as error:
            raise ValueError(f"{name}: {error}") from error
    if len(kept) != n_instances:
        raise ValueError(f"heatmaps has {len(kept):,} instances, offsets has {n_instances:,}; expected maps for each")
    if not kept:
        return HeatmapSummary(np.empty((0, 0, 2)), *(np.empty((0, 0)) for _ in HeatmapSummary._fields[1:]))
    return HeatmapSummary(*map(np.stack, zip(*kept)))


def summary(values: Floats, activation: Activation) -> HeatmapSummary:
    """All that is kept of the heat maps of one instance.

    The position is that of the highest value, the first of several from the top left, or the centre of a flat map, which
    points nowhere. Time and memory O(k h w), where heights do not form wide plateaus.

    Args:
        values: `(k, h, w)` finite values of the network, h * w at least 2.
        activation: As for `heights_of`.

    Raises:
        ValueError: As for `heights_of`.

    Examples:
        >>> tent = np.array([[[0.0, 0.5, 0.0], [0.5, 1.0, 0.5], [0.0, 0.5, 0.0], [0.0, 0.0, 0.0]]])
        >>> found = summary(tent, "none")
        >>> found.positions.tolist(), found.confidences.tolist(), found.peak_margin.tolist()
        ([[0.5, 0.375]], [1.0], [0.0])
    """
    _, h, w = values.shape
    heights = heights_of(values, activation)
    flat = values.reshape(len(values), -1)
    best = flat.argmax(axis=1)
    positions = np.stack([(best % w + 0.5) / w, (best // w + 0.5) / h], axis=1)
    positions[flat.max(axis=1) == flat.min(axis=1)] = 0.5
    # the activation keeps the order but rounds values together at its ends: peaks are looked for before it
    is_peak = local_maxima(np.where(heights > 0, values, -np.inf))
    return HeatmapSummary(
        positions,
        heights.reshape(len(values), -1).max(axis=1),
        normalised_entropy(heights),
        peak_margin(heights, is_peak),
        multiple_peak_entropy(heights, is_peak),
        mass_spread(heights),
    )


def heights_of(values: Floats, activation: Activation) -> Floats:
    """Heights in [0, 1] of a network's values `(k, h, w)`.

    Args:
        values: Finite values.
        activation: `"none"`: the values are heights, as of maps trained towards a bump of height 1 at the keypoint; what
            they miss below 0 and above 1 is cut off. `"softmax"`: logits of where in the map the keypoint is; a map's
            heights sum to 1. `"sigmoid"`: logits of the keypoint being at each pixel.

    Raises:
        ValueError: Without activation, a value lies below -0.5 or above 1.5, which no height does.

    Examples:
        >>> heights_of(np.array([[[0.0, 0.0, 0.0, 0.0]]]), "softmax").tolist()
        [[[0.25, 0.25, 0.25, 0.25]]]
        >>> heights_of(np.array([[[0.0, 0.0, 0.0, 0.0]]]), "sigmoid").tolist()
        [[[0.5, 0.5, 0.5, 0.5]]]
    """
    if activation == "softmax":
        with np.errstate(under="ignore", over="ignore"):  # a gap beyond the range of float64 is a height of 0
            powers = np.exp(values - values.max(axis=(1, 2), keepdims=True))
        shares: Floats = powers / powers.sum(axis=(1, 2), keepdims=True)
        return shares
    if activation == "sigmoid":
        with np.errstate(under="ignore"):
            small = np.exp(-np.abs(values))
        return np.where(values >= 0, 1 / (1 + small), small / (1 + small))
    if values.min() < _LOWEST or values.max() > _HIGHEST:
        worst = values.min() if values.min() < _LOWEST else values.max()
        raise ValueError(
            f"a value is {worst:.6g}; without activation, heights from 0 to 1 are expected: if these are logits, say "
            "activation='softmax' (one keypoint somewhere in the map) or 'sigmoid' (each pixel by itself), and divide maps "
            "of another height by it"
        )
    return np.clip(values, 0.0, 1.0)


def normalised_entropy(heights: Floats) -> Floats:
    """Entropy of a map taken as a distribution over its pixels, over its maximum: `-sum(p log p) / log(h w)`.

    0 where all mass is in one pixel, 1 where it is the same in all, and by definition 1 for a map of zeros.

    Examples:
        >>> normalised_entropy(np.array([[[0.3, 0.0], [0.0, 0.0]], [[0.3, 0.3], [0.0, 0.0]], [[0, 0], [0, 0]]])).tolist()
        [0.0, 0.5, 1.0]
    """
    mass = heights.reshape(len(heights), -1)
    total = mass.sum(axis=1)
    shares = mass / np.where(total > 0, total, 1.0)[:, None]
    entropy = -(shares * np.log(shares + np.finfo(np.float64).tiny)).sum(axis=1) / np.log(mass.shape[1])
    return np.where(total > 0, np.clip(entropy, 0.0, 1.0) + 0.0, 1.0)  # no minus zero


def mass_spread(heights: Floats) -> Floats:
    """Root mean square distance of a map's mass from its mean, as a share of the diagonal.

    With x in widths and y in heights of the map it is `sqrt((var(x) + var(y)) / 2)`: 0 where all mass is in one pixel, 0.5
    at most, near 0.29 where it is the same in all, and by definition that of the latter for a map of zeros.

    Examples:
        >>> mass_spread(np.array([[[0.5, 0.0], [0.0, 0.0]], [[0.5, 0.0], [0.0, 0.5]]])).tolist()
        [0.0, 0.25]
    """
    _, h, w = heights.shape
    total = heights.sum(axis=(1, 2))
    is_blank = total <= 0
    result = np.zeros(len(heights))
    for axis, n_pixels in ((1, w), (2, h)):  # what is left after summing over the other axis
        places = (np.arange(n_pixels) + 0.5) / n_pixels
        shares = np.where(is_blank[:, None], 1 / n_pixels, heights.sum(axis=axis) / np.where(is_blank, 1.0, total)[:, None])
        mean = (shares * places).sum(axis=1)
        result += (shares * (places - mean[:, None]) ** 2).sum(axis=1)
    return np.sqrt(result / 2)


def local_maxima(values: Floats) -> npt.NDArray[np.bool_]:
    """Which pixels `(k, h, w)` are peaks: no lower than their eight neighbours, and one pixel for each plateau.

    Neighbouring pixels of one value are a plateau; it is a peak if nothing beside it is higher, and its first pixel from
    the top left stands for it. A flat map has no peak, nor has a pixel of minus infinity. Time O(k h w), times the
    diameter of the widest plateau.

    Examples:
        >>> local_maxima(np.array([[[1.0, 0.0, 2.0, 2.0]], [[1.0, 1.0, 2.0, 1.0]]])).astype(int).tolist()
        [[[1, 0, 1, 0]], [[0, 0, 1, 0]]]
    """
    k, h, w = values.shape
    framed = np.full((k, h + 2, w + 2), -np.inf)
    framed[:, 1:-1, 1:-1] = values
    tallest = np.maximum(np.maximum(framed[:, :-2], framed[:, 1:-1]), framed[:, 2:])
    tallest = np.maximum(np.maximum(tallest[:, :, :-2], tallest[:, :, 1:-1]), tallest[:, :, 2:])
    is_peak: npt.NDArray[np.bool_] = np.asarray((values == tallest) & (values > -np.inf))
    is_peak &= values.max(axis=(1, 2), keepdims=True) > values.min(axis=(1, 2), keepdims=True)
    maps, ys, xs = np.nonzero(is_peak)
    has_equal = np.zeros(len(maps), dtype=bool)
    for dy, dx in _NEIGHBOURS:
        has_equal |= framed[maps, ys + 1 + dy, xs + 1 + dx] == values[maps, ys, xs]
    if has_equal.any():
        uneven = np.unique(maps[has_equal])
        is_peak[uneven] = _first_of_plateaus(framed[uneven], is_peak[uneven])
    return is_peak


def _first_of_plateaus(framed: Floats, is_peak: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """Give each plateau the lowest label of its pixels, 0 where one of them is no peak; its first pixel keeps its own."""
    _, h, w = is_peak.shape
    values = framed[:, 1:-1, 1:-1]
    own = np.arange(1, h * w + 1).reshape(h, w)
    labels = np.zeros(framed.shape, dtype=np.int64)
    inner = labels[:, 1:-1, 1:-1]
    inner[...] = np.where(is_peak, own, 0)
    while True:
        before = inner.copy()
        for dy, dx in _NEIGHBOURS:
            there = (slice(None), slice(1 + dy, 1 + dy + h), slice(1 + dx, 1 + dx + w))
            np.minimum(inner, labels[there], out=inner, where=values == framed[there])
        if (inner == before).all():
            return np.asarray((inner == own) & is_peak)


def peak_margin(heights: Floats, is_peak: npt.NDArray[np.bool_]) -> Floats:
    """How close the second peak comes to the first: `1 - (h1 - h2) / h1`, for the two highest local maxima.

    0 where there is one peak, 1 where two are of one height, and by definition 1 where there is none.

    Args:
        heights: `(k, h, w)`, 0 or more.
        is_peak: Of the same shape, from `local_maxima`.

    Examples:
        >>> maps = np.array([[[0.8, 0.0, 0.2]], [[0.8, 0.0, 0.0]]])
        >>> peak_margin(maps, local_maxima(maps)).tolist()
        [0.25, 0.0]
    """
    peaks = np.where(is_peak, heights, 0.0).reshape(len(heights), -1)
    rows, best = np.arange(len(peaks)), peaks.argmax(axis=1)
    first = peaks[rows, best]
    peaks[rows, best] = 0.0
    return np.where(first > 0, peaks.max(axis=1) / np.where(first > 0, first, 1.0), 1.0)


def multiple_peak_entropy(heights: Floats, is_peak: npt.NDArray[np.bool_]) -> Floats:
    """Entropy in nats of the softmax over the heights of all local maxima: 0 where there is one peak, or none.

    Heights lie in [0, 1], so that their softmax is nearly even: the value is close to the logarithm of the number of
    peaks, small ones of noise included, and has no upper end.

    Args:
        heights: `(k, h, w)`, 0 or more.
        is_peak: Of the same shape, from `local_maxima`.

    Examples:
        >>> maps = np.array([[[0.8, 0.0, 0.8]], [[0.8, 0.0, 0.0]]])
        >>> multiple_peak_entropy(maps, local_maxima(maps)).round(4).tolist()
        [0.6931, 0.0]

    References:
        B. Liu and V. Ferrari, Active Learning for Human Pose Estimation, 2017, doi:10.1109/ICCV.2017.468.
    """
    maps = np.nonzero(is_peak)[0]
    powers = np.exp(heights[is_peak])
    shares = powers / np.bincount(maps, powers, minlength=len(heights))[maps]
    return np.maximum(np.bincount(maps, -shares * np.log(shares), minlength=len(heights)), 0.0)
