"""Dwellings are lost, permitted and completed; prices and rents answer who comes and who goes."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from microsim.state import State
from microsim.world import World

__all__ = ["housing", "market_level", "permits"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

LEAST = 0.1
"""Where nearly everybody has left, demand counts as this share of what it was for the dwellings."""


def housing(state: State, world: World) -> State:
    """Move each metro's housing market by a month.

    Prices and rents follow the level of `market_level`, prices by ``price_speed`` of the gap in
    logarithms, mean rents by ``lease_turnover``. Then dwellings are lost at ``loss_rate``, those
    under construction are completed, one in ``building_months`` each month, and permits are taken
    out for new ones; see `permits`. All are whole dwellings. Prices and rents enter the
    destinations' utilities of the next month.
    """
    assumed = world.parameters.housing
    if not assumed.active:
        return state
    level = np.log(market_level(state, world))
    price = np.log(state.price_index)
    rent = np.log(state.rent_index)
    price_index = np.exp(price + assumed.price_speed * (level - price))
    lost = np.rint(assumed.loss_rate / 12.0 * state.dwellings).astype(np.int64)
    completed = np.rint(state.under_construction / assumed.building_months).astype(np.int64)
    permitted = permits(replace(state, price_index=price_index), world)
    return replace(
        state,
        price_index=price_index,
        rent_index=np.exp(rent + assumed.lease_turnover * (level - rent)),
        dwellings=state.dwellings - lost + completed,
        under_construction=state.under_construction - completed + permitted,
        flows=replace(state.flows, permits=permitted, completions=completed, lost_dwellings=lost),
    )


def market_level(state: State, world: World) -> Floats:
    """Return what new contracts would pay for a dwelling, (M,); the base year is 1.

    ``(D / D_0)**(1 / supply) * (H / (H_0 * D / D_0))**(1 / demand)`` with dwellings D, households H
    and the elasticities of supply and demand. The first factor is the cost of so many dwellings on
    the supply curve, the second what they are bid up or down while they are too few or too many;
    its argument is the occupied share over the natural one, so that it falls with vacancy.

    More dwellings are built where more people come, and the second factor goes back to 1; where
    people leave they stand on, and it does not. Hence prices fall by more than they rise, and for
    long: the kinked supply of a durable good ([GlaeserGyourko2005]_).
    """
    assumed, start = world.parameters.housing, world.start
    households = np.bincount(state.metro, minlength=world.metros).astype(np.float64)
    built = state.dwellings / np.maximum(start.dwellings, 1)
    housed = start.workers * built
    excess = (households - housed) / np.maximum(housed, assumed.smallest_stock)
    pressure = np.maximum(1.0 + excess, LEAST)
    level: Floats = built ** (1.0 / start.supply_elasticity) * pressure ** (
        1.0 / assumed.demand_elasticity
    )
    return level


def permits(state: State, world: World) -> Ints:
    """Return the permits of the month, (M,).

    Builders want ``S_0 * price**elasticity`` dwellings, with S those that stand or are under way.
    They replace what is lost, and take out permits for ``building_speed`` of the gap; where there
    are too many dwellings they build less, down to nothing.
    """
    assumed, start = world.parameters.housing, world.start
    underway = state.dwellings + state.under_construction
    wanted = (start.dwellings + start.under_construction) * (
        state.price_index**start.supply_elasticity
    )
    lost = assumed.loss_rate / 12.0 * state.dwellings
    number = np.rint(lost + assumed.building_speed * (wanted - underway))
    whole: Ints = np.maximum(number, 0.0).astype(np.int64)
    return whole
