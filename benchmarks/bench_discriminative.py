"""Discriminative sampling: seconds for 1,000 picks, and the accuracy that its labels give beside other methods.

The accuracy is that of logistic regression on the 10,000 test vectors of `../shared/data/emb_cifar10_kmeans128.npz`, with
200 labels drawn at random and then five batches of 200, picked from 10,000 vectors that each seed draws from the 50,000.

    python benchmarks/bench_discriminative.py
    python benchmarks/bench_discriminative.py --seeds 5 --skip-speed
"""

from __future__ import annotations

import argparse
import time
import warnings
from pathlib import Path

import numpy as np
import numpy.typing as npt
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression

from samplers import Pool, Sampler, SamplerCoreset, SamplerDiscriminative, SamplerRandom, SamplerTypiClust

DATA = Path(__file__).resolve().parents[2] / "shared" / "data" / "emb_cifar10_kmeans128.npz"
N_POOL, N_START, N_BATCH, N_ROUNDS = 10_000, 200, 200, 5
Vectors = npt.NDArray[np.float32]


def speed() -> None:
    print("| pool, 1,000 labeled, 1,000 picks | wall s | CPU s | balanced accuracy and epochs of the last part |")
    print("| --- | --- | --- | --- |")
    SamplerDiscriminative(max_epochs=1).select(
        Pool(("a", "b"), np.array([True, False]), vectors=np.eye(2)), 1
    )  # loads torch
    for n, d in ((10_000, 128), (50_000, 512)):
        rng = np.random.default_rng(0)
        centers = rng.normal(size=(30, d))
        vectors = (centers[rng.integers(30, size=n)] + rng.normal(size=(n, d))).astype(np.float32)
        pool = Pool(tuple(f"{row:05d}" for row in range(n)), np.arange(n) < 1000, vectors=vectors)
        wall, cpu = time.perf_counter(), time.process_time()
        selection = SamplerDiscriminative().select(pool, 1000)
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
        print(
            f"| {n:,} x {d}, 30 clusters | {wall:.1f} | {cpu:.1f} | {selection.reasons[-1].split('reached ')[1]} |",
            flush=True,
        )


def accuracies(sampler: Sampler, seed: int, train: Vectors, labels: Vectors, test: Vectors, answers: Vectors) -> list[float]:
    chosen = np.random.default_rng(seed).permutation(len(train))[:N_POOL]
    vectors, labels = train[chosen], labels[chosen]
    ids = tuple(f"{row:05d}" for row in range(N_POOL))
    is_labeled = np.arange(N_POOL) < N_START
    found = []
    for number in range(N_ROUNDS + 1):
        if number:
            picks = sampler.select(Pool(ids, is_labeled.copy(), vectors=vectors), N_BATCH, seed=10 * seed + number)
            is_labeled[[int(item_id) for item_id in picks]] = True
        model = LogisticRegression(C=0.01, max_iter=300).fit(vectors[is_labeled], labels[is_labeled])
        found.append(float(model.score(test, answers)))
    return found


def quality(n_seeds: int) -> None:
    with np.load(DATA, allow_pickle=False) as archive:
        train, test = archive["train"].astype(np.float32), archive["test"].astype(np.float32)
        labels, answers = archive["y_train"], archive["y_test"]
    mean, deviation = train.mean(axis=0), train.std(axis=0)
    train, test = (train - mean) / deviation, (test - mean) / deviation
    budgets = [N_START + N_BATCH * number for number in range(N_ROUNDS + 1)]
    print(f"\n| accuracy in %, mean and standard deviation of {n_seeds} seeds | " + " | ".join(map(str, budgets)) + " |")
    print("| --- |" + " --- |" * len(budgets))
    for sampler in (SamplerRandom(), SamplerCoreset(), SamplerTypiClust(), SamplerDiscriminative()):
        runs = np.array([accuracies(sampler, seed, train, labels, test, answers) for seed in range(n_seeds)]) * 100
        cells = [f"{mean:.1f} ± {spread:.1f}" for mean, spread in zip(runs.mean(axis=0), runs.std(axis=0, ddof=1))]
        print(f"| `{sampler.method}` | " + " | ".join(cells) + " |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--skip-speed", action="store_true")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore", ConvergenceWarning)
    if not arguments.skip_speed:
        speed()
    if DATA.exists():
        quality(arguments.seeds)
    else:
        print(f"{DATA.name} is not there: no accuracies")


if __name__ == "__main__":
    main()
