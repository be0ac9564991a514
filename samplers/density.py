"""How dense the pool is around a row, from its distances to a random sample of the pool."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from .distances import Distances, Rows, blocks, squared_distances, unit_scale
from .pool import Vectors

N_NEIGHBOURS = 5  # more than a tight group of outliers has members
N_LANDMARKS = 1024
_PAIRS_PER_BLOCK = 1 << 20
_FINE_LANDMARKS = 16 * N_LANDMARKS
_SHORTLIST = 5  # times as many rows as asked for are looked at more closely


def nearest_distances(vectors: Vectors, rows: Rows, others: Rows, n_neighbours: int) -> Distances:
    """The exact distances of each row to the nearest of other rows, itself left out.

    Float32 matrix products rule pairs out, with a bound on their error; what is left is measured by `squared_distances`, so
    that threads and block sizes cannot change a bit.

    Args:
        vectors: `(n, d)` finite floats.
        rows: `(r,)` distinct rows.
        others: `(p,)` distinct rows; rows may be among them.
        n_neighbours: How many of the nearest to return, at least 1.

    Returns:
        `(r, n_neighbours)` distances, ascending; infinite where there are no more others. Time O(r p d) in matrix products,
        memory O(r n_neighbours + p d).

    Examples:
        >>> nearest_distances(np.array([[0.0], [1.0], [5.0]]), np.array([0, 2]), np.arange(3), 2)
        array([[1., 5.],
               [4., 5.]])
    """
    n_dimensions = vectors.shape[1]
    n_wanted = n_neighbours + 1  # a row among the others finds itself, at distance 0
    result = np.full((len(rows), n_neighbours), np.inf)
    is_self = np.isin(rows, others)
    points, copies = _distinct(vectors, others)  # each is measured once, and no count needs more than n_wanted of its copies
    copies = np.minimum(copies, n_wanted)
    if len(points) == 0:
        return result
    centred = vectors[points].astype(np.float64)
    middle = centred.mean(axis=0)
    centred -= middle
    largest = float(np.abs(centred).max())
    for part in blocks(len(rows), max(int(copies.sum()), n_dimensions), _PAIRS_PER_BLOCK):
        block = vectors[rows[part]] - middle
        scale = unit_scale(max(largest, float(np.abs(block).max())))
        near, far = _not_ruled_out(block * scale, centred * scale, n_wanted)
        squared = squared_distances(vectors, rows[part][near], points[far])
        near, squared = np.repeat(near, copies[far]), np.repeat(squared, copies[far])
        counts = np.bincount(near, minlength=len(block))
        found = np.full((len(block), max(n_wanted, int(counts.max()))), np.inf)
        found[near, np.arange(len(near)) - np.repeat(np.cumsum(counts) - counts, counts)] = squared
        found = np.sort(found, axis=1)[:, :n_wanted]
        found = np.where(is_self[part, None], found[:, 1:], found[:, :-1])
        result[part] = np.sqrt(found)
    return result


def _not_ruled_out(rows: Distances, points: Distances, n_wanted: int) -> tuple[Rows, Rows]:
    """Pairs among which are, for each row, the `n_wanted` nearest points, by rows; coordinates are at most about 1.

    A product errs by less than `slack * (|x|² + |c|²)`, see `nearest_points`, plus what float32 rounds to 0. Let D be
    `|c|² - 2 x·c`, and U a bound on the squared distance of the farthest of the `n_wanted` smallest D: as `|c|²` is at most
    `2 |x|² + 2 d²`, all of these are nearer than `(D + |x|² (1 + 3 slack)) / (1 - 2 slack)`, and no point nearer than U has
    a D above `U - |x|² + slack * (3 |x|² + 2 U)`.
    """
    n_dimensions = rows.shape[1]
    slack = 4 * (n_dimensions + 8) * 2.0**-24
    tiny = (n_dimensions + 8) * 1e-37
    norms = np.einsum("ij,ij->i", rows, rows)
    lengths = np.einsum("ij,ij->i", points, points)
    products: npt.NDArray[np.float32] = (-2 * rows).astype(np.float32) @ points.astype(np.float32).T
    products += lengths.astype(np.float32)
    if len(points) <= n_wanted or slack > 0.1:
        near, far = np.indices(products.shape).reshape(2, -1)
        return near, far
    last = np.partition(products, n_wanted - 1, axis=1)[:, n_wanted - 1].astype(np.float64)
    bound = np.maximum(0, last + norms * (1 + 3 * slack) + tiny) / (1 - 2 * slack)
    limit = bound - norms + slack * (3 * norms + 2 * bound) + tiny
    near, far = np.divmod(
        np.flatnonzero(products <= np.nextafter(limit.astype(np.float32), np.float32(np.inf))[:, None]), len(points)
    )
    return near, far


def _distinct(vectors: Vectors, rows: Rows) -> tuple[Rows, Rows]:
    """The first of each kind of equal rows, ascending, and how many there are of each."""
    values = np.ascontiguousarray(vectors[rows] + vectors.dtype.type(0))  # adding 0 makes -0 and 0 the same bytes
    keys = values.view(np.dtype((np.void, values.dtype.itemsize * values.shape[1])))[:, 0]
    _, first, counts = np.unique(keys, return_index=True, return_counts=True)
    order = np.argsort(first)
    return rows[first[order]], counts[order]


def landmarks(n: int, n_landmarks: int, rng: np.random.Generator, order: Rows | None = None) -> Rows:
    """`n_landmarks` random rows of n, or all; drawn over `order`, which is ascending if None."""
    rows = np.arange(n) if order is None else order
    return rows if n_landmarks >= n else rows[np.sort(rng.choice(n, n_landmarks, replace=False))]


def neighbour_distances(
    vectors: Vectors,
    rows: Rows,
    rng: np.random.Generator,
    *,
    n_neighbours: int = N_NEIGHBOURS,
    n_landmarks: int = N_LANDMARKS,
    order: Rows | None = None,
) -> Distances:
    """How sparse the pool is around rows: the distance to the k-th nearest of a random sample of the pool.

    The row itself does not count. In a pool of n rows this is about the distance to the `n k / n_landmarks`-th neighbour.

    Args:
        vectors: `(n, d)` finite floats.
        rows: `(r,)` distinct rows.
        rng: Draws the sample.
        n_neighbours: k, at least 1; at most as many as the sample has beside the row are used. A group of up to k
            look-alikes far from all others counts as sparse, a larger one may not.
        n_landmarks: Rows in the sample.
        order: `(n,)` all rows in the order that the draw runs over; None: ascending.

    Returns:
        `(r,)` distances; 0 in a pool of one row. Time O(r n_landmarks d), memory O(r + n_landmarks d).

    Examples:
        >>> neighbour_distances(np.array([[0.0], [1.0], [3.0]]), np.arange(3), np.random.default_rng(0), n_neighbours=1)
        array([1., 1., 2.])

    References:
        S. Ramaswamy, R. Rastogi and K. Shim, Efficient Algorithms for Mining Outliers, 2000, doi:10.1145/342009.335437; from
        a sample: M. Sugiyama and K. Borgwardt, Rapid Distance-Based Outlier Detection via Sampling, 2013.
    """
    others = landmarks(len(vectors), n_landmarks, rng, order)
    found = nearest_distances(vectors, rows, others, max(1, min(n_neighbours, len(others) - 1)))[:, -1]
    return np.where(np.isfinite(found), found, 0)


def sparsest(
    vectors: Vectors,
    share: float,
    rng: np.random.Generator,
    *,
    n_neighbours: int = N_NEIGHBOURS,
    order: Rows | None = None,
) -> Rows:
    """The share of rows that lie in the sparsest places, for a method that would otherwise pick outliers first.

    The rows with the largest `neighbour_distances` are found among 1,024 landmarks, five times as many as asked for, and of
    these the sparsest among 16,384 landmarks. So in 100,000 rows a cluster of 31 or more has enough neighbours of its own
    to be no outlier; in up to 16,384 rows, one of 6 or more. A row with `n_neighbours` duplicates is never among them.

    Args:
        vectors: `(n, d)` finite floats.
        share: How many, from 0 to 1, rounded down to whole rows.
        rng: Draws the landmarks.
        n_neighbours: As for `neighbour_distances`.
        order: As for `neighbour_distances`.

    Returns:
        Up to `share * n` rows, ascending; of equally sparse ones the lower. Time O(n d) in matrix products with 1,024
        landmarks, memory O(n + 16384 d).

    Raises:
        ValueError: The share is not between 0 and 1.

    Examples:
        >>> line = np.append(np.arange(99.0), 500.0)[:, None]
        >>> sparsest(line, 0.01, np.random.default_rng(0))
        array([99])
    """
    if not 0 <= share <= 1:
        raise ValueError(f"share is {share!r}; expected a number from 0 to 1")
    n = len(vectors)
    n_wanted = int(share * n + 1e-9)  # 0.07 * 100 is a little more than 7, 0.29 * 100 a little less than 29
    if n_wanted == 0:
        return np.arange(0)
    rows = np.arange(n)
    for n_landmarks, n_kept in ((N_LANDMARKS, _SHORTLIST * n_wanted), (_FINE_LANDMARKS, n_wanted)):
        distances = neighbour_distances(vectors, rows, rng, n_neighbours=n_neighbours, n_landmarks=n_landmarks, order=order)
        rows = rows[np.lexsort((rows, -distances))[: min(n_kept, np.count_nonzero(distances))]]
    return np.sort(rows)


def typicality(
    vectors: Vectors,
    rng: np.random.Generator,
    *,
    n_neighbours: int = 20,
    n_landmarks: int = N_LANDMARKS,
    order: Rows | None = None,
) -> Distances:
    """How dense the pool is around each row: the mean of `exp(-d / D)` over its nearest landmarks.

    The landmarks are a random sample of the pool, d the distances to the `n_neighbours` nearest of them, the row itself left
    out, and D the mean of all these distances; where D is 0, all is 1.

    Args:
        vectors: `(n, d)` finite floats.
        rng: Draws the landmarks.
        n_neighbours: Nearest landmarks that count, at least 1; at most as many as there are beside the row are used.
        n_landmarks: Rows in the sample.
        order: As for `neighbour_distances`.

    Returns:
        `(n,)` numbers from 0 to 1, larger where the pool is denser. Time O(n n_landmarks d), memory
        O(n n_neighbours + n_landmarks d).

    Examples:
        >>> typicality(np.array([[0.0], [1.0], [3.0]]), np.random.default_rng(0), n_neighbours=1).round(3)
        array([0.472, 0.472, 0.223])
    """
    others = landmarks(len(vectors), n_landmarks, rng, order)
    n_used = max(1, min(n_neighbours, len(others) - 1))
    distances = nearest_distances(vectors, np.arange(len(vectors)), others, n_used)
    distances[~np.isfinite(distances)] = 0  # the only landmark itself
    scale = float(distances.mean())
    return np.exp(-distances / scale).mean(axis=1) if scale > 0 else np.ones(len(vectors))
