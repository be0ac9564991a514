"""How often the 20 nearest neighbours of an image tell its class: ways to make vectors beside each other, on CIFAR-10.

16,000 training and 4,000 test images of `../shared/data/cifar10_20k.zip`; what learns, learns from the training images and
without their labels. A test image is of the class with the most votes among its 20 nearest training images by cosine
similarity, with plain votes and with votes weighted by `exp(cosine / 0.07)`. The standard error is about 0.7 points.

    python benchmarks/bench_embedding_quality.py
    python benchmarks/bench_embedding_quality.py --methods raw patches
"""

from __future__ import annotations

import argparse
import io
import time
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from measure import machine
from PIL import Image

from al_agent.embedding.embedder import Batch, Embedder, Fit
from al_agent.embedding.methods.patches import EmbedderPatches
from al_agent.embedding.run import embed_images

DATA = Path(__file__).resolve().parents[2] / "shared" / "data"
_N_NEIGHBOURS = 20
_TEMPERATURE = 0.07

Vectors = npt.NDArray[np.floating]
Pair = tuple[Vectors, Vectors]
"""Vectors of the training and of the test images."""


@dataclass(frozen=True, eq=False)
class Pictures:
    """Images of 32 x 32 pixels in memory, with their classes and file names."""

    item_ids: tuple[str, ...]
    pixels: npt.NDArray[np.uint8]
    labels: npt.NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.item_ids)

    def read(self, rows: Sequence[int], size: tuple[int, int], fit: Fit) -> Batch:
        """The images of these rows, resized; all of them are square."""
        del fit
        pixels = self.pixels[list(rows)]
        if size != pixels.shape[1:3]:
            shape = size[::-1]
            pixels = np.stack([np.asarray(Image.fromarray(one).resize(shape, Image.Resampling.BICUBIC)) for one in pixels])
        return Batch(np.array(rows, dtype=np.int64), pixels)


def load() -> tuple[Pictures, Pictures]:
    """The training and the test images."""
    with zipfile.ZipFile(DATA / "cifar10_20k.zip") as archive:
        labels = np.load(io.BytesIO(archive.read("labels.npz")))
        both = []
        for part, n_sheets in (("train", 16), ("test", 4)):
            sheets = [_sheet(archive.read(f"{part}_{number:02d}.webp")) for number in range(n_sheets)]
            names = tuple(name.decode() for name in labels[f"names_{part}"])
            both.append(Pictures(names, np.concatenate(sheets), labels[f"y_{part}"].astype(np.int64)))
    return both[0], both[1]


def _sheet(content: bytes) -> npt.NDArray[np.uint8]:
    tiles = np.asarray(Image.open(io.BytesIO(content)).convert("RGB")).reshape(25, 32, 40, 32, 3)
    return tiles.swapaxes(1, 2).reshape(-1, 32, 32, 3)


def raw(train: Pictures, test: Pictures) -> Pair:
    """Pixels less the mean image."""
    flat = [part.pixels.reshape(len(part), -1) / np.float32(255) for part in (train, test)]
    mean = flat[0].mean(axis=0)
    return flat[0] - mean, flat[1] - mean


def histogram(train: Pictures, test: Pictures) -> Pair:
    """Square roots of the counts of 64 colours."""
    both = []
    for part in (train, test):
        colours = (part.pixels // 64).reshape(len(part), -1, 3).astype(np.int64) @ np.array([16, 4, 1])
        both.append(np.sqrt(np.stack([np.bincount(image, minlength=64) for image in colours])))
    return both[0], both[1]


def published(train: Pictures, test: Pictures) -> Pair:
    """`emb_cifar10_kmeans128.npz`, learned from all 50,000 training images, of which 16,000 are taken here."""
    file = np.load(DATA / "emb_cifar10_kmeans128.npz")
    both = []
    for part, name in ((train, "train"), (test, "test")):
        row_of = {found.decode(): row for row, found in enumerate(file[f"names_{name}"])}
        both.append(file[name][[row_of[item_id] for item_id in part.item_ids]].astype(np.float32))
    return both[0], both[1]


def embedded(embedder: Embedder) -> Callable[[Pictures, Pictures], Pair]:
    """Vectors of any embedder, which learns from the training images."""

    def vectors(train: Pictures, test: Pictures) -> Pair:
        of_train = embed_images(train, embedder).embeddings.vectors
        steps = range(0, len(test), embedder.batch_size)
        of_test = [
            embedder.embed(test.read(range(len(test))[start : start + embedder.batch_size], embedder.size, "stretch").pixels)
            for start in steps
        ]
        return of_train, np.concatenate(of_test)

    return vectors


METHODS: dict[str, Callable[[Pictures, Pictures], Pair]] = {
    "raw": raw,
    "histogram": histogram,
    "published": published,
    "patches": embedded(EmbedderPatches()),
    "patches, 128 dimensions": embedded(EmbedderPatches(n_dimensions=128)),
    "patches, side 64": embedded(EmbedderPatches(side=64)),
}
"""A row of the table each; add a function of the training and the test images."""


def evaluate(train_vectors: Vectors, test_vectors: Vectors, train: Pictures, test: Pictures) -> tuple[float, float]:
    """Accuracy with plain and with weighted votes."""
    known, asked = (v / np.maximum(np.linalg.norm(v, axis=1, keepdims=True), 1e-12) for v in (train_vectors, test_vectors))
    right = np.zeros(2)
    for start in range(0, len(asked), 500):
        similar = asked[start : start + 500] @ known.T
        nearest = np.argpartition(-similar, _N_NEIGHBOURS, axis=1)[:, :_N_NEIGHBOURS]
        is_of = np.eye(10)[train.labels[nearest]]
        weights = np.exp(np.take_along_axis(similar, nearest, axis=1) / _TEMPERATURE)[..., None]
        truth = test.labels[start : start + 500]
        right += [(votes.sum(axis=1).argmax(axis=1) == truth).sum() for votes in (is_of, is_of * weights)]
    return float(right[0] / len(asked)), float(right[1] / len(asked))


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=list(METHODS))
    names = parser.parse_args().methods
    train, test = load()
    print(f"\n## 20 nearest neighbours, CIFAR-10, {len(train):,} images and {len(test):,} asked\n\n{machine()}\n")
    print("| vectors | dimensions | plain votes | weighted votes | wall s | CPU s |\n| --- | --- | --- | --- | --- | --- |")
    for name in names:
        wall, cpu = time.perf_counter(), time.process_time()
        vectors = METHODS[name](train, test)
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
        plain, weighted = evaluate(*vectors, train, test)
        row = f"{name} | {vectors[0].shape[1]} | {plain:.3f} | {weighted:.3f} | {wall:.1f} | {cpu:.1f}"
        print(f"| {row} |", flush=True)


if __name__ == "__main__":
    main()
