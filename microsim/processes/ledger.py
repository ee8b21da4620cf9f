"""The governments' books: what was taken from whom, and paid out where."""

from dataclasses import replace
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from microsim.assumptions.governments import LEVELS
from microsim.flows import Flows
from microsim.state import State
from microsim.world import World

__all__ = ["cents_by_metro", "disbursements", "pay_from", "withholding"]

Ints = NDArray[np.int64]
STATE = LEVELS.index("state")


def cents_by_metro(metro: Ints, cents: Ints, metros: int) -> Ints:
    """Add up cents by metro, exactly: numpy's weighted bincount would add floats."""
    out = np.zeros(metros, dtype=np.int64)
    np.add.at(out, metro, cents)
    return out


def pay_from(
    state: State, policy: Ints, metro: Ints, cents: Ints, *, service: bool = False
) -> State:
    """Return the state in which the policies' payments are booked.

    Parameters
    ----------
    state
    policy, metro, cents : (P,)
        Of each payment: the policy's row, the metro it is counted in, and the amount.
    service
        Whether the payments buy a service. Those that do not go to households, whose savings the
        caller raises by as much.
    """
    flows = state.flows
    booked = np.zeros_like(flows.outlays)
    np.add.at(booked, (policy, metro), cents)
    return replace(
        state,
        spent=state.spent + booked.sum(axis=1),
        flows=replace(
            flows,
            payments=flows.payments + np.bincount(policy, minlength=len(state.spent)),
            outlays=flows.outlays + booked,
            services=flows.services + booked if service else flows.services,
        ),
    )


def withholding(state: State, world: World) -> tuple[Ints, Ints]:
    """Return what governments take from a month's wages.

    Flat rates on the wage: federal income and payroll tax, the state's and the local one where
    the worker lives. The unemployed pay nothing, also not on their benefits.

    Returns
    -------
    withheld : (N,) int64
        Cents that each worker pays to all levels.
    collected : (L, M) int64
        Cents that each level takes in each metro.
    """
    rules = world.parameters.taxes
    withheld = np.zeros(len(state.metro), dtype=np.int64)
    collected = np.zeros((len(LEVELS), world.metros), dtype=np.int64)
    if rules.active:
        rates = rules.rates(world.states)
        _withhold(state.wage, state.firm, state.metro, rates, withheld, collected)
    return withheld, collected


@njit(cache=True, nogil=True)
def _withhold(wage: Any, firm: Any, metro: Any, rates: Any, withheld: Any, collected: Any) -> None:
    """Add every worker's taxes, whole cents by level, to ``withheld`` and ``collected``."""
    for i in range(wage.shape[0]):
        if firm[i] < 0:
            continue
        pay = wage[i] * (100.0 / 12.0)
        for level in range(rates.shape[0]):
            cents = np.int64(np.rint(rates[level, metro[i]] * pay))
            withheld[i] += cents
            collected[level, metro[i]] += cents


def disbursements(flows: Flows, world: World) -> Ints:
    """Return what each level of government paid out in each metro, (L, M) cents.

    States pay the unemployment insurance; a policy is paid by the level that ``paid_by`` names.
    """
    out = np.zeros((len(LEVELS), world.metros), dtype=np.int64)
    out[STATE] += flows.benefit_cents
    for g, policy in enumerate(world.scenario.policies):
        out[LEVELS.index(policy.paid_by)] += flows.outlays[g]
    return out
