"""Uncertainty scores for image classification."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from . import uncertainty
from .predictions import ClassificationPredictions
from .scorer import Scorer


class ScorerClassification(Scorer[ClassificationPredictions]):
    """Least confidence, margin and entropy of each item's class distribution.

    With p1 and p2 the two largest of c probabilities, all in `[0, 1]`: 0 for a certain class, 1 where all classes tie, and
    for the margin already where the first two do.

    | score | formula |
    | --- | --- |
    | `uncertainty_least_confidence` | `(1 - p1) / (1 - 1/c)` |
    | `uncertainty_margin` (default) | `1 - (p1 - p2)` |
    | `uncertainty_entropy` | `-sum(p log2 p) / log2 c` |

    Args:
        predictions: `ClassificationPredictions` of n items, or an iterable of them.

    Examples:
        >>> from scorers import ClassificationPredictions
        >>> scorer = ScorerClassification(ClassificationPredictions(["a.png", "b.png"], [[0.9, 0.1], [0.6, 0.4]]))
        >>> scorer.scores().column("uncertainty_margin").round(2).tolist()
        [0.2, 0.8]

    References:
        B. Settles, Active Learning Literature Survey, 2009, University of Wisconsin TR 1648.
        Default: D. Bahri et al., Is margin all you need?, 2022, arXiv:2210.03822.
    """

    takes = ClassificationPredictions
    default = "uncertainty_margin"

    def score_chunk(self, predictions: ClassificationPredictions) -> Mapping[str, npt.NDArray[np.float64]]:
        """The three scores of n items; time O(n c), memory O(n)."""
        return uncertainty.uncertainties(predictions.probabilities)
