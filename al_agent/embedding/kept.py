"""Vectors of a run that was interrupted, kept in a folder until the run is saved."""

from __future__ import annotations

import contextlib
import hashlib
import os
import time
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from scorers.files import load_arrays, save_arrays

_LEAST_S = 1.0
_SHARE = 0.02  # of its time that a run may lose, once it has run for a minute
_PROBE_TOLERANCE = 1e-3  # another device or library rounds differently; other weights differ by far more


class KeptVectors:
    """Finished vectors of an unfinished run, each with the fingerprint of its file.

    Args:
        folder: Where they are; it is made with the first of them.
        fingerprints: 16 bytes for each item, as `ImageFiles.fingerprint` gives them.
        description: The embedder's.
        probe: What the embedder makes of a fixed image, `(d,)`: vectors of other weights are not taken, whatever the
            description says.
    """

    def __init__(
        self, folder: str | os.PathLike[str], fingerprints: Sequence[bytes], description: str, probe: npt.NDArray[Any]
    ) -> None:
        self.folder = Path(folder)
        self._fingerprints = np.frombuffer(b"".join(fingerprints), dtype=np.uint8).reshape(-1, 16)
        self._description = hashlib.sha256(description.encode("utf-8", "surrogatepass")).hexdigest()
        self._probe = probe
        self._rows: list[npt.NDArray[np.int64]] = []
        self._vectors: list[npt.NDArray[Any]] = []
        self._began_s = self._saved_s = time.monotonic()

    def fill(self, vectors: npt.NDArray[Any]) -> npt.NDArray[np.bool_]:
        """Write the vectors of an earlier run into `(n, d)` rows, where the file has not changed since.

        Returns:
            Which rows were filled, `(n,)`.
        """
        is_filled = np.zeros(len(vectors), dtype=np.bool_)
        parts = sorted(self.folder.glob("part-*.npz"))
        row_of = {print_.tobytes(): row for row, print_ in enumerate(self._fingerprints)} if parts else {}
        for path in parts:
            try:
                part = load_arrays(path, ("description", "probe", "fingerprints", "vectors"))
            except (OSError, ValueError):  # a damaged part is made again
                continue
            if not self._fits(part):
                continue
            rows = np.array([row_of.get(print_.tobytes(), -1) for print_ in part["fingerprints"]], dtype=np.int64)
            is_known = rows >= 0
            vectors[rows[is_known]] = part["vectors"][is_known]
            is_filled[rows[is_known]] = True
        return is_filled

    def _fits(self, part: dict[str, npt.NDArray[Any]]) -> bool:
        probe, vectors, prints = part["probe"], part["vectors"], part["fingerprints"]
        return (
            part["description"].tolist() == self._description
            and probe.shape == self._probe.shape
            and vectors.shape == (len(prints), len(probe))
            and prints.shape[1:] == (16,)
            and prints.dtype == np.uint8
            and vectors.dtype == probe.dtype == self._probe.dtype
            and bool(np.isfinite(vectors).all())
            and np.allclose(probe, self._probe, rtol=0.0, atol=_PROBE_TOLERANCE * float(np.abs(self._probe).max()))
        )

    def add(self, rows: npt.NDArray[np.int64], vectors: npt.NDArray[Any]) -> None:
        """Keep the vectors of these rows, on disk now or soon: a kill costs a second, or a fiftieth of the run."""
        self._rows.append(rows)
        self._vectors.append(vectors)
        now_s = time.monotonic()
        if now_s - self._saved_s >= max(_LEAST_S, _SHARE * (now_s - self._began_s)):
            self.flush()

    def flush(self) -> None:
        """Write to disk what is not there yet."""
        rows = np.concatenate([np.empty(0, dtype=np.int64), *self._rows])
        if len(rows):
            self.folder.mkdir(parents=True, exist_ok=True)
            save_arrays(
                self.folder / f"part-{uuid.uuid4().hex}.npz",
                description=np.array(self._description),
                probe=self._probe,
                fingerprints=self._fingerprints[rows],
                vectors=np.concatenate(self._vectors),
            )
        self._rows, self._vectors = [], []
        self._saved_s = time.monotonic()


def remove_kept(folder: str | os.PathLike[str]) -> None:
    """Remove what `KeptVectors` wrote, and the folder if nothing else is in it."""
    for pattern in ("part-*.npz", ".part-*.npz.*.part"):
        for path in Path(folder).glob(pattern):
            path.unlink(missing_ok=True)
    with contextlib.suppress(OSError):  # there is none, or files of others are in it
        Path(folder).rmdir()
