"""What address histories show of the moves of a nation."""

from typing import Any

import numpy as np
from numba import njit

from choicemodels.keyed_random import uniform_one

__all__ = ["observe_zips"]

# What becomes of a person who moved: not covered, still found at the old address, or found at
# both, either of them known by its ZIP code alone.
_ABSENT, _STALE, _STALE_ZIP, _EXACT, _TO_ZIP, _FROM_ZIP, _BOTH_ZIP = range(7)


@njit(cache=True, nogil=True)
def _fate(
    key: Any, person: int, covered: float, reported: float, zip_here: float, zip_there: float
) -> int:
    if uniform_one(key, person, 0) >= covered:
        return _ABSENT
    vague_here = uniform_one(key, person, 2) < zip_here
    if uniform_one(key, person, 1) >= reported:
        return _STALE_ZIP if vague_here else _STALE
    vague_there = uniform_one(key, person, 3) < zip_there
    if vague_here:
        return _BOTH_ZIP if vague_there else _FROM_ZIP
    return _TO_ZIP if vague_there else _EXACT


@njit(cache=True, nogil=True)
def _add(
    j: int, amount: float, spread: bool, starts: Any, zips: Any, weight: Any,
    dense: Any, touched: Any, count: int,
) -> int:  # fmt: skip
    """Add people to a destination, or to all areas of its ZIP code by their weights."""
    first, last = (starts[zips[j]], starts[zips[j] + 1]) if spread else (j, j + 1)
    for k in range(first, last):
        more = amount * weight[k] if spread else amount
        if dense[k] == 0.0 and more > 0.0:
            touched[count] = k
            count += 1
        dense[k] += more
    return count


@njit(cache=True, nogil=True)
def _pool(
    a: int, b: int, starts: Any, zips: Any, weight: Any, movers: Any, moves: Any,
    first_person: Any, key: Any, covered: Any, reported: Any, vague: Any,
    fates: Any, shared: Any, shared_at: Any,
) -> Any:  # fmt: skip
    """Fill the fates of those who left a ZIP code, and where those known by it alone went to.

    Returns the number of their destinations, and of those who are still found in the ZIP code.
    """
    G = covered.shape[1]
    pooled, stale = 0, 0.0
    for i in range(a, b):
        for n in range(movers[i], movers[i + 1]):
            j, g = moves[n] // G, moves[n] % G
            fate = _fate(
                key, first_person[i] + n - movers[i],
                covered[i, g], reported[j], vague[i], vague[j],
            )  # fmt: skip
            fates[n - movers[a]] = fate
            if fate == _STALE_ZIP:
                stale += 1.0
            elif fate in (_FROM_ZIP, _BOTH_ZIP):
                pooled = _add(
                    j, 1.0, fate == _BOTH_ZIP, starts, zips, weight, shared, shared_at, pooled
                )
    return pooled, stale


@njit(cache=True, nogil=True)
def _row(
    i: int, stayers: float, starts: Any, zips: Any, weight: Any, leavers: Any, groups: int,
    fates: Any, shared: Any, shared_at: Any, pooled: int, row: Any, row_at: Any,
) -> int:  # fmt: skip
    """Fill the row of an area, and return how many columns it has."""
    filled = _add(i, stayers, False, starts, zips, weight, row, row_at, 0)
    for t in range(pooled):
        k = shared_at[t]
        filled = _add(k, weight[i] * shared[k], False, starts, zips, weight, row, row_at, filled)
    for n in range(leavers.shape[0]):
        if fates[n] == _STALE:
            filled = _add(i, 1.0, False, starts, zips, weight, row, row_at, filled)
        elif fates[n] in (_EXACT, _TO_ZIP):
            j, spread = leavers[n] // groups, fates[n] == _TO_ZIP
            filled = _add(j, 1.0, spread, starts, zips, weight, row, row_at, filled)
    # The published matrix has nobody less than one person who stayed.
    if row[i] < 1.0:
        filled = _add(i, 1.0 - row[i], False, starts, zips, weight, row, row_at, filled)
        row[i] = 1.0
    return filled


@njit(cache=True, nogil=True)
def observe_zips(
    first_zip: int, last_zip: int, starts: Any, zips: Any, weight: Any, movers: Any, moves: Any,
    first_person: Any, key: Any, covered: Any, reported: Any, vague: Any,
    stayers: Any, vague_stayers: Any, counts: Any,
) -> Any:  # fmt: skip
    """Return columns and values of the rows of some ZIP codes, and fill their ``counts``.

    Parameters
    ----------
    starts : (Z + 1,)
        The areas of ZIP code z are ``starts[z]:starts[z + 1]``.
    zips, weight : (N,)
        ZIP code of each area, and its share of the people there.
    movers : (N + 1,)
        Who left area i stands at ``movers[i]:movers[i + 1]`` of ``moves``.
    covered : (N, G)
        Chance that somebody of a group who lived in the area is in the data.
    reported : (N,)
        Chance that a move into the area is.
    vague : (N,)
        Chance that an address in the area is known by its ZIP code alone.
    stayers, vague_stayers : (N,)
        People found at one exact address, and at one known by its ZIP code.
    counts : (N,)
        Nonzeros of each row.
    """
    N, G = covered.shape
    shared, row = np.zeros(N), np.zeros(N)
    shared_at, row_at = np.empty(N, dtype=np.int32), np.empty(N, dtype=np.int32)
    indices, values = np.empty(1024, dtype=np.int32), np.empty(1024)
    used = 0
    for z in range(first_zip, last_zip):
        a, b = starts[z], starts[z + 1]
        fates = np.empty(movers[b] - movers[a], dtype=np.int8)
        pooled, stale = _pool(
            a, b, starts, zips, weight, movers, moves, first_person, key, covered, reported,
            vague, fates, shared, shared_at,
        )  # fmt: skip
        by_zip = stale
        for i in range(a, b):
            by_zip += vague_stayers[i]
        for i in range(a, b):
            first, last = movers[i], movers[i + 1]
            filled = _row(
                i, stayers[i] + weight[i] * by_zip, starts, zips, weight, moves[first:last], G,
                fates[first - movers[a] : last - movers[a]], shared, shared_at, pooled,
                row, row_at,
            )  # fmt: skip
            if used + filled > len(indices):
                size = 2 * (used + filled)
                indices, values = _grown(indices, used, size), _grown(values, used, size)
            columns = np.sort(row_at[:filled])
            for t in range(filled):
                indices[used + t], values[used + t] = columns[t], row[columns[t]]
                row[columns[t]] = 0.0
            used += filled
            counts[i] = filled
        for t in range(pooled):
            shared[shared_at[t]] = 0.0
    return indices[:used].copy(), values[:used].copy()


@njit(cache=True, nogil=True)
def _grown(array: Any, used: int, size: int) -> Any:
    larger = np.empty(size, dtype=array.dtype)
    # A loop, because assigning a slice takes seconds to compile.
    for t in range(used):
        larger[t] = array[t]
    return larger
