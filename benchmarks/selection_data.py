"""Vectors of many kinds to select from, each the same whenever it is made."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt

Vectors = npt.NDArray[np.float32]
Rng = np.random.Generator

_REAL = Path(__file__).resolve().parents[2] / "shared" / "data" / "emb_cifar10_kmeans128.npz"


class NotHere(Exception):
    """A kind of data that cannot be made here, with the reason."""


def make(kind: str, n: int, d: int, *, seed: int = 0) -> Vectors:
    """`(n, d)` float32 of a kind; real data may have fewer rows. Time and memory O(n d).

    Raises:
        NotHere: The kind needs a file that is not there, or cannot have that many dimensions.
    """
    vectors = KINDS[kind](np.random.default_rng(seed), n, d)
    return np.ascontiguousarray(vectors, dtype=np.float32)


def make_scores(n: int, *, seed: int = 0) -> npt.NDArray[np.float64]:
    """`(n,)` uniform scores in [0, 1)."""
    return np.random.default_rng([seed, 1]).random(n)


def clusters(rng: Rng, n: int, d: int) -> Vectors:
    """100 Gaussians of unit variance, their centers three times as spread."""
    centers = 3 * rng.standard_normal((100, d), dtype=np.float32)
    vectors = centers[rng.integers(0, 100, n)]
    vectors += rng.standard_normal((n, d), dtype=np.float32)
    return vectors


def isotropic(rng: Rng, n: int, d: int) -> Vectors:
    """One Gaussian, all directions alike."""
    return rng.standard_normal((n, d), dtype=np.float32)


def sphere(rng: Rng, n: int, d: int) -> Vectors:
    """Uniform on the unit sphere: nearly all pairs are equally far apart, and bounds rule out little."""
    vectors = isotropic(rng, n, d)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors


def power(rng: Rng, n: int, d: int) -> Vectors:
    """A Gaussian whose j-th direction has deviation 1 / j, in a rotated basis, as features of images have."""
    rotation = np.linalg.qr(rng.standard_normal((d, d)))[0].astype(np.float32)
    vectors = isotropic(rng, n, d)
    vectors /= np.arange(1, d + 1, dtype=np.float32)
    return vectors @ rotation


def manifold(rng: Rng, n: int, d: int) -> Vectors:
    """Smooth waves of 8 hidden coordinates in d dimensions, with a little noise."""
    hidden = rng.uniform(-1, 1, (n, 8)).astype(np.float32)
    waves = rng.standard_normal((8, d), dtype=np.float32)
    vectors: Vectors = np.sin(2 * hidden @ waves + rng.uniform(0, 2 * np.pi, d).astype(np.float32))
    vectors += 0.01 * rng.standard_normal((n, d), dtype=np.float32)
    return vectors


def outliers(rng: Rng, n: int, d: int) -> Vectors:
    """The clusters, with one row in a hundred sent far off, each in a direction of its own."""
    vectors = clusters(rng, n, d)
    far = rng.choice(n, max(1, n // 100), replace=False)
    vectors[far] = 10 * rng.standard_normal((len(far), d), dtype=np.float32)
    return vectors


def onehot(rng: Rng, n: int, d: int) -> Vectors:
    """At most 512 distinct rows, all at the same distance: ties everywhere, and duplicates."""
    vectors = np.zeros((n, d), dtype=np.float32)
    vectors[np.arange(n), rng.integers(0, min(512, d), n)] = 1
    return vectors


def cifar(rng: Rng, n: int, d: int) -> Vectors:
    """Features of the 50,000 training images of CIFAR-10, in a shuffled order: real ones, with 128 dimensions."""
    if not _REAL.exists():
        raise NotHere(f"{_REAL.name} is not in {_REAL.parent.parent.name}/{_REAL.parent.name}")
    with np.load(_REAL) as arrays:
        vectors = arrays["train"]
    if vectors.shape[1] != d:
        raise NotHere(f"it has {vectors.shape[1]} dimensions, not {d}")
    return np.asarray(vectors[rng.permutation(len(vectors))[:n]], dtype=np.float32)


KINDS: dict[str, Callable[[Rng, int, int], Vectors]] = {
    kind.__name__: kind for kind in (clusters, isotropic, sphere, power, manifold, outliers, onehot, cifar)
}
