"""Between a folder's files and a project's items: ids, states, ranks and labels; no file is touched here.

A rank is stored as it is: 0 is labeled first, and an item without a rank comes after all that have one.
"""

from __future__ import annotations

import json
import operator
import os
import posixpath
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from scorers.checks import doubled_ids

from ...image_files import check_unicode
from ..base import Item, ItemState
from .wire import Row

_STATES = {state.value: state for state in ItemState}


def to_item(row: Row, root: str) -> Item:
    """A stored row as an item; `root` is the folder of the images, ending in a separator."""
    media = None if _leaves_folder(row.id) else root + row.id  # the file may come from anybody
    return Item(row.id, str(row.position), row.id, _STATES[row.state], row.priority, media)


def to_label_text(item_id: str, label: Any) -> str:
    """A label as JSON.

    Raises:
        ValueError: The label is None, or nothing that JSON can hold.
    """
    if label is None or (isinstance(label, str) and not label):
        raise ValueError(
            f"the label of {item_id!r} is {label!r}; use skip() to pass an item over, reopen() to take a label back"
        )
    try:
        return json.dumps(label, allow_nan=False, ensure_ascii=False, default=_plain)
    except (TypeError, ValueError, RecursionError) as error:
        raise ValueError(
            f"the label of {item_id!r} is {label!r}, which JSON cannot hold ({error}); use text, numbers, lists and dicts"
        ) from None


def to_count(value: Any, name: str) -> int:
    """A whole number of 0 or more that SQLite can hold, from any kind of integer."""
    try:
        count = -1 if isinstance(value, bool | np.bool_) else operator.index(value)
    except TypeError:
        count = -1
    if not 0 <= count < 2**63:
        raise ValueError(f"{name} is {value!r}; expected a whole number of 0 or more")
    return count


def _plain(value: Any) -> Any:
    if isinstance(value, np.generic | np.ndarray):
        return value.tolist()
    raise TypeError(f"{type(value).__name__} is not plain")


def to_ids(images: Iterable[str | os.PathLike[str]], root: Path) -> list[str]:
    """Item ids of image paths: relative to the images' folder, with forward slashes.

    Raises:
        ValueError: A path leaves the folder, is doubled, or is no text that can be stored.
    """
    if isinstance(images, str | bytes | os.PathLike):
        raise ValueError(f"images is the single {images!r}; write [{images!r}]")
    prefix = f"{root.as_posix().rstrip('/')}/"
    ids = []
    for image in images:
        text = os.fspath(image)
        if isinstance(text, bytes):
            raise ValueError(f"image {text!r} is bytes; give file names as text")
        if os.sep != "/":
            text = text.replace(os.sep, "/")
        item_id = text.removeprefix(prefix)
        if "//" in item_id or "./" in item_id or item_id.endswith("/"):
            item_id = posixpath.normpath(item_id)  # one name for one file
        _check_id(item_id, text, root)
        ids.append(item_id)
    if len(set(ids)) != len(ids):
        doubled = doubled_ids(ids)[0]
        raise ValueError(f"image {doubled!r} is given {ids.count(doubled)} times; give each image once")
    return ids


def _check_id(item_id: str, text: str, root: Path) -> None:
    if "\0" in item_id or item_id in ("", "."):
        raise ValueError(f"image {text!r} is no file name")
    if _leaves_folder(item_id):
        raise ValueError(f"image {text!r} is not below '{root}'; pass images=<the folder that holds all images>")
    if not item_id.isascii():
        check_unicode(item_id)


def _leaves_folder(item_id: str) -> bool:
    return item_id.startswith("/") or (".." in item_id and ".." in item_id.split("/"))
