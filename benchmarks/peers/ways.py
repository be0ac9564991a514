"""Every way to pick that is measured: ours, loops by hand, and peers in environments of their own.

A way is prepared (imports, compilation) before the clock starts; what it returns then picks `k` rows. Row 0 is labeled, so
that greedy k-center means the same picks for all. Nothing is imported before it is prepared: a process has the packages of
one way only.
"""

from __future__ import annotations

import functools
import importlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from samplers import Sampler

Vectors = npt.NDArray[np.float32]
Scores = npt.NDArray[np.float64]
Work = Callable[[Vectors, Scores, int], Iterable[int]]
"""From `(n, d)` vectors, `(n,)` scores and k to k rows other than row 0, in the order they were picked."""

KCENTER = "k-center"
WEIGHTED = "k-center by score"
SUMS = "sums of spread and score"
FACILITY = "facility location"
MEDOIDS = "k-means"
TYPICAL = "most typical of clusters"
HERDING = "kernel herding"


@dataclass(frozen=True)
class Way:
    """One way to pick.

    Args:
        what: Its name in tables.
        rule: What is picked; ways with one rule should pick the same rows in the same order.
        prepare: Imports what is needed and returns the work.
        environment: The file in `requirements/` that lists its packages; empty where ours will do.
        package: The package whose version is told, as the requirements spell it.
    """

    what: str
    rule: str
    prepare: Callable[[], Work]
    environment: str = ""
    package: str = ""


# Ours. Each variant is one function here and one line in _LISTED; the first of a rule is what the others are compared with.
@functools.cache
def ids_of(n: int) -> tuple[str, ...]:
    return tuple(map(str, range(n)))  # users have them: made in the first run, not in the median one


def our_work(sampler: Sampler) -> Work:
    from samplers import Pool  # noqa: PLC0415

    def work(vectors: Vectors, scores: Scores, k: int) -> Iterable[int]:
        is_labeled = np.zeros(len(vectors), dtype=bool)
        is_labeled[0] = True
        pool = Pool(ids_of(len(vectors)), is_labeled, vectors=vectors, scores=scores)
        return map(int, sampler.select(pool, k).item_ids)

    return work


def coreset() -> Work:
    from samplers import LocalEngine, SamplerCoreset  # noqa: PLC0415

    return our_work(SamplerCoreset(engine=LocalEngine("numba", n_threads=1)))


def coreset_by_numpy() -> Work:
    from samplers import LocalEngine, SamplerCoreset  # noqa: PLC0415

    return our_work(SamplerCoreset(engine=LocalEngine("numpy")))


def typiclust() -> Work:
    from samplers import SamplerTypiClust  # noqa: PLC0415

    return our_work(SamplerTypiClust())


def max_herding() -> Work:
    from samplers import SamplerMaxHerding  # noqa: PLC0415

    return our_work(SamplerMaxHerding())


def coral() -> Work:
    from samplers import LocalEngine, SamplerCoral  # noqa: PLC0415

    return our_work(SamplerCoral(engine=LocalEngine("numba", n_threads=1)))


# Loops that people write.
def expanded_loop() -> Work:
    """Distances as a² + b² - 2ab in float32: fast, and inexact far from the origin."""

    def work(vectors: Vectors, _: Scores, k: int) -> Iterable[int]:
        norms = np.einsum("ij,ij->i", vectors, vectors)
        nearest = np.full(len(vectors), np.inf, dtype=np.float32)
        picks = [0]
        while len(picks) <= k:
            center = picks[-1]
            np.minimum(nearest, norms + norms[center] - 2 * (vectors @ vectors[center]), out=nearest)
            nearest[picks] = -1
            picks.append(int(nearest.argmax()))
        return picks[1:]

    return work


def direct_loop() -> Work:
    """Squared differences in float64, in blocks that stay in the cache: slow, and right."""

    def work(vectors: Vectors, _: Scores, k: int) -> Iterable[int]:
        nearest = np.full(len(vectors), np.inf)
        step = max(1, (1 << 16) // vectors.shape[1])
        picks = [0]
        while len(picks) <= k:
            center = vectors[picks[-1]].astype(np.float64)
            for start in range(0, len(vectors), step):
                part = slice(start, start + step)
                differences = vectors[part] - center
                np.minimum(nearest[part], np.einsum("ij,ij->i", differences, differences), out=nearest[part])
            nearest[picks] = -1
            picks.append(int(nearest.argmax()))
        return picks[1:]

    return work


# Peers.
def scikit_activeml() -> Work:
    pool: Any = importlib.import_module("skactiveml.pool")

    def work(vectors: Vectors, _: Scores, k: int) -> Iterable[int]:
        y = np.full(len(vectors), np.nan)
        y[0] = 0
        picks: Iterable[int] = pool.CoreSet(random_state=0).query(vectors, y, batch_size=k)
        return picks

    return work


def alipy() -> Work:
    labels: Any = importlib.import_module("alipy.query_strategy.query_labels")

    def work(vectors: Vectors, _: Scores, k: int) -> Iterable[int]:
        rows = np.arange(len(vectors))
        query = labels.QueryInstanceCoresetGreedy(vectors, np.zeros(len(vectors)), rows)
        picks: Iterable[int] = query.select([0], rows[1:], batch_size=k)
        return picks

    return work


def small_text() -> Work:
    coresets: Any = importlib.import_module("small_text.query_strategies.coresets")

    def work(vectors: Vectors, _: Scores, k: int) -> Iterable[int]:
        # It takes its picks, which are places among the unlabeled rows, for rows: right only where all rows are passed.
        rows = np.arange(len(vectors))
        picks: Iterable[int] = coresets.greedy_coreset(vectors, rows, rows[:1], k, distance_metric="euclidean")
        return picks

    return work


def mundig(*, with_scores: bool = False) -> Work:
    module: Any = importlib.import_module("lightly_mundig")

    def work(vectors: Vectors, scores: Scores, k: int) -> Iterable[int]:
        selection = module.Selection()
        selection.add_diversifying_strategy(vectors, 1.0)
        if with_scores:
            selection.add_weighting_strategy(scores.astype(np.float32), 1.0)
        picks: list[int] = selection.run_selection([0], len(vectors), k + 1)
        return picks[1:]

    return work


def mundig_with_scores() -> Work:
    """The counterpart of CORAL by another rule: a product of sums over all picks, of squared distances and of weights."""
    return mundig(with_scores=True)


def fpsample() -> Work:
    module: Any = importlib.import_module("fpsample")  # its bucket methods end at 8 dimensions

    def work(vectors: Vectors, _: Scores, k: int) -> Iterable[int]:
        picks: list[int] = module.fps_sampling(vectors, k + 1, start_idx=0).tolist()
        return picks[1:]

    return work


def quickfps(name: str = "sample_idx") -> Work:
    torch: Any = importlib.import_module("torch")
    module: Any = importlib.import_module("torch_quickfps")

    def work(vectors: Vectors, _: Scores, k: int) -> Iterable[int]:
        picks: list[int] = getattr(module, name)(torch.from_numpy(vectors), k + 1, start_idx=0).tolist()
        return picks[1:]

    return work


def quickfps_baseline() -> Work:
    return quickfps("sample_idx_baseline")


def apricot() -> Work:
    module: Any = importlib.import_module("apricot")

    def work(vectors: Vectors, _: Scores, k: int) -> Iterable[int]:
        model = module.FacilityLocationSelection(k, metric="euclidean", optimizer="lazy", initial_subset=np.array([0]))
        picks: Iterable[int] = model.fit(vectors).ranking
        return picks

    return work


def submodlib() -> Work:
    module: Any = importlib.import_module("submodlib")

    def work(vectors: Vectors, _: Scores, k: int) -> Iterable[int]:
        function = module.FacilityLocationFunction(n=len(vectors), mode="dense", data=vectors, metric="euclidean")
        pairs: list[tuple[int, float]] = function.maximize(budget=k, optimizer="LazyGreedy", show_progress=False)
        return [row for row, _ in pairs]

    return work


def faiss() -> Work:
    module: Any = importlib.import_module("faiss")

    def work(vectors: Vectors, _: Scores, k: int) -> Iterable[int]:
        means = module.Kmeans(vectors.shape[1], k, seed=0)
        means.train(vectors)
        index = module.IndexFlatL2(vectors.shape[1])
        index.add(vectors)
        picks: list[int] = index.search(means.centroids, 1)[1].ravel().tolist()
        return picks

    return work


_LISTED = (
    Way("al-agent CORESET", KCENTER, coreset),
    Way("al-agent CORESET, numpy alone", KCENTER, coreset_by_numpy),
    Way("al-agent CORAL", WEIGHTED, coral),
    Way("al-agent TYPICLUST", TYPICAL, typiclust),
    Way("al-agent MAX_HERDING", HERDING, max_herding),
    Way("numpy loop, expanded float32", KCENTER, expanded_loop),
    Way("numpy loop, direct float64", KCENTER, direct_loop),
    Way("scikit-activeml CoreSet", KCENTER, scikit_activeml, "scikit-activeml", "scikit-activeml"),
    Way("ALiPy k-center", KCENTER, alipy, "alipy", "alipy"),
    Way("small-text greedy coreset", KCENTER, small_text, "small-text", "small-text"),
    Way("lightly-mundig diversity", KCENTER, mundig, "lightly-mundig", "lightly-mundig"),
    Way("lightly-mundig diversity, weights", SUMS, mundig_with_scores, "lightly-mundig", "lightly-mundig"),
    Way("fpsample", KCENTER, fpsample, "fpsample", "fpsample"),
    Way("torch_quickfps buckets", KCENTER, quickfps, "torch-quickfps", "torch_quickfps"),
    Way("torch_quickfps baseline", KCENTER, quickfps_baseline, "torch-quickfps", "torch_quickfps"),
    Way("apricot facility location", FACILITY, apricot, "apricot", "apricot-select"),
    Way("submodlib facility location", FACILITY, submodlib, "submodlib", "submodlib-py"),
    Way("faiss k-means, nearest rows", MEDOIDS, faiss, "faiss", "faiss-cpu"),
)
WAYS = {way.what: way for way in _LISTED}

NO_PACKAGE = {"google/active-learning kCenterGreedy": "it has no package to install; ALiPy's is a port of it"}
"""Peers that are left out, and why."""
