"""`al-agent status`: where a project stands."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from ..agent import ActiveLearningAgent
from ..journal import Round
from ..platforms.base import ChecksSettings, ItemState, ShowsQueue
from ..platforms.local import PlatformLocal
from .options import AsJson, JournalFile, PlatformName, Project, ProjectId, Settings, Url, open_agent
from .output import listed, show, table
from .project import Asked

_N_NEXT = 5


def status(
    project: Project = Path(),
    n_rounds: Annotated[int, typer.Option("--rounds", min=0, help="Number of the last rounds to show.")] = 10,
    platform: PlatformName = None,
    project_id: ProjectId = None,
    url: Url = None,
    settings: Settings = None,
    journal: JournalFile = None,
    as_json: AsJson = False,
) -> None:
    """Show the sets, the last rounds, the next items, and whether the platform will serve them in this order.

    Examples:

    al-agent status my_project

    al-agent status --platform label-studio --url http://localhost:8080 --project-id 7
    """
    agent = open_agent(Asked(project, platform, project_id, url, settings), journal)
    rounds = agent.history
    labeled = set(agent.labeled_set)
    counts = agent.counts
    sets = {
        "query": len(agent.query_set),
        "labeled": len(labeled),
        "unlabeled": counts[ItemState.UNLABELED.value],
        "added": len(rounds[-1].selection) if rounds else 0,
    }
    next_ids = _next_items(agent)
    problems = agent.platform.problems() if isinstance(agent.platform, ChecksSettings) else ()
    shown = rounds[len(rounds) - min(n_rounds, len(rounds)) :]
    n_labeled = [sum(item_id in labeled for item_id in one.selection.item_ids) for one in shown]
    result = {
        "project": str(project),
        "key": agent.platform.key,
        "n_items": sets["query"],
        "sets": sets,
        "counts": counts,
        "n_rounds": len(rounds),
        "rounds": [
            {
                "round": one.number,
                "name": one.name,
                "created_at": one.created_at.isoformat(),
                "method": str(one.config.method),
                "n_picked": len(one.selection),
                "n_labeled_since": n_labeled_since,
                "is_pushed": one.is_pushed,
            }
            for one, n_labeled_since in zip(shown, n_labeled)
        ],
        "next_items": next_ids,
        "problems": list(problems),
    }
    in_words = ", ".join(f"{count:,} {state}" for state, count in counts.items() if count)
    says_its_name = type(agent.platform).__repr__ is not object.__repr__
    name = project if isinstance(agent.platform, PlatformLocal) else agent.platform if says_its_name else agent.platform.key
    lines = [f"{name}: {sets['query']:,} items: {in_words or 'none'}"]
    lines += ["sets: " + ", ".join(f"{name} {count:,}" for name, count in sets.items())]
    lines += ["", _rounds_table(shown, n_labeled)] if rounds else ["no round yet; al-agent query makes one"]
    if len(shown) < len(rounds):
        lines += [f"... and {len(rounds) - len(shown):,} earlier rounds"]
    if next_ids:
        lines += ["", listed("next in the queue:", next_ids)]
    if problems:
        lines += ["", *(listed("will not serve this order:", [problem]) for problem in problems)]
    elif isinstance(agent.platform, ChecksSettings):
        lines += ["no setting is known that keeps annotators from this order"]
    show(result, "\n".join(lines), as_json=as_json)


def _next_items(agent: ActiveLearningAgent) -> list[str]:
    """The head of the queue: as the platform tells it, or else the ranked items that can be labeled."""
    if isinstance(agent.platform, ShowsQueue):
        return [item.id for item in agent.platform.next_items(_N_NEXT)]
    items = agent.platform.list_items()
    ranked = [item for item in items if item.state is ItemState.UNLABELED and item.priority is not None]
    return [item.id for item in sorted(ranked, key=lambda item: item.priority or 0)[:_N_NEXT]]


def _rounds_table(rounds: Sequence[Round], n_labeled: Sequence[int]) -> str:
    rows = [
        (
            str(one.number),
            one.created_at.strftime("%Y-%m-%d"),
            str(one.config.method),
            f"{len(one.selection):,}",
            f"{n_labeled_since:,}",
            "yes" if one.is_pushed else "no",
            one.name,
        )
        for one, n_labeled_since in zip(rounds, n_labeled)
    ]
    return table(("round", "date (UTC)", "method", "picked", "labeled", "pushed", "name"), rows, right=(0, 3, 4))
