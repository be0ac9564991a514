"""Boxes, keypoints and masks that a model sees, drawn on a thumbnail."""

from __future__ import annotations

import math
import zlib
from collections import Counter
from collections.abc import Iterable, Sequence
from functools import lru_cache
from itertools import chain
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageColor, ImageDraw, ImageFont

from ..embedding_map import COLOURS
from ..thumbnails import INK, PAPER, clipped
from .facts import Box, Marks

Colour = tuple[int, int, int]
Area = tuple[int, int, int, int]
"""First column and row, last column and row."""

_MOST_TAGS = 12  # beyond it boxes are thin, and names would hide the picture
_MOST_BOXES = 100
_SMALLEST_WITH_TEXT = 64
_MASK_SHARE = 0.5
_DARK, _LIGHT = ImageColor.getrgb(INK)[:3], ImageColor.getrgb(PAPER)[:3]
_FINER = 4
_FONTS = ("DejaVuSans.ttf", "arial.ttf", "Arial Unicode.ttf")  # Linux, Windows, macOS; Pillow's own has English letters only


class _Tag(NamedTuple):
    text: str
    font: ImageFont.FreeTypeFont
    width: int
    height: int


def draw_marks(image: Image.Image, marks: Marks, *, order: Sequence[str] = ()) -> Image.Image:
    """A copy of an image with what a model sees on it.

    Boxes have the colour of their class. Up to 12 have a tag with its name and confidence, unless the tag would hide that of
    a surer box; more are drawn thin, the surest 100 of them. Where no font on this machine has the letters of a name, its
    place among the boxes is written, such as `#2`. Keypoints are dots of one colour for each person. A mask is half
    transparent, with the names of its largest classes at the bottom; pixels that are not looked at stay as they are.

    Args:
        image: Of any size and mode.
        marks: What to draw; fractions refer to this image.
        order: Names of classes of boxes, whose colours are then given in this order, as `names_in` has them for a whole
            page. Other names have a colour that the name alone decides, which may be that of another class.

    Returns:
        An RGB image of the same size.

    Examples:
        >>> marks = Marks(boxes=(Box("cat", 0.9, (0.25, 0.25, 0.75, 0.75)),))
        >>> drawn = draw_marks(Image.new("RGB", (240, 180), "white"), marks, order=("cat",))
        >>> drawn.size, drawn.getpixel((60, 100))
        ((240, 180), (0, 114, 178))
    """
    drawn = image.convert("RGB")  # a copy, in every mode
    if marks.mask is not None and marks.mask.size:
        drawn = _with_mask(drawn, marks.mask, marks.mask_names)
    if marks.boxes:
        places = {name: place for place, name in enumerate(dict.fromkeys(order))}
        _draw_boxes(drawn, marks.boxes, places)
    if marks.points is not None:
        _draw_points(drawn, marks.points)
    return drawn


def names_in(marks: Iterable[Marks]) -> tuple[str, ...]:
    """The classes of the boxes of many images, commonest first, so that one class has one colour on a whole page.

    Examples:
        >>> names_in([Marks(boxes=tuple(Box(name, 0.5, (0, 0, 1, 1)) for name in ("cat", "dog", "dog")))])
        ('dog', 'cat')
    """
    counts = Counter(box.label for one in marks for box in one.boxes)
    return tuple(sorted(counts, key=lambda name: (-counts[name], name)))


def colour_of(place: int) -> Colour:
    """Colour number 0, 1, 2, ...: ten that stay apart for colour-blind readers, then lighter and darker ones."""
    base, turn = ImageColor.getrgb(COLOURS[place % len(COLOURS)])[:3], place // len(COLOURS)
    if not turn:
        return base
    towards, share = (_LIGHT, 0.5) if turn % 2 else (_DARK, 0.45)
    red, green, blue = (round(a + (b - a) * share) for a, b in zip(base, towards))
    return red, green, blue


def _colour_of_name(name: str, places: dict[str, int]) -> Colour:
    return colour_of(places[name] if name in places else zlib.crc32(name.encode("utf-8", "surrogatepass")) % len(COLOURS))


def _draw_boxes(image: Image.Image, boxes: Sequence[Box], places: dict[str, int]) -> None:
    shown = [
        (number, box, _pixels(box.corners, image.size))
        for number, box in enumerate(boxes[:_MOST_BOXES], start=1)
        if all(map(math.isfinite, box.corners))
    ]
    has_tags = len(shown) <= _MOST_TAGS and min(image.size) >= _SMALLEST_WITH_TEXT
    width = max(1, round(max(image.size) / (120 if len(shown) <= _MOST_TAGS else 240)))
    draw = ImageDraw.Draw(image)
    for _, box, corners in reversed(shown):  # surest last, on top
        draw.rectangle(corners, outline=_colour_of_name(box.label, places), width=width)
    taken: list[Area] = []
    for number, box, corners in shown if has_tags else ():
        tag = _tag(box.label, f" {box.score:.2f}", f"#{number}:", image.size)
        area = _free_place(tag, corners, taken, image.size)
        if area is not None:
            taken.append(area)
            _draw_tag(draw, tag, area, _colour_of_name(box.label, places))


def _free_place(tag: _Tag, corners: Area, taken: Sequence[Area], size: tuple[int, int]) -> Area | None:
    """Above the box, else inside it at the top, at the bottom, or below it; None where tags of surer boxes stand there."""
    _, top, _, bottom = corners
    left = max(0, min(corners[0], size[0] - tag.width))
    for y in (top - tag.height, top, bottom + 1 - tag.height, bottom + 1):
        area = (left, y, left + tag.width - 1, y + tag.height - 1)
        if y >= 0 and area[3] < size[1] and not any(_overlap(area, other) for other in taken):
            return area
    return None


def _overlap(a: Area, b: Area) -> bool:
    return a[0] <= b[2] and b[0] <= a[2] and a[1] <= b[3] and b[1] <= a[3]


def _pixels(corners: tuple[float, float, float, float], size: tuple[int, int]) -> Area:
    """The first and last column and row of a box, inside of the image, whatever the box is like."""
    xs, ys = sorted((corners[0], corners[2])), sorted((corners[1], corners[3]))
    left, right = (round(min(max(x, 0.0), 1.0) * (size[0] - 1)) for x in xs)
    top, bottom = (round(min(max(y, 0.0), 1.0) * (size[1] - 1)) for y in ys)
    return left, top, right, bottom


def _draw_points(image: Image.Image, points: npt.NDArray[np.float64]) -> None:
    radius = max(1.0, max(image.size) / 80)
    for person, places in enumerate(points):
        dot = _dot(radius, colour_of(person))
        for x, y in places[np.isfinite(places).all(axis=1)].tolist():
            corner = (round(x * (image.width - 1) - dot.width / 2), round(y * (image.height - 1) - dot.height / 2))
            image.paste(dot, corner, dot)


@lru_cache(maxsize=64)
def _dot(radius: float, colour: Colour) -> Image.Image:
    """A round dot with a dark rim."""
    side = 2 * math.ceil(radius) + 1
    large = Image.new("RGBA", (side * _FINER, side * _FINER), (*_DARK, 0))
    edge = (side / 2 - radius) * _FINER
    area = (edge, edge, side * _FINER - edge - 1, side * _FINER - edge - 1)
    ImageDraw.Draw(large).ellipse(area, fill=colour, outline=_DARK, width=round(_FINER * max(0.6, radius / 3)))
    return large.resize((side, side), Image.Resampling.BOX)


def _with_mask(image: Image.Image, mask: npt.NDArray[np.integer[Any]], names: Sequence[str]) -> Image.Image:
    classes, counts = np.unique(mask[mask >= 0], return_counts=True)
    palette = np.zeros((len(classes) + 1, 4), dtype=np.uint8)  # the last is for pixels that are not looked at
    palette[:-1, :3] = [colour_of(number) for number in classes.tolist()] or np.empty((0, 3))
    palette[:-1, 3] = round(255 * _MASK_SHARE)
    rows = np.where(mask >= 0, np.searchsorted(classes, mask), len(classes))
    layer = Image.fromarray(palette[rows]).resize(image.size, Image.Resampling.NEAREST)
    drawn = Image.alpha_composite(image.convert("RGBA"), layer).convert("RGB")
    if min(image.size) >= _SMALLEST_WITH_TEXT:
        _draw_legend(drawn, classes[np.argsort(-counts, kind="stable")].tolist(), names)
    return drawn


def _draw_legend(image: Image.Image, classes: Sequence[int], names: Sequence[str]) -> None:
    """As many names as fit in one line at the bottom, the largest class first."""
    draw, left = ImageDraw.Draw(image), 0
    for number in classes:
        tag = _tag(names[number] if number < len(names) else str(number), "", f"#{number}", image.size)
        if left + tag.width > image.width:
            break
        area = (left, image.height - tag.height, left + tag.width - 1, image.height - 1)
        _draw_tag(draw, tag, area, colour_of(number))
        left += tag.width


def _tag(name: str, after: str, otherwise: str, size: tuple[int, int]) -> _Tag:
    """A name that is cut to fit, with what follows it; another text for a name that cannot be written."""
    points = max(11, round(max(size) / 28))
    text = clipped(name, 80)
    font = _font_for(text, points) if text.strip() else None
    if font is None:
        text, font = otherwise, _plain(points)
    room, full = 0.6 * size[0], text
    while len(full) > 1 and font.getlength(text + after) > room:
        full = full[:-1]
        text = full.rstrip() + "..."
    top, bottom = font.getbbox("Ag")[1], font.getbbox("Ag")[3]
    return _Tag(text + after, font, math.ceil(font.getlength(text + after)) + 6, math.ceil(bottom - top) + 4)


def _draw_tag(draw: ImageDraw.ImageDraw, tag: _Tag, area: Area, fill: Colour) -> None:
    draw.rectangle(area, fill=fill)
    red, green, blue = ((part / 255) ** 2.2 for part in fill)
    is_bright = 0.2126 * red + 0.7152 * green + 0.0722 * blue > 0.18  # where dark letters have more contrast than light ones
    above = tag.font.getbbox("Ag")[1]
    draw.text((area[0] + 3, area[1] + 2 - above), tag.text, _DARK if is_bright else _LIGHT, tag.font)


def _font_for(text: str, points: int) -> ImageFont.FreeTypeFont | None:
    """The first font that has all letters of a text; None if none has."""
    letters = set(text) - {" "}
    fonts = chain([_plain(points)], (_installed(name, points) for name in _FONTS))
    return next((font for font in fonts if font is not None and all(_has(font, letter) for letter in letters)), None)


@lru_cache(maxsize=16)
def _plain(points: int) -> ImageFont.FreeTypeFont:
    font = ImageFont.load_default(points)
    assert isinstance(font, ImageFont.FreeTypeFont)  # Pillow without FreeType has bitmaps instead
    return font


@lru_cache(maxsize=16)
def _installed(name: str, points: int) -> ImageFont.FreeTypeFont | None:
    try:
        return ImageFont.truetype(name, points)
    except OSError:
        return None


@lru_cache(maxsize=4096)
def _has(font: ImageFont.FreeTypeFont, letter: str) -> bool:
    return bytes(font.getmask(letter)) != bytes(font.getmask("\uffff"))
