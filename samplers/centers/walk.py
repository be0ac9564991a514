"""The greedy walk over shards: few rows are brought up to date, the picks are made among them, and so on.

An epoch chooses a threshold, brings the rows whose bound reaches it up to date, and picks greedily among those that still
reach it, until none does. No row outside can be worth more than the threshold, so every pick is the one of the naive
definition. The threshold is steered so that both halves of an epoch take the same time; steering changes no pick.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import NamedTuple, Protocol

import numpy as np

from ..distances import Distances, Rows
from ..pool import Vectors
from .shard import Candidates, Flags, Goal, Numbers, Outlook

SMALLEST = 5e-324
"""The least positive number: what is worth less is worth nothing."""


_CANDIDATE_VALUES = 1 << 24  # 64 MiB of float32
_N_SAMPLED = 1 << 16
_MANY = 128  # centers to begin with


class Crew(Protocol):
    """The shards of a pool, wherever they are."""

    @property
    def n_rows(self) -> int:
        """Rows of the pool."""

    def farthest(self, point: Distances, boost: Distances | None = None) -> tuple[float, int, float]:
        """As `Shard.farthest`, of all shards."""

    def points(self, rows: Rows) -> Vectors:
        """`(m, d)` vectors of rows of the pool."""

    def step(
        self, points: Vectors, picked: Rows, least: float | None, n_sampled: int, boost: Distances | None
    ) -> tuple[Candidates | None, Outlook]:
        """Take in new centers; the rows worth at least `least`, and the outlook. None asks for the outlook alone."""

    def first_open(self, limit: int) -> Candidates:
        """The first rows that can be picked, up to date, whatever they are worth."""

    def probe(self, n_sampled: int) -> Distances:
        """As `Shard.probe`."""

    def note(self, rows: Rows, squared: Distances, nearest: Numbers, seen: Numbers) -> None:
        """As `Shard.note`; remote shards may ignore it."""


class Made(NamedTuple):
    """Picks made among candidates.

    Args:
        places: `(p,)` places among the candidates, in the order of the picks.
        squared: `(p,)` squared distance of each to its nearest center when it was picked.
        nearest: `(p,)` number of that center.
        all_squared: `(m,)` squared distances of all candidates after the last center that each has met.
        all_nearest: `(m,)` number of the nearest of these.
        all_seen: `(m,)` number of centers that each has met.
    """

    places: Rows
    squared: Distances
    nearest: Numbers
    all_squared: Distances
    all_nearest: Numbers
    all_seen: Numbers


Inner = Callable[[Candidates, float, int, int], Made]
"""Picks among candidates: `inner(candidates, least, n_picks, n_centers)`."""


class Steering:
    """How many rows an epoch should look at, from how long both of its halves take."""

    def __init__(self, n_rows: int, n_dimensions: int) -> None:
        self.n_rows = n_rows
        self.most = max(256, min(n_rows // 4, _CANDIDATE_VALUES // n_dimensions))
        self.target = min(self.most, max(2048, n_rows // 32))
        self.refresh_s = 0.0
        self.inner_s = 0.0
        self.n_epochs = 0
        self._nanoseconds = 4.0 + 0.03 * n_dimensions  # of a candidate and a pick

    def n_picks(self, n_candidates: int) -> int:
        """How many picks to make at most before the next refresh."""
        seconds = max(0.003, 0.5 * self.refresh_s - self.inner_s + 0.005)
        return max(8, int(seconds * 1e9 / (n_candidates * self._nanoseconds)))

    def learn(self, refresh_s: float, inner_s: float, n_candidates: int, n_picks: int, is_capped: bool) -> None:
        """Take in how long an epoch took."""
        self.n_epochs += 1
        self.refresh_s += refresh_s
        self.inner_s += inner_s
        if n_candidates * n_picks > 20_000:
            self._nanoseconds = inner_s * 1e9 / (n_candidates * n_picks)
        if is_capped:
            self.target = max(256, min(self.target // 2, n_candidates // 2))
        elif inner_s > 1.5 * (refresh_s + 2e-3):
            self.target = max(256, int(self.target * 0.6))
        elif inner_s < 0.67 * refresh_s:
            self.target = min(self.most, int(self.target * 1.5) + 1)

    def least(self, outlook: Outlook) -> float:
        """A threshold that about `target` rows reach."""
        wanted = max(1, self.target * _N_SAMPLED // max(_N_SAMPLED, self.n_rows))
        sample = outlook.bounds[outlook.bounds >= 0]
        if len(sample) <= wanted:
            return SMALLEST
        reached = float(np.partition(sample, len(sample) - wanted)[len(sample) - wanted])
        return max(SMALLEST, min(reached, outlook.most))


class Rule(Protocol):
    """What else the worth of a row depends on: factors that change with the picks, and picks that rule others out."""

    def mark(self) -> None:
        """Remember how things stand."""

    def factors(self, rows: Rows) -> Distances:
        """`(m,)` factors of 0 or more on the worth of rows, as things stand; a factor of 0 stays 0."""

    def rise(self) -> float:
        """How many times larger any factor may be now than it was at the mark, at least 1; exactly 1 if nothing changed."""

    def may_pick(self, rows: Rows) -> Flags:
        """`(m,)` which rows can be picked, as things stand; a row that cannot never can again."""

    def add(self, row: int) -> None:
        """A row was picked."""


class Walked(NamedTuple):
    """The rows picked, in order, and for each its squared distance to the nearest center when picked, and that center.

    `nearest` is a row of the pool, or -1 for a first pick that was measured from the middle of the pool.
    """

    rows: Rows
    squared: Distances
    nearest: Rows


class Interrupted(KeyboardInterrupt):
    """The walk was interrupted; `walked` is what it had picked."""

    def __init__(self, walked: Walked) -> None:
        super().__init__(f"interrupted after {len(walked.rows):,} picks")
        self.walked = walked


class Walk:
    """A greedy walk.

    Args:
        crew: The shards.
        n_picks: Number of picks; fewer are made if nothing else can be picked.
        start: Rows that are centers from the beginning.
        goal: What is maximised.
        inner: Picks among candidates.
        steering: Of the epochs.
        on_pick: Called with the number of picks made since the last call.
        rule: What else counts.
    """

    def __init__(
        self,
        crew: Crew,
        n_picks: int,
        *,
        start: Rows,
        goal: Goal,
        inner: Inner,
        steering: Steering,
        on_pick: Callable[[int], object],
        rule: Rule | None = None,
    ) -> None:
        self.crew = crew
        self.n_picks = n_picks
        self.goal = goal
        self.inner = inner
        self.steering = steering
        self.on_pick = on_pick
        self.rule = rule
        self.n_start = len(start)
        self.centers: list[int] = start.tolist()
        self.squared: list[float] = []
        self.nearest: list[int] = []
        self._all = np.arange(crew.n_rows)
        self._is_closed: Flags = np.zeros(crew.n_rows if rule is not None else 0, dtype=bool)
        self._news: tuple[Vectors, Rows] = (crew.points(start), start[:0])  # centers and picks that the crew does not know
        self._boost: Distances | None = None

    def run(self, origin: Distances | None) -> Walked:
        """Make the picks. Without a row to start from, the first is the one worth most by its distance to the origin.

        Raises:
            Interrupted: By the keyboard; it holds the picks so far.
        """
        try:
            if self._starts(origin):
                self._epochs()
                self._rest()
        except KeyboardInterrupt:
            raise Interrupted(self._walked()) from None
        return self._walked()

    def _walked(self) -> Walked:
        n = len(self.squared)
        rows = np.array(self.centers[self.n_start : self.n_start + n], dtype=np.int64)
        return Walked(rows, np.array(self.squared), np.array(self.nearest, dtype=np.int64))

    def _starts(self, origin: Distances | None) -> bool:
        if self.n_start:
            return True
        assert origin is not None
        self._look_at_rule()
        self.crew.step(*self._taken_news(), None, 0, self._boost)
        worth, row, squared = self.crew.farthest(origin, self._boost)
        if worth < 0:
            return False
        self._note(np.array([row]), self.crew.points(np.array([row])), [squared], [-1])
        return True

    def _epochs(self) -> None:
        """Pick until nothing that is left is worth anything."""
        self._look_at_rule()
        _, outlook = self.crew.step(*self._taken_news(), None, _N_SAMPLED, self._boost)
        hint = self._hint()
        while len(self.squared) < self.n_picks:
            least = self.steering.least(outlook) if hint is None else max(SMALLEST, min(hint, outlook.most))
            hint = None
            began = time.perf_counter()
            candidates, outlook = self.crew.step(*self._taken_news(), least, _N_SAMPLED, self._boost)
            assert candidates is not None
            refreshed = time.perf_counter()
            n_candidates, left = len(candidates.rows), self.n_picks - len(self.squared)
            if not n_candidates and least == SMALLEST:
                return
            made, cap = None, left
            if n_candidates:
                cap = min(left, self.steering.n_picks(n_candidates))
                made = self.inner(candidates, least, cap, len(self.centers))
                self._take(candidates, made)
                outlook = self._looked_again(outlook, candidates, made, least)
                if self._look_at_rule():
                    _, outlook = self.crew.step(*self._taken_news(), None, _N_SAMPLED, self._boost)
            n_made = 0 if made is None else len(made.places)
            self.steering.learn(
                refreshed - began, time.perf_counter() - refreshed, n_candidates, n_made, n_made == cap < left
            )

    def _rest(self) -> None:
        """What is left is worth nothing: it follows in the order of the pool."""
        while len(self.squared) < self.n_picks:
            self._look_at_rule()
            self.crew.step(*self._taken_news(), None, 0, self._boost)
            left = self.n_picks - len(self.squared)
            candidates = self.crew.first_open(left)
            if candidates.squared.any() or self.rule is not None:
                made = self.inner(candidates, 0.0, left, len(self.centers))
            else:  # duplicates of centers stay so
                seen = np.full(len(candidates.rows), len(self.centers), dtype=np.int32)
                made = Made(np.arange(len(candidates.rows)), candidates.squared, candidates.nearest, *candidates[1:3], seen)
            if not len(made.places):
                return
            self._take(candidates, made)

    def _hint(self) -> float | None:
        """A first threshold where there are many centers: else every row would meet each of them."""
        if self.n_start <= _MANY or self.rule is not None:
            return None
        worths = np.sort(self.crew.probe(4096))
        return float(worths[max(0, int(len(worths) * 0.99) - 1)]) if len(worths) else None

    def _look_at_rule(self) -> bool:
        """Bring factors up to date, and close what cannot be picked any more; whether there is a rule."""
        if self.rule is None:
            return False
        self.rule.mark()
        self._boost = self.rule.factors(self._all)
        closed = np.flatnonzero(~self._is_closed & ~self.rule.may_pick(self._all))
        self._is_closed[closed] = True
        self._news = (self._news[0], np.concatenate([self._news[1], closed]))
        return True

    def _taken_news(self) -> tuple[Vectors, Rows]:
        news = self._news
        self._news = (news[0][:0], news[1][:0])
        return news

    def _take(self, candidates: Candidates, made: Made) -> None:
        """Take over picks made among candidates."""
        rows = candidates.rows[made.places]
        numbers = np.array([*self.centers, *rows.tolist()], dtype=np.int64)
        self.crew.note(candidates.rows, made.all_squared, made.all_nearest, made.all_seen)
        self._note(rows, candidates.points[made.places], made.squared.tolist(), numbers[made.nearest].tolist())

    def _note(self, rows: Rows, points: Vectors, squared: list[float], nearest: list[int]) -> None:
        self.centers += rows.tolist()
        self.squared += squared
        self.nearest += nearest
        self._news = (np.concatenate([self._news[0], points]), np.concatenate([self._news[1], rows]))
        if self.rule is not None and nearest == [-1]:  # the first pick; others were told where they were made
            self.rule.add(int(rows[0]))
        if len(rows):
            self.on_pick(len(rows))

    def _looked_again(self, outlook: Outlook, candidates: Candidates, made: Made, least: float) -> Outlook:
        """The outlook after the picks: those who looked did not know them."""
        worths = self.goal.worths(made.all_squared, candidates.weights)
        worths[made.places] = -1.0
        at = np.searchsorted(candidates.rows, outlook.rows)
        at[at == len(candidates.rows)] = 0
        is_candidate = candidates.rows[at] == outlook.rows
        bounds = np.where(is_candidate, worths[at], outlook.bounds)
        return Outlook(outlook.rows, bounds, min(outlook.most, max(least, float(worths.max()))))
