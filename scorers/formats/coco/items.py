"""Which items the images of an annotation file are."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

from ..reading.items import found_items
from ..reading.names import ItemNames
from .files import CocoImages

IntArray = npt.NDArray[np.int64]


def items_of_images(
    images: CocoImages, image_of_row: IntArray, item_ids: Iterable[str] | None, is_complete: bool
) -> tuple[tuple[str, ...], IntArray]:
    """The items of the result in order, and the position of each image among them.

    Args:
        images: The n images.
        image_of_row: `(m,)` the row of each result's image.
        item_ids: Item ids that file names are matched to; None takes file names as they are.
        is_complete: Whether every item must be among the images; if not, those that are not are left out.

    Returns:
        Item ids, and `(n,)` positions, -1 for images of no item, in which nothing was found.

    Raises:
        ValueError: An image with results is no item, or two images are one; an item is missing.
    """
    if item_ids is None:
        return images.item_ids, np.arange(len(images.item_ids))
    known = ItemNames(item_ids)
    has_results = np.bincount(image_of_row, minlength=len(images.item_ids)) > 0
    whole_names = frozenset(known.item_ids).intersection(images.item_ids)
    row_of: dict[str, int] = {}
    for row, name in enumerate(images.item_ids):
        try:
            item_id = known.find(name, "images")
            if item_id in row_of or (item_id in whole_names and item_id != name):
                other = images.item_ids[row_of[item_id]] if item_id in row_of else item_id
                raise ValueError(f"images: {other!r} and {name!r} are both of {item_id!r}; keep one")
        except ValueError:
            if has_results[row]:
                raise
        else:
            row_of[item_id] = row
    if not row_of and images.item_ids:
        known.find(images.item_ids[0], "images")  # says why not
    ids = found_items(known.item_ids, row_of, "the list of images", is_complete=is_complete)
    positions = np.full(len(images.item_ids), -1, dtype=np.int64)
    positions[[row_of[item_id] for item_id in ids]] = np.arange(len(ids))
    return ids, positions
