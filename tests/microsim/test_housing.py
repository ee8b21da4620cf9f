"""Dwellings, permits, prices and rents."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from choicemodels.errors import SpecificationError
from choicemodels.keyed_random import Streams
from microsim import Scenario, simulate
from microsim.conservation import ConservationError, assert_conserved
from microsim.mobility.utility import MobilityUtility
from microsim.processes.housing import housing, market_level
from microsim.state import initial_state
from microsim.world import make_world

ON = {"active": True}


@pytest.fixture(scope="module")
def world_of(population, behaviour, make):
    utility = MobilityUtility.build(behaviour, tuple(population.metros.cbsa))

    def build(**assumed):
        scenario = make(quiet=True, housing={**ON, **assumed})
        return make_world(population, utility, scenario, 12, Streams(1), first_month=1)

    return build


def resettled(state, share):
    """The state in which metro 1 has lost ``share`` of its workers to metro 0."""
    there = np.flatnonzero(state.metro == 1)
    metro = state.metro.copy()
    metro[there[: round(share * len(there))]] = 0
    return replace(state, metro=metro)


def market(state, world, months):
    """States of the housing market at the end of so many months in which nobody moves."""
    out = []
    for month in range(months):
        state = housing(replace(state, month=month), world)
        out.append(state)
    return out


def test_a_market_at_rest_stays_there(world_of):
    world = world_of()
    first = initial_state(world)
    last = market(first, world, 24)[-1]
    assert_array_equal(last.flows.permits, last.flows.lost_dwellings)
    assert (last.flows.permits > 0).all()
    assert_allclose(last.dwellings, first.dwellings, rtol=1e-4)
    assert_allclose(last.price_index, 1.0, atol=1e-4)
    assert_allclose(last.rent_index, 1.0, atol=1e-4)


def test_dwellings_are_the_households_and_the_vacant_ones(world_of, population):
    start = world_of().start
    households = start.households_per_worker * np.bincount(population.workers.metro)
    assert start.households_per_worker == round(float(population.workers.weight.mean()))
    vacant = 1 - households / start.dwellings
    assert_allclose(vacant, population.metros.vacancy_share, atol=1e-4)
    assert_allclose(vacant, start.natural_vacancy, atol=1e-12)


def test_a_month_by_hand(world_of):
    assumed = {"price_speed": 0.2, "lease_turnover": 0.1, "building_speed": 0.05}
    world = world_of(**assumed)
    state = resettled(initial_state(world), 0.3)
    after = housing(state, world)
    was, now = (np.bincount(m, minlength=16) for m in (world.population.workers.metro, state.metro))
    level = (now / was) ** (1 / 0.7)
    assert_allclose(market_level(state, world), level, rtol=1e-12)
    assert_allclose(after.price_index, level**0.2, rtol=1e-12)
    assert_allclose(after.rent_index, level**0.1, rtol=1e-12)
    start = world.start
    supply = start.dwellings + start.under_construction
    gap = supply * (after.price_index**start.supply_elasticity - 1)
    wanted = np.maximum(np.rint(0.0025 / 12 * start.dwellings + 0.05 * gap), 0)
    assert_array_equal(after.flows.permits, wanted)
    assert_array_equal(after.flows.completions, np.rint(start.under_construction / 12))


def test_prices_and_permits_rise_where_people_come_and_fall_where_they_leave(world_of):
    world = world_of()
    after = market(resettled(initial_state(world), 0.3), world, 12)[-1]
    assert after.price_index[0] > 1 > after.price_index[1]
    assert after.rent_index[0] > 1 > after.rent_index[1]
    assert after.flows.permits[0] > after.flows.permits[2] > after.flows.permits[1] == 0
    assert_allclose(after.price_index[2:], 1.0, atol=1e-4)


def test_in_the_long_run_prices_lie_on_the_supply_curve_where_people_came(world_of):
    world = world_of()
    state = resettled(initial_state(world), 0.3)
    last = market(state, world, 1200)[-1]
    growth = np.log(np.bincount(state.metro)[0] / world.start.workers[0])
    built = np.log(last.dwellings[0] / world.start.dwellings[0])
    assert built == pytest.approx(growth, rel=0.01)
    expected = growth / world.start.supply_elasticity[0]
    assert np.log(last.price_index[0]) == pytest.approx(expected, rel=0.01)


def test_prices_fall_by_more_than_they_rise(world_of):
    """As many households more and less: the kinked supply of a durable good."""
    world = world_of()
    state = initial_state(world)
    size = world.start.workers
    change = min(size[0], size[1]) // 5
    there = np.flatnonzero(state.metro == 1)
    metro = state.metro.copy()
    metro[there[:change]] = 0
    for months in (60, 240):
        last = market(replace(state, metro=metro), world, months)[-1]
        up = np.log(last.price_index[0]) / np.log1p(change / size[0])
        down = np.log(last.price_index[1]) / np.log1p(-change / size[1])
        assert 0 < 1.5 * up < down
    # Nobody builds, and the dwellings that stand go by the rate of loss alone.
    left = world.start.dwellings[1] * (1 - 0.0025 / 12) ** 240
    begun = world.start.under_construction[1]
    assert last.dwellings[1] == pytest.approx(left + begun, rel=1e-3)


def test_dear_metros_build_less_and_grow_dearer(world_of, population):
    elasticity = world_of().start.supply_elasticity
    value = population.metros.home_value
    assert np.corrcoef(np.log(value), np.log(elasticity))[0, 1] < -0.9
    flat = world_of(elasticity_gradient=0.0).start.supply_elasticity
    assert_allclose(flat, 1.75)


def test_households_move_the_markets_of_a_run(population, behaviour, make):
    run = simulate(population, behaviour, make(quiet=True, housing=ON), months=12)
    panel = run.metros
    net = (panel["arrivals"] - panel["departures"]).groupby(panel["cbsa"]).sum()
    last = panel[panel["month"] == 11].set_index("cbsa")
    stock = last["population"] - net
    assert np.corrcoef(net / stock, last["price_index"].reindex(net.index))[0, 1] > 0.8
    still = simulate(population, behaviour, make(quiet=True), months=3)
    assert (still.metros["price_index"] == 1).all()


def tamper_stock(state):
    return replace(state, dwellings=state.dwellings + 1)


def tamper_pipeline(state):
    return replace(state, under_construction=state.under_construction - 1)


@pytest.mark.parametrize("tamper", [tamper_stock, tamper_pipeline])
def test_dwellings_from_nowhere_are_caught(world_of, tamper):
    world = world_of()
    before = initial_state(world)
    after = housing(before, world)
    assert_conserved(before, after, world)
    with pytest.raises(ConservationError, match="dwellings not conserved in month 0"):
        assert_conserved(before, tamper(after), world)


@pytest.mark.parametrize(
    ("assumed", "message"),
    [
        ({"demand_elasticity": 0}, "demand_elasticity' is 0"),
        ({"loss_rate": 1.5}, "loss_rate' is 1.5"),
        ({"building_months": 0.5}, "building_months' is 0.5"),
    ],
)
def test_wrong_housing_ends_in_a_sentence(assumed, message):
    with pytest.raises(SpecificationError, match=message):
        Scenario.from_mapping({"parameters": {"housing": assumed}})
