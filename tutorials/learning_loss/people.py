"""People of a zip of photos with their joints: crops of one size for all, and the heat maps that are wanted of them."""

from __future__ import annotations

import io
import json
import math
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

Floats = npt.NDArray[np.float64]

MARGIN = 1.25
"""Of a crop around a person's box, as of HRNet; flipping, turning and scaling change it further."""


@dataclass(frozen=True)
class Person:
    """One person of a photo, as annotated.

    Args:
        item_id: Name of the photo, `#`, and the number of the person in it from 0, such as `im00001.jpg#0`.
        image_id: Of the photo, in its file.
        file_name: Of the photo.
        box_xywh: Left, top, width and height in pixels.
        area: Pixels that the person covers, or that of the box, as the file has it.
        keypoints: `(k, 3)` x and y in pixels, and 0 where the joint is not labeled, 1 where hidden, 2 where seen.
    """

    item_id: str
    image_id: int
    file_name: str
    box_xywh: tuple[float, float, float, float]
    area: float
    keypoints: Floats

    @property
    def joints(self) -> Floats:
        """`(k, 2)` x and y in pixels of the photo; where nothing is labeled they mean nothing."""
        return self.keypoints[:, :2]

    @property
    def is_labeled(self) -> npt.NDArray[np.bool_]:
        """`(k,)` which joints are labeled."""
        return np.asarray(self.keypoints[:, 2] > 0)


class People:
    """The people with joints of a zip that holds `images/` and `person_keypoints.json`, in COCO's format.

    Args:
        path: The zip.

    Raises:
        ValueError: Something else in it than one category with keypoints, or nobody with a labeled joint.
    """

    def __init__(self, path: Path) -> None:
        self._zip = zipfile.ZipFile(path)
        content = json.loads(self._zip.read("person_keypoints.json"))
        categories = [category for category in content["categories"] if category.get("keypoints")]
        if len(categories) != 1:
            raise ValueError(f"{path.name} has {len(categories)} categories with keypoints; expected one, person")
        self.joint_names: tuple[str, ...] = tuple(categories[0]["keypoints"])
        self.swaps = swaps_of(self.joint_names)
        names = {image["id"]: image["file_name"] for image in content["images"]}
        self.by_id: dict[str, Person] = {}
        counts: dict[int, int] = {}
        for annotation in content["annotations"]:
            keypoints = np.array(annotation["keypoints"], dtype=np.float64).reshape(-1, 3)
            if annotation.get("iscrowd") or not (keypoints[:, 2] > 0).any():
                continue
            image_id = annotation["image_id"]
            item_id = f"{names[image_id]}#{counts.get(image_id, 0)}"
            counts[image_id] = counts.get(image_id, 0) + 1
            x, y, width, height = annotation["bbox"]
            self.by_id[item_id] = Person(
                item_id, image_id, names[image_id], (x, y, width, height), float(annotation["area"]), keypoints
            )
        if not self.by_id:
            raise ValueError(f"{path.name} has nobody with a labeled joint; expected keypoints with visibility 1 or 2")
        self.photo = lru_cache(maxsize=512)(self._photo)

    def _photo(self, file_name: str) -> Image.Image:
        return Image.open(io.BytesIO(self._zip.read(f"images/{file_name}"))).convert("RGB")

    def split(self, n_test: int, seed: int) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Item ids of the pool and of a random test set, at most a quarter of all; no photo is in both.

        Photos are drawn until they hold `n_test` people, so that a last photo of several brings a few more.
        """
        photos: dict[str, list[str]] = {}
        for person in self.by_id.values():
            photos.setdefault(person.file_name, []).append(person.item_id)
        n_wanted = min(n_test, max(len(self.by_id) // 4, 1))
        test: set[str] = set()
        names = list(photos)
        for place in np.random.default_rng(seed).permutation(len(names)):
            if len(test) >= n_wanted:
                break
            test.update(photos[names[place]])
        return tuple(name for name in self.by_id if name not in test), tuple(name for name in self.by_id if name in test)

    def crop(self, item_id: str, placement: Floats, size: tuple[int, int]) -> npt.NDArray[np.uint8]:
        """Pixels `(h, w, 3)` of a person, where `placement` puts them; black beyond the photo."""
        photo = self.photo(self.by_id[item_id].file_name)
        back = inverse(placement)
        reduction = int(math.sqrt(abs(float(np.linalg.det(back[:, :2])))))
        if reduction > 1:  # else pixels would be left out between those that are read
            photo, back = photo.reduce(reduction), back / reduction
        pixels = photo.transform(
            (size[1], size[0]), Image.Transform.AFFINE, back.ravel().tolist(), Image.Resampling.BILINEAR
        )
        return np.asarray(pixels)


def swaps_of(joint_names: Sequence[str]) -> list[int]:
    """For each joint the one that takes its place in a mirror: `left` for `right` in its name, or itself.

    Raises:
        ValueError: A joint has no counterpart.

    Examples:
        >>> swaps_of(["nose", "left_eye", "right_eye"])
        [0, 2, 1]
    """
    places = {name: place for place, name in enumerate(joint_names)}
    swaps = []
    for name in joint_names:
        words = name.split("_")
        other = "_".join({"left": "right", "right": "left"}.get(word, word) for word in words)
        if other not in places:
            raise ValueError(f"joint {name!r} has no counterpart {other!r}; expected left and right ones in pairs")
        swaps.append(places[other])
    return swaps


def placement_of(
    box_xywh: Sequence[float],
    size: tuple[int, int],
    *,
    scale: float = 1.0,
    degrees: float = 0.0,
    is_flipped: bool = False,
) -> Floats:
    """The matrix `(2, 3)` from points of the photo to those of a crop that the box with its margin fits into.

    Points are continuous: the first pixel reaches from 0 to 1, its centre is 0.5.

    Args:
        box_xywh: Left, top, width and height in pixels.
        size: Height and width of the crop.
        scale: Of the person, beside the margin.
        degrees: By which the person is turned about the middle of the box, clockwise as seen.
        is_flipped: The crop is mirrored, left for right.

    Examples:
        >>> placement = placement_of((10.0, 20.0, 40.0, 80.0), (100, 50))
        >>> placed(np.array([[30.0, 60.0], [10.0, 20.0]]), placement).tolist()
        [[25.0, 50.0], [5.0, 10.0]]
    """
    x, y, width, height = box_xywh
    zoom = scale * min(size[1] / max(width, 1.0), size[0] / max(height, 1.0)) / MARGIN
    turn = math.radians(degrees)
    matrix = zoom * np.array([[math.cos(turn), -math.sin(turn)], [math.sin(turn), math.cos(turn)]])
    if is_flipped:
        matrix[0] *= -1
    shift = np.array([size[1] / 2, size[0] / 2]) - matrix @ np.array([x + width / 2, y + height / 2])
    return np.concatenate([matrix, shift[:, None]], axis=1)


def placed(points: Floats, placement: Floats) -> Floats:
    """Points `(k, 2)` where a matrix of `placement_of` puts them."""
    return np.asarray(points @ placement[:, :2].T + placement[:, 2])


def inverse(placement: Floats) -> Floats:
    """The matrix that brings points back to the photo."""
    back = np.linalg.inv(placement[:, :2])
    return np.concatenate([back, -(back @ placement[:, 2])[:, None]], axis=1)


def heatmaps_of(points: Floats, size: tuple[int, int], sigma: float) -> Floats:
    """Bumps `exp(-d^2 / (2 sigma^2))` of height 1 at points, with d to the centre of a pixel.

    Args:
        points: `(k, 2)` x and y in pixels of the map; their fractions count.
        size: Height and width of a map.
        sigma: In pixels of the map.

    Returns:
        `(k, h, w)`.

    Examples:
        >>> heatmaps_of(np.array([[1.5, 0.5]]), (1, 3), sigma=1.0).round(4).tolist()
        [[[0.6065, 1.0, 0.6065]]]
    """
    distances = [np.arange(n) + 0.5 - points[:, axis, None] for axis, n in ((1, size[0]), (0, size[1]))]
    rows, columns = (np.exp(-(distance**2) / (2 * sigma**2)) for distance in distances)
    return np.asarray(rows[:, :, None] * columns[:, None, :])
