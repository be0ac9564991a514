"""Predictions of a model as flat arrays keyed by item ids, checked once at birth: one module for each kind."""

from .classification import ClassificationPredictions
from .detection import DetectionPredictions
from .ensemble import EnsemblePredictions

__all__ = ["ClassificationPredictions", "DetectionPredictions", "EnsemblePredictions"]
