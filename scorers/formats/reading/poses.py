"""Collects the keypoints of one image after the other into `KeypointPredictions`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt

from ...predictions.keypoints import KeypointPredictions
from .arrays import as_array
from .items import checked_size
from .labels import ClassNames, names_in_order

Activation = Literal["none", "clip", "sigmoid"]
"""What turns a model's numbers into confidences in [0, 1]: nothing, cutting off what lies outside, the logistic function."""


class KeypointRows:
    """The keypoints of items, taken in item by item and turned into a value at the end.

    Args:
        activation: What is done to confidences; None: nothing, and the reader offers no choice.
        keypoint_names: A name for each keypoint.

    Raises:
        ValueError: No such activation.
    """

    def __init__(self, *, activation: Activation | None = None, keypoint_names: ClassNames | None = None) -> None:
        if activation is not None and activation not in get_args(Activation):
            raise ValueError(f"activation is {activation!r}; expected one of {', '.join(map(repr, get_args(Activation)))}")
        self._activation = activation
        self._keypoint_names = names_in_order(keypoint_names)
        self._item_ids: list[str] = []
        self._counts: list[int] = []
        self._parts: list[tuple[npt.NDArray[Any], npt.NDArray[Any], npt.NDArray[Any]]] = []

    def add(
        self,
        item_id: str,
        keypoints: Any,
        confidences: Any,
        *,
        size: Sequence[float] | None,
        instance_scores: Any = None,
    ) -> None:
        """Take in the instances of an item.

        Args:
            item_id: The item.
            keypoints: `(m, k, 2)` x and y; further columns are not read.
            confidences: `(m, k)`.
            size: Width and height of the image in pixels where keypoints are in pixels, None where they are fractions.
            instance_scores: `(m,)` in [0, 1], for all items or for none.

        Raises:
            ValueError: Shapes that do not fit each other or those of earlier items. The message names the item.
        """
        sure = as_array(confidences, f"keypoint confidences of {item_id!r}")
        places = as_array(keypoints, f"keypoints of {item_id!r}")
        scores = np.empty(0)
        if instance_scores is not None:
            scores = as_array(instance_scores, f"instance scores of {item_id!r}").reshape(-1).copy()
        if not sure.size and not places.size and not scores.size:
            self._item_ids.append(item_id)
            self._counts.append(0)
            return
        if sure.ndim != 2 or places.ndim != 3 or places.shape[:2] != sure.shape or places.shape[2] < 2:
            raise ValueError(
                f"keypoints of {item_id!r} have shape {places.shape}, confidences {sure.shape}; "
                "expected (m, k, 2) and (m, k)"
            )
        if self._parts and self._parts[0][1].shape[1] != sure.shape[1]:
            raise ValueError(
                f"{item_id!r} has instances of {sure.shape[1]} keypoints, an earlier item of {self._parts[0][1].shape[1]}; "
                "expected the same number"
            )
        if instance_scores is not None and len(scores) != len(sure):
            raise ValueError(f"{item_id!r} has {len(sure)} instances and {len(scores)} scores; expected one for each")
        sure = sure.astype(np.float64)
        if self._activation == "sigmoid":
            sure = 1 / (1 + np.exp(-np.clip(sure, -700, 700)))
        elif self._activation == "clip":
            sure = np.clip(sure, 0.0, 1.0)
        elif self._activation == "none" and not (sure.min() >= 0 and sure.max() <= 1):
            raise ValueError(
                f"keypoint confidences of {item_id!r} reach from {sure.min():.3g} to {sure.max():.3g}; expected [0, 1]: set "
                "activation='clip' where heights of heat maps leave it a little, 'sigmoid' where they are logits"
            )
        unit = np.array((1.0, 1.0) if size is None else checked_size(size, item_id))
        self._item_ids.append(item_id)
        self._counts.append(len(sure))
        self._parts.append((places[:, :, :2] / unit, sure, scores))

    def predictions(self) -> KeypointPredictions:
        """All that was taken in, checked.

        Raises:
            ValueError: Numbers out of range, ids doubled. The message names the item.
        """
        k = self._parts[0][1].shape[1] if self._parts else len(self._keypoint_names or "x")
        scores = np.concatenate([np.empty(0), *(part[2] for part in self._parts)])
        return KeypointPredictions(
            self._item_ids,
            np.concatenate([np.empty((0, k, 2)), *(part[0] for part in self._parts)]),
            np.concatenate([np.empty((0, k)), *(part[1] for part in self._parts)]),
            np.concatenate([[0], np.cumsum(self._counts)]).astype(np.int64),
            instance_scores=scores if len(scores) else None,
            keypoint_names=self._keypoint_names,
        )
