"""What the agent asks of an annotation platform: list the items, take priorities."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import NamedTuple, Protocol, runtime_checkable


class ItemState(str, Enum):
    """Where an item stands in the platform's workflow."""

    UNLABELED = "unlabeled"
    """Can still be labeled."""
    LABELED = "labeled"
    """Has a label."""
    PARTLY = "partly"
    """Has some of the labels that it is to get, from the first of several annotators: not to be picked."""
    SKIPPED = "skipped"
    """An annotator passed it over: neither labeled nor to be picked."""
    LOCKED = "locked"
    """The platform does not let it be labeled now, or someone is at it."""

    def __str__(self) -> str:
        return self.value


class Item(NamedTuple):
    """One image of a project.

    Args:
        id: The name a person uses for it, unique in the project: relative path, file name, external id.
        remote_id: The vendor's own id.
        name: The file's name as the platform shows it.
        state: Where it stands.
        priority: Its rank in the labeling queue, 0 first; None where it has none.
        media: Path or address of the image; None where the platform does not say.
    """

    id: str
    remote_id: str
    name: str
    state: ItemState
    priority: int | None = None
    media: str | None = None


class Guess(NamedTuple):
    """What a model sees on an image, for an annotator to correct: a class of the whole image, or of a box in it.

    Args:
        label: Name of the class.
        score: The model's confidence in [0, 1].
        box: Left, top, right and bottom as fractions of the image's width and height; None for the whole image.
    """

    label: str
    score: float
    box: tuple[float, float, float, float] | None = None


@dataclass(frozen=True, repr=False)
class PushReport:
    """What the platform did with each priority; every id stands in one of these.

    Args:
        updated: Got their new rank.
        unchanged: Had it already.
        declined: Refused for good, id to reason: labeled meanwhile, skipped, gone.
        failed: Not done, id to reason; another try may help.
        not_sent: Never reached, because the push ended early.
        taken_back: Earlier boosts that were removed.
    """

    updated: tuple[str, ...] = ()
    unchanged: tuple[str, ...] = ()
    declined: Mapping[str, str] = field(default_factory=dict)
    failed: Mapping[str, str] = field(default_factory=dict)
    not_sent: tuple[str, ...] = ()
    taken_back: tuple[str, ...] = ()

    @property
    def is_complete(self) -> bool:
        """Whether nothing is left that another push could still do."""
        return not self.failed and not self.not_sent

    def counts(self) -> dict[str, int]:
        """Number of items under each heading."""
        return {
            "updated": len(self.updated),
            "unchanged": len(self.unchanged),
            "declined": len(self.declined),
            "failed": len(self.failed),
            "not_sent": len(self.not_sent),
            "taken_back": len(self.taken_back),
        }

    def __repr__(self) -> str:
        return f"PushReport({self})"

    def __str__(self) -> str:
        return (
            ", ".join(f"{count:,} {name.replace('_', ' ')}" for name, count in self.counts().items() if count)
            or "nothing to do"
        )


class Platform(Protocol):
    """An annotation platform's project.

    A platform of your own has these four members; nothing is inherited. What more it can do, it says by having it: the
    keyword arguments `verify` (read back what was stored, and compare) and `preannotations` (item id to guesses that
    annotators are shown) of `push`, and the methods of `ListsStates`, `ShowsQueue`, `ChecksSettings`,
    `ChecksGuesses` and `LinksItems`.
    """

    @property
    def key(self) -> str:
        """Which project this is: the same in every process, different for every project, without secrets."""
        ...

    @property
    def home(self) -> Path | None:
        """The project's own folder on this machine, where its journal is kept; None for a remote project."""
        ...

    def list_items(self) -> Iterable[Item]:
        """Every item of the project once, in the platform's order.

        Raises:
            PlatformError: The platform did not give a complete list.
        """
        ...

    def push(self, ranks: Mapping[str, int], resets: Collection[str] = ()) -> PushReport:
        """Set the rank of items in the labeling queue, 0 first, and take the rank of others back.

        Only differences are sent, so the same call again finishes what an earlier one began. What happened to each item
        is in the report; an item that cannot be ranked is declined, and the others are done all the same.

        Args:
            ranks: Item id to rank.
            resets: Items whose rank is to be removed.

        Raises:
            PlatformError: Nothing could be done.
        """
        ...


@runtime_checkable
class ListsStates(Protocol):
    """A platform that can tell where each item stands faster than it makes items; names are then the ids."""

    def list_states(self) -> tuple[tuple[str, ...], Sequence[str]]:
        """The id and the state of every item that `list_items` gives, in that order."""
        ...


@runtime_checkable
class ShowsQueue(Protocol):
    """A platform that can tell the head of its labeling queue without listing the whole project."""

    def next_items(self, n_items: int) -> Sequence[Item]:
        """The next items to be labeled, first one first."""
        ...


@runtime_checkable
class ChecksSettings(Protocol):
    """A platform that knows whether its own settings let annotators get items in the order that was pushed."""

    def problems(self) -> tuple[str, ...]:
        """What keeps annotators from getting items in our order, and what to do; empty where nothing is known to."""
        ...


@runtime_checkable
class ChecksGuesses(Protocol):
    """A platform that can tell whether annotators can be shown guesses, before a round is noted that has them."""

    def check_guesses(self, guesses: Mapping[str, Sequence[Guess]]) -> None:
        """Raise ValueError where the project has no place for one of these guesses."""
        ...


@runtime_checkable
class LinksItems(Protocol):
    """A platform whose own pages show an item, so that a report can point to it."""

    def link(self, item: Item) -> str | None:
        """The http or https address of the page that shows an item to who is logged in; None where it is not known.

        It is made from what the last listing told, without a request, and holds no key.
        """
        ...
