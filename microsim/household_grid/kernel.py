"""One step of the household grid, household after household.

Who decides to move sees what those before have changed, so that a step is serial by nature. The
households of a cell are kept sorted by the rank of their income, so that its median is known at
every moment.
"""

import math
from typing import Any, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from choicemodels.keyed_random import philox

__all__ = ["Cells", "Households", "Keys", "Rules", "Tally", "reprice", "settle", "step"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Small = NDArray[np.int32]

_MASK = np.uint64(0xFFFFFFFF)
_SHIFT = np.uint64(32)
_ZERO = np.uint64(0)
_SCALE = 2.0**-32

# Below this logit a household moves with less than this probability: most are known to stay from
# the first 32 bits of their draw, without an exponential.
_UNLIKELY = -4.0
_SURELY_STAYS = np.uint32(math.ceil(math.exp(_UNLIKELY) / _SCALE))


class Keys(NamedTuple):
    """Keys of the streams that a step draws from, each uint64."""

    decide: Any
    search: Any
    order: Any


class Rules(NamedTuple):
    """What a step asks of the parameters; see `microsim.household_grid.parameters`."""

    side: int
    affordable_share: float
    demand_price: float
    full_cost: float
    use_median: bool
    neutral_income: float
    pressure_weight: float
    slope: float
    intercept: float
    least_searches: float
    searches_per_dollar: float
    poorest_exponent: float
    exponent_per_dollar: float
    zipf: bool
    attempts: int
    weights: tuple[float, float, float, float]
    own_cost: bool
    empty_wins: bool
    shuffled: bool


class Households(NamedTuple):
    """Columns of the households, each (N,).

    ``rank`` orders them by income, ties by id; ``sorted_income`` has the incomes in that order, and
    ``inverse`` is one over ``income``.
    """

    income: Floats
    inverse: Floats
    rank: Small
    preferred: Floats
    remote: NDArray[np.bool_]
    quintile: NDArray[np.int8]
    cell: Small
    sorted_income: Floats


class Cells(NamedTuple):
    """Columns of the cells, each (C,), cell ``x * side + y``.

    ``total`` is the sum of incomes; ``centre`` the income that prices the cell: its median or mean,
    that of all households where nobody lives. The ranks of a cell's households stand sorted in
    ``member`` from ``start`` on, with room for as many as can ever live there.
    """

    places: Floats
    residents: Ints
    total: Floats
    median: Floats
    centre: Floats
    cost: Floats
    start: Ints
    member: Small


class Tally(NamedTuple):
    """What a step counts by quintile, each (5,), and who moved, each (N,)."""

    decisions: Ints
    moves: Ints
    pressure: Floats
    mover: Small
    origin: Small
    destination: Small


@njit(cache=True, nogil=True)
def _four(key: Any, agent: Any, when: Any, draw: Any) -> Any:
    """Return four uniforms in (0, 1) of 32 bits, the ``draw``-th block of an agent at a step."""
    a, b, c, d = philox(
        np.uint64(agent),
        np.uint64(draw),
        np.uint64(when),
        np.uint64(0),
        key & _MASK,
        key >> _SHIFT,
    )
    return _unit(a), _unit(b), _unit(c), _unit(d)


@njit(cache=True, nogil=True)
def _unit(word: Any) -> Any:
    """Return a 32-bit word as a uniform in (0, 1)."""
    return (np.float64(word) + 0.5) * _SCALE


@njit(cache=True, nogil=True)
def _distance(zipf: Any, exponent: Any, key: Any, agent: Any, when: Any, draw: Any) -> Any:
    """Return a distance of at least 1 from a power law, an angle, and the number of the next draw.

    The continuous law by inversion, ``u**(-1 / (exponent - 1))``; the discrete one, Zipf's, by
    rejection from it [Devroye1986]_.
    """
    above = exponent - 1.0
    bound = 2.0**above
    while True:
        u, v, angle, _ = _four(key, agent, when, draw)
        draw += 1
        r = u ** (-1.0 / above)
        if not zipf:
            return r, angle, draw
        r = math.floor(r)
        ratio = (1.0 + 1.0 / r) ** above
        if v * r * (ratio - 1.0) / (bound - 1.0) <= ratio / bound:
            return r, angle, draw


@njit(cache=True, nogil=True)
def reprice(c: Any, rules: Any, households: Any, cells: Any) -> None:
    """Set the median income and the cost of housing of a cell.

    ``cost = share * centre + price * phi / (1 - phi)``, where phi is the cell's occupancy and
    centre the median, or mean, income of its households.
    """
    n, places = cells.residents[c], cells.places[c]
    centre = rules.neutral_income
    cells.median[c] = np.nan
    if n > 0:
        start, income = cells.start[c], households.sorted_income
        lower, upper = cells.member[start + (n - 1) // 2], cells.member[start + n // 2]
        cells.median[c] = 0.5 * (income[lower] + income[upper])
        centre = cells.median[c] if rules.use_median else cells.total[c] / n
    cells.centre[c] = centre
    if n >= places:
        cells.cost[c] = rules.full_cost
    else:
        cells.cost[c] = rules.affordable_share * centre + rules.demand_price * n / (places - n)


@njit(cache=True, nogil=True)
def _enter(i: Any, c: Any, households: Any, cells: Any) -> None:
    member, rank, n = cells.member, households.rank[i], cells.residents[c]
    at = cells.start[c] + n
    while at > cells.start[c] and member[at - 1] > rank:
        member[at] = member[at - 1]
        at -= 1
    member[at] = rank
    households.cell[i] = c
    cells.residents[c] = n + 1
    cells.total[c] += households.income[i]


@njit(cache=True, nogil=True)
def _leave(i: Any, c: Any, households: Any, cells: Any) -> None:
    member, n = cells.member, cells.residents[c]
    start, rank = cells.start[c], households.rank[i]
    at, end = start, start + n - 1
    while at < end:
        middle = (at + end) // 2
        if member[middle] < rank:
            at = middle + 1
        else:
            end = middle
    for k in range(at, start + n - 1):
        member[k] = member[k + 1]
    cells.residents[c] = n - 1
    cells.total[c] -= households.income[i]


@njit(cache=True, nogil=True)
def settle(home: Any, rules: Any, households: Any, cells: Any) -> None:
    """Let every household into its first home, the poorest first, and price all cells."""
    order = np.empty_like(households.rank)
    for k in range(order.shape[0]):
        order[households.rank[k]] = k
    for k in range(order.shape[0]):
        i = np.int64(order[k])
        _enter(i, home[i], households, cells)
    for c in range(cells.places.shape[0]):
        reprice(c, rules, households, cells)


@njit(cache=True, nogil=True)
def _score(i: Any, j: Any, here: Any, rules: Any, households: Any, cells: Any) -> Any:
    """Return how a household likes a cell: ``C`` of the model."""
    places, income = cells.places[j], households.income[i]
    cost = cells.cost[here] if rules.own_cost else cells.cost[j]
    fit, work, likeness, dearness = rules.weights
    score = -fit * abs(households.preferred[i] - places)
    if not households.remote[i]:
        score += work * places
    return (
        score - likeness * abs(cells.centre[j] - income) - dearness * cost * households.inverse[i]
    )


@njit(cache=True, nogil=True)
def _search(i: Any, when: Any, key: Any, rules: Any, households: Any, cells: Any, seen: Any) -> Any:
    """Return the cell that a household likes best of those that it finds and its own."""
    here, income, side = np.int64(households.cell[i]), households.income[i], rules.side
    best, best_score = here, _score(i, here, here, rules, households, cells)
    searches = int(rules.least_searches + rules.searches_per_dollar * income)
    exponent = rules.poorest_exponent + rules.exponent_per_dollar * income
    draw = found = 0
    for _ in range(searches):
        r, angle, draw = _distance(rules.zipf, exponent, key, i, when, draw)
        new = False
        for attempt in range(rules.attempts):
            if attempt > 0:
                angle, _, _, _ = _four(key, i, when, draw)
                draw += 1
            # Whole steps from here, however many times around the grid.
            dx = math.floor(r * math.cos(2.0 * math.pi * angle) + 0.5)
            dy = math.floor(r * math.sin(2.0 * math.pi * angle) + 0.5)
            new = True
            for k in range(found):
                if seen[k, 0] == dx and seen[k, 1] == dy:
                    new = False
                    break
            if new:
                break
        if not new:
            continue
        seen[found, 0], seen[found, 1] = dx, dy
        found += 1
        x = int((here // side + dx % side) % side)
        y = int((here % side + dy % side) % side)
        j = x * side + y
        if j != here and cells.residents[j] >= cells.places[j]:
            continue
        if rules.empty_wins and cells.residents[j] == 0:
            return j
        score = _score(i, j, here, rules, households, cells)
        if score > best_score:
            best, best_score = j, score
    return best


@njit(cache=True, nogil=True)
def _shuffle(order: Any, when: Any, what: Any, key: Any) -> None:
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
def _draw_words(when: Any, key: Any, words: Any) -> None:
    """Draw 32 bits for every household; four of them share a block of Philox."""
    low, high = key & _MASK, key >> _SHIFT
    blocks = words.shape[0] // 4
    for k in range(blocks):
        a, b, c, d = philox(np.uint64(k), _ZERO, np.uint64(when), _ZERO, low, high)
        words[4 * k] = np.uint32(a)
        words[4 * k + 1] = np.uint32(b)
        words[4 * k + 2] = np.uint32(c)
        words[4 * k + 3] = np.uint32(d)


@njit(cache=True, nogil=True)
def step(
    when: Any,
    keys: Any,
    rules: Any,
    blocks: Any,
    within: Any,
    words: Any,
    seen: Any,
    households: Any,
    cells: Any,
    tally: Any,
) -> Any:
    """Let every household decide in turn; return how many moved.

    Parameters
    ----------
    when
        The step.
    keys, rules, households, cells, tally
        As the classes of this module; the last three are changed in place.
    blocks : (B,) int32, within : (S,) int32
        Who comes first: blocks of S neighbouring ids one after the other, and the members of each
        in the order ``within``. Both are drawn anew if ``rules.shuffled``: blocks keep a step
        within the processor's cache.
    words : (4 * ceil(N / 4),) uint32, seen : (most searches, 2)
        Room to work in.

    Notes
    -----
    A household moves with probability ``1 / (1 + exp(-(m D - b)))``, ``D = alpha h / I`` of its
    own cell, and then to the best of the places that it finds.
    """
    _draw_words(when, keys.decide, words)
    if rules.shuffled:
        _shuffle(blocks, when, 0, keys.order)
    cell, quintile, inverse = households.cell, households.quintile, households.inverse
    cost, pressures = cells.cost, tally.pressure
    alpha, slope, intercept = rules.pressure_weight, rules.slope, rules.intercept
    N, size = cell.shape[0], within.shape[0]
    moved = 0
    for b in range(blocks.shape[0]):
        start = blocks[b] * size
        if rules.shuffled:
            _shuffle(within, when, blocks[b] + 1, keys.order)
        for k in range(size):
            i = start + within[k]
            if i >= N:
                continue
            # One type of index throughout: each one more compiles the functions once more.
            here = np.int64(cell[i])
            pressure = alpha * cost[here] * inverse[i]
            pressures[quintile[i]] += pressure
            logit = slope * pressure - intercept
            if logit < _UNLIKELY and words[i] > _SURELY_STAYS:
                continue
            if _unit(words[i]) >= 1.0 / (1.0 + math.exp(-logit)):
                continue
            tally.decisions[quintile[i]] += 1
            best = _search(i, when, keys.search, rules, households, cells, seen)
            if best == here:
                continue
            _move(i, here, best, rules, households, cells)
            tally.moves[quintile[i]] += 1
            tally.mover[moved], tally.origin[moved], tally.destination[moved] = i, here, best
            moved += 1
    return moved


@njit(cache=True, nogil=True)
def _move(i: Any, here: Any, there: Any, rules: Any, households: Any, cells: Any) -> None:
    _leave(i, here, households, cells)
    _enter(i, there, households, cells)
    reprice(here, rules, households, cells)
    reprice(there, rules, households, cells)
