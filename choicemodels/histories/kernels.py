"""From the addresses of each person to their answers, month by month.

Weights are whole numbers of 1 / (365 * 27720**2): the days of a month over the days of the year,
times one share for each of two months. 27720 being divisible by 1 to 12, they are exact for people
with up to twelve addresses of one date, and their sums depend neither on order nor on threads.
"""

from typing import Any

import numpy as np
from numba import njit

from choicemodels.histories.people import LOST, MISSING, NO_ADDRESS

__all__ = ["COUNTS", "UNIT", "survey_people"]

_SHARE = 27720
UNIT = 365 * _SHARE**2
# Of a year of 365 days, before each month and at its end.
_DAYS_BEFORE = np.array(
    [0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334, 365], dtype=np.int64
)

# What is counted while people are cleaned, in the order of the counters.
COUNTS = (
    "people",
    "people without an address",
    "people without a date",
    "people with several addresses, none of them dated",
    "people listed as ending before they start",
    "addresses without a date dropped",
    "addresses without a date, the only one, dated by the person's first",
    "postal boxes dropped near another address",
    "addresses listed twice for one date",
    "people who answer in none of the years",
)
_PEOPLE, _HOMELESS, _UNDATED, _NONE_DATED, _REVERSED = 0, 1, 2, 3, 4
_DROPPED, _DATED, _BOXES, _TWICE, _UNASKED = 5, 6, 7, 8, 9


@njit(cache=True, nogil=True)
def month_of(day: int) -> int:
    """Return months since January 1970 of days since its first, in the Gregorian calendar."""
    # Years start in March here, so that leap days end them.
    z = day + 719468
    era = z // 146097
    doe = z - era * 146097
    yoe = (doe - doe // 1460 + doe // 36524 - doe // 146096) // 365
    doy = doe - (365 * yoe + yoe // 4 - yoe // 100)
    month = (5 * doy + 2) // 153
    return (era * 400 + yoe - 1970) * 12 + month + 2


@njit(cache=True, nogil=True)
def first_day(month: int) -> int:
    """Return days since 1 January 1970 of the first of a month."""
    shifted = month - 2
    year = 1970 + shifted // 12
    doy = (153 * (shifted % 12) + 2) // 5
    era = year // 400
    yoe = year - era * 400
    return era * 146097 + yoe * 365 + yoe // 4 - yoe // 100 + doy - 719468


@njit(cache=True, nogil=True)
def _span(low: int, high: int, day: Any, start: Any, end: Any) -> tuple[int, int]:
    """Return the earliest and the latest date of a person, or MISSING twice."""
    first, last = MISSING, MISSING
    for r in range(low, high):
        for date in (day[r], start[r], end[r]):
            if date != MISSING:
                first = date if first == MISSING else min(first, date)
                last = date if last == MISSING else max(last, date)
    return first, last


@njit(cache=True, nogil=True)
def _active_months(first: int, last: int) -> tuple[int, int]:
    """Return the first and last month whose first day lies between two days."""
    opening = month_of(first)
    if first_day(opening) < first:
        opening += 1
    return opening, month_of(last)


@njit(cache=True, nogil=True)
def _has_other(low: int, high: int, address: Any, place: Any) -> bool:
    """Return whether a person has two different addresses."""
    seen = -1
    for r in range(low, high):
        if place[r] != NO_ADDRESS:
            if seen >= 0 and address[r] != address[seen]:
                return True
            seen = r
    return False


@njit(cache=True, nogil=True)
def _near_street(
    r: int, rows: Any, n: int, dates: Any, box: Any, window: int
) -> bool:  # fmt: skip
    """Return whether an address that is no box took effect near the one at ``r``."""
    near = False
    for j in range(n):
        near |= not box[rows[j]] and abs(dates[j] - dates[r]) < window
    return near


@njit(cache=True, nogil=True)
def _clean(
    low: int, high: int, first: int, window: int, day: Any, address: Any, place: Any, box: Any,
    rows: Any, dates: Any, counts: Any,
) -> int:  # fmt: skip
    """Write the rows that are kept and their dates, by date and address; return how many."""
    several = _has_other(low, high, address, place)
    n = 0
    for r in range(low, high):
        if place[r] == NO_ADDRESS:
            continue
        if day[r] == MISSING:
            if several:
                counts[_DROPPED] += 1
                continue
            counts[_DATED] += 1
        rows[n], dates[n] = r, first if day[r] == MISSING else day[r]
        n += 1
    # Streets stay whatever is dropped, so that boxes may leave one by one.
    kept = 0
    for j in range(n):
        if box[rows[j]] and _near_street(j, rows, n, dates, box, window):
            counts[_BOXES] += 1
            dates[j] = MISSING
    for j in range(n):
        if dates[j] != MISSING:
            kept = _insert(rows[j], dates[j], kept, rows, dates, address, counts)
    return kept


@njit(cache=True, nogil=True)
def _ends_first(low: int, high: int, start: Any, end: Any) -> bool:
    """Return whether a listed start of a person lies after a listed end."""
    for r in range(low, high):
        if start[r] != MISSING and end[r] != MISSING and start[r] > end[r]:
            return True
    return False


@njit(cache=True, nogil=True)
def _insert(
    row: int, date: int, n: int, rows: Any, dates: Any, address: Any, counts: Any
) -> int:  # fmt: skip
    """Put a row at its place among the first ``n``, unless its date has the address already."""
    i = n
    while i > 0 and (
        dates[i - 1] > date or (dates[i - 1] == date and address[rows[i - 1]] > address[row])
    ):
        i -= 1
    if i > 0 and dates[i - 1] == date and address[rows[i - 1]] == address[row]:
        counts[_TWICE] += 1
        return n
    for j in range(n, i, -1):
        rows[j], dates[j] = rows[j - 1], dates[j - 1]
    rows[i], dates[i] = row, date
    return n + 1


@njit(cache=True, nogil=True)
def _homes(n: int, dates: Any, months: Any, begins: Any, ends: Any) -> int:
    """Group addresses into homes by date; of several in a month the last stands."""
    homes, j = 0, 0
    while j < n:
        k = j
        while k < n and dates[k] == dates[j]:
            k += 1
        month = month_of(dates[j])
        if homes > 0 and months[homes - 1] == month:
            homes -= 1
        months[homes], begins[homes], ends[homes] = month, j, k
        homes += 1
        j = k
    return homes


@njit(cache=True, nogil=True)
def _same(a: int, b: int, begins: Any, ends: Any, rows: Any, address: Any) -> bool:
    """Return whether two homes are the same set of addresses."""
    if ends[a] - begins[a] != ends[b] - begins[b]:
        return False
    for j in range(ends[a] - begins[a]):
        if address[rows[begins[a] + j]] != address[rows[begins[b] + j]]:
            return False
    return True


@njit(cache=True, nogil=True)
def _grown(array: Any, size: int) -> Any:
    """Return an array with room for ``size``, at least twice as long as it was."""
    longer = np.empty(max(size, 2 * array.shape[0]), array.dtype)
    longer[: array.shape[0]] = array
    return longer


@njit(cache=True, nogil=True)
def _answer(
    year: int, before: int, now: int, days: int, begins: Any, ends: Any, rows: Any, address: Any,
    place: Any, stayers: Any, lost: Any, keys: Any, weights: Any, n: int,
) -> int:  # fmt: skip
    """Add the answers of a person for ``days`` with one home before and one now."""
    full = days * _SHARE * _SHARE
    places = stayers.shape[1]
    k = ends[now] - begins[now]
    if before == now or _same(before, now, begins, ends, rows, address):
        for j in range(begins[now], ends[now]):
            p = place[rows[j]]
            if p == LOST:
                lost[year] += (full + k // 2) // k
            else:
                stayers[year, p] += (full + k // 2) // k
        return n
    pairs = k * (ends[before] - begins[before])
    weight = (full + pairs // 2) // pairs
    for i in range(begins[before], ends[before]):
        for j in range(begins[now], ends[now]):
            o, d = place[rows[i]], place[rows[j]]
            if o == LOST or d == LOST:
                lost[year] += weight
            elif address[rows[i]] == address[rows[j]]:
                stayers[year, d] += weight
            else:
                keys[n], weights[n] = (year * places + o) * places + d, weight
                n += 1
    return n


@njit(cache=True, nogil=True)
def _survey(
    years: Any, least: int, start: int, stop: int, homes: int, months: Any, begins: Any, ends: Any,
    rows: Any, address: Any, place: Any, stayers: Any, lost: Any, asked: Any, counts: Any,
    keys: Any, weights: Any, n: int,
) -> int:  # fmt: skip
    """Add the answers of a person active from month ``start`` to ``stop``."""
    before, now, answered = 0, 0, False
    for t in range(years.shape[0]):
        january = (years[t] - 1970) * 12
        active = min(january + 11, stop) - max(january - 12, start) + 1
        month, high = max(january, start + 12), min(january + 11, stop)
        if active < least or month > high:
            continue
        asked[t] += 1
        answered = True
        while month <= high:
            while before + 1 < homes and months[before + 1] <= month - 12:
                before += 1
            while now + 1 < homes and months[now + 1] <= month:
                now += 1
            # The answer is the same until one of the two homes changes.
            change = high + 1
            if before + 1 < homes:
                change = min(change, months[before + 1] + 12)
            if now + 1 < homes:
                change = min(change, months[now + 1])
            days = _DAYS_BEFORE[change - january] - _DAYS_BEFORE[month - january]
            n = _answer(
                t, before, now, days, begins, ends, rows, address, place, stayers, lost,
                keys, weights, n,
            )  # fmt: skip
            month = change
    if not answered:
        counts[_UNASKED] += 1
    return n


@njit(cache=True, nogil=True)
def _most_answers(years: int, homes: int, begins: Any, ends: Any) -> int:
    """Return how many moves a person may report at most."""
    largest = 0
    for h in range(homes):
        largest = max(largest, ends[h] - begins[h])
    # A home begins once, and ends a year later once, in all the years together.
    return min(12 * years, years + 2 * homes) * largest**2


@njit(cache=True, nogil=True)
def survey_people(
    first: int, last: int, bounds: Any, day: Any, address: Any, place: Any, box: Any, start: Any,
    end: Any, deceased: Any, years: Any, pad: int, pad_deceased: bool, window: int, least: int,
    stayers: Any, lost: Any, asked: Any, counts: Any, span: Any,
) -> tuple[Any, Any]:  # fmt: skip
    """Survey people ``first`` to ``last`` in every year.

    Parameters
    ----------
    first, last
        People; person i holds the rows ``bounds[i]`` to ``bounds[i + 1]``.
    bounds : (P + 1,)
    day, start, end : (R,)
        Effective, first and last listed dates, days since 1970 or MISSING.
    address : (R,)
        What tells addresses apart.
    place : (R,)
        Row of G, LOST or NO_ADDRESS.
    box, deceased : (R,)
        Booleans; who is deceased in one row is deceased.
    years : (T,)
        Rising.
    pad, pad_deceased, window, least
        As in `HistoryRules`.
    stayers : (T, places)
        Added to, in units of ``1 / UNIT`` people.
    lost : (T,)
        Added to: answers that name an address without a place.
    asked : (T,)
        Added to: people who answer.
    counts : (len(COUNTS),)
        Added to.
    span : (2,)
        Lowered and raised to the months in which somebody is active.

    Returns
    -------
    keys, weights
        Movers: ``(year * places + origin) * places + destination``, and units; pairs repeat.
    """
    longest = 0
    for i in range(first, last):
        longest = max(longest, bounds[i + 1] - bounds[i])
    rows, dates = np.empty(longest, np.int64), np.empty(longest, np.int64)
    months, begins, ends = (
        np.empty(longest, np.int64), np.empty(longest, np.int64), np.empty(longest, np.int64)
    )  # fmt: skip
    keys, weights, n = np.empty(1024, np.int64), np.empty(1024, np.int64), 0
    for i in range(first, last):
        low, high = bounds[i], bounds[i + 1]
        counts[_PEOPLE] += 1
        earliest, latest = _span(low, high, day, start, end)
        if earliest == MISSING:
            counts[_UNDATED] += 1
            continue
        kept = _clean(low, high, earliest, window, day, address, place, box, rows, dates, counts)
        if kept == 0:
            several = _has_other(low, high, address, place)
            counts[_NONE_DATED if several else _HOMELESS] += 1
            continue
        if _ends_first(low, high, start, end):
            counts[_REVERSED] += 1
        padded = pad_deceased or not deceased[low:high].any()
        opening, closing = _active_months(earliest - pad, latest + (pad if padded else 0))
        if closing < opening:
            counts[_UNASKED] += 1
            continue
        span[0], span[1] = min(span[0], opening), max(span[1], closing)
        homes = _homes(kept, dates, months, begins, ends)
        room = n + _most_answers(years.shape[0], homes, begins, ends)
        if room > keys.shape[0]:
            keys, weights = _grown(keys, room), _grown(weights, room)
        n = _survey(
            years, least, opening, closing, homes, months, begins, ends, rows, address, place,
            stayers, lost, asked, counts, keys, weights, n,
        )  # fmt: skip
    return keys[:n], weights[:n]
