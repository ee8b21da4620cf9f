"""Taxes, and the accounts of federal, state and local governments."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from pandas.testing import assert_frame_equal

from choicemodels.errors import SpecificationError
from choicemodels.keyed_random import Streams
from microsim import Scenario, simulate
from microsim.assumptions.governments import LEVELS
from microsim.conservation import ConservationError, assert_conserved
from microsim.engine import step
from microsim.mobility.utility import MobilityUtility
from microsim.processes.accounts import accounts
from microsim.state import initial_state
from microsim.world import make_world

TAXES = {"active": True}
GRANT = {"kind": "relocation_grant", "amount": 10_000}


def world_of(population, behaviour, scenario):
    utility = MobilityUtility.build(behaviour, tuple(population.metros.cbsa))
    return make_world(population, utility, scenario, 12, Streams(1), first_month=1)


def test_taxes_are_rates_times_wages_by_hand(population, behaviour, make):
    here = str(population.metros.states[0]).split("-")[0]
    rates = {
        "federal_income_rate": 0.1,
        "payroll_rate": 0.05,
        "state_rate": 0.04,
        "local_rate": 0.01,
        "states": {here: {"state_rate": 0.06}},
    }
    world = world_of(population, behaviour, make(taxes={**TAXES, **rates}))
    flows = accounts(initial_state(world), world).flows
    w = population.workers
    # In the order of the definition: half a cent goes by the last bit.
    pay = np.where(w.firm >= 0, w.wage * (100 / 12), 0.0)
    of_state = np.array([0.06 if s == here else 0.04 for s in world.states])
    for level, rate in zip(LEVELS, (0.1 + 0.05, of_state[w.metro], 0.01), strict=True):
        cents = np.rint(rate * pay).astype(int)
        by_metro = [cents[w.metro == m].sum() for m in range(world.metros)]
        assert_array_equal(flows.tax_cents[LEVELS.index(level)], by_metro)
    assert flows.wages == np.rint(pay).astype(int).sum()


def test_taxes_leave_less_to_save(population, behaviour, make):
    gross = simulate(population, behaviour, make(quiet=True), months=2)
    net = simulate(population, behaviour, make(quiet=True, taxes=TAXES), months=2)
    share = net.national["saved"].iloc[0] / gross.national["saved"].iloc[0]
    tax = net.national.filter(like="_taxes").iloc[0].sum() / net.national["wages"].iloc[0]
    assert share == pytest.approx(1 - tax, abs=1e-6)
    federal = 0.1865
    assert federal < tax < federal + 0.065  # between none and the highest of the states
    assert gross.national.filter(like="_taxes").to_numpy().sum() == 0


def test_rates_of_zero_are_no_taxes(population, behaviour, make):
    zero = dict.fromkeys(("federal_income_rate", "payroll_rate", "state_rate", "local_rate"), 0.0)
    a = simulate(population, behaviour, make(quiet=True), months=3)
    b = simulate(population, behaviour, make(quiet=True, taxes={**TAXES, **zero}), months=3)
    for name in ("metros", "national", "flows"):
        assert_frame_equal(getattr(a, name), getattr(b, name), check_exact=True)


def test_states_without_an_income_tax_collect_none(population, behaviour, make):
    world = world_of(population, behaviour, make(taxes=TAXES))
    taxes = accounts(initial_state(world), world).flows.tax_cents[LEVELS.index("state")]
    untaxed = np.isin(world.states, ["FL", "TX", "WA", "TN", "NV", "AK", "NH", "SD", "WY"])
    assert untaxed.any()
    assert (taxes[untaxed] == 0).all()
    assert (taxes[~untaxed] > 0).all()


@pytest.mark.parametrize("level", LEVELS)
def test_the_level_that_pays_bears_the_policy(population, behaviour, make, level):
    policy = {**GRANT, "paid_by": level}
    run = simulate(population, behaviour, make(policy, quiet=True), months=4)
    cost = run.policies["dollars"].sum()
    assert cost > 0
    for other in LEVELS:
        balance = run.national[f"{other}_balance"].iloc[-1]
        assert balance == pytest.approx(-cost if other == level else 0.0)


def test_balances_are_taxes_less_outlays_month_by_month(population, behaviour, make):
    scenario = make(GRANT, taxes=TAXES, insurance={"active": True})
    run = simulate(population, behaviour, scenario, months=5)
    month = run.national
    outlays = {"federal": month["policy_dollars"], "state": month["benefits"], "local": 0.0}
    for level in LEVELS:
        expected = (month[f"{level}_taxes"] - outlays[level]).cumsum()
        np.testing.assert_allclose(month[f"{level}_balance"], expected, rtol=1e-12)
        by_metro = run.metros.groupby("month")[f"{level}_balance"].sum()
        np.testing.assert_allclose(by_metro, month[f"{level}_balance"], rtol=1e-12)


def tamper_treasury(state):
    return replace(state, treasury=state.treasury + 1)


def tamper_taxes(state):
    return replace(state, flows=replace(state.flows, tax_cents=state.flows.tax_cents + 1))


@pytest.mark.parametrize("tamper", [tamper_treasury, tamper_taxes])
def test_accounts_that_do_not_balance_are_caught(population, behaviour, make, tamper):
    world = world_of(population, behaviour, make(GRANT, taxes=TAXES, insurance={"active": True}))
    before = initial_state(world)
    after = step(before, world)
    assert_conserved(before, after, world)
    with pytest.raises(ConservationError, match="treasury not conserved in month 0"):
        assert_conserved(before, tamper(after), world)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"parameters": {"taxes": {"state_rate": -0.1}}}, "state_rate' is -0.1.*at least 0"),
        ({"parameters": {"taxes": {"payroll_rate": 15.3}}}, "payroll_rate' is 15.3.*at most"),
        ({"parameters": {"taxes": {"states": {"ZZ": {}}}}}, "'ZZ' is no state"),
        ({"policies": [{**GRANT, "paid_by": "county"}]}, "paid_by' is 'county'; use one of"),
    ],
)
def test_wrong_taxes_are_refused_in_a_sentence(content, message):
    with pytest.raises(SpecificationError, match=message) as caught:
        Scenario.from_mapping(content)
    assert "\n" not in str(caught.value)
