"""How benefits slow the search for a job."""

import numpy as np
from numpy.typing import NDArray

from microsim.state import State
from microsim.world import World

__all__ = ["search_effort"]


def search_effort(state: State, world: World) -> NDArray[np.float64]:
    """Return the factor of each worker's chance of finding a job, (N,).

    ``exp(-search_response * (r - reference_replacement))``, where r is last month's benefit over a
    month's last wage, 0 without a benefit. The elasticity of the chance to the benefit is
    ``-search_response * r``; [KruegerMeyer2002]_ survey what durations answer. Where no insurance
    is paid, it is 1 for everybody.
    """
    rules = world.parameters.insurance
    effort = np.ones(len(state.firm))
    if not rules.active:
        return effort
    effort *= np.exp(rules.search_response * rules.reference_replacement)
    paid = np.flatnonzero(state.insured & ~state.employed)
    # Who is insured has a benefit, which is a share of the wage: the wage is not zero.
    replacement = 0.12 * state.benefit[paid] / state.wage[paid]
    effort[paid] *= np.exp(-rules.search_response * replacement)
    return effort
