"""The four methods that SuperAnnotate's code asks of a user's network, and what they give."""

from __future__ import annotations

import math
import operator
from collections.abc import Iterable
from typing import Any

import torch

from samplers.sampler import checked_count
from scorers.networks.parts import unwrapped
from scorers.networks.taps import tensors_in

COUNTS, FEATURES = "get_active_learning_feature_channel_counts", "get_active_learning_features"
SHAPES, VECTORS = "get_discriminative_al_layer_shapes", "get_discriminative_al_features"


def channel_counts(network: torch.nn.Module) -> list[int]:
    """The channels of each feature map, of lists nested or not.

    Raises:
        ValueError: The network does not say, or says no positive whole numbers.
    """
    _check_has(network, COUNTS, FEATURES, "or name parts of the network: layers=['layer1', 'layer2']")
    counts = [checked_count(one, f"a count of {COUNTS}") for one in _flat(getattr(network, COUNTS)())]
    if not counts:
        raise ValueError(f"{COUNTS} gives no count; expected one for each feature map")
    return counts


def n_values(shapes: Iterable[Any]) -> int:
    """How many values features of these shapes have together.

    Args:
        shapes: A shape without the images' axis for each feature, such as `[[512]]` or `[[64, 4, 4], [512]]`.

    Raises:
        ValueError: Something else.

    Examples:
        >>> n_values([[64, 4, 4], [512]])
        1536
    """
    try:
        sizes = [math.prod(map(operator.index, _flat(one))) for one in shapes]
    except TypeError:
        sizes = []
    if not sizes or min(sizes) < 1:
        raise ValueError(f"the shapes of the discriminative features are {shapes!r}; expected such as [[512]]")
    return sum(sizes)


def announced_values(network: torch.nn.Module | None) -> int:
    """How many values the network says that its discriminative features have.

    Raises:
        ValueError: It does not say.
    """
    _check_has(network, SHAPES, VECTORS, "or pass input_shapes=[[512]]")
    return n_values(getattr(network, SHAPES)())


def vectors_of(network: torch.nn.Module) -> torch.Tensor:
    """The discriminative features of the last pass side by side, `(b, d)`.

    Raises:
        ValueError: There are none, or they are of different numbers of images.
    """
    parts = list(tensors_in(getattr(network, VECTORS)()))
    if not parts or any(one.ndim < 2 for one in parts) or len({len(one) for one in parts}) > 1:
        found = ", ".join(str(tuple(one.shape)) for one in parts) or "no tensor of floats"
        raise ValueError(f"{VECTORS} gave {found}; expected features (b, ...) with a row for each image")
    return torch.cat([one.flatten(1) for one in parts], dim=1)


def with_vectors(network: torch.nn.Module) -> torch.nn.Module:
    """The network itself, or the one inside of it, that has discriminative features.

    Raises:
        ValueError: None has.
    """
    inner: object = network
    while isinstance(inner, torch.nn.Module):
        inner = unwrapped(inner)
        if hasattr(inner, VECTORS):
            return inner
        inner = getattr(inner, "base_model", None)
    raise ValueError(f"{type(network).__name__} has no {VECTORS}(); write it: the features (b, d) of the last pass")


def _check_has(network: object, method: str, beside: str, otherwise: str) -> None:
    if not isinstance(network, torch.nn.Module):
        raise ValueError(f"base_model is {type(network).__name__}; expected a torch.nn.Module")
    if isinstance(network, torch.nn.DataParallel | torch.nn.parallel.DistributedDataParallel):
        raise ValueError(f"base_model is inside of {type(network).__name__}, whose copies keep no features; wrap the result")
    for name in (method, beside):
        if not hasattr(network, name):
            raise ValueError(f"{type(network).__name__} has no {name}(); write it, {otherwise}")


def _flat(values: Any) -> Iterable[Any]:
    if not isinstance(values, list | tuple):
        return [values]
    return [one for value in values for one in _flat(value)]
