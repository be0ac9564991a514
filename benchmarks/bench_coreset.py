"""Exact k-center of 100,000 x 128, beside the loop that everybody writes."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from measure import measure, print_table

from samplers import Pool, SamplerCoral, SamplerCoreset

N, D, K = 100_000, 128, 1_000


def by_hand(vectors: npt.NDArray[np.float32]) -> list[int]:
    """Greedy k-center by expanded float32 distances: fast to write, and inexact far from the origin."""
    norms = np.einsum("ij,ij->i", vectors, vectors)
    picks = [int(((vectors - vectors.mean(axis=0)) ** 2).sum(axis=1).argmax())]
    nearest = np.full(len(vectors), np.inf, dtype=np.float32)
    for _ in range(K - 1):
        center = picks[-1]
        np.minimum(nearest, norms + norms[center] - 2 * (vectors @ vectors[center]), out=nearest)
        nearest[picks] = -1
        picks.append(int(nearest.argmax()))
    return picks


def main() -> None:
    rng = np.random.default_rng(0)
    centers = 3 * rng.standard_normal((100, D))
    vectors = (rng.standard_normal((N, D)) + centers[rng.integers(0, 100, N)]).astype(np.float32)
    ids = tuple(map(str, range(N)))
    pool = Pool(ids, vectors=vectors, scores=rng.random(N))
    is_labeled = np.arange(N) < 5_000
    seeded = Pool(ids, is_labeled, vectors=vectors)
    print_table(
        f"{K:,} picks from {N:,} x {D} float32 in 100 clusters",
        [
            measure("CORESET, exact", lambda: SamplerCoreset().select(pool, K)),
            measure("numpy by hand, inexact", lambda: by_hand(vectors)),
            measure("CORAL", lambda: SamplerCoral().select(pool, K)),
            measure("CORESET with 5,000 labeled items", lambda: SamplerCoreset().select(seeded, K), n_runs=1),
        ],
    )


if __name__ == "__main__":
    main()
