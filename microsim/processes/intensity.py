"""How exposed each job is to displacement this month."""

import numpy as np
from numpy.typing import NDArray

from microsim.processes.macro import recession_factor
from microsim.state import State
from microsim.world import World

__all__ = ["displacement_intensity"]


def displacement_intensity(state: State, world: World) -> NDArray[np.float64]:
    """Return the intensity of each worker's displacement, alignment left out, (N,).

    ``intensity * recession * exposure * multiplier``: ``-log(1 - path)`` of the scenario's hazard
    path in the worker's metro, the recession's factor, the exposure of the occupation, and the
    multiplier of the employer's stage of adoption. It is 0 for the unemployed.
    """
    labour, macro = world.parameters.labour, world.parameters.macro
    path = world.intensity[state.month]
    if not path.any():
        return np.zeros(len(state.metro))
    here = (path * recession_factor(macro.displacement_factor, state, world))[state.metro]
    multiplier = np.asarray(labour.stage_multipliers, dtype=np.float64)[state.stage]
    own = here * state.exposure(world) * multiplier[state.firm]
    intensity: NDArray[np.float64] = np.where(state.employed, own, 0.0)
    return intensity
