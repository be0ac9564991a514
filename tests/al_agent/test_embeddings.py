"""Embeddings: checked at birth, kept by id."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from al_agent import Embeddings


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
