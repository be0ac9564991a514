"""Outliers: the items farthest from their neighbours, to look at before anybody labels them."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from samplers.density import neighbour_distances
from samplers.distances import Distances, check_metric
from samplers.sampler import checked_count

from ..embeddings import Embeddings
from .duplicates import check_embeddings, directed

_N_LANDMARKS = 16_384


class Outliers(NamedTuple):
    """All items, the most outlying first, and how outlying each is."""

    item_ids: tuple[str, ...]
    distances: Distances
    """`(n,)`, descending: from each item to its k-th nearest neighbour."""


def outliers(embeddings: Embeddings, *, n_neighbours: int = 10, metric: str = "euclidean") -> Outliers:
    """Items by their distance to the k-th nearest neighbour, the farthest first; of a tie the lower id.

    Neighbours are looked for among all items, and in pools of more than 16,384 among so many random ones.

    Args:
        embeddings: The items.
        n_neighbours: k; a group of up to k look-alikes far from all others counts as outlying, a larger one may not.
        metric: `euclidean` or `cosine`.

    Returns:
        The ranking. The order of the items changes nothing. Time O(n min(n, 16384) d), memory O(n d).

    Raises:
        ValueError: No `Embeddings`, `n_neighbours` below 1, another metric, or a vector without direction for cosine.

    Examples:
        >>> embeddings = Embeddings(["a", "b", "c", "far"], [[0.0], [1.0], [3.0], [9.0]])
        >>> outliers(embeddings, n_neighbours=1).item_ids
        ('far', 'c', 'a', 'b')

    References:
        S. Ramaswamy, R. Rastogi and K. Shim, Efficient Algorithms for Mining Outliers, 2000, doi:10.1145/342009.335437.
    """
    check_metric(metric)
    check_embeddings(embeddings)
    n_used = checked_count(n_neighbours, "n_neighbours")
    ids = embeddings.item_ids
    vectors = directed(embeddings) if metric == "cosine" else embeddings.vectors
    order = np.array(sorted(range(len(ids)), key=ids.__getitem__))
    found = neighbour_distances(
        vectors[order],
        np.arange(len(ids)),
        np.random.default_rng(0),
        n_neighbours=n_used,
        n_landmarks=_N_LANDMARKS,
    )
    distances = found if metric == "euclidean" else found * found / 2
    ranking = np.argsort(-distances, kind="stable")
    return Outliers(tuple(ids[row] for row in order[ranking].tolist()), distances[ranking])
