"""The result of a sampler: items best first, and why each was picked."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True, eq=False, repr=False)
class Selection:
    """A batch of k items, best first.

    Args:
        item_ids: k unique item ids.
        gains: `(k,)` what each pick added when it was picked, in the unit of the method that picked it.
        reasons: One sentence for each pick.
        method: Name of the method.
        note: What should be known of the batch as a whole, such as why it is shorter than asked for; empty if nothing.

    Raises:
        ValueError: Ids doubled, lengths that differ, or a gain that is not finite.
    """

    item_ids: tuple[str, ...]
    gains: npt.NDArray[np.float64]
    reasons: tuple[str, ...]
    method: str = ""
    note: str = ""

    def __post_init__(self) -> None:
        ids: Sequence[str] = tuple(self.item_ids)
        gains = np.array(self.gains, dtype=np.float64)
        gains.flags.writeable = False
        reasons = tuple(self.reasons)
        if len(set(ids)) != len(ids):
            raise ValueError(f"item_ids has {len(ids) - len(set(ids))} doubled ids; a batch holds each item once")
        if gains.shape != (len(ids),) or len(reasons) != len(ids):
            raise ValueError(f"{len(ids)} item ids, gains {gains.shape}, {len(reasons)} reasons; expected one of each")
        if not np.isfinite(gains).all():
            raise ValueError(f"the gain of {ids[int(np.flatnonzero(~np.isfinite(gains))[0])]!r} is not finite")
        object.__setattr__(self, "item_ids", ids)
        object.__setattr__(self, "gains", gains)
        object.__setattr__(self, "reasons", reasons)

    def __len__(self) -> int:
        return len(self.item_ids)

    def __iter__(self) -> Iterator[str]:
        return iter(self.item_ids)

    def __repr__(self) -> str:
        shown = ", ".join(map(repr, self.item_ids[:3])) + (", ..." if len(self) > 3 else "")
        return f"Selection({len(self):,} items by {self.method or 'unknown'}, best first: {shown})"
