"""Unemployment insurance and its extension."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from pandas.testing import assert_frame_equal

from choicemodels.datasets import load_data
from choicemodels.errors import DataError, SpecificationError
from choicemodels.keyed_random import Streams
from microsim import Scenario, simulate
from microsim.assumptions.governments import InsuranceParameters
from microsim.conservation import ConservationError, assert_conserved
from microsim.engine import step
from microsim.mobility.utility import MobilityUtility
from microsim.processes.insurance import insurance
from microsim.processes.search_effort import search_effort
from microsim.state import initial_state
from microsim.world import make_world

MONTHS = 10
STUCK = {"job_finding_rate": 0.02, "separation_rate": 0.03}
OFF = {"insurance": {"active": False}}
EXTENSION = {"kind": "extended_insurance", "months": 3}


@pytest.fixture
def world_of(population, behaviour, make):
    def build(*policies, **insurance):
        rules = {"active": True, "search_response": 0, **insurance}
        scenario = make(*policies, quiet=True, labour=STUCK, insurance=rules)
        utility = MobilityUtility.build(behaviour, tuple(population.metros.cbsa))
        return make_world(population, utility, scenario, MONTHS, Streams(1), first_month=1)

    return build


def months(world, count=MONTHS):
    """Return the states before each month, and the last."""
    states = [initial_state(world)]
    for _ in range(count):
        after = step(states[-1], world)
        assert_conserved(states[-1], after, world)
        states.append(after.next_month(world))
    return states


def test_the_benefit_is_the_formula_by_hand(population, world_of):
    world = world_of(replacement_rate=0.4, maximum_weekly=300.0, claim_share=1.0)
    state = initial_state(world)
    paid = insurance(state, world)
    out = (population.workers.firm < 0) & population.workers.benefit_eligible
    weekly = np.minimum(0.4 * population.workers.wage / 52, 300.0)
    expected = np.where(out, np.rint(weekly * 52 / 12 * 100), 0).astype(int)
    assert (weekly[out] == 300.0).any()
    assert (weekly[out] < 300.0).any()
    assert_array_equal(paid.savings - state.savings, expected)
    assert_array_equal(
        paid.flows.benefit_cents,
        [expected[population.workers.metro == m].sum() for m in range(world.metros)],
    )


def test_benefits_last_for_the_duration_and_a_job_ends_them(world_of):
    world = world_of(duration=3, claim_share=1.0)
    states = months(world)
    used = np.array([s.benefit_months for s in states[1:]])
    assert used.max() == 3
    assert (states[-1].benefit_months[states[-1].benefit == 0] == 0).all()
    idle = np.all([~s.employed for s in states], axis=0)
    idle &= world.population.workers.benefit_eligible
    never_employed = used[:, idle]
    assert idle.sum() > 20
    # From the first month on: one, two, three months, and no more.
    assert (never_employed[:4] == [[1], [2], [3], [3]]).all()


def test_who_leaves_a_job_to_move_is_not_insured(world_of):
    world = world_of(claim_share=1.0)
    before = initial_state(world)
    for _ in range(MONTHS):
        after = step(before, world)
        moved = (after.metro != before.metro) & before.employed & ~after.employed
        lost_first = after.benefit > 0
        quits = np.flatnonzero(moved & ~lost_first)
        follow = step(after.next_month(world), world)
        assert (follow.benefit[quits[~follow.employed[quits]]] == 0).all()
        before = after.next_month(world)
        if quits.size > 5:
            return
    pytest.fail("too few quit to move")


def test_states_have_their_own_rules(population, world_of):
    state = str(population.metros.states[0]).split("-")[0]
    world = world_of(claim_share=1.0, states={state: {"maximum_weekly": 0}})
    here = np.array([s == state for s in world.states])
    cents = insurance(initial_state(world), world).flows.benefit_cents
    assert (cents[here] == 0).all()
    assert (cents[~here] > 0).any()


def test_the_states_law_stands_where_a_scenario_says_nothing(population, world_of):
    law = load_data("states").set_index("state").loc[world_of().states]
    rules = world_of().parameters.insurance
    for name in ("replacement_rate", "maximum_weekly", "duration"):
        assert rules.by_state(name, world_of().states) == list(law[name])
    assert len(set(law["maximum_weekly"])) > 3
    # A number for the nation overrides the law, and a state's overrides both.
    here = law.index[0]
    rules = world_of(duration=9, states={here: {"duration": 2}}).parameters.insurance
    assert rules.by_state("duration", [here, "ZZ"]) == [2, 9]


def test_a_state_without_a_law_is_named():
    rules = InsuranceParameters()
    with pytest.raises(DataError, match=r"state 'PR' is none of the 50 states or DC.*duration"):
        rules.by_state("duration", ["TX", "PR"])


def test_benefits_slow_the_search_by_the_formula(world_of):
    world = world_of(claim_share=1.0, search_response=1.1, reference_replacement=0.2)
    state = insurance(initial_state(world), world)
    effort = search_effort(state, world)
    w = world.population.workers
    paid = state.benefit / 100 / (w.wage / 12)
    expected = np.exp(-1.1 * (np.where(state.insured & (w.firm < 0), paid, 0.0) - 0.2))
    np.testing.assert_allclose(effort, expected, rtol=1e-12)
    assert 0.6 < effort[state.insured].min() < effort[state.insured].max() < effort.max()
    assert (search_effort(state, world_of()) == 1).all()


def test_generous_benefits_leave_more_out_of_work(population, behaviour, make):
    def unemployed(rate):
        rules = {"active": True, "claim_share": 1.0, "duration": 26}
        rules |= {"replacement_rate": rate, "maximum_weekly": 10_000}
        scenario = make(quiet=True, labour={"separation_rate": 0.05}, insurance=rules)
        return simulate(population, behaviour, scenario, months=6).national["unemployed"].iloc[-1]

    none, half, whole = (unemployed(rate) for rate in (0.0, 0.5, 1.0))
    assert none < half < whole


def test_only_those_who_claim_are_paid(world_of):
    half = insurance(initial_state(w := world_of(claim_share=0.5)), w)
    eligible = w.population.workers.benefit_eligible
    assert (half.benefit[~eligible] == 0).all()
    out = ~half.employed & eligible
    share = (half.benefit[out] > 0).mean()
    assert abs(share - 0.5) < 4 * np.sqrt(0.25 / out.sum())
    none = insurance(initial_state(w := world_of(claim_share=0.0)), w)
    assert none.flows.benefit_cents.sum() == 0


def test_insurance_raises_savings_and_nothing_else_at_once(population, behaviour, make):
    rules = {"active": True, "search_response": 0}
    off = simulate(population, behaviour, make(quiet=True, labour=STUCK), months=3)
    on = simulate(population, behaviour, make(quiet=True, labour=STUCK, insurance=rules), months=3)
    assert off.national["benefits"].sum() == 0
    assert (on.national["benefits"] > 0).all()
    assert on.national["savings"].iloc[-1] > off.national["savings"].iloc[-1]
    paid = ["state_balance"]
    assert_frame_equal(on.metros.drop(columns=paid), off.metros.drop(columns=paid))
    # The states pay, and nobody pays them back.
    assert -on.national["state_balance"].iloc[-1] == pytest.approx(on.national["benefits"].sum())


def test_an_extension_pays_further_months_from_its_own_account(world_of):
    options = {"duration": 2, "claim_share": 1.0}
    plain, longer = world_of(**options), world_of(EXTENSION, **options)
    a, b = months(plain), months(longer)
    assert max(s.benefit_months.max() for s in a) == 2
    assert max(s.benefit_months.max() for s in b) == 5
    assert b[2].spent[0] == 0
    # Nothing but savings differs, and these by what the policy paid less what was drawn of it.
    assert_array_equal(a[-1].metro, b[-1].metro)
    assert b[-1].spent[0] > 0
    assert 0 < b[-1].savings.sum() - a[-1].savings.sum() <= b[-1].spent[0]


def test_extensions_cost_their_payments_and_keep_to_budget_and_eligibility(
    population, behaviour, make
):
    rules = {"active": True, "duration": 1, "claim_share": 1.0, "maximum_weekly": 550}

    def run(**changes):
        scenario = make({**EXTENSION, **changes}, labour=STUCK, insurance=rules)
        return simulate(population, behaviour, scenario, months=6).policies

    free = run()
    assert free["dollars"].sum() > 100_000
    assert (free["dollars"] <= 550 * 52 / 12 * free["grants"] + 0.01 * free["grants"]).all()
    capped = run(budget=50_000)["dollars"].sum()
    assert 45_000 < capped <= 50_000
    assert 0 < run(take_up=0.5)["grants"].sum() < free["grants"].sum()
    poor = run(eligibility={"income_ceiling": 40_000})
    assert 0 < poor["grants"].sum() < free["grants"].sum()
    assert run(end_month=2).query("month > 2")["dollars"].sum() == 0


@pytest.mark.parametrize(
    "nothing", [{"months": 0}, {"take_up": 0}, {"budget": 0}, {"start_month": 99}]
)
def test_an_extension_that_pays_nothing_changes_nothing(population, behaviour, make, nothing):
    rules = {"active": True, "duration": 1}
    a = simulate(population, behaviour, make(labour=STUCK, insurance=rules), months=4)
    policy = {**EXTENSION, **nothing}
    b = simulate(population, behaviour, make(policy, labour=STUCK, insurance=rules), months=4)
    assert b.policies["dollars"].sum() == 0
    for name in ("metros", "national", "flows"):
        assert_frame_equal(getattr(a, name), getattr(b, name), check_exact=True)


def test_the_order_of_rows_does_not_matter(shuffled, population, world_of):
    world = world_of({**EXTENSION, "budget": 30_000}, duration=1)
    other, order = shuffled
    a = months(world, 4)[-1]
    b = months(replace(world, population=other), 4)[-1]
    for name in ("savings", "benefit", "benefit_months"):
        assert_array_equal(getattr(a, name)[order], getattr(b, name), err_msg=name)


def test_benefits_out_of_nowhere_are_caught(world_of):
    world = world_of()
    before = initial_state(world)
    after = step(before, world)
    cents = after.flows.benefit_cents.copy()
    cents[0] += 1
    wrong = replace(after, flows=replace(after.flows, benefit_cents=cents))
    with pytest.raises(ConservationError, match="money not conserved"):
        assert_conserved(before, wrong, world)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            {"policies": [EXTENSION], "parameters": OFF},
            "none is paid; set parameters.insurance.active to true",
        ),
        ({"parameters": {"insurance": {"duration": -1}}}, "duration' is -1.*at least 0"),
        ({"parameters": {"insurance": {"replacement_rate": 1.2}}}, "is 1.2.*at most 1"),
        (
            {"parameters": {"insurance": {"states": {"Texas": {"duration": 3}}}}},
            "'Texas' is no state; give its postal code",
        ),
        (
            {"parameters": {"insurance": {"states": {"TX": {"duraton": 3}}}}},
            "unknown key 'parameters.insurance.states.TX.duraton' .did you mean 'duration'",
        ),
        (
            {"parameters": {"insurance": {"states": {"TX": {"duration": 1.5}}}}},
            "states.TX.duration' is 1.5; give a whole number",
        ),
        ({"policies": [{"kind": "extended_insurance"}]}, r"policies\[0\].months' is missing"),
    ],
)
def test_wrong_rules_are_refused_in_a_sentence(content, message):
    with pytest.raises(SpecificationError, match=message) as caught:
        Scenario.from_mapping(content)
    assert "\n" not in str(caught.value)
