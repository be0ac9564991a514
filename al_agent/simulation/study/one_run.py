"""One run of a study: one method and one seed, through a local project and the very agent that production uses."""

from __future__ import annotations

import math
import tempfile
import time
import warnings
import zlib
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from threadpoolctl import threadpool_limits

from scorers import Scorer, Scores

from ...agent import ActiveLearningAgent
from ...config import SamplerConfig, SamplingMethod
from ...metadata import Metadata
from ...platforms.local import PlatformLocal
from ..hidden import HiddenLabels
from .amounts import amounts_of, names_of_amounts
from .records import Measurement
from .scoring import likeliest_classes, scores_of
from .trainers import Trainer

_MOST_LETTERS_OF_REASON = 300


def start_of(seed: int, n_items: int, n_start: int) -> npt.NDArray[np.int64]:
    """`(n_start,)` distinct rows that every method has labels for to begin with."""
    return np.random.default_rng([seed, 0]).choice(n_items, n_start, replace=False)


def query_seed(method: str, seed: int, number: int) -> int:
    """The seed of a round's query: one of its own for each method, seed and round."""
    return int(np.random.SeedSequence([seed, 1, number, zlib.crc32(method.encode())]).generate_state(1)[0])


def training_seed(seed: int, number: int) -> int:
    """The seed of a training: the same for all methods, which so begin with the same model."""
    return int(np.random.SeedSequence([seed, 2, number]).generate_state(1)[0])


def run_one(
    data: HiddenLabels,
    trainer: Trainer,
    method: str,
    config: SamplerConfig,
    seed: int,
    *,
    n_start: int,
    n_per_round: int,
    n_rounds: int,
    room: Path | None = None,
) -> tuple[Measurement, ...]:
    """The rows of a run, one for the start and one for each round; one that fails has NaN and the reason from there on.

    Args:
        data: The pool, its truth, and the test set.
        trainer: Features, labels and a seed to a model.
        method: Name of the method; ORACLE ranks by the true loss.
        config: How it picks; its number of items and its seed are set here.
        seed: Of the run.
        n_start: Labels to begin with.
        n_per_round: Labels that each round asks for.
        n_rounds: Rounds.
        room: Folder for the project, which is removed again; by default that for temporary files.
    """
    rows: list[Measurement] = []
    with tempfile.TemporaryDirectory(prefix="al-agent-", dir=room) as folder, threadpool_limits(1):
        in_folder = [f"{folder}/{item_id}" for item_id in data.item_ids]  # relative ones may be files of the current folder
        platform = PlatformLocal.create(Path(folder), images=in_folder)
        data.reveal(platform, [data.item_ids[row] for row in start_of(seed, len(data.item_ids), n_start).tolist()])
        run = _Run(data, trainer, platform, method, seed)
        for number in range(n_rounds + 1):
            asked = None
            if number < n_rounds:
                asked = replace(config, n_samples=n_per_round, seed=query_seed(method, seed, number))
            rows.append(run.round(number, asked))
            if rows[-1].error:
                break
    unknown = dict.fromkeys(names_of_amounts(data), math.nan)
    while len(rows) <= n_rounds:
        last = rows[-1]
        n_labeled = last.n_labeled + n_per_round
        rows.append(Measurement(method, seed, last.round + 1, n_labeled, math.nan, error=last.error, amounts=unknown))
    return tuple(rows)


@dataclass(frozen=True, eq=False)
class _Run:
    data: HiddenLabels
    trainer: Trainer
    platform: PlatformLocal
    method: str
    seed: int

    def round(self, number: int, config: SamplerConfig | None) -> Measurement:
        """Train, measure and, if `config` says how, query; what fails in it is the row's reason."""
        data = self.data
        is_labeled = np.zeros(len(data.item_ids), dtype=bool)
        is_labeled[data.rows_of(tuple(self.platform.labels()))] = True
        labeled = np.flatnonzero(is_labeled)
        figure, doing = math.nan, "training"
        seconds = dict.fromkeys(("training", "testing", "scoring", "selecting"), 0.0)
        error, started = "", time.perf_counter()

        def then(what: str) -> None:
            nonlocal doing, started
            seconds[doing] += time.perf_counter() - started
            doing, started = what, time.perf_counter()

        try:
            model = self.trainer(data.features[labeled], data.labels[labeled], training_seed(self.seed, number))
            then("testing")
            reached = float(model.score(data.test_features, data.test_labels))
            if not math.isfinite(reached):
                raise ValueError(f"the figure is {reached}")
            figure = reached
            if config is not None:
                then("scoring")
                waiting = np.flatnonzero(~is_labeled)
                scores = scores_of(data, model, waiting, self.method, config)
                then("selecting")
                agent = self._agent_for(config, scores, waiting)
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore", UserWarning)  # the notes of each round are in its journal
                    batch = agent.query(config, scores)
                data.reveal(self.platform, batch.item_ids)
        except Exception as problem:  # a run that fails is a result, whatever the trainer raised
            said = " ".join(f"round {number}, {doing}: {type(problem).__name__}: {problem}".split())
            error = said[:_MOST_LETTERS_OF_REASON]
        then("testing")
        return Measurement(
            self.method,
            self.seed,
            number,
            len(labeled),
            figure,
            seconds["training"],
            seconds["scoring"],
            seconds["selecting"],
            error,
            amounts_of(data, labeled),
        )

    @cached_property
    def _agent(self) -> ActiveLearningAgent:
        """With the groups as a column, for strategies that read it."""
        data = self.data
        metadata = None if data.groups is None else Metadata(data.item_ids, {"group": data.groups})
        return ActiveLearningAgent(self.platform, embeddings=data.vectors, metadata=metadata)

    def _agent_for(
        self, config: SamplerConfig, scores: Scorer[Any] | Scores | None, waiting: npt.NDArray[np.int64]
    ) -> ActiveLearningAgent:
        """PROTOTYPES reads the classes that the model sees, and so an agent that knows these; all others share one."""
        if config.method is not SamplingMethod.PROTOTYPES:
            return self._agent
        classes = likeliest_classes(scores)
        if classes is None:
            return self._agent
        column = np.zeros((len(self.data.item_ids), *classes.shape[1:]), dtype=classes.dtype)  # labeled items play no part
        column[waiting] = classes
        metadata = Metadata(self.data.item_ids, {config.options.get("classes", "class"): column})
        return ActiveLearningAgent(self.platform, embeddings=self.data.vectors, metadata=metadata)
