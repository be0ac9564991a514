"""The walk on this machine: one shard, its threads, and the picks among candidates."""

from __future__ import annotations

import numpy as np

from ..distances import Distances, Rows
from ..pool import Vectors
from .shard import Candidates, Frame, Numbers, Outlook, Shard


class LocalCrew:
    """One shard that holds the whole pool."""

    def __init__(self, shard: Shard) -> None:
        self.shard = shard

    @property
    def n_rows(self) -> int:
        """Rows of the pool."""
        return len(self.shard.squared)

    def farthest(self, point: Distances, boost: Distances | None = None) -> tuple[float, int, float]:
        """As the shard."""
        return self.shard.farthest(point, boost)

    def points(self, rows: Rows) -> Vectors:
        """`(m, d)` vectors of rows of the pool."""
        return np.ascontiguousarray(self.shard.vectors[rows])

    def step(
        self, points: Vectors, picked: Rows, least: float | None, n_sampled: int, boost: Distances | None
    ) -> tuple[Candidates | None, Outlook]:
        """Take in new centers, look for candidates, look ahead."""
        self.shard.add(points, picked)
        candidates = None if least is None else self.shard.candidates(least, boost)
        return candidates, self.shard.outlook(n_sampled, boost)

    def first_open(self, limit: int) -> Candidates:
        """As the shard."""
        return self.shard.first_open(limit)

    def probe(self, n_sampled: int) -> Distances:
        """As the shard."""
        return self.shard.probe(n_sampled)

    def note(self, rows: Rows, squared: Distances, nearest: Numbers, seen: Numbers) -> None:
        """As the shard."""
        self.shard.note(rows, squared, nearest, seen)


def frame_of(vectors: Vectors, n_axes: int = 31) -> Frame:
    """The middle of about 1,024 rows, and the principal axes of about 2,048. Time O(d) to O(d**2)."""
    n, n_dimensions = vectors.shape
    sample = np.asarray(vectors[:: max(1, n // 2048)][:2048], dtype=np.float64)
    middle = np.median(sample[::2], axis=0)
    largest = float(np.abs(sample - middle).max(initial=0.0))
    around = ((sample - middle) / (largest or 1.0)).astype(np.float32)
    n_axes = min(n_axes, n_dimensions)
    guess = np.random.default_rng(0).standard_normal((n_dimensions, min(n_dimensions, n_axes + 9)), dtype=np.float32)
    for _ in range(2):
        guess = np.linalg.qr(around.T @ (around @ guess))[0]
    turned = np.linalg.svd(around @ guess, full_matrices=False)[2]
    axes = np.linalg.qr((guess @ turned.T)[:, :n_axes].astype(np.float64))[0]
    return Frame(middle, np.ascontiguousarray(axes, dtype=np.float32))
