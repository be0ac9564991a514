"""`al-agent push`: bring the last round to the platform, or finish bringing it."""

from __future__ import annotations

from pathlib import Path

from .options import AsJson, JournalFile, PlatformName, Project, ProjectId, Settings, Url, Verify, open_agent
from .output import on_one_line, show
from .project import Asked


def push(
    project: Project = Path(),
    platform: PlatformName = None,
    project_id: ProjectId = None,
    url: Url = None,
    settings: Settings = None,
    verify: Verify = False,
    journal: JournalFile = None,
    as_json: AsJson = False,
) -> None:
    """Push the last round's priorities, or finish pushing them.

    Only what differs is sent, so it may be repeated.

    Example: al-agent push my_project
    """
    agent = open_agent(Asked(project, platform, project_id, url, settings), journal)
    report = agent.push(verify=verify)
    current = agent.last_round
    problems = {**report.declined, **report.failed}
    result = {
        "project": str(project),
        "round": current.number,
        "is_pushed": current.is_pushed,
        "counts": report.counts(),
        "problems": problems,
    }
    lines = [f"{on_one_line(current.name)}: {report}"]
    lines += [f"  {item_id!r}: {reason}" for item_id, reason in list(problems.items())[:10]]
    if len(problems) > 10:
        lines += [f"  ... and {len(problems) - 10:,} more"]
    show(result, "\n".join(lines), as_json=as_json)
