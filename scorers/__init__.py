"""Scorers: predictions in, named scores out. Needs numpy alone."""

from .classification import ScorerClassification
from .look_alikes import ScorerLookAlikeEntropy
from .object_detection import ScorerObjectDetection
from .predictions import ClassificationPredictions, DetectionPredictions, EnsemblePredictions
from .scorer import Scorer
from .scores import Scores

__all__ = [
    "ClassificationPredictions",
    "DetectionPredictions",
    "EnsemblePredictions",
    "Scorer",
    "ScorerClassification",
    "ScorerLookAlikeEntropy",
    "ScorerObjectDetection",
    "Scores",
]
