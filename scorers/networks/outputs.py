"""The one tensor of what a network gives out that is asked for, and its values in numpy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch

from ..checks import FloatArray


def the_output(outputs: Any, output: str | int | None, item_ids: tuple[str, ...], shape: str) -> torch.Tensor:
    """The tensor of floats with a row for each item in what a network gives.

    Args:
        outputs: A tensor; or a dictionary, list or tuple, of which one is taken.
        output: Its key or position, needed where there are several.
        item_ids: The items of the batch.
        shape: What is expected, such as `(b, c)`; its commas count the axes.

    Raises:
        ValueError: No such tensor, several and no `output`, another number of axes or of rows. The message lists what there
            is.

    Examples:
        >>> the_output({"logits": torch.zeros(1, 2)}, None, ("a.png",), "(b, c)").tolist()
        [[0.0, 0.0]]
    """
    tensor = the_tensor(outputs, output, "what the network gives")
    what = "the network's output" + ("" if output is None else f" {output!r}")
    if not tensor.is_floating_point():
        raise ValueError(f"{what} is of type {tensor.dtype}; expected floats {shape}: probabilities or logits, not labels")
    if tensor.ndim != shape.count(",") + 1:
        raise ValueError(f"{what} has shape {tuple(tensor.shape)}; expected {shape}")
    if len(tensor) != len(item_ids):
        raise ValueError(
            f"{what} has shape {tuple(tensor.shape)} for {len(item_ids):,} items, the first of them {item_ids[0]!r}; "
            f"expected a row for each, {shape}"
        )
    if 0 in tensor.shape:
        raise ValueError(f"{what} has shape {tuple(tensor.shape)}, which holds nothing; expected {shape}")
    return tensor


def as_array(tensor: torch.Tensor) -> FloatArray:
    """A copy of the values in numpy, which has no bfloat16: that becomes float32."""
    dtype = torch.float32 if tensor.dtype == torch.bfloat16 else tensor.dtype
    values: FloatArray = tensor.detach().to("cpu", dtype, copy=True).numpy()
    return values


def the_tensor(values: object, key: str | int | None, what: str) -> torch.Tensor:
    """The one tensor in what a network gives: itself, or the one of a mapping or a sequence at this key.

    Raises:
        ValueError: There are several or none, and no key or another one; the message lists the keys.
    """
    if isinstance(values, torch.Tensor):
        if key is not None:
            raise ValueError(f"output is {key!r}, and {what} is a single tensor; leave output out")
        return values
    named: dict[str | int, object]
    if isinstance(values, Mapping):
        named = dict(values)
    elif isinstance(values, Sequence) and not isinstance(values, str | bytes):
        named = dict(enumerate(values))
        key = int(key) if isinstance(key, str) and key.isdecimal() else key  # as the command line gives it
    else:
        raise ValueError(f"{what} is a {type(values).__name__}; expected floats, or a dict or tuple with floats in it")
    found = {name: value for name, value in named.items() if isinstance(value, torch.Tensor)}
    if key is None and len(found) == 1:
        return next(iter(found.values()))
    if key is not None and key in found:
        return found[key]
    listed = ", ".join(f"{name!r} {tuple(value.shape)}" for name, value in found.items()) or "none"
    asked = "say which by output=" if key is None else f"there is no {key!r} among them"
    raise ValueError(f"{what} is a {type(values).__name__} of {len(found)} tensors; {asked}: {listed}")
