"""The last layer's input and the probabilities make the gradients that BADGE compares, from any classification network."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from al_agent import ActiveLearningAgent, Embeddings, PlatformLocal, SamplerConfig
from samplers.badge import Gradients
from scorers import ClassificationPredictions
from scorers.networks.last_layer import LastLayer, last_layer

Floats = npt.NDArray[np.floating[Any]]


def batches(images: torch.Tensor, size: int = 4) -> list[tuple[list[str], torch.Tensor]]:
    ids = [f"img_{row:02}.jpg" for row in range(len(images))]
    return [(ids[start : start + size], images[start : start + size]) for start in range(0, len(images), size)]


def drawn(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(2))


def convolutional(n_classes: int = 3) -> nn.Sequential:
    """Batch normalization and dropout, which evaluation mode stills, and a ReLU that writes in place."""
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(2, 6, 3),
        nn.BatchNorm2d(6),
        nn.ReLU(inplace=True),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(6, 5),
        nn.ReLU(inplace=True),
        nn.Dropout(0.5),
        nn.Linear(5, n_classes),
    ).eval()


def real_gradients(network: nn.Module, images: torch.Tensor, layer: str) -> Floats:
    """The gradient of the cross-entropy with the likeliest class as label at the last layer's weight, item by item."""
    rows, weight = [], network.get_parameter(f"{layer}.weight")
    for image in images:
        logits = network(image[None])
        if logits.shape[1] == 1:
            loss = nn.functional.binary_cross_entropy_with_logits(logits, (logits > 0).to(logits))
        else:
            loss = nn.functional.cross_entropy(logits, logits.argmax(dim=1))
        (gradient,) = torch.autograd.grad(loss, weight)
        rows.append(gradient.double().numpy().ravel())
    return np.array(rows)


# --- the gradients ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("n_classes", [2, 5])
def test_distances_of_the_factors_are_those_of_the_real_gradients(n_classes: int) -> None:
    network, images = convolutional(n_classes), drawn(9, 2, 7, 7)
    last = last_layer(network, batches(images))
    assert last.features.shape == (9, 5)
    assert last.features.dtype == np.float32
    gradients = Gradients(last.features, last.predictions.probabilities, np.arange(9))
    g = real_gradients(network, images, "8")
    left, right = np.array(list(itertools.product(range(9), range(9)))).T
    expected = ((g[left] - g[right]) ** 2).sum(axis=1)
    np.testing.assert_allclose(gradients.squared(left, right), expected, rtol=1e-4, atol=1e-6 * expected.max())
    np.testing.assert_allclose(gradients.lengths, np.linalg.norm(g, axis=1), rtol=1e-4)


def test_with_one_logit_distances_are_the_real_ones_times_the_same_number() -> None:
    """Two columns stand for one, and both of them have the same gradient but for its sign."""
    network, images = convolutional(1), drawn(6, 2, 7, 7)
    last = last_layer(network, batches(images))
    g = real_gradients(network, images, "8")
    gradients = Gradients(last.features, last.predictions.probabilities, np.arange(6))
    left, right = np.array(list(itertools.combinations(range(6), 2))).T
    np.testing.assert_allclose(gradients.squared(left, right), 2 * ((g[left] - g[right]) ** 2).sum(axis=1), rtol=1e-4)


def test_of_a_1x1_convolution_whose_maps_are_averaged_distances_are_real_too() -> None:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(2, 4, 3), nn.Tanh(), nn.Conv2d(4, 3, 1), nn.AdaptiveAvgPool2d(1), nn.Flatten()).eval()
    images = drawn(6, 2, 7, 7)
    last = last_layer(network, batches(images), layer="2")
    g = real_gradients(network, images, "2")
    gradients = Gradients(last.features, last.predictions.probabilities, np.arange(6))
    left, right = np.array(list(itertools.combinations(range(6), 2))).T
    np.testing.assert_allclose(gradients.squared(left, right), ((g[left] - g[right]) ** 2).sum(axis=1), rtol=1e-4)


def test_features_and_probabilities_are_those_of_a_plain_pass() -> None:
    network, images = convolutional(), drawn(5, 2, 7, 7)
    last = last_layer(network, batches(images, 2), class_names=["a", "b", "c"])
    with torch.no_grad():
        features = network[:8](images)
        probabilities = network(images).softmax(dim=1)
    assert last.item_ids == ("img_00.jpg", "img_01.jpg", "img_02.jpg", "img_03.jpg", "img_04.jpg")
    assert last.predictions.class_names == ("a", "b", "c")
    np.testing.assert_allclose(last.features, features.numpy(), rtol=1e-5, atol=1e-7)
    np.testing.assert_allclose(last.predictions.probabilities, probabilities.numpy(), rtol=1e-5)
    assert len(last) == 5
    assert repr(last) == "LastLayer(5 items, 5 features, 3 classes)"


# --- a round ---------------------------------------------------------------------------------------------------------


def test_a_round_of_badge_picks_what_the_real_gradients_say(tmp_path: Path) -> None:
    network, images = convolutional(), drawn(12, 2, 7, 7)
    loader = batches(images)
    last = last_layer(network, loader)
    platform = PlatformLocal.create(tmp_path / "project", images=list(last.item_ids))
    platform.annotate({"img_03.jpg": "cat"})
    agent = ActiveLearningAgent(platform, embeddings=Embeddings(last.item_ids, last.features))
    batch = agent.query(SamplerConfig(4, method="BADGE"), last.predictions)
    g = real_gradients(network, images, "8")
    rows = [int(item_id[4:6]) for item_id in batch.item_ids]
    assert 3 not in rows
    lengths = np.linalg.norm(g, axis=1)
    assert rows[0] == max((row for row in range(12) if row != 3), key=lambda row: lengths[row])
    nearest = [np.linalg.norm(g[row] - g[rows[:place]], axis=1).min() for place, row in enumerate(rows) if place]
    assert batch.gains == pytest.approx([lengths[rows[0]], *nearest], rel=1e-4)


def test_a_round_without_the_labeled_items_says_what_is_missing(tmp_path: Path) -> None:
    network, images = convolutional(), drawn(8, 2, 7, 7)
    loader = batches(images)
    platform = PlatformLocal.create(tmp_path / "project", images=[name for ids, _ in loader for name in ids])
    platform.annotate({"img_01.jpg": "cat"})
    last = last_layer(network, loader[1:])
    agent = ActiveLearningAgent(platform, embeddings=Embeddings(last.item_ids, last.features))
    with pytest.raises(ValueError, match=r"4 items have no embedding, the first is 'img_00\.jpg'; embed the whole"):
        agent.query(SamplerConfig(2, method="BADGE"), last.predictions)


# --- which layer -----------------------------------------------------------------------------------------------------


class Classifier(nn.Module):
    """A head between others: what its linear layer gives is changed by a function."""

    def __init__(self, change: Callable[[torch.Tensor], Any], *, n_classes: int = 3) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.change = change
        self.body, self.head = nn.Linear(4, 5), nn.Linear(5, n_classes)

    def forward(self, images: torch.Tensor) -> Any:
        return self.change(self.head(self.body(images).relu()))


@pytest.mark.parametrize(
    ("change", "is_logits"),
    [
        (lambda logits: logits, True),
        (lambda logits: logits.log_softmax(dim=1), True),  # whose softmax is that of the logits
        (lambda logits: logits + 0.0, True),
        (lambda logits: logits.softmax(dim=1), False),
        (lambda logits: {"logits": logits}, True),
    ],
)
def test_the_linear_layer_that_gives_the_output_is_found(change: Callable[[torch.Tensor], Any], is_logits: bool) -> None:
    network, images = Classifier(change).eval(), drawn(3, 4)
    last = last_layer(network, batches(images), is_logits=is_logits)
    with torch.no_grad():
        np.testing.assert_allclose(last.features, network.body(images).relu().numpy())
        expected = network.head(network.body(images).relu()).softmax(dim=1)
    np.testing.assert_allclose(last.predictions.probabilities, expected.numpy(), atol=1e-6)


@pytest.mark.parametrize(
    ("change", "is_logits", "message"),
    [
        (lambda logits: logits / 2, True, "not those of its last linear layer, 'head': something changes them"),
        (lambda logits: logits.mul_(2), True, "something changes them"),  # in place, where the layer's output stands
        (lambda logits: logits.softmax(dim=1), True, "something changes them .* see is_logits"),
        (lambda logits: logits[:, :2], True, r"'head', gives shape \(3, 3\) and the network \(3, 2\); name the last layer"),
    ],
)
def test_a_layer_that_does_not_give_the_output_has_to_be_named(
    change: Callable[[torch.Tensor], Any], is_logits: bool, message: str
) -> None:
    network, images = Classifier(change).eval(), drawn(3, 4)
    with pytest.raises(ValueError, match=message):
        last_layer(network, batches(images), is_logits=is_logits)
    named = last_layer(network, batches(images), layer="head", is_logits=is_logits)
    with torch.no_grad():
        np.testing.assert_allclose(named.features, network.body(images).relu().numpy())


class OutOfOrder(nn.Module):
    """The linear layer that runs last is an auxiliary one, made first; the head is called by keyword."""

    def __init__(self) -> None:
        super().__init__()
        self.aux, self.head = nn.Linear(5, 2), nn.Linear(5, 3)

    def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return self.head(input=images), self.aux(images)


def test_the_order_of_running_counts_and_not_that_of_making() -> None:
    network, images = OutOfOrder().eval(), drawn(3, 5)
    auxiliary = last_layer(network, batches(images), output=1)
    assert auxiliary.predictions.n_classes == 2
    with pytest.raises(ValueError, match=r"'aux', gives shape \(3, 2\) and the network \(3, 3\)"):
        last_layer(network, batches(images), output=0)
    assert last_layer(network, batches(images), output=0, layer="head").features.tolist() == images.tolist()
    with pytest.raises(ValueError, match=r"say which by output=: 0 \(3, 3\), 1 \(3, 2\)"):
        last_layer(network, batches(images))


class Twice(nn.Module):
    """One layer that runs twice."""

    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(3, 3)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        result: torch.Tensor = self.head(self.head(images))
        return result


class Tokens(nn.Module):
    """A head on each token, averaged."""

    def __init__(self) -> None:
        super().__init__()
        self.head, self.spare = nn.Linear(4, 3), nn.Linear(4, 3)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        result: torch.Tensor = self.head(tokens).mean(dim=1)
        return result


@pytest.mark.parametrize(
    ("network", "shape", "layer", "message"),
    [
        (Twice(), (3, 3), "head", "layer 'head' ran 2 times for a batch; expected once"),
        (Tokens(), (3, 6, 4), None, r"'head', gives shape \(3, 6, 3\) and the network \(3, 3\)"),
        (Tokens(), (3, 6, 4), "head", r"layer 'head' gets shape \(3, 6, 4\); expected \(b, d\)"),
        (Tokens(), (3, 6, 4), "spare", "layer 'spare' ran 0 times"),
        (Tokens(), (3, 6, 4), "haed", "has no layer 'haed'; it has 2, the nearest first: 'head', 'spare'"),
        (
            nn.Sequential(nn.Conv1d(4, 3, 1), nn.AdaptiveAvgPool1d(1), nn.Flatten()),
            (3, 4, 6),
            None,
            "has no torch.nn.Linear",
        ),
        (nn.Sequential(nn.Conv2d(4, 3, 1)), (3, 4, 2, 2), "0", r"has shape \(3, 3, 2, 2\); expected \(b, c\)"),
        ("resnet18", (3, 4), None, "network is str; expected a torch.nn.Module"),
    ],
)
def test_layers_that_are_no_last_layer_are_refused(
    network: Any, shape: tuple[int, ...], layer: str | None, message: str
) -> None:
    if isinstance(network, nn.Module):
        network.eval()
    with pytest.raises(ValueError, match=message):
        last_layer(network, batches(drawn(*shape)), layer=layer)


def test_a_layer_that_runs_twice_is_taken_at_its_last_run() -> None:
    network, images = Twice().eval(), drawn(3, 3)
    with torch.no_grad():
        expected = network.head(images).numpy()
    np.testing.assert_allclose(last_layer(network, batches(images)).features, expected, rtol=1e-6)


def test_a_1x1_convolution_on_pooled_maps_needs_no_averaging() -> None:
    torch.manual_seed(0)
    network = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Conv2d(2, 3, 1), nn.Flatten()).eval()
    images = drawn(3, 2, 5, 5)
    last = last_layer(network, batches(images), layer="1")
    np.testing.assert_allclose(last.features, images.mean(dim=(2, 3)).numpy(), rtol=1e-5)


# --- what stays, and what is warned of -------------------------------------------------------------------------------


def test_the_network_is_left_as_it_was() -> None:
    network = convolutional().train()
    network[1].eval()
    before = [part.training for part in network.modules()]
    state = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    with pytest.warns(UserWarning, match="Sequential is in training mode"):
        last = last_layer(network, batches(drawn(4, 2, 7, 7)))
    assert [part.training for part in network.modules()] == before
    assert all(torch.equal(state[name], tensor) for name, tensor in network.state_dict().items())
    assert all(not part._forward_hooks for part in network.modules())
    assert last.features.tolist() == last_layer(network.eval(), batches(drawn(4, 2, 7, 7))).features.tolist()


def test_hooks_are_taken_off_when_the_network_fails() -> None:
    network = convolutional()
    with pytest.raises(RuntimeError):
        last_layer(network, batches(drawn(4, 1, 7, 7)))
    assert all(not part._forward_hooks for part in network.modules())


@pytest.mark.parametrize("wrap", [nn.DataParallel, lambda network: torch.compile(network, backend="eager")])
def test_a_wrapped_network_gives_the_same(wrap: Callable[[nn.Module], nn.Module]) -> None:
    network, loader = convolutional(), batches(drawn(6, 2, 7, 7))
    wrapped = wrap(network)
    with torch.no_grad():
        wrapped(loader[0][1])  # compiled before hooks are set
    for layer in (None, "8"):
        assert last_layer(wrapped, loader, layer=layer).features.tolist() == last_layer(network, loader).features.tolist()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
@pytest.mark.parametrize("is_logits", [True, False])
def test_other_precisions_give_float32(dtype: torch.dtype, is_logits: bool) -> None:
    change: Callable[[torch.Tensor], torch.Tensor] = torch.nn.Identity() if is_logits else torch.nn.Softmax(dim=1)
    images = drawn(6, 4)
    single = last_layer(Classifier(change).eval(), batches(images), is_logits=is_logits)
    last = last_layer(Classifier(change).eval().to(dtype), batches(images), is_logits=is_logits)
    assert last.features.dtype == np.float32
    np.testing.assert_allclose(last.features, single.features, atol=0.02)
    np.testing.assert_allclose(last.predictions.probabilities, single.predictions.probabilities, atol=0.02)


# --- bad input -------------------------------------------------------------------------------------------------------


def test_a_loader_without_ids_takes_them_in_its_order_and_may_not_shuffle() -> None:
    network, images = convolutional(), drawn(5, 2, 7, 7)
    ids = [name for names, _ in batches(images) for name in names]
    last = last_layer(network, DataLoader(TensorDataset(images), batch_size=4), item_ids=ids)
    assert last.item_ids == tuple(ids)
    assert last.features.tolist() == last_layer(network, batches(images)).features.tolist()
    with pytest.raises(ValueError, match="draws its items by RandomSampler"):
        last_layer(network, DataLoader(TensorDataset(images), batch_size=4, shuffle=True), item_ids=ids)


def test_values_that_are_not_finite_name_their_item() -> None:
    images = drawn(6, 4)
    images[5, 0] = math.nan
    with pytest.raises(ValueError, match=r"logits of 'img_05\.jpg' is \[nan"):
        last_layer(Classifier(nn.Identity()).eval(), batches(images))
    huge = Classifier(nn.Identity()).eval().double()
    with torch.no_grad():
        huge.body.weight.fill_(1e300)
        huge.head.weight.fill_(1e-300)
    with pytest.raises(ValueError, match=r"the last layer's input of 'img_00\.jpg' is .*expected finite"):
        last_layer(huge, batches(drawn(6, 4).double().abs()))
    with pytest.raises(ValueError, match=r"probabilities of 'img_00\.jpg' .*probabilities lie in"):
        last_layer(Classifier(nn.Identity()).eval(), batches(drawn(6, 4)), is_logits=False)


def test_an_item_that_comes_twice_is_refused() -> None:
    loader = batches(drawn(4, 4))
    with pytest.raises(ValueError, match=r"4 item ids stand more than once, the first is 'img_00\.jpg'"):
        last_layer(Classifier(nn.Identity()).eval(), loader + loader)


def test_a_loader_that_gives_nothing_is_refused() -> None:
    stream = iter(batches(drawn(4, 4)))
    network = Classifier(nn.Identity()).eval()
    assert len(last_layer(network, stream)) == 4
    with pytest.raises(ValueError, match="the loader gave no batch; an iterator can be read only once"):
        last_layer(network, stream)


class AnySize(nn.Module):
    """As many features as the first image says, and as many classes as the second."""

    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Identity()

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        n_features, n_classes = images[:, 0].int().tolist()
        self.head(images[:, :n_features])
        return images[:, :n_classes]


def test_batches_that_differ_in_width_are_refused() -> None:
    network = AnySize().eval()
    first, wider, more = torch.ones(2, 5), torch.ones(2, 5), torch.ones(2, 5)
    first[:, 0], wider[:, 0], more[:, 0] = (torch.tensor(sizes) for sizes in ([3, 2], [4, 2], [3, 4]))
    with pytest.raises(ValueError, match="layer 'head' gets 4 features for 'c' and 3 for 'a'"):
        last_layer(network, [(["a", "b"], first), (["c", "d"], wider)], layer="head")
    with pytest.raises(ValueError, match="the network gives 4 classes for 'c' and 2 for 'a'"):
        last_layer(network, [(["a", "b"], first), (["c", "d"], more)], layer="head")


def test_the_value_is_checked_at_its_birth() -> None:
    predictions = ClassificationPredictions(["a", "b"], [[0.5, 0.5], [1.0, 0.0]])
    with pytest.raises(ValueError, match="features has 1 rows for 2 item ids"):
        LastLayer(np.zeros((1, 3)), predictions)
    with pytest.raises(ValueError, match=r"features has shape \(2,\); expected \(n, d\)"):
        LastLayer(np.zeros(2), predictions)
    with pytest.raises(ValueError, match="the last layer's input of 'b' is"):
        LastLayer(np.array([[0.0], [np.nan]]), predictions)
