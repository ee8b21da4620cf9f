"""Employers open and close positions as their metro's workforce grows and shrinks."""

from dataclasses import replace
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from microsim.processes.closing import lost_jobs
from microsim.processes.macro import recession_factor
from microsim.processes.place_programmes import wanted_positions
from microsim.state import State
from microsim.world import World

__all__ = ["job_demand", "local_jobs"]


@njit(cache=True)
def _spread(totals: Any, weights: Any, order: Any, starts: Any, offsets: Any) -> Any:
    """Divide each metro's total among its firms by weight; whole numbers, (F,) int64."""
    parts = np.zeros(weights.shape[0], dtype=np.int64)
    for m in range(totals.shape[0]):
        mass = 0.0
        for k in range(starts[m], starts[m + 1]):
            mass += weights[order[k]]
        if totals[m] <= 0 or mass <= 0.0:
            continue
        running, last = 0.0, 0
        for k in range(starts[m], starts[m + 1]):
            running += weights[order[k]]
            # The last edge is exact: running equals mass to the bit, having the same additions.
            edge = int(np.floor(totals[m] * (running / mass) + offsets[m]))
            parts[order[k]] = edge - last
            last = edge
    return parts


def job_demand(state: State, world: World) -> State:
    """Move each metro's positions toward its first ratio of positions to workers, and local jobs.

    ``demand_speed`` of the gap is closed in a month; `local_jobs`, and the positions that
    policies make employers want, come on top, and those of plants that closed are not wanted any
    more (`lost_jobs`). In a recession, firms also withdraw
    ``1 - vacancy_factor`` of the metro's open positions. New positions go to firms in proportion to
    their headcount plus one, closed ones left out, and only vacancies are closed.

    Stream: "job demand", keyed by metro.
    """
    size = world.metros
    firm_metro = world.population.firms.metro
    rows = np.arange(size, dtype=np.int64)
    u = world.streams.uniform("job demand", rows, state.month)
    offsets = world.streams.uniform("job demand: firms", rows, state.month)
    stock = np.bincount(state.workplace(world), minlength=size)
    now = np.bincount(firm_metro, state.positions, minlength=size)
    vacancies = state.positions - state.headcount
    available = np.bincount(firm_metro, vacancies, minlength=size).astype(np.int64)
    kept = recession_factor(world.parameters.macro.vacancy_factor, state, world)
    target = world.jobs_per_worker * stock - lost_jobs(state, world)
    target = target + local_jobs(state, world) + wanted_positions(state, world)
    wanted = world.parameters.labour.demand_speed * (target - now)
    change = np.floor(wanted - (1.0 - kept) * available + u).astype(np.int64)
    order, starts = world.firm_order, world.firm_starts
    weight = np.where(state.closed, 0.0, state.headcount + 1.0)
    opened = _spread(np.maximum(change, 0), weight, order, starts, offsets)
    closing = np.minimum(np.maximum(-change, 0), available)
    closed = np.minimum(
        _spread(closing, vacancies.astype(np.float64), order, starts, offsets), vacancies
    )
    return replace(state, positions=state.positions + opened - closed)


def local_jobs(state: State, world: World) -> NDArray[np.float64]:
    """Return the positions that each metro's traded industries create in the others, (M,).

    ``local_multiplier`` times the workers whom traded industries employ beyond the share of the
    metro's workers that they employed at the start; negative where they employ fewer. What is
    earned by selling elsewhere is spent at home ([Moretti2010]_).
    """
    size, start = world.metros, world.start
    traded = np.bincount(
        world.population.firms.metro, state.headcount * start.traded, minlength=size
    )
    stock = np.bincount(state.metro, minlength=size)
    expected = start.traded_jobs * (stock / np.maximum(start.workers, 1))
    jobs: NDArray[np.float64] = world.parameters.local_economy.local_multiplier * (
        traded - expected
    )
    return jobs
