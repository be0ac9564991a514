"""What is kept of predictions for a page: the class of each item and what is seen on the picks, small enough to be kept."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from scorers import DetectionPredictions, SegmentationPredictions

from ..facts import N_CARDS, Marks
from .marks import Codes, Predictions, box_counts, classes_of, marks_of


@dataclass(frozen=True, eq=False)
class Seen:
    """What a model sees, as far as a page shows it.

    Args:
        item_ids: n ids of the items with a prediction.
        names: Of the classes.
        codes: `(n,)` where each item's class stands among the names; -1 for none.
        marks: Gives what is seen on the first 200 picks; called when the page is made.
        boxes: Boxes of each class among the labeled items, and among the picks; None where there are no boxes.
    """

    item_ids: tuple[str, ...]
    names: tuple[str, ...]
    codes: Codes
    marks: Callable[[], Mapping[str, Marks]]
    boxes: tuple[Mapping[str, int], Mapping[str, int]] | None = None


def seen_in(
    predictions: Predictions, picks: Sequence[str], labeled: Iterable[str] = (), *, score_threshold: float = 0.0
) -> Seen:
    """What predictions say, without the predictions: of maps of pixels, those of the picks are kept and read later.

    Time O(n c), memory O(n) beside the maps of the picks.

    Args:
        predictions: Of a pool of n items.
        picks: The batch, best first.
        labeled: Items that had a label then.
        score_threshold: Boxes with a lower score are left out, in `[0, 1]`.

    Raises:
        ValueError: Predictions that cannot be shown.

    Examples:
        >>> from scorers import ClassificationPredictions
        >>> predictions = ClassificationPredictions(["a.jpg", "b.jpg"], [[0.25, 0.75], [0.9, 0.1]])
        >>> seen = seen_in(predictions, ["b.jpg"])
        >>> seen.codes.tolist(), seen.marks()["b.jpg"].label
        ([1, 0], '0 0.90')
    """
    if isinstance(predictions, DetectionPredictions) and score_threshold > 0:
        predictions = _surer(predictions, score_threshold)
    names, codes = classes_of(predictions)
    shown = tuple(picks[:N_CARDS])
    boxes = None
    if isinstance(predictions, DetectionPredictions):
        boxes = (box_counts(predictions, labeled), box_counts(predictions, picks))
    if isinstance(predictions, SegmentationPredictions):
        return Seen(predictions.item_ids, names, codes, _later(_parts(predictions, shown)))
    marks = marks_of(predictions, shown)
    return Seen(predictions.item_ids, names, codes, lambda: marks, boxes)


def seen_on_maps(maps: Iterable[SegmentationPredictions], picks: Sequence[str]) -> Seen:
    """What a stream of maps says of the picks: one map at a time is read, and none is kept."""
    wanted = frozenset(picks[:N_CARDS])
    ids: list[str] = []
    marks: dict[str, Marks] = {}
    for chunk in maps:
        ids += chunk.item_ids
        if not wanted.isdisjoint(chunk.item_ids):
            marks |= marks_of(chunk, [item_id for item_id in chunk.item_ids if item_id in wanted])
    return Seen(tuple(ids), (), np.full(len(ids), -1, dtype=np.int32), lambda: marks)


def _parts(predictions: SegmentationPredictions, shown: Sequence[str]) -> list[SegmentationPredictions]:
    wanted = frozenset(shown)
    rows = (row for row, item_id in enumerate(predictions.item_ids) if item_id in wanted)
    return [predictions[row : row + 1] for row in rows]


def _later(parts: Sequence[SegmentationPredictions]) -> Callable[[], Mapping[str, Marks]]:
    def make() -> dict[str, Marks]:
        return {item_id: marks for part in parts for item_id, marks in marks_of(part, part.item_ids).items()}

    return make


def _surer(predictions: DetectionPredictions, score_threshold: float) -> DetectionPredictions:
    """Without the boxes that a scorer leaves out."""
    kept = predictions.scores >= score_threshold
    probabilities = predictions.class_probabilities
    return replace(
        predictions,
        boxes=predictions.boxes[kept],
        scores=predictions.scores[kept],
        labels=predictions.labels[kept],
        offsets=np.concatenate([[0], np.cumsum(kept)])[predictions.offsets],
        class_probabilities=None if probabilities is None else probabilities[kept],
    )
