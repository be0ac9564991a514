"""Labels from a table, or from a folder whose subfolders are the classes."""

from __future__ import annotations

import csv
import os
from collections.abc import Sequence
from pathlib import Path

from .image_files import images_below

ITEM_COLUMNS = ("item", "name", "item_id", "id", "filename")
"""What the column of items may be called, the first first."""


def read_labels(path: str | os.PathLike[str]) -> dict[str, str]:
    """Item to class: from a CSV file with columns `item,label`, or from a folder whose subfolders are the classes.

    In a folder, ids are the paths relative to it, as `al-agent embed FOLDER` names items: `cat/1.png` is of class `cat`.

    Args:
        path: The file or folder.

    Raises:
        FileNotFoundError: There is neither.
        ValueError: No labels, an item without one or with two, or an image outside of the subfolders. The message names it.
    """
    if not Path(path).is_dir():
        return read_label_table(path)
    label_of = {}
    for item_id in images_below(path):
        label, _, rest = item_id.partition("/")
        if not rest:
            raise ValueError(f"image '{item_id}' lies in '{path}' itself; expected each in the subfolder of its class")
        label_of[item_id] = label
    return label_of


def read_label_table(path: str | os.PathLike[str], columns: Sequence[str] = ITEM_COLUMNS) -> dict[str, str]:
    """Item to label, from a CSV file in UTF-8 with a column of items and the column `label`.

    Args:
        path: The file.
        columns: Names of the column of items; the first that is there counts.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: Other columns, no rows, an item without a label or with two, or no text. The message names the line.
    """
    if not Path(path).exists():
        raise FileNotFoundError(f"there is no '{path}'; expected a CSV file with the columns {columns[0]},label")
    with Path(path).open(encoding="utf-8-sig", newline="") as file:
        reader = csv.DictReader(file)
        try:
            return _read(reader, columns, f"'{path}'")
        except (UnicodeDecodeError, csv.Error) as error:
            raise ValueError(f"'{path}' is not a CSV file in UTF-8: {error}") from error


def _read(reader: csv.DictReader[str], columns: Sequence[str], where: str) -> dict[str, str]:
    names = reader.fieldnames or ()
    column = next((name for name in columns if name in names), None)
    if column is None or "label" not in names:
        raise ValueError(f"{where} has the columns {', '.join(names)[:80] or 'none'}; expected {columns[0]},label")
    label_of: dict[str, str] = {}
    for row in reader:
        item, label = row[column], row["label"]
        if not item or not label:
            raise ValueError(f"line {reader.line_num} of {where} has no {'label' if item else column}")
        if item in label_of:
            raise ValueError(f"line {reader.line_num} of {where} labels {item!r} a second time")
        label_of[item] = label
    if not label_of:
        raise ValueError(f"{where} has no rows below its header")
    return label_of
