"""Lives drawn year by year, written as the addresses that a file would list."""

from typing import Any

import numpy as np
from numba import njit

from choicemodels.histories.kernels import first_day
from choicemodels.histories.people import MISSING
from choicemodels.keyed_random import uniform_one

__all__ = ["draw_people", "rows_at_most"]

# What a number is drawn for; each takes a step too, the year of a life. They are numpy's numbers: a
# literal would be compiled for one by one.
_HOME, _MOVE, _DAY, _HOUSE, _UNDATED, _BOX = np.arange(6)
_BOX_DAY, _TIE, _DEATH, _LISTED, _PAST, _FORMER = np.arange(6, 12)
# Steps from here on are homes before those that are surveyed, counted backwards.
_BACKWARDS = 100
_STEPS = 128
_MOST_FORMER = 6


@njit(cache=True, nogil=True)
def _draw(key: Any, person: int, purpose: Any, step: int) -> float:
    return float(uniform_one(key, person, purpose * _STEPS + step))


@njit(cache=True, nogil=True)
def _first_above(cumulated: Any, low: int, high: int, goal: float) -> int:
    """Return the first place from ``low`` whose sum exceeds ``goal``, at most ``high - 1``."""
    last = high - 1
    while low < last:
        middle = (low + last) // 2
        if cumulated[middle] > goal:
            last = middle
        else:
            low = middle + 1
    return low


@njit(cache=True, nogil=True)
def _home(homes: Any, u: float) -> int:
    """Draw an area by its people."""
    return _first_above(homes, 0, homes.shape[0], u * homes[homes.shape[0] - 1])


@njit(cache=True, nogil=True)
def _former_homes(i: int, key: Any, mean: float) -> int:
    """Draw how many homes there were before, geometrically."""
    u, many = _draw(key, i, _FORMER, 0), 0
    more = mean / (1.0 + mean)
    chance = more
    while many < _MOST_FORMER and u < chance:
        many += 1
        chance *= more
    return many


@njit(cache=True, nogil=True)
def _next_area(area: int, u: float, indptr: Any, indices: Any, cumulated: Any) -> int:
    """Draw where somebody of ``area`` lives a year later."""
    low, high = indptr[area], indptr[area + 1]
    if low == high:
        return area
    base = cumulated[low - 1] if low > 0 else 0.0
    total = cumulated[high - 1] - base
    return indices[_first_above(cumulated, low, high, base + u * total)] if total > 0 else area


def rows_at_most(years: int) -> int:
    """Return the most addresses that a person can have."""
    return 3 * (years + 1 + _MOST_FORMER)


@njit(cache=True, nogil=True)
def _put(rows: Any, n: int, person: int, address: int, day: int, box: bool) -> int:
    rows[0][n], rows[1][n], rows[2][n], rows[3][n] = person, address, day, box
    return n + 1


@njit(cache=True, nogil=True)
def _list_home(
    i: int, step: int, first: bool, area: int, day: int, houses: int, key: Any, flaws: Any,
    n: int, rows: Any,
) -> int:  # fmt: skip
    """Write a new home, with what a file adds to it: a box, a second address, no date."""
    house = int(_draw(key, i, _HOUSE, step) * houses)
    missing = not first and _draw(key, i, _UNDATED, step) < flaws[0]
    n = _put(rows, n, i, area * houses + house, MISSING if missing else day, False)
    if _draw(key, i, _BOX, step) < flaws[1]:
        shift = int(800 * _draw(key, i, _BOX_DAY, step)) - 200
        n = _put(rows, n, i, area * houses, day + shift, True)
    if _draw(key, i, _TIE, step) < flaws[2]:
        n = _put(rows, n, i, area * houses + (house + 1) % houses, day, False)
    return n


@njit(cache=True, nogil=True)
def _list_past(
    i: int, since: int, former: float, homes: Any, houses: int, key: Any, flaws: Any, n: int,
    rows: Any,
) -> int:  # fmt: skip
    """Write the homes before the one that began at ``since``, the earliest first."""
    begin = n
    many = _former_homes(i, key, former)
    for step in range(_BACKWARDS + many - 1, _BACKWARDS - 1, -1):
        day = since - 1 - int(1500 * (step - _BACKWARDS + _draw(key, i, _PAST, step)))
        area = _home(homes, _draw(key, i, _HOME, step))
        n = _list_home(i, step, n == begin, area, day, houses, key, flaws, n, rows)
    return n


@njit(cache=True, nogil=True)
def draw_people(
    first: int, last: int, year: int, years: int, january: bool, houses: int, key: Any, flaws: Any,
    former: float, homes: Any, indptr: Any, indices: Any, cumulated: Any, rows: Any, start: Any,
    end: Any, dead: Any,
) -> int:  # fmt: skip
    """Draw people ``first`` to ``last``; return how many rows they fill.

    Parameters
    ----------
    first, last
        People, numbered from zero in the nation.
    year, years
        The first year of moves, and their number.
    january
        Whether people move on the first day of the year, or on any.
    houses
        Addresses in an area.
    key
        Of the draws.
    flaws : (5,)
        Chances of no date, of a box and of a second address for each home; of a death for each
        person; and of being listed without dates.
    former
        Mean number of homes before, which the survey does not see.
    homes : (N,)
        Cumulated people by area in the year before.
    indptr, indices, cumulated
        Moves by origin, and their running sum.
    rows : four of (R,)
        Written: person, address, day and whether it is a box.
    start, end, dead : (R,)
        Written, the same for each row of a person.
    """
    n = 0
    for i in range(first, last):
        begin = n
        january_before = first_day((year - 1 - 1970) * 12)
        since = january_before - int(3650 * _draw(key, i, _PAST, 0))
        n = _list_past(i, since, former, homes, houses, key, flaws, n, rows)
        area = _home(homes, _draw(key, i, _HOME, 0))
        n = _list_home(i, 0, n == begin, area, since, houses, key, flaws, n, rows)
        final = first_day((year + years - 1970) * 12) - 1
        death = _draw(key, i, _DEATH, 0)
        dies = death < flaws[3]
        if dies:
            final = january_before + 1 + int((final - january_before) * death / flaws[3])
        for step in range(1, years + 1):
            then = first_day((year + step - 1 - 1970) * 12)
            day = then if january else then + int(365 * _draw(key, i, _DAY, step))
            there = _next_area(area, _draw(key, i, _MOVE, step), indptr, indices, cumulated)
            if there != area and day <= final:
                n = _list_home(i, step, False, there, day, houses, key, flaws, n, rows)
                area = there
        unlisted = _draw(key, i, _LISTED, 0) < flaws[4]
        start[begin:n] = MISSING if unlisted else rows[2][begin]
        end[begin:n] = MISSING if unlisted else final
        dead[begin:n] = dies
    return n
