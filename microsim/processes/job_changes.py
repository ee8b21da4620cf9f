"""Workers go from job to job within their metro."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from microsim.processes.matching import match
from microsim.processes.search import hire
from microsim.processes.tightness import openings_by_occupation
from microsim.state import State
from microsim.world import World

__all__ = ["change_chances", "job_changes"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


def job_changes(state: State, world: World) -> State:
    """Let the employed take positions that other employers of their metro have open.

    An employed worker finds another job in the own occupation with the probability of
    `change_chances`. Positions are drawn as those of seekers are, and who draws one with the own
    employer stays. The position left is open at once, so that those out of work find as many open
    as without. A change is a quit and a hire ([FallickFleischman2004]_ count them all), and raises
    the wage by ``job_change_gain``.

    Streams: "job change", "job change: position".
    """
    if world.parameters.labour.job_change_rate == 0.0:
        return state
    ids, occupation = world.population.workers.id, state.occupation
    chance = change_chances(state, world)[state.metro, occupation]
    p = np.where(state.employed, chance, 0.0)
    u = world.streams.uniform("job change", ids, state.month)
    found = np.flatnonzero(u < p)
    own = occupation[found].astype(np.int64)
    priority = u[found] / p[found]
    rows, employer, own = match(found, own, priority, state, world, "job change: position")
    other = employer != state.firm[rows]
    return _change(rows[other], employer[other], own[other], state, world)


def change_chances(state: State, world: World) -> Floats:
    """Return the chance of finding another job in a month, by metro and occupation, (M, O).

    ``job_change_rate * (v / reference_openings) ** matching_elasticity``, at most 1, where v is
    the openings for the occupation over its employed in the metro; 0 where it employs nobody. Those
    out of work compete as well, but are few beside the employed.
    """
    labour = world.parameters.labour
    openings = openings_by_occupation(state, world)
    at_work = np.flatnonzero(state.employed)
    cell = state.metro[at_work] * openings.shape[1] + state.occupation[at_work]
    jobs = np.bincount(cell, minlength=openings.size).reshape(openings.shape)
    ratio = np.divide(openings, jobs, out=np.zeros_like(openings), where=jobs > 0)
    relative = (ratio / labour.reference_openings) ** labour.matching_elasticity
    chances: Floats = np.where(jobs > 0, np.minimum(labour.job_change_rate * relative, 1.0), 0.0)
    return chances


def _change(rows: Ints, employer: Ints, occupation: Ints, state: State, world: World) -> State:
    """Move workers (C,) to the employers (C,), in their occupations (C,)."""
    after = hire(state, world, rows, employer, occupation)
    wage = after.wage.copy()
    wage[rows] *= 1.0 + world.parameters.labour.job_change_gain
    changes = np.bincount(state.metro[rows], minlength=world.metros)
    flows = replace(after.flows, job_changes=changes, quits=after.flows.quits + changes)
    left = np.bincount(state.firm[rows], minlength=len(state.headcount))
    return replace(after, wage=wage, headcount=after.headcount - left, flows=flows)
