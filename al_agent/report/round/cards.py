"""The picks of a round as cards: picture, rank, why it was picked, what the model sees."""

from __future__ import annotations

import re
from collections import Counter
from typing import NamedTuple

import numpy as np

from ...words import counted
from ..page.assembling import data_uri, figure
from .drawing import colour_of, names_in
from .facts import N_CARDS, Marks, RoundFacts
from .pictures import card_pictures

_MOST_CLASSES = 3
_MOST_KEYS = 10  # beyond it colours come again, lighter and darker
_LINK = re.compile(r"https?://", re.IGNORECASE)


class Card(NamedTuple):
    """One pick.

    Args:
        rank: 1 for the first.
        item_id: Its id.
        gain: What it added when it was picked.
        reasons: Why it was picked, part by part.
        seen: What the model sees, in words; empty if nothing is known.
        link: Address of its page on the platform; empty if none.
        picture: Address that holds the picture; empty if there is none.
        size: Width and height of the picture in pixels.
        lacks: Why there is no picture.
        row: Its number among all items.
    """

    rank: int
    item_id: str
    gain: str
    reasons: tuple[str, ...]
    seen: str
    link: str
    picture: str
    size: tuple[int, int]
    lacks: str
    row: int


def cards_of(facts: RoundFacts) -> list[Card]:
    """A card for each pick; the first 200 have pictures."""
    row_of = {item_id: row for row, item_id in enumerate(facts.item_ids)}
    selection = facts.round.selection
    rows = [row_of[item_id] for item_id in selection.item_ids]
    media = [facts.media[row] for row in rows[:N_CARDS]]
    marks = [facts.marks.get(item_id) for item_id in selection.item_ids[:N_CARDS]]
    pictures = list(card_pictures(media, marks, _names(facts)))
    cards = []
    picks = zip(selection.item_ids, rows, selection.gains.tolist(), selection.reasons)
    for place, (item_id, row, gain, reason) in enumerate(picks):
        picture = pictures[place] if place < N_CARDS else None
        cards.append(
            Card(
                rank=place + 1,
                item_id=item_id,
                gain=figure(gain),
                reasons=split_reason(reason),
                seen=in_words(facts.marks.get(item_id)) or _class_of(facts, row),
                link=_safe_link(facts.links[row]),
                picture=data_uri(picture.webp) if picture else "",
                size=(picture.width, picture.height) if picture else (0, 0),
                lacks="image cannot be read" if facts.media[row] else "no image file on this machine",
                row=row,
            )
        )
    return cards


def box_key(facts: RoundFacts) -> list[tuple[str, str]]:
    """The ten commonest classes of the boxes on the cards, and their colours."""
    return [(name, "#{:02x}{:02x}{:02x}".format(*colour_of(place))) for place, name in enumerate(_names(facts)[:_MOST_KEYS])]


def _names(facts: RoundFacts) -> tuple[str, ...]:
    """Classes of the boxes on the cards, in the order of their colours."""
    ids = facts.round.selection.item_ids[:N_CARDS]
    return names_in(facts.marks[item_id] for item_id in ids if item_id in facts.marks)


def split_reason(reason: str) -> tuple[str, ...]:
    """The parts of a reason, which stand between semicolons; one inside of a quoted name separates nothing.

    Examples:
        >>> split_reason("score 0.97, 99th percentile; 3.1 from the nearest labeled item, 'a; b.jpg'")
        ('score 0.97, 99th percentile', "3.1 from the nearest labeled item, 'a; b.jpg'")
    """
    parts = [""]
    for piece in reason.split("; "):
        is_quoted = parts[-1].count("'") % 2
        if is_quoted:
            parts[-1] += f"; {piece}"
        else:
            parts.append(piece)
    return tuple(part.strip() for part in parts if part.strip())


def in_words(marks: Marks | None) -> str:
    """What a model sees on an image, in a line.

    Examples:
        >>> from .facts import Box
        >>> in_words(Marks(boxes=tuple(Box(name, 0.5, (0, 0, 1, 1)) for name in ("cat", "dog", "dog"))))
        '2 dog, 1 cat'
        >>> in_words(Marks(label="cat 0.75"))
        'cat 0.75'
    """
    if marks is None:
        return ""
    parts = [marks.label] if marks.label else []
    if marks.boxes:
        counts = sorted(Counter(box.label for box in marks.boxes).items(), key=lambda pair: (-pair[1], pair[0]))
        parts += [f"{count:,} {name}" for name, count in counts[:_MOST_CLASSES]]
        n_more = len(counts) - _MOST_CLASSES
        if n_more > 0:
            parts.append(
                f"{sum(count for _, count in counts[_MOST_CLASSES:]):,} of {counted(n_more, 'other class', 'other classes')}"
            )
    if marks.points is not None:
        parts.append(f"{counted(len(marks.points), 'group')} of keypoints")
    if marks.mask is not None and marks.mask.size:
        parts.append(_mask_in_words(marks))
    return ", ".join(parts)


def _mask_in_words(marks: Marks) -> str:
    assert marks.mask is not None
    classes, counts = np.unique(marks.mask[marks.mask >= 0], return_counts=True)
    largest = np.argsort(-counts, kind="stable")[:_MOST_CLASSES].tolist()
    names = [
        f"{counts[place] / marks.mask.size:.0%} "
        + (marks.mask_names[classes[place]] if classes[place] < len(marks.mask_names) else f"class {classes[place]}")
        for place in largest
    ]
    return ", ".join(names)


def _class_of(facts: RoundFacts, row: int) -> str:
    return facts.classes[row] if facts.classes is not None else ""


def _safe_link(address: str | None) -> str:
    """An address of the web, and of nothing else that a click could run."""
    return address if address and _LINK.match(address) else ""
