"""What a step draws: the order of turns, who decides, and which places a household finds.

None of it depends on what the others do. What is small is inlined by force: to hand arrays to a
function costs more than what it does.
"""

import math
from typing import Any

import numpy as np
from numba import njit

from choicemodels.keyed_random import philox

__all__ = ["draw_words", "find", "shuffle", "unit"]

_MASK = np.uint64(0xFFFFFFFF)
_SHIFT = np.uint64(32)
_ZERO = np.uint64(0)
_SCALE = 2.0**-32

# Times a side of thousands of cells, whole numbers of this size are exact.
_FARTHEST = 2.0**36

# Coefficients of both series in the square of the angle, the highest first.
_COSINE = tuple((-1.0) ** k / math.factorial(2 * k) for k in reversed(range(9)))
_SINE = tuple((-1.0) ** k / math.factorial(2 * k + 1) for k in reversed(range(9)))


@njit(cache=True, nogil=True, forceinline=True)
def unit(word: Any) -> Any:
    """Return a 32-bit word as a uniform in (0, 1)."""
    return (np.float64(word) + 0.5) * _SCALE


@njit(cache=True, nogil=True, forceinline=True)
def _four(i: Any, when: Any, key: Any, draw: Any) -> Any:
    """Return four uniforms in (0, 1), the ``draw``-th of a household at a step."""
    low, high = key & _MASK, key >> _SHIFT
    a, b, c, d = philox(np.uint64(i), np.uint64(draw), np.uint64(when), _ZERO, low, high)
    return unit(a), unit(b), unit(c), unit(d)


@njit(cache=True, nogil=True, forceinline=True)
def _inverse_power(u: Any, above: Any) -> Any:
    """Return ``u**(-1 / above)``, distributed by a power law of exponent ``above + 1`` from 1 on.

    It goes no farther than where whole steps are still exact; so far away all cells of the grid are
    alike.
    """
    return min(math.exp(-math.log(u) / above), _FARTHEST)


@njit(cache=True, nogil=True, forceinline=True)
def _zipf(above: Any, nearest: Any, i: Any, when: Any, key: Any, draw: Any) -> Any:
    """Return a distance from Zipf's law, part of a turn, and the number of the next draws.

    Most are 1, with chance ``nearest``; the others are drawn from the continuous law, rejecting
    what is 1 or too likely there [Devroye1986]_.
    """
    u, _, turn, _ = _four(i, when, key, draw)
    draw += 1
    if u < nearest:
        return 1.0, turn, draw
    bound = 2.0**above
    while True:
        u, v, _, _ = _four(i, when, key, draw)
        draw += 1
        r = np.floor(_inverse_power(u, above))
        if r > 1.0:
            ratio = (1.0 + 1.0 / r) ** above
            if v * r * (ratio - 1.0) / (bound - 1.0) <= ratio / bound:
                return r, turn, draw


@njit(cache=True, nogil=True, forceinline=True)
def _steps(radius: Any, turn: Any) -> Any:
    """Return the whole steps along both axes, ``floor(r cos + 1/2)`` and ``floor(r sin + 1/2)``.

    Cosine and sine of a part of a turn are their series on an eighth of one: the C library's are
    not had for several at a time.
    """
    quarter = np.floor(4.0 * turn + 0.5)
    t = 2.0 * math.pi * (turn - 0.25 * quarter)
    z = t * t
    c = s = 0.0
    for k in range(len(_COSINE)):
        c, s = _COSINE[k] + z * c, _SINE[k] + z * s
    s *= t
    odd = quarter == 1.0 or quarter == 3.0
    x, y = (s if odd else c), (c if odd else s)
    x = -x if quarter == 1.0 or quarter == 2.0 else x
    y = -y if quarter == 2.0 or quarter == 3.0 else y
    return np.floor(radius * x + 0.5), np.floor(radius * y + 0.5)


@njit(cache=True, nogil=True, forceinline=True)
def _turn_from_known(
    searches: Any, attempts: Any, i: Any, when: Any, key: Any, draw: Any, scratch: Any
) -> Any:
    """Draw directions again that lead to a place found before, and return how many are left."""
    radius, _, dx, dy, _ = scratch
    count = 0
    for k in range(searches):
        x, y = dx[k], dy[k]
        for attempt in range(attempts):
            if attempt > 0:
                turn, _, _, _ = _four(i, when, key, draw)
                draw += 1
                x, y = _steps(radius[k], turn)
            known = False
            for other in range(count):
                known |= (dx[other] == x) & (dy[other] == y)
            if not known:
                dx[count], dy[count] = x, y
                count += 1
                break
    return count


@njit(cache=True, nogil=True, forceinline=True)
def find(
    i: Any, home: Any, income: Any, nearest: Any, when: Any, key: Any, rules: Any, scratch: Any
) -> Any:
    """Write the cells that a household finds into ``scratch.found``, and return how many.

    Searches are ``int(n + m I)`` for income I, each at a distance from a power law whose exponent
    depends on I, and in a direction that is drawn again, up to ``rules.attempts`` times in all,
    where it leads to a place found before; with one attempt a place may be found twice.

    ``nearest`` is the chance of a distance of 1 by Zipf's law. All searches make each of their
    steps together, which the compiler turns into vectors.
    """
    radius, turn, dx, dy, found = scratch
    side = float(rules.side)
    count = int(rules.least_searches + rules.searches_per_dollar * income)
    above = rules.poorest_exponent + rules.exponent_per_dollar * income - 1.0
    draw = 0
    if rules.zipf:
        for k in range(count):
            radius[k], turn[k], draw = _zipf(above, nearest, i, when, key, draw)
    else:
        for k in range(0, count, 2):
            u, turn[k], v, turn[k + 1] = _four(i, when, key, draw)
            radius[k], radius[k + 1] = _inverse_power(u, above), _inverse_power(v, above)
            draw += 1
    for k in range(count):
        dx[k], dy[k] = _steps(radius[k], turn[k])
    if rules.attempts > 1:
        count = _turn_from_known(count, rules.attempts, i, when, key, draw, scratch)
    x, y = float(home // rules.side), float(home % rules.side)
    for k in range(count):
        along, across = x + dx[k], y + dy[k]
        along -= side * np.floor(along / side)
        across -= side * np.floor(across / side)
        found[k] = np.int64(along * side + across)
    return count


@njit(cache=True, nogil=True)
def shuffle(order: Any, when: Any, what: Any, key: Any) -> None:
    """Put an array into a new order by Fisher and Yates's shuffle.

    An index is the upper half of a 32-bit word times the number of those left, which favours some
    by at most ``len(order) / 2**32``.
    """
    words = (_ZERO, _ZERO, _ZERO, _ZERO)
    left = 0
    for k in range(order.shape[0] - 1, 0, -1):
        if left == 0:
            words = philox(
                np.uint64(k), np.uint64(what), np.uint64(when), _ZERO, key & _MASK, key >> _SHIFT
            )
            left = 4
        left -= 1
        j = np.int64((words[left] * np.uint64(k + 1)) >> _SHIFT)
        order[k], order[j] = order[j], order[k]


@njit(cache=True, nogil=True)
def draw_words(when: Any, key: Any, words: Any) -> None:
    """Draw 32 bits for every household; four of them share a block of Philox."""
    low, high = key & _MASK, key >> _SHIFT
    for k in range(words.shape[0] // 4):
        a, b, c, d = philox(np.uint64(k), _ZERO, np.uint64(when), _ZERO, low, high)
        words[4 * k] = np.uint32(a)
        words[4 * k + 1] = np.uint32(b)
        words[4 * k + 2] = np.uint32(c)
        words[4 * k + 3] = np.uint32(d)
