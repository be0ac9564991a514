"""Photos of 32 x 32 pixels with a class each, the first ones of a zip file's training and test photos."""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np
import numpy.typing as npt
from PIL import Image

SIDE = 32
_TILES = (25, 40)  # rows and columns of a sheet


@dataclass(frozen=True, eq=False)
class Photos:
    """n photos in the order of their names.

    Args:
        names: File names, each once.
        pixels: `(n, 32, 32, 3)` of 0 to 255.
        answers: `(n,)` places in the list of classes.
    """

    names: tuple[str, ...]
    pixels: npt.NDArray[np.uint8]
    answers: npt.NDArray[np.int64]


def read_photos(path: Path, n_train: int | None, n_test: int | None) -> tuple[list[str], Photos, Photos]:
    """Classes, training photos and test photos of a zip file.

    It holds `train/CLASS/NAME.png` and `test/CLASS/NAME.png`, in whatever folder, and the photos are taken in an order that
    mixes the classes and is always the same. Or it holds sheets of 1,000 photos in 25 rows of 40, `train_NN.webp` and
    `test_NN.webp`, and the names and classes in their order in `labels.npz` and `meta.json`.

    Args:
        path: The zip file.
        n_train: Read so many training photos only; None reads all.
        n_test: Read so many test photos only; None reads all.

    Raises:
        ValueError: The zip file holds neither, or two photos have one name.
    """
    with zipfile.ZipFile(path) as archive:
        if "labels.npz" in archive.namelist():
            return _from_sheets(archive, n_train, n_test)
        files = [PurePosixPath(name) for name in archive.namelist() if name.endswith(".png")]
        classes = sorted({file.parent.name for file in files})
        train = _from_folders(archive, [file for file in files if file.parent.parent.name == "train"], classes, n_train)
        test = _from_folders(archive, [file for file in files if file.parent.parent.name == "test"], classes, n_test)
    for split, photos in (("train", train), ("test", test)):
        if not photos.names:
            raise ValueError(
                f"'{path}' has no {split}/CLASS/NAME.png and no labels.npz with sheets; give the zip of CIFAR-10"
            )
    names = (*train.names, *test.names)
    if len(set(names)) < len(names):
        raise ValueError(f"'{path}' has two photos of one name; every photo needs its own")
    return classes, train, test


def _from_folders(archive: zipfile.ZipFile, files: list[PurePosixPath], classes: list[str], n_photos: int | None) -> Photos:
    mixed = sorted(files, key=lambda file: hashlib.sha256(file.name.encode()).digest())[:n_photos]
    pixels = np.empty((len(mixed), SIDE, SIDE, 3), dtype=np.uint8)
    for row, file in enumerate(mixed):
        with Image.open(io.BytesIO(archive.read(str(file)))) as image:
            pixels[row] = np.asarray(image.convert("RGB"))
    answers = np.array([classes.index(file.parent.name) for file in mixed], dtype=np.int64)
    return Photos(tuple(file.name for file in mixed), pixels, answers)


def _from_sheets(archive: zipfile.ZipFile, n_train: int | None, n_test: int | None) -> tuple[list[str], Photos, Photos]:
    labels = np.load(io.BytesIO(archive.read("labels.npz")), allow_pickle=False)
    photos = []
    for split, n_photos in (("train", n_train), ("test", n_test)):
        names = tuple(name.decode() for name in labels[f"names_{split}"][:n_photos].tolist())
        n_sheets = -(-len(names) // (_TILES[0] * _TILES[1]))
        sheets = [_sheet(archive.read(f"{split}_{number:02d}.webp")) for number in range(n_sheets)]
        answers = labels[f"y_{split}"][:n_photos].astype(np.int64)
        photos.append(Photos(names, np.concatenate(sheets)[: len(names)], answers))
    classes: list[str] = json.loads(archive.read("meta.json"))["classes"]
    return classes, photos[0], photos[1]


def _sheet(content: bytes) -> npt.NDArray[np.uint8]:
    n_rows, n_columns = _TILES
    with Image.open(io.BytesIO(content)) as image:
        tiles = np.asarray(image.convert("RGB")).reshape(n_rows, SIDE, n_columns, SIDE, 3)
    return tiles.swapaxes(1, 2).reshape(-1, SIDE, SIDE, 3)
