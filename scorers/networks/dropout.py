"""Monte-Carlo dropout: predictions of several passes of one network, each with other units left out."""

from __future__ import annotations

import contextlib
import itertools
import warnings
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
import torch
import torch.backends.mha

from ..checks import FloatArray
from ..predictions.ensemble import EnsemblePredictions
from ..predictions.parts import checked_names
from ..predictions.segmentation import SegmentationPredictions
from .batches import ItemBatch, ReadBatch, outputs_of
from .outputs import as_array, the_output
from .parts import mapped_tensors, part_named, unwrapped

_DROPOUT = (
    torch.nn.Dropout,
    torch.nn.Dropout1d,
    torch.nn.Dropout2d,
    torch.nn.Dropout3d,
    torch.nn.AlphaDropout,
    torch.nn.FeatureAlphaDropout,
)


def dropout_classifications(
    network: torch.nn.Module,
    loader: Iterable[Any],
    *,
    n_passes: int = 10,
    seed: int = 0,
    is_logits: bool = True,
    layers: Sequence[str] | None = None,
    output: str | int | None = None,
    item_ids: Iterable[str] | None = None,
    read: ReadBatch | None = None,
    class_names: Iterable[str] | None = None,
) -> Iterator[EnsemblePredictions]:
    """Class distributions of n passes with dropout for each item, batch by batch: give it to `ScorerEnsemble`.

    Only dropout is as in training: batch normalization and all else stay in evaluation mode. Modes and torch's random state
    are put back after each batch. The network runs as it is inside of `DataParallel`, `DistributedDataParallel` and
    `torch.compile`, on its own device.

    Masks are drawn anew in each pass for each item. Those of a batch follow from the seed and the batch's number alone: the
    same seed and the same batches give the same numbers, whatever ran before, and another batch size or order gives others.
    Pass 3 of one item has nothing to do with pass 3 of another, so `BATCH_BALD`, which compares items pass by pass, sees
    less of what they share than there is; `BALD` and `ScorerEnsemble` read each item alone.

    Args:
        network: Gives `(b, c)`, or `(b, 1)` for the positive class of two.
        loader: Batches `(item_ids, inputs, ...)`, or dictionaries with `item_ids`; see `item_batches`.
        n_passes: At least 2. Time O(n_passes) times that of predicting, memory O(b n_passes c) for batches of b.
        seed: Of the masks, at least 0.
        is_logits: Whether the network gives logits; False where it ends with a softmax or sigmoid.
        layers: Names of the parts that are in training mode, `""` for the network itself: each alone and with the dropout
            layers inside of it. None takes all dropout layers: `Dropout`, `Dropout1d` to `Dropout3d`, `AlphaDropout`,
            `FeatureAlphaDropout` and what derives from them. Dropout that a part calls as a function, with
            `training=self.training`, cannot be seen from outside and needs the part's name here: so do
            `torch.nn.MultiheadAttention`, `torch.nn.LSTM` and its like, and stochastic depth of other libraries.
        output: Where the network gives a dictionary or several tensors: key or position of the one to take.
        item_ids: The ids in the order of a loader that gives none and does not shuffle.
        read: Gives item ids and inputs of batches of another form.
        class_names: A name for each class.

    Raises:
        ValueError: No dropout layer with a chance above 0, no such layer, an option out of range; and as batches come:
            other shapes, values that are no probabilities or not finite, with the item's name.

    Warns:
        UserWarning: The network is in training mode; or all passes were the same, as dropout did nothing.

    Examples:
        >>> from scorers import ScorerEnsemble
        >>> network = torch.nn.Sequential(torch.nn.Dropout(0.5), torch.nn.Linear(4, 3)).eval()
        >>> loader = [(["a.png", "b.png"], torch.stack([torch.zeros(4), torch.ones(4)]))]
        >>> scores = ScorerEnsemble(dropout_classifications(network, loader, n_passes=20)).scores()
        >>> scores.column("bald").round(6)[0], scores.column("bald")[1] > 0  # nothing can be left out of zeros
        (np.float64(0.0), np.True_)

    References:
        Y. Gal and Z. Ghahramani, Dropout as a Bayesian Approximation, 2016, arXiv:1506.02142.
    """
    passes = _Passes(network, n_passes, seed, layers, output, "(b, c)")
    names = checked_names(class_names)
    make = EnsemblePredictions.from_logits if is_logits else EnsemblePredictions
    return (
        make(ids, _two_columns(values, is_logits=is_logits), class_names=names)
        for ids, values in passes.of(loader, item_ids, read)
    )


def dropout_segmentations(
    network: torch.nn.Module,
    loader: Iterable[Any],
    *,
    n_passes: int = 10,
    seed: int = 0,
    is_logits: bool = True,
    layers: Sequence[str] | None = None,
    output: str | int | None = None,
    item_ids: Iterable[str] | None = None,
    read: ReadBatch | None = None,
    class_names: Iterable[str] | None = None,
) -> Iterator[SegmentationPredictions]:
    """Class distributions of n passes with dropout for each pixel, batch by batch: give it to `ScorerSemanticSegmentation`.

    All is as in `dropout_classifications`, but for the shapes.

    Args:
        network: Gives `(b, c, h, w)`, or `(b, 1, h, w)` for the positive class of two.
        loader: See `dropout_classifications`.
        n_passes: At least 2. Memory O(b n_passes c h w) for batches of b.
        seed: See `dropout_classifications`.
        is_logits: See `dropout_classifications`.
        layers: See `dropout_classifications`.
        output: See `dropout_classifications`; that of torchvision's networks is `"out"`.
        item_ids: See `dropout_classifications`.
        read: See `dropout_classifications`.
        class_names: A name for each class.

    Raises:
        ValueError: See `dropout_classifications`. Values of pixels are checked when they are scored.

    Warns:
        UserWarning: See `dropout_classifications`.

    Examples:
        >>> from scorers import ScorerSemanticSegmentation
        >>> network = torch.nn.Sequential(torch.nn.Dropout2d(0.5), torch.nn.Conv2d(3, 2, 1)).eval()
        >>> predictions = dropout_segmentations(network, [(["a.png"], torch.ones(1, 3, 4, 4))], n_passes=5)
        >>> ScorerSemanticSegmentation(predictions).scores().column("bald")[0] > 0
        np.True_

    References:
        Y. Gal and Z. Ghahramani, Dropout as a Bayesian Approximation, 2016, arXiv:1506.02142.
    """
    passes = _Passes(network, n_passes, seed, layers, output, "(b, c, h, w)")
    names = checked_names(class_names)
    make = SegmentationPredictions.from_logits if is_logits else SegmentationPredictions
    return (make(ids, values, class_axis=0, class_names=names) for ids, values in passes.of(loader, item_ids, read))


class _Passes:
    """Several passes of a network for each batch, with dropout."""

    def __init__(
        self,
        network: torch.nn.Module,
        n_passes: int,
        seed: int,
        layers: Sequence[str] | None,
        output: str | int | None,
        shape: str,
    ) -> None:
        given: object = network
        if not isinstance(given, torch.nn.Module):
            raise ValueError(f"network is {type(given).__name__}; expected a torch.nn.Module")
        options: tuple[tuple[object, str, int], ...] = ((n_passes, "n_passes", 2), (seed, "seed", 0))
        for value, name, least in options:
            if isinstance(value, bool) or not isinstance(value, int) or value < least:
                raise ValueError(f"{name} is {value!r}; expected a whole number of at least {least}")
        self._network = unwrapped(network)
        self._n_passes = n_passes
        self._seed = seed
        self._dropping = _dropping(self._network, layers)
        self._output = output
        self._shape = shape

    def of(
        self, loader: Iterable[Any], item_ids: Iterable[str] | None, read: ReadBatch | None
    ) -> Iterator[tuple[tuple[str, ...], FloatArray]]:
        """The ids of each batch, and what t passes give: `(b, t, ...)`."""
        numbers = itertools.count()
        is_alike = True

        def run(batch: ItemBatch) -> FloatArray:
            return self._run(batch, next(numbers))

        for batch, values in outputs_of(self._network, loader, item_ids=item_ids, read=read, run=run):
            is_alike = is_alike and bool((values == values[:, :1]).all())
            yield batch.item_ids, values
        if is_alike and next(numbers):
            warnings.warn(
                f"all {self._n_passes} passes gave the same for every item: dropout did nothing, so scores of disagreement "
                "mean nothing; see layers=",
                stacklevel=2,
            )

    def _run(self, batch: ItemBatch, number: int) -> FloatArray:
        for part in self._dropping:
            part.training = True
        seed = int(np.random.SeedSequence((self._seed, number)).generate_state(1, np.uint64)[0])
        values: FloatArray | None = None
        with _seeded(self._network, seed), _without_fast_path():
            for step in range(self._n_passes):  # clones, as a network may write into what it is given
                args, kwargs = (mapped_tensors(one, torch.clone) for one in (batch.args, batch.kwargs))
                found = as_array(the_output(self._network(*args, **kwargs), self._output, batch.item_ids, self._shape))
                if values is None:
                    values = np.empty((len(found), self._n_passes, *found.shape[1:]), dtype=found.dtype)
                values[:, step] = found
        assert values is not None
        return values


def _dropping(network: torch.nn.Module, layers: Sequence[str] | None) -> list[torch.nn.Module]:
    """The parts that are to be in training mode."""
    if layers is None:
        every = [part for part in network.modules() if isinstance(part, _DROPOUT)]
        active: list[torch.nn.Module] = [part for part in every if part.p > 0]
        if active:
            return active
        found = f"its {len(every)} dropout layers leave out nothing: p is 0" if every else "it has no dropout layer"
        raise ValueError(
            f"{type(network).__name__} has no dropout to draw from: {found}. Where a part calls dropout as a function, with "
            "training=self.training, name the part, such as layers=['encoder'], or '' for the network itself"
        )
    if isinstance(layers, str) or not layers:
        raise ValueError(f"layers is {layers!r}; expected names of the network's parts, such as ['encoder', 'classifier']")
    chosen: list[torch.nn.Module] = []
    for name in layers:
        part = part_named(network, name) if name else network
        if hasattr(part, "running_mean"):
            raise ValueError(
                f"layer {name!r} is {type(part).__name__}, which would change its running mean; name parts with dropout"
            )
        chosen += [part, *(inner for inner in part.modules() if isinstance(inner, _DROPOUT))]
    return chosen


@contextlib.contextmanager
def _seeded(network: torch.nn.Module, seed: int) -> Iterator[None]:
    """Torch's random numbers from a seed, on the devices of a network, and afterwards as they were."""
    devices = {tensor.device for tensor in (*network.parameters(), *network.buffers())} | {torch.device("cpu")}
    states = []
    for device in devices:
        module: Any = torch if device.type == "cpu" else getattr(torch, device.type)
        on = (device,) if device.type not in ("cpu", "mps") else ()
        states.append((module, on, module.get_rng_state(*on)))
        module.set_rng_state(torch.Generator(device).manual_seed(seed).get_state(), *on)
    try:
        yield
    finally:
        for module, on, state in states:
            module.set_rng_state(state, *on)


@contextlib.contextmanager
def _without_fast_path() -> Iterator[None]:
    """Without torch's fused transformer layers, which look at their own mode alone and skip the dropout inside of them."""
    was_enabled = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        yield
    finally:
        torch.backends.mha.set_fastpath_enabled(was_enabled)


def _two_columns(values: FloatArray, *, is_logits: bool) -> FloatArray:
    """`(b, t, c)`, of the positive class alone `(b, t, 2)`: a logit is that against 0."""
    if values.shape[2] > 1:
        return values
    return np.concatenate([np.zeros_like(values) if is_logits else 1 - values, values], axis=2)
