from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from samplers.bald import mutual_information as information_in_nats
from scorers import ClassificationPredictions, EnsemblePredictions, ScorerClassification, ScorerEnsemble, Scores

Array = npt.NDArray[np.float64]

UNCERTAINTIES = ("uncertainty_least_confidence", "uncertainty_margin", "uncertainty_entropy")


def ids_of(n_items: int) -> tuple[str, ...]:
    return tuple(f"{row}.png" for row in range(n_items))


def random_committee(seed: int, n: int, t: int, c: int, *, dtype: str = "f8") -> EnsemblePredictions:
    values = np.random.default_rng(seed).dirichlet(np.full(c, 0.5), size=(n, t)).astype(dtype)
    return EnsemblePredictions(ids_of(n), values)


def as_lists(scores: Scores) -> dict[str, list[float]]:
    return {name: values.tolist() for name, values in scores.columns.items()}


# --- formulas --------------------------------------------------------------------------------------------------------


def bits(row: list[float]) -> float:
    return -math.fsum(p * math.log2(p) for p in row if p > 0)


def by_hand(members: list[list[float]]) -> dict[str, float]:
    """The disagreement of t members on one item, and KL as it is defined rather than as mutual information."""
    t, c = len(members), len(members[0])
    mean = [math.fsum(column) / t for column in zip(*members, strict=True)]
    divergences = [math.fsum(p * math.log2(p / q) for p, q in zip(row, mean, strict=True) if p > 0) for row in members]
    votes = Counter(row.index(max(row)) for row in members)
    shares = [count / t for count in votes.values()]
    return {
        "bald": (bits(mean) - math.fsum(map(bits, members)) / t) / math.log2(c),
        "mean_kl": math.fsum(divergences) / t,
        "vote_entropy": bits(shares) / math.log2(min(t, c)),
        "variation_ratio": 1 - max(shares),
    }


@settings(max_examples=50, derandomize=True, database=None, deadline=None)
@given(seed=st.integers(0, 999), n=st.integers(1, 8), t=st.integers(2, 7), c=st.integers(2, 9), n_zero=st.integers(0, 4))
def test_scores_equal_a_plain_loop(seed: int, n: int, t: int, c: int, n_zero: int) -> None:
    rng = np.random.default_rng(seed)
    values = rng.dirichlet(np.full(c, 0.5), size=(n, t))
    for _ in range(n_zero):  # certain members
        values[rng.integers(n), rng.integers(t)] = np.eye(c)[rng.integers(c)]
    scores = ScorerEnsemble(EnsemblePredictions(ids_of(n), values)).scores()
    for row, members in enumerate(values.tolist()):
        for name, expected in by_hand(members).items():
            assert scores.column(name)[row] == pytest.approx(expected, abs=1e-9), name


SURE, OTHER, EVEN = [1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [1 / 3, 1 / 3, 1 / 3]


@pytest.mark.parametrize(
    ("members", "bald", "vote_entropy", "variation_ratio", "entropy"),
    [
        ([SURE, SURE, SURE], 0, 0, 0, 0),
        ([EVEN, EVEN, EVEN], 0, 0, 0, 1),  # noisy: nobody knows, and all agree on that
        ([SURE, OTHER, [0.0, 0.0, 1.0]], 1, 1, 2 / 3, 1),  # the most that can be
        ([SURE, OTHER], math.log(2, 3), 1, 1 / 2, math.log(2, 3)),  # the most of two members
        ([SURE, SURE, OTHER, OTHER], math.log(2, 3), math.log(2, 3), 1 / 2, math.log(2, 3)),
    ],
)
def test_what_a_committee_can_say(
    members: list[list[float]], bald: float, vote_entropy: float, variation_ratio: float, entropy: float
) -> None:
    scores = ScorerEnsemble(EnsemblePredictions(["a"], [members])).scores()
    assert scores.default == "bald"
    assert scores.names == ("bald", "mean_kl", "vote_entropy", "variation_ratio", *UNCERTAINTIES)
    assert scores.column("bald") == pytest.approx([bald], abs=1e-12)
    assert scores.column("mean_kl") == pytest.approx([bald * math.log2(3)], abs=1e-12)
    assert scores.column("vote_entropy") == pytest.approx([vote_entropy], abs=1e-12)
    assert scores.column("variation_ratio") == pytest.approx([variation_ratio], abs=1e-12)
    assert scores.column("uncertainty_entropy") == pytest.approx([entropy], abs=1e-12)


def test_a_vote_between_equal_classes_goes_to_the_first() -> None:
    members = [[0.5, 0.5, 0.0], [0.4, 0.4, 0.2], [0.2, 0.4, 0.4]]
    scores = ScorerEnsemble(EnsemblePredictions(["a"], [members])).scores()
    assert scores.column("variation_ratio") == pytest.approx([1 / 3])


@pytest.mark.parametrize("dtype", ["f2", "f4", "f8"])
@pytest.mark.parametrize(("t", "c"), [(2, 2), (5, 3), (10, 50)])
def test_bald_is_the_number_that_the_sampler_picks_by(dtype: str, t: int, c: int) -> None:
    committee = random_committee(0, 400, t, c, dtype=dtype)
    scores = ScorerEnsemble(committee).scores()
    nats = information_in_nats(committee.probabilities)
    assert scores.column("mean_kl") == pytest.approx(nats / math.log(2), rel=0, abs=1e-12)
    assert scores.column("bald") == pytest.approx(nats / math.log(c), rel=0, abs=1e-12)
    assert np.argsort(-scores.column("bald"), kind="stable")[:20].tolist() == np.argsort(-nats, kind="stable")[:20].tolist()


def test_uncertainties_are_those_of_the_mean_and_bald_is_what_of_it_the_members_lack() -> None:
    committee = random_committee(1, 300, 4, 6)
    scores = ScorerEnsemble(committee).scores()
    of_mean = as_lists(ScorerClassification(committee.mean()).scores())
    assert {name: scores.column(name).tolist() for name in UNCERTAINTIES} == of_mean
    members = np.mean([[bits(row) for row in item] for item in committee.probabilities.tolist()], axis=1) / math.log2(6)
    assert scores.column("uncertainty_entropy") - scores.column("bald") == pytest.approx(members, abs=1e-12)


def test_rounding_of_half_precision_is_not_taken_for_disagreement() -> None:
    row = np.array([1 / 3, 1 / 3, 1 / 3]).astype(np.float16)  # sums to 0.9998
    scores = ScorerEnsemble(EnsemblePredictions(["a"], np.stack([[row, row]]))).scores()
    assert scores.column("bald") == pytest.approx([0.0], abs=1e-15)


# --- each item is scored alone ---------------------------------------------------------------------------------------


@settings(max_examples=50, derandomize=True, database=None, deadline=None)
@given(
    seed=st.integers(0, 999),
    n=st.integers(1, 20),
    t=st.integers(2, 7),
    c=st.integers(2, 9),
    dtype=st.sampled_from(["f2", "f4", "f8"]),
    data=st.data(),
)
def test_chunks_and_layout_change_no_bit_of_a_score(
    seed: int, n: int, t: int, c: int, dtype: str, data: st.DataObject
) -> None:
    committee = random_committee(seed, n, t, c, dtype=dtype)
    whole = as_lists(ScorerEnsemble(committee).scores())
    cuts = sorted(data.draw(st.sets(st.integers(1, n - 1), max_size=4))) if n > 1 else []
    chunks = [committee[a:b] for a, b in zip([0, *cuts], [*cuts, n], strict=True)]
    assert as_lists(ScorerEnsemble(chunks).scores()) == whole
    turned = EnsemblePredictions(committee.item_ids, np.asfortranarray(committee.probabilities))
    assert as_lists(ScorerEnsemble(turned).scores()) == whole


def test_chunks_larger_than_a_block_change_no_bit_of_a_score() -> None:
    committee = random_committee(2, 3_000, 5, 20)
    whole = as_lists(ScorerEnsemble(committee).scores())
    assert as_lists(ScorerEnsemble([committee[:1], committee[1:1_311], committee[1_311:]]).scores()) == whole


def test_other_predictions_are_refused() -> None:
    single = ClassificationPredictions(["a"], [[0.5, 0.5]])
    with pytest.raises(ValueError, match="ScorerEnsemble takes EnsemblePredictions"):
        ScorerEnsemble(single).scores()  # type: ignore[arg-type]


# --- predictions: members one after the other ------------------------------------------------------------------------


def test_members_may_come_as_a_list_or_from_a_generator_that_reuses_its_memory() -> None:
    passes = np.random.default_rng(0).dirichlet(np.ones(3), size=(4, 5)).astype(np.float32)  # (t, n, c)

    def stochastic() -> Iterator[npt.NDArray[np.float32]]:
        buffer = np.empty((5, 3), dtype=np.float32)
        for each in passes:
            buffer[:] = each
            yield buffer

    expected = passes.transpose(1, 0, 2)
    for members in (list(passes), stochastic(), tuple(each.tolist() for each in passes), passes):
        committee = EnsemblePredictions.from_members(ids_of(5), members, class_names=["x", "y", "z"])
        assert committee.probabilities.tolist() == expected.tolist()
        assert (committee.n_members, committee.n_classes, committee.class_names) == (4, 3, ("x", "y", "z"))


def test_members_that_carry_ids_are_joined_by_them() -> None:
    rows = [[0.9, 0.1], [0.6, 0.4], [0.2, 0.8]]
    first = ClassificationPredictions(["a", "b", "c"], rows, class_names=["cat", "dog"])
    second = ClassificationPredictions(["c", "a", "b"], rows)
    committee = EnsemblePredictions.from_members(["b", "c", "a"], [first, second])
    assert committee.probabilities.tolist() == [
        [[0.6, 0.4], [0.2, 0.8]],
        [[0.2, 0.8], [0.9, 0.1]],
        [[0.9, 0.1], [0.6, 0.4]],
    ]
    assert committee.class_names == ("cat", "dog")
    assert committee.mean().class_names == ("cat", "dog")


def test_one_column_of_a_member_is_the_positive_class_of_two() -> None:
    committee = EnsemblePredictions.from_members(["a", "b"], [[[0.75], [0.5]], [[0.25], [1.0]]])
    assert committee.probabilities.tolist() == [[[0.25, 0.75], [0.75, 0.25]], [[0.5, 0.5], [0.0, 1.0]]]


def named(*names: str) -> ClassificationPredictions:
    return ClassificationPredictions(["a", "b"], [[0.5, 0.5]] * 2, class_names=names)


GOOD = [[0.5, 0.5], [0.9, 0.1]]


@pytest.mark.parametrize(
    ("members", "parts"),
    [
        ([GOOD], ["there are 1 members", "at least 2"]),
        (iter(()), ["there are 0 members"]),
        (named("x", "y"), ["members is one ClassificationPredictions"]),
        ([GOOD, [[0.5, 0.5]]], ["member 1 has 1 rows for 2 item ids"]),
        ([GOOD, [[0.5, 0.25, 0.25]] * 2], ["member 1 has 3 classes, member 0 has 2"]),
        ([GOOD, [0.5, 0.5]], ["member 1 has shape (2,)", "(n, c)"]),
        ([GOOD, [[0.5, 0.5], [3.0, -1.0]]], ["'b', member 1,", "from_logits"]),
        ([GOOD, [[math.nan, 0.5], [0.9, 0.1]]], ["'a', member 1,", "finite"]),
        ([named("x", "y"), named("y", "x")], ["member 1 has the classes y, x", "expected x, y"]),
        ([GOOD, ClassificationPredictions(["a", "c"], GOOD)], ["member 1 lacks 1 items", "'b'"]),
    ],
)
def test_bad_members_are_refused_by_number(members: Any, parts: list[str]) -> None:
    with pytest.raises(ValueError) as refusal:
        EnsemblePredictions.from_members(["a", "b"], members)
    assert [part for part in parts if part not in str(refusal.value)] == []


# --- predictions: logits, names, slices ------------------------------------------------------------------------------


def test_logits_of_every_member_become_their_softmax() -> None:
    logits = np.random.default_rng(3).normal(scale=4, size=(6, 3, 5))
    committee = EnsemblePredictions.from_logits(ids_of(6), logits, class_names=list("abcde"))
    for member in range(3):
        single = ClassificationPredictions.from_logits(ids_of(6), logits[:, member])
        assert committee.probabilities[:, member].tolist() == single.probabilities.tolist()
    assert committee.class_names == ("a", "b", "c", "d", "e")


@pytest.mark.parametrize(
    ("logits", "parts"),
    [
        ([[[0.0, 1.0], [0.0, 1.0]], [[0.0, 1.0], [math.inf, 1.0]]], ["logits of 'b', member 1,", "finite"]),
        ([[0.0, 1.0], [0.0, 1.0]], ["logits has shape (2, 2)", "(n, t, c)"]),
        (np.zeros((2, 1, 3)), ["(2, 1, 3)", "at least 2 members"]),
        (np.zeros((1, 2, 3)), ["logits has 1 rows for 2 item ids"]),
    ],
)
def test_bad_logits_are_refused_by_item_and_member(logits: Any, parts: list[str]) -> None:
    with pytest.raises(ValueError) as refusal:
        EnsemblePredictions.from_logits(["a", "b"], logits)
    assert [part for part in parts if part not in str(refusal.value)] == []


def test_a_slice_keeps_ids_and_names_beside_the_rows() -> None:
    whole = EnsemblePredictions(
        ["a", "b", "c"], [[[1.0, 0.0]] * 2, [[0.5, 0.5]] * 2, [[0.0, 1.0]] * 2], class_names=["x", "y"]
    )
    part = whole[1:]
    assert (part.item_ids, part.class_names, len(part)) == (("b", "c"), ("x", "y"), 2)
    assert part.probabilities.tolist() == [[[0.5, 0.5]] * 2, [[0.0, 1.0]] * 2]
    with pytest.raises(ValueError, match="expected a slice"):
        whole[1]  # type: ignore[index]


def test_names_must_be_one_for_each_class() -> None:
    with pytest.raises(ValueError, match="class_names has 1 names for 2 classes"):
        EnsemblePredictions(["a"], [[[0.5, 0.5]] * 2], class_names=["x"])
    with pytest.raises(ValueError, match="single string"):
        EnsemblePredictions(["a"], [[[0.5, 0.5]] * 2], class_names="xy")


def test_a_bad_row_far_behind_the_first_block_is_named() -> None:
    values = np.full((4_000, 20, 10), 0.1, dtype=np.float32)
    values[3_987, 13, 4] = 0.7
    with pytest.raises(ValueError, match=r"probabilities of '3987\.png', member 13, sums to 1\.6"):
        EnsemblePredictions(ids_of(4_000), values)


def test_chunks_of_a_stream_become_one_value_with_their_ids() -> None:
    rng = np.random.default_rng(4)
    whole = rng.dirichlet([1.0] * 3, size=(5, 2))
    parts = (EnsemblePredictions([f"{row}.png"], whole[row : row + 1], class_names=["x", "y", "z"]) for row in range(5))
    joined = EnsemblePredictions.concatenate(parts)
    assert joined.item_ids == ("0.png", "1.png", "2.png", "3.png", "4.png")
    assert joined.class_names == ("x", "y", "z")
    np.testing.assert_array_equal(joined.probabilities, whole)


def test_chunks_that_do_not_fit_each_other_are_refused() -> None:
    first = EnsemblePredictions(["a.png"], [[[0.5, 0.5], [0.5, 0.5]]])
    wide = EnsemblePredictions(["b.png"], [[[0.5, 0.25, 0.25], [0.5, 0.25, 0.25]]])
    with pytest.raises(ValueError, match="there are no predictions"):
        EnsemblePredictions.concatenate([])
    with pytest.raises(ValueError, match=r"part 1 is EnsemblePredictions.*3 classes.*as of part 0"):
        EnsemblePredictions.concatenate([first, wide])
    with pytest.raises(ValueError, match=r"'a\.png'"):
        EnsemblePredictions.concatenate([first, first])
    with pytest.raises(ValueError, match="part 0 is str; expected EnsemblePredictions"):
        EnsemblePredictions.concatenate("ab")  # type: ignore[arg-type]
