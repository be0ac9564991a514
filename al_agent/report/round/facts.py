"""What the page of a round shows, as one value; what is None is not known, and the page says so."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from samplers.quality import Quality

from ...journal import Round

Vector = npt.NDArray[np.float64]

N_CARDS = 200
"""Picks with a card and what the model sees drawn on it, the first ones; the others are rows of a table."""


class Box(NamedTuple):
    """A box that a model sees: its class, its confidence in [0, 1], and corners as fractions of width and height."""

    label: str
    score: float
    corners: tuple[float, float, float, float]


@dataclass(frozen=True, eq=False)
class Marks:
    """What a model sees on one image, to be drawn on it.

    Args:
        label: Likeliest class of the whole image, with its probability; empty if none.
        boxes: What a detector found, surest first.
        points: `(p, k, 2)` keypoints x, y of p people or objects as fractions of width and height; NaN where not predicted.
        mask: `(h, w)` likeliest class of each pixel, of a reduced size; None if none.
        mask_names: A name for each class of the mask; numbers where empty.
    """

    label: str = ""
    boxes: tuple[Box, ...] = ()
    points: npt.NDArray[np.float64] | None = None
    mask: npt.NDArray[np.integer[Any]] | None = None
    mask_names: tuple[str, ...] = ()


class ClassCount(NamedTuple):
    """How often a class is among the labels before the batch, and in the batch as far as a model sees."""

    name: str
    before: int
    picked: int


@dataclass(frozen=True, eq=False)
class Progress:
    """The learning curve so far, and what it says of going on.

    Args:
        n_labeled: `(r,)` labels, ascending.
        figures: `(r,)` what was measured, such as test accuracy.
        name: What was measured.
        expected_at: `(e,)` label counts beyond the last, at which the curve is continued; empty where it cannot be.
        expected: `(e, 3)` low, middle and high of the continued curve there.
        sentences: The advice, and why the curve is not continued.
    """

    n_labeled: Vector
    figures: Vector
    name: str
    expected_at: Vector
    expected: Vector
    sentences: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class RoundFacts:
    """All that the page of a round shows.

    Args:
        project: Which project, in words.
        round: What was asked, the picks with gains and reasons, notes and pushes.
        item_ids: n ids of the items, in platform order, then of picks that are gone from the project since.
        states: `(n,)` strings, where each item stood when the batch was picked.
        media: n paths of image files; None where there is none on this machine.
        links: n addresses of the items' pages on the platform; None where it has none.
        positions: `(n, 2)` places on the map, NaN for items without one; None without embeddings.
        position_method: How they were made, such as `t-SNE`.
        scores: `(n,)` with NaN for items without one; None without scores.
        score_name: What they are called.
        classes: n names of classes, empty where unknown; None where nothing is known of any.
        class_kind: What they are, such as `predicted class` or `label`.
        labeled_distances: `(n,)` distance of each unlabeled item to the nearest labeled one before the batch, NaN for the
            others; None where nothing is labeled, or without embeddings.
        distance_unit: The metric of those distances.
        round_of: `(n,)` number of the last round, up to this one, that picked the item; 0 for none.
        quality: Figures of the batch beside random ones; None where there are none.
        balance: Class counts, commonest first; None where classes are unknown.
        balance_unit: What they count, `images` or `boxes`.
        marks: Item id to what the model sees on it, of the picks alone.
        history: All rounds up to this one, oldest first.
        progress: The learning curve; None where it was not given.
        command: What to type, or the Python to run, for the same batch again.
        versions: Name of a package to its version.
        missing: What the page cannot show, why, and the way out, in sentences.
    """

    project: str
    round: Round
    item_ids: tuple[str, ...]
    states: npt.NDArray[np.str_]
    media: Sequence[str | None]
    links: Sequence[str | None]
    positions: npt.NDArray[np.floating[Any]] | None = None
    position_method: str = ""
    scores: Vector | None = None
    score_name: str = "score"
    classes: Sequence[str] | None = None
    class_kind: str = "predicted class"
    labeled_distances: Vector | None = None
    distance_unit: str = "euclidean"
    round_of: npt.NDArray[np.int64] | None = None
    quality: Quality | None = None
    balance: tuple[ClassCount, ...] | None = None
    balance_unit: str = "images"
    marks: Mapping[str, Marks] = field(default_factory=dict)
    history: tuple[Round, ...] = ()
    progress: Progress | None = None
    command: str = ""
    versions: Mapping[str, str] = field(default_factory=dict)
    missing: tuple[str, ...] = ()
