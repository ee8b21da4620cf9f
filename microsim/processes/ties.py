"""Ties to a place are lost by moving away, and grow again."""

from dataclasses import replace

import numpy as np

from microsim.state import State
from microsim.world import World

__all__ = ["ties"]


def ties(state: State, world: World) -> State:
    """Let the strength of local networks follow this month's moves.

    Every worker has an own level, the strength at the start. ``formation`` of the gap to it closes
    in a month. Who has moved between metros arrives with ``kept`` of the level, or with
    ``kept_family`` where the family lives. Draws nothing.
    """
    rules, workers = world.parameters.ties, world.population.workers
    if not rules.active:
        return state
    level = workers.network.astype(np.float64)
    network = state.network + rules.formation * (level - state.network)
    movers = state.flows.movers
    home = state.metro[movers] == workers.family_metro[movers]
    network[movers] = level[movers] * np.where(home, rules.kept_family, rules.kept)
    return replace(state, network=network)
