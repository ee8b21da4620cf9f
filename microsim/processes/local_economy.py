"""Wages of a metro answer its employment, its crowding and its unemployment."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from microsim.state import State
from microsim.world import World

__all__ = ["commute_index", "local_economy", "wage_level"]

Floats = NDArray[np.float64]


def local_economy(state: State, world: World) -> State:
    """Move each metro's wages by a month, and with them those of everybody who lives there.

    The metro's index follows `wage_level` by ``wage_speed`` of the gap in logarithms, and all grow
    by ``wage_trend`` a year. A worker's wage, or last wage, changes in the same proportion.
    """
    assumed = world.parameters.local_economy
    if not assumed.active:
        return state
    trend = np.log1p(assumed.wage_trend) / 12.0
    begun = trend * state.month
    gap = np.log(wage_level(state, world)) - (np.log(state.wage_index) - begun)
    growth = np.exp(trend + assumed.wage_speed * gap)
    return replace(
        state,
        wage_index=state.wage_index * growth,
        wage=state.wage * growth[state.metro],
    )


def wage_level(state: State, world: World) -> Floats:
    """Return the wages to which a metro's employment and unemployment lead, (M,), less the trend.

    ``(E / E_0)**agglomeration * (N / N_0)**-congestion * (u / u_0)**wage_curve``: workers are more
    productive where more are employed ([CombesGobillon2015]_), and less where more live and are
    in each other's way; and pay is lower where unemployment is high ([BlanchflowerOswald1994]_).
    Counts are taken with ``smallest_market`` workers added, of whom as many are out of work as in
    the nation at the start, and at least one in a hundred.
    """
    assumed, start = world.parameters.local_economy, world.start
    added = assumed.smallest_market
    idle = added * max(start.national_unemployment, 0.01)
    workers = np.bincount(state.metro, minlength=world.metros)
    employed = np.bincount(state.metro[state.employed], minlength=world.metros)
    N = (workers + added) / (start.workers + added)
    E = (employed + added - idle) / (start.employed + added - idle)
    u = (workers - employed + idle) / (start.unemployed + idle) / N
    level: Floats = E**assumed.agglomeration * N**-assumed.congestion * u**assumed.wage_curve
    return level


def commute_index(state: State, world: World) -> Floats:
    """Return the time to work relative to the base year, (M,): ``(N / N_0)**commute_elasticity``.

    The workers N of a metro share its roads ([DurantonTurner2011]_).
    """
    added = world.parameters.local_economy.smallest_market
    workers = np.bincount(state.metro, minlength=world.metros)
    ratio = (workers + added) / (world.start.workers + added)
    index: Floats = ratio**world.parameters.local_economy.commute_elasticity
    return index
