"""`al-agent init`: make a folder of images a project, or tie a folder to a project on a platform."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from ..agent import ActiveLearningAgent
from ..platforms.base import Platform
from ..platforms.local import PlatformLocal
from ..platforms.local.wire import FILE_NAME as LOCAL_FILE
from ..words import counted
from .options import AsJson, PlatformName, ProjectId, Settings, Url
from .output import show
from .project import FILE_NAME, Asked, open_project, read, resolve, write


def init(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="Folder of the new project.", show_default=False)],
    images: Annotated[
        Path | None, typer.Option(help="Local: folder of the images, if it is another one.", show_default=False)
    ] = None,
    platform: PlatformName = None,
    project_id: ProjectId = None,
    url: Url = None,
    settings: Settings = None,
    as_json: AsJson = False,
) -> None:
    """Make a folder of images a local project, or tie a folder to a project on a platform.

    For a project on a platform, the folder gets an al_agent.toml with its settings, so that all verbs take the folder. Keys
    stay in the environment: LABEL_STUDIO_API_KEY, KILI_API_KEY, SA_TOKEN.

    Examples:

    al-agent init my_project --images ~/photos

    al-agent init signs --platform label-studio --url http://localhost:8080 --project-id 7
    """
    asked = Asked(folder, platform, project_id, url, settings)
    name, values, connection = resolve(asked)
    known: dict[str, Any] = {"platform": name, "project_id": None, **values}
    opened: Platform
    if name == "local":
        unknown = sorted({*values} - {"folder"})
        if unknown:
            raise typer.BadParameter(f"a local project has no {unknown[0]}; name a --platform")
        if (folder / LOCAL_FILE).exists():
            raise ValueError(
                f"'{folder}' is a project already; PlatformLocal({str(folder)!r}).add_images([...]) adds new images to it"
            )
        opened, what = PlatformLocal.create(folder, images=images), "is a project"
    else:
        before = read(folder / FILE_NAME)
        other = [f"{key} {before[key]}" for key in ("platform", "project_id") if key in before and before[key] != known[key]]
        if other:
            raise ValueError(f"'{folder}' is tied to {other[0]} already; take its {FILE_NAME} away first, or another folder")
        if images is not None:
            raise typer.BadParameter("--images is for local projects; the images of others are on the platform")
        opened, what = open_project(asked), f"is tied to {name}"
    agent = ActiveLearningAgent(opened)
    n_items = len(agent.query_set)
    if name != "local":  # only now is it known to work
        folder.mkdir(parents=True, exist_ok=True)
        write(folder / FILE_NAME, name, values, connection)
    first = f", the first is {agent.query_set[0]!r}" if n_items else ""
    show(
        {"project": str(folder), "platform": name, "key": opened.key, "n_items": n_items},
        f"{folder} {what} with {counted(n_items, 'image')}{first}",
        as_json=as_json,
    )
