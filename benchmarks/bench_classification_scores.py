"""Scores of 1,000,000 x 100 float32 probabilities, beside the formulas as one writes them in numpy and scipy."""

from __future__ import annotations

import numpy as np
import scipy.stats  # type: ignore[import-untyped]
from measure import measure, print_table

from scorers import ClassificationPredictions, ScorerClassification

N, C = 1_000_000, 100


def main() -> None:
    rng = np.random.default_rng(0)
    probabilities = rng.random((N, C), dtype=np.float32)
    probabilities /= probabilities.sum(axis=1, keepdims=True)
    ids = tuple(f"img_{number:07d}.jpg" for number in range(N))

    def ours() -> None:
        ScorerClassification(ClassificationPredictions(ids, probabilities)).scores()

    def by_hand() -> None:
        ordered = np.sort(probabilities, axis=1)
        _ = 1 - ordered[:, -1]
        _ = 1 - (ordered[:, -1] - ordered[:, -2])
        _ = scipy.stats.entropy(probabilities, axis=1)

    print_table(
        f"Three scores of {N:,} x {C} float32 probabilities, {probabilities.nbytes / 1e6:.0f} MB",
        [
            measure("al-agent: check everything, score", ours, note="beyond the input"),
            measure("numpy sort and scipy entropy, unchecked", by_hand, n_runs=1, note="beyond the input"),
        ],
    )


if __name__ == "__main__":
    main()
