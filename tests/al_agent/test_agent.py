"""A round through the agent: sets, batch, push, journal."""

from __future__ import annotations

import sqlite3
import warnings
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from al_agent import (
    ActiveLearningAgent,
    AgentError,
    Budget,
    ClassificationPredictions,
    Embeddings,
    EnsemblePredictions,
    ItemState,
    Metadata,
    NoRoundYet,
    PlatformError,
    PlatformLocal,
    SamplerConfig,
    SamplingMethod,
    ScorerClassification,
    Scores,
    SelectionInterrupted,
    Unavailable,
    Weight,
)

MakeLocal = Callable[[int], PlatformLocal]
MakeScores = Callable[[Iterable[str]], Scores]
MakeEmbeddings = Callable[[Iterable[str]], Embeddings]
TOP_2 = SamplerConfig(2, method="UNCERTAINTY")


def test_the_sets_follow_the_platform_after_a_refresh(make_local: MakeLocal) -> None:
    platform = make_local(4)
    agent = ActiveLearningAgent(platform)
    assert list(agent.unlabeled_set) == [f"img_{n:02d}.jpg" for n in range(4)]
    platform.annotate({"img_02.jpg": "cat"})
    platform.skip(["img_00.jpg"])
    platform.add_images(["new.jpg"])
    platform.remove_images(["img_03.jpg"])

    changes = agent.refresh()

    assert agent.query_set == ("img_00.jpg", "img_01.jpg", "img_02.jpg", "new.jpg")
    assert agent.labeled_set == ("img_02.jpg",)
    assert agent.unlabeled_set == ("img_01.jpg", "new.jpg")
    assert agent.counts == {"unlabeled": 2, "labeled": 1, "partly": 0, "skipped": 1, "locked": 0}
    assert (changes.appeared, changes.vanished, changes.labeled) == (("new.jpg",), ("img_03.jpg",), ("img_02.jpg",))
    assert str(changes) == "1 labeled, 1 appeared, 1 vanished"


def test_reading_a_set_again_gives_the_very_same_tuple(make_local: MakeLocal) -> None:
    agent = ActiveLearningAgent(make_local(3))
    assert agent.query_set is agent.query_set
    assert agent.unlabeled_set is agent.unlabeled_set
    assert agent.labeled_set is agent.labeled_set


def test_the_added_set_raises_before_the_first_round(make_local: MakeLocal) -> None:
    agent = ActiveLearningAgent(make_local(2))
    with pytest.raises(NoRoundYet, match="query for one first"):
        _ = agent.added_set
    with pytest.raises(NoRoundYet):
        agent.push()
    with pytest.raises(NoRoundYet):
        agent.export("picks.csv")


def test_a_query_puts_the_batch_at_the_head_of_the_queue(make_local: MakeLocal, rising_scores: MakeScores) -> None:
    platform = make_local(4)
    agent = ActiveLearningAgent(platform)
    batch = agent.query(TOP_2, rising_scores(agent.query_set))
    assert batch.item_ids == ("img_03.jpg", "img_02.jpg")
    assert agent.added_set == batch.item_ids
    assert batch.gains.tolist() == [3.0, 2.0]
    assert batch.reasons[0] == "uncertainty 3, 75th percentile"
    assert [item.id for item in platform.next_items(3)] == ["img_03.jpg", "img_02.jpg", "img_00.jpg"]


def test_a_second_query_does_not_pick_what_was_labeled_in_between(make_local: MakeLocal, rising_scores: MakeScores) -> None:
    platform = make_local(4)
    agent = ActiveLearningAgent(platform)
    scores = rising_scores(agent.query_set)
    first = agent.query(TOP_2, scores)
    platform.annotate(dict.fromkeys(first.item_ids, "cat"))
    assert agent.query(TOP_2, scores).item_ids == ("img_01.jpg", "img_00.jpg")


def test_boosts_of_earlier_rounds_that_are_still_unlabeled_are_taken_back(
    make_local: MakeLocal, rising_scores: MakeScores
) -> None:
    platform = make_local(5)
    agent = ActiveLearningAgent(platform)
    agent.query(TOP_2, rising_scores(agent.query_set))
    agent.query(TOP_2, rising_scores(reversed(agent.query_set)))
    assert [item.id for item in platform.next_items(5)] == [f"img_{n:02d}.jpg" for n in (0, 1, 2, 3, 4)]
    assert agent.history[-1].pushes[-1].counts["taken_back"] == 2
    assert [item.id for item in platform.list_items() if item.priority is not None] == ["img_00.jpg", "img_01.jpg"]


def test_a_priority_that_a_person_set_is_not_taken_back(make_local: MakeLocal, rising_scores: MakeScores) -> None:
    platform = make_local(4)
    platform.push({"img_00.jpg": 7})
    agent = ActiveLearningAgent(platform)
    agent.query(TOP_2, rising_scores(agent.query_set))
    assert {item.id: item.priority for item in platform.list_items()}["img_00.jpg"] == 7


def test_a_dry_run_sends_nothing_and_can_be_pushed_later_by_another_agent(
    make_local: MakeLocal, rising_scores: MakeScores
) -> None:
    platform = make_local(4)
    agent = ActiveLearningAgent(platform)
    batch = agent.query(TOP_2, rising_scores(agent.query_set), push=False)
    assert all(item.priority is None for item in platform.list_items())
    assert not agent.history[-1].is_pushed

    another = ActiveLearningAgent(PlatformLocal(platform.home))
    assert another.added_set == batch.item_ids
    assert another.push().updated == batch.item_ids
    assert another.history[-1].is_pushed
    assert another.push().unchanged == batch.item_ids


@pytest.mark.filterwarnings("ignore:.*(are no look-alikes|members apart)")
@pytest.mark.parametrize("method", sorted(set(SamplingMethod) - {SamplingMethod.DISCRIMINATIVE}))  # it needs a label
def test_a_round_is_noted_with_all_that_repeats_it(
    method: SamplingMethod, make_local: MakeLocal, rising_scores: MakeScores, line_embeddings: MakeEmbeddings
) -> None:
    platform = make_local(6)
    embeddings = line_embeddings([item.id for item in platform.list_items()])
    agent = ActiveLearningAgent(platform, embeddings=embeddings)
    scores = rising_scores(agent.query_set)
    config = SamplerConfig(3, method=method, seed=5)
    sampler = config.sampler()
    opinions = np.random.default_rng(0).dirichlet(np.ones(3), size=(6, 4))
    committee = EnsemblePredictions(agent.query_set[::-1], opinions)
    given = committee if sampler.needs_probabilities else scores
    batch = agent.query(config, given)

    (noted,) = ActiveLearningAgent(PlatformLocal(platform.home)).history
    assert noted.config == config
    assert (noted.number, noted.name) == (1, f"round-1-{method.value.lower()}")
    assert noted.score == ("uncertainty" if sampler.takes_scores else None)
    assert noted.scores_digest == (scores.digest if sampler.takes_scores else None)
    assert noted.embeddings_digest == (embeddings.digest if sampler.takes_vectors else None)
    assert noted.selection.item_ids == batch.item_ids
    assert noted.selection.gains.tolist() == batch.gains.tolist()
    assert noted.selection.reasons == batch.reasons
    assert noted.counts == {"unlabeled": 6, "labeled": 0, "partly": 0, "skipped": 0, "locked": 0}
    assert noted.pushes[0].counts["updated"] == 3
    again = agent.query(noted.config, given)
    assert again.item_ids == batch.item_ids


def test_scores_are_joined_by_id_not_by_position(make_local: MakeLocal) -> None:
    agent = ActiveLearningAgent(make_local(3))
    scores = Scores(("img_02.jpg", "img_00.jpg", "img_01.jpg"), {"s": np.array([0.1, 0.9, 0.5])})
    assert agent.query(SamplerConfig(3, method="UNCERTAINTY"), scores).item_ids == ("img_00.jpg", "img_01.jpg", "img_02.jpg")


def test_predictions_of_the_unlabeled_set_alone_are_enough(make_local: MakeLocal) -> None:
    platform = make_local(4)
    platform.annotate({"img_01.jpg": "cat"})
    platform.skip(["img_03.jpg"])
    agent = ActiveLearningAgent(platform)
    predictions = ClassificationPredictions(agent.unlabeled_set, [[0.9, 0.1], [0.6, 0.4]])
    batch = agent.query(SamplerConfig(1, method="UNCERTAINTY"), ScorerClassification(predictions))
    assert batch.item_ids == ("img_02.jpg",)


def test_skipped_items_need_neither_score_nor_embedding_and_are_no_centers(make_local: MakeLocal) -> None:
    platform = make_local(3)
    platform.skip(["img_00.jpg"])
    agent = ActiveLearningAgent(platform, embeddings=Embeddings(["img_01.jpg", "img_02.jpg"], [[0.0], [8.0]]))
    batch = agent.query(SamplerConfig(2, method="CORESET"))
    assert set(batch.item_ids) == {"img_01.jpg", "img_02.jpg"}
    assert "pool's mean" in batch.reasons[0]


def test_items_that_appeared_since_the_predictions_wait_and_are_reported(
    make_local: MakeLocal, rising_scores: MakeScores
) -> None:
    platform = make_local(3)
    agent = ActiveLearningAgent(platform)
    scores = rising_scores(agent.query_set)
    platform.add_images(["late.jpg"])
    with pytest.warns(UserWarning, match=r"1 items appeared since .* the first is 'late.jpg'; they wait"):
        batch = agent.query(SamplerConfig(3, method="UNCERTAINTY"), scores)
    assert batch.item_ids == ("img_02.jpg", "img_01.jpg", "img_00.jpg")
    assert "appeared" in agent.history[-1].notes[0]


def test_warnings_that_are_errors_do_not_stop_a_push(make_local: MakeLocal, rising_scores: MakeScores) -> None:
    platform = make_local(3)
    agent = ActiveLearningAgent(platform)
    scores = rising_scores(agent.query_set)
    platform.remove_images(["img_02.jpg"])
    with pytest.raises(UserWarning, match="vanished"):  # warnings are errors in these tests
        agent.query(TOP_2, scores)
    assert agent.history[-1].is_pushed


def test_items_that_vanished_since_the_predictions_are_left_out_and_reported(
    make_local: MakeLocal, rising_scores: MakeScores
) -> None:
    platform = make_local(3)
    agent = ActiveLearningAgent(platform)
    scores = rising_scores(agent.query_set)
    platform.remove_images(["img_02.jpg"])
    with pytest.warns(UserWarning, match="1 items with a score or embedding vanished since"):
        batch = agent.query(TOP_2, scores)
    assert batch.item_ids == ("img_01.jpg", "img_00.jpg")


def test_picks_that_were_labeled_skipped_or_removed_before_the_push_are_declined(
    make_local: MakeLocal, rising_scores: MakeScores
) -> None:
    platform = make_local(5)
    agent = ActiveLearningAgent(platform)
    agent.query(SamplerConfig(4, method="UNCERTAINTY"), rising_scores(agent.query_set), push=False)
    platform.annotate({"img_04.jpg": "cat"})
    platform.skip(["img_03.jpg"])
    platform.remove_images(["img_02.jpg"])
    report = agent.push()
    assert report.updated == ("img_01.jpg",)
    assert report.declined == {
        "img_04.jpg": "already labeled",
        "img_03.jpg": "already skipped",
        "img_02.jpg": "not in the project any more",
    }
    assert report.is_complete
    assert [item.id for item in platform.next_items(1)] == ["img_01.jpg"]


def test_items_that_are_labeled_between_listing_and_pushing_are_declined_by_the_platform(
    make_local: MakeLocal, rising_scores: MakeScores
) -> None:
    platform = make_local(3)
    agent = ActiveLearningAgent(platform)
    scores = rising_scores(agent.query_set)

    def label_meanwhile(_: int) -> None:
        platform.annotate({"img_02.jpg": "cat"})

    agent.query(TOP_2, scores, on_pick=label_meanwhile)
    assert agent.history[-1].pushes[0].problems == {"img_02.jpg": "already labeled"}
    assert agent.history[-1].is_pushed


def test_a_push_that_broke_off_keeps_the_round_and_is_finished_by_the_next(
    make_remote: Callable[[int], Any], rising_scores: MakeScores, tmp_path: Path
) -> None:
    remote = make_remote(6)
    remote.breaks_after = 2
    agent = ActiveLearningAgent(remote, journal=tmp_path / "rounds.sqlite")
    with pytest.raises(
        Unavailable, match=r"no answer after 60 s; round-1-uncertainty is kept with its 4 picks: push again to resume"
    ):
        agent.query(SamplerConfig(4, method="UNCERTAINTY"), rising_scores(agent.query_set))
    assert agent.added_set == ("img_05.jpg", "img_04.jpg", "img_03.jpg", "img_02.jpg")
    assert not agent.history[-1].is_pushed

    remote.breaks_after = None
    another = ActiveLearningAgent(remote, journal=tmp_path / "rounds.sqlite")
    report = another.push()
    assert report.unchanged == ("img_05.jpg", "img_04.jpg")
    assert report.updated == ("img_03.jpg", "img_02.jpg")
    assert sorted(remote.sent) == ["img_02.jpg", "img_03.jpg", "img_04.jpg", "img_05.jpg"]
    assert another.history[-1].is_pushed


def test_running_the_same_line_again_finishes_a_push_that_was_incomplete(
    make_remote: Callable[[int], Any], rising_scores: MakeScores, tmp_path: Path
) -> None:
    remote = make_remote(6)
    remote.breaks_after, remote.raises = 2, False
    agent = ActiveLearningAgent(remote, journal=tmp_path / "rounds.sqlite")
    config, scores = SamplerConfig(4, method="UNCERTAINTY"), rising_scores(agent.query_set)
    with pytest.warns(UserWarning, match=r"not on the platform yet: 2 updated, 1 failed, 1 not sent; push again"):
        first = agent.query(config, scores)
    remote.breaks_after = None
    second = agent.query(config, scores)
    assert second.item_ids == first.item_ids
    assert sorted(remote.sent) == sorted(first.item_ids)
    assert [one.is_pushed for one in agent.history] == [False, True]


def test_a_platform_of_ones_own_may_say_states_in_plain_words(make_remote: Callable[[int], Any], tmp_path: Path) -> None:
    remote = make_remote(3)
    remote.set_state("img_01.jpg", "labeled")
    agent = ActiveLearningAgent(remote, journal=tmp_path / "rounds.sqlite")
    assert agent.labeled_set == ("img_01.jpg",)
    remote.set_state("img_01.jpg", "finished")
    with pytest.raises(ValueError, match="'finished' is not a valid ItemState"):
        agent.refresh()


def test_locked_items_are_counted_and_never_picked(
    make_remote: Callable[[int], Any], rising_scores: MakeScores, tmp_path: Path
) -> None:
    remote = make_remote(3)
    remote.set_state("img_02.jpg", ItemState.LOCKED)
    agent = ActiveLearningAgent(remote, journal=tmp_path / "rounds.sqlite")
    assert agent.counts["locked"] == 1
    assert agent.query(TOP_2, rising_scores(agent.query_set)).item_ids == ("img_01.jpg", "img_00.jpg")


def test_a_platform_that_lists_a_name_twice_is_refused_by_name(make_remote: Callable[[int], Any], tmp_path: Path) -> None:
    remote = make_remote(2)
    remote.items["copy"] = remote.items["img_01.jpg"]
    with pytest.raises(PlatformError, match=r"lists 'img_01.jpg' more than once"):
        _ = ActiveLearningAgent(remote, journal=tmp_path / "rounds.sqlite").query_set


def test_remote_projects_share_the_home_folder_but_not_their_rounds(
    make_remote: Callable[[int], Any], rising_scores: MakeScores, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AL_AGENT_HOME", str(tmp_path / "home"))
    one, other = make_remote(3), make_remote(3)
    other.key = "remote:project 2/ä"
    ActiveLearningAgent(one).query(TOP_2, rising_scores(one.items))
    assert len(ActiveLearningAgent(one).history) == 1
    assert ActiveLearningAgent(other).history == ()
    (path,) = (tmp_path / "home" / "rounds").iterdir()
    assert path.name.startswith("remote-project-1-")


def test_two_projects_can_share_one_journal_file(
    make_remote: Callable[[int], Any], rising_scores: MakeScores, tmp_path: Path
) -> None:
    one, other = make_remote(3), make_remote(4)
    other.key = "remote:project-2"
    for remote in (one, other):
        ActiveLearningAgent(remote, journal=tmp_path / "rounds.sqlite").query(TOP_2, rising_scores(remote.items))
    assert ActiveLearningAgent(one, journal=tmp_path / "rounds.sqlite").added_set == ("img_02.jpg", "img_01.jpg")
    assert ActiveLearningAgent(other, journal=tmp_path / "rounds.sqlite").added_set == ("img_03.jpg", "img_02.jpg")


WRONG_QUERIES: list[tuple[str, SamplerConfig, dict[str, Any], str]] = [
    ("too many", SamplerConfig(5, method="RANDOM"), {}, r"n_samples is 5, and 4 items can still be labeled"),
    ("no scorer", TOP_2, {}, r"UNCERTAINTY ranks by a score; pass a scorer"),
    ("no embeddings", SamplerConfig(2), {}, r"CORESET compares images; pass embeddings"),
    (
        "unknown score",
        SamplerConfig(2, method="UNCERTAINTY", score="x"),
        {"ids": 4},
        r"no score 'x'; these exist: uncertainty",
    ),
    ("missing", TOP_2, {"ids": 3}, r"1 items have no score, the first is 'img_03.jpg'; score the whole unlabeled_set"),
    ("unknown", TOP_2, {"ids": 6}, r"2 of 6 items with a score are not in the project, the first is 'img_04.jpg'"),
    ("no embedding", SamplerConfig(2), {"vectors": 3}, r"1 items have no embedding, the first is 'img_03.jpg'"),
    ("unknown embedding", SamplerConfig(2), {"vectors": 5}, r"1 of 5 items with an embedding are not in the project"),
    ("not a config", {"n_samples": 3}, {}, r"config is dict; expected a SamplerConfig"),  # type: ignore[list-item]
    ("not a scorer", TOP_2, {"scorer": [0.1]}, r"scorer is list; expected a scorer"),
]


@pytest.mark.parametrize(("config", "given", "message"), [w[1:] for w in WRONG_QUERIES], ids=[w[0] for w in WRONG_QUERIES])
def test_a_wrong_query_says_so_and_changes_nothing(
    config: SamplerConfig,
    given: dict[str, Any],
    message: str,
    make_local: MakeLocal,
    rising_scores: MakeScores,
    line_embeddings: MakeEmbeddings,
) -> None:
    platform = make_local(4)
    names = [f"img_{n:02d}.jpg" for n in range(9)]
    embeddings = line_embeddings(names[: given["vectors"]]) if "vectors" in given else None
    agent = ActiveLearningAgent(platform, embeddings=embeddings)
    scorer = rising_scores(names[: given["ids"]]) if "ids" in given else given.get("scorer")
    with pytest.raises(ValueError, match=message):
        agent.query(config, scorer)
    assert agent.history == ()
    assert all(item.priority is None for item in platform.list_items())
    assert not (platform.home / "al-agent-rounds.sqlite").exists()


def test_embeddings_of_another_type_are_refused(make_local: MakeLocal) -> None:
    with pytest.raises(ValueError, match="embeddings is ndarray; expected Embeddings"):
        ActiveLearningAgent(make_local(2), embeddings=np.zeros((2, 3)))  # type: ignore[arg-type]


def test_a_batch_that_stops_early_is_warned_of_and_noted(make_local: MakeLocal, line_embeddings: MakeEmbeddings) -> None:
    platform = make_local(5)
    agent = ActiveLearningAgent(platform, embeddings=line_embeddings([item.id for item in platform.list_items()]))
    with pytest.warns(UserWarning, match="stopped after 4 of 5"):
        batch = agent.query(SamplerConfig(5, method="CORESET", min_distance=4.0))
    assert batch.item_ids == ("img_04.jpg", "img_00.jpg", "img_03.jpg", "img_02.jpg")  # at 16, 0, 9, 4
    assert "nearer than min_distance 4" in agent.history[-1].notes[0]


def test_items_are_given_in_the_order_asked_for(make_local: MakeLocal) -> None:
    platform = make_local(3)
    agent = ActiveLearningAgent(platform)
    assert [item.id for item in agent.items(["img_02.jpg", "img_00.jpg"])] == ["img_02.jpg", "img_00.jpg"]
    with pytest.raises(ValueError, match=r"1 items are not in the project, the first is 'x'"):
        agent.items(["x"])


def test_the_journal_refuses_to_be_changed(make_local: MakeLocal, rising_scores: MakeScores) -> None:
    platform = make_local(3)
    agent = ActiveLearningAgent(platform)
    agent.query(TOP_2, rising_scores(agent.query_set))
    connection = sqlite3.connect(platform.home / "al-agent-rounds.sqlite")
    for statement in ("UPDATE picks SET gain = 0", "UPDATE rounds SET number = 9", "DELETE FROM pushes"):
        with pytest.raises(sqlite3.IntegrityError, match="append-only"):
            connection.execute(statement)
    connection.close()


def test_every_error_of_the_outside_world_is_an_agent_error() -> None:
    assert issubclass(Unavailable, PlatformError)
    assert issubclass(PlatformError, AgentError)
    assert not issubclass(AgentError, ValueError)


def test_no_warning_comes_with_an_ordinary_round(make_local: MakeLocal, rising_scores: MakeScores) -> None:
    agent = ActiveLearningAgent(make_local(4))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        agent.query(TOP_2, rising_scores(agent.query_set))
    assert caught == []


def test_boosts_of_every_earlier_round_are_taken_back_not_only_of_the_last(
    make_local: MakeLocal, rising_scores: MakeScores
) -> None:
    platform = make_local(6)
    agent = ActiveLearningAgent(platform)
    order = ["img_00.jpg", "img_01.jpg", "img_02.jpg", "img_03.jpg", "img_04.jpg", "img_05.jpg"]
    for number in range(3):
        agent.query(SamplerConfig(1, method="UNCERTAINTY"), rising_scores(order[number:] + order[:number]))
    assert [(item.id, item.priority) for item in platform.list_items() if item.priority is not None] == [("img_01.jpg", 0)]


def test_a_dry_run_boosted_nothing_so_nothing_of_it_is_taken_back(make_local: MakeLocal, rising_scores: MakeScores) -> None:
    platform = make_local(4)
    agent = ActiveLearningAgent(platform)
    agent.query(TOP_2, rising_scores(agent.query_set), push=False)
    platform.push({"img_03.jpg": 5})  # a person's own
    agent.query(TOP_2, rising_scores(reversed(agent.query_set)))
    assert {item.id: item.priority for item in platform.list_items()}["img_03.jpg"] == 5


def test_an_older_round_is_not_pushed_over_a_newer_one_of_another_process(
    make_local: MakeLocal, rising_scores: MakeScores
) -> None:
    platform = make_local(6)
    agent, other = ActiveLearningAgent(platform), ActiveLearningAgent(PlatformLocal(platform.home))
    ids = agent.query_set

    class Meanwhile:
        """A platform that another agent reaches between this agent's selection and its push."""

        key, home = platform.key, platform.home
        n_lists = 0

        def list_items(self) -> Iterable[Any]:
            return platform.list_items()

        def push(self, ranks: Any, resets: Any = ()) -> Any:
            raise AssertionError("the older round was sent")

    slow = ActiveLearningAgent(Meanwhile(), journal=platform.home / "al-agent-rounds.sqlite")
    slow.query(TOP_2, rising_scores(ids), push=False)
    newer = other.query(TOP_2, rising_scores(reversed(ids)))
    older = slow.last_round
    with pytest.warns(UserWarning, match="another process has made a newer round"):
        report = slow._push(older, slow._listing)
    assert report.not_sent == older.selection.item_ids
    assert tuple(item.id for item in platform.next_items(2)) == newer.item_ids


def test_two_agents_at_once_leave_one_batch_at_the_head_of_the_queue(
    make_local: MakeLocal, rising_scores: MakeScores
) -> None:
    platform = make_local(8)
    agent, other = ActiveLearningAgent(platform), ActiveLearningAgent(PlatformLocal(platform.home))
    ids = agent.query_set
    batch = agent.query(TOP_2, rising_scores(ids), on_pick=lambda _: other.query(TOP_2, rising_scores(reversed(ids))))
    assert [(item.id, item.priority) for item in platform.next_items(3)] == [
        (batch.item_ids[0], 0),
        (batch.item_ids[1], 1),
        ("img_00.jpg", None),
    ]


def test_the_same_query_twice_handles_what_appeared_and_vanished_twice(
    make_local: MakeLocal, rising_scores: MakeScores
) -> None:
    platform = make_local(4)
    agent = ActiveLearningAgent(platform)
    scores = rising_scores(agent.query_set)
    platform.add_images(["late.jpg"])
    platform.remove_images(["img_03.jpg"])
    agent.refresh()  # knowing of it changes nothing: the scores are the old ones
    for _ in range(2):
        with pytest.warns(UserWarning) as caught:
            batch = agent.query(TOP_2, scores)
        assert batch.item_ids == ("img_02.jpg", "img_01.jpg")
        assert len(caught) == 2


def test_items_reopened_since_the_predictions_wait_too(make_local: MakeLocal, rising_scores: MakeScores) -> None:
    platform = make_local(4)
    platform.skip(["img_03.jpg"])
    agent = ActiveLearningAgent(platform)
    scores = rising_scores(agent.unlabeled_set)
    platform.reopen(["img_03.jpg"])
    with pytest.warns(UserWarning, match=r"the first is 'img_03.jpg'; they wait for the next round"):
        assert agent.query(TOP_2, scores).item_ids == ("img_02.jpg", "img_01.jpg")


def test_whoever_has_read_the_sets_again_has_to_cover_them(make_local: MakeLocal, rising_scores: MakeScores) -> None:
    platform = make_local(3)
    agent = ActiveLearningAgent(platform)
    scores = rising_scores(agent.query_set)
    platform.add_images(["late.jpg"])
    agent.refresh()
    assert "late.jpg" in agent.unlabeled_set
    with pytest.raises(ValueError, match=r"1 items have no score, the first is 'late.jpg'"):
        agent.query(TOP_2, scores)


def test_a_labeled_item_without_an_embedding_is_missing_too(make_local: MakeLocal, line_embeddings: MakeEmbeddings) -> None:
    platform = make_local(3)
    platform.annotate({"img_00.jpg": "cat"})
    agent = ActiveLearningAgent(platform, embeddings=line_embeddings(["img_01.jpg", "img_02.jpg"]))
    with pytest.raises(ValueError, match=r"1 items have no embedding, the first is 'img_00.jpg'; embed the whole query_set"):
        agent.query(SamplerConfig(1, method="CORESET"))


def test_ranks_keep_their_places_when_picks_are_declined(make_local: MakeLocal, rising_scores: MakeScores) -> None:
    platform = make_local(4)
    agent = ActiveLearningAgent(platform)
    agent.query(SamplerConfig(3, method="UNCERTAINTY"), rising_scores(agent.query_set), push=False)
    platform.annotate({"img_02.jpg": "cat"})
    agent.push()
    assert {item.id: item.priority for item in platform.list_items() if item.priority is not None} == {
        "img_03.jpg": 0,
        "img_01.jpg": 2,
    }


def test_refresh_finds_the_round_of_another_process(make_local: MakeLocal, rising_scores: MakeScores) -> None:
    platform = make_local(4)
    agent, other = ActiveLearningAgent(platform), ActiveLearningAgent(PlatformLocal(platform.home))
    agent.query(TOP_2, rising_scores(agent.query_set))
    newer = other.query(TOP_2, rising_scores(reversed(agent.query_set)))
    agent.refresh()
    assert agent.added_set == newer.item_ids


def test_a_relative_journal_stays_where_it_was_when_the_process_moves(
    make_local: MakeLocal, rising_scores: MakeScores, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    agent = ActiveLearningAgent(make_local(3), journal="rounds.sqlite")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    agent.query(TOP_2, rising_scores(agent.query_set))
    assert (tmp_path / "rounds.sqlite").exists()
    with pytest.raises(ValueError, match="journal is the empty path"):
        ActiveLearningAgent(agent.platform, journal="")


def test_a_path_in_place_of_a_platform_is_told_what_to_write() -> None:
    with pytest.raises(ValueError, match=r"platform is the path 'my_project'; pass PlatformLocal\('my_project'\)"):
        ActiveLearningAgent("my_project")  # type: ignore[arg-type]


def test_values_are_readable_in_a_notebook(make_local: MakeLocal, rising_scores: MakeScores) -> None:
    agent = ActiveLearningAgent(make_local(4))
    scores = rising_scores(agent.query_set)
    batch = agent.query(TOP_2, scores)
    assert repr(scores) == "Scores(4 items: uncertainty; default uncertainty)"
    assert repr(batch) == "Selection(2 items by UNCERTAINTY, best first: 'img_03.jpg', 'img_02.jpg')"
    assert list(batch) == ["img_03.jpg", "img_02.jpg"]
    assert repr(agent.push()) == "PushReport(2 unchanged)"
    assert repr(agent.history[0]).startswith("Round(1, 'round-1-uncertainty', ")
    assert repr(agent.history[0]).endswith(f"UTC, {batch!r}, pushed)")
    predictions = ClassificationPredictions(agent.query_set, np.full((4, 3), 1 / 3))
    assert repr(ScorerClassification(predictions)) == "ScorerClassification(ClassificationPredictions(4 items, 3 classes))"
    assert repr(Embeddings(["a"], [[0.0, 1.0]])) == "Embeddings(1 items, 2 dimensions, float64)"


def test_an_empty_batch_is_refused_and_the_queue_stays(make_local: MakeLocal, rising_scores: MakeScores) -> None:
    platform = make_local(4)
    ids = [item.id for item in platform.list_items()]
    agent = ActiveLearningAgent(platform, metadata=Metadata(ids, {"cost": [5, 6, 7, 8]}))
    first = agent.query(TOP_2, rising_scores(agent.query_set))
    with pytest.raises(ValueError, match="nothing can be picked: stopped after 0 of 4"):
        agent.query(SamplerConfig(strategies=[Weight(), Budget(1)]), rising_scores(agent.query_set))
    assert agent.added_set == first.item_ids
    assert [item.id for item in platform.next_items(2)] == list(first.item_ids)


def test_quality_knows_all_that_the_agent_knows_whatever_the_method_read(
    make_local: MakeLocal, rising_scores: MakeScores, line_embeddings: MakeEmbeddings
) -> None:
    platform = make_local(6)
    ids = [item.id for item in platform.list_items()]
    metadata = Metadata(ids, {"video": list("aabbcc")})
    agent = ActiveLearningAgent(platform, embeddings=line_embeddings(ids), metadata=metadata)
    names = {figure.name for figure in agent.query(SamplerConfig(2, method="RANDOM"), rising_scores(ids)).quality().figures}
    assert {"covering radius", "mean score", "values of video"} <= names


def test_picking_that_was_interrupted_goes_on(make_local: MakeLocal, line_embeddings: MakeEmbeddings) -> None:
    platform = make_local(30)
    agent = ActiveLearningAgent(platform, embeddings=line_embeddings([item.id for item in platform.list_items()]))
    config = SamplerConfig(12, method="CORESET")

    def interrupt(_: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(SelectionInterrupted) as stopped:
        agent.query(config, on_pick=interrupt)
    assert agent.history == ()
    resumed = agent.query(config, resume=stopped.value.selection, push=False)
    assert resumed.item_ids == agent.query(config, push=False).item_ids
