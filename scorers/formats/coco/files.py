"""COCO's JSON files: the images of an annotation file, and results of any length in pieces."""

from __future__ import annotations

import json
import math
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from numbers import Integral, Real
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ...checks import checked_item_ids

Results = str | os.PathLike[str] | Iterable[Mapping[str, Any]]
"""Path of a results file, or the list of results."""

Images = str | os.PathLike[str] | Mapping[str, Any] | Iterable[Mapping[str, Any]]
"""Path or content of an annotation file, or a list of `{id, file_name, width, height}`."""

_PIECE_BYTES = 1 << 22  # small enough that what is parsed of it stays in the processor's cache: see bench_coco_results
_PIECE_ROWS = 1 << 14
_BETWEEN_ROWS = re.compile(rb"\}\s*,\s*(?=\{)")
_BETWEEN_SEARCH = 1 << 16


@dataclass(frozen=True)
class CocoImages:
    """The images that results may be of, and the categories where they are named.

    Args:
        item_ids: n file names.
        sizes: `(n, 2)` width and height in pixels.
        row_of_id: Row of each image id.
        label_of_id: Position of each category id; empty where categories are not named.
        class_names: A name for each category, or None.
        keypoint_names: A name for each keypoint where exactly one category names some, or None.
    """

    item_ids: tuple[str, ...]
    sizes: npt.NDArray[np.float64]
    row_of_id: dict[Any, int]
    label_of_id: dict[Any, int]
    class_names: tuple[str, ...] | None
    keypoint_names: tuple[str, ...] | None


def read_images(images: Images) -> CocoImages:
    """Read the images and categories of an annotation file, or of a list of images.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: Not JSON, no list of images, a field is missing or unfit, an id stands twice.
    """
    content: Any = _parsed(Path(images).read_bytes(), "images", images) if isinstance(images, str | os.PathLike) else images
    categories: list[Any] = []
    if isinstance(content, Mapping):
        categories = _list(content.get("categories") or [], "categories")
        content = content.get("images")
    rows = _list(content, "images")
    wanted = ("id", "file_name", "width", "height")
    for number, row in enumerate(rows):
        check_row(row, wanted, f"image {number}")
        name, width, height = row["file_name"], row["width"], row["height"]
        if not (is_finite(width) and is_finite(height) and width > 0 and height > 0):
            raise ValueError(f"image {name!r} is {width} x {height} pixels; expected two positive numbers")
    for number, row in enumerate(categories):
        check_row(row, ("id", "name"), f"category {number}")
    keypoint_names = [row["keypoints"] for row in categories if row.get("keypoints")]
    names = [str(row["file_name"]) for row in rows]
    return CocoImages(
        item_ids=checked_item_ids(names) if names else (),
        sizes=np.array([(row["width"], row["height"]) for row in rows], dtype=np.float64).reshape(-1, 2),
        row_of_id=_row_of_id(rows, "image"),
        label_of_id=_row_of_id(categories, "category"),
        class_names=tuple(str(row["name"]) for row in categories) or None,
        keypoint_names=tuple(map(str, keypoint_names[0])) if len(keypoint_names) == 1 else None,
    )


def result_pieces(results: Results, *, piece_bytes: int = _PIECE_BYTES) -> Iterator[list[Any]]:
    """The results in order, many at a time. Of a file, memory is a piece's, not the file's.

    Args:
        results: Path of a results file, or the list.
        piece_bytes: How much of a file is read at a time.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: Not JSON, with the byte where it stops being so, or no list.
    """
    if isinstance(results, str | os.PathLike):
        yield from _pieces_of_file(results, piece_bytes)
    elif isinstance(results, Mapping):
        raise ValueError(_NO_LIST.format("a dictionary"))
    else:
        rows = iter(results)
        while piece := list(islice(rows, _PIECE_ROWS)):
            yield piece


_NO_LIST = "COCO results are a list, one for each box or instance; got {}: is this the annotation file?"


def _pieces_of_file(path: str | os.PathLike[str], piece_bytes: int) -> Iterator[list[Any]]:
    """Cut the file between two rows and parse each piece as a list of its own.

    A piece that was cut inside a string or a nested list is not whole, so it cannot be parsed: then more is read.
    """
    with Path(path).open("rb") as file:
        rest = file.read(piece_bytes).removeprefix(b"\xef\xbb\xbf").lstrip()
        if rest.startswith(b"{"):
            raise ValueError(_NO_LIST.format("a dictionary"))
        start = file.tell() - len(rest)  # where the rest begins
        n_bytes = piece_bytes
        while block := file.read(n_bytes):
            rest += block
            cut = _last_cut(rest)
            if cut is None:
                n_bytes = len(rest)
                continue
            try:
                rows = json.loads(rest[: cut[0] + 1].decode("utf-8") + "]")
            except (ValueError, RecursionError):
                n_bytes = len(rest)
                continue
            yield rows
            rest = b"[" + rest[cut[1] :]
            start = file.tell() - len(rest)
            n_bytes = piece_bytes
        rows = _parsed(rest, "results", path, start)
        if not isinstance(rows, list):
            raise ValueError(_NO_LIST.format(type(rows).__name__))
        yield rows


def _last_cut(text: bytes) -> tuple[int, int] | None:
    """Where the last row ends that another one follows, and where that one begins."""
    reach = _BETWEEN_SEARCH
    while True:
        found = None
        for found in _BETWEEN_ROWS.finditer(text, max(0, len(text) - reach)):  # noqa: B007  # the last is wanted
            pass
        if found or reach >= len(text):
            return (found.start(), found.end()) if found else None
        reach *= 8


def _parsed(text: bytes, what: str, path: str | os.PathLike[str], start: int = 0) -> Any:
    try:
        return json.loads(text.decode("utf-8-sig"))
    except json.JSONDecodeError as error:
        byte = start + len(error.doc[: error.pos].encode("utf-8"))
        is_whole = text.rstrip().endswith(b"]" if what == "results" else (b"]", b"}"))
        why = f"{error.msg} at byte {byte:,} of {start + len(text):,}{'' if is_whole else ': was it written to its end?'}"
    except UnicodeDecodeError as error:
        why = f"{error.reason} at byte {start + error.start:,}; expected UTF-8"
    except RecursionError:
        why = "lists within lists without end"
    raise ValueError(f"the {what} file {os.fspath(path)!r} is not JSON: {why}")


def check_row(row: Any, names: tuple[str, ...], where: str, listed: str = "") -> None:
    """Raise unless the row is an object with these fields, none of them null. The message lists what is expected."""
    listed = listed or ", ".join(names)
    if not isinstance(row, Mapping):
        raise ValueError(f"{where} is {type(row).__name__}; expected an object with {listed}")
    missing = [name for name in names if row.get(name) is None]
    if missing:
        hint = ": are these results, and the two swapped?" if "image_id" in row and where.startswith("image") else ""
        if missing[0] == "bbox" and "keypoints" in row:
            hint = ": these are keypoint results, which formats.coco.keypoints reads"
        elif missing[0] == "keypoints" and ("bbox" in row or "segmentation" in row):
            hint = ": these are results of boxes or masks, which formats.coco.detections reads"
        raise ValueError(f"{where} has no {missing[0]!r}; expected {listed}{hint}")


def _list(content: Any, name: str) -> list[Any]:
    if not isinstance(content, Iterable) or isinstance(content, str | bytes | Mapping):
        raise ValueError(f"{name!r} is no list; expected a COCO annotation file, or a list of images")
    return list(content)


def _row_of_id(rows: list[Any], what: str) -> dict[Any, int]:
    """The id of each row to its position; ids are unique in COCO."""
    row_of: dict[Any, int] = {}
    for number, row in enumerate(rows):
        if not isinstance(row["id"], Integral | str):
            raise ValueError(f"{what} {number} has the id {row['id']!r}; expected a whole number or text")
        if row["id"] in row_of:
            raise ValueError(f"{what} {number} shares an id with {what} {row_of[row['id']]}: {row['id']!r}; ids are unique")
        row_of[row["id"]] = number
    return row_of


def is_finite(value: Any) -> bool:
    """Whether it is a number, and neither NaN nor infinite."""
    try:
        return isinstance(value, Real) and math.isfinite(value)
    except OverflowError:  # a whole number beyond floats
        return False
