"""Learning loss: the head learns the order of losses, leaves the network alone, and its predictions are scores by id."""

from __future__ import annotations

import copy
import json
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn import functional
from torch.utils.data import DataLoader, Dataset

from scorers.learning_loss import LearningLoss, LossPredictionLoss, ScorerLearningLoss, predicted_losses

Tensor = torch.Tensor


class Small(torch.nn.Module):
    """Two convolutions, batch normalization, dropout and a linear layer."""

    def __init__(self, n_classes: int = 3) -> None:
        super().__init__()
        self.stem = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3, padding=1), torch.nn.BatchNorm2d(4), torch.nn.ReLU())
        self.body = torch.nn.Sequential(torch.nn.Conv2d(4, 6, 3, padding=1), torch.nn.ReLU(), torch.nn.Dropout(0.5))
        self.last = torch.nn.Linear(6, n_classes)

    def forward(self, images: Tensor) -> Tensor:
        return self.last(self.body(self.stem(images)).mean(dim=(2, 3)))  # type: ignore[no-any-return]


LAYERS = ["stem", "body"]


@pytest.fixture(autouse=True)
def _seeded() -> Iterator[None]:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        yield


def images(n: int, seed: int = 0) -> Tensor:
    return torch.randn(n, 3, 8, 8, generator=torch.Generator().manual_seed(seed))


def batches_of(n: int, size: int) -> list[tuple[list[str], Tensor, Tensor]]:
    pixels, names = images(n), [f"{row}.png" for row in range(n)]
    return [
        (names[at : at + size], pixels[at : at + size], torch.zeros(len(names[at : at + size]))) for at in range(0, n, size)
    ]


# --- The ranking loss ---


def hinge_by_hand(predicted: list[float], losses: list[float], margin: float) -> float:
    total, n_pairs = 0.0, len(losses) // 2
    for i in range(n_pairs):
        j = len(losses) - 1 - i
        if losses[i] == losses[j]:
            continue
        sign = 1 if losses[i] > losses[j] else -1
        total += max(0.0, margin - sign * (predicted[i] - predicted[j]))
    return total / n_pairs


@pytest.mark.parametrize("n", [2, 3, 4, 7, 16])
@pytest.mark.parametrize("margin", [1.0, 0.25])
def test_the_ranking_loss_is_the_hinge_over_mirrored_pairs(n: int, margin: float) -> None:
    rng = np.random.default_rng(n)
    predicted, losses = rng.normal(size=n).tolist(), rng.integers(0, 4, size=n).astype(float).tolist()
    found = LossPredictionLoss(margin)(torch.tensor(predicted), torch.tensor(losses))
    assert float(found) == pytest.approx(hinge_by_hand(predicted, losses, margin), rel=1e-6)


def test_columns_are_read_as_vectors_and_never_broadcast() -> None:
    predicted, losses = torch.randn(8), torch.rand(8)
    expected = LossPredictionLoss()(predicted, losses)
    for h in (predicted, predicted[:, None]):
        for target in (losses, losses[:, None]):
            assert LossPredictionLoss()(h, target) == expected


def test_pairs_of_equal_losses_teach_nothing_and_count() -> None:
    predicted = torch.tensor([0.0, 5.0, -5.0, 0.0], requires_grad=True)
    found = LossPredictionLoss()(predicted, torch.tensor([1.0, 2.0, 2.0, 3.0]))
    torch.autograd.backward(found)
    assert float(found.detach()) == 0.5  # one pair of margin 1, one tie
    assert predicted.grad is not None
    assert predicted.grad.tolist() == [0.5, 0.0, 0.0, -0.5]


def test_the_middle_of_an_odd_batch_has_no_pair() -> None:
    losses = torch.tensor([1.0, 100.0, 2.0])
    first, second = (LossPredictionLoss()(torch.tensor([0.0, middle, 0.0]), losses) for middle in (-9.0, 9.0))
    assert float(first) == float(second) == 1.0


def test_a_batch_of_one_has_no_pair_and_a_loss_of_nothing_that_can_be_stepped_on() -> None:
    predicted = torch.tensor([3.0], requires_grad=True)
    found = LossPredictionLoss()(predicted, torch.tensor([1.0]))
    torch.autograd.backward(found)
    assert predicted.grad is not None
    assert (float(found.detach()), predicted.grad.tolist()) == (0.0, [0.0])


def test_no_gradient_flows_into_the_true_losses() -> None:
    losses = torch.rand(4, requires_grad=True)
    LossPredictionLoss()(torch.randn(4, requires_grad=True), losses).backward()
    assert losses.grad is None


@pytest.mark.parametrize(
    ("predicted", "losses", "message"),
    [
        (torch.zeros(4), torch.tensor(1.0), "losses is one number; expected one for each image .*reduction='none'"),
        (torch.zeros(4), np.zeros(4), r"losses is ndarray; expected a tensor \(b,\)"),
        (torch.zeros(4), torch.zeros(4, 5), r"losses has shape \(4, 5\); .* average over all axes but the first"),
        (torch.zeros(4, 2), torch.zeros(4), r"predicted has shape \(4, 2\)"),
        (torch.zeros(4), torch.zeros(3), "there are 4 predictions for 3 losses"),
        (torch.zeros(0), torch.zeros(0), "losses is empty"),
        (torch.zeros(3), torch.tensor([0.0, np.nan, 1.0]), "the loss of image 1 of the batch is nan"),
        (torch.zeros(3), torch.tensor([0.0, 1.0, np.inf]), "the loss of image 2 of the batch is inf"),
    ],
)
def test_losses_that_cannot_be_ranked_are_refused(predicted: Tensor, losses: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        LossPredictionLoss()(predicted, losses)


@pytest.mark.parametrize("margin", [0, -1.0, float("nan"), float("inf"), True, "1"])
def test_a_margin_is_a_number_above_zero(margin: Any) -> None:
    with pytest.raises(ValueError, match="margin is"):
        LossPredictionLoss(margin)


# --- The head ---


def shapes(learning_loss: LearningLoss) -> list[tuple[int, ...]]:
    return [
        tuple(tensor.shape)
        for name, tensor in learning_loss.state_dict().items()
        if name.startswith("taps") and "weight" in name
    ]


def test_channels_are_found_without_being_told() -> None:
    network = Small()
    learning_loss = LearningLoss(network, LAYERS, width=5)
    assert shapes(learning_loss) == [(5, 4), (5, 6)]
    assert tuple(learning_loss.output.weight.shape) == (1, 10)
    wide = LearningLoss(network, LAYERS, width=5, grid=3)
    assert shapes(wide) == [(5, 4 * 9), (5, 6 * 9)]
    assert repr(learning_loss) == "LearningLoss(2 taps of Small: 'stem' 4, 'body' 6 values; width 5)"


@pytest.mark.parametrize("grid", [1, 2])
def test_predictions_are_those_of_the_published_head(grid: int) -> None:
    network = Small().eval()
    learning_loss = LearningLoss(network, LAYERS, width=7, grid=grid)
    pixels = images(5)
    network(pixels)
    found = learning_loss()
    stem = network.stem(pixels)
    hidden = [
        functional.relu(tap(functional.adaptive_avg_pool2d(features, grid).flatten(1)))
        for tap, features in zip(learning_loss.taps, (stem, network.body(stem)))
    ]
    expected = learning_loss.output(torch.cat(hidden, dim=1)).flatten()
    assert found.shape == (5,)
    torch.testing.assert_close(found, expected)


def test_attaching_changes_neither_outputs_nor_checkpoints_nor_statistics_nor_modes() -> None:
    network = Small()
    network.body.eval()
    before, state = copy.deepcopy(network), copy.deepcopy(network.state_dict())
    learning_loss = LearningLoss(network, LAYERS)
    assert network.state_dict().keys() == state.keys()
    assert all(torch.equal(network.state_dict()[name], tensor) for name, tensor in state.items())
    assert (network.training, network.body.training, network.stem.training) == (True, False, True)
    assert {id(one) for one in learning_loss.parameters()}.isdisjoint({id(one) for one in network.parameters()})
    assert torch.equal(network.eval()(images(4)), before.eval()(images(4)))
    assert all(not name.startswith("_network") for name in learning_loss.state_dict())


def test_the_head_learns_which_loss_is_larger_and_its_parameters_change() -> None:
    network = Small().eval()
    learning_loss = LearningLoss(network, LAYERS, width=16)
    start = copy.deepcopy(learning_loss.state_dict())
    optimizer = torch.optim.Adam(learning_loss.parameters(), lr=0.01)
    generator = torch.Generator().manual_seed(1)
    for _ in range(150):
        pixels = torch.randn(32, 3, 8, 8, generator=generator) * torch.rand(32, 1, 1, 1, generator=generator) * 3
        network(pixels)
        optimizer.zero_grad()
        torch.autograd.backward(learning_loss.loss(pixels.square().mean(dim=(1, 2, 3))))
        optimizer.step()
    assert all(
        not torch.equal(start[name], tensor) for name, tensor in learning_loss.state_dict().items() if "weight" in name
    )
    test = torch.randn(200, 3, 8, 8, generator=generator) * torch.rand(200, 1, 1, 1, generator=generator) * 3
    network(test)
    true, predicted = test.square().mean(dim=(1, 2, 3)), learning_loss().detach()
    pairs = torch.triu_indices(200, 200, offset=1)
    is_right = (true[pairs[0]] > true[pairs[1]]) == (predicted[pairs[0]] > predicted[pairs[1]])
    assert float(is_right.float().mean()) > 0.9


def gradients(network: torch.nn.Module) -> list[Tensor]:
    return [one.grad.clone() for one in network.parameters() if one.grad is not None]


def test_the_ranking_loss_shapes_the_network_until_its_gradient_is_cut() -> None:
    network = Small().eval()
    learning_loss = LearningLoss(network, LAYERS, detach_from_epoch=2)
    for epoch, shapes in ((0, True), (1, True), (2, False), (3, False)):
        learning_loss.start_epoch(epoch)
        network.zero_grad()
        learning_loss.zero_grad()
        losses = functional.cross_entropy(network(images(6)), torch.zeros(6, dtype=torch.long), reduction="none")
        torch.autograd.backward(learning_loss.loss(losses))
        assert bool(gradients(network)) is shapes
        assert all(one.grad is not None for one in learning_loss.parameters())


def test_cut_from_epoch_0_on_no_epoch_need_be_started(tmp_path: Path) -> None:
    network = Small().eval()
    learning_loss = LearningLoss(network, LAYERS, detach_from_epoch=0)
    network(images(6))
    torch.autograd.backward(learning_loss.loss(torch.rand(6)))
    assert gradients(network) == []
    learning_loss.save(tmp_path / "head.npz")
    assert LearningLoss.load(tmp_path / "head.npz", network).is_detached
    assert not LearningLoss(network, LAYERS, detach_from_epoch=1).is_detached


def test_options_may_be_numbers_of_numpy(tmp_path: Path) -> None:
    counts: dict[str, Any] = {"width": np.int64(4), "grid": np.int32(2), "detach_from_epoch": np.int64(3)}
    LearningLoss(Small(), LAYERS, margin=np.float32(0.5), **counts).save(tmp_path / "head.npz")  # type: ignore[arg-type]
    found = LearningLoss.load(tmp_path / "head.npz", Small())
    assert (found.width, found.grid, found.detach_from_epoch, found.ranking_loss.margin) == (4, 2, 3, 0.5)


def test_the_flag_cuts_a_pass_that_was_made_before_it_was_set() -> None:
    network = Small().eval()
    learning_loss = LearningLoss(network, LAYERS)
    network(images(6))
    learning_loss.is_detached = True
    torch.autograd.backward(learning_loss.loss(torch.rand(6)))
    assert gradients(network) == []


def test_with_the_gradient_cut_the_network_trains_as_without_a_head() -> None:
    def trained(is_attached: bool) -> list[Tensor]:
        torch.manual_seed(3)
        network = Small()
        parameters = list(network.parameters())
        random_state = torch.get_rng_state()
        learning_loss = LearningLoss(network, LAYERS, detach_from_epoch=0) if is_attached else None
        torch.set_rng_state(random_state)  # the head draws its weights; dropout must draw the same either way
        if learning_loss is not None:
            learning_loss.start_epoch(0)
            parameters += list(learning_loss.parameters())
        optimizer = torch.optim.SGD(parameters, lr=0.1, momentum=0.9)
        for step in range(5):
            optimizer.zero_grad()
            losses = functional.cross_entropy(network(images(6, step)), torch.arange(6) % 3, reduction="none")
            total = losses.mean() if learning_loss is None else losses.mean() + learning_loss.loss(losses)
            torch.autograd.backward(total)
            optimizer.step()
        return [one.detach().clone() for one in network.parameters()]

    assert all(torch.equal(one, other) for one, other in zip(trained(True), trained(False)))


def test_a_pass_is_read_once() -> None:
    network = Small()
    learning_loss = LearningLoss(network, LAYERS)
    with pytest.raises(RuntimeError, match="has not run since its features were last taken"):
        learning_loss()
    network(images(4))
    learning_loss()
    with pytest.raises(RuntimeError, match="call it first"):
        learning_loss.loss(torch.rand(4))


def test_losses_that_cannot_be_ranked_leave_the_pass_to_be_read() -> None:
    network = Small()
    learning_loss = LearningLoss(network, LAYERS)
    network(images(4))
    with pytest.raises(ValueError, match="losses is one number"):
        learning_loss.loss(torch.tensor(1.0))
    assert learning_loss.loss(torch.rand(4)).shape == ()


def test_losses_of_another_batch_are_refused() -> None:
    network = Small()
    learning_loss = LearningLoss(network, LAYERS)
    network(images(4))
    with pytest.raises(ValueError, match="there are 4 predictions for 5 losses"):
        learning_loss.loss(torch.rand(5))


def test_a_pass_without_gradients_is_not_taken_for_the_one_that_gave_the_losses() -> None:
    network = Small().eval()
    learning_loss = LearningLoss(network, LAYERS)
    losses = network(images(4)).square().mean(dim=1)
    with torch.no_grad():
        network(images(4, seed=1))
    with pytest.raises(RuntimeError, match="ran without gradients after the pass that gave these losses; call loss"):
        learning_loss.loss(losses)
    network(images(4))
    assert learning_loss.loss(losses).shape == ()


def test_a_later_cut_of_the_gradient_asks_for_epochs_once() -> None:
    network = Small().eval()
    learning_loss = LearningLoss(network, LAYERS, detach_from_epoch=5)
    network(images(4))
    with pytest.warns(UserWarning, match=r"detach_from_epoch is 5, and no epoch was started: call start_epoch"):
        learning_loss.loss(torch.rand(4))
    network(images(4))
    learning_loss.loss(torch.rand(4))


def test_predictions_that_are_nan_are_refused_before_they_spoil_the_head() -> None:
    network = Small().eval()
    learning_loss = LearningLoss(network, LAYERS)
    pixels = images(4)
    pixels[2] = torch.nan
    network(pixels)
    with pytest.raises(ValueError, match="the prediction of image 2 of the batch is nan"):
        learning_loss.loss(torch.rand(4))


def test_a_layer_with_several_tensors_is_shown_with_all_of_them() -> None:
    class Two(torch.nn.Module):
        def forward(self, pixels: Tensor) -> Any:
            return {"low": [pixels], "high": (pixels.flatten(1), None)}

    network = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), Two())
    head = LearningLoss(network, ["0", "1"], example=torch.zeros(2, 3, 4, 4))
    assert repr(head) == "LearningLoss(3 taps of Sequential: '0' 4, '1' 4 + 16 values; width 128)"


def test_hooks_can_be_taken_off() -> None:
    network = Small()
    learning_loss = LearningLoss(network, LAYERS)
    learning_loss.remove()
    network(images(4))
    with pytest.raises(RuntimeError):
        learning_loss()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"layers": ["stam"]}, r"no layer 'stam'; it has 9, the nearest first: 'stem', 'stem.0', .*'last'"),
        (
            {"layers": ["stem.7"]},
            r"no layer 'stem.7'; it has 9, the nearest first: 'stem.0', 'stem.1', 'stem.2', 'stem', 'body'",
        ),
        ({"layers": "stem"}, r"layers is the single string 'stem'; write \['stem'\]"),
        ({"layers": []}, r"layers is \[\]; expected names"),
        ({"layers": None}, r"layers is not given; name some of the network's: 'stem', 'stem.0'"),
        ({"layers": LAYERS, "width": 0}, "width is 0"),
        ({"layers": LAYERS, "grid": 1.5}, "grid is 1.5"),
        ({"layers": LAYERS, "margin": -1}, "margin is -1"),
        ({"layers": LAYERS, "detach_from_epoch": "last"}, "detach_from_epoch is 'last'"),
        ({"layers": LAYERS, "example": torch.zeros(2, 5, 8, 8)}, "expected input"),
        ({"layers": LAYERS, "channel_axis": "last"}, "channel_axis is 'last'; expected 1 or -1, or one of them for a layer"),
        ({"layers": LAYERS, "channel_axis": {"stem": True}}, r"channel_axis is \{'stem': True\}; expected 1 or -1"),
        ({"layers": LAYERS, "channel_axis": {"head": -1}}, "channel_axis has 'head', which is not among the layers"),
        ({"layers": LAYERS, "channel_axis": 4}, r"what layer 'stem' gives has shape \(2, 4, 64, 64\); .* on axis 4"),
    ],
)
def test_options_are_checked_and_no_hook_stays_behind(options: dict[str, Any], message: str) -> None:
    network = Small()
    with pytest.raises((ValueError, RuntimeError), match=message):
        LearningLoss(network, **options)
    assert all(not part._forward_hooks and not part._forward_pre_hooks for part in network.modules())


def test_what_is_no_network_is_refused() -> None:
    with pytest.raises(ValueError, match="network is str"):
        LearningLoss("resnet18", LAYERS)  # type: ignore[arg-type]


class Tokens(torch.nn.Module):
    """Images as tokens `(b, t, c)`, as transformers have them."""

    def __init__(self) -> None:
        super().__init__()
        self.patches = torch.nn.Conv2d(3, 5, 4, 4)
        self.block = torch.nn.Linear(5, 5)

    def forward(self, pixels: Tensor) -> Tensor:
        return self.block(self.patches(pixels).flatten(2).transpose(1, 2)).mean(dim=1)  # type: ignore[no-any-return]


def test_tokens_and_one_dimensional_maps_are_told_apart_by_the_user_and_not_guessed() -> None:
    network = Tokens()
    with pytest.raises(
        ValueError,
        match=r"layer 'block' gives has shape \(2, 256, 5\): pass channel_axis=\{'block': -1\} .* or \{'block': 1\}",
    ):
        LearningLoss(network, ["block"])
    assert LearningLoss(network, ["block"], channel_axis=-1).taps[0].get_parameter("weight").shape[1] == 5
    mixed = LearningLoss(network, ["patches", "block"], channel_axis={"block": -1})
    network(images(3))
    assert mixed().shape == (3,)


def test_a_transformer_that_others_wrote_is_tapped_block_by_block() -> None:
    transformers = pytest.importorskip("transformers")
    config = transformers.ViTConfig(
        hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=32, image_size=32, patch_size=8
    )
    network = transformers.ViTForImageClassification(config)
    blocks = [name for name, part in network.named_modules() if type(part).__name__ == "ViTLayer"]
    learning_loss = LearningLoss(network, blocks, channel_axis=-1)
    assert learning_loss.layers == tuple(blocks)
    assert [shape[1] for shape in shapes(learning_loss)] == [16, 16]
    losses = network(torch.randn(4, 3, 32, 32)).logits.square().mean(dim=1)
    torch.autograd.backward(losses.mean() + learning_loss.loss(losses))
    assert all(one.grad is not None for one in learning_loss.parameters())


# --- Files ---


@pytest.mark.parametrize("detach_from_epoch", [None, 3])
def test_a_saved_head_predicts_the_same_and_goes_on(tmp_path: Path, detach_from_epoch: int | None) -> None:
    network = Small().eval()
    first = LearningLoss(network, LAYERS, width=9, grid=2, margin=0.5, detach_from_epoch=detach_from_epoch)
    first.save(tmp_path / "head.npz")
    network(images(5))
    expected = first()
    first.remove()
    second = LearningLoss.load(tmp_path / "head.npz", network)
    network(images(5))
    assert torch.equal(second(), expected)
    assert (second.layers, second.width, second.grid, second.ranking_loss.margin) == (first.layers, 9, 2, 0.5)
    assert second.detach_from_epoch == detach_from_epoch


def test_a_file_of_a_head_holds_plain_arrays_alone(tmp_path: Path) -> None:
    LearningLoss(Small(), LAYERS).save(tmp_path / "head.npz")
    with np.load(tmp_path / "head.npz", allow_pickle=False) as archive:
        assert all(archive[name].dtype.kind in "fU" for name in archive.files)
        assert json.loads(str(archive["settings"]))["layers"] == LAYERS


def test_a_head_of_another_network_and_damaged_files_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "head.npz"
    LearningLoss(Small(), LAYERS).save(path)
    other = Small()
    other.body[0] = torch.nn.Conv2d(4, 8, 3)
    other.last = torch.nn.Linear(8, 3)
    with pytest.raises(ValueError, match="is the head of another network"):
        LearningLoss.load(path, other)
    assert all(not part._forward_hooks and not part._forward_pre_hooks for part in other.modules())
    with pytest.raises(ValueError, match="no layer 'stem'"):
        LearningLoss.load(path, torch.nn.Sequential(torch.nn.Linear(2, 2)))
    np.savez(path, settings=np.array("{"), names=np.array(["output.bias"]))
    with pytest.raises(ValueError, match="holds no learning loss"):
        LearningLoss.load(path, Small())
    path.write_bytes(b"half")
    with pytest.raises(ValueError, match=r"not a \.npz file"):
        LearningLoss.load(path, Small())
    with pytest.raises(FileNotFoundError):
        LearningLoss.load(tmp_path / "none.npz", Small())


# --- Scores ---


def moved(head: LearningLoss) -> LearningLoss:
    """A head whose weights are not those that it was made with."""
    with torch.no_grad():
        for one in head.parameters():
            one.add_(0.1 * torch.randn_like(one))
    return head


def learned(network: torch.nn.Module) -> LearningLoss:
    return moved(LearningLoss(network, LAYERS))


def test_a_head_that_was_never_trained_is_said_to_give_random_scores(tmp_path: Path) -> None:
    network = Small().eval()
    learning_loss = LearningLoss(network, LAYERS)
    assert not learning_loss.is_trained
    with pytest.warns(
        UserWarning, match=r"the weights that it was made with.*give learning_loss.parameters\(\) to the optimizer"
    ):
        ScorerLearningLoss(learning_loss, batches_of(4, 2)).scores()
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1)  # the head is forgotten
    losses = network(images(4)).square().mean(dim=1)
    torch.autograd.backward(losses.mean() + learning_loss.loss(losses))
    optimizer.step()
    assert not learning_loss.is_trained
    torch.optim.SGD(learning_loss.parameters(), lr=0.1).step()
    assert learning_loss.is_trained
    learning_loss.save(tmp_path / "head.npz")
    assert LearningLoss.load(tmp_path / "head.npz", network).is_trained


def test_scores_are_the_predictions_of_the_trained_network_joined_by_id() -> None:
    network = Small().eval()
    learning_loss = learned(network)
    scores = ScorerLearningLoss(learning_loss, batches_of(7, 3)).scores()
    network(images(7))
    np.testing.assert_allclose(scores.column(), learning_loss().detach().numpy(), rtol=1e-5)
    assert scores.item_ids == tuple(f"{row}.png" for row in range(7))
    assert (scores.names, scores.default) == (("predicted_loss",), "predicted_loss")
    with torch.no_grad():
        network.body.get_parameter("0.weight").mul_(2)
    after = ScorerLearningLoss(learning_loss, batches_of(7, 3)).scores()
    assert (after.column() != scores.column()).all()


def test_batch_sizes_and_order_change_no_score() -> None:
    network = Small().eval()
    learning_loss = learned(network)
    whole = ScorerLearningLoss(learning_loss, batches_of(7, 7)).scores()
    for size in (1, 2, 5):
        parts = ScorerLearningLoss(learning_loss, batches_of(7, size)[::-1]).scores()
        by_id = dict(zip(parts.item_ids, parts.column().tolist()))
        np.testing.assert_allclose([by_id[item_id] for item_id in whole.item_ids], whole.column(), rtol=1e-5)


class Photos(Dataset[Any]):
    """Images with or without their ids."""

    def __init__(self, has_ids: bool) -> None:
        self.has_ids = has_ids
        self.pixels = images(6)

    def __len__(self) -> int:
        return 6

    def __getitem__(self, row: int) -> Any:
        return (f"{row}.png", self.pixels[row], row) if self.has_ids else (self.pixels[row], row)


def test_a_loader_that_shuffles_is_read_right_when_ids_travel_with_the_batch() -> None:
    learning_loss = learned(Small().eval())
    plain = ScorerLearningLoss(learning_loss, DataLoader(Photos(True), batch_size=4)).scores()
    shuffled = ScorerLearningLoss(learning_loss, DataLoader(Photos(True), batch_size=4, shuffle=True)).scores()
    assert plain.item_ids != shuffled.item_ids
    found = dict(zip(shuffled.item_ids, shuffled.column().tolist()))
    np.testing.assert_allclose([found[item_id] for item_id in plain.item_ids], plain.column(), rtol=1e-5)


def test_a_loader_that_shuffles_is_refused_when_it_gives_no_ids() -> None:
    learning_loss = learned(Small().eval())
    names = [f"{row}.png" for row in range(6)]
    with pytest.raises(ValueError, match=r"holds no item ids, .* let the dataset return \(item_id, image\)"):
        ScorerLearningLoss(learning_loss, DataLoader(Photos(False))).scores()
    with pytest.raises(ValueError, match="draws its items by RandomSampler"):
        ScorerLearningLoss(learning_loss, DataLoader(Photos(False), shuffle=True), item_ids=names).scores()
    in_order = ScorerLearningLoss(learning_loss, DataLoader(Photos(False), batch_size=4), item_ids=names).scores()
    assert in_order.item_ids == tuple(names)


def test_a_network_in_training_mode_is_scored_in_evaluation_mode_said_and_put_back() -> None:
    network = Small().train()
    network.stem[1].eval()
    learning_loss = learned(network)
    state = copy.deepcopy(network.state_dict())
    with pytest.warns(UserWarning, match="Small is in training mode; it is scored in evaluation mode"):
        scores = ScorerLearningLoss(learning_loss, batches_of(5, 2)).scores()
    assert (network.training, network.body[2].training, network.stem[1].training) == (True, True, False)
    assert all(torch.equal(network.state_dict()[name], tensor) for name, tensor in state.items())
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        again = ScorerLearningLoss(LearningLoss.load(_saved(learning_loss), network.eval()), batches_of(5, 2)).scores()
    np.testing.assert_array_equal(scores.column(), again.column())


def _saved(learning_loss: LearningLoss) -> Path:
    import tempfile  # noqa: PLC0415

    path = Path(tempfile.mkdtemp()) / "head.npz"
    learning_loss.save(path)
    return path


def test_the_loader_is_read_batch_by_batch_and_no_gradient_is_kept() -> None:
    learning_loss = learned(Small().eval())
    asked: list[int] = []

    def loader() -> Iterator[Any]:
        for number, batch in enumerate(batches_of(6, 2)):
            asked.append(number)
            yield batch

    stream = predicted_losses(learning_loss, loader())
    first = next(stream)
    assert asked == [0]
    assert first.item_ids == ("0.png", "1.png")
    assert torch.is_grad_enabled()


def test_predictions_that_are_not_finite_name_the_item() -> None:
    network = Small().eval()
    learning_loss = learned(network)
    loader = batches_of(4, 2)
    loader[1][1][1] = torch.nan
    with pytest.raises(ValueError, match=r"the predicted loss of '3\.png' is \[nan\]"):
        ScorerLearningLoss(learning_loss, loader).scores()


def test_items_that_come_twice_and_rows_that_are_no_images_are_refused() -> None:
    network = Small().eval()
    with pytest.raises(ValueError, match=r"'0\.png'"):
        ScorerLearningLoss(learned(network), batches_of(2, 2) * 2).scores()
    windows = torch.nn.Sequential(torch.nn.Flatten(0, 1), torch.nn.Unflatten(0, (-1, 3))).eval()
    learning_loss = moved(LearningLoss(windows, ["0"], channel_axis=1, example=torch.zeros(2, 3, 8, 8)))
    with pytest.raises(ValueError, match=r"the layers gave 6 rows for 2 images, the first of them '0.png'"):
        ScorerLearningLoss(learning_loss, batches_of(2, 2)).scores()


def test_what_is_no_learning_loss_is_refused() -> None:
    with pytest.raises(ValueError, match="learning_loss is Small; expected LearningLoss"):
        ScorerLearningLoss(Small(), [])  # type: ignore[arg-type]


# --- The published defects, rebuilt ---


def spearman(a: Tensor, b: Tensor) -> float:
    return float(np.corrcoef(a.argsort().argsort().numpy(), b.argsort().argsort().numpy())[0, 1])


def rank_correlation(shape_of_predictions: tuple[int, ...], loss: Any) -> float:
    """Free scores of 128 images, trained by a ranking loss on batches of 16: do they take the order of the true losses?"""
    generator = torch.Generator().manual_seed(5)
    true = torch.rand(128, generator=generator)
    scores = torch.zeros(128, requires_grad=True)
    optimizer = torch.optim.SGD([scores], lr=0.5)
    for _ in range(1500):
        rows = torch.randperm(128, generator=generator)[:16]
        optimizer.zero_grad()
        loss(scores[rows].reshape(shape_of_predictions), true[rows]).backward()
        optimizer.step()
    return spearman(scores.detach(), true)


def broadcasting_loss(predicted: Tensor, losses: Tensor) -> Tensor:
    """The published loss as it was called: columns against vectors."""
    half = len(losses) // 2
    difference = (predicted - predicted.flip(0))[:half]
    sign = 2 * torch.sign(torch.clamp((losses - losses.flip(0))[:half], min=0)) - 1
    return torch.clamp(1 - sign * difference, min=0).sum() / half


def test_predictions_in_a_column_learn_the_order_which_broadcasting_does_not() -> None:
    assert rank_correlation((-1, 1), LossPredictionLoss()) > 0.98
    assert rank_correlation((-1, 1), broadcasting_loss) < 0.7


def test_an_untrained_network_gives_other_scores_than_the_trained_one() -> None:
    """Rebuilding the network before it chooses, as was published, is seen: scores follow the weights."""
    network = Small().eval()
    learning_loss = learned(network)
    trained = ScorerLearningLoss(learning_loss, batches_of(6, 3)).scores().column()
    learning_loss.remove()
    rebuilt = ScorerLearningLoss(learned(Small().eval()), batches_of(6, 3)).scores().column()
    assert not np.allclose(trained, rebuilt)
