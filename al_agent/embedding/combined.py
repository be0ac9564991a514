"""Several embeddings made one: of more items, or of more dimensions."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Sequence

import numpy as np

from scorers.checks import doubled_ids

from .embeddings import Embeddings


def concat(parts: Sequence[Embeddings]) -> Embeddings:
    """The items of all parts, one part after another; see `Embeddings.concat`."""
    parts = _checked_parts(parts)
    for number, part in enumerate(parts):
        if part.n_dimensions != parts[0].n_dimensions:
            raise ValueError(
                f"part {number} has {part.n_dimensions:,} dimensions, part 0 has {parts[0].n_dimensions:,}; expected as "
                "many in each"
            )
    ids = tuple(item_id for part in parts for item_id in part.item_ids)
    if len(set(ids)) != len(ids):
        doubled = doubled_ids(ids)
        first, second, *_ = [number for number, part in enumerate(parts) if doubled[0] in part.item_ids]
        raise ValueError(
            f"{len(doubled):,} items are in more than one part, the first is {doubled[0]!r} in parts {first} and {second}; "
            "leave them out of one with subset"
        )
    made = {part.description: None for part in parts}
    known = [description for description in made if description is not None]
    if len(known) > 1:
        warnings.warn(f"parts are made differently: {known[0]!r} and {known[1]!r}; are they comparable?", stacklevel=3)
    rows = np.concatenate([part.vectors for part in parts])
    return Embeddings(ids, rows, description=known[0] if len(made) == 1 and known else None)


def side_by_side(parts: Sequence[Embeddings]) -> Embeddings:
    """One longer vector for each item; see `Embeddings.side_by_side`."""
    parts = _checked_parts(parts)
    ids = parts[0].item_ids
    columns = []
    for number, part in enumerate(parts):
        same = part
        if part.item_ids != ids:
            for of, lacking in ((0, number), (number, 0)):
                others = set(parts[lacking].item_ids)
                items = [item_id for item_id in parts[of].item_ids if item_id not in others]
                if items:
                    raise ValueError(
                        f"{len(items):,} items of part {of} are not in part {lacking}, the first is {items[0]!r}; expected "
                        "the same items in each"
                    )
            same = part.subset(ids)
        columns.append(same.vectors)
    known = [part.description for part in parts if part.description is not None]
    description = " | ".join(known) if len(known) == len(parts) else None
    return Embeddings(ids, np.concatenate(columns, axis=1), description=description)


def _checked_parts(parts: Sequence[Embeddings]) -> list[Embeddings]:
    given: object = parts
    if isinstance(given, Embeddings) or not isinstance(given, Iterable):
        raise ValueError(f"parts is {given!r}; expected a list of Embeddings")
    checked = list(given)
    for number, part in enumerate(checked):
        if not isinstance(part, Embeddings):
            raise ValueError(f"part {number} is {type(part).__name__}; expected Embeddings")
    if not checked:
        raise ValueError("parts is empty; expected at least one part")
    return checked
