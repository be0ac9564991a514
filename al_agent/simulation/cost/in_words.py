"""A cost comparison in words: its one sentence, and what that leaves out."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING

from .estimate import Estimate

if TYPE_CHECKING:
    from .model import CostModel

_MOST_IN_DIGITS = 1e11
_MOST_IN_CENTS = 1e6
_LEAST = 1e-9
"""Money below it is what rounding left of nothing."""


def number(value: float) -> str:
    """A number with separators, and with one decimal where it is no whole number.

    Examples:
        >>> number(27114.333), number(5200.0), number(-0.01)
        ('27,114.3', '5,200', '0')
    """
    if abs(value) >= _MOST_IN_DIGITS:
        return f"{value:.3g}"
    text = f"{value:,.1f}".removesuffix(".0")
    return "0" if text == "-0" else text


def money(amount: float, currency: str = "") -> str:
    """An amount with separators and, where it is neither whole nor large, two decimals; a tiny one by its first two digits.

    Examples:
        >>> money(1750.0, "EUR"), money(-1.324), money(0.0005)
        ('1,750 EUR', '-1.32', '0.0005')
    """
    size = abs(amount)
    if size < _LEAST:
        text = "0"
    elif size < 0.01:
        text = f"{amount:.2g}"
    else:
        text = f"{amount:,.2f}".removesuffix(".00") if size < _MOST_IN_CENTS else number(round(amount))
    return f"{text} {currency}".rstrip()


def price(amount: float, currency: str = "") -> str:
    """An amount that stands for one of many: below 1 by its first three digits.

    Examples:
        >>> price(0.34666), price(12.5)
        ('0.347', '12.50')
    """
    return f"{amount:.3g} {currency}".rstrip() if _LEAST <= amount < 1 else money(amount, currency)


def interval(one: Estimate, in_digits: Callable[[float], str] = number) -> str:
    """The interval of a number, which may be open at one end; empty where there is none, or where it is one point.

    Examples:
        >>> interval(Estimate(5, 3, 8)), interval(Estimate(-5, -float("inf"), -3)), interval(Estimate(5))
        ('3 to 8', '-3 or less', '')
    """
    if one.lowest == one.highest:
        return ""
    if one.lowest == -math.inf:
        return "not known" if one.highest == math.inf else f"{in_digits(one.highest)} or less"
    low = in_digits(one.lowest)
    return f"{low} or more" if one.highest == math.inf else f"{low} to {in_digits(one.highest)}"


def sentence(model: CostModel) -> str:
    """Yes, no or cannot be said, and why."""
    answer = model.answer.value
    parts = [_saved(model) + _cost(model) + _net(model), _break_even(model)]
    return f"{answer.capitalize()}: {'; '.join(parts)}."


def notes(model: CostModel) -> tuple[str, ...]:
    """What the answer leaves out or takes for granted, a sentence each."""
    ways, found = (model.without, model.active), []
    known = [way.images for way in ways if way.images is not None]
    if len(known) == len(ways) and not any(images.has_interval for images in known):
        found.append("The images needed have no interval, so how sure the answer is cannot be said.")
    if model.n_pool is not None and any(images.highest > model.n_pool for images in known):
        found.append("The interval of the images needed goes beyond the pool.")
    if model.without.labels_per_image == model.active.labels_per_image != 1:
        found.append(
            "Labels per image are taken to be the same both ways; a score that is a sum over an image chooses crowded "
            "ones, so count labels."
        )
    if not model.active.compute_hours:
        found.append("No compute is counted; training and scoring each round take some.")
    elif model.costs.price_per_compute_hour is None:
        found.append("Compute has no price, and is left out of the money.")
    return tuple(found)


def _saved(model: CostModel) -> str:
    images, labels, saving = model.images_saved, model.labels_saved, model.label_saving
    if images is None or labels is None or saving is None:
        unknown = [word for word, way in (("without", model.without), ("with", model.active)) if way.images is None]
        return f"how many images it takes {' and '.join(unknown)} active learning is not known"
    text = f"it would {_change(images, 'image')}"
    if model.without.labels_per_image != model.active.labels_per_image:
        is_contrary = images.value * labels.value < 0
        text += f" {'but' if is_contrary else 'and'} {_change(labels, 'label')}"
    worth = money(abs(saving.value), model.costs.currency)
    text += f", which cost {worth}" if labels.value < 0 else f", worth {worth}" if labels.value > 0 else ""
    if model.compute_saving > 0:
        text += f", and {money(model.compute_saving, model.costs.currency)} of compute"
    return text


def _change(saved: Estimate, what: str) -> str:
    """`save 5 images (3 to 8)`, `take 5 images more (3 to 8)`."""
    count = number(abs(saved.value))
    noun = what if count == "1" else f"{what}s"
    text = f"take {count} {noun} more" if saved.value < 0 else f"save {count if saved.value else 'no'} {noun}"
    if saved.lowest < 0 < saved.highest:
        more = "any number" if saved.lowest == -math.inf else number(-saved.lowest)
        fewer = "any number" if saved.highest == math.inf else number(saved.highest)
        return f"{text} (from {more} more to {fewer} fewer)"
    size = interval(saved if saved.value > 0 else saved * -1)
    return f"{text} ({size})" if size else text


def _cost(model: CostModel) -> str:
    currency = model.costs.currency
    costs = [money(model.costs.fixed_cost, currency)] if model.costs.fixed_cost else []
    if model.compute_saving < 0:
        costs.append(f"{money(-model.compute_saving, currency)} more of compute")
    return f", and {'it ' * (model.net_saving is None)}costs {' and '.join(costs) or 'nothing to set up'}"


def _net(model: CostModel) -> str:
    net, currency = model.net_saving, model.costs.currency
    if net is None:
        return ""
    if model.answer.value == "cannot be said":
        return f": anything from {_gain(net.lowest, currency)} to {_gain(net.highest, currency)}"
    size = interval(net if net.value > 0 else net * -1, money)
    return f": {_gain(net.value, currency)}" + (f" ({size})" if size else "")


def _gain(amount: float, currency: str) -> str:
    if abs(amount) < _LEAST:
        return "no gain"
    if math.isinf(amount):
        return f"a {'gain' if amount > 0 else 'loss'} of any size"
    return f"a {'gain' if amount > 0 else 'loss'} of {money(abs(amount), currency)}"


def _break_even(model: CostModel) -> str:
    least = model.break_even_images
    if least is None:
        labels = model.break_even_labels
        return model.why_no_break_even if labels is None else f"it pays for itself from {number(labels)} labels saved on"
    if not least:
        return "it pays for itself without an image saved"
    text = f"it pays for itself from {number(least)} {'image' if least == 1 else 'images'} saved on"
    needed = model.without.images
    if needed is not None and least > needed.value:
        text += f", more than the {number(needed.value)} labeled without it"
    if model.n_pool is not None and least > model.n_pool:
        text += f", and the pool has only {model.n_pool:,}"
    elif model.n_pool is not None and model.answer.value == "no":
        text += f", and the pool has {model.n_pool:,}"
    return text
