"""Programs written for SuperAnnotate's code run with their imports changed, and choose what its papers say."""

from __future__ import annotations

import copy
import io
import json
import pickle
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")

import torch
from torch import Tensor, nn

from al_agent.drop_in import (
    ActiveLearning,
    DiscriminativeActiveLearning,
    LossPredictionLoss,
    choose_new_labeled_indices,
    write_entropies_csv,
)
from scorers.learning_loss import ScorerLearningLoss


class Network(nn.Module):
    """A small network with the four methods that the published code asks for."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(1, 3, 3, padding=1)
        self.second = nn.Conv2d(3, 5, 3, stride=2, padding=1)
        self.dropout = nn.Dropout(0.5)
        self.last = nn.Linear(5, 2)
        self.n_passes = 0
        self.features: Any = None
        self.vectors: Any = None

    def forward(self, x: Tensor) -> Tensor:
        self.n_passes += 1
        first = torch.relu(self.first(x))
        second = torch.relu(self.second(first))
        self.features = [first, second]
        vector = self.dropout(second.mean(dim=(2, 3)))
        self.vectors = [vector]
        return self.last(vector)  # type: ignore[no-any-return]

    def get_active_learning_feature_channel_counts(self) -> Any:
        return [3, 5]

    def get_active_learning_features(self) -> Any:
        return self.features

    def get_discriminative_al_layer_shapes(self) -> Any:
        return [[5]]

    def get_discriminative_al_features(self) -> Any:
        return self.vectors


class Images(torch.utils.data.Dataset[Any]):
    """Images that are constant: image i has the level of place i."""

    def __init__(self, levels: Any) -> None:
        self.levels = np.asarray(levels, dtype=np.float32)

    def __len__(self) -> int:
        return len(self.levels)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        return torch.full((1, 4, 4), float(self.levels[index])), 0

    def get_image_path(self, index: int) -> str:
        return f"img_{index}.jpg"


class Level(nn.Module):
    """Predicts that the loss is the image's level in evaluation mode, and minus that in training."""

    def __init__(self, *, is_column: bool = True) -> None:
        super().__init__()
        self.factor = nn.Parameter(torch.ones(()))
        self.inner = nn.Dropout(0.5)
        self.is_column = is_column

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        level = self.factor * x.mean(dim=(1, 2, 3)) * (-1 if self.training else 1)
        return x, level[:, None] if self.is_column else level


class Vectors(nn.Module):
    """Gives each image's level and its square as discriminative features."""

    def __init__(self, announced: int = 2) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(()))
        self.n_images = 0
        self.announced = announced

    def forward(self, x: Tensor) -> Tensor:
        self.n_images += len(x)
        self.kept = [[x.mean(dim=(1, 2, 3))[:, None]], x[:, 0, :1, :1] ** 2]
        return x

    def get_discriminative_al_features(self) -> Any:
        return self.kept

    def get_discriminative_al_layer_shapes(self) -> Any:
        return [[self.announced]]


@pytest.fixture(autouse=True)
def _seeded() -> Iterator[None]:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        yield


def images(n: int = 6, side: int = 8) -> Tensor:
    return torch.randn(n, 1, side, side, generator=torch.Generator().manual_seed(1))


def published_head(state: dict[str, Tensor], features: list[Tensor], grid: int) -> Tensor:
    """The head's formula by torch's own parts, from a checkpoint of the published layout."""
    hidden = [
        torch.relu(
            nn.functional.adaptive_avg_pool2d(one, grid).flatten(1) @ state[f"fc.{number}.weight"].T
            + state[f"fc.{number}.bias"]
        )
        for number, one in enumerate(features)
    ]
    return torch.cat(hidden, dim=1) @ state["loss_pred.weight"].T + state["loss_pred.bias"]


def choose(net: Any, dataset: Any, unlabeled: list[int], **changed: Any) -> tuple[list[int], Any]:
    given: dict[str, Any] = {
        "cycle": 1,
        "rand_state": np.random.RandomState(1311),
        "labeled_idx": [],
        "device": "cpu",
        "images_per_cycle": 2,
        "use_loss_prediction_al": True,
        "use_discriminative_al": False,
        **changed,
    }
    return choose_new_labeled_indices(net, dataset, unlabeled_idx=unlabeled, **given)


# --- ActiveLearning ---


def test_the_published_lines_train_a_network_and_its_head() -> None:
    inputs, targets, lamda = images(), torch.tensor([0, 1, 0, 1, 0, 1]), 1.0
    criterion = nn.CrossEntropyLoss(reduction="none")
    net: Any = Network()
    net = ActiveLearning(net)
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    before = {name: value.clone() for name, value in net.state_dict().items()}

    outputs, loss_pred = net(inputs)
    loss = criterion(outputs, targets)
    criterion_lp = LossPredictionLoss()
    lp = lamda * criterion_lp(loss_pred, loss)
    loss += lp

    expected = float(criterion(outputs, targets).detach().mean() + lp.detach())
    assert float(loss.detach().mean()) == pytest.approx(expected)
    loss.mean().backward()
    optimizer.step()
    weights = {name for name in before if name.endswith("weight")}  # a ranking loss gives no gradient to the last bias
    assert weights == {name for name, value in net.state_dict().items() if not torch.equal(value, before[name])} & weights


@pytest.mark.parametrize(("grid", "width"), [(1, 128), (3, 16), (6, 7)])
def test_an_old_checkpoint_loads_and_predicts_by_the_published_formula(grid: int, width: int) -> None:
    generator = torch.Generator().manual_seed(grid)
    shapes = {  # the layout of the published class
        **{f"base_model.{name}": value.shape for name, value in Network().state_dict().items()},
        "fc.0.weight": (width, 3 * grid**2),
        "fc.0.bias": (width,),
        "fc.1.weight": (width, 5 * grid**2),
        "fc.1.bias": (width,),
        "loss_pred.weight": (1, 2 * width),
        "loss_pred.bias": (1,),
    }
    state = {name: torch.randn(shape, generator=generator) for name, shape in shapes.items()}
    file = io.BytesIO()
    torch.save({"net": state, "acc": 50.0, "epoch": 3}, file)
    file.seek(0)

    network = Network()
    net = ActiveLearning(network, grid, width).eval()
    net.load_state_dict(torch.load(file, weights_only=True)["net"])
    outputs, predicted = net(images())
    assert list(net.state_dict()) == list(shapes)
    assert predicted.shape == (6, 1)
    torch.testing.assert_close(predicted, published_head(state, network.features, grid))
    assert torch.equal(outputs, network(images()))
    assert net.is_trained


def test_weights_are_drawn_in_the_published_order() -> None:
    network = Network()
    torch.manual_seed(1311)
    drawn = [nn.Linear(3, 128), nn.Linear(5, 128), nn.Linear(256, 1)]
    torch.manual_seed(1311)
    net = ActiveLearning(network)
    found: list[Any] = [*net.fc, net.loss_pred]
    assert all(torch.equal(ours.weight, one.weight) and torch.equal(ours.bias, one.bias) for ours, one in zip(found, drawn))


def test_features_in_nested_lists_are_those_of_a_flat_one() -> None:
    class Nested(Network):
        def get_active_learning_feature_channel_counts(self) -> Any:
            return [[3], (5,)]

        def get_active_learning_features(self) -> Any:
            return ([self.features[0]], {"deep": [self.features[1]]})

    nested, flat = ActiveLearning(Nested()).eval(), ActiveLearning(Network()).eval()
    flat.load_state_dict(nested.state_dict())
    assert torch.equal(nested(images())[1], flat(images())[1])


@pytest.mark.parametrize(
    ("counts", "given", "message"),
    [
        ([3, 6], None, r"announces \[3, 6\], and get_active_learning_features gave \(6, 3, 8, 8\), \(6, 5, 4, 4\)"),
        ([5, 3], None, r"announces \[5, 3\]"),
        ([3], None, r"announces \[3\]"),
        ([3, 5, 7], None, r"announces \[3, 5, 7\]"),
        ([3, 5], [], "gave no tensor of floats"),
        ([3, 5], [torch.zeros(6, 3, 8, 8), torch.zeros(2, 5, 4, 4)], r"gave \(6, 3, 8, 8\), \(2, 5, 4, 4\)"),
        ([3, 5], [torch.zeros(6), torch.zeros(6, 5)], r"gave \(6,\), \(6, 5\); expected a tensor"),
    ],
)
def test_features_that_are_not_as_announced_are_refused(counts: list[int], given: Any, message: str) -> None:
    class Other(Network):
        def get_active_learning_feature_channel_counts(self) -> Any:
            return counts

        def get_active_learning_features(self) -> Any:
            return self.features if given is None else given

    with pytest.raises(ValueError, match=message):
        ActiveLearning(Other())(images())


@pytest.mark.parametrize("layers", [None, ["first", "second"]])
def test_detach_lp_keeps_the_predictions_and_cuts_their_gradient(layers: list[str] | None) -> None:
    network = Network()
    net = ActiveLearning(network, layers=layers).eval()
    whole, cut = net(images())[1], net(images(), detach_lp=True)[1]
    assert torch.equal(whole, cut)
    cut.sum().backward()
    assert all(one.grad is None for one in network.parameters())
    assert all(one.grad is not None for one in net.fc.parameters())
    net(images())[1].sum().backward()
    assert network.first.weight.grad is not None
    assert float(network.first.weight.grad.abs().sum()) > 0


class Plain(nn.Module):
    """A network without any of the methods."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(1, 3, 3, padding=1), nn.Sigmoid(), nn.Conv2d(3, 5, 3), nn.Sigmoid())
        self.last = nn.Linear(5, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.last(self.body(x).mean(dim=(2, 3)))  # type: ignore[no-any-return]


def test_layers_by_name_need_no_methods() -> None:
    network = Plain()
    net = ActiveLearning(network, 2, 8, layers=["body.1", "body.3"])
    features = [network.body[:2](images()), network.body(images())]
    torch.testing.assert_close(net(images())[1], published_head(net.state_dict(), features, 2))


@torch.no_grad()
@pytest.mark.parametrize("make", [lambda: ActiveLearning(Network()), lambda: ActiveLearning(Plain(), layers=["body.1"])])
def test_copies_and_pickles_predict_the_same(make: Callable[[], ActiveLearning]) -> None:
    net = make().eval()
    expected = net(images())[1]
    file = io.BytesIO()
    torch.save(net, file)
    file.seek(0)
    for twin in (copy.deepcopy(net), torch.load(file, weights_only=False)):
        assert torch.equal(twin(images())[1], expected)
        twin.loss_pred.bias += 1
        torch.testing.assert_close(twin(images())[1], expected + 1)
    assert torch.equal(net(images())[1], expected)


def test_parameters_for_the_optimizer_are_the_networks_choice_and_the_head() -> None:
    class Choosy(Network):
        def optim_parameters(self) -> Any:
            yield from self.last.parameters()

    class Grouped(Network):
        def optim_parameters(self) -> Any:
            return [{"params": list(self.last.parameters()), "lr": 0.5}]

    network = Choosy()
    net = ActiveLearning(network)
    head = [*net.fc.parameters(), *net.loss_pred.parameters()]
    assert list(map(id, net.optim_parameters())) == list(map(id, [*network.last.parameters(), *head]))
    net = ActiveLearning(Network())
    assert list(map(id, net.optim_parameters())) == list(map(id, net.parameters()))
    net = ActiveLearning(Grouped())
    optimizer = torch.optim.SGD(net.optim_parameters(), lr=0.1)
    assert [group["lr"] for group in optimizer.param_groups] == [0.5, 0.1]
    assert sum(len(group["params"]) for group in optimizer.param_groups) == 2 + 6


def copy_as_data_parallel_makes_it(net: nn.Module) -> Any:
    """What torch.nn.parallel.replicate makes, which itself needs several GPUs."""
    modules = list(net.modules())
    made = {id(one): one._replicate_for_data_parallel() for one in modules}  # type: ignore[no-untyped-call]
    for one in modules:
        for name, child in one._modules.items():
            made[id(one)]._modules[name] = made[id(child)]
        for name, parameter in one._parameters.items():
            made[id(one)]._parameters[name] = parameter
    return made[id(net)]


def test_copies_on_several_devices_do_not_read_each_others_features() -> None:
    barrier = threading.Barrier(2)

    class Waiting(Network):
        def forward(self, x: Tensor) -> Tensor:
            outputs = super().forward(x)
            if len(x) == 3:
                barrier.wait(timeout=30)  # until both copies have their features
            return outputs

    net = ActiveLearning(Waiting()).eval()
    _, expected = net(images(6))
    with ThreadPoolExecutor(2) as pool:
        copies = [copy_as_data_parallel_makes_it(net) for _ in range(2)]
        parts = list(pool.map(lambda one, x: one(x)[1].detach(), copies, torch.split(images(6), 3)))
    torch.testing.assert_close(torch.cat(parts), expected)


def test_layers_inside_of_data_parallel_are_refused_and_around_it_they_work() -> None:
    net = ActiveLearning(Plain(), layers=["body.1"]).eval()
    with pytest.raises(RuntimeError, match="cannot be inside of DataParallel"):
        copy_as_data_parallel_makes_it(net)(images())
    around = ActiveLearning(nn.DataParallel(net.base_model), layers=["body.1"]).eval()
    around.fc, around.loss_pred = net.fc, net.loss_pred
    assert torch.equal(around(images())[1], net(images())[1])


@pytest.mark.parametrize(
    "make", [lambda: ActiveLearning(Network(), 2, 8), lambda: ActiveLearning(Plain(), layers=["body.1"])]
)
def test_the_head_goes_on_as_a_learning_loss_of_the_same_weights(make: Callable[[], ActiveLearning]) -> None:
    net = make().eval()
    torch.nn.init.normal_(net.loss_pred.weight)
    _, expected = net(images())
    learning_loss = net.as_learning_loss(example=images())
    ids = [f"{number}.png" for number in range(6)]
    scores = ScorerLearningLoss(learning_loss, [(ids, images())]).scores()
    np.testing.assert_allclose(scores.column("predicted_loss"), expected.detach().numpy()[:, 0], rtol=1e-6)
    net.base_model(images())
    learning_loss.loss(torch.arange(6.0)).backward()  # type: ignore[no-untyped-call]
    weights = [one for name, one in net.fc.named_parameters() if name.endswith("weight")]
    assert all(one.grad is not None and float(one.grad.abs().sum()) > 0 for one in weights)


@pytest.mark.parametrize(
    ("network", "options", "message"),
    [
        (Plain(), {}, r"Plain has no get_active_learning_feature_channel_counts\(\); write it, or name parts"),
        (nn.DataParallel(Network()), {}, "inside of DataParallel, whose copies keep no features"),
        ("resnet", {}, "base_model is str; expected a torch.nn.Module"),
        ("resnet", {"layers": ["a"]}, "base_model is str; expected a torch.nn.Module"),
        (Plain(), {"layers": "body"}, "layers is 'body'; expected names"),
        (Plain(), {"layers": []}, r"layers is \[\]; expected names"),
        (Plain(), {"layers": ["nobody"]}, "the network has no layer 'nobody'"),
        (Network(), {"global_avg_pool_size": 0}, "global_avg_pool_size is 0; expected a whole number of at least 1"),
        (Network(), {"fc_width": 1.5}, "fc_width is 1.5; expected a whole number of at least 1"),
    ],
)
def test_networks_and_options_that_cannot_be_are_refused(network: Any, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ActiveLearning(network, **options)


# --- DiscriminativeActiveLearning ---


def test_the_published_lines_give_two_logits_without_shapes_being_told() -> None:
    net: Any = Network().eval()
    outputs_before = net(images())
    net = DiscriminativeActiveLearning(net)
    outputs, labeled_unlabeled_predictions = net(images())
    assert torch.equal(outputs, outputs_before)
    assert labeled_unlabeled_predictions.shape == (6, 2)
    assert torch.equal(labeled_unlabeled_predictions, net.sequential(net.base_model.vectors[0]))


@pytest.mark.parametrize(
    ("shapes", "n_inputs", "width"),
    [
        ([[29]], 29, 20),
        ([[30]], 30, 256),
        ([[512]], 512, 256),
        ([[8, 8, 8], [1]], 513, 512),
        ([512, torch.Size([2])], 514, 512),
    ],
)
def test_an_old_classifier_loads_at_every_published_width(shapes: Any, n_inputs: int, width: int) -> None:
    sizes = [(width, n_inputs), (width, width), (width, width), (2, width)]
    names = ["fc1", "fc2", "fc3", "out"]
    state = {}
    for number, (name, size) in enumerate(zip(names, sizes)):
        for kind, shape in (("weight", size), ("bias", size[:1])):
            state[f"{name}.{kind}"] = state[f"sequential.{2 * number}.{kind}"] = torch.randn(shape) / size[1] ** 0.5
    net = DiscriminativeActiveLearning(None, shapes)
    net.load_state_dict(state)
    x = torch.randn(4, n_inputs)
    expected = x
    for name in names:
        expected = (torch.relu(expected) if name != "fc1" else expected) @ state[f"{name}.weight"].T + state[f"{name}.bias"]
    features, logits = net(x)
    assert features is x
    torch.testing.assert_close(logits, expected)


def test_layers_are_reset_and_the_network_is_frozen_alone() -> None:
    net = DiscriminativeActiveLearning(Network())
    before = {name: value.clone() for name, value in net.state_dict().items()}
    net.reset_al_layers()
    same = {name for name, value in net.state_dict().items() if torch.equal(value, before[name])}
    assert same == {name for name in before if name.startswith("base_model.")}
    net.freeze_main_layers(False)
    assert {name.split(".")[0] for name, one in net.named_parameters() if not one.requires_grad} == {"base_model"}
    net.freeze_main_layers(True)
    assert all(one.requires_grad for one in net.parameters())


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: DiscriminativeActiveLearning(None), "base_model is NoneType; expected a torch.nn.Module"),
        (
            lambda: DiscriminativeActiveLearning(Plain()),
            r"Plain has no get_discriminative_al_layer_shapes\(\); write it, or pass",
        ),
        (lambda: DiscriminativeActiveLearning(None, []), r"the shapes of the discriminative features are \[\]"),
        (lambda: DiscriminativeActiveLearning(None, [["512"]]), "expected such as"),
        (lambda: DiscriminativeActiveLearning(None, [[0]]), "expected such as"),
        (
            lambda: DiscriminativeActiveLearning(Network(), [[6]])(images()),
            "have 5 values for each image, and 6 were announced",
        ),
    ],
)
def test_shapes_that_cannot_be_are_refused(make: Callable[[], Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()


# --- choose_new_labeled_indices ---


@pytest.mark.parametrize("make", [np.random.RandomState, np.random.default_rng])
@pytest.mark.parametrize("use_discriminative_al", [True, False])
def test_cycle_0_is_the_published_random_draw_without_a_network(make: Any, use_discriminative_al: bool) -> None:
    unlabeled, labeled = list(range(200, 0, -1)), [0, 201]
    expected = make(1311).choice(unlabeled, 30, replace=False).tolist()
    chosen, values = choose_new_labeled_indices(
        None, None, 0, make(1311), labeled, unlabeled, "cpu", 30, not use_discriminative_al, use_discriminative_al, None
    )
    assert (chosen, values) == (expected, None)
    assert unlabeled == [index for index in range(200, 0, -1) if index not in expected]
    assert labeled == [0, 201]


def test_without_a_way_to_choose_every_cycle_is_random() -> None:
    unlabeled = list(range(50))
    expected = np.random.RandomState(1311).choice(unlabeled, 2, replace=False).tolist()
    assert choose(None, None, unlabeled, cycle=7, use_loss_prediction_al=False) == (expected, None)
    assert unlabeled == [index for index in range(50) if index not in expected]


@pytest.mark.parametrize("make", [np.random.RandomState, np.random.default_rng])
@pytest.mark.parametrize("is_column", [True, False])
@pytest.mark.parametrize(("batch_size", "num_workers"), [(1, 0), (64, 0), (7, 1)])
def test_the_highest_predictions_of_ten_random_candidates_for_each_pick_come_first(
    make: Any, is_column: bool, batch_size: int, num_workers: int
) -> None:
    levels = np.random.default_rng(5).normal(size=100).astype(np.float32)
    unlabeled, labeled = list(range(99, 9, -1)), list(range(10))
    candidates = make(3).choice(unlabeled, 40, replace=False)
    expected = sorted(candidates.tolist(), key=lambda index: -levels[index])[:4]
    chosen, values = choose(
        Level(is_column=is_column),
        Images(levels),
        unlabeled,
        rand_state=make(3),
        labeled_idx=labeled,
        images_per_cycle=4,
        batch_size=batch_size,
        num_workers=num_workers,
    )
    assert chosen == expected
    assert all(type(index) is int for index in chosen)
    np.testing.assert_allclose(values, levels[expected], rtol=1e-6)
    assert unlabeled == [index for index in range(99, 9, -1) if index not in expected]
    assert labeled == list(range(10))


def test_equal_predictions_are_taken_in_the_order_of_the_unlabeled() -> None:
    unlabeled = [5, 3, 4, 0, 2, 1]
    chosen, values = choose(Level(), Images([7, 7, 0, 7, 0, 0]), unlabeled, images_per_cycle=5)
    assert (chosen, values.tolist()) == ([3, 0, 1, 5, 4], [7, 7, 7, 0, 0])
    assert unlabeled == [2]


def test_modes_are_put_back_and_torchs_randomness_is_left_alone() -> None:
    net = Level().train()
    net.inner.eval()
    state = torch.get_rng_state()
    choose(net, Images(range(9)), list(range(9)))
    assert (net.training, net.inner.training) == (True, False)
    assert torch.equal(torch.get_rng_state(), state)
    assert net.factor.grad is None


def test_modes_and_lists_are_as_before_when_scoring_fails() -> None:
    net, unlabeled = Level().train(), list(range(9))
    with pytest.raises(ValueError, match=r"the predicted loss of '4' is \[nan\]"):
        choose(net, Images([0, 1, 2, 3, np.nan, 5, 6, 7, 8]), unlabeled)
    assert net.training
    assert net.inner.training
    assert unlabeled == list(range(9))


@pytest.mark.parametrize(
    "item", [lambda image: image, lambda image: (image, [1, "any"], None), lambda image: [image, 0, 1, {}]]
)
def test_what_a_data_set_gives_after_the_image_is_not_looked_at(item: Callable[[Tensor], Any]) -> None:
    dataset = [item(torch.full((1, 2, 2), float(level))) for level in (3, 9, 5)]
    assert choose(Level(), dataset, [0, 1, 2])[0] == [1, 2]


WEAK_IS_FINE = pytest.mark.filterwarnings("ignore:the discriminators of")
"""Where some of the unlabeled are like the labeled, no classifier tells all of them."""


def two_groups(n_near: int = 60, n_far: int = 12) -> Images:
    """Images near level 0, then images near level 5."""
    rng = np.random.default_rng(2)
    return Images([*rng.normal(0, 0.5, n_near), *rng.normal(5, 0.5, n_far)])


@WEAK_IS_FINE
@pytest.mark.parametrize(
    ("make", "wrapped"),
    [
        (np.random.RandomState, lambda net: net),
        (np.random.default_rng, nn.DataParallel),
        (np.random.RandomState, DiscriminativeActiveLearning),
        (np.random.RandomState, lambda net: nn.DataParallel(DiscriminativeActiveLearning(net, [[2]]))),
    ],
)
def test_discriminative_selection_takes_what_is_unlike_the_labeled(
    make: Any, wrapped: Callable[[nn.Module], nn.Module]
) -> None:
    inner = Vectors()
    net = wrapped(inner).train()
    labeled, unlabeled = list(range(30)), list(range(30, 72))
    chosen, values = choose(
        net,
        two_groups(),
        unlabeled,
        rand_state=make(1),
        labeled_idx=labeled,
        images_per_cycle=2,
        use_loss_prediction_al=False,
        use_discriminative_al=True,
    )
    assert len(set(chosen)) == len(chosen) == 2
    assert min(chosen) >= 60
    assert values.shape == (2,)
    assert values.min() > 0.9
    assert unlabeled == [index for index in range(30, 72) if index not in chosen]
    assert labeled == list(range(30))
    assert inner.n_images == 72  # once, for two discriminators
    assert net.training


@WEAK_IS_FINE
def test_discriminative_selection_repeats_with_the_seed() -> None:
    (chosen, values), (again, values_again) = (
        by_ours(two_groups(), list(range(30)), list(range(30, 72)), 5) for _ in range(2)
    )
    assert chosen == again
    assert np.array_equal(values, values_again)


def test_a_weak_discriminator_is_said() -> None:
    with pytest.warns(UserWarning, match="cannot tell labeled from unlabeled"):
        choose(
            Vectors(),
            Images(np.zeros(40)),
            list(range(10, 40)),
            labeled_idx=list(range(10)),
            use_loss_prediction_al=False,
            use_discriminative_al=True,
        )


def test_an_untrained_head_is_said_and_a_trained_or_loaded_one_is_not() -> None:
    dataset = Images(range(9))
    net = ActiveLearning(Network())
    with pytest.warns(UserWarning, match="the head of net has the weights that it was made with"):
        choose(net, dataset, list(range(9)))
    with pytest.warns(UserWarning, match="the head of net"):
        choose(nn.DataParallel(net), dataset, list(range(9)))
    loaded = ActiveLearning(Network())
    loaded.load_state_dict(net.state_dict())
    chosen, _ = choose(loaded, dataset, list(range(9)))
    net(images())[1].sum().backward()
    torch.optim.SGD(net.parameters(), lr=0.1).step()
    assert len(choose(net, dataset, list(range(9)))[0]) == len(chosen) == 2


def test_a_json_file_of_earlier_choices_is_replayed_from_cycle_0_on(tmp_path: Path) -> None:
    file = tmp_path / "chosen.json"
    first = choose(None, None, list(range(30)), cycle=0, images_per_cycle=3)[0]
    file.write_text(json.dumps([first, [28 if 28 not in first else 29]]))
    unlabeled: list[int] = list(range(30))
    for cycle, expected in enumerate(json.loads(file.read_text())):
        found = choose(
            None,
            None,
            unlabeled,
            cycle=cycle,
            rand_state=np.random.RandomState(8),
            images_per_cycle=3,
            use_loss_prediction_al=False,
            input_pickle_file=file,
        )
        assert found == (expected, None)
        assert not set(expected).intersection(unlabeled)
    assert len(unlabeled) == 26


class Trap:
    """What a pickle can do to whoever opens it."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def __reduce__(self) -> Any:
        return Path.touch, (self.file,)


def test_a_pickle_is_refused_unopened_with_the_way_out(tmp_path: Path) -> None:
    for name in ("chosen.pkl", "chosen"):
        file = tmp_path / name
        file.write_bytes(pickle.dumps([Trap(tmp_path / "sprung")]))
        with pytest.raises(ValueError, match=r"pickles are refused, as they can run any program.*json\.dumps"):
            choose(None, None, [1, 2, 3], use_loss_prediction_al=False, input_pickle_file=file)
    assert not (tmp_path / "sprung").exists()


def test_the_way_out_of_a_pickle_gives_a_file_that_is_taken(tmp_path: Path) -> None:
    old, new = tmp_path / "chosen.pkl", tmp_path / "chosen.json"
    old.write_bytes(pickle.dumps([[np.array([2, 0]), [np.int64(1)]]]))  # as the published code writes it
    with pytest.raises(ValueError, match="pickles are refused") as refused:
        choose(None, None, [0, 1, 2, 3], cycle=0, use_loss_prediction_al=False, input_pickle_file=old)
    program = str(refused.value).split("Where you trust it: ")[1]
    exec(program, {"pickle": pickle, "json": json, "old": old, "new": new, "Path": Path})
    assert choose(None, None, [0, 1, 2, 3], cycle=0, use_loss_prediction_al=False, input_pickle_file=new)[0] == [2, 0]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[[1", "is not a JSON file"),
        ('{"0": [1]}', "is no list of lists"),
        ("[1, 2]", "is no list of lists"),
        ("[[0]]", "has lists for 1 cycles, and cycle 1 is asked for"),
        ("[[0], [1, 1]]", "list 1 of .* holds 1 twice"),
        ("[[0], [1.5]]", "list 1 of .* holds 1.5; expected whole numbers"),
        ("[[0], [true]]", "list 1 of .* holds True; expected whole numbers"),
        ("[[0], [9]]", "list 1 of .* has index 9, which is not in unlabeled_idx"),
    ],
)
def test_files_of_something_else_are_refused(tmp_path: Path, text: str, message: str) -> None:
    file = tmp_path / "chosen.json"
    file.write_text(text)
    unlabeled = [1, 2, 3]
    with pytest.raises(ValueError, match=message):
        choose(None, None, unlabeled, use_loss_prediction_al=False, input_pickle_file=file)
    assert unlabeled == [1, 2, 3]


DISCRIMINATIVE = {"use_loss_prediction_al": False, "use_discriminative_al": True}


class SecondIsMissing(Level):
    def forward(self, x: Tensor) -> Any:
        return x


class SecondIsOfTheBatch(Level):
    def forward(self, x: Tensor) -> Any:
        return x, x.mean()


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"images_per_cycle": 7}, "images_per_cycle is 7, and 6 are in unlabeled_idx; ask for no more"),
        ({"images_per_cycle": 7, "cycle": 0}, "images_per_cycle is 7, and 6 are in unlabeled_idx"),
        ({"images_per_cycle": 0}, "images_per_cycle is 0; expected a whole number of at least 1"),
        ({"images_per_cycle": 2.0}, "images_per_cycle is 2.0"),
        ({"labeled_idx": [6, 6]}, "labeled_idx holds 6 twice"),
        ({"labeled_idx": [6, 5, 4]}, "2 indices are in labeled_idx and in unlabeled_idx, the first is 4"),
        ({"labeled_idx": [8]}, "index 8 is out of range: the data set has 8 images"),
        ({"labeled_idx": [-1]}, "labeled_idx holds -1; expected whole numbers from 0"),
        ({"labeled_idx": ["a.jpg"]}, "labeled_idx holds 'a.jpg'; expected whole numbers from 0"),
        ({"cycle": -1}, "cycle holds -1; expected whole numbers from 0"),
        ({"cycle": True}, "cycle holds True"),
        ({"rand_state": 1311}, r"rand_state is int; expected numpy.random.RandomState\(seed\)"),
        ({"use_loss_prediction_al": "False"}, "use_loss_prediction_al is 'False'; expected True or False"),
        ({"use_discriminative_al": True}, "use_loss_prediction_al and use_discriminative_al are given"),
        ({"input_pickle_file": "a.json"}, "use_loss_prediction_al and input_pickle_file are given"),
        ({"net": None}, "net is NoneType; expected at cycle 1 the network trained in the cycle before"),
        ({"device": "meta"}, r"device is 'meta', and net is on 'cpu'; move it there: net.to\('meta'\)"),
        ({"device": "gpu"}, "device is 'gpu'; expected the name of a device of torch"),
        ({"batch_size": 0}, "batch_size is 0; expected a whole number"),
        ({"net": SecondIsMissing()}, r"net gives a Tensor for 6 images; expected \(outputs, loss_pred\)"),
        ({"net": SecondIsOfTheBatch()}, r"net gives \(\) for 6 images; expected \(outputs, loss_pred\)"),
        ({**DISCRIMINATIVE}, "labeled_idx is empty, and discriminative selection compares"),
        ({**DISCRIMINATIVE, "labeled_idx": [6]}, r"Level has no get_discriminative_al_features\(\); write it"),
        ({**DISCRIMINATIVE, "labeled_idx": [6], "net": Vectors(3)}, r"of 7 images have shape \(7, 2\); expected \(7, 3\)"),
    ],
)
def test_what_cannot_be_is_refused_and_nothing_is_changed(changed: dict[str, Any], message: str) -> None:
    unlabeled = list(range(6))
    given = {"net": Level(), **changed}
    labeled = given.setdefault("labeled_idx", [])
    before = list(labeled)
    with pytest.raises(ValueError, match=message):
        choose(given.pop("net"), Images(range(8)), unlabeled, **given)
    assert unlabeled == list(range(6))
    assert labeled == before


@pytest.mark.parametrize(
    ("unlabeled", "message"),
    [
        ([0, 1, 1, 2], "unlabeled_idx holds 1 twice"),
        ([0, 1, 8], "index 8 is out of range"),
        (np.arange(4), "unlabeled_idx is of type ndarray; expected a list, as it is changed"),
        ((0, 1, 2), "unlabeled_idx is of type tuple"),
    ],
)
def test_unlabeled_indices_are_a_list_of_different_ones(unlabeled: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        choose(Level(), Images(range(8)), unlabeled)


# --- write_entropies_csv ---


def test_the_file_has_the_published_header_lines_and_order(tmp_path: Path) -> None:
    file = tmp_path / "cycle_1.csv"
    write_entropies_csv(Images(range(9)), [7, 2], np.array([1.5, -0.1]), file)
    assert file.read_bytes() == b"name,entropy_value\r\nimg_7.jpg,1.5\r\nimg_2.jpg,-0.1\r\n"


def test_a_cycle_of_random_choices_is_written_with_zeros(tmp_path: Path) -> None:
    file, unlabeled = tmp_path / "cycle_0.csv", list(range(9))
    indices, entropies = choose(None, None, unlabeled, cycle=0)
    write_entropies_csv(Images(range(9)), indices, entropies, file)
    assert file.read_text().splitlines() == ["name,entropy_value", *(f"img_{index}.jpg,0" for index in indices)]


def test_names_can_be_given_beside_the_data_set(tmp_path: Path) -> None:
    for names in (["a.png", "b,2.png", "ü.png"], {1: "b,2.png", 2: "ü.png"}):
        write_entropies_csv([], iter([2, 1]), torch.tensor([0.5, 0.25]), tmp_path / "a.csv", names=names)
        assert (tmp_path / "a.csv").read_text(encoding="utf-8") == 'name,entropy_value\nü.png,0.5\n"b,2.png",0.25\n'


def test_names_that_a_spreadsheet_would_run_are_neutralised(tmp_path: Path) -> None:
    with pytest.warns(UserWarning, match="2 names begin with a character that makes a spreadsheet run the cell"):
        write_entropies_csv(None, [0, 1, 2], [3, 2, 1], tmp_path / "a.csv", names=["=1+1.jpg", "ok.jpg", "@x.jpg"])
    assert (tmp_path / "a.csv").read_text().splitlines()[1:] == ["'=1+1.jpg,3.0", "ok.jpg,2.0", "'@x.jpg,1.0"]


@pytest.mark.parametrize(
    ("indices", "entropies", "options", "message"),
    [
        ([0, 1], [1.0], {}, r"entropies has shape \(1,\) for 2 indices; expected a number for each"),
        ([0, 1], [[1.0], [2.0]], {}, r"entropies has shape \(2, 1\) for 2 indices"),
        ([0, 1], [1.0, float("nan")], {}, "the entropy of 'img_1.jpg' is nan; expected finite numbers"),
        ([0, 0], [1.0, 2.0], {}, "'img_0.jpg' is the name of several images"),
        ([0, 5], None, {"names": ["a"]}, "names has no name for index 5; it has 1"),
        ([0, 5], None, {"names": {0: "a"}}, "names has no name for index 5"),
        ([0], None, {"dataset": [1, 2]}, r"list has no get_image_path\(index\); write it, or pass names="),
    ],
)
def test_what_cannot_be_written_leaves_the_file_as_it_was(
    tmp_path: Path, indices: list[int], entropies: Any, options: dict[str, Any], message: str
) -> None:
    file = tmp_path / "a.csv"
    file.write_text("before")
    given = {"dataset": Images(range(9)), **options}
    with pytest.raises(ValueError, match=message):
        write_entropies_csv(given.pop("dataset"), indices, entropies, file, **given)
    assert [(one.name, one.read_text()) for one in tmp_path.iterdir()] == [("a.csv", "before")]


# --- The published defects, each rebuilt: what ours passes, they do not ---


def published_loss(predicted: Tensor, losses: Tensor) -> Tensor:
    """A column of predictions meets a vector of losses, and a tie counts as minus one."""
    n_pairs = len(losses) // 2
    difference = (predicted - predicted.flip(0))[:n_pairs]
    sign = torch.where((losses - losses.flip(0))[:n_pairs] > 0, 1.0, -1.0)
    return torch.clamp(1 - sign * difference, min=0).sum() / n_pairs


def order_learned(ranking_loss: Callable[[Tensor, Tensor], Tensor]) -> float:
    """Spearman's correlation of true losses with free scores `(n, 1)` that a ranking loss has trained."""
    generator = torch.Generator().manual_seed(0)
    true, scores = torch.rand(128, generator=generator), torch.zeros(128, 1, requires_grad=True)
    optimizer = torch.optim.SGD([scores], lr=1.0)
    for _ in range(1000):
        rows = torch.randperm(128, generator=generator)[:32]
        optimizer.zero_grad()
        ranking_loss(scores[rows], true[rows]).backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    first, second = (one.detach().flatten().argsort().argsort().numpy() for one in (true, scores))
    return float(np.corrcoef(first, second)[0, 1])


def test_a_column_of_predictions_learns_the_order_of_a_vector_of_losses() -> None:
    def check(ranking_loss: Callable[[Tensor, Tensor], Tensor]) -> None:
        assert order_learned(ranking_loss) > 0.99

    check(LossPredictionLoss())
    with pytest.raises(AssertionError):
        check(published_loss)
    assert order_learned(published_loss) < 0.6


def test_images_of_equal_loss_are_not_pushed_apart() -> None:
    def check(ranking_loss: Callable[[Tensor, Tensor], Tensor]) -> None:
        predicted = torch.zeros(4, requires_grad=True)
        ranking_loss(predicted, torch.zeros(4)).backward()  # type: ignore[no-untyped-call]
        assert predicted.grad is not None
        assert predicted.grad.tolist() == [0, 0, 0, 0]

    check(LossPredictionLoss())
    with pytest.raises(AssertionError):
        check(published_loss)


def trained(dataset: Images, labeled: list[int]) -> ActiveLearning:
    """A network whose targets are the noisier the higher an image's level, so that its loss rises with the level."""
    net = ActiveLearning(Network())
    criterion_lp = LossPredictionLoss()
    optimizer = torch.optim.Adam(net.parameters(), lr=0.01)
    inputs = torch.stack([dataset[index][0] for index in labeled])
    for _ in range(150):
        targets = torch.from_numpy(dataset.levels[labeled])[:, None] * torch.randn(len(labeled), 2)
        outputs, loss_pred = net(inputs)
        loss = (outputs - targets).square().mean(dim=1)
        optimizer.zero_grad()
        (loss.mean() + criterion_lp(loss_pred, loss)).backward()
        optimizer.step()
    return net


@pytest.mark.filterwarnings("ignore:the head of net has the weights")
def test_the_network_that_chooses_is_the_trained_one() -> None:
    def check(network_of_the_cycle: Callable[[Images, list[int]], ActiveLearning]) -> None:
        for seed in range(3):
            torch.manual_seed(seed)
            dataset = Images(np.random.default_rng(seed).uniform(0, 3, 240))
            labeled, unlabeled = list(range(80)), list(range(80, 240))
            net = network_of_the_cycle(dataset, labeled)
            chosen, _ = choose(net, dataset, unlabeled, labeled_idx=labeled, images_per_cycle=16)
            assert dataset.levels[chosen].mean() > 2.5

    check(trained)
    with pytest.raises(AssertionError):
        check(lambda *_: ActiveLearning(Network()))  # made anew at the top of the cycle, before it chooses


def by_a_discriminator_in_no_optimizer(dataset: Images, labeled: list[int], unlabeled: list[int], seed: int) -> Any:
    """The optimizer has the parameters of the network, and the classifier that is made after it learns nothing."""
    torch.manual_seed(seed)
    network = Vectors()
    optimizer = torch.optim.Adam(network.parameters(), lr=3e-4)
    classifier = DiscriminativeActiveLearning(None, network.get_discriminative_al_layer_shapes())
    levels = torch.from_numpy(dataset.levels)
    features = torch.stack([levels, levels**2], dim=1)
    targets = torch.tensor([1] * len(labeled) + [0] * len(unlabeled))
    for _ in range(20):
        optimizer.zero_grad()
        nn.functional.cross_entropy(classifier(features[[*labeled, *unlabeled]])[1], targets).backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    with torch.no_grad():
        p_unlabeled = classifier(features[unlabeled])[1].softmax(dim=1)[:, 0]
    best = p_unlabeled.argsort(descending=True)[:1]
    return [unlabeled[place] for place in best.tolist()], p_unlabeled[best].numpy()


def by_ours(dataset: Images, labeled: list[int], unlabeled: list[int], seed: int) -> Any:
    state = np.random.RandomState(seed)
    return choose(Vectors(), dataset, unlabeled, rand_state=state, labeled_idx=labeled, images_per_cycle=1, **DISCRIMINATIVE)


@WEAK_IS_FINE
def test_the_discriminator_learns() -> None:
    def check(by: Callable[..., Any]) -> None:
        for seed in range(3):
            chosen, values = by(two_groups(), list(range(30)), list(range(30, 72)), seed)
            assert min(chosen) >= 60, "unlike the labeled"
            assert min(values) > 0.9, "and sure of it"

    check(by_ours)
    with pytest.raises(AssertionError):
        check(by_a_discriminator_in_no_optimizer)
