"""House prices answer migration."""

from dataclasses import replace

import numpy as np

from microsim.state import State, World

__all__ = ["housing"]


def housing(state: State, world: World) -> State:
    """Raise prices where people arrive and lower them where they leave.

    ``log p' - log p = net migration / stock / supply elasticity``, by metro: the price that clears
    the market when each arriving household wants a dwelling and supply has a constant elasticity
    ([Saiz2010]_). The stock is that before this month's moves, at least ``smallest_stock``.
    Prices enter the destinations' utilities of the next month.
    """
    net = state.flows.arrivals - state.flows.departures
    stock = np.bincount(state.metro, minlength=world.metros) - net
    rate = net / np.maximum(stock, world.parameters.housing.smallest_stock)
    return replace(state, price_index=state.price_index * np.exp(rate / world.supply_elasticity))
