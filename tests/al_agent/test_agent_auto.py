"""AUTO through the agent takes what there is, and the round says what that was."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable

import numpy as np
import pytest

from al_agent import (
    ActiveLearningAgent,
    ClassificationPredictions,
    Embeddings,
    PlatformLocal,
    SamplerConfig,
    ScorerClassification,
    Scores,
    Selection,
)

MakeLocal = Callable[[int], PlatformLocal]
N = 150
AUTO = SamplerConfig(9, method="AUTO", seed=4)
CHANCE = r"uncertainty_margin looks like chance: neighbours in the embeddings share it no more than random orders of it"


def unsure_in_the_middle(ids: tuple[str, ...]) -> ScorerClassification:
    """Items on a line, of which the left are of one class and the right of another."""
    probability = np.linspace(0.01, 0.99, N)
    return ScorerClassification(ClassificationPredictions(ids, np.stack([probability, 1 - probability], axis=1)))


def on_a_line(ids: tuple[str, ...]) -> Embeddings:
    return Embeddings(ids, np.linspace(-1, 1, N)[:, None])


def batch_of(
    agent: ActiveLearningAgent, scorer: ScorerClassification | None = None, config: SamplerConfig = AUTO
) -> tuple[Selection, list[str]]:
    """A batch by AUTO, and what was warned of."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        batch = agent.query(config, scorer)
    return batch, [str(warning.message) for warning in caught]


def test_with_nothing_auto_draws_at_random_and_says_so(make_local: MakeLocal) -> None:
    agent = ActiveLearningAgent(make_local(N))
    batch, warned = batch_of(agent)
    assert warned == ["drawn at random, since there are neither embeddings nor scores; pass either, best both"]
    (noted,) = agent.history
    assert noted.notes == tuple(warned)
    assert (noted.score, noted.scores_digest, noted.embeddings_digest, noted.is_pushed) == (None, None, None, True)
    assert batch.item_ids == agent.query(SamplerConfig(9, method="RANDOM", seed=4)).item_ids


def test_with_a_scorer_alone_auto_takes_the_highest_and_chance_in_turn(make_local: MakeLocal) -> None:
    agent = ActiveLearningAgent(make_local(N))
    scorer = unsure_in_the_middle(agent.query_set)
    batch, warned = batch_of(agent, scorer)
    (noted,) = agent.history
    assert len(warned) == 1 and "without embeddings nobody can tell" in warned[0]
    assert noted.notes == tuple(warned)
    assert (noted.score, noted.scores_digest) == ("uncertainty_margin", scorer.scores().digest)
    assert noted.embeddings_digest is None
    assert noted.selection.reasons == batch.reasons
    assert batch.reasons[0].startswith("no embeddings; uncertainty_margin 0.993, ")
    assert batch.reasons[1] == "no embeddings; drawn at random"
    assert batch.item_ids[::2] == agent.query(SamplerConfig(5, method="UNCERTAINTY"), scorer).item_ids


def test_with_embeddings_alone_auto_covers_them(make_local: MakeLocal) -> None:
    platform = make_local(N)
    embeddings = on_a_line(tuple(item.id for item in platform.list_items()))
    agent = ActiveLearningAgent(platform, embeddings=embeddings)
    batch, warned = batch_of(agent)
    (noted,) = agent.history
    assert (warned, noted.notes) == ([], ())
    assert (noted.score, noted.scores_digest, noted.embeddings_digest) == (None, None, embeddings.digest)
    assert all(reason.startswith("no scores; adds ") for reason in noted.selection.reasons)
    assert batch.item_ids == agent.query(SamplerConfig(9, method="MAX_HERDING", seed=4)).item_ids


def test_with_both_auto_weighs_the_embeddings_by_the_scores(make_local: MakeLocal) -> None:
    platform = make_local(N)
    embeddings = on_a_line(tuple(item.id for item in platform.list_items()))
    agent = ActiveLearningAgent(platform, embeddings=embeddings)
    scorer = unsure_in_the_middle(agent.query_set)
    batch, warned = batch_of(agent, scorer)
    (noted,) = agent.history
    assert (warned, noted.notes) == ([], ())
    assert (noted.score, noted.scores_digest) == ("uncertainty_margin", scorer.scores().digest)
    assert noted.embeddings_digest == embeddings.digest
    assert all(reason.startswith("neighbours share uncertainty_margin; ") for reason in noted.selection.reasons)
    uncertainty = dict(zip(scorer.scores().item_ids, scorer.scores().columns["uncertainty_margin"].tolist()))
    covered = agent.query(SamplerConfig(9, method="MAX_HERDING", seed=4))
    assert np.mean([uncertainty[item] for item in batch]) > 0.1 + np.mean([uncertainty[item] for item in covered])
    assert [item.id for item in platform.next_items(9)] == list(covered.item_ids)


def test_predictions_in_a_wrong_order_are_noted_and_the_batch_is_pushed_all_the_same(make_local: MakeLocal) -> None:
    platform = make_local(N)
    ids = tuple(item.id for item in platform.list_items())
    agent = ActiveLearningAgent(platform, embeddings=on_a_line(ids))
    order = np.random.default_rng(0).permutation(N)
    wrong = unsure_in_the_middle(tuple(ids[place] for place in order))
    with pytest.raises(UserWarning, match=CHANCE):  # warnings are errors in these tests
        agent.query(AUTO, wrong)
    (noted,) = ActiveLearningAgent(PlatformLocal(platform.home)).history
    assert noted.is_pushed
    assert noted.notes[0].startswith("uncertainty_margin looks like chance: ")
    assert noted.notes[0].endswith("check that predictions are in the order of their item ids")
    assert noted.selection.reasons[1] == "uncertainty_margin looks like chance; drawn at random"
    assert [item.id for item in platform.next_items(9)] == list(noted.selection.item_ids)


@pytest.mark.parametrize(("with_scores", "with_embeddings"), [(True, True), (True, False), (False, True)])
def test_new_items_that_what_is_given_does_not_cover_wait(
    with_scores: bool, with_embeddings: bool, make_local: MakeLocal
) -> None:
    platform = make_local(N)
    ids = tuple(item.id for item in platform.list_items())
    agent = ActiveLearningAgent(platform, embeddings=on_a_line(ids) if with_embeddings else None)
    scorer = unsure_in_the_middle(ids) if with_scores else None
    assert agent.query_set == ids
    platform.add_images(["late.jpg"])
    batch, warned = batch_of(agent, scorer, SamplerConfig(N, method="AUTO"))  # all that can be picked
    assert sorted(batch.item_ids) == sorted(ids)
    assert re.match(r"1 items appeared since .* the first is 'late.jpg'; they wait", warned[0])
    assert agent.history[-1].notes == tuple(warned)


def test_with_nothing_new_items_need_not_wait(make_local: MakeLocal) -> None:
    platform = make_local(2)
    agent = ActiveLearningAgent(platform)
    assert len(agent.query_set) == 2
    platform.add_images(["late.jpg"])
    with pytest.warns(UserWarning, match="drawn at random"):
        assert "late.jpg" in agent.query(SamplerConfig(3, method="AUTO")).item_ids


def test_what_is_given_has_to_fit_although_auto_could_do_without(make_local: MakeLocal) -> None:
    platform = make_local(N)
    ids = tuple(item.id for item in platform.list_items())
    agent = ActiveLearningAgent(platform, embeddings=Embeddings(ids[1:], np.zeros((N - 1, 2))))
    with pytest.raises(ValueError, match=r"1 items have no embedding, the first is 'img_00.jpg'"):
        agent.query(AUTO)
    agent = ActiveLearningAgent(platform)
    with pytest.raises(ValueError, match=r"1 items have no score, the first is 'img_00.jpg'"):
        agent.query(AUTO, Scores(ids[1:], {"s": np.arange(N - 1.0)}))
    with pytest.raises(ValueError, match=r"no score 'x'; these exist: s"):
        agent.query(SamplerConfig(9, method="AUTO", score="x"), Scores(ids, {"s": np.arange(float(N))}))
    with pytest.raises(ValueError, match=r"scorer is ClassificationPredictions; pass ScorerClassification\(predictions\)"):
        agent.query(AUTO, unsure_in_the_middle(ids).predictions)
    assert agent.history == ()


def test_a_score_is_asked_for_and_there_is_none(make_local: MakeLocal) -> None:
    agent = ActiveLearningAgent(make_local(N))
    with pytest.raises(ValueError, match=r"score is 'uncertainty_margin', and there are no scores; pass a scorer, or leave"):
        agent.query(SamplerConfig(9, method="AUTO", score="uncertainty_margin"))
    assert agent.history == ()
