"""What holds of every project and every round."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from al_agent import (
    ActiveLearningAgent,
    Embeddings,
    EnsemblePredictions,
    NoRoundYet,
    PlatformLocal,
    SamplerConfig,
    SamplingMethod,
    Scores,
)

pytestmark = pytest.mark.filterwarnings(
    "ignore:.*(are no look-alikes|members apart)"  # notes of PROTOTYPES and BATCH_BALD on so few items
)
COLD_STARTERS = [method for method in SamplingMethod if method is not SamplingMethod.DISCRIMINATIVE]  # it needs a label
METHODS = st.sampled_from(COLD_STARTERS)


def random_inputs(ids: tuple[str, ...], seed: int) -> tuple[Scores, Embeddings]:
    rng = np.random.default_rng(seed)
    return Scores(ids, {"s": rng.random(len(ids))}), Embeddings(ids, rng.normal(size=(len(ids), 4)))


def needed(method: SamplingMethod, scores: Scores, seed: int) -> Scores | EnsemblePredictions:
    """What a method reads of a model: scores, or the opinions of a committee."""
    if not SamplerConfig(method=method).sampler().needs_probabilities:
        return scores
    opinions = np.random.default_rng(seed).dirichlet([0.5] * 3, size=(len(scores.item_ids), 5))
    return EnsemblePredictions(scores.item_ids, opinions)


@settings(max_examples=25, deadline=None)
@given(method=METHODS, n_items=st.integers(3, 30), data=st.data(), seed=st.integers(0, 2**32))
def test_permuting_the_items_of_a_project_permutes_the_batch(
    method: SamplingMethod, n_items: int, data: st.DataObject, seed: int
) -> None:
    ids = tuple(f"img_{n}.jpg" for n in range(n_items))
    n_samples = data.draw(st.integers(1, n_items))
    order = data.draw(st.permutations(ids))
    scores, embeddings = random_inputs(ids, seed)
    batches = []
    for images in (ids, order):
        with tempfile.TemporaryDirectory() as folder:
            agent = ActiveLearningAgent(PlatformLocal.create(folder, images=images), embeddings=embeddings)
            batches.append(agent.query(SamplerConfig(n_samples, method=method, seed=seed), needed(method, scores, seed)))
    assert batches[0].item_ids == batches[1].item_ids
    np.testing.assert_allclose(batches[0].gains, batches[1].gains, rtol=1e-12)


class AnyOrderOfEvents(RuleBasedStateMachine):
    """Whatever happens in whatever order, the sets partition the project and no labeled item is ever picked."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()

    @initialize(n_items=st.integers(1, 12))
    def create(self, n_items: int) -> None:
        self.platform = PlatformLocal.create(self.folder.name, images=[f"img_{n}.jpg" for n in range(n_items)])
        self.n_items = n_items
        self.agent = self.new_agent()

    def new_agent(self) -> ActiveLearningAgent:
        ids = tuple(item.id for item in self.platform.list_items())
        return ActiveLearningAgent(PlatformLocal(self.folder.name), embeddings=random_inputs(ids, 0)[1])

    @rule(data=st.data())
    def annotate_one(self, data: st.DataObject) -> None:
        self.platform.annotate({data.draw(st.sampled_from(self.agent.query_set)): "cat"})
        self.agent.refresh()

    @rule(data=st.data())
    def skip_one(self, data: st.DataObject) -> None:
        item_id = data.draw(st.sampled_from(self.agent.query_set))
        if item_id not in self.agent.labeled_set:  # skipping would lose the label, and is refused
            self.platform.skip([item_id])
        self.agent.refresh()

    @rule(data=st.data())
    def reopen_one(self, data: st.DataObject) -> None:
        self.platform.reopen([data.draw(st.sampled_from(self.agent.query_set))])
        self.agent.refresh()

    @rule()
    def add_one(self) -> None:
        self.platform.add_images([f"img_{self.n_items}.jpg"])
        self.n_items += 1
        self.agent = self.new_agent()

    @rule()
    def restart(self) -> None:
        before = self.last_picks(self.agent)
        self.agent = self.new_agent()
        assert self.last_picks(self.agent) == before

    @rule(method=METHODS, data=st.data(), push=st.booleans())
    def query(self, method: SamplingMethod, data: st.DataObject, push: bool) -> None:
        unlabeled = self.agent.unlabeled_set
        if not unlabeled:
            return
        config = SamplerConfig(data.draw(st.integers(1, len(unlabeled))), method=method)
        scores = random_inputs(self.agent.query_set, 0)[0]
        batch = self.agent.query(config, needed(method, scores, 0), push=push)
        assert len(batch) == config.n_samples
        assert set(batch.item_ids) <= set(unlabeled)
        assert self.agent.added_set == batch.item_ids
        if push:
            assert tuple(item.id for item in self.platform.next_items(len(batch))) == batch.item_ids

    @invariant()
    def sets_partition_the_project(self) -> None:
        if not hasattr(self, "agent"):
            return
        agent = self.agent
        skipped = [item.id for item in self.platform.list_items() if item.state == "skipped"]
        assert sorted([*agent.labeled_set, *agent.unlabeled_set, *skipped]) == sorted(agent.query_set)
        assert set(self.last_picks(agent)) <= set(agent.query_set)
        assert sum(agent.counts.values()) == len(agent.query_set)

    @staticmethod
    def last_picks(agent: ActiveLearningAgent) -> tuple[str, ...]:
        try:
            return agent.added_set
        except NoRoundYet:
            return ()

    def teardown(self) -> None:
        self.folder.cleanup()


TestAnyOrderOfEvents = AnyOrderOfEvents.TestCase
TestAnyOrderOfEvents.settings = settings(max_examples=15, stateful_step_count=12, deadline=None)


def test_the_same_seed_gives_the_same_batch_in_another_process_folder(tmp_path: Path) -> None:
    ids = tuple(f"img_{n}.jpg" for n in range(50))
    scores, embeddings = random_inputs(ids, 3)
    for method in COLD_STARTERS:
        picks = set()
        for folder in ("a", "b"):
            platform = PlatformLocal.create(tmp_path / method.value / folder, images=ids)
            agent = ActiveLearningAgent(platform, embeddings=embeddings)
            picks.add(agent.query(SamplerConfig(20, method=method, seed=11), needed(method, scores, 3)).item_ids)
        assert len(picks) == 1
