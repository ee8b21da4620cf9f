"""Jobs are lost: ordinary separations, and displacement by AI."""

from dataclasses import replace
from typing import Any

import numpy as np
from numba import njit, prange
from numpy.typing import NDArray

from choicemodels.keyed_random import uniform_one
from microsim.processes.alignment import firm_factors, tallied
from microsim.processes.intensity import displacement_intensity
from microsim.processes.macro import recession_factor
from microsim.state import State
from microsim.world import World

__all__ = ["displacement", "take_jobs"]

Ints = NDArray[np.int64]
Mask = NDArray[np.bool_]

DISPLACED, CLOSED = 2, 3


@njit(cache=True, parallel=True)
def _fates(
    keys: Any, month: Any, ids: Any, firm: Any, intensity: Any, separation: Any, closing: Any
) -> Any:
    """Return what happens to each job, (N,) int8: 0 stays, 1 separated, 2 displaced, 3 closed too.

    Ids, firms and intensities are by worker.
    """
    fate = np.zeros(firm.shape[0], dtype=np.int8)
    for i in prange(firm.shape[0]):
        if firm[i] < 0:
            continue
        strength = intensity[i]
        # The displacement draw comes first, so that a shock never turns on the separations' draw.
        if strength > 0.0 and uniform_one(keys[0], ids[i], month) < -np.expm1(-strength):
            closed = uniform_one(keys[1], ids[i], month) < closing
            fate[i] = 3 if closed else 2
        elif uniform_one(keys[2], ids[i], month) < separation:
            fate[i] = 1
    return fate


def displacement(state: State, world: World) -> State:
    """Take jobs away.

    An employed worker is displaced with the complementary log-log hazard ``1 - exp(-intensity)``:
    in its logarithm the intensity of `displacement_intensity` is linear in those of its factors,
    as in the proportional hazards of grouped durations ([PrenticeGloeckler1978]_). Alignment, if
    it is on, adds a factor by firm. Who is not displaced is separated at ``separation_rate``,
    times ``separation_factor`` in a recession. A separation leaves the position open. A displaced
    worker's position is closed with probability ``position_loss``.

    Streams: "displacement", "position loss", "separation".
    """
    labour, macro = world.parameters.labour, world.parameters.macro
    names = ("displacement", "position loss", "separation")
    fate = _fates(
        np.array([world.streams.key(name) for name in names], dtype=np.uint64),
        state.month,
        world.population.workers.id,
        state.firm,
        displacement_intensity(state, world) * firm_factors(state, world)[state.firm],
        labour.separation_rate * recession_factor(macro.separation_factor, state, world),
        labour.position_loss,
    )
    lost = np.flatnonzero(fate)
    how = fate[lost]
    return take_jobs(lost, how >= DISPLACED, how == CLOSED, state, world)


def take_jobs(lost: Ints, displaced: Mask, closed: Mask, state: State, world: World) -> State:
    """Return the state in which workers have lost their jobs.

    Parameters
    ----------
    lost : (L,)
        Rows of employed workers.
    displaced : (L,)
        Which of them count as displaced; the others are ordinary separations.
    closed : (L,)
        Whose position is closed with them.
    state, world
    """
    firms, metros = len(state.headcount), world.metros
    replaced = lost[displaced]
    firm, months_out = state.firm.copy(), state.months_out.copy()
    displaced_in, scarred = state.displaced_in.copy(), state.scarred.copy()
    firm[lost] = -1
    months_out[lost] = 0
    displaced_in[replaced] = state.month
    scarred[replaced] = True
    return replace(
        state,
        firm=firm,
        months_out=months_out,
        displaced_in=displaced_in,
        scarred=scarred,
        aligned=tallied(replaced, state, world),
        headcount=state.headcount - np.bincount(state.firm[lost], minlength=firms),
        positions=state.positions - np.bincount(state.firm[lost[closed]], minlength=firms),
        flows=replace(
            state.flows,
            separations=state.flows.separations
            + np.bincount(state.metro[lost[~displaced]], minlength=metros),
            displaced=state.flows.displaced + np.bincount(state.metro[replaced], minlength=metros),
        ),
    )
