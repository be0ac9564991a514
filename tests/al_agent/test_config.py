"""What a round may be asked for."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from al_agent import SamplerConfig, SamplingMethod
from samplers import AtMost, Balance, Budget, Diversity, LocalEngine, SamplerCoreset, SamplerProbCover, Weight


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


def test_strategies_survive_json_and_mean_the_joint_method() -> None:
    strategies = [
        Diversity(strength=2.0),
        Weight("blur", strength=-1.0),
        Balance("sky", {"blue": 0.5, "grey": 0.5}),
        Budget(9.0),
    ]
    config = SamplerConfig(strategies=strategies)
    assert config.method is SamplingMethod.JOINT
    assert SamplerConfig(**json.loads(json.dumps(config.to_dict()))) == config
    assert config.count(1_000) == 1_000  # as many as the budget pays for
    assert SamplerConfig(7, strategies=strategies).count(1_000) == 7


def test_every_method_makes_its_sampler_with_its_own_options() -> None:
    for method in SamplingMethod:
        assert SamplerConfig(method=method).sampler().method == method.value
    sampler = SamplerConfig(method="probcover", metric="cosine", options={"delta": 0.25}).sampler()
    assert sampler == SamplerProbCover(delta=0.25, metric="cosine")


def test_an_engine_is_noted_by_name_alone() -> None:
    config = SamplerConfig(engine=LocalEngine("numpy"))
    assert config.sampler() == SamplerCoreset(engine=LocalEngine("numpy"))
    assert config.to_dict()["engine"] == "local"
    assert SamplerConfig(device="cpu").sampler() == SamplerCoreset(engine=LocalEngine(device="cpu"))


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
    ({"method": "KMEANS"}, r"unknown sampling method 'KMEANS'; expected one of AUTO, RANDOM, UNCERTAINTY"),
    ({"method": 3}, r"unknown sampling method 3"),
    ({"metric": "manhattan"}, r"metric is 'manhattan'; expected one of euclidean, cosine"),
    ({"min_distance": -1.0}, r"min_distance is -1.0"),
    ({"min_distance": float("nan")}, r"min_distance is nan"),
    ({"min_distance": 1.0, "method": "RANDOM"}, r"min_distance is given, and RANDOM does not use it.*CORESET, CORAL"),
    ({"score_strength": 2.0}, r"score_strength is given, and CORESET does not use it.*CORAL"),
    ({"score_strength": -1.0, "method": "CORAL"}, r"score_strength is -1.0"),
    ({"score_strength": 0.0, "distance_strength": 0.0, "method": "CORAL"}, r"both 0"),
    ({"batch_size": 0, "method": "BATCH_UNCERTAINTY"}, r"batch_size is 0"),
    ({"batch_aggregate": "max", "method": "BATCH_UNCERTAINTY"}, r"aggregate is 'max'"),
    ({"metric": "cosine", "method": "RANDOM"}, r"metric is given, and RANDOM does not use it"),
    ({"batch_size": 5}, r"batch_size is given, and CORESET does not use it.*BATCH_UNCERTAINTY"),
    ({"ignore_sparsest": 1.0}, r"ignore_sparsest is 1.0; expected a share from 0 to below 1"),
    ({"ignore_sparsest": 0.1, "method": "TYPICLUST"}, r"ignore_sparsest is given, and TYPICLUST does not use it"),
    ({"options": {"delta": 1.0}}, r"CORESET has no option 'delta' of its own; it has none"),
    ({"options": {"delta": -1.0}, "method": "PROBCOVER"}, r"delta is -1.0"),
    ({"options": {"metric": "cosine"}, "method": "PROBCOVER"}, r"no option 'metric' of its own; it has 'delta'"),
    ({"options": 3}, r"options is 3"),
    ({"strategies": Diversity()}, r"strategies is Diversity.*expected a list"),
    ({"strategies": [{"kind": "magic"}]}, r"strategy is \{'kind': 'magic'\}; expected one of Diversity"),
    ({"strategies": [AtMost(3, "video")]}, r"strategies have no objective"),
    ({"strategies": [Diversity()], "method": "RANDOM"}, r"strategies is given, and RANDOM does not use it.*JOINT"),
    ({"engine": "spark"}, r"engine is 'spark'; expected 'local', 'ray'"),
    ({"engine": "ray", "device": "cuda"}, r"device is given with engine='ray'"),
    ({"device": "cuda", "method": "RANDOM"}, r"device is given, and RANDOM does not use it"),
    ({"seed": -1}, r"seed is -1"),
    ({"seed": 0.5}, r"seed is 0.5"),
    ({"seed": None}, r"seed is None"),
    ({"name": " "}, r"name is ' '"),
]


@pytest.mark.parametrize(("options", "message"), WRONG, ids=[str(options) for options, _ in WRONG])
def test_wrong_options_are_named(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        SamplerConfig(**options)
