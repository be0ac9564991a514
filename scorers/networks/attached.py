"""A head attached to a user's network, which learns to predict the loss of each image."""

from __future__ import annotations

import json
import os
import warnings
from collections.abc import Mapping, Sequence
from typing import Any, TypeGuard

import numpy as np
import torch

from ..checks import check_finite
from ..files import load_arrays, save_arrays
from .head import predicted_from
from .pooling import pooled
from .ranking import LossPredictionLoss
from .taps import FEATURES_METHOD, LayerTaps, keeping


class LearningLoss(torch.nn.Module):
    """A head that predicts, from features of some layers, the loss that a network would have on an image without a label.

    Each tapped feature map is averaged to `grid` cells a side, then `ReLU(Linear(width))`; all of them side by side give one
    number by another linear layer. The network stays as it is: hooks read its layers, its outputs, its state dict and its
    checkpoints do not change, and this module holds the parameters of the head alone. Give them to the optimizer.

    The head computes in its own precision (float32), also under autocast and beside a network of half precision. A pass of
    the network is read once: by `learning_loss.loss(losses)` or `learning_loss()`. With `DistributedDataParallel`, wrap this
    module too and call the wrapped one; with `torch.compile`, attach first. Where `torch.utils.checkpoint` runs layers with
    `use_reentrant=True`, no gradient of the ranking loss reaches the network through these.

    Args:
        network: Any network, used and not copied.
        layers: Names of its parts as `network.named_modules()` has them, the more levels the better. None takes the features
            that its method `get_active_learning_features` returns after a pass.
        width: Of each tap's layer.
        grid: Cells on each side of a feature map; 1 averages over the whole map.
        margin: Of the ranking loss.
        channel_axis: Where the channels of features lie: 1 for `(b, c, h, w)` and `(b, c, l)`, -1 for the tokens `(b, t, c)`
            of transformers and for `(b, h, w, c)`; or by layer name. None takes 1, and refuses features of three axes, of
            which only you know what they are.
        detach_from_epoch: From this epoch on (see `start_epoch`) gradients of the ranking loss stop at the taps and no
            longer shape the network; the paper cuts at 60% of all epochs. 0: always. None: never.
        example: A batch of inputs for the one dry pass that finds the channels. None tries zeros.

    Raises:
        ValueError: A layer that does not exist (the message lists those that do), gives no tensor or does not run; an option
            out of range; a network that cannot be tried without `example`.

    Examples:
        >>> network = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.ReLU(), torch.nn.Conv2d(4, 2, 3))
        >>> learning_loss = LearningLoss(network, layers=["1", "2"])
        >>> optimizer = torch.optim.SGD([*network.parameters(), *learning_loss.parameters()], lr=0.1)
        >>> losses = network(torch.ones(6, 3, 8, 8)).square().mean(dim=(1, 2, 3))
        >>> (losses.mean() + 1.0 * learning_loss.loss(losses)).backward()
        >>> learning_loss
        LearningLoss(2 taps of Sequential: '1' 4, '2' 2 values; width 128)

    References:
        D. Yoo and I. S. Kweon, 2019, arXiv:1905.03677.
    """

    is_detached: bool
    """Whether gradients stop at the taps; `start_epoch` sets it, and so may you."""

    def __init__(
        self,
        network: torch.nn.Module,
        layers: Sequence[str] | None = None,
        *,
        width: int = 128,
        grid: int = 1,
        margin: float = 1.0,
        channel_axis: int | Mapping[str, int] | None = None,
        detach_from_epoch: int | None = None,
        example: Any = None,
    ) -> None:
        super().__init__()
        _check_network(network, layers)
        _check_channel_axis(channel_axis, layers)
        self.width, self.grid = _checked_count(width, "width"), _checked_count(grid, "grid")
        self.ranking_loss = LossPredictionLoss(margin)
        self.channel_axis = channel_axis
        if detach_from_epoch is not None and not _is_whole(detach_from_epoch):
            raise ValueError(f"detach_from_epoch is {detach_from_epoch!r}; expected the number of an epoch, or None")
        self.detach_from_epoch = None if detach_from_epoch is None else int(detach_from_epoch)
        self.start_epoch(0)
        self._is_epoch_said = False  # by the user
        taps = LayerTaps(network, layers, self._kept, example)
        object.__setattr__(self, "_network", network)  # past Module, which would take it for a part of this one
        object.__setattr__(self, "_taps", taps)
        device = _device_of(network)
        self.taps = torch.nn.ModuleList(torch.nn.Linear(one, self.width, device=device) for one in taps.widths)
        self.output = torch.nn.Linear(len(self.taps) * self.width, 1, device=device)
        self._drawn = self.output.weight.detach().cpu().clone()

    _network: torch.nn.Module
    _taps: LayerTaps

    @property
    def network(self) -> torch.nn.Module:
        """The network that is tapped."""
        return self._network

    @property
    def layers(self) -> tuple[str, ...]:
        """Names of the tapped layers."""
        return self._taps.layers

    @property
    def is_trained(self) -> bool:
        """Whether the head has other weights than it was made with; an untrained head gives random scores."""
        now = self.output.weight.detach().to("cpu", self._drawn.dtype)
        return now.shape != self._drawn.shape or not torch.equal(now, self._drawn)

    def start_epoch(self, epoch: int) -> None:
        """Say which epoch begins, counted from 0, so that gradients are cut from `detach_from_epoch` on."""
        self._is_epoch_said = True
        self.is_detached = self.detach_from_epoch is not None and epoch >= self.detach_from_epoch

    def forward(self) -> torch.Tensor:
        """The predicted losses `(b,)` of the images that the network saw last; a pass is read once.

        They say which of two images has the larger loss. Their scale means nothing.

        Raises:
            RuntimeError: The network has not run since they were last read.
            ValueError: A layer gave other features than when it was attached.
        """
        features = self._taps.take()
        values = (one.detach() if self.is_detached else one for one in features)
        predicted = predicted_from(values, self.taps, self.output)
        return predicted.squeeze(1)

    def loss(self, losses: torch.Tensor) -> torch.Tensor:
        """The ranking loss of the images that the network saw last; see `LossPredictionLoss`.

        Args:
            losses: `(b,)` true losses, one for each image; no gradient flows into them.

        Raises:
            RuntimeError: The network has not run since, or ran last without gradients, so that these losses are of an
                earlier pass.
            ValueError: Losses that are averaged over the batch already, NaN, or not one for each image.

        Warns:
            UserWarning: No epoch was started, and gradients should be cut from a later one on; said once.
        """
        self.ranking_loss.check_losses(losses)
        if losses.requires_grad and not self._taps.had_gradients:
            raise RuntimeError(
                "the network ran without gradients after the pass that gave these losses; call loss() right after that pass"
            )
        if not self._is_epoch_said and self.detach_from_epoch:
            self._is_epoch_said = True
            warnings.warn(
                f"detach_from_epoch is {self.detach_from_epoch}, and no epoch was started: call start_epoch(epoch) at the "
                "beginning of each, or gradients are never cut",
                stacklevel=2,
            )
        predicted: torch.Tensor = self()
        return self.ranking_loss.of_checked(predicted, losses)

    def remove(self) -> None:
        """Take the hooks off the network; the head can then predict no more."""
        self._taps.remove()

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the head and its settings to an `.npz` file of plain arrays, whole or not at all."""
        settings = {
            "layers": None if self.layers == (FEATURES_METHOD,) else list(self.layers),
            "width": self.width,
            "grid": self.grid,
            "margin": self.ranking_loss.margin,
            "channel_axis": dict(self.channel_axis) if isinstance(self.channel_axis, Mapping) else self.channel_axis,
            "detach_from_epoch": self.detach_from_epoch,
        }
        state = {name: tensor.detach().float().cpu().numpy() for name, tensor in self.state_dict().items()}
        save_arrays(path, settings=np.array(json.dumps(settings)), names=np.array(list(state)), **state)

    @classmethod
    def load(cls, path: str | os.PathLike[str], network: torch.nn.Module, *, example: Any = None) -> LearningLoss:
        """Attach a saved head to a network of the same layers; the network's own weights are loaded by you, before.

        Raises:
            FileNotFoundError: There is no such file.
            ValueError: It is no such file, or the network's layers have other channels.
        """
        where = repr(os.fspath(path))
        index = load_arrays(path, ("settings", "names"))
        try:
            settings = json.loads(str(index["settings"]))
            names = [str(name) for name in index["names"].tolist()]
            options = {name: settings[name] for name in ("width", "grid", "margin", "channel_axis", "detach_from_epoch")}
            layers = settings["layers"]
        except (ValueError, TypeError, KeyError) as error:
            raise ValueError(f"{where} holds no learning loss: its settings cannot be read") from error
        arrays = load_arrays(path, tuple(names))
        for name, array in arrays.items():
            check_finite(array, f"{name} in {where}", lambda row: f"row {row}")
        value = cls(network, layers, example=example, **options)
        expected = {name: tuple(tensor.shape) for name, tensor in value.state_dict().items()}
        found = {name: array.shape for name, array in arrays.items()}
        if expected != found:
            value.remove()
            name = next(name for name in {**expected, **found} if expected.get(name) != found.get(name))
            raise ValueError(
                f"{where} is the head of another network: its {name} has shape {found.get(name)}, and this network's layers "
                f"need {expected.get(name)}; load it with the network that it was trained with"
            )
        value.load_state_dict({name: torch.from_numpy(array) for name, array in arrays.items()})
        return value

    def extra_repr(self) -> str:
        """Nothing: `repr` says it in one line."""
        return ""

    def __repr__(self) -> str:
        widths = self._taps.widths_of
        listed = ", ".join(f"{name!r} {' + '.join(map(str, values))}" for name, values in widths.items())
        kind = type(self._network).__name__
        return f"LearningLoss({len(self.taps)} taps of {kind}: {listed} values; width {self.width})"

    def _kept(self, features: torch.Tensor, layer: str) -> torch.Tensor:
        axis = self.channel_axis.get(layer) if isinstance(self.channel_axis, Mapping) else self.channel_axis
        try:
            if axis is None and features.ndim == 3:
                raise ValueError(
                    f"has shape {tuple(features.shape)}: pass channel_axis={{{layer!r}: -1}} if that is (b, t, c), tokens "
                    f"of a transformer, or {{{layer!r}: 1}} if it is (b, c, l)"
                )
            values = features.detach() if self.is_detached else features
            return pooled(values, grid=self.grid, channel_axis=1 if axis is None else axis)
        except ValueError as error:
            raise keeping(layer, error) from error


def _check_network(network: object, layers: object) -> None:
    if not isinstance(network, torch.nn.Module):
        raise ValueError(f"network is {type(network).__name__}; expected a torch.nn.Module")
    if isinstance(layers, str):
        raise ValueError(f"layers is the single string {layers!r}; write [{layers!r}]")
    if layers is None and not hasattr(network, FEATURES_METHOD):
        names = [name for name, _ in network.named_modules() if name]
        raise ValueError(f"layers is not given; name some of the network's: {', '.join(map(repr, names[:8]))}, ...")
    if layers is not None and (not isinstance(layers, Sequence) or not layers):
        raise ValueError(f"layers is {layers!r}; expected names of the network's parts, such as ['layer1', 'layer2']")


def _check_channel_axis(channel_axis: object, layers: Sequence[str] | None) -> None:
    axes = list(channel_axis.values()) if isinstance(channel_axis, Mapping) else [channel_axis]
    if any(axis is not None and type(axis) is not int for axis in axes):
        raise ValueError(f"channel_axis is {channel_axis!r}; expected 1 or -1, or one of them for a layer by its name")
    known = [FEATURES_METHOD] if layers is None else list(layers)
    if isinstance(channel_axis, Mapping) and (unknown := [name for name in channel_axis if name not in known]):
        raise ValueError(f"channel_axis has {unknown[0]!r}, which is not among the layers {known}")


def _checked_count(value: object, name: str) -> int:
    if not _is_whole(value) or value < 1:
        raise ValueError(f"{name} is {value!r}; expected a whole number of at least 1")
    return int(value)


def _is_whole(value: object) -> TypeGuard[int]:
    return isinstance(value, int | np.integer) and not isinstance(value, bool)


def _device_of(network: torch.nn.Module) -> torch.device | None:
    return next((tensor.device for tensor in network.parameters()), None)
