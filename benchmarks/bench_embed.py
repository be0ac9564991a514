"""Embedding a folder beside reading it: images a second of each embedder, and of Pillow alone as the ceiling.

The ceiling is Pillow decoding and reducing the same files to the same size in as many threads, and nothing else. Photos are
those of the zip files, where they are there, else photos are made: noise, as JPEG of 640 x 480 pixels. Ratios of the two,
measured one after another, hold on a busy machine too; the seconds do not.

    python benchmarks/bench_embed.py
    python benchmarks/bench_embed.py --archives ../shared/data/det_bccd.zip --workers 1 2 --runs 3
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
import zipfile
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from measure import machine
from PIL import Image

from al_agent.embedding.embedder import Embedder, Images, Pixels
from al_agent.embedding.images import ImageFiles
from al_agent.embedding.methods.patches import EmbedderPatches
from al_agent.embedding.run import embed_images

DATA = Path(__file__).resolve().parents[1] / "../shared/data"


class MeanColour(Embedder):
    """As little as an embedder can do, so that reading and handing over are measured."""

    description = "mean colour"

    def __init__(self, side: int) -> None:
        self.size = (side, side)

    def embed(self, pixels: Pixels) -> npt.NDArray[np.floating[Any]]:
        return np.asarray(pixels[:, ::8, ::8].mean(axis=(1, 2)), dtype=np.float32)


class Learned(EmbedderPatches):
    """Patches that have learned before the clock starts."""

    def fit(self, images: Images) -> None:
        pass


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--archives", nargs="*", type=Path, default=[DATA / "det_bccd.zip", DATA / "det_coco_open.zip"])
    parser.add_argument("--workers", nargs="+", type=int, default=[1, 2])
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--images", type=int, default=400, help="at most, of each archive")
    arguments = parser.parse_args()
    print(f"# Embedding, {machine()}\n")
    print("| photos | work | workers | images/s | of the ceiling |\n| --- | --- | --- | --- | --- |")
    with tempfile.TemporaryDirectory() as scratch:
        for name, folder in folders(arguments.archives, Path(scratch), arguments.images):
            for n_workers in arguments.workers:
                compare(name, folder, n_workers, arguments.runs)


def folders(archives: Sequence[Path], scratch: Path, n_images: int) -> list[tuple[str, Path]]:
    """Folders of photos with what they are called."""
    found = []
    for archive in archives:
        if archive.exists():
            with zipfile.ZipFile(archive) as photos:
                names = sorted(name for name in photos.namelist() if name.endswith(".jpg"))[:n_images]
                photos.extractall(scratch / archive.stem, names)
            found.append((f"{len(names)} of {archive.stem}", scratch / archive.stem))
    if not found:
        rng = np.random.default_rng(0)
        (scratch / "made").mkdir()
        for number in range(n_images):
            grain = Image.fromarray(rng.integers(0, 256, size=(60, 80, 3), dtype=np.uint8))
            grain.resize((640, 480), Image.Resampling.BICUBIC).save(scratch / f"made/{number:05d}.jpg", quality=90)
        found.append((f"{n_images} made", scratch / "made"))
    return found


def compare(name: str, folder: Path, n_workers: int, n_runs: int) -> None:
    """Print a row for the ceiling and each embedder, run in turns."""
    images = ImageFiles.from_folder(folder)
    paths = [path for path in images.paths if path is not None]
    learned = Learned()
    EmbedderPatches.fit(learned, images)
    works: dict[str, Callable[[], object]] = {
        "Pillow alone, 64 px": lambda: plain(paths, 64, n_workers),
        "a run of a bare embedder, 64 px": lambda: embed_images(images, MeanColour(64), n_workers=n_workers),
        "patches, 64 px, learned before": lambda: embed_images(images, learned, n_workers=n_workers),
        "patches, 64 px, learning too": lambda: embed_images(images, EmbedderPatches(), n_workers=n_workers),
        "Pillow alone, 224 px": lambda: plain(paths, 224, n_workers),
        "a run of a bare embedder, 224 px": lambda: embed_images(images, MeanColour(224), n_workers=n_workers),
    }
    seconds: dict[str, list[float]] = {what: [] for what in works}
    for turn in range(n_runs + 1):  # the first warms up
        for what, work in works.items():
            began = time.perf_counter()
            work()
            if turn:
                seconds[what].append(time.perf_counter() - began)
    ceiling_s: list[float] = []
    for what, taken in seconds.items():
        ceiling_s = taken if what.startswith("Pillow") else ceiling_s
        ratio = statistics.median(least / ours for ours, least in zip(taken, ceiling_s))
        rate = len(images) / statistics.median(taken)
        print(f"| {name} | {what} | {n_workers} | {rate:,.0f} | {ratio:.2f} |", flush=True)


def plain(paths: Sequence[str], side: int, n_workers: int) -> None:
    """Decode and reduce with Pillow, and forget."""

    def one(path: str) -> None:
        with Image.open(path) as image:
            image.draft("RGB", (2 * side, 2 * side))
            np.asarray(image.convert("RGB").resize((side, side), Image.Resampling.BICUBIC, reducing_gap=2.0))

    with ThreadPoolExecutor(n_workers) as pool:
        list(pool.map(one, paths, chunksize=16))


if __name__ == "__main__":
    main()
