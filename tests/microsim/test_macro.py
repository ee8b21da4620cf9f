"""Recessions: when they come, and what they do with everything else off."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from pandas.testing import assert_frame_equal
from scipy.stats import binomtest, chisquare

from choicemodels.errors import SpecificationError
from choicemodels.keyed_random import Streams
from microsim import Scenario, simulate
from microsim.mobility.utility import MobilityUtility
from microsim.processes.displacement import displacement
from microsim.processes.job_demand import job_demand
from microsim.processes.macro import macro, recession_chances, recession_factor
from microsim.state import initial_state
from microsim.world import make_world

CHAIN = {"kind": "recession"}
FIXED = {"kind": "recession", "timing": "fixed", "start_month": 2, "end_month": 4}


@pytest.fixture(scope="module")
def world_of(population, behaviour):
    utility = MobilityUtility.build(behaviour, tuple(population.metros.cbsa))

    def build(scenario, replicate=0):
        return make_world(population, utility, scenario, 12, Streams(1, replicate), first_month=1)

    return build


def path(world, months):
    """Which recessions are on in each month, (T, R)."""
    state = initial_state(world)
    on = []
    for month in range(months):
        state = macro(replace(state, month=month), world)
        on.append(state.recession)
    return np.array(on)


def test_a_fixed_recession_is_on_from_its_first_to_its_last_month(world_of, make):
    on = path(world_of(make(shocks=[FIXED])), 8)[:, 0]
    assert_array_equal(np.flatnonzero(on), [2, 3, 4])


def test_forty_percent_start_in_the_year_at_risk(world_of, make):
    world = world_of(make(shocks=[CHAIN]))
    start = np.array([recession_chances(month, world)[0][0] for month in range(36)])
    assert_array_equal(np.flatnonzero(start), np.arange(12, 24))
    assert_allclose(start[12], 1 - 0.6 ** (1 / 12), rtol=1e-14)
    assert 1 - np.prod(1 - start) == pytest.approx(0.40, rel=1e-12)


def test_drawn_recessions_are_as_many_and_as_long_as_the_formula_says(world_of, make):
    """Chains of one world are independent: they are keyed by their row."""
    chains, mean = 2_000, 4.0
    scenario = make(shocks=[CHAIN] * chains, macro={"recession_months": mean})
    on = path(world_of(scenario), 80)
    began = on.any(axis=0)
    assert not on[:12].any()
    assert binomtest(int(began.sum()), chains, 0.40).pvalue > 0.001
    # A chain that ended may start again: its first spell ends where it is first off again.
    spells = on[:, began].T
    first = spells.argmax(axis=1)
    spell = np.array(
        [np.append(~row[f:], True).argmax() for row, f in zip(spells, first, strict=True)]
    )
    edges = np.arange(1, 13)
    seen = np.append([(spell == k).sum() for k in edges], (spell > edges[-1]).sum())
    chance = (1 - 1 / mean) ** (edges - 1) / mean
    expected = np.append(chance, 1 - chance.sum()) * len(spell)
    assert chisquare(seen, expected).pvalue > 0.001


def test_replicates_draw_recessions_of_their_own(world_of, make):
    scenario = make(shocks=[CHAIN], macro={"recession_probability": 0.9})
    starts = {int(path(world_of(scenario, r), 30)[:, 0].argmax()) for r in range(6)}
    assert len(starts) > 1


def test_severities_add_up_in_the_exponent(world_of, make):
    both = [{**FIXED, "severity": 0.5}, {**FIXED, "severity": 2.0}]
    world = world_of(make(shocks=both))
    state = initial_state(world)
    assert recession_factor(1.35, state, world) == 1.0
    one = replace(state, recession=np.array([False, True]))
    assert recession_factor(1.35, one, world) == pytest.approx(1.35**2)
    two = replace(state, recession=np.array([True, True]))
    assert recession_factor(0.9, two, world) == pytest.approx(0.9**2.5)


def test_separations_rise_by_their_factor(world_of, make):
    scenario = make(shocks=[FIXED], labour={"separation_rate": 0.1})
    world = world_of(scenario)
    state = initial_state(world)
    calm = displacement(state, world).flows
    slump = displacement(replace(state, recession=np.array([True])), world).flows
    n = int(state.employed.sum())
    assert binomtest(int(calm.separations.sum()), n, 0.1).pvalue > 0.001
    assert binomtest(int(slump.separations.sum()), n, 0.135).pvalue > 0.001
    assert slump.displaced.sum() == 0
    assert (slump.separations >= calm.separations).all()  # common draws: nobody else's fate turns


def test_displacement_rises_by_its_factor_on_the_cloglog_scale(world_of, make):
    ai = {"kind": "ai_displacement", "hazard": [{"month": 0, "rate": 0.3}]}
    world = world_of(make(shocks=[ai, FIXED], labour={"separation_rate": 0}))
    state = initial_state(world)
    w, f = world.population.workers, world.population.firms
    at_work = state.employed
    multiplier = np.array(world.parameters.labour.stage_multipliers)[f.stage[w.firm[at_work]]]
    for on, factor in ((False, 1.0), (True, 1.5)):
        now = displacement(replace(state, recession=np.array([on])), world)
        p = 1 - (1 - 0.3) ** (w.exposure[at_work] * multiplier * factor)
        z = (now.flows.displaced.sum() - p.sum()) / np.sqrt((p * (1 - p)).sum())
        assert abs(z) < 3.5


def test_firms_withdraw_open_positions(world_of, make):
    scenario = make(shocks=[FIXED], labour={"demand_speed": 0}, macro={"vacancy_factor": 0.5})
    world = world_of(scenario)
    state = initial_state(world)
    open_before = (state.positions - state.headcount).sum()
    assert_array_equal(job_demand(state, world).positions, state.positions)
    after = job_demand(replace(state, recession=np.array([True])), world)
    open_after = (after.positions - after.headcount).sum()
    assert (after.positions >= after.headcount).all()
    assert open_after == pytest.approx(0.5 * open_before, abs=world.metros)


def test_a_recession_raises_unemployment_while_it_lasts(population, behaviour, make):
    calm = simulate(population, behaviour, months=8).national
    slump = simulate(population, behaviour, make(shocks=[FIXED]), months=8).national
    assert list(np.flatnonzero(slump["recession"])) == [2, 3, 4]
    assert_frame_equal(slump.iloc[:2], calm.iloc[:2])
    assert slump["unemployment_rate"][4] > calm["unemployment_rate"][4]
    assert slump["vacancies"][4] < calm["vacancies"][4]


@pytest.mark.parametrize(
    "nothing",
    [{**FIXED, "severity": 0}, {**FIXED, "start_month": 50, "end_month": 60}, CHAIN],
    ids=["no severity", "too late", "not yet at risk"],
)
def test_a_recession_without_effect_changes_nothing(population, behaviour, make, nothing):
    calm = simulate(population, behaviour, months=6)
    run = simulate(population, behaviour, make(shocks=[nothing]), months=6)
    assert_frame_equal(run.metros, calm.metros, check_exact=True)
    assert_frame_equal(run.flows, calm.flows, check_exact=True)
    aside = ["recession"]
    assert_frame_equal(run.national.drop(columns=aside), calm.national.drop(columns=aside))


@pytest.mark.parametrize(
    ("shock", "message"),
    [
        ({**FIXED, "end_month": 1}, r"in 'shocks\[0\]', end_month is 1, before start_month 2"),
        (
            {"kind": "recession", "timing": "fixed", "start": "2024-02"},
            "fixed recession has no end",
        ),
        ({**CHAIN, "timing": "fixed"}, "give its last month as end_month or end, or set timing to"),
        ({**FIXED, "severity": -1}, r"'shocks\[0\].severity' is -1; give a value of at least 0"),
        ({**FIXED, "timing": "soon"}, r"'shocks\[0\].timing' is 'soon'; use one of 'chain'"),
        ({**FIXED, "severty": 1}, r"unknown key 'shocks\[0\].severty' \(did you mean 'severity'"),
        ({"kind": "recesion"}, r"'shocks\[0\].kind' is 'recesion' \(did you mean 'recession'"),
        ({"severity": 1}, r"'shocks\[0\].kind' is missing; add it"),
    ],
)
def test_wrong_recessions_end_in_a_sentence(shock, message):
    with pytest.raises(SpecificationError, match=message):
        Scenario.from_mapping({"shocks": [shock]})


def test_a_probability_of_one_is_refused(make):
    with pytest.raises(
        SpecificationError, match="recession_probability' is 1; give a value of les"
    ):
        make(macro={"recession_probability": 1})
