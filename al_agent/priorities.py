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
        state = listing.state_of(item_id)
        if state is None:
            declined[item_id] = "not in the project any more"
        elif state is ItemState.UNLABELED:
            ranks[item_id] = rank
        else:
            declined[item_id] = f"already {state}"
    is_open = (item_id for item_id in boosted_before if listing.state_of(item_id) is ItemState.UNLABELED)
    return Plan(ranks, tuple(item_id for item_id in is_open if item_id not in ranks), declined)
