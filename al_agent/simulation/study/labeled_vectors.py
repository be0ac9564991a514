"""Data with hidden labels from labels and the embeddings of the same items, and the model that learns from them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ...embedding import Embeddings
from ..hidden import HiddenLabels
from .split import held_out

Vector = npt.NDArray[np.floating[Any]]


def hide_labels(
    label_of: Mapping[str, str],
    embeddings: Embeddings,
    *,
    test_share: float,
    seed: int = 0,
    stratified: bool | None = None,
) -> HiddenLabels:
    """A pool and a test set of all labeled items, split at random; classes are numbered in the order of their names.

    A stratified split holds out of each class its share, so that rare ones are on both sides; see `split.held_out`.

    Args:
        label_of: Item to class.
        embeddings: Of these items at least; those of others are left out.
        test_share: Share of the items to test on, in `(0, 1)`.
        seed: Of the split.
        stratified: Whether the split is; by default where every class has two items or more, and both sides have room for
            one of each.

    Raises:
        ValueError: An item without an embedding, a single class, a share that leaves one side empty, or a stratified split
            that cannot be.

    Examples:
        >>> data = hide_labels({"a": "cat", "b": "dog"}, Embeddings(["b", "a"], [[1.0], [0.0]]), test_share=0.5)
        >>> data.item_ids, data.features.tolist(), data.labels.tolist()
        (('b',), [[1.0]], [1])
    """
    ids = sorted(label_of)
    classes = sorted(set(label_of.values()))
    if len(classes) < 2:
        raise ValueError(f"all {len(ids):,} items are of the class {classes[0]!r}; expected two classes or more")
    vectors = embeddings.subset(ids).vectors.astype(np.float64)
    number_of = {name: number for number, name in enumerate(classes)}
    labels = np.array([number_of[label_of[item_id]] for item_id in ids], dtype=np.int64)
    is_test = held_out([label_of[item_id] for item_id in ids], test_share, seed=seed, stratified=stratified)
    pool = tuple(item_id for item_id, is_held_out in zip(ids, is_test.tolist()) if not is_held_out)
    return HiddenLabels(pool, vectors[~is_test], labels[~is_test], vectors[is_test], labels[is_test])


@dataclass(frozen=True, eq=False)
class Scale:
    """Vectors in units of the deviation from the mean of a whole pool, which takes no label.

    Args:
        mean: `(d,)` of the pool.
        deviation: `(d,)` standard deviations; 1 where nothing varies.
    """

    mean: Vector
    deviation: Vector

    @classmethod
    def of(cls, pool: Vector) -> Scale:
        """With the mean and the deviation of `(n, d)` vectors."""
        deviation = pool.std(axis=0)
        return cls(pool.mean(axis=0), np.where(deviation > 0, deviation, 1))

    def __call__(self, x: Vector) -> Vector:
        """`(k, d)` standardized."""
        return np.asarray((x - self.mean) / self.deviation)


@dataclass(frozen=True, eq=False)
class LogisticTrainer:
    """Logistic regression on vectors standardized by the whole pool.

    Args:
        scale: Of the pool.
        strength: C of scikit-learn, the weight of the labels against the prior that weights are small.
    """

    scale: Scale
    strength: float = 1.0

    def __repr__(self) -> str:
        return f"logistic regression on standardized vectors, C={self.strength:g}"

    def __call__(self, features: Vector, labels: npt.NDArray[np.int64], seed: int) -> LogisticModel:
        """Train, with nothing random in it; with labels of one class alone, the model always says that one."""
        from sklearn.dummy import DummyClassifier  # loads scikit-learn, which takes a second  # noqa: PLC0415
        from sklearn.linear_model import LogisticRegression  # noqa: PLC0415

        has_classes = len(np.unique(labels)) > 1
        logistic = LogisticRegression(C=self.strength, max_iter=5_000, tol=1e-3)
        inner = logistic if has_classes else DummyClassifier(strategy="most_frequent")
        return LogisticModel(self.scale, inner.fit(self.scale(features), labels))


class LogisticModel:
    """A trained one; `classes_` names the columns of its probabilities."""

    def __init__(self, scale: Scale, inner: Any) -> None:
        self._scale, self._inner = scale, inner
        self.classes_: npt.NDArray[np.int64] = np.asarray(inner.classes_)

    def predict_proba(self, x: Vector) -> npt.NDArray[np.float64]:
        """`(n, c)` of the classes seen."""
        return np.asarray(self._inner.predict_proba(self._scale(x)))

    def score(self, x: Vector, y: npt.NDArray[np.int64]) -> float:
        """Accuracy."""
        return float(self._inner.score(self._scale(x), y))
