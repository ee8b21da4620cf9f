"""Households' debts and credit scores."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from pandas.testing import assert_frame_equal

from choicemodels.errors import SpecificationError
from choicemodels.keyed_random import Streams
from microsim import Scenario, simulate
from microsim.assumptions.finance import CREDIT_BANDS
from microsim.conservation import ConservationError, assert_conserved
from microsim.engine import step
from microsim.mobility.utility import MobilityUtility
from microsim.processes.accounts import accounts
from microsim.state import initial_state
from microsim.world import make_world

CREDIT = {"active": True}


@pytest.fixture
def world_of(population, behaviour, make):
    def build(**credit):
        scenario = make(quiet=True, credit={**CREDIT, **credit})
        utility = MobilityUtility.build(behaviour, tuple(population.metros.cbsa))
        return make_world(population, utility, scenario, 12, Streams(1), first_month=1)

    return build


def test_accounts_are_those_by_hand(world_of):
    world = world_of()
    state = initial_state(world)
    # A wide spread of debts and savings, so that every case occurs.
    n = len(state.metro)
    state = replace(state, savings=state.savings * (np.arange(n) % 3) // 2)
    after = accounts(state, world)
    money, rules = world.parameters.money, world.parameters.credit
    seen = set()
    for i in range(n):
        wage = state.wage[i] * (100 / 12)
        debt, savings = int(state.debt[i]), int(state.savings[i])
        interest = round(rules.interest_rate / 12 * debt)
        if state.firm[i] >= 0:
            put_by = round(money.saving_rate * wage)
            paid = min(interest, round(wage) - put_by)
            principal = min(round(rules.repayment_rate * debt), put_by)
            savings += put_by - principal
            debt += interest - paid - principal
            case = "employed"
        else:
            need = round(money.drawdown_rate * wage)
            living = min(need, savings)
            paid = min(interest, savings - living)
            band = max(b for b in range(8) if state.credit_score[i] >= CREDIT_BANDS[b])
            limit = int(100 * rules.limits[band] * state.wage[i])
            debt += interest - paid
            lent = min(need - living, max(limit - debt, 0))
            savings -= living + paid
            debt += lent
            case = "lent" if lent else "went without" if living < need else "had enough"
        seen.add(case)
        assert after.debt[i] == debt
        assert after.savings[i] == savings
        start = state.credit_score[i]
        expected = max(start - rules.delinquency_points, 300) if paid < interest else start
        assert after.credit_score[i] == expected
    assert seen == {"employed", "lent", "went without", "had enough"}


def test_scores_fall_while_interest_is_unpaid_and_recover_to_where_they_began(world_of):
    world = world_of(delinquency_points=20, recovery_points=5)
    state = initial_state(world)
    start = state.credit_score
    state = replace(state, credit_score=np.full_like(start, 600))
    after = accounts(state, world).credit_score
    able = state.employed & (state.debt < 100 * state.wage)
    assert_array_equal(after[able], np.minimum(605, np.maximum(start[able], 600)))
    broke = replace(state, firm=np.full_like(state.firm, -1), savings=np.zeros_like(state.savings))
    owes = state.debt >= 10_000
    assert (accounts(broke, world).credit_score[owes] == 580).all()


def test_debts_are_conserved_and_a_cent_too_many_is_caught(world_of):
    world = world_of()
    before = initial_state(world)
    after = step(before, world)
    assert_conserved(before, after, world)
    assert after.flows.credit > 0
    debt = after.debt.copy()
    debt[0] += 1
    with pytest.raises(ConservationError, match="debts not conserved in month 0"):
        assert_conserved(before, replace(after, debt=debt), world)


def test_job_loss_raises_debt_and_work_lowers_it(population, behaviour, make):
    def debt(separation_rate):
        labour = {"separation_rate": separation_rate, "job_finding_rate": 0.1}
        rules = {**CREDIT, "constrains_moves": False}
        scenario = make(quiet=True, labour=labour, credit=rules)
        return simulate(population, behaviour, scenario, months=4).national

    calm, storm = debt(0.0), debt(0.1)
    assert storm["borrowed"].sum() > 2 * calm["borrowed"].sum()
    assert storm["debt"].iloc[-1] > calm["debt"].iloc[-1]
    assert calm["repaid"].sum() > calm["interest"].sum()


def test_without_credit_debts_stay_and_nothing_else_changes(population, behaviour, make):
    rules = {**CREDIT, "constrains_moves": False}
    off = simulate(population, behaviour, make(quiet=True), months=3)
    on = simulate(population, behaviour, make(quiet=True, credit=rules), months=3)
    assert off.national["debt"].nunique() == 1
    assert on.national["debt"].nunique() == 3
    assert_frame_equal(off.metros, on.metros)


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        ({"interest_rate": -0.1}, "interest_rate' is -0.1.*at least 0"),
        ({"limits": [0.1] * 7}, "limits"),
        ({"limits": [-1.0] * 8}, "limits.*must be at least 0"),
        ({"recovery_points": 1.5}, "recovery_points' is 1.5; give a whole number"),
    ],
)
def test_wrong_credit_is_refused_in_a_sentence(rule, message):
    with pytest.raises(SpecificationError, match=message) as caught:
        Scenario.from_mapping({"parameters": {"credit": rule}})
    assert "\n" not in str(caught.value)
