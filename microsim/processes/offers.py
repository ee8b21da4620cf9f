"""Who is offered money for a move, what each offer pays, and who of those that moved is paid."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from microsim.policies import MovingAid
from microsim.processes.eligibility import afforded, meets, would_claim
from microsim.state import State
from microsim.world import World

__all__ = [
    "Offer",
    "active_offers",
    "claims",
    "offer_list",
    "offers",
    "payments",
    "policies_of_offers",
]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Offer:
    """A policy's money at one share of its full amount.

    Attributes
    ----------
    row : int
        Of the policy in the scenario.
    policy : MovingAid
    share : float
        Of the full amount, one of the policy's.
    """

    row: int
    policy: MovingAid
    share: float


def offer_list(world: World) -> list[Offer]:
    """Return all that the scenario's policies may offer a mover."""
    return [
        Offer(g, policy, share)
        for g, policy in world.scenario.policies_of(MovingAid)
        for share in policy.shares
    ]


def active_offers(state: State, world: World) -> list[int]:
    """Return the rows of the offers that stand this month and may still be paid once."""
    return [
        o
        for o, offer in enumerate(offer_list(world))
        if offer.policy.runs(state.month)
        and (
            (left := offer.policy.left(int(state.spent[offer.row]))) is None
            or left >= offer.policy.least_cents(offer.share)
        )
    ]


def offers(state: State, world: World) -> tuple[Ints, NDArray[np.bool_]]:
    """Return the offer that each worker reckons with, and who is eligible for any.

    Returns
    -------
    offer : (N,) int64
        Row of `offer_list`, or -1. Of several policies, the first in the scenario.
    eligible : (N,) bool

    Notes
    -----
    Who has been paid for a move is not eligible again. Stream: "take-up: ...".
    """
    count, known = len(state.metro), offer_list(world)
    offer = np.full(count, -1, dtype=np.int64)
    eligible = np.zeros(count, dtype=np.bool_)
    for o in reversed(active_offers(state, world)):
        policy = known[o].policy
        may = meets(policy.eligibility, state, world) & ~state.granted
        may &= policy.share_of(state.wage) == known[o].share
        rows = np.flatnonzero(may)
        offer[rows[would_claim(policy, rows, world)]] = o
        eligible |= may
    return offer, eligible


def claims(offer: Ints, destination: Ints, cost: Ints, world: World) -> Ints:
    """Return what each move entitles to under its offer, (moves,) whole cents.

    Parameters
    ----------
    offer, destination : (moves,)
        Rows of offers (-1 for none) and of metros.
    cost : (moves,)
        Of the moves, cents.
    world
    """
    cents = np.zeros(len(offer), dtype=np.int64)
    for o, known in enumerate(offer_list(world)):
        mine = offer == o
        if known.policy.destinations is not None:
            mine &= np.isin(world.utility.cbsa, known.policy.destinations)[destination]
        amount = known.policy.cents(known.share, cost[mine].astype(np.float64))
        cents[mine] = np.rint(amount).astype(np.int64)
    return cents


def payments(movers: Ints, offer: Ints, cents: Ints, state: State, world: World) -> Ints:
    """Return what each mover is paid, (moves,) cents: the claim, as far as budgets reach.

    Parameters
    ----------
    movers, offer : (moves,)
        Rows of workers and of offers (-1 for none).
    cents : (moves,)
        From `claims`.
    state, world

    Notes
    -----
    Where the budget does not reach for all, the smallest draws are paid. Stream: "queue: ...".
    """
    paid = np.zeros(len(movers), dtype=np.int64)
    policy = policies_of_offers(offer, world)
    for g, _ in world.scenario.policies_of(MovingAid):
        rows = np.flatnonzero((policy == g) & (cents > 0))
        granted = rows[afforded(movers[rows], cents[rows], g, state, world)]
        paid[granted] = cents[granted]
    return paid


def policies_of_offers(offer: Ints, world: World) -> Ints:
    """Return the policies' rows behind offers, -1 where there is none."""
    rows = np.array([*(known.row for known in offer_list(world)), -1], dtype=np.int64)
    policy: Ints = rows[offer]
    return policy
