"""A sheet of near-duplicates: a row for each group, its representative first."""

from __future__ import annotations

import os
from collections.abc import Mapping

from PIL import Image, ImageDraw, ImageFont

from scorers.files import written_whole

from ..embedding.neighbours.duplicates import DuplicateGroups
from .thumbnails import INK, MUTED, PAPER, clipped, clipped_left, thumbnail

_THUMBNAIL, _GAP, _MARGIN = 128, 12, 16
_HEADER, _ROW, _LABEL = 66, 176, 120
_KEPT = "#0072B2"


def draw_group_sheet(
    path: str | os.PathLike[str],
    title: str,
    groups: DuplicateGroups,
    images: Mapping[str, str],
    *,
    n_groups: int = 20,
    n_across: int = 8,
) -> None:
    """Write a PNG with the largest groups, one in each row: the representative in a frame, then the others, nearest first.

    Args:
        path: The file.
        title: The line at the top.
        groups: The groups.
        images: Item id to the path of its file; an image that is missing or cannot be read is drawn as an empty square.
        n_groups: Groups beyond this number are left out, and the line below the title says so.
        n_across: Images in a row; a group of more shows its nearest and its farthest members, and how many lie between.

    Raises:
        ValueError: There are no groups.
    """
    if not len(groups):
        raise ValueError("there are no groups; there is nothing to draw")
    n_drawn = min(len(groups), n_groups)
    n_columns = min(n_across, len(groups.groups[0]))
    width = max(_LABEL + n_columns * (_THUMBNAIL + _GAP) - _GAP, 520) + 2 * _MARGIN
    sheet = Image.new("RGB", (width, _HEADER + n_drawn * _ROW + _MARGIN), PAPER)
    draw = ImageDraw.Draw(sheet)
    heading, bold, small = (ImageFont.load_default(points) for points in (20, 15, 12))
    draw.text((_MARGIN, 12), clipped(title, width // 11), INK, heading)
    shown = "" if n_drawn == len(groups) else f", the {n_drawn:,} largest shown"
    n_redundant = len(groups.redundant)
    summary = f"{len(groups):,} group{'s' * (len(groups) > 1)}{shown}; {n_redundant:,} of {groups.n_items:,} images "
    summary += "is redundant" if n_redundant == 1 else "are redundant"
    draw.text((_MARGIN, 38), f"{summary}; {groups.metric} distance up to {groups.distance:.3g}", MUTED, small)
    for number in range(n_drawn):
        top = _HEADER + number * _ROW
        ids, distances = groups.groups[number], groups.distances[number]
        draw.text((_MARGIN, top + 2), f"g{number + 1}", INK, bold)
        draw.text((_MARGIN, top + 24), f"{len(ids):,} images", MUTED, small)
        half = len(ids) if len(ids) <= n_columns else n_columns - n_columns // 3
        places = [*range(half), *range(len(ids) - (n_columns - half), len(ids))] if half < len(ids) else range(half)
        if half < len(ids):
            draw.text((_MARGIN, top + 40), f"{len(ids) - n_columns:,} not shown", MUTED, small)
        for column, place in enumerate(places):
            left = _MARGIN + _LABEL + column * (_THUMBNAIL + _GAP)
            sheet.paste(thumbnail(images.get(ids[place]), _THUMBNAIL), (left, top))
            if place == 0:
                draw.rectangle((left - 4, top - 4, left + _THUMBNAIL + 3, top + _THUMBNAIL + 3), outline=_KEPT, width=4)
            if column == half and column:
                draw.text((left - _GAP / 2, top + _THUMBNAIL / 2), "…", MUTED, bold, anchor="mm")
            label = "stays" if place == 0 else f"{distances[place]:.3g}"
            draw.text((left, top + _THUMBNAIL + 6), label, _KEPT if place == 0 else INK, small)
            draw.text((left, top + _THUMBNAIL + 21), clipped_left(ids[place], 20), MUTED, small)
    with written_whole(path) as file:
        sheet.save(file, format="PNG")
