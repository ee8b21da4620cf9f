"""People move within their metro, and between city and suburb."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri

from microsim.assumptions.mobility import LocalMoveParameters
from microsim.assumptions.persons import RINGS
from microsim.mobility.distances import distance_classes
from microsim.mobility.variables import moving_scale
from microsim.people.persons import age_bracket
from microsim.state import State
from microsim.world import World

__all__ = ["local_moves", "monthly_chances", "truncated_lognormal"]

Floats = NDArray[np.float64]
CITY, SUBURB = RINGS.index("city"), RINGS.index("suburb")


def local_moves(state: State, world: World) -> State:
    """Move households within their metro.

    A household moves with a monthly chance that compounds to ``owner_rate`` or ``renter_rate``
    over a year at the median age; ``age_factors`` multiply its intensity. Who has changed metro
    this month does not. Distances are log-normal up to ``longest_miles``. From ``ring_miles`` on a
    move may lead from the city to the suburbs (``to_suburb``) or back (``to_city``). It costs
    ``cost`` times the household's factor, as far as savings reach: the rest is done without.

    Streams: "local move", "local move: distance", "local move: ring".
    """
    rules, w = world.parameters.local_moves, world.population.workers
    if not rules.active:
        return state
    table = monthly_chances(rules)
    chance = table[age_bracket(state.age), w.homeowner.astype(np.int64)]
    chance[state.flows.movers] = 0.0
    movers = np.flatnonzero(world.streams.uniform("local move", w.id, state.month) < chance)
    ids = w.id[movers]
    u = world.streams.uniform("local move: distance", ids, state.month)
    miles = truncated_lognormal(u, rules.median_miles, rules.miles_sigma, rules.longest_miles)
    far = miles >= rules.ring_miles
    here = state.ring[movers]
    leaves = np.where(here == CITY, rules.to_suburb, rules.to_city)
    drawn = world.streams.uniform("local move: ring", ids, state.month) < leaves
    ring = state.ring.copy()
    ring[movers] = np.where(far & drawn, CITY + SUBURB - here, here)
    scale = moving_scale(w.household_size[movers], w.homeowner[movers], world.parameters.moving)
    savings = state.savings.copy()
    cost = np.minimum(np.rint(1e5 * rules.cost * scale).astype(np.int64), savings[movers])
    savings[movers] -= cost
    flows = replace(
        state.flows,
        local_moves=np.bincount(distance_classes(miles), minlength=3),
        local_movers=movers,
        moving_cost=state.flows.moving_cost + int(cost.sum()),
    )
    return replace(state, ring=ring, savings=savings, flows=flows)


def monthly_chances(rules: LocalMoveParameters) -> Floats:
    """Return the chance of a local move in a month by age bracket and ownership, (6, 2)."""
    intensity = -np.log1p(-np.array([rules.renter_rate, rules.owner_rate]))
    chances: Floats = -np.expm1(-np.outer(rules.age_factors, intensity) / 12.0)
    return chances


def truncated_lognormal(u: Floats, median: float, sigma: float, longest: float) -> Floats:
    """Return log-normal variates up to ``longest``, by the inverse of their distribution."""
    reach = ndtr(np.log(longest / median) / sigma)
    variates: Floats = median * np.exp(sigma * ndtri(u * reach))
    return variates
