"""CLUSTER_MARGIN: the highest scores, taken in turn from clusters, small clusters first."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from .clustering import cluster, rows_by_id
from .distances import check_metric, vectors_in
from .pool import Pool
from .reasons import score_reasons
from .sampler import Picks, Sampler, checked_count

ITEMS_PER_CLUSTER = 10
MOST_CLUSTERS = 1000


@dataclass(frozen=True)
class SamplerClusterMargin(Sampler):
    """Of the highest scores, ten times as many as asked for, one from each cluster in turn, small clusters first.

    All items, labeled or not, are clustered; the same pool and seed have the same clusters in every round of labeling. The
    `margin_factor * n_samples` candidates with the highest scores are kept. Clusters take turns in ascending order of how
    many of these they hold, of equal ones first the cluster with the higher best score; inside a cluster the highest score
    comes first, ties to the lower row. The gain is the score.

    The paper's scores are margins: pass a margin scorer for the method as published. It clusters by average linkage, cut at
    a distance; ours is k-means with a given number of clusters. Inside a cluster it picks at random; ours takes the highest
    score.

    Time O(n c d) in matrix products for c clusters, memory O(n d).

    Args:
        n_clusters: Number of clusters; None: one per 10 items, at most 1,000.
        margin_factor: How many times `n_samples` candidates are kept; the paper's k_m / k_t; 1 is UNCERTAINTY's items in
            another order.
        metric: `euclidean`, or `cosine`: distances of vectors divided by their lengths, none of which may be 0.

    Raises:
        ValueError: An option is out of range.

    Examples:
        >>> vectors = np.array([[0.0], [0.1], [0.2], [9.0]])
        >>> pool = Pool(("a", "b", "c", "d"), scores=[0.7, 0.9, 0.8, 0.6], vectors=vectors)
        >>> SamplerClusterMargin(n_clusters=2).select(pool, 2).item_ids
        ('d', 'b')

    References:
        G. Citovsky et al., Batch Active Learning at Scale, 2021, arXiv:2107.14263.
    """

    method: ClassVar[str] = "CLUSTER_MARGIN"
    n_clusters: int | None = None
    margin_factor: int = 10
    metric: str = "euclidean"

    def __post_init__(self) -> None:
        if self.n_clusters is not None:
            checked_count(self.n_clusters, "n_clusters")
        checked_count(self.margin_factor, "margin_factor")
        check_metric(self.metric)

    @property
    def needs_scores(self) -> bool:
        """Always."""
        return True

    @property
    def needs_vectors(self) -> bool:
        """Always."""
        return True

    def pick(self, pool: Pool, n_samples: int, rng: np.random.Generator, on_pick: Callable[[int], object]) -> Picks:
        """Cluster, keep the highest scores, and go round."""
        assert pool.scores is not None
        n_clusters = self.n_clusters or min(MOST_CLUSTERS, -(-len(pool) // ITEMS_PER_CLUSTER))
        labels, _ = cluster(vectors_in(pool, self.metric), n_clusters, rng, order=rows_by_id(pool.item_ids))

        candidates = pool.candidates
        best_first = np.lexsort((candidates, -pool.scores[candidates]))
        kept = candidates[best_first[: self.margin_factor * n_samples]]
        group = labels[kept]
        sizes, first = np.bincount(group), np.full(labels.max() + 1, len(kept))
        np.minimum.at(first, group, np.arange(len(kept)))  # the place of each cluster's best score
        by_group = np.argsort(group, kind="stable")
        turn = np.empty(len(kept), dtype=np.int64)
        turn[by_group] = np.arange(len(kept)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
        order = np.lexsort((first[group], sizes[group], turn))[:n_samples]

        rows = kept[order]
        on_pick(n_samples)
        reasons = tuple(
            f"{reason}; number {place + 1:,} of {size:,} in its cluster among the {len(kept):,} highest scores"
            for reason, place, size in zip(score_reasons(pool, rows), turn[order].tolist(), sizes[group[order]].tolist())
        )
        return Picks(rows, pool.scores[rows], reasons)
