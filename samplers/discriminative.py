"""DISCRIMINATIVE: what a network that learned to tell labeled from unlabeled items is most sure is unlabeled."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, NamedTuple

import numpy as np
import numpy.typing as npt

from .clustering import rows_by_id
from .distances import Distances, Rows, blocks
from .pool import Pool, Vectors
from .sampler import Picks, Sampler, checked_count

if TYPE_CHECKING:
    from .discriminator import Training

_FEW = 10  # candidates for each pick
_CHANCE = 0.55  # a balanced accuracy below this counts as that of guessing, which is 0.5


@dataclass(frozen=True)
class SamplerDiscriminative(Sampler):
    """What looks least like the labeled items: the batch that makes labeled and unlabeled items hard to tell apart.

    The batch is picked in `n_sub_batches` parts of nearly equal size. For each part a new network learns to tell the labeled
    items from a random subset of the candidates, `candidate_factor` times as many as are labeled. The items of the subset
    with the largest probability `p(unlabeled | x)` are picked, ties to the lower row, and count as labeled from then on.
    That probability is the gain; those of different parts come from different networks and do not compare.

    The network has three hidden layers of 256, or of 20 for fewer than 30 dimensions, and the two sets have equal weight in
    its loss. It is trained until its balanced accuracy on the items it learns from reaches `stop_accuracy`, and no further:
    one that knows every item by heart finds all candidates equally unlike, and picks at random. The balanced accuracy is the
    mean of the shares of both sets that are told right, 0.5 for guessing; with ten unlabeled items to each labeled one,
    a network that always says "unlabeled" would have a plain accuracy of 0.91. Before, each coordinate is brought to mean 0
    and standard deviation 1 over the items of the part, in float32, so that units do not matter; a coordinate that is the
    same everywhere becomes 0.

    Needs torch, and at least one labeled item. No class probabilities are needed. The authors found it on par with
    uncertainty, core-set and others, and not better.

    On one machine with one version of torch the same seed gives the same batch, for any number of threads: it computes on
    one. Another processor or device rounds differently, and may give another.

    Time O(parts epochs m (256 d + 256²)) for m items that a network learns from, 1 + `candidate_factor` times as many as are
    labeled; memory O(m d). Only these are read, so vectors may stay on disk.

    Args:
        n_sub_batches: Parts that the batch is picked in; one is clearly worse, and beyond ten the paper gained little.
        candidate_factor: Size of a part's subset, as a multiple of the items labeled by then; never fewer than the part
            takes. None takes all candidates.
        stop_accuracy: Balanced accuracy that ends the training, above 0.5 and below 1.
        max_epochs: Passes over its items that a training may take. With 128 dimensions a few are enough; with fewer than 30,
            sets that are alike take them all.
        minibatch_size: Items in a step of the training.
        learning_rate: Of Adam.
        device: Where torch computes, such as `cuda`; None is the processor.

    Raises:
        ValueError: An option is out of range; at `select`, if nothing is labeled, or torch has no such device.
        ImportError: At `select`, if torch is not installed.

    Examples:
        >>> vectors = np.array([[0.0, 0.1], [0.1, 0.0], [0.0, 0.0], [0.1, 0.1], [9.0, 9.1], [9.1, 9.0]])
        >>> pool = Pool(tuple("abcdef"), np.array([True, True, False, False, False, False]), vectors=vectors)
        >>> sorted(SamplerDiscriminative().select(pool, 2).item_ids)
        ['e', 'f']

    References:
        D. Gissin and S. Shalev-Shwartz, Discriminative Active Learning, 2019, arXiv:1907.06347.
    """

    method: ClassVar[str] = "DISCRIMINATIVE"
    n_sub_batches: int = 10
    candidate_factor: int | None = 10
    stop_accuracy: float = 0.98
    max_epochs: int = 500
    minibatch_size: int = 256
    learning_rate: float = 1e-3
    device: str | None = None

    def __post_init__(self) -> None:
        checked_count(self.n_sub_batches, "n_sub_batches")
        if self.candidate_factor is not None:
            checked_count(self.candidate_factor, "candidate_factor")
        _check_between(self.stop_accuracy, "stop_accuracy", 0.5, 1)
        checked_count(self.max_epochs, "max_epochs")
        checked_count(self.minibatch_size, "minibatch_size")
        _check_between(self.learning_rate, "learning_rate", 0, math.inf)
        _check_device(self.device)

    @property
    def needs_vectors(self) -> bool:
        """Always."""
        return True

    def pick(self, pool: Pool, n_samples: int, rng: np.random.Generator, on_pick: Callable[[int], object]) -> Picks:
        """One part after the other."""
        assert pool.vectors is not None
        if not pool.is_labeled.any():
            raise ValueError(
                f"{self.method} compares candidates with labeled items, and nothing is labeled; take the first batch by "
                "TYPICLUST or RANDOM, and label it"
            )
        parts = self._parts(pool.vectors, pool, n_samples, rng, on_pick)
        reasons = (
            f"{one:.3f} sure to be unlike the labeled, sub-batch {number} of {len(parts)}, whose discriminator reached "
            f"{part.training.accuracy:.3f} in {part.training.n_epochs} epoch{'s' if part.training.n_epochs > 1 else ''}"
            for number, part in enumerate(parts, start=1)
            for one in part.probabilities.tolist()
        )
        return Picks(
            np.concatenate([part.rows for part in parts]),
            np.concatenate([part.probabilities for part in parts]),
            tuple(reasons),
            self._note(parts),
        )

    def _parts(
        self, vectors: Vectors, pool: Pool, n_samples: int, rng: np.random.Generator, on_pick: Callable[[int], object]
    ) -> list[_Part]:
        try:
            from . import discriminator  # noqa: PLC0415  # torch is an extra, and slow to load
        except ModuleNotFoundError as error:
            if error.name != "torch":
                raise
            raise ImportError(f'{self.method} needs torch: pip install "al-agent[torch]"') from error
        recipe = discriminator.Recipe(self.stop_accuracy, self.max_epochs, self.minibatch_size, self.learning_rate)
        # Draws run over items sorted by id, so that the order of the pool does not matter.
        order = rows_by_id(pool.item_ids)
        labeled, candidates = order[pool.is_labeled[order]], order[~pool.is_labeled[order]]
        parts: list[_Part] = []
        n_parts = min(self.n_sub_batches, n_samples)
        with discriminator.alone(self.device) as device:
            for number in range(n_parts):
                n_picks = n_samples // n_parts + (number < n_samples % n_parts)
                size = len(candidates)
                if self.candidate_factor is not None:
                    size = min(size, max(self.candidate_factor * len(labeled), n_picks))
                subset = candidates[np.sort(rng.choice(len(candidates), size, replace=False))]
                items = standardized(vectors, np.concatenate([labeled, subset]))
                network, training = discriminator.trained(items, np.arange(len(items)) >= len(labeled), recipe, rng, device)
                log_odds = network.log_odds(items[len(labeled) :])
                best = np.lexsort((subset, -log_odds))[:n_picks]
                is_narrow = size < min(_FEW * n_picks, len(candidates))
                parts.append(_Part(subset[best], _logistic(log_odds[best]), training, size, is_narrow))
                labeled = np.concatenate([labeled, subset[best]])
                candidates = candidates[~np.isin(candidates, subset[best])]
                on_pick(n_picks)
        return parts

    def _note(self, parts: Sequence[_Part]) -> str:
        """What the user should know before trusting the batch."""
        of_all = f"of {len(parts)} sub-batches"
        notes = []
        if narrow := [part for part in parts if part.is_narrow]:
            least = min(narrow, key=lambda part: part.n_subset / len(part.rows))
            notes.append(
                f"{len(narrow)} {of_all} had fewer than {_FEW} candidates for each pick, the narrowest {least.n_subset:,} "
                f"for {len(least.rows):,}, as their random subsets are {self.candidate_factor} times the labeled: "
                "candidate_factor=None takes all candidates, and few labels are better followed by TYPICLUST"
            )
        if guessing := [part for part in parts if part.training.accuracy < _CHANCE]:
            notes.append(
                f"the discriminators of {len(guessing)} {of_all} cannot tell labeled from unlabeled, with balanced "
                f"accuracies of {_range(guessing)} where guessing has 0.5: their picks are little better than random"
            )
        if short := [part for part in parts if _CHANCE <= part.training.accuracy < self.stop_accuracy]:
            notes.append(
                f"the discriminators of {len(short)} {of_all} reached balanced accuracies of {_range(short)} in "
                f"max_epochs={self.max_epochs}, and not stop_accuracy={self.stop_accuracy:g}"
            )
        return "; ".join(notes)


class _Part(NamedTuple):
    """A part of the batch, and the training that found it."""

    rows: Rows
    probabilities: Distances
    training: Training
    n_subset: int
    is_narrow: bool


def standardized(vectors: Vectors, rows: Rows) -> npt.NDArray[np.float32]:
    """Some rows with each coordinate brought to mean 0 and standard deviation 1 over them.

    Read twice in blocks, and computed in float64 from differences to the first row, so that neither large coordinates nor
    those far from 0 lose digits. A coordinate that is the same everywhere becomes 0.

    Args:
        vectors: `(n, d)` finite floats, in memory or on disk.
        rows: `(m,)` rows, at least one.

    Returns:
        `(m, d)` float32.
    """
    origin = vectors[rows[0]].astype(np.float64)
    count, mean, squares = 0, np.zeros(len(origin)), np.zeros(len(origin))
    for part in blocks(len(rows), len(origin)):  # Chan, Golub and LeVeque, 1983, doi:10.1080/00031305.1983.10483115
        values = vectors[rows[part]].astype(np.float64) - origin
        mean_here = values.mean(axis=0)
        apart = mean_here - mean
        total = count + len(values)
        squares += np.square(values - mean_here).sum(axis=0) + np.square(apart) * (count * len(values) / total)
        mean += apart * (len(values) / total)
        count = total
    scale = np.sqrt(squares) / math.sqrt(count)
    scale[scale == 0] = np.inf
    result = np.empty((len(rows), len(origin)), dtype=np.float32)
    for part in blocks(len(rows), len(origin)):
        result[part] = (vectors[rows[part]].astype(np.float64) - origin - mean) / scale
    return result


def _check_between(value: object, name: str, low: float, high: float) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float | np.number) or not low < float(value) < high:
        upper = "finite" if math.isinf(high) else f"below {high:g}"
        raise ValueError(f"{name} is {value!r}; expected a number above {low:g}, {upper}")


def _check_device(value: object) -> None:
    if value is not None and (not isinstance(value, str) or not value):
        raise ValueError(f"device is {value!r}; expected the name of a device of torch, such as 'cuda', or None")


def _logistic(log_odds: Distances) -> Distances:
    result: Distances = np.exp(-np.logaddexp(0, -log_odds))
    return result


def _range(parts: Sequence[_Part]) -> str:
    low, high = (f"{pick(part.training.accuracy for part in parts):.3f}" for pick in (min, max))
    return low if low == high else f"{low} to {high}"
