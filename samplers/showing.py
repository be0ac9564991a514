"""How a batch is shown in a notebook, and what makes a page of it, which whoever picked the batch knows."""

from __future__ import annotations

import html
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from pathlib import Path

    from .selection import Selection

N_SHOWN = 20
"""Picks in a notebook's table."""

N_THUMBNAILS = 2000
"""Pictures on the map of a page, at most, unless told otherwise."""

_LONGEST = 300  # characters of a name or a reason

File = str | os.PathLike[str]


@dataclass(frozen=True)
class PageOptions:
    """What a page of a batch is told beside what is known; the arguments of `Selection.report`, which explains them."""

    images: File | Mapping[str, File] | None = None
    labels: Mapping[str, str | float] | None = None
    curve: Sequence[tuple[float, float]] | None = None
    figure_name: str = "accuracy"
    value_per_point: float | None = None
    cost_per_label: float | None = None
    map_method: str | None = None
    n_thumbnails: int = N_THUMBNAILS


class Page(Protocol):
    """A page of a batch: it shows itself in a notebook."""

    @property
    def path(self) -> Path | None:
        """The file; None if it was not written."""
        ...

    @property
    def missing(self) -> tuple[str, ...]:
        """What the page cannot show, and why."""
        ...

    def _repr_html_(self) -> str: ...


class Shower(Protocol):
    """What knows the project that a batch was picked from."""

    def report(self, path: File | None, options: PageOptions) -> Page:
        """Write the page of the batch."""
        ...

    def pictures(self, item_ids: Sequence[str]) -> Mapping[str, str]:
        """Small pictures of some items as `data:` addresses, of those whose image is on this machine."""
        ...


def as_table(selection: Selection, pictures: Mapping[str, str]) -> str:
    """The first picks as an HTML table: rank, picture, item, gain, reason; all text is escaped."""
    shown = list(zip(selection.item_ids, selection.gains.tolist(), selection.reasons))[:N_SHOWN]
    has_pictures = bool(pictures)
    head = ("#", *(("image",) if has_pictures else ()), "item", "gain", "reason")
    rows = []
    for place, (item_id, gain, reason) in enumerate(shown, start=1):
        picture = f"<td>{_picture(pictures.get(item_id))}</td>" if has_pictures else ""
        rows.append(
            f"<tr><td>{place}</td>{picture}<td style='text-align: left'>{_text(item_id)}</td><td>{gain:.3g}</td>"
            f"<td style='text-align: left'>{_text(reason)}</td></tr>"
        )
    items = "item" if len(selection) == 1 else "items"
    lines = [f"<p><strong>{len(selection):,} {items}</strong> by {_text(selection.method or 'unknown')}, best first.</p>"]
    if selection.note:
        lines.append(f"<p>{_text(selection.note)}</p>")
    lines.append(f"<table><thead><tr>{''.join(f'<th>{name}</th>' for name in head)}</tr></thead>")
    lines.append(f"<tbody>{''.join(rows)}</tbody></table>")
    if len(selection) > N_SHOWN:
        lines.append(f"<p>The first {N_SHOWN} of {len(selection):,}.</p>")
    return f"<div>{''.join(lines)}</div>"


def _picture(address: str | None) -> str:
    return "" if address is None else f"<img alt='' src='{html.escape(address)}'>"


def _text(text: str) -> str:
    """Text that neither ends its cell nor turns the line around, and that can be sent as UTF-8."""
    clipped = text if len(text) <= _LONGEST else f"{text[: _LONGEST - 3]}..."
    return f"<bdi>{html.escape(clipped.encode('utf-8', 'replace').decode())}</bdi>"
