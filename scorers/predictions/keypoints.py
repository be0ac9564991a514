"""The keypoints of the people, hands or other instances that a model found in each item."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from ..checks import FloatArray, as_floats, check_length, checked_item_ids, read_only, set_fields
from ..heatmaps import Activation, summaries
from .parts import (
    IntArray,
    as_integers,
    check_unit_interval,
    checked_names,
    checked_offsets,
    checked_slice,
    is_nothing,
    part_name,
)

BoolArray = npt.NDArray[np.bool_]

MEASURES = {"heatmap_entropy": 1.0, "peak_margin": 1.0, "multiple_peak_entropy": np.inf, "keypoint_spread": np.inf}
"""What predictions may carry of each keypoint beside its confidence, and the highest value of each; the lowest is 0."""

_REACH = 1.0  # how far outside the image a keypoint may be put, in images: farther are pixels, or no prediction


@dataclass(frozen=True, eq=False, init=False, repr=False)
class KeypointPredictions:
    """The keypoints that a model found in each item, instance by instance, as flat arrays.

    An instance is a person, a hand, an animal. Instances of fewer keypoints are padded to k, `is_predicted` False. Positions
    are not scored, and may be left out; keypoints that the model puts outside the image stay there.

    Args:
        item_ids: n unique item ids.
        keypoints: `(m, k, 2)` x and y as fractions of the image's width and height, from -1 to 2: models do put keypoints
            outside the image, pixels are farther. None where only confidences are known.
        confidences: `(m, k)` confidence in each keypoint, in [0, 1].
        offsets: `(n + 1,)`, the instances of item i are rows `offsets[i]:offsets[i + 1]`.
        is_predicted: `(m, k)` booleans, False where an instance lacks the keypoint: what stands there is ignored, and held
            as 0. None for all.
        instance_scores: `(m,)` confidence that there is such an instance, in [0, 1].
        keypoint_names: A name for each of the k keypoints.
        heatmap_entropy: `(m, k)` in [0, 1], as `from_heatmaps` computes it.
        peak_margin: `(m, k)` in [0, 1], likewise.
        multiple_peak_entropy: `(m, k)` 0 or more, likewise.
        keypoint_spread: `(m, k)` 0 or more, as `from_heatmaps` or `from_passes` computes it.

    Raises:
        ValueError: Ids doubled, shapes that do not fit, numbers out of range. The message names the item.

    Examples:
        >>> predictions = KeypointPredictions(
        ...     item_ids=["two.jpg", "none.jpg"],
        ...     keypoints=[[[0.2, 0.3], [0.2, 0.5]], [[0.7, 0.3], [0.0, 0.0]]],
        ...     confidences=[[0.9, 0.8], [0.6, 0.0]],
        ...     offsets=[0, 2, 2],
        ...     is_predicted=[[True, True], [True, False]],
        ... )
        >>> predictions
        KeypointPredictions(2 items, 2 instances of 2 keypoints)
    """

    item_ids: tuple[str, ...]
    keypoints: FloatArray | None
    confidences: FloatArray
    offsets: IntArray
    is_predicted: BoolArray
    instance_scores: FloatArray | None
    keypoint_names: tuple[str, ...] | None
    heatmap_entropy: FloatArray | None
    peak_margin: FloatArray | None
    multiple_peak_entropy: FloatArray | None
    keypoint_spread: FloatArray | None

    def __init__(
        self,
        item_ids: Iterable[str],
        keypoints: npt.ArrayLike | None,
        confidences: npt.ArrayLike,
        offsets: npt.ArrayLike,
        *,
        is_predicted: npt.ArrayLike | None = None,
        instance_scores: npt.ArrayLike | None = None,
        keypoint_names: Iterable[str] | None = None,
        heatmap_entropy: npt.ArrayLike | None = None,
        peak_margin: npt.ArrayLike | None = None,
        multiple_peak_entropy: npt.ArrayLike | None = None,
        keypoint_spread: npt.ArrayLike | None = None,
    ) -> None:
        ids = checked_item_ids(item_ids)
        sure = as_floats(np.empty((0, 0)) if is_nothing(confidences) else confidences, "confidences", "(m, k)")
        m, k = sure.shape
        if m and not k:
            raise ValueError(f"confidences has shape {sure.shape}; expected at least one keypoint of each instance")
        rows = checked_offsets(offsets, len(ids), m, parts="instances")
        mask = _mask(is_predicted, (m, k))
        name = partial(_keypoint_name, ids, rows, k)
        sure = _checked(sure, "confidences", (m, k), mask, (0.0, 1.0), name, _CONFIDENCE_HINT)
        places = None
        if keypoints is not None:
            places = as_floats(np.empty((0, k, 2)) if is_nothing(keypoints) else keypoints, "keypoints", "(m, k, 2)")
            places = _checked(places, "keypoints", (m, k, 2), mask, (-_REACH, 1 + _REACH), name, _POSITION_HINT)
        scores = None
        if instance_scores is not None:
            scores = as_floats(instance_scores, "instance_scores", "(m,)")
            check_length(len(scores), m, "instance_scores", "instances")
            check_unit_interval(scores, "the score", partial(part_name, ids, rows, part="instance"))
        names = checked_names(keypoint_names)
        if names is not None and m and len(names) != k:
            raise ValueError(f"keypoint_names has {len(names)} names for {k} keypoints")
        given = (heatmap_entropy, peak_margin, multiple_peak_entropy, keypoint_spread)
        measures: dict[str, FloatArray | None] = {}
        for (measure, highest), values in zip(MEASURES.items(), given):
            measures[measure] = None
            if values is not None:
                array = as_floats(np.empty((0, k)) if is_nothing(values) else values, measure, "(m, k)")
                measures[measure] = _checked(array, measure, (m, k), mask, (0.0, highest), name, "")
        set_fields(
            self,
            item_ids=ids,
            keypoints=places,
            confidences=sure,
            offsets=rows,
            is_predicted=mask,
            instance_scores=scores,
            keypoint_names=names,
            **measures,
        )

    @classmethod
    def from_heatmaps(
        cls,
        item_ids: Iterable[str],
        heatmaps: Iterable[npt.ArrayLike],
        offsets: npt.ArrayLike,
        *,
        activation: Activation = "none",
        boxes: npt.ArrayLike | None = None,
        is_predicted: npt.ArrayLike | None = None,
        instance_scores: npt.ArrayLike | None = None,
        keypoint_names: Iterable[str] | None = None,
    ) -> KeypointPredictions:
        """Predictions from the heat maps of a network, of which only a few numbers are kept.

        The confidence is the height of the map's peak, the keypoint the centre of its pixel. From the whole map come
        `heatmap_entropy`, `peak_margin`, `multiple_peak_entropy` and `keypoint_spread`: see `scorers.heatmaps` for the
        formulas. Maps are read one instance at a time: time O(m k h w), memory O(k h w + m k).

        Args:
            item_ids: n unique item ids.
            heatmaps: `(m, k, h, w)` floats: an array, a memory map, or an iterable that gives `(k, h, w)` for one instance
                after the other. Maps of several instances may differ in size.
            offsets: `(n + 1,)` row offsets of the instances.
            activation: What the values are. `"none"`: heights from 0 to 1, as of a network trained towards a bump of height
                1 at the keypoint; what it misses below 0 and above 1 is cut off. `"softmax"`: logits of where in the map
                the keypoint is, as of Keypoint R-CNN; the confidence is the share of one pixel, low where the peak is
                broad. `"sigmoid"`: logits of the keypoint being at each pixel.
            boxes: `(m, 4)` corners x0, y0, x1, y1 of what each instance's maps cover, as fractions of the image. They may
                reach beyond it. None where maps cover the image.
            is_predicted: As for the class.
            instance_scores: As for the class.
            keypoint_names: As for the class.

        Raises:
            ValueError: As for the class; maps that are not finite or differ in k; heights out of range.

        Examples:
            >>> heatmap = [[0.0, 0.2, 0.0, 0.0], [0.2, 0.9, 0.2, 0.45]]
            >>> predictions = KeypointPredictions.from_heatmaps(["a.jpg"], [[heatmap]], [0, 1], boxes=[[0, 0, 0.5, 1]])
            >>> predictions.keypoints.tolist(), predictions.confidences.tolist(), predictions.peak_margin.tolist()
            ([[[0.1875, 0.75]]], [[0.9]], [[0.5]])
        """
        ids = checked_item_ids(item_ids)
        n_instances = max(0, int(as_integers(offsets, "offsets", "(n + 1,)")[-1:].sum()))
        rows = checked_offsets(offsets, len(ids), n_instances, parts="instances")
        columns = summaries(heatmaps, n_instances, activation, partial(part_name, ids, rows, part="instance"))
        places = columns.positions
        if boxes is not None:
            corners = _corners(boxes, n_instances)
            places = corners[:, None, :2] + places * (corners[:, 2:] - corners[:, :2])[:, None]
        return cls(
            ids,
            places,
            columns.confidences,
            rows,
            is_predicted=is_predicted,
            instance_scores=instance_scores,
            keypoint_names=keypoint_names,
            heatmap_entropy=columns.entropy,
            peak_margin=columns.peak_margin,
            multiple_peak_entropy=columns.multiple_peak_entropy,
            keypoint_spread=columns.spread,
        )

    @classmethod
    def from_passes(
        cls,
        item_ids: Iterable[str],
        keypoints: npt.ArrayLike,
        confidences: npt.ArrayLike,
        offsets: npt.ArrayLike,
        *,
        boxes: npt.ArrayLike | None = None,
        is_predicted: npt.ArrayLike | None = None,
        instance_scores: npt.ArrayLike | None = None,
        keypoint_names: Iterable[str] | None = None,
    ) -> KeypointPredictions:
        """Predictions from t passes over the same instances: with dropout, of several models, or of altered images.

        Keypoints and confidences are the means over the passes. `keypoint_spread` is the root mean square distance of the
        passes from the mean position, with x in widths and y in heights of the instance's box and the box's diagonal as
        unit: `sqrt((var(x) + var(y)) / 2)`. Time O(t m k), memory O(m k).

        Args:
            item_ids: n unique item ids.
            keypoints: `(t, m, k, 2)` positions, t at least 2, the same instances in the same order in each pass, those of
                mirrored images mirrored back.
            confidences: `(t, m, k)` in [0, 1].
            offsets: `(n + 1,)` row offsets of the instances.
            boxes: `(m, 4)` relative corners of each instance, so that a small person's keypoints may not hide their spread
                in the size of the image. None measures by the image.
            is_predicted: As for the class, for all passes.
            instance_scores: As for the class.
            keypoint_names: As for the class.

        Raises:
            ValueError: As for the class, in any pass.

        Examples:
            >>> keypoints = [[[[0.4, 0.5]]], [[[0.6, 0.5]]]]
            >>> predictions = KeypointPredictions.from_passes(["a.jpg"], keypoints, [[[0.9]], [[0.5]]], [0, 1])
            >>> predictions.keypoints.tolist(), predictions.keypoint_spread.round(4).tolist()
            ([[[0.5, 0.5]]], [[0.0707]])
        """
        ids = checked_item_ids(item_ids)
        sure = as_floats(confidences, "confidences", "(t, m, k)")
        t, m, k = sure.shape
        if t < 2:
            raise ValueError(f"confidences has shape {sure.shape}; expected at least 2 passes (t, m, k)")
        places = as_floats(keypoints, "keypoints", "(t, m, k, 2)")
        if places.shape != (t, m, k, 2):
            raise ValueError(f"keypoints has shape {places.shape}; expected {(t, m, k, 2)} by the confidences")
        rows = checked_offsets(offsets, len(ids), m, parts="instances")
        mask = _mask(is_predicted, (m, k))
        mean_place, squares, mean_sure = np.zeros((m, k, 2)), np.zeros((m, k, 2)), np.zeros((m, k))
        for number in range(t):  # B. P. Welford, 1962, doi:10.1080/00401706.1962.10490022: one look at each pass
            name = partial(_keypoint_name, ids, rows, k, note=f" in pass {number}")
            here = _checked(sure[number], "confidences", (m, k), mask, (0.0, 1.0), name, _CONFIDENCE_HINT)
            there = _checked(places[number], "keypoints", (m, k, 2), mask, (-_REACH, 1 + _REACH), name, _POSITION_HINT)
            step = there - mean_place
            mean_place += step / (number + 1)
            squares += step * (there - mean_place)
            mean_sure += here
        variances = np.maximum(squares, 0.0) / t
        if boxes is not None:
            corners = _corners(boxes, m)
            variances /= ((corners[:, 2:] - corners[:, :2]) ** 2)[:, None]
        return cls(
            ids,
            mean_place,
            np.minimum(mean_sure / t, 1.0),
            rows,
            is_predicted=mask,
            instance_scores=instance_scores,
            keypoint_names=keypoint_names,
            keypoint_spread=np.sqrt(variances.sum(axis=2) / 2),
        )

    def __repr__(self) -> str:
        return f"KeypointPredictions({len(self):,} items, {self.n_instances:,} instances of {self.n_keypoints} keypoints)"

    @property
    def n_instances(self) -> int:
        """Number of instances m in all items."""
        return len(self.confidences)

    @property
    def n_keypoints(self) -> int:
        """Number of keypoints k of an instance, with those that are padded."""
        return int(self.confidences.shape[1])

    def __len__(self) -> int:
        return len(self.item_ids)

    def __getitem__(self, rows: slice) -> KeypointPredictions:
        items = checked_slice(rows, len(self))
        offsets = self.offsets[items.start : items.stop + 1]
        instances = slice(int(offsets[0]), int(offsets[-1]))
        given = {name: getattr(self, name) for name in ("keypoints", "instance_scores", *MEASURES)}
        return replace(
            self,
            item_ids=self.item_ids[items],
            confidences=self.confidences[instances],
            offsets=offsets - offsets[0],
            is_predicted=self.is_predicted[instances],
            **{name: None if values is None else values[instances] for name, values in given.items()},
        )


_CONFIDENCE_HINT = ": give logits of heat maps to from_heatmaps, and clip what a network puts slightly outside"
_POSITION_HINT = ": divide pixels by the image's width and height, and mark what the model did not find in is_predicted"


def _keypoint_name(ids: tuple[str, ...], offsets: IntArray, k: int, row: int, *, note: str = "") -> str:
    return f"keypoint {row % k} of {part_name(ids, offsets, row // k, part='instance')}{note}"


def _mask(is_predicted: npt.ArrayLike | None, shape: tuple[int, int]) -> BoolArray:
    if is_predicted is None:
        return np.broadcast_to(np.True_, shape)
    mask = np.asarray(np.empty(shape, dtype=bool) if is_nothing(is_predicted) and not shape[0] else is_predicted)
    if mask.dtype != bool or mask.shape != shape:
        raise ValueError(
            f"is_predicted has shape {mask.shape}, type {mask.dtype}; expected booleans of shape {shape}, such as "
            "visibility > 0"
        )
    return read_only(mask)


def _checked(
    values: FloatArray,
    what: str,
    shape: tuple[int, ...],
    mask: BoolArray,
    span: tuple[float, float],
    name: Callable[[int], str],
    hint: str,
) -> FloatArray:
    """The values, 0 where there is no keypoint; raises unless the others lie in the span. Copied where 0 is put in."""
    if values.shape != shape:
        raise ValueError(
            f"{what} has shape {values.shape}; expected {shape}: m instances of k keypoints, by the confidences"
        )
    if not mask.all():
        values = np.where(mask if values.ndim == 2 else mask[..., None], values, np.zeros((), dtype=values.dtype))
    good = np.asarray((values >= span[0]) & (values <= span[1]) & (values < np.inf))
    if not good.all():
        row = int(np.flatnonzero(~good.reshape(mask.size, -1).all(axis=1))[0])
        shown: Any = values.reshape(mask.size, -1)[row].tolist()
        limits = f"in [{span[0]:g}, {span[1]:g}]" if span[1] < np.inf else "of 0 or more, and finite"
        raise ValueError(f"{what} of {name(row)} is {shown}; expected numbers {limits}{hint}")
    return read_only(values)


def _corners(boxes: npt.ArrayLike, m: int) -> FloatArray:
    corners = as_floats(np.empty((0, 4)) if is_nothing(boxes) else boxes, "boxes", "(m, 4)").astype(np.float64)
    if corners.shape != (m, 4):
        raise ValueError(f"boxes has shape {corners.shape}; expected {(m, 4)}: x0, y0, x1, y1 of each instance")
    good = np.isfinite(corners).all(axis=1) & (corners[:, :2] < corners[:, 2:]).all(axis=1)
    if not good.all():
        row = int(np.flatnonzero(~good)[0])
        raise ValueError(f"boxes[{row}] is {corners[row].tolist()}; expected corners with x0 < x1 and y0 < y1")
    return corners
