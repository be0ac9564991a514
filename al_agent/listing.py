"""What a platform listed: the items in order, where each stands, and the sets that follow."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cached_property

from .errors import PlatformError
from .platforms.base import Item, ItemState


class Listing:
    """The items of a project at one moment.

    Args:
        items: Every item once, in platform order.

    Raises:
        PlatformError: Two items share an id.
    """

    def __init__(self, items: Iterable[Item]) -> None:
        ids: list[str] = []
        states: list[ItemState] = []
        self.ranks: dict[str, int] = {}
        for item in items:
            ids.append(item.id)
            states.append(ItemState(item.state))  # a platform of one's own may say plain 'labeled'
            if item.priority is not None:
                self.ranks[item.id] = item.priority
        self.item_ids = tuple(ids)
        self.states = tuple(states)
        if len(self.row_of) != len(ids):
            doubled = next(item_id for row, item_id in enumerate(ids) if self.row_of[item_id] != row)
            raise PlatformError(
                f"the platform lists {doubled!r} more than once; names must be unique in a project: rename one of them, or "
                "let the connector use the platform's own ids"
            )

    @cached_property
    def row_of(self) -> dict[str, int]:
        """Item id to its position."""
        return {item_id: row for row, item_id in enumerate(self.item_ids)}

    @cached_property
    def labeled(self) -> tuple[str, ...]:
        """Items with a label, in platform order."""
        return self.with_state(ItemState.LABELED)

    @cached_property
    def unlabeled(self) -> tuple[str, ...]:
        """Items that can still be labeled, in platform order."""
        return self.with_state(ItemState.UNLABELED)

    def with_state(self, wanted: ItemState) -> tuple[str, ...]:
        """Items in one state, in platform order."""
        return tuple(item_id for item_id, state in zip(self.item_ids, self.states) if state is wanted)

    def counts(self) -> dict[str, int]:
        """Number of items in each state."""
        return {state.value: self.states.count(state) for state in ItemState}

    def __contains__(self, item_id: str) -> bool:
        return item_id in self.row_of

    def __len__(self) -> int:
        return len(self.item_ids)
