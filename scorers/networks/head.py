"""The head of a loss prediction: one number for each image, from the features of several layers."""

from __future__ import annotations

from collections.abc import Iterable

import torch


def predicted_from(
    features: Iterable[torch.Tensor], taps: Iterable[torch.nn.Module], output: torch.nn.Linear
) -> torch.Tensor:
    """`output` of the ReLUs of all taps side by side, in the head's own precision and on its device, also under autocast.

    Args:
        features: `(b, w)` features of each tap, on any device.
        taps: A linear layer for each.
        output: Takes what they give, side by side.

    Returns:
        `(b, 1)` predictions.

    Examples:
        >>> taps = [torch.nn.Linear(3, 4), torch.nn.Linear(5, 4)]
        >>> predicted_from([torch.zeros(2, 3), torch.zeros(2, 5)], taps, torch.nn.Linear(8, 1)).shape
        torch.Size([2, 1])
    """
    to = output.weight
    with torch.autocast(to.device.type, enabled=False):
        hidden = [torch.relu(tap(one.to(to.device, to.dtype))) for tap, one in zip(taps, features)]
        result: torch.Tensor = output(torch.cat(hidden, dim=1))
    return result
