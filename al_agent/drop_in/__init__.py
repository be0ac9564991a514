"""The names of SuperAnnotate's active-learning code on our parts, so that its users change their imports alone.

Needs torch. The published code is github.com/superannotateai/active_learning. What differs, and how new programs do
the same, is on the page "Coming from SuperAnnotate's code".
"""

from scorers.learning_loss import LossPredictionLoss

from .choice import choose_new_labeled_indices
from .entropies import write_entropies_csv
from .networks import ActiveLearning, DiscriminativeActiveLearning

__all__ = [
    "ActiveLearning",
    "DiscriminativeActiveLearning",
    "LossPredictionLoss",
    "choose_new_labeled_indices",
    "write_entropies_csv",
]
