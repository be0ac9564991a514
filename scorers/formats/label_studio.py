"""Predictions of Label Studio tasks: regions in percent of the image, one task for each image."""

from __future__ import annotations

import math
import os
import re
import urllib.parse
from collections.abc import Iterable, Mapping
from typing import Any

from ..predictions.detection import DetectionPredictions
from .reading.arrays import field
from .reading.detections import DetectionRows
from .reading.items import found_items
from .reading.json_files import read_json
from .reading.labels import ClassNames
from .reading.names import ItemNames

_UPLOADED = re.compile(r"/data/upload/\d+/[0-9a-f]{8}-(.+)\Z")
_BUCKETS = frozenset({"s3", "gs", "azure-blob"})

Tasks = str | os.PathLike[str] | Mapping[str, Any] | Iterable[Mapping[str, Any]]


def detections(
    tasks: Tasks,
    *,
    item_ids: Iterable[str],
    is_complete: bool = True,
    image_field: str | None = None,
    model_version: str | None = None,
    class_names: ClassNames | None = None,
) -> DetectionPredictions:
    """Predictions from the rectangles and polygons of each task's prediction, as `GET /api/tasks?fields=all` gives them.

    Label Studio's JSON export holds only the ids of predictions, and is refused. An export snapshot holds them whole when it
    is made with the serialization option `{"predictions": {"only_id": false}}`.

    A rotated rectangle and a polygon are read as the upright box around them. Every region needs a `score`.

    Args:
        tasks: A list of `{"data", "predictions"}`, alone or in the answer `{"tasks": [...]}`, or the path of its JSON file.
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
    content, where = _list_of_tasks(tasks)
    known = ItemNames(item_ids)
    found: dict[str, list[Mapping[str, Any]]] = {}
    versions: set[str] = set()
    for number, task in enumerate(content):
        at = f"{where}, task {number}"
        item_id = known.find(image_path(_address(task, image_field, at)), at)
        if item_id in found:
            raise ValueError(f"{at} is a second one of {item_id!r}; expected one for each image")
        predictions = [_of_dict(one, f"a prediction of {at}") for one in task.get("predictions") or []]
        predictions = [p for p in predictions if model_version is None or p.get("model_version") == model_version]
        if len(predictions) > len({str(prediction.get("model_version")) for prediction in predictions}):
            raise ValueError(f"{at} has several predictions of one version; delete all but the last in Label Studio")
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


def _list_of_tasks(tasks: Tasks) -> tuple[Iterable[Any], str]:
    """The tasks, and what messages call the place where they are."""
    where = repr(os.fspath(tasks)) if isinstance(tasks, str | os.PathLike) else "tasks"
    content = read_json(tasks, "tasks") if isinstance(tasks, str | os.PathLike) else tasks
    n_there = 0
    if isinstance(content, Mapping):
        n_there = content.get("total", 0)
        content = field(content, "tasks", where)
    if isinstance(content, str | Mapping) or not isinstance(content, Iterable):
        raise ValueError(f"{where} is {type(content).__name__}; expected a list of tasks")
    content = list(content)
    if len(content) < n_there:
        raise ValueError(f"{where} has {len(content):,} of {n_there:,} tasks; ask for them all: page_size=1000000")
    return content, where


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
        hint = ""
        if isinstance(value, int):
            hint = ". A JSON export has only ids of predictions: take what GET /api/tasks?project=...&fields=all answers"
        raise ValueError(f"{at} is {value!r:.40}; expected an object{hint}")
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
            corners = [(float(x), float(y)) for x, y in value["points"]]
        else:
            corners = _rectangle(value, region)
        xs, ys = zip(*corners)
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{at} has the value {value!r}, which is no shape in percent of the image: {error}") from error
    return [min(xs) / 100, min(ys) / 100, max(xs) / 100, max(ys) / 100], labels[0]


def _rectangle(value: Mapping[str, Any], region: Mapping[str, Any]) -> list[tuple[float, float]]:
    """The corners of a rectangle, which may be turned clockwise around its upper left corner, in percent."""
    x, y, width, height = (float(value[side]) for side in ("x", "y", "width", "height"))
    if width < 0 or height < 0:
        raise ValueError("a negative size")
    angle = math.radians(float(value.get("rotation") or 0))
    if not angle:
        return [(x, y), (x + width, y + height)]
    image_width, image_height = region.get("original_width"), region.get("original_height")
    if not image_width or not image_height:
        raise ValueError("it is turned, and its region has no original_width and original_height")
    aspect = float(image_width) / float(image_height)  # percents of the two sides are of different lengths
    cos, sin = math.cos(angle), math.sin(angle)
    return [
        (x + right * cos - down * sin / aspect, y + right * sin * aspect + down * cos)
        for right in (0.0, width)
        for down in (0.0, height)
    ]
