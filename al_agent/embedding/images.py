"""Images in files, read as a person sees them: whatever the format, small and in RGB."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import math
import os
import stat
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageFile, JpegImagePlugin, UnidentifiedImageError

from scorers.checks import checked_item_ids

from ..image_files import images_below
from .embedder import Batch, Fit, Pixels
from .pillow_lock import ONE_LARGE_IMAGE, without_pillow_warnings

MAX_PIXELS = 178_956_970
"""Width times height where Pillow, too, takes a file for a decompression bomb: 716 MB in memory with transparency.

Greys of more than 8 bits count four times, as they take up to 25 bytes a pixel until they are small: 1.1 GB at the limit.
"""

_DEEP_WEIGHT = 4

_LARGE_PIXELS = 1 << 25
"""Images beyond these 33 million pixels are decoded one at a time, so that threads do not add up their memory."""

# Formats of images alone, by what stands in the file: PostScript and its like would run a program. The one that takes
# almost anything for its own is last.
_FORMATS = (
    "JPEG",
    "PNG",
    "WEBP",
    "TIFF",
    "BMP",
    "GIF",
    "AVIF",
    "HEIF",
    "JPEG2000",
    "MPO",
    "PPM",
    "DIB",
    "ICO",
    "PCX",
    "TGA",
)
_GREY = (128, 128, 128)
_ORIENTATION = 0x0112  # the EXIF tag
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_REASONS = {
    errno.ENOENT: "is not there",
    errno.ENOTDIR: "is not there",
    errno.EACCES: "may not be read: no permission",
    errno.ELOOP: "is a link that leads in a circle",
    errno.ENAMETOOLONG: "has a name longer than the disk allows",
}

Image.init()  # so that all formats that are there are known


class ImageFiles:
    """Image files by item id, to be embedded.

    Args:
        paths: Item id to path. None is an item without a file on this disk, which is listed as failed.
        max_pixels: Files with more pixels by their header are listed as failed and not decoded; with more than a quarter,
            if they are greys of more than 8 bits or floats, which take more memory. A JPEG counts as small as it can be
            decoded for the asked size.

    Raises:
        ValueError: There are no items, or `max_pixels` is below 1.

    Examples:
        >>> import tempfile, PIL.Image
        >>> folder = tempfile.mkdtemp()
        >>> PIL.Image.new("RGB", (80, 60), "red").save(f"{folder}/red.png")
        >>> batch = ImageFiles.from_folder(folder).read([0], (2, 2), "stretch")
        >>> batch.pixels[0, 0, 0].tolist()
        [255, 0, 0]
    """

    def __init__(self, paths: Mapping[str, str | os.PathLike[str] | None], *, max_pixels: int = MAX_PIXELS) -> None:
        if max_pixels < 1:
            raise ValueError(f"max_pixels is {max_pixels}; expected 1 or more")
        self.item_ids = checked_item_ids(paths)
        self.paths = tuple(None if path is None else os.fspath(path) for path in paths.values())
        self.max_pixels = max_pixels

    @classmethod
    def from_folder(cls, folder: str | os.PathLike[str], *, max_pixels: int = MAX_PIXELS) -> ImageFiles:
        """Every image file below a folder, with the ids that a local project gives them: `sub/name.jpg`.

        Hidden folders and links to folders are not entered.

        Raises:
            ValueError: It is no folder, holds no images, or a name is not valid unicode.
        """
        return cls(images_below(Path(folder).expanduser()), max_pixels=max_pixels)

    def read(self, rows: Sequence[int], size: tuple[int, int], fit: Fit) -> Batch:
        """The images of these rows that can be read, in this order; the others are in `failed`, with why."""
        pixels: list[Pixels] = []
        read: list[int] = []
        failed: dict[int, str] = {}
        with without_pillow_warnings():
            for row in rows:
                try:
                    pixels.append(_read(self.paths[row], size, fit, self.max_pixels))
                    read.append(int(row))
                except Exception as error:  # damaged bytes can fail in any way
                    failed[int(row)] = _reason(error)
        stacked = np.stack(pixels) if pixels else np.empty((0, *size, 3), dtype=np.uint8)
        return Batch(np.array(read, dtype=np.int64), stacked, failed)

    def fingerprint(self, row: int) -> bytes:
        """16 bytes that change with the id, the file's length or the time of its last change."""
        path = self.paths[row]
        try:
            found = os.stat(path) if path is not None else None
        except (OSError, ValueError):
            found = None
        known = (self.item_ids[row], *((found.st_size, found.st_mtime_ns) if found is not None else ()))
        return hashlib.blake2b(repr(known).encode(), digest_size=16).digest()

    def __len__(self) -> int:
        return len(self.item_ids)

    def __repr__(self) -> str:
        return f"ImageFiles({len(self):,} images, the first is {self.item_ids[0]!r})"


def read_rgb(
    path: str | os.PathLike[str], size: tuple[int, int], fit: Fit = "stretch", *, max_pixels: int = MAX_PIXELS
) -> Pixels:
    """Read an image file as `(h, w, 3)` RGB values, as a person sees it.

    It is turned as its EXIF orientation says; transparency lies on white; of animations and pages the first is taken; the
    content tells the format, not the name. Greys of more than 8 bits and floats, whose black and white no file says for
    sure (12 bits in 16, heights in metres), are stretched from the lowest to the highest value of the result, so that
    none is clipped. Colour profiles are not applied. Reduced with antialiasing; a large JPEG is decoded at 1/2, 1/4 or
    1/8, at least twice the size.

    Args:
        path: The file.
        size: Height and width of the result in pixels.
        fit: How the image gets that size.
        max_pixels: As in `ImageFiles`.

    Raises:
        ValueError: It cannot be read; the message says why.
    """
    try:
        with without_pillow_warnings():
            return _read(os.fspath(path), size, fit, max_pixels)
    except Exception as error:  # damaged bytes can fail in any way
        raise ValueError(f"{os.fspath(path)!r} cannot be read: {_reason(error)}") from error


class _Unreadable(Exception):
    """A file that is not even tried."""


def known_formats() -> list[str]:
    """The formats that are opened, of those that this Pillow has."""
    return [name for name in _FORMATS if name in Image.OPEN]


def open_file(path: str | None) -> IO[bytes]:
    """The file, opened. Raises if it is none, empty, or a pipe, which would wait for ever."""
    if path is None:
        raise _Unreadable("has no file on this disk")
    found = os.stat(path)
    if not stat.S_ISREG(found.st_mode):
        raise _Unreadable("is a folder" if stat.S_ISDIR(found.st_mode) else "is no regular file")
    if not found.st_size:
        raise _Unreadable("is empty, 0 bytes long")
    return open(path, "rb")


def _read(path: str | None, size: tuple[int, int], fit: Fit, max_pixels: int) -> Pixels:
    with open_file(path) as file:
        head = file.read(16)
        file.seek(0)
        try:
            image: ImageFile.ImageFile = Image.open(file, formats=known_formats())
        except Image.DecompressionBombError:
            if not head.startswith(b"\xff\xd8\xff"):
                raise
            file.seek(0)
            image = JpegImagePlugin.JpegImageFile(file)  # which may be decoded small
        except UnidentifiedImageError:
            raise _Unreadable(_what_it_may_be(head)) from None
        with image:
            if not isinstance(image, JpegImagePlugin.JpegImageFile):
                with _place_in_memory(image, max_pixels):
                    image.load()
                    return _fitted(image, image.size, 1.0, _orientation(image), size, fit)  # some are upright by now
            turn, full = _orientation(image), image.size
            scale = _decode_small(image, size[::-1] if turn >= 5 else size, fit, max_pixels)
            with _place_in_memory(image, max_pixels):
                image.load()
                return _fitted(image, full, scale, turn, size, fit)


def _decode_small(image: JpegImagePlugin.JpegImageFile, size: tuple[int, int], fit: Fit, max_pixels: int) -> float:
    """Have detail left out that is not needed; a progressive file is held whole in any case, so that its size counts.

    Returns:
        By how much the sides are shorter.
    """
    if "progressive" in image.info and image.width * image.height > max_pixels:
        return 1.0
    full = image.size
    (left, top, right, bottom), (width, height) = _part_and_size(full, size, fit)
    needed = 2 * width * full[0] / (right - left), 2 * height * full[1] / (bottom - top)
    drafted = image.draft(None, (math.ceil(needed[0]), math.ceil(needed[1])))
    return 1.0 if drafted is None else drafted[1][2] / full[0]


def _place_in_memory(image: Image.Image, max_pixels: int) -> contextlib.AbstractContextManager[object]:
    """A place for the pixels, of which there is one for large images. Raises if there are too many pixels."""
    is_deep = image.mode.startswith(("I", "F"))
    n_pixels = image.width * image.height * (_DEEP_WEIGHT if is_deep else 1)
    if n_pixels > max_pixels:
        why = f" / {_DEEP_WEIGHT}, as each has more than 8 bits" if is_deep else ""
        raise _Unreadable(f"has {image.width:,} x {image.height:,} pixels, more than max_pixels = {max_pixels:,}{why}")
    return ONE_LARGE_IMAGE if n_pixels > _LARGE_PIXELS else contextlib.nullcontext()


def _fitted(image: Image.Image, full: tuple[int, int], scale: float, turn: int, size: tuple[int, int], fit: Fit) -> Pixels:
    """The pixels of a decoded image, whose `full` size is `scale` times as large."""
    (left, top, right, bottom), inner = _part_and_size(full, size[::-1] if turn >= 5 else size, fit)
    part = left * scale, top * scale, right * scale, bottom * scale
    if image.mode.startswith(("I", "F")):
        small = _deep_grey(image, part, inner)
    elif image.has_transparency_data:
        layer = image.convert("RGBA").resize(inner, Image.Resampling.BICUBIC, part, reducing_gap=2.0)
        small = Image.new("RGBA", inner, "white")
        small.alpha_composite(layer)
    else:
        plain = image.convert("L" if image.mode in ("1", "L") else "RGB")
        small = plain.resize(inner, Image.Resampling.BICUBIC, part, reducing_gap=2.0)
    if turn in _TURNS:
        small = small.transpose(_TURNS[turn])
    result = small.convert("RGB")
    if result.size != size[::-1]:
        result = Image.new("RGB", size[::-1], _GREY)
        result.paste(small.convert("RGB"), ((size[1] - small.width) // 2, (size[0] - small.height) // 2))
    return np.asarray(result)


def _part_and_size(
    of: tuple[int, int], size: tuple[int, int], fit: Fit
) -> tuple[tuple[float, float, float, float], tuple[int, int]]:
    """Which part of an image `of` this width and height is taken, and to what width and height it comes."""
    (width, height), (new_height, new_width) = of, size
    if fit == "crop":
        part_width = min(width, height * new_width / new_height)
        part_height = min(height, width * new_height / new_width)
        left, top = (width - part_width) / 2, (height - part_height) / 2
        return (left, top, left + part_width, top + part_height), (new_width, new_height)
    if fit == "pad":
        scale = min(new_width / width, new_height / height)
        new_width, new_height = max(1, round(width * scale)), max(1, round(height * scale))
    return (0.0, 0.0, width, height), (new_width, new_height)


def _deep_grey(image: Image.Image, part: tuple[float, float, float, float], size: tuple[int, int]) -> Image.Image:
    """Greys beyond 8 bits, stretched from their lowest value, black, to their highest, white."""
    values = np.asarray(image).astype(np.float64)
    is_number = np.isfinite(values)
    if not is_number.any():
        raise _Unreadable("has no finite value")
    values = np.where(is_number, values, values[is_number].min())
    plain = Image.fromarray(_stretched(values).astype(np.float32))
    small = plain.resize(size, Image.Resampling.BICUBIC, part, reducing_gap=2.0)
    return Image.fromarray(np.rint(_stretched(np.asarray(small)) * 255).astype(np.uint8))


def _stretched(values: npt.NDArray[np.floating[Any]]) -> npt.NDArray[np.floating[Any]]:
    """From 0 to 1; once before smoothing, for precision, and once after it, against single bright pixels."""
    lowest, highest = values.min(), values.max()
    return (values - lowest) / (highest - lowest) if highest > lowest else np.zeros_like(values)


def _orientation(image: ImageFile.ImageFile) -> int:
    try:
        turn = image.getexif().get(_ORIENTATION, 1)
    except Exception:  # a damaged note beside a good image
        return 1
    return turn if turn in _TURNS else 1


def _what_it_may_be(head: bytes) -> str:
    if head[4:8] == b"ftyp" and head[8:12] in (b"heic", b"heix", b"mif1", b"msf1", b"hevc"):
        return "is HEIC, which Pillow reads after pillow_heif.register_heif_opener() of the package pillow-heif"
    return "is no image that Pillow can read"


def _reason(error: Exception) -> str:
    """Why an image cannot be read, on one line and without its path, which stands beside."""
    if isinstance(error, OSError) and error.errno in _REASONS:
        return _REASONS[error.errno]
    if isinstance(error, MemoryError):
        return "needs more memory than there is"
    if isinstance(error, Image.DecompressionBombError):
        return "has more pixels than PIL.Image.MAX_IMAGE_PIXELS allows"
    text = " ".join(str(error.strerror if isinstance(error, OSError) and error.strerror else error).split())
    return text if isinstance(error, _Unreadable) else f"cannot be decoded: {text or type(error).__name__}"
