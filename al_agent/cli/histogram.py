"""A small picture of scores for a terminal, with the picks marked below it."""

from __future__ import annotations

import math
import sys
from collections.abc import Collection
from typing import Any

import numpy as np
import numpy.typing as npt

from scorers import Scores

from .output import clipped, columns, on_one_line

_N_ROWS = 7
_FEWEST_BINS, _MOST_BINS = 8, 60
_WIDEST_BIN = 8
_MOST_DIGITS = 17
_BLOCKS, _LINES = " ▁▂▃▄▅▆▇█", ("│", "└", "─", "▲")
_ASCII_BLOCKS, _ASCII_LINES = " .:|#", ("|", "+", "-", "^")

FloatArray = npt.NDArray[np.floating[Any]]


def histogram_lines(scores: Scores, name: str, unlabeled: Collection[str], picked: Collection[str] = ()) -> list[str]:
    """The picture of a score with an empty line before it; nothing where standard output is no terminal.

    Args:
        scores: Of the unlabeled items at least.
        name: Which of the scores.
        unlabeled: The items whose scores are shown.
        picked: Those of them that are marked.
    """
    if not sys.stdout.isatty():
        return []
    shown, marked = set(unlabeled), set(picked)
    values = scores.column(name)
    of_unlabeled = values[[item_id in shown for item_id in scores.item_ids]]
    of_picked = values[[item_id in marked for item_id in scores.item_ids]] if marked else None
    ascii_only = not _can_show(_BLOCKS + "".join(_LINES), sys.stdout.encoding)
    drawn = draw_histogram(of_unlabeled, name, picked=of_picked, width=columns(), ascii_only=ascii_only)
    return ["", drawn] if drawn else []


def draw_histogram(
    scores: FloatArray, name: str, *, picked: FloatArray | None = None, width: int = 80, ascii_only: bool = False
) -> str:
    """How many items have which score as bars, in eleven lines at most.

    Args:
        scores: `(n,)` of the unlabeled items, the picks among them.
        name: What the scores are called.
        picked: `(k,)` scores of the picks, marked below the bars; None for no marks.
        width: Cells of a line, 30 or more.
        ascii_only: Draw with plain characters, for a terminal that has no others.

    Returns:
        Lines of at most `width` cells; one sentence where all scores are the same, nothing where there are none.

    Examples:
        >>> print(draw_histogram(np.array([0, 1, 1, 2, 2, 2]), "score", picked=np.array([2.0]), width=40, ascii_only=True))
        score of 6 unlabeled items, ^ 1 picked
        3 |                ########
          |                ########
          |        ||||||||########
          |        ################
          |::::::::################
          |########################
        0 |########################
          +------------------------
                           ^^^^^^^^
           0                      2
    """
    n_items = len(scores)
    if not n_items:
        return ""
    low, high = float(scores.min()), float(scores.max())
    name = on_one_line(name)
    if low == high:
        return clipped(f"all {n_items:,} unlabeled items have the same {name}: {low:.3g}", width)
    blocks, (wall, corner, floor, mark) = (_ASCII_BLOCKS, _ASCII_LINES) if ascii_only else (_BLOCKS, _LINES)
    margin = len(f"{n_items:,}") + 1  # the highest bar is no longer number
    room = width - margin - 1
    whole = high - low < min(room, _MOST_BINS) and not (scores % 1).any()
    n_bins = int(high - low) + 1 if whole else min(max(2 * math.isqrt(n_items), _FEWEST_BINS), _MOST_BINS, room)
    n_wide = min(room // n_bins, _WIDEST_BIN)

    def bins(values: FloatArray) -> npt.NDArray[np.intp]:
        """Where each value stands: a bar for each whole number, or bars of equal width."""
        if whole:
            return (values - low).astype(np.intp)
        largest = max(-low, high)  # the range of huge numbers is none, and the inverse of a tiny one neither
        share = (values / largest - low / largest) / (high / largest - low / largest)
        return np.minimum((share * n_bins).astype(np.intp), n_bins - 1)

    counts = np.bincount(bins(scores), minlength=n_bins)
    n_steps = len(blocks) - 1
    heights = np.ceil(counts / counts.max() * _N_ROWS * n_steps).astype(int)  # up, so that one item is seen too
    rows = []
    for row in reversed(range(_N_ROWS)):
        label = f"{counts.max():,}" if row == _N_ROWS - 1 else "0" if row == 0 else ""
        bar = "".join(blocks[min(max(height - row * n_steps, 0), n_steps)] * n_wide for height in heights.tolist())
        rows.append(f"{label:>{margin - 1}} {wall}{bar}".rstrip())
    rows.append(" " * margin + corner + floor * n_bins * n_wide)
    title = f"{name} of {n_items:,} unlabeled items"
    if picked is not None:
        title += f", {mark} {len(picked):,} picked"
        is_marked = np.bincount(bins(picked), minlength=n_bins) > 0
        marks = "".join((mark if marked else " ") * n_wide for marked in is_marked.tolist())
        rows.append(" " * (margin + 1) + marks.rstrip())
    left, right = _ends(low, high)
    rows.append(" " * (margin + 1) + left + right.rjust(n_bins * n_wide - len(left)))
    return "\n".join([clipped(title, width), *rows])


def _ends(low: float, high: float) -> tuple[str, str]:
    """Both in as few digits as tell them apart, three or more."""
    for digits in range(3, _MOST_DIGITS + 1):
        ends = f"{low:.{digits}g}", f"{high:.{digits}g}"
        if ends[0] != ends[1]:
            break
    return ends


def _can_show(characters: str, encoding: str) -> bool:
    try:
        characters.encode(encoding)
    except (UnicodeEncodeError, LookupError):
        return False
    return True
