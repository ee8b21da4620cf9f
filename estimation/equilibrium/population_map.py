"""From populations, through wages and rents, to the populations that follow from them."""

from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from estimation.equilibrium.mobility import Choices, Mobility
from estimation.equilibrium.residence import PopulationMap, stationary
from estimation.equilibrium.spatial_economy import PlaceChange, SpatialEconomy

__all__ = ["Horizon", "crowding", "population_map", "populations_of", "repulsion"]

Array = NDArray[np.float64]
Horizon: TypeAlias = Literal["period", "stationary"]


def populations_of(choices: Choices, horizon: Horizon) -> Array:
    """Return populations at the end of the period or in the stationary state, shape (J,)."""
    flows = choices.flows
    if horizon == "period":
        return np.asarray(flows.sum(axis=0))
    shares = stationary(flows / flows.sum(axis=1, keepdims=True))
    return np.asarray(shares * flows.sum())


def population_map(
    mobility: Mobility, economy: SpatialEconomy, shocks: PlaceChange, horizon: Horizon
) -> PopulationMap:
    """Return the map from log populations to those that follow from their wages and rents."""
    responses = economy.responses(mobility.places)
    baseline = populations_of(mobility.choose(PlaceChange.none(len(mobility.places))), horizon)

    def follow(log_population: Array) -> Array:
        choices = mobility.choose(shocks.crowded(log_population, responses))
        return np.asarray(np.log(populations_of(choices, horizon) / baseline))

    return follow


def crowding(mobility: Mobility, economy: SpatialEconomy, change: PlaceChange) -> float:
    """Return the largest slope of anybody's utility of a place in its log population."""
    responses = economy.responses(mobility.places)
    return mobility.steepest(change, responses.wage, responses.rent)


def repulsion(mobility: Mobility, economy: SpatialEconomy, change: PlaceChange) -> float:
    """Return how much utility falls in log population where it falls most, zero or more."""
    responses = economy.responses(mobility.places)
    return max(mobility.steepest(change, -responses.wage, -responses.rent), 0.0)
