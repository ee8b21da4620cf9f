"""The governments' books: what was taken from whom, and paid out where."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from microsim.flows import Flows
from microsim.government_parameters import LEVELS
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


def withholding(state: State, world: World) -> Ints:
    """Return what each government takes from a month's wages, (L, N) cents.

    Flat rates on the wage: federal income and payroll tax, the state's and the local one where
    the worker lives. The unemployed pay nothing, also not on their benefits.
    """
    rules = world.parameters.taxes
    tax = np.zeros((len(LEVELS), len(state.metro)), dtype=np.int64)
    if not rules.active:
        return tax
    pay = np.where(state.employed, state.wage * (100.0 / 12.0), 0.0)
    federal = np.full(world.metros, rules.federal_income_rate + rules.payroll_rate)
    of_states = (rules.by_state(name, world.states) for name in ("state_rate", "local_rate"))
    for level, rates in enumerate((federal, *of_states)):
        rate = np.asarray(rates)[state.metro]
        tax[level] = np.rint(rate * pay).astype(np.int64)
    return tax


def disbursements(flows: Flows, world: World) -> Ints:
    """Return what each level of government paid out in each metro, (L, M) cents.

    States pay the unemployment insurance; a policy is paid by the level that ``paid_by`` names.
    """
    out = np.zeros((len(LEVELS), world.metros), dtype=np.int64)
    out[STATE] += flows.benefit_cents
    for g, policy in enumerate(world.scenario.policies):
        out[LEVELS.index(policy.paid_by)] += flows.outlays[g]
    return out
