"""Embeddings from files of every kind, checked, beside bare readers; and principal components beside scikit-learn's."""

from __future__ import annotations

import csv
import tempfile
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
from measure import measure, print_table
from sklearn.decomposition import PCA

from al_agent import Embeddings

N_ITEMS, N_DIMENSIONS = 1_000_000, 128
N_CSV_ITEMS = 20_000
N_COMPONENTS = 32


def csv_by_hand(path: Path) -> tuple[list[str], npt.NDArray[np.float32]]:
    """What people write: every row a list, one array at the end."""
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.reader(file))[1:]
    return [row[0] for row in rows], np.array([[float(field) for field in row[1:-1]] for row in rows], dtype=np.float32)


def write_table(path: Path, ids: list[str], vectors: npt.NDArray[np.float32], *, is_fixed: bool) -> None:
    """A table as other programs write it, with pyarrow's defaults."""
    flat = pa.array(vectors.ravel())
    if is_fixed:
        lists = pa.FixedSizeListArray.from_arrays(flat, N_DIMENSIONS)
    else:
        lists = pa.ListArray.from_arrays(pa.array(np.arange(len(ids) + 1, dtype=np.int32) * N_DIMENSIONS), flat)
    pq.write_table(pa.table({"item_id": ids, "vector": lists}), path)


def main() -> None:
    rng = np.random.default_rng(0)
    vectors = rng.standard_normal((N_ITEMS, N_DIMENSIONS), dtype=np.float32)
    ids = [f"images/train/img_{number:07d}.jpg" for number in range(N_ITEMS)]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        embeddings = Embeddings(ids, vectors)
        for ending in (".npz", ".npy", ".parquet"):
            embeddings.save(folder / f"e{ending}")
        write_table(folder / "fixed.parquet", ids, vectors, is_fixed=True)
        write_table(folder / "lists.parquet", ids, vectors, is_fixed=False)
        del embeddings

        def bare_npz() -> object:
            with np.load(folder / "e.npz") as archive:
                return archive["item_ids"], archive["vectors"]

        of = f"{N_ITEMS:,} x {N_DIMENSIONS} float32"
        print_table(
            f"Loading {of}, ids and numbers checked (Arrow's own memory is not in the peak)",
            [
                measure(".npz, numpy alone, nothing checked", bare_npz),
                measure(".npz", lambda: Embeddings.load(folder / "e.npz")),
                measure(".npy opened", lambda: Embeddings.load(folder / "e.npy")),
                measure(".npy opened, ids and numbers checked", lambda: Embeddings.load(folder / "e.npy").vectors),
                measure(".parquet, pyarrow alone, nothing checked", lambda: pq.read_table(folder / "fixed.parquet")),
                measure(".parquet of ours", lambda: Embeddings.load(folder / "e.parquet")),
                measure(".parquet, lists of one length", lambda: Embeddings.load(folder / "fixed.parquet")),
                measure(".parquet, lists", lambda: Embeddings.load(folder / "lists.parquet")),
            ],
        )

        small = Embeddings(ids[:N_CSV_ITEMS], vectors[:N_CSV_ITEMS])
        small.save(folder / "e.csv")
        print_table(
            f"Reading and writing {N_CSV_ITEMS:,} x {N_DIMENSIONS} as Lightly's CSV",
            [
                measure("read by hand: csv.reader, float, one array", lambda: csv_by_hand(folder / "e.csv")),
                measure("read", lambda: Embeddings.load(folder / "e.csv")),
                measure("write", lambda: small.save(folder / "again.csv")),
            ],
        )

        part = Embeddings(ids[:100_000], vectors[:100_000])
        theirs = PCA(N_COMPONENTS, svd_solver="covariance_eigh")
        randomized = PCA(N_COMPONENTS, svd_solver="randomized", random_state=0)
        print_table(
            f"{N_COMPONENTS} principal components of 100,000 x {N_DIMENSIONS} float32",
            [
                measure("scikit-learn, covariance in float32", lambda: theirs.fit_transform(part.vectors)),
                measure("scikit-learn, randomized", lambda: randomized.fit_transform(part.vectors)),
                measure("al-agent, float64 in blocks", lambda: part.reduce(N_COMPONENTS)),
            ],
        )


if __name__ == "__main__":
    main()
