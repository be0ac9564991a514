"""Scores of a stream of 1024 x 512 x 19 float32 probability maps in files, beside numpy reading the same files once."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
from measure import Row, measure, print_table

from scorers import ScorerSemanticSegmentation, SegmentationPredictions

N_MAPS = 50
HEIGHT, WIDTH, N_CLASSES = 512, 1024, 19


def write_maps(folder: Path, *, class_axis: int) -> list[Path]:
    """N_MAPS files, each of the same probabilities shifted by some rows: as many bytes, made in seconds."""
    logits = np.random.default_rng(0).normal(scale=3, size=(HEIGHT, WIDTH, N_CLASSES)).astype(np.float32)
    values = np.exp(logits - logits.max(axis=-1, keepdims=True))
    values /= values.sum(axis=-1, keepdims=True)
    paths = [folder / f"{class_axis}_{number:03d}.npy" for number in range(N_MAPS)]
    for number, path in enumerate(paths):
        np.save(path, np.ascontiguousarray(np.moveaxis(np.roll(values, number, axis=0), -1, class_axis)))
    os.sync()
    return paths


def forget(paths: Sequence[Path]) -> None:
    """Ask the system to drop the files from its cache."""
    for path in paths:
        with path.open("rb") as file:
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def read_once(paths: Sequence[Path]) -> None:
    for path in paths:
        np.load(path).sum()


def score(
    paths: Sequence[Path],
    *,
    class_axis: int = -1,
    is_mapped: bool = True,
    aggregations: tuple[str, ...] = (),
    threads: int = 2,
) -> None:
    def pairs() -> Iterator[tuple[str, npt.NDArray[np.float32]]]:
        for path in paths:
            yield path.name, np.load(path, mmap_mode="r" if is_mapped else None)

    stream = SegmentationPredictions.stream(pairs(), class_axis=class_axis)
    ScorerSemanticSegmentation(stream, aggregations=aggregations, n_threads=threads).scores()


def cold(what: str, work: Callable[[], object], paths: Sequence[Path]) -> Row:
    def forget_and_work() -> None:
        forget(paths)
        work()

    return measure(what, forget_and_work, note="the system's cache dropped before")


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        last, first = (write_maps(Path(name), class_axis=axis) for axis in (-1, 0))
        aggregations = ("max", "top10_percent_mean", "region32_max")
        print_table(
            f"Three scores of {N_MAPS} maps {HEIGHT} x {WIDTH} x {N_CLASSES} float32 in .npy files, "
            f"{HEIGHT * WIDTH * N_CLASSES * 4 / 1e6:.0f} MB each, 2 threads",
            [
                measure("numpy: load every file, sum it", lambda: read_once(last)),
                measure("al-agent: np.load(mmap_mode='r'), check, score", lambda: score(last)),
                measure("the same, one thread", lambda: score(last, threads=1)),
                measure("al-agent: np.load, check, score", lambda: score(last, is_mapped=False)),
                measure("al-agent: classes first, np.load(mmap_mode='r')", lambda: score(first, class_axis=0)),
                measure("al-agent: classes first, np.load", lambda: score(first, class_axis=0, is_mapped=False)),
                measure("al-agent: with three aggregations", lambda: score(last, aggregations=aggregations)),
            ],
        )
        print_table(
            "The same, cold",
            [
                cold("numpy: load every file, sum it", lambda: read_once(last), last),
                cold("al-agent: np.load(mmap_mode='r'), check, score", lambda: score(last), last),
                cold("al-agent: np.load, check, score", lambda: score(last, is_mapped=False), last),
            ],
        )


if __name__ == "__main__":
    main()
