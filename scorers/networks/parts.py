"""A network's parts by name, the mode they are in, and where its numbers live."""

from __future__ import annotations

import contextlib
import difflib
from collections.abc import Callable, Iterator
from typing import Any

import torch


def part_named(network: torch.nn.Module, name: str) -> torch.nn.Module:
    """The part of a network that `network.named_modules()` calls so.

    Raises:
        ValueError: There is none; the message names those that there are, the nearest first.

    Examples:
        >>> part_named(torch.nn.Sequential(torch.nn.ReLU()), "0")
        ReLU()
    """
    parts: dict[str, torch.nn.Module] = dict(network.named_modules())
    if name and name in parts:
        return parts[name]
    names = [known for known in parts if known]
    near = _alike(str(name), names)
    shown = near + [known for known in names if known not in near]
    listed = ", ".join(map(repr, shown[:12])) + (", ..." if len(shown) > 12 else "")
    has = f"it has {len(names)}{', the nearest first' if near else ''}"
    raise ValueError(f"the network has no layer {name!r}; {has}: {listed or 'none'}")


def _alike(name: str, names: list[str]) -> list[str]:
    """Names that hold it, or stand where it goes wrong, or are spelled like it."""
    if holding := [known for known in names if name and name in known]:
        return holding
    words = name.split(".")
    for n_words in range(len(words) - 1, 0, -1):
        place = ".".join(words[:n_words])
        if place in names:
            return [known for known in names if known.rpartition(".")[0] == place] or [place]
    return difflib.get_close_matches(name, names, n=4, cutoff=0.7)


def unwrapped(network: torch.nn.Module) -> torch.nn.Module:
    """The network inside of `DataParallel`, `DistributedDataParallel` and `torch.compile`."""
    while True:
        if isinstance(network, torch.nn.DataParallel | torch.nn.parallel.DistributedDataParallel):
            network = network.module
        elif isinstance(inner := getattr(network, "_orig_mod", None), torch.nn.Module):
            network = inner
        else:
            return network


@contextlib.contextmanager
def evaluating(network: torch.nn.Module) -> Iterator[None]:
    """Every part in evaluation mode, and afterwards in the mode that it was in."""
    modes = [(part, part.training) for part in network.modules()]
    try:
        for part, _ in modes:  # not eval(): some networks have their own
            part.training = False
        yield
    finally:
        for part, was_training in modes:
            part.training = was_training


def like(network: torch.nn.Module) -> torch.Tensor:
    """A tensor on the network's device, in its precision."""
    tensors = [*network.parameters(), *network.buffers()]
    floating = [tensor for tensor in tensors if tensor.is_floating_point()]
    return next(iter(floating), torch.empty(0, device=tensors[0].device if tensors else None))


def mapped_tensors(values: Any, change: Callable[[torch.Tensor], torch.Tensor]) -> Any:
    """The same lists, tuples and dictionaries with every tensor changed."""
    if isinstance(values, torch.Tensor):
        return change(values)
    if isinstance(values, dict):
        return {key: mapped_tensors(value, change) for key, value in values.items()}
    if isinstance(values, list | tuple):
        changed = [mapped_tensors(value, change) for value in values]
        if hasattr(values, "_fields"):  # a named tuple
            return type(values)(*changed)
        return changed if isinstance(values, list) else tuple(changed)
    return values
