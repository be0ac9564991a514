"""A map of embeddings: items as points or thumbnails where a projection to the plane has put them."""

from __future__ import annotations

import math
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageColor, ImageDraw, ImageFont

from scorers.files import written_whole

from ..embedding.embeddings import Embeddings
from .thumbnails import INK, MUTED, PAPER, clipped, read_thumbnail

_SIZE = (1600, 1200)
_LEFT, _TOP, _RIGHT, _BOTTOM, _LEGEND = 40, 84, 40, 40, 230
_FINER = 2  # points are drawn so many times larger and shrunk, which makes them round
_TRIES = 4
_PICKED = "#D00000"
_PLAIN, _OTHER = "#0072B2", "#B0B0B0"
# Okabe and Ito's colours, which stay apart for colour-blind readers, and two more
COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#F0E442", "#555555", "#7A5195", "#8C6D31")
_RAMP = ("#440154", "#3B528B", "#21918C", "#5EC962", "#FDE725")  # viridis, which is even in grey too


class _Key(NamedTuple):
    """A colour of each item, and what the legend says of colours: names, or the ends of the ramp."""

    colours: list[str]
    names: list[tuple[str, str]]
    ends: tuple[float, float] | None


def draw_embedding_map(
    path: str | os.PathLike[str],
    title: str,
    positions: Embeddings,
    *,
    method: str = "",
    images: Mapping[str, str] | None = None,
    colours: Mapping[str, float] | Mapping[str, str] | None = None,
    legend: str = "",
    picked: Sequence[str] = (),
) -> None:
    """Write a PNG of 1600 x 1200 pixels with the items where `positions` has them; both axes have one scale.

    Without images each item is a point. With images the map is cut into squares, and each square that has items shows one
    of them, the nearest to its middle, and how many it has; items whose images cannot be read stay points.

    Args:
        path: The file.
        title: The line at the top.
        positions: `(n, 2)`, as `Embeddings.project` gives them.
        method: How they were made, such as `t-SNE`, for the line below the title.
        images: Item id to the path of its file.
        colours: Item id to a number, shown as a ramp, or to a text, shown as one of 10 colours, the commonest texts first;
            items without one are grey.
        legend: What the colours mean.
        picked: Items with a ring, or as thumbnails with a frame; a square shows picked items first.

    Raises:
        ValueError: Positions of another shape, or a picked item that has none.

    Examples:
        >>> import tempfile
        >>> positions = Embeddings(["a", "b", "c"], [[0.0, 0.0], [3.0, 4.0], [6.0, 0.0]])
        >>> path = f"{tempfile.mkdtemp()}/map.png"
        >>> draw_embedding_map(path, "Three items", positions, colours={"a": "cat", "b": "dog", "c": "cat"})
        >>> with Image.open(path) as picture:
        ...     picture.size
        (1600, 1200)
    """
    ids = positions.item_ids
    if positions.vectors.shape[1] != 2:
        raise ValueError(f"positions has shape {positions.vectors.shape}; expected (n, 2), as Embeddings.project gives")
    unknown = sorted(set(picked).difference(ids))
    if unknown:
        raise ValueError(f"{len(unknown):,} picked items have no position, the first is {unknown[0]!r}")
    is_picked = np.isin(np.array(ids, dtype=np.object_), list(picked)) if picked else np.zeros(len(ids), dtype=bool)
    key = _key(ids, colours)
    right = _SIZE[0] - _RIGHT - (_LEGEND if key.names or key.ends or picked else 0)
    box = (_LEFT, _TOP, right, _SIZE[1] - _BOTTOM)
    pixels = _placed(positions.vectors, box)

    side = 168 if len(ids) <= 50 else 112 if len(ids) <= 250 else 72
    thumbnails = {} if not images else _thumbnails(ids, pixels, is_picked, images, box, side)
    hidden = {row for cell in thumbnails.values() for row in cell.rows}
    sheet = _points(pixels, key.colours, is_picked, hidden)
    draw = ImageDraw.Draw(sheet)
    heading, small = ImageFont.load_default(26), ImageFont.load_default(16)
    for (left, top), cell in thumbnails.items():
        middle = (left + side // 2, top + side // 2)
        corner = (middle[0] - cell.image.width // 2, middle[1] - cell.image.height // 2)
        sheet.paste(cell.image, corner)
        frame = (corner[0] - 2, corner[1] - 2, corner[0] + cell.image.width + 1, corner[1] + cell.image.height + 1)
        colour = _PICKED if is_picked[cell.shown] else key.colours[cell.shown] if colours else PAPER
        draw.rectangle(frame, outline=colour, width=4 if is_picked[cell.shown] else 3)
        if len(cell.rows) > 1:
            _draw_count(draw, (frame[2], frame[3]), len(cell.rows))
    draw.text((_LEFT, 18), clipped(title, 110), INK, heading)
    draw.text((_LEFT, 52), _subtitle(len(ids), method, n_shown=len(thumbnails) if images else None), MUTED, small)
    _draw_legend(draw, (right + 24, _TOP + 4), key, legend, int(is_picked.sum()))
    with written_whole(path) as file:
        sheet.save(file, format="PNG")


class _Cell(NamedTuple):
    shown: int
    image: Image.Image
    rows: list[int]


def _subtitle(n: int, method: str, *, n_shown: int | None) -> str:
    count = "1 item" if n == 1 else f"{n:,} items"
    what = f"{clipped(method, 40)} of {count}" if method else count
    if n_shown is not None:
        what += f", {n_shown:,} of them shown; a number says how many are in the same square"
    return f"{what}; near is alike, the axes have no unit"


def _placed(positions: npt.NDArray[np.floating], box: tuple[int, int, int, int]) -> npt.NDArray[np.float64]:
    """Positions in pixels, y upwards, in the middle of the box and with one scale for both axes."""
    low, high = positions.min(axis=0).astype(np.float64), positions.max(axis=0).astype(np.float64)
    room = np.array([box[2] - box[0], box[3] - box[1]], dtype=np.float64) - 32
    extent = high / 2 - low / 2  # halves, as the difference of the largest floats is none
    is_wide = extent > 1e-300  # what is less counts as a point
    scales = room[is_wide] / extent[is_wide] / 2
    scale = float(scales.min()) if len(scales) else 1.0
    shifted = 2 * scale * (positions / 2 - (low / 4 + high / 4))
    return np.column_stack([(box[0] + box[2]) / 2 + shifted[:, 0], (box[1] + box[3]) / 2 - shifted[:, 1]])


def _key(ids: Sequence[str], colours: Mapping[str, float] | Mapping[str, str] | None) -> _Key:
    if not colours:
        return _Key([_PLAIN] * len(ids), [], None)
    values: list[float | str | None] = [colours.get(item_id) for item_id in ids]
    texts = [value for value in values if isinstance(value, str) and value]
    if texts:
        ranking = sorted(Counter(texts).items(), key=lambda pair: (-pair[1], pair[0]))
        of_name = {name: COLOURS[place] for place, (name, _) in enumerate(ranking[: len(COLOURS)])}
        names = [(f"{name} ({count:,})", of_name[name]) for name, count in ranking[: len(COLOURS)]]
        n_other = len(values) - sum(count for _, count in ranking[: len(COLOURS)])
        found = [of_name.get(str(value), _OTHER) for value in values]
        return _Key(found, [*names, (f"other or none ({n_other:,})", _OTHER)] if n_other else names, None)
    numbers = np.array([math.nan if value is None or value == "" else float(value) for value in values])
    is_number = np.isfinite(numbers)
    if not is_number.any():
        return _Key([_OTHER] * len(ids), [], None)
    low, high = float(numbers[is_number].min()), float(numbers[is_number].max())
    shares = (numbers / 2 - low / 2) / (high / 2 - low / 2) if high > low else np.full(len(ids), 0.5)
    return _Key([_on_ramp(s) if ok else _OTHER for s, ok in zip(shares.tolist(), is_number.tolist())], [], (low, high))


def _on_ramp(share: float) -> str:
    place = min(max(share, 0.0), 1.0) * (len(_RAMP) - 1)
    first = min(int(place), len(_RAMP) - 2)
    ends = (ImageColor.getrgb(_RAMP[first]), ImageColor.getrgb(_RAMP[first + 1]))
    return "#" + "".join(f"{round(a + (b - a) * (place - first)):02x}" for a, b in zip(*ends))


def _points(
    pixels: npt.NDArray[np.float64], colours: list[str], is_picked: npt.NDArray[np.bool_], hidden: set[int]
) -> Image.Image:
    sheet = Image.new("RGB", (_SIZE[0] * _FINER, _SIZE[1] * _FINER), PAPER)
    draw = ImageDraw.Draw(sheet)
    radius = _FINER * (6.0 if len(pixels) <= 500 else 4.0 if len(pixels) <= 5_000 else 2.5)
    for row in np.argsort(is_picked, kind="stable").tolist():  # picked ones last, on top
        if row in hidden:
            continue
        x, y = pixels[row] * _FINER
        if is_picked[row]:
            draw.ellipse(_round(x, y, radius + 4 * _FINER), fill=PAPER, outline=_PICKED, width=3 * _FINER)
        draw.ellipse(_round(x, y, radius), fill=colours[row], outline=PAPER if len(pixels) <= 5_000 else None)
    return sheet.resize(_SIZE, Image.Resampling.BOX)


def _round(x: float, y: float, radius: float) -> tuple[float, float, float, float]:
    return (x - radius, y - radius, x + radius, y + radius)


def _thumbnails(
    ids: Sequence[str],
    pixels: npt.NDArray[np.float64],
    is_picked: npt.NDArray[np.bool_],
    images: Mapping[str, str],
    box: tuple[int, int, int, int],
    side: int,
) -> dict[tuple[int, int], _Cell]:
    """By the upper left corner of each square: the item shown in it, its image, and all items of the square."""
    start = np.array(box[:2])
    last = (np.array(box[2:]) - start) // side - 1  # what is left at the ends goes to the last whole squares
    corners = np.minimum((pixels - start) // side, last) * side + start
    rows_of: dict[tuple[int, int], list[int]] = {}
    for row, (left, top) in enumerate(corners.astype(int).tolist()):
        rows_of.setdefault((left, top), []).append(row)
    found: dict[tuple[int, int], _Cell] = {}
    for corner, rows in rows_of.items():
        off = np.abs(pixels[rows] - np.array(corner) - side / 2).max(axis=1)
        ranking = np.lexsort((off, ~is_picked[rows]))
        for place in ranking[:_TRIES].tolist():
            image = read_thumbnail(images.get(ids[rows[place]]), side - 8)
            if image is not None:
                found[corner] = _Cell(rows[place], image, rows)
                break
    return found


def _draw_count(draw: ImageDraw.ImageDraw, corner: tuple[int, int], count: int) -> None:
    font = ImageFont.load_default(12)
    left, top, right, bottom = draw.textbbox(corner, f"{count:,}", font=font, anchor="rb")
    draw.rectangle((left - 3, top - 2, right + 1, bottom + 1), fill=PAPER)
    draw.text(corner, f"{count:,}", INK, font, anchor="rb")


def _draw_legend(draw: ImageDraw.ImageDraw, corner: tuple[int, int], key: _Key, legend: str, n_picked: int) -> None:
    font = ImageFont.load_default(16)
    x, y = corner
    if legend and (key.names or key.ends):
        draw.text((x, y), clipped(legend, 24), INK, font)
        y += 30
    for name, colour in key.names:
        draw.ellipse(_round(x + 8, y + 10, 7), fill=colour)
        draw.text((x + 26, y), clipped(name, 22), MUTED, font)
        y += 26
    if key.ends:
        for step in range(160):
            draw.line((x, y + step, x + 20, y + step), fill=_on_ramp(1 - step / 159))
        draw.text((x + 30, y - 4), f"{key.ends[1]:,.6g}", MUTED, font)
        draw.text((x + 30, y + 146), f"{key.ends[0]:,.6g}", MUTED, font)
        y += 180
    if n_picked:
        draw.ellipse(_round(x + 8, y + 18, 8), outline=_PICKED, width=3)
        draw.text((x + 26, y + 8), f"picked ({n_picked:,})", MUTED, font)
