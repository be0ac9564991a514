"""A loader's batches, each with the ids of its items, through a network in evaluation mode."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch.utils.data import BatchSampler, DataLoader, SequentialSampler

from ..checks import checked_item_ids
from .parts import evaluating, like, mapped_tensors


class ItemBatch(NamedTuple):
    """Items, and what the network is called with for them: `network(*args, **kwargs)`."""

    item_ids: tuple[str, ...]
    args: tuple[Any, ...]
    kwargs: dict[str, Any]


ReadBatch = Callable[[Any], tuple[Sequence[str], Any]]
"""From a loader's batch to item ids and the network's input."""


def item_batches(
    loader: Iterable[Any], *, item_ids: Iterable[str] | None = None, read: ReadBatch | None = None
) -> Iterator[ItemBatch]:
    """The batches of a loader with their ids.

    A batch is `(item_ids, inputs, ...)`: the one element that is a list or tuple of strings holds the ids, as a `DataLoader`
    makes it of a dataset that returns `(item_id, image, ...)`; the first other element goes to the network. Or it is a
    dictionary with `item_ids`; what else is in it goes to the network by name.

    Args:
        loader: A `DataLoader`, or anything that gives such batches.
        item_ids: The ids in the order of the loader, whose batches then hold none; it must not shuffle.
        read: Reads other batches: gives ids and inputs of one.

    Raises:
        ValueError: A batch without ids or with several lists of strings, a loader that shuffles beside `item_ids`, or
            another number of items than ids.

    Examples:
        >>> [batch.item_ids for batch in item_batches([(["a.png", "b.png"], torch.zeros(2, 3))])]
        [('a.png', 'b.png')]
    """
    if item_ids is None:
        for number, batch in enumerate(loader):
            yield _read(batch, number, read)
        return
    if read is not None:
        raise ValueError("both item_ids and read are given, which each say what the ids are; pass one of them")
    ids = checked_item_ids(item_ids)
    _check_in_order(loader)
    start = 0
    for number, batch in enumerate(loader):
        inputs = batch[0] if isinstance(batch, list | tuple) and batch else batch
        n_items = _n_items(inputs)
        if not n_items:
            raise ValueError(f"batch {number} is {_kind(batch)}; expected inputs with a row for each item, or (inputs, ...)")
        part = ids[start : start + n_items]
        if len(part) < n_items:
            raise ValueError(
                f"the loader gives more items than the {len(ids):,} item_ids; give the ids of all, in its order"
            )
        start += n_items
        yield _batch(part, inputs)
    if start < len(ids):
        raise ValueError(
            f"the loader gave {start:,} items for {len(ids):,} item_ids; the first without one is {ids[start]!r} (does it "
            "drop the last batch?)"
        )


def outputs_of(
    network: torch.nn.Module,
    loader: Iterable[Any],
    *,
    item_ids: Iterable[str] | None = None,
    read: ReadBatch | None = None,
    run: Callable[[ItemBatch], Any] | None = None,
) -> Iterator[tuple[ItemBatch, Any]]:
    """Each batch with what the network gives for it, in evaluation mode and without gradients.

    Inputs are moved to the network's device, and floats to its precision. The mode of every part is put back after each
    batch. What is inside of `DistributedDataParallel` runs alone, so that one process may score while others do not.

    Args:
        network: Any network.
        loader: See `item_batches`.
        item_ids: See `item_batches`.
        read: See `item_batches`.
        run: Called instead of the network, with a batch that is moved already; it may change the mode of parts.

    Warns:
        UserWarning: The network is in training mode, so that what it does in training is not what is scored.
    """
    if network.training:
        warnings.warn(
            f"{type(network).__name__} is in training mode; it is scored in evaluation mode and put back after each batch",
            stacklevel=3,
        )
    if isinstance(network, torch.nn.parallel.DistributedDataParallel):
        network = network.module
    for given in item_batches(loader, item_ids=item_ids, read=read):
        to = like(network)

        def moved(tensor: torch.Tensor, to: torch.Tensor = to) -> torch.Tensor:
            return tensor.to(to.device, to.dtype) if tensor.is_floating_point() else tensor.to(to.device)

        batch = ItemBatch(given.item_ids, mapped_tensors(given.args, moved), mapped_tensors(given.kwargs, moved))
        with evaluating(network), torch.no_grad():
            outputs = network(*batch.args, **batch.kwargs) if run is None else run(batch)
        yield batch, outputs


def _read(batch: Any, number: int, read: ReadBatch | None) -> ItemBatch:
    if read is not None:
        ids, inputs = read(batch)
        return _batch(ids, inputs)
    if isinstance(batch, Mapping) and "item_ids" in batch:
        rest = {str(name): value for name, value in batch.items() if name != "item_ids"}
        return _batch(batch["item_ids"], rest)
    if isinstance(batch, list | tuple):
        named = [place for place, part in enumerate(batch) if _are_ids(part)]
        if len(named) > 1:
            raise ValueError(
                f"batch {number} holds {len(named)} lists of strings; pass read=, which gives the item ids and the inputs "
                "of a batch"
            )
        if named and len(batch) > 1:
            return _batch(batch[named[0]], batch[1 if named[0] == 0 else 0])
    raise ValueError(
        f"batch {number} is {_kind(batch)} and holds no item ids, which are texts (in a dictionary under 'item_ids'); let "
        "the dataset return (item_id, image), so that ids travel with the batch, or pass item_ids= of a loader that does "
        "not shuffle"
    )


def _check_in_order(loader: Iterable[Any]) -> None:
    if not isinstance(loader, DataLoader) or isinstance(loader.dataset, torch.utils.data.IterableDataset):
        return
    sampler = loader.batch_sampler.sampler if type(loader.batch_sampler) is BatchSampler else loader.batch_sampler
    if loader.batch_sampler is None:
        sampler = loader.sampler
    if type(sampler) is not SequentialSampler:
        raise ValueError(
            f"the loader draws its items by {type(sampler).__name__}, so item_ids cannot be matched by order; make one with "
            "shuffle=False, or let the dataset return (item_id, image)"
        )


def _are_ids(part: Any) -> bool:
    if isinstance(part, np.ndarray):
        return part.ndim == 1 and part.dtype.kind == "U"
    return isinstance(part, list | tuple) and len(part) > 0 and all(isinstance(one, str) for one in part)


def _batch(item_ids: Iterable[str], inputs: Any) -> ItemBatch:
    ids = checked_item_ids(item_ids)
    return ItemBatch(ids, (), dict(inputs)) if isinstance(inputs, Mapping) else ItemBatch(ids, (inputs,), {})


def _n_items(inputs: Any) -> int | None:
    for part in inputs.values() if isinstance(inputs, Mapping) else (inputs,):
        if isinstance(part, torch.Tensor) and part.ndim:
            return len(part)
        if isinstance(part, list | tuple) and part and isinstance(part[0], torch.Tensor):
            return len(part)
    return None


def _kind(batch: Any) -> str:
    if isinstance(batch, list | tuple):
        return f"a {type(batch).__name__} of {', '.join(type(part).__name__ for part in batch[:4]) or 'nothing'}"
    if isinstance(batch, Mapping):
        return f"a dictionary of {', '.join(map(repr, list(batch)[:6])) or 'nothing'}"
    return f"of type {type(batch).__name__}"
