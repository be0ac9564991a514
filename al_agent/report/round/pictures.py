"""Pictures of items for a page: one for each card, and small ones of many items on a few sheets."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt
from PIL import Image

from ..thumbnails import read_thumbnail
from .drawing import draw_marks
from .facts import Marks

CARD_SIDE = 240
CELL = 64
"""Pixels of a small picture's longer side."""
ACROSS = 16
"""Small pictures in a row of a sheet, and rows of a sheet."""

_THREADS = 2
_AT_ONCE = 64  # waiting in memory
_CARD_QUALITY, _SHEET_QUALITY = 78, 66

From = TypeVar("From")
To = TypeVar("To")


class Picture(NamedTuple):
    """An encoded picture with its width and height in pixels."""

    webp: bytes
    width: int
    height: int


class Sheets(NamedTuple):
    """Small pictures in the order of their rows, 16 x 16 on a sheet, each at the upper left of its cell.

    Args:
        rows: `(m,)` numbers of the items; those whose image cannot be read are not among them.
        sizes: `(m, 2)` width and height in pixels.
        webp: The sheets, encoded.
    """

    rows: npt.NDArray[np.int64]
    sizes: npt.NDArray[np.uint8]
    webp: tuple[bytes, ...]


def card_pictures(
    media: Sequence[str | None], marks: Sequence[Marks | None], order: Sequence[str]
) -> Iterator[Picture | None]:
    """Pictures of at most 240 x 240 pixels with what a model sees on them; None for an image that cannot be read.

    Args:
        media: Paths of image files.
        marks: What is seen on each of them.
        order: Names of classes, by which boxes are coloured on the whole page.
    """

    def make(one: tuple[str | None, Marks | None]) -> Picture | None:
        image = read_thumbnail(one[0], CARD_SIDE)
        if image is None:
            return None
        drawn = image if one[1] is None else draw_marks(image, one[1], order=order)
        return Picture(_encoded(drawn, _CARD_QUALITY), *drawn.size)

    return _in_threads(make, zip(media, marks))


def sheets_of(rows: Sequence[int], media: Sequence[str | None]) -> Sheets:
    """Small pictures of some items; memory is that of one sheet beside the encoded ones.

    Args:
        rows: Which items.
        media: Paths of all items' image files.
    """
    found: list[int] = []
    sizes: list[tuple[int, int]] = []
    sheets: list[bytes] = []
    sheet = _empty_sheet()
    small = _in_threads(lambda row: read_thumbnail(media[row], CELL), rows)
    for row, image in zip(rows, small):
        if image is None:
            continue
        place = len(found) % ACROSS**2
        sheet.paste(image, (place % ACROSS * CELL, place // ACROSS * CELL))
        found.append(row)
        sizes.append(image.size)
        if place == ACROSS**2 - 1:
            sheets.append(_encoded(sheet, _SHEET_QUALITY))
            sheet = _empty_sheet()
    n_left = len(found) % ACROSS**2
    if n_left:
        sheets.append(_encoded(sheet.crop((0, 0, sheet.width, -(-n_left // ACROSS) * CELL)), _SHEET_QUALITY))
    return Sheets(np.array(found, dtype=np.int64), np.array(sizes, dtype=np.uint8).reshape(-1, 2), tuple(sheets))


def _empty_sheet() -> Image.Image:
    return Image.new("RGB", (ACROSS * CELL, ACROSS * CELL))


def _encoded(image: Image.Image, quality: int) -> bytes:
    file = io.BytesIO()
    image.save(file, format="WEBP", quality=quality, method=2)
    return file.getvalue()


def _in_threads(make: Callable[[From], To], values: Iterable[From]) -> Iterator[To]:
    """In order, a few at a time, so that what waits stays small."""
    rest = iter(values)
    with ThreadPoolExecutor(_THREADS) as threads:
        while part := list(islice(rest, _AT_ONCE)):
            yield from threads.map(make, part)
