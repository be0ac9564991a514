"""`al-agent annotate`: bring labels from a CSV file into a local project."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Annotated

import typer

from ..platforms.local import PlatformLocal
from .options import AsJson, Project
from .output import show
from .project import Asked, resolve


def annotate(
    project: Project,
    labels: Annotated[
        Path, typer.Argument(metavar="LABELS", help="CSV file with the columns name,label.", show_default=False)
    ],
    as_json: AsJson = False,
) -> None:
    """Label items from a CSV file with columns name,label.

    All of them are labeled, or none if one is unknown.

    Example: al-agent annotate my_project labels.csv
    """
    platform, *_ = resolve(Asked(project))
    if platform != "local":
        raise ValueError(f"'{project}' is tied to {platform}; labels are made there")
    try:
        label_of = _read(labels)
    except (UnicodeDecodeError, csv.Error) as error:
        raise ValueError(f"'{labels}' is not a CSV file in UTF-8: {error}") from error
    PlatformLocal(project).annotate(label_of)
    show({"project": str(project), "n_labeled": len(label_of)}, f"{len(label_of):,} items labeled", as_json=as_json)


def _read(path: Path) -> dict[str, str]:
    label_of: dict[str, str] = {}
    with path.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.DictReader(file)
        if not {"name", "label"} <= set(reader.fieldnames or ()):
            raise ValueError(f"'{path}' has the columns {', '.join(reader.fieldnames or ()) or 'none'}; expected name,label")
        for row in reader:
            name, label = row["name"], row["label"]
            if not name or not label:
                raise ValueError(f"line {reader.line_num} of '{path}' has no {'label' if name else 'name'}")
            if name in label_of:
                raise ValueError(f"line {reader.line_num} of '{path}' labels {name!r} a second time")
            label_of[name] = label
    if not label_of:
        raise ValueError(f"'{path}' has no rows below its header")
    return label_of
