"""Who is eligible, who claims, and what a policy of each kind says."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from choicemodels.errors import SpecificationError
from choicemodels.keyed_random import Streams
from microsim import Scenario, simulate
from microsim.conservation import ConservationError, assert_conserved
from microsim.engine import step
from microsim.mobility.utility import MobilityUtility
from microsim.policies import Eligibility, RelocationGrant
from microsim.processes.eligibility import afforded, meets, would_claim
from microsim.processes.ledger import pay_from
from microsim.state import initial_state
from microsim.world import make_world

GRANT = {"kind": "relocation_grant", "amount": 10_000}


@pytest.fixture(scope="module")
def world(population, behaviour, make):
    utility = MobilityUtility.build(behaviour, tuple(population.metros.cbsa))
    scenario = make(GRANT, {**GRANT, "name": "second"})
    return make_world(population, utility, scenario, 12, Streams(1), first_month=1)


@pytest.fixture(scope="module")
def state(world):
    """Month 5, in which some were displaced in months 0 to 5 and some are out of work for long."""
    start = initial_state(world)
    n = len(start.metro)
    displaced = np.where(np.arange(n) % 3 == 0, np.arange(n) % 6, -1)
    return replace(
        start,
        month=5,
        displaced_in=displaced.astype(np.int16),
        months_out=(np.arange(n) % 7).astype(np.int16),
    )


CASES = {
    "any": ({}, lambda w, s, i: True),
    "unemployed": (
        {"status": "unemployed", "within_months": 2},
        lambda w, s, i: s.firm[i] < 0 and s.months_out[i] <= 2,
    ),
    "displaced": (
        {"status": "displaced", "within_months": 2},
        lambda w, s, i: s.displaced_in[i] >= 0 and 5 - s.displaced_in[i] <= 2,
    ),
    "income": ({"income_ceiling": 50_000}, lambda w, s, i: s.wage[i] <= 50_000),
    "college": ({"college": True}, lambda w, s, i: w.education[i] in (3, 4)),
    "no college": ({"college": False}, lambda w, s, i: w.education[i] in (0, 1, 2)),
    "exposure": ({"exposure_at_least": 0.5}, lambda w, s, i: w.exposure[i] >= 0.5),
    "two": (
        {"college": False, "exposure_at_least": 0.3},
        lambda w, s, i: w.education[i] < 3 and w.exposure[i] >= 0.3,
    ),
}


@pytest.mark.parametrize(("rule", "by_hand"), CASES.values(), ids=CASES.keys())
def test_conditions_are_those_by_hand(world, state, rule, by_hand):
    workers = world.population.workers
    expected = [by_hand(workers, state, i) for i in range(len(workers))]
    assert any(expected)
    assert_array_equal(meets(Eligibility(**rule), state, world), expected)


def test_origins_are_where_one_lives(world, state):
    codes = world.utility.cbsa[2:4]
    may = meets(Eligibility(origins=codes), state, world)
    assert_array_equal(may, (state.metro == 2) | (state.metro == 3))


def test_the_share_that_claims_is_the_take_up_and_the_same_every_time(world):
    policy = RelocationGrant(kind="relocation_grant", amount=1, take_up=0.3)
    rows = np.arange(len(world.population.workers))
    claims = would_claim(policy, rows, world)
    assert abs(claims.mean() - 0.3) < 4 * np.sqrt(0.21 / len(rows))
    assert_array_equal(would_claim(policy, rows[::-1], world)[::-1], claims)


def test_payments_are_booked_by_policy_and_metro(world, state):
    policy, metro = np.array([0, 1, 1, 1]), np.array([2, 2, 5, 5])
    once = pay_from(state, policy, metro, np.array([7, 10, 20, 40]))
    twice = pay_from(once, policy[:1], metro[:1], np.array([100]))
    assert_array_equal(twice.spent, [107, 70])
    assert_array_equal(twice.flows.payments, [2, 3])
    assert_array_equal(twice.flows.outlays[:, 2], [107, 10])
    assert twice.flows.outlays[1, 5] == 60
    assert twice.flows.outlays.sum() == 177
    assert state.flows.outlays.sum() == 0


def test_a_service_costs_its_government_and_enriches_nobody(world):
    before = initial_state(world)
    after = step(before, world)
    cents = 1_000_000  # a grant's, so that only the savings tell the two apart
    charged = after.treasury.copy()
    charged[0, 2] -= cents
    payment = (np.array([1]), np.array([2]), np.array([cents]))
    bought = replace(pay_from(after, *payment, service=True), treasury=charged)
    assert bought.flows.services.sum() == cents
    assert_array_equal(bought.flows.outlays - after.flows.outlays, bought.flows.services)
    assert_conserved(before, bought, world)
    given = replace(pay_from(after, *payment), treasury=charged)
    with pytest.raises(ConservationError, match="savings change by"):
        assert_conserved(before, given, world)


def test_a_budget_pays_the_smallest_draws_first_and_no_further(world, state, make):
    scenario = make(GRANT, {**GRANT, "name": "second", "budget": 2_500})
    world, rows = replace(world, scenario=scenario), np.arange(50)
    state = replace(state, spent=np.array([0, 200_000]))
    cents = 2_000 + (rows % 7) * 1_000
    draws = world.streams.uniform("queue: second", world.population.workers.id[rows], 5)
    left, expected = 50_000, []
    for row in np.argsort(draws):
        left -= cents[row]
        if left < 0:
            break
        expected.append(row)
    assert 5 < len(expected) < 40
    assert_array_equal(np.flatnonzero(afforded(rows, cents, 1, state, world)), sorted(expected))
    assert afforded(rows, cents, 0, state, world).all()


def test_targets_reach_those_they_name_and_nobody_else(population, behaviour, make):
    rule = {"college": True, "exposure_at_least": 0.6}
    run = simulate(population, behaviour, make({**GRANT, "eligibility": rule}), months=3)
    w = population.workers
    assert run.national["eligible"].iloc[0] == ((w.education >= 3) & (w.exposure >= 0.6)).sum()


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        ({"exposure_at_least": 2}, "exposure_at_least' is 2; give a value of at most 1"),
        ({"colege": True}, "did you mean 'college'"),
        ({"college": "some"}, r"policies\[0\].eligibility.college' is 'some'"),
        ({"origins": []}, "origins' has 0 entries; give at least one"),
    ],
)
def test_wrong_targets_are_refused_in_a_sentence(rule, message):
    with pytest.raises(SpecificationError, match=message) as caught:
        Scenario.from_mapping({"policies": [{**GRANT, "eligibility": rule}]})
    assert "\n" not in str(caught.value)


def test_no_policy_nor_the_page_on_a_new_one_imports_the_package_that_imports_it():
    root = Path(__file__).parents[2]
    files = sorted((root / "microsim" / "policies").glob("*.py"))
    for file in (*files, root / "docs" / "policies.md"):
        assert "from microsim.policies import" not in file.read_text("utf-8"), file.name
