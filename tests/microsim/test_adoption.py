"""Adoption: its hazards, who goes first, and what it does to displacement."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from pandas.testing import assert_frame_equal
from scipy.stats import chisquare

from choicemodels.errors import SpecificationError
from choicemodels.keyed_random import Streams
from microsim import Scenario, simulate
from microsim.conservation import ConservationError, assert_conserved
from microsim.mobility.utility import MobilityUtility
from microsim.mobility.variables import great_circle
from microsim.processes.adoption import adopter_shares, adoption, adoption_hazards
from microsim.state import initial_state
from microsim.world import make_world

ADOPTION = {"kind": "ai_adoption"}
NO_CONTAGION = {"industry_contagion": 0, "regional_contagion": 0}


@pytest.fixture(scope="module")
def world_of(population, behaviour):
    utility = MobilityUtility.build(behaviour, tuple(population.metros.cbsa))

    def build(scenario, people=population):
        return make_world(people, utility, scenario, 12, Streams(1), first_month=1)

    return build


def stages_after(world, months):
    state = initial_state(world)
    for month in range(months):
        state = adoption(replace(state, month=month), world)
    return state.stage


def test_without_the_shock_nobody_adopts(world_of, make, population):
    assert_array_equal(stages_after(world_of(make()), 12), population.firms.stage)
    late = world_of(make(shocks=[{**ADOPTION, "start_month": 99}]))
    assert_array_equal(stages_after(late, 12), population.firms.stage)


def test_hazards_follow_the_formula(world_of, make):
    world = world_of(make(shocks=[ADOPTION]))
    state, firms = initial_state(world), world.population.firms
    metros = world.population.metros
    distance = great_circle(metros.latitude, metros.longitude)
    begun = firms.stage > 0
    steps = [0.0003, 0.005, 0.0035, 0.0]
    seen = adoption_hazards(2.0, state, world)
    for f in range(0, len(firms), 7):
        alike = firms.industry == firms.industry[f]
        weight = np.exp(-distance[firms.metro[f], firms.metro] / 150.0)
        imitation = 14 * begun[alike].mean() + 70 * (weight * begun).sum() / weight.sum()
        large = 2.0 if state.headcount[f] >= 250 else 1.0
        intensity = 2.0 * large * steps[firms.stage[f]] * (1 + imitation)
        assert seen[f] == pytest.approx(1 - np.exp(-intensity), rel=1e-12)


def test_steps_are_as_frequent_as_the_hazards_say(world_of, make):
    """Nobody's neighbours matter here, so that a month repeats itself with new draws."""
    fast = {"pilot_intensity": 0.2, "scaling_intensity": 0.5, "mature_intensity": 0.1}
    world = world_of(make(shocks=[ADOPTION], adoption={**fast, **NO_CONTAGION, "large_factor": 1}))
    state = initial_state(world)
    firms = len(state.stage)
    state = replace(state, stage=np.resize(np.arange(4, dtype=np.int8), firms))
    count = np.zeros((4, 2))
    for month in range(60):
        moved = adoption(replace(state, month=month), world).stage > state.stage
        np.add.at(count, (state.stage, moved.astype(int)), 1)
    assert count[3, 1] == 0
    for stage, intensity in enumerate(fast.values()):
        p = 1 - np.exp(-intensity)
        assert chisquare(count[stage], count[stage].sum() * np.array([1 - p, p])).pvalue > 0.001


def test_large_firms_have_twice_the_intensity(world_of, make):
    world = world_of(make(shocks=[ADOPTION], adoption=NO_CONTAGION))
    state = replace(
        initial_state(world), stage=np.zeros(len(world.population.firms), dtype=np.int8)
    )
    size = np.where(np.arange(len(state.stage)) % 2, 250, 249)
    intensity = -np.log1p(-adoption_hazards(1.0, replace(state, headcount=size), world))
    assert_allclose(intensity[1::2], 2 * intensity[0], rtol=1e-12)


def test_contagion_works_through_the_industry_and_the_neighbourhood(world_of, make):
    world = world_of(make(shocks=[ADOPTION]))
    firms = world.population.firms
    blank = replace(initial_state(world), stage=np.zeros(len(firms), dtype=np.int8))
    assert not np.any(adopter_shares(blank, world)[0])
    alone = adoption_hazards(1.0, blank, world)
    # Everybody in one metro has adopted: the nearer another metro, the more its firms follow.
    there = firms.metro == 0
    by_region = adopter_shares(replace(blank, stage=there.astype(np.int8)), world)[1]
    assert by_region.argmax() == 0
    one = replace(blank, stage=((firms.industry == 1) & there).astype(np.int8))
    after = adoption_hazards(1.0, one, world)
    rest = one.stage == 0
    assert (after[rest] > alone[rest]).all()
    kind = world.population.metros
    distance = great_circle(kind.latitude, kind.longitude)[0]
    assert np.corrcoef(by_region[1:], np.exp(-distance[1:] / 150.0))[0, 1] > 0.8


def test_adoption_clusters_more_with_regional_contagion(world_of, make):
    """Seeds in one metro: with contagion its neighbourhood adopts more than the nation."""
    gap = {}
    for name, contagion in (("off", 0.0), ("on", 20.0)):
        adoption_rules = {
            "industry_contagion": 0,
            "regional_contagion": contagion,
            "pilot_intensity": 0.02,
        }
        world = world_of(make(shocks=[ADOPTION], adoption=adoption_rules))
        firms = world.population.firms
        state = initial_state(world)
        seeds = firms.metro == np.bincount(firms.metro).argmax()
        state = replace(state, stage=(seeds & (np.arange(len(firms)) % 2 == 0)).astype(np.int8))
        chance = adoption_hazards(1.0, state, world)
        young = state.stage == 0
        gap[name] = chance[young & seeds].mean() - chance[young & ~seeds].mean()
    assert gap["on"] > gap["off"] + 0.02


def test_a_faster_trajectory_is_nowhere_behind(world_of, make):
    """Firms share their draws, and contagion only adds."""
    slow, base, fast = (
        stages_after(world_of(make(shocks=[{**ADOPTION, "trajectory": name}])), 30)
        for name in ("slow", "base", "fast")
    )
    assert (slow <= base).all()
    assert (base <= fast).all()
    assert slow.sum() < base.sum() < fast.sum()


def test_adoption_raises_displacement(population, behaviour, make):
    ai = {"kind": "ai_displacement", "hazard": [{"month": 0, "rate": 0.05}]}
    calm = simulate(population, behaviour, make(shocks=[ai]), months=10)
    fast = {"pilot_intensity": 0.3, "scaling_intensity": 0.5, "mature_intensity": 0.5}
    run = simulate(population, behaviour, make(shocks=[ai, ADOPTION], adoption=fast), months=10)
    assert run.national["displaced"].sum() > 1.2 * calm.national["displaced"].sum()
    adopters = run.national["adopting_firms"]
    assert adopters.is_monotonic_increasing
    assert adopters.iloc[-1] > calm.national["adopting_firms"].iloc[-1]
    assert calm.national["adopting_firms"].nunique() == 1


def test_adoption_alone_takes_nobodys_job(population, behaviour, make):
    calm = simulate(population, behaviour, months=6)
    run = simulate(population, behaviour, make(shocks=[ADOPTION]), months=6)
    aside = ["adopting_firms"]
    assert_frame_equal(run.metros.drop(columns=aside), calm.metros.drop(columns=aside))


def test_a_firm_that_skips_a_stage_is_caught(world_of, make):
    world = world_of(make())
    state = initial_state(world)
    stage = state.stage.copy()
    stage[0] = (stage[0] + 2) % 4
    with pytest.raises(ConservationError, match=r"stages not conserved in month 0.*firm 0 goes"):
        assert_conserved(state, replace(state, stage=stage), world)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"shocks": [{**ADOPTION, "trajectory": "quick"}]}, r"trajectory' is 'quick'; use one of"),
        ({"shocks": [{**ADOPTION, "start_month": -1}]}, r"shocks\[0\].start_month' is -1"),
        ({"parameters": {"adoption": {"pilot_intensity": -0.1}}}, "pilot_intensity' is -0.1; give"),
    ],
)
def test_wrong_adoption_ends_in_a_sentence(content, message):
    with pytest.raises(SpecificationError, match=message):
        Scenario.from_mapping(content)
