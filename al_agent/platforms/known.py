"""What a connector remembers of its last complete listing, to push by id and to send only differences."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

from ..errors import PlatformError
from .base import Item, ItemState, PushReport
from .batches import Sent

MAX_RANK = 999_999
"""The last rank that every vendor's range of numbers has room for."""


class Known:
    """Remote id, stored number and state of every listed item.

    Args:
        way_out: What a user does when two items have one name.
    """

    def __init__(self, way_out: str) -> None:
        self.remote_id: dict[str, str] = {}
        self._number: dict[str, float] = {}
        self._state: dict[str, ItemState] = {}
        self._way_out = way_out

    def add(self, item: Item, number: float = 0) -> None:
        """Remember an item and the number that the vendor has for it.

        Raises:
            PlatformError: Another item has the same name.
        """
        other = self.remote_id.setdefault(item.id, item.remote_id)
        if other != item.remote_id:
            raise PlatformError(f"{item.id!r} is the name of two items, {other} and {item.remote_id}; {self._way_out}")
        if number:
            self._number[item.id] = number
        if item.state is not ItemState.UNLABELED:
            self._state[item.id] = item.state

    def number(self, item_id: str) -> float:
        """The vendor's number of an item, 0 where there is none."""
        return self._number.get(item_id, 0)

    def why_not(self, item_id: str) -> str | None:
        """Why an item cannot be ranked; None if it can."""
        if item_id not in self.remote_id:
            return "not in the project"
        state = self._state.get(item_id)
        return None if state is None else f"already {state}"

    def sort_out(self, ranks: Mapping[str, int]) -> tuple[list[str], dict[str, str]]:
        """The items that can be ranked, best first, and why the others cannot."""
        declined = {item_id: why for item_id in ranks if (why := self.why_not(item_id)) is not None}
        return sorted((item_id for item_id in ranks if item_id not in declined), key=ranks.__getitem__), declined

    def boosted(self, item_ids: Iterable[str], but: Collection[str]) -> list[str]:
        """Those that have a number and no new one, and can still be labeled."""
        return [i for i in item_ids if i not in but and self.number(i) and self.why_not(i) is None]


class RemoteProject(ABC):
    """What connectors to a server share: no folder of their own, and one listing for one push."""

    _known: Known | None = None

    @property
    def home(self) -> None:
        """None: the project is not on this machine."""
        return None

    @abstractmethod
    def list_items(self) -> Iterable[Item]:
        """Every item once; leaves what it found in `_known` when it is complete."""

    def _take_known(self) -> Known:
        """What the last listing found. A second push lists again, for much may have happened since."""
        if self._known is None:
            for _ in self.list_items():
                pass
        known, self._known = self._known, None
        assert known is not None
        return known


def checked_ranks(ranks: Mapping[str, int]) -> None:
    """Check ranks before anything is changed.

    Raises:
        ValueError: A rank is no whole number, negative, or beyond `MAX_RANK`; or two items have the same.
    """
    taken: dict[int, str] = {}
    for item_id, rank in ranks.items():
        number: object = rank
        if isinstance(number, bool) or not isinstance(number, int) or not 0 <= number <= MAX_RANK:
            raise ValueError(f"the rank of {item_id!r} is {rank!r}; expected a whole number from 0 to {MAX_RANK:,}")
        if taken.setdefault(rank, item_id) != item_id:
            raise ValueError(f"{taken[rank]!r} and {item_id!r} both have rank {rank}; give each its own")


def push_numbers(
    known: Known,
    ranks: Mapping[str, int],
    resets: Iterable[str],
    to_number: Callable[[int], int],
    send: Callable[[dict[str, int]], Sent],
    *,
    before: Sent | None = None,
    read_back: Callable[[Sequence[str]], Mapping[str, float]] | None = None,
) -> PushReport:
    """The story of a push to a vendor whose items have a number each: what differs is sent, the most urgent first.

    Args:
        known: The project as it was listed.
        ranks: Item id to rank.
        resets: Items whose number goes back to 0.
        to_number: The vendor's number of a rank.
        send: Sends numbers in the order given.
        before: What became of something that had to be sent first, such as pre-annotations.
        read_back: Gives the numbers that the vendor has now, to be compared with what was sent.

    Raises:
        PlatformError: An error ended it before the server had confirmed anything.
    """
    rankable, declined = known.sort_out(ranks)
    wanted = {item_id: to_number(ranks[item_id]) for item_id in rankable}
    changed = {item_id: number for item_id, number in wanted.items() if known.number(item_id) != number}
    stale = dict.fromkeys(known.boosted(resets, but=ranks), 0)

    before = Sent() if before is None else before
    sent = send(changed) if before.error is None else Sent(not_sent=list(changed), error=before.error)
    back = send(stale) if sent.error is None else Sent(not_sent=list(stale))
    error = sent.error or back.error
    if error is not None and not (sent.done or sent.declined or back.done or before.done):
        raise error

    declined |= before.declined | sent.declined
    failed = {i: why for i, why in {**before.failed, **sent.failed, **back.failed}.items() if i not in declined}
    not_sent = [*before.not_sent, *sent.not_sent, *back.not_sent]
    not_sent = [item_id for item_id in dict.fromkeys(not_sent) if item_id not in failed and item_id not in declined]
    done = wanted.keys() - failed.keys() - declined.keys() - set(not_sent)
    if read_back is not None and error is None:
        failed |= _differences({i: wanted[i] for i in wanted if i in done} | dict.fromkeys(back.done, 0), read_back)
        done -= failed.keys()
    return PushReport(
        updated=tuple(item_id for item_id in wanted if item_id in done and item_id in changed),
        unchanged=tuple(item_id for item_id in wanted if item_id in done and item_id not in changed),
        declined=declined,
        failed=failed,
        not_sent=tuple(not_sent),
        taken_back=tuple(item_id for item_id in (*back.done, *back.declined) if item_id not in failed),
    )


def _differences(stored: Mapping[str, float], read_back: Callable[[Sequence[str]], Mapping[str, float]]) -> dict[str, str]:
    """Where the vendor's numbers are not those that were sent."""
    try:
        now = read_back(list(stored))
    except PlatformError as error:
        return dict.fromkeys(stored, f"it is stored, and could not be read back: {error}")
    return {
        item_id: "it is gone" if item_id not in now else f"the server has {now[item_id]:,} where {number} was sent"
        for item_id, number in stored.items()
        if now.get(item_id) != number
    }
