"""`al-agent init`: make a folder of images a project."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ..agent import ActiveLearningAgent
from ..platforms.local import PlatformLocal
from .options import AsJson
from .output import show


def init(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="Folder of the new project.", show_default=False)],
    images: Annotated[
        Path | None, typer.Option(help="Folder of the images, if it is another one.", show_default=False)
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Make a folder of images a local project.

    Example: al-agent init my_project --images ~/photos
    """
    agent = ActiveLearningAgent(PlatformLocal.create(folder, images=images))
    n_items = len(agent.query_set)
    show(
        {"project": str(folder), "n_items": n_items},
        f"{folder} is a project with {n_items:,} images, the first is {agent.query_set[0]!r}",
        as_json=as_json,
    )
