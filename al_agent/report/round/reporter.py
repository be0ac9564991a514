"""Makes the page of one round from what its agent knows."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

from samplers.showing import File, PageOptions
from scorers import Scores
from scorers.formats.reading.names import ItemNames

from ...embedding import Embeddings
from ...errors import NoRoundYet, PlatformError
from ...image_files import images_below
from ...journal import Journal, Round
from ...listing import Listing
from ...metadata import Metadata
from ...platforms.base import Item, LinksItems, Platform
from ...platforms.local import PlatformLocal
from ..page.report import Report
from .gathering.again import in_python
from .gathering.seen import Seen

if TYPE_CHECKING:
    from .facts import RoundFacts

_SIDE_PX = 96
_ENDINGS = (".html", ".htm")


@dataclass(frozen=True, eq=False)
class Reporter:
    """What is known of one round, and what makes a page of it.

    Args:
        platform: The project.
        journal: Its rounds.
        number: Which round.
        embeddings: A vector for each item.
        metadata: Facts by column.
        scores: Scores of the items.
        seen: What a model sees.
        listing: Where the items stood when the batch was picked; None takes where they stand now.
    """

    platform: Platform
    journal: Journal
    number: int
    embeddings: Embeddings | None = None
    metadata: Metadata | None = None
    scores: Scores | None = None
    seen: Seen | None = None
    listing: Listing | None = None

    def picks(self) -> tuple[str, ...]:
        """The round's picks, best first. Raises ValueError where there is no such round."""
        return self._round(self.journal.rounds()).selection.item_ids

    def report(
        self,
        path: File | None,
        options: PageOptions,
        *,
        positions: Embeddings | None = None,
        command: str | None = None,
    ) -> Report:
        """The page, written if there is a path; `ActiveLearningAgent.report` says what the arguments are."""
        from .page import round_page  # the extra of reports  # noqa: PLC0415

        if path is not None:
            _check_path(Path(path))
        facts = self.facts(options, positions=positions, command=command)
        page = round_page(facts, n_thumbnails=options.n_thumbnails)
        return Report.written(path, page, facts.missing)

    def facts(self, options: PageOptions, *, positions: Embeddings | None = None, command: str | None = None) -> RoundFacts:
        """What the page shows."""
        from .gathering.gather import gather  # slow to load  # noqa: PLC0415
        from .gathering.joined import Known  # noqa: PLC0415
        from .gathering.placing import kept_at  # noqa: PLC0415
        from .gathering.progress import progress_of  # noqa: PLC0415

        rounds = self.journal.rounds()
        current = self._round(rounds)
        n_picks = len(current.selection)
        progress = None
        prices = {"value_per_point": options.value_per_point, "cost_per_label": options.cost_per_label}
        if options.curve is not None:
            progress = progress_of(options.curve, n_picks, name=options.figure_name, **prices)
        elif any(price is not None for price in prices.values()):
            raise ValueError("prices are given without curve; give what the model reached with how many labels")
        items = self._items(options.images)
        labels = options.labels
        if labels is None:
            labels = self.platform.labels() if isinstance(self.platform, PlatformLocal) else {}
        return gather(
            current,
            items,
            Known(
                scores=self.scores,
                seen=self.seen,
                embeddings=self.embeddings,
                positions=positions,
                metadata=self.metadata,
                labels=labels,
                map_method=options.map_method,
                map_file=kept_at(self.platform),
            ),
            project=self.platform.key if self.platform.home is None else self.platform.home.name,
            history=rounds,
            links=self._links(items, current),
            progress=progress,
            command=in_python(current.config, has_scores=current.score is not None) if command is None else command,
        )

    def pictures(self, item_ids: Sequence[str]) -> dict[str, str]:
        """Small pictures of items as `data:` addresses, of those whose image is on this machine; no server is asked."""
        if self.platform.home is None:
            return {}
        from ..page.assembling import data_uri  # noqa: PLC0415
        from ..thumbnails import read_thumbnail  # loads Pillow  # noqa: PLC0415

        wanted = frozenset(item_ids)
        pictures = {}
        with contextlib.suppress(PlatformError, OSError):  # a notebook shows the batch without them
            for item in self.platform.list_items():
                image = read_thumbnail(item.media, _SIDE_PX) if item.id in wanted else None
                if image is not None:
                    content = BytesIO()
                    image.save(content, format="JPEG", quality=80)
                    pictures[item.id] = data_uri(content.getvalue(), "image/jpeg")
        return pictures

    def _round(self, rounds: Sequence[Round]) -> Round:
        if not rounds:
            raise NoRoundYet("there was no round in this project yet: query for one first")
        for one in rounds:
            if one.number == self.number:
                return one
        known = f"1 to {rounds[-1].number}" if len(rounds) > 1 else "1"
        raise ValueError(f"there is no round {self.number}; the project has {known}")

    def _items(self, images: File | Mapping[str, File] | None) -> list[Item]:
        """The items as they stood, with the images that are on this machine.

        A remote platform's word for an image is an address, or a path on its own disk, and is not opened here.
        """
        items = list(self.platform.list_items())
        if self.listing is not None:
            then = self.listing
            items = [item._replace(state=then.state_of(item.id) or item.state) for item in items]
        if images is not None:
            file_of = _files(images, [item.id for item in items])
            return [item._replace(media=file_of.get(item.id)) for item in items]
        return items if self.platform.home is not None else [item._replace(media=None) for item in items]

    def _links(self, items: Sequence[Item], current: Round) -> dict[str, str]:
        """Addresses of the picks' pages on the platform."""
        if not isinstance(self.platform, LinksItems):
            return {}
        picks = frozenset(current.selection.item_ids)
        found = {item.id: self.platform.link(item) for item in items if item.id in picks}
        return {item_id: address for item_id, address in found.items() if address is not None}


def _files(images: File | Mapping[str, File], item_ids: Sequence[str]) -> dict[str, str]:
    """Item id to file: as given, or of a folder by the name, which is the id or the last part of it."""
    if isinstance(images, Mapping):
        files = {item_id: os.fspath(file) for item_id, file in images.items()}
        if files and not files.keys() & set(item_ids):
            raise ValueError(f"images names no item of the project, but {next(iter(files))!r}; its keys are item ids")
        return files
    names, files = ItemNames(item_ids), {}
    below = images_below(Path(images).expanduser())
    for name, file in below.items():
        with contextlib.suppress(ValueError):  # an image of another project
            files[names.find(name)] = file
    if not files:
        raise ValueError(
            f"none of {len(below):,} images below '{os.fspath(images)}' is an item of the project; the first is "
            f"{next(iter(below))!r}, ids look like {item_ids[0]!r}"
        )
    return files


def _check_path(path: Path) -> None:
    """Raise before the work if the page cannot be written."""
    if path.suffix.lower() not in _ENDINGS:
        raise ValueError(f"'{path}' ends in {path.suffix or 'nothing'}; expected .html")
    if not path.absolute().parent.is_dir():
        raise FileNotFoundError(f"'{path}' cannot be written: there is no folder '{path.absolute().parent}'")
