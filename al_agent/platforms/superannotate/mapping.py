"""Between SuperAnnotate's items and ours: names, states, priority scores.

SuperAnnotate gives annotators the item with the highest score first, where priority ordering is on; scores go from 0 to
1,000,000. Ranks become whole numbers in that range, which no rounding of decimals can spoil: rank 0 is 1,000,000.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from ..base import Item, ItemState
from ..known import MAX_RANK

_TOP = MAX_RANK + 1
UNLABELED = ("NotStarted",)
LABELED = ("QualityCheck", "Completed")
_SKIPPED = "Skipped"


def to_number(rank: int) -> int:
    """The priority score of a rank."""
    return _TOP - rank


def to_rank(score: float) -> int | None:
    """The rank of a priority score; None for 0 and below."""
    return max(0, int(_TOP - score)) if score > 0 else None


def to_score(row: Mapping[str, Any]) -> float:
    """The priority score of an item, 0 where it has none."""
    return float(row.get("entropy_value") or 0)


def to_item(row: Mapping[str, Any], folder: str | None, states: Mapping[int, ItemState], *, by_remote_id: bool) -> Item:
    """An item as SuperAnnotate gives it.

    Args:
        row: The item.
        folder: Put before the name; None for nothing.
        states: State of each status number.
        by_remote_id: Whether the id is SuperAnnotate's own instead of the name.
    """
    name = str(row["name"])
    return Item(
        id=str(row["id"]) if by_remote_id else name if folder is None else f"{folder}/{name}",
        remote_id=str(row["id"]),
        name=name,
        state=states.get(int(row["annotation_status"]), ItemState.LOCKED),
        priority=to_rank(to_score(row)),
        media=(row.get("metadata") or {}).get("path") or None,
    )


def to_states(
    status_names: Mapping[int, str], unlabeled: Collection[str] | None, labeled: Collection[str] | None
) -> dict[int, ItemState]:
    """The state of each status number, by the names that the project's workflow gives them.

    Args:
        status_names: Of the project's workflow.
        unlabeled: Names of the statuses whose items wait for a label; None for `NotStarted`.
        labeled: Names of those whose items have one; None for `QualityCheck` and `Completed`.

    Raises:
        ValueError: The workflow has no such status.
    """
    known = set(status_names.values())
    for given, default, argument in ((unlabeled, UNLABELED, "unlabeled"), (labeled, LABELED, "labeled")):
        missing = [name for name in given or () if name not in known]
        if missing or not known & set(given or default):
            raise ValueError(
                f"the project's workflow has no status {(missing or [*(given or default)])[0]!r}; its statuses are "
                f"{', '.join(map(repr, status_names.values()))}: name the right ones with {argument}="
            )
    if both := set(unlabeled or UNLABELED) & set(labeled or LABELED):
        raise ValueError(f"status {min(both)!r} is named as unlabeled and as labeled; name it once")
    state_of = {
        _SKIPPED: ItemState.SKIPPED,
        **dict.fromkeys(labeled or LABELED, ItemState.LABELED),
        **dict.fromkeys(unlabeled or UNLABELED, ItemState.UNLABELED),
    }
    return {number: state_of.get(name, ItemState.LOCKED) for number, name in status_names.items()}
