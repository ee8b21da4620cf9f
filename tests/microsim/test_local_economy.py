"""Wages by metro: agglomeration, congestion, the wage curve and the trend."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from choicemodels.errors import SpecificationError
from choicemodels.keyed_random import Streams
from microsim import Scenario, simulate
from microsim.assumptions.places import HousingParameters
from microsim.local_start import local_start
from microsim.mobility.utility import MobilityUtility
from microsim.processes.job_demand import job_demand, local_jobs
from microsim.processes.local_economy import commute_index, local_economy, wage_level
from microsim.state import initial_state
from microsim.world import make_world

STILL = {"wage_trend": 0.0, "agglomeration": 0.0, "congestion": 0.0, "wage_curve": 0.0}


@pytest.fixture(scope="module")
def world_of(population, behaviour, make):
    utility = MobilityUtility.build(behaviour, tuple(population.metros.cbsa))

    def build(**assumed):
        assumed = {**STILL, "smallest_market": 1e-6, "active": True, **assumed}
        scenario = make(quiet=True, local_economy=assumed)
        return make_world(population, utility, scenario, 12, Streams(1), first_month=1)

    return build


def without_jobs(state, metro, share):
    """The state in which so many of the metro's employed have lost their jobs."""
    rows = np.flatnonzero((state.metro == metro) & state.employed)
    firm = state.firm.copy()
    firm[rows[: round(share * len(rows))]] = -1
    return replace(state, firm=firm)


def resettled(state, share):
    there = np.flatnonzero(state.metro == 1)
    metro = state.metro.copy()
    metro[there[: round(share * len(there))]] = 0
    return replace(state, metro=metro)


def counts(state):
    workers = np.bincount(state.metro, minlength=16)
    return workers, np.bincount(state.metro[state.employed], minlength=16)


def test_at_the_start_nothing_pulls(world_of):
    world = world_of(agglomeration=0.04, congestion=0.01, wage_curve=-0.1, smallest_market=500)
    state = initial_state(world)
    assert_allclose(wage_level(state, world), 1.0, rtol=1e-12)
    assert_allclose(commute_index(state, world), 1.0, rtol=1e-12)
    assert_allclose(local_economy(state, world).wage, state.wage, rtol=1e-12)


@pytest.mark.parametrize(
    ("name", "value"), [("agglomeration", 0.04), ("congestion", 0.01), ("wage_curve", -0.1)]
)
def test_each_force_has_its_sign_and_elasticity(world_of, name, value):
    world = world_of(**{name: value})
    first = initial_state(world)
    workers, employed = counts(first)
    state = without_jobs(resettled(first, 0.3), 2, 0.1)
    now, at_work = counts(state)
    with np.errstate(divide="ignore"):
        expected = {
            "agglomeration": (at_work / employed) ** 0.04,
            "congestion": (now / workers) ** -0.01,
            "wage_curve": ((1 - at_work / now) / (1 - employed / workers)) ** -0.1,
        }[name]
    level = wage_level(state, world)
    known = employed < workers
    assert_allclose(level[known], expected[known], rtol=1e-6)
    signs = {"agglomeration": (1, -1, -1), "congestion": (-1, 1, 0), "wage_curve": (0, 0, -1)}[name]
    for m, sign in enumerate(signs):
        if sign:
            assert np.sign(level[m] - 1) == sign


def test_wages_follow_the_metro_at_the_speed(world_of):
    world = world_of(agglomeration=0.05, wage_speed=0.1)
    state = without_jobs(initial_state(world), 2, 0.5)
    target = wage_level(state, world)
    after = local_economy(state, world)
    assert_allclose(after.wage_index, target**0.1, rtol=1e-12)
    assert_allclose(after.wage, state.wage * after.wage_index[state.metro], rtol=1e-12)
    for month in range(1, 200):
        after = local_economy(replace(after, month=month), world)
    assert_allclose(after.wage_index, target, rtol=1e-8)


def test_the_trend_is_the_yearly_rate_and_pulls_nothing(world_of):
    world = world_of(wage_trend=0.03, agglomeration=0.05, wage_curve=-0.1)
    state = initial_state(world)
    for month in range(12):
        state = local_economy(replace(state, month=month), world)
    assert_allclose(state.wage_index, 1.03, rtol=1e-9)
    assert_allclose(state.wage, 1.03 * world.population.workers.wage, rtol=1e-9)


def test_roads_are_shared(world_of):
    world = world_of(commute_elasticity=0.1)
    state = resettled(initial_state(world), 0.3)
    ratio = counts(state)[0] / counts(initial_state(world))[0]
    assert_allclose(commute_index(state, world), ratio**0.1, rtol=1e-6)


def test_off_wages_stay(world_of):
    world = world_of(active=False, wage_trend=0.05)
    state = initial_state(world)
    assert local_economy(state, world) is state


def test_movers_take_the_wages_of_the_new_metro(population, behaviour, make):
    """A trend that is the same everywhere changes no mover's relative gain."""
    economy = {**STILL, "active": True, "wage_trend": 0.12}
    quiet = simulate(population, behaviour, make(quiet=True), months=6)
    run = simulate(population, behaviour, make(quiet=True, local_economy=economy), months=6)
    growth = run.national["wages"] / quiet.national["wages"]
    assert_allclose(growth, 1.12 ** ((np.arange(6) + 1) / 12), rtol=5e-3)


@pytest.mark.parametrize(
    ("assumed", "message"),
    [
        ({"wage_curve": 0.1}, "wage_curve' is 0.1"),
        ({"local_multiplier": -1}, "local_multiplier' is -1"),
        ({"wage_trend": -1}, "wage_trend' is -1"),
    ],
)
def test_wrong_assumptions_end_in_a_sentence(assumed, message):
    with pytest.raises(SpecificationError, match=message):
        Scenario.from_mapping({"parameters": {"local_economy": assumed}})


def test_every_state_has_its_laws(world_of, population):
    start = local_start(population, HousingParameters())
    assert start.minimum_wage.min() == 7.25
    states = world_of().states
    assert_array_equal(start.right_to_work, [s in ("TX", "FL", "GA", "AZ") for s in states])


def test_traded_jobs_create_and_take_local_ones(world_of, population):
    world = world_of(local_multiplier=1.5)
    state = initial_state(world)
    assert_allclose(local_jobs(state, world), 0.0, atol=1e-9)
    firms = population.firms
    gone = world.start.traded & (firms.metro == 3)
    fewer = replace(state, headcount=np.where(gone, 0, state.headcount))
    lost = state.headcount[gone].sum()
    assert lost > 0
    jobs = local_jobs(fewer, world)
    assert jobs[3] == pytest.approx(-1.5 * lost)
    assert_allclose(np.delete(jobs, 3), 0.0, atol=1e-9)
    assert_allclose(local_jobs(fewer, world_of(local_multiplier=0.0)), 0.0)
    # The gap is closed at demand_speed; vacancies alone can be closed.
    positions = np.bincount(firms.metro, job_demand(fewer, world).positions, minlength=16)
    without = job_demand(fewer, world_of(local_multiplier=0.0)).positions
    difference = positions - np.bincount(firms.metro, without, minlength=16)
    open_now = (state.positions - fewer.headcount)[firms.metro == 3].sum()
    assert difference[3] == pytest.approx(-min(0.03 * 1.5 * lost, open_now), abs=1)
    assert (np.delete(difference, 3) == 0).all()
