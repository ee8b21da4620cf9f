"""The unemployed look for jobs."""

from dataclasses import replace

import numpy as np

from microsim.processes.matching import match
from microsim.processes.search_effort import search_effort
from microsim.state import State, World

__all__ = ["hire", "search"]


def search(state: State, world: World) -> State:
    """Let the unemployed of former months find jobs in their metro.

    The chance is ``job_finding_rate * (tightness / reference_tightness) ** matching_elasticity``
    times the effort of `search_effort`, at most 1, where tightness is the metro's open positions
    over its unemployed ([PetrongoloPissarides2001]_ survey the Cobb-Douglas form). Those who lost
    their job this month search from the next one on. Where more find a job than positions are
    open, the smallest draws win.

    Streams: "search", "search: position".
    """
    labour, size = world.parameters.labour, world.metros
    seekers = np.flatnonzero(state.firm < 0)
    unemployed = np.bincount(state.metro[seekers], minlength=size)
    vacancies = np.bincount(
        world.population.firms.metro, state.positions - state.headcount, minlength=size
    )
    tightness = vacancies / np.maximum(unemployed, 1)
    relative = tightness / labour.reference_tightness
    chance = labour.job_finding_rate * relative**labour.matching_elasticity
    fresh = (state.months_out[seekers] == 0) & (state.month > 0)
    seekers = seekers[~fresh]
    u = world.streams.uniform("search", world.population.workers.id[seekers], state.month)
    p = np.minimum(chance[state.metro[seekers]] * search_effort(state, world)[seekers], 1.0)
    lucky = u < p
    priority = u[lucky] / p[lucky]
    hired, firm = match(seekers[lucky], priority, state, world, "search: position")
    return hire(state, world, hired, firm)


def hire(
    state: State,
    world: World,
    hired: np.ndarray[tuple[int], np.dtype[np.int64]],
    employer: np.ndarray[tuple[int], np.dtype[np.int64]],
) -> State:
    """Return the state in which the workers ``hired`` (H,) work for ``employer`` (H,).

    A worker who had been displaced earns ``displacement_wage_loss`` less than before.
    """
    firm, wage = state.firm.copy(), state.wage.copy()
    months_out, scarred = state.months_out.copy(), state.scarred.copy()
    firm[hired] = employer
    months_out[hired] = 0
    kept = 1.0 - world.parameters.labour.displacement_wage_loss
    wage[hired] *= np.where(scarred[hired], kept, 1.0)
    scarred[hired] = False
    by_metro = np.bincount(state.metro[hired], minlength=world.metros)
    return replace(
        state,
        firm=firm,
        wage=wage,
        months_out=months_out,
        scarred=scarred,
        headcount=state.headcount + np.bincount(employer, minlength=len(state.headcount)),
        flows=replace(state.flows, hires=state.flows.hires + by_metro),
    )
