"""When to stop labeling: the next batch's expected gain against its cost, signals that need no labels, and their judge."""

from .advice import Advice, Decision, next_batch
from .extrapolation import Extrapolation, extrapolate
from .judging import Judgement, Replayed, judge, stop_by_worth
from .power_law import PowerLaw
from .signals import Coverage, Stability, coverage_gain, has_settled, prediction_stability

__all__ = [
    "Advice",
    "Coverage",
    "Decision",
    "Extrapolation",
    "Judgement",
    "PowerLaw",
    "Replayed",
    "Stability",
    "coverage_gain",
    "extrapolate",
    "has_settled",
    "judge",
    "next_batch",
    "prediction_stability",
    "stop_by_worth",
]
