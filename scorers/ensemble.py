"""Uncertainty scores of a committee: on which items do its members disagree?"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from . import uncertainty
from .checks import FloatArray, row_blocks
from .predictions.ensemble import EnsemblePredictions
from .scorer import Scorer

Vector = npt.NDArray[np.float64]


class ScorerEnsemble(Scorer[EnsemblePredictions]):
    """Disagreement between the members of a committee on each item, and the uncertainty of their mean.

    With t members, c classes, the members' distributions p_1 to p_t, their mean p, the entropy H in bits, and the share v_k
    of members whose likeliest class is k (the first of those that tie):

    | score | formula | range |
    | --- | --- | --- |
    | `bald` (default) | `(H(p) - mean H(p_i)) / log2 c` | 0 to `log2 min(t, c) / log2 c` |
    | `mean_kl` | `mean KL(p_i, p)` in bits, which is `bald * log2 c` | 0 to `log2 min(t, c)` |
    | `vote_entropy` | `-sum(v_k log2 v_k) / log2 min(t, c)` | 0 to 1 |
    | `variation_ratio` | `1 - max v_k` | 0 to `1 - 1 / min(t, c)` |
    | `uncertainty_least_confidence`, `_margin`, `_entropy` | of p, as by `ScorerClassification` | 0 to 1 |

    All are 0 where the members agree on a certain class. Where they agree to be unsure, the first four are still 0 and the
    last three are high: such an item is noisy, and a label of it teaches little. `bald` is in the unit of
    `uncertainty_entropy`: what is left of that without `bald` is the mean entropy of the members. Votes see no degrees:
    members that differ by a hair between two equal classes disagree in full by `vote_entropy` and `variation_ratio`.

    `mean_kl`, the mean divergence of the members from their consensus, and `bald`, the mutual information of label and
    member, are one number in two units: they rank alike. `mean_kl` is not scaled by the classes, so that it compares
    between tasks.

    Args:
        predictions: `EnsemblePredictions` of n items, or an iterable of them. Time O(n t c), memory O(n).

    Examples:
        >>> from scorers import EnsemblePredictions
        >>> agree, torn, noisy = [[1.0, 0.0], [1.0, 0.0]], [[1.0, 0.0], [0.0, 1.0]], [[0.5, 0.5], [0.5, 0.5]]
        >>> scores = ScorerEnsemble(EnsemblePredictions(["a", "b", "c"], [agree, torn, noisy])).scores()
        >>> scores.column("bald").tolist(), scores.column("uncertainty_entropy").tolist()
        ([0.0, 1.0, 0.0], [0.0, 1.0, 1.0])

    References:
        `bald`: N. Houlsby, F. Huszár, Z. Ghahramani and M. Lengyel, 2011, arXiv:1112.5745.
        `mean_kl`: A. McCallum and K. Nigam, Employing EM and Pool-Based Active Learning for Text Classification, ICML 1998.
        `vote_entropy`: I. Dagan and S. Engelson, 1995, doi:10.1016/B978-1-55860-377-6.50027-X.
        `variation_ratio`: L. Freeman, Elementary Applied Statistics, 1965; for networks Y. Gal, R. Islam and Z. Ghahramani,
        2017, arXiv:1703.02910.
    """

    takes = EnsemblePredictions
    default = "bald"

    def score_chunk(self, predictions: EnsemblePredictions) -> Mapping[str, Vector]:
        """The scores of n items; time O(n t c), memory O(n)."""
        n, t, c = predictions.probabilities.shape
        columns: dict[str, Vector] = {}
        for rows in row_blocks(n, t * c):
            block = np.ascontiguousarray(predictions.probabilities[rows])  # one layout, one order of summing
            information = mutual_information(block)
            votes = vote_counts(block)
            scores = {
                "bald": np.minimum(information / math.log2(c), 1.0),
                "mean_kl": information,
                "vote_entropy": vote_entropy(votes),
                "variation_ratio": variation_ratio(votes),
                **uncertainty.uncertainties(block.mean(axis=1, dtype=np.float64)),
            }
            for name, values in scores.items():
                columns.setdefault(name, np.empty(n))[rows] = values
        return columns


def mutual_information(probabilities: FloatArray) -> Vector:
    """What an item's label would tell about which member is right: `H(mean_i p_i) - mean_i H(p_i)`, in bits.

    It equals the mean Kullback-Leibler divergence of the members from their mean. Rows are scaled to sum to 1 exactly, so
    that their rounding is not taken for disagreement. Memory O(n t c).

    Args:
        probabilities: `(n, t, c)` distributions of t members.

    Returns:
        `(n,)` values from 0 to `log2 min(t, c)`.

    Examples:
        >>> agree, torn = [[0.5, 0.5], [0.5, 0.5]], [[1.0, 0.0], [0.0, 1.0]]
        >>> mutual_information(np.array([agree, torn])).tolist()
        [0.0, 1.0]

    References:
        N. Houlsby, F. Huszár, Z. Ghahramani and M. Lengyel, 2011, arXiv:1112.5745.
    """
    values = probabilities.astype(np.float64)
    values /= values.sum(axis=2, keepdims=True)
    information: Vector = _entropies(values.mean(axis=1)) - _entropies(values).mean(axis=1)
    return np.maximum(information, 0.0)


def vote_counts(probabilities: FloatArray) -> npt.NDArray[np.int64]:
    """How many of t members find each class likeliest, `(n, c)`; the first of the classes that tie gets the vote.

    Examples:
        >>> vote_counts(np.array([[[0.6, 0.4], [0.5, 0.5], [0.1, 0.9]]])).tolist()
        [[2, 1]]
    """
    n, _, c = probabilities.shape
    votes = probabilities.argmax(axis=2) + c * np.arange(n)[:, None]
    return np.bincount(votes.ravel(), minlength=n * c).reshape(n, c).astype(np.int64)


def vote_entropy(counts: npt.NDArray[np.int64]) -> Vector:
    """Entropy of the votes of t members over its maximum: `-sum(v_k log2 v_k) / log2 min(t, c)`, with `0 log 0 = 0`.

    Args:
        counts: `(n, c)` votes for each class, from `vote_counts`; t of at least 2 for each item.

    Examples:
        >>> vote_entropy(np.array([[2, 0, 0], [1, 1, 0]])).tolist()
        [0.0, 1.0]

    References:
        I. Dagan and S. Engelson, 1995, doi:10.1016/B978-1-55860-377-6.50027-X.
    """
    n_votes = counts.sum(axis=1)
    most = np.log2(np.minimum(n_votes, counts.shape[1]))
    entropy: Vector = _entropies(counts / n_votes[:, None]) / most
    return np.clip(entropy, 0.0, 1.0)


def variation_ratio(counts: npt.NDArray[np.int64]) -> Vector:
    """Share of the votes that are not for the class of most votes: `1 - max v_k`.

    Args:
        counts: `(n, c)` votes for each class, from `vote_counts`.

    Examples:
        >>> variation_ratio(np.array([[4, 0, 0], [2, 1, 1]])).tolist()
        [0.0, 0.5]

    References:
        L. Freeman, Elementary Applied Statistics, 1965.
    """
    ratio: Vector = 1 - counts.max(axis=1) / counts.sum(axis=1)
    return ratio


def _entropies(distributions: Vector) -> Vector:
    """Shannon's entropy in bits over the last axis, with `0 log 0 = 0`."""
    logs = distributions + np.finfo(np.float64).tiny  # changes zeros alone, whose logarithm is then finite and times 0
    entropy: Vector = 0.0 - np.einsum("...j,...j->...", distributions, np.log2(logs))
    return entropy
