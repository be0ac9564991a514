"""Strategies: what a joint selection wants, as objectives with a strength each, and as constraints that always hold.

A strategy is a plain value that names columns of the pool and items by id, so that it can be written to a file.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, asdict, dataclass, field, fields
from typing import Any, ClassVar

import numpy as np

from .distances import check_metric
from .sampler import check_number, checked_count

SCORE = "score"
"""Name under which strategies find the scores of the pool."""


@dataclass(frozen=True)
class Strategy:
    """Base of objectives and constraints."""

    kind: ClassVar[str]

    def to_dict(self) -> dict[str, Any]:
        """Plain values, as JSON takes them; `strategy(values)` gives it back."""
        return {"kind": self.kind, **asdict(self)}


@dataclass(frozen=True)
class Objective(Strategy):
    """Something to have much of; the worth of an item is the product of `value ** strength` over the objectives.

    Args:
        strength: Exponent; 0 leaves the objective out.
    """

    strength: float = field(default=1.0, kw_only=True)


@dataclass(frozen=True)
class Diversity(Objective):
    """Distance to the nearest labeled or picked item; to the pool's mean for the first pick with nothing labeled.

    Args:
        strength: Exponent of the distance, 0 or more.
        metric: `euclidean` or `cosine`.
    """

    kind: ClassVar[str] = "diversity"
    metric: str = "euclidean"

    def __post_init__(self) -> None:
        _set_number(self, "strength", is_signed=False)
        check_metric(self.metric)


@dataclass(frozen=True)
class Weight(Objective):
    """A number of each item, 0 or more: a score, a cost, an age.

    Args:
        strength: Exponent; negative prefers small numbers, which must then be positive.
        column: `score`, or a column of the pool.
    """

    kind: ClassVar[str] = "weight"
    column: str = SCORE

    def __post_init__(self) -> None:
        _set_number(self, "strength")
        _check_name(self.column, "column")


@dataclass(frozen=True)
class Typicality(Objective):
    """How dense the pool is around an item: the mean of `exp(-d / D)` over its nearest neighbours in a sample of the pool.

    Args:
        strength: Exponent; negative prefers rare items.
        metric: `euclidean` or `cosine`.
    """

    kind: ClassVar[str] = "typicality"
    metric: str = "euclidean"

    def __post_init__(self) -> None:
        _set_number(self, "strength")
        check_metric(self.metric)


@dataclass(frozen=True)
class Similarity(Objective):
    """Nearness to example items: `exp(-d / D)`, d the distance to the nearest example, D the mean of d over the pool.

    Args:
        strength: Exponent; negative prefers what is unlike the examples.
        to: Ids of the examples, labeled or not.
        metric: `euclidean` or `cosine`.
    """

    kind: ClassVar[str] = "similarity"
    to: Sequence[str]
    metric: str = "euclidean"

    def __post_init__(self) -> None:
        _set_number(self, "strength")
        check_metric(self.metric)
        object.__setattr__(self, "to", _checked_ids(self.to, "to"))


@dataclass(frozen=True)
class Balance(Objective):
    """How much an item's classes are wanted: the mean over its classes of `target share / share so far`.

    With n items labeled or picked, `n_c` of them of class c, and `t_c` the target, the share so far is
    `(n_c + t_c) / (n + 1)`: as if there had been one item like the target to begin with. To first order it is what picking
    the item takes off the divergence KL(target || shares). A class without target is worth 0, an item without classes 1.

    Args:
        strength: Exponent, 0 or more.
        column: A column of the pool: a class or a group for each item, or `(n, c)` shares or counts.
        target: Shares by class; `uniform` over the classes present; or `pool`, the shares of the whole pool. Classes of
            `(n, c)` columns are named `0` to `c - 1`.
        counts_labeled: Whether what is labeled already counts as had.
    """

    kind: ClassVar[str] = "balance"
    column: str = "class"
    target: Mapping[str, float] | str = "uniform"
    counts_labeled: bool = True

    def __post_init__(self) -> None:
        _set_number(self, "strength", is_signed=False)
        _check_name(self.column, "column")
        _check_flag(self.counts_labeled, "counts_labeled")
        if isinstance(self.target, str):
            if self.target not in ("uniform", "pool"):
                raise ValueError(f"target is {self.target!r}; expected shares by class, 'uniform' or 'pool'")
            return
        target: object = self.target
        if not isinstance(target, Mapping) or not target:
            raise ValueError(f"target is {self.target!r}; expected shares by class, 'uniform' or 'pool'")
        for name, share in self.target.items():
            check_number(share, f"target[{name!r}]")
        if not sum(self.target.values()) > 0:
            raise ValueError("target is 0 for every class; give at least one class a share")
        object.__setattr__(self, "target", {str(name): float(share) for name, share in self.target.items()})

    def __hash__(self) -> int:
        target = self.target if isinstance(self.target, str) else frozenset(self.target.items())
        return hash((self.kind, self.strength, self.column, target, self.counts_labeled))


@dataclass(frozen=True)
class MinDistance(Strategy):
    """Nothing nearer than this to a labeled or picked item: near-duplicates are picked once.

    Args:
        distance: In the unit of the metric.
        metric: `euclidean` or `cosine`.
    """

    kind: ClassVar[str] = "min_distance"
    distance: float
    metric: str = "euclidean"

    def __post_init__(self) -> None:
        _set_number(self, "distance", is_signed=False)
        check_metric(self.metric)


@dataclass(frozen=True)
class Threshold(Strategy):
    """Only items whose number is in a range.

    Args:
        column: `score`, or a column of the pool.
        at_least: Smallest number that is allowed; None: any.
        at_most: Largest number that is allowed; None: any.
    """

    kind: ClassVar[str] = "threshold"
    column: str = SCORE
    at_least: float | None = None
    at_most: float | None = None

    def __post_init__(self) -> None:
        _check_name(self.column, "column")
        for name in ("at_least", "at_most"):
            if getattr(self, name) is not None:
                _set_number(self, name)
        if self.at_least is None and self.at_most is None:
            raise ValueError("at_least and at_most are both None; a threshold needs one of them")
        if self.at_least is not None and self.at_most is not None and self.at_least > self.at_most:
            raise ValueError(f"at_least {self.at_least:g} is above at_most {self.at_most:g}; nothing fits between them")


@dataclass(frozen=True)
class AtMost(Strategy):
    """At most so many items of each group: a video, a patient, a site.

    Args:
        count: Picks of a group, at least 1.
        column: A column of the pool with a group for each item.
        counts_labeled: Whether labeled items of a group count too.
    """

    kind: ClassVar[str] = "at_most"
    count: int
    column: str = "group"
    counts_labeled: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "count", checked_count(self.count, "count"))
        _check_name(self.column, "column")
        _check_flag(self.counts_labeled, "counts_labeled")


@dataclass(frozen=True)
class Include(Strategy):
    """Items that are picked first, in this order, whatever they are worth; the other constraints hold for them too.

    Args:
        item_ids: Candidates.
    """

    kind: ClassVar[str] = "include"
    item_ids: Sequence[str]

    def __post_init__(self) -> None:
        object.__setattr__(self, "item_ids", _checked_ids(self.item_ids, "item_ids"))


@dataclass(frozen=True)
class Exclude(Strategy):
    """Items that are not picked.

    Args:
        item_ids: Items of the pool.
    """

    kind: ClassVar[str] = "exclude"
    item_ids: Sequence[str]

    def __post_init__(self) -> None:
        object.__setattr__(self, "item_ids", _checked_ids(self.item_ids, "item_ids"))


@dataclass(frozen=True)
class Budget(Strategy):
    """The picks may cost so much in all; what does not fit any more is passed over.

    Args:
        limit: In the unit of the column: seconds, money, boxes expected.
        column: A column of the pool with a cost of 0 or more for each item.
    """

    kind: ClassVar[str] = "budget"
    limit: float
    column: str = "cost"

    def __post_init__(self) -> None:
        _set_number(self, "limit", is_signed=False)
        _check_name(self.column, "column")


KINDS: dict[str, type[Strategy]] = {
    cls.kind: cls
    for cls in (
        *(Diversity, Weight, Typicality, Similarity, Balance),
        *(MinDistance, Threshold, AtMost, Include, Exclude, Budget),
    )
}


def strategy(values: object) -> Strategy:
    """A strategy from what its `to_dict` gave, or itself.

    Raises:
        ValueError: There is no such kind, or an option is out of range or not of that kind.

    Examples:
        >>> strategy({"kind": "at_most", "count": 3, "column": "video"})
        AtMost(count=3, column='video', counts_labeled=False)
    """
    if isinstance(values, Strategy):
        return values
    kind = values.get("kind") if isinstance(values, Mapping) else None
    if not isinstance(values, Mapping) or not isinstance(kind, str) or kind not in KINDS:
        names = ", ".join(cls.__name__ for cls in KINDS.values())
        raise ValueError(f"strategy is {values!r}; expected one of {names}, or a mapping with a kind of {', '.join(KINDS)}")
    options = {name: value for name, value in values.items() if name != "kind"}
    cls = KINDS[kind]
    known = [one.name for one in fields(cls)]
    unknown = [str(name) for name in options if name not in known]
    if unknown:
        raise ValueError(f"strategy {kind!r} has no option {unknown[0]!r}; it has {', '.join(map(repr, known))}")
    missing = [one.name for one in fields(cls) if one.default is MISSING and one.name not in options]
    if missing:
        raise ValueError(f"strategy {kind!r} needs {missing[0]!r}")
    return cls(**options)


def _set_number(one: Strategy, name: str, *, is_signed: bool = True) -> None:
    """Check a number, and keep it as a plain one."""
    value = getattr(one, name)
    if not is_signed:
        check_number(value, name)
    elif isinstance(value, bool) or not isinstance(value, int | float | np.number) or not math.isfinite(value):
        raise ValueError(f"{name} is {value!r}; expected a finite number")
    object.__setattr__(one, name, float(value))


def _check_flag(value: object, name: str) -> None:
    if not isinstance(value, bool):
        raise ValueError(f"{name} is {value!r}; expected True or False")


def _check_name(value: object, name: str) -> None:
    if not isinstance(value, str) or not value:
        raise ValueError(f"{name} is {value!r}; expected the name of a column")


def _checked_ids(item_ids: object, name: str) -> tuple[str, ...]:
    if isinstance(item_ids, str) or not isinstance(item_ids, tuple | list | set | frozenset):
        raise ValueError(f"{name} is {item_ids!r}; expected item ids, such as [{item_ids!r}]")
    ids = tuple(sorted(item_ids, key=str) if isinstance(item_ids, set | frozenset) else item_ids)
    if not ids:
        raise ValueError(f"{name} is empty; name at least one item")
    if not all(isinstance(item_id, str) for item_id in ids):
        raise ValueError(
            f"{name} holds {next(i for i in ids if not isinstance(i, str))!r}; expected item ids, which are strings"
        )
    if len(set(ids)) != len(ids):
        raise ValueError(f"{name} names an item twice; name each once")
    return ids
