"""COCO detection results: a JSON list of boxes in pixels, joined to file names by image id."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt


class CocoDetections(NamedTuple):
    """Flat arrays of the boxes of n images; see `DetectionPredictions` for shapes and units."""

    item_ids: tuple[str, ...]
    boxes: npt.NDArray[np.float64]
    scores: npt.NDArray[np.float64]
    labels: npt.NDArray[np.int64]
    offsets: npt.NDArray[np.int64]
    class_names: tuple[str, ...] | None


def read_results(
    results: str | os.PathLike[str] | Iterable[Mapping[str, Any]],
    images: str | os.PathLike[str] | Mapping[str, Any] | Iterable[Mapping[str, Any]],
) -> CocoDetections:
    """Read COCO results as flat arrays with boxes relative to their image.

    Args:
        results: Path of the JSON list, or the list: `{image_id, category_id, bbox: [x, y, width, height], score}` each.
        images: Path or content of a COCO annotation file, or a list of `{id, file_name, width, height}`.

    Returns:
        The detections in the order of `images`; the boxes of one image keep the order of the results.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: Not JSON, a field is missing, an image or category is unknown, a box lies outside its image.
    """
    image_rows, categories = _read_images(images)
    rows = _json(results, "results") if isinstance(results, str | os.PathLike) else list(results)
    if not isinstance(rows, list):
        raise ValueError(f"COCO results are a list of boxes; got {type(rows).__name__}: is this the annotation file?")

    row_of_image = {image["id"]: row for row, image in enumerate(image_rows)}
    if len(row_of_image) != len(image_rows):
        raise ValueError(f"{len(image_rows) - len(row_of_image)} images share an id with another; ids are unique in COCO")
    label_of_category = {category["id"]: label for label, category in enumerate(categories)}

    image_of_box = np.empty(len(rows), dtype=np.int64)
    labels = np.empty(len(rows), dtype=np.int64)
    corners = np.empty((len(rows), 4))
    scores = np.empty(len(rows))
    for number, row in enumerate(rows):
        image_id, category_id, bbox, score = _fields(row, ("image_id", "category_id", "bbox", "score"), f"result {number}")
        if image_id not in row_of_image:
            raise ValueError(f"result {number} is of image {image_id!r}, which is not among the {len(image_rows):,} images")
        if categories and category_id not in label_of_category:
            raise ValueError(
                f"result {number} has category {category_id!r}, which is not among the {len(categories)} categories"
            )
        image = row_of_image[image_id]
        image_of_box[number] = image
        labels[number] = label_of_category[category_id] if categories else category_id
        scores[number] = score
        corners[number] = _relative_corners(bbox, image_rows[image], number)

    order = np.argsort(image_of_box, kind="stable")
    counts = np.bincount(image_of_box, minlength=len(image_rows))
    return CocoDetections(
        item_ids=tuple(str(image["file_name"]) for image in image_rows),
        boxes=corners[order],
        scores=scores[order],
        labels=labels[order],
        offsets=np.concatenate([[0], np.cumsum(counts)]).astype(np.int64),
        class_names=tuple(str(category["name"]) for category in categories) or None,
    )


def _read_images(
    images: str | os.PathLike[str] | Mapping[str, Any] | Iterable[Mapping[str, Any]],
) -> tuple[list[Mapping[str, Any]], list[Mapping[str, Any]]]:
    content: Any = _json(images, "images") if isinstance(images, str | os.PathLike) else images
    categories: list[Mapping[str, Any]] = []
    if isinstance(content, Mapping):
        categories = list(content.get("categories") or [])
        if "images" not in content:
            raise ValueError("the images file has no list 'images'; expected a COCO annotation file")
        content = content["images"]
    rows = list(content)
    for number, row in enumerate(rows):
        _, _, width, height = _fields(row, ("id", "file_name", "width", "height"), f"image {number}")
        if not (width > 0 and height > 0):
            raise ValueError(f"image {row['file_name']!r} is {width} x {height} pixels; expected a positive size")
    for number, row in enumerate(categories):
        _fields(row, ("id", "name"), f"category {number}")
    return rows, categories


def _json(path: str | os.PathLike[str], what: str) -> Any:
    try:
        with Path(path).open(encoding="utf-8") as file:
            return json.load(file)
    except ValueError as error:
        raise ValueError(f"the {what} file {os.fspath(path)!r} is not JSON: {error}") from error


def _fields(row: Any, names: tuple[str, ...], where: str) -> list[Any]:
    if not isinstance(row, Mapping):
        raise ValueError(f"{where} is {type(row).__name__}; expected an object with {', '.join(names)}")
    missing = [name for name in names if row.get(name) is None]
    if missing:
        raise ValueError(f"{where} has no {missing[0]!r}; expected {', '.join(names)}")
    return [row[name] for name in names]


def _relative_corners(bbox: Any, image: Mapping[str, Any], number: int) -> list[float]:
    if not isinstance(bbox, list | tuple) or len(bbox) != 4:
        raise ValueError(f"result {number} has bbox {bbox!r}; expected [x, y, width, height] in pixels")
    x, y, box_width, box_height = (float(value) for value in bbox)
    width, height = float(image["width"]), float(image["height"])
    is_inside = x <= width and y <= height and x + box_width >= 0 and y + box_height >= 0
    if not (is_inside and box_width >= 0 and box_height >= 0):  # also false for NaN
        raise ValueError(
            f"result {number} has bbox {bbox!r} in {image['file_name']!r} of {width:g} x {height:g} pixels; expected "
            "[x, y, width, height] that touches the image"
        )
    corners = (x / width, y / height, (x + box_width) / width, (y + box_height) / height)
    return [min(1.0, max(0.0, value)) for value in corners]
