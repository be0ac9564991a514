"""TYPICLUST and TCM: the most typical items of the largest clusters without a label; then the highest scores."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from .clustering import cluster, rows_by_id
from .density import N_LANDMARKS, nearest_distances
from .distances import Distances, Rows, check_metric, mean_of, squared_distances, vectors_in
from .pool import Pool, Vectors
from .sampler import Picks, Sampler, checked_count
from .uncertainty import SamplerUncertainty

N_NEIGHBOURS = 20  # the paper's, as are the next three
SMALLEST_CLUSTER = 5
MAX_CLUSTERS = 500
_EPSILON = 1e-5
_SHORTEST_LIST, _LONGEST_LIST = 128, 1024


@dataclass(frozen=True)
class SamplerTypiClust(Sampler):
    """In the largest clusters without a label, the candidate whose neighbours are nearest.

    All items are cut into as many clusters as there are labeled items and picks, at most `max_clusters`. Each pick comes
    from the cluster with the fewest labeled or picked items, of these from the largest, and is its candidate with the
    largest typicality: 1 / mean distance to its 20 nearest neighbours in the cluster, or to all others if there are fewer.
    Clusters of fewer than 5 items come last. Of two candidates equally typical, as the two of a cluster of two are, the one
    nearer to the pool's mean comes first, then the lower row.

    The gain is `1 / (mean distance + 0.00001)`, with the constant of the authors' code, which keeps it finite and decides
    nothing; an item alone in its cluster has gain 0.

    As in the authors' code the number of clusters is capped, and then picks go round again. Ours differs where it goes
    round: the cluster with fewest labels comes first in each round, too. Clusters are those of k-means on a sample. In a
    cluster of more than 1,024 items, typicality among 1,024 of them drawn at random makes a shortlist of at least 128, and
    the whole cluster decides among these.

    Time O(n d (labeled + picks)) with the cap, memory O(n d).

    Args:
        max_clusters: Largest number of clusters.
        metric: `euclidean`, or `cosine`: distances of vectors divided by their lengths, none of which may be 0.

    Raises:
        ValueError: An option is out of range.

    Examples:
        >>> vectors = np.array([[0.0], [1.0], [2.0], [3.0], [4.0], [90.0], [91.0], [92.0], [93.0], [94.0], [95.0], [99.0]])
        >>> selection = SamplerTypiClust().select(Pool(tuple("abcdefghijkl"), vectors=vectors), 2)
        >>> selection.item_ids, selection.reasons[0]
        (('i', 'c'), 'most typical of a cluster of 7 without a label')

    References:
        G. Hacohen, A. Dekel and D. Weinshall, Active Learning on a Budget: Opposite Strategies Suit High and Low Budgets,
        2022, arXiv:2202.02794.
    """

    method: ClassVar[str] = "TYPICLUST"
    max_clusters: int = MAX_CLUSTERS
    metric: str = "euclidean"

    def __post_init__(self) -> None:
        checked_count(self.max_clusters, "max_clusters")
        check_metric(self.metric)

    @property
    def needs_vectors(self) -> bool:
        """Always."""
        return True

    def pick(self, pool: Pool, n_samples: int, rng: np.random.Generator, on_pick: Callable[[int], object]) -> Picks:
        """Cluster, share the picks out among the clusters, and pick in each."""
        vectors = vectors_in(pool, self.metric)
        order = rows_by_id(pool.item_ids)
        n_clusters = min(len(pool.labeled) + n_samples, self.max_clusters)
        labels, _ = cluster(vectors, n_clusters, rng, order=order)
        sizes, n_labeled = np.bincount(labels), np.bincount(labels[pool.labeled], minlength=labels.max() + 1)
        clusters, rounds = _turns(sizes, n_labeled, n_samples)

        rows, means = np.empty(n_samples, dtype=np.int64), np.empty(n_samples)
        members_of = np.split(order[np.argsort(labels[order], kind="stable")], np.cumsum(sizes)[:-1])
        turns_of = np.split(np.argsort(clusters, kind="stable"), np.cumsum(np.bincount(clusters, minlength=len(sizes)))[:-1])
        middle = mean_of(vectors)
        for members, turns in zip(members_of, turns_of):
            if len(turns):
                rows[turns], means[turns] = _most_typical(
                    vectors, members, ~pool.is_labeled[members], len(turns), middle, rng
                )
                on_pick(len(turns))
        reasons = tuple(
            _reason(int(sizes[label]), int(n_labeled[label]), turn)
            for label, turn in zip(clusters.tolist(), rounds.tolist())
        )
        return Picks(rows, 1 / (means + _EPSILON), reasons)


@dataclass(frozen=True)
class SamplerTypiClustMargin(Sampler):
    """TYPICLUST until enough is labeled for scores to be trusted, then the highest scores first.

    With fewer than `switch_at` labeled items the whole batch is TYPICLUST's, with `switch_at` or more UNCERTAINTY's. The
    paper's scores are margins: pass a margin scorer for the method as published. A pool must have scores from the start, as
    the door cannot know which half a pool will meet.

    The paper switches by the labeling budget and the number of classes, early with features of a self-supervised model; a
    pool does not know its classes, so the default of 200, twenty labels each for ten classes, is ours.

    Args:
        switch_at: Number of labeled items from which scores are used; 1 uses TYPICLUST for a cold start alone.
        max_clusters: As for TYPICLUST.
        metric: As for TYPICLUST.

    Raises:
        ValueError: An option is out of range.

    Examples:
        >>> pool = Pool(("a", "b", "c"), np.array([True, False, False]), [0.0, 0.2, 0.9], np.array([[0.0], [1.0], [9.0]]))
        >>> SamplerTypiClustMargin(switch_at=1).select(pool, 1).reasons
        ('score 0.9, 50th percentile',)

    References:
        P. Doucet, B. Estermann, T. Aczel and R. Wattenhofer, Bridging Diversity and Uncertainty in Active Learning with
        Self-Supervised Pre-Training, 2024, arXiv:2403.03728.
    """

    method: ClassVar[str] = "TCM"
    switch_at: int = 200
    max_clusters: int = MAX_CLUSTERS
    metric: str = "euclidean"

    def __post_init__(self) -> None:
        checked_count(self.switch_at, "switch_at")
        SamplerTypiClust(self.max_clusters, self.metric)

    @property
    def needs_scores(self) -> bool:
        """Always: from `switch_at` labeled items on they decide."""
        return True

    @property
    def needs_vectors(self) -> bool:
        """Always: before that, they do."""
        return True

    def pick(self, pool: Pool, n_samples: int, rng: np.random.Generator, on_pick: Callable[[int], object]) -> Picks:
        """Pick as the one or the other."""
        is_cold = len(pool.labeled) < self.switch_at
        sampler = SamplerTypiClust(self.max_clusters, self.metric) if is_cold else SamplerUncertainty()
        return sampler.pick(pool, n_samples, rng, on_pick)


def _turns(sizes: Rows, n_labeled: Rows, n_samples: int) -> tuple[Rows, Rows]:
    """The cluster of each pick, and how many picks it has had before."""
    n_candidates = sizes - n_labeled
    clusters = np.repeat(np.arange(len(sizes)), n_candidates)
    rounds = np.arange(len(clusters)) - np.repeat(np.cumsum(n_candidates) - n_candidates, n_candidates)
    size = sizes[clusters]
    order = np.lexsort((clusters, -size, n_labeled[clusters] + rounds, size < SMALLEST_CLUSTER))[:n_samples]
    return clusters[order], rounds[order]


def _most_typical(
    vectors: Vectors,
    members: Rows,
    is_candidate: np.ndarray[tuple[int, ...], np.dtype[np.bool_]],
    n: int,
    middle: Distances,
    rng: np.random.Generator,
) -> tuple[Rows, Distances]:
    """The `n` most typical candidates of a cluster, best first, and their mean distances to their neighbours."""
    candidates = members[is_candidate]
    n_neighbours = min(N_NEIGHBOURS, len(members) - 1)
    if n_neighbours == 0:
        return candidates, np.array([np.inf])
    is_far = np.zeros(len(candidates), dtype=bool)  # too far to be on the shortlist
    if len(members) > N_LANDMARKS:
        landmarks = members[np.sort(rng.choice(len(members), N_LANDMARKS, replace=False))]
        means = nearest_distances(vectors, candidates, landmarks, n_neighbours).mean(axis=1)
        n_listed = max(_SHORTEST_LIST, min(4 * n, _LONGEST_LIST))
        is_far[np.lexsort((candidates, means))[n_listed:]] = True
        means[~is_far] = nearest_distances(vectors, candidates[~is_far], members, n_neighbours).mean(axis=1)
    else:
        means = nearest_distances(vectors, candidates, members, n_neighbours).mean(axis=1)
    from_middle = squared_distances(vectors, candidates, middle)
    best = np.lexsort((candidates, from_middle, means, is_far))[:n]
    return candidates[best], means[best]


def _reason(size: int, n_labeled: int, turn: int) -> str:
    if size == 1:
        return "alone in its cluster"
    covered = "a label" if n_labeled == 0 else f"{n_labeled:,} labeled"
    if turn == 0:
        return f"most typical of a cluster of {size:,} {'without' if n_labeled == 0 else 'with'} {covered}"
    return f"next most typical of a cluster of {size:,} with {n_labeled:,} labeled and {turn:,} picked"
