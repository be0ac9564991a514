"""`al-agent export`: write a round's priorities to a file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .options import AsJson, JournalFile, PlatformName, Project, ProjectId, Settings, Url, open_agent
from .output import show
from .project import Asked


def export(
    project: Project,
    output: Annotated[
        Path,
        typer.Argument(metavar="OUTPUT", help="picks.csv for an upload page, picks.json, or picks.txt.", show_default=False),
    ],
    whole_pool: Annotated[bool, typer.Option("--whole-pool", help="Add every other unlabeled item, with value 0.")] = False,
    platform: PlatformName = None,
    project_id: ProjectId = None,
    url: Url = None,
    settings: Settings = None,
    journal: JournalFile = None,
    as_json: AsJson = False,
) -> None:
    """Write the last round's priorities to a file.

    CSV has the columns name,entropy_value with the highest value first, as SuperAnnotate's upload page took them in 2021
    (its page shows today's template); JSON has ranks, gains and reasons; text has the names alone.

    Example: al-agent export my_project picks.csv
    """
    n_items = open_agent(Asked(project, platform, project_id, url, settings), journal).export(output, whole_pool=whole_pool)
    show(
        {"project": str(project), "output": str(output), "n_items": n_items},
        f"{n_items:,} items written to {output}",
        as_json=as_json,
    )
