"""What a cost comparison is told: prices, and what a way of choosing images takes."""

from __future__ import annotations

import math
from dataclasses import KW_ONLY, dataclass, fields

from samplers.sampler import check_number, checked_count

from .estimate import Estimate

SECONDS_PER_HOUR = 3600
_MOST = 1e15
"""Beyond it no number of images, hours or money makes sense, and floats no longer count one by one."""


@dataclass(frozen=True, kw_only=True)
class Costs:
    """What things cost in a project; all money is in one currency.

    A label costs `price_per_label + review_share * price_per_review`; where time is money, `price_per_label` is
    `seconds_per_label / 3600 * price_per_annotation_hour`. Fixed is `engineer_days * price_per_engineer_day +
    development_compute_cost`.

    Args:
        price_per_label: Money for one label; 0 where labels are free. This or `price_per_annotation_hour` must be given.
        label_kind: What one label is, such as `box`, `image`, `pixel mask` or `keypoint set`; used in texts alone.
        review_share: Share of the labels that are reviewed, in `[0, 1]`.
        price_per_review: Money for the review of one label.
        seconds_per_label: Seconds that an annotator takes for one label; None where they are not counted.
        price_per_annotation_hour: Money for an hour of annotation, in place of `price_per_label`.
        engineer_days: Days of work until active learning runs.
        price_per_engineer_day: Money for a day of it.
        development_compute_cost: Money for the compute that this work takes.
        price_per_compute_hour: Money for an hour of training or scoring; None leaves compute out of the money.
        currency: Name of the currency, used in texts alone.

    Raises:
        ValueError: A number is negative or not finite, a label has no price or two, or a quantity has no price.

    Examples:
        >>> costs = Costs(seconds_per_label=9, price_per_annotation_hour=20, engineer_days=2, price_per_engineer_day=500)
        >>> costs.full_price_per_label, costs.fixed_cost
        (0.05, 1000.0)
    """

    price_per_label: float | None = None
    label_kind: str = "label"
    review_share: float = 0.0
    price_per_review: float | None = None
    seconds_per_label: float | None = None
    price_per_annotation_hour: float | None = None
    engineer_days: float = 0.0
    price_per_engineer_day: float | None = None
    development_compute_cost: float = 0.0
    price_per_compute_hour: float | None = None
    currency: str = ""

    def __post_init__(self) -> None:
        for one in fields(self):
            value = getattr(self, one.name)
            if one.name in ("label_kind", "currency"):
                if not isinstance(value, str) or not value.isprintable() or value != value.strip():
                    raise ValueError(f"{one.name} is {value!r}; expected a printable text without spaces around it")
            elif value is not None or one.default is not None:
                object.__setattr__(self, one.name, _checked_number(value, one.name))
        if not self.label_kind:
            raise ValueError("label_kind is empty; expected the name of what is labeled, such as 'box'")
        if self.review_share > 1:
            raise ValueError(f"review_share is {self.review_share:g}; expected a share from 0 to 1")
        if self.price_per_label is None and self.price_per_annotation_hour is None:
            raise ValueError(
                "a label has no price; give price_per_label (0 where labels are free), or price_per_annotation_hour with "
                "seconds_per_label"
            )
        if self.price_per_label is not None and self.price_per_annotation_hour is not None:
            raise ValueError("price_per_label and price_per_annotation_hour both pay for a label; give one of them")
        for quantity, other in _NEEDED.items():
            if getattr(self, quantity) and getattr(self, other) is None:
                raise ValueError(f"{quantity} is {getattr(self, quantity):g} and {other} is not given; give both or neither")

    @property
    def full_price_per_label(self) -> float:
        """Money for a label with its review."""
        price = self.price_per_label
        if price is None:
            price = (self.seconds_per_label or 0.0) / SECONDS_PER_HOUR * (self.price_per_annotation_hour or 0.0)
        return price + self.review_share * (self.price_per_review or 0.0)

    @property
    def fixed_cost(self) -> float:
        """Money until active learning runs, whatever it saves."""
        return self.engineer_days * (self.price_per_engineer_day or 0.0) + self.development_compute_cost


_NEEDED = {
    "review_share": "price_per_review",
    "price_per_annotation_hour": "seconds_per_label",
    "engineer_days": "price_per_engineer_day",
}


@dataclass(frozen=True)
class Way:
    """What one way of choosing images takes to reach a figure, such as a mAP of 0.50.

    Labels are `n_images * labels_per_image`, compute hours are `n_rounds * (training + scoring hours per round)`.

    Args:
        n_images: Distinct images labeled by then, the first ones included: a number, or an `Estimate` with its interval;
            None where it is not known, as before a study, or where the figure was never reached.
        labels_per_image: Labels in an image, on average over these images.
        n_rounds: Trainings by then, the first one included.
        training_hours_per_round: Compute hours of a training.
        scoring_hours_per_round: Compute hours of a scoring of the pool and of the choice.

    Raises:
        ValueError: A number is negative or not finite, or there is no label in an image, or no round.

    Examples:
        >>> way = Way(Estimate(2500, 2300, 2800), labels_per_image=2, n_rounds=11, training_hours_per_round=0.5)
        >>> way.n_labels, way.compute_hours
        (Estimate(value=5000.0, low=4600.0, high=5600.0), 5.5)
    """

    n_images: Estimate | float | None
    _: KW_ONLY
    labels_per_image: float = 1.0
    n_rounds: int = 1
    training_hours_per_round: float = 0.0
    scoring_hours_per_round: float = 0.0

    def __post_init__(self) -> None:
        if isinstance(self.n_images, Estimate):
            for bound in (self.n_images.lowest, self.n_images.value, self.n_images.highest):
                if bound != math.inf:  # the upper end may be open
                    _checked_number(bound, "n_images")
        elif self.n_images is not None:
            object.__setattr__(self, "n_images", Estimate(_checked_number(self.n_images, "n_images")))
        for name in ("labels_per_image", "training_hours_per_round", "scoring_hours_per_round"):
            object.__setattr__(self, name, _checked_number(getattr(self, name), name))
        if not self.labels_per_image:
            raise ValueError("labels_per_image is 0; expected a number above 0")
        object.__setattr__(self, "n_rounds", checked_count(self.n_rounds, "n_rounds"))

    @property
    def images(self) -> Estimate | None:
        """`n_images` as an estimate."""
        return self.n_images if isinstance(self.n_images, Estimate) else None

    @property
    def n_labels(self) -> Estimate | None:
        """Labels in these images."""
        return None if self.images is None else self.images * self.labels_per_image

    @property
    def compute_hours(self) -> float:
        """Compute hours of all rounds."""
        return self.n_rounds * (self.training_hours_per_round + self.scoring_hours_per_round)

    def seconds(self, seconds_per_label: float) -> Estimate | None:
        """Seconds of compute and of annotation: `3600 * compute_hours + n_labels * seconds_per_label`."""
        labels = self.n_labels
        return None if labels is None else labels * seconds_per_label + SECONDS_PER_HOUR * self.compute_hours


def _checked_number(value: object, name: str) -> float:
    check_number(value, name)
    number = float(value)  # type: ignore[arg-type]  # check_number has seen that it is one
    if number > _MOST:
        raise ValueError(f"{name} is {number:g}; expected {_MOST:g} at most")
    return number
