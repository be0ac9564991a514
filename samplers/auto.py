"""AUTO: what the pool has decides: coverage of the embeddings, weighted by scores that tell something, mixed with chance."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from .distances import Rows, check_metric, rough_squares, squared_distances, vectors_in
from .herding import SamplerMaxHerding, SamplerUHerding
from .lazy_greedy import by_id, covering_radius, draw_landmarks, random_rest
from .pool import Pool, Vectors
from .random_order import SamplerRandom
from .sampler import Picks, Sampler
from .uncertainty import SamplerUncertainty

N_NEIGHBOURS = 5
"""With 10, scores of a good model on 100 candidates were told from chance half as often."""
N_ORDERS = 299
"""So many random orders of the scores must all be shared less: 1 of 300 unrelated scores passes."""
FEWEST_TESTED = 100
"""Of fewer candidates, scores of a good model look like chance too: of 50 in half of the pools, of 30 in nearly all."""
MOST_COMPARED = 2**13
MOST_ASKED = 2**10

_PAIRS_PER_BLOCK = 1 << 20


@dataclass(frozen=True)
class SamplerAuto(Sampler):
    """The method for those who do not want to choose: it needs nothing, and uses the embeddings and scores that there are.

    | the pool has | picks |
    | --- | --- |
    | embeddings, scores that neighbours share | UHERDING with the radius of MAX_HERDING |
    | embeddings, scores, fewer than 100 candidates | the same, as nobody can tell whether so few share them |
    | embeddings, no scores or all alike | MAX_HERDING |
    | embeddings, scores that look like chance | MAX_HERDING and RANDOM in turn, with a note |
    | scores alone | UNCERTAINTY and RANDOM in turn, with a note |
    | neither | RANDOM, with a note |

    The hand-over from coverage to uncertainty is the radius: that of a ball which holds 1 of l + k parts of the pool, for l
    labeled items and k picks. With few labels a pick stands for many items, whose scores average out; with many it stands
    for itself and its near-duplicates, and its own score decides. (The paper of UHERDING takes the smallest distance of two
    labeled items, which a single near-duplicate makes tiny.)

    Scores tell something where neighbours share them: Moran's I of their ranks, over each item and its 5 nearest candidates
    (of up to 1,024 items, among up to 8,192, drawn at random), must exceed that of 299 random orders of the same scores. Of
    unrelated scores 1 in 300 does, whatever the number of items, dimensions and duplicates. Predictions in another order
    than the item ids fail. Scores below 0 are counted from the lowest candidate's, which weighs nothing.

    In the project's recorded studies it was significantly behind RANDOM nowhere on vectors, and behind it with a detector on
    photos of blood cells, where CORESET was ahead: for detection compare first.

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
        2025, arXiv:2412.20644; W. Bae, J. Noh and D. J. Sutherland, 2024, arXiv:2407.12212; P. A. P. Moran, Notes on
        Continuous Stochastic Phenomena, 1950, doi:10.2307/2332142. When to test scores, and the fallbacks, are ours.
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
            return _without_vectors(pool, n_samples, rng, on_pick)
        vectors = vectors_in(pool, self.metric)
        pool = replace(pool, vectors=vectors)
        if pool.scores is None:
            return _because("no scores", SamplerMaxHerding().pick(pool, n_samples, rng, on_pick))
        name, rows = pool.score_name, by_id(pool, pool.candidates)
        scores = pool.scores[rows]
        if scores.min() == scores.max():
            return _because(f"{name} is the same for all", SamplerMaxHerding().pick(pool, n_samples, rng, on_pick))
        if len(rows) < FEWEST_TESTED:
            return _because(f"fewer than {FEWEST_TESTED} candidates", _weighted(pool, n_samples, rng, on_pick))
        shared, by_chance = shared_by_neighbours(vectors, rows, pool.scores, rng)
        if shared > by_chance:
            return _because(f"neighbours share {name}", _weighted(pool, n_samples, rng, on_pick))
        why = f"{name} looks like chance"
        note = (
            f"{why}: neighbours in the embeddings share it no more than random orders of it (Moran's I {shared:.3f}, "
            f"expected above {by_chance:.3f}), so that every second pick is drawn at random, the others spread over the "
            "embeddings; check that predictions are in the order of their item ids"
        )
        return _in_turn(pool, n_samples, SamplerMaxHerding(), why, note, rng, on_pick)


def shared_by_neighbours(
    vectors: Vectors, rows: Rows, scores: npt.NDArray[np.float64], rng: np.random.Generator
) -> tuple[float, float]:
    """How much neighbours share a score: Moran's I of the ranks, over each row and its 5 nearest others.

    Args:
        vectors: `(n, d)` finite floats.
        rows: Rows to look at, at least two; of many, random ones are.
        scores: `(n,)` finite for these rows, and not all alike.
        rng: Drawn from only where there are more rows than are looked at.

    Returns:
        The covariance of the rank of a row's score with those of its nearest rows, divided by the variance of the ranks:
        around 0 where neighbours share no more than any two rows, up to about 1 where they share all. And the largest that
        299 random orders of the scores have, the same orders every time. Time O(p q d) for at most 8,192 rows p and 1,024
        rows q, in matrix products.

    Examples:
        >>> line = np.arange(100.0)[:, None]
        >>> shared, by_chance = shared_by_neighbours(line, np.arange(100), line[:, 0], np.random.default_rng(0))
        >>> round(shared, 2), round(by_chance, 1)
        (0.99, 0.1)
    """
    if len(rows) > MOST_COMPARED:
        rows = rows[np.sort(rng.choice(len(rows), MOST_COMPARED, replace=False, shuffle=False))]
    asked = np.arange(len(rows))
    if len(rows) > MOST_ASKED:
        asked = np.sort(rng.choice(len(rows), MOST_ASKED, replace=False, shuffle=False))
    nearest = _nearest(vectors, rows, asked, min(N_NEIGHBOURS, len(rows) - 1))
    ranks = _centred_ranks(scores[rows])

    def products(values: Rows) -> int:
        return int(values[asked] @ values[nearest].sum(axis=1))  # whole numbers: exact

    orders = np.random.default_rng(0)
    by_chance = max(products(orders.permutation(ranks)) for _ in range(N_ORDERS))
    scale = nearest.size * float(ranks @ ranks) / len(ranks)
    return products(ranks) / scale, by_chance / scale


def _centred_ranks(values: npt.NDArray[np.float64]) -> Rows:
    """Twice the ranks, ties their mean, less twice their mean: whole numbers that add up to 0."""
    _, place, counts = np.unique(values, return_inverse=True, return_counts=True)
    ranks: Rows = 2 * np.cumsum(counts) - counts - len(values)
    return ranks[place]


def _nearest(vectors: Vectors, rows: Rows, asked: Rows, n_neighbours: int) -> Rows:
    """`(q, n_neighbours)` places among the rows of the nearest others, by exact distances of a shortlist twice as long."""
    n_listed = min(2 * n_neighbours, len(rows) - 1)
    found = np.empty((len(asked), n_neighbours), dtype=np.int64)
    for part, squared in rough_squares(vectors, rows, asked, _PAIRS_PER_BLOCK):
        squared[np.arange(len(squared)), asked[part]] = np.inf  # itself
        listed = np.sort(np.argpartition(squared, n_listed - 1, axis=1)[:, :n_listed], axis=1)
        exact = squared_distances(vectors, np.repeat(rows[asked[part]], n_listed), rows[listed.ravel()])
        order = np.argsort(exact.reshape(listed.shape), axis=1, kind="stable")[:, :n_neighbours]
        found[part] = np.take_along_axis(listed, order, axis=1)
    return found


def _weighted(pool: Pool, n_samples: int, rng: np.random.Generator, on_pick: Callable[[int], object]) -> Picks:
    """UHERDING with the radius of MAX_HERDING."""
    assert pool.scores is not None and pool.vectors is not None
    vectors, candidates, scores = pool.vectors, pool.candidates, pool.scores
    lowest = float(scores[candidates].min())
    if lowest < 0:
        scores = scores - lowest
        pool = replace(pool, scores=scores, score_name=f"{pool.score_name} above the lowest")
    n_items = len(pool.labeled) + n_samples
    landmarks = draw_landmarks(pool, candidates[scores[candidates] > 0], n_items, None, rng)
    radius = covering_radius(vectors, landmarks, n_items, rng)
    return SamplerUHerding(radius=radius).pick(pool, n_samples, rng, on_pick)


def _without_vectors(pool: Pool, n_samples: int, rng: np.random.Generator, on_pick: Callable[[int], object]) -> Picks:
    if pool.scores is None:
        picks = SamplerRandom().pick(pool, n_samples, rng, on_pick)
        return picks._replace(note="drawn at random, since there are neither embeddings nor scores; pass either, best both")
    note = (
        "every second pick is drawn at random: without embeddings nobody can tell whether the highest scores are "
        "look-alikes; pass embeddings"
    )
    return _in_turn(pool, n_samples, SamplerUncertainty(), "no embeddings", note, rng, on_pick)


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
    reasons = [f"{why}; drawn at random"] * n_samples
    rows[::2], gains[::2], reasons[::2] = chosen.rows, chosen.gains, list(chosen.reasons)
    rows[1::2], _ = random_rest(pool, chosen.rows, n_samples - n_chosen, rng, on_pick)
    return Picks(rows, gains, tuple(reasons), note)
