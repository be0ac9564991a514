"""What a study says of the images that each way of choosing takes, as the prices of a project are put on."""

from __future__ import annotations

import math
from collections.abc import Sequence

from ..cost import Estimate, Way
from ..figures import Saving
from .records import Measurement, by_run


def ways_of(saving: Saving | None, fewest: float, labels_per_image: Sequence[float] = (1.0, 1.0)) -> tuple[Way, Way]:
    """Without active learning and with it; the whole interval of what is saved is given to the second.

    Args:
        saving: In images; None where it is not known.
        fewest: Images that every run was measured with: where an interval is open downwards, it begins there.
        labels_per_image: Without and with it.

    Examples:
        >>> from al_agent.simulation.figures import Figure
        >>> share = Figure(0.25, None, 0.3)
        >>> saving = Saving(Figure(50.0, None, 60.0), share, 0.8, 5, budget=150.0, budget_against=200.0)
        >>> without, active = ways_of(saving, 20)
        >>> without.images, active.images
        (Estimate(value=200.0, low=None, high=None), Estimate(value=150.0, low=140.0, high=inf))
    """
    without, active = labels_per_image
    if saving is None or saving.budget is None or saving.budget_against is None:
        return Way(None, labels_per_image=without), Way(None, labels_per_image=active)
    n, against, saved = saving.budget, saving.budget_against, saving.count
    if saved.low is None and saved.high is None:
        images = Estimate(n)
    else:
        low = fewest if saved.high is None else against - saved.high
        high = math.inf if saved.low is None else against - saved.low
        images = Estimate(n, min(low, n), max(high, n))
    return Way(against, labels_per_image=without), Way(images, labels_per_image=active)


def labels_in_an_image(rows: Sequence[Measurement], method: str, unit: str) -> float:
    """The mean over all images that the runs of a method had labeled in the end.

    Raises:
        ValueError: No run of the method has such an amount.
    """
    of_method = [run for (name, _), run in by_run(rows).items() if name == method]
    known = [[row for row in run if math.isfinite(row.amounts.get(unit, math.nan))] for run in of_method]
    ends = [run[-1] for run in known if run]
    if not ends:
        raise ValueError(f"no run of {method} counted {unit}")
    return sum(row.amounts[unit] for row in ends) / sum(row.n_labeled for row in ends)


def cost_words(ways: tuple[Way, Way], n_pool: int | None) -> list[str]:
    """The words of the command that puts prices on what is saved; none where that is not known, or has no interval.

    Args:
        ways: Without active learning and with it.
        n_pool: Images that there are; None where that is not known.
    """
    without, active = ways[0].images, ways[1].images
    if without is None or active is None or not active.has_interval:
        return []
    return [
        "al-agent cost",
        f"--images-without {without.value:.0f}",
        f"--images-with {active.value:.0f}",
        f"--images-with-interval {active.lowest:.0f} {active.highest:.0f}",
        *([] if n_pool is None else [f"--pool {n_pool}"]),
        "--price-per-label PRICE",
    ]
