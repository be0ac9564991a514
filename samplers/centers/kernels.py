"""Kernels of the greedy walk, compiled by numba; they give the picks of the plain numpy path, sooner.

The screens are products of rows around a middle, in few dimensions or in all, and distances in the vectors' own type. Their
errors are known, so that they give bounds from both sides; the canonical distance alone decides. In few dimensions, with the
length of what is left out as one more coordinate, `x . c` can only come out too large, and the bound holds from below.
"""

# Array shapes: n rows, d dimensions, w dimensions of the screen, b centers in a block, t centers.
# mypy: disable-error-code="untyped-decorator"

from __future__ import annotations

from typing import Any

import numba
import numpy as np

LANES = 64  # as in distances.LANES; a constant of the compiled code
FLOOR = 1e-36  # room for products of denormal numbers
_F32 = np.float32


def _kernel(**options: Any) -> Any:
    return numba.njit(nogil=True, cache=True, error_model="numpy", **options)


@_kernel()
def canonical(left: Any, i: int, right: Any, j: int, lanes: Any) -> float:
    """`distances.squared_distances` of one pair; no fused and no reordered operation."""
    d = left.shape[1]
    for lane in range(LANES):
        lanes[lane] = 0.0
    whole = d // LANES * LANES
    for start in range(0, whole, LANES):
        for lane in range(LANES):
            difference = np.float64(left[i, start + lane]) - np.float64(right[j, start + lane])
            lanes[lane] += difference * difference
    for lane in range(d - whole):
        difference = np.float64(left[i, whole + lane]) - np.float64(right[j, whole + lane])
        lanes[lane] += difference * difference
    half = LANES // 2
    while half >= 1:
        for lane in range(half):
            lanes[lane] += lanes[lane + half]
        half //= 2
    result: float = lanes[0]
    return result


@_kernel(fastmath=True)
def _nearly_of_code(codes: Any, unit: float, i: int, right: Any, j: int) -> float:
    """The squared distance of a coded row to a center, in float32."""
    result = _F32(0)
    for column in range(codes.shape[1]):
        difference = _F32(codes[i, column]) * unit - right[j, column]
        result += difference * difference
    return np.float64(result)


@_kernel(fastmath=True)
def nearly(left: Any, i: int, right: Any, j: int) -> float:
    """The squared distance of one pair in the vectors' own type, summed in any order."""
    result = left[i, 0] * left.dtype.type(0)
    for column in range(left.shape[1]):
        difference = left[i, column] - right[j, column]
        result += difference * difference
    return np.float64(result)


@_kernel()
def worth(squared: float, weight: float, goal: Any) -> float:
    """`Goal.worths` of one row; the goal is `(is_cosine, min_distance, is_flat)`."""
    distance = squared * 0.5 if goal[0] else np.sqrt(squared)
    if distance < goal[1]:
        return -1.0
    return weight if goal[2] else weight * distance


@_kernel(fastmath=True)
def _highest(values: Any, start: int, stop: int) -> float:
    result: float = values[start]
    for b in range(start + 1, stop):
        result = max(result, values[b])
    return result


@_kernel()
def _meet(row: int, center: int, low: float, high: float, bounds: Any) -> None:
    """Update the bounds of a row, which are `(squared, lower, rival, nearest, is_exact)`, by those of one more center."""
    squared, lower, rival, nearest, is_exact = bounds
    if high < squared[row]:
        if nearest[row] >= 0:
            rival[row] = min(rival[row], lower[row])
        squared[row], lower[row], nearest[row] = high, low, center
        is_exact[row] = False
    elif low <= squared[row]:
        rival[row] = min(rival[row], low)
        is_exact[row] = False


@_kernel()
def _between(
    points: Any, coded: Any, row: int, centers: Any, around: Any, center: int, rounding: Any
) -> tuple[float, float]:
    """Bounds on the squared distance of a row to a center, by the row's vector, or by its code where there is one."""
    _, scale, room = rounding
    units, lost = coded
    if len(units) == 0:
        near = nearly(points, row, centers, center)
        return near * (1 - room) - FLOOR, near * (1 + room) + FLOOR
    near = _nearly_of_code(points, units[row], row, around, center)
    least = max(np.sqrt(max(near * (1 - room) - FLOOR, 0.0)) - lost[row], 0.0)
    most = np.sqrt(near * (1 + room) + FLOOR) + lost[row]
    return least * least / (scale * scale), most * most / (scale * scale)


@_kernel()
def look_closer(
    points: Any, coded: Any, held: Any, products: Any, best: Any, half: Any, centers: Any, around: Any, first: int, ids: Any,
    n_left: int, least: float, bounds: Any, seen: Any, weights: Any, goal: Any, rounding: Any, counts: Any,
) -> int:  # fmt: skip
    """Let rows meet a block of centers: pairs that their screens do not rule out have their distance computed.

    A row leaves when it is worth less than `least`.

    Args:
        points: `(n, d)` vectors, or 8-bit codes of them.
        coded: `(units, lost)` of codes, each `(n,)`; of length 0 for vectors.
        held: `(m, w)` float32 screens of the rows; those that stay move to the front.
        products: `(m, b)` float32 products of these with the screens of the centers, less the shrunk half squared norms of
            the centers; overwritten.
        best: `(m,)` where in each row of them the largest is.
        half: `(n,)` half squared norms.
        centers: `(t, d)` vectors of the centers.
        around: `(t, d)` float32 centers around the middle, which codes are compared with.
        first: Number of the first center of the block.
        ids: `(m,)` rows; those that stay move to the front.
        n_left: Number of rows.
        least: What a row must be worth to stay.
        bounds: `(squared, lower, rival, nearest, is_exact)`, each `(n,)`; updated.
        seen: `(n,)` int32 number of centers met; updated.
        weights: `(n,)` float64, or of length 0 when all are 1.
        goal: As for `worth`.
        rounding: `(slack, scale, room)`: the relative slack of norms, the unit of the screens, and the relative error of a
            distance in the vectors' own type.
        counts: `(2,)` int64 number of products and of distances; updated.

    Returns:
        The number of rows that stay.
    """
    slack, scale, _ = rounding
    squared, width, kept = bounds[0], products.shape[1], 0
    for a in range(n_left):
        row = ids[a]
        shrunk = half[row] * (1 - slack) - FLOOR
        limit = _F32(shrunk - squared[row] * (0.5 * scale * scale))
        likeliest = best[a]
        if products[a, likeliest] >= limit:
            counts[1] += 1
            low, high = _between(points, coded, row, centers, around, first + likeliest, rounding)
            _meet(row, first + likeliest, low, high, bounds)
            limit = _F32(shrunk - squared[row] * (0.5 * scale * scale))
            for b in range(width):
                if products[a, b] >= limit and b != likeliest:
                    counts[1] += 1
                    low, high = _between(points, coded, row, centers, around, first + b, rounding)
                    _meet(row, first + b, low, high, bounds)
                    limit = _F32(shrunk - squared[row] * (0.5 * scale * scale))
        seen[row] = first + width
        if worth(squared[row], weights[row] if len(weights) else 1.0, goal) >= least:
            if kept != a:
                ids[kept] = row
                for j in range(held.shape[1]):
                    held[kept, j] = held[a, j]
            kept += 1
    counts[0] += n_left * width
    return kept


@_kernel()
def take_in(
    held: Any, products: Any, best: Any, half: Any, lost: Any, center_half: Any, first: int, ids: Any, n_left: int,
    least: float, bounds: Any, seen: Any, weights: Any, goal: Any, rounding: Any, counts: Any,
) -> int:  # fmt: skip
    """As `look_closer`, where the products are those of the whole rows: no distance needs to be computed.

    Args:
        held: `(m, d)` float32 rows around the middle; those that stay move to the front.
        products: `(m, b)` float32 products of these with the centers around the middle; overwritten.
        half: As for `look_closer`, and so all that are not named here.
        lost: `(m,)` how much a product may be off because a row is held in codes.
        center_half: `(b,)` half squared norms of the centers.
    """
    slack, scale, _ = rounding
    squared, _, rival, _, is_exact = bounds
    width, unit = products.shape[1], 2 / (scale * scale)
    kept = 0
    for a in range(n_left):
        row = ids[a]
        likeliest = best[a]
        highest = products[a, likeliest]
        error = lost[a]
        low = max(half[row] * (1 - slack) - highest - error - FLOOR, 0.0) * unit
        if low <= squared[row]:
            products[a, likeliest] = -np.inf
            other = max(half[row] * (1 - slack) - _highest(products[a], 0, width) - error - FLOOR, 0.0) * unit
            high = half[row] * (1 + slack) - highest + error + 2 * slack * center_half[likeliest] + FLOOR
            _meet(row, first + likeliest, low, max(high, 0.0) * unit, bounds)
            if other <= squared[row]:
                rival[row] = min(rival[row], other)
                is_exact[row] = False
        seen[row] = first + width
        if worth(squared[row], weights[row] if len(weights) else 1.0, goal) >= least:
            if kept != a:
                ids[kept] = row
                for j in range(held.shape[1]):
                    held[kept, j] = held[a, j]
            kept += 1
    counts[0] += n_left * width
    return kept


@_kernel()
def distances_to(points: Any, rows: Any, centers: Any, nearest: Any, out: Any) -> None:
    """The canonical distance of each row to its center."""
    lanes = np.empty(LANES)
    for a in range(len(rows)):
        out[a] = canonical(points, rows[a], centers, nearest[a], lanes)


@_kernel()
def centred(points: Any, rows: Any, middle: Any, scale: float, out: Any) -> None:
    """Float32 rows around the middle, in units of the scale."""
    for a in range(len(rows)):
        row = rows[a]
        for j in range(points.shape[1]):
            out[a, j] = (points[row, j] - middle[j]) * scale


@_kernel(fastmath=True)
def _square_of(values: Any) -> float:
    result = 0.0
    for j in range(len(values)):
        result += np.float64(values[j]) * np.float64(values[j])
    return result


@_kernel()
def norms(around: Any, within: Any, rest: Any, half: Any) -> None:
    """From `(m, d)` rows and what of them the axes hold: the lengths `(m,)` of the rest, and half the squared norms."""
    for a in range(len(around)):
        half[a] = _square_of(around[a]) * 0.5
        for j in range(around.shape[1]):
            within[a, j] = around[a, j] - within[a, j]
        rest[a] = _F32(np.sqrt(_square_of(within[a])))


@_kernel(fastmath=True)
def _products_of_one(columns: Any, n_left: int, center: Any, offset: float, half: Any, out: Any) -> None:
    """`out[a] = half[a] + offset - columns[:, a] . center`."""
    for a in range(n_left):
        out[a] = half[a] + offset
    for j in range(0, columns.shape[0], 4):
        c0, c1, c2, c3 = center[j], center[j + 1], center[j + 2], center[j + 3]
        r0, r1, r2, r3 = columns[j], columns[j + 1], columns[j + 2], columns[j + 3]
        for a in range(n_left):
            out[a] -= c0 * r0[a] + c1 * r1[a] + c2 * r2[a] + c3 * r3[a]


@_kernel()
def pick_within(
    points: Any, ids: Any, columns: Any, half: Any, squared: Any, nearest: Any, seen: Any, weights: Any, least: float,
    n_centers: int, goal: Any, rounding: Any, picks: Any, picked_squared: Any, picked_nearest: Any, counts: Any,
) -> int:  # fmt: skip
    """Pick greedily among m candidates until the best is worth less than `least`; the number of picks made.

    Args:
        points: `(m, d)` vectors of the candidates.
        ids: `(m,)` their rows: of candidates worth the same, the lowest is picked.
        columns: `(w, m)` float32 screens; overwritten.
        half: `(m,)` float32 half squared norms, shrunk; overwritten.
        squared: `(m,)` float64 canonical distances, up to date; updated.
        nearest: `(m,)` int32; updated.
        seen: `(m,)` int32 number of centers met; written.
        weights: `(m,)` float64.
        least: What a pick must be worth.
        n_centers: Number of centers so far; the first pick becomes the center of this number.
        goal: As for `look_closer`.
        rounding: As for `look_closer`; a room of infinity has every distance computed canonically.
        picks: `(k,)` places among the candidates, k at most are picked; written.
        picked_squared: `(k,)` squared distance of each when picked; written.
        picked_nearest: `(k,)` nearest center of each when picked; written.
        counts: `(3,)` int64 number of products, of distances, of canonical ones; updated.
    """
    n_left, n_made = len(ids), 0
    place = np.arange(n_left)
    value = np.empty(n_left)
    lanes = np.empty(LANES)
    products = np.empty(n_left, np.float32)
    center = np.empty(columns.shape[0], np.float32)
    _, scale, room = rounding
    unit = 0.5 * scale * scale
    for a in range(n_left):
        value[a] = worth(squared[a], weights[a], goal)
    while n_made < len(picks) and n_left > 0:
        best = 0
        for a in range(1, n_left):
            if value[a] > value[best] or (value[a] == value[best] and ids[place[a]] < ids[place[best]]):
                best = a
        if value[best] < least or value[best] < 0:
            break
        chosen = place[best]
        picks[n_made] = chosen
        picked_squared[n_made] = squared[chosen]
        picked_nearest[n_made] = nearest[chosen]
        number = n_centers + n_made
        n_made += 1
        for j in range(columns.shape[0]):
            center[j] = columns[j, best]
        offset = half[best]
        n_left -= 1
        _drop(best, n_left, place, value, half, columns)
        _products_of_one(columns, n_left, center, offset, half, products)
        counts[0] += n_left
        a = 0
        while a < n_left:
            at = place[a]
            if products[a] <= squared[at] * unit:
                counts[1] += 1
                if np.isinf(room) or nearly(points, at, points, chosen) < squared[at] * (1 + room) + FLOOR:
                    counts[2] += 1
                    found = canonical(points, at, points, chosen, lanes)
                    if found < squared[at]:
                        squared[at] = found
                        nearest[at] = number
                        value[a] = worth(found, weights[at], goal)
                        if value[a] < least:  # its turn comes in a later call
                            seen[at] = number + 1
                            n_left -= 1
                            products[a] = products[n_left]
                            _drop(a, n_left, place, value, half, columns)
                            continue
            a += 1
    for a in range(n_left):
        seen[place[a]] = n_centers + n_made
    return n_made


@_kernel()
def _drop(a: int, last: int, place: Any, value: Any, half: Any, columns: Any) -> None:
    """Fill the place of a candidate that is done with the last one."""
    place[a], value[a], half[a] = place[last], value[last], half[last]
    for j in range(columns.shape[0]):
        columns[j, a] = columns[j, last]
