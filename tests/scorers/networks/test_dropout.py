"""Monte-Carlo dropout draws anew in every pass, repeats by its seed, and leaves the network and torch as they were."""

from __future__ import annotations

import itertools
import math
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from scorers import ScorerEnsemble, ScorerSemanticSegmentation
from scorers.networks.dropout import dropout_classifications, dropout_segmentations


def linear(weights: list[list[float]], bias: list[float] | None = None) -> nn.Linear:
    layer = nn.Linear(len(weights[0]), len(weights), bias=bias is not None)
    with torch.no_grad():
        layer.weight.copy_(torch.tensor(weights))
        if bias is not None:
            layer.bias.copy_(torch.tensor(bias))
    return layer


def batch_of(rows: list[list[float]]) -> list[tuple[list[str], torch.Tensor]]:
    return [([f"{row}.png" for row in range(len(rows))], torch.tensor(rows))]


def small(*, p: float = 0.5) -> nn.Sequential:
    torch.manual_seed(3)
    return nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(p), nn.Linear(8, 3)).eval()


def random_batches(*sizes: int) -> list[tuple[list[str], torch.Tensor]]:
    generator, numbers = torch.Generator().manual_seed(5), itertools.count()
    return [([f"{next(numbers)}.png" for _ in range(size)], torch.randn(size, 4, generator=generator)) for size in sizes]


def drawn(network: nn.Module, loader: Any, **options: Any) -> list[Any]:
    return [chunk.probabilities.tolist() for chunk in dropout_classifications(network, loader, **options)]


# --- what is drawn ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("p", [0.1, 0.5])
def test_passes_of_a_linear_network_have_the_mean_and_variance_of_the_theory(p: float) -> None:
    """A unit is 0 with chance p, else x / (1 - p): of w x the mean stays, and the variance is p / (1 - p) sum (w x)^2."""
    w, rows, t = [0.5, -1.0, 0.25, 0.75], [[1.0, 0.5, -1.0, 0.2], [0.0, 0.3, 2.0, -0.4]], 6000
    network = nn.Sequential(nn.Dropout(p), linear([[0.0] * 4, w])).eval()
    (chunk,) = dropout_classifications(network, batch_of(rows), n_passes=t)
    values = np.log(chunk.probabilities[:, :, 1] / chunk.probabilities[:, :, 0])  # the logit w x, against 0
    products = np.array(w) * np.array(rows)
    deviation = np.sqrt(p / (1 - p) * (products**2).sum(axis=1))
    assert (np.abs(values.mean(axis=1) - products.sum(axis=1)) < 4 * deviation / math.sqrt(t)).all()
    assert values.std(axis=1) == pytest.approx(deviation, rel=0.06)


def test_bald_of_a_unit_that_decides_is_the_entropy_of_how_often_it_was_kept() -> None:
    network = nn.Sequential(nn.Dropout(0.5), linear([[50.0], [-50.0]], [-50.0, 50.0])).eval()  # 0 or 2: class 1 or class 0
    (chunk,) = dropout_classifications(network, batch_of([[1.0], [0.0]]), n_passes=400)
    share = chunk.probabilities[0, :, 0].mean()
    assert set(chunk.probabilities[0, :, 0].tolist()) <= {0.0, 1.0} | {float(np.float32(math.exp(-100)))}
    assert 0.4 < share < 0.6
    scores = ScorerEnsemble(chunk).scores()
    expected = -(share * math.log2(share) + (1 - share) * math.log2(1 - share))
    assert scores.column("bald") == pytest.approx([expected, 0.0], abs=1e-6)


def test_passes_are_those_of_a_plain_loop_with_torch_seeded_alike() -> None:
    network, (batch,) = small(), random_batches(5)
    (chunk,) = dropout_classifications(network, [batch], n_passes=4, seed=9)
    network[3].train()
    torch.manual_seed(int(np.random.SeedSequence((9, 0)).generate_state(1, np.uint64)[0]))
    with torch.no_grad():
        loop = torch.stack([network(batch[1]).double().softmax(dim=1) for _ in range(4)], dim=1)
    assert chunk.item_ids == tuple(batch[0])
    np.testing.assert_allclose(chunk.probabilities, loop.numpy(), atol=1e-6)


def test_a_channel_of_a_map_is_left_out_whole() -> None:
    head = nn.Conv2d(1, 2, 1, bias=False)
    with torch.no_grad():
        head.weight.copy_(torch.tensor([1.0, -1.0]).reshape(2, 1, 1, 1))
    image = torch.tensor([[0.5, 1.0, 1.5], [2.0, 2.5, 3.0]])
    network = nn.Sequential(nn.Dropout2d(0.5), head).eval()
    loader = [(["a.png"], image[None, None]), (["b.png", "c.png"], image[None, None].expand(2, 1, 2, 3))]
    chunks = list(dropout_segmentations(network, loader, n_passes=12, class_names=["sky", "road"]))
    assert [chunk.item_ids for chunk in chunks] == [("a.png",), ("b.png", "c.png")]
    assert chunks[0].has_passes
    assert chunks[0].class_names == ("sky", "road")
    kept = torch.sigmoid(4 * image.double()).numpy()  # twice x and -x
    for chunk, row in ((chunks[0], 0), (chunks[1], 0), (chunks[1], 1)):
        maps = chunk.probabilities(row)[..., 0]
        assert maps.shape == (12, 2, 3)
        is_kept = maps[:, 0, 0] > 0.6
        assert 0 < is_kept.sum() < 12
        np.testing.assert_allclose(maps[is_kept], np.broadcast_to(kept, (is_kept.sum(), 2, 3)), atol=1e-6)
        np.testing.assert_allclose(maps[~is_kept], 0.5, atol=1e-6)
    scores = ScorerSemanticSegmentation(dropout_segmentations(network, loader, n_passes=12)).scores()
    assert scores.item_ids == ("a.png", "b.png", "c.png")
    assert (scores.column("bald") > 0.1).all()


@pytest.mark.parametrize("kind", [nn.Dropout, nn.Dropout1d, nn.AlphaDropout, nn.FeatureAlphaDropout])
def test_every_dropout_layer_of_torch_is_found_and_what_derives_from_it(kind: type[nn.Module]) -> None:
    class Mine(kind):  # type: ignore[misc,valid-type]
        """A user's own."""

    for layer in (kind(0.5), Mine(0.5)):
        network = nn.Sequential(layer, nn.Flatten(), nn.Linear(12, 3)).eval()
        loader = [(["a", "b"], torch.ones(2, 4, 3))]
        (chunk,) = dropout_classifications(network, loader, n_passes=8)
        assert (chunk.probabilities[:, 1:] != chunk.probabilities[:, :1]).any()


def test_one_column_is_the_positive_class_of_two() -> None:
    dropping = nn.Dropout(0.5)
    (logits,) = dropout_classifications(nn.Sequential(dropping, linear([[3.0]])).eval(), batch_of([[1.0]]), n_passes=20)
    with_sigmoid = nn.Sequential(dropping, linear([[3.0]]), nn.Sigmoid()).eval()
    (given,) = dropout_classifications(with_sigmoid, batch_of([[1.0]]), n_passes=20, is_logits=False)
    expected = {0.5, 1 / (1 + math.exp(-6))}
    for chunk in (logits, given):
        assert chunk.probabilities.shape == (1, 20, 2)
        found = {round(value, 5) for value in chunk.probabilities[0, :, 1].tolist()}
        assert found == {round(value, 5) for value in expected}
    (maps,) = dropout_segmentations(
        nn.Sequential(nn.Dropout2d(0.5), nn.Conv2d(1, 1, 1)).eval(), [(["a"], torch.ones(1, 1, 2, 2))], n_passes=8
    )
    assert maps.probabilities(0).shape == (8, 2, 2, 2)


# --- what repeats ----------------------------------------------------------------------------------------------------


def test_the_same_seed_gives_the_same_numbers_whatever_ran_before_or_between() -> None:
    network, loader = small(), random_batches(3, 3)
    first = drawn(network, loader, n_passes=3, seed=1)
    torch.manual_seed(77)
    again = []
    for chunk in dropout_classifications(network, loader, n_passes=3, seed=1):
        torch.rand(5)
        again.append(chunk.probabilities.tolist())
    assert again == first
    assert drawn(network, loader, n_passes=3, seed=2) != first
    assert drawn(network, iter(loader[:1]), n_passes=3, seed=1) == first[:1]


def test_two_batches_of_equal_images_get_different_masks() -> None:
    batch = torch.ones(2, 4)
    first, second = drawn(small(), [(["a", "b"], batch), (["c", "d"], batch)], n_passes=3)
    assert first != second
    assert first[0] != first[1]  # and so do two items of a batch


def test_more_passes_begin_with_the_same_ones() -> None:
    (few,), (many,) = (drawn(small(), random_batches(3), n_passes=t) for t in (2, 5))
    assert np.array(many)[:, :2].tolist() == few


# --- what stays ------------------------------------------------------------------------------------------------------


def test_torchs_random_state_is_put_back_after_each_batch() -> None:
    network = small()
    before = torch.get_rng_state()
    n_batches = 0
    for _ in dropout_classifications(network, random_batches(2, 2), n_passes=2):
        n_batches += 1
        assert torch.equal(before, torch.get_rng_state())
    assert n_batches == 2


class Watched(nn.Sequential):
    """Notes the modes of its parts in each pass, and may fail."""

    def __init__(self, *parts: nn.Module, fails: bool = False) -> None:
        super().__init__(*parts)
        self.seen: list[list[bool]] = []
        self.fails = fails

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        self.seen.append([part.training for part in self.modules()])
        if self.fails:
            raise RuntimeError("out of memory")
        for part in self:
            images = part(images)
        return images


def modes(network: nn.Module) -> list[bool]:
    return [part.training for part in network.modules()]


def test_only_dropout_is_in_training_mode_and_nothing_of_the_network_changes() -> None:
    network = Watched(*small().children()).eval()
    state = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    for _ in dropout_classifications(network, random_batches(4, 4), n_passes=2):
        assert modes(network) == [False] * 6
    assert network.seen == [[False, False, False, False, True, False]] * 4
    assert all(torch.equal(state[name], tensor) for name, tensor in network.state_dict().items())


def test_a_network_in_training_mode_is_warned_of_and_put_back() -> None:
    network = Watched(*small().children()).train()
    network[1].eval()  # a frozen batch normalization
    before = modes(network)
    with pytest.warns(UserWarning, match="Watched is in training mode"):
        for _ in dropout_classifications(network, random_batches(4, 4), n_passes=2):
            assert modes(network) == before
    assert network.seen == [[False, False, False, False, True, False]] * 4


def test_modes_and_random_state_are_put_back_when_the_network_fails() -> None:
    network = Watched(*small().children(), fails=True).eval()
    state = torch.get_rng_state()
    with pytest.raises(RuntimeError, match="out of memory"):
        next(dropout_classifications(network, random_batches(2)))
    assert modes(network) == [False] * 6
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.backends.mha.get_fastpath_enabled()


def test_dropout_that_writes_in_place_does_not_pile_up_over_passes() -> None:
    images = torch.ones(1, 40)
    network = nn.Sequential(nn.Dropout(0.5, inplace=True), linear([[0.0] * 40, [0.01] * 40])).eval()
    (chunk,) = dropout_classifications(network, [(["a"], images)], n_passes=50)
    kept = np.log(chunk.probabilities[0, :, 1] / chunk.probabilities[0, :, 0]) / 0.02
    assert kept[-25:].mean() == pytest.approx(20, abs=4)
    assert images.tolist() == [[1.0] * 40]


# --- dropout that is no layer ----------------------------------------------------------------------------------------


class Functional(nn.Module):
    """Calls dropout as a function, as many networks do."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(4)
        self.head = nn.Linear(4, 3)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        result: torch.Tensor = self.head(nn.functional.dropout(self.norm(images), 0.5, training=self.training))
        return result


def test_dropout_that_is_called_as_a_function_needs_the_name_of_its_part() -> None:
    network = Functional().eval()
    loader = random_batches(4)
    with pytest.raises(ValueError, match=r"Functional has no dropout to draw from: it has no dropout layer.*layers="):
        dropout_classifications(network, loader)
    (chunk,) = dropout_classifications(network, loader, n_passes=6, layers=[""])
    assert (chunk.probabilities[:, 1:] != chunk.probabilities[:, :1]).any()
    assert network.state_dict()["norm.num_batches_tracked"].item() == 0
    inside = nn.Sequential(network, nn.Identity())
    (same,) = dropout_classifications(inside.eval(), loader, n_passes=6, layers=["0"])
    assert same.probabilities.tolist() == chunk.probabilities.tolist()


def test_named_layers_are_the_only_ones_and_bring_the_dropout_inside_of_them() -> None:
    network = Watched(nn.Dropout(0.5), nn.Sequential(nn.Dropout(0.5), nn.BatchNorm1d(4)), nn.Linear(4, 3)).eval()
    drawn(network, random_batches(4), n_passes=2, layers=["1"])
    assert network.seen == [[False, False, True, True, False, False]] * 2


class Tokens(nn.Module):
    """A transformer whose layers torch fuses in evaluation mode."""

    def __init__(self, p: float) -> None:
        super().__init__()
        layer = nn.TransformerEncoderLayer(8, 2, 16, dropout=p, batch_first=True)
        self.encoder = nn.TransformerEncoder(layer, 2)
        self.head = nn.Linear(8, 3)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        result: torch.Tensor = self.head(self.encoder(tokens)[:, 0])
        return result


def test_dropout_inside_of_torchs_fused_transformer_layers_is_drawn() -> None:
    loader = [(["a", "b"], torch.randn(2, 5, 8, generator=torch.Generator().manual_seed(0)))]
    network = Tokens(0.5).eval()
    (chunk,) = dropout_classifications(network, loader, n_passes=6)
    assert len(np.unique(chunk.probabilities[0, :, 0])) == 6
    attention = ["encoder.layers.0.self_attn", "encoder.layers.1.self_attn"]  # a function's dropout
    (named,) = dropout_classifications(network, loader, n_passes=6, layers=attention)
    assert len(np.unique(named.probabilities[0, :, 0])) == 6
    assert torch.backends.mha.get_fastpath_enabled()


# --- wrapped networks ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("wrap", [nn.DataParallel, lambda network: torch.compile(network, backend="eager")])
def test_a_wrapped_network_gives_the_same_numbers(wrap: Callable[[nn.Module], nn.Module]) -> None:
    network, loader = small(), random_batches(3)
    assert drawn(wrap(network), loader, n_passes=3) == drawn(network, loader, n_passes=3)


def test_half_precision_in_and_out() -> None:
    network = small().bfloat16()
    (chunk,) = dropout_classifications(network, random_batches(3), n_passes=4)
    assert chunk.probabilities.dtype == np.float32
    np.testing.assert_allclose(chunk.probabilities.sum(axis=2), 1, atol=1e-6)


# --- loaders and outputs ---------------------------------------------------------------------------------------------


class TwoHeads(nn.Module):
    """Gives a dictionary, as torchvision's segmentation networks do."""

    def __init__(self) -> None:
        super().__init__()
        self.main, self.drop = nn.Linear(4, 3), nn.Dropout(0.5)

    def forward(self, images: torch.Tensor) -> dict[str, torch.Tensor]:
        return {"aux": torch.full((len(images), 2), torch.nan), "out": self.main(self.drop(images))}


def test_one_of_several_outputs_is_named() -> None:
    network, loader = TwoHeads().eval(), random_batches(2)
    (chunk,) = dropout_classifications(network, loader, output="out", n_passes=2, class_names=["a", "b", "c"])
    assert chunk.n_classes == 3
    assert chunk.class_names == ("a", "b", "c")
    with pytest.raises(ValueError, match=r"say which by output=: 'aux' \(2, 2\), 'out' \(2, 3\)"):
        next(dropout_classifications(network, loader))
    with pytest.raises(ValueError, match=r"there is no 'logits' among them"):
        next(dropout_classifications(network, loader, output="logits"))
    with pytest.raises(ValueError, match=r"logits of '0\.png', member 0, is \[nan, nan\]; expected finite"):
        next(dropout_classifications(network, loader, output="aux"))
    with pytest.raises(ValueError, match="single tensor; leave output out"):
        next(dropout_classifications(small(), loader, output="out"))


def test_a_loader_without_ids_takes_them_in_its_order_and_may_not_shuffle() -> None:
    images = torch.cat([batch for _, batch in random_batches(3, 2)])
    data = TensorDataset(images)
    ids = [f"{row}.png" for row in range(5)]
    network = small()
    assert drawn(network, DataLoader(data, batch_size=3), item_ids=ids) == drawn(network, random_batches(3, 2))
    with pytest.raises(ValueError, match="draws its items by RandomSampler"):
        drawn(network, DataLoader(data, batch_size=3, shuffle=True), item_ids=ids)


def test_an_item_that_comes_twice_is_refused_by_the_scorer() -> None:
    loader = [(["a"], torch.ones(1, 4)), (["a"], torch.ones(1, 4))]
    with pytest.raises(ValueError, match="'a'"):
        ScorerEnsemble(dropout_classifications(small(), loader)).scores()


class Constant(nn.Module):
    """Gives what it is told to, with dropout that has no effect."""

    def __init__(self, output: torch.Tensor) -> None:
        super().__init__()
        self.output, self.drop = output, nn.Dropout(0.5)

    def forward(self, _images: torch.Tensor) -> torch.Tensor:
        return self.output


def test_dropout_that_does_nothing_is_warned_of_at_the_end() -> None:
    network = Constant(torch.zeros(2, 3)).eval()
    stream = dropout_classifications(network, [(["a", "b"], torch.ones(2, 4))], n_passes=4)
    assert next(stream).probabilities[1, 3].tolist() == pytest.approx([1 / 3] * 3)
    with pytest.warns(UserWarning, match="all 4 passes gave the same for every item"):
        list(stream)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert list(dropout_classifications(network, [])) == []


@pytest.mark.parametrize(
    ("output", "message"),
    [
        (torch.zeros(2, 3, 4), r"has shape \(2, 3, 4\); expected \(b, c\)"),
        (torch.zeros(2), r"has shape \(2,\); expected \(b, c\)"),
        (torch.zeros(1, 3), r"has shape \(1, 3\) for 2 items, the first of them 'a'; expected a row for each"),
        (torch.zeros(2, 0), r"holds nothing"),
        (torch.zeros(2, 3, dtype=torch.long), "of type torch.int64; expected floats"),
        (torch.tensor([[0.0, 1.0], [0.0, math.inf]]), r"logits of 'b', member 0, is \[0, inf\]"),
    ],
)
def test_outputs_of_other_shapes_and_values_are_refused(output: torch.Tensor, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        next(dropout_classifications(Constant(output).eval(), [(["a", "b"], torch.ones(2, 4))]))


def test_logits_are_not_taken_for_probabilities_nor_classes_for_pixels() -> None:
    loader: list[Any] = [(["a"], torch.ones(1, 4))]
    with pytest.raises(ValueError, match=r"'a', member 0, is .* probabilities lie in"):
        next(dropout_classifications(Constant(torch.tensor([[3.0, -1.0]])).eval(), loader, is_logits=False))
    with pytest.raises(ValueError, match=r"has shape \(1, 2\); expected \(b, c, h, w\)"):
        next(dropout_segmentations(Constant(torch.zeros(1, 2)).eval(), loader))
    chunks = dropout_segmentations(Constant(torch.full((1, 2, 1, 1), 3.0)).eval(), loader, is_logits=False)
    with pytest.raises(ValueError, match="'a' at row 0, column 0"):
        ScorerSemanticSegmentation(chunks).scores()
    chunks = dropout_segmentations(Constant(torch.full((1, 2, 1, 1), math.nan)).eval(), loader)
    with pytest.raises(ValueError, match="'a'"):
        ScorerSemanticSegmentation(chunks).scores()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n_passes": 1}, "n_passes is 1; expected a whole number of at least 2"),
        ({"n_passes": 2.0}, "n_passes is 2.0"),
        ({"n_passes": True}, "n_passes is True"),
        ({"seed": -1}, "seed is -1"),
        ({"layers": "3"}, "layers is '3'; expected names"),
        ({"layers": []}, "layers is \\[\\]"),
        ({"layers": ["9"]}, "no layer '9'; it has 5"),
        ({"layers": ["1"]}, "layer '1' is BatchNorm1d, which would change its running mean"),
        ({"class_names": "cat"}, "class_names is the single string"),
    ],
)
@pytest.mark.parametrize("stream", [dropout_classifications, dropout_segmentations])
def test_bad_options_are_refused_at_once(
    stream: Callable[..., Iterator[Any]], options: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        stream(small(), random_batches(2), **options)


@pytest.mark.parametrize(
    ("network", "message"),
    [
        (nn.Linear(4, 3), "Linear has no dropout to draw from: it has no dropout layer"),
        (small(p=0.0), "its 1 dropout layers leave out nothing: p is 0"),
        ("resnet18", "network is str; expected a torch.nn.Module"),
    ],
)
def test_a_network_without_dropout_is_refused_at_once(network: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        dropout_classifications(network, random_batches(2))
