"""Scorers: predictions in, named scores out. Needs numpy alone."""

from .classification import ScorerClassification
from .object_detection import ScorerObjectDetection
from .predictions import ClassificationPredictions, DetectionPredictions
from .scorer import Scorer
from .scores import Scores

__all__ = [
    "ClassificationPredictions",
    "DetectionPredictions",
    "Scorer",
    "ScorerClassification",
    "ScorerObjectDetection",
    "Scores",
]
