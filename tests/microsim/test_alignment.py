"""Displacement aligned to targets: the factors' rule, what it reaches, and that it can be off."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from pandas.testing import assert_frame_equal

from choicemodels.errors import SpecificationError
from choicemodels.keyed_random import Streams
from microsim import simulate
from microsim.mobility.utility import MobilityUtility
from microsim.policies import Eligibility
from microsim.processes.alignment import alignment, firm_factors, target_paths
from microsim.processes.displacement import displacement
from microsim.processes.eligibility import meets
from microsim.state import initial_state
from microsim.world import make_world

AI = {"kind": "ai_displacement", "hazard": [{"month": 0, "rate": 0.01}]}
ON = {"active": True, "displaced_before": 0}
FIGURES = ["manufacturing_factor", "employers_factor"]


@pytest.fixture(scope="module")
def world_of(population, behaviour, make):
    utility = MobilityUtility.build(behaviour, tuple(population.metros.cbsa))

    def build(**alignment):
        scenario = make(shocks=[AI], quiet=True, alignment={**ON, **alignment})
        return make_world(population, utility, scenario, 12, Streams(1), first_month=1)

    return build


def test_factors_follow_the_rule(world_of, population):
    world = world_of(manufacturing_month=11, employers_month=11, damping=0.25, largest_factor=100)
    state = initial_state(world)
    w, f = population.workers, population.firms
    multiplier = np.array(world.parameters.labour.stage_multipliers)
    maker, expected, jobs = f.industry == 1, np.zeros(2), 0.0
    survives = np.ones(len(f))
    for i in np.flatnonzero(w.firm >= 0):
        p = 1 - 0.99 ** (w.exposure[i] * multiplier[f.stage[w.firm[i]]])
        survives[w.firm[i]] *= 1 - p
        if maker[w.firm[i]]:
            expected[0] += w.weight[i] * p
            jobs += w.weight[i]
    expected[1] = (1 - survives).sum()
    path = np.array([2e6 / 12.9e6 * jobs, 0.4 * len(f)]) / 12
    assert_allclose(target_paths(0, world), path, rtol=1e-6)
    before = replace(state, aligned=replace(state.aligned, factors=np.array([2.0, 0.5])))
    factors = alignment(before, world).aligned.factors
    assert_allclose(factors, [2.0**0.75, 0.5**0.75] * (path / expected) ** 0.25, rtol=1e-6)
    cut = np.arange(len(f)) % 2 == 0
    aligned = replace(state.aligned, factors=np.array([3.0, 5.0]), cut=cut)
    by_firm = firm_factors(replace(state, aligned=aligned), world)
    assert_array_equal(by_firm, np.where(maker, 3.0, 1.0) * np.where(cut, 1.0, 5.0))


def test_tallies_are_those_of_the_displaced(world_of, population):
    world = world_of()
    state = initial_state(world)
    after = displacement(state, world)
    w = population.workers
    gone = np.flatnonzero(after.displaced_in == 0)
    assert_array_equal(np.flatnonzero(after.aligned.cut), np.unique(w.firm[gone]))
    makers = population.firms.industry[w.firm[gone]] == 1
    assert after.aligned.manufacturing == pytest.approx(w.weight[gone][makers].sum(), rel=1e-6)


def test_targets_are_reached(population, behaviour, make):
    """Neither the hazard path nor the other target gives these figures by itself."""
    targets = {"manufacturing_month": 9, "employers_month": 9, "employers_cutting": 0.4}
    free = simulate(population, behaviour, make(shocks=[AI], quiet=True), months=10).national
    on = make(shocks=[AI], quiet=True, alignment={**ON, **targets})
    run = simulate(population, behaviour, on, months=10).national
    w, f = population.workers, population.firms
    makers = (w.firm >= 0) & (f.industry[w.firm] == 1)
    goal = 2e6 / 12.9e6 * w.weight[makers].sum()
    noise = np.sqrt(goal * w.weight.mean())
    assert abs(run["manufacturing_displaced"].iloc[-1] - goal) < 2 * noise
    assert free["manufacturing_displaced"].iloc[-1] < goal - 2 * noise
    assert run["employers_cutting"].iloc[-1] == pytest.approx(0.4, abs=0.05)
    assert free["employers_cutting"].iloc[-1] < 0.3
    assert (free[FIGURES] == 1).all().all()
    assert (run["manufacturing_factor"] > 1).any()
    assert run["employers_cutting"].is_monotonic_increasing


def test_without_effect_it_changes_nothing(population, behaviour, make):
    plain = simulate(population, behaviour, make(shocks=[AI]), months=4)
    nothing = (
        {"active": False, "displaced_before": 0.5},
        {**ON, "damping": 0},
        {**ON, "manufacturing_displaced": 0, "employers_cutting": 0},
        {**ON, "largest_factor": 1},
    )
    for alignment_ in nothing:
        run = simulate(population, behaviour, make(shocks=[AI], alignment=alignment_), months=4)
        assert_frame_equal(run.metros, plain.metros, check_exact=True)
    calm = simulate(population, behaviour, make(alignment=ON), months=3)
    assert (calm.national[FIGURES] == 1).all().all()


def test_a_path_that_has_ended_asks_nothing(world_of):
    world = world_of(manufacturing_month=3)
    assert np.isnan(target_paths(4, world)[0])
    state = replace(initial_state(world), month=4)
    aligned = replace(state.aligned, factors=np.array([5.0, 1.0]))
    factors = alignment(replace(state, aligned=aligned), world).aligned.factors
    assert factors[0] == 1
    assert factors[1] != 1


def test_some_were_displaced_before_the_run(world_of, population):
    world = world_of(displaced_before=0.14, months_before=10)
    state, w = initial_state(world), population.workers
    before = state.displaced_in != -1
    assert abs(before.mean() - 0.14) < 3.5 * np.sqrt(0.14 * 0.86 / len(w))
    assert (state.displaced_in[before] <= -2).all()
    assert state.displaced_in.min() == -11
    assert w.exposure[before].mean() > w.exposure.mean() * 1.05
    assert_array_equal(state.scarred, before & (w.firm < 0))
    assert_array_equal(meets(Eligibility(status="displaced"), state, world), before)
    recent = meets(Eligibility(status="displaced", within_months=5), state, world)
    assert_array_equal(recent, before & (state.displaced_in >= -5))


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"damping": 1.5}, r"parameters.alignment.damping' is 1.5; give a value of at most 1"),
        ({"displaced_before": 1}, "displaced_before' is 1; give a value of less than 1"),
        ({"largest_factor": 0.5}, "largest_factor' is 0.5; give a value of at least 1"),
        ({"targets": 3}, "unknown key 'parameters.alignment.targets'"),
    ],
)
def test_wrong_targets_end_in_a_sentence(make, wrong, message):
    with pytest.raises(SpecificationError, match=message):
        make(alignment=wrong)
