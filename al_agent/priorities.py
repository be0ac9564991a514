"""From the picks of a round to ranks in the labeling queue, and which earlier boosts to take back."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from .listing import Listing
from .platforms.base import ItemState


@dataclass(frozen=True)
class Plan:
    """What to tell the platform.

    Args:
        ranks: Item id to rank, 0 first.
        resets: Items boosted by earlier rounds that are still unlabeled and not picked again; the platform takes back
            what it still has of them.
        declined: Picks that need no rank any more, id to reason.
    """

    ranks: Mapping[str, int]
    resets: tuple[str, ...]
    declined: Mapping[str, str]


def plan(picked: Sequence[str], boosted_before: Iterable[str], listing: Listing) -> Plan:
    """Rank the picks in their order and take back what earlier rounds left, else old rounds would outrank new ones.

    Args:
        picked: The round's items, best first.
        boosted_before: Items that earlier rounds sent.
        listing: The project now.
    """
    ranks: dict[str, int] = {}
    declined: dict[str, str] = {}
    for rank, item_id in enumerate(picked):
        row = listing.row_of.get(item_id)
        if row is None:
            declined[item_id] = "not in the project any more"
        elif (state := listing.state_at(row)) is ItemState.UNLABELED:
            ranks[item_id] = rank
        else:
            declined[item_id] = f"already {state}"
    resets = tuple(item_id for item_id in boosted_before if item_id not in ranks and _is_open(item_id, listing))
    return Plan(ranks, resets, declined)


def _is_open(item_id: str, listing: Listing) -> bool:
    row = listing.row_of.get(item_id)
    return row is not None and listing.state_at(row) is ItemState.UNLABELED
