"""Thumbnails of images that may be damaged or missing, and text that fits beside them."""

from __future__ import annotations

from PIL import Image, ImageOps

from ..embedding.images import known_formats, open_file
from ..embedding.pillow_lock import without_pillow_warnings

INK, MUTED, PAPER, MISSING = "#1a1a1a", "#5a5a5a", "#ffffff", "#e4e4e4"


def read_thumbnail(media: str | None, size: int) -> Image.Image | None:
    """The image in its own proportions, upright and `size` pixels at its longer side; None if it cannot be read."""
    try:
        # formats and files as for embedding: no PostScript, which would run a program, and no pipe
        with without_pillow_warnings(), open_file(media) as file, Image.open(file, formats=known_formats()) as image:
            image.draft("RGB", (2 * size, 2 * size))
            return ImageOps.contain(ImageOps.exif_transpose(image).convert("RGB"), (size, size))
    except Exception:  # damaged bytes can fail in any way
        return None


def thumbnail(media: str | None, size: int) -> Image.Image:
    """The image in the middle of a square of `size` pixels; the square alone if it cannot be read."""
    image = read_thumbnail(media, size)
    return Image.new("RGB", (size, size), MISSING) if image is None else ImageOps.pad(image, (size, size), color=MISSING)


def clipped(text: str, n_characters: int) -> str:
    """The beginning of a text, on one line."""
    printable = "".join(character if character.isprintable() else " " for character in text)
    return printable if len(printable) <= n_characters else f"{printable[: n_characters - 3]}..."


def clipped_left(text: str, n_characters: int) -> str:
    """The end of a text, on one line: of a path, the name."""
    return clipped(text[::-1], n_characters)[::-1]
