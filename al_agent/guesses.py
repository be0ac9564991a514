"""From a model's predictions to the guesses that annotators are shown to correct."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from scorers import ClassificationPredictions, DetectionPredictions

from .platforms.base import Guess

Preannotations = ClassificationPredictions | DetectionPredictions
"""Predictions that can be shown to annotators."""


def guesses_of(predictions: Preannotations, item_ids: Iterable[str]) -> dict[str, tuple[Guess, ...]]:
    """The guesses for some items: the likeliest class of the image, or every box with its class.

    Args:
        predictions: With `class_names`. Boxes are taken as they are: leave out before what annotators should not see.
        item_ids: Items to be labeled.

    Raises:
        ValueError: There are no class names, a label has no name, or an item has no prediction.

    Examples:
        >>> predictions = ClassificationPredictions(["a.jpg"], [[0.25, 0.75]], class_names=["cat", "dog"])
        >>> guesses_of(predictions, ["a.jpg"])
        {'a.jpg': (Guess(label='dog', score=0.75, box=None),)}
    """
    if not isinstance(predictions, ClassificationPredictions | DetectionPredictions):
        raise ValueError(
            f"preannotate is {type(predictions).__name__}; expected ClassificationPredictions or DetectionPredictions"
        )
    if predictions.class_names is None:
        raise ValueError(
            "preannotate has no class names, and annotators are shown names; give class_names= in the order of the labels"
        )
    row_of = {item_id: row for row, item_id in enumerate(predictions.item_ids)}
    wanted = tuple(item_ids)
    missing = [item_id for item_id in wanted if item_id not in row_of]
    if missing:
        raise ValueError(
            f"preannotate has nothing for {len(missing):,} of the {len(wanted):,} items, the first is {missing[0]!r}"
        )
    names = predictions.class_names
    if isinstance(predictions, ClassificationPredictions):
        return {item_id: (likeliest(predictions.probabilities[row_of[item_id]], names),) for item_id in wanted}
    return {item_id: tuple(boxes_in(predictions, row_of[item_id])) for item_id in wanted}


def class_name(names: Sequence[str] | None, number: int) -> str:
    """The name of a class; its number where classes have no names."""
    return str(number) if names is None else names[number]


def likeliest(probabilities: npt.NDArray[np.floating[Any]], names: Sequence[str] | None) -> Guess:
    """The likeliest of `(c,)` probabilities; one of them alone is that of the positive class of two."""
    if len(probabilities) == 1:
        positive = float(probabilities[0])
        return Guess(class_name(names, 1), positive) if positive >= 0.5 else Guess(class_name(names, 0), 1.0 - positive)
    column = int(np.argmax(probabilities))
    return Guess(class_name(names, column), float(probabilities[column]))


def boxes_in(predictions: DetectionPredictions, row: int) -> Iterator[Guess]:
    """The boxes of one item, in their own order."""
    boxes = slice(int(predictions.offsets[row]), int(predictions.offsets[row + 1]))
    found = zip(predictions.boxes[boxes].tolist(), predictions.scores[boxes].tolist(), predictions.labels[boxes].tolist())
    for (left, top, right, bottom), score, label in found:
        yield Guess(class_name(predictions.class_names, label), score, (left, top, right, bottom))
