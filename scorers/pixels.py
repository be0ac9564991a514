"""Scores of pixels: the formulas of `uncertainty`, and disagreement between passes, on blocks laid out class by class.

A block is `(c, b)`: each class's probabilities of b pixels lie side by side, so that every step of a formula is one pass
over long rows. Blocks of float32 are worked on in float32; a score is then right to 1e-6.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from .checks import FloatArray
from .predictions.pixel_map import Area, PixelMap

UNCERTAINTIES = ("uncertainty_least_confidence", "uncertainty_margin", "uncertainty_entropy")
DISAGREEMENTS = ("bald", "variation_ratio")


class Scratch(threading.local):
    """Room for blocks, each thread its own and used again for each block: fresh memory costs as much as a formula."""

    def __init__(self) -> None:
        self._arrays: dict[tuple[str, np.dtype[Any]], FloatArray] = {}

    def room(self, size: int, dtype: np.dtype[Any], name: str) -> FloatArray:
        """An array of at least `size` values, with whatever is in it."""
        array = self._arrays.get((name, dtype))
        if array is None or len(array) < size:
            array = self._arrays[name, dtype] = np.empty(size, dtype=dtype)
        return array

    def like(self, block: FloatArray, name: str) -> FloatArray:
        """An array of the block's shape and type, with whatever is in it."""
        return self.room(block.size, block.dtype, name)[: block.size].reshape(block.shape)


def score_names(has_passes: bool) -> tuple[str, ...]:
    """The names of the rows that `score_areas` gives."""
    return UNCERTAINTIES + DISAGREEMENTS if has_passes else UNCERTAINTIES


def score_areas(pixel_map: PixelMap, areas: Sequence[Area], scratch: Scratch) -> FloatArray:
    """`(s, m)` scores in `[0, 1]` of the m pixels of some areas that are looked at, in the order of `score_names`."""
    counts = [pixel_map.n_looked_at(area) for area in areas]
    n_classes = pixel_map.n_classes
    dtype = np.dtype(np.float64) if pixel_map.has_passes else pixel_map.dtype  # sums of many passes are kept in float64
    scores: FloatArray = np.empty((len(score_names(pixel_map.has_passes)), sum(counts)), dtype=dtype)
    room = scratch.room(n_classes * max(counts), pixel_map.dtype, "block")
    start = 0
    for area, count in zip(areas, counts):
        if count and pixel_map.has_passes:
            _score_passes_into(scores[:, start : start + count], pixel_map, area, room, scratch)
        elif count:
            _measure_into(scores[:, start : start + count], pixel_map.block(0, area, room), scratch)
        start += count
    first, second = scores[0], scores[1]  # the rest on long rows, once for all areas
    np.subtract(first, second, out=second)
    scores[:2] *= -1
    scores[:2] += 1
    scores[0] /= 1 - 1 / n_classes
    return np.clip(scores, 0, 1, out=scores)


def _measure_into(scores: FloatArray, block: FloatArray, scratch: Scratch) -> None:
    """The largest and second largest probability and the normalised entropy, into the first three rows of scores."""
    scores[2] = entropies(block, scratch)
    two_largest_into(scores, block, scratch)


def entropies(block: FloatArray, scratch: Scratch) -> FloatArray:
    """`(b,)` Shannon entropies over their maximum, `-sum(p log2 p) / log2 c` with `0 log 0 = 0`."""
    logs = scratch.like(block, "a")
    np.add(block, np.finfo(block.dtype).tiny, out=logs)  # changes zeros alone, whose logarithm is then finite and times 0
    np.log2(logs, out=logs)
    logs *= block
    result: FloatArray = np.add.reduce(logs, axis=0)
    result /= -math.log2(len(block))
    return result


def two_largest_into(result: FloatArray, block: FloatArray, scratch: Scratch) -> None:
    """Each pixel's largest and second largest probability, into two rows, by a tournament: the second is the best loser.

    A round is two operations on half the rows at once: a few long steps, where going class by class takes many short ones,
    between which threads would wait for one another.
    """
    winners, losers = scratch.like(block, "a"), scratch.like(block, "b")
    n_left, n_lost, players = len(block), 0, block
    while n_left > 1:
        half = n_left // 2
        left, right = players[:half], players[n_left - half : n_left]
        np.minimum(left, right, out=losers[n_lost : n_lost + half])
        np.maximum(left, right, out=winners[:half])
        if n_left % 2 and players is block:
            winners[half] = block[half]
        n_left, n_lost, players = n_left - half, n_lost + half, winners
    result[0] = winners[0]
    np.maximum.reduce(losers[:n_lost], axis=0, out=result[1])


def _score_passes_into(scores: FloatArray, pixel_map: PixelMap, area: Area, room: FloatArray, scratch: Scratch) -> None:
    """As `_measure_into` of the mean over passes, and their disagreement; time O(t c) and memory O(c) for each pixel."""
    n_passes, n_pixels = pixel_map.n_passes, scores.shape[1]
    total = np.zeros((pixel_map.n_classes, n_pixels), dtype=np.float64)
    entropy = np.zeros(n_pixels, dtype=np.float64)
    votes = np.zeros((pixel_map.n_classes, n_pixels), dtype=np.int32)
    for number in range(n_passes):
        block = pixel_map.block(number, area, room)
        total += block
        entropy += entropies(block, scratch)
        _vote(votes, block)
    total /= n_passes
    _measure_into(scores, total, scratch)
    scores[3] = scores[2] - entropy / n_passes
    scores[4] = 1 - np.maximum.reduce(votes, axis=0) / n_passes


def _vote(votes: npt.NDArray[np.int32], block: FloatArray) -> None:
    """Add one to each pixel's most probable class, the first of those that tie."""
    is_open = np.ones(block.shape[1], dtype=bool)
    highest = np.maximum.reduce(block, axis=0)
    for label, values in enumerate(block):
        is_vote = (values == highest) & is_open
        votes[label] += is_vote
        is_open &= ~is_vote
