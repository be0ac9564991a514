"""Items, scores and embeddings joined by id into the pool that a sampler picks from."""

from __future__ import annotations

from collections.abc import Set
from typing import Any

import numpy as np
import numpy.typing as npt

from samplers import Pool
from scorers import Scores

from .embedding import Embeddings
from .listing import Listing
from .platforms.base import ItemState

_NOWHERE = -1


def make_pool(
    listing: Listing,
    *,
    scores: Scores | None,
    score_name: str | None,
    embeddings: Embeddings | None,
    appeared: Set[str] = frozenset(),
    vanished: Set[str] = frozenset(),
) -> Pool:
    """Join by id, in platform order.

    Scores must cover the unlabeled items, embeddings the labeled ones too. Skipped and locked items take no part. Items
    that appeared after the user last looked take part where they are covered, and are left out where not.

    Args:
        listing: The project now.
        scores: Scores of the query set or of the unlabeled set, in any order.
        score_name: The column to use; None takes the default.
        embeddings: Vectors of the query set, in any order.
        appeared: Items that are new since the user last looked.
        vanished: Items that were there when the user last looked, and are gone.

    Raises:
        ValueError: A score or embedding is missing, or is of an item that the project does not know.
    """
    states = listing.states
    is_labeled = np.fromiter((state is ItemState.LABELED for state in states), dtype=bool, count=len(states))
    is_open = np.fromiter((state is ItemState.UNLABELED for state in states), dtype=bool, count=len(states))
    takes_part = is_labeled | is_open

    score_rows = vector_rows = None
    if scores is not None:
        score_name = scores.name_or_default(score_name)
        score_rows = _rows(listing, scores.item_ids, "score", vanished)
        takes_part &= (
            _covered(listing, score_rows, takes_part & is_open, appeared, "score", "score the whole unlabeled_set")
            | is_labeled
        )
    if embeddings is not None:
        vector_rows = _rows(listing, embeddings.item_ids, "embedding", vanished)
        takes_part &= _covered(listing, vector_rows, takes_part, appeared, "embedding", "embed the whole query_set")

    members = np.flatnonzero(takes_part)
    everyone = len(members) == len(listing)
    return Pool(
        item_ids=listing.item_ids if everyone else tuple(listing.item_ids[row] for row in members.tolist()),
        is_labeled=is_labeled[members],
        scores=None if scores is None or score_rows is None else _taken(scores.column(score_name), score_rows[members]),
        vectors=None if embeddings is None or vector_rows is None else _gathered(embeddings, vector_rows[members]),
        score_name=score_name or "score",
    )


def _rows(listing: Listing, item_ids: tuple[str, ...], what: str, vanished: Set[str]) -> npt.NDArray[np.int64]:
    """For every listed item its row among `item_ids`, -1 where it has none."""
    if item_ids == listing.item_ids:
        return np.arange(len(listing))
    rows = np.full(len(listing), _NOWHERE, dtype=np.int64)
    known = listing.row_of
    places = np.fromiter((known.get(item_id, _NOWHERE) for item_id in item_ids), dtype=np.int64, count=len(item_ids))
    unknown = [item_ids[row] for row in np.flatnonzero(places == _NOWHERE).tolist() if item_ids[row] not in vanished]
    if unknown:
        example = f"; its ids look like {listing.item_ids[0]!r}" if len(listing) else ""
        raise ValueError(
            f"{len(unknown):,} of {len(item_ids):,} items with {_article(what)} are not in the project, the first is "
            f"{unknown[0]!r}{example}; use the ids of query_set, and leave out items that are gone"
        )
    is_known = places != _NOWHERE
    rows[places[is_known]] = np.flatnonzero(is_known)
    return rows


def _covered(
    listing: Listing,
    rows: npt.NDArray[np.int64],
    needed: npt.NDArray[np.bool_],
    appeared: Set[str],
    what: str,
    way_out: str,
) -> npt.NDArray[np.bool_]:
    """Which listed items have a row; raises if one that is needed and not new has none."""
    covered: npt.NDArray[np.bool_] = rows != _NOWHERE
    missing = [listing.item_ids[row] for row in np.flatnonzero(needed & ~covered).tolist()]
    missing = [item_id for item_id in missing if item_id not in appeared]
    if missing:
        raise ValueError(f"{len(missing):,} items have no {what}, the first is {missing[0]!r}; {way_out}")
    return covered


def _taken(column: npt.NDArray[np.float64], rows: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    return np.where(rows == _NOWHERE, np.nan, column[rows])


def _gathered(embeddings: Embeddings, rows: npt.NDArray[np.int64]) -> npt.NDArray[np.floating[Any]]:
    in_order = len(rows) == len(embeddings) and bool((rows == np.arange(len(rows))).all())
    return embeddings.vectors if in_order else embeddings.vectors[rows]


def _article(what: str) -> str:
    return f"an {what}" if what[0] in "aeiou" else f"a {what}"
