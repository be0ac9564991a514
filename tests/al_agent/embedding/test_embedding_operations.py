"""What can be made of embeddings: more items, more dimensions, unit length, fewer dimensions."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.decomposition import PCA

from al_agent import Embeddings
from al_agent.embedding import principal_components as components


def named(vectors: npt.ArrayLike, prefix: str = "i", **more: Any) -> Embeddings:
    rows = np.asarray(vectors)
    return Embeddings([f"{prefix}{row}" for row in range(len(rows))], rows, **more)


@pytest.fixture(params=["memory", "disk"])
def kept(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[Embeddings], Embeddings]:
    """The same embeddings in memory, or mapped from a file."""

    def keep(embeddings: Embeddings) -> Embeddings:
        if request.param == "memory":
            return embeddings
        embeddings.save(tmp_path / "kept.npy")
        return Embeddings.load(tmp_path / "kept.npy")

    return keep


# concat


def test_parts_follow_each_other_in_the_widest_type() -> None:
    parts = [named(np.ones((1, 2), np.float16), "a"), named(np.zeros((2, 2), np.float32), "b")]
    whole = Embeddings.concat(parts)
    assert whole.item_ids == ("a0", "b0", "b1")
    assert whole.vectors.dtype == np.float32
    assert whole.vectors.tolist() == [[1, 1], [0, 0], [0, 0]]
    assert Embeddings.concat(parts[:1]).vectors.dtype == np.float16
    assert Embeddings.concat(iter(parts)).digest == whole.digest  # type: ignore[arg-type]


def test_parts_that_do_not_fit_are_named() -> None:
    a, b = named(np.ones((2, 2)), "a"), named(np.ones((3, 3)), "b")
    with pytest.raises(ValueError, match="part 1 has 3 dimensions, part 0 has 2; expected as many in each"):
        Embeddings.concat([a, b])
    with pytest.raises(
        ValueError, match="2 items are in more than one part, the first is 'a0' in parts 0 and 2; leave them out"
    ):
        Embeddings.concat([a, named(np.ones((2, 2)), "c"), a])
    for combine in (Embeddings.concat, Embeddings.side_by_side):
        with pytest.raises(ValueError, match="parts is empty"):
            combine([])
        with pytest.raises(ValueError, match=r"parts is Embeddings\(2 items.*expected a list of Embeddings"):
            combine(a)  # type: ignore[arg-type]
        with pytest.raises(ValueError, match="part 1 is ndarray; expected Embeddings"):
            combine([a, a.vectors])  # type: ignore[list-item]


def test_a_description_is_kept_if_all_parts_share_it() -> None:
    one, same = named([[1.0]], "a", description="net 1"), named([[1.0]], "b", description="net 1")
    assert Embeddings.concat([one, same]).description == "net 1"
    assert Embeddings.concat([one, named([[1.0]], "c")]).description is None
    with pytest.warns(UserWarning, match="parts are made differently: 'net 1' and 'net 2'; are they comparable?") as caught:
        assert Embeddings.concat([one, named([[1.0]], "c", description="net 2")]).description is None
    assert caught[0].filename == __file__


# side_by_side


def test_vectors_of_an_item_are_put_side_by_side_by_id() -> None:
    looks = Embeddings(["a", "b"], np.array([[1, 2], [3, 4]], np.float32), description="looks")
    place = Embeddings(["b", "a"], np.array([[30], [10]], np.float16), description="place")
    both = Embeddings.side_by_side([looks, place])
    assert both.item_ids == ("a", "b")
    assert both.vectors.tolist() == [[1, 2, 10], [3, 4, 30]]
    assert both.vectors.dtype == np.float32
    assert both.description == "looks | place"
    assert Embeddings.side_by_side([looks, Embeddings(["a", "b"], [[1.0], [2.0]])]).description is None


def test_items_that_are_not_in_every_part_are_named() -> None:
    a = Embeddings(["a", "b"], np.ones((2, 1)))
    with pytest.raises(ValueError, match="1 items of part 0 are not in part 1, the first is 'b'"):
        Embeddings.side_by_side([a, Embeddings(["a"], [[1.0]])])
    with pytest.raises(ValueError, match="2 items of part 2 are not in part 0, the first is 'd'"):
        Embeddings.side_by_side([a, a, Embeddings(["d", "a", "c", "b"], np.ones((4, 1)))])


# normalise


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_rows_get_unit_length_in_their_own_type(dtype: str, kept: Callable[[Embeddings], Embeddings]) -> None:
    rows = np.random.default_rng(0).normal(size=(3000, 60)).astype(dtype)
    rows[0] = np.finfo(dtype).max  # squares of it are beyond the type
    rows[1] = 0
    rows[1, 3] = -np.finfo(dtype).smallest_subnormal
    unit = kept(named(rows, description="net")).normalise()
    assert unit.vectors.dtype == dtype
    scaled = rows.astype(np.float64) / np.abs(rows.astype(np.float64)).max(axis=1)[:, None]
    expected = scaled / np.sqrt((scaled**2).sum(axis=1))[:, None]
    tolerance, least = 4 * float(np.finfo(dtype).eps), float(np.finfo(dtype).smallest_subnormal)
    np.testing.assert_allclose(unit.vectors.astype(np.float64), expected, rtol=tolerance, atol=least)
    assert unit.description in ("net; unit length", "unit length")


def test_a_zero_row_has_no_direction(kept: Callable[[Embeddings], Embeddings]) -> None:
    rows = np.ones((9000, 30), np.float16)
    rows[8765] = [0.0, -0.0] * 15
    with pytest.raises(ValueError, match="embedding of 'i8765' is zero and has no direction; leave it out with subset"):
        kept(named(rows)).normalise()


# reduce


@pytest.mark.parametrize("whiten", [False, True])
@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_principal_components_are_those_of_scikit_learn(
    dtype: str, whiten: bool, kept: Callable[[Embeddings], Embeddings]
) -> None:
    rng = np.random.default_rng(1)
    rows = (rng.normal(size=(500, 12)) * np.arange(12, 0, -1) @ rng.normal(size=(12, 12)) / 9 + 3).astype(dtype)
    found = kept(named(rows)).reduce(5, whiten=whiten)
    model = PCA(5, whiten=whiten, svd_solver="full").fit(rows.astype(np.float64))
    expected = model.transform(rows.astype(np.float64))
    largest = model.components_[np.arange(5), np.abs(model.components_).argmax(axis=1)]
    np.testing.assert_allclose(found.vectors, expected * np.sign(largest), rtol=0, atol=2e-6 * np.abs(expected).max())
    assert found.vectors.dtype == np.float32
    assert found.item_ids == tuple(f"i{row}" for row in range(500))
    share = model.explained_variance_ratio_.sum()
    assert found.description == f"5 principal components of 12, {share:.1%} of the variance" + (
        ", whitened" if whiten else ""
    )


@settings(derandomize=True, database=None, deadline=None, max_examples=40)
@given(
    n=st.integers(2, 40),
    d=st.integers(1, 12),
    shift=st.sampled_from([0.0, 1e3]),
    seed=st.integers(0, 10**6),
)
def test_all_components_keep_all_distances(n: int, d: int, shift: float, seed: int) -> None:
    rows = np.random.default_rng(seed).normal(size=(n, d)) + shift
    found = named(rows).reduce(min(n, d)).vectors.astype(np.float64)
    before = ((rows[:, None] - rows) ** 2).sum(axis=2)
    after = ((found[:, None] - found) ** 2).sum(axis=2)
    np.testing.assert_allclose(after, before, rtol=1e-5, atol=1e-5)


def test_components_do_not_depend_on_blocks_or_the_order_of_items(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = np.random.default_rng(2).normal(size=(700, 20)).astype(np.float32)
    order = np.random.default_rng(3).permutation(700)
    whole = named(rows).reduce(4).vectors
    np.testing.assert_allclose(named(rows[order]).reduce(4).vectors, whole[order], atol=2e-6)
    assert named(rows).reduce(4).digest == named(rows).reduce(4).digest
    monkeypatch.setattr(components, "_VALUES_PER_BLOCK", 33 * 20)
    np.testing.assert_allclose(named(rows).reduce(4).vectors, whole, atol=2e-6)


@pytest.mark.parametrize("scale", [1e-200, 1.0, 1e30])
def test_numbers_whose_squares_are_beyond_float64_are_reduced(scale: float) -> None:
    rows = np.random.default_rng(4).normal(size=(50, 6))
    found = named(rows * scale).reduce(2, whiten=True)
    np.testing.assert_allclose(found.vectors, named(rows).reduce(2, whiten=True).vectors, atol=1e-5)
    with pytest.raises(ValueError, match=r"the embedding of 'i0' is \[inf\]|\[-inf\]"):
        named(rows * 1e300).reduce(1)


@pytest.mark.parametrize("n", [30, 90])
def test_many_dimensions_are_reduced_through_scikit_learn(n: int, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(5)
    rows = rng.normal(size=(n, 6)) * [32, 16, 8, 4, 2, 1] @ np.linalg.qr(rng.normal(size=(100, 6)))[0].T + 5
    exact = named(rows).reduce(3)
    monkeypatch.setattr(components, "MOST_EXACT", 50)
    through = named(rows).reduce(3, seed=7)
    np.testing.assert_allclose(through.vectors, exact.vectors, atol=1e-3)
    assert through.description == exact.description
    assert through.digest == named(rows).reduce(3, seed=7).digest


def test_a_wrong_number_of_dimensions_is_refused() -> None:
    embeddings = named(np.random.default_rng(6).normal(size=(4, 9)))
    for wrong in (0, 5, -1, 2.5, "2"):
        with pytest.raises(ValueError, match="expected a whole number from 1 to 4, the smaller of 4 items and 9 dimensions"):
            embeddings.reduce(wrong)  # type: ignore[arg-type]
    assert embeddings.reduce(np.int64(3)).n_dimensions == 3  # type: ignore[arg-type]


def test_what_does_not_vary_stays_zero_and_cannot_be_whitened() -> None:
    line = named(np.outer(np.arange(5.0), [3.0, 4.0]) + 7)
    np.testing.assert_allclose(line.reduce(2).vectors, [[-10, 0], [-5, 0], [0, 0], [5, 0], [10, 0]], atol=1e-6)
    with pytest.raises(ValueError, match="only 1 dimensions vary, so 2 cannot be whitened; ask for fewer"):
        line.reduce(2, whiten=True)
    same = named(np.full((3, 2), 5.0))
    assert same.reduce(1).vectors.tolist() == [[0.0], [0.0], [0.0]]
    with pytest.raises(ValueError, match="only 0 dimensions vary"):
        same.reduce(1, whiten=True)
    assert named([[1.0, 2.0]]).reduce(1).vectors.tolist() == [[0.0]]


# project


def test_a_map_has_the_same_items_and_two_dimensions() -> None:
    pytest.importorskip("al_agent.embedding.projection")
    embeddings = named(np.random.default_rng(8).normal(size=(40, 5)))
    found = embeddings.project(seed=1)
    assert found.item_ids == embeddings.item_ids
    assert found.vectors.shape == (40, 2)
    assert found.vectors.dtype == np.float64
    with pytest.raises(ValueError, match="nonsense"):
        embeddings.project("nonsense")
