"""Between Kili's assets and our items: states, priorities, predictions.

Kili gives annotators the asset with the highest priority first, and those of one priority in order of creation; 0 is no
priority. Rank 0 is therefore the highest number that we use, and every rank has its number whatever else is pushed.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from typing import Any

from ..base import Guess, Item, ItemState
from ..known import MAX_RANK

_TOP = MAX_RANK + 1
_HAS_PEOPLES_LABEL = ("DEFAULT", "REVIEW")

_STATES_V1 = {
    "TODO": ItemState.UNLABELED,
    "LABELED": ItemState.LABELED,
    "TO_REVIEW": ItemState.LABELED,
    "REVIEWED": ItemState.LABELED,
}
_WAITING = ("TO_DO", "REWORK", "REDO")
_BEGUN = ("ONGOING", "PARTIALLY_DONE", "IN_PROGRESS", "DOING")


def to_number(rank: int) -> int:
    """The priority of a rank."""
    return _TOP - rank


def to_tier_number(rank: int) -> int:
    """The priority of the tier that a rank is in; tiers hold 1, 2, 4, 8, ... ranks, and begin with the first."""
    tier = (rank + 1).bit_length() - 1
    return to_number((1 << tier) - 1)


def to_rank(number: int) -> int | None:
    """The rank of a priority; None for the default 0 and below."""
    return max(0, _TOP - number) if number > 0 else None


def to_item(asset: dict[str, Any], first_step: str | None, *, by_remote_id: bool) -> Item:
    """An asset as an item.

    Args:
        asset: As Kili gives it.
        first_step: Name of the workflow's first step; None in workflow V1, which has no steps.
        by_remote_id: Whether the id is Kili's own instead of the external id.
    """
    name = str(asset["externalId"])
    return Item(
        id=str(asset["id"]) if by_remote_id else name,
        remote_id=str(asset["id"]),
        name=name,
        state=_state(asset, first_step),
        priority=to_rank(to_stored(asset)),
        media=asset.get("content") or None,
    )


def to_stored(asset: dict[str, Any]) -> int:
    """The priority that an asset has."""
    return int(asset.get("priority") or 0)


def _state(asset: dict[str, Any], first_step: str | None) -> ItemState:
    if asset.get("isHoneypot"):
        return ItemState.LOCKED  # a quality check with a known label: never ranked
    has_label = any(label["labelType"] in _HAS_PEOPLES_LABEL for label in asset.get("labels") or ())
    step = asset.get("currentStep") or {}
    status = str((asset.get("status") if first_step is None else step.get("status")) or "")
    if asset.get("skipped") or status == "SKIPPED":
        return ItemState.SKIPPED
    if first_step is None and status in _STATES_V1:
        return _STATES_V1[status]
    if first_step is not None and step.get("name") == first_step and status in _WAITING:
        return ItemState.UNLABELED
    is_in_first = first_step is None or step.get("name") == first_step
    if is_in_first and status in _BEGUN:
        return ItemState.PARTLY if has_label else ItemState.LOCKED
    return ItemState.LABELED if has_label else ItemState.LOCKED


class Jobs:
    """The jobs of a project's interface that predictions can answer.

    Args:
        interface: The project's `jsonInterface`.
    """

    def __init__(self, interface: dict[str, Any]) -> None:
        self._jobs = {
            name: job
            for name, job in (interface.get("jobs") or {}).items()
            if isinstance(job, dict) and not job.get("isChild")
        }

    def to_response(self, item_id: str, guesses: Sequence[Guess]) -> dict[str, Any]:
        """The guesses of one item as Kili's `jsonResponse`.

        Raises:
            ValueError: No job takes them, or no category has the label's name.
        """
        responses: dict[str, Any] = {}
        for guess in guesses:
            job, category = self._find(item_id, guess)
            confidence = {"name": category, "confidence": round(100 * guess.score)}
            if guess.box is None:
                responses[job] = {"categories": [confidence]}
                continue
            left, top, right, bottom = guess.box
            corners = ((left, bottom), (right, bottom), (right, top), (left, top))
            responses.setdefault(job, {"annotations": []})["annotations"].append(
                {
                    "boundingPoly": [{"normalizedVertices": [{"x": x, "y": y} for x, y in corners]}],
                    "categories": [confidence],
                    "mid": str(uuid.uuid5(uuid.NAMESPACE_OID, f"{item_id} {guess}")),
                    "type": "rectangle",
                    "children": {},
                }
            )
        return responses

    def _find(self, item_id: str, guess: Guess) -> tuple[str, str]:
        task, tool = ("CLASSIFICATION", None) if guess.box is None else ("OBJECT_DETECTION", "rectangle")
        known: list[str] = []
        for name, job in self._jobs.items():
            if job.get("mlTask") != task or (tool is not None and tool not in (job.get("tools") or ())):
                continue
            categories: Mapping[str, Any] = (job.get("content") or {}).get("categories") or {}
            for category, about in categories.items():
                if guess.label in (category, about.get("name")):
                    return name, category
                known.append(str(about.get("name") or category))
        what = "class of an image" if guess.box is None else "box"
        raise ValueError(
            f"the guess {guess.label!r} for {item_id!r} is a {what} that no job of the Kili project takes; "
            f"its categories for this are {', '.join(map(repr, known)) or 'none'}"
        )
