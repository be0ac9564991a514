"""`al-agent annotate`: bring labels from a CSV file into a local project."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ..label_files import ITEM_COLUMNS, read_label_table
from ..platforms.local import PlatformLocal
from .options import AsJson, Project
from .output import show
from .project import Asked, resolve


def annotate(
    project: Project,
    labels: Annotated[
        Path,
        typer.Argument(metavar="LABELS", help="CSV file with the columns name,label or item,label.", show_default=False),
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
    label_of = read_label_table(labels, ("name", *ITEM_COLUMNS))
    PlatformLocal(project).annotate(label_of)
    show({"project": str(project), "n_labeled": len(label_of)}, f"{len(label_of):,} items labeled", as_json=as_json)
