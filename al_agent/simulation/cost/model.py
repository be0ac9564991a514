"""What active learning costs and what it saves: labels, money and time."""

from __future__ import annotations

import math
from dataclasses import KW_ONLY, dataclass
from enum import Enum

from samplers.sampler import checked_count

from . import in_words
from .estimate import Estimate
from .parts import Costs, Way

_ROUNDING = 1e-9
"""Relative error of sums of prices such as 0.1, which must not move a break-even to the next image."""
_MOST = 1e15
"""A break-even beyond so many labels is none."""


class Answer(str, Enum):
    """Whether active learning pays."""

    YES = "yes"
    """The net saving is above 0, over the whole interval where one is known."""
    NO = "no"
    """It is 0 or below, over the whole interval where one is known."""
    CANNOT_BE_SAID = "cannot be said"
    """The interval holds both, or the images needed are not known."""


@dataclass(frozen=True)
class CostModel:
    """Whether active learning pays, compared at the same figure.

    With p the full price of a label, and all savings negative where active learning takes more:

    ```
    label saving = p * (labels without - labels with)
    gross saving = label saving + (compute hours without - with) * price_per_compute_hour
    net saving   = gross saving - fixed cost
    ```

    Intervals come from those of the images needed, at their widest. Where a study measured the difference more sharply than
    either number, give the whole interval to one of the two, and a plain number to the other.

    Args:
        costs: The prices.
        without: What it takes without active learning: images in random order, or all of them.
        active: What it takes with it, to reach the same figure.
        n_pool: Number of images that there are; None where it is not known.

    Raises:
        ValueError: More images are needed than the pool has.

    Examples:
        >>> costs = Costs(price_per_label=0.07, engineer_days=1, price_per_engineer_day=500)
        >>> model = CostModel(costs, without=Way(25_000, labels_per_image=5), active=Way(20_000, labels_per_image=5))
        >>> model.sentence
        'Yes: it would save 5,000 images, worth 1,750, and costs 500: a gain of 1,250; it pays for itself from 1,429 images
        saved on.'
        >>> model.answer.value, round(model.net_saving.value, 2), model.break_even_images
        ('yes', 1250.0, 1429)

    References:
        Generalised from Kili Technology, Active learning using kili-technology, 2020: the notebook
        recipes/active-learning/object_detection.ipynb of github.com/kili-technology/kili-python-sdk at commit 90165b724.
    """

    costs: Costs
    _: KW_ONLY
    without: Way
    active: Way
    n_pool: int | None = None

    def __post_init__(self) -> None:
        if self.n_pool is None:
            return
        object.__setattr__(self, "n_pool", checked_count(self.n_pool, "n_pool"))
        for name, way in (("without", self.without), ("active", self.active)):
            if way.images is not None and way.images.value > self.n_pool:
                raise ValueError(
                    f"n_images of {name} is {way.images.value:,g}, and the pool has {self.n_pool:,}; count distinct images, "
                    "or give None where the pool did not suffice"
                )

    @property
    def images_saved(self) -> Estimate | None:
        """Images that need no label; None where the images needed are not known."""
        return _difference(self.without.images, self.active.images)

    @property
    def labels_saved(self) -> Estimate | None:
        """Labels that are not needed: what is paid for, while images may hold more or fewer of them."""
        return _difference(self.without.n_labels, self.active.n_labels)

    @property
    def label_saving(self) -> Estimate | None:
        """Money for the labels that are not needed."""
        return None if self.labels_saved is None else self.labels_saved * self.costs.full_price_per_label

    @property
    def compute_hours_saved(self) -> float:
        """Compute hours that are not needed."""
        return self.without.compute_hours - self.active.compute_hours

    @property
    def compute_saving(self) -> float:
        """Money for them; 0 where compute has no price."""
        return self.compute_hours_saved * (self.costs.price_per_compute_hour or 0.0)

    @property
    def gross_saving(self) -> Estimate | None:
        """Money for labels and compute that are not needed."""
        return None if self.label_saving is None else self.label_saving + self.compute_saving

    @property
    def net_saving(self) -> Estimate | None:
        """What is left of it after the fixed cost."""
        return None if self.gross_saving is None else self.gross_saving + -self.costs.fixed_cost

    @property
    def answer(self) -> Answer:
        """Whether it pays."""
        net, gross = self.net_saving, self.gross_saving
        if net is None or gross is None:
            return Answer.CANNOT_BE_SAID
        amounts = (gross.lowest, gross.value, gross.highest, self.costs.fixed_cost)
        slack = _ROUNDING * max(abs(amount) for amount in amounts if math.isfinite(amount))
        if net.lowest > slack:
            return Answer.YES
        return Answer.NO if net.highest <= slack else Answer.CANNOT_BE_SAID

    @property
    def break_even_labels(self) -> int | None:
        """The fewest labels whose saving pays for what it costs: `(fixed cost - compute saving) / p`, 0 or more."""
        labels = self._break_even_labels()
        return None if labels is None else _rounded_up(max(labels, 0.0))

    @property
    def break_even_images_exact(self) -> float | None:
        """Images saved at which the net saving is 0, the compute as it is; None where no number is, or none is known.

        With l labels in an image without and k with active learning, n images without, and b labels that have to be saved,
        negative where the compute saved pays for some more: `(b - n (l - k)) / k`, 0 or more.
        """
        labels, images = self._break_even_labels(), self.without.images
        per_image, per_image_without = self.active.labels_per_image, self.without.labels_per_image
        if labels is None or (images is None and per_image != per_image_without):
            return None
        saved_at_once = 0.0 if images is None else images.value * (per_image_without - per_image)
        return max((labels - saved_at_once) / per_image, 0.0)

    @property
    def break_even_images(self) -> int | None:
        """The same in whole images: the fewest that pay for what it costs."""
        exact = self.break_even_images_exact
        return None if exact is None else _rounded_up(exact)

    @property
    def break_even_share_of_pool(self) -> float | None:
        """The same as a share of the pool; above 1 it is out of reach. None where there is none or the pool is not known."""
        number = self.break_even_images
        return None if number is None or self.n_pool is None else number / self.n_pool

    @property
    def break_even_price_per_label(self) -> float | None:
        """Money for a label, review included, at which the net saving is 0; None where no label is saved."""
        if self.labels_saved is None or self.labels_saved.value <= 0:
            return None
        return max(self._uncovered / self.labels_saved.value, 0.0)

    @property
    def why_no_break_even(self) -> str:
        """Why no number of labels saved pays for what it costs; empty where one does."""
        if self._uncovered > _MOST * self.costs.full_price_per_label:
            return "a label costs nothing, so no number of images saved pays for it"
        return ""

    @property
    def relative_compute_hours(self) -> float | None:
        """Compute hours with active learning over those without, less 1; None where there are none without."""
        hours = self.without.compute_hours
        return self.active.compute_hours / hours - 1 if hours else None

    @property
    def relative_seconds(self) -> float | None:
        """The same of compute and annotation together; None where the images or the seconds per label are not known."""
        if self.costs.seconds_per_label is None:
            return None
        without, active = (way.seconds(self.costs.seconds_per_label) for way in (self.without, self.active))
        if without is None or active is None or not without.value:
            return None
        return active.value / without.value - 1

    @property
    def sentence(self) -> str:
        """Yes, no or cannot be said, and why."""
        return in_words.sentence(self)

    @property
    def notes(self) -> tuple[str, ...]:
        """What the answer leaves out or takes for granted."""
        return in_words.notes(self)

    @property
    def _uncovered(self) -> float:
        """Money that the labels have to save."""
        return self.costs.fixed_cost - self.compute_saving

    def _break_even_labels(self) -> float | None:
        if self.why_no_break_even:
            return None
        price = self.costs.full_price_per_label
        return self._uncovered / price if price else -math.inf


def _rounded_up(exact: float) -> int:
    return math.ceil(exact * (1 - _ROUNDING))


def _difference(one: Estimate | None, other: Estimate | None) -> Estimate | None:
    return None if one is None or other is None else one - other
