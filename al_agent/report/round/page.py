"""The page of a round: the map, the picks, why they were picked, and what they change, in one HTML file."""

from __future__ import annotations

import json
from typing import Any

import numpy as np

from samplers.showing import N_THUMBNAILS

from ...journal import Round
from ...words import counted
from ..page.assembling import moment, packed, render
from .cards import box_key, cards_of
from .facts import N_CARDS, Progress, RoundFacts
from .figures import balance_of, coverage_of, histogram_of, near_duplicates, quality_of
from .map_data import map_data

_SCRIPTS = {"map": ("moving.js", "map.js"), "curve": ("curve.js",)}
_N_ROUNDS = 50
_N_PROBLEMS = 20


def round_page(facts: RoundFacts, *, n_thumbnails: int = N_THUMBNAILS) -> str:
    """The page of a round as one file of HTML, which asks no network for anything.

    Time O(n log n), and the reading of so many images.

    Args:
        facts: What it shows.
        n_thumbnails: Items on the map that show a small picture under the pointer, at most: the picks, then others spread
            evenly over the map. The first 200 picks have larger ones besides.

    Raises:
        ImportError: jinja2 or plotly is not installed.
        ValueError: `n_thumbnails` is negative, or an array of the facts has not one entry for each item.
    """
    if n_thumbnails < 0:
        raise ValueError(f"n_thumbnails is {n_thumbnails}; expected 0 or more")
    _check(facts)
    on_map = map_data(facts, n_thumbnails)
    cards = cards_of(facts)
    histogram = histogram_of(facts)
    data = {name: value for name, value in (("map", on_map), ("curve", _curve(facts.progress))) if value is not None}
    config = facts.round.config.to_dict()
    problems = facts.round.pushes[-1].problems if facts.round.pushes else {}
    return render(
        "round.html.j2",
        data=data,
        scripts=[script for name in data for script in _SCRIPTS[name]],
        has_plots=bool(data),
        nav=_nav(facts),
        facts=facts,
        round=facts.round,
        lead=_lead(facts),
        push=_push(facts.round),
        n_left=max(0, _n_unlabeled(facts) - len(cards)),
        problems=list(problems.items())[:_N_PROBLEMS],
        n_problems=len(problems),
        has_map=on_map is not None,
        n_on_map=len(on_map["ids"]) if on_map else 0,
        n_pictures=on_map["n_pictures"] if on_map else 0,
        columns=on_map["columns"] if on_map else [],
        cards=cards[:N_CARDS],
        more=cards[N_CARDS:],
        box_key=box_key(facts) if any(card.picture for card in cards) else [],
        has_gains=bool(facts.round.selection.gains.any()),
        placed=_placed(facts, [card.row for card in cards]),
        histogram=histogram,
        bars=balance_of(facts.balance) if facts.balance else (),
        n_before=sum(one.before for one in facts.balance or ()),
        compared=quality_of(facts.quality) if facts.quality else (),
        quality_notes=_quality_notes(facts),
        coverage=coverage_of(facts),
        duplicates=near_duplicates(facts.quality) if facts.quality else "",
        history=facts.history[-_N_ROUNDS:],
        n_earlier=max(0, len(facts.history) - _N_ROUNDS),
        curve_rows=_curve_rows(facts.progress),
        config=json.dumps(config, indent=2, ensure_ascii=False),
        asked=_asked(facts.round),
    )


def _check(facts: RoundFacts) -> None:
    n_items = len(facts.item_ids)
    lengths: dict[str, Any] = {
        "states": facts.states,
        "media": facts.media,
        "links": facts.links,
        "positions": facts.positions,
        "scores": facts.scores,
        "classes": facts.classes,
        "labeled_distances": facts.labeled_distances,
        "round_of": facts.round_of,
    }
    for name, values in lengths.items():
        if values is not None and len(values) != n_items:
            raise ValueError(f"{name} has {len(values):,} entries for {n_items:,} item ids; expected one of each")
    unknown = sorted(set(facts.round.selection.item_ids).difference(facts.item_ids))
    if unknown:
        raise ValueError(f"{len(unknown):,} picks are not among the item ids, the first is {unknown[0]!r}; add them")


def _nav(facts: RoundFacts) -> list[tuple[str, str]]:
    return [
        ("map", "Map"),
        ("picks", "Picks"),
        ("scores", "Scores"),
        ("classes", "Classes"),
        ("quality", "Quality"),
        ("history", "History"),
        ("again", "Again"),
        *([("missing", "Missing")] if facts.missing else []),
    ]


def _n_unlabeled(facts: RoundFacts) -> int:
    """Items that could be picked, before the batch."""
    known = facts.round.counts.get("unlabeled")
    return known if known is not None else int((facts.states == "unlabeled").sum())


def _lead(facts: RoundFacts) -> str:
    one = facts.round
    told = f"{len(one.selection):,} of {counted(_n_unlabeled(facts), 'unlabeled item')} picked by {one.config.method}"
    if one.score:
        told += f" with the score {one.score}"
    return told


def _push(one: Round) -> dict[str, str]:
    """How far the batch has come to the annotators."""
    if not one.pushes:
        return {"short": "not pushed", "long": "agent.push() puts it at the head of the queue"}
    last = one.pushes[-1]
    counts = ", ".join(f"{count:,} {name.replace('_', ' ')}" for name, count in last.counts.items() if count)
    at = moment(last.pushed_at)
    return {
        "short": "first in the queue" if last.is_complete else "pushed in part",
        "long": f"{at}: {counts or 'nothing to change'}" + ("" if last.is_complete else "; agent.push() sends the rest"),
    }


def _asked(one: Round) -> str:
    if one.config.proportion is not None:
        return f"{one.config.proportion:.3g} of the unlabeled items"
    return counted(one.config.n_samples, "item")


def _placed(facts: RoundFacts, rows: list[int]) -> frozenset[int]:
    """Picks that are on the map."""
    positions = facts.positions
    return frozenset(row for row in rows if positions is not None and np.isfinite(positions[row]).all())


def _quality_notes(facts: RoundFacts) -> list[str]:
    if facts.quality is None:
        return []
    return [note for note in dict.fromkeys([*(one.note for one in facts.quality.figures), *facts.quality.notes]) if note]


def _curve(progress: Progress | None) -> dict[str, object] | None:
    if progress is None or not len(progress.n_labeled):
        return None
    return {
        "name": progress.name,
        "n": packed(progress.n_labeled),
        "figures": packed(progress.figures),
        "n_ahead": packed(progress.expected_at),
        **{name: packed(progress.expected[:, column]) for column, name in enumerate(("low", "middle", "high"))},
    }


def _curve_rows(progress: Progress | None) -> list[tuple[str, str, str]]:
    """Labels, the figure, and what it is: measured, or expected at the end of the continued curve."""
    if progress is None:
        return []
    rows = [(f"{n:,.0f}", f"{value:.4g}", "measured") for n, value in zip(progress.n_labeled, progress.figures)]
    if len(progress.expected_at):
        low, middle, high = progress.expected[-1]
        interval = f" ({low:.4g} to {high:.4g})" if np.isfinite([low, high]).all() else ""
        rows.append((f"{progress.expected_at[-1]:,.0f}", f"{middle:.4g}{interval}", "expected"))
    return rows
