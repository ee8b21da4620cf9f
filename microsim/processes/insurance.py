"""The unemployed are paid benefits."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from microsim.policies import ExtendedInsurance
from microsim.processes.eligibility import afforded, meets, would_claim
from microsim.processes.ledger import cents_by_metro, pay_from
from microsim.state import State
from microsim.world import World

__all__ = ["insurance"]

Ints = NDArray[np.int64]
WEEKS_A_MONTH = 52 / 12


def insurance(state: State, world: World) -> State:
    """Pay unemployment insurance into the savings of those who lost a job.

    A worker who is eligible and lost a job this month claims with probability ``claim_share``. The
    benefit of a month is ``min(replacement_rate * wage / 52, maximum_weekly) * 52 / 12`` at the
    last wage, in whole cents; it is paid for ``duration`` months without a job, the first in the
    month of the loss. The rules are those of the state of the metro, the benefit's fixed when the
    job is lost, the duration's where the worker lives. Who leaves a job to move is not insured;
    who is unemployed when the simulation begins is, from its first month on.

    When these benefits have run out, an extension pays the same for ``months`` more.

    Streams: "insurance: claim", "take-up: ...", "queue: ...".
    """
    rules = world.parameters.insurance
    if not rules.active:
        return state
    out = np.flatnonzero(~state.employed)
    state = _claims(out, state, world)
    state = replace(state, insured=np.zeros_like(state.insured))
    insured = out[state.benefit[out] > 0]
    duration = np.array(rules.by_state("duration", world.states))[state.metro[insured]]
    used = state.benefit_months[insured]
    regular = insured[used < duration]
    cents = cents_by_metro(state.metro[regular], state.benefit[regular], world.metros)
    state = _paid(regular, state)
    state = replace(state, flows=replace(state.flows, benefit_cents=cents))
    exhausted, over = insured[used >= duration], (used - duration)[used >= duration]
    for g, policy in world.scenario.policies_of(ExtendedInsurance):
        if not policy.runs(state.month):
            continue
        rows = exhausted[over < policy.months]
        rows = rows[meets(policy.eligibility, state, world)[rows]]
        rows = rows[would_claim(policy, rows, world)]
        rows = rows[afforded(rows, state.benefit[rows], g, state, world)]
        state = pay_from(state, np.full(len(rows), g), state.metro[rows], state.benefit[rows])
        state = _paid(rows, state)
        unpaid = ~np.isin(exhausted, rows)
        exhausted, over = exhausted[unpaid], over[unpaid]
    return state


def _claims(out: Ints, state: State, world: World) -> State:
    """Open the claims of those who lost their job this month; a new job closes a claim."""
    rules = world.parameters.insurance
    lost = out[state.months_out[out] == 0]
    u = world.streams.uniform("insurance: claim", world.population.workers.id[lost], state.month)
    eligible = world.population.workers.benefit_eligible[lost]
    claimants = lost[eligible & (u < rules.claim_share)]
    metro = state.metro[claimants]
    rate = np.array(rules.by_state("replacement_rate", world.states))[metro]
    most = np.array(rules.by_state("maximum_weekly", world.states))[metro]
    weekly = np.minimum(rate * state.wage[claimants] / 52.0, most)
    benefit, months = np.zeros_like(state.benefit), np.zeros_like(state.benefit_months)
    benefit[out], months[out] = state.benefit[out], state.benefit_months[out]
    benefit[lost], months[lost] = 0, 0
    benefit[claimants] = np.rint(100.0 * WEEKS_A_MONTH * weekly).astype(np.int64)
    return replace(state, benefit=benefit, benefit_months=months)


def _paid(rows: Ints, state: State) -> State:
    """Return the state in which the workers ``rows`` have their month's benefit."""
    savings, months = state.savings.copy(), state.benefit_months.copy()
    insured = state.insured.copy()
    savings[rows] += state.benefit[rows]
    months[rows] += 1
    insured[rows] = True
    return replace(state, savings=savings, benefit_months=months, insured=insured)
