"""What layers of a network gave in its last forward pass, taken by hooks that change nothing."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import torch

from .parts import evaluating, like, part_named, unwrapped

FEATURES_METHOD = "get_active_learning_features"
"""The method of a network that gives features where no layers are named."""
_SIDES = (64, 224, 32, 256, 384, 128)
"""Sides in pixels that a network of unknown input size is tried with; the channels of its layers do not depend on them."""


class LayerTaps:
    """The features that named layers gave in the last forward pass, each kept as a vector for each image.

    Only what `keep` makes of a layer's output is held, until it is taken or the network runs again. The network itself, its
    state dict and its outputs stay as they are; copies and pickles of it are not tapped.

    A layer that gives lists, tuples or dictionaries of tensors, or that runs several times in a pass, has a tap for each
    tensor. Under `DataParallel` the parts of a batch are put together in the order of their devices.

    Args:
        network: The network, also inside of `DataParallel`, `DistributedDataParallel` or before its first call by
            `torch.compile`.
        layers: Names of its parts; None calls its method `get_active_learning_features` after each pass.
        keep: What is kept of a tensor of the layer of this name: `(b, w)`.
        example: A batch of inputs as the network takes them: a tensor, a tuple of arguments or a dictionary of named ones.
            None makes zeros of the shape that the first convolution or linear layer takes.

    Raises:
        ValueError: No such layer, a layer that does not run or gives no tensor, or a network that does not run on the
            example.
    """

    def __init__(
        self,
        network: torch.nn.Module,
        layers: Sequence[str] | None,
        keep: Callable[[torch.Tensor, str], torch.Tensor],
        example: Any = None,
    ) -> None:
        self._network = unwrapped(network)
        self._keep = keep
        self._kept: dict[str, dict[torch.device, list[torch.Tensor]]] = {}
        self.had_gradients = False
        """Whether the last pass was made with gradients."""
        self._widths: dict[str, list[int]] = {}
        self.layers = (FEATURES_METHOD,) if layers is None else tuple(dict.fromkeys(layers))
        parts = [] if layers is None else [part_named(self._network, name) for name in self.layers]
        self._handles = [self._network.register_forward_pre_hook(_Hook(self._forget))]
        if isinstance(network, torch.nn.DataParallel):  # it sees each pass once, also one of fewer devices than the last
            self._handles.append(network.register_forward_pre_hook(_Hook(self._forget)))
        if layers is None:
            self._handles.append(self._network.register_forward_hook(_Hook(self._ask)))
        for name, part in zip(self.layers, parts):
            self._handles.append(part.register_forward_hook(_Hook(self._take_in, name)))
        try:
            self._widths = self._dry_run(example)
        except BaseException:
            self.remove()
            raise

    @property
    def widths(self) -> tuple[int, ...]:
        """The width w of what is kept of each tap, in the order of the layers."""
        return tuple(width for widths in self._widths.values() for width in widths)

    @property
    def widths_of(self) -> dict[str, list[int]]:
        """The same by layer."""
        return dict(self._widths)

    def take(self) -> list[torch.Tensor]:
        """What was kept of the last pass, a `(b, w)` tensor for each tap; afterwards nothing is kept.

        Raises:
            RuntimeError: The network has not run since.
            ValueError: A layer gave another number of tensors, another width or another number of images than before.
        """
        kept, self._kept = self._kept, {}
        if not kept:
            raise RuntimeError(
                "the network has not run since its features were last taken; call it first, once for each time (if it runs, "
                "and torch.compile compiled it before it was tapped, call torch.compiler.reset())"
            )
        taken = []
        for name, widths in self._widths.items():
            parts = kept.get(name, {})
            for device, tensors in parts.items():
                found = [tensor.shape[1] for tensor in tensors]
                if found != widths:
                    more = " or more" if len(found) > len(widths) else ""
                    raise ValueError(
                        f"layer {name!r} gave {_in_words(found)}{more} on {device}; expected {_in_words(widths)}, as when "
                        "it was tapped. A pass begins when the network itself is called, not its parts"
                    )
            if not parts:
                raise ValueError(f"layer {name!r} did not run in the last pass of the network; tap layers that always run")
            order = sorted(parts, key=lambda device: (device.type, device.index or 0))
            taken += [_joined([parts[device][number] for device in order]) for number in range(len(widths))]
        n_rows = {len(tensor) for tensor in taken}
        if len(n_rows) > 1:
            listed = ", ".join(f"{len(one):,} of {name!r}" for one, name in zip(taken, self._names()))
            raise ValueError(
                f"the layers gave different numbers of rows, {listed}; tap layers that give one row for each image"
            )
        return taken

    def remove(self) -> None:
        """Take the hooks off the network."""
        for handle in self._handles:
            handle.remove()
        self._kept = {}

    def _names(self) -> Iterator[str]:
        for name, widths in self._widths.items():
            for _ in widths:
                yield name

    def _forget(self, network: torch.nn.Module, _inputs: Any) -> None:
        self.had_gradients = torch.is_grad_enabled()
        if not getattr(network, "_is_replica", False):
            self._kept = {}
        else:  # one of several copies, each on a device of its own, at the same time
            device = _first_device(_inputs)
            for parts in list(self._kept.values()):
                parts.pop(device, None)  # type: ignore[arg-type]  # None is no key, and that is fine

    def _take_in(self, name: str, _part: torch.nn.Module, _inputs: Any, output: Any) -> None:
        most = len(self._widths[name]) if name in self._widths else math.inf
        for tensor in tensors_in(output):
            kept = self._keep(tensor, name)
            tensors = self._kept.setdefault(name, {}).setdefault(kept.device, [])
            if len(tensors) <= most:  # one too many is enough to be told; parts that are called alone would add up
                tensors.append(kept)

    def _ask(self, network: torch.nn.Module, inputs: Any, _output: Any) -> None:
        self._take_in(FEATURES_METHOD, network, inputs, getattr(network, FEATURES_METHOD)())

    def _dry_run(self, example: Any) -> dict[str, list[int]]:
        """Run the network once without a trace, and return the widths of what each layer gives."""
        with evaluating(self._network), torch.no_grad():
            self._run(example)
        kept, self._kept = self._kept, {}
        widths = {}
        for name in self.layers:
            parts = kept.get(name)
            if not parts:
                raise ValueError(
                    f"layer {name!r} gave no tensor of floats when the network ran; tap one that runs in evaluation mode "
                    "and gives features"
                )
            widths[name] = [tensor.shape[1] for tensors in parts.values() for tensor in tensors]
        return widths

    def _run(self, example: Any) -> None:
        if isinstance(example, Mapping):
            self._network(**example)
            return
        if example is not None:
            self._network(*(example if isinstance(example, tuple) else (example,)))
            return
        parameters = self._network.named_parameters()
        if lazy := [name for name, one in parameters if isinstance(one, torch.nn.UninitializedParameter)]:
            raise ValueError(
                f"{lazy[0]!r} of the network has no shape yet, and zeros would give it a wrong one; run the network once "
                "before, or pass example=, a batch as the network takes it"
            )
        failures = []
        for shape in _input_shapes(self._network):
            zeros = torch.zeros(shape, device=like(self._network).device, dtype=like(self._network).dtype)
            try:
                self._network(zeros)
            except UnusableFeatures:
                raise
            except Exception as error:  # whatever it is that this network does not like
                failures.append(
                    f"zeros of shape {shape}: {str(error).splitlines()[0] if str(error) else type(error).__name__}"
                )
                self._kept = {}
            else:
                return
        tried = failures[0] if failures else "its first layer does not tell the shape of its input"
        raise ValueError(f"the network could not be tried out ({tried}); pass example=, a batch as the network takes it")


class UnusableFeatures(ValueError):
    """A tensor that a tap cannot use."""


class _Hook:
    """A hook that copies and pickles of the network do not carry on."""

    def __init__(self, call: Callable[..., None], *first: Any) -> None:
        self._call = call
        self._first = first

    def __call__(self, *args: Any) -> None:
        self._call(*self._first, *args)

    def __reduce__(self) -> tuple[Any, ...]:
        # Python's own function of any arguments that does nothing, so that a saved network loads where we are not installed
        return getattr, (contextlib.nullcontext(), "__exit__")


def keeping(name: str, error: ValueError) -> ValueError:
    """The error of a layer's output, with the layer's name."""
    return UnusableFeatures(f"what layer {name!r} gives {error}")


def tensors_in(output: Any) -> Iterator[torch.Tensor]:
    """The tensors of floats in nested lists, tuples and dictionaries, in order."""
    if isinstance(output, torch.Tensor):
        if output.is_floating_point():
            yield output
    elif isinstance(output, Mapping):
        for value in output.values():
            yield from tensors_in(value)
    elif isinstance(output, list | tuple):
        for value in output:
            yield from tensors_in(value)


def _joined(parts: list[torch.Tensor]) -> torch.Tensor:
    return parts[0] if len(parts) == 1 else torch.cat([part.to(parts[0].device) for part in parts])


def _first_device(inputs: Any) -> torch.device | None:
    return next((tensor.device for tensor in tensors_in(inputs)), None)


def _input_shapes(network: torch.nn.Module) -> list[tuple[int, ...]]:
    for part in network.modules():
        for kind, n_axes in ((torch.nn.Conv1d, 1), (torch.nn.Conv2d, 2), (torch.nn.Conv3d, 3)):
            if isinstance(part, kind):
                return [(2, part.in_channels, *(side,) * n_axes) for side in (_SIDES if n_axes < 3 else (32, 64))]
        if isinstance(part, torch.nn.Linear):
            return [(2, part.in_features)]
    return []


def _in_words(widths: list[int]) -> str:
    return f"{len(widths)} tensors of {', '.join(map(str, widths)) or 'no'} values"
