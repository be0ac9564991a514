"""What changes with each pick of a joint selection: which classes are wanted, which groups are full, what is spent."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from .columns import NO_GROUP, groups_of, is_of_shares, numbers_of, shares_of
from .distances import Distances, Rows
from .pool import Pool
from .strategies import AtMost, Balance, Budget

Flags = np.ndarray[tuple[int, ...], np.dtype[np.bool_]]


_ROUNDING = 1e-9  # three costs of 0.1 fit into 0.3


class Wanted:
    """How much each class is wanted, as `Balance` defines it."""

    def __init__(self, pool: Pool, balance: Balance) -> None:
        self.balance = balance
        self._shares: Distances | None = None
        if is_of_shares(pool, balance.column):
            self.names, counts = shares_of(pool, balance.column)
            sums = counts.sum(axis=1)
            self._counts = counts
            self._shares = counts / np.where(sums > 0, sums, 1.0)[:, None]
            self._has_class = sums > 0
            in_all = counts.sum(axis=0)
            had = counts[pool.is_labeled].sum(axis=0)
        else:
            groups = groups_of(pool, balance.column)
            self.names, self._codes = groups.names, groups.codes
            self._has_class = self._codes != NO_GROUP
            n_classes = len(self.names)
            in_all = np.bincount(self._codes[self._has_class], minlength=n_classes).astype(np.float64)
            had = np.bincount(self._codes[self._has_class & pool.is_labeled], minlength=n_classes).astype(np.float64)
        self.target = _target(balance, self.names, in_all)
        self._had = had if balance.counts_labeled else np.zeros(len(self.names))
        self._at_mark = self.needs()

    def needs(self) -> Distances:
        """`(c,)` target share over share so far of each class, 0 without target."""
        divisor = np.where(self.target > 0, self._had + self.target, 1.0)
        needs: Distances = self.target * (self._had.sum() + 1.0) / divisor
        return needs

    def mark(self) -> None:
        """Remember how much classes are wanted."""
        self._at_mark = self.needs()

    def rise(self) -> float:
        """How many times more any class is wanted than at the mark, at least 1."""
        with np.errstate(invalid="ignore", divide="ignore"):
            ratios = self.needs() / self._at_mark
        return float(max(1.0, np.nanmax(ratios, initial=1.0)))

    def values(self, rows: Rows) -> Distances:
        """`(m,)` how much rows are wanted; 1 for those without a class."""
        needs = self.needs()
        if self._shares is None:
            found = needs[self._codes[rows]] if len(needs) else np.ones(len(rows))
        else:
            found = np.zeros(len(rows))
            for place, need in enumerate(needs.tolist()):  # one class at a time: the same bits for any number of rows
                found += self._shares[rows, place] * need
        return np.where(self._has_class[rows], found, 1.0)

    def add(self, row: int) -> None:
        """An item was picked."""
        if not self._has_class[row]:
            return
        if self._shares is None:
            self._had[self._codes[row]] += 1
        else:
            self._had += self._counts[row]

    def in_words(self, row: int, value: float) -> str:
        """How much the item's class was wanted."""
        if not self._has_class[row]:
            return f"no {self.balance.column}"
        name = f"{self.balance.column} {self.names[self._codes[row]]!r}" if self._shares is None else self.balance.column
        return f"{name} wanted {value:.3g} times its share"


def _target(balance: Balance, names: tuple[str, ...], in_all: Distances) -> Distances:
    if isinstance(balance.target, str):
        raw = in_all if balance.target == "pool" else (in_all > 0).astype(np.float64)
    else:
        raw = np.array([float(balance.target.get(name, 0.0)) for name in names])
        absent = [name for name, share in balance.target.items() if share > 0 and name not in names]
        if absent:
            raise ValueError(
                f"the target of {balance.column!r} names {absent[0]!r}, which no item of the pool has; its classes are "
                f"{', '.join(map(repr, names[:20]))}"
            )
    total = raw.sum()
    return raw / total if total > 0 else raw


class Rationed:
    """How many picks of each group are left, as `AtMost` defines it."""

    def __init__(self, pool: Pool, at_most: AtMost) -> None:
        self.at_most = at_most
        groups = groups_of(pool, at_most.column)
        self.codes = groups.codes
        self.names = groups.names
        taken = np.zeros(len(groups.names), dtype=np.int64)
        if at_most.counts_labeled:
            taken = np.bincount(self.codes[pool.is_labeled & (self.codes != NO_GROUP)], minlength=len(groups.names))
        self.left = np.append(np.maximum(at_most.count - taken, 0), np.iinfo(np.int64).max)  # the last: without a group

    def may_pick(self, rows: Rows) -> Flags:
        """Whose group has picks left."""
        return np.asarray(self.left[self.codes[rows]] > 0)

    def n_possible(self, is_open: Flags) -> int:
        """Most picks there can be."""
        codes = self.codes[is_open]
        n_free = int(np.count_nonzero(codes == NO_GROUP))
        in_group = np.bincount(codes[codes != NO_GROUP], minlength=len(self.names))
        return n_free + int(np.minimum(in_group, self.left[:-1]).sum())

    def add(self, row: int) -> None:
        """An item was picked."""
        if self.codes[row] != NO_GROUP:
            self.left[self.codes[row]] -= 1


class Spent:
    """What the picks have cost, as `Budget` defines it."""

    def __init__(self, pool: Pool, budget: Budget) -> None:
        self.budget = budget
        self.costs = numbers_of(pool, budget.column)
        self.spent = 0.0
        candidates = pool.candidates
        negative = candidates[self.costs[candidates] < 0]
        if len(negative):
            row = int(negative[0])
            raise ValueError(
                f"{budget.column!r} of {pool.item_ids[row]!r} is {self.costs[row]:g}; costs are 0 or more: mend the column"
            )

    def may_pick(self, rows: Rows) -> Flags:
        """What still fits."""
        return np.asarray(self.spent + self.costs[rows] <= self.budget.limit * (1 + _ROUNDING))

    def add(self, row: int) -> None:
        """An item was picked."""
        self.spent += float(self.costs[row])


class JointRule:
    """All of these together; a `Rule` of the walk.

    Args:
        wanted: Balances.
        rationed: Groups with a cap.
        spent: Budgets.
        exponents: Of each balance, by its place.
    """

    def __init__(
        self, wanted: list[Wanted], rationed: list[Rationed], spent: list[Spent], exponents: Mapping[int, float]
    ) -> None:
        self.wanted = wanted
        self.rationed = rationed
        self.spent = spent
        self.exponents = exponents
        self.at_pick: dict[int, list[float]] = {}
        """For each row that was picked how much it was wanted then, by balance."""
        self._has_changed = False

    def mark(self) -> None:
        """As every rule."""
        self._has_changed = False
        for wanted in self.wanted:
            wanted.mark()

    def factors(self, rows: Rows) -> Distances:
        """As every rule."""
        result = np.ones(len(rows))
        for place, wanted in enumerate(self.wanted):
            values, exponent = wanted.values(rows), self.exponents[place]
            result = result * (values if exponent == 1 else values**exponent)
        return result

    def rise(self) -> float:
        """As every rule."""
        if not self._has_changed:
            return 1.0
        result = 1.0
        for place, wanted in enumerate(self.wanted):
            result *= wanted.rise() ** self.exponents[place]
        return max(1.0, result * (1 + 1e-12)) if self.wanted else 1.0

    def may_pick(self, rows: Rows) -> Flags:
        """As every rule."""
        result = np.ones(len(rows), dtype=bool)
        for rationed in self.rationed:
            result &= rationed.may_pick(rows)
        for spent in self.spent:
            result &= spent.may_pick(rows)
        return result

    def add(self, row: int) -> None:
        """As every rule."""
        at = np.array([row])
        self.at_pick[row] = [float(wanted.values(at)[0]) for wanted in self.wanted]
        for wanted in self.wanted:
            wanted.add(row)
        for rationed in self.rationed:
            rationed.add(row)
        for spent in self.spent:
            spent.add(row)
        self._has_changed = True
