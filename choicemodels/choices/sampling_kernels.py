"""Draws of choice sets, one case after the other, each from its own stream of random numbers.

Within a stratum of n alternatives m are drawn without replacement with the maximum-entropy design
of fixed size, ``pr(D) ~ prod_{j in D} o_j`` with odds o in proportion to the weights
[ChenDempsterLiu1994]_. It is the one in which everything is known exactly: if the chosen
alternative i is taken and the other m - 1 are drawn by the same design from what is left, then

    pr(D | i) = prod_{j in D, j != i} o_j / E_{m-1}(C - i) ~ 1 / pi_i,

``E_k`` being the elementary symmetric polynomials of the odds and ``pi_i`` the probability that a
draw of m from all of the stratum includes i. With equal weights it is simple random sampling, and
forcing i leaves every other the chance ``(m - 1) / (n - 1)``.

The polynomials are computed as distributions of the number of successes in independent trials with
probabilities ``o / (1 + o)``: sums of positive numbers below one, which neither overflow nor
cancel.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from choicemodels.keyed_random import uniform_one
from choicemodels.logit.probabilities import chunk_bounds
from choicemodels.threads import run_blocks

__all__ = ["Drawn", "draw"]

Array = NDArray[np.float64]
Ints = NDArray[np.int64]

# Relative difference of odds, and chance of both relative to independence, below which the chance
# of both is not computed from that of each.
_APART = 1e-5
_TOGETHER = 1e-2


@dataclass(frozen=True, eq=False)
class Drawn:
    """What was drawn for N cases.

    Attributes
    ----------
    offsets : ndarray of int64, shape (N + 1,)
        Case n has the draws ``offsets[n]:offsets[n + 1]``.
    cell : ndarray of int64, shape (R,)
        Which of the cells offered to the case, rising within a case.
    correction : ndarray, shape (R,)
        Minus the log of the probability that the cell is drawn if none is forced; with
        replacement, the log of the times it was drawn over the times expected.
    beside : ndarray, shape (R,)
        One over the probability that the cell is drawn if another of the stratum is forced,
        the mean over the others that were drawn; with replacement, the times it was drawn over
        the times expected then. Infinite if it has no chance. Empty unless asked for.
    """

    offsets: Ints
    cell: Ints
    correction: Array
    beside: Array


@njit(cache=True)
def _trials(weight: Any, m: int, p: Any, fail: Any) -> None:
    """Fill probabilities, ``fail = 1 - p``, with odds as the weights and m successes expected.

    Both are computed, so that neither is lost to rounding where the other is close to one.
    """
    n, total = weight.shape[0], 0.0
    for i in range(n):
        total += weight[i]
    # The odds' common factor matters to rounding alone, so that an approximation will do.
    low, step = np.log(m / total), 1.0
    high = np.inf
    middle = low
    for _ in range(200):
        expected, scale = 0.0, np.exp(middle)
        for i in range(n):
            expected += scale * weight[i] / (1.0 + scale * weight[i])
        if abs(expected - m) < 0.1:
            break
        if expected < m:
            low = middle
        else:
            high = middle
        middle = low + step if high == np.inf else 0.5 * (low + high)
        step *= 2.0
    scale = np.exp(middle)
    for i in range(n):
        p[i] = scale * weight[i] / (1.0 + scale * weight[i])
        fail[i] = 1.0 / (1.0 + scale * weight[i])


@njit(cache=True)
def _successes_after(p: Any, fail: Any, skip: int, m: int, after: Any) -> None:
    """Fill ``after[i, k]``, the probability of k successes in trials i and later, but for skip."""
    n = p.shape[0]
    after[n, : m + 1] = 0.0
    after[n, 0] = 1.0
    for i in range(n - 1, -1, -1):
        if i == skip:
            after[i, : m + 1] = after[i + 1, : m + 1]
            continue
        after[i, 0] = fail[i] * after[i + 1, 0]
        for k in range(1, m + 1):
            after[i, k] = fail[i] * after[i + 1, k] + p[i] * after[i + 1, k - 1]


@njit(cache=True)
def _draw_unequal(p: Any, skip: int, m: int, after: Any, uniform: Any, taken: Any) -> None:
    """Mark m trials as taken, given that there are m successes; skip is left as it is."""
    left = m
    for i in range(p.shape[0]):
        if i != skip:
            taken[i] = False
            if left > 0 and uniform[i] * after[i, left] < p[i] * after[i + 1, left - 1]:
                taken[i] = True
                left -= 1


@njit(cache=True)
def _inclusion(
    p: Any,
    fail: Any,
    skip: int,
    m: int,
    after: Any,
    before: Any,
    taken: Any,
    probability: Any,
) -> None:
    """Fill the probabilities that those taken, but skip, are among m drawn from all but skip."""
    before[: m + 1] = 0.0
    before[0] = 1.0
    for i in range(p.shape[0]):
        if i == skip:
            continue
        if taken[i]:
            ways = 0.0
            for k in range(m):
                ways += before[k] * after[i + 1, m - 1 - k]
            probability[i] = p[i] * ways / after[0, m]
        for k in range(m, 0, -1):
            before[k] = fail[i] * before[k] + p[i] * before[k - 1]
        before[0] *= fail[i]


@njit(cache=True)
def _equal_without_replacement(
    m: int, forced: int, uniform: Any, taken: Any, correction: Any, beside: Any
) -> None:
    """Draw m of a stratum in which all weigh the same, the forced one unless it is -1 with them."""
    n = taken.shape[0]
    left, others = (m - 1, n - 1) if forced >= 0 else (m, n)
    correction[:] = np.log(n / m)
    beside[:] = (n - 1) / (m - 1) if m > 1 else np.inf
    for i in range(n):
        taken[i] = i == forced
        if i != forced:
            taken[i] = uniform[i] * others < left
            left -= taken[i]
            others -= 1


@njit(cache=True)
def _fill_beside(
    p: Any,
    fail: Any,
    m: int,
    after: Any,
    before: Any,
    probability: Any,
    taken: Any,
    correction: Any,
    beside: Any,
) -> None:
    """Fill the means over the others i drawn of one over the chance of j once i is forced.

    ``pr(i, not j) / pr(j, not i) = o_i / o_j`` gives the chance of both from that of each, but
    for odds that are all but equal, or chances that all but exclude each other: there the
    design with i forced is computed anew.
    """
    n = taken.shape[0]
    beside[:] = 0.0 if m > 1 else np.inf
    if m == 1:
        return
    for i in range(n):
        if not taken[i]:
            continue
        odds_i, pi_i, anew = p[i] / fail[i], np.exp(-correction[i]), False
        for j in range(n):
            if taken[j] and j != i:
                odds_j, pi_j = p[j] / fail[j], np.exp(-correction[j])
                both = 0.0
                if abs(odds_i - odds_j) > _APART * max(odds_i, odds_j):
                    both = (odds_i * pi_j - odds_j * pi_i) / (odds_i - odds_j)
                if both < _TOGETHER * pi_i * pi_j:
                    anew = True
                    break
                probability[j] = both / pi_i
        if anew:
            _successes_after(p, fail, i, m - 1, after)
            _inclusion(p, fail, i, m - 1, after, before, taken, probability)
        for j in range(n):
            if taken[j] and j != i:
                beside[j] += 1.0 / (probability[j] * (m - 1))


@njit(cache=True)
def _unequal_without_replacement(
    weight: Any,
    m: int,
    forced: int,
    uniform: Any,
    p: Any,
    fail: Any,
    after: Any,
    before: Any,
    probability: Any,
    taken: Any,
    correction: Any,
    beside: Any,
    pairs: bool,
) -> None:
    """Draw m of a stratum by their weights, the forced one among them unless it is -1."""
    n = taken.shape[0]
    rest = m - 1 if forced >= 0 else m
    _trials(weight, m, p, fail)
    _successes_after(p, fail, forced, rest, after)
    if forced >= 0:
        taken[forced] = True
    _draw_unequal(p, forced, rest, after, uniform, taken)
    _successes_after(p, fail, -1, m, after)
    _inclusion(p, fail, -1, m, after, before, taken, probability)
    for i in range(n):
        if taken[i]:
            correction[i] = -np.log(probability[i])
    if pairs:
        _fill_beside(p, fail, m, after, before, probability, taken, correction, beside)


@njit(cache=True)
def _with_replacement(
    weight: Any,
    m: int,
    forced: int,
    key: Any,
    case: Any,
    number: int,
    cumulative: Any,
    times: Any,
    taken: Any,
    correction: Any,
    beside: Any,
) -> int:
    """Draw m times of a stratum, one of them for the forced unless it is -1.

    ``weight`` is empty where all weigh the same. Returns the number of the case's next draw.
    """
    n = taken.shape[0]
    total = 0.0
    for i in range(n):
        total += weight[i] if weight.shape[0] > 0 else 1.0
        cumulative[i] = total
        times[i] = i == forced
    for _ in range(m - 1 if forced >= 0 else m):
        at = uniform_one(key, case, number) * total
        times[min(np.searchsorted(cumulative[:n], at, side="right"), n - 1)] += 1
        number += 1
    for i in range(n):
        taken[i] = times[i] > 0
        if taken[i]:
            expected = m * (weight[i] if weight.shape[0] > 0 else 1.0) / total
            correction[i] = np.log(times[i] / expected)
            beside[i] = times[i] / expected * m / (m - 1) if m > 1 else np.inf
    return number


@njit(cache=True, nogil=True)
def _draw_cases(
    begin: int,
    end: int,
    widest: int,
    most: int,
    first: Any,
    last: Any,
    order: Any,
    stratum: Any,
    alternative: Any,
    weight: Any,
    forced: Any,
    case_key: Any,
    size: Any,
    replace: bool,
    pairs: bool,
    key: Any,
    room: Any,
    count: Any,
    cell: Any,
    correction: Any,
    beside: Any,
) -> None:
    """Draw for the cases from begin to end into the room that each one has."""
    uniform, p, fail = np.empty(widest), np.empty(widest), np.empty(widest)
    local = np.empty(widest)
    c, w, cumulative = np.empty(widest), np.empty(widest), np.empty(widest)
    taken, times = np.empty(widest, dtype=np.bool_), np.empty(widest, dtype=np.int64)
    unequal = weight.shape[0] > 0
    after = np.empty((widest + 1, most + 1) if unequal and not replace else (0, 0))
    before, probability = np.empty(most + 1), np.empty(widest)
    for n in range(begin, end):
        number, into = 0, room[n]
        a = first[n]
        while a < last[n]:
            t, b = stratum[order[a]], a
            chosen = -1
            while b < last[n] and stratum[order[b]] == t:
                i = b - a
                if order[b] == forced[n]:
                    chosen = i
                if unequal:
                    local[i] = weight[order[b]]
                if not replace:
                    uniform[i] = uniform_one(key, case_key[n], alternative[order[b]])
                b += 1
            k, m = b - a, size[t]
            here = local[:k] if unequal else local[:0]
            if k == 1 or (m >= k and not replace):
                taken[:k], c[:k], w[:k] = True, 0.0, 1.0
            elif replace:
                number = _with_replacement(
                    here, m, chosen, key, case_key[n], number,
                    cumulative, times, taken[:k], c[:k], w[:k],
                )  # fmt: skip
            elif unequal:
                _unequal_without_replacement(
                    here, m, chosen, uniform, p[:k], fail[:k], after, before, probability,
                    taken[:k], c[:k], w[:k], pairs,
                )  # fmt: skip
            else:
                _equal_without_replacement(m, chosen, uniform, taken[:k], c[:k], w[:k])
            for i in range(k):
                if taken[i]:
                    cell[into], correction[into], beside[into] = order[a + i], c[i], w[i]
                    into += 1
            a = b
        count[n] = into - room[n]
        sort = np.argsort(cell[room[n] : into])
        for values in (correction, beside):
            values[room[n] : into] = values[room[n] : into][sort]
        cell[room[n] : into] = cell[room[n] : into][sort]


def draw(
    first: Ints,
    last: Ints,
    alternative: Ints,
    stratum: Ints,
    weight: Array,
    forced: Ints,
    case_key: NDArray[np.uint64],
    size: Ints,
    replace: bool,
    pairs: bool,
    key: np.uint64,
) -> Drawn:
    """Draw a choice set for every case.

    Parameters
    ----------
    first, last : int64 (N,)
        Case n is offered the cells ``first[n]:last[n]``; cases may share cells.
    alternative, stratum : int64 (C,)
        Alternative and stratum of each cell.
    weight : float64 (C,) or (0,)
        In proportion to which cells are drawn; empty if all are equally likely.
    forced : int64 (N,)
        Cell that the set must hold; -1 for none.
    case_key : uint64 (N,)
        What a case's random numbers depend on, with the key and the alternative's number.
    size : int64 (T,)
        Draws from each stratum, the forced cell among them.
    replace : bool
        Whether a cell may be drawn again.
    pairs : bool
        Whether ``beside`` is asked for.
    key : uint64
        From :func:`choicemodels.keyed_random.stream_key`.
    """
    N, numbers = len(first), np.ascontiguousarray(alternative)
    order, held = _by_stratum(first, last, stratum, size)
    room = np.concatenate([[0], np.cumsum(held)]).astype(np.int64)
    count = np.zeros(N, dtype=np.int64)
    cell = np.empty(room[-1], dtype=np.int64)
    correction, beside = np.empty(room[-1]), np.empty(room[-1])
    bounds = chunk_bounds(N, least=64)
    widest, most = int((last - first).max()), int(size.max())

    def work(chunk: int) -> None:
        _draw_cases(
            bounds[chunk],
            bounds[chunk + 1],
            widest,
            most,
            first,
            last,
            order,
            stratum,
            numbers,
            weight,
            forced,
            case_key,
            size,
            replace,
            pairs,
            key,
            room,
            count,
            cell,
            correction,
            beside,
        )

    run_blocks(work, len(bounds) - 1)
    used = np.arange(room[-1]) - np.repeat(room[:-1], held) < np.repeat(count, held)
    offsets = np.concatenate([[0], np.cumsum(count)]).astype(np.int64)
    return Drawn(offsets, cell[used], correction[used], beside[used] if pairs else np.empty(0))


def _by_stratum(first: Ints, last: Ints, stratum: Ints, size: Ints) -> tuple[Ints, Ints]:
    """Return the cells in order of set and stratum, and the most that each case can hold.

    Two cases have the same cells or none in common, and some cells may be of no case.
    """
    bounds = np.unique(np.concatenate([first, last]))
    block = np.searchsorted(bounds, np.arange(len(stratum)), side="right")
    order = np.lexsort((stratum, block)).astype(np.int64)
    T = len(size)
    pair, offered = np.unique(block * T + stratum, return_counts=True)
    room = np.minimum(offered, size[pair % T])
    held = np.bincount(pair // T, weights=room, minlength=len(bounds) + 1)
    return order, held[np.searchsorted(bounds, first, side="right")].astype(np.int64)
