"""COCO keypoint results: x, y and confidence of each keypoint of an instance."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from ...predictions.keypoints import KeypointPredictions
from .files import Images, Results, is_finite, read_images, result_pieces
from .items import items_of_images
from .results import ResultRows, in_file, row_names

Triples = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]

_FAR = 1.0  # outside the image by more than its own side: no keypoint of this image
_MOST_FRACTION = 4.0  # pixels of a side: smaller images may have all their keypoints within one pixel


def keypoints(
    results: Results,
    *,
    images: Images,
    item_ids: Iterable[str] | None = None,
    is_complete: bool = True,
    clip_confidences: bool = False,
) -> KeypointPredictions:
    """Predictions from results `{image_id, category_id, keypoints: [x0, y0, c0, x1, y1, c1, ...], score}`.

    Every third number is the model's confidence in a keypoint; in annotations, and in some results, a visibility of 0, 1 or
    2 stands there, which says nothing about confidence and is refused. Keypoints 0, 0, 0 were not predicted. Instances of
    categories with fewer keypoints are filled up with such. Scores of instances are kept if all lie in [0, 1], and left out
    with a warning if not.

    Args:
        results: Path of the JSON list, or the list.
        images: Path or content of a COCO annotation file, or a list of `{id, file_name, width, height}`. The names of the
            keypoints are those of its one category that has some.
        item_ids: Item ids that file names are matched to; the result has their order. Images of no item are left out where
            they have no results. None takes the file names as they are, in the order of `images`.
        is_complete: Whether every item must be among the images; if not, those that are not are left out.
        clip_confidences: Cut confidences off at 1, which peaks of heat maps pass a little. If False, one above 1 is an
            error.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: As for `detections`; visibilities in place of confidences, confidences out of range, keypoints far
            outside their image, instances of a category that differ in the number of keypoints.

    Examples:
        >>> predictions = keypoints(
        ...     [{"image_id": 7, "category_id": 1, "keypoints": [10, 20, 0.5, 0, 0, 0], "score": 0.75}],
        ...     images=[{"id": 7, "file_name": "a.jpg", "width": 100, "height": 100}],
        ... )
        >>> predictions.keypoints.tolist(), predictions.confidences.tolist(), predictions.is_predicted.tolist()
        ([[[0.1, 0.2], [0.0, 0.0]]], [[0.5, 0.0]], [[True, False]])
    """
    known = read_images(images)
    rows = ResultRows(known, "keypoints")
    parts, counts = [np.empty((0, 0, 3))], [np.empty(0, dtype=np.int64)]
    with in_file(results):
        for piece in result_pieces(results):
            start = rows.n_rows
            column = rows.column(piece, "keypoints")
            rows.take(piece)
            triples, n_keypoints = _triples(column, start)
            parts.append(triples)
            counts.append(n_keypoints)
        image, labels, scores = rows.columns()
        name = partial(row_names, known, image)
        _check_counts(np.concatenate(counts), labels, name)
        triples = _padded(parts)
        is_predicted = (triples != 0).any(axis=2)
        confidences = _confidences(triples[..., 2], is_predicted, clip_confidences, name)
        places = _relative(triples[..., :2], is_predicted, known.sizes[image], name)
        instance_scores = _instance_scores(scores, name)
        ids, positions = items_of_images(known, image, item_ids, is_complete)
    item = positions[image]
    order = np.argsort(item, kind="stable")
    return KeypointPredictions(
        ids,
        places[order],
        confidences[order],
        np.concatenate([[0], np.cumsum(np.bincount(item, minlength=len(ids)))]),
        is_predicted=is_predicted[order],
        instance_scores=None if instance_scores is None else instance_scores[order],
        keypoint_names=known.keypoint_names,
    )


def _triples(column: list[Any], start: int) -> tuple[Triples, IntArray]:
    """`(p, k, 3)` x, y and confidence, filled up with 0, and the number of keypoints of each instance."""
    try:
        flat = np.array(column)
    except ValueError:  # instances differ in length
        flat = np.empty(0)
    if flat.ndim == 2 and flat.dtype.kind in "iuf" and flat.shape[1] % 3 == 0 and flat.size and np.isfinite(flat).all():
        return flat.astype(np.float64).reshape(len(column), -1, 3), np.full(len(column), flat.shape[1] // 3)
    for number, values in enumerate(column, start):
        is_list = isinstance(values, list | tuple | np.ndarray) and len(values) > 0 and len(values) % 3 == 0
        if not is_list or not all(map(is_finite, values)):
            raise ValueError(
                f"result {number} has keypoints {str(values)[:60]}; expected a flat list of x, y and confidence of each, "
                "all finite"
            )
    counts = np.array([len(values) // 3 for values in column], dtype=np.int64)
    triples = np.zeros((len(column), int(counts.max(initial=0)), 3))
    for number, values in enumerate(column):
        triples[number, : counts[number]] = np.reshape(values, (-1, 3))
    return triples, counts


def _padded(parts: list[Triples]) -> Triples:
    k = max(part.shape[1] for part in parts)
    return np.concatenate([np.pad(part, ((0, 0), (0, k - part.shape[1]), (0, 0))) for part in parts])


def _check_counts(counts: IntArray, labels: IntArray, name: Callable[[int], str]) -> None:
    """Raise unless all instances of a category have as many keypoints."""
    _, first, category = np.unique(labels, return_index=True, return_inverse=True)
    is_other = counts != counts[first][category]
    if is_other.any():
        row = int(np.flatnonzero(is_other)[0])
        before = int(first[category[row]])
        raise ValueError(
            f"{name(row)} has {counts[row]} keypoints, and {name(before)} of the same category {counts[before]}; expected "
            "as many of each instance, 0, 0, 0 for those that were not found"
        )


def _confidences(values: Triples, is_predicted: Flags, is_clipped: bool, name: Callable[[int], str]) -> Triples:
    given = values[is_predicted]
    if len(given) and np.isin(given, (0, 1, 2)).all():
        raise ValueError(
            "every third number of the keypoints is 0, 1 or 2: these are visibilities, as annotations and some results have "
            "them, and say nothing about confidence; expected the model's confidence in each keypoint: write it there"
        )
    is_bad = (values < 0) | ((values > 1) & (not is_clipped))
    if is_bad.any():
        row, number = (int(index) for index in np.argwhere(is_bad)[0])
        raise ValueError(
            f"{name(row)} has confidence {values[row, number]:g} in its keypoint {number}, {int(is_bad.sum()):,} lie "
            "outside [0, 1]; expected confidences: clip_confidences=True cuts off what peaks of heat maps pass 1 by, sums "
            "and logits are to be scaled before"
        )
    return np.minimum(values, 1.0)


def _relative(places: Triples, is_predicted: Flags, sizes: Triples, name: Callable[[int], str]) -> Triples:
    """Positions as fractions of the image; keypoints a little outside stay there."""
    relative = np.where(is_predicted[..., None], places / sizes[:, None], 0.0)
    if is_predicted.any() and np.abs(places).max() <= 1 and sizes.min() > _MOST_FRACTION:
        raise ValueError(
            "all keypoints lie within one pixel; expected pixels of the image: multiply fractions by its width and height"
        )
    is_far = ((relative < -_FAR) | (relative > 1 + _FAR)).any(axis=2)
    if is_far.any():
        row, number = (int(index) for index in np.argwhere(is_far)[0])
        x, y = places[row, number].tolist()
        raise ValueError(
            f"{name(row)} has its keypoint {number} at {x:g}, {y:g} in an image of {sizes[row, 0]:g} x {sizes[row, 1]:g} "
            "pixels; expected pixels of the whole image"
        )
    return relative


def _instance_scores(scores: Triples, name: Callable[[int], str]) -> Triples | None:
    is_bad = ~((scores >= 0) & (scores <= 1))
    if not is_bad.any():
        return scores
    row = int(np.flatnonzero(is_bad)[0])
    if np.isnan(scores).any():
        row = int(np.flatnonzero(np.isnan(scores))[0])
        raise ValueError(f"{name(row)} has the score nan; expected a number")
    warnings.warn(
        f"{is_bad.sum():,} of {len(scores):,} instances have scores outside [0, 1], {name(row)} has {scores[row]:g}; the "
        "scores of instances are left out, the confidences of keypoints are kept",
        stacklevel=3,
    )
    return None
