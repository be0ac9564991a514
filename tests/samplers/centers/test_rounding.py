"""Bounds are bounds: no true squared distance lies outside of them, whatever the rows."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from samplers.centers.codes import Codes
from samplers.centers.local import frame_of
from samplers.centers.rounding import Rounding, half_norms, largest_coordinate

Floats = npt.NDArray[np.floating[Any]]
Floats32 = npt.NDArray[np.float32]
Float64s = npt.NDArray[np.float64]
Rows = npt.NDArray[np.int64]
Kind = Callable[[np.random.Generator, int, int], Float64s]
Products = Callable[[Floats32, Floats32], Floats32]


def one_outlier(rng: np.random.Generator, n: int, d: int) -> Float64s:
    vectors = rng.normal(size=(n, d))
    vectors[n // 2] *= 1e12
    return vectors


def one_large_column(rng: np.random.Generator, n: int, d: int) -> Float64s:
    vectors = rng.normal(size=(n, d)) * 1e-4
    vectors[:, 0] = rng.normal(size=n) * 1e3
    return vectors


KINDS: dict[str, Kind] = {
    "random": lambda rng, n, d: rng.normal(size=(n, d)),
    "offset 1e4": lambda rng, n, d: rng.normal(size=(n, d)) + 1e4,
    "nearly equal": lambda rng, n, d: 1 + rng.normal(size=(n, d)) * 1e-6,
    "duplicates": lambda rng, n, d: rng.normal(size=(4, d))[rng.integers(0, 4, size=n)],
    "all equal": lambda rng, n, d: np.full((n, d), 0.1),
    "all 0": lambda rng, n, d: np.zeros((n, d)),
    "one outlier": one_outlier,
    "one large column": one_large_column,
    "all positive": lambda rng, n, d: np.abs(rng.normal(size=(n, d))),
    "many sizes": lambda rng, n, d: rng.normal(size=(n, d)) * 10.0 ** rng.integers(-20, 3, size=(n, d)),
    "denormal singles": lambda rng, n, d: rng.normal(size=(n, d)) * np.where(np.arange(n) % 3, 1e-44, 1)[:, None],
    **{
        f"scale {scale:g}": lambda rng, n, d, scale=scale: rng.normal(size=(n, d)) * scale  # type: ignore[misc]
        for scale in (1e-150, 1e-38, 1e-30, 1e-15, 1e15, 1e30, 1e37)
    },
}
DIMENSIONS = [1, 2, 33, 130]
UNIT = 2**1074  # of the smallest float there is


def rows_of(kind: str, d: int, dtype: npt.DTypeLike) -> Floats:
    with np.errstate(under="ignore"):
        return KINDS[kind](np.random.default_rng(d), 24, d).astype(dtype)


def whole(value: float) -> int:
    """A float in units of the smallest; sums of fractions would look for common divisors at each step."""
    numerator, denominator = value.as_integer_ratio()
    return numerator * (UNIT // denominator)


def exact(left: Floats, right: Floats) -> Fraction:
    """The true squared distance of two rows of floats, without any rounding."""
    pairs = zip(left.astype(np.float64).tolist(), right.astype(np.float64).tolist())
    return Fraction(sum((whole(a) - whole(b)) ** 2 for a, b in pairs), UNIT**2)


def assert_between(lower: Float64s, upper: Float64s, vectors: Floats, rows: Rows, others: Rows) -> None:
    for low, high, row, other in zip(lower.tolist(), upper.tolist(), rows.tolist(), others.tolist()):
        truth = exact(vectors[row], vectors[other])
        assert 0 <= low <= high < np.inf
        assert Fraction(low) <= truth <= Fraction(high), f"rows {row} and {other}: {low}, {float(truth)}, {high}"


def one_after_the_other(left: Floats32, right: Floats32) -> Floats32:
    """Products added up in float32 from the last coordinate to the first: the worst order there is."""
    result = np.zeros((len(left), len(right)), dtype=np.float32)
    for column in range(left.shape[1])[::-1]:
        result += left[:, column, None] * right[None, :, column]
    return result


def by_matrix(left: Floats32, right: Floats32) -> Floats32:
    return left @ right.T


def some_pairs(n: int) -> tuple[Rows, Rows]:
    """Each row with itself and with a few others."""
    rows = np.arange(n)
    return np.tile(rows, 4), np.concatenate([rows, (rows + 1) % n, (rows * 7 + 3) % n, np.full(n, n // 2)])


@pytest.mark.parametrize("product", [by_matrix, one_after_the_other])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("d", DIMENSIONS)
@pytest.mark.parametrize("kind", KINDS)
def test_products_give_bounds_from_both_sides(kind: str, d: int, dtype: npt.DTypeLike, product: Products) -> None:
    vectors = rows_of(kind, d, dtype)
    middle = frame_of(vectors).middle
    rounding = Rounding(middle, largest_coordinate(vectors, middle))
    around = rounding.around(vectors)
    assert around.dtype == np.float32
    assert np.abs(around).max() <= 2.0001
    half = half_norms(around)
    rows, others = some_pairs(len(vectors))
    with np.errstate(under="ignore"):
        products = product(around, around)[rows, others].astype(np.float64)
    highest = products - half[others] * (1 - rounding.slack)
    lower = rounding.least(half[rows], highest)
    upper = rounding.greatest(half[rows], highest, half[others])
    assert_between(lower, upper, vectors, rows, others)


@pytest.mark.parametrize("kind", ["random", "offset 1e4", "one large column"])
def test_halves_are_bounded_too(kind: str) -> None:
    vectors = rows_of(kind, 33, np.float16)
    middle = frame_of(vectors).middle
    rounding = Rounding(middle, largest_coordinate(vectors, middle))
    around = rounding.around(vectors)
    half = half_norms(around)
    rows, others = some_pairs(len(vectors))
    highest = by_matrix(around, around)[rows, others] - half[others] * (1 - rounding.slack)
    upper = rounding.greatest(half[rows], highest, half[others])
    assert_between(rounding.least(half[rows], highest), upper, vectors, rows, others)


def test_bounds_are_close_enough_to_rule_rows_out() -> None:
    vectors = rows_of("random", 130, np.float32)
    rounding = Rounding(np.zeros(130), largest_coordinate(vectors, np.zeros(130)))
    around = rounding.around(vectors)
    half = half_norms(around)
    highest = (around @ around[0]).astype(np.float64) - half[0] * (1 - rounding.slack)
    truth = ((vectors.astype(np.float64) - vectors[0]) ** 2).sum(axis=1)
    np.testing.assert_allclose(rounding.least(half, highest)[1:], truth[1:], rtol=2e-4)
    np.testing.assert_allclose(rounding.greatest(half, highest, half[0])[1:], truth[1:], rtol=2e-4)


# --- Codes ---


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("d", DIMENSIONS)
@pytest.mark.parametrize("kind", KINDS)
def test_products_of_codes_give_bounds_too(kind: str, d: int, dtype: npt.DTypeLike) -> None:
    vectors = rows_of(kind, d, dtype)
    middle = frame_of(vectors).middle
    rounding = Rounding(middle, largest_coordinate(vectors, middle))
    around = rounding.around(vectors)
    half = half_norms(around)
    codes = Codes(*vectors.shape)
    codes.put(slice(0, 15), around[:15])
    codes.put(slice(15, len(vectors)), around[15:])
    held = codes.of(np.arange(len(vectors)))
    rows, others = some_pairs(len(vectors))
    products = by_matrix(held, around)[rows, others].astype(np.float64)
    highest = products - half[others] * (1 - rounding.slack)
    lost = codes.lost[rows] * np.sqrt(2 * half[others])
    lower = rounding.least(half[rows], highest + lost)
    upper = rounding.greatest(half[rows], highest - lost, half[others])
    assert_between(lower, upper, vectors, rows, others)


@pytest.mark.parametrize("kind", KINDS)
def test_codes_say_what_they_lost(kind: str) -> None:
    vectors = rows_of(kind, 70, np.float64)
    rounding = Rounding(np.zeros(70), largest_coordinate(vectors, np.zeros(70)))
    around = rounding.around(vectors)
    codes = Codes(*vectors.shape)
    codes.put(slice(0, len(vectors)), around)
    assert codes.codes.nbytes == vectors.size
    assert np.abs(codes.codes.astype(np.int64)).max(initial=0) <= 127
    for row, (given, back) in enumerate(zip(around, codes.of(np.arange(len(vectors))))):
        # squares below float32 are lost; their products are below the floor
        assert exact(given, back) <= Fraction(float(codes.lost[row]) + 1e-21) ** 2
        largest = float(np.abs(given).max())
        assert codes.lost[row] <= np.sqrt(70) * (largest / 254 + 1e-40) * 1.0001 + 1e-6 * largest


# --- Screens of the compiled kernels ---


def in_and_beside_the_axes() -> Floats32:
    """Rows in a space of 31 axes; rows a little beside it; rows at right angles to it, which the axes know nothing of."""
    rng = np.random.default_rng(0)
    vectors = np.zeros((2848, 64), dtype=np.float32)
    vectors[:1024, :31] = rng.normal(size=(1024, 31))
    vectors[1024:2048] = -vectors[:1024]
    inside, beside = rng.normal(size=(400, 31)), rng.normal(size=(400, 33))
    beside /= np.linalg.norm(beside, axis=1, keepdims=True)
    vectors[2048:2448, :31] = inside / np.linalg.norm(inside, axis=1, keepdims=True)
    vectors[2048:2448, 31:] = beside * 10.0 ** rng.uniform(-6, -2, size=(400, 1))
    vectors[2448:, 31:] = beside
    return vectors


def assert_screened(vectors: Floats, rows: Rows, others: Rows) -> None:
    from samplers.centers.compiled import Low  # noqa: PLC0415  # numba is an extra

    frame = frame_of(vectors)
    rounding = Rounding(frame.middle, largest_coordinate(vectors, frame.middle))
    screens, half = Low(frame, rounding).of(rounding.around(vectors))
    assert screens.shape[1] % 4 == 0
    np.testing.assert_allclose(half, half_norms(rounding.around(vectors)), rtol=1e-12)
    products = np.einsum("ij,ij->i", screens[rows], screens[others], dtype=np.float32).astype(np.float64)
    lower = rounding.least(half[rows], products - half[others] * (1 - rounding.slack))
    upper = np.full(len(rows), np.finfo(np.float64).max)
    assert_between(lower, upper, vectors, rows, others)


@pytest.mark.parametrize("d", [1, 2, 33, 130])
@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind not in ("scale 1e-150", "scale 1e-30", "scale 1e-38")])
def test_screens_in_few_dimensions_are_bounds_from_below(kind: str, d: int) -> None:
    pytest.importorskip("numba")
    vectors = rows_of(kind, d, np.float32)
    assert_screened(vectors, *some_pairs(len(vectors)))


def test_a_row_a_little_beside_the_axes_is_not_taken_for_one_inside() -> None:
    pytest.importorskip("numba")
    vectors = in_and_beside_the_axes()
    assert_screened(vectors, np.arange(2048, 2448), np.arange(2448, 2848))


@pytest.mark.parametrize("kind", ["random", "offset 1e4", "nearly equal", "one outlier", "one large column", "scale 1e-15"])
@pytest.mark.parametrize("d", DIMENSIONS)
def test_distances_in_single_precision_are_as_good_as_their_room(d: int, kind: str) -> None:
    pytest.importorskip("numba")
    from samplers.centers import kernels  # noqa: PLC0415  # numba is an extra
    from samplers.centers.compiled import room_of  # noqa: PLC0415

    vectors = rows_of(kind, d, np.float32)
    room = room_of(vectors, largest_coordinate(vectors, np.zeros(d)), Rounding(np.zeros(d), 1.0).slack)
    if kind == "scale 1e-15":
        vectors = rows_of("random", d, np.float32) * np.float32(1e-15)
    rows, others = some_pairs(len(vectors))
    near = np.array([kernels.nearly(vectors, row, vectors, other) for row, other in zip(rows, others)])
    lower = np.maximum(near * (1 - min(room, 1e-3)) - kernels.FLOOR, 0)
    assert_between(lower, near * (1 + min(room, 1e-3)) + kernels.FLOOR, vectors, rows, others)


def test_single_precision_is_trusted_only_where_it_can_be() -> None:
    pytest.importorskip("numba")
    from samplers.centers.compiled import room_of  # noqa: PLC0415  # numba is an extra

    ones = np.ones((2, 3), dtype=np.float32)
    assert [room_of(ones, largest, 0.5) for largest in (0.0, 1e-16, 1e-14, 1.0, 1e14, 1e16)] == [
        *(0.5, np.inf, 0.5, 0.5, 0.5, np.inf)
    ]
    assert room_of(ones.astype(np.float64), 1.0, 0.5) == np.inf
    assert room_of(ones.astype(np.float16), 1.0, 0.5) == np.inf


# --- What is rounded ---


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_the_largest_coordinate_is_of_any_row_or_the_middle(dtype: npt.DTypeLike) -> None:
    vectors = np.zeros((3000, 100), dtype=dtype)
    assert largest_coordinate(vectors, np.zeros(100)) == 0
    vectors[2999, 99] = -7
    assert largest_coordinate(vectors, np.zeros(100)) == 7
    vectors[0, 0] = 8
    assert largest_coordinate(vectors, np.zeros(100)) == 8
    assert largest_coordinate(vectors, np.full(100, -9.0)) == 9


@pytest.mark.parametrize("largest", [1e-150, 1e-30, 0.7, 1.0, 1.1, 1e30, 1e100])
def test_the_unit_is_a_power_of_two_that_brings_all_to_about_1(largest: float) -> None:
    rounding = Rounding(np.zeros(4), largest)
    assert np.frexp(rounding.scale)[0] == 0.5
    scaled = largest * rounding.scale
    assert scaled <= 1
    assert scaled > 0.5 or largest == 1e-150  # which 2 ** 400 cannot bring to 1
