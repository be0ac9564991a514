"""Scorers: predictions in, named scores out. Needs numpy alone."""

from . import formats
from .classification import ScorerClassification
from .ensemble import ScorerEnsemble
from .keypoints import ScorerKeypointDetection
from .look_alikes import ScorerLookAlikeEntropy
from .object_detection import ScorerObjectDetection
from .predictions import (
    ClassificationPredictions,
    DetectionPredictions,
    EnsemblePredictions,
    KeypointPredictions,
    SegmentationPredictions,
)
from .scorer import Scorer
from .scores import Scores
from .semantic_segmentation import ScorerSemanticSegmentation

__all__ = [
    "ClassificationPredictions",
    "DetectionPredictions",
    "EnsemblePredictions",
    "KeypointPredictions",
    "Scorer",
    "ScorerClassification",
    "ScorerEnsemble",
    "ScorerKeypointDetection",
    "ScorerLookAlikeEntropy",
    "ScorerObjectDetection",
    "ScorerSemanticSegmentation",
    "Scores",
    "SegmentationPredictions",
    "formats",
]
