"""Recessions come and go."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from microsim.shocks import Recession
from microsim.state import State
from microsim.world import World

__all__ = ["macro", "recession_chances", "recession_factor"]


def macro(state: State, world: World) -> State:
    """Start and end the scenario's recessions.

    Each is a Markov chain of two states with the chances of `recession_chances`: expansion turns
    into recession with the first, recession into expansion with the second.

    Stream: "recession", keyed by the row among the scenario's recessions.
    """
    if not world.recessions:
        return state
    rows = np.arange(len(world.recessions), dtype=np.int64)
    u = world.streams.uniform("recession", rows, state.month)
    start, end = recession_chances(state.month, world)
    on: NDArray[np.bool_] = np.where(state.recession, u >= end, u < start)
    return replace(state, recession=on)


def recession_chances(month: int, world: World) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the chances that each recession starts if it is off and ends if it is on, (R,) each.

    A chain starts with the hazard ``1 - (1 - recession_probability)**(1/12)`` in its months at risk
    and ends with ``1 / recession_months``: a geometric duration with that mean. A fixed recession
    starts and ends for certain.
    """
    macro = world.parameters.macro
    # In this form twelve months add up to the yearly probability.
    hazard = -np.expm1(np.log1p(-macro.recession_probability) / 12.0)

    def chances(shock: Recession) -> tuple[float, float]:
        due = shock.start_month <= month <= shock.end_month
        if shock.timing == "fixed":
            return float(due), float(not due)
        return hazard * due, 1.0 / macro.recession_months

    start, end = zip(*map(chances, world.recessions), strict=True)
    return np.array(start), np.array(end)


def recession_factor(factor: float, state: State, world: World) -> float:
    """Return ``factor ** severity``, with the severities of the recessions that are on added up.

    Without a recession that is exactly 1.
    """
    severity = sum(
        shock.severity for shock, on in zip(world.recessions, state.recession, strict=True) if on
    )
    return float(factor**severity)
