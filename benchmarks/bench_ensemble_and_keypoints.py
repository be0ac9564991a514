"""Scores of a committee and of keypoints, and what reading heat maps takes."""

from __future__ import annotations

import numpy as np
from measure import measure, print_table

from scorers import EnsemblePredictions, KeypointPredictions, ScorerEnsemble, ScorerKeypointDetection

N, T, C = 100_000, 10, 10
N_IMAGES, M, K = 40_000, 100_000, 17
N_MAPS, H, W = 200, 64, 48


def committee() -> None:
    rng = np.random.default_rng(0)
    probabilities = rng.random((N, T, C), dtype=np.float32)
    probabilities /= probabilities.sum(axis=2, keepdims=True)
    ids = tuple(f"img_{number:07d}.jpg" for number in range(N))
    predictions = EnsemblePredictions(ids, probabilities)
    print_table(
        f"A committee: {N:,} items x {T} members x {C} classes, float32, {probabilities.nbytes / 1e6:.0f} MB",
        [
            measure("check every distribution", lambda: EnsemblePredictions(ids, probabilities), note="beyond the input"),
            measure("seven scores", lambda: ScorerEnsemble(predictions).scores(), note="beyond the input"),
        ],
    )


def keypoints() -> None:
    rng = np.random.default_rng(0)
    ids = tuple(f"img_{number:07d}.jpg" for number in range(N_IMAGES))
    offsets = np.sort(np.concatenate([[0], rng.integers(0, M, N_IMAGES - 1), [M]]))
    places, values = rng.random((M, K, 2), dtype=np.float32), rng.random((M, K), dtype=np.float32)
    mask = values > 0.1

    def check() -> KeypointPredictions:
        return KeypointPredictions(
            ids,
            places,
            values,
            offsets,
            is_predicted=mask,
            heatmap_entropy=values,
            peak_margin=values,
            keypoint_spread=values,
        )

    predictions = check()
    print_table(
        f"{M:,} instances x {K} keypoints in {N_IMAGES:,} images, float32",
        [
            measure("check", check, note="with the zeros for padding"),
            measure("eight scores", lambda: ScorerKeypointDetection(predictions, without_instances=0.0).scores()),
        ],
    )
    ys, xs = np.mgrid[:H, :W]
    centres = rng.random((N_MAPS, K, 2, 1, 1)) * np.array([W, H]).reshape(2, 1, 1)
    maps = np.exp(-((xs - centres[:, :, 0]) ** 2 + (ys - centres[:, :, 1]) ** 2) / 8)
    maps = (maps + 0.01 * rng.random(maps.shape)).astype(np.float32)
    print_table(
        f"Heat maps of {N_MAPS} instances x {K} keypoints x {H} x {W}, float32, {maps.nbytes / 1e6:.0f} MB",
        [measure("from_heatmaps", lambda: KeypointPredictions.from_heatmaps(["a"], maps, [0, N_MAPS]))],
    )


if __name__ == "__main__":
    committee()
    keypoints()
