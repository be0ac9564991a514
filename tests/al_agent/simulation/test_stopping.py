"""When to stop: power laws known beforehand, advice at the edge of its price, signals and judgements counted by hand."""

from __future__ import annotations

import math
import re
import subprocess
import sys
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from sklearn.linear_model import LogisticRegression

from al_agent.simulation.digits import load_digits
from al_agent.simulation.figures import Curve, Curves, Figure
from al_agent.simulation.replay import replay
from al_agent.simulation.stopping import (
    Coverage,
    Decision,
    Extrapolation,
    PowerLaw,
    coverage_gain,
    extrapolate,
    has_settled,
    judge,
    next_batch,
    prediction_stability,
    stop_by_worth,
)

Vector = npt.NDArray[np.float64]
N: Vector = np.array([50.0, 100, 150, 200, 300, 400, 600, 800])
EVEN: Vector = np.arange(100.0, 1300.0, 100.0)


def numbers(figure: Figure) -> tuple[float, float, float]:
    assert figure.low is not None
    assert figure.value is not None
    assert figure.high is not None
    return figure.low, figure.value, figure.high


@pytest.mark.parametrize(
    "law", [PowerLaw(0.95, 3.0, 0.6), PowerLaw(0.8, 0.5, 0.1), PowerLaw(1.0, 40.0, 1.5), PowerLaw(0.7, 300.0, 2.0)], ids=str
)
def test_a_noiseless_power_law_is_found_exactly(law: PowerLaw) -> None:
    found = extrapolate(N, law.at(N))
    assert found.law is not None
    np.testing.assert_allclose([found.law.a, found.law.b, found.law.c], [law.a, law.b, law.c], rtol=1e-5)
    np.testing.assert_allclose(numbers(found.at(3200)), law.at([3200] * 3), rtol=1e-6)


def test_the_gain_is_the_difference_of_two_predictions() -> None:
    found = extrapolate(N, PowerLaw(0.9, 2.0, 0.5).at(N))
    assert found.gain(800).value == pytest.approx(2 / math.sqrt(800) - 2 / math.sqrt(1600), rel=1e-6)
    assert found.gain(300, start=100).value == pytest.approx(0.1, rel=1e-6)


def test_percentages_scale_with_their_upper_bound() -> None:
    values = PowerLaw(0.9, 2.0, 0.5).at(N) + 0.01 * np.array([1, -1, 1, -1, 1, -1, 1, -1])
    of_one, of_hundred = extrapolate(N, values), extrapolate(N, 100 * values, upper=100)
    for one, hundred in ((of_one.at(1600), of_hundred.at(1600)), (of_one.gain(100), of_hundred.gain(100))):
        np.testing.assert_allclose(numbers(hundred), 100 * np.array(numbers(one)), rtol=1e-6)


def test_no_prediction_exceeds_the_upper_bound() -> None:
    found = extrapolate(N, 0.1 * np.log(N))
    figure = found.at(1e9)
    assert found.law is not None and found.law.a == 1.0
    assert figure.high is not None and figure.high <= 1.0


def test_the_fit_is_at_least_as_near_as_any_law_on_a_fine_grid() -> None:
    values = PowerLaw(0.9, 2.0, 0.5).at(N) + np.random.default_rng(0).normal(0, 0.02, len(N))
    weights = np.arange(1, len(N) + 1)
    found = extrapolate(N, values).law
    assert found is not None
    best = min(
        float((weights * (values - PowerLaw(a, b, c).at(N)) ** 2).sum())
        for a in np.linspace(0, 1, 41)
        for c in np.linspace(0.05, 2, 40)
        for b in np.linspace(0, 1, 41) * 50**c
    )
    assert float((weights * (values - found.at(N)) ** 2).sum()) <= best


def test_weights_decide_which_points_the_law_is_near_to() -> None:
    values = PowerLaw(0.9, 2.0, 0.5).at(N)
    values[0] -= 0.1
    ignoring = extrapolate(N, values, weights=[1e-9, 1, 1, 1, 1, 1, 1, 1])
    assert ignoring.at(1600).value == pytest.approx(0.85, abs=1e-6)
    assert extrapolate(N, values).at(1600).value != pytest.approx(0.85, abs=1e-3)


def test_a_budget_of_zero_is_left_out() -> None:
    law = PowerLaw(0.9, 2.0, 0.5)
    found = extrapolate([0, *N], [0.1, *law.at(N)])
    assert found.at(1600).value == pytest.approx(0.85, rel=1e-6)


@pytest.mark.parametrize(("n_seeds", "least", "most"), [(1, 46, 50), (2, 45, 50), (5, 44, 50)])
def test_intervals_hold_the_truth_about_as_often_as_they_say(n_seeds: int, least: int, most: int) -> None:
    n_held = {"at": 0.0, "gain": 0.0}
    for study in range(50):
        rng = np.random.default_rng([n_seeds, study])
        a, c = rng.uniform(0.8, 0.95), rng.uniform(0.3, 1.0)
        law = PowerLaw(a, (a - 0.45) * 100**c, c)
        runs = np.minimum(law.at(EVEN) + rng.normal(0, 0.01, (n_seeds, len(EVEN))), 1)
        found = extrapolate(EVEN, runs[0] if n_seeds == 1 else runs, n_resamples=100)
        truth = {"at": law.at([2400]), "gain": law.at([1300]) - law.at([1200])}
        for name, figure in (("at", found.at(2400)), ("gain", found.gain(100))):
            low, _, high = numbers(figure)
            n_held[name] += low <= float(truth[name][0]) <= high
    assert least <= n_held["at"] <= most
    assert least <= n_held["gain"] <= most


def test_more_noise_widens_the_interval_and_the_same_seed_repeats_it() -> None:
    noise = np.random.default_rng(1).normal(0, 1, len(EVEN))
    quiet, loud = (extrapolate(EVEN, PowerLaw(0.9, 5.0, 0.5).at(EVEN) + size * noise).at(2400) for size in (0.001, 0.01))
    assert 3 < np.ptp(numbers(loud)) / np.ptp(numbers(quiet)) < 30
    assert loud == extrapolate(EVEN, PowerLaw(0.9, 5.0, 0.5).at(EVEN) + 0.01 * noise).at(2400)


RISING = PowerLaw(0.9, 2.0, 0.5).at(N)


@pytest.mark.parametrize(
    ("budgets", "values", "why"),
    [
        (N[:3], RISING[:3], "there are 3 measurements, and to continue a curve takes 4 or more"),
        ([0, 10, 20, 30], [0.1, 0.5, 0.6, 0.65], "there are 3 measurements above a budget of 0, and"),
        (N, np.full(8, 0.7), "the curve does not rise from 50 to 800 labels"),
        (N, RISING[::-1], "the curve does not rise from 50 to 800 labels"),
        (N, [0.7, 0.72, 0.69, 0.71, 0.7, 0.72, 0.69, 0.71], "the curve does not rise by more than its scatter"),
        (N, [*RISING[:7], np.nan], "the value at 800 labels is NaN"),
        (N, [RISING, [*RISING[:4], np.nan, *RISING[5:]]], "the value at 300 labels of run 1 is NaN"),
    ],
)
def test_where_a_curve_says_nothing_no_number_is_invented(budgets: Any, values: Any, why: str) -> None:
    found = extrapolate(budgets, values)
    assert found.law is None
    for figure in (found.at(1600), found.gain(100)):
        assert (figure.value, figure.low, figure.high) == (None, None, None)
        assert figure.note.startswith(why)
    advice = next_batch(found, 100, value_per_point=1, cost_per_label=1)
    assert advice.decision is Decision.CANNOT_BE_SAID
    assert advice.is_worth_it is None
    assert advice.sentence.startswith(f"Cannot be said: {why}")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"values": 100 * RISING}, "is 61.71573, above upper, which is 1; give upper=100 for percentages"),
        ({"budgets": N[::-1]}, "expected budgets that increase"),
        ({"values": RISING[:5]}, "values has 5 rows for 8 budgets"),
        ({"values": np.empty((0, 8))}, "values has no rows"),
        ({"weights": [1, 1, 1, 1, 1, 1, 1, 0]}, "expected finite numbers above 0"),
        ({"weights": [1, 1]}, "weights has 2 rows for 8 budgets"),
        ({"upper": 0}, "upper is 0; expected a number above 0"),
        ({"confidence": 95}, "confidence is 95; expected a share"),
        ({"n_resamples": 10}, "n_resamples is 10; expected 100 or more"),
    ],
)
def test_what_cannot_be_a_curve_is_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        extrapolate(**({"budgets": N, "values": RISING} | options))


@pytest.mark.parametrize("budget", [0, -5, math.nan, math.inf])
def test_a_budget_that_is_none_is_refused(budget: float) -> None:
    with pytest.raises(ValueError, match="expected a"):
        extrapolate(N, RISING).at(budget)


@pytest.mark.parametrize(
    ("price", "decision"), [(0.5, Decision.GO_ON), (0.8, Decision.GO_ON), (0.82, Decision.STOP), (2.0, Decision.STOP)]
)
def test_a_batch_is_labeled_exactly_as_long_as_it_is_worth_its_price(price: float, decision: Decision) -> None:
    curve = extrapolate(N, RISING)  # 100 labels more gain 2 / sqrt(800) - 2 / sqrt(900) = 0.404 points, worth 80.88
    advice = next_batch(curve, 100, value_per_point=200, cost_per_label=price)
    assert advice.worth.value == pytest.approx(80.8802, rel=1e-5)
    assert advice.cost == pytest.approx(100 * price)
    assert advice.decision is decision
    assert next_batch(curve, 100, value_per_point=200, cost_of_batch=100 * price).decision is decision
    assert advice.is_worth_it is (decision is Decision.GO_ON)


def noisy() -> Extrapolation:
    return extrapolate(N, RISING + 0.01 * np.array([1, -1, -1, 1, 1, -1, -1, 1]))


def test_an_interval_that_holds_the_price_leaves_it_unsaid() -> None:
    worth = next_batch(noisy(), 100, value_per_point=200, cost_per_label=0).worth
    low, _, high = numbers(worth)
    for cost, decision in (
        (low * 0.99, Decision.GO_ON),
        (low * 1.01, Decision.CANNOT_BE_SAID),
        (high * 0.99, Decision.CANNOT_BE_SAID),
        (high * 1.01, Decision.STOP),
    ):
        assert next_batch(noisy(), 100, value_per_point=200, cost_of_batch=cost).decision is decision


def test_the_sentence_names_gain_worth_cost_and_unit() -> None:
    curve = extrapolate(N, 100 * RISING, upper=100, unit="boxes")
    assert next_batch(curve, 1000, value_per_point=10, cost_per_label=0.07, currency="EUR").sentence == (
        "Stop: 1,000 more boxes are expected to gain 2.36 points, worth 23.57 EUR, and cost 70 EUR."
    )
    sentence = next_batch(noisy(), 100, value_per_point=200, cost_per_label=0.8, currency="EUR").sentence
    pattern = r"Cannot be said: 100 more labels are expected to gain 0\.\d+ points \(0\.\d+ to 0\.\d+\), worth [\d.]+ EUR \("
    assert re.match(pattern, sentence), sentence


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "the batch has no price"),
        ({"cost_per_label": 1, "cost_of_batch": 1}, "both pay for the batch"),
        ({"cost_per_label": -1}, "cost_per_label is -1; expected a finite number of 0 or more"),
        ({"cost_of_batch": math.nan}, "cost_of_batch is nan"),
        ({"cost_per_label": 1, "value_per_point": math.inf}, "value_per_point is inf"),
        ({"cost_per_label": 1, "n_more": 0}, "n_more is 0; expected a number above 0"),
    ],
)
def test_a_batch_without_one_price_is_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        next_batch(extrapolate(N, RISING), **({"n_more": 100, "value_per_point": 1} | options))


def test_kappa_is_that_of_a_table_counted_by_hand() -> None:
    rows = [("a", "a")] * 20 + [("a", "b")] * 5 + [("b", "a")] * 10 + [("b", "b")] * 15
    before = {f"{row}.jpg": first for row, (first, _) in enumerate(rows)}
    now = {f"{row}.jpg": second for row, (_, second) in enumerate(rows)}
    found = prediction_stability(before, now)
    assert (found.n_items, found.share_same) == (50, 0.7)
    assert found.kappa == pytest.approx(0.4)  # (0.7 - 0.5) / (1 - 0.5)


def test_predictions_are_joined_by_id_and_on_shared_items_alone() -> None:
    before = {"a": 0, "b": 1, "c": 0, "gone": 1}
    found = prediction_stability(before, {"new": 0, "c": 0, "b": 1, "a": 0})
    assert (found.n_items, found.share_same, found.kappa) == (3, 1.0, 1.0)


def test_rounds_that_know_one_class_have_no_kappa_and_never_settle() -> None:
    found = prediction_stability({"a": 0, "b": 0}, {"a": 0, "b": 0})
    assert found.share_same == 1.0
    assert math.isnan(found.kappa)
    assert not has_settled([found.kappa] * 3)


def test_rounds_without_a_shared_item_are_refused() -> None:
    with pytest.raises(ValueError, match="none of the 1 items of this round stands among the 2 of the round before"):
        prediction_stability({"a": 0, "b": 1}, {"c": 0})


def test_only_the_last_rounds_count_for_having_settled() -> None:
    assert has_settled([0.1, 0.99, 0.99, 0.99])
    assert not has_settled([0.99, 0.99, 0.98])
    assert not has_settled([0.995, 0.995])
    assert has_settled([0.1, 0.95], least=0.95, n_rounds=1)


def test_coverage_is_the_mean_distance_to_the_nearest_labeled_item() -> None:
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(300, 5))
    labeled, batch = [3, 80], [200, 7, 11]
    found = coverage_gain(vectors, labeled, batch)
    distances = np.linalg.norm(vectors[:, None] - vectors, axis=2)
    expected = (distances[:, labeled].min(axis=1).mean(), distances[:, labeled + batch].min(axis=1).mean())
    np.testing.assert_allclose((found.before, found.now), expected, rtol=1e-12)
    assert found.relative_gain == pytest.approx(1 - expected[1] / expected[0])


def test_a_batch_of_duplicates_covers_nothing_more() -> None:
    assert coverage_gain([[0.0], [0.0], [2.0]], [0], [1]).gain == 0.0
    assert coverage_gain([[0.0], [2.0]], [0], []) == Coverage(1.0, 1.0)
    assert coverage_gain([[1.0], [1.0]], [0], [1]).relative_gain == 0.0


@pytest.mark.parametrize(
    ("vectors", "labeled", "batch", "message"),
    [
        ([[0.0], [1.0]], [], [1], "labeled is empty"),
        ([[0.0], [1.0]], [0], [2], "batch has row 2; expected rows from 0 to 1"),
        ([[0.0], [1.0]], [-1], [1], "labeled has row -1"),
        ([[0.0], [1.0]], [0.5], [1], "labeled holds values of type float64; expected whole numbers"),
        ([[0.0], [np.nan]], [0], [1], "vectors of row 1 is"),
    ],
)
def test_rows_and_vectors_that_cannot_be_are_refused(vectors: Any, labeled: Any, batch: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        coverage_gain(vectors, labeled, batch)


def stop_at(budget: float) -> Any:
    return lambda curve, n_more: Decision.STOP if curve.budgets[-1] >= budget else Decision.CANNOT_BE_SAID


STUDY = Curves({"A": {0: Curve([10, 20, 30, 40, 50], [0.5, 0.7, 0.75, 0.76, 0.765])}})


@pytest.mark.parametrize(
    ("budget", "rounds", "has_stopped", "late", "regret"),
    [(10, 0, True, -20, 170), (20, 1, True, -10, 10), (30, 2, True, 0, 0), (40, 3, True, 10, 30), (999, 4, False, 20, 65)],
)
def test_a_stop_is_compared_with_the_best_in_hindsight(
    budget: float, rounds: int, has_stopped: bool, late: float, regret: float
) -> None:
    (run,) = judge(STUDY, stop_at(budget), value_per_point=10, cost_per_label=4).runs
    assert (run.n_rounds, run.has_stopped, run.best_at, run.late) == (rounds, has_stopped, 30, late)
    assert run.regret == pytest.approx(regret)
    assert run.best_net == pytest.approx(170)  # 25 points for 250, less 20 labels for 80


def test_a_judgement_counts_near_and_early_stops_and_says_so() -> None:
    runs: dict[int | str, Curve] = {seed: Curve([10, 20, 30, 40, 50], [0.5, 0.7, 0.75, 0.76, 0.765]) for seed in range(3)}
    runs[3] = Curve([10, 20, 30, 40, 50], [0.5, 0.7, np.nan, 0.76, 0.765])
    found = judge(Curves({"A": runs}), stop_at(10), value_per_point=10, cost_per_label=4)
    assert (found.n_within(), found.n_before(), found.n_within(0.7)) == (0, 3, 3)
    assert found.missing == (("A", 3, "the run has budgets without a number"),)
    assert found.sentence == (
        "Of 3 runs, 0 ended within 10% of the hindsight optimum and 3 before half of it, 0 were never stopped; in the "
        "median 20 labels early, for a regret of 170; 1 run cannot be judged."
    )


def test_a_rule_sees_the_past_of_a_run_alone_and_is_not_asked_at_its_end() -> None:
    seen: list[tuple[list[float], float]] = []

    def rule(curve: Curve, n_more: float) -> Decision:
        seen.append((curve.budgets.tolist(), n_more))
        return Decision.GO_ON

    judge(Curves({"A": {0: Curve([10, 20, 50], [0.5, 0.6, 0.7])}}), rule, value_per_point=1, cost_per_label=1, first_round=1)
    assert seen == [([10, 20], 30)]


def test_the_truth_decides_what_a_stop_is_worth() -> None:
    truth = {"A": Curve([10, 50], [0.5, 0.9])}  # 10 points every 10 labels: go on to the end
    (run,) = judge(STUDY, stop_at(30), value_per_point=10, cost_per_label=4, truth=truth).runs
    assert (run.best_at, run.late) == (50, -20)
    assert run.regret == pytest.approx(120)
    with pytest.raises(ValueError, match="truth has no curve of 'A'"):
        judge(STUDY, stop_at(30), value_per_point=10, cost_per_label=4, truth={})
    with pytest.raises(ValueError, match="truth of A does not cover its runs, 10 to 50: budget 10 is outside"):
        judge(STUDY, stop_at(30), value_per_point=10, cost_per_label=4, truth={"A": Curve([20, 50], [0.5, 0.9])})


def test_advice_stops_a_noiseless_power_law_at_the_very_optimum() -> None:
    law = PowerLaw(0.9, 5.0, 0.5)
    curves = Curves({"A": {0: Curve(EVEN, law.at(EVEN))}})
    rule = stop_by_worth(value_per_point=10, cost_per_label=0.1)
    (run,) = judge(curves, rule, value_per_point=10, cost_per_label=0.1).runs
    # 5000 / sqrt(n) falls by 10.2 from 800 to 900, and by 8.6 from 900 to 1000, where 100 labels cost 10
    assert (run.stopped_at, run.best_at, run.regret) == (900.0, 900.0, 0.0)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"upper": 0}, "upper is 0"),
        ({"value_per_point": -1}, "value_per_point is -1"),
        ({"cost_per_label": math.nan}, "is nan"),
    ],
)
def test_prices_that_are_none_are_refused_by_the_judge(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        judge(STUDY, stop_at(30), **({"value_per_point": 10, "cost_per_label": 4} | options))


def test_on_replayed_digits_advice_stops_late_rather_than_early_and_loses_little() -> None:
    replayed = replay(
        load_digits(),
        lambda: LogisticRegression(max_iter=300),
        methods=["RANDOM"],
        n_seeds=2,
        n_rounds=15,
        n_initial=20,
        n_per_round=20,
    )
    curves = Curves.from_learning_curves(replayed)
    truth = {"RANDOM": Curve(replayed.n_labeled, replayed.mean()[0])}
    rule = stop_by_worth(value_per_point=100, cost_per_label=2, n_resamples=100)
    found = judge(curves, rule, value_per_point=100, cost_per_label=2, truth=truth)
    assert found.n_before() == 0
    assert all(run.has_stopped and run.regret < 0.1 * run.best_net for run in found.runs)


def test_importing_the_agent_loads_no_scipy() -> None:
    code = "import sys, al_agent; print('scipy' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
