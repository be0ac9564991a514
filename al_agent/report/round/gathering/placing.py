"""Where items stand on the map: places that are kept beside the project, as they take long to make."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from samplers.distances import blocks
from scorers.files import load_arrays, save_arrays

from ....embedding import Embeddings
from ....journal import default_path
from ....platforms.base import Platform

KEPT_FILE = "al-agent-map.npz"
N_TSNE = 1_500
"""Items up to which t-SNE takes seconds."""

_N_PLACED = 100_000
_N_NEAREST = 3
_N_COMPONENTS = 50  # as many as t-SNE is given
_N_PART = 1_000
_PART = "tsne-part"
_VALUES_PER_BLOCK = 1 << 22
_IN_WORDS = {_PART: f"t-SNE of {_N_PART:,} items, each other one between its {_N_NEAREST} nearest of these"}


class Places(NamedTuple):
    """A map: its items, `(n, 2)` places, and how they were made."""

    item_ids: tuple[str, ...]
    positions: npt.NDArray[np.floating[Any]]
    method: str


def kept_at(platform: Platform) -> Path:
    """The file that a project's map is kept in: in its own folder, or for a remote project below that of the user."""
    if platform.home is not None:
        return platform.home / KEPT_FILE
    journal = default_path(platform)
    return journal.parent.parent / "maps" / f"{journal.stem}.npz"


def places_of(
    embeddings: Embeddings, *, method: str | None = None, kept: Path | None = None, picks: tuple[str, ...] = ()
) -> Places:
    """A map of embeddings: the kept one where it is of these, else a new one, which is kept.

    Above 100,000 items a part of them is placed: the picks, and others at even steps.

    Args:
        embeddings: Two dimensions are taken as places already.
        method: `pca`, `tsne` or `umap`; None takes the kept map, however it was made, else makes one by t-SNE: above 1,500
            items, of a random part, and each other item goes between those of the part that it is nearest to.
        kept: File of the kept map; None keeps none.
        picks: Items that are placed in any case.

    Raises:
        ValueError: Another method.
        ImportError: UMAP needs a package that is not installed.
    """
    from ....embedding.projection import METHODS  # noqa: PLC0415  # seldom needed

    if method is not None and method not in METHODS:
        raise ValueError(f"map_method is {method!r}; expected one of {', '.join(METHODS)}")
    if embeddings.n_dimensions == 2 and method is None:
        return Places(embeddings.item_ids, embeddings.vectors, "as given")
    if len(embeddings) > _N_PLACED:
        wanted = frozenset(picks)
        step = len(embeddings) / (_N_PLACED - min(len(wanted), _N_PLACED // 2))
        rows = set(np.arange(0, len(embeddings), step).astype(np.int64).tolist())
        rows.update(row for row, item_id in enumerate(embeddings.item_ids) if item_id in wanted)
        embeddings = embeddings.subset(embeddings.item_ids[row] for row in sorted(rows))
    found = None if kept is None else _read(kept, embeddings, method)
    if found is not None:
        return found
    name = method or ("tsne" if len(embeddings) <= N_TSNE else _PART)
    made = by_part(embeddings, _N_PART) if name == _PART else embeddings.project(name).vectors
    positions = made.astype(np.float32)
    if kept is not None:
        with contextlib.suppress(OSError):  # a folder that cannot be written costs the next page some seconds
            kept.parent.mkdir(parents=True, exist_ok=True)
            save_arrays(kept, digest=np.array(embeddings.digest), method=np.array(name), positions=positions)
    return Places(embeddings.item_ids, positions, (METHODS | _IN_WORDS)[name])


def _read(path: Path, embeddings: Embeddings, method: str | None) -> Places | None:
    """The kept map; None where there is none of these embeddings, or it is damaged."""
    from ....embedding.projection import METHODS  # noqa: PLC0415

    try:
        arrays = load_arrays(path, ("digest", "method", "positions"))
    except (OSError, ValueError):
        return None
    name, positions = str(arrays["method"]), arrays["positions"]
    is_whole = positions.shape == (len(embeddings), 2) and positions.dtype.kind == "f" and bool(np.isfinite(positions).all())
    if (
        not is_whole
        or name not in METHODS | _IN_WORDS
        or (method or name) != name
        or str(arrays["digest"]) != embeddings.digest
    ):
        return None
    return Places(embeddings.item_ids, positions, (METHODS | _IN_WORDS)[name])


def by_part(embeddings: Embeddings, n_part: int) -> npt.NDArray[np.float64]:
    """t-SNE of a random part, and each other item at the mean of its nearest three there, weighted by `1 / distance²`.

    Time O(n p c) with p items in the part and c principal components, memory O(n c).
    """
    rows = np.sort(np.random.default_rng(0).choice(len(embeddings), n_part, replace=False))
    vectors = embeddings.reduce(min(_N_COMPONENTS, embeddings.n_dimensions)).vectors.astype(np.float64)
    points = vectors[rows]
    places = Embeddings([embeddings.item_ids[row] for row in rows.tolist()], points).project("tsne").vectors
    norms = np.einsum("ij,ij->i", points, points)
    least = 1e-9 * max(float(norms.mean()), 1e-300)
    positions = np.empty((len(vectors), 2))
    for part in blocks(len(vectors), n_part, _VALUES_PER_BLOCK):
        block = vectors[part]
        squared = np.einsum("ij,ij->i", block, block)[:, None] + norms - 2 * (block @ points.T)
        nearest = np.argpartition(squared, _N_NEAREST, axis=1)[:, :_N_NEAREST]
        weights = 1 / np.maximum(np.take_along_axis(squared, nearest, axis=1), least)
        weights /= weights.sum(axis=1, keepdims=True)
        positions[part] = np.einsum("ij,ijk->ik", weights, places[nearest])
    positions[rows] = places
    return positions
