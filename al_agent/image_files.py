"""Which files of a folder are images, and by what ids they go."""

from __future__ import annotations

import os
from collections.abc import Iterator

IMAGE_SUFFIXES = frozenset({".avif", ".bmp", ".gif", ".heic", ".jfif", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp"})


def image_files(root: str | os.PathLike[str]) -> Iterator[str]:
    """Every file below `root` whose name ends as an image's does; hidden folders and links to folders are not entered."""
    for folder, subfolders, names in os.walk(os.fspath(root)):
        subfolders[:] = [name for name in subfolders if not name.startswith(".")]
        for name in names:
            if os.path.splitext(name)[1].lower() in IMAGE_SUFFIXES and not name.startswith("."):
                yield os.path.join(folder, name)


def images_below(root: str | os.PathLike[str]) -> dict[str, str]:
    """Item id to path of every image file below `root`: ids are relative paths with forward slashes, as local projects have.

    Raises:
        ValueError: It is no folder, holds no images, or a name is not valid unicode. The message names it.
    """
    if not os.path.isdir(root):
        raise ValueError(f"'{os.fspath(root)}' is no folder; expected a folder of images")
    paths = sorted(image_files(root))
    if not paths:
        raise ValueError(f"no images found below '{os.fspath(root)}'; looked for {', '.join(sorted(IMAGE_SUFFIXES))}")
    n_before = len(os.path.join(os.fspath(root), ""))
    ids = [path[n_before:].replace(os.sep, "/") for path in paths]
    for item_id in ids:
        check_unicode(item_id)
    return dict(zip(ids, paths))


def check_unicode(item_id: str) -> None:
    """Raise if a name cannot be stored as text."""
    try:
        item_id.encode("utf-8")
    except UnicodeEncodeError:
        raise ValueError(f"{item_id!r} is a name that is not valid unicode; rename the file") from None
