"""From a model's predictions to the guesses that annotators are shown to correct."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
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
        return {item_id: (_likeliest(predictions.probabilities[row_of[item_id]], names),) for item_id in wanted}
    return {item_id: tuple(_boxes(predictions, row_of[item_id], names)) for item_id in wanted}


def _likeliest(probabilities: npt.NDArray[np.floating[Any]], names: tuple[str, ...]) -> Guess:
    if len(probabilities) == 1:  # one column stands for two classes
        positive = float(probabilities[0])
        return Guess(names[1], positive) if positive >= 0.5 else Guess(names[0], 1.0 - positive)
    column = int(np.argmax(probabilities))
    return Guess(names[column], float(probabilities[column]))


def _boxes(predictions: DetectionPredictions, row: int, names: tuple[str, ...]) -> Iterator[Guess]:
    boxes = slice(int(predictions.offsets[row]), int(predictions.offsets[row + 1]))
    found = zip(predictions.boxes[boxes].tolist(), predictions.scores[boxes].tolist(), predictions.labels[boxes].tolist())
    for (left, top, right, bottom), score, label in found:
        yield Guess(names[label], score, (left, top, right, bottom))
