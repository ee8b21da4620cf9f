"""Put job seekers into open positions of their metro."""

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from choicemodels.keyed_random import uniform_one
from microsim.state import State, World

__all__ = ["match"]

Ints = NDArray[np.int64]


@njit(cache=True)
def _fill(seekers: Any, ids: Any, metro: Any, vacancies: Any, order: Any, starts: Any,
          key: Any, month: Any) -> Any:  # fmt: skip
    """Return the firm of each seeker, or -1 where no position is left; uses up ``vacancies``."""
    firm = np.full(seekers.shape[0], -1, dtype=np.int64)
    open_by_metro = np.zeros(starts.shape[0] - 1, dtype=np.int64)
    for m in range(starts.shape[0] - 1):
        for k in range(starts[m], starts[m + 1]):
            open_by_metro[m] += vacancies[order[k]]
    for s in range(seekers.shape[0]):
        m = metro[seekers[s]]
        if open_by_metro[m] <= 0:
            continue
        left = int(uniform_one(key, ids[seekers[s]], month) * open_by_metro[m])
        for k in range(starts[m], starts[m + 1]):
            left -= vacancies[order[k]]
            if left < 0:
                firm[s] = order[k]
                vacancies[order[k]] -= 1
                open_by_metro[m] -= 1
                break
    return firm


def match(
    seekers: Ints, priority: NDArray[np.float64], state: State, world: World, stream: str
) -> tuple[Ints, Ints]:
    """Assign seekers, in order of priority, to random open positions of their metro.

    Parameters
    ----------
    seekers : (S,)
        Rows of workers who have found a job if one is open.
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
    """
    ids = world.population.workers.id
    queue = seekers[np.lexsort((ids[seekers], priority))]
    firm = _fill(
        queue,
        ids,
        state.metro,
        state.positions - state.headcount,
        world.firm_order,
        world.firm_starts,
        world.streams.key(stream),
        state.month,
    )
    found = firm >= 0
    return queue[found], firm[found]
