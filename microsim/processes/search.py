"""The unemployed look for jobs."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from microsim.processes.job_matching import job_matching
from microsim.processes.matching import match
from microsim.processes.retraining import study_effort
from microsim.processes.search_effort import search_effort
from microsim.processes.tightness import finding_chances, tightness
from microsim.state import State
from microsim.world import World

__all__ = ["hire", "search"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


def search(state: State, world: World) -> State:
    """Let the unemployed of former months find jobs in their metro.

    The chance is ``job_finding_rate * (tightness / reference_tightness) ** matching_elasticity``
    times the effort of search, at most 1 ([PetrongoloPissarides2001]_ survey the Cobb-Douglas
    form), with the `tightness` that a seeker's occupation meets. Benefits and courses lower the
    effort, and job matching raises it. Who finds a job
    finds it in an occupation drawn in proportion to what each adds to that tightness. Those who
    lost their job this month search from the next one on. Where more find a job than positions
    are open, the smallest draws win.

    Streams: "search", "search: occupation", "search: position".
    """
    jobs = world.jobs
    state, service = job_matching(state, world)
    effort = search_effort(state, world) * study_effort(state, world) * service
    market = tightness(effort, state, world)
    chance = finding_chances(market, world)
    seekers = np.flatnonzero(~state.employed & ~state.fresh(world))
    ids, metro, own = world.population.workers.id, state.metro[seekers], state.occupation[seekers]
    u = world.streams.uniform("search", ids[seekers], state.month)
    p = np.minimum(chance[metro, own] * effort[seekers], 1.0)
    lucky = u < p
    priority, found = u[lucky] / p[lucky], seekers[lucky]
    occupation = own[lucky].astype(np.int64)
    if world.parameters.skills.active:
        draw = world.streams.uniform("search: occupation", ids[found], state.month)
        weight = np.cumsum(jobs.transferability[occupation] * market.chances[metro[lucky]], axis=1)
        occupation = (weight <= draw[:, None] * weight[:, -1:]).sum(axis=1)
    return hire(state, world, *match(found, occupation, priority, state, world, "search: position"))


def hire(state: State, world: World, hired: Ints, employer: Ints, occupation: Ints) -> State:
    """Return the state in which workers (H,) work for employers (H,) in occupations (H,).

    A worker who had been displaced earns ``displacement_wage_loss`` less than before. In another
    occupation the wage changes by the ratio of the metro's median wages, and loses
    ``distance_wage_loss`` for every unit of skill distance. No job pays less than the minimum wage
    of where it is, for ``full_time_hours`` a year.
    """
    firm, wage = state.firm.copy(), state.wage.copy()
    months_out, scarred = state.months_out.copy(), state.scarred.copy()
    held, was, metro = state.occupation.copy(), state.occupation[hired], state.metro[hired]
    firm[hired] = employer
    months_out[hired] = 0
    kept = 1.0 - world.parameters.labour.displacement_wage_loss
    wage[hired] *= np.where(scarred[hired], kept, 1.0)
    scarred[hired] = False
    changed = np.flatnonzero(was != occupation)
    distance = world.jobs.distance[was[changed], occupation[changed]]
    wages = world.population.wages[metro[changed]]
    rows = np.arange(len(changed))
    ratio = wages[rows, occupation[changed]] / wages[rows, was[changed]]
    wage[hired[changed]] *= ratio * np.exp(-world.parameters.skills.distance_wage_loss * distance)
    least = world.start.minimum_wage * world.parameters.labour.full_time_hours
    wage[hired] = np.maximum(wage[hired], least[metro])
    held[hired] = occupation
    flows = state.flows
    return replace(
        state,
        firm=firm,
        occupation=held,
        wage=wage,
        months_out=months_out,
        scarred=scarred,
        headcount=state.headcount + np.bincount(employer, minlength=len(state.headcount)),
        flows=replace(
            flows,
            hires=flows.hires + np.bincount(metro, minlength=world.metros),
            switches=flows.switches + np.bincount(metro[changed], minlength=world.metros),
        ),
    )
