"""Whether the next batch of labels is worth what it costs."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from samplers.sampler import check_number

from ..cost.in_words import money, number
from ..figures.few_seeds import Figure
from .extrapolation import Extrapolation


class Decision(str, Enum):
    """What to do after a round."""

    STOP = "stop"
    """The next batch is worth no more than it costs, over the whole interval."""
    GO_ON = "go on"
    """It is worth more than it costs, over the whole interval."""
    CANNOT_BE_SAID = "cannot be said"
    """The interval holds both, or the curve cannot be continued."""


@dataclass(frozen=True)
class Advice:
    """What the next batch is expected to bring, and what it costs.

    Args:
        decision: Whether to label it.
        gain: Expected rise of the value, in its unit, with its interval.
        worth: The same in money.
        cost: Money for the batch.
        sentence: The decision, and why.
    """

    decision: Decision
    gain: Figure
    worth: Figure
    cost: float
    sentence: str

    @property
    def is_worth_it(self) -> bool | None:
        """Whether the expected worth alone, without its interval, is above the cost; None where there is no number."""
        return None if self.worth.value is None else self.worth.value > self.cost


def next_batch(
    curve: Extrapolation,
    n_more: float,
    *,
    value_per_point: float,
    cost_per_label: float | None = None,
    cost_of_batch: float | None = None,
    currency: str = "",
) -> Advice:
    """Compare what the next batch is worth, `value_per_point * 100 * gain / upper`, with `cost_per_label * n_more`.

    A power law gains less from each batch than from the one before, so a batch that does not pay is not followed by one of
    that size and price that does: looking one batch ahead is enough.

    Args:
        curve: The curve so far, from `extrapolate`.
        n_more: Labels in the batch, in the unit of the curve's budgets.
        value_per_point: Money that one point more is worth: a hundredth of the curve's `upper`, such as 0.01 of accuracy.
        cost_per_label: Money for a label, its review included, such as `Costs.full_price_per_label`.
        cost_of_batch: Money for the whole batch, training included, in place of `cost_per_label`.
        currency: Name of the currency, used in texts alone.

    Raises:
        ValueError: A number is negative or not finite, or the batch has no price or two.

    Examples:
        >>> import numpy as np
        >>> from al_agent.simulation.stopping import extrapolate, next_batch
        >>> n = np.array([50, 100, 200, 400, 800])
        >>> curve = extrapolate(n, 0.9 - 2.0 * n**-0.5)
        >>> print(next_batch(curve, 100, value_per_point=200, cost_per_label=0.5, currency="EUR").sentence)
        Go on: 100 more labels are expected to gain 0.404 points, worth 80.88 EUR, and cost 50 EUR.
    """
    for name, amount in (
        ("value_per_point", value_per_point),
        ("cost_per_label", cost_per_label),
        ("cost_of_batch", cost_of_batch),
    ):
        if amount is not None:
            check_number(amount, name)
    if cost_per_label is None and cost_of_batch is None:
        raise ValueError("the batch has no price; give cost_per_label (0 where labels are free) or cost_of_batch")
    if cost_per_label is not None and cost_of_batch is not None:
        raise ValueError("cost_per_label and cost_of_batch both pay for the batch; give one of them")
    gain = curve.gain(n_more)
    cost = float(cost_of_batch) if cost_of_batch is not None else float(cost_per_label or 0.0) * n_more
    points = _times(gain, 100 / curve.upper)
    price = float(value_per_point)
    worth = _times(points, price)
    decision = _decision(worth, cost)
    if points.value is None or points.low is None or points.high is None:
        why = f"{gain.note}; the batch costs {money(cost, currency)}"
    else:
        low, value, high = points.low, points.value, points.high
        gained = _with_interval(f"{value:.3g} points", f"{low:.3g}", f"{high:.3g}")
        paid = _with_interval(money(value * price, currency), money(low * price), money(high * price))
        batch = f"{number(n_more)} more {curve.unit}"
        why = f"{batch} are expected to gain {gained}, worth {paid}, and cost {money(cost, currency)}"
    return Advice(decision, gain, worth, cost, f"{decision.value.capitalize()}: {why}.")


def _decision(worth: Figure, cost: float) -> Decision:
    if worth.value is None:
        return Decision.CANNOT_BE_SAID
    if worth.low is not None and worth.low > cost:
        return Decision.GO_ON
    return Decision.STOP if worth.high is not None and worth.high <= cost else Decision.CANNOT_BE_SAID


def _times(figure: Figure, factor: float) -> Figure:
    value, low, high = (None if one is None else one * factor for one in (figure.value, figure.low, figure.high))
    return Figure(value, low, high, figure.note)


def _with_interval(value: str, low: str, high: str) -> str:
    return value if low == high else f"{value} ({low} to {high})"
