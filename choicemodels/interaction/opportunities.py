"""Opportunities between two places: what lies nearer than the destination."""

from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

__all__ = ["Ties", "nearer"]

Array = NDArray[np.float64]
Codes = NDArray[np.int64]
Ties: TypeAlias = Literal["within", "half", "beyond"]

_SHARES: dict[str, float] = {"within": 1.0, "half": 0.5, "beyond": 0.0}


def nearer(centre: Codes, cost: Array, mass: Array, ties: Ties = "within") -> Array:
    """Add up, for every row, the mass of the other rows of its centre that cost less.

    With the origin as the centre and the mass of the destinations this is the intervening
    population of [SiminiGonzalezMaritanBarabasi2012]_, in the circle around the origin that
    passes through the destination; the destination's own mass is left out, and so is the
    origin's, which has no row.

    Parameters
    ----------
    centre : (N,)
        The place around which each row lies.
    cost : (N,)
        From the centre to the row's other place.
    mass : (N,)
        Of the other place.
    ties
        What of the places at the very same cost counts as nearer: all (``"within"`` the circle),
        ``"half"``, or nothing (``"beyond"``).

    Returns
    -------
    ndarray, shape (N,)
    """
    order = np.lexsort((cost, centre))
    sorted_centre, sorted_cost = centre[order], cost[order]
    starts = _starts(sorted_centre[1:] != sorted_centre[:-1])
    new_run = (sorted_centre[1:] != sorted_centre[:-1]) | (sorted_cost[1:] != sorted_cost[:-1])
    runs = _starts(new_run)
    before = np.concatenate(([0.0], mass[order].cumsum()))
    ends = np.append(runs[1:], len(order))
    run = np.repeat(np.arange(len(runs)), ends - runs)
    begin = np.repeat(starts, np.diff(np.append(starts, len(order))))
    lower = before[runs][run] - before[begin]
    tied = (before[ends] - before[runs])[run] - mass[order]
    found = np.empty(len(order))
    # Rounding of the running sums must not turn nothing into less than nothing.
    found[order] = np.maximum(lower + _SHARES[ties] * tied, 0.0)
    return found


def _starts(new: NDArray[np.bool_]) -> Codes:
    """Return the positions at which a run begins, given whether each row but the first does."""
    return np.append(0, np.flatnonzero(new) + 1)
