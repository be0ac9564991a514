"""DISCRIMINATIVE through the agent and its command: what is asked for, noted, pushed and said."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from al_agent import ActiveLearningAgent, Embeddings, PlatformLocal, SamplerConfig, SamplingMethod
from al_agent.cli import main
from samplers import SamplerDiscriminative

pytest.importorskip("torch")

NEAR = [f"near_{number:02d}.jpg" for number in range(30)]
FAR = [f"far_{number:02d}.jpg" for number in range(20)]
OPTIONS = {"n_sub_batches": 2, "candidate_factor": None, "stop_accuracy": 0.75}


def project(folder: Path) -> tuple[PlatformLocal, Embeddings]:
    """Images of two kinds, of which most of the near ones are labeled."""
    platform = PlatformLocal.create(folder, images=[*NEAR, *FAR])
    vectors = np.random.default_rng(0).normal(size=(50, 6))
    vectors[30:] += 8
    platform.annotate(dict.fromkeys(NEAR[:25], "cat"))
    return platform, Embeddings([*NEAR, *FAR], vectors)


def test_a_batch_of_what_is_unlike_the_labeled_is_noted_and_pushed(tmp_path: Path) -> None:
    platform, embeddings = project(tmp_path / "project")
    agent = ActiveLearningAgent(platform, embeddings=embeddings)
    config = SamplerConfig(4, method="discriminative", options=OPTIONS, device="cpu", seed=5)
    batch = agent.query(config)
    assert set(batch.item_ids) < set(FAR)
    assert batch.method == "DISCRIMINATIVE"
    assert "sure to be unlike the labeled, sub-batch 2 of 2, whose discriminator reached" in batch.reasons[-1]
    assert tuple(item.id for item in platform.next_items(4)) == batch.item_ids

    (noted,) = ActiveLearningAgent(PlatformLocal(platform.home)).history
    assert noted.config == config
    assert noted.config.options == OPTIONS
    assert noted.selection.reasons == batch.reasons
    assert noted.selection.gains.tolist() == batch.gains.tolist()
    assert agent.query(noted.config, push=False).item_ids == batch.item_ids


def test_a_second_round_goes_on_from_new_labels(tmp_path: Path) -> None:
    platform, embeddings = project(tmp_path / "project")
    agent = ActiveLearningAgent(platform, embeddings=embeddings)
    first = agent.query(SamplerConfig(4, method=SamplingMethod.DISCRIMINATIVE, options=OPTIONS))
    platform.annotate(dict.fromkeys(first.item_ids, "dog"))
    agent.refresh()
    second = agent.query(SamplerConfig(4, method=SamplingMethod.DISCRIMINATIVE, options=OPTIONS))
    assert not set(first.item_ids) & set(second.item_ids)
    assert set(second.item_ids) <= set(agent.unlabeled_set)


def test_nothing_labeled_is_refused_and_nothing_is_noted(tmp_path: Path) -> None:
    platform = PlatformLocal.create(tmp_path / "project", images=NEAR)
    agent = ActiveLearningAgent(platform, embeddings=Embeddings(NEAR, np.eye(30)))
    with pytest.raises(ValueError, match=r"nothing is labeled; take the first batch by TYPICLUST or RANDOM"):
        agent.query(SamplerConfig(4, method="DISCRIMINATIVE"))
    assert agent.history == ()


def test_the_note_of_a_hard_task_is_a_warning_and_is_kept(tmp_path: Path) -> None:
    platform, _ = project(tmp_path / "project")
    same = Embeddings([*NEAR, *FAR], np.ones((50, 3)))
    agent = ActiveLearningAgent(platform, embeddings=same)
    with pytest.warns(UserWarning, match="cannot tell labeled from unlabeled"):
        agent.query(SamplerConfig(4, method="DISCRIMINATIVE", options={"max_epochs": 2}))
    assert any("cannot tell labeled from unlabeled" in note for note in agent.last_round.notes)


def test_options_and_device_reach_the_sampler() -> None:
    options = {
        "n_sub_batches": 3,
        "candidate_factor": 4,
        "stop_accuracy": 0.9,
        "max_epochs": 7,
        "minibatch_size": 32,
        "learning_rate": 0.01,
    }
    config = SamplerConfig(4, method="DISCRIMINATIVE", options=options, device="cuda")
    assert config.sampler() == SamplerDiscriminative(3, 4, 0.9, 7, 32, 0.01, "cuda")
    assert SamplerConfig(**json.loads(json.dumps(config.to_dict()))) == config
    assert SamplerConfig(method="DISCRIMINATIVE").sampler() == SamplerDiscriminative()


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"options": {"stop_accuracy": 2}}, r"stop_accuracy is 2; expected a number above 0\.5, below 1"),
    ({"options": {"epochs": 2}}, r"no option 'epochs' of its own; it has 'n_sub_batches', 'candidate_factor', 'stop_acc"),
    ({"options": {"device": "cuda"}}, r"DISCRIMINATIVE has no option 'device' of its own"),
    ({"batch_size": 5}, r"batch_size is given, and DISCRIMINATIVE does not use it; .*BATCH_UNCERTAINTY"),
    ({"metric": "cosine"}, r"metric is given, and DISCRIMINATIVE does not use it"),
    ({"device": ""}, r"device is ''; expected the name of a device of torch"),
]


@pytest.mark.parametrize(("options", "message"), WRONG, ids=[str(options) for options, _ in WRONG])
def test_wrong_options_are_named(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        SamplerConfig(4, method="DISCRIMINATIVE", **options)


def test_the_methods_with_a_device_are_named() -> None:
    with pytest.raises(ValueError, match=r"device is given, and RANDOM does not use it;.*CORESET, CORAL, JOINT.*DISCRIMINA"):
        SamplerConfig(4, method="RANDOM", device="cpu")


def test_the_command_line_picks_by_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "project"
    _, embeddings = project(folder)
    np.savez(folder / "embeddings.npz", item_ids=np.array(embeddings.item_ids), vectors=embeddings.vectors)
    words = ["query", str(folder), "-n", "4", "--method", "discriminative", "--device", "cpu", "--json"]
    options = ["n_sub_batches=2", "candidate_factor=null", "stop_accuracy=0.75"]
    assert main([*words, *(f"--option={one}" for one in options)]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown["method"] == "DISCRIMINATIVE"
    assert shown["is_pushed"] is True
    assert {pick["item_id"] for pick in shown["picks"]} < set(FAR)
    assert main([*words, "--option", "stop_accuracy=1"]) == 2
    assert "stop_accuracy is 1; expected a number above 0.5, below 1" in capsys.readouterr().err
