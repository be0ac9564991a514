"""From label names to class indices."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt


def label_indices(
    labels: Sequence[str], class_names: Iterable[str] | None, row_name: object = "label"
) -> tuple[npt.NDArray[np.int64], tuple[str, ...]]:
    """The index of each label among the class names.

    Args:
        labels: m names.
        class_names: The classes in the order of their indices; None takes the names that occur, sorted.
        row_name: What messages call the labels.

    Returns:
        `(m,)` indices, and the class names.

    Raises:
        ValueError: A label is none of the class names, or a class name stands twice.

    Examples:
        >>> label_indices(["dog", "cat", "dog"], None)
        (array([1, 0, 1]), ('cat', 'dog'))
    """
    names = tuple(sorted(set(labels))) if class_names is None else tuple(class_names)
    index_of = {name: index for index, name in enumerate(names)}
    if len(index_of) != len(names):
        doubled = next(name for index, name in enumerate(names) if index_of[name] != index)
        raise ValueError(f"class_names has {doubled!r} twice; expected each class once")
    unknown = [name for name in labels if name not in index_of]
    if unknown:
        listed = ", ".join(map(repr, names[:8])) + (", ..." if len(names) > 8 else "")
        raise ValueError(f"the {row_name} {unknown[0]!r} is none of the {len(names)} class names: {listed}")
    return np.array([index_of[name] for name in labels], dtype=np.int64), names
