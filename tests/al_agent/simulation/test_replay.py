"""Replays are fair: what is compared differs in nothing but the method."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from al_agent.simulation.digits import load_digits
from al_agent.simulation.hidden import HiddenLabels
from al_agent.simulation.replay import LearningCurves, replay

N = 40


class Memory:
    """A classifier that remembers what it was trained on."""

    trained_on: ClassVar[list[list[float]]] = []
    classes_: npt.NDArray[np.int64] = np.arange(2)
    seen: list[float]

    def fit(self, x: npt.NDArray[np.float64], y: npt.NDArray[np.int64]) -> Any:
        self.seen = sorted(x[:, 0].tolist())
        Memory.trained_on.append(self.seen)
        assert (y == (x[:, 0] >= N / 2)).all()  # the label of each item is its own

    def predict_proba(self, x: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        certainty = 0.5 + x[:, :1] / (4 * N)  # the lowest features are the least certain
        return np.concatenate([certainty, 1 - certainty], axis=1)

    def score(self, x: npt.NDArray[np.float64], y: npt.NDArray[np.int64]) -> float:
        return sum(feature < N / 2 for feature in self.seen) / N


def line() -> HiddenLabels:
    features = np.arange(N, dtype=float)[:, None]
    labels = (features[:, 0] >= N / 2).astype(np.int64)
    return HiddenLabels(tuple(f"item_{n:02d}" for n in range(N)), features, labels, features[:1] + 0.5, labels[:1])


def run(methods: list[str], n_seeds: int) -> LearningCurves:
    Memory.trained_on = []
    return replay(line(), Memory, methods=methods, n_seeds=n_seeds, n_rounds=3, n_initial=4, n_per_round=5)


def test_every_round_adds_distinct_items_and_all_methods_share_the_start_of_a_seed() -> None:
    curves = run(["UNCERTAINTY", "RANDOM"], n_seeds=2)
    assert curves.n_labeled.tolist() == [4, 9, 14, 19]
    assert curves.accuracy.shape == (2, 2, 4)
    sizes = [len(set(seen)) for seen in Memory.trained_on]
    assert sizes == [4, 9, 14, 19] * 4
    starts = [Memory.trained_on[run_number * 4] for run_number in range(4)]  # seed 0: two methods; seed 1: two methods
    assert starts[0] == starts[1]
    assert starts[2] == starts[3]
    assert starts[0] != starts[2]


def test_uncertainty_asks_for_the_least_certain_items_first() -> None:
    run(["UNCERTAINTY"], n_seeds=1)
    start, after = Memory.trained_on[0], Memory.trained_on[1]
    expected = [x for x in range(N) if float(x) not in start][:5]
    assert sorted(set(after) - set(start)) == expected


def test_random_draws_differ_between_seeds_and_a_replay_repeats_itself() -> None:
    first = run(["RANDOM"], n_seeds=2)
    order = [tuple(seen) for seen in Memory.trained_on]
    assert order[1] != order[5]
    assert (run(["RANDOM"], n_seeds=2).accuracy == first.accuracy).all()
    assert [tuple(seen) for seen in Memory.trained_on] == order


def test_mean_and_standard_error_are_over_the_seeds() -> None:
    curves = LearningCurves(("A",), np.array([1, 2]), np.array([[[0.0, 0.5], [1.0, 0.5]]]))
    assert curves.mean().tolist() == [[0.5, 0.5]]
    assert np.allclose(curves.standard_error(), [[0.5, 0.0]])  # std 0.7071 / sqrt(2)
    assert LearningCurves(("A",), np.array([1]), np.array([[[0.3]]])).standard_error().tolist() == [[0.0]]


def test_the_digits_of_the_pool_and_the_test_set_are_all_digits_once() -> None:
    digits = load_digits()
    assert (len(digits.item_ids), len(digits.test_labels)) == (1300, 497)
    assert len(set(digits.item_ids)) == 1300
    assert np.bincount(np.concatenate([digits.labels, digits.test_labels])).tolist() == [
        178, 182, 177, 183, 181, 182, 181, 179, 174, 180,
    ]  # fmt: skip
    assert digits.features.min() == 0.0
    assert digits.features.max() == 1.0
