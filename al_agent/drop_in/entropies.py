"""The CSV file of SuperAnnotate's priority scores, for a data set's images by index."""

from __future__ import annotations

import csv
import io
import math
import os
import warnings
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from scorers.checks import doubled_ids
from scorers.files import written_whole

from ..export import CSV_HEADER, as_cell


def write_entropies_csv(
    dataset: Any,
    indices: Iterable[int],
    entropies: Iterable[float] | None,
    file_out: str | os.PathLike[str],
    *,
    names: Sequence[str] | Mapping[int, str] | None = None,
) -> None:
    """Write a line `name,entropy_value` for each image, in the order given, whole or not at all.

    SuperAnnotate serves the largest value first. A name that a spreadsheet would run gets an apostrophe, and a warning.

    Args:
        dataset: Has `get_image_path(index)`, which gives the name of an image on the platform. Not needed with `names`.
        indices: The images.
        entropies: A finite number for each; None, as at cycle 0, writes 0.
        file_out: The file. Give each cycle one of its own: what was there before is replaced.
        names: The name of each image of the data set, by index.

    Raises:
        ValueError: Neither names nor `get_image_path`, other numbers of indices and values, a value that is not finite, a
            name that several images have.
        OSError: The file cannot be written; what was there before stays.

    Examples:
        >>> import pathlib, tempfile
        >>> file = pathlib.Path(tempfile.mkdtemp()) / "cycle_1.csv"
        >>> write_entropies_csv(None, [2, 0], [0.75, -1.5], file, names=["a.png", "b.png", "c.png"])
        >>> file.read_text().split()
        ['name,entropy_value', 'c.png,0.75', 'a.png,-1.5']
    """
    chosen = list(indices)
    values = np.zeros(len(chosen), dtype=int) if entropies is None else np.asarray(list(entropies), dtype=np.float64)
    if values.shape != (len(chosen),):
        raise ValueError(f"entropies has shape {values.shape} for {len(chosen):,} indices; expected a number for each")
    called = [_name(dataset, index, names) for index in chosen]
    for name, value in zip(called, values.tolist()):
        if not math.isfinite(value):
            raise ValueError(f"the entropy of {name!r} is {value}; expected finite numbers")
    if doubled := doubled_ids(called):
        raise ValueError(f"{doubled[0]!r} is the name of several images, and upload pages go by name; give each its own")
    cells = [as_cell(name) for name in called]
    if risky := sum(cell != name for cell, name in zip(cells, called)):
        warnings.warn(
            f"{risky:,} names begin with a character that makes a spreadsheet run the cell; they are written with a leading "
            "apostrophe",
            stacklevel=2,
        )
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow(CSV_HEADER)
    writer.writerows(zip(cells, values.tolist()))
    with written_whole(file_out) as file:
        file.write(text.getvalue().encode("utf-8"))


def _name(dataset: Any, index: int, names: Sequence[str] | Mapping[int, str] | None) -> str:
    if names is None:
        if not hasattr(dataset, "get_image_path"):
            raise ValueError(
                f"{type(dataset).__name__} has no get_image_path(index); write it, or pass names=, a name for each index"
            )
        return str(dataset.get_image_path(index))
    try:
        return str(names[index])
    except (IndexError, KeyError) as error:
        raise ValueError(f"names has no name for index {index}; it has {len(names):,}") from error
