"""YOLO's text files: for each image one, with a line for each box or polygon in fractions of the image."""

from __future__ import annotations

import os
import warnings
from array import array
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from ..predictions.detection import DetectionPredictions
from .reading.labels import names_in_order
from .reading.names import ItemNames
from .reading.pixels import relative_corners

Lines = Literal["boxes", "polygons"]

_MOST_FRACTION = 2.0  # a number above it is no fraction, but pixels
_BOX = "class x_center y_center width height confidence"
_SAVE = "save confidences with save_txt=True, save_conf=True"


def detections(
    folder: str | os.PathLike[str],
    *,
    item_ids: Iterable[str],
    class_names: Mapping[int, str] | Iterable[str] | None = None,
    lines: Lines = "boxes",
) -> DetectionPredictions:
    """Predictions from `NAME.txt` files with a line `class x_center y_center width height confidence` for each box.

    What Ultralytics' models write with `save_txt=True, save_conf=True`, and YOLOv5 and YOLOv7 with `--save-txt --save-conf`.
    Sub-folders are read too. An item without a file has no boxes.

    Args:
        folder: The folder of the files, `labels` in the folder of a run.
        item_ids: n unique item ids, which the files' names are matched to without their suffix.
        class_names: A name for each class: a sequence, or a dictionary by index, as under `names` in the data file.
        lines: What a line holds between class and confidence: `"boxes"`, or `"polygons"` for `x0 y0 x1 y1 x2 y2 ...`, as
            models of segments and of oriented boxes write it; the box is the one around the polygon. Lines without a point
            are left out with a warning. Lines of poses are neither.

    Raises:
        FileNotFoundError: There is no such folder.
        ValueError: No file is there, a file is of no item or two are of one, a line has no confidence or is no such line,
            numbers are out of range or pixels. The message names file and line.

    Examples:
        >>> import pathlib, tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     _ = pathlib.Path(folder, "a.txt").write_text("1 0.5 0.5 0.25 0.5 0.75")
        ...     predictions = detections(folder, item_ids=["a.jpg", "b.jpg"])
        >>> predictions.boxes.tolist(), predictions.scores.tolist(), predictions.offsets.tolist()
        ([[0.375, 0.25, 0.625, 0.75]], [0.75], [0, 1, 1])
    """
    if lines not in ("boxes", "polygons"):
        raise ValueError(f"lines is {lines!r}; expected 'boxes' or 'polygons'")
    known = ItemNames(item_ids)
    names = names_in_order(class_names)
    files = _files(Path(folder), known)
    read = _box if lines == "boxes" else _box_of_polygon
    values, line_numbers, offsets = array("d"), array("q"), [0]
    without_points: list[str] = []
    for item_id in known.item_ids:
        if item_id in files:
            for line_number, numbers in _lines(files[item_id]):
                row = read(numbers, files[item_id], line_number)
                if row:
                    values.extend(row)
                    line_numbers.append(line_number)
                else:
                    without_points.append(_at(files[item_id], line_number))
        offsets.append(len(line_numbers))
    if without_points:
        warnings.warn(
            f"{len(without_points):,} lines have no points, the first is {without_points[0]}; they are left out",
            stacklevel=2,
        )
    table = np.array(values).reshape(-1, 6)
    item_of_row = np.repeat(np.arange(len(known.item_ids)), np.diff(offsets))

    def name(row: int) -> str:
        return _at(files[known.item_ids[item_of_row[row]]], line_numbers[row])

    _check(table, name)
    return DetectionPredictions(
        known.item_ids,
        relative_corners(table[:, 1:5], None, "cxcywh" if lines == "boxes" else "xyxy", name),
        table[:, 5],
        table[:, 0].astype(np.int64),
        offsets,
        class_names=names,
    )


def _files(folder: Path, known: ItemNames) -> dict[str, str]:
    """The file of each item that has one."""
    if not folder.is_dir():
        raise FileNotFoundError(f"there is no folder {os.fspath(folder)!r}; expected one with a .txt file for each image")
    found: dict[str, str] = {}
    where = os.fspath(folder)
    beginning = os.path.join(where, "")  # of each path: the folder, and a slash where it has none
    for parent, folders, file_names in os.walk(where):
        folders.sort()
        for file_name in sorted(file_names):
            if file_name.startswith(".") or not file_name.lower().endswith(".txt"):
                continue
            path = os.path.join(parent, file_name)  # a Path for each of many files takes half of the time
            item_id = known.find(path[len(beginning) :], repr(where))
            if item_id in found:
                raise ValueError(f"{found[item_id]!r} and {path!r} are both of {item_id!r}; keep one")
            found[item_id] = path
    if not found:
        raise ValueError(
            f"{where!r} has no .txt files; expected one for each image with boxes: {_SAVE}, which writes them to 'labels' "
            "in the folder of the run"
        )
    return found


def _lines(path: str) -> Iterator[tuple[int, list[float]]]:
    """The number of each line that is not blank, from 1 on, and the numbers in it."""
    try:
        with open(path, "rb") as file:  # as above
            text = file.read().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"{path!r} is no text: {error}") from error
    for line_number, line in enumerate(text.split("\n"), 1):
        words = line.split()
        if words:
            try:
                yield line_number, [float(word) for word in words]
            except ValueError as error:
                raise ValueError(f"{_at(path, line_number)} is {line[:60]!r}; expected numbers: {_BOX}") from error


def _box(numbers: list[float], path: str, line_number: int) -> list[float]:
    if len(numbers) == 6:
        return numbers
    if len(numbers) == 5:
        raise ValueError(f"{_at(path, line_number)} has no confidence; expected {_BOX}: {_SAVE}")
    raise ValueError(
        f"{_at(path, line_number)} has {len(numbers)} numbers; expected 6: {_BOX}. Of segments and oriented boxes, "
        'lines="polygons" reads the boxes around them'
    )


def _box_of_polygon(numbers: list[float], path: str, line_number: int) -> list[float]:
    """Class, corners and confidence; nothing where there are no points."""
    if len(numbers) % 2:
        raise ValueError(
            f"{_at(path, line_number)} has {len(numbers)} numbers, so no confidence; expected class x0 y0 x1 y1 ... "
            f"confidence: {_SAVE}"
        )
    x, y = numbers[1:-1:2], numbers[2:-1:2]
    return [numbers[0], min(x), min(y), max(x), max(y), numbers[-1]] if x else []


def _check(table: npt.NDArray[np.float64], name: Callable[[int], str]) -> None:
    """Raise for the first line with a class or confidence out of range, or with pixels."""

    def refuse(is_bad: Any, column: int, what: str) -> None:
        if is_bad.any():
            row = int(np.flatnonzero(is_bad)[0])
            raise ValueError(f"{name(row)} has {table[row, column]:g} {what}")

    classes, scores = table[:, 0], table[:, 5]
    with np.errstate(invalid="ignore"):
        is_class = (classes >= 0) & (classes == np.floor(classes)) & (classes < 2**31)
    refuse(~is_class, 0, f"as its class; expected a whole number, then {_BOX.removeprefix('class ')}")
    for column, what in enumerate(("x", "y", "width", "height"), 1):
        refuse(
            np.abs(table[:, column]) > _MOST_FRACTION, column, f"as its {what}; expected fractions of the image, not pixels"
        )
    refuse(~((scores >= 0) & (scores <= 1)), 5, f"as its confidence, the last number; expected one in [0, 1]: {_SAVE}")


def _at(path: str, line_number: int) -> str:
    return f"line {line_number} of {path!r}"
