"""The greedy walk on a pool: what the methods that pick centers share."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, cast

import numpy as np
import numpy.typing as npt

from .centers.engine import Engine, is_on_disk, run
from .centers.shard import Goal, Task
from .centers.walk import Interrupted
from .clustering import rows_by_id
from .density import sparsest
from .distances import UnitRows, check_directions, vectors_in
from .pool import Pool, Vectors
from .reasons import in_words

Vector = npt.NDArray[np.float64]


class Walk(NamedTuple):
    """What a greedy walk picked: rows, what each was worth and its distance to its nearest center when picked, and why."""

    rows: npt.NDArray[np.int64]
    worths: Vector
    distances: Vector
    reasons: tuple[str, ...]
    note: str
    is_interrupted: bool


def greedy_centers(
    pool: Pool,
    n_samples: int,
    *,
    metric: str,
    min_distance: float | None,
    ignore_sparsest: float,
    weights: Vector | None,
    is_flat: bool = False,
    engine: Engine,
    rng: np.random.Generator,
    on_pick: Callable[[int], object],
) -> Walk:
    """Pick, one at a time, the candidate with the largest `weight * distance` to its nearest center.

    Args:
        pool: A pool with vectors.
        n_samples: Number of picks, at most the candidates.
        metric: `euclidean` or `cosine`.
        min_distance: Pick nothing nearer than this to a center; stop when nothing else is left.
        ignore_sparsest: Share of the pool that is not picked because it is far from its neighbours.
        weights: `(n,)` numbers of 0 or more; None: all are 1.
        is_flat: Every distance that is allowed counts as 1.
        engine: Where the work is done.
        rng: Of the sample that tells what is sparse.
        on_pick: Called with the number of picks made since the last call.
    """
    assert pool.vectors is not None
    vectors = walked_vectors(pool, metric)
    is_open, notes = ~pool.is_labeled, []
    if ignore_sparsest > 0:
        ignored = sparsest(vectors, ignore_sparsest, rng, order=rows_by_id(pool.item_ids))
        is_open[ignored] = False
        n_left = int(np.count_nonzero(is_open))
        notes.append(f"left out the sparsest {ignore_sparsest:.3g} of the pool, {len(ignored):,} items")
        if n_samples > n_left:
            raise ValueError(
                f"n_samples is {n_samples:,}, and {n_left:,} items can be picked without the sparsest {ignore_sparsest:.3g} "
                "of the pool; ask for fewer, or lower ignore_sparsest"
            )
    goal = Goal(metric == "cosine", min_distance or 0.0, is_flat)
    task = Task(vectors, is_open, weights, goal, pool.labeled, n_samples, is_on_disk(pool.vectors))
    is_interrupted = False
    try:
        walked = run(task, engine, on_pick)
    except Interrupted as error:
        walked, is_interrupted = error.walked, True
    distances = goal.distances(walked.squared)
    if len(walked.rows) < n_samples and not is_interrupted:
        notes.append(stopped_early(len(walked.rows), n_samples, min_distance or 0.0))
    worths = goal.worths(walked.squared, None if weights is None else weights[walked.rows])
    return Walk(
        walked.rows, worths, distances, distance_reasons(pool, distances, walked.nearest), "; ".join(notes), is_interrupted
    )


def walked_vectors(pool: Pool, metric: str) -> Vectors:
    """The pool's vectors in the metric; those on disk stay there."""
    assert pool.vectors is not None
    if metric == "cosine" and is_on_disk(pool.vectors):
        check_directions(pool)
        return cast(Vectors, UnitRows(pool.vectors))
    return vectors_in(pool, metric)


def stopped_early(n_made: int, n_samples: int, min_distance: float) -> str:
    """Why a batch is shorter than asked for."""
    return (
        f"stopped after {n_made:,} of {n_samples:,}: everything left is nearer than min_distance {min_distance:.6g} to a "
        "labeled or picked item"
    )


def distance_reasons(pool: Pool, distances: Vector, nearest: npt.NDArray[np.int64]) -> tuple[str, ...]:
    """For each pick how far it was, and from what: rows of the pool, or -1 for the pool's mean."""
    ids, is_labeled = pool.item_ids, pool.is_labeled
    return tuple(
        f"{in_words(distance)} from the nearest {'labeled' if is_labeled[row] else 'picked'} item, {ids[row]!r}"
        if row >= 0
        else f"{in_words(distance)} from the pool's mean, nothing being labeled yet"
        for distance, row in zip(distances.tolist(), nearest.tolist())
    )
