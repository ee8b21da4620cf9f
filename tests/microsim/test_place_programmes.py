"""Policies for places: innovation districts, hiring subsidies, broadband, universities."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from pandas.testing import assert_frame_equal

from choicemodels.errors import SpecificationError
from choicemodels.keyed_random import Streams
from microsim import Scenario, simulate
from microsim.conservation import ConservationError, assert_conserved
from microsim.engine import step
from microsim.mobility.remote_work import REMOTE, telework_shares
from microsim.mobility.utility import MobilityUtility
from microsim.processes.place_programmes import place_programmes, wanted_positions
from microsim.state import initial_state
from microsim.world import make_world

KINDS = {
    "innovation_district": {"positions": 5.0, "amount": 50_000},
    "place_based_hiring": {"amount": 10_000, "response": 0.5},
    "broadband": {"amount": 3_000, "pace": 0.2},
    "university_partnership": {"amount": 4_000, "pace": 0.2},
}


@pytest.fixture(scope="module")
def here(population):
    return [str(population.metros.cbsa[m]) for m in (2, 5)]


@pytest.fixture(scope="module")
def policy(here):
    return lambda kind, **keys: {"kind": kind, "metros": here, **KINDS[kind], **keys}


@pytest.fixture(scope="module")
def world_of(population, behaviour, make):
    utility = MobilityUtility.build(behaviour, tuple(population.metros.cbsa))

    def build(*policies, **parameters):
        scenario = make(*policies, quiet=True, **parameters)
        return make_world(population, utility, scenario, 12, Streams(1), first_month=1)

    return build


@pytest.fixture(scope="module")
def calm(population, behaviour, make):
    return simulate(population, behaviour, make(), months=3)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("nothing", [{"amount": 0}, {"take_up": 0}, {"budget": 0}])
def test_nothing_paid_changes_nothing(population, behaviour, make, calm, policy, kind, nothing):
    run = simulate(population, behaviour, make(policy(kind, **nothing)), months=3)
    for name in ("metros", "national", "flows"):
        assert_frame_equal(getattr(run, name), getattr(calm, name), check_exact=True)


@pytest.mark.parametrize("kind", KINDS)
def test_payments_are_services_that_add_up(world_of, policy, kind):
    world = world_of(policy(kind))
    before = initial_state(world)
    after = step(before, world)
    assert_conserved(before, after, world)
    flows = after.flows
    paid = flows.payments[0]
    assert paid > 0
    assert flows.outlays.sum() == flows.services.sum() == paid * 100 * KINDS[kind]["amount"]
    assert set(np.flatnonzero(flows.outlays[0])) <= {2, 5}


@pytest.mark.parametrize("kind", KINDS)
def test_budgets_are_kept(world_of, policy, kind):
    amount = KINDS[kind]["amount"]
    world = world_of(policy(kind, budget=2.5 * amount))
    state = initial_state(world)
    for _ in range(2):
        state = step(state, world).next_month(world)
    assert state.spent[0] == 200 * amount


def test_a_district_opens_positions_of_traded_firms_that_stay(world_of, policy, population):
    world = world_of(policy("innovation_district"), local_economy={"local_multiplier": 0.0})
    state = initial_state(world)
    after = place_programmes(state, world)
    more = after.positions - state.positions
    firms = population.firms
    assert (more >= 0).all()
    assert (more[~world.start.traded] == 0).all()
    by_metro = np.bincount(firms.metro, more, minlength=16)
    assert_array_equal(by_metro, after.sponsored)
    stock = np.bincount(state.metro)
    for m in (2, 5):
        assert by_metro[m] == pytest.approx(0.005 * stock[m], abs=1)
    assert (np.delete(by_metro, [2, 5]) == 0).all()
    assert_array_equal(wanted_positions(after, world), after.sponsored)


def test_a_district_creates_jobs_and_more_with_the_multiplier(population, behaviour, make, policy):
    def jobs(multiplier, *policies):
        economy = {"local_multiplier": multiplier}
        scenario = make(*policies, quiet=True, local_economy=economy)
        panel = simulate(population, behaviour, scenario, months=12).metros
        last = panel[panel["month"] == 11].set_index("cbsa")
        return (last["employed"] + last["vacancies"])[policy("broadband")["metros"]].sum()

    district = policy("innovation_district", positions=10)
    plain, more = (jobs(k, district) - jobs(k) for k in (0.0, 2.0))
    assert 0 < plain < more


def test_a_hiring_subsidy_makes_employers_want_more_and_is_paid_by_hire(world_of, policy):
    world = world_of(policy("place_based_hiring", take_up=0.8))
    state = initial_state(world)
    usual = world.jobs_per_worker * np.bincount(state.metro)
    relief = 0.8 * 10_000 / state.wage.mean()
    wanted = wanted_positions(state, world)
    assert_allclose(wanted[[2, 5]], 0.5 * relief * usual[[2, 5]])
    assert (np.delete(wanted, [2, 5]) == 0).all()
    after = step(state, world)
    out = (state.firm < 0) & np.isin(state.metro, [2, 5])
    stayed = after.metro == state.metro
    hires = (out & stayed & (after.firm >= 0)).sum()
    # Movers may have been hired before they left.
    others = (out & ~stayed).sum()
    assert 0.5 * hires <= after.flows.payments[0] <= hires + others


def test_only_eligible_residents_are_subsidized(world_of, policy):
    some, metros = {"college": False}, list(world_of().utility.cbsa)
    world = world_of(policy("place_based_hiring", metros=metros, eligibility=some))
    everybody = world_of(policy("place_based_hiring", metros=metros))
    state = initial_state(world)
    few, all_ = wanted_positions(state, world), wanted_positions(state, everybody)
    out = (state.firm < 0) & (state.metro == 2)
    share = (world.population.workers.education[out] < 3).mean()
    assert few[2] == pytest.approx(share * all_[2])
    assert step(state, world).flows.payments[0] < step(state, everybody).flows.payments[0]


def test_broadband_connects_once_and_raises_the_demand_for_labour(world_of, policy):
    world = world_of(policy("broadband", pace=1.0, take_up=0.5, job_growth=0.1))
    state = initial_state(world)
    after = place_programmes(state, world)
    there = np.isin(state.metro, [2, 5])
    assert not after.connected[~there].any()
    assert after.connected[there].mean() == pytest.approx(0.5, abs=0.06)
    again = place_programmes(after.next_month(world), world)
    assert again.flows.payments[0] == 0
    usual = world.jobs_per_worker * np.bincount(state.metro)
    share = after.connected[state.metro == 2].mean()
    assert wanted_positions(after, world)[2] == pytest.approx(0.1 * share * usual[2])


def test_a_university_raises_the_wages_of_those_who_finish(world_of, policy):
    no_degree = {"college": False}
    keys = {"eligibility": no_degree, "pace": 0.3, "premium": 0.08}
    world = world_of(policy("university_partnership", **keys))
    state = initial_state(world)
    after = place_programmes(state, world)
    ready = np.isin(state.metro, [2, 5]) & (world.population.workers.education < 3)
    assert not after.certified[~ready].any()
    assert after.certified[ready].mean() == pytest.approx(0.3, abs=0.06)
    assert_allclose(after.wage, state.wage * np.where(after.certified, 1.08, 1.0))
    assert after.certified.sum() == after.flows.payments[0]


def test_broadband_makes_more_workers_remote_where_it_is(population, world_of, policy):
    def remote(telework):
        programme = policy("broadband", pace=1.0, telework=telework)
        world = world_of(programme, remote={"active": True})
        state = place_programmes(initial_state(world), world)
        state = replace(state, remote=np.full_like(state.remote, REMOTE))
        share = telework_shares(population, world.parameters.remote)[state.occupation]
        chance = np.minimum((1 + telework) * share, 1)
        return state.remote_workers(world), state.connected & state.employed, chance

    (few, _, _), (many, connected, chance) = remote(0.0), remote(0.5)
    assert connected.any()
    assert (many >= few).all()
    assert_array_equal(few[~connected], many[~connected])
    assert many[connected].mean() > few[connected].mean() + 0.03
    assert many[connected].mean() == pytest.approx(chance[connected].mean(), abs=0.05)


def test_two_broadband_programmes_create_jobs_each_where_it_is(world_of, policy, here):
    each = [policy("broadband", metros=[code], name=code, pace=1.0) for code in here]
    both, one = world_of(*each), world_of(policy("broadband", pace=1.0))
    wanted = [wanted_positions(place_programmes(initial_state(w), w), w) for w in (both, one)]
    assert_allclose(wanted[0], wanted[1])


@pytest.mark.parametrize(("award", "level"), [("certificate", 2), ("degree", 3)])
def test_a_partnership_raises_education_and_lowers_nobodys(world_of, policy, award, level):
    world = world_of(policy("university_partnership", pace=0.5, award=award))
    before = initial_state(world)
    after = step(before, world)
    assert_conserved(before, after, world)
    done = after.certified
    assert done.any()
    assert_array_equal(after.education[~done], before.education[~done])
    assert_array_equal(after.education[done], np.maximum(before.education[done], level))
    graduates = after.columns(world)["education"] >= 3
    assert graduates.sum() > (before.education >= 3).sum() or award == "certificate"


def test_education_that_rises_by_itself_is_caught(world_of):
    world = world_of()
    state = initial_state(world)
    for change, message in ((1, "whom no university served"), (-1, "lost a level")):
        education = np.clip(state.education + change, 0, 4).astype(np.int8)
        with pytest.raises(ConservationError, match=message):
            assert_conserved(state, replace(state, education=education), world)


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"metros": []}, "metros"),
        ({"amount": -5}, "amount' is -5"),
        ({"pace": 1.5}, "pace' is 1.5"),
    ],
)
def test_wrong_programmes_end_in_a_sentence(policy, keys, message):
    with pytest.raises(SpecificationError, match=message) as caught:
        Scenario.from_mapping({"policies": [{**policy("broadband"), **keys}]})
    assert "\n" not in str(caught.value)


def test_an_unknown_metro_is_named(population, behaviour, make, policy):
    scenario = make(policy("broadband", metros=["99999"]))
    with pytest.raises(SpecificationError, match=r"policies\[0\].metros names the metro '?99999"):
        simulate(population, behaviour, scenario, months=1)


def test_a_district_refuses_conditions_that_nobody_is_asked(policy):
    rule = {"college": True}
    with pytest.raises(SpecificationError, match="asks nobody for eligibility; leave eligibility"):
        Scenario.from_mapping({"policies": [policy("innovation_district", eligibility=rule)]})
    for kind in sorted(set(KINDS) - {"innovation_district"}):
        Scenario.from_mapping({"policies": [policy(kind, eligibility=rule)]})
