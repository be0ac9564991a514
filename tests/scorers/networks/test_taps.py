"""Taps read what layers gave, whatever the network does with it, and change nothing; pooling is that of torch."""

from __future__ import annotations

import copy
import io
import pickle
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
import two_ranks
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from scorers.learning_loss import LossPredictionLoss
from scorers.networks.parts import evaluating, like, mapped_tensors, part_named, unwrapped
from scorers.networks.pooling import pooled
from scorers.networks.taps import LayerTaps, keeping, tensors_in


def tap(
    network: nn.Module, layers: list[str] | None, *, grid: int = 1, channel_axis: int = 1, example: Any = None
) -> LayerTaps:
    def keep(features: Tensor, _layer: str) -> Tensor:
        return pooled(features, grid=grid, channel_axis=channel_axis)

    return LayerTaps(network, layers, keep, example)


def drawn(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(6))


def images(n: int = 3, side: int = 8) -> Tensor:
    return drawn(n, 2, side, side)


def convolutional(*, inplace: bool = True) -> nn.Sequential:
    torch.manual_seed(1)
    return nn.Sequential(nn.Conv2d(2, 4, 3), nn.ReLU(inplace=inplace), nn.Conv2d(4, 3, 3), nn.Flatten(), nn.LazyLinear(2))


def built(*, inplace: bool = True) -> nn.Sequential:
    network = convolutional(inplace=inplace)
    network(images())
    return network


def assert_equal(found: list[Tensor], expected: list[Tensor], *, atol: float = 1e-6) -> None:
    assert len(found) == len(expected)
    for one, other in zip(found, expected):
        np.testing.assert_allclose(one.detach().numpy(), other.detach().numpy(), atol=atol)


def gradients(network: nn.Module, run: Callable[[Tensor], Tensor], taps: LayerTaps, inputs: Tensor) -> list[Tensor]:
    """Gradients of the output and, weighted otherwise, of all that is tapped."""
    network.zero_grad()
    total = run(inputs).square().mean()
    for number, one in enumerate(taps.take()):
        total = total + (one * torch.linspace(-1, 2, one.numel()).reshape(one.shape)).sum() / (number + 1)
    total.backward()  # type: ignore[no-untyped-call]
    found = [one.grad for one in network.parameters()]
    return [one.clone() for one in found if one is not None]


# --- pooling ---------------------------------------------------------------------------------------------------------

ADAPTIVE = {
    3: nn.functional.adaptive_avg_pool1d,
    4: nn.functional.adaptive_avg_pool2d,
    5: nn.functional.adaptive_avg_pool3d,
}


@pytest.mark.parametrize("grid", [1, 2, 3, 7])
@pytest.mark.parametrize("shape", [(2, 3, 5), (2, 3, 8), (2, 3, 5, 6), (1, 2, 1, 9), (2, 3, 4, 5, 6), (2, 3, 7, 2, 1)])
def test_pooling_is_the_adaptive_average_of_torch(shape: tuple[int, ...], grid: int) -> None:
    features = drawn(*shape).requires_grad_()
    expected = ADAPTIVE[len(shape)](features, grid).flatten(1)
    found = pooled(features, grid=grid)
    assert found.shape == expected.shape
    np.testing.assert_allclose(found.detach().numpy(), expected.detach().numpy(), atol=1e-6)
    weights = torch.linspace(-1, 1, found.numel()).reshape(found.shape)
    ours, theirs = (torch.autograd.grad((one * weights).sum(), features)[0] for one in (found, expected))
    np.testing.assert_allclose(ours.numpy(), theirs.numpy(), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("grid", [1, 2])
@pytest.mark.parametrize("shape", [(2, 6, 3), (2, 4, 5, 3), (2, 4, 5, 6, 3)])
def test_channels_may_come_last(shape: tuple[int, ...], grid: int) -> None:
    features = drawn(*shape)
    first = features.movedim(-1, 1)
    for axis in (-1, len(shape) - 1):
        assert pooled(features, grid=grid, channel_axis=axis).tolist() == pooled(first, grid=grid).tolist()


@pytest.mark.parametrize("grid", [1, 4])
@pytest.mark.parametrize("axis", [1, -1])
def test_vectors_stay_whatever_the_grid_and_are_copied(grid: int, axis: int) -> None:
    vectors = drawn(2, 3)
    before = vectors.tolist()
    found = pooled(vectors, grid=grid, channel_axis=axis)
    vectors.zero_()
    assert found.tolist() == before


@pytest.mark.parametrize("grid", [1, 2])
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("shape", [(2, 3), (2, 3, 64, 64)])
def test_half_precision_is_averaged_in_single(shape: tuple[int, ...], dtype: torch.dtype, grid: int) -> None:
    features = (drawn(*shape) + 30).to(dtype)
    found = pooled(features, grid=grid)
    assert found.dtype == torch.float32
    np.testing.assert_allclose(found.numpy(), pooled(features.double(), grid=grid).numpy(), rtol=1e-6)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(pooled(features, grid=grid), found)
    assert pooled(features.double(), grid=grid).dtype == torch.float64


@pytest.mark.parametrize(
    ("shape", "channel_axis", "message"),
    [
        ((3,), 1, r"has shape \(3,\); expected \(b, c, ...\)"),
        ((3, 2), 2, "channels on axis 2"),
        ((3, 2), 0, "images first and channels on axis 0"),
        ((3, 2), -2, "channels on axis -2"),
        ((3, 2), -3, "channels on axis -3"),
        ((3, 2, 0), 1, r"has shape \(3, 2, 0\), which holds nothing"),
        ((0, 2), 1, "which holds nothing"),
    ],
)
def test_what_cannot_be_pooled_is_refused(shape: tuple[int, ...], channel_axis: int, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        pooled(torch.zeros(shape), channel_axis=channel_axis)


# --- what is read ----------------------------------------------------------------------------------------------------


def test_taps_give_what_the_layers_gave_in_the_order_asked_for() -> None:
    network = built()
    taps = tap(network, ["2", "0", "4", "2"], example=images())
    assert taps.layers == ("2", "0", "4")
    assert taps.widths == (3, 4, 2)
    for n in (3, 1, 5):
        with torch.no_grad():
            first = network[0](images(n))
            second = network[2](first.relu())
        output = network(images(n))
        assert_equal(taps.take(), [second.mean(dim=(2, 3)), first.mean(dim=(2, 3)), output])
    with pytest.raises(RuntimeError, match="has not run since its features were last taken"):
        taps.take()


def test_maps_may_change_their_size_between_batches() -> None:
    network = nn.Sequential(nn.Conv2d(2, 4, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 2))
    taps = tap(network, ["0"], grid=3)
    for n, side in ((2, 8), (3, 5), (1, 21), (2, 3)):
        network(images(n, side))
        (found,) = taps.take()
        with torch.no_grad():
            expected = nn.functional.adaptive_avg_pool2d(network[0](images(n, side)), 3)
        assert_equal([found], [expected.flatten(1)])


class Nested(nn.Module):
    """Gives tensors in lists, tuples and dictionaries, and other things between them."""

    def forward(self, inputs: Tensor) -> dict[str, Any]:
        return {
            "maps": [inputs, (inputs * 2, {"deep": inputs[:, :1] * 3})],
            "index": torch.zeros(len(inputs), dtype=torch.long),
            "name": "a name",
            "nothing": None,
        }


class Around(nn.Module):
    """A part of any output inside of a network."""

    def __init__(self, part: nn.Module, *, n_runs: int = 1) -> None:
        super().__init__()
        self.first, self.part, self.n_runs = nn.Conv2d(2, 2, 1), part, n_runs

    def forward(self, inputs: Tensor) -> Tensor:
        values = self.first(inputs)
        for number in range(self.n_runs):
            self.part(values + number)
        result: Tensor = values
        return result


def test_every_tensor_of_nested_outputs_has_a_tap() -> None:
    network = Around(Nested())
    taps = tap(network, ["part", "first"])
    assert taps.widths == (2, 2, 1, 2)
    with torch.no_grad():
        means = network.first(images()).mean(dim=(2, 3))
    network(images())
    assert_equal(taps.take(), [means, means * 2, means[:, :1] * 3, means])
    assert [one.tolist() for one in tensors_in((1, "a", None, {"x": [torch.ones(1)]}))] == [[1.0]]


def test_a_layer_that_runs_several_times_has_a_tap_for_each() -> None:
    network = Around(nn.Identity(), n_runs=3)
    taps = tap(network, ["part"])
    with torch.no_grad():
        means = network.first(images()).mean(dim=(2, 3))
    for _ in range(2):
        network(images())
        assert_equal(taps.take(), [means, means + 1, means + 2])
    network.n_runs = 2
    network(images())
    with pytest.raises(ValueError, match="layer 'part' gave 2 tensors of 2, 2 values on cpu; expected 3 tensors"):
        taps.take()
    network.n_runs = 0
    network(images())
    with pytest.raises(RuntimeError, match="has not run"):
        taps.take()


def test_only_the_last_pass_is_kept() -> None:
    network = built()
    taps = tap(network, ["0"], example=images())
    network(images(7))
    expected = network[0](images(2)).mean(dim=(2, 3))
    network(images(2))
    assert_equal(taps.take(), [expected])


def test_parts_that_are_called_alone_do_not_add_up_in_memory() -> None:
    network = built()
    taps = tap(network, ["0"], example=images())
    for _ in range(5):
        network[0](images())
    assert [len(tensors) for parts in taps._kept.values() for tensors in parts.values()] == [2]
    with pytest.raises(ValueError, match=r"gave 2 tensors of 4, 4 values or more on cpu.*when the network itself is called"):
        taps.take()
    network(images())
    assert_equal(taps.take(), [network[0](images()).mean(dim=(2, 3))])


@pytest.mark.parametrize("network", [nn.Sequential(nn.LazyConv2d(4, 3)), convolutional()])
def test_lazy_layers_get_their_shape_from_the_user_and_not_from_zeros(network: nn.Sequential) -> None:
    with pytest.raises(ValueError, match=r"weight' of the network has no shape yet.*run the network once before, or pass"):
        tap(network, ["0"])
    assert network(images()).shape[0] == 3
    assert tap(network, ["0"], example=images()).widths == (4,)


def test_a_pass_that_failed_leaves_nothing_for_the_next() -> None:
    network = built()
    taps = tap(network, ["0", "4"], example=images())
    with pytest.raises(RuntimeError):
        network(images(3, 20))  # the linear layer takes no maps of this size
    network(images(2))
    assert [len(one) for one in taps.take()] == [2, 2]
    with pytest.raises(RuntimeError):
        network(images(3, 20))
    with pytest.raises(ValueError, match="layer '4' did not run in the last pass"):
        taps.take()


class Asked(nn.Module):
    """Has the method of the published code."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Conv2d(2, 4, 3), nn.Conv2d(4, 3, 3)
        self.features: list[Tensor] = []

    def forward(self, inputs: Tensor) -> Tensor:
        first = self.first(inputs)
        self.features = [first, self.second(first)]
        return self.features[-1]

    def get_active_learning_features(self) -> list[Tensor]:
        return self.features


def test_a_network_may_say_its_features_itself() -> None:
    network = Asked()
    taps = tap(network, None)
    assert taps.layers == ("get_active_learning_features",)
    assert taps.widths == (4, 3)
    network(images())
    assert_equal(taps.take(), [one.mean(dim=(2, 3)) for one in network.features])


class Tokens(nn.Module):
    """Tokens with channels last."""

    def __init__(self) -> None:
        super().__init__()
        self.embed, self.head = nn.Linear(5, 4), nn.Linear(4, 2)

    def forward(self, tokens: Tensor, *, scale: Tensor) -> Tensor:
        result: Tensor = self.head((self.embed(tokens) * scale).mean(dim=1))
        return result


def test_tokens_are_averaged_over_the_sequence_and_inputs_may_have_names() -> None:
    network, tokens = Tokens(), drawn(3, 7, 5)
    taps = tap(network, ["embed"], channel_axis=-1, example={"tokens": tokens, "scale": torch.ones(1)})
    assert taps.widths == (4,)
    network(tokens[:, :6], scale=torch.ones(1))
    assert_equal(taps.take(), [network.embed(tokens[:, :6]).mean(dim=1)])


@pytest.mark.parametrize(
    ("network", "shape"),
    [
        (nn.Sequential(nn.Conv1d(2, 3, 3), nn.Flatten(), nn.Linear(186, 2)), (2, 2, 64)),
        (nn.Sequential(nn.Conv2d(2, 3, 3), nn.Flatten(), nn.Linear(3 * 222 * 222, 2)), (2, 2, 224, 224)),  # the second tried
        (nn.Sequential(nn.Conv3d(2, 3, 3), nn.AdaptiveAvgPool3d(1), nn.Flatten(), nn.Linear(3, 2)), (2, 2, 5, 6, 7)),
        (nn.Sequential(nn.Linear(6, 3), nn.Linear(3, 2)), (2, 6)),
    ],
)
def test_networks_of_any_number_of_axes_are_tried_without_an_example(network: nn.Module, shape: tuple[int, ...]) -> None:
    taps = tap(network, ["0"])
    assert taps.widths == (3,)
    network(drawn(*shape))
    (found,) = taps.take()
    expected = part_named(network, "0")(drawn(*shape)).flatten(2).mean(dim=2) if len(shape) > 2 else None
    assert_equal([found], [part_named(network, "0")(drawn(*shape)) if expected is None else expected])


@pytest.mark.parametrize(
    ("network", "layers", "message"),
    [
        (nn.Sequential(nn.Linear(3, 2)), ["1"], "has no layer '1'; it has 1: '0'"),
        (nn.Sequential(nn.Linear(3, 2)), [""], "has no layer ''"),
        (nn.Sequential(nn.Embedding(3, 2)), ["0"], "its first layer does not tell the shape of its input.*pass example="),
        (nn.Sequential(nn.Linear(3, 2), nn.Linear(3, 2)), ["0"], r"\(zeros of shape \(2, 3\): mat1 and mat2.*pass example="),
        (Around(nn.Identity(), n_runs=0), ["part"], "layer 'part' gave no tensor of floats when the network ran"),
    ],
)
def test_layers_that_cannot_be_tapped_are_refused_and_no_hook_stays(
    network: nn.Module, layers: list[str], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        tap(network, layers)
    assert all(not part._forward_hooks and not part._forward_pre_hooks for part in network.modules())


def test_what_a_layer_gives_that_cannot_be_kept_is_named() -> None:
    def keep(features: Tensor, layer: str) -> Tensor:
        try:
            return pooled(features, channel_axis=5)
        except ValueError as error:
            raise keeping(layer, error) from error

    with pytest.raises(ValueError, match=r"what layer '0' gives has shape \(2, 4, 64, 64\); expected"):
        LayerTaps(nn.Sequential(nn.Conv2d(2, 4, 3, padding=1)), ["0"], keep)


def test_layers_of_other_numbers_of_rows_are_named() -> None:
    network = nn.Sequential(nn.Conv2d(2, 4, 3), nn.Flatten(0, 1), nn.Unflatten(0, (-1, 1)), nn.Identity())
    taps = tap(network, ["0", "2"], example=images(2))
    network(images(3))
    with pytest.raises(ValueError, match="different numbers of rows, 3 of '0', 12 of '2'"):
        taps.take()


# --- gradients -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("grid", [1, 2])
def test_layers_that_write_in_place_after_a_tap_change_neither_values_nor_gradients(grid: int) -> None:
    found: list[Tensor] = []
    expected: list[Tensor] = []
    for inplace, results in ((True, found), (False, expected)):
        network = built(inplace=inplace)
        taps = tap(network, ["0", "2", "4"], grid=grid, example=images())
        network(images())
        values = taps.take()
        results += [*values, *gradients(network, network, taps, images())]
    assert_equal(found, expected)
    assert float(found[0].detach().min()) < 0  # the convolution's, before the ReLU


def test_a_linear_layer_before_an_in_place_relu_is_read_before_it() -> None:
    found: list[Tensor] = []
    expected: list[Tensor] = []
    for inplace, results in ((True, found), (False, expected)):
        torch.manual_seed(0)
        network = nn.Sequential(nn.Linear(4, 5), nn.ReLU(inplace=inplace), nn.Linear(5, 2))
        taps = tap(network, ["0"])
        network(drawn(6, 4))
        results += [*taps.take(), *gradients(network, network, taps, drawn(6, 4))]
    assert float(found[0].detach().min()) < 0
    assert_equal(found, expected)


@pytest.mark.parametrize("grid", [1, 5])
def test_training_goes_on_after_a_pass_in_inference_mode(grid: int) -> None:
    network = built()
    taps = tap(network, ["0"], grid=grid, example=images())
    with torch.inference_mode():
        network(images())
        scored = taps.take()
    network(images())
    (found,) = taps.take()
    assert torch.equal(found.detach(), scored[0])
    (gradient,) = torch.autograd.grad(found.square().sum(), network.get_parameter("0.weight"))
    assert float(gradient.abs().sum()) > 0


class Checkpointed(nn.Module):
    """Computes the first layers anew on the way back."""

    def __init__(self, network: nn.Sequential, *, is_on: bool) -> None:
        super().__init__()
        self.network, self.is_on = network, is_on

    def forward(self, inputs: Tensor) -> Tensor:
        first, rest = self.network[:3], self.network[3:]
        result: Tensor = rest(checkpoint(first, inputs, use_reentrant=False) if self.is_on else first(inputs))
        return result


@pytest.mark.parametrize("grid", [1, 2])
def test_activation_checkpointing_gives_the_same_gradients(grid: int) -> None:
    found = []
    for is_on in (True, False):
        network = Checkpointed(built(), is_on=is_on)
        taps = tap(network, ["network.0", "network.2"], grid=grid, example=images())
        steps = [gradients(network, network, taps, images(n)) for n in (3, 2)]  # what was computed anew is forgotten
        found.append([one for step in steps for one in step])
    assert_equal(*found)


def test_a_whole_network_may_be_checkpointed() -> None:
    network = built()
    taps = tap(network, ["0", "2"], grid=2, example=images())
    plain = gradients(network, network, taps, images())

    def run(inputs: Tensor) -> Tensor:
        result: Tensor = checkpoint(network, inputs, use_reentrant=False)
        return result

    assert_equal(gradients(network, run, taps, images()), plain)


def compiled_eagerly(network: nn.Module, backend: str = "eager") -> nn.Module:
    result = torch.compile(network, backend=backend)
    assert isinstance(result, nn.Module)
    return result


@pytest.mark.parametrize("backend", ["eager", "aot_eager"])
def test_a_network_compiled_after_it_was_tapped_gives_the_same(backend: str) -> None:
    network = built()
    taps = tap(network, ["0", "2"], grid=2, example=images())
    plain = gradients(network, network, taps, images())
    torch._dynamo.reset()
    compiled = compiled_eagerly(network, backend)
    for _ in range(2):
        assert_equal(gradients(network, compiled, taps, images()), plain)
    with torch.no_grad():
        expected = network[0](images(5)).mean(dim=(2, 3))
        compiled(images(5))
    (first, _) = taps.take()
    np.testing.assert_allclose(first.reshape(5, 4, 4).mean(dim=2).numpy(), expected.numpy(), atol=1e-6)


def test_a_compiled_network_is_tapped_inside_before_its_first_call_and_says_so_after() -> None:
    torch._dynamo.reset()
    network = built()
    compiled = compiled_eagerly(network)
    taps = tap(compiled, ["0"], example=images())
    compiled(images())
    assert_equal(taps.take(), [network[0](images()).mean(dim=(2, 3))])
    late = compiled_eagerly(built())
    late(images())
    late_taps = tap(late, ["0"], example=images())
    late(images())
    with pytest.raises(RuntimeError, match=r"compiled it before it was tapped, call torch\.compiler\.reset"):
        late_taps.take()
    torch.compiler.reset()
    late(images())
    assert len(late_taps.take()[0]) == 3


# --- precision -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("grid", [1, 2])
def test_under_autocast_features_are_averaged_in_single_precision_and_have_gradients(grid: int) -> None:
    network = built()
    taps = tap(network, ["0", "2", "4"], grid=grid, example=images())
    network(images())
    expected = taps.take()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        output = network(images())
        found = taps.take()
    assert output.dtype == torch.bfloat16
    assert [one.dtype for one in found] == [torch.float32] * 3
    assert_equal(found, expected, atol=0.03)
    (gradient,) = torch.autograd.grad(found[1].sum(), network.get_parameter("0.weight"))
    assert float(gradient.abs().sum()) > 0


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_a_network_of_another_precision_is_tried_and_read(dtype: torch.dtype) -> None:
    network = nn.Sequential(nn.Conv2d(2, 4, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 2)).to(dtype)
    taps = tap(network, ["0"], grid=2)
    network(images().to(dtype))
    (found,) = taps.take()
    assert found.dtype == (torch.float64 if dtype == torch.float64 else torch.float32)
    expected = nn.functional.adaptive_avg_pool2d(network[0](images().to(dtype)).double(), 2)
    assert_equal([found], [expected.flatten(1)], atol=0.01)


# --- the network stays -----------------------------------------------------------------------------------------------


def test_trying_a_network_out_changes_nothing_of_it() -> None:
    network = nn.Sequential(nn.Conv2d(2, 4, 3), nn.BatchNorm2d(4), nn.Dropout(0.5), nn.ReLU()).train()
    network[1].eval()
    modes = [part.training for part in network.modules()]
    state = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    random = torch.get_rng_state()
    tap(network, ["0", "3"])
    assert list(network.state_dict()) == list(state)
    assert all(torch.equal(state[name], tensor) for name, tensor in network.state_dict().items())
    assert [part.training for part in network.modules()] == modes
    assert torch.equal(torch.get_rng_state(), random)


def copied(network: nn.Module) -> nn.Module:
    return copy.deepcopy(network)


def pickled(network: nn.Module) -> nn.Module:
    result: nn.Module = pickle.loads(pickle.dumps(network))
    return result


def saved(network: nn.Module) -> nn.Module:
    file = io.BytesIO()
    torch.save(network, file)
    file.seek(0)
    result: nn.Module = torch.load(file, weights_only=False)
    return result


@pytest.mark.parametrize("again", [copied, pickled, saved])
def test_copies_give_the_same_and_are_not_tapped(again: Callable[[nn.Module], nn.Module]) -> None:
    network = built()
    taps = tap(network, ["0"], example=images())
    other = again(network)
    assert torch.equal(other(images()), network(images()))
    taps.take()
    other(images())
    with pytest.raises(RuntimeError, match="has not run since"):
        taps.take()
    of_copy = tap(other, ["0", "2"], example=images())
    other(images(2))
    assert [len(one) for one in of_copy.take()] == [2, 2]
    network(images())
    assert [len(one) for one in taps.take()] == [3]
    assert list(other.state_dict()) == list(network.state_dict())


def test_a_saved_network_can_be_loaded_where_this_library_is_not_installed() -> None:
    network = built()
    tap(network, ["0"], example=images())
    assert b"scorers" not in pickle.dumps(network)


def test_hooks_are_taken_off() -> None:
    network = built()
    taps = tap(network, ["0", "2"], example=images())
    network(images())
    taps.remove()
    assert all(not part._forward_hooks and not part._forward_pre_hooks for part in network.modules())
    with pytest.raises(RuntimeError, match="has not run"):
        taps.take()


# --- several devices and processes -----------------------------------------------------------------------------------


def replica_of(network: nn.Module, device: str) -> nn.Module:
    """A copy as `DataParallel` makes it, which shares the hooks."""
    copies = {part: part._replicate_for_data_parallel() for part in network.modules()}  # type: ignore[no-untyped-call]
    for part, one in copies.items():
        one._modules = {name: copies[child] for name, child in part._modules.items() if child is not None}
        for name, tensor in part._parameters.items():
            setattr(one, name, None if tensor is None else tensor.detach().to(device))
    replica: nn.Module = copies[network]
    assert replica._is_replica
    return replica


def test_replicas_on_several_devices_do_not_forget_each_other_and_each_is_read_once() -> None:
    network = nn.Sequential(nn.Conv2d(2, 4, 3), nn.ReLU())
    taps = tap(network, ["0"])
    there, here = replica_of(network, "meta"), replica_of(network, "cpu")
    here(images(3))
    there(images(2).to("meta"))
    kept = taps._kept["0"]
    assert {device.type: [len(one) for one in tensors] for device, tensors in kept.items()} == {"cpu": [3], "meta": [2]}
    here(images(1))  # the next pass, whose replica forgets its own part alone
    assert {device.type: [len(one) for one in tensors] for device, tensors in kept.items()} == {"cpu": [1], "meta": [2]}
    network(images(5))  # one that is no replica forgets all
    assert_equal(taps.take(), [network[0](images(5)).mean(dim=(2, 3))])


def test_data_parallel_forgets_what_a_device_gave_that_the_next_pass_does_not_use() -> None:
    network = nn.Sequential(nn.Conv2d(2, 4, 3), nn.ReLU())
    together = nn.DataParallel(network)
    taps = tap(together, ["0"])
    replica_of(network, "meta")(images(2).to("meta"))
    with torch.no_grad():
        expected = network[0](images(1)).mean(dim=(2, 3))
    taps._kept["0"].pop(torch.device("cpu"), None)
    together(images(1))
    assert_equal(taps.take(), [expected])
    replica_of(network, "meta")(images(2).to("meta"))
    for hook in together._forward_pre_hooks.values():
        hook(together, ())
    with pytest.raises(RuntimeError, match="has not run"):
        taps.take()
    taps.remove()
    assert not together._forward_pre_hooks


def test_data_parallel_without_a_gpu_is_read_like_the_network_inside() -> None:
    network = built()
    together = nn.DataParallel(network)
    taps = tap(together, ["0", "2"], grid=2, example=images())
    plain = gradients(network, network, taps, images())
    assert_equal(gradients(network, together, taps, images()), plain)


def test_two_processes_have_the_mean_of_their_gradients_and_one_may_score_alone(tmp_path: Path) -> None:
    store = tmp_path / "store"
    ranks = [
        subprocess.Popen(
            [sys.executable, two_ranks.__file__, str(rank), str(store), str(tmp_path / f"{rank}.pt")],
            cwd=Path(__file__).parents[3],
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(2)
    ]
    errors = [rank.communicate(timeout=180)[1] for rank in ranks]
    assert [rank.returncode for rank in ranks] == [0, 0], errors
    found = [torch.load(tmp_path / f"{rank}.pt") for rank in range(2)]

    alone: list[dict[str, Tensor]] = []
    for rank in range(2):
        network, head = two_ranks.make()
        losses = two_ranks.losses_of(network(two_ranks.images_of(rank)))
        (losses.mean() + LossPredictionLoss()(head(), losses)).backward()
        alone.append(two_ranks.gradients_of(network, head))
        if rank == 0:
            network.eval()
            with torch.no_grad():
                outputs = network(two_ranks.images_of(0))
                assert_equal([found[0]["outputs"], found[0]["predicted"]], [outputs, head()])
    assert len(alone[0]) == 14
    for name, own in alone[0].items():
        first, second = (one["gradients"][name] for one in found)
        assert torch.equal(first, second), name
        np.testing.assert_allclose(first.numpy(), ((own + alone[1][name]) / 2).numpy(), atol=1e-6, err_msg=name)


# --- parts -----------------------------------------------------------------------------------------------------------


def test_a_part_that_does_not_exist_is_answered_with_those_that_are_like_it() -> None:
    network = nn.ModuleDict({f"layer{number}": nn.Sequential(nn.ReLU(), nn.ReLU()) for number in range(5)})
    assert part_named(network, "layer3.1") is network["layer3"].get_submodule("1")
    with pytest.raises(
        ValueError, match=r"no layer 'layer'; it has 15, the nearest first: 'layer0', 'layer0\.0', .*, \.\.\.$"
    ):
        part_named(network, "layer")
    with pytest.raises(
        ValueError, match=r"no layer 'layer3\.9'; it has 15, the nearest first: 'layer3\.0', 'layer3\.1', 'layer0'"
    ):
        part_named(network, "layer3.9")
    with pytest.raises(ValueError, match=r"no layer 'lajer3'; it has 15, the nearest first: 'layer3'"):
        part_named(network, "lajer3")
    with pytest.raises(ValueError, match=r"no layer 'layer3\.9'"):
        part_named(network, "layer3.9")
    with pytest.raises(ValueError, match="no layer 4; it has 15, the nearest first: 'layer4'"):
        part_named(network, 4)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="no layer 'fc'; it has 0: none"):
        part_named(nn.ReLU(), "fc")


def test_wrappers_are_taken_off_in_any_order() -> None:
    network = nn.Linear(2, 2)
    assert unwrapped(network) is network
    assert unwrapped(nn.DataParallel(compiled_eagerly(nn.DataParallel(network)))) is network


def test_modes_are_put_back_part_by_part_also_after_an_error() -> None:
    network = nn.Sequential(nn.BatchNorm1d(2), nn.Sequential(nn.Dropout())).train()
    network[1].eval()
    before = [part.training for part in network.modules()]
    assert before == [True, True, False, False]
    with pytest.raises(KeyError), evaluating(network):
        assert not any(part.training for part in network.modules())
        raise KeyError
    assert [part.training for part in network.modules()] == before


def test_numbers_live_where_the_network_has_them() -> None:
    assert like(nn.ReLU()).dtype == torch.float32
    assert like(nn.Linear(2, 2).bfloat16()).dtype == torch.bfloat16
    assert like(nn.Linear(2, 2, device="meta")).device.type == "meta"
    counting = nn.Module()
    counting.register_buffer("count", torch.zeros(1, dtype=torch.long, device="meta"))
    assert (like(counting).device.type, like(counting).dtype) == ("meta", torch.float32)


class Pair(NamedTuple):
    """What some datasets give."""

    image: Tensor
    name: str


def test_tensors_are_changed_wherever_they_are_and_what_holds_them_stays() -> None:
    values = {"a": [torch.ones(1), "x"], "b": (Pair(torch.ones(1), "y"), None), "c": 3}
    changed = mapped_tensors(values, lambda tensor: tensor + 1)
    assert changed["a"][0].tolist() == [2.0]
    assert changed["a"][1] == "x"
    assert changed["b"][0].image.tolist() == [2.0]
    assert changed["b"][0].name == "y"
    assert (type(changed["a"]), type(changed["b"]), type(changed["b"][0]), changed["c"]) == (list, tuple, Pair, 3)
    assert values["a"][0].tolist() == [1.0]  # type: ignore[index]  # a dictionary of anything
    packed = nn.utils.rnn.pack_sequence([torch.ones(2, 1), torch.ones(1, 1)])
    assert nn.LSTM(1, 2)(mapped_tensors(packed, torch.clone))[0].data.shape == (3, 2)
