"""A scorer turns predictions into scores, item by item."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from functools import cached_property
from typing import ClassVar, Generic, Protocol, TypeVar

import numpy as np
import numpy.typing as npt

from .scores import Scores


class Predictions(Protocol):
    """What a scorer needs of a predictions value: its items."""

    @property
    def item_ids(self) -> tuple[str, ...]:
        """The n unique item ids."""
        ...

    def __len__(self) -> int: ...


P = TypeVar("P", bound=Predictions)


class Scorer(ABC, Generic[P]):
    """Base of all scorers: reads predictions once, whole or in chunks, and gives `Scores`.

    A scorer of your own names the predictions it takes and scores one chunk; each item is scored alone, so that chunks
    change no number.

    Args:
        predictions: One predictions value, or an iterable of them where a pool is too large for memory. An iterable is
            read once, at the first call of `scores`.

    Examples:
        >>> from scorers import ClassificationPredictions
        >>> class ScorerRareClass(Scorer[ClassificationPredictions]):
        ...     takes = ClassificationPredictions
        ...     def score_chunk(self, predictions):
        ...         return {"rare_class": predictions.probabilities[:, 0]}
        >>> ScorerRareClass(ClassificationPredictions(["a.png"], [[0.75, 0.25]])).scores().column().tolist()
        [0.75]
    """

    takes: ClassVar[type]
    """The type of predictions this scorer takes."""

    default: ClassVar[str | None] = None
    """The column to use where none is asked for."""

    def __init__(self, predictions: P | Iterable[P]) -> None:
        self._predictions = predictions

    @abstractmethod
    def score_chunk(self, predictions: P) -> Mapping[str, npt.ArrayLike]:
        """Score n items: name to `(n,)` values, higher means sooner, no item looked at beside another."""

    def finish(self, scores: Scores) -> None:  # most scorers have nothing to add
        """Called once with all scores, to warn of what a user should know."""

    def scores(self) -> Scores:
        """All scores of all items.

        Raises:
            ValueError: There are no predictions, or they are of another kind, or an item comes twice.
        """
        return self._scores

    @cached_property
    def _scores(self) -> Scores:
        ids: list[str] = []
        parts: list[Mapping[str, npt.NDArray[np.float64]]] = []
        first_n_classes: int | None = None
        for number, chunk in enumerate(self._chunks()):
            if not isinstance(chunk, self.takes):
                raise ValueError(
                    f"chunk {number} of the predictions is {type(chunk).__name__}; "
                    f"{type(self).__name__} takes {self.takes.__name__}"
                )
            part = {name: np.asarray(values, dtype=np.float64) for name, values in self.score_chunk(chunk).items()}
            self._check_part(part, len(chunk), parts[0] if parts else part, number)
            n_classes = getattr(chunk, "n_classes", None)
            if parts and n_classes != first_n_classes:
                raise ValueError(
                    f"chunk {number} has {n_classes} classes, the first chunk {first_n_classes}; give as many in each"
                )
            first_n_classes = n_classes
            ids.extend(chunk.item_ids)
            parts.append(part)
            del chunk  # else two are in memory while the next one is made
        if not parts:
            raise ValueError("there are no predictions: the iterable was empty, or had been read before")
        columns = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
        scores = Scores(tuple(ids), columns, default=self.default)
        self.finish(scores)
        return scores

    @property
    def predictions(self) -> P:
        """The predictions, where they were given whole.

        Raises:
            ValueError: They were given in chunks, which are read once and not kept.
        """
        if not isinstance(self._predictions, self.takes):
            raise ValueError(
                f"{type(self).__name__} was given chunks, which are not kept; give it the predictions as a whole "
                "(EnsemblePredictions.concatenate joins those of a committee)"
            )
        return self._predictions  # type: ignore[return-value]  # takes is P, which Python cannot say

    def __repr__(self) -> str:
        given = repr(self._predictions) if isinstance(self._predictions, self.takes) else "chunks of predictions"
        return f"{type(self).__name__}({given})"

    def _chunks(self) -> Iterable[P]:
        if isinstance(self._predictions, self.takes):
            return (self._predictions,)  # type: ignore[return-value]  # takes is P, which Python cannot say
        if not isinstance(self._predictions, Iterable):
            raise ValueError(
                f"predictions is {type(self._predictions).__name__}; {type(self).__name__} takes {self.takes.__name__} "
                "or an iterable of them"
            )
        chunks = self._predictions
        if iter(chunks) is chunks:  # a generator is read once: a second try must not take its rest for the whole
            self._predictions = ()
        return chunks

    def _check_part(
        self,
        part: Mapping[str, npt.NDArray[np.float64]],
        n_items: int,
        first: Mapping[str, npt.NDArray[np.float64]],
        number: int,
    ) -> None:
        """What a scorer of one's own may get wrong."""
        if part.keys() != first.keys():
            raise ValueError(f"chunk {number} has the scores {', '.join(part)}; the first chunk has {', '.join(first)}")
        for name, values in part.items():
            if values.shape != (n_items,):
                raise ValueError(f"score {name!r} of chunk {number} has shape {values.shape}; expected ({n_items},)")
