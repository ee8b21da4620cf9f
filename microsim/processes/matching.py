"""Put job seekers into open positions of their metro."""

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from choicemodels.keyed_random import uniform_one
from microsim.state import State
from microsim.world import World

__all__ = ["match"]

Ints = NDArray[np.int64]


@njit(cache=True)
def _fill(seekers: Any, ids: Any, metro: Any, occupation: Any, vacancies: Any, industry: Any,
          postings: Any, order: Any, starts: Any, key: Any, month: Any) -> Any:  # fmt: skip
    """Return the firm of each seeker, or -1 where no position is left; uses up ``vacancies``.

    A firm is drawn with weight vacancies times the share of the seeker's occupation among the
    postings of its industry: first the industry, then a position in it.
    """
    firm = np.full(seekers.shape[0], -1, dtype=np.int64)
    industries = postings.shape[1]
    left_by = np.zeros((starts.shape[0] - 1, industries), dtype=np.int64)
    for m in range(starts.shape[0] - 1):
        for k in range(starts[m], starts[m + 1]):
            left_by[m, industry[order[k]]] += vacancies[order[k]]
    for s in range(seekers.shape[0]):
        m = metro[seekers[s]]
        share = postings[m, :, occupation[s]]
        total = 0.0
        for i in range(industries):
            total += left_by[m, i] * share[i]
        if total <= 0.0:
            continue
        point, chosen = uniform_one(key, ids[seekers[s]], month) * total, -1
        for i in range(industries):
            mass = left_by[m, i] * share[i]
            if mass > 0.0:
                chosen = i
                if point < mass:
                    break
                point -= mass
        # Rounding may leave the point at the end of the last industry's mass.
        left = min(int(point / share[chosen]), left_by[m, chosen] - 1)
        for k in range(starts[m], starts[m + 1]):
            if industry[order[k]] != chosen:
                continue
            left -= vacancies[order[k]]
            if left < 0:
                firm[s] = order[k]
                vacancies[order[k]] -= 1
                left_by[m, chosen] -= 1
                break
    return firm


def match(
    seekers: Ints,
    occupation: Ints,
    priority: NDArray[np.float64],
    state: State,
    world: World,
    stream: str,
) -> tuple[Ints, Ints, Ints]:
    """Assign seekers, in order of priority, to random open positions of their metro.

    Parameters
    ----------
    seekers : (S,)
        Rows of workers who have found a job if one is open.
    occupation : (S,)
        In which each has found it.
    priority : (S,)
        Who comes first (the smallest) where positions are short: a draw of their own, so that
        the order of rows does not matter.
    state, world
        Positions, headcounts and metros as they stand.
    stream
        Name of the stream that picks the position.

    Returns
    -------
    hired : (H,) int64
        Rows of workers.
    firm : (H,) int64
        Their new employers.
    occupation : (H,) int64
        Their occupations there.
    """
    ids = world.population.workers.id
    first = np.lexsort((ids[seekers], priority))
    queue, wanted = seekers[first], occupation[first]
    firm = _fill(
        queue,
        ids,
        state.metro,
        wanted,
        state.positions - state.headcount,
        world.population.firms.industry,
        world.jobs.postings,
        world.firm_order,
        world.firm_starts,
        world.streams.key(stream),
        state.month,
    )
    found = firm >= 0
    return queue[found], firm[found], wanted[found]
