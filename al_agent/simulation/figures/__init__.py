"""Figures of learning curves that decide: how sure a gain is, how many labels are saved, who wins."""

from .curve import Curve
from .curves import Curves, SeededRuns
from .few_seeds import Figure
from .gains import Gain, gain_at, gain_of_area, gains, mean_relative_gain
from .levels import (
    MeanCurve,
    area_under_curve,
    budget_to_reach,
    budgets_to_reach,
    mean_curve,
    performance_at,
    steps_to_reach,
)
from .savings import Saving, StepsSaved, labels_saved, labels_saved_at, steps_saved
from .wins import WinTable, win_table

__all__ = [
    "Curve",
    "Curves",
    "Figure",
    "Gain",
    "MeanCurve",
    "Saving",
    "SeededRuns",
    "StepsSaved",
    "WinTable",
    "area_under_curve",
    "budget_to_reach",
    "budgets_to_reach",
    "gain_at",
    "gain_of_area",
    "gains",
    "labels_saved",
    "labels_saved_at",
    "mean_curve",
    "mean_relative_gain",
    "performance_at",
    "steps_saved",
    "steps_to_reach",
    "win_table",
]
