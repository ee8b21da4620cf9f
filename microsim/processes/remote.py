"""Firms let their staff work from anywhere."""

from dataclasses import replace

import numpy as np

from microsim.mobility.remote_work import REMOTE, telework_shares, turns_remote
from microsim.state import State
from microsim.world import World

__all__ = ["remote_work"]


def remote_work(state: State, world: World) -> State:
    """Make the firms remote that the scenario's shocks of remote work have reached.

    A firm is reached with the shock's ``share`` times the share of its first staff's jobs that
    can be done from anywhere, in one of the shock's ``months``, and stays remote.

    Streams: "remote work", "remote work: month", keyed by firm and shock.
    """
    under_way = [
        (k, shock)
        for k, shock in enumerate(world.remote_shocks)
        if shock.start_month <= state.month < shock.start_month + shock.months
    ]
    if not under_way or not world.parameters.remote.active:
        return state
    w, firms = world.population.workers, world.population.firms
    at_work = w.firm >= 0
    jobs = telework_shares(world.population, world.parameters.remote)[w.occupation[at_work]]
    can = np.bincount(w.firm[at_work], jobs, minlength=len(firms)) / np.maximum(firms.size, 1)
    policy = state.remote.copy()
    for k, shock in under_way:
        whether = world.streams.uniform("remote work", firms.id, k)
        when = world.streams.uniform("remote work: month", firms.id, k)
        since = state.month - shock.start_month
        policy[turns_remote(whether, when, shock.share * can, since, shock.months)] = REMOTE
    return replace(state, remote=policy)
