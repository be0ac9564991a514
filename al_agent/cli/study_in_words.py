"""What `al-agent simulate` prints of a study below its tables, and gives to programs."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Collection
from typing import Any

import numpy as np

from ..simulation.cost import Way
from ..simulation.figures import gain_of_area, labels_saved_at
from ..simulation.study import StudyResult
from ..simulation.study.amounts import CLASSES
from ..simulation.study.prices import cost_words
from .output import WIDTH, listed


def not_shown(every: Collection[str], shown: Collection[str]) -> list[str]:
    """A line for the methods of the folder that were not asked for."""
    others = [method for method in every if method not in shown]
    return [listed("Also in the folder, and shown where --methods names them:", others)] if others else []


def cost_command(result: StudyResult, against: str, n_pool: int) -> list[str]:
    """The command that puts prices on what the best method saves; nothing where that has no interval.

    Args:
        result: The study.
        against: The method that others are compared with.
        n_pool: Items in the pool.
    """
    best = result.best(against=against)
    ways = None if best is None else result.ways(best, against=against)
    words = [] if ways is None else cost_words(ways, n_pool)
    if not words:
        return []
    lines = textwrap.wrap(" ".join(word.replace(" ", "\0") for word in words), WIDTH - 6, break_on_hyphens=False)
    command = " \\\n    ".join(lines).replace("\0", " ")  # an option and its value stay on one line
    return [f"What {best} is worth at your prices:", command]


def figures(result: StudyResult, method: str, against: str) -> dict[str, Any]:
    """What programs read of a method; null where there is no number, and where an interval is open."""
    curves = result.curves
    budgets = curves.shared_budgets()
    found: dict[str, Any] = {
        "n_labeled": budgets.astype(np.int64).tolist(),
        "mean_accuracy": [_or_none(mean) for mean in curves.at(method, budgets).mean(axis=0).tolist()],
        "mean_classes_seen": [_or_none(mean) for mean in result.amounts(CLASSES)[method].mean(axis=0).tolist()],
    }
    if method != against:
        saving = labels_saved_at(curves, method, float(budgets[-1]), against=against)
        gain = gain_of_area(curves, method, against=against)
        for key, figure in (("labels_saved", saving.count), ("share_saved", saving.share), ("gain", gain.absolute)):
            found[key] = {"value": figure.value, "low": figure.low, "high": figure.high, "note": figure.note}
        found["p"] = gain.p_t_test
        without, active = result.ways(method, against=against)
        found["images_without"], found["images_with"] = _images(without), _images(active)
    return found


def _images(way: Way) -> dict[str, float | None] | None:
    if way.images is None:
        return None
    images = way.images
    ends = (_or_none(images.lowest), _or_none(images.highest)) if images.has_interval else (None, None)
    return {"value": images.value, "low": ends[0], "high": ends[1]}


def _or_none(number: float) -> float | None:
    return number if math.isfinite(number) else None
