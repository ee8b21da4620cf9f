"""Jobs are lost: ordinary separations, and displacement by AI."""

from dataclasses import replace
from typing import Any

import numpy as np
from numba import njit, prange
from numpy.typing import NDArray

from choicemodels.keyed_random import uniform_one
from microsim.processes.macro import recession_factor
from microsim.state import State, World

__all__ = ["displacement", "take_jobs"]

Ints = NDArray[np.int64]
Mask = NDArray[np.bool_]

DISPLACED, CLOSED = 2, 3


@njit(cache=True, parallel=True)
def _fates(
    keys: Any, month: Any, ids: Any, firm: Any, metro: Any, occupation: Any, exposure: Any,
    stage: Any, multipliers: Any, intensity: Any, separation: Any, closing: Any,
) -> Any:  # fmt: skip
    """Return what happens to each job, (N,) int8: 0 stays, 1 separated, 2 displaced, 3 closed too.

    ``exposure`` is by occupation, all else by worker, firm or metro.
    """
    fate = np.zeros(firm.shape[0], dtype=np.int8)
    for i in prange(firm.shape[0]):
        if firm[i] < 0:
            continue
        strength = intensity[metro[i]] * exposure[occupation[i]] * multipliers[stage[firm[i]]]
        # The displacement draw comes first, so that a shock never turns on the separations' draw.
        if strength > 0.0 and uniform_one(keys[0], ids[i], month) < -np.expm1(-strength):
            closed = uniform_one(keys[1], ids[i], month) < closing
            fate[i] = 3 if closed else 2
        elif uniform_one(keys[2], ids[i], month) < separation:
            fate[i] = 1
    return fate


def displacement(state: State, world: World) -> State:
    """Take jobs away.

    An employed worker is displaced with the complementary log-log hazard
    ``1 - exp(-intensity * exposure * multiplier * recession)``: in its logarithm the intensity of
    displacement is linear in those of its factors, as in the proportional hazards of grouped
    durations ([PrenticeGloeckler1978]_). The intensity is ``-log(1 - path)`` of the scenario's
    hazard path in the worker's metro, the multiplier belongs to the employer's stage of adoption,
    and the recession's is ``displacement_factor``. Who is not displaced is separated at
    ``separation_rate``, times ``separation_factor`` in a recession. A separation leaves the
    position open. A displaced worker's position is closed with probability ``position_loss``.

    Streams: "displacement", "position loss", "separation".
    """
    w, labour = world.population.workers, world.parameters.labour
    macro = world.parameters.macro
    separation = labour.separation_rate * recession_factor(macro.separation_factor, state, world)
    intensity = world.intensity[state.month]
    names = ("displacement", "position loss", "separation")
    keys = np.array([world.streams.key(name) for name in names], dtype=np.uint64)
    fate = _fates(
        keys,
        state.month,
        w.id,
        state.firm,
        state.metro,
        w.occupation,
        world.exposure[state.month],
        state.stage,
        np.asarray(labour.stage_multipliers, dtype=np.float64),
        intensity * recession_factor(macro.displacement_factor, state, world),
        separation,
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
        headcount=state.headcount - np.bincount(state.firm[lost], minlength=firms),
        positions=state.positions - np.bincount(state.firm[lost[closed]], minlength=firms),
        flows=replace(
            state.flows,
            separations=state.flows.separations
            + np.bincount(state.metro[lost[~displaced]], minlength=metros),
            displaced=state.flows.displaced + np.bincount(state.metro[replaced], minlength=metros),
        ),
    )
