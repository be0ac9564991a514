"""What is known of a project's items, brought to the order of the page by id."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from scorers import Scores

from ....embedding import Embeddings
from ....join import rows_among, taken
from ....journal import Round
from ....metadata import Metadata
from ....words import with_article
from ..facts import Vector
from .placing import Places, places_of
from .seen import Seen


@dataclass(frozen=True, eq=False)
class Known:
    """What is known of a project's items beside the platform's list, each by item id; items that are gone are left out.

    Args:
        scores: Scores.
        seen: What a model sees, from `seen_in`.
        embeddings: A vector for each item.
        positions: Places on the map, in two dimensions.
        metadata: Facts by column.
        labels: The class of labeled items, where it is text or a number.
        map_method: `pca`, `tsne` or `umap`; None leaves it to the number of items.
        map_file: Where the map is kept; None keeps none.
    """

    scores: Scores | None = None
    seen: Seen | None = None
    embeddings: Embeddings | None = None
    positions: Embeddings | None = None
    metadata: Metadata | None = None
    labels: Mapping[str, object] = field(default_factory=dict)
    map_method: str | None = None
    map_file: Path | None = None


class Joined:
    """Values of items, brought to the order of the page by id."""

    def __init__(self, item_ids: tuple[str, ...], row_of: Mapping[str, int], missing: list[str]) -> None:
        self._item_ids, self._row_of, self._missing = item_ids, row_of, missing

    def rows(self, given: Sequence[str], what: str) -> npt.NDArray[np.int64]:
        """For each item its row among those given, -1 for none."""
        if given == self._item_ids:
            return np.arange(len(given))
        rows, is_known = rows_among(given, self._row_of)
        self._check_some(given, is_known, what)
        return rows

    def _check_some(self, given: Collection[str], is_known: npt.NDArray[np.bool_], what: str) -> None:
        if len(given) and not is_known.any():
            example = f"; its ids look like {self._item_ids[0]!r}" if self._item_ids else ""
            raise ValueError(
                f"none of {len(given):,} items with {with_article(what)} is in the project, the "
                f"first is {next(iter(given))!r}{example}"
            )
        n_strangers = int((~is_known).sum())
        if n_strangers:
            stranger = next(item_id for item_id, known in zip(given, is_known.tolist()) if not known)
            self._missing.append(
                f"{n_strangers:,} of {len(given):,} items with {with_article(what)} are not in the "
                f"project, the first is {stranger!r}: they are left out."
            )

    def scores(self, given: Scores | None, current: Round) -> tuple[Vector | None, str]:
        """`(n,)` values of the score that the round used, NaN for items without one, and its name."""
        name = current.score or "score"
        if given is None:
            self._missing.append("No scores: give the scorer or its scores, or on the command line --scores FILE.")
            return None, name
        rows = self.rows(given.item_ids, "score")
        if name not in given.columns:
            if current.score is not None:
                self._missing.append(f"The scores have no column {name!r}, which the round used.")
            name = given.default or given.names[0]
        if current.score is None:
            self._missing.append("The batch was picked without a score: the scores shown were given for this page.")
        elif current.scores_digest is not None and given.digest != current.scores_digest:
            self._missing.append("The scores shown are not those that the batch was picked by.")
        return taken(given.column(name), rows), name

    def labels(self, given: Mapping[str, object]) -> dict[str, str]:
        """Labels that are one class for an item: text or a number."""
        self._check_some(given, np.array([item_id in self._row_of for item_id in given], dtype=bool), "label")
        return {
            item_id: str(label)
            for item_id, label in given.items()
            if item_id in self._row_of and isinstance(label, str | int | float | np.number) and not isinstance(label, bool)
        }

    def places(self, known: Known, picks: tuple[str, ...]) -> tuple[npt.NDArray[np.floating[Any]], str] | None:
        """`(n, 2)` places on the map, NaN for items without one, and how they were made."""
        given = known.embeddings if known.positions is None else known.positions
        if given is None:
            self._missing.append(
                "No map, and no distances, coverage or near-duplicates: there are no embeddings. al-agent embed makes them; "
                "then embeddings= of the agent, or --embeddings FILE."
            )
            return None
        if known.positions is None:
            found = places_of(given, method=known.map_method, kept=known.map_file, picks=picks)
        elif known.positions.n_dimensions == 2:
            found = Places(given.item_ids, given.vectors, "as given")
        else:
            raise ValueError(f"positions has {given.n_dimensions} dimensions; expected 2, as Embeddings.project gives")
        rows = self.rows(found.item_ids, "position")
        positions = np.full((len(rows), 2), np.nan, dtype=found.positions.dtype)
        positions[rows >= 0] = found.positions[rows[rows >= 0]]
        n_without = int(np.isnan(positions[:, 0]).sum())
        if n_without:
            why = "it shows a part of so many" if len(found.item_ids) < len(given) else "they have no embedding"
            self._missing.append(f"{n_without:,} of {len(positions):,} items are not on the map: {why}.")
        return positions, found.method
