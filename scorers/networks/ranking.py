"""The loss of a loss prediction: which of two images has the larger loss?"""

from __future__ import annotations

import math

import torch

from ..options import is_number


class LossPredictionLoss(torch.nn.Module):
    """A hinge on pairs of images of a batch: the image with the larger loss should have the larger prediction, by a margin.

    Image i is paired with image b - 1 - i. With true losses l and predictions h, over the p = floor(b / 2) pairs,

        1 / p * sum of max(0, margin - sign(l_i - l_j) * (h_i - h_j)),

    where pairs of equal losses teach nothing and add 0. Of an odd batch the middle image has no pair; a batch of one has
    none at all, and its loss is 0. Only the order counts, as the scale of losses falls in training. No gradient flows into
    the true losses.

    Args:
        margin: By how much predictions should differ, above 0.

    Raises:
        ValueError: A margin out of range.

    Examples:
        >>> ranking_loss = LossPredictionLoss()
        >>> ranking_loss(torch.tensor([0.5, 0.0, 2.0, 0.0]), torch.tensor([3.0, 1.0, 1.0, 2.0]))  # pairs 0-3 and 1-2
        tensor(0.2500)

    References:
        D. Yoo and I. S. Kweon, 2019, arXiv:1905.03677.
    """

    def __init__(self, margin: float = 1.0) -> None:
        super().__init__()
        if not is_number(margin) or not 0 < margin < math.inf:
            raise ValueError(f"margin is {margin!r}; expected a number above 0")
        self.margin = float(margin)

    def forward(self, predicted: torch.Tensor, losses: torch.Tensor) -> torch.Tensor:
        """The mean over pairs.

        Args:
            predicted: `(b,)` or `(b, 1)` predictions.
            losses: `(b,)` or `(b, 1)` true losses.

        Raises:
            ValueError: Other shapes, no images, or losses or predictions that are NaN or infinite.
        """
        self.check_losses(losses)
        return self.of_checked(predicted, losses)

    def of_checked(self, predicted: torch.Tensor, losses: torch.Tensor) -> torch.Tensor:
        """The same of losses that `check_losses` has seen already: looking at numbers makes a GPU wait."""
        h, target = _column(predicted, "predicted"), _column(losses, "losses").detach().to(predicted.device)
        if len(h) != len(target):
            raise ValueError(
                f"there are {len(h):,} predictions for {len(target):,} losses; expected one for each image, and the losses "
                "of the pass that was predicted"
            )
        _check_finite(h.detach(), "prediction")
        n_pairs = len(h) // 2
        if not n_pairs:
            return 0 * h.sum()
        difference, sign = (h - h.flip(0))[:n_pairs], torch.sign(target - target.flip(0))[:n_pairs]
        return (sign.abs() * torch.clamp(self.margin - sign * difference, min=0)).mean()

    def check_losses(self, losses: torch.Tensor) -> None:
        """Raise unless these are the losses of the images of a batch.

        Raises:
            ValueError: They are no vector, empty, NaN or infinite; the message names the image's place.
        """
        values = _column(losses, "losses").detach()
        if not len(values):
            raise ValueError("losses is empty; expected one for each image of the batch")
        _check_finite(values, "loss")

    def extra_repr(self) -> str:
        """The margin."""
        return f"margin={self.margin}"


def _check_finite(values: torch.Tensor, what: str) -> None:
    if not bool(torch.isfinite(values).all()):
        place = int(torch.isfinite(values).logical_not().nonzero()[0])
        raise ValueError(f"the {what} of image {place} of the batch is {values[place].item()}; expected finite numbers")


def _column(given: object, name: str) -> torch.Tensor:
    """Values `(b,)` of `(b,)` or `(b, 1)`."""
    if not isinstance(given, torch.Tensor):
        raise ValueError(f"{name} is {type(given).__name__}; expected a tensor (b,), one number for each image")
    values = given
    if values.ndim == 0:
        raise ValueError(f"{name} is one number; expected one for each image (b,): compute the loss with reduction='none'")
    if values.ndim > 2 or (values.ndim == 2 and values.shape[1] != 1):
        raise ValueError(
            f"{name} has shape {tuple(values.shape)}; expected one for each image (b,): average over all axes but the first"
        )
    return values.reshape(-1)
