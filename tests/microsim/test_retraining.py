"""Who retrains, what it costs and brings, and the programmes that support it."""

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
from microsim.processes.courses import courses_for, outlook, values
from microsim.processes.retraining import retraining, study_effort
from microsim.processes.search import search
from microsim.state import initial_state
from microsim.world import make_world

EAGER = {"active": True, "constant": 2.0, "attention_unemployed": 1.0, "tuition": 100.0}
COURSES = {"kind": "retraining", "covers": 0.5, "guidance": 30, "stipend": 200}
SHOCK = {"kind": "ai_displacement", "start_month": 0, "hazard": [{"month": 0, "rate": 0.05}]}


@pytest.fixture(scope="module")
def world_of(population, behaviour, make):
    def build(*policies, shocks=(), **assumed):
        scenario = make(
            *policies,
            shocks=shocks,
            quiet=True,
            skills={"active": True},
            retraining={**EAGER, **assumed},
        )
        utility = MobilityUtility.build(behaviour, tuple(population.metros.cbsa))
        return make_world(population, utility, scenario, 12, Streams(1), first_month=1)

    return build


def months(world, count):
    """Return the states before each month, and the last."""
    states = [initial_state(world)]
    for _ in range(count):
        after = step(states[-1], world)
        assert_conserved(states[-1], after, world)
        states.append(after.next_month(world))
    return states


def begun(world, state=None):
    """Return the workers who begin a course in a month."""
    state = initial_state(world) if state is None else state
    return np.flatnonzero((retraining(state, world).course >= 0) & (state.course < 0))


def test_the_worth_of_a_course_is_the_formula_by_hand(world_of):
    world = world_of(COURSES)
    state = initial_state(world)
    rows = np.flatnonzero(~state.employed & (state.age > 57))[:5]
    course = courses_for(np.array([0, -1, 0, -1, 0]), world)
    view = outlook(state, world)
    utility = values(rows, course, view, state, world)
    a = world.parameters.retraining
    for i, row in enumerate(rows):
        m, o = state.metro[row], state.occupation[row]
        years = min(a.horizon, max(a.retirement_age - state.age[row], 0))
        annuity = (1 - np.exp(-a.discount * years)) / a.discount
        rank = state.wage[row] / world.population.wages[m, o]
        helped = i % 2 == 0
        cost = 0.05 if helped else 0.1
        cost += 12 * ((1 - a.study_effort) * rank * view.earnings[m, o] / 12 - 0.2 * helped)
        for q in range(22):
            if world.exposure[0, q] >= world.exposure[0, o]:
                assert utility[i, q] == -np.inf
                continue
            gain = (1 - a.entry_wage_loss) * view.earnings[m, q] - view.earnings[m, o]
            by_hand = np.log(world.jobs.transferability[o, q] * view.openings[m, q])
            by_hand += a.value_of_money * (annuity * a.completion * rank * gain - cost)
            assert utility[i, q] == pytest.approx(by_hand)
    assert np.isfinite(utility).any()


def test_expected_earnings_are_wages_times_the_time_at_work(world_of):
    calm, shaken = world_of(), world_of(shocks=[SHOCK])
    state = initial_state(calm)
    before, after = outlook(state, calm), outlook(state, shaken)
    assert (before.earnings * 1000 < calm.population.wages).all()
    assert (before.earnings * 1000 > 0.9 * calm.population.wages).mean() > 0.9
    # Who is more exposed expects to lose more.
    fall = (1 - after.earnings / before.earnings)[0]
    assert (fall > 0).all()
    assert fall[np.argmax(calm.exposure[0])] > 3 * fall[np.argmin(calm.exposure[0])]


def test_courses_lead_to_less_exposed_occupations_and_cost_their_tuition(world_of):
    world = world_of()
    before = initial_state(world)
    after = retraining(before, world)
    rows = begun(world)
    assert len(rows) > 20
    assert (~before.employed[rows]).all()
    exposure = world.exposure[0]
    assert (exposure[after.course[rows]] < exposure[before.occupation[rows]]).all()
    assert_array_equal((before.savings - after.savings)[rows], 10_000)
    assert after.flows.tuition == 10_000 * len(rows)
    assert after.flows.retraining.sum() == len(rows)
    assert_array_equal(after.course_left[rows], 12)


@pytest.mark.parametrize(
    ("less", "more"),
    [
        ({"constant": 0.0}, {"constant": 2.0}),
        ({"tuition": 5_000.0}, {"tuition": 0.0}),
        ({"attention_unemployed": 0.3}, {"attention_unemployed": 1.0}),
        ({"entry_wage_loss": 0.9}, {"entry_wage_loss": 0.0}),
        ({"study_effort": 0.0}, {"study_effort": 1.0}),
        ({"completion": 0.0, "value_of_money": 0.2}, {"completion": 1.0, "value_of_money": 0.2}),
    ],
    ids=["constant", "tuition", "attention", "wage loss", "foregone", "completion"],
)
def test_what_makes_a_course_worth_more_makes_more_begin(world_of, less, more):
    few, many = (begun(world_of(**{"constant": 0.0, **assumed})) for assumed in (less, more))
    assert len(many) > 1.1 * len(few)


def test_savings_and_years_to_go_decide(world_of):
    world = world_of(tuition=2_000.0)
    state = initial_state(world)
    rows = begun(world)
    assert (state.savings[rows] >= 200_000).all()
    poor = replace(state, savings=np.zeros_like(state.savings))
    assert begun(world, poor).size == 0
    old = replace(state, age=np.full_like(state.age, 66))
    assert 0 < begun(world, old).size < rows.size


def test_the_employed_retrain_where_their_jobs_are_at_risk(world_of):
    assumed = {"attention_employed": 0.5, "attention_unemployed": 0.0}
    assert begun(world_of(**assumed)).size == 0
    threatened = begun(world_of(shocks=[SHOCK], **assumed))
    assert threatened.size > 50
    assert initial_state(world_of()).employed[threatened].all()


def test_a_course_ends_after_its_months_in_the_occupation_or_without(world_of):
    world = world_of(months=2, completion=0.5, entry_wage_loss=0.2)
    first, second, third = months(world, 3)[1:]
    enrolled = np.flatnonzero(first.course >= 0)
    assert (second.course[enrolled] == first.course[enrolled]).all()
    ended = retraining(second, world)
    done = enrolled[ended.occupation[enrolled] != second.occupation[enrolled]]
    flows = ended.flows
    assert flows.retrained.sum() == len(done)
    assert flows.retrained.sum() + flows.dropouts.sum() == len(enrolled)
    assert abs(len(done) / len(enrolled) - 0.5) < 4 * np.sqrt(0.25 / len(enrolled))
    assert_array_equal(ended.occupation[done], first.course[done])
    wages, metro = world.population.wages, second.metro[done]
    ratio = wages[metro, ended.occupation[done]] / wages[metro, second.occupation[done]]
    assert_allclose(ended.wage[done], 0.8 * ratio * second.wage[done])
    assert third.month == 3


def test_study_slows_the_search(world_of):
    world = world_of(study_effort=0.0)
    state = retraining(initial_state(world), world)
    studying = (state.course >= 0) & ~state.employed
    assert studying.sum() > 20
    assert_array_equal(study_effort(state, world)[studying], 0)
    after = search(state, world)
    assert not after.employed[studying].any()
    assert (after.employed & ~state.employed).sum() > 5


def test_a_programme_pays_the_college_and_the_household(world_of):
    world = world_of(COURSES)
    after = retraining(initial_state(world), world)
    rows = begun(world)
    flows = after.flows
    # Half of $100 and $30 of guidance to the college, $200 to the household.
    assert flows.services.sum() == 8_000 * len(rows)
    assert flows.outlays.sum() == 28_000 * len(rows)
    assert flows.tuition == 5_000 * len(rows)
    assert_array_equal((after.savings - initial_state(world).savings)[rows], 15_000)
    later = months(world, 3)[-1]
    assert later.spent[0] > 28_000 * len(rows) + 2 * 20_000 * 0.5 * len(rows)


def test_programmes_reach_and_retain_more(world_of):
    plain = {"constant": -1.0, "attention_unemployed": 0.2, "tuition": 4_000.0}
    alone = begun(world_of(**plain)).size
    reached = begun(world_of({**COURSES, "outreach": 4.0}, **plain)).size
    assert reached > 2 * max(alone, 1)
    gained = world_of({**COURSES, "completion_gain": 0.4}, completion=0.6)
    assert_array_equal(courses_for(np.array([0, -1]), gained).completion, [1.0, 0.6])


def test_programmes_keep_to_budget_eligibility_and_take_up(world_of):
    free = begun(world_of(COURSES)).size
    capped = months(world_of({**COURSES, "budget": 3_000}), 3)
    assert 2_700 < capped[-1].spent[0] / 100 <= 3_000
    rule = {"college": False, "exposure_at_least": 0.3}
    world = world_of({**COURSES, "eligibility": rule}, tuition=1_000_000.0)
    assert begun(world).size == 0  # half of it is still more than anybody has saved
    world = world_of({**COURSES, "covers": 1.0, "eligibility": rule}, tuition=1_000_000.0)
    rows = begun(world)
    assert 0 < rows.size < free
    workers = world.population.workers
    assert (workers.education[rows] < 3).all()
    assert (workers.exposure[rows] >= 0.3).all()


@pytest.mark.parametrize(
    "nothing",
    [
        {"covers": 0, "guidance": 0, "stipend": 0},
        {"take_up": 0},
        {"budget": 100, "outreach": 3},
        {"start_month": 99},
        {"eligibility": {"income_ceiling": 0}, "outreach": 3},
    ],
    ids=["zero", "nobody takes it up", "no budget", "too late", "nobody eligible"],
)
def test_a_programme_that_supports_nobody_changes_nothing(population, behaviour, make, nothing):
    a, b = (
        simulate(population, behaviour, make(*policies, retraining=EAGER), months=3)
        for policies in ((), ({**COURSES, **nothing},))
    )
    assert a.national["retraining"].sum() > 20
    for name in ("metros", "national", "flows"):
        assert_frame_equal(getattr(a, name), getattr(b, name), check_exact=True)


def test_off_nobody_retrains(population, behaviour, make):
    run = simulate(population, behaviour, make(retraining={"active": False}), months=2)
    assert run.national["retraining"].sum() == 0
    assert run.national["tuition"].sum() == 0


def test_the_order_of_rows_does_not_matter(world_of, shuffled):
    world, (other, order) = world_of({**COURSES, "budget": 10_000}, months=2), shuffled
    a = months(world, 3)[-1]
    b = months(replace(world, population=other), 3)[-1]
    for name in ("course", "course_left", "programme", "occupation", "savings"):
        assert_array_equal(getattr(a, name)[order], getattr(b, name), err_msg=name)


def test_a_lost_course_is_caught(world_of):
    world = world_of()
    before = initial_state(world)
    after = step(before, world)
    course = after.course.copy()
    course[np.flatnonzero(course >= 0)[0]] = -1
    with pytest.raises(ConservationError, match="courses not conserved"):
        assert_conserved(before, replace(after, course=course), world)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"policies": [{**COURSES, "covers": 1.5}]}, "covers' is 1.5; give a value of at most 1"),
        ({"policies": [{**COURSES, "outreach": 0.5}]}, "outreach' is 0.5"),
        ({"policies": [{**COURSES, "stipent": 1}]}, "did you mean 'stipend'"),
        ({"parameters": {"retraining": {"months": 0}}}, "retraining.months' is 0"),
        (
            {"policies": [COURSES], "parameters": {"retraining": {"active": False}}},
            "nobody retrains; set parameters.retraining.active to true",
        ),
    ],
)
def test_wrong_programmes_are_refused_in_a_sentence(content, message):
    with pytest.raises(SpecificationError, match=message) as caught:
        Scenario.from_mapping(content)
    assert "\n" not in str(caught.value)
