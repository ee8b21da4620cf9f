"""How far people move: the classes of distance that surveys report."""

import numpy as np
from numpy.typing import NDArray

from microsim.state import State
from microsim.world import World

__all__ = ["DISTANCE_CLASSES", "KM_PER_MILE", "distance_classes", "move_counts"]

DISTANCE_CLASSES = ("under_5_miles", "5_to_50_miles", "over_50_miles")
KM_PER_MILE = 1.609344


def distance_classes(miles: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return the position of each distance in `DISTANCE_CLASSES`."""
    return np.searchsorted([5.0, 50.0], miles, side="right")


def move_counts(state: State, world: World) -> dict[str, int]:
    """Return how many moved this month, within metros and between them, by distance.

    Moves between metros are classed by the distance of the metros' centres; they are between
    states if the two metros share none.
    """
    flows, pair = state.flows, world.places.pair
    miles = pair["distance"][flows.origin, flows.destination] / KM_PER_MILE
    counts = flows.local_moves + np.bincount(distance_classes(miles), minlength=3)
    interstate = pair["same_state"][flows.origin, flows.destination] == 0.0
    return {
        "local_moves": int(flows.local_moves.sum()),
        "interstate_moves": int(interstate.sum()),
        **{
            f"moves_{name}": int(count)
            for name, count in zip(DISTANCE_CLASSES, counts, strict=True)
        },
    }
