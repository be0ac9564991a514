"""AUTO: what the pool has decides: coverage of the embeddings, weighted by scores that tell something, mixed with chance."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from .distances import Distances, Rows, blocks, check_metric, squared_distances, vectors_in
from .herding import SamplerMaxHerding, SamplerUHerding
from .lazy_greedy import by_id, covering_radius, draw_landmarks
from .pool import Pool, Vectors
from .random_order import SamplerRandom
from .sampler import Picks, Sampler
from .uncertainty import SamplerUncertainty

N_NEIGHBOURS = 10
MOST_COMPARED = 2**13
MOST_ASKED = 2**10
SURE = 3.0
"""So many standard deviations of chance must neighbours agree by."""

_PAIRS_PER_BLOCK = 1 << 20


@dataclass(frozen=True)
class SamplerAuto(Sampler):
    """The method for those who do not want to choose: it needs nothing, and uses the embeddings and scores that there are.

    | the pool has | picks |
    | --- | --- |
    | embeddings, scores that neighbours share | UHERDING with the radius of MAX_HERDING |
    | embeddings, no scores | MAX_HERDING |
    | embeddings, scores that look like chance | MAX_HERDING and RANDOM in turn, with a note |
    | scores alone | UNCERTAINTY and RANDOM in turn, with a note |
    | neither | RANDOM, with a note |

    The hand-over from coverage to uncertainty is the radius: that of a ball which holds 1 of l + k parts of the pool, for l
    labeled items and k picks. With few labels a pick stands for many items, whose scores average out; with many it stands
    for itself and its near-duplicates, and its own score decides. (The paper of UHERDING takes the smallest distance of two
    labeled items, which a single near-duplicate makes tiny.)

    Scores tell something where neighbours share them: Pearson's correlation of the rank of an item's score with the mean
    rank of its 10 nearest candidates' (of up to 1,024 items, among up to 8,192, drawn at random) must exceed
    `3 / sqrt(items)`, three standard deviations of what unrelated scores give. Predictions in another order than the item
    ids fail this. Scores below 0 are shifted so that the smallest candidate's is 0.

    Time and memory as for MAX_HERDING.

    Args:
        metric: `euclidean` or `cosine`, as for MAX_HERDING.

    Raises:
        ValueError: The metric is unknown.

    Examples:
        >>> vectors = np.array([[0.0], [1.0], [1.25], [1.5], [9.0]])
        >>> selection = SamplerAuto().select(Pool(("a", "b", "c", "d", "e"), np.arange(5) == 0, vectors=vectors), 1)
        >>> selection.item_ids, selection.reasons[0]
        (('c',), 'no scores; adds 0.634 to the mean similarity of 4 items to what is labeled or picked')

    References:
        W. Bae, G. L. Oliveira and D. J. Sutherland, Uncertainty Herding: One Active Learning Method for All Label Budgets,
        2025, arXiv:2412.20644; W. Bae, J. Noh and D. J. Sutherland, 2024, arXiv:2407.12212. The test of the scores and the
        fallbacks are ours.
    """

    method: ClassVar[str] = "AUTO"
    metric: str = "euclidean"

    def __post_init__(self) -> None:
        check_metric(self.metric)

    @property
    def takes_scores(self) -> bool:
        """Where there are any."""
        return True

    @property
    def takes_vectors(self) -> bool:
        """Where there are any."""
        return True

    def pick(self, pool: Pool, n_samples: int, rng: np.random.Generator, on_pick: Callable[[int], object]) -> Picks:
        """Look at what there is, and pick."""
        if pool.vectors is None:
            return self._without_vectors(pool, n_samples, rng, on_pick)
        herding = SamplerMaxHerding(metric=self.metric)
        if pool.scores is None:
            return _because("no scores", herding.pick(pool, n_samples, rng, on_pick))
        pool = _with_scores_from_0(pool)
        assert pool.scores is not None and pool.vectors is not None
        candidates, vectors = pool.candidates, vectors_in(pool, self.metric)
        shared, least = shared_by_neighbours(vectors, by_id(pool, candidates), pool.scores, rng)
        if shared > least:
            worthy = candidates[pool.scores[candidates] > 0]
            n_items = len(pool.labeled) + n_samples
            radius = covering_radius(vectors, draw_landmarks(pool, worthy, n_items, None, rng), n_items, rng)
            weighted = SamplerUHerding(radius=radius, metric=self.metric)
            return _because(f"neighbours share {pool.score_name}", weighted.pick(pool, n_samples, rng, on_pick))
        why = f"{pool.score_name} looks like chance"
        note = (
            f"{why}: neighbours in the embeddings share it no more than any two items (rank correlation {shared:.2f}, "
            f"expected above {least:.2f}), so that every second pick is drawn at random, the others spread over the "
            "embeddings; check that predictions are in the order of their item ids"
        )
        return _in_turn(pool, n_samples, herding, why, note, rng, on_pick)

    def _without_vectors(
        self, pool: Pool, n_samples: int, rng: np.random.Generator, on_pick: Callable[[int], object]
    ) -> Picks:
        if pool.scores is None:
            picks = SamplerRandom().pick(pool, n_samples, rng, on_pick)
            return picks._replace(note="drawn at random, since there are neither embeddings nor scores")
        note = (
            "every second pick is drawn at random: without embeddings nobody can tell whether the highest scores are "
            "look-alikes; pass embeddings"
        )
        return _in_turn(pool, n_samples, SamplerUncertainty(), "no embeddings", note, rng, on_pick)


def shared_by_neighbours(
    vectors: Vectors, rows: Rows, scores: npt.NDArray[np.float64], rng: np.random.Generator
) -> tuple[float, float]:
    """How much neighbours share a score: from 0, no more than any two rows, to 1; and what chance does not exceed.

    Args:
        vectors: `(n, d)` finite floats.
        rows: Rows to look at; of many, random ones are.
        scores: `(n,)` finite for these rows.
        rng: Drawn from only where there are more rows than are looked at.

    Returns:
        Pearson's correlation of the rank of a row's score with the mean rank of those of its 10 nearest rows, 0 where all
        scores are alike; and 3 standard deviations of it for scores that have nothing to do with the vectors. Time O(p q d)
        for at most 8,192 rows p and 1,024 rows q, in matrix products.

    Examples:
        >>> line = np.arange(100.0)[:, None]
        >>> shared, least = shared_by_neighbours(line, np.arange(100), line[:, 0], np.random.default_rng(0))
        >>> round(shared, 2), round(least, 2)
        (1.0, 0.3)
    """
    if len(rows) > MOST_COMPARED:
        rows = rows[np.sort(rng.choice(len(rows), MOST_COMPARED, replace=False, shuffle=False))]
    asked = np.arange(len(rows))
    if len(rows) > MOST_ASKED:
        asked = np.sort(rng.choice(len(rows), MOST_ASKED, replace=False, shuffle=False))
    least = SURE / float(np.sqrt(len(asked)))
    n_neighbours = min(N_NEIGHBOURS, len(rows) - 1)
    ranks = _ranks(scores[rows])
    if n_neighbours < 1 or ranks.min() == ranks.max():
        return 0.0, least
    means = ranks[_nearest(vectors, rows, asked, n_neighbours)].mean(axis=1)
    own = ranks[asked] - ranks[asked].mean()
    means -= means.mean()
    size = float(np.sqrt((own @ own) * (means @ means)))
    return float(own @ means) / size if size > 0 else 0.0, least


def _ranks(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Ranks from 0, ties their mean."""
    _, place, counts = np.unique(values, return_inverse=True, return_counts=True)
    ends = np.cumsum(counts)
    means: npt.NDArray[np.float64] = (2.0 * ends - counts - 1) / 2
    return means[place]


def _nearest(vectors: Vectors, rows: Rows, asked: Rows, n_neighbours: int) -> Rows:
    """`(q, n_neighbours)` places among the rows of the nearest others, by exact distances of a shortlist twice as long."""
    points = vectors[rows].astype(np.float64)
    points -= np.median(points, axis=0)
    largest = float(np.abs(points).max())
    points /= largest if largest > 0 else 1.0
    norms = np.einsum("ij,ij->i", points, points)
    n_listed = min(2 * n_neighbours, len(rows) - 1)
    found = np.empty((len(asked), n_neighbours), dtype=np.int64)
    for part in blocks(len(asked), len(rows), _PAIRS_PER_BLOCK):
        squared: Distances = norms - 2 * (points[asked[part]] @ points.T)
        squared[np.arange(len(squared)), asked[part]] = np.inf  # itself
        listed = np.sort(np.argpartition(squared, n_listed - 1, axis=1)[:, :n_listed], axis=1)
        exact = squared_distances(vectors, np.repeat(rows[asked[part]], n_listed), rows[listed.ravel()])
        order = np.argsort(exact.reshape(listed.shape), axis=1, kind="stable")[:, :n_neighbours]
        found[part] = np.take_along_axis(listed, order, axis=1)
    return found


def _with_scores_from_0(pool: Pool) -> Pool:
    assert pool.scores is not None
    least = float(pool.scores[pool.candidates].min())
    return pool if least >= 0 else replace(pool, scores=pool.scores - least)


def _because(why: str, picks: Picks) -> Picks:
    return picks._replace(reasons=tuple(f"{why}; {reason}" for reason in picks.reasons))


def _in_turn(
    pool: Pool,
    n_samples: int,
    sampler: Sampler,
    why: str,
    note: str,
    rng: np.random.Generator,
    on_pick: Callable[[int], object],
) -> Picks:
    """Picks of a sampler, and between them random ones."""
    n_chosen = (n_samples + 1) // 2
    chosen = _because(why, sampler.pick(pool, n_chosen, rng, on_pick))
    rows, gains = np.empty(n_samples, dtype=np.int64), np.zeros(n_samples)
    reasons = [""] * n_samples
    rows[::2], gains[::2], reasons[::2] = chosen.rows, chosen.gains, list(chosen.reasons)
    if n_samples > n_chosen:
        is_taken = pool.is_labeled.copy()
        is_taken[chosen.rows] = True
        drawn = SamplerRandom().pick(Pool(pool.item_ids, is_taken), n_samples - n_chosen, rng, on_pick)
        rows[1::2], reasons[1::2] = drawn.rows, list(_because(why, drawn).reasons)
    return Picks(rows, gains, tuple(reasons), note)
