"""A study: which method learns most from its labels, on data whose labels are known and hidden."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import operator
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from samplers.sampler import checked_count
from scorers.checks import set_fields

from ...config import SamplerConfig, SamplingMethod
from ..hidden import HiddenLabels
from .amounts import names_of_amounts
from .folder import StudyFolder
from .one_run import run_one
from .records import COLUMNS, Measurement, Runs
from .result import StudyResult
from .rooms import room
from .trainers import ORACLE, as_trainer, name_of_trainer
from .workers import in_processes

DEFAULT_METHODS = ("RANDOM", "AUTO", "UNCERTAINTY", "CORESET", "CORAL")


@dataclass(frozen=True, eq=False)
class Study:
    """Methods compared by replaying rounds through a local project, with the very agent and push of production.

    Fair by construction: items are distinct, so RANDOM draws without replacement; for a seed all methods begin with the same
    labels and the same random numbers in training; each query has random numbers of its own; no run is dropped. A trainer
    that raises, or whose figure or probabilities are not finite, ends its run, which keeps the reason, and NaN for figures;
    the study goes on.

    Args:
        data: The pool, its truth, and a test set that is not in the pool.
        trainer: A function of features `(k, ...)`, labels `(k, ...)` and a seed that gives a trained model with `score`, and
            for methods that rank `predict_proba` or `scorer` (see `Model`); or an estimator of scikit-learn, of which a
            copy is fitted each time.
        methods: Names of sampling methods, and `ORACLE`, which ranks by the true loss of the current model: a control
            that uncertainty tries to foresee, and no upper bound: what is lost most may be odd, or all alike. Or names of
            your own with the configurations they stand for; their number of items and seed are the study's.
        n_start: Labels to begin with, drawn at random.
        n_per_round: Labels that each round asks for.
        n_rounds: Rounds of each run.
        seeds: Of the runs; 5 or more, or the summary says that they are few.
        trainer_name: What tells the trainer from others when a study is resumed; by default its name and parameters. A
            change in its code is not seen.

    Raises:
        ValueError: Budgets beyond the pool, an unknown method, or one that compares vectors where the data have none.

    Examples:
        >>> from sklearn.linear_model import LogisticRegression
        >>> x = np.arange(40.0)[:, None]
        >>> y = (x[:, 0] >= 20).astype(np.int64)
        >>> data = HiddenLabels(tuple(map(str, range(40))), x, y, x + 0.5, y)
        >>> methods = ["RANDOM", "UNCERTAINTY"]
        >>> study = Study(data, LogisticRegression(), methods, n_start=8, n_per_round=4, n_rounds=2, seeds=[0, 1])
        >>> result = study.run()
        >>> result.curves.run("UNCERTAINTY", 1).budgets.tolist()
        [8.0, 12.0, 16.0]
    """

    data: HiddenLabels
    trainer: Any
    methods: Sequence[str] | Mapping[str, SamplerConfig] = DEFAULT_METHODS
    n_start: int = 20
    n_per_round: int = 20
    n_rounds: int = 10
    seeds: Sequence[int] = (0, 1, 2, 3, 4)
    trainer_name: str | None = None

    def __post_init__(self) -> None:
        as_trainer(self.trainer)
        methods = _configs(self.methods)
        _check_fit(self.data, methods)
        for name in ("n_start", "n_per_round", "n_rounds"):
            value = getattr(self, name)
            set_fields(self, **{name: checked_count(value, name)})
        seeds = _checked_seeds(self.seeds)
        n_items, n_asked = len(self.data.item_ids), self.n_start + self.n_per_round * self.n_rounds
        if n_asked > n_items:
            raise ValueError(
                f"n_start {self.n_start:,} and {self.n_rounds:,} rounds of {self.n_per_round:,} ask for {n_asked:,} labels, "
                f"and the pool has {n_items:,} items; ask for fewer, or run fewer rounds"
            )
        set_fields(self, methods=methods, seeds=seeds)

    @property
    def arguments(self) -> dict[str, Any]:
        """What the result depends on, as JSON takes it; data by their digest."""
        methods = {name: {**config.to_dict(), "n_samples": None, "seed": None} for name, config in self._configs.items()}
        return {
            "data": _digest(self.data),
            "amounts": list(names_of_amounts(self.data)),
            "n_pool": len(self.data.item_ids),
            "n_test": len(self.data.test_labels),
            "trainer": self.trainer_name or name_of_trainer(self.trainer),
            "methods": methods,
            "n_start": self.n_start,
            "n_per_round": self.n_per_round,
            "n_rounds": self.n_rounds,
            "seeds": list(self.seeds),
        }

    def run(
        self,
        folder: str | os.PathLike[str] | None = None,
        *,
        n_workers: int = 1,
        retry_failed: bool = False,
        on_run: Callable[[int], object] = lambda _: None,
    ) -> StudyResult:
        """Run what has not been run yet.

        The projects that are replayed are in memory where the system has room there, or where TMPDIR says. Those that a
        killed process has left there are removed by the next study.

        Args:
            folder: Where `study.csv` is kept, written whole after each run, and the arguments beside it in `study.json`; it
                is made where there is none. A second start with the same arguments runs only what is missing; so does one
                with more seeds or more methods. With fewer, the folder keeps the runs of the others, and the result has
                those asked for. Runs that failed are not missing.
            n_workers: Processes to share the runs; figures do not depend on it. The trainer and the data must be picklable
                if it is more than 1. Matrix products take one thread each.
            retry_failed: Run those again that failed, as after a mended trainer or an installed package: of the methods and
                seeds asked for, from their start.
            on_run: Called with the number of runs that were finished since the last call, for a progress bar.

        Raises:
            ValueError: The folder holds a study with other arguments, or a table that is not ours; the message says what
                differs. Nothing is changed then.
            InUse: Another process runs the study of this folder. Nothing is changed then.
            NotADirectoryError: There is a file where the folder is to be.
            WorkerLost: A process was killed. Finished runs are kept.
        """
        n_workers = checked_count(n_workers, "n_workers")
        home = None if folder is None else StudyFolder(folder)
        every = [(method, seed) for method in self._configs for seed in self.seeds]
        with contextlib.nullcontext() if home is None else home.held():
            runs: Runs = {} if home is None else home.begin(self.arguments)
            if retry_failed:
                runs = {key: rows for key, rows in runs.items() if key not in every or not rows[-1].error}
            missing = [(method, seed) for seed in self.seeds for method in self._configs if (method, seed) not in runs]
            if home is not None:
                on_run(len(every) - len(missing))
            for rows in self._rows_of(missing, n_workers):
                runs[rows[0].method, rows[0].seed] = rows
                if home is not None:
                    home.write(runs)
                on_run(1)
        return StudyResult(tuple(row for key in every for row in runs[key]))

    @property
    def _configs(self) -> Mapping[str, SamplerConfig]:
        assert isinstance(self.methods, Mapping)  # since birth
        return self.methods

    def _rows_of(self, keys: Sequence[tuple[str, int]], n_workers: int) -> Iterator[tuple[Measurement, ...]]:
        if not keys:
            return
        with room() as folder:
            run = functools.partial(self._run_one, folder)
            if n_workers == 1 or len(keys) == 1:
                yield from map(run, keys)
            else:
                yield from in_processes(run, keys, min(n_workers, len(keys)), culprit="the trainer")

    def _run_one(self, folder: Path, key: tuple[str, int]) -> tuple[Measurement, ...]:
        method, seed = key
        return run_one(
            self.data,
            as_trainer(self.trainer),
            method,
            self._configs[method],
            seed,
            n_start=self.n_start,
            n_per_round=self.n_per_round,
            n_rounds=self.n_rounds,
            room=folder,
        )


def _checked_seeds(seeds: Any) -> tuple[int, ...]:
    if not isinstance(seeds, Iterable) or isinstance(seeds, str):
        raise ValueError(f"seeds is {seeds!r}; expected several, such as range(5)")
    found = []
    for seed in seeds:
        if isinstance(seed, bool) or not isinstance(seed, int | np.integer) or seed < 0:
            raise ValueError(f"a seed is {seed!r}; expected whole numbers of 0 or more")
        found.append(operator.index(seed))
    if not found or len(set(found)) != len(found):
        raise ValueError(f"seeds is {found}; expected at least one, each once")
    return tuple(found)


def _configs(methods: Sequence[str] | Mapping[str, SamplerConfig]) -> dict[str, SamplerConfig]:
    if isinstance(methods, str):
        raise ValueError(f"methods is the single {methods!r}; write [{methods!r}]")
    if isinstance(methods, Mapping):
        found = dict(methods)
        for name, config in found.items():
            if not isinstance(config, SamplerConfig):
                raise ValueError(f"the method {name!r} is {type(config).__name__}; expected a SamplerConfig")
            if name == ORACLE and config.method is not SamplingMethod.UNCERTAINTY:
                raise ValueError(f"{ORACLE} is configured as {config.method}; it ranks by the true loss: rename it")
    else:
        found = {}
        names: Sequence[Any] = methods
        for given in names:
            if not isinstance(given, str):
                raise ValueError(f"a method is {given!r}; expected its name, such as 'RANDOM'")
            is_oracle = given.upper() == ORACLE
            config = SamplerConfig(method="UNCERTAINTY" if is_oracle else given)
            name = ORACLE if is_oracle else str(config.method)
            if name in found:
                raise ValueError(f"methods has {name} twice; name each once")
            found[name] = config
    if not found:
        raise ValueError("methods is empty; expected at least one, such as RANDOM")
    return found


def _check_fit(data: HiddenLabels, methods: Mapping[str, SamplerConfig]) -> None:
    if data.embeddings is None and data.features.ndim != 2:
        for name, config in methods.items():
            if config.sampler().needs_vectors:
                raise ValueError(
                    f"{name} compares items by vectors, and the data have none: features has shape {data.features.shape}; "
                    "give HiddenLabels embeddings of shape (n, d)"
                )
    taken = [unit for unit in data.amounts if unit in COLUMNS]
    if taken:
        raise ValueError(f"amounts has the unit {taken[0]!r}, which is a column of every study; choose another name")


def _digest(data: HiddenLabels) -> str:
    sha = hashlib.sha256("\0".join(data.item_ids).encode("utf-8", "surrogatepass"))
    arrays = {name: getattr(data, name) for name in ("features", "labels", "test_features", "test_labels")}
    for name in ("embeddings", "groups"):
        if getattr(data, name) is not None:
            arrays[name] = getattr(data, name)
    for name, array in {**arrays, **{f"amount {unit}": amount for unit, amount in data.amounts.items()}}.items():
        sha.update(f"\0{name} {array.dtype.str}{array.shape}".encode("utf-8", "surrogatepass"))
        sha.update(np.ascontiguousarray(array).view(np.uint8).data)
    return f"sha256:{sha.hexdigest()}"
