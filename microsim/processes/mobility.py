"""Workers stay or move to another metro, as the fitted model says."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from microsim.mobility.utility import WorkerTypes
from microsim.mobility.variables import PlaceColumns, WorkerColumns
from microsim.processes.choosing import Choosers, Prospects, choose, choose_fully
from microsim.processes.local_economy import commute_index
from microsim.processes.matching import match
from microsim.processes.offers import active_offers, offer_list, offers
from microsim.processes.search import hire
from microsim.processes.settlement import settle, strike, unaided
from microsim.state import State
from microsim.world import World

__all__ = ["mobility", "monthly", "prospects"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


def monthly(annual: Floats) -> Floats:
    """Return the monthly probability that compounds to an annual one: ``1 - (1 - p)**(1/12)``."""
    out: Floats = -np.expm1(np.log1p(-annual) / 12.0)
    return out


def prospects(parts: Floats, places: PlaceColumns, active: list[int], world: World) -> Prospects:
    """Evaluate the fitted model for every type and origin, without and with each offer.

    An offer of ``a`` thousand dollars adds ``-coefficient(moving_cost) * a`` to the utility of the
    destinations that it is for. If that is the same for all, all utilities shift alike: in a
    RUM-normalized tree the logsum shifts by the same and the destinations' probabilities stay.
    """
    utility, known = world.utility, offer_list(world)
    V = utility.destinations(parts, places)
    W = utility.logsums(V)
    logsums = [W] * (1 + len(known))
    utilities = [V] * (1 + len(known))
    gains = np.zeros((1 + len(known), len(parts)))
    for o in active:
        policy, share = known[o].policy, known[o].share
        value = utility.value_of_money(parts) / 1e5
        costs = 1e5 * utility.moving_scale(parts)[:, None, None] * places.pair["distance_cost"]
        cents = policy.cents(share, costs)
        if policy.destinations is None and np.ptp(cents) == 0.0:
            gain = value * cents[0, 0, 0]
            logsums[1 + o], gains[1 + o] = W + gain[:, None], gain
            continue
        named = policy.destinations if policy.destinations is not None else utility.cbsa
        utilities[1 + o] = V + value[:, None, None] * cents * np.isin(utility.cbsa, named)
        logsums[1 + o] = utility.logsums(utilities[1 + o])
    return Prospects(np.stack(logsums), tuple(utilities), gains)


def mobility(state: State, world: World, types: WorkerTypes | None = None) -> State:
    """Move the workers who decide to.

    Everyone compares staying with the logsum of moving; the annual probability becomes monthly as
    ``1 - (1 - p)**(1/12)``, and movers draw a destination (`microsim.processes.choosing`). A
    mover's wage changes by the ratio of the occupation's median wages in the two metros. Employed
    movers leave their job, but for remote workers, who keep job and wage; with probability
    ``job_in_hand`` they have another at the destination if a position is open, else they search
    from the next month on. Movers pay their moving cost from the grant and their savings; what
    these do not cover is credit and becomes debt. Whom a grant's budget does not reach decide
    without it.

    Streams: "move", "destination", "job in hand", "job in hand: position", "take-up: ...",
    "queue: ...".

    Parameters
    ----------
    state, world
    types
        The workers' types where these cannot change; made from the state if not given.
    """
    w, utility = world.population.workers, world.utility
    workers = WorkerColumns(state.columns(world), world.parameters.moving)
    places = current_places(state, world)
    kinds = types if types is not None else utility.types(workers, len(w))
    offer, eligible = offers(state, world)
    view = prospects(kinds.parts, places, active_offers(state, world), world)
    who = Choosers.build(utility, workers, kinds, places, w.id, state.metro, offer)
    rule = choose_fully if world.coupling == "full" else choose
    movers, destination = rule(who, view, world.streams, state.month)

    def unoffered(rows: Ints) -> tuple[Ints, Ints]:
        nothing = replace(who.only(rows), offer=np.full_like(rows, -1))
        return rule(nothing, view, world.streams, state.month)

    deals = strike(movers, destination, offer[movers], unoffered, state, world)
    if deals.paid.any():
        paid = deals.movers[deals.paid > 0]
        again, where = unoffered(paid)
        anyway = unaided(deals, paid[again], where, state, world)
        flows = replace(state.flows, inframarginal=state.flows.inframarginal + anyway)
        state = replace(state, flows=flows)
    movers = deals.movers
    count = np.bincount(state.metro[eligible], minlength=world.metros)
    by_movers = np.bincount(state.metro[movers[eligible[movers]]], minlength=world.metros)
    state = replace(state, flows=replace(state.flows, eligible=count, eligible_moves=by_movers))
    return _relocate(settle(deals, state, world), world, movers, deals.destination)


def current_places(state: State, world: World) -> PlaceColumns:
    """Return the metros' variables as they stand at this point of the month."""
    stock = np.maximum(np.bincount(state.metro, minlength=world.metros), 1)
    unemployed = np.bincount(state.metro[~state.employed], minlength=world.metros)
    return world.places.with_state(
        price_index=state.price_index,
        rent_index=state.rent_index,
        wage_index=state.wage_index,
        commute_index=commute_index(state, world),
        unemployment=unemployed / stock,
    )


def _relocate(state: State, world: World, movers: Ints, destination: Ints) -> State:
    """Change the movers' metro, wage and job."""
    w, size = world.population.workers, world.metros
    origin = state.metro[movers]
    remote = state.remote_workers(world)[movers]
    worked = (state.firm[movers] >= 0) & ~remote
    metro, firm, wage = state.metro.copy(), state.firm.copy(), state.wage.copy()
    months_out = state.months_out.copy()
    occupation = state.occupation[movers]
    wages = world.population.wages
    metro[movers] = destination
    median = wages * state.wage_index[:, None]
    ratio = median[destination, occupation] / median[origin, occupation]
    wage[movers] *= np.where(remote, 1.0, ratio)
    firm[movers[~remote]] = -1
    months_out[movers[worked]] = 0
    left = state.firm[movers[worked]]
    flows = replace(
        state.flows,
        quits=state.flows.quits + np.bincount(origin[worked], minlength=size),
        departures=np.bincount(origin, minlength=size),
        arrivals=np.bincount(destination, minlength=size),
        carried=np.bincount(destination[remote], minlength=size)
        - np.bincount(origin[remote], minlength=size),
        movers=movers,
        origin=origin,
        destination=destination,
        remote=remote,
    )
    state = replace(
        state,
        metro=metro,
        firm=firm,
        wage=wage,
        months_out=months_out,
        headcount=state.headcount - np.bincount(left, minlength=len(state.headcount)),
        flows=flows,
    )
    seekers = movers[worked]
    u = world.streams.uniform("job in hand", w.id[seekers], state.month)
    arranged = u < world.parameters.moving.job_in_hand
    seekers, priority = seekers[arranged], u[arranged]
    own = state.occupation[seekers].astype(np.int64)
    found = match(seekers, own, priority, state, world, "job in hand: position")
    return hire(state, world, *found)
