"""DISCRIMINATIVE picks what a discriminator, which really learned, is most sure is unlike the labeled."""

from __future__ import annotations

import itertools
import subprocess
import sys
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from samplers import Pool, SamplerDiscriminative, Selection
from samplers.discriminative import standardized

torch = pytest.importorskip("torch")
from samplers.discriminator import (  # noqa: E402
    Discriminator,
    Recipe,
    Training,
    alone,
    balanced_accuracy,
    train,
    trained,
)

Floats = npt.NDArray[np.floating[Any]]
CPU = torch.device("cpu")
RECIPE = Recipe(stop_accuracy=0.98, max_epochs=30, minibatch_size=64, learning_rate=1e-3)
QUICK = SamplerDiscriminative(n_sub_batches=4, max_epochs=10)


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def pool_of(vectors: npt.ArrayLike, labeled: list[int]) -> Pool:
    """Items named by their rows, with zeros in front so that the order by id is that of the rows."""
    values = np.asarray(vectors)
    is_labeled = np.zeros(len(values), dtype=bool)
    is_labeled[labeled] = True
    return Pool(tuple(f"{row:05d}" for row in range(len(values))), is_labeled, vectors=values)


def rows_of(selection: Selection) -> list[int]:
    return [int(item_id) for item_id in selection.item_ids]


def told(selection: Selection) -> tuple[tuple[str, ...], list[float], tuple[str, ...], str]:
    return selection.item_ids, selection.gains.tolist(), selection.reasons, selection.note


def clusters(n_each: list[int], middles: list[list[float]], spread: float = 0.3, seed: int = 1) -> Floats:
    return np.concatenate(
        [np.array(middle) + spread * rng(seed).normal(size=(n, len(middle))) for n, middle in zip(n_each, middles)]
    )


# --- What is picked ---


@pytest.mark.parametrize("n_dimensions", [2, 40])
def test_with_all_labels_in_one_cluster_the_picks_are_in_the_other(n_dimensions: int) -> None:
    near, far = [0.0] * n_dimensions, [3.0] * n_dimensions
    pool = pool_of(clusters([80, 40], [near, far]), labeled=list(range(70)))
    selection = SamplerDiscriminative(stop_accuracy=0.8).select(pool, 6, seed=3)
    assert min(rows_of(selection)) >= 80
    assert selection.gains.min() > 0.5
    assert selection.note == ""


@pytest.mark.parametrize("seed", [0, 1])
def test_sub_batches_go_where_one_batch_does_not(seed: int) -> None:
    """Of two far clusters the surest items are all in one, until it counts as labeled."""
    pool = pool_of(clusters([100, 60, 60], [[0.0, 0.0], [6.0, 0.0], [0.0, 5.0]]), labeled=list(range(50)))
    hit = {}
    for n_sub_batches in (1, 10):
        rows = np.array(
            rows_of(SamplerDiscriminative(n_sub_batches, candidate_factor=None, max_epochs=100).select(pool, 10, seed=seed))
        )
        assert rows.min() >= 100
        hit[n_sub_batches] = sorted([int((rows < 160).sum()), int((rows >= 160).sum())])
    assert hit[1][0] <= 1
    assert hit[10][0] >= 3


def test_gains_are_the_probabilities_of_the_picks_own_discriminator() -> None:
    """The whole of a batch in one part, computed again by hand."""
    vectors = clusters([30, 20], [[0.0, 0.0, 0.0], [1.0, 0.5, 0.0]], spread=0.5)
    labeled = [0, 3, 5, 8]
    sampler = SamplerDiscriminative(n_sub_batches=1, candidate_factor=None, max_epochs=7, minibatch_size=16)
    selection = sampler.select(pool_of(vectors, labeled), 12, seed=5)

    draws = rng(5)
    others = np.array([row for row in range(50) if row not in labeled])
    assert sorted(draws.choice(46, 46, replace=False).tolist()) == list(range(46))
    rows = np.concatenate([labeled, others])
    items = ((vectors[rows] - vectors[rows].mean(axis=0)) / vectors[rows].std(axis=0)).astype(np.float32)
    with alone(None) as device:
        network, _ = trained(items, np.arange(50) >= 4, Recipe(0.98, 7, 16, 1e-3), draws, device)
        logits = network(torch.from_numpy(items[4:])).detach().double().numpy()
    expected = 1 / (1 + np.exp(logits[:, 0] - logits[:, 1]))
    best = np.argsort(-expected)[:12]
    assert rows_of(selection) == others[best].tolist()
    np.testing.assert_allclose(selection.gains, expected[best], rtol=1e-4)


def test_a_subset_is_ten_times_the_labeled_and_what_is_outside_cannot_be_picked() -> None:
    pool = pool_of(rng(4).normal(size=(500, 3)), labeled=[10, 20, 30])
    read: list[int] = []

    class Counting(np.ndarray[Any, Any]):
        def __getitem__(self, key: Any) -> Any:
            if isinstance(key, np.ndarray) and key.dtype.kind == "i":
                read.extend(key.tolist())
            return super().__getitem__(key)

    assert pool.vectors is not None
    object.__setattr__(pool, "vectors", pool.vectors.view(Counting))
    selection = SamplerDiscriminative(n_sub_batches=1, max_epochs=1).select(pool, 3)
    assert {10, 20, 30} < set(read)
    assert len(set(read)) == 3 + 30
    assert set(rows_of(selection)) < set(read)


def test_parts_of_a_batch_differ_by_no_more_than_one() -> None:
    pool = pool_of(rng(4).normal(size=(60, 3)), labeled=list(range(10)))
    counts: list[int] = []
    selection = SamplerDiscriminative(n_sub_batches=4, max_epochs=1).select(pool, 10, on_pick=counts.append)
    assert counts == [3, 3, 2, 2]
    assert [reason.split("sub-batch ")[1][:6] for reason in selection.reasons[::3]] == [
        "1 of 4",
        "2 of 4",
        "3 of 4",
        "4 of 4",
    ]
    counts.clear()
    SamplerDiscriminative(max_epochs=1).select(pool, 2, on_pick=counts.append)
    assert counts == [1, 1]


# --- What is said ---


def test_reasons_are_in_words() -> None:
    pool = pool_of(clusters([80, 40], [[0.0, 0.0], [5.0, 5.0]]), labeled=list(range(80)))
    selection = SamplerDiscriminative(n_sub_batches=2).select(pool, 4)
    probability = f"{selection.gains[3]:.3f}"
    start = f"{probability} sure to be unlike the labeled, sub-batch 2 of 2, whose discriminator reached "
    assert selection.reasons[3].startswith(start)
    accuracy, epochs = selection.reasons[3][len(start) :].split(" in ")
    assert 0.98 <= float(accuracy) <= 1
    assert epochs.split()[1] in ("epoch", "epochs")


def test_the_note_says_that_equal_sets_cannot_be_told_apart() -> None:
    pool = pool_of(np.tile(rng(2).normal(size=(20, 3)), (2, 1)), labeled=list(range(20)))
    selection = SamplerDiscriminative(n_sub_batches=2, max_epochs=30).select(pool, 2)
    assert "the discriminators of 2 of 2 sub-batches cannot tell labeled from unlabeled, with balanced acc" in selection.note
    assert "where guessing has 0.5: their picks are little better than random" in selection.note


def test_the_note_says_that_the_stop_accuracy_was_not_reached() -> None:
    pool = pool_of(rng(1).normal(size=(200, 2)) + np.repeat([[0.0], [1.0]], 100, axis=0), labeled=list(range(100)))
    selection = SamplerDiscriminative(n_sub_batches=1, max_epochs=40).select(pool, 2)
    reached = float(selection.reasons[0].split("reached ")[1].split(" in ")[0])
    assert 0.6 < reached < 0.98
    assert selection.note == (
        f"the discriminators of 1 of 1 sub-batches reached balanced accuracies of {reached:.3f} in max_epochs=40, and not "
        "stop_accuracy=0.98"
    )


def test_the_note_says_when_few_labels_leave_few_to_choose_from() -> None:
    pool = pool_of(clusters([100, 400], [[0.0, 0.0], [9.0, 9.0]]), labeled=[0])
    sampler = SamplerDiscriminative(n_sub_batches=4, max_epochs=10)
    selection = sampler.select(pool, 80)
    assert len(set(rows_of(selection))) == 80
    assert (
        "1 of 4 sub-batches had fewer than 10 candidates for each pick, the narrowest 20 for 20, as their" in selection.note
    )
    assert "candidate_factor=None takes all candidates" in selection.note
    assert "candidates for each pick" not in sampler.select(pool, 4).note


# --- That it learns ---


def unlearned(
    rows: npt.NDArray[np.float32],
    is_unlabeled: npt.NDArray[np.bool_],
    recipe: Recipe,
    draws: np.random.Generator,
    device: Any,
) -> tuple[Discriminator, Training]:
    """A published defect: the optimizer was given the parameters of another network."""
    discriminator, other = (Discriminator(rows.shape[1], draws, device) for _ in range(2))
    optimizer = torch.optim.Adam(other.parameters(), lr=recipe.learning_rate)
    return discriminator, train(discriminator, optimizer, rows, is_unlabeled, recipe, draws)


def signs_of_learning(training: Callable[..., tuple[Discriminator, Training]], seed: int) -> dict[str, bool]:
    """Labeled rows in one cluster; among the unlabeled, a far cluster of a quarter."""
    vectors = clusters([100, 75, 25], [[0.0] * 8, [0.0] * 8, [2.0] * 8], seed=seed).astype(np.float32)
    is_unlabeled = np.arange(200) >= 100
    with alone(None) as device:
        before = [one.detach().clone() for one in Discriminator(8, rng(seed), device).parameters()]
        network, reached = training(standardized(vectors, np.arange(200)), is_unlabeled, RECIPE, rng(seed), device)
        surest = np.argsort(-network.log_odds(standardized(vectors, np.arange(200)))[100:])[:25]
    return {
        "all parameters changed": all(not torch.equal(a, b) for a, b in zip(before, network.parameters())),
        "the accuracy is above the prior": reached.accuracy > 0.6,
        "the surest are in the far cluster": bool((surest >= 75).all()),
    }


@pytest.mark.parametrize("seed", range(4))
def test_a_discriminator_learns(seed: int) -> None:
    assert all(signs_of_learning(trained, seed).values()), signs_of_learning(trained, seed)


def test_each_of_these_signs_is_missing_when_the_optimizer_has_another_networks_parameters() -> None:
    found = [signs_of_learning(unlearned, seed) for seed in range(4)]
    assert not any(signs["all parameters changed"] for signs in found)
    assert not all(signs["the accuracy is above the prior"] for signs in found)
    assert not all(signs["the surest are in the far cluster"] for signs in found)


def naive_epoch(weights: list[Floats], biases: list[Floats], x: Floats, y: npt.NDArray[np.int64], order: list[Any]) -> None:
    """Back-propagation and Adam in float64, one row and one number at a time where that is bearable."""
    first = [np.zeros_like(one) for one in (*weights, *biases)]
    second = [np.zeros_like(one) for one in (*weights, *biases)]
    class_weights = len(y) / (2 * np.bincount(y))
    for step, places in enumerate(order, start=1):
        gradients = [np.zeros_like(one) for one in (*weights, *biases)]
        for place in places:
            layers = [x[place]]
            for weight, bias in zip(weights, biases):
                layers.append(weight @ layers[-1] + bias)
                if weight is not weights[-1]:
                    layers[-1] = np.maximum(layers[-1], 0)
            chances = np.exp(layers[-1]) / np.exp(layers[-1]).sum()
            back = (chances - np.eye(2)[y[place]]) * class_weights[y[place]] / len(places)
            for layer in reversed(range(len(weights))):
                gradients[layer] += np.outer(back, layers[layer])
                gradients[len(weights) + layer] += back
                back = (weights[layer].T @ back) * (layers[layer] > 0)
        for number, (one, gradient) in enumerate(zip((*weights, *biases), gradients)):
            first[number] = 0.9 * first[number] + 0.1 * gradient
            second[number] = 0.999 * second[number] + 0.001 * gradient**2
            mean, square = first[number] / (1 - 0.9**step), second[number] / (1 - 0.999**step)
            one[...] = one - 1e-3 * mean / (np.sqrt(square) + 1e-8)


def test_an_epoch_is_that_of_a_slow_computation_by_hand() -> None:
    x = rng(3).normal(size=(23, 5)).astype(np.float32)
    is_unlabeled = np.arange(23) >= 4
    with alone(None) as device:
        network, reached = trained(x, is_unlabeled, Recipe(0.999, 1, 8, 1e-3), rng(9), device)

    draws = rng(9)
    sizes = [5, 20, 20, 20, 2]
    drawn = [draws.uniform(-((6 / a) ** 0.5), (6 / a) ** 0.5, size=(b, a)) for a, b in itertools.pairwise(sizes)]
    weights: list[Floats] = [one.astype(np.float32).astype(np.float64) for one in drawn]
    biases: list[Floats] = [np.zeros(size) for size in sizes[1:]]
    order = np.array_split(draws.permutation(23), 3)
    naive_epoch(weights, biases, x.astype(np.float64), is_unlabeled.astype(np.int64), order)
    for found, expected in zip(network.parameters(), [*weights, *biases]):
        np.testing.assert_allclose(found.detach().numpy(), expected, atol=2e-5)

    logits = np.array([through(row, weights, biases) for row in x.astype(np.float64)])
    np.testing.assert_allclose(network.log_odds(x), logits[:, 1] - logits[:, 0], atol=1e-3)
    is_right = (logits[:, 1] > logits[:, 0]) == is_unlabeled
    assert reached.accuracy == pytest.approx((is_right[:4].mean() + is_right[4:].mean()) / 2)
    assert reached.n_epochs == 1


def through(row: Floats, weights: list[Floats], biases: list[Floats]) -> Floats:
    for weight, bias in zip(weights[:-1], biases[:-1]):
        row = np.maximum(weight @ row + bias, 0)
    result: Floats = weights[-1] @ row + biases[-1]
    return result


def test_accuracy_is_balanced_so_that_always_unlabeled_is_guessing() -> None:
    network = Discriminator(3, rng(), CPU)
    with torch.no_grad():
        for weight in network.weights:
            weight.zero_()
        network.biases[-1].copy_(torch.tensor([0.0, 1.0]))  # always unlabeled
    inputs = torch.zeros((110, 3))
    assert balanced_accuracy(network, inputs, np.arange(110) >= 10) == 0.5


def test_training_stops_at_the_first_epoch_that_is_good_enough() -> None:
    vectors = standardized(clusters([100, 100], [[0.0] * 6, [1.0] * 6]), np.arange(200))
    is_unlabeled = np.arange(200) >= 100
    with alone(None) as device:
        accuracies = [
            trained(vectors, is_unlabeled, Recipe(0.9999, n, 16, 1e-3), rng(1), device)[1].accuracy for n in range(1, 9)
        ]
        stop = 0.95
        expected = next(number for number, accuracy in enumerate(accuracies, start=1) if accuracy >= stop)
        assert accuracies[0] < stop < accuracies[-1]
        reached = trained(vectors, is_unlabeled, Recipe(stop, 100, 16, 1e-3), rng(1), device)[1]
    assert reached == (accuracies[expected - 1], expected)


def test_every_sub_batch_has_new_weights() -> None:
    pool = pool_of(np.full((12, 2), 0.5), labeled=[0, 1])
    gains = SamplerDiscriminative(n_sub_batches=3, minibatch_size=4, max_epochs=2).select(pool, 3).gains
    assert len(set(gains.tolist())) == 3


# --- The same again ---


def test_threads_and_torchs_own_settings_change_nothing() -> None:
    pool = pool_of(rng(6).normal(size=(700, 48)), labeled=list(range(60)))
    sampler = SamplerDiscriminative(n_sub_batches=2, max_epochs=3)
    expected = told(sampler.select(pool, 20, seed=7))
    before = torch.get_num_threads()
    try:
        for n_threads in (1, 2, 3):
            torch.set_num_threads(n_threads)
            assert told(sampler.select(pool, 20, seed=7)) == expected
            assert torch.get_num_threads() == n_threads
    finally:
        torch.set_num_threads(before)
    with torch.inference_mode(), torch.autocast("cpu", dtype=torch.bfloat16):
        assert told(sampler.select(pool, 20, seed=7)) == expected
        assert torch.is_inference_mode_enabled()


def test_torchs_randomness_is_neither_read_nor_changed() -> None:
    pool = pool_of(rng(6).normal(size=(60, 4)), labeled=[0, 1, 2])
    batches = []
    with torch.random.fork_rng():
        for seed in (1, 2):
            torch.manual_seed(seed)
            state = torch.get_rng_state()
            batches.append(told(QUICK.select(pool, 10, seed=7)))
            assert torch.equal(torch.get_rng_state(), state)
    assert batches[0] == batches[1]


def test_the_order_of_the_pool_changes_nothing_and_the_seed_does() -> None:
    pool = pool_of(rng(6).normal(size=(200, 4)), labeled=list(range(9)))
    assert pool.vectors is not None
    order = rng(1).permutation(200)
    moved = Pool(tuple(pool.item_ids[row] for row in order), pool.is_labeled[order], vectors=pool.vectors[order])
    assert told(QUICK.select(moved, 15, seed=2)) == told(QUICK.select(pool, 15, seed=2))
    assert QUICK.select(pool, 15, seed=3).item_ids != QUICK.select(pool, 15, seed=2).item_ids


def test_threads_come_back_after_an_interrupt() -> None:
    def interrupt(_: int) -> None:
        raise KeyboardInterrupt

    before = torch.get_num_threads()
    try:
        torch.set_num_threads(2)
        with pytest.raises(KeyboardInterrupt):
            QUICK.select(pool_of(rng(6).normal(size=(60, 4)), labeled=[0]), 10, on_pick=interrupt)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


# --- Vectors of all kinds ---


@pytest.mark.parametrize("factor", [1e-30, 1e99], ids=str)
def test_the_scale_of_vectors_does_not_matter(factor: float) -> None:
    values = clusters([60, 30], [[0.0, 0.0, 0.0], [0.5, 1.0, 0.0]])
    expected = QUICK.select(pool_of(values, list(range(20))), 10, seed=1)
    found = QUICK.select(pool_of(values * [1, factor, 1 / 64] - [2.0**20, 0, 0], list(range(20))), 10, seed=1)
    assert len(set(found.item_ids) & set(expected.item_ids)) >= 8  # a shift by 2**20 costs digits
    assert np.isfinite(found.gains).all()


def test_equal_vectors_give_finite_gains_and_go_by_row() -> None:
    pool = pool_of(np.full((40, 35), 0.1), labeled=[7])
    selection = SamplerDiscriminative(n_sub_batches=1, max_epochs=3).select(pool, 5)
    rows = rows_of(selection)
    assert rows == sorted(rows)
    assert len(set(selection.gains.tolist())) == 1
    assert 0 < selection.gains[0] < 1


def test_one_labeled_item_and_the_whole_pool_can_be_picked() -> None:
    pool = pool_of(rng(3).normal(size=(25, 2)), labeled=[4])
    assert sorted(rows_of(QUICK.select(pool, 24))) == [row for row in range(25) if row != 4]


def test_standardized_rows_have_mean_0_and_deviation_1() -> None:
    vectors = rng(1).normal(size=(300_000, 3)) * [1e-9, 1.0, 1e90] + [5.0, -3e5, 1e91]
    vectors[:, 1] = -3e5
    rows = rng(2).permutation(300_000)[:200_000]
    found = standardized(vectors, rows)
    assert found.dtype == np.float32
    others = (vectors[rows] - [5.0, 0.0, 0.0])[:, [0, 2]]
    np.testing.assert_allclose(found[:, [0, 2]], (others - others.mean(axis=0)) / others.std(axis=0), atol=1e-5)
    assert not found[:, 1].any()


def test_half_precision_vectors_stay_on_disk(tmp_path: Path) -> None:
    values = rng(1).normal(size=(20_000, 256)).astype(np.float16)
    np.save(tmp_path / "vectors.npy", values)
    in_memory = pool_of(values, labeled=list(range(20)))
    on_disk = pool_of(np.load(tmp_path / "vectors.npy", mmap_mode="r"), labeled=list(range(20)))
    sampler = SamplerDiscriminative(n_sub_batches=2, max_epochs=2)
    expected = told(sampler.select(in_memory, 10))
    tracemalloc.start()
    try:
        found = told(sampler.select(on_disk, 10))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert found == expected
    assert peak < values.nbytes


# --- The door ---


def test_nothing_labeled_is_refused_with_a_way_out() -> None:
    with pytest.raises(ValueError, match=r"DISCRIMINATIVE compares candidates with labeled.*by TYPICLUST or RANDOM"):
        SamplerDiscriminative().select(pool_of(rng().normal(size=(9, 2)), labeled=[]), 3)


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"n_sub_batches": 0}, r"n_sub_batches is 0; expected a whole number of at least 1"),
    ({"candidate_factor": 2.5}, r"candidate_factor is 2\.5; expected a whole number of at least 1"),
    ({"stop_accuracy": 0.5}, r"stop_accuracy is 0\.5; expected a number above 0\.5, below 1"),
    ({"stop_accuracy": 1.0}, r"stop_accuracy is 1\.0; expected a number above 0\.5, below 1"),
    ({"stop_accuracy": True}, r"stop_accuracy is True"),
    ({"max_epochs": 0}, r"max_epochs is 0; expected a whole number of at least 1"),
    ({"minibatch_size": -1}, r"minibatch_size is -1; expected a whole number of at least 1"),
    ({"learning_rate": 0.0}, r"learning_rate is 0\.0; expected a number above 0, finite"),
    ({"learning_rate": float("inf")}, r"learning_rate is inf; expected a number above 0, finite"),
    ({"device": ""}, r"device is ''; expected the name of a device of torch, such as 'cuda', or None"),
    ({"device": 3}, r"device is 3; expected the name of a device"),
]


@pytest.mark.parametrize(("options", "message"), WRONG, ids=[str(options) for options, _ in WRONG])
def test_wrong_options_are_named(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        SamplerDiscriminative(**options)


@pytest.mark.parametrize("device", ["graphics", "cuda:999"])
def test_a_device_that_torch_does_not_have_is_named(device: str) -> None:
    with pytest.raises(ValueError, match=rf"device is '{device}', and torch says: .*; leave it out, or use 'cpu'"):
        SamplerDiscriminative(device=device).select(pool_of(rng().normal(size=(9, 2)), labeled=[0]), 3)


def test_the_processor_by_name_is_the_default() -> None:
    pool = pool_of(rng().normal(size=(40, 2)), labeled=[0, 1])
    sampler = SamplerDiscriminative(max_epochs=2, device="cpu")
    assert told(sampler.select(pool, 3)) == told(SamplerDiscriminative(max_epochs=2).select(pool, 3))


def test_torch_is_loaded_when_it_is_needed_and_asked_for_when_it_is_missing(tmp_path: Path) -> None:
    program = """
import sys
import numpy as np
from samplers import Pool, SamplerDiscriminative

sampler = SamplerDiscriminative()
print("torch" in sys.modules)
sys.modules["torch"] = None  # as if it were not installed
try:
    sampler.select(Pool(("a", "b"), np.array([True, False]), vectors=np.eye(2)), 1)
except ImportError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=tmp_path, check=False)
    assert done.stdout == 'False\nDISCRIMINATIVE needs torch: pip install "al-agent[torch]"\n', done.stderr
