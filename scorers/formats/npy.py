"""A folder of `.npy` files, one map of class probabilities for each image."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from ..files import mapped_array
from ..predictions.segmentation import SegmentationPredictions
from .reading.items import found_items
from .reading.names import ItemNames


def segmentations(
    folder: str | os.PathLike[str],
    *,
    item_ids: Iterable[str] | None = None,
    is_complete: bool = True,
    class_axis: int = -1,
    is_logits: bool = False,
) -> Iterator[SegmentationPredictions]:
    """Predictions from maps on disk, item by item, for `ScorerSemanticSegmentation`; only one map is in memory at a time.

    Args:
        folder: Holds `NAME.npy` files, also in folders below: `(h, w, c)` floats each, or `(t, h, w, c)` of t passes.
        item_ids: Item ids that the file names are matched to; the result has their order. None takes the paths below the
            folder, without `.npy`, sorted.
        is_complete: Whether every item must have a map; if not, those without are left out.
        class_axis: Axis of the classes in a map without passes: -1 for `(h, w, c)`, 0 for `(c, h, w)`.
        is_logits: Whether the numbers are the values before the softmax.

    Raises:
        ValueError: There is no such folder, or no map in it; a file of no item, or two of one; an item without a file. The
            message names the file. While it is read: a file that is no array of numbers, or no map of probabilities.

    Examples:
        >>> import tempfile
        >>> import numpy as np
        >>> folder = Path(tempfile.mkdtemp())
        >>> np.save(folder / "a.npy", np.full((2, 3, 4), 0.25))
        >>> [len(one) for one in segmentations(folder, item_ids=["a.jpg"])]
        [1]
    """
    root = Path(folder)
    if not root.is_dir():
        raise ValueError(f"'{root}' is no folder; expected one of .npy files")
    paths = sorted(root.rglob("*.npy"))
    if not paths:
        raise ValueError(f"there is no .npy file below '{root}'")
    files: dict[str, Path] = {}
    known = None if item_ids is None else ItemNames(item_ids)
    for path in paths:
        name = path.relative_to(root).with_suffix("").as_posix()
        item_id = name if known is None else known.find(name, f"'{root}'")
        if item_id in files:
            raise ValueError(f"'{files[item_id]}' and '{path}' are both of {item_id!r}; expected one file for each item")
        files[item_id] = path
    ids = tuple(files) if known is None else found_items(known.item_ids, files, f"'{root}'", is_complete=is_complete)
    pairs = ((item_id, mapped_array(files[item_id])) for item_id in ids)
    return SegmentationPredictions.stream(pairs, class_axis=class_axis, is_logits=is_logits)
