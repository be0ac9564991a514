"""A head that learns classes from vectors: a committee of small networks."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from al_agent.simulation.study.labeled_vectors import Scale

Vector = npt.NDArray[np.floating[Any]]
_Float32 = npt.NDArray[np.float32]
_Parameters = list[_Float32]

_N_MEMBERS, _WIDTH = 10, 64
_N_STEPS, _LEARNING_RATE, _DECAY = 60, 0.01, 1.0
_MEAN_RATE, _SQUARE_RATE = 0.1, 0.01  # Adam's 1 - beta, of which the second is large since there are few steps
_TINY = 1e-8


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
        self._scale, self._n_classes = Scale.of(pool), n_classes

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

    def __init__(self, scale: Scale, parameters: _Parameters) -> None:
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
