"""What a study keeps in its folder: a tidy table of measurements, and the arguments that they were made with."""

from __future__ import annotations

import csv
import dataclasses
import io
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scorers.files import written_whole

TABLE, ARGUMENTS = "study.csv", "study.json"
_FORMAT = "al-agent study 1"


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


COLUMNS = tuple(one.name for one in dataclasses.fields(Measurement))

Runs = dict[tuple[str, int], tuple[Measurement, ...]]
"""Method and seed to the rows of that run, by round."""


def write_table(folder: Path, rows: Iterable[Measurement]) -> None:
    """Write the table, whole or not at all."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows(dataclasses.astuple(row) for row in rows)
    with written_whole(folder / TABLE) as file:
        file.write(text.getvalue().encode("utf-8", "replace"))


def read_table(folder: Path) -> Runs:
    """The rows of the table by run; none where there is no table.

    Raises:
        ValueError: It is no table of a study. The message names the line.
    """
    path = folder / TABLE
    if not path.exists():
        return {}
    runs: dict[tuple[str, int], list[Measurement]] = {}
    with path.open(encoding="utf-8", newline="") as file:
        reader = csv.reader(file, strict=True)
        try:
            header = tuple(next(reader, ()))
            if header != COLUMNS:
                found = ",".join(header)[:80]
                raise ValueError(f"its columns are {found or 'none'}; expected {','.join(COLUMNS)}")
            for cells in reader:
                row = _to_row(cells)
                runs.setdefault((row.method, row.seed), []).append(row)
        except (ValueError, csv.Error) as error:  # bytes that are no text are a ValueError
            raise ValueError(f"'{path}', line {reader.line_num} is not of a study: {error}") from error
    return {key: tuple(sorted(rows, key=lambda row: row.round)) for key, rows in runs.items()}


def _to_row(cells: Sequence[str]) -> Measurement:
    if len(cells) != len(COLUMNS):
        raise ValueError(f"it has {len(cells)} cells; expected {len(COLUMNS)}")
    seed, number, n_labeled = map(int, cells[1:4])
    figure, training, scoring, selecting = map(float, cells[4:8])
    return Measurement(cells[0], seed, number, n_labeled, figure, training, scoring, selecting, cells[8])


def check_runs(folder: Path, runs: Runs, methods: Sequence[str], seeds: Sequence[int], n_rounds: int) -> None:
    """Raise unless all rows are of the study's runs, and each run is there whole."""
    where = f"'{folder / TABLE}'"
    for (method, seed), rows in runs.items():
        if method not in methods or seed not in seeds:
            raise ValueError(f"{where} has a run of {method!r} with seed {seed}, which is not in the study; remove its rows")
        if [row.round for row in rows] != list(range(n_rounds + 1)):
            raise ValueError(
                f"{where}, the run of {method} with seed {seed} has rounds {[row.round for row in rows]}; expected each of "
                f"0 to {n_rounds} once; remove its rows, and it is run again"
            )


def keep_arguments(folder: Path, arguments: Mapping[str, Any]) -> None:
    """Write the arguments into a new folder, or compare with those that are there.

    Raises:
        ValueError: The folder holds another study; the message says what differs.
    """
    folder.mkdir(parents=True, exist_ok=True)
    wanted: dict[str, Any] = json.loads(json.dumps({"format": _FORMAT, **arguments}))
    if not (folder / ARGUMENTS).exists():
        if (folder / TABLE).exists():
            raise ValueError(f"'{folder}' has a {TABLE} and no {ARGUMENTS} beside it: what is it of? Name another folder")
        with written_whole(folder / ARGUMENTS) as file:
            file.write((json.dumps(wanted, indent=1) + "\n").encode())
        return
    found = read_arguments(folder)
    differing = [name for name in {**found, **wanted} if found.get(name) != wanted.get(name)]
    if differing:
        said = "; ".join(f"{name} was {_shown(found.get(name))}, now {_shown(wanted.get(name))}" for name in differing)
        raise ValueError(f"'{folder}' holds a study with other arguments: {said}; name another folder, or remove this one")


def read_arguments(folder: Path) -> dict[str, Any]:
    """The arguments of the study in a folder.

    Raises:
        ValueError: There is no study.
    """
    path = folder / ARGUMENTS
    if not path.exists():
        raise ValueError(f"'{folder}' holds no study: there is no {ARGUMENTS}")
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"'{path}' is not of a study: {error}") from error
    if not isinstance(found, dict) or found.get("format") != _FORMAT:
        raise ValueError(f"'{path}' is not of a study; expected an object whose format is {_FORMAT!r}")
    return found


def _shown(value: object) -> str:
    text = json.dumps(value)
    return text if len(text) <= 200 else f"{text[:197]}..."
