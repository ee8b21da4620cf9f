"""Tax credits for moves, who can pay for one, and who would have moved anyway."""

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
from microsim.policies import MovingTaxCredit
from microsim.processes.settlement import moving_costs
from microsim.results.outcomes import additionality
from microsim.state import initial_state
from microsim.world import make_world

GRANT = {"kind": "relocation_grant", "amount": 10_000}
CREDIT = {"kind": "moving_tax_credit", "share": 0.5, "maximum": 4_000}
PHASED = {**CREDIT, "phase_out": [40_000, 90_000]}
TIGHT = {"active": True, "limits": [0.0] * 8}


@pytest.fixture
def world_of(population, behaviour, make):
    def build(*policies, **parameters):
        scenario = make(*policies, quiet=True, **parameters)
        utility = MobilityUtility.build(behaviour, tuple(population.metros.cbsa))
        return make_world(population, utility, scenario, 12, Streams(1), first_month=1)

    return build


@pytest.fixture
def run_of(population, behaviour, make):
    def build(*policies, months=3, **parameters):
        scenario = make(*policies, quiet=True, **parameters)
        return simulate(population, behaviour, scenario, months=months)

    return build


def test_the_credit_is_the_formula_by_hand():
    credit = MovingTaxCredit(**PHASED)
    wage = np.array([30_000, 40_000, 41_000, 52_500, 77_600, 89_999, 90_000, 200_000])
    share = credit.share_of(wage)
    assert_array_equal(share, [1, 1, 1, 0.75, 0.25, 0.25, 0, 0])
    assert set(share) - {0} <= set(credit.shares)
    cost = np.array([500_000.0, 800_000.0, 2_000_000.0])
    assert_array_equal(credit.cents(0.75, cost), [187_500, 300_000, 300_000])
    flat = credit.model_copy(update={"basis": "flat"})
    assert_array_equal(flat.cents(0.5, cost), [200_000] * 3)


def test_what_is_paid_is_the_sum_of_the_credits_to_the_cent(world_of):
    world = world_of(PHASED)
    before = initial_state(world)
    after = step(before, world)
    assert_conserved(before, after, world)
    movers = np.flatnonzero(after.metro != before.metro)
    cost = moving_costs(movers, after.metro[movers], before, world)
    credit = MovingTaxCredit(**PHASED)
    cents = credit.cents(credit.share_of(before.wage[movers]), cost.astype(float))
    assert after.flows.outlays.sum() == np.rint(cents).sum() > 0
    assert after.flows.payments[0] == (cents > 0).sum() < len(movers)
    assert_array_equal(after.granted[movers], cents > 0)
    # Refunded after the move: the household pays first, and then has the credit.
    paid = np.minimum(cost, before.savings[movers])
    assert after.flows.moving_cost == paid.sum()


def test_a_flat_credit_for_everybody_is_a_grant(run_of):
    flat = {**CREDIT, "basis": "flat", "maximum": 10_000, "name": "relocation_grant"}
    a, b = run_of(GRANT), run_of(flat)
    assert_frame_equal(a.flows, b.flows)
    assert_frame_equal(a.policies, b.policies)


def test_a_credit_raises_moves_and_more_of_it_raises_them_more(run_of):
    def moves(**changes):
        return run_of({**CREDIT, **changes}).national["moves"].sum()

    none, half, whole = (moves(share=s, maximum=20_000) for s in (0.0, 0.5, 1.0))
    assert none < half < whole
    assert none <= moves(phase_out=[1.0, 20_000.0]) < moves()


def test_a_phased_out_credit_reaches_those_named_alone(world_of):
    code = world_of().utility.cbsa[3]
    world = world_of({**PHASED, "destinations": [code]})
    before, paid = initial_state(world), 0
    for _ in range(6):
        after = step(before, world)
        fresh = after.granted & ~before.granted
        assert (after.metro[fresh] == 3).all()
        assert (before.wage[fresh] < 90_000).all()
        paid += fresh.sum()
        before = after.next_month(world)
    assert paid > 0


@pytest.mark.parametrize(
    "nothing", [{"share": 0}, {"maximum": 0}, {"take_up": 0}, {"budget": 0}, {"start_month": 99}]
)
def test_a_credit_of_nothing_changes_nothing(run_of, nothing):
    a, b = run_of(), run_of({**CREDIT, **nothing})
    assert b.policies["dollars"].sum() == 0
    flows = [name for name in a.national if not name.startswith("eligible")]
    assert_frame_equal(a.national[flows], b.national[flows], check_exact=True)
    assert_frame_equal(a.flows, b.flows, check_exact=True)


def test_who_cannot_pay_stays_and_a_grant_helps(run_of):
    loose = run_of(credit={"active": True, "constrains_moves": False})
    tight = run_of(credit=TIGHT)
    assert loose.national["constrained"].sum() == 0
    assert tight.national["constrained"].sum() > 0
    assert tight.national["credit"].sum() == 0
    assert tight.national["moves"].sum() < loose.national["moves"].sum()
    # Of those who want to move, a grant leaves fewer behind; a later refund does not.
    flat = {**CREDIT, "basis": "flat", "maximum": 10_000}

    def left_behind(run):
        stopped = run.national["constrained"].sum()
        return stopped / (stopped + run.national["moves"].sum())

    helped, refunded = run_of(GRANT, credit=TIGHT), run_of(flat, credit=TIGHT)
    assert left_behind(helped) < 0.5 * left_behind(tight)
    assert left_behind(refunded) > 0.9 * left_behind(tight)


def test_boundless_credit_constrains_nobody(run_of):
    loose = run_of(credit={"active": True, "constrains_moves": False, "limits": [99.0] * 8})
    boundless = run_of(credit={"active": True, "limits": [99.0] * 8})
    assert_frame_equal(loose.national, boundless.national, check_exact=True)


@pytest.mark.parametrize("credit", [{}, {"credit": TIGHT}])
@pytest.mark.parametrize("policy", [GRANT, PHASED, {**GRANT, "destinations": True}])
def test_needless_payments_are_those_of_a_month_without_the_policy(world_of, policy, credit):
    codes = world_of().utility.cbsa
    named = codes[:6] if policy.get("destinations") else codes
    if "destinations" in policy:
        policy = {**policy, "destinations": list(named)}
    world, without = world_of(policy, **credit), world_of(**credit)
    before = initial_state(world)
    after = step(before, world)
    plain = step(initial_state(without), without)
    moved = plain.metro != before.metro
    there = np.isin(np.array(codes)[plain.metro], named)
    needless = (after.granted & moved & there).sum()
    assert after.flows.inframarginal[0] == needless
    assert 0 < needless < after.flows.payments[0]


def test_more_needless_payments_than_payments_are_caught(world_of):
    world = world_of(GRANT)
    before = initial_state(world)
    after = step(before, world)
    wrong = replace(after, flows=replace(after.flows, inframarginal=after.flows.payments + 1))
    with pytest.raises(ConservationError, match="more payments were needless"):
        assert_conserved(before, wrong, world)


def test_additionality_is_told_from_one_run(run_of):
    extension = {"kind": "extended_insurance", "months": 3}
    run = run_of(GRANT, extension, insurance={"active": True, "duration": 1})
    table = additionality(run)
    grant = table.loc["relocation_grant"]
    assert grant["payments"] == run.policies.query("policy == 'relocation_grant'")["grants"].sum()
    assert grant["additional"] == grant["payments"] - grant["inframarginal"]
    assert 0 < grant["additionality"] < 100
    assert grant["dollars per additional"] == pytest.approx(
        10_000 * grant["payments"] / grant["additional"]
    )
    # Benefits pay for no choice of their own.
    assert np.isnan(table.loc["extended_insurance", "additionality"])
    assert table.loc["extended_insurance", "dollars"] > 0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"share": 1.5}, "share' is 1.5; give a value of at most 1"),
        ({"maximum": -1}, "maximum' is -1.*at least 0"),
        ({"phase_out": [90_000, 40_000]}, "phase_out goes from 90000 to 40000; give two incomes"),
        ({"phase_out": 5}, "phase_out"),
        ({"basis": "miles"}, "basis' is 'miles'; use one of"),
    ],
)
def test_wrong_credits_are_refused_in_a_sentence(change, message):
    with pytest.raises(SpecificationError, match=message) as caught:
        Scenario.from_mapping({"policies": [{**CREDIT, **change}]})
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("coupling", ["independent", "full"])
@pytest.mark.parametrize("policy", [GRANT, {**CREDIT, "share": 1.0, "maximum": 20_000}])
def test_whom_the_budget_does_not_reach_decide_without_it(world_of, policy, coupling):
    whole, short, without = (
        replace(world_of(*policies), coupling=coupling)
        for policies in ((policy,), ({**policy, "budget": 50_000},), ())
    )
    before = initial_state(short)
    all_paid, after = step(before, whole), step(before, short)
    plain = step(replace(before, spent=before.spent[:0]), without)
    assert_conserved(before, after, short)
    assert all_paid.flows.payments[0] > 5
    assert 0 < after.flows.payments[0] <= after.granted.sum() < all_paid.granted.sum()
    unpaid = ~after.granted
    assert_array_equal(after.metro[unpaid], plain.metro[unpaid])
    assert_array_equal(after.metro[after.granted], all_paid.metro[after.granted])
    # More moves than payments would be moves that nobody paid for.
    assert after.flows.arrivals.sum() - plain.flows.arrivals.sum() <= after.flows.payments[0]


def test_who_cannot_pay_without_the_grant_is_counted_only_if_they_still_want_to_move(world_of):
    world, without = world_of({**GRANT, "budget": 30_000}, credit=TIGHT), world_of(credit=TIGHT)
    before = initial_state(world)
    after = step(before, world)
    plain = step(replace(before, spent=before.spent[:0]), without)
    # Those who cannot pay with the grant, which they reckon with, and those who cannot without.
    many = step(before, world_of(GRANT, credit=TIGHT))
    assert plain.flows.constrained.sum() - 3 <= after.flows.constrained.sum()
    assert after.flows.constrained.sum() <= (plain.flows.constrained + many.flows.constrained).sum()
    assert_array_equal(after.metro[~after.granted], plain.metro[~after.granted])


def test_a_credit_is_paid_while_the_budget_lasts_below_its_maximum(run_of):
    run = run_of({**CREDIT, "maximum": 50_000, "budget": 20_000})
    spent = run.policies["dollars"].sum()
    assert 0 < spent <= 20_000


def test_a_grant_to_come_is_booked_where_people_come_and_others_where_they_left(world_of):
    codes = world_of().utility.cbsa
    local = LEVELS.index("local")
    for named in ([codes[3], codes[11]], None):
        world = world_of({**GRANT, "destinations": named, "paid_by": "local"})
        before = initial_state(world)
        after = step(before, world)
        paid = np.flatnonzero(after.granted)
        where = after.metro[paid] if named else before.metro[paid]
        cents = 1_000_000 * np.bincount(where, minlength=world.metros)
        assert cents.sum() > 0
        assert_array_equal(after.flows.outlays[0], cents)
        assert_array_equal(after.treasury[local], -cents)
