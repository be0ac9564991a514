"""Scores of 100,000 images x 20 boxes x 80 classes, beside one Python object for each box."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from measure import Row, measure, print_table

from scorers import DetectionPredictions, ScorerObjectDetection, Scores

N_IMAGES, N_BOXES, N_CLASSES = 100_000, 20, 80
N_OBJECT_IMAGES = 2_000  # the objects are measured on a part, and their time scaled up


@dataclass
class Box:
    """A box as SDKs of one object for each box keep it: plain Python numbers, checked at birth as our arrays are."""

    corners: list[float]
    score: float
    probabilities: list[float]

    def __post_init__(self) -> None:
        x0, y0, x1, y1 = self.corners
        if not (0 <= x0 <= x1 <= 1 and 0 <= y0 <= y1 <= 1):
            raise ValueError(f"corners {self.corners}")
        if not 0 <= self.score <= 1:
            raise ValueError(f"score {self.score}")
        if min(self.probabilities) < 0 or not abs(sum(self.probabilities) - 1) < 0.004:
            raise ValueError(f"probabilities {self.probabilities}")


def scores_of_objects(images: list[list[Box]]) -> list[tuple[float, ...]]:
    """The three maximum uncertainties, objectness, frequency and 1-vs-2 margins, image by image in numpy."""
    rows: list[tuple[float, ...]] = []
    for boxes in images:
        p = np.array([box.probabilities for box in boxes])
        ordered = np.sort(p, axis=1)
        least = (1 - ordered[:, -1]) / (1 - 1 / p.shape[1])
        margins = 1 - (ordered[:, -1] - ordered[:, -2])
        entropies = -np.sum(p * np.log2(np.maximum(p, 1e-300)), axis=1) / np.log2(p.shape[1])
        squares = margins**2
        objectness = 1 - np.mean([box.score for box in boxes])
        counts = np.unique(p.argmax(axis=1), return_counts=True)[1]
        frequency = np.sum(1 + (counts - 1) * 0.25)
        largest = (least.max(), margins.max(), entropies.max())
        rows.append((*largest, float(objectness), float(frequency), squares.sum(), squares.mean(), squares.max()))
    return rows


def main() -> None:
    rng = np.random.default_rng(0)
    n = N_IMAGES * N_BOXES
    probabilities = rng.random((n, N_CLASSES), dtype=np.float32) ** 8
    probabilities /= probabilities.sum(axis=1, keepdims=True)
    corners = np.sort(rng.random((n, 2, 2), dtype=np.float32), axis=1).reshape(n, 4)
    scores = probabilities.max(axis=1)
    labels = probabilities.argmax(axis=1)
    ids = [f"img_{number:06d}.jpg" for number in range(N_IMAGES)]
    offsets = np.arange(0, n + 1, N_BOXES)

    def ours(n_images: int = N_IMAGES) -> Scores:
        m = n_images * N_BOXES
        return ScorerObjectDetection(
            DetectionPredictions(
                ids[:n_images], corners[:m], scores[:m], labels[:m], offsets[: n_images + 1], probabilities[:m]
            )
        ).scores()

    def objects(n_images: int = N_OBJECT_IMAGES) -> list[tuple[float, ...]]:
        m = n_images * N_BOXES
        boxes = [Box(*values) for values in zip(corners[:m].tolist(), scores[:m].tolist(), probabilities[:m].tolist())]
        return scores_of_objects([boxes[start : start + N_BOXES] for start in range(0, m, N_BOXES)])

    names = ["uncertainty_least_confidence", "uncertainty_margin", "uncertainty_entropy", "objectness_least_confidence"]
    names += ["object_frequency", "one_vs_two_margin_sum", "one_vs_two_margin_mean", "one_vs_two_margin_max"]
    columns = ours(50).columns
    np.testing.assert_allclose(objects(50), np.stack([columns[name] for name in names], axis=1), rtol=1e-4)

    small = measure("", objects)
    scale = N_IMAGES / N_OBJECT_IMAGES
    note = f"{N_OBJECT_IMAGES:,} images measured, times {scale:.0f}"
    print_table(
        f"Detection scores of {N_IMAGES:,} images x {N_BOXES} boxes x {N_CLASSES} classes, arrays to scores, all checked",
        [
            measure("al-agent", ours),
            Row("one Python object for each box", small.wall_s * scale, small.cpu_s * scale, small.peak_mb * scale, note),
        ],
    )


if __name__ == "__main__":
    main()
