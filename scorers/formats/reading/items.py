"""Outputs and image sizes side by side with their items."""

from __future__ import annotations

import math
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

from ...checks import checked_item_ids
from .arrays import field
from .names import ItemNames

ImageSizes = Mapping[str, Sequence[float]] | Iterable[Sequence[float]]
"""Width and height in pixels of each image: by item id, or in the order of the items."""

T = TypeVar("T")


def paired(
    item_ids: Iterable[str], outputs: Iterable[T], what: str = "outputs", *, field_of_one: str = ""
) -> Iterator[tuple[str, T]]:
    """Each item with its output, in order; read once, so that outputs may come from a generator.

    Args:
        item_ids: n unique item ids.
        outputs: n outputs, one for each item.
        what: What the message calls the outputs.
        field_of_one: A field of an output, by which a single one is recognised that could be read like a list.

    Raises:
        ValueError: There are more of one than of the other, or ids are doubled.
    """
    check_is_list(outputs, what, field_of_one)
    ids = checked_item_ids(item_ids)
    n = 0
    for n, output in enumerate(outputs, 1):  # n is told below
        if n > len(ids):
            raise ValueError(f"there are more {what} than the {len(ids):,} item ids; expected one for each item")
        yield ids[n - 1], output
    if n < len(ids):
        raise ValueError(f"{what} has {n:,} for {len(ids):,} item ids; {ids[n]!r} has none; expected one for each item")


def paired_with_sizes(
    item_ids: Iterable[str], outputs: Iterable[T], image_sizes: ImageSizes, *, field_of_one: str = ""
) -> Iterator[tuple[str, T, tuple[float, float]]]:
    """Like `paired`, with the width and height of each item's image.

    Raises:
        ValueError: As for `paired`; an item has no size, or one that is no size.
    """
    ids = checked_item_ids(item_ids)
    sizes = sizes_by_item(ids, image_sizes)
    for item_id, output in paired(ids, outputs, field_of_one=field_of_one):
        yield item_id, output, sizes[item_id]


def check_is_list(outputs: Any, what: str, field_of_one: str = "") -> None:
    """Raise if the outputs are the one of a single item, which may well be iterable itself.

    Args:
        outputs: Should be one output for each item.
        what: What the message calls them.
        field_of_one: A field of an output.
    """
    is_one = bool(field_of_one) and hasattr(outputs, field_of_one)
    if is_one or isinstance(outputs, Mapping | str) or not isinstance(outputs, Iterable):
        raise ValueError(f"{what} is one {type(outputs).__name__}; expected a list, one for each item")


def matched_by_path(
    results: Iterable[Any], item_ids: Iterable[str], path_field: str, what: str, read: Callable[[str, Any], T]
) -> dict[str, T]:
    """What is read off the result of each item, in the order of the items, matched by the path of its image.

    Results are let go one by one, as they may hold the image itself.

    Args:
        results: One for each item, in any order; read once.
        item_ids: n unique item ids.
        path_field: The field of a result that holds the path.
        what: What messages call a result.
        read: Takes the item's id and its result.

    Raises:
        ValueError: A result of an unknown image, or a second one of an image; an item without a result.
    """
    check_is_list(results, f"{what}s", path_field)
    known = ItemNames(item_ids)
    found: dict[str, T] = {}
    for number, result in enumerate(results):
        path = field(result, path_field, f"{what} {number}")
        if path is None:
            raise ValueError(f"{what} {number} has no path, as of an image in memory; set its {path_field}")
        item_id = known.find(path, f"{what} {number}")
        if item_id in found:
            raise ValueError(f"{what} {number} is a second one of {item_id!r}; expected one for each image")
        found[item_id] = read(item_id, result)
    return {item_id: found[item_id] for item_id in found_items(known.item_ids, found, f"the list of {what}s")}


def found_items(item_ids: Sequence[str], found: Container[str], where: str, *, is_complete: bool = True) -> tuple[str, ...]:
    """The items that predictions were found of, in order.

    Args:
        item_ids: Unique item ids.
        found: Those found.
        where: What messages call the place where the others are missing.
        is_complete: Whether all must be found.

    Raises:
        ValueError: None was found, or not all were though they must be. The message names the first.
    """
    missing = [item_id for item_id in item_ids if item_id not in found]
    if missing and (is_complete or len(missing) == len(item_ids)):
        raise ValueError(
            f"{where} has nothing of {len(missing):,} items, the first is {missing[0]!r}; predict on every image"
        )
    return tuple(item_id for item_id in item_ids if item_id in found)


def sizes_by_item(item_ids: Iterable[str], image_sizes: ImageSizes) -> dict[str, tuple[float, float]]:
    """Width and height of every item's image.

    Raises:
        ValueError: An item has no size, or one that is no size. The message names it.
    """
    ids = checked_item_ids(item_ids)
    if isinstance(image_sizes, Mapping):
        missing = [item_id for item_id in ids if item_id not in image_sizes]
        if missing:
            raise ValueError(f"{len(missing):,} items have no image size, the first is {missing[0]!r}")
        given = [(item_id, image_sizes[item_id]) for item_id in ids]
    else:
        given = list(paired(ids, image_sizes, "image sizes"))
    return {item_id: checked_size(size, item_id) for item_id, size in given}


def checked_size(size: Sequence[Any], item_id: str) -> tuple[float, float]:
    """Width and height of an item's image as two positive numbers.

    Raises:
        ValueError: They are not. The message names the item.
    """
    try:
        width, height = (float(side) for side in size)
    except (TypeError, ValueError) as error:
        raise ValueError(f"the image size of {item_id!r} is {size!r}; expected (width, height) in pixels") from error
    if not (0 < width < math.inf and 0 < height < math.inf):
        raise ValueError(f"the image of {item_id!r} is {width:g} x {height:g} pixels; expected two positive numbers")
    return width, height


def width_and_height(shape: Sequence[Any], what: str) -> tuple[float, float]:
    """Width and height of a shape that frameworks write as (height, width, ...).

    Raises:
        ValueError: It is no such shape.
    """
    try:
        height, width = (float(side) for side in tuple(shape)[:2])
    except (TypeError, ValueError) as error:
        raise ValueError(f"{what} is {shape!r}; expected (height, width)") from error
    return width, height
