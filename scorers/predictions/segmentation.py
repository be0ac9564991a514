"""A class distribution for each pixel of each image."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..checks import FloatArray, checked_item_ids, set_fields
from .parts import checked_names, checked_slice
from .pixel_map import PixelMap
from .pixel_source import Source, check_same_classes, checked_masks, checked_sources


@dataclass(frozen=True, eq=False, init=False, repr=False)
class SegmentationPredictions:
    """A class distribution for each pixel of each image.

    Maps are neither copied nor read at birth, only their shapes and types are checked: a map that lies on disk (numpy's
    memory maps, datasets of h5py) is read when it is scored, and its numbers are checked then. No number of an unchecked
    pixel comes out of this value: `pixel_map` and `probabilities` are the only ways in.

    Args:
        item_ids: n unique item ids, in the order of the maps.
        probabilities: n maps `(h, w, c)` of float16, float32 or float64, whose sizes may differ, or one array
            `(n, h, w, c)`. A pixel's c >= 2 values sum to 1 within 0.004; c = 1 is the probability of the positive class of
            two. With one more axis, maps `(t, h, w, c)` hold t >= 2 stochastic passes of one network or members of a
            committee.
        class_axis: Where the classes of a map lie, passes not counted: -1 for `(h, w, c)`, 0 for `(c, h, w)` as in torch.
        class_names: A name for each class, the negative class first where one column stands for two; needed only where
            names are shown to people.
        masks: n boolean arrays `(h, w)`, true for pixels to look at: leave out padding and the void. None looks at all.

    Raises:
        ValueError: Ids doubled or missing, another shape or type. Values that are not probabilities are found when they are
            read; the message names item, row and column.

    Examples:
        >>> image = np.array([[[0.9, 0.1], [0.5, 0.5]]])  # one row, two columns, two classes
        >>> predictions = SegmentationPredictions(["a.png"], [image])
        >>> predictions
        SegmentationPredictions(1 items, 2 classes)
        >>> SegmentationPredictions(["a.png"], [image * 5]).probabilities(0)
        Traceback (most recent call last):
        ValueError: probabilities of 'a.png' at row 0, column 0 sums to 5 ([4.5, 0.5]); expected 1 within 0.004: ...
    """

    item_ids: tuple[str, ...]
    class_axis: int
    class_names: tuple[str, ...] | None
    _sources: tuple[Source, ...]
    _masks: tuple[Source, ...] | None
    _is_logits: bool

    def __init__(
        self,
        item_ids: Iterable[str],
        probabilities: Any,
        *,
        class_axis: int = -1,
        class_names: Iterable[str] | None = None,
        masks: Any = None,
    ) -> None:
        self._set(item_ids, probabilities, class_axis, class_names, masks, is_logits=False)

    @classmethod
    def from_logits(
        cls,
        item_ids: Iterable[str],
        logits: Any,
        *,
        class_axis: int = -1,
        class_names: Iterable[str] | None = None,
        masks: Any = None,
    ) -> SegmentationPredictions:
        """Predictions from the values before the softmax, which is taken block by block when they are read.

        Args:
            item_ids: n unique item ids.
            logits: As `probabilities`, any finite floats; c = 1 is the logit of the positive class of two.
            class_axis: As for the class.
            class_names: As for the class.
            masks: As for the class.

        Raises:
            ValueError: As for the class; logits that are not finite are found when they are read.

        Examples:
            >>> SegmentationPredictions.from_logits(["a.png"], np.zeros((1, 1, 1, 2))).probabilities(0).tolist()
            [[[0.5, 0.5]]]
        """
        value = object.__new__(cls)
        value._set(item_ids, logits, class_axis, class_names, masks, is_logits=True)
        return value

    @classmethod
    def stream(
        cls,
        pairs: Iterable[tuple[Any, ...]],
        *,
        class_axis: int = -1,
        is_logits: bool = False,
        class_names: Iterable[str] | None = None,
    ) -> Iterator[SegmentationPredictions]:
        """One value for each item, made as they are asked for: what a scorer takes where the maps do not fit in memory.

        Args:
            pairs: `(item_id, map)` or `(item_id, map, mask)`, such as a generator that runs the network; read once, in the
                caller's thread. No map is kept.
            class_axis: As for the class.
            is_logits: The maps are logits, see `from_logits`.
            class_names: As for the class.

        Raises:
            ValueError: As for the class, when the item is reached; for anything else than such pairs, and for a map that has
                not as many classes as the first.

        Examples:
            >>> pairs = ((name, np.full((2, 2, 4), 0.25)) for name in ("a.png", "b.png"))
            >>> [predictions.item_ids for predictions in SegmentationPredictions.stream(pairs)]
            [('a.png',), ('b.png',)]
        """
        names = checked_names(class_names)
        make = cls.from_logits if is_logits else cls
        numbers = itertools.count()
        first: list[tuple[str, int]] = []

        def one(pair: Any) -> SegmentationPredictions:
            number = next(numbers)
            if not isinstance(pair, tuple | list) or len(pair) not in (2, 3):
                raise ValueError(
                    f"pair {number} of the stream is of type {type(pair).__name__}; expected (item_id, map), or with a mask "
                    "(item_id, map, mask)"
                )
            masks = None if len(pair) == 2 or pair[2] is None else [pair[2]]
            value = make([pair[0]], [pair[1]], class_axis=class_axis, class_names=names, masks=masks)
            if not first:
                first.append((value.item_ids[0], value.n_classes))
            check_same_classes((value.item_ids[0], value.n_classes), first[0])
            return value

        _check_class_axis(class_axis)
        return map(one, pairs)  # unlike a generator's variables, it holds no map while the next is made

    def _set(
        self,
        item_ids: Iterable[str],
        maps: Any,
        class_axis: int,
        class_names: Iterable[str] | None,
        masks: Any,
        *,
        is_logits: bool,
    ) -> None:
        name = "logits" if is_logits else "probabilities"
        ids = checked_item_ids(item_ids)
        axis = _check_class_axis(class_axis)
        sources = checked_sources(maps, ids, name, axis)
        names = checked_names(class_names)
        n_classes = max(2, sources[0].shape[-3 if axis == 0 else -1])
        if names is not None and len(names) != n_classes:
            raise ValueError(f"class_names has {len(names)} names for {n_classes} classes")
        sizes = [source.shape[-2:] if axis == 0 else source.shape[-3:-1] for source in sources]
        checked = None if masks is None else checked_masks(masks, ids, sizes)
        set_fields(
            self, item_ids=ids, class_axis=axis, class_names=names, _sources=sources, _masks=checked, _is_logits=is_logits
        )

    def __repr__(self) -> str:
        passes = "with passes, " if self.has_passes else ""
        kind = ", logits" if self._is_logits else ""
        return f"SegmentationPredictions({len(self):,} items, {passes}{self.n_classes:,} classes{kind})"

    @property
    def n_classes(self) -> int:
        """Number of classes c; 2 where one column stands for both."""
        return max(2, self._sources[0].shape[-3 if self.class_axis == 0 else -1])

    @property
    def has_passes(self) -> bool:
        """Whether each map holds several stochastic passes."""
        return len(self._sources[0].shape) == 4

    def pixel_map(self, row: int) -> PixelMap:
        """The map of one item, read but not yet checked: it gives its numbers block by block, and checks them then."""
        item_id = self.item_ids[row]
        values: FloatArray = self._sources[row].read(f"the map of {item_id!r}")
        if not self.has_passes:
            values = values[None]
        values = np.moveaxis(values, -3 if self.class_axis == 0 else -1, 1)
        mask = None if self._masks is None else self._masks[row].read(f"the mask of {item_id!r}")
        return PixelMap(item_id, values, mask, self._is_logits, self.has_passes)

    def probabilities(self, row: int) -> FloatArray:
        """Checked probabilities of one item's pixels, a copy; float32, or float64 where the map is.

        Args:
            row: Which item.

        Returns:
            `(h, w, c)`, or `(t, h, w, c)` where there are passes, whatever `class_axis`; c = 2 where one column stands for
            two classes; NaN where the mask leaves a pixel out.

        Raises:
            ValueError: A pixel's values are no distribution.
        """
        result = self.pixel_map(row).probabilities()
        return result if self.has_passes else result[0]

    def __len__(self) -> int:
        return len(self.item_ids)

    def __getitem__(self, rows: slice) -> SegmentationPredictions:
        items = checked_slice(rows, len(self))
        part = object.__new__(type(self))
        set_fields(
            part,
            item_ids=self.item_ids[items],
            class_axis=self.class_axis,
            class_names=self.class_names,
            _sources=self._sources[items],
            _masks=None if self._masks is None else self._masks[items],
            _is_logits=self._is_logits,
        )
        return part


def _check_class_axis(class_axis: object) -> int:
    if isinstance(class_axis, bool) or class_axis not in (-1, 0):
        raise ValueError(f"class_axis is {class_axis!r}; expected -1 for maps (h, w, c), or 0 for (c, h, w)")
    return 0 if class_axis == 0 else -1
