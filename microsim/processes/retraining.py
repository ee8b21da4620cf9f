"""Workers learn another occupation, or do not."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, logsumexp

from microsim.policies import Retraining
from microsim.processes.courses import Outlook, courses_for, outlook, values
from microsim.processes.eligibility import afforded, meets, would_claim
from microsim.processes.ledger import pay_from
from microsim.state import State
from microsim.world import World

__all__ = ["retraining", "study_effort"]

Ints = NDArray[np.int64]


def retraining(state: State, world: World) -> State:
    """End the courses that are over, and begin those that workers decide on.

    An unemployed worker considers to retrain with probability ``attention_unemployed``, an
    employed one whose job is at risk of displacement with ``attention_employed``. Who considers it
    begins a course with probability ``1 / (1 + exp(-constant - I))``, where I is the logsum of the
    `values` of the less exposed occupations, if savings cover their part of the tuition; the
    occupation is drawn among these by the logit. A course that is completed changes the
    occupation, and the wage with it, by the ratio of the metro's medians less ``entry_wage_loss``.

    A programme makes those whom it reaches consider ``outreach`` times as often, pays its share of
    the tuition when a course begins, and a stipend while it lasts. Whom its budget does not reach
    decide without it.

    Streams: "retraining: consider", "retraining: decide", "retraining: occupation",
    "retraining: complete", "take-up: ...", "queue: ...".
    """
    if not world.parameters.retraining.active:
        return state
    state = _end(state, world)
    offer = _offers(state, world)
    rows = _considering(offer, state, world)
    if rows.size:
        state = _begin(rows, offer[rows], state, world)
    return _support(state, world)


def study_effort(state: State, world: World) -> NDArray[np.float64]:
    """Return the factor of each worker's effort of search while they study, (N,)."""
    return np.where(state.course >= 0, world.parameters.retraining.study_effort, 1.0)


def _end(state: State, world: World) -> State:
    """Bring every course a month on; those over end in the new occupation, or without it."""
    learning = np.flatnonzero(state.course >= 0)
    if not learning.size:
        return state
    left = state.course_left.copy()
    left[learning] -= 1
    over = learning[left[learning] == 0]
    ids = world.population.workers.id[over]
    u = world.streams.uniform("retraining: complete", ids, state.month)
    done = over[u < courses_for(state.programme[over], world).completion]
    occupation, wage, course = state.occupation.copy(), state.wage.copy(), state.course.copy()
    metro, programme = state.metro[done], state.programme.copy()
    wages, kept = world.population.wages, 1.0 - world.parameters.retraining.entry_wage_loss
    wage[done] *= kept * wages[metro, course[done]] / wages[metro, occupation[done]]
    occupation[done] = course[done]
    course[over], programme[over] = -1, -1
    ended = np.bincount(state.metro[over], minlength=world.metros)
    learned = np.bincount(metro, minlength=world.metros)
    return replace(
        state,
        occupation=occupation,
        wage=wage,
        course=course,
        course_left=left,
        programme=programme,
        flows=replace(state.flows, retrained=learned, dropouts=ended - learned, graduates=done),
    )


def _offers(state: State, world: World) -> Ints:
    """Return the row of the programme that each worker would claim from, -1 for none, (N,).

    Of several, the first in the scenario; one that cannot pay for a course any more offers none.
    """
    offer = np.full(len(state.metro), -1, dtype=np.int64)
    for g, policy in reversed(world.scenario.policies_of(Retraining)):
        one = courses_for(np.array([g]), world)
        left = policy.left(int(state.spent[g]))
        if not policy.runs(state.month) or (
            left is not None and left < int(one.covered[0] + one.stipend[0])
        ):
            continue
        rows = np.flatnonzero(meets(policy.eligibility, state, world) & (state.course < 0))
        offer[rows[would_claim(policy, rows, world)]] = g
    return offer


def _considering(offer: Ints, state: State, world: World) -> Ints:
    """Return the workers who consider to retrain this month."""
    assumed = world.parameters.retraining
    reach = np.ones(len(world.scenario.policies) + 1)
    for g, policy in world.scenario.policies_of(Retraining):
        reach[g] = policy.outreach
    at_risk = (world.intensity[state.month] > 0)[state.metro]
    attention = np.where(at_risk, assumed.attention_employed, 0.0)
    attention[~state.employed] = assumed.attention_unemployed
    attention[state.course >= 0] = 0.0
    may = np.flatnonzero(attention)
    ids = world.population.workers.id[may]
    u = world.streams.uniform("retraining: consider", ids, state.month)
    return may[u < attention[may] * reach[offer[may]]]


def _begin(rows: Ints, offer: Ints, state: State, world: World) -> State:
    """Let the workers ``rows`` (R,) decide, with the programmes ``offer`` (R,) if these can pay."""
    view = outlook(state, world)
    offer, willing = offer.copy(), _willing(rows, offer, view, state, world)
    for g, _ in world.scenario.policies_of(Retraining):
        claims = np.flatnonzero(willing & (offer == g))
        course = courses_for(offer[claims], world)
        costs = course.covered + course.stipend
        unpaid = claims[~afforded(rows[claims], costs, g, state, world)]
        if unpaid.size:
            offer[unpaid] = -1
            willing[unpaid] = _willing(rows[unpaid], offer[unpaid], view, state, world)
    rows, offer = rows[willing], offer[willing]
    return _enrol(rows, offer, view, state, world) if rows.size else state


def _willing(
    rows: Ints, offer: Ints, view: Outlook, state: State, world: World
) -> NDArray[np.bool_]:
    """Return which of the workers can pay to retrain, and decide to, (R,)."""
    willing = courses_for(offer, world).own <= state.savings[rows]
    rows = rows[willing]
    utility = values(rows, courses_for(offer[willing], world), view, state, world)
    ids = world.population.workers.id[rows]
    u = world.streams.uniform("retraining: decide", ids, state.month)
    chance = expit(world.parameters.retraining.constant + logsumexp(utility, axis=1))
    willing[willing] = u < chance
    return willing


def _enrol(rows: Ints, offer: Ints, view: Outlook, state: State, world: World) -> State:
    """Begin the courses of ``rows`` (R,), and pay the tuition."""
    courses = courses_for(offer, world)
    utility = values(rows, courses, view, state, world)
    weight = np.cumsum(np.exp(utility - utility.max(axis=1, keepdims=True)), axis=1)
    ids, metro = world.population.workers.id[rows], state.metro[rows]
    u = world.streams.uniform("retraining: occupation", ids, state.month)
    course, left = state.course.copy(), state.course_left.copy()
    programme, savings = state.programme.copy(), state.savings.copy()
    course[rows] = (weight <= u[:, None] * weight[:, -1:]).sum(axis=1)
    left[rows] = courses.months
    programme[rows] = offer
    savings[rows] -= courses.own
    paid = np.flatnonzero(courses.covered)
    state = pay_from(state, offer[paid], metro[paid], courses.covered[paid], service=True)
    flows = replace(
        state.flows,
        retraining=np.bincount(metro, minlength=world.metros),
        tuition=int(courses.own.sum()),
    )
    return replace(
        state, course=course, course_left=left, programme=programme, savings=savings, flows=flows
    )


def _support(state: State, world: World) -> State:
    """Pay the programmes' stipends to those in their courses, while the budgets last."""
    for g, policy in world.scenario.policies_of(Retraining):
        rows = np.flatnonzero(state.programme == g)
        if policy.stipend_cents == 0 or not rows.size:
            continue
        cents = np.full(len(rows), policy.stipend_cents)
        paid = afforded(rows, cents, g, state, world)
        rows, cents = rows[paid], cents[paid]
        savings = state.savings.copy()
        savings[rows] += cents
        state = pay_from(state, np.full(len(rows), g), state.metro[rows], cents)
        state = replace(state, savings=savings)
    return state
