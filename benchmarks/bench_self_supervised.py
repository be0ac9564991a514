"""Self-supervised learning on 16,000 images of CIFAR-10 without labels: how many of the 20 nearest have the class.

Time is processor time of one thread: `minutes` on two cores are twice as many processor minutes, whatever else the machine
does. Give the folder of `cifar10_20k.zip` and minutes; a stopped run goes on.
"""

from __future__ import annotations

import argparse
import io
import time
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image

from al_agent.embedding.embedder import Batch, Embedder, Fit
from al_agent.embedding.methods.self_supervised import EmbedderSelfSupervised

_K, _TEMPERATURE = 20, 0.07


class Pixels:
    """Images in memory, of the size that is asked for."""

    def __init__(self, pixels: npt.NDArray[np.uint8]) -> None:
        self.pixels = pixels
        self.item_ids = tuple(f"{row:05d}" for row in range(len(pixels)))

    def __len__(self) -> int:
        return len(self.pixels)

    def read(self, rows: Sequence[int], size: tuple[int, int], fit: Fit) -> Batch:
        """Rows of the array."""
        assert size == self.pixels.shape[1:3]
        return Batch(np.asarray(rows, dtype=np.int64), self.pixels[list(rows)])


def cifar10(path: Path) -> dict[str, npt.NDArray[Any]]:
    """Pixels and labels of 16,000 + 4,000 images, from contact sheets of 25 x 40 tiles."""
    with zipfile.ZipFile(path) as archive:
        labels = np.load(io.BytesIO(archive.read("labels.npz")), allow_pickle=False)
        found = {"y_train": labels["y_train"], "y_test": labels["y_test"]}
        for part, n_sheets in (("train", 16), ("test", 4)):
            sheets = [
                np.asarray(Image.open(io.BytesIO(archive.read(f"{part}_{number:02d}.webp"))).convert("RGB"))
                for number in range(n_sheets)
            ]
            tiles = [sheet.reshape(25, 32, 40, 32, 3).swapaxes(1, 2).reshape(-1, 32, 32, 3) for sheet in sheets]
            found[f"x_{part}"] = np.concatenate(tiles)
    return found


def embedded(embedder: Embedder, pixels: npt.NDArray[np.uint8]) -> npt.NDArray[np.floating[Any]]:
    """Vectors of length 1."""
    vectors = np.concatenate([embedder.embed(pixels[start : start + 500]) for start in range(0, len(pixels), 500)])
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True))


def nearest_votes(
    train: npt.NDArray[np.floating[Any]], y_train: npt.NDArray[Any], test: npt.NDArray[Any], y_test: npt.NDArray[Any]
) -> tuple[float, float]:
    """Share of test rows whose 20 nearest by cosine vote for their class: plain, and weighted by exp(cosine / 0.07)."""
    cosines = test @ train.T
    nearest = np.argpartition(-cosines, _K, axis=1)[:, :_K]
    is_class = y_train[nearest][..., None] == np.arange(10)
    weights = np.exp(np.take_along_axis(cosines, nearest, axis=1) / _TEMPERATURE)[..., None]
    shares = [float(np.mean((is_class * weight).sum(1).argmax(1) == y_test)) for weight in (np.ones_like(weights), weights)]
    return shares[0], shares[1]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path, help="folder of cifar10_20k.zip")
    parser.add_argument("checkpoint", type=Path, help="where the training is kept")
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    torch.set_num_threads(1)
    data = cifar10(options.data / "cifar10_20k.zip")
    embedder = EmbedderSelfSupervised(options.checkpoint, minutes=options.minutes, size=(32, 32), seed=options.seed)
    embedder.clock = lambda: time.process_time() / 2
    wall_s, cpu_s = time.perf_counter(), time.process_time()
    embedder.fit(Pixels(data["x_train"]))
    wall_s, cpu_s = time.perf_counter() - wall_s, time.process_time() - cpu_s
    train, test = embedded(embedder, data["x_train"]), embedded(embedder, data["x_test"])
    plain, weighted = nearest_votes(train, data["y_train"], test, data["y_test"])
    last = embedder.history[-1]
    print("| epochs | CPU s | wall s | loss | consistency | 20-NN, plain votes | weighted votes |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    print(
        f"| {len(embedder.history)} | {cpu_s:.0f} | {wall_s:.0f} | {last.loss:.3f} | {last.consistency:.3f} | {plain:.3f} "
        f"| {weighted:.3f} |"
    )


if __name__ == "__main__":
    main()
