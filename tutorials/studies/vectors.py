"""Vectors of a study's pool: what its photos look like, made once without labels and kept in a file."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from al_agent import Embeddings
from al_agent.embedding.embedder import Batch, Fit
from al_agent.embedding.methods.patches import EmbedderPatches
from al_agent.embedding.run import embed_images

Photos = npt.NDArray[np.uint8]
"""`(n, 3, h, w)` of 0 to 255."""

VectorsOf = Callable[[Sequence[str], Photos], npt.NDArray[np.floating[Any]]]
"""n item ids and their photos to `(n, d)` vectors."""


class PhotosInMemory:
    """Photos by item id, as embedders take them.

    Args:
        item_ids: n ids.
        photos: `(n, 3, h, w)` of 0 to 255.
    """

    def __init__(self, item_ids: Sequence[str], photos: Photos) -> None:
        self.item_ids, self._photos = tuple(item_ids), photos

    def __len__(self) -> int:
        return len(self.item_ids)

    def read(self, rows: Sequence[int], size: tuple[int, int], fit: Fit) -> Batch:
        """Photos of these rows, stretched to `size`."""
        pixels = np.empty((len(rows), *size, 3), dtype=np.uint8)
        for place, row in enumerate(rows):
            photo = Image.fromarray(np.ascontiguousarray(self._photos[row].transpose(1, 2, 0)))
            pixels[place] = np.asarray(photo.resize(size[::-1], Image.Resampling.LANCZOS))
        return Batch(np.array(rows, dtype=np.int64), pixels)


def patch_vectors(path: Path, item_ids: Sequence[str], photos: Photos) -> npt.NDArray[np.floating[Any]]:
    """Vectors `(n, d)` by `EmbedderPatches`, which needs no network; read from `path` if they are of these items.

    Args:
        path: The file that keeps them, as `Embeddings.save` writes it.
        item_ids: n ids.
        photos: `(n, 3, h, w)` of 0 to 255.
    """
    if path.exists():
        kept = Embeddings.load(path)
        if set(kept.item_ids) == set(item_ids):
            return kept.subset(item_ids).vectors
    made = embed_images(PhotosInMemory(item_ids, photos), EmbedderPatches()).embeddings
    path.parent.mkdir(parents=True, exist_ok=True)
    made.save(path)
    return made.vectors
