"""Whether a server's answer has the shape that it should have, before anything is taken from it."""

from __future__ import annotations

from typing import Any

from ..errors import Unavailable


def checked_object(answer: Any, what: str, vendor: str) -> dict[str, Any]:
    """An answer that is to be an object.

    Raises:
        Unavailable: It is none. What it is instead is not repeated, since it may hold anything.
    """
    if not isinstance(answer, dict):
        raise Unavailable(f"{vendor} gave no {what} but a JSON {type(answer).__name__}; is the address right?")
    return answer


def checked_rows(rows: Any, fields: tuple[str, ...], what: str, vendor: str) -> list[dict[str, Any]]:
    """A part of an answer that is to be a list of objects with these fields.

    Raises:
        Unavailable: It is none.
    """
    if not isinstance(rows, list):
        raise Unavailable(f"{vendor} gave no list of {what} but a JSON {type(rows).__name__}; is the address right?")
    wanted = set(fields)
    for number, row in enumerate(rows):
        if not isinstance(row, dict) or not row.keys() >= wanted:
            raise Unavailable(
                f"{vendor} gave {what} without {', '.join(fields)}, the first is number {number} of {len(rows)}"
            )
    return rows
