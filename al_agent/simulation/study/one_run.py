"""One run of a study: one method and one seed, through a local project and the very agent that production uses."""

from __future__ import annotations

import math
import os
import shutil
import tempfile
import time
import warnings
import zlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
from threadpoolctl import threadpool_limits

from scorers import ClassificationPredictions, ScorerClassification, Scores

from ...agent import ActiveLearningAgent
from ...config import SamplerConfig
from ...embedding import Embeddings
from ...platforms.local import PlatformLocal
from ..hidden import HiddenLabels
from .records import Measurement
from .trainers import ORACLE, Model, Trainer, true_loss

_MOST_LETTERS_OF_REASON = 300
_ROOM_BYTES = 1 << 30  # a project of a million items takes a fifth of it


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
    """
    rows: list[Measurement] = []
    with tempfile.TemporaryDirectory(prefix="al-agent-", dir=_folder_in_memory()) as folder, threadpool_limits(1):
        platform = PlatformLocal.create(Path(folder), images=data.item_ids)
        agent = ActiveLearningAgent(platform, embeddings=Embeddings(data.item_ids, data.features))
        data.reveal(platform, [data.item_ids[row] for row in start_of(seed, len(data.item_ids), n_start).tolist()])
        for number in range(n_rounds + 1):
            asked = None
            if number < n_rounds:
                asked = replace(config, n_samples=n_per_round, seed=query_seed(method, seed, number))
            rows.append(_round(data, trainer, platform, agent, method, seed, number, asked))
            if rows[-1].error:
                break
    while len(rows) <= n_rounds:
        last = rows[-1]
        n_labeled = last.n_labeled + n_per_round
        rows.append(Measurement(method, seed, last.round + 1, n_labeled, math.nan, error=last.error))
    return tuple(rows)


def _folder_in_memory() -> str | None:
    """Where files are no files of a disk, so that transactions wait for none; None without room."""
    memory = "/dev/shm"  # TemporaryDirectory makes a folder of its own in it
    if "TMPDIR" in os.environ or not os.access(memory, os.W_OK):
        return None
    return memory if shutil.disk_usage(memory).free > _ROOM_BYTES else None


def _round(
    data: HiddenLabels,
    trainer: Trainer,
    platform: PlatformLocal,
    agent: ActiveLearningAgent,
    method: str,
    seed: int,
    number: int,
    config: SamplerConfig | None,
) -> Measurement:
    """Train, measure and, if `config` says how, query; what fails in it is the row's reason."""
    labels = platform.labels()
    figure, doing = math.nan, "training"
    seconds = dict.fromkeys(("training", "testing", "scoring", "selecting"), 0.0)
    error, started = "", time.perf_counter()

    def then(what: str) -> None:
        nonlocal doing, started
        seconds[doing] += time.perf_counter() - started
        doing, started = what, time.perf_counter()

    try:
        features, truth = data.features_of(tuple(labels)), np.array(list(labels.values()), dtype=np.int64)
        model = trainer(features, truth, training_seed(seed, number))
        then("testing")
        reached = float(model.score(data.test_features, data.test_labels))
        if not math.isfinite(reached):
            raise ValueError(f"the figure is {reached}")
        figure = reached
        if config is not None:
            then("scoring")
            open_items = [item_id for item_id in data.item_ids if item_id not in labels]
            scores = _scores(data, model, open_items, method, config)
            then("selecting")
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", UserWarning)  # the notes of each round are in its journal
                batch = agent.query(config, scores)
            data.reveal(platform, batch.item_ids)
    except Exception as problem:  # a run that fails is a result, whatever the trainer raised
        said = " ".join(f"round {number}, {doing}: {type(problem).__name__}: {problem}".split())
        error = said[:_MOST_LETTERS_OF_REASON]
    then("testing")
    return Measurement(
        method, seed, number, len(labels), figure, seconds["training"], seconds["scoring"], seconds["selecting"], error
    )


def _scores(
    data: HiddenLabels, model: Model, item_ids: Sequence[str], method: str, config: SamplerConfig
) -> Scores | ScorerClassification | None:
    sampler = config.sampler()
    if not (sampler.needs_scores or sampler.needs_probabilities):
        return None
    probabilities = np.asarray(model.predict_proba(data.features_of(item_ids)))
    scorer = ScorerClassification(ClassificationPredictions(item_ids, probabilities))
    if method == ORACLE:
        label_of = dict(zip(data.item_ids, data.labels.tolist()))
        truth = np.array([label_of[item_id] for item_id in item_ids], dtype=np.int64)
        return Scores(item_ids, {"true_loss": true_loss(model, probabilities, truth)})
    return scorer
