"""The images of a folder, as the verbs about images need them: items of a local project, or files."""

from __future__ import annotations

import os
import warnings
from collections.abc import Sequence
from pathlib import Path

from ..image_files import image_files, images_below
from ..platforms.base import Item
from ..platforms.local import PlatformLocal
from ..platforms.local.wire import FILE_NAME as LOCAL_FILE
from .project import FILE_NAME

RUN_BY_SPREADSHEETS = ("=", "+", "-", "@", "\t", "\r")
"""A cell that begins with one of these is a formula to a spreadsheet."""

_N_NAMED = 3


def items_of(folder: Path) -> list[Item]:
    """The items of a local project; none where the folder is no local project."""
    return list(PlatformLocal(folder).list_items()) if (folder / LOCAL_FILE).exists() else []


def images_of(folder: Path) -> dict[str, str | None]:
    """Item id to path: the items of a local project, or the image files of a folder.

    Raises:
        ValueError: The folder is no project, and has no images.
    """
    if (folder / LOCAL_FILE).exists():
        return {item.id: item.media for item in items_of(folder)}
    return dict(images_below(folder))


def check_ids(item_ids: Sequence[str], folder: Path, items: Sequence[Item]) -> None:
    """Raise if embeddings are not of this folder; one without images, such as of a project on a platform, tells nothing.

    Args:
        item_ids: Ids of the embeddings.
        folder: A local project, or any folder of images.
        items: The project's items, or none.

    Raises:
        ValueError: An embedding is of no item of the project, or of no image of the folder.
    """
    is_project = (folder / LOCAL_FILE).exists()
    if not is_project and ((folder / FILE_NAME).exists() or not any(True for _ in image_files(folder))):
        return
    known = [item.id for item in items] if is_project else list(images_below(folder))
    is_known = {*known}.__contains__
    unknown = [item_id for item_id in item_ids if not is_known(item_id)]
    if unknown:
        example = f"; its ids look like {known[0]!r}" if known else ""
        where = "in the project" if is_project else f"images of '{folder}'"
        raise ValueError(
            f"{len(unknown):,} of {len(item_ids):,} items with an embedding are not {where}, the first is {unknown[0]!r}"
            f"{example}; name the embeddings of this folder, or make them anew by al-agent embed"
        )


def warn_of_new_images(folder: Path, items: Sequence[Item], besides: Path | None) -> int:
    """Count images below a project's folder that are no items of it, and warn of them.

    Args:
        folder: The project's.
        items: The project's; where their images are not below its folder, none is found.
        besides: A picture that is drawn, and is no image to label.
    """
    first = next((item for item in items if item.media is not None), None)
    if first is None or first.media is None:
        return 0
    root = first.media[: -len(first.id)]
    if folder.expanduser().absolute() not in (Path(root), *Path(root).parents):
        return 0
    known = {item.id for item in items}
    drawn = None if besides is None else str(besides.absolute())
    found = (path[len(root) :].replace(os.sep, "/") for path in sorted(image_files(root)) if path != drawn)
    new = [name for name in found if name not in known]
    if new:
        are, them = (
            ("image in the folder is no item", "it") if len(new) == 1 else ("images in the folder are no items", "them")
        )
        call = in_python(folder, "add_images", new)
        warnings.warn(f"{len(new):,} {are} of the project; {call} adds {them}", stacklevel=2)
    return len(new)


def in_python(folder: Path, method: str, item_ids: Sequence[str]) -> str:
    """A call on the local project, with the first few ids."""
    shown = ", ".join(map(repr, item_ids[:_N_NAMED]))
    return f"PlatformLocal({str(folder)!r}).{method}([{shown}{', ...' * (len(item_ids) > _N_NAMED)}])"
