"""The distance of two rows is one number, bit by bit what a loop in plain Python gives."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from samplers import Pool, distances
from samplers.distances import UnitRows, blocks, mean_of, row_sums, squared_distances, unit, unit_rows, vectors_in

Floats = npt.NDArray[np.floating[Any]]

many = settings(max_examples=50, deadline=None, derandomize=True, database=None)

DIMENSIONS = [1, 2, 3, 31, 32, 33, 63, 64, 65, 127, 128, 130, 200]
TYPES = ["f2", "f4", "f8", ">f4", ">f8", "longdouble"]


def lanes_of(squares: list[float]) -> float:
    """The sum in the documented order: 64 lanes, each in ascending order, then 32 to 32, 16 to 16, down to one."""
    lanes = [0.0] * 64
    for place, square in enumerate(squares):
        lanes[place % 64] += square
    half = 32
    while half:
        for lane in range(half):
            lanes[lane] += lanes[lane + half]
        half //= 2
    return lanes[0]


def by_hand(left: list[float], right: list[float]) -> float:
    return lanes_of([(a - b) * (a - b) for a, b in zip(left, right)])


def rows_like(seed: int, n: int, d: int, dtype: str) -> Floats:
    """Coordinates of very different sizes: any other order of the sum ends in other bits."""
    rng = np.random.default_rng(seed)
    return (rng.normal(size=(n, d)) * 10.0 ** rng.integers(-3, 4, size=(n, d))).astype(dtype)


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("d", DIMENSIONS)
def test_squared_distances_are_the_plain_loop_bit_by_bit(d: int, dtype: str) -> None:
    vectors = rows_like(d, 9, d, dtype)
    left, right = np.repeat(np.arange(9), 9), np.tile(np.arange(9), 9)
    lists = vectors.astype(np.float64).tolist()
    expected = [by_hand(lists[i], lists[j]) for i, j in zip(left, right)]
    assert squared_distances(vectors, left, right).tolist() == expected
    assert squared_distances(vectors, left, vectors[right]).tolist() == expected
    assert squared_distances(np.asfortranarray(vectors), left, right).tolist() == expected
    assert squared_distances(vectors, np.arange(9), vectors[3]).tolist() == expected[3::9]


def test_the_lanes_are_the_order_and_not_any_other() -> None:
    """Of a plain sum from left to right the bits differ, so that the tests above could fail."""
    vectors = rows_like(0, 40, 200, "f8")
    plain = [sum((a - b) * (a - b) for a, b in zip(row, vectors[0].tolist())) for row in vectors.tolist()]
    assert squared_distances(vectors, np.arange(40), np.zeros(40, dtype=np.int64)).tolist() != plain


@pytest.mark.parametrize("dtype", ["f2", "f4", "f8"])
@pytest.mark.parametrize("d", DIMENSIONS)
def test_the_compiled_distance_has_the_same_bits(d: int, dtype: str) -> None:
    pytest.importorskip("numba")
    from samplers.centers import kernels  # noqa: PLC0415  # numba is an extra

    vectors = rows_like(d, 30, d, dtype).astype("f4" if dtype == "f2" else dtype)  # halves are compiled as singles
    lanes = np.full(64, np.nan)
    found = [kernels.canonical(vectors, i, vectors, j, lanes) for i in range(30) for j in range(0, 30, 7)]
    rows, others = np.repeat(np.arange(30), 5), np.tile(np.arange(0, 30, 7), 30)
    assert found == squared_distances(vectors, rows, others).tolist()
    several = np.empty(30)
    nearest = np.arange(30)[::-1].astype(np.int32)
    kernels.distances_to(vectors, np.arange(30), vectors[:30], nearest, several)
    assert several.tolist() == squared_distances(vectors, np.arange(30), nearest.astype(np.int64)).tolist()


@many
@given(seed=st.integers(0, 10**6), n=st.integers(0, 60), d=st.integers(1, 140), values=st.integers(1, 300))
def test_block_sizes_change_no_bit_of_a_distance(seed: int, n: int, d: int, values: int) -> None:
    vectors = rows_like(seed, 20, d, "f4")
    rng = np.random.default_rng(seed)
    rows, others = rng.integers(0, 20, size=n), rng.integers(0, 20, size=n)
    expected = squared_distances(vectors, rows, others)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(distances, "blocks", lambda n_rows, width: blocks(n_rows, width, values))
        assert squared_distances(vectors, rows, others).tolist() == expected.tolist()
        assert squared_distances(vectors, rows, vectors[others]).tolist() == expected.tolist()


def test_a_distance_is_symmetric_0_to_itself_and_whole_for_whole_numbers() -> None:
    vectors = rows_like(5, 30, 77, "f4")
    i, j = np.repeat(np.arange(30), 30), np.tile(np.arange(30), 30)
    assert squared_distances(vectors, i, j).tolist() == squared_distances(vectors, j, i).tolist()
    assert squared_distances(vectors, np.arange(30), np.arange(30)).tolist() == [0.0] * 30
    grid = np.random.default_rng(1).integers(-9, 10, size=(30, 150))
    found = squared_distances(grid.astype(np.float16) + np.float16(1000), i, j)
    assert found.tolist() == ((grid[i] - grid[j]) ** 2).sum(axis=1).tolist()


@pytest.mark.parametrize(("value", "expected"), [(1e100, 4e200), (1e-150, 4e-300), (1e-170, 0.0), (5e-324, 0.0)])
def test_large_and_tiny_coordinates(value: float, expected: float) -> None:
    vectors = np.array([[value], [-value]])
    found = squared_distances(vectors, np.array([0]), np.array([1]))
    np.testing.assert_allclose(found, [expected], rtol=1e-15)


# --- The mean ---


def mean_by_hand(vectors: Floats) -> list[float]:
    """Sums of 4,096 rows from the first to the last, and their sum from the first to the last."""
    means = []
    for column in vectors.astype(np.float64).T.tolist():
        sums = []
        for start in range(0, len(column), 4096):
            partial = column[start]
            for value in column[start + 1 : start + 4096]:
                partial += value
            sums.append(partial)
        whole = sums[0]
        for partial in sums[1:]:
            whole += partial
        means.append(whole / len(column))
    return means


@pytest.mark.parametrize("d", [1, 2, 3, 4, 8, 17, 64, 130])
@pytest.mark.parametrize("n", [1, 2, 7, 9, 129, 4096, 4097, 9000])
def test_the_mean_is_added_up_in_the_documented_order(n: int, d: int) -> None:
    vectors = rows_like(n + d, n, min(d, 130 if n < 5000 else 17), "f4")
    assert mean_of(vectors).tolist() == mean_by_hand(vectors)
    assert len(row_sums(vectors)) == -(-n // 4096)


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("d", [1, 5])
def test_the_mean_is_the_same_however_the_array_lies(d: int, dtype: str) -> None:
    vectors = rows_like(d, 5000, d, dtype)
    expected = mean_by_hand(vectors)
    assert mean_of(vectors).tolist() == expected
    assert mean_of(np.asfortranarray(vectors)).tolist() == expected
    assert mean_of(np.repeat(vectors, 2, axis=0)[::2]).tolist() == expected
    assert mean_of(np.concatenate([vectors, vectors], axis=1)[:, :d]).tolist() == expected


# --- Directions ---


def unit_by_hand(row: list[float]) -> list[float]:
    power = -math.frexp(max(abs(value) for value in row))[1]
    scaled = [math.ldexp(value, power) for value in row]
    length = math.sqrt(lanes_of([value * value for value in scaled]))
    return [value / length for value in scaled]


@pytest.mark.parametrize("dtype", ["f2", "f4", "f8", ">f4", "longdouble"])
@pytest.mark.parametrize("d", [1, 2, 63, 64, 65, 130])
def test_unit_rows_by_hand_and_one_at_a_time(d: int, dtype: str) -> None:
    vectors = rows_like(d, 40, d, dtype)
    vectors[(vectors == 0).all(axis=1)] = 1
    found = unit_rows(vectors)
    assert found.dtype == np.promote_types(vectors.dtype, np.float32)
    expected = np.array([unit_by_hand(row) for row in vectors.astype(np.float64).tolist()]).astype(found.dtype)
    assert found.tolist() == expected.tolist()
    late = UnitRows(vectors)
    assert (len(late), late.shape, late.dtype) == (40, vectors.shape, found.dtype)
    for row in range(40):
        assert late[row : row + 1].tolist() == found[row : row + 1].tolist()
    rows = np.random.default_rng(0).integers(0, 40, size=25)
    assert late[rows].tolist() == found[rows].tolist()
    assert late[3:31:4].tolist() == found[3:31:4].tolist()


@pytest.mark.parametrize("values", [1, 50, 1 << 17])
def test_unit_rows_do_not_depend_on_the_block(values: int, monkeypatch: pytest.MonkeyPatch) -> None:
    vectors = rows_like(3, 3000, 70, "f4")
    expected = unit_rows(vectors)
    monkeypatch.setattr(distances, "blocks", lambda n_rows, width: blocks(n_rows, width, values))
    assert unit_rows(vectors).tobytes() == expected.tobytes()


@pytest.mark.parametrize("exponent", [-1060, -600, -149, 120, 330])
def test_a_power_of_two_changes_no_direction(exponent: int) -> None:
    vectors = np.round(np.random.default_rng(2).normal(size=(30, 9)), 2)  # few bits, so that denormal numbers hold them
    vectors = np.rint(vectors * 100)
    vectors[:, 0] += 1000
    assert unit_rows(np.ldexp(vectors, exponent)).tolist() == unit_rows(vectors).tolist()


def test_a_unit_vector_and_that_of_0() -> None:
    assert unit(np.array([3.0, -4.0])).tolist() == [0.6, -0.8]
    assert unit(np.zeros(3)).tolist() == [0.0] * 3


def test_only_cosine_divides_and_only_cosine_refuses_a_zero_row() -> None:
    vectors = np.array([[3.0, 4.0], [0.0, 2.0], [0.0, 0.0]])
    assert vectors_in(Pool(("a", "b"), vectors=vectors[:2]), "cosine").tolist() == [[0.6, 0.8], [0.0, 1.0]]
    pool = Pool(("a", "b", "c"), vectors=vectors)
    assert vectors_in(pool, "euclidean") is pool.vectors
    with pytest.raises(ValueError, match="the embedding of 'c' is zero and has no direction"):
        vectors_in(pool, "cosine")


@many
@given(n=st.integers(0, 1000), width=st.integers(0, 50), values=st.integers(1, 400))
def test_blocks_cut_all_rows_once_in_order_and_none_is_too_large(n: int, width: int, values: int) -> None:
    parts = list(blocks(n, width, values))
    assert [row for part in parts for row in range(n)[part]] == list(range(n))
    assert all(1 <= part.stop - part.start <= max(1, values // max(1, width)) for part in parts)
