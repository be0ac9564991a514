"""The folder of a study: a tidy table of measurements, and the arguments that they were made with."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from scorers.files import written_whole

from .locks import held
from .records import Runs, by_run, check_runs
from .tables import read_table, write_table

TABLE, ARGUMENTS = "study.csv", "study.json"
_LOCK = ".study.lock"
_FORMAT = "al-agent study 1"
_THAT_GROW = ("methods", "seeds")


class StudyFolder:
    """What is kept of a study, whose runs are of one data set, one trainer and one plan of rounds.

    Methods and seeds may be added: the folder keeps the runs of all that it was ever asked for.

    Args:
        path: The folder.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        self._table = self.path / TABLE
        self._arguments = self.path / ARGUMENTS

    def check_path(self) -> None:
        """Raise where a file is in the way of the folder."""
        for place in (self.path, *self.path.parents):
            if place.exists() and not place.is_dir():
                raise NotADirectoryError(f"'{place}' is a file; expected a folder for the study, or a name that is free")

    @contextmanager
    def held(self) -> Iterator[None]:
        """The folder for this process alone; it is made where there is none.

        Raises:
            InUse: Another process runs this study.
            NotADirectoryError: There is a file where the folder, or one above it, is to be.
        """
        self.check_path()
        self.path.mkdir(parents=True, exist_ok=True)
        otherwise = f"another process runs the study in '{self.path}'; wait until it has ended, or name another folder"
        with held(self.path / _LOCK, otherwise):
            yield

    def begin(self, arguments: Mapping[str, Any]) -> Runs:
        """The runs that are there, after a check that they are of this study, to which it may add methods and seeds.

        Raises:
            ValueError: The folder holds another study, or a table that is not ours; the message says what differs. Nothing
                is changed then.
        """
        wanted: dict[str, Any] = json.loads(json.dumps({"format": _FORMAT, **arguments}))
        if not self._arguments.exists():
            if self._table.exists():
                raise ValueError(
                    f"'{self.path}' has a {TABLE} and no {ARGUMENTS} beside it: what is it of? Name another folder; "
                    "StudyResult.read reads the table"
                )
            self._write_arguments(wanted)
            return {}
        found = self.arguments()
        self._check_same(found, wanted)
        merged = {
            **wanted,
            "methods": {**found["methods"], **wanted["methods"]},
            "seeds": list(dict.fromkeys([*found["seeds"], *wanted["seeds"]])),
        }
        runs = self._read()
        self._check(runs, merged)
        if merged != found:
            self._write_arguments(merged)
        return runs

    def write(self, runs: Runs) -> None:
        """Write the table, whole or not at all, method by method."""
        arguments = self.arguments()
        keys = [(method, seed) for method in arguments["methods"] for seed in arguments["seeds"]]
        write_table(self._table, [row for key in keys if key in runs for row in runs[key]])

    def runs(self) -> Runs:
        """The runs that are finished.

        Raises:
            ValueError: There is no study, or its table is not ours.
        """
        self.arguments()
        runs = self._read()  # before the arguments, which may grow meanwhile
        self._check(runs, self.arguments())
        return runs

    def arguments(self) -> dict[str, Any]:
        """The arguments of the study.

        Raises:
            ValueError: There is no study.
        """
        path = self._arguments
        if not path.exists():
            raise ValueError(f"'{self.path}' holds no study: there is no {ARGUMENTS}")
        try:
            found = json.loads(path.read_text(encoding="utf-8"))
        except ValueError as error:
            raise ValueError(f"'{path}' is not of a study: {error}") from error
        if not isinstance(found, dict) or found.get("format") != _FORMAT:
            raise ValueError(f"'{path}' is not of a study; expected an object whose format is {_FORMAT!r}")
        for name, kind in (("methods", dict), ("seeds", list), ("n_rounds", int)):
            if not isinstance(found.get(name), kind):
                raise ValueError(f"'{path}' is not of a study: {name} is {_shown(found.get(name))}")
        return found

    def _check_same(self, found: Mapping[str, Any], wanted: Mapping[str, Any]) -> None:
        pairs = {name: (found.get(name), wanted.get(name)) for name in {**found, **wanted} if name not in _THAT_GROW}
        for method, config in wanted["methods"].items():
            old = found["methods"].get(method, config)
            pairs.update({f"{name} of {method}": (old.get(name), config.get(name)) for name in {**old, **config}})
        differing = [
            "the data are others" if name == "data" else f"{name} was {_shown(old)}, now {_shown(new)}"
            for name, (old, new) in pairs.items()
            if old != new
        ]
        if differing:
            raise ValueError(
                f"'{self.path}' holds a study with other arguments: {'; '.join(differing)}; give the same again, name "
                "another folder, or remove this one"
            )

    def _read(self) -> Runs:
        if not self._table.exists():
            return {}
        try:
            return by_run(read_table(self._table))
        except ValueError as error:
            raise ValueError(f"{error}; mend the table, or remove it, and every run is run again") from error

    def _check(self, runs: Runs, arguments: Mapping[str, Any]) -> None:
        check_runs(f"'{self._table}'", runs, arguments["methods"], arguments["seeds"], arguments["n_rounds"])

    def _write_arguments(self, arguments: Mapping[str, Any]) -> None:
        with written_whole(self._arguments) as file:
            file.write((json.dumps(arguments, indent=1) + "\n").encode())


def _shown(value: object) -> str:
    text = json.dumps(value)
    return text if len(text) <= 200 else f"{text[:197]}..."
