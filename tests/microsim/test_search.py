"""Jobs are for occupations: distances of skills, tightness, matching and changes of occupation."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import stats

from choicemodels.datasets import load_data
from choicemodels.errors import DataError, SpecificationError
from choicemodels.keyed_random import Streams
from microsim import Scenario, simulate
from microsim.assumptions.skills import SkillParameters
from microsim.conservation import ConservationError, assert_conserved
from microsim.engine import step
from microsim.mobility.utility import MobilityUtility
from microsim.processes.displacement import displacement
from microsim.processes.matching import match
from microsim.processes.search import hire, search
from microsim.processes.tightness import finding_chances, tightness
from microsim.skills import postings, skill_distances, transferability
from microsim.state import initial_state
from microsim.world import make_world

SOC = load_data("occupations")["soc"]
PAY = load_data("occupations")["wage_p50"].to_numpy(dtype=float)


@pytest.fixture(scope="module")
def world_of(population, behaviour, make):
    def build(**skills):
        scenario = make(quiet=True, skills={"active": True, **skills})
        utility = MobilityUtility.build(behaviour, tuple(population.metros.cbsa))
        return make_world(population, utility, scenario, 12, Streams(1), first_month=1)

    return build


@pytest.fixture(scope="module")
def slack(world_of):
    """Month 3 of a quarter of the workers out of work, and as many positions open."""

    def build(world):
        state = initial_state(world)
        out = (world.population.workers.id % 4 == 0) & state.employed
        gone = np.bincount(state.firm[out], minlength=len(state.headcount))
        return replace(
            state,
            month=3,
            firm=np.where(out, -1, state.firm),
            months_out=np.full_like(state.months_out, 2),
            headcount=state.headcount - gone,
        )

    return build


def test_distances_are_those_by_hand():
    z = load_data("occupation_skills").set_index("soc")
    d = pd.DataFrame(skill_distances(SOC), index=SOC, columns=SOC)
    by_hand = np.sqrt(np.mean((z.loc["43-0000"] - z.loc["41-0000"]) ** 2))
    assert d.loc["43-0000", "41-0000"] == pytest.approx(by_hand)
    assert_array_equal(np.diag(d), 0)
    assert_array_equal(d, d.T)
    # Production is nearer to transport than to law.
    assert d.loc["51-0000", "53-0000"] < 0.3 * d.loc["51-0000", "23-0000"]
    assert_allclose(z.mean(), 0, atol=1e-4)
    assert_allclose(z.std(ddof=0), 1, atol=1e-4)


def test_skills_carry_within_an_occupation_and_less_upwards():
    carries = transferability(skill_distances(SOC), PAY, SkillParameters())
    assert_array_equal(np.diag(carries), 1)
    assert ((carries >= 0) & (carries <= 1)).all()
    up = PAY[None, :] > PAY[:, None]
    assert (carries[up] < carries.T[up]).all()
    level = transferability(skill_distances(SOC), PAY, SkillParameters(climb=0))
    assert_array_equal(level, level.T)
    assert_array_equal(transferability(level, PAY, SkillParameters(transfer_scale=0)), np.eye(22))


def test_an_unknown_occupation_is_refused():
    with pytest.raises(DataError, match="skills of occupation '55-0000'; give the population"):
        skill_distances(pd.Series(["11-0000", "55-0000"]))


def test_industries_post_what_they_employ_of_what_the_metro_has(population):
    share = postings(population)
    assert_allclose(share.sum(axis=2), 1)
    w, f = population.workers, population.firms
    at_work = w.firm >= 0
    industry = np.where(at_work, f.industry[w.firm], -1)
    m, i = 4, 2
    weight = np.zeros(22)
    for o in range(22):
        inside = ((industry == i) & (w.occupation == o)).sum()
        everywhere = max((at_work & (w.occupation == o)).sum(), 1)
        weight[o] = ((w.metro == m) & (w.occupation == o)).sum() * inside / everywhere
    assert_allclose(share[m, i], weight / weight.sum(), rtol=1e-12)


def test_tightness_is_the_double_sum(world_of, slack):
    world = world_of()
    state = slack(world)
    effort = 0.5 + (world.population.workers.id % 3)
    market = tightness(effort, state, world)
    f, size = world.population.firms, (world.metros, 22)
    V, U = np.zeros(size), np.zeros(size)
    for k in range(len(f)):
        V[f.metro[k]] += (state.positions - state.headcount)[k] * (
            world.jobs.postings[f.metro[k], f.industry[k]]
        )
    for k in np.flatnonzero(state.firm < 0):
        U[state.metro[k], state.occupation[k]] += effort[k]
    T, m, o = world.jobs.transferability, 5, 16
    by_hand = sum(T[o, p] * V[m, p] / sum(T[q, p] * U[m, q] for q in range(22)) for p in range(22))
    assert market.jobs[m, o] == pytest.approx(by_hand)
    assert_allclose(market.openings, V)
    # Every opening falls to somebody.
    assert_allclose((U * market.jobs).sum(axis=1), V.sum(axis=1))


def test_one_market_has_one_tightness_and_separate_ones_their_own(world_of, slack):
    everybody = np.ones(4_000)
    world = world_of(active=False)
    state = slack(world)
    jobs = tightness(everybody, state, world).jobs
    vacant = np.bincount(
        world.population.firms.metro, state.positions - state.headcount, minlength=16
    )
    out = np.bincount(state.metro[~state.employed], minlength=16)
    assert_allclose(jobs, np.repeat(vacant / out, 22).reshape(16, 22))
    apart = world_of(transfer_scale=0.0)
    market = tightness(everybody, state, apart)
    for m, o in ((0, 16), (3, 9), (7, 15)):
        count = (~state.employed & (state.metro == m) & (state.occupation == o)).sum()
        assert market.jobs[m, o] == pytest.approx(market.openings[m, o] / count)


@pytest.mark.parametrize("skills", [{"active": False}, {"transfer_scale": 0.0}])
def test_where_skills_do_not_carry_nobody_changes_occupation(world_of, slack, skills):
    world = world_of(**skills)
    before = slack(world)
    after = search(before, world)
    assert (after.firm >= 0).sum() > (before.firm >= 0).sum() + 100
    assert after.flows.switches.sum() == 0
    assert_array_equal(after.occupation, before.occupation)
    assert_array_equal(after.wage, before.wage)


def test_seekers_change_occupation_as_often_as_their_weights_say(world_of, slack):
    world = world_of()
    before = slack(world)
    out = ~before.employed
    market = tightness(np.ones(4_000), before, world)
    T = world.jobs.transferability
    stay = np.einsum("oo,mo->mo", T, market.chances) / market.jobs
    after = search(before, world)
    hired = out & after.employed
    rows = np.flatnonzero(hired)
    expected = 1 - stay[before.metro[rows], before.occupation[rows]]
    switched = after.occupation[rows] != before.occupation[rows]
    assert after.flows.switches.sum() == switched.sum() > 50
    spread = np.sqrt((expected * (1 - expected)).sum())
    assert abs(switched.sum() - expected.sum()) < 4 * spread
    # Near the 44 % of the literature, in these small metros too.
    assert 0.3 < switched.mean() < 0.6
    was, now = before.occupation[rows], after.occupation[rows]
    assert world.jobs.distance[was, now][switched].mean() < 0.6 * world.jobs.distance.mean()


def test_the_wage_follows_the_occupation_and_loses_with_distance(world_of, slack):
    world = world_of(distance_wage_loss=0.2)
    before = slack(world)
    after = search(before, world)
    rows = np.flatnonzero(after.occupation != before.occupation)
    was, now, metro = before.occupation[rows], after.occupation[rows], before.metro[rows]
    wages = world.population.wages
    ratio = wages[metro, now] / wages[metro, was] * np.exp(-0.2 * world.jobs.distance[was, now])
    assert_allclose(after.wage[rows] / before.wage[rows], ratio)
    stayed = np.setdiff1d(np.flatnonzero(~before.employed & after.employed), rows)
    assert_array_equal(after.wage[stayed], before.wage[stayed])


def test_positions_are_drawn_by_vacancies_and_what_the_industry_posts(world_of):
    """Ten thousand seekers, one at a time, against the exact probabilities."""
    world = world_of()
    state = initial_state(world)
    m, o = 2, 16
    f = world.population.firms
    weight = (state.positions - state.headcount) * world.jobs.postings[f.metro, f.industry, o]
    weight = np.where(f.metro == m, weight, 0.0)
    seeker = np.flatnonzero(state.metro == m)[:1]
    counts = np.zeros(len(f))
    for month in range(4_000):
        _, firm, _ = match(
            seeker, np.array([o]), np.zeros(1), replace(state, month=month), world, "x"
        )
        counts[firm] += 1
    assert counts.sum() == 4_000
    expected = 4_000 * weight / weight.sum()
    kept = expected > 0
    assert counts[~kept].sum() == 0
    assert stats.chisquare(counts[kept], expected[kept]).pvalue > 1e-3


def test_nobody_is_hired_beyond_the_positions(world_of, slack):
    world = world_of()
    state = slack(world)
    scarce = state.headcount + (np.arange(len(state.headcount)) % 3 == 0)
    state = replace(state, positions=scarce)
    everybody = np.flatnonzero(~state.employed)
    own = state.occupation[everybody].astype(np.int64)
    u = world.streams.uniform("anything", world.population.workers.id[everybody])
    after = hire(state, world, *match(everybody, own, u, state, world, "x"))
    assert (after.headcount <= after.positions).all()
    assert (after.headcount == after.positions).mean() > 0.97
    at_work = np.bincount(after.firm[after.employed], minlength=len(after.headcount))
    assert_array_equal(at_work, after.headcount)


def test_without_openings_nobody_finds_a_job_at_any_elasticity(world_of, slack):
    """An elasticity of 0 makes the chance the same everywhere, but for where nothing is open."""
    world = world_of()
    rigid = Scenario.from_mapping({"parameters": {"labour": {"matching_elasticity": 0.0}}})
    world = replace(world, scenario=rigid)
    state = slack(world)
    closed = world.population.firms.metro < 8
    state = replace(state, positions=np.where(closed, state.headcount, state.positions))
    market = tightness(np.ones(len(state.metro)), state, world)
    chances = finding_chances(market, world)
    assert (chances[:8] == 0.0).all()
    assert (chances[8:] == rigid.parameters.labour.job_finding_rate).all()
    hires = search(state, world).flows.hires
    assert hires[:8].sum() == 0 < hires[8:].sum()


def test_the_order_of_rows_does_not_matter(world_of, slack, shuffled):
    world, (other, order) = world_of(), shuffled
    a = search(slack(world), world)
    moved = replace(world, population=other)
    b = search(slack(moved), moved)
    for name in ("firm", "occupation"):
        assert_array_equal(getattr(a, name)[order], getattr(b, name), err_msg=name)
    assert_allclose(a.wage[order], b.wage)


def test_an_occupation_that_changes_by_itself_is_caught(world_of):
    world = world_of()
    before = initial_state(world)
    after = step(before, world)
    assert_conserved(before, after, world)
    occupation = after.occupation.copy()
    occupation[:3_000] = (occupation[:3_000] + 1) % 22
    with pytest.raises(ConservationError, match="occupations not conserved"):
        assert_conserved(before, replace(after, occupation=occupation), world)


def test_switches_are_counted_in_the_tables(population, behaviour, make):
    run = simulate(population, behaviour, make(), months=3)
    assert (run.national["switches"] > 0).all()
    assert (run.metros["switches"] <= run.metros["hires"]).all()
    by_month = run.metros.groupby("month")["switches"].sum()
    assert_array_equal(by_month, run.national["switches"])


@pytest.mark.parametrize(
    ("skills", "message"),
    [
        ({"transfer_scale": -1}, "transfer_scale' is -1; give a value of at least 0"),
        ({"climb": -0.1}, "climb' is -0.1"),
        ({"distance_loss": 1}, "did you mean 'distance_wage_loss'"),
    ],
)
def test_wrong_skills_are_refused_in_a_sentence(skills, message):
    with pytest.raises(SpecificationError, match=message) as caught:
        Scenario.from_mapping({"parameters": {"skills": skills}})
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("month", [0, 1, 5])
def test_who_loses_a_job_searches_from_the_next_month_on(population, behaviour, make, month):
    """Also in the run's first month, in which those who are out from before it do search."""
    scenario = make(quiet=True, labour={"separation_rate": 0.1, "job_finding_rate": 1.0})
    utility = MobilityUtility.build(behaviour, tuple(population.metros.cbsa))
    world = make_world(population, utility, scenario, 12, Streams(1), first_month=1)
    state = initial_state(world)
    spell = np.where(state.employed, 0, month).astype(np.int16)
    before = displacement(replace(state, month=month, months_out=spell), world)
    after = search(before, world)
    lost = state.employed & ~before.employed
    assert lost.sum() > 100
    assert not after.employed[lost].any()
    assert after.employed[~state.employed].any()
    assert_array_equal(before.fresh(world), lost)
