"""The import of a batch's missing predictions, tried again with care: what is sent twice is there twice."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from typing import Any

from ...errors import PlatformError, Rejected, Unavailable
from ..batches import Sent, cut
from ..parallel import pause
from . import wire
from .versions import VersionPlan

_TRIES = 10
_TRIES_WITHOUT_ANSWER = 3  # nobody there, or silent for ten minutes: waiting longer would hide a mistake


def import_missing(
    requests: wire.Wire, todo: VersionPlan, look: Callable[[], VersionPlan], on_rows: Callable[[int], object]
) -> tuple[VersionPlan, Sent]:
    """Import what a batch lacks, task numbers as ids; after a failure that may pass, look what is there and go on.

    Args:
        requests: The project's routes.
        todo: What is missing.
        look: Compares the batch with what the server has now.
        on_rows: Called with the number of predictions that were dealt with.

    Returns:
        The last comparison, and what became of what was missing in it.
    """
    connection = requests.http.connection
    deadline, n_tries, is_over = time.monotonic() + connection.give_up_after_s, 0, False
    sent = _import(requests, todo, on_rows)
    error = sent.error
    while isinstance(error, Unavailable) and not is_over:
        n_tries += 1
        bound_s = min(connection.longest_wait_s, connection.first_wait_s * 2.0 ** (n_tries - 1))
        wait_s = error.retry_after_s or random.uniform(0.0, bound_s)
        is_over = n_tries >= (_TRIES_WITHOUT_ANSWER if error.status is None else _TRIES)
        is_over |= time.monotonic() + wait_s > deadline
        if not is_over:
            pause(wait_s)
        try:
            todo = look()  # it may have been done all the same, the last time too
        except PlatformError as failure:  # nothing is sent unseen
            error = failure
            is_over |= time.monotonic() > deadline
            continue
        sent.done = []  # they are in what was found
        if not is_over:
            sent = _import(requests, todo, on_rows)
            error = sent.error
    return todo, sent


def _import(requests: wire.Wire, todo: VersionPlan, on_rows: Callable[[int], object]) -> Sent:
    total = Sent()
    for chunk in cut(todo.missing, wire.ROWS_PER_IMPORT):
        rows = list(chunk)
        if total.error is not None:
            total.not_sent += [str(row["task"]) for row in rows]
            continue
        total.add(_import_chunk(requests, todo.version, rows))
        on_rows(len(rows))
    return total


def _import_chunk(requests: wire.Wire, version: str, rows: list[dict[str, Any]]) -> Sent:
    sent = Sent()
    try:
        try:
            n_created = requests.import_predictions(rows)
        except Rejected:
            n_before = len(rows)
            rows = _without_the_gone(requests, rows, sent)
            if len(rows) == n_before:
                raise
            n_created = requests.import_predictions(rows) if rows else 0
        if n_created != len(rows):
            there = requests.scores(version)
            why = "Label Studio dropped it without a word: its regions may not fit the labeling configuration"
            sent.failed = {str(row["task"]): why for row in rows if row["task"] not in there}
            rows = [row for row in rows if row["task"] in there]
    except PlatformError as error:
        sent.failed.update({str(row["task"]): str(error) for row in rows})
        sent.error = error
        return sent
    sent.done = [str(row["task"]) for row in rows]
    return sent


def _without_the_gone(requests: wire.Wire, rows: list[dict[str, Any]], sent: Sent) -> list[dict[str, Any]]:
    """The rows whose task exists; one that does not makes the server refuse all."""
    there = {int(row["id"]) for row in requests.tasks_by_id([row["task"] for row in rows])}
    sent.declined.update({str(row["task"]): "not in the project any more" for row in rows if row["task"] not in there})
    return [row for row in rows if row["task"] in there]
