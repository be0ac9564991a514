"""From an agent's pieces to the facts of a round's page."""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

from al_agent import (
    ActiveLearningAgent,
    ClassificationPredictions,
    DetectionPredictions,
    Diversity,
    Embeddings,
    Item,
    ItemState,
    Metadata,
    PlatformLocal,
    SamplerConfig,
    ScorerClassification,
    Scores,
    SegmentationPredictions,
    Selection,
    Weight,
)
from al_agent.journal import Round, now
from al_agent.report.round.facts import N_CARDS, ClassCount, RoundFacts
from al_agent.report.round.gathering.again import in_python
from al_agent.report.round.gathering.gather import gather
from al_agent.report.round.gathering.joined import Known
from al_agent.report.round.gathering.nearness import nearness_of, quality_in
from al_agent.report.round.gathering.placing import KEPT_FILE, by_part, places_of
from al_agent.report.round.gathering.progress import progress_of
from al_agent.report.round.gathering.seen import Seen, seen_in, seen_on_maps
from samplers import Pool

IDS = tuple(f"img_{n}.png" for n in range(8))
NAMES = ("cat", "dog", "cow")


def classified(item_ids: tuple[str, ...] = IDS) -> ClassificationPredictions:
    """The class of item n is n mod 3, with probability 0.6."""
    p = np.full((len(item_ids), 3), 0.2)
    p[np.arange(len(item_ids)), np.arange(len(item_ids)) % 3] = 0.6
    return ClassificationPredictions(item_ids, p, class_names=NAMES)


def items(labeled: tuple[str, ...] = (), item_ids: tuple[str, ...] = IDS) -> list[Item]:
    states = {True: ItemState.LABELED, False: ItemState.UNLABELED}
    return [Item(name, name, name, states[name in labeled]) for name in item_ids]


def round_of(*picks: str, number: int = 1, config: SamplerConfig | None = None, n_labeled: int = 0) -> Round:
    return Round(
        number=number,
        name=f"round-{number}",
        created_at=now(),
        config=config or SamplerConfig(len(picks), method="RANDOM"),
        score=None,
        scores_digest=None,
        embeddings_digest=None,
        counts={"labeled": n_labeled},
        notes=(),
        selection=Selection(picks, np.zeros(len(picks)), ("",) * len(picks), "RANDOM"),
    )


def facts_of(
    *picks: str, labeled: tuple[str, ...] = (), item_ids: tuple[str, ...] = IDS, known: Known | None = None
) -> RoundFacts:
    return gather(round_of(*picks, n_labeled=len(labeled)), items(labeled, item_ids), known or Known(), project="animals")


def said(facts: RoundFacts, part: str) -> bool:
    return any(part in sentence for sentence in facts.missing)


def test_everything_is_joined_by_id_and_not_by_position() -> None:
    backwards = IDS[::-1]
    vectors = np.arange(8.0)[:, None] * [1.0, 2.0, 2.0]  # item n is 3 n from the origin
    scores = Scores(backwards, {"age": np.arange(8.0)[::-1], "size": np.zeros(8)}, default="age")
    known = Known(
        scores=scores,
        seen=seen_in(classified(), ["img_5.png"]),
        embeddings=Embeddings(backwards, vectors[::-1]),
        positions=Embeddings(["img_2.png", "img_0.png"], [[5.0, 6.0], [7.0, 8.0]]),
    )
    facts = facts_of("img_5.png", labeled=("img_0.png", "img_7.png"), known=known)
    assert facts.item_ids == IDS
    assert facts.scores is not None
    assert (facts.scores.tolist(), facts.score_name) == (list(range(8)), "age")
    assert facts.positions is not None
    assert facts.positions[:3].tolist()[::2] == [[7.0, 8.0], [5.0, 6.0]]
    assert np.isnan(facts.positions[[1, 3, 4, 5, 6, 7]]).all()
    assert said(facts, "6 of 8 items are not on the map: they have no embedding")
    assert list(facts.classes or ()) == [NAMES[n % 3] for n in range(8)]
    assert facts.labeled_distances is not None
    np.testing.assert_array_equal(facts.labeled_distances, [np.nan, 3, 6, 9, 9, 6, 3, np.nan])
    assert [facts.marks[name].label for name in facts.marks] == ["cow 0.60"]
    assert facts.quality is not None
    assert facts.quality["covering radius"].value == 6.0
    assert facts.quality["values of predicted class"].value == 1


def test_picks_count_as_unlabeled_though_they_are_labeled_since() -> None:
    facts = facts_of("img_1.png", "img_3.png", labeled=("img_1.png", "img_2.png"))
    assert facts.states.tolist() == ["unlabeled", "unlabeled", "labeled", *["unlabeled"] * 5]
    assert said(facts, "Beside the picks 1 item is labeled today; when the batch was picked there were 2.")


def test_a_pick_that_is_gone_is_kept_on_the_page_and_said() -> None:
    known = Known(embeddings=Embeddings(IDS, np.arange(8.0)[:, None]))
    facts = facts_of("old.png", "img_3.png", known=known)
    assert (facts.item_ids[-1], facts.media[-1], str(facts.states[-1])) == ("old.png", None, "unlabeled")
    assert said(facts, "1 pick is gone from the project, the first is 'old.png'.")
    assert facts.quality is None
    assert said(facts, "No figures of the batch beside random ones: 1 pick is gone, or without an embedding.")


def test_a_page_without_anything_says_what_is_missing_and_the_way_out() -> None:
    facts = facts_of("img_1.png")
    assert (facts.scores, facts.positions, facts.labeled_distances, facts.classes) == (None, None, None, None)
    assert (facts.quality, facts.balance, facts.progress, dict(facts.marks)) == (None, None, None, {})
    for part in (
        "No scores: give",
        "No map, and no",
        "No classes: give",
        "No learning curve:",
        "1 pick is without an image",
    ):
        assert said(facts, part), part
    assert facts.versions["numpy"] == np.__version__


def test_one_item_is_enough() -> None:
    known = Known(
        scores=Scores(["a"], {"age": [1.0]}),
        seen=seen_in(ClassificationPredictions(["a"], [[0.25, 0.75]]), ["a"]),
        embeddings=Embeddings(["a"], [[1.0, 2.0, 3.0]]),
    )
    facts = facts_of("a", item_ids=("a",), known=known)
    assert facts.positions is not None
    assert facts.positions.tolist() == [[0.0, 0.0]]
    assert facts.balance == (ClassCount("1", 0, 1),)
    assert said(facts, "No distances to labeled items: nothing was labeled.")


BOTH = "label, or predicted class"
BEFORE = ("img_0.png", "img_1.png", "img_2.png", "img_3.png")  # as predicted: cat, dog, cow, cat


@pytest.mark.parametrize(
    ("labels", "kind", "balance", "sentence"),
    [
        (dict(zip(BEFORE, ("dog", "dog", "fox", "dog"))), "label, or predicted class", {"dog": (3, 1), "fox": (1, 0)}, ""),
        (
            {"img_0.png": "fox"},
            "label, or predicted class",
            {"fox": (1, 0), "dog": (1, 1)},
            "labels of 3 of 4 labeled images",
        ),
        ({}, "predicted class", {"cat": (2, 0), "dog": (1, 1), "cow": (1, 0)}, "The labels of the labeled images are not"),
        ({name: {"box": 1} for name in BEFORE}, "predicted class", {"cat": (2, 0)}, "The labels of the labeled images"),
    ],
)
def test_classes_are_labels_where_they_are_known_and_else_predicted(
    labels: Mapping[str, object], kind: str, balance: Mapping[str, tuple[int, int]], sentence: str
) -> None:
    known = Known(seen=seen_in(classified(), ["img_4.png"]), labels=labels)
    facts = facts_of("img_4.png", labeled=BEFORE, known=known)
    assert facts.class_kind == kind
    assert facts.balance is not None
    found = {one.name: (one.before, one.picked) for one in facts.balance}
    assert balance.items() <= found.items()
    assert sum(one.before for one in facts.balance) == 4
    assert said(facts, "The labels of") == bool(sentence)
    assert said(facts, sentence)


def test_labels_alone_are_classes_too_and_numbers_count() -> None:
    known = Known(labels={"img_0.png": 3, "img_1.png": 3.5, "img_5.png": 3, "gone.png": 4})
    facts = facts_of("img_5.png", "img_6.png", labeled=BEFORE, known=known)
    assert facts.balance == (ClassCount("3", 1, 1), ClassCount("3.5", 1, 0))
    assert facts.class_kind == "label"
    assert said(facts, "1 of 4 items with a label are not in the project, the first is 'gone.png': they are left out.")
    assert said(facts, "1 pick is of unknown class")


def test_of_detections_boxes_are_counted_above_the_scorers_threshold() -> None:
    predictions = DetectionPredictions(
        ["img_0.png", "img_1.png", "img_2.png"],
        boxes=[[0, 0, 1, 1]] * 5,
        scores=[0.9, 0.2, 0.8, 0.7, 0.1],
        labels=[0, 1, 1, 1, 0],
        offsets=[0, 2, 4, 5],
        class_names=["car", "bus"],
    )
    every = Known(seen=seen_in(predictions, ["img_1.png"], ["img_0.png"]))
    surer = Known(seen=seen_in(predictions, ["img_1.png"], ["img_0.png"], score_threshold=0.5))
    facts = facts_of("img_1.png", labeled=("img_0.png",), known=every)
    assert facts.balance == (ClassCount("bus", 1, 2), ClassCount("car", 1, 0))
    assert (facts.balance_unit, facts.class_kind) == ("boxes", "class of the surest box")
    assert list(facts.classes or ())[:4] == ["car", "bus", "car", ""]
    assert len(facts.marks["img_1.png"].boxes) == 2
    facts = facts_of("img_1.png", labeled=("img_0.png",), known=surer)
    assert facts.balance == (ClassCount("bus", 0, 2), ClassCount("car", 1, 0))
    assert list(facts.classes or ())[:3] == ["car", "bus", ""]


def test_marks_of_maps_are_made_when_they_are_asked_for_and_of_the_picks_alone() -> None:
    maps = [np.full((2, 3, 2), 0.5) for _ in IDS]
    maps[3][...] = [0.1, 0.9]
    seen = seen_in(SegmentationPredictions(IDS, maps), ["img_3.png"])
    assert seen.marks()["img_3.png"].mask is not None
    assert np.asarray(seen.marks()["img_3.png"].mask).tolist() == [[1, 1, 1], [1, 1, 1]]
    assert list(seen.marks()) == ["img_3.png"]
    streamed = seen_on_maps(SegmentationPredictions.stream(zip(IDS, maps)), ["img_3.png"])
    assert (list(streamed.marks()), streamed.item_ids) == (["img_3.png"], IDS)
    broken = seen_in(SegmentationPredictions(["img_0.png"], [np.full((1, 1, 2), 7.0)]), ["img_0.png"])
    facts = facts_of("img_0.png", known=Known(seen=broken))
    assert said(facts, "What the model sees is not drawn: probabilities of 'img_0.png'")


def test_marks_are_of_the_first_picks_alone() -> None:
    ids = tuple(f"{n}" for n in range(N_CARDS + 5))
    seen = seen_in(ClassificationPredictions(ids, np.full((len(ids), 2), 0.5)), ids)
    assert tuple(seen.marks()) == ids[:N_CARDS]


def test_twenty_thousand_classes_are_counted() -> None:
    n = 20_000
    ids = tuple(map(str, range(n)))
    seen = Seen(ids, ids, np.arange(n, dtype=np.int32), dict)
    facts = facts_of("7", "9", labeled=("7", "8"), item_ids=ids, known=Known(seen=seen))
    assert facts.balance == (ClassCount("7", 0, 1), ClassCount("8", 1, 0), ClassCount("9", 0, 1))


def test_names_with_markup_halves_of_pairs_and_either_direction_are_kept_as_they_are() -> None:
    odd = ("<script>alert(1)</script>", "half \ud800.png", "\u05e9\u05dc\u05d5\u05dd.png")
    known = Known(
        scores=Scores(odd, {"age": [1.0, 2.0, 3.0]}),
        embeddings=Embeddings(odd, np.eye(3)),
        labels={odd[0]: "\u202ecat", odd[1]: "</td>"},
    )
    facts = facts_of(odd[2], labeled=odd[:2], item_ids=odd, known=known)
    assert facts.item_ids == odd
    assert {one.name for one in facts.balance or ()} == {"\u202ecat", "</td>"}
    assert facts.positions is not None
    assert np.isfinite(facts.positions).all()


STRANGERS = ["x.png", "y.png"]


@pytest.mark.parametrize(
    ("known", "message"),
    [
        (
            Known(scores=Scores(STRANGERS, {"age": [1.0, 2.0]})),
            "none of 2 items with a score is in the project",
        ),
        (Known(embeddings=Embeddings(STRANGERS, np.eye(2))), "none of 2 items with an embedding"),
        (Known(seen=seen_in(ClassificationPredictions(STRANGERS, np.eye(2)), [])), "none of 2 items with a prediction"),
        (
            Known(labels=dict.fromkeys(STRANGERS, "cat")),
            "with a label.*'x.png'; its ids look like 'img_0.png'",
        ),
        (Known(positions=Embeddings(STRANGERS, np.eye(2))), "none of 2 items with a position"),
        (Known(positions=Embeddings(IDS[:3], np.eye(3))), "positions has 3 dimensions; expected 2"),
        (
            Known(embeddings=Embeddings(IDS[:3], np.eye(3)), map_method="mds"),
            "map_method is 'mds'; expected one of",
        ),
    ],
)
def test_what_is_of_no_item_is_an_error(known: Known, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        facts_of("img_1.png", known=known)


def test_scores_and_embeddings_of_another_round_are_said() -> None:
    scores, embeddings = Scores(IDS, {"age": np.arange(8.0)}), Embeddings(IDS, np.arange(8.0)[:, None])
    current = dataclasses.replace(
        round_of("img_1.png"), score="size", scores_digest="sha256:0", embeddings_digest="sha256:0"
    )
    facts = gather(current, items(), Known(scores=scores, embeddings=embeddings), project="animals")
    assert said(facts, "The scores have no column 'size', which the round used.")
    assert said(facts, "The scores shown are not those that the batch was picked by.")
    assert said(facts, "The embeddings shown are not those that the batch was picked by.")
    assert facts.score_name == "age"

    facts = gather(round_of("img_1.png"), items(), Known(scores=scores), project="animals")
    assert said(facts, "The batch was picked without a score: the scores shown were given for this page.")


def test_the_last_round_that_picked_an_item_counts_up_to_this_one() -> None:
    rounds = [round_of("img_1.png", "img_2.png"), round_of("img_2.png", number=2), round_of("img_3.png", number=3)]
    facts = gather(rounds[1], items(), Known(), project="animals", history=rounds)
    assert facts.round_of is not None
    assert facts.round_of.tolist() == [0, 1, 2, 0, 0, 0, 0, 0]
    assert facts.history == tuple(rounds[:2])


def test_columns_of_groups_are_among_the_figures() -> None:
    metadata = Metadata(IDS, {"video": ["a", "b"] * 4, "seconds": np.linspace(0, 1, 8)})
    facts = facts_of("img_1.png", "img_3.png", known=Known(metadata=metadata))
    assert facts.quality is not None
    assert [figure.name for figure in facts.quality] == ["values of video", "largest value of video"]


def test_cosine_distances_of_a_vector_without_direction_are_missing_and_said() -> None:
    vectors = np.eye(8)
    vectors[2] = 0
    current = round_of("img_1.png", config=SamplerConfig(1, metric="cosine"), n_labeled=1)
    facts = gather(current, items(("img_0.png",)), Known(embeddings=Embeddings(IDS, vectors)), project="animals")
    assert (facts.labeled_distances, facts.quality, facts.distance_unit) == (None, None, "cosine")
    assert said(facts, "No distances to labeled items: the embedding of 'img_2.png' is zero")
    vectors[2] = vectors[3]
    facts = gather(current, items(("img_0.png",)), Known(embeddings=Embeddings(IDS, vectors)), project="animals")
    assert facts.labeled_distances is not None
    np.testing.assert_allclose(facts.labeled_distances, [np.nan, *[1.0] * 7])


# --- large pools ---


def test_of_a_large_pool_the_picks_and_an_even_part_are_measured() -> None:
    n, n_labeled, d = 12_000, 5_000, 700
    vectors = np.random.default_rng(0).random((n, d), dtype=np.float32)
    pool = Pool(tuple(map(str, range(n))), np.arange(n) < n_labeled, vectors=vectors)
    picks = np.array([5_001, 11_999])
    found = nearness_of(pool, "euclidean", picks)
    assert found is not None
    assert 3_000 < len(found.rows) < 7_000
    assert np.isin(picks, found.rows).all()
    differences = vectors[:n_labeled].astype(np.float64) - vectors[found.rows[100]]
    np.testing.assert_allclose(found.distances[100], np.linalg.norm(differences, axis=1).min(), rtol=1e-12)


def test_figures_of_a_large_pool_are_over_a_random_part_and_say_so() -> None:
    n = 60_000
    pool = Pool(tuple(map(str, range(n))), scores=np.arange(n, dtype=float))
    selection = Selection(("59999", "59998"), np.zeros(2), ("", ""), "UNCERTAINTY")
    quality = quality_in(pool, selection, "euclidean")
    assert quality["mean score"].value == 59_998.5
    assert "All figures are over a random " in quality.notes[-1]
    assert f"of the {n:,} candidates, and the picks." in quality.notes[-1]


# --- the map ---


def test_a_kept_map_is_used_again_and_made_anew_where_it_does_not_fit(tmp_path: Path) -> None:
    embeddings, kept = Embeddings(IDS, np.random.default_rng(0).normal(size=(8, 5))), tmp_path / "maps" / KEPT_FILE
    first = places_of(embeddings, method="pca", kept=kept)
    marked = dict(np.load(kept))
    marked["positions"] = np.full((8, 2), 0.5, dtype=np.float32)
    np.savez(kept, **marked)
    assert places_of(embeddings, kept=kept).positions.tolist() == [[0.5, 0.5]] * 8
    assert places_of(embeddings, kept=kept).method == "PCA"
    another = Embeddings(IDS, embeddings.vectors + 1)
    assert not (places_of(another, method="pca", kept=kept).positions == 0.5).any()
    np.savez(kept, **marked)
    assert places_of(embeddings, method="tsne", kept=kept).method == "t-SNE"
    for damage in (b"", b"PK\x03\x04 cut short"):
        kept.write_bytes(damage)
        assert places_of(embeddings, method="pca", kept=kept).positions.tolist() == first.positions.tolist()


def test_a_map_that_cannot_be_kept_is_made_all_the_same(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder", encoding="utf-8")
    found = places_of(Embeddings(IDS, np.eye(8)), method="pca", kept=tmp_path / "file" / KEPT_FILE)
    assert found.positions.shape == (8, 2)


def test_of_many_items_the_map_is_made_by_a_part_and_the_others_go_to_their_nearest() -> None:
    rng = np.random.default_rng(0)
    group = rng.integers(3, size=900)
    vectors = np.eye(3)[group] * 50 + rng.normal(size=(900, 3))
    positions = by_part(Embeddings([str(n) for n in range(900)], vectors), 150)
    middles = np.array([np.median(positions[group == one], axis=0) for one in range(3)])
    nearest = np.linalg.norm(positions[:, None] - middles, axis=2).argmin(axis=1)
    assert (nearest == group).mean() > 0.99


def test_two_dimensions_are_places_already() -> None:
    found = places_of(Embeddings(IDS[:2], [[1.0, 2.0], [3.0, 4.0]]))
    assert (found.positions.tolist(), found.method) == ([[1.0, 2.0], [3.0, 4.0]], "as given")


# --- the curve ---

LABELS = (50, 100, 200, 400, 800)
CURVE = [(n, 0.9 - 2.0 * n**-0.5) for n in LABELS]


def test_a_curve_is_continued_to_twice_its_labels_and_gives_advice() -> None:
    progress = progress_of(CURVE, 100, value_per_point=200, cost_per_label=0.5)
    assert (progress.expected_at[0], progress.expected_at[-1]) == (800, 1600)
    np.testing.assert_allclose(progress.expected[-1], 0.9 - 2.0 * 1600**-0.5, atol=1e-6)
    assert progress.sentences == ("Go on: 100 more labels are expected to gain 0.404 points, worth 80.88, and cost 50.",)


def test_percentages_are_known_by_a_figure_above_one() -> None:
    shares, percents = progress_of(CURVE, 100), progress_of([(n, 100 * y) for n, y in CURVE], 100, name="mAP")
    np.testing.assert_allclose(percents.expected, 100 * shares.expected, rtol=1e-6)
    assert percents.sentences == ("Labeling 100 more is expected to raise mAP by 0.404 points.",)


def test_a_curve_that_cannot_be_continued_says_why() -> None:
    progress = progress_of([(10, 0.5), (20, 0.6)], 5)
    assert progress.expected.shape == (0, 3)
    assert progress.sentences == (
        "What the next batch is expected to gain cannot be said: there are 2 measurements, and to continue a curve takes 4 "
        "or more.",
    )


@pytest.mark.parametrize(
    ("curve", "prices", "message"),
    [
        ([], {}, r"curve has shape \(0,\); expected \(labels, figure\)"),
        ([(1, 2, 3)], {}, r"curve has shape \(1, 3\)"),
        ([(20, 0.5), (10, 0.6)], {}, "budget 20 is followed by 10"),
        ([(10, 0.5), (20, 200.0)], {}, "above upper"),
        (CURVE, {"value_per_point": 1.0}, "value_per_point is given without cost_per_label"),
        (CURVE, {"cost_per_label": 1.0}, "cost_per_label is given without value_per_point"),
    ],
)
def test_a_curve_that_makes_no_sense_is_an_error(
    curve: list[tuple[float, float]], prices: Mapping[str, float], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        progress_of(curve, 100, value_per_point=prices.get("value_per_point"), cost_per_label=prices.get("cost_per_label"))


# --- once more ---

CONFIGS = [
    SamplerConfig(5),
    SamplerConfig(method="AUTO"),
    SamplerConfig(proportion=0.5, method="UNCERTAINTY", score="uncertainty_entropy", name="it's a name"),
    SamplerConfig(5, method="CORAL", metric="cosine", min_distance=0.25, score_strength=2.0, seed=7),
    SamplerConfig(5, strategies=[Diversity(strength=2.0), Weight()]),
    SamplerConfig(5, method="PROBCOVER", options={"delta": 0.5}),
]


@pytest.mark.parametrize("config", CONFIGS, ids=[str(config.method) for config in CONFIGS])
def test_the_python_asks_for_the_same_batch(config: SamplerConfig) -> None:
    asked: list[SamplerConfig] = []

    class Agent:
        def query(self, config: SamplerConfig) -> None:
            asked.append(config)

    exec(in_python(config, has_scores=False), {"agent": Agent()})
    assert [one.to_dict() for one in asked] == [config.to_dict()]


def test_the_python_of_a_real_round_gives_its_batch_again(tmp_path: Path) -> None:
    platform = PlatformLocal.create(tmp_path, images=IDS)
    agent = ActiveLearningAgent(platform, embeddings=Embeddings(IDS, np.random.default_rng(3).normal(size=(8, 4))))
    scorer = ScorerClassification(classified())
    batch = agent.query(SamplerConfig(3, method="CORAL", score="uncertainty_entropy", seed=5), scorer)
    names: dict[str, object] = {"agent": agent, "scorer": scorer}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        exec(in_python(agent.last_round.config, has_scores=True), names)
    again = names["batch"]
    assert isinstance(again, Selection)
    assert again.item_ids == batch.item_ids
