"""A stopping rule replayed on finished studies: how early or late it stops, and what that costs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from samplers.sampler import check_number

from ..cost.in_words import money, number
from ..figures.curve import Curve, Seed, Vector, span
from ..figures.curves import Curves
from .advice import Decision, next_batch
from .extrapolation import checked_above_0, extrapolate

Rule = Callable[[Curve, float], Decision]
"""Given a run up to a round, and the size of the next batch: whether to label it. Only `STOP` ends the run."""


@dataclass(frozen=True)
class Replayed:
    """Where a rule stopped in one run, and where it should have.

    Args:
        method: Of the run.
        seed: Of the run.
        n_rounds: Batches labeled until the rule stopped.
        has_stopped: Whether it did; False where it went on to the end of the study.
        stopped_at: The budget by then.
        best_at: The budget of the most worth minus cost in hindsight, the first of several.
        regret: Money between the worth minus cost there and at the stop, 0 or more.
        best_net: Worth minus cost at `best_at`, counted from the first budget; 0 or more.
    """

    method: str
    seed: Seed
    n_rounds: int
    has_stopped: bool
    stopped_at: float
    best_at: float
    regret: float
    best_net: float

    @property
    def late(self) -> float:
        """Labels beyond the hindsight optimum; negative where it stopped before."""
        return self.stopped_at - self.best_at

    def is_within(self, share: float) -> bool:
        """Whether it stopped within a share of the labels of the hindsight optimum."""
        return abs(self.late) <= share * self.best_at * (1 + 1e-9)


@dataclass(frozen=True)
class Judgement:
    """How a rule did on the runs of a study.

    Args:
        runs: One for each run that has a number at every budget.
        missing: Method, seed and reason of every other run.
    """

    runs: tuple[Replayed, ...]
    missing: tuple[tuple[str, Seed, str], ...] = ()

    def n_within(self, share: float = 0.1) -> int:
        """Runs that stopped within a share of the labels of the hindsight optimum."""
        return sum(run.is_within(share) for run in self.runs)

    def n_before(self, share: float = 0.5) -> int:
        """Runs that stopped before a share of the labels of the hindsight optimum."""
        return sum(run.stopped_at < share * run.best_at for run in self.runs)

    @property
    def sentence(self) -> str:
        """How many stopped where, and what that cost."""
        if not self.runs:
            return f"None of the {len(self.missing)} runs can be judged."
        late = float(np.median([run.late for run in self.runs]))
        regret = float(np.median([run.regret for run in self.runs]))
        n_not_stopped = sum(not run.has_stopped for run in self.runs)
        text = (
            f"Of {len(self.runs)} runs, {self.n_within()} ended within 10% of the hindsight optimum and {self.n_before()} "
            f"before half of it, {n_not_stopped} were never stopped; in the median {number(abs(late))} labels "
            f"{'early' if late < 0 else 'late'}, for a regret of {money(regret)}"
        )
        left = len(self.missing)
        return f"{text}; {left} {'run' if left == 1 else 'runs'} cannot be judged." if left else f"{text}."


def judge(
    curves: Curves,
    rule: Rule,
    *,
    value_per_point: float,
    cost_per_label: float,
    upper: float = 1.0,
    truth: Mapping[str, Curve] | None = None,
    first_round: int = 0,
) -> Judgement:
    """Replay a rule on every run by itself, as a project sees it, and compare with the best stop in hindsight.

    The best is the most `value_per_point * 100 * (y - y0) / upper - cost_per_label * (n - n0)` over the budgets n of the
    run. A study that ends too early for its prices has its optimum at its end, where no rule can be late.

    Args:
        curves: A finished study.
        rule: Such as `stop_by_worth`; it is asked after every round but the last, until it says `STOP`.
        value_per_point: Money that one point more is worth, a hundredth of `upper`.
        cost_per_label: Money for one more of the budget's unit.
        upper: The most that a value can be.
        truth: Method to the curve whose values count, such as the mean over many seeds, at the budgets of its runs; None
            takes each run's own, whose highest chance outlier then counts as the optimum.
        first_round: The first round, from 0 for the first measurement, after which the rule is asked.

    Raises:
        ValueError: A price is negative or not finite, or `truth` does not hold a method or its budgets.

    Examples:
        >>> n = np.array([10, 20, 30, 40])
        >>> curves = Curves({"A": {0: Curve(n, [0.5, 0.7, 0.75, 0.76])}})
        >>> stop_at_20 = lambda curve, n_more: Decision.STOP if curve.budgets[-1] >= 20 else Decision.GO_ON
        >>> found = judge(curves, stop_at_20, value_per_point=10, cost_per_label=4)
        >>> found.runs[0].stopped_at, found.runs[0].best_at, found.runs[0].late, round(found.runs[0].regret, 6)
        (20.0, 30.0, -10.0, 10.0)
    """
    check_number(value_per_point, "value_per_point")
    check_number(cost_per_label, "cost_per_label")
    checked_above_0(upper, "upper")
    runs: list[Replayed] = []
    missing: list[tuple[str, Seed, str]] = []
    for method, of_method in curves.runs.items():
        for seed, curve in of_method.items():
            values = curve.values if truth is None else _true_values(truth, method, curve)
            if np.isnan(values).any() or np.isnan(curve.values).any():
                missing.append((method, seed, "the run has budgets without a number"))
                continue
            worth = value_per_point * 100 / upper * (values - values[0])
            net = worth - cost_per_label * (curve.budgets - curve.budgets[0])
            best, stop = int(net.argmax()), _stop(curve, rule, first_round)
            end = len(net) - 1 if stop is None else stop
            place = (float(curve.budgets[end]), float(curve.budgets[best]))
            runs.append(Replayed(method, seed, end, stop is not None, *place, float(net[best] - net[end]), float(net[best])))
    return Judgement(tuple(runs), tuple(missing))


def stop_by_worth(
    *,
    value_per_point: float,
    cost_per_label: float,
    upper: float = 1.0,
    confidence: float = 0.8,
    is_bold: bool = False,
    n_resamples: int = 200,
) -> Rule:
    """The rule of `next_batch`: stop when the next batch is worth no more than it costs.

    Args:
        value_per_point: Money that one point more is worth, a hundredth of `upper`.
        cost_per_label: Money for a label.
        upper: The most that a value can be.
        confidence: Of the interval of the gain; the lower, the earlier it stops, and the more often too early.
        is_bold: Stop as soon as the expected gain is worth no more than it costs, whatever its interval holds.
        n_resamples: For the interval.
    """

    def rule(curve: Curve, n_more: float) -> Decision:
        found = extrapolate(curve.budgets, curve.values, upper=upper, confidence=confidence, n_resamples=n_resamples)
        advice = next_batch(found, n_more, value_per_point=value_per_point, cost_per_label=cost_per_label)
        return Decision.STOP if is_bold and advice.is_worth_it is False else advice.decision

    return rule


def _stop(curve: Curve, rule: Rule, first_round: int) -> int | None:
    for end in range(first_round, len(curve.budgets) - 1):
        so_far = Curve(curve.budgets[: end + 1], curve.values[: end + 1])
        if rule(so_far, float(curve.budgets[end + 1] - curve.budgets[end])) is Decision.STOP:
            return end
    return None


def _true_values(truth: Mapping[str, Curve], method: str, curve: Curve) -> Vector:
    if method not in truth:
        raise ValueError(f"truth has no curve of {method!r}; give one for each method")
    try:
        return truth[method].at(curve.budgets)
    except ValueError as error:
        covered = span(float(curve.budgets[0]), float(curve.budgets[-1]))
        raise ValueError(f"truth of {method} does not cover its runs, {covered}: {error}") from error
