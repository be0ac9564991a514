"""Items, scores and embeddings joined by id into the pool that a sampler picks from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from samplers import Pool
from scorers import ClassificationPredictions, EnsemblePredictions, Scores

from .embedding import Embeddings
from .listing import Listing
from .metadata import Metadata
from .platforms.base import ItemState
from .words import with_article

_NOWHERE = -1


@dataclass(frozen=True)
class Joined:
    """A pool, and what took no part in it.

    Args:
        pool: The labeled items, and the candidates.
        waiting: Items that can be labeled and are not covered, because they could not be when the sets were last read.
        gone: Items with a score or an embedding that are not in the project any more.
    """

    pool: Pool
    waiting: tuple[str, ...]
    gone: tuple[str, ...]


def make_pool(
    listing: Listing,
    *,
    scores: Scores | None,
    score_name: str | None,
    embeddings: Embeddings | None,
    predictions: ClassificationPredictions | EnsemblePredictions | None = None,
    metadata: Metadata | None = None,
    may_miss: Set[str] = frozenset(),
    may_be_gone: Set[str] = frozenset(),
) -> Joined:
    """Join by id, in platform order.

    Scores must cover the unlabeled items, embeddings the labeled ones too. Skipped and locked items take no part.

    Args:
        listing: The project now.
        scores: Scores of the query set or of the unlabeled set, in any order.
        score_name: The column to use; None takes the default.
        embeddings: Vectors of the query set, in any order.
        predictions: Class probabilities of the query set or of the unlabeled set, in any order.
        metadata: Columns for the query set, in any order.
        may_miss: Items that nobody could have covered yet; those that are not covered are left out.
        may_be_gone: Items that were in the project once; scores and embeddings of them are left out.

    Raises:
        ValueError: A score or embedding is missing, or is of an item that the project does not know.
    """
    is_labeled = listing.is_in(ItemState.LABELED)
    is_open = listing.is_in(ItemState.UNLABELED)
    takes_part = is_labeled | is_open
    gone: list[str] = []
    score_rows = vector_rows = prediction_rows = fact_rows = None
    if scores is not None:
        score_name = scores.name_or_default(score_name)
        score_rows = _rows(listing, scores.item_ids, "score", may_be_gone, gone)
        takes_part &= is_labeled | _covered(listing, score_rows, is_open, may_miss, "score", "score the whole unlabeled_set")
    if embeddings is not None:
        vector_rows = _rows(listing, embeddings.item_ids, "embedding", may_be_gone, gone)
        takes_part &= _covered(listing, vector_rows, takes_part, may_miss, "embedding", "embed the whole query_set")
    if predictions is not None:
        prediction_rows = _rows(listing, predictions.item_ids, "prediction", may_be_gone, gone)
        way_out = "predict on the whole unlabeled_set"
        takes_part &= is_labeled | _covered(listing, prediction_rows, is_open, may_miss, "prediction", way_out)
    if metadata is not None:
        fact_rows = _rows(listing, metadata.item_ids, "metadata", may_be_gone, gone)
        takes_part &= _covered(listing, fact_rows, takes_part, may_miss, "metadata", "describe the whole query_set")

    members = np.flatnonzero(takes_part)
    pool = Pool(
        item_ids=listing.item_ids if len(members) == len(listing) else listing.names_of(members),
        is_labeled=is_labeled[members],
        scores=None if scores is None or score_rows is None else taken(scores.column(score_name), score_rows[members]),
        vectors=None if embeddings is None or vector_rows is None else gathered(embeddings, vector_rows[members]),
        score_name=score_name or "score",
        probabilities=None
        if predictions is None or prediction_rows is None
        else _probabilities(predictions, prediction_rows[members]),
        columns=None
        if metadata is None or fact_rows is None
        else {name: column[fact_rows[members]] for name, column in metadata.columns.items()},
    )
    return Joined(pool, listing.names_of(np.flatnonzero(is_open & ~takes_part)), tuple(dict.fromkeys(gone)))


def _rows(
    listing: Listing, item_ids: tuple[str, ...], what: str, may_be_gone: Set[str], gone: list[str]
) -> npt.NDArray[np.int64]:
    """For every listed item its row among `item_ids`, -1 where it has none; those that are gone are added to `gone`."""
    if item_ids == listing.item_ids:
        return np.arange(len(listing))
    rows, is_known = rows_among(item_ids, listing.row_of)
    strangers = [item_ids[row] for row in np.flatnonzero(~is_known).tolist()]
    gone += [item_id for item_id in strangers if item_id in may_be_gone]
    unknown = [item_id for item_id in strangers if item_id not in may_be_gone]
    if unknown:
        example = f"; its ids look like {listing.item_ids[0]!r}" if len(listing) else ""
        raise ValueError(
            f"{len(unknown):,} of {len(item_ids):,} items with {with_article(what)} are not in the project, the first is "
            f"{unknown[0]!r}{example}; use the ids of query_set, and leave out items that are gone"
        )
    return rows


def rows_among(given: Sequence[str], row_of: Mapping[str, int]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
    """For each item of `row_of` its row among those given, -1 for none; and which of those given are such items."""
    places = np.fromiter((row_of.get(item_id, _NOWHERE) for item_id in given), dtype=np.int64, count=len(given))
    is_known = places != _NOWHERE
    rows = np.full(len(row_of), _NOWHERE, dtype=np.int64)
    rows[places[is_known]] = np.flatnonzero(is_known)
    return rows, is_known


def _covered(
    listing: Listing,
    rows: npt.NDArray[np.int64],
    needed: npt.NDArray[np.bool_],
    may_miss: Set[str],
    what: str,
    way_out: str,
) -> npt.NDArray[np.bool_]:
    """Which listed items have a row; raises if one that is needed and not new has none."""
    covered: npt.NDArray[np.bool_] = rows != _NOWHERE
    missing = [listing.item_ids[row] for row in np.flatnonzero(needed & ~covered).tolist()]
    missing = [item_id for item_id in missing if item_id not in may_miss]
    if missing:
        raise ValueError(f"{len(missing):,} items have no {what}, the first is {missing[0]!r}; {way_out}")
    return covered


def taken(column: npt.NDArray[np.float64], rows: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    """The values of rows, NaN for those that have none."""
    return np.where(rows == _NOWHERE, np.nan, column[rows])


def _probabilities(
    predictions: ClassificationPredictions | EnsemblePredictions, rows: npt.NDArray[np.int64]
) -> npt.NDArray[np.floating[Any]]:
    """The class probabilities of rows, NaN for those that have none."""
    found: npt.NDArray[np.floating[Any]] = predictions.probabilities[rows]  # row -1 is the last, and overwritten
    if (rows == _NOWHERE).any():
        found[rows == _NOWHERE] = np.nan
    return found


def gathered(embeddings: Embeddings, rows: npt.NDArray[np.int64]) -> npt.NDArray[np.floating[Any]]:
    """The vectors of rows; where these are all in order, the vectors themselves, which may be on disk."""
    in_order = len(rows) == len(embeddings) and bool((rows == np.arange(len(rows))).all())
    return embeddings.vectors if in_order else embeddings.vectors[rows]
