"""What the pipelines of Hugging Face `transformers` return for image classification, detection and segmentation."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from ..checks import ROW_SUM_TOLERANCE
from ..predictions.classification import ClassificationPredictions
from ..predictions.detection import DetectionPredictions
from .arrays import as_array, field
from .detections import DetectionRows
from .items import ImageSizes, paired, sizes_by_item, width_and_height
from .masks import box_of_mask

Output = Sequence[Mapping[str, Any]]

_ALL_CLASSES = "call the pipeline with top_k=pipe.model.config.num_labels, and function_to_apply='softmax'"


def classifications(
    item_ids: Iterable[str], outputs: Iterable[Output], *, class_names: Iterable[str] | None = None
) -> ClassificationPredictions:
    """Predictions from the pipeline `image-classification`, called with `top_k=pipe.model.config.num_labels`.

    Without `top_k` it leaves out all classes but five, and `None` is no `top_k` to it.

    Args:
        item_ids: n unique item ids, in the order of the outputs.
        outputs: n lists of `{"label", "score"}`, in any order of labels. A generator is read once.
        class_names: The order of the columns; None: the labels sorted.

    Raises:
        ValueError: Counts that differ, a class left out or doubled, scores that do not sum to 1.

    Examples:
        >>> output = [{"label": "dog", "score": 0.75}, {"label": "cat", "score": 0.25}]
        >>> predictions = classifications(["a.jpg"], [output])
        >>> predictions.class_names, predictions.probabilities.tolist()
        (('cat', 'dog'), [[0.25, 0.75]])
    """
    ids = tuple(item_ids)
    names = None if class_names is None else tuple(class_names)
    rows = []
    for item_id, output in paired(ids, outputs, "outputs"):
        what = f"the output of {item_id!r}"
        score_of = {str(field(entry, "label", what)): field(entry, "score", what) for entry in output}
        if names is None:
            names = tuple(sorted(score_of))
        row = np.array([score_of.get(name, np.nan) for name in names], dtype=np.float64)
        if len(score_of) != len(names) or len(output) != len(names) or np.isnan(row).any():
            raise ValueError(f"{what} has the labels {_listed(score_of)} for the classes {_listed(names)}; {_ALL_CLASSES}")
        if abs(row.sum() - 1) > ROW_SUM_TOLERANCE:
            raise ValueError(f"the scores of {item_id!r} sum to {row.sum():.3g}; expected 1: {_ALL_CLASSES}")
        rows.append(row)
    return ClassificationPredictions(ids, np.stack(rows) if rows else np.empty((0, 2)), class_names=names)


def detections(
    item_ids: Iterable[str],
    outputs: Iterable[Output],
    *,
    image_sizes: ImageSizes,
    class_names: Iterable[str] | None = None,
) -> DetectionPredictions:
    """Predictions from the pipeline `object-detection`, or `zero-shot-object-detection`.

    Args:
        item_ids: n unique item ids, in the order of the outputs.
        outputs: n lists of `{"score", "label", "box": {"xmin", "ymin", "xmax", "ymax"}}` in pixels. A
            generator is read once.
        image_sizes: Width and height in pixels of the images.
        class_names: The labels in the order of their indices; None: those that occur, sorted.

    Raises:
        ValueError: Counts that differ, a missing field, boxes that do not fit their image, numbers out of range.

    Examples:
        >>> box = {"xmin": 10, "ymin": 20, "xmax": 60, "ymax": 80}
        >>> predictions = detections(["a.jpg"], [[{"score": 0.75, "label": "cat", "box": box}]], image_sizes=[(100, 100)])
        >>> predictions.boxes.tolist(), predictions.class_names
        ([[0.1, 0.2, 0.6, 0.8]], ('cat',))
    """
    ids = tuple(item_ids)
    sizes = sizes_by_item(ids, image_sizes)
    rows = DetectionRows("xyxy", class_names=class_names)
    for item_id, output in paired(ids, outputs, "outputs"):
        what = f"the output of {item_id!r}"
        boxes = [
            [field(field(entry, "box", what), side, f"a box of {item_id!r}") for side in ("xmin", "ymin", "xmax", "ymax")]
            for entry in output
        ]
        scores, labels = ([field(entry, name, what) for entry in output] for name in ("score", "label"))
        rows.add(item_id, boxes, scores, labels, size=sizes[item_id])
    return rows.predictions()


def instances(
    item_ids: Iterable[str], outputs: Iterable[Output], *, class_names: Iterable[str] | None = None
) -> DetectionPredictions:
    """Predictions from the pipeline `image-segmentation` for instances or panoptic parts, each by the box around its mask.

    Masks of a semantic model have no score, so nothing can be read off them: give the model's logits to
    `SegmentationPredictions.from_logits` instead.

    Args:
        item_ids: n unique item ids, in the order of the outputs.
        outputs: n lists of `{"score", "label", "mask"}`; the mask, an image or an array, has the image's size. Entries with
            an empty mask are left out. A generator is read once.
        class_names: The labels in the order of their indices; None: those that occur, sorted.

    Raises:
        ValueError: Counts that differ, a missing field, a score of None, numbers out of range.

    Examples:
        >>> mask = np.zeros((10, 20), dtype=bool)
        >>> mask[2:5, 4:10] = True
        >>> instances(["a.jpg"], [[{"score": 0.75, "label": "cat", "mask": mask}]]).boxes.tolist()
        [[0.2, 0.2, 0.5, 0.5]]
    """
    rows = DetectionRows("xyxy", class_names=class_names)
    for item_id, output in paired(item_ids, outputs, "outputs"):
        what = f"the output of {item_id!r}"
        boxes, scores, labels, size = [], [], [], None
        for entry in output:
            mask = as_array(field(entry, "mask", what), f"a mask of {item_id!r}")
            score, label = field(entry, "score", what), field(entry, "label", what)
            if score is None:
                raise ValueError(
                    f"{what} has masks without scores, as semantic models give: score the model's logits instead, with "
                    "SegmentationPredictions.from_logits"
                )
            size = width_and_height(mask.shape, f"the shape of a mask of {item_id!r}")
            box = box_of_mask(mask)
            if box is not None:
                boxes.append(box)
                scores.append(score)
                labels.append(label)
        rows.add(item_id, boxes, scores, labels, size=size)
    return rows.predictions()


def _listed(names: Iterable[str]) -> str:
    shown = list(names)
    return ", ".join(map(repr, shown[:5])) + (f" and {len(shown) - 5} more" if len(shown) > 5 else "")
