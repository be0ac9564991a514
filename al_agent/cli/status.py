"""`al-agent status`: where a project stands."""

from __future__ import annotations

from ..platforms.local import PlatformLocal
from .options import AsJson, JournalFile, Project, open_agent
from .output import listed, show, table


def status(project: Project, journal: JournalFile = None, as_json: AsJson = False) -> None:
    """Show the sets, the rounds and the next items of a project.

    Example: al-agent status my_project
    """
    agent = open_agent(project, journal)
    platform = agent.platform
    assert isinstance(platform, PlatformLocal)
    rounds = agent.history
    labeled = set(agent.labeled_set)
    n_labeled = [sum(item_id in labeled for item_id in one.selection.item_ids) for one in rounds]
    counts = agent.counts
    next_ids = [item.id for item in platform.next_items(5)]
    result = {
        "project": str(project),
        "n_items": len(agent.query_set),
        "counts": counts,
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
            for one, n_labeled_since in zip(rounds, n_labeled)
        ],
        "next_items": next_ids,
    }
    in_words = ", ".join(f"{count:,} {state}" for state, count in counts.items() if count)
    lines = [f"{project}: {len(agent.query_set):,} items: {in_words}"]
    if rounds:
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
        header = ("round", "date (UTC)", "method", "picked", "labeled", "pushed", "name")
        lines += ["", table(header, rows, right=(0, 3, 4))]
    else:
        lines += ["no round yet; al-agent query makes one"]
    if next_ids:
        lines += ["", listed("next in the queue:", next_ids)]
    show(result, "\n".join(lines), as_json=as_json)
