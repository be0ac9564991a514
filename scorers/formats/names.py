"""From the file names that other people write to item ids."""

from __future__ import annotations

import os
from collections.abc import Iterable
from functools import cached_property
from pathlib import PurePosixPath

from ..checks import checked_item_ids


class ItemNames:
    """Finds the item that a file name means: by its whole id, else by its last part, else by that without its suffix.

    Args:
        item_ids: n unique item ids.

    Raises:
        ValueError: Ids doubled or missing.

    Examples:
        >>> names = ItemNames(["day/a.jpg", "night/b.jpg"])
        >>> names.find("a.txt"), names.find("C:\\\\photos\\\\night\\\\b.jpg")
        ('day/a.jpg', 'night/b.jpg')
    """

    def __init__(self, item_ids: Iterable[str]) -> None:
        self.item_ids = checked_item_ids(item_ids)
        self._known = frozenset(self.item_ids)

    def find(self, name: str | os.PathLike[str], where: str = "") -> str:
        """The id of the item.

        Args:
            name: A file name or path, of the image or of a file named after it.
            where: The file and row that named it, for messages.

        Raises:
            ValueError: No item, or more than one, is meant. The message says which.
        """
        text = os.fspath(name)
        if text in self._known:
            return text
        path = PurePosixPath(text.replace("\\", "/"))
        meant = self._by_file_name.get(path.name) or self._by_stem.get(path.stem) or []
        if len(meant) > 1:
            meant = [item for item in meant if _ends_alike(item, path)] or meant
        if len(meant) > 1:
            raise ValueError(f"{_at(where)}{text!r} may be {meant[0]!r} or {meant[1]!r}; name items by their whole id there")
        if meant:
            return meant[0]
        raise ValueError(
            f"{_at(where)}{text!r} is none of the {len(self.item_ids):,} items, the first of which is {self.item_ids[0]!r}; "
            "are these predictions of other images?"
        )

    @cached_property
    def _by_file_name(self) -> dict[str, list[str]]:
        return _grouped((PurePosixPath(item_id).name, item_id) for item_id in self.item_ids)

    @cached_property
    def _by_stem(self) -> dict[str, list[str]]:
        return _grouped((PurePosixPath(item_id).stem, item_id) for item_id in self.item_ids)


def _grouped(pairs: Iterable[tuple[str, str]]) -> dict[str, list[str]]:
    groups: dict[str, list[str]] = {}
    for key, item_id in pairs:
        groups.setdefault(key, []).append(item_id)
    return groups


def _ends_alike(item_id: str, path: PurePosixPath) -> bool:
    """Whether the folders of one, as far as both have some, are the last folders of the other."""
    ours, theirs = PurePosixPath(item_id).parent.parts, path.parent.parts
    n = min(len(ours), len(theirs))
    return n > 0 and ours[-n:] == theirs[-n:]


def _at(where: str) -> str:
    return f"{where}: " if where else ""
