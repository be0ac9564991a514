"""How far items were from what was labeled, and the figures of the batch beside random ones."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from samplers import Pool, Selection
from samplers.density import N_LANDMARKS
from samplers.distances import vectors_in
from samplers.nearest import nearest_points
from samplers.quality import N_RANDOM, Quality

from ..facts import Vector

Rows = npt.NDArray[np.int64]

_MOST_WORK = 3e10  # a few seconds on two cores
_WORK_PER_PAIR = 300  # of two rows, beside their coordinates
_FEWEST_MEASURED = 1_000
_MOST_ROWS = 200_000  # they are copied


class Nearness(NamedTuple):
    """Candidates of a pool, all or some of them, and the distance of each to the nearest labeled row."""

    rows: Rows
    distances: Vector


def nearness_of(pool: Pool, metric: str, picks: Rows) -> Nearness | None:
    """The distance of each candidate to its nearest labeled item; None where nothing is labeled or there are no vectors.

    Of large pools the picks are measured, and other candidates at even steps. Time O(c l d) of c of them, with l labeled,
    memory O(c d + l d).

    Raises:
        ValueError: A vector without a direction, and the metric is cosine.
    """
    labeled, candidates = pool.labeled, pool.candidates
    if pool.vectors is None or not len(labeled) or not len(candidates):
        return None
    n_most = int(_MOST_WORK / (len(labeled) * (pool.vectors.shape[1] + _WORK_PER_PAIR)))
    n_most = min(max(n_most, 1), _MOST_ROWS)
    rows = candidates
    if len(candidates) > n_most:
        rows = np.union1d(picks, candidates[:: -(-len(candidates) // n_most)])
    vectors = vectors_in(_part(pool, np.concatenate([rows, labeled])), metric)
    squared = nearest_points(vectors[: len(rows)], vectors[len(rows) :])[1]
    return Nearness(rows, squared / 2 if metric == "cosine" else np.sqrt(squared))


def quality_in(pool: Pool, selection: Selection, metric: str) -> Quality:
    """Figures of the batch; of a large pool over the labeled items, the picks and a random part of the other candidates.

    Raises:
        ValueError: A pick is not among the candidates, or a vector cannot be measured.
    """
    d = 0 if pool.vectors is None else pool.vectors.shape[1]
    n_labeled, candidates = len(pool.labeled), pool.candidates
    per_candidate = N_LANDMARKS + n_labeled + (N_RANDOM + 1) * len(selection)
    n_most = int(_MOST_WORK / 2 / (d + _WORK_PER_PAIR) - N_LANDMARKS * n_labeled) // per_candidate
    n_most = max(n_most, _FEWEST_MEASURED, 2 * len(selection))
    if len(candidates) <= n_most:
        return selection.quality(pool, metric=metric)
    wanted = frozenset(selection.item_ids)
    picks = [row for row, item_id in enumerate(pool.item_ids) if item_id in wanted]
    drawn = np.random.default_rng(0).choice(candidates, n_most, replace=False)
    part = _part(pool, np.union1d(np.union1d(drawn, picks), pool.labeled))
    found = selection.quality(part, metric=metric)
    note = f"All figures are over a random {n_most:,} of the {len(candidates):,} candidates, and the picks."
    return replace(found, notes=(*found.notes, note))


def _part(pool: Pool, rows: Rows) -> Pool:
    return Pool(
        tuple(pool.item_ids[row] for row in rows.tolist()),
        pool.is_labeled[rows],
        scores=None if pool.scores is None else pool.scores[rows],
        vectors=None if pool.vectors is None else pool.vectors[rows],
        score_name=pool.score_name,
        columns={name: column[rows] for name, column in pool.columns.items()},
    )
