"""The turns of a step, household after household.

Who decides to move sees what those before have changed, so that the turns are serial by nature. The
ranks of the incomes of a cell's households stand in two heaps (`microsim.household_grid.medians`),
so that its median is known at every moment.
"""

import math
from typing import Any

import numpy as np
from numba import njit

from microsim.household_grid.finding import draw_words, find, shuffle, unit
from microsim.household_grid.medians import enter, leave, middle

__all__ = ["reprice", "settle", "step"]

# Below this logit a household moves with less than this probability: most are known to stay from
# their draw, without an exponential.
_UNLIKELY = -4.0
_SURELY_STAYS = np.uint32(math.ceil(math.exp(_UNLIKELY) * 2.0**32))


@njit(cache=True, nogil=True)
def reprice(c: Any, rules: Any, cells: Any, ranks: Any) -> None:
    """Set the median income and the cost of housing of a cell.

    ``cost = share * centre + price * phi / (1 - phi)``, where phi is the cell's occupancy and
    centre the median, or mean, income of its households.
    """
    cell = cells[c]
    n, places = cell.residents, cell.places
    centre = rules.neutral_income
    cell.median = np.nan
    if n > 0:
        lower, upper = middle(ranks.member, cell.start, cell.end, n)
        cell.median = 0.5 * (ranks.income[lower] + ranks.income[upper])
        centre = cell.median if rules.use_median else cell.total / n
    cell.centre = centre
    if n >= places:
        cell.cost = rules.full_cost
    else:
        cell.cost = rules.affordable_share * centre + rules.demand_price * n / (places - n)


@njit(cache=True, nogil=True)
def _enter(rank: Any, c: Any, cells: Any, ranks: Any) -> None:
    cell = cells[c]
    enter(ranks.member, ranks.slot, cell.start, cell.end, cell.residents, rank)
    cell.residents += 1
    cell.total += ranks.income[rank]


@njit(cache=True, nogil=True)
def _leave(rank: Any, c: Any, cells: Any, ranks: Any) -> None:
    cell = cells[c]
    leave(ranks.member, ranks.slot, cell.start, cell.end, cell.residents, rank)
    cell.residents -= 1
    cell.total -= ranks.income[rank]


@njit(cache=True, nogil=True)
def settle(home: Any, rules: Any, households: Any, cells: Any, ranks: Any) -> None:
    """Let every household into its first home, and price all cells."""
    for i in range(home.shape[0]):
        _enter(np.int64(households.rank[i]), home[i], cells, ranks)
        households.cell[i] = home[i]
    for c in range(cells.shape[0]):
        reprice(c, rules, cells, ranks)


@njit(cache=True, nogil=True, forceinline=True)
def _best(
    home: Any, income: Any, inverse: Any, preferred: Any, remote: Any, found: Any, count: Any,
    rules: Any, cells: Any,
) -> Any:  # fmt: skip
    """Return the cell that a household likes best of those that it has found and its own.

    How it likes a cell is ``C`` of the model; one whose places are all taken is closed to others.
    """
    fit, work, likeness, dearness = rules.weights
    if remote:
        work = 0.0
    best, highest = home, -np.inf
    # Its own cell comes first, so that another must be better.
    for k in range(-1, count):
        j = home if k < 0 else found[k]
        there = cells[j]
        if j != home:
            if there.residents >= there.places:
                continue
            if rules.empty_wins and there.residents == 0:
                return j
        cost = cells[home].cost if rules.own_cost else there.cost
        unfit, unlike = abs(preferred - there.places), abs(there.centre - income)
        score = work * there.places - fit * unfit - likeness * unlike - dearness * cost * inverse
        if score > highest:
            best, highest = j, score
    return best


@njit(cache=True, nogil=True)
def _move(rank: Any, here: Any, there: Any, rules: Any, cells: Any, ranks: Any) -> None:
    _leave(rank, here, cells, ranks)
    _enter(rank, there, cells, ranks)
    reprice(here, rules, cells, ranks)
    reprice(there, rules, cells, ranks)


@njit(cache=True, nogil=True)
def step(
    when: Any, keys: Any, rules: Any, blocks: Any, within: Any, words: Any, scratch: Any,
    households: Any, cells: Any, ranks: Any, tally: Any,
) -> Any:  # fmt: skip
    """Let every household decide in turn; return how many moved.

    Parameters
    ----------
    when
        The step.
    keys, rules, scratch, households, cells, ranks, tally
        As in `microsim.household_grid.arrays`; ``cells`` (C,) of `CELL`. The last five are changed
        in place.
    blocks : (B,) int32, within : (S,) int32
        Who comes first: blocks of S neighbouring ids one after the other, and the members of each
        in the order ``within``. Both are drawn anew if ``rules.shuffled``: blocks keep a step
        within the processor's cache.
    words : (4 * ceil(N / 4),) uint32
        Room for the draws of the decisions.

    Notes
    -----
    A household moves with probability ``1 / (1 + exp(-(m D - b)))``, ``D = alpha h / I`` of its
    own cell, and then to the best of the places that it finds.
    """
    draw_words(when, keys.decide, words)
    if rules.shuffled:
        shuffle(blocks, when, 0, keys.order)
    income, inverse, rank, preferred, nearest, remote, quintile, cell = households
    decisions, moves, pressures, mover, origin, destination = tally
    alpha, slope, intercept = rules.pressure_weight, rules.slope, rules.intercept
    N, size = cell.shape[0], within.shape[0]
    moved = 0
    for b in range(blocks.shape[0]):
        start = blocks[b] * size
        if rules.shuffled:
            shuffle(within, when, blocks[b] + 1, keys.order)
        for k in range(size):
            i = start + within[k]
            if i >= N:
                continue
            # One type of index throughout: each one more compiles the functions once more.
            here = np.int64(cell[i])
            pressure = alpha * cells[here].cost * inverse[i]
            pressures[quintile[i]] += pressure
            logit = slope * pressure - intercept
            if logit < _UNLIKELY and words[i] > _SURELY_STAYS:
                continue
            if unit(words[i]) >= 1.0 / (1.0 + math.exp(-logit)):
                continue
            decisions[quintile[i]] += 1
            count = find(i, here, income[i], nearest[i], when, keys.search, rules, scratch)
            best = _best(
                here, income[i], inverse[i], preferred[i], remote[i], scratch.found, count,
                rules, cells,
            )  # fmt: skip
            if best == here:
                continue
            cell[i] = best
            _move(np.int64(rank[i]), here, best, rules, cells, ranks)
            moves[quintile[i]] += 1
            mover[moved], origin[moved], destination[moved] = i, here, best
            moved += 1
    return moved
