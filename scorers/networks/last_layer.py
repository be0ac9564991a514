"""What BADGE reads of a classification network: the features that its last layer gets, and its probabilities."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from ..checks import FloatArray, check_finite, check_length, set_fields, softmax
from ..predictions.classification import ClassificationPredictions
from ..predictions.parts import checked_names, item_name
from .batches import ItemBatch, ReadBatch, outputs_of
from .outputs import as_array, the_output
from .parts import part_named, unwrapped
from .pooling import pooled

_CONVOLUTIONS = (torch.nn.Conv1d, torch.nn.Conv2d, torch.nn.Conv3d)


@dataclass(frozen=True, eq=False, init=False, repr=False)
class LastLayer:
    """For each item the features that a network's last layer gets, and the class distribution that comes of them.

    Args:
        features: `(n, d)` finite floats; kept as float32.
        predictions: The class distributions of the same n items, in the same order.

    Raises:
        ValueError: Another shape, or numbers that are not finite in float32. The message names the item.
    """

    features: npt.NDArray[np.float32]
    predictions: ClassificationPredictions

    def __init__(self, features: FloatArray, predictions: ClassificationPredictions) -> None:
        if features.ndim != 2 or not features.shape[1]:
            raise ValueError(f"features has shape {features.shape}; expected (n, d)")
        check_length(len(features), len(predictions), "features", "item ids")
        with np.errstate(over="ignore"):
            values = features.astype(np.float32, copy=False)
        check_finite(values, "the last layer's input", lambda row: item_name(predictions.item_ids, row))
        set_fields(self, features=values, predictions=predictions)

    @property
    def item_ids(self) -> tuple[str, ...]:
        """The n item ids, in the order of the rows."""
        return self.predictions.item_ids

    def __len__(self) -> int:
        return len(self.predictions)

    def __repr__(self) -> str:
        return f"LastLayer({len(self):,} items, {self.features.shape[1]:,} features, {self.predictions.n_classes:,} classes)"


def last_layer(
    network: torch.nn.Module,
    loader: Iterable[Any],
    *,
    layer: str | None = None,
    is_logits: bool = True,
    output: str | int | None = None,
    item_ids: Iterable[str] | None = None,
    read: ReadBatch | None = None,
    class_names: Iterable[str] | None = None,
) -> LastLayer:
    """The last layer's input and the predictions of all items: of these two BADGE makes the gradients of the last layer.

    With features h and probabilities p the gradient of the cross-entropy with label y at the weight of a last layer
    `softmax(W h + b)` is `(p - onehot(y)) h^T`; it is never built. The network runs in evaluation mode without gradients, as
    it is inside of `DataParallel`, `DistributedDataParallel` and `torch.compile`, on its own device; modes are put back
    after each batch. Give the agent all items of its query set, labeled ones too::

        last = last_layer(network, loader)
        agent = ActiveLearningAgent(platform, embeddings=Embeddings(last.item_ids, last.features))
        batch = agent.query(SamplerConfig(100, method="BADGE"), last.predictions)

    Time O(n) passes, memory O(n (d + c)), twice that while batches are put together.

    Args:
        network: Gives `(b, c)`, or `(b, 1)` for the positive class of two.
        loader: Batches `(item_ids, inputs, ...)`, or dictionaries with `item_ids`; see `item_batches`.
        layer: Name of the last layer, as `network.named_modules()` has it. None takes the `torch.nn.Linear` that runs last,
            and checks that the probabilities are those of what it gives. A named layer is believed: it gets `(b, d)`, or
            `(b, d, 1, 1)`. Of the maps `(b, d, h, w)` that a convolution gets the mean is taken, which is right for a 1x1
            convolution whose maps the network averages.
        is_logits: Whether the network gives logits; False where it ends with a softmax or sigmoid.
        output: Where the network gives a dictionary or several tensors: key or position of the one to take.
        item_ids: The ids in the order of a loader that gives none and does not shuffle.
        read: Gives item ids and inputs of batches of another form.
        class_names: A name for each class.

    Raises:
        ValueError: No such layer, one that does not run once for a batch, or without a name one that does not give what the
            network gives; other shapes; an item that comes twice; values that are no probabilities or not finite, with the
            item's name.

    Warns:
        UserWarning: The network is in training mode.

    Examples:
        >>> network = torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.ReLU(), torch.nn.Linear(3, 2)).eval()
        >>> last_layer(network, [(["a.png", "b.png"], torch.zeros(2, 2)), (["c.png"], torch.ones(1, 2))])
        LastLayer(3 items, 3 features, 2 classes)

    References:
        J. Ash, C. Zhang, A. Krishnamurthy, J. Langford and A. Agarwal, 2020, arXiv:1906.03671.
    """
    given: object = network
    if not isinstance(given, torch.nn.Module):
        raise ValueError(f"network is {type(given).__name__}; expected a torch.nn.Module")
    inner, names = unwrapped(network), checked_names(class_names)
    ids: list[str] = []
    features: list[FloatArray] = []
    probabilities: list[FloatArray] = []
    make = ClassificationPredictions.from_logits if is_logits else ClassificationPredictions
    with _reading(inner, layer) as calls:

        def run(batch: ItemBatch) -> Any:
            calls.clear()
            return inner(*batch.args, **batch.kwargs)

        for batch, outputs in outputs_of(inner, loader, item_ids=item_ids, read=read, run=run):
            tensor = the_output(outputs, output, batch.item_ids, "(b, c)")
            part = make(batch.item_ids, as_array(tensor), class_names=names)
            call = _the_call(calls, layer)
            if layer is None:
                _check_gives(call, part.probabilities, tensor)
            rows = LastLayer(as_array(_vectors(call, layer)), part)
            if features and rows.features.shape[1] != features[0].shape[1]:
                raise ValueError(
                    f"layer {call.name!r} gets {rows.features.shape[1]:,} features for {batch.item_ids[0]!r} and "
                    f"{features[0].shape[1]:,} for {ids[0]!r}; name a layer that always gets as many, by layer="
                )
            if probabilities and part.probabilities.shape[1] != probabilities[0].shape[1]:
                raise ValueError(
                    f"the network gives {part.probabilities.shape[1]:,} classes for {batch.item_ids[0]!r} and "
                    f"{probabilities[0].shape[1]:,} for {ids[0]!r}; expected as many for each"
                )
            ids += batch.item_ids
            features.append(rows.features)
            probabilities.append(part.probabilities)
    if not ids:
        raise ValueError("the loader gave no batch; an iterator can be read only once")
    predictions = ClassificationPredictions(ids, np.concatenate(probabilities), class_names=names)
    return LastLayer(np.concatenate(features), predictions)


@dataclass(frozen=True)
class _Call:
    """What a layer got and gave."""

    name: str
    part: torch.nn.Module
    inputs: torch.Tensor
    outputs: torch.Tensor


@contextlib.contextmanager
def _reading(network: torch.nn.Module, layer: str | None) -> Iterator[list[_Call]]:
    """The calls of the named layer as they happen; without a name the last one of a linear layer."""
    calls: list[_Call] = []

    def keep(name: str, part: torch.nn.Module, args: Any, kwargs: Any, output: Any) -> None:
        inputs = next((one for one in (*args, *kwargs.values()) if isinstance(one, torch.Tensor)), None)
        if inputs is None or not isinstance(output, torch.Tensor):
            raise ValueError(f"layer {name!r} gets or gives no tensor; name a layer that does, such as a torch.nn.Linear")
        if layer is None:
            calls.clear()
        is_small = inputs.ndim == 2 or layer is not None  # what is larger is no last layer, and only named in a message
        # Later parts may write into either in place
        calls.append(_Call(name, part, *((inputs.clone(), output.clone()) if is_small else (inputs, output))))

    def hooked(name: str, part: torch.nn.Module) -> torch.utils.hooks.RemovableHandle:
        def hook(part: torch.nn.Module, args: Any, kwargs: Any, output: Any) -> None:
            keep(name, part, args, kwargs, output)

        return part.register_forward_hook(hook, with_kwargs=True)

    named = [(layer, part_named(network, layer))] if layer is not None else list(network.named_modules())
    handles = [hooked(name, part) for name, part in named if layer is not None or isinstance(part, torch.nn.Linear)]
    if not handles:
        raise ValueError(f"{type(network).__name__} has no torch.nn.Linear; name its last layer by layer=")
    try:
        yield calls
    finally:
        for handle in handles:
            handle.remove()


def _the_call(calls: list[_Call], layer: str | None) -> _Call:
    if len(calls) == 1:
        return calls[0]
    if layer is not None:
        raise ValueError(f"layer {layer!r} ran {len(calls)} times for a batch; expected once: name another by layer=")
    raise ValueError("none of the network's linear layers ran; name its last layer by layer=")


def _check_gives(call: _Call, probabilities: FloatArray, outputs: torch.Tensor) -> None:
    """Raise unless these are the probabilities of what the layer gave."""
    found = call.outputs.shape
    remedy = "name the last layer by layer=, or see is_logits and output"
    if found != outputs.shape:
        raise ValueError(
            f"the linear layer that runs last, {call.name!r}, gives shape {tuple(found)} and the network "
            f"{tuple(outputs.shape)}; {remedy}"
        )
    own = softmax(as_array(call.outputs))
    # Rounding of a softmax in the network's precision, which for bfloat16 is 2**-8
    tolerance = 8 * max(torch.finfo(call.outputs.dtype).eps, torch.finfo(outputs.dtype).eps)
    if not np.allclose(own, probabilities, rtol=0, atol=tolerance):
        raise ValueError(
            f"the probabilities that the network gives are not those of its last linear layer, {call.name!r}: something "
            f"changes them on the way; {remedy}"
        )


def _vectors(call: _Call, layer: str | None) -> torch.Tensor:
    """`(b, d)` of what the layer got."""
    inputs = call.inputs
    is_single = all(length == 1 for length in inputs.shape[2:])
    if inputs.ndim < 2 or not (is_single or (layer is not None and isinstance(call.part, _CONVOLUTIONS))):
        raise ValueError(
            f"layer {call.name!r} gets shape {tuple(inputs.shape)}; expected (b, d), a row of features for each item: name "
            "another by layer="
        )
    return inputs.flatten(1) if is_single else pooled(inputs)
