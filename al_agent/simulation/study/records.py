"""What a study measures: one row for each model of each run."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Measurement:
    """One row of the table: a model of one run.

    Args:
        method: Name of the method.
        seed: Of the run.
        round: 0 for the start, before any query.
        n_labeled: Labels that the model was trained on; where the run had ended before, that it would have had.
        figure: What it reached on the test set; NaN where the run had failed.
        seconds_training: Of wall time.
        seconds_scoring: To predict on the unlabeled items, where the method needs that.
        seconds_selecting: For the agent's round: listing, picking, the journal, the push.
        error: What failed, in the round where it did and in all after it; empty otherwise. Where the model was measured and
            the query failed, that round still has its figure.
        amounts: What the labels took so far, by unit: the sum of each of the data's amounts; `classes`, the number of
            distinct ones among them, where labels are classes; `duplicates`, the labels in a group that had one already,
            where there are groups. NaN where the run had ended before.
    """

    method: str
    seed: int
    round: int
    n_labeled: int
    figure: float
    seconds_training: float = 0.0
    seconds_scoring: float = 0.0
    seconds_selecting: float = 0.0
    error: str = ""
    amounts: Mapping[str, float] = field(default_factory=dict, hash=False)


COLUMNS = tuple(one.name for one in dataclasses.fields(Measurement) if one.name != "amounts")

Runs = dict[tuple[str, int], tuple[Measurement, ...]]
"""Method and seed to the rows of that run, by round."""


def by_run(rows: Iterable[Measurement]) -> Runs:
    """The rows of each run together."""
    runs: dict[tuple[str, int], list[Measurement]] = {}
    for row in rows:
        runs.setdefault((row.method, row.seed), []).append(row)
    return {key: tuple(sorted(of_run, key=lambda row: row.round)) for key, of_run in runs.items()}


def check_runs(where: str, runs: Runs, methods: Collection[str], seeds: Collection[int], n_rounds: int) -> None:
    """Raise unless all rows are of the study's runs, and each run is there whole."""
    for (method, seed), rows in runs.items():
        if method not in methods or seed not in seeds:
            raise ValueError(f"{where} has a run of {method!r} with seed {seed}, which is not in the study; remove its rows")
        if [row.round for row in rows] != list(range(n_rounds + 1)):
            raise ValueError(
                f"{where}, the run of {method} with seed {seed} has rounds {[row.round for row in rows]}; expected each of "
                f"0 to {n_rounds} once; remove its rows, and it is run again"
            )
