"""K-means whose clusters are the same for any number of threads and any order of the items."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .distances import Distances, Rows, squared_distances
from .nearest import nearest_points
from .pool import Vectors

ROWS_PER_CLUSTER = 8  # 20 make the sum of squares 1% to 3% smaller, and it takes twice as long
SMALLEST_SAMPLE = 8192
_SEEDS_PER_ROUND = 8  # a round draws an eighth of the seeds there are
_MOST_THINNED = 500  # with more clusters, what a real cluster without a seed costs is small, and thinning is slow
_SURPLUS = 3
_TRIALS = 4


def cluster(
    vectors: Vectors, n_clusters: int, rng: np.random.Generator, *, order: Rows | None = None, n_iterations: int = 10
) -> tuple[Rows, Distances]:
    """Cut the rows into at most `n_clusters` clusters by k-means on a sample.

    Lloyd's iterations run on a random sample of 8 rows a cluster, at least 8,192, and end when the sum of squares falls by
    less than 1%. Then every row goes to its nearest center, ties to the first.

    They start from k-means++ seeds that are drawn in rounds: a round draws, with chances in proportion to the squared
    distance from the nearest seed, up to an eighth of the seeds there are. For up to 500 clusters three times as many seeds
    are drawn, each weighted by the rows nearest to it, and thinned out by greedy k-means++: of four drawn the one that
    lowers the weighted sum of squares most. On 100 tight clusters this finds all 100; plain k-means++ misses some, and the
    sum of squares is 2 to 7 times as large.

    A center that no row is nearest to is dropped, and equal rows share a cluster: there may be fewer clusters than asked
    for, and never more than distinct rows. Assignments are exact and sums float64 in a fixed order, so that block sizes
    and threads cannot change a label.

    Args:
        vectors: `(n, d)` finite floats, n at least 1.
        n_clusters: Number of clusters, at least 1.
        rng: Draws the sample and the seeds.
        order: `(n,)` all rows in the order that draws run over; sorted by id, the clusters do not depend on the order of
            the items. None: ascending.
        n_iterations: Largest number of iterations.

    Returns:
        `(n,)` the cluster of each row, from 0 on, none empty, and the `(c, d)` float64 centers that the rows are nearest
        to. Time O(n c d) in matrix products, memory O(n + c d).

    Examples:
        >>> labels, centers = cluster(np.array([[0.0], [9.0], [1.0]]), 2, np.random.default_rng(0))
        >>> bool(labels[0] == labels[2] != labels[1]), sorted(centers[:, 0].tolist())
        (True, [0.5, 9.0])

    References:
        S. Lloyd, 1982, doi:10.1109/TIT.1982.1056489; D. Arthur and S. Vassilvitskii, k-means++, 2007; the rounds: B. Bahmani
        et al., Scalable K-Means++, 2012, arXiv:1203.6402.
    """
    n = len(vectors)
    rows: Rows = np.arange(n) if order is None else order
    n_sampled = max(SMALLEST_SAMPLE, ROWS_PER_CLUSTER * n_clusters)
    sample = vectors[rows if n_sampled >= n else rows[np.sort(rng.choice(n, n_sampled, replace=False))]]
    if n_clusters <= _MOST_THINNED:
        seeds = _thinned(sample, _seeds(sample, _SURPLUS * n_clusters, rng), n_clusters, rng)
    else:
        seeds = _seeds(sample, n_clusters, rng)
    centers: Distances = sample[seeds].astype(np.float64)
    last = np.inf
    for _ in range(n_iterations):
        labels, squared = nearest_points(sample, centers)
        cost = float(squared.sum())
        if cost == 0 or cost > 0.99 * last:
            break
        last = cost
        centers = _means(sample, labels)
    labels, _ = nearest_points(vectors, centers)
    kept, labels = np.unique(labels, return_inverse=True)
    return labels, centers[kept]


def _seeds(sample: Vectors, n_seeds: int, rng: np.random.Generator) -> Rows:
    """Rows of the sample, no two of them equal: `n_seeds`, or as many as there are distinct ones."""
    seeds: Rows = rng.integers(len(sample), size=1)
    _, squared = nearest_points(sample, sample[seeds])
    while len(seeds) < n_seeds and squared.any():
        chances = squared / squared.max()
        chances /= chances.sum()
        n_more = min(n_seeds - len(seeds), max(1, len(seeds) // _SEEDS_PER_ROUND), int(np.count_nonzero(chances)))
        drawn: Rows = rng.choice(len(sample), n_more, replace=False, p=chances)
        first, _ = nearest_points(sample[drawn], sample[drawn])
        drawn = drawn[first == np.arange(n_more)]  # of equal rows the first
        seeds = np.concatenate([seeds, drawn])
        squared = np.minimum(squared, nearest_points(sample, sample[drawn])[1])
    return seeds


def _thinned(sample: Vectors, seeds: Rows, n_kept: int, rng: np.random.Generator) -> Rows:
    """`n_kept` of distinct seeds, by greedy k-means++ with the seeds weighted by the rows nearest to them."""
    if len(seeds) <= n_kept:
        return seeds
    nearest, _ = nearest_points(sample, sample[seeds])
    weights = np.bincount(nearest, minlength=len(seeds)).astype(np.float64)
    points = sample[seeds]
    places = np.arange(len(seeds))
    kept = [int(rng.choice(len(seeds), p=weights / weights.sum()))]
    squared = squared_distances(points, places, points[kept[0]])
    while len(kept) < n_kept:
        costs = squared / squared.max() * weights
        best, best_cost = -1, np.inf
        for trial in rng.choice(len(seeds), _TRIALS, p=costs / costs.sum()).tolist():
            lowered = np.minimum(squared, squared_distances(points, places, points[trial]))
            cost = float((lowered * weights).sum())
            if cost < best_cost:
                best, best_cost, best_squared = trial, cost, lowered
        kept.append(best)
        squared = best_squared
    return seeds[kept]


def _means(sample: Vectors, labels: Rows) -> Distances:
    """The float64 means of the clusters that have rows, each added up in the order of the sample."""
    by_label = np.argsort(labels, kind="stable")
    _, starts, counts = np.unique(labels[by_label], return_index=True, return_counts=True)
    sums: Distances = np.add.reduceat(sample[by_label].astype(np.float64), starts, axis=0)
    return sums / counts[:, None]


def rows_by_id(item_ids: Sequence[str]) -> Rows:
    """All rows sorted by item id: an order that a permutation of the items does not change."""
    return np.array(sorted(range(len(item_ids)), key=item_ids.__getitem__), dtype=np.int64)
