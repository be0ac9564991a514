"""A run that turns images into embeddings: reads ahead in threads, goes on after an interrupt, stops for no bad file."""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from samplers.centers.engine import n_processors
from scorers.checks import check_finite

from .blas_threads import one_blas_thread
from .embedder import Batch, Embedder, Fit, Images, Pixels
from .embeddings import Embeddings
from .images import ImageFiles
from .kept import KeptVectors, remove_kept
from .pillow_lock import without_pillow_warnings

_N_AT_A_TIME = 16  # images that a thread reads for one task
_BYTES_AHEAD = 1 << 28  # of pixels that wait for the embedder
_BYTES_REMEMBERED = 1 << 28
_N_WORKERS_MOST = 32

Given = TypeVar("Given")
Made = TypeVar("Made")


@dataclass(frozen=True, eq=False)
class EmbeddingRun:
    """What came of a run.

    Args:
        embeddings: A vector for each image that could be read, in the order of the items.
        failed: Item id to reason, of each image that could not, in the order of the items.
        n_resumed: How many of the vectors an interrupted run had made already.
        resume: The folder where vectors are kept until `save`.
    """

    embeddings: Embeddings
    failed: Mapping[str, str]
    n_resumed: int = 0
    resume: Path | None = None

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the embeddings as `Embeddings.save` does, then remove what was kept for an interrupt."""
        self.embeddings.save(path)
        if self.resume is not None:
            remove_kept(self.resume)

    def __repr__(self) -> str:
        return f"EmbeddingRun({self.embeddings!r}, {len(self.failed):,} failed)"


def embed_images(
    images: Images | str | os.PathLike[str],
    embedder: Embedder,
    *,
    n_workers: int | None = None,
    progress: Callable[[int], object] | None = None,
    resume: str | os.PathLike[str] | None = None,
) -> EmbeddingRun:
    """Embed images with any embedder.

    Threads read images ahead, as many as fit into 256 MiB of pixels. The vectors are the same for any number of threads.
    An image that cannot be read is listed with its reason, and stops nothing.

    Args:
        images: Images by item, such as `ImageFiles`; or a folder: every image file below it, with relative paths as ids.
        embedder: Makes the vectors; its `fit` is called first.
        n_workers: Threads that read; None takes one for each core, 32 at most.
        progress: Called with the number of images done since the last call, such as `tqdm(total=...).update`.
        resume: A folder where finished vectors are kept, so that the same call after an interrupt or a kill goes on where
            it was. Vectors are taken over if the file's id, length and time of change are as they were, and the embedder
            describes itself as then and makes the same of a fixed image. `EmbeddingRun.save` removes the folder.

    Returns:
        The embeddings, and which images failed.

    Raises:
        ValueError: No image can be read; or the embedder gives NaN, infinity, or another number of vectors or dimensions.

    Examples:
        >>> import tempfile, PIL.Image
        >>> from al_agent.embedding.embedder import Embedder
        >>> class MeanColour(Embedder):
        ...     size, description = (8, 8), "mean colour"
        ...     def embed(self, pixels):
        ...         return pixels.mean(axis=(1, 2), dtype=np.float64)
        >>> folder = Path(tempfile.mkdtemp())
        >>> PIL.Image.new("RGB", (80, 60), "blue").save(folder / "blue.png")
        >>> _ = (folder / "broken.png").write_bytes(b"")
        >>> run = embed_images(folder, MeanColour())
        >>> run.embeddings.vectors.tolist(), run.failed
        ([[0.0, 0.0, 255.0]], {'broken.png': 'is empty, 0 bytes long'})
    """
    given: object = embedder
    if not isinstance(given, Embedder):
        raise ValueError(f"embedder is {embedder!r}; expected an Embedder")
    source: Images = ImageFiles.from_folder(images) if isinstance(images, str | os.PathLike) else images
    if not len(source):
        raise ValueError("there are no images to embed")
    if resume is not None and not isinstance(source, ImageFiles):
        raise ValueError(f"resume needs ImageFiles, whose files tell whether they changed; images is {source!r}")
    prints = [source.fingerprint(row) for row in range(len(source))] if isinstance(source, ImageFiles) and resume else []
    remembering = _Remembering(source, embedder)
    with without_pillow_warnings(), _Readers(remembering, checked_workers(n_workers)) as readers:
        embedder.fit(readers)
        remembering.is_learning = False
        probe = _probe(embedder)
        vectors = np.empty((len(source), probe.shape[1]), dtype=probe.dtype)
        kept = None
        is_done = np.zeros(len(source), dtype=np.bool_)
        if resume is not None:
            what = f"{embedder.description}, {embedder.size}, {embedder.fit_to_size}"
            kept = KeptVectors(resume, prints, what, probe.ravel())
            is_done = kept.fill(vectors)
        n_resumed = int(is_done.sum())
        failed: dict[int, str] = {}
        told = progress or (lambda n_images: None)
        told(n_resumed)
        try:
            for batch, made in _embedded(readers, embedder, _batches(is_done, embedder.batch_size)):
                failed |= batch.failed
                if len(batch.rows):
                    _check(made, batch, vectors.shape[1], source.item_ids)
                    vectors[batch.rows] = made
                    is_done[batch.rows] = True
                    if kept is not None:
                        kept.add(batch.rows, vectors[batch.rows])
                told(len(batch.rows) + len(batch.failed))
        finally:
            if kept is not None:
                kept.flush()
    ids = source.item_ids
    reasons = {ids[row]: failed.get(row, "cannot be read") for row in np.flatnonzero(~is_done).tolist()}
    if not is_done.any():
        first = next(iter(reasons))
        raise ValueError(f"none of the {len(ids):,} images could be read; the first: {first!r} {reasons[first]}")
    if reasons:
        ids, vectors = tuple(ids[row] for row in np.flatnonzero(is_done)), vectors[is_done]
    return EmbeddingRun(
        Embeddings(ids, vectors, description=embedder.description),
        reasons,
        n_resumed,
        None if resume is None else Path(resume),
    )


def checked_workers(n_workers: int | None) -> int:
    """How many threads read: as many as asked for, or one for each core that the process may use.

    Raises:
        ValueError: Less than 1.
    """
    if n_workers is None:
        return min(n_processors(), _N_WORKERS_MOST)
    if n_workers < 1:
        raise ValueError(f"n_workers is {n_workers}; expected 1 or more")
    return n_workers


class _Remembering:
    """Images of which those that were read to learn from need not be read again to be embedded, up to 256 MiB."""

    def __init__(self, images: Images, embedder: Embedder) -> None:
        self.is_learning = True
        self._images = images
        self._wanted = (embedder.size, embedder.fit_to_size)
        self._n_left = _BYTES_REMEMBERED // (embedder.size[0] * embedder.size[1] * 3)
        self._pixels: dict[int, Pixels] = {}
        self._lock = threading.Lock()

    @property
    def item_ids(self) -> tuple[str, ...]:
        return self._images.item_ids

    def __len__(self) -> int:
        return len(self._images)

    def read(self, rows: Sequence[int], size: tuple[int, int], fit: Fit) -> Batch:
        if (size, fit) != self._wanted:
            return self._images.read(rows, size, fit)
        known = {row: self._pixels[row] for row in rows if row in self._pixels}
        batch = self._images.read([row for row in rows if row not in known], size, fit)
        if self.is_learning:
            with self._lock:
                n_kept = min(len(batch.rows), self._n_left)
                self._n_left -= n_kept
                # copies: a view would hold its whole batch
                self._pixels.update(zip(batch.rows[:n_kept].tolist(), map(np.copy, batch.pixels[:n_kept])))
        else:
            for row in known:
                del self._pixels[row]
        if not known:
            return batch
        known.update(zip(batch.rows.tolist(), batch.pixels))
        good = [row for row in rows if row in known]
        return Batch(np.array(good, dtype=np.int64), np.stack([known[row] for row in good]), batch.failed)


class _Readers:
    """Images read by several threads; to an embedder that learns from them, images like any others."""

    def __init__(self, images: Images, n_workers: int) -> None:
        self._images = images
        self.n_workers = n_workers
        self._pool = ThreadPoolExecutor(n_workers, thread_name_prefix="al-agent-images")

    @property
    def item_ids(self) -> tuple[str, ...]:
        return self._images.item_ids

    def __len__(self) -> int:
        return len(self._images)

    def read(self, rows: Sequence[int], size: tuple[int, int], fit: Fit) -> Batch:
        batches = list(self.read_ahead([rows], size, fit))
        return batches[0] if batches else self._images.read([], size, fit)

    def read_ahead(self, batches: Sequence[Sequence[int]], size: tuple[int, int], fit: Fit) -> Iterator[Batch]:
        """The batches in order; later ones are read meanwhile."""
        image_bytes = size[0] * size[1] * 3
        n_each = int(np.clip((1 << 23) // image_bytes, 1, _N_AT_A_TIME))
        n_ahead = max(self.n_workers + 1, min(8 * self.n_workers + 8, _BYTES_AHEAD // (n_each * image_bytes)))
        pieces = (rows[start : start + n_each] for rows in batches for start in range(0, len(rows), n_each))
        read = self.in_order(lambda piece: self._images.read(piece, size, fit), pieces, n_ahead)
        for rows in batches:
            parts = [next(read) for _ in range(0, len(rows), n_each)]
            if len(parts) == 1:
                yield parts[0]
            elif parts:
                failed = {row: reason for part in parts for row, reason in part.failed.items()}
                joined = [np.concatenate(arrays) for arrays in zip(*((part.rows, part.pixels) for part in parts))]
                yield Batch(joined[0], joined[1], failed)

    def read_and_embed(
        self, batches: Sequence[Sequence[int]], embedder: Embedder
    ) -> Iterator[tuple[Batch, npt.NDArray[Any]]]:
        """The batches in order, without their pixels, and their vectors: each thread reads and embeds."""

        def one(rows: Sequence[int]) -> tuple[Batch, npt.NDArray[Any]]:
            batch = self._images.read(rows, embedder.size, embedder.fit_to_size)
            return batch._replace(pixels=batch.pixels[:0]), _made(embedder, batch)

        yield from self.in_order(one, batches, self.n_workers + 2)

    def in_order(self, make: Callable[[Given], Made], given: Iterable[Given], n_ahead: int) -> Iterator[Made]:
        """`make` of each in order, made by the threads, `n_ahead` of them begun."""
        begun: deque[Future[Made]] = deque()
        for one in given:
            begun.append(self._pool.submit(make, one))
            if len(begun) >= n_ahead:
                yield begun.popleft().result()
        while begun:
            yield begun.popleft().result()

    def __enter__(self) -> _Readers:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._pool.shutdown(cancel_futures=True)


def _batches(is_done: npt.NDArray[np.bool_], batch_size: int) -> list[list[int]]:
    """Rows still to do, cut at the same places whatever is done: a run that goes on makes the very same vectors."""
    cut = ((np.flatnonzero(~is_done[start : start + batch_size]) + start) for start in range(0, len(is_done), batch_size))
    return [rows.tolist() for rows in cut if len(rows)]


def _embedded(
    readers: _Readers, embedder: Embedder, batches: Sequence[Sequence[int]]
) -> Iterator[tuple[Batch, npt.NDArray[Any]]]:
    if embedder.embeds_in_threads:
        with one_blas_thread():
            yield from readers.read_and_embed(batches, embedder)
        return
    for batch in readers.read_ahead(batches, embedder.size, embedder.fit_to_size):
        yield batch, _made(embedder, batch)


def _made(embedder: Embedder, batch: Batch) -> npt.NDArray[Any]:
    return np.asarray(embedder.embed(batch.pixels)) if len(batch.rows) else np.empty((0, 0))


def _probe(embedder: Embedder) -> npt.NDArray[Any]:
    """The vector, `(1, d)`, of an image that is always the same."""
    noise = np.random.default_rng(0).integers(0, 256, size=(1, *embedder.size, 3), dtype=np.uint8)
    vector = np.asarray(embedder.embed(noise))
    if vector.ndim != 2 or len(vector) != 1 or not vector.shape[1] or not np.issubdtype(vector.dtype, np.floating):
        raise ValueError(
            f"the embedder gives an array of {vector.dtype} of shape {vector.shape} for one image; expected floats (1, d)"
        )
    return vector


def _check(made: npt.NDArray[Any], batch: Batch, n_dimensions: int, item_ids: Sequence[str]) -> None:
    """Raise unless there is a finite vector of the known width for each image."""
    first = item_ids[batch.rows[0]]
    if made.shape != (len(batch.rows), n_dimensions):
        raise ValueError(
            f"the embedder gives an array of shape {made.shape} for the {len(batch.rows)} images from {first!r} on; "
            f"expected {(len(batch.rows), n_dimensions)}, as for a single image"
        )
    check_finite(made, "the embedding", lambda row: repr(item_ids[batch.rows[row]]))
