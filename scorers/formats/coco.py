"""COCO detection results: a JSON list of boxes in pixels, joined to file names by image id."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterable, Mapping
from numbers import Integral, Real
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

    row_of_image = _row_of_id(image_rows, "image")
    label_of_category = _row_of_id(categories, "category")

    image_of_box = np.empty(len(rows), dtype=np.int64)
    labels = np.empty(len(rows), dtype=np.int64)
    corners = np.empty((len(rows), 4))
    scores = np.empty(len(rows))
    for number, row in enumerate(rows):
        image_id, category_id, bbox, score = _fields(row, ("image_id", "category_id", "bbox", "score"), f"result {number}")
        if not isinstance(image_id, Real | str) or image_id not in row_of_image:
            raise ValueError(f"result {number} is of image {image_id!r}, which is not among the {len(image_rows):,} images")
        if not categories and not (isinstance(category_id, Integral) and int(category_id) >= 0):
            raise ValueError(f"result {number} has category {category_id!r}; expected a whole number of 0 or more")
        if categories and not (isinstance(category_id, Integral | str) and category_id in label_of_category):
            raise ValueError(
                f"result {number} has category {category_id!r}, which is not among the {len(categories)} categories"
            )
        if not isinstance(score, Real):
            raise ValueError(f"result {number} has the score {score!r}; expected a number in [0, 1]")
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
        categories = _list(content.get("categories") or [], "categories")
        content = content.get("images")
    rows = _list(content, "images")
    for number, row in enumerate(rows):
        _, name, width, height = _fields(row, ("id", "file_name", "width", "height"), f"image {number}")
        if not (_is_finite(width) and _is_finite(height) and width > 0 and height > 0):
            raise ValueError(f"image {name!r} is {width} x {height} pixels; expected two positive numbers")
    for number, row in enumerate(categories):
        _fields(row, ("id", "name"), f"category {number}")
    return rows, categories


def _list(content: Any, name: str) -> list[Any]:
    if not isinstance(content, Iterable) or isinstance(content, str | bytes | Mapping):
        raise ValueError(f"{name!r} is no list; expected a COCO annotation file, or a list of images")
    return list(content)


def _row_of_id(rows: list[Mapping[str, Any]], what: str) -> dict[Any, int]:
    """The id of each row to its position; ids are unique in COCO."""
    row_of: dict[Any, int] = {}
    for number, row in enumerate(rows):
        if not isinstance(row["id"], Integral | str):
            raise ValueError(f"{what} {number} has the id {row['id']!r}; expected a whole number or text")
        if row["id"] in row_of:
            raise ValueError(f"{what} {number} shares an id with {what} {row_of[row['id']]}: {row['id']!r}; ids are unique")
        row_of[row["id"]] = number
    return row_of


def _is_finite(value: Any) -> bool:
    return isinstance(value, Real) and math.isfinite(value)


def _json(path: str | os.PathLike[str], what: str) -> Any:
    try:
        with Path(path).open(encoding="utf-8") as file:
            return json.load(file)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"the {what} file {os.fspath(path)!r} is not JSON: {error}") from error


def _fields(row: Any, names: tuple[str, ...], where: str) -> list[Any]:
    if not isinstance(row, Mapping):
        raise ValueError(f"{where} is {type(row).__name__}; expected an object with {', '.join(names)}")
    missing = [name for name in names if row.get(name) is None]
    if missing:
        raise ValueError(f"{where} has no {missing[0]!r}; expected {', '.join(names)}")
    return [row[name] for name in names]


def _relative_corners(bbox: Any, image: Mapping[str, Any], number: int) -> list[float]:
    if isinstance(bbox, np.ndarray):
        bbox = bbox.tolist()
    if not isinstance(bbox, list | tuple) or len(bbox) != 4 or not all(map(_is_finite, bbox)):
        raise ValueError(f"result {number} has bbox {bbox!r}; expected [x, y, width, height] in pixels")
    x, y, box_width, box_height = bbox
    width, height = image["width"], image["height"]
    is_inside = x <= width and y <= height and x + box_width >= 0 and y + box_height >= 0
    if not is_inside or box_width < 0 or box_height < 0:
        raise ValueError(
            f"result {number} has bbox {bbox!r} in {image['file_name']!r} of {width:g} x {height:g} pixels; expected "
            "[x, y, width, height] that touches the image"
        )
    corners = (x / width, y / height, (x + box_width) / width, (y + box_height) / height)
    return [min(1.0, max(0.0, value)) for value in corners]
