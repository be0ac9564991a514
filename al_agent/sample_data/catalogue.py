"""The sample data there are: where each comes from, and how its files become photos with boxes."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

from ..home import home_folder
from .download import addresses_of, download
from .layout import blood_cells, indoor_photos
from .photos import SamplePhotos


def fetch_indoor_photos() -> SamplePhotos:
    """85 photos of one flat, the 686 boxes that people drew, and 494 boxes that a detector found with their scores.

    Many photos are near-duplicates. The detector knows 36 classes, of 8 of which nobody drew a box. Fetches 6 MB at first.

    Raises:
        AgentError: They cannot be fetched. The message says from where, and what else can be done.
        ImportError: They are not here, and pooch is missing.

    References:
        J. Cartucho, R. Ventura and M. Veloso, Robust Object Recognition Through Symbiotic Deep Learning In Mobile Robots,
        IROS 2018.
    """
    return _fetched(INDOOR_PHOTOS)


def fetch_blood_cells() -> SamplePhotos:
    """364 photos of blood under a microscope, with 4,886 boxes: 4,153 red cells, 372 white ones, 361 platelets.

    Each image of `annotations.json` says its published `split`: `train` 205, `val` 87, `test` 72. Fetches 8 MB at first.

    Raises:
        AgentError: They cannot be fetched. The message says from where, and what else can be done.
        ImportError: They are not here, and pooch is missing.
    """
    return _fetched(BLOOD_CELLS)


@dataclass(frozen=True)
class Source:
    """Where a data set comes from.

    Args:
        name: Of its folder, and of the list of its files' SHA-256.
        title: What the photos show.
        license: Its short name.
        repository: `owner/name` on GitHub.
        commit: The one that is fetched.
        images: Folder of the photos in the repository.
        read: Takes the folder of the repository's files, gives the content of each JSON file by its name.
    """

    name: str
    title: str
    license: str
    repository: str
    commit: str
    images: str
    read: Callable[[Path], dict[str, Any]]


INDOOR_PHOTOS = Source(
    "indoor_photos",
    "Photos of a flat, with real detections",
    "Apache-2.0",
    "Cartucho/mAP",
    "3605865a350859e60c7b711838d09c4e0012c774",
    "input/images-optional",
    indoor_photos,
)
BLOOD_CELLS = Source(
    "blood_cells",
    "Blood cells under a microscope",
    "MIT",
    "Shenggan/BCCD_Dataset",
    "d272fb14cdff6e473fafeeeba32aba5f560e9e43",
    "BCCD/JPEGImages",
    blood_cells,
)


def _fetched(source: Source) -> SamplePhotos:
    named = os.environ.get("AL_AGENT_DATA")
    root = Path(named).expanduser() if named else home_folder() / "data"
    address = f"https://github.com/{source.repository}/tree/{source.commit}"
    photos = SamplePhotos(root / source.name, source.title, source.license, address)
    if not photos.folder.exists():
        fetch_to(photos.folder, source, registry_of(source), addresses_of(source.repository, source.commit))
    elif not photos.annotations.is_file() or not photos.images.is_dir():
        raise ValueError(
            f"'{photos.folder}' has no 'annotations.json' or no folder 'images'; remove it, and it is fetched anew"
        )
    return photos


def registry_of(source: Source) -> dict[str, str]:
    """Path to SHA-256 of every file that is fetched."""
    lines = files(__package__).joinpath(f"{source.name}.sha256").read_text(encoding="utf-8").splitlines()
    return {path: digest for digest, path in (line.split("  ") for line in lines)}


def fetch_to(target: Path, source: Source, registry: Mapping[str, str], addresses: Sequence[str]) -> None:
    """Download beside the target, lay the files out there, and name the whole at the end: what has its name is complete."""
    work = target.with_name(f"{target.name}.download")
    way_out = (
        f"what was fetched is kept in '{work}', so try again; or fetch it on a machine that can, and let the environment "
        f"variable AL_AGENT_DATA name the folder that holds '{target.name}'"
    )
    download(work, registry, addresses, title=source.title, way_out=way_out)
    laid_out = work / "laid-out"
    shutil.rmtree(laid_out, ignore_errors=True)
    laid_out.mkdir()
    shutil.copytree(work / source.images, laid_out / "images")
    shutil.copy(work / "LICENSE", laid_out)
    for name, content in source.read(work).items():
        (laid_out / name).write_text(json.dumps(content), encoding="utf-8")
    laid_out.replace(target)
    shutil.rmtree(work)
