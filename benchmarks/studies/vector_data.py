"""Vectors with hidden labels, each pool and test set the same draw whenever it is made."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import numpy as np
import numpy.typing as npt

from al_agent.simulation.hidden import HiddenLabels

VECTORS, PROBABILITIES = "emb_cifar10_kmeans128.npz", "probs_cleanlab.zip"

_N_POOL, _N_TEST = 10_000, 4_000
_RARE_CLASSES, _RARE_SHARE = (0, 3, 6), 0.01
_N_ORIGINALS, _N_COPIES, _JITTER = 2_000, 5, 0.01
_MOST_IN_POOL, _MOST_IN_TEST = 5_000, 2_500
_LEAST_PROBABILITY = 1e-6
_N_PAIRS = 10_000

_Vectors = npt.NDArray[np.float32]
_Labels = npt.NDArray[np.int64]


class NotHere(Exception):
    """A file that the data are made of is missing; the message names it."""


def cifar_vectors(folder: Path) -> HiddenLabels:
    """Vectors of CIFAR-10: a pool of 10,000 training images, 4,000 test images."""
    train, y_train, test, y_test = _cifar(folder)
    rng = np.random.default_rng(1)
    rows = rng.permutation(len(train))[:_N_POOL]
    tested = rng.permutation(len(test))[:_N_TEST]
    return HiddenLabels(_names("train", rows), train[rows], y_train[rows], test[tested], y_test[tested])


def imbalanced(folder: Path) -> HiddenLabels:
    """The same with 1% of the pool in each of three classes, the rest even among the seven others.

    The 4,000 test images have 400 of each class, so that plain accuracy on them is balanced accuracy.
    """
    train, y_train, test, y_test = _cifar(folder)
    rng = np.random.default_rng(2)
    n_classes = int(y_train.max()) + 1
    n_rare = round(_RARE_SHARE * _N_POOL)
    n_frequent, n_left = divmod(_N_POOL - n_rare * len(_RARE_CLASSES), n_classes - len(_RARE_CLASSES))
    parts = []
    for label in range(n_classes):
        count = n_rare if label in _RARE_CLASSES else n_frequent
        if label not in _RARE_CLASSES and n_left:
            count, n_left = count + 1, n_left - 1
        parts.append(rng.permutation(np.flatnonzero(y_train == label))[:count])
    rows = rng.permutation(np.concatenate(parts))
    each = _N_TEST // n_classes
    tested = np.concatenate([rng.permutation(np.flatnonzero(y_test == label))[:each] for label in range(n_classes)])
    return HiddenLabels(_names("train", rows), train[rows], y_train[rows], test[tested], y_test[tested])


def duplicates(folder: Path) -> HiddenLabels:
    """A pool of 2,000 training images, each five times, as the frames of a slow film: the copies move by 1%.

    A copy lies off its original in a random direction, by 1% of the median distance of two originals (root mean square).
    """
    train, y_train, test, y_test = _cifar(folder)
    rng = np.random.default_rng(3)
    originals = rng.permutation(len(train))[:_N_ORIGINALS]
    tested = rng.permutation(len(test))[:_N_TEST]
    source = rng.permutation(np.repeat(np.arange(_N_ORIGINALS), _N_COPIES))
    vectors = train[originals]
    left, right = rng.integers(0, _N_ORIGINALS, (2, _N_PAIRS))
    typical = float(np.median(np.linalg.norm(vectors[left] - vectors[right], axis=1)[left != right]))
    noise = rng.standard_normal((len(source), vectors.shape[1])) * (_JITTER * typical / np.sqrt(vectors.shape[1]))
    copies = (vectors[source] + noise).astype(np.float32)
    return HiddenLabels(
        tuple(f"film_{one:04d}_{row:05d}" for row, one in enumerate(source.tolist())),
        copies,
        y_train[originals][source],
        test[tested],
        y_test[tested],
        groups=source,
    )


def real_probabilities(folder: Path, name: str) -> HiddenLabels:
    """What real models said of data that they had not seen: the log of their probabilities as vectors, labels as given.

    Probabilities are brought to 1e-6 or more and to a sum of 1, since some are 0 and some rows sum to 1 by rounding alone.
    A random half of the set is the pool, 5,000 at most, and the other half is tested on, 2,500 at most.

    Args:
        folder: Where the zip file is.
        name: `20news`, `mnist` or `imdb`.
    """
    with zipfile.ZipFile(_there(folder, PROBABILITIES)) as archive:
        arrays = np.load(io.BytesIO(archive.read(f"{name}_test.npz")), allow_pickle=False)
        vectors, labels = log_probabilities(arrays["probs"]), arrays["labels"].astype(np.int64)
    order = np.random.default_rng(4).permutation(len(labels))
    half = len(order) // 2
    rows, tested = order[:half][:_MOST_IN_POOL], order[half:][:_MOST_IN_TEST]
    return HiddenLabels(_names(name, rows), vectors[rows], labels[rows], vectors[tested], labels[tested])


def log_probabilities(probabilities: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """`(n, c)` logarithms of probabilities that are at least 1e-6 and sum to 1."""
    clipped = np.maximum(np.asarray(probabilities, dtype=np.float64), _LEAST_PROBABILITY)
    return np.asarray(np.log(clipped / clipped.sum(axis=1, keepdims=True)))


def _cifar(folder: Path) -> tuple[_Vectors, _Labels, _Vectors, _Labels]:
    with np.load(_there(folder, VECTORS), allow_pickle=False) as arrays:
        train, test = (_of_length_1(arrays[part]) for part in ("train", "test"))
        return train, arrays["y_train"].astype(np.int64), test, arrays["y_test"].astype(np.int64)


def _of_length_1(vectors: npt.NDArray[np.float16]) -> _Vectors:
    """In float32, since float16 rounds lengths by 2e-4."""
    found = vectors.astype(np.float32)
    return np.asarray(found / np.linalg.norm(found, axis=1, keepdims=True))


def _there(folder: Path, name: str) -> Path:
    if not (folder / name).exists():
        raise NotHere(f"'{folder}' has no {name}; name the folder that holds it with --data")
    return folder / name


def _names(part: str, rows: npt.NDArray[np.int64]) -> tuple[str, ...]:
    return tuple(f"{part}_{row:05d}" for row in rows.tolist())
