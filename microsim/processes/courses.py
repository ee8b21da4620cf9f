"""What a course toward another occupation takes, and what it is worth."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from microsim.policies import Retraining
from microsim.processes.search_effort import search_effort
from microsim.processes.tightness import finding_chances, tightness
from microsim.state import State
from microsim.world import World

__all__ = ["Courses", "Outlook", "courses_for", "expected_earnings", "outlook", "values"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Courses:
    """What a course would be for each of some workers.

    Attributes
    ----------
    months : ndarray (R,) int64
    completion : ndarray (R,) float64
        Chance that it ends in the new occupation.
    own : ndarray (R,) int64
        Cents of tuition that the worker pays.
    covered : ndarray (R,) int64
        Cents that a programme pays for tuition and guidance.
    stipend : ndarray (R,) int64
        Cents a month.
    """

    months: Ints
    completion: Floats
    own: Ints
    covered: Ints
    stipend: Ints


@dataclass(frozen=True)
class Outlook:
    """What the occupations promise in every metro.

    Attributes
    ----------
    earnings : ndarray (M, O) float64
        Expected, thousand dollars a year.
    openings : ndarray (M, O) float64
        Shares of the metro's openings.
    """

    earnings: Floats
    openings: Floats


def courses_for(offer: Ints, world: World) -> Courses:
    """Return the courses of workers who claim from the programmes ``offer`` (R,), -1 for none."""
    assumed, count = world.parameters.retraining, len(world.scenario.policies) + 1
    tuition = round(100 * assumed.tuition)
    # The last entry is that of workers without a programme.
    months, gain = np.full(count, assumed.months), np.zeros(count)
    own, covered = np.full(count, tuition), np.zeros(count, dtype=np.int64)
    stipend = np.zeros(count, dtype=np.int64)
    for g, policy in world.scenario.policies_of(Retraining):
        months[g], gain[g] = policy.months or assumed.months, policy.completion_gain
        own[g] = tuition - round(policy.covers * tuition)
        covered[g] = tuition - own[g] + policy.guidance_cents
        stipend[g] = policy.stipend_cents
    return Courses(
        months=months[offer],
        completion=np.minimum(assumed.completion + gain[offer], 1.0),
        own=own[offer],
        covered=covered[offer],
        stipend=stipend[offer],
    )


def outlook(state: State, world: World) -> Outlook:
    """Return what the occupations promise this month."""
    market = tightness(search_effort(state, world), state, world)
    total = np.maximum(market.openings.sum(axis=1, keepdims=True), np.finfo(float).tiny)
    earnings = expected_earnings(finding_chances(market, world), state, world)
    return Outlook(earnings / 1000.0, market.openings / total)


def expected_earnings(found: Floats, state: State, world: World) -> Floats:
    """Return what work in every occupation brings in a year in every metro, (M, O) dollars.

    The median wage times ``f / (f + s)``, the share of time at work of somebody who finds jobs at
    rate f, at most 1, and loses them at rate s: that of ordinary separations, and of displacement
    at the exposure of the occupation and the employers' mean multiplier.

    Parameters
    ----------
    found : (M, O)
        Chance of finding a job in a month.
    state, world
    """
    labour, month = world.parameters.labour, state.month
    multiplier = np.asarray(labour.stage_multipliers, dtype=np.float64)[state.stage]
    mean = (multiplier @ state.headcount) / max(int(state.headcount.sum()), 1)
    risk = world.intensity[month][:, None] * world.exposure[month] * mean
    lost = labour.separation_rate - np.expm1(-risk)
    found = np.minimum(found, 1.0)
    at_work = found / np.maximum(found + lost, np.finfo(float).tiny)
    wages = world.population.wages * state.wage_index[:, None]
    earnings: Floats = wages * at_work
    return earnings


def values(rows: Ints, courses: Courses, view: Outlook, state: State, world: World) -> Floats:
    """Return the utility of a course toward every occupation, (R, O); -inf where there is none.

    ``log T_oq + log v_q + value_of_money * (A * c * r * ((1 - loss) * E_q - E_o) - K)``, with the
    transferability T, the share v of the metro's openings, the chance c to complete, the worker's
    rank r (wage over the occupation's median), expected earnings E and the annuity A of the years
    that are left, at most the horizon. The cost K is the own tuition and, of the unemployed, the
    earnings that study keeps them from, less the stipends. All money in thousand dollars. There
    are courses toward occupations less exposed to AI than the own.

    Parameters
    ----------
    rows : (R,)
        Workers.
    courses, view
        Theirs, and what the occupations promise.
    state, world
    """
    assumed = world.parameters.retraining
    metro, own = state.metro[rows], state.occupation[rows]
    now = view.earnings[metro, own]
    median = world.population.wages[metro, own] * state.wage_index[metro]
    rank = state.wage[rows] / median
    years = np.clip(assumed.retirement_age - state.age[rows], 0.0, assumed.horizon)
    annuity = -np.expm1(-assumed.discount * years) / assumed.discount
    gain = (1.0 - assumed.entry_wage_loss) * view.earnings[metro] - now[:, None]
    idle = np.where(state.employed[rows], 0.0, 1.0 - assumed.study_effort)
    monthly = idle * rank * now / 12.0 - courses.stipend / 1e5
    cost = courses.own / 1e5 + courses.months * monthly
    worth = (annuity * courses.completion * rank)[:, None] * gain - cost[:, None]
    exposure = world.exposure[state.month]
    with np.errstate(divide="ignore"):
        pull = np.log(world.jobs.transferability)[own] + np.log(view.openings)[metro]
    utility = pull + assumed.value_of_money * worth
    less_exposed = exposure < exposure[own][:, None]
    return np.asarray(np.where(less_exposed, utility, -np.inf), dtype=np.float64)
