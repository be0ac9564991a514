"""From label names to class indices."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

import numpy as np
import numpy.typing as npt

from ...predictions.parts import checked_names

ClassNames = Mapping[int, str] | Iterable[str]
"""A name for each class: by index, as `model.config.id2label` or `results[0].names`, or in the order of the indices."""


def names_in_order(class_names: ClassNames | None) -> tuple[str, ...] | None:
    """The class names by index, from a sequence or from a dictionary of index to name, as YOLO's data files have it.

    Raises:
        ValueError: One bare string, or a dictionary whose keys are not 0 to c - 1.

    Examples:
        >>> names_in_order({1: "dog", 0: "cat"}), names_in_order(["cat", "dog"])
        (('cat', 'dog'), ('cat', 'dog'))
    """
    if isinstance(class_names, Mapping):
        indices = range(len(class_names))
        missing = [index for index in indices if index not in class_names]
        if missing:
            keys = ", ".join(map(repr, list(class_names)[:8]))
            raise ValueError(
                f"class_names has no name for the class {missing[0]}; expected keys 0 to {indices[-1]}, got {keys}"
            )
        class_names = [class_names[index] for index in indices]
    return checked_names(class_names)


def label_indices(
    labels: Sequence[str], class_names: ClassNames | None, row_name: Callable[[int], str] = "row {}".format
) -> tuple[npt.NDArray[np.int64], tuple[str, ...]]:
    """The index of each label among the class names.

    Args:
        labels: m names.
        class_names: The classes in the order of their indices; None takes the names that occur, sorted.
        row_name: Gives a row's name for messages.

    Returns:
        `(m,)` indices, and the class names.

    Raises:
        ValueError: A label is none of the class names, or a class name stands twice.

    Examples:
        >>> label_indices(["dog", "cat", "dog"], None)
        (array([1, 0, 1]), ('cat', 'dog'))
    """
    given = names_in_order(class_names)
    names = tuple(sorted(set(labels))) if given is None else given
    index_of = {name: index for index, name in enumerate(names)}
    if len(index_of) != len(names):
        doubled = next(name for index, name in enumerate(names) if index_of[name] != index)
        raise ValueError(f"class_names has {doubled!r} twice; expected each class once")
    try:
        return np.array([index_of[name] for name in labels], dtype=np.int64), names
    except KeyError as error:
        row = list(labels).index(error.args[0])
        listed = ", ".join(map(repr, names[:8])) + (", ..." if len(names) > 8 else "")
        raise ValueError(
            f"the label of {row_name(row)} is {labels[row]!r}; expected one of the {len(names)} class names {listed}"
        ) from None
