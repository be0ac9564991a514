"""Learning loss: a head on a user's network learns to predict the loss of each image, and the prediction is a score."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import torch

from .checks import check_finite, check_length, checked_item_ids, set_fields
from .networks.attached import LearningLoss
from .networks.batches import ReadBatch, outputs_of
from .networks.ranking import LossPredictionLoss
from .scorer import Scorer

__all__ = ["LearningLoss", "LossPredictionLoss", "ScorerLearningLoss", "predicted_losses"]


@dataclass(frozen=True, eq=False, init=False)
class PredictedLosses:
    """Predicted losses `(n,)` of n items, finite."""

    item_ids: tuple[str, ...]
    losses: npt.NDArray[np.float64]

    def __init__(self, item_ids: Iterable[str], losses: npt.NDArray[np.floating[Any]]) -> None:
        ids = checked_item_ids(item_ids)
        check_length(len(losses), len(ids), "predicted losses", "item ids")
        check_finite(losses, "the predicted loss", lambda row: repr(ids[row]))
        set_fields(self, item_ids=ids, losses=losses.astype(np.float64))

    def __len__(self) -> int:
        return len(self.item_ids)


class ScorerLearningLoss(Scorer[PredictedLosses]):
    """The loss that the network is predicted to have on each image: highest first is what it would learn most from.

    The loader is read once, when scores are asked for, and holds no more than a batch at a time. The network and the head
    run in evaluation mode without gradients, on the network's device; modes are put back, and a network in training mode is
    warned of. Train first: an untrained head gives random scores.

    The paper draws a random subset of the pool before it takes the highest, as these are often alike:
    `SamplerConfig(n, method="UNCERTAINTY", options={"candidate_factor": 10})`.

    Args:
        learning_loss: The head, attached to the trained network.
        loader: Batches `(item_ids, inputs, ...)`, so that ids travel with the images; or dictionaries with `item_ids`, whose
            other entries go to the network by name.
        item_ids: The ids in the order of a loader that gives none and does not shuffle.
        read: Gives item ids and inputs of batches of another form.

    Raises:
        ValueError: At `scores`: a batch without ids, an item that comes twice, a prediction that is not finite.

    Examples:
        >>> network = torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.ReLU(), torch.nn.Linear(3, 2)).eval()
        >>> loader = [(["a.png", "b.png"], torch.zeros(2, 2)), (["c.png"], torch.ones(1, 2))]
        >>> learning_loss = LearningLoss(network, layers=["1"])
        >>> torch.nn.init.ones_(learning_loss.output.weight)[0, :2].tolist()  # stands for training
        [1.0, 1.0]
        >>> scores = ScorerLearningLoss(learning_loss, loader).scores()
        >>> scores.item_ids, scores.names
        (('a.png', 'b.png', 'c.png'), ('predicted_loss',))

    References:
        D. Yoo and I. S. Kweon, 2019, arXiv:1905.03677.
    """

    takes = PredictedLosses
    default: ClassVar[str | None] = "predicted_loss"

    def __init__(
        self,
        learning_loss: LearningLoss,
        loader: Iterable[Any],
        *,
        item_ids: Iterable[str] | None = None,
        read: ReadBatch | None = None,
    ) -> None:
        given: object = learning_loss
        if not isinstance(given, LearningLoss):
            raise ValueError(f"learning_loss is {type(given).__name__}; expected LearningLoss(network, layers=[...])")
        super().__init__(predicted_losses(learning_loss, loader, item_ids=item_ids, read=read))

    def score_chunk(self, predictions: PredictedLosses) -> Mapping[str, npt.ArrayLike]:
        """The predicted losses as they are."""
        return {"predicted_loss": predictions.losses}


def predicted_losses(
    learning_loss: LearningLoss,
    loader: Iterable[Any],
    *,
    item_ids: Iterable[str] | None = None,
    read: ReadBatch | None = None,
) -> Iterator[PredictedLosses]:
    """The predicted losses of a loader's images, batch by batch; the arguments are those of `ScorerLearningLoss`."""
    if not learning_loss.is_trained:
        warnings.warn(
            "the head of the learning loss has the weights that it was made with, so its scores are random; give "
            "learning_loss.parameters() to the optimizer, and train",
            stacklevel=2,
        )
    for batch, _ in outputs_of(learning_loss.network, loader, item_ids=item_ids, read=read):
        with torch.no_grad():
            losses = learning_loss().cpu().double().numpy()
        if len(losses) != len(batch.item_ids):
            raise ValueError(
                f"the layers gave {len(losses):,} rows for {len(batch.item_ids):,} images, the first of them "
                f"{batch.item_ids[0]!r}; tap layers that give one row for each image"
            )
        yield PredictedLosses(batch.item_ids, losses)
