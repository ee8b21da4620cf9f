"""Who lives on the grid: incomes, preferred sizes and first homes."""

import numpy as np
from numpy.typing import NDArray

from choicemodels.keyed_random import Streams
from microsim.household_grid.parameters import GridParameters

__all__ = ["draw_homes", "draw_incomes", "draw_preferences", "power_law"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


def power_law(u: Floats, exponent: float, low: float, high: float) -> Floats:
    """Return draws with density proportional to ``I**-exponent`` between two bounds.

    Parameters
    ----------
    u : (N,)
        Uniforms in (0, 1).
    exponent, low, high

    Returns
    -------
    (N,) float64
    """
    if exponent == 1.0:
        return np.asarray(low * (high / low) ** u)
    power = 1.0 - exponent
    a, b = low**power, high**power
    return np.asarray((a + u * (b - a)) ** (1.0 / power))


def draw_incomes(parameters: GridParameters, streams: Streams) -> Floats:
    """Return incomes in whole dollars, so that sums of them are exact.

    The power law lives on ``income_range``; the exponential and log-normal are cut to it, those
    outside set to its ends, as the code does.

    Parameters
    ----------
    parameters
    streams
        Draws "income" by household.

    Returns
    -------
    (N,) float64
    """
    p = parameters
    ids = np.arange(p.households, dtype=np.int64)
    low, high = p.income_range
    if p.income == "lognormal":
        income = p.income_scale * np.exp(p.income_sigma * streams.normal("income", ids))
    elif p.income == "exponential":
        income = -p.income_scale * np.log(streams.uniform("income", ids))
    else:
        income = power_law(streams.uniform("income", ids), p.income_exponent, low, high)
    return np.asarray(np.rint(np.clip(income, low, high)), dtype=np.float64)


def draw_preferences(parameters: GridParameters, places: Ints, streams: Streams) -> Floats:
    """Return the number of places that each household likes a cell to have.

    Parameters
    ----------
    parameters
    places : (C,)
    streams
        Draws "preferred size" by household.

    Returns
    -------
    (N,) float64
    """
    p = parameters
    ids = np.arange(p.households, dtype=np.int64)
    level = p.preference_level * places.mean()
    if p.preference == "lognormal":
        z = streams.normal("preferred size", ids)
        return np.asarray(level * np.exp(p.preference_sigma * z))
    u = streams.uniform("preferred size", ids)
    if p.preference == "uniform":
        return np.asarray(2.0 * level * u)
    if p.preference == "exponential":
        return np.asarray(-level * np.log(u))
    ladder = np.cumsum(places)
    drawn = np.searchsorted(ladder, u * ladder[-1], side="right")
    return np.asarray(places[drawn], dtype=np.float64)


def draw_homes(parameters: GridParameters, places: Ints, streams: Streams) -> Ints:
    """Return the cell where each household lives at first.

    Parameters
    ----------
    parameters
    places : (C,)
    streams
        Draws "vacancy" by place, or "home" by household.

    Returns
    -------
    (N,) int64
        In proportion to places: without taking a place twice, or drawn independently, so that some
        cells are overfull.
    """
    N = parameters.households
    ladder = np.cumsum(places)
    if parameters.placement == "independent":
        u = streams.uniform("home", np.arange(N, dtype=np.int64))
        return np.asarray(np.searchsorted(ladder, u * ladder[-1], side="right"), dtype=np.int64)
    u = streams.uniform("vacancy", np.arange(ladder[-1], dtype=np.int64))
    taken = np.argsort(u, kind="stable")[:N]
    return np.asarray(np.searchsorted(ladder, taken, side="right"), dtype=np.int64)
