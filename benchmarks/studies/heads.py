"""Heads that learn classes from vectors: a logistic regression, and a committee of small networks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Vector = npt.NDArray[np.floating[Any]]
_Float32 = npt.NDArray[np.float32]
_Parameters = list[_Float32]

_N_MEMBERS, _WIDTH = 10, 64
_N_STEPS, _LEARNING_RATE, _DECAY = 60, 0.01, 1.0
_MEAN_RATE, _SQUARE_RATE = 0.1, 0.01  # Adam's 1 - beta, of which the second is large since there are few steps
_TINY = 1e-8


@dataclass(frozen=True, eq=False)
class _Scale:
    """Mean and deviation of the whole pool, which take no label."""

    mean: Vector
    deviation: Vector

    @classmethod
    def of(cls, pool: Vector) -> _Scale:
        deviation = pool.std(axis=0)
        return cls(pool.mean(axis=0), np.where(deviation > 0, deviation, 1))

    def __call__(self, x: Vector) -> Vector:
        return np.asarray((x - self.mean) / self.deviation)


class Linear:
    """Logistic regression on vectors standardized by the whole pool; with labels of one class, it always says that one.

    Args:
        pool: `(n, d)`.
        strength: C of scikit-learn, the weight of the labels against the prior that weights are small.
    """

    def __init__(self, pool: Vector, strength: float) -> None:
        self._scale, self._strength = _Scale.of(pool), strength

    def __repr__(self) -> str:
        return f"logistic regression on standardized vectors, C={self._strength:g}"

    def __call__(self, x: Vector, y: npt.NDArray[np.int64], seed: int) -> LinearModel:
        """Train; nothing in it is random."""
        from sklearn.dummy import DummyClassifier  # noqa: PLC0415  # loads scikit-learn, which takes a second
        from sklearn.linear_model import LogisticRegression  # noqa: PLC0415

        inner = LogisticRegression(C=self._strength, max_iter=5_000, tol=1e-3)
        if len(np.unique(y)) < 2:
            inner = DummyClassifier(strategy="most_frequent")
        return LinearModel(self._scale, inner.fit(self._scale(x), y))


class LinearModel:
    """A trained one; `classes_` names the columns of its probabilities."""

    def __init__(self, scale: _Scale, inner: Any) -> None:
        self._scale, self._inner = scale, inner
        self.classes_: npt.NDArray[np.int64] = inner.classes_

    def predict_proba(self, x: Vector) -> npt.NDArray[np.float64]:
        """`(n, c)` of the classes seen."""
        return np.asarray(self._inner.predict_proba(self._scale(x)))

    def score(self, x: Vector, y: npt.NDArray[np.int64]) -> float:
        """Accuracy."""
        return float(self._inner.score(self._scale(x), y))


class Mlp:
    """A committee of networks with one hidden layer, which differ in the weights that they began with.

    All learn from all labels, by 60 steps of AdamW on all of them at once. Members of a kind that learn from resampled
    labels instead disagree more, and their mean is less accurate.

    Args:
        pool: `(n, d)`, which vectors are standardized by.
        n_classes: Column j of the probabilities is class j, seen or not.

    References:
        B. Lakshminarayanan, A. Pritzel and C. Blundell, Simple and Scalable Predictive Uncertainty Estimation using Deep
        Ensembles, 2017, arXiv:1612.01474. I. Loshchilov and F. Hutter, 2019, arXiv:1711.05101.
    """

    def __init__(self, pool: Vector, n_classes: int) -> None:
        self._scale, self._n_classes = _Scale.of(pool), n_classes

    def __repr__(self) -> str:
        return (
            f"{_N_MEMBERS} networks of {_WIDTH} hidden units, {_N_STEPS} steps of AdamW, rate {_LEARNING_RATE:g}, "
            f"decay {_DECAY:g}"
        )

    def __call__(self, x: Vector, y: npt.NDArray[np.int64], seed: int) -> MlpModel:
        """Train all members at once, in float32. Time O(steps t k d h)."""
        rng = np.random.default_rng(seed)
        inputs = self._scale(x).astype(np.float32)
        truth = np.eye(self._n_classes, dtype=np.float32)[y]
        parameters = _beginning(rng, inputs.shape[1], self._n_classes)
        means, squares = ([np.zeros_like(one) for one in parameters] for _ in range(2))
        for step in range(1, _N_STEPS + 1):
            for place, slope in enumerate(gradients(parameters, inputs, truth)):
                means[place] += _MEAN_RATE * (slope - means[place])
                squares[place] += _SQUARE_RATE * (slope**2 - squares[place])
                mean = means[place] / (1 - (1 - _MEAN_RATE) ** step)
                square = squares[place] / (1 - (1 - _SQUARE_RATE) ** step)
                is_weight = place % 2 == 0
                parameters[place] *= 1 - _LEARNING_RATE * _DECAY * is_weight
                parameters[place] -= _LEARNING_RATE * mean / (np.sqrt(square) + _TINY)
        return MlpModel(self._scale, parameters)


class MlpModel:
    """A trained committee."""

    def __init__(self, scale: _Scale, parameters: _Parameters) -> None:
        self._scale, self._parameters = scale, parameters

    def predict_proba(self, x: Vector) -> npt.NDArray[np.float64]:
        """`(n, t, c)` of t members."""
        _, probabilities = _forward(self._parameters, self._scale(x).astype(np.float32))
        return probabilities.transpose(1, 0, 2).astype(np.float64)

    def score(self, x: Vector, y: npt.NDArray[np.int64]) -> float:
        """Accuracy of the members' mean."""
        return float((self.predict_proba(x).mean(axis=1).argmax(axis=1) == y).mean())


def _beginning(rng: np.random.Generator, n_inputs: int, n_classes: int) -> _Parameters:
    """Weights and biases of both layers, each `(t, ...)`."""
    first = rng.normal(0, np.sqrt(2 / n_inputs), (_N_MEMBERS, n_inputs, _WIDTH))
    second = rng.normal(0, np.sqrt(1 / _WIDTH), (_N_MEMBERS, _WIDTH, n_classes))
    biases = (np.zeros((_N_MEMBERS, 1, _WIDTH)), np.zeros((_N_MEMBERS, 1, n_classes)))
    return [one.astype(np.float32) for one in (first, biases[0], second, biases[1])]


def _forward(parameters: _Parameters, x: _Float32) -> tuple[_Float32, _Float32]:
    """`(t, n, h)` hidden units and `(t, n, c)` probabilities."""
    first, first_bias, second, second_bias = parameters
    hidden = np.maximum(x @ first + first_bias, 0)
    logits = hidden @ second + second_bias
    powers = np.exp(logits - logits.max(axis=2, keepdims=True))
    return hidden, powers / powers.sum(axis=2, keepdims=True)


def gradients(parameters: _Parameters, x: _Float32, truth: _Float32) -> _Parameters:
    """Of each member's mean cross-entropy on `(k, d)` inputs whose `(k, c)` truth is one-hot."""
    hidden, probabilities = _forward(parameters, x)
    of_logits = (probabilities - truth) / np.float32(len(x))
    of_hidden = (of_logits @ parameters[2].transpose(0, 2, 1)) * (hidden > 0)
    layers = ((x.T @ of_hidden, of_hidden), (hidden.transpose(0, 2, 1) @ of_logits, of_logits))
    return [np.asarray(part) for weights, outputs in layers for part in (weights, outputs.sum(axis=1, keepdims=True))]
