"""Workers go from job to job: how many, where to, and what it leaves as it was."""

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
from microsim.mobility.utility import MobilityUtility
from microsim.processes.job_changes import change_chances, job_changes
from microsim.state import initial_state
from microsim.world import make_world


@pytest.fixture(scope="module")
def world_of(population, behaviour, make):
    def build(skills=True, **labour):
        parameters = {"skills": {"active": skills}, "labour": {"job_change_rate": 0.3, **labour}}
        utility = MobilityUtility.build(behaviour, tuple(population.metros.cbsa))
        scenario = make(quiet=True, **parameters)
        return make_world(population, utility, scenario, 12, Streams(1), first_month=1)

    return build


def test_the_chance_follows_the_openings_per_job(world_of):
    world = world_of(matching_elasticity=0.5)
    state = initial_state(world)
    chances = change_chances(state, world)
    firms, m, o = world.population.firms, 3, 16
    vacant = (state.positions - state.headcount)[firms.metro == m]
    share = world.jobs.postings[m, firms.industry[firms.metro == m], o]
    jobs = (state.employed & (state.metro == m) & (state.occupation == o)).sum()
    ratio = (vacant * share).sum() / jobs
    assert chances[m, o] == pytest.approx(0.3 * np.sqrt(ratio / 0.056))
    more = change_chances(replace(state, positions=2 * state.positions), world)
    assert (more >= chances).all()
    assert (more > chances).mean() > 0.8
    assert change_chances(state, world_of(matching_elasticity=0.0))[m, o] == pytest.approx(0.3)


def test_as_many_change_as_the_chances_say(world_of):
    world = world_of(skills=False, job_change_rate=0.02)
    state = initial_state(world)
    chance = change_chances(state, world)[state.metro, state.occupation][state.employed]
    # Who draws an opening of the own employer stays, which is all but rare in small metros.
    vacant = state.positions - state.headcount
    by_metro = np.bincount(world.population.firms.metro, vacant, minlength=16)
    own = (vacant[state.firm] / by_metro[state.metro])[state.employed]
    changes = [
        job_changes(replace(state, month=month), world).flows.job_changes.sum()
        for month in range(12)
    ]
    expected = 12 * (chance * (1 - own)).sum()
    assert sum(changes) == pytest.approx(expected, abs=4 * np.sqrt(expected))


def test_a_change_leaves_a_position_open_and_raises_the_wage(world_of):
    world = world_of(job_change_gain=0.1)
    before = initial_state(world)
    after = job_changes(before, world)
    moved = np.flatnonzero(after.firm != before.firm)
    count = int(after.flows.job_changes.sum())
    assert len(moved) == count > 100
    firms = world.population.firms
    assert_array_equal(firms.metro[after.firm[moved]], before.metro[moved])
    assert_array_equal(after.flows.quits, after.flows.job_changes)
    assert_array_equal(after.flows.hires, after.flows.job_changes)
    assert_array_equal(after.positions, before.positions)
    at_work = np.bincount(after.firm[after.employed], minlength=len(firms))
    assert_array_equal(after.headcount, at_work)
    assert (after.headcount <= after.positions).all()
    # What was left can be taken: a metro has as many positions open as before.
    was, now = (
        np.bincount(firms.metro, state.positions - state.headcount) for state in (before, after)
    )
    assert_array_equal(was, now)
    assert_allclose(after.wage[moved] / before.wage[moved], 1.1)
    rest = np.setdiff1d(np.arange(len(before.wage)), moved)
    assert_array_equal(after.wage[rest], before.wage[rest])
    assert_array_equal(after.occupation, before.occupation)
    assert_array_equal(after.employed, before.employed)


def test_nobody_changes_where_nothing_is_open_or_the_rate_is_zero(world_of):
    world = world_of()
    state = initial_state(world)
    full = replace(state, positions=state.headcount)
    assert job_changes(full, world).flows.job_changes.sum() == 0
    assert job_changes(state, world_of(job_change_rate=0.0)) is state


def test_the_order_of_rows_does_not_matter(world_of, shuffled):
    world, (other, order) = world_of(), shuffled
    a = job_changes(initial_state(world), world)
    moved = replace(world, population=other)
    b = job_changes(initial_state(moved), moved)
    assert a.flows.job_changes.sum() > 0
    assert_array_equal(a.firm[order], b.firm)
    assert_allclose(a.wage[order], b.wage)


def test_changes_of_jobs_leave_the_unemployed_as_many_chances(population, behaviour, make):
    """In one labour market a metro's openings and seekers are the same with them and without."""
    still = simulate(population, behaviour, make(quiet=True), months=3)
    on = make(quiet=True, labour={"job_change_rate": 0.05, "job_change_gain": 0.0})
    busy = simulate(population, behaviour, on, months=3)
    changes = busy.national["job_changes"]
    assert (changes > 50).all()
    assert_array_equal(still.national["job_changes"], 0)
    for name in ("unemployed", "vacancies", "separations"):
        assert_array_equal(busy.metros[name], still.metros[name], err_msg=name)
    assert_array_equal(busy.national["hires"] - changes, still.national["hires"])
    assert_array_equal(busy.national["quits"] - changes, still.national["quits"])


def test_changes_are_counted_by_metro_and_drawn_alike_every_time(population, behaviour, make):
    run = simulate(population, behaviour, make(), months=2)
    assert (run.metros["job_changes"] <= run.metros["hires"]).all()
    assert (run.metros["job_changes"] <= run.metros["quits"]).all()
    by_month = run.metros.groupby("month")["job_changes"].sum()
    assert_array_equal(by_month, run.national["job_changes"])
    assert by_month.min() > 0
    assert_frame_equal(simulate(population, behaviour, make(), months=2).metros, run.metros)


def test_an_employer_who_changes_by_itself_is_caught(world_of):
    world = world_of(job_change_rate=0.01)
    before = initial_state(world)
    after = step(before, world)
    assert_conserved(before, after, world)
    firm, at_work = after.firm.copy(), np.flatnonzero(after.employed)
    swapped = at_work[world.population.firms.metro[firm[at_work]] == 0]
    firm[swapped] = np.roll(firm[swapped], 200)
    with pytest.raises(
        ConservationError, match=r"employers not conserved .* changed employer, but"
    ):
        assert_conserved(before, replace(after, firm=firm), world)
    uncounted = replace(after.flows, job_changes=after.flows.quits + 1)
    with pytest.raises(ConservationError, match=r"more changed jobs in metro .* than quit"):
        assert_conserved(before, replace(after, flows=uncounted), world)


@pytest.mark.parametrize(
    ("labour", "message"),
    [
        ({"job_change_rate": 1.2}, "job_change_rate' is 1.2; give a value of at most 1"),
        ({"reference_openings": 0}, "reference_openings' is 0"),
        ({"job_change_gain": -0.1}, "job_change_gain' is -0.1; give a value of at least 0"),
    ],
)
def test_wrong_rates_are_refused_in_a_sentence(labour, message):
    with pytest.raises(SpecificationError, match=message) as caught:
        Scenario.from_mapping({"parameters": {"labour": labour}})
    assert "\n" not in str(caught.value)
