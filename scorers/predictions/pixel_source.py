"""Where the maps of images lie: in memory, or in something that reads them when asked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ..checks import check_length, read_only

_FLOATS = (2, 4, 8)
"""Sizes in bytes of the floats that are taken."""


@dataclass(frozen=True, eq=False)
class Source:
    """An array, or one row of something with `shape`, `dtype` and `__getitem__` that is read when asked."""

    values: Any
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    row: int | None = None

    def read(self, name: str) -> npt.NDArray[Any]:
        """The array, a view where it is one already; messages call it by name.

        Raises:
            ValueError: What was read is not what had been announced.
        """
        array = np.asarray(self.values[self.row if self.row is not None else ...])
        if array.shape != self.shape or array.dtype != self.dtype:
            raise ValueError(
                f"{name} was read as {array.shape} of {array.dtype}, and announced as {self.shape} of {self.dtype}; "
                "it changed after the predictions were made, so make them again"
            )
        return read_only(array)


def checked_sources(maps: Any, item_ids: tuple[str, ...], name: str, class_axis: int) -> tuple[Source, ...]:
    """The maps of all items, their shapes and types checked and nothing else read.

    Raises:
        ValueError: Another number of maps than items, or a map of another shape or type; the message names the item.
    """
    sources = _sources(maps, item_ids, name)
    order = "(c, h, w)" if class_axis == 0 else "(h, w, c)"
    n_dimensions = len(sources[0].shape)
    for item_id, source in zip(item_ids, sources):
        shape, where = source.shape, f"{name} of {item_id!r}"
        if len(shape) not in (3, 4):
            remedy = ""
            if len(shape) == 2 and source.dtype.kind in "biu":
                remedy = ": these are class labels, not probabilities; save what the softmax gives, before the argmax"
            elif len(shape) == 2:
                remedy = ": for the probability of the positive class of two, add an axis of length 1"
            raise ValueError(f"{where} has shape {shape}; expected {order}, or with passes (t, {order[1:]}{remedy}")
        if 0 in shape:
            raise ValueError(f"{where} has shape {shape}; expected at least one pixel and one class")
        if source.dtype.kind in "biu":
            raise ValueError(
                f"{where} holds values of type {source.dtype}; expected floats: turn quantised probabilities back into "
                "distributions, as q / q.sum(axis=..., keepdims=True) over the classes does"
            )
        if source.dtype.kind != "f" or source.dtype.itemsize not in _FLOATS:
            raise ValueError(f"{where} holds values of type {source.dtype}; expected float16, float32 or float64")
        if len(shape) != n_dimensions:
            raise ValueError(f"{where} has shape {shape}, the first map {sources[0].shape}; expected passes in all or none")
        if len(shape) == 4 and shape[0] < 2:
            raise ValueError(f"{where} has shape {shape}, which is one pass; expected two or more, or {order} without")
        axis = -3 if class_axis == 0 else -1
        check_same_classes((item_id, max(2, shape[axis])), (item_ids[0], max(2, sources[0].shape[axis])))
    return sources


def check_same_classes(found: tuple[str, int], first: tuple[str, int]) -> None:
    """Raise unless a map has as many classes as the first one: their scores would not be of one scale.

    Args:
        found: An item, and the number of classes of its map.
        first: The first item, and the number of classes of its map.
    """
    if found[1] != first[1]:
        raise ValueError(
            f"the map of {found[0]!r} has {found[1]} classes, that of {first[0]!r} {first[1]}; expected as many in each: "
            "see class_axis"
        )


def checked_masks(masks: Any, item_ids: tuple[str, ...], sizes: list[tuple[int, ...]]) -> tuple[Source, ...]:
    """The masks of all items, checked in the same way against the sizes `(h, w)` of the maps."""
    sources = _sources(masks, item_ids, "masks")
    for item_id, source, size in zip(item_ids, sources, sizes):
        if source.dtype != np.bool_:
            raise ValueError(
                f"the mask of {item_id!r} holds values of type {source.dtype}; expected booleans, true for pixels to look at"
            )
        if source.shape != tuple(size):
            raise ValueError(f"the mask of {item_id!r} has shape {source.shape}; expected that of its map, {tuple(size)}")
    return sources


def _sources(maps: Any, item_ids: tuple[str, ...], name: str) -> tuple[Source, ...]:
    if not (hasattr(maps, "__len__") and hasattr(maps, "__getitem__")) or isinstance(maps, str | bytes | dict):
        raise ValueError(
            f"{name} is of type {type(maps).__name__}; expected a sequence with one map for each item, or one array of all: "
            "give an iterator of (item_id, map) to SegmentationPredictions.stream"
        )
    check_length(len(maps), len(item_ids), name, "item ids")
    if _is_lazy(maps):
        return tuple(Source(maps, tuple(maps.shape[1:]), maps.dtype, row) for row in range(len(item_ids)))
    return tuple(_source(maps[row], f"{name} of {item_id!r}") for row, item_id in enumerate(item_ids))


def _source(values: Any, name: str) -> Source:
    if not _is_lazy(values):
        values = _as_array(values, name)
    return Source(values, tuple(values.shape), values.dtype)


def _as_array(values: Any, name: str) -> npt.NDArray[Any]:
    try:
        return np.asarray(values)
    except (TypeError, RuntimeError, ValueError) as error:
        raise ValueError(
            f"{name} cannot be read as an array: {error}; pass a torch tensor as tensor.detach().float().cpu().numpy(), and "
            "rows of one length"
        ) from error


def _is_lazy(values: Any) -> bool:
    """Whether values are read when asked: datasets of h5py, zarr and others alike; not numpy's arrays or torch's tensors."""
    return (
        not isinstance(values, np.ndarray)
        and isinstance(getattr(values, "dtype", None), np.dtype)
        and hasattr(values, "shape")
        and hasattr(values, "__getitem__")
    )
