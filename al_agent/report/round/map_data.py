"""What the map's script reads: places, colours and small pictures of the items, packed."""

from __future__ import annotations

import base64
import math
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from ..page.assembling import packed
from .facts import RoundFacts
from .pictures import ACROSS, CELL, Sheets, sheets_of

N_NAMED = 9
"""Names with a colour of their own; the others share one."""

_LONGEST_NAME = 200
_ENDS = (1, 99)  # percentiles at which colours of numbers end, so that one large number does not make all others equal

Rows = npt.NDArray[np.int64]
Places = npt.NDArray[np.float64]


def map_data(facts: RoundFacts, n_thumbnails: int) -> dict[str, Any] | None:
    """All that the map needs, as JSON can hold it; None if no item has a place.

    Time O(n log n); reads at most `n_thumbnails` images.

    Args:
        facts: The round.
        n_thumbnails: Items with a small picture: picks first, then others spread evenly over the map.
    """
    if facts.positions is None:
        return None
    rows = np.flatnonzero(np.isfinite(facts.positions).all(axis=1))
    if not len(rows):
        return None
    places = _into_square(np.asarray(facts.positions, dtype=np.float64)[rows])
    ranks = _ranks(facts)
    chosen = rows[thumbnail_places(places, ranks[rows], [facts.media[row] for row in rows.tolist()], n_thumbnails)]
    here = np.full(len(ranks), -1)
    here[rows] = np.arange(len(rows))
    sheets = sheets_of(chosen.tolist(), facts.media)
    return {
        "ids": [facts.item_ids[row] for row in rows.tolist()],
        "x": packed(places[:, 0]),
        "y": packed(places[:, 1]),
        "ranks": packed(ranks[rows]),
        "columns": _columns(facts, rows),
        "pictures": _pictures(sheets, here),
        "n_pictures": len(sheets.rows),
    }


def thumbnail_places(places: Places, ranks: Rows, media: Sequence[str | None], n_thumbnails: int) -> Rows:
    """Which items get a small picture: picks by rank, then others with a file, evenly over the map.

    Args:
        places: `(n, 2)`, in `[-1, 1]`.
        ranks: `(n,)` from 1 for picks, 0 for others.
        media: n paths; None where there is no file.
        n_thumbnails: As many at most.
    """
    has_file = np.array([path is not None for path in media], dtype=bool)
    picks = np.flatnonzero((ranks > 0) & has_file)
    picks = picks[np.argsort(ranks[picks], kind="stable")][:n_thumbnails]
    others = np.flatnonzero((ranks == 0) & has_file)
    side = max(1, math.ceil(math.sqrt(n_thumbnails)))
    squares = np.clip(((places[others] + 1) / 2 * side).astype(np.int64), 0, side - 1)
    cells = squares[:, 0] * side + squares[:, 1]
    order = np.argsort(cells, kind="stable")
    starts = np.flatnonzero(np.diff(cells[order], prepend=-1))
    turn = np.arange(len(order)) - np.repeat(starts, np.diff(starts, append=len(order)))  # place within its own square
    first = order[np.argsort(turn, kind="stable")][: n_thumbnails - len(picks)]
    return np.concatenate([picks, others[first]])


def _ranks(facts: RoundFacts) -> Rows:
    rank_of = {item_id: place for place, item_id in enumerate(facts.round.selection.item_ids, start=1)}
    return np.array([rank_of.get(item_id, 0) for item_id in facts.item_ids], dtype=np.int64)


def _into_square(positions: Places) -> Places:
    """Positions in `[-1, 1]`, with one scale for both axes."""
    low, high = positions.min(axis=0), positions.max(axis=0)
    extent = float((high / 2 - low / 2).max())  # halves, as the difference of the largest floats is none
    centred = positions / 2 - (low / 4 + high / 4)
    return centred / (extent / 2) if extent > 1e-300 else np.zeros_like(positions)  # what is less counts as a point


def _columns(facts: RoundFacts, rows: Rows) -> list[dict[str, object]]:
    """What the map can be coloured by, and what it tells of an item."""
    columns = [_names("state", "state", [str(state) for state in facts.states[rows].tolist()])]
    if facts.scores is not None and np.isfinite(facts.scores[rows]).any():
        columns.append(_numbers("score", facts.score_name, "", facts.scores[rows]))
    if facts.classes is not None:
        columns.append(_names("class", facts.class_kind, [facts.classes[row] for row in rows.tolist()]))
    if facts.labeled_distances is not None and np.isfinite(facts.labeled_distances[rows]).any():
        columns.append(_numbers("distance", "distance to labeled", facts.distance_unit, facts.labeled_distances[rows]))
    if facts.round_of is not None and facts.round_of.any():
        names = {one.number: f"round {one.number}: {one.name}" for one in facts.history}
        numbers = facts.round_of[rows].tolist()
        told = [names.get(number, f"round {number}") if number else "" for number in numbers]
        columns.append(
            _names("round", "round", told, order=_latest_first(numbers, told), rest="earlier rounds", none="never picked")
        )
    return columns


def _latest_first(numbers: Sequence[int], told: Sequence[str]) -> list[str]:
    return [name for number, name in sorted(set(zip(numbers, told)), reverse=True) if number]


def _numbers(key: str, label: str, unit: str, values: npt.NDArray[np.float64]) -> dict[str, object]:
    finite = values[np.isfinite(values)]
    low, high = np.percentile(finite, _ENDS).tolist()
    if not low < high:
        low, high = float(finite.min()), float(finite.max())
    values = np.where(np.isfinite(values), values, np.nan)
    cut = bool(finite.min() < low or finite.max() > high)
    return {"key": key, "label": label, "unit": unit, "values": packed(values), "low": low, "high": high, "cut": cut}


def _names(
    key: str,
    label: str,
    texts: Sequence[str],
    *,
    order: Sequence[str] | None = None,
    rest: str = "other",
    none: str = "none",
) -> dict[str, object]:
    """Texts as codes, -1 for an empty one; without an order the commonest comes first."""
    counts = Counter(texts)
    counts.pop("", None)
    names = list(order) if order is not None else sorted(counts, key=lambda name: (-counts[name], name))
    code_of: dict[str, int] = {name: code for code, name in enumerate(names)}
    codes = np.array([code_of.get(text, -1) for text in texts], dtype=np.int64)
    shown = [name if len(name) <= _LONGEST_NAME else f"{name[: _LONGEST_NAME - 3]}..." for name in names]
    return {
        "key": key,
        "label": label,
        "names": shown,
        "codes": packed(codes),
        "n_named": N_NAMED,
        "rest": rest,
        "none": none,
    }


def _pictures(sheets: Sheets, here: npt.NDArray[Any]) -> dict[str, object]:
    return {
        "cell": CELL,
        "across": ACROSS,
        "rows": packed(here[sheets.rows]),
        "sizes": packed(sheets.sizes.reshape(-1)),
        "sheets": [base64.b64encode(sheet).decode("ascii") for sheet in sheets.webp],
    }
