"""JOINT: one greedy selection for several wishes, as a product of objectives under constraints."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, TypeVar

import numpy as np
import numpy.typing as npt

from .centers.engine import Engine, LocalEngine, check_engine, is_on_disk, run
from .centers.shard import Goal, Task
from .centers.walk import Interrupted
from .clustering import rows_by_id
from .columns import numbers_of
from .density import typicality
from .distances import Distances, Rows, mean_of, squared_distances, unit, vectors_in
from .greedy import walked_vectors
from .joint_rule import JointRule, Rationed, Spent, Wanted
from .nearest import nearest_points
from .pool import Pool, Vectors
from .reasons import in_words, percentile_reasons
from .sampler import Picks, Sampler, SelectionInterrupted
from .selection import Selection
from .strategies import (
    SCORE,
    AtMost,
    Balance,
    Budget,
    Diversity,
    Exclude,
    Include,
    MinDistance,
    Objective,
    Similarity,
    Strategy,
    Threshold,
    Typicality,
    Weight,
    strategy,
)

Flags = npt.NDArray[np.bool_]
_TINY = float(np.finfo(np.float64).tiny)
_OUT_OF_RANGE = "the product of the objectives leaves the range of float64; rescale them, or lower the strengths"
Kind = TypeVar("Kind", bound=Strategy)


@dataclass(frozen=True)
class SamplerJoint(Sampler):
    """Each pick is the candidate with the largest product of `value ** strength` over the objectives, of those allowed.

    Objectives are `Diversity`, `Weight`, `Typicality`, `Similarity` and `Balance`; constraints `MinDistance`, `Threshold`,
    `AtMost`, `Include`, `Exclude` and `Budget`. The order in which they are listed does not matter. Values are taken when
    the pick is made, ties go to the lower row, and the gain of a pick is its product. CORESET is `[Diversity()]`, CORAL
    `[Diversity(), Weight()]`, UNCERTAINTY `[Weight()]`.

    A minimum distance and a budget may end a batch early, which its note then says. Other constraints that leave too few
    items are refused before anything is picked; only where several `AtMost` meet may that be found out on the way.

    Time and memory as for CORESET, and O(n c) more for each round of looking at a pool with c classes to balance. Without
    `Diversity` and `MinDistance` no vectors are compared.

    Args:
        strategies: Objectives and constraints, or what their `to_dict` gave.
        engine: Where the work is done; it changes no pick.

    Raises:
        ValueError: A strategy is none, nothing is left to choose by, or two contradict each other.

    Examples:
        >>> from samplers import Diversity, AtMost
        >>> pool = Pool(
        ...     ("a", "b", "c", "d"), vectors=np.array([[0.0], [1.0], [8.0], [9.0]]),
        ...     columns={"video": ["v1", "v1", "v2", "v2"]},
        ... )
        >>> SamplerJoint([Diversity(), AtMost(1, "video")]).select(pool, 2).item_ids
        ('a', 'd')

    References:
        T. Gonzalez, 1985, doi:10.1016/0304-3975(85)90224-5, for the greedy walk. That several wishes make one product
        follows Lightly's documentation of 2022; the formulas are ours.
    """

    method: ClassVar[str] = "JOINT"
    strategies: Sequence[Strategy | Mapping[str, Any]] = (Diversity(),)
    engine: Engine = field(default_factory=LocalEngine, repr=False)

    def __post_init__(self) -> None:
        given: Any = self.strategies
        if isinstance(given, Strategy | Mapping | str) or not isinstance(given, Iterable):
            raise ValueError(f"strategies is {given!r}; expected a list, such as [Diversity(), Weight()]")
        strategies = tuple(strategy(one) for one in given)
        # the order in which they are listed must change no bit of a product
        object.__setattr__(self, "strategies", tuple(sorted(strategies, key=lambda one: (one.kind, repr(one)))))
        check_engine(self.engine)
        if not any(isinstance(one, Objective) and one.strength != 0 for one in strategies):
            raise ValueError("strategies have no objective with a strength, which leaves nothing to choose by")
        for kind in (Diversity, MinDistance):
            if sum(self._counts(one) for one in self._all(kind)) > 1:
                raise ValueError(f"strategies have {kind.__name__} twice; one says it all")
        metrics = {one.metric for one in self._all(Diversity) if one.strength > 0}
        metrics |= {one.metric for one in self._all(MinDistance)}
        if len(metrics) > 1:
            raise ValueError("Diversity and MinDistance have different metrics; give both the same")

    def __hash__(self) -> int:
        return hash(self.strategies)

    def _all(self, kind: type[Kind]) -> list[Kind]:
        return [one for one in self.strategies if isinstance(one, kind)]

    @staticmethod
    def _counts(one: Strategy) -> bool:
        return not isinstance(one, Objective) or one.strength != 0

    @property
    def needs_scores(self) -> bool:
        """If a strategy reads the score."""
        return SCORE in self._columns_read()

    @property
    def needs_vectors(self) -> bool:
        """If a strategy compares items."""
        kinds = Diversity | MinDistance | Typicality | Similarity
        return any(isinstance(one, kinds) and self._counts(one) for one in self.strategies)

    @property
    def metric_used(self) -> str | None:
        """That of Diversity or MinDistance."""
        metrics = [one.metric for one in self._all(Diversity)] + [one.metric for one in self._all(MinDistance)]
        return metrics[0] if metrics else None

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns of the pool that strategies read, sorted; without the score."""
        return tuple(sorted(self._columns_read() - {SCORE}))

    def _columns_read(self) -> set[str]:
        kinds = Weight | Threshold | Balance | AtMost | Budget
        return {one.column for one in self.strategies if isinstance(one, kinds) and self._counts(one)}

    def _resumed(
        self,
        pool: Pool,
        n_samples: int,
        before: Selection,
        seed: int | np.random.Generator,
        on_pick: Callable[[int], object] | None,
    ) -> Selection:
        """Picks made before are included, so that every constraint counts them, and keep what was told of them."""
        self._check_resumed(pool, n_samples, before)
        if not len(before):
            return self.select(pool, n_samples, seed=seed, on_pick=on_pick)
        others = [one for one in self.strategies if not isinstance(one, Include)]
        asked = [item_id for one in self._all(Include) for item_id in one.item_ids if item_id not in set(before.item_ids)]
        again = replace(self, strategies=[*others, Include([*before.item_ids, *asked])])
        try:
            whole, stopped = again.select(pool, n_samples, seed=seed, on_pick=on_pick), None
        except SelectionInterrupted as error:
            whole, stopped = error.selection, error
        whole = before.followed_by(whole.without_first(len(before)))
        if stopped is not None:
            raise SelectionInterrupted(whole.picked_from(pool), n_samples) from None
        return whole.picked_from(pool)

    def pick(self, pool: Pool, n_samples: int, rng: np.random.Generator, on_pick: Callable[[int], object]) -> Picks:
        """Pick greedily by the product."""
        diversity = next((one for one in self._all(Diversity) if one.strength > 0), None)
        apart = next(iter(self._all(MinDistance)), None)
        power = diversity.strength if diversity is not None else 1.0
        metric = diversity.metric if diversity is not None else apart.metric if apart is not None else "euclidean"
        goal = Goal(metric == "cosine", 0.0 if apart is None else apart.distance, is_flat=diversity is None)
        vectors = walked_vectors(pool, metric) if diversity or apart else np.zeros((len(pool), 1), dtype=np.float32)

        rule = self._rule(pool, power)
        is_open, names = self._open(pool)
        values = self._static_values(pool, is_open, int(rng.integers(2**63)))
        weights = self._weights(is_open, values, power)
        included = self._included(pool, is_open)
        self._check_possible(pool, n_samples, is_open, rule, names, included)
        first = _FirstPicks(pool, vectors, goal, rule)
        for row in included.tolist():
            first.add(row)
        is_open[included] = False
        if len(included):
            on_pick(len(included))

        task = Task(
            vectors,
            is_open,
            weights,
            goal,
            np.concatenate([pool.labeled, included]),
            n_samples - len(included),
            is_on_disk(pool.vectors) if pool.vectors is not None else False,
        )
        is_dynamic = bool(rule.wanted or rule.rationed or rule.spent)
        is_interrupted = False
        try:
            walked = run(task, self.engine, on_pick, rule if is_dynamic else None) if task.n_picks else first.nothing
        except Interrupted as error:
            walked, is_interrupted = error.walked, True

        rows = np.concatenate([included, walked.rows])
        squared = np.concatenate([first.squared, walked.squared])
        nearest = np.concatenate([first.nearest, walked.nearest])
        told = _Told(pool, rows, goal.distances(squared), nearest, rule)
        gains = told.gains(diversity, values)
        reasons = told.reasons(diversity, values, len(included))
        is_short = len(rows) < n_samples and not is_interrupted
        note = self._why_short(pool, rows, is_open, rule, n_samples) if is_short else ""
        return Picks(rows, gains, reasons, note, is_interrupted)

    def _static_values(self, pool: Pool, is_open: Flags, seed: int) -> list[tuple[Objective, str, Distances]]:
        """The objectives whose values do not change with the picks: what they are called, and their `(n,)` values."""
        found: list[tuple[Objective, str, Distances]] = []
        for one in self.strategies:
            if not isinstance(one, Objective) or one.strength == 0:
                continue
            if isinstance(one, Weight):
                name = pool.score_name if one.column == SCORE else one.column
                found.append((one, name, numbers_of(pool, one.column)))
            elif isinstance(one, Typicality):
                vectors = vectors_in(pool, one.metric)
                dense = typicality(vectors, np.random.default_rng(seed), order=rows_by_id(pool.item_ids))
                found.append((one, "typicality", np.maximum(dense, _TINY)))
            elif isinstance(one, Similarity):
                found.append((one, "similarity", _similarity(pool, one)))
        candidates = np.flatnonzero(is_open)
        if not len(candidates):
            return found
        for one, name, values in found:
            least = candidates[values[candidates].argmin()]
            if values[least] < 0 or (values[least] == 0 and one.strength < 0):
                raise ValueError(
                    f"{name} of {pool.item_ids[int(least)]!r} is {values[least]:.6g}; objectives are multiplied and must be "
                    f"{'above 0 for a negative strength' if one.strength < 0 else '0 or more'}: shift or rescale them"
                )
        return found

    def _weights(self, is_open: Flags, values: list[tuple[Objective, str, Distances]], power: float) -> Distances | None:
        """Factors on the distance that order the items as the product does."""
        if not values:
            return None
        weights, candidates = np.zeros(len(is_open)), np.flatnonzero(is_open)
        product = np.ones(len(candidates))
        with np.errstate(all="ignore"):
            for one, _, of_all in values:
                exponent = one.strength / power
                product = product * (of_all[candidates] if exponent == 1 else of_all[candidates] ** exponent)
        is_positive = np.all([of_all[candidates] > 0 for _, _, of_all in values], axis=0)
        if not np.isfinite(product).all() or (is_positive & (product == 0)).any():
            raise ValueError(_OUT_OF_RANGE)
        weights[candidates] = product
        return weights

    def _rule(self, pool: Pool, power: float) -> JointRule:
        balances = [one for one in self._all(Balance) if one.strength > 0]
        return JointRule(
            [Wanted(pool, one) for one in balances],
            [Rationed(pool, one) for one in self._all(AtMost)],
            [Spent(pool, one) for one in self._all(Budget)],
            {place: one.strength / power for place, one in enumerate(balances)},
        )

    def _open(self, pool: Pool) -> tuple[Flags, list[str]]:
        """What can be picked by thresholds and exclusions, and what these are in words."""
        is_open, names = ~pool.is_labeled, []
        for one in self._all(Threshold):
            values = numbers_of(pool, one.column)
            with np.errstate(invalid="ignore"):
                if one.at_least is not None:
                    is_open &= values >= one.at_least
                    names.append(f"{one.column} at least {one.at_least:g}")
                if one.at_most is not None:
                    is_open &= values <= one.at_most
                    names.append(f"{one.column} at most {one.at_most:g}")
        for exclude in self._all(Exclude):
            is_open[_rows_of(pool, exclude.item_ids, "Exclude")] = False
            names.append(f"{len(exclude.item_ids):,} items excluded")
        return is_open, names

    def _included(self, pool: Pool, is_open: Flags) -> Rows:
        parts = [_rows_of(pool, one.item_ids, "Include") for one in self._all(Include)]
        rows = np.array(list(dict.fromkeys(np.concatenate(parts).tolist())) if parts else [], dtype=np.int64)
        for row in rows.tolist():
            if pool.is_labeled[row]:
                raise ValueError(f"Include names {pool.item_ids[row]!r}, which is labeled already; leave it out")
            if not is_open[row]:
                name = pool.item_ids[row]
                raise ValueError(f"Include names {name!r}, which a threshold or Exclude rules out; choose one")
        return rows

    def _check_possible(
        self, pool: Pool, n_samples: int, is_open: Flags, rule: JointRule, names: list[str], included: Rows
    ) -> None:
        """Raise if the constraints leave too few items, saying which and how many are possible."""
        if len(included) > n_samples:
            raise ValueError(f"n_samples is {n_samples:,}, and Include names {len(included):,} items; ask for as many")
        possible = int(np.count_nonzero(is_open))
        for rationed in rule.rationed:
            names = [*names, f"at most {rationed.at_most.count:,} of each {rationed.at_most.column!r}"]
            possible = min(possible, rationed.n_possible(is_open))
        if possible < n_samples and not rule.spent:
            raise ValueError(
                f"n_samples is {n_samples:,}, and the constraints ({'; '.join(names)}) leave a batch of {possible:,} at "
                "most; ask for fewer, or loosen them"
            )

    def _why_short(self, pool: Pool, rows: Rows, is_open: Flags, rule: JointRule, n_samples: int) -> str:
        """Why a batch is shorter than asked for."""
        left = np.flatnonzero(is_open)
        left = left[~np.isin(left, rows)]
        parts = []
        for rationed in rule.rationed:
            n_full = int(np.count_nonzero(~rationed.may_pick(left)))
            if n_full:
                parts.append(f"{n_full:,} are of a {rationed.at_most.column!r} that has its {rationed.at_most.count:,}")
        for spent in rule.spent:
            n_dear = int(np.count_nonzero(~spent.may_pick(left)))
            if n_dear:
                rest = spent.budget.limit - spent.spent
                rest = rest if rest > 1e-9 * spent.budget.limit else 0.0
                parts.append(f"{n_dear:,} need more than the {rest:.6g} of {spent.budget.column!r} that is left")
        n_near = int(np.count_nonzero(rule.may_pick(left)))
        for apart in self._all(MinDistance):
            if n_near:
                parts.append(f"{n_near:,} are nearer than min_distance {apart.distance:.6g} to a labeled or picked item")
        why = "; ".join(parts) or "none is open"
        return f"stopped after {len(rows):,} of {n_samples:,}: of {len(left):,} items left, {why}"


class _FirstPicks:
    """The included items: checked, told to the rule, and measured as if they had been picked in this order."""

    def __init__(self, pool: Pool, vectors: Vectors, goal: Goal, rule: JointRule) -> None:
        self._pool, self._vectors, self._goal, self._rule = pool, vectors, goal, rule
        self._centers = pool.labeled
        self.squared: Distances = np.empty(0)
        self.nearest: Rows = np.empty(0, dtype=np.int64)
        self.nothing = _Nothing(self.nearest[:0], self.squared[:0], self.nearest[:0])

    def add(self, row: int) -> None:
        """Pick an item, or raise if another constraint does not allow it."""
        name = self._pool.item_ids[row]
        if not self._rule.may_pick(np.array([row]))[0]:
            limits = [
                f"AtMost({one.at_most.count}, {one.at_most.column!r})"
                for one in self._rule.rationed
                if not one.may_pick(np.array([row]))[0]
            ]
            raise ValueError(
                f"Include names {name!r}, which is beyond {' and '.join(limits) or 'the Budget'}; leave one out"
            )
        if len(self._centers):
            point = self._vectors[np.array([row])]
            points = np.broadcast_to(point, (len(self._centers), point.shape[1]))
            squared = squared_distances(self._vectors, self._centers, points)
            place = int(squared.argmin())
            found, near = squared[place], self._centers[place]
            distance = self._goal.distances(squared[place : place + 1])[0]
            if distance < self._goal.min_distance:
                raise ValueError(
                    f"Include names {name!r}, which is {distance:.6g} from {self._pool.item_ids[near]!r}, below the minimum "
                    "distance; leave one out"
                )
        else:
            origin = mean_of(self._vectors)
            found = squared_distances(self._vectors, np.array([row]), unit(origin) if self._goal.is_cosine else origin)[0]
            near = -1
        self._rule.add(row)
        self.squared, self.nearest = np.append(self.squared, found), np.append(self.nearest, near)
        self._centers = np.append(self._centers, row)


@dataclass(frozen=True)
class _Nothing:
    rows: Rows
    squared: Distances
    nearest: Rows


@dataclass(frozen=True)
class _Told:
    """What is told of the picks: rows in order, their distances and nearest items when picked, and the rule's memory."""

    pool: Pool
    rows: Rows
    distances: Distances
    nearest: Rows
    rule: JointRule

    def gains(self, diversity: Diversity | None, values: list[tuple[Objective, str, Distances]]) -> Distances:
        """`(k,)` products."""
        gains = np.ones(len(self.rows))
        with np.errstate(all="ignore"):
            if diversity is not None:
                gains = gains * self.distances**diversity.strength
            for one, _, of_all in values:
                gains = gains * of_all[self.rows] ** one.strength
            for place, wanted in enumerate(self.rule.wanted):
                gains = gains * self._wanted_values(place) ** wanted.balance.strength
        if not np.isfinite(gains).all():
            raise ValueError(_OUT_OF_RANGE)
        return gains

    def _wanted_values(self, place: int) -> Distances:
        return np.array([self.rule.at_pick[row][place] for row in self.rows.tolist()])

    def reasons(
        self, diversity: Diversity | None, values: list[tuple[Objective, str, Distances]], n_included: int
    ) -> tuple[str, ...]:
        """For each pick its values, and which objective lifted it most.

        The lift of an objective is `strength * log(value / usual)`, where usual is the median over the candidates, for
        distances over the picks, and for balance 1.
        """
        if not len(self.rows):
            return ()
        parts: list[list[str]] = []
        names: list[str] = []
        lifts: list[Distances] = []
        if diversity is not None:
            parts.append([self._distance_in_words(place) for place in range(len(self.rows))])
            names.append("diversity")
            lifts.append(_lift(self.distances, float(np.median(self.distances)), diversity.strength))
        candidates = self.pool.candidates
        for one, name, of_all in values:
            parts.append(percentile_reasons(name, of_all[candidates], of_all[self.rows]))
            names.append(name)
            lifts.append(_lift(of_all[self.rows], float(np.median(of_all[candidates])), one.strength))
        for place, wanted in enumerate(self.rule.wanted):
            at_pick = self._wanted_values(place)
            parts.append([wanted.in_words(row, value) for row, value in zip(self.rows.tolist(), at_pick.tolist())])
            names.append(wanted.balance.column)
            lifts.append(_lift(at_pick, 1.0, wanted.balance.strength))
        decided = [""] * len(self.rows)
        if len(names) > 1:
            decided = [f"; lifted most by {names[best]}" for best in np.argmax(lifts, axis=0).tolist()]
        return tuple(
            ("included; " if place < n_included else "") + "; ".join(part[place] for part in parts) + decided[place]
            for place in range(len(self.rows))
        )

    def _distance_in_words(self, place: int) -> str:
        near = int(self.nearest[place])
        if near < 0:
            return f"{in_words(self.distances[place])} from the pool's mean, nothing being labeled yet"
        kind = "labeled" if self.pool.is_labeled[near] else "picked"
        return f"{in_words(self.distances[place])} from the nearest {kind} item, {self.pool.item_ids[near]!r}"


def _lift(values: Distances, usual: float, strength: float) -> Distances:
    tiny = np.finfo(np.float64).tiny
    lifts: Distances = strength * (np.log(np.maximum(values, tiny)) - np.log(max(usual, tiny)))
    return lifts


def _similarity(pool: Pool, one: Similarity) -> Distances:
    examples = _rows_of(pool, one.to, "Similarity")
    vectors = vectors_in(pool, one.metric)
    _, squared = nearest_points(vectors, vectors[examples])
    distances = Goal(one.metric == "cosine").distances(squared)
    mean = distances.mean()
    values: Distances = np.exp(-distances / mean) if mean > 0 else np.ones(len(distances))
    return np.maximum(values, _TINY)


def _rows_of(pool: Pool, item_ids: Sequence[str], what: str) -> Rows:
    wanted = set(item_ids)
    row_of = {item_id: row for row, item_id in enumerate(pool.item_ids) if item_id in wanted}
    unknown = [item_id for item_id in item_ids if item_id not in row_of]
    if unknown:
        raise ValueError(
            f"{what} names {unknown[0]!r}, which is no item of the pool, {len(unknown):,} such in all; leave them out"
        )
    return np.array([row_of[item_id] for item_id in item_ids], dtype=np.int64)
