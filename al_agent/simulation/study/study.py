"""A study: which method learns most from its labels, on data whose labels are known and hidden."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from samplers.sampler import checked_count
from scorers.checks import as_floats, check_finite, check_length, checked_item_ids, set_fields

from ...config import SamplerConfig, SamplingMethod
from ..hidden import HiddenLabels
from .one_run import run_one
from .records import Measurement, Runs, check_runs, keep_arguments, read_table, write_table
from .result import StudyResult
from .trainers import ORACLE, as_trainer, name_of_trainer
from .workers import in_processes

_NEED_MORE = (SamplingMethod.BALD, SamplingMethod.BATCH_BALD, SamplingMethod.PROTOTYPES)
DEFAULT_METHODS = ("RANDOM", "UNCERTAINTY", "CORESET", "CORAL")


@dataclass(frozen=True, eq=False)
class Study:
    """Methods compared by replaying rounds through a local project, with the very agent and push of production.

    Fair by construction: items are distinct, so RANDOM draws without replacement; for a seed all methods begin with the same
    labels and the same random numbers in training; each query has random numbers of its own; no run is dropped. A trainer
    that raises, or whose figure or probabilities are not finite, ends its run, which keeps the reason, and NaN for figures;
    the study goes on.

    Args:
        data: The pool, its truth, and a test set that is not in the pool.
        trainer: A function of features `(k, d)`, labels `(k,)` and a seed that gives a trained model with `predict_proba`
            and `score`; or an estimator of scikit-learn, of which a copy is fitted each time.
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
        ValueError: Budgets beyond the pool, an unknown method, or data that do not fit together.

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
        _check_data(self.data)
        methods = _configs(self.methods)
        for name in ("n_start", "n_per_round", "n_rounds"):
            value = getattr(self, name)
            set_fields(self, **{name: checked_count(value, name)})
        seeds = tuple(self.seeds)
        for seed in seeds:
            if type(seed) is not int or seed < 0:
                raise ValueError(f"a seed is {seed!r}; expected whole numbers of 0 or more")
        if not seeds or len(set(seeds)) != len(seeds):
            raise ValueError(f"seeds is {list(seeds)}; expected at least one, each once")
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
        on_run: Callable[[int], object] = lambda _: None,
    ) -> StudyResult:
        """Run what has not been run yet.

        The projects that are replayed are in memory where the system has room there, or where TMPDIR says.

        Args:
            folder: Where `study.csv` is kept, written whole after each run, and the arguments beside it in `study.json`; it
                is made where there is none. A second start with the same arguments runs only what is missing. Runs that
                failed are not missing: remove their rows to run them again. One process at a time.
            n_workers: Processes to share the runs; figures do not depend on it. The trainer and the data must be picklable
                if it is more than 1. Matrix products take one thread each.
            on_run: Called with the number of runs that were finished since the last call, for a progress bar.

        Raises:
            ValueError: The folder holds a study with other arguments, or a table that is not ours; the message says what
                differs. Nothing is changed then.
            WorkerLost: A process was killed. Finished runs are kept.
        """
        n_workers = checked_count(n_workers, "n_workers")
        home = None if folder is None else Path(folder)
        runs: Runs = {}
        if home is not None:
            keep_arguments(home, self.arguments)
            runs = read_table(home)
            check_runs(home, runs, tuple(self._configs), self.seeds, self.n_rounds)
            on_run(len(runs))
        every = [(method, seed) for seed in self.seeds for method in self._configs]
        missing = [key for key in every if key not in runs]
        for rows in self._rows_of(missing, n_workers):
            runs[rows[0].method, rows[0].seed] = rows
            if home is not None:
                write_table(home, self._in_order(runs))
            on_run(1)
        return StudyResult(tuple(self._in_order(runs)))

    @property
    def _configs(self) -> Mapping[str, SamplerConfig]:
        assert isinstance(self.methods, Mapping)  # since birth
        return self.methods

    def _rows_of(self, keys: Sequence[tuple[str, int]], n_workers: int) -> Iterator[tuple[Measurement, ...]]:
        if n_workers == 1 or len(keys) < 2:
            return map(self._run_one, keys)
        return in_processes(self._run_one, keys, min(n_workers, len(keys)), culprit="the trainer")

    def _run_one(self, key: tuple[str, int]) -> tuple[Measurement, ...]:
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
        )

    def _in_order(self, runs: Runs) -> list[Measurement]:
        keys = [(method, seed) for method in self._configs for seed in self.seeds]
        return [row for key in keys if key in runs for row in runs[key]]


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
        for given in methods:
            is_oracle = given.upper() == ORACLE
            config = SamplerConfig(method="UNCERTAINTY" if is_oracle else given)
            name = ORACLE if is_oracle else str(config.method)
            if name in found:
                raise ValueError(f"methods has {name} twice; name each once")
            found[name] = config
    if not found:
        raise ValueError("methods is empty; expected at least one, such as RANDOM")
    for name, config in found.items():
        if config.method in _NEED_MORE:
            raise ValueError(
                f"{name} reads more than the class probabilities of one model, all that a study has; leave it out"
            )
    return found


def _check_data(data: HiddenLabels) -> None:
    ids = checked_item_ids(data.item_ids)
    for rows, labels, names, part in (
        (data.features, data.labels, ids, ""),
        (data.test_features, data.test_labels, tuple(f"row {row}" for row in range(len(data.test_labels))), "test_"),
    ):
        features = as_floats(rows, f"{part}features", "(n, d)")
        check_length(len(features), len(names), f"{part}features", "items")
        check_length(len(labels), len(names), f"{part}labels", "items")
        check_finite(features, f"{part}features", lambda row, names=names: repr(names[row]))  # type: ignore[misc]
    if not len(data.test_labels):
        raise ValueError("test_labels is empty; expected items to measure models on")
    if data.test_features.shape[1] != data.features.shape[1]:
        raise ValueError(
            f"test_features has {data.test_features.shape[1]} dimensions, features {data.features.shape[1]}; "
            "expected the same"
        )


def _digest(data: HiddenLabels) -> str:
    sha = hashlib.sha256("\0".join(data.item_ids).encode("utf-8", "surrogatepass"))
    for array in (data.features, data.labels, data.test_features, data.test_labels):
        sha.update(f"\0{array.dtype.str}{array.shape}".encode())
        sha.update(np.ascontiguousarray(array).data)
    return f"sha256:{sha.hexdigest()}"
