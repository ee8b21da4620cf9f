"""Draws of who moves where, and the sparse matrix that they make."""

from typing import Any

import numpy as np
from numba import njit

from choicemodels.flows.geography import EARTH_RADIUS
from choicemodels.keyed_random import uniform_one

__all__ = ["count_pairs", "draw_county", "fill_pairs"]


@njit(cache=True, nogil=True)
def _distance(points: Any, i: int, j: int) -> Any:
    """Return the great-circle distance of two unit vectors in kilometres, from their chord."""
    x = points[i, 0] - points[j, 0]
    y = points[i, 1] - points[j, 1]
    z = points[i, 2] - points[j, 2]
    return 2.0 * EARTH_RADIUS * np.arcsin(min(1.0, 0.5 * np.sqrt(x * x + y * y + z * z)))


@njit(cache=True, nogil=True)
def _pick(sums: Any, first: int, last: int, below: float, u: float) -> int:
    """Return the place in ``first:last`` where cumulative weights pass the share u of them."""
    goal = below + u * (sums[last - 1] - below)
    low, high = first, last - 1
    while low < high:
        middle = (low + high) // 2
        if sums[middle] > goal:
            high = middle
        else:
            low = middle + 1
    # Rounding may carry the goal to the end, whose own weight can be zero.
    while low > first and sums[low] == sums[low - 1]:
        low -= 1
    return low


@njit(cache=True, nogil=True)
def _county_sums(
    c: int, centres: Any, state: Any, pull: Any, decay: float, start: float, bonus: float, out: Any
) -> None:
    """Fill the cumulative weights of the other counties, by group (G, C)."""
    G, C = out.shape
    total = np.zeros(G)
    for d in range(C):
        factor = 0.0
        if d != c:
            factor = (1.0 + _distance(centres, c, d) / start) ** -decay
            if state[d] == state[c]:
                factor *= bonus
        for g in range(G):
            total[g] += factor * pull[g, d]
            out[g, d] = total[g]


@njit(cache=True, nogil=True)
def _near_sums(
    i: int, first: int, last: int, points: Any, log_income: Any, pull: Any,
    decay: float, start: float, alike: float, out: Any,
) -> None:  # fmt: skip
    """Fill the cumulative weights of the other areas of the county, by group."""
    G = out.shape[0]
    total = np.zeros(G)
    for j in range(first, last):
        factor = 0.0
        if j != i:
            factor = (1.0 + _distance(points, i, j) / start) ** -decay
            factor *= np.exp(-alike * abs(log_income[i] - log_income[j]))
        for g in range(G):
            total[g] += factor * pull[g, j]
            out[g, j - first] = total[g]


@njit(cache=True, nogil=True)
def draw_county(
    c: int, starts: Any, movers: Any, first_person: Any, leavers: Any, key: Any, within: float,
    points: Any, log_income: Any, pull: Any, pull_sums: Any, near: Any,
    centres: Any, state: Any, county_pull: Any, far: Any, out: Any,
) -> None:  # fmt: skip
    """Draw group and destination of each mover of a county.

    Parameters
    ----------
    c
        The county; its areas are ``starts[c]:starts[c + 1]``.
    movers : (N + 1,)
        Those of area i stand at ``movers[i]:movers[i + 1]`` of ``out``.
    first_person : (N,)
        Number of the first person of each area, which keys the draws.
    leavers : (N, G)
        Cumulative shares of groups among those who leave.
    within
        Chance of staying in the county.
    points, centres
        Unit vectors of areas (N, 3) and counties (C, 3).
    pull, pull_sums, county_pull
        Attraction of each area for each group (G, N), its sums over areas so far, and by county.
    near, far
        Exponent, first kilometres, and tuning of income or of the state.
    out
        Destination times the number of groups, plus the group; rising by area.
    """
    G = pull.shape[0]
    first, last = starts[c], starts[c + 1]
    if movers[last] == movers[first]:
        return
    outside = np.empty((G, centres.shape[0]))
    _county_sums(c, centres, state, county_pull, far[0], far[1], far[2], outside)
    inside = np.empty((G, last - first))
    if last - first == 1:
        within = 0.0
    elif centres.shape[0] == 1:
        within = 1.0
    for i in range(first, last):
        if within > 0.0:
            _near_sums(i, first, last, points, log_income, pull, near[0], near[1], near[2], inside)
        for n in range(movers[i], movers[i + 1]):
            person = first_person[i] + n - movers[i]
            u = uniform_one(key, person, 0)
            g = 0
            while g < G - 1 and leavers[i, g] < u:
                g += 1
            if uniform_one(key, person, 1) < within:
                j = first + _pick(inside[g], 0, last - first, 0.0, uniform_one(key, person, 2))
            else:
                d = _pick(outside[g], 0, centres.shape[0], 0.0, uniform_one(key, person, 2))
                below = pull_sums[g, starts[d] - 1] if starts[d] > 0 else 0.0
                u = uniform_one(key, person, 3)
                j = _pick(pull_sums[g], starts[d], starts[d + 1], below, u)
            out[n] = j * G + g
        out[movers[i] : movers[i + 1]].sort()


@njit(cache=True, nogil=True)
def count_pairs(first: int, last: int, movers: Any, moves: Any, groups: int, out: Any) -> None:
    """Count the destinations of each area, itself among them."""
    for i in range(first, last):
        count, before = 1, -1
        for n in range(movers[i], movers[i + 1]):
            j = moves[n] // groups
            count += j != before
            before = j
        out[i] = count


@njit(cache=True, nogil=True)
def fill_pairs(
    first: int, last: int, movers: Any, moves: Any, groups: int, people: Any,
    indptr: Any, indices: Any, values: Any,
) -> None:  # fmt: skip
    """Add up the moves of each pair; who did not move stands on the diagonal."""
    for i in range(first, last):
        k = indptr[i]
        stayers = people[i] - (movers[i + 1] - movers[i])
        placed = False
        before = -1
        for n in range(movers[i], movers[i + 1]):
            j = moves[n] // groups
            if j != before:
                if j > i and not placed:
                    indices[k], values[k], placed = i, stayers, True
                    k += 1
                indices[k], values[k], before = j, 0.0, j
                k += 1
            values[k - 1] += 1.0
        if not placed:
            indices[k], values[k] = i, stayers
