"""What a move costs, who can pay for it, and the money that changes hands."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from microsim.mobility.variables import moving_scale
from microsim.processes.balance_sheets import credit_limits
from microsim.processes.ledger import pay_from
from microsim.processes.offers import claims, offer_list, payments, policies_of_offers
from microsim.state import State
from microsim.world import World

__all__ = ["Deals", "moving_costs", "settle", "strike", "unaided"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Decide = Callable[[Ints], tuple[Ints, Ints]]


@dataclass(frozen=True)
class Deals:
    """The moves that take place, and their money.

    Attributes
    ----------
    movers, destination, offer : ndarray (moves,) int64
        Rows of workers, of metros and of offers (-1 for none).
    cost, paid : ndarray (moves,) int64
        Cost of the move, and what a policy pays for it, cents.
    constrained : ndarray (M,) int64
        Would-be movers who could not pay, by metro.
    """

    movers: Ints
    destination: Ints
    offer: Ints
    cost: Ints
    paid: Ints
    constrained: Ints


def strike(
    movers: Ints, destination: Ints, offer: Ints, decide: Decide, state: State, world: World
) -> Deals:
    """Return the moves that the movers can pay for.

    Savings, money from a policy that is at hand in time, and the credit that is left must reach
    for the cost of the move; else the household stays, and is counted. Whom the budget does not
    reach decide once more, without the offer.

    Parameters
    ----------
    movers, destination, offer : (moves,)
        Who would move where, reckoning with which offer (-1 for none).
    decide
        Who of some workers would move without any offer, and where.
    state, world
        Before the moves.
    """
    destination, offer = destination.copy(), offer.copy()
    cost = moving_costs(movers, destination, state, world)
    claim = claims(offer, destination, cost, world)
    paid = np.zeros_like(claim)
    able = np.flatnonzero(_can_pay(movers, cost, _advance(claim, offer, world), state, world))
    paid[able] = payments(movers[able], offer[able], claim[able], state, world)
    willing = np.ones(len(movers), dtype=np.bool_)
    unpaid = able[(claim[able] > 0) & (paid[able] == 0)]
    if unpaid.size:
        still, where = decide(movers[unpaid])
        offer[unpaid], willing[unpaid] = -1, False
        destination[unpaid[still]], willing[unpaid[still]] = where, True
        cost = moving_costs(movers, destination, state, world)
    can = _can_pay(movers, cost, _advance(paid, offer, world), state, world)
    go = np.flatnonzero(willing & can)
    return Deals(
        movers=movers[go],
        destination=destination[go],
        offer=offer[go],
        cost=cost[go],
        paid=paid[go],
        constrained=np.bincount(state.metro[movers[willing & ~can]], minlength=world.metros),
    )


def moving_costs(movers: Ints, destination: Ints, state: State, world: World) -> Ints:
    """Return the cost of the moves by distance, household size and tenure, (moves,) cents."""
    w, moving = world.population.workers, world.parameters.moving
    scale = moving_scale(w.household_size[movers], w.homeowner[movers], moving)
    distance_cost = world.places.pair["distance_cost"][state.metro[movers], destination]
    return np.rint(1e5 * scale * distance_cost).astype(np.int64)


def _advance(cents: Ints, offer: Ints, world: World) -> Ints:
    """Return the part of policies' money that is there before the move."""
    at_hand = np.array([*(known.policy.at_hand for known in offer_list(world)), False])
    return np.where(at_hand[offer], cents, 0)


def _can_pay(
    movers: Ints, cost: Ints, advance: Ints, state: State, world: World
) -> NDArray[np.bool_]:
    """Return whose means reach for the cost, (moves,); everybody's if moves are not constrained."""
    rules = world.parameters.credit
    if not (rules.active and rules.constrains_moves):
        return np.ones(len(movers), dtype=np.bool_)
    score, wage = state.credit_score[movers], state.wage[movers]
    credit = np.maximum(credit_limits(score, wage, rules) - state.debt[movers], 0)
    enough: NDArray[np.bool_] = state.savings[movers] + advance + credit >= cost
    return enough


def unaided(deals: Deals, movers: Ints, destination: Ints, state: State, world: World) -> Ints:
    """Return how many of each policy's payments went to households that needed none, (G,).

    A payment is inframarginal if at the same draws, and without any offer, the household would
    have moved this month, to a destination that qualifies, and could have paid for it.

    Parameters
    ----------
    deals
        From `strike`.
    movers, destination : (moves,)
        Who of those who are paid would move without any offer, and where.
    state, world
        Before the moves.
    """
    offer = np.full(len(state.metro), -1, dtype=np.int64)
    offer[deals.movers] = deals.offer
    cost = moving_costs(movers, destination, state, world)
    qualifies = claims(offer[movers], destination, cost, world) > 0
    anyway = qualifies & _can_pay(movers, cost, np.zeros_like(cost), state, world)
    policy = policies_of_offers(offer[movers[anyway]], world)
    return np.bincount(policy, minlength=len(world.scenario.policies))


def _booked_in(deals: Deals, state: State, world: World) -> Ints:
    """Return the metro in whose accounts each move's money is booked, (moves,).

    The one that the household leaves, but for an offer that names its destinations: that is the
    destination's way to draw people.
    """
    named = np.array([*(o.policy.destinations is not None for o in offer_list(world)), False])
    return np.where(named[deals.offer], deals.destination, state.metro[deals.movers])


def settle(deals: Deals, state: State, world: World) -> State:
    """Pay the policies' money and the moving costs, in whole cents."""
    movers, origin = deals.movers, state.metro[deals.movers]
    savings, debt, granted = state.savings.copy(), state.debt.copy(), state.granted.copy()
    # A refund comes after the move: it goes into savings, but pays no mover.
    advance = _advance(deals.paid, deals.offer, world)
    own = np.minimum(deals.cost, savings[movers] + advance)
    savings[movers] += deals.paid - own
    if world.parameters.credit.active:
        debt[movers] += deals.cost - own
    rewarded = deals.paid > 0
    granted[movers[rewarded]] = True
    policy = policies_of_offers(deals.offer[rewarded], world)
    state = pay_from(state, policy, _booked_in(deals, state, world)[rewarded], deals.paid[rewarded])
    flows = replace(
        state.flows,
        grants=np.bincount(origin[rewarded], minlength=world.metros),
        constrained=deals.constrained,
        moving_cost=int(own.sum()),
        credit=int((deals.cost - own).sum()),
    )
    return replace(state, savings=savings, debt=debt, granted=granted, flows=flows)
