"""What a round may be asked for."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from al_agent import SamplerConfig, SamplingMethod


@pytest.mark.parametrize("name", ["coral", "CORAL", "Coral", SamplingMethod.CORAL])
def test_a_method_is_a_member_or_its_name_in_any_case(name: str) -> None:
    assert SamplerConfig(method=name).method is SamplingMethod.CORAL


def test_active_learning_is_another_name_of_uncertainty() -> None:
    assert SamplingMethod["ACTIVE_LEARNING"] is SamplingMethod.UNCERTAINTY
    assert SamplerConfig(method="active_learning").method is SamplingMethod.UNCERTAINTY


def test_the_defaults_are_those_that_users_know() -> None:
    config = SamplerConfig()
    assert (config.n_samples, config.method, config.metric, config.seed) == (32, SamplingMethod.CORESET, "euclidean", 0)


@pytest.mark.parametrize(
    ("proportion", "n_unlabeled", "expected"), [(0.1, 1000, 100), (0.1, 4, 1), (1.0, 7, 7), (0.5, 5, 3), (0.25, 10, 3)]
)
def test_a_proportion_is_rounded_to_the_nearest_and_at_least_one(proportion: float, n_unlabeled: int, expected: int) -> None:
    assert SamplerConfig(proportion=proportion).count(n_unlabeled) == expected


def test_numpy_integers_are_whole_numbers() -> None:
    config = SamplerConfig(np.int64(5), seed=np.int32(3))  # type: ignore[arg-type]
    assert (config.n_samples, config.seed, type(config.n_samples), type(config.seed)) == (5, 3, int, int)


def test_a_configuration_survives_its_plain_values() -> None:
    config = SamplerConfig(7, method="CORAL", score="s", metric="cosine", score_strength=2.0, seed=9, name="mine")
    assert SamplerConfig(**config.to_dict()) == config


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"n_samples": 0}, r"n_samples is 0; expected a whole number of at least 1"),
    ({"n_samples": -5}, r"n_samples is -5"),
    ({"n_samples": 0.5}, r"n_samples is 0.5.*use proportion=0.5"),
    ({"n_samples": 10.0}, r"n_samples is 10.0"),
    ({"n_samples": True}, r"n_samples is True"),
    ({"n_samples": "10"}, r"n_samples is '10'"),
    ({"n_samples": None}, r"n_samples is None"),
    ({"proportion": 0.0}, r"proportion is 0.0"),
    ({"proportion": 1.5}, r"proportion is 1.5"),
    ({"proportion": float("nan")}, r"proportion is nan"),
    ({"proportion": 0.5, "n_samples": 7}, r"both given"),
    ({"method": "KMEANS"}, r"unknown sampling method 'KMEANS'; expected one of RANDOM, UNCERTAINTY"),
    ({"method": 3}, r"unknown sampling method 3"),
    ({"metric": "manhattan"}, r"metric is 'manhattan'; expected one of euclidean, cosine"),
    ({"min_distance": -1.0}, r"min_distance is -1.0"),
    ({"min_distance": float("nan")}, r"min_distance is nan"),
    ({"min_distance": 1.0, "method": "RANDOM"}, r"RANDOM knows no distance"),
    ({"score_strength": 2.0}, r"CORESET has none"),
    ({"score_strength": -1.0, "method": "CORAL"}, r"score_strength is -1.0"),
    ({"score_strength": 0.0, "distance_strength": 0.0, "method": "CORAL"}, r"both 0"),
    ({"batch_size": 0, "method": "BATCH_UNCERTAINTY"}, r"batch_size is 0"),
    ({"batch_aggregate": "max", "method": "BATCH_UNCERTAINTY"}, r"aggregate is 'max'"),
    ({"seed": -1}, r"seed is -1"),
    ({"seed": 0.5}, r"seed is 0.5"),
    ({"seed": None}, r"seed is None"),
    ({"name": " "}, r"name is ' '"),
]


@pytest.mark.parametrize(("options", "message"), WRONG, ids=[str(options) for options, _ in WRONG])
def test_wrong_options_are_named(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        SamplerConfig(**options)
