"""Images are read as a person sees them, whatever their format; one that cannot be read is listed with its reason."""

from __future__ import annotations

import io
import os
import struct
import threading
import warnings
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
from PIL import Image, ImageFile, ImageOps, features

from al_agent import PlatformLocal
from al_agent.embedding import images as images_module
from al_agent.embedding.images import ImageFiles, read_rgb
from al_agent.embedding.pillow_lock import ONE_LARGE_IMAGE

SHARED = Path(__file__).resolve().parents[3] / "../shared"
QUARTERS = np.array([[[255, 0, 0], [0, 255, 0]], [[0, 0, 255], [255, 255, 0]]], dtype=np.uint8)
"""Red and green above blue and yellow: every turn and mirroring of it is another picture."""


def quarters(side: int = 64) -> Image.Image:
    return Image.fromarray(QUARTERS.repeat(side // 2, axis=0).repeat(side // 2, axis=1))


def corners(pixels: np.ndarray[Any, np.dtype[np.uint8]]) -> list[list[list[int]]]:
    """The colours a quarter in from each corner, far from every edge."""
    height, width = pixels.shape[:2]
    rows, columns = [height // 4, height * 3 // 4], [width // 4, width * 3 // 4]
    return [[pixels[row, column].tolist() for column in columns] for row in rows]


def assert_is_near(pixels: Any, expected: Any, within: int) -> None:
    assert np.abs(np.asarray(pixels).astype(int) - np.asarray(expected).astype(int)).max() <= within


# --- formats and modes -------------------------------------------------------------------------------------------------

FORMATS: list[tuple[str, dict[str, Any], int]] = [
    ("PNG", {}, 0),
    ("BMP", {}, 0),
    ("TIFF", {}, 0),
    ("TIFF", {"compression": "tiff_lzw"}, 0),
    ("TIFF", {"compression": "jpeg"}, 4),
    ("GIF", {}, 0),
    ("PPM", {}, 0),
    ("TGA", {}, 0),
    ("ICO", {"sizes": [(64, 64)]}, 0),
    ("WEBP", {"lossless": True}, 0),
    ("JPEG", {"quality": 95, "subsampling": 0}, 4),
    ("JPEG", {"quality": 95, "progressive": True, "subsampling": 0}, 4),
    ("JPEG2000", {}, 4),
    ("AVIF", {"quality": 95}, 16),
]


@pytest.mark.parametrize(("name", "options", "within"), FORMATS, ids=lambda value: str(value)[:40])
def test_every_format_gives_the_colours_that_were_written(
    tmp_path: Path, name: str, options: dict[str, Any], within: int
) -> None:
    if name == "AVIF" and "AVIF" not in Image.SAVE:
        pytest.skip("this Pillow has no AVIF")
    if name == "JPEG2000" and not features.check("jpg_2000"):
        pytest.skip("this Pillow has no JPEG 2000")
    quarters().save(tmp_path / "image", format=name, **options)
    pixels = read_rgb(tmp_path / "image", (32, 32))
    assert pixels.shape == (32, 32, 3)
    assert pixels.dtype == np.uint8
    assert_is_near(corners(pixels), QUARTERS, within)


def test_the_content_tells_the_format_not_the_name(tmp_path: Path) -> None:
    quarters().save(tmp_path / "really_a.jpg", format="PNG")
    quarters().save(tmp_path / "really_a.png", format="BMP")
    assert corners(read_rgb(tmp_path / "really_a.jpg", (32, 32))) == QUARTERS.tolist()
    assert corners(read_rgb(tmp_path / "really_a.png", (32, 32))) == QUARTERS.tolist()


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("name", ["JPEG", "PNG", "TIFF", "WEBP"])
@pytest.mark.parametrize("fit", ["stretch", "crop", "pad"])
def test_every_orientation_is_turned_as_pillow_turns_it(
    tmp_path: Path, orientation: int, name: str, fit: Literal["stretch", "crop", "pad"]
) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    options: dict[str, Any] = {"quality": 95, "subsampling": 0} if name == "JPEG" else {"lossless": True}
    stored = quarters().resize((96, 64), Image.Resampling.NEAREST)
    stored.save(tmp_path / "image", format=name, exif=exif, **options)
    with Image.open(tmp_path / "image") as image:
        upright = ImageOps.exif_transpose(image).convert("RGB")
    upright.save(tmp_path / "upright", format=name, **options)
    assert (upright.width < upright.height) == (orientation >= 5)
    pixels = read_rgb(tmp_path / "image", (24, 16), fit)
    assert_is_near(pixels, read_rgb(tmp_path / "upright", (24, 16), fit), 3)


def test_a_damaged_orientation_leaves_a_good_image_as_it_is(tmp_path: Path) -> None:
    quarters().save(tmp_path / "a.jpg", quality=95, exif=b"Exif\0\0MM\0*\0\0\0\x08\xff\xff\x01\x12")
    exif = Image.Exif()
    exif[0x0112] = 77
    quarters().save(tmp_path / "b.jpg", quality=95, exif=exif)
    for name in ("a.jpg", "b.jpg"):
        assert_is_near(corners(read_rgb(tmp_path / name, (32, 32))), QUARTERS, 4)


def on_white(colour: tuple[int, int, int], alpha: int) -> list[int]:
    return [round((255 * (255 - alpha) + alpha * value) / 255) for value in colour]


def test_transparency_lies_on_white_in_every_mode(tmp_path: Path) -> None:
    rgba = Image.new("RGBA", (32, 32), (200, 0, 100, 51))
    rgba.save(tmp_path / "rgba.png")
    Image.merge("LA", [Image.new("L", (32, 32), 10), Image.new("L", (32, 32), 102)]).save(tmp_path / "la.png")
    palette = Image.new("P", (32, 32), 1)
    palette.putpalette([0, 0, 0, 30, 60, 90])
    palette.save(tmp_path / "p.png", transparency=bytes([255, 128]))
    palette.save(tmp_path / "p.gif", transparency=1)
    Image.new("RGB", (32, 32), (1, 2, 3)).save(tmp_path / "key.png", transparency=(1, 2, 3))
    Image.new("L", (32, 32), 7).save(tmp_path / "grey_key.png", transparency=7)
    rgba.save(tmp_path / "rgba.webp", lossless=True, exact=True)
    rgba.save(tmp_path / "rgba.tif")
    expected = {
        "rgba.png": on_white((200, 0, 100), 51),
        "la.png": on_white((10, 10, 10), 102),
        "p.png": on_white((30, 60, 90), 128),
        "p.gif": [255, 255, 255],
        "key.png": [255, 255, 255],
        "grey_key.png": [255, 255, 255],
        "rgba.webp": on_white((200, 0, 100), 51),
        "rgba.tif": on_white((200, 0, 100), 51),
    }
    for name, colour in expected.items():
        pixels = read_rgb(tmp_path / name, (8, 8))
        assert_is_near(pixels, np.broadcast_to(colour, (8, 8, 3)), 1)


def test_the_colour_below_full_transparency_does_not_bleed_at_the_edge(tmp_path: Path) -> None:
    values = np.zeros((64, 64, 4), dtype=np.uint8)
    values[:, 32:] = (0, 0, 255, 255)  # the left half is black and cannot be seen
    Image.fromarray(values).save(tmp_path / "a.png")
    row = read_rgb(tmp_path / "a.png", (9, 9))[4]
    assert (row[:, 2] == 255).all()  # between white and blue
    assert (row[0].tolist(), row[8].tolist()) == ([255, 255, 255], [0, 0, 255])


def test_one_bit_and_palettes_are_smoothed_as_the_colours_they_stand_for(tmp_path: Path) -> None:
    checks = Image.fromarray(np.indices((64, 64)).sum(axis=0) % 2 == 0)
    assert checks.mode == "1"
    checks.save(tmp_path / "bits.png")
    checks.save(tmp_path / "bits.tif", compression="group4")
    palette = Image.fromarray((np.indices((64, 64)).sum(axis=0) % 2).astype(np.uint8)).convert("P")
    palette.putpalette([200, 0, 0, 0, 0, 100])
    palette.save(tmp_path / "palette.png")
    for name in ("bits.png", "bits.tif"):
        assert_is_near(read_rgb(tmp_path / name, (8, 8))[2:6, 2:6], 127, 3)
    assert_is_near(read_rgb(tmp_path / "palette.png", (8, 8))[2:6, 2:6], np.broadcast_to([100, 0, 50], (4, 4, 3)), 3)


def test_cmyk_is_seen_as_its_colours(tmp_path: Path) -> None:
    image = Image.merge("CMYK", [Image.new("L", (32, 32), value) for value in (0, 255, 255, 0)])
    for name in ("a.tif", "a.jpg"):
        image.save(tmp_path / name)
        assert_is_near(read_rgb(tmp_path / name, (8, 8)), np.broadcast_to([255, 0, 0], (8, 8, 3)), 4)


RAMP = np.linspace(0, 1, 64)[None, :].repeat(64, axis=0)
DEEP: list[tuple[str, Any, str]] = [
    ("16 bits", (RAMP * 65535).astype(np.uint16), "png"),
    ("12 bits in 16", (RAMP * 4095).astype(np.uint16), "png"),
    ("16 bits in a TIFF", (RAMP * 65535).astype(np.uint16), "tif"),
    ("16 bits, most significant first", (RAMP * 65535).astype(">u2"), "tif"),
    ("32 bits, with values below 0", (RAMP * 4000 - 1000).astype(np.int32), "tif"),
    ("floats from 0 to 1", RAMP.astype(np.float32), "tif"),
    ("floats far beyond 255", (RAMP * 1e30 - 3e29).astype(np.float32), "tif"),
    ("floats of the widest span", (RAMP * 6e38 - 3e38).astype(np.float32), "tif"),
]


@pytest.mark.parametrize(("values", "suffix"), [row[1:] for row in DEEP], ids=[row[0] for row in DEEP])
def test_greys_beyond_eight_bits_are_stretched_and_not_clipped(tmp_path: Path, values: Any, suffix: str) -> None:
    Image.fromarray(values).save(tmp_path / f"a.{suffix}")
    pixels = read_rgb(tmp_path / f"a.{suffix}", (16, 16))
    assert (pixels == pixels[..., :1]).all()
    assert_is_near(pixels[8, :, 0], np.linspace(0, 255, 16), 2)


def test_a_grey_of_one_value_or_with_holes_is_read(tmp_path: Path) -> None:
    values = RAMP.astype(np.float32)
    values[:8, :8] = np.nan
    values[8:16, :8] = np.inf
    Image.fromarray(values).save(tmp_path / "holes.tif")
    Image.fromarray(np.full((32, 32), 40_000, dtype=np.uint16)).save(tmp_path / "flat.png")
    Image.fromarray(np.full((8, 8), np.nan, dtype=np.float32)).save(tmp_path / "none.tif")
    pixels = read_rgb(tmp_path / "holes.tif", (16, 16))[:, :, 0]
    assert_is_near(pixels[8], np.linspace(6, 255, 16), 2)
    assert pixels[:3, 0].tolist() == [0, 0, 0]  # holes are as dark as the darkest
    assert (read_rgb(tmp_path / "flat.png", (4, 4)) == 0).all()
    with pytest.raises(ValueError, match=r"none\.tif' cannot be read: has no finite value$"):
        read_rgb(tmp_path / "none.tif", (4, 4))


def test_colours_of_sixteen_bits_keep_their_upper_eight(tmp_path: Path) -> None:
    rows = b"".join(b"\0" + struct.pack(">3H", 0xC800, 0x0101, 0x64FF) * 8 for _ in range(8))

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", 8, 8, 16, 2, 0, 0, 0)
    data = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    (tmp_path / "a.png").write_bytes(b"\x89PNG\r\n\x1a\n" + data)
    assert_is_near(read_rgb(tmp_path / "a.png", (4, 4)), np.broadcast_to([200, 1, 100], (4, 4, 3)), 0)


@pytest.mark.parametrize(("name", "options"), [("GIF", {}), ("WEBP", {"lossless": True}), ("TIFF", {}), ("PNG", {})])
def test_of_animations_and_pages_the_first_is_taken(tmp_path: Path, name: str, options: dict[str, Any]) -> None:
    frames = [Image.new("RGB", (32, 32), colour) for colour in ("red", "lime", "blue")]
    frames[0].save(tmp_path / "a", format=name, save_all=True, append_images=frames[1:], **options)
    with Image.open(tmp_path / "a") as image:
        assert image.n_frames == 3  # type: ignore[attr-defined]
    assert_is_near(read_rgb(tmp_path / "a", (4, 4)), np.broadcast_to([255, 0, 0], (4, 4, 3)), 0)


# --- sizes -------------------------------------------------------------------------------------------------------------


def test_the_three_fits_stretch_cut_and_pad(tmp_path: Path) -> None:
    values = np.zeros((40, 80, 3), dtype=np.uint8)
    values[:, :20], values[:, 20:60], values[:, 60:] = (255, 0, 0), (0, 255, 0), (0, 0, 255)
    Image.fromarray(values).save(tmp_path / "a.png")
    stretched = read_rgb(tmp_path / "a.png", (40, 40), "stretch")
    assert [stretched[20, column].tolist() for column in (4, 20, 36)] == [[255, 0, 0], [0, 255, 0], [0, 0, 255]]
    cut = read_rgb(tmp_path / "a.png", (40, 40), "crop")
    assert_is_near(cut[:, 2:-2], np.broadcast_to([0, 255, 0], (40, 36, 3)), 0)
    padded = read_rgb(tmp_path / "a.png", (40, 40), "pad")
    assert (padded[:10] == 128).all()
    assert (padded[30:] == 128).all()
    assert_is_near(padded[10:30], read_rgb(tmp_path / "a.png", (20, 40), "stretch"), 0)


@pytest.mark.parametrize("fit", ["stretch", "crop", "pad"])
@pytest.mark.parametrize("of", [(1, 1), (1, 3000), (3000, 1), (7, 5)])
def test_any_shape_comes_to_any_size(tmp_path: Path, fit: Literal["stretch", "crop", "pad"], of: tuple[int, int]) -> None:
    for mode, name in (("RGB", "a.png"), ("RGB", "a.jpg"), ("I;16", "b.png"), ("RGBA", "c.png"), ("1", "d.png")):
        Image.new(mode, of).save(tmp_path / name)
        for size in ((1, 1), (3, 200), (200, 3)):
            assert read_rgb(tmp_path / name, size, fit).shape == (*size, 3)


def test_fine_detail_is_averaged_and_not_sampled(tmp_path: Path) -> None:
    stripes = (np.arange(2000) % 2 * 255).astype(np.uint8)[None, :].repeat(64, axis=0)
    Image.fromarray(stripes).save(tmp_path / "a.png")
    assert_is_near(read_rgb(tmp_path / "a.png", (8, 8)), 127, 2)


@pytest.mark.parametrize("fit", ["stretch", "crop", "pad"])
def test_a_jpeg_decoded_small_looks_as_one_decoded_whole(tmp_path: Path, fit: Literal["stretch", "crop", "pad"]) -> None:
    path = SHARED / "data/det_coco_open.zip"
    if not path.exists():
        pytest.skip("det_coco_open.zip is not here")
    with zipfile.ZipFile(path) as archive:
        names = sorted(name for name in archive.namelist() if name.endswith(".jpg"))[:6]
        for name in names:
            (tmp_path / "a.jpg").write_bytes(archive.read(name))
            with Image.open(tmp_path / "a.jpg") as image:
                image.convert("RGB").save(tmp_path / "a.png")
            small, whole = (read_rgb(tmp_path / one, (56, 56), fit).astype(int) for one in ("a.jpg", "a.png"))
            assert np.abs(small - whole).mean() < 2.5


def test_pixels_of_photos_are_those_of_a_plain_reduction(tmp_path: Path) -> None:
    """An oracle of another kind: the mean of each cell of the grid, computed with numpy from the whole photo."""
    path = SHARED / "data/det_bccd.zip"
    if not path.exists():
        pytest.skip("det_bccd.zip is not here")
    with zipfile.ZipFile(path) as archive:
        for name in sorted(name for name in archive.namelist() if name.endswith(".jpg"))[:20]:
            (tmp_path / "a.jpg").write_bytes(archive.read(name))
            whole = np.asarray(Image.open(io.BytesIO(archive.read(name))).convert("RGB"), dtype=float)
            assert whole.shape == (480, 640, 3)
            cells = whole.reshape(12, 40, 16, 40, 3).mean(axis=(1, 3))
            assert np.abs(read_rgb(tmp_path / "a.jpg", (12, 16)) - cells).mean() < 4


# --- bad files ---------------------------------------------------------------------------------------------------------


def png_header(width: int, height: int) -> bytes:
    data = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunk = struct.pack(">I", 13) + b"IHDR" + data + struct.pack(">I", zlib.crc32(b"IHDR" + data))
    idat = zlib.compress(b"\0" * 100)
    return (b"\x89PNG\r\n\x1a\n" + chunk + struct.pack(">I", len(idat)) + b"IDAT" + idat) + struct.pack(
        ">I", zlib.crc32(b"IDAT" + idat)
    )


def jpeg_of(width: int, height: int, **options: Any) -> bytes:
    """A small JPEG whose header tells another size."""
    file = io.BytesIO()
    Image.new("RGB", (64, 64), "red").save(file, format="JPEG", **options)
    data = bytearray(file.getvalue())
    at = data.find(b"\xff\xc2" if options.get("progressive") else b"\xff\xc0")
    data[at + 5 : at + 9] = struct.pack(">HH", height, width)
    return bytes(data)


def saved(**options: Any) -> bytes:
    file = io.BytesIO()
    Image.effect_noise((256, 256), 50).convert("RGB").save(file, **options)
    return file.getvalue()


BAD: list[tuple[str, Callable[[], bytes], str]] = [
    ("empty", lambda: b"", r"is empty, 0 bytes long"),
    ("text", lambda: b"404: Not Found" * 20, r"is no image that Pillow can read"),
    ("zeros", lambda: bytes(5000), r"is no image that Pillow can read"),
    ("web page", lambda: b"<!DOCTYPE html><html>", r"is no image that Pillow can read"),
    ("half a JPEG", lambda: saved(format="JPEG")[:4000], r"cannot be decoded: .*truncated.*"),
    ("half a PNG", lambda: saved(format="PNG")[:4000], r"cannot be decoded: .*"),
    ("half a WebP", lambda: saved(format="WEBP")[:2000], r"(cannot be decoded: .*|is no image that Pillow can read)"),
    ("half a GIF", lambda: saved(format="GIF")[:4000], r"cannot be decoded: .*"),
    ("half a TIFF", lambda: saved(format="TIFF", compression="tiff_lzw")[:4000], r"(cannot be decoded: .*|is no image.*)"),
    ("half a BMP", lambda: saved(format="BMP")[:4000], r"cannot be decoded: .*truncated.*"),
    ("bomb", lambda: png_header(60_000, 60_000), r"has more pixels than PIL.Image.MAX_IMAGE_PIXELS allows"),
    ("progressive bomb", lambda: jpeg_of(60_000, 60_000, progressive=True), r"has 60,000 x 60,000 pixels, .*"),
    ("HEIC", lambda: b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(99), r"is HEIC, which Pillow reads after .*"),
    ("PostScript", lambda: b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n%%EndComments\n", r"is no image that .*"),
]


@pytest.mark.parametrize(("content", "reason"), [row[1:] for row in BAD], ids=[row[0] for row in BAD])
def test_a_bad_file_is_listed_with_its_reason(
    tmp_path: Path, content: Callable[[], bytes], reason: str, capfd: pytest.CaptureFixture[str]
) -> None:
    quarters().save(tmp_path / "a.png")
    (tmp_path / "b.jpg").write_bytes(content())
    quarters().save(tmp_path / "c.png")
    images = ImageFiles.from_folder(tmp_path)
    batch = images.read([0, 1, 2], (8, 8), "stretch")
    assert batch.rows.tolist() == [0, 2]
    assert batch.pixels.shape == (2, 8, 8, 3)
    assert list(batch.failed) == [1]
    with pytest.raises(ValueError, match=rf"b\.jpg' cannot be read: {reason}$"):
        read_rgb(tmp_path / "b.jpg", (8, 8))
    assert capfd.readouterr() == ("", "")


def test_what_is_no_file_is_listed_and_never_waited_for(tmp_path: Path) -> None:
    (tmp_path / "folder.jpg").mkdir()
    (tmp_path / "loop.jpg").symlink_to(tmp_path / "loop.jpg")
    (tmp_path / "gone.jpg").symlink_to(tmp_path / "nothing")
    os.mkfifo(tmp_path / "pipe.jpg")
    quarters().save(tmp_path / "good.png")
    (tmp_path / "link.png").symlink_to(tmp_path / "good.png")
    names = ("folder.jpg", "loop.jpg", "gone.jpg", "pipe.jpg", "good.png/x.png", "link.png")
    paths = {name: str(tmp_path / name) for name in names}
    images = ImageFiles({**paths, "remote": None, "nul": "a\0b", "long": "x" * 5000})
    batch = images.read(range(len(images)), (8, 8), "stretch")
    assert [images.item_ids[row] for row in batch.rows] == ["link.png"]
    assert {images.item_ids[row]: reason for row, reason in batch.failed.items()} == {
        "folder.jpg": "is a folder",
        "loop.jpg": "is a link that leads in a circle",
        "gone.jpg": "is not there",
        "pipe.jpg": "is no regular file",
        "good.png/x.png": "is not there",
        "remote": "has no file on this disk",
        "nul": "cannot be decoded: embedded null byte",
        "long": "has a name longer than the disk allows",
    }


def test_a_file_without_permission_is_listed(tmp_path: Path) -> None:
    quarters().save(tmp_path / "a.png")
    (tmp_path / "a.png").chmod(0)
    if os.access(tmp_path / "a.png", os.R_OK):
        pytest.skip("this user may read everything")
    assert ImageFiles.from_folder(tmp_path).read([0], (8, 8), "pad").failed == {0: "may not be read: no permission"}


def test_a_huge_jpeg_is_decoded_small_and_a_limit_counts_what_is_decoded(tmp_path: Path) -> None:
    """60,000 x 60,000 pixels by the header are 20 times what Pillow opens; an eighth of each side is within the limit."""
    (tmp_path / "huge.jpg").write_bytes(jpeg_of(60_000, 60_000))
    assert read_rgb(tmp_path / "huge.jpg", (8, 8)).shape == (8, 8, 3)
    with pytest.raises(ValueError, match="has 60,000 x 60,000 pixels"):  # at full size
        read_rgb(tmp_path / "huge.jpg", (40_000, 40_000))
    Image.new("RGB", (2000, 1600), "red").save(tmp_path / "large.jpg", quality=95)
    assert_is_near(read_rgb(tmp_path / "large.jpg", (8, 8), max_pixels=50_000), np.broadcast_to([254, 0, 0], (8, 8, 3)), 2)
    with pytest.raises(ValueError, match=r"has 250 x 200 pixels, more than max_pixels = 49,999$"):
        read_rgb(tmp_path / "large.jpg", (8, 8), max_pixels=49_999)


def test_reading_changes_nothing_for_others(tmp_path: Path) -> None:
    quarters().save(tmp_path / "a.png")
    before = (Image.MAX_IMAGE_PIXELS, ImageFile.LOAD_TRUNCATED_IMAGES, list(warnings.filters))
    images = ImageFiles.from_folder(tmp_path)
    threads = [threading.Thread(target=images.read, args=([0] * 50, (8, 8), "stretch")) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (Image.MAX_IMAGE_PIXELS, ImageFile.LOAD_TRUNCATED_IMAGES, list(warnings.filters)) == before
    with pytest.warns(UserWarning, match="from elsewhere"):
        warnings.warn("from elsewhere", stacklevel=1)


def test_a_warning_of_pillow_is_no_failure(tmp_path: Path) -> None:
    """Of 100 million pixels Pillow warns, and warnings are errors here."""
    Image.new("1", (10_000, 10_000)).save(tmp_path / "a.png")
    with pytest.warns(Image.DecompressionBombWarning), Image.open(tmp_path / "a.png"):
        pass
    assert (read_rgb(tmp_path / "a.png", (8, 8)) == 0).all()


def test_a_png_beyond_the_limit_is_not_decoded(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(png_header(10_000, 8_000))
    with pytest.raises(ValueError, match=r"has 10,000 x 8,000 pixels, more than max_pixels = 1,000,000$"):
        read_rgb(tmp_path / "a.png", (8, 8), max_pixels=1_000_000)


def test_a_deep_grey_image_counts_four_times(tmp_path: Path) -> None:
    """It takes more than 20 bytes a pixel, others 4 at most."""
    Image.fromarray(np.arange(800, dtype=np.uint16).reshape(20, 40)).save(tmp_path / "deep.png")
    Image.fromarray(np.arange(800, dtype=np.float32).reshape(20, 40)).save(tmp_path / "deep.tif")
    Image.new("L", (40, 20)).save(tmp_path / "plain.png")
    assert ImageFiles.from_folder(tmp_path, max_pixels=3200).read([0, 1, 2], (8, 8), "crop").failed == {}
    reason = "has 40 x 20 pixels, more than max_pixels = 3,199 / 4, as each has more than 8 bits"
    images = ImageFiles.from_folder(tmp_path, max_pixels=3199)
    assert images.item_ids == ("deep.png", "deep.tif", "plain.png")
    assert images.read([0, 1, 2], (8, 8), "crop").failed == {0: reason, 1: reason}


# --- the files of a folder ---------------------------------------------------------------------------------------------


def test_ids_of_a_folder_are_those_of_a_local_project(tmp_path: Path) -> None:
    names = ["b.JPG", "a.png", "sub/a.png", "sub/deep/ä 画像,=#.jpeg", "sub.png", "sub-1/z.webp", "notes.txt", ".hidden.png"]
    for name in [*names, ".cache/x.png"]:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    ids = ImageFiles.from_folder(tmp_path).item_ids
    assert len(ids) == 6
    assert ids == tuple(item.id for item in PlatformLocal.create(tmp_path).list_items())
    assert ImageFiles.from_folder(f"{tmp_path}/").item_ids == ids


def test_a_folder_without_images_and_a_file_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"no images found below '.*'; looked for \.avif, \.bmp"):
        ImageFiles.from_folder(tmp_path)
    with pytest.raises(ValueError, match="is no folder; expected a folder of images"):
        ImageFiles.from_folder(tmp_path / "nothing")
    with pytest.raises(ValueError, match="item_ids is empty"):
        ImageFiles({})


def test_a_fingerprint_changes_with_the_file_and_its_id_alone(tmp_path: Path) -> None:
    quarters().save(tmp_path / "a.png")
    images = ImageFiles({"a": tmp_path / "a.png", "b": tmp_path / "a.png", "gone": tmp_path / "x", "none": None})
    first = [images.fingerprint(row) for row in range(4)]
    assert len(set(first)) == 4
    assert [images.fingerprint(row) for row in range(4)] == first
    os.utime(tmp_path / "a.png", ns=(0, 1))
    second = [images.fingerprint(row) for row in range(4)]
    assert [one == other for one, other in zip(first, second)] == [False, False, True, True]


def test_a_large_image_leaves_memory_before_the_next_one_comes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(images_module, "_LARGE_PIXELS", 100)
    was_alone: list[bool] = []
    fitted = images_module._fitted

    def watched(*args: Any) -> Any:
        was_alone.append(ONE_LARGE_IMAGE.locked())
        return fitted(*args)

    monkeypatch.setattr(images_module, "_fitted", watched)
    for name in ("a.png", "b.jpg"):
        quarters().save(tmp_path / name)
    batch = ImageFiles.from_folder(tmp_path).read([0, 1], (64, 64), "stretch")
    assert (batch.rows.tolist(), was_alone, ONE_LARGE_IMAGE.locked()) == ([0, 1], [True, True], False)
