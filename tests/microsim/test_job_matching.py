"""Help with the search for a job: what it does, whom it crowds out, and what it costs."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from pandas.testing import assert_frame_equal

from choicemodels.errors import SpecificationError
from choicemodels.keyed_random import Streams
from microsim import Scenario, simulate
from microsim.mobility.utility import MobilityUtility
from microsim.processes.displacement import displacement
from microsim.processes.job_matching import job_matching
from microsim.processes.search import search
from microsim.state import initial_state
from microsim.world import make_world

HELP = {"kind": "job_matching", "factor": 2.0, "cost": 150}


@pytest.fixture(scope="module")
def world_of(population, behaviour, make):
    def build(*policies):
        # A low chance of a job, so that it can double.
        scenario = make(*policies, quiet=True, labour={"job_finding_rate": 0.1})
        utility = MobilityUtility.build(behaviour, tuple(population.metros.cbsa))
        return make_world(population, utility, scenario, 12, Streams(1), first_month=1)

    return build


def slack(world):
    """Return a month in which a fifth of the workers are out of work besides, for a month."""
    state = initial_state(world)
    out = (world.population.workers.id % 5 == 0) & state.employed
    gone = np.bincount(state.firm[out], minlength=len(state.headcount))
    firm = np.where(out, -1, state.firm)
    months_out = np.ones_like(state.months_out)
    return replace(
        state, month=1, firm=firm, months_out=months_out, headcount=state.headcount - gone
    )


def found(world):
    state = slack(world)
    return search(state, world).employed & ~state.employed


def test_the_served_find_jobs_sooner_and_crowd_others_out(world_of):
    rule = {"college": True}
    before = found(world_of())
    after = found(world_of({**HELP, "eligibility": rule}))
    served = world_of().population.workers.education >= 3
    # Twice the effort in a market that it makes less tight: less than twice the jobs.
    assert 1.2 < after[served].sum() / before[served].sum() < 2.0
    assert after[~served].sum() < before[~served].sum()


def test_help_for_all_meets_the_elasticity_of_matching(world_of):
    # Doubled search raises matches by 2 ** (1 - 0.5), as the matching function says.
    ratio = found(world_of(HELP)).sum() / found(world_of()).sum()
    assert ratio == pytest.approx(np.sqrt(2), rel=0.15)


def test_the_service_is_paid_for_each_seeker_and_to_nobody(world_of):
    world = world_of(HELP)
    before = slack(world)
    state, factor = job_matching(before, world)
    seekers = ~before.employed
    assert_array_equal(factor, np.where(seekers, 2.0, 1.0))
    assert state.flows.outlays.sum() == state.flows.services.sum() == 15_000 * seekers.sum()
    assert_array_equal(state.savings, before.savings)
    half, _ = job_matching(before, world_of({**HELP, "budget": 15_000}))
    assert half.flows.payments[0] == 100
    assert world.scenario.policies[0].cents == 15_000


def test_who_has_just_lost_a_job_is_not_served_and_takes_nobodys_place(world_of):
    for_all, for_old = world_of(HELP), world_of({**HELP, "eligibility": {"college": True}})
    for month in (0, 1):
        before = replace(initial_state(for_all), month=month)
        months_out = np.where(before.employed, 0, month).astype(np.int16)
        state = displacement(replace(before, months_out=months_out), for_all)
        fresh = before.employed & ~state.employed
        assert fresh.sum() > 0
        helped, factor = job_matching(state, for_all)
        assert_array_equal(factor, np.where(before.employed, 1.0, 2.0))
        assert helped.flows.payments[0] == (~before.employed).sum()
        served = job_matching(state, for_old)[1] > 1
        assert not (served & fresh).any()


def test_of_two_services_the_first_serves(world_of):
    two = ({**HELP, "eligibility": {"college": True}}, {**HELP, "name": "second", "factor": 3.0})
    world = world_of(*two)
    before = slack(world)
    _, factor = job_matching(before, world)
    expected = np.where(world.population.workers.education >= 3, 2.0, 3.0)
    assert_array_equal(factor, np.where(before.employed, 1.0, expected))


@pytest.mark.parametrize(
    "nothing", [{"factor": 1.0, "cost": 0}, {"take_up": 0}, {"budget": 0}, {"start_month": 99}]
)
def test_a_service_for_nobody_changes_nothing(population, behaviour, make, nothing):
    a = simulate(population, behaviour, make(), months=2)
    b = simulate(population, behaviour, make({**HELP, **nothing}), months=2)
    for name in ("metros", "national", "flows"):
        assert_frame_equal(getattr(a, name), getattr(b, name), check_exact=True)


@pytest.mark.parametrize(
    ("policy", "message"),
    [
        ({**HELP, "factor": 0.5}, "factor' is 0.5; give a value of at least 1"),
        ({**HELP, "cost": -1}, "cost' is -1"),
        ({"kind": "job_matching", "cost": 1}, r"policies\[0\].factor' is missing"),
    ],
)
def test_wrong_services_are_refused_in_a_sentence(policy, message):
    with pytest.raises(SpecificationError, match=message) as caught:
        Scenario.from_mapping({"policies": [policy]})
    assert "\n" not in str(caught.value)
