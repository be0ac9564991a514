"""A contact sheet: the picks of a round as thumbnails in order, each with its rank, gain and reason."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont, ImageOps

from samplers import Selection

from ..platforms.base import Item

_CELL = (300, 112)
_THUMBNAIL = 96
_MARGIN = 12
_HEADER = 44
_INK, _MUTED, _PAPER, _MISSING = "#1a1a1a", "#5a5a5a", "#ffffff", "#e4e4e4"


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
    sheet = Image.new("RGB", size, _PAPER)
    draw = ImageDraw.Draw(sheet)
    heading, bold, small = (ImageFont.load_default(points) for points in (18, 15, 12))
    shown = "" if n_drawn == len(selection) else f" (the first {n_drawn:,} of {len(selection):,})"
    draw.text((_MARGIN, 12), f"{title}{shown}", _INK, heading)
    for place in range(n_drawn):
        x = _MARGIN + place % n_columns * _CELL[0]
        y = _HEADER + place // n_columns * _CELL[1]
        sheet.paste(_thumbnail(items[place].media), (x, y))
        left = x + _THUMBNAIL + 8
        draw.text((left, y), f"#{place + 1}   gain {selection.gains[place]:.3g}", _INK, bold)
        draw.text((left, y + 19), _clipped(items[place].id, 28), _MUTED, small)
        lines = [
            line for part in selection.reasons[place].split("; ") for line in textwrap.wrap(part, 29, break_long_words=True)
        ]
        draw.multiline_text((left, y + 36), "\n".join(lines[:4]), _MUTED, small, spacing=2)
    sheet.save(path, format="PNG")


def _thumbnail(media: str | None) -> Image.Image:
    try:
        with Image.open(media or "") as image:
            image.draft("RGB", (2 * _THUMBNAIL, 2 * _THUMBNAIL))
            return ImageOps.pad(ImageOps.exif_transpose(image).convert("RGB"), (_THUMBNAIL, _THUMBNAIL), color=_MISSING)
    except Exception:  # damaged bytes can fail in any way
        return Image.new("RGB", (_THUMBNAIL, _THUMBNAIL), _MISSING)


def _clipped(text: str, n_characters: int) -> str:
    printable = "".join(character if character.isprintable() else " " for character in text)
    return printable if len(printable) <= n_characters else f"{printable[: n_characters - 3]}..."
