"""The one tensor of what a network gives out that is asked for, and its values in numpy."""

from __future__ import annotations

from collections.abc import Mapping
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
    tensor = _chosen(outputs, output)
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


def _chosen(outputs: Any, output: str | int | None) -> torch.Tensor:
    if isinstance(outputs, torch.Tensor):
        if output is not None:
            raise ValueError(f"output is {output!r}, and the network gives a single tensor; leave output out")
        return outputs
    named: dict[Any, Any] = {}
    if isinstance(outputs, Mapping):
        named = dict(outputs)
    elif isinstance(outputs, list | tuple):
        named = dict(enumerate(outputs))
    found = {name: value for name, value in named.items() if isinstance(value, torch.Tensor)}
    if output is None and len(found) == 1:
        return next(iter(found.values()))
    if output is not None and output in found:
        return found[output]
    listed = ", ".join(f"{name!r} {tuple(value.shape)}" for name, value in found.items()) or "none"
    asked = "say which by output=" if output is None else f"there is no {output!r} among them"
    raise ValueError(f"the network gives a {type(outputs).__name__} of {len(found)} tensors; {asked}: {listed}")
