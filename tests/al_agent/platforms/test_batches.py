"""Batches give a true account of each change, however the sending ends."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from al_agent import AuthenticationFailed, PlatformError, Rejected, Unavailable
from al_agent.platforms.batches import Sent, account, cut, send_batches, without_the_gone

IDS = list("abcdefghij")


def told(sent: Sent) -> list[str]:
    return sorted([*sent.done, *sent.declined, *sent.failed, *sent.not_sent])


def test_rows_are_cut_in_order() -> None:
    assert cut(IDS, 4) == [list("abcd"), list("efgh"), list("ij")]
    assert cut([], 4) == []


@pytest.mark.parametrize("n_parallel", [1, 3])
def test_everything_is_done_in_order(n_parallel: int) -> None:
    moved: list[int] = []
    sent = send_batches(cut(IDS, 4), lambda b: Sent(done=[*b]), str, n_parallel=n_parallel, on_rows=moved.append)
    assert (sent.done, sent.declined, sent.failed, sent.not_sent, sent.error) == (IDS, {}, {}, [], None)
    assert moved == [4, 4, 2]


def test_a_rejected_batch_fails_alone() -> None:
    def send(batch: Sequence[str]) -> Sent:
        if "e" in batch:
            raise Rejected("no")
        return Sent(done=[*batch])

    sent = send_batches(cut(IDS, 4), send, str, n_parallel=1)
    assert sent.done == list("abcdij")
    assert sent.failed == dict.fromkeys("efgh", "no")
    assert (sent.not_sent, sent.error) == ([], None)


@pytest.mark.parametrize("error", [Unavailable("down"), AuthenticationFailed("key")])
def test_after_an_error_that_concerns_all_nothing_more_is_sent(error: PlatformError) -> None:
    asked: list[str] = []

    def send(batch: Sequence[str]) -> Sent:
        asked.extend(batch)
        if "e" in batch:
            raise error
        return Sent(done=[*batch])

    sent = send_batches(cut(IDS, 2), send, str, n_parallel=1)
    assert asked == list("abcdef")
    assert (sent.done, sent.not_sent) == (list("abcd"), list("ghij"))
    assert sent.failed == dict.fromkeys("ef", str(error))
    assert sent.error is error


@pytest.mark.parametrize("n_parallel", [2, 4, 16])
def test_in_parallel_each_item_is_told_once(n_parallel: int) -> None:
    def send(batch: Sequence[str]) -> Sent:
        if batch[0] in "ch":
            raise Unavailable("down")
        return Sent(done=[*batch])

    sent = send_batches(cut(IDS, 1), send, str, n_parallel=n_parallel)
    assert told(sent) == IDS
    assert "c" in sent.failed
    assert isinstance(sent.error, Unavailable)


def test_what_the_server_did_not_confirm_has_failed() -> None:
    sent = account(["a", "b", "c"], {"c", "a", "x"})
    assert sent.done == ["a", "c"]
    assert sent.failed == {"b": "the server did not confirm it"}


def test_items_that_are_gone_are_declined_and_the_rest_is_sent_once_more() -> None:
    asked: list[list[str]] = []

    def send(batch: Sequence[str]) -> Sent:
        asked.append([*batch])
        if "b" in batch:
            raise Rejected("no such item: b")
        return Sent(done=[*batch])

    sent = without_the_gone(send, lambda ids: {i: 0.0 for i in ids if i != "b"}, ["a", "b", "c"])
    assert asked == [["a", "b", "c"], ["a", "c"]]
    assert (sent.done, sent.declined, sent.failed) == (["a", "c"], {"b": "not in the project any more"}, {})


def test_a_refusal_that_no_missing_item_explains_is_not_sent_again() -> None:
    asked: list[list[str]] = []

    def send(batch: Sequence[str]) -> Sent:
        asked.append([*batch])
        raise Rejected("too large")

    sent = without_the_gone(send, lambda ids: dict.fromkeys(ids, 0.0), ["a", "b"])
    assert asked == [["a", "b"]]
    assert (sent.done, sent.failed) == ([], {"a": "too large", "b": "too large"})


def test_a_batch_that_is_done_whole_is_not_looked_up() -> None:
    def refuse(ids: Sequence[str]) -> dict[str, float]:
        raise AssertionError("nothing is to be read")

    assert without_the_gone(lambda batch: Sent(done=[*batch]), refuse, ["a"]).done == ["a"]
