"""Embeddings: checked at birth, kept by id."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from al_agent import Embeddings
from samplers.centers.engine import is_on_disk


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_what_is_saved_comes_back_with_its_type_and_digest(tmp_path: Path, dtype: str) -> None:
    ids = ["a\nb.png", "画像,=.png", "🦊"]
    saved = Embeddings(ids, np.arange(6, dtype=dtype).reshape(3, 2))
    saved.save(tmp_path / "e.npz")
    loaded = Embeddings.load(tmp_path / "e.npz")
    assert loaded.item_ids == tuple(ids)
    assert loaded.vectors.dtype == dtype
    assert loaded.vectors.tolist() == [[0, 1], [2, 3], [4, 5]]
    assert loaded.digest == saved.digest


def test_the_digest_changes_with_ids_values_and_order() -> None:
    digests = {
        Embeddings(["a", "b"], [[1.0], [2.0]]).digest,
        Embeddings(["b", "a"], [[1.0], [2.0]]).digest,
        Embeddings(["a", "c"], [[1.0], [2.0]]).digest,
        Embeddings(["a", "b"], [[1.0], [2.5]]).digest,
        Embeddings(["a", "b"], np.array([[1.0], [2.0]], dtype=np.float32)).digest,
    }
    assert len(digests) == 5


def test_a_subset_keeps_the_order_asked_for() -> None:
    embeddings = Embeddings(["a", "b", "c"], [[1.0], [2.0], [3.0]])
    assert embeddings.subset(["c", "a"]).vectors.tolist() == [[3.0], [1.0]]
    with pytest.raises(ValueError, match=r"1 items have no embedding, the first is 'x'"):
        embeddings.subset(["a", "x"])


def test_vectors_cannot_be_changed_through_the_value_and_are_not_copied() -> None:
    vectors = np.ones((2, 3))
    embeddings = Embeddings(["a", "b"], vectors)
    assert np.shares_memory(embeddings.vectors, vectors)
    with pytest.raises(ValueError, match="read-only"):
        embeddings.vectors[0, 0] = 5


WRONG: list[tuple[str, Any, Any, str]] = [
    ("no rows", [], np.empty((0, 3)), r"item_ids is empty"),
    ("another length", ["a", "b"], np.ones((3, 2)), r"vectors has 3 rows for 2 item ids"),
    ("NaN", ["a", "b"], [[1.0, 2.0], [np.nan, 2.0]], r"embedding of 'b' is \[nan, 2\]; expected finite"),
    ("infinity", ["a"], [[np.inf]], r"embedding of 'a' is \[inf\]"),
    ("one dimension", ["a", "b"], [1.0, 2.0], r"vectors has shape \(2,\); expected \(n, d\)"),
    ("no columns", ["a"], np.empty((1, 0)), r"at least one dimension"),
    ("doubled", ["a", "a"], [[1.0], [2.0]], r"first is 'a'"),
    ("text", ["a"], [["x"]], r"expected numbers"),
    ("ragged", ["a", "b"], [[1.0], [1.0, 2.0]], r"cannot be read as an array"),
]


@pytest.mark.parametrize(("ids", "vectors", "message"), [w[1:] for w in WRONG], ids=[w[0] for w in WRONG])
def test_wrong_embeddings_are_refused_by_name(ids: Any, vectors: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Embeddings(ids, vectors)


def test_files_that_are_no_embeddings_are_named(tmp_path: Path) -> None:
    np.savez(tmp_path / "other.npz", x=np.ones(3))
    np.savez(tmp_path / "objects.npz", item_ids=np.array(["a", None]), vectors=np.ones((2, 2)))
    (tmp_path / "garbage.npz").write_bytes(b"PK garbage")
    for name, message in {
        "other.npz": "has no array 'item_ids'; it has x",
        "objects.npz": "holds Python objects",
        "garbage.npz": "not a .npz file",
    }.items():
        with pytest.raises(ValueError, match=message):
            Embeddings.load(tmp_path / name)
    with pytest.raises(FileNotFoundError):
        Embeddings.load(tmp_path / "missing.npz")


def test_vectors_on_disk_stay_there_and_the_ids_lie_beside_them(tmp_path: Path) -> None:
    given = Embeddings(["a b.png", "é.png", 'c,"d".png'], np.arange(6.0, dtype=np.float32).reshape(3, 2))
    given.save(tmp_path / "v.npy")
    found = Embeddings.load(tmp_path / "v.npy")
    assert found.item_ids == given.item_ids
    assert found.digest == given.digest
    assert is_on_disk(found.vectors)
    assert (tmp_path / "v.ids.txt").read_text(encoding="utf-8").splitlines() == list(given.item_ids)


def test_files_beside_each_other_that_do_not_fit_are_named(tmp_path: Path) -> None:
    np.save(tmp_path / "v.npy", np.zeros((3, 2)))
    with pytest.raises(FileNotFoundError, match=r"v\.ids\.txt' beside the vectors; write the item ids into it"):
        Embeddings.load(tmp_path / "v.npy")
    (tmp_path / "v.ids.txt").write_text("a\nb\n", encoding="utf-8")
    with pytest.raises(ValueError, match="vectors has 3 rows for 2 item ids"):
        Embeddings.load(tmp_path / "v.npy")
    (tmp_path / "w.ids.txt").write_text("a\n", encoding="utf-8")
    (tmp_path / "w.npy").write_bytes(b"nonsense")
    with pytest.raises(ValueError, match=r"w\.npy' is not a \.npy file"):
        Embeddings.load(tmp_path / "w.npy")
    with pytest.raises(ValueError, match="does not fit on a line"):
        Embeddings(["a\nb"], [[1.0]]).save(tmp_path / "x.npy")
    assert not (tmp_path / "x.npy").exists()
