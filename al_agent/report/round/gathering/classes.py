"""Classes of a project's items, and how many of each were there before the batch and are in it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from ....words import are
from ..facts import ClassCount
from .seen import Seen


class Classes(NamedTuple):
    """What is known of classes; None where nothing is.

    Args:
        names: A class for each of n items, empty where unknown.
        kind: What they are.
        balance: How often each stands among the labeled and the picks, commonest first.
        unit: What is counted.
        missing: What is not known, and the way out.
    """

    names: Sequence[str] | None
    kind: str
    balance: tuple[ClassCount, ...] | None
    unit: str
    missing: tuple[str, ...]


def classes_in(
    item_ids: Sequence[str],
    is_labeled: npt.NDArray[np.bool_],
    picks: Sequence[str],
    seen: Seen | None,
    codes: npt.NDArray[np.int64] | None,
    label_of: Mapping[str, str],
) -> Classes:
    """The classes of items: the label of a labeled one where it is known, else what a model sees.

    Boxes are counted as a model sees them, since a label of boxes is of the platform's own form.

    Args:
        item_ids: n ids.
        is_labeled: `(n,)` which had a label when the batch was picked.
        picks: The batch.
        seen: What a model sees.
        codes: `(n,)` where each item's class stands among its names, -1 for none; None where nothing is seen.
        label_of: Labels, as far as they are known and are one class for an item.
    """
    predicted = _predicted(seen, codes)
    known = {item_id: label_of[item_id] for item_id in _where(item_ids, is_labeled) if item_id in label_of}
    if seen is not None and seen.boxes is not None:
        why = "The classes before the batch are boxes that the model sees on labeled images, not their labels."
        missing = (why,) if is_labeled.any() else ()
        return Classes(predicted, "class of the surest box", _counted(*seen.boxes) or None, "boxes", missing)
    if predicted is None and not label_of:
        return Classes(None, "", None, "images", (_UNKNOWN,))
    names = predicted or [""] * len(item_ids)
    of_item = dict(zip(item_ids, names))
    unknown: list[str] = []
    before = Counter(known.values())
    if predicted is not None and len(known) < int(is_labeled.sum()):
        guessed = [of_item[item_id] for item_id in _where(item_ids, is_labeled) if item_id not in known]
        before.update(name for name in guessed if name)
        which = "the labeled images" if not known else f"{len(guessed):,} of {int(is_labeled.sum()):,} labeled images"
        unknown.append(f"The labels of {which} are not known here: their classes are as predicted; labels= or --labels.")
    if predicted is None:
        picked = Counter(label_of[item_id] for item_id in picks if item_id in label_of)
        n_unknown = len(picks) - sum(picked.values())
        if n_unknown:
            unknown.append(f"{are(n_unknown, 'pick')} of unknown class: give predictions of the pool.")
    else:
        picked = Counter(of_item[item_id] for item_id in picks if of_item.get(item_id))
    shown = [known.get(item_id, name) for item_id, name in zip(item_ids, names)] if known else names
    kind = "predicted class" if not known else "label" if predicted is None else "label, or predicted class"
    balance = _counted(before, picked)
    return Classes(shown if any(shown) else None, kind, balance or None, "images", tuple(unknown))


_UNKNOWN = "No classes: give a model's predictions, and labels where the platform does not hold them as text or numbers."


def _where(item_ids: Sequence[str], which: npt.NDArray[np.bool_]) -> list[str]:
    return [item_ids[row] for row in np.flatnonzero(which).tolist()]


def _predicted(seen: Seen | None, codes: npt.NDArray[np.int64] | None) -> list[str] | None:
    """The class that a model sees on each item; None where it has none of whole images."""
    if seen is None or codes is None or not (seen.codes >= 0).any():
        return None
    names = ("", *seen.names)
    return [names[code] for code in (codes + 1).tolist()]


def _counted(before: Mapping[str, int], picked: Mapping[str, int]) -> tuple[ClassCount, ...]:
    counts = [ClassCount(name, before.get(name, 0), picked.get(name, 0)) for name in dict.fromkeys([*before, *picked])]
    return tuple(sorted(counts, key=lambda one: (-one.before - one.picked, one.name)))
