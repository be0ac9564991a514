"""From the file names that other people write to item ids."""

from __future__ import annotations

import os
import posixpath
import unicodedata
from collections.abc import Iterable
from functools import cached_property

from ...checks import checked_item_ids


class ItemNames:
    """Finds the item that a file name means: by its whole id, else by its last part, else by that without its suffix.

    Backslashes are read as slashes, and accented letters alike however they are composed. Where several items have the name,
    the one with most folders in common is meant.

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
        if not isinstance(name, str | os.PathLike):
            raise ValueError(f"{_at(where)}{name!r} is no file name; expected text")
        text = os.fspath(name)
        if text in self._known:
            return text
        parts = _parts(text)
        file_name, stem = parts[-1], _stem(parts[-1])
        for group, key in (
            (self._by_file_name, file_name),
            (self._by_file_name, stem),
            (self._by_stem, file_name),
            (self._by_stem, stem),
        ):
            if key in group:
                return _nearest(group[key], parts, text, where)
        raise ValueError(
            f"{_at(where)}{text!r} is none of the {len(self.item_ids):,} items, the first of which is {self.item_ids[0]!r}; "
            "are these predictions of other images?"
        )

    @cached_property
    def _by_file_name(self) -> dict[str, list[str]]:
        return _grouped((_parts(item_id)[-1], item_id) for item_id in self.item_ids)

    @cached_property
    def _by_stem(self) -> dict[str, list[str]]:
        return _grouped((_stem(_parts(item_id)[-1]), item_id) for item_id in self.item_ids)


def _grouped(pairs: Iterable[tuple[str, str]]) -> dict[str, list[str]]:
    groups: dict[str, list[str]] = {}
    for key, item_id in pairs:
        groups.setdefault(key, []).append(item_id)
    return groups


def _parts(path: str) -> list[str]:
    """The folders and the name of a path; macOS writes accented letters in two characters, others in one."""
    return unicodedata.normalize("NFC", path).replace("\\", "/").split("/")


def _stem(file_name: str) -> str:
    """The name without its suffix; digits are none: `frame.0001` is a whole name."""
    stem, suffix = posixpath.splitext(file_name)
    return file_name if suffix[1:].isdigit() else stem


def _nearest(meant: list[str], parts: list[str], text: str, where: str) -> str:
    if len(meant) == 1:
        return meant[0]
    shared = [_n_shared(_parts(item_id)[:-1], parts[:-1]) for item_id in meant]
    best = [item_id for item_id, n in zip(meant, shared) if n == max(shared)]
    if len(best) > 1:
        raise ValueError(f"{_at(where)}{text!r} may be {best[0]!r} or {best[1]!r}; name items by their whole id there")
    return best[0]


def _n_shared(ours: list[str], theirs: list[str]) -> int:
    """How many of the last folders are the same."""
    n = 0
    for our, their in zip(reversed(ours), reversed(theirs)):
        if our != their:
            break
        n += 1
    return n


def _at(where: str) -> str:
    return f"{where}: " if where else ""
