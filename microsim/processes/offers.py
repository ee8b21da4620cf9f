"""Who is offered a relocation grant, and who of those that moved is paid."""

import numpy as np
from numpy.typing import NDArray

from microsim.policies import RelocationGrant
from microsim.state import State, World

__all__ = ["active_policies", "eligible_for", "offers", "payments"]

Ints = NDArray[np.int64]


def active_policies(state: State, world: World) -> list[int]:
    """Return the rows of the policies that run this month and can still pay one grant."""
    return [
        g
        for g, policy in enumerate(world.scenario.policies)
        if policy.runs(state.month) and _affordable(policy, int(state.spent[g])) > 0
    ]


def _affordable(policy: RelocationGrant, spent: int) -> int:
    """Return how many grants the rest of the budget pays."""
    left = policy.left(spent)
    return np.iinfo(np.int64).max if left is None else left // policy.cents


def eligible_for(policy: RelocationGrant, state: State, world: World) -> NDArray[np.bool_]:
    """Return who may claim, (N,): every condition holds and no grant was received before."""
    rule = policy.eligibility
    may = ~state.granted
    if rule.status == "unemployed":
        may &= ~state.employed
        if rule.within_months is not None:
            may &= state.months_out <= rule.within_months
    if rule.status == "displaced":
        may &= state.displaced_in >= 0
        if rule.within_months is not None:
            may &= state.month - state.displaced_in <= rule.within_months
    if rule.income_ceiling is not None:
        may &= state.wage <= rule.income_ceiling
    if rule.origins is not None:
        may &= np.isin(world.utility.cbsa, rule.origins)[state.metro]
    return may


def offers(state: State, world: World) -> tuple[Ints, NDArray[np.bool_]]:
    """Return the grant that each worker reckons with, and who is eligible for any.

    Returns
    -------
    offer : (N,) int64
        Row of the policy, or -1. Of several, the first in the scenario.
    eligible : (N,) bool

    Notes
    -----
    Whether a worker knows of a programme and would claim is drawn once for all months, with
    probability ``take_up``. Stream: "take-up: " and the policy's name.
    """
    count = len(state.metro)
    offer = np.full(count, -1, dtype=np.int64)
    eligible = np.zeros(count, dtype=np.bool_)
    for g in reversed(active_policies(state, world)):
        policy = world.scenario.policies[g]
        may = eligible_for(policy, state, world)
        rows = np.flatnonzero(may)
        u = world.streams.uniform(f"take-up: {policy.name}", world.population.workers.id[rows])
        offer[rows[u < policy.take_up]] = g
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
    Where the budget does not reach for all, the smallest draws are paid. Stream: "grant queue".
    """
    paid = np.zeros(len(movers), dtype=np.bool_)
    u = world.streams.uniform("grant queue", world.population.workers.id[movers], state.month)
    for g, policy in enumerate(world.scenario.policies):
        claims = offer == g
        if policy.destinations is not None:
            claims &= np.isin(world.utility.cbsa, policy.destinations)[destination]
        rows = np.flatnonzero(claims)
        if rows.size:
            queue = rows[np.argsort(u[rows], kind="stable")]
            paid[queue[: _affordable(policy, int(state.spent[g]))]] = True
    return paid
