"""Many small changes sent in batches, and a true account of each, however it ends."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from ..errors import PlatformError, Rejected
from .parallel import in_parallel

T = TypeVar("T")


@dataclass
class Sent:
    """What became of each item that was to be changed.

    Args:
        done: Confirmed by the server.
        declined: Refused for good, id to reason.
        failed: Not confirmed, id to reason.
        not_sent: Never reached.
        error: Why the sending ended early; None where it did not.
    """

    done: list[str] = field(default_factory=list)
    declined: dict[str, str] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)
    not_sent: list[str] = field(default_factory=list)
    error: PlatformError | None = None

    def add(self, other: Sent) -> None:
        """Take in another account."""
        self.done += other.done
        self.declined.update(other.declined)
        self.failed.update(other.failed)
        self.not_sent += other.not_sent
        self.error = self.error or other.error


def cut(rows: Sequence[T], size: int) -> list[Sequence[T]]:
    """`rows` in pieces of at most `size`, in order."""
    return [rows[start : start + size] for start in range(0, len(rows), size)]


def send_batches(
    batches: Sequence[Sequence[T]],
    send: Callable[[Sequence[T]], Sent],
    item_id: Callable[[T], str],
    *,
    n_parallel: int,
    on_rows: Callable[[int], object] = lambda n_rows: None,
) -> Sent:
    """Send batches, several at once. After an error that concerns all of them, nothing more is sent.

    Args:
        batches: The changes, most urgent first.
        send: Sends one batch; a batch that the server rejects fails alone.
        item_id: Whose change it is.
        n_parallel: Requests under way at once.
        on_rows: Called with the number of changes that were dealt with.
    """
    total, stop = Sent(), list[PlatformError]()

    def attempt(batch: Sequence[T]) -> Sent:
        ids = [item_id(row) for row in batch]
        if stop:
            return Sent(not_sent=ids)
        try:
            return send(batch)
        except PlatformError as error:
            stops = None if isinstance(error, Rejected) else error
            if stops is not None:
                stop.append(stops)  # at once, for the batches that have not begun
            return Sent(failed=dict.fromkeys(ids, str(error)), error=stops)

    for batch, outcome in zip(batches, in_parallel(attempt, batches, n_parallel)):
        total.add(outcome)
        on_rows(len(batch))
    return total


def account(batch: Sequence[str], confirmed: Collection[str]) -> Sent:
    """What became of a batch, of which the server confirmed some."""
    done = [item_id for item_id in batch if item_id in confirmed]
    return Sent(done=done, failed={i: "the server did not confirm it" for i in batch if i not in confirmed})


def without_the_gone(
    send: Callable[[Sequence[str]], Sent], read_back: Callable[[Sequence[str]], Mapping[str, float]], batch: Sequence[str]
) -> Sent:
    """Send a batch; where it is not done whole, decline the items that are gone, and send the rest once more if refused.

    Args:
        send: Sends the items of these ids.
        read_back: Gives the numbers of those of them that the server still has.
        batch: The ids.
    """
    try:
        sent, is_refused = send(batch), False
    except Rejected as error:
        sent, is_refused = Sent(failed=dict.fromkeys(batch, str(error))), True
    if not sent.failed:
        return sent
    try:
        there = read_back(list(sent.failed))
    except PlatformError as error:
        sent.error = error
        return sent
    gone = [item_id for item_id in sent.failed if item_id not in there]
    if is_refused and gone and there:
        sent = send([item_id for item_id in batch if item_id in there])
    for item_id in gone:
        sent.failed.pop(item_id, None)
        sent.declined[item_id] = "not in the project any more"
    return sent
