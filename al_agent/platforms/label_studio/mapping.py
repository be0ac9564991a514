"""Between Label Studio's tasks and our items: names, states, prediction scores, pre-annotations, version names.

Under uncertainty sampling, Label Studio gives annotators the task with the lowest prediction score first; scores go from 0
to 1. Rank 0 is therefore score 0, and every rank has its score whatever else is pushed.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from scorers.formats.label_studio import image_path

from ...errors import PlatformError
from ..base import Guess, Item, ItemState
from ..known import MAX_RANK

UNCERTAINTY = "Uncertainty sampling"
SEQUENTIAL = "Sequential sampling"
_FORMAT = "al-agent-%Y-%m-%d-%H%M%S-%f"
_VERSION = re.compile(r"al-agent-\d{4}-\d\d-\d\d-\d{6}-\d{6}")


class Task(NamedTuple):
    """What is kept of a task between two listings."""

    name: str
    state: ItemState
    media: str | None


def to_score(rank: int) -> float:
    """The prediction score of a rank."""
    return rank / (MAX_RANK + 1)


def to_rank(score: float) -> int:
    """The rank of a prediction score."""
    return round(score * (MAX_RANK + 1))


def to_state(row: Mapping[str, Any]) -> ItemState:
    """Where a task stands."""
    if row.get("total_annotations"):
        return ItemState.LABELED if row.get("is_labeled") else ItemState.PARTLY
    if row.get("cancelled_annotations"):  # where skipping counts as done, such a task says that it is labeled
        return ItemState.SKIPPED
    return ItemState.LABELED if row.get("is_labeled") else ItemState.UNLABELED


def to_task(row: Mapping[str, Any], ids: str, media_field: str | None) -> Task:
    """A task's name, state and media.

    Args:
        row: As Label Studio gives it.
        ids: What makes the id: `name`, `path`, `remote`, or `data.` and the name of a field.
        media_field: Field of the task's data that holds the address of its image.
    """
    data = row.get("data") or {}
    media = data.get(media_field) if media_field else None
    media = media if isinstance(media, str) else None
    if ids == "remote":
        name = str(row["id"])
    elif ids.startswith("data."):
        value = data.get(ids.removeprefix("data."))
        if not isinstance(value, str | int) or value == "":
            raise PlatformError(f"task {row['id']} has no {ids}: its data has the fields {', '.join(data) or 'none'}")
        name = str(value)
    else:
        path = "" if media is None or media.startswith("data:") else image_path(media)
        name = path if ids == "path" else path.rpartition("/")[2]
        if not name:
            raise PlatformError(
                f"task {row['id']} has no file name in its data ({media_field or 'no image field'}); "
                'use another id: ids="remote" for task numbers, or ids="data.FIELD"'
            )
    return Task(name, to_state(row), media)


def to_item(task_id: int, task: Task, rank: int | None, server: str) -> Item:
    """A task as an item; media that the server keeps itself get its address."""
    media = f"{server}{task.media}" if task.media is not None and task.media.startswith("/") else task.media
    return Item(task.name, str(task_id), task.name, task.state, rank, media)


def media_field(project: Mapping[str, Any]) -> str | None:
    """The field of a task's data that holds the image, by the label configuration."""
    inputs = [one for tag in _tags(project).values() for one in tag.get("inputs") or () if isinstance(one.get("value"), str)]
    inputs.sort(key=lambda one: one.get("type") != "Image")
    return str(inputs[0]["value"]) if inputs else None


def to_settings(project: Mapping[str, Any]) -> dict[str, str]:
    """The project's settings that a push changes."""
    return {"sampling": str(project.get("sampling") or SEQUENTIAL), "model_version": str(project.get("model_version") or "")}


def is_ours(version: str | None) -> bool:
    """Whether a model version is one of ours."""
    return _VERSION.fullmatch(version or "") is not None


def next_version(ours: Iterable[str], moment: datetime) -> str:
    """A model version that sorts behind all of ours, and that no other process makes.

    All are of one length, because the server finds a version by a part of its name too.
    """
    latest = max(ours, default="")
    if latest and latest >= f"{moment:{_FORMAT}}":  # another machine's clock is ahead
        moment = datetime.strptime(latest, _FORMAT) + timedelta(microseconds=1)  # only its digits matter
    return f"{moment:{_FORMAT}}"


def to_result(project: Mapping[str, Any], item_id: str, guesses: Sequence[Guess]) -> list[dict[str, Any]]:
    """Guesses as the regions of a prediction.

    Raises:
        ValueError: The label configuration has no place for them. Label Studio would drop the whole prediction silently.
    """
    return [_region(project, item_id, guess) for guess in guesses]


def _region(project: Mapping[str, Any], item_id: str, guess: Guess) -> dict[str, Any]:
    kind = "Choices" if guess.box is None else "RectangleLabels"
    known: list[str] = []
    for name, tag in _tags(project).items():
        if tag.get("type") != kind or not tag.get("to_name"):
            continue
        if guess.label in (tag.get("labels") or ()):
            region = {"from_name": name, "to_name": tag["to_name"][0], "type": kind.lower(), "score": guess.score}
            if guess.box is None:
                return {**region, "value": {"choices": [guess.label]}}
            left, top, right, bottom = (100.0 * side for side in guess.box)  # percent of the image
            place = {"x": left, "y": top, "width": right - left, "height": bottom - top, "rotation": 0}
            return {**region, "value": {**place, "rectanglelabels": [guess.label]}}
        known += tag.get("labels") or ()
    raise ValueError(
        f"the guess {guess.label!r} for {item_id!r} fits no {kind} of the project's label configuration; "
        f"its labels are {', '.join(map(repr, known)) or 'none'}"
    )


def _tags(project: Mapping[str, Any]) -> dict[str, Any]:
    tags = project.get("parsed_label_config")
    return tags if isinstance(tags, dict) else {}
