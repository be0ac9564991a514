"""Near-duplicates: groups of items that are so much alike that labeling one of them is enough."""

from __future__ import annotations

import heapq
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from samplers.density import nearest_distances
from samplers.distances import Distances, Rows, check_metric, unit_rows
from scorers.checks import checked_item_ids

from ..embeddings import Embeddings
from .close_pairs import ClosePairs, close_pairs

Vectors = npt.NDArray[np.floating[Any]]

FALSE_DISCOVERY_RATE = 0.01
_LARGEST_SHARE = (
    2 / 3
)  # of the usual distance: what is farther is a neighbour, not a duplicate, by sheets of CIFAR-10 and CamVid
_SAMPLE_SHARE = 10
_FEWEST, _SAMPLE, _MOST = 10, 100, 10_000


@dataclass(frozen=True)
class DuplicateGroups:
    """Groups of near-duplicates, the largest first, and of equally large ones the one whose representative has the lower id.

    Args:
        groups: The ids of each group: its representative, then the others from the nearest to it to the farthest.
        distances: Of each id to its representative, in the same shape; 0 for the representative itself.
        distance: No member is farther from its representative, and no two representatives are this near.
        metric: `euclidean` or `cosine`.
        n_items: Number of items looked at.

    Raises:
        ValueError: A group of one, an item in two groups, or distances of another shape.
    """

    groups: tuple[tuple[str, ...], ...]
    distances: tuple[tuple[float, ...], ...]
    distance: float
    metric: str
    n_items: int

    def __post_init__(self) -> None:
        if [*map(len, self.groups)] != [*map(len, self.distances)]:
            raise ValueError("distances has another shape than groups; expected one for each id")
        if any(len(group) < 2 for group in self.groups):
            raise ValueError("a group has one item; expected a representative and at least one other")
        if self.groups and len(checked_item_ids([i for group in self.groups for i in group])) > self.n_items:
            raise ValueError(f"n_items is {self.n_items:,}, fewer than the groups have")

    def __len__(self) -> int:
        return len(self.groups)

    @cached_property
    def representatives(self) -> tuple[str, ...]:
        """One item of each group, the one that most others of the group are near to."""
        return tuple(group[0] for group in self.groups)

    @cached_property
    def redundant(self) -> tuple[str, ...]:
        """All items of groups but their representatives: what can be left out, each near to something that stays."""
        return tuple(item_id for group in self.groups for item_id in group[1:])

    def columns(self, item_ids: Iterable[str]) -> dict[str, npt.NDArray[Any]]:
        """Columns for `Metadata`, which strategies read.

        Args:
            item_ids: n unique ids, in any order; those in no group are alone.

        Returns:
            `group`: `g1` for the largest group, and so on, empty for an item that is in none. `is_representative`: 1 for
            items that stay if the redundant ones are left out, 0 for these. `distance`: to the representative.

        Examples:
            >>> groups = DuplicateGroups((("a", "b"),), ((0.0, 0.1),), 0.2, "euclidean", 3)
            >>> {name: column.tolist() for name, column in groups.columns(["b", "c", "a"]).items()}
            {'group': ['g1', '', 'g1'], 'is_representative': [0, 1, 1], 'distance': [0.1, 0.0, 0.0]}
        """
        ids = checked_item_ids(item_ids)
        of_item = {
            item_id: (f"g{number}", int(place == 0), distance)
            for number, (group, distances) in enumerate(zip(self.groups, self.distances), start=1)
            for place, (item_id, distance) in enumerate(zip(group, distances))
        }
        rows = [of_item.get(item_id, ("", 1, 0.0)) for item_id in ids]
        names, is_first, distances = zip(*rows)
        return {
            "group": np.array(names, dtype=np.str_),
            "is_representative": np.array(is_first, dtype=np.int64),
            "distance": np.array(distances, dtype=np.float64),
        }


def near_duplicates(embeddings: Embeddings, *, distance: float | None = None, metric: str = "euclidean") -> DuplicateGroups:
    """Groups of items nearer to a representative than a distance.

    The item with the most others within the distance becomes a representative and takes them with it; then the next among
    those left, and so on; of a tie the item that is nearer to its neighbours on average, then the lower id. At the end each
    item joins the nearest representative. So groups do not chain: a slow drive along a street becomes several groups, none
    wider than twice the distance, where single linkage would make it one, and leaving out what is redundant leaves out
    nothing that is farther than the distance from all that stays. Equal vectors are always of one group.

    Without a distance, one is taken from the data. Its scale is how near neighbours usually are. Within random tenths of
    the items, where few have their duplicates with them, `r1` and `r2` are the distances to the two nearest, `D` is the
    median of `log 2 / log(r2 / r1)`, the dimension that items fill, and `R = median(r1) * 10 ** (-1 / D)` is carried over to
    all items. By chance an item has a neighbour within r with probability `1 - 2 ** -(r / R) ** D`. The distance is the
    largest for which at most 1 % of the items with so near a neighbour owe it to chance (Benjamini and Hochberg's rule), and
    at most `2 R / 3`. Where nothing stands out, and below 10 different vectors, it is 0, and groups are of equal vectors.
    It is careful, and as good as the vectors: what they take for alike, such as small things on a blue sky, is grouped too.
    Look at the groups, and give a distance that suits you.

    Args:
        embeddings: The items.
        distance: In the unit of the metric; `1 - cos` for cosine. None takes it from the data.
        metric: `euclidean` or `cosine`.

    Returns:
        The groups. The order of the items changes nothing. Time O(n² d) in matrix products at worst, memory O(n d) and
        some 160 bytes for each pair that is near: 18 million take 2.9 GB.

    Raises:
        ValueError: No `Embeddings`; the distance is no finite number of 0 or more, or makes more than 20 million pairs;
            another metric; or a vector without direction for cosine.

    Examples:
        >>> embeddings = Embeddings(["a", "b", "c", "d"], [[0.0], [1.0], [1.5], [9.0]])
        >>> near_duplicates(embeddings, distance=1.0).groups
        (('b', 'c', 'a'),)

    References:
        X. Daura et al., Peptide Folding: When Simulation Meets Experiment, 1999 (the grouping). E. Facco et al., Estimating
        the intrinsic dimension of datasets by a minimal neighborhood information, 2017, arXiv:1803.06992. Y. Benjamini and
        Y. Hochberg, Controlling the False Discovery Rate, 1995.
    """
    check_metric(metric)
    check_embeddings(embeddings)
    if distance is not None and (isinstance(distance, bool) or not 0 <= distance < np.inf):
        raise ValueError(f"distance is {distance!r}; expected a finite number of 0 or more")
    order = sorted(range(len(embeddings)), key=embeddings.item_ids.__getitem__)
    vectors = directed(embeddings) if metric == "cosine" else embeddings.vectors
    kinds = _distinct(vectors[np.array(order)])
    points = kinds.points
    if distance is None:
        pairs, distance = _standing_out(points, metric)
    else:
        squared = float(distance) * float(distance) if metric == "euclidean" else 2.0 * distance  # may be infinity
        pairs = close_pairs(points, squared * (1 + 1e-12))
    apart = _measured(pairs.squared, metric)
    is_near = apart <= distance
    left, right, apart = pairs.left[is_near], pairs.right[is_near], apart[is_near]
    leader, to_leader = _led(kinds.counts, left, right, apart)

    members: dict[int, list[tuple[float, str]]] = {}
    for row, kind in enumerate(kinds.of_row.tolist()):
        members.setdefault(int(leader[kind]), []).append((float(to_leader[kind]), embeddings.item_ids[order[row]]))
    # all of the representative's own kind are at distance 0: the lowest id of them comes first
    found = sorted(map(sorted, (one for one in members.values() if len(one) > 1)), key=lambda one: (-len(one), one[0][1]))
    return DuplicateGroups(
        groups=tuple(tuple(item_id for _, item_id in group) for group in found),
        distances=tuple(tuple(far for far, _ in group) for group in found),
        distance=float(distance),
        metric=metric,
        n_items=len(embeddings),
    )


def check_embeddings(embeddings: object) -> None:
    """Raise ValueError if they are none, such as an array, which has no ids."""
    if not isinstance(embeddings, Embeddings):
        raise ValueError(f"embeddings is a {type(embeddings).__name__}; expected Embeddings(item_ids, vectors)")


def directed(embeddings: Embeddings) -> Vectors:
    """The vectors divided by their lengths.

    Raises:
        ValueError: One is zero. The message names the item.
    """
    has_direction = embeddings.vectors.any(axis=1)
    if not has_direction.all():
        row = int(has_direction.argmin())
        raise ValueError(
            f"the embedding of {embeddings.item_ids[row]!r} is zero and has no direction; use metric='euclidean', or "
            "leave it out"
        )
    return unit_rows(embeddings.vectors)


class _Kinds(NamedTuple):
    """Different vectors, in the order of their first row; how many rows there are of each; which of them each row is."""

    points: Vectors
    counts: Rows
    of_row: Rows


def _distinct(vectors: Vectors) -> _Kinds:
    values = np.ascontiguousarray(vectors + vectors.dtype.type(0))  # adding 0 makes -0 and 0 the same bytes
    keys = values.view(np.dtype((np.void, values.dtype.itemsize * values.shape[1])))[:, 0]
    _, first, of_row, counts = np.unique(keys, return_index=True, return_inverse=True, return_counts=True)
    order = np.argsort(first)
    place = np.empty(len(order), dtype=np.int64)
    place[order] = np.arange(len(order))
    return _Kinds(values if len(first) == len(values) else values[first[order]], counts[order], place[of_row])


def _measured(squared: Distances, metric: str) -> Distances:
    return np.sqrt(squared) if metric == "euclidean" else squared / 2


def _standing_out(points: Vectors, metric: str) -> tuple[ClosePairs, float]:
    """The largest distance at which items are nearer than chance makes them, and the pairs that include all as near."""
    n = len(points)
    usual, dimension = usual_distance(points)
    largest = _LARGEST_SHARE * usual
    pairs = close_pairs(points, largest * largest * (1 + 1e-12))
    nearest = np.full(n, np.inf)
    np.minimum.at(nearest, pairs.left, pairs.squared)
    np.minimum.at(nearest, pairs.right, pairs.squared)
    nearest = np.sort(nearest[np.isfinite(nearest)])
    if not len(nearest):
        return pairs, 0.0
    chance = -np.expm1(-np.log(2) * (np.sqrt(nearest) / usual) ** dimension)
    stands_out = np.flatnonzero(chance * n <= FALSE_DISCOVERY_RATE * np.arange(1, len(nearest) + 1))
    if not len(stands_out):
        return pairs, 0.0
    last = int(stands_out[-1])
    share = FALSE_DISCOVERY_RATE * (last + 1) / n  # what chance may explain of all items; this far it explains no more
    reach = usual * (-np.log1p(-share) / np.log(2)) ** (1 / dimension)
    squared = max(float(nearest[last]), min(reach, largest) ** 2)
    return pairs, float(_measured(np.array([squared]), metric)[0])


def usual_distance(points: Vectors) -> tuple[float, float]:
    """How far the nearest neighbour of an item usually is, and the dimension that items fill; near-duplicates left aside.

    Args:
        points: `(n, d)` different vectors.

    Returns:
        R and D as in `near_duplicates`, D lowered by twice its error from the number of items used; (0, 1) below 10 items.
        Time O(n² d / 100), memory O(n d / 10), for up to 100,000 items, and no more beyond.
    """
    n = len(points)
    if n < _FEWEST:
        return 0.0, 1.0
    size = min(n, _MOST, max(_SAMPLE, n // _SAMPLE_SHARE))
    shuffled = np.random.default_rng(0).permutation(n)
    n_samples = max(1, min(n // size, 10 * _SAMPLE // size))
    parts = [np.sort(shuffled[k * size : (k + 1) * size]) for k in range(n_samples)]
    near = np.concatenate([nearest_distances(points, part, part, 2) for part in parts])
    near = near[near[:, 0] > 0]  # differences can be too small to be squared
    with np.errstate(divide="ignore"):
        dimension = float(np.log(2) / np.median(np.log(near[:, 1] / near[:, 0]))) if len(near) else 1.0
    dimension = min(dimension, float(points.shape[1])) / (1 + 2 / np.sqrt(max(1, len(near))))
    median = float(np.median(near[:, 0])) if len(near) else 0.0
    return median * float(size / n) ** (1 / dimension), dimension


def _led(counts: Rows, left: Rows, right: Rows, apart: Distances) -> tuple[Rows, Distances]:
    """The representative of each point, itself for most, and the distance to it."""
    n = len(counts)
    one, other, far = np.concatenate([left, right]), np.concatenate([right, left]), np.concatenate([apart, apart])
    order = np.lexsort((other, one))
    one, other, far = one[order], other[order], far[order]
    start = np.searchsorted(one, np.arange(n + 1))
    crowd = counts + np.bincount(one, counts[other], n).astype(np.int64)
    mean = np.bincount(one, far, n) / np.maximum(1, np.diff(start))
    is_led = np.zeros(n, dtype=bool)
    leads = np.zeros(n, dtype=bool)
    heap = [(-int(crowd[row]), float(mean[row]), row) for row in np.unique(one).tolist()]
    heapq.heapify(heap)
    while heap:
        size, spread, row = heapq.heappop(heap)
        if is_led[row]:
            continue
        near = other[start[row] : start[row + 1]]
        near = near[~is_led[near]]
        now = int(counts[row] + counts[near].sum())
        if now < -size:  # some of its neighbours were taken; what is left is compared again
            heapq.heappush(heap, (-now, spread, row))
            continue
        leads[row] = True
        is_led[near] = is_led[row] = True
    leader, to_leader = np.arange(n), np.zeros(n)
    takes = leads[one] & ~leads[other]
    one, other, far = one[takes], other[takes], far[takes]
    order = np.lexsort((one, far, other))[::-1]  # the nearest is written last
    leader[other[order]], to_leader[other[order]] = one[order], far[order]
    return leader, to_leader
