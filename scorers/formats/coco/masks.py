"""The boxes around COCO's masks: run-length codes, compressed or not, and polygons. Masks are never unpacked."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from itertools import chain
from typing import Any

import numpy as np
import numpy.typing as npt

IntArray = npt.NDArray[np.int64]

_CODES = 256  # that are read at once: what is computed of them stays in the processor's cache
_MOST_CHARACTERS = 7  # of one number: 35 bits, more than an image has pixels


def mask_boxes(
    segmentations: Sequence[Any], sizes: npt.NDArray[np.float64], row_name: Callable[[int], str]
) -> npt.NDArray[np.float64]:
    """The box around each mask, as x, y, width, height in pixels; NaN where a mask is empty.

    Time and memory O(length of the codes).

    Args:
        segmentations: m run-length codes `{size: [height, width], counts}`, whose counts are text or numbers, or lists of
            polygons `[x0, y0, x1, y1, ...]`.
        sizes: `(m, 2)` width and height of the images.
        row_name: Gives a row's name for messages.

    Raises:
        ValueError: No such mask, a mask of another size than its image, a code that is broken.

    Examples:
        >>> code = {"size": [3, 4], "counts": [4, 2, 1, 2, 3]}
        >>> mask_boxes([code, [[1, 1, 3, 1, 3, 2.5]]], np.array([[4.0, 3.0], [4.0, 3.0]]), str).tolist()
        [[1.0, 1.0, 2.0, 2.0], [1.0, 1.0, 2.0, 1.5]]
    """
    boxes = np.full((len(segmentations), 4), np.nan)
    rows, codes = [], []
    for row, segmentation in enumerate(segmentations):
        if isinstance(segmentation, Mapping):
            _check_size(segmentation, sizes[row], row_name(row))
            rows.append(row)
            codes.append(segmentation.get("counts"))
        else:
            boxes[row] = _polygon_box(segmentation, row_name(row))
    chosen = np.array(rows, dtype=np.int64)
    for start in range(0, len(codes), _CODES):
        part = chosen[start : start + _CODES]
        names = partial(_name_of, part, row_name)
        boxes[part] = _code_boxes(codes[start : start + _CODES], sizes[part].astype(np.int64), names)
    return boxes


def _check_size(code: Mapping[str, Any], size: npt.NDArray[np.float64], name: str) -> None:
    width, height = size.tolist()
    given = code.get("size")
    if not isinstance(given, list | tuple) or list(given) != [height, width]:
        turned = ": size is [height, width]" if isinstance(given, list | tuple) and list(given) == [width, height] else ""
        raise ValueError(
            f"the mask of {name} has size {given!r}; expected that of its image, [{height:g}, {width:g}]{turned}"
        )


def _polygon_box(polygons: Any, name: str) -> list[float]:
    try:
        points = [np.array(polygon, dtype=np.float64) for polygon in polygons]
    except (TypeError, ValueError):
        points = [np.empty(0)]
    if any(each.ndim != 1 or len(each) < 6 or len(each) % 2 or not np.isfinite(each).all() for each in points):
        raise ValueError(
            f"the mask of {name} is no run-length code, and no list of polygons [x0, y0, x1, y1, x2, y2, ...] of numbers"
        )
    if not points:
        return [np.nan] * 4
    corners = np.concatenate(points).reshape(-1, 2)
    low, high = corners.min(axis=0), corners.max(axis=0)
    return [*low.tolist(), *(high - low).tolist()]


def _code_boxes(codes: list[Any], sizes: IntArray, name: Callable[[int], str]) -> npt.NDArray[np.float64]:
    """Boxes of run-length codes: runs of background and mask take turns, down the columns."""
    boxes = np.empty((len(codes), 4))
    is_text = np.array([isinstance(counts, str | bytes) for counts in codes])
    for chosen, read in ((np.flatnonzero(is_text), _runs_of_texts), (np.flatnonzero(~is_text), _runs_of_lists)):
        if not len(chosen):
            continue
        names = partial(_name_of, chosen, name)
        boxes[chosen] = _boxes_of_runs(*read([codes[row] for row in chosen], names), sizes[chosen], names)
    return boxes


def _name_of(chosen: IntArray, name: Callable[[int], str], number: int) -> str:
    return name(int(chosen[number]))


def _boxes_of_runs(
    pairs: IntArray, starts: IntArray, sizes: IntArray, name: Callable[[int], str]
) -> npt.NDArray[np.float64]:
    """Boxes from `(p, 2)` lengths of a run of background and of the run of mask after it; code i begins at `starts[i]`."""
    n_pairs = np.diff([*starts, len(pairs)])
    code = np.repeat(np.arange(len(starts)), n_pairs)
    width, height = sizes[:, 0], sizes[:, 1]
    background, mask = pairs[:, 0], pairs[:, 1]
    totals = np.add.reduceat(background + mask, starts)
    is_bad = (totals != width * height) | (np.minimum.reduceat(np.minimum(background, mask), starts) < 0)
    is_bad |= np.maximum.reduceat(np.maximum(background, mask), starts) > width * height  # the sum of such may wrap around
    if is_bad.any():
        row = int(np.flatnonzero(is_bad)[0])
        raise ValueError(
            f"the mask of {name(row)} is broken: its runs cover {totals[row]:,} pixels of {width[row]} x {height[row]}"
        )
    ends = pairs.reshape(-1).cumsum()[1::2] - np.repeat(np.cumsum(totals) - totals, n_pairs)
    is_mask = mask > 0
    rows = height[code]
    x0, y0 = np.divmod(ends - mask, rows)
    x1, y1 = np.divmod(ends - 1, rows)
    is_over_columns = x1 > x0
    y0[is_over_columns] = 0
    y1 = np.where(is_over_columns, rows - 1, y1)
    low = [np.minimum.reduceat(np.where(is_mask, side, np.iinfo(np.int64).max), starts) for side in (x0, y0)]
    high = [np.maximum.reduceat(np.where(is_mask, side, -1), starts) for side in (x1, y1)]
    boxes = np.stack([*low, high[0] - low[0] + 1, high[1] - low[1] + 1], axis=1).astype(np.float64)
    boxes[high[0] < 0] = np.nan
    return boxes


def _in_pairs(values: IntArray, counts: IntArray) -> tuple[IntArray, IntArray]:
    """Runs of all codes as pairs, a run of no length added to codes of odd length; and where each code's pairs begin."""
    n_pairs = (counts + 1) // 2
    starts = np.cumsum(n_pairs) - n_pairs
    slots = np.arange(len(values)) + np.repeat(2 * starts - (np.cumsum(counts) - counts), counts)
    pairs = np.zeros(2 * int(n_pairs.sum()), dtype=np.int64)
    pairs[slots] = values
    return pairs.reshape(-1, 2), starts


def _runs_of_lists(lists: list[Any], name: Callable[[int], str]) -> tuple[IntArray, IntArray]:
    for row, counts in enumerate(lists):
        is_list = isinstance(counts, list | tuple | np.ndarray) and len(counts)
        if not is_list or np.asarray(counts).dtype.kind not in "iu" or np.ndim(counts) != 1:
            raise ValueError(f"the mask of {name(row)} has counts {str(counts)[:40]!r}; expected text, or a list of numbers")
    counts = np.array([len(each) for each in lists])
    return _in_pairs(np.fromiter(chain.from_iterable(lists), np.int64, int(counts.sum())), counts)


def _runs_of_texts(texts: list[Any], name: Callable[[int], str]) -> tuple[IntArray, IntArray]:
    """Undo the compression of pycocotools, for all codes at once.

    A number is written five bits at a time, the lowest first, as characters from '0' on with a sixth bit where more follow;
    its highest bit is its sign. From the fourth number on, it is the difference to the one before the last.
    """
    raw = [text.encode("utf-8") if isinstance(text, str) else text for text in texts]
    lengths = np.array([len(text) for text in raw])
    six_bits = np.frombuffer(b"".join(raw), dtype=np.uint8).astype(np.int64) - 48
    text_ends = np.cumsum(lengths)
    is_bad = np.array([not text or text[-1] - 48 & 32 for text in raw]).astype(bool)
    outside = np.flatnonzero((six_bits < 0) | (six_bits > 63))
    is_bad[np.searchsorted(text_ends, outside, side="right")] = True
    is_end = six_bits & 32 == 0
    ends = np.flatnonzero(is_end)
    first = np.concatenate([[0], ends[:-1] + 1]) if len(ends) else ends
    n_characters = ends - first + 1
    is_bad[np.searchsorted(text_ends, first[n_characters > _MOST_CHARACTERS], side="right")] = True
    if is_bad.any():
        row = int(np.flatnonzero(is_bad)[0])
        raise ValueError(f"the mask of {name(row)} has counts {str(texts[row])[:40]!r}, which are no run-length code")
    place = np.arange(len(six_bits)) - np.repeat(first, n_characters)
    values = np.add.reduceat((six_bits & 31) << 5 * place, first)
    values -= np.where(six_bits[ends] & 16, np.int64(1) << 5 * n_characters, 0)
    counts = np.add.reduceat(is_end.astype(np.int64), text_ends - lengths)
    pairs, starts = _in_pairs(values, counts)
    firsts = pairs[starts, 0].copy()
    pairs[starts, 0] = 0
    sums = pairs.cumsum(axis=0)
    before = np.concatenate([[[0, 0]], sums])[starts]
    sums -= np.repeat(before, np.diff([*starts, len(pairs)]), axis=0)
    sums[starts, 0] = firsts
    is_odd = counts % 2 == 1
    sums[np.concatenate([starts[1:], [len(pairs)]])[is_odd] - 1, 1] = 0  # the run that was added
    return sums, starts
