"""Who is offered a relocation grant, and who of those that moved is paid."""

import numpy as np
from numpy.typing import NDArray

from microsim.policies import RelocationGrant
from microsim.processes.eligibility import afforded, meets, would_claim
from microsim.state import State, World

__all__ = ["active_policies", "offers", "payments"]

Ints = NDArray[np.int64]


def active_policies(state: State, world: World) -> list[int]:
    """Return the rows of the grants that run this month and can still be paid once."""
    return [
        g
        for g, policy in world.scenario.policies_of(RelocationGrant)
        if policy.runs(state.month)
        and ((left := policy.left(int(state.spent[g]))) is None or left >= policy.cents)
    ]


def offers(state: State, world: World) -> tuple[Ints, NDArray[np.bool_]]:
    """Return the grant that each worker reckons with, and who is eligible for any.

    Returns
    -------
    offer : (N,) int64
        Row of the policy, or -1. Of several, the first in the scenario.
    eligible : (N,) bool

    Notes
    -----
    Who has received a grant is not eligible for another. Stream: "take-up: ...".
    """
    count = len(state.metro)
    offer = np.full(count, -1, dtype=np.int64)
    eligible = np.zeros(count, dtype=np.bool_)
    for g in reversed(active_policies(state, world)):
        policy = world.scenario.policies[g]
        may = meets(policy.eligibility, state, world) & ~state.granted
        rows = np.flatnonzero(may)
        offer[rows[would_claim(policy, rows, world)]] = g
        eligible |= may
    return offer, eligible


def payments(
    movers: Ints, destination: Ints, offer: Ints, state: State, world: World
) -> NDArray[np.bool_]:
    """Return which movers are paid the grant they were offered, (moves,) bool.

    Parameters
    ----------
    movers, destination, offer : (moves,)
        Rows of workers, of metros and of policies (-1 for none).

    Notes
    -----
    Where the budget does not reach for all, the smallest draws are paid. Stream: "queue: ...".
    """
    paid = np.zeros(len(movers), dtype=np.bool_)
    for g, policy in world.scenario.policies_of(RelocationGrant):
        claims = offer == g
        if policy.destinations is not None:
            claims &= np.isin(world.utility.cbsa, policy.destinations)[destination]
        cents = np.full(np.count_nonzero(claims), policy.cents)
        paid[claims] = afforded(movers[claims], cents, g, state, world)
    return paid
