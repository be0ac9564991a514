"""A local project: images in a folder, their states, labels and priorities in one SQLite file."""

from __future__ import annotations

import json
import os
import sqlite3
import uuid
from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from ...errors import NotFound
from ...image_files import IMAGE_SUFFIXES, check_unicode, image_files
from ..base import Item, ItemState, PushReport
from . import mapping, wire


class PlatformLocal:
    """An annotation project without a server, for one folder of images.

    Any number of processes may use it at once, every change is done whole or not at all, and a million items are fine.

    Args:
        folder: The project's folder, as `create` made it.

    Raises:
        NotFound: The folder is no project, or its file is damaged.
        Unavailable: The file cannot be opened now.

    Examples:
        >>> import tempfile
        >>> platform = PlatformLocal.create(tempfile.mkdtemp(), images=["a.png", "b.png", "c.png"])
        >>> report = platform.push({"c.png": 0})
        >>> [item.id for item in platform.next_items(2)]
        ['c.png', 'a.png']
        >>> platform.annotate({"c.png": "cat"})
        >>> platform.labels()
        {'c.png': 'cat'}
    """

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        self._order: wire.Order | None = None
        self._folder = Path(folder).expanduser().absolute()
        self._database = wire.database(self._folder / wire.FILE_NAME)
        if not self._database.is_there:
            raise NotFound(
                f"'{folder}' is no local project: it has no file {wire.FILE_NAME}; "
                f"make one with PlatformLocal.create('{folder}') or: al-agent init '{folder}'"
            )
        with self._database.reading() as connection:
            settings = wire.read_settings(connection)
        if not {"key", "images"} <= settings.keys():
            raise NotFound(f"project '{self._database.path}' is damaged: its settings are missing; put back a copy")
        self._key = settings["key"]
        self._root = str(self._folder / settings["images"]).rstrip(os.sep) + os.sep

    @classmethod
    def create(
        cls,
        folder: str | os.PathLike[str],
        *,
        images: str | os.PathLike[str] | Iterable[str | os.PathLike[str]] | None = None,
    ) -> PlatformLocal:
        """Make a folder a project.

        Args:
            folder: The project's folder; it is made where there is none.
            images: None takes every image file below the project's folder; a folder, every image file below that one;
                or the images themselves, as names relative to the project's folder, or as absolute paths. Hidden
                folders and links to folders are not entered. Ids are the paths relative to the folder of the images.
                Names are taken as given: whether the files are there is not checked (`missing_files` does).

        Raises:
            ValueError: There are no images, one is given twice, lies outside, or has a name that cannot be stored; or the
                folder is a project already. Nothing is changed then.
            Unavailable: The folder cannot be written.
        """
        home = Path(folder).expanduser().absolute()
        database = wire.database(home / wire.FILE_NAME)
        already = f"'{folder}' is a project already; open it with PlatformLocal('{folder}')"
        if database.is_there:
            raise ValueError(already)
        root, ids = _root_and_ids(home, images)
        in_place = root.relative_to(home) if home in (root, *root.parents) else root

        def fill(connection: sqlite3.Connection) -> None:
            wire.write_settings(connection, {"key": f"local:{uuid.uuid4()}", "images": in_place.as_posix()})
            wire.insert_items(connection, ids)

        if not database.create(fill):
            raise ValueError(already)
        return cls(folder)

    @property
    def key(self) -> str:
        """The project's own name, made at its creation; it survives a move of the folder."""
        return self._key

    @property
    def home(self) -> Path:
        """The project's folder."""
        return self._folder

    def list_items(self) -> Iterator[Item]:
        """Every item in order. Time and memory O(n)."""
        with self._database.reading() as connection:
            rows = list(wire.read_items(connection))
        return (mapping.to_item(row, self._root) for row in rows)

    def list_states(self) -> tuple[tuple[str, ...], list[str]]:
        """The id and the state of every item in order. Time O(n); the ids are read again where items came or went."""
        with self._database.reading() as connection:
            self._order, states = wire.read_states(connection, self._order)
        return self._order.ids, states

    def push(self, ranks: Mapping[str, int], resets: Collection[str] = (), *, verify: bool = False) -> PushReport:
        """Set ranks in the labeling queue, 0 first, and take others back, in one transaction.

        Args:
            ranks: Item id to rank of 0 or more.
            resets: Items whose rank is to be removed.
            verify: Read the ranks back, and report as failed what another process has changed already.

        Returns:
            What was done with each item; labeled, skipped and unknown ones are declined.

        Raises:
            ValueError: A rank is negative or no whole number.
            PlatformError: The file cannot be written; nothing was changed.
        """
        _ids(ranks)
        _ids(resets)
        rank_of = {item_id: mapping.to_count(rank, f"the rank of {item_id!r}") for item_id, rank in ranks.items()}
        with self._database.writing() as connection:
            asked = wire.ask(connection, rank_of.items())
            open_items = [row for row in asked if row.state == ItemState.UNLABELED]
            updated = [row for row in open_items if row.priority != row.rank]
            wire.write_priorities(connection, ((row.id, row.rank) for row in updated))
            stale = wire.ask(connection, ((item_id, None) for item_id in resets if item_id not in ranks))
            taken_back = [row.id for row in stale if row.priority is not None]
            wire.write_priorities(connection, ((item_id, None) for item_id in taken_back))
        failed = self._differences({row.id: row.rank for row in open_items} | dict.fromkeys(taken_back)) if verify else {}
        return PushReport(
            updated=tuple(row.id for row in updated if row.id not in failed),
            unchanged=tuple(row.id for row in open_items if row.priority == row.rank and row.id not in failed),
            failed=failed,
            declined={
                row.id: "not in the project" if row.state is None else f"already {row.state}"
                for row in asked
                if row.state != ItemState.UNLABELED
            },
            taken_back=tuple(item_id for item_id in taken_back if item_id not in failed),
        )

    def _differences(self, wanted: Mapping[str, int | None]) -> dict[str, str]:
        """What is stored now, where it is not what was written."""
        with self._database.writing() as connection:
            now = wire.ask(connection, wanted.items())
        return {row.id: f"its rank is {row.priority} where {row.rank} was sent" for row in now if row.priority != row.rank}

    def next_items(self, n_items: int) -> list[Item]:
        """The next items to label: by rank, then those without one in the project's order."""
        n_rows = mapping.to_count(n_items, "n_items")
        with self._database.reading() as connection:
            rows = wire.read_queue(connection, n_rows)
        return [mapping.to_item(row, self._root) for row in rows]

    def annotate(self, labels: Mapping[str, Any]) -> None:
        """Label items; a label that stands already is replaced.

        Args:
            labels: Item id to label: anything that JSON can hold, but None and empty text.

        Raises:
            ValueError: An item is not in the project, or a label cannot be stored. Nothing is changed then.
        """
        ids = _ids(labels)
        texts = (mapping.to_label_text(item_id, labels[item_id]) for item_id in ids)
        self._change(dict(zip(ids, texts)), ItemState.LABELED)

    def skip(self, item_ids: Iterable[str]) -> None:
        """Pass items over: they are neither labeled nor picked any more.

        Raises:
            ValueError: An item is not in the project, or has a label, which would be lost. Nothing is changed then.
        """
        self._change(dict.fromkeys(_ids(item_ids)), ItemState.SKIPPED)

    def reopen(self, item_ids: Iterable[str]) -> None:
        """Put labeled or skipped items back to unlabeled; their labels are lost. Raises ValueError for an unknown item."""
        self._change(dict.fromkeys(_ids(item_ids)), ItemState.UNLABELED)

    def labels(self) -> dict[str, Any]:
        """The labels so far, item id to label, in the project's order."""
        with self._database.reading() as connection:
            rows = list(wire.read_labels(connection))
        values = json.loads(f"[{','.join(label for _, label in rows)}]")  # at once: ten times as fast as one by one
        return {item_id: value for (item_id, _), value in zip(rows, values)}

    def add_images(self, images: Iterable[str | os.PathLike[str]]) -> None:
        """Append images to the project, as names relative to its image folder or as absolute paths.

        Raises:
            ValueError: An image is in the project already, is given twice, or lies outside. Nothing is changed then.
        """
        ids = mapping.to_ids(images, Path(self._root))
        with self._database.writing() as connection:
            known = [row.id for row in wire.ask(connection, ((item_id, None) for item_id in ids)) if row.state is not None]
            if known:
                raise ValueError(f"{len(known):,} images are in the project already, the first is {known[0]!r}")
            wire.insert_items(connection, ids)

    def remove_images(self, item_ids: Iterable[str]) -> None:
        """Take items out of the project, with their labels; the files stay. Raises ValueError for an unknown item."""
        with self._database.writing() as connection:
            ids = _ids(item_ids)
            _check_known(wire.ask(connection, ((item_id, None) for item_id in ids)))
            wire.delete_items(connection, ids)

    def missing_files(self) -> list[str]:
        """Ids of the items whose image file is not there. Looks at every file: time O(n)."""
        return [item.id for item in self.list_items() if not Path(self._root + item.id).is_file()]

    def _change(self, labels: Mapping[str, str | None], state: ItemState) -> None:
        with self._database.writing() as connection:
            asked = wire.ask(connection, ((item_id, None) for item_id in labels))
            _check_known(asked)
            labeled = [row.id for row in asked if row.state == ItemState.LABELED]
            if state is ItemState.SKIPPED and labeled:
                raise ValueError(f"{labeled[0]!r} has a label, which skipping would lose; reopen() it first")
            wire.write_states(connection, ((item_id, state.value, label) for item_id, label in labels.items()))

    def __repr__(self) -> str:
        return f"PlatformLocal({str(self._folder)!r})"


def _ids(item_ids: Iterable[Any]) -> list[str]:
    """Ids as a list of strings that can be stored."""
    if isinstance(item_ids, str | bytes | os.PathLike):
        raise ValueError(f"expected a list of items, got the single {item_ids!r}; write [{item_ids!r}]")
    ids = list(item_ids)
    for item_id in ids:
        if not isinstance(item_id, str):
            raise ValueError(f"{item_id!r} is {type(item_id).__name__}; item ids are strings, so use str(...)")
        if not item_id.isascii():
            check_unicode(item_id)
    return ids


def _check_known(asked: list[wire.Asked]) -> None:
    unknown = [row.id for row in asked if row.state is None]
    if unknown:
        raise ValueError(f"{len(unknown):,} items are not in the project, the first is {unknown[0]!r}; nothing was changed")


def _root_and_ids(
    home: Path, images: str | os.PathLike[str] | Iterable[str | os.PathLike[str]] | None
) -> tuple[Path, list[str]]:
    if images is None or isinstance(images, str | os.PathLike):
        root = home if images is None else Path(images).expanduser().absolute()
        if not root.is_dir():
            raise ValueError(f"'{root}' is no folder; expected a folder of images")
        ids = mapping.to_ids(sorted(image_files(root)), root)
        if not ids:
            raise ValueError(f"no images found below '{root}'; looked for {', '.join(sorted(IMAGE_SUFFIXES))}")
        return root, ids
    paths = list(images)
    if not paths:
        raise ValueError("images is empty; expected at least one image")
    root = _common_root(paths, home)
    return root, mapping.to_ids(paths, root)


def _common_root(paths: list[str | os.PathLike[str]], home: Path) -> Path:
    """The folder of given images: the project's, or for absolute paths elsewhere the deepest that holds them all."""
    is_absolute = os.path.isabs(os.fspath(paths[0]))
    if not is_absolute:
        first = Path(paths[0])
        if first.is_file() and not (home / first).exists():
            raise ValueError(
                f"image '{first}' is found from the current folder, but names are relative to the project's folder "
                f"'{home}'; pass absolute paths, or images=<the folder that holds all images>"
            )
        return home
    texts = [os.fspath(path) for path in paths]
    if not all(map(os.path.isabs, texts)):
        relative = next(text for text in texts if not os.path.isabs(text))
        raise ValueError(f"image '{relative}' is relative and others are absolute; give all in one way")
    common = Path(os.path.commonpath([os.path.dirname(text) for text in texts]))
    return home if home in (common, *common.parents) else common
