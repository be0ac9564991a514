"""What a platform listed: the items in order, where each stands, and the sets that follow."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from .errors import PlatformError
from .platforms.base import Item, ItemState


@dataclass(frozen=True)
class Changes:
    """What is different on the platform since the agent looked before.

    Args:
        appeared: New items, in platform order.
        vanished: Items that are gone.
        labeled: Items that have a label now and had none.
    """

    appeared: tuple[str, ...]
    vanished: tuple[str, ...]
    labeled: tuple[str, ...]

    def __str__(self) -> str:
        return f"{len(self.labeled):,} labeled, {len(self.appeared):,} appeared, {len(self.vanished):,} vanished"


class Listing:
    """The items of a project at one moment.

    Args:
        items: Every item once, in platform order.

    Raises:
        PlatformError: Two items share an id.
    """

    def __init__(self, items: Iterable[Item]) -> None:
        self._name_of: dict[str, str] = {}
        ids: list[str] = []
        states: list[ItemState] = []
        for item in items:
            ids.append(item.id)
            if item.name != item.id:
                self._name_of[item.id] = item.name
            states.append(ItemState(item.state))  # a platform of one's own may say plain 'labeled'
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

    @cached_property
    def open_items(self) -> frozenset[str]:
        """The unlabeled items, to look up."""
        return frozenset(self.unlabeled)

    def file_name(self, item_id: str) -> str:
        """The item's name on the platform."""
        return self._name_of.get(item_id, item_id)

    def with_state(self, wanted: ItemState) -> tuple[str, ...]:
        """Items in one state, in platform order."""
        return tuple(item_id for item_id, state in zip(self.item_ids, self.states) if state is wanted)

    def is_in(self, wanted: ItemState) -> npt.NDArray[np.bool_]:
        """`(n,)` booleans: which items are in one state."""
        return np.fromiter((state is wanted for state in self.states), dtype=bool, count=len(self.states))

    def names_of(self, rows: npt.NDArray[np.int64]) -> tuple[str, ...]:
        """The ids at these positions."""
        return tuple(self.item_ids[row] for row in rows.tolist())

    def counts(self) -> dict[str, int]:
        """Number of items in each state."""
        return {state.value: self.states.count(state) for state in ItemState}

    def changes_to(self, after: Listing) -> Changes:
        """What is different in a later listing."""
        states_before = dict(zip(self.item_ids, self.states))
        return Changes(
            appeared=tuple(item_id for item_id in after.item_ids if item_id not in self),
            vanished=tuple(item_id for item_id in self.item_ids if item_id not in after),
            labeled=tuple(i for i in after.labeled if states_before.get(i) is not ItemState.LABELED),
        )

    def __contains__(self, item_id: str) -> bool:
        return item_id in self.row_of

    def __len__(self) -> int:
        return len(self.item_ids)
