"""What the pipelines of Hugging Face `transformers` return for image classification, detection and segmentation."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from ..checks import ROW_SUM_TOLERANCE, checked_item_ids
from ..predictions.classification import ClassificationPredictions
from ..predictions.detection import DetectionPredictions
from .reading.arrays import as_array, field
from .reading.detections import DetectionRows
from .reading.items import ImageSizes, paired, paired_with_sizes
from .reading.labels import ClassNames, names_in_order
from .reading.masks import box_of_mask

Output = Sequence[Mapping[str, Any]]

_ALL_CLASSES = "call the pipeline with top_k=pipe.model.config.num_labels, and function_to_apply='softmax'"


def classifications(
    item_ids: Iterable[str], outputs: Iterable[Output], *, class_names: ClassNames | None = None
) -> ClassificationPredictions:
    """Predictions from the pipeline `image-classification`, called with `top_k=pipe.model.config.num_labels`.

    Without `top_k` it leaves out all classes but five, and `None` is no `top_k` to it.

    Args:
        item_ids: n unique item ids, in the order of the outputs.
        outputs: n lists of `{"label", "score"}`, in any order of labels. A generator is read once.
        class_names: The order of the columns, as `pipe.model.config.id2label`; None: the labels sorted.

    Raises:
        ValueError: Counts that differ, a class left out or doubled, scores that do not sum to 1.

    Examples:
        >>> output = [{"label": "dog", "score": 0.75}, {"label": "cat", "score": 0.25}]
        >>> predictions = classifications(["a.jpg"], [output])
        >>> predictions.class_names, predictions.probabilities.tolist()
        (('cat', 'dog'), [[0.25, 0.75]])
    """
    ids = checked_item_ids(item_ids)
    names = names_in_order(class_names)
    rows = []
    for item_id, output in paired(ids, outputs):
        what = f"the output of {item_id!r}"
        entries = _entries(output, what)
        labels = [str(field(entry, "label", what)) for entry in entries]
        scores = as_array([field(entry, "score", what) for entry in entries], f"scores of {item_id!r}")
        order = np.argsort(labels)
        if names is None:
            names = tuple(labels[column] for column in order)
        if len(names) < 2 or sorted(labels) != sorted(names) or len(set(labels)) < len(labels):
            raise ValueError(f"{what} has the labels {_listed(labels)} for the classes {_listed(names)}; {_ALL_CLASSES}")
        row = np.empty(len(names))
        row[np.argsort(names)] = scores[order]
        if abs(row.sum() - 1) > ROW_SUM_TOLERANCE:
            raise ValueError(f"the scores of {item_id!r} sum to {row.sum():.3g}; expected 1: {_ALL_CLASSES}")
        rows.append(row)
    return ClassificationPredictions(ids, np.stack(rows) if rows else np.empty((0, 2)), class_names=names)


def detections(
    item_ids: Iterable[str],
    outputs: Iterable[Output],
    *,
    image_sizes: ImageSizes,
    class_names: ClassNames | None = None,
) -> DetectionPredictions:
    """Predictions from the pipeline `object-detection`, or `zero-shot-object-detection`.

    Args:
        item_ids: n unique item ids, in the order of the outputs.
        outputs: n lists of `{"score", "label", "box": {"xmin", "ymin", "xmax", "ymax"}}` in pixels. A
            generator is read once.
        image_sizes: Width and height in pixels of the images.
        class_names: The labels in the order of their indices, as `pipe.model.config.id2label`; None: those that occur,
            sorted, which may differ from chunk to chunk of a pool.

    Raises:
        ValueError: Counts that differ, a missing field, boxes that do not fit their image, numbers out of range.

    Examples:
        >>> box = {"xmin": 10, "ymin": 20, "xmax": 60, "ymax": 80}
        >>> predictions = detections(["a.jpg"], [[{"score": 0.75, "label": "cat", "box": box}]], image_sizes=[(100, 100)])
        >>> predictions.boxes.tolist(), predictions.class_names
        ([[0.1, 0.2, 0.6, 0.8]], ('cat',))
    """
    rows = DetectionRows("xyxy", class_names=class_names)
    for item_id, output, size in paired_with_sizes(item_ids, outputs, image_sizes):
        what = f"the output of {item_id!r}"
        boxes = [
            [field(field(entry, "box", what), side, f"a box of {item_id!r}") for side in ("xmin", "ymin", "xmax", "ymax")]
            for entry in _entries(output, what)
        ]
        scores, labels = ([field(entry, name, what) for entry in output] for name in ("score", "label"))
        rows.add(item_id, boxes, scores, labels, size=size)
    return rows.predictions()


def instances(
    item_ids: Iterable[str], outputs: Iterable[Output], *, class_names: ClassNames | None = None
) -> DetectionPredictions:
    """Predictions from the pipeline `image-segmentation` for instances or panoptic parts, each by the box around its mask.

    Masks of a semantic model have no score, so nothing can be read off them: give the model's logits to
    `SegmentationPredictions.from_logits` instead.

    Args:
        item_ids: n unique item ids, in the order of the outputs.
        outputs: n lists of `{"score", "label", "mask"}`; the mask, an image or an array, has the image's size. Entries with
            an empty mask are left out. A generator is read once.
        class_names: The labels in the order of their indices, as `pipe.model.config.id2label`; None: those that occur,
            sorted, which may differ from chunk to chunk of a pool.

    Raises:
        ValueError: Counts that differ, a missing field, a score of None, numbers out of range.

    Examples:
        >>> mask = np.zeros((10, 20), dtype=bool)
        >>> mask[2:5, 4:10] = True
        >>> instances(["a.jpg"], [[{"score": 0.75, "label": "cat", "mask": mask}]]).boxes.tolist()
        [[0.2, 0.2, 0.5, 0.5]]
    """
    rows = DetectionRows("xyxy", class_names=class_names)
    for item_id, output in paired(item_ids, outputs):
        what = f"the output of {item_id!r}"
        boxes, scores, labels = [], [], []
        for entry in _entries(output, what):
            mask, score, label = (field(entry, name, what) for name in ("mask", "score", "label"))
            if score is None:
                raise ValueError(
                    f"{what} has masks without scores, as semantic models give: score the model's logits instead, with "
                    "SegmentationPredictions.from_logits"
                )
            box = box_of_mask(as_array(mask, f"a mask of {item_id!r}"), f"a mask of {item_id!r}")
            if box is not None:
                boxes.append(box)
                scores.append(score)
                labels.append(label)
        rows.add(item_id, boxes, scores, labels, size=None)
    return rows.predictions()


def _entries(output: Any, what: str) -> Output:
    if not isinstance(output, list | tuple):
        raise ValueError(f"{what} is {type(output).__name__}; expected a list: call the pipeline with a list of images")
    return output


def _listed(names: Iterable[str]) -> str:
    shown = list(names)
    return ", ".join(map(repr, shown[:5])) + (f" and {len(shown) - 5} more" if len(shown) > 5 else "")
