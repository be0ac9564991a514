"""Predictions of Label Studio tasks: regions in percent of the image, one task for each image."""

from __future__ import annotations

import math
import os
import re
import urllib.parse
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from ..predictions.detection import DetectionPredictions
from .arrays import field
from .detections import DetectionRows
from .items import found_items
from .json_files import read_json
from .names import ItemNames

_UPLOADED = re.compile(r"/data/upload/\d+/[0-9a-f]{8}-(.+)\Z")
_BUCKETS = frozenset({"s3", "gs", "azure-blob"})

Tasks = str | os.PathLike[str] | Iterable[Mapping[str, Any]]


def detections(
    tasks: Tasks,
    *,
    item_ids: Iterable[str],
    is_complete: bool = True,
    image_field: str | None = None,
    model_version: str | None = None,
    class_names: Iterable[str] | None = None,
) -> DetectionPredictions:
    """Predictions from the rectangles and polygons of each task's prediction, as a JSON export has them.

    A rotated rectangle and a polygon are read as the upright box around them. Every region needs a `score`.

    Args:
        tasks: Path of a JSON export, or its list of `{"data", "predictions"}`.
        item_ids: n unique item ids, which the file names of the images are matched to. A task without predictions has no
            boxes.
        is_complete: Whether every item must have a task; if not, those without are left out.
        image_field: Field of `data` with the image's address; None where there is one field only.
        model_version: Whose predictions to read; None where all are of one version.
        class_names: The labels in the order of their indices; None: those that occur, sorted.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: Not JSON, tasks of unknown images, several model versions, regions without a score or of another kind.

    Examples:
        >>> value = {"x": 10, "y": 20, "width": 50, "height": 60, "rectanglelabels": ["cat"]}
        >>> region = {"type": "rectanglelabels", "score": 0.75, "value": value}
        >>> task = {"data": {"image": "/data/upload/1/0a1b2c3d-a.jpg"}, "predictions": [{"result": [region]}]}
        >>> detections([task], item_ids=["a.jpg"]).boxes.round(3).tolist()
        [[0.1, 0.2, 0.6, 0.8]]
    """
    where = repr(os.fspath(tasks)) if isinstance(tasks, str | os.PathLike) else "tasks"
    content = read_json(tasks, "tasks") if isinstance(tasks, str | os.PathLike) else tasks
    if isinstance(content, Mapping) or not isinstance(content, Iterable):
        raise ValueError(f"{where} is {type(content).__name__}; expected the list of tasks that a JSON export has")
    known = ItemNames(item_ids)
    found: dict[str, list[Mapping[str, Any]]] = {}
    versions: set[str] = set()
    for number, task in enumerate(content):
        at = f"{where}, task {number}"
        item_id = known.find(image_path(_address(task, image_field, at)), at)
        if item_id in found:
            raise ValueError(f"{at} is a second one of {item_id!r}; expected one for each image")
        predictions = [_of_dict(one, at) for one in task.get("predictions") or []]
        predictions = [p for p in predictions if model_version is None or p.get("model_version") == model_version]
        versions |= {str(prediction.get("model_version")) for prediction in predictions}
        found[item_id] = [_of_dict(region, at) for prediction in predictions for region in prediction.get("result") or []]
    if len(versions) > 1:
        raise ValueError(
            f"{where} has predictions of the versions {', '.join(sorted(versions))}; name one: model_version=..."
        )
    ids = found_items(known.item_ids, found, where, is_complete=is_complete)
    if model_version is not None and not versions:
        raise ValueError(f"{where} has no predictions of the version {model_version!r}")
    rows = DetectionRows("xyxy", class_names=class_names)
    for item_id in ids:
        boxes, scores, labels = [], [], []
        for number, region in enumerate(found[item_id]):
            at = f"region {number} of {item_id!r} in {where}"
            read = _region(region, at)
            if read is not None:
                boxes.append(read[0])
                labels.append(read[1])
                scores.append(_score(region, at))
        rows.add(item_id, boxes, scores, labels, size=None)
    return rows.predictions()


def image_path(address: str) -> str:
    """The path in the address of an image: without host or bucket, and without what an upload put before the name.

    Examples:
        >>> image_path("https://labels.example.com/data/upload/1/0a1b2c3d-a%20b.jpg"), image_path("s3://bucket/day/a.jpg")
        ('a b.jpg', 'day/a.jpg')
    """
    scheme, _, place = address.partition("://")
    if scheme in _BUCKETS:  # a key is no URL: `?`, `#` and `%` are letters of it
        return place.partition("/")[2]
    parts = urllib.parse.urlsplit(address)
    if parts.path.rstrip("/").endswith("/data/local-files"):  # a server may have a path of its own
        return urllib.parse.parse_qs(parts.query).get("d", [""])[0].lstrip("/")
    uploaded = _UPLOADED.search(parts.path)
    return urllib.parse.unquote(uploaded[1] if uploaded else parts.path).strip("/")


def _address(task: Any, image_field: str | None, at: str) -> str:
    data = _of_dict(field(_of_dict(task, at), "data", at), f"the data of {at}")
    name = next(iter(data)) if image_field is None and len(data) == 1 else image_field
    if name is None:
        raise ValueError(f"{at} has the fields {', '.join(map(str, data)) or 'none'}; name the image's: image_field=...")
    address = field(data, name, f"the data of {at}")
    if not isinstance(address, str) or not address:
        raise ValueError(f"{at} has {address!r} in {name!r}; expected the address of an image")
    return address


def _of_dict(value: Any, at: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise ValueError(
            f"{at} has {type(value).__name__} where an object is due; export the tasks as JSON, with predictions"
        )
    return value


def _score(region: Mapping[str, Any], at: str) -> Any:
    score = region.get("score")
    if score is None:
        raise ValueError(
            f"{at} has no score; without it nothing can be scored: let the model backend give one for each region"
        )
    return score


def _region(region: Mapping[str, Any], at: str) -> tuple[list[float], str] | None:
    """Corners as fractions and the label of a rectangle or a polygon; None for what is no place in the image."""
    kind = region.get("type")
    if kind in ("choices", "textarea", "rating", "number", "taxonomy", "datetime"):
        return None
    if kind not in ("rectanglelabels", "polygonlabels"):
        raise ValueError(f"{at} is of type {kind!r}; expected rectanglelabels or polygonlabels")
    value = _of_dict(field(region, "value", at), at)
    labels = field(value, kind, at)
    if not isinstance(labels, list) or len(labels) != 1 or not isinstance(labels[0], str):
        raise ValueError(f"{at} has the labels {labels!r}; expected one label")
    try:
        if kind == "polygonlabels":
            points = np.array(value.get("points"), dtype=np.float64).reshape(-1, 2)
        else:
            x, y, width, height = (float(field(value, side, at)) for side in ("x", "y", "width", "height"))
            if width < 0 or height < 0:
                raise ValueError("a negative size")
            turn = math.radians(float(value.get("rotation") or 0))
            points = np.array([x, y]) + _rectangle(width, height, turn, _aspect(region))
        low, high = points.min(axis=0), points.max(axis=0)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{at} has the value {value!r}, which is no shape in percent of the image: {error}") from error
    return [*(low / 100).tolist(), *(high / 100).tolist()], labels[0]


def _aspect(region: Mapping[str, Any]) -> float:
    """Width over height of the image: percents of the two sides are of different lengths."""
    width, height = region.get("original_width"), region.get("original_height")
    return float(width) / float(height) if width and height else 1.0


def _rectangle(width: float, height: float, angle: float, aspect: float) -> npt.NDArray[np.float64]:
    """The four corners of a rectangle that is turned clockwise around its upper left corner, from there, in percent."""
    right, down = np.array([[0, 0], [width, 0], [0, height], [width, height]]).T
    right = right * aspect
    turned = np.stack([right * np.cos(angle) - down * np.sin(angle), right * np.sin(angle) + down * np.cos(angle)], axis=1)
    return np.asarray(turned / [aspect, 1.0], dtype=np.float64)
