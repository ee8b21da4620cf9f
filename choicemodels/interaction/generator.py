"""Whole trips drawn from expected flows."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from choicemodels.errors import DataError

__all__ = ["draw_trips"]

Array = NDArray[np.float64]
Codes = NDArray[np.int64]


def draw_trips(
    mu: Array,
    group: Codes,
    order: Codes,
    totals: Array,
    labels: Sequence[object],
    *,
    seed: int,
    replicate: int = 0,
) -> Array:
    """Draw the trips of every group over its cells, multinomially.

    Trip n of a group depends on the seed, the replicate, the group's label and n alone: the order
    of the rows and the other groups change nothing.

    Parameters
    ----------
    mu : (N,)
        Expected flows, to whose shares in a group the trips go.
    group : (N,)
        Code of the group of each cell.
    order : (N,)
        A number that ranks the cells of a group, whatever the order of the rows.
    totals : (G,)
        Trips of each group, whole numbers.
    labels
        Of the groups.
    seed, replicate
        Non-negative integers.

    Returns
    -------
    ndarray, shape (N,)
        Whole numbers that add up to the totals.

    Raises
    ------
    DataError
        If a total is not a whole number, or a group with trips has no expected flow.
    """
    # numba compiles the generator; importing it takes a while.
    from choicemodels.keyed_random import Streams

    broken = np.flatnonzero(totals != np.floor(totals))
    if len(broken):
        raise DataError(
            f"the total of {labels[broken[0]]} is {totals[broken[0]]:g}: only whole trips can be "
            "drawn; round the flows first."
        )
    streams = Streams(seed, replicate)
    drawn = np.zeros(len(mu))
    sorting = np.lexsort((order, group))
    starts = np.searchsorted(group[sorting], np.arange(len(totals) + 1))
    for code, total in enumerate(totals.astype(np.int64).tolist()):
        cells = sorting[starts[code] : starts[code + 1]]
        reach = mu[cells].cumsum()
        if total == 0:
            continue
        if len(cells) == 0 or not reach[-1] > 0:
            raise DataError(
                f"{labels[code]} has {total:,} trips but no expected flow to draw from."
            )
        u = streams.uniform(f"trips|{labels[code]}", np.arange(total))
        where = np.searchsorted(reach, u * reach[-1], side="right")
        drawn[cells] = np.bincount(where, minlength=len(cells))
    return drawn
