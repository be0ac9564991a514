"""What a platform listed: the items in order, where each stands, and the sets that follow."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import compress

import numpy as np
import numpy.typing as npt

from .errors import PlatformError
from .platforms.base import ItemState, ListsStates, Platform


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
        ids: Of every item, in platform order.
        states: Of each.
        name_of: The platform's names of those items whose name is not the id.
        before: An earlier listing; where the items are the same, they are shared with it.

    Raises:
        PlatformError: Two items share an id.
    """

    item_ids: tuple[str, ...]
    """Of every item, in platform order."""

    def __init__(
        self, ids: tuple[str, ...], states: Iterable[str], name_of: Mapping[str, str], before: Listing | None = None
    ) -> None:
        self._codes = _codes_of(states)
        self._name_of = name_of
        if before is not None and before.item_ids == ids:
            self.item_ids, self.row_of = before.item_ids, before.row_of
            return
        self.item_ids = ids
        if len(self.row_of) != len(ids):
            doubled = next(item_id for row, item_id in enumerate(ids) if self.row_of[item_id] != row)
            raise PlatformError(
                f"the platform lists {doubled!r} more than once; names must be unique in a project: rename one of them, or "
                "let the connector use the platform's own ids"
            )

    @classmethod
    def of(cls, platform: Platform, before: Listing | None = None) -> Listing:
        """The items of a platform now."""
        if isinstance(platform, ListsStates):
            return cls(*platform.list_states(), {}, before)
        names: dict[str, str] = {}
        ids: list[str] = []
        states: list[ItemState] = []
        for item in platform.list_items():
            ids.append(item.id)
            if item.name != item.id:
                names[item.id] = item.name
            states.append(item.state)
        return cls(tuple(ids), states, names, before)

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

    def state_of(self, item_id: str) -> ItemState | None:
        """Where an item stands; None where it is not in the project."""
        row = self.row_of.get(item_id)
        return None if row is None else _STATES[int(self._codes[row])]

    def with_state(self, wanted: ItemState) -> tuple[str, ...]:
        """Items in one state, in platform order."""
        return tuple(compress(self.item_ids, self.is_in(wanted).tolist()))

    def is_in(self, wanted: ItemState) -> npt.NDArray[np.bool_]:
        """`(n,)` booleans: which items are in one state."""
        return np.equal(self._codes, _CODE_OF[wanted])

    def names_of(self, rows: npt.NDArray[np.int64]) -> tuple[str, ...]:
        """The ids at these positions."""
        return tuple(self.item_ids[row] for row in rows.tolist())

    def counts(self) -> dict[str, int]:
        """Number of items in each state."""
        counted = np.bincount(self._codes, minlength=len(_STATES)).tolist()
        return {state.value: count for state, count in zip(_STATES, counted)}

    def changes_to(self, after: Listing) -> Changes:
        """What is different in a later listing."""
        appeared, vanished = after._not_in(self), self._not_in(after)
        was_labeled = self.is_in(ItemState.LABELED)
        if after.item_ids is self.item_ids:
            labeled = after.names_of(np.flatnonzero(after.is_in(ItemState.LABELED) & ~was_labeled))
        else:
            before = frozenset(self.labeled)
            labeled = tuple(item_id for item_id in after.labeled if item_id not in before)
        return Changes(appeared, vanished, labeled)

    def opened_since(self, before: Listing) -> frozenset[str]:
        """Items that can be labeled now and could not be, or were not there, in an earlier listing."""
        if before.item_ids is self.item_ids:
            return frozenset(
                self.names_of(np.flatnonzero(self.is_in(ItemState.UNLABELED) & ~before.is_in(ItemState.UNLABELED)))
            )
        return self.open_items - before.open_items

    def _not_in(self, other: Listing) -> tuple[str, ...]:
        if self.item_ids is other.item_ids:
            return ()
        return tuple(item_id for item_id in self.item_ids if item_id not in other)

    def __contains__(self, item_id: str) -> bool:
        return item_id in self.row_of

    def __len__(self) -> int:
        return len(self.item_ids)


_STATES = tuple(ItemState)
_CODE_OF: dict[str, int] = {
    state: code for code, state in enumerate(_STATES)
}  # a platform of one's own may say plain 'labeled'


def _codes_of(states: Iterable[str]) -> npt.NDArray[np.uint8]:
    """The place of each state among all states.

    Raises:
        ValueError: There is no such state.
    """
    try:
        return np.array([_CODE_OF[state] for state in states], dtype=np.uint8)
    except KeyError as error:
        raise ValueError(f"{error.args[0]!r} is not a valid ItemState") from None
