"""A contact sheet: the picks of a round as thumbnails in order, each with its rank, gain and reason."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from samplers import Selection

from ..platforms.base import Item
from .thumbnails import INK, MUTED, PAPER, clipped, thumbnail

_CELL = (300, 112)
_THUMBNAIL = 96
_MARGIN = 12
_HEADER = 44


def draw_contact_sheet(
    path: Path, title: str, selection: Selection, items: Sequence[Item], *, n_columns: int = 5, n_largest: int = 200
) -> None:
    """Write a PNG with the picks of a round, best first, row by row.

    Args:
        path: The file.
        title: The line at the top.
        selection: The picks.
        items: The picked items in the same order; an image that cannot be opened is drawn as an empty frame.
        n_columns: Picks side by side.
        n_largest: Picks beyond this number are left out, and the title says so.

    Raises:
        ValueError: There are no picks.
    """
    n_drawn = min(len(selection), n_largest)
    if not n_drawn:
        raise ValueError("the selection is empty; there is nothing to draw")
    n_columns = min(n_columns, n_drawn)
    n_rows = -(-n_drawn // n_columns)
    size = (n_columns * _CELL[0] + 2 * _MARGIN, n_rows * _CELL[1] + _HEADER + _MARGIN)
    sheet = Image.new("RGB", size, PAPER)
    draw = ImageDraw.Draw(sheet)
    heading, bold, small = (ImageFont.load_default(points) for points in (18, 15, 12))
    shown = "" if n_drawn == len(selection) else f" (the first {n_drawn:,} of {len(selection):,})"
    draw.text((_MARGIN, 12), f"{title}{shown}", INK, heading)
    for place in range(n_drawn):
        x = _MARGIN + place % n_columns * _CELL[0]
        y = _HEADER + place // n_columns * _CELL[1]
        sheet.paste(thumbnail(items[place].media, _THUMBNAIL), (x, y))
        left = x + _THUMBNAIL + 8
        draw.text((left, y), f"#{place + 1}   gain {selection.gains[place]:.3g}", INK, bold)
        draw.text((left, y + 19), clipped(items[place].id, 28), MUTED, small)
        lines = [
            line for part in selection.reasons[place].split("; ") for line in textwrap.wrap(part, 29, break_long_words=True)
        ]
        draw.multiline_text((left, y + 36), "\n".join(lines[:4]), MUTED, small, spacing=2)
    sheet.save(path, format="PNG")
