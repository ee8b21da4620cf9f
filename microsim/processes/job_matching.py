"""Seekers are helped with their search."""

import numpy as np
from numpy.typing import NDArray

from microsim.policies import JobMatching
from microsim.processes.eligibility import afforded, meets, would_claim
from microsim.processes.ledger import pay_from
from microsim.state import State
from microsim.world import World

__all__ = ["job_matching"]


def job_matching(state: State, world: World) -> tuple[State, NDArray[np.float64]]:
    """Serve the unemployed who search, are eligible, claim and can be paid for.

    Those who lost their job this month search, and are served, from the next one on.

    Returns
    -------
    State
        With the cost of the services booked.
    (N,) float64
        The factor of each worker's effort of search: that of the first programme that serves
        them, and 1 for the others.

    Notes
    -----
    Streams: "take-up: ...", "queue: ...".
    """
    factor = np.ones(len(state.metro))
    unserved = ~state.employed & ~state.fresh(world)
    for g, policy in world.scenario.policies_of(JobMatching):
        if not policy.runs(state.month):
            continue
        rows = np.flatnonzero(unserved & meets(policy.eligibility, state, world))
        rows = rows[would_claim(policy, rows, world)]
        cents = np.full(len(rows), policy.cents)
        paid = afforded(rows, cents, g, state, world)
        rows, cents = rows[paid], cents[paid]
        factor[rows] = policy.factor
        unserved[rows] = False
        state = pay_from(state, np.full(len(rows), g), state.metro[rows], cents, service=True)
    return state, factor
