"""Reading what frameworks carry: tensors as arrays, fields of objects and of dictionaries; no framework is imported."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt


def as_array(value: Any, what: str) -> npt.NDArray[Any]:
    """An array of numbers from an array, a list, or a tensor of any device that offers `detach`, `cpu` or `numpy`.

    Args:
        value: What to read; a tensor of bfloat16, which numpy does not have, becomes float32.
        what: What the message calls it, such as `boxes of 'a.jpg'`.

    Raises:
        ValueError: It cannot be read as numbers or booleans.
    """
    try:
        if hasattr(value, "detach"):
            value = value.detach()
            if "bfloat16" in str(getattr(value, "dtype", "")):
                value = value.float()
            value = value.cpu()
        array = np.asarray(value)
        if "bfloat16" in str(array.dtype):  # JAX brings a type of its own
            array = array.astype(np.float32)
    except (TypeError, ValueError, RuntimeError) as error:
        raise ValueError(f"{what} cannot be read as numbers: {error}") from error
    if array.dtype.kind not in "biuf":
        raise ValueError(f"{what} holds values of type {array.dtype}; expected numbers")
    return array


def field(value: Any, name: str, what: str) -> Any:
    """The field of a dictionary or an object.

    Args:
        value: A mapping, or an object with attributes.
        name: The field's name.
        what: What the message calls the value, such as `the output of 'a.jpg'`.

    Raises:
        ValueError: There is no such field. The message lists those that there are.
    """
    try:
        return value[name] if isinstance(value, Mapping) else getattr(value, name)
    except (KeyError, AttributeError):
        if hasattr(value, "shape") and hasattr(value, "dtype"):  # of a tensor, some fields warn and others fail
            raise ValueError(f"{what} is {type(value).__name__}; expected a dictionary or an object with {name!r}") from None
        listed = ", ".join(_field_names(value)[:12]) or "nothing"
        raise ValueError(f"{what} is {type(value).__name__} without {name!r}; it has {listed}") from None


def copied(value: Any, name: str, what: str) -> npt.NDArray[Any]:
    """A field as an array of its own, which lets go of the value.

    Raises:
        ValueError: There is no such field, or it cannot be read as numbers.
    """
    return as_array(field(value, name, what), f"{name} of {what}").copy()


def _field_names(value: Any) -> list[str]:
    if isinstance(value, Mapping):
        return [str(key) for key in value]
    public = (key for key in dir(value) if not key.startswith("_"))
    return [key for key in public if not callable(getattr(type(value), key, None)) and hasattr(value, key)]
