"""Predictions of a model as flat arrays keyed by item ids, checked once at birth: one module for each kind."""

from .classification import ClassificationPredictions
from .detection import DetectionPredictions
from .ensemble import EnsemblePredictions
from .keypoints import KeypointPredictions
from .segmentation import SegmentationPredictions

__all__ = [
    "ClassificationPredictions",
    "DetectionPredictions",
    "EnsemblePredictions",
    "KeypointPredictions",
    "SegmentationPredictions",
]
