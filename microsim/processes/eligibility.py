"""Who meets a programme's conditions, and who is paid where money is short."""

import numpy as np
from numpy.typing import NDArray

from microsim.assumptions.synthesis import EDUCATION_LEVELS
from microsim.policies import Eligibility, Programme
from microsim.state import State
from microsim.world import World

__all__ = ["afforded", "meets", "would_claim"]

Ints = NDArray[np.int64]
COLLEGE = EDUCATION_LEVELS.index("bachelor")


def meets(rule: Eligibility, state: State, world: World) -> NDArray[np.bool_]:
    """Return who meets every condition of ``rule``, (N,)."""
    may = np.ones(len(state.metro), dtype=np.bool_)
    if rule.status == "unemployed":
        may &= ~state.employed
        if rule.within_months is not None:
            may &= state.months_out <= rule.within_months
    if rule.status == "displaced":
        may &= state.displaced_in != -1
        if rule.within_months is not None:
            may &= state.month - state.displaced_in <= rule.within_months
    if rule.income_ceiling is not None:
        may &= state.wage <= rule.income_ceiling
    if rule.college is not None:
        may &= (state.education >= COLLEGE) == rule.college
    if rule.remote is not None:
        may &= state.remote_workers(world) == rule.remote
    if rule.exposure_at_least is not None:
        may &= state.exposure(world) >= rule.exposure_at_least
    if rule.origins is not None:
        may &= np.isin(world.utility.cbsa, rule.origins)[state.metro]
    return may


def would_claim(policy: Programme, rows: Ints, world: World) -> NDArray[np.bool_]:
    """Return which of the workers ``rows`` (R,) know of the programme and would claim, (R,).

    Drawn once for all months, with probability ``take_up``. Stream: "take-up: " and the
    policy's name.
    """
    u = world.streams.uniform(f"take-up: {policy.name}", world.population.workers.id[rows])
    return u < policy.take_up


def afforded(rows: Ints, cents: Ints, g: int, state: State, world: World) -> NDArray[np.bool_]:
    """Return which of the claims the rest of policy ``g``'s budget pays, (R,).

    The smallest draws come first, until one is met that the budget does not reach for.

    Parameters
    ----------
    rows : (R,)
        Workers who claim.
    cents : (R,)
        What each would be paid.
    g
        Row of the policy among the scenario's.
    state, world

    Notes
    -----
    Stream: "queue: " and the policy's name.
    """
    policy = world.scenario.policies[g]
    left = policy.left(int(state.spent[g]))
    paid = np.ones(len(rows), dtype=np.bool_)
    if left is None:
        return paid
    ids = world.population.workers.id[rows]
    u = world.streams.uniform(f"queue: {policy.name}", ids, state.month)
    queue = np.lexsort((ids, u))
    paid[queue] = np.cumsum(cents[queue]) <= left
    return paid
