"""What came of each cycle: the rows of `results.csv`, and the lines that are printed of them."""

from __future__ import annotations

import csv
import io
import math
from pathlib import Path

from scorers.files import written_whole

BY_PREDICTION = "ranking_accuracy_predicted_loss"
BY_UNCERTAINTY = "ranking_accuracy_uncertainty"
_FIRST = ("cycle", "n_labeled")
_LAST = (BY_PREDICTION, BY_UNCERTAINTY, "training_s", "scoring_s")


class Results:
    """One row of numbers for each cycle, kept in a CSV file that is written whole at every change.

    A cell is empty while its number is not known: a cycle that was stopped half way, or the loss prediction of a network
    that has none.

    Args:
        path: The file; there may be none yet.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._rows: dict[int, dict[str, float]] = {}
        if path.exists():
            with path.open(newline="", encoding="utf-8") as file:
                for row in csv.DictReader(file):
                    self._rows[int(row["cycle"])] = {name: float(cell) for name, cell in row.items() if cell}

    def __getitem__(self, cycle: int) -> dict[str, float]:
        return dict(self._rows.get(cycle, {}))

    def note(self, cycle: int, **numbers: float) -> None:
        """Add numbers to the row of a cycle."""
        self._rows[cycle] = {**self[cycle], "cycle": cycle, **numbers}
        names = dict.fromkeys(name for row in self._rows.values() for name in row if name not in (*_FIRST, *_LAST))
        text = io.StringIO()
        writer = csv.DictWriter(text, [*_FIRST, *names, *_LAST], lineterminator="\n")
        writer.writeheader()
        for number in sorted(self._rows):
            row = self._rows[number]
            writer.writerow({**row, **{name: int(row[name]) for name in _FIRST if name in row}})
        with written_whole(self._path) as file:
            file.write(text.getvalue().encode("utf-8"))


def header(metric: str) -> str:
    """Two lines above the table; the shares of pairs stand beside 50 %, which is chance."""
    names = f"{metric[:14]:>14}  {'loss pred.':>10}  {'uncertainty':>11}  training  scoring"
    return f"{'':31}pairs ranked rightly by\ncycle  images  {names}"


def line(row: dict[str, float], metric: str) -> str:
    """The row of a cycle in 80 characters."""
    shares = f"{_share(row, BY_PREDICTION):>10}  {_share(row, BY_UNCERTAINTY):>11}"
    times = f"{_seconds(row, 'training_s'):>8}  {_seconds(row, 'scoring_s'):>7}"
    return f"{int(row['cycle']):5}  {int(row['n_labeled']):6,}  {row[metric]:14.4f}  {shares}  {times}"


def _share(row: dict[str, float], name: str) -> str:
    value = row.get(name, math.nan)
    return "-" if math.isnan(value) else f"{value:.1%}".replace("%", " %")


def _seconds(row: dict[str, float], name: str) -> str:
    return f"{row[name]:.1f} s" if name in row else "-"
