"""Photos of a zip with COCO annotations: their pixels, their boxes, and which of them are for testing."""

from __future__ import annotations

import io
import json
import zipfile
from collections import defaultdict
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from scorers.formats.coco.files import check_row, read_images

N_PHOTOS_KEPT = 4096  # decoded, in memory; a photo of 300 x 300 takes 0.27 MB


class CocoPhotos:
    """Photos of a zip that holds `images/` and a COCO `annotations.json`.

    The test set is the images whose `split` is "test", or a fifth of them, drawn by a fixed seed, if there are none.

    Args:
        path: The zip file.
        size: Height and width in pixels that photos are resized to, whatever their shape.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: The zip has no `annotations.json`, or this is not COCO's format, or a photo is missing.
    """

    def __init__(self, path: Path, size: tuple[int, int]) -> None:
        self._zip = zipfile.ZipFile(path)
        names = set(self._zip.namelist())
        if "annotations.json" not in names:
            raise ValueError(
                f"{path} has no annotations.json; expected a zip of images/ and annotations.json in COCO's format"
            )
        self.coco: dict[str, Any] = json.loads(self._zip.read("annotations.json"))
        images = read_images(self.coco)
        if images.class_names is None:
            raise ValueError(f"annotations.json of {path} has no categories; expected a name for each class")
        self.class_names = images.class_names
        self.category_ids = tuple(images.label_of_id)
        missing = [name for name in images.item_ids if f"images/{name}" not in names]
        if missing:
            raise ValueError(f"{path} lacks {len(missing)} photos of annotations.json, the first is 'images/{missing[0]}'")
        self.item_ids = images.item_ids
        self.image_ids = dict(zip(images.item_ids, images.row_of_id))
        self.image_sizes = {name: (float(w), float(h)) for name, (w, h) in zip(images.item_ids, images.sizes)}
        self.boxes = self._boxes(images.row_of_id, images.label_of_id)
        self.test_item_ids = self._test_item_ids()
        self.size = size
        self.pixels = lru_cache(N_PHOTOS_KEPT)(self._pixels)

    def _boxes(self, row_of_id: dict[Any, int], label_of_id: dict[Any, int]) -> dict[str, npt.NDArray[np.float32]]:
        """Of each photo `(m, 5)` corners as fractions and label; crowds and boxes without area are left out."""
        found: dict[str, list[list[float]]] = defaultdict(list)
        for number, row in enumerate(self.coco.get("annotations", [])):
            check_row(row, ("image_id", "category_id", "bbox"), f"annotation {number}")
            if row["image_id"] not in row_of_id or row["category_id"] not in label_of_id:
                raise ValueError(
                    f"annotation {number} is of image {row['image_id']!r} and category {row['category_id']!r}; "
                    "expected ids of the lists of images and categories"
                )
            name = self.item_ids[row_of_id[row["image_id"]]]
            width, height = self.image_sizes[name]
            x, y, w, h = row["bbox"]
            x0, x1 = np.clip([x / width, (x + w) / width], 0, 1)
            y0, y1 = np.clip([y / height, (y + h) / height], 0, 1)
            if x1 > x0 and y1 > y0 and not row.get("iscrowd"):
                found[name].append([x0, y0, x1, y1, label_of_id[row["category_id"]]])
        return {name: np.array(found[name], dtype=np.float32).reshape(-1, 5) for name in self.item_ids}

    def _test_item_ids(self) -> tuple[str, ...]:
        split = {row["file_name"] for row in self.coco["images"] if row.get("split") == "test"}
        if not split:
            drawn = np.random.default_rng(0).permutation(len(self.item_ids))[: len(self.item_ids) // 5]
            split = {self.item_ids[row] for row in drawn}
        return tuple(name for name in self.item_ids if name in split)

    def _pixels(self, item_id: str) -> npt.NDArray[np.uint8]:
        """`(h, w, 3)` of a photo."""
        with Image.open(io.BytesIO(self._zip.read(f"images/{item_id}"))) as photo:
            photo.draft("RGB", (2 * self.size[1], 2 * self.size[0]))  # decodes a large JPEG at half or a quarter of its size
            resized = photo.convert("RGB").resize((self.size[1], self.size[0]), Image.Resampling.BILINEAR)
        return np.asarray(resized)
